#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/cli/data/attention.*.npy: four digits, and the attention weights that ONNX Runtime computes for them in the
first and the last layer of examples/digits.

usage: make_attention.py     (needs onnx, onnxruntime and numpy)
"""
import os

import numpy as np
import onnx
import onnxruntime as ort

HERE = os.path.dirname(os.path.abspath(__file__))
DIGITS = os.path.join(HERE, "..", "..", "examples", "digits")


def main():
    model = onnx.load(os.path.join(DIGITS, "digits.onnx"))
    names = [node.output[0] for node in model.graph.node if node.op_type == "Softmax"]
    asked = {"first": names[0], "last": names[-1]}
    for name in asked.values():
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    image = np.load(os.path.join(DIGITS, "test_images.npy"))[:4].astype(np.float32)
    np.save(os.path.join(HERE, "data", "attention.image.npy"), image)
    for key, weights in zip(asked, session.run(list(asked.values()), {"image": image})):
        np.save(os.path.join(HERE, "data", f"attention.{key}.npy"), weights)
        print(key, asked[key], weights.shape)


main()
