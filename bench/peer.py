#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One engine beside vitjit, in a process of its own: what bench/compare.py starts, stops and asks.

usage: peer.py ENGINE MODEL.onnx THREADS BATCH [--sessions N] [--cache FOLDER] [--once]

ENGINE is `ort` (ONNX Runtime), `ov` (OpenVINO, told to compute in float32), `ov_bf16` (told to compute in bfloat16, which it does where the CPU has
it), `ov_default` (OpenVINO as it comes) or `ort_int8` (ONNX Runtime on the model as its tools quantise it, dynamically with i8 weights by columns). Prints one JSON object when it has its first result: first_ms (from the import of the engine's library), precision and
peak_rss_bytes (of the process until then); --once ends there. Then every line of stdin, a number of seconds, is answered by one: min_ms, median_ms and runs of one caller; with
--sessions, images_per_s, median_ms, p99_ms and runs of that many callers at once: ONNX Runtime with one session and one global pool,
OpenVINO with its THROUGHPUT hint and a request a caller. --cache: ONNX Runtime's optimised model or OpenVINO's cache is kept there.
"""
import argparse
import ctypes
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

import numpy as np

TYPES = {"tensor(float)": "f4", "tensor(double)": "f8", "tensor(float16)": "f2", "tensor(int64)": "i8", "tensor(int32)": "i4",
         "tensor(bool)": "?", "tensor(uint8)": "u1", "tensor(int8)": "i1"}
LEAST_RUNS = 3
WARM_UP_SECONDS = 0.3


def die_with_parent():
    """A stopped process would stay for ever if the one that stopped it were killed: prctl(PR_SET_PDEATHSIG, SIGKILL)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def peak_rss():
    """bytes; getrusage's begins with the process that started this one, if that was larger"""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def values(shape, dtype):
    random = np.random.default_rng(0)
    dtype = np.dtype(dtype)
    return random.standard_normal(shape).astype(dtype) if dtype.kind == "f" else random.integers(0, 2, shape).astype(dtype)


def quantised(model):
    """-> the model as ONNX Runtime's tools quantise it, kept beside other temporary files"""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    facts = os.stat(model)
    name = hashlib.sha256(f"{os.path.realpath(model)} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:16]
    kept = os.path.join(tempfile.gettempdir(), f"vitjit-peer-{name}.int8.onnx")
    if not os.path.exists(kept):
        with tempfile.TemporaryDirectory() as folder:
            prepared, made = os.path.join(folder, "prepared.onnx"), os.path.join(folder, "int8.onnx")
            quant_pre_process(model, prepared, skip_symbolic_shape=True)
            quantize_dynamic(prepared, made, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"])
            shutil.move(made, kept)
    return kept


def onnx_runtime(a):
    """-> a function that makes a caller's run, precision"""
    import onnxruntime as ort

    options, model = ort.SessionOptions(), a.model
    options.log_severity_level = 3
    if a.sessions:
        ort.set_global_thread_pool_sizes(a.threads, 1)
        options.use_per_session_threads = False
    else:
        options.intra_op_num_threads = a.threads
    if a.cache:
        saved = os.path.join(a.cache, "optimised.onnx")
        if os.path.exists(saved):
            model, options.graph_optimization_level = saved, ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        else:
            options.optimized_model_filepath = saved
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {i.name: values([d if isinstance(d, int) else a.batch for d in i.shape], TYPES[i.type]) for i in session.get_inputs()}
    return lambda: lambda: session.run(None, feeds), "int8" if a.engine == "ort_int8" else "f32"


def openvino(a):
    import openvino as ov

    core = ov.Core()
    if a.cache:
        core.set_property({"CACHE_DIR": a.cache})
    model = core.read_model(a.model)
    shapes = {i: [d.get_length() if d.is_static else a.batch for d in i.partial_shape] for i in model.inputs}
    if any(i.partial_shape.is_dynamic for i in model.inputs):
        model.reshape(shapes)
    settings = {"INFERENCE_NUM_THREADS": a.threads, "PERFORMANCE_HINT": "THROUGHPUT" if a.sessions else "LATENCY"}
    if a.engine != "ov_default":
        settings["INFERENCE_PRECISION_HINT"] = "bf16" if a.engine == "ov_bf16" else "f32"
    compiled = core.compile_model(model, "CPU", settings)
    type_name = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
    precision = next((short for long, short in (("bfloat16", "bf16"), ("float16", "f16"), ("float32", "f32")) if long in type_name), type_name)
    data = [values(shapes[i], i.element_type.to_dtype()) for i in model.inputs]

    def caller():
        request = compiled.create_infer_request()
        return lambda: request.infer(data)

    return caller, precision


def alone(run, seconds):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 2:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    times.sort()
    return {"min_ms": times[0] * 1e3, "median_ms": times[len(times) // 2] * 1e3, "runs": len(times)}


def together(runs, seconds):
    """Each caller runs again as soon as it has an answer; runs that began and ended within the time count, which goes on
    until each has had its least number of them (as in throughput.c)."""
    begin = time.perf_counter() + WARM_UP_SECONDS
    end, times = begin + seconds, [[] for _ in runs]

    def some_wait():
        return any(len(kept) < LEAST_RUNS for kept in times)

    def serve(run, kept):
        while True:
            start = time.perf_counter()
            if start >= end and not some_wait():
                return
            run()
            stop = time.perf_counter()
            if start >= begin and (stop <= end or some_wait()):
                kept.append(stop - start)

    threads = [threading.Thread(target=serve, args=pair) for pair in zip(runs, times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_times = sorted(t for kept in times for t in kept)
    count = len(all_times)
    return {"images_per_s": len(runs) * count / sum(all_times), "median_ms": all_times[count // 2] * 1e3,
            "p99_ms": all_times[(count * 99 + 99) // 100 - 1] * 1e3, "runs": count}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["ort", "ov", "ov_default", "ov_bf16", "ort_int8"])
    parser.add_argument("model")
    parser.add_argument("threads", type=int)
    parser.add_argument("batch", type=int)
    parser.add_argument("--sessions", type=int, default=0)
    parser.add_argument("--cache")
    parser.add_argument("--once", action="store_true")
    a = parser.parse_args()
    die_with_parent()
    if a.engine == "ort_int8":
        a.model = quantised(a.model)
    start = time.perf_counter()
    caller, precision = onnx_runtime(a) if a.engine.startswith("ort") else openvino(a)
    runs = [caller() for _ in range(max(1, a.sessions))]
    runs[0]()
    print(json.dumps({"first_ms": (time.perf_counter() - start) * 1e3, "precision": precision, "peak_rss_bytes": peak_rss()}), flush=True)
    if a.once:
        return
    for line in sys.stdin:
        print(json.dumps(together(runs, float(line)) if a.sessions else alone(runs[0], float(line))), flush=True)


if __name__ == "__main__":
    main()
