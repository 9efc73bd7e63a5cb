/* SPDX-License-Identifier: Apache-2.0 */
/* compact.c - vj_compact: drops what nobody uses, restores the order, renumbers. Linear in nodes and operands. */
#include "users.h"

#include <assert.h>
#include <string.h>

typedef struct compaction {
    vj_func *f;
    uint8_t *state; /* of each node: not reached, being visited (on the stack), placed */
    int32_t *order; /* nodes in their new order */
    int32_t placed;
    int32_t *stack, *next_arg; /* the path of the depth-first visit, and where each node of it stands */
    uint8_t *live;
} compaction;

/* What node n needs in place before it: its operands' producers, then those of the sizes in its results' types. The i-th,
 * counted from 0; -1: nothing in this place (no operand, no size, or one the node makes itself); -2: that was all. */
static int32_t need_of(const vj_func *f, int32_t n, int32_t i) {
    const vj_node *node = &f->nodes[n];
    if (i < node->arg_count) return node->args[i] < 0 ? -1 : f->values[node->args[i]].node;
    i -= node->arg_count;
    if (f->symbol_count == 0 || i >= node->result_count * VJ_MAX_RANK) return -2;
    const vj_type *type = vj_type_at(f, node->first_result + i / VJ_MAX_RANK);
    if (i % VJ_MAX_RANK >= type->rank || !vj_is_data_dim(type->dims[i % VJ_MAX_RANK])) return -1;
    vj_value size = f->symbols[type->dims[i % VJ_MAX_RANK].sym - VJ_SYM_FIRST_DATA].value;
    return size < 0 || f->values[size].node == n ? -1 : f->values[size].node;
}

enum { FRESH, VISITED, PLACED };

static void mark_live(compaction *c) {
    const vj_func *f = c->f;
    int32_t depth = 0;
    for (int32_t i = 0; i < f->output_count; i++) {
        int32_t n = f->values[f->outputs[i]].node;
        if (!c->live[n]) c->live[n] = 1, c->stack[depth++] = n;
    }
    while (depth) {
        int32_t user = c->stack[--depth], n;
        assert(!f->nodes[user].dead && "a killed node is still in use");
        for (int32_t i = 0; (n = need_of(f, user, i)) != -2; i++)
            if (n >= 0 && !c->live[n]) c->live[n] = 1, c->stack[depth++] = n;
    }
    for (int32_t i = 0; i < f->input_count; i++)
        c->live[f->values[f->inputs[i]].node] = 1;
}

/* Places a node behind its producers. A list already in order stays as it is. */
static void place(compaction *c, int32_t root) {
    if (c->state[root] == PLACED) return;
    int32_t depth = 0;
    c->stack[depth] = root;
    c->next_arg[depth++] = 0;
    c->state[root] = VISITED;
    while (depth) {
        int32_t n = c->stack[depth - 1];
        int32_t i = c->next_arg[depth - 1], producer;
        while ((producer = need_of(c->f, n, i)) == -1 || (producer >= 0 && c->state[producer] == PLACED))
            i++;
        if (producer >= 0) {
            assert(c->state[producer] == FRESH && "a node uses its own result");
            c->next_arg[depth - 1] = i + 1;
            c->state[producer] = VISITED;
            c->stack[depth] = producer;
            c->next_arg[depth++] = 0;
        } else {
            c->state[n] = PLACED;
            c->order[c->placed++] = n;
            depth--;
        }
    }
}

/* Nodes and values are written in their new order to scratch memory, then copied back. */
static void renumber(compaction *c, vj_arena *scratch) {
    vj_func *f = c->f;
    int32_t *sizes = VJ_NEW_ARRAY(scratch, int32_t, f->symbol_count); /* the nodes that make them */
    for (int32_t i = 0; i < f->symbol_count; i++)
        sizes[i] = f->symbols[i].value < 0 ? -1 : f->values[f->symbols[i].value].node;
    vj_node *nodes = VJ_NEW_ARRAY(scratch, vj_node, c->placed);
    vj_value_info *values = VJ_NEW_ARRAY(scratch, vj_value_info, f->value_count);
    vj_value *renamed = VJ_NEW_ARRAY(scratch, vj_value, f->value_count);
    int32_t value_count = 0;
    for (int32_t n = 0; n < c->placed; n++) {
        nodes[n] = f->nodes[c->order[n]];
        for (int32_t r = 0; r < nodes[n].result_count; r++) {
            values[value_count] = f->values[nodes[n].first_result + r];
            values[value_count].node = n;
            renamed[nodes[n].first_result + r] = value_count++;
        }
        nodes[n].first_result = value_count - nodes[n].result_count;
        for (int32_t i = 0; i < nodes[n].arg_count; i++)
            if (nodes[n].args[i] >= 0) nodes[n].args[i] = renamed[nodes[n].args[i]];
    }
    if (c->placed > 0) memcpy(f->nodes, nodes, (size_t)c->placed * sizeof *nodes);
    if (value_count > 0) memcpy(f->values, values, (size_t)value_count * sizeof *values);
    f->node_count = c->placed;
    f->value_count = value_count;
    for (int32_t i = 0; i < f->input_count; i++)
        f->inputs[i] = renamed[f->inputs[i]];
    for (int32_t i = 0; i < f->output_count; i++)
        f->outputs[i] = renamed[f->outputs[i]];
    for (int32_t i = 0; i < f->symbol_count; i++) {
        vj_value *size = &f->symbols[i].value;
        if (*size >= 0) *size = c->live[sizes[i]] ? renamed[*size] : VJ_NONE;
    }
}

/* What unused nodes used has fewer uses without them. */
static void note_lost_uses(const compaction *c) {
    for (int32_t n = 0; n < c->f->node_count; n++) {
        const vj_node *node = &c->f->nodes[n];
        for (int32_t i = 0; i < node->arg_count && !c->live[n] && !node->dead; i++)
            if (node->args[i] >= 0) c->f->values[node->args[i]].changed = true;
    }
}

void vj_compact(vj_func *f) {
    vj_arena_mark mark = vj_arena_save(f->arena);
    compaction c = {.f = f,
                    .state = VJ_NEW_ARRAY(f->arena, uint8_t, f->node_count),
                    .live = VJ_NEW_ARRAY(f->arena, uint8_t, f->node_count),
                    .order = VJ_NEW_ARRAY(f->arena, int32_t, f->node_count),
                    .stack = VJ_NEW_ARRAY(f->arena, int32_t, f->node_count),
                    .next_arg = VJ_NEW_ARRAY(f->arena, int32_t, f->node_count)};
    mark_live(&c);
    for (int32_t n = 0; n < f->node_count; n++)
        if (c.live[n]) place(&c, n);
    note_lost_uses(&c);
    renumber(&c, f->arena);
    vj_arena_release(f->arena, mark);
    vj_index_uses(f); /* there are no more than before: nothing is allocated */
    vj_note_all_weights(f);
}
