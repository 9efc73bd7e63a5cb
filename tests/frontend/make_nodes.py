#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/frontend/data/nodes_ops.bin: trigonometric ops, bits, ones at chosen indices, losses, quantised ops, pictures;
with ONNX Runtime's answers. The layout is make_data.py's.

    make_nodes.py [FOLDER]        needs numpy, onnx and onnxruntime
"""
import pathlib
import struct
import sys

import numpy as np
from onnx import TensorProto as T

import make_data
from make_data import i64, op, tensors, text

rng = np.random.default_rng(13)


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def ints(dtype, *shape, low=None, high=None):
    info = np.iinfo(dtype)
    return rng.integers(info.min if low is None else low, info.max if high is None else high, shape, dtype, endpoint=True)


def const(x):
    return "const", np.asarray(x)


def trigonometry():
    x, unit, above = f32(3, 4), np.tanh(f32(3, 4)), 1 + np.abs(f32(3, 4))
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, -2, 1e-8], np.float32)
    for name in "Tan Atan Sinh Cosh Asinh".split():
        op(name, x, opset=22)
    for name in "Asin Acos Atanh".split():
        op(name, unit, opset=22)
    op("Acosh", above, opset=22)
    for name in "Atan Asin Acos Sinh Cosh Asinh Acosh Atanh".split():
        op(name, special, name=f"{name} special", opset=22)
    op("Tan", x, dyn=True)


def bits():
    for dtype in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64):
        a, b = ints(dtype, 3, 4), ints(dtype, 4)
        for name in "BitwiseAnd BitwiseOr BitwiseXor".split():
            op(name, a, b, name=f"{name} {np.dtype(dtype)}", opset=18)
        op("BitwiseNot", a, name=f"BitwiseNot {np.dtype(dtype)}", opset=18)
    for dtype in (np.uint8, np.uint32, np.uint64):
        for direction in ("LEFT", "RIGHT"):
            width = np.iinfo(dtype).bits
            op("BitShift", ints(dtype, 3, 4), ints(dtype, 4, low=0, high=width - 1), name=f"BitShift {direction} {width}", direction=direction)
    x = np.array([1, np.inf, -np.inf, np.nan, 0], np.float32)
    for positive in (0, 1):
        for negative in (0, 1):
            op("IsInf", x, name=f"IsInf {positive} {negative}", detect_positive=positive, detect_negative=negative, opset=20)


def activations():
    x = f32(3, 5)
    op("Shrink", x, lambd=0.4, bias=0.0)
    op("Shrink", x, name="Shrink soft", lambd=0.5, bias=0.3)
    op("ThresholdedRelu", x, opset=22)
    op("ThresholdedRelu", x, name="ThresholdedRelu 0.3", alpha=0.3, opset=22)


def ones():
    off_on = const(np.array([0.5, 3], np.float32))
    for axis in (-1, 0, 1):
        op("OneHot", i64(0, -1, 2, 7, -9), const(i64(5)), off_on, name=f"OneHot {axis}", axis=axis if axis < 1 else -2)
    op("OneHot", ints(np.int32, 2, 3, low=0, high=3), const(np.float32(4)), const(np.array([1, 7], np.int32)), name="OneHot 3d", axis=1)
    x = np.array([[1, 3, 3, 2], [0, -1, -2, 0]], np.float32)
    for axis in (0, 1, -1):
        op("Hardmax", x, name=f"Hardmax {axis}", axis=axis, opset=13)
    op("Hardmax", f32(2, 3, 2), name="Hardmax 2d", axis=1, opset=11)
    for k in (0, 1, -2):
        op("EyeLike", f32(3, 5), name=f"EyeLike {k}", k=k, opset=22)
    op("EyeLike", f32(4, 2), name="EyeLike i32", dtype=T.INT32, opset=22)
    for name in ("ReduceMax", "ReduceMin"):
        op(name, np.array([[0, 1], [1, 1], [0, 0]], bool), const(i64(1)), name=f"{name} bool", opset=20)


def losses():
    x, y, w = f32(3, 5), np.array([0, 4, 2], np.int64), np.abs(f32(5))
    x2, y2 = f32(2, 4, 3, 2), ints(np.int32, 2, 3, 2, low=0, high=3)
    for how in ("none", "sum", "mean"):
        for weighted in (False, True):
            rest = (w,) if weighted else ()
            op("NegativeLogLikelihoodLoss", x, y, *rest, name=f"NLL {how} {weighted}", reduction=how)
            op("NegativeLogLikelihoodLoss", x, y, *rest, name=f"NLL {how} {weighted} ignore", reduction=how, ignore_index=2)
            op("SoftmaxCrossEntropyLoss", x, y, *rest, name=f"SCE {how} {weighted}", outs=2, reduction=how)
        op("SoftmaxCrossEntropyLoss", x2, y2, name=f"SCE 4d {how}", reduction=how, ignore_index=1)
    minus = np.array([0, -1, 2], np.int64)
    op("SoftmaxCrossEntropyLoss", x, minus, w, name="SCE ignores -1", ignore_index=-1)


def quantised():
    x = f32(2, 3, 4, scale=40)
    for dtype in (np.uint8, np.int8, np.uint16, np.int16):
        zero = const(np.array(3, dtype))
        op("QuantizeLinear", x, const(np.float32(0.37)), zero, name=f"Quantize {np.dtype(dtype)}", opset=21)
        op("DequantizeLinear", ints(dtype, 2, 3), const(np.float32(0.37)), zero, name=f"Dequantize {np.dtype(dtype)}", opset=21)
    op("QuantizeLinear", x, const(np.float32(0.5)), name="Quantize default")
    op("QuantizeLinear", np.array([0.5, 1.5, 2.5, -0.5, np.inf, -np.inf, 1e9], np.float32), const(np.float32(1)), const(np.int8(0)), name="Quantize ties")
    scale, zero = const(np.array([0.5, 0.25, 2], np.float32)), const(np.array([1, 2, 100], np.uint8))
    op("QuantizeLinear", x, scale, zero, name="Quantize axis", axis=1)
    op("DequantizeLinear", ints(np.uint8, 2, 3, 4), scale, zero, name="Dequantize axis", axis=-2)
    op("DequantizeLinear", ints(np.int32, 2, 3), const(np.float32(0.1)), name="Dequantize i32")
    blocks = const(np.abs(f32(2, 3, 2)) + 0.1)
    op("QuantizeLinear", x, blocks, const(ints(np.uint8, 2, 3, 2)), name="Quantize blocks", axis=2, block_size=2, opset=21)
    op("DequantizeLinear", ints(np.uint8, 2, 3, 4), blocks, name="Dequantize blocks", axis=2, block_size=3, opset=21)
    for name, values in (("mixed", f32(3, 4)), ("positive", np.abs(f32(3, 4)) + 2), ("negative", -np.abs(f32(3, 4)) - 2)):
        op("DynamicQuantizeLinear", values, name=f"DynamicQuantize {name}", outs=3)
    # ONNX Runtime's products of u8 and s8 saturate at 16 bits on CPUs without VNNI: b keeps two of them inside
    a, b = ints(np.uint8, 2, 3, 4), ints(np.int8, 4, 5, low=-60, high=60)
    op("MatMulInteger", a, b)
    op("MatMulInteger", a, b, const(np.uint8(7)), const(np.array([1, -2, 3, -4, 5], np.int8)), name="MatMulInteger zeros")
    one = [const(np.float32(0.02)), const(np.uint8(113))]
    op("QLinearMatMul", a, *one, ints(np.uint8, 2, 4, 5), const(np.float32(0.015)), const(np.uint8(120)), const(np.float32(0.05)), const(np.uint8(100)))
    op("QLinearMatMul", a[0], *one, b, const(np.abs(f32(5)) * 0.01), const(np.array([1, 0, 3, -4, 5], np.int8)), const(np.float32(0.05)), const(np.uint8(100)),
       name="QLinearMatMul columns")


def quantised_convolutions():
    x, w = ints(np.uint8, 2, 4, 5, 6), ints(np.uint8, 6, 2, 3, 2)
    op("ConvInteger", x, ints(np.uint8, 3, 4, 3, 3), const(np.uint8(3)), name="ConvInteger", pads=[1, 0, 1, 2])
    op("ConvInteger", x, w, const(np.uint8(100)), const(np.uint8(90)), name="ConvInteger groups", group=2, strides=[2, 1], dilations=[1, 2])
    scale, zero = const(np.float32(0.02)), const(np.uint8(117))
    rest = [const(np.float32(0.03)), const(np.uint8(100)), const(np.float32(0.4)), const(np.uint8(99))]
    op("QLinearConv", x, scale, zero, const(w), *rest, name="QLinearConv groups", group=2, pads=[1, 1, 1, 1])
    op("QLinearConv", x, scale, zero, const(ints(np.int8, 3, 4, 3, 3, low=-60, high=60)), const(np.float32([0.01, 0.02, 0.03])), const(np.int8([0, 0, 0])),
       const(np.float32(0.3)), const(np.uint8(7)), const(np.int32([1000, -20, 3])), name="QLinearConv channels", auto_pad="SAME_UPPER", strides=[2, 2])


def pictures():
    x = f32(2, 3, 5, 6)
    op("CenterCropPad", x, const(i64(2, 3, 8, 3)), opset=18)
    op("CenterCropPad", x, const(i64(3, 9)), name="CenterCropPad axes", axes=[-1, 2], opset=18)
    op("Col2Im", f32(2, 3 * 4, 12), const(i64(4, 5)), const(i64(2, 2)), opset=18)
    op("Col2Im", f32(1, 2 * 6, 2), const(i64(5, 5)), const(i64(2, 3)), name="Col2Im all", strides=[3, 2], pads=[1, 0, 0, 1], dilations=[1, 2], opset=18)
    op("Col2Im", f32(1, 3 * 2, 4), const(i64(5)), const(i64(2)), name="Col2Im 1d", opset=18)
    for corners in (0, 1):
        op("AffineGrid", f32(2, 2, 3), const(i64(2, 3, 4, 5)), name=f"AffineGrid 2d {corners}", align_corners=corners, opset=20)
        op("AffineGrid", f32(1, 3, 4), const(i64(1, 3, 2, 3, 4)), name=f"AffineGrid 3d {corners}", align_corners=corners, opset=20)
    op("MeanVarianceNormalization", x)
    op("MeanVarianceNormalization", x, name="MVN axes", axes=[1, -1])
    for m in (1, 2, 3, 4):
        op("Det", f32(2, 3, m, m), name=f"Det {m}")
    op("Det", f32(3, 3), name="Det alone")


def frames_and_ranges():
    x = f32(2, 3, 4)
    for mode, pads in (("edge", (0, 2, 1, 1, 0, 3)), ("reflect", (1, 2, 3, 0, 1, 0)), ("wrap", (1, 0, 2, 0, 2, 1))):
        op("Pad", x, const(i64(*pads)), name=f"Pad {mode}", mode=mode, opset=19)
    op("Pad", x, const(i64(-1, 2)), None, const(i64(2)), name="Pad cut and edge", mode="edge", opset=18)
    op("Pad", ints(np.int32, 3, 5), const(i64(1, -2, 0, 3)), const(np.int32(7)), name="Pad cut and constant", opset=18)
    for name, values in (("f32", np.float32([1, 2.2, 0.3])), ("i64", i64(5, -4, -3)), ("i32 empty", np.int32([5, 5, 1]))):
        op("Range", *(const(v) for v in values), name=f"Range {name}")
    for name in "Exp Log Tanh Sigmoid Sin Cos Tan".split():
        op(name, np.abs(f32(3, 4)).astype(np.float64), name=f"{name} f64")


def sequences():
    x = f32(4, 3, 2)
    op("ReverseSequence", x, i64(1, 4, 2), name="ReverseSequence by time")
    op("ReverseSequence", x, i64(3, 1, 2, 3), name="ReverseSequence by batch", time_axis=1, batch_axis=0)
    past, update = f32(2, 3, 5, 2), f32(2, 3, 2, 2)
    op("TensorScatter", past, update, i64(1, 3), name="TensorScatter linear", opset=24)
    op("TensorScatter", past, update, name="TensorScatter from 0", opset=24)
    op("TensorScatter", past, update, i64(4, 2), name="TensorScatter circular", mode="circular", opset=24)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
    for part in (trigonometry, bits, activations, ones, losses, quantised, pictures, frames_and_ranges, sequences, quantised_convolutions):
        part()
    cases = make_data.cases
    packed = b"".join(text(name) + text(m.SerializeToString()) + struct.pack("<I", batch) + tensors(i) + tensors(o)
                      for name, m, batch, i, o in cases)
    (folder / "nodes_ops.bin").write_bytes(packed)
    print(f"{len(cases)} cases, {len(packed)} bytes")


if __name__ == "__main__":
    main()
