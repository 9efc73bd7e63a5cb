/* SPDX-License-Identifier: Apache-2.0 */
/* data.c - nodes that find out a size, and pack and unpack, as calls. Their sizes are bounds here (bound.c). */
#include "lower.h"

#include "ir/routines/routines.h"

static int64_t elements(const vj_lowering *l, vj_value v) {
    int64_t count = 1;
    return vj_type_elements(l->f, vj_type_at(l->f, v), &count) ? count : 1;
}

static void put_dims(const vj_lowering *l, vj_value v, int64_t *param) {
    const vj_type *type = vj_type_at(l->f, v);
    for (int32_t d = 0; d < VJ_MAX_RANK; d++)
        param[d] = d < type->rank ? type->dims[d].c : 1;
}

/* A count that the pass `bound` gives; only texts by hand lack it. */
static vj_value count_of(const vj_lowering *l, const vj_node *node, int32_t operand) {
    if (operand < node->arg_count && node->args[operand] >= 0) return node->args[operand];
    vj_lower_fail(l, node, "how many count is not said");
    return VJ_NONE;
}

bool vj_lower_nonzero(vj_lowering *l, const vj_node *node) {
    const vj_value x = node->args[0];
    vj_call call = {.routine = VJ_ROUTINE_nonzero, .read = {x}, .rows = 1, .cycles = 2 * (double)elements(l, x)};
    call.param[0] = vj_type_at(l->f, x)->rank;
    call.param[1] = vj_attr_int(node, VJ_ATTR_SIZE, 0);
    put_dims(l, x, &call.param[2]);
    return vj_lower_call(l, node, &call);
}

bool vj_lower_unique(vj_lowering *l, const vj_node *node) {
    const vj_value x = node->args[0], count = count_of(l, node, 1);
    const vj_type *type = vj_type_at(l->f, x);
    if (count < 0) return false;
    const vj_call call = {.routine = VJ_ROUTINE_unique,
                          .read = {x, count},
                          .param = {type->dims[0].c, type->dims[1].c, vj_attr_int(node, VJ_ATTR_SIZE, 0),
                                    vj_attr_int(node, VJ_ATTR_SORTED, 0)},
                          .rows = 1,
                          .cycles = 40 * (double)elements(l, x)};
    return vj_lower_call(l, node, &call);
}

bool vj_lower_nms(vj_lowering *l, const vj_node *node) {
    const vj_type *scores = vj_type_at(l->f, node->args[1]);
    const vj_value least = node->arg_count > 4 ? node->args[4] : VJ_NONE, count = count_of(l, node, 5);
    if (count < 0) return false;
    const vj_call call = {
        .routine = VJ_ROUTINE_nms,
        .read = {node->args[0], node->args[1], node->args[2], node->args[3], least < 0 ? node->args[3] : least, count},
        .param = {scores->dims[0].c, scores->dims[1].c, scores->dims[2].c, vj_attr_int(node, VJ_ATTR_SIZE, 0),
                  vj_attr_int(node, VJ_ATTR_CENTER, 0), least >= 0},
        .rows = 1,
        .cycles = 200 * (double)elements(l, node->args[1])};
    return vj_lower_call(l, node, &call);
}

bool vj_lower_pack(vj_lowering *l, const vj_node *node) {
    const vj_value x = node->args[0];
    vj_call call = {.routine = VJ_ROUTINE_pack, .read = {x, node->args[1]}, .rows = 1};
    call.cycles = (double)elements(l, x);
    call.param[0] = vj_type_at(l->f, x)->rank;
    put_dims(l, x, &call.param[1]);
    return vj_lower_call(l, node, &call);
}

bool vj_lower_unpack(vj_lowering *l, const vj_node *node) {
    const vj_value y = node->first_result;
    vj_call call = {.routine = VJ_ROUTINE_unpack, .read = {node->args[0], node->args[1]}, .rows = 1};
    call.cycles = 2 * (double)elements(l, y);
    call.param[0] = elements(l, node->args[0]);
    call.param[1] = vj_type_at(l->f, y)->rank;
    put_dims(l, y, &call.param[2]);
    return vj_lower_call(l, node, &call);
}
