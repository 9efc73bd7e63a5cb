/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c - softmax(scores) times values, a block of queries at a time; the block's scores stay on the stack.
 *
 * A unit is a share of the query blocks at one point of the batch axes. A block is a few tiles of queries. Blocks, and
 * the order of all sums in them, do not depend on how units are dealt out, so results are the same bits for any number
 * of threads.
 *
 * Where the scores of a few tiles of queries and of all keys do not fit the first level, keys come in blocks too, so
 * that a tile of keys is read for all rows of a block while it is near.
 */
#include "attention.h"

/* Share `nth` of `shares` begins at total * nth / shares. */
static LLVMValueRef share_of(const vj_gen *g, LLVMValueRef nth, int64_t total, int64_t shares) {
    return LLVMBuildUDiv(g->b, LLVMBuildMul(g->b, nth, vj_i64(g, total), ""), vj_i64(g, shares), "");
}

/* Scores, softmax and results of the block's queries, for the keys at hand. */
static void emit_keys(vj_attention *m, LLVMValueRef rows) {
    if (m->s->form == VJ_FORM_TILES) {
        vj_attention_tiles(m);
        return;
    }
    vj_attention_scores(m);
    vj_attention_softmax(m, rows);
    if (m->k->weight_expr >= 0) vj_attention_weights(m, rows);
    vj_attention_results(m);
}

static void emit_sums(vj_attention *m, LLVMValueRef rows) {
    vj_attention_scores(m);
    vj_attention_softmax(m, rows);
}

static void emit_products(vj_attention *m, LLVMValueRef rows) {
    vj_attention_scores(m);
    vj_attention_weights(m, rows);
    vj_attention_results(m);
}

static void for_key_blocks(vj_attention *m, LLVMValueRef rows, void (*work)(vj_attention *m, LLVMValueRef rows)) {
    vj_gen *g = m->g;
    const int64_t keys = m->k->extent[m->j], block = m->s->key_block;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, keys), block, true, NULL, 0);
    m->first_key = vj_opaque(g, loop.index);
    m->last_key = vj_clamp(g, LLVMBuildNSWAdd(g->b, m->first_key, vj_i64(g, block), ""), 0, keys);
    work(m, rows);
    vj_loop_end(g, &loop, NULL);
}

/* The same of all keys, a block of them after another; twice, where weights want the sum over all of them. */
static void emit_key_blocks(vj_attention *m, LLVMValueRef rows) {
    const bool twice = m->k->weight_expr >= 0;
    vj_attention_softmax_begin(m);
    vj_attention_results_begin(m);
    for_key_blocks(m, rows, twice ? emit_sums : emit_keys);
    vj_attention_softmax_end(m);
    if (twice) for_key_blocks(m, rows, emit_products);
    if (m->s->form == VJ_FORM_TILES)
        vj_attention_tiles_finish(m, rows);
    else
        vj_attention_results_end(m);
}

/* Computes query blocks [first, last) of `count`, which share the tiles. */
static void emit_blocks(vj_attention *m, int64_t tiles, int64_t count, LLVMValueRef first, LLVMValueRef last) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, first, last, 1, false, NULL, 0);
    m->first = share_of(g, loop.index, tiles, count);
    m->last = share_of(g, LLVMBuildAdd(g->b, loop.index, vj_i64(g, 1), ""), tiles, count);
    m->query = vj_opaque(g, vj_row_of_tile(m, m->first));
    LLVMValueRef rows = LLVMBuildSub(g->b, vj_row_of_tile(m, m->last), m->query, "");
    if (m->wide_queries) vj_attention_widen_queries(m, rows);
    if (m->blocked)
        emit_key_blocks(m, rows);
    else
        emit_keys(m, rows);
    vj_loop_end(g, &loop, NULL);
}

/* Does the score expression read memory? A tile would wait for it, line by line. */
static bool score_loads(const vj_kernel *k) {
    for (int32_t i = 0; i <= k->score_expr; i++)
        if (k->expr[i].op == VJ_X_LOAD) return true;
    return false;
}

static void plan_stack(vj_attention *m) {
    const vj_gen *g = m->g;
    const int64_t keys = m->k->extent[m->j], rows = m->s->query_block;
    const bool tiles = m->s->form == VJ_FORM_TILES;
    m->blocked = m->s->key_block < keys;
    m->first_key = vj_i64(g, 0);
    m->last_key = vj_i64(g, keys);
    m->row = vj_round_up(m->blocked ? m->s->key_block : keys, tiles ? VJ_STEP : m->lanes);
    /* Rows a multiple of 1 KiB apart would share cache sets. */
    if (m->row % 256 == 0) m->row += m->lanes;
    m->scores = vj_stack(g, VJ_F32, m->row * (tiles ? m->s->height : rows));
    m->scale = vj_stack(g, VJ_F32, rows);
    if (!m->blocked) return;
    m->result_row = vj_round_up(m->k->extent[m->e], m->lanes);
    m->largest = vj_stack(g, VJ_F32, rows);
    m->sum = vj_stack(g, VJ_F32, rows);
    m->results = vj_stack(g, VJ_F32, m->result_row * rows);
}

void vj_gen_attention(vj_gen *g) {
    const vj_kernel *k = g->k;
    const vj_attention_schedule *s = &k->schedule->attention;
    vj_attention attention = {
        .g = g, .k = k, .s = s, .lanes = g->lanes, .dtype = g->p->buffers[k->access[k->q].buffer].dtype};
    vj_attention *m = &attention;
    m->i = vj_group(k, VJ_GROUP_QUERIES).first;
    m->j = vj_group(k, VJ_GROUP_KEYS).first;
    m->d = vj_group(k, VJ_GROUP_DIM).first;
    m->e = vj_group(k, VJ_GROUP_VALUE).first;
    const bool tiles = s->form == VJ_FORM_TILES;
    m->multiplied = s->form == VJ_FORM_FMA ? VJ_F32 : m->dtype;
    m->late_scores = tiles || score_loads(k);
    plan_stack(m);
    if (tiles)
        vj_attention_tiles_begin(m);
    else
        vj_attention_plan(m);
    vj_tile_mix(k->extent[m->i], s->height, &m->mix);
    const int64_t query_tiles = vj_ceil_div(k->extent[m->i], s->height);
    const int64_t blocks = vj_ceil_div(query_tiles, s->query_block / s->height);
    vj_loop loop;
    vj_loop_begin(g, &loop, g->first_unit, g->last_unit, 1, false, NULL, 0);
    LLVMValueRef shares = vj_i64(g, s->units_per_head);
    LLVMValueRef share = LLVMBuildURem(g->b, loop.index, shares, "");
    LLVMValueRef point = LLVMBuildUDiv(g->b, loop.index, shares, "");
    for (int32_t axis = m->i - 1; axis >= 0; axis--) {
        LLVMValueRef extent = vj_i64(g, k->extent[axis]);
        m->batch[axis] = axis == 0 ? point : LLVMBuildURem(g->b, point, extent, "");
        point = LLVMBuildUDiv(g->b, point, extent, "");
    }
    LLVMValueRef first = share_of(g, share, blocks, s->units_per_head);
    LLVMValueRef last = share_of(g, LLVMBuildAdd(g->b, share, vj_i64(g, 1), ""), blocks, s->units_per_head);
    emit_blocks(m, query_tiles, blocks, first, last);
    vj_loop_end(g, &loop, NULL);
    if (tiles) vj_tiles_release(&m->unit);
}
