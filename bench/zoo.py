#!/usr/bin/env python3
"""vitjit beside ONNX Runtime on many models, in one table: latency on each thread count, ratio, compile time with no cache.

usage: zoo.py VITJIT [FOLDER | MODEL.onnx]... [-j 1,2] [--rounds 5] [--seconds 0.5] [--into docs/benchmarks.md]

Without models it exports those of tests/models (families.py) at full size into build/models/bench. Engines take turns
`rounds` times on each model, so that a drift of the machine hits both alike; the one that waits is stopped. A round's figure is
its best run; the table has their medians, and the ratio of each round (> 1: vitjit is faster) as median with its spread. Compile
time is that of a process that finds an empty cache, on as many threads as the largest -j. Sizes left open in a model are 1.

The table goes to stdout; --into FILE puts it between the lines `<!-- zoo -->` and `<!-- /zoo -->` of FILE, with date
and CPU. A line of progress a model goes to stderr. Exit status 1 when a model could not be run by either. Runs in the Python
environment that scripts/full makes (build/python, scripts/requirements.txt).
"""
import argparse
import contextlib
import datetime
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time

# Keeps a session; a line `seconds` on stdin is answered by the best run's milliseconds.
PEER = """
import sys, time
import numpy as np, onnxruntime as ort
model, threads = sys.argv[1], int(sys.argv[2])
options = ort.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = threads, 3
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
types = {"tensor(float)": "f4", "tensor(double)": "f8", "tensor(float16)": "f2", "tensor(int64)": "i8", "tensor(int32)": "i4"}
random = np.random.default_rng(0)
feeds = {i.name: random.standard_normal([d if isinstance(d, int) else 1 for d in i.shape]).astype(types[i.type])
         for i in session.get_inputs()}
session.run(None, feeds)
print("ready", flush=True)
for line in sys.stdin:
    best, end = 1e9, time.perf_counter() + float(line)
    while True:
        start = time.perf_counter()
        session.run(None, feeds)
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() >= end:
            break
    print(best * 1e3, flush=True)
"""


class Peer:
    """ONNX Runtime in a process of its own, stopped but when it is asked: its threads would spin beside vitjit's."""

    def __init__(self, model, threads):
        command = [sys.executable, "-c", PEER, model, str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            self.process.wait()
            raise RuntimeError("ONNX Runtime does not run it")
        self.process.send_signal(signal.SIGSTOP)

    def best_ms(self, seconds):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        answer = float(self.process.stdout.readline())
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Mine:
    def __init__(self, vitjit, model, threads, cache):
        self.command = [vitjit, model, "--quiet", "--stats", "--cache", cache, "-j", str(threads)]

    def stats(self, *more):
        done = subprocess.run([*self.command, *more], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[0])
        return json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])

    def best_ms(self, seconds):
        return self.stats("--bench", str(seconds))["min_ms"]


def in_turns(mine, peer, rounds, seconds):
    """-> medians of both, ratios by round"""
    own, other = [], []
    for _ in range(rounds):
        own.append(mine.best_ms(seconds))
        other.append(peer.best_ms(seconds))
    return statistics.median(own), statistics.median(other), [b / a for a, b in zip(own, other)]


def compare(a, model):
    """-> the cells of the model's row"""
    cells = [os.path.basename(model)[: -len(".onnx")]]
    with tempfile.TemporaryDirectory() as cache:
        stats = Mine(a.vitjit, model, a.threads[-1], cache).stats()
        cells += [f"{stats['flops'] / 1e9:.2f}"]
        for threads in a.threads:
            peer = Peer(model, threads)
            try:
                own, other, ratios = in_turns(Mine(a.vitjit, model, threads, cache), peer, a.rounds, a.seconds)
            finally:
                peer.close()
            cells += [f"{own:.2f}", f"{other:.2f}", f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]
    return [*cells, f"{stats['compile_ms'] / 1e3:.2f}", f"{stats['kernels']} ({stats['distinct_kernels']})"]


def row(cells):
    return "| " + " | ".join(cells) + " |"


def head(a):
    columns = ["model", "GFLOP"]
    for threads in a.threads:
        columns += [f"vitjit -j{threads}, ms", f"ONNX Runtime, {threads} thr., ms", f"ratio, {threads} thr. (spread)"]
    columns += ["compile, s", "kernels (distinct)"]
    return [row(columns), row(["---"] * len(columns))]


def cpu():
    """-> "AMD EPYC, family 25, model 1, AVX2": the name alone tells no two generations of a virtual machine's CPU apart."""
    facts = {}
    try:
        with open("/proc/cpuinfo") as info:
            for line in info:
                key, _, value = line.partition(":")
                facts.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    if "model name" not in facts:
        return platform.machine()
    flags = facts.get("flags", "").split()
    widest = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "neither AVX2 nor AVX-512"
    return f"{facts['model name']}, family {facts.get('cpu family')}, model {facts.get('model')}, {widest}"


def preamble(a):
    import onnxruntime

    rounds = f"{a.rounds} rounds of {a.seconds:g} s of each"
    return [f"{cpu()}, {os.cpu_count()} CPUs; {datetime.date.today()}; ONNX Runtime {onnxruntime.__version__}; {rounds}.", ""]


def put(path, lines):
    """Between the marks, or, where there are none, at the end."""
    begin, end = "<!-- zoo -->", "<!-- /zoo -->"
    with open(path) as file:
        text = file.read()
    table = f"{begin}\n" + "\n".join(lines) + f"\n{end}"
    if begin in text and end in text:
        text = text[: text.index(begin)] + table + text[text.index(end) + len(end) :]
    else:
        text = text.rstrip("\n") + "\n\n" + table + "\n"
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def own_models():
    """The project's families at full size, exported where they are not yet."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = os.path.join(root, "build", "models", "bench")
    sys.path.insert(0, os.path.join(root, "tests", "models"))
    from export import export
    from families import names

    os.makedirs(folder, exist_ok=True)
    for name in names("full"):
        if not os.path.exists(os.path.join(folder, name + ".onnx")):
            with contextlib.redirect_stdout(sys.stderr):
                export(folder, name, name, scale="full")
    return [folder]


def models_of(paths):
    found = []
    for path in paths:
        if os.path.isdir(path):
            found += sorted(os.path.join(path, f) for f in os.listdir(path) if f.endswith(".onnx"))
        else:
            found.append(path)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("models", nargs="*")
    parser.add_argument("-j", dest="threads", default="1,2", type=lambda s: sorted(int(t) for t in s.split(",")))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--into")
    a = parser.parse_args()
    models, lines, failed = models_of(a.models or own_models()), head(a), 0
    for i, model in enumerate(models):
        start = time.monotonic()
        try:
            lines.append(row(compare(a, model)))
        except RuntimeError as error:
            failed += 1
            print(f"zoo.py: {model}: {error}", file=sys.stderr)
            continue
        print(f"{i + 1} of {len(models)}, {time.monotonic() - start:.0f} s: {lines[-1]}", file=sys.stderr, flush=True)
    lines = preamble(a) + lines
    print("\n".join(lines))
    if a.into:
        put(a.into, lines)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
