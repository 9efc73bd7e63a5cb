/* SPDX-License-Identifier: Apache-2.0 */
/* make_quantised.c - makes products of dequantised bytes as quantisers write them: both signs, zero points and scales that are
 * constant or of the run, one or one a column, in floats and in whole numbers. The pass `quantised` makes products of bytes of most. */
#include "graph.h"

static vj_value cast(maker *m, vj_value x, vj_dtype to) {
    const vj_attr attr = vj_name(VJ_ATTR_TO, vj_element_name(to));
    return make_node(m, VJ_OP_cast, &x, 1, &attr, 1);
}

static vj_value number(maker *m, double x) { return make_number(m, VJ_F32, x); }

typedef struct side {
    vj_dtype dtype; /* u8 or i8 */
    bool whole;     /* in i32, without a scale */
    double zero;
} side;

static side any_side(maker *m, bool whole) {
    side s = {.dtype = chance(m->random, 50) ? VJ_U8 : VJ_I8, .whole = whole};
    if (chance(m->random, 70)) s.zero = s.dtype == VJ_U8 ? pick(m->random, 256) : pick(m->random, 256) - 128;
    return s;
}

/* round(x / scale) + zero point, within the bytes */
static vj_value bytes_of(maker *m, vj_value x, const side *s) {
    const bool is_signed = s->dtype == VJ_I8;
    vj_value q = make_unary(m, VJ_OP_round, make_binary(m, VJ_OP_div, x, number(m, 0.04)));
    q = make_binary(m, VJ_OP_add, q, number(m, s->zero));
    q = make_binary(m, VJ_OP_max, q, number(m, is_signed ? -128 : 0));
    return cast(m, make_binary(m, VJ_OP_min, q, number(m, is_signed ? 127 : 255)), s->dtype);
}

/* (q - zero) [* scale]. Of a weight `columns` may be how many numbers there are, along axis `axis`. */
static vj_value dequantised(maker *m, vj_value q, const side *s, int64_t columns, int32_t axis) {
    const int64_t dims[2] = {axis == 0 ? columns : 1, axis == 0 ? 1 : columns};
    const vj_dtype in = s->whole ? VJ_I32 : VJ_F32;
    vj_value y = cast(m, q, in);
    if (columns && chance(m->random, 30))
        y = make_binary(m, VJ_OP_sub, y, cast(m, make_constant(m, s->dtype, 2, dims), in));
    else if (s->zero != 0)
        y = make_binary(m, VJ_OP_sub, y, make_number(m, in, s->zero));
    if (s->whole) return y;
    return make_binary(m, VJ_OP_mul, y,
                       columns && chance(m->random, 50) ? make_constant(m, VJ_F32, 2, dims) : number(m, 0.04));
}

vj_value make_quantised(maker *m) {
    const vj_value x = any_float(m, 2);
    if (x < 0 || type_in(m, x)->dtype != VJ_F32) return VJ_NONE;
    const vj_type type = *type_in(m, x);
    const vj_dim depth = type.dims[type.rank - 1];
    const int64_t columns = 1 + pick(m->random, 20);
    if (depth.sym != VJ_SYM_NONE || depth.c < 1) return VJ_NONE;
    const bool whole = chance(m->random, 50), is_turned = chance(m->random, 40);
    const side a = any_side(m, whole), b = any_side(m, whole);
    const int64_t dims[2] = {is_turned ? columns : depth.c, is_turned ? depth.c : columns};
    vj_value w = dequantised(m, make_constant(m, b.dtype, 2, dims), &b, columns, !is_turned);
    if (is_turned && w >= 0) w = transposed(m, w, (int64_t[]){1, 0});
    const vj_value activation = dequantised(m, bytes_of(m, x, &a), &a, 0, 0);
    vj_value y =
        !whole && chance(m->random, 50)
            ? make_node(m, VJ_OP_linear, (vj_value[]){activation, w, make_constant(m, VJ_F32, 1, &columns)}, 3, NULL, 0)
            : make_binary(m, VJ_OP_matmul, activation, w);
    if (whole) y = make_binary(m, VJ_OP_mul, cast(m, y, VJ_F32), number(m, 0.0016));
    return chance(m->random, 60) ? make_binary(m, VJ_OP_add, y, make_constant(m, VJ_F32, 1, &columns)) : y;
}
