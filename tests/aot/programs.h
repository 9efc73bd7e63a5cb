/* SPDX-License-Identifier: Apache-2.0 */
/* programs.h - a small planned program for the tests of objects. Its kernels are built by hand; the evaluator computes
 * the expected answers. */
#ifndef VITJIT_TESTS_AOT_PROGRAMS_H
#define VITJIT_TESTS_AOT_PROGRAMS_H

#include "ir/kernel/kernel.h"
#include "target/schedule.h"

#define MAX_BATCH 8

/* Input and output are ROWS x COLS floats: layernorm, then a product with packed weights and a bias, then gelu and the
 * residual. A second output has each row's mean. */
enum { ROWS = 7, COLS = 37 };
vj_program *small_program(vj_arena *arena, const vj_target *target);
/* Writes the packed weights, weights_bytes in all. */
void small_weights(const vj_program *p, void *data);
/* Computes both outputs for n images by the evaluator. */
void small_answers(const vj_program *p, const void *weights, int64_t n, const float *in, double *out, double *mean);
void small_input(int64_t n, float *in);

#endif
