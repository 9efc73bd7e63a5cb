/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - what lowering asks of every value, found once in the order of the nodes: who uses it, what do
 * movement ops make it from, can it be read already. It is noted here too when a value stands in a buffer.
 *
 * A value can be read when a kernel has written it, or when all that it is made of by elementwise and movement ops can.
 * Each such node counts the operands that it still waits for, so that a value that becomes readable costs a step for
 * each of its uses. */
#include "lower.h"

#include <string.h>

bool vj_is_static_weight(const vj_lowering *l, vj_value v) {
    return vj_type_is_static(vj_type_at(l->f, v)) && vj_is_weight(l->f, v);
}

int32_t vj_only_user(const vj_lowering *l, vj_value v) {
    return l->uses[v] == 1 && l->output[v] < 0 ? l->use_node[l->use_first[v]] : -1;
}

bool vj_is_available(const vj_lowering *l, vj_value v) { return l->available[v]; }

static void list_uses(vj_lowering *l) {
    const vj_func *f = l->f;
    l->use_first = VJ_NEW_ARRAY(l->arena, int32_t, f->value_count + 2);
    int32_t total = 0;
    for (int32_t n = 0; n < f->node_count; n++)
        for (int32_t i = 0; i < f->nodes[n].arg_count; i++)
            if (f->nodes[n].args[i] >= 0) {
                l->use_first[f->nodes[n].args[i] + 1]++;
                total++;
            }
    for (int32_t v = 0; v < f->value_count; v++)
        l->use_first[v + 1] += l->use_first[v];
    l->use_node = VJ_NEW_ARRAY(l->arena, int32_t, total + 1);
    l->use_operand = VJ_NEW_ARRAY(l->arena, int32_t, total + 1);
    int32_t *next = VJ_NEW_ARRAY(l->arena, int32_t, f->value_count + 1);
    memcpy(next, l->use_first, (size_t)f->value_count * sizeof *next);
    for (int32_t n = 0; n < f->node_count; n++)
        for (int32_t i = 0; i < f->nodes[n].arg_count; i++) {
            if (f->nodes[n].args[i] < 0) continue;
            const int32_t at = next[f->nodes[n].args[i]]++;
            l->use_node[at] = n;
            l->use_operand[at] = i;
        }
    l->uses = vj_use_counts(f, l->arena);
}

static bool is_plain_movement(const vj_node *node) {
    return node->op == VJ_OP_reshape || node->op == VJ_OP_transpose || node->op == VJ_OP_slice ||
           node->op == VJ_OP_broadcast;
}

static void find_sources(vj_lowering *l) {
    const vj_func *f = l->f;
    l->moved_from = VJ_NEW_ARRAY(l->arena, vj_value, f->value_count + 1);
    for (int32_t n = 0; n < f->node_count; n++) {
        const vj_node *node = &f->nodes[n];
        for (vj_value v = node->first_result; v < node->first_result + node->result_count; v++)
            l->moved_from[v] = !node->dead && is_plain_movement(node) ? l->moved_from[node->args[0]] : v;
    }
}

/* Operands that must be readable for the node's result to be; 0: that does not follow from its operands. */
static int32_t waits_for(const vj_func *f, const vj_node *node) {
    if (node->dead || node->result_count == 0) return 0;
    if (vj_is_view_op(f, node)) return 1;
    return vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE ? node->arg_count : 0;
}

void vj_set_available(vj_lowering *l, vj_value v) {
    const vj_func *f = l->f;
    int32_t count = 0;
    if (l->available[v]) return;
    l->available[v] = true;
    l->ready[count++] = v;
    while (count > 0) {
        const vj_value at = l->ready[--count];
        for (int32_t u = l->use_first[at]; u < l->use_first[at + 1]; u++) {
            const int32_t n = l->use_node[u];
            const vj_value made = f->nodes[n].first_result;
            if (l->waiting[n] == 0 || (l->use_operand[u] > 0 && vj_is_view_op(f, &f->nodes[n]))) continue;
            if (--l->waiting[n] > 0 || l->available[made]) continue;
            l->available[made] = true;
            l->ready[count++] = made;
        }
    }
}

void vj_wait_for_operands(vj_lowering *l, int32_t node) {
    const vj_node *n = &l->f->nodes[node];
    for (int32_t i = 0; i < n->arg_count; i++)
        l->waiting[node] += !l->available[n->args[i]];
    if (l->waiting[node] == 0) vj_set_available(l, n->first_result);
}

void vj_set_done(vj_lowering *l, vj_value v, const vj_view *view) {
    l->done[v] = l->placed[v] = true;
    l->view[v] = VJ_NEW(l->arena, vj_view);
    *l->view[v] = *view;
    vj_set_available(l, v);
}

static void begin_waiting(vj_lowering *l) {
    const vj_func *f = l->f;
    l->available = VJ_NEW_ARRAY(l->arena, bool, f->value_count + 1);
    l->ready = VJ_NEW_ARRAY(l->arena, vj_value, f->value_count + 1);
    l->waiting = VJ_NEW_ARRAY(l->arena, int32_t, f->node_count + 1);
    for (int32_t n = 0; n < f->node_count; n++)
        l->waiting[n] = waits_for(f, &f->nodes[n]);
    for (vj_value v = 0; v < f->value_count; v++)
        if (vj_is_static_weight(l, v) || vj_producer(f, v)->op == VJ_OP_param) vj_set_available(l, v);
}

void vj_find_facts(vj_lowering *l) {
    list_uses(l);
    find_sources(l);
    begin_waiting(l);
}
