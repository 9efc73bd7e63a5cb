# SPDX-License-Identifier: Apache-2.0
"""The engines that bench/compare.py compares, each in processes of its own: threads of one that spin would slow the others.

A latency or throughput engine is opened once a case and asked in turns; one that waits for its turn is stopped (SIGSTOP). vitjit is
started anew for every turn: with a warm cache it is ready within milliseconds. `vitjit` computes in f32, `vitjit_bf16` in bf16, `vitjit_int8` in int8;
BESIDE says which peers each is compared with. `ort_int8` is ONNX Runtime on what its own tools make of the model: dynamic, weights i8 by columns.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

OURS = {"vitjit": "f32", "vitjit_bf16": "bf16", "vitjit_int8": "int8"}
BESIDE = {"vitjit": ["ort", "ov", "ov_default"], "vitjit_bf16": ["ov_default", "ov_bf16"], "vitjit_int8": ["ov_default", "ort_int8"]}
PEERS = ["ort", "ov", "ov_default", "ov_bf16", "ort_int8"]
LABELS = {"vitjit": "vitjit", "vitjit_bf16": "vitjit bf16", "vitjit_int8": "vitjit int8", "ort": "ONNX Runtime", "ov": "OpenVINO", "ov_default": "OpenVINO, its own defaults",
          "ov_bf16": "OpenVINO bf16", "ort_int8": "ONNX Runtime int8"}
HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(RuntimeError):
    """An engine cannot do this model; the text is its last line."""


def last_line(text):
    return (text.strip().splitlines() or ["no message"])[-1][:300]


def measured(command):
    """Runs a process -> the last JSON object that it prints, wall time in ms"""
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    wall = (time.perf_counter() - start) * 1e3
    if done.returncode:
        raise Failed(last_line(done.stderr))
    return json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1]), wall


class Peer:
    """ONNX Runtime or OpenVINO (peer.py), stopped but when it is asked."""

    def __init__(self, name, model, threads, batch, sessions=0):
        command = [sys.executable, os.path.join(HERE, "peer.py"), name, model, str(threads), str(batch), "--sessions", str(sessions)]
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.facts = self.answer()
        self.process.send_signal(signal.SIGSTOP)

    def answer(self):
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):
            line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        raise Failed(last_line(self.errors.read().decode(errors="replace")))

    def run_round(self, seconds):
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(f"{seconds}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says why
        answer = self.answer()
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            stream.close()


class Vitjit:
    def __init__(self, name, vitjit, model, threads, batch, cache, sessions=0):
        precision = OURS[name]
        self.facts = {"precision": precision}
        if sessions:
            program = os.path.join(os.path.dirname(os.path.abspath(vitjit)), "bench", "throughput")
            self.command = lambda seconds: [program, model, str(sessions), str(seconds), str(threads), cache, precision]
        else:
            many = ["--batch", str(batch)] if batch > 1 else []  # a graph may have its own baked in
            common = [vitjit, model, "--quiet", "--stats", "--cache", cache, "-j", str(threads), "--precision", precision, *many]
            self.command = lambda seconds: [*common, "--bench", str(seconds)]
        measured(self.command(0.01))  # fills the cache

    def run_round(self, seconds):
        answer, _ = measured(self.command(seconds))
        keys = ("min_ms", "median_ms", "p99_ms", "runs", "images_per_s")
        return {key: answer[key] for key in keys if key in answer}

    def close(self):
        pass


def start_of_vitjit(name, vitjit, model, threads):
    """The whole process to its first result: empty cache, then one that finds it full -> figures, facts"""
    with tempfile.TemporaryDirectory() as cache:
        command = [vitjit, model, "--quiet", "--stats", "--cache", cache, "-j", str(threads), "--precision", OURS[name]]
        facts, cold = measured(command)
        again, warm = measured(command)
    return {"cold_ms": cold, "warm_ms": warm, "cold_rss": facts["peak_rss_bytes"], "warm_rss": again["peak_rss_bytes"]}, facts


def start_of_peer(name, model, threads):
    """From the import of its library to its first result: without a cache, then as a second start with one."""
    command = [sys.executable, os.path.join(HERE, "peer.py"), name, model, str(threads), "1", "--once"]
    cold, _ = measured(command)
    with tempfile.TemporaryDirectory() as cache:
        measured([*command, "--cache", cache])
        warm, _ = measured([*command, "--cache", cache])
    return {"cold_ms": cold["first_ms"], "warm_ms": warm["first_ms"], "cold_rss": cold["peak_rss_bytes"], "warm_rss": warm["peak_rss_bytes"]}
