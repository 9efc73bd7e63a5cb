#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs ONNX's backend node tests through `vitjit MODEL --no-cache --test DIR` and compares with the list of refusals.

    node_tests.py VITJIT FOLDER [--update] [NAME...]        needs onnx

FOLDER holds one folder a case, with model.onnx and test_data_set_0. In scope is what uses plain tensors only: no sequences
or optionals, strings, loops, and no element types of less than 8 bits or floats of 8 bits; computed from the models.

A case passes with exit status 0 and is refused with 3. Any other status, a signal or a timeout is wrong. refused.txt has a
line a case that is refused: its name, a tab, the reason. A case that is refused and not listed fails, and so does one that
is listed and passes. --update writes the list anew (all cases, no NAME); what is wrong stays wrong.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

import onnx
from onnx import AttributeProto, TensorProto

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "refused.txt"
SECONDS = 120
SMALL_TYPES = {value for name, value in TensorProto.DataType.items()
               if re.fullmatch(r"FLOAT[48]\w*|U?INT[24]|STRING|COMPLEX\d+", name) and name not in ("FLOAT", "FLOAT16")}
# Their recorded answers were computed in complex64 and are 1.5e-6 off the transform, where that is 0 (ONNX Runtime's are 1.9e-5 off).
NOISY = {"test_dft_inverse": "2e-6", "test_dft_inverse_opset19": "2e-6"}
LOOPS = {"Loop", "Scan", "SequenceMap"}


def graphs(graph):
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs):
                yield from graphs(inner)


def is_plain(graph):
    """Has the graph nothing but plain tensors, and no loops?"""
    for node in graph.node:
        if node.op_type in LOOPS:
            return False
        for a in node.attribute:
            if a.type == AttributeProto.TENSOR and a.t.data_type in SMALL_TYPES:
                return False
            if node.op_type in ("Cast", "BitCast") and a.name == "to" and a.i in SMALL_TYPES:
                return False
    values = [*graph.input, *graph.output, *graph.value_info]
    return all(v.type.WhichOneof("value") == "tensor_type" and v.type.tensor_type.elem_type not in SMALL_TYPES for v in values)


def in_scope(folder):
    return all(map(is_plain, graphs(onnx.load(folder / "model.onnx").graph)))


def reason_of(text):
    """The message without paths, and without what names values of this one model."""
    lines = [line for line in text.splitlines() if line.startswith("vitjit: ") and "warning: " not in line]
    reason = lines[0] if lines else "no message"
    reason = re.sub(r"^vitjit: (\S*/\S*: )*", "", reason)
    return re.sub(r" \(\d+: '[^)]*\)", "", reason).strip()[:160]


def run(vitjit, folder):
    command = [vitjit, str(folder / "model.onnx"), "--no-cache", "--test", str(folder)]
    if folder.name in NOISY:
        command += ["--atol", NOISY[folder.name]]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        return folder.name, "timeout", ""
    return folder.name, done.returncode, done.stderr or done.stdout


def read_list():
    lines = LIST.read_text().splitlines() if LIST.exists() else []
    return dict(line.split("\t", 1) for line in lines if line and not line.startswith("#"))


def write_list(refused):
    head = "# Cases in scope that are refused with exit status 3, and why. Written by scripts/node-tests --update.\n"
    LIST.write_text(head + "".join(f"{name}\t{reason}\n" for name, reason in sorted(refused.items())))


def main():
    words = sys.argv[1:]
    update = "--update" in words
    vitjit, root, *names = [w for w in words if w != "--update"]
    folders = sorted(f for f in pathlib.Path(root).iterdir() if (f / "model.onnx").exists())
    chosen = [f for f in folders if in_scope(f)]
    print(f"{len(chosen)} cases of {len(folders)} use plain tensors and no loops")
    if names:
        chosen = [f for f in chosen if any(n in f.name for n in names)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda f: run(vitjit, f), chosen))
    passed = {name for name, status, _ in results if status == 0}
    refused = {name: reason_of(text) for name, status, text in results if status == 3}
    wrong = {name: (status, text) for name, status, text in results if status not in (0, 3)}
    if update and not names:
        write_list(refused)
    listed = read_list()
    for name, (status, text) in wrong.items():
        print(f"WRONG {name}: {status}: {text.strip()[:300]}")
    surprises = [f"REFUSED {n}, which is not listed: {refused[n]}" for n in refused if n not in listed]
    surprises += [f"PASSED {n}, which refused.txt lists" for n in sorted(passed) if n in listed]
    if not names:
        surprises += [f"LISTED {n}, which is no case in scope" for n in listed if n not in {f.name for f in chosen}]
    print("\n".join(surprises), end="\n" if surprises else "")
    print(f"{len(passed)} passed, {len(refused)} refused, {len(wrong)} wrong")
    failed = len(wrong) + len(surprises)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
