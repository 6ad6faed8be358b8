#!/usr/bin/env python3
"""Trains the digit recogniser and writes models/digits-32: ONNX file, labels, test vectors, report.

One core, no network, about eight minutes. The same machine and packages give the same file again.
"""
import argparse
import hashlib
import json
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

import glyphs
import prototype

SEED = 20
TRAIN_COUNT = 64000
EVAL_COUNT = 6000
BATCH = 128


class Net(nn.Module):
    """Five 3x3 convolutions, three poolings, one linear layer: 54 000 weights."""

    def __init__(self):
        super().__init__()
        widths = [1, 16, 24, 32, 48, 48]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1)
                                   for a, b in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in widths[1:])
        self.pool_after = (0, 2, 4)
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Linear(widths[-1] * 4 * 4, len(prototype.LABELS))

    def forward(self, x):
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = F.relu(norm(conv(x)))
            if i in self.pool_after:
                x = F.max_pool2d(x, 2)
        return self.linear(self.dropout(torch.flatten(x, 1)))

    def folded(self):
        """The same function with every normalisation folded into its convolution."""
        net = Net().eval()
        net.load_state_dict(self.state_dict())
        net.convs = nn.ModuleList(fuse_conv_bn_eval(c, n) for c, n in zip(net.convs, net.norms))
        net.norms = nn.ModuleList(nn.Identity() for _ in net.norms)
        return net


def augment(x, generator):
    """Cheap variety on top of the rendered crops: inversion, contrast, light, noise."""
    n = len(x)

    def uniform(low, high):
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)

    x = torch.where(uniform(0, 1) < 0.2, 1 - x, x)
    x = (x - 0.5) * uniform(0.6, 1.1) + 0.5 + uniform(-0.12, 0.12)
    x = x + uniform(0, 0.02) * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 1)


def as_input(images):
    return torch.from_numpy(images).float().div(255).unsqueeze(1)


def train(images, labels, epochs):
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    net = Net()
    labels = torch.from_numpy(labels)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for epoch in range(epochs):
        order, total, start = torch.randperm(len(images), generator=generator), 0.0, time.time()
        net.train()
        for at in range(0, len(images) - BATCH + 1, BATCH):
            index = order[at:at + BATCH]
            x = augment(as_input(images[index.numpy()]), generator)
            loss = F.cross_entropy(net(x), labels[index], label_smoothing=0.03)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / (len(images) // BATCH):.4f}, "
              f"{time.time() - start:.0f} s", flush=True)
    return net.eval()


def tidy(model):
    """Short unique names (conv1, relu1, pool1, ...) and nothing of the exporter's own."""
    model.producer_name, model.producer_version, model.doc_string = "nndeploy digits", "1", ""
    graph = model.graph
    graph.name, graph.doc_string = "digits-32", ""
    short = {"Conv": "conv", "Relu": "relu", "MaxPool": "pool", "Flatten": "flat", "Gemm": "linear"}
    names, count = {}, {}
    for node in graph.node:
        count[node.op_type] = count.get(node.op_type, 0) + 1
        node.name, node.doc_string = f"{short[node.op_type]}{count[node.op_type]}", ""
        names[node.output[0]] = node.name
        names.update({w: f"{node.name}.{role}"
                      for w, role in zip(node.input[1:], ("weight", "bias"))})
    names.update({v.name: v.name for v in (*graph.input, *graph.output)})
    for node in graph.node:
        node.input[:] = [names[i] for i in node.input]
        node.output[:] = [names[o] for o in node.output]
    for weight in graph.initializer:
        weight.name = names[weight.name]
    del graph.value_info[:]


def export(net, path):
    """Writes the network as ONNX without names of source files or of this machine."""
    torch.onnx.export(net.folded(), torch.zeros(2, 1, prototype.SIZE, prototype.SIZE), str(path),
                      input_names=["image"], output_names=["logits"], opset_version=13,
                      dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})
    model = onnx.load(str(path))
    tidy(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def report(net, images, labels):
    """Share of right answers, of right digits, and what was taken for what."""
    with torch.no_grad():
        scores = torch.cat([net(as_input(images[i:i + 500]))
                            for i in range(0, len(images), 500)]).numpy()
    answer = scores.argmax(1)
    is_digit = labels != prototype.OTHER
    counts = np.zeros((len(prototype.LABELS),) * 2, int)
    np.add.at(counts, (labels, answer), 1)
    softmax = prototype.softmax(scores)
    accepted = (answer != prototype.OTHER) & (softmax.max(1) >= prototype.Params.score)
    return {"all": float((answer == labels).mean()),
            "digits": float((answer == labels)[is_digit].mean()),
            "other_rejected": float((~accepted)[~is_digit].mean()),
            "digits_misread": float((accepted & (answer != labels))[is_digit].mean()),
            "confusion": counts.tolist()}


def write_vectors(folder, network, images):
    """A few crops and their logits, for tests of engines."""
    x = as_input(images).numpy()
    np.save(folder / "test_image.npy", x)
    np.save(folder / "test_logits.npy", network(x).astype(np.float32))


def evaluation_sets():
    """Name, crops and labels of each set; nothing of them was in the training."""
    seen = glyphs.find_fonts(glyphs.TRAIN_FONTS)
    unseen = glyphs.find_fonts(glyphs.HELD_OUT_FONTS)
    for name, fonts, clean in (("seen_clean", seen, True), ("seen_degraded", seen, False),
                               ("unseen_clean", unseen, True), ("unseen_degraded", unseen, False)):
        yield name, *glyphs.make_set(SEED + 1, fonts, EVAL_COUNT, clean)


def write_sets(folder):
    """The evaluation sets as pictures, a folder per class, for `nndeploy eval`."""
    for name, images, labels in evaluation_sets():
        for label in prototype.LABELS:
            (folder / name / label).mkdir(parents=True, exist_ok=True)
        for k, (image, label) in enumerate(zip(images, labels)):
            cv2.imwrite(str(folder / name / prototype.LABELS[label] / f"{k:04}.png"), image)
        print(f"{folder / name}: {len(images)} crops", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=prototype.MODEL.parent)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--write-sets", type=Path, metavar="FOLDER",
                        help="write the evaluation sets as pictures instead of training")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if args.write_sets:
        write_sets(args.write_sets)
        return
    args.output.mkdir(parents=True, exist_ok=True)
    model = args.output / prototype.MODEL.name

    seen = glyphs.find_fonts(glyphs.TRAIN_FONTS)
    unseen = glyphs.find_fonts(glyphs.HELD_OUT_FONTS)
    print(f"{len(seen)} training fonts, {len(unseen)} held-out fonts", flush=True)
    start = time.time()
    images, labels = glyphs.make_set(SEED, seen, TRAIN_COUNT)
    print(f"{len(images)} crops rendered in {time.time() - start:.0f} s", flush=True)
    net = train(images, labels, args.epochs)
    export(net, model)

    folded = net.folded()
    results = {}
    for name, x, y in evaluation_sets():
        results[name] = report(folded, x, y)
        print(name, {k: round(v, 4) for k, v in results[name].items() if k != "confusion"})
    network = prototype.Network(model)
    with torch.no_grad():
        difference = np.abs(folded(as_input(x[:500])).numpy() - network(as_input(x[:500]).numpy()))
    if difference.max() > 1e-3:
        raise SystemExit(f"the ONNX file differs from the network by {difference.max()}")
    print(f"ONNX file against the network: at most {difference.max():.2e}")

    first = [int(np.flatnonzero(y == k)[0]) for k in range(len(prototype.LABELS))]
    write_vectors(args.output, network, x[first])
    (args.output / "labels.txt").write_text("\n".join(prototype.LABELS) + "\n")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    print(f"{model.name}: {model.stat().st_size} bytes, sha256 {digest}")
    print(f"{time.time() - start:.0f} s in all")
    (args.output / "report.json").write_text(json.dumps(
        {"sha256": digest, "bytes": model.stat().st_size, "results": results}) + "\n")


if __name__ == "__main__":
    main()
