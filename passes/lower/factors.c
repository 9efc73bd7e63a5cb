/* SPDX-License-Identifier: Apache-2.0 */
/* factors.c - the factors of products in the types that kernels multiply.
 *
 * A kernel reads f32 or bf16, packed weights also in f16. Where both factors are read as they stand they have one type, and
 * so do the three of an attention. Other halves are cast to f32. A product of u8 with packed i8 is a kernel too; others of such
 * integers are sums of products, or, a convolution whose sums a float holds, one of floats. */
#include "lower.h"

/* A depthwise convolution is a nest, which computes in f32. */
static bool is_nest(const vj_func *f, const vj_node *node) {
    return node->op == VJ_OP_conv && vj_attr_int(node, VJ_ATTR_GROUPS, 1) > 1 &&
           vj_type_at(f, node->args[1])->dims[1].c == 1;
}

/* Panels of pairs need an A that walks the depth by pairs. */
static bool is_paired(const vj_func *f, const vj_node *node, int32_t packed) {
    return node->op != VJ_OP_conv || packed < 0 || vj_has_groups(f, node, vj_panel_group(VJ_BF16));
}

/* An attention of bf16 brings queries, keys and values to the stack in tiles as wide as its heads. */
#define MOST_HEAD_DIMS 1024

static bool fits_the_stack(const vj_func *f, const vj_node *node) {
    if (node->op != VJ_OP_attention) return true;
    for (int32_t i = 0; i < 3; i++) {
        const vj_type *type = vj_type_at(f, node->args[i]);
        if (type->dims[type->rank - 1].c > MOST_HEAD_DIMS) return false;
    }
    return true;
}

static bool all_are_bf16(const vj_func *f, const vj_node *node, int32_t factors, int32_t packed) {
    for (int32_t i = 0; i < factors; i++)
        if (i != packed && vj_dtype_at(f, node->args[i]) != VJ_BF16) return false;
    return true;
}

static void cast_factors_of(vj_func *f, int32_t n, int32_t factors) {
    const vj_node *node = &f->nodes[n];
    const bool nest = is_nest(f, node);
    const int32_t packed = nest ? -1 : vj_packed_factor(f, node);
    const bool narrow = all_are_bf16(f, node, factors, packed) && fits_the_stack(f, node);
    if (!nest && narrow && is_paired(f, node, packed)) return;
    for (int32_t i = 0; i < factors; i++) {
        const vj_value v = f->nodes[n].args[i];
        if (i == packed || !vj_is_half(vj_dtype_at(f, v))) continue;
        const vj_value wide = vj_make_cast(f, v, VJ_F32, f->nodes[n].origin);
        vj_set_operand(f, n, i, wide);
    }
}

bool vj_packs_integers(const vj_func *f, const vj_node *node) {
    if (!vj_is_integer_product(f, node) || vj_packed_factor(f, node) != 1) return false;
    if (vj_product_depth(f, node) > VJ_INTEGER_DEPTH) return false;
    return node->op != VJ_OP_conv || vj_has_groups(f, node, vj_panel_group(VJ_I8));
}

/* A convolution of few channels as one of floats, which is exact where no sum needs more than their 24 bits. */
static void make_conv_of_floats(vj_func *f, int32_t n) {
    const vj_node node = f->nodes[n];
    vj_value args[3] = {VJ_NONE, VJ_NONE, VJ_NONE};
    for (int32_t i = 0; i < 2; i++)
        args[i] = vj_make_cast(f, node.args[i], VJ_F32, node.origin);
    vj_value y = vj_make(f, VJ_OP_conv, args, 2, node.attrs, node.attr_count, node.origin);
    y = vj_make_cast(f, y, VJ_I32, node.origin);
    if (node.arg_count > 2 && node.args[2] >= 0) {
        vj_dim dims[VJ_MAX_RANK];
        const int32_t rank = vj_type_at(f, y)->rank;
        for (int32_t d = 0; d < rank; d++)
            dims[d] = vj_dim_const(d == 1 ? vj_type_at(f, y)->dims[1].c : 1);
        y = vj_make_binary(f, VJ_OP_add, y, vj_make_reshape(f, node.args[2], rank, dims, node.origin), node.origin);
    }
    vj_replace_uses(f, node.first_result, y);
    vj_kill(f, n);
}

static void choose_for_integers(vj_func *f, int32_t n) {
    const vj_node *node = &f->nodes[n];
    const bool floats_hold_it = vj_product_depth(f, node) <= (1 << 24) / (255 * 128);
    if (node->op == VJ_OP_conv && vj_packed_factor(f, node) == 1 && !vj_packs_integers(f, node) && floats_hold_it)
        make_conv_of_floats(f, n);
}

void vj_cast_factors(vj_pass_context *c) {
    const int32_t count = c->f->node_count;
    for (int32_t n = 0; n < count; n++) {
        const int32_t factors = vj_op_factors(c->f->nodes[n].op);
        if (factors == 0 || c->f->nodes[n].dead) continue;
        if (vj_is_integer_product(c->f, &c->f->nodes[n]))
            choose_for_integers(c->f, n);
        else
            cast_factors_of(c->f, n, factors);
    }
    vj_compact(c->f);
}
