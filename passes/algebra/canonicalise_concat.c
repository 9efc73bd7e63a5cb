/* SPDX-License-Identifier: Apache-2.0 */
/* canonicalise_concat.c - parts that are transposed alike, or slices of what is, are joined as they were and transposed behind that: so the
 * transposes that tf2onnx puts around a roll of [N, H, W, C] meet. */
#include "canonicalise.h"

/* The transpose that v is, or is a slice of, where nobody else reads that slice; NULL. */
static const vj_node *transpose_behind(const vj_func *f, vj_value v) {
    const vj_node *node = vj_producer(f, v);
    if (node->op == VJ_OP_slice && vj_has_one_use(f, v)) node = vj_producer(f, node->args[0]);
    return node->op == VJ_OP_transpose ? node : NULL;
}

static bool is_same_perm(const vj_node *a, const vj_node *b) {
    const vj_attr *p = vj_attr_find(a, VJ_ATTR_PERM), *q = vj_attr_find(b, VJ_ATTR_PERM);
    for (int32_t i = 0; i < p->count; i++)
        if (p->as.ints[i] != q->as.ints[i]) return false;
    return true;
}

/* Is what reads v moved on, so that a transpose in front of it may meet another? */
static bool is_moved_on(const vj_func *f, vj_value v) {
    int32_t *users;
    const int32_t count = vj_users(f, v, f->arena, &users);
    if (vj_is_output(f, v)) return false;
    for (int32_t i = 0; i < count; i++)
        if (f->nodes[users[i]].op != VJ_OP_transpose && f->nodes[users[i]].op != VJ_OP_slice) return false;
    return count > 0;
}

/* A part as it is in front of its transpose. */
static vj_value before_transpose(vj_func *f, vj_value v, const int64_t *perm) {
    const vj_node node = *vj_producer(f, v);
    if (node.op == VJ_OP_transpose) return node.args[0];
    const vj_value source = vj_operand(f, node.args[0], 0);
    const int32_t rank = vj_type_at(f, source)->rank;
    const vj_attr_key keys[] = {VJ_ATTR_STARTS, VJ_ATTR_SIZES, VJ_ATTR_STEPS};
    int64_t moved[3][VJ_MAX_RANK];
    vj_attr attrs[3];
    for (int32_t k = 0; k < 3; k++) {
        for (int32_t i = 0; i < rank; i++)
            moved[k][perm[i]] = vj_attr_find(&node, keys[k])->as.ints[i];
        attrs[k] = vj_ints(keys[k], moved[k], rank);
    }
    return vj_make(f, VJ_OP_slice, &source, 1, attrs, 3, node.origin);
}

vj_value vj_transpose_of_concat(vj_func *f, const vj_node *node) {
    const vj_node *first = transpose_behind(f, node->args[0]);
    if (!first || !is_moved_on(f, node->first_result)) return VJ_NONE;
    for (int32_t i = 1; i < node->arg_count; i++) {
        const vj_node *other = transpose_behind(f, node->args[i]);
        if (!other || !is_same_perm(first, other)) return VJ_NONE;
    }
    const int64_t *perm = vj_attr_find(first, VJ_ATTR_PERM)->as.ints;
    vj_value *parts = VJ_NEW_ARRAY(f->arena, vj_value, node->arg_count);
    for (int32_t i = 0; i < node->arg_count; i++)
        parts[i] = before_transpose(f, node->args[i], perm);
    const vj_attr axis = vj_int(VJ_ATTR_AXIS, perm[vj_attr_int(node, VJ_ATTR_AXIS, 0)]);
    const vj_value joined = vj_make(f, VJ_OP_concat, parts, node->arg_count, &axis, 1, node->origin);
    return vj_make_transpose(f, joined, perm, node->origin);
}
