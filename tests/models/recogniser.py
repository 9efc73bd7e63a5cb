#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A recogniser of text with trained weights (PP-OCRv6) on rendered lines: in f32, bf16 and int8, quantised by others, and behind its detector.

usage: recogniser.py VITJIT MODELS FONTS [--quantised]     (folders of rapidocr and of matplotlib)

Of 40 lines the command prints what ONNX Runtime reads of Paddle's steps (paddle.py), at the width of inference.yml, and with the width that each needs.

Of 200 lines in four fonts (reading.py) f32 must read at least 95 % of the characters as they were drawn, bf16 at least 99 % as f32 does, int8 98 %
(edit distance over the length).

Pages of eight lines go through detector and recogniser: text is where the detector says above 0.3, boxes are grown as PP-OCR does, cut
out and read. With both in int8 98 % of the characters must be those of both in f32.

With --quantised, which takes long, then the recogniser as ONNX Runtime's tools quantise it: dynamic with u8 weights by matrix, with s8 by column, static (QDQ, calibrated with other lines).
Of what f32 reads vitjit must read 98 %, and of what ONNX Runtime reads with the quantised model 98 % too; unless ONNX Runtime with it reads less of the
former itself, or without its optimisations less of the latter: then as much as that, less 1 %. The u8 form is so: ONNX Runtime has 92 % of f32's characters.

Likewise pages, with the detector quantised by them. Closing line: 'N passed, N failed'.
"""
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

import pages
import paddle
from answers import Failed, run_vitjit
from quantise import LEVELS, session
from reading import Dictionary, draw, in_turns, noisy, part_same, picture, texts

LEAST_READ, LEAST_BF16, LEAST_INT8, LEAST_PRINTED = 0.95, 0.99, 0.98, 0.99
OF_ITSELF = 0.01
S8, U8 = QuantType.QInt8, QuantType.QUInt8


class Pictures(CalibrationDataReader):
    def __init__(self, name, pictures, at_once):
        self.feeds = iter([{name: np.stack(pictures[i : i + at_once])} for i in range(0, len(pictures), at_once)])

    def get_next(self):
        return next(self.feeds, None)


def quantise(path, to, form, pictures):
    """`pictures`: to calibrate with"""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        newer, prepared = os.path.join(folder, "newer.onnx"), os.path.join(folder, "prepared.onnx")
        onnx.save(onnx.version_converter.convert_version(onnx.load(path), 17), newer)  # scales by column want 13
        quant_pre_process(newer, prepared, skip_symbolic_shape=True)
        if form == "static":
            name = onnx.load(path, load_external_data=False).graph.input[0].name
            quantize_static(prepared, to, Pictures(name, pictures, 5), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=U8, weight_type=S8)
        else:
            columns = form == "dynamic_s8"
            ops = ["MatMul", "Gemm"] if columns else ["MatMul", "Gemm", "Conv"]
            quantize_dynamic(prepared, to, per_channel=columns, weight_type=S8 if columns else U8, op_types_to_quantize=ops)


class Judge:
    def __init__(self):
        self.passed = self.failed = 0

    def say(self, good, text, *differences):
        self.passed += good
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {text}", flush=True)
        for wanted, got in differences:
            if wanted != got:
                print(f"     wanted {wanted!r}\n     read   {got!r}")


def with_vitjit(vitjit, path, known, precision, pictures):
    return run_vitjit(vitjit, path, {known.input: pictures}, precision)[known.output + ".npy"]


def read(known, run, lines):
    return [known.text(scores) for scores in in_turns(run, lines)]


def judge_precisions(judge, vitjit, path, known, lines, drawn):
    """-> what f32 reads"""
    wide = read(known, functools.partial(with_vitjit, vitjit, path, known, "f32"), lines)
    right = part_same(wide, drawn)
    judge.say(right >= LEAST_READ, f"f32 reads {100 * right:.2f} % of {sum(map(len, drawn))} characters in {len(drawn)} lines")
    for precision, least in (("bf16", LEAST_BF16), ("int8", LEAST_INT8)):
        said = read(known, functools.partial(with_vitjit, vitjit, path, known, precision), lines)
        same = part_same(said, wide)
        judge.say(same >= least, f"{precision}: {100 * same:.2f} % as f32, {100 * part_same(said, drawn):.2f} % as drawn", *zip(wide, said))
    return wide


def judge_command(judge, vitjit, path, known, fonts):
    """What is printed of pictures of lines, the characters from an inference.yml beside the model."""
    engine, wanted = session(path, LEVELS.ORT_ENABLE_ALL, threads=2), {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.abspath(path), os.path.join(folder, "inference.onnx"))
        os.mkdir(os.path.join(folder, "lines"))
        post = {"name": "CTCLabelDecode", "character_dict": known.characters[1:-1]}
        paddle.write(folder, paddle.ops(paddle.DECODE_BGR, {"RecResizeImg": {"image_shape": [3, 48, 320]}}, paddle.KEEP, post=post))
        for i, text in enumerate(texts(lines=40)):
            grey, used = draw(text, i, fonts)
            image = Image.fromarray((noisy(grey[:, :used], i) * 255).astype(np.uint8)).convert("RGB").resize((used, 40 + i % 9))
            image.save(os.path.join(folder, "lines", f"{i:02}.png"))
            for open_width in wanted:
                width = max(320, 48 * image.width // image.height) if open_width else 320
                wanted[open_width].append(known.text(engine.run(None, {known.input: paddle.line(np.asarray(image)[:, :, ::-1], 48, width)[None]})[0][0]))
        for open_width, lines in wanted.items():
            range_ = ["--shape", f"{known.input}=Nx3x48x320..1600:1", "--round-up"] if open_width else []
            done = subprocess.run([vitjit, folder, os.path.join(folder, "lines"), "--format", "jsonl", "--no-cache", "--quiet", *range_], capture_output=True, text=True)
            said = [json.loads(line)["text"] for line in done.stdout.splitlines()]
            same = part_same(said, lines) if len(said) == len(lines) else 0
            where = "each in its own width" if open_width else "in 320 columns"
            judge.say(same >= LEAST_PRINTED, f"printed, {where}: {100 * same:.2f} % as ONNX Runtime {done.stderr}", *zip(lines, said))


def in_onnx_runtime(path, level, known):
    engine = session(path, level, threads=2)
    return lambda pictures: engine.run(None, {known.input: pictures})[0]


def judge_forms(judge, vitjit, path, known, lines, wide, others):
    with tempfile.TemporaryDirectory() as folder:
        for form in ("dynamic_u8", "dynamic_s8", "static"):
            made = os.path.join(folder, form + ".onnx")
            quantise(path, made, form, others)
            theirs, again = (read(known, in_onnx_runtime(made, level, known), lines) for level in (LEVELS.ORT_ENABLE_ALL, LEVELS.ORT_DISABLE_ALL))
            ours = read(known, functools.partial(with_vitjit, vitjit, made, known, "f32"), lines)
            same, itself, beside, own = part_same(ours, theirs), part_same(again, theirs), part_same(ours, wide), part_same(theirs, wide)
            good = same >= min(LEAST_INT8, itself - OF_ITSELF) and beside >= min(LEAST_INT8, own - OF_ITSELF)
            judge.say(good, f"{form}: {100 * beside:.2f} % as f32, ONNX Runtime {100 * own:.2f} %; {100 * same:.2f} % as ONNX Runtime, which without "
                      f"optimisations reads {100 * itself:.2f} % so")


def judge_pages(judge, vitjit, detector, recogniser, known, fonts, quantised):
    """In int8, and, where `quantised`, by detectors that ONNX Runtime's tools quantise (it has no linear layers, which dynamic_s8 is of), read by the recogniser in f32."""
    only = lambda path, x, given, precision: next(iter(run_vitjit(vitjit, path, {given: x}, precision).values()))
    in_vitjit = lambda precision: lambda path, given, x: only(path, x, given, precision)
    in_session = lambda path, given, x: session(path, LEVELS.ORT_ENABLE_ALL, threads=2).run(None, {given: x})[0]
    (wide, found), (narrow, again) = (pages.read(in_vitjit(p), detector, recogniser, known, fonts) for p in ("f32", "int8"))
    right, same = part_same(wide, pages.drawn()), part_same(narrow, wide)
    text = f"pages: f32 reads {100 * right:.2f} % of the characters, int8 {100 * same:.2f} % as f32; {found} and {again} boxes"
    judge.say(right >= LEAST_READ and same >= LEAST_INT8, text, *zip(wide, narrow))
    with tempfile.TemporaryDirectory() as folder:
        for form in ("dynamic_u8", "static") if quantised else ():
            made = os.path.join(folder, form + ".onnx")
            quantise(detector, made, form, pages.inputs(fonts, seed=6)[:5])
            (ours, mine), (theirs, other) = (pages.read(run, made, recogniser, known, fonts) for run in (in_vitjit("f32"), in_session))
            beside, own = part_same(ours, wide), part_same(theirs, wide)
            judge.say(beside >= min(LEAST_INT8, own - OF_ITSELF), f"pages, detector {form}: {100 * beside:.2f} % as f32, ONNX Runtime {100 * own:.2f} %; {mine} and "
                      f"{other} boxes")


def main():
    quantised = sys.argv[4:] == ["--quantised"]
    vitjit, models, fonts = sys.argv[1:4]
    recogniser, detector = (os.path.join(models, f"PP-OCRv6_{kind}_small.onnx") for kind in ("rec", "det"))
    known, drawn, judge = Dictionary(recogniser), texts(), Judge()
    lines = [picture(text, i, fonts) for i, text in enumerate(drawn)]
    try:
        judge_command(judge, vitjit, recogniser, known, fonts)
        wide = judge_precisions(judge, vitjit, recogniser, known, lines, drawn)
        judge_pages(judge, vitjit, detector, recogniser, known, fonts, quantised)
        others = [picture(text, 4 * i + i % 4, fonts) for i, text in enumerate(texts(seed=6, lines=40))]
        if quantised:
            judge_forms(judge, vitjit, recogniser, known, lines, wide, others)
    except Failed as error:
        judge.say(False, f"vitjit: {error}")
    print(f"{judge.passed} passed, {judge.failed} failed")
    return judge.failed != 0


if __name__ == "__main__":
    sys.exit(main())
