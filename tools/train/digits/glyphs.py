"""Renders the training pictures: single digits and what is not a digit, as the pipeline sees them.

A sample starts as ink at a generous size: a glyph in the middle, neighbours beside it, sometimes a
ruled line or a frame. The ink is warped to its final size, printed on a ground, lit, blurred, made
noisy and then cut out with the very crop that reading uses (prototype.crop).
"""
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import prototype

FONT_ROOT = Path("/usr/share/fonts")
TRAIN_FONTS = ["DejaVuSans*", "DejaVuSerif*", "LiberationSans-*", "LiberationSansNarrow-*",
               "LiberationMono-*", "FreeSans*", "FreeSerif*", "FreeMono*", "Lato-*", "Roboto-*",
               "RobotoCondensed-*", "Courier Prime*", "LinLibertine_[DMR]*", "Cantarell-*",
               "NotoSerif-*"]
# Noto Sans is drawn after Open Sans, so both are held out together.
HELD_OUT_FONTS = ["OpenSans-*", "NotoSans-*", "LiberationSerif-*", "Inconsolata*", "FiraCode-*",
                  "LinBiolinum_R*"]
HAIRLINES = ("Hairline", "Thin")  # strokes below a pixel at the sizes that are read

EM = 72                 # size at which glyphs are drawn, pixels
CANVAS = (176, 336)     # height and width of the ink canvas
DIGITS = "0123456789"
# Letters that are a digit's twin in some font (O o Q I l i S s Z z B b D g q) are in neither class.
LETTERS = "ACEFGHJKLMNPRTUVWXYacdefhjkmnprtuvwxy"
SIGNS = "-+=.,:;%&#@*()[]{}<>?!$~^_\"'/\\€£°§"
OTHER_SHARE = 0.27


def find_fonts(patterns):
    files = [f for pattern in patterns for f in FONT_ROOT.rglob(pattern)
             if f.suffix in (".ttf", ".otf") and not any(h in f.stem for h in HAIRLINES)]
    if not files:
        raise SystemExit("no fonts found: see README.md for the packages")
    return sorted(set(files))


@lru_cache(maxsize=None)
def load_font(path):
    return ImageFont.truetype(str(path), EM)


@lru_cache(maxsize=None)
def glyph(path, text):
    """Tight ink (f32 0..1), the offset of its top from the base line, bearings left and right."""
    font = load_font(path)
    image = Image.new("L", (3 * EM, 3 * EM))
    ImageDraw.Draw(image).text((EM // 2, 2 * EM), text, fill=255, font=font, anchor="ls")
    box = image.getbbox()
    if box is None:
        return None
    ink = np.asarray(image.crop(box), np.float32) / 255
    left = box[0] - EM // 2
    return ink, box[1] - 2 * EM, left, font.getlength(text) - left - ink.shape[1]


def put(canvas, ink, x, y):
    """Adds ink to the canvas at x, y; what falls outside is cut."""
    h, w = canvas.shape
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + ink.shape[1], w), min(y + ink.shape[0], h)
    if x0 < x1 and y0 < y1:
        part = canvas[y0:y1, x0:x1]
        np.maximum(part, ink[y0 - y:y1 - y, x0 - x:x1 - x], out=part)


def random_shape(rng):
    """Ink that is no glyph: a bar, a blob, a stroke, an arc, an ellipse."""
    ink = np.zeros((EM, EM), np.float32)
    kind = rng.integers(5)
    thick = int(rng.integers(3, 14))
    points = rng.integers(8, EM - 8, (int(rng.integers(3, 6)), 2)).astype(np.int32)
    if kind == 0:
        w = int(rng.integers(4, 22))
        ink[4:EM - 4, 30:30 + w] = 1
        ink = ink if rng.random() < 0.8 else np.ascontiguousarray(ink.T)
    elif kind == 1:
        cv2.fillPoly(ink, [cv2.convexHull(points)], 1.0, cv2.LINE_AA)
    elif kind == 2:
        # A slanted stroke: two of them, or a steep one, could be taken for a 7 or a 1.
        rise = int(rng.integers(-20, 21))
        cv2.line(ink, (6, 36 - rise), (EM - 6, 36 + rise), 1.0, thick, cv2.LINE_AA)
    elif kind == 3:
        start = int(rng.integers(360))
        axes = (int(rng.integers(10, 30)), int(rng.integers(10, 30)))
        cv2.ellipse(ink, (36, 36), axes, 0, start, start + int(rng.integers(60, 200)), 1.0,
                    thick // 2 + 2, cv2.LINE_AA)
    else:
        axes = (int(rng.integers(6, 30)), int(rng.integers(6, 30)))
        cv2.ellipse(ink, (36, 36), axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    return tight(ink)


def tight(ink):
    rows, columns = np.flatnonzero(ink.max(1) > 0.3), np.flatnonzero(ink.max(0) > 0.3)
    return ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def digit_part(rng, path):
    """A half of a digit that is not another digit by itself."""
    digit, side = [("0", "left"), ("0", "right"), ("0", "top"), ("0", "bottom"), ("6", "left"),
                   ("9", "left"), ("5", "left"), ("2", "left")][rng.integers(8)]
    ink = glyph(path, digit)[0]
    h, w = ink.shape
    half = {"left": ink[:, :w // 2], "right": ink[:, w // 2:], "top": ink[:h // 2],
            "bottom": ink[h // 2:]}[side]
    return tight(half)


def touching_digits(rng, path):
    """Two digits grown together, which the components cannot separate."""
    a, b = (glyph(path, DIGITS[rng.integers(10)])[0] for _ in range(2))
    ink = np.zeros((max(a.shape[0], b.shape[0]) + 2, a.shape[1] + b.shape[1]), np.float32)
    put(ink, a, 0, 0)
    put(ink, b, a.shape[1] - int(rng.integers(1, 6)), int(rng.integers(3)))
    return tight(ink)


def other_ink(rng, path):
    kind = rng.random()
    if kind < 0.5:
        text = LETTERS if rng.random() < 0.65 else SIGNS
        found = glyph(path, text[rng.integers(len(text))])
        return random_shape(rng) if found is None else tight(found[0])
    if kind < 0.76:
        return random_shape(rng)
    if kind < 0.9:
        return touching_digits(rng, path)
    return digit_part(rng, path)


def add_neighbours(rng, canvas, path, x0, x1, base):
    """Glyphs to both sides of the ink between x0 and x1, never touching it."""
    spacing = rng.uniform(0, 0.12) * EM if rng.random() < 0.7 else rng.uniform(0.1, 0.5) * EM
    for direction in (-1, 1):
        if rng.random() < 0.25:
            continue
        text = DIGITS if rng.random() < 0.85 else LETTERS + SIGNS
        found = glyph(path, text[rng.integers(len(text))])
        if found is None:
            continue
        ink, top, left, right = found
        if direction < 0:
            x = x0 - ink.shape[1] - max(5, round(right + spacing + 3))
        else:
            x = x1 + max(5, round(left + spacing + 3))
        put(canvas, ink, x, base + top)


def add_rules(rng, canvas, x0, y0, x1, y1):
    """A frame or a ruled line near the ink, as on forms and meters."""
    gap = int(rng.integers(6, 20))
    weight = float(rng.uniform(0.3, 1))
    thick = int(rng.integers(1, 6))
    if rng.random() < 0.5:
        cv2.rectangle(canvas, (x0 - gap, y0 - gap), (x1 + gap, y1 + gap), weight, thick)
    else:
        y = y1 + gap if rng.random() < 0.5 else y0 - gap
        cv2.line(canvas, (0, y), (canvas.shape[1], y), weight, thick)


def compose(rng, path, label):
    """Two canvases: the ink to be read, and everything else; and the box of the former."""
    centre, rest = np.zeros(CANVAS, np.float32), np.zeros(CANVAS, np.float32)
    ink = other_ink(rng, path) if label == prototype.OTHER else glyph(path, DIGITS[label])[0]
    h, w = ink.shape
    x, y = (CANVAS[1] - w) // 2, (CANVAS[0] - h) // 2
    put(centre, ink, x, y)
    add_neighbours(rng, rest, path, x, x + w, y + h)
    if rng.random() < 0.2:
        add_rules(rng, rest, x, y, x + w, y + h)
    return centre, rest, max(h, w)


def change_weight(rng, centre, rest):
    kernel = np.ones((int(rng.integers(1, 4)), int(rng.integers(1, 4))), np.uint8)
    change = cv2.dilate if rng.random() < 0.6 else cv2.erode
    changed = change(centre, kernel)
    if changed.max() <= 0.8:  # a thin stroke would vanish
        return centre, rest
    return changed, change(rest, kernel)


def warp(rng, centre, rest, longest, clean):
    """Brings both canvases to a random final size with rotation, shear and perspective."""
    size = float(np.exp(rng.uniform(np.log(13), np.log(80))))
    scale = size / longest
    if scale < 1:  # keep thin strokes when reducing
        sigma = 0.4 / scale
        centre, rest = (cv2.GaussianBlur(c, (0, 0), sigma) for c in (centre, rest))
    patch = int(2 * size) + 8
    shift = rng.uniform(0, 1, 2)
    matrix = np.diag([scale, scale, 1.0])
    if not clean:
        angle = rng.normal(0, 3.5) * np.pi / 180
        c, s = np.cos(angle), np.sin(angle)
        matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array(
            [[rng.uniform(0.85, 1.15), rng.normal(0, 0.08), 0], [0, 1, 0],
             [*rng.normal(0, 0.002 / size * 20, 2), 1]]) @ matrix
    middle = np.array([[1, 0, -CANVAS[1] / 2], [0, 1, -CANVAS[0] / 2], [0, 0, 1.0]])
    place = np.array([[1, 0, patch / 2 + shift[0]], [0, 1, patch / 2 + shift[1]], [0, 0, 1.0]])
    matrix = place @ matrix @ middle
    return [cv2.warpPerspective(c, matrix, (patch, patch), flags=cv2.INTER_LINEAR)
            for c in (centre, rest)]


def ink_box(rng, ink, clean):
    """The box that thresholding would give: the ink above a level, edges off by a little."""
    level = 0.45 if clean else rng.uniform(0.25, 0.6)
    mask = ink > level * ink.max()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
    if not clean:
        longest = max(box[2] - box[0], box[3] - box[1])
        box += rng.integers(-1, 2, 4) * (rng.random(4) < 0.3)
        if rng.random() < 0.15:  # a stroke lost or a speck caught at one edge
            box[rng.integers(4)] += rng.uniform(-0.1, 0.1) * longest
    return box


def print_ink(rng, ink, clean):
    """8-bit gray picture of the ink on some ground under some light."""
    h, w = ink.shape
    if clean:
        contrast = rng.uniform(0.5, 1)
    else:
        contrast = rng.uniform(0.18, 0.95)
    ground = rng.uniform(contrast, 1)
    picture = ground - contrast * ink
    if rng.random() < 0.35:
        picture = 1 - picture
    if not clean:
        if rng.random() < 0.6:
            texture = rng.normal(0, 1, (4, 4)).astype(np.float32)
            texture = cv2.resize(texture, (w, h), interpolation=cv2.INTER_CUBIC)
            picture += rng.uniform(0, 0.1) * contrast * texture
        slope_x, slope_y = rng.uniform(-0.3, 0.3, 2)
        light = 1 + slope_x * np.linspace(-1, 1, w)[None] + slope_y * np.linspace(-1, 1, h)[:, None]
        picture = picture * light
        if rng.random() < 0.6:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.3 + 0.03 * h / 2))
        if rng.random() < 0.12:
            kernel = np.zeros((5, 5), np.float32)
            kernel[2] = 0.2
            picture = cv2.filter2D(picture, -1, kernel if rng.random() < 0.5 else kernel.T)
        noise = rng.uniform(0, min(0.07, 0.25 * contrast))
        picture = picture + noise * rng.standard_normal((h, w))
    picture = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    if not clean and rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_GRAYSCALE)
    return picture


def sample(rng, fonts, label, clean):
    """One training crop, u8[32,32]."""
    path = fonts[rng.integers(len(fonts))]
    centre, rest, longest = compose(rng, path, label)
    if not clean and rng.random() < 0.35:
        centre, rest = change_weight(rng, centre, rest)
    centre, rest = warp(rng, centre, rest, longest, clean)
    picture = print_ink(rng, np.maximum(centre, rest), clean)
    return np.rint(prototype.crop(picture, *ink_box(rng, centre, clean)) * 255).astype(np.uint8)


def make_set(seed, fonts, count, clean=False):
    """`count` crops u8[count,32,32] with labels; a quarter or so are not digits."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(count) < OTHER_SHARE, prototype.OTHER, rng.integers(0, 10, count))
    images = np.stack([sample(rng, fonts, int(k), clean) for k in labels])
    return images, labels
