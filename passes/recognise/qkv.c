/* SPDX-License-Identifier: Apache-2.0 */
/* qkv.c - the products that make query, key and value of one attention from the same x become one product, with the
 * weights side by side, and slices of it. */
#include "qkv.h"

#include <assert.h>

vj_value vj_source_of_head(const vj_func *f, vj_value v) {
    for (;;) {
        vj_op op = vj_op_of(f, v);
        if (op != VJ_OP_reshape && op != VJ_OP_transpose && op != VJ_OP_slice && op != VJ_OP_broadcast) return v;
        v = vj_operand(f, v, 0);
    }
}

static bool is_product_with_weight(const vj_func *f, vj_value v) {
    if (vj_op_of(f, v) != VJ_OP_linear || !vj_is_weight(f, vj_operand(f, v, 1))) return false;
    vj_value bias = vj_operand(f, v, 2);
    return bias < 0 || vj_is_weight(f, bias);
}

static vj_value bias_of(vj_func *f, vj_value linear) {
    vj_value bias = vj_operand(f, linear, 2);
    if (bias >= 0) return bias;
    const vj_type *w = vj_type_at(f, vj_operand(f, linear, 1));
    vj_type type = {.dtype = w->dtype, .rank = 1, .dims = {w->dims[1]}};
    vj_const zero = {.kind = VJ_CONST_SPLAT};
    return vj_add_const(f, NULL, &type, &zero);
}

/* `count` linears over one x as one. */
static vj_value merged(vj_func *f, const vj_value *linears, int32_t count) {
    vj_value weights[VJ_QKV], biases[VJ_QKV];
    bool any_bias = false;
    assert(count <= VJ_QKV);
    for (int32_t i = 0; i < count; i++)
        any_bias = any_bias || vj_operand(f, linears[i], 2) >= 0;
    for (int32_t i = 0; i < count; i++) {
        weights[i] = vj_operand(f, linears[i], 1);
        biases[i] = any_bias ? bias_of(f, linears[i]) : VJ_NONE;
    }
    vj_attr by_columns = vj_int(VJ_ATTR_AXIS, 1), by_elements = vj_int(VJ_ATTR_AXIS, 0);
    const vj_origin *origin = vj_producer(f, linears[0])->origin;
    vj_value args[3] = {vj_operand(f, linears[0], 0)};
    args[1] = vj_make(f, VJ_OP_concat, weights, count, &by_columns, 1, origin);
    if (any_bias) args[2] = vj_make(f, VJ_OP_concat, biases, count, &by_elements, 1, origin);
    return vj_make(f, VJ_OP_linear, args, any_bias ? 3 : 2, NULL, 0, origin);
}

/* The columns of `all` take the place of the values that stand side by side in it. */
static void cut(vj_func *f, const vj_value *values, int32_t count, vj_value all) {
    int64_t start = 0;
    for (int32_t i = 0; i < count; i++) {
        const vj_type *type = vj_type_at(f, values[i]);
        const int64_t width = vj_last_dim(type).c;
        const vj_value part = vj_make_slice(f, all, type->rank - 1, start, width, vj_producer(f, values[i])->origin);
        f->values[part].name = f->values[values[i]].name;
        vj_replace_uses(f, values[i], part);
        start += width;
    }
}

/* The x of a product that may be merged with others over it; VJ_NONE: v is none. */
static vj_value x_of(const vj_func *f, vj_value v) {
    if (is_product_with_weight(f, v)) return vj_operand(f, v, 0);
    const vj_value bytes = vj_bytes_behind(f, v);
    return bytes < 0 ? VJ_NONE : vj_operand(f, bytes, 0);
}

/* The distinct products that feed an attention; those over the x of the first of them that has a partner are merged. */
static bool merge_at(vj_pass_context *c, int32_t n) {
    vj_func *f = c->f;
    vj_value found[VJ_QKV], group[VJ_QKV];
    int32_t count = 0, size = 0;
    for (int32_t i = 0; i < VJ_QKV; i++) {
        vj_value v = vj_source_of_head(f, f->nodes[n].args[i]);
        bool is_new = x_of(f, v) >= 0;
        for (int32_t k = 0; k < count; k++)
            is_new = is_new && found[k] != v;
        if (is_new) found[count++] = v;
    }
    for (int32_t first = 0; first < count && size < 2; first++) {
        size = 0;
        for (int32_t k = first; k < count; k++)
            if (x_of(f, found[k]) == x_of(f, found[first])) group[size++] = found[k];
    }
    if (size < 2) return false;
    const bool of_floats = vj_op_of(f, group[0]) == VJ_OP_linear;
    const vj_value all = of_floats ? VJ_NONE : vj_side_by_side(f, group, size);
    if ((!of_floats && all < 0) || !vj_may_rewrite(c, "one_product", &f->nodes[n])) return false;
    cut(f, group, size, of_floats ? merged(f, group, size) : all);
    return true;
}

vj_status vj_pass_qkv(vj_pass_context *c) {
    int32_t end = c->f->node_count;
    for (int32_t n = 0; n < end; n++)
        if (c->f->nodes[n].op == VJ_OP_attention) merge_at(c, n);
    vj_compact(c->f);
    return c->error->status;
}
