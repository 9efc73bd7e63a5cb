#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Quantises models of the families with the tools that people use, and holds vitjit's answers to ONNX Runtime's.

usage: quantised.py VITJIT FOLDER NAME [KIND...]     KIND: see quantise.py; without any seven of them

A quantised graph makes steps of the grid of roundings, where a number stands beside the middle between two bytes, and they spread. So an answer
is judged by how far ONNX Runtime is from itself: vitjit's answer may be twice as far from ONNX Runtime's without graph optimisations as the
farthest of ONNX Runtime's own is: that with them, and those of the model with each float constant changed by up to 2^-22 of itself, as
float32's roundings do. FLOOR is added, a quarter of a step of an output of bytes. Each row must have a cosine of 0.99. The
same bits on one thread and on two. The pictures are noise, four in a batch; those to calibrate with are others. Closing line: 'N passed, N failed'.
"""
import argparse
import contextlib
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch

from answers import run_vitjit
from export import write_onnx
from families import family, names
from quantise import KINDS, LEVELS, changed, quantise, session

USUAL = ("dynamic_u8", "dynamic_s8", "qdq_u8s8", "operator_u8s8", "transformers_js", "nbits_4", "nncf")
FLOOR = 1e-3
PICTURES, CHANGES = 4, 4


def distance(got, want):
    """of vectors, over the length of `want`"""
    return float(np.linalg.norm(got.astype("f8") - want) / np.linalg.norm(want.astype("f8")))


def least_cosine(got, want):
    a, b = (x.astype("f8").reshape(-1, x.shape[-1]) for x in (got, want))
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())


def check(vitjit, path, image):
    """-> what is wrong, figures"""
    want = session(path).run(None, {"image": image})[0]
    model = onnx.load(path)
    others = [session(changed(model, seed, 2**-22).SerializeToString()) for seed in range(CHANGES)]
    with contextlib.suppress(onnxruntime.capi.onnxruntime_pybind11_state.Fail):  # its optimiser fails on some with exact products
        others.append(session(path, LEVELS.ORT_ENABLE_ALL))
    own = max(distance(other.run(None, {"image": image})[0], want) for other in others)
    got, again = (run_vitjit(vitjit, path, {"image": image}, "f32", "-j", j)["logits.npy"] for j in ("1", "2"))
    off, cosine = distance(got, want), least_cosine(got, want)
    figures = f"{off:.1e} off, ONNX Runtime {own:.1e}; cosine {cosine:.5f}"
    if got.tobytes() != again.tobytes():
        return "other bits with two threads", figures
    if not off <= 2 * own + FLOOR:
        return "too far off", figures
    return "" if cosine >= 0.99 else "the cosine", figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("folder")
    parser.add_argument("name", choices=names("tiny"))
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []])
    a = parser.parse_args()
    torch.set_num_threads(1)
    scale = "full" if a.name in names("full") else "tiny"
    module, side = family(a.name, scale)
    image = torch.randn(PICTURES, 3, side, side, generator=torch.Generator().manual_seed(3))
    failed, kinds = 0, a.kinds or USUAL
    with tempfile.TemporaryDirectory(dir=a.folder) as folder:
        source = os.path.join(folder, "source.onnx")
        write_onnx(module, image, source, "ts", 17, False)
        for kind in kinds:
            path = os.path.join(folder, kind + ".onnx")
            try:
                quantise(source, path, kind, tuple(image.shape))
                wrong, figures = check(a.vitjit, path, image.numpy())
            except Exception as problem:  # of any tool: the others are still compared
                wrong, figures = f"{type(problem).__name__}: {problem}"[:300], ""
            failed += bool(wrong)
            print(f"{'FAIL' if wrong else 'ok  '} {a.name + '.' + kind:28s} {figures} {wrong}", flush=True)
    print(f"{len(kinds) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
