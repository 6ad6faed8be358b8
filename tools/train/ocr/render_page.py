#!/usr/bin/env python3
"""Renders examples/media/page.jpg: a printed page as a hand-held camera would see it.

page.json lists the lines from top to bottom: the text and the half-open pixel box of its ink.
"""
import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import prototype
import render

SEED = 11
ZOOM = 2                  # the page is drawn at twice its size, so that reducing smooths its edges
SIZE = (1000, 760)        # of the photograph
PAPER, TABLE = 236, 96    # gray levels
SERIF = "LiberationSerif-Regular"
LINES = [                 # base line, font, size, text
    (104, "LiberationSerif-Bold", 40, "Notes from the Lighthouse"),
    (146, "LiberationSerif-Italic", 22, "Kept by M. Harrow, from 3 May to 17 October 1998"),
    (206, SERIF, 25, "The lamp was lit at 8:42 in the evening and burned until"),
    (240, SERIF, 25, "sunrise. Wind from the west, 27 knots, with heavy rain after"),
    (274, SERIF, 25, "midnight; two ships passed, both bound for the north coast."),
    (338, "OpenSans-Semibold", 27, "Stores on the first of June"),
    (380, "OpenSans-Regular", 23, "Oil: 164 litres (at $0.85) = $139.40"),
    (416, "OpenSans-Regular", 23, "Flour, 12 kg; salt, 3 kg; tea, 450 g"),
    (452, "OpenSans-Regular", 23, "Rope #7: 90 m & 2 spare lamps, 75% used"),
    (516, "Courier Prime", 25, "KEEPER@LIGHTHOUSE.EXAMPLE.ORG"),
    (552, "Courier Prime", 25, "Log no. 0461-B / page 83 of 120"),
    (626, "DejaVuSans-Bold", 24, "WARNING: Keep the gallery door closed!"),
    (668, "DejaVuSans", 20, "Who reads this far may ring the bell - quickly, just once."),
]


def face(name, size):
    return ImageFont.truetype(str(render.find_fonts([name + ".?tf"])[0]), size * ZOOM)


def draw_page():
    page = Image.new("L", (SIZE[0] * ZOOM, SIZE[1] * ZOOM), TABLE)
    pen = ImageDraw.Draw(page)
    pen.rectangle([60 * ZOOM, 30 * ZOOM, 940 * ZOOM, 730 * ZOOM], fill=PAPER)
    for y in (176, 304, 482, 582):
        pen.line([130 * ZOOM, y * ZOOM, 870 * ZOOM, y * ZOOM], fill=170, width=2 * ZOOM)
    for y, name, size, text in LINES:
        pen.text((130 * ZOOM, y * ZOOM), text, fill=38, font=face(name, size), anchor="ls")
    return np.asarray(page)


def make_warp():
    corners = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]])
    shift = np.float32([[6, 16], [-22, -2], [18, 12], [-8, -14]])
    matrix = cv2.getPerspectiveTransform(corners * np.float32(SIZE) * ZOOM,
                                         corners * np.float32(SIZE) + shift)

    def warp(image):
        smooth = cv2.GaussianBlur(image, (0, 0), 0.45 * ZOOM)
        return cv2.warpPerspective(smooth, matrix, SIZE, flags=cv2.INTER_LINEAR,
                                   borderMode=cv2.BORDER_REPLICATE)
    return warp


def photograph(page, warp, rng):
    """Light from one side, the soft shadow of a hand, grain, blur, a warm tint, noise."""
    width, height = SIZE
    gray = warp(page).astype(np.float32)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    light = 0.90 - 0.15 * x - 0.07 * y - 0.10 * (x * x + y * y)
    light *= 1 - 0.25 / (1 + np.exp(-(x + 0.6 * y - 0.85) * 9))
    grain = cv2.resize(rng.normal(0, 1, (38, 50)).astype(np.float32), SIZE,
                       interpolation=cv2.INTER_CUBIC)
    gray = cv2.GaussianBlur(gray * light * (1 + 0.01 * grain), (0, 0), 0.6)
    rgb = gray[..., None] * np.array([1.0, 0.97, 0.91])
    rgb += 2.6 * rng.standard_normal((height, width, 1)) + 1.0 * rng.standard_normal(rgb.shape)
    return np.clip(rgb + 0.5, 0, 255).astype(np.uint8)


def truth(warp):
    rows = []
    for y, name, size, text in LINES:
        ink = Image.new("L", (SIZE[0] * ZOOM, SIZE[1] * ZOOM))
        ImageDraw.Draw(ink).text((130 * ZOOM, y * ZOOM), text, fill=255, font=face(name, size),
                                 anchor="ls")
        mask = warp(np.asarray(ink)) > 127
        columns, lines = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        box = [columns[0], lines[0], columns[-1] + 1, lines[-1] + 1]
        rows.append({"text": text, "box": [int(v) for v in box]})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=prototype.ROOT / "examples" / "media")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    warp = make_warp()
    photo = photograph(draw_page(), warp, np.random.default_rng(SEED))
    path = args.output / "page.jpg"
    Image.fromarray(photo).save(path, quality=80, optimize=True)
    rows = ",\n".join("  " + json.dumps(row) for row in truth(warp))
    path.with_suffix(".json").write_text(
        f'{{"picture": "{path.name}", "width": {SIZE[0]}, "height": {SIZE[1]},\n'
        f' "lines": [\n{rows}\n ]}}\n')


if __name__ == "__main__":
    main()
