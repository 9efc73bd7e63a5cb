/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_units.c - products on a matrix unit: the loops around a block of its tiles.
 *
 * A unit is (point of the batch axes, group of column tiles, block of row tiles), the last fastest. Its sums are kept in
 * memory.
 *
 * Tiles multiply while vectors do something else: beside each step of the products some rows of the sums of the unit before
 * go through the epilogue, and a share of the next panels comes into the second level, a line at each load: many lines
 * at a time would keep the loads waiting. The last unit's sums go behind the loop; so do those of a unit with fewer columns, whose
 * code is another.
 */
#include "gemm.h"

/* A unit's place at run time. */
typedef struct place {
    vj_gemm_tile t;         /* batch indices, columns, sums */
    LLVMValueRef outer[2];  /* first and last + 1 of the points of the outer row axes */
    LLVMValueRef tile[2];   /* and of the tiles of the inner one */
    LLVMValueRef row, rows; /* the first, counted over all row axes, and how many */
    LLVMValueRef fetch;     /* panels for later */
} place;

/* Row tiles are dealt to so many blocks of outer points, times pieces of the inner axis. */
typedef struct cut {
    int64_t outer, tiles; /* points, row tiles */
    int64_t blocks, pieces;
} cut;

static cut cut_of(const vj_gemm *m) {
    cut c = {vj_extent_product(m->k, m->outer_rows.first, m->outer_rows.count), vj_gemm_row_tiles(m), 1, 1};
    c.blocks = vj_min64(m->s->unit_row_blocks, c.outer);
    c.pieces = m->s->unit_row_blocks / c.blocks;
    return c;
}

static int64_t full_columns(const vj_gemm *m) { return (int64_t)m->s->unit_col_tiles * m->s->width * m->lanes; }

/* Columns of a unit's sums, their rows, and how many more stand before: see add_row_tile. */
static int64_t pitch_of(const vj_gemm *m) { return vj_round_up(vj_min64(full_columns(m), m->n), VJ_PANEL); }

static int64_t most_rows(const vj_gemm *m) {
    const cut c = cut_of(m);
    const int64_t inner = vj_ceil_div(c.tiles, c.pieces) * m->s->tiles[0].height;
    return vj_ceil_div(c.outer, c.blocks) * vj_min64(inner, m->row_extent);
}

static int64_t sums_of(const vj_gemm *m) { return (VJ_TILE_ROWS + most_rows(m)) * pitch_of(m); }

/* The sum of `each` over the row tiles before tile `tile`, by kind. */
static LLVMValueRef sum_before(const vj_gemm *m, LLVMValueRef tile, const int64_t each[VJ_MAX_TILE_KINDS]) {
    const vj_gen *g = m->g;
    LLVMValueRef sum = vj_i64(g, 0);
    int64_t before = 0;
    for (int32_t i = 0; i < m->s->tile_kinds; i++) {
        const int64_t count = m->s->tiles[i].count;
        LLVMValueRef of_kind = LLVMBuildSub(g->b, tile, vj_i64(g, before), "");
        of_kind = vj_minimum(g, vj_maximum(g, of_kind, vj_i64(g, 0)), vj_i64(g, count));
        sum = LLVMBuildAdd(g->b, sum, LLVMBuildMul(g->b, of_kind, vj_i64(g, each[i]), ""), "");
        before += count;
    }
    return sum;
}

/* The first of the rows of tile `tile`, or of so many rows beyond the last. */
static LLVMValueRef row_of(const vj_gemm *m, LLVMValueRef tile) {
    int64_t rows[VJ_MAX_TILE_KINDS] = {0};
    for (int32_t i = 0; i < m->s->tile_kinds; i++)
        rows[i] = m->s->tiles[i].height;
    return sum_before(m, tile, rows);
}

/* range[i] = (nth + i) * all / parts */
static void share(const vj_gen *g, LLVMValueRef nth, int64_t all, int64_t parts, LLVMValueRef range[2]) {
    for (int32_t i = 0; i < 2; i++) {
        LLVMValueRef product = LLVMBuildMul(g->b, LLVMBuildAdd(g->b, nth, vj_i64(g, i), ""), vj_i64(g, all), "");
        range[i] = LLVMBuildUDiv(g->b, product, vj_i64(g, parts), "");
    }
}

static void place_rows(const vj_gemm *m, LLVMValueRef block, place *p) {
    const vj_gen *g = m->g;
    const cut c = cut_of(m);
    const int64_t inner = m->row_extent;
    LLVMValueRef pieces = vj_i64(g, c.pieces);
    share(g, LLVMBuildUDiv(g->b, block, pieces, ""), c.outer, c.blocks, p->outer);
    share(g, LLVMBuildURem(g->b, block, pieces, ""), c.tiles, c.pieces, p->tile);
    LLVMValueRef first = c.pieces > 1 ? row_of(m, p->tile[0]) : vj_i64(g, 0);
    LLVMValueRef last = c.pieces > 1 ? row_of(m, p->tile[1]) : vj_i64(g, inner);
    LLVMValueRef points = LLVMBuildSub(g->b, p->outer[1], p->outer[0], "");
    p->row = LLVMBuildAdd(g->b, LLVMBuildMul(g->b, p->outer[0], vj_i64(g, inner), ""), first, "");
    p->rows = LLVMBuildMul(g->b, points, LLVMBuildSub(g->b, last, first, ""), "");
}

/* Panels that come in beside a unit: its share of those of the next group, or all of them where that is the next unit's. */
static LLVMValueRef fetch_from(const vj_gemm *m, LLVMValueRef group, LLVMValueRef block) {
    const vj_gen *g = m->g;
    const int64_t bytes = full_columns(m) * vj_panel_depth(m->micro.b, m->depth) * vj_element_bytes(m->micro.b);
    LLVMValueRef next = LLVMBuildMul(g->b, LLVMBuildAdd(g->b, group, vj_i64(g, 1), ""), vj_i64(g, bytes), "");
    LLVMValueRef part = vj_i64(g, 0);
    if (!m->s->panels_pass) part = LLVMBuildMul(g->b, block, vj_i64(g, bytes / m->s->unit_row_blocks), "");
    return vj_element(g, m->b, VJ_U8, LLVMBuildAdd(g->b, next, part, ""));
}

/* Units are numbered by groups of columns and blocks of rows; which are faster is the schedule's panels_pass. */
static LLVMValueRef group_of(const vj_gemm *m, LLVMValueRef unit) {
    const vj_gen *g = m->g;
    LLVMValueRef groups = vj_i64(g, vj_ceil_div(m->n, full_columns(m)));
    if (m->s->panels_pass) return LLVMBuildURem(g->b, unit, groups, "");
    return LLVMBuildURem(g->b, LLVMBuildUDiv(g->b, unit, vj_i64(g, m->s->unit_row_blocks), ""), groups, "");
}

static LLVMValueRef block_of(const vj_gemm *m, LLVMValueRef unit) {
    const vj_gen *g = m->g;
    LLVMValueRef blocks = vj_i64(g, m->s->unit_row_blocks), groups = vj_i64(g, vj_ceil_div(m->n, full_columns(m)));
    if (m->s->panels_pass) unit = LLVMBuildUDiv(g->b, unit, groups, "");
    return LLVMBuildURem(g->b, unit, blocks, "");
}

/* Where unit `unit` is, which has so many columns. */
static void locate(const vj_gemm *m, LLVMValueRef unit, int64_t columns, place *p) {
    const vj_gen *g = m->g;
    const vj_axes batch = vj_group(m->k, VJ_GROUP_BATCH);
    const int64_t blocks = m->s->unit_row_blocks, groups = vj_ceil_div(m->n, full_columns(m));
    LLVMValueRef block = block_of(m, unit), group = group_of(m, unit);
    if (batch.count > 0)
        vj_gemm_unflatten(m, LLVMBuildUDiv(g->b, unit, vj_i64(g, blocks * groups), ""), batch, p->t.index);
    vj_gemm_place_columns(m, &p->t, LLVMBuildMul(g->b, group, vj_i64(g, full_columns(m)), ""), columns);
    place_rows(m, block, p);
    p->t.height = m->s->tiles[0].height;
    LLVMValueRef odd = LLVMBuildAnd(g->b, unit, vj_i64(g, 1), "");
    LLVMValueRef at = LLVMBuildMul(g->b, odd, vj_i64(g, sums_of(m)), "");
    at = LLVMBuildAdd(g->b, at, vj_i64(g, VJ_TILE_ROWS * pitch_of(m)), "");
    p->t.sums = vj_element(g, m->tile, VJ_F32, at);
    if (m->s->prefetch) p->fetch = fetch_from(m, group, block);
}

/* Rows that far ahead come in before the epilogue reads them: a residual was written long ago, and a row of it lies far from the
 * next, so that nothing but this fetches it. */
#define ROWS_AHEAD 8

static void fetch_ahead(const vj_gemm *m, const vj_gemm_tile *t) {
    vj_gen *g = m->g;
    for (int32_t i = 0; i < m->k->access_count; i++) {
        const vj_access *a = &m->k->access[i];
        if (vj_operand_of(m->k, i) >= 0 || vj_is_result(m->k, i) || a->term_count > 0) continue;
        if (a->stride[m->inner_row] == 0 || a->stride[m->last_col] != 1) continue;
        const vj_dtype dtype = g->p->buffers[a->buffer].dtype;
        for (int32_t j = 0; j < t->width; j++) {
            vj_point point = {0};
            vj_gemm_point(m, t, 0, j, &point);
            LLVMValueRef row = vj_element(g, g->access[i], dtype, vj_emit_offset(g, a, &point));
            vj_prefetch(g, vj_element(g, row, dtype, vj_i64(g, ROWS_AHEAD * a->stride[m->inner_row])));
        }
    }
}

/* Stores rows [first, last) of a unit's sums. */
static void store_rows(const vj_gemm *m, const place *p, LLVMValueRef first, LLVMValueRef last) {
    vj_gen *g = m->g;
    vj_gemm_tile t = p->t;
    vj_loop loop;
    vj_loop_begin(g, &loop, first, last, 1, false, NULL, 0);
    vj_gemm_place_row(m, &t, LLVMBuildAdd(g->b, p->row, loop.index, ""));
    LLVMValueRef at = LLVMBuildMul(g->b, loop.index, vj_i64(g, vj_gemm_pitch(m, &t)), "");
    t.sums = vj_element(g, p->t.sums, VJ_F32, at);
    fetch_ahead(m, &t);
    vj_gemm_store_row(m, &t);
    vj_loop_end(g, &loop, NULL);
}

/* A unit's products, and what is done beside them. */
typedef struct work {
    vj_gemm_beside beside; /* the first member */
    vj_gemm *m;
    const place *here, *before;
    LLVMValueRef rows; /* of the unit before, to be stored; NULL: there are none */
    LLVMValueRef rate; /* rows stored a share of what is done, in 2^-16 */
} work;

enum { ONE_BITS = 16 };

/* How much is done beside a step of so many loads: the lines of the next panels that it fetches, or where there are none, loads. */
static int64_t share_of(const vj_gemm *m, int32_t loads) {
    const int64_t most = vj_gemm_step_loads(VJ_BLOCK_ROWS, 2);
    return m->s->prefetch ? vj_max64(1, m->s->prefetch * loads / most) : loads;
}

/* How much that is for the whole unit, roughly: a single panel counts as two. */
static LLVMValueRef all_shares(const vj_gemm *m, const place *p) {
    const vj_gen *g = m->g;
    const int64_t pairs = vj_ceil_div(vj_gemm_pitch(m, &p->t) / VJ_PANEL, 2);
    int64_t each[VJ_MAX_TILE_KINDS] = {0};
    for (int32_t i = 0; i < m->s->tile_kinds; i++)
        each[i] = pairs * vj_gemm_steps(m) * share_of(m, vj_gemm_step_loads(m->s->tiles[i].height, 2));
    LLVMValueRef shares = LLVMBuildSub(g->b, sum_before(m, p->tile[1], each), sum_before(m, p->tile[0], each), "");
    return LLVMBuildMul(g->b, LLVMBuildSub(g->b, p->outer[1], p->outer[0], ""), shares, "");
}

/* How many rows are stored when so much is done. */
static LLVMValueRef stored_after(const work *w, LLVMValueRef done) {
    const vj_gen *g = w->m->g;
    LLVMValueRef rows = LLVMBuildMul(g->b, done, w->rate, "");
    return vj_minimum(g, LLVMBuildLShr(g->b, rows, vj_i64(g, ONE_BITS), ""), w->rows);
}

static void fetch_at_load(const vj_gemm_beside *self, LLVMValueRef done, int32_t load, int32_t of) {
    enum { LINE = 64 };
    const work *w = (const work *)self;
    const vj_gen *g = w->m->g;
    const int64_t lines = share_of(w->m, of);
    if (!w->m->s->prefetch) return;
    LLVMValueRef from = vj_element(g, w->here->fetch, VJ_U8, LLVMBuildMul(g->b, done, vj_i64(g, LINE), ""));
    for (int64_t line = lines * load / of; line < lines * (load + 1) / of; line++)
        vj_prefetch(g, vj_element(g, from, VJ_U8, vj_i64(g, line * LINE)));
}

static LLVMValueRef store_at_end(const vj_gemm_beside *self, LLVMValueRef done, int32_t loads) {
    const work *w = (const work *)self;
    LLVMValueRef next = LLVMBuildAdd(w->m->g->b, done, vj_i64(w->m->g, share_of(w->m, loads)), "");
    if (w->rows) store_rows(w->m, w->before, stored_after(w, done), stored_after(w, next));
    return next;
}

/* All blocks beside one another: the tile's rows by all the unit's panels. */
static LLVMValueRef add_row_of_blocks(const work *w, const vj_gemm_tile *t, LLVMValueRef done) {
    vj_gen *g = w->m->g;
    const int64_t panels = vj_gemm_pitch(w->m, t) / VJ_PANEL, pairs = panels / 2;
    if (pairs > 0) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, 2 * pairs), 2, true, &done, 1);
        LLVMValueRef next = vj_gemm_add_block(w->m, t, loop.index, 2, &w->beside, loop.carried[0]);
        vj_loop_end(g, &loop, &next);
        done = loop.carried[0];
    }
    return panels % 2 ? vj_gemm_add_block(w->m, t, vj_i64(g, 2 * pairs), 1, &w->beside, done) : done;
}

/* The row tile whose first row is `row` of the inner axis, at point `outer` of the others. Where it is short of rows its block has
 * rows of the tile before once more. Results that are transposed are stored at once. */
static LLVMValueRef add_row_tile(const work *w, int32_t height, LLVMValueRef row, LLVMValueRef outer,
                                 LLVMValueRef done) {
    vj_gemm *m = w->m;
    const vj_gen *g = m->g;
    const place *p = w->here;
    vj_gemm_tile t = p->t;
    if (m->outer_rows.count > 0) vj_gemm_unflatten(m, outer, m->outer_rows, t.index);
    for (int32_t axis = m->rows.first + m->outer_rows.count; axis < m->inner_row; axis++)
        t.index[axis] = vj_i64(g, 0); /* one walk through A */
    LLVMValueRef flat = LLVMBuildMul(g->b, outer, vj_i64(g, m->row_extent), "");
    flat = LLVMBuildAdd(g->b, flat, row, "");
    LLVMValueRef pitch = vj_i64(g, vj_gemm_pitch(m, &t));
    t.height = height;
    t.row = row;
    t.sums = vj_element(g, p->t.sums, VJ_F32, LLVMBuildMul(g->b, LLVMBuildSub(g->b, flat, p->row, ""), pitch, ""));
    vj_gemm_tile block = t;
    block.height = height > vj_gemm_tile_rows(m) ? height : vj_gemm_tile_rows(m);
    LLVMValueRef back = vj_i64(g, height - block.height);
    block.row = LLVMBuildAdd(g->b, row, back, "");
    block.sums = vj_element(g, t.sums, VJ_F32, LLVMBuildMul(g->b, back, pitch, ""));
    if (m->s->gathered) vj_gemm_gather(m, &block);
    done = add_row_of_blocks(w, &block, done);
    vj_gemm_store_turned(m, &t);
    return done;
}

/* Row tiles of one kind, the first of which is number `before`, at row `row` of the inner axis. */
static LLVMValueRef add_kind(const work *w, const vj_tile_rows *kind, int64_t before, int64_t row, LLVMValueRef done) {
    vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const place *p = w->here;
    const bool all = cut_of(m).pieces == 1;
    vj_loop outer, loop;
    vj_loop_begin(g, &outer, p->outer[0], p->outer[1], 1, true, &done, 1);
    LLVMValueRef from = vj_i64(g, before), to = vj_i64(g, before + kind->count), next = outer.carried[0];
    vj_loop_begin(g, &loop, all ? from : vj_maximum(g, from, p->tile[0]), all ? to : vj_minimum(g, to, p->tile[1]), 1,
                  all, &next, 1);
    LLVMValueRef rows = LLVMBuildMul(g->b, LLVMBuildSub(g->b, loop.index, from, ""), vj_i64(g, kind->height), "");
    LLVMValueRef first = vj_opaque(g, LLVMBuildAdd(g->b, rows, vj_i64(g, row), ""));
    next = add_row_tile(w, kind->height, first, outer.index, loop.carried[0]);
    vj_loop_end(g, &loop, &next);
    vj_loop_end(g, &outer, &loop.carried[0]);
    return outer.carried[0];
}

static LLVMValueRef add_rows(const work *w) {
    const vj_gemm *m = w->m;
    int64_t tiles = 0, row = 0;
    LLVMValueRef done = vj_i64(m->g, 0);
    for (int32_t i = 0; i < m->s->tile_kinds; i++) {
        const vj_tile_rows *kind = &m->s->tiles[i];
        done = add_kind(w, kind, tiles, row, done);
        tiles += kind->count;
        row += (int64_t)kind->count * kind->height;
    }
    return done;
}

/* Does a unit of so many columns, and stores beside it what is left of unit `before`, if it is not below 0. Returns the unit
 * whose rows are left then, or -1. */
static LLVMValueRef do_unit(vj_gemm *m, LLVMValueRef unit, LLVMValueRef before, int64_t columns) {
    vj_gen *g = m->g;
    LLVMValueRef none = vj_i64(g, -1), zero = vj_i64(g, 0), one = vj_i64(g, 1);
    place here = {0}, earlier = {0};
    locate(m, unit, columns, &here);
    work w = {.beside = {fetch_at_load, store_at_end}, .m = m, .here = &here, .before = &earlier};
    const bool rows = vj_gemm_has_results(m, &here.t, false), full = columns == full_columns(m);
    if (rows && m->n >= full_columns(m)) {
        locate(m, vj_maximum(g, before, zero), full_columns(m), &earlier);
        w.rows = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, before, zero, ""), zero, earlier.rows, "");
        LLVMValueRef all = LLVMBuildShl(g->b, w.rows, vj_i64(g, ONE_BITS), "");
        w.rate = LLVMBuildAdd(g->b, LLVMBuildUDiv(g->b, all, vj_maximum(g, all_shares(m, &here), one), ""), one, "");
    }
    if (m->wide) vj_gemm_widen(m, &here.t);
    LLVMValueRef done = add_rows(&w);
    if (w.rows) store_rows(m, &earlier, stored_after(&w, done), w.rows);
    if (rows && full) return unit;
    if (rows) store_rows(m, &here, zero, here.rows);
    return none;
}

/* Does a unit with all columns that a unit may have, or the last of a row of units, with the rest. */
static LLVMValueRef do_any_unit(vj_gemm *m, LLVMValueRef unit, LLVMValueRef before) {
    const vj_gen *g = m->g;
    const int64_t full = full_columns(m), rest = m->n % full;
    if (rest == 0) return do_unit(m, unit, before, full);
    if (m->n < full) return do_unit(m, unit, before, rest);
    LLVMBasicBlockRef narrow = LLVMAppendBasicBlockInContext(g->context, g->function, "narrow");
    LLVMBasicBlockRef wide = LLVMAppendBasicBlockInContext(g->context, g->function, "wide");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(g->context, g->function, "next"), from[2];
    LLVMValueRef left[2], is_rest = LLVMBuildICmp(g->b, LLVMIntEQ, group_of(m, unit), vj_i64(g, m->n / full), "");
    LLVMBuildCondBr(g->b, is_rest, narrow, wide);
    LLVMPositionBuilderAtEnd(g->b, narrow);
    left[0] = do_unit(m, unit, before, rest);
    from[0] = LLVMGetInsertBlock(g->b);
    LLVMBuildBr(g->b, next);
    LLVMPositionBuilderAtEnd(g->b, wide);
    left[1] = do_unit(m, unit, before, full);
    from[1] = LLVMGetInsertBlock(g->b);
    LLVMBuildBr(g->b, next);
    LLVMMoveBasicBlockAfter(next, from[1]);
    LLVMPositionBuilderAtEnd(g->b, next);
    LLVMValueRef either = LLVMBuildPhi(g->b, g->i64, "");
    LLVMAddIncoming(either, left, from, 2);
    return either;
}

void vj_gemm_by_tiles(vj_gemm *m) {
    vj_gen *g = m->g;
    m->tile = vj_stack(g, VJ_F32, 2 * sums_of(m) + m->lanes);
    vj_gemm_tiles_begin(m);
    LLVMValueRef none = vj_i64(g, -1);
    vj_loop loop;
    vj_loop_begin(g, &loop, g->first_unit, g->last_unit, 1, false, &none, 1);
    LLVMValueRef left = do_any_unit(m, loop.index, loop.carried[0]);
    vj_loop_end(g, &loop, &left);
    vj_tiles_release(&m->unit);
    if (m->n < full_columns(m)) return;
    place last = {0};
    locate(m, vj_maximum(g, loop.carried[0], vj_i64(g, 0)), full_columns(m), &last);
    if (!vj_gemm_has_results(m, &last.t, false)) return;
    LLVMValueRef is_none = LLVMBuildICmp(g->b, LLVMIntSLT, loop.carried[0], vj_i64(g, 0), "");
    store_rows(m, &last, vj_i64(g, 0), LLVMBuildSelect(g->b, is_none, vj_i64(g, 0), last.rows, ""));
}
