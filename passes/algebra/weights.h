/* SPDX-License-Identifier: Apache-2.0 */
/* weights.h - private to the pass `weights`.
 *
 * weights_half.c   factors of weights that the model stores in a half
 * weights_scale.c  the scale of an attention
 */
#ifndef VITJIT_PASSES_ALGEBRA_WEIGHTS_H
#define VITJIT_PASSES_ALGEBRA_WEIGHTS_H

#include "passes/rewrite/rewrite.h"

/* May the weight be multiplied along the axis by the vector? Always, unless the model stores it in a half. */
bool vj_may_scale(vj_func *f, vj_value w, vj_value vector, int32_t axis);
vj_value vj_scale_weight(vj_func *f, vj_value w, vj_value vector, int32_t axis, const vj_origin *origin);

/* weights_scale.c */
void vj_fold_attention_scales(vj_pass_context *c);

#endif
