# SPDX-License-Identifier: Apache-2.0
"""Small versions of the literature's other vision transformers, one idea each, written for these tests.

Each takes images of 32 x 32 to 10 classes (`Upsampled` to a map). What they are for is the shape of their graphs: windows and
rolls, axes, neighbourhoods, relative positions, rotary angles, channel attention, convolutions, resizing, sorting.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


def softmax_attention(q, k, v, bias=None):
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    return (scores if bias is None else scores + bias).softmax(-1) @ v


class Trunk(nn.Module):
    """Patches of 4 as a map [B, 8, 8, C]; blocks mix it with self.mix; mean, then the classes."""

    def __init__(self, dim=24, depth=2, heads=2):
        super().__init__()
        self.dim, self.heads, self.side = dim, heads, 8
        self.patches = nn.Conv2d(3, dim, 4, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2 * depth))
        self.qkv = nn.ModuleList(nn.Linear(dim, 3 * dim) for _ in range(depth))
        self.proj = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.fc1 = nn.ModuleList(nn.Linear(dim, 2 * dim) for _ in range(depth))
        self.fc2 = nn.ModuleList(nn.Linear(2 * dim, dim) for _ in range(depth))
        self.head = nn.Linear(dim, 10)

    def embed(self, image):
        return self.patches(image).permute(0, 2, 3, 1)

    def mlp(self, x, i):
        return self.fc2[i](F.gelu(self.fc1[i](x)))

    def forward(self, image):
        x = self.embed(image)
        for i in range(len(self.qkv)):
            x = x + self.proj[i](self.mix(self.norms[2 * i](x), i))
            x = x + self.mlp(self.norms[2 * i + 1](x), i)
        return self.finish(x)

    def finish(self, x):
        return self.head(x.mean(dim=(1, 2)))

    def split_heads(self, x, i):
        """[B, L, C] -> three of [B, heads, L, C / heads]"""
        b, n, c = x.shape
        return self.qkv[i](x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)

    @staticmethod
    def join_heads(y):
        b, h, n, d = y.shape
        return y.transpose(1, 2).reshape(b, n, h * d)


class Window(Trunk):
    """Liu et al. 2021: windows of 4, the second block's shifted by 2 behind a mask; a learned bias a distance."""

    def __init__(self):
        super().__init__()
        w = 4
        at = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")).flatten(1)
        apart = (at[:, :, None] - at[:, None]) + w - 1
        self.register_buffer("distance", apart[0] * (2 * w - 1) + apart[1])
        self.table = nn.Parameter(torch.randn((2 * w - 1) ** 2, self.heads) * 0.2)
        region = torch.zeros(8, 8)
        for r, rows in enumerate((slice(0, 4), slice(4, 6), slice(6, 8))):
            for c, columns in enumerate((slice(0, 4), slice(4, 6), slice(6, 8))):
                region[rows, columns] = 3 * r + c
        region = region.reshape(2, 4, 2, 4).permute(0, 2, 1, 3).reshape(4, 16)
        self.register_buffer("mask", (region[:, :, None] != region[:, None]) * -100.0)

    def bias(self, i):
        return self.table[self.distance.flatten()].reshape(16, 16, -1).permute(2, 0, 1)

    def scores(self, q, k, i):
        return q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5

    def mix(self, x, i):
        b, h, w, c = x.shape
        if i:
            x = torch.roll(x, (-2, -2), (1, 2))
        x = x.reshape(b, 2, 4, 2, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(b * 4, 16, c)
        q, k, v = self.split_heads(x, i)
        scores = self.scores(q, k, i) + self.bias(i)
        if i:
            scores = (scores.reshape(b, 4, self.heads, 16, 16) + self.mask[:, None]).reshape(b * 4, self.heads, 16, 16)
        y = self.join_heads(scores.softmax(-1) @ v)
        y = y.reshape(b, 2, 2, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
        return torch.roll(y, (2, 2), (1, 2)) if i else y


class Cosine(Window):
    """Liu et al. 2022 (v2): cosine scores, and a bias that a small network makes of the distance."""

    def __init__(self):
        super().__init__()
        self.tau = nn.Parameter(torch.rand(self.heads, 1, 1) + 1)
        apart = torch.stack(torch.meshgrid(torch.arange(-3.0, 4), torch.arange(-3.0, 4), indexing="ij"), -1).reshape(-1, 2)
        self.register_buffer("apart", torch.sign(apart) * torch.log2(1 + apart.abs()) / 3)
        self.net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, self.heads, bias=False))

    def bias(self, i):
        return 16 * torch.sigmoid(self.net(self.apart)[self.distance.flatten()].reshape(16, 16, -1).permute(2, 0, 1))

    def scores(self, q, k, i):
        return F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.tau.clamp(max=4.6).exp()


class Axial(Trunk):
    """Ho et al. 2019: along rows, then along columns."""

    def mix(self, x, i):
        b, h, w, c = x.shape
        x = x.transpose(1, 2) if i else x
        y = self.join_heads(softmax_attention(*self.split_heads(x.reshape(b * 8, 8, c), i))).reshape(b, 8, 8, c)
        return y.transpose(1, 2) if i else y


class Local(Trunk):
    """Ramachandran et al. 2019: each pixel sees the 3 x 3 around it."""

    def mix(self, x, i):
        b, h, w, c = x.shape
        q, k, v = self.qkv[i](x).chunk(3, -1)
        around = lambda t: torch.stack([F.pad(t, (0, 0, 1, 1, 1, 1))[:, r:r + h, s:s + w] for r in range(3) for s in range(3)], 3)
        split = lambda t: t.reshape(b, h, w, -1, self.heads, c // self.heads).transpose(3, 4)
        return softmax_attention(split(q), split(around(k)), split(around(v))).transpose(3, 4).reshape(b, h, w, c)


class Halo(Trunk):
    """Vaswani et al. 2021: blocks of 4 x 4 see 6 x 6 around them."""

    def __init__(self):
        super().__init__()
        self.register_buffer("at", torch.arange(6) + torch.tensor([[0], [4]]))

    def mix(self, x, i):
        b, h, w, c = x.shape
        q, k, v = self.qkv[i](x).chunk(3, -1)
        d = c // self.heads
        q = q.reshape(b, 2, 4, 2, 4, self.heads, d).permute(0, 1, 3, 5, 2, 4, 6).reshape(b, 4, self.heads, 16, d)
        around = lambda t: F.pad(t, (0, 0, 1, 1, 1, 1))[:, self.at][:, :, :, self.at].transpose(2, 3).reshape(b, 4, 36, self.heads, d).transpose(2, 3)
        y = softmax_attention(q, around(k), around(v)).reshape(b, 2, 2, self.heads, 4, 4, d)
        return y.permute(0, 1, 4, 2, 5, 3, 6).reshape(b, h, w, c)


class Sparse(Trunk):
    """Child et al. 2019: every fourth token, and the last four; the mask is a constant."""

    def __init__(self):
        super().__init__()
        apart = torch.arange(64)[:, None] - torch.arange(64)
        self.register_buffer("mask", (apart >= 0) & ((apart < 4) | (apart % 4 == 0)))

    def mix(self, x, i):
        b, h, w, c = x.shape
        q, k, v = self.split_heads(x.reshape(b, 64, c), i)
        scores = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).masked_fill(~self.mask, float("-inf"))
        return self.join_heads(scores.softmax(-1) @ v).reshape(b, h, w, c)


class Rotary(Trunk):
    """Su et al. 2021 on pairs of channels, and Shazeer's SwiGLU from one product."""

    def __init__(self):
        super().__init__()
        angle = torch.arange(64.0)[:, None] * (0.5 ** torch.arange(6.0)).repeat_interleave(2)
        self.register_buffer("sin", angle.sin())
        self.register_buffer("cos", angle.cos())
        self.gate = nn.ModuleList(nn.Linear(self.dim, 4 * self.dim) for _ in range(2))

    def turn(self, x):
        return x * self.cos + torch.stack((-x[..., 1::2], x[..., ::2]), -1).reshape(x.shape) * self.sin

    def mix(self, x, i):
        q, k, v = self.split_heads(x.reshape(-1, 64, self.dim), i)
        return self.join_heads(softmax_attention(self.turn(q), self.turn(k), v)).reshape(x.shape)

    def mlp(self, x, i):
        a, b = self.gate[i](x).chunk(2, -1)
        return self.fc2[i](F.silu(a) * b)


class Channels(Trunk):
    """El-Nouby et al. 2021: attention among channels, a depthwise convolution, and class attention at the end."""

    def __init__(self):
        super().__init__()
        self.tau = nn.Parameter(torch.rand(self.heads, 1, 1) + 1)
        self.near = nn.Conv2d(self.dim, self.dim, 3, padding=1, groups=self.dim)
        self.norm = nn.BatchNorm2d(self.dim)
        self.token = nn.Parameter(torch.randn(1, 1, self.dim))
        self.ask, self.keys = nn.Linear(self.dim, self.dim), nn.Linear(self.dim, 2 * self.dim)

    def mix(self, x, i):
        q, k, v = (t.transpose(-2, -1) for t in self.split_heads(x.reshape(-1, 64, self.dim), i))
        y = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.tau).softmax(-1) @ v
        y = y.permute(0, 3, 1, 2).reshape(x.shape)
        return y + self.norm(F.gelu(self.near(y.permute(0, 3, 1, 2)))).permute(0, 2, 3, 1)

    def finish(self, x):
        b = x.shape[0]
        x = torch.cat((self.token.expand(b, -1, -1), x.reshape(b, 64, self.dim)), 1)
        split = lambda t: t.reshape(b, -1, self.heads, self.dim // self.heads).transpose(1, 2)
        k, v = self.keys(x).chunk(2, -1)
        return self.head(self.join_heads(softmax_attention(split(self.ask(x[:, :1])), split(k), split(v)))[:, 0])


class Hybrid(Trunk):
    """A convolutional stem with standardised weights, batch norm and pooling; grid attention and squeeze-excitation."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, 2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(12)
        self.widen, self.near = nn.Conv2d(12, 24, 1), nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.squeeze, self.excite = nn.Conv2d(24, 6, 1), nn.Conv2d(6, 24, 1)
        self.narrow = nn.Conv2d(24, self.dim, 1)
        self.group = nn.GroupNorm(4, self.dim)

    def embed(self, image):
        w = self.stem.weight
        mean, var = w.mean((1, 2, 3), keepdim=True), w.var((1, 2, 3), keepdim=True, unbiased=False)
        x = F.relu(self.norm(F.conv2d(image, (w - mean) / (var + 1e-5).sqrt(), stride=2, padding=1)))
        x = F.silu(self.near(F.max_pool2d(F.silu(self.widen(x)), 3, 2, 1)))
        x = x * self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))).sigmoid()
        return self.group(self.narrow(F.avg_pool2d(x, 3, 1, 1))).permute(0, 2, 3, 1)

    def mix(self, x, i):
        b, h, w, c = x.shape
        x = x.reshape(b, 4, 2, 4, 2, c).permute(0, 2, 4, 1, 3, 5).reshape(b * 4, 16, c)
        y = self.join_heads(softmax_attention(*self.split_heads(x, i)))
        return y.reshape(b, 2, 2, 4, 4, c).permute(0, 3, 1, 4, 2, 5).reshape(b, h, w, c)


class Grouped(Trunk):
    """Chen et al. 2021 (Visformer), Srinivas et al. 2021 (BoTNet): maps of channels; windows over groups of channels, batch
    norm, and attention whose query, key and value are a convolution, with a learned bias for each row and column."""

    def __init__(self):
        super().__init__(dim=32)
        self.batch_norms = nn.ModuleList(nn.BatchNorm2d(32) for _ in range(2))
        self.widen, self.within = nn.Conv2d(32, 64, 1), nn.Conv2d(64, 64, 3, padding=1, groups=4, bias=False)
        self.narrow, self.ask = nn.Conv2d(64, 32, 1), nn.Conv2d(32, 96, 1, bias=False)
        self.rows, self.columns = (nn.Parameter(torch.randn(15, 16) * 0.2) for _ in range(2))
        at = torch.arange(8)
        self.register_buffer("apart", at[:, None] - at[None, :] + 7)

    def mix(self, x, i):
        x = self.batch_norms[i](x.permute(0, 3, 1, 2))
        if i == 0:
            y = self.narrow(F.gelu(self.within(F.gelu(self.widen(x)))))
        else:
            b, c, h, w = x.shape
            q, k, v = self.ask(x).reshape(b, 3, 2, c // 2, h * w).permute(1, 0, 2, 4, 3).unbind(0)
            q = q.reshape(b, 2, h, w, c // 2)
            rows = torch.einsum("bnhwd,hkd->bnhwk", q, self.rows[self.apart])[..., :, None]
            columns = torch.einsum("bnhwd,wkd->bnhwk", q, self.columns[self.apart])[..., None, :]
            y = softmax_attention(q.reshape(b, 2, 64, -1), k, v, (rows + columns).reshape(b, 2, 64, 64))
            y = y.permute(0, 1, 3, 2).reshape(b, c, h, w)
        return y.permute(0, 2, 3, 1)


class Reduced(Trunk):
    """Wang et al. 2021 (PVT), Chu et al. 2021 (Twins): keys and values of a map that a strided convolution made smaller, a
    depthwise convolution as position, and heads that are mixed before and behind the softmax (Touvron et al. 2021)."""

    def __init__(self):
        super().__init__()
        self.smaller, self.norm = nn.Conv2d(24, 24, 2, 2), nn.LayerNorm(24)
        self.place = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.before, self.behind = nn.Linear(2, 2), nn.Linear(2, 2)

    def mix(self, x, i):
        b, h, w, c = x.shape
        flat = x.reshape(b, h * w, c)
        if i == 0:
            y = flat.transpose(1, 2).reshape(b, c, h, w)
            flat = (y + self.place(y)).flatten(2).transpose(1, 2)
        small = self.smaller(flat.transpose(1, 2).reshape(b, c, h, w)).reshape(b, c, -1).permute(0, 2, 1)
        split = lambda t: t.reshape(b, -1, self.heads, c // self.heads).permute(0, 2, 1, 3)
        q, _, _ = self.qkv[i](flat).chunk(3, -1)
        _, k, v = self.qkv[i](self.norm(small)).chunk(3, -1)
        q, k, v = split(q), split(k), split(v)
        if i == 0:
            return self.join_heads(softmax_attention(q, k, v)).reshape(x.shape)
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        weights = self.before(scores.permute(0, 2, 3, 1)).softmax(dim=-2)
        return self.join_heads(self.behind(weights).permute(0, 3, 1, 2) @ v).reshape(x.shape)


class Upsampled(Axial):
    """Zheng et al. 2021 (SETR): a map of classes, enlarged; the position embedding is resized from 6 x 6."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, self.dim, 6, 6))

    def embed(self, image):
        at = F.interpolate(self.position, size=(8, 8), mode="bicubic", align_corners=False)
        return (self.patches(image) + at).permute(0, 2, 3, 1)

    def finish(self, x):
        y = F.interpolate(self.head(x).permute(0, 3, 1, 2), scale_factor=2, mode="nearest")
        return F.interpolate(y, size=(28, 20), mode="bilinear", align_corners=False)


class Shuffled(Trunk):
    """He et al. 2022 (MAE): the image decides an order of the patches; a quarter is seen, the rest is a mask token."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(1, 1, self.dim))

    def embed(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        order = torch.argsort(x.sum(-1), dim=1)
        back = torch.argsort(order, dim=1)
        seen = torch.gather(x, 1, order[:, :16].unsqueeze(-1).expand(-1, -1, self.dim))
        all_of_them = torch.cat((seen, self.hidden.expand(x.shape[0], 48, -1)), 1)
        return torch.gather(all_of_them, 1, back.unsqueeze(-1).expand(-1, -1, self.dim)).reshape(-1, 8, 8, self.dim)

    def mix(self, x, i):
        return self.join_heads(softmax_attention(*self.split_heads(x.reshape(-1, 64, self.dim), i))).reshape(x.shape)


LITERATURE = {"window": Window, "cosine": Cosine, "axial": Axial, "local": Local, "halo": Halo, "sparse": Sparse, "rotary": Rotary,
              "channels": Channels, "hybrid": Hybrid, "grouped": Grouped, "reduced": Reduced, "upsampled": Upsampled, "shuffled": Shuffled}
