/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.h - what the builders of quantised ops share (quantize.c). Integers are q = round(x / scale) + zero point. */
#ifndef VITJIT_FRONTEND_LAYERS_QUANTIZE_H
#define VITJIT_FRONTEND_LAYERS_QUANTIZE_H

#include "frontend/import/import.h"

/* Operand i, a scale, in f32: where it is known, it must be finite and, but of blocks, positive. */
vj_value vj_scale_operand(vj_importer *im, int32_t i);
/* Operand i, the zero point of x, of x's type; VJ_NONE when it is absent. */
vj_value vj_zero_operand(vj_importer *im, int32_t i, vj_value x);
/* A scale or zero point that must be one number, without dims. VJ_NONE stays so. */
vj_value vj_one_number(vj_importer *im, vj_value v);

/* Elements of 8 or 16 bits less their zero point, which is one number (VJ_NONE: 0), in f32 and exact; times their scale. */
vj_value vj_emit_difference(vj_importer *im, vj_value x, vj_value zero);
vj_value vj_emit_dequantised(vj_importer *im, vj_value x, vj_value scale, vj_value zero);
/* round(x) + zero point as `to`, clamped to its range. */
vj_value vj_emit_saturated(vj_importer *im, vj_value x, vj_value zero, vj_dtype to);
vj_value vj_emit_quantised(vj_importer *im, vj_value x, vj_value scale, vj_value zero, vj_dtype to);
/* DynamicQuantizeLinear of x in f32: u8, its scale and its zero point. */
bool vj_emit_dynamic_quantised(vj_importer *im, vj_value x, vj_value *q, vj_value *scale, vj_value *zero);

/* a [.., M, K] times b [.., K, N] in i32, less their zero points: one number each, or one for each row of a and column of b. */
vj_value vj_emit_whole_product(vj_importer *im, vj_value a, vj_value a_zero, vj_value b, vj_value b_zero);
/* whole * (a scale * b scale [/ y scale]) in f32. Scales are one number each, or one for each index of `axis`; that of y may
 * be VJ_NONE. */
vj_value vj_emit_scaled(vj_importer *im, vj_value whole, vj_value a_scale, vj_value b_scale, vj_value y_scale,
                        int32_t axis);

#endif
