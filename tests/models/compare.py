#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs vitjit on exported models (export.py) and judges its answers.

usage: compare.py VITJIT STEM... [--rtol 1e-4]     STEM.onnx has STEM.in.npy, STEM.out.npy and STEM.f64.npy beside it

An answer passes when no element differs from ONNX Runtime's by more than rtol of the largest, every row has the same
largest element (ties aside) and a cosine of at least 0.99999, and its largest error against the double-precision truth
is at most 3 times ONNX Runtime's own (plus 1e-6 of the scale). With --precision bf16 every row must have a cosine of at least
0.9995 with the double-precision truth, but of spiky models, where it is only printed. In each precision it must have the same bits with 1, 2 and
3 threads, and on a second start, which must hit the cache. Closing line: 'N passed, N failed'.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from answers import LEAST_COSINE, distance


def judge(got, want, truth, rtol):
    """'' or what is wrong."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{got.shape}, not {want.dtype}{want.shape}"
    if not np.isfinite(got).all():
        return "not finite"
    got, want = got.astype("f8"), want.astype("f8")
    scale = np.abs(want).max() + 1e-3
    if not np.abs(got - want).max() <= rtol * scale:
        return f"error {np.abs(got - want).max() / scale:.1e} of the largest"
    a, b = got.reshape(-1, got.shape[-1]), want.reshape(-1, want.shape[-1])
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    if not (cosine >= 0.99999).all():
        return f"a row's cosine is {cosine.min():.6f}"
    chosen = np.take_along_axis(b, a.argmax(1)[:, None], 1)[:, 0]
    if (b.max(1) - chosen > 1e-5 * scale).any():
        return "another largest element"
    mine, theirs = np.abs(got - truth).max(), np.abs(want - truth).max()
    return "" if mine <= 3 * (theirs + 1e-6 * scale) else f"{mine / theirs:.1f} times ONNX Runtime's error"


def farthest_row(got, truth):
    return max(distance(a, b) for a, b in zip(got.reshape(-1, got.shape[-1]), truth.reshape(-1, truth.shape[-1])))


def run(vitjit, stem, precision, folder, cache, threads):
    """The output's bytes and the stats."""
    command = [vitjit, stem + ".onnx", "--input", f"image={stem}.in.npy", "--output", folder, "--cache", cache, "-j", str(threads),
               "--precision", precision, "--stats"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip().splitlines()[0] if done.stderr.strip() else ''}")
    with open(os.path.join(folder, "logits.npy"), "rb") as file:
        return file.read(), json.loads(done.stdout.splitlines()[-1])


def same_on_every_start(vitjit, stem, precision, folder):
    """Leaves the answer in the folder -> what is wrong"""
    cache = os.path.join(folder, "cache")
    first, stats = run(vitjit, stem, precision, folder, cache, 1)
    if stats["cache_hit"]:
        return f"{precision}: a hit in a cache without it"
    for threads in (2, 3):
        again, stats = run(vitjit, stem, precision, folder, cache, threads)
        if again != first:
            return f"{precision}: other bits with {threads} threads"
        if not stats["cache_hit"]:
            return f"{precision}: no hit on the second start"
    return ""


def check(vitjit, stem, rtol):
    """-> what is wrong, 1 - cosine of the farthest row in bf16"""
    truth = np.load(stem + ".f64.npy")
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "logits.npy")
        wrong = same_on_every_start(vitjit, stem, "f32", folder) or judge(np.load(output), np.load(stem + ".out.npy"), truth, rtol)
        if wrong:
            return wrong, None
        wrong, far = same_on_every_start(vitjit, stem, "bf16", folder), farthest_row(np.load(output), truth)
    if not wrong and far > 1 - LEAST_COSINE and "spiky" not in os.path.basename(stem):
        wrong = f"bf16: a row's cosine is {1 - far:.6f}"
    return wrong, far


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("stems", nargs="+")
    parser.add_argument("--rtol", type=float, default=1e-4)
    a = parser.parse_args()
    failed = 0
    for stem in a.stems:
        try:
            wrong, far = check(a.vitjit, stem, a.rtol)
        except (RuntimeError, subprocess.TimeoutExpired, OSError) as problem:
            wrong, far = str(problem), None
        failed += bool(wrong)
        print(f"{'FAIL' if wrong else 'ok  '} {os.path.basename(stem):40s} {f'bf16 {far:.1e}' if far is not None else '':13s} {wrong}", flush=True)
    print(f"{len(a.stems) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
