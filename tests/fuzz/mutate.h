/* SPDX-License-Identifier: Apache-2.0 */
/* mutate.h - changes to ONNX models that a careless exporter or an attacker could make. */
#ifndef VITJIT_TESTS_FUZZ_MUTATE_H
#define VITJIT_TESTS_FUZZ_MUTATE_H

#include "graph.h"

/* Returns a changed copy, malloc'ed, and describes the change in `what`; NULL when the bytes are no model. */
uint8_t *mutate(rng *r, const uint8_t *model, size_t size, size_t *mutated, char *what, size_t room);

#endif
