/* SPDX-License-Identifier: Apache-2.0 */
/* weight.c - which values are weights: constants, and what is made of them by ops whose results can be read in blocks.
 * Each value has a note of it, made when the value is and kept true: a change goes on to the users as far as it changes
 * anything. */
#include "users.h"

/* Can elements of the result be read from elements of the operands, when these are weights? The table says of which op;
 * halves and i8 are moved and made by a cast (i8 of f32), not computed with; what a gather picks must be known. */
static bool is_readable_op(const vj_func *f, const vj_node *node) {
    const uint32_t flags = vj_op_table(node->op)->flags;
    const vj_dtype dtype = f->values[node->first_result].type.dtype;
    if (!(flags & VJ_FLAG_WEIGHT)) return false;
    if (dtype == VJ_F16 || dtype == VJ_BF16) {
        if (node->op != VJ_OP_cast && !(flags & VJ_FLAG_MOVEMENT)) return false;
    } else if (dtype == VJ_I8) {
        if (node->op == VJ_OP_cast ? vj_type_at(f, node->args[0])->dtype != VJ_F32 : !(flags & VJ_FLAG_MOVEMENT))
            return false;
    } else if (dtype != VJ_F32) {
        return false;
    }
    return node->op != VJ_OP_gather || vj_is_const(f, node->args[1]);
}

bool vj_makes_weight(const vj_func *f, const vj_node *node) {
    if (node->op == VJ_OP_const) return true;
    const vj_type *type = vj_type_at(f, node->first_result);
    if (!is_readable_op(f, node) || !vj_type_is_static(type)) return false;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (!vj_is_weight(f, node->args[i])) return false;
    return true;
}

/* True when it was not noted so. */
static bool note(vj_func *f, const vj_node *node) {
    if (node->result_count != 1) return false; /* of several results none is a weight */
    vj_value_info *result = &f->values[node->first_result];
    const bool is_weight = vj_makes_weight(f, node), is_new = result->is_weight != is_weight;
    result->is_weight = is_weight;
    result->changed = result->changed || is_new;
    return is_new;
}

/* With a stack of its own, as graphs can be deep. */
void vj_note_weights(vj_func *f, int32_t n) {
    if (!note(f, &f->nodes[n]) || f->values[f->nodes[n].first_result].first_use < 0) return;
    vj_arena *scratch = vj_arena_scratch(f->arena);
    int32_t *stack = NULL, depth = 0, capacity = 0;
    *VJ_PUSH(scratch, stack, depth, capacity) = n;
    while (depth > 0) {
        const vj_value v = f->nodes[stack[--depth]].first_result;
        for (int32_t u = f->values[v].first_use; u >= 0; u = f->uses[u].next)
            if (f->uses[u].operand >= 0 && note(f, &f->nodes[f->uses[u].user]))
                *VJ_PUSH(scratch, stack, depth, capacity) = f->uses[u].user;
    }
    vj_arena_free(scratch);
}

void vj_operand_changed(vj_func *f, int32_t n, vj_value from, vj_value to) {
    /* a gather asks for constants, not only for weights */
    if (vj_is_weight(f, from) != vj_is_weight(f, to) || f->nodes[n].op == VJ_OP_gather) vj_note_weights(f, n);
}

void vj_note_all_weights(vj_func *f) {
    for (int32_t n = 0; n < f->node_count; n++)
        note(f, &f->nodes[n]);
}
