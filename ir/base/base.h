/* base.h - what every folder of the compiler stands on: memory, checked arithmetic, errors.
 *
 * arena.c   everything of a function lives in one arena and goes with it
 * error.c   the first failure, with its status, text and hint
 * Every size that comes from a model passes through the checked arithmetic below before it is used.
 */
#ifndef VITJIT_IR_BASE_BASE_H
#define VITJIT_IR_BASE_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vitjit.h"

#if defined(__GNUC__)
#define VJ_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define VJ_MUST_USE          __attribute__((warn_unused_result))
#else
#define VJ_PRINTF(fmt, args)
#define VJ_MUST_USE
#endif

/* arena.c */

/* A bump allocator. Memory is zeroed and aligned to 16 bytes. When the machine has no more, or the budget is used up,
 * it jumps to `on_oom` if that was set, else ends the process with status 5. */
typedef struct vj_arena vj_arena;

vj_arena *vj_arena_new(void);
void vj_arena_free(vj_arena *arena); /* NULL is fine */
void vj_arena_on_oom(vj_arena *arena, jmp_buf *target);
void vj_arena_limit(vj_arena *arena, size_t bytes); /* the budget; default: no limit but the machine's */
size_t vj_arena_used(const vj_arena *arena);
void *vj_alloc(vj_arena *arena, size_t bytes);
void *vj_alloc_array(vj_arena *arena, size_t count, size_t size); /* checks count * size */
char *vj_strdup(vj_arena *arena, const char *text);
char *vj_strndup(vj_arena *arena, const char *text, size_t length);
char *vj_sprintf(vj_arena *arena, const char *format, ...) VJ_PRINTF(2, 3);

/* Calls back when the arena is freed, last come first served: for what memory alone does not give back (files). */
void vj_arena_at_free(vj_arena *arena, void (*call)(void *self), void *self);
/* Gives back everything allocated since the mark; callbacks must not have been added since. For scratch memory. */
typedef struct vj_arena_mark {
    void *block;
    size_t used, total;
} vj_arena_mark;
vj_arena_mark vj_arena_save(vj_arena *arena);
void vj_arena_release(vj_arena *arena, vj_arena_mark mark);

#define VJ_NEW(arena, type)              ((type *)vj_alloc((arena), sizeof(type)))
#define VJ_NEW_ARRAY(arena, type, count) ((type *)vj_alloc_array((arena), (size_t)(count), sizeof(type)))

/* Makes room for one more in an array of `count` used of `capacity`; returns the array, moved if it had to grow. */
void *vj_grow(vj_arena *arena, void *array, int32_t count, int32_t *capacity, size_t size);
#define VJ_PUSH(arena, array, count, capacity)                                                                         \
    ((array) = vj_grow((arena), (array), (count), &(capacity), sizeof *(array)), &(array)[(count)++])

/* Checked arithmetic: false when the result does not fit. Results are written only on success. */

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

/* Is [offset, offset + length) inside [0, size)? All must be >= 0. */
static inline bool vj_range_inside(int64_t offset, int64_t length, int64_t size) {
    return offset >= 0 && length >= 0 && offset <= size && length <= size - offset;
}

static inline int64_t vj_round_up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }
static inline int64_t vj_ceil_div(int64_t x, int64_t y) { return (x + y - 1) / y; }
static inline int64_t vj_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t vj_max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* Element types. The public vj_dtype_bytes and vj_dtype_name are the runtime's; the compiler does not link it. */

/* Bytes of one element; 0 for VJ_NO_DTYPE. */
static inline int64_t vj_element_bytes(vj_dtype dtype) {
    static const int8_t bytes[VJ_DTYPE_COUNT] = {0, 4, 8, 2, 2, 1, 1, 2, 2, 4, 4, 8, 8, 1};
    return (unsigned)dtype < VJ_DTYPE_COUNT ? bytes[dtype] : 0;
}

static inline const char *vj_element_name(vj_dtype dtype) {
    static const char names[VJ_DTYPE_COUNT][5] = {"none", "f32", "f64", "f16", "bf16", "i8",  "u8",
                                                  "i16",  "u16", "i32", "u32", "i64",  "u64", "bool"};
    return names[(unsigned)dtype < VJ_DTYPE_COUNT ? dtype : VJ_NO_DTYPE];
}

/* error.c */

/* The first failure of a compilation. `text` is one sentence without a final period that names the node or the place;
 * `hint` says what would work, or is empty. An error without a failure is zeroed. */
typedef struct vj_error {
    vj_status status;
    char text[2048];
    char hint[512];
} vj_error;

/* Notes the failure unless there is one already; returns the status that stands. */
vj_status vj_fail(vj_error *error, vj_status status, const char *format, ...) VJ_PRINTF(3, 4);
void vj_hint(vj_error *error, const char *format, ...) VJ_PRINTF(2, 3);

/* number.c: as strtod and snprintf("%.*g"), but always with a point, whatever locale the host program has set. */
double vj_strtod(const char *text, char **end);
void vj_print_double(char out[40], int precision, double value);

/* A growing text, in an arena. */
typedef struct vj_text {
    vj_arena *arena;
    char *at;
    size_t length, capacity;
} vj_text;
void vj_text_add(vj_text *text, const char *format, ...) VJ_PRINTF(2, 3);

#endif
