/* SPDX-License-Identifier: Apache-2.0 */
/* concat.c - an elementwise op on a concat and a constant becomes one on each part, so that each part's kernel
 * can take it in: class token and patches, plus the position embedding. */
#include "lower.h"

/* The operand that is a concat which nothing else uses, when the other is a constant; -1: none. What is a weight itself no kernel computes:
 * a joined weight in blocks is known by its product. `uses` has the first `count` values: one made since waits for the next round. */
static int32_t concat_operand(const vj_func *f, const int32_t *uses, int32_t count, const vj_node *node) {
    if (node->dead || node->arg_count != 2 || !(vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE)) return -1;
    if (vj_is_weight(f, node->first_result)) return -1;
    for (int32_t i = 0; i < 2; i++) {
        const vj_value whole = node->args[i], other = node->args[1 - i];
        if (vj_producer(f, whole)->op != VJ_OP_concat || whole >= count || uses[whole] != 1) continue;
        if (!vj_type_is_static(vj_type_at(f, other)) || !vj_is_weight(f, other)) continue;
        if (vj_type_at(f, node->first_result)->rank == vj_type_at(f, whole)->rank &&
            vj_image_elements(f, node->first_result) == vj_image_elements(f, whole))
            return i;
    }
    return -1;
}

/* What of the constant meets the part that begins at `start` of the axis. */
static vj_value part_of(vj_func *f, vj_value constant, int32_t from_end, int64_t start, int64_t size,
                        const vj_origin *origin) {
    const int32_t axis = vj_type_at(f, constant)->rank - from_end;
    if (axis < 0 || vj_type_at(f, constant)->dims[axis].c == 1) return constant;
    return vj_make_slice(f, constant, axis, start, size, origin);
}

static void spread(vj_pass_context *c, int32_t n, int32_t side) {
    vj_func *f = c->f;
    const vj_value whole = f->nodes[n].args[side], constant = f->nodes[n].args[1 - side];
    const vj_value result = f->nodes[n].first_result;
    const vj_op op = f->nodes[n].op;
    const vj_origin *origin = f->nodes[n].origin;
    const vj_node concat = *vj_producer(f, whole);
    const int32_t rank = vj_type_at(f, whole)->rank;
    int32_t axis = (int32_t)vj_attr_int(&concat, VJ_ATTR_AXIS, 0);
    if (axis < 0) axis += rank;
    vj_value *parts = VJ_NEW_ARRAY(c->arena, vj_value, concat.arg_count);
    int64_t start = 0;
    for (int32_t i = 0; i < concat.arg_count; i++) {
        const int64_t size = vj_type_at(f, concat.args[i])->dims[axis].c;
        vj_value args[2];
        args[side] = concat.args[i];
        args[1 - side] = part_of(f, constant, rank - axis, start, size, origin);
        parts[i] = vj_make_binary(f, op, args[0], args[1], origin);
        start += size;
    }
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    const vj_value joined = vj_make(f, VJ_OP_concat, parts, concat.arg_count, &attr, 1, concat.origin);
    vj_replace_uses(f, result, joined);
    vj_kill(f, n);
}

void vj_spread_over_concats(vj_pass_context *c) {
    for (bool again = true; again;) {
        again = false;
        const int32_t *uses = vj_use_counts(c->f, c->arena);
        const int32_t count = c->f->node_count, values = c->f->value_count;
        for (int32_t n = 0; n < count; n++) {
            const int32_t side = concat_operand(c->f, uses, values, &c->f->nodes[n]);
            if (side < 0) continue;
            spread(c, n, side);
            again = true;
        }
        if (again) vj_compact(c->f);
    }
}
