#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One layer beside ONNX Runtime, in turns, on one thread: recurrent layers of text readers, deformable convolutions of BiRefNet's decoder.

usage: layers.py VITJIT [NAME...] [--rounds 5] [--seconds 0.5]        needs numpy, onnx, onnxruntime

LSTM and GRU: two bidirectional layers of 256 over 80 steps. DeformConv: a block as BiRefNet has it (1 x 1 convolution, offsets and mask by
convolutions of that, the deformable one), KERNEL.CHANNELS.SIDE. The ratio is ONNX Runtime's least time over vitjit's: others may run beside.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper as h, numpy_helper as nh

rng = np.random.default_rng(1)


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, *shape, fan=1):
        name = f"w{len(self.weights)}"
        self.weights.append(nh.from_array((rng.standard_normal(shape) * fan**-0.5).astype(np.float32), name))
        return name

    def add(self, op, *operands, **attrs):
        name = f"v{len(self.nodes)}"
        self.nodes.append(h.make_node(op, operands, [name], **attrs))
        return name

    def save(self, path, shape, result):
        graph = h.make_graph(self.nodes, "g", [h.make_tensor_value_info("x", TensorProto.FLOAT, shape)], [h.make_empty_tensor_value_info(result)], self.weights)
        onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 22)], ir_version=9), path)


def recurrent(path, op, gates, inputs=512, hidden=256, steps=80, **attrs):
    g, x = Graph(), "x"
    for i in range(2):
        x = g.add(op, x, g.weight(2, gates * hidden, inputs, fan=inputs), g.weight(2, gates * hidden, hidden, fan=hidden), g.weight(2, 2 * gates * hidden),
                  direction="bidirectional", hidden_size=hidden, **attrs)
        g.weights.append(nh.from_array(np.array([0, 0, -1]), f"dims{i}"))
        x, inputs = g.add("Reshape", g.add("Transpose", x, perm=[0, 2, 1, 3]), f"dims{i}"), 2 * hidden
    g.save(path, [steps, 1, 512], x)


def deformable(path, kernel, channels, side):
    g, taps = Graph(), kernel * kernel
    conv = lambda x, out, k: g.add("Conv", x, g.weight(out, channels, k, k, fan=channels * k * k), g.weight(out, fan=4), kernel_shape=[k, k], pads=[k // 2] * 4)
    x = g.add("Relu", conv("x", channels, 1))
    offset, mask = conv(x, 2 * taps, kernel), g.add("Sigmoid", conv(x, taps, kernel))
    y = g.add("DeformConv", x, g.weight(channels, channels, kernel, kernel, fan=channels * taps), offset, g.weight(channels), mask,
              kernel_shape=[kernel, kernel], pads=[kernel // 2] * 4)
    g.save(path, [1, channels, side, side], g.add("Relu", y))


CASES = {"lstm": lambda p: recurrent(p, "LSTM", 4), "gru": lambda p: recurrent(p, "GRU", 3, linear_before_reset=1)}
for kernel in (1, 3, 7):
    for channels, side in ((64, 128), (256, 32)):
        CASES[f"deform.{kernel}.{channels}.{side}"] = lambda p, k=kernel, c=channels, s=side: deformable(p, k, c, s)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    a = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    print(f"{'layer':20s} {'vitjit ms':>10s} {'ONNX Runtime ms':>16s} {'ratio':>6s}")
    with tempfile.TemporaryDirectory() as folder:
        for name in a.names or CASES:
            path = os.path.join(folder, name + ".onnx")
            CASES[name](path)
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            x = rng.standard_normal([d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]).astype(np.float32)
            ours, theirs = [], []
            for _ in range(a.rounds):
                said = subprocess.run([a.vitjit, path, "--bench", str(a.seconds), "-j1", "--stats"], capture_output=True, text=True, check=True)
                ours.append(json.loads(said.stdout.splitlines()[-1])["min_ms"])
                end = time.perf_counter() + a.seconds
                while True:
                    start = time.perf_counter()
                    session.run(None, {"x": x})
                    now = time.perf_counter()
                    theirs.append((now - start) * 1e3)
                    if now > end:
                        break
            print(f"{name:20s} {min(ours):10.3f} {min(theirs):16.3f} {min(theirs) / min(ours):6.2f}", flush=True)


if __name__ == "__main__":
    main()
