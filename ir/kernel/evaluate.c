/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.c - runs a kernel in double precision exactly by its definition: the oracle of generated code. */
#include "vitjit_half.h"
#include "evaluate.h"
#include "ir/routines/routines.h"

#include <math.h>
#include <string.h>

/* The next point of the axes, row-major; false: it was the last, and they are all 0 again. */
static bool next_point(vj_kernel_run *r, vj_axes axes) {
    for (int32_t a = axes.first + axes.count - 1; a >= axes.first; a--) {
        if (++r->index[a] < r->k->extent[a]) return true;
        r->index[a] = 0;
    }
    return false;
}

/* The results' plans, and where they go. */
typedef struct results {
    int32_t count;
    vj_out out[VJ_MAX_OUTS];
    vj_expr_plan plan[VJ_MAX_OUTS];
} results;

static results plan_results(vj_kernel_run *r) {
    results all = {.count = r->k->out_count};
    for (int32_t o = 0; o < all.count; o++) {
        all.out[o] = r->k->out[o];
        all.plan[o] = vj_plan_expr(r->arena, r->k, r->k->out[o].expr);
    }
    return all;
}

static bool is_stored(const vj_kernel_run *r, const vj_out *out) {
    return out->segment < 0 || r->index[vj_segment_axis(r->k)] == out->segment;
}

static void evaluate_point(vj_kernel_run *r, const results *some, double *value) {
    for (int32_t o = 0; o < some->count; o++)
        if (is_stored(r, &some->out[o])) value[o] = vj_eval_expr(r, &some->plan[o]);
}

static void store_values(vj_kernel_run *r, const results *some, const double *value) {
    for (int32_t o = 0; o < some->count; o++) {
        const vj_access *to = &r->k->access[some->out[o].access];
        if (is_stored(r, &some->out[o])) r->buffers[to->buffer][vj_access_element(r, to)] = value[o];
    }
}

/* All values of a point are made before any is stored, as a result may overwrite what another reads. */
static void store_point(vj_kernel_run *r, const results *some) {
    double value[VJ_MAX_OUTS];
    evaluate_point(r, some, value);
    store_values(r, some, value);
}

/* gemm */

/* How far an access moves at each point of the axes, without its terms. */
static int64_t *steps_of(vj_kernel_run *r, const vj_access *access, vj_axes axes) {
    int64_t *steps = VJ_NEW_ARRAY(r->arena, int64_t, vj_extent_product(r->k, axes.first, axes.count));
    int64_t i = 0;
    do {
        steps[i] = 0;
        for (int32_t a = axes.first; a < axes.first + axes.count; a++)
            steps[i] += access->stride[a] * r->index[a];
        i++;
    } while (next_point(r, axes));
    return steps;
}

/* A float of four bytes, each in a double. */
static double float_of(const double *bytes) {
    uint8_t stored[4];
    float x;
    for (int32_t i = 0; i < 4; i++)
        stored[i] = (uint8_t)bytes[i];
    memcpy(&x, stored, sizeof x);
    return (double)x;
}

double vj_blocks_value(const vj_blocks *blocks, const double *bytes, vj_dtype to, int64_t k, int64_t n) {
    const int64_t column = n % VJ_PANEL, number = k / blocks->block;
    const double *panel = bytes + n / VJ_PANEL * vj_blocks_panel(blocks);
    const double scale = float_of(panel + vj_blocks_scale(number, column));
    const int32_t byte = (int32_t)panel[vj_blocks_number(blocks, k, column)];
    const int32_t q = blocks->bits == 8 ? byte : k % 2 ? byte >> 4 : byte & 15;
    const double factor = blocks->table ? float_of(panel + vj_blocks_table(blocks) + 4 * (ptrdiff_t)q)
                                        : q - panel[vj_blocks_zero(blocks, number, column)];
    const double exact = factor * scale, wide = (double)(float)exact;
    return to == VJ_I8 ? exact : to == VJ_BF16 ? vj_round_bf16(wide) : wide;
}

/* B at (k, n) is base + k_step[k] + n_step[n], packed or not. */
typedef struct b_steps {
    const double *base;
    const int64_t *k, *n;
} b_steps;

/* Blocks as their numbers in plain rows. */
static b_steps steps_of_blocks(vj_kernel_run *r, const vj_blocks *blocks) {
    const vj_kernel *k = r->k;
    const double *bytes = r->buffers[k->access[k->b].buffer];
    const vj_dtype to = vj_operand_dtype(r->p, k, k->b);
    const int64_t deep = vj_group_extent(k, VJ_GROUP_DEPTH), wide = vj_group_extent(k, VJ_GROUP_COLS);
    double *values = VJ_NEW_ARRAY(r->arena, double, deep *wide);
    int64_t *k_step = VJ_NEW_ARRAY(r->arena, int64_t, deep), *n_step = VJ_NEW_ARRAY(r->arena, int64_t, wide);
    for (int64_t n = 0; n < wide; n++)
        n_step[n] = n;
    for (int64_t i = 0; i < deep; i++) {
        k_step[i] = i * wide;
        for (int64_t n = 0; n < wide && i < blocks->depth; n++)
            values[i * wide + n] = vj_blocks_value(blocks, bytes, to, i, n);
    }
    return (b_steps){values, k_step, n_step};
}

static b_steps steps_of_b(vj_kernel_run *r) {
    const vj_kernel *k = r->k;
    const vj_access *b = &k->access[k->b];
    vj_blocks blocks;
    if (vj_has_blocks(r->p, b->buffer, &blocks)) return steps_of_blocks(r, &blocks);
    if (!vj_is_packed(r->p, b->buffer))
        return (b_steps){r->buffers[b->buffer] + b->offset, steps_of(r, b, vj_group(k, VJ_GROUP_DEPTH)),
                         steps_of(r, b, vj_group(k, VJ_GROUP_COLS))};
    const int64_t deep = vj_group_extent(k, VJ_GROUP_DEPTH), wide = vj_group_extent(k, VJ_GROUP_COLS);
    const vj_dtype dtype = r->p->buffers[b->buffer].dtype;
    int64_t *k_step = VJ_NEW_ARRAY(r->arena, int64_t, deep), *n_step = VJ_NEW_ARRAY(r->arena, int64_t, wide);
    for (int64_t i = 0; i < deep; i++)
        k_step[i] = vj_panel_at(dtype, deep, i, 0);
    for (int64_t i = 0; i < wide; i++)
        n_step[i] = vj_panel_at(dtype, deep, 0, i);
    return (b_steps){r->buffers[b->buffer], k_step, n_step};
}

/* How far the batch axes move an unpacked B. */
static int64_t batch_step(const vj_kernel_run *r, vj_axes batch) {
    int64_t step = 0;
    for (int32_t a = batch.first; a < batch.first + batch.count; a++)
        step += r->k->access[r->k->b].stride[a] * r->index[a];
    return step;
}

static bool run_gemm(vj_kernel_run *r, vj_error *error) {
    const vj_kernel *k = r->k;
    (void)error;
    const vj_axes batch = vj_group(k, VJ_GROUP_BATCH), cols = vj_group(k, VJ_GROUP_COLS);
    const vj_axes depth = vj_group(k, VJ_GROUP_DEPTH), batch_and_rows = {batch.first, cols.first - batch.first};
    const int64_t wide = vj_group_extent(k, VJ_GROUP_COLS);
    const b_steps b = steps_of_b(r);
    const results all = plan_results(r);
    double *acc = VJ_NEW_ARRAY(r->arena, double, wide);
    do {
        memset(acc, 0, (size_t)wide * sizeof *acc);
        int64_t at = 0;
        do {
            const double stored = vj_access_value(r, k->a);
            const double a = k->s < 0 ? stored : (stored - VJ_ZERO_OF_BLOCK) * vj_access_value(r, k->s);
            const double *row = b.base + b.k[at++] + batch_step(r, batch);
            for (int64_t n = 0; n < wide; n++)
                acc[n] += a * row[b.n[n]];
        } while (next_point(r, depth));
        int64_t n = 0;
        do {
            r->acc = acc[n++];
            store_point(r, &all);
        } while (next_point(r, cols));
    } while (next_point(r, batch_and_rows));
    return true;
}

/* attention */

static double dot(vj_kernel_run *r, int32_t left, int32_t right, vj_axes axes) {
    double sum = 0;
    do
        sum += vj_access_value(r, left) * vj_access_value(r, right);
    while (next_point(r, axes));
    return sum;
}

typedef struct attention {
    vj_expr_plan score, weight;
    results all;
    double *dots, *weights;  /* of a query's keys */
    double *leaning, *moved; /* weights that lean, and how far they move at most; 0: nothing leans */
} attention;

/* Scores and weights lean by themselves. */
static void weights_of_dots(vj_kernel_run *r, const attention *a, double score_lean, double weight_lean,
                            double *weights) {
    const vj_kernel *k = r->k;
    const vj_axes keys = vj_group(k, VJ_GROUP_KEYS);
    r->lean = score_lean;
    do {
        const int64_t key = r->index[keys.first];
        r->acc = a->dots[key];
        weights[key] = vj_eval_expr(r, &a->score);
    } while (next_point(r, keys));
    vj_softmax_row(weights, k->extent[keys.first], 1);
    r->lean = weight_lean;
    for (int64_t key = 0; k->weight_expr >= 0 && key < k->extent[keys.first]; key++) {
        r->acc = weights[key];
        weights[key] = vj_eval_expr(r, &a->weight);
        if (r->p->buffers[k->access[k->v].buffer].dtype == VJ_BF16) weights[key] = vj_round_bf16(weights[key]);
    }
}

/* A number that is rounded to the other side moves a weight by itself, up or down, and a score moves all weights of its row: a result
 * moves by as much as all of them at most. */
static void lean_weights(vj_kernel_run *r, const attention *a) {
    const double lean = r->lean;
    const int64_t keys = vj_group_extent(r->k, VJ_GROUP_KEYS);
    memset(a->moved, 0, (size_t)keys * sizeof *a->moved);
    for (int32_t score = -1; score <= 1; score++)
        for (int32_t weight = -1; weight <= 1; weight += 2) {
            weights_of_dots(r, a, score * lean, weight * lean, a->leaning);
            for (int64_t key = 0; key < keys; key++)
                a->moved[key] = fmax(a->moved[key], fabs(a->leaning[key] - a->weights[key]));
        }
    for (int64_t key = 0; key < keys; key++)
        a->moved[key] = copysign(a->moved[key], lean);
    r->lean = lean;
}

static void attention_row(vj_kernel_run *r, const attention *a) {
    const vj_kernel *k = r->k;
    const vj_axes keys = vj_group(k, VJ_GROUP_KEYS), dim = vj_group(k, VJ_GROUP_DIM);
    do {
        const int64_t key = r->index[keys.first];
        a->dots[key] = dot(r, k->q, k->k, dim);
    } while (next_point(r, keys));
    const double lean = r->lean;
    weights_of_dots(r, a, 0, 0, a->weights);
    r->lean = lean;
    if (lean != 0) lean_weights(r, a);
    do {
        double sum = 0;
        do {
            const int64_t key = r->index[keys.first];
            const double v = vj_access_value(r, k->v);
            sum += a->weights[key] * v;
            if (a->moved[key] != 0) sum += a->moved[key] * fabs(v);
        } while (next_point(r, keys));
        r->acc = sum;
        store_point(r, &a->all);
    } while (next_point(r, vj_group(k, VJ_GROUP_VALUE)));
}

static bool run_attention(vj_kernel_run *r, vj_error *error) {
    const vj_kernel *k = r->k;
    (void)error;
    const vj_axes keys = vj_group(k, VJ_GROUP_KEYS), batch_and_queries = {0, keys.first};
    attention a = {.score = vj_plan_expr(r->arena, k, k->score_expr), .all = plan_results(r)};
    if (k->weight_expr >= 0) a.weight = vj_plan_expr(r->arena, k, k->weight_expr);
    a.dots = VJ_NEW_ARRAY(r->arena, double, k->extent[keys.first]);
    a.weights = VJ_NEW_ARRAY(r->arena, double, k->extent[keys.first]);
    a.leaning = VJ_NEW_ARRAY(r->arena, double, k->extent[keys.first]);
    a.moved = VJ_NEW_ARRAY(r->arena, double, k->extent[keys.first]);
    do
        attention_row(r, &a);
    while (next_point(r, batch_and_queries));
    return true;
}

/* nest */

static double reduce(vj_reduce_kind kind, double a, double b) {
    switch (kind) {
    case VJ_REDUCE_SUM:
        return a + b;
    case VJ_REDUCE_PROD:
        return a * b;
    case VJ_REDUCE_MAX:
        return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    default:
        return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    }
}

/* Results that move with the row, or those that are one a row. */
static results results_of(const vj_kernel *k, const results *all, vj_axes row, bool moving) {
    results some = {0};
    for (int32_t o = 0; o < all->count; o++) {
        const vj_access *to = &k->access[all->out[o].access];
        bool moves = false;
        for (int32_t axis = row.first; axis < row.first + row.count; axis++)
            moves |= to->stride[axis] != 0 && k->extent[axis] > 1;
        if (moves != moving) continue;
        some.out[some.count] = all->out[o];
        some.plan[some.count++] = all->plan[o];
    }
    return some;
}

/* A result that is one a row may take the place of an operand that all points of the row read. */
static bool run_nest(vj_kernel_run *r, vj_error *error) {
    const vj_kernel *k = r->k;
    (void)error;
    const vj_axes outer = vj_group(k, VJ_GROUP_OUTER), row = vj_group(k, VJ_GROUP_ROW);
    vj_expr_plan stage[VJ_MAX_STAGES];
    for (int32_t s = 0; s < k->stage_count; s++)
        stage[s] = vj_plan_expr(r->arena, k, k->stage[s].expr);
    const results all = plan_results(r);
    const results each = results_of(k, &all, row, true), once = results_of(k, &all, row, false);
    do {
        for (int32_t s = 0; s < k->stage_count; s++) {
            double value = vj_eval_expr(r, &stage[s]);
            while (next_point(r, row))
                value = reduce(k->stage[s].reduce, value, vj_eval_expr(r, &stage[s]));
            r->stage[s] = value;
        }
        double value[VJ_MAX_OUTS];
        evaluate_point(r, &once, value);
        do
            store_point(r, &each);
        while (next_point(r, row));
        store_values(r, &once, value);
    } while (next_point(r, outer));
    return true;
}

/* call */

static vj_host_array array_of(const vj_kernel_run *r, const vj_access *access, int64_t elements) {
    const vj_buffer *buffer = &r->p->buffers[access->buffer];
    double *at = r->buffers[access->buffer] + access->offset;
    if (vj_dtype_is_float(buffer->dtype)) return (vj_host_array){buffer->dtype, at, NULL};
    const vj_host_array array = {buffer->dtype, NULL, VJ_NEW_ARRAY(r->arena, int64_t, elements)};
    for (int64_t i = 0; i < elements; i++)
        array.i[i] = fabs(at[i]) < 0x1p63 ? (int64_t)at[i] /* of results: what is there has no meaning */
                     : at[i] > 0          ? INT64_MAX      /* 2^63 - 1, as a double */
                     : at[i] < 0          ? INT64_MIN
                                          : 0;
    return array;
}

static bool run_call(vj_kernel_run *r, vj_error *error) {
    const vj_kernel *k = r->k;
    const vj_routine_row *row = vj_routine_at(k->routine);
    vj_routine_use use = {.param = k->param, .number = k->number, .units = vj_max64(1, k->units)};
    vj_routine_run run = {.param = k->param, .number = k->number, .arena = r->arena};
    for (int32_t i = 0; i < k->access_count; i++)
        use.dtype[i] = r->p->buffers[k->access[i].buffer].dtype;
    if (!vj_routine_bound(k->routine, &use))
        return vj_fail(error, VJ_USAGE, "kernel %s: %s", k->name, use.wrong) == VJ_OK;
    for (int32_t i = 0; i < row->reads + row->writes; i++)
        run.array[i] = array_of(r, &k->access[i], use.elements[i]);
    vj_routine_evaluate(k->routine, &run);
    for (int32_t i = row->reads; i < row->reads + row->writes; i++) {
        double *at = r->buffers[k->access[i].buffer] + k->access[i].offset;
        for (int64_t e = 0; !run.array[i].f && e < use.elements[i]; e++)
            at[e] = (double)run.array[i].i[e];
    }
    return true;
}

static bool (*const run[VJ_KERNEL_KINDS])(vj_kernel_run *r, vj_error *error) = {
#define KIND(id, name, ...) [VJ_KERNEL_##id] = run_##name,
#include "kernel_kinds.def"
};

bool vj_rounds(const vj_kernel *k) {
    for (int32_t e = 0; e < k->expr_count; e++)
        if (vj_rounds_operand(k, &k->expr[e])) return true;
    return false;
}

static bool evaluate(const vj_program *p, const vj_kernel *k, double *const *buffers, double lean, vj_error *error) {
    for (int32_t a = 0; a < k->access_count; a++)
        if (!buffers[k->access[a].buffer]) {
            vj_fail(error, VJ_USAGE, "kernel %s: buffer %d has no memory", k->name, (int)k->access[a].buffer);
            return false;
        }
    vj_arena *arena = vj_arena_scratch(p->arena);
    vj_kernel_run *r = VJ_NEW(arena, vj_kernel_run);
    *r = (vj_kernel_run){.k = k, .p = p, .buffers = buffers, .arena = arena, .lean = lean};
    r->value = VJ_NEW_ARRAY(arena, double, k->expr_count + 1);
    const bool fine = run[k->kind](r, error);
    vj_arena_free(arena);
    return fine;
}

bool vj_eval_kernel(const vj_program *p, const vj_kernel *k, double *const *buffers, vj_error *error) {
    return evaluate(p, k, buffers, 0, error);
}

bool vj_eval_kernel_leaning(const vj_program *p, const vj_kernel *k, double *const *buffers, double lean,
                            vj_error *error) {
    return evaluate(p, k, buffers, lean, error);
}
