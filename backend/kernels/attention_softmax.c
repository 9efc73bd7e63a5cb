/* SPDX-License-Identifier: Apache-2.0 */
/* attention_softmax.c - the softmax of a block of scores, in place: the largest score of each row, exp of the
 * differences, their sum. 1 / sum is applied to the results. A row of nothing but -inf gives NaN, as softmax does.
 *
 * Where weights have an expression it wants them divided by the sum, so that they are made last (vj_attention_weights), and 1 / sum is
 * done with then.
 *
 * Over blocks of keys the largest score, the sum and the results so far go on: with a larger score they are all
 * multiplied by exp(old - new) first (Milakov and Gimelshein, Online normalizer calculation for softmax, 2018).
 */
#include "attention.h"
#include "reduce.h"

#include <math.h>

/* So many rows are done side by side: one row's sums wait for each other. */
#define ROWS_MAX 4

#define LOG2_E 1.4426950408889634

/* Rows [row, row + rows) of the block. */
typedef struct group {
    const vj_attention *m;
    LLVMValueRef row;
    int32_t rows;
    LLVMValueRef largest[ROWS_MAX]; /* splats */
} group;

/* Folds f over the scores of each row, a vector at a time, each row by itself. `mask`: the lanes that have a key. */
typedef LLVMValueRef (*fold)(const group *rows, int32_t r, LLVMValueRef key, LLVMValueRef mask, LLVMValueRef so_far);

static LLVMValueRef row_of(const group *rows, int32_t r) {
    const vj_gen *g = rows->m->g;
    return r == 0 ? rows->row : LLVMBuildNSWAdd(g->b, rows->row, vj_i64(g, r), "");
}

static void fold_keys(const group *rows, LLVMValueRef from, LLVMValueRef to, LLVMValueRef mask, bool nonempty, fold f,
                      LLVMValueRef *result) {
    const vj_attention *m = rows->m;
    vj_loop loop;
    vj_loop_begin(m->g, &loop, from, to, m->lanes, nonempty, result, rows->rows);
    for (int32_t r = 0; r < rows->rows; r++)
        result[r] = f(rows, r, loop.index, mask, loop.carried[r]);
    vj_loop_end(m->g, &loop, result);
    for (int32_t r = 0; r < rows->rows; r++)
        result[r] = loop.carried[r];
}

/* Folds over the block's keys, those of the last vector by themselves when lanes without a key must not be touched. */
static void fold_rows(const group *rows, bool exact, fold f, LLVMValueRef *result) {
    const vj_attention *m = rows->m;
    vj_gen *g = m->g;
    const int64_t keys = m->k->extent[m->j], whole = keys / m->lanes * m->lanes;
    if (!exact || whole == keys) {
        /* Blocks but the last are whole vectors. */
        LLVMValueRef last = m->last_key;
        if (whole < keys) {
            LLVMValueRef up = LLVMBuildNSWAdd(g->b, m->last_key, vj_i64(g, m->lanes - 1), "");
            last = LLVMBuildAnd(g->b, up, vj_i64(g, -m->lanes), "");
        }
        fold_keys(rows, m->first_key, last, NULL, true, f, result);
    } else {
        LLVMValueRef mask = vj_mask_first(g, vj_i64(g, keys - whole), m->lanes);
        fold_keys(rows, m->first_key, vj_clamp(g, m->last_key, 0, whole), NULL, false, f, result);
        fold_keys(rows, vj_clamp(g, m->first_key, whole, keys), m->last_key, mask, false, f, result);
    }
}

/* Makes the score of a product: its tile may have left the expression to be done, and a lane without a key gets -inf. */
static LLVMValueRef late_score(const group *rows, int32_t r, LLVMValueRef key, LLVMValueRef mask,
                               LLVMValueRef product) {
    const vj_attention *m = rows->m;
    vj_gen *g = m->g;
    vj_point point = {.lanes = m->lanes, .vector_axis = m->j, .mask = mask, .acc = product};
    for (int32_t axis = 0; axis < m->k->rank; axis++)
        point.index[axis] = axis < m->i ? m->batch[axis] : vj_i64(g, 0);
    point.index[m->i] = LLVMBuildNSWAdd(g->b, m->query, row_of(rows, r), "");
    point.index[m->j] = key;
    LLVMValueRef score = vj_emit_expr(g, m->k->score_expr, &point);
    LLVMValueRef nothing = vj_splat(g, vj_f32(g, -(double)INFINITY), m->lanes);
    return mask ? LLVMBuildSelect(g->b, mask, score, nothing, "") : score;
}

/* A NaN may be lost here: it comes back in the exponential of its own lane, and so in the sum. */
static LLVMValueRef fold_max(const group *rows, int32_t r, LLVMValueRef key, LLVMValueRef mask, LLVMValueRef so_far) {
    const vj_attention *m = rows->m;
    vj_gen *g = m->g;
    LLVMValueRef pointer = vj_score_at(m, row_of(rows, r), key);
    LLVMValueRef score = vj_load_vector(g, pointer, VJ_F32, m->lanes, NULL, NULL);
    if (m->late_scores) {
        score = late_score(rows, r, key, mask, score);
        vj_store_vector(g, pointer, score, NULL);
    }
    return vj_larger(g, score, so_far);
}

static bool has_expression(const vj_attention *m) { return m->k->weight_expr >= 0; }

/* exp(score - largest) = 2^((score - largest) log2 e). The difference comes first: masks put the least float there is, whose
 * product with log2 e is none. */
static LLVMValueRef weight_of(const vj_attention *m, LLVMValueRef difference) {
    vj_gen *g = m->g;
    if (m->dtype == VJ_BF16 && !has_expression(m)) return vj_exp_negative_coarse(g, difference);
    return vj_exp2_negative(g, LLVMBuildFMul(g->b, difference, vj_splat(g, vj_f32(g, LOG2_E), m->lanes), ""));
}

/* A weight as products multiply it: rounded to the operands' type. Where it is NaN so is the row's sum, which makes NaN of the
 * results, whatever weights are then. */
static LLVMValueRef rounded(const vj_attention *m, LLVMValueRef weight) {
    if (m->multiplied == VJ_BF16) return vj_to_half(m->g, VJ_BF16, weight, m->lanes);
    return m->dtype == VJ_BF16 ? vj_bf16_number(m->g, weight, m->lanes) : weight;
}

/* Of blocks of keys weights with an expression are made of the scores again. */
static void keep_exponential(const vj_attention *m, LLVMValueRef at, LLVMValueRef exponential) {
    if (!m->blocked) vj_store_vector(m->g, at, exponential, NULL);
}

/* Scores become weights, which take their place (halves the first part of it: what they overwrite has been read), and are
 * added up. */
static LLVMValueRef fold_weight(const group *rows, int32_t r, LLVMValueRef key, LLVMValueRef mask,
                                LLVMValueRef so_far) {
    const vj_attention *m = rows->m;
    vj_gen *g = m->g;
    (void)mask;
    LLVMValueRef pointer = vj_score_at(m, row_of(rows, r), key);
    LLVMValueRef score = vj_load_vector(g, pointer, VJ_F32, m->lanes, NULL, NULL);
    LLVMValueRef weight = weight_of(m, LLVMBuildFSub(g->b, score, rows->largest[r], ""));
    if (has_expression(m))
        keep_exponential(m, pointer, weight);
    else
        vj_store_vector(g, vj_weight_at(m, row_of(rows, r), key), rounded(m, weight), NULL);
    return LLVMBuildFAdd(g->b, so_far, weight, "");
}

static LLVMValueRef load(const vj_attention *m, LLVMValueRef array, LLVMValueRef row) {
    return vj_load_vector(m->g, vj_of_row(m, array, row), VJ_F32, 1, NULL, NULL);
}

static void store(const vj_attention *m, LLVMValueRef array, LLVMValueRef row, LLVMValueRef value) {
    vj_store_vector(m->g, vj_of_row(m, array, row), value, NULL);
}

/* The largest score so far becomes `largest`: scale is what the sums before are worth now. Where there is no score but
 * -inf yet, the differences are from 0, so that weights are 0 and not NaN. */
static LLVMValueRef go_on(const vj_attention *m, LLVMValueRef row, LLVMValueRef largest) {
    vj_gen *g = m->g;
    LLVMValueRef before = load(m, m->largest, row), none = vj_f32(g, -(double)INFINITY);
    store(m, m->largest, row, largest);
    LLVMValueRef nothing = LLVMBuildFCmp(g->b, LLVMRealOEQ, largest, none, "");
    LLVMValueRef from = LLVMBuildSelect(g->b, nothing, vj_f32(g, 0), largest, "");
    LLVMValueRef difference = LLVMBuildFSub(g->b, before, from, "");
    store(m, m->scale, row, vj_exp2_negative(g, LLVMBuildFMul(g->b, difference, vj_f32(g, LOG2_E), "")));
    return from;
}

static void softmax_rows(const vj_attention *m, LLVMValueRef row, int32_t count) {
    vj_gen *g = m->g;
    group rows = {.m = m, .row = row, .rows = count};
    LLVMValueRef result[ROWS_MAX];
    for (int32_t r = 0; r < count; r++) {
        LLVMValueRef start = m->blocked ? load(m, m->largest, row_of(&rows, r)) : vj_f32(g, -(double)INFINITY);
        result[r] = vj_splat(g, start, m->lanes);
    }
    fold_rows(&rows, m->late_scores, fold_max, result);
    for (int32_t r = 0; r < count; r++) {
        LLVMValueRef largest = vj_largest_lane(g, result[r]);
        if (m->blocked) largest = go_on(m, row_of(&rows, r), largest);
        rows.largest[r] = vj_splat(g, largest, m->lanes);
        result[r] = vj_splat(g, vj_f32(g, 0), m->lanes);
    }
    fold_rows(&rows, false, fold_weight, result);
    for (int32_t r = 0; r < count; r++) {
        LLVMValueRef at = row_of(&rows, r), sum = vj_reduce_lanes(g, VJ_F32, VJ_REDUCE_SUM, result[r]);
        if (m->blocked)
            store(m, m->sum, at, vj_fma(g, load(m, m->sum, at), load(m, m->scale, at), sum));
        else
            store(m, m->scale, at, LLVMBuildFDiv(g->b, vj_f32(g, 1), sum, ""));
    }
}

/* Exponentials, or of blocks of keys scores, become weights by their expression; `so_far` is 1 / sum. */
static LLVMValueRef fold_expression(const group *rows, int32_t r, LLVMValueRef key, LLVMValueRef mask,
                                    LLVMValueRef so_far) {
    const vj_attention *m = rows->m;
    vj_gen *g = m->g;
    LLVMValueRef x = vj_load_vector(g, vj_score_at(m, row_of(rows, r), key), VJ_F32, m->lanes, NULL, NULL);
    if (m->blocked) {
        if (m->late_scores) x = late_score(rows, r, key, mask, x);
        x = weight_of(m, LLVMBuildFSub(g->b, x, rows->largest[r], ""));
    }
    const vj_point point = {.lanes = m->lanes, .vector_axis = m->j, .acc = LLVMBuildFMul(g->b, x, so_far, "")};
    LLVMValueRef weight = vj_emit_expr(g, m->k->weight_expr, &point);
    vj_store_vector(g, vj_weight_at(m, row_of(rows, r), key), rounded(m, weight), NULL);
    return so_far;
}

static void weights_of_rows(const vj_attention *m, LLVMValueRef row, int32_t count) {
    const vj_gen *g = m->g;
    group rows = {.m = m, .row = row, .rows = count};
    LLVMValueRef inverse[ROWS_MAX];
    for (int32_t r = 0; r < count; r++) {
        LLVMValueRef at = row_of(&rows, r);
        inverse[r] = vj_splat(g, load(m, m->blocked ? m->sum : m->scale, at), m->lanes);
        if (m->blocked) rows.largest[r] = vj_splat(g, load(m, m->largest, at), m->lanes);
    }
    fold_rows(&rows, m->blocked && m->late_scores, fold_expression, inverse);
    for (int32_t r = 0; r < count; r++)
        store(m, m->scale, row_of(&rows, r), vj_f32(g, 1));
}

/* Does `work` for the block's rows, a few of them side by side. */
static void for_rows(const vj_attention *m, LLVMValueRef rows,
                     void (*work)(const vj_attention *m, LLVMValueRef row, int32_t count)) {
    vj_gen *g = m->g;
    LLVMValueRef whole = LLVMBuildAnd(g->b, rows, vj_i64(g, -ROWS_MAX), "");
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), whole, ROWS_MAX, false, NULL, 0);
    work(m, loop.index, ROWS_MAX);
    vj_loop_end(g, &loop, NULL);
    vj_loop_begin(g, &loop, whole, rows, 1, false, NULL, 0);
    work(m, loop.index, 1);
    vj_loop_end(g, &loop, NULL);
}

void vj_attention_softmax(const vj_attention *m, LLVMValueRef rows) { for_rows(m, rows, softmax_rows); }

void vj_attention_weights(const vj_attention *m, LLVMValueRef rows) { for_rows(m, rows, weights_of_rows); }

void vj_attention_softmax_begin(const vj_attention *m) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, m->s->query_block), 1, true, NULL, 0);
    store(m, m->largest, loop.index, vj_f32(g, -(double)INFINITY));
    store(m, m->sum, loop.index, vj_f32(g, 0));
    vj_loop_end(g, &loop, NULL);
}

void vj_attention_softmax_end(const vj_attention *m) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, m->s->query_block), 1, true, NULL, 0);
    LLVMValueRef inverse = LLVMBuildFDiv(g->b, vj_f32(g, 1), load(m, m->sum, loop.index), "");
    store(m, has_expression(m) ? m->sum : m->scale, loop.index, inverse);
    vj_loop_end(g, &loop, NULL);
}
