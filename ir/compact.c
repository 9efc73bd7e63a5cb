/* compact.c - vj_compact: drops what nobody uses, restores the order, renumbers. Linear in nodes and operands. */
#include "ir.h"

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

enum { FRESH, VISITED, PLACED };

static void mark_live(compaction *c) {
    const vj_func *f = c->f;
    int32_t depth = 0;
    for (int32_t i = 0; i < f->output_count; i++) {
        int32_t n = f->values[f->outputs[i]].node;
        if (!c->live[n]) c->live[n] = 1, c->stack[depth++] = n;
    }
    while (depth) {
        const vj_node *node = &f->nodes[c->stack[--depth]];
        assert(!node->dead && "a killed node is still in use");
        for (int32_t i = 0; i < node->arg_count; i++) {
            if (node->args[i] < 0) continue;
            int32_t n = f->values[node->args[i]].node;
            if (!c->live[n]) c->live[n] = 1, c->stack[depth++] = n;
        }
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
        const vj_node *node = &c->f->nodes[n];
        int32_t i = c->next_arg[depth - 1];
        while (i < node->arg_count && (node->args[i] < 0 || c->state[c->f->values[node->args[i]].node] == PLACED))
            i++;
        if (i < node->arg_count) {
            int32_t producer = c->f->values[node->args[i]].node;
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
    renumber(&c, f->arena);
    vj_arena_release(f->arena, mark);
}
