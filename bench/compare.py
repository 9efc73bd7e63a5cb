#!/usr/bin/env python3
"""vitjit beside ONNX Runtime on one model, in one sitting: latency, start-up and memory.

usage: compare.py VITJIT MODEL.onnx... [-j THREADS] [--batch N] [--rounds 7] [--seconds 2]

Engines take turns, `rounds` times, each in a process of its own, so that a drift of the machine hits both alike. Printed
as a Markdown row a model: the median of the rounds' best runs of each, their ratio (> 1: vitjit is faster) with its
spread over the rounds, the time from process start to the first result with an empty and a warm cache, and the peak
resident memory of a warm run beside packed weights + arena. Needs onnxruntime and numpy (scripts/requirements.txt).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

PEER = """
import json, sys, time
start = time.perf_counter()
import numpy as np, onnxruntime as ort
model, threads, batch, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
options = ort.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = threads, 3
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feeds = {i.name: np.random.default_rng(0).standard_normal([d if isinstance(d, int) else batch for d in i.shape], dtype=np.float32)
         for i in session.get_inputs()}
session.run(None, feeds)
first = time.perf_counter() - start
best, end = 1e9, time.perf_counter() + seconds
while time.perf_counter() < end:
    t = time.perf_counter()
    session.run(None, feeds)
    best = min(best, time.perf_counter() - t)
print(json.dumps(dict(min_ms=best * 1e3, first_ms=first * 1e3)))
"""


def last_json(command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])


def wall_ms(command):
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1e3


def compare(a, model):
    mine, theirs, first = [], [], []
    common = ["-j", str(a.j), "--batch", str(a.batch)]
    with tempfile.TemporaryDirectory() as cache:
        start = [a.vitjit, model, *common, "--quiet", "--stats", "--cache", cache]
        cold = wall_ms(start)
        warm = min(wall_ms(start) for _ in range(3))
        stats = last_json(start)
        for _ in range(a.rounds):
            mine.append(last_json([a.vitjit, model, *common, "--bench", str(a.seconds), "--stats", "--cache", cache])["min_ms"])
            peer = last_json([sys.executable, "-c", PEER, model, str(a.j), str(a.batch), str(a.seconds)])
            theirs.append(peer["min_ms"])
            first.append(peer["first_ms"])
    ratios = [t / m for t, m in zip(theirs, mine)]
    planned = stats["weights_bytes"] + stats["arena_bytes"] * min(a.batch, a.j)
    name = os.path.basename(model)[:-5]
    print(f"| {name} | {a.batch} | {a.j} | {statistics.median(mine):.2f} | {statistics.median(theirs):.2f} | "
          f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) | {cold:.0f} | {warm:.0f} | {min(first):.0f} | "
          f"{stats['peak_rss_bytes'] / 1e6:.0f} of {planned / 1e6:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("models", nargs="+")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    a = parser.parse_args()
    print("| model | batch | threads | vitjit, ms | ONNX Runtime, ms | ratio (spread) | first result, empty cache, ms | warm cache, ms | "
          "ONNX Runtime's, ms | resident of planned, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for model in a.models:
        compare(a, model)


if __name__ == "__main__":
    main()
