#!/usr/bin/env python3
"""Writes models/latin-ocr of trained weights: ONNX file, its int8 form, labels, test vectors.

    export.py --weights FILE [--output FOLDER]

The graph is built here, node by node: short names, opset 13, batch and width open. The int8 form
quantises afterwards: weights per channel (int8, symmetric), values between layers per tensor
(uint8) with the ranges that freshly rendered lines give, as pairs of QuantizeLinear and
DequantizeLinear.
"""
import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

import crop
import prototype
import render
import train

CALIBRATION = 192    # lines
TAIL = 2e-5          # share of values beyond the range, at each end
VECTOR_SEED = 77


class Graph:
    """ONNX nodes and weights under construction."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x, conv, name):
        pads = [conv.padding[0], conv.padding[1]] * 2
        return self.node("Conv", [x, self.weight(name + ".weight", conv.weight.detach().numpy()),
                                  self.weight(name + ".bias", conv.bias.detach().numpy())], name,
                         kernel_shape=list(conv.kernel_size), strides=list(conv.stride), pads=pads,
                         dilations=list(conv.dilation), group=conv.groups)

    def model(self, name):
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT,
                                              ["batch", 1, crop.HEIGHT, "width"])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT,
                                               ["batch", "frames", train.CLASSES])
        graph = helper.make_graph(self.nodes, name, [image], [logits], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)],
                                  producer_name="nndeploy latin-ocr", producer_version="1")
        model.ir_version = 7
        onnx.checker.check_model(model, full_check=True)
        return model


def build(net):
    """The folded network as ONNX."""
    g = Graph()
    x, convs, pools = "image", 0, 0
    for layer in net.picture:
        if isinstance(layer, train.Unit):
            convs += 1
            x = g.node("Relu", [g.conv(x, layer.conv, f"conv{convs}")], f"relu{convs}")
        else:
            pools += 1
            x = g.node("MaxPool", [x], f"pool{pools}", kernel_shape=[2, 2], strides=[2, 2])
    for k, layer in enumerate(net.context, 1):
        across = g.conv(x, layer.across, f"across{k}")
        mix = g.node("Relu", [g.conv(across, layer.mix.conv, f"mix{k}")], f"mix{k}.relu")
        x = g.node("Add", [x, mix], f"add{k}")
    x = g.conv(x, net.head, "head")
    x = g.node("Squeeze", [x, g.weight("squeeze.axes", np.array([2], np.int64))], "squeeze")
    x = g.node("Transpose", [x], "transpose", perm=[0, 2, 1])
    shape = g.weight("reshape.shape", np.array([0, -1, train.CLASSES], np.int64))
    g.node("Reshape", [x, shape], "logits")
    return g.model("latin-ocr")


def ranges(path, seed):
    """Least and largest value of every tensor over calibration lines, without the farthest tail."""
    network = prototype.Network(path)
    pictures, _, _ = render.make_set(seed, render.find_fonts(render.TRAIN_FONTS), CALIBRATION, 0.3)
    seen = {}

    def watch(name, value):
        low, high = np.quantile(value, [TAIL, 1 - TAIL])
        seen.setdefault(name, []).append((low, high))

    for picture in pictures:
        network(crop.normalise(picture)[None, None], watch)
    return {name: (min(v[0] for v in pairs), max(v[1] for v in pairs))
            for name, pairs in seen.items()}


def affine(low, high):
    """Scale and zero point of uint8 for a range, with 0 exactly representable."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, 1e-6) / 255)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def quantise(model, seen):
    """The int8 form: every value that a Conv, MaxPool or Add reads passes through uint8."""
    old = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    g, scales, short = Graph(), {}, {}

    def through_u8(name, like=None):
        """Quantises and dequantises a value once; a pooled value keeps the scale of its source."""
        if name not in short:
            scales[name] = scales[like] if like else affine(*seen[name])
            pair = [g.weight(name + ".scale", np.float32(scales[name][0])),
                    g.weight(name + ".zero", scales[name][1])]
            q = g.node("QuantizeLinear", [name, *pair], name + ".q")
            short[name] = g.node("DequantizeLinear", [q, *pair], name + ".dq")
        return short[name]

    pooled = {}
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        name = node.output[0]
        if node.op_type == "Conv":
            x = through_u8(node.input[0], pooled.get(node.input[0]))
            weight, bias = old[node.input[1]], old[node.input[2]]
            scale = np.maximum(np.abs(weight).max((1, 2, 3)), 1e-8).astype(np.float32) / 127
            rounded = np.clip(np.rint(weight / scale[:, None, None, None]), -127, 127)
            bias_scale = scale * scales[node.input[0]][0]
            parts = []
            for role, values, s in (("weight", rounded.astype(np.int8), scale),
                                    ("bias", np.rint(bias / bias_scale).astype(np.int32),
                                     bias_scale.astype(np.float32))):
                full = f"{name}.{role}"
                inputs = [g.weight(full, values), g.weight(full + ".scale", s),
                          g.weight(full + ".zero", np.zeros(len(s), values.dtype))]
                parts.append(g.node("DequantizeLinear", inputs, full + ".dq", axis=0))
            g.node("Conv", [x, *parts], name, **attributes)
        elif node.op_type == "MaxPool":
            x = through_u8(node.input[0])
            pooled[name] = node.input[0]
            g.node("MaxPool", [x], name, **attributes)
        elif node.op_type == "Add":
            g.node("Add", [through_u8(i) for i in node.input], name)
        else:
            for i in node.input[1:]:
                g.weight(i, old[i])
            g.node(node.op_type, list(node.input), name, **attributes)
    return g.model("latin-ocr-int8")


def write_vectors(folder, model):
    """Two lines of one width and their logits, for tests of engines."""
    fonts = render.find_fonts(render.HELD_OUT_FONTS)
    by_width, rng = {}, np.random.default_rng(VECTOR_SEED)
    while True:
        one = render.sample(rng, fonts, clean=True)
        if one is None or not 96 <= one[0].shape[1] <= 128:
            continue
        first = by_width.setdefault(one[0].shape[1], one)
        if first is not one:
            break
    x = np.stack([crop.normalise(picture) for picture, _, _ in (first, one)])[:, None]
    logits = prototype.Network(model)(x).astype(np.float32)
    np.save(folder / "test_image.npy", x)
    np.save(folder / "test_logits.npy", logits)
    for (_, line, _), row in zip((first, one), logits):
        print(f"test vector {line!r}, read {prototype.decode(row)[0]!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=prototype.MODEL.parent)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    trained = train.Net()
    trained.load_state_dict(torch.load(args.weights))
    net = trained.eval().folded()
    full = args.output / prototype.MODEL.name
    small = args.output / (prototype.MODEL.stem + "-int8.onnx")
    model = build(net)
    onnx.save(model, str(full))

    x = np.random.default_rng(1).normal(0, 1, (2, 1, crop.HEIGHT, 100)).astype(np.float32)
    with torch.no_grad():
        worst = np.abs(trained(torch.from_numpy(x)).numpy() - prototype.Network(full)(x)).max()
    if worst > 1e-3:
        raise SystemExit(f"the ONNX file differs from the network by {worst}")
    print(f"ONNX file against the network: at most {worst:.1e}")

    onnx.save(quantise(model, ranges(full, render.SEED + 2)), str(small))
    (args.output / "labels.txt").write_text("\n".join(prototype.LABELS) + "\n")
    write_vectors(args.output, full)
    for path in (full, small):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{path.name}: {path.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
