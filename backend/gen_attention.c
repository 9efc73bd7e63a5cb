/* gen_attention.c - softmax(scores) times values, a block of queries at a time; the block's scores stay on the stack.
 *
 * A unit is a share of the query blocks at one point of the batch axes. Blocks, and the order of all sums in them, do
 * not depend on how units are dealt out, so results are the same bits for any number of threads.
 *
 * The softmax is the usual one: largest score of the row, exp of the differences, their sum; 1 / sum is applied to the
 * results. A row of nothing but -inf gives NaN (-inf - -inf), as softmax does.
 */
#include "gen_attention.h"

#include <math.h>

#define PARTIAL_MAX 4

/* Folds f over the row's vectors in `PARTIAL_MAX` independent chains, joined in a fixed order. */
typedef LLVMValueRef (*fold)(const vj_attention *m, LLVMValueRef place, LLVMValueRef so_far, LLVMValueRef other);

static LLVMValueRef fold_row(const vj_attention *m, LLVMValueRef row, LLVMValueRef start, LLVMValueRef other, fold f,
                             vj_reduce_kind kind) {
    vj_gen *g = m->g;
    const int64_t vectors = vj_ceil_div(m->k->extent[m->j], m->lanes), whole = vectors / PARTIAL_MAX * PARTIAL_MAX;
    LLVMValueRef part[PARTIAL_MAX];
    for (int32_t c = 0; c < PARTIAL_MAX; c++)
        part[c] = vj_splat(g, start, m->lanes);
    if (whole > 0) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole * m->lanes), (int64_t)PARTIAL_MAX * m->lanes, true, part,
                      PARTIAL_MAX);
        LLVMValueRef place = vj_element(g, row, VJ_F32, loop.index);
        for (int32_t c = 0; c < PARTIAL_MAX; c++)
            part[c] = f(m, vj_element(g, place, VJ_F32, vj_i64(g, (int64_t)c * m->lanes)), loop.carried[c], other);
        vj_loop_end(g, &loop, part);
        for (int32_t c = 0; c < PARTIAL_MAX; c++)
            part[c] = loop.carried[c];
    }
    for (int64_t v = whole; v < vectors; v++)
        part[v - whole] = f(m, vj_element(g, row, VJ_F32, vj_i64(g, v * m->lanes)), part[v - whole], other);
    LLVMValueRef lanes[2];
    for (int32_t c = 0; c < 2; c++) {
        LLVMValueRef a = part[c], b = part[c + 2];
        LLVMValueRef more = kind == VJ_REDUCE_MAX ? LLVMBuildFCmp(g->b, LLVMRealOGT, a, b, "") : NULL;
        lanes[c] = more ? LLVMBuildSelect(g->b, more, a, b, "") : LLVMBuildFAdd(g->b, a, b, "");
    }
    LLVMValueRef more = kind == VJ_REDUCE_MAX ? LLVMBuildFCmp(g->b, LLVMRealOGT, lanes[0], lanes[1], "") : NULL;
    LLVMValueRef one =
        more ? LLVMBuildSelect(g->b, more, lanes[0], lanes[1], "") : LLVMBuildFAdd(g->b, lanes[0], lanes[1], "");
    return vj_reduce_lanes(g, one, kind);
}

/* A NaN may be lost here: it comes back in the exponential of its own lane, and so in the sum. */
static LLVMValueRef fold_max(const vj_attention *m, LLVMValueRef place, LLVMValueRef so_far, LLVMValueRef other) {
    const vj_gen *g = m->g;
    (void)other;
    LLVMValueRef score = vj_load_vector(g, place, VJ_F32, m->lanes, NULL, NULL);
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, score, so_far, ""), score, so_far, "");
}

/* Scores become weights, exp(score - largest); their sum. */
static LLVMValueRef fold_weight(const vj_attention *m, LLVMValueRef place, LLVMValueRef so_far, LLVMValueRef largest) {
    vj_gen *g = m->g;
    LLVMValueRef score = vj_load_vector(g, place, VJ_F32, m->lanes, NULL, NULL);
    LLVMValueRef below = LLVMBuildFSub(g->b, score, largest, "");
    LLVMValueRef log2_e = vj_splat(g, vj_f32(g, 1.4426950408889634), m->lanes);
    LLVMValueRef weight = vj_exp2(g, LLVMBuildFMul(g->b, below, log2_e, ""));
    vj_store_vector(g, place, weight, NULL);
    return LLVMBuildFAdd(g->b, so_far, weight, "");
}

static void softmax(const vj_attention *m, int64_t rows) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, rows), 1, true, NULL, 0);
    LLVMValueRef row = vj_element(g, m->scores, VJ_F32, LLVMBuildNSWMul(g->b, loop.index, vj_i64(g, m->row), ""));
    LLVMValueRef largest = fold_row(m, row, vj_f32(g, -(double)INFINITY), NULL, fold_max, VJ_REDUCE_MAX);
    LLVMValueRef sum = fold_row(m, row, vj_f32(g, 0), vj_splat(g, largest, m->lanes), fold_weight, VJ_REDUCE_SUM);
    LLVMValueRef scale = LLVMBuildFDiv(g->b, vj_f32(g, 1), sum, "");
    vj_store_vector(g, vj_element(g, m->scale, VJ_F32, loop.index), scale, NULL);
    vj_loop_end(g, &loop, NULL);
}

static LLVMValueRef clamp(const vj_gen *g, LLVMValueRef x, int64_t low, int64_t high) {
    LLVMValueRef l = vj_i64(g, low), h = vj_i64(g, high);
    x = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, x, l, ""), l, x, "");
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, x, h, ""), h, x, "");
}

/* Query blocks [first, last): blocks of a kind differ in their place only. */
static void emit_blocks(vj_attention *m, const vj_gemm_schedule *blocks, LLVMValueRef first, LLVMValueRef last) {
    vj_gen *g = m->g;
    int64_t number = 0, row = 0;
    for (int32_t i = 0; i < blocks->tile_kinds; i++) {
        const vj_tile_rows *kind = &blocks->tiles[i];
        const int64_t end = number + kind->count;
        vj_gemm_schedule mix;
        vj_tile_mix(kind->height, m->s->height, &mix);
        vj_loop loop;
        vj_loop_begin(g, &loop, clamp(g, first, number, end), clamp(g, last, number, end), 1, false, NULL, 0);
        LLVMValueRef nth = LLVMBuildSub(g->b, loop.index, vj_i64(g, number), "");
        m->query = LLVMBuildMul(g->b, nth, vj_i64(g, kind->height), "");
        m->query = LLVMBuildAdd(g->b, m->query, vj_i64(g, row), "");
        vj_attention_scores(m, &mix);
        softmax(m, kind->height);
        vj_attention_results(m, &mix);
        vj_loop_end(g, &loop, NULL);
        number = end;
        row += (int64_t)kind->count * kind->height;
    }
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
    vj_gemm_schedule blocks;
    vj_tile_mix(k->extent[m->i], s->query_block, &blocks);
    const int64_t block_count = vj_ceil_div(k->extent[m->i], s->query_block);
    vj_loop loop;
    vj_loop_begin(g, &loop, LLVMGetParam(g->function, (unsigned)k->access_count),
                  LLVMGetParam(g->function, (unsigned)k->access_count + 1), 1, false, NULL, 0);
    LLVMValueRef shares = vj_i64(g, s->units_per_head), count = vj_i64(g, block_count);
    LLVMValueRef share = LLVMBuildURem(g->b, loop.index, shares, "");
    LLVMValueRef point = LLVMBuildUDiv(g->b, loop.index, shares, "");
    for (int32_t axis = m->i - 1; axis >= 0; axis--) {
        LLVMValueRef extent = vj_i64(g, k->extent[axis]);
        m->batch[axis] = axis == 0 ? point : LLVMBuildURem(g->b, point, extent, "");
        point = LLVMBuildUDiv(g->b, point, extent, "");
    }
    LLVMValueRef first = LLVMBuildUDiv(g->b, LLVMBuildMul(g->b, share, count, ""), shares, "");
    LLVMValueRef next = LLVMBuildAdd(g->b, share, vj_i64(g, 1), "");
    LLVMValueRef last = LLVMBuildUDiv(g->b, LLVMBuildMul(g->b, next, count, ""), shares, "");
    emit_blocks(m, &blocks, first, last);
    vj_loop_end(g, &loop, NULL);
}
