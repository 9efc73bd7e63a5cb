/* SPDX-License-Identifier: Apache-2.0 */
/* blockcases.c - tests products of bytes by blocks: steps of rows and blocks, tails of all kinds, bytes at their ends. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "kernelcheck.h"

typedef struct shape {
    int64_t outer, rows, columns, depth; /* depth: as the weight has it; it is filled up to whole blocks */
    bool transposed;
} shape;

/* C[o, m, n]: rows of A, of its steps and of C end in NaN that must not be read or written. `end`: all bytes are the least, or the
 * greatest; 0: any. */
static void product(const shape *s, int32_t bits, int64_t block, float end, uint64_t seed) {
    char name[128];
    use_types = (case_types){.plain = VJ_U8, .packed = VJ_U8, .bits = bits, .block = block};
    snprintf(name, sizeof name, "bytes %dx%dx%dx%d of %d bits by %d", (int)s->outer, (int)s->rows, (int)s->columns,
             (int)s->depth, (int)bits, (int)block);
    kernel_case c = case_new(name, VJ_KERNEL_GEMM, seed);
    const int64_t groups = vj_ceil_div(s->depth, block), rows = s->outer * s->rows, row = groups * block + 3;
    const int64_t step_row = groups + 1, ldc = s->columns + 1, ldt = rows + 2;
    vj_set_axes(c.k, (const int32_t[]){0, 2, 1, 2}, (const int64_t[]){s->outer, s->rows, s->columns, groups, block});
    const int32_t a = case_operand(&c, rows * row - 3), steps = case_buffer(&c, rows * step_row - 1);
    if (end == 0)
        case_fill(&c, a, rows, groups * block, row, -1, 1);
    else
        case_fill(&c, a, rows, groups * block, row, end, end);
    case_fill(&c, steps, rows, groups, step_row, 0.001F, 1);
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {s->rows * row, row, 0, block, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = case_panels(&c, s->depth, s->columns)});
    c.k->s = vj_add_access(c.k, &(vj_access){.buffer = steps, .stride = {s->rows * step_row, step_row, 0, 1, 0}});
    const int32_t out = case_buffer(&c, s->transposed ? s->columns * ldt - 2 : rows * ldc - 1);
    const vj_access straight = {.buffer = out, .stride = {s->rows * ldc, ldc, 1}};
    const vj_access turned = {.buffer = out, .stride = {s->rows, 1, ldt}};
    const int32_t acc = vj_x(c.arena, c.k, VJ_X_ACC, VJ_F32, 0, 0, 0);
    c.k->out[c.k->out_count++] = (vj_out){vj_add_access(c.k, s->transposed ? &turned : &straight), acc, -1};
    case_check(&c);
}

void byte_block_cases(void **state) {
    static const shape shapes[] = {{1, 1, 5, 16, false},   {1, 13, 40, 64, false}, {3, 7, 100, 90, false},
                                   {1, 50, 33, 200, true}, {2, 29, 48, 128, true}, {1, 4, 260, 33, false}};
    static const struct {
        int32_t bits;
        int64_t block;
    } kinds[] = {{4, 32}, {8, 32}, {4, 16}, {8, 64}, {4, 128}, {4, 20}};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = k % 2; i < sizeof shapes / sizeof *shapes; i += 2)
            product(&shapes[i], kinds[k].bits, kinds[k].block, 0, 1 + i);
    for (size_t k = 0; k < 2; k++) {
        product(&shapes[1], kinds[k].bits, kinds[k].block, -1, 9);
        product(&shapes[1], kinds[k].bits, kinds[k].block, 1, 10);
    }
}
