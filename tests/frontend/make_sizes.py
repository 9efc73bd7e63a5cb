#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/frontend/data/sizes_ops.bin: sizes that the data decides, found by NonZero, Compress, Unique and NonMaxSuppression,
and what exporters write around them; with ONNX Runtime's answers. The layout is make_data.py's.

    make_sizes.py [FOLDER [MODELS]]        needs numpy, onnx and onnxruntime; MODELS: also writes the cases as ONNX test-data sets
"""
import pathlib
import struct
import sys

import numpy as np
from onnx import helper as h
from onnx import numpy_helper as nh

import make_data
from make_data import c, graph, i64, op, s, tensors, text

rng = np.random.default_rng(23)
n = h.make_node
END = 2**63 - 1


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def ints(low, high, *shape, dtype=np.int64):
    return rng.integers(low, high, shape, dtype, endpoint=True)


def boxes(batch, count):
    corner = rng.random((batch, count, 2)) * 20
    size = 1 + rng.random((batch, count, 2)) * 8
    b = np.concatenate([corner, corner + size], 2)
    flip = rng.random((batch, count)) < 0.3
    b[flip] = b[flip][:, [2, 1, 0, 3]]
    return b.astype(np.float32)


def found():
    for dtype in (np.float32, np.int32, np.int64, np.uint8, np.bool_):
        op("NonZero", ints(0, 1, 3, 4, 2, dtype=np.int64).astype(dtype), name=f"NonZero {np.dtype(dtype)}", opset=13)
    op("NonZero", np.zeros((2, 3), np.float32), name="NonZero of nothing", opset=13)
    op("NonZero", np.array([0, np.nan, -0.0, np.inf], np.float32), name="NonZero special", opset=9)
    x, keep = f32(4, 5), np.array([1, 0, 1, 1], np.bool_)
    op("Compress", x, keep, axis=0, opset=11)
    op("Compress", x, keep[:3], name="Compress short", axis=-1, opset=11)
    op("Compress", x, ints(0, 1, 20).astype(np.bool_), name="Compress flat", opset=9)
    op("Compress", x, ints(0, 1, 17).astype(np.bool_), name="Compress flat short", opset=11)
    op("Compress", x, ("const", keep), name="Compress constant", axis=0, opset=11)
    for dtype in (np.float32, np.int64, np.int8):
        for sorted in (0, 1):
            op("Unique", ints(-3, 3, 4, 5).astype(dtype), name=f"Unique {np.dtype(dtype)} {sorted}", outs=4, sorted=sorted, opset=11)
    for axis in (0, 1, -1):
        op("Unique", ints(0, 1, 4, 3, 5), name=f"Unique axis {axis}", outs=4, axis=axis, opset=11)
    op("Unique", ints(0, 1, 6, 2).astype(np.float32), name="Unique axis 0 as they come", outs=4, axis=0, sorted=0, opset=11)


def suppressed():
    b, sc = boxes(2, 15), rng.random((2, 3, 15)).astype(np.float32)
    op("NonMaxSuppression", b, sc, c(4), c(0.3, dtype=np.float32), c(0.2, dtype=np.float32), name="NMS", opset=11)
    op("NonMaxSuppression", b, sc, c(END), c(0.1, dtype=np.float32), name="NMS all", opset=10)
    op("NonMaxSuppression", b, sc, s(3, np.int64), s(0.5), s(2), name="NMS of nothing", opset=11)
    op("NonMaxSuppression", np.abs(b), sc, c(5), c(0.2, dtype=np.float32), name="NMS centres", center_point_box=1, opset=11)
    op("NonMaxSuppression", b, sc, i64(3), np.array([0.4], np.float32), np.array([0.1], np.float32), name="NMS thresholds of the run", opset=11)
    op("NonMaxSuppression", b[:1], np.full((1, 1, 15), 0.5, np.float32), c(9), c(0.4, dtype=np.float32), name="NMS equal scores", opset=11)


def detector(name, x, sc, most, threshold):
    """Chosen rows: as torchvision's nms is exported, then [:most], rows, a column of zeros in front."""
    graph(name, [n("NonMaxSuppression", ["b", "s", "most", "iou"] + ["score"] * (threshold is not None), ["sel"]),
                 n("Gather", ["sel", "two"], ["col"], axis=1), n("Squeeze", ["col", "one1"], ["idx"]),
                 n("Slice", ["idx", "zero1", "take", "zero1", "one1"], ["keep"]),
                 n("Squeeze", ["b", "zero1"], ["rows"]), n("Gather", ["rows", "keep"], ["rois"], axis=0),
                 n("Slice", ["rois", "zero1", "one1", "one1"], ["first"]), n("Shape", ["first"], ["shape"]),
                 n("ConstantOfShape", ["shape"], ["zeros"], value=nh.from_array(np.zeros(1, np.float32))),
                 n("Concat", ["zeros", "rois"], ["y"], axis=1), n("Shape", ["y"], ["z"]),
                 n("ReduceMax", ["y"], ["m"], axes=[1], keepdims=0), n("ReduceSum", ["y", "zero1"], ["t"], keepdims=0)],
          {"b": x, "s": sc}, ["y", "z", "m", "t"],
          consts={"most": i64(END), "iou": np.array([0.3], np.float32), "score": np.array([threshold or 0], np.float32),
                  "two": i64(2), "zero1": i64(0), "one1": i64(1), "take": i64(most)}, opset=17)


MASK = [n("Greater", ["x", "zero"], ["mask"]), n("NonZero", ["mask"], ["nz"]), n("Transpose", ["nz"], ["nzt"], perm=[1, 0])]


def around():
    b, sc = boxes(1, 20), rng.random((1, 1, 20)).astype(np.float32)
    detector("detector", b, sc, 4, None)
    detector("detector takes all", b, sc, 100, 0.3)
    detector("detector finds nothing", b, sc, 4, 2.0)
    x = f32(5, 6)
    zero = {"zero": np.float32(0)}
    graph("rows by a mask", MASK + [n("GatherND", ["x", "nzt"], ["y"])], {"x": x}, ["y"], consts=zero)
    graph("rows by a mask of rows", [n("ReduceSum", ["x", "one1"], ["r"], keepdims=0), n("Greater", ["r", "zero"], ["mask"]),
                                     n("NonZero", ["mask"], ["nz"]), n("Transpose", ["nz"], ["nzt"], perm=[1, 0]),
                                     n("GatherND", ["x", "nzt"], ["y"]), n("MatMul", ["y", "w"], ["p"]), n("Softmax", ["p"], ["q"], axis=0),
                                     n("Transpose", ["y"], ["yt"], perm=[1, 0]), n("MatMul", ["yt", "y"], ["g"]),
                                     n("ReduceMean", ["y"], ["m"], axes=[0], keepdims=1), n("Sub", ["y", "m"], ["d"])],
          {"x": x}, ["y", "q", "g", "d"], consts={**zero, "one1": i64(1), "w": f32(6, 3)})
    shape = MASK + [n("Shape", ["nzt"], ["s"]), n("Gather", ["s", "i0"], ["n"], axis=0)]
    idx = {**zero, "i0": np.int64(0), "i1": np.int64(1), "one": np.int64(1), "m1": i64(-1), "zero1": i64(0), "two1": i64(2), "one1": i64(1)}
    graph("positions", shape + [n("Range", ["i0", "n", "one"], ["p"]), n("Mul", ["p", "n"], ["q"]), n("Cast", ["q"], ["f"], to=1)],
          {"x": x}, ["p", "q", "f"], consts=idx)
    graph("every second position", shape + [n("Range", ["one", "n", "two"], ["p"])], {"x": x}, ["p"], consts={**idx, "two": np.int64(2)})
    graph("an expanded row", shape + [n("Unsqueeze", ["n", "zero1"], ["n1"]), n("Concat", ["n1", "two1"], ["t"], axis=0),
                                      n("Expand", ["row", "t"], ["y"]), n("Reshape", ["y", "m1"], ["z"]), n("Reshape", ["z", "back"], ["w"])],
          {"x": x}, ["y", "z", "w"], consts={**idx, "row": f32(1, 2), "back": i64(-1, 2)})
    graph("reshapes", MASK + [n("Cast", ["nz"], ["f"], to=1), n("Reshape", ["f", "flat"], ["a"]), n("Reshape", ["a", "apart"], ["b"]),
                              n("Reshape", ["nzt", "flat"], ["d"]), n("Unsqueeze", ["f", "one1"], ["e"]), n("Flatten", ["e"], ["g"], axis=2),
                              n("Unsqueeze", ["nzt", "zero1"], ["u"]), n("Squeeze", ["u", "zero1"], ["v"])],
          {"x": x}, ["a", "b", "d", "g", "v"], consts={**idx, "flat": i64(-1), "apart": i64(2, -1)})
    cuts = [("tail", -3, END, 1), ("head", 0, -2, 1), ("steps", 1, END, 2), ("some", 2, 5, 1), ("back", -1, -END, -1), ("far", 40, END, 1)]
    nodes = [n("Slice", ["nzt", f"s{k}", f"e{k}", "zero1", f"t{k}"], [f"y{k}"]) for k, *_ in cuts]
    consts = {f"{letter}{k}": i64(v) for k, a, b, t in cuts for letter, v in zip("set", (a, b, t))}
    graph("cuts", MASK + nodes, {"x": x}, [f"y{k}" for k, *_ in cuts], consts={**idx, **consts})
    graph("cuts of a few", MASK + nodes, {"x": np.where(np.arange(30).reshape(5, 6) == 7, 1, -1).astype(np.float32)},
          [f"y{k}" for k, *_ in cuts], consts={**idx, **consts})
    graph("joined", MASK + [n("Concat", ["nzt", "nzt"], ["a"], axis=0), n("Concat", ["more", "nzt"], ["b"], axis=0),
                            n("Concat", ["nzt", "more", "nzt"], ["d"], axis=0), n("Concat", ["nz", "nz"], ["e"], axis=0)],
          {"x": x}, ["a", "b", "d", "e"], consts={**idx, "more": ints(0, 9, 3, 2)})
    graph("picked", MASK + [n("Gather", ["nz", "i0"], ["r"], axis=0), n("Gather", ["x", "r"], ["a"], axis=0),
                            n("Gather", ["nz", "ends"], ["b"], axis=1), n("Mod", ["r", "three"], ["k"]), n("Gather", ["a", "k"], ["d"], axis=0)],
          {"x": x}, ["a", "b", "d"], consts={**idx, "ends": i64(0, -1), "three": np.int64(3)})
    graph("the same search twice", MASK + [n("NonZero", ["mask"], ["nz2"]), n("GatherND", ["x", "nzt"], ["a"]),
                                           n("Gather", ["nz2", "i0"], ["r"], axis=0), n("Cast", ["r"], ["f"], to=1), n("Add", ["a", "f"], ["y"])],
          {"x": x}, ["y"], consts=idx)
    graph("batched by an offset", [n("ReduceMax", ["b"], ["most"], keepdims=0), n("Cast", ["cls"], ["f"], to=1), n("Add", ["most", "one_f"], ["step"]),
                                   n("Mul", ["f", "step"], ["o"]), n("Unsqueeze", ["o", "one1"], ["o1"]), n("Add", ["b", "o1"], ["moved"]),
                                   n("Unsqueeze", ["moved", "zero1"], ["mb"]), n("Unsqueeze", ["s", "zero1"], ["s1"]), n("Unsqueeze", ["s1", "zero1"], ["s2"]),
                                   n("NonMaxSuppression", ["mb", "s2", "all", "iou"], ["sel"]), n("Gather", ["sel", "i2"], ["keep"], axis=1),
                                   n("Gather", ["b", "keep"], ["y"], axis=0), n("Gather", ["cls", "keep"], ["k"], axis=0), n("Gather", ["s", "keep"], ["q"], axis=0)],
          {"b": b[0], "s": sc[0, 0], "cls": ints(0, 2, 20)}, ["y", "k", "q"],
          consts={**idx, "i2": np.int64(2), "one_f": np.float32(1), "all": i64(END), "iou": np.array([0.2], np.float32)})
    graph("filtered, then suppressed", [n("Greater", ["s", "least"], ["mask"]), n("NonZero", ["mask"], ["nz"]), n("Squeeze", ["nz", "zero1"], ["i"]),
                                        n("Gather", ["b", "i"], ["fb"], axis=0), n("Gather", ["s", "i"], ["fs"], axis=0),
                                        n("Unsqueeze", ["fb", "zero1"], ["ub"]), n("Unsqueeze", ["fs", "zero01"], ["us"]),
                                        n("NonMaxSuppression", ["ub", "us", "most", "iou"], ["sel"]), n("Gather", ["sel", "i2"], ["keep"], axis=1),
                                        n("Gather", ["fb", "keep"], ["y"], axis=0), n("Gather", ["i", "keep"], ["w"], axis=0)],
          {"b": b[0], "s": sc[0, 0]}, ["y", "w"],
          consts={**idx, "i2": np.int64(2), "least": np.float32(0.4), "most": i64(5), "iou": np.array([0.3], np.float32), "zero01": i64(0, 1)})
    best = MASK + [n("GatherND", ["x", "nzt"], ["v"]), n("Shape", ["v"], ["s"])]
    graph("the best of what is found", best + [n("Min", ["s", "k4"], ["k"]), n("TopK", ["v", "k"], ["t", "ti"]), n("TopK", ["v", "k"], ["l", "li"], largest=0),
                                               n("TopK", ["v", "s"], ["a", "ai"]), n("Gather", ["nzt", "ti"], ["y"], axis=0)],
          {"x": x}, ["t", "ti", "l", "li", "a", "ai", "y"], consts={**idx, "k4": i64(4)})
    graph("the best of two", best + [n("Min", ["s", "k4"], ["k"]), n("TopK", ["v", "k"], ["t", "ti"]), n("TopK", ["row", "k"], ["r", "ri"], axis=1)],
          {"x": np.where(np.arange(30).reshape(5, 6) % 13 == 7, x + 9, -1).astype(np.float32)}, ["t", "ti", "r", "ri"],
          consts={**idx, "k4": i64(4), "row": f32(2, 6)})
    graph("kinds of what is found", MASK + [n("Gather", ["nz", "i0"], ["r"], axis=0), n("Unique", ["r"], ["u", "f", "v", "k"]),
                                            n("Unique", ["nzt"], ["ua", "fa", "va", "ka"], axis=0)],
          {"x": x}, ["u", "f", "v", "k", "ua", "fa", "va", "ka"], consts=idx)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
    for part in (found, suppressed, around):
        part()
    cases = make_data.cases
    packed = b"".join(text(name) + text(m.SerializeToString()) + struct.pack("<I", batch) + tensors(i) + tensors(o)
                      for name, m, batch, i, o in cases)
    (folder / "sizes_ops.bin").write_bytes(packed)
    print(f"{len(cases)} cases, {len(packed)} bytes")
    for name, m, _, inputs, outputs in cases if len(sys.argv) > 2 else []:
        d = pathlib.Path(sys.argv[2]) / name.replace(" ", "_")
        (d / "test_data_set_0").mkdir(parents=True, exist_ok=True)
        (d / "model.onnx").write_bytes(m.SerializeToString())
        for kind, arrays in (("input", inputs), ("output", outputs)):
            for i, a in enumerate(arrays):
                (d / "test_data_set_0" / f"{kind}_{i}.pb").write_bytes(nh.from_array(np.asarray(a)).SerializeToString())


if __name__ == "__main__":
    main()
