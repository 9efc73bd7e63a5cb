#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How compile time and memory grow with the number of nodes: chains of one op each, generated, compiled with a stack of 1 MB.

usage: chains.py VITJIT [--chains relu,add,...] [--nodes 1250,2500,...] [--stop-after PASS] [--results build/bench/chains.jsonl] [--svg FILE]
       chains.py --write FILE.onnx CHAIN NODES

    python3 bench/chains.py build/release/vitjit                                  all chains, all sizes, then what breaks the targets
    python3 bench/chains.py build/release/vitjit --chains relu --nodes 5000       one of them
    python3 bench/chains.py build/release/vitjit --stop-after report              import and the passes over tensors alone
    python3 bench/chains.py --write /tmp/relu.onnx relu 20000                     a model, to be profiled

CPU seconds (user and system, all threads) and peak resident memory are of `vitjit MODEL --no-cache --quiet`, whose one run of so small tensors is
nothing beside. A case ends after --limit CPU seconds, and the larger sizes of its chain are left out. Needs numpy and onnx.
"""
import argparse
import json
import math
import os
import resource
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NODES = [1250, 2500, 5000, 10000, 20000]
LONG = ("relu", 200000)
STACK_BYTES = 1 << 20

# The targets: of 20,000 nodes; of LONG; and of a doubling of the nodes, told only of times that are more than noise.
SECONDS, LONG_SECONDS, PEAK_BYTES, GROWTH, NOISE_SECONDS = 4, 30, 1 << 30, 2.5, 0.2


class Graph:
    def __init__(self):
        self.nodes, self.initializers, self.inputs, self.count = [], [], [], 0
        self.random = np.random.default_rng(0)

    def node(self, op, *args, outputs=1, **attributes):
        names = [f"v{self.count + i}" for i in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(op, list(args), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, array):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape):
        return self.constant(self.random.standard_normal(shape).astype(np.float32))

    def input(self, *shape):
        name = f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def model(self, result):
        result = self.node("Identity", result)
        y = helper.make_tensor_value_info(result, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "chain", self.inputs, [y], self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def repeat(op, *shape, **attributes):
    """op(op(...op(x)))"""

    def chain(g, n):
        x = g.input(*shape)
        for _ in range(n):
            x = g.node(op, x, **attributes)
        return x

    return chain


def add(g, n):
    x, c = g.input(4, 16), [g.weight(16) for _ in range(8)]
    for i in range(n):
        x = g.node("Add", x, c[i % 8])
    return x


def add_two(g, n):
    before, x = g.input(4, 16), g.input(4, 16)
    for _ in range(n):
        before, x = x, g.node("Add", before, x)
    return x


def matmul(g, n):
    x = g.input(4, 8)
    for _ in range(n):
        x = g.node("MatMul", x, g.constant((g.random.standard_normal((8, 8)) / math.sqrt(8)).astype(np.float32)))
    return x


def reshape(g, n):
    x, shapes = g.input(4, 16), [g.constant(np.array(s, np.int64)) for s in ([16, 4], [2, 4, 8], [64], [4, 16])]
    for i in range(n):
        x = g.node("Reshape", x, shapes[i % 4])
    return x


def concat_slice(g, n):
    """Halves change places: three nodes."""
    x, zero, half, end, axis = g.input(4, 16), *[g.constant(np.array([v], np.int64)) for v in (0, 8, 16, 1)]
    for _ in range(n // 3):
        x = g.node("Concat", g.node("Slice", x, half, end, axis), g.node("Slice", x, zero, half, axis), axis=1)
    return x


def gather(g, n):
    x, index = g.input(4, 16), g.constant(g.random.permutation(16).astype(np.int64))
    for _ in range(n):
        x = g.node("Gather", x, index, axis=1)
    return x


def layernorm(g, n):
    x, scale, bias = g.input(4, 16), g.weight(16), g.weight(16)
    for _ in range(n):
        x = g.node("LayerNormalization", x, scale, bias, axis=-1)
    return x


def of_weight(*ops):
    """A product with a weight, too large to be folded at sight, that takes n nodes to compute."""

    def chain(g, n):
        x, w = g.input(4, 256), g.weight(256, 256)
        for i in range(n - 1):
            op = ops[i % len(ops)]
            w = g.node("Add", w, w) if op == "double" else g.node(op, w)
        return g.node("MatMul", x, w)

    return chain


def sum_of(g, n):
    operands = [g.input(4, 16) for _ in range(8)]
    return g.node("Sum", *[operands[i % 8] for i in range(n)])


CHAINS = {
    "relu": repeat("Relu", 4, 16),
    "add": add,
    "add_two": add_two,
    "matmul": matmul,
    "transpose": repeat("Transpose", 2, 3, 5, perm=[1, 2, 0]),
    "reshape": reshape,
    "concat_slice": concat_slice,
    "gather": gather,
    "layernorm": layernorm,
    "sigmoid": repeat("Sigmoid", 4, 16),
    "weight_elementwise": of_weight("Neg", "Sqrt", "Abs"),
    "weight_moving": of_weight("Transpose", "Abs"),
    "weight_doubling": of_weight("double"),
    "sum": sum_of,
}


def write(path, chain, nodes):
    g = Graph()
    onnx.save(g.model(CHAINS[chain](g, nodes)), path)


def limits(seconds):
    def apply():
        resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, STACK_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return apply


def run(command, seconds):
    """-> CPU seconds, peak bytes, and why it failed or None"""
    with tempfile.TemporaryFile() as out:
        pid = os.fork()
        if pid == 0:
            limits(seconds)()
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            os.execv(command[0], command)
        _, status, usage = os.wait4(pid, 0)
        out.seek(0)
        said = out.read().decode(errors="replace").strip().splitlines()
    code = os.waitstatus_to_exitcode(status)
    why = None if code == 0 else f"signal {-code}" if code < 0 else said[-1] if said else f"status {code}"
    cpu = usage.ru_utime + usage.ru_stime
    return cpu, usage.ru_maxrss * 1024, f"more than {seconds} s" if why and cpu >= seconds - 0.5 else why


def measure(vitjit, chain, nodes, options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"{chain}.onnx")
        write(path, chain, nodes)
        action = ["--report", "--stop-after", options.stop_after] if options.stop_after else ["--no-cache", "--quiet"]
        cpu, peak, why = run([vitjit, path, *action], options.limit)
    return {"chain": chain, "nodes": nodes, "seconds": round(cpu, 3), "peak_bytes": peak, "failed": why}


def of(lines, chain):
    return {line["nodes"]: line for line in lines if line["chain"] == chain}


def breaches(lines):
    """in words, those of one chain together"""
    found = []
    for chain in CHAINS:
        sizes = of(lines, chain)
        for nodes, line in sizes.items():
            bar = LONG_SECONDS if (chain, nodes) == LONG else SECONDS
            if line["failed"]:
                found.append(f"{chain} {nodes}: {line['failed']}")
            elif nodes >= NODES[-1] and line["seconds"] > bar:
                found.append(f"{chain} {nodes}: {line['seconds']:.1f} s of {bar}")
            elif nodes == NODES[-1] and line["peak_bytes"] > PEAK_BYTES:
                found.append(f"{chain} {nodes}: {line['peak_bytes'] / 1e6:.0f} MB of {PEAK_BYTES / 1e6:.0f}")
        small, large = sizes.get(NODES[-2]), sizes.get(NODES[-1])
        if small and large and not large["failed"] and large["seconds"] > NOISE_SECONDS:
            growth = large["seconds"] / max(small["seconds"], 1e-3)
            if growth > GROWTH:
                found.append(f"{chain}: {growth:.2f} times from {NODES[-2]} to {NODES[-1]} of {GROWTH}")
    return found


def table(lines):
    sizes = sorted({line["nodes"] for line in lines})
    rows = [["chain", *[f"{n:,}" for n in sizes], "growth", "peak, MB"], ["---"] * (len(sizes) + 3)]
    for chain in CHAINS:
        mine = of(lines, chain)
        if not mine:
            continue
        cells = [("failed" if mine[n]["failed"] else f"{mine[n]['seconds']:.2f}") if n in mine else "" for n in sizes]
        good = [n for n in NODES if n in mine and not mine[n]["failed"]]
        growth = f"{mine[good[-1]]['seconds'] / max(mine[good[-2]]['seconds'], 1e-3):.2f}" if len(good) > 1 else ""
        rows.append([chain, *cells, growth, f"{max(line['peak_bytes'] for line in mine.values()) / 1e6:.0f}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


# The plot: both axes logarithmic, a line a chain, the target as a dashed one.

LEFT, TOP, WIDTH, HEIGHT, LEGEND = 50, 30, 460, 380, 140
COLOURS = ["#1f6fb4", "#d9700d", "#2a9134", "#c1272d", "#7b52ab", "#8c564b", "#d667b0", "#666666", "#a6a317", "#18a5b8", "#0b3d66", "#7a3b00",
           "#134d19", "#5e0f12"]


def svg(lines):
    good = [line for line in lines if not line["failed"]]
    if not good:
        return None
    x_low, x_high = math.log2(min(line["nodes"] for line in good) * 0.9), math.log2(max(line["nodes"] for line in good) * 1.1)
    y_low, y_high = math.log10(0.05), math.log10(max(10, *[line["seconds"] for line in good]) * 1.2)
    x = lambda v: LEFT + WIDTH * (math.log2(v) - x_low) / (x_high - x_low)
    y = lambda v: TOP + HEIGHT * (1 - (math.log10(max(v, 0.05)) - y_low) / (y_high - y_low))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + LEGEND}" height="{TOP + HEIGHT + 40}" font-family="sans-serif" font-size="10">',
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="8" y="16" font-size="13">CPU seconds of a compilation by the number of nodes</text>']
    for v in (0.1, 0.2, 0.5, 1, 2, 4, 10, 20, 50):
        if y_low <= math.log10(v) <= y_high:
            out.append(f'<line x1="{LEFT}" y1="{y(v):.1f}" x2="{LEFT + WIDTH}" y2="{y(v):.1f}" stroke="{"black" if v == SECONDS else "#ddd"}" '
                       f'stroke-dasharray="{"4 3" if v == SECONDS else "none"}"/><text x="{LEFT - 6}" y="{y(v) + 3:.1f}" text-anchor="end">{v:g}</text>')
    for n in sorted({line["nodes"] for line in good}):
        out.append(f'<text x="{x(n):.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{n:,}</text>')
    for i, chain in enumerate(CHAINS):
        points = sorted((line["nodes"], line["seconds"]) for line in good if line["chain"] == chain)
        if not points:
            continue
        path = " ".join(f"{x(n):.1f},{y(s):.1f}" for n, s in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[i]}" stroke-width="1.5"/>'
                   f'<text x="{LEFT + WIDTH + 12}" y="{TOP + 12 + 14 * i}" fill="{COLOURS[i]}">{chain}</text>')
    return "\n".join([*out, "</svg>", ""])


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit", nargs="?")
    parser.add_argument("--write", nargs=3, metavar=("FILE", "CHAIN", "NODES"))
    parser.add_argument("--chains", default=",".join(CHAINS))
    parser.add_argument("--nodes", default=",".join(map(str, NODES)))
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--stop-after")
    parser.add_argument("--results", default="build/bench/chains.jsonl")
    parser.add_argument("--svg")
    options = parser.parse_args(arguments)
    if not options.vitjit and not options.write:
        parser.error("which vitjit?")
    return options


def cases(options):
    chains, sizes = options.chains.split(","), sorted(int(n) for n in options.nodes.split(","))
    for chain in chains:
        if chain not in CHAINS:
            sys.exit(f"chains.py: there is no chain {chain}: {', '.join(CHAINS)}")
    long = [LONG] if LONG[0] in chains and sizes == NODES else []
    return [(chain, n) for chain in chains for n in sizes] + long


def main():
    options = options_of(sys.argv[1:])
    if options.write:
        write(options.write[0], options.write[1], int(options.write[2]))
        return 0
    lines, ended = [], set()
    os.makedirs(os.path.dirname(os.path.abspath(options.results)), exist_ok=True)
    with open(options.results, "w") as results:
        for chain, nodes in cases(options):
            if chain in ended:
                continue
            line = measure(os.path.abspath(options.vitjit), chain, nodes, options)
            lines.append(line)
            results.write(json.dumps(line) + "\n")
            results.flush()
            print(f"{chain} {nodes}: {line['failed'] or ''} {line['seconds']:.2f} s, {line['peak_bytes'] / 1e6:.0f} MB", file=sys.stderr, flush=True)
            if line["failed"]:
                ended.add(chain)
    print(table(lines))
    drawn = svg(lines) if options.svg else None
    if drawn:
        with open(options.svg, "w") as file:
            file.write(drawn)
    broken = breaches(lines)
    print("\n".join(["", "Beyond the targets:", *broken]) if broken else "\nAll within the targets.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
