#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes paddle.txt and paddle.bin in tests/pictures/recipes: what Paddle's steps, as tests/models/paddle.py writes them out with OpenCV, make of the pictures that
make_recipes.py made. The files are as cases.txt and expected.bin there; a model's file stands in a line as JSON, which is YAML too.
usage: make_paddle.py (made with opencv-python-headless 5.0.0, Pillow 13.0.0)
"""
import json
import os
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recipes")
sys.path.insert(0, os.path.join(os.path.dirname(FOLDER), "..", "models"))

import numpy as np
from PIL import Image

import paddle
import processors


def main():
    lines, values = [], b""
    for i, (name, files, expected) in enumerate(paddle.cases(10)):
        which = ("wide.png", "high.png")[i % 2]
        picture = np.asarray(Image.open(os.path.join(FOLDER, which)))
        low, want, high = (expected(x) for x in (np.zeros_like(picture), picture, np.full_like(picture, 255)))
        (file, content), = files.items()
        step = processors.steps(low, high).min()
        lines.append("\t".join(map(str, (name, which, want.shape[1], want.shape[2], len(values), f"{step:.9g}", file, json.dumps(content)))))
        values += want.astype(np.float16).tobytes()
    open(os.path.join(FOLDER, "paddle.txt"), "w").write("\n".join(lines) + "\n")
    open(os.path.join(FOLDER, "paddle.bin"), "wb").write(values)
    print(len(lines), len(values))


if __name__ == "__main__":
    main()
