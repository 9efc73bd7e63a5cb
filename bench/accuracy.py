#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far the answers of vitjit in f32 and in bf16, and of OpenVINO in bf16, are from those in double precision: a table. With --int8: of vitjit in
int8, and of what ONNX Runtime, OpenVINO and NNCF make of the same models in int8.

usage: accuracy.py VITJIT [FOLDER | MODEL.onnx]... [--int8] [--arg OPTION]... [--into docs/numbers.md]

A model has its answers beside it (tests/models/answers.py has the files); without models those of tests/models are exported at full size, with twins
that have the habits of trained weights (spiky). A row is an output of floats that is not made with a choice: behind TopK, a comparison or indices
from the data an error of one digit may give another answer. An engine has two figures: 1 - cosine with the answer in double precision, and the
largest error over the largest value.

vitjit's bf16 passes with a cosine of at least 0.9995, which is at most 1e-4 below OpenVINO's in bf16 (where OpenVINO is installed and runs the
model). Not judged, but listed: spiky twins, and outputs of which float32 is off by more than 1e-5 of the largest value. vitjit's int8,
which has no data, passes with a cosine of at least 0.99, of spiky twins 0.98 (accuracy_int8.py has the peers). Exit status 1 when an output
fails or vitjit does not run a model. --arg passes an option on to vitjit (--arg=--cpu=x86-64-v3); --into puts the table between `<!-- accuracy -->`
and `<!-- /accuracy -->` (`accuracy-int8`) of a file. Runs in the Python environment that bench/accuracy makes.
"""
import argparse
import contextlib
import os
import sys

import accuracy_int8
import accuracy_table
import report
from compare import ROOT, cpu, models_of, own_models

sys.path.append(os.path.join(ROOT, "tests", "models"))
MOST_BELOW_PEER = 1e-4
MOST_F32_ERROR = 1e-5


class OpenVINO:
    def __init__(self, hint):
        """hint: what to compute in; None: its default"""
        import openvino

        self.core, self.settings = openvino.Core(), {"INFERENCE_PRECISION_HINT": hint} if hint else {}
        self.version, self.precision = openvino.__version__.split("-")[0], None

    def run(self, path, feeds):
        """-> {output: array}, empty where it does not run the model"""
        try:
            model = self.core.read_model(path)
            values = [next(feeds[name] for name in i.names if name in feeds) for i in model.inputs]
            if any(i.partial_shape.is_dynamic for i in model.inputs):
                model.reshape({i: list(value.shape) for i, value in zip(model.inputs, values)})
            compiled = self.core.compile_model(model, "CPU", self.settings)
            self.precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
            results = compiled(values)
            return {name: results[o] for o in compiled.outputs for name in o.names}
        except (RuntimeError, StopIteration) as error:
            print(f"accuracy.py: {path}: OpenVINO: {(str(error).strip().splitlines() or ['an input of another name'])[-1][:300]}", file=sys.stderr)
            return {}


def peer(hint):
    with contextlib.suppress(ImportError):
        return OpenVINO(hint)
    return None


class Row:
    """One output: 1 - cosine and largest error of each engine that has it."""

    def __init__(self, model, output, truth, answers):
        from answers import distance, largest_error

        self.model, self.output, self.figures = model, output, {}
        for engine, got in answers.items():
            if got is not None and got.shape == truth.shape:
                self.figures[engine] = distance(got, truth), largest_error(got, truth)

    def why_not_judged(self):
        if ".spiky" in self.model:
            return "spiky"
        return "f32 is off itself" if self.figures["f32"][1] > MOST_F32_ERROR else ""

    def failure(self):
        from answers import LEAST_COSINE

        bf16, other = self.figures["bf16"][0], self.figures.get("peer")
        if bf16 > 1 - LEAST_COSINE:
            return f"cosine below {LEAST_COSINE}"
        return f"more than {MOST_BELOW_PEER:g} below OpenVINO" if other and bf16 - other[0] > MOST_BELOW_PEER else ""

    def cells(self):
        said = self.why_not_judged()
        said = f"not judged: {said}" if said else "FAILS: " + self.failure() if self.failure() else "ok"
        numbers = [f"{self.figures[e][i]:.1e}" if e in self.figures else "-" for i in (0, 1) for e in ("f32", "bf16", "peer")]
        return [self.model, self.output, *numbers, said]


class Table(accuracy_table.Table):
    precision = "bf16"
    row = Row

    def __init__(self, vitjit, options):
        super().__init__(vitjit, options, peer("bf16"))

    def peers(self, name, path, feeds):
        return {"peer": self.openvino.run(path, feeds) if self.openvino else {}}

    def failures(self):
        return [r for r in self.rows if not r.why_not_judged() and r.failure()]

    def text(self):
        head = ["model", "output", *[f"{what}, {e}" for what in ("1 - cosine", "error") for e in ("vitjit f32", "vitjit bf16", "OpenVINO bf16")], "bf16"]
        beside = f"; OpenVINO {self.openvino.version}, which computes in {self.openvino.precision}" if self.openvino else "; without OpenVINO"
        judged = sum(not r.why_not_judged() for r in self.rows)
        closer = [r for r in self.rows if "peer" in r.figures and not r.why_not_judged()]
        wins = sum(r.figures["bf16"][0] <= r.figures["peer"][0] for r in closer)
        end = f"{len(self.rows)} outputs, {judged} judged, {len(self.failures())} fail; {self.chosen} more are made with a choice."
        if closer:
            end += f" vitjit's bf16 is at least as close as OpenVINO's for {wins} of {len(closer)}."
        return [f"{cpu()}{beside}.", "", *report.table(head, [r.cells() for r in self.rows]), end, *self.broken]


def spiky_twins():
    """as compare.own_models, into a folder beside theirs"""
    from export import export
    from families import FAMILIES

    folder = os.path.join(ROOT, "build", "models", "spiky")
    os.makedirs(folder, exist_ok=True)
    for name, (_, full) in FAMILIES.items():
        if full and not os.path.exists(os.path.join(folder, f"{name}.spiky.onnx")):
            with contextlib.redirect_stdout(sys.stderr):
                export(folder, name, f"{name}.spiky", scale="full", spiky=True)
    return [folder]


def has_answers(path):
    stem = path[: -len(".onnx")]
    return os.path.exists(stem + ".npz") or os.path.exists(stem + ".f64.npy")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--arg", action="append", default=[])
    parser.add_argument("--into")
    parser.add_argument("--needs", action="store_true", help="only print the Python modules that this command line needs")
    a = parser.parse_args()
    if a.needs:
        print("numpy onnx openvino", "" if a.models and not a.int8 else "torch onnxruntime onnxscript transformers", "nncf" if a.int8 else "")
        return 0
    table = accuracy_int8.Table(a.vitjit, a.arg, peer(None)) if a.int8 else Table(a.vitjit, a.arg)
    for name, path in models_of(a.models or own_models() + spiky_twins()).items():
        if has_answers(path):
            print(name, file=sys.stderr)
            table.add(name, path)
    lines = table.text()
    print("\n".join(lines))
    if a.into:
        report.put(a.into, lines, "accuracy-int8" if a.int8 else "accuracy")
    return bool(table.broken or table.failures())


if __name__ == "__main__":
    sys.exit(main())
