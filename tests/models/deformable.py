# SPDX-License-Identifier: Apache-2.0
"""Deformable convolutions (Dai et al. 2017, Zhu et al. 2018) as segmenters have them (Zheng et al. 2024, BiRefNet): offsets and a mask
are convolutions of the same picture.

torchvision's op, or where torchvision cannot be loaded one of that name in plain PyTorch: PyTorch's dynamo exporter knows it, and the
symbolic for TorchScript's is what deform_conv2d_onnx_exporter writes.
"""
import torch
import torch.nn as nn
from torch.onnx import symbolic_helper

SCHEMA = ("deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, SymInt pad_h, "
          "SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor")


def size_of(x, weight, stride, pad, dilation):
    return [(x.shape[2 + i] + 2 * pad[i] - dilation[i] * (weight.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in (0, 1)]


def pixels_at(x, y, u):
    """x [N, C, H, W] at rows y and columns u [N, P] of whole numbers: [N, C, P], zeros outside."""
    height, width = x.shape[2:]
    inside = (y >= 0) & (y < height) & (u >= 0) & (u < width)
    at = (y.clamp(0, height - 1) * width + u.clamp(0, width - 1)).long()
    return x.flatten(2).gather(2, at[:, None].expand(-1, x.shape[1], -1)) * inside[:, None]


def deform_conv2d(x, weight, offset, mask, bias, sh, sw, ph, pw, dh, dw, groups, offset_groups, use_mask):
    n, c = x.shape[:2]
    kh, kw = weight.shape[2:]
    h, w = size_of(x, weight, (sh, sw), (ph, pw), (dh, dw))
    offset = offset.view(n, offset_groups, kh * kw, 2, h, w)
    parts = []
    for g in range(offset_groups):
        own = x[:, g * c // offset_groups:(g + 1) * c // offset_groups]
        taps = []
        for k in range(kh * kw):
            y = offset[:, g, k, 0] + torch.arange(h, dtype=x.dtype)[:, None] * sh - ph + k // kw * dh
            u = offset[:, g, k, 1] + torch.arange(w, dtype=x.dtype)[None, :] * sw - pw + k % kw * dw
            y, u = y.flatten(1), u.flatten(1)
            a, b = y - y.floor(), u - u.floor()
            y, u = y.floor(), u.floor()
            tap = sum(pixels_at(own, y + i, u + j) * ((a if i else 1 - a) * (b if j else 1 - b))[:, None] for i in (0, 1) for j in (0, 1))
            taps.append(tap * mask.view(n, offset_groups, kh * kw, 1, h * w)[:, g, k] if use_mask else tap)
        parts.append(torch.stack(taps, 2))
    columns = torch.cat(parts, 1).view(n, groups, c // groups * kh * kw, h * w)
    y = torch.einsum("gmk,ngkp->ngmp", weight.reshape(groups, weight.shape[0] // groups, -1), columns)
    return y.reshape(n, -1, h, w) + bias[None, :, None, None]


def meta(x, weight, offset, mask, bias, sh, sw, ph, pw, dh, dw, groups, offset_groups, use_mask):
    return x.new_empty(x.shape[0], weight.shape[0], *size_of(x, weight, (sh, sw), (ph, pw), (dh, dw)))


try:
    import torchvision  # noqa: F401
except Exception:
    lib = torch.library.Library("torchvision", "FRAGMENT")
    lib.define(SCHEMA)
    lib.impl("deform_conv2d", deform_conv2d, "CPU")
    lib.impl("deform_conv2d", meta, "Meta")


@symbolic_helper.parse_args("v", "v", "v", "v", "v", "i", "i", "i", "i", "i", "i", "i", "i", "b")
def symbolic(g, x, weight, offset, mask, bias, sh, sw, ph, pw, dh, dw, groups, offset_groups, use_mask):
    operands = [x, weight, offset, bias] + ([mask] if use_mask else [])
    return g.op("DeformConv", *operands, dilations_i=[dh, dw], group_i=groups, offset_group_i=offset_groups, pads_i=[ph, pw, ph, pw], strides_i=[sh, sw])


torch.onnx.register_custom_op_symbolic("torchvision::deform_conv2d", symbolic, 19)


class DeformableConv(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, offset_groups=1, masked=True):
        super().__init__()
        self.kernel, self.stride, self.groups, self.offset_groups, self.masked = kernel, stride, groups, offset_groups, masked
        like = dict(kernel_size=kernel, stride=stride, padding=kernel // 2)
        self.offset = nn.Conv2d(inputs, 2 * offset_groups * kernel * kernel, **like)
        self.modulator = nn.Conv2d(inputs, offset_groups * kernel * kernel, **like)
        self.regular = nn.Conv2d(inputs, outputs, groups=groups, **like)

    def forward(self, x):
        offset, mask = self.offset(x) * 2, 2 * torch.sigmoid(self.modulator(x))
        if not self.masked:
            mask = x.new_zeros(x.shape[0], 1)
        s, p = self.stride, self.kernel // 2
        return torch.ops.torchvision.deform_conv2d(x, self.regular.weight, offset, mask, self.regular.bias, s, s, p, p, 1, 1, self.groups,
                                                   self.offset_groups, self.masked)


class Deformable(nn.Module):
    """A stem, kernels of 1, 3 and 5 side by side, as BiRefNet's decoder has them, and a strided one in groups without a mask."""

    def __init__(self, dim=16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, dim, 3, stride=2, padding=1), nn.BatchNorm2d(dim), nn.ReLU())
        self.sides = nn.ModuleList(DeformableConv(dim, 8, k) for k in (1, 3, 5))
        self.grouped = DeformableConv(24, 12, 3, stride=2, groups=2, offset_groups=2, masked=False)
        self.head = nn.Conv2d(12, 5, 1)

    def forward(self, image):
        x = self.stem(image)
        x = torch.relu(torch.cat([side(x) for side in self.sides], 1))
        return self.head(torch.relu(self.grouped(x)))
