#!/usr/bin/env python3
"""A recogniser of text with trained weights (PP-OCRv6) in f32 and in bf16, on rendered lines.

usage: recogniser.py VITJIT MODEL.onnx

Draws 200 lines of words, numbers and signs, always the same, with the font that Pillow brings and with noise, as the recogniser wants them (48 pixels high,
(v / 255 - 0.5) / 0.5, blue first, padded with zeros), and reads them: the best character of each column, repeated ones and blanks left out, by the
dictionary in the model's metadata. In f32 at least 95 % of the characters must be what was drawn, and in bf16 at least 99 % what f32 reads (edit
distance over the length). Exit status 1 when they are not.
"""
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from PIL import Image, ImageDraw, ImageFont

from answers import Failed, run_vitjit

LINES, AT_ONCE = 200, 20
HEIGHT, WIDTH, MOST_NOISE = 48, 640, 0.4
LEAST_READ, LEAST_SAME = 0.95, 0.99
SYLLABLES = "ba cor den el fi gra hol in jun ka lum men nor o pre qui ras sto tur ul ver wex yor zan".split()
SIGNS = [",", ".", ";", ":", "!", "?", " -", ")", "%", "/"]


def word(r):
    kind = r.random()
    if kind < 0.2:
        return f"{r.randrange(100000)}"
    if kind < 0.25:
        return f"{r.randrange(100)}.{r.randrange(1000)}"
    text = "".join(r.choice(SYLLABLES) for _ in range(r.randint(1, 4)))
    return text.upper() if kind < 0.35 else text.capitalize() if kind < 0.6 else text


def texts():
    r = random.Random(5)
    return [" ".join(word(r) + (r.choice(SIGNS) if r.random() < 0.2 else "") for _ in range(r.randint(2, 4))) for _ in range(LINES)]


def picture(text, number):
    """-> [3, HEIGHT, WIDTH]: grey on white, as wide as the text, more and more noise from line to line"""
    font, noise = ImageFont.load_default(22 + number % 12), np.random.default_rng(number)
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(image)
    draw.text((10, HEIGHT // 2), text, fill=number % 7 * 16, font=font, anchor="lm")
    used = min(WIDTH, int(draw.textlength(text, font=font)) + 20)
    line = np.zeros((HEIGHT, WIDTH), np.float32)
    grey = np.asarray(image, np.float32)[:, :used] / 255 + noise.normal(0, MOST_NOISE * number / LINES, (HEIGHT, used))
    line[:, :used] = (grey.clip(0, 1) - 0.5) / 0.5
    return np.stack([line] * 3)


def characters(path):
    model = onnx.load(path, load_external_data=False)
    known = next(p.value for p in model.metadata_props if p.key == "character").split("\n")
    return ["", *known, " "], model.graph.input[0].name, model.graph.output[0].name


def read(vitjit, path, lines, precision):
    known, given, result = characters(path)
    said = []
    for first in range(0, len(lines), AT_ONCE):
        scores = run_vitjit(vitjit, path, {given: lines[first : first + AT_ONCE]}, precision)[result + ".npy"]
        assert scores.shape[-1] == len(known), f"{scores.shape[-1]} classes, {len(known)} characters"
        for row in scores.argmax(-1):
            said.append("".join(known[c] for i, c in enumerate(row) if c and (i == 0 or c != row[i - 1])))
    return said


def distance(a, b):
    """how many characters must be changed, left out or put in"""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        before, row = row, [i + 1]
        for j, y in enumerate(b):
            row.append(min(before[j + 1] + 1, row[j] + 1, before[j] + (x != y)))
    return row[-1]


def part_same(said, wanted):
    return 1 - sum(map(distance, said, wanted)) / sum(map(len, wanted))


def main():
    vitjit, path = sys.argv[1:]
    drawn = texts()
    lines = np.stack([picture(text, i) for i, text in enumerate(drawn)])
    try:
        wide, narrow = (read(vitjit, path, lines, precision) for precision in ("f32", "bf16"))
    except Failed as error:
        sys.exit(f"recogniser: {error}")
    right, same = part_same(wide, drawn), part_same(narrow, wide)
    good = right >= LEAST_READ and same >= LEAST_SAME
    print(f"{'ok  ' if good else 'FAIL'} PP-OCRv6: {LINES} lines, {sum(map(len, drawn))} characters; f32 reads {100 * right:.2f} % of them, "
          f"bf16 {100 * part_same(narrow, drawn):.2f} %; {100 * same:.2f} % of bf16's text is f32's")
    for d, w, n in zip(drawn, wide, narrow):
        if w != n:
            print(f"     drawn {d!r}\n     f32   {w!r}\n     bf16  {n!r}")
    return not good


if __name__ == "__main__":
    sys.exit(main())
