/* harness.h - runs single kernels: code through ORC, buffers between guard pages, the evaluator beside it. */
#ifndef VITJIT_TESTS_KERNELS_HARNESS_H
#define VITJIT_TESTS_KERNELS_HARNESS_H

#include "ir/kernel/kernel.h"
#include "target/schedule.h"

/* A kernel's code. Pointers to accesses are passed as an array. */
typedef struct code code;
code *code_make(const vj_target *target, const vj_program *p, const vj_kernel *k);
/* Generates code for a target that this CPU may not be; it must need no other symbol (code_make checks that too). */
void code_check(const vj_target *target, const vj_program *p, const vj_kernel *k);
void code_free(code *c);
/* Units [first, last) on `buffers`, which hold the elements of each buffer of the program. */
void code_run(const code *c, void *const *buffers, int64_t first, int64_t last);
/* Machine code as text, malloc'ed. */
char *code_assembly(const vj_target *target, const vj_program *p, const vj_kernel *k);

/* `bytes` that end (at_end) or begin exactly at a page that must not be touched. */
typedef struct guarded {
    void *at;
    void *map;
    size_t map_bytes;
} guarded;
guarded guarded_new(size_t bytes, int at_end);
void guarded_free(guarded *g);

/* Rows of vj_target_at that this CPU can run. */
int target_runs_here(const vj_target *target);

/* A small generator of numbers, the same everywhere. */
typedef struct rng {
    uint64_t state;
} rng;
uint32_t rng_next(rng *r);
float rng_float(rng *r, float low, float high);

#endif
