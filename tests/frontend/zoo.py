#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Imports exported models and evaluates them in double precision: zoo.py MODEL_EVAL FILE.onnx...

Beside FILE.onnx lies FILE.npz with in_<name>, out_<name> (ONNX Runtime's answer) and f64_<i> (the same model in double).
"""
import pathlib, subprocess, sys, tempfile
import numpy as np


def check(tool, path, tmp):
    data = np.load(path.with_suffix(".npz"))
    names = [k for k in data if k.startswith("in_")]
    files = []
    for i, k in enumerate(names):
        files.append(f"{tmp}/{i}.raw")
        data[k].astype("<f4").tofile(files[-1])
    batch = data[names[0]].shape[0]
    done = subprocess.run([tool, str(path), str(batch), *files], capture_output=True)
    if done.returncode:
        return f"status {done.returncode}: {done.stderr.decode().strip()}", False
    got = np.frombuffer(done.stdout, "<f8")
    want = np.concatenate([data[k].ravel() for k in data if k.startswith("f64_")])
    ort = np.concatenate([data[k].ravel() for k in data if k.startswith("out_")])
    if got.size != want.size:
        return f"{got.size} numbers, not {want.size}", False
    scale = np.abs(want).max()
    error, ort_error = np.abs(got - want).max() / scale, np.abs(ort - want).max() / scale
    return f"error {error:.2e} (ONNX Runtime's {ort_error:.2e})", bool(error < 1e-5)


def main():
    bad = 0
    with tempfile.TemporaryDirectory() as tmp:
        for name in sys.argv[2:]:
            text, ok = check(sys.argv[1], pathlib.Path(name), tmp)
            bad += not ok
            print("ok  " if ok else "FAIL", name, text, flush=True)
    sys.exit(1 if bad else 0)


main()
