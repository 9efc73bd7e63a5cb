#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/frontend/data/index_{ops,bad}.bin: ops that read and write at computed indices, sort, and run along an axis,
with ONNX Runtime's answers, and models of these kinds that must be refused. The layout is make_data.py's.

    make_index.py [FOLDER]        needs numpy, onnx and onnxruntime
"""
import pathlib
import struct
import sys

import numpy as np
from onnx import helper as h

from make_data import bad, c, cases, fails, graph, i64, model_of, op, s, tensors, text

rng = np.random.default_rng(13)
n = h.make_node


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def gathers():
    x = f32(3, 7, 4)
    op("Gather", x, np.array([[6, -7], [0, -1]]), axis=1)
    op("Gather", x, np.array([1, 2, 0, -1], np.int32), axis=2)
    op("Gather", x, np.array(-3), axis=1)
    op("Gather", x, ("const", np.array([5, 0, 3, 3, 1, 6, 2, 0])), axis=1)
    op("Gather", ("const", f32(9, 5)), np.array([[8, 0, -2]]), axis=0)
    op("Gather", np.arange(6).reshape(2, 3), np.array([1, 0]), axis=1)
    op("Gather", rng.integers(0, 2, (4, 3)) > 0, np.array([3, 1, 1]), axis=0)
    op("GatherElements", x, np.array(rng.integers(-7, 7, (3, 2, 4))), axis=1)
    op("GatherElements", x, np.array(rng.integers(-3, 3, (5, 6, 2))).astype(np.int32), axis=0)
    op("GatherElements", f32(2, 3, 1, 2, 1, 2, 1, 2), np.zeros((2, 5, 1, 2, 1, 2, 1, 2), np.int64) - 1, axis=1)
    op("GatherND", x, np.array([[[0, 6], [2, -7]], [[-1, -1], [1, 3]]]), opset=13)
    op("GatherND", f32(2, 3, 4, 5), np.array(rng.integers(-4, 4, (2, 3, 6, 1))), opset=13, batch_dims=2)
    op("GatherND", f32(2, 3, 4, 5), np.array(rng.integers(0, 3, (2, 6, 2))), opset=13, batch_dims=1)
    graph("rows by a broadcast index", [n("Unsqueeze", ["i", "m1"], ["u"]), n("Expand", ["u", "to"], ["e"]),
                                        n("GatherElements", ["x", "e"], ["g"], axis=1), n("Add", ["g", "b"], ["y"])],
          {"x": f32(2, 7, 5), "i": np.array([[6, -1, 2], [0, -7, 3]])}, ["y"], consts={"m1": i64(-1), "to": i64(2, 3, 5), "b": f32(5)})


def sorts():
    ties = np.array([[3, 1, 3, 2, 1, 3], [0, 0, -1, 5, 5, 5]], np.float32)
    op("TopK", ties, c(4), outs=2)
    op("TopK", ties, c(6), outs=2, largest=0)
    op("TopK", ties, c(2), outs=2, axis=0)
    op("TopK", f32(3, 50), c(50), outs=2, largest=0)
    op("TopK", f32(2, 40, 3), c(7), outs=2, axis=1)
    op("TopK", np.array([[250, 3, 250, 9]], np.uint8), c(3), outs=2, opset=24)
    op("TopK", np.array([[2**63 + 5, 3, 2**63 + 4]], np.uint64), c(2), outs=2, opset=24)
    op("TopK", np.array([5, -7, 5, 0], np.int32), c(2), outs=2, largest=0)
    op("TopK", np.array([5, -7, 5, 0.5]), c(2), outs=2)
    for opset in (7, 9):
        op("TopK", f32(2, 9), outs=2, opset=opset, k=3)


def scatters():
    x = f32(4, 5)
    op("ScatterElements", x, np.array([[1, 3, 0, 2, -1], [0, -4, 2, 3, 1]]), f32(2, 5), axis=0)
    op("ScatterElements", x, np.array([[1], [-2], [0], [4]], np.int32), f32(4, 1), axis=1)
    op("ScatterElements", f32(3, 4, 5), np.array(rng.permuted(np.tile(np.arange(4), (2, 1)), axis=1))[:, :, None], f32(2, 4, 1), axis=1)
    op("Scatter", x, np.array([[1, 3, 0, 2, -1]]), f32(1, 5), opset=9, axis=0)
    for how in "add mul max min".split():
        op("ScatterElements", x, np.array(rng.integers(-4, 4, (7, 5))), f32(7, 5), opset=18, axis=0, reduction=how)
        op("ScatterElements", np.arange(8), np.array([7, 0, 0, -1, 7]), np.array([5, -3, 9, 2, 2]), opset=18, reduction=how)
        op("ScatterND", f32(3, 4, 2), np.array([[[0, 1], [2, -1]], [[0, 1], [0, 1]]]), f32(2, 2, 2), opset=18, reduction=how)
        op("ScatterND", np.arange(6, dtype=np.int32), np.array([[1], [1], [5]]), np.array([7, -7, 3], np.int32), opset=18, reduction=how)
    op("ScatterND", x, np.array([[2], [0]]), f32(2, 5))
    op("ScatterND", x, np.array([[0, 4], [3, 0], [1, 1]]), f32(3))
    op("ScatterND", rng.integers(0, 2, (4, 3)) > 0, np.array([[3], [1]]), rng.integers(0, 2, (2, 3)) > 0)
    op("TensorScatter", f32(2, 3, 6, 4), f32(2, 3, 2, 4), np.array([3, 0]), opset=24)
    op("TensorScatter", f32(2, 6, 4), f32(2, 3, 4), np.array([5, 2]), opset=24, mode="circular", axis=1)
    op("TensorScatter", f32(2, 3, 6, 4), f32(2, 3, 2, 4), opset=24)
    places = np.array([[[[0, 9, 17], [12, 20, 23]], [[25, 26, 41], [36, 38, 47]]]])
    op("MaxUnpool", f32(1, 2, 2, 3), places, opset=11, kernel_shape=[2, 2], strides=[2, 2])


def runs():
    long = f32(2, 90)
    for attrs in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}):
        op("CumSum", f32(3, 5, 4), s(-2, np.int64), **attrs)
        op("CumProd", f32(3, 5, 4), s(1, np.int64), opset=26, **attrs)
    op("CumSum", long, s(1, np.int32))
    op("CumSum", np.array([[1, 5, -2], [2, 2, 2]], np.int32), s(0, np.int64))
    op("ReverseSequence", f32(5, 3, 2), np.array([5, 1, 3]), opset=10)
    op("ReverseSequence", f32(3, 5, 2), np.array([4, 1, 2]), opset=10, batch_axis=0, time_axis=1)


def regions():
    x = f32(2, 3, 9, 11)
    rois = np.array([[1, 2, 8, 7], [0, 0, 22, 18], [-5, -3, 4, 4], [3.3, 2.2, 3.9, 2.6], [15, 12, 30, 25]], np.float32)
    image = np.array([0, 1, 1, 0, 1])
    for ratio, scale in ((0, 0.5), (2, 1.0), (3, 0.25)):
        size = dict(output_height=3, output_width=4, sampling_ratio=ratio, spatial_scale=scale)
        op("RoiAlign", x, rois, image, opset=10, **size)
        op("RoiAlign", x, rois, image, opset=16, **size)
        op("RoiAlign", x, rois, image, opset=16, coordinate_transformation_mode="output_half_pixel", **size)
    op("RoiAlign", x, rois, image, opset=16)


def grids():
    x, grid = f32(2, 3, 5, 6), (rng.uniform(-1.4, 1.4, (2, 4, 3, 2))).astype(np.float32)
    for mode in "bilinear nearest bicubic".split():
        for padding in "zeros border reflection".split():
            for align in (0, 1):
                op("GridSample", x, grid, opset=16, mode=mode, padding_mode=padding, align_corners=align)
    op("GridSample", x, grid * 3, opset=20, mode="linear", padding_mode="reflection")
    op("GridSample", x, grid, opset=20, mode="cubic")
    v, places = f32(1, 2, 3, 4, 5), rng.uniform(-1.3, 1.3, (1, 2, 3, 4, 3)).astype(np.float32)
    for mode in "linear nearest".split():
        for padding in "zeros border reflection".split():
            op("GridSample", v, places, opset=20, mode=mode, padding_mode=padding, align_corners=int(padding == "border"))
    op("GridSample", f32(3, 2, 4, 4), grid[:1].repeat(3, 0), opset=16, dyn=True)


def tables():
    """Scatters of constants alone, spelt anew for each layer; one layer differs in its last update, one in how."""
    places = np.array([[[0, -1], [2, 1]], [[-3, 0], [0, 3]]])
    for name, dtype in (("i64", np.int64), ("f32", np.float32), ("bool", np.bool_)):
        data, updates = np.arange(24).reshape(3, 4, 2).astype(dtype), (np.arange(8).reshape(2, 2, 2) * 7 - 9).astype(dtype)
        nodes, consts = [], {}
        for layer in "abcd":
            consts |= {f"d{layer}": data, f"i{layer}": places, f"j{layer}": np.array([[-1, 0, 1], [1, 1, -2]]),
                       f"u{layer}": updates, f"w{layer}": np.array([5, 0] if layer == "c" else [6, 1]).astype(dtype)}
            how = {"reduction": "add"} if layer == "d" and dtype != np.bool_ else {}
            nodes += [n("ScatterND", [f"d{layer}", f"i{layer}", f"u{layer}"], [f"s{layer}"], **how),
                      n("ScatterND", [f"s{layer}", f"j{layer}", f"w{layer}"], [f"t{layer}"]),
                      n("Cast", [f"t{layer}"], [f"f{layer}"], to=1), n("Add", [f"f{layer}", "x"], [f"y{layer}"])]
        graph(f"tables of {name}", nodes, {"x": np.ones((3, 4, 2), np.float32)}, [f"y{k}" for k in "abcd"], consts=consts, opset=18)


def broken():
    x = f32(3, 4)

    def wrong(name, node, inputs, status, words, opset=18, **consts):
        fails(name, model_of([node], inputs, ["y"], consts=consts, opset=opset), status, words)

    wrong("gather outside", n("Gather", ["x", "i"], ["y"], name="g", axis=1), {"x": x}, 2, "'g' (Gather", i=i64(0, 4))
    wrong("gather elements outside", n("GatherElements", ["x", "i"], ["y"], name="g", axis=1), {"x": x}, 2, "index 4 is outside", i=np.array([[4]]))
    wrong("gather elements rank", n("GatherElements", ["x", "i"], ["y"], name="g"), {"x": x, "i": i64(0)}, 2, "differ in rank")
    wrong("gather elements longer", n("GatherElements", ["x", "i"], ["y"], name="g"), {"x": x, "i": np.zeros((1, 5), np.int64)}, 2, "more along axis 1")
    wrong("scatter outside", n("ScatterElements", ["x", "i", "u"], ["y"], name="s"), {"x": x, "u": f32(1, 4)}, 2, "index -4 is outside", i=np.full((1, 4), -4))
    wrong("scatter shape", n("ScatterElements", ["x", "i", "u"], ["y"], name="s"), {"x": x, "u": f32(1, 3), "i": np.zeros((1, 4), np.int64)}, 2, "differ in shape")
    wrong("scatter type", n("ScatterElements", ["x", "i", "u"], ["y"], name="s"), {"x": x, "u": np.zeros((1, 4)), "i": np.zeros((1, 4), np.int64)}, 2, "another type")
    wrong("scatter way", n("ScatterElements", ["x", "i", "u"], ["y"], name="s", reduction="avg"), {"x": x, "u": f32(1, 4), "i": np.zeros((1, 4), np.int64)}, 2, "reduction is 'avg'")
    wrong("scatter nd shape", n("ScatterND", ["x", "i", "u"], ["y"], name="s"), {"x": x, "u": f32(2, 3), "i": np.zeros((2, 1), np.int64)}, 2, "updates do not fit")
    wrong("top of more", n("TopK", ["x", "k"], ["y", "z"], name="t", axis=0), {"x": x}, 2, "takes 4 of 3", k=i64(4))
    wrong("cumsum axis", n("CumSum", ["x", "k"], ["y"], name="c"), {"x": x}, 2, "'c' (CumSum", k=np.array(2))
    for i, index in enumerate(([3], [-4], [2**40])):
        wrong(f"scatter nd outside {i}", n("ScatterND", ["d", "i", "u"], ["y"], name="s"), {"x": x}, 2, f"index {index[0]} is outside", d=np.ones((3, 4), np.float32), i=np.array([index]), u=np.ones((1, 4), np.float32))
    wrong("scatter nd type", n("ScatterND", ["d", "i", "u"], ["y"], name="s"), {"x": x}, 2, "'s' (ScatterND", d=np.ones((3, 4), np.float32), i=np.array([[0]]), u=np.ones((1, 4)))
    wrong("roialign corners", n("RoiAlign", ["x", "r", "i"], ["y"], name="r"), {"x": f32(1, 2, 3, 4), "r": f32(2, 3), "i": i64(0, 0)}, 2, "'r' (RoiAlign")
    wrong("roialign samples", n("RoiAlign", ["x", "r", "i"], ["y"], name="r", sampling_ratio=-1), {"x": f32(1, 2, 3, 4), "r": f32(2, 4), "i": i64(0, 0)}, 2, "not positive")
    wrong("grid axes", n("GridSample", ["x", "g"], ["y"], name="g"), {"x": f32(1, 2, 3, 4), "g": f32(1, 2, 2, 3)}, 2, "'g' (GridSample")
    wrong("grid mode", n("GridSample", ["x", "g"], ["y"], name="g", mode="quartic"), {"x": f32(1, 2, 3, 4), "g": f32(1, 2, 2, 2)}, 2, "mode is 'quartic'")
    wrong("unpool", n("MaxUnpool", ["x", "i"], ["y"], name="u", kernel_shape=[2]), {"x": f32(1, 1, 2, 2), "i": np.zeros((1, 1, 2, 2), np.int64)}, 2, "do not fit 2 spatial axes")
    wrong("reverse axes", n("ReverseSequence", ["x", "l"], ["y"], name="q", batch_axis=1, time_axis=1), {"x": x, "l": i64(1, 1, 1, 1)}, 2, "'q' (ReverseSequence")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
    for part in (gathers, sorts, scatters, runs, regions, grids, tables, broken):
        part()
    ops = b"".join(text(name) + text(m.SerializeToString()) + struct.pack("<I", batch) + tensors(i) + tensors(o)
                   for name, m, batch, i, o in cases)
    (folder / "index_ops.bin").write_bytes(ops)
    (folder / "index_bad.bin").write_bytes(b"".join(text(a) + text(b) + struct.pack("<I", st) + text(w) for a, b, st, w in bad))
    print(f"{len(cases)} cases, {len(ops)} bytes; {len(bad)} bad models")


if __name__ == "__main__":
    main()
