/* mutate.h - changes to ONNX models that a careless exporter or an attacker could make. */
#ifndef VITJIT_TESTS_FUZZ_MUTATE_H
#define VITJIT_TESTS_FUZZ_MUTATE_H

#include "graph.h"

/* A changed copy, malloc'ed; what was changed goes to `what`. NULL: these bytes are no model. */
uint8_t *mutate(rng *r, const uint8_t *model, size_t size, size_t *mutated, char *what, size_t room);

#endif
