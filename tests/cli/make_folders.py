#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/cli/data/thousand.onnx, a classifier of 1000 classes that leaves batch, channels, height and width open, and
thousand.txt, the five likeliest classes of tests/pictures/data/rgb.png at 24 x 40 (height x width), likeliest first.

usage: make_folders.py     (needs onnx, numpy, onnxruntime, Pillow; the answers are ONNX Runtime's on Pillow's pixels)
"""
import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

FOLDER = os.path.dirname(os.path.abspath(__file__))
HEIGHT, WIDTH = 24, 40


def main():
    random = np.random.default_rng(17)
    weights = random.standard_normal((3, 1000)).astype(np.float32) * 8
    nodes = [helper.make_node("GlobalAveragePool", ["pixel_values"], ["means"]),
             helper.make_node("Flatten", ["means"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["logits"])]
    graph = helper.make_graph(
        nodes, "thousand",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch_size", "num_channels", "height", "width"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", 1000])], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = os.path.join(FOLDER, "data", "thousand.onnx")
    onnx.save(model, path)
    picture = Image.open(os.path.join(FOLDER, "..", "pictures", "data", "rgb.png")).convert("RGB")
    pixels = np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR), np.float32) / 255
    given = ((pixels - 0.5) / 0.5).transpose(2, 0, 1)[None]
    logits = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"pixel_values": given})[0][0]
    top = np.argsort(-logits)[:6]
    assert np.all(-np.diff(logits[top]) > 1e-3), logits[top]
    with open(os.path.join(FOLDER, "data", "thousand.txt"), "w", encoding="utf-8") as file:
        file.writelines(f"{i}\n" for i in top[:5])


main()
