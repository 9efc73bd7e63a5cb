/* SPDX-License-Identifier: Apache-2.0 */
/* qkv_bytes.c - products of bytes over one x, each with its sums of columns, scale and bias behind it, become one: weights,
 * and what belongs to columns, side by side. */
#include "qkv.h"

#include <string.h>

enum { LONGEST_TAIL = 16, MOST_STEPS = 128 };

static bool is_tail(vj_op op) { return op == VJ_OP_add || op == VJ_OP_sub || op == VJ_OP_mul || op == VJ_OP_cast; }

static bool is_product_of_bytes(const vj_func *f, vj_value v) {
    const vj_node *node = vj_producer(f, v);
    return node->op == VJ_OP_matmul && vj_type_at(f, node->args[0])->dtype == VJ_U8 && vj_is_weight(f, node->args[1]) &&
           vj_type_at(f, node->args[1])->dtype == VJ_I8 && vj_type_at(f, node->args[1])->rank == 2;
}

/* The product stands on the left, as `quantised` makes it; a bias may stand there. */
static vj_value step_up(const vj_func *f, vj_value v) {
    const vj_node *node = vj_producer(f, v);
    if (!is_tail(node->op)) return VJ_NONE;
    const bool is_right = node->arg_count == 2 && vj_is_weight(f, node->args[0]);
    return node->args[is_right];
}

static bool keeps_rows(const vj_func *f, vj_value v, vj_value up) {
    const vj_type *a = vj_type_at(f, v), *b = vj_type_at(f, up);
    vj_type other = *b;
    other.dtype = a->dtype;
    return vj_type_equal(a, &other);
}

vj_value vj_bytes_behind(const vj_func *f, vj_value v) {
    for (int32_t steps = 0; v >= 0 && steps < LONGEST_TAIL; steps++) {
        if (is_product_of_bytes(f, v)) return v;
        const vj_value up = step_up(f, v);
        if (up < 0 || !keeps_rows(f, v, up)) return VJ_NONE;
        v = up;
    }
    return VJ_NONE;
}

/* What is merged, one for each product. A sum or difference that some have and others have not is one with 0 there, for which
 * VJ_NONE stands. */
typedef struct sides {
    vj_func *f;
    int32_t count;
    vj_dim columns[VJ_QKV];
    int32_t left; /* steps of the search */
} sides;

static vj_value joined(const sides *s, const vj_value *parts, int32_t axis) {
    const vj_attr along = vj_int(VJ_ATTR_AXIS, axis);
    return vj_make(s->f, VJ_OP_concat, parts, s->count, &along, 1, vj_producer(s->f, parts[0])->origin);
}

static vj_value first_of(const sides *s, const vj_value *values) {
    int32_t i = 0;
    while (i < s->count - 1 && values[i] < 0)
        i++;
    return values[i];
}

static bool are_one(const sides *s, const vj_value *values) {
    for (int32_t i = 0; i < s->count; i++)
        if (values[i] >= 0 && values[i] != first_of(s, values)) return false;
    return true;
}

/* Does it belong to all columns alike? */
static bool has_one_column(const vj_func *f, vj_value v) {
    const vj_type *type = vj_type_at(f, v);
    return type->rank == 0 || vj_dim_equal(vj_last_dim(type), vj_dim_const(1));
}

static vj_value zero_like(vj_func *f, vj_value v) {
    const vj_const zero = {.kind = VJ_CONST_SPLAT};
    const vj_type type = {.dtype = vj_type_at(f, v)->dtype};
    return vj_add_const(f, NULL, &type, &zero);
}

/* Constants for columns: numbers, or one a column. */
static vj_value constants(const sides *s, const vj_value *values) {
    vj_value rows[VJ_QKV];
    const vj_value first = first_of(s, values);
    for (int32_t i = 0; i < s->count; i++) {
        const int64_t code = vj_dim_code(s->columns[i]);
        const vj_attr dims = vj_ints(VJ_ATTR_DIMS, &code, 1);
        const vj_value v = values[i] < 0 ? zero_like(s->f, first) : values[i];
        const vj_type *type = vj_type_at(s->f, v);
        if (!vj_is_weight(s->f, v) || type->dtype != vj_type_at(s->f, first)->dtype) return VJ_NONE;
        if (type->rank > 1 || (type->rank == 1 && !vj_dim_equal(type->dims[0], s->columns[i]) && type->dims[0].c != 1))
            return VJ_NONE;
        rows[i] = vj_make(s->f, VJ_OP_broadcast, &v, 1, &dims, 1, NULL);
    }
    return joined(s, rows, 0);
}

static vj_value merged_product(const sides *s, const vj_value *values) {
    vj_value weights[VJ_QKV];
    for (int32_t i = 0; i < s->count; i++) {
        if (values[i] < 0 || !is_product_of_bytes(s->f, values[i]) ||
            vj_operand(s->f, values[i], 0) != vj_operand(s->f, values[0], 0))
            return VJ_NONE;
        weights[i] = vj_operand(s->f, values[i], 1);
    }
    const vj_value args[] = {vj_operand(s->f, values[0], 0), joined(s, weights, 1)};
    return vj_make(s->f, VJ_OP_matmul, args, 2, NULL, 0, vj_producer(s->f, values[0])->origin);
}

static vj_value merged(sides *s, const vj_value *values);

static bool is_sum(const vj_func *f, vj_value v) { return vj_op_of(f, v) == VJ_OP_add || vj_op_of(f, v) == VJ_OP_sub; }

/* How many sums follow each other. */
static int32_t sums_of(const vj_func *f, vj_value v) {
    int32_t count = 0;
    for (; v >= 0 && count < LONGEST_TAIL && is_sum(f, v); count++)
        v = step_up(f, v);
    return count;
}

static bool is_alike(const vj_node *a, const vj_node *b) {
    if (a->op != b->op || a->attr_count != b->attr_count) return false;
    for (int32_t i = 0; i < a->attr_count; i++)
        if (!vj_attr_equal(&a->attrs[i], &b->attrs[i])) return false;
    return true;
}

static vj_value node_of(const sides *s, const vj_node *as, const vj_value *args) {
    vj_error ignored = {0};
    return vj_add_node(s->f, as->op, args, as->arg_count, as->attrs, as->attr_count, as->origin, &ignored);
}

/* All are nodes as the first one: its operands are merged. */
static vj_value merged_nodes(sides *s, const vj_value *values) {
    const vj_node first = *vj_producer(s->f, values[0]);
    vj_value args[2], operands[VJ_QKV];
    for (int32_t a = 0; a < first.arg_count; a++) {
        for (int32_t i = 0; i < s->count; i++)
            operands[i] = vj_operand(s->f, values[i], a);
        if ((args[a] = merged(s, operands)) < 0) return VJ_NONE;
    }
    return node_of(s, &first, args);
}

/* Some have a sum: those with most of them in a row, of the op of the first such one. */
static vj_value merged_sums(sides *s, const vj_value *values) {
    vj_value x[VJ_QKV], other[VJ_QKV], args[2];
    int32_t longest = 0, as = 0;
    for (int32_t i = 0; i < s->count; i++) {
        if (sums_of(s->f, values[i]) <= longest) continue;
        longest = sums_of(s->f, values[i]);
        as = i;
    }
    const vj_node first = *vj_producer(s->f, values[as]);
    for (int32_t i = 0; i < s->count; i++) {
        const vj_value up = step_up(s->f, values[i]);
        const bool is_taken = sums_of(s->f, values[i]) == longest && vj_op_of(s->f, values[i]) == first.op &&
                              vj_operand(s->f, values[i], 0) == up;
        x[i] = is_taken ? up : values[i];
        other[i] = is_taken ? vj_operand(s->f, values[i], 1) : VJ_NONE;
    }
    if (vj_operand(s->f, values[as], 0) != x[as]) return VJ_NONE;
    args[0] = merged(s, x);
    args[1] = args[0] < 0 ? VJ_NONE : merged(s, other);
    return args[1] < 0 ? VJ_NONE : node_of(s, &first, args);
}

/* Products of whole numbers, one for each row, the same for all, by constants; some are 0. */
static vj_value merged_with_zeros(const sides *s, const vj_value *values) {
    vj_value rows = VJ_NONE, factors[VJ_QKV];
    const vj_node first = *vj_producer(s->f, first_of(s, values));
    if (first.op != VJ_OP_mul || vj_type_at(s->f, first.first_result)->dtype != VJ_I32) return VJ_NONE;
    for (int32_t i = 0; i < s->count; i++) {
        factors[i] = VJ_NONE;
        if (values[i] < 0) continue;
        if (vj_op_of(s->f, values[i]) != VJ_OP_mul || (rows >= 0 && vj_operand(s->f, values[i], 0) != rows))
            return VJ_NONE;
        rows = vj_operand(s->f, values[i], 0);
        factors[i] = vj_operand(s->f, values[i], 1);
        if (!vj_is_weight(s->f, factors[i])) return VJ_NONE;
    }
    const vj_value args[] = {rows, constants(s, factors)};
    return args[1] < 0 || !has_one_column(s->f, rows) ? VJ_NONE : node_of(s, &first, args);
}

/* The values side by side; may add nodes and give VJ_NONE. */
static vj_value merged(sides *s, const vj_value *values) {
    const vj_value first = first_of(s, values);
    bool all_alike = true, any_sum = false, any_zero = false;
    if (first < 0 || s->left-- <= 0) return VJ_NONE;
    for (int32_t i = 0; i < s->count; i++) {
        any_zero = any_zero || values[i] < 0;
        any_sum = any_sum || (values[i] >= 0 && is_sum(s->f, values[i]));
        all_alike = all_alike && values[i] >= 0 && is_alike(vj_producer(s->f, values[i]), vj_producer(s->f, first));
        all_alike = all_alike && sums_of(s->f, values[i]) == sums_of(s->f, first);
    }
    if (vj_is_weight(s->f, first))
        return are_one(s, values) && !any_zero && has_one_column(s->f, first) ? first : constants(s, values);
    if (any_zero) return merged_with_zeros(s, values);
    if (are_one(s, values) && has_one_column(s->f, first)) return first;
    if (all_alike && vj_op_of(s->f, first) == VJ_OP_matmul) return merged_product(s, values);
    if (!is_tail(vj_op_of(s->f, first)) && !any_sum) return VJ_NONE;
    return all_alike ? merged_nodes(s, values) : any_sum ? merged_sums(s, values) : VJ_NONE;
}

vj_value vj_side_by_side(vj_func *f, const vj_value *values, int32_t count) {
    sides s = {.f = f, .count = count, .left = MOST_STEPS};
    vj_type want = *vj_type_at(f, values[0]);
    want.dims[want.rank - 1] = vj_dim_const(0);
    for (int32_t i = 0; i < count; i++) {
        s.columns[i] = vj_last_dim(vj_type_at(f, values[i]));
        if (s.columns[i].sym != VJ_SYM_NONE) return VJ_NONE;
        want.dims[want.rank - 1].c += s.columns[i].c;
    }
    const vj_value v = merged(&s, values);
    return v >= 0 && vj_type_equal(vj_type_at(f, v), &want) ? v : VJ_NONE;
}
