#!/usr/bin/env python3
"""Reads the digits of a picture: the reference that the C nodes are compared with.

picture -> gray -> adaptive threshold -> connected components -> boxes of plausible size
        -> 32x32 crops -> network -> digits -> lines of text

Every step is a plain function with its parameters in `Params`; README.md states the same steps as
formulae. Only numpy, OpenCV (decoding and component labelling) and the onnx reader are used.
"""
import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "models" / "digits-32" / "digits-32.onnx"
SIZE = 32          # side of the network's input, pixels
CROP_SCALE = 1.25  # side of the square crop in units of the box's longer side
LABELS = [*"0123456789", "other"]
OTHER = LABELS.index("other")


@dataclass(frozen=True)
class Params:
    window: int = 61           # threshold: side of the averaging window, odd, pixels
    offset: int = 18           # threshold: how much darker than the mean ink must be, gray levels
    polarity: str = "dark"     # threshold: "dark" ink on light ground or "light" ink on dark ground
    min_width: int = 3         # components: limits of the box, pixels
    max_width: int = 160
    min_height: int = 10
    max_height: int = 160
    min_aspect: float = 0.10   # components: limits of width / height
    max_aspect: float = 1.20
    min_fill: float = 0.12     # components: limits of ink pixels / box pixels
    max_fill: float = 0.95
    score: float = 0.60        # least softmax score of an accepted digit
    line_overlap: float = 0.5  # lines: least vertical overlap in units of the lower box
    line_ratio: float = 1.6    # lines: largest ratio of heights of neighbours
    word_gap: float = 0.9      # lines: a wider gap, in units of the taller box, becomes a space


@dataclass(frozen=True)
class Box:
    """A component: half-open pixel box and the number of its ink pixels."""
    x0: int
    y0: int
    x1: int
    y1: int
    area: int

    @property
    def width(self):
        return self.x1 - self.x0

    @property
    def height(self):
        return self.y1 - self.y0


@dataclass(frozen=True)
class Digit:
    box: Box
    label: str
    score: float


def to_gray(rgb):
    """8-bit luma of an 8-bit RGB picture, ITU-R BT.601 weights in 15-bit fixed point."""
    r, g, b = (rgb[..., i].astype(np.int32) for i in range(3))
    return ((9798 * r + 19235 * g + 3735 * b + 16384) >> 15).astype(np.uint8)


def adaptive_threshold(gray, window, offset, polarity):
    """Mask (bool) of pixels that differ from the mean of their window by `offset` or more.

    The window is clipped at the picture's border, so the mean is over real pixels only. All
    arithmetic is in integers: two implementations agree bit for bit.
    """
    height, width = gray.shape
    radius = window // 2
    integral = np.zeros((height + 1, width + 1), np.int64)
    integral[1:, 1:] = gray.astype(np.int64).cumsum(0).cumsum(1)
    y0 = np.clip(np.arange(height) - radius, 0, height)[:, None]
    y1 = np.clip(np.arange(height) + radius + 1, 0, height)[:, None]
    x0 = np.clip(np.arange(width) - radius, 0, width)[None, :]
    x1 = np.clip(np.arange(width) + radius + 1, 0, width)[None, :]
    total = integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0]
    count = (y1 - y0) * (x1 - x0)
    value = gray.astype(np.int64)
    if polarity == "dark":
        return (value + offset) * count <= total
    if polarity == "light":
        return (value - offset) * count >= total
    raise ValueError(f"polarity is dark or light, not {polarity}")


def components(mask):
    """Boxes of the 8-connected components of a mask, ordered by y0, x0, y1, x1."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    boxes = [Box(int(x), int(y), int(x + w), int(y + h), int(area))
             for x, y, w, h, area in stats[1:]]
    return sorted(boxes, key=lambda b: (b.y0, b.x0, b.y1, b.x1))


def is_plausible(box, p):
    aspect = box.width / box.height
    fill = box.area / (box.width * box.height)
    return (p.min_width <= box.width <= p.max_width
            and p.min_height <= box.height <= p.max_height
            and p.min_aspect <= aspect <= p.max_aspect
            and p.min_fill <= fill <= p.max_fill)


def resample_weights(start, side, source):
    """SIZE x source matrix that samples [start, start + side) into SIZE cells.

    A cell is the mean of n bilinear samples at its n equal parts, n = ceil(side / SIZE): plain
    bilinear when enlarging, an area average when reducing. Positions follow half-pixel centres;
    beyond the picture its border pixel repeats.
    """
    n = max(1, math.ceil(side / SIZE))
    at = start + (np.arange(SIZE * n) + 0.5) * side / (SIZE * n) - 0.5
    at = np.clip(at, 0, source - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, source - 1)
    fraction = at - low
    weights = np.zeros((SIZE, source))
    cell = np.arange(SIZE * n) // n
    np.add.at(weights, (cell, low), (1 - fraction) / n)
    np.add.at(weights, (cell, high), fraction / n)
    return weights


def crop(gray, x0, y0, x1, y1):
    """The network's input for one box: f32[32,32] of the square around the box, values 0..1."""
    side = CROP_SCALE * max(x1 - x0, y1 - y0)
    height, width = gray.shape
    wx = resample_weights((x0 + x1 - side) / 2, side, width)
    wy = resample_weights((y0 + y1 - side) / 2, side, height)
    ys, xs = (slice(*(np.flatnonzero(w.any(0))[[0, -1]] + [0, 1])) for w in (wy, wx))
    return (wy[:, ys] @ gray[ys, xs].astype(np.float64) @ wx[:, xs].T / 255).astype(np.float32)


class Network:
    """Evaluates the few ONNX operators of the recogniser with numpy."""

    def __init__(self, path):
        graph = onnx.load(str(path)).graph
        self.weights = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.nodes = list(graph.node)
        self.input = graph.input[0].name
        self.output = graph.output[0].name

    def __call__(self, images):
        values = dict(self.weights)
        values[self.input] = images
        for node in self.nodes:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            operator = getattr(self, "_" + node.op_type.lower())
            values[node.output[0]] = operator(attributes, *(values[i] for i in node.input))
        return values[self.output]

    @staticmethod
    def _conv(attributes, x, weight, bias):
        top, left, bottom, right = attributes["pads"]
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
        y = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3)))
        return (y + bias).transpose(0, 3, 1, 2)

    @staticmethod
    def _relu(_, x):
        return np.maximum(x, 0)

    @staticmethod
    def _maxpool(attributes, x):
        k = attributes["kernel_shape"][0]
        n, c, h, w = x.shape
        return x.reshape(n, c, h // k, k, w // k, k).max((3, 5))

    @staticmethod
    def _flatten(_, x):
        return x.reshape(len(x), -1)

    @staticmethod
    def _gemm(attributes, x, weight, bias):
        return x @ (weight.T if attributes.get("transB") else weight) + bias


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def classify(network, gray, boxes, score):
    """The boxes that the network takes for a digit."""
    if not boxes:
        return []
    crops = np.stack([crop(gray, b.x0, b.y0, b.x1, b.y1) for b in boxes])[:, None]
    scores = softmax(network(crops))
    best = scores.argmax(1)
    return [Digit(box, LABELS[k], float(s[k]))
            for box, k, s in zip(boxes, best, scores) if k != OTHER and s[k] >= score]


def overlap(a, b):
    """Vertical overlap of two boxes in units of the lower one."""
    return (min(a.y1, b.y1) - max(a.y0, b.y0)) / min(a.height, b.height)


def group_lines(digits, p):
    """Lists of digits, each from left to right, the lists from top to bottom.

    Digits are taken from left to right; each joins the line whose last digit it overlaps most.
    Following the last digit instead of a fixed base line lets a line climb or fall.
    """
    lines = []
    for digit in sorted(digits, key=lambda d: (d.box.x0, d.box.y0, d.box.x1, d.box.y1)):
        best, best_overlap = None, p.line_overlap
        for line in lines:
            last = line[-1].box
            heights = sorted((last.height, digit.box.height))
            o = overlap(last, digit.box)
            if o >= best_overlap and heights[1] <= p.line_ratio * heights[0] \
                    and (best is None or o > best_overlap):
                best, best_overlap = line, o
        if best is None:
            lines.append([digit])
        else:
            best.append(digit)
    middle = [sum(d.box.y0 + d.box.y1 for d in line) / (2 * len(line)) for line in lines]
    return [lines[i] for i in sorted(range(len(lines)), key=lambda i: (middle[i], i))]


def line_text(line, word_gap):
    text = line[0].label
    for a, b in zip(line, line[1:]):
        gap = b.box.x0 - a.box.x1
        wide = gap > word_gap * max(a.box.height, b.box.height)
        text += (" " if wide else "") + b.label
    return text


def read_picture(rgb, network, p=Params()):
    """Lines of digits of an 8-bit RGB picture; the result has every stage's objects."""
    gray = to_gray(rgb)
    mask = adaptive_threshold(gray, p.window, p.offset, p.polarity)
    found = components(mask)
    boxes = [b for b in found if is_plausible(b, p)]
    digits = classify(network, gray, boxes, p.score)
    return {"gray": gray, "mask": mask, "components": found, "boxes": boxes, "digits": digits,
            "lines": group_lines(digits, p)}


def check(path, lines, p):
    """Compares with the truth file beside the picture; returns the differences as text."""
    truth = json.loads(path.with_suffix(".json").read_text())["rows"]
    got = [line_text(line, p.word_gap) for line in lines]
    want = [row["text"] for row in truth]
    if got != want:
        return [f"want {want}", f"got  {got}"]
    faults = []
    for row, line in zip(truth, lines):
        for t, d in zip(row["digits"], line):
            b = (d.box.x0, d.box.y0, d.box.x1, d.box.y1)
            if max(abs(x - y) for x, y in zip(t["box"], b)) > 3:
                faults.append(f"digit {t['digit']}: want box {t['box']}, got {list(b)}")
    return faults


def summary(result, p):
    """What another implementation must reproduce; boxes are x0, y0, x1, y1, ink area."""
    def flat(box):
        return [box.x0, box.y0, box.x1, box.y1, box.area]
    return {"gray_sum": int(result["gray"].astype(np.int64).sum()),
            "ink_pixels": int(result["mask"].sum()),
            "components": len(result["components"]),
            "boxes": [flat(b) for b in result["boxes"]],
            "lines": [{"text": line_text(line, p.word_gap),
                       "digits": [{"label": d.label, "score": round(d.score, 4),
                                   "box": flat(d.box)} for d in line]}
                      for line in result["lines"]]}


def write_summaries(path, summaries):
    """JSON with one box or digit list per line, which keeps differences readable."""
    text = json.dumps(summaries)
    for mark in ('"boxes": ', '"lines": ', '{"text"', '{"label"', '"gray_sum"'):
        text = text.replace(mark, "\n" + mark)
    path.write_text(text + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path,
                        default=[ROOT / "examples/media" / f for f in ("meter.jpg", "sheet.png")])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--polarity", choices=("dark", "light"), default=Params.polarity)
    parser.add_argument("--boxes", action="store_true", help="print every digit with its box")
    parser.add_argument("--check", action="store_true", help="compare with the .json beside")
    parser.add_argument("--dump", type=Path, help="write every stage's objects to this file")
    args = parser.parse_args()
    p = Params(polarity=args.polarity)
    network = Network(args.model)
    print(" ".join(f"{k}={v}" for k, v in asdict(p).items()))
    failed, summaries = False, {}
    for path in args.pictures:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            sys.exit(f"{path}: not a readable picture")
        result = read_picture(bgr[..., ::-1], network, p)
        summaries[path.name] = summary(result, p)
        lowest = min((d.score for d in result["digits"]), default=0)
        print(f"{path.name}: {len(result['components'])} components, {len(result['boxes'])} boxes, "
              f"{len(result['digits'])} digits, lowest score {lowest:.3f}")
        for line in result["lines"]:
            print(f"  {line_text(line, p.word_gap)}")
            for d in line if args.boxes else []:
                b = d.box
                print(f"    {d.label} [{b.x0}, {b.y0}, {b.x1}, {b.y1}] area {b.area} {d.score:.4f}")
        if args.check:
            faults = check(path, result["lines"], p)
            failed |= bool(faults)
            print("\n".join(["  FAULT " + f for f in faults] or ["  as the truth says"]))
    if args.dump:
        write_summaries(args.dump, summaries)
    return failed


if __name__ == "__main__":
    sys.exit(main())
