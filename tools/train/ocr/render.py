#!/usr/bin/env python3
"""Renders the training lines: printed text as the line finder would cut it out of a picture.

A line starts as ink: words in one font with their character positions. The ink is slanted, turned
and warped a little, printed on a ground, lit, blurred, made noisy, compressed, cut with the very
crop that reading uses (crop.cut). Every character's centre is carried along: the training uses it.

    render.py shard FOLDER FIRST COUNT     writes shard-<k>.npz for k = FIRST ... FIRST + COUNT - 1
    render.py sheet PICTURE                shows 30 lines of each kind
"""
import sys
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import crop
import text

SEED = 30
SHARD = 4096
MAX_WIDTH = 384
FRAME = 2  # columns of the crop per output frame
FONT_ROOTS = (Path("/usr/share/fonts"), Path("/usr/share/texmf/fonts/opentype/public"))
TRAIN_FONTS = ["DejaVuSans*", "DejaVuSerif*", "Liberation*", "FreeSans*", "FreeSerif*", "FreeMono*",
               "Lato-*", "Roboto-*", "RobotoCondensed-*", "RobotoSlab*", "Courier Prime*",
               "LinLibertine_[DMR]*", "Cantarell-*", "NotoSerif-*", "lmroman1*", "lmroman8*",
               "lmsans1*", "lmmono10*", "lmmonolt10*", "texgyreadventor*", "texgyrebonum*",
               "texgyrepagella*", "texgyreschola*", "texgyreheroscn*", "EBGaramond12*", "GenB*",
               "Quicksand-*", "Cabin-*", "Hack-*", "BaskervaldADFStd*", "UniversalisADFStd*",
               "Comfortaa-*", "URWBookman*", "mononoki-*", "OldStandard-*",
               "GoudyBookletter1911", "LindenHill*", "Prociono", "FanwoodText*", "Quattrocento-*",
               "Arapey-Regular*", "Arapey-Black", "ElstobD-10pt*", "JunicodeTwoBeta-[BIR]*",
               "Junction", "Karla-[A-Z]*[a-z]", "ClearSans-*", "Manrope-*", "Oxygen*", "Tuffy",
               "Tuffy_*", "Go-[BIMR]*", "Anonymous Pro", "Anonymous Pro [BI]*", "Hermit-*",
               "FantasqueSansMono-*", "LeagueMono-[BLMR]*", "LeagueMono-Condensed*", "PT[FMNSZ]??F",
               "STIX-*", "Andika-*", "BerenisADFPro-*", "GilliusADF-*", "LibrisADFStd-*",
               "MekanusADFStd-*", "RomandeADFStd-*", "SwitzeraADF-[BCIR]*", "TribunADFStd-*",
               "Verana*", "Yrsa-*", "Dosis-*", "AveriaSerifGWF-*", "Century-Catalogue", "Inter-*",
               "agave-*", "tiresias_infofont*", "Sora-*", "Play-*", "LeagueSpartan-*"]
# Noto Sans is drawn after Open Sans, so both are held out together.
HELD_OUT_FONTS = ["OpenSans-*", "NotoSans-*", "Inconsolata*", "FiraCode-*", "LinBiolinum_R*",
                  "JetBrainsMono-*", "Caladea-*", "Vollkorn-*", "CharisSIL-*", "B612-*",
                  "AccanthisADFStd-*"]
# strokes below a pixel; small capitals
EXTREMES = ("Hairline", "Thin", "ExtraLight", "UltraLight", "caps")
NO_LIGATURE_CODE = ["-calt"]  # programming fonts draw != and -> as one sign otherwise
OLD_STYLE = 0.3  # share of training lines with old-style figures, where the font has them


@lru_cache(maxsize=None)
def has_ascii(path):
    """Whether the font draws every character of the alphabet: lower case unlike capitals, too."""
    font = load_font(path, 32)
    missing = bytes(font.getmask("\uffff"))
    drawn = {c: bytes(font.getmask(c)) for c in map(chr, range(33, 127))}
    return all(any(d) and d != missing for d in drawn.values()) and drawn["a"] != drawn["A"]


def find_fonts(patterns):
    """Files of the patterns (names without suffix), one for each name."""
    files = {f.stem: f for root in FONT_ROOTS for pattern in patterns
             for suffix in (".ttf", ".otf") for f in sorted(root.rglob(pattern + suffix))
             if not any(e in f.stem for e in EXTREMES) and has_ascii(f)}
    if not files:
        raise SystemExit("no fonts found: see README.md for the packages")
    return sorted(files.values())


@lru_cache(maxsize=256)
def load_font(path, size):
    return ImageFont.truetype(str(path), size)


def advance(font, word, features=NO_LIGATURE_CODE):
    return font.getlength(word, features=features)


def layout(rng, font, size, line, clean, features):
    """Pieces (x, piece of text), and per character its centre and width, from x = 0 on."""
    tracking = 0.0
    if not clean and rng.random() < 0.2:
        tracking = rng.uniform(-0.03, 0.16) * size
    space = advance(font, " ") * (1.0 if clean else rng.uniform(0.75, 1.9)) + tracking
    pieces, centres, widths, x = [], [], [], 0.0
    for k, word in enumerate(line.split(" ")):
        if k:
            centres.append(x + space / 2)
            widths.append(space)
            x += space
        ends = [advance(font, word[:i], features) + i * tracking for i in range(len(word) + 1)]
        if tracking:
            pieces += [(round(x + e), c) for e, c in zip(ends, word)]
        else:
            pieces.append((round(x), word))
        centres += [x + (a + b - tracking) / 2 for a, b in zip(ends, ends[1:])]
        widths += [b - a - tracking for a, b in zip(ends, ends[1:])]
        x += ends[-1]
    return pieces, np.array(centres), np.array(widths), x


def draw(rng, path, size, line, clean, features):
    """Ink f32 0..1 of the line, ink of what stands around it, centres [n,2] and widths [n]."""
    font = load_font(path, size)
    pieces, centres, widths, length = layout(rng, font, size, line, clean, features)
    x, base = size, round(2.2 * size)
    shape = (int(length) + 2 * size, round(3.4 * size))
    ink = Image.new("L", shape)
    pen = ImageDraw.Draw(ink)
    for at, piece in pieces:
        pen.text((x + at, base), piece, fill=255, font=font, anchor="ls", features=features)
    around = None
    if not clean and rng.random() < 0.2:
        around = Image.new("L", shape)
        pen = ImageDraw.Draw(around)
        pitch = rng.uniform(1.02, 1.5) * size
        for y in (base - pitch, base + pitch):
            pen.text((x - rng.integers(0, size), round(y)), text.line(rng) + " " + text.line(rng),
                     fill=255, font=font, anchor="ls")
        around = np.asarray(around, np.float32) / 255
    points = np.stack([x + centres, np.full(len(centres), base - 0.33 * size)], 1)
    return np.asarray(ink, np.float32) / 255, around, points, widths


def change_weight(rng, ink):
    kernel = np.ones((int(rng.integers(1, 3)), int(rng.integers(1, 3))), np.uint8)
    if rng.random() < 0.65:
        return cv2.dilate(ink, kernel)
    thin = cv2.erode(ink, kernel)
    return thin if thin.sum() > 0.5 * ink.sum() else ink


def warp(rng, layers, points, size):
    """Slant, turn, stretch and perspective, small as line finding leaves them."""
    h, w = layers[0].shape
    angle = np.clip(rng.normal(0, 0.7), -2, 2) * np.pi / 180 * min(1, 12 * size / w)
    c, s = np.cos(angle), np.sin(angle)
    stretch = np.exp(rng.normal(0, 0.1))
    matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array(
        [[stretch, rng.normal(0, 0.09), 0], [0, 1, 0], [0, 0, 1]])
    matrix[2, :2] = rng.normal(0, 0.04) / w, rng.normal(0, 0.06) / h
    middle = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1.0]])
    out_w = int(w * stretch) + 2 * size
    place = np.array([[1, 0, out_w / 2 + rng.random()], [0, 1, h / 2 + rng.random()], [0, 0, 1.0]])
    matrix = place @ matrix @ middle
    layers = [None if a is None else cv2.warpPerspective(a, matrix, (out_w, h)) for a in layers]
    points = cv2.perspectiveTransform(points[None].astype(np.float64), matrix)[0]
    return layers, points, stretch


def print_ink(rng, ink, size, clean):
    """8-bit gray picture of the ink on some ground under some light."""
    h, w = ink.shape
    contrast = rng.uniform(0.5, 1) if clean else rng.uniform(0.14, 0.95)
    ground = rng.uniform(contrast, 1)
    picture = ground - contrast * ink
    if rng.random() < 0.3:
        picture = 1 - picture
    if not clean:
        if rng.random() < 0.5:
            grain = (max(2, h // 12), max(3, w // 20))
            texture = cv2.resize(rng.normal(0, 1, grain).astype(np.float32), (w, h),
                                 interpolation=cv2.INTER_CUBIC)
            picture += rng.uniform(0, 0.08) * contrast * texture
        slope_x, slope_y = rng.uniform(-0.3, 0.3), rng.uniform(-0.15, 0.15)
        light = 1 + slope_x * np.linspace(-1, 1, w)[None] + slope_y * np.linspace(-1, 1, h)[:, None]
        picture = (picture * light / max(1, light.max() - 0.05)).astype(np.float32)
        if rng.random() < 0.6:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.45 + 0.036 * size))
        elif rng.random() < 0.2:
            n = int(rng.integers(2, max(3, size // 7)))
            picture = cv2.blur(picture, (n, 1) if rng.random() < 0.6 else (1, n))
        if rng.random() < 0.7:
            noise = rng.uniform(0, min(0.07, 0.22 * contrast))
            picture = picture + noise * rng.standard_normal((h, w), np.float32)
    picture = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    if not clean and rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_GRAYSCALE)
    return picture


def ink_box(rng, ink, clean):
    """The box that thresholding would give: the ink above a level, edges off by a little."""
    mask = ink > (0.4 if clean else rng.uniform(0.25, 0.6)) * ink.max()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
    if not clean:
        box += rng.normal(0, 0.025, 4) * (box[3] - box[1]) * (rng.random(4) < 0.5)
        if rng.random() < 0.06:  # a mark above or below caught, or a thin part of the ink lost
            box[1 + 2 * rng.integers(2)] += rng.uniform(-0.15, 0.15) * (box[3] - box[1])
    return box


def frame_labels(line, centres, widths, frames):
    """u8 per output frame: the character around its centre, the blank elsewhere."""
    labels = np.zeros(frames, np.uint8)
    last, last_end = "", -2
    for c, centre, width in zip(line, centres, widths):
        half = min(0.16 * width, 5)
        first, end = int((centre - half) // FRAME), int((centre + half) // FRAME)
        first = max(first, last_end + (2 if c == last else 1))
        end = min(max(first, end), frames - 1)
        if first <= end:
            labels[first:end + 1] = ord(c) - 31
        last, last_end = c, end
    return labels


def sample(rng, fonts, clean, old_style=0.0):
    """One line: u8[32, width], its text, u8[width / FRAME]; None when it is too wide."""
    features = NO_LIGATURE_CODE
    if old_style and rng.random() < old_style:
        features = [*features, "onum"]
    path = fonts[rng.integers(len(fonts))]
    size = int(rng.choice([14, 16, 18, 20, 22, 24, 28, 32, 38, 46]))
    line = text.line(rng)
    while " " in line and advance(load_font(path, size), line) * 34 > MAX_WIDTH * size:
        line = line[:line.rindex(" ")]
    ink, around, points, widths = draw(rng, path, size, line, clean, features)
    if not clean and size >= 20 and rng.random() < 0.3:
        ink = change_weight(rng, ink)
    if not clean and rng.random() < 0.7:
        (ink, around), points, stretch = warp(rng, (ink, around), points, size)
        widths = widths * stretch
    if not ink.any():
        return None
    box = ink_box(rng, ink, clean)
    if crop.width_of(box) > MAX_WIDTH:
        return None
    everything = ink if around is None else np.maximum(ink, around)
    # Only the surroundings of the line matter: the rest costs time.
    reach = round(0.7 * (box[3] - box[1]))
    x, y = max(int(box[0]) - reach, 0), max(int(box[1]) - reach, 0)
    everything = everything[y:int(box[3]) + reach, x:int(box[2]) + reach]
    box -= (x, y, x, y)
    picture = np.rint(crop.cut(print_ink(rng, everything, size, clean), box)).astype(np.uint8)
    scale = crop.HEIGHT / ((1 + 2 * crop.MARGIN_Y) * (box[3] - box[1]))
    left = box[0] - crop.MARGIN_X * (box[3] - box[1])
    labels = frame_labels(line, (points[:, 0] - x - left) * scale, widths * scale,
                          picture.shape[1] // FRAME)
    return picture, line, labels


def make_set(seed, fonts, count, clean_share, old_style=0.0):
    """Lists of pictures, texts and frame labels of `count` lines."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        one = sample(rng, fonts, rng.random() < clean_share, old_style)
        if one is not None:
            found.append(one)
    return tuple(map(list, zip(*found)))


def write_shard(folder, k):
    pictures, lines, labels = make_set((SEED, k), find_fonts(TRAIN_FONTS), SHARD, 0.2,
                                        OLD_STYLE)
    target = Path(folder) / f"shard-{k}.npz"
    part = target.with_suffix(".part.npz")
    np.savez(part, pixels=np.concatenate(pictures, 1), labels=np.concatenate(labels),
             widths=[p.shape[1] for p in pictures], lines=lines)
    part.rename(target)


def read_shard(path):
    with np.load(path) as f:
        ends = np.cumsum(f["widths"])[:-1]
        return (np.split(f["pixels"], ends, 1), [str(t) for t in f["lines"]],
                np.split(f["labels"], ends // FRAME))


def write_sheet(path):
    rows = []
    for clean in (1.0, 0.0):
        pictures, lines, _ = make_set(1, find_fonts(TRAIN_FONTS), 45, clean)
        for p in pictures:
            rows.append(np.pad(p, ((1, 1), (0, MAX_WIDTH - p.shape[1])), constant_values=255))
    cv2.imwrite(path, np.hstack([np.vstack(rows[:45]), np.vstack(rows[45:])]))


def main():
    cv2.setNumThreads(1)
    if len(sys.argv) == 5 and sys.argv[1] == "shard":
        Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
        for k in range(int(sys.argv[3]), int(sys.argv[3]) + int(sys.argv[4])):
            write_shard(sys.argv[2], k)
    elif len(sys.argv) == 3 and sys.argv[1] == "sheet":
        write_sheet(sys.argv[2])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
