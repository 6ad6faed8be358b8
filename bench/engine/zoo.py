#!/usr/bin/env python3
"""Architectures from PyTorch with random weights, on the built-in engine and on ONNX Runtime.

    zoo.py OUT [--nndeploy PROGRAM] [NAME ...]

Needs torch and onnx; what torchvision and transformers bring is added where they are installed. No
weights are fetched: every network is seeded. Each is exported to OUT/NAME/model.onnx with inputs of
several shapes, and with `nndeploy compare-models` both backends compute all of them. The first
inputs lie where the bench finds them, so that

    bench_engine_onnxruntime --threads 1 --cpu-time OUT/*/model.onnx

measures time, load time and memory. Exit code: the number of networks that differ.
"""
import argparse
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

ZOO = {}


def network(function):
    """A function that returns module, names of the inputs, open dimensions, list of inputs."""
    ZOO[function.__name__] = function
    return function


def calibrated(module, *inputs):
    """Batch normalisations get the statistics of random data."""
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(*inputs)
    return module.eval()


# ---- written here ------------------------------------------------------------------------------


def double_conv(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
                         nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())


class Unet(nn.Module):
    def __init__(self, widths=(16, 32, 64)):
        super().__init__()
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip((3,) + widths, widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in zip(widths, widths[1:]))
        self.join = nn.ModuleList(double_conv(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(widths[0], 4, 1)

    def forward(self, x):
        kept = []
        for i, level in enumerate(self.down):
            x = level(F.max_pool2d(x, 2) if i else x)
            kept.append(x)
        for up, join, skip in list(zip(self.up, self.join, kept))[::-1]:
            x = up(x)
            x = F.pad(x, [0, skip.shape[3] - x.shape[3], 0, skip.shape[2] - x.shape[2]])
            x = join(torch.cat([skip, x], 1))
        return self.head(x)


@network
def unet():
    module = calibrated(Unet(), torch.randn(2, 3, 64, 64))
    sizes = [(1, 3, 96, 128), (2, 3, 70, 93)]
    return module, ["x"], {"x": {0: "n", 2: "h", 3: "w"}}, [(torch.randn(s),) for s in sizes]


@network
def video_conv3d():
    module = nn.Sequential(nn.Conv3d(3, 16, (3, 5, 5), (1, 2, 2), (1, 2, 2)), nn.BatchNorm3d(16),
                           nn.ReLU(), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
                           nn.Conv3d(16, 32, (3, 1, 1), padding=(1, 0, 0)), nn.ReLU(),
                           nn.Conv3d(32, 32, 3, 2, 1, groups=32), nn.AvgPool3d(2),
                           nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(32, 4))
    calibrated(module, torch.randn(2, 3, 8, 32, 32))
    sizes = [(1, 3, 8, 56, 56), (2, 3, 5, 40, 33)]
    return module, ["x"], {"x": {0: "n", 2: "t", 3: "h", 4: "w"}}, [(torch.randn(s),) for s in sizes]


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 48)
        self.lstm = nn.LSTM(48, 64, 2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(128, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, ids):
        y, _ = self.gru(self.lstm(self.embed(ids))[0])
        return self.head(y)


@network
def lstm_gru():
    return Tagger(), ["ids"], {"ids": {0: "n", 1: "t"}}, \
        [(torch.randint(0, 100, s),) for s in ((2, 17), (1, 1), (5, 40))]


class Decoder(nn.Module):
    """Two layers with rotary positions, shared key heads and a cache."""

    def __init__(self, width=64, heads=4, shared=2):
        super().__init__()
        self.heads, self.shared, self.size = heads, shared, width // heads
        self.embed = nn.Embedding(50, width)
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * shared * self.size, bias=False)
        self.o = nn.Linear(width, width, bias=False)
        self.gate, self.up = nn.Linear(width, 128), nn.Linear(width, 128)
        self.down = nn.Linear(128, width)

    def turn(self, x, places):
        angle = places[:, None, :, None] * torch.logspace(0, -3, self.size // 2)
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def norm(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

    def forward(self, ids, places, mask, keys, values):
        x = self.embed(ids)
        batch, length, width = x.shape
        y = self.norm(x)
        split = lambda t, n: t.view(batch, length, n, self.size).transpose(1, 2)
        k, v = self.kv(y).chunk(2, -1)
        q = self.turn(split(self.q(y), self.heads), places.float())
        k = torch.cat([keys, self.turn(split(k, self.shared), places.float())], 2)
        v = torch.cat([values, split(v, self.shared)], 2)
        share = lambda t: t[:, :, None].expand(-1, -1, self.heads // self.shared, -1, -1).flatten(1, 2)
        scores = q @ share(k).transpose(2, 3)
        weights = (scores / self.size ** 0.5 + (1 - mask[:, None]) * -1e9).softmax(-1)
        y = weights @ share(v)
        x = x + self.o(y.transpose(1, 2).reshape(batch, length, width))
        y = self.norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y)), k, v


@network
def decoder_with_cache():
    def inputs(batch, length, past):
        places = torch.arange(past, past + length).repeat(batch, 1)
        mask = torch.ones(length, past + length).tril(past).repeat(batch, 1, 1)
        cache = torch.randn(2, batch, 2, past, 16)
        return torch.randint(0, 50, (batch, length)), places, mask, cache[0], cache[1]
    names = ["ids", "places", "mask", "keys", "values"]
    axes = {"ids": {0: "n", 1: "t"}, "places": {0: "n", 1: "t"}, "mask": {0: "n", 1: "t", 2: "all"},
            "keys": {0: "n", 2: "past"}, "values": {0: "n", 2: "past"}}
    return Decoder(), names, axes, [inputs(2, 6, 3), inputs(1, 9, 0), inputs(2, 1, 64)]


class EinsumAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(3, 48, 4, 12) * 0.2)

    def forward(self, x):
        q, k, v = (torch.einsum("bte,ehd->bthd", x, w) for w in self.w)
        weights = torch.einsum("bthd,bshd->bhts", q, k).softmax(-1)
        return torch.einsum("bhts,bshd->bthd", weights, v).flatten(2)


@network
def einsum_attention():
    return EinsumAttention(), ["x"], {"x": {0: "b", 1: "t"}}, \
        [(torch.randn(s),) for s in ((2, 20, 48), (1, 1, 48))]


class Flow(nn.Module):
    """Correlation, a softmax over an inner axis, and samples where the correlation points."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 32, 7, 4, 3), nn.InstanceNorm2d(32), nn.ReLU())

    def forward(self, a, b):
        f, g = self.features(a), self.features(b)
        n, c, h, w = f.shape
        score = (f.flatten(2).transpose(1, 2) @ g.flatten(2) / c ** 0.5).softmax(1)
        warp = torch.tanh((score @ g.flatten(2).transpose(1, 2)).view(n, h, w, c)[..., :2])
        return F.grid_sample(f, warp, align_corners=True)


@network
def optical_flow():
    return Flow(), ["a", "b"], {}, [(torch.randn(1, 3, 64, 96), torch.randn(1, 3, 64, 96))]


class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 32), nn.Linear(32, 8)])

    def forward(self, x, edges):
        for layer in self.layers:
            h = layer(x)
            x = F.relu(h + torch.zeros_like(h).index_add(0, edges[1], h[edges[0]]))
        return x


@network
def graph_network():
    inputs = lambda n, m: (torch.randn(n, 16), torch.randint(0, n, (2, m)))
    return Graph(), ["x", "edges"], {"x": {0: "n"}, "edges": {1: "m"}}, \
        [inputs(10, 30), inputs(100, 900)]


class Greedy(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = nn.Linear(24, 24)

    def forward(self, x: Tensor, limit: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for _ in range(int(limit)):
            x = torch.tanh(self.step(x))
            if float(x.sum()) > 0:
                total = total + x
            else:
                total = total - 0.5 * x
        return total


@network
def script_with_loop():
    return torch.jit.script(Greedy()), ["x", "limit"], {"x": {0: "n"}}, \
        [(torch.randn(2, 24), torch.tensor(5)), (torch.randn(1, 24), torch.tensor(0))]


@network
def generator():
    module = nn.Sequential(nn.ConvTranspose2d(64, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU(),
                           nn.ConvTranspose2d(64, 32, 3, 2, 1, 1, groups=4), nn.GroupNorm(8, 32),
                           nn.SiLU(), nn.Conv2d(32, 12, 3, padding=1), nn.PixelShuffle(2))
    calibrated(module, torch.randn(2, 64, 6, 6))
    return module, ["z"], {"z": {0: "n", 2: "h", 3: "w"}}, \
        [(torch.randn(s),) for s in ((1, 64, 8, 10), (2, 64, 5, 3))]


# ---- from torchvision and transformers ------------------------------------------------------------


def add_torchvision(models):
    def entry(name):
        def build():
            module = getattr(models, name)(weights=None)
            calibrated(module, torch.randn(4, 3, 128, 128))
            return module, ["x"], {"x": {0: "n"}}, [(torch.randn(n, 3, 128, 128),) for n in (1, 2)]
        ZOO[name] = build
    for name in ("convnext_tiny", "densenet121", "efficientnet_v2_s", "mobilenet_v3_small",
                 "regnet_y_400mf", "resnext50_32x4d", "shufflenet_v2_x1_0"):
        entry(name)


class FirstOutput(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, ids, mask):
        return self.module(input_ids=ids, attention_mask=mask)[0]


def add_transformers(lib):
    common = {"vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
              "intermediate_size": 128, "max_position_embeddings": 64}

    def entry(name, config, model, **more):
        def build():
            module = getattr(lib, model)(getattr(lib, config)(**{**common, **more}))
            inputs = lambda n, t: (torch.randint(3, 100, (n, t)), torch.ones(n, t).long())
            axes = {"ids": {0: "n", 1: "t"}, "mask": {0: "n", 1: "t"}}
            return FirstOutput(module), ["ids", "mask"], axes, [inputs(2, 9), inputs(1, 1), inputs(3, 24)]
        ZOO[name] = build
    entry("bert", "BertConfig", "BertModel")
    entry("albert", "AlbertConfig", "AlbertModel", embedding_size=32)
    entry("deberta_v2", "DebertaV2Config", "DebertaV2Model", relative_attention=True,
          pos_att_type=["c2p", "p2c"])
    entry("llama", "LlamaConfig", "LlamaForCausalLM", num_key_value_heads=2, use_cache=False)
    entry("xlnet", "XLNetConfig", "XLNetModel", d_model=64, n_layer=2, n_head=4, d_inner=128)


# ---- exporting and comparing ----------------------------------------------------------------------


def export(name, folder):
    torch.manual_seed(7)
    module, names, axes, cases = ZOO[name]()
    module.eval()
    os.makedirs(os.path.join(folder, "ref"), exist_ok=True)
    path = os.path.join(folder, "model.onnx")
    options = {"dynamo": False} if int(torch.__version__.split(".")[0]) >= 2 else {}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, cases[0], path, input_names=names, dynamic_axes=axes,
                          opset_version=17, **options)
    reference = []
    for k, case in enumerate(cases):
        for name, value in zip(names, case):
            array = np.ascontiguousarray(value.numpy())
            np.save(os.path.join(folder, f"{k}.{name}.npy"), array)
            if k == 0:  # for the bench
                array.tofile(os.path.join(folder, "ref", name + ".bin"))
                reference.append({"name": name, "shape": list(array.shape), "file": name + ".bin"})
    with open(os.path.join(folder, "ref", "ref.json"), "w", encoding="utf-8") as f:
        json.dump({"inputs": reference}, f)
    return path, names, len(cases)


def compare(program, folder, names, case):
    command = [program, "compare-models", os.path.join(folder, "model.onnx"),
               "--backends", "builtin,onnxruntime"]
    for name in names:
        command += ["--input", f"{name}={os.path.join(folder, f'{case}.{name}.npy')}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("names", metavar="NAME", nargs="*", help="networks; default: all")
    parser.add_argument("--nndeploy", default="nndeploy", help="the program")
    args = parser.parse_args()
    try:
        import torchvision
        add_torchvision(torchvision.models)
    except ImportError:
        pass
    try:
        import transformers
        add_transformers(transformers)
    except ImportError:
        pass
    unknown = set(args.names) - set(ZOO)
    if unknown:
        parser.error(f"no network {', '.join(sorted(unknown))}; there are {', '.join(ZOO)}")
    bad = 0
    for name in args.names or ZOO:
        folder = os.path.join(args.out, name)
        _, names, cases = export(name, folder)
        equal = [compare(args.nndeploy, folder, names, k) for k in range(cases)]
        bad += not all(equal)
        print(f"{name:24} {sum(equal)} of {cases} equal", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
