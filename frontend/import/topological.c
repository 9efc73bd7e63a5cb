/* SPDX-License-Identifier: Apache-2.0 */
/* topological.c - sorts nodes topologically. ONNX requires sorted lists of nodes, yet tools that convert models write
 * some that are not. A sorted list stays as it is; otherwise a node moves in front of the first node that uses it.
 * Nodes of a cycle keep their order, and the import reports them. */
#include "import.h"

#include <string.h>

typedef struct sorting {
    vj_arena *arena;
    Onnx__NodeProto **nodes;
    int32_t count;
    vj_bindings *definers; /* the index of the node that defines a name, as `value`; VJ_NONE: it comes from outside */
    int32_t *first, *uses; /* uses[first[i] .. first[i + 1]) are the nodes whose results node i uses */
    int32_t use_count, use_capacity;
} sorting;

static void sort_graph(vj_arena *arena, Onnx__GraphProto *g);

/* Adds a name that no node of this list defines: it belongs to an inner graph, or is an input or initializer. */
static void add_own(vj_bindings *names, const char *name) {
    if (name && *name) vj_bindings_add(names, name);
}

static void add_given(vj_bindings *names, const Onnx__GraphProto *g) {
    for (size_t i = 0; i < g->n_input; i++)
        add_own(names, g->input[i]->name);
    for (size_t i = 0; i < g->n_initializer; i++)
        add_own(names, g->initializer[i]->name);
}

static void define(sorting *s) {
    for (int32_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->nodes[i]->n_output; j++) {
            vj_binding *b = *s->nodes[i]->output[j] ? vj_bindings_add(s->definers, s->nodes[i]->output[j]) : NULL;
            if (b) b->value = i; /* the first node that defines a name counts */
        }
}

static void add_use(sorting *s, const vj_bindings *names, int32_t user, const char *name) {
    const vj_binding *b = vj_bindings_find(names, name);
    if (!b || b->value < 0 || b->value == user) return;
    if (s->use_count == s->use_capacity) {
        int32_t *more = VJ_NEW_ARRAY(s->arena, int32_t, 2 * s->use_capacity + 64);
        if (s->use_count) memcpy(more, s->uses, (size_t)s->use_count * sizeof *more);
        s->uses = more;
        s->use_capacity = 2 * s->use_capacity + 64;
    }
    s->uses[s->use_count++] = b->value;
}

/* Adds the names that a node and the graphs inside it use. */
static void add_uses(sorting *s, const vj_bindings *names, int32_t user, const Onnx__NodeProto *node) {
    for (size_t i = 0; i < node->n_input; i++)
        add_use(s, names, user, node->input[i]);
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__GraphProto *g = node->attribute[i]->g;
        if (!g) continue;
        vj_bindings *inner = vj_bindings_new(s->arena, g->n_node + g->n_initializer, names);
        add_given(inner, g);
        for (size_t k = 0; k < g->n_node; k++)
            for (size_t r = 0; r < g->node[k]->n_output; r++)
                add_own(inner, g->node[k]->output[r]);
        for (size_t k = 0; k < g->n_node; k++)
            add_uses(s, inner, user, g->node[k]);
        for (size_t k = 0; k < g->n_output; k++)
            add_use(s, inner, user, vj_text_of(g->output[k]->name));
    }
}

static bool is_sorted(const sorting *s) {
    for (int32_t i = 0; i < s->count; i++)
        for (int32_t u = s->first[i]; u < s->first[i + 1]; u++)
            if (s->uses[u] > i) return false;
    return true;
}

/* Sorts depth first: a node comes after those that it uses. */
static void sort(sorting *s) {
    enum { NEW, OPEN, DONE };
    Onnx__NodeProto **sorted = VJ_NEW_ARRAY(s->arena, Onnx__NodeProto *, s->count);
    int32_t *path = VJ_NEW_ARRAY(s->arena, int32_t, s->count), *next = VJ_NEW_ARRAY(s->arena, int32_t, s->count);
    uint8_t *state = VJ_NEW_ARRAY(s->arena, uint8_t, s->count);
    int32_t done = 0;
    for (int32_t root = 0; root < s->count; root++) {
        int32_t depth = 0;
        if (state[root] == NEW) path[depth++] = root;
        while (depth > 0) {
            const int32_t at = path[depth - 1];
            if (state[at] == NEW) next[at] = s->first[at];
            state[at] = OPEN;
            while (next[at] < s->first[at + 1] && state[s->uses[next[at]]] != NEW)
                next[at]++;
            if (next[at] < s->first[at + 1]) {
                path[depth++] = s->uses[next[at]++];
                continue;
            }
            state[at] = DONE;
            sorted[done++] = s->nodes[at];
            depth--;
        }
    }
    memcpy(s->nodes, sorted, (size_t)s->count * sizeof *sorted);
}

static void sort_list(sorting *s) {
    define(s);
    s->first = VJ_NEW_ARRAY(s->arena, int32_t, s->count + 1);
    for (int32_t i = 0; i < s->count; i++) {
        s->first[i] = s->use_count;
        add_uses(s, s->definers, i, s->nodes[i]);
        for (size_t k = 0; k < s->nodes[i]->n_attribute; k++)
            if (s->nodes[i]->attribute[k]->g) sort_graph(s->arena, s->nodes[i]->attribute[k]->g);
    }
    s->first[s->count] = s->use_count;
    if (!is_sorted(s)) sort(s);
}

static sorting sorting_of(vj_arena *arena, Onnx__NodeProto **nodes, size_t count) {
    return (sorting){arena, nodes, (int32_t)count, vj_bindings_new(arena, 2 * count, NULL), NULL, NULL, 0, 0};
}

static void sort_graph(vj_arena *arena, Onnx__GraphProto *g) {
    sorting s = sorting_of(arena, g->node, g->n_node);
    add_given(s.definers, g);
    sort_list(&s);
}

void vj_sort_nodes(vj_arena *arena, Onnx__ModelProto *m) {
    const vj_arena_mark mark = vj_arena_save(arena);
    sort_graph(arena, m->graph);
    for (size_t i = 0; i < m->n_functions; i++) {
        const Onnx__FunctionProto *f = m->functions[i];
        sorting s = sorting_of(arena, f->node, f->n_node);
        for (size_t k = 0; k < f->n_input; k++)
            add_own(s.definers, f->input[k]);
        sort_list(&s);
    }
    vj_arena_release(arena, mark);
}
