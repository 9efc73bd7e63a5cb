#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/frontend/data/dialects_{ops,bad}.bin: local functions, If and com.microsoft, with ONNX Runtime's answers,
and models of these kinds that must be refused. The layout is make_data.py's.

    make_dialects.py [FOLDER]        needs numpy, onnx, onnxruntime and onnxscript
"""
import pathlib
import struct
import sys

import numpy as np
import onnx
import onnxscript
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh
from onnxscript import FLOAT, script
from onnxscript import opset18 as op

import make_data
from make_data import answer, bad, cases, fails, i64, model_of, tensors, text

rng = np.random.default_rng(11)
n = h.make_node
HERE = "here"  # the domain of the functions


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def function(name, inputs, outputs, nodes, opset=17, attributes=(), defaults=(), overload="", domain=HERE, imports=()):
    return h.make_function(domain, name, inputs, outputs, nodes,
                           [h.make_opsetid("", opset), h.make_opsetid(HERE, 1), *imports], list(attributes), list(defaults),
                           overload=overload)


def call(function_name, inputs, outputs, name=None, **attributes):
    return n(function_name, inputs, outputs, domain=HERE, name=name or f"call_{function_name}", **attributes)


def reference(node, attribute, to, kind):
    """Adds an attribute that is the function's own."""
    node.attribute.append(onnx.AttributeProto(name=attribute, ref_attr_name=to, type=kind))
    return node


def with_functions(nodes, inputs, outputs, functions, opset=17, ir=10, **kw):
    model = model_of(nodes, inputs, outputs, opset=opset, ir=ir, **kw)
    model.opset_import.append(h.make_opsetid(HERE, 1))
    model.functions.extend(functions)
    return model


def case(name, model, inputs, batch=0):
    cases.append((name, model, batch, list(inputs.values()), answer(name, model, inputs)))


def functions():
    x = {"x": f32(3, 4)}
    twice = function("Twice", ["a"], ["b"], [n("Add", ["a", "a"], ["b"], name="sum")])
    case("function", with_functions([call("Twice", ["x"], ["y"])], x, ["y"], [twice]), x)
    case("function of an open batch", with_functions([call("Twice", ["x"], ["y"])], x, ["y"], [twice], dyn=["x"]), x, 3)
    deep = function("Deep", ["a"], ["b", "c"], [call("Twice", ["a"], ["t"], name="first"), call("Twice", ["t"], ["b"], name="second"), n("Neg", ["t"], ["c"])])
    case("nested functions", with_functions([call("Deep", ["x"], ["y", "z"])], x, ["y", "z"], [deep, twice]), x)
    case("a result left out", with_functions([call("Deep", ["x"], ["", "z"])], x, ["z"], [deep, twice]), x)
    # Names inside do not meet names outside.
    case("names of a function", with_functions([n("Relu", ["x"], ["b"]), call("Twice", ["b"], ["a"], name="first"), call("Twice", ["a"], ["t"], name="second")], x, ["t"],
                                               [twice]), x)
    # Attributes: given, a default, absent.
    soft = function("Soft", ["a"], ["b"], [reference(n("Softmax", ["a"], ["b"]), "axis", "axis", 2)], attributes=["axis"])
    case("attribute", with_functions([call("Soft", ["x"], ["y"], axis=0)], x, ["y"], [soft]), x)
    case("attribute left out", with_functions([call("Soft", ["x"], ["y"])], x, ["y"], [soft]), x)
    leaky = function("Leaky", ["a"], ["b"], [reference(n("LeakyRelu", ["a"], ["b"]), "alpha", "slope", 1)],
                     defaults=[h.make_attribute("slope", 0.25)])
    case("attribute by default", with_functions([call("Leaky", ["x"], ["y"])], x, ["y"], [leaky]), x)
    case("attribute beside a default", with_functions([call("Leaky", ["x"], ["y"], slope=0.5)], x, ["y"], [leaky]), x)
    outer = function("Outer", ["a"], ["b"], [reference(call("Leaky", ["a"], ["b"]), "slope", "gradient", 1)], attributes=["gradient"])
    case("attribute through two calls", with_functions([call("Outer", ["x"], ["y"], gradient=0.75)], x, ["y"], [outer, leaky]), x)
    scale = function("Scale", ["a"], ["b"], [reference(n("Constant", [], ["c"]), "value_float", "by", 1), n("Mul", ["a", "c"], ["b"])],
                     attributes=["by"])
    case("constant of an attribute", with_functions([call("Scale", ["x"], ["y"], by=3.5)], x, ["y"], [scale]), x)
    table = function("Table", ["a"], ["b"], [reference(n("Constant", [], ["c"]), "value", "rows", 4), n("Gather", ["a", "c"], ["b"])],
                     attributes=["rows"])
    case("tensor of an attribute", with_functions([call("Table", ["x"], ["y"], rows=nh.from_array(i64(2, 0)))], x, ["y"], [table]), x)
    # Operands that the call leaves out.
    clip = function("Clip2", ["a", "low", "high"], ["b"], [n("Clip", ["a", "low", "high"], ["b"])])
    bound = {"l": np.float32(-0.5), "u": np.float32(0.5)}
    case("operand left out", with_functions([call("Clip2", ["x", "", "u"], ["y"])], x, ["y"], [clip], consts=bound), x)
    case("last operand left out", with_functions([call("Clip2", ["x", "l"], ["y"])], x, ["y"], [clip], consts=bound), x)
    # Opsets: the function's own say what its ops mean.
    cube = {"x": f32(2, 3, 4)}
    axes = function("Axes", ["a"], ["b"], [n("Unsqueeze", ["a"], ["u"], axes=[0]), n("ReduceMean", ["u"], ["b"], axes=[1], keepdims=0)],
                    opset=11)
    case("axes of an older opset", with_functions([call("Axes", ["x"], ["y"])], x, ["y"], [axes], opset=18), x)
    first = function("Pick", ["a"], ["b"], [n("Neg", ["a"], ["b"])], overload="one")
    second = function("Pick", ["a"], ["b"], [n("Abs", ["a"], ["b"])], overload="two")
    nodes = [call("Pick", ["x"], ["p"], name="first"), call("Pick", ["p"], ["y"], name="second")]
    nodes[0].overload, nodes[1].overload = "one", "two"
    case("overloads", with_functions(nodes, x, ["y"], [first, second]), x)
    # Shapes are followed into functions and out of them.
    flat = function("Flat", ["a"], ["b"], [n("Shape", ["a"], ["s"]), n("Slice", ["s", "zero", "one"], ["f"]),
                                           n("Concat", ["f", "minus"], ["t"], axis=0), n("Reshape", ["a", "t"], ["b"])])
    flat.node.insert(0, n("Constant", [], ["minus"], value_ints=[-1]))
    flat.node.insert(0, n("Constant", [], ["zero"], value_ints=[0]))
    flat.node.insert(0, n("Constant", [], ["one"], value_ints=[1]))
    case("shapes in a function", with_functions([call("Flat", ["x"], ["y"])], cube, ["y"], [flat], dyn=["x"]), cube, 2)
    size = function("Batch", ["a"], ["s"], [n("Shape", ["a"], ["s"], start=0, end=1)])
    case("a shape out of a function", with_functions([call("Batch", ["x"], ["s"]), n("Concat", ["s", "m"], ["t"], axis=0), n("Reshape", ["x", "t"], ["y"])],
                                                     cube, ["y"], [size], dyn=["x"], consts={"m": i64(-1)}), cube, 2)
    # A known op goes before a function of its name: ONNX Runtime does so too.
    relu = function("Relu", ["a"], ["b"], [n("Neg", ["a"], ["b"])], domain="")
    case("a function of a known name", with_functions([n("Relu", ["x"], ["y"])], x, ["y"], [relu]), x)
    only = h.make_model(h.make_graph([call("Twice", ["x"], ["y"])], "g", [h.make_tensor_value_info("x", T.FLOAT, [3, 4])],
                                     [h.make_tensor_value_info("y", T.FLOAT, [3, 4])]),
                        opset_imports=[h.make_opsetid(HERE, 1)], functions=[twice], ir_version=10)
    case("no opset of the default domain", only, x)


def scripts():
    """What onnxscript writes: functions that call each other, with attributes."""
    local = onnxscript.values.Opset("scripts", 1)

    @script(local)
    def norm(x, gain, eps: float = 1e-5):
        mean = op.ReduceMean(x, [-1], keepdims=1)
        centred = x - mean
        var = op.ReduceMean(centred * centred, [-1], keepdims=1)
        return centred / op.Sqrt(var + eps) * gain

    @script(local)
    def mlp(x, w, v, approximate: str = "none"):
        y = op.MatMul(x, w)
        return op.MatMul(y * op.Sigmoid(y * 1.702), v)

    @script(default_opset=op)
    def block(x: FLOAT[2, 5, 8], gain: FLOAT[8], w: FLOAT[8, 16], v: FLOAT[16, 8]) -> FLOAT[2, 5, 8]:
        return x + mlp(norm(x, gain, eps=1e-3), w, v)

    inputs = {"x": f32(2, 5, 8), "gain": f32(8), "w": f32(8, 16), "v": f32(16, 8)}
    model = block.to_model_proto(io_types=None)
    assert len(model.functions) == 2
    case("onnxscript", model, inputs)


def branch(nodes, outputs, consts=None):
    return h.make_graph(nodes, "branch", [], [h.make_empty_tensor_value_info(o) for o in outputs],
                        [nh.from_array(v, k) for k, v in (consts or {}).items()])


def conditional(condition, outputs, yes, no, name="choice"):
    return n("If", [condition], outputs, name=name, then_branch=yes, else_branch=no)


def conditions():
    x = {"x": f32(3, 4)}
    neg, double = branch([n("Neg", ["x"], ["r"])], ["r"]), branch([n("Add", ["x", "x"], ["r"])], ["r"])
    for flag in (True, False):
        case(f"If {flag}", model_of([conditional("c", ["y"], neg, double)], x, ["y"], consts={"c": np.array(flag)}), x)
        case(f"If [{flag}]", model_of([conditional("c", ["y"], neg, double)], x, ["y"], consts={"c": np.array([flag])}), x)
    # Solved from shapes: what exporters write around Squeeze and Upsample.
    lane = {"x": f32(3, 1, 4)}
    nodes = [n("Shape", ["x"], ["s"]), n("Gather", ["s", "one"], ["d"], axis=0), n("Equal", ["d", "one"], ["c"]),
             conditional("c", ["y"], branch([n("Squeeze", ["x", "axes"], ["q"])], ["q"], {"axes": i64(1)}),
                         branch([n("Identity", ["x"], ["q"])], ["q"]))]
    case("If by a shape", model_of(nodes, lane, ["y"], consts={"one": np.int64(1)}, dyn=["x"]), lane, 3)
    # Computed from constants.
    nodes = [n("ReduceSum", ["k"], ["t"], keepdims=0), n("Greater", ["t", "limit"], ["c"]), conditional("c", ["y"], neg, double)]
    case("If by constants", model_of(nodes, x, ["y"], consts={"k": f32(5), "limit": np.float32(100)}), x)
    inner = conditional("d", ["i"], branch([n("Mul", ["x", "w"], ["m"])], ["m"], {"w": f32(4)}), branch([n("Relu", ["x"], ["m"])], ["m"]))
    nodes = [conditional("c", ["y", "z"], branch([inner, n("Neg", ["i"], ["j"]), n("Identity", ["x"], ["k"])], ["j", "k"]),
                         branch([n("Relu", ["x"], ["j"]), n("Abs", ["x"], ["k"])], ["j", "k"]))]
    case("nested If", model_of(nodes, x, ["y", "z"], consts={"c": np.array(True), "d": np.array(True)}), x)
    # A branch sees a value that nothing else uses.
    nodes = [n("BatchNormalization", ["v", "g", "o", "mean", "var"], ["y0", "m1", "v1"], training_mode=1),
             conditional("c", ["y"], branch([n("Add", ["y0", "m"], ["r"])], ["r"], {"m": f32(1)}), branch([n("Identity", ["m1"], ["r"])], ["r"]))]
    for flag in (True, False):
        model = model_of([n("Unsqueeze", ["x", "z"], ["v"]), *nodes], x, ["y"],
                         consts={"c": np.array(flag), "z": i64(0), "g": f32(3), "o": f32(3), "mean": f32(3), "var": np.abs(f32(3))})
        case(f"captured by a branch {flag}", model, x)
    # In a function, with its attribute inside the branch.
    leaky = function("Choose", ["a", "c"], ["b"],
                     [conditional("c", ["b"], branch([reference(n("LeakyRelu", ["a"], ["r"]), "alpha", "slope", 1)], ["r"]),
                                  branch([n("Abs", ["a"], ["r"])], ["r"]))], attributes=["slope"])
    for flag in (True, False):
        case(f"If in a function {flag}", with_functions([call("Choose", ["x", "c"], ["y"], slope=0.5)], x, ["y"], [leaky],
                                                       consts={"c": np.array(flag)}), x)
    case("the other branch is not supported", model_of([conditional("c", ["y"], branch([n("RandomNormalLike", ["x"], ["r"])], ["r"]), neg)], x, ["y"],
                                                       consts={"c": np.array(False)}), x)


def ms(op_type, *operands, outs=1, dyn=(), domain="com.microsoft", name=None, want=None, **attributes):
    """One node of com.microsoft, as make_data.op; `want` is the answer where ONNX Runtime has the op on GPUs alone."""
    inputs, consts, names = {}, {}, []
    for i, x in enumerate(operands):
        names.append("" if x is None else f"x{i}")
        if isinstance(x, tuple):
            consts[f"x{i}"] = x[1]
        elif x is not None:
            inputs[f"x{i}"] = x
    results = [f"y{i}" if i in (outs if isinstance(outs, tuple) else range(outs)) else "" for i in range(4)]
    while not results[-1]:
        results.pop()
    model = model_of([n(op_type, names, results, domain=domain, name="node", **attributes)], inputs, [r for r in results if r],
                     consts=consts, dyn=[f"x{i}" for i in dyn])
    model.opset_import.append(h.make_opsetid("com.microsoft", 1))
    if want is not None:
        cases.append((f"{op_type}-{len(cases)}", model, 0, list(inputs.values()), [want]))
        return
    case(name or f"{op_type}-{len(cases)}", model, inputs, next(iter(inputs.values())).shape[0] if dyn else 0)


def c(a):
    return ("const", a)


def microsoft():
    x = f32(2, 3, 8)
    ms("Gelu", x)
    ms("BiasGelu", x, c(f32(8)))
    ms("FastGelu", x)
    ms("FastGelu", x, c(f32(8)))
    ms("QuickGelu", x)
    ms("QuickGelu", x, alpha=1.0)
    for ta in (0, 1):
        for tb in (0, 1):
            a, b = f32(2, 3, 4), f32(2, 4, 5)
            ms("FusedMatMul", a.transpose(0, 2, 1).copy() if ta else a, b.transpose(0, 2, 1).copy() if tb else b, transA=ta, transB=tb,
               alpha=0.5)
            q, k = f32(2, 3, 4, 5), f32(2, 3, 5, 6)
            ms("FusedMatMul", q.transpose(0, 1, 3, 2).copy() if ta else q, k.transpose(2, 0, 1, 3).copy() if not tb else
               k.transpose(3, 0, 1, 2).copy(), transA=ta, transB=tb, transBatchB=1)
    ms("FusedMatMul", f32(3, 2, 5), f32(5, 2, 4), transBatchA=1, transBatchB=1)
    ms("FusedMatMul", f32(5, 2, 3), f32(2, 5, 4), transBatchA=1, transA=1)
    ms("FusedMatMul", f32(3, 4), c(f32(5, 4)), transB=1, alpha=0.125, dyn=(0,))
    ms("FusedMatMul", f32(4), f32(4, 5))
    img, w, b = f32(1, 4, 6, 5), c(f32(8, 4, 3, 3)), c(f32(8))
    for activation, params in (("Relu", ()), ("Tanh", ()), ("Sigmoid", ()), ("LeakyRelu", (0.2,)), ("Clip", (-0.5, 1.0)), ("HardSigmoid", (0.2, 0.5))):
        ms("FusedConv", img, w, b, kernel_shape=[3, 3], pads=[1, 1, 1, 1], activation=activation,
           **({"activation_params": list(params)} if params else {}))
    ms("FusedConv", img, w, None, f32(1, 8, 6, 5), kernel_shape=[3, 3], pads=[1, 1, 1, 1], activation="Relu")
    ms("FusedConv", img, w, b, f32(1, 8, 3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], dyn=(0, 3))
    a, b2 = f32(3, 4), f32(4, 5)
    ms("FusedGemm", a, c(b2), c(f32(5)), activation="Relu")
    ms("FusedGemm", a, c(b2), c(f32(5)), activation="LeakyRelu", activation_alpha=0.3, alpha=0.5, beta=2.0)
    ms("FusedGemm", a, c(b2.T.copy()), transB=1, activation="Tanh")
    for shape, axis, inner in (((2, 1, 1, 5), 3, 1), ((1, 1, 3, 5), 3, 0), ((3, 5), 2, 0)):
        data, bias = f32(2, 4, 3, 5), f32(*shape)
        sums = (data.astype(np.float64) + bias).reshape(*data.shape[:axis], -1)
        e = np.exp(sums - sums.max(-1, keepdims=True))
        ms("BiasSoftmax", data, bias, axis=axis, is_inner_broadcast=inner, want=(e / e.sum(-1, keepdims=True)).reshape(data.shape))
    ms("BiasAdd", x, c(bias_of := f32(8)), x2 := f32(2, 3, 8), want=x.astype(np.float64) + bias_of + x2)
    gain, offset, bias = c(f32(8)), c(f32(8)), c(f32(8))
    ms("SkipLayerNormalization", x, f32(2, 3, 8), gain, offset, epsilon=1e-6)
    ms("SkipLayerNormalization", x, f32(2, 3, 8), gain, offset, bias, outs=(0, 3), dyn=(0, 1))
    ms("SkipLayerNormalization", x, c(f32(1, 3, 8)), gain)
    ms("SkipLayerNormalization", x, c(f32(3, 8)), gain, None, bias)
    ms("SkipSimplifiedLayerNormalization", x, f32(2, 3, 8), gain, epsilon=1e-6)
    ms("SkipSimplifiedLayerNormalization", x, f32(2, 3, 8), gain, bias, outs=(0, 3))
    ms("SimplifiedLayerNormalization", x, gain, domain="", axis=-1, epsilon=1e-5)
    ms("SimplifiedLayerNormalization", x, c(f32(3, 8)), domain="", axis=1)


def i32(*values):
    return np.array(values, np.int32)


def attention():
    x, w, b = f32(2, 5, 6), c(f32(6, 24)), c(f32(24))
    ms("Attention", x, w, b, num_heads=2)
    unmasked = cases[-1][4][0]
    ms("Attention", x, w, None, num_heads=4, dyn=(0,))
    ms("Attention", x, c(f32(6, 8 + 8 + 12)), c(f32(28)), num_heads=2, qkv_hidden_sizes=[8, 8, 12])
    ms("Attention", x, w, b, num_heads=2, scale=0.3)
    ms("Attention", x, w, b, num_heads=2, unidirectional=1)
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]], np.int32)
    ms("Attention", x, w, b, mask, num_heads=2, name="raw mask")
    ms("Attention", x, w, b, mask, num_heads=2, dyn=(0, 3), name="raw mask, open batch")
    ms("Attention", x, w, b, mask, num_heads=2, mask_filter_value=-3.0, name="a filter that is seen")
    # The same number added to all scores changes nothing. Beside the default, -10000, float32 keeps three digits of a score only.
    ms("Attention", x, w, b, np.zeros((2, 5), np.int32), num_heads=2, mask_filter_value=-32.0, want=unmasked)
    ms("Attention", x, w, b, rng.integers(0, 2, (2, 5, 5)).astype(np.int32), num_heads=2, name="mask of rows")
    ms("Attention", x, w, b, i32(3, 5), num_heads=2, name="lengths")
    ms("Attention", x, w, b, i32(3, 5), num_heads=2, dyn=(0, 3), name="lengths, open batch")
    ms("Attention", x, w, b, i32(4, 5, 1, 2), num_heads=2, name="ends and starts")
    ms("Attention", x, w, b, mask, num_heads=2, unidirectional=1, name="mask and order")
    ms("Attention", x, w, b, None, None, f32(2, 2, 5, 5), num_heads=2, name="attention bias")
    ms("Attention", x, w, b, mask, None, f32(1, 2, 5, 5), num_heads=2, name="attention bias and mask")
    q, k, v = f32(2, 5, 8), f32(2, 7, 8), f32(2, 7, 12)
    mha = lambda *operands, **kw: ms("MultiHeadAttention", *operands, num_heads=kw.pop("num_heads", 2), **kw)
    mha(q, k, v, name="MHA")
    mha(q, k, v, c(f32(28)), name="MHA with bias", dyn=(0, 1, 2))
    mha(q, k, v, None, None, f32(2, 2, 5, 7), scale=0.7, name="MHA attention bias")
    mha(q, k, v, None, None, f32(1, 1, 5, 7), name="MHA attention bias for all")
    mha(q, k, v, None, rng.integers(0, 2, (2, 7)).astype(np.int32), name="MHA padding mask")
    mha(q, k, v, None, i32(3, 7), name="MHA lengths")
    mha(q, k, v, None, rng.integers(0, 2, (2, 5, 7)).astype(np.int32), name="MHA mask of rows")
    def apart(*operands):  # ONNX Runtime has packed forms on GPUs alone: its answer for the same, not packed
        inputs = dict(zip("qkv", operands))
        model = model_of([n("MultiHeadAttention", list("qkv"), ["y"], domain="com.microsoft", num_heads=2)], inputs, ["y"])
        model.opset_import.append(h.make_opsetid("com.microsoft", 1))
        return answer("apart", model, inputs)[0]
    packed, pair = f32(2, 5, 2, 3, 4), f32(2, 7, 2, 2, 4)
    mha(packed, want=apart(*(packed[:, :, :, i].reshape(2, 5, 8) for i in range(3))))
    mha(q, pair, want=apart(q, *(pair[:, :, :, i].reshape(2, 7, 8) for i in range(2))))
    mha(q, f32(2, 2, 7, 4), f32(2, 2, 7, 4), name="MHA keys by heads")
    mha(q, f32(2, 5, 8), f32(2, 5, 8), unidirectional=1, name="MHA in order")
    mha(q, f32(2, 5, 8), f32(2, 5, 8), None, None, None, f32(2, 2, 3, 4), f32(2, 2, 3, 4), outs=3, name="MHA past")
    mha(q, f32(2, 5, 8), f32(2, 5, 8), None, None, None, f32(2, 2, 3, 4), f32(2, 2, 3, 4), outs=3, unidirectional=1, name="MHA past in order")


def ladder():
    """Forms of the oldest opsets."""
    op7 = lambda *a, **kw: make_data.op(*a, opset=kw.pop("opset", 7), **kw)
    x, y = f32(1, 8, 4, 4), f32(1, 8, 4, 4)
    for name in ("Max", "Min", "Sum", "Mean"):
        op7(name, x, y)
    op7("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    op7("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    op7("DepthToSpace", x, blocksize=2)
    op7("SpaceToDepth", x, blocksize=2)
    op7("Upsample", x, scales=[1.0, 1.0, 2.0, 2.0], mode="nearest")
    op7("Softmax", x, axis=2)
    op7("LogSoftmax", x)
    op7("BatchNormalization", x, c(f32(8)), c(f32(8)), c(f32(8)), c(np.abs(f32(8)) + 0.1), epsilon=1e-3)
    op7("Dropout", x, ratio=0.25)
    op7("Pad", x, pads=[0, 0, 1, 2, 0, 0, 0, 1], value=1.5)
    op7("Clip", x, min=-0.5, max=0.75)
    op7("Slice", x, axes=[1, 3], starts=[2, -4], ends=[100, 6])
    op7("Squeeze", f32(2, 1, 3), axes=[1])
    op7("Unsqueeze", f32(2, 3), axes=[0, 3])
    op7("Split", x, axis=1, split=[3, 5], outs=2)
    op7("TopK", x, k=2, axis=1, outs=2)
    op7("ReduceSum", x, axes=[1, 2], keepdims=0)
    op7("ArgMax", x, axis=1)
    op7("Gemm", f32(3, 4), c(f32(4, 5)), c(f32(3, 1)))
    op7("Flatten", x, axis=2)
    op7("Upsample", x, c(np.array([1, 1, 2, 1.5], np.float32)), mode="linear", opset=9)
    op7("Resize", x, c(np.array([1, 1, 2, 2], np.float32)), mode="nearest", opset=10)
    op7("TopK", x, c(i64(3)), axis=1, outs=2, opset=10)


def microsoft_broken():
    x = {"x": f32(2, 5, 6)}
    def refused(name, status, words, op_type, operands, consts=None, outs=("y",), **attributes):
        model = model_of([n(op_type, operands, list(outs), domain="com.microsoft", name="node", **attributes)], x, [o for o in outs if o],
                         consts=consts)
        model.opset_import.append(h.make_opsetid("com.microsoft", 1))
        fails(name, model, status, words)
    w = {"w": f32(6, 24)}
    refused("no heads", 2, "'node' (com.microsoft::Attention, opset 1): num_heads is 0", "Attention", ["x", "w"], w)
    refused("heads do not divide", 2, "24 columns do not divide", "Attention", ["x", "w"], w, num_heads=5)
    refused("rotary", 3, "do_rotary is not supported", "Attention", ["x", "w"], w, num_heads=2, do_rotary=1)
    refused("past", 3, "past and present", "Attention", ["x", "w", "", "", "p"], {**w, "p": f32(2, 2, 2, 1, 4)}, num_heads=2)
    refused("mask of rank 4", 3, "a mask of that shape", "Attention", ["x", "w", "", "m"], {**w, "m": np.ones((2, 1, 9, 9), np.int32)}, num_heads=2)
    refused("scores", 3, "scores as a result", "MultiHeadAttention", ["x", "x", "x"], outs=("y", "", "", "s"), num_heads=2)
    refused("query not packed", 2, "not packed", "MultiHeadAttention", ["x"], num_heads=2)
    refused("short bias", 2, "too few elements", "MultiHeadAttention", ["x", "x", "x", "b"], {"b": f32(17)}, num_heads=2)
    refused("training results", 3, "mean and deviation", "SkipLayerNormalization", ["x", "x", "g"], {"g": f32(6)}, outs=("y", "m"))
    refused("unknown activation", 3, "'Swoosh'", "FusedGemm", ["a", "a"], {"a": f32(3, 3)}, activation="Swoosh")
    refused("an op that is not known", 3, "com.microsoft::QEmbedLayerNormalization, of another domain (1: 'node')", "QEmbedLayerNormalization", ["x"])


def field(number, raw):
    return h_varint(number << 3 | 2) + h_varint(len(raw)) + raw


def h_varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def broken():
    x = {"x": f32(3, 4)}
    neg, double = branch([n("Neg", ["x"], ["r"])], ["r"]), branch([n("Add", ["x", "x"], ["r"])], ["r"])
    body = lambda name, nodes, **kw: function(name, ["a"], ["b"], nodes, **kw)
    run = lambda functions, nodes=None, **kw: with_functions(nodes or [call("F", ["x"], ["y"])], x, ["y"], functions, **kw)
    fails("function calls itself", run([body("F", [call("F", ["a"], ["b"])])]), 2, "'call_F/call_F' (here::F, opset 1): the function calls itself")
    fails("functions call each other", run([body("F", [call("G", ["a"], ["b"])]), body("G", [call("F", ["a"], ["b"])])]), 2,
          "'call_F/call_G/call_F'")
    many = [body(f"F{i}", [call(f"F{i + 1}", ["a"], ["b"])]) for i in range(70)] + [body("F70", [n("Neg", ["a"], ["b"])])]
    fails("deep calls", run(many, [call("F0", ["x"], ["y"])]), 3, "within 64 others")
    laughs = [body(f"F{i}", [call(f"F{i + 1}", ["a"], ["t"]), call(f"F{i + 1}", ["t"], ["b"])]) for i in range(40)]
    laughs.append(body("F40", [n("Neg", ["a"], ["b"])]))
    fails("a million calls", run(laughs, [call("F0", ["x"], ["y"])]), 3, "more than 131072 nodes")
    fails("function without the op", run([body("F", [n("Foo", ["a"], ["b"], name="foo")])]), 3, "Foo (1: 'call_F/foo')")
    fails("function twice", run([body("F", [n("Neg", ["a"], ["b"])])] * 2), 2, "'F' stands twice")
    fails("too many operands of a function", run([body("F", [n("Neg", ["a"], ["b"])])], [call("F", ["x", "x"], ["y"])]), 2, "takes 1")
    fails("too many results of a function", run([body("F", [n("Neg", ["a"], ["b"])])], [call("F", ["x"], ["y", "z"])]), 2, "gives 1")
    fails("operand of a function missing", run([function("F", ["a", "c"], ["b"], [n("Add", ["a", "c"], ["b"], name="sum")])]), 2,
          "'call_F/sum' (Add, opset 17): operand 1 is missing")
    fails("function reads outside", run([body("F", [n("Add", ["a", "x"], ["b"], name="sum")])]), 2, "'x', which nothing defines")
    fails("function without its result", run([body("F", [n("Neg", ["a"], ["c"])])]), 2, "'b'")
    fails("error in a function", run([body("F", [n("Softmax", ["a"], ["b"], name="s", axis=5)])]), 2, "'call_F/s' (Softmax, opset 17): axis 5")
    fails("attribute of another kind", run([body("F", [reference(n("Softmax", ["a"], ["b"], name="s"), "axis", "k", 2)], attributes=["k"])],
                                           [call("F", ["x"], ["y"], k=0.5)]), 2, "another kind")
    fails("reference outside of a function", model_of([reference(n("Softmax", ["x"], ["y"]), "axis", "k", 2)], x, ["y"]), 2, "refers to")
    fails("function of an old opset", run([body("F", [n("Neg", ["a"], ["b"])], opset=5)]), 3, "Neg (1: 'call_F/b')")
    fails("no such overload", run([body("F", [n("Neg", ["a"], ["b"])], overload="one")]), 3, "here::F, of another domain")
    turned = branch([n("Transpose", ["x"], ["turned"])], ["turned"])
    fails("condition of the run", model_of([n("ReduceSum", ["x"], ["t"], keepdims=0), n("Cast", ["t"], ["c"], to=9), conditional("c", ["y"], neg, turned)],
                                           {"x": f32(300, 200)}, ["y"]), 3, "'choice' (If, opset 17): its condition (its branches give")
    fails("condition of a float", model_of([conditional("c", ["y"], neg, double)], x, ["y"], consts={"c": np.float32(1)}), 2, "one boolean")
    fails("two conditions", model_of([conditional("c", ["y"], neg, double)], x, ["y"], consts={"c": np.array([True, False])}), 2, "one boolean")
    fails("no branch", model_of([n("If", ["c"], ["y"], name="choice", then_branch=neg)], x, ["y"], consts={"c": np.array(True)}), 2, "'else_branch'")
    inputs = branch([n("Neg", ["q"], ["r"])], ["r"])
    inputs.input.append(h.make_tensor_value_info("q", T.FLOAT, [3, 4]))
    fails("branch with inputs", model_of([conditional("c", ["y"], inputs, neg)], x, ["y"], consts={"c": np.array(True)}), 2, "with inputs")
    fails("branch without its result", model_of([conditional("c", ["y"], branch([n("Neg", ["x"], ["q"])], ["r"]), neg)], x, ["y"],
                                                consts={"c": np.array(True)}), 2, "'r'")
    fails("branch of too few results", model_of([conditional("c", ["y", "z"], neg, neg)], x, ["y", "z"], consts={"c": np.array(True)}), 2, "gives 1")
    fails("op of a branch", model_of([conditional("c", ["y"], branch([n("Foo", ["x"], ["r"], name="foo")], ["r"]), neg)], x, ["y"],
                                     consts={"c": np.array(True)}), 3, "Foo (1: 'choice/foo')")
    fails("SequenceMap", model_of([n("SequenceMap", ["x"], ["y"], name="map", body=neg)], x, ["y"]), 3, "SequenceMap, control flow (1: 'map')")
    inner = b""
    for _ in range(500):
        inner = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, inner)))
    node = field(2, b"y") + field(3, b"if") + field(4, b"If") + field(5, field(1, b"then_branch") + field(6, inner))
    fails("deep subgraphs", b"\x08\x08" + field(8, b"\x10\x11") + field(7, field(1, node) + field(12, field(1, b"y"))), 3, "inside each other 9 deep")
    other = model_of([n("Scaler", ["x"], ["y"], name="scaler", domain="ai.onnx.ml")], x, ["y"])
    fails("other domain", other, 3, "ai.onnx.ml::Scaler, of another domain (1: 'scaler')")
    del other.opset_import[:]
    other.opset_import.append(h.make_opsetid("ai.onnx.ml", 3))
    fails("other domain alone", other, 3, "ai.onnx.ml::Scaler")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
    for part in (functions, scripts, conditions, broken, microsoft, attention, microsoft_broken, ladder):
        part()
    ops = b"".join(text(name) + text(m.SerializeToString()) + struct.pack("<I", batch) + tensors(i) + tensors(o)
                   for name, m, batch, i, o in cases)
    (folder / "dialects_ops.bin").write_bytes(ops)
    (folder / "dialects_bad.bin").write_bytes(b"".join(text(a) + text(b) + struct.pack("<I", st) + text(w) for a, b, st, w in bad))
    print(f"{len(cases)} cases, {len(ops)} bytes; {len(bad)} bad models")


if __name__ == "__main__":
    main()
