#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the packs of cases in tests/frontend/data that are one family of ops each: FAMILY_ops.bin, in the layout of ops.bin.

    make_packs.py [FAMILY...]      all when none is named; needs numpy, onnx and onnxruntime

Each family has its own seed, so that one can be made anew without the others. A new family is a function here.
"""
import pathlib
import sys

import numpy as np

import make_data
from make_data import c, f32, op, s


def const(*shape, scale=1.0):
    return ("const", f32(*shape, scale=scale))


def windows():
    x1, x2, x3 = f32(2, 4, 7), f32(1, 4, 5, 4), f32(1, 4, 3, 3, 4)
    for x, kernel in ((x1, (3,)), (x2, (3, 2)), (x3, (2, 3, 2))):
        n = len(kernel)
        op("Conv", x, const(3, 4, *kernel), const(3), pads=[1] * (2 * n), strides=[2] * n)
        op("Conv", x, f32(5, 4, *kernel), f32(5))  # the weight is an input
        op("Conv", x, f32(6, 2, *kernel), group=2, pads=[1] * n + [0] * n)
        op("Conv", x, const(4, 2, *kernel), group=2, pads=[1] * (2 * n))
        op("Conv", x, const(8, 1, *kernel), const(8), group=4, dilations=[2] * n, pads=[1] * (2 * n))
        op("ConvTranspose", x, const(4, 3, *kernel), const(3))
        op("ConvTranspose", x, const(4, 3, *kernel), strides=[2] * n, pads=[1] * n + [0] * n, output_padding=[1] * n)
        op("ConvTranspose", x, f32(4, 3, *kernel), f32(3), strides=list(kernel))
        y = x[tuple([slice(None), slice(None)] + [slice(2)] * n)]
        op("ConvTranspose", y, f32(4, 2, *kernel), group=2, strides=[2] * n, dilations=[2] * n)
        op("ConvTranspose", y, const(4, 1, *kernel), group=4, strides=[3] * n)
        for how in "SAME_UPPER SAME_LOWER VALID".split():
            op("Conv", x, const(5, 4, *kernel), auto_pad=how, strides=[2] * n)
            op("ConvTranspose", y, const(4, 3, *kernel), auto_pad=how, strides=[2] * n)
        for count in (0, 1):
            for ceil in (0, 1):
                op("AveragePool", x, opset=19, kernel_shape=[3] * n, strides=[2] * n, pads=[1] * (2 * n), ceil_mode=ceil, count_include_pad=count)
                op("AveragePool", x, opset=19, kernel_shape=[2] * n, strides=[3] * n, dilations=[2] * n, ceil_mode=ceil, count_include_pad=count)
        op("MaxPool", x, opset=12, outs=2, kernel_shape=[3] * n, strides=[2] * n, pads=[1] * (2 * n))
        op("MaxPool", x, opset=12, outs=2, kernel_shape=[2] * n, dilations=[2] * n, ceil_mode=1, strides=[2] * n)
        op("LpPool", x, opset=18, kernel_shape=[3] * n, strides=[2] * n, pads=[1] * (2 * n), p=3)
        op("LpPool", x, kernel_shape=[2] * n)
        for name in "GlobalAveragePool GlobalMaxPool GlobalLpPool".split():
            op(name, x)
    op("MaxPool", x2, opset=12, outs=2, kernel_shape=[2, 3], storage_order=1)
    op("MaxPool", rng_ints(np.uint8), opset=12, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    op("MaxPool", rng_ints(np.int8), opset=12, outs=2, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    op("Conv", x2.astype(np.float64), ("const", f32(6, 2, 3, 3).astype(np.float64)), group=2, pads=[1, 1, 1, 1])
    op("Conv", f32(2, 8, 2, 19), const(8, 2, 3, 3), const(8), group=4, pads=[1, 1, 1, 1], dyn=True)
    op("Conv", f32(1, 32, 4, 4), const(32, 8, 3, 3), const(32), group=4, pads=[1, 1, 1, 1])
    op("ConvTranspose", x2, const(4, 3, 4, 4), const(3), strides=[2, 2], pads=[1, 1, 1, 1])
    op("ConvTranspose", x2, const(4, 3, 3, 3), strides=[2, 2], output_shape=[10, 8])
    op("ConvTranspose", x2, const(4, 3, 3, 3), strides=[2, 3], output_shape=[9, 9], auto_pad="SAME_UPPER")
    op("ConvTranspose", f32(2, 4, 3, 3), const(4, 5, 2, 2), const(5), strides=[2, 2], dyn=True)
    op("ConvTranspose", f32(2, 4, 3, 3), const(4, 5, 3, 3), const(5), strides=[2, 2], dyn=True)
    op("LRN", x2, size=3)
    op("LRN", x2, size=5, alpha=0.5, beta=0.6, bias=2.0)


def rng_ints(dtype):
    info = np.iinfo(dtype)
    return make_data.rng.integers(info.min, info.max + 1, (1, 2, 5, 6)).astype(dtype)


def by_definition(op_type, *operands, **attrs):
    """As op, with the answer of onnx's reference evaluator: where ONNX Runtime differs from the definition."""
    runtime, make_data.ort = make_data.ort, None
    op(op_type, *operands, **attrs)
    make_data.ort = runtime


def attention():
    def qkv(b=2, h=2, kv=2, i=4, j=5, d=4, e=3):
        return f32(b, h, i, d), f32(b, kv, j, d), f32(b, kv, j, e)

    q, k, v = qkv()
    past = f32(2, 2, 3, 4), f32(2, 2, 3, 3)
    for attrs in ({}, {"is_causal": 1}, {"softcap": 2.0}, {"is_causal": 1, "softcap": 0.5, "scale": 0.5}):
        by_definition("Attention", q, k, v, None, *past, outs=3, opset=23, **attrs)
        by_definition("Attention", q, k, v, f32(4, 8), *past, outs=3, opset=23, **attrs)
    for mode in range(4):
        by_definition("Attention", q, k, v, f32(2, 4, 8), *past, outs=4, opset=23, qk_matmul_output_mode=mode, softcap=1.5 if mode else 0.0)
    mask = make_data.rng.random((2, 1, 4, 5)) > 0.5
    mask[0, 0, 1] = False  # a row that looks nowhere
    by_definition("Attention", q, k, v, mask, opset=24)
    by_definition("Attention", q, k, v, np.where(mask, 0, -np.inf).astype(np.float32), opset=24)
    by_definition("Attention", q, k, v, ("const", np.where(mask, 0, -np.inf).astype(np.float32)), opset=24)
    by_definition("Attention", q, k, v, mask[:, :, :, :3], opset=24)
    by_definition("Attention", q, k, v, f32(4, 3), opset=24)
    lengths = np.array([5, 2], np.int64)
    for attrs in ({}, {"is_causal": 1}):
        by_definition("Attention", q, k, v, None, None, None, lengths, opset=24, **attrs)
        by_definition("Attention", q, k, v, mask, None, None, lengths, opset=24, **attrs)
    for window in ({"left_window_size": 1}, {"right_window_size": 1}, {"left_window_size": 2, "right_window_size": 0},
                   {"left_window_size": 1, "right_window_size": 2, "is_causal": 1}):
        by_definition("Attention", q, k, v, opset=25, **window)
        by_definition("Attention", q, k, v, None, *past, outs=3, opset=25, **window)
        by_definition("Attention", q, k, v, None, None, None, lengths, opset=25, **window)
    q, k, v = qkv(h=6, kv=2)
    by_definition("Attention", q, k, v, f32(1, 6, 1, 5), opset=23)
    by_definition("Attention", f32(2, 4, 48), f32(2, 5, 8), f32(2, 5, 6), opset=23, q_num_heads=6, kv_num_heads=1, is_causal=1)
    double = [x.astype(np.float64) for x in qkv()]
    by_definition("Attention", *double, opset=23, is_causal=1)
    by_definition("Attention", *qkv(), opset=23, softmax_precision=11)
    x = f32(2, 3, 4, 8)
    angle = f32(10, 4)
    cos, sin = ("const", np.cos(angle)), ("const", np.sin(angle))
    ids = np.array([[1, 0, 9, 3], [2, 2, 5, 7]], np.int64)
    for interleaved in (0, 1):
        op("RotaryEmbedding", x, cos, sin, ids, opset=23, interleaved=interleaved)
        op("RotaryEmbedding", x, f32(2, 4, 4), f32(2, 4, 4), opset=23, interleaved=interleaved)
        op("RotaryEmbedding", f32(2, 4, 24), cos, sin, ids, opset=23, interleaved=interleaved, num_heads=3)
        op("RotaryEmbedding", f32(2, 3, 4, 12), cos, sin, ids, opset=23, interleaved=interleaved, rotary_embedding_dim=8)


def products():
    shapes = {"...ii->...i": [(3, 4, 4)], "iij->ij": [(3, 3, 2)], "ii": [(4, 4)], "ijij->ji": [(2, 3, 2, 3)], "i,i": [(5,), (5,)],
              "ij,jk,kl->il": [(2, 3), (3, 4), (4, 2)], "bi,bj,bk->ijk": [(3, 2), (3, 4), (3, 2)], "a,b,c,d->dcba": [(2,), (3,), (1,), (2,)],
              "...i,...i->...": [(2, 1, 3), (4, 3)], "ij,ij->j": [(1, 3), (4, 3)], "bhid,bhjd->bhij": [(2, 3, 4, 5), (2, 3, 6, 5)],
              "ijk->": [(2, 3, 4)], "A...,A...->...A": [(2, 3), (2, 3)], "ab,b...->a...": [(2, 3), (3, 4, 2)], "ii,i->i": [(3, 3), (3,)],
              "bij , bjk": [(2, 3, 4), (2, 4, 5)]}
    for equation, dims in shapes.items():
        by_definition("Einsum", *[f32(*d) for d in dims], name=f"Einsum {equation}", equation=equation)
        by_definition("Einsum", *[f32(*d).astype(np.float64) for d in dims], name=f"Einsum f64 {equation}", equation=equation)
    op("Einsum", np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4), equation="ij,jk->ik")
    for kind in (np.float64, np.int32, np.int64, np.uint32, np.uint64):
        a, b = (f32(2, 3, 4, scale=4).astype(kind), f32(4, 5, scale=4).astype(kind))
        op("MatMul", np.abs(a), np.abs(b))
        op("MatMul", np.abs(a[0, 0]), np.abs(b))
        op("MatMul", np.abs(a), np.abs(b[:, 0]))
    op("MatMul", f32(3, 4).astype(np.float64), ("const", f32(4, 5).astype(np.float64)))
    for opset in (7, 9, 11, 13):
        for bias in ((3, 5), (5,), (1, 5), (3, 1), (1,), ()):
            op("Gemm", f32(3, 4), const(4, 5), f32(*bias), opset=opset, alpha=0.5, beta=1.5)
    op("Gemm", f32(4, 3).astype(np.float64), f32(5, 4).astype(np.float64), f32(5).astype(np.float64), transA=1, transB=1)
    by_definition("Gemm", np.arange(6, dtype=np.int32).reshape(2, 3), np.arange(12, dtype=np.int32).reshape(3, 4),
                  np.arange(4, dtype=np.int32), alpha=2.0, beta=3.0)
    u8, i8 = (make_data.rng.integers(0, 256, (3, 4)).astype(np.uint8), make_data.rng.integers(-128, 128, (4, 2)).astype(np.int8))
    op("MatMulInteger", u8, i8)
    op("MatMulInteger", u8, i8, s(7, np.uint8), s(-3, np.int8))
    op("MatMulInteger", u8, u8.T.copy(), s(7, np.uint8), c(1, 2, 200, dtype=np.uint8))
    x = make_data.rng.integers(0, 256, (1, 2, 5, 4)).astype(np.uint8)
    op("ConvInteger", x, make_data.rng.integers(0, 256, (3, 2, 3, 2)).astype(np.uint8), s(100, np.uint8), s(3, np.uint8), pads=[1, 0, 0, 1])


def norms():
    x = f32(2, 4, 3, 5, scale=3)
    for axis in (-1, 1, 2, 3):
        dims = x.shape[axis:]
        op("LayerNormalization", x, const(*dims), const(*dims), axis=axis, outs=3)
        op("LayerNormalization", x, f32(*dims), axis=axis, outs=3, epsilon=0.1)
        op("RMSNormalization", x, const(*dims), opset=23, axis=axis)
        op("LogSoftmax", x, axis=axis)
        op("Hardmax", np.round(x), axis=axis)
        op("Hardmax", np.round(x), opset=11, axis=axis)
    double = x.astype(np.float64)
    op("LayerNormalization", double, f32(5).astype(np.float64), outs=1)
    op("Softmax", double, axis=1)
    op("LogSoftmax", double)
    op("MeanVarianceNormalization", x)
    op("MeanVarianceNormalization", x, axes=[1, 3])
    op("BatchNormalization", x, const(4), const(4), const(4), ("const", np.abs(f32(4)) + 0.1), opset=7)
    op("BatchNormalization", f32(3, 4), const(4), const(4), const(4), ("const", np.abs(f32(4)) + 0.1), opset=9)
    op("InstanceNormalization", f32(2, 3, 7), const(3), const(3))
    op("GroupNormalization", f32(2, 6, 3, 2, 2), const(6), const(6), opset=21, num_groups=3)
    op("Gelu", double, opset=20)
    op("Gelu", double, opset=20, approximate="tanh")


def sequences():
    b, t, d, e = 2, 3, 4, 2
    for rule in "linear gated delta gated_delta".split():
        for q_heads, heads in ((2, 2), (4, 2)):
            decay = None if rule in ("linear", "delta") else -np.abs(f32(b, t, heads * (d if q_heads == 2 else 1)))
            beta = None if "delta" not in rule else np.abs(f32(b, t, heads if q_heads == 2 else 1))
            operands = [f32(b, t, q_heads * d), f32(b, t, heads * d), f32(b, t, heads * e), f32(b, heads, d, e) if q_heads == 4 else None, decay, beta]
            while operands[-1] is None:
                operands.pop()
            by_definition("LinearAttention", *operands, outs=2, opset=27, update_rule=rule, q_num_heads=q_heads, kv_num_heads=heads)
    x, w = f32(2, 3, 5), const(3, 1, 4)
    by_definition("CausalConvWithState", x, w, outs=2, opset=27)
    by_definition("CausalConvWithState", x, w, const(3), f32(2, 3, 3), outs=2, opset=27, activation="silu")


def order():
    """Nodes in another order than that of their use: the answers are those of the sorted model."""
    n = make_data.h.make_node

    def shuffled(name, nodes, inputs, outputs, orders, **kw):
        want = make_data.answer(name, make_data.model_of(nodes, inputs, outputs, **kw), inputs)
        for i, order in enumerate(orders):
            model = make_data.model_of([nodes[k] for k in order], inputs, outputs, **kw)
            make_data.cases.append((f"{name} {i}", model, 0, list(inputs.values()), want))

    # as convert_float_to_float16 of onnxconverter-common writes it: the casts behind all else
    half = [n("Cast", ["x"], ["x16"], to=10), n("MatMul", ["x16", "w"], ["y16"]), n("Add", ["y16", "b"], ["z16"]),
            n("Cast", ["z16"], ["z"], to=1), n("Softmax", ["z"], ["y"], axis=-1)]
    w, b = np.round(f32(4, 3)).astype(np.float16), np.round(f32(3)).astype(np.float16) # exact in float16
    shuffled("float16 and its casts", half, {"x": np.round(f32(2, 4))}, ["y"], ([1, 2, 4, 0, 3], [4, 3, 2, 1, 0]), consts={"w": w, "b": b})
    twice = [n("Relu", ["x"], ["a"]), n("Neg", ["a"], ["b"]), n("Split", ["b"], ["c", "d"], axis=0), n("Mul", ["c", "d"], ["e"]),
             n("Add", ["e", "a1"], ["y"]), n("Exp", ["d"], ["a1"])]
    twice = [twice[i] for i in (0, 1, 2, 3, 5, 4)]
    shuffled("results used from afar", twice, {"x": f32(4, 3)}, ["y"], ([5, 4, 3, 2, 1, 0], [1, 0, 3, 2, 5, 4], [3, 4, 5, 0, 1, 2]), opset=13)
    branch = make_data.h.make_graph([n("Mul", ["i", "late"], ["t"]), n("Neg", ["late"], ["i"])][::-1], "yes", [],
                                    [make_data.h.make_empty_tensor_value_info("t")])
    other = make_data.h.make_graph([n("Identity", ["x"], ["t"])], "no", [], [make_data.h.make_empty_tensor_value_info("t")])
    inside = [n("Exp", ["x"], ["late"]), n("If", ["c"], ["z"], then_branch=branch, else_branch=other), n("Abs", ["z"], ["y"])]
    shuffled("what a branch uses", inside, {"x": f32(2, 3)}, ["y"], ([1, 0, 2], [2, 1, 0]), consts={"c": np.array(True)})
    branch.node.reverse()
    unsorted = [n("If", ["c"], ["z"], then_branch=branch, else_branch=other)]
    model = make_data.model_of([n("Abs", ["z"], ["y"]), *unsorted, inside[0]], {"x": make_data.cases[-1][3][0]}, ["y"], consts={"c": np.array(True)})
    make_data.cases.append(("inside of a branch", model, 0, *make_data.cases[-1][3:]))


def rotary():
    """com.microsoft's RotaryEmbedding, as ONNX Runtime's tools write it."""
    n = make_data.h.make_node

    def ms(x, positions, cos, sin, dyn=False, **attrs):
        inputs, consts = {"x": x}, {"cos": cos, "sin": sin}
        (inputs if isinstance(positions, np.ndarray) else consts)["p"] = positions if isinstance(positions, np.ndarray) else positions[1]
        node = n("RotaryEmbedding", ["x", "p", "cos", "sin"], ["y"], domain="com.microsoft", name="node", **attrs)
        model = make_data.model_of([node], inputs, ["y"], consts=consts, dyn=list(inputs) if dyn else ())
        model.opset_import.append(make_data.h.make_opsetid("com.microsoft", 1))
        name = f"ms rotary {len(make_data.cases)}"
        make_data.cases.append((name, model, x.shape[0] if dyn else 0, list(inputs.values()), make_data.answer(name, model, inputs)))

    cos, sin = f32(6, 4), f32(6, 4)
    each, first = make_data.i64([0, 2, 1], [4, 3, 5]), make_data.i64(2)
    for interleaved in (0, 1):
        for positions in (each, first, ("const", each), ("const", first)):
            ms(f32(2, 3, 24), positions, cos, sin, interleaved=interleaved)
        ms(f32(2, 2, 3, 8), each, cos, sin, interleaved=interleaved)
        ms(f32(2, 2, 3, 8), first, cos, sin, interleaved=interleaved, num_heads=2)
        ms(f32(2, 3, 24), first, cos, sin, interleaved=interleaved, num_heads=2, rotary_embedding_dim=8)
        ms(f32(2, 2, 3, 12), each, cos, sin, interleaved=interleaved, num_heads=2, rotary_embedding_dim=8)
    ms(f32(3, 4, 16), ("const", first), cos, sin, dyn=True)


def halves():
    """float16 through ops that a routine computes. The numbers are exact in float16, and so are the answers."""
    h16 = lambda *shape: (np.round(f32(*shape) * 4) / 4).astype(np.float16)
    i64 = make_data.i64
    x = h16(3, 4, 5)
    op("TopK", x, c(3), outs=2, axis=2)
    op("TopK", x, c(2), outs=2, axis=1, largest=0)
    index = np.array([[[0, 2, 1, 2, 0]]] * 2, np.int64)
    for reduction in ("none", "add", "mul", "max"):
        op("ScatterElements", x, ("const", index), h16(2, 1, 5), opset=18, axis=1, reduction=reduction)
        op("ScatterND", x, i64([2], [0]), h16(2, 4, 5), opset=18, reduction=reduction)
    op("CumSum", x, c(1))
    op("CumSum", x, c(2), exclusive=1, reverse=1)
    op("CumProd", h16(2, 3), c(1), opset=26)
    grid = (np.array([[-1, -1], [0, 1], [0.5, 0], [-0.5, 1], [1, 0.5], [3, -2]]).reshape(1, 2, 3, 2)).astype(np.float16)
    for mode in ("linear", "nearest"):
        for padding in ("zeros", "border", "reflection"):
            by_definition("GridSample", h16(1, 2, 5, 5), ("const", grid), opset=20, mode=mode, padding_mode=padding, align_corners=1)
    rois = np.array([[0, 0, 4, 4], [1, 1, 3, 5], [0.5, 1, 4.5, 3]]).astype(np.float16)
    for mode in ("avg", "max"):
        op("RoiAlign", h16(2, 2, 6, 6), rois, c(0, 1, 1), opset=16, mode=mode, output_height=2, output_width=2, sampling_ratio=2)
    op("Unique", np.array([2, 1, 1, 3, 2], np.float16), outs=4)


def special():
    """NaN, infinities and numbers at the ends of types, as ONNX Runtime has them; where its answer is no rule, the definition's."""
    nan, inf = np.nan, np.inf
    rows = [[nan, 1, 2, 0], [1, nan, 2, 0], [1, 2, 0, nan], [3, nan, nan, -inf], [nan, nan, nan, nan], [-inf, -inf, -inf, -inf], [-inf, nan, -inf, nan],
            [inf, -inf, 1, inf], [inf, nan, 1, 2], [-3, -2, -inf, -1]]
    for kind in (np.float32, np.float64):
        x = np.array(rows, kind)
        for name in ("ArgMax", "ArgMin"):
            for axis, y in ((1, x), (0, x.T.copy()), (1, np.repeat(x, 9, axis=1)[:, 3:])):
                op(name, y, axis=axis, keepdims=0)
                op(name, y, axis=axis, select_last_index=1)
        for largest in (0, 1):
            op("TopK", x, c(3), outs=2, largest=largest)
        pick = [make_data.h.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=0), make_data.h.make_node("Gather", ["t", "i"], ["y"])]
        make_data.graph(f"a row by ArgMax {kind.__name__}", pick, {"x": x}, ["y"], consts={"t": np.arange(12, dtype=np.float32).reshape(4, 3)})
        for axes in ([1], [0]):
            op("ReduceLogSumExp", x, axes=axes)
            op("ReduceLogSumExp", x, axes=axes, keepdims=0)
            op("ReduceSum", x, opset=11, axes=axes)
            op("ReduceL2", np.where(np.isnan(x), inf, x), axes=axes)
            without = np.where(np.isnan(x), inf, x) # with NaN ONNX Runtime's depends on where it stands
            for name in ("ReduceMax", "ReduceMin"):
                op(name, without, axes=axes)
                by_definition(name, np.array(rows[1:3], kind), axes=[1])
        for axis in (0, 1):
            op("Softmax", x, axis=axis)
            op("Softmax", x[5:6], opset=11, axis=axis)
            op("LogSoftmax", x.astype(np.float32), axis=axis)
        values = np.array([nan, inf, -inf, 0.0, -0.0, 1.5, -1.5, 2.5, -2.5, 0.5, -0.5, 3.5, 1e30, -1e30, 7, -7], kind)
        for name in "Neg Abs Exp Log Sqrt Reciprocal Tanh Sigmoid Relu Sin Cos Floor Ceil Round Sign IsNaN IsInf".split():
            op(name, np.clip(values, -20, 20) if name in ("Sin", "Cos") and kind is np.float64 else values, opset=20)
        for low, high in ((-1, 2), (3, 2), (-inf, inf)):
            op("Clip", values, s(low, kind), s(high, kind))
        a, b = np.array([nan, 1, nan, inf, -inf, 4], kind), np.array([1, nan, nan, nan, 2, inf], kind)
        for name in "Max Min Add Sub Mul Div Less LessOrEqual Greater GreaterOrEqual Equal".split():
            op(name, a, b)
        op("Mod", np.array([nan, inf, 1, -5, 5.5, -0.0, 1e30, 1e30], kind), np.array([1, 1, inf, 3, 0, 2, 7, 1e-3], kind), fmod=1)
    ends = np.array([nan, inf, -inf, 0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3e38, -3e38, 1e-40], np.float32)
    for y in (nan, inf, -inf, 0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 1.5, 1 / 3):
        op("Pow", ends, s(y))
        op("Pow", ends, np.full(ends.shape, y, np.float32))
        op("Pow", np.append(ends[:11], [1e300, -1e300, 1e-310]), s(y, np.float64))
    x = np.array(rows, np.float32)
    op("Hardmax", x)
    op("Hardmax", x.T.copy(), axis=0)
    for name in "Erf Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Softplus Softsign LeakyRelu Elu Selu Celu HardSigmoid HardSwish ThresholdedRelu Shrink Mish".split():
        op(name, values.astype(np.float32), opset=22 if name == "Mish" else 20)
    far = (10.0 ** np.arange(5, 38.5, 0.25)).astype(np.float32)
    for name in ("Sin", "Cos"):
        op(name, np.concatenate([far, -far]))
    op("Tan", np.concatenate([far, -far])[::3].copy())
    for to in (np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, bool): # what is outside has no defined result
        info = np.array([-2.7, 0.5, 2.7, 100.5], np.float32) if np.dtype(to).kind != "u" else np.array([0.5, 2.7, 100.5], np.float32)
        op("Cast", info, to=int(make_data.h.np_dtype_to_tensor_dtype(np.dtype(to))))
    op("Cast", np.array([nan, inf, 0.0, -0.0, 0.4], np.float32), to=9)
    op("Cast", np.array([nan, inf, 1e300, -1e300, 1e-300]), to=1)
    for bits in (np.int8, np.int32, np.int64, np.uint8, np.uint64):
        least = np.iinfo(bits).min
        op("Div", np.array([7, 9, 0, 5], bits), np.array([2, 3, 5, 1], bits))
        op("Mod", np.array([7, 9, 0, 5], bits), np.array([2, 4, 5, 1], bits))
        op("Abs", np.array([least, 1, 0], bits))
    op("Pow", np.array([1, 2, 3, 10, 0], np.int32), np.array([4.0, 0.5, 2.0, 6.0, 0.0], np.float32))
    op("Pow", np.array([1, 2, 3, 10, -3], np.int64), np.array([4, 5, 2, 6, 3], np.float32))


def branches():
    """If whose condition the data decides: each model with inputs that take either branch. ONNX Runtime computes one branch."""
    n, h = make_data.h.make_node, make_data.h

    def graph_of(name, nodes, results):
        return h.make_graph(nodes, name, [], [h.make_empty_tensor_value_info(r) for r in results])

    def both(name, nodes, outputs, consts=None, shape=(2, 3), dyn=()):
        for sign in (1, -1):
            make_data.graph(f"{name} {sign}", nodes, {"x": sign * np.abs(f32(*shape))}, outputs, consts=consts or {}, batch=shape[0] if dyn else 0, dyn=dyn)

    zero = {"zero": np.array(0, np.float32)}
    decide = [n("ReduceSum", ["x"], ["s"], keepdims=0), n("Greater", ["s", "zero"], ["c"])]
    yes = graph_of("yes", [n("Mul", ["x", "x"], ["a"]), n("Exp", ["x"], ["e"])], ["a", "e"])
    no = graph_of("no", [n("Neg", ["x"], ["b"])], ["b", "x"])
    both("two results", [*decide, n("If", ["c"], ["y", "z"], then_branch=yes, else_branch=no, name="choice")], ["y", "z"], zero)
    both("a result left out", [*decide, n("If", ["c"], ["", "z"], then_branch=yes, else_branch=no)], ["z"], zero)
    one = [n("ReduceSum", ["x"], ["s"], keepdims=1), n("Greater", ["s", "zero"], ["c2"]), n("Reshape", ["c2", "shape"], ["c"])]
    both("a condition of rank 1", [*one, n("If", ["c"], ["y", "z"], then_branch=yes, else_branch=no)], ["y", "z"], {**zero, "shape": make_data.i64(1)})
    inner = graph_of("inner", [n("Tanh", ["x"], ["t"])], ["t"])
    other = graph_of("other", [n("Abs", ["x"], ["u"])], ["u"])
    nested = graph_of("nested", [n("ReduceMax", ["x"], ["m"], keepdims=0), n("Less", ["m", "one"], ["d"]),
                                 n("If", ["d"], ["v"], then_branch=inner, else_branch=other)], ["v"])
    both("one in another", [*decide, n("If", ["c"], ["y"], then_branch=nested, else_branch=graph_of("flat", [n("Neg", ["x"], ["w"])], ["w"]))], ["y"],
         {**zero, "one": np.array(1, np.float32)})
    nodes = [n("Constant", [], ["k"], value_ints=[1, 2])]
    same = graph_of("same", [*nodes, n("Cast", ["k"], ["f"], to=1)], ["f"])
    twin = graph_of("twin", [n("Constant", [], ["f"], value_floats=[5.0, 6.0])], ["f"])
    both("constants", [*decide, n("If", ["c"], ["y"], then_branch=same, else_branch=twin)], ["y"], zero)


def keypoints():
    """What finds points and gathers them, as SuperPoint does: indices into sizes that the data decides, and results padded to the longest."""
    n = make_data.h.make_node

    def points(i):
        """The points of picture i that are above a half and not in its last column, their scores, and their number."""
        t = lambda name: f"{name}{i}"
        return [n("Gather", ["x", t("at")], [t("p")], axis=0), n("Greater", [t("p"), "half"], [t("g")]), n("NonZero", [t("g")], [t("nz")]),
                n("Transpose", [t("nz")], [t("kp")], perm=[1, 0]), n("GatherND", [t("p"), t("kp")], [t("s")]),
                n("Gather", [t("kp"), "one"], [t("column")], axis=1), n("Less", [t("column"), "last"], [t("keep")]),
                n("NonZero", [t("keep")], [t("kz")]), n("Transpose", [t("kz")], [t("rows")], perm=[1, 0]),
                n("GatherND", [t("kp"), t("rows")], [t("ks")]), n("GatherND", [t("s"), t("rows")], [t("ss")]),
                n("Cast", [t("ks")], [t("kf")], to=1), n("Shape", [t("ss")], [t("n")])]

    def padded(i):
        """Row i of the results is written in place."""
        t = lambda name: f"{name}{i}"
        last = "zeros" if i == 0 else f"k{i - 1}"
        return [n("Squeeze", [t("n"), "axis0"], [t("count")]), n("Range", ["zero", t("count"), "one"], [t("r")]), n("Unsqueeze", [t("r"), "axis1"], [t("r1")]),
                n("Add", [t("r1"), t("none")], [t("rr")]), n("Mul", [t("r1"), "zero"], [t("r0")]), n("Add", [t("r0"), t("at")], [t("ri")]),
                n("Concat", [t("ri"), t("rr")], [t("index")], axis=1), n("ScatterND", [last, t("index"), t("kf")], [f"k{i}"])]

    consts = {"half": np.array(0.5, np.float32), "one": np.array(1, np.int64), "zero": np.array(0, np.int64), "last": np.array(6, np.int64),
              "axis0": make_data.i64(0), "axis1": make_data.i64(1), "two": make_data.i64(2)}
    for pictures in (1, 2, 3):
        consts.update({f"at{i}": np.array(i, np.int64) for i in range(pictures)}, **{f"none{i}": np.array(0, np.int64) for i in range(pictures)})
        nodes = [node for i in range(pictures) for node in points(i)]
        most = "n0"
        for i in range(1, pictures):
            nodes.append(n("Max", [most, f"n{i}"], [f"most{i}"]))
            most = f"most{i}"
        consts["pictures"] = make_data.i64(pictures)
        nodes += [n("Concat", ["pictures", most, "two"], ["dims"], axis=0), n("ConstantOfShape", ["dims"], ["zeros"])]
        nodes += [node for i in range(pictures) for node in padded(i)]
        make_data.graph(f"keypoints of {pictures}", nodes, {"x": make_data.rng.random((pictures, 5, 7)).astype(np.float32)}, [f"k{pictures - 1}", "ss0"],
                        consts=dict(consts), opset=17)
    found = [n("NonZero", ["x"], ["nz"]), n("Transpose", ["nz"], ["t"], perm=[1, 0])]
    x = (make_data.rng.random((4, 6)) > 0.5).astype(np.float32)
    tuples = make_data.i64([0, 1], [2, 0], [-1, -1])
    make_data.graph("tuples of two into found rows", [*found, n("GatherND", ["t", "i"], ["y"])], {"x": x}, ["y"], consts={"i": tuples})
    make_data.graph("elements of found rows", [*found, n("GatherElements", ["t", "i"], ["y"], axis=0)], {"x": x}, ["y"], consts={"i": tuples})
    make_data.graph("elements into found rows", [*found, n("ScatterElements", ["t", "i", "u"], ["y"], axis=0)], {"x": x}, ["y"],
                    consts={"i": make_data.i64([0, 1], [2, 0]), "u": make_data.i64([7, 8], [9, 10])})
    for reduction in ("none", "add"):
        make_data.graph(f"rows into found rows {reduction}", [*found, n("ScatterND", ["t", "i", "u"], ["y"], reduction=reduction)], {"x": x}, ["y"],
                        consts={"i": make_data.i64([1], [-1]), "u": make_data.i64([7, 8], [9, 10])})


def loops():
    """Loop and Scan whose turns can be counted before they run."""
    n, h = make_data.h.make_node, make_data.h
    info = lambda name, kind=1, shape=None: h.make_tensor_value_info(name, kind, shape)

    def body(nodes, inputs, outputs):
        return h.make_graph(nodes, "body", inputs, [h.make_empty_tensor_value_info(o) for o in outputs])

    i64, x = make_data.i64, f32(2, 3)
    step = [n("Cast", ["i"], ["f"], to=1), n("Add", ["s", "f"], ["a"]), n("Tanh", ["a"], ["s2"]), n("ReduceSum", ["s2"], ["r"], keepdims=0), n("Identity", ["go"], ["on"])]
    heads = [info("i", 7, []), info("go", 9, []), info("s", 1)]
    model = lambda operands: [n("Loop", operands, ["y", "z"], body=body(step, heads, ["on", "s2", "r"]), name="loop")]
    make_data.graph("five turns", model(["m", "", "x"]), {"x": x}, ["y", "z"], consts={"m": np.array(5, np.int64)})
    make_data.graph("a condition too", model(["m", "c", "x"]), {"x": x}, ["y", "z"], consts={"m": np.array(3, np.int64), "c": np.array(True)})
    ends = [n("Identity", ["s"], ["s1"]), n("Mul", ["s1", "s1"], ["s2"]), n("Less", ["i", "limit"], ["on"])]
    make_data.graph("its body ends it", [n("Loop", ["m", "c", "x"], ["y"], body=body(ends, heads, ["on", "s2"]))], {"x": x}, ["y"],
                    consts={"m": np.array(2**63 - 1, np.int64), "c": np.array(True), "limit": np.array(2, np.int64)})
    make_data.graph("no turn", [n("Loop", ["m", "", "x"], ["y"], body=body(ends, heads, ["on", "s2"])), n("Neg", ["y"], ["w"])], {"x": x}, ["w"],
                    consts={"m": np.array(0, np.int64), "limit": np.array(2, np.int64)})
    grow = [n("Unsqueeze", ["i", "axis"], ["i1"]), n("Gather", ["x", "i"], ["row"], axis=0), n("Mul", ["s", "row"], ["s2"]), n("Identity", ["go"], ["on"])]
    make_data.graph("rows by number", [n("Shape", ["x"], ["d"]), n("Gather", ["d", "zero"], ["m"]),
                                       n("Loop", ["m", "", "one"], ["y", "z"], body=body(grow, heads, ["on", "s2", "i1"]))], {"x": f32(4, 3)}, ["y", "z"],
                    consts={"zero": np.array(0, np.int64), "one": np.ones(3, np.float32), "axis": i64(0)})
    scan = [n("Mul", ["s", "e"], ["m"]), n("Add", ["m", "o"], ["s2"]), n("Exp", ["s2"], ["w"])]
    inputs = [info("s", 1, [3]), info("e", 1, [3]), info("o", 1, [3])]
    make_data.graph("a scan", [n("Scan", ["x", "a", "b"], ["y", "z"], num_scan_inputs=2, body=body(scan, inputs, ["s2", "w"]))],
                    {"x": f32(3), "a": f32(5, 3), "b": f32(5, 3)}, ["y", "z"])


def spectra():
    """Fourier transforms and what goes with them."""
    for opset in (17, 20):
        for parts in (1, 2):
            x = f32(2, 6, 5, parts)
            for axis in (1, 2):
                where = {"axis": axis} if opset == 17 else {}
                last = (c(axis),) if opset == 20 else ()
                for attrs in ({}, {"inverse": 1}, {"onesided": 1} if parts == 1 else {}):
                    by_definition("DFT", x, None, *[("const", v[1][0]) for v in last], opset=opset, **attrs, **where)
                for length in (4, 9):
                    by_definition("DFT", x, ("const", np.array(length, np.int64)), *[("const", v[1][0]) for v in last], opset=opset, **where)
    by_definition("DFT", f32(3, 4, 2).astype(np.float64), opset=20)
    op("DFT", f32(3, 8, 1), opset=17, axis=1, dyn=True)
    signal = f32(2, 20, 1)
    size = lambda n: ("const", np.array(n, np.int64))
    op("STFT", signal, size(3), ("const", np.hanning(8).astype(np.float32)), size(8))
    op("STFT", signal, size(4), None, size(6), onesided=0)
    op("STFT", f32(2, 20, 2), size(4), ("const", f32(5)), onesided=0)
    for name in ("HannWindow", "HammingWindow", "BlackmanWindow"):
        for periodic in (0, 1):
            op(name, size(7), periodic=periodic)
    op("HannWindow", size(5), output_datatype=11)
    op("MelWeightMatrix", size(8), size(16), size(8192), s(0), s(4096))


def recurrent():
    """LSTM, GRU and RNN. Lengths are at least 1: ONNX Runtime gives a sequence of none zeros for Y_h and its first state for Y_c."""
    kinds = {"LSTM": (4, ["Sigmoid", "Tanh", "Tanh"]), "GRU": (3, ["Sigmoid", "Tanh"]), "RNN": (1, ["Tanh"])}

    def case(kind, t=4, b=2, i=3, n=5, ways=1, bias=True, lengths=None, h0=False, c0=False, p=False, layout=0, dtype=np.float32, dyn=False, opset=22,
             definition=False, **attrs):
        gates = kinds[kind][0]
        turned = (lambda x: np.ascontiguousarray(x.swapaxes(0, 1))) if layout else lambda x: x
        state = turned(f32(ways, b, n))
        of = lambda x: x.astype(dtype)
        operands = [of(turned(f32(t, b, i))), ("const", of(f32(ways, gates * n, i))), ("const", of(f32(ways, gates * n, n, scale=0.5))),
                    ("const", of(f32(ways, 2 * gates * n))) if bias else None, lengths, of(state) if h0 else None]
        if kind == "LSTM":
            operands += [of(turned(f32(ways, b, n))) if c0 else None, ("const", of(f32(ways, 3 * n))) if p else None]
        while operands[-1] is None:
            operands.pop()
        if ways == 2:
            attrs["direction"] = "bidirectional"
        if layout:
            attrs["layout"] = 1
        record = by_definition if definition else op
        record(kind, *operands, outs=3 if kind == "LSTM" else 2, hidden_size=n, opset=opset, dyn=dyn, **attrs)

    lens = lambda *n: np.array(n, np.int32)
    for kind, (_, usual) in kinds.items():
        case(kind)
        case(kind, opset=7, direction="reverse", bias=False)
        case(kind, ways=2, h0=True, c0=True)
        case(kind, t=1, ways=2)
        case(kind, b=1, n=33, i=17, ways=2)
        case(kind, ways=2, h0=True, c0=True, lengths=lens(2, 4))
        case(kind, ways=2, lengths=("const", lens(3, 3)))
        case(kind, ways=2, lengths=("const", lens(4, 4)))
        case(kind, direction="reverse", lengths=lens(1, 3), h0=True)
        case(kind, ways=2, h0=True, c0=True, clip=0.3)
        case(kind, bias=False, clip=0.5)
        case(kind, dtype=np.float64, ways=2, h0=True, definition=False)
        for names in (["Relu", "Softsign", "Elu"], ["HardSigmoid", "ScaledTanh", "Affine"], ["LeakyRelu", "ThresholdedRelu", "Tanh"],
                      ["Softplus", "Tanh", "Softsign"]):
            few = names[:len(usual)]
            case(kind, ways=2, activations=few + few, activation_alpha=[0.3, 0.7, 0.9, 0.4, 0.6, 0.8], activation_beta=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], h0=True)
        case(kind, activations=["HardSigmoid", "Elu", "LeakyRelu"][:len(usual)])
    case("LSTM", p=True, ways=2, h0=True, c0=True)
    case("LSTM", p=True, clip=0.5)
    case("LSTM", input_forget=1, p=True, h0=True, c0=True)
    for bias in (True, False):
        case("GRU", linear_before_reset=1, ways=2, bias=bias, h0=True)
        case("GRU", linear_before_reset=1, bias=bias, clip=0.4, lengths=lens(4, 2))
    # the batch first: ONNX Runtime has no such layout, and the definition's evaluator one direction of it
    for kind in kinds:
        case(kind, layout=1, opset=14, definition=True)
        case(kind, layout=1, definition=True, dyn=True)


def deform():
    """DeformConv, with offsets that reach outside, on grid points and between them."""
    def case(n=1, c=4, m=6, size=(7, 8), kernel=(3, 3), groups=1, offset_groups=1, mask=True, bias=True, pads=(1, 1, 1, 1), strides=(1, 1),
             dilations=(1, 1), scale=2.0, whole=False, opset=22, dyn=False, dtype=np.float32):
        out = [(size[i] + pads[i] + pads[i + 2] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1 for i in (0, 1)]
        taps = kernel[0] * kernel[1]
        offset = f32(n, offset_groups * taps * 2, *out, scale=scale)
        of = lambda x: x.astype(dtype)
        operands = [of(f32(n, c, *size)), ("const", of(f32(m, c // groups, *kernel))), of(np.round(offset) if whole else offset),
                    ("const", of(f32(m))) if bias else None, of(f32(n, offset_groups * taps, *out)) if mask else None]
        while operands[-1] is None:
            operands.pop()
        op("DeformConv", *operands, opset=opset, dyn=dyn, kernel_shape=list(kernel), group=groups, offset_group=offset_groups, pads=list(pads),
           strides=list(strides), dilations=list(dilations))

    case()
    case(opset=19, mask=False, bias=False)
    case(n=3, dyn=True)
    case(n=2, groups=2, bias=False)
    case(groups=2, c=8, m=4, offset_groups=4)
    case(offset_groups=2, mask=False, dyn=True, n=2)
    case(pads=(0, 1, 2, 3), strides=(2, 1), dilations=(1, 2))
    case(kernel=(1, 1), pads=(0, 0, 0, 0), c=16, m=16)
    case(whole=True)
    case(scale=20.0)
    case(kernel=(5, 7), pads=(2, 3, 2, 3), c=48, m=5, size=(5, 6))       # the taps are several pieces
    case(kernel=(4, 4), c=16, m=1, size=(31, 32), groups=1, mask=False)    # and so are the lines
    case(dtype=np.float64)
    case(c=1, m=1, mask=False)


def pools():
    """Windows that are longer than their axis, with and without its padding: one window, none, and what a mean is divided by."""
    x1, x2, x3 = f32(2, 3, 5), f32(1, 3, 4, 6), f32(1, 2, 3, 2, 5)
    kinds = [("LpPool", 18, dict(p=1)), ("LpPool", 22, dict(p=3))]
    for opset in (11, 18, 19, 22):
        kinds += [("MaxPool", opset, {})] * (opset in (11, 22)) + [("AveragePool", opset, {}), ("AveragePool", opset, dict(count_include_pad=1))]
    for ceil in (0, 1):
        for name, opset, more in kinds:
            more = dict(more, opset=opset, ceil_mode=ceil)
            op(name, x1, kernel_shape=[7], strides=[3], **more)
            op(name, x1, kernel_shape=[8], strides=[4], pads=[1, 0], **more)
            op(name, x2, kernel_shape=[32, 32], strides=[32, 32], **more)
            op(name, x2, kernel_shape=[6, 3], strides=[4, 2], pads=[0, 1, 1, 1], **more)
            op(name, x3, kernel_shape=[4, 5, 2], strides=[2, 8, 2], pads=[0, 2, 0, 0, 0, 1], **more)
            op(name, x1, kernel_shape=[6], **more)                                           # no window
            op(name, x2, kernel_shape=[6, 3], strides=[2, 2], pads=[0, 1, 0, 1], **more)      # none along one axis
        for opset, name in ((19, "AveragePool"), (22, "AveragePool"), (12, "MaxPool"), (22, "LpPool")):
            more = dict(opset=opset, ceil_mode=ceil)
            op(name, x1, kernel_shape=[5], strides=[9], dilations=[2], pads=[1, 0], **more)
            op(name, x2, kernel_shape=[4, 2], strides=[12, 1], dilations=[5, 3], pads=[3, 0, 1, 0], **more)
        op("AveragePool", x1, opset=19, kernel_shape=[5], strides=[9], dilations=[2], pads=[1, 2], ceil_mode=ceil, count_include_pad=1)
        op("MaxPool", x2, opset=12, outs=2, kernel_shape=[32, 7], strides=[32, 4], ceil_mode=ceil)
        op("MaxPool", x2, opset=12, outs=2, kernel_shape=[3, 4], strides=[9, 2], dilations=[2, 1], pads=[0, 1, 0, 0], ceil_mode=ceil)
        op("MaxPool", x2, opset=12, outs=2, kernel_shape=[2, 8], strides=[1, 2], ceil_mode=ceil)
        op("MaxPool", rng_ints(np.uint8), opset=12, kernel_shape=[9, 9], strides=[9, 9], ceil_mode=ceil)
        op("AveragePool", x2, opset=17, kernel_shape=[2**20, 2**20], strides=[2**20, 2**20], ceil_mode=ceil)  # more taps than could be walked
        op("AveragePool", x1, opset=17, kernel_shape=[7], strides=[7], ceil_mode=ceil, dyn=True)
        op("AveragePool", x1, opset=17, kernel_shape=[9], strides=[4], ceil_mode=ceil, dyn=True)
    for name in ("AveragePool", "MaxPool"):
        op(name, x2, kernel_shape=[5, 6], strides=[3, 3], auto_pad="VALID")


FAMILIES = {"windows": windows, "attention": attention, "products": products, "norms": norms, "sequences": sequences, "order": order, "rotary": rotary,
            "halves": halves, "special": special, "branches": branches, "spectra": spectra, "recurrent": recurrent, "deform": deform,
            "keypoints": keypoints, "loops": loops, "pools": pools}


def main():
    folder = pathlib.Path(__file__).parent / "data"
    for number, (name, family) in enumerate(FAMILIES.items()):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        make_data.rng = np.random.default_rng([7, number])
        make_data.cases.clear()
        family()
        data = make_data.packed(make_data.cases)
        (folder / f"{name}_ops.bin").write_bytes(data)
        print(f"{name}: {len(make_data.cases)} cases, {len(data)} bytes")


main()
