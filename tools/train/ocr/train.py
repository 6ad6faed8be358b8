#!/usr/bin/env python3
"""Trains the line recogniser and writes its weights; export.py makes the ONNX files of them.

    train.py --shards FOLDER --first 0 --count 7 --weights FILE
    train.py --shards FOLDER --first 7 --count 10 --weights FILE --resume
    train.py --shards FOLDER --first 17 --count 3 --weights FILE --resume --peak 1e-3

The shards come from `render.py shard`; training waits for one that is not there yet, so both may
run side by side; every line is seen once. The learning rate rises, stays, and falls to nothing in
a part that resumes. The loss is CTC plus, as a guide that makes half an hour of one
core enough, the cross entropy of every frame: the renderer knows where each character stands.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

import crop
import render

SEED = 30
BATCH = 32
POOL = 24          # batches that are sorted by width together
PEAK = 2.5e-3      # largest learning rate
CLASSES = 96       # the blank and ASCII 32 ... 126
FRAMES = 2         # output frames per column of the last layers


class Unit(nn.Module):
    """Convolution, normalisation, Relu."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))

    def fold(self):
        self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Context(nn.Module):
    """What stands to the left and right: depthwise over 9 columns, then pointwise, added to x."""

    def __init__(self, width, dilation):
        super().__init__()
        self.across = nn.Conv2d(width, width, (1, 9), padding=(0, 4 * dilation),
                                dilation=(1, dilation), groups=width)
        self.mix = Unit(width, width, 1)

    def forward(self, x):
        return x + self.mix(self.across(x))


class Net(nn.Module):
    """Four convolutions over the picture, one that takes its height to 1, five of context."""

    def __init__(self):
        super().__init__()
        self.picture = nn.Sequential(
            Unit(1, 24, 5, 2, 2),               # 16 x W/2
            Unit(24, 48, 3, (2, 1), 1),         # 8 x W/2
            Unit(48, 64, 3, 1, 1),
            nn.MaxPool2d(2),                    # 4 x W/4
            Unit(64, 128, 3, 1, 1),
            Unit(128, 160, (4, 1)))             # 1 x W/4
        self.context = nn.Sequential(*(Context(160, d) for d in (1, 1, 1, 2, 1)))
        self.head = nn.Conv2d(160, FRAMES * CLASSES, 1)

    def forward(self, x):
        y = self.head(self.context(self.picture(x)))     # [N, 192, 1, W/4]
        y = y.squeeze(2).transpose(1, 2)                 # [N, W/4, 192]
        return y.reshape(y.shape[0], -1, CLASSES)        # [N, W/2, 96]

    def folded(self):
        """The same function with every normalisation folded into its convolution."""
        net = Net().eval()
        net.load_state_dict(self.state_dict())
        for module in list(net.modules()):
            if isinstance(module, Unit):
                module.fold()
        return net


def as_batch(pictures):
    """Normalised crops in one tensor; narrower ones repeat their last column."""
    width = max(p.shape[1] for p in pictures)
    rows = [np.pad(crop.normalise(p), ((0, 0), (0, width - p.shape[1])), "edge") for p in pictures]
    return torch.from_numpy(np.stack(rows)[:, None])


def encode(line):
    return [ord(c) - 31 for c in line]


def batches(rng, widths):
    """Lists of indices, each of lines of nearly one width, in random order."""
    order = rng.permutation(len(widths))
    found = []
    for at in range(0, len(order), BATCH * POOL):
        group = order[at:at + BATCH * POOL]
        group = group[np.argsort([widths[i] for i in group], kind="stable")]
        found += [group[i:i + BATCH] for i in range(0, len(group) - BATCH + 1, BATCH)]
    return [found[i] for i in rng.permutation(len(found))]


def losses(net, pictures, lines, labels):
    logits = net(as_batch(pictures))
    frames = torch.tensor([p.shape[1] // render.FRAME for p in pictures])
    target = torch.full(logits.shape[:2], -1)
    for row, l in zip(target, labels):
        row[:len(l)] = torch.from_numpy(l.astype(np.int64))
    guide = F.cross_entropy(logits.reshape(-1, CLASSES), target.reshape(-1), ignore_index=-1)
    codes = [encode(t) for t in lines]
    ctc = F.ctc_loss(logits.log_softmax(2).transpose(0, 1), torch.tensor(sum(codes, [])), frames,
                     torch.tensor([len(c) for c in codes]), zero_infinity=True)
    return ctc, guide


def wait_for(path):
    while not path.exists():
        time.sleep(2)
    return render.read_shard(path)


def rate(step, steps, resumed):
    """Share of the largest learning rate: a short rise, then level, or falling when resumed."""
    rise = min(1.0, (step + 1) / (30 if resumed else 400))
    return rise * (1 - step / steps if resumed else 1.0)


def train(folder, first, count, weights, resumed, peak):
    torch.manual_seed(SEED + first)
    rng = np.random.default_rng(SEED + first)
    net = Net().train().to(memory_format=torch.channels_last)
    if resumed:
        net.load_state_dict(torch.load(weights))
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak, weight_decay=1e-3)
    steps = count * (render.SHARD // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda k: rate(k, steps, resumed))
    start = time.time()
    for k in range(first, first + count):
        data = list(zip(*wait_for(folder / f"shard-{k}.npz")))
        total = np.zeros(2)
        parts = batches(rng, [one[0].shape[1] for one in data])
        for index in parts:
            ctc, guide = losses(net, *zip(*(data[i] for i in index)))
            optimiser.zero_grad()
            (ctc + (0.2 if resumed else 0.5) * guide).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            total += ctc.item(), guide.item()
        total /= len(parts)
        part = weights.with_suffix(".part")
        torch.save(net.state_dict(), part)
        part.rename(weights)
        print(f"shard {k}: ctc {total[0]:.4f}, guide {total[1]:.4f}, {time.time() - start:.0f} s, "
              f"processor {time.process_time():.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--peak", type=float, default=PEAK, help="largest learning rate")
    parser.add_argument("--resume", action="store_true", help="go on from the weights, to the end")
    args = parser.parse_args()
    torch.set_num_threads(1)
    train(args.shards, args.first, args.count, args.weights, args.resume, args.peak)


if __name__ == "__main__":
    main()
