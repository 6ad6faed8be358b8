"""The network's input for one line of text; README.md, sections 6 and 7, has the formulae.

Training, evaluation and reading all cut their lines with these functions.
"""
import math

import numpy as np

HEIGHT = 32        # rows of the network's input
STEP = 4           # the width of the input is a multiple of it
MARGIN_Y = 0.125   # rows above and below the ink, in units of the ink's height
MARGIN_X = 0.25    # columns before and after the ink, in units of the ink's height
MIN_SPREAD = 4.0   # least standard deviation that is scaled to one, gray levels


def width_of(box):
    """Columns of the crop of a box x0, y0, x1, y1."""
    x0, y0, x1, y1 = box
    scale = HEIGHT / ((1 + 2 * MARGIN_Y) * (y1 - y0))
    columns = (x1 - x0 + 2 * MARGIN_X * (y1 - y0)) * scale
    return STEP * max(2, math.ceil(columns / STEP))


def taps(start, cells, pitch, source):
    """Positions of the n bilinear samples of every cell: low, high [cells, n] and the fraction."""
    n = max(1, math.ceil(pitch))
    at = start + (np.arange(cells * n) + 0.5) * pitch / n - 0.5
    at = np.clip(at, 0, source - 1)
    low = np.floor(at).astype(np.intp)
    fraction = (at - low).astype(np.float32)
    shape = (cells, n)
    high = np.minimum(low + 1, source - 1)
    return low.reshape(shape), high.reshape(shape), fraction.reshape(shape)


def cut(gray, box, slope=0.0):
    """f32[32, width] of the gray picture around the box, values 0..255.

    With a slope every sample at column x is taken slope * (x - middle of the box) lower.
    """
    x0, y0, x1, y1 = box
    high = y1 - y0
    pitch = (1 + 2 * MARGIN_Y) * high / HEIGHT
    if slope:
        return cut_sloped(gray, box, slope, pitch)
    rows = taps(y0 - MARGIN_Y * high, HEIGHT, pitch, gray.shape[0])
    columns = taps(x0 - MARGIN_X * high, width_of(box), pitch, gray.shape[1])
    left, right = columns[0].min(), columns[1].max() + 1
    part = gray[:, left:right].astype(np.float32)
    lines = sum(part[lo] * (1 - f[:, None]) + part[hi] * f[:, None]
                for lo, hi, f in zip(*(t.T for t in rows))) / rows[0].shape[1]
    return sum(lines[:, lo - left] * (1 - f) + lines[:, hi - left] * f
               for lo, hi, f in zip(*(t.T for t in columns))) / columns[0].shape[1]


def cut_sloped(gray, box, slope, pitch):
    """The same one column of samples after another; every column has its own rows."""
    x0, y0, x1, y1 = box
    high = y1 - y0
    n = max(1, math.ceil(pitch))
    x = x0 - MARGIN_X * high + (np.arange(width_of(box) * n) + 0.5) * pitch / n - 0.5
    y = y0 - MARGIN_Y * high + (np.arange(HEIGHT * n) + 0.5) * pitch / n - 0.5
    y = np.clip(y[:, None] + slope * (x + 0.5 - (x0 + x1) / 2), 0, gray.shape[0] - 1)
    x = np.broadcast_to(np.clip(x, 0, gray.shape[1] - 1), y.shape)
    xl, yl = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    xh, yh = np.minimum(xl + 1, gray.shape[1] - 1), np.minimum(yl + 1, gray.shape[0] - 1)
    f, g = x - xl, y - yl
    picture = gray.astype(np.float64)
    samples = ((1 - g) * ((1 - f) * picture[yl, xl] + f * picture[yl, xh])
               + g * ((1 - f) * picture[yh, xl] + f * picture[yh, xh]))
    cells = samples.reshape(HEIGHT, n, -1, n).mean((1, 3))
    return cells.astype(np.float32)


def normalise(crop):
    """Mean 0, standard deviation 1, ink positive: ink is what is rarer than the ground."""
    x = crop.astype(np.float32) - crop.mean(dtype=np.float64).astype(np.float32)
    spread = float(np.sqrt(np.mean(x * x, dtype=np.float64)))
    sign = 1.0 if np.sum(x.astype(np.float64) ** 3) >= 0 else -1.0
    return x * np.float32(sign / max(spread, MIN_SPREAD))
