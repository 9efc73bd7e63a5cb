/* SPDX-License-Identifier: Apache-2.0 */
/* quantised_again.c - a number that is dequantised and quantised again by the same scale and zero point, with nothing but movement
 * between, is the byte that it was: what frameworks that put both around every op write around those that only move. */
#include "quantised.h"

#include <math.h>

/* The operand of a sum or product beside a number; VJ_NONE: it is not one. */
static vj_value beside_number(const vj_func *f, vj_value v, vj_op op, double *number) {
    const vj_value a = vj_operand(f, v, 0), b = vj_operand(f, v, 1);
    if (vj_op_of(f, v) != op) return VJ_NONE;
    if (vj_is_uniform(f, b, number) && vj_type_equal(vj_type_at(f, a), vj_type_at(f, v))) return a;
    const bool is_commutative = vj_op_table(op)->flags & VJ_FLAG_COMMUTATIVE;
    return is_commutative && vj_is_uniform(f, a, number) && vj_type_equal(vj_type_at(f, b), vj_type_at(f, v)) ? b
                                                                                                              : VJ_NONE;
}

/* What is quantised: v = clamp(round(x / scale) + zero). VJ_NONE: v is no such number. */
static vj_value quantised_from(const vj_func *f, vj_value v, vj_dtype to, double *scale, double *zero) {
    const bool is_signed = to == VJ_I8;
    double most, least = 0, factor;
    vj_value x = beside_number(f, v, VJ_OP_min, &most);
    if (x < 0) return VJ_NONE;
    x = vj_op_of(f, x) == VJ_OP_relu ? vj_operand(f, x, 0) : beside_number(f, x, VJ_OP_max, &least);
    if (x < 0 || least != (is_signed ? -128 : 0) || most != (is_signed ? 127 : 255)) return VJ_NONE;
    *zero = 0;
    const vj_value sum = beside_number(f, x, VJ_OP_add, zero);
    x = sum >= 0 ? sum : x;
    if (vj_op_of(f, x) != VJ_OP_round) return VJ_NONE;
    x = vj_operand(f, x, 0);
    const vj_value quotient = beside_number(f, x, VJ_OP_div, scale);
    if (quotient >= 0) return quotient;
    const vj_value product = beside_number(f, x, VJ_OP_mul, &factor); /* by the inverse of a power of two */
    *scale = product >= 0 ? 1 / factor : 1;
    return product >= 0 ? product : x;
}

static bool is_number(vj_func *f, vj_value v, double otherwise, double wanted) {
    vj_arena *scratch = vj_arena_scratch(f->arena);
    const vj_tensor *t = v < 0 ? NULL : vj_known_elements(f, v, scratch);
    const bool is_one =
        v < 0 ? otherwise == wanted : t && t->count == 1 && (t->f ? t->f[0] : (double)t->i[0]) == wanted;
    vj_arena_free(scratch);
    return is_one;
}

vj_value vj_quantised_before(vj_func *f, const vj_node *node) {
    const vj_dtype to = vj_type_at(f, node->first_result)->dtype;
    const vj_value result = node->first_result;
    double scale, zero;
    vj_quantised x;
    if (to != VJ_U8 && to != VJ_I8) return VJ_NONE;
    const vj_value from = quantised_from(f, node->args[0], to, &scale, &zero);
    /* within these (q - zero) * scale / scale is q - zero but for an error far below a half */
    if (from < 0 || !(scale > 1e-30 && scale < 1e30) || vj_type_at(f, from)->dtype != VJ_F32) return VJ_NONE;
    if (!vj_comes_from_bytes(f, from) || !vj_find_quantised(f, from, false, &x)) return VJ_NONE;
    const bool is_same = is_number(f, x.scale, 1, scale) && is_number(f, x.zero, 0, zero);
    return is_same && vj_type_equal(vj_type_at(f, x.q), vj_type_at(f, result)) ? x.q : VJ_NONE;
}
