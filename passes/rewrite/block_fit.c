/* SPDX-License-Identifier: Apache-2.0 */
/* block_fit.c - blocks of floats in 4 and 8 bits. Loops over blocks are innermost, for the compiler to take them as vectors. */
#include "block_fit.h"

#include <math.h>
#include <string.h>

enum { BLOCKS = VJ_FIT_BLOCKS, MOST = 15, STEPS = 7, REFINEMENTS = 2 };

/* Scales below this one are zero, and so are their blocks: lowering wants scales that have all digits (block_size.c). */
#define LEAST_SCALE 0x1p-120F

typedef float row[BLOCKS];

/* Floats over the range of their block, and what is known of it so far. */
typedef struct search {
    int64_t depth;
    row *x;
    float range[BLOCKS], least[BLOCKS]; /* least: over the range, from -1 to 0 */
    float scale[BLOCKS], zero[BLOCKS], error[BLOCKS];
} search;

/* The number from 0 to 15 that is nearest; limits of integers are taken without branches. */
static inline float nearest(float x, float inverse, float zero) {
    int32_t q = (int32_t)(x * inverse + zero + 0.5F);
    q = q > 0 ? q : 0;
    q = q < MOST ? q : MOST;
    return (float)q;
}

static void try_steps(search *s, const float scale[BLOCKS], const float zero[BLOCKS]) {
    float error[BLOCKS] = {0}, inverse[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        inverse[i] = 1 / scale[i];
    for (int64_t k = 0; k < s->depth; k++)
        for (int i = 0; i < BLOCKS; i++) {
            const float off = (nearest(s->x[k][i], inverse[i], zero[i]) - zero[i]) * scale[i] - s->x[k][i];
            error[i] += off * off;
        }
    for (int i = 0; i < BLOCKS; i++) {
        const bool better = error[i] < s->error[i];
        s->error[i] = better ? error[i] : s->error[i];
        s->scale[i] = better ? scale[i] : s->scale[i];
        s->zero[i] = better ? zero[i] : s->zero[i];
    }
}

/* The step that is one of 14 to 20 parts of the range; what the range has beyond fifteen of them is cut off at both ends. */
static void try_step(search *s, int number) {
    const float most = MOST, parts = (float)(MOST - 1 + number);
    float scale[BLOCKS], zero[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        scale[i] = 1 / parts;
        float z = -s->least[i] * parts - (parts - most) / 2;
        z = z > 0 ? z : 0;
        z = z < most ? z : most;
        zero[i] = (float)(int32_t)(z + 0.5F);
    }
    try_steps(s, scale, zero);
}

/* The scale that fits the numbers best is sum x d / sum d d, where d = number - zero point. */
static void refine(search *s) {
    float scale[BLOCKS], inverse[BLOCKS], xd[BLOCKS] = {0}, dd[BLOCKS] = {0};
    for (int i = 0; i < BLOCKS; i++)
        inverse[i] = 1 / s->scale[i];
    for (int64_t k = 0; k < s->depth; k++)
        for (int i = 0; i < BLOCKS; i++) {
            const float d = nearest(s->x[k][i], inverse[i], s->zero[i]) - s->zero[i];
            xd[i] += s->x[k][i] * d;
            dd[i] += d * d;
        }
    for (int i = 0; i < BLOCKS; i++)
        scale[i] = xd[i] > 0 ? xd[i] / dd[i] : s->scale[i];
    try_steps(s, scale, s->zero);
}

static void begin(search *s, row *x, int64_t depth) {
    float most[BLOCKS] = {0};
    *s = (search){.depth = depth, .x = x};
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < BLOCKS; i++) {
            s->least[i] = s->x[k][i] < s->least[i] ? s->x[k][i] : s->least[i];
            most[i] = s->x[k][i] > most[i] ? s->x[k][i] : most[i];
        }
    for (int i = 0; i < BLOCKS; i++) {
        s->range[i] = most[i] - s->least[i];
        s->error[i] = INFINITY;
        const float divisor = s->range[i] > 0 ? s->range[i] : 1;
        s->least[i] /= divisor;
        for (int64_t k = 0; k < depth; k++)
            s->x[k][i] /= divisor;
    }
}

static void fit_in_4_bits(row *x, int64_t depth, vj_fit *fit) {
    search s;
    begin(&s, x, depth);
    for (int i = 0; i < STEPS; i++)
        try_step(&s, i);
    for (int i = 0; i < REFINEMENTS; i++)
        refine(&s);
    for (int i = 0; i < BLOCKS; i++) {
        const float scale = s.scale[i] * s.range[i];
        fit->scale[i] = scale >= LEAST_SCALE ? scale : 0;
        fit->zero[i] = (uint8_t)s.zero[i];
        s.scale[i] = 1 / s.scale[i];
    }
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < BLOCKS; i++)
            fit->number[k][i] = (uint8_t)nearest(s.x[k][i], s.scale[i], s.zero[i]);
}

static inline float size_of(float x) { return x < 0 ? -x : x; }

static void fit_in_8_bits(row *x, int64_t depth, vj_fit *fit) {
    float largest[BLOCKS] = {0}, inverse[BLOCKS];
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < BLOCKS; i++)
            largest[i] = size_of(x[k][i]) > largest[i] ? size_of(x[k][i]) : largest[i];
    for (int i = 0; i < BLOCKS; i++) {
        const float scale = largest[i] / 127;
        fit->scale[i] = scale >= LEAST_SCALE ? scale : 0;
        inverse[i] = scale >= LEAST_SCALE ? 127 / largest[i] : 0;
    }
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < BLOCKS; i++) {
            const float q = x[k][i] * inverse[i];
            fit->number[k][i] = (uint8_t)(int32_t)(q + (q < 0 ? -0.5F : 0.5F));
        }
}

static bool are_all_good(row *x, int64_t depth) {
    int32_t bad[BLOCKS] = {0}, any = 0;
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < BLOCKS; i++)
            bad[i] |= !(size_of(x[k][i]) <= VJ_FIT_LARGEST);
    for (int i = 0; i < BLOCKS; i++)
        any |= bad[i];
    return !any;
}

bool vj_fit_blocks(int32_t bits, const float *x, int64_t depth, int64_t step, int64_t count, vj_fit *fit) {
    row all[VJ_FIT_DEPTH];
    for (int64_t k = 0; k < depth; k++) {
        memset(all[k], 0, sizeof all[k]);
        memcpy(all[k], x + k * step, (size_t)count * sizeof *x);
    }
    memset(fit->zero, 0, sizeof fit->zero);
    if (!are_all_good(all, depth)) return false;
    if (bits == 4)
        fit_in_4_bits(all, depth, fit);
    else
        fit_in_8_bits(all, depth, fit);
    return true;
}
