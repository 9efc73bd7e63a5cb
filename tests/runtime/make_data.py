# SPDX-License-Identifier: Apache-2.0
"""Writes data/*.onnx: small models whose answers are whole numbers, so that the tests compute them with plain loops.

small      y[N,16] = relu(x[N,16] @ W + b), W[k,c] = (3k + 5c) % 7 - 3, b[c] = c - 8
renamed    the same graph under other names of nodes, weights and inner values, with doc strings and another producer
other_w    the same with W's first element changed to 4
external   the same as small, W in external.bin
mixed      y = x - max over the batch of x: cannot stay generic in the batch
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
k, c = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
w = ((3 * k + 5 * c) % 7 - 3).astype(np.float32)
b = (np.arange(16) - 8).astype(np.float32)
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 16])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 16])


def save(name, nodes, weights, producer="make_data"):
    graph = helper.make_graph(nodes, name, [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name=producer)
    model.ir_version = 8
    onnx.save(model, os.path.join(here, name + ".onnx"))


def linear(name, weights, prefix="", producer="make_data", **node):
    W, B, p, s = (prefix + n for n in ("W", "b", "product", "sum"))
    tensors = [numpy_helper.from_array(weights, W), numpy_helper.from_array(b, B)]
    nodes = [helper.make_node("MatMul", ["x", W], [p], name=prefix + "n0", **node),
             helper.make_node("Add", [p, B], [s], name=prefix + "n1"),
             helper.make_node("Relu", [s], ["y"], name=prefix + "n2")]
    save(name, nodes, tensors, producer)


os.makedirs(here, exist_ok=True)
linear("small", w)
linear("renamed", w, prefix="encoder.layer.", producer="another", doc_string="the only product")
other = w.copy()
other[0, 0] = 4
linear("other_w", other)

w.tofile(os.path.join(here, "external.bin"))
W = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[16, 16], data_location=TensorProto.EXTERNAL)
for key, value in (("location", "external.bin"), ("offset", "0"), ("length", "1024")):
    W.external_data.add(key=key, value=value)
save("external", [helper.make_node("MatMul", ["x", "W"], ["p"]), helper.make_node("Add", ["p", "b"], ["s"]),
                  helper.make_node("Relu", ["s"], ["y"])], [W, numpy_helper.from_array(b, "b")])

save("mixed", [helper.make_node("ReduceMax", ["x"], ["m"], axes=[0], keepdims=1),
               helper.make_node("Sub", ["x", "m"], ["y"])], [])
