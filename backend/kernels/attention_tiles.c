/* SPDX-License-Identifier: Apache-2.0 */
/* attention_tiles.c - attention by the tiles of a matrix unit: a tile of up to 32 queries after another, of which scores, weights
 * and results stay in the first level.
 *
 * The keys and values at hand are packed once for all queries of a block, into panels of 16 columns (ir/kernel/panels.h): keys as
 * the right operand of scores (columns are keys, k runs along head dims), values as that of results (columns are value dims, k
 * runs along keys). What stands behind the end of k is zero in both operands; columns that do not exist are computed and not used.
 */
#include "attention_product.h"

/* Tiles 0 to 2 have the rows of the first half of a tile of queries, 3 to 5 those of the second. */
enum { OF_HALF = 3, B = 2 * OF_HALF };
enum { TILE_BYTES = VJ_TILE_ROWS * VJ_TILE_ROW, FLOAT = 4 };
/* A loop over at most so many slices is written out. */
enum { SHORT = 8 };

/* Queries [row, row + rows[0] + rows[1]), each half in tiles of its own. */
typedef struct queries {
    vj_attention m;       /* whose sums and results begin with those of these queries */
    LLVMValueRef row;     /* the first */
    LLVMValueRef rows[2]; /* NULL: there is no second half */
    LLVMValueRef count;
} queries;

static int32_t halves(const vj_attention *m) { return m->mix.tiles[0].height > VJ_TILE_ROWS ? 2 : 1; }

static int64_t slices_of(int64_t elements) { return vj_ceil_div(elements, VJ_STEP); }

/* Slices of a panel of keys, and of one of values. */
static int64_t dim_slices(const vj_attention *m) { return slices_of(m->k->extent[m->d]); }
static int64_t key_slices(const vj_attention *m) { return slices_of(vj_min64(m->s->key_block, m->k->extent[m->j])); }

static int64_t value_panels(const vj_attention *m) { return vj_ceil_div(m->k->extent[m->e], VJ_PANEL); }
static int64_t product_row(const vj_attention *m) { return value_panels(m) * VJ_PANEL; }

static LLVMValueRef times(const vj_gen *g, LLVMValueRef x, int64_t factor) {
    return LLVMBuildNSWMul(g->b, x, vj_i64(g, factor), "");
}

void vj_attention_tiles_begin(vj_attention *m) {
    vj_gen *g = m->g;
    const int64_t key_panels = 2 * key_slices(m);
    m->unit = vj_tiles_new(g);
    m->queries = vj_stack(g, VJ_U8, 2 * dim_slices(m) * TILE_BYTES);
    m->keys = vj_stack(g, VJ_U8, key_panels * dim_slices(m) * TILE_BYTES);
    m->values = vj_stack(g, VJ_U8, value_panels(m) * key_slices(m) * TILE_BYTES);
    m->product = vj_stack(g, VJ_F32, VJ_TILED_ROWS * product_row(m));
}

/* Packing */

/* Fills groups [first, last) of a panel with zeros. */
static void clear_groups(const vj_attention *m, LLVMValueRef panel, LLVMValueRef first, LLVMValueRef last) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, first, last, 1, false, NULL, 0);
    LLVMValueRef zeros = LLVMConstNull(vj_vector_type(g, VJ_I32, VJ_PANEL));
    vj_store_vector(g, vj_bytes_on(g, panel, times(g, loop.index, VJ_TILE_ROW)), zeros, NULL);
    vj_loop_end(g, &loop, NULL);
}

/* The product whose panel of `count` columns from index `lane` of `lane_axis` on is to be packed at `to`, of `at`, a copy of m. */
static vj_product panel_product(const vj_attention *m, vj_attention *at, LLVMValueRef to, int32_t lane_axis,
                                int32_t depth_axis, LLVMValueRef lane, int32_t count) {
    *at = *m;
    at->tile = to;
    at->tile_row = VJ_PANEL;
    vj_product t = {.m = at, .micro = vj_product_micro(m), .width = (int32_t)vj_ceil_div(count, m->lanes)};
    t.last_lanes = count - (t.width - 1) * m->lanes;
    t.depth_axis = depth_axis;
    t.row_axis = m->i;
    t.lane_axis = lane_axis;
    vj_product_go_to(&t, vj_i64(m->g, 0), lane);
    return t;
}

/* A panel of `count` keys from `key` on. */
static void pack_panel_of_keys(const vj_attention *m, LLVMValueRef key, int32_t count) {
    const vj_gen *g = m->g;
    const int64_t dims = m->k->extent[m->d], panel = dim_slices(m) * TILE_BYTES;
    LLVMValueRef nth = LLVMBuildUDiv(g->b, LLVMBuildNSWSub(g->b, key, m->first_key, ""), vj_i64(g, VJ_PANEL), "");
    LLVMValueRef to = vj_bytes_on(g, m->keys, times(g, nth, panel));
    vj_attention at;
    vj_product t = panel_product(m, &at, to, m->j, m->d, key, count);
    t.b_access = m->k->k;
    t.first = vj_i64(g, 0);
    t.steps = vj_i64(g, dims);
    vj_place_keys(&t);
    clear_groups(m, to, vj_i64(g, vj_ceil_div(dims, 2)), vj_i64(g, dim_slices(m) * VJ_TILE_GROUPS));
}

static void pack_keys(const vj_attention *m) {
    vj_gen *g = m->g;
    const int64_t keys = m->k->extent[m->j], whole = keys / VJ_PANEL * VJ_PANEL;
    vj_loop loop;
    if (whole > 0) {
        LLVMValueRef last = vj_clamp(g, m->last_key, 0, whole);
        vj_loop_begin(g, &loop, m->first_key, last, VJ_PANEL, !m->blocked, NULL, 0);
        pack_panel_of_keys(m, vj_opaque(g, loop.index), VJ_PANEL);
        vj_loop_end(g, &loop, NULL);
    }
    if (whole < keys) {
        LLVMValueRef first = vj_clamp(g, m->first_key, whole, keys); /* runs once, in the block that has the last key */
        vj_loop_begin(g, &loop, first, m->last_key, VJ_PANEL, !m->blocked, NULL, 0);
        pack_panel_of_keys(m, vj_i64(g, whole), (int32_t)(keys - whole));
        vj_loop_end(g, &loop, NULL);
    }
}

/* How many slices the keys at hand fill, the last perhaps in part. */
static LLVMValueRef slices_at_hand(const vj_attention *m) {
    const vj_gen *g = m->g;
    LLVMValueRef keys = LLVMBuildNSWSub(g->b, m->last_key, m->first_key, "");
    LLVMValueRef up = LLVMBuildNSWAdd(g->b, keys, vj_i64(g, VJ_STEP - 1), "");
    return LLVMBuildUDiv(g->b, up, vj_i64(g, VJ_STEP), "");
}

static LLVMValueRef panels_at_hand(const vj_attention *m) {
    const vj_gen *g = m->g;
    LLVMValueRef keys = LLVMBuildNSWSub(g->b, m->last_key, m->first_key, "");
    return LLVMBuildUDiv(g->b, LLVMBuildNSWAdd(g->b, keys, vj_i64(g, VJ_PANEL - 1), ""), vj_i64(g, VJ_PANEL), "");
}

/* A panel of `count` value dims from `dim` on. */
static void pack_panel_of_values(const vj_attention *m, LLVMValueRef dim, int32_t count) {
    const vj_gen *g = m->g;
    LLVMValueRef nth = LLVMBuildUDiv(g->b, dim, vj_i64(g, VJ_PANEL), "");
    LLVMValueRef to = vj_bytes_on(g, m->values, times(g, nth, key_slices(m) * TILE_BYTES));
    vj_attention at;
    vj_product t = panel_product(m, &at, to, m->e, m->j, dim, count);
    t.b_access = m->k->v;
    t.first = m->first_key;
    t.steps = LLVMBuildNSWSub(g->b, m->last_key, m->first_key, "");
    t.point.index[m->j] = m->first_key;
    vj_place_values(&t);
    LLVMValueRef pairs = LLVMBuildUDiv(g->b, LLVMBuildNSWAdd(g->b, t.steps, vj_i64(g, 1), ""), vj_i64(g, 2), "");
    clear_groups(m, to, pairs, times(g, slices_at_hand(m), VJ_TILE_GROUPS));
}

static void pack_values(const vj_attention *m) {
    vj_gen *g = m->g;
    const int64_t dims = m->k->extent[m->e], whole = dims / VJ_PANEL * VJ_PANEL;
    if (whole > 0) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole), VJ_PANEL, true, NULL, 0);
        pack_panel_of_values(m, vj_opaque(g, loop.index), VJ_PANEL);
        vj_loop_end(g, &loop, NULL);
    }
    if (whole < dims) pack_panel_of_values(m, vj_i64(g, whole), (int32_t)(dims - whole));
}

/* One tile for each slice of head dims. */
static void copy_half_of_queries(const queries *q, int32_t half) {
    const vj_attention *m = &q->m;
    vj_gen *g = m->g;
    const int64_t dims = m->k->extent[m->d];
    LLVMValueRef to = vj_bytes_on(g, m->queries, vj_i64(g, half * dim_slices(m) * TILE_BYTES));
    LLVMValueRef first = half ? LLVMBuildNSWAdd(g->b, q->row, q->rows[0], "") : q->row;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), q->rows[half], 1, true, NULL, 0);
    vj_point point = {.lanes = VJ_STEP, .vector_axis = m->d};
    for (int32_t axis = 0; axis < m->k->rank; axis++)
        point.index[axis] = axis < m->i ? m->batch[axis] : vj_i64(g, 0);
    point.index[m->i] = LLVMBuildNSWAdd(g->b, first, loop.index, "");
    for (int64_t slice = 0; slice < dim_slices(m); slice++) {
        const int64_t rest = dims - slice * VJ_STEP;
        point.index[m->d] = vj_i64(g, slice * VJ_STEP);
        point.mask = rest < VJ_STEP ? vj_mask_first(g, vj_i64(g, rest), VJ_STEP) : NULL;
        LLVMValueRef bits = vj_emit_load(g, m->k->q, &point);
        if (point.mask) bits = LLVMBuildSelect(g->b, point.mask, bits, LLVMConstNull(LLVMTypeOf(bits)), "");
        LLVMValueRef row = vj_bytes_on(g, to, times(g, loop.index, VJ_TILE_ROW));
        vj_store_vector(g, vj_bytes_on(g, row, vj_i64(g, slice * TILE_BYTES)), bits, NULL);
    }
    vj_loop_end(g, &loop, NULL);
}

/* Products */

typedef struct tiled {
    LLVMValueRef a[2];      /* of each half, bytes from here on: */
    int64_t a_row, a_slice; /* from one row, and one slice, to the next */
    LLVMValueRef b;         /* the first panel */
    int64_t panel;          /* from one panel to the next */
    LLVMValueRef sums[2];   /* where those of each half go, 16 floats a panel */
    int64_t sums_row;
} tiled;

static int32_t sum_tile(int32_t half, int32_t panel) { return OF_HALF * half + panel; }
static int32_t a_tile(int32_t half) { return OF_HALF * half + 2; }

static void add_slice(const vj_attention *m, const tiled *t, LLVMValueRef slice, int32_t panels) {
    const vj_gen *g = m->g;
    for (int32_t j = 0; j < panels; j++) {
        LLVMValueRef at = LLVMBuildNSWAdd(g->b, times(g, slice, TILE_BYTES), vj_i64(g, j * t->panel), "");
        vj_tile_load(&m->unit, B + j, vj_bytes_on(g, t->b, at), vj_i64(g, VJ_TILE_ROW));
    }
    for (int32_t half = 0; half < halves(m); half++) {
        LLVMValueRef at = vj_bytes_on(g, t->a[half], times(g, slice, t->a_slice));
        vj_tile_load(&m->unit, a_tile(half), at, vj_i64(g, t->a_row));
        for (int32_t j = 0; j < panels; j++)
            vj_tile_dot_bf16(&m->unit, sum_tile(half, j), a_tile(half), B + j);
    }
}

static void multiply(const vj_attention *m, const tiled *t, LLVMValueRef slices, int32_t panels) {
    vj_gen *g = m->g;
    for (int32_t half = 0; half < halves(m); half++)
        for (int32_t j = 0; j < panels; j++)
            vj_tile_zero(&m->unit, sum_tile(half, j));
    if (LLVMIsConstant(slices) && LLVMConstIntGetSExtValue(slices) <= SHORT) {
        for (int64_t slice = 0; slice < LLVMConstIntGetSExtValue(slices); slice++)
            add_slice(m, t, vj_i64(g, slice), panels);
    } else {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), slices, 1, true, NULL, 0);
        add_slice(m, t, loop.index, panels);
        vj_loop_end(g, &loop, NULL);
    }
    for (int32_t half = 0; half < halves(m); half++)
        for (int32_t j = 0; j < panels; j++) {
            LLVMValueRef to = vj_bytes_on(g, t->sums[half], vj_i64(g, (int64_t)j * VJ_PANEL * FLOAT));
            vj_tile_store(&m->unit, sum_tile(half, j), to, vj_i64(g, t->sums_row));
        }
}

/* Products of each pair of panels [0, count), then of one more where that is `odd`. */
static void multiply_panels(const vj_attention *m, const tiled *t, LLVMValueRef slices, LLVMValueRef count, bool odd) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), count, 2, false, NULL, 0);
    for (int32_t last = 0; last <= odd; last++) {
        LLVMValueRef panel = last ? count : loop.index, sums = times(g, panel, (int64_t)VJ_PANEL * FLOAT);
        tiled at = *t;
        at.b = vj_bytes_on(g, t->b, times(g, panel, t->panel));
        for (int32_t half = 0; half < halves(m); half++)
            at.sums[half] = vj_bytes_on(g, t->sums[half], sums);
        multiply(m, &at, slices, last ? 1 : 2);
        if (!last) vj_loop_end(g, &loop, NULL);
    }
}

/* The second half's rows stand behind those of the first. */
static LLVMValueRef second(const queries *q, LLVMValueRef pointer, int64_t row) {
    const vj_gen *g = q->m.g;
    return q->rows[1] ? vj_bytes_on(g, pointer, times(g, q->rows[0], row)) : NULL;
}

/* The products of queries and keys, as they are: the softmax makes scores of them. Queries that fill no more than four tiles
 * stay in them, and a panel of keys goes by after another. */
enum { KEPT_SLICES = OF_HALF - 1 };

static int32_t kept_tile(int32_t half, int64_t slice) { return OF_HALF * half + 1 + (int32_t)slice; }

static bool queries_are_kept(const vj_attention *m) { return dim_slices(m) <= KEPT_SLICES; }

static void multiply_panel_of_keys(const queries *q, LLVMValueRef panel) {
    const vj_attention *m = &q->m;
    const vj_gen *g = m->g;
    const int64_t slices = dim_slices(m), row = m->row * FLOAT;
    LLVMValueRef b = vj_bytes_on(g, m->keys, times(g, panel, slices * TILE_BYTES));
    for (int32_t half = 0; half < halves(m); half++)
        vj_tile_zero(&m->unit, sum_tile(half, 0));
    for (int64_t slice = 0; slice < slices; slice++) {
        const int32_t tile = B + (int32_t)slice;
        vj_tile_load(&m->unit, tile, vj_bytes_on(g, b, vj_i64(g, slice * TILE_BYTES)), vj_i64(g, VJ_TILE_ROW));
        for (int32_t half = 0; half < halves(m); half++)
            vj_tile_dot_bf16(&m->unit, sum_tile(half, 0), kept_tile(half, slice), tile);
    }
    LLVMValueRef to = vj_bytes_on(g, m->scores, times(g, panel, (int64_t)VJ_PANEL * FLOAT));
    for (int32_t half = 0; half < halves(m); half++)
        vj_tile_store(&m->unit, sum_tile(half, 0), half ? second(q, to, row) : to, vj_i64(g, row));
}

static void multiply_keys_by_kept(const queries *q) {
    const vj_attention *m = &q->m;
    vj_gen *g = m->g;
    const int64_t slices = dim_slices(m);
    for (int32_t half = 0; half < halves(m); half++)
        for (int64_t slice = 0; slice < slices; slice++) {
            LLVMValueRef at = vj_bytes_on(g, m->queries, vj_i64(g, (half * slices + slice) * TILE_BYTES));
            vj_tile_load(&m->unit, kept_tile(half, slice), at, vj_i64(g, VJ_TILE_ROW));
        }
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), panels_at_hand(m), 1, true, NULL, 0);
    multiply_panel_of_keys(q, loop.index);
    vj_loop_end(g, &loop, NULL);
}

static void multiply_keys(const queries *q) {
    const vj_attention *m = &q->m;
    const vj_gen *g = m->g;
    const int64_t slices = dim_slices(m), row = m->row * FLOAT;
    if (queries_are_kept(m)) {
        multiply_keys_by_kept(q);
        return;
    }
    tiled t = {.a = {m->queries}, .a_row = VJ_TILE_ROW, .a_slice = TILE_BYTES, .b = m->keys};
    t.a[1] = vj_bytes_on(g, m->queries, vj_i64(g, slices * TILE_BYTES));
    t.panel = slices * TILE_BYTES;
    t.sums[0] = m->scores;
    t.sums[1] = second(q, m->scores, row);
    t.sums_row = row;
    multiply_panels(m, &t, vj_i64(g, slices), times(g, slices_at_hand(m), 2), false);
}

/* Weights are made of whole vectors of scores; the slice that the last of them begins is filled up. */
static void clear_rest_of_weights(const queries *q) {
    const vj_attention *m = &q->m;
    vj_gen *g = m->g;
    const int64_t keys = m->k->extent[m->j], from = vj_round_up(keys, m->lanes), to = vj_round_up(keys, VJ_STEP);
    if (from == to) return;
    LLVMValueRef up = LLVMBuildNSWAdd(g->b, m->last_key, vj_i64(g, m->lanes - 1), "");
    LLVMValueRef end = LLVMBuildAnd(g->b, up, vj_i64(g, -m->lanes), "");
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), q->count, 1, true, NULL, 0);
    LLVMValueRef zeros = LLVMConstNull(vj_vector_type(g, VJ_BF16, m->lanes));
    for (int64_t key = 0; key < to - from; key += m->lanes)
        vj_store_vector(g, vj_weight_at(m, loop.index, vj_plus(g, end, key)), zeros, NULL);
    vj_loop_end(g, &loop, NULL);
}

static void multiply_values(const queries *q) {
    const vj_attention *m = &q->m;
    const vj_gen *g = m->g;
    const int64_t row = m->row * FLOAT, sums_row = product_row(m) * FLOAT, panels = value_panels(m);
    const tiled t = {.a = {m->scores, second(q, m->scores, row)},
                     .a_row = row,
                     .a_slice = VJ_TILE_ROW,
                     .b = m->values,
                     .panel = key_slices(m) * TILE_BYTES,
                     .sums = {m->product, second(q, m->product, sums_row)},
                     .sums_row = sums_row};
    multiply_panels(m, &t, slices_at_hand(m), vj_i64(g, panels / 2 * 2), panels % 2);
}

/* Results */

static LLVMValueRef scale_of(const vj_attention *m, LLVMValueRef row) {
    return vj_splat(m->g, vj_load_vector(m->g, vj_of_row(m, m->scale, row), VJ_F32, 1, NULL, NULL), m->lanes);
}

/* Stores `value`, results of row `row` from value dim `dim` on. */
static void store_results(const vj_attention *m, LLVMValueRef row, int64_t dim, LLVMValueRef value) {
    const vj_gen *g = m->g;
    const int32_t lanes = (int32_t)vj_min64(m->lanes, m->k->extent[m->e] - dim);
    vj_point point = {.lanes = m->lanes, .vector_axis = m->e};
    for (int32_t axis = 0; axis < m->k->rank; axis++)
        point.index[axis] = axis < m->i ? m->batch[axis] : vj_i64(g, 0);
    point.index[m->i] = LLVMBuildNSWAdd(g->b, m->query, row, "");
    point.index[m->e] = vj_i64(g, dim);
    for (int32_t o = 0; o < m->k->out_count; o++)
        vj_store_lanes(m->g, &m->k->out[o], &point, m->e, value, lanes);
}

/* Results are the products over the sum of the weights; of a block of keys they are added to those before. */
static void take_product(const queries *q) {
    const vj_attention *m = &q->m;
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), q->count, 1, true, NULL, 0);
    LLVMValueRef scale = scale_of(m, loop.index), row = times(g, loop.index, product_row(m));
    for (int64_t dim = 0; dim < m->k->extent[m->e]; dim += m->lanes) {
        LLVMValueRef at = vj_element(g, m->product, VJ_F32, LLVMBuildNSWAdd(g->b, row, vj_i64(g, dim), ""));
        LLVMValueRef product = vj_load_vector(g, at, VJ_F32, m->lanes, NULL, NULL);
        if (!m->blocked) {
            store_results(m, loop.index, dim, LLVMBuildFMul(g->b, product, scale, ""));
            continue;
        }
        LLVMValueRef kept = vj_result_at(m, loop.index, vj_i64(g, dim));
        LLVMValueRef before = vj_load_vector(g, kept, VJ_F32, m->lanes, NULL, NULL);
        vj_store_vector(g, kept, vj_fma(g, before, scale, product), NULL);
    }
    vj_loop_end(g, &loop, NULL);
}

void vj_attention_tiles_finish(const vj_attention *m, LLVMValueRef rows) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), rows, 1, true, NULL, 0);
    LLVMValueRef scale = scale_of(m, loop.index);
    for (int64_t dim = 0; dim < m->k->extent[m->e]; dim += m->lanes) {
        LLVMValueRef kept = vj_result_at(m, loop.index, vj_i64(g, dim));
        LLVMValueRef result = vj_load_vector(g, kept, VJ_F32, m->lanes, NULL, NULL);
        store_results(m, loop.index, dim, LLVMBuildFMul(g->b, result, scale, ""));
    }
    vj_loop_end(g, &loop, NULL);
}

/* The queries of tile number `tile`, in halves that differ by one row at most. */
static queries queries_of(const vj_attention *m, LLVMValueRef tile) {
    const vj_gen *g = m->g;
    queries q = {.m = *m, .row = vj_opaque(g, vj_row_of_tile(m, tile))};
    LLVMValueRef next = vj_row_of_tile(m, LLVMBuildNSWAdd(g->b, tile, vj_i64(g, 1), ""));
    LLVMValueRef before = LLVMBuildNSWSub(g->b, q.row, m->query, "");
    q.count = LLVMBuildNSWSub(g->b, next, q.row, "");
    q.rows[0] = q.count;
    if (halves(m) == 2) {
        q.rows[1] = LLVMBuildLShr(g->b, q.count, vj_i64(g, 1), "");
        q.rows[0] = LLVMBuildNSWSub(g->b, q.count, q.rows[1], "");
    }
    q.m.query = q.row;
    q.m.scale = vj_of_row(m, m->scale, before);
    if (!m->blocked) return q;
    q.m.largest = vj_of_row(m, m->largest, before);
    q.m.sum = vj_of_row(m, m->sum, before);
    q.m.results = vj_result_at(m, before, vj_i64(g, 0));
    return q;
}

static void configure(queries *q) {
    const vj_gen *g = q->m.g;
    LLVMValueRef rows[VJ_TILES] = {NULL};
    for (int32_t half = 0; half < halves(&q->m); half++)
        for (int32_t tile = 0; tile < OF_HALF; tile++)
            rows[OF_HALF * half + tile] = q->rows[half];
    rows[B] = rows[B + 1] = vj_i64(g, VJ_TILE_ROWS);
    vj_tiles_configure(&q->m.unit, rows);
}

void vj_attention_tiles(const vj_attention *m) {
    vj_gen *g = m->g;
    pack_keys(m);
    pack_values(m);
    vj_loop loop;
    vj_loop_begin(g, &loop, m->first, m->last, 1, true, NULL, 0);
    queries q = queries_of(m, loop.index);
    configure(&q);
    for (int32_t half = 0; half < halves(m); half++)
        copy_half_of_queries(&q, half);
    multiply_keys(&q);
    vj_attention_softmax(&q.m, q.count);
    clear_rest_of_weights(&q);
    multiply_values(&q);
    take_product(&q);
    vj_loop_end(g, &loop, NULL);
}
