/* SPDX-License-Identifier: Apache-2.0 */
/* harness.h - runs single kernels by ORC on buffers between guard pages. */
#ifndef VITJIT_TESTS_KERNELS_HARNESS_H
#define VITJIT_TESTS_KERNELS_HARNESS_H

#include "ir/kernel/kernel.h"
#include "target/schedule.h"

/* A kernel's code. */
typedef struct code code;
code *code_make(const vj_target *target, const vj_program *p, const vj_kernel *k);
/* Generates code for any target, and checks as code_make does that it needs no symbol of others. */
void code_check(const vj_target *target, const vj_program *p, const vj_kernel *k);
/* What the generator makes for a target, without the names of the CPU and its features, and how many units it has: where that is the
 * same for two targets, LLVM alone can make a difference. */
typedef struct code_source {
    void *bytes;
    size_t size;
    int64_t units;
} code_source;
code_source code_generate(const vj_target *target, const vj_program *p, const vj_kernel *k);
bool code_same(const code_source *a, const code_source *b);
void code_source_free(code_source *source);
/* Expects that the generator refuses a kernel, and copies its reason. */
void code_refusal(const vj_target *target, const vj_program *p, const vj_kernel *k, vj_error *error);
void code_free(code *c);
/* Runs units [first, last). `buffers` has the elements of each buffer of the program. */
void code_run(const code *c, void *const *buffers, int64_t first, int64_t last);
/* Machine code as text, malloc'ed. */
char *code_assembly(const vj_target *target, const vj_program *p, const vj_kernel *k);

/* Memory whose bytes end (at_end) or begin exactly at a page that must not be touched. */
typedef struct guarded {
    void *at;
    void *map;
    size_t map_bytes;
} guarded;
guarded guarded_new(size_t bytes, int at_end);
void guarded_free(guarded *g);

/* A generator of random numbers that are the same on every machine. */
typedef struct rng {
    uint64_t state;
} rng;
uint32_t rng_next(rng *r);
float rng_float(rng *r, float low, float high);

#endif
