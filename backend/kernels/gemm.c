/* gemm.c - products: the loops around a tile.
 *
 * A unit is (point of the batch axes, group of column tiles, block of row tiles), the last fastest. In a unit column
 * tiles are outside and row tiles inside, so that a panel of B stays in the cache while all rows pass by it.
 */
#include "gemm.h"

#include <assert.h>
#include <string.h>

void vj_gemm_point(const vj_gemm *m, const vj_gemm_tile *t, int32_t r, int32_t j, vj_point *point) {
    const vj_gen *g = m->g;
    const int32_t lanes = vj_tile_lanes(m, t, j);
    memcpy(point->index, t->index, sizeof point->index);
    for (int32_t axis = m->first_col; axis < m->first_depth; axis++)
        point->index[axis] = t->col_index[j][axis];
    if (m->inner_row >= 0)
        point->index[m->inner_row] = r == 0 ? t->row : LLVMBuildNSWAdd(g->b, t->row, vj_i64(g, r), "");
    point->lanes = m->lanes;
    point->vector_axis = m->lanes > 1 ? m->last_col : -1;
    point->mask = lanes < m->lanes ? vj_mask_first(g, vj_i64(g, lanes), m->lanes) : NULL;
}

void vj_gemm_unflatten(const vj_gemm *m, LLVMValueRef number, int32_t first, int32_t count, LLVMValueRef *index) {
    const vj_gen *g = m->g;
    for (int32_t axis = first + count - 1; axis >= first; axis--) {
        if (axis == first) {
            index[axis] = number;
            break;
        }
        LLVMValueRef extent = vj_i64(g, m->k->extent[axis]);
        index[axis] = LLVMBuildURem(g->b, number, extent, "");
        number = LLVMBuildUDiv(g->b, number, extent, "");
    }
}

static LLVMValueRef smaller(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, a, b, ""), a, b, "");
}

static LLVMValueRef larger(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, a, b, ""), a, b, "");
}

static int64_t row_tiles(const vj_gemm *m) {
    int64_t count = 0;
    for (int32_t i = 0; i < m->s->tile_kinds; i++)
        count += m->s->tiles[i].count;
    return count;
}

/* Row tiles [first, last) at one point of the outer row axes, `start` tiles from the first: a loop a kind of tile. */
static void emit_inner_rows(const vj_gemm *m, vj_gemm_tile *t, LLVMValueRef first, LLVMValueRef last,
                            LLVMValueRef panel, LLVMValueRef start, bool all) {
    vj_gen *g = m->g;
    int64_t tile = 0, row = 0;
    for (int32_t i = 0; i < m->s->tile_kinds; i++) {
        const vj_tile_rows *kind = &m->s->tiles[i];
        LLVMValueRef from = vj_i64(g, tile), to = vj_i64(g, tile + kind->count);
        vj_loop loop;
        vj_loop_begin(g, &loop, all ? from : larger(g, from, first), all ? to : smaller(g, to, last), 1, all, NULL, 0);
        LLVMValueRef number = LLVMBuildSub(g->b, loop.index, from, "");
        LLVMValueRef rows = LLVMBuildMul(g->b, number, vj_i64(g, kind->height), "");
        t->height = kind->height;
        t->row = vj_opaque(g, LLVMBuildAdd(g->b, rows, vj_i64(g, row), ""));
        t->fetch = NULL;
        if (panel) {
            /* This tile's share of the next panel. */
            LLVMValueRef share = vj_i64(g, m->depth * m->s->prefetch);
            LLVMValueRef nth = LLVMBuildAdd(g->b, start, loop.index, "");
            t->fetch = vj_element(g, panel, VJ_I8, LLVMBuildMul(g->b, nth, share, ""));
        }
        LLVMValueRef acc[VJ_MAX_TILE];
        vj_gemm_accumulate(m, t, acc);
        vj_gemm_store(m, t, acc);
        vj_loop_end(g, &loop, NULL);
        tile += kind->count;
        row += (int64_t)kind->count * kind->height;
    }
}

/* The row tiles of block `block`: numbers over (outer row axes, tiles of the inner one). */
static void emit_rows(const vj_gemm *m, vj_gemm_tile *t, LLVMValueRef block, LLVMValueRef panel) {
    vj_gen *g = m->g;
    const int64_t tiles = row_tiles(m), outer_axes = m->inner_row < 0 ? 0 : m->k->row_axes - 1;
    const int64_t outer = vj_extent_product(m->k, m->first_row, (int32_t)outer_axes), blocks = m->s->unit_row_blocks;
    const bool all = blocks == 1;
    LLVMValueRef total = vj_i64(g, outer * tiles), count = vj_i64(g, tiles);
    LLVMValueRef first = LLVMBuildUDiv(g->b, LLVMBuildMul(g->b, block, total, ""), vj_i64(g, blocks), "");
    LLVMValueRef end = LLVMBuildMul(g->b, LLVMBuildAdd(g->b, block, vj_i64(g, 1), ""), total, "");
    LLVMValueRef last = LLVMBuildUDiv(g->b, end, vj_i64(g, blocks), "");
    if (outer == 1) {
        if (m->inner_row >= 0) vj_gemm_unflatten(m, vj_i64(g, 0), m->first_row, (int32_t)outer_axes, t->index);
        emit_inner_rows(m, t, first, last, panel, vj_i64(g, 0), all);
        return;
    }
    LLVMValueRef from = all ? vj_i64(g, 0) : LLVMBuildUDiv(g->b, first, count, "");
    LLVMValueRef to = vj_i64(g, outer);
    if (!all) to = LLVMBuildUDiv(g->b, LLVMBuildAdd(g->b, last, vj_i64(g, tiles - 1), ""), count, "");
    vj_loop loop;
    vj_loop_begin(g, &loop, from, to, 1, all, NULL, 0);
    LLVMValueRef place = vj_opaque(g, loop.index);
    vj_gemm_unflatten(m, place, m->first_row, (int32_t)outer_axes, t->index);
    LLVMValueRef start = LLVMBuildMul(g->b, place, count, "");
    emit_inner_rows(m, t, LLVMBuildSub(g->b, first, start, ""), LLVMBuildSub(g->b, last, start, ""), panel, start, all);
    vj_loop_end(g, &loop, NULL);
}

/* Column tile number `tile`; all but the last, narrower one have `columns` = width * lanes. */
static void emit_columns(const vj_gemm *m, vj_gemm_tile *t, LLVMValueRef tile, int64_t columns, LLVMValueRef block) {
    vj_gen *g = m->g;
    const int64_t full = (int64_t)m->s->width * m->lanes;
    t->width = (int32_t)vj_ceil_div(columns, m->lanes);
    t->last_lanes = (int32_t)(columns - (int64_t)(t->width - 1) * m->lanes);
    t->first_col = vj_opaque(g, LLVMBuildMul(g->b, tile, vj_i64(g, full), ""));
    for (int32_t j = 0; j < t->width; j++) {
        LLVMValueRef number = LLVMBuildAdd(g->b, t->first_col, vj_i64(g, (int64_t)j * m->lanes), "");
        vj_gemm_unflatten(m, number, m->first_col, m->k->col_axes, t->col_index[j]);
    }
    LLVMValueRef panel = NULL;
    if (m->s->prefetch && m->b_mode == VJ_B_PANELS) {
        LLVMValueRef next = LLVMBuildAdd(g->b, t->first_col, vj_i64(g, full), "");
        panel = vj_element(g, m->b, VJ_F32, LLVMBuildMul(g->b, next, vj_i64(g, m->depth), ""));
    }
    emit_rows(m, t, block, panel);
}

static void emit_column_tiles(const vj_gemm *m, vj_gemm_tile *t, LLVMValueRef group, LLVMValueRef block) {
    vj_gen *g = m->g;
    const int64_t columns = (int64_t)m->s->width * m->lanes, full = m->n / columns, rest = m->n % columns;
    const int64_t tiles = full + (rest > 0), unit = m->s->unit_col_tiles;
    LLVMValueRef first = LLVMBuildMul(g->b, group, vj_i64(g, unit), "");
    LLVMValueRef last = LLVMBuildAdd(g->b, first, vj_i64(g, unit), "");
    if (full > 0) {
        const bool exact = rest == 0 && tiles % unit == 0;
        vj_loop loop;
        vj_loop_begin(g, &loop, first, exact ? last : smaller(g, last, vj_i64(g, full)), 1, exact, NULL, 0);
        emit_columns(m, t, loop.index, columns, block);
        vj_loop_end(g, &loop, NULL);
    }
    if (rest > 0) {
        vj_loop loop; /* runs once, in the unit that has the last tile */
        vj_loop_begin(g, &loop, larger(g, first, vj_i64(g, full)), smaller(g, last, vj_i64(g, tiles)), 1, false, NULL,
                      0);
        emit_columns(m, t, vj_i64(g, full), rest, block);
        vj_loop_end(g, &loop, NULL);
    }
}

void vj_gen_gemm(vj_gen *g) {
    const vj_kernel *k = g->k;
    const vj_gemm_schedule *s = &k->schedule->gemm;
    vj_gemm gemm = {.g = g, .k = k, .s = s, .lanes = s->lanes, .first_row = k->batch_axes};
    vj_gemm *m = &gemm;
    m->first_col = m->first_row + k->row_axes;
    m->first_depth = m->first_col + k->col_axes;
    m->inner_row = k->row_axes > 0 ? m->first_col - 1 : -1;
    m->last_col = m->first_depth - 1;
    m->rows = m->inner_row < 0 ? 1 : k->extent[m->inner_row];
    m->n = vj_extent_product(k, m->first_col, k->col_axes);
    m->depth = vj_extent_product(k, m->first_depth, k->depth_axes);
    m->a = g->access[k->a];
    m->b = g->access[k->b];
    assert(k->col_axes > 0);
    if (g->p->buffers[k->access[k->a].buffer].dtype != VJ_F32 ||
        g->p->buffers[k->access[k->b].buffer].dtype != VJ_F32) {
        vj_fail(g->error, VJ_UNSUPPORTED, "kernel '%s': products are made of f32 only", k->name);
        return;
    }
    vj_gemm_plan_depth(m);
    vj_gemm_plan_store(m);
    const int64_t tiles = vj_ceil_div(m->n, (int64_t)s->width * m->lanes);
    const int64_t groups = vj_ceil_div(tiles, s->unit_col_tiles);
    vj_loop loop;
    vj_loop_begin(g, &loop, g->first_unit, g->last_unit, 1, false, NULL, 0);
    LLVMValueRef blocks = vj_i64(g, s->unit_row_blocks), rest = LLVMBuildUDiv(g->b, loop.index, blocks, "");
    LLVMValueRef block = LLVMBuildURem(g->b, loop.index, blocks, ""), group = rest;
    vj_gemm_tile tile = {0};
    if (k->batch_axes > 0) {
        group = LLVMBuildURem(g->b, rest, vj_i64(g, groups), "");
        vj_gemm_unflatten(m, LLVMBuildUDiv(g->b, rest, vj_i64(g, groups), ""), 0, k->batch_axes, tile.index);
    }
    emit_column_tiles(m, &tile, group, block);
    vj_loop_end(g, &loop, NULL);
}
