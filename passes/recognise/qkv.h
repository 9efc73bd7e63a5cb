/* SPDX-License-Identifier: Apache-2.0 */
/* qkv.h - private to the pass `qkv`.
 *
 * qkv.c        the pass, and linears over one x
 * qkv_bytes.c  products of bytes, with what scales them behind
 */
#ifndef VITJIT_PASSES_RECOGNISE_QKV_H
#define VITJIT_PASSES_RECOGNISE_QKV_H

#include "passes/rewrite/rewrite.h"

enum { VJ_QKV = 3 };

/* The product of bytes by a weight that v is of, behind sums, products and casts with constants and numbers; VJ_NONE. */
vj_value vj_bytes_behind(const vj_func *f, vj_value v);
/* Values that are made in one way of products of bytes over one x, side by side along their last axis; VJ_NONE: they are not. */
vj_value vj_side_by_side(vj_func *f, const vj_value *values, int32_t count);

#endif
