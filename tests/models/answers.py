# SPDX-License-Identifier: Apache-2.0
"""How far answers are from those in double precision, and which outputs can be judged so.

A model has its answers beside it: MODEL.npz with in_NAME, out_NAME (ONNX Runtime's, in the model's order) and f64_I (PyTorch's in double precision;
of some models there is none, and ONNX Runtime's stand in), or MODEL.in.npy, MODEL.out.npy and MODEL.f64.npy as export.py writes them.
"""
import os
import re
import subprocess
import tempfile

import numpy as np
import onnx
import onnx.inliner

LEAST_COSINE = 0.9995
SELECTIONS = {"TopK", "NonMaxSuppression", "NonZero", "Unique", "ArgMax", "ArgMin", "Equal", "Greater", "GreaterOrEqual", "Less",
              "LessOrEqual", "Compress"}
SIZES = {"Shape", "Size"}


class Failed(RuntimeError):
    """An engine does not run a model; the text says why."""


def distance(got, want):
    """-> 1 - cosine of the two as vectors, exact where it is small; elements that are not finite in `want` (masks) must be the same"""
    got, want = got.astype("f8").ravel(), want.astype("f8").ravel()
    finite = np.isfinite(want)
    if not np.array_equal(got[~finite], want[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return 2.0
    got, want = got[finite], want[finite]
    lengths = np.linalg.norm(got), np.linalg.norm(want)
    if min(lengths) == 0:
        return float(max(lengths) > 0)
    return float(np.sum((got / lengths[0] - want / lengths[1]) ** 2) / 2)


def largest_error(got, want):
    """over the largest element of `want`"""
    finite = np.isfinite(want)
    got, want = got[finite].astype("f8"), want[finite].astype("f8")
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-30)) if want.size else 0.0


def is_selection(node):
    if node.op_type == "Cast":
        to = next(a.i for a in node.attribute if a.name == "to")
        return to in (onnx.TensorProto.BOOL, *(t for name, t in onnx.TensorProto.DataType.items() if re.fullmatch(r"U?INT\d+", name)))
    return node.op_type in SELECTIONS


def bodies(node):
    return [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]


def all_inputs(node):
    """of the node and of what its bodies read"""
    return [*node.input, *(name for body in bodies(node) for inner in body.node for name in all_inputs(inner))]


def selects(node):
    return is_selection(node) or any(selects(inner) for body in bodies(node) for inner in body.node)


def behind_selection(path):
    """-> names of the outputs that are made with a choice that the data decides: there an error of one digit may give another answer"""
    model = onnx.load(path, load_external_data=False)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    weights = {w.name for w in model.graph.initializer}
    varying, chosen = {i.name for i in model.graph.input} - weights, set()
    for node in model.graph.node:
        reads = set(all_inputs(node))
        if node.op_type in SIZES or not reads & varying:
            continue
        varying.update(node.output)
        if reads & chosen or selects(node) or (node.op_type == "If" and node.input[0] in varying):
            chosen.update(node.output)
    return {o.name for o in model.graph.output} & chosen


def answers_of(path):
    """-> {input: array}, {output: what it should be}"""
    stem = path[: -len(".onnx")]
    if not os.path.exists(stem + ".npz"):
        return {"image": np.load(stem + ".in.npy")}, {"logits": np.load(stem + ".f64.npy")}
    data = np.load(stem + ".npz")
    feeds = {key[3:]: data[key] for key in data.files if key.startswith("in_")}
    truths = {}
    for i, key in enumerate(key for key in data.files if key.startswith("out_")):
        exact = f"f64_{i}"
        fits = exact in data.files and data[exact].shape == data[key].shape and data[key].dtype.kind == "f"
        truths[key[4:]] = data[exact] if fits else data[key]
    return feeds, truths


def judged_outputs(path, truths):
    chosen = behind_selection(path)
    return [name for name, truth in truths.items() if truth.dtype.kind == "f" and truth.size and name not in chosen]


def file_name(name):
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".npy"


def run_vitjit(vitjit, model, feeds, precision, *options):
    """-> {output's file name: array}"""
    with tempfile.TemporaryDirectory() as folder:
        results = os.path.join(folder, "out")
        os.mkdir(results)
        command = [vitjit, model, "--precision", precision, "--output", results, "--no-cache", "--quiet", *options]
        for i, (name, value) in enumerate(feeds.items()):
            np.save(os.path.join(folder, f"{i}.npy"), value)
            command += ["--input", f"{name}={folder}/{i}.npy"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise Failed(f"exit status {done.returncode}: {(done.stderr.strip().splitlines() or ['no message'])[0][:300]}")
        return {file: np.load(os.path.join(results, file)) for file in os.listdir(results)}
