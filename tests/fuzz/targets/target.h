/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - what the fuzz targets share. Each NAME.c has the one function that a fuzzing engine, or replay.c, calls with bytes; it fails
 * by a sanitizer's report, a trap, a hang or by its memory.
 *
 * file.c     bytes as a file; a folder of the process's own
 * plan.c     a function through verifier, passes and planner; an arena for it
 * mutator.c  changes of ONNX models that mean something, for the engine
 * replay.c   runs a folder of inputs without an engine
 */
#ifndef VITJIT_TESTS_FUZZ_TARGETS_TARGET_H
#define VITJIT_TESTS_FUZZ_TARGETS_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The engine's names. */
__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((visibility("default"))) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most,
                                                                      unsigned int seed);
__attribute__((visibility("default"))) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* What must hold beside memory's safety. */
#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

/* A copy of exactly that size, so that the sanitizer sees what is read beyond it; aligned for any type. */
static inline void *exact_copy(const uint8_t *data, size_t size) {
    void *copy = calloc(size ? size : 1, 1);
    if (!copy) exit(2);
    if (size) memcpy(copy, data, size);
    return copy;
}

/* With a zero behind it. */
static inline char *text_copy(const uint8_t *data, size_t size) {
    char *copy = malloc(size + 1);
    if (!copy) exit(2);
    if (size) memcpy(copy, data, size);
    copy[size] = 0;
    return copy;
}

/* Bytes that decide something, one after another; zeros behind the last. */
typedef struct supply {
    const uint8_t *at;
    size_t left;
} supply;
static inline uint8_t next_byte(supply *s) {
    if (s->left == 0) return 0;
    s->left--;
    return *s->at++;
}
static inline uint64_t next_u64(supply *s) {
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x |= (uint64_t)next_byte(s) << 8 * i;
    return x;
}

/* file.c. The file is one, written anew; the path stays the same. Both end the program when the system fails them. */
const char *file_of(const uint8_t *data, size_t size);
int descriptor_of(const uint8_t *data, size_t size); /* of the same; not the caller's to close */
const char *own_folder(void); /* made empty at the first call, closed to others, removed when the program ends */
void file_in_folder(const char *name, const uint8_t *data, size_t size);
void file_gone(const char *name);

/* plan.c */
struct vj_arena;
struct vj_func;
struct vj_error;
/* work(self) with *arena, which is freed behind it and has half a gigabyte: what needs more is too large a model, not a defect. */
void with_arena(struct vj_arena **arena, void (*work)(void *self), void *self);
/* The status of the passes on a function that the verifier took. `choice` picks a target and options. */
int plan_function(struct vj_arena *arena, struct vj_func *f, uint64_t choice, struct vj_error *error);

#endif
