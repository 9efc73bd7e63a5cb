/* SPDX-License-Identifier: Apache-2.0 */
/* answers.h - what the evaluator says of a case, and how far code may be from it. */
#ifndef VITJIT_TESTS_KERNELS_ANSWERS_H
#define VITJIT_TESTS_KERNELS_ANSWERS_H

#include "kernelcheck.h"

/* What an element may be where numbers beside a tie are rounded to either side: *expected, and what is between those that lean. */
typedef struct answers {
    double **expected, **less, **more; /* less, more: NULL where nothing is */
    double **magnitude;
} answers;

/* Rounds the values of each buffer to its type. */
void case_round(const kernel_case *c);
/* Memory of a buffer's type from floats. */
void case_to_memory(vj_dtype dtype, const float *values, int64_t count, void *memory);
answers case_answers(const kernel_case *c);
/* Fails where an element of what code of the target left in the buffers is too far off; `how` it was run. */
void answers_compare(const kernel_case *c, const vj_target *target, const char *how, void *const *got,
                     const answers *a);

#endif
