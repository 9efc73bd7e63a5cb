#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports application models of transformers (application_table.py), runs them with vitjit and judges the answers by ONNX Runtime's.

usage: applications.py VITJIT FOLDER [NAME...] [--jobs N] [--limit SECONDS] [--minutes M]    FOLDER holds the exports meanwhile

Each model is a process of its own with a limit of time, and is exported by both exporters. No element may differ from ONNX Runtime's (graph
optimisations off) by more than 1e-4 of the largest, and the largest error against PyTorch in double precision may be 3 times ONNX Runtime's own (plus
1e-6 of the largest), where PyTorch's two answers and ONNX Runtime's agree. Behind a choice that the data makes (queries picked by score), near ties may stand in another
order: then the rows of all such outputs are compared as a set. A row whose outputs hardly move with its inputs fails. What an exporter or ONNX Runtime refuses is named; a model passes when one export at least
was compared and none failed. After --minutes no model is begun: those are named. Of a whole run 40 models must pass. Closing line: 'N passed, N failed,
N exported by neither, N not run'.
"""
import argparse
import concurrent.futures
import contextlib
import copy
import multiprocessing
import os
import re
import sys
import tempfile
import time
import traceback
import warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.modules["torchvision"] = None  # no model of the table needs it, and a broken one is worse than none
import numpy as np
import onnxruntime
import torch
import transformers

from answers import Failed, behind_selection, file_name, run_vitjit
from application_export import OPSETS, write_onnx
from application_table import MODELS
from families import perturb

RTOL = 1e-4
MOVES = 0.02  # of the largest: how far other inputs must move each output at least
LEAST = 40


class Outputs(torch.nn.Module):
    """A model that takes its inputs in the row's order, and gives the outputs of these names."""

    def __init__(self, model, inputs, outputs):
        super().__init__()
        self.model, self.inputs, self.outputs = model, inputs, outputs

    def forward(self, *values):
        out = self.model(**dict(zip(self.inputs, values)))
        flat = []
        for name in self.outputs:
            value = out[name]
            flat += list(value) if isinstance(value, (tuple, list)) else [value]
        return tuple(flat)


HEADS = {"class": 2, "bbox": 2, "score": 2}


def spread(model, gains):
    """Weights of narrow models are too small to tell places apart: they are brought to a gain of 1, those of heads to 2 or the row's, tables of embeddings
    to half of that. Running statistics are no longer 0 and 1."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, module in model.named_modules():
            weight = getattr(module, "weight", None)
            if not isinstance(weight, torch.nn.Parameter) or weight.dim() < 2:
                continue
            gain = next((gain for part, gain in {**gains, **HEADS}.items() if part in name), 1)
            of = 4 if isinstance(module, torch.nn.Embedding) else weight[0].numel()
            weight.copy_(torch.randn(weight.shape, generator=generator) * gain / of ** 0.5)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) * 0.5 + 0.75)
            elif name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.05)
    return model


def settle(model, values):
    """Running statistics near those of what passes here, as training leaves them: far from them layer after layer would drown the picture in its biases."""
    generator = torch.Generator().manual_seed(6)

    def measure(norm, args):
        axes = [0, *range(2, args[0].dim())]
        if args[0].numel() >= 4 * args[0].shape[1]:
            norm.running_mean.copy_(args[0].mean(axes))
            norm.running_var.copy_((args[0].var(axes) + args[0].square().mean()) * (torch.rand(norm.running_var.shape, generator=generator) * 0.5 + 0.75))

    hooks = [m.register_forward_pre_hook(measure) for m in model.modules() if hasattr(m, "running_var") and m.running_var is not None]
    with torch.no_grad():
        model(*values)
    for hook in hooks:
        hook.remove()


def inputs_of(row, seed):
    generator = torch.Generator().manual_seed(seed)
    return tuple(make(generator) for make in row.inputs.values())


def build(row):
    torch.manual_seed(1)
    model = row.make(getattr(transformers, row.cls)(row.config(transformers)).eval())
    model, values = Outputs(spread(perturb(model), row.gains), list(row.inputs), row.outputs).eval(), inputs_of(row, 3)
    if row.settle:
        settle(model, values)
    return model, values


def check_row(row, model, values, answers):
    """A row whose outputs hardly depend on the inputs would hide a wrong answer; one whose model is called in another way than its class gives what
    that gives."""
    with torch.no_grad():
        others = model(*inputs_of(row, 4))
    for name, answer, other in zip(names_of(model, answers), answers, others):
        if answer.is_floating_point() and answer.shape == other.shape and float((answer - other).abs().max()) < MOVES * float(answer.abs().max()):
            raise ValueError(f"{name} is nearly the same for other inputs")
    if plain := getattr(model.model, "as_it_is", None):
        with torch.no_grad():
            expected = Outputs(plain, model.inputs, model.outputs)(*values)
        for name, answer, want in zip(names_of(model, answers), answers, expected):
            if wrong := unlike(answer.numpy(), want.numpy()):
                raise ValueError(f"{name} is not the model's own: {wrong}")


def names_of(model, answers):
    return [f"{model.outputs[0]}_{i}" for i in range(len(answers))] if len(answers) != len(model.outputs) else model.outputs


def truth_of(model, values, answers):
    """PyTorch's outputs in double precision; None where a model insists on float32 inside, or chooses otherwise"""
    try:
        with torch.no_grad():
            truth = copy.deepcopy(model).double()(*(v.double() if v.is_floating_point() else v for v in values))
    except (RuntimeError, TypeError):
        return [None] * len(answers)
    near = [t.shape == a.shape and a.is_floating_point() and a.numel() and float((t - a).abs().max()) <= 1e-4 * float(a.abs().max())
            for t, a in zip(truth, answers)]
    return [t.numpy() if ok else None for t, ok in zip(truth, near)]


def onnx_runtime(path, model, values):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {name: value.numpy() for name, value in zip(model.inputs, values)}
    kept = {i.name for i in session.get_inputs()}  # an exporter drops what is not read
    feeds = {name: value for name, value in feeds.items() if name in kept}
    return feeds, session.run(None, feeds)


def unlike(got, want, truth=None):
    """'' or how an output differs from ONNX Runtime's"""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{got.shape}, not {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        return "" if np.array_equal(got, want) else f"{(got != want).sum()} of {want.size} whole numbers differ"
    if not np.array_equal(np.isfinite(got), np.isfinite(want)) or not np.array_equal(got[~np.isfinite(got)], want[~np.isfinite(want)], equal_nan=True):
        return "other infinities or NaN"
    finite = np.isfinite(want)
    got, want = got[finite].astype("f8"), want[finite].astype("f8")
    if not want.size:
        return ""
    scale = np.abs(want).max() + 1e-30
    if np.abs(got - want).max() > RTOL * scale:
        return f"error {np.abs(got - want).max() / scale:.1e} of the largest"
    if truth is None:
        return ""
    mine, theirs = np.abs(got - truth[finite]).max(), np.abs(want - truth[finite]).max()
    return "" if mine <= 3 * (theirs + 1e-6 * scale) else f"{mine / theirs:.1f} times ONNX Runtime's error"


def rows_of(outputs):
    """The outputs' rows beside each other, one a query, each output over its largest element; None where the outputs have no rows in common"""
    heads = {value.shape[:2] for value in outputs}
    if len(heads) != 1 or any(value.ndim < 2 for value in outputs):
        return None
    scaled = [value.astype("f8") / (np.abs(value[np.isfinite(value)]).max(initial=0) + 1e-30) for value in outputs]
    return np.concatenate([value.reshape(*value.shape[:2], -1) for value in scaled], -1)


def unlike_sets(got, want):
    """'' or how many of the rows of ONNX Runtime's outputs have no like among vitjit's"""
    got, want = rows_of(got), rows_of(want)
    if got is None or want is None or got.shape != want.shape:
        return "no rows to compare as sets"
    missing = 0
    for mine, theirs in zip(got, want):
        left = list(mine)
        for row in theirs:
            like = next((i for i, other in enumerate(left) if np.allclose(other, row, rtol=0, atol=2 * RTOL)), None)
            if like is None:
                missing += 1
            else:
                left.pop(like)
    return f"{missing} of {want.shape[0] * want.shape[1]} rows are not in the set" if missing else ""


def judge(path, got, want, truths):
    """got, want: {output: array} -> '' or what is wrong, and a word on how it was compared"""
    wrong = {name: unlike(got[name], want[name], truth) for name, truth in zip(want, truths)}
    wrong = {name: text for name, text in wrong.items() if text}
    chosen = behind_selection(path) if wrong else set()
    if wrong and set(wrong) <= chosen:
        rows = [name for name in want if name in chosen]
        if not (unordered := unlike_sets([got[n] for n in rows], [want[n] for n in rows])):
            return "", "as sets"
        wrong["as sets"] = unordered
    return "; ".join(f"{name}: {text}" for name, text in wrong.items()), ""


def said(error):
    """The first line of what lies at the bottom of an error"""
    while error.__cause__:
        error = error.__cause__
    lines = [line.strip() for line in re.sub(r"\x1b\[\d+m", "", str(error)).splitlines() if line.strip()]
    return f"{type(error).__module__.split('.')[0]}'s {type(error).__name__}: {lines[0][:200] if lines else ''}"


def one(vitjit, folder, model, values, exporter, names, truths):
    """-> (ok | FAIL | refused, why)"""
    path = os.path.join(folder, exporter + ".onnx")
    try:
        write_onnx(model, values, path, exporter, names)
        feeds, answers = onnx_runtime(path, model, values)
    except Exception as error:  # an exporter's errors are of any kind
        return "refused", said(error)
    want = dict(zip(names, answers))
    try:
        files = run_vitjit(vitjit, path, feeds, "f32", "-j", "1")
    except Failed as error:
        return "FAIL", str(error)
    wrong, how = judge(path, {name: files[file_name(name)] for name in names}, want, truths)
    return ("FAIL", wrong) if wrong else ("ok", how)


def whole_model(vitjit, name, folder, said_by):
    """In a process of its own: sends (exporter, verdict, why) for each exporter."""
    torch.set_num_threads(1)
    if not os.environ.get("APPLICATIONS_TRACE"):  # an exporter that fails prints its whole graph, from C++ too
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
    try:
        model, values = build(MODELS[name])
        with torch.no_grad():
            answers = model(*values)
        names, truths = names_of(model, answers), truth_of(model, values, answers)
        check_row(MODELS[name], model, values, answers)
    except Exception as error:
        if os.environ.get("APPLICATIONS_TRACE"):
            traceback.print_exc()
        said_by.send(("model", "FAIL", said(error)))
        return
    for exporter in OPSETS:
        said_by.send((exporter, *one(vitjit, folder, model, values, exporter, names, truths)))


def supervise(vitjit, name, parent, limit, end):
    """-> [(exporter, verdict, why)]"""
    if time.monotonic() > end:
        return [("model", "not run", "for want of time")]
    fork = multiprocessing.get_context("fork")  # torch and transformers take 10 s to import
    mine, theirs = fork.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        process = fork.Process(target=whole_model, args=(vitjit, name, folder, theirs), daemon=True)
        process.start()
        theirs.close()
        process.join(limit)
        late = process.is_alive()
        if late:
            process.kill()
            process.join()
        verdicts = []
        with contextlib.suppress(EOFError):
            while mine.poll():
                verdicts.append(mine.recv())
    done = {exporter for exporter, _, _ in verdicts}
    if "model" not in done:
        why = f"not done after {limit} s" if late else f"the process ended with {process.exitcode}"
        verdicts += [(exporter, "FAIL", why) for exporter in OPSETS if exporter not in done]
    return verdicts


def verdict_of(verdicts):
    kinds = {verdict for _, verdict, _ in verdicts}
    return next(kind for kind in ("FAIL", "not run", "ok", "refused") if kind in kinds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=int, default=180)
    parser.add_argument("--minutes", type=float, default=60)
    a = parser.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    if unknown := set(a.names) - set(MODELS):
        parser.error(f"not in the table: {', '.join(sorted(unknown))}")
    every_fifth = [name for first in range(5) for name in list(MODELS)[first::5]]  # so that a part of the table has models of each kind
    names, end, of = a.names or every_fifth, time.monotonic() + 60 * a.minutes, {"ok": [], "FAIL": [], "refused": [], "not run": []}
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        jobs = [pool.submit(supervise, os.path.abspath(a.vitjit), name, a.folder, a.limit, end) for name in names]
        for name, job in zip(names, jobs):
            verdicts = job.result()
            of[verdict_of(verdicts)].append(name)
            for exporter, verdict, why in verdicts:
                print(f"{verdict:7s} {name + '.' + exporter:28s} {why}", flush=True)
    for what, verdict in (("failed", "FAIL"), ("exported by neither", "refused"), ("not run", "not run")):
        if of[verdict]:
            print(f"{what}:", *of[verdict])
    print(f"{len(of['ok'])} passed, {len(of['FAIL'])} failed, {len(of['refused'])} exported by neither, {len(of['not run'])} not run")
    return len(of["FAIL"]) > 0 or (not a.names and not of["not run"] and len(of["ok"]) < LEAST)


if __name__ == "__main__":
    sys.exit(main())
