#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/pictures/recipes: what transformers' processors (Pillow's backends), and timm's and OpenCLIP's transforms make of two small pictures.
usage: make_recipes.py (made with transformers 5.23.0, Pillow 13.0.0)

cases.txt has a line a case, fields between tabs: name, picture, the input's height and width, offset into expected.bin (float16, [3, height, width]), what
a step of 1/255 of a pixel is, at least, in the values, the file's name beside the model, its text. Cases named "scaled" have an input of another size than
their recipe's: the processor was given the scaled sizes.
"""
import json
import os
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recipes")
sys.path.insert(0, os.path.join(os.path.dirname(FOLDER), "..", "models"))

import numpy as np
from PIL import Image

import processors

WIDE, HIGH = (61, 40), (29, 47)
# Each: class, keys, and for an input of another size the keys that the processor is given instead.
CASES = [
    ("Beit", {"size": 24}),
    ("Beit", {"size": {"height": 26, "width": 24}, "do_center_crop": True, "crop_size": 20}),
    ("Bit", {"size": 24, "crop_size": 20}),
    ("Blip", {"size": {"height": 20, "width": 28}}),
    ("BridgeTower", {"size": {"shortest_edge": 32}, "size_divisor": 8, "crop_size": {"shortest_edge": 24}}),
    ("Chameleon", {"size": 22, "crop_size": 20}),
    ("CLIP", {"size": {"shortest_edge": 24}, "crop_size": {"height": 20, "width": 22}}),
    ("CLIP", {"size": 16, "crop_size": 21}),
    ("ConditionalDetr", {"size": {"shortest_edge": 16, "longest_edge": 24}}),
    ("ConvNext", {"size": 20}),
    ("ConvNext", {"size": {"shortest_edge": 24}, "crop_pct": 0.75}),
    ("DeepseekVL", {"size": {"height": 24, "width": 24}}),
    ("DeiT", {"size": 24, "crop_size": 20}),
    ("Detr", {"size": {"shortest_edge": 20, "longest_edge": 27}, "pad_size": {"height": 28, "width": 30}}),
    ("Donut", {"size": [20, 28]}),
    ("Donut", {"size": {"height": 30, "width": 20}, "do_align_long_axis": True}),
    ("DPT", {"size": 24}),
    ("DPT", {"size": 28, "keep_aspect_ratio": True, "ensure_multiple_of": 7}),
    ("EfficientNet", {"size": 24}),
    ("EfficientNet", {"size": 26, "crop_size": 20, "do_center_crop": True, "rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": False}),
    ("Eomt", {"size": {"shortest_edge": 24, "longest_edge": 24}, "do_pad": True}),
    ("GLPN", {"size_divisor": 8}),
    ("LayoutLMv2", {"size": 20, "apply_ocr": False}),
    ("Levit", {"size": 21, "crop_size": 21}),
    ("Llava", {"size": 22, "crop_size": 20, "do_pad": True}),
    ("Mask2Former", {"size": {"shortest_edge": 20, "longest_edge": 26}, "size_divisor": 8}),
    ("MobileNetV2", {"size": 25, "crop_size": 22, "resample": 0}),
    ("MobileViT", {"size": 24, "crop_size": 20}),
    ("Perceiver", {"size": 21, "crop_size": 24}),
    ("Pixtral", {"size": {"longest_edge": 30}, "patch_size": {"height": 8, "width": 8}}),
    ("PoolFormer", {"size": 20, "crop_size": 20}),
    ("RTDetr", {"size": {"height": 24, "width": 20}}),
    ("Sam", {"size": {"longest_edge": 27}, "pad_size": {"height": 28, "width": 28}}),
    ("Segformer", {"size": 24}),
    ("Siglip", {"size": {"height": 22, "width": 22}, "resample": 3}),
    ("SuperPoint", {"size": {"height": 18, "width": 24}}),
    ("Swin2SR", {"pad_size": 8}),
    ("TextNet", {"size": 20, "size_divisor": 8}),
    ("Vilt", {"size": {"shortest_edge": 26}, "size_divisor": 8}),
    ("ViT", {"size": 24}),
    ("ViT", {"size": 20, "do_normalize": False, "do_rescale": False}),
    ("Vivit", {"size": 24, "crop_size": 20}),
    ("Yolos", {"size": {"shortest_edge": 20, "longest_edge": 33}}),
    ("CLIP", {"size": 32, "crop_size": 28}, {"size": 24, "crop_size": 21}),
    ("DeiT", {"size": 256, "crop_size": 224}, {"size": 24, "crop_size": 21}),
    ("ConvNext", {"size": 224}, {"size": 21}),
    ("ViT", {}, {"size": {"height": 20, "width": 26}}),
    ("Sam", {}, {"size": {"longest_edge": 24}, "pad_size": 24}),
    ("Donut", {}, {"size": {"height": 32, "width": 24}}),
    ("MobileViT", {}, {"size": 21, "crop_size": 24}),
    ("EfficientNet", {}, {"size": 23}),
    ("Owlv2", {"size": {"height": 24, "width": 20}}),
    ("Owlv2", {"size": {"height": 64, "width": 72}}),
    ("Owlv2", {"size": {"height": 20, "width": 20}, "resample": 0, "do_pad": False}),
    ("ZoeDepth", {"size": {"height": 24, "width": 32}}),
    ("ZoeDepth", {"size": {"height": 24, "width": 32}, "ensure_multiple_of": 8}),
    ("ZoeDepth", {"size": {"height": 70, "width": 64}, "keep_aspect_ratio": False, "do_pad": False}),
    ("DepthPro", {"size": {"height": 24, "width": 24}}),
    ("DepthPro", {"size": {"height": 60, "width": 80}}),
    ("PPDocLayoutV2", {"size": {"height": 22, "width": 26}}),
    ("PPDocLayoutV3", {"size": {"height": 70, "width": 60}}),
    ("PPDocLayoutV4", {}, {"size": {"height": 24, "width": 24}}),
]


class Writer:
    def __init__(self):
        self.lines, self.bytes = [], b""

    def add(self, name, picture, want, flat, file, keys):
        step = processors.steps(*flat).min()
        fields = [name, "wide.png" if picture.size == WIDE else "high.png", want.shape[1], want.shape[2], len(self.bytes), f"{step:.9g}", file, json.dumps(keys)]
        self.lines.append("\t".join(map(str, fields)))
        self.bytes += want.astype(np.float16).tobytes()


def flat(picture, value):
    return Image.new("RGB", picture.size, (value,) * 3)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    writer = Writer()
    pictures = [processors.scene(*WIDE), processors.scene(*HIGH)]
    for name, picture in zip(("wide", "high"), pictures):
        picture.save(os.path.join(FOLDER, name + ".png"))
    for i, (name, keys, *given) in enumerate(CASES):
        kind = name + "ImageProcessor"
        processor = processors.class_of(kind)(**(given[0] if given else keys))
        for picture in pictures if name in ("Donut", "Detr", "Llava") else [pictures[i % 2]]:
            want, low, high = (processors.values(processor, kind, p) for p in (picture, flat(picture, 0), flat(picture, 255)))
            writer.add(name + (" scaled" if given else ""), picture, want, (low, high), "preprocessor_config.json", {"image_processor_type": kind, **keys})
    for i, (name, files, size, expected) in enumerate(processors.ratio_cases(8)):
        picture = pictures[i % 2]
        (file, keys), = files.items()
        writer.add(name, picture, expected(picture), (expected(flat(picture, 0)), expected(flat(picture, 255))), file, keys)
    open(os.path.join(FOLDER, "cases.txt"), "w").write("\n".join(writer.lines) + "\n")
    open(os.path.join(FOLDER, "expected.bin"), "wb").write(writer.bytes)
    print(len(writer.lines), len(writer.bytes))


if __name__ == "__main__":
    main()
