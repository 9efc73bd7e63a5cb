/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - lowers a function, runs its program kernel by kernel in one arena, and compares with the function itself. */
#ifndef VITJIT_TESTS_LOWER_RUN_H
#define VITJIT_TESTS_LOWER_RUN_H

#include "passes/passes.h"

/* Has the products of a function computed in bf16. */
bool choose_bf16(vj_arena *arena, vj_func *f, vj_error *error);
/* Lowers, lays out, partitions and plans a function, and verifies each step. Returns NULL on an error. */
vj_program *lower_function(vj_arena *arena, vj_func *f, vj_error *error);
/* The largest difference between the program's results and the function's on seeded inputs, divided by the largest
 * magnitude; negative on an error. */
double difference(vj_arena *arena, const vj_program *p, vj_error *error);
/* Does both for the text of a function. Fails the test when the results differ by more than 1e-12. */
vj_program *check_text(vj_arena *arena, const char *text);

#endif
