/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_store.c - the epilogue of a tile: each result's expression at each vector of the tile, stored.
 *
 * Where a result's rows are adjacent in memory and its columns are not (keys that attention wants transposed, pixels of
 * a convolution in NCHW), blocks of lanes x lanes sums are transposed in registers first and lanes run along the rows.
 *
 * Long epilogues (GELU, transpositions) are written out once, not for each vector of the tile: the sums go to the
 * stack, and loops take them from there. That costs some tens of cycles a tile, and saves most of the code and of its
 * compilation.
 */
#include "gemm.h"

#include <string.h>

static bool is_turned(const vj_gemm *m, const vj_gemm_tile *t, const vj_access *access) {
    /* On tiles all rows are kept before any is stored, and those of a short tile go with the others. */
    const int32_t height = m->s->form == VJ_FORM_TILES ? m->s->tiles[0].height : t->height;
    return m->lanes > 1 && height > 1 && access->stride[m->last_col] != 1 && access->stride[m->inner_row] == 1;
}

static void store_transposed(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const LLVMValueRef *acc,
                             int32_t j) {
    vj_gen *g = m->g;
    const int32_t columns = vj_tile_lanes(m, t, j);
    for (int32_t first = 0; first < t->height; first += m->lanes) {
        const int32_t rows = t->height - first < m->lanes ? t->height - first : m->lanes;
        LLVMValueRef block[64];
        for (int32_t r = 0; r < m->lanes; r++)
            block[r] = r < rows ? acc[(first + r) * t->width + j] : LLVMGetPoison(LLVMTypeOf(acc[0]));
        vj_transpose(g, block, m->lanes);
        for (int32_t c = 0; c < columns; c++) {
            vj_point point = {0};
            vj_gemm_point(m, t, first, j, &point);
            LLVMValueRef column = point.index[m->last_col];
            point.index[m->last_col] = c == 0 ? column : LLVMBuildNSWAdd(g->b, column, vj_i64(g, c), "");
            vj_store_lanes(g, out, &point, m->inner_row, block[c], rows);
        }
    }
}

/* Vector j of each row, for results that are not transposed. */
static void store_straight(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *const *outs, int32_t out_count,
                           const LLVMValueRef *acc, int32_t j) {
    for (int32_t r = 0; r < t->height; r++) {
        vj_point point = {0};
        vj_gemm_point(m, t, r, j, &point);
        vj_store_lanes_of(m->g, outs, out_count, &point, m->last_col, acc[r * t->width + j], vj_tile_lanes(m, t, j));
    }
}

/* Those that are stored everywhere, and not transposed: they share what they have in common. Returns how many there are. */
static int32_t straight_outs(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *outs[VJ_MAX_OUTS]) {
    int32_t count = 0;
    for (int32_t o = 0; o < m->k->out_count; o++) {
        const vj_out *out = &m->k->out[o];
        if (out->segment < 0 && !is_turned(m, t, &m->k->access[out->access])) outs[count++] = out;
    }
    return count;
}

/* Runs `store` where the result's segment, if it has one, is that of `first`, the first column index. */
typedef void (*store_out)(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const void *what);

static void in_segment(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, LLVMValueRef first, store_out store,
                       const void *what) {
    vj_gen *g = m->g;
    if (out->segment < 0) {
        store(m, t, out, what);
        return;
    }
    LLVMBasicBlockRef then = LLVMAppendBasicBlockInContext(g->context, g->function, "segment");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(g->context, g->function, "next");
    LLVMValueRef here = LLVMBuildICmp(g->b, LLVMIntEQ, first, vj_i64(g, out->segment), "");
    LLVMBuildCondBr(g->b, here, then, next);
    LLVMPositionBuilderAtEnd(g->b, then);
    store(m, t, out, what);
    LLVMBuildBr(g->b, next);
    LLVMPositionBuilderAtEnd(g->b, next);
}

typedef struct sums {
    const LLVMValueRef *acc;
    int32_t j;
} sums;

static void store_column(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const void *what) {
    const sums *c = what;
    if (is_turned(m, t, &m->k->access[out->access]))
        store_transposed(m, t, out, c->acc, c->j);
    else
        store_straight(m, t, &out, 1, c->acc, c->j);
}

static void store_unlooped(const vj_gemm *m, const vj_gemm_tile *t, const LLVMValueRef *acc) {
    const vj_out *straight[VJ_MAX_OUTS];
    const int32_t count = straight_outs(m, t, straight);
    for (int32_t j = 0; j < t->width; j++) {
        if (count) store_straight(m, t, straight, count, acc, j);
        for (int32_t o = 0; o < m->k->out_count; o++) {
            const vj_out *out = &m->k->out[o];
            if (out->segment < 0 && !is_turned(m, t, &m->k->access[out->access])) continue;
            in_segment(m, t, out, t->col_index[j][m->cols.first], store_column, &(sums){acc, j});
        }
    }
}

/* Ragged columns: panels hold columns without regard to their axes, so a vector may begin in one head and end in the
 * next. The tile goes to the stack, from where pieces that lie within the last axis are taken. */

static int64_t padded_height(const vj_gemm *m, int32_t height) { return vj_round_up(height, m->lanes); }

void vj_gemm_plan_store(vj_gemm *m) {
    m->ragged = m->cols.count > 1 && m->k->extent[m->last_col] % m->lanes != 0;
    if ((!m->ragged && !m->s->looped_store) || m->s->form == VJ_FORM_TILES) return;
    int64_t height = 0;
    for (int32_t i = 0; i < m->s->tile_kinds; i++)
        height = vj_max64(height, padded_height(m, m->s->tiles[i].height));
    /* A piece is read as a whole vector, so there is room for one more behind the last. */
    m->tile = vj_stack(m->g, m->sum, height * m->s->width * m->lanes + m->lanes);
}

static LLVMValueRef tile_at(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef row, int64_t pitch,
                            LLVMValueRef column) {
    const vj_gen *g = m->g;
    LLVMValueRef at = LLVMBuildAdd(g->b, LLVMBuildMul(g->b, row, vj_i64(g, pitch), ""), column, "");
    return vj_element(g, t->sums, m->sum, at);
}

static void store_piece(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const void *what) {
    const vj_point *point = what;
    (void)t;
    vj_emit_store(m->g, out->access, point, vj_emit_expr(m->g, out->expr, point));
}

/* Stores the tile's first row: for each place of the outer column axes that it touches, the pieces of the last axis. */
static void store_ragged_row(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out) {
    vj_gen *g = m->g;
    const int64_t columns = (int64_t)(t->width - 1) * m->lanes + t->last_lanes;
    LLVMValueRef extent = vj_i64(g, m->k->extent[m->last_col]), zero = vj_i64(g, 0);
    LLVMValueRef end = LLVMBuildAdd(g->b, t->first_col, vj_i64(g, columns), "");
    LLVMValueRef last =
        LLVMBuildUDiv(g->b, LLVMBuildAdd(g->b, end, vj_i64(g, m->k->extent[m->last_col] - 1), ""), extent, "");
    vj_loop outer, inner;
    vj_loop_begin(g, &outer, LLVMBuildUDiv(g->b, t->first_col, extent, ""), last, 1, true, NULL, 0);
    LLVMValueRef start = LLVMBuildMul(g->b, outer.index, extent, "");
    LLVMValueRef from = vj_maximum(g, LLVMBuildSub(g->b, t->first_col, start, ""), zero);
    LLVMValueRef to = vj_minimum(g, LLVMBuildSub(g->b, end, start, ""), extent);
    vj_point point = {.lanes = m->lanes, .vector_axis = m->last_col};
    memcpy(point.index, t->index, sizeof point.index);
    point.index[m->inner_row] = t->row;
    vj_gemm_unflatten(m, outer.index, (vj_axes){m->cols.first, m->cols.count - 1}, point.index);
    vj_loop_begin(g, &inner, from, to, m->lanes, false, NULL, 0);
    point.index[m->last_col] = inner.index;
    point.mask = vj_mask_first(g, LLVMBuildSub(g->b, to, inner.index, ""), m->lanes);
    LLVMValueRef column = LLVMBuildSub(g->b, LLVMBuildAdd(g->b, start, inner.index, ""), t->first_col, "");
    point.acc = vj_load_vector(g, vj_element(g, t->sums, m->sum, column), m->sum, m->lanes, NULL, NULL);
    in_segment(m, t, out, point.index[m->cols.first], store_piece, &point);
    vj_loop_end(g, &inner, NULL);
    vj_loop_end(g, &outer, NULL);
}

/* Keeps the sums as they are, row by row. */
static void keep_tile(const vj_gemm *m, const vj_gemm_tile *t, const LLVMValueRef *acc) {
    const vj_gen *g = m->g;
    for (int32_t i = 0; i < t->height * t->width; i++)
        vj_store_vector(g, vj_element(g, t->sums, m->sum, vj_i64(g, (int64_t)i * m->lanes)), acc[i], NULL);
}

typedef struct transposed {
    vj_point point;
    LLVMValueRef column; /* in the tile */
} transposed;

static void store_transposed_column(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const void *what) {
    vj_gen *g = m->g;
    const transposed *c = what;
    for (int32_t first = 0; first < t->height; first += m->lanes) {
        vj_point point = c->point;
        point.index[m->inner_row] = LLVMBuildAdd(g->b, t->row, vj_i64(g, first), "");
        LLVMValueRef at = tile_at(m, t, c->column, padded_height(m, t->height), vj_i64(g, first));
        LLVMValueRef vector = vj_load_vector(g, at, m->sum, m->lanes, NULL, NULL);
        const int32_t rest = t->height - first;
        vj_store_lanes(g, out, &point, m->inner_row, vector, rest < m->lanes ? rest : m->lanes);
    }
}

/* A tile whose result is written transposed is transposed on its way to the stack, then stored a column at a time. */
static void store_ragged_transposed(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const LLVMValueRef *acc,
                                    int64_t columns) {
    vj_gen *g = m->g;
    const int64_t pitch = padded_height(m, t->height);
    for (int32_t j = 0; j < t->width; j++) {
        for (int32_t first = 0; first < t->height; first += m->lanes) {
            LLVMValueRef block[64];
            for (int32_t r = 0; r < m->lanes; r++)
                block[r] = first + r < t->height ? acc[(first + r) * t->width + j] : LLVMGetPoison(LLVMTypeOf(acc[0]));
            vj_transpose(g, block, m->lanes);
            for (int32_t c = 0; c < m->lanes; c++) {
                const int64_t at = ((int64_t)j * m->lanes + c) * pitch + first;
                vj_store_vector(g, vj_element(g, t->sums, m->sum, vj_i64(g, at)), block[c], NULL);
            }
        }
    }
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, columns), 1, true, NULL, 0);
    transposed c = {.column = loop.index};
    memcpy(c.point.index, t->index, sizeof c.point.index);
    vj_gemm_unflatten(m, LLVMBuildAdd(g->b, t->first_col, loop.index, ""), m->cols, c.point.index);
    in_segment(m, t, out, c.point.index[m->cols.first], store_transposed_column, &c);
    vj_loop_end(g, &loop, NULL);
}

/* Stores by loops over the kept tile */

static LLVMValueRef kept(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef row, LLVMValueRef column) {
    return vj_load_vector(m->g, tile_at(m, t, row, vj_gemm_pitch(m, t), column), m->sum, m->lanes, NULL, NULL);
}

bool vj_gemm_has_results(const vj_gemm *m, const vj_gemm_tile *t, bool turned) {
    for (int32_t o = 0; o < m->k->out_count; o++)
        if (is_turned(m, t, &m->k->access[m->k->out[o].access]) == turned) return true;
    return false;
}

/* Vectors [first, last) of a row of sums, for results that are stored at the same places of the columns. */
typedef struct kept_vectors {
    const vj_out *const *outs;
    int32_t out_count;
    int32_t first, last;
} kept_vectors;

static void store_kept_vectors(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const void *what) {
    const kept_vectors *v = what;
    (void)out;
    for (int32_t j = v->first; j < v->last; j++) {
        vj_point point = {0};
        vj_gemm_point(m, t, 0, j, &point);
        LLVMValueRef vector = kept(m, t, vj_i64(m->g, 0), vj_i64(m->g, (int64_t)j * m->lanes));
        vj_store_lanes_of(m->g, v->outs, v->out_count, &point, m->last_col, vector, vj_tile_lanes(m, t, j));
    }
}

/* Are all columns of a tile of one segment, wherever it begins? */
static bool is_in_a_segment(const vj_gemm *m) {
    const int64_t columns = vj_extent_product(m->k, m->cols.first + 1, m->cols.count - 1);
    return columns % ((int64_t)m->s->width * vj_max64(1, m->s->unit_col_tiles) * m->lanes) == 0;
}

static void store_segment(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out) {
    const int32_t step = is_in_a_segment(m) ? t->width : 1;
    for (int32_t j = 0; j < t->width; j += step) {
        const kept_vectors v = {&out, 1, j, j + step};
        in_segment(m, t, out, t->col_index[j][m->cols.first], store_kept_vectors, &v);
    }
}

void vj_gemm_store_row(const vj_gemm *m, const vj_gemm_tile *t) {
    const vj_out *straight[VJ_MAX_OUTS];
    const int32_t count = straight_outs(m, t, straight);
    for (int32_t o = 0; o < m->k->out_count; o++) {
        const vj_out *out = &m->k->out[o];
        if (is_turned(m, t, &m->k->access[out->access])) continue;
        if (m->ragged)
            store_ragged_row(m, t, out);
        else if (out->segment >= 0)
            store_segment(m, t, out);
    }
    if (count && !m->ragged) store_kept_vectors(m, t, NULL, &(kept_vectors){straight, count, 0, t->width});
}

/* The rows of a kept tile one after another. */
static void store_kept_rows(const vj_gemm *m, const vj_gemm_tile *t) {
    vj_gen *g = m->g;
    if (!vj_gemm_has_results(m, t, false)) return;
    vj_loop rows;
    vj_loop_begin(g, &rows, vj_i64(g, 0), vj_i64(g, t->height), 1, true, NULL, 0);
    vj_gemm_tile row = *t;
    row.row = LLVMBuildNSWAdd(g->b, t->row, rows.index, "");
    row.sums = tile_at(m, t, rows.index, vj_gemm_pitch(m, t), vj_i64(g, 0));
    vj_gemm_store_row(m, &row);
    vj_loop_end(g, &rows, NULL);
}

typedef struct kept_block {
    LLVMValueRef j; /* number of the vector */
    LLVMValueRef index[VJ_MAX_AXES];
    int32_t columns;
} kept_block;

static void store_kept_block(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const void *what) {
    vj_gen *g = m->g;
    const kept_block *b = what;
    LLVMValueRef column = LLVMBuildMul(g->b, b->j, vj_i64(g, m->lanes), "");
    for (int32_t first = 0; first < t->height; first += m->lanes) {
        const int32_t rows = t->height - first < m->lanes ? t->height - first : m->lanes;
        LLVMValueRef block[64];
        for (int32_t r = 0; r < m->lanes; r++)
            block[r] = r < rows ? kept(m, t, vj_i64(g, first + r), column)
                                : LLVMGetPoison(vj_vector_type(g, m->sum, m->lanes));
        vj_transpose(g, block, m->lanes);
        for (int32_t c = 0; c < b->columns; c++) {
            vj_point point = {0};
            memcpy(point.index, b->index, sizeof point.index);
            point.index[m->last_col] = LLVMBuildNSWAdd(g->b, b->index[m->last_col], vj_i64(g, c), "");
            point.index[m->inner_row] = LLVMBuildNSWAdd(g->b, t->row, vj_i64(g, first), "");
            vj_store_lanes(g, out, &point, m->inner_row, block[c], rows);
        }
    }
}

/* Stores vector j of the tile, of which `columns` exist. */
static void store_kept_column(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, LLVMValueRef j,
                              int32_t columns) {
    const vj_gen *g = m->g;
    kept_block b = {.j = j, .columns = columns};
    memcpy(b.index, t->index, sizeof b.index);
    LLVMValueRef number = LLVMBuildAdd(g->b, t->first_col, LLVMBuildMul(g->b, j, vj_i64(g, m->lanes), ""), "");
    vj_gemm_unflatten(m, number, m->cols, b.index);
    in_segment(m, t, out, b.index[m->cols.first], store_kept_block, &b);
}

static void store_kept_transposed(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out) {
    vj_gen *g = m->g;
    const int32_t whole = t->last_lanes == m->lanes ? t->width : t->width - 1;
    if (whole > 0) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole), 1, true, NULL, 0);
        store_kept_column(m, t, out, loop.index, m->lanes);
        vj_loop_end(g, &loop, NULL);
    }
    if (whole < t->width) store_kept_column(m, t, out, vj_i64(g, whole), t->last_lanes);
}

void vj_gemm_store_turned(const vj_gemm *m, const vj_gemm_tile *t) {
    for (int32_t o = 0; o < m->k->out_count; o++)
        if (is_turned(m, t, &m->k->access[m->k->out[o].access])) store_kept_transposed(m, t, &m->k->out[o]);
}

/* What vectors straddle is transposed on its way to the tile, so that the tile is kept anew for it. */
static void store_ragged(const vj_gemm *m, const vj_gemm_tile *t, const LLVMValueRef *acc) {
    const int64_t columns = (int64_t)(t->width - 1) * m->lanes + t->last_lanes;
    if (vj_gemm_has_results(m, t, false)) keep_tile(m, t, acc);
    store_kept_rows(m, t);
    for (int32_t o = 0; o < m->k->out_count; o++) {
        const vj_out *out = &m->k->out[o];
        if (is_turned(m, t, &m->k->access[out->access])) store_ragged_transposed(m, t, out, acc, columns);
    }
}

void vj_gemm_store(const vj_gemm *m, const vj_gemm_tile *tile, const LLVMValueRef *acc) {
    vj_gemm_tile at = *tile;
    const vj_gemm_tile *t = &at;
    at.sums = m->tile;
    if (m->ragged) {
        store_ragged(m, t, acc);
    } else if (m->s->looped_store) {
        keep_tile(m, t, acc);
        store_kept_rows(m, t);
        vj_gemm_store_turned(m, t);
    } else {
        store_unlooped(m, t, acc);
    }
}
