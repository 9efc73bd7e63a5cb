#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pre-processing beside that of the Python processors, class by class. usage: processors.py VITJIT FOLDER [--table] [NAME...]

A model that gives back its input shows what vitjit makes of a picture: with a preprocessor_config.json that says the class and the
case's keys alone (so that what the class leaves unsaid is tested), and with the one that the processor itself saves. It must be what the processor makes within
2/255 of a pixel's range before mean and std; how far a pixel moves a value is seen from a black and a white picture. Padding must be
equal. The processors are transformers' PIL classes. Classes that have a torchvision backend alone, and whose steps are those of the base
class, are run as the PIL base class with their defaults, which are read from their sources; timm's and OpenCLIP's transforms are
written out below with Pillow.

--table prints the table of docs/pictures.md.
"""
import ast
import importlib
import json
import math
import os
import subprocess
import sys

import numpy as np
import onnx
from PIL import Image

sys.modules["torchvision"] = None  # whether it is there or not: Pillow's answers are wanted
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

PICTURES = {"wide": (300, 200), "high": (180, 331), "square": (256, 256), "small": (97, 61), "large": (1203, 905)}
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])

# Each: a name, a class, its keys, pictures ("" for wide, high, small).
CASES = [
    ("BEiT", "BeitImageProcessor", {}),
    ("BEiT, size an integer", "BeitImageProcessor", {"size": 64, "do_center_crop": True, "crop_size": 48}),
    ("BiT, DINOv2", "BitImageProcessor", {}),
    ("DINOv2 as published", "BitImageProcessor", {"size": {"shortest_edge": 256}, "image_mean": IMAGENET[0], "image_std": IMAGENET[1]}),
    ("BLIP", "BlipImageProcessor", {}),
    ("BridgeTower", "BridgeTowerImageProcessor", {}),
    ("Chameleon", "ChameleonImageProcessor", {}),
    ("Chinese CLIP", "ChineseCLIPImageProcessor", {}),
    ("CLIP", "CLIPImageProcessor", {}),
    ("CLIP, sizes integers", "CLIPImageProcessor", {"size": 96, "crop_size": 80}),
    ("CLIP, crop larger than the picture", "CLIPImageProcessor", {"size": 50, "crop_size": 81}),
    ("CLIP, not normalised", "CLIPImageProcessor", {"do_normalize": False, "do_rescale": False}),
    ("Conditional DETR", "ConditionalDetrImageProcessor", {}),
    ("ConvNeXt at 224", "ConvNextImageProcessor", {"size": 224, "crop_pct": 0.875}),
    ("ConvNeXt at 384", "ConvNextImageProcessor", {}),
    ("DeepSeek-VL", "DeepseekVLImageProcessor", {}),
    ("Deformable DETR", "DeformableDetrImageProcessor", {}),
    ("DeiT", "DeiTImageProcessor", {}),
    ("DETR", "DetrImageProcessor", {}),
    ("DETR, padded", "DetrImageProcessor", {"size": {"shortest_edge": 160, "longest_edge": 266}, "pad_size": {"height": 266, "width": 280}}),
    ("DETR, size an integer", "DetrImageProcessor", {"size": 120}),
    ("Donut", "DonutImageProcessor", {"size": {"height": 320, "width": 240}}),
    ("Donut, turned", "DonutImageProcessor", {"size": [240, 320], "do_align_long_axis": True}),
    ("DPT", "DPTImageProcessor", {}),
    ("Depth Anything", "DPTImageProcessor", {"size": {"height": 518, "width": 518}, "keep_aspect_ratio": True, "ensure_multiple_of": 14,
                                             "image_mean": IMAGENET[0], "image_std": IMAGENET[1]}),
    ("EfficientNet", "EfficientNetImageProcessor", {}),
    ("EfficientNet, offset", "EfficientNetImageProcessor", {"rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": False,
                                                            "do_center_crop": True, "crop_size": 280}),
    ("EoMT", "EomtImageProcessor", {"do_pad": True}),
    ("FLAVA", "FlavaImageProcessor", {}),
    ("Gemma 3", "Gemma3ImageProcessor", {}),
    ("GLPN", "GLPNImageProcessor", {}),
    ("GOT-OCR 2", "GotOcr2ImageProcessor", {}),
    ("Grounding DINO", "GroundingDinoImageProcessor", {}),
    ("IDEFICS", "IdeficsImageProcessor", {}),
    ("Janus", "JanusImageProcessor", {}),
    ("LayoutLMv2", "LayoutLMv2ImageProcessor", {"apply_ocr": False}),
    ("LayoutLMv3", "LayoutLMv3ImageProcessor", {"apply_ocr": False}),
    ("LeViT", "LevitImageProcessor", {}),
    ("LLaVA", "LlavaImageProcessor", {}),
    ("LLaVA, padded", "LlavaImageProcessor", {"do_pad": True}),
    ("Mask2Former", "Mask2FormerImageProcessor", {}),
    ("MaskFormer", "MaskFormerImageProcessor", {"size": 200, "max_size": 290}),
    ("MobileNetV1", "MobileNetV1ImageProcessor", {}),
    ("MobileNetV2", "MobileNetV2ImageProcessor", {}),
    ("MobileViT", "MobileViTImageProcessor", {}),
    ("MobileViT as published", "MobileViTImageProcessor", {"size": {"shortest_edge": 288}, "crop_size": {"height": 256, "width": 256}}),
    ("OneFormer", "OneFormerImageProcessor", {}),
    ("Ovis 2", "Ovis2ImageProcessor", {}),
    ("OWL-ViT", "OwlViTImageProcessor", {}),
    ("Perceiver", "PerceiverImageProcessor", {}),
    ("Pixtral", "PixtralImageProcessor", {}),
    ("Pixtral, shrunk", "PixtralImageProcessor", {"size": {"longest_edge": 160}}),
    ("PoolFormer", "PoolFormerImageProcessor", {}),
    ("PP-Chart2Table", "PPChart2TableImageProcessor", {}),
    ("Prompt Depth Anything", "PromptDepthAnythingImageProcessor", {"keep_aspect_ratio": True, "ensure_multiple_of": 14}),
    ("PVT", "PvtImageProcessor", {}),
    ("RT-DETR", "RTDetrImageProcessor", {}),
    ("SAM", "SamImageProcessor", {}),
    ("SegFormer", "SegformerImageProcessor", {}),
    ("SigLIP", "SiglipImageProcessor", {}),
    ("SigLIP, size an integer", "SiglipImageProcessor", {"size": 224}),
    ("SuperPoint", "SuperPointImageProcessor", {}),
    ("Swin2SR", "Swin2SRImageProcessor", {}),
    ("TextNet", "TextNetImageProcessor", {}),
    ("VideoMAE", "VideoMAEImageProcessor", {}),
    ("ViLT", "ViltImageProcessor", {}),
    ("ViT", "ViTImageProcessor", {}),
    ("ViT, nearest, as a feature extractor", "ViTImageProcessor", {"size": 100, "resample": 0}),
    ("ViViT", "VivitImageProcessor", {}),
    ("YOLOS", "YolosImageProcessor", {}),
    # a torchvision backend alone
    ("CHMv2", "CHMv2ImageProcessor", {}, ("chm",)),
    ("DINOv3", "DINOv3ViTImageProcessor", {}),
    ("PI0", "PI0ImageProcessor", {}),
    ("SAM 2", "Sam2ImageProcessor", {}),
    ("SAM 3", "Sam3ImageProcessor", {}),
    ("Sapiens 2", "Sapiens2ImageProcessor", {}),
    ("TIPSv2", "Tipsv2ImageProcessor", {}),
    # other ways of resampling than Pillow's
    ("OWLv2", "Owlv2ImageProcessor", {}),
    ("OWLv2, small", "Owlv2ImageProcessor", {"size": {"height": 64, "width": 64}}),
    ("ZoeDepth", "ZoeDepthImageProcessor", {}),
    ("ZoeDepth as published", "ZoeDepthImageProcessor", {"ensure_multiple_of": 32}),
    ("ZoeDepth, both sides", "ZoeDepthImageProcessor", {"keep_aspect_ratio": False, "do_pad": False}),
    ("DepthPro", "DepthProImageProcessor", {}),
    ("DepthPro, small", "DepthProImageProcessor", {"size": {"height": 64, "width": 48}}),
    ("PP-DocLayoutV2", "PPDocLayoutV2ImageProcessor", {}),
    ("PP-DocLayoutV3", "PPDocLayoutV3ImageProcessor", {"size": {"height": 96, "width": 80}}),
    ("PP-DocLayoutV4", "PPDocLayoutV4ImageProcessor", {}),
]


def scene(width, height):
    """Gradients, edges and noise: what shows a wrong filter, a shift, a turn or swapped channels."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / max(width - 1, 1)
    green = 127 + 120 * np.sin(x / 3.0 + y / 5.0)
    blue = np.where((x // 8 + y // 8) % 2 == 0, 235, 20) + rng.integers(-15, 16, (height, width))
    return Image.fromarray(np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8))


def literal(node):
    """The value of a class attribute in a source: constants of transformers by their names."""
    from transformers.image_utils import PILImageResampling  # noqa: F401
    import transformers.image_utils as utils
    return eval(compile(ast.Expression(node), "source", "eval"), {**vars(utils)})


def plain_resize(self, image, size, resample=None, **_):
    """torch's interpolate without antialiasing, of pixels that are then bytes again: what torchvision's backend does with antialias=False."""
    import torch
    mode = {2: "bilinear", 3: "bicubic"}[int(resample)]
    sides = (size["height"], size["width"]) if isinstance(size, dict) else (size.height, size.width)
    out = torch.nn.functional.interpolate(torch.from_numpy(np.asarray(image, np.float32))[None], sides, mode=mode, align_corners=False, antialias=False)
    return out[0].clamp(0, 255).round().numpy()


def as_pil(name):
    """A class without a PIL backend, run as the PIL base class with its own defaults, as they stand in its source; and with torch's resize where
    the source asks for it without antialiasing."""
    import transformers
    from transformers.image_processing_backends import PilBackend
    root = os.path.join(os.path.dirname(transformers.__file__), "models")
    for folder in sorted(os.listdir(root)):
        for file in sorted(os.listdir(os.path.join(root, folder))) if os.path.isdir(os.path.join(root, folder)) else ():
            path = os.path.join(root, folder, file)
            if not file.startswith("image_processing_") or "_pil_" in file or name not in open(path).read():
                continue
            for node in ast.parse(open(path).read()).body:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    values = {"resize": plain_resize} if "antialias=False" in open(path).read() else {}
                    values |= {a.targets[0].id: literal(a.value) for a in node.body if isinstance(a, ast.Assign)
                              and a.targets[0].id not in ("valid_kwargs", "model_input_names")}
                    return type(name, (PilBackend,), values)
    raise LookupError(name)


def class_of(name):
    import transformers
    for suffix in ("Pil", ""):
        for module in sorted(os.listdir(os.path.join(os.path.dirname(transformers.__file__), "models"))):
            path = f"image_processing_{'pil_' if suffix else ''}{module}.py"
            full = os.path.join(os.path.dirname(transformers.__file__), "models", module, path)
            if os.path.exists(full) and f"class {name}{suffix}(" in open(full).read():
                if suffix or f"class {name}(BaseImageProcessor)" in open(full).read():
                    return getattr(importlib.import_module(f"transformers.models.{module}.{path[:-3]}"), name + suffix)
    return as_pil(name)


def values(processor, name, picture):
    """What the processor makes of one picture, [3, height, width]."""
    frames = name in ("VideoMAEImageProcessor", "VivitImageProcessor")
    result = processor([[picture]] if frames else [picture], **({"task_inputs": ["semantic"]} if name.startswith("OneFormer") else {}))
    out = (result if isinstance(result, list) else result["pixel_values"])[0]
    return np.asarray(out[0] if frames else out, np.float32)


def cut(array, height, width, fill):
    """The centre, as timm's center_crop_or_pad."""
    h, w = array.shape[:2]
    top, left = max(height - h, 0) // 2, max(width - w, 0) // 2
    padded = np.empty((max(h, height), max(w, width), 3), array.dtype)
    padded[:] = fill
    padded[top:top + h, left:left + w] = array
    top, left = round((padded.shape[0] - height) / 2), round((padded.shape[1] - width) / 2)
    return padded[top:top + height, left:left + width]


def by_ratio(picture, height, width, pct, mode, resample, fill):
    """timm's evaluation transform for crop_mode center, border and squash, which OpenCLIP calls shortest, longest and squash."""
    to_h, to_w = math.floor(height / pct), math.floor(width / pct)
    w, h = picture.size
    if mode == "squash":
        size = (to_w, to_h)
    elif mode == "center" and to_h == to_w:
        size = (to_h, int(to_h * h / w)) if w <= h else (int(to_h * w / h), to_h)
    else:
        ratio = (max if mode == "border" else min)(h / to_h, w / to_w)
        size = (round(w / ratio), round(h / ratio))
    return cut(np.asarray(picture.resize(size, resample)), height, width, fill)


def ratio_cases(by=1):
    """Name, files beside the model, the input's size (a part of the usual ones), and a function from a picture to the values."""
    def normalised(array, mean, std):
        return ((array / 255 - np.array(mean)) / np.array(std)).transpose(2, 0, 1).astype(np.float32)

    for mode, pct, size, resample in (("center", 0.875, (224, 224), "bicubic"), ("center", 0.95, (128, 96), "bilinear"),
                                      ("squash", 0.9, (160, 160), "bicubic"), ("border", 0.9, (128, 144), "bicubic")):
        size = (size[0] // by, size[1] // by)
        keys = {"input_size": [3, *size], "interpolation": resample, "crop_pct": pct, "crop_mode": mode, "mean": list(IMAGENET[0]), "std": list(IMAGENET[1])}
        fill = [round(255 * x) for x in IMAGENET[0]]
        kind = getattr(Image, resample.upper())
        yield (f"timm, {mode}, {size[0]} x {size[1]}", {"config.json": {"architecture": "vit", "pretrained_cfg": keys}}, size,
               lambda p, a=(*size, pct, mode, kind, fill): normalised(by_ratio(p, *a), *IMAGENET))
    size = (224 // by, 224 // by)
    yield ("timm, keys left out", {"config.json": {"architecture": "vit", "pretrained_cfg": {"input_size": [3, *size]}}}, size,
           lambda p: normalised(by_ratio(p, *size, 0.875, "center", Image.BICUBIC, 0), *IMAGENET))
    for theirs, mode, size in (("shortest", "center", (224, 224)), ("shortest", "center", (96, 128)), ("longest", "border", (224, 224)),
                               ("squash", "squash", (256, 256))):
        size = (size[0] // by, size[1] // by)
        keys = {"mean": list(CLIP[0]), "std": list(CLIP[1]), "interpolation": "bicubic", "resize_mode": theirs, "fill_color": 7}
        yield (f"OpenCLIP, {theirs}, {size[0]} x {size[1]}", {"open_clip_config.json": {"model_cfg": {}, "preprocess_cfg": keys}}, size,
               lambda p, a=(*size, 1.0, mode, Image.BICUBIC, 7): normalised(by_ratio(p, *a), *CLIP))


def lcnet(picture):
    """PP-LCNet's steps: the shorter side to 256, rounded, the centre, mean and deviation, blue first."""
    scale = 256 / min(picture.size)
    small = np.asarray(picture.resize([round(side * scale) for side in picture.size], Image.BILINEAR))
    top, left = (small.shape[0] - 224) // 2, (small.shape[1] - 224) // 2
    part = small[top:top + 224, left:left + 224] / 255
    return ((part - IMAGENET[0][::-1]) / IMAGENET[1][::-1]).transpose(2, 0, 1)[::-1].astype(np.float32)


def write_json(folder, files):
    for name in os.listdir(folder):
        if name.endswith(".json"):
            os.remove(os.path.join(folder, name))
    for name, keys in files.items():
        with open(os.path.join(folder, name), "w") as file:
            json.dump(keys, file)


def echo_model(path, height, width):
    shape = [1, 3, height, width]
    info = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n in ("image", "same")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["image"], ["same"])], "echo", info[:1], info[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)


def run(vitjit, folder, picture, shape):
    """What vitjit makes of a picture, and its line about it."""
    echo_model(os.path.join(folder, "model.onnx"), *shape)
    picture.save(os.path.join(folder, "picture.png"))
    done = subprocess.run([vitjit, os.path.join(folder, "model.onnx"), os.path.join(folder, "picture.png"), "--no-cache", "--draw", "none",
                           "--output", os.path.join(folder, "out")], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return np.load(os.path.join(folder, "out", "same.npy"))[0], done.stderr.strip()


def steps(black, white):
    """What 1/255 of a pixel is in the values of each channel, from those of a black and a white picture; padding, which no pixel moves, aside."""
    moved = np.abs(white - black).reshape(len(black), -1) / 255
    return np.array([np.median(m[m > 1e-9]) for m in moved])


def difference(got, want, black, white):
    """The largest, in 1/255 of a pixel's range before mean and std."""
    return float(np.max(np.abs(got - want) / steps(black, white)[:, None, None]))


def check(vitjit, folder, names, files, expected):
    """The worst difference over pictures and files."""
    worst, shapes = 0.0, []
    for which in names:
        picture = scene(96, 128) if which == "chm" else scene(*PICTURES[which])
        want = expected(picture)
        flat = [expected(Image.new("RGB", picture.size, (v, v, v))) for v in (0, 255)]
        for kind in files:
            write_json(folder, kind)
            got, _ = run(vitjit, folder, picture, want.shape[1:])
            worst = max(worst, difference(got, want, *flat))
        shapes.append(f"{want.shape[1]} x {want.shape[2]}")
    return worst, shapes


def all_cases(names):
    for name, kind, keys, *pictures in CASES:
        if names and name not in names:
            continue
        processor = class_of(kind)(**keys)
        saved = processor.to_dict()
        minimal = {"feature_extractor_type" if "feature" in name else "image_processor_type":
                   kind.replace("ImageProcessor", "FeatureExtractor") if "feature" in name else kind, **keys}
        saved["image_processor_type"] = kind
        files = [{"preprocessor_config.json": minimal}, {"processor_config.json": {"image_processor": json.loads(json.dumps(saved, default=dict))}}]
        yield name, kind, files, lambda p, a=processor, b=kind: values(a, b, p), pictures[0] if pictures else ("wide", "high", "small")
    if not names or "PP-LCNet" in names:
        kind = "PPLCNetImageProcessor"
        yield "PP-LCNet", kind, [{"preprocessor_config.json": {"image_processor_type": kind}}], lcnet, ("wide", "high", "small")
    for name, files, size, expected in ratio_cases():
        if names and name not in names:
            continue
        yield name, name.split(",")[0], [files], expected, ("wide", "high", "small", "large")


def main():
    vitjit, folder, *names = sys.argv[1:]
    table = "--table" in names
    names = [n for n in names if n != "--table"]
    os.makedirs(os.path.join(folder, "out"), exist_ok=True)
    failed = count = 0
    for name, kind, files, expected, pictures in all_cases(names):
        count += 1
        try:
            worst, shapes = check(vitjit, folder, pictures, files, expected)
            text = f"{worst:.2f}"
        except RuntimeError as error:
            worst, shapes, text = math.inf, [], str(error)
        failed += not worst <= 2
        if table:
            print(f"| {name} | `{kind}` | {', '.join(dict.fromkeys(shapes))} | {text} |")
        elif not worst <= 2 or names:
            print(f"{name}: {text} of 255 ({kind})", file=sys.stderr)
    print(f"processors: {count - failed} of {count} recipes within 2/255", file=sys.stderr)
    return 0 if count and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
