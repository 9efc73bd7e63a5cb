/* block_fit.c - blocks of floats in 4 and 8 bits. Loops over blocks are innermost, for the compiler to take them as vectors. */
#include "block_fit.h"

#include <math.h>
#include <string.h>

enum { BLOCKS = VJ_FIT_BLOCKS, MOST = 15, STEPS = 14, REFINEMENTS = 2 };

/* Scales below this one are zero, and so are their blocks: lowering wants scales that have all digits (block_size.c). */
#define LEAST_SCALE 0x1p-120F

/* Floats over the range of their block, and what is known of it so far. */
typedef struct search {
    int64_t depth;
    float x[VJ_FIT_DEPTH][BLOCKS];
    float range[BLOCKS], least[BLOCKS]; /* least: over the range, from -1 to 0 */
    float scale[BLOCKS], zero[BLOCKS], error[BLOCKS];
} search;

/* The number from 0 to 15 that is nearest. */
static inline float nearest(float x, float inverse, float zero) {
    float q = x * inverse + zero;
    q = q > 0 ? q : 0;
    q = q < MOST ? q : MOST;
    return (float)(int32_t)(q + 0.5F);
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

/* The step that is one of 14 to 20.5 parts of the range; what the range has more than fifteen of them is cut off at both ends. */
static void try_step(search *s, int number) {
    const float parts = 14 + 0.5F * (float)number;
    float scale[BLOCKS], zero[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        scale[i] = 1 / parts;
        float z = -s->least[i] * parts - (parts - MOST) / 2;
        z = z > 0 ? z : 0;
        z = z < MOST ? z : MOST;
        zero[i] = (float)(int32_t)(z + 0.5F);
    }
    try_steps(s, scale, zero);
}

/* The scale that fits the numbers best is sum x d / sum d d, where d = number - zero point. */
static void refine(search *s) {
    float scale[BLOCKS], xd[BLOCKS] = {0}, dd[BLOCKS] = {0};
    for (int64_t k = 0; k < s->depth; k++)
        for (int i = 0; i < BLOCKS; i++) {
            const float d = nearest(s->x[k][i], 1 / s->scale[i], s->zero[i]) - s->zero[i];
            xd[i] += s->x[k][i] * d;
            dd[i] += d * d;
        }
    for (int i = 0; i < BLOCKS; i++)
        scale[i] = xd[i] > 0 ? xd[i] / dd[i] : s->scale[i];
    try_steps(s, scale, s->zero);
}

static void begin(search *s, const float *x, int64_t depth, int64_t step, int64_t count) {
    float most[BLOCKS] = {0};
    *s = (search){.depth = depth};
    for (int64_t k = 0; k < depth; k++)
        memcpy(s->x[k], x + k * step, (size_t)count * sizeof *x);
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

static void fit_in_4_bits(const float *x, int64_t depth, int64_t step, int64_t count, vj_fit *fit) {
    search s;
    begin(&s, x, depth, step, count);
    for (int i = 0; i < STEPS; i++)
        try_step(&s, i);
    for (int i = 0; i < REFINEMENTS; i++)
        refine(&s);
    for (int i = 0; i < BLOCKS; i++) {
        const float scale = s.scale[i] * s.range[i];
        fit->scale[i] = scale >= LEAST_SCALE ? scale : 0;
        fit->zero[i] = (uint8_t)s.zero[i];
        for (int64_t k = 0; k < depth; k++)
            fit->number[k][i] = (uint8_t)nearest(s.x[k][i], 1 / s.scale[i], s.zero[i]);
    }
}

static void fit_in_8_bits(const float *x, int64_t depth, int64_t step, int64_t count, vj_fit *fit) {
    memset(fit->zero, 0, sizeof fit->zero);
    for (int64_t i = 0; i < count; i++) {
        float largest = 0;
        for (int64_t k = 0; k < depth; k++)
            largest = fmaxf(largest, fabsf(x[k * step + i]));
        const float scale = largest / 127;
        fit->scale[i] = scale >= LEAST_SCALE ? scale : 0;
        for (int64_t k = 0; k < depth; k++)
            fit->number[k][i] = fit->scale[i] > 0 ? (uint8_t)(int8_t)lrintf(x[k * step + i] * (127 / largest)) : 0;
    }
}

bool vj_fit_blocks(int32_t bits, const float *x, int64_t depth, int64_t step, int64_t count, vj_fit *fit) {
    for (int64_t k = 0; k < depth; k++)
        for (int64_t i = 0; i < count; i++)
            if (!(fabsf(x[k * step + i]) <= VJ_FIT_LARGEST)) return false;
    if (bits == 4)
        fit_in_4_bits(x, depth, step, count, fit);
    else
        fit_in_8_bits(x, depth, step, count, fit);
    return true;
}
