#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/frontend/data/quantised_{ops,bad}.bin: quantised ops of com.microsoft, and the spellings of quantised products and
convolutions that ONNX Runtime's quantisers write, with ONNX Runtime's answers; models of these kinds that must be refused. The
layout is make_data.py's.

    make_quantised.py [FOLDER]        needs numpy, onnx and onnxruntime
"""
import pathlib
import struct
import sys

import numpy as np
import onnxruntime as ort
from onnx import helper as h

import make_data
from make_data import bad, cases, fails, i64, model_of, tensors, text

rng = np.random.default_rng(17)
n = h.make_node
MS = "com.microsoft"


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def ints(dtype, *shape):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def u8(*shape):
    return ints(np.uint8, *shape)


def i8(*shape):
    return ints(np.int8, *shape)


def c(x, dtype=np.float32):
    return ("const", np.asarray(x, None if isinstance(x, np.ndarray) else dtype))


def answer(model, inputs):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.x64quantprecision", "1")  # else u8 by s8 saturates on CPUs without VNNI
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"]).run(None, inputs)


def graph(name, nodes, inputs, outputs, consts, dyn=()):
    model = model_of(nodes, inputs, outputs, consts=consts, opset=21, ir=10, dyn=dyn)
    model.opset_import.append(h.make_opsetid(MS, 1))
    cases.append((name, model, next(iter(inputs.values())).shape[0] if dyn else 0, list(inputs.values()), answer(model, inputs)))


def ms(op_type, *operands, name=None, domain=MS, dyn=False, **attributes):
    inputs, consts, names = {}, {}, []
    for i, x in enumerate(operands):
        names.append("" if x is None else f"x{i}")
        if isinstance(x, tuple):
            consts[f"x{i}"] = x[1]
        elif x is not None:
            inputs[f"x{i}"] = x
    graph(name or f"{op_type}-{len(cases)}", [n(op_type, names, ["y"], domain=domain, name="node", **attributes)], inputs, ["y"], consts,
          ["x0"] if dyn else ())


def products():
    x, bias = f32(2, 3, 8), c(f32(5))
    for w, zero in ((u8(8, 5), np.uint8), (i8(8, 5), np.int8)):
        ms("DynamicQuantizeMatMul", x, c(w), c(0.02))
        ms("DynamicQuantizeMatMul", x, c(w), c(np.abs(f32(5)) + 0.01), c(np.arange(5).astype(zero) + 100), bias)
    ms("DynamicQuantizeMatMul", x, u8(8, 5), c(0.02), None, bias, name="DynamicQuantizeMatMul computed")
    for a in (u8(2, 3, 8), i8(2, 3, 8)):
        kind = a.dtype.type
        for w in (u8(8, 5), i8(8, 5)):
            if kind is np.int8 and w.dtype == np.uint8:
                continue  # ONNX Runtime has no s8 by u8
            ms("MatMulIntegerToFloat", a, c(w), c(0.03), c(0.02), c(7, kind), c(100, w.dtype.type), bias)
        ms("MatMulIntegerToFloat", a, c(i8(8, 5)), c(0.03), c(np.abs(f32(5)) + 0.01), None, c(np.int8([1, -2, 3, 0, 5])), dyn=True)
    for trans_a in (0, 1):
        for trans_b in (0, 1):
            a, b = u8(8, 3) if trans_a else u8(3, 8), i8(5, 8) if trans_b else i8(8, 5)
            row = [c(ints(np.int32, 5) % 5000)] if trans_a == trans_b else [None]
            ms("QGemm", a, c(0.03), c(120, np.uint8), c(b), c(0.02), c(3, np.int8), *row, c(0.2), c(111, np.uint8), transA=trans_a, transB=trans_b)
            ms("QGemm", a, c(0.03), c(120, np.uint8), c(b), c(np.abs(f32(5)) + 0.01), c(np.zeros(5, np.int8)), *row, transA=trans_a, transB=trans_b, alpha=0.5)
    x, w = u8(2, 5, 6), c(i8(6, 24))
    q = lambda x, w, *rest, **kw: ms("QAttention", x, w, c(f32(24)), c(0.02), *rest, num_heads=2, **kw)
    q(x, w, c(0.015), None, c(120, np.uint8), c(3, np.int8))
    q(x, w, c(np.abs(f32(24)) * 0.02 + 0.001), None, c(120, np.uint8), c(np.zeros(24, np.int8)), name="QAttention columns")
    q(x, c(u8(6, 24)), c(0.01), None, c(120, np.uint8), c(110, np.uint8), name="QAttention u8")
    q(x, w, c(0.015), np.int32([3, 5]), c(120, np.uint8), c(0, np.int8), name="QAttention lengths")
    q(x, w, c(0.015), None, c(120, np.uint8), c(0, np.int8), unidirectional=1, name="QAttention in order")


def elementwise():
    for kind in (np.uint8, np.int8):
        zero = lambda x: c(x, kind)
        a, b = ints(kind, 2, 3, 5), ints(kind, 3, 1)
        third = [c(0.031), zero(90)], [c(0.017), zero(20)], [c(0.0431), zero(33)]
        for op in ("QLinearAdd", "QLinearMul"):
            ms(op, a, *third[0], b, *third[1], *third[2])
            ms(op, a, c(0.031), zero(3), c(ints(kind, 5)), c(0.02), zero(0), c(0.05))
        ms("QLinearSigmoid", a, c(0.05), zero(20), c(1 / 256), zero(0))
        ms("QLinearLeakyRelu", a, c(0.05), zero(20), c(0.061), zero(40), alpha=0.2)
        ms("QLinearLeakyRelu", a, c(0.05), zero(20), c(0.041), zero(10))
        ms("QLinearWhere", rng.integers(0, 2, (3, 5)) > 0, a, c(0.05), zero(20), b, c(0.03), zero(7), c(0.047), zero(11))
        ms("QLinearConcat", c(0.047), zero(11), a, c(0.05), zero(20), ints(kind, 2, 1, 5), c(0.047), zero(11), axis=1)
        ms("QLinearConcat", c(0.047), zero(11), a, c(0.05), zero(20), ints(kind, 2, 3, 2), c(0.03), zero(0), axis=-1)
        ms("QLinearSoftmax", a, c(0.05), zero(20), c(1 / 256), zero(0), opset=13, axis=1)
        ms("QLinearSoftmax", a, c(0.05), zero(20), c(1 / 256), zero(0), opset=11, axis=1)
        ms("QLinearSoftmax", a, c(0.05), zero(20), c(1 / 256), zero(0), opset=11)
        picture = ints(kind, 1, 3, 6, 5)
        ms("QLinearAveragePool", picture, c(0.05), zero(20), c(0.043), zero(11), kernel_shape=[3, 2], strides=[2, 1])
        ms("QLinearAveragePool", picture, c(0.05), zero(20), c(0.043), zero(11), kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
        ms("QLinearAveragePool", picture, c(0.05), zero(20), c(0.043), zero(11), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        ms("QLinearGlobalAveragePool", picture, c(0.05), zero(20), c(0.023), zero(11))
        ms("QLinearGlobalAveragePool", picture, c(0.05), zero(20), c(0.023), zero(11), channels_last=1)
        ms("QuantizeLinear", f32(2, 3, 5, scale=3), c(0.05), zero(20))
        ms("QuantizeLinear", f32(2, 3, 5, scale=3), c([0.05, 0.04, 0.03]), c([1, 2, 3], kind), axis=1)
        ms("DequantizeLinear", a, c(0.05), zero(20))
    for kind in (np.uint16, np.int16):
        ms("QuantizeLinear", f32(2, 3, 5, scale=30), c(0.005), c(20, kind))
        ms("DequantizeLinear", ints(kind, 2, 3, 5), c(0.05), c(20, kind))


def dynamic(name, x, w, w_scale, w_zero, bias, conv=None, fixed=True):
    """DynamicQuantizeLinear, MatMulInteger or ConvInteger, Cast, Mul by both scales, Add: what quantize_dynamic writes."""
    consts = {"w": w, "ws": np.float32(w_scale), "wz": w_zero, "b": bias}
    product = n("ConvInteger", ["q", "w", "z", "wz"], ["i"], **conv) if conv else n("MatMulInteger", ["q", "w", "z", "wz"], ["i"])
    graph(name, [n("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]), product, n("Cast", ["i"], ["f"], to=1), n("Mul", ["s", "ws"], ["t"]),
                 n("Mul", ["f", "t"], ["u"]), n("Add", ["u", "b"], ["y"])], {"x": x}, ["y"], consts)


def written_by_quantisers():
    x, bias = f32(2, 9, 16), f32(24)
    dynamic("dynamic u8", x, u8(16, 24), 0.02, np.uint8(121), bias)
    dynamic("dynamic u8 centred", x, u8(16, 24), 0.02, np.uint8(128), bias)
    dynamic("dynamic u8 of 7 bits", x, u8(16, 24) // 2, 0.02, np.uint8(61), bias)
    dynamic("dynamic s8", x, i8(16, 24), 0.02, np.int8(0), bias)
    dynamic("dynamic s8 columns", x, i8(16, 24), np.abs(f32(24)) + 0.01, np.zeros(24, np.int8), bias)
    dynamic("dynamic s8 columns, zero points", x, i8(16, 24), np.abs(f32(24)) + 0.01, i8(24), bias)
    dynamic("dynamic of a positive range", np.abs(x) + 1, i8(16, 24), 0.02, np.int8(0), bias)
    picture = f32(1, 8, 9, 7)
    for padded in (0, 1):
        dynamic(f"dynamic conv u8, padding {padded}", picture, u8(16, 8, 3, 3), 0.02, np.uint8(117), f32(16, 1, 1), {"pads": [padded] * 4})
        dynamic(f"dynamic conv in groups, padding {padded}", picture, u8(16, 2, 3, 3), 0.02, np.uint8(117), f32(16, 1, 1),
                {"pads": [padded] * 4, "group": 4, "strides": [2, 1]})
    dynamic("dynamic depthwise", picture, u8(8, 1, 3, 3), 0.02, np.uint8(117), f32(8, 1, 1), {"pads": [1] * 4, "group": 8})
    dynamic("dynamic patches", f32(1, 3, 16, 16), u8(24, 3, 8, 8), 0.02, np.uint8(117), f32(24, 1, 1), {"strides": [8, 8]})


def qdq(name, product, x, w, kind, w_scale, w_zero, bias=None, axis=1, out=True, x_zero=113, **attributes):
    """QuantizeLinear and DequantizeLinear around a product: what quantize_static writes."""
    consts = {"xs": np.float32(0.027), "xz": np.array(x_zero, kind), "w": w, "ws": np.float32(w_scale), "wz": w_zero,
              "os": np.float32(0.31), "oz": np.array(3, kind)}
    nodes = [n("QuantizeLinear", ["x", "xs", "xz"], ["q"]), n("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
             n("DequantizeLinear", ["w", "ws", "wz"], ["v"], axis=axis)]
    operands = ["d", "v"]
    if bias is not None:
        consts |= {"b": bias, "bs": np.float32(0.027) * np.float32(w_scale)}
        nodes.append(n("DequantizeLinear", ["b", "bs"], ["c"], axis=0))
        operands.append("c")
    nodes.append(n(product, operands, ["p"], **attributes))
    nodes += [n("QuantizeLinear", ["p", "os", "oz"], ["r"]), n("DequantizeLinear", ["r", "os", "oz"], ["y"])] if out else [n("Identity", ["p"], ["y"])]
    graph(name, nodes, {"x": x}, ["y"], consts)


def around_products():
    x, columns = f32(2, 9, 16), np.abs(f32(24)) * 0.02 + 0.01
    qdq("QDQ MatMul", "MatMul", x, i8(16, 24), np.uint8, columns, np.zeros(24, np.int8))
    qdq("QDQ MatMul s8", "MatMul", x, i8(16, 24), np.int8, 0.02, np.int8(0), out=False, x_zero=-7)
    qdq("QDQ MatMul u8", "MatMul", x, u8(16, 24), np.uint8, 0.02, np.uint8(119), out=False)
    qdq("QDQ Gemm", "Gemm", x[0], i8(24, 16), np.uint8, columns, np.zeros(24, np.int8), ints(np.int32, 24) % 3000, axis=0, transB=1)
    qdq("QDQ Gemm s8", "Gemm", x[0], i8(24, 16), np.int8, 0.02, np.int8(0), ints(np.int32, 24) % 3000, axis=0, out=False, transB=1, x_zero=0)
    filters = np.abs(f32(16)) * 0.02 + 0.01
    qdq("QDQ Conv", "Conv", f32(1, 8, 9, 7), i8(16, 8, 3, 3), np.uint8, filters, np.zeros(16, np.int8), ints(np.int32, 16) % 3000, axis=0, out=False, pads=[1, 0, 2, 1])
    qdq("QDQ Conv s8", "Conv", f32(1, 8, 9, 7), i8(16, 8, 3, 3), np.int8, 0.02, np.int8(0), axis=0, out=False, pads=[1] * 4, strides=[2, 2], x_zero=0)
    qdq("QDQ depthwise", "Conv", f32(1, 8, 9, 7), i8(8, 1, 3, 3), np.uint8, np.abs(f32(8)) * 0.02 + 0.01, np.zeros(8, np.int8), axis=0, out=False, pads=[1] * 4, group=8)
    qdq("QDQ patches", "Conv", f32(1, 3, 16, 16), i8(24, 3, 8, 8), np.uint8, columns, np.zeros(24, np.int8), axis=0, out=False, strides=[8, 8])
    scales = {"xs": np.float32(0.027), "xz": np.uint8(113), "zs": np.float32(0.031), "zz": np.uint8(99)}
    pair = [n("QuantizeLinear", ["x", "xs", "xz"], ["q"]), n("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
            n("QuantizeLinear", ["z", "zs", "zz"], ["r"]), n("DequantizeLinear", ["r", "zs", "zz"], ["e"])]
    two = {"x": f32(2, 9, 16), "z": f32(2, 16, 5)}
    graph("QDQ of two activations", [*pair, n("MatMul", ["d", "e"], ["y"])], two, ["y"], scales)
    deep = {"x": f32(3, 300), "z": f32(300, 5)}
    graph("QDQ of two deep activations", [*pair, n("MatMul", ["d", "e"], ["y"])], deep, ["y"], scales)
    moved = [*pair[:2], n("Transpose", ["d"], ["t"], perm=[0, 2, 1]), n("QuantizeLinear", ["t", "xs", "xz"], ["u"]), n("DequantizeLinear", ["u", "xs", "xz"], ["v"]),
             n("DequantizeLinear", ["w", "zs"], ["m"]), n("MatMul", ["v", "m"], ["y"])]
    graph("QDQ around a Transpose", moved, {"x": f32(2, 16, 9)}, ["y"], {**scales, "w": i8(16, 24)})


def refused():
    one, zero = {"x": u8(2, 3)}, np.uint8(0)

    def refuse(op, why, inputs, consts, words, domain="", status=2, **attributes):
        model = model_of([n(op, [*inputs, *consts], ["y"], name="node", domain=domain, **attributes)], inputs, ["y"], consts=consts, opset=21, ir=10)
        model.opset_import.append(h.make_opsetid(MS, 1))
        fails(f"{op}: {why}", model, status, words)

    for why, scale in (("of zero", 0.0), ("negative", -0.5), ("NaN", np.nan), ("infinite", np.inf)):
        refuse("DequantizeLinear", f"a scale {why}", one, {"s": np.float32(scale)}, "not a positive number")
        refuse("QuantizeLinear", f"a scale {why}", {"x": f32(2, 3)}, {"s": np.float32([1, scale, 1])}, "not a positive number")
        refuse("QLinearSigmoid", f"a scale {why}", one, {"s": np.float32(1), "z": zero, "t": np.float32(scale), "u": zero}, "not a positive number", MS)
        refuse("MatMulIntegerToFloat", f"a scale {why}", {"x": u8(2, 3), "w": i8(3, 4)}, {"s": np.float32(1), "t": np.float32(scale)}, "not a positive number", MS)
        refuse("DynamicQuantizeMatMul", f"a scale {why}", {"x": f32(2, 3), "w": i8(3, 4)}, {"t": np.float32(scale)}, "not a positive number", MS)
    refuse("DequantizeLinear", "zero point of the other sign", one, {"s": np.float32(1), "z": np.int8(3)}, "its zero point is of type i8, for elements of u8")
    refuse("MatMulInteger", "zero point of the other sign", {"x": u8(2, 3), "w": i8(3, 4)}, {"z": np.int8(3)}, "its zero point is of type i8")
    refuse("MatMulInteger", "zero point beyond its type", {"x": u8(2, 3), "w": i8(3, 4)}, {"z": np.int32(300)}, "its zero point is of type i32")
    refuse("MatMulInteger", "of floats", {"x": f32(2, 3), "w": i8(3, 4)}, {}, "multiplies f32")
    refuse("ConvInteger", "zero point of the other sign", {"x": u8(1, 3, 4, 4), "w": i8(3, 3, 1, 1)}, {"z": np.int8(3)}, "its zero point is of type i8")
    refuse("QLinearMatMul", "zero point of the other sign", {"x": u8(2, 3)},
           {"s": np.float32(1), "z": np.int8(0), "w": i8(3, 4), "t": np.float32(1), "v": np.int8(0), "r": np.float32(1), "q": zero}, "its zero point is of type i8")
    refuse("QLinearAdd", "zero point of the other sign", {"x": u8(2, 3)},
           {"s": np.float32(1), "z": np.int8(0), "w": u8(3), "t": np.float32(1), "v": zero, "r": np.float32(1), "q": zero}, "its zero point is of type i8", MS)
    refuse("QLinearAdd", "a scale a column", {"x": u8(2, 3)},
           {"s": np.float32([1, 1, 1]), "z": zero, "w": u8(3), "t": np.float32(1), "v": zero, "r": np.float32(1), "q": zero}, "not one number", MS, status=3)
    refuse("QLinearConcat", "a part without a scale", {"s": np.float32([1]), "z": u8(1), "x": u8(2, 3)}, {"t": np.float32(1), "v": zero, "y": u8(2, 3)}, "has no scale", MS, axis=0)
    refuse("QLinearAveragePool", "channels last", {"x": u8(1, 4, 4, 3)}, {"s": np.float32(1), "z": zero, "t": np.float32(1), "v": zero}, "channels_last", MS, status=3,
           kernel_shape=[2, 2], channels_last=1)
    refuse("QGemm", "a scale without a zero point", {"x": u8(2, 3)},
           {"s": np.float32(1), "z": zero, "w": i8(3, 4), "t": np.float32(1), "v": np.int8(0), "c": ints(np.int32, 4), "r": np.float32(1)}, "without a zero point", MS)
    refuse("QAttention", "past keys", {"x": u8(1, 2, 4)},
           {"w": i8(4, 12), "b": f32(12), "s": np.float32(1), "t": np.float32(1), "m": np.int32([2]), "z": zero, "v": np.int8(0), "p": f32(2, 1, 2, 3, 2)}, "past", MS, status=3,
           num_heads=2)


def long_windows():
    """Windows beyond their axis, of which ONNX Runtime counts all taps where padding counts."""
    zero = lambda x: c(x, np.uint8)
    picture = ints(np.uint8, 1, 3, 6, 5)
    for ceil in (0, 1):
        for count in (0, 1):
            for shape in (dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 0]), dict(kernel_shape=[8, 9], strides=[8, 9]),
                          dict(kernel_shape=[8, 2], strides=[3, 1])):
                ms("QLinearAveragePool", picture, c(0.05), zero(20), c(0.043), zero(11), ceil_mode=ceil, count_include_pad=count, **shape)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
    for part in (products, elementwise, written_by_quantisers, around_products, refused, long_windows):
        part()
    packed = b"".join(text(name) + text(m.SerializeToString()) + struct.pack("<I", batch) + tensors(i) + tensors(o) for name, m, batch, i, o in cases)
    (folder / "quantised_ops.bin").write_bytes(packed)
    wrong = b"".join(text(name) + text(m.SerializeToString() if not isinstance(m, bytes) else m) + struct.pack("<I", status) + text(words) for name, m, status, words in bad)
    (folder / "quantised_bad.bin").write_bytes(wrong)
    print(f"{len(cases)} cases, {len(packed)} bytes; {len(bad)} to refuse, {len(wrong)} bytes")


if __name__ == "__main__":
    main()
