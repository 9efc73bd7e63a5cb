# SPDX-License-Identifier: Apache-2.0
"""A sitting: what was measured on one machine with one build, as JSON lines that are written as they come.

An interrupted sitting goes on where it ended: compare.py asks which rounds are there. The first line is the head; a file whose head is
of another build, machine or setting is not gone on with.
"""
import json
import os


class Other(Exception):
    """The file is of another sitting."""


class Sitting:
    SAME = ("cpu", "cpus", "build", "versions", "seconds", "precision")

    def __init__(self, path, head):
        self.path, self.lines = path, []
        if os.path.exists(path):
            with open(path) as file:
                for text in file:
                    try:
                        self.lines.append(json.loads(text))
                    except ValueError:
                        break  # the last one, cut short
        if self.lines and head:
            for key in self.SAME:
                if self.lines[0].get(key) != head[key]:
                    raise Other(f"{path} is of another sitting: {key} was {self.lines[0].get(key)}, is {head[key]}")
            was = self.lines[0]
            threads = sorted({*was["threads"], *head["threads"]})
            self.head = self.lines[0] = {**head, "date": was["date"], "rounds": was["rounds"], "threads": threads}
        elif self.lines:
            self.head = self.lines[0]
        elif head:
            self.head = head
            self.lines = [head]
        else:
            raise Other(f"{path}: there is no sitting")
        if head:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            with open(path + ".new", "w") as file:
                file.writelines(json.dumps(line) + "\n" for line in self.lines)
            os.replace(path + ".new", path)

    def add(self, line):
        self.lines.append(line)
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def has(self, **keys):
        return any(all(line.get(k) == v for k, v in keys.items()) for line in self.lines)

    def facts(self, model, engine="vitjit"):
        """what the command said of itself, or {}"""
        own = (line["facts"] for line in self.lines if line["what"] == "facts" and (line["model"], line["engine"]) == (model, engine))
        return next(own, {})

    def precision(self, engine):
        """what an engine computes in, or None"""
        return next((line["precision"] for line in self.lines if line["what"] == "precision" and line["engine"] == engine), None)

    @property
    def machine(self):
        return next((line["machine"] for line in self.lines if line["what"] == "machine"), None)
