#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vitjit beside ONNX Runtime and OpenVINO on many models, in one sitting: latency, start, memory, throughput, and a model of scaling.

usage: compare.py VITJIT [FOLDER | MODEL.onnx]... [-j 1,2] [--batch N] [--rounds 7] [--seconds 0.5] [--parts latency,start,throughput,plan]
                  [--precision f32,bf16,int8] [--into docs/benchmarks.md] [--results build/bench/sitting.jsonl] [--new | --tables]

Without models it exports those of tests/models (families.py) at full size into build/models/bench. Every engine runs in processes of its own;
they take turns, forwards in one round and backwards in the next, so that a drift of the machine hits all alike, and those that wait are
stopped (engines.py, peer.py). vitjit in f32 stands beside ONNX Runtime, OpenVINO in f32 and OpenVINO as it comes; vitjit in bf16 beside OpenVINO as it
comes and in bf16; vitjit in int8 beside OpenVINO as it comes and ONNX Runtime on its own int8 form of the model. --precision says which (f32,bf16).

latency     each model, each thread count: `rounds` rounds of every engine in turn, `seconds` each
start       each model, on all threads: process start to first result and peak memory, without caches and with; seven rounds
throughput  1, 2 and 4 callers at once on all cores, `rounds` rounds of four times `seconds`; of models that match --throughput-models
plan        the kernels' times in f32 on one thread and on all, for the model of scaling (scaling.py); of the same models

What is measured is kept in --results as JSON lines: an interrupted sitting goes on where it was (--new begins anew; it also refuses to mix builds,
machines or settings). A bar on stderr shows how far it is and how long it will take. At the end the tables go to stdout, and with --into between
`<!-- sitting -->` and `<!-- /sitting -->` of that file, with a plot beside it (FILE.svg); --tables writes them from what is there. Exit status 1 when
an engine could not run a model: the tables name it. Runs in the Python environment that bench/run makes.
"""
import argparse
import contextlib
import datetime
import fnmatch
import hashlib
import os
import platform
import sys
import tempfile
from importlib.metadata import version

import report
from engines import BESIDE, OURS, PEERS, Failed, Peer, Vitjit, measured, start_of_peer, start_of_vitjit
from progress import Progress
from sitting import Other, Sitting

START_ROUNDS = 7
CALLERS = [1, 2, 4]
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def cpu():
    """-> "AMD EPYC, family 25, model 1, AVX2": the name alone tells no two generations of a virtual machine's CPU apart."""
    facts = {}
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as info:
        for line in info:
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    if "model name" not in facts:
        return platform.machine()
    flags = facts.get("flags", "").split()
    widest = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "neither AVX2 nor AVX-512"
    return f"{facts['model name']}, family {facts.get('cpu family')}, model {facts.get('model')}, {widest}"


def build_of(vitjit):
    """The libraries and the command, as one number."""
    folder, digest = os.path.dirname(os.path.abspath(vitjit)), hashlib.sha256()
    for name in [os.path.basename(vitjit), "libvitjit.so.0", "libvitjit_compiler.so"]:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()[:16]


def own_models():
    """The project's families at full size, exported where they are not yet."""
    folder = os.path.join(ROOT, "build", "models", "bench")
    sys.path.insert(0, os.path.join(ROOT, "tests", "models"))
    from export import export
    from families import names

    os.makedirs(folder, exist_ok=True)
    for name in names("full"):
        if not os.path.exists(os.path.join(folder, name + ".onnx")):
            with contextlib.redirect_stdout(sys.stderr):
                export(folder, name, name, scale="full")
    return [folder]


def models_of(paths):
    """-> {name: path}"""
    found = []
    for path in paths:
        if os.path.isdir(path):
            found += sorted(os.path.join(path, f) for f in os.listdir(path) if f.endswith(".onnx"))
        else:
            found.append(path)
    return {os.path.basename(path)[: -len(".onnx")]: path for path in found}


class Comparison:
    def __init__(self, a, models, sitting):
        self.a, self.models, self.sitting = a, models, sitting
        ours = [name for name, precision in OURS.items() if precision in a.precision]
        self.engines = ours + [peer for peer in PEERS if any(peer in BESIDE[name] for name in ours)]
        chosen = [m for m in models if any(fnmatch.fnmatch(m, p) for p in a.throughput_models.split(","))]
        self.cases = []  # kind, name, keys of the case, its rounds, how it is done
        for model in models:
            if "latency" in a.parts:
                for t in a.threads:
                    self.cases.append(("latency", {"model": model, "threads": t, "batch": a.batch}, a.rounds, self.latency))
            if "start" in a.parts:
                self.cases.append(("start", {"model": model, "threads": max(a.threads)}, START_ROUNDS, self.start))
            if "throughput" in a.parts and model in chosen:
                for n in CALLERS:
                    self.cases.append(("throughput", {"model": model, "sessions": n}, a.rounds, self.throughput))
            if "plan" in a.parts and model in chosen:
                for t in sorted({1, max(a.threads)}):
                    self.cases.append(("plan", {"model": model, "threads": t}, 1, self.plan))

    def rounds_left(self, kind, keys, rounds):
        return [r for r in range(rounds) if not self.sitting.has(what=kind, **keys, round=r)]

    def run(self):
        left = [(kind, keys, self.rounds_left(kind, keys, rounds), work) for kind, keys, rounds, work in self.cases]
        counts = {}
        for kind, _, rounds, _ in left:
            counts[kind] = counts.get(kind, 0) + len(rounds)
        self.progress = Progress(counts)
        if "plan" in self.a.parts and not self.sitting.machine:
            self.measure_machine()
        for kind, keys, rounds, work in left:
            if rounds:
                work(keys, rounds)
        self.progress.end()

    def measure_machine(self):
        program = os.path.join(os.path.dirname(os.path.abspath(self.a.vitjit)), "bench", "machine")
        self.sitting.add({"what": "machine", "machine": measured([program])[0]})

    def add(self, kind, keys, number, answers):
        self.sitting.add({"what": kind, **keys, "round": number, "engines": answers})

    def print_failure(self, keys, engine, error):
        self.progress.print(f"compare.py: {keys['model']}: {engine}: {error}")

    def turns(self, number):
        return self.engines if number % 2 == 0 else self.engines[::-1]

    def in_turns(self, kind, keys, rounds, make, seconds):
        """Engines are opened once for all rounds; `make` opens one by its name."""
        name = " ".join([keys["model"], *[f"{k} {v}" for k, v in keys.items() if k != "model"]])
        opened, broken = {}, {}
        try:
            for number in rounds:
                with self.progress.step(kind, name):
                    answers = dict(broken)
                    for engine in self.turns(number):
                        if engine in broken:
                            continue
                        try:
                            if engine not in opened:
                                opened[engine] = make(engine)
                                self.note_precision(engine, opened[engine])
                            answers[engine] = opened[engine].run_round(seconds)
                        except Failed as error:
                            self.print_failure(keys, engine, error)
                            answers[engine] = broken[engine] = {"error": str(error)}
                    self.add(kind, keys, number, answers)
        finally:
            for engine in opened.values():
                engine.close()

    def note_precision(self, engine, opened):
        if self.sitting.precision(engine) is None:
            self.sitting.add({"what": "precision", "engine": engine, "precision": opened.facts["precision"]})

    def latency(self, keys, rounds):
        path, t, batch = self.models[keys["model"]], keys["threads"], keys["batch"]
        with tempfile.TemporaryDirectory() as cache:
            def make(engine):
                return Vitjit(engine, self.a.vitjit, path, t, batch, cache) if engine in OURS else Peer(engine, path, t, batch)

            self.in_turns("latency", keys, rounds, make, self.a.seconds)

    def throughput(self, keys, rounds):
        path, t, n = self.models[keys["model"]], max(self.a.threads), keys["sessions"]
        with tempfile.TemporaryDirectory() as cache:
            def make(engine):
                return Vitjit(engine, self.a.vitjit, path, t, 1, cache, n) if engine in OURS else Peer(engine, path, t, 1, n)

            self.in_turns("throughput", keys, rounds, make, 4 * self.a.seconds)

    def start(self, keys, rounds):
        path, t = self.models[keys["model"]], keys["threads"]
        for number in rounds:
            with self.progress.step("start", f"{keys['model']} start"):
                answers = {}
                for engine in self.turns(number):
                    try:
                        if engine in OURS:
                            answers[engine], facts = start_of_vitjit(engine, self.a.vitjit, path, t)
                            if not self.sitting.facts(keys["model"], engine):
                                self.sitting.add({"what": "facts", "model": keys["model"], "engine": engine, "facts": facts})
                        else:
                            answers[engine] = start_of_peer(engine, path, t)
                    except Failed as error:
                        self.print_failure(keys, engine, error)
                        answers[engine] = {"error": str(error)}
                self.add("start", keys, number, answers)

    def plan(self, keys, rounds):
        command = [self.a.vitjit, self.models[keys["model"]], "-j", str(keys["threads"]), "--stats", "--bench", str(4 * self.a.seconds)]
        with self.progress.step("plan", f"{keys['model']} plan"), tempfile.TemporaryDirectory() as cache:
            try:
                stats, _ = measured([*command, "--cache", cache])
                self.sitting.add({"what": "plan", **keys, "round": rounds[0], "stats": stats})
            except Failed as error:
                self.print_failure(keys, "vitjit", error)


def head_of(a):
    return {"what": "sitting", "cpu": cpu(), "cpus": os.cpu_count(), "date": str(datetime.date.today()), "build": build_of(a.vitjit),
            "versions": {"ort": version("onnxruntime"), "ov": version("openvino")}, "rounds": a.rounds, "seconds": a.seconds,
            "threads": a.threads, "precision": a.precision}


def write(a, sitting):
    plot = None
    drawing = report.svg(sitting) if a.into else None
    if drawing:
        plot = os.path.splitext(a.into)[0] + ".svg"
        with open(plot, "w") as file:
            file.write(drawing)
    lines = report.text(sitting, plot)
    print("\n".join(lines))
    if a.into:
        report.put(a.into, lines)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("models", nargs="*")
    parser.add_argument("-j", dest="threads", default=f"1,{os.cpu_count()}", type=lambda s: sorted({int(t) for t in s.split(",")}))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--parts", default="latency,start,throughput,plan", type=lambda s: s.split(","))
    parser.add_argument("--precision", default="f32,bf16", type=lambda s: s.split(","))
    parser.add_argument("--throughput-models", default="vit_ti16*,vit_s16*,vit_b16*,swin.*")
    parser.add_argument("--into")
    parser.add_argument("--results", default=os.path.join(ROOT, "build", "bench", "sitting.jsonl"))
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--needs", action="store_true", help="only print the Python modules that this command line needs")
    a = parser.parse_args()
    return a


def main():
    a = parse()
    if a.needs:
        print("numpy onnxruntime openvino", "" if a.models or a.tables else "torch onnx onnxscript transformers")
        return 0
    if a.new and os.path.exists(a.results):
        os.remove(a.results)
    try:
        sitting = Sitting(a.results, None if a.tables else head_of(a))
    except Other as error:
        print(f"compare.py: {error}\n  hint: --new begins anew, --results FILE keeps both", file=sys.stderr)
        return 2
    if not a.tables:
        try:
            Comparison(a, models_of(a.models or own_models()), sitting).run()
        except KeyboardInterrupt:
            print("\ncompare.py: interrupted; the same command goes on from here", file=sys.stderr)
            return 130
    write(a, sitting)
    return any("error" in e for line in sitting.lines for e in line.get("engines", {}).values())


if __name__ == "__main__":
    sys.exit(main())
