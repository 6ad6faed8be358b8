#!/usr/bin/env python3
"""Gives topologies with constant weights real, seeded random ones.

    expand_models.py OUT MODEL.onnx [MODEL.onnx ...]

Writes OUT/<name>.onnx with the weights as initialisers and OUT/<name>.external.onnx with the same
weights in OUT/<name>.external.data. What ConstantOfShape made becomes a random tensor that depends on
the names of model and tensor only: He-scaled weights for convolutions and products, batch
normalisation with variances around one, small biases. Residual branches and the last layer get less
gain, so that activations neither vanish nor grow and a softmax at the end says something.
"""
import os
import sys
import zlib

import numpy as np
import onnx
from onnx import numpy_helper

GROWING = {"Relu", "LeakyRelu", "HardSwish", "Clip", "PRelu"}
PASSING = {"BatchNormalization", "Reshape", "Flatten", "Unsqueeze", "Squeeze", "Dropout", "Identity"}
NORM_INPUTS = {1: "scale", 2: "shift", 3: "shift", 4: "variance"}


class Net:
    def __init__(self, path):
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.model = onnx.load(path)
        self.graph = self.model.graph
        self.readers = {}
        for node in self.graph.node:
            for slot, value in enumerate(node.input):
                self.readers.setdefault(value, []).append((node, slot))
        self.known = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}

    def next_kinds(self, value):
        """Operators that see the result, through those which do not change its scale."""
        kinds = set()
        for node, _ in self.readers.get(value, []):
            if node.op_type in PASSING:
                kinds |= self.next_kinds(node.output[0])
            else:
                kinds.add(node.op_type)
        return kinds

    def gain(self, node):
        kinds = self.next_kinds(node.output[0])
        if kinds & GROWING:
            return 2.0
        if kinds & {"Add", "Sum"}:
            return 0.25
        return 1.0

    def tensor(self, value, shape, rng):
        """The random tensor for the constant that `value` names, judged by its first reader."""
        node, slot = self.readers[value][0]
        while node.op_type in PASSING - {"BatchNormalization"} and slot == 0:
            node, slot = self.readers[node.output[0]][0]
        if node.op_type == "Conv" and slot == 1:
            fan_in = int(np.prod(shape[1:]))
            return rng.standard_normal(shape) * np.sqrt(self.gain(node) / fan_in)
        if node.op_type in ("Gemm", "MatMul") and slot == 1:
            trans = any(a.name == "transB" and a.i for a in node.attribute)
            fan_in = shape[-1] if trans else shape[0]
            return rng.standard_normal(shape) * np.sqrt(self.gain(node) / fan_in)
        kind = NORM_INPUTS.get(slot) if node.op_type == "BatchNormalization" else None
        if kind == "scale" or node.op_type == "Mul":
            return rng.uniform(0.8, 1.2, shape)
        if kind == "variance":
            return rng.uniform(0.6, 1.6, shape)
        return rng.standard_normal(shape) * 0.05

    def expand(self):
        nodes, made, shapes = [], [], set()
        for node in self.graph.node:
            if node.op_type != "ConstantOfShape" or node.input[0] not in self.known:
                nodes.append(node)
                continue
            value = node.output[0]
            shape = [int(d) for d in self.known[node.input[0]]]
            shapes.add(node.input[0])
            if value not in self.readers:
                continue
            rng = np.random.default_rng(zlib.crc32(f"{self.name}/{value}".encode()))
            data = np.asarray(self.tensor(value, shape, rng), dtype=np.float32)
            made.append(numpy_helper.from_array(data, value))
        still_read = {value for node in nodes for value in node.input}
        dropped = (shapes | set(self.known)) - still_read
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        self.replace(self.graph.initializer, dropped)
        self.graph.initializer.extend(made)
        # Inputs with a default are constants here: callers give the real inputs only.
        self.replace(self.graph.input, dropped | {t.name for t in self.graph.initializer})

    @staticmethod
    def replace(items, without):
        kept = [item for item in items if item.name not in without]
        del items[:]
        items.extend(kept)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    for path in sys.argv[2:]:
        net = Net(path)
        plain = os.path.join(out, net.name + ".onnx")
        external = os.path.join(out, net.name + ".external.onnx")
        data = net.name + ".external.data"
        if os.path.exists(plain) and os.path.exists(external):
            continue
        net.expand()
        onnx.save(net.model, plain + ".part")
        if os.path.exists(os.path.join(out, data)):
            os.remove(os.path.join(out, data))
        onnx.save(net.model, external + ".part", save_as_external_data=True, location=data,
                  size_threshold=1024)
        os.replace(plain + ".part", plain)
        os.replace(external + ".part", external)
        print(f"expanded {net.name}: {os.path.getsize(plain) / 2**20:.1f} MiB", file=sys.stderr)


if __name__ == "__main__":
    main()
