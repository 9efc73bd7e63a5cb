/* attention_product.c - the two products of attention, tile by tile: scores[i, j] = q[i, d] . k[j, d] with lanes
 * along keys, results[i, e] = scores[i, j] . v[j, e] with lanes along value dims.
 *
 * Keys with a unit stride over j are read as they are; keys with a unit stride over d are transposed, a tile at a time,
 * into a piece of stack. Any other access goes through vj_emit_load. Lanes beyond the last key or dim are never read.
 * Both products are of the keys [first_key, last_key) alone: all of them, or those of a block.
 */
#include "attention.h"

#include <assert.h>
#include <string.h>

#define MAX_TILE 32
/* A tile of transposed keys has at most so many bytes. */
#define KEYS_BYTES 65536

/* Adds a[height] * b[width] to acc[height][width], `steps` times. Where a pointer is NULL, vj_emit_load reads the access. */
typedef struct product {
    const vj_attention *m;
    int32_t height, width;
    int32_t last_lanes;        /* of the last vector */
    LLVMValueRef first, steps; /* of the depth: its first index, and how many; constants but for a block of keys */
    int32_t depth_axis, row_axis, lane_axis;
    int32_t a_access, b_access;
    LLVMValueRef a;
    int64_t a_row, a_step;
    LLVMValueRef b;
    int64_t b_step;
    vj_point point; /* of row 0 and vector 0 */
} product;

static bool is_plain(const vj_access *access) { return access->term_count == 0; }

static LLVMValueRef plus(const vj_gen *g, LLVMValueRef x, int64_t n) {
    return n == 0 ? x : LLVMBuildNSWAdd(g->b, x, vj_i64(g, n), "");
}

static int32_t vector_lanes(const product *t, int32_t v) { return v == t->width - 1 ? t->last_lanes : t->m->lanes; }

static LLVMValueRef lane_mask(const vj_gen *g, int32_t count, int32_t lanes) {
    return count < lanes ? vj_mask_first(g, vj_i64(g, count), lanes) : NULL;
}

/* Where row r of vector v is. */
static vj_point point_of(const product *t, int32_t r, int32_t v) {
    const vj_gen *g = t->m->g;
    vj_point point = t->point;
    point.index[t->row_axis] = plus(g, point.index[t->row_axis], r);
    point.index[t->lane_axis] = plus(g, point.index[t->lane_axis], (int64_t)v * t->m->lanes);
    point.lanes = t->m->lanes;
    point.vector_axis = t->lane_axis;
    point.mask = lane_mask(g, vector_lanes(t, v), point.lanes);
    return point;
}

static LLVMValueRef load_a(const product *t, LLVMValueRef at, LLVMValueRef i, int64_t step, int32_t r) {
    vj_gen *g = t->m->g;
    if (t->a) {
        LLVMValueRef offset = vj_i64(g, r * t->a_row + step * t->a_step);
        return vj_load_vector(g, vj_element(g, at, VJ_F32, offset), VJ_F32, 1, NULL, NULL);
    }
    vj_point point = point_of(t, r, 0);
    point.lanes = 1;
    point.vector_axis = -1;
    point.mask = NULL;
    point.index[t->depth_axis] = LLVMBuildNSWAdd(g->b, t->first, plus(g, i, step), "");
    return vj_emit_load(g, t->a_access, &point);
}

static LLVMValueRef load_b(const product *t, LLVMValueRef at, LLVMValueRef i, int64_t step, int32_t v) {
    vj_gen *g = t->m->g;
    vj_point point = point_of(t, 0, v);
    if (t->b) {
        LLVMValueRef offset = vj_i64(g, step * t->b_step + (int64_t)v * t->m->lanes);
        return vj_load_vector(g, vj_element(g, at, VJ_F32, offset), VJ_F32, t->m->lanes, point.mask, NULL);
    }
    point.index[t->depth_axis] = LLVMBuildNSWAdd(g->b, t->first, plus(g, i, step), "");
    return vj_emit_load(g, t->b_access, &point);
}

static void multiply(const product *t, LLVMValueRef i, int32_t steps, LLVMValueRef *acc) {
    vj_gen *g = t->m->g;
    LLVMValueRef a = NULL, b = NULL;
    if (t->a) a = vj_step_base(g, vj_element(g, t->a, VJ_F32, LLVMBuildNSWMul(g->b, i, vj_i64(g, t->a_step), "")));
    if (t->b) b = vj_step_base(g, vj_element(g, t->b, VJ_F32, LLVMBuildNSWMul(g->b, i, vj_i64(g, t->b_step), "")));
    for (int32_t step = 0; step < steps; step++) {
        LLVMValueRef vectors[MAX_TILE];
        for (int32_t v = 0; v < t->width; v++)
            vectors[v] = load_b(t, b, i, step, v);
        for (int32_t r = 0; r < t->height; r++) {
            LLVMValueRef x = vj_splat(g, load_a(t, a, i, step, r), t->m->lanes);
            for (int32_t v = 0; v < t->width; v++)
                acc[r * t->width + v] = vj_fma(g, x, vectors[v], acc[r * t->width + v]);
        }
    }
}

/* Adds steps [from, to) of the depth, `unroll` at a time. */
static void accumulate_steps(const product *t, LLVMValueRef from, LLVMValueRef to, int32_t unroll, bool nonempty,
                             LLVMValueRef *acc) {
    const size_t bytes = sizeof *acc * (size_t)(t->height * t->width);
    LLVMValueRef next[MAX_TILE];
    vj_loop loop;
    vj_loop_begin(t->m->g, &loop, from, to, unroll, nonempty, acc, t->height * t->width);
    memcpy(next, loop.carried, bytes);
    multiply(t, loop.index, unroll, next);
    vj_loop_end(t->m->g, &loop, next);
    memcpy(acc, loop.carried, bytes);
}

static void accumulate(const product *t, LLVMValueRef *acc) {
    vj_gen *g = t->m->g;
    const int32_t count = t->height * t->width, unroll = vj_k_unroll(g->target, count);
    assert(count <= MAX_TILE);
    if (!LLVMIsConstant(t->steps)) {
        LLVMValueRef whole = LLVMBuildAnd(g->b, t->steps, vj_i64(g, -unroll), "");
        accumulate_steps(t, vj_i64(g, 0), whole, unroll, false, acc);
        accumulate_steps(t, whole, t->steps, 1, false, acc);
        return;
    }
    const int64_t steps = LLVMConstIntGetSExtValue(t->steps), whole = steps / unroll * unroll;
    if (whole > 0) accumulate_steps(t, vj_i64(g, 0), vj_i64(g, whole), unroll, true, acc);
    if (steps > whole) multiply(t, vj_i64(g, whole), (int32_t)(steps - whole), acc);
}

static void start_at_zero(const product *t, LLVMValueRef *acc) {
    for (int32_t i = 0; i < t->height * t->width; i++)
        acc[i] = LLVMConstNull(vj_vector_type(t->m->g, VJ_F32, t->m->lanes));
}

/* The indices are the batch's, `row` and `lane` on their axes, zero elsewhere. */
static void set_point(product *t, LLVMValueRef row, LLVMValueRef lane) {
    const vj_attention *m = t->m;
    for (int32_t axis = 0; axis < m->k->rank; axis++)
        t->point.index[axis] = axis < m->i ? m->batch[axis] : vj_i64(m->g, 0);
    t->point.index[t->row_axis] = row;
    t->point.index[t->lane_axis] = lane;
}

static LLVMValueRef access_at(const vj_attention *m, int32_t access, const vj_point *point) {
    vj_gen *g = m->g;
    return vj_element(g, g->access[access], VJ_F32, vj_emit_offset(g, &m->k->access[access], point));
}

void vj_attention_plan(vj_attention *m) {
    const vj_access *keys = &m->k->access[m->k->k];
    const int64_t tile = (int64_t)m->s->width * m->lanes * m->k->extent[m->d];
    const bool transposed = is_plain(keys) && keys->stride[m->j] != 1 && keys->stride[m->d] == 1;
    if (transposed && tile * 4 <= KEYS_BYTES) m->keys = vj_stack(m->g, VJ_F32, tile);
}

/* Turns one square of `count` keys from [lane][d] to [d][lane], `dims` of d from `d` on. */
static void transpose_square(const product *t, LLVMValueRef d, int32_t dims, int32_t v, int32_t count) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    LLVMValueRef rows[64];
    for (int32_t lane = 0; lane < m->lanes; lane++) {
        rows[lane] = LLVMGetPoison(vj_vector_type(g, VJ_F32, m->lanes));
        if (lane >= count) continue;
        vj_point point = t->point;
        point.index[m->j] = plus(g, point.index[m->j], (int64_t)v * m->lanes + lane);
        point.index[m->d] = d;
        rows[lane] =
            vj_load_vector(g, access_at(m, m->k->k, &point), VJ_F32, m->lanes, lane_mask(g, dims, m->lanes), NULL);
    }
    vj_transpose(g, rows, m->lanes);
    for (int32_t i = 0; i < dims; i++) {
        LLVMValueRef row = LLVMBuildNSWMul(g->b, plus(g, d, i), vj_i64(g, t->b_step), "");
        vj_store_vector(g, vj_element(g, m->keys, VJ_F32, plus(g, row, (int64_t)v * m->lanes)), rows[i], NULL);
    }
}

static void transpose_keys(const product *t) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    const int64_t dims = m->k->extent[m->d], whole = dims / m->lanes * m->lanes;
    for (int32_t v = 0; v < t->width; v++) {
        const int32_t count = vector_lanes(t, v);
        if (whole > 0) {
            vj_loop loop;
            vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole), m->lanes, true, NULL, 0);
            transpose_square(t, loop.index, m->lanes, v, count);
            vj_loop_end(g, &loop, NULL);
        }
        if (dims > whole) transpose_square(t, vj_i64(g, whole), (int32_t)(dims - whole), v, count);
    }
}

/* Stores the scores of one tile: the score expression unless that is left to the softmax, -inf in lanes without a key. */
static void store_scores(const product *t, LLVMValueRef row, LLVMValueRef key, const LLVMValueRef *acc) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    LLVMValueRef nothing = vj_splat(g, vj_f32(g, -__builtin_inf()), m->lanes);
    for (int32_t r = 0; r < t->height; r++) {
        for (int32_t v = 0; v < t->width; v++) {
            vj_point point = point_of(t, r, v);
            point.acc = acc[r * t->width + v];
            LLVMValueRef score = m->late_scores ? point.acc : vj_emit_expr(g, m->k->score_expr, &point);
            if (point.mask) score = LLVMBuildSelect(g->b, point.mask, score, nothing, "");
            vj_store_vector(g, vj_score_at(m, plus(g, row, r), plus(g, key, (int64_t)v * m->lanes)), score, NULL);
        }
    }
}

/* A loop over those of the block's tiles that have one height. */
typedef struct tile_loop {
    int32_t kind;        /* the next */
    int64_t tiles, rows; /* before it */
    int32_t height;
    vj_loop loop;
    LLVMValueRef row, row_in_block; /* first query of the tile, and its row in the block */
} tile_loop;

/* Opens the loop over the next kind of tiles; false: there is none. */
static bool next_tiles(const vj_attention *m, tile_loop *l) {
    vj_gen *g = m->g;
    if (l->kind == m->mix.tile_kinds) return false;
    const vj_tile_rows *kind = &m->mix.tiles[l->kind++];
    const int64_t end = l->tiles + kind->count;
    vj_loop_begin(g, &l->loop, vj_clamp(g, m->first, l->tiles, end), vj_clamp(g, m->last, l->tiles, end), 1, false,
                  NULL, 0);
    LLVMValueRef nth = LLVMBuildSub(g->b, l->loop.index, vj_i64(g, l->tiles), "");
    LLVMValueRef before = LLVMBuildMul(g->b, nth, vj_i64(g, kind->height), "");
    l->row = vj_opaque(g, LLVMBuildAdd(g->b, before, vj_i64(g, l->rows), ""));
    l->row_in_block = LLVMBuildSub(g->b, l->row, m->query, "");
    l->height = kind->height;
    l->tiles = end;
    l->rows += (int64_t)kind->count * kind->height;
    return true;
}

static void score_rows(product *t, LLVMValueRef key) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    const vj_access *q = &m->k->access[m->k->q], *keys = &m->k->access[m->k->k];
    set_point(t, m->query, key);
    t->b = NULL;
    t->b_step = m->keys ? (int64_t)t->width * m->lanes : keys->stride[m->d];
    if (m->keys) {
        transpose_keys(t);
        t->b = m->keys;
    } else if (is_plain(keys) && keys->stride[m->j] == 1) {
        t->b = access_at(m, m->k->k, &t->point);
    }
    tile_loop tiles = {0};
    while (next_tiles(m, &tiles)) {
        t->height = tiles.height;
        set_point(t, tiles.row, key);
        t->a = is_plain(q) ? access_at(m, m->k->q, &t->point) : NULL;
        t->a_row = q->stride[m->i];
        t->a_step = q->stride[m->d];
        LLVMValueRef acc[MAX_TILE];
        start_at_zero(t, acc);
        accumulate(t, acc);
        store_scores(t, tiles.row_in_block, key, acc);
        vj_loop_end(g, &tiles.loop, NULL);
    }
}

void vj_attention_scores(const vj_attention *m) {
    vj_gen *g = m->g;
    const int64_t tile = (int64_t)m->s->width * m->lanes, keys = m->k->extent[m->j], whole = keys / tile * tile;
    product t = {.m = m, .width = m->s->width, .last_lanes = m->lanes};
    t.first = vj_i64(g, 0);
    t.steps = vj_i64(g, m->k->extent[m->d]);
    t.depth_axis = m->d;
    t.row_axis = m->i;
    t.lane_axis = m->j;
    t.a_access = m->k->q;
    t.b_access = m->k->k;
    if (whole > 0) {
        vj_loop loop;
        vj_loop_begin(g, &loop, m->first_key, vj_clamp(g, m->last_key, 0, whole), tile, !m->blocked, NULL, 0);
        score_rows(&t, vj_opaque(g, loop.index));
        vj_loop_end(g, &loop, NULL);
    }
    if (keys > whole) {
        t.width = (int32_t)vj_ceil_div(keys - whole, m->lanes);
        t.last_lanes = (int32_t)(keys - whole - (int64_t)(t.width - 1) * m->lanes);
        vj_loop loop; /* runs once, in the block that has the last key */
        LLVMValueRef from = vj_clamp(g, m->first_key, whole, keys);
        vj_loop_begin(g, &loop, from, m->last_key, tile, !m->blocked, NULL, 0);
        score_rows(&t, vj_i64(g, whole));
        vj_loop_end(g, &loop, NULL);
    }
}

static void scale_rows(const product *t, LLVMValueRef row, LLVMValueRef *acc) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    for (int32_t r = 0; r < t->height; r++) {
        LLVMValueRef scale = vj_load_vector(g, vj_of_row(m, m->scale, plus(g, row, r)), VJ_F32, 1, NULL, NULL);
        scale = vj_splat(g, scale, m->lanes);
        for (int32_t v = 0; v < t->width; v++)
            acc[r * t->width + v] = LLVMBuildFMul(g->b, acc[r * t->width + v], scale, "");
    }
}

static void store_results(const product *t, const LLVMValueRef *acc) {
    const vj_attention *m = t->m;
    for (int32_t r = 0; r < t->height; r++) {
        for (int32_t v = 0; v < t->width; v++) {
            const vj_point point = point_of(t, r, v);
            for (int32_t o = 0; o < m->k->out_count; o++)
                vj_store_lanes(m->g, &m->k->out[o], &point, m->e, acc[r * t->width + v], vector_lanes(t, v));
        }
    }
}

/* Where vector v of row r of the results so far is. */
static LLVMValueRef kept_at(const product *t, LLVMValueRef row, LLVMValueRef dim, int32_t r, int32_t v) {
    const vj_gen *g = t->m->g;
    return vj_result_at(t->m, plus(g, row, r), plus(g, dim, (int64_t)v * t->m->lanes));
}

static void load_kept(const product *t, LLVMValueRef row, LLVMValueRef dim, LLVMValueRef *acc) {
    for (int32_t i = 0; i < t->height * t->width; i++) {
        LLVMValueRef at = kept_at(t, row, dim, i / t->width, i % t->width);
        acc[i] = vj_load_vector(t->m->g, at, VJ_F32, t->m->lanes, NULL, NULL);
    }
    scale_rows(t, row, acc);
}

static void store_kept(const product *t, LLVMValueRef row, LLVMValueRef dim, const LLVMValueRef *acc) {
    for (int32_t i = 0; i < t->height * t->width; i++)
        vj_store_vector(t->m->g, kept_at(t, row, dim, i / t->width, i % t->width), acc[i], NULL);
}

/* What to do with the tile of the block's rows from `row` on, value dims from `dim` on; t->point is its position. */
typedef void (*tile_work)(const product *t, LLVMValueRef row, LLVMValueRef dim);

static void multiply_values(const product *t, LLVMValueRef row, LLVMValueRef dim) {
    LLVMValueRef acc[MAX_TILE];
    if (t->m->blocked) {
        load_kept(t, row, dim, acc);
        accumulate(t, acc);
        store_kept(t, row, dim, acc);
    } else {
        start_at_zero(t, acc);
        accumulate(t, acc);
        scale_rows(t, row, acc);
        store_results(t, acc);
    }
}

static void finish_results(const product *t, LLVMValueRef row, LLVMValueRef dim) {
    LLVMValueRef acc[MAX_TILE];
    load_kept(t, row, dim, acc);
    store_results(t, acc);
}

static void result_rows(product *t, LLVMValueRef dim, tile_work work) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    const vj_access *values = &m->k->access[m->k->v];
    set_point(t, m->query, dim);
    t->point.index[m->j] = m->first_key;
    t->b = is_plain(values) && values->stride[m->e] == 1 ? access_at(m, m->k->v, &t->point) : NULL;
    t->b_step = values->stride[m->j];
    tile_loop tiles = {0};
    while (next_tiles(m, &tiles)) {
        t->height = tiles.height;
        set_point(t, tiles.row, dim);
        t->a = vj_score_at(m, tiles.row_in_block, m->first_key);
        t->a_row = m->row;
        t->a_step = 1;
        work(t, tiles.row_in_block, dim);
        vj_loop_end(g, &tiles.loop, NULL);
    }
}

static void all_results(const vj_attention *m, tile_work work) {
    vj_gen *g = m->g;
    const int64_t tile = (int64_t)m->s->width * m->lanes, dims = m->k->extent[m->e], whole = dims / tile * tile;
    product t = {.m = m, .width = m->s->width, .last_lanes = m->lanes};
    t.first = m->first_key;
    t.steps = LLVMBuildNSWSub(g->b, m->last_key, m->first_key, "");
    t.depth_axis = m->j;
    t.row_axis = m->i;
    t.lane_axis = m->e;
    t.b_access = m->k->v;
    if (whole > 0) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole), tile, true, NULL, 0);
        result_rows(&t, vj_opaque(g, loop.index), work);
        vj_loop_end(g, &loop, NULL);
    }
    if (dims > whole) {
        t.width = (int32_t)vj_ceil_div(dims - whole, m->lanes);
        t.last_lanes = (int32_t)(dims - whole - (int64_t)(t.width - 1) * m->lanes);
        result_rows(&t, vj_i64(g, whole), work);
    }
}

void vj_attention_results(const vj_attention *m) { all_results(m, multiply_values); }

void vj_attention_results_begin(const vj_attention *m) {
    vj_gen *g = m->g;
    const int64_t floats = m->result_row * m->s->query_block;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, floats), m->lanes, true, NULL, 0);
    LLVMValueRef zero = LLVMConstNull(vj_vector_type(g, VJ_F32, m->lanes));
    vj_store_vector(g, vj_element(g, m->results, VJ_F32, loop.index), zero, NULL);
    vj_loop_end(g, &loop, NULL);
}

void vj_attention_results_end(const vj_attention *m) { all_results(m, finish_results); }
