#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's walk-through with a Hugging Face model: export, classify a picture, compare with transformers' own answer.

usage: walk_through.py VITJIT DIR

The model is ViT-B/16 with seeded random weights (no download), saved with the config.json and preprocessor_config.json
that Hugging Face puts beside a model; vitjit must find both, and give the same probabilities for the picture.
"""
import json
import os
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
import transformers
from PIL import Image

from families import Logits, perturb


def picture(path):
    y, x = np.mgrid[0:300, 0:400]
    rgb = np.stack([x * 255 // 399, y * 255 // 299, (127 + 120 * np.sin(x / 17 + y / 11)).astype(int)], -1)
    Image.fromarray(rgb.astype(np.uint8)).save(path)


def main():
    vitjit, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(0)
    labels = {i: f"class {i}" for i in range(1000)}
    config = transformers.ViTConfig(num_labels=1000, id2label=labels, attn_implementation="eager")
    model = perturb(transformers.ViTForImageClassification(config).eval())
    config.save_pretrained(folder)
    processing = dict(do_resize=True, size=dict(height=224, width=224), resample=2, do_rescale=True, rescale_factor=1 / 255,
                      do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    with open(os.path.join(folder, "preprocessor_config.json"), "w") as file:
        json.dump(processing, file)
    path, image = os.path.join(folder, "model.onnx"), os.path.join(folder, "picture.png")
    torch.onnx.export(Logits(model), (torch.zeros(1, 3, 224, 224),), path, opset_version=17, dynamo=False,
                      input_names=["image"], output_names=["logits"])
    picture(image)
    small = np.asarray(Image.open(image).resize((224, 224), Image.BILINEAR), np.float32) / 255
    with torch.no_grad():
        want = model(torch.from_numpy(((small - 0.5) / 0.5).transpose(2, 0, 1)[None].copy())).logits.softmax(-1)[0].numpy()
    done = subprocess.run([vitjit, path, image, "--topk", "5", "--format", "jsonl", "--no-cache"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"vitjit: exit status {done.returncode}: {done.stderr}")
    top = json.loads(done.stdout.splitlines()[0])["top"]
    best = int(want.argmax())
    for entry in top:
        if abs(entry["probability"] - want[entry["index"]]) > 2e-4 * want.max() + 1e-6 * 255:
            sys.exit(f"probability of {entry} is not {want[entry['index']]}")
    if top[0]["index"] != best or top[0]["label"] != labels[best]:
        sys.exit(f"best is {top[0]}, not {best}")
    print("ok   walk-through: the same answer as transformers")


if __name__ == "__main__":
    main()
