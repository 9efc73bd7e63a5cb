/* SPDX-License-Identifier: Apache-2.0 */
/* quantised.h - what quantised*.c share: factors of products that are dequantised bytes, and their weights.
 *
 * quantised.c         the pass: products of such factors multiply the bytes
 * quantised_factor.c  the walk from a product's operand up to the bytes
 * quantised_weight.c  weights as i8, and the sums of their columns
 * quantised_conv.c    what a convolution adds: padding, sums of windows
 * quantised_again.c   what is quantised as it was before
 */
#ifndef VITJIT_PASSES_RECOGNISE_QUANTISED_H
#define VITJIT_PASSES_RECOGNISE_QUANTISED_H

#include "passes/rewrite/rewrite.h"

/* A factor that is (q - zero) * scale. */
typedef struct vj_quantised {
    vj_value q;         /* bytes, with the factor's dims: as they are, or i8 when they are constants, else u8 */
    bool is_constant;   /* are they? */
    vj_value zero;      /* i32, a number or as many dims as the factor, those of 1 being broadcast; VJ_NONE: 0 */
    vj_value scale;     /* f32, likewise; VJ_NONE: 1 */
    double least, most; /* bounds of q - zero */
    const char *reason; /* why it is none */
} vj_quantised;

/* Does v look like one: are there bytes behind what casts, moves, shifts and scales it? */
bool vj_comes_from_bytes(const vj_func *f, vj_value v);
/* Finds out what v is of; may add nodes. Bytes that are multiplied have their signs: see q. False: see the reason. */
bool vj_find_quantised(vj_func *f, vj_value v, bool is_multiplied, vj_quantised *x);
/* The elements of v, when it is a constant or made of a few small ones; NULL: it is not. */
const vj_tensor *vj_known_elements(vj_func *f, vj_value v, vj_arena *arena);

/* The bytes of a weight with an axis of output columns: i8, such that its value is (q - zero[column]) * scale. */
typedef struct vj_byte_weight {
    vj_value q;
    int64_t columns, depth;
    const int64_t *zero; /* NULL: all are 0 */
    const int64_t *sums; /* over each column, of q - zero */
    vj_value scale;      /* VJ_NONE: 1; a number, or f32[columns] */
    double largest;      /* bound of |q - zero| */
} vj_byte_weight;
/* False and x->reason: zero points or scales are no constants, or differ along a column. */
bool vj_read_byte_weight(vj_pass_context *c, vj_quantised *x, int32_t axis, vj_byte_weight *w);

/* quantised_conv.c */

/* x as the convolution reads it, whose zeros outside the picture are `zero` (i32, within u8; VJ_NONE: 0). The attributes
 * low and high become 0 where x is padded. VJ_NONE: it cannot be padded. */
vj_value vj_pad_bytes(vj_func *f, vj_value x, vj_value zero, vj_attr *attrs, int32_t attr_count,
                      const vj_origin *origin);
/* The sums of the windows of x, one for each filter: i32 that broadcasts to the result. */
vj_value vj_window_sums(vj_func *f, vj_value x, vj_value w, const vj_attr *attrs, int32_t attr_count,
                        const vj_origin *origin);

/* quantised_again.c */

/* The bytes that a cast makes of a number, when that was dequantised from just these bytes; VJ_NONE: it was not. */
vj_value vj_quantised_before(vj_func *f, const vj_node *node);

#endif
