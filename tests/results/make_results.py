#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/results/data: for each kind of result a small random model with its config.json and preprocessor_config.json, and what
transformers' post-processing (for YOLO's kind ONNX Runtime's NonMaxSuppression) makes of PyTorch's outputs on Pillow's pixels.

usage: make_results.py [CASE...]     (needs torch, transformers, onnx, onnxruntime, pillow, pyyaml and scipy)
"""
import importlib
import inspect
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import torch
import yaml
from onnx import TensorProto, helper
from PIL import Image
from torch import nn
from torch.nn import functional as F

sys.modules["torchvision"] = None  # transformers then takes what needs Pillow alone
HERE = os.path.dirname(os.path.abspath(__file__))
PICTURE = os.path.join(HERE, "..", "pictures", "data", "rgb.png")
MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
LABELS = ["wall", "sky", "tree", "road", "cat"]
SKIPPED = (255, 254, 253)  # of expected.png: pixels where two classes are nearly equal


# -- models: a few convolutions over the picture ---------------------------------------------------------------------------------------

def scattered(layer, gain):
    nn.init.normal_(layer.weight, std=gain / np.sqrt(layer.weight[0].numel()))
    nn.init.normal_(layer.bias, std=0.3 * gain)
    return layer


class Detector(nn.Module):
    """Places as queries: logits and boxes, as DETR has them."""

    def __init__(self, classes, gain=3.0):
        super().__init__()
        self.stem = scattered(nn.Conv2d(3, 12, 8, stride=8), 2)
        self.logits = scattered(nn.Linear(12, classes), gain)
        self.boxes = scattered(nn.Linear(12, 4), 1)

    def forward(self, pixel_values):
        x = torch.tanh(self.stem(pixel_values)).flatten(2).transpose(1, 2)
        return self.logits(x), self.boxes(x).sigmoid()


class Planes(nn.Module):
    """`count` planes at 1 / stride of the size, smoothed."""

    def __init__(self, count, stride, gain=2.0, end=None):
        super().__init__()
        self.stem = scattered(nn.Conv2d(3, 8, stride, stride=stride), 2)
        self.head = scattered(nn.Conv2d(8, count, 3, padding=1), gain)
        self.end = end

    def forward(self, pixel_values):
        x = self.head(torch.tanh(self.stem(pixel_values)))
        return self.end(x) if self.end else x


class Depth(nn.Module):
    def __init__(self):
        super().__init__()
        self.planes = Planes(1, 4)

    def forward(self, pixel_values):
        return F.relu(self.planes(pixel_values)[:, 0] + 3)


class Queries(nn.Module):
    def __init__(self, classes, queries=9):
        super().__init__()
        self.planes = Planes(queries, 4, 14)
        self.register_buffer("own", 3 * torch.randn(queries, classes))
        self.logits = scattered(nn.Linear(2, classes), 1)

    def forward(self, pixel_values):
        masks = self.planes(pixel_values)
        features = torch.stack([masks.mean((2, 3)), masks.amax((2, 3))], 2)
        return self.logits(torch.tanh(features / 20)) + self.own, masks


class Segments(Queries):
    """The same with a part of the picture a query, and with so few queries for their classes that transformers' choice of the likeliest
    pairs comes in their order."""

    def __init__(self, height=12, width=16):
        super().__init__(71, 9)
        self.own[range(9), [0, 1, 2, 3, 4, 5, 0, 1, 70]] += torch.linspace(10, 7, 9)
        self.register_buffer("parts", F.interpolate(torch.eye(9).reshape(1, 9, 3, 3), size=(height, width), mode="bilinear"))

    def forward(self, pixel_values):
        logits, masks = super().forward(pixel_values)
        return logits, masks / 6 + 60 * self.parts - 24


class Tasked(Segments):
    """One that is told its task by tokens."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 71)

    def forward(self, pixel_values, task_inputs):
        logits, masks = super().forward(pixel_values)
        return logits + self.words(task_inputs % 20).mean(1)[:, None], masks


class PanopticDetr(Segments):
    """DETR's outputs with masks."""

    def forward(self, pixel_values):
        logits, masks = super().forward(pixel_values)
        return logits, logits[..., :4].sigmoid(), masks


class Placed(Detector):
    """A detector that places its boxes itself, as RT-DETR's own exports do."""

    def forward(self, images, orig_target_sizes):
        logits, boxes = super().forward(images)
        scores, index = logits.sigmoid().flatten(1).topk(40, dim=1)
        boxes = boxes.gather(1, (index // 5)[..., None].expand(-1, -1, 4))
        boxes = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], 2)
        return index % 5, boxes * orig_target_sizes.repeat(1, 2)[:, None], scores


class Restored(nn.Module):
    def __init__(self):
        super().__init__()
        self.planes = Planes(12, 1, 0.4)

    def forward(self, pixel_values):
        larger = F.interpolate(pixel_values, scale_factor=2.0, mode="nearest")
        return larger + F.pixel_shuffle(self.planes(pixel_values), 2)


class HeatMaps(nn.Module):
    """Smooth maps with a peak each."""

    def __init__(self, count):
        super().__init__()
        self.planes = Planes(count, 4, 3)

    def forward(self, pixel_values):
        x = torch.softmax(self.planes(pixel_values).flatten(2), 2).reshape(-1, 4, 16, 12)
        blur = torch.ones(4, 1, 5, 5) / 25
        return 8 * F.conv2d(F.conv2d(x, blur, padding=2, groups=4), blur, padding=2, groups=4)


class Points(nn.Module):
    """Pixels of a plane that are above the rest, as SuperPoint has them, with some behind them that are none."""

    def __init__(self):
        super().__init__()
        self.planes = Planes(1, 4, 3)

    def forward(self, pixel_values):
        x = self.planes(pixel_values)[0, 0]
        at = torch.nonzero(x > 2.5)
        scores = torch.cat([x[at[:, 0], at[:, 1]].sigmoid(), torch.zeros(3)])
        places = torch.cat([at.flip(1).float(), torch.zeros(3, 2)]) * 4 / torch.tensor([64.0, 48.0])
        mask = torch.cat([torch.ones_like(at[:, 0]), torch.zeros(3, dtype=torch.int64)]).int()
        return places[None], scores[None], places[None].repeat(1, 1, 2), mask[None]


class Towers(nn.Module):
    """A picture beside three texts, whose embeddings are part of the model."""

    def __init__(self):
        super().__init__()
        self.planes = Planes(8, 8)
        self.register_buffer("texts", torch.randn(3, 8))

    def forward(self, pixel_values):
        x = F.normalize(self.planes(pixel_values).mean((2, 3)), dim=1)
        logits = 6 * x @ F.normalize(self.texts, dim=1).T
        return logits, logits.T, x


class Texts(nn.Module):
    """A picture beside texts that are an input: as many as there are."""

    def __init__(self):
        super().__init__()
        self.planes, self.words = Planes(8, 8), nn.Embedding(20, 8)

    def forward(self, input_ids, pixel_values):
        x = F.normalize(self.planes(pixel_values).mean((2, 3)), dim=1)
        logits = 6 * x @ F.normalize(self.words(input_ids).mean(1), dim=1).T
        return logits, logits.T


class Reader(nn.Module):
    """The columns of a line as characters, the first of which stands between them."""

    def __init__(self, height, characters):
        super().__init__()
        self.columns = scattered(nn.Conv2d(3, 6, (height, 8), stride=4), 3)
        self.logits = scattered(nn.Linear(6, characters), 3)

    def forward(self, pixel_values):
        return self.logits(torch.tanh(self.columns(pixel_values)[:, :, 0].transpose(1, 2))).softmax(2)


class Masked(Detector):
    """A detector that is told where the picture lies."""

    def forward(self, pixel_values, pixel_mask):
        mask = F.interpolate(pixel_mask[:, None].float(), size=(6, 8), mode="nearest").flatten(2).transpose(1, 2)
        x = torch.tanh(self.stem(pixel_values)).flatten(2).transpose(1, 2) * mask
        return self.logits(x), self.boxes(x).sigmoid()


class Yolo(nn.Module):
    """[N,4+C,A], [N,A,5+C] or [N,K,6] of a picture of 64 x 64."""

    def __init__(self, classes, form):
        super().__init__()
        self.form = form
        self.count = {"planes": 4 + classes, "rows": 5 + classes, "done": 6}[form]
        self.heads = nn.ModuleList([Planes(self.count, 4, 2.5) for _ in range(3)])

    def forward(self, pixel_values):
        pools = [F.avg_pool2d(pixel_values, s) for s in (2, 4, 8)]
        rows = torch.cat([h(x).flatten(2) for h, x in zip(self.heads, pools)], 2).transpose(1, 2)
        if self.form == "rows":  # in steps of the grid and logarithms
            return torch.cat([rows[..., :2].sigmoid(), 0.4 * rows[..., 2:4] + 0.8, rows[..., 4:].sigmoid()], 2)
        if self.form == "done":
            corner = 30 * rows[..., :2].sigmoid()
            index = (5 * rows[..., 5:6].sigmoid()).floor().clamp(0, 4)
            return torch.cat([corner, corner + 34 * rows[..., 2:4].sigmoid(), rows[..., 4:5].sigmoid(), index], 2)[:, 20:70]
        boxes = torch.cat([20 + 24 * rows[..., :2].sigmoid(), 12 + 16 * rows[..., 2:4].sigmoid()], 2)
        return torch.cat([boxes, rows[..., 4:].sigmoid()], 2).transpose(1, 2)


# -- the picture as the model sees it --------------------------------------------------------------------------------------------------

def pixels(picture, height, width, shorter=None, padded=False, mean=MEAN, std=STD):
    """[1,3,height,width], of the nearest pixels (whose values no rounding decides), and (corner's x, y, resized width, height)."""
    w, h = picture.size
    if padded:
        size = (width, round(width * h / w)) if w >= h else (round(height * w / h), height)
        whole = Image.new("RGB", (width, height))
        whole.paste(picture.resize(size, Image.Resampling.NEAREST), (0, 0))
        return pixels(whole, height, width, mean=mean, std=std)[0], (0, 0, *size)
    if shorter:
        size = (shorter, shorter * h // w) if w <= h else (shorter * w // h, shorter)
    else:
        size = (width, height)
    resized = picture.resize(size, Image.Resampling.NEAREST)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    seen = resized.crop((left, top, left + width, top + height))
    x = (np.asarray(seen, np.float32) / 255 - np.float32(mean)) / np.float32(std)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32)), (left, top, *size)


def preprocessor(height, width, shorter=None, padded=False, mean=MEAN, std=STD):
    config = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "resample": 0, "do_rescale": True,
              "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": mean, "image_std": std,
              "do_center_crop": bool(shorter)}
    config["size"] = {"shortest_edge": shorter} if shorter else {"height": height, "width": width}
    if shorter:
        config["crop_size"] = {"height": height, "width": width}
    if padded:
        config.update({"image_processor_type": "EomtImageProcessor", "do_split_image": False, "do_pad": True,
                       "size": {"shortest_edge": height, "longest_edge": width}})
    return config


# -- what is expected ------------------------------------------------------------------------------------------------------------------

def named(index, **rest):
    label = {"label": LABELS[int(index)]} if int(index) < len(LABELS) else {}
    return {"index": int(index), **label, **rest}


def objects_of(result):
    rows = sorted(zip(result["scores"].tolist(), result["labels"].tolist(), result["boxes"].tolist()), key=lambda r: -r[0])
    assert rows, "nothing is above the threshold"
    return {"objects": [named(label, score=score, box=box) for score, label, box in rows]}


def back(box, seen, w, h):
    """A box of the input as one of the picture."""
    left, top, rw, rh = seen
    x0, y0, x1, y1 = box
    return [(x0 + left) * w / rw, (y0 + top) * h / rh, (x1 + left) * w / rw, (y1 + top) * h / rh]


def colour(index):
    """PASCAL VOC's colour of the number behind this one."""
    parts, number = [0, 0, 0], index + 1
    for bit in range(7, -1, -1):
        for c in range(3):
            parts[c] |= (number >> c & 1) << bit
        number >>= 3
    return parts


def mask_of(scores, unseen=None):
    """scores [C,H,W] of every pixel: the coloured picture and the shares."""
    two = scores.topk(2, dim=0)
    labels = two.indices[0].numpy()
    picture = np.array([colour(i) for i in range(scores.shape[0])], np.uint8)[labels]
    picture[(two.values[0] - two.values[1] < 1e-4 * scores.abs().max()).numpy()] = SKIPPED
    seen = np.ones(labels.shape, bool) if unseen is None else ~unseen
    picture[~seen] = 0
    counts = np.bincount(labels[seen], minlength=scores.shape[0])
    shares = [named(i, share=counts[i] / seen.sum()) for i in np.argsort(-counts, kind="stable") if counts[i]]
    return {"classes": shares, "seen": float(seen.mean())}, picture


def segments_of(result, task, near):
    """What is printed and painted of a post-processing's segments; `near`: pixels at which two of them are nearly equal."""
    of, map_ = result["segments_info"], result["segmentation"].numpy().astype(int)
    assert len(of) > 2, f"{len(of)} segments"
    assert len({round(one["score"], 3) for one in of}) == len(of), "two segments have one score"
    order = sorted(range(len(of)), key=lambda i: -of[i]["score"])
    picture, segments = np.zeros((*map_.shape, 3), np.uint8), []
    for rank, i in enumerate(order):
        here = map_ == of[i]["id"]
        picture[here] = colour(rank)
        segments.append(named(of[i]["label_id"], score=of[i]["score"], share=float(here.mean()),
                              colour="#%02x%02x%02x" % tuple(colour(rank))))
    if near is not None:
        picture[near.numpy()] = SKIPPED
    return {"segments": segments, "task": task, "seen": 1.0}, picture


def enlarged(x, size, interpolation):
    """torchvision's resize of a tensor, which OneFormer's processor takes."""
    return F.interpolate(x, size=size, mode=interpolation, align_corners=False, antialias=True)


def processor(name):
    """transformers' processor of pictures of that model, the one that needs Pillow alone."""
    module = importlib.import_module(f"transformers.models.{name[0]}.image_processing_pil_{name[0]}")
    of = getattr(module, name[1] + "ImageProcessorPil")
    if name[0] != "oneformer":
        return of()
    module.tvF = SimpleNamespace(InterpolationMode=SimpleNamespace(BILINEAR="bilinear"), resize=enlarged)
    made = of.__new__(of)  # without the names of classes, which it would fetch
    made.class_info_file = "coco_panoptic.json"
    return made


CASES = {}


def case(architecture, model, names, height=48, width=64, **recipe):
    def add(function):
        CASES[function.__name__] = (architecture, model, names, height, width, recipe, function)
        return function
    return add


DETECTS = ["logits", "pred_boxes"]


def detected(name, threshold):
    def post(out, s):
        result = processor(name).post_process_object_detection(
            SimpleNamespace(logits=out[0], pred_boxes=out[1]), threshold=threshold, target_sizes=[(s.h, s.w)])[0]
        return ["--threshold", str(threshold)], objects_of(result), None
    return post


@case("DetrForObjectDetection", lambda: Detector(6), DETECTS)
def detr(out, s):
    return detected(("detr", "Detr"), 0.5)(out, s)


@case("ConditionalDetrForObjectDetection", lambda: Detector(5), DETECTS)
def conditional_detr(out, s):
    return detected(("conditional_detr", "ConditionalDetr"), 0.3)(out, s)


@case("RTDetrForObjectDetection", lambda: Detector(5), DETECTS)
def rt_detr(out, s):
    return detected(("rt_detr", "RTDetr"), 0.4)(out, s)


@case("YolosForObjectDetection", lambda: Detector(6), DETECTS, height=40, width=40, shorter=46)
def cropped(out, s):
    """A detector whose picture is cropped: boxes of the input, taken back by hand."""
    result = processor(("yolos", "Yolos")).post_process_object_detection(
        SimpleNamespace(logits=out[0], pred_boxes=out[1]), threshold=0.4, target_sizes=[(40, 40)])[0]
    result["boxes"] = torch.tensor([back(b, s.seen, s.w, s.h) for b in result["boxes"].tolist()])
    return ["--threshold", "0.4"], objects_of(result), None


def placed_outputs(out, threshold):
    keep = out[2][0] > threshold
    return ["--threshold", str(threshold)], out[2][0][keep], out[0][0][keep], out[1][0][keep]


@case(None, lambda: Placed(5), ["labels", "boxes", "scores"])
def placed(out, s):
    """Boxes that the model itself has placed in the picture, beside those of transformers' post-processing of its queries."""
    options, scores, labels, boxes = placed_outputs(out, 0.97)
    inner = Detector.forward(s.module, s.x)
    result = processor(("rt_detr", "RTDetr")).post_process_object_detection(
        SimpleNamespace(logits=inner[0], pred_boxes=inner[1]), threshold=0.97, target_sizes=[(s.h, s.w)])[0]
    assert torch.equal(result["scores"], scores) and torch.allclose(result["boxes"], boxes, atol=1e-4)
    return options, objects_of({"scores": scores, "labels": labels, "boxes": boxes}), None


@case(None, lambda: Placed(5), ["labels", "boxes", "scores"], height=40, width=40, shorter=46)
def placed_cropped(out, s):
    """Of a picture that is cropped the input has the size that is given."""
    options, scores, labels, boxes = placed_outputs(out, 0.97)
    boxes = torch.tensor([back(b, s.seen, s.w, s.h) for b in boxes.tolist()])
    return options, objects_of({"scores": scores, "labels": labels, "boxes": boxes}), None


placed.more = {"orig_target_sizes": "picture"}
placed_cropped.more = {"orig_target_sizes": torch.tensor([[40, 40]])}


@case("SegformerForSemanticSegmentation", lambda: Planes(5, 4), ["logits"])
def segformer(out, s):
    scores = F.interpolate(out[0], size=(s.h, s.w), mode="bilinear", align_corners=False)[0]
    labels = processor(("segformer", "Segformer")).post_process_semantic_segmentation(
        SimpleNamespace(logits=out[0]), target_sizes=[(s.h, s.w)])[0]
    assert (labels == scores.argmax(0)).all()
    return [], *mask_of(scores)


@case("BeitForSemanticSegmentation", lambda: Planes(5, 4), ["logits"], height=40, width=40, shorter=46)
def cropped_mask(out, s):
    """A segmenter whose picture is cropped: read where each pixel of the picture is, by PyTorch's grid_sample."""
    left, top, rw, rh = s.seen
    x = ((torch.arange(s.w) + 0.5) * rw / s.w - left) / 40
    y = ((torch.arange(s.h) + 0.5) * rh / s.h - top) / 40
    grid = torch.stack([x[None, :].expand(s.h, s.w), y[:, None].expand(s.h, s.w)], 2) * 2 - 1
    scores = F.grid_sample(out[0], grid[None].float(), mode="bilinear", padding_mode="border", align_corners=False)[0]
    unseen = ((x < 0) | (x > 1))[None, :] | ((y < 0) | (y > 1))[:, None]
    return [], *mask_of(scores, unseen.numpy())


def by_queries(name):
    def post(out, s):
        result = processor(name).post_process_semantic_segmentation(
            SimpleNamespace(class_queries_logits=out[0], masks_queries_logits=out[1]), target_sizes=[(s.h, s.w)],
            return_segmentation_scores=True)[0]
        return [], *mask_of(result.segmentation_scores)
    return post


QUERIES = ["class_queries_logits", "masks_queries_logits"]


@case("MaskFormerForInstanceSegmentation", lambda: Queries(6), QUERIES)
def maskformer(out, s):
    return by_queries(("maskformer", "MaskFormer"))(out, s)


@case("Mask2FormerForUniversalSegmentation", lambda: Queries(6), QUERIES)
def mask2former(out, s):
    return by_queries(("mask2former", "Mask2Former"))(out, s)


def segmented(name, task, options, size=None):
    def post(out, s):
        outputs = SimpleNamespace(class_queries_logits=out[0], masks_queries_logits=out[1], logits=out[0], pred_masks=out[-1])
        result = getattr(processor(name), f"post_process_{task}_segmentation")(outputs, target_sizes=[(s.h, s.w)])[0]
        return options, *segments_of(result, task, near_ties(out[0], out[-1], size, s) if task == "panoptic" else None)
    return post


def near_ties(logits, masks, size, s):
    """Pixels at which the two largest weighed masks are nearly equal."""
    scores, labels = logits[0].softmax(1).max(1)
    kept = (scores > 0.5) & (labels < logits.shape[2] - 1)
    masks = F.interpolate(masks, size=size, mode="bilinear", align_corners=False) if size else masks
    masks = F.interpolate(masks.sigmoid(), size=(s.h, s.w), mode="bilinear", align_corners=False)[0, kept]
    two = (masks * scores[kept, None, None]).topk(2, dim=0).values
    return two[0] - two[1] < 1e-4 * two[0]


MASKFORMER, MASK2FORMER, ONEFORMER = ("maskformer", "MaskFormer"), ("mask2former", "Mask2Former"), ("oneformer", "OneFormer")
DETR, EOMT = ("detr", "Detr"), ("eomt", "Eomt")


@case("MaskFormerForInstanceSegmentation", Segments, QUERIES)
def maskformer_instance(out, s):
    return segmented(MASKFORMER, "instance", ["--task", "instance"])(out, s)


@case("Mask2FormerForUniversalSegmentation", Segments, QUERIES)
def mask2former_instance(out, s):
    return segmented(MASK2FORMER, "instance", [])(out, s)


mask2former_instance.called = "someone/mask2former-tiny-coco-instance"


@case("Mask2FormerForUniversalSegmentation", Segments, QUERIES)
def mask2former_panoptic(out, s):
    return segmented(MASK2FORMER, "panoptic", ["--task", "panoptic"], (384, 384))(out, s)


@case("OneFormerForUniversalSegmentation", Tasked, QUERIES)
def oneformer_instance(out, s):
    return segmented(ONEFORMER, "instance", ["--task", "instance"])(out, s)


@case("OneFormerForUniversalSegmentation", Tasked, QUERIES)
def oneformer_panoptic(out, s):
    return segmented(ONEFORMER, "panoptic", ["--input", "task_inputs=@task_inputs.npy"])(out, s)


# "the task is instance" and "... panoptic" as CLIP's tokenizer has them
oneformer_instance.more = {"task_inputs": torch.tensor([[49406, 518, 10549, 533, 34572, 49407] + 71 * [0]])}
oneformer_panoptic.more = {"task_inputs": torch.tensor([[49406, 518, 10549, 533, 1072, 24755, 49407] + 70 * [0]])}


@case("DetrForSegmentation", PanopticDetr, ["logits", "pred_boxes", "pred_masks"])
def detr_masks(out, s):
    return segmented(DETR, "panoptic", [])(out, s)


@case("DetrForSegmentation", PanopticDetr, ["logits", "pred_boxes", "pred_masks"])
def detr_instance(out, s):
    return segmented(DETR, "instance", ["--task", "instance"])(out, s)


def eomt(task, **threshold):
    def post(out, s):
        outputs = SimpleNamespace(class_queries_logits=out[0], masks_queries_logits=out[1], patch_offsets=None)
        result = getattr(processor(EOMT), f"post_process_{task}_segmentation")(
            outputs, target_sizes=[(s.h, s.w)], size={"shortest_edge": 64, "longest_edge": 64}, **threshold)[0]
        return ["--task", task, *(["--threshold", "0.4"] if threshold else [])], *segments_of(result, task, None)
    return post


@case("EomtForUniversalSegmentation", lambda: Segments(16, 16), QUERIES, height=64, width=64, padded=True)
def eomt_panoptic(out, s):
    return eomt("panoptic", threshold=0.4)(out, s)


@case("EomtForUniversalSegmentation", lambda: Segments(16, 16), QUERIES, height=64, width=64, padded=True)
def eomt_instance(out, s):
    return eomt("instance")(out, s)


@case("DPTForDepthEstimation", Depth, ["predicted_depth"])
def depth(out, s):
    plane = processor(("dpt", "DPT")).post_process_depth_estimation(
        SimpleNamespace(predicted_depth=out[0]), target_sizes=[(s.h, s.w)])[0]["predicted_depth"].numpy()
    grey = ((plane - plane.min()) / (plane.max() - plane.min()) * 255).astype(np.uint8)
    return [], {"depth": {"min": float(plane.min()), "max": float(plane.max()), "mean": float(plane.mean())}}, grey


@case("Swin2SRForImageSuperResolution", Restored, ["reconstruction"], mean=[0, 0, 0], std=[1, 1, 1])
def restored(out, s):
    x = out[0][0].clamp(0, 1).permute(1, 2, 0).numpy()
    return [], {"width": x.shape[1], "height": x.shape[0]}, (x * 255).round().astype(np.uint8)


@case("BiRefNet", lambda: Planes(1, 2, 3), ["logits"])
def foreground(out, s):
    plane = F.interpolate(out[0].sigmoid(), size=(s.h, s.w), mode="bilinear", align_corners=False)[0, 0].numpy()
    return [], {"foreground": float(plane.mean())}, (plane * 255).round().astype(np.uint8)


@case("VitPoseForPoseEstimation", lambda: HeatMaps(4), ["heatmaps"], height=64, width=48)
def pose(out, s):
    from transformers.models.vitpose import image_processing_pil_vitpose as vitpose
    maps = out[0].numpy()
    coords, scores = vitpose.get_keypoint_predictions(maps)
    coords = vitpose.post_dark_unbiased_data_processing(coords, maps, kernel=11)[0]
    # the map's outer pixels are the input's, and the whole input is the picture
    points = [((x * 47 / 11 + 0.5) * s.w / 48 - 0.5, (y * 63 / 15 + 0.5) * s.h / 64 - 0.5) for x, y in coords]
    return [], {"keypoints": [named(k, score=float(scores[0, k, 0]), x=float(p[0]), y=float(p[1]))
                              for k, p in enumerate(points)]}, None


@case("SuperPointForKeypointDetection", Points, ["keypoints", "scores", "descriptors", "mask"])
def superpoint(out, s):
    of = processor(("superpoint", "SuperPoint")).post_process_keypoint_detection(
        SimpleNamespace(keypoints=out[0], scores=out[1], descriptors=out[2], mask=out[3]), target_sizes=[(s.h, s.w)])[0]
    kept, at = out[3][0].nonzero()[:, 0], out[0][0] * torch.tensor([s.w, s.h])
    assert torch.equal(at[kept].to(torch.int32), of["keypoints"]) and 2 < len(kept) < len(at)
    return [], {"keypoints": [{"index": int(k), "score": float(score), "x": float(at[k, 0]), "y": float(at[k, 1])}
                              for k, score in zip(kept, of["scores"])]}, None


def texts(probabilities):
    def post(out, s):
        logits = out[0][0]
        return [], {"texts": [named(t, logit=float(l), probability=float(p))
                              for t, (l, p) in enumerate(zip(logits, probabilities(logits)))]}, None
    return post


TOWERS = ["logits_per_image", "logits_per_text", "image_embeds"]


@case("CLIPModel", Towers, TOWERS)
def clip(out, s):
    return texts(lambda x: x.softmax(0))(out, s)


@case("SiglipModel", Towers, TOWERS)
def siglip(out, s):
    return texts(lambda x: x.sigmoid())(out, s)


@case("CLIPModel", Texts, ["logits_per_image", "logits_per_text"])
def clip_texts(out, s):
    return ["--input", "input_ids=@input_ids.npy"], *texts(lambda x: x.softmax(0))(out, s)[1:]


clip_texts.more = {"input_ids": torch.tensor([[3, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8], [9, 7, 9, 3]])}


@case("DetrForObjectDetection", lambda: Masked(6), DETECTS)
def detr_mask(out, s):
    return detected(("detr", "Detr"), 0.5)(out, s)


detr_mask.more = {"pixel_mask": torch.ones(1, 12, 16, dtype=torch.int64)}


def suppressed(boxes, scores, labels, bound, s):
    beside = torch.zeros(1, len(LABELS), len(scores))
    beside[0, labels, torch.arange(len(scores))] = scores
    graph = helper.make_graph(
        [helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "bound", "least"], ["kept"])], "kept",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * 3) for n in ("boxes", "scores")],
        [helper.make_tensor_value_info("kept", TensorProto.INT64, [None, 3])],
        [helper.make_tensor("most", TensorProto.INT64, [1], [300]), helper.make_tensor("bound", TensorProto.FLOAT, [1], [bound]),
         helper.make_tensor("least", TensorProto.FLOAT, [1], [1e-3])])
    session = ort.InferenceSession(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())
    keep = session.run(None, {"boxes": boxes[None].numpy(), "scores": beside.numpy()})[0][:, 2]
    assert len(keep) < len(boxes), "nothing overlaps"
    boxes = torch.tensor([back(b, s.seen, s.w, s.h) for b in boxes[keep].tolist()])
    return objects_of({"scores": scores[keep], "labels": labels[keep], "boxes": boxes})


def corners(boxes):
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


@case(None, lambda: Yolo(5, "planes"), ["output0"], height=64, width=64)
def yolo_planes(out, s):
    rows = out[0][0].T
    scores, labels = rows[:, 4:].max(1)
    keep = scores > 0.6
    return ["--threshold", "0.6"], suppressed(corners(rows[keep, :4]), scores[keep], labels[keep], 0.7, s), None


@case(None, lambda: Yolo(5, "rows"), ["output"], height=64, width=64)
def yolo_rows(out, s):
    rows, grid = out[0][0], []
    for stride in (8, 16, 32):
        y, x = torch.meshgrid(torch.arange(64 // stride), torch.arange(64 // stride), indexing="ij")
        grid.append(torch.stack([x.flatten(), y.flatten(), torch.full((x.numel(),), stride)], 1).float())
    grid = torch.cat(grid)
    boxes = torch.cat([(rows[:, :2] + grid[:, :2]) * grid[:, 2:], rows[:, 2:4].exp() * grid[:, 2:]], 1)
    scores, labels = (rows[:, 5:] * rows[:, 4:5]).max(1)
    keep = scores > 0.4
    return ["--threshold", "0.4"], suppressed(corners(boxes[keep]), scores[keep], labels[keep], 0.45, s), None


@case(None, lambda: Yolo(5, "done"), ["output0"], height=64, width=64)
def yolo_done(out, s):
    rows = out[0][0]
    rows = rows[rows[:, 4] > 0.7]
    boxes = torch.tensor([back(b, s.seen, s.w, s.h) for b in rows[:, :4].tolist()])
    return ["--threshold", "0.7"], objects_of({"scores": rows[:, 4], "labels": rows[:, 5].long(), "boxes": boxes}), None


CHARACTERS = ["a", "B", "7", "'", "\u5b57", "\u00fc"]


def lined(picture, height, width):
    """What Paddle's RecResizeImg makes of a picture that is as high as the input: blue first, zeros to the right."""
    x = torch.zeros(1, 3, height, width)
    x[0, :, :, :picture.width] = torch.from_numpy(np.asarray(picture, np.float32)[:, :, ::-1].transpose(2, 0, 1) / 255 - 0.5) / 0.5
    return x


@case(None, lambda: Reader(61, 8), ["softmax_0.tmp_0"], height=61, width=120)
def text(out, s):
    """Read as PaddleX's CTCLabelDecode does."""
    values, index = out[0][0].max(1)
    two = out[0][0].topk(2).values
    kept = index != 0
    kept[1:] &= index[1:] != index[:-1]
    known = ["blank", *CHARACTERS, " "]
    line = "".join(known[i] for i in index[kept])
    assert two[:, 0].sub(two[:, 1]).min() > 1e-3 and (index == 0).any() and (index[1:] == index[:-1]).any() and len(line) > 5, line
    return [], {"text": line, "score": float(values[kept].mean())}, None


text.paddle = {"Global": {"model_name": "tiny_rec"},
               "PreProcess": {"transform_ops": [{"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}, {"MultiLabelEncode": {"gtc_encode": "NRTRLabelEncode"}},
                                                {"RecResizeImg": {"image_shape": [3, 61, 120]}}, {"KeepKeys": {"keep_keys": ["image", "valid_ratio"]}}]},
               "PostProcess": {"name": "CTCLabelDecode", "character_dict": CHARACTERS}}


# -- files -----------------------------------------------------------------------------------------------------------------------------

def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def make(name):
    architecture, model, names, height, width, recipe, post = CASES[name]
    torch.manual_seed(sum(map(ord, name)))
    folder = os.path.join(HERE, "data", name)
    os.makedirs(folder, exist_ok=True)
    picture = Image.open(PICTURE).convert("RGB")
    x, seen = pixels(picture, height, width, **recipe)
    if hasattr(post, "paddle"):
        x = lined(picture, height, width)
    module, more = model().eval(), getattr(post, "more", {})
    if more.get("orig_target_sizes") == "picture":
        more = {"orig_target_sizes": torch.tensor([[picture.width, picture.height]])}
    inputs = {"pixel_values": x, "images": x, **more}
    arguments = tuple(inputs[n] for n in inspect.signature(module.forward).parameters)
    with torch.no_grad():
        out = module(*arguments)
    out = out if isinstance(out, tuple) else (out,)
    options, result, expected = post(out, SimpleNamespace(w=picture.width, h=picture.height, seen=seen, x=x, module=module))
    path = os.path.join(folder, "model.onnx")
    ordered = list(inspect.signature(module.forward).parameters)
    axes = {n: {0: "texts" if n in ("input_ids", "logits_per_text") else "batch"} for n in [*ordered, *names]}
    if name in ("clip", "siglip"):
        del axes["logits_per_text"]
    torch.onnx.export(module, arguments, path, opset_version=17, dynamo=False, input_names=ordered, output_names=names, dynamic_axes=axes)
    for given in [option for option in options if "=@" in option]:
        np.save(os.path.join(folder, given.split("=@")[1]), more[given.split("=@")[0]].numpy())
    config = {"id2label": {str(i): label for i, label in enumerate(LABELS)}}
    if architecture:
        config["architectures"] = [architecture]
    if hasattr(post, "called"):
        config["_name_or_path"] = post.called
    if hasattr(post, "paddle"):
        with open(os.path.join(folder, "inference.yml"), "w", encoding="utf-8") as f:
            yaml.dump(post.paddle, f, default_flow_style=False, allow_unicode=True)
    else:
        write_json(os.path.join(folder, "config.json"), config)
        write_json(os.path.join(folder, "preprocessor_config.json"), preprocessor(height, width, **recipe))
    write_json(os.path.join(folder, "expected.json"), {"options": options, "result": result})
    if expected is not None:
        Image.fromarray(expected).save(os.path.join(folder, "expected.png"))
    print(name, os.path.getsize(path), {k: len(v) if hasattr(v, "__len__") else v for k, v in result.items()})


def main():
    for name in sys.argv[1:] or CASES:
        make(name)


main()
