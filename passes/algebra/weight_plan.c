/* SPDX-License-Identifier: Apache-2.0 */
/* weight_plan.c - long weight expressions. A short one is read as it is: a range of the result from ranges of its leaves.
 * In a long one, or where a part is used again and again, some parts are kept whole, so that what lies between them is
 * short: reading goes a few levels deep, and every part is computed once for each part that is kept. Parts are listed by a
 * walk with a stack of its own: expressions are as deep as a model likes. */
#include <stdlib.h>
#include <string.h>

#include "weight_read.h"

/* Beyond these an expression is long. A part that is kept is beyond them itself, by what one op adds. */
enum { MOST_WORK = 48, MOST_DEPTH = 16, MOST_SLOTS = VJ_WEIGHT_SLOTS - 2, MOST_VISITS = 256 };
#define KEPT_ELEMENTS ((int64_t)16 << 20) /* of parts that no later part reads: 64 MiB */

static bool is_long(const vj_weight_shape *s) {
    return s->work > MOST_WORK || s->depth > MOST_DEPTH || s->slots > MOST_SLOTS;
}

/* Slots in use while an operand is read: a slab of a transpose and its source; an operand that is broadcast or gathered
 * from and kept. */
static int32_t slots_of(const vj_func *f, const vj_node *node, vj_value operand) {
    if (node->op == VJ_OP_transpose) return 2;
    if (node->op == VJ_OP_gather) return 1;
    if (node->op == VJ_OP_slice || node->op == VJ_OP_concat) return 0;
    return vj_weight_elements(f, operand) != vj_weight_elements(f, node->first_result);
}

/* A joint of many parts reads each element from one of them. */
static void take_in(const vj_func *f, const vj_node *node, int32_t i, const vj_weight_shape *operand,
                    vj_weight_shape *s) {
    const int32_t slots = operand->slots + slots_of(f, node, node->args[i]);
    if (node->op != VJ_OP_concat)
        s->work += operand->work;
    else if (operand->work > s->work)
        s->work = operand->work;
    if (operand->depth >= s->depth) s->depth = (int16_t)(operand->depth + 1);
    if (slots > s->slots) s->slots = (int16_t)slots;
}

static const vj_weight_shape leaf = {.work = 1};

static bool measure(const vj_func *f, vj_value v, int32_t depth, int32_t *visits, vj_weight_shape *s) {
    const vj_node *node = vj_producer(f, v);
    *s = leaf;
    if (node->op == VJ_OP_const) return true;
    if (depth > MOST_DEPTH || --*visits < 0) return false;
    *s = (vj_weight_shape){0};
    for (int32_t i = 0; i < node->arg_count; i++) {
        vj_weight_shape operand;
        if (!measure(f, node->args[i], depth + 1, visits, &operand)) return false;
        take_in(f, node, i, &operand, s);
    }
    s->work++;
    return !is_long(s);
}

bool vj_weight_is_short(const vj_func *f, vj_value v) {
    int32_t visits = MOST_VISITS;
    vj_weight_shape s;
    return measure(f, v, 0, &visits, &s);
}

static void push(const vj_weight_reader *r, vj_value **list, int32_t *count, int32_t *capacity, vj_value v) {
    if (*count == *capacity) {
        const int32_t wanted = *capacity ? *capacity * 2 : 256;
        vj_value *larger = realloc(*list, (size_t)wanted * sizeof **list);
        if (!larger) vj_out_of_memory(r->arena);
        *list = larger;
        *capacity = wanted;
    }
    (*list)[(*count)++] = v;
}

/* Pushes the operands that are not listed yet. */
static void push_operands(vj_weight_reader *r, const vj_node *node) {
    vj_weight_plan *p = &r->plan;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (p->part[node->args[i]].seen != p->number)
            push(r, &p->stack, &p->stack_count, &p->stack_capacity, node->args[i]);
}

/* All parts of v, operands first, v last; what is kept has none. */
static void list_parts(vj_weight_reader *r, vj_value v) {
    vj_weight_plan *p = &r->plan;
    p->count = p->stack_count = 0;
    p->number++;
    push(r, &p->stack, &p->stack_count, &p->stack_capacity, v);
    while (p->stack_count > 0) {
        const vj_value u = p->stack[p->stack_count - 1];
        vj_weight_part *part = &p->part[u];
        const int32_t before = p->stack_count;
        if (part->seen != p->number && !part->kept) push_operands(r, vj_producer(r->f, u));
        if (p->stack_count > before) continue;
        p->stack_count--;
        if (part->seen == p->number) continue;
        part->seen = p->number;
        push(r, &p->order, &p->count, &p->order_capacity, u);
    }
}

static void measure_part(vj_weight_plan *p, const vj_func *f, vj_value u) {
    const vj_node *node = vj_producer(f, u);
    vj_weight_part *part = &p->part[u];
    if (part->shape.work) return;
    part->shape = leaf;
    if (node->op == VJ_OP_const) return;
    part->shape = (vj_weight_shape){0};
    for (int32_t i = 0; i < node->arg_count; i++)
        take_in(f, node, i, &p->part[node->args[i]].shape, &part->shape);
    part->shape.work++;
    part->whole = is_long(&part->shape);
    if (part->whole) part->shape = leaf;
}

/* The place of the part that reads each part last: of the next one behind it that is kept, or the whole. */
static void find_last_readers(vj_weight_plan *p, const vj_func *f) {
    for (int32_t i = 0; i < p->count; i++)
        p->part[p->order[i]].until = 0;
    p->part[p->order[p->count - 1]].until = p->count;
    for (int32_t i = p->count - 1; i >= 0; i--) {
        const vj_weight_part *part = &p->part[p->order[i]];
        const vj_node *node = vj_producer(f, p->order[i]);
        const int32_t reader = part->whole && i < p->count - 1 ? i : part->until;
        for (int32_t a = 0; !part->kept && a < node->arg_count; a++)
            if (p->part[node->args[a]].until < reader) p->part[node->args[a]].until = reader;
    }
}

void vj_weight_plan_of(vj_weight_reader *r, vj_value v) {
    vj_weight_plan *p = &r->plan;
    if (!p->part) p->part = calloc((size_t)r->f->value_count + 1, sizeof *p->part);
    if (!p->part) vj_out_of_memory(r->arena);
    list_parts(r, v);
    for (int32_t i = 0; i < p->count; i++)
        measure_part(p, r->f, p->order[i]);
    find_last_readers(p, r->f);
}

static void forget(vj_weight_plan *p, const vj_func *f, int32_t at) {
    vj_weight_part *part = &p->part[p->kept[at]];
    p->kept_elements -= vj_weight_elements(f, p->kept[at]);
    free(part->kept);
    part->kept = NULL;
    memmove(p->kept + at, p->kept + at + 1, (size_t)(p->kept_count - at - 1) * sizeof *p->kept);
    p->kept_count--;
}

float *vj_weight_room(vj_weight_reader *r, int32_t number) {
    vj_weight_plan *p = &r->plan;
    const vj_value v = p->order[number];
    const int64_t count = vj_weight_elements(r->f, v);
    for (int32_t i = 0; i < p->kept_count && p->kept_elements + count > KEPT_ELEMENTS;) {
        const vj_weight_part *part = &p->part[p->kept[i]];
        if (part->seen != p->number || part->until < number)
            forget(p, r->f, i);
        else
            i++;
    }
    push(r, &p->kept, &p->kept_count, &p->kept_capacity, v);
    p->kept_elements += count;
    p->room = malloc((size_t)vj_max64(count, 1) * sizeof *p->room);
    if (!p->room) vj_out_of_memory(r->arena);
    return p->room;
}

void vj_weight_plan_free(vj_weight_plan *p) {
    for (int32_t i = 0; i < p->kept_count; i++)
        free(p->part[p->kept[i]].kept);
    free(p->room);
    free(p->part);
    free(p->order);
    free(p->stack);
    free(p->kept);
}
