#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/results/odd: models of constants whose outputs do not fit each other, are no numbers, or have no queries.

usage: make_odd.py     (needs onnx and numpy)
"""
import os

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "odd")
KINDS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}


def nothing_of(name, value):
    """Nodes that make the zero `name.zero`, a float, of the input."""
    node = helper.make_node
    return [node("Cast", [name], [name + ".float"], to=TensorProto.FLOAT), node("Mul", [name + ".float", "none"], [name + ".none"]),
            node("ReduceSum", [name + ".none"], [name + ".zero"], keepdims=0)], helper.make_tensor_value_info(name, *value)


def save(name, outputs, sizes=0, dims=(1, 3, 8, 8)):
    """Each output is a constant, and zeros of the picture and, with `sizes` numbers, of its size."""
    node, values = helper.make_node, []
    nodes, picture = nothing_of("pixel_values", (TensorProto.FLOAT, dims))
    constants, inputs, zero = [numpy_helper.from_array(np.float32(0), "none")], [picture], "pixel_values.zero"
    if sizes:
        more, size = nothing_of("orig_target_sizes", (TensorProto.INT64, [1, sizes]))
        nodes += [*more, node("Add", [zero, "orig_target_sizes.zero"], ["zero"])]
        inputs, zero = [picture, size], "zero"
    nodes.append(node("Cast", [zero], ["whole"], to=TensorProto.INT64))
    for key, value in outputs.items():
        nodes.append(node("Add", [key + ".value", "whole" if value.dtype == np.int64 else zero], [key]))
        constants.append(numpy_helper.from_array(value, key + ".value"))
        values.append(helper.make_tensor_value_info(key, KINDS[value.dtype], value.shape))
    graph = helper.make_graph(nodes, name, inputs, values, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with open(os.path.join(HERE, name + ".onnx"), "wb") as file:
        file.write(model.SerializeToString())


def queries(logits, masks):
    return {"class_queries_logits": logits.astype(np.float32), "masks_queries_logits": masks.astype(np.float32)}


def main():
    random = np.random.default_rng(3)
    logits, masks = 5 * random.standard_normal((1, 4, 3)), random.standard_normal((1, 4, 4, 4))
    save("queries.shapes", queries(logits, masks[:, :3]))
    save("queries.nan", queries(np.full_like(logits, np.nan), masks))
    save("queries.masks.nan", queries(logits, np.full_like(masks, np.nan)))
    save("queries.one.class", queries(logits[..., :1], masks))
    save("queries.none", queries(logits[:, :0], masks[:, :0]))
    labels, boxes, scores = np.array([[1, 0, -7, 1 << 40]]), random.random((1, 4, 4)), np.array([[0.9, np.nan, 0.8, 0.7]])
    steps = np.zeros((1, 5, 4), np.float32)
    save("reader.none", {"steps": steps + np.float32([0.7, 0.1, 0.1, 0.1])})
    save("reader.nan", {"steps": steps * np.float32(np.nan)})
    save("reader.shapes", {"steps": steps[..., :2]})
    save("reader.spaceless", {"steps": steps[..., :3] + np.float32([[0.1, 0.7, 0.2], [0.1, 0.5, 0.4], [0.9, 0, 0.1], [0, 0.9, 0.1], [0, 0.1, 0.9]])})
    outputs = {"labels": labels, "boxes": boxes.astype(np.float32), "scores": scores.astype(np.float32)}
    save("placed", outputs, 2)
    save("placed.shapes", {**outputs, "scores": outputs["scores"][:, :3]}, 2)
    save("placed.sizes", outputs, 3)
    save("placed.none", {key: value[:, :0] for key, value in outputs.items()}, 2)
    found = {"keypoints": random.random((1, 4, 2)).astype(np.float32), "scores": outputs["scores"], "mask": np.array([[1, 1, 0, 1]])}
    save("points", found)
    save("points.shapes", {**found, "mask": found["mask"][:, :3]})
    save("points.none", {key: value[:, :0] for key, value in found.items()})
    save("pairs", found, dims=(1, 2, 3, 8, 8))


main()
