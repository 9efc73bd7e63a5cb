# SPDX-License-Identifier: Apache-2.0
"""The model families of the tests, in plain PyTorch as users write them, and Hugging Face's own where it has them.

family(name, scale) -> (module, image side). scale is "tiny" (fixtures: two blocks, narrow, odd sizes) or "full".
Every module takes float32 images [N, 3, side, side]. Weights are seeded, and no bias, gain or table is degenerate, so a
wrong fusion shows.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from deformable import Deformable
from detector import Detector
from literature import LITERATURE
from reader import Reader

LITERATURE.update(detector=Detector, reader=Reader, deformable=Deformable)


class Attention(nn.Module):
    """Multi-head self-attention in the spellings of the field.

    style: sdpa (torch's fused op) | scores (scale on the scores) | query (scale on q) | chunk (q, k, v by chunk) |
    separate (three projections, scores divided by the root) | relative (a learned bias for each distance)
    """

    def __init__(self, dim, heads, style, tokens):
        super().__init__()
        self.heads, self.style, self.scale = heads, style, (dim // heads) ** -0.5
        if style == "separate":
            self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))
        else:
            self.qkv = nn.Linear(dim, 3 * dim)
        if style == "relative":
            self.table = nn.Parameter(torch.randn(2 * tokens - 1, heads) * 0.5)
            distance = torch.arange(tokens)[:, None] - torch.arange(tokens)[None, :] + tokens - 1
            self.register_buffer("distance", distance)
        self.proj = nn.Linear(dim, dim)

    def split(self, x):
        n, t, c = x.shape
        if self.style == "separate":
            return [f(x).view(n, t, self.heads, c // self.heads).permute(0, 2, 1, 3) for f in (self.q, self.k, self.v)]
        if self.style in ("chunk", "relative"):
            return [u.reshape(n, t, self.heads, -1).transpose(1, 2) for u in self.qkv(x).chunk(3, -1)]
        return self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.split(x)
        if self.style == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v)
        elif self.style == "query":
            y = ((q * self.scale) @ k.transpose(-2, -1)).softmax(-1) @ v
        else:
            s = q @ k.transpose(-2, -1)
            s = s / math.sqrt(c // self.heads) if self.style == "separate" else s * self.scale
            if self.style == "relative":
                s = s + self.table[self.distance].permute(2, 0, 1)
            y = s.softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(n, t, c))


class TanhGelu(nn.Module):
    def forward(self, x):
        return F.gelu(x, approximate="tanh")


class HandGelu(nn.Module):
    def forward(self, x):
        return 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))


GELU = {"erf": nn.GELU, "tanh": TanhGelu, "hand": HandGelu}


class Block(nn.Module):
    def __init__(self, dim, heads, style, tokens, gelu="erf", post_norm=False, layer_scale=False):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attention = Attention(dim, heads, style, tokens)
        self.fc1, self.fc2, self.gelu = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim), GELU[gelu]()
        self.post_norm = post_norm
        self.gain = nn.Parameter(torch.full((2, dim), 0.1)) if layer_scale else None

    def mlp(self, x):
        return self.fc2(self.gelu(self.fc1(x)))

    def forward(self, x):
        if self.post_norm:  # BERT's order
            x = self.norm1(x + self.attention(x))
            return self.norm2(x + self.mlp(x))
        g = self.gain if self.gain is not None else (1.0, 1.0)
        x = x + g[0] * self.attention(self.norm1(x)) if self.gain is not None else x + self.attention(self.norm1(x))
        return x + g[1] * self.mlp(self.norm2(x)) if self.gain is not None else x + self.mlp(self.norm2(x))


def sincos_1d(tokens, dim):
    p, f = torch.arange(tokens)[:, None], torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    out = torch.zeros(tokens, dim)
    out[:, 0::2], out[:, 1::2] = torch.sin(p * f), torch.cos(p * f)
    return out[None]


def sincos_2d(grid, dim):
    y, x = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    f = 1.0 / 10000 ** (torch.arange(dim // 4) / (dim // 4))
    y, x = y.flatten()[:, None] * f, x.flatten()[:, None] * f
    return torch.cat([y.sin(), y.cos(), x.sin(), x.cos()], 1)[None]


class Position(nn.Module):
    """none | learned | fixed1d | fixed2d | learned2d (rows and columns, half of the width each) | computed (in the graph)"""

    def __init__(self, kind, grid, dim, extra):
        super().__init__()
        self.kind, self.grid, self.dim = kind, grid, dim
        if kind == "learned":
            self.table = nn.Parameter(torch.randn(1, grid * grid + extra, dim) * 0.5)
        elif kind == "fixed1d":
            self.register_buffer("table", sincos_1d(grid * grid + extra, dim))
        elif kind == "fixed2d":
            self.register_buffer("table", sincos_2d(grid, dim))
        elif kind == "learned2d":
            self.row = nn.Parameter(torch.randn(grid, 1, dim // 2))
            self.column = nn.Parameter(torch.randn(1, grid, dim // 2))

    def forward(self, x):
        if self.kind == "none":
            return x
        if self.kind == "computed":
            return x + sincos_2d(self.grid, self.dim).to(x)
        if self.kind == "learned2d":
            half = (self.grid, self.grid, self.dim // 2)
            return x + torch.cat([self.row.expand(half), self.column.expand(half)], -1).reshape(1, -1, self.dim)
        return x + self.table


class ViT(nn.Module):
    """Dosovitskiy et al. 2020. head: cls | gap | dist (DeiT's second token; the mean of both heads)."""

    def __init__(self, side, patch, dim, depth, heads, classes, style="sdpa", position="learned", head="cls", **block):
        super().__init__()
        grid = side // patch
        extra = {"cls": 1, "gap": 0, "dist": 2}[head]
        self.head_kind = head
        self.patch = nn.Conv2d(3, dim, patch, patch)
        self.extra = nn.Parameter(torch.randn(1, extra, dim)) if extra else None
        self.position = Position(position, grid, dim, extra)
        self.blocks = nn.ModuleList(Block(dim, heads, style, grid * grid + extra, **block) for _ in range(depth))
        self.norm, self.fc = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, classes)
        self.fc_dist = nn.Linear(dim, classes) if head == "dist" else None

    def forward(self, image):
        x = self.patch(image).flatten(2).transpose(1, 2)
        if self.extra is not None:
            x = torch.cat([self.extra.expand(x.shape[0], -1, -1), x], 1)
        x = self.position(x)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if self.head_kind == "dist":
            return (self.fc(x[:, 0]) + self.fc_dist(x[:, 1])) / 2
        return self.fc(x[:, 0] if self.head_kind == "cls" else x.mean(1))


class Logits(nn.Module):
    """Hugging Face's output objects, unwrapped."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model(image).logits


def hugging_face_vit(scale):
    import transformers

    sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=72, image_size=32, patch_size=8)
    config = transformers.ViTConfig(**(sizes if scale == "tiny" else {}), num_labels=10 if scale == "tiny" else 1000,
                                    attn_implementation="eager")
    return Logits(transformers.ViTForImageClassification(config))


# name: (arguments that make the tiny one, arguments that make the full one); tiny sizes differ on purpose
FAMILIES = {
    "vit": (dict(side=32, patch=8, dim=30, depth=2, heads=3, classes=10), dict(side=224, patch=16, dim=768, depth=12, heads=12, classes=1000)),
    "vit_small": (dict(side=30, patch=10, dim=36, depth=2, heads=3, classes=7, style="scores"), dict(side=224, patch=16, dim=384, depth=12, heads=6, classes=1000, style="scores")),
    "vit_gap": (dict(side=28, patch=7, dim=32, depth=2, heads=2, classes=9, head="gap", style="query"), dict(side=224, patch=16, dim=384, depth=12, heads=6, classes=1000, head="gap", style="query")),
    "deit_dist": (dict(side=32, patch=8, dim=32, depth=2, heads=4, classes=10, head="dist"), dict(side=224, patch=16, dim=192, depth=12, heads=3, classes=1000, head="dist")),
    "bert_like": (dict(side=24, patch=8, dim=36, depth=2, heads=3, classes=10, style="separate", post_norm=True), dict(side=96, patch=8, dim=192, depth=3, heads=3, classes=100, style="separate", post_norm=True)),
    "layer_scale": (dict(side=32, patch=8, dim=32, depth=2, heads=2, classes=10, layer_scale=True, gelu="tanh"), dict(side=224, patch=16, dim=192, depth=12, heads=3, classes=1000, layer_scale=True, gelu="tanh")),
    "pos_none": (dict(side=24, patch=6, dim=32, depth=2, heads=2, classes=10, head="gap", position="none", style="chunk"), None),
    "pos_fixed1d": (dict(side=24, patch=8, dim=32, depth=2, heads=2, classes=10, position="fixed1d", gelu="hand", style="scores"), None),
    "pos_relative1d": (dict(side=24, patch=8, dim=36, depth=2, heads=3, classes=10, head="gap", position="none", style="relative"), None),
    "pos_learned2d": (dict(side=24, patch=8, dim=32, depth=2, heads=2, classes=10, head="gap", position="learned2d", style="scores"), None),
    "pos_fixed2d": (dict(side=24, patch=8, dim=32, depth=2, heads=2, classes=10, head="gap", position="fixed2d"), None),
    "pos_computed": (dict(side=24, patch=8, dim=32, depth=2, heads=2, classes=10, head="gap", position="computed", style="scores"), None),
}


def perturb(model, seed=7):
    """No zero bias, no unit gain: every vector gets noise."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() <= 1 or float(parameter.std()) == 0:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model


def spike(model):
    """The habits of trained models: a few channels a hundred times larger, attention rows almost one-hot."""
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.LayerNorm):
                module.weight[[3, 17]] *= 10
                module.bias[[3, 17]] += 20
            if isinstance(module, nn.Linear) and name.split(".")[-1] in ("qkv", "q", "k", "query", "key"):
                module.weight *= 4
    return model


def family(name, scale, spiky=False):
    torch.manual_seed(1)
    if name in LITERATURE:
        model, side = LITERATURE[name](), 32
    elif name == "hf_vit":
        model, side = hugging_face_vit(scale), 32 if scale == "tiny" else 224
    else:
        arguments = FAMILIES[name][0 if scale == "tiny" else 1]
        model, side = ViT(**arguments), arguments["side"]
    model = perturb(model.eval())
    return (spike(model) if spiky else model).eval(), side


def names(scale):
    return [n for n in FAMILIES if scale == "tiny" or FAMILIES[n][1]] + ["hf_vit"] + (list(LITERATURE) if scale == "tiny" else [])
