/* SPDX-License-Identifier: Apache-2.0 */
/* infer.h - what the inference functions share (check.c). vj_infer_<id> gives the result types of op <id> of ops.def.
 * When it is called, the number of operands and the presence and kinds of operands and attributes have been checked. */
#ifndef VITJIT_IR_INFER_INFER_H
#define VITJIT_IR_INFER_INFER_H

#include "ir/tensor/ir.h"

typedef struct vj_inference {
    const vj_func *f;
    const vj_node *node;
    vj_type *results;
    vj_error *error;
} vj_inference;

#define OP(id, ...) bool vj_infer_##id(vj_inference *in);
#include "ir/tensor/ops.def"
#undef OP

/* Notes what is wrong, after the op's name. Returns false. */
bool vj_infer_fail(vj_inference *in, const char *format, ...) VJ_PRINTF(2, 3);

/* The type of operand i, or NULL when it is absent. */
static inline const vj_type *vj_infer_arg(const vj_inference *in, int32_t i) {
    return i < in->node->arg_count && in->node->args[i] >= 0 ? vj_type_at(in->f, in->node->args[i]) : NULL;
}

/* A type or dim as text for a message. */
typedef struct vj_brief {
    char text[160];
} vj_brief;
vj_brief vj_brief_type(const vj_type *type);
vj_brief vj_brief_dim(vj_dim dim);

/* Checks of dtypes. Each notes an error when it fails. */
bool vj_infer_float(vj_inference *in, int32_t operand);
bool vj_infer_number(vj_inference *in, int32_t operand); /* float or integer */
bool vj_infer_same_dtype(vj_inference *in, int32_t a, int32_t b);
/* The type in which a product of the first operands is added up: f32 of any of f32, f16 and bf16, i32 of u8 by i8, else their own. */
bool vj_infer_product_dtype(vj_inference *in, int32_t operands, vj_dtype *dtype);
bool vj_infer_addend(vj_inference *in, int32_t operand, vj_dtype dtype); /* is it of that type? */

/* Checks that an axis is in [0, rank); the frontend counts axes from the front. */
bool vj_infer_axis(vj_inference *in, int64_t axis, int32_t rank);
/* The attribute as a list of exactly `count` integers of at least `least`, or NULL and an error. */
const int64_t *vj_infer_ints(vj_inference *in, vj_attr_key key, int32_t count, int64_t least);
/* Decodes a dim of a dims, sizes or size attribute. */
bool vj_infer_decode_dim(vj_inference *in, int64_t coded, vj_dim *dim);
/* Checks that the attribute is one of `count` words. */
bool vj_infer_word(vj_inference *in, vj_attr_key key, const char *const *words, int32_t count);
/* Broadcasts the dims of a and b by numpy's rules. The result has a's dtype. */
bool vj_infer_meet(vj_inference *in, const vj_type *a, const vj_type *b, vj_type *out);

#endif
