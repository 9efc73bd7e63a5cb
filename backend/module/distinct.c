/* SPDX-License-Identifier: Apache-2.0 */
/* distinct.c - which kernels of a program are the same code.
 *
 * Kernels that differ only in names, buffers and offsets are one function: their descriptions, everything that the
 * generators read, are compared byte by byte. A table by their hashes says which to compare with.
 */
#include "object.h"

#include "ir/routines/routines.h"

#include <stdio.h>
#include <string.h>

typedef struct description {
    vj_arena *arena;
    uint8_t *at;
    size_t size, capacity;
} description;

static void describe(description *d, const void *bytes, size_t size) {
    if (d->capacity - d->size < size) {
        const size_t room = 2 * d->capacity + size + 1024;
        uint8_t *at = vj_alloc(d->arena, room);
        if (d->size) memcpy(at, d->at, d->size);
        d->at = at;
        d->capacity = room;
    }
    memcpy(d->at + d->size, bytes, size);
    d->size += size;
}

static void describe_int(description *d, int64_t x) { describe(d, &x, sizeof x); }

static void describe_access(description *d, const vj_program *p, const vj_kernel *k, const vj_access *access) {
    const vj_buffer *buffer = &p->buffers[access->buffer];
    const size_t row = (size_t)k->rank * sizeof(int64_t);
    describe_int(d, buffer->dtype);
    describe_int(d, buffer->kind == VJ_BUFFER_WEIGHT ? (int64_t)p->weights[buffer->index].kind + 1 : 0);
    vj_blocks blocks = {0};
    vj_has_blocks(p, access->buffer, &blocks);
    describe_int(d, blocks.bits);
    describe_int(d, blocks.block);
    describe_int(d, blocks.table);
    describe(d, access->stride, row);
    describe(d, &access->otherwise, sizeof access->otherwise);
    describe_int(d, access->term_count);
    for (int32_t t = 0; t < access->term_count; t++) {
        const vj_term *term = &access->terms[t];
        describe_int(d, term->kind);
        describe_int(d, term->stride);
        describe_int(d, term->extent);
        describe_int(d, term->constant);
        describe(d, term->coef, row);
        describe_int(d, term->kind == VJ_TERM_INDEX ? term->index : -1);
    }
}

static void describe_exprs(description *d, const vj_kernel *k) {
    describe_int(d, k->expr_count);
    for (int32_t i = 0; i < k->expr_count; i++) {
        const vj_expr *e = &k->expr[i];
        describe_int(d, e->op);
        describe_int(d, e->dtype);
        for (int32_t a = 0; a < vj_xop_args(e->op); a++)
            describe_int(d, e->arg[a]);
        describe_int(d, e->index);
        describe(d, &e->imm, sizeof e->imm);
    }
    describe_int(d, k->stage_count);
    for (int32_t i = 0; i < k->stage_count; i++) {
        describe_int(d, k->stage[i].reduce);
        describe_int(d, k->stage[i].expr);
    }
    describe_int(d, k->out_count);
    for (int32_t i = 0; i < k->out_count; i++) {
        describe_int(d, k->out[i].access);
        describe_int(d, k->out[i].expr);
        describe_int(d, k->out[i].segment);
    }
}

static void describe_kernel(description *d, const vj_program *p, const vj_kernel *k) {
    const int32_t numbers[] = {(int32_t)k->kind, k->rank, k->score_expr, k->weight_expr, k->access_count};
    d->size = 0;
    describe(d, numbers, sizeof numbers);
    describe(d, k->axes, sizeof k->axes);
    describe(d, k->operand, sizeof k->operand);
    describe(d, k->extent, (size_t)k->rank * sizeof *k->extent);
    for (int32_t i = 0; i < k->access_count; i++)
        describe_access(d, p, k, &k->access[i]);
    describe_exprs(d, k);
    if (k->schedule) describe(d, k->schedule, sizeof *k->schedule);
    describe_int(d, k->units);
    describe_int(d, k->routine);
    describe(d, k->param, sizeof k->param);
    describe(d, k->number, sizeof k->number);
}

static uint64_t hash_of(const description *d) {
    uint64_t hash = d->size;
    for (size_t at = 0; at < d->size; at += sizeof hash) {
        uint64_t word = 0;
        const size_t left = d->size - at;
        memcpy(&word, d->at + at, left < sizeof word ? left : sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio */
        hash ^= hash >> 32;
    }
    return hash;
}

/* Open addressing, at most half full. */
typedef struct seen {
    description is;
    uint64_t hash;
    int32_t number; /* of its code; -1: an empty place */
} seen;

static seen *find(seen *table, uint64_t room, const description *d, uint64_t hash) {
    for (uint64_t at = hash;; at++) {
        seen *s = &table[at & (room - 1)];
        if (s->number < 0 || (s->hash == hash && s->is.size == d->size && memcmp(s->is.at, d->at, d->size) == 0))
            return s;
    }
}

static seen *new_table(vj_arena *arena, int64_t count, uint64_t *room) {
    *room = 16;
    while (*room < 2 * (uint64_t)count)
        *room *= 2;
    seen *table = VJ_NEW_ARRAY(arena, seen, *room);
    for (uint64_t i = 0; i < *room; i++)
        table[i].number = -1;
    return table;
}

int32_t vj_distinct_kernels_of(const vj_program *const *programs, int32_t program_count, int32_t *number) {
    int32_t total = 0, count = 0, i = 0;
    for (int32_t q = 0; q < program_count; q++)
        total += programs[q]->kernel_count;
    vj_arena *arena = programs[0]->arena;
    uint64_t room;
    seen *table = new_table(arena, total, &room);
    description d = {.arena = arena};
    for (int32_t q = 0; q < program_count; q++)
        for (int32_t k = 0; k < programs[q]->kernel_count; k++, i++) {
            describe_kernel(&d, programs[q], programs[q]->kernels[k]);
            const uint64_t hash = hash_of(&d);
            seen *s = find(table, room, &d, hash);
            if (s->number < 0) {
                *s = (seen){d, hash, count++};
                d = (description){.arena = arena};
            }
            number[i] = s->number;
        }
    return count;
}

int32_t vj_distinct_kernels(const vj_program *p, int32_t *number) { return vj_distinct_kernels_of(&p, 1, number); }

static bool is_plain(const char *name) {
    return *name && strlen(name) < 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(name);
}

void vj_kernel_symbol(const vj_kernel *k, int32_t number, char *name, size_t size) {
    const vj_kind_row *kind = vj_kind_at(k->kind);
    int at = snprintf(name, size, "vj_%s", kind->name);
    if (!kind->is_call && strcmp(k->name, kind->name) != 0 && is_plain(k->name))
        at += snprintf(name + at, size - (size_t)at, "_%s", k->name);
    if (kind->is_call) at += snprintf(name + at, size - (size_t)at, "_%s", vj_routine_at(k->routine)->name);
    for (int32_t i = 0; i < k->rank && at > 0 && (size_t)at < size; i++)
        at += snprintf(name + at, size - (size_t)at, "%s%lld", i ? "x" : "_", (long long)k->extent[i]);
    if (at > 0 && (size_t)at < size) snprintf(name + at, size - (size_t)at, "_%d", (int)number);
}
