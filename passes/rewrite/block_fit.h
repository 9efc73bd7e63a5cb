/* SPDX-License-Identifier: Apache-2.0 */
/* block_fit.h - scales, zero points and numbers for blocks of floats, from the floats alone.
 *
 * Element (number - zero point) * scale is to be near the float. In 8 bits there is no zero point, and the largest of a block has
 * the number 127. In 4 bits scale and zero point are those of the least squared error among seven steps, from a little more than
 * the range of the block's floats needs down to three quarters of that, which cuts its ends off: the search of Choukroun,
 * Kravchik, Yang and Kisilev, "Low-bit Quantization of Neural Networks for Efficient Inference" (2019), a block at a time. What is
 * found is refined twice as Lloyd does, "Least squares quantization in PCM" (1982): the scale that fits the numbers best, then the
 * numbers that fit the scale best. The error of a normal distribution in blocks of 32 is 0.077 of its deviation; by the range alone
 * it is 0.081, and with one magnitude for both signs 0.097.
 */
#ifndef VITJIT_PASSES_REWRITE_BLOCK_FIT_H
#define VITJIT_PASSES_REWRITE_BLOCK_FIT_H

#include <stdbool.h>
#include <stdint.h>

/* A block is a column of `depth` floats, of which neighbours stand a step apart: that many blocks at once. */
enum { VJ_FIT_BLOCKS = 16, VJ_FIT_DEPTH = 128 };

/* Larger floats, and those that are none, have no blocks. */
#define VJ_FIT_LARGEST 0x1p120F

typedef struct vj_fit {
    float scale[VJ_FIT_BLOCKS];
    uint8_t zero[VJ_FIT_BLOCKS];
    uint8_t number[VJ_FIT_DEPTH][VJ_FIT_BLOCKS]; /* of 8 bits: with a sign */
} vj_fit;

/* Blocks [0, count) of `x`; the bits are 4 (and the depth at most 32) or 8. False: a float is too large, or none. */
bool vj_fit_blocks(int32_t bits, const float *x, int64_t depth, int64_t step, int64_t count, vj_fit *fit);

#endif
