/* evaluate_expr.c - the scalar expressions of kernels in double precision; integers are exact to 2^53 and wrap to
 * their width. */
#include "evaluate.h"

#include <math.h>

static bool is_float(const vj_expr *e) { return vj_dtype_is_float(e->dtype); }

static double int_divide(double a, double b) { return b == 0 ? 0 : trunc(a / b); }

/* The sign of the divisor. */
static double int_modulo(double a, double b) {
    if (b == 0) return 0;
    const double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double same_bits(vj_dtype from, vj_dtype to, double a) {
    uint8_t bits[8] = {0};
    int64_t exact = 0;
    vj_element_store(from, a, vj_dtype_is_float(from) ? 0 : (int64_t)a, bits);
    const double x = vj_element_of(to, bits, &exact);
    return vj_dtype_is_float(to) ? x : (double)exact;
}

static double unary(const vj_expr *e, const vj_expr *from, double a) {
    switch (e->op) {
    case VJ_X_NEG:
        return -a;
    case VJ_X_ABS:
        return fabs(a);
    case VJ_X_EXP:
        return exp(a);
    case VJ_X_LOG:
        return log(a);
    case VJ_X_SQRT:
        return sqrt(a);
    case VJ_X_RSQRT:
        return 1 / sqrt(a);
    case VJ_X_RECIPROCAL:
        return 1 / a;
    case VJ_X_ERF:
        return erf(a);
    case VJ_X_TANH:
        return tanh(a);
    case VJ_X_SIGMOID:
        return 1 / (1 + exp(-a));
    case VJ_X_GELU_ERF:
        return vj_gelu_erf(a);
    case VJ_X_GELU_TANH:
        return vj_gelu_tanh(a);
    case VJ_X_SIN:
        return sin(a);
    case VJ_X_COS:
        return cos(a);
    case VJ_X_TAN:
        return tan(a);
    case VJ_X_ASIN:
        return asin(a);
    case VJ_X_ACOS:
        return acos(a);
    case VJ_X_ATAN:
        return atan(a);
    case VJ_X_SINH:
        return sinh(a);
    case VJ_X_COSH:
        return cosh(a);
    case VJ_X_ASINH:
        return asinh(a);
    case VJ_X_ACOSH:
        return acosh(a);
    case VJ_X_ATANH:
        return atanh(a);
    case VJ_X_FLOOR:
        return floor(a);
    case VJ_X_CEIL:
        return ceil(a);
    case VJ_X_ROUND:
        return nearbyint(a); /* half to even: the default mode */
    case VJ_X_SIGN:
        return isnan(a) ? a : (a > 0) - (a < 0);
    case VJ_X_NOT:
        return e->dtype == VJ_BOOL ? a == 0 : (double)~(int64_t)a;
    case VJ_X_BITCAST:
        return same_bits(from->dtype, e->dtype, a);
    case VJ_X_CAST:
        return !is_float(e) && is_float(from) ? (double)vj_float_to_int(e->dtype, a) : a;
    default:
        return NAN;
    }
}

static double binary(const vj_expr *e, double a, double b) {
    const bool floats = is_float(e);
    switch (e->op) {
    case VJ_X_ADD:
        return a + b;
    case VJ_X_SUB:
        return a - b;
    case VJ_X_MUL:
        return a * b;
    case VJ_X_DIV:
        return floats ? a / b : int_divide(a, b);
    case VJ_X_POW:
        return floats ? pow(a, b) : trunc(pow(a, b));
    case VJ_X_MOD:
        return floats ? fmod(a, b) : int_modulo(a, b);
    case VJ_X_MIN:
        return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case VJ_X_MAX:
        return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case VJ_X_EQ:
        return a == b;
    case VJ_X_LT:
        return a < b;
    case VJ_X_LE:
        return a <= b;
    case VJ_X_AND:
        return (double)((int64_t)a & (int64_t)b);
    case VJ_X_OR:
        return (double)((int64_t)a | (int64_t)b);
    case VJ_X_XOR:
        return (double)((int64_t)a ^ (int64_t)b);
    case VJ_X_SHL:
        return b >= 0 && b < 64 ? (double)(uint64_t)((uint64_t)a << (int32_t)b) : 0;
    case VJ_X_SHR:
        return b >= 0 && b < 64 ? (double)((uint64_t)a >> (int32_t)b) : 0;
    default:
        return NAN;
    }
}

static double wrapped(vj_dtype dtype, double x) {
    if (vj_dtype_is_float(dtype) || !(fabs(x) < 0x1p63)) return x;
    return (double)vj_wrap(dtype, (int64_t)x);
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

static double entry(const vj_kernel_run *r, const vj_expr *e) {
    const int32_t args = vj_xop_args(e->op);
    const double *v = r->value;
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
    case VJ_X_SELECT:
        return v[e->arg[0]] != 0 ? v[e->arg[1]] : v[e->arg[2]];
    default:
        break;
    }
    return wrapped(e->dtype,
                   args == 1 ? unary(e, &r->k->expr[e->arg[0]], v[e->arg[0]]) : binary(e, v[e->arg[0]], v[e->arg[1]]));
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
