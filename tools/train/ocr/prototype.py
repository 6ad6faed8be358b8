#!/usr/bin/env python3
"""Reads the printed lines of a picture: the reference that the C nodes are compared with.

picture -> gray -> adaptive threshold -> components -> lines -> crops -> network -> CTC -> text

Every step is a plain function with its parameters in `Params`; README.md states the same steps as
formulae. Only numpy, OpenCV (decoding and component labelling) and the onnx reader are used.
"""
import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

import crop
from network import Network

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "models" / "latin-ocr" / "latin-ocr.onnx"
LABELS = ["<blank>", *map(chr, range(32, 127))]


@dataclass(frozen=True)
class Params:
    window: int = 61             # threshold: side of the averaging window, odd, pixels
    offset: int = 18             # threshold: how much darker than the mean ink must be, gray levels
    polarity: str = "dark"       # threshold: "dark" ink on light ground or the reverse, "light"
    min_area: int = 4            # components: least ink, pixels
    min_height: int = 6          # letters: limits of the box's height, pixels
    max_height: int = 160
    max_aspect: float = 12.0     # components: largest width / height, of joined letters too
    min_fill: float = 0.06       # components: least ink pixels / box pixels
    line_overlap: float = 0.45   # lines: least vertical overlap in units of the lower box
    line_ratio: float = 3.2      # lines: largest ratio of heights of neighbours
    line_gap: float = 2.2        # lines: widest gap between neighbours, in letter heights
    small: float = 0.45          # marks: lower than this share of a component beside them
    small_line: float = 0.62     # marks: so are one or two letters lower than this share of a line
    mark_reach: float = 0.45     # marks: how far above or below the letters, in letter heights
    slope_letters: int = 6       # slope: least letters of a line that may be sloped
    flat: float = 0.15           # slope: a smaller rise, in letter heights, counts as none
    min_line_height: int = 8     # lines: least height of a line's box, pixels
    score: float = 0.40          # least mean probability of a line that is kept


@dataclass(frozen=True)
class Box:
    """A half-open pixel box and the number of its ink pixels."""
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
class Line:
    box: tuple     # x0, y0, x1, y1
    slope: float   # rise of the base line per column
    text: str
    score: float   # mean over the characters of the text


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


def components(mask, p):
    """Boxes of the 8-connected components that may be ink of letters, ordered by y0, x0, y1, x1."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    boxes = [Box(*(int(v) for v in (x, y, x + w, y + h, area))) for x, y, w, h, area in stats[1:]]
    kept = [b for b in boxes if b.area >= p.min_area and b.height <= p.max_height
            and b.width <= p.max_aspect * max(b.height, p.min_height)
            and b.area >= p.min_fill * b.width * b.height]
    return sorted(kept, key=lambda b: (b.y0, b.x0, b.y1, b.x1))


def is_mark(b, boxes, p):
    """Dots, commas, hyphens, quotes: much lower than some component beside them."""
    if b.height < p.min_height:
        return True
    for a in boxes:
        reach = p.mark_reach * a.height
        if b.height < p.small * a.height and b.x0 - a.x1 <= a.height and a.x0 - b.x1 <= a.height \
                and b.y0 - a.y1 <= reach and a.y0 - b.y1 <= reach:
            return True
    return False


def middle_of(values):
    """The element in the middle of the sorted values, the upper one of two."""
    return sorted(values)[len(values) // 2]


def chain_letters(letters, p):
    """Lists of letters from left to right; each letter joins the line that it continues best.

    A letter is compared with the last three of a line, so that one short or hanging letter does not
    break it, and a line may climb or fall.
    """
    lines = []
    for b in sorted(letters, key=lambda b: (b.x0, b.y0, b.x1, b.y1)):
        best, best_overlap = None, p.line_overlap
        for line in lines:
            near = line[-3:]
            tall = max(a.height for a in near)
            top, bottom = middle_of([a.y0 for a in near]), middle_of([a.y1 for a in near])
            if bottom <= top or b.x0 - max(a.x1 for a in near) > p.line_gap * tall \
                    or max(b.height, tall) > p.line_ratio * min(b.height, tall):
                continue
            shared = (min(bottom, b.y1) - max(top, b.y0)) / min(bottom - top, b.height)
            if shared >= best_overlap and (best is None or shared > best_overlap):
                best, best_overlap = line, shared
        if best is None:
            lines.append([b])
        else:
            best.append(b)
    return lines


def gap(low, high, a, b):
    """Distance of the ranges low ... high and a ... b; 0 when they touch."""
    return max(0, a - high, low - b)


def mark_distance(m, line, p):
    """How far a mark stands above or below the letters near it, in line heights; None: too far."""
    tall = middle_of([a.height for a in line])
    near = sorted(line, key=lambda a: (gap(a.x0, a.x1, m.x0, m.x1), a.x0, a.y0))[:3]
    if gap(near[0].x0, near[0].x1, m.x0, m.x1) > p.line_gap * tall:
        return None
    away = gap(min(a.y0 for a in near), max(a.y1 for a in near), m.y0, m.y1) / tall
    return away if away <= p.mark_reach else None


def add_marks(lines, marks, p):
    """Each mark joins the line it stands nearest to; the lines keep their letters apart."""
    found = [list(line) for line in lines]
    for m in marks:
        best, best_key = None, None
        for k, line in enumerate(lines):
            away = mark_distance(m, line, p)
            if away is not None:
                beside = min(gap(a.x0, a.x1, m.x0, m.x1) for a in line)
                if best is None or (away, beside) < best_key:
                    best, best_key = k, (away, beside)
        if best is not None:
            found[best].append(m)
    return found


def part_small(lines, p):
    """Lines of letters, and what was chained beside a much higher line: those are marks."""
    high = [middle_of([a.height for a in line]) for line in lines]
    kept, marks = [], []
    for line, h in zip(lines, high):
        small = len(line) <= 2 and any(
            h < p.small_line * other_h and all(mark_distance(m, other, p) is not None for m in line)
            for other, other_h in zip(lines, high) if other is not line)
        (marks.extend if small else kept.append)(line)
    return kept, marks


def slope_of(letters, p):
    """Rise of the base line per column: the middle of the slopes between distant letters."""
    n = len(letters)
    if n < p.slope_letters:
        return 0.0
    slopes = []
    for a, b in zip(letters, letters[n // 2:]):
        run = (b.x0 + b.x1) - (a.x0 + a.x1)
        if run > 0:
            slopes.append(2 * (b.y1 - a.y1) / run)
    if not slopes:
        return 0.0
    slope = middle_of(slopes)
    rise = abs(slope) * (letters[-1].x1 - letters[0].x0)
    return slope if rise > p.flat * middle_of([a.height for a in letters]) else 0.0


def line_box(members, slope):
    """The box x0, y0, x1, y1 around the members after their slope was taken out."""
    x0, x1 = min(b.x0 for b in members), max(b.x1 for b in members)
    shift = [slope * ((b.x0 + b.x1) / 2 - (x0 + x1) / 2) for b in members]
    return (x0, min(b.y0 - s for b, s in zip(members, shift)),
            x1, max(b.y1 - s for b, s in zip(members, shift)))


def reading_order(found):
    """From top to bottom; lines whose middle lies within the first of a row follow to its right."""
    rows = []
    for box, slope in sorted(found, key=lambda f: (f[0][1] + f[0][3], f[0][0])):
        middle = (box[1] + box[3]) / 2
        if rows and rows[-1][0][0][1] <= middle < rows[-1][0][0][3]:
            rows[-1].append((box, slope))
        else:
            rows.append([(box, slope)])
    return [f for row in rows for f in sorted(row, key=lambda f: f[0][0])]


def find_lines(mask, p):
    """Boxes and slopes of the lines of a mask, in reading order; and its components."""
    boxes = components(mask, p)
    is_small = [is_mark(b, boxes, p) for b in boxes]
    letters = [b for b, small in zip(boxes, is_small) if not small]
    lines, low = part_small(chain_letters(letters, p), p)
    marks = [b for b, small in zip(boxes, is_small) if small] + low
    found = []
    for letters, members in zip(lines, add_marks(lines, marks, p)):
        slope = slope_of(letters, p)
        box = line_box(members, slope)
        if box[3] - box[1] >= p.min_line_height:
            found.append((box, slope))
    return reading_order(found), boxes


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def decode(logits):
    """Greedy CTC of [frames, classes]: the text, without spaces at its ends, and its score.

    The score is the mean over the characters of the highest probability in their runs of frames.
    """
    probability = softmax(logits.astype(np.float64))
    best = probability.argmax(1)
    text, scores = [], []
    for t, k in enumerate(best):
        if k == 0:
            continue
        if t and best[t - 1] == k:
            scores[-1] = max(scores[-1], probability[t, k])
        else:
            text.append(LABELS[k])
            scores.append(probability[t, k])
    return "".join(text).strip(" "), float(np.mean(scores)) if scores else 0.0


def read_line(network, gray, box, slope):
    x = crop.normalise(crop.cut(gray, box, slope))
    return decode(network(x[None, None])[0])


def read_picture(rgb, network, p=Params()):
    """Lines of an 8-bit RGB picture; the result has every stage's objects."""
    gray = to_gray(rgb)
    mask = adaptive_threshold(gray, p.window, p.offset, p.polarity)
    found, boxes = find_lines(mask, p)
    read = [(box, slope, *read_line(network, gray, box, slope)) for box, slope in found]
    lines = [Line(*one) for one in read if one[2] and one[3] >= p.score]
    return {"gray": gray, "mask": mask, "components": boxes, "found": found, "lines": lines}


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            last, row[j + 1] = row[j + 1], min(last + (x != y), row[j] + 1, row[j + 1] + 1)
    return row[-1]


def check(path, lines):
    """Compares with the truth file beside the picture; returns the differences as text."""
    want = [row["text"] for row in json.loads(path.with_suffix(".json").read_text())["lines"]]
    got = [line.text for line in lines]
    wrong = edit_distance("\n".join(want), "\n".join(got))
    print(f"  {wrong} of {sum(map(len, want))} characters differ from the truth")
    return [f"want {a!r}, got {b!r}" for a, b in zip(want, got) if a != b] + (
        [f"want {len(want)} lines, got {len(got)}"] if len(want) != len(got) else [])


def summary(result):
    """What another implementation must reproduce; components are x0, y0, x1, y1, ink area."""
    return {"gray_sum": int(result["gray"].astype(np.int64).sum()),
            "ink_pixels": int(result["mask"].sum()),
            "components": len(result["components"]),
            "found": [[*(round(float(v), 3) for v in box), round(slope, 6)]
                      for box, slope in result["found"]],
            "lines": [{"text": line.text, "score": round(line.score, 4),
                       "box": [round(float(v), 3) for v in line.box], "slope": round(line.slope, 6)}
                      for line in result["lines"]]}


def write_summaries(path, summaries):
    """JSON with one line of text per line, which keeps differences readable."""
    text = json.dumps(summaries)
    for mark in ('"found": ', '"lines": ', '{"text"', '"gray_sum"'):
        text = text.replace(mark, "\n" + mark)
    path.write_text(text + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path,
                        default=[ROOT / "examples" / "media" / "page.jpg"])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--polarity", choices=("dark", "light"), default=Params.polarity)
    parser.add_argument("--boxes", action="store_true", help="print every line's box, slope, score")
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
        summaries[path.name] = summary(result)
        print(f"{path.name}: {len(result['components'])} components, {len(result['found'])} lines "
              f"found, {len(result['lines'])} read")
        for line in result["lines"]:
            print(f"  {line.text}")
            if args.boxes:
                print(f"    {[round(float(v), 1) for v in line.box]} slope {line.slope:.4f} "
                      f"score {line.score:.4f}")
        if args.check:
            faults = check(path, result["lines"])
            failed |= bool(faults)
            print("\n".join(["  FAULT " + f for f in faults] or ["  as the truth says"]))
    if args.dump:
        write_summaries(args.dump, summaries)
    return failed


if __name__ == "__main__":
    sys.exit(main())
