#!/usr/bin/env python3
"""Renders the demonstration pictures of examples/media with their truth files.

meter.jpg  a meter's name plate and counter as a hand-held camera would see them
sheet.png  a clean page with columns of numbers

The truth lists the rows from top to bottom: the text with one space between words, and for every
digit its half-open pixel box.
"""
import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import glyphs
import prototype

SEED = 7
ZOOM = 2  # the meter is drawn at twice its size, so that reducing smooths its edges


class Page:
    """A gray page under construction and the ink of every digit on it."""

    def __init__(self, width, height, ground):
        self.image = Image.new("L", (width, height), ground)
        self.draw = ImageDraw.Draw(self.image)
        self.rows = {}  # base line -> words from left to right; word: [(digit, x, face)]

    def text(self, x, y, text, font, size, fill=40, pitch=None, tracking=0):
        """Text from x on the base line y.

        With a pitch every character gets a cell that wide; tracking is space between characters.
        """
        path = glyphs.find_fonts([font + ".?tf"])[0]
        face = ImageFont.truetype(str(path), size)
        words = self.rows.setdefault(y, [])
        after_digit = False
        for i, character in enumerate(text):
            at = x + i * pitch + (pitch - face.getlength(character)) / 2 if pitch else x
            at = round(at)
            self.draw.text((at, y), character, fill=fill, font=face, anchor="ls")
            if character.isdigit():
                if not after_digit:
                    words.append([])
                words[-1].append((character, at, face))
            after_digit = character.isdigit()
            x += 0 if pitch else face.getlength(character) + tracking

    def truth(self, warp):
        """Rows with boxes; `warp` takes a full-size ink mask to the final picture's mask."""
        rows = []
        for y, words in sorted(self.rows.items()):
            digits = []
            for character, x, face in (digit for word in words for digit in word):
                mask = Image.new("L", self.image.size)
                ImageDraw.Draw(mask).text((x, y), character, fill=255, font=face, anchor="ls")
                ink = warp(np.asarray(mask)) > 127
                columns, lines = np.flatnonzero(ink.any(0)), np.flatnonzero(ink.any(1))
                box = [columns[0], lines[0], columns[-1] + 1, lines[-1] + 1]
                digits.append({"digit": character, "box": [int(v) for v in box]})
            text = " ".join("".join(digit[0] for digit in word) for word in words)
            if digits:
                rows.append({"text": text, "digits": digits})
        return rows


def draw_meter():
    page = Page(960 * ZOOM, 640 * ZOOM, 150)
    d, z = page.draw, ZOOM

    def box(x0, y0, x1, y1, radius, **style):
        d.rounded_rectangle([x0 * z, y0 * z, x1 * z, y1 * z], radius * z, **style)

    def text(x, y, content, font, size, **style):
        style = {k: v * z if k == "pitch" else v for k, v in style.items()}
        page.text(x * z, y * z, content, font, size * z, **style)

    box(62, 42, 898, 602, 26, fill=120)
    box(60, 38, 894, 596, 26, fill=226, outline=170, width=3 * z)
    text(110, 104, "ENERGY METER", "OpenSans-Semibold", 34)
    text(660, 104, "Nr.", "OpenSans-Regular", 24)
    text(706, 104, "48207", "DejaVuSansMono", 30)
    box(108, 150, 716, 272, 10, fill=238, outline=196, width=4 * z)
    for i in range(7):
        box(120 + 84 * i, 162, 192 + 84 * i, 260, 6, fill=246, outline=205, width=2 * z)
    text(114, 240, "0358926", "Roboto-Medium", 82, pitch=84, fill=25)
    text(736, 240, "kWh", "LiberationSerif-Bold", 50)
    text(112, 330, "230 V", "NotoSans-Regular", 36)
    text(330, 330, "10    60 A", "NotoSans-Regular", 36)
    text(620, 330, "375 r/kWh", "LiberationSans-Italic", 36)
    d.line([110 * z, 356 * z, 846 * z, 356 * z], fill=150, width=2 * z)
    text(112, 410, "2026-11-23", "Inconsolata", 38, pitch=24)
    text(420, 410, "T1", "LinLibertine_R", 40)
    text(560, 410, "004    219", "LinLibertine_R", 44)
    text(112, 466, "2026-12-24", "Inconsolata", 38, pitch=24)
    text(420, 466, "T2", "LinLibertine_R", 40)
    text(560, 466, "118    936", "LinLibertine_RB", 44)
    rng = np.random.default_rng(SEED)
    x = 120.0
    while x < 470:
        bar = rng.integers(1, 5) * 2
        d.rectangle([x * z, 496 * z, (x + bar) * z - 1, 548 * z], fill=30)
        x += bar + rng.integers(1, 4) * 2.5
    text(118, 580, "7506149803625", "Courier Prime", 31, pitch=25)
    text(560, 548, "KL 54", "FiraCode-Medium", 26)
    text(700, 548, "-25", "FiraCode-Medium", 26)
    return page


def photograph(page, rng):
    """Perspective, light, blur and noise of a hand-held picture; returns it and the warp."""
    width, height = page.image.width // ZOOM, page.image.height // ZOOM
    source = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]) * (page.image.width, page.image.height)
    shift = np.float32([[14, 10], [-6, -4], [4, 6], [-10, -8]])
    target = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]) * (width, height) + shift
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))

    def warp(image):
        smooth = cv2.GaussianBlur(image, (0, 0), 0.45 * ZOOM)
        return cv2.warpPerspective(smooth, matrix, (width, height), flags=cv2.INTER_LINEAR,
                                   borderMode=cv2.BORDER_REPLICATE)

    gray = warp(np.asarray(page.image)).astype(np.float32)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    shade = 0.92 - 0.16 * x - 0.10 * y - 0.12 * (x * x + y * y)
    edge = 1 / (1 + np.exp(-(x + 0.55 * y - 0.75) * 18))  # the edge of a shadow, lower right
    clouds = cv2.resize(rng.normal(0, 1, (10, 15)).astype(np.float32), (width, height),
                        interpolation=cv2.INTER_CUBIC)
    light = shade * (1 - 0.28 * edge) * (1 + 0.012 * clouds)
    tint = np.array([1.0, 0.975, 0.92])  # warm lamp, RGB
    rgb = cv2.GaussianBlur(gray * light, (0, 0), 0.55)[..., None] * tint
    rgb += 3.0 * rng.standard_normal((height, width, 1)) + 1.2 * rng.standard_normal(rgb.shape)
    return np.clip(rgb + 0.5, 0, 255).astype(np.uint8), warp


def draw_sheet():
    page = Page(720, 960, 255)
    rng = np.random.default_rng(SEED + 1)
    fonts = ["LiberationSerif-Regular", "DejaVuSans", "OpenSans-Light", "Courier Prime",
             "Lato-Bold", "FreeSerifItalic", "Inconsolata", "RobotoCondensed-Regular",
             "LinBiolinum_R", "NotoSerif-Bold", "FiraCode-Regular", "Cantarell-Regular"]
    y = 40
    for i, font in enumerate(fonts):
        size = (21, 24, 30, 36, 44, 54)[i % 6]
        y += size + 18
        words = ["".join(str(k) for k in rng.integers(0, 10, n)) for n in rng.integers(2, 6, 3)]
        for column, word in enumerate(words):
            page.text(50 + 225 * column, y, word, font, size, fill=(0, 30, 60)[column], tracking=1)
        page.draw.line([40, y + 14, 680, y + 14], fill=190)
    y += 90
    page.text(50, y, "0123456789", "NotoSans-Regular", 60, pitch=52)
    page.text(50, y + 46, "9876543210", "LiberationSans-Regular", 18, fill=0, pitch=16)
    return page


def write_truth(path, size, rows):
    """One line per row and digit keeps the file readable."""
    lines = [json.dumps({"picture": path.name, "width": size[0], "height": size[1]})[:-1] + ',',
             ' "rows": [']
    for i, row in enumerate(rows):
        lines.append(f'  {{"text": {json.dumps(row["text"])}, "digits": [')
        lines.append(",\n".join("   " + json.dumps(d) for d in row["digits"]))
        lines.append("  ]}" + ("," if i + 1 < len(rows) else ""))
    path.with_suffix(".json").write_text("\n".join(lines + [" ]}", ""]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=prototype.ROOT / "examples" / "media")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    meter = draw_meter()
    photo, warp = photograph(meter, np.random.default_rng(SEED))
    path = args.output / "meter.jpg"
    Image.fromarray(photo).save(path, quality=84, optimize=True)
    write_truth(path, (photo.shape[1], photo.shape[0]), meter.truth(warp))

    sheet = draw_sheet()
    path = args.output / "sheet.png"
    sheet.image.save(path, optimize=True)
    write_truth(path, sheet.image.size, sheet.truth(lambda mask: mask))


if __name__ == "__main__":
    main()
