/* SPDX-License-Identifier: Apache-2.0 */
/* canonicalise.c - one spelling for each thing: identities go, chains of movement ops merge, products with weights are
 * `linear`, equal nodes are one. The arithmetic is a table of rules; movement ops, whose attributes need computing, are
 * functions. */
#include "canonicalise.h"

#include <math.h>
#include <string.h>

static bool is_power_of_two(double x) {
    int exponent;
    return isfinite(x) && x != 0 && fabs(frexp(x, &exponent)) == 0.5 && exponent > -100 && exponent < 100;
}

static bool is_float(const vj_match *m) { return vj_dtype_is_float(vj_type_at(m->f, m->root)->dtype); }

/* The reciprocal of a power of two is exact. */
static bool by_power_of_two(vj_match *m) {
    double x;
    if (!is_float(m) || !vj_is_uniform(m->f, vj_captured(m, "c"), &x) || !is_power_of_two(x)) return false;
    m->number = 1 / x;
    return true;
}

static bool negated(vj_match *m) {
    double x;
    if (!is_float(m) || !vj_is_uniform(m->f, vj_captured(m, "c"), &x)) return false;
    m->number = -x;
    return true;
}

/* Two factors become one where the product is exact. */
static bool product_is_exact(vj_match *m) {
    double a, b;
    if (!is_float(m) || !vj_is_uniform(m->f, vj_captured(m, "a"), &a) || !vj_is_uniform(m->f, vj_captured(m, "b"), &b))
        return false;
    m->number = a * b;
    return (is_power_of_two(a) || is_power_of_two(b)) && isfinite(m->number) && fabs(m->number) > 1e-30;
}

static bool of_floats(vj_match *m) { return is_float(m); }

/* What is surely no negative number, minus zero and minus infinity among them, but for NaN: squares, sizes, exponentials, and their sums,
 * means, largest ones and positive multiples. */
static bool is_never_negative(const vj_func *f, vj_value v) {
    double number;
    for (int32_t steps = 0; steps < 16; steps++) {
        const vj_node *node = vj_producer(f, v);
        const vj_value a = node->arg_count > 0 ? node->args[0] : VJ_NONE,
                       b = node->arg_count > 1 ? node->args[1] : VJ_NONE;
        switch (node->op) {
        case VJ_OP_mul:
            if (a == b) return true;
            break;
        case VJ_OP_abs:
        case VJ_OP_exp:
        case VJ_OP_sigmoid:
            return true;
        case VJ_OP_add:
        case VJ_OP_div:
            break;
        case VJ_OP_reduce:
            if (strcmp(vj_attr_name(node, VJ_ATTR_KIND, "sum"), "min") == 0) return false;
            v = a;
            continue;
        case VJ_OP_reshape:
        case VJ_OP_transpose:
        case VJ_OP_broadcast:
        case VJ_OP_cast:
            v = a;
            continue;
        default:
            return false;
        }
        if (b < 0 || !vj_is_uniform(f, b, &number) || !(number > 0)) return false;
        v = a;
    }
    return false;
}

/* Of -0 and minus infinity the power is 0 and infinity, and the root is not. */
static bool has_root(vj_match *m) { return is_float(m) && is_never_negative(m->f, vj_captured(m, "x")); }

/* The bias of a linear is one row, and nobody else wants the sum without it. */
static bool is_bias(vj_match *m) {
    vj_value p = vj_captured(m, "p"), b = vj_captured(m, "b");
    int64_t count;
    const vj_type *type = vj_type_at(m->f, b);
    if (type->rank == 0 || !vj_type_elements(m->f, type, &count) ||
        !vj_dim_equal(vj_last_dim(type), vj_last_dim(vj_type_at(m->f, p))) || count != vj_last_dim(type).c)
        return false;
    return vj_has_one_use(m->f, p) && (vj_set_attr(m, vj_ints(VJ_ATTR_DIMS, &type->dims[type->rank - 1].c, 1)), true);
}

/* A reduction that drops its axes, of which a reshape that puts them back is the only reader. */
static bool is_put_back(vj_match *m) {
    const vj_value s = vj_captured(m, "s");
    const vj_node *node = vj_producer(m->f, s);
    const vj_attr *axes = vj_attr_find(node, VJ_ATTR_AXES);
    if (!vj_has_one_use(m->f, s)) return false;
    vj_set_attr(m, vj_ints(VJ_ATTR_AXES, axes->as.ints, axes->count));
    vj_set_attr(m, vj_name(VJ_ATTR_KIND, vj_attr_name(node, VJ_ATTR_KIND, "")));
    return true;
}

/* Two transposes that do the same, of values of the same type, which no one else reads both of. */
static bool are_moved_alike(vj_match *m) {
    const vj_value a = vj_captured(m, "a"), b = vj_captured(m, "b");
    const vj_attr *p = vj_attr_find(vj_producer(m->f, a), VJ_ATTR_PERM);
    const vj_attr *q = vj_attr_find(vj_producer(m->f, b), VJ_ATTR_PERM);
    if (!vj_type_equal(vj_type_at(m->f, a), vj_type_at(m->f, b)) || vj_is_weight(m->f, a) || vj_is_weight(m->f, b) ||
        (!vj_has_one_use(m->f, a) && !vj_has_one_use(m->f, b)))
        return false;
    for (int32_t i = 0; i < p->count; i++)
        if (p->as.ints[i] != q->as.ints[i]) return false;
    vj_set_attr(m, vj_ints(VJ_ATTR_PERM, p->as.ints, p->count));
    return true;
}

static bool is_bias_of_biased(vj_match *m) { return vj_type_at(m->f, vj_captured(m, "c"))->rank == 1 && is_bias(m); }

static const vj_rule rules[] = {
    {"add_zero", "add(x, 0)", "x", NULL},
    {"subtract_zero", "sub(x, 0)", "x", NULL},
    {"multiply_by_one", "mul(x, 1)", "x", NULL},
    {"divide_by_one", "div(x, 1)", "x", NULL},
    {"power_of_one", "pow(x, 1)", "x", NULL},
    {"square", "pow(x, 2)", "mul(x, x)", of_floats},
    {"root", "pow(x, 0.5)", "sqrt(x)", has_root},
    {"negate_twice", "neg(neg(x))", "x", NULL},
    {"not_twice", "not(not(x))", "x", NULL},
    {"and_true", "and(x, 1)", "x", NULL},
    {"and_true_everywhere", "and(broadcast(1), x)", "broadcast(x){dims=back}", NULL},
    {"select_of_numbers", "select(broadcast(m), a:uniform, b:uniform)", "broadcast(select(m, a, b)){dims=back}", NULL},
    {"select_always", "select(1, x, y)", "x", NULL},
    {"select_never", "select(0, x, y)", "y", NULL},
    {"abs_twice", "abs(abs(x))", "abs(x)", NULL},
    {"relu_twice", "relu(relu(x))", "relu(x)", NULL},
    {"relu", "max(x, 0)", "relu(x)", of_floats},
    {"reciprocal_twice", "reciprocal(reciprocal(x))", "x", NULL},
    {"reciprocal", "div(1, x)", "reciprocal(x)", of_floats},
    {"multiply_by_reciprocal", "mul(x, reciprocal(y))", "div(x, y)", of_floats},
    {"divide_by_power_of_two", "div(x, c:uniform)", "mul(x, #)", by_power_of_two},
    {"subtract_number", "sub(x, c:uniform)", "add(x, #)", negated},
    {"add_negated", "add(x, neg(y))", "sub(x, y)", of_floats},
    {"subtract_negated", "sub(x, neg(y))", "add(x, y)", of_floats},
    {"merge_factors", "mul(mul(x, a:uniform), b:uniform)", "mul(x, #)", product_is_exact},
    {"product_with_weight", "matmul(x, w:weight)", "linear(x, w)", of_floats},
    {"bias", "add(p=linear(x, w), b:weight)", "linear(x, w, reshape(b){dims=$})", is_bias},
    {"second_bias", "add(p=linear(x, w, c:weight), b:weight)", "linear(x, w, add(c, reshape(b){dims=$}))",
     is_bias_of_biased},
    {"sum_of_transposes", "add(a=transpose(x), b=transpose(y))", "transpose(add(x, y)){perm=$}", are_moved_alike},
    {"axes_put_back", "reshape(s=reduce(x){keep=0})", "reduce(x){kind=$, axes=$, keep=1}", is_put_back},
};

/* How many of the last dims of a reshape the columns of its operand became; 0: they are not dims of their own. */
static int32_t dims_of_columns(const vj_type *type, int64_t columns) {
    int64_t product = 1;
    for (int32_t i = 1; i <= type->rank; i++) {
        const vj_dim dim = type->dims[type->rank - i];
        if (dim.sym != VJ_SYM_NONE || !vj_mul(product, dim.c, &product)) return 0;
        if (product >= columns) return product == columns ? i : 0;
    }
    return 0;
}

/* A bias a head and channel, behind the reshape that cuts the columns of a linear into heads, is one a column. */
static vj_value bias_behind_reshape(vj_func *f, const vj_node *node) {
    for (int32_t i = 0; i < 2; i++) {
        const vj_value r = node->args[i], b = node->args[1 - i],
                       p = vj_op_of(f, r) == VJ_OP_reshape ? vj_operand(f, r, 0) : VJ_NONE;
        if (vj_op_of(f, p) != VJ_OP_linear || vj_operand(f, p, 2) >= 0 || !vj_is_weight(f, b) ||
            !vj_has_one_use(f, r) || !vj_has_one_use(f, p))
            continue;
        const vj_type type = *vj_type_at(f, node->first_result), *bias = vj_type_at(f, b);
        const vj_dim columns = vj_last_dim(vj_type_at(f, p));
        const int32_t count = dims_of_columns(&type, columns.c);
        int64_t elements;
        bool fits = count > 0 && bias->rank >= count && vj_type_elements(f, bias, &elements) && elements == columns.c &&
                    vj_type_equal(vj_type_at(f, r), &type);
        for (int32_t k = 1; fits && k <= count; k++)
            fits = vj_dim_equal(bias->dims[bias->rank - k], type.dims[type.rank - k]);
        if (!fits) continue;
        const vj_value row = vj_make_reshape(f, b, 1, &columns, node->origin);
        const vj_value args[] = {vj_operand(f, p, 0), vj_operand(f, p, 1), row};
        return vj_make_reshape(f, vj_make(f, VJ_OP_linear, args, 3, NULL, 0, node->origin), type.rank, type.dims,
                               node->origin);
    }
    return VJ_NONE;
}

/* Movement ops */

static vj_value reshape_node(vj_func *f, const vj_node *node) {
    vj_value x = node->args[0];
    const vj_type *type = vj_type_at(f, node->first_result);
    if (vj_type_equal(vj_type_at(f, x), type)) return x;
    if (vj_op_of(f, x) != VJ_OP_reshape) return VJ_NONE;
    vj_type target = *type;
    return vj_make_reshape(f, vj_operand(f, x, 0), target.rank, target.dims, node->origin);
}

/* A transpose that only moves dims of 1 is a reshape. */
static bool keeps_order(const vj_type *type, const int64_t *perm) {
    int64_t last = -1;
    for (int32_t i = 0; i < type->rank; i++) {
        vj_dim dim = type->dims[perm[i]];
        if (dim.c == 1 && dim.sym == VJ_SYM_NONE) continue;
        if (perm[i] < last) return false;
        last = perm[i];
    }
    return true;
}

static vj_value transpose_node(vj_func *f, const vj_node *node) {
    vj_value x = node->args[0];
    vj_type type = *vj_type_at(f, node->first_result);
    const int64_t *perm = vj_attr_find(node, VJ_ATTR_PERM)->as.ints;
    bool is_identity = true;
    for (int32_t i = 0; i < type.rank; i++)
        is_identity = is_identity && perm[i] == i;
    if (is_identity) return x;
    if (keeps_order(vj_type_at(f, x), perm)) return vj_make_reshape(f, x, type.rank, type.dims, node->origin);
    if (vj_op_of(f, x) != VJ_OP_transpose) return VJ_NONE;
    const int64_t *inner = vj_attr_find(vj_producer(f, x), VJ_ATTR_PERM)->as.ints;
    int64_t merged[VJ_MAX_RANK];
    for (int32_t i = 0; i < type.rank; i++)
        merged[i] = inner[perm[i]];
    return vj_make_transpose(f, vj_operand(f, x, 0), merged, node->origin);
}

/* A slice that stays within one part of a concat is of that part. */
static vj_value slice_of_concat(vj_func *f, const vj_node *node) {
    const vj_node concat = *vj_producer(f, node->args[0]);
    const int32_t axis = (int32_t)vj_attr_int(&concat, VJ_ATTR_AXIS, 0), rank = vj_type_at(f, node->args[0])->rank;
    const int64_t *starts = vj_attr_find(node, VJ_ATTR_STARTS)->as.ints;
    const int64_t count = vj_attr_find(node, VJ_ATTR_SIZES)->as.ints[axis];
    const int64_t step = vj_attr_find(node, VJ_ATTR_STEPS)->as.ints[axis];
    if (count < 1) return VJ_NONE; /* none, or a multiple of the batch */
    const int64_t end = starts[axis] + (count - 1) * step;
    const int64_t low = step > 0 ? starts[axis] : end, high = step > 0 ? end : starts[axis];
    int64_t first = 0;
    for (int32_t i = 0; i < concat.arg_count; i++) {
        const vj_dim dim = vj_type_at(f, concat.args[i])->dims[axis];
        if (dim.sym != VJ_SYM_NONE) return VJ_NONE;
        if (low >= first && high < first + dim.c) {
            int64_t moved[VJ_MAX_RANK];
            for (int32_t d = 0; d < rank; d++)
                moved[d] = starts[d] - (d == axis ? first : 0);
            const vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, moved, rank), *vj_attr_find(node, VJ_ATTR_SIZES),
                                     *vj_attr_find(node, VJ_ATTR_STEPS)};
            return vj_make(f, VJ_OP_slice, &concat.args[i], 1, attrs, 3, node->origin);
        }
        first += dim.c;
    }
    return VJ_NONE;
}

static vj_value slice_node(vj_func *f, const vj_node *node) {
    vj_value x = node->args[0];
    if (vj_type_equal(vj_type_at(f, x), vj_type_at(f, node->first_result))) {
        const vj_attr *steps = vj_attr_find(node, VJ_ATTR_STEPS);
        for (int32_t i = 0; i < steps->count; i++)
            if (steps->as.ints[i] != 1 && vj_type_at(f, x)->dims[i].c != 1) return VJ_NONE;
        return x;
    }
    if (vj_op_of(f, x) == VJ_OP_concat) return slice_of_concat(f, node);
    if (vj_op_of(f, x) != VJ_OP_slice) return VJ_NONE;
    const vj_node *inner = vj_producer(f, x);
    int64_t starts[VJ_MAX_RANK], steps[VJ_MAX_RANK];
    int32_t rank = vj_type_at(f, x)->rank;
    for (int32_t i = 0; i < rank; i++) {
        int64_t step = vj_attr_find(inner, VJ_ATTR_STEPS)->as.ints[i];
        starts[i] =
            vj_attr_find(inner, VJ_ATTR_STARTS)->as.ints[i] + vj_attr_find(node, VJ_ATTR_STARTS)->as.ints[i] * step;
        steps[i] = vj_attr_find(node, VJ_ATTR_STEPS)->as.ints[i] * step;
    }
    vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, starts, rank),
                       vj_ints(VJ_ATTR_SIZES, vj_attr_find(node, VJ_ATTR_SIZES)->as.ints, rank),
                       vj_ints(VJ_ATTR_STEPS, steps, rank)};
    vj_value source = inner->args[0];
    return vj_make(f, VJ_OP_slice, &source, 1, attrs, 3, node->origin);
}

/* linear works on the last axis alone: a reshape of the others in front of it comes behind it. */
static vj_value linear_node(vj_func *f, const vj_node *node) {
    vj_value x = node->args[0];
    if (vj_op_of(f, x) != VJ_OP_reshape) return VJ_NONE;
    vj_value source = vj_operand(f, x, 0);
    const vj_type *from = vj_type_at(f, source);
    if (from->rank < 1 || !vj_dim_equal(vj_last_dim(from), vj_last_dim(vj_type_at(f, x)))) return VJ_NONE;
    vj_type type = *vj_type_at(f, node->first_result);
    vj_value args[3] = {source, node->args[1], node->arg_count > 2 ? node->args[2] : VJ_NONE};
    int32_t arg_count = node->arg_count;
    const vj_origin *origin = node->origin;
    vj_value y = vj_make(f, VJ_OP_linear, args, arg_count, NULL, 0, origin);
    return vj_make_reshape(f, y, type.rank, type.dims, origin);
}

static vj_value same_type(const vj_func *f, const vj_node *node) {
    return vj_type_equal(vj_type_at(f, node->args[0]), vj_type_at(f, node->first_result)) ? node->args[0] : VJ_NONE;
}

static vj_value canonical(vj_pass_context *c, int32_t n) {
    vj_node node = c->f->nodes[n];
    switch (node.op) {
    case VJ_OP_reshape:
        return reshape_node(c->f, &node);
    case VJ_OP_transpose:
        return transpose_node(c->f, &node);
    case VJ_OP_slice:
        return slice_node(c->f, &node);
    case VJ_OP_gather:
        return vj_slices_of_gather(c->f, &node);
    case VJ_OP_linear:
        return linear_node(c->f, &node);
    case VJ_OP_add:
        return bias_behind_reshape(c->f, &node);
    case VJ_OP_concat:
        return node.arg_count == 1 ? node.args[0] : vj_transpose_of_concat(c->f, &node);
    case VJ_OP_cast:
    case VJ_OP_broadcast:
    case VJ_OP_pad:
        return same_type(c->f, &node);
    default:
        return VJ_NONE;
    }
}

vj_status vj_pass_canonicalise(vj_pass_context *c) {
    do
        vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), canonical, "movement");
    while (vj_merge_equal_nodes(c) && c->rewrites_left != 0);
    return c->error->status;
}

vj_status vj_pass_tidy(vj_pass_context *c) {
    int64_t before;
    do {
        before = c->rewrites;
        if (vj_pass_fold(c) != VJ_OK || vj_pass_canonicalise(c) != VJ_OK) break;
    } while (c->rewrites != before && c->rewrites_left != 0);
    return c->error->status;
}
