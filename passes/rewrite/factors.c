/* SPDX-License-Identifier: Apache-2.0 */
/* factors.c - the weights of products: which are packed, and which the model stores in a half. */
#include "rewrite.h"

static bool is_static_weight(const vj_func *f, vj_value v) {
    return vj_is_weight(f, v) && vj_type_is_static(vj_type_at(f, v));
}

static bool is_one_matrix(const vj_type *type) {
    for (int32_t d = 0; d + 2 < type->rank; d++)
        if (type->dims[d].c != 1) return false;
    return true;
}

int32_t vj_packed_factor(const vj_func *f, const vj_node *product) {
    const vj_value *args = product->args;
    if (product->op == VJ_OP_conv)
        return vj_attr_int(product, VJ_ATTR_GROUPS, 1) == 1 && is_static_weight(f, args[1]) ? 1 : -1;
    if (product->op != VJ_OP_linear && product->op != VJ_OP_matmul) return -1;
    for (int32_t i = 1; i >= 0; i--)
        if (is_static_weight(f, args[i]) && is_one_matrix(vj_type_at(f, args[i]))) return i;
    return -1;
}

int64_t vj_product_depth(const vj_func *f, const vj_node *product) {
    const vj_type *a = vj_type_at(f, product->args[0]), *w = vj_type_at(f, product->args[1]);
    int64_t count;
    if (product->op != VJ_OP_conv) return a->rank ? vj_last_dim(a).c : 1;
    return vj_type_elements(f, w, &count) && w->dims[0].c > 0 ? count / w->dims[0].c : 0;
}

/* A part of a join, or the whole. */
static vj_dtype half_of_part(const vj_func *f, vj_value v) {
    for (;;) {
        const vj_node *node = vj_producer(f, v);
        if (vj_is_half(vj_type_at(f, v)->dtype)) return vj_type_at(f, v)->dtype;
        const bool is_moved = node->op == VJ_OP_cast || node->op == VJ_OP_reshape || node->op == VJ_OP_transpose ||
                              node->op == VJ_OP_slice;
        if (!is_moved) return VJ_NO_DTYPE;
        v = node->args[0];
    }
}

vj_dtype vj_stored_half(const vj_func *f, vj_value weight) {
    const vj_node *node = vj_producer(f, weight);
    if (!vj_is_weight(f, weight)) return VJ_NO_DTYPE;
    while (node->op == VJ_OP_reshape || node->op == VJ_OP_transpose)
        node = vj_producer(f, node->args[0]);
    if (node->op != VJ_OP_concat) return half_of_part(f, weight);
    const vj_dtype first = half_of_part(f, node->args[0]);
    for (int32_t i = 1; i < node->arg_count; i++)
        if (half_of_part(f, node->args[i]) != first) return VJ_NO_DTYPE;
    return first;
}

bool vj_has_groups(const vj_func *f, const vj_node *conv, int32_t group) {
    const vj_type *w = vj_type_at(f, conv->args[1]);
    const int64_t channels = w->dims[1].c;
    bool is_point = true;
    for (int32_t i = 2; i < w->rank; i++)
        is_point = is_point && w->dims[i].c == 1;
    if (channels < VJ_MANY_CHANNELS) return vj_is_patch_embedding(f, conv);
    return is_point || channels % group == 0;
}

bool vj_is_integer_product(const vj_func *f, const vj_node *node) {
    return (node->op == VJ_OP_matmul || node->op == VJ_OP_conv) && vj_type_at(f, node->args[0])->dtype == VJ_U8 &&
           vj_type_at(f, node->args[1])->dtype == VJ_I8;
}
