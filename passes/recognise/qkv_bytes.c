/* qkv_bytes.c - products of bytes over one x, each with its sums of columns, scale and bias behind it, become one: weights,
 * and what belongs to columns, side by side. */
#include "qkv.h"

#include <string.h>

enum { LONGEST_TAIL = 16 };

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

typedef struct sides {
    vj_func *f;
    int32_t count;
    vj_dim columns[VJ_QKV];
} sides;

static vj_value joined(const sides *s, const vj_value *parts, int32_t axis) {
    const vj_attr along = vj_int(VJ_ATTR_AXIS, axis);
    return vj_make(s->f, VJ_OP_concat, parts, s->count, &along, 1, vj_producer(s->f, parts[0])->origin);
}

static bool are_one(const sides *s, const vj_value *values) {
    for (int32_t i = 1; i < s->count; i++)
        if (values[i] != values[0]) return false;
    return true;
}

/* Does it belong to all columns alike? */
static bool has_one_column(const vj_func *f, vj_value v) {
    const vj_type *type = vj_type_at(f, v);
    return type->rank == 0 || vj_dim_equal(vj_last_dim(type), vj_dim_const(1));
}

/* Constants for columns: numbers, or one a column. */
static vj_value constants(const sides *s, const vj_value *values) {
    vj_value rows[VJ_QKV];
    for (int32_t i = 0; i < s->count; i++) {
        const int64_t code = vj_dim_code(s->columns[i]);
        const vj_attr dims = vj_ints(VJ_ATTR_DIMS, &code, 1);
        const vj_type *type = vj_type_at(s->f, values[i]);
        if (!vj_is_weight(s->f, values[i]) && !vj_is_const(s->f, values[i])) return VJ_NONE;
        if (type->rank > 1 || (type->rank == 1 && !vj_dim_equal(type->dims[0], s->columns[i]) && type->dims[0].c != 1))
            return VJ_NONE;
        rows[i] = vj_make(s->f, VJ_OP_broadcast, &values[i], 1, &dims, 1, NULL);
    }
    return joined(s, rows, 0);
}

static vj_value merged(const sides *s, const vj_value *values, int32_t steps);

/* One operand of nodes that are alike. */
static vj_value merged_operand(const sides *s, const vj_value *values, int32_t operand, int32_t steps) {
    vj_value args[VJ_QKV];
    for (int32_t i = 0; i < s->count; i++)
        args[i] = vj_operand(s->f, values[i], operand);
    return merged(s, args, steps - 1);
}

static bool are_alike(const sides *s, const vj_value *values) {
    const vj_node *first = vj_producer(s->f, values[0]);
    for (int32_t i = 1; i < s->count; i++) {
        const vj_node *node = vj_producer(s->f, values[i]);
        if (node->op != first->op || node->attr_count != first->attr_count) return false;
        for (int32_t a = 0; a < node->attr_count; a++)
            if (!vj_attr_equal(&node->attrs[a], &first->attrs[a])) return false;
    }
    return true;
}

static vj_value merged_product(const sides *s, const vj_value *values) {
    vj_value weights[VJ_QKV];
    for (int32_t i = 0; i < s->count; i++) {
        if (!is_product_of_bytes(s->f, values[i]) || vj_operand(s->f, values[i], 0) != vj_operand(s->f, values[0], 0))
            return VJ_NONE;
        weights[i] = vj_operand(s->f, values[i], 1);
    }
    const vj_value args[] = {vj_operand(s->f, values[0], 0), joined(s, weights, 1)};
    return vj_make(s->f, VJ_OP_matmul, args, 2, NULL, 0, vj_producer(s->f, values[0])->origin);
}

/* The values side by side; may add nodes and give VJ_NONE. */
static vj_value merged(const sides *s, const vj_value *values, int32_t steps) {
    if (are_one(s, values) && has_one_column(s->f, values[0])) return values[0];
    if (vj_is_const(s->f, values[0]) || vj_is_weight(s->f, values[0])) return constants(s, values);
    if (steps == 0 || !are_alike(s, values)) return VJ_NONE;
    const vj_node node = *vj_producer(s->f, values[0]);
    if (node.op == VJ_OP_matmul) return merged_product(s, values);
    vj_value args[2];
    if (!is_tail(node.op)) return VJ_NONE;
    for (int32_t i = 0; i < node.arg_count; i++)
        if ((args[i] = merged_operand(s, values, i, steps)) < 0) return VJ_NONE;
    vj_error ignored = {0};
    return vj_add_node(s->f, node.op, args, node.arg_count, node.attrs, node.attr_count, node.origin, &ignored);
}

vj_value vj_side_by_side(vj_func *f, const vj_value *values, int32_t count) {
    sides s = {.f = f, .count = count};
    vj_type want = *vj_type_at(f, values[0]);
    want.dims[want.rank - 1] = vj_dim_const(0);
    for (int32_t i = 0; i < count; i++) {
        s.columns[i] = vj_last_dim(vj_type_at(f, values[i]));
        if (s.columns[i].sym != VJ_SYM_NONE) return VJ_NONE;
        want.dims[want.rank - 1].c += s.columns[i].c;
    }
    const vj_value v = merged(&s, values, LONGEST_TAIL);
    return v >= 0 && vj_type_equal(vj_type_at(f, v), &want) ? v : VJ_NONE;
}
