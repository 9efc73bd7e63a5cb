/* SPDX-License-Identifier: Apache-2.0 */
/* kernelcase.c - makes the cases: buffers, numbers in them, panels and blocks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernelcheck.h"

case_types use_types = {.plain = VJ_F32, .packed = VJ_F32};

kernel_case case_new(const char *name, vj_kernel_kind kind, uint64_t seed) {
    kernel_case c = {
        .name = name, .types = use_types, .arena = vj_arena_new(), .random = {seed}, .stretch = 1, .own = 4 * EPS};
    if (use_types.plain == VJ_U8 && !use_types.bits) c.own = 2 * EPS; /* of sums of 23 bits that is less than one */
    c.p = vj_program_new(c.arena, NULL);
    c.k = vj_add_kernel(c.p, kind, "case");
    return c;
}

int32_t case_buffer(kernel_case *c, int64_t elements) {
    const int32_t b = vj_add_buffer(c->p, VJ_BUFFER_ARENA, VJ_F32, elements, NULL);
    c->values[b] = VJ_NEW_ARRAY(c->arena, float, elements);
    for (int64_t i = 0; i < elements; i++)
        c->values[b][i] = NAN;
    return b;
}

int32_t case_operand(kernel_case *c, int64_t elements) {
    const int32_t b = case_buffer(c, elements);
    c->p->buffers[b].dtype = c->types.plain;
    return b;
}

void case_fill(kernel_case *c, int32_t buffer, int64_t rows, int64_t length, int64_t pitch, float low, float high) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < length; i++)
            c->values[buffer][r * pitch + i] = rng_float(&c->random, low, high);
}

/* Gives a weight the source that the verifier demands. The panels are filled here, not from it. */
static vj_value source_of(kernel_case *c, int64_t depth, int64_t columns) {
    vj_func *f = vj_func_new(c->arena, "weights");
    const vj_type type = vj_type_of(VJ_F32, 2, (const int64_t[]){depth, columns});
    c->p->f = f;
    return vj_add_const(f, "w", &type, &(vj_const){.kind = VJ_CONST_SPLAT});
}

static int32_t weight_buffer(kernel_case *c, int64_t elements, vj_weight weight) {
    const int32_t b = case_buffer(c, elements);
    c->p->buffers[b].dtype = c->types.packed;
    c->p->buffers[b].kind = VJ_BUFFER_WEIGHT;
    c->p->buffers[b].index = c->p->weight_count;
    weight.k_rank = weight.n_rank = 1;
    weight.k_extent[0] = weight.k;
    weight.k_stride[0] = weight.n;
    weight.n_extent[0] = weight.n;
    weight.n_stride[0] = 1;
    weight.source = source_of(c, weight.k, weight.n);
    *VJ_PUSH(c->p->arena, c->p->weights, c->p->weight_count, c->p->weight_capacity) = weight;
    return b;
}

/* The numbers of a column, and zero points and scales; what pads the depth is 0. */
static void fill_column(kernel_case *c, const vj_blocks *blocks, int64_t n, uint8_t *panel) {
    const float most = blocks->bits == 4 ? 15 : 255;
    for (int64_t g = 0; g < vj_blocks_count(blocks); g++) {
        const float scale = rng_float(&c->random, -1, 1) / (blocks->table ? 1 : most);
        memcpy(panel + vj_blocks_scale(g, n), &scale, sizeof scale);
        const bool of_bytes = c->types.plain == VJ_U8 && blocks->bits == 8; /* differences are bytes then */
        if (!blocks->table)
            panel[vj_blocks_zero(blocks, g, n)] = of_bytes ? 128 : (uint8_t)rng_float(&c->random, 0, most);
    }
    for (int64_t k = 0; k < vj_round_up(blocks->depth, blocks->block); k++) {
        const uint8_t zero = blocks->table ? 7 : panel[vj_blocks_zero(blocks, k / blocks->block, n)];
        const uint8_t q = k < blocks->depth ? (uint8_t)rng_float(&c->random, 0, most + 0.99F) : zero;
        uint8_t *to = &panel[vj_blocks_number(blocks, k, n)];
        *to = (uint8_t)(blocks->bits == 8 ? q : *to | q << (k % 2 * 4));
    }
}

/* Random numbers of the case's bits, zero points or a table of them, whose eighth is 0, and scales. */
static int32_t case_blocks(kernel_case *c, int64_t depth, int64_t columns) {
    const vj_blocks blocks = {.bits = c->types.bits,
                              .block = c->types.block ? c->types.block : vj_max64(16, vj_round_up(depth, 2)),
                              .depth = depth,
                              .table = c->types.table};
    int64_t bytes = 0;
    assert_true(vj_blocks_bytes(&blocks, columns, &bytes));
    const int32_t b = weight_buffer(c, bytes,
                                    (vj_weight){.kind = VJ_PACK_BLOCKS,
                                                .k = depth,
                                                .n = columns,
                                                .bits = blocks.bits,
                                                .block = blocks.block,
                                                .table = blocks.table});
    uint8_t *at = vj_alloc(c->arena, (size_t)bytes);
    float table[VJ_BLOCK_TABLE];
    memset(at, 0, (size_t)bytes);
    for (int32_t i = 0; i < VJ_BLOCK_TABLE; i++)
        table[i] = i == 7 ? 0 : rng_float(&c->random, -1, 1);
    for (int64_t n = 0; n < columns; n++) {
        uint8_t *panel = at + n / VJ_PANEL * vj_blocks_panel(&blocks);
        if (blocks.table) memcpy(panel + vj_blocks_table(&blocks), table, sizeof table);
        fill_column(c, &blocks, n % VJ_PANEL, panel);
    }
    for (int64_t i = 0; i < bytes; i++)
        c->values[b][i] = (float)at[i];
    return b;
}

int32_t case_panels(kernel_case *c, int64_t depth, int64_t columns) {
    const vj_dtype dtype = c->types.packed;
    int64_t elements = 0;
    if (c->types.bits) return case_blocks(c, depth, columns);
    assert_true(vj_panel_elements(dtype, depth, columns, &elements));
    const int32_t b = weight_buffer(c, elements, (vj_weight){.kind = VJ_PACK_PANELS, .k = depth, .n = columns});
    memset(c->values[b], 0, (size_t)elements * sizeof *c->values[b]);
    for (int64_t n = 0; n < columns; n++)
        for (int64_t k = 0; k < depth; k++)
            c->values[b][vj_panel_at(dtype, depth, k, n)] = rng_float(&c->random, -1, 1);
    return b;
}
