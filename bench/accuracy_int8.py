# SPDX-License-Identifier: Apache-2.0
"""The table of accuracy in int8: vitjit without data beside what ONNX Runtime's and OpenVINO's tools make of the same model.

A row is an output of floats, an engine's figures are 1 - cosine with the answer in double precision and the largest error over the largest value. Peers:
ONNX Runtime's dynamic form (weights s8 by column) and its static one (QDQ), both in ONNX Runtime with exact products; the static one in OpenVINO; and
NNCF's post-training quantisation for transformers (ONNX in, ONNX out) in OpenVINO. Static forms are calibrated with noise; tests/models/quantise.py makes all.
"""
import os
import tempfile

import accuracy_table
import report
from compare import cpu

LEAST_COSINE, LEAST_SPIKY = 0.99, 0.98
MOST_F32 = 1e-4  # 1 - cosine of float32 itself, above which nothing is judged
LABELS = {"f32": "vitjit f32", "int8": "vitjit int8", "ort_dynamic": "ONNX Runtime dynamic", "ort_static": "ONNX Runtime static", "ov_static": "OpenVINO on that",
          "ov_nncf": "OpenVINO by NNCF"}
FORMS = {"ort_dynamic": "dynamic_s8", "ort_static": "qdq_u8s8", "ov_static": "qdq_u8s8", "ov_nncf": "nncf"}


class Row:
    def __init__(self, model, output, truth, answers):
        from answers import distance, largest_error

        self.model, self.output = model, output
        self.figures = {e: (distance(got, truth), largest_error(got, truth)) for e, got in answers.items() if got is not None and got.shape == truth.shape}

    def bar(self):
        return LEAST_SPIKY if ".spiky" in self.model else LEAST_COSINE

    def judged(self):
        return self.figures["f32"][0] <= MOST_F32

    def failure(self):
        return f"cosine below {self.bar()}" if self.judged() and self.figures["int8"][0] > 1 - self.bar() else ""

    def cells(self):
        said = "FAILS: " + self.failure() if self.failure() else "ok" if self.judged() else "not judged: f32 is off itself"
        return [self.model, self.output, *["{:.1e} / {:.1e}".format(*self.figures[e]) if e in self.figures else "-" for e in LABELS], said]


def in_onnx_runtime(path, feeds):
    from quantise import LEVELS, session

    engine = session(path, LEVELS.ORT_ENABLE_ALL)
    return dict(zip([o.name for o in engine.get_outputs()], engine.run(None, feeds)))


class Table(accuracy_table.Table):
    precision = "int8"
    row = Row

    def __init__(self, *given):
        super().__init__(*given)
        self.missing = []

    def run_form(self, engine, path, feeds):
        if engine.startswith("ort"):
            return in_onnx_runtime(path, feeds)
        return self.openvino.run(path, feeds) if self.openvino else {}

    def peers(self, name, path, feeds):
        """-> {engine: {output: array}}; what a tool does not make or run is told, and missing"""
        from quantise import quantise

        given = next(iter(feeds.values()))
        if len(feeds) != 1 or given.dtype.kind != "f":
            return {}
        answers, made = {}, {}
        with tempfile.TemporaryDirectory() as folder:
            for engine, form in FORMS.items():
                try:
                    if form not in made:
                        made[form] = os.path.join(folder, form + ".onnx")
                        quantise(path, made[form], form, given.shape)
                    answers[engine] = self.run_form(engine, made[form], feeds)
                except Exception as problem:  # of any tool: the others are still compared
                    why = f"{type(problem).__name__}: {(str(problem).strip().splitlines() or [''])[0][:200]}"
                    self.missing.append(f"- {name}: {LABELS[engine]}: {why}")
        return answers

    def failures(self):
        return [r for r in self.rows if r.failure()]

    def text(self):
        head = ["model", "output", *[f"{label}: 1 - cosine / error" for label in LABELS.values()], "int8"]
        beside = f"; OpenVINO {self.openvino.version}, in {self.openvino.precision} where it is not int8" if self.openvino else "; without OpenVINO"
        end = [f"{len(self.rows)} outputs, {sum(r.judged() for r in self.rows)} judged, {len(self.failures())} fail; {self.chosen} more are made with a choice."]
        for engine in FORMS:
            both = [r for r in self.rows if engine in r.figures]
            wins = sum(r.figures["int8"][0] <= r.figures[engine][0] for r in both)
            if both:
                end.append(f"vitjit's int8 is at least as close as {LABELS[engine]} for {wins} of {len(both)}.")
        return [f"{cpu()}{beside}.", "", *report.table(head, [r.cells() for r in self.rows]), " ".join(end), *self.broken, *self.missing]
