#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the small Vision Transformer that the demo runs, on scikit-learn's bundled handwritten digits.

usage: train.py [DIR]      (default: this script's folder; about two minutes on one core)

Writes into DIR: digits.onnx (input `image`, float32 [N, 1, 8, 8], pixels (v - 0.5) / 0.5 of v in [0, 1]; output `logits`
[N, 10]; labels and pre-processing in metadata_props), test_images.npy and test_labels.npy (the held-out split, as the
model takes it), test_logits.npy (ONNX Runtime's answers) and pictures/*.png (ten held-out digits, 128 x 128 pixels).
Needs: torch, scikit-learn, onnx, onnxruntime, numpy, pillow (versions in scripts/requirements.txt).
"""
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

DIM, DEPTH, HEADS, PATCH, SIDE, CLASSES = 64, 4, 4, 2, 8, 10
EPOCHS = 150


class Block(nn.Module):
    """Pre-norm encoder block (Dosovitskiy et al. 2020, section 3.1)."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(DIM, eps=1e-6), nn.LayerNorm(DIM, eps=1e-6)
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.fc1, self.fc2 = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        weight = ((q @ k.transpose(-2, -1)) * (c // HEADS) ** -0.5).softmax(-1)
        x = x + self.proj((weight @ v).transpose(1, 2).reshape(n, t, c))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class DigitsViT(nn.Module):
    def __init__(self):
        super().__init__()
        tokens = (SIDE // PATCH) ** 2
        self.patch = nn.Conv2d(1, DIM, PATCH, PATCH)
        self.cls = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos = nn.Parameter(torch.randn(1, tokens + 1, DIM) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(DIM, eps=1e-6), nn.Linear(DIM, CLASSES)

    def forward(self, image):
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def augmented(x, generator):
    """Small random rotations, scalings and shifts of a batch."""
    n = len(x)
    angle = (torch.rand(n, generator=generator) - 0.5) * 0.5
    scale = 1 + (torch.rand(n, generator=generator) - 0.5) * 0.3
    shift = (torch.rand(n, 2, generator=generator) - 0.5) * 0.45
    cos, sin = angle.cos() * scale, angle.sin() * scale
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    moved = F.grid_sample(x + 1, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False) - 1
    return moved + 0.05 * torch.randn(x.shape, generator=generator)


def train(images, labels):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model = DigitsViT()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    steps = EPOCHS * (len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images), generator=generator)
        for i in range(len(images) // 64):
            pick = order[i * 64 : i * 64 + 64]
            loss = F.cross_entropy(model(augmented(images[pick], generator)), labels[pick], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    os.makedirs(os.path.join(folder, "pictures"), exist_ok=True)
    torch.set_num_threads(1)
    digits = load_digits()
    pixels = digits.images.astype(np.float32) / 16.0
    x = torch.from_numpy((pixels[:, None] - 0.5) / 0.5)
    y = torch.from_numpy(digits.target.astype(np.int64))
    train_at, test_at = train_test_split(np.arange(len(x)), test_size=360, random_state=0, stratify=digits.target)
    model = train(x[train_at], y[train_at])
    with torch.no_grad():
        accuracy = float((model(x[test_at]).argmax(1) == y[test_at]).float().mean())
    print(f"held-out accuracy {accuracy:.4f} on {len(test_at)} digits")
    assert accuracy >= 0.97

    path = os.path.join(folder, "digits.onnx")
    axes = {"image": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(model, (x[:1],), path, opset_version=17, dynamo=False, input_names=["image"],
                      output_names=["logits"], dynamic_axes=axes)
    proto = onnx.load(path)
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    metadata = {"mean": "[0.5]", "std": "[0.5]", "interpolation": "box", "crop_pct": "1.0", "label_names": json.dumps(words)}
    onnx.helper.set_model_props(proto, metadata)
    onnx.save(proto, path)

    images, labels = x[test_at].numpy(), y[test_at].numpy()
    np.save(os.path.join(folder, "test_images.npy"), images)
    np.save(os.path.join(folder, "test_labels.npy"), labels)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.save(os.path.join(folder, "test_logits.npy"), session.run(None, {"image": images})[0])
    for digit in range(10):
        at = test_at[np.flatnonzero(labels == digit)[0]]
        picture = Image.fromarray(np.round(pixels[at] * 255).astype(np.uint8))
        picture.resize((128, 128), Image.NEAREST).save(os.path.join(folder, "pictures", f"{words[digit]}.png"), optimize=True)


if __name__ == "__main__":
    main()
