#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/frontend/data/blocks_{ops,bad}.bin: weights of 4 and 8 bits with a scale a block, with ONNX Runtime's answers, and such
models that must be refused. The layout is make_data.py's.

    make_blocks.py [FOLDER]        needs ml_dtypes, numpy, onnx and onnxruntime
"""
import pathlib
import struct
import sys

import ml_dtypes
import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

import make_data
from make_data import answer, cases, model_of, packed, text

rng = np.random.default_rng(13)
n = h.make_node
MS = "com.microsoft"
bad = []


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def u8(*shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def positive(*shape, dtype=np.float32):
    return rng.uniform(0.01, 0.1, shape).astype(dtype)


def signed(*shape, dtype=np.float32):
    """Scales as a quantiser makes them that keeps the largest number exactly: of either sign, and 0 now and then."""
    scales = positive(*shape, dtype=dtype) * rng.choice([-1, 1], shape)
    scales.reshape(-1)[rng.integers(0, scales.size)] = 0
    return scales.astype(dtype)


def model(nodes, inputs, consts, outputs=("y",), opset=21, **kw):
    m = model_of(nodes, inputs, list(outputs), consts=consts, opset=opset, ir=10, **kw)
    m.opset_import.append(h.make_opsetid(MS, 1))
    return m


def case(name, nodes, inputs, consts, batch=0, **kw):
    m = model(nodes, inputs, consts, **kw)
    cases.append((name, m, batch, list(inputs.values()), answer(name, m, inputs)))


def refused(name, words, nodes, inputs, consts, status=2, **kw):
    bad.append((name, model(nodes, inputs, consts, **kw).SerializeToString(), status, words))


def nbits_parts(k, columns, block, bits, zero=None, bias=False, flat=True):
    groups = -(-k // block)
    shape = (columns * groups,) if flat else (columns, groups)
    consts = {"b": u8(columns, groups, block * bits // 8), "s": signed(*shape)}
    names = ["x", "b", "s", "", "", ""]
    if zero == "packed":
        width = groups if bits == 8 else (groups + 1) // 2
        consts["z"] = u8(columns * width) if flat else u8(columns, width)
    if zero == "float":
        consts["z"] = rng.uniform(0, 2**bits - 1, shape).astype(np.float32)
    if zero:
        names[3] = "z"
    if bias:
        consts["bias"] = f32(columns)
        names[5] = "bias"
    while not names[-1]:
        names.pop()
    return names, consts


def nbits():
    for bits in (4, 8):
        for k, block in ((32, 16), (50, 32), (96, 64), (130, 128), (20, 32), (300, 256)):
            for zero in (None, "packed", "float"):
                if bits == 8 and zero == "float":
                    continue # ONNX Runtime's CPU provider has none of these
                names, consts = nbits_parts(k, 5, block, bits, zero, bias=k == 50, flat=k != 96)
                node = n("MatMulNBits", names, ["y"], domain=MS, K=k, N=5, bits=bits, block_size=block)
                case(f"nbits {bits} bits, K {k} in {block}, zero {zero}", [node], {"x": f32(3, k)}, consts)
    names, consts = nbits_parts(64, 24, 32, 4, "packed", bias=True)
    node = n("MatMulNBits", names, ["y"], domain=MS, K=64, N=24, block_size=32)
    case("nbits of tokens, the batch open", [node], {"x": f32(2, 7, 64)}, consts, batch=2, dyn=("x",))
    names, consts = nbits_parts(64, 24, 32, 4)
    half = {"b": consts["b"], "s": consts["s"].astype(np.float16)}
    case("nbits of float16", [n("MatMulNBits", names, ["y"], domain=MS, K=64, N=24, block_size=32)], {"x": f32(3, 64).astype(np.float16)}, half)
    case("nbits, the scale made of a half", [n("Cast", ["h"], ["s"], to=T.FLOAT), n("MatMulNBits", names, ["y"], domain=MS, K=64, N=24, block_size=32)],
         {"x": f32(3, 64)}, {"b": consts["b"], "h": consts["s"].astype(np.float16)})
    parts = [nbits_parts(64, 16, 32, 4, "packed", bias=True) for _ in range(3)]
    nodes, both = [n("LayerNormalization", ["x", "g", "o"], ["ln"])], {"g": f32(64), "o": f32(64)}
    for i, (names, consts) in enumerate(parts):
        rename = {k: f"{k}{i}" for k in consts}
        both.update({rename[k]: v for k, v in consts.items()})
        nodes.append(n("MatMulNBits", ["ln"] + [rename.get(k, k) for k in names[1:]], [f"p{i}"], domain=MS, K=64, N=16, bits=4, block_size=32))
    nodes += [n("Add", ["p0", "p1"], ["p"]), n("Add", ["p", "p2"], ["y"])]
    case("nbits behind a LayerNorm, thrice", nodes, {"x": f32(6, 64)}, both)


def nbits_in_bytes():
    """accuracy_level 4: ONNX Runtime rounds rows to bytes by blocks too. From numbers of their own, so that the others stay."""
    global rng
    before, rng = rng, np.random.default_rng(14)
    for bits, zeros in ((4, (None, "packed")), (8, (None,))):
        for k, block in ((32, 16), (50, 32), (96, 64), (130, 128), (20, 32), (300, 256)):
            for zero in zeros:
                names, consts = nbits_parts(k, 21, block, bits, zero, bias=k == 50, flat=k != 96)
                node = n("MatMulNBits", names, ["y"], domain=MS, K=k, N=21, bits=bits, block_size=block, accuracy_level=4)
                case(f"nbits in bytes, {bits} bits, K {k} in {block}, zero {zero}", [node], {"x": f32(5, k)}, consts)
    names, consts = nbits_parts(64, 24, 32, 4, "packed", bias=True)
    node = n("MatMulNBits", names, ["y"], domain=MS, K=64, N=24, block_size=32, accuracy_level=4)
    x = f32(2, 7, 64)
    x[0, 3, :32] = 0  # a block of nothing
    x[1] *= 1e6
    case("nbits in bytes, tokens, the batch open", [node], {"x": x}, consts, batch=2, dyn=("x",))
    case("nbits in bytes, all alike", [node], {"x": np.full((1, 3, 64), -3, np.float32)}, consts)
    rng = before


def bnb4():
    for kind in (0, 1):
        for k, columns, block in ((64, 3, 64), (24, 5, 16), (33, 3, 64), (7, 7, 32)):
            count = k * columns
            consts = {"b": u8((count + 1) // 2), "s": signed(-(-count // block))}
            node = n("MatMulBnb4", ["x", "b", "s"], ["y"], domain=MS, K=k, N=columns, block_size=block, quant_type=kind)
            case(f"bnb4 kind {kind}, {k} x {columns} in {block}", [node], {"x": f32(4, k)}, consts)


def nibble(dtype, *shape):
    signed = dtype == ml_dtypes.int4
    return rng.integers(-8 if signed else 0, 8 if signed else 16, shape).astype(dtype)


def gather():
    places = np.array([[3, 0, 5], [1, 1, 4]], np.int64)
    for bits in (4, 8):
        for zero in (False, True):
            for known in (False, True):
                consts = {"d": u8(6, 80 * bits // 8), "s": positive(6, 3)}
                names = ["d", "i", "s"] + (["z"] if zero else [])
                if zero:
                    consts["z"] = u8(6, 3 if bits == 8 else 2)
                inputs = {"i": places.astype(np.int32)}
                if known:
                    consts["i"], inputs = places, {"x": f32(1)}
                node = n("GatherBlockQuantized", names, ["g"], domain=MS, bits=bits, block_size=32)
                last = n("Add", ["g", "x"], ["y"]) if known else n("Identity", ["g"], ["y"])
                case(f"gather bytes of {bits} bits, zero {zero}, known {known}", [node, last], inputs, consts)
    for dtype in (ml_dtypes.int4, ml_dtypes.uint4):
        for zero in (False, True):
            consts = {"d": nibble(dtype, 6, 3, 40), "s": positive(6, 3, 3)}
            names = ["d", "i", "s"] + (["z"] if zero else [])
            if zero:
                consts["z"] = nibble(dtype, 6, 3, 3)
            node = n("GatherBlockQuantized", names, ["y"], domain=MS, gather_axis=1, quantize_axis=2, block_size=16)
            case(f"gather {np.dtype(dtype).name} along 1, zero {zero}", [node], {"i": np.array([2, 0], np.int64)}, consts)
            consts = {"d": nibble(dtype, 3, 40, 4), "s": positive(3, 3, 4)}
            if zero:
                consts["z"] = nibble(dtype, 3, 3, 4)
            node = n("GatherBlockQuantized", names, ["y"], domain=MS, gather_axis=2, quantize_axis=1, block_size=16)
            case(f"gather {np.dtype(dtype).name} along 2, zero {zero}", [node], {"i": np.array([[2, 0, 3]], np.int64)}, consts)


def dequantised():
    types = {"int8": np.int8, "uint8": np.uint8, "int4": ml_dtypes.int4, "uint4": ml_dtypes.uint4}
    for name, dtype in types.items():
        def numbers(*shape):
            if "4" in name:
                return nibble(dtype, *shape)
            return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)
        for axis, scales in ((0, (4, 6)), (1, (50, 3))):
            for zero in (False, True):
                shape = (50, 6) if axis == 0 else (50, 80)
                block = 16 if axis == 0 else 32
                consts = {"q": numbers(*shape), "s": signed(*scales)}
                names = ["q", "s"] + (["z"] if zero else [])
                if zero:
                    consts["z"] = numbers(*scales)
                nodes = [n("DequantizeLinear", names, ["w"], axis=axis, block_size=block), n("MatMul", ["x", "w"], ["y"])]
                case(f"{name} blocks along {axis}, zero {zero}", nodes, {"x": f32(3, 50)}, consts)
        consts = {"q": numbers(5, 7), "s": positive(7), "z": numbers(7)} # of an odd number of elements
        case(f"{name} by column", [n("DequantizeLinear", ["q", "s", "z"], ["w"], axis=1), n("MatMul", ["x", "w"], ["y"])], {"x": f32(3, 5)}, consts)
        consts = {"q": numbers(7, 5), "s": positive()}
        nodes = [n("Transpose", ["q"], ["t"], perm=[1, 0]), n("DequantizeLinear", ["t", "s"], ["w"]), n("MatMul", ["x", "w"], ["y"])]
        case(f"{name}, transposed", nodes, {"x": f32(3, 5)}, consts)


def tables():
    """Places in a table whose blocks are whole parts of a column, or of two; and what other ops spell so."""
    own = np.random.default_rng(17)
    for kind in (0, 1):
        for k, columns, block in ((64, 40, 64), (32, 40, 64), (96, 17, 32), (96, 6, 64), (40, 4, 64)):
            consts = {"b": own.integers(0, 256, k * columns // 2).astype(np.uint8),
                      "s": own.uniform(-0.1, 0.1, -(-k * columns // block)).astype(np.float32)}
            node = n("MatMulBnb4", ["x", "b", "s"], ["y"], domain=MS, K=k, N=columns, block_size=block, quant_type=kind)
            case(f"bnb4 kind {kind}, {k} x {columns} in {block}, tokens", [node], {"x": own.standard_normal((2, 5, k)).astype(np.float32)}, consts)
    for size in (16, 11):
        consts = {"q": own.integers(0, size, (48, 96)).astype(ml_dtypes.uint4), "t": own.standard_normal(size).astype(np.float32),
                  "s": own.uniform(0.01, 0.1, (48, 3, 1)).astype(np.float32), "a": np.array([48, 3, 32], np.int64), "d": np.array([48, 96], np.int64)}
        nodes = [n("Cast", ["q"], ["i"], to=T.INT64), n("Gather", ["t", "i"], ["g"]), n("Reshape", ["g", "a"], ["r"]), n("Mul", ["s", "r"], ["m"]),
                 n("Reshape", ["m", "d"], ["v"]), n("Transpose", ["v"], ["w"], perm=[1, 0]), n("MatMul", ["x", "w"], ["y"])]
        case(f"a table of {size} by Gather", nodes, {"x": own.standard_normal((7, 96)).astype(np.float32)}, consts)


def nbits_refused():
    x = {"x": f32(3, 50)}

    def one(why, words, status=2, change=None, order=None, **attrs):
        names, consts = nbits_parts(50, 5, 32, 4, "packed", bias=True)
        for key, value in (change or {}).items():
            consts[key] = value
        node = n("MatMulNBits", order or names, ["y"], name="n", domain=MS, **({"K": 50, "N": 5, "bits": 4, "block_size": 32} | attrs))
        inputs = dict(x) | {k: v for k, v in consts.items() if isinstance(v, list)}
        inputs = {k: np.array(v[0]) if isinstance(v, list) else v for k, v in inputs.items()}
        refused(f"nbits: {why}", words, [node], inputs, {k: v for k, v in consts.items() if not isinstance(v, list)}, status)

    for size in (0, -1, -2**63):
        one(f"K {size}", "attribute 'K' is", K=size)
        one(f"N {size}", "attribute 'N' is", N=size)
    for block in (0, -16, 8, 2**62 + 1, 48):
        one(f"blocks of {block}", "block_size", block_size=block)
    one("blocks of 2^62", "K and N are too large", block_size=2**62)
    one("K of 2^62", "K and N are too large", K=2**62)
    for bits, status in ((2, 3), (3, 3), (0, 3), (16, 3)):
        one(f"{bits} bits", "bits; 4 and 8 are supported", status, bits=bits)
    one("8 bits of a weight of 4", "its B is u8[5,2,16]", bits=8)
    one("a larger K", "its B is u8[5,2,16]", K=80)
    one("K that is not A's", "(com.microsoft::MatMulNBits, opset 1): matmul: ", K=49)
    one("a larger N", "its B is u8[5,2,16]", N=6)
    one("smaller blocks", "its scales is f32[10]", block_size=16)
    one("a scale too few", "its scales is f32[9]", change={"s": positive(9)})
    one("scales of integers", "its scales is not of floats", change={"s": np.ones(10, np.int32)})
    one("a scale that is NaN", "one of its scales is nan", change={"s": np.array([1, 2, np.nan] + 7 * [1], np.float32)})
    one("an infinite scale", "one of its scales is -inf", change={"s": np.array(9 * [1] + [-np.inf], np.float32)})
    one("zero points too few", "its zero_points is u8[4]", change={"z": u8(4)})
    one("zero points unpacked", "its zero_points is u8[10]", change={"z": u8(10)})
    one("zero points of int8", "neither of uint8 nor floats", change={"z": np.zeros(5, np.int8)})
    one("float zero points too few", "its zero_points is f32[5]", change={"z": f32(5)})
    one("a bias of another length", "its bias is f32[4]", change={"bias": f32(4)})
    one("a weight of int8", "its B is not of uint8", change={"b": np.zeros((5, 2, 16), np.int8)})
    one("a weight of uint4", "numbers of 4 bits", 3, change={"b": nibble(ml_dtypes.uint4, 5, 2, 16)})
    one("a weight that is an input", "its B is computed", 3, change={"b": [u8(5, 2, 16)]})
    one("scales that are an input", "its scales is computed", 3, change={"s": [positive(10)]})
    one("g_idx", "its g_idx, an order of K, is not supported", 3, change={"g": np.zeros(50, np.int32)}, order=["x", "b", "s", "z", "g"])
    one("packed for a GPU", "weight_prepacked", 3, weight_prepacked=1)
    node = n("MatMulNBits", ["x", "b", "s"], ["y"], name="n", domain=MS, K=50, N=5)
    refused("nbits: no block_size", "attribute 'block_size' is missing", [node], x, {"b": u8(5, 2, 16), "s": positive(10)})


def others_refused():
    x, consts = {"x": f32(4, 24)}, {"b": u8(60), "s": positive(8)}

    def bnb(why, words, status=2, change=None, **attrs):
        node = n("MatMulBnb4", ["x", "b", "s"], ["y"], name="n", domain=MS, **({"K": 24, "N": 5, "block_size": 16, "quant_type": 1} | attrs))
        refused(f"bnb4: {why}", words, [node], x, consts | (change or {}), status)

    bnb("kind 2", "quant_type is 2", quant_type=2)
    bnb("training", "training_mode", 3, training_mode=1)
    bnb("B not transposed", "transB", 3, transB=0)
    bnb("a byte too few", "its B is u8[59]", change={"b": u8(59)})
    bnb("absmax too few", "its absmax is f32[7]", change={"s": positive(7)})
    bnb("an infinite absmax", "one of its absmax is inf", change={"s": np.array(7 * [1] + [np.inf], np.float32)})
    bnb("K of 2^62", "K and N are too large", K=2**62)

    places = {"i": np.array([1, 0], np.int64)}

    def gather(why, words, status=2, data=None, scale=None, zero=None, **attrs):
        consts = {"d": u8(6, 40) if data is None else data, "s": positive(6, 3) if scale is None else scale}
        if zero is not None:
            consts["z"] = zero
        node = n("GatherBlockQuantized", ["d", "i", "s"] + ["z"] * (zero is not None), ["y"], name="n", domain=MS, **({"bits": 4, "block_size": 32} | attrs))
        refused(f"gather: {why}", words, [node], places, consts, status)

    gather("scales too few", "its scales are f32[6,2]", scale=positive(6, 2))
    gather("a scale that is NaN", "one of its scales is nan", scale=np.full((6, 3), np.nan, np.float32))
    gather("scales of rank 1", "its scales are f32[18]", scale=positive(18))
    gather("zero points too few", "its zero_points are u8[6,1]", zero=u8(6, 1))
    gather("zero points of rank 1", "its zero_points are u8[12]", zero=u8(12))
    gather("zero points of int8", "zero_points are of another type", zero=np.zeros((6, 2), np.int8))
    gather("another axis", "gathered along axis 0", gather_axis=1)
    gather("axis 5", "axis 5 is outside", gather_axis=5)
    gather("2 bits", "data of 2 bits", 3, bits=2)
    gather("int4 of 8 bits", "data of 8 bits", 3, data=nibble(ml_dtypes.int4, 6, 80), bits=8)
    gather("along the quantised axis", "gathers along the axis", 3, data=nibble(ml_dtypes.int4, 6, 80), gather_axis=1)
    gather("data of int8", "gathers i8", 3, data=np.zeros((6, 40), np.int8))
    gather("blocks of 24", "block_size is 24", block_size=24)

    q = nibble(ml_dtypes.int4, 4, 6)
    refused("a block's scale that is NaN", "a scale is nan, not a finite number", [n("DequantizeLinear", ["q", "s"], ["w"], name="n", axis=0, block_size=16), n("MatMul", ["x", "w"], ["y"])],
            {"x": f32(2, 4)}, {"q": q, "s": np.full((1, 6), np.nan, np.float32)})
    refused("a zero point of 8 bits beside numbers of 4", "zero point is of another type", [n("DequantizeLinear", ["q", "s", "z"], ["y"], name="n")],
            {"x": f32(1)}, {"q": q, "s": positive(), "z": np.int8(1)})
    refused("quantising to int4", "numbers of 4 bits", [n("QuantizeLinear", ["x", "s", "z"], ["q"], name="n"), n("DequantizeLinear", ["q", "s", "z"], ["y"])],
            {"x": f32(4)}, {"s": positive(), "z": nibble(ml_dtypes.int4)}, status=3)
    refused("quantising to uint4 by an attribute", "output_dtype", [n("QuantizeLinear", ["x", "s"], ["q"], name="n", output_dtype=T.UINT4), n("DequantizeLinear", ["q", "s"], ["y"])],
            {"x": f32(4)}, {"s": positive()}, status=3)
    refused("a sum of int4", "numbers of 4 bits", [n("Add", ["q", "q"], ["y"], name="n")], {"x": f32(1)}, {"q": q}, status=3)
    refused("an output of int4", "output 'y' has numbers of 4 bits", [n("Identity", ["q"], ["y"], name="n")], {"x": f32(1)}, {"q": q}, status=3)
    for name, tensor in (("a byte too few", T(name="q", data_type=T.INT4, dims=[3, 3], raw_data=bytes(4))),
                         ("a byte too many", T(name="q", data_type=T.UINT4, dims=[3, 3], raw_data=bytes(6))),
                         ("a list too short", T(name="q", data_type=T.UINT4, dims=[3, 3], int32_data=[1, 2, 3, 4])),
                         ("a list of what is no byte", T(name="q", data_type=T.UINT4, dims=[3, 3], int32_data=[1, 2, 3, 4, 256]))):
        m = model([n("DequantizeLinear", ["q", "s"], ["w"], name="n"), n("MatMul", ["x", "w"], ["y"])], {"x": f32(2, 3)}, {"s": positive()})
        m.graph.initializer.append(tensor)
        bad.append((f"int4: {name}", m.SerializeToString(), 2, "initializer 'q' has"))


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
    for part in (nbits, bnb4, gather, dequantised, tables, nbits_in_bytes, nbits_refused, others_refused):
        part()
    ops = packed(cases)
    (folder / "blocks_ops.bin").write_bytes(ops)
    (folder / "blocks_bad.bin").write_bytes(b"".join(text(a) + text(b) + struct.pack("<I", status) + text(words) for a, b, status, words in bad))
    print(f"{len(cases)} cases, {len(ops)} bytes; {len(bad)} bad models")


main()
