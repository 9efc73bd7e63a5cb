#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/frontend/data: small ONNX models with ONNX Runtime's answers, and bad models with the failure they must give.

    make_data.py [FOLDER]        needs numpy, onnx and onnxruntime

ops.bin   one record a case: text name; bytes model; u32 batch; tensors inputs; tensors outputs
          (families with many cases have packs of their own, by make_packs.py)
bad.bin   one record a case: text name; bytes model; u32 status; text that the error must contain
A text or bytes is u32 length and bytes; tensors are u32 count and, each: u32 is_integer, u32 rank, u32 dims..., then
8 bytes an element: float64 or int64. All little-endian. Answers that ONNX Runtime cannot give (it lacks the op) come
from onnx's reference evaluator; the script prints which.
"""
import pathlib
import struct
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(7)


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


def text(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack("<I", len(raw)) + raw


def tensors(arrays):
    out = struct.pack("<I", len(arrays))
    for a in arrays:
        a = np.asarray(a)
        is_int = a.dtype.kind in "iub"
        out += struct.pack(f"<II{a.ndim}I", is_int, a.ndim, *a.shape)
        out += a.astype("<i8" if is_int else "<f8").tobytes()
    return out


def model_of(nodes, inputs, outputs, consts=None, opset=17, dyn=(), ir=8):
    """inputs: {name: array}; outputs: names; consts: {name: array}; dyn: names of inputs whose first dim is open."""
    infos = []
    for name, a in inputs.items():
        shape = list(a.shape)
        if name in dyn:
            shape[0] = "batch"
        infos.append(h.make_tensor_value_info(name, h.np_dtype_to_tensor_dtype(a.dtype), shape))
    g = h.make_graph(nodes, "g", infos, [h.make_empty_tensor_value_info(o) for o in outputs],
                     [nh.from_array(v, k) for k, v in (consts or {}).items()])
    return h.make_model(g, opset_imports=[h.make_opsetid("", opset)], ir_version=ir)


def answer(name, model, inputs):
    try:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"]).run(None, inputs)
    except Exception as e:
        print(f"  {name}: onnx's reference evaluator ({str(e).splitlines()[0][:90]})")
        return ReferenceEvaluator(model).run(None, inputs)


cases = []


def graph(name, nodes, inputs, outputs, batch=0, **kw):
    model = model_of(nodes, inputs, outputs, **kw)
    cases.append((name, model, batch, list(inputs.values()), answer(name, model, inputs)))


def op(op_type, *operands, name=None, outs=1, opset=17, dyn=False, **attrs):
    """One node. An operand is an array (an input), ("const", array), or None (absent)."""
    inputs, consts, names = {}, {}, []
    for i, x in enumerate(operands):
        if x is None:
            names.append("")
        elif isinstance(x, tuple):
            consts[f"c{i}"] = x[1]
            names.append(f"c{i}")
        else:
            inputs[f"x{i}"] = x
            names.append(f"x{i}")
    outputs = [f"y{i}" for i in range(outs)]
    node = h.make_node(op_type, names, outputs, name="node", **attrs)
    batch = next(iter(inputs.values())).shape[0] if dyn else 0
    graph(name or f"{op_type}-{opset}-{len(cases)}", [node], inputs, outputs, batch, consts=consts, opset=opset,
          dyn=list(inputs) if dyn else ())


def c(*values, dtype=np.int64):
    return ("const", np.array(values, dtype))


def s(value, dtype=np.float32):
    return ("const", np.array(value, dtype))


def elementwise():
    x = f32(3, 5, scale=2)
    for name in "Neg Abs Exp Reciprocal Erf Tanh Sigmoid Relu Sin Cos Floor Ceil Round Sign Softplus Softsign Identity".split():
        op(name, x)
    op("Round", np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32))
    for name in "Log Sqrt".split():
        op(name, np.abs(x))
    op("Neg", np.array([1, -5, 7], np.int64))
    op("Abs", np.array([1, -5, 7], np.int32))
    y = f32(5)
    for name in "Add Sub Mul Div".split():
        op(name, x, y)
        op(name, f32(2, 1, 3, 1), f32(4, 1, 1))
    op("Div", np.array([7, -7, 7, -7], np.int64), np.array([2, 2, -2, -2], np.int64))
    op("Mod", np.array([7, -7, 7, -7], np.int64), np.array([3, 3, -3, -3], np.int64))
    op("Mod", np.array([7, -7, 7, -7], np.int64), np.array([3, 3, -3, -3], np.int64), fmod=1)
    op("Mod", x, np.abs(y) + 0.5, fmod=1)
    op("Pow", np.abs(x), y)
    op("Pow", x, s(2, np.int64))
    op("Pow", x, s(3.0))
    a = np.array([1, 2, 3, 4], np.float32)
    b = np.array([4, 2, 2, 5], np.float32)
    for name in "Equal Less LessOrEqual Greater GreaterOrEqual".split():
        op(name, a, b)
        op(name, a.astype(np.int64), b.astype(np.int64))
    p, q = np.array([True, True, False, False]), np.array([True, False, True, False])
    for name in "And Or Xor".split():
        op(name, p, q)
    op("Not", p)
    op("Min", x, y, f32(3, 1))
    op("Max", x, y, f32(3, 1))
    op("Max", np.array([1, 9], np.int64), np.array([4, 2], np.int64))
    op("Sum", x, y, f32(3, 1))
    op("Mean", x, y, f32(3, 1))
    op("Where", p, a, b)
    op("Where", np.array([[True], [False]]), f32(2, 3), s(-1.5))
    op("IsNaN", np.array([1, np.nan, np.inf], np.float32))
    op("Clip", x, s(-0.5), s(1.0))
    op("Clip", x, None, s(1.0))
    op("Clip", x, s(0.25), opset=11)
    for to in (T.FLOAT, T.INT64, T.INT32, T.BOOL, T.DOUBLE, T.FLOAT16):
        op("Cast", np.array([-2.75, 0, 0.5, 3.9], np.float32), to=to)
    op("Cast", np.array([-3, 0, 300], np.int64), to=T.FLOAT)
    op("CastLike", np.array([-2.75, 0.5], np.float32), np.array([1], np.int32))
    op("Dropout", x)
    op("Dropout", x, None, s(False, np.bool_))


def activations():
    x = np.concatenate([f32(12, scale=3), np.array([0, -90, 90], np.float32)])
    op("Gelu", x, opset=20)
    op("Gelu", x, opset=20, approximate="tanh")
    op("LeakyRelu", x, alpha=0.2)
    op("PRelu", f32(2, 3, 4), f32(3, 1))
    op("Elu", x, alpha=1.5)
    op("Celu", x, alpha=2.0)
    op("Selu", x)
    op("HardSigmoid", x)
    op("HardSigmoid", x, alpha=0.3, beta=0.4)
    op("HardSwish", x)
    op("Mish", x, opset=18)
    op("Softplus", x)
    op("Swish", x, opset=24, alpha=1.5)


def movement():
    x = f32(2, 3, 4)
    op("Reshape", x, c(4, -1))
    op("Reshape", x, c(0, 2, 6), opset=13)
    op("Reshape", x, c(0, -1), dyn=True)
    op("Reshape", f32(4, 3, 2), c(-1, 3), dyn=True)
    op("Flatten", x, axis=1)
    op("Flatten", x, axis=-1)
    op("Flatten", x, dyn=True)
    op("Squeeze", f32(1, 3, 1), opset=11, axes=[0, -1])
    op("Squeeze", f32(1, 3, 1), c(2))
    op("Squeeze", f32(1, 3, 1))
    op("Unsqueeze", x, opset=11, axes=[0, 4])
    op("Unsqueeze", x, c(1, -1))
    op("Transpose", x)
    op("Transpose", x, perm=[1, 2, 0])
    op("Slice", x, c(1), c(3), c(2))
    op("Slice", x, c(-3, 0), c(9223372036854775807, 2), c(2, 1), c(2, 1))
    op("Slice", x, c(-1), c(-100), c(2), c(-1))
    op("Slice", x, c(3), c(0), c(2), c(-2))
    op("Slice", x, c(0, 1, 1), c(2, 3, -1))
    op("Slice", x, c(0, 1), c(9223372036854775807, 3), c(0, 1), dyn=True)
    op("Split", f32(6, 4), outs=3, opset=11, axis=0)
    op("Split", f32(6, 4), outs=2, opset=11, axis=1, split=[1, 3])
    op("Split", f32(6, 4), c(2, 4), outs=2, opset=13, axis=0)
    op("Split", f32(7, 4), outs=3, opset=18, axis=0, num_outputs=3)
    op("Concat", f32(2, 3), f32(2, 1), f32(2, 2), axis=-1)
    op("Concat", f32(2, 3), f32(4, 3), axis=0)
    op("Expand", f32(3, 1), c(2, 1, 4))
    op("Expand", f32(2, 3), c(1))
    op("Tile", f32(2, 3), c(2, 3))
    op("Tile", f32(1, 3, 1), c(3, 1, 4))
    op("Gather", x, c(0, -1, 1), axis=1)
    op("Gather", x, s(1, np.int64), axis=-1)
    op("Gather", x, ("const", np.array([[0, 2], [1, -1]], np.int64)), axis=1)
    op("Gather", x, c(1, 3), axis=2)
    op("Gather", x, np.array([2, -3], np.int64), axis=1)
    op("GatherND", f32(5, 3), ("const", np.array([[[0], [4]], [[-1], [2]]], np.int64)))
    op("Pad", x, c(0, 1, 2, 0, 0, 1))
    op("Pad", x, c(1, 2), s(7.5), c(1), opset=18)
    op("Pad", x, c(0, 0, 1, 0, 0, 2), mode="reflect")
    op("Pad", x, c(0, 0, 1, 0, 1, 2), mode="edge")
    op("Pad", x, c(0, -1, 1, 0, 0, -2))
    op("DepthToSpace", f32(1, 8, 2, 3), blocksize=2)
    op("DepthToSpace", f32(1, 8, 2, 3), blocksize=2, mode="CRD")
    op("SpaceToDepth", f32(1, 2, 4, 6), blocksize=2)
    op("Trilu", f32(4, 5))
    op("Trilu", f32(2, 4, 3), s(-1, np.int64), upper=0)
    op("Slice", x, opset=9, axes=[2, 1], starts=[-3, 0], ends=[2**31 - 1, 2])
    op("Slice", x, opset=7, starts=[0, 1], ends=[1, 3])
    op("Pad", x, opset=10, pads=[0, 1, 2, 0, 0, 1], value=2.5)
    op("Pad", x, opset=7, pads=[0, 0, 1, 0, 0, 2], mode="reflect")
    op("Clip", x, opset=7, min=-0.5, max=0.25)
    op("Clip", x, opset=10, max=0.25)
    n = h.make_node
    graph("Range", [n("Range", ["a", "b", "d"], ["r"]), n("Add", ["x", "r"], ["y"])], {"x": f32(4)}, ["y"],
          consts={"a": np.float32(1), "b": np.float32(3), "d": np.float32(0.5)})
    graph("ConstantOfShape", [n("ConstantOfShape", ["s"], ["z"], value=nh.from_array(np.array([2.5], np.float32))),
                              n("Add", ["x", "z"], ["y"])], {"x": f32(3)}, ["y"], consts={"s": i64(2, 3)})
    graph("Size", [n("Size", ["x"], ["k"]), n("Cast", ["k"], ["f"], to=1), n("Div", ["x", "f"], ["y"])], {"x": f32(2, 3)}, ["y"])


def resizing():
    x = f32(1, 2, 4, 5)
    for mode in "nearest linear cubic".split():
        for how in "half_pixel pytorch_half_pixel align_corners asymmetric half_pixel_symmetric".split():
            opset = 19 if how.endswith("symmetric") else 17
            for size in ((8, 10), (7, 3), (2, 9)):
                op("Resize", x, None, None, c(1, 2, *size), opset=opset, mode=mode, coordinate_transformation_mode=how)
        op("Resize", x, None, s([1, 1, 2, 0.6]), mode=mode)
        op("Resize", x, ("const", f32(0)), s([1, 1, 2.5, 1.4]), opset=11, mode=mode)
    for how in "round_prefer_floor round_prefer_ceil floor ceil".split():
        op("Resize", x, None, None, c(1, 2, 6, 2), mode="nearest", nearest_mode=how)
    op("Resize", x, None, None, c(1, 2, 9, 3), mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
    for mode in "linear cubic".split():
        op("Resize", x, None, None, c(1, 2, 2, 3), opset=18, mode=mode, antialias=1)
        op("Resize", x, None, None, c(9, 2), opset=18, mode=mode, antialias=1, axes=[2, 3], exclude_outside=1)
    op("Resize", x, None, None, c(6, 6), opset=18, mode="linear", axes=[3, 2], keep_aspect_ratio_policy="not_larger")
    op("Resize", x, None, None, c(6, 6), opset=18, mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_smaller")
    op("Resize", x, s([0, 0, 0.2, -0.3, 1, 1, 0.8, 1.2]), None, c(1, 2, 3, 6), mode="linear",
       coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.0)
    op("Resize", x, s([1, 1, 2, 3]), opset=10)
    op("Upsample", x, s([1, 1, 2, 3]), opset=9)
    op("Upsample", x, opset=7, scales=[1.0, 1.0, 2.0, 2.0], mode="linear")
    op("Resize", x, s([1, 1, 2, 2]), opset=10, mode="linear")
    op("Resize", f32(3, 2, 4, 4), None, s([1, 1, 2, 2]), mode="linear", dyn=True)


def indices():
    x, t = f32(2, 3, 4), np.array([[1, 5, 2], [5, 5, 0]], np.float32)
    op("GatherElements", x, np.array(rng.integers(-3, 3, (2, 5, 4))), axis=1)
    op("GatherElements", x, ("const", np.array(rng.integers(0, 4, (2, 2, 6)))), axis=2)
    op("GatherElements", np.array([[True, False], [False, True]]), np.array([[1, 0]]), axis=0)
    op("GatherND", x, np.array([[0, 2], [-1, 1]]))
    op("GatherND", x, ("const", np.array([[1, 2, 3], [0, -1, 1]])))
    op("GatherND", x, np.array([[[2], [0]], [[1], [-1]]]), opset=12, batch_dims=1)
    op("ScatterElements", f32(4, 3), np.array([[1, 0, 2], [3, -3, 0]]), f32(2, 3), axis=0)
    op("ScatterElements", f32(3, 5), np.array([[1, 4], [0, -2]]), f32(2, 2), axis=1)
    for how in "add mul max min".split():
        op("ScatterElements", f32(3, 4), np.array([[1, 1, 0, 2], [1, 0, 0, 2]]), f32(2, 4), opset=18, axis=0, reduction=how)
        op("ScatterND", f32(4, 3), np.array([[1], [1], [3]]), f32(3, 3), opset=18, reduction=how)
    op("ScatterND", f32(4, 3), np.array([[3], [0]]), f32(2, 3))
    op("ScatterND", x, ("const", np.array([[0, 1], [1, -1]])), f32(2, 4))
    op("ScatterND", f32(3, 4), ("const", np.array([[[0, 1], [0, 2]], [[2, 0], [2, 1]]])), f32(2, 2))
    op("TopK", x, c(2), outs=2)
    op("TopK", t, c(3), outs=2, axis=1)
    op("TopK", t, c(2), outs=2, axis=0, largest=0)
    op("TopK", np.array([3, -1, 3, 7], np.int64), c(3), outs=2)
    for name in "ArgMax ArgMin".split():
        op(name, x, axis=1)
        op(name, t, axis=1, keepdims=0)
        op(name, t, axis=-1, select_last_index=1)
    for attrs in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}):
        op("CumSum", x, s(1, np.int64), **attrs)
    op("CumSum", np.array([[1, 5, -2]], np.int64), s(-1, np.int64))
    n = h.make_node
    graph("pads from a few nodes", [n("ConstantOfShape", ["two"], ["zeros"], value=nh.from_array(i64(0))), n("Concat", ["ends", "zeros"], ["all"], axis=0),
                                    n("Reshape", ["all", "pairs"], ["p2"]), n("Slice", ["p2", "m1", "far", "zero1", "m1"], ["back"]),
                                    n("Transpose", ["back"], ["t"], perm=[1, 0]), n("Reshape", ["t", "m1"], ["flat"]), n("Pad", ["x", "flat"], ["y"])],
          {"x": f32(2, 3, 4)}, ["y"], consts={"two": i64(2), "ends": i64(1, 2, 0, 1), "pairs": i64(-1, 2), "m1": i64(-1), "far": i64(-2**63), "zero1": i64(0)})
    graph("shuffle and back", [n("TopK", ["noise", "k"], ["v", "order"], largest=0), n("TopK", ["order", "k"], ["v2", "back"], largest=0),
                               n("Unsqueeze", ["order", "m1"], ["o1"]), n("Expand", ["o1", "full"], ["oe"]), n("GatherElements", ["x", "oe"], ["s"], axis=1),
                               n("Unsqueeze", ["back", "m1"], ["b1"]), n("Expand", ["b1", "full"], ["be"]), n("GatherElements", ["s", "be"], ["y"], axis=1)],
          {"x": f32(2, 6, 3), "noise": f32(2, 6)}, ["y", "s"], consts={"k": i64(6), "m1": i64(-1), "full": i64(2, 6, 3)})


def products():
    op("MatMul", f32(2, 3, 4), f32(4, 5))
    op("MatMul", f32(2, 1, 3, 4), f32(3, 4, 2))
    op("MatMul", f32(4), f32(4, 3))
    op("MatMul", f32(3, 4), f32(4))
    op("Gemm", f32(3, 4), ("const", f32(4, 5)), ("const", f32(5)))
    op("Gemm", f32(3, 4), ("const", f32(5, 4)), ("const", f32(5)), transB=1)
    op("Gemm", f32(4, 3), f32(4, 5), f32(3, 1), transA=1, alpha=0.5, beta=2.0)
    op("Gemm", f32(3, 4), f32(4, 5), alpha=1.5)
    op("Gemm", f32(3, 4), ("const", f32(4, 5)), s(0.5), beta=3.0)
    for equation, shapes in {"bij,bjk->bik": [(2, 3, 4), (2, 4, 5)], "bhwc,hkc->bhwk": [(2, 3, 4, 5), (3, 6, 5)],
                             "bhwc,wkc->bhwk": [(2, 3, 4, 5), (4, 6, 5)], "ij->ji": [(2, 3)], "ijk->j": [(2, 3, 4)],
                             "i,j->ij": [(3,), (4,)], "ij,ij->ij": [(3, 4), (3, 4)], "...ij,...jk->...ik": [(2, 3, 4), (2, 4, 5)],
                             "nld,ed->nle": [(2, 3, 4), (5, 4)], "ij,kj->": [(2, 3), (4, 3)], "bnd,bmd->bnm": [(2, 3, 4), (2, 5, 4)],
                             "ba,cb": [(3, 4), (2, 3)]}.items():
        op("Einsum", *[f32(*sh) for sh in shapes], name=f"Einsum {equation}", equation=equation)
    op("Conv", f32(1, 3, 8, 8), ("const", f32(4, 3, 2, 2)), ("const", f32(4)), strides=[2, 2])
    op("Conv", f32(2, 4, 7, 6), ("const", f32(6, 2, 3, 3)), group=2, pads=[1, 0, 2, 1])
    op("Conv", f32(1, 4, 7, 7), ("const", f32(4, 1, 3, 3)), ("const", f32(4)), group=4, pads=[1, 1, 1, 1])
    op("Conv", f32(1, 2, 9, 9), ("const", f32(3, 2, 3, 3)), dilations=[2, 2], kernel_shape=[3, 3])
    op("Conv", f32(1, 2, 7, 8), ("const", f32(3, 2, 3, 2)), auto_pad="SAME_UPPER", strides=[2, 2])
    op("Conv", f32(1, 2, 7, 8), ("const", f32(3, 2, 3, 2)), auto_pad="SAME_LOWER", strides=[2, 2])
    op("Conv", f32(1, 2, 7, 8), ("const", f32(3, 2, 3, 2)), auto_pad="VALID")
    op("Conv", f32(1, 3, 10), ("const", f32(4, 3, 3)), pads=[1, 1])
    op("Conv", f32(3, 3, 4, 4), ("const", f32(4, 3, 2, 2)), dyn=True, strides=[2, 2])


def attention():
    q, k, v = f32(2, 3, 4, 8), f32(2, 3, 6, 8), f32(2, 3, 6, 8)
    op("Attention", q, k, v, opset=23)
    op("Attention", q, k, v, opset=23, scale=0.3)
    op("Attention", q, k, v, f32(4, 6), opset=23)
    op("Attention", q, k, v, np.array(rng.random((4, 6)) > 0.4) | (np.arange(6) == 0), opset=23)
    blind = np.arange(4)[:, None] >= np.maximum(np.arange(6)[None], 1)  # row 0 may look nowhere
    n, operands = h.make_node, {"q": q, "k": k, "v": v, "m": blind}
    model = model_of([n("Attention", ["q", "k", "v", "m"], ["y"])], operands, ["y"], opset=24)
    cases.append(("Attention, a blind row", model, 0, list(operands.values()), ReferenceEvaluator(model).run(None, operands)))
    op("Attention", q, f32(2, 3, 4, 8), f32(2, 3, 4, 8), opset=23, is_causal=1)
    op("Attention", f32(2, 6, 4, 8), k, v, opset=23)
    op("Attention", f32(2, 4, 24), f32(2, 6, 24), f32(2, 6, 30), opset=23, q_num_heads=3, kv_num_heads=3)
    op("Attention", f32(2, 4, 32), f32(2, 6, 16), f32(2, 6, 16), f32(2, 1, 4, 6), opset=24, q_num_heads=4, kv_num_heads=2)


def axes():
    x = f32(2, 3, 4)
    for opset, axis in ((11, 1), (11, 2), (11, 0), (13, 1), (17, -1)):
        op("Softmax", x, opset=opset, axis=axis)
    op("Softmax", x, opset=11)
    op("LogSoftmax", x, axis=1)
    op("LogSoftmax", x, opset=11, axis=1)
    for name in "Sum Mean Max Min Prod L1 L2 SumSquare LogSumExp".split():
        op("Reduce" + name, x, opset=18) if name != "Sum" else op("ReduceSum", x)
        if name == "Sum":
            op("ReduceSum", x, c(0, -1), keepdims=0)
            op("ReduceSum", x, opset=11, axes=[1])
            op("ReduceSum", x, ("const", i64()), noop_with_empty_axes=1)
        else:
            op("Reduce" + name, x, opset=11, axes=[-1], keepdims=0)
            op("Reduce" + name, x, c(1), opset=18)
    op("ReduceLogSum", np.abs(x), axes=[1])
    y = f32(1, 2, 7, 8)
    op("GlobalAveragePool", y)
    op("GlobalMaxPool", y)
    for name in "AveragePool MaxPool".split():
        op(name, y, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
        op(name, y, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        op(name, y, kernel_shape=[2, 2], auto_pad="SAME_UPPER", strides=[2, 2])
    op("AveragePool", y, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    op("MaxPool", f32(1, 2, 9), kernel_shape=[3], dilations=[2])


def norms():
    x = f32(2, 4, 3, 5, scale=3)
    op("LayerNormalization", x, ("const", f32(5)), ("const", f32(5)))
    op("LayerNormalization", x, ("const", f32(3, 5)), axis=2, epsilon=0.01)
    op("LayerNormalization", x, ("const", f32(1, 5)), ("const", f32(5)), axis=-1)
    op("RMSNormalization", x, ("const", f32(5)), opset=23)
    op("BatchNormalization", x, ("const", f32(4)), ("const", f32(4)), ("const", f32(4)), ("const", np.abs(f32(4)) + 0.1))
    op("BatchNormalization", x, ("const", f32(4)), ("const", f32(4)), ("const", f32(4)), ("const", np.abs(f32(4)) + 0.1), outs=3,
       opset=15, training_mode=1, momentum=0.7)
    op("InstanceNormalization", x, ("const", f32(4)), ("const", f32(4)), epsilon=1e-3)
    op("GroupNormalization", x, ("const", f32(4)), ("const", f32(4)), opset=21, num_groups=2)
    op("GroupNormalization", x, ("const", f32(2)), ("const", f32(2)), opset=18, num_groups=2)
    op("LpNormalization", x, axis=1, p=2)
    op("LpNormalization", x, axis=-1, p=1)
    op("LpNormalization", np.array([[0, 0], [3, 4]], np.float32))
    n = h.make_node
    graph("LayerNormalization, unused mean", [n("LayerNormalization", ["x", "g"], ["y", "mean", "inv"])], {"x": x}, ["y"],
          consts={"g": f32(5)})
    graph("Dropout and its mask", [n("Dropout", ["x"], ["y", "mask"])], {"x": x}, ["y", "mask"])


def shapes():
    """Sub-graphs that exporters make around Shape, with an open batch."""
    n = h.make_node
    x = f32(3, 4, 2, 2)
    graph("shape slice concat reshape", [n("Shape", ["x"], ["s"]), n("Slice", ["s", "zero1", "two1", "zero1"], ["h"]),
                                         n("Concat", ["h", "m1"], ["t"], axis=0), n("Reshape", ["x", "t"], ["y"])],
          {"x": x}, ["y"], batch=3, dyn=["x"], consts={"zero1": i64(0), "two1": i64(2), "m1": i64(-1)})
    graph("class token", [n("Shape", ["x"], ["s"]), n("Gather", ["s", "zero"], ["b"], axis=0), n("Unsqueeze", ["b", "zero1"], ["b1"]),
                          n("Concat", ["b1", "m1", "m1"], ["t"], axis=0), n("Shape", ["t"], ["ts"]),
                          n("ConstantOfShape", ["ts"], ["ones"], value=nh.from_array(i64(1))), n("Mul", ["ones", "mm"], ["minus"]),
                          n("Equal", ["t", "minus"], ["e"]), n("Where", ["e", "ones", "t"], ["w"]), n("Expand", ["cls", "w"], ["k"]),
                          n("Concat", ["k", "x"], ["y"], axis=1)],
          {"x": f32(3, 4, 2)}, ["y"], batch=3, dyn=["x"],
          consts={"zero": np.int64(0), "zero1": i64(0), "m1": i64(-1), "mm": np.int64(-1), "cls": f32(1, 1, 2)})
    graph("scale from a dim", [n("Shape", ["x"], ["s"]), n("Slice", ["s", "m1", "end"], ["d"]), n("Cast", ["d"], ["f"], to=1),
                               n("Sqrt", ["f"], ["r"]), n("Div", ["one", "r"], ["q"]), n("Cast", ["q"], ["q2"], to=1),
                               n("Mul", ["x", "q2"], ["y"])],
          {"x": x}, ["y"], batch=3, dyn=["x"], consts={"m1": i64(-1), "end": i64(2**63 - 1), "one": np.array([1], np.float32)})
    graph("split by a third", [n("Shape", ["x"], ["s"]), n("Gather", ["s", "m1"], ["d"], axis=0), n("Add", ["d", "two"], ["a"]),
                               n("Div", ["a", "three"], ["t"]), n("Mul", ["t", "two"], ["e"]), n("Slice", ["x", "t", "e", "m1"], ["y"])],
          {"x": f32(3, 9)}, ["y"], batch=3, dyn=["x"], consts={"m1": i64(-1), "two": i64(2), "three": i64(3)})
    graph("windows", [n("Shape", ["x"], ["s"]), n("Gather", ["s", "zero"], ["b"], axis=0), n("Mul", ["b", "four"], ["w"]),
                      n("Unsqueeze", ["w", "zero1"], ["w1"]), n("Concat", ["w1", "rest"], ["t"], axis=0), n("Reshape", ["x", "t"], ["v"]),
                      n("Shape", ["v"], ["vs"]), n("Gather", ["vs", "zero"], ["vb"], axis=0), n("Div", ["vb", "four"], ["ob"]),
                      n("Unsqueeze", ["ob", "zero1"], ["o1"]), n("Concat", ["o1", "back"], ["u"], axis=0), n("Reshape", ["v", "u"], ["y"])],
          {"x": x}, ["y"], batch=3, dyn=["x"],
          consts={"zero": np.int64(0), "zero1": i64(0), "four": np.int64(4), "rest": i64(2, -1), "back": i64(4, 4)})
    graph("range of positions", [n("Shape", ["x"], ["s"]), n("Gather", ["s", "one"], ["l"], axis=0), n("Range", ["zero", "l", "one"], ["p"]),
                                 n("Gather", ["table", "p"], ["e"], axis=0), n("Add", ["x", "e"], ["y"])],
          {"x": f32(3, 4, 2)}, ["y"], batch=3, dyn=["x"], consts={"zero": np.int64(0), "one": np.int64(1), "table": f32(6, 2)})
    values = f32(80)
    model = model_of([n("Add", ["x", "c"], ["y"])], {"x": f32(80)}, ["y"])
    model.graph.initializer.append(h.make_tensor("c", T.FLOAT, [80], values.tolist()))
    data = f32(80)
    cases.append(("typed data", model, 0, [data], answer("typed data", model, {"x": data})))
    big = np.arange(-50, 50, dtype=np.int64) * 1234567
    model = model_of([n("Add", ["x", "c"], ["y"])], {"x": big}, ["y"])
    model.graph.initializer.append(h.make_tensor("c", T.INT64, [100], big.tolist()))
    cases.append(("typed int64", model, 0, [big], answer("typed int64", model, {"x": big})))
    half = rng.standard_normal(200).astype(np.float16)
    model = model_of([n("Cast", ["c"], ["d"], to=1), n("Add", ["x", "d"], ["y"])], {"x": f32(200)}, ["y"])
    model.graph.initializer.append(h.make_tensor("c", T.FLOAT16, [200], half.view(np.uint16).tolist()))
    data = f32(200)
    cases.append(("typed float16", model, 0, [data], answer("typed float16", model, {"x": data})))


bad = []


def fails(name, model, status, words):
    bad.append((name, model if isinstance(model, bytes) else model.SerializeToString(), status, words))


def broken():
    n, x = h.make_node, {"x": f32(2, 3)}
    relu = [n("Relu", ["x"], ["y"], name="r")]
    base = lambda: model_of(relu, x, ["y"])
    fails("empty", b"", 2, "empty")
    fails("not a model", b"\x89PNG\r\n\x1a\n" + bytes(64), 2, "not a")
    fails("text", b"Hello, this is no model at all.\n", 2, "not a")
    fails("no graph", onnx.ModelProto(ir_version=8).SerializeToString(), 2, "no graph")
    m = base()
    del m.opset_import[:]
    fails("no opset", m, 2, "no opset")
    fails("old opset", model_of(relu, x, ["y"], opset=5), 3, "1 op of opset 5 not supported: Relu")
    fails("newer opset", model_of(relu, x, ["y"], opset=99), 0, "")
    fails("no output", model_of(relu, x, []), 2, "no outputs")
    fails("unknown output", model_of(relu, x, ["z"]), 2, "'z'")
    fails("unknown op", model_of([n("Foo", ["x"], ["a"], name="f1"), n("Bar", ["a"], ["b"], name="b1"), n("Foo", ["b"], ["y"], name="f2")],
                                 x, ["y"]), 3, "Foo (2: 'f1', 'f2'); Bar (1: 'b1')")
    fails("cycle", model_of([n("Add", ["x", "b"], ["a"], name="first"), n("Relu", ["a"], ["b"], name="second")], x, ["b"]), 2,
          "'first'")
    fails("undefined operand", model_of([n("Add", ["x", "q"], ["y"], name="add")], x, ["y"]), 2, "'q', which nothing defines")
    fails("defined twice", model_of([n("Relu", ["x"], ["y"], name="r1"), n("Relu", ["x"], ["y"], name="r2")], x, ["y"]), 2, "defined already")
    fails("missing operand", model_of([n("Add", ["x"], ["y"], name="add")], x, ["y"]), 2, "operand 1 is missing")
    fails("too many operands", model_of([n("Relu", ["x", "x"], ["y"], name="r")], x, ["y"]), 2, "has 2 operands")
    fails("unknown attribute", model_of([n("Relu", ["x"], ["y"], name="r", axis=1)], x, ["y"]), 3, "attribute 'axis'")
    fails("attribute kind", model_of([n("Softmax", ["x"], ["y"], name="s", axis=1.5)], x, ["y"]), 2, "wrong kind")
    fails("axis", model_of([n("Softmax", ["x"], ["y"], name="s", axis=2)], x, ["y"]), 2, "axis 2")
    fails("reshape count", model_of([n("Reshape", ["x", "s"], ["y"], name="s")], x, ["y"], consts={"s": i64(4, 2)}), 2, "'s'")
    fails("shapes differ", model_of([n("Add", ["x", "c"], ["y"], name="a")], x, ["y"], consts={"c": f32(4)}), 2, "'a'")
    fails("batch as data", model_of([n("Shape", ["x"], ["s"]), n("Cast", ["s"], ["f"], to=1, name="c"), n("ReduceSum", ["f"], ["y"])],
                                    {"x": f32(2, 3)}, ["y"], dyn=["x"]), 3, "depends on the batch")
    fails("fixed batch inside", model_of([n("Reshape", ["x", "s"], ["y"], name="re")], {"x": f32(4, 6)}, ["y"], dyn=["x"],
                                         consts={"s": i64(4, 2, 3)}), 3, "one batch size")
    m = base()
    m.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "width"
    fails("open dim", m, 1, "leaves dim 1 ('width') open")
    m = model_of([n("Add", ["x", "c"], ["y"])], x, ["y"], consts={"c": f32(100)})
    m.graph.initializer[0].dims[0] = 99
    fails("payload too long", m, 2, "400 bytes")
    m = model_of([n("Add", ["x", "c"], ["y"])], x, ["y"], consts={"c": f32(3)})
    m.graph.initializer[0].dims[:] = [2**40, 2**40]
    fails("huge dims", m, 2, "too large")
    m.graph.initializer[0].dims[:] = [-3]
    fails("negative dim", m, 2, "negative dim")
    m.graph.initializer[0].dims[:] = [1] * 9
    fails("rank 9", m, 3, "9 dims")
    m = model_of([n("Add", ["x", "c"], ["y"])], x, ["y"], consts={"c": f32(3)})
    m.graph.initializer[0].data_type = 99
    fails("unknown element type", m, 2, "(99)")
    m.graph.initializer[0].data_type = T.STRING
    fails("strings", m, 3, "string")
    m = base()
    m.graph.sparse_initializer.add().dims.append(3)
    fails("sparse initializer", m, 3, "sparse")
    fails("huge result", model_of([n("Expand", ["x", "s"], ["y"], name="e")], x, ["y"], consts={"s": i64(2**30, 2**30, 1, 1)}), 2,
          "can be counted")
    m = base()
    m.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**62
    fails("huge input", m, 2, "too large")
    m = base()
    m.graph.output[0].type.tensor_type.elem_type = T.FLOAT
    for d in (2, 5):
        m.graph.output[0].type.tensor_type.shape.dim.add().dim_value = d
    fails("output contradicts", m, 2, "contradicts")
    for name, location in {"external in memory": "w.bin"}.items():
        m = model_of([n("Add", ["x", "c"], ["y"])], x, ["y"], consts={"c": f32(3)})
        t = m.graph.initializer[0]
        t.ClearField("raw_data")
        t.data_location = 1
        t.external_data.add(key="location", value=location)
        fails(name, m, 2, "in memory cannot have")


def packed(of):
    return b"".join(text(name) + text(m.SerializeToString()) + struct.pack("<I", batch) + tensors(i) + tensors(o)
                    for name, m, batch, i, o in of)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
    for part in (elementwise, activations, movement, resizing, indices, products, attention, axes, norms, shapes, broken):
        part()
    ops = packed(cases)
    (folder / "ops.bin").write_bytes(ops)
    (folder / "bad.bin").write_bytes(b"".join(text(a) + text(b) + struct.pack("<I", st) + text(w) for a, b, st, w in bad))
    print(f"{len(cases)} cases, {len(ops)} bytes; {len(bad)} bad models")


if __name__ == "__main__":
    main()
