/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - the bump allocator. All memory of a function lives in one arena and is freed with it. */
#include "base.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16
#ifndef VJ_ARENA_BLOCKS /* tests/fault has a block an allocation */
#define FIRST_BLOCK ((size_t)32 << 10)
#define LAST_BLOCK  ((size_t)1 << 20) /* blocks double up to this; a larger request gets a block of its own size */
#else
#define FIRST_BLOCK VJ_ARENA_BLOCKS
#define LAST_BLOCK  VJ_ARENA_BLOCKS
#endif

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
    jmp_buf *way_out; /* of vj_arena_try; NULL: the parent's */
    at_free *at_free;
    vj_arena *parent;         /* or NULL */
    vj_arena *children;       /* the newest first, */
    vj_arena *before, *after; /* linked by these */
};

/* A root outside of vj_arena_try is a fault of the program: it has no answer to give. */
_Noreturn void vj_out_of_memory(const vj_arena *arena) {
    while (!arena->way_out && arena->parent)
        arena = arena->parent;
    assert(arena->way_out && "an arena without a way out has no memory left");
    if (arena->way_out) longjmp(*arena->way_out, 1);
    __builtin_trap();
}

vj_arena *vj_arena_new(void) {
    vj_arena *arena = calloc(1, sizeof *arena);
    if (arena) arena->limit = SIZE_MAX;
    return arena;
}

vj_arena *vj_arena_scratch(vj_arena *parent) {
    vj_arena *arena = vj_arena_new();
    if (!arena) vj_out_of_memory(parent);
    arena->parent = parent;
    arena->after = parent->children;
    if (arena->after) arena->after->before = arena;
    parent->children = arena;
    return arena;
}

static void leave_parent(vj_arena *arena) {
    if (arena->before)
        arena->before->after = arena->after;
    else
        arena->parent->children = arena->after;
    if (arena->after) arena->after->before = arena->before;
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
    while (arena->children)
        vj_arena_free(arena->children);
    for (at_free *it = arena->at_free; it; it = it->before)
        it->call(it->self);
    free_down_to(arena, NULL);
    if (arena->parent) leave_parent(arena);
    free(arena);
}

bool vj_arena_try(vj_arena *arena, void (*work)(void *self), void *self) {
    jmp_buf here;
    if (!arena) return false;
    jmp_buf *const was = arena->way_out;
    if (setjmp(here)) {
        arena->way_out = was;
        return false;
    }
    arena->way_out = &here;
    work(self);
    arena->way_out = was;
    return true;
}

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
    if (!b) vj_out_of_memory(arena);
    *b = (block){.before = arena->last, .size = size};
    arena->last = b;
}

void *vj_alloc(vj_arena *arena, size_t bytes) {
    if (bytes > (size_t)PTRDIFF_MAX / 2) vj_out_of_memory(arena); /* no machine has so much */
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded > arena->limit || arena->total > arena->limit - rounded) vj_out_of_memory(arena);
    if (!arena->last || rounded > arena->last->size - arena->last->used) add_block(arena, rounded);
    uint8_t *at = (uint8_t *)(arena->last + 1) + arena->last->used;
    arena->last->used += rounded;
    arena->total += rounded;
    return memset(at, 0, rounded);
}

void *vj_alloc_array(vj_arena *arena, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) vj_out_of_memory(arena);
    return vj_alloc(arena, bytes);
}

char *vj_strndup(vj_arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX) vj_out_of_memory(arena);
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
    if (*capacity > INT32_MAX / 2) vj_out_of_memory(arena);
    int32_t larger = *capacity ? *capacity * 2 : 8;
    void *moved = vj_alloc_array(arena, (size_t)larger, size);
    if (count > 0) memcpy(moved, array, (size_t)count * size);
    *capacity = larger;
    return moved;
}
