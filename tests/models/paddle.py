#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pre-processing by Paddle's files beside OpenCV. usage: paddle.py VITJIT FOLDER [NAME...]

Each case is a file as PaddleOCR, PaddleX, PaddleClas and PaddleDetection export it, and what its steps are: the operators of PaddleX 3.7 and PaddleDetection,
written out below with OpenCV and NumPy. A model that gives back its input shows what vitjit makes of a picture; it must be the same within 2/255 of a pixel's range
before mean and std, as processors.py has it.
"""
import math
import os
import sys

import cv2
import numpy as np
import yaml
from PIL import Image

import processors

MEAN, STD = processors.IMAGENET
LINEAR, CUBIC, NEAREST = cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST


def resize(image, width, height, how=LINEAR):
    return image if image.shape[:2] == (height, width) else cv2.resize(image, (width, height), interpolation=how)


def resize_short(image, side, how=LINEAR):
    h, w = image.shape[:2]
    scale = side / min(h, w)
    return resize(image, round(w * scale), round(h * scale), how)


def resize_within(image, height, width, how=LINEAR):
    """PaddleDetection's keep_ratio."""
    h, w = image.shape[:2]
    scale = min(max(height, width) / max(h, w), min(height, width) / min(h, w))
    return resize(image, round(w * scale), round(h * scale), how)


def crop(image, width, height):
    h, w = image.shape[:2]
    top, left = (h - height) // 2, (w - width) // 2
    return image[top:top + height, left:left + width]


def normalize(image, mean=MEAN, std=STD, scale=1 / 255):
    return ((image.astype(np.float32) * np.float32(scale) - np.array(mean, np.float32)) / np.array(std, np.float32)).transpose(2, 0, 1)


def line(image, height, width):
    """A line of text: the height, the width that goes with it, zeros."""
    h, w = image.shape[:2]
    to = min(width, math.ceil(height * (w / h)))
    out = np.zeros((3, height, width), np.float32)
    out[:, :, :to] = (cv2.resize(image, (to, height)).astype(np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5
    return out


def page(image, side, kind):
    """A page for a detector of text: sides within limits, multiples of 32."""
    h, w = image.shape[:2]
    if h + w < 64:
        padded = np.zeros((max(32, h), max(32, w), 3), np.uint8)
        padded[:h, :w] = image
        image, (h, w) = padded, padded.shape[:2]
    ratio = {"max": min(1, side / max(h, w)), "min": max(1, side / min(h, w)), "resize_long": side / max(h, w)}[kind]
    h, w = int(h * ratio), int(w * ratio)
    if max(h, w) > 4000:
        ratio = 4000 / max(h, w)
        h, w = int(h * ratio), int(w * ratio)
    return resize(image, max(round(w / 32) * 32, 32), max(round(h / 32) * 32, 32))


def pad(image, height, width, colour):
    out = np.ones((height, width, 3), np.float32) * np.array(colour, np.float32)
    out[:image.shape[0], :image.shape[1]] = image
    return out


def stride(values, of):
    h, w = (math.ceil(side / of) * of for side in values.shape[1:])
    out = np.zeros((3, h, w), np.float32)
    out[:, :values.shape[1], :values.shape[2]] = values
    return out


def ops(*steps, name=None, post=None):
    """inference.yml of PaddleX, PaddleOCR and PaddleClas."""
    return {"inference.yml": {**({"Global": {"model_name": name}} if name else {}), "PreProcess": {"transform_ops": list(steps)}, "PostProcess": post or {}}}


def config(*steps, labels=("a", "b")):
    """infer_cfg.yml of PaddleDetection."""
    return {"infer_cfg.yml": {"mode": "paddle", "arch": "DETR", "Preprocess": list(steps), "label_list": list(labels)}}


DECODE_BGR = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
NORMALIZE = {"NormalizeImage": {"channel_num": 3, "mean": MEAN, "order": "", "scale": 0.00392156862745098, "std": STD}}
NORMALIZE_OCR = {"NormalizeImage": {"mean": MEAN, "order": "hwc", "scale": "1./255.", "std": STD}}
CHW = {"ToCHWImage": None}
KEEP = {"KeepKeys": {"keep_keys": ["image", "shape"]}}
TO_640 = {"interp": 2, "keep_ratio": False, "target_size": [640, 640], "type": "Resize"}
RATIO = {"interp": 1, "keep_ratio": True, "target_size": [320, 532], "type": "Resize"}
BY_255 = {"is_scale": True, "mean": MEAN, "std": STD, "type": "NormalizeImage"}
NO_NORM = {"mean": [0.0, 0.0, 0.0], "norm_type": "none", "std": [1.0, 1.0, 1.0], "type": "NormalizeImage"}
PERMUTE = {"type": "Permute"}


def blue_first(image):
    return np.ascontiguousarray(image[:, :, ::-1])


def cases(by=1):
    """Name, files, and a function from a picture's pixels, red first, to the values. Sizes are a part of the usual ones."""
    def s(side):
        return side // by

    yield ("Paddle, PP-LCNet", ops({"ResizeImage": {"resize_short": s(256)}}, {"CropImage": {"size": s(224)}}, NORMALIZE, CHW,
                                   post={"Topk": {"topk": 5, "label_list": ["tench", "goldfish"]}}),
           lambda x: normalize(crop(resize_short(x, s(256)), s(224), s(224))))
    yield ("Paddle, bicubic by Pillow", ops({"ResizeImage": {"resize_short": s(256), "interpolation": "bicubic", "backend": "pil"}}, {"CropImage": {"size": s(224)}}, NORMALIZE, CHW),
           lambda x: normalize(crop(np.asarray(Image.fromarray(x).resize([round(side * (s(256) / min(x.shape[:2]))) for side in x.shape[1::-1]], Image.BICUBIC)), s(224), s(224))))
    yield ("Paddle, textline orientation", ops({"ResizeImage": {"size": [s(160), s(80)]}}, NORMALIZE, CHW), lambda x: normalize(resize(x, s(160), s(80))))
    yield ("Paddle, bicubic", ops({"ResizeImage": {"size": [s(192), s(224)], "interpolation": "bicubic"}}, NORMALIZE, CHW),
           lambda x: normalize(resize(x, s(192), s(224), CUBIC)))
    yield ("Paddle, nearest", ops({"ResizeImage": {"size": s(200), "interpolation": "NEAREST"}}, NORMALIZE, CHW),
           lambda x: normalize(resize(x, s(200), s(200), NEAREST)))
    yield ("PP-OCR recogniser", ops(DECODE_BGR, {"MultiLabelEncode": {"gtc_encode": "NRTRLabelEncode"}}, {"RecResizeImg": {"image_shape": [3, s(48), s(320)]}}, KEEP,
                                    post={"name": "CTCLabelDecode", "character_dict": ["a", "b"]}),
           lambda x: line(blue_first(x), s(48), s(320)))
    yield ("PP-OCR detector", ops(DECODE_BGR, {"DetLabelEncode": None}, {"DetResizeForTest": {"resize_long": s(256)}}, NORMALIZE_OCR, CHW, KEEP, name="PP-OCRv5_mobile_det"),
           lambda x: normalize(page(blue_first(x), s(256), "max")))
    yield ("PP-OCR detector, shorter side", ops(DECODE_BGR, {"DetResizeForTest": {"limit_side_len": s(736), "limit_type": "min"}}, NORMALIZE_OCR, CHW),
           lambda x: normalize(page(blue_first(x), s(736), "min")))
    yield ("PP-OCR detector, one size", ops(DECODE_BGR, {"DetResizeForTest": {"image_shape": [s(640), s(480)]}}, NORMALIZE_OCR, CHW),
           lambda x: normalize(resize(blue_first(x), s(480), s(640))))
    yield ("PaddleDetection, RT-DETR", config({**TO_640, "target_size": [s(640), s(640)]}, NO_NORM, PERMUTE), lambda x: normalize(resize(x, s(640), s(640), CUBIC), [0], [1]))
    yield ("PaddleDetection, FPN", config({**RATIO, "target_size": [s(320), s(532)]}, BY_255, PERMUTE, {"stride": 32, "type": "PadStride"}),
           lambda x: stride(normalize(resize_within(x, s(320), s(532))), 32))
    yield ("PaddleDetection, padded", config({**RATIO, "target_size": [s(320), s(320)]}, {"type": "Pad", "size": [s(320), s(320)], "fill_value": [114.0, 114.0, 114.0]}, BY_255, PERMUTE),
           lambda x: normalize(pad(resize_within(x, s(320), s(320)), s(320), s(320), [114] * 3)))
    yield ("PaddleDetection, not scaled", config({**TO_640, "interp": 1, "target_size": s(320)}, {**BY_255, "is_scale": False, "mean": [123.675, 116.28, 103.53],
                                                                                           "std": [58.395, 57.12, 57.375]}, PERMUTE),
           lambda x: normalize(resize(x, s(320), s(320)), [123.675, 116.28, 103.53], [58.395, 57.12, 57.375], 1))


def write(folder, files):
    for name in ("inference.yml", "infer_cfg.yml"):
        if os.path.exists(os.path.join(folder, name)):
            os.remove(os.path.join(folder, name))
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            yaml.dump(content, file, default_flow_style=False, allow_unicode=True)


def main():
    vitjit, folder, *names = sys.argv[1:]
    os.makedirs(os.path.join(folder, "out"), exist_ok=True)
    failed = count = 0
    for name, files, expected in cases():
        if names and name not in names:
            continue
        count += 1
        worst = 0
        write(folder, files)
        for which in ("wide", "high", "small", "large", "line", "tiny"):
            picture = processors.scene(*{**processors.PICTURES, "line": (331, 41), "tiny": (19, 25)}[which])
            low, want, high = (expected(x) for x in (np.zeros_like(picture), np.asarray(picture), np.full_like(picture, 255)))
            got, _ = processors.run(vitjit, folder, picture, want.shape[1:])
            off = processors.difference(got, want, low, high)
            if names:
                print(f"{name}, {which}: {want.shape[1]} x {want.shape[2]}, {off:.2f} of 255", file=sys.stderr)
            worst = max(worst, off)
        failed += not worst <= 2
        print(f"{name}: {worst:.2f} of 255", file=sys.stderr)
    print(f"paddle: {count - failed} of {count} recipes within 2/255", file=sys.stderr)
    return 0 if count and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
