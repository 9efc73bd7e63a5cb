# SPDX-License-Identifier: Apache-2.0
"""A line of progress on stderr: a bar, what is under way, how long it will still take."""
import sys
import time


class Progress:
    """Steps have kinds, whose times differ: what is left is judged by the average of each."""

    def __init__(self, counts):
        self.left, self.spent, self.done = dict(counts), {}, {}
        self.total = sum(counts.values())
        self.terminal = sys.stderr.isatty()
        self.last = None

    def seconds_left(self):
        known = sum(self.done.values())
        if known == 0:
            return None
        overall = sum(self.spent.values()) / known
        mean = lambda kind: self.spent[kind] / self.done[kind] if self.done.get(kind) else overall
        return sum(count * mean(kind) for kind, count in self.left.items())

    def step(self, kind, name):
        """Around one step: with progress.step("latency", "vit -j2"): ..."""
        return Step(self, kind, name)

    def show(self, name):
        done = sum(self.done.values())
        part = done / self.total if self.total else 1
        left = self.seconds_left()
        clock = "" if left is None else f", {int(left) // 3600}:{int(left) // 60 % 60:02}:{int(left) % 60:02} left"
        if self.terminal:
            bar = "#" * int(part * 30)
            print(f"\r\033[K[{bar:30}] {done} of {self.total}{clock}  {name}", end="", file=sys.stderr, flush=True)
        elif name != self.last:
            print(f"{done} of {self.total}{clock}: {name}", file=sys.stderr, flush=True)
        self.last = name

    def print(self, text):
        print(("\r\033[K" if self.terminal else "") + text, file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Step:
    def __init__(self, progress, kind, name):
        self.progress, self.kind, self.name = progress, kind, name

    def __enter__(self):
        self.progress.show(self.name)
        self.start = time.monotonic()

    def __exit__(self, *_):
        p = self.progress
        p.left[self.kind] -= 1
        p.done[self.kind] = p.done.get(self.kind, 0) + 1
        p.spent[self.kind] = p.spent.get(self.kind, 0) + time.monotonic() - self.start
