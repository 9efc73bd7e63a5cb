/* SPDX-License-Identifier: Apache-2.0 */
/* base.h - what every folder of the compiler uses: memory, checked arithmetic, errors.
 *
 * arena.c   the bump allocator: all memory of a function lives in one arena and is freed with it
 * error.c   the first failure of a compilation, with its status, text and hint
 * advice.c  hints that name a setting
 * Every size that comes from a model passes through the checked arithmetic below before it is used.
 */
#ifndef VITJIT_IR_BASE_BASE_H
#define VITJIT_IR_BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vitjit.h"
#include "vitjit_dtype.h"

#if defined(__GNUC__)
#define VJ_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define VJ_MUST_USE          __attribute__((warn_unused_result))
#else
#define VJ_PRINTF(fmt, args)
#define VJ_MUST_USE
#endif

/* arena.c */

/* A bump allocator. Memory is zeroed and aligned to 16 bytes. When the machine has no more, or the budget is used up, the
 * innermost vj_arena_try of the arena or of one that it was made from returns false; there must be one. */
typedef struct vj_arena vj_arena;

vj_arena *vj_arena_new(void); /* a root; NULL: no memory */
/* Ends where its parent ends, and is freed with it if not sooner, so that a way out past the caller leaks nothing. Of one
 * thread's, as its parent is. */
vj_arena *vj_arena_scratch(vj_arena *parent);
void vj_arena_free(vj_arena *arena); /* NULL is fine */
/* Calls work(self). False: memory ended before it returned, or the arena is NULL. What work has allocated from the arena stays. */
bool vj_arena_try(vj_arena *arena, void (*work)(void *self), void *self) VJ_MUST_USE;
/* Takes the way out, for who allocates elsewhere beside an arena. */
_Noreturn void vj_out_of_memory(const vj_arena *arena);
void vj_arena_limit(vj_arena *arena, size_t bytes); /* sets the budget; by default there is none */
size_t vj_arena_used(const vj_arena *arena);
void *vj_alloc(vj_arena *arena, size_t bytes);
void *vj_alloc_array(vj_arena *arena, size_t count, size_t size); /* checks count * size */
char *vj_strdup(vj_arena *arena, const char *text);
char *vj_strndup(vj_arena *arena, const char *text, size_t length);
char *vj_sprintf(vj_arena *arena, const char *format, ...) VJ_PRINTF(2, 3);

/* Registers a callback for when the arena is freed, for what freeing memory does not release (files). The last one
 * registered runs first. */
void vj_arena_at_free(vj_arena *arena, void (*call)(void *self), void *self);
/* Scratch memory: vj_arena_release frees everything allocated since the mark. No callback may have been added since. */
typedef struct vj_arena_mark {
    void *block;
    size_t used, total;
} vj_arena_mark;
vj_arena_mark vj_arena_save(vj_arena *arena);
void vj_arena_release(vj_arena *arena, vj_arena_mark mark);

#define VJ_NEW(arena, type)              ((type *)vj_alloc((arena), sizeof(type)))
#define VJ_NEW_ARRAY(arena, type, count) ((type *)vj_alloc_array((arena), (size_t)(count), sizeof(type)))

/* Makes room for one more element in an array that uses `count` of `capacity`. Returns the array, moved if it grew. */
void *vj_grow(vj_arena *arena, void *array, int32_t count, int32_t *capacity, size_t size);
#define VJ_PUSH(arena, array, count, capacity)                                                                         \
    ((array) = vj_grow((arena), (array), (count), &(capacity), sizeof *(array)), &(array)[(count)++])

/* Checked arithmetic. Returns false when the result does not fit; *out is written only on success. */

static inline bool vj_mul(int64_t a, int64_t b, int64_t *out) {
    int64_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline bool vj_add(int64_t a, int64_t b, int64_t *out) {
    int64_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

/* Returns whether [offset, offset + length) lies inside [0, size) and none of the three is negative. */
static inline bool vj_range_inside(int64_t offset, int64_t length, int64_t size) {
    return offset >= 0 && length >= 0 && offset <= size && length <= size - offset;
}

static inline int64_t vj_round_up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }
static inline int64_t vj_ceil_div(int64_t x, int64_t y) { return (x + y - 1) / y; }
static inline int64_t vj_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t vj_max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* error.c */

/* The first failure of a compilation. `text` is one sentence without a final period that names the node or the position
 * in a file; `hint` says what would work, or is empty. Before a failure all is zero. */
typedef struct vj_error {
    vj_status status;
    char text[2048];
    char hint[512];
    bool for_command; /* hints name the command's options, else members of vj_options; stays as it is */
} vj_error;

/* Notes the failure unless there is one already. Returns the status of the first failure. */
vj_status vj_fail(vj_error *error, vj_status status, const char *format, ...) VJ_PRINTF(3, 4);
void vj_hint(vj_error *error, const char *format, ...) VJ_PRINTF(2, 3);

/* advice.c: hints for a graph that wants a batch of n; of a size that it does not say; the shape of an input; its value. */
void vj_advise_batch(vj_error *error, int64_t n);
void vj_advise_own_batch(vj_error *error);
void vj_advise_shape(vj_error *error, const char *input, const char *example);
void vj_advise_value(vj_error *error, const char *input);

/* number.c: like strtod and snprintf("%.*g"), but with a decimal point in every locale that the host program may
 * set. */
double vj_strtod(const char *text, char **end);
void vj_print_double(char out[40], int precision, double value);

/* A text that grows in an arena. */
typedef struct vj_text {
    vj_arena *arena;
    char *at;
    size_t length, capacity;
} vj_text;
void vj_text_add(vj_text *text, const char *format, ...) VJ_PRINTF(2, 3);

#endif
