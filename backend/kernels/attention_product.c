/* SPDX-License-Identifier: Apache-2.0 */
/* attention_product.c - the two products of attention, tile by tile: scores[i, j] = q[i, d] . k[j, d] with lanes
 * along keys, results[i, e] = scores[i, j] . v[j, e] with lanes along value dims.
 *
 * Lanes beyond the last key or dim are never read.
 * Both products are of the keys [first_key, last_key) alone: all of them, or those of a block.
 */
#include "attention_product.h"

#include <string.h>

/* Some groups of the depth from group `i` on: where they read from. What is read for a second time goes by pointers of which LLVM
 * knows nothing, so that it is read from memory. */
typedef struct place {
    const vj_product *t;
    LLVMValueRef i;
    LLVMValueRef a[2], b[2];
} place;

/* Element k of the group's row or vector, by vj_emit_load. */
static LLVMValueRef load_any(const place *s, int32_t access, vj_point point, int64_t k) {
    const vj_product *t = s->t;
    vj_gen *g = t->m->g;
    LLVMValueRef first = LLVMBuildNSWMul(g->b, s->i, vj_i64(g, t->micro.group), "");
    point.index[t->depth_axis] = LLVMBuildNSWAdd(g->b, t->first, vj_plus(g, first, k), "");
    return vj_emit_load(g, access, &point);
}

static LLVMValueRef element_of_a(const place *s, int64_t k, int32_t r, bool again) {
    const vj_product *t = s->t;
    vj_gen *g = t->m->g;
    if (t->a) {
        LLVMValueRef offset = vj_i64(g, r * t->a_row + k * t->a_step);
        return vj_load_vector(g, vj_element(g, s->a[again], t->micro.a, offset), t->micro.a, 1, NULL, NULL);
    }
    vj_point point = vj_product_point(t, r, 0);
    point.lanes = 1;
    point.vector_axis = -1;
    point.mask = NULL;
    return load_any(s, t->a_access, point, k);
}

static LLVMValueRef load_a(const void *self, int64_t k, int32_t count, int32_t r, bool again) {
    const place *s = self;
    const vj_product *t = s->t;
    const vj_gen *g = t->m->g;
    if (t->micro.a == VJ_F32) return element_of_a(s, k, r, again);
    if (count == 2 && t->a && t->a_step == 1)
        return vj_load_group(g, vj_element(g, s->a[again], t->micro.a, vj_i64(g, r * t->a_row + k)), t->micro.a);
    const LLVMValueRef pair[2] = {element_of_a(s, k, r, again), count == 2 ? element_of_a(s, k + 1, r, again) : NULL};
    return vj_group_of(g, pair, count);
}

/* Pairs of halves are all in the tile that was made of them. */
static LLVMValueRef load_b(const void *self, int64_t k, int32_t count, int32_t v, bool again) {
    const place *s = self;
    const vj_product *t = s->t;
    vj_gen *g = t->m->g;
    const vj_point point = vj_product_point(t, 0, v);
    (void)count;
    if (!t->b) return load_any(s, t->b_access, point, k);
    LLVMValueRef offset = vj_i64(g, k / t->micro.group * t->b_step + (int64_t)v * t->m->lanes);
    return vj_load_vector(g, vj_element(g, s->b[again], t->b_dtype, offset), t->b_dtype, t->m->lanes,
                          t->micro.group == 1 ? point.mask : NULL, NULL);
}

/* Adds `count` groups from group `i` on; the last has `last` elements. */
static void multiply(const vj_product *t, LLVMValueRef i, int32_t count, int32_t last, LLVMValueRef *acc) {
    vj_gen *g = t->m->g;
    const bool twice = t->micro.form == VJ_FORM_FMA && t->micro.group > 1;
    const int32_t group = t->micro.group;
    place s = {.t = t, .i = i};
    if (t->a) {
        LLVMValueRef offset = LLVMBuildNSWMul(g->b, i, vj_i64(g, t->a_step * group), "");
        s.a[0] = vj_step_base(g, vj_element(g, t->a, t->micro.a, offset));
        s.a[1] = twice ? vj_opaque(g, s.a[0]) : NULL;
    }
    if (t->b) {
        s.b[0] = vj_step_base(g, vj_element(g, t->b, t->b_dtype, LLVMBuildNSWMul(g->b, i, vj_i64(g, t->b_step), "")));
        s.b[1] = twice ? vj_opaque(g, s.b[0]) : NULL;
    }
    const vj_micro_loads loads = {&s, load_a, load_b};
    for (int32_t n = 0; n < count; n++)
        vj_micro_step(&t->micro, &loads, (int64_t)n * group, n == count - 1 ? last : group, t->height, t->width, acc);
}

/* Adds groups [from, to) of the depth, `unroll` at a time. */
static void accumulate_steps(const vj_product *t, LLVMValueRef from, LLVMValueRef to, int32_t unroll, bool nonempty,
                             LLVMValueRef *acc) {
    const size_t bytes = sizeof *acc * (size_t)(t->height * t->width);
    LLVMValueRef next[VJ_MAX_TILE];
    vj_loop loop;
    vj_loop_begin(t->m->g, &loop, from, to, unroll, nonempty, acc, t->height * t->width);
    memcpy(next, loop.carried, bytes);
    multiply(t, loop.index, unroll, t->micro.group, next);
    vj_loop_end(t->m->g, &loop, next);
    memcpy(acc, loop.carried, bytes);
}

/* Weights behind the last key of a block are zero, so that a group of them is always whole. */
static void accumulate(const vj_product *t, LLVMValueRef *acc) {
    vj_gen *g = t->m->g;
    const int32_t count = t->height * t->width, group = t->micro.group;
    const int32_t unroll = vj_k_unroll(g->target, count, t->micro.form == VJ_FORM_FMA ? group : 1);
    if (!LLVMIsConstant(t->steps)) {
        LLVMValueRef up = LLVMBuildNSWAdd(g->b, t->steps, vj_i64(g, group - 1), "");
        LLVMValueRef groups = LLVMBuildLShr(g->b, up, vj_i64(g, group / 2), "");
        LLVMValueRef whole = LLVMBuildAnd(g->b, groups, vj_i64(g, -unroll), "");
        accumulate_steps(t, vj_i64(g, 0), whole, unroll, false, acc);
        accumulate_steps(t, whole, groups, 1, false, acc);
        return;
    }
    const int64_t steps = LLVMConstIntGetSExtValue(t->steps), groups = vj_ceil_div(steps, group);
    const int64_t whole = steps / group / unroll * unroll;
    const bool padded = t->depth_axis == t->m->j;
    if (whole > 0) accumulate_steps(t, vj_i64(g, 0), vj_i64(g, whole), unroll, true, acc);
    if (groups > whole)
        multiply(t, vj_i64(g, whole), (int32_t)(groups - whole),
                 padded || steps % group == 0 ? group : (int32_t)(steps % group), acc);
}

/* Stores the scores of one tile: the score expression unless that is left to the softmax, -inf in lanes without a key. */
static void store_scores(const vj_product *t, LLVMValueRef row, LLVMValueRef key, const LLVMValueRef *acc) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    LLVMValueRef nothing = vj_splat(g, vj_f32(g, -__builtin_inf()), m->lanes);
    for (int32_t r = 0; r < t->height; r++) {
        for (int32_t v = 0; v < t->width; v++) {
            vj_point point = vj_product_point(t, r, v);
            point.acc = acc[r * t->width + v];
            LLVMValueRef score = m->late_scores ? point.acc : vj_emit_expr(g, m->k->score_expr, &point);
            if (point.mask) score = LLVMBuildSelect(g->b, point.mask, score, nothing, "");
            vj_store_vector(g, vj_score_at(m, vj_plus(g, row, r), vj_plus(g, key, (int64_t)v * m->lanes)), score, NULL);
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

static void score_rows(vj_product *t, LLVMValueRef key) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    const vj_access *q = &m->k->access[m->k->q];
    vj_product_go_to(t, m->query, key);
    vj_place_keys(t);
    tile_loop tiles = {0};
    while (next_tiles(m, &tiles)) {
        t->height = tiles.height;
        vj_product_go_to(t, tiles.row, key);
        if (m->wide_queries) {
            t->a_row = m->k->extent[m->d];
            t->a_step = 1;
            LLVMValueRef before = LLVMBuildNSWMul(g->b, tiles.row_in_block, vj_i64(g, t->a_row), "");
            t->a = vj_element(g, m->wide_queries, VJ_F32, before);
        } else {
            t->a = q->term_count == 0 ? vj_access_at(m, m->k->q, &t->point) : NULL;
            t->a_row = q->stride[m->i];
            t->a_step = q->stride[m->d];
        }
        LLVMValueRef acc[VJ_MAX_TILE];
        vj_micro_clear(&t->micro, t->height * t->width, acc);
        accumulate(t, acc);
        store_scores(t, tiles.row_in_block, key, acc);
        vj_loop_end(g, &tiles.loop, NULL);
    }
}

void vj_attention_scores(const vj_attention *m) {
    vj_gen *g = m->g;
    const int64_t tile = (int64_t)m->s->width * m->lanes, keys = m->k->extent[m->j], whole = keys / tile * tile;
    vj_product t = {.m = m, .micro = vj_product_micro(m), .width = m->s->width, .last_lanes = m->lanes};
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

static void scale_rows(const vj_product *t, LLVMValueRef row, LLVMValueRef *acc) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    for (int32_t r = 0; r < t->height; r++) {
        LLVMValueRef scale = vj_load_vector(g, vj_of_row(m, m->scale, vj_plus(g, row, r)), VJ_F32, 1, NULL, NULL);
        scale = vj_splat(g, scale, m->lanes);
        for (int32_t v = 0; v < t->width; v++)
            acc[r * t->width + v] = LLVMBuildFMul(g->b, acc[r * t->width + v], scale, "");
    }
}

static void store_results(const vj_product *t, const LLVMValueRef *acc) {
    const vj_attention *m = t->m;
    for (int32_t r = 0; r < t->height; r++) {
        for (int32_t v = 0; v < t->width; v++) {
            const vj_point point = vj_product_point(t, r, v);
            for (int32_t o = 0; o < m->k->out_count; o++)
                vj_store_lanes(m->g, &m->k->out[o], &point, m->e, acc[r * t->width + v], vj_product_lanes(t, v));
        }
    }
}

/* Where vector v of row r of the results so far is. */
static LLVMValueRef kept_at(const vj_product *t, LLVMValueRef row, LLVMValueRef dim, int32_t r, int32_t v) {
    const vj_gen *g = t->m->g;
    return vj_result_at(t->m, vj_plus(g, row, r), vj_plus(g, dim, (int64_t)v * t->m->lanes));
}

static void load_kept(const vj_product *t, LLVMValueRef row, LLVMValueRef dim, LLVMValueRef *acc) {
    for (int32_t i = 0; i < t->height * t->width; i++) {
        LLVMValueRef at = kept_at(t, row, dim, i / t->width, i % t->width);
        acc[i] = vj_load_vector(t->m->g, at, VJ_F32, t->m->lanes, NULL, NULL);
    }
    scale_rows(t, row, acc);
}

static void store_kept(const vj_product *t, LLVMValueRef row, LLVMValueRef dim, const LLVMValueRef *acc) {
    for (int32_t i = 0; i < t->height * t->width; i++)
        vj_store_vector(t->m->g, kept_at(t, row, dim, i / t->width, i % t->width), acc[i], NULL);
}

/* What to do with the tile of the block's rows from `row` on, value dims from `dim` on; t->point is its position. */
typedef void (*tile_work)(const vj_product *t, LLVMValueRef row, LLVMValueRef dim);

static void multiply_values(const vj_product *t, LLVMValueRef row, LLVMValueRef dim) {
    LLVMValueRef acc[VJ_MAX_TILE];
    if (t->m->blocked) {
        load_kept(t, row, dim, acc);
        accumulate(t, acc);
        store_kept(t, row, dim, acc);
    } else {
        vj_micro_clear(&t->micro, t->height * t->width, acc);
        accumulate(t, acc);
        scale_rows(t, row, acc);
        store_results(t, acc);
    }
}

static void finish_results(const vj_product *t, LLVMValueRef row, LLVMValueRef dim) {
    LLVMValueRef acc[VJ_MAX_TILE];
    load_kept(t, row, dim, acc);
    store_results(t, acc);
}

static void result_rows(vj_product *t, LLVMValueRef dim, tile_work work) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    vj_product_go_to(t, m->query, dim);
    t->point.index[m->j] = m->first_key;
    vj_place_values(t);
    tile_loop tiles = {0};
    while (next_tiles(m, &tiles)) {
        t->height = tiles.height;
        vj_product_go_to(t, tiles.row, dim);
        t->a = vj_weight_at(m, tiles.row_in_block, m->first_key);
        t->a_row = vj_weights_row(m);
        t->a_step = 1;
        work(t, tiles.row_in_block, dim);
        vj_loop_end(g, &tiles.loop, NULL);
    }
}

static void all_results(const vj_attention *m, tile_work work) {
    vj_gen *g = m->g;
    const int64_t tile = (int64_t)m->s->width * m->lanes, dims = m->k->extent[m->e], whole = dims / tile * tile;
    vj_product t = {.m = m, .micro = vj_product_micro(m), .width = m->s->width, .last_lanes = m->lanes};
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
