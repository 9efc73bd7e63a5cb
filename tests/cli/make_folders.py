#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/cli/data/thousand.onnx, a classifier of 1000 classes that leaves batch, channels, height and width open,
thousand_TYPE.onnx, whose logits are of that type, and thousand.txt, the five likeliest classes of tests/pictures/data/rgb.png at 24 x 40
(height x width), likeliest first.

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


def classifier(weights, dtype):
    """-> the model, with logits of that type"""
    nodes = [helper.make_node("GlobalAveragePool", ["pixel_values"], ["means"]),
             helper.make_node("Flatten", ["means"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["logits"])]
    if dtype != TensorProto.FLOAT:
        nodes[-1].output[0] = "wide"
        nodes.append(helper.make_node("Cast", ["wide"], ["logits"], to=dtype))
    graph = helper.make_graph(
        nodes, "thousand",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch_size", "num_channels", "height", "width"])],
        [helper.make_tensor_value_info("logits", dtype, ["batch_size", 1000])], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    random = np.random.default_rng(17)
    weights = random.standard_normal((3, 1000)).astype(np.float32) * 8
    path = os.path.join(FOLDER, "data", "thousand.onnx")
    onnx.save(classifier(weights, TensorProto.FLOAT), path)
    for name, dtype in {"f16": TensorProto.FLOAT16, "f64": TensorProto.DOUBLE}.items():
        onnx.save(classifier(weights, dtype), os.path.join(FOLDER, "data", f"thousand_{name}.onnx"))
    picture = Image.open(os.path.join(FOLDER, "..", "pictures", "data", "rgb.png")).convert("RGB")
    pixels = np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR), np.float32) / 255
    given = ((pixels - 0.5) / 0.5).transpose(2, 0, 1)[None]
    tops = []
    for name in ("", "_f16", "_f64"):
        session = onnxruntime.InferenceSession(path.replace(".onnx", name + ".onnx"), providers=["CPUExecutionProvider"])
        logits = session.run(None, {"pixel_values": given})[0][0]
        top = np.argsort(-logits)[:6]
        assert np.all(-np.diff(logits[top]) > 1e-3), logits[top]
        tops.append(list(top[:5]))
    assert tops == tops[:1] * 3, tops
    with open(os.path.join(FOLDER, "data", "thousand.txt"), "w", encoding="utf-8") as file:
        file.writelines(f"{i}\n" for i in top[:5])


main()
