/* SPDX-License-Identifier: Apache-2.0 */
/* canonicalise.h - private to the pass `canonicalise`: rewrites of one node that are code. Each returns the value that takes the node's
 * place, or VJ_NONE.
 *
 * canonicalise.c         the pass: its rules, and movement ops of movement ops
 * canonicalise_gather.c  gathers that are slices
 * canonicalise_concat.c  concats of transposes
 */
#ifndef VITJIT_PASSES_ALGEBRA_CANONICALISE_H
#define VITJIT_PASSES_ALGEBRA_CANONICALISE_H

#include "passes/rewrite/rewrite.h"

vj_value vj_slices_of_gather(vj_func *f, const vj_node *gather);
vj_value vj_transpose_of_concat(vj_func *f, const vj_node *concat);

#endif
