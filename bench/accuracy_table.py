# SPDX-License-Identifier: Apache-2.0
"""What the tables of accuracy share: each judged output of a model by vitjit in float32 and in another precision, and by peers."""
import sys

import report


class Table:
    precision = ""  # vitjit's, beside f32

    def __init__(self, vitjit, options, openvino):
        self.vitjit, self.options, self.openvino = vitjit, options, openvino
        self.rows, self.broken, self.chosen = [], [], 0

    def row(self, model, output, truth, answers):
        """of {engine: array, or None where it has none}"""
        raise NotImplementedError

    def peers(self, name, path, feeds):
        """-> {engine: {output: array}}"""
        raise NotImplementedError

    def add(self, name, path):
        import answers

        feeds, truths = answers.answers_of(path)
        names = answers.judged_outputs(path, truths)
        self.chosen += sum(t.dtype.kind == "f" for t in truths.values()) - len(names)
        if not names:
            return
        before = len(self.rows)
        try:
            own = {p: answers.run_vitjit(self.vitjit, path, feeds, p, *self.options) for p in ("f32", self.precision)}
            others = self.peers(name, path, feeds)
            for output in names:
                file = answers.file_name(output)
                if any(file not in found for found in own.values()):
                    raise answers.Failed(f"no output {output}")
                found = {**{p: files[file] for p, files in own.items()}, **{e: files.get(output) for e, files in others.items()}}
                self.rows.append(self.row(name, output, truths[output], found))
        except answers.Failed as error:
            self.broken.append(f"- {name}: vitjit does not run it: {error}")
        for row in self.rows[before:]:
            print(report.row(row.cells()), file=sys.stderr, flush=True)
