/* SPDX-License-Identifier: Apache-2.0 */
/* nest.c - nests: stages of reductions over a row, then results; elementwise kernels are nests without a row.
 *
 * Outer points are done in groups: one point, or as many as a vector has lanes where lanes run along an outer axis
 * (then a reduction is lane by lane). Where lanes run along a row axis, a reduction ends with a horizontal step. Stages
 * are done one after another, each with a pass over the row, which stays in the first level of the cache: mean, then
 * variance about the mean. Sums have several partial accumulators, combined in a fixed order that no split over units
 * changes.
 */
#include <assert.h>
#include <string.h>

#include "reduce.h"

#define PARTIALS   4  /* the latency of an addition */
#define MOST_LANES 64 /* lanes */

typedef struct nest {
    vj_gen *g;
    const vj_kernel *k;
    int32_t outer_axes;
    int32_t vector_axis; /* -1: scalar code */
    bool vector_is_row;
    int32_t lanes;
    int64_t vectors, tail;     /* along the vector axis: full ones, and the lanes of the last */
    bool short_row;            /* a window: its points are written out */
    int32_t block_axis, block; /* neighbours that are computed together, see schedule.h */
    bool turned;
    int32_t partials;
} nest;

/* One pass over the row makes a stage, or (stage < 0) the results that move with the row. */
typedef struct pass {
    int32_t stage;
    vj_dtype dtype;
    vj_reduce_kind kind;
    LLVMValueRef acc[PARTIALS + 1]; /* the last: of tails, already reduced over lanes */
    const bool *in_row;             /* which results */
} pass;

/* A pass over the row */

static void leaf_results(const nest *n, const pass *p, const vj_point *point) {
    const vj_kernel *k = n->k;
    LLVMValueRef value[VJ_MAX_OUTS];
    /* All are made before any is stored: a result may take the place of what another reads. */
    for (int32_t o = 0; o < k->out_count; o++)
        if (p->in_row[o]) value[o] = vj_emit_expr(n->g, k->out[o].expr, point);
    for (int32_t o = 0; o < k->out_count; o++)
        if (p->in_row[o]) vj_emit_store(n->g, k->out[o].access, point, value[o]);
}

static void leaf(const nest *n, pass *p, const vj_point *point, int32_t slot) {
    vj_gen *g = n->g;
    if (p->stage < 0) {
        leaf_results(n, p, point);
        return;
    }
    const vj_expr *e = &n->k->expr[n->k->stage[p->stage].expr];
    if (p->kind == VJ_REDUCE_SUM && e->op == VJ_X_MUL && vj_dtype_is_float(p->dtype) && !n->vector_is_row) {
        LLVMValueRef a = vj_emit_expr(g, e->arg[0], point), b = vj_emit_expr(g, e->arg[1], point);
        p->acc[slot] = vj_fma(g, a, b, p->acc[slot]);
        return;
    }
    LLVMValueRef value = vj_emit_expr(g, n->k->stage[p->stage].expr, point);
    if (point->lanes < n->lanes) {
        p->acc[PARTIALS] =
            vj_reduce_two(g, p->dtype, p->kind, p->acc[PARTIALS], vj_reduce_lanes(g, p->dtype, p->kind, value));
        return;
    }
    if (point->mask && n->vector_is_row)
        value = LLVMBuildSelect(g->b, point->mask, value, vj_reduce_identity(g, p->dtype, p->kind, n->lanes), "");
    p->acc[slot] = vj_reduce_two(g, p->dtype, p->kind, p->acc[slot], value);
}

static void emit_row(const nest *n, pass *p, vj_point *point, int32_t axis, int32_t slot);

/* Does the lanes behind the last full vector, from element `first` on: masked, or in halves, quarters, ... of a vector. */
static void emit_tail(const nest *n, pass *p, const vj_point *point, int32_t axis, int32_t slot) {
    const vj_gen *g = n->g;
    int64_t first = n->vectors * n->lanes, left = n->tail;
    vj_point at = *point;
    if (g->target->masked_stores) {
        at.index[axis] = vj_i64(g, first);
        at.mask = vj_mask_first(g, vj_i64(g, left), n->lanes);
        emit_row(n, p, &at, axis + 1, slot);
        return;
    }
    for (int32_t lanes = n->lanes / 2; left; lanes /= 2) {
        if (lanes > left) continue;
        at.index[axis] = vj_i64(g, first);
        at.lanes = lanes;
        at.vector_axis = lanes > 1 ? axis : -1;
        emit_row(n, p, &at, axis + 1, slot);
        first += lanes;
        left -= lanes;
    }
}

static void emit_row(const nest *n, pass *p, vj_point *point, int32_t axis, int32_t slot) {
    vj_gen *g = n->g;
    const vj_kernel *k = n->k;
    if (axis == k->rank) {
        leaf(n, p, point, slot);
        return;
    }
    const bool along = axis == n->vector_axis;
    const int64_t step = along ? n->lanes : 1, trips = along ? n->vectors : k->extent[axis];
    const bool written_out = n->short_row && p->stage >= 0;
    const int32_t unroll = p->stage >= 0 && axis == k->rank - 1 && trips >= 2 * PARTIALS ? PARTIALS : 1;
    const int64_t looped = !written_out && trips / unroll > 1 ? trips / unroll * unroll : 0;
    const int32_t carried = p->stage >= 0 ? PARTIALS + 1 : 0;
    vj_point at = *point;
    if (looped) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, looped * step), unroll * step, true, p->acc, carried);
        memcpy(p->acc, loop.carried, (size_t)carried * sizeof *p->acc);
        for (int32_t u = 0; u < unroll; u++) {
            at.index[axis] = u == 0 ? loop.index : LLVMBuildNSWAdd(g->b, loop.index, vj_i64(g, u * step), "");
            emit_row(n, p, &at, axis + 1, unroll > 1 ? u : slot);
        }
        vj_loop_end(g, &loop, p->acc);
        memcpy(p->acc, loop.carried, (size_t)carried * sizeof *p->acc);
    }
    for (int64_t i = looped; i < trips; i++) {
        at.index[axis] = vj_i64(g, i * step);
        const int64_t next = written_out ? slot * trips + i : unroll > 1 ? i - looped : slot;
        emit_row(n, p, &at, axis + 1, (int32_t)(next % n->partials));
    }
    if (along && n->tail) emit_tail(n, p, point, axis, slot);
}

static LLVMValueRef emit_stage(const nest *n, int32_t stage, vj_point *point) {
    vj_gen *g = n->g;
    pass p = {.stage = stage, .dtype = n->k->expr[n->k->stage[stage].expr].dtype, .kind = n->k->stage[stage].reduce};
    for (int32_t i = 0; i < PARTIALS; i++)
        p.acc[i] = vj_reduce_identity(g, p.dtype, p.kind, n->lanes);
    p.acc[PARTIALS] = vj_reduce_identity(g, p.dtype, p.kind, 1);
    emit_row(n, &p, point, n->outer_axes, 0);
    for (int32_t half = n->partials / 2; half; half /= 2)
        for (int32_t i = 0; i < half; i++)
            p.acc[i] = vj_reduce_two(g, p.dtype, p.kind, p.acc[2 * i], p.acc[2 * i + 1]);
    LLVMValueRef all = p.acc[0];
    if (!n->vector_is_row) return all;
    all = vj_reduce_lanes(g, p.dtype, p.kind, all);
    return n->tail ? vj_reduce_two(g, p.dtype, p.kind, all, p.acc[PARTIALS]) : all;
}

/* Groups */

static bool moves_with_row(const nest *n, const vj_out *out) {
    const vj_access *access = &n->k->access[out->access];
    for (int32_t axis = n->outer_axes; axis < n->k->rank; axis++)
        if (access->stride[axis] != 0 && n->k->extent[axis] > 1) return true;
    return false;
}

/* Does all of one point, or of one vector of points; `outer` has the outer indices. */
static void emit_points(const nest *n, const vj_point *outer) {
    vj_gen *g = n->g;
    const vj_kernel *k = n->k;
    vj_point at = *outer, *point = &at;
    LLVMValueRef stage[VJ_MAX_STAGES], once[VJ_MAX_OUTS];
    bool in_row[VJ_MAX_OUTS], any = false;
    point->stage = stage;
    for (int32_t axis = n->outer_axes; axis < k->rank; axis++)
        point->index[axis] = vj_i64(g, 0);
    /* Where lanes run along the row they begin with it. */
    if (n->vector_is_row) {
        point->lanes = n->lanes;
        point->vector_axis = n->lanes > 1 ? n->vector_axis : -1;
    }
    for (int32_t s = 0; s < k->stage_count; s++)
        stage[s] = emit_stage(n, s, point);
    vj_point single = *point;
    if (n->vector_is_row) {
        single.lanes = 1;
        single.vector_axis = -1;
    }
    for (int32_t o = 0; o < k->out_count; o++) {
        in_row[o] = moves_with_row(n, &k->out[o]);
        any |= in_row[o];
        if (!in_row[o]) once[o] = vj_emit_expr(g, k->out[o].expr, &single);
    }
    pass p = {.stage = -1, .in_row = in_row};
    if (any) emit_row(n, &p, point, n->outer_axes, 0);
    for (int32_t o = 0; o < k->out_count; o++)
        if (!in_row[o]) vj_emit_store(g, k->out[o].access, &single, once[o]);
}

/* Does the same of `block` neighbours, whose results do not move with the row: all sums before any is stored, so that what
 * they share is loaded once. */
static void emit_block(const nest *n, const vj_point *first) {
    vj_gen *g = n->g;
    const vj_kernel *k = n->k;
    LLVMValueRef stage[VJ_MAX_BLOCK][VJ_MAX_STAGES], value[VJ_MAX_BLOCK][VJ_MAX_OUTS];
    vj_point at[VJ_MAX_BLOCK];
    for (int32_t i = 0; i < n->block; i++) {
        at[i] = *first;
        at[i].shift[n->block_axis] = i;
        at[i].stage = stage[i];
        for (int32_t axis = n->outer_axes; axis < k->rank; axis++)
            at[i].index[axis] = vj_i64(g, 0);
        for (int32_t s = 0; s < k->stage_count; s++)
            stage[i][s] = emit_stage(n, s, &at[i]);
    }
    for (int32_t i = 0; i < n->block; i++)
        for (int32_t o = 0; o < k->out_count; o++)
            value[i][o] = vj_emit_expr(g, k->out[o].expr, &at[i]);
    for (int32_t i = 0; i < n->block; i++)
        for (int32_t o = 0; o < k->out_count; o++)
            vj_emit_store(g, k->out[o].access, &at[i], value[i][o]);
}

/* Does `block` neighbours along the axis along which the result is adjacent, for a vector of points along the axis along which the
 * loads are: values are made in vectors of the one, and stored, halves rounded first, in vectors of the other. */
static void emit_square(const nest *n, const vj_point *first) {
    vj_gen *g = n->g;
    const vj_out *out = &n->k->out[0];
    const vj_expr *root = &n->k->expr[out->expr];
    LLVMValueRef square[MOST_LANES];
    vj_point at = *first;
    for (int32_t axis = n->outer_axes; axis < n->k->rank; axis++)
        at.index[axis] = vj_i64(g, 0);
    const bool is_whole = at.lanes == n->block, is_rounded = root->dtype != VJ_F32;
    for (int32_t i = 0; i < n->block; i++) {
        at.shift[n->block_axis] = i;
        square[i] = vj_emit_expr(g, is_whole && is_rounded ? root->arg[0] : out->expr, &at);
        if (!is_whole) vj_emit_store(g, out->access, &at, square[i]);
    }
    if (!is_whole) return;
    vj_transpose(g, square, n->block);
    const int32_t points = at.mask ? (int32_t)n->tail : n->block;
    at.mask = NULL;
    at.vector_axis = n->block_axis;
    at.shift[n->block_axis] = 0;
    for (int32_t i = 0; i < points; i++) {
        at.shift[n->vector_axis] = i;
        vj_emit_store(g, out->access, &at, is_rounded ? vj_to_half(g, root->dtype, square[i], n->block) : square[i]);
    }
}

static void emit_group(const nest *n, const vj_point *outer) {
    if (n->turned)
        emit_square(n, outer);
    else if (n->block > 1)
        emit_block(n, outer);
    else
        emit_points(n, outer);
}

/* The group's lanes along an outer axis: its last one is not full. */
static void emit_outer_tail(const nest *n, const vj_point *point) {
    const vj_gen *g = n->g;
    if (g->target->masked_stores) {
        vj_point at = *point;
        at.mask = vj_mask_first(g, vj_i64(g, n->tail), n->lanes);
        emit_group(n, &at);
        return;
    }
    int64_t first = 0;
    for (int32_t lanes = n->lanes / 2; first < n->tail; lanes /= 2) {
        if (lanes > n->tail - first) continue;
        nest narrow = *n;
        narrow.lanes = lanes;
        vj_point at = *point;
        at.lanes = lanes;
        at.vector_axis = lanes > 1 ? n->vector_axis : -1;
        at.index[n->vector_axis] = LLVMBuildNSWAdd(g->b, point->index[n->vector_axis], vj_i64(g, first), "");
        emit_group(&narrow, &at);
        first += lanes;
    }
}

static void emit_outer_vector(const nest *n, vj_point *point, LLVMValueRef chunk) {
    vj_gen *g = n->g;
    point->lanes = n->lanes;
    point->vector_axis = n->lanes > 1 ? n->vector_axis : -1;
    point->index[n->vector_axis] = LLVMBuildNSWMul(g->b, chunk, vj_i64(g, n->lanes), "");
    if (n->tail == 0) {
        emit_group(n, point);
        return;
    }
    if (n->vectors == 0) {
        emit_outer_tail(n, point);
        return;
    }
    LLVMBasicBlockRef full = LLVMAppendBasicBlockInContext(g->context, g->function, "full");
    LLVMBasicBlockRef tail = LLVMAppendBasicBlockInContext(g->context, g->function, "tail");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(g->context, g->function, "next");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, chunk, vj_i64(g, n->vectors), ""), full, tail);
    LLVMPositionBuilderAtEnd(g->b, full);
    vj_point at = *point;
    emit_group(n, &at);
    LLVMBuildBr(g->b, next);
    LLVMPositionBuilderAtEnd(g->b, tail);
    emit_outer_tail(n, point);
    LLVMBuildBr(g->b, next);
    LLVMPositionBuilderAtEnd(g->b, next);
}

/* How many steps an outer axis has: vectors where lanes run along it, blocks where neighbours go together. */
static int64_t outer_steps(const nest *n, int32_t axis) {
    if (n->block > 1 && axis == n->block_axis) return n->k->extent[axis] / n->block;
    return axis == n->vector_axis ? n->vectors + (n->tail != 0) : n->k->extent[axis];
}

/* Does groups [first, last), whose outer indices are counted on like an odometer. */
static void emit_groups(const nest *n, LLVMValueRef first, LLVMValueRef last) {
    vj_gen *g = n->g;
    LLVMValueRef counter[VJ_MAX_AXES], next[VJ_MAX_AXES], rest = first;
    for (int32_t axis = n->outer_axes - 1; axis >= 0; axis--) {
        LLVMValueRef steps = vj_i64(g, outer_steps(n, axis));
        counter[axis] = axis == 0 ? rest : LLVMBuildURem(g->b, rest, steps, "");
        rest = LLVMBuildUDiv(g->b, rest, steps, "");
    }
    vj_loop loop;
    vj_loop_begin(g, &loop, first, last, 1, false, counter, n->outer_axes);
    vj_point point = {.lanes = 1, .vector_axis = -1};
    memcpy(point.index, loop.carried, (size_t)n->outer_axes * sizeof *point.index);
    memcpy(counter, loop.carried, (size_t)n->outer_axes * sizeof *counter);
    if (n->block > 1)
        point.index[n->block_axis] = LLVMBuildNSWMul(g->b, counter[n->block_axis], vj_i64(g, n->block), "");
    if (n->vector_axis >= 0 && !n->vector_is_row)
        emit_outer_vector(n, &point, counter[n->vector_axis]);
    else
        emit_group(n, &point);
    LLVMValueRef carry = LLVMConstInt(g->i1, 1, false), zero = vj_i64(g, 0);
    for (int32_t axis = n->outer_axes - 1; axis >= 0; axis--) {
        LLVMValueRef up = LLVMBuildAdd(g->b, counter[axis], LLVMBuildZExt(g->b, carry, g->i64, ""), "");
        LLVMValueRef over = LLVMBuildICmp(g->b, LLVMIntEQ, up, vj_i64(g, outer_steps(n, axis)), "");
        next[axis] = axis == 0 ? up : LLVMBuildSelect(g->b, over, zero, up, "");
        carry = over;
    }
    vj_loop_end(g, &loop, next);
}

/* Schedules of a block whose results would move with the row are not carried out. */
static void choose_block(nest *n) {
    const vj_nest_schedule *s = n->k->schedule ? &n->k->schedule->nest : NULL;
    n->block = 1;
    n->block_axis = -1;
    n->partials = PARTIALS;
    if (s && s->turned && s->block == n->lanes && n->k->extent[s->block_axis] % s->block == 0) {
        n->turned = true;
        n->block = s->block;
        n->block_axis = s->block_axis;
        return;
    }
    if (!s || s->block < 2 || s->block > VJ_MAX_BLOCK || !n->short_row) return;
    for (int32_t o = 0; o < n->k->out_count; o++)
        if (moves_with_row(n, &n->k->out[o])) return;
    n->block = s->block;
    n->block_axis = s->block_axis;
    n->partials = n->block >= PARTIALS ? 1 : PARTIALS / 2;
}

/* Halves have no arithmetic: the pass widen, which may be left out, leaves casts of them alone. */
static bool can_reduce(const vj_gen *g) {
    for (int32_t s = 0; s < g->k->stage_count; s++) {
        const vj_dtype dtype = g->k->expr[g->k->stage[s].expr].dtype;
        if (!vj_is_half(dtype)) continue;
        vj_fail(g->error, VJ_UNSUPPORTED, "kernel '%s': a reduction of %s has no code generator", g->k->name,
                vj_element_name(dtype));
        return false;
    }
    return true;
}

void vj_gen_nest(vj_gen *g) {
    const vj_kernel *k = g->k;
    if (!can_reduce(g)) return;
    nest n = {.g = g, .k = k, .outer_axes = k->axes[VJ_GROUP_OUTER], .vector_axis = -1, .lanes = 1};
    if (k->schedule && k->schedule->nest.vector_axis >= 0 && k->extent[k->schedule->nest.vector_axis] > 1) {
        n.vector_axis = k->schedule->nest.vector_axis;
        n.vector_is_row = n.vector_axis >= n.outer_axes;
        n.lanes = g->lanes;
        while (n.lanes / 2 >= k->extent[n.vector_axis])
            n.lanes /= 2;
        n.vectors = k->extent[n.vector_axis] / n.lanes;
        n.tail = k->extent[n.vector_axis] % n.lanes;
    }
    n.short_row = !n.vector_is_row && vj_group_extent(k, VJ_GROUP_ROW) <= VJ_SHORT_ROW;
    choose_block(&n);
    int64_t groups = 1;
    for (int32_t axis = 0; axis < n.outer_axes; axis++)
        groups *= outer_steps(&n, axis);
    /* Unit u has groups [groups * u / units, groups * (u + 1) / units). */
    LLVMValueRef count = vj_i64(g, groups), units = vj_i64(g, vj_max64(1, k->units));
    LLVMValueRef range[2] = {g->first_unit, g->last_unit};
    for (int32_t i = 0; i < 2; i++)
        range[i] = LLVMBuildUDiv(g->b, LLVMBuildMul(g->b, range[i], count, ""), units, "");
    emit_groups(&n, range[0], range[1]);
}
