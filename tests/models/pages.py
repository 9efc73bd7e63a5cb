# SPDX-License-Identifier: Apache-2.0
"""Pages of text through a detector and a recogniser (PP-OCR), as one program of them does it."""
import onnx
from PIL import Image
import numpy as np
from scipy import ndimage

from reading import HEIGHT, LINES, WIDTH, draw, in_turns, noisy, padded, texts

A_PAGE, PITCH = 8, 92  # lines, pixels
LEAST, LEAST_SCORE, GROWS = 0.3, 0.5, 1.6  # of rapidocr's settings
LEAST_SIDE = 3


def drawn():
    lines = texts()
    return [" ".join(lines[first : first + A_PAGE]) for first in range(0, LINES, A_PAGE)]


def page(first, fonts, seed):
    """-> [8 * PITCH, WIDTH] of 0 to 1: lines `first` and on"""
    grey = np.ones((A_PAGE * PITCH, WIDTH), np.float32)
    for i, text in enumerate(texts(seed)[first : first + A_PAGE]):
        top = i * PITCH + (PITCH - HEIGHT) // 2
        grey[top : top + HEIGHT] = draw(text, first + i, fonts)[0]
    return noisy(grey, first // 2)


def all_pages(fonts, seed=5):
    return [page(first, fonts, seed) for first in range(0, LINES, A_PAGE)]


def inputs(fonts, seed=5):
    """as a detector wants them"""
    return [np.stack([(p - 0.5) / 0.5] * 3).astype(np.float32) for p in all_pages(fonts, seed)]


def boxes(score):
    """-> [(top, bottom, left, right)], line by line: each area of text, grown as PP-OCR grows them"""
    areas, _ = ndimage.label(score > LEAST, structure=np.ones((3, 3)))
    found = []
    for rows, columns in ndimage.find_objects(areas):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if min(height, width) < LEAST_SIDE or score[rows, columns].mean() < LEAST_SCORE:
            continue
        by = round(height * width * GROWS / (2 * (height + width)))
        found.append((max(rows.start - by, 0), min(rows.stop + by, score.shape[0]), max(columns.start - by, 0), min(columns.stop + by, score.shape[1])))
    return sorted(found, key=lambda b: ((b[0] + b[1]) // 2 // PITCH, b[2]))


def cut(grey, box):
    """as a recogniser wants it"""
    top, bottom, left, right = box
    part = Image.fromarray((grey[top:bottom, left:right] * 255).astype(np.uint8))
    width = min(WIDTH, max(1, round(part.width * HEIGHT / part.height)))
    return padded(np.asarray(part.resize((width, HEIGHT), Image.Resampling.BILINEAR), np.float32) / 255)


def read(run, detector, recogniser, known, fonts):
    """run(model, name of its input, pictures) -> ([text of each page], how many boxes)"""
    given = onnx.load(detector, load_external_data=False).graph.input[0].name
    scores = in_turns(lambda x: run(detector, given, x), inputs(fonts), 5)
    found = [boxes(score[0]) for score in scores]
    parts = [cut(p, box) for p, some in zip(all_pages(fonts), found) for box in some]
    said = iter([known.text(s) for s in in_turns(lambda x: run(recogniser, known.input, x), parts)])
    return [" ".join(next(said) for _ in some) for some in found], len(parts)
