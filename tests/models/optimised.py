#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Saves a model as ONNX Runtime's optimiser leaves it, with the original's inputs and answers beside it.

usage: optimised.py MODEL.onnx DIR [--level basic|extended]... [--transformers vit|bert|clip|swin --heads N --hidden N]

Writes DIR/STEM.LEVEL.onnx for each level (SessionOptions.optimized_model_filepath) or DIR/STEM.TYPE.onnx
(onnxruntime.transformers.optimizer), and copies STEM's .npz or .in.npy, .out.npy and .f64.npy.
"""
import argparse
import collections
import os
import shutil

import onnx
import onnxruntime

LEVELS = {"basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
          "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED}


def saved(source, path, level):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = LEVELS[level]
    options.optimized_model_filepath = path
    options.add_session_config_entry("session.x64quantprecision", "1")
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def by_transformers(source, path, model_type, heads, hidden):
    from onnxruntime.transformers import optimizer

    optimizer.optimize_model(source, model_type, num_heads=heads, hidden_size=hidden, opt_level=0).save_model_to_file(path)


def optimise(source, folder, kind, heads=0, hidden=0, stem=None):
    stem = stem or f"{os.path.basename(source)[:-5]}.{kind}"
    path = os.path.join(folder, stem + ".onnx")
    if kind in LEVELS:
        saved(source, path, kind)
    else:
        by_transformers(source, path, kind, heads, hidden)
    for suffix in ("npz", "in.npy", "out.npy", "f64.npy"):
        answers = f"{source[:-5]}.{suffix}"
        if os.path.exists(answers) and os.path.abspath(answers) != os.path.abspath(os.path.join(folder, f"{stem}.{suffix}")):
            shutil.copyfile(answers, os.path.join(folder, f"{stem}.{suffix}"))
    ops = collections.Counter(n.op_type for n in onnx.load(path, load_external_data=False).graph.node if n.domain == "com.microsoft")
    print(f"{stem:40s} {dict(ops)}", flush=True)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dir")
    parser.add_argument("--level", action="append", default=[], choices=list(LEVELS))
    parser.add_argument("--transformers", choices=["vit", "bert", "clip", "swin"])
    parser.add_argument("--heads", type=int, default=0)
    parser.add_argument("--hidden", type=int, default=0)
    a = parser.parse_args()
    os.makedirs(a.dir, exist_ok=True)
    for level in a.level or ([] if a.transformers else list(LEVELS)):
        optimise(a.model, a.dir, level)
    if a.transformers:
        optimise(a.model, a.dir, a.transformers, a.heads, a.hidden)


if __name__ == "__main__":
    main()
