#!/usr/bin/env python3
"""Measures the recogniser on lines it never saw and writes report.json beside the models.

Character accuracy is 1 - (insertions + deletions + changes) / characters over a whole set. The four
sets are lines in training fonts and in held-out fonts, clean and degraded. `--pictures` reads whole
pictures instead and, with `--truth` (one line of text per line), says how well. `--write-sets`
writes the sets for `nndeploy eval`.
"""
import argparse
import collections
import difflib
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

import crop
import prototype
import render

SETS = (("seen_clean", render.TRAIN_FONTS, 1.0), ("seen_degraded", render.TRAIN_FONTS, 0.0),
        ("unseen_clean", render.HELD_OUT_FONTS, 1.0),
        ("unseen_degraded", render.HELD_OUT_FONTS, 0.0))


class FastNetwork(prototype.Network):
    """The same graph with torch's convolution, for many lines."""

    @staticmethod
    def _conv(attributes, x, weight, bias):
        y = F.conv2d(*(torch.from_numpy(np.array(a)) for a in (x, weight, bias)),
                     stride=attributes["strides"], padding=attributes["pads"][:2],
                     dilation=attributes["dilations"], groups=attributes["group"])
        return y.numpy()


def read_all(network, pictures):
    """Texts of the pictures; those of one width are read together."""
    by_width = collections.defaultdict(list)
    for i, p in enumerate(pictures):
        by_width[p.shape[1]].append(i)
    texts = [None] * len(pictures)
    for group in by_width.values():
        for at in range(0, len(group), 32):
            part = group[at:at + 32]
            logits = network(np.stack([crop.normalise(pictures[i]) for i in part])[:, None])
            for i, one in zip(part, logits):
                texts[i] = prototype.decode(one)[0]
    return texts


def score(lines, texts):
    characters = sum(map(len, lines))
    wrong = [prototype.edit_distance(a, b) for a, b in zip(lines, texts)]
    folded = sum(prototype.edit_distance(a.lower(), b.lower()) for a, b in zip(lines, texts))
    confused = collections.Counter()
    for a, b in zip(lines, texts):
        for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, False).get_opcodes():
            if kind != "equal":
                confused[f"{a[a0:a1]} > {b[b0:b1]}"] += 1
    return {"lines": len(lines), "characters": characters, "errors": sum(wrong),
            "character_accuracy": round(1 - sum(wrong) / characters, 5),
            "character_accuracy_any_case": round(1 - folded / characters, 5),
            "whole_lines": round(sum(w == 0 for w in wrong) / len(lines), 4),
            "confused": dict(confused.most_common(25))}


def evaluation_sets(count):
    """Name, crops and texts of each set."""
    for k, (name, patterns, clean) in enumerate(SETS):
        pictures, lines, _ = render.make_set((render.SEED + 1, k), render.find_fonts(patterns),
                                             count, clean)
        yield name, pictures, lines


def write_sets(folder, count):
    """The evaluation sets as pictures with their texts, for `nndeploy eval`."""
    for name, pictures, lines in evaluation_sets(count):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, (picture, line) in enumerate(zip(pictures, lines)):
            cv2.imwrite(str(folder / name / f"{i:04}.png"), picture)
            (folder / name / f"{i:04}.txt").write_text(line + "\n")
        print(f"{folder / name}: {len(lines)} lines", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=prototype.MODEL.parent)
    parser.add_argument("--count", type=int, default=2000, help="lines per set")
    parser.add_argument("--dry", action="store_true", help="do not write report.json")
    parser.add_argument("--pictures", nargs="*", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--write-sets", type=Path, metavar="FOLDER",
                        help="write the evaluation sets as pictures and texts instead")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if args.write_sets:
        write_sets(args.write_sets, args.count)
        return
    models = sorted(args.models.glob("*.onnx"))
    networks = {m.name: FastNetwork(m) for m in models}
    if args.pictures:
        for path in args.pictures:
            for name, network in networks.items():
                picture = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
                texts = [line.text for line in prototype.read_picture(picture, network)["lines"]]
                print(f"{path.name} by {name}:", *texts, sep="\n  ")
                if args.truth:
                    want = args.truth.read_text().rstrip("\n")
                    wrong = prototype.edit_distance(want, "\n".join(texts))
                    share = 1 - wrong / len(want)
                    print(f"  {wrong} errors in {len(want)} characters: {share:.4f}")
        return
    report = {m.name: {"bytes": m.stat().st_size,
                       "sha256": hashlib.sha256(m.read_bytes()).hexdigest()} for m in models}
    for name, pictures, lines in evaluation_sets(args.count):
        for file, network in networks.items():
            result = report[file][name] = score(lines, read_all(network, pictures))
            print(f"{name}, {file}: characters {result['character_accuracy']:.4f}, "
                  f"lines {result['whole_lines']:.3f}", list(result["confused"].items())[:12],
                  flush=True)
    if not args.dry:
        text = json.dumps(report, indent=1)
        (args.models / "report.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
