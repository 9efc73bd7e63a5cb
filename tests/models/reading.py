# SPDX-License-Identifier: Apache-2.0
"""Lines of text in four fonts as pictures, and what a recogniser of text (PP-OCR) reads in them.

A font is Pillow's own or a file of the folder that matplotlib brings: a sans serif, DejaVu's serif and typewriter ones, a Times. The lines are always the
same; a recogniser gets them 48 pixels high, (v / 255 - 0.5) / 0.5, blue first, padded with zeros to 640. What it reads: the best character of each
column, repeated ones and blanks left out, by the dictionary in the model's metadata.
"""
import os
import random

import numpy as np
import onnx
from PIL import Image, ImageDraw, ImageFont

LINES = 200
HEIGHT, WIDTH, MOST_NOISE = 48, 640, 0.4
FONTS = [None, "DejaVuSerif.ttf", "STIXGeneral.ttf", "DejaVuSansMono.ttf"]
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


def texts(seed=5, lines=LINES):
    r = random.Random(seed)
    return [" ".join(word(r) + (r.choice(SIGNS) if r.random() < 0.2 else "") for _ in range(r.randint(2, 4))) for _ in range(lines)]


def font_of(number, size, folder):
    name = FONTS[number % len(FONTS)]
    return ImageFont.truetype(os.path.join(folder, name), size) if name else ImageFont.load_default(size)


def draw(text, number, folder):
    """-> ([HEIGHT, WIDTH] of 0 to 1, how wide the text is): grey on white, without noise"""
    size = 22 + number // len(FONTS) % 12
    while font_of(number, size, folder).getlength(text) > WIDTH - 20:
        size -= 1
    font = font_of(number, size, folder)
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    ImageDraw.Draw(image).text((10, HEIGHT // 2), text, fill=number % 7 * 16, font=font, anchor="lm")
    return np.asarray(image, np.float32) / 255, int(font.getlength(text)) + 20


def noisy(grey, number):
    """more and more from line to line"""
    return (grey + np.random.default_rng(number).normal(0, MOST_NOISE * number / LINES, grey.shape)).clip(0, 1)


def picture(text, number, folder):
    """-> [3, HEIGHT, WIDTH]"""
    grey, used = draw(text, number, folder)
    return padded(noisy(grey[:, :used], number))


def padded(grey):
    line = np.zeros((HEIGHT, WIDTH), np.float32)
    line[:, : grey.shape[1]] = (grey[:, :WIDTH] - 0.5) / 0.5
    return np.stack([line] * 3)


class Dictionary:
    def __init__(self, path):
        model = onnx.load(path, load_external_data=False)
        known = next(p.value for p in model.metadata_props if p.key == "character").split("\n")
        self.characters, self.input, self.output = ["", *known, " "], model.graph.input[0].name, model.graph.output[0].name

    def text(self, scores):
        """of [columns, characters]"""
        assert scores.shape[-1] == len(self.characters), f"{scores.shape[-1]} classes, {len(self.characters)} characters"
        best = scores.argmax(-1)
        return "".join(self.characters[c] for i, c in enumerate(best) if c and (i == 0 or c != best[i - 1]))


def in_turns(run, pictures, at_once=20):
    """-> the rows of run([N, ...]) for all pictures, a few at a time"""
    rows = []
    for first in range(0, len(pictures), at_once):
        rows += list(run(np.stack(pictures[first : first + at_once])))
    return rows


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
