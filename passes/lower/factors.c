/* factors.c - the factors of products in the types that kernels multiply.
 *
 * A kernel reads f32 or bf16, packed weights also in f16. Where both factors are read as they stand they have one type, and
 * so do the three of an attention. Other halves are cast to f32. */
#include "lower.h"

/* A depthwise convolution is a nest, which computes in f32. */
static bool is_nest(const vj_func *f, const vj_node *node) {
    return node->op == VJ_OP_conv && vj_attr_int(node, VJ_ATTR_GROUPS, 1) > 1 &&
           vj_type_at(f, node->args[1])->dims[1].c == 1;
}

/* Panels of pairs need an A that walks the depth by pairs. */
static bool is_paired(const vj_func *f, const vj_node *node, int32_t packed) {
    return node->op != VJ_OP_conv || packed < 0 || vj_has_pairs(f, node);
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
        const vj_attr to = vj_name(VJ_ATTR_TO, vj_element_name(VJ_F32));
        if (i == packed || !vj_is_half(vj_dtype_at(f, v))) continue;
        const vj_value wide = vj_make(f, VJ_OP_cast, &v, 1, &to, 1, f->nodes[n].origin);
        vj_set_operand(f, n, i, wide);
    }
}

void vj_cast_factors(vj_pass_context *c) {
    const int32_t count = c->f->node_count;
    for (int32_t n = 0; n < count; n++) {
        const int32_t factors = vj_op_factors(c->f->nodes[n].op);
        if (factors > 0 && !c->f->nodes[n].dead) cast_factors_of(c->f, n, factors);
    }
    vj_compact(c->f);
}
