#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/examples/data: three tiny models that give embeddings, in the forms of DINOv2, CLIP and SigLIP (random weights,
transformers' own code and exporter), pictures, and the rows that PyTorch computes for them from Pillow's pixels.

usage: make_data.py     (needs torch, transformers, onnx, pillow and numpy)
"""
import os

import numpy as np
import onnx
import torch
import transformers as t
from PIL import Image

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
SMALL = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
RECIPE = {"mean": "[0.485, 0.456, 0.406]", "std": "[0.229, 0.224, 0.225]", "interpolation": "bicubic", "crop_pct": "1.0"}


class Outputs(torch.nn.Module):
    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, x):
        y = self.model(pixel_values=x)
        return tuple(getattr(y, n) for n in self.names)


def models():
    eager = dict(attn_implementation="eager")
    yield "dinov2", t.Dinov2Model._from_config(t.Dinov2Config(**SMALL), **eager), ("last_hidden_state", "pooler_output")
    clip = t.CLIPVisionConfig(**SMALL, intermediate_size=32, projection_dim=8)
    yield "clip", t.CLIPVisionModelWithProjection._from_config(clip, **eager), ("image_embeds", "last_hidden_state")
    siglip = t.SiglipVisionConfig(**SMALL, intermediate_size=32)
    yield "siglip", t.SiglipVisionModel._from_config(siglip, **eager), ("last_hidden_state", "pooler_output")


def pictures(folder):
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(5)
    for name, size in (("a", (40, 30)), ("b", (28, 28)), ("c", (33, 57))):
        coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(os.path.join(folder, name + ".png"))
    return [os.path.join(folder, f) for f in sorted(os.listdir(folder))]


def pixels(path):
    """timm's evaluation transform with crop_pct 1: the shorter side to 28, the centre's 28 x 28."""
    image = Image.open(path).convert("RGB")
    w, h = image.size
    w, h = (28, int(28 * h / w)) if w <= h else (int(28 * w / h), 28)
    image = image.resize((w, h), Image.Resampling.BICUBIC)
    top, left = int(round((h - 28) / 2)), int(round((w - 28) / 2))
    x = np.asarray(image, np.float64)[top:top + 28, left:left + 28] / 255
    x = (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return x.transpose(2, 0, 1)


def main():
    files = pictures(os.path.join(HERE, "pictures"))
    x = torch.tensor(np.stack([pixels(f) for f in files]))
    for name, model, outputs in models():
        g = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.randn(p.shape, generator=g) * 0.2 + (1 if p.dim() == 1 and "weight" in name else 0))
        wrapped = Outputs(model, outputs).eval()
        path = os.path.join(HERE, name + ".onnx")
        names = dict(input_names=["pixel_values"], output_names=list(outputs))
        axes = {n: {0: "batch"} for n in ("pixel_values", *outputs)}
        torch.onnx.export(wrapped, (x[:2].float(),), path, opset_version=17, dynamo=False, dynamic_axes=axes, **names)
        proto = onnx.load(path)
        onnx.helper.set_model_props(proto, RECIPE)
        onnx.save(proto, path)
        with torch.no_grad():
            got = wrapped.double()(x)
        for output, value in zip(outputs, got):
            np.save(os.path.join(HERE, f"{name}.{output}.npy"), value.numpy().astype(np.float32))
        print(name, os.path.getsize(path), [tuple(v.shape) for v in got])


main()
