/* SPDX-License-Identifier: Apache-2.0 */
/* make_patterns.c - makes the parts of vision transformers as exporters write them, in many spellings. Rules of
 * recognition fire on most, and must not change the meaning of any. Tokens are [.., T, D], pictures [B, C, H, W]. */
#include "graph.h"

#include <math.h>

static vj_dim last_dim(const maker *m, vj_value v) { return type_in(m, v)->dims[type_in(m, v)->rank - 1]; }
static vj_value number(maker *m, double x) { return make_number(m, VJ_F32, x); }
static vj_value mul(maker *m, vj_value a, vj_value b) {
    return chance(m->random, 50) ? make_binary(m, VJ_OP_mul, a, b) : make_binary(m, VJ_OP_mul, b, a);
}
static vj_value add(maker *m, vj_value a, vj_value b) {
    return chance(m->random, 50) ? make_binary(m, VJ_OP_add, a, b) : make_binary(m, VJ_OP_add, b, a);
}
static vj_value sub(maker *m, vj_value a, vj_value b) { return make_binary(m, VJ_OP_sub, a, b); }
static vj_value divide(maker *m, vj_value a, vj_value b) { return make_binary(m, VJ_OP_div, a, b); }
static vj_value scaled(maker *m, vj_value x, double by) {
    return chance(m->random, 50) ? mul(m, x, number(m, by)) : divide(m, x, number(m, 1 / by));
}

/* An f32 value of at least that rank whose last dim is constant and not empty. */
static vj_value rows(maker *m, int32_t rank) {
    for (int32_t t = 0; t < 8; t++) {
        const vj_value x = any_float(m, rank);
        if (x >= 0 && type_in(m, x)->dtype == VJ_F32 && last_dim(m, x).sym == VJ_SYM_NONE && last_dim(m, x).c > 0)
            return x;
    }
    return VJ_NONE;
}

static vj_value vector(maker *m, int64_t c) { return make_constant(m, VJ_F32, 1, &c); }

static vj_value product(maker *m, vj_value x, int64_t columns, bool with_bias) {
    if (x < 0) return VJ_NONE;
    const int64_t dims[] = {last_dim(m, x).c, columns};
    const vj_value w = make_constant(m, VJ_F32, 2, dims);
    if (chance(m->random, 50))
        return make_node(m, VJ_OP_linear, (vj_value[]){x, w, with_bias ? vector(m, columns) : VJ_NONE}, 3, NULL, 0);
    const vj_value y = make_binary(m, VJ_OP_matmul, x, w);
    return with_bias ? add(m, y, vector(m, columns)) : y;
}

static vj_value mean_of(maker *m, vj_value x) {
    if (x < 0) return VJ_NONE;
    const double count = (double)last_dim(m, x).c;
    const int64_t axis = type_in(m, x)->rank - 1;
    if (chance(m->random, 85)) return reduced(m, x, axis, "mean", 1);
    return scaled(m, reduced(m, x, axis, "sum", 1), 1 / count);
}

static vj_value layernorm_of(maker *m, vj_value x) {
    if (x < 0) return VJ_NONE;
    const vj_value d = sub(m, x, mean_of(m, x));
    const vj_value square = chance(m->random, 50)   ? mul(m, d, d)
                            : chance(m->random, 80) ? make_binary(m, VJ_OP_pow, d, number(m, 2))
                                                    : mul(m, d, sub(m, x, mean_of(m, x)));
    const vj_value inside = add(m, mean_of(m, square), number(m, chance(m->random, 50) ? 1e-5 : 1e-3));
    const int32_t how = pick(m->random, 3);
    vj_value y = how == 0   ? divide(m, d, make_unary(m, VJ_OP_sqrt, inside))
                 : how == 1 ? mul(m, d, make_unary(m, VJ_OP_reciprocal, make_unary(m, VJ_OP_sqrt, inside)))
                            : mul(m, d, make_binary(m, VJ_OP_pow, inside, number(m, -0.5)));
    const int64_t width = last_dim(m, x).c;
    if (chance(m->random, 70)) y = mul(m, y, vector(m, width));
    if (chance(m->random, 60)) y = add(m, y, vector(m, width));
    return y;
}

static vj_value norm(maker *m, vj_value x) {
    if (x < 0) return VJ_NONE;
    if (chance(m->random, 50)) return layernorm_of(m, x);
    const vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, type_in(m, x)->rank - 1), vj_float(VJ_ATTR_EPS, 1e-5)};
    const int64_t width = last_dim(m, x).c;
    return make_node(m, VJ_OP_layernorm, (vj_value[]){x, vector(m, width), vector(m, width)}, 3, attrs, 2);
}

static vj_value written_layernorm(maker *m) { return layernorm_of(m, rows(m, 1)); }

/* x / 2 (1 + erf(x / root 2)) and the two approximations */
static vj_value gelu_of(maker *m, vj_value x) {
    vj_value curve;
    if (x < 0) return VJ_NONE;
    const int32_t form = pick(m->random, 3);
    if (form == 2) return mul(m, x, make_unary(m, VJ_OP_sigmoid, mul(m, x, number(m, 1.702))));
    if (form == 1) {
        const vj_value cube =
            chance(m->random, 50) ? make_binary(m, VJ_OP_pow, x, number(m, 3)) : mul(m, mul(m, x, x), x);
        const vj_value inside = chance(m->random, 50)
                                    ? add(m, x, mul(m, cube, number(m, 0.044715)))
                                    : mul(m, x, add(m, mul(m, mul(m, x, x), number(m, 0.044715)), number(m, 1)));
        curve = make_unary(m, VJ_OP_tanh, mul(m, inside, number(m, sqrt(2 / 3.14159265358979323846))));
    } else {
        curve = make_unary(m, VJ_OP_erf, scaled(m, x, sqrt(0.5)));
    }
    switch (pick(m->random, 4)) {
    case 0:
        return mul(m, mul(m, x, add(m, curve, number(m, 1))), number(m, 0.5));
    case 1:
        return mul(m, mul(m, x, number(m, 0.5)), add(m, curve, number(m, 1)));
    case 2:
        return mul(m, x, mul(m, add(m, curve, number(m, 1)), number(m, 0.5)));
    default:
        return mul(m, x, add(m, mul(m, curve, number(m, 0.5)), number(m, 0.5)));
    }
}

static vj_value written_gelu(maker *m) { return gelu_of(m, rows(m, 0)); }

/* A softmax written out. Without the shift by the row's largest, scores are kept small: where e^x overflows, these
 * nodes give NaN, but the softmax that replaces them does not. */
static vj_value softmax_of(maker *m, vj_value x) {
    if (x < 0) return VJ_NONE;
    const int64_t axis = type_in(m, x)->rank - 1;
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    if (chance(m->random, 60)) return make_node(m, VJ_OP_softmax, &x, 1, &attr, 1);
    const vj_value from = chance(m->random, 80) ? sub(m, x, reduced(m, x, axis, "max", 1))
                                                : mul(m, make_unary(m, VJ_OP_tanh, x), number(m, 9));
    const vj_value e = from < 0 ? VJ_NONE : make_unary(m, VJ_OP_exp, from);
    return e < 0 ? VJ_NONE : divide(m, e, reduced(m, e, axis, "sum", 1));
}

static vj_value written_softmax(maker *m) { return softmax_of(m, rows(m, 1)); }

/* [.., T, h * d] to [.., h, T, d], over a reshape and a transpose. */
static vj_value heads_of(maker *m, vj_value x, int64_t heads, bool turned) {
    if (x < 0) return VJ_NONE;
    vj_type type = *type_in(m, x);
    const int32_t rank = type.rank;
    type.dims[rank] = vj_dim_const(type.dims[rank - 1].c / heads);
    type.dims[rank - 1] = vj_dim_const(heads);
    int64_t perm[VJ_MAX_RANK];
    for (int32_t i = 0; i <= rank; i++)
        perm[i] = i;
    perm[rank - 2] = rank - 1;
    perm[rank - 1] = turned ? rank : rank - 2;
    perm[rank] = turned ? rank - 2 : rank;
    return transposed(m, reshaped(m, x, rank + 1, type.dims), perm);
}

static vj_value turned_rows(maker *m, vj_value x) {
    int64_t perm[VJ_MAX_RANK];
    if (x < 0) return VJ_NONE;
    const int32_t rank = type_in(m, x)->rank;
    for (int32_t i = 0; i < rank; i++)
        perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return transposed(m, x, perm);
}

/* softmax(q kT * scale + bias) v, with the scale applied at various points and masks of several kinds. */
static vj_value attend(maker *m, vj_value q, vj_value k, vj_value v) {
    if (q < 0 || k < 0 || v < 0) return VJ_NONE;
    const double scale = 1 / sqrt((double)last_dim(m, q).c);
    const int32_t where = pick(m->random, 5);
    if (where == 1) q = scaled(m, q, scale);
    if (where == 2) k = scaled(m, k, scale);
    if (where == 3) {
        q = scaled(m, q, sqrt(scale));
        k = scaled(m, k, sqrt(scale));
    }
    vj_value scores = make_binary(m, VJ_OP_matmul, q, turned_rows(m, k));
    if (where == 0) scores = scaled(m, scores, scale);
    if (scores < 0) return VJ_NONE;
    const vj_type type = *type_in(m, scores);
    int64_t dims[3] = {type.rank > 2 && type.dims[type.rank - 3].sym == VJ_SYM_NONE ? type.dims[type.rank - 3].c : 1,
                       type.dims[type.rank - 2].c, type.dims[type.rank - 1].c};
    const int32_t mask = pick(m->random, 6);
    if (mask == 0) scores = add(m, scores, make_constant(m, VJ_F32, 3, dims));
    if (mask == 1) scores = add(m, scores, make_constant(m, VJ_F32, 2, dims + 1));
    if (mask == 2)
        scores = make_node(m, VJ_OP_select,
                           (vj_value[]){make_constant(m, VJ_BOOL, 2, dims + 1), scores,
                                        number(m, chance(m->random, 50) ? -INFINITY : -1e4)},
                           3, NULL, 0);
    return make_binary(m, VJ_OP_matmul, softmax_of(m, scores), v);
}

/* One of the three parts of a product with three times the width. */
static vj_value piece_of(maker *m, vj_value all, int64_t heads, int32_t piece) {
    if (all < 0) return VJ_NONE;
    vj_type type = *type_in(m, all);
    const int32_t rank = type.rank;
    const int64_t width = type.dims[rank - 1].c / 3;
    if (chance(m->random, 50)) return heads_of(m, sliced(m, all, rank - 1, piece * width, width, 1), heads, false);
    if (rank + 2 > VJ_MAX_RANK) return VJ_NONE;
    type.dims[rank - 1] = vj_dim_const(3);
    type.dims[rank] = vj_dim_const(heads);
    type.dims[rank + 1] = vj_dim_const(width / heads);
    const vj_value split = reshaped(m, all, rank + 2, type.dims);
    int64_t perm[VJ_MAX_RANK]; /* [.., T, 3, h, d] to [3, .., h, T, d] */
    perm[0] = rank - 1;
    for (int32_t i = 0; i + 2 < rank; i++)
        perm[1 + i] = i;
    perm[rank - 1] = rank;
    perm[rank] = rank - 2;
    perm[rank + 1] = rank + 1;
    const vj_value front = sliced(m, transposed(m, split, perm), 0, piece, 1, 1);
    if (front < 0) return VJ_NONE;
    type = *type_in(m, front);
    return reshaped(m, front, type.rank - 1, type.dims + 1);
}

static vj_value joined_heads(maker *m, vj_value x) {
    if (x < 0) return VJ_NONE;
    const int32_t rank = type_in(m, x)->rank;
    int64_t perm[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        perm[i] = i;
    perm[rank - 3] = rank - 2;
    perm[rank - 2] = rank - 3;
    const vj_value y = transposed(m, x, perm);
    if (y < 0) return VJ_NONE;
    vj_type type = *type_in(m, y);
    type.dims[rank - 2].c *= type.dims[rank - 1].c;
    return reshaped(m, y, rank - 1, type.dims);
}

static vj_value self_attention(maker *m) {
    vj_value x = rows(m, 2);
    if (x < 0 || type_in(m, x)->rank > 5 || type_in(m, x)->dims[type_in(m, x)->rank - 2].sym) return VJ_NONE;
    const int64_t heads = 1 + pick(m->random, 3), width = heads * (1 + pick(m->random, 6));
    const vj_value n = chance(m->random, 50) ? norm(m, x) : x;
    const bool bias = chance(m->random, 60);
    vj_value parts[3];
    if (chance(m->random, 50)) {
        const vj_value all = product(m, n, 3 * width, bias);
        for (int32_t i = 0; i < 3; i++)
            parts[i] = piece_of(m, all, heads, i);
    } else {
        const vj_value other = chance(m->random, 20) ? rows(m, 2) : n; /* keys of another sequence */
        for (int32_t i = 0; i < 3; i++)
            parts[i] = heads_of(m, product(m, i ? other : n, width, bias || chance(m->random, 10)), heads, false);
    }
    vj_value y = joined_heads(m, attend(m, parts[0], parts[1], parts[2]));
    if (chance(m->random, 80)) y = product(m, y, last_dim(m, x).c, bias);
    if (y < 0) return VJ_NONE;
    if (chance(m->random, 20)) y = mul(m, y, vector(m, last_dim(m, y).c)); /* layer scale */
    const vj_value sum = chance(m->random, 70) ? add(m, x, y) : VJ_NONE;
    return sum >= 0 ? sum : y;
}

static vj_value mlp(maker *m) {
    const vj_value x = rows(m, 1), n = chance(m->random, 60) ? norm(m, x) : x;
    if (x < 0) return VJ_NONE;
    const int64_t hidden = 2 * (1 + pick(m->random, 10));
    vj_value h = product(m, n, hidden, true);
    if (h < 0) return VJ_NONE;
    if (chance(m->random, 25)) { /* gated: halves that meet */
        const int32_t axis = type_in(m, h)->rank - 1;
        const vj_value gate = sliced(m, h, axis, 0, hidden / 2, 1), up = sliced(m, h, axis, hidden / 2, hidden / 2, 1);
        h = mul(m, mul(m, gate, make_unary(m, VJ_OP_sigmoid, gate)), up);
    } else {
        h = chance(m->random, 70) ? gelu_of(m, h) : make_unary(m, VJ_OP_relu, h);
    }
    const vj_value y = product(m, h, last_dim(m, x).c, chance(m->random, 70));
    const vj_value sum = y >= 0 && chance(m->random, 70) ? add(m, x, y) : VJ_NONE;
    return sum >= 0 ? sum : y;
}

/* [B, C, H, W] to [B, H W, C], then a class token and positions */
static vj_value patches(maker *m) {
    const vj_value x = any_float(m, 4);
    if (x < 0 || type_in(m, x)->rank != 4 || type_in(m, x)->dtype != VJ_F32) return VJ_NONE;
    const vj_type type = *type_in(m, x);
    const int64_t p = 1 + pick(m->random, 4), zero[2] = {0, 0}, one[2] = {1, 1}, stride[2] = {p, p};
    const int64_t dims[4] = {1 + pick(m->random, 8), type.dims[1].c, p, p};
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_STRIDE, stride, 2), vj_ints(VJ_ATTR_DILATION, one, 2),
                             vj_ints(VJ_ATTR_LOW, zero, 2), vj_ints(VJ_ATTR_HIGH, zero, 2), vj_int(VJ_ATTR_GROUPS, 1)};
    const vj_value y =
        make_node(m, VJ_OP_conv, (vj_value[]){x, make_constant(m, VJ_F32, 4, dims), make_constant(m, VJ_F32, 1, dims)},
                  3, attrs, 5);
    if (y < 0) return VJ_NONE;
    vj_type t = *type_in(m, y);
    t.dims[2].c *= t.dims[3].c;
    const vj_value tokens = transposed(m, reshaped(m, y, 3, t.dims), (const int64_t[]){0, 2, 1});
    if (tokens < 0 || chance(m->random, 40)) return tokens;
    const vj_type row = *type_in(m, tokens);
    const int64_t cls[3] = {1, 1, row.dims[2].c},
                  code[3] = {row.dims[0].sym ? -1 - row.dims[0].c : row.dims[0].c, 1, cls[2]};
    const vj_attr to = vj_ints(VJ_ATTR_DIMS, code, 3), axis = vj_int(VJ_ATTR_AXIS, 1);
    const vj_value token = make_constant(m, VJ_F32, 3, cls), many = make_node(m, VJ_OP_broadcast, &token, 1, &to, 1);
    const vj_value all = make_node(m, VJ_OP_concat, (vj_value[]){many, tokens}, 2, &axis, 1);
    const int64_t pos[3] = {1, row.dims[1].c + 1, cls[2]};
    return all < 0 ? VJ_NONE : add(m, all, make_constant(m, VJ_F32, 3, pos));
}

/* Windows of a grid, rolled or not: [B, H, W, C] to [B * windows, w * w, C] */
static vj_value window_partition(maker *m) {
    vj_value x = any_float(m, 4);
    if (x < 0 || type_in(m, x)->rank != 4 || type_in(m, x)->dims[1].sym || type_in(m, x)->dims[2].sym) return VJ_NONE;
    const int64_t w = 2;
    if (chance(m->random, 50)) {
        const int64_t c = type_in(m, x)->dims[1].c;
        const vj_attr axis = vj_int(VJ_ATTR_AXIS, 1);
        const vj_value tail = sliced(m, x, 1, 1, c - 1, 1), head = sliced(m, x, 1, 0, 1, 1);
        if (c < 2) return VJ_NONE;
        x = make_node(m, VJ_OP_concat, (vj_value[]){tail, head}, 2, &axis, 1);
        if (x < 0) return VJ_NONE;
    }
    const vj_type t = *type_in(m, x);
    if (t.dims[1].c % w || t.dims[2].c % w) return VJ_NONE;
    const vj_dim split[6] = {t.dims[0],       vj_dim_const(t.dims[1].c / w),
                             vj_dim_const(w), vj_dim_const(t.dims[2].c / w),
                             vj_dim_const(w), t.dims[3]};
    const vj_value y = transposed(m, reshaped(m, x, 6, split), (const int64_t[]){0, 1, 3, 2, 4, 5});
    const vj_dim flat[3] = {
        {t.dims[0].c * (t.dims[1].c / w) * (t.dims[2].c / w), t.dims[0].sym}, vj_dim_const(w * w), t.dims[3]};
    return y < 0 ? VJ_NONE : reshaped(m, y, 3, flat);
}

/* x cos + rotate(x) sin over the last dim */
static vj_value rotary(maker *m) {
    const vj_value x = rows(m, 2);
    if (x < 0 || last_dim(m, x).c % 2) return VJ_NONE;
    const int32_t axis = type_in(m, x)->rank - 1;
    const int64_t half = last_dim(m, x).c / 2;
    const vj_dim rows_dim = type_in(m, x)->dims[axis - 1];
    const int64_t dims[2] = {rows_dim.sym ? 1 : rows_dim.c, 2 * half};
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    const vj_value low = sliced(m, x, axis, 0, half, 1), high = sliced(m, x, axis, half, half, 1);
    if (low < 0 || high < 0) return VJ_NONE;
    const vj_value turned = make_node(m, VJ_OP_concat, (vj_value[]){make_unary(m, VJ_OP_neg, high), low}, 2, &attr, 1);
    return add(m, mul(m, x, make_constant(m, VJ_F32, 2, dims)), mul(m, turned, make_constant(m, VJ_F32, 2, dims)));
}

/* A convolution, then a factor and a term for each channel, as batch normalisation leaves them. */
static vj_value conv_norm(maker *m) {
    const make_row conv = row_of(VJ_OP_conv);
    const vj_value y = conv(m, VJ_OP_conv);
    if (y < 0 || type_in(m, y)->dtype != VJ_F32) return y;
    const int64_t dims[5] = {type_in(m, y)->dims[1].c, 1, 1, 1, 1};
    const int32_t rank = type_in(m, y)->rank - 1;
    vj_value z = mul(m, y, make_constant(m, VJ_F32, rank, dims));
    if (chance(m->random, 80)) z = add(m, z, make_constant(m, VJ_F32, rank, dims));
    if (z >= 0 && chance(m->random, 60)) z = make_unary(m, VJ_OP_relu, z);
    return z;
}

/* The mean over tokens, or the first of them, into a product. */
static vj_value head(maker *m) {
    const vj_value x = norm(m, rows(m, 3));
    if (x < 0) return VJ_NONE;
    vj_type type = *type_in(m, x);
    const int32_t axis = type.rank - 2;
    vj_value y = VJ_NONE;
    if (chance(m->random, 50)) {
        y = reduced(m, x, axis, "mean", 0);
    } else if (type.dims[axis].sym == VJ_SYM_NONE) {
        const vj_value first = sliced(m, x, axis, 0, 1, 1);
        type.dims[axis] = type.dims[axis + 1];
        y = reshaped(m, first, axis + 1, type.dims);
    }
    return product(m, y, 1 + pick(m->random, 10), true);
}

vj_value make_pattern(maker *m) {
    static vj_value (*const patterns[])(maker *) = {written_layernorm,
                                                    written_gelu,
                                                    written_softmax,
                                                    self_attention,
                                                    self_attention,
                                                    self_attention,
                                                    mlp,
                                                    mlp,
                                                    patches,
                                                    window_partition,
                                                    rotary,
                                                    conv_norm,
                                                    make_quantised,
                                                    make_quantised,
                                                    make_blocks,
                                                    make_blocks,
                                                    head};
    const int32_t count = (int32_t)(sizeof patterns / sizeof *patterns);
    for (int32_t t = 0; t < 4; t++) {
        const vj_value v = patterns[pick(m->random, count)](m);
        if (v >= 0) return v;
    }
    return VJ_NONE;
}
