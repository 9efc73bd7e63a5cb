# SPDX-License-Identifier: Apache-2.0
"""A detector on a small trunk (Li et al. 2021, ViT-FRCNN): proposals by top-k and suppression, regions of the map, classes.

torchvision's nms and roi_align as ops of our own, with plain PyTorch for the truth; the TorchScript exporter writes
NonMaxSuppression and RoiAlign, with what torchvision's own symbolics write around them.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.onnx import symbolic_helper

from literature import Trunk, softmax_attention

lib = torch.library.Library("detector", "DEF")
lib.define("nms(Tensor boxes, Tensor scores, float overlap) -> Tensor")
lib.define("roi_align(Tensor x, Tensor rois, float scale, int height, int width, int samples) -> Tensor")


def nms(boxes, scores, overlap):
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        joint = [(torch.minimum(boxes[i, 2:], boxes[k, 2:]) - torch.maximum(boxes[i, :2], boxes[k, :2])).clamp(min=0).prod() for k in kept]
        if all(j / (area[i] + area[k] - j) <= overlap for j, k in zip(joint, kept)):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


def bilinear(x, v, u):
    """x [C, H, W] at row v and column u, as RoiAlign reads."""
    height, width = x.shape[1:]
    if v < -1 or v > height or u < -1 or u > width:
        return torch.zeros_like(x[:, 0, 0])
    v, u = max(v, 0.0), max(u, 0.0)
    top, left = min(int(v), height - 1), min(int(u), width - 1)
    low, right = min(top + 1, height - 1), min(left + 1, width - 1)
    a, b = (v - top if top < height - 1 else 0.0), (u - left if left < width - 1 else 0.0)
    return (1 - a) * ((1 - b) * x[:, top, left] + b * x[:, top, right]) + a * ((1 - b) * x[:, low, left] + b * x[:, low, right])


def roi_align(x, rois, scale, height, width, samples):
    """x [N, C, H, W], rois [R, 5] (picture, x0, y0, x1, y1) -> [R, C, height, width]; corners are not moved by half a pixel."""
    out = []
    for n, *corners in rois.tolist():
        x0, y0, x1, y1 = (c * scale for c in corners)
        w, h = max(x1 - x0, 1.0) / width, max(y1 - y0, 1.0) / height
        cells = [torch.stack([bilinear(x[int(n)], y0 + (i + (a + 0.5) / samples) * h, x0 + (j + (b + 0.5) / samples) * w)
                              for a in range(samples) for b in range(samples)]).mean(0) for i in range(height) for j in range(width)]
        out.append(torch.stack(cells, 1).reshape(-1, height, width))
    return torch.stack(out)


lib.impl("nms", nms, "CPU")
lib.impl("roi_align", roi_align, "CPU")


@symbolic_helper.parse_args("v", "v", "f")
def nms_symbolic(g, boxes, scores, overlap):
    boxes = symbolic_helper._unsqueeze_helper(g, boxes, [0])
    scores = symbolic_helper._unsqueeze_helper(g, symbolic_helper._unsqueeze_helper(g, scores, [0]), [0])
    most = g.op("Constant", value_t=torch.tensor([2**63 - 1], dtype=torch.int64))
    chosen = g.op("NonMaxSuppression", boxes, scores, most, g.op("Constant", value_t=torch.tensor([overlap])))
    return symbolic_helper._squeeze_helper(g, g.op("Gather", chosen, g.op("Constant", value_t=torch.tensor([2])), axis_i=1), [1])


@symbolic_helper.parse_args("v", "v", "f", "i", "i", "i")
def roi_align_symbolic(g, x, rois, scale, height, width, samples):
    picture = symbolic_helper._squeeze_helper(g, g.op("Gather", rois, g.op("Constant", value_t=torch.tensor([0])), axis_i=1), [1])
    corners = g.op("Gather", rois, g.op("Constant", value_t=torch.tensor([1, 2, 3, 4])), axis_i=1)
    return g.op("RoiAlign", x, corners, g.op("Cast", picture, to_i=7), coordinate_transformation_mode_s="output_half_pixel",
                output_height_i=height, output_width_i=width, sampling_ratio_i=samples, spatial_scale_f=scale)


torch.onnx.register_custom_op_symbolic("detector::nms", nms_symbolic, 11)
torch.onnx.register_custom_op_symbolic("detector::roi_align", roi_align_symbolic, 16)


class Detector(Trunk):
    """One picture of 32 x 32 -> [R, 4 + 10]: boxes of at most 20 regions, whose number the picture decides, and their classes."""

    def __init__(self):
        super().__init__()
        self.objectness, self.deltas = nn.Linear(self.dim, 1), nn.Linear(self.dim, 4)
        self.fc, self.classes, self.boxes = nn.Linear(9 * self.dim, 32), nn.Linear(32, 10), nn.Linear(32, 4)
        at = torch.arange(8) * 4.0 + 2
        y, x = torch.meshgrid(at, at, indexing="ij")
        self.register_buffer("anchors", torch.stack((x, y, torch.full_like(x, 12), torch.full_like(x, 9)), -1).reshape(-1, 4))

    def mix(self, x, i):
        return self.join_heads(softmax_attention(*self.split_heads(x.reshape(-1, 64, self.dim), i))).reshape(x.shape)

    @staticmethod
    def corners(anchors, d):
        center, size = anchors[:, :2] + d[:, :2] * anchors[:, 2:], anchors[:, 2:] * torch.exp(d[:, 2:].clamp(max=2.0))
        return torch.cat((center - size / 2, center + size / 2), 1)

    def finish(self, x):
        score, best = self.objectness(x).reshape(-1).sigmoid().topk(24)
        boxes = self.corners(self.anchors[best], self.deltas(x).reshape(-1, 4)[best] * 0.3).clamp(0, 32)
        rois = boxes[torch.ops.detector.nms(boxes, score, 0.25)[:20]]
        pictures = torch.cat((torch.zeros_like(rois[:, :1]), rois), 1)
        y = torch.ops.detector.roi_align(x.permute(0, 3, 1, 2).contiguous(), pictures, 0.25, 3, 3, 2)
        y = F.relu(self.fc(y.flatten(1)))
        middle = torch.cat(((rois[:, :2] + rois[:, 2:]) / 2, rois[:, 2:] - rois[:, :2]), 1)
        return torch.cat((self.corners(middle, self.boxes(y) * 0.3) / 32, self.classes(y)), 1)
