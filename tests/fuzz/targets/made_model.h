/* SPDX-License-Identifier: Apache-2.0 */
/* made_model.h - a small model that no compiler made, for sequences of calls. */
#ifndef VITJIT_TESTS_FUZZ_TARGETS_MADE_MODEL_H
#define VITJIT_TESTS_FUZZ_TARGETS_MADE_MODEL_H

#include "runtime/runtime.h"

enum { MADE_X = 16, MADE_K = 8, MADE_Y = 12, MADE_Z = 20, MADE_BATCH = 9, MADE_PHASES = 2 };

/* An image without weights: x f32[N,4], k i32[2] which must be 1, 2; y f32[N,3] and z i32[5], which the run says the size of. malloc'ed. */
void *made_image(size_t *bytes);
/* Its code, in C: reads every byte of its share of the inputs, writes every byte of the outputs and of its scratch slot. */
void made_phase(const vj_args *args, int32_t phase, int32_t part, int32_t parts);
/* What a run writes as the size of z. */
extern int64_t made_size;

#endif
