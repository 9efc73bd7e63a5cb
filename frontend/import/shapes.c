/* SPDX-License-Identifier: Apache-2.0 */
/* shapes.c - solves shape sub-graphs while importing.
 *
 * Exporters compute reshape targets with a dozen nodes that start at Shape. Here the elements of small integer values
 * are computed as a * N + b, where N is the open batch or a size that the data decides. So every target is known when
 * the node that reads it is built, and nothing of such a sub-graph reaches the IR. Floats are computed when they have
 * few elements and no N (a scale of 1 / sqrt(dim)); each result is rounded to its type. The builders get whatever is
 * not exact or not the same for every N >= 1.
 */
#include "import.h"

#include <math.h>
#include <string.h>

enum { OPERANDS = 64 };

typedef struct solver {
    vj_importer *im;
    const vj_known *in[OPERANDS];
    int32_t count;
    vj_known *out;
} solver;

static vj_affine integer(int64_t b) { return (vj_affine){.b = b}; }

static bool small(int32_t rank, const int64_t *dims) {
    int64_t count = 1;
    for (int32_t i = 0; i < rank; i++)
        if (dims[i] < 0 || !vj_mul(count, dims[i], &count) || count > VJ_KNOWN_LIMIT) return false;
    return rank <= VJ_MAX_RANK;
}

static bool make(solver *s, vj_dtype dtype, int32_t rank, const int64_t *dims) {
    if (!small(rank, dims)) return false;
    s->out = vj_known_new(s->im, dtype, rank, dims);
    return true;
}

/* Element arithmetic. Functions return false when the result is not exact or depends on N. */

static bool fits(vj_importer *im, vj_dtype dtype, const vj_affine *x) {
    int64_t least, most;
    if (dtype != VJ_I32 || (x->a && !x->data)) return true;
    return vj_affine_range(im, *x, &least, &most) && least >= INT32_MIN && most <= INT32_MAX;
}

static bool on_floats(vj_affine_op op, double x, double y, vj_affine *z) {
    switch (op) {
    case VJ_AFFINE_ADD:
        z->f = x + y;
        return true;
    case VJ_AFFINE_SUB:
        z->f = x - y;
        return true;
    case VJ_AFFINE_MUL:
        z->f = x * y;
        return true;
    case VJ_AFFINE_DIV:
        z->f = x / y;
        return true;
    case VJ_AFFINE_EQ:
        z->b = x == y;
        return true;
    case VJ_AFFINE_LT:
        z->b = x < y;
        return true;
    case VJ_AFFINE_LE:
        z->b = x <= y;
        return true;
    case VJ_AFFINE_GT:
        z->b = x > y;
        return true;
    case VJ_AFFINE_GE:
        z->b = x >= y;
        return true;
    default:
        return false;
    }
}

/* Rounds a float32 result that was computed in double. For + - * / and sqrt the second rounding does no harm, as double
 * has more than 2 * 24 + 2 bits. */
static double rounded(vj_dtype dtype, double x) { return dtype == VJ_F32 ? (double)(float)x : x; }

/* Broadcasting */

static bool broadcast_dims(const vj_known *a, const vj_known *b, int32_t *rank, int64_t *dims) {
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int32_t i = 0; i < *rank; i++) {
        int32_t at_a = i - (*rank - a->rank), at_b = i - (*rank - b->rank);
        int64_t da = at_a < 0 ? 1 : a->dims[at_a], db = at_b < 0 ? 1 : b->dims[at_b];
        if (da != db && da != 1 && db != 1) return false;
        dims[i] = da == 1 ? db : da;
    }
    return true;
}

/* The element of k that is broadcast to element i of a tensor of these dims. */
static const vj_affine *element(const vj_known *k, int32_t rank, const int64_t *dims, int64_t i) {
    int64_t at = 0, stride = 1;
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        int32_t own = axis - (rank - k->rank);
        int64_t index = i % dims[axis];
        i /= dims[axis];
        if (own < 0) continue;
        if (k->dims[own] != 1) at += index * stride;
        stride *= k->dims[own];
    }
    return &k->at[at];
}

static bool solve_binary(solver *s, vj_affine_op op) {
    if (s->count != 2 || s->in[0]->dtype != s->in[1]->dtype) return false;
    if (op == VJ_AFFINE_MOD && vj_int_attribute(s->im, "fmod", 0)) return false;
    vj_dtype dtype = s->in[0]->dtype;
    bool is_float = vj_dtype_is_float(dtype), logic = op >= VJ_AFFINE_EQ;
    int32_t rank;
    int64_t dims[VJ_MAX_RANK];
    if (!broadcast_dims(s->in[0], s->in[1], &rank, dims)) return false;
    if (!make(s, logic ? VJ_BOOL : dtype, rank, dims)) return false;
    for (int64_t i = 0; i < s->out->count; i++) {
        const vj_affine *x = element(s->in[0], rank, dims, i), *y = element(s->in[1], rank, dims, i);
        vj_affine *z = &s->out->at[i];
        if (is_float ? !on_floats(op, x->f, y->f, z) : !vj_affine_combine(s->im, op, *x, *y, z)) return false;
        if (is_float)
            z->f = rounded(dtype, z->f);
        else if (!logic && !fits(s->im, dtype, z))
            return false;
    }
    return true;
}

static bool solve_add(solver *s) { return solve_binary(s, VJ_AFFINE_ADD); }
static bool solve_sub(solver *s) { return solve_binary(s, VJ_AFFINE_SUB); }
static bool solve_mul(solver *s) { return solve_binary(s, VJ_AFFINE_MUL); }
static bool solve_div(solver *s) { return solve_binary(s, VJ_AFFINE_DIV); }
static bool solve_mod(solver *s) { return solve_binary(s, VJ_AFFINE_MOD); }
static bool solve_min(solver *s) { return solve_binary(s, VJ_AFFINE_MIN); }
static bool solve_max(solver *s) { return solve_binary(s, VJ_AFFINE_MAX); }
static bool solve_equal(solver *s) { return solve_binary(s, VJ_AFFINE_EQ); }
static bool solve_less(solver *s) { return solve_binary(s, VJ_AFFINE_LT); }
static bool solve_less_or_equal(solver *s) { return solve_binary(s, VJ_AFFINE_LE); }
static bool solve_greater(solver *s) { return solve_binary(s, VJ_AFFINE_GT); }
static bool solve_greater_or_equal(solver *s) { return solve_binary(s, VJ_AFFINE_GE); }
static bool solve_and(solver *s) { return solve_binary(s, VJ_AFFINE_AND); }
static bool solve_or(solver *s) { return solve_binary(s, VJ_AFFINE_OR); }

static bool solve_where(solver *s) {
    if (s->count != 3 || s->in[0]->dtype != VJ_BOOL || s->in[1]->dtype != s->in[2]->dtype) return false;
    vj_known both = {0};
    if (!broadcast_dims(s->in[1], s->in[2], &both.rank, both.dims)) return false;
    int32_t rank;
    int64_t dims[VJ_MAX_RANK];
    if (!broadcast_dims(s->in[0], &both, &rank, dims) || !make(s, s->in[1]->dtype, rank, dims)) return false;
    for (int64_t i = 0; i < s->out->count; i++)
        s->out->at[i] = *element(s->in[element(s->in[0], rank, dims, i)->b ? 1 : 2], rank, dims, i);
    return true;
}

/* One operand */

static bool copy_as(solver *s, int32_t rank, const int64_t *dims) {
    if (!make(s, s->in[0]->dtype, rank, dims) || s->out->count != s->in[0]->count) return false;
    memcpy(s->out->at, s->in[0]->at, (size_t)s->out->count * sizeof *s->out->at);
    return true;
}

static bool solve_identity(solver *s) { return s->count == 1 && copy_as(s, s->in[0]->rank, s->in[0]->dims); }

static bool cast_element(vj_importer *im, vj_dtype from, vj_dtype to, vj_affine x, vj_affine *y) {
    bool from_float = vj_dtype_is_float(from), to_float = vj_dtype_is_float(to);
    if (from_float && to_float) return y->f = rounded(to, x.f), true;
    if (to_float) return y->f = rounded(to, (double)x.b), x.a == 0;
    if (to == VJ_BOOL) return *y = integer(from_float ? x.f != 0 : x.b != 0), x.a == 0;
    if (!from_float) return *y = x, fits(im, to, y);
    if (!(fabs(x.f) < 0x1p31)) return false;
    *y = integer((int64_t)x.f);
    return true;
}

static bool solve_cast(solver *s) {
    if (s->count != 1) return false;
    vj_dtype to = vj_dtype_of_onnx((int32_t)vj_int_attribute(s->im, "to", 0));
    if (to != VJ_I64 && to != VJ_I32 && to != VJ_BOOL && to != VJ_F32 && to != VJ_F64) return false;
    if (!make(s, to, s->in[0]->rank, s->in[0]->dims)) return false;
    for (int64_t i = 0; i < s->out->count; i++)
        if (!cast_element(s->im, s->in[0]->dtype, to, s->in[0]->at[i], &s->out->at[i])) return false;
    return true;
}

static bool map(solver *s, double (*f)(double), bool integers_stay) {
    if (s->count != 1) return false;
    bool is_float = vj_dtype_is_float(s->in[0]->dtype);
    if (!is_float && !integers_stay) return false;
    if (!solve_identity(s)) return false;
    for (int64_t i = 0; is_float && i < s->out->count; i++)
        s->out->at[i].f = rounded(s->out->dtype, f(s->out->at[i].f));
    return true;
}
static bool solve_sqrt(solver *s) { return map(s, sqrt, false); }
static bool solve_floor(solver *s) { return map(s, floor, true); }
static bool solve_ceil(solver *s) { return map(s, ceil, true); }

static bool solve_neg(solver *s) {
    if (!solve_identity(s)) return false;
    for (int64_t i = 0; i < s->out->count; i++) {
        vj_affine *x = &s->out->at[i];
        if (__builtin_sub_overflow(0, x->a, &x->a) || __builtin_sub_overflow(0, x->b, &x->b)) return false;
        x->f = -x->f;
    }
    return true;
}

static bool solve_not(solver *s) {
    if (s->count != 1 || s->in[0]->dtype != VJ_BOOL || !solve_identity(s)) return false;
    for (int64_t i = 0; i < s->out->count; i++)
        s->out->at[i].b ^= 1;
    return true;
}

static bool solve_reduce_prod(solver *s) {
    if (s->count != 1 || s->in[0]->rank != 1 || vj_dtype_is_float(s->in[0]->dtype)) return false;
    if (!make(s, s->in[0]->dtype, vj_int_attribute(s->im, "keepdims", 1) ? 1 : 0, (int64_t[]){1})) return false;
    vj_affine product = integer(1);
    for (int64_t i = 0; i < s->in[0]->count; i++) {
        vj_affine next;
        if (!vj_affine_combine(s->im, VJ_AFFINE_MUL, product, s->in[0]->at[i], &next)) return false;
        product = next;
    }
    s->out->at[0] = product;
    return fits(s->im, s->out->dtype, &product);
}

/* Movement */

static bool constant_at(const solver *s, int32_t operand, int64_t i, int64_t *value) {
    const vj_known *k = s->in[operand];
    if (i >= k->count || k->at[i].a || vj_dtype_is_float(k->dtype)) return false;
    *value = k->at[i].b;
    return true;
}

static bool solve_squeeze(solver *s) {
    int32_t axes[VJ_MAX_RANK], count, rank = 0;
    const vj_known *x = s->in[0];
    int64_t dims[VJ_MAX_RANK];
    if (!vj_axes_of(s->im, 1, x->rank, axes, &count)) return false;
    for (int32_t i = 0, next = 0; i < x->rank; i++) {
        bool named = count < 0 ? x->dims[i] == 1 : next < count && axes[next] == i;
        if (named && count >= 0) next++;
        if (!named)
            dims[rank++] = x->dims[i];
        else if (x->dims[i] != 1)
            return false;
    }
    return copy_as(s, rank, dims);
}

static bool solve_unsqueeze(solver *s) {
    const vj_known *x = s->in[0];
    int32_t axes[VJ_MAX_RANK], count, added = 0;
    if (s->count > 1)
        added = (int32_t)s->in[1]->count;
    else
        vj_ints_attribute(s->im, "axes", &added);
    if (x->rank + added > VJ_MAX_RANK || !vj_axes_of(s->im, 1, x->rank + added, axes, &count)) return false;
    int64_t dims[VJ_MAX_RANK];
    for (int32_t i = 0, next = 0, own = 0; i < x->rank + added; i++)
        dims[i] = next < count && axes[next] == i ? (next++, 1) : x->dims[own++];
    return copy_as(s, x->rank + added, dims);
}

static bool solve_reshape(solver *s) {
    if (s->count != 2 || s->in[1]->rank != 1 || s->in[1]->count > VJ_MAX_RANK) return false;
    const vj_known *x = s->in[0];
    int64_t dims[VJ_MAX_RANK], rest = 1;
    int32_t open = -1, rank = (int32_t)s->in[1]->count;
    for (int32_t i = 0; i < rank; i++) {
        if (!constant_at(s, 1, i, &dims[i])) return false;
        if (dims[i] == 0 && i < x->rank && !vj_int_attribute(s->im, "allowzero", 0)) dims[i] = x->dims[i];
        if (dims[i] == -1 && open < 0)
            open = i;
        else if (dims[i] <= 0 || !vj_mul(rest, dims[i], &rest))
            return false;
    }
    if (open >= 0) dims[open] = x->count / rest;
    return copy_as(s, rank, dims);
}

static bool solve_concat(solver *s) {
    if (s->count < 1) return false;
    int64_t count = 0;
    for (int32_t i = 0; i < s->count; i++) {
        if (s->in[i]->rank != 1 || s->in[i]->dtype != s->in[0]->dtype) return false;
        count += s->in[i]->count;
    }
    if (!make(s, s->in[0]->dtype, 1, &count)) return false;
    vj_affine *to = s->out->at;
    for (int32_t i = 0; i < s->count; i++) {
        memcpy(to, s->in[i]->at, (size_t)s->in[i]->count * sizeof *to);
        to += s->in[i]->count;
    }
    return true;
}

static bool solve_gather(solver *s) {
    if (s->count != 2 || s->in[0]->rank != 1 || vj_dtype_is_float(s->in[1]->dtype)) return false;
    int64_t axis = vj_int_attribute(s->im, "axis", 0);
    if ((axis != 0 && axis != -1) || !make(s, s->in[0]->dtype, s->in[1]->rank, s->in[1]->dims)) return false;
    for (int64_t i = 0; i < s->out->count; i++) {
        int64_t at;
        if (!constant_at(s, 1, i, &at)) return false;
        if (at < 0) at += s->in[0]->count;
        if (at < 0 || at >= s->in[0]->count) return vj_stop(s->im, VJ_BAD_INPUT, "an index is out of range");
        s->out->at[i] = s->in[0]->at[at];
    }
    return true;
}

static bool solve_slice(solver *s) {
    const vj_known *x = s->in[0];
    int64_t start, end, axis = 0, step = 1, n = x->count;
    if (s->count < 3 || x->rank != 1 || s->in[1]->count != 1 || s->in[2]->count != 1) return false;
    if (!constant_at(s, 1, 0, &start) || !constant_at(s, 2, 0, &end)) return false;
    if (s->count > 3 && !constant_at(s, 3, 0, &axis)) return false;
    if (s->count > 4 && !constant_at(s, 4, 0, &step)) return false;
    if ((axis != 0 && axis != -1) || step == 0 || step == INT64_MIN) return false;
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    if (start < 0) start = start < -n ? low : start + n;
    if (end < 0) end = end < -n ? low : end + n;
    start = vj_max64(low, vj_min64(start, high));
    end = vj_max64(low, vj_min64(end, high));
    int64_t span = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
    int64_t count = span > 0 ? (span - 1) / stride + 1 : 0;
    if (!make(s, x->dtype, 1, &count)) return false;
    for (int64_t i = 0; i < count; i++)
        s->out->at[i] = x->at[start + i * step];
    return true;
}

static bool target_dims(const solver *s, int32_t operand, int32_t *rank, int64_t *dims) {
    const vj_known *k = s->in[operand];
    if (k->rank != 1 || k->count > VJ_MAX_RANK) return false;
    *rank = (int32_t)k->count;
    for (int32_t i = 0; i < *rank; i++)
        if (!constant_at(s, operand, i, &dims[i]) || dims[i] < 0) return false;
    return true;
}

static bool solve_expand(solver *s) {
    vj_known target = {0};
    if (s->count != 2 || !target_dims(s, 1, &target.rank, target.dims)) return false;
    int32_t rank;
    int64_t dims[VJ_MAX_RANK];
    if (!broadcast_dims(s->in[0], &target, &rank, dims) || !make(s, s->in[0]->dtype, rank, dims)) return false;
    for (int64_t i = 0; i < s->out->count; i++)
        s->out->at[i] = *element(s->in[0], rank, dims, i);
    return true;
}

static bool solve_range(solver *s) {
    int64_t start, limit, delta;
    if (s->count != 3 || s->in[0]->dtype != s->in[1]->dtype || s->in[0]->dtype != s->in[2]->dtype) return false;
    if (s->in[0]->count != 1 || s->in[1]->count != 1 || s->in[2]->count != 1) return false;
    if (!constant_at(s, 0, 0, &start) || !constant_at(s, 1, 0, &limit) || !constant_at(s, 2, 0, &delta)) return false;
    int64_t span;
    if (delta == 0 || delta == INT64_MIN || __builtin_sub_overflow(limit, start, &span) || span == INT64_MIN)
        return false;
    int64_t step = delta > 0 ? delta : -delta;
    if (delta < 0) span = -span;
    int64_t count = span > 0 ? (span - 1) / step + 1 : 0;
    if (!make(s, s->in[0]->dtype, 1, &count)) return false;
    for (int64_t i = 0; i < count; i++)
        s->out->at[i] = integer(start + i * delta);
    return true;
}

/* Ops that need only the operand's type. */

static bool solve_shape(vj_importer *im) {
    const vj_known *k = vj_known_operand(im, 0);
    int32_t rank = 0;
    vj_dim dims[VJ_MAX_RANK];
    if (k) { /* a value that depends on the batch has no IR value, but known elements */
        rank = k->rank;
        for (int32_t i = 0; i < rank; i++)
            dims[i] = vj_dim_const(k->dims[i]);
    } else {
        vj_value x = vj_operand_value(im, 0);
        if (!vj_going(im)) return true;
        rank = vj_type_at(im->f, x)->rank;
        memcpy(dims, vj_type_at(im->f, x)->dims, sizeof dims);
    }
    int64_t start = vj_int_attribute(im, "start", 0), end = vj_int_attribute(im, "end", rank);
    if (start < 0) start += rank;
    if (end < 0) end += rank;
    start = vj_max64(0, vj_min64(start, rank));
    end = vj_max64(start, vj_min64(end, rank));
    vj_known *out = vj_known_new(im, VJ_I64, 1, (int64_t[]){end - start});
    for (int64_t i = start; i < end; i++) {
        out->at[i - start] = vj_affine_of_dim(im, dims[i]);
    }
    vj_bind_known(im, 0, out);
    return true;
}

static const struct {
    const char *op;
    bool (*solve)(solver *s);
} solvers[] = {
    {"Add", solve_add},
    {"Sub", solve_sub},
    {"Mul", solve_mul},
    {"Div", solve_div},
    {"Mod", solve_mod},
    {"Min", solve_min},
    {"Max", solve_max},
    {"Equal", solve_equal},
    {"Less", solve_less},
    {"LessOrEqual", solve_less_or_equal},
    {"Greater", solve_greater},
    {"GreaterOrEqual", solve_greater_or_equal},
    {"And", solve_and},
    {"Or", solve_or},
    {"Where", solve_where},
    {"Identity", solve_identity},
    {"Cast", solve_cast},
    {"Sqrt", solve_sqrt},
    {"Floor", solve_floor},
    {"Ceil", solve_ceil},
    {"Neg", solve_neg},
    {"Not", solve_not},
    {"ReduceProd", solve_reduce_prod},
    {"Squeeze", solve_squeeze},
    {"Unsqueeze", solve_unsqueeze},
    {"Reshape", solve_reshape},
    {"Concat", solve_concat},
    {"Gather", solve_gather},
    {"Slice", solve_slice},
    {"Expand", solve_expand},
    {"Range", solve_range},
};

bool vj_solve(vj_importer *im) {
    const char *op = im->row->op;
    if (strcmp(op, "Shape") == 0) return solve_shape(im);
    solver s = {.im = im};
    for (size_t i = 0; i < sizeof solvers / sizeof solvers[0]; i++) {
        if (strcmp(op, solvers[i].op) != 0) continue;
        if (im->node->n_input > OPERANDS || im->node->n_input == 0) return false;
        for (size_t j = 0; j < im->node->n_input; j++) {
            s.in[j] = vj_known_operand(im, (int32_t)j);
            if (!s.in[j]) return false;
        }
        s.count = (int32_t)im->node->n_input;
        return solvers[i].solve(&s) ? vj_bind_known(im, 0, s.out), true : false;
    }
    return false;
}
