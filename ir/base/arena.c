/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - the bump allocator. All memory of a function lives in one arena and is freed with it. */
#include "base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT   16
#define FIRST_BLOCK ((size_t)32 << 10)
#define LAST_BLOCK  ((size_t)1 << 20) /* blocks double up to this; a larger request gets a block of its own size */

typedef struct block {
    struct block *before;
    size_t size; /* the bytes of data behind this header */
    size_t used;
    size_t unused_word; /* keeps the header a multiple of ALIGNMENT */
} block;
_Static_assert(sizeof(block) % ALIGNMENT == 0, "data must be aligned behind the header");

typedef struct at_free {
    struct at_free *before;
    void (*call)(void *self);
    void *self;
} at_free;

struct vj_arena {
    block *last;
    size_t total; /* bytes handed out, rounded to ALIGNMENT */
    size_t limit;
    jmp_buf *on_oom;
    at_free *at_free;
};

static _Noreturn void out_of_memory(vj_arena *arena, size_t bytes) {
    if (arena && arena->on_oom) longjmp(*arena->on_oom, 1);
    fprintf(stderr, "vitjit: out of memory (asked for %zu bytes)\n", bytes);
    exit(VJ_SYSTEM);
}

vj_arena *vj_arena_new(void) {
    vj_arena *arena = calloc(1, sizeof *arena);
    if (!arena) out_of_memory(NULL, sizeof *arena);
    arena->limit = SIZE_MAX;
    return arena;
}

static void free_down_to(vj_arena *arena, const block *keep) {
    while (arena->last != keep) {
        block *gone = arena->last;
        arena->last = gone->before;
        free(gone);
    }
}

void vj_arena_free(vj_arena *arena) {
    if (!arena) return;
    for (at_free *it = arena->at_free; it; it = it->before)
        it->call(it->self);
    free_down_to(arena, NULL);
    free(arena);
}

void vj_arena_on_oom(vj_arena *arena, jmp_buf *target) { arena->on_oom = target; }
void vj_arena_limit(vj_arena *arena, size_t bytes) { arena->limit = bytes; }
size_t vj_arena_used(const vj_arena *arena) { return arena->total; }

void vj_arena_at_free(vj_arena *arena, void (*call)(void *self), void *self) {
    at_free *it = VJ_NEW(arena, at_free);
    *it = (at_free){arena->at_free, call, self};
    arena->at_free = it;
}

vj_arena_mark vj_arena_save(vj_arena *arena) {
    return (vj_arena_mark){arena->last, arena->last ? arena->last->used : 0, arena->total};
}

void vj_arena_release(vj_arena *arena, vj_arena_mark mark) {
    free_down_to(arena, mark.block);
    if (arena->last) arena->last->used = mark.used;
    arena->total = mark.total;
}

static void add_block(vj_arena *arena, size_t bytes) {
    size_t size = arena->last ? arena->last->size * 2 : FIRST_BLOCK;
    if (size > LAST_BLOCK) size = LAST_BLOCK;
    if (size < bytes) size = bytes;
    block *b = size <= SIZE_MAX - sizeof *b ? malloc(sizeof *b + size) : NULL;
    if (!b) out_of_memory(arena, bytes);
    *b = (block){.before = arena->last, .size = size};
    arena->last = b;
}

void *vj_alloc(vj_arena *arena, size_t bytes) {
    if (bytes > (size_t)PTRDIFF_MAX / 2) out_of_memory(arena, bytes); /* no machine has so much */
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded > arena->limit || arena->total > arena->limit - rounded) out_of_memory(arena, bytes);
    if (!arena->last || rounded > arena->last->size - arena->last->used) add_block(arena, rounded);
    uint8_t *at = (uint8_t *)(arena->last + 1) + arena->last->used;
    arena->last->used += rounded;
    arena->total += rounded;
    return memset(at, 0, rounded);
}

void *vj_alloc_array(vj_arena *arena, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) out_of_memory(arena, SIZE_MAX);
    return vj_alloc(arena, bytes);
}

char *vj_strndup(vj_arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX) out_of_memory(arena, length);
    char *copy = vj_alloc(arena, length + 1);
    return length ? memcpy(copy, text, length) : copy;
}

char *vj_strdup(vj_arena *arena, const char *text) { return vj_strndup(arena, text, strlen(text)); }

char *vj_sprintf(vj_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = vj_alloc(arena, (size_t)(length < 0 ? 0 : length) + 1);
    if (length > 0) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void *vj_grow(vj_arena *arena, void *array, int32_t count, int32_t *capacity, size_t size) {
    if (count < *capacity) return array;
    if (*capacity > INT32_MAX / 2) out_of_memory(arena, SIZE_MAX);
    int32_t larger = *capacity ? *capacity * 2 : 8;
    void *moved = vj_alloc_array(arena, (size_t)larger, size);
    if (count > 0) memcpy(moved, array, (size_t)count * size);
    *capacity = larger;
    return moved;
}
