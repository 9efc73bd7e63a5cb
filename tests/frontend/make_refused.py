#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/frontend/data/refused.bad.bin: models with one node that ONNX does not allow, or that asks for the impossible.
bad_test wants each refused, with the node's name.

    make_refused.py [FOLDER]        needs numpy and onnx

One record a case: text name; bytes model; u32 status; text that the error must contain (a text is u32 length and bytes).
What is wrong with each follows from ONNX's definition of the op.
"""
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

BIG = 2**62
records = []


def f32(*shape):
    return (np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape) % 7) - 3


def i64(*values):
    return np.array(values, np.int64)


def text(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack("<I", len(raw)) + raw


def keep(name, model, status, words):
    records.append(text(name) + text(model.SerializeToString()) + struct.pack("<I", status) + text(words))


def refuse(op, why, x=None, consts=None, attrs=None, status=2, opset=23, outputs=1, order=None):
    """One node 'n' of `op`: its operands are the inputs `x`, then the constants, or as `order` says."""
    x = x if isinstance(x, dict) else {} if x is None else {"x": x}
    consts = consts or {}
    names = order if order is not None else list(x) + list(consts)
    node = h.make_node(op, names, [f"y{i}" for i in range(outputs)], name="n")
    for key, value in (attrs or {}).items():
        node.attribute.append(h.make_attribute(key, value, attr_type=onnx.AttributeProto.INTS if value == [] else None))
    infos = [h.make_tensor_value_info(k, h.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in x.items()]
    g = h.make_graph([node], "g", infos, [h.make_empty_tensor_value_info(o) for o in list(node.output) or ["y0"]],
                     [nh.from_array(v, k) for k, v in consts.items()])
    model = h.make_model(g, opset_imports=[h.make_opsetid("", opset)], ir_version=10)
    keep(f"{op}: {why}", model, status, "node 'n' (" + op)


def axes():
    a = f32(2, 3, 4)
    for op in ("Softmax", "LogSoftmax", "ArgMax", "TopK", "Concat", "Gather", "GatherElements", "ScatterElements", "Split",
               "CumSum", "LayerNormalization", "RMSNormalization", "LpNormalization", "OneHot"):
        for axis in (3, -4, 2**31, -2**63):
            consts = {"TopK": {"k": i64(1)}, "Gather": {"i": i64(0)}, "GatherElements": {"i": np.zeros((2, 3, 4), np.int64)},
                      "ScatterElements": {"i": np.zeros((2, 3, 4), np.int64), "u": a},
                      "CumSum": {"a": np.array(axis, np.int64)}, "LayerNormalization": {"g": f32(4)},
                      "RMSNormalization": {"g": f32(4)},
                      "OneHot": {"d": np.array(3, np.int64), "v": f32(2)}}.get(op)
            if op == "OneHot" and axis in (3, -4):
                continue # the new axis may be the first or the last
            attrs = {} if op == "CumSum" else {"axis": axis}
            if op == "Split":
                attrs["num_outputs"] = 1
            refuse(op, f"axis {axis}", a.astype(np.int64) if op == "OneHot" else a, consts, attrs)
    refuse("Flatten", "axis 4", a, attrs={"axis": 4})
    refuse("Flatten", "axis -4", a, attrs={"axis": -4})
    refuse("Softmax", "of a scalar", np.float32(1).reshape(()), attrs={"axis": 0})
    for op in ("ReduceSum", "ReduceMax", "ReduceMean", "ReduceProd", "ReduceL2", "ReduceLogSumExp", "Squeeze"):
        for what in ([3], [-4], [0, 0], [1, -2], [BIG]):
            x = np.ones((1, 1, 1), np.float32) if op == "Squeeze" else a
            refuse(op, f"axes {what}", x, {"axes": i64(*what)})
    for what in ([5], [-6], [0, 0], [0, -5], [BIG]):
        refuse("Unsqueeze", f"axes {what}", a, {"axes": i64(*what)})
    refuse("ReduceSum", "axes as floats", a, {"axes": np.array([1], np.float32)})
    refuse("ReduceSum", "axes as a matrix", a, {"axes": i64([1], [2])})
    refuse("ReduceMax", "an attribute's axes 3", a, attrs={"axes": [3]}, opset=13)
    refuse("ReduceMax", "an attribute's axes twice", a, attrs={"axes": [1, 1]}, opset=13)
    refuse("Squeeze", "a dim of 3", a, {"axes": i64(1)})
    for perm in ([0, 1], [0, 1, 2, 2], [0, 0, 1], [0, 1, 3], [-4, 0, 1], [0, 1, BIG]):
        refuse("Transpose", f"perm {perm}", a, attrs={"perm": perm})


def shapes():
    a = f32(2, 3, 4)
    for target in ([5, 5], [-1, 5], [-1, -1], [-2, 12], [2, 3, 4, 0], [0, 0, 0, 0], [BIG, 4], [2**32, 2**32], [-2**63],
                   [-1, 0, 0, 4, BIG]):
        refuse("Reshape", f"to {target}", a, {"s": i64(*target)})
    refuse("Reshape", "to floats", a, {"s": np.array([24], np.float32)})
    refuse("Reshape", "to a matrix of dims", a, {"s": i64([24])})
    refuse("Reshape", "-1 beside an allowed 0", a, {"s": i64(0, -1)}, {"allowzero": 1})
    for target in ([5, 3, 4], [-1, 3, 4], [2**40, 2**40, 1, 1, 1], [BIG, 1, 1, 1], [2, 3, -2]):
        refuse("Expand", f"to {target}", a, {"s": i64(*target)})
    for repeats in ([1, 1], [1, 1, 1, 1], [-1, 1, 1], [BIG, 1, 1], [2**40, 2**40, 1], [2**63 - 1, 2, 2]):
        refuse("Tile", f"{repeats}", a, {"r": i64(*repeats)})
    refuse("Tile", "repeats as floats", a, {"r": np.ones(3, np.float32)})
    for dims in ([-1], [-2**63, 2], [BIG, 4], [2**32, 2**32], [2**40, 0, -1]):
        refuse("ConstantOfShape", f"{dims}", None, {"s": i64(*dims)})
    value = h.make_tensor("v", T.FLOAT, [2], [1.0, 2.0])
    refuse("ConstantOfShape", "a value of two elements", None, {"s": i64(2, 2)}, {"value": value})
    s = lambda v, t=np.int64: np.array(v, t)
    for start, limit, delta in ((0, 5, 0), (0, 2**63 - 1, 1), (-2**63, 2**63 - 1, 1)):
        status = 2 if delta == 0 else 3
        refuse("Range", f"{start} to {limit} by {delta}", None, {"a": s(start), "b": s(limit), "c": s(delta)}, status=status)
    nan, inf = float("nan"), float("inf")
    for start, limit, delta in ((0, nan, 1), (0, inf, 1), (0, 1, nan), (0, 1, 1e-30), (0, 5, 0.0)):
        status = 2 if limit != limit or delta != delta or delta == 0 else 3
        refuse("Range", f"floats {start} to {limit} by {delta}", None,
               {"a": s(start, np.float32), "b": s(limit, np.float32), "c": s(delta, np.float32)}, status=status)
    refuse("Range", "bounds of two types", None, {"a": s(0), "b": s(5, np.int32), "c": s(1)})
    refuse("Range", "bounds of two elements", None, {"a": i64(0, 1), "b": s(5), "c": s(1)})
    for what in ([1, 1], [3, 3], [-1, 7], [2**62, -2**62, 6], [7, 0, 0, 0], [6, 2**63 - 1, 2]):
        refuse("Split", f"{what} of 6", f32(6), {"s": i64(*what)}, outputs=len(what) + (what == [3, 3]))
    refuse("Split", "num_outputs 0", f32(6), attrs={"num_outputs": 0})
    refuse("Split", "num_outputs -1", f32(6), attrs={"num_outputs": -1})
    refuse("Split", "num_outputs 3 of 2 results", f32(6), attrs={"num_outputs": 3}, outputs=2)
    refuse("Split", "5 in 2 before opset 18", f32(5), outputs=2, opset=13)
    refuse("Split", "no results", f32(5), outputs=0)
    refuse("Split", "more results than elements", f32(2), attrs={"num_outputs": 5}, outputs=5)


def movement():
    a = f32(2, 3, 4)
    for starts, ends, ax, steps in (([0], [1, 2], [0], [1]), ([0], [1], [3], [1]), ([0, 0], [1, 1], [1, 1], [1, 1]),
                                    ([0], [1], [0], [0]), ([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 2, 3], [1, 1, 1, 1]),
                                    ([0], [1], [0, 1], [1]), ([0], [1], [0], [1, 1]), ([0], [1], [-4], [1]),
                                    ([0, 0], [1, 1], [1, -2], [1, 1])):
        refuse("Slice", f"{starts} {ends} {ax} {steps}", a,
               {"s": i64(*starts), "e": i64(*ends), "a": i64(*ax), "t": i64(*steps)})
    refuse("Slice", "starts as floats", a, {"s": np.zeros(1, np.float32), "e": np.ones(1, np.float32)})
    refuse("Slice", "by attributes, lengths differ", a, attrs={"starts": [0, 0], "ends": [1]}, opset=9)
    refuse("Slice", "by attributes, an axis twice", a, attrs={"starts": [0, 0], "ends": [1, 1], "axes": [1, 1]}, opset=9)
    refuse("Slice", "by attributes, no ends", a, attrs={"starts": [0, 0]}, opset=9)
    for pads in ([1, 1], [0] * 7, [-3, 0, 0, 0, 0, 0], [-1, 0, 0, -2, 0, 0], [2**63 - 1, 0, 0, 1, 0, 0], [BIG, 0, 0, BIG, 0, 0],
                 [-2**63, 0, 0, -2**63, 0, 0]):
        refuse("Pad", f"{pads}", a, {"p": i64(*pads)})
    refuse("Pad", "mode nonsense", a, {"p": i64(0, 0, 0, 1, 0, 0)}, {"mode": "nonsense"})
    refuse("Pad", "a value of two numbers", a, {"p": i64(0, 0, 0, 1, 0, 0), "v": f32(2)})
    refuse("Pad", "a value of another type", a, {"p": i64(0, 0, 0, 1, 0, 0), "v": i64(1)})
    refuse("Pad", "an axis twice", a, {"p": i64(1, 1, 0, 0), "a": i64(1, 1)}, order=["x", "p", "", "a"])
    refuse("Pad", "axis 3", a, {"p": i64(1, 0), "a": i64(3)}, order=["x", "p", "", "a"])
    refuse("Concat", "different dims", {"x": f32(2, 3), "z": f32(2, 4)}, attrs={"axis": 0})
    refuse("Concat", "different ranks", {"x": f32(2, 3), "z": f32(3)}, attrs={"axis": 0})
    refuse("Concat", "different types", {"x": f32(2, 3), "z": np.ones((2, 3), np.int64)}, attrs={"axis": 0})
    refuse("Concat", "no axis", {"x": f32(2, 3), "z": f32(2, 3)})
    refuse("Concat", "of scalars", {"x": np.float32(1).reshape(()), "z": np.float32(1).reshape(())}, attrs={"axis": 0})
    refuse("Concat", "of nothing", None, attrs={"axis": 0})
    for index in (2, -3, 2**62, -2**63):
        refuse("Gather", f"index {index} of 2", a, {"i": i64(index)}, {"axis": 0})
        refuse("ScatterND", f"index {index} of 2", a, {"i": i64([index]), "u": f32(1, 3, 4)})
        refuse("GatherND", f"index {index} of 2", a, {"i": i64([index])})
        refuse("ScatterElements", f"index {index} of 2", a, {"i": np.full((1, 3, 4), index, np.int64), "u": f32(1, 3, 4)},
               {"axis": 0})
        refuse("GatherElements", f"index {index} of 2", a, {"i": np.full((1, 3, 4), index, np.int64)}, {"axis": 0})
    for pair in ([0, 3], [1, -4], [-1, 2**62], [2, -3]): # inside when counted flat
        refuse("GatherND", f"indices {pair} of [2, 3]", a, {"i": i64(pair)})
        refuse("ScatterND", f"indices {pair} of [2, 3]", a, {"i": i64(pair), "u": f32(4)})
    for op, n in (("Gather", 0), ("GatherND", 0), ("GatherElements", 0), ("ScatterND", 1), ("ScatterElements", 1)):
        u = {"u": f32(1, 3, 4)} if n else {}
        refuse(op, "indices as floats", a, {"i": np.zeros((1, 3, 4) if "El" in op else (1, 1), np.float32), **u})
    refuse("GatherND", "tuples longer than the rank", a, {"i": i64([0, 0, 0, 0])})
    refuse("GatherND", "batch_dims 3", a, {"i": np.zeros((2, 3, 4, 1), np.int64)}, {"batch_dims": 3})
    refuse("GatherND", "batch_dims -1", a, {"i": i64([0])}, {"batch_dims": -1})
    refuse("GatherND", "indices of rank 0", a, {"i": np.array(0, np.int64)})
    refuse("GatherElements", "ranks differ", a, {"i": i64(0)})
    refuse("GatherElements", "indices longer than the data", a, {"i": np.zeros((1, 4, 4), np.int64)}, {"axis": 0})
    refuse("ScatterElements", "indices and updates differ", a, {"i": np.zeros((1, 3, 4), np.int64), "u": f32(1, 3, 3)})
    refuse("ScatterElements", "reduction nonsense", a, {"i": np.zeros((1, 3, 4), np.int64), "u": f32(1, 3, 4)},
           {"reduction": "nonsense"})
    refuse("ScatterND", "updates of another shape", a, {"i": i64([0]), "u": f32(2, 3, 4)})
    refuse("ScatterND", "updates of another type", a, {"i": i64([0]), "u": np.ones((1, 3, 4), np.int64)})
    p = f32(1, 4, 4, 4)
    for b in (0, -1, 3, BIG, -2**63):
        refuse("DepthToSpace", f"blocksize {b}", p, attrs={"blocksize": b})
        refuse("SpaceToDepth", f"blocksize {b}", p, attrs={"blocksize": b})
    refuse("DepthToSpace", "no blocksize", p)
    refuse("DepthToSpace", "mode nonsense", p, attrs={"blocksize": 2, "mode": "nonsense"})
    refuse("DepthToSpace", "of rank 3", a, attrs={"blocksize": 2})
    refuse("Trilu", "of rank 1", f32(4))
    refuse("Trilu", "k of two numbers", a, {"k": i64(1, 2)})
    refuse("TopK", "k 5 of 4", a, {"k": i64(5)})
    refuse("TopK", "k -1", a, {"k": i64(-1)})
    refuse("TopK", "k as float", a, {"k": np.ones(1, np.float32)})
    refuse("TopK", "two k", a, {"k": i64(1, 2)})
    refuse("CumSum", "two axes", a, {"a": i64(0, 1)})
    refuse("CumSum", "axis as float", a, {"a": np.array(0, np.float32)})


def windows():
    x, w = f32(1, 4, 6, 6), f32(2, 4, 3, 3)
    for key, values in {"strides": ([0, 1], [1], [1, 1, 1], [-1, 1], [BIG, 1]), "dilations": ([0, 1], [1], [1, 1, 1], [-1, 1], [BIG, BIG]),
                        "pads": ([1], [0, 0, 0], [0] * 5, [-9, 0, 0, 0], [BIG, BIG, BIG, BIG], [2**63 - 1] * 4),
                        "kernel_shape": ([3], [3, 2], [3, 3, 3], [0, 0], [-3, 3], [BIG, 3])}.items():
        for value in values:
            refuse("Conv", f"{key} {value}", x, {"w": w}, {key: value})
            if key in ("strides", "dilations", "pads"):
                refuse("MaxPool", f"{key} {value}", x, attrs={"kernel_shape": [2, 2], key: value})
    for k in ([2], [2, 2, 2], [0, 2], [-1, 2], [8, 1], [BIG, 1]):
        refuse("MaxPool", f"kernel_shape {k}", x, attrs={"kernel_shape": k})
        refuse("AveragePool", f"kernel_shape {k}", x, attrs={"kernel_shape": k})
    for op in ("MaxPool", "AveragePool", "LpPool"): # two strides longer than the axis with its padding
        refuse(op, "a window longer than the picture", x, attrs={"kernel_shape": [2, 15], "strides": [1, 4], "pads": [0, 1, 0, 0], "ceil_mode": 1})
    refuse("MaxPool", "a window longer than the picture, with no tap on it", f32(1, 1, 1), attrs={"kernel_shape": [2], "strides": [6], "pads": [1, 0], "dilations": [2]})
    refuse("MaxPool", "no kernel_shape", x)
    for op in ("MaxPool", "AveragePool", "LpPool"):
        n = 2**20 # as many windows of as many places
        refuse(op, "endless windows", x, attrs={"kernel_shape": [n, 1], "pads": [n - 1, 0, n - 1, 0]}, status=3)
    for op in ("MaxPool", "AveragePool", "LpPool"):
        refuse(op, "of rank 2", f32(4, 4), attrs={"kernel_shape": []})
        refuse(op, "of rank 2 with a kernel", f32(4, 4), attrs={"kernel_shape": [2]})
    refuse("AveragePool", "padding wider than the kernel", x, attrs={"kernel_shape": [2, 2], "pads": [2, 2, 2, 2]})
    for how in ("nonsense", "same_upper", ""):
        refuse("Conv", f"auto_pad '{how}'", x, {"w": w}, {"auto_pad": how})
        refuse("MaxPool", f"auto_pad '{how}'", x, attrs={"kernel_shape": [2, 2], "auto_pad": how})
    for g in (0, -1, 3, 8, BIG, -2**63):
        refuse("Conv", f"group {g}", x, {"w": w}, {"group": g})
    refuse("Conv", "of rank 2", f32(4, 4), {"w": f32(4, 4)})
    refuse("Conv", "groups that do not divide the filters", x, {"w": f32(3, 2, 3, 3)}, {"group": 2})
    refuse("Conv", "a weight of other channels", x, {"w": f32(2, 3, 3, 3)})
    refuse("Conv", "a weight of another rank", x, {"w": f32(2, 4, 3)})
    refuse("Conv", "a weight of another type", x, {"w": np.ones((2, 4, 3, 3), np.float64)})
    refuse("Conv", "a bias of another length", x, {"w": w, "b": f32(3)})
    refuse("Conv", "a bias of rank 2", x, {"w": w, "b": f32(1, 2)})
    refuse("Conv", "a kernel larger than the picture", x, {"w": f32(2, 4, 7, 7)})
    refuse("Conv", "of integers", np.ones((1, 4, 6, 6), np.int64), {"w": np.ones((2, 4, 3, 3), np.int64)})
    refuse("GlobalAveragePool", "of rank 2", f32(2, 3))
    w = f32(4, 2, 3, 3)
    for key, values in {"strides": ([0, 1], [1], [1, 1, 1], [-1, 1]), "dilations": ([0, 1], [1], [1, 1, 1], [BIG, BIG]),
                        "pads": ([1], [0, 0, 0], [0] * 5, [-9, 0, 0, 0], [BIG, BIG, BIG, BIG], [9, 9, 9, 9]),
                        "kernel_shape": ([3], [3, 2], [3, 3, 3], [-3, 3]),
                        "output_padding": ([1], [1, 1, 1], [-1, 0], [BIG, 0]),
                        "output_shape": ([8], [8, 8, 8], [0, 8], [-1, 8], [BIG, 8])}.items():
        for value in values:
            refuse("ConvTranspose", f"{key} {value}", x, {"w": w}, {key: value})
    for g in (0, -1, 3, 8, BIG, -2**63):
        refuse("ConvTranspose", f"group {g}", x, {"w": w}, {"group": g})
    refuse("ConvTranspose", "of rank 2", f32(4, 4), {"w": f32(4, 4)})
    refuse("ConvTranspose", "a weight of another rank", x, {"w": f32(4, 2, 3)})
    refuse("ConvTranspose", "a weight of other channels", x, {"w": f32(3, 2, 3, 3)})
    refuse("ConvTranspose", "a bias of another length", x, {"w": w, "b": f32(3)})
    refuse("ConvTranspose", "auto_pad nonsense", x, {"w": w}, {"auto_pad": "nonsense"})


def regions():
    x, rois, images = f32(1, 2, 4, 4), f32(3, 4), i64(0, 0, 0)
    for samples, status in ((-1, 2), (129, 3), (2**31 - 1, 3), (2**62, 3)):
        refuse("RoiAlign", f"sampling_ratio {samples}", x, {"r": rois, "i": images}, {"sampling_ratio": samples}, status=status)
    for size in (0, -1, -2**63):
        refuse("RoiAlign", f"output_height {size}", x, {"r": rois, "i": images}, {"output_height": size})
    refuse("RoiAlign", "mode nonsense", x, {"r": rois, "i": images}, {"mode": "nonsense"})
    refuse("RoiAlign", "regions of three numbers", x, {"r": f32(3, 3), "i": images})
    refuse("RoiAlign", "fewer images than regions", x, {"r": rois, "i": i64(0, 0)})
    refuse("GridSample", "a grid of three numbers over two axes", x, {"g": f32(1, 2, 2, 3)})
    refuse("GridSample", "a grid of more images", x, {"g": f32(2, 2, 2, 2)})
    refuse("GridSample", "padding_mode nonsense", x, {"g": f32(1, 2, 2, 2)}, {"padding_mode": "nonsense"})
    sequences = f32(4, 3, 2) # time, batch, features
    refuse("ReverseSequence", "lengths as floats", sequences, {"l": np.full(3, 2, np.float32)})
    refuse("ReverseSequence", "lengths as booleans", sequences, {"l": np.ones(3, bool)})
    for count in (1, 2, 4):
        refuse("ReverseSequence", f"{count} lengths for 3 sequences", sequences, {"l": np.full(count, 2, np.int64)})
    refuse("ReverseSequence", "one length for 4 sequences, the batch first", sequences, {"l": i64(2)}, {"batch_axis": 0, "time_axis": 1})
    refuse("ReverseSequence", "lengths as a matrix", sequences, {"l": i64([2, 2, 2])})


def products():
    refuse("MatMul", "inner dims differ", f32(2, 3), {"b": f32(4, 2)})
    refuse("MatMul", "a scalar", f32(2, 3), {"b": np.float32(2).reshape(())})
    refuse("MatMul", "types differ", f32(2, 3), {"b": np.ones((3, 2), np.float64)})
    refuse("MatMul", "of booleans", np.ones((2, 2), bool), {"b": np.ones((2, 2), bool)})
    refuse("MatMul", "batches that do not meet", f32(2, 3, 4), {"b": f32(3, 4, 2)})
    refuse("Gemm", "inner dims differ", f32(2, 3), {"b": f32(4, 2)})
    refuse("Gemm", "of rank 3", f32(1, 2, 3), {"b": f32(3, 2)})
    refuse("Gemm", "c does not broadcast", f32(2, 3), {"b": f32(3, 2), "c": f32(3)})
    refuse("Gemm", "c is larger than the product", f32(2, 3), {"b": f32(3, 2), "c": f32(1, 2, 2)})
    refuse("Gemm", "c of another type", f32(2, 3), {"b": f32(3, 2), "c": np.ones(2, np.float64)})
    for eq in ("", "ij,jk->ik", "ij->ijk", "i->i", "ijk->ij", "i1->i", "ij->->i", "ij-i", "ij>i", "ij,", "...ijk->...", "ij->ii",
               "ij->iji", "ij->i j k", "ij,jk", "i...j...->ij", "IJ->ij",
               "...", ",", "->", ".ij->ij", "i..j->ij", "ij->i.j"):
        if eq == "...":
            continue
        refuse("Einsum", f"'{eq}' of a matrix", f32(2, 3), attrs={"equation": eq})
    refuse("Einsum", "no equation", f32(2, 3))
    two = {"x": f32(2, 3), "z": f32(4, 2)}
    for eq in ("ij,jk->ik", "ij,ij->ij", "ij,ki", "ij,jk,kl->il", "ij->i", "ij,k->ik", "ij,kli->jkl", "...i,...k->...ik", "ij,->ij"):
        if eq == "ij,ki":
            continue # fits: transposes
        refuse("Einsum", f"'{eq}' of [2, 3] and [4, 2]", two, attrs={"equation": eq})
    refuse("Einsum", "a diagonal of what is not square", f32(2, 3), attrs={"equation": "ii->i"})
    refuse("Einsum", "of two types", {"x": f32(2, 3), "z": np.ones((3, 2), np.float64)}, attrs={"equation": "ij,jk->ik"})
    q, k3 = f32(1, 2, 3, 4), f32(1, 3, 8)
    refuse("Attention", "no number of heads", k3, {"k": k3, "v": k3})
    for heads in (0, -1, 3, BIG, -2**63):
        refuse("Attention", f"{heads} heads of 8", k3, {"k": k3, "v": k3}, {"q_num_heads": heads, "kv_num_heads": heads})
    refuse("Attention", "head dims differ", q, {"k": f32(1, 2, 3, 5), "v": q})
    refuse("Attention", "tokens differ", q, {"k": f32(1, 2, 4, 4), "v": q})
    refuse("Attention", "heads do not divide", q, {"k": f32(1, 3, 3, 4), "v": f32(1, 3, 3, 4)})
    refuse("Attention", "a mask of another size", q, {"k": q, "v": q, "m": f32(5, 3)})
    refuse("Attention", "types differ", q, {"k": q.astype(np.float64), "v": q})
    refuse("Attention", "ranks differ", q, {"k": k3, "v": k3}, {"q_num_heads": 2, "kv_num_heads": 2})
    refuse("Attention", "the rank of v differs", q, {"k": q, "v": k3}, {"q_num_heads": 2, "kv_num_heads": 2})
    refuse("Attention", "batches differ", q, {"k": f32(2, 2, 3, 4), "v": f32(2, 2, 3, 4)})
    refuse("Attention", "of rank 2", f32(3, 4), {"k": f32(3, 4), "v": f32(3, 4)})


def norms():
    x = f32(2, 4, 3)
    nan = float("nan")
    for op, consts in (("LayerNormalization", {"g": f32(3)}), ("RMSNormalization", {"g": f32(3)}),
                       ("InstanceNormalization", {"g": f32(4), "b": f32(4)}),
                       ("BatchNormalization", {"g": f32(4), "b": f32(4), "m": f32(4), "v": f32(4)}),
                       ("GroupNormalization", {"g": f32(4), "b": f32(4)})):
        more = {"num_groups": 2} if op[0] == "G" else {}
        refuse(op, "epsilon not a number", x, consts, {"epsilon": nan, **more})
        refuse(op, "a gain of another length", x, {k: f32(5) for k in consts}, more)
        refuse(op, "a gain of another type", x, {k: v.astype(np.int64) for k, v in consts.items()}, more)
    for g in (0, -1, 3, 5, BIG, -2**63):
        refuse("GroupNormalization", f"num_groups {g}", x, {"g": f32(4), "b": f32(4)}, {"num_groups": g})
    refuse("GroupNormalization", "no num_groups", x, {"g": f32(4), "b": f32(4)})
    refuse("BatchNormalization", "of rank 1", f32(4), {c: f32(4) for c in "gbmv"})
    refuse("InstanceNormalization", "of rank 2", f32(2, 4), {c: f32(4) for c in "gb"})
    refuse("LpNormalization", "p 3", x, attrs={"p": 3})


def resizing():
    x = f32(1, 2, 4, 4)
    nan, inf = float("nan"), float("inf")
    for s in ([1, 1, 2], [1, 1, 2, 2, 1], [1, 1, 0, 1], [1, 1, -1, 1], [1, 1, nan, 1], [1, 1, inf, 1], [1, 1, 1e30, 1], [1, 1, 1e-9, 1]):
        refuse("Resize", f"scales {s}", x, {"r": f32(0), "s": np.array(s, np.float32)}, order=["x", "", "s"])
    for s in ([1, 2, 8], [1, 2, 0, 8], [1, 2, -1, 8], [1, 2, BIG, 8], [1, 2, 8, 8, 1]):
        refuse("Resize", f"sizes {s}", x, {"s": i64(*s)}, order=["x", "", "", "s"])
    refuse("Resize", "neither scales nor sizes", x)
    refuse("Resize", "scales and sizes", x, {"s": np.ones(4, np.float32), "z": i64(1, 2, 4, 4)}, order=["x", "", "s", "z"])
    refuse("Resize", "scales as integers", x, {"s": i64(1, 1, 2, 2)}, order=["x", "", "s"])
    for key, value in (("mode", "nonsense"), ("coordinate_transformation_mode", "nonsense"), ("nearest_mode", "nonsense"),
                       ("keep_aspect_ratio_policy", "nonsense"), ("axes", [2, 2]), ("axes", [4, 3]), ("axes", [2])):
        n = len(value) if key == "axes" and value != [2] else 2 if key == "axes" else 4
        refuse("Resize", f"{key} {value}", x, {"s": np.full(n, 2, np.float32)}, {key: value}, order=["x", "", "s"])
    refuse("Resize", "a region of the wrong length", x, {"r": f32(3), "s": np.ones(4, np.float32)},
           {"coordinate_transformation_mode": "tf_crop_and_resize"}, order=["x", "r", "s"])
    refuse("Upsample", "scales of another length", x, attrs={"scales": [1.0, 1.0, 2.0]}, opset=7)
    refuse("Upsample", "scale 0", x, attrs={"scales": [1.0, 1.0, 2.0, 0.0]}, opset=7)


def types():
    f, i, b = f32(2, 3), np.ones((2, 3), np.int64), np.ones((2, 3), bool)
    for op in ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Less", "Mod"):
        refuse(op, "of booleans", {"x": b, "z": b})
    for op in ("Add", "Sub", "Mul", "Div", "Equal", "Less", "Where", "Max"):
        refuse(op, "of two types", {"x": f, "z": i} if op != "Where" else {"c": b, "x": f, "z": i})
    for op in ("And", "Or", "Xor"):
        refuse(op, "of floats", {"x": f, "z": f})
        refuse(op, "of integers", {"x": i, "z": i})
    for op in ("Exp", "Log", "Sqrt", "Tanh", "Sigmoid", "Softmax", "Floor", "Ceil", "Round", "Sin", "Cos", "Reciprocal", "Gelu",
               "Elu", "Selu", "Celu", "LeakyRelu", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Mish", "IsNaN"):
        refuse(op, "of integers", i)
        refuse(op, "of booleans", b)
    for op in ("Neg", "Abs", "Relu", "Sign", "ReduceSum", "ReduceMean", "CumSum"):
        refuse(op, "of booleans", b, {"a": np.array(0, np.int64)} if op == "CumSum" else None)
    refuse("Neg", "of unsigned integers", i.astype(np.uint32))
    refuse("ReduceMean", "of booleans along an axis", b, {"a": i64(0)})
    refuse("Not", "of floats", f)
    refuse("Not", "of integers", i)
    refuse("Where", "on floats", {"c": f, "x": f, "z": f})
    refuse("Mod", "of floats without fmod", {"x": f, "z": f + 9})
    refuse("Clip", "bounds of another type", f, {"lo": i64(0)}, order=["x", "lo"])
    refuse("PRelu", "a slope of another type", f, {"s": np.ones(3, np.float64)})
    refuse("PRelu", "a slope that does not broadcast", f, {"s": f32(4)})
    for to, status in ((8, 3), (99, 2), (0, 2), (-1, 2), (2**40, 2), (14, 3)):
        refuse("Cast", f"to {to}", f, attrs={"to": to}, status=status)
    refuse("Cast", "to nothing", f)
    refuse("Gelu", "approximate nonsense", f, attrs={"approximate": "nonsense"})
    refuse("Celu", "alpha 0", f, attrs={"alpha": 0.0})


def operands():
    f = f32(2, 3)
    for op, least in (("Relu", 1), ("Add", 2), ("Where", 3), ("Reshape", 2), ("Gather", 2), ("Conv", 2), ("MatMul", 2),
                      ("Slice", 3), ("TopK", 2), ("Pad", 2), ("LayerNormalization", 2), ("BatchNormalization", 5), ("Attention", 3),
                      ("ScatterND", 3), ("Expand", 2), ("Range", 3)):
        refuse(op, "an operand too few", f, order=["x"] * (least - 1))
        refuse(op, "an empty name for a needed operand", f, order=["x"] * (least - 1) + [""])
        refuse(op, "far too many operands", f, order=["x"] * 12)
    refuse("Relu", "an operand that nothing makes", f, order=["q"])
    refuse("Relu", "its own result", f, order=["y0"])
    refuse("Relu", "two results", f, status=3, outputs=2)
    refuse("Relu", "no result", f, outputs=0)
    refuse("Dropout", "three results", f, status=3, outputs=3)
    refuse("Softmax", "axis as a float", f, attrs={"axis": 1.0})
    refuse("Transpose", "perm as a float", f, attrs={"perm": 1.0})
    refuse("Transpose", "perm as a text", f, attrs={"perm": "10"})
    refuse("Elu", "alpha as an integer", f, attrs={"alpha": 1})
    refuse("Constant", "no value", None)
    refuse("Constant", "two values", None, attrs={"value_int": 1, "value_float": 1.0})
    refuse("Constant", "floats that are integers", None, attrs={"value_floats": [1, 2]})


def graphs():
    """Whole graphs: names and cycles."""
    f = f32(2, 3)
    info = lambda n, shape=(2, 3), t=T.FLOAT: h.make_tensor_value_info(n, t, shape)
    out = lambda n: h.make_empty_tensor_value_info(n)

    def model(name, nodes, outputs, words, inits=(), inputs=None, status=2):
        g = h.make_graph(nodes, "g", inputs if inputs is not None else [info("x")], [out(o) for o in outputs], list(inits))
        keep("graph: " + name, h.make_model(g, opset_imports=[h.make_opsetid("", 17)], ir_version=8), status, words)

    relu = h.make_node("Relu", ["x"], ["y"], name="n")
    model("a cycle of two", [h.make_node("Add", ["x", "b"], ["a"], name="n"), h.make_node("Relu", ["a"], ["b"], name="m")], ["b"], "'n'")
    model("a result that an input has", [h.make_node("Relu", ["x"], ["x"], name="n")], ["x"], "'n'")
    model("a result that an initializer has", [h.make_node("Relu", ["x"], ["w"], name="n")], ["w"], "'n'", [nh.from_array(f, "w")])
    model("a result twice in one node", [h.make_node("Split", ["x"], ["a", "a"], name="n", axis=0)], ["a"], "'n'")
    model("an output that nobody makes", [relu], ["z"], "'z'")
    model("an output without a name", [relu], ["y", ""], "output ''")
    model("an output twice", [relu], ["y", "y"], "'y'")
    model("an input twice", [relu], ["y"], "'x'", inputs=[info("x"), info("x")])
    model("an input without a name", [relu], ["y"], "name", inputs=[info("x"), info("")])
    model("an initializer twice", [relu], ["y"], "'w'", [nh.from_array(f, "w"), nh.from_array(f, "w")])
    model("an initializer that contradicts its input", [h.make_node("Add", ["x", "w"], ["y"], name="n")], ["y"], "'w'",
          [nh.from_array(f, "w")], [info("x"), info("w", (3, 3))])
    model("an initializer of another type than its input", [h.make_node("Add", ["x", "w"], ["y"], name="n")], ["y"], "'w'",
          [nh.from_array(f, "w")], [info("x"), info("w", (2, 3), T.INT64)])
    model("a cycle behind nodes in reverse", [h.make_node("Relu", ["a"], ["y"], name="m"), h.make_node("Add", ["x", "c"], ["a"], name="n"),
                                              h.make_node("Neg", ["a"], ["c"], name="o")], ["y"], "'o'")
    model("an input of strings", [relu], ["y"], "'x'", inputs=[info("x", (2, 3), T.STRING)], status=3)
    model("an input of an unknown type", [relu], ["y"], "'x'", inputs=[info("x", (2, 3), 99)])
    model("an input with a negative dim, which is an open one", [relu], ["y"], "'x'", inputs=[info("x", (2, -3))], status=1)
    model("an input with too many elements", [relu], ["y"], "'x'", inputs=[info("x", (2**40, 2**40))])


def spectra():
    x = f32(2, 8, 1)
    n = lambda v: np.array(v, np.int64)
    refuse("DFT", "the axis of parts", x, {"l": n(8), "a": n(2)})
    refuse("DFT", "axis 3", x, {"l": n(8), "a": n(3)})
    refuse("DFT", "three parts", f32(2, 8, 3), {"l": n(8), "a": n(1)})
    refuse("DFT", "rank 1", f32(8), {"l": n(8), "a": n(0)})
    refuse("DFT", "integers", np.zeros((2, 8, 1), np.int32), {"l": n(8), "a": n(1)})
    for length in (0, -1, 2**62):
        refuse("DFT", f"length {length}", x, {"l": n(length), "a": n(1)})
    refuse("DFT", "no points", f32(2, 0, 1), {"l": n(8), "a": n(1)})
    refuse("DFT", "half of one point", f32(2, 1, 2), attrs={"inverse": 1, "onesided": 1}, order=["x"])
    refuse("DFT", "a matrix of 2^40 elements", f32(2, 64, 1), {"l": n(2**20), "a": n(1)}, status=3)
    refuse("STFT", "step 0", x, {"s": n(0), "w": np.ones(4, np.float32)})
    refuse("STFT", "neither window nor length", x, {"s": n(2)})
    refuse("STFT", "a window longer than the signal", x, {"s": n(2), "w": np.ones(9, np.float32)})
    refuse("STFT", "a window of another length", x, {"s": n(2), "w": np.ones(4, np.float32), "l": n(5)})
    refuse("STFT", "a window of rank 2", x, {"s": n(2), "w": np.ones((2, 2), np.float32)})
    refuse("STFT", "rank 4", f32(2, 8, 1, 1), {"s": n(2), "w": np.ones(4, np.float32)})
    for op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
        for size in (0, -1, 2**62):
            refuse(op, f"size {size}", None, {"n": n(size)})
        refuse(op, "two sizes", None, {"n": i64(4, 4)})
    refuse("HannWindow", "of strings", None, {"n": n(4)}, {"output_datatype": 8}, status=3)
    edge = {"low": np.float32(0), "high": np.float32(4000)}
    refuse("MelWeightMatrix", "rate 0", None, {"m": n(4), "l": n(16), "r": n(0), **{k: np.array(v) for k, v in edge.items()}})
    refuse("MelWeightMatrix", "a negative edge", None, {"m": n(4), "l": n(16), "r": n(8000), "low": np.array(-1, np.float32), "high": np.array(4000, np.float32)})
    refuse("MelWeightMatrix", "an edge of NaN", None, {"m": n(4), "l": n(16), "r": n(8000), "low": np.array(np.nan, np.float32), "high": np.array(4000, np.float32)})
    refuse("ArgMax", "of nothing", f32(2, 0), None, {"axis": 1})


def branches():
    """If whose condition the data decides."""
    out = h.make_empty_tensor_value_info
    decide = [h.make_node("ReduceSum", ["x"], ["s"], keepdims=0), h.make_node("Cast", ["s"], ["c"], to=T.BOOL)]

    def choose(name, yes, no, status, words="node 'n' (If", condition="c", outputs=1):
        graphs = [h.make_graph(nodes, "b", [], [out(r) for r in results]) for nodes, results in (yes, no)]
        node = h.make_node("If", [condition], ["y", "z"][:outputs], name="n", then_branch=graphs[0], else_branch=graphs[1])
        g = h.make_graph([*decide, node], "g", [h.make_tensor_value_info("x", T.FLOAT, [50, 30])], [out("y")])
        keep("If: " + name, h.make_model(g, opset_imports=[h.make_opsetid("", 17)], ir_version=8), status, words)

    neg = ([h.make_node("Neg", ["x"], ["a"])], ["a"])
    choose("other shapes", neg, ([h.make_node("Transpose", ["x"], ["a"])], ["a"]), 3)
    choose("other types", neg, ([h.make_node("Cast", ["x"], ["a"], to=T.INT32)], ["a"]), 3)
    choose("a condition of six", neg, neg, 2, condition="x")
    choose("fewer results", neg, neg, 2, outputs=2)
    choose("a result that nobody makes", ([h.make_node("Neg", ["x"], ["b"])], ["a"]), neg, 2)
    choose("an operand that nobody makes", neg, ([h.make_node("Neg", ["q"], ["a"], name="m")], ["a"]), 2, "node 'n/m' (Neg")


def recurrent():
    x = f32(4, 2, 3)
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        w, r, b = f32(1, gates * 5, 3), f32(1, gates * 5, 5), f32(1, 2 * gates * 5)

        def bad(why, x=x, w=w, r=r, b=b, more=None, status=2, **attrs):
            more = more or {}
            consts = {"w": w, "r": r, **({"b": b} if b is not None else {}), **more}
            order = ["x", "w", "r", "b" if b is not None else ""] + [n if n in more else "" for n in ("lens", "h", "c", "p")]
            while order[-1] == "":
                order.pop()
            refuse(op, why, x, consts=consts, attrs=attrs, status=status, opset=22, order=order)

        bad("an input of rank 2", x=f32(4, 3))
        bad("no steps", x=f32(0, 2, 3), status=3)
        bad("more steps than are supported", x=f32(5000, 1, 1), w=f32(1, gates * 5, 1), status=3)
        bad("W of another input", w=f32(1, gates * 5, 4))
        bad("W of two directions", w=f32(2, gates * 5, 3))
        bad("R that is not square", r=f32(1, gates * 5, 6))
        bad("R of rank 2", r=f32(gates * 5, 5))
        bad("one bias", b=f32(1, gates * 5))
        bad("another direction", direction="sideways")
        bad("another hidden size", hidden_size=6)
        bad("a layout that there is not", layout=2)
        bad("a clip below zero", clip=-1.0)
        bad("an activation that there is not", activations=["Sine"] * max(1, gates - 1), status=3)
        bad("too few activations", activations=["Tanh"], direction="bidirectional")
        bad("an alpha that is no list", activation_alpha=1)
        bad("Affine without its numbers", activations=["Affine"] * max(1, gates - 1))
        bad("a length for each of three", more={"lens": np.array([4, 4, 4], np.int32)})
        bad("a length behind the end", more={"lens": np.array([4, 5], np.int32)})
        bad("a length below zero", more={"lens": np.array([4, -1], np.int32)})
        bad("lengths of 64 bits", more={"lens": np.array([4, 3], np.int64)})
        bad("an initial state of three", more={"h": f32(1, 3, 5)})
        bad("integers", x=x.astype(np.int32), w=w.astype(np.int32), r=r.astype(np.int32), b=None)
    w, r = f32(1, 20, 3), f32(1, 20, 5)
    refuse("LSTM", "peepholes of two gates", x, consts={"w": w, "r": r, "p": f32(1, 10)}, opset=22, order=["x", "w", "r", "", "", "", "", "p"])
    refuse("LSTM", "an initial cell of doubles", x, consts={"w": w, "r": r, "c": np.zeros((1, 2, 5))}, opset=22, order=["x", "w", "r", "", "", "", "c"])


def deform():
    x, w, o = f32(1, 4, 6, 6), f32(2, 4, 3, 3), f32(1, 18, 4, 4)

    def bad(why, x=x, w=w, o=o, more=None, status=2, **attrs):
        more = more or {}
        order = ["x", "w", "o"] + [n if n in more else "" for n in ("b", "m")]
        while order[-1] == "":
            order.pop()
        refuse("DeformConv", why, {"x": x, "o": o}, consts={"w": w, **more}, attrs=attrs, status=status, opset=22, order=order)

    bad("three axes", x=f32(1, 4, 6, 6, 6), w=f32(2, 4, 3, 3, 3), o=f32(1, 81, 4, 4, 4), status=3)
    bad("offsets of another size", o=f32(1, 18, 6, 6))
    bad("offsets of fewer taps", o=f32(1, 16, 4, 4))
    bad("offsets of another batch", o=f32(2, 18, 4, 4))
    bad("offsets of rank 3", o=f32(18, 4, 4))
    bad("offsets of doubles", o=o.astype(np.float64))
    bad("a mask of another size", more={"m": f32(1, 18, 4, 4)})
    bad("a bias of three", more={"b": f32(3)})
    bad("no groups", group=0)
    bad("groups that do not divide", group=3)
    bad("groups of offsets that do not divide", offset_group=3)
    bad("groups below zero", offset_group=-1)
    bad("a weight of other channels", w=f32(2, 3, 3, 3))
    bad("a weight of rank 3", w=f32(2, 4, 3))
    bad("windows beyond the picture", x=f32(1, 4, 2, 2))
    bad("a kernel that contradicts", kernel_shape=[2, 2])
    bad("no strides", strides=[0, 1])
    bad("three pads", pads=[0, 0, 0])
    bad("pads below zero", pads=[-1, 0, 0, 0])
    bad("huge dilations", dilations=[2**31 - 1, 1])
    bad("far too large pads", pads=[2**31 - 1] * 4, status=3)
    bad("integers", x=x.astype(np.int32), w=w.astype(np.int32), o=o.astype(np.int32))


def loops():
    """Loop and Scan: bodies that do not fit, turns that nobody can count."""
    out, info = h.make_empty_tensor_value_info, h.make_tensor_value_info

    def loop(name, nodes, inputs, outputs, status=2, operands=("m", "", "x"), op="Loop", consts=None, words=None, results=1, **attrs):
        body = h.make_graph(nodes, "b", [out(i) for i in inputs], [out(o) for o in outputs])
        node = h.make_node(op, list(operands), ["y", "z", "w"][:results], name="n", body=body, **attrs)
        inits = {"m": np.array(3, np.int64), "no": np.array(True), **(consts or {})}
        g = h.make_graph([node], "g", [info("x", T.FLOAT, [20, 30]), info("k", T.FLOAT, [500])], [out("y")], [nh.from_array(v, k) for k, v in inits.items()])
        keep(f"{op}: {name}", h.make_model(g, opset_imports=[h.make_opsetid("", 17)], ir_version=8), status, words or f"node 'n' ({op}")

    go, half = h.make_node("Identity", ["c"], ["on"]), h.make_node("Neg", ["s"], ["a"])
    heads = ("i", "c", "s")
    loop("no inputs", [go, half], (), ("on", "a"), words="node 'n")
    loop("too few outputs", [go], heads, ("on",))
    loop("an input twice", [go, half], ("i", "i", "s"), ("on", "a"))
    loop("two numbers of turns", [go, half], heads, ("on", "a"), consts={"m": i64(1, 2)})
    loop("a condition of two", [go, half], heads, ("on", "a"), operands=("m", "no", "x"), consts={"no": np.array([True, False])})
    loop("more turns than are written out", [go, half], heads, ("on", "a"), 3, consts={"m": np.array(257, np.int64)})
    loop("no end", [go, half], heads, ("on", "a"), 3, operands=("", "no", "x"))
    loop("an end that the data decides", [h.make_node("ReduceMax", ["s"], ["t"], keepdims=0), h.make_node("Cast", ["t"], ["on"], to=T.BOOL), half], heads,
         ("on", "a"), 3)
    loop("an output that nobody makes", [go], heads, ("on", "a"))
    loop("more results than the body has", [go, half], heads, ("on", "a"), results=3)
    add = h.make_node("Add", ["s", "e"], ["a"])
    loop("no scan inputs", [add], ("s", "e"), ("a",), op="Scan", operands=("x", "x"), num_scan_inputs=0)
    loop("more scan inputs than operands", [add], ("s", "e"), ("a",), op="Scan", operands=("x", "x"), num_scan_inputs=2**40)
    loop("backwards", [add], ("s", "e"), ("a",), 3, op="Scan", operands=("x", "x"), num_scan_inputs=1, scan_input_directions=[1])
    loop("tensors of different lengths", [add], ("s", "e"), ("a",), op="Scan", operands=("x", "k"), num_scan_inputs=2)
    loop("a long tensor", [h.make_node("Add", ["s", "e"], ["a"])], ("s", "e"), ("a",), 3, op="Scan", operands=("m", "k"), num_scan_inputs=1)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
    for part in (axes, shapes, movement, windows, regions, products, norms, resizing, types, operands, graphs, spectra, branches, recurrent, deform, loops):
        part()
    raw = b"".join(records)
    (folder / "refused.bad.bin").write_bytes(raw)
    print(f"{len(records)} models, {len(raw)} bytes")


if __name__ == "__main__":
    main()
