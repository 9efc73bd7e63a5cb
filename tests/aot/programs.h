/* programs.h - small planned programs for the tests of objects: their kernels built by hand, their answers by the
 * evaluator. */
#ifndef VITJIT_TESTS_AOT_PROGRAMS_H
#define VITJIT_TESTS_AOT_PROGRAMS_H

#include "ir/kernel/kernel.h"
#include "target/schedule.h"

#define MAX_BATCH 8

/* ROWS x COLS floats in, the same out: layernorm, then a product with packed weights and a bias, then gelu and the
 * residual; a second output has each row's mean. */
enum { ROWS = 7, COLS = 37 };
vj_program *small_program(vj_arena *arena, const vj_target *target);
/* The packed weights' data, weights_bytes of them. */
void small_weights(const vj_program *p, void *data);
/* Two outputs of n images from n images, by the evaluator. */
void small_answers(const vj_program *p, const void *weights, int64_t n, const float *in, double *out, double *mean);
void small_input(int64_t n, float *in);

#endif
