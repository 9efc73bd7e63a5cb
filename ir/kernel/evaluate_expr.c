/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_expr.c - the scalar expressions of kernels in double precision; integers are exact to 2^53 and wrap to
 * their width. What an operation means is said in ir/tensor/elementwise.def. */
#include "evaluate.h"

#include <math.h>

static bool is_float(const vj_expr *e) { return vj_dtype_is_float(e->dtype); }

typedef struct meaning {
    double (*f1)(double);
    double (*f2)(double, double);
    int64_t (*i1)(int64_t), (*u1)(int64_t);
    int64_t (*i2)(int64_t, int64_t), (*u2)(int64_t, int64_t);
} meaning;

static const meaning meanings[VJ_X_COUNT] = {
#define UNARY(id, ID, types, f, i, u, cost, traits)          [VJ_X_##ID] = {.f1 = f, .i1 = i, .u1 = u},
#define BINARY(id, ID, types, result, f, i, u, cost, traits) [VJ_X_##ID] = {.f2 = f, .i2 = i, .u2 = u},
#define SCALAR(id, ID, f, cost)                              [VJ_X_##ID] = {.f1 = f},
#include "ir/tensor/elementwise.def"
};

static double same_bits(vj_dtype from, vj_dtype to, double a) {
    uint8_t bits[8] = {0};
    int64_t exact = 0;
    vj_element_store(from, a, vj_dtype_is_float(from) ? 0 : (int64_t)a, bits);
    const double x = vj_element_of(to, bits, &exact);
    return vj_dtype_is_float(to) ? x : (double)exact;
}

static double of_integer(vj_dtype dtype, int64_t x) {
    const int64_t kept = vj_wrap(dtype, x);
    return dtype == VJ_U64 ? (double)(uint64_t)kept : (double)kept;
}

static double unary(const vj_expr *e, vj_dtype of, double a) {
    const meaning *m = &meanings[e->op];
    if (vj_dtype_is_float(of)) return m->f1 ? m->f1(a) : NAN;
    int64_t (*const g)(int64_t) = of == VJ_U64 && m->u1 ? m->u1 : m->i1;
    return g ? of_integer(e->dtype, g(vj_float_to_int(of, a))) : NAN;
}

static double binary(const vj_expr *e, vj_dtype of, double a, double b) {
    const meaning *m = &meanings[e->op];
    if (vj_dtype_is_float(of)) return m->f2 ? m->f2(a, b) : NAN;
    int64_t (*const g)(int64_t, int64_t) = of == VJ_U64 && m->u2 ? m->u2 : m->i2;
    return g ? of_integer(e->dtype, g(vj_float_to_int(of, a), vj_float_to_int(of, b))) : NAN;
}

static double cast(const vj_expr *e, vj_dtype from, double a) {
    if (is_float(e)) return a;
    return vj_dtype_is_float(from) ? (double)vj_float_to_int(e->dtype, a)
                                   : of_integer(e->dtype, vj_float_to_int(from, a));
}

static int64_t clipped(double index, int64_t extent) {
    return index<1 ? 0 : index>(double)(extent - 1) ? extent - 1 : (int64_t)index;
}

/* Index of the element that the access reads at this point; -1: outside of a guard. What its indices need has its
 * value already. */
int64_t vj_access_element(const vj_kernel_run *r, const vj_access *access) {
    const int32_t rank = r->k->rank;
    int64_t at = access->offset;
    for (int32_t a = 0; a < rank; a++)
        at += access->stride[a] * r->index[a];
    for (int32_t t = 0; t < access->term_count; t++) {
        const vj_term *term = &access->terms[t];
        int64_t i = term->constant;
        for (int32_t a = 0; a < rank; a++)
            i += term->coef[a] * r->index[a];
        if (term->kind == VJ_TERM_INDEX) i = clipped(r->value[term->index], term->extent);
        if (term->kind == VJ_TERM_MOD) i = (i % term->extent + term->extent) % term->extent;
        if (i < 0 || i >= term->extent) return -1;
        at += term->stride * i;
    }
    return at;
}

double vj_access_value(const vj_kernel_run *r, int32_t access) {
    const vj_access *a = &r->k->access[access];
    const int64_t at = vj_access_element(r, a);
    return at < 0 ? a->otherwise : r->buffers[a->buffer][at];
}

bool vj_rounds_operand(const vj_kernel *k, const vj_expr *e) {
    if (e->op == VJ_X_ROUND || e->op == VJ_X_FLOOR || e->op == VJ_X_CEIL) return true;
    return e->op == VJ_X_CAST && !is_float(e) && e->dtype != VJ_BOOL && is_float(&k->expr[e->arg[0]]);
}

/* Whole numbers that are cast are meant: they were rounded before. */
static double leaning(const vj_kernel_run *r, const vj_expr *e, double x) {
    if (r->lean == 0 || !vj_rounds_operand(r->k, e) || (e->op == VJ_X_CAST && x == nearbyint(x))) return x;
    return x + r->lean * (fabs(x) + VJ_LEAN_OF);
}

static double entry(const vj_kernel_run *r, const vj_expr *e) {
    const double *v = r->value;
    const vj_dtype of = e->arg[0] >= 0 ? r->k->expr[e->arg[0]].dtype : VJ_NO_DTYPE;
    switch (e->op) {
    case VJ_X_CONST:
        return e->imm;
    case VJ_X_LOAD:
        return vj_access_value(r, e->index);
    case VJ_X_ACC:
        return r->acc;
    case VJ_X_STAGE:
        return r->stage[e->index];
    case VJ_X_AXIS:
        return (double)r->index[e->index];
    case VJ_X_NOT:
        return of == VJ_BOOL ? v[e->arg[0]] == 0 : of_integer(of, ~vj_float_to_int(of, v[e->arg[0]]));
    case VJ_X_CAST:
        return cast(e, of, leaning(r, e, v[e->arg[0]]));
    case VJ_X_BITCAST:
        return same_bits(of, e->dtype, v[e->arg[0]]);
    case VJ_X_SELECT:
        return v[e->arg[0]] != 0 ? v[e->arg[1]] : v[e->arg[2]];
    default:
        break;
    }
    return vj_xop_args(e->op) == 1 ? unary(e, of, leaning(r, e, v[e->arg[0]]))
                                   : binary(e, of, v[e->arg[0]], v[e->arg[1]]);
}

/* The entries that the root needs, in order. */
vj_expr_plan vj_plan_expr(vj_arena *arena, const vj_kernel *k, int32_t root) {
    bool *needed = VJ_NEW_ARRAY(arena, bool, root + 1);
    vj_expr_plan plan = {.root = root, .entry = VJ_NEW_ARRAY(arena, int32_t, root + 1)};
    vj_mark_needed(k, root, needed);
    for (int32_t at = 0; at <= root; at++)
        if (needed[at]) plan.entry[plan.count++] = at;
    return plan;
}

double vj_eval_expr(vj_kernel_run *r, const vj_expr_plan *plan) {
    for (int32_t i = 0; i < plan->count; i++)
        r->value[plan->entry[i]] = entry(r, &r->k->expr[plan->entry[i]]);
    return r->value[plan->root];
}
