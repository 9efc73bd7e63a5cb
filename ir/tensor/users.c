/* SPDX-License-Identifier: Apache-2.0 */
/* users.c - the index of uses: of each value a list of the places where it stands, doubly linked through one array, so
 * that replacing, counting and walking uses takes as long as there are some. Operand i of a node owns use first_use + i
 * of the array. Uses of killed nodes are in no list; vj_compact makes the array anew. */
#include "users.h"

#include <stdlib.h>

vj_value *vj_operand_of_use(const vj_func *f, const vj_use *use) {
    if (use->operand == VJ_USE_OUTPUT) return &f->outputs[use->user];
    if (use->operand == VJ_USE_SIZE) return &f->symbols[use->user].value;
    return &f->nodes[use->user].args[use->operand];
}

void vj_unlink(vj_func *f, vj_value v, int32_t u) {
    if (v < 0) return;
    vj_value_info *info = &f->values[v];
    const vj_use *use = &f->uses[u];
    if (use->previous >= 0)
        f->uses[use->previous].next = use->next;
    else
        info->first_use = use->next;
    if (use->next >= 0)
        f->uses[use->next].previous = use->previous;
    else
        info->last_use = use->previous;
    info->use_count--;
    info->changed = true;
}

static void append(vj_func *f, vj_value v, int32_t u) {
    f->uses[u].next = f->uses[u].previous = -1;
    if (v < 0) return;
    vj_value_info *info = &f->values[v];
    f->uses[u].previous = info->last_use;
    if (info->last_use >= 0)
        f->uses[info->last_use].next = u;
    else
        info->first_use = u;
    info->last_use = u;
    info->use_count++;
}

void vj_relink(vj_func *f, vj_value v, int32_t u) {
    append(f, v, u);
    if (v >= 0) f->values[v].changed = true;
}

static int32_t new_use(vj_func *f, vj_value v, int32_t user, int32_t operand) {
    *VJ_PUSH(f->arena, f->uses, f->use_count, f->use_capacity) = (vj_use){.user = user, .operand = operand};
    append(f, v, f->use_count - 1);
    return f->use_count - 1;
}

int32_t vj_link(vj_func *f, vj_value v, int32_t user, int32_t operand) {
    if (v >= 0) f->values[v].changed = true;
    return new_use(f, v, user, operand);
}

void vj_link_operands(vj_func *f, int32_t n) {
    vj_node *node = &f->nodes[n];
    node->first_use = f->use_count;
    for (int32_t i = 0; i < node->arg_count; i++)
        vj_link(f, node->args[i], n, i);
}

void vj_index_uses(vj_func *f) {
    f->use_count = 0;
    for (vj_value v = 0; v < f->value_count; v++) {
        f->values[v].first_use = f->values[v].last_use = -1;
        f->values[v].use_count = 0;
    }
    for (int32_t n = 0; n < f->node_count; n++) {
        f->nodes[n].first_use = f->use_count;
        for (int32_t i = 0; i < f->nodes[n].arg_count; i++)
            new_use(f, f->nodes[n].args[i], n, i);
    }
    for (int32_t i = 0; i < f->output_count; i++)
        f->output_uses[i] = new_use(f, f->outputs[i], i, VJ_USE_OUTPUT);
    for (int32_t i = 0; i < f->symbol_count; i++)
        f->symbols[i].use = new_use(f, f->symbols[i].value, i, VJ_USE_SIZE);
}

int32_t *vj_use_counts(const vj_func *f, vj_arena *arena) {
    int32_t *uses = VJ_NEW_ARRAY(arena, int32_t, f->value_count);
    for (vj_value v = 0; v < f->value_count; v++)
        uses[v] = f->values[v].use_count;
    return uses;
}

static int by_index(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

int32_t vj_users(const vj_func *f, vj_value v, vj_arena *arena, int32_t **nodes) {
    int32_t *list = *nodes = VJ_NEW_ARRAY(arena, int32_t, f->values[v].use_count + 1), count = 0, users = 0;
    bool is_sorted = true;
    for (int32_t u = f->values[v].first_use; u >= 0; u = f->uses[u].next) {
        if (f->uses[u].operand < 0) continue;
        is_sorted = is_sorted && (count == 0 || list[count - 1] <= f->uses[u].user);
        list[count++] = f->uses[u].user;
    }
    if (!is_sorted) qsort(list, (size_t)count, sizeof *list, by_index);
    for (int32_t i = 0; i < count; i++)
        if (users == 0 || list[users - 1] != list[i]) list[users++] = list[i];
    return users;
}

bool vj_is_output(const vj_func *f, vj_value v) {
    for (int32_t u = f->values[v].first_use; u >= 0; u = f->uses[u].next)
        if (f->uses[u].operand == VJ_USE_OUTPUT) return true;
    return false;
}

static void recount(const vj_func *f, int32_t *counts) {
    for (int32_t n = 0; n < f->node_count; n++)
        for (int32_t i = 0; !f->nodes[n].dead && i < f->nodes[n].arg_count; i++)
            if (f->nodes[n].args[i] >= 0) counts[f->nodes[n].args[i]]++;
    for (int32_t i = 0; i < f->output_count; i++)
        counts[f->outputs[i]]++;
    for (int32_t i = 0; i < f->symbol_count; i++)
        if (f->symbols[i].value >= 0) counts[f->symbols[i].value]++;
}

/* A list holds places where v is written, each linked to the one before, as many as there are. */
static bool is_list_right(const vj_func *f, vj_value v, int32_t count) {
    int32_t previous = -1, length = 0;
    for (int32_t u = f->values[v].first_use; u >= 0; previous = u, u = f->uses[u].next) {
        if (u >= f->use_count || ++length > count || f->uses[u].previous != previous) return false;
        if (f->uses[u].operand >= 0 && f->nodes[f->uses[u].user].first_use + f->uses[u].operand != u) return false;
        if (*vj_operand_of_use(f, &f->uses[u]) != v) return false;
    }
    return length == count && f->values[v].use_count == count && f->values[v].last_use == previous;
}

vj_value vj_wrongly_indexed(const vj_func *f) {
    vj_arena *scratch = vj_arena_scratch(f->arena);
    int32_t *counts = VJ_NEW_ARRAY(scratch, int32_t, f->value_count + 1);
    vj_value wrong = VJ_NONE;
    recount(f, counts);
    for (vj_value v = 0; v < f->value_count && wrong < 0; v++)
        if (!is_list_right(f, v, counts[v])) wrong = v;
    vj_arena_free(scratch);
    return wrong;
}
