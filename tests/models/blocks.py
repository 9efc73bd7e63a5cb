# SPDX-License-Identifier: Apache-2.0
"""Weights in blocks of 4 and 8 bits, as docs/numbers.md says that --weight-format int4 and int8 find them, in numpy."""
import numpy as np


def nearest(x, scale, zero):
    return np.clip(np.floor(x / scale + zero + x.dtype.type(0.5)), 0, 15)


def fit4(x):
    """Scales, zero points and numbers of columns: seven steps, the best of which is refined twice."""
    number = x.dtype.type
    low, high = np.minimum(x.min(0), 0), np.maximum(x.max(0), 0)
    span = high - low
    x, low = x / np.where(span > 0, span, 1), low / np.where(span > 0, span, 1)
    least = np.full(x.shape[1], np.inf)
    best, zeros = np.zeros_like(span), np.zeros_like(span)

    def attempt(scale, zero):
        error = (((nearest(x, scale, zero) - zero) * scale - x) ** 2).sum(0)
        better = error < least
        least[better], best[better], zeros[better] = error[better], scale[better], zero[better]

    for parts in range(14, 21):
        cut = number(parts - 15) / 2
        attempt(np.full_like(span, 1 / number(parts)), np.floor(np.clip(-low * parts - cut, 0, 15) + number(0.5)))
    for _ in range(2):
        d = nearest(x, best, zeros) - zeros
        along = (x * d).sum(0)
        attempt(np.where(along > 0, along / np.maximum((d * d).sum(0), 1), best), zeros.copy())
    return best * span, zeros, nearest(x, best, zeros)


def fit8(x):
    scale = np.abs(x).max(0) / 127
    v = x / np.where(scale > 0, scale, 1)
    return scale, np.zeros_like(scale), np.sign(v) * np.floor(np.abs(v) + 0.5)


def dequantised(w, bits):
    """A weight [depth, columns] of what its blocks stand for. No number may depend on how floats are rounded on the way."""
    count = -(-len(w) // (32 if bits == 4 else 128))
    each = -(-len(w) // count)
    each += each % 2
    parts = []
    for at in range(0, len(w), each):
        block = w[at:at + each]
        (scale, zero, q), (_, zero32, q32) = ((fit4 if bits == 4 else fit8)(block.astype(t)) for t in (np.float64, np.float32))
        assert np.array_equal(q, q32) and np.array_equal(zero, zero32), "a tie: take another seed"
        parts.append((q - zero).astype(np.float32) * scale.astype(np.float32))
    return np.concatenate(parts)
