/* SPDX-License-Identifier: Apache-2.0 */
/* attention_product.h - private to the attention generator: a product of tiles. */
#ifndef VITJIT_BACKEND_KERNELS_ATTENTION_PRODUCT_H
#define VITJIT_BACKEND_KERNELS_ATTENTION_PRODUCT_H

#include "attention.h"
#include "micro.h"

/* Adds a[height] * b[width] to acc[height][width], `steps` times. Where a pointer is NULL, vj_emit_load reads the access. */
typedef struct vj_product {
    const vj_attention *m;
    vj_micro micro;
    int32_t height, width;
    int32_t last_lanes;        /* of the last vector */
    LLVMValueRef first, steps; /* of the depth: its first index, and how many; constants but for a block of keys */
    int32_t depth_axis, row_axis, lane_axis;
    int32_t a_access, b_access;
    LLVMValueRef a;
    int64_t a_row, a_step; /* elements */
    LLVMValueRef b;        /* of groups of the depth */
    vj_dtype b_dtype;      /* the bits of a group: f32, or i32 of a pair of halves */
    int64_t b_step;        /* from one group to the next, in groups */
    vj_point point;        /* of row 0 and vector 0 */
} vj_product;

static inline LLVMValueRef vj_plus(const vj_gen *g, LLVMValueRef x, int64_t n) {
    return n == 0 ? x : LLVMBuildNSWAdd(g->b, x, vj_i64(g, n), "");
}

static inline int32_t vj_product_lanes(const vj_product *t, int32_t v) {
    return v == t->width - 1 ? t->last_lanes : t->m->lanes;
}

/* attention_place.c: where operands are read from */

vj_micro vj_product_micro(const vj_attention *m);
/* Sets the point: the batch's indices, `row` and `lane` on their axes, zero elsewhere. */
void vj_product_go_to(vj_product *t, LLVMValueRef row, LLVMValueRef lane);
/* Where row r of vector v is. */
vj_point vj_product_point(const vj_product *t, int32_t r, int32_t v);
/* Where the access is at the point. */
LLVMValueRef vj_access_at(const vj_attention *m, int32_t access, const vj_point *point);
/* Sets b for the tile of keys, or of value dims, at t->point. */
void vj_place_keys(vj_product *t);
void vj_place_values(vj_product *t);

#endif
