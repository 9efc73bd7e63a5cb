/* gen_attention.c - softmax(scores) times values, a block of queries at a time; the block's scores stay on the stack.
 *
 * A unit is a share of the query blocks at one point of the batch axes. A block is a few tiles of queries. Blocks, and
 * the order of all sums in them, do not depend on how units are dealt out, so results are the same bits for any number
 * of threads.
 *
 * The softmax is the usual one: largest score of the row, exp of the differences, their sum; 1 / sum is applied to the
 * results. A row of nothing but -inf gives NaN (-inf - -inf), as softmax does.
 */
#include "gen_attention.h"

#include <math.h>

/* Rows that are done side by side: one row's sums wait for each other. */
#define ROWS_MAX 4

/* Folds f over the vectors of `rows` rows, each one after another in its row; then over the lanes, by halves. */
typedef LLVMValueRef (*fold)(const vj_attention *m, LLVMValueRef place, LLVMValueRef so_far, LLVMValueRef other);

static void fold_rows(const vj_attention *m, LLVMValueRef first, int32_t rows, double start, const LLVMValueRef *other,
                      fold f, vj_reduce_kind kind, LLVMValueRef *result) {
    vj_gen *g = m->g;
    const int64_t keys = vj_round_up(m->k->extent[m->j], m->lanes);
    for (int32_t r = 0; r < rows; r++)
        result[r] = vj_splat(g, vj_f32(g, start), m->lanes);
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, keys), m->lanes, true, result, rows);
    LLVMValueRef column = vj_element(g, first, VJ_F32, loop.index);
    for (int32_t r = 0; r < rows; r++) {
        LLVMValueRef place = vj_element(g, column, VJ_F32, vj_i64(g, r * m->row));
        result[r] = f(m, place, loop.carried[r], other ? other[r] : NULL);
    }
    vj_loop_end(g, &loop, result);
    for (int32_t r = 0; r < rows; r++)
        result[r] = vj_reduce_lanes(g, loop.carried[r], kind);
}

/* A NaN may be lost here: it comes back in the exponential of its own lane, and so in the sum. */
static LLVMValueRef fold_max(const vj_attention *m, LLVMValueRef place, LLVMValueRef so_far, LLVMValueRef other) {
    const vj_gen *g = m->g;
    (void)other;
    LLVMValueRef score = vj_load_vector(g, place, VJ_F32, m->lanes, NULL, NULL);
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, score, so_far, ""), score, so_far, "");
}

#define LOG2_E 1.4426950408889634

/* Scores become weights, exp(score - largest) = 2^((score - largest) log2 e); their sum. The difference comes first: masks
 * put the least float there is, whose product with log2 e is none. */
static LLVMValueRef fold_weight(const vj_attention *m, LLVMValueRef place, LLVMValueRef so_far, LLVMValueRef largest) {
    vj_gen *g = m->g;
    LLVMValueRef score = vj_load_vector(g, place, VJ_F32, m->lanes, NULL, NULL);
    LLVMValueRef log2_e = vj_splat(g, vj_f32(g, LOG2_E), m->lanes);
    LLVMValueRef difference = LLVMBuildFSub(g->b, score, largest, "");
    LLVMValueRef weight = vj_exp2_negative(g, LLVMBuildFMul(g->b, difference, log2_e, ""));
    vj_store_vector(g, place, weight, NULL);
    return LLVMBuildFAdd(g->b, so_far, weight, "");
}

/* Rows [row, row + rows) of the block. */
static void softmax_rows(const vj_attention *m, LLVMValueRef row, int32_t rows) {
    vj_gen *g = m->g;
    LLVMValueRef first = vj_element(g, m->scores, VJ_F32, LLVMBuildNSWMul(g->b, row, vj_i64(g, m->row), ""));
    LLVMValueRef largest[ROWS_MAX], sum[ROWS_MAX];
    fold_rows(m, first, rows, -(double)INFINITY, NULL, fold_max, VJ_REDUCE_MAX, largest);
    for (int32_t r = 0; r < rows; r++)
        largest[r] = vj_splat(g, largest[r], m->lanes);
    fold_rows(m, first, rows, 0, largest, fold_weight, VJ_REDUCE_SUM, sum);
    for (int32_t r = 0; r < rows; r++) {
        LLVMValueRef at = vj_element(g, m->scale, VJ_F32, LLVMBuildNSWAdd(g->b, row, vj_i64(g, r), ""));
        vj_store_vector(g, at, LLVMBuildFDiv(g->b, vj_f32(g, 1), sum[r], ""), NULL);
    }
}

/* Of the block's `rows` rows. */
static void softmax(const vj_attention *m, LLVMValueRef rows) {
    vj_gen *g = m->g;
    LLVMValueRef whole = LLVMBuildAnd(g->b, rows, vj_i64(g, -ROWS_MAX), "");
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), whole, ROWS_MAX, false, NULL, 0);
    softmax_rows(m, loop.index, ROWS_MAX);
    vj_loop_end(g, &loop, NULL);
    vj_loop_begin(g, &loop, whole, rows, 1, false, NULL, 0);
    softmax_rows(m, loop.index, 1);
    vj_loop_end(g, &loop, NULL);
}

LLVMValueRef vj_clamp(const vj_gen *g, LLVMValueRef x, int64_t low, int64_t high) {
    LLVMValueRef l = vj_i64(g, low), h = vj_i64(g, high);
    x = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, x, l, ""), l, x, "");
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, x, h, ""), h, x, "");
}

/* The first row of tile number `tile`. */
static LLVMValueRef row_of_tile(const vj_attention *m, LLVMValueRef tile) {
    const vj_gen *g = m->g;
    LLVMValueRef row = vj_i64(g, 0);
    int64_t first = 0;
    for (int32_t i = 0; i < m->mix.tile_kinds; i++) {
        const vj_tile_rows *kind = &m->mix.tiles[i];
        LLVMValueRef count = LLVMBuildSub(g->b, vj_clamp(g, tile, first, first + kind->count), vj_i64(g, first), "");
        row = LLVMBuildAdd(g->b, row, LLVMBuildMul(g->b, count, vj_i64(g, kind->height), ""), "");
        first += kind->count;
    }
    return row;
}

/* total * nth / shares */
static LLVMValueRef share_of(const vj_gen *g, LLVMValueRef nth, int64_t total, int64_t shares) {
    return LLVMBuildUDiv(g->b, LLVMBuildMul(g->b, nth, vj_i64(g, total), ""), vj_i64(g, shares), "");
}

/* Query blocks [first, last) of `count`, which share the tiles. */
static void emit_blocks(vj_attention *m, int64_t tiles, int64_t count, LLVMValueRef first, LLVMValueRef last) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, first, last, 1, false, NULL, 0);
    m->first = share_of(g, loop.index, tiles, count);
    m->last = share_of(g, LLVMBuildAdd(g->b, loop.index, vj_i64(g, 1), ""), tiles, count);
    m->query = vj_opaque(g, row_of_tile(m, m->first));
    vj_attention_scores(m);
    softmax(m, LLVMBuildSub(g->b, row_of_tile(m, m->last), m->query, ""));
    vj_attention_results(m);
    vj_loop_end(g, &loop, NULL);
}

void vj_gen_attention(vj_gen *g) {
    const vj_kernel *k = g->k;
    const vj_attention_schedule *s = &k->schedule->attention;
    vj_attention attention = {.g = g, .k = k, .s = s, .i = k->batch_axes, .lanes = g->lanes};
    vj_attention *m = &attention;
    m->j = m->i + 1;
    m->d = m->i + 2;
    m->e = m->i + 3;
    m->row = vj_round_up(k->extent[m->j], m->lanes);
    /* Rows a multiple of 1 KiB apart would share cache sets. */
    if (m->row % 256 == 0) m->row += m->lanes;
    m->scores = vj_stack(g, VJ_F32, m->row * s->query_block);
    m->scale = vj_stack(g, VJ_F32, s->query_block);
    vj_attention_plan(m);
    vj_tile_mix(k->extent[m->i], s->height, &m->mix);
    const int64_t tiles = vj_ceil_div(k->extent[m->i], s->height);
    const int64_t blocks = vj_ceil_div(tiles, s->query_block / s->height);
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
    emit_blocks(m, tiles, blocks, first, last);
    vj_loop_end(g, &loop, NULL);
}
