/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.c - products: the loops around a tile.
 *
 * A unit is (point of the batch axes, group of column tiles, block of row tiles), the last fastest. In a unit column
 * tiles are outside and row tiles inside, so that a panel of B stays in the cache while all rows pass by it.
 */
#include "gemm.h"

static void add_and_store(const vj_gemm *m, vj_gemm_tile *t) {
    LLVMValueRef acc[VJ_MAX_TILE];
    vj_gemm_accumulate(m, t, acc);
    vj_gemm_store(m, t, acc);
}

/* Does row tiles [first, last) at one point of the outer row axes, `start` tiles from the first, by a loop a kind of tile. */
static void emit_inner_rows(vj_gemm *m, vj_gemm_tile *t, LLVMValueRef first, LLVMValueRef last, LLVMValueRef panel,
                            LLVMValueRef start, bool all) {
    vj_gen *g = m->g;
    int64_t tile = 0, row = 0;
    for (int32_t i = 0; i < m->s->tile_kinds; i++) {
        const vj_tile_rows *kind = &m->s->tiles[i];
        LLVMValueRef from = vj_i64(g, tile), to = vj_i64(g, tile + kind->count);
        vj_loop loop;
        vj_loop_begin(g, &loop, all ? from : vj_maximum(g, from, first), all ? to : vj_minimum(g, to, last), 1, all,
                      NULL, 0);
        LLVMValueRef number = LLVMBuildSub(g->b, loop.index, from, "");
        LLVMValueRef rows = LLVMBuildMul(g->b, number, vj_i64(g, kind->height), "");
        t->height = kind->height;
        t->row = vj_opaque(g, LLVMBuildAdd(g->b, rows, vj_i64(g, row), ""));
        t->fetch = NULL;
        if (panel) {
            /* Each tile fetches its share of the next panel. */
            LLVMValueRef share = vj_i64(g, m->depth * m->s->prefetch);
            LLVMValueRef nth = LLVMBuildAdd(g->b, start, loop.index, "");
            t->fetch = vj_element(g, panel, VJ_I8, LLVMBuildMul(g->b, nth, share, ""));
        }
        add_and_store(m, t);
        vj_loop_end(g, &loop, NULL);
        tile += kind->count;
        row += (int64_t)kind->count * kind->height;
    }
}

/* Does the row tiles of block `block`. They are numbered over (outer row axes, tiles of the inner one). */
static void emit_rows(vj_gemm *m, vj_gemm_tile *t, LLVMValueRef block, LLVMValueRef panel) {
    vj_gen *g = m->g;
    const int64_t tiles = vj_gemm_row_tiles(m), blocks = m->s->unit_row_blocks;
    const int64_t outer = vj_extent_product(m->k, m->outer_rows.first, m->outer_rows.count);
    const bool all = blocks == 1;
    LLVMValueRef total = vj_i64(g, outer * tiles), count = vj_i64(g, tiles);
    LLVMValueRef first = LLVMBuildUDiv(g->b, LLVMBuildMul(g->b, block, total, ""), vj_i64(g, blocks), "");
    LLVMValueRef end = LLVMBuildMul(g->b, LLVMBuildAdd(g->b, block, vj_i64(g, 1), ""), total, "");
    LLVMValueRef last = LLVMBuildUDiv(g->b, end, vj_i64(g, blocks), "");
    if (outer == 1) {
        vj_gemm_unflatten(m, vj_i64(g, 0), m->outer_rows, t->index);
        emit_inner_rows(m, t, first, last, panel, vj_i64(g, 0), all);
        return;
    }
    LLVMValueRef from = all ? vj_i64(g, 0) : LLVMBuildUDiv(g->b, first, count, "");
    LLVMValueRef to = vj_i64(g, outer);
    if (!all) to = LLVMBuildUDiv(g->b, LLVMBuildAdd(g->b, last, vj_i64(g, tiles - 1), ""), count, "");
    vj_loop loop;
    vj_loop_begin(g, &loop, from, to, 1, all, NULL, 0);
    LLVMValueRef index = vj_opaque(g, loop.index);
    vj_gemm_unflatten(m, index, m->outer_rows, t->index);
    LLVMValueRef start = LLVMBuildMul(g->b, index, count, "");
    emit_inner_rows(m, t, LLVMBuildSub(g->b, first, start, ""), LLVMBuildSub(g->b, last, start, ""), panel, start, all);
    vj_loop_end(g, &loop, NULL);
}

/* Does column tile number `tile`, of `columns` columns: width * lanes, but for a narrower one at the end. */
static void emit_columns(vj_gemm *m, vj_gemm_tile *t, LLVMValueRef tile, int64_t columns, LLVMValueRef block) {
    vj_gen *g = m->g;
    const int64_t full = (int64_t)m->s->width * m->lanes;
    vj_gemm_place_columns(m, t, LLVMBuildMul(g->b, tile, vj_i64(g, full), ""), columns);
    LLVMValueRef panel = NULL;
    if (m->wide) vj_gemm_widen(m, t);
    if (m->s->prefetch && m->b_mode == VJ_B_PANELS) {
        LLVMValueRef next = LLVMBuildAdd(g->b, t->first_col, vj_i64(g, full), "");
        const int64_t whole = vj_panel_depth(m->micro.b, m->depth) * VJ_PANEL * vj_element_bytes(m->micro.b);
        const int64_t column = (m->wide ? vj_blocks_panel(&m->blocks) : whole) / VJ_PANEL;
        panel = vj_bytes_on(g, m->b, LLVMBuildMul(g->b, next, vj_i64(g, column), ""));
    }
    emit_rows(m, t, block, panel);
}

static void emit_column_tiles(vj_gemm *m, vj_gemm_tile *t, LLVMValueRef group, LLVMValueRef block) {
    vj_gen *g = m->g;
    const int64_t columns = (int64_t)m->s->width * m->lanes, full = m->n / columns, rest = m->n % columns;
    const int64_t tiles = full + (rest > 0), unit = m->s->unit_col_tiles;
    LLVMValueRef first = LLVMBuildMul(g->b, group, vj_i64(g, unit), "");
    LLVMValueRef last = LLVMBuildAdd(g->b, first, vj_i64(g, unit), "");
    if (full > 0) {
        const bool exact = rest == 0 && tiles % unit == 0;
        vj_loop loop;
        vj_loop_begin(g, &loop, first, exact ? last : vj_minimum(g, last, vj_i64(g, full)), 1, exact, NULL, 0);
        emit_columns(m, t, loop.index, columns, block);
        vj_loop_end(g, &loop, NULL);
    }
    if (rest > 0) {
        vj_loop loop; /* runs once, in the unit that has the last tile */
        vj_loop_begin(g, &loop, vj_maximum(g, first, vj_i64(g, full)), vj_minimum(g, last, vj_i64(g, tiles)), 1, false,
                      NULL, 0);
        emit_columns(m, t, vj_i64(g, full), rest, block);
        vj_loop_end(g, &loop, NULL);
    }
}

void vj_gen_gemm(vj_gen *g) {
    const vj_kernel *k = g->k;
    const vj_gemm_schedule *s = &k->schedule->gemm;
    const vj_axes batch = vj_group(k, VJ_GROUP_BATCH), rows = vj_group(k, VJ_GROUP_ROWS);
    vj_gemm gemm = {.g = g, .k = k, .s = s, .lanes = s->lanes, .a = g->access[k->a], .b = g->access[k->b]};
    vj_gemm *m = &gemm;
    m->rows = rows;
    m->outer_rows = (vj_axes){rows.first, s->flat_rows ? 0 : rows.count - 1};
    m->cols = vj_group(k, VJ_GROUP_COLS);
    m->depth_axes = vj_group(k, VJ_GROUP_DEPTH);
    m->inner_row = m->cols.first - 1;
    m->row_extent = s->flat_rows ? vj_group_extent(k, VJ_GROUP_ROWS) : k->extent[m->inner_row];
    m->last_col = m->depth_axes.first - 1;
    m->n = vj_group_extent(k, VJ_GROUP_COLS);
    m->depth = vj_group_extent(k, VJ_GROUP_DEPTH);
    vj_gemm_plan_depth(m);
    vj_gemm_plan_store(m);
    if (s->form == VJ_FORM_TILES) {
        vj_gemm_by_tiles(m);
        return;
    }
    const int64_t tiles = vj_ceil_div(m->n, (int64_t)s->width * m->lanes);
    const int64_t groups = vj_ceil_div(tiles, s->unit_col_tiles);
    vj_loop loop;
    vj_loop_begin(g, &loop, g->first_unit, g->last_unit, 1, false, NULL, 0);
    LLVMValueRef blocks = vj_i64(g, s->unit_row_blocks), rest = LLVMBuildUDiv(g->b, loop.index, blocks, "");
    LLVMValueRef block = LLVMBuildURem(g->b, loop.index, blocks, ""), group = rest;
    vj_gemm_tile tile = {0};
    if (batch.count > 0) {
        group = LLVMBuildURem(g->b, rest, vj_i64(g, groups), "");
        vj_gemm_unflatten(m, LLVMBuildUDiv(g->b, rest, vj_i64(g, groups), ""), batch, tile.index);
    }
    emit_column_tiles(m, &tile, group, block);
    vj_loop_end(g, &loop, NULL);
}
