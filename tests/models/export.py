#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports a model family to ONNX with its input and the answers to judge by.

usage: export.py DIR NAME [--scale tiny|full] [--exporter ts|dynamo] [--opset N] [--batch N] [--dynamic] [--spiky] [--as STEM]

Writes DIR/STEM.onnx, STEM.in.npy (seeded images), STEM.out.npy (ONNX Runtime, graph optimisations off) and STEM.f64.npy
(PyTorch in double precision: the truth that errors are measured against). Versions: scripts/requirements.txt.
"""
import argparse
import contextlib
import copy
import io
import os
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnxruntime
import torch

from families import family, names


def write_onnx(model, image, path, exporter, opset, dynamic):
    labels = dict(input_names=["image"], output_names=["logits"])
    with contextlib.redirect_stdout(io.StringIO()):
        if exporter == "ts":
            axes = {"image": {0: "batch"}, "logits": {0: "batch"}} if dynamic else None
            torch.onnx.export(model, (image,), path, opset_version=opset, dynamo=False, dynamic_axes=axes, **labels)
        else:
            shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if dynamic else None
            torch.onnx.export(model, (image,), path, opset_version=opset, dynamo=True, external_data=False, verbose=False,
                              dynamic_shapes=shapes, **labels)


def export(folder, name, stem, scale="tiny", exporter="ts", opset=17, batch=1, dynamic=False, spiky=False):
    model, side = family(name, scale, spiky)
    image = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(3))
    path = os.path.join(folder, stem + ".onnx")
    write_onnx(model, image, path, exporter, opset, dynamic)
    with torch.no_grad():
        truth = copy.deepcopy(model).double()(image.double()).numpy()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    answer = session.run(None, {"image": image.numpy()})[0]
    for suffix, array in (("in", image.numpy()), ("out", answer), ("f64", truth)):
        np.save(os.path.join(folder, f"{stem}.{suffix}.npy"), array)
    error = float(np.abs(answer - truth).max())
    print(f"{stem:40s} {os.path.getsize(path) / 1e6:7.2f} MB  ONNX Runtime's error {error:.1e}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("name", choices=names("tiny"))
    parser.add_argument("--scale", default="full", choices=["tiny", "full"])
    parser.add_argument("--exporter", default="ts", choices=["ts", "dynamo"])
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument("--spiky", action="store_true")
    parser.add_argument("--as", dest="stem")
    a = parser.parse_args()
    os.makedirs(a.dir, exist_ok=True)
    export(a.dir, a.name, a.stem or f"{a.name}.{a.exporter}{a.opset}", a.scale, a.exporter, a.opset, a.batch, a.dynamic, a.spiky)


if __name__ == "__main__":
    main()
