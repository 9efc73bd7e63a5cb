#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/cli/data: tiny models that are wrong in one way each, or that ask the command line for something special.

usage: make_data.py     (needs onnx and numpy; expected values are numpy's)
"""
import os
import sys

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import TensorProto, helper

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "models"))
from blocks import dequantised  # noqa: E402

HERE = os.path.join(FOLDER, "data")
F, I = TensorProto.FLOAT, TensorProto.INT64


def value(name, kind, *dims):
    return helper.make_tensor_value_info(name, kind, list(dims))


def save(name, nodes, inputs, outputs, initializers=(), opset=17, domain="", metadata=None):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if metadata:
        helper.set_model_props(model, metadata)
    with open(os.path.join(HERE, name + ".onnx"), "wb") as file:
        file.write(model.SerializeToString())


def external(name, location):
    w = TensorProto(name="w", data_type=F, dims=[3], data_location=TensorProto.EXTERNAL)
    w.external_data.add(key="location", value=location)
    save(name, [helper.make_node("Add", ["x", "w"], ["y"])], [value("x", F, 1, 3)], [value("y", F, 1, 3)], [w])


def constant(name, array):
    return onnx.numpy_helper.from_array(array, name)


def to_bf16(array):
    """To nearest even, as floats: no NaN, nothing below the normal range."""
    bits = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000).astype(np.uint32).view(np.float32)


def products():
    """Products alone, of small whole numbers that bf16 holds too; one whose weights it does not hold; of integers; of doubles."""
    node, random = helper.make_node, np.random.default_rng(9)
    first, second = (random.integers(-1, 2, shape).astype(np.float32) for shape in ((64, 96), (96, 64)))
    x = random.integers(-2, 3, (3, 64)).astype(np.float32)
    save("products", [node("MatMul", ["x", "v"], ["inner"], name="first"), node("Relu", ["inner"], ["positive"]), node("MatMul", ["positive", "w"], ["y"])],
         [value("x", F, "batch", 64)], [value("y", F, "batch", 64)], [constant("v", first), constant("w", second)])
    inner = np.maximum(x @ first, 0)
    assert np.array_equal(to_bf16(inner), inner)
    w = random.standard_normal((32, 16)).astype(np.float32)
    a = random.integers(-5, 6, (3, 32)).astype(np.float32)
    save("rounded", [node("MatMul", ["x", "w"], ["y"], name="only")], [value("x", F, "batch", 32)], [value("y", F, "batch", 16)], [constant("w", w)])
    wide = a.astype(np.float64)
    for name, array in (("products.x", x), ("products.y", inner @ second), ("rounded.x", a), ("rounded.f32.y", wide @ w),
                        ("rounded.f16.y", wide @ w.astype(np.float16)), ("rounded.bf16.y", wide @ to_bf16(w)),
                        ("rounded.int8.y", wide @ dequantised(w, 8)), ("rounded.int4.y", wide @ dequantised(w, 4)),
                        ("rounded.int4.bf16.y", wide @ to_bf16(dequantised(w, 4))),
                        ("rounded.int8.bf16.y", wide @ to_bf16(dequantised(w, 8)))):
        np.save(os.path.join(HERE, name + ".npy"), array.astype(np.float32))
    save("integers", [node("MatMulInteger", ["x", "w"], ["y"], name="quantised")], [value("x", TensorProto.UINT8, "batch", 8)],
         [value("y", TensorProto.INT32, "batch", 5)], [constant("w", random.integers(-128, 128, (8, 5)).astype(np.int8))])
    save("doubles", [node("MatMul", ["x", "w"], ["y"], name="wide")], [value("x", TensorProto.DOUBLE, "batch", 8)],
         [value("y", TensorProto.DOUBLE, "batch", 5)], [constant("w", random.standard_normal((8, 5)))])


def main():
    os.makedirs(HERE, exist_ok=True)
    products()
    node = helper.make_node
    x, y = value("x", F, 1, 3), value("y", F, 1, 3)
    grid = node("GridSample", ["x", "g"], ["y"], name="late")
    planes = [value("x", F, 1, 3, 4, 4), value("g", F, 1, 2, 2, 2)], [value("y", F, 1, 3, 2, 2)]
    save("late", [grid], *planes, opset=13)  # an op of opset 16
    save("never", [grid, node("Nonsense", ["y"], ["z"])], planes[0], [value("z", F, 1, 3, 2, 2)], opset=13)
    save("unsupported", [node("Foo", ["x"], ["a"], name="first"), node("Bar", ["a"], ["b"], name="second"), node("Foo", ["b"], ["y"], name="third")], [x], [y])
    save("domain", [node("Relu", ["x"], ["y"], domain="com.example")], [x], [y], domain="com.example")
    save("opset6", [node("Add", ["x", "x"], ["y"])], [x], [y], opset=6)
    save("cycle", [node("Add", ["x", "b"], ["a"], name="one"), node("Relu", ["a"], ["b"], name="two"), node("Relu", ["b"], ["y"])], [x], [y])
    save("contradiction", [node("Add", ["x", "z"], ["y"], name="sum")], [x, value("z", F, 1, 4)], [y])
    external("external_missing", "gone.bin")
    external("external_outside", "../gone.bin")
    save("collision", [node("Relu", ["x"], ["a/b"]), node("Neg", ["x"], ["a_b"])], [x], [value("a/b", F, 1, 3), value("a_b", F, 1, 3)])
    save("escape", [node("Relu", ["x"], ["../../evil"])], [x], [value("../../evil", F, 1, 3)])
    save("pair", [node("Mul", ["x", "z"], ["product"]), node("Add", ["product", "x"], ["sum"])],
         [value("x", F, "batch", 3), value("z", F, "batch", 3)], [value("sum", F, "batch", 3)])
    save("open", [node("Relu", ["x"], ["y"])], [value("x", F, "batch", 3, "height", "width")],
         [value("y", F, "batch", 3, "height", "width")])
    save("means", [node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], ["y"])], [value("x", F, "batch", 3, 8, 8)],
         [value("y", F, "batch", 3)])
    save("fixed2", [node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], ["y"])], [value("x", F, 2, 3, 8, 8)],
         [value("y", F, 2, 3)], metadata={"label_names": '["red", "green", "blue"]', "mean": "[0,0,0]", "std": "[1,1,1]"})
    one = [helper.make_tensor(name, I, [1], [at]) for name, at in (("from", 0), ("to", 1), ("axis", 0))]
    save("cut", [node("Slice", ["x", "from", "to", "axis"], ["y"])], [value("x", F, "batch", 3)], [value("y", F, 1, 3)], one)
    save("rows", [node("Relu", ["x"], ["y"])], [value("x", F, "batch", 7)], [value("y", F, "batch", 7)])

    # shapes that inputs decide: a target of Reshape, computed from one; axes of a sum; a k that follows from data
    two = helper.make_tensor("two", I, [1], [2])
    save("asked", [node("Mul", ["target", "two"], ["twice"]), node("Reshape", ["x", "twice"], ["y"], name="fold"),
                   node("ReduceSum", ["y", "axes"], ["s"], name="total")],
         [value("x", F, 4, 6), value("target", I, "rank"), value("axes", I, 1)], [value("y", F, None, None), value("s", F, None, None)], [two])
    save("computed", [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Cast", ["m"], ["c"], to=I),
                      node("Reshape", ["c", "one"], ["k"]), node("TopK", ["x", "k"], ["y", ""], name="best")],
         [value("x", F, 4, 64)], [value("y", F, 4, None)], [helper.make_tensor("one", I, [1], [1])])

    # sizes that the data decides: rows whose sum is positive, where they are, the places of all that is positive
    zero, ones = helper.make_tensor("zero", F, [], [0]), helper.make_tensor("ones", I, [1], [1])
    save("found", [node("ReduceSum", ["x", "ones"], ["r"], keepdims=0), node("Greater", ["r", "zero"], ["m"]), node("Compress", ["x", "m"], ["rows"], axis=0),
                   node("Greater", ["x", "zero"], ["p"]), node("NonZero", ["p"], ["places"], name="search"), node("Shape", ["rows"], ["shape"]),
                   node("ReduceSum", ["rows"], ["total"], keepdims=0)],
         [value("x", F, "batch", 5)], [value("rows", F, "found", 5), value("places", I, 2, "n"), value("shape", I, 2), value("total", F)], [zero, ones])

    random = np.random.default_rng(5)
    a, b = (random.standard_normal((4, 3), dtype=np.float32) for _ in range(2))
    big = random.standard_normal((2, 3, 5, 6), dtype=np.float32)
    for name, array in (("pair.x", a), ("pair.z", b), ("pair.sum", a * b + a), ("pair.wrong", a * b + a + np.float32(0.01)),
                        ("pair.z3", b[:3]), ("pair.product", a * b), ("open.x", big), ("open.y", np.maximum(big, 0)),
                        ("double", a.astype("f8")), ("fortran", np.asfortranarray(a)), ("big_endian", a.astype(">f4"))):
        np.save(os.path.join(HERE, name + ".npy"), array)
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    for name, array in (("x", x), ("target", np.array([1, 6])), ("y", x.reshape(2, 12)), ("axes", np.array([1])),
                        ("s", x.reshape(2, 12).sum(1, keepdims=True)), ("target2", np.array([6, 1])),
                        ("y2", x.reshape(12, 2)), ("axes2", np.array([-2])), ("s2", x.reshape(12, 2).sum(0, keepdims=True))):
        np.save(os.path.join(HERE, f"asked.{name}.npy"), array)


    x = random.standard_normal((4, 5), dtype=np.float32)
    for name, a in (("", x), (".none", -np.abs(x)), (".six", random.standard_normal((6, 5), dtype=np.float32))):
        rows = a[a.sum(1) > 0]
        np.save(os.path.join(HERE, f"found{name}.x.npy"), a)
        np.save(os.path.join(HERE, f"found{name}.rows.npy"), rows)
        np.save(os.path.join(HERE, f"found{name}.places.npy"), np.array(np.nonzero(a > 0)).astype(np.int64))
        np.save(os.path.join(HERE, f"found{name}.shape.npy"), np.array(rows.shape))


if __name__ == "__main__":
    main()
