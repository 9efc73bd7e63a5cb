/* SPDX-License-Identifier: Apache-2.0 */
/* mutate_blocks.h - private to the changes of models. */
#ifndef VITJIT_TESTS_FUZZ_MUTATE_BLOCKS_H
#define VITJIT_TESTS_FUZZ_MUTATE_BLOCKS_H

#include "graph.h"

#include "onnx.pb-c.h"

/* A node of MatMulNBits or MatMulBnb4 gets other blocks, bits, a table or columns, and its initializers mostly the sizes that follow.
 * False: the node is another. */
bool change_blocks(rng *r, vj_arena *arena, const Onnx__GraphProto *g, const Onnx__NodeProto *node);

#endif
