#!/usr/bin/env python3
"""Writes tests/ops/data/metrics.json: made-up results with the figures that are right for them.

    make_metric_cases.py [OUTPUT]

The figures are computed here in the plainest way, by the definitions alone: whole tables, loops over every
class, range of areas and threshold. The C code is compared with them. Needs numpy; the seed is fixed.
"""
import json
import sys
from pathlib import Path

import numpy as np

SEED = 41
AREAS = [(0, 1e10), (0, 32 ** 2), (32 ** 2, 96 ** 2), (96 ** 2, 1e10)]
THRESHOLDS = np.linspace(0.5, 0.95, 10)
POINTS = np.linspace(0, 1, 101)


# ---- texts ----

def distance(a, b):
    """Whole table of edit distances."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (x != y))
    return int(table[-1, -1])


def spoilt(rng, text, alphabet):
    out = []
    for c in text:
        kind = rng.random()
        if kind < 0.06:
            continue
        out.append(alphabet[rng.integers(len(alphabet))] if kind < 0.14 else c)
        if kind > 0.93:
            out.append(alphabet[rng.integers(len(alphabet))])
    return "".join(out)


def text_cases(rng):
    alphabet = "abcde  éß\n中文😀"
    cases = [("", ""), ("", "ab c"), ("ab c", ""), ("kitten", "sitting"), ("a b", "a  b"), (" x ", "x"),
             ("one two three", "one three two"), ("Ärger", "Arger"), ("same", "same")]
    for n in (1, 7, 30, 30, 120, 120, 400):
        truth = "".join(alphabet[k] for k in rng.integers(0, len(alphabet), n))
        cases.append((truth, spoilt(rng, truth, alphabet)))
    return [{"truth": a, "text": b, "characters": len(a), "character_errors": distance(a, b),
             "words": len(a.split()), "word_errors": distance(a.split(), b.split())} for a, b in cases]


# ---- class masks ----

def mask_case(rng, classes, ignore):
    truth = rng.integers(0, classes, (9, 13))
    found = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, classes + 1, truth.shape))
    truth[rng.random(truth.shape) < 0.1] = ignore if ignore >= 0 else 0
    counts = truth != ignore
    ious = []
    for k in range(classes + 1):
        a, b = (truth == k) & counts, (found == k) & counts
        either = int((a | b).sum())
        ious.append(int((a & b).sum()) / either if either else None)
    seen = [i for i in ious if i is not None]
    return {"ignore": ignore, "truth": truth.tolist(), "found": found.tolist(), "iou": ious,
            "mean": sum(seen) / len(seen), "pixels": int(counts.sum()),
            "right": int(((truth == found) & counts).sum())}


# ---- boxes ----

def overlap(f, g):
    w = min(f["box"][2], g["box"][2]) - max(f["box"][0], g["box"][0])
    h = min(f["box"][3], g["box"][3]) - max(f["box"][1], g["box"][1])
    if w <= 0 or h <= 0:
        return 0.0
    own = area_of(f)
    return w * h / (own if g["crowd"] else own + area_of(g) - w * h)


def area_of(box):
    x1, y1, x2, y2 = box["box"]
    return (x2 - x1) * (y2 - y1)


def match(truth, found, limit, area):
    """Per box of one picture and class, best first: (score, matched, counts); and how many objects count."""
    low, high = area
    aside = [g["crowd"] or g["ignore"] or not low <= (g["area"] or area_of(g)) <= high for g in truth]
    taken, verdicts = [False] * len(truth), []
    for f in sorted(found, key=lambda f: -f["score"])[:100]:
        best, reached = None, min(limit, 1 - 1e-10)
        for group in (False, True):  # objects that do not count are the second choice
            if best is None:
                for k, g in enumerate(truth):
                    free = not taken[k] or g["crowd"]
                    if aside[k] == group and free and overlap(f, g) >= reached:
                        best, reached = k, overlap(f, g)
        if best is not None:
            taken[best] = True
            verdicts.append((f["score"], True, not aside[best]))
        else:
            verdicts.append((f["score"], False, low <= area_of(f) <= high))
    return verdicts, aside.count(False)


def curve(pictures, k, limit, area, most=100):
    """Average precision and recall of one class; None when it has no objects."""
    verdicts, objects = [], 0
    for p in pictures:
        v, n = match([g for g in p["truth"] if g["class"] == k], [f for f in p["found"] if f["class"] == k],
                     limit, area)
        verdicts += v[:most]
        objects += n
    if not objects:
        return None
    verdicts = [v for v in sorted(verdicts, key=lambda v: -v[0]) if v[2]]
    right = np.cumsum([v[1] for v in verdicts]) if verdicts else np.zeros(0)
    recall, precision = right / objects, right / np.arange(1, len(verdicts) + 1)
    at = [precision[recall >= r].max() if (recall >= r).any() else 0.0 for r in POINTS]
    return float(np.mean(at)), float(recall[-1]) if len(recall) else 0.0


def mean(values):
    values = [v for v in values if v is not None]
    return float(np.mean(values)) if values else None


def box_figures(pictures, classes):
    def over(index, limits, area, most=100):
        def of_class(k):
            pairs = [curve(pictures, k, t, area, most) for t in limits]
            return None if pairs[0] is None else float(np.mean([p[index] for p in pairs]))
        return [of_class(k) for k in range(classes)]
    per_class = over(0, THRESHOLDS, AREAS[0])
    return {"ap": [mean(over(0, THRESHOLDS, a)) for a in AREAS],
            "ap50": mean(over(0, [0.5], AREAS[0])), "ap75": mean(over(0, [THRESHOLDS[5]], AREAS[0])),
            "recall": [mean(over(1, THRESHOLDS, AREAS[0], n)) for n in (1, 10, 100)],
            "recall_by_area": [mean(over(1, THRESHOLDS, a)) for a in AREAS], "ap_of_class": per_class}


def random_box(rng, side):
    w, h = np.exp(rng.uniform(np.log(6), np.log(0.7 * side), 2))
    x, y = rng.uniform(0, side - w), rng.uniform(0, side - h)
    return [round(float(v), 2) for v in (x, y, x + w, y + h)]


def box_case(rng, pictures, classes, busy):
    found_pictures = []
    for _ in range(pictures):
        truth = [{"class": int(rng.integers(classes)), "box": random_box(rng, 300),
                  "crowd": bool(rng.random() < 0.12), "ignore": bool(rng.random() < 0.08)}
                 for _ in range(rng.integers(0, busy))]
        for g in truth:
            g["area"] = round(float(area_of(g) * rng.uniform(0.4, 1)), 1) if rng.random() < 0.6 else 0
        found = []
        for g in truth:
            for _ in range(rng.integers(0, 3) + 3 * g["crowd"]):
                size = max(g["box"][2] - g["box"][0], g["box"][3] - g["box"][1])
                moved = np.array(g["box"]) + rng.normal(0, 0.06 * size, 4)
                if moved[2] > moved[0] and moved[3] > moved[1]:
                    found.append({"class": g["class"] if rng.random() < 0.9 else int(rng.integers(classes)),
                                  "box": [round(float(v), 2) for v in moved]})
        found += [{"class": int(rng.integers(classes)), "box": random_box(rng, 300)}
                  for _ in range(rng.integers(0, busy))]
        for f in found:
            f["score"] = round(float(rng.random()), 3)
        found_pictures.append({"truth": truth, "found": found})
    # One class is never there.
    return {"classes": classes + 1, "pictures": found_pictures,
            "expected": box_figures(found_pictures, classes + 1)}


def crowded_case(rng):
    """More boxes in one picture than count."""
    case = box_case(rng, 1, 1, 12)
    case["pictures"][0]["found"] += [{"class": 0, "box": random_box(rng, 300), "score": round(0.3 + k / 1000, 3)}
                                     for k in range(120)]
    case["expected"] = box_figures(case["pictures"], case["classes"])
    return case


def main():
    rng = np.random.default_rng(SEED)
    cases = {"texts": text_cases(rng),
             "masks": [mask_case(rng, 4, 255), mask_case(rng, 3, -1), mask_case(rng, 2, 0)],
             "boxes": [box_case(rng, 6, 3, 5), box_case(rng, 12, 2, 9), crowded_case(rng)]}
    root = Path(__file__).resolve().parents[2]
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests/ops/data/metrics.json"
    target.write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
