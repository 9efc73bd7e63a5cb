/* SPDX-License-Identifier: Apache-2.0 */
/* make_ops.c - chooses operands and attributes that fit, with a row for each op. make.c guesses for ops without a
 * row. */
#include "graph.h"

#include <string.h>

static bool is_bool(vj_dtype dtype) { return dtype == VJ_BOOL; }
static bool is_number(vj_dtype dtype) { return dtype != VJ_BOOL; }
static int64_t dim_of(const maker *m, vj_value v, int32_t axis) { return type_in(m, v)->dims[axis].c; }
static bool is_constant_dim(const maker *m, vj_value v, int32_t axis) {
    return type_in(m, v)->dims[axis].sym == VJ_SYM_NONE;
}

/* Elementwise */

/* An operand of x's type that broadcasts with x: a value, or a constant with dims that are x's or 1. */
static vj_value partner(maker *m, vj_value x, vj_dtype dtype) {
    const vj_type *type = type_in(m, x);
    vj_type both;
    for (int32_t t = 0; t < 8; t++) {
        const vj_value v = any_value(m);
        if (type_in(m, v)->dtype == dtype && vj_broadcast(type, type_in(m, v), &both)) return v;
    }
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = pick(m->random, type->rank + 1);
    for (int32_t i = 0; i < rank; i++) {
        const vj_dim dim = type->dims[type->rank - rank + i];
        dims[i] = dim.sym != VJ_SYM_NONE || chance(m->random, 25) ? 1 : dim.c;
    }
    return make_constant(m, dtype, rank, dims);
}

static vj_value condition(maker *m, vj_value x) {
    for (int32_t t = 0; t < 4; t++) {
        const vj_value v = any_of(m, is_bool);
        if (v >= 0) return v;
    }
    const vj_value y = partner(m, x, type_in(m, x)->dtype);
    static const vj_op orders[] = {VJ_OP_lt, VJ_OP_le, VJ_OP_eq};
    return y < 0 ? VJ_NONE : make_binary(m, orders[pick(m->random, 3)], x, y);
}

static vj_value elementwise(maker *m, vj_op op) {
    const bool logic = op == VJ_OP_and || op == VJ_OP_or || op == VJ_OP_xor || op == VJ_OP_not;
    vj_value x = chance(m->random, 60) && !logic ? any_value(m) : any_of(m, logic ? is_bool : is_number);
    if (x < 0 && logic) x = condition(m, any_value(m));
    if (x < 0) return VJ_NONE;
    if (vj_op_table(op)->max_args == 1) return make_unary(m, op, x);
    vj_value y = partner(m, x, type_in(m, x)->dtype);
    if (chance(m->random, 30)) {
        const vj_value swap = x;
        x = y;
        y = swap;
    }
    if (op != VJ_OP_select) return y < 0 || x < 0 ? VJ_NONE : make_binary(m, op, x, y);
    return make_node(m, op, (vj_value[]){condition(m, x), x, y}, 3, NULL, 0);
}

static vj_value cast(maker *m, vj_op op) {
    static const char *const types[] = {"f32", "f32", "f32", "i64", "i32", "bool", "u8",  "i8",
                                        "f64", "f16", "u32", "i16", "u16", "u64",  "bf16"};
    const vj_value x = any_value(m);
    const vj_attr attr = vj_name(VJ_ATTR_TO, types[pick(m->random, chance(m->random, 70) ? 6 : 15)]);
    return make_node(m, op, &x, 1, &attr, 1);
}

static vj_value gelu(maker *m, vj_op op) {
    static const char *const forms[] = {"erf", "tanh", "quick"};
    const vj_value x = any_float(m, 0);
    const vj_attr attr = vj_name(VJ_ATTR_FORM, forms[pick(m->random, 3)]);
    return x < 0 ? VJ_NONE : make_node(m, op, &x, 1, &attr, 1);
}

/* Movement */

static int64_t divisor(rng *r, int64_t x) {
    int64_t d = 1 + pick(r, (int32_t)(x < 12 ? x : 12));
    while (x % d != 0)
        d--;
    return d;
}

/* Splits a dim or merges two neighbours, up to three times. */
static vj_value reshape(maker *m, vj_op op) {
    (void)op;
    const vj_value x = any_value(m);
    vj_type type = *type_in(m, x);
    for (int32_t t = 1 + pick(m->random, 3); t > 0; t--) {
        const int32_t axis = pick(m->random, type.rank + 1);
        if (axis == type.rank || (type.rank < 6 && chance(m->random, 50))) {
            if (type.rank == 6) continue;
            const int64_t c = axis < type.rank ? type.dims[axis].c : 1, d = c > 0 ? divisor(m->random, c) : 1;
            memmove(&type.dims[axis + 1], &type.dims[axis], (size_t)(type.rank - axis) * sizeof *type.dims);
            type.rank++;
            if (axis + 1 < type.rank) type.dims[axis + 1].c = c / d;
            type.dims[axis] = vj_dim_const(d);
            if (axis + 1 < type.rank && type.dims[axis + 1].sym && chance(m->random, 80)) { /* N stays in front */
                type.dims[axis].sym = type.dims[axis + 1].sym;
                type.dims[axis + 1].sym = VJ_SYM_NONE;
            }
        } else if (axis + 1 < type.rank) {
            type.dims[axis].c *= type.dims[axis + 1].c;
            type.dims[axis].sym = type.dims[axis].sym ? type.dims[axis].sym : type.dims[axis + 1].sym;
            memmove(&type.dims[axis + 1], &type.dims[axis + 2], (size_t)(type.rank - axis - 2) * sizeof *type.dims);
            type.rank--;
        }
    }
    return reshaped(m, x, type.rank, type.dims);
}

static vj_value transpose(maker *m, vj_op op) {
    (void)op;
    int64_t perm[VJ_MAX_RANK], rest[VJ_MAX_RANK];
    const vj_value x = any_value(m);
    const int32_t rank = type_in(m, x)->rank;
    permutation(m->random, perm, rank);
    if (rank > 1 && chance(m->random, 70)) { /* the batch stays in front */
        permutation(m->random, rest, rank - 1);
        perm[0] = 0;
        for (int32_t i = 1; i < rank; i++)
            perm[i] = 1 + rest[i - 1];
    }
    return transposed(m, x, perm);
}

static vj_value slice(maker *m, vj_op op) {
    (void)op;
    const vj_value x = any_value(m);
    const int32_t rank = type_in(m, x)->rank;
    if (rank == 0) return VJ_NONE;
    const int32_t axis = pick(m->random, rank);
    const int64_t c = dim_of(m, x, axis);
    if (c == 0) return VJ_NONE;
    if (!is_constant_dim(m, x, axis)) return chance(m->random, 5) ? sliced(m, x, axis, 0, 1, 1) : VJ_NONE;
    int64_t step = chance(m->random, 70) ? 1 : 1 + pick(m->random, 3);
    const int64_t most = (c + step - 1) / step;
    const int64_t size = chance(m->random, 2) ? 0 : 1 + pick(m->random, (int32_t)most);
    int64_t start = pick(m->random, (int32_t)(c - (size ? size - 1 : 0) * step));
    if (chance(m->random, 15)) {
        start += (size ? size - 1 : 0) * step;
        step = -step;
    }
    return sliced(m, x, axis, start, size, step);
}

static vj_value pad(maker *m, vj_op op) {
    static const char *const modes[] = {"constant", "constant", "reflect", "edge", "wrap"};
    static const double values[] = {0, 0, 1, -0.5, -100};
    const vj_value x = any_value(m);
    const vj_type *type = type_in(m, x);
    int64_t low[VJ_MAX_RANK] = {0}, high[VJ_MAX_RANK] = {0};
    for (int32_t i = 0; i < type->rank; i++) {
        if (type->dims[i].sym != VJ_SYM_NONE || chance(m->random, 50)) continue;
        low[i] = pick(m->random, 3);
        high[i] = pick(m->random, 3);
    }
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, low, type->rank), vj_ints(VJ_ATTR_HIGH, high, type->rank),
                             vj_name(VJ_ATTR_MODE, modes[pick(m->random, 5)]),
                             vj_float(VJ_ATTR_VALUE, vj_dtype_is_float(type->dtype) ? values[pick(m->random, 5)] : 1)};
    return make_node(m, op, &x, 1, attrs, 4);
}

static vj_value concat(maker *m, vj_op op) {
    vj_value args[4] = {any_value(m)};
    const vj_type *type = type_in(m, args[0]);
    const int32_t count = 1 + pick(m->random, 4);
    if (type->rank == 0) return VJ_NONE;
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, pick(m->random, type->rank));
    for (int32_t i = 1; i < count; i++) {
        const vj_value v = any_value(m);
        bool fits = type_in(m, v)->dtype == type->dtype && type_in(m, v)->rank == type->rank;
        for (int32_t d = 0; fits && d < type->rank; d++)
            fits = d == attr.as.i || vj_dim_equal(type->dims[d], type_in(m, v)->dims[d]);
        args[i] = fits ? v : args[0];
        if (!fits && chance(m->random, 30) && vj_dtype_is_float(type->dtype))
            args[i] = make_unary(m, VJ_OP_tanh, args[0]);
        if (args[i] < 0) return VJ_NONE;
        type = type_in(m, args[0]);
    }
    return make_node(m, op, args, count, &attr, 1);
}

static vj_value broadcast(maker *m, vj_op op) {
    const vj_value x = any_value(m);
    const vj_type *type = type_in(m, x);
    int64_t dims[VJ_MAX_RANK];
    const int32_t more = type->rank < 6 ? pick(m->random, 2) : 0;
    for (int32_t i = 0; i < more; i++)
        dims[i] = m->open && chance(m->random, 50) ? -2 : 1 + pick(m->random, 4);
    for (int32_t i = 0; i < type->rank; i++) {
        const vj_dim d = type->dims[i];
        dims[more + i] = d.sym ? -1 - d.c : d.c;
        if (d.sym == VJ_SYM_NONE && d.c == 1 && chance(m->random, 70))
            dims[more + i] = m->open && i + more == 0 ? -2 : 1 + pick(m->random, 5);
    }
    const vj_attr attr = vj_ints(VJ_ATTR_DIMS, dims, type->rank + more);
    return make_node(m, op, &x, 1, &attr, 1);
}

/* Indices: constants or existing values, now and then out of [0, below). */
static vj_value indices_below(maker *m, int64_t below) {
    static const vj_dtype types[] = {VJ_I64, VJ_I32};
    const vj_value x = any_value(m);
    const vj_dtype dtype = type_in(m, x)->dtype;
    int64_t elements;
    if (chance(m->random, 40) && (dtype == VJ_I64 || dtype == VJ_I32) &&
        vj_type_elements(m->f, type_in(m, x), &elements) && elements <= 64) {
        if (chance(m->random, 50)) return x;
        const vj_value least = make_binary(m, VJ_OP_max, x, make_number(m, dtype, 0));
        return make_binary(m, VJ_OP_min, least, make_number(m, dtype, (double)(below - 1)));
    }
    int64_t dims[2] = {1 + pick(m->random, 5), 1 + pick(m->random, 3)}, list[15];
    const int64_t start = pick(m->random, (int32_t)below), step = pick(m->random, 3) - 1;
    const bool even = chance(m->random, 50), strange = chance(m->random, 15);
    for (int32_t i = 0; i < 15; i++) {
        list[i] = even ? start + i * step : pick(m->random, (int32_t)below);
        if (list[i] < 0 || list[i] >= below) list[i] = start;
        if (strange && chance(m->random, 30)) list[i] = pick(m->random, 4 * (int32_t)below) - 2 * below;
    }
    return make_list(m, types[pick(m->random, 2)], pick(m->random, 3), dims, list);
}

static vj_value gather(maker *m, vj_op op) {
    const vj_value x = any_value(m);
    const int32_t rank = type_in(m, x)->rank;
    if (rank == 0) return VJ_NONE;
    const int32_t axis = pick(m->random, rank);
    if (!is_constant_dim(m, x, axis) || dim_of(m, x, axis) == 0) return VJ_NONE;
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return make_node(m, op, (vj_value[]){x, indices_below(m, dim_of(m, x, axis))}, 2, &attr, 1);
}

/* Along axes */

static vj_value reduce(maker *m, vj_op op) {
    static const char *const kinds[] = {"sum", "mean", "max", "min", "prod"};
    const vj_value x = chance(m->random, 80) ? any_float(m, 0) : any_of(m, is_number);
    int64_t axes[VJ_MAX_RANK];
    int32_t count = 0;
    if (x < 0) return VJ_NONE;
    const vj_type *type = type_in(m, x);
    for (int32_t i = 0; i < type->rank; i++)
        if (chance(m->random, 40) && (type->dims[i].sym == VJ_SYM_NONE || chance(m->random, 5))) axes[count++] = i;
    const vj_attr attrs[] = {vj_name(VJ_ATTR_KIND, kinds[pick(m->random, 5)]), vj_ints(VJ_ATTR_AXES, axes, count),
                             vj_int(VJ_ATTR_KEEP, pick(m->random, 2))};
    return make_node(m, op, &x, 1, attrs, 3);
}

static vj_value softmax(maker *m, vj_op op) {
    const vj_value x = any_float(m, 1);
    if (x < 0) return VJ_NONE;
    const int32_t rank = type_in(m, x)->rank;
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, chance(m->random, 50) ? rank - 1 : pick(m->random, rank));
    return make_node(m, op, &x, 1, &attr, 1);
}

static vj_value layernorm(maker *m, vj_op op) {
    const vj_value x = any_float(m, 1);
    if (x < 0) return VJ_NONE;
    const vj_type type = *type_in(m, x);
    const int32_t axis = chance(m->random, 70) ? type.rank - 1 : pick(m->random, type.rank);
    int64_t dims[VJ_MAX_RANK];
    for (int32_t i = axis; i < type.rank; i++) {
        if (type.dims[i].sym != VJ_SYM_NONE) return VJ_NONE;
        dims[i - axis] = type.dims[i].c;
    }
    const vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, axis), vj_float(VJ_ATTR_EPS, chance(m->random, 50) ? 1e-5 : 1e-2)};
    const vj_value gain = chance(m->random, 60) ? make_constant(m, type.dtype, type.rank - axis, dims) : VJ_NONE;
    const vj_value offset = chance(m->random, 50) ? make_constant(m, type.dtype, type.rank - axis, dims) : VJ_NONE;
    return make_node(m, op, (vj_value[]){x, gain, offset}, 3, attrs, 2);
}

/* Products */

/* In which a product adds up: its bias has that type. */
static vj_dtype sum_type(vj_dtype dtype) { return dtype == VJ_F64 ? VJ_F64 : VJ_F32; }

/* Now and then a product multiplies two types. */
static vj_dtype factor_type(maker *m, vj_dtype dtype) {
    static const vj_dtype widened[] = {VJ_F32, VJ_F16, VJ_BF16};
    return dtype != VJ_F64 && chance(m->random, 20) ? widened[pick(m->random, 3)] : dtype;
}

static vj_value linear(maker *m, vj_op op) {
    const vj_value x = any_float(m, 1);
    if (x < 0) return VJ_NONE;
    const vj_type type = *type_in(m, x);
    if (!is_constant_dim(m, x, type.rank - 1)) return VJ_NONE;
    const int64_t dims[] = {type.dims[type.rank - 1].c,
                            chance(m->random, 30) ? 1 + pick(m->random, 40) : 1 + pick(m->random, 12)};
    const vj_value w = make_constant(m, factor_type(m, type.dtype), 2, dims);
    const vj_value b = chance(m->random, 50) ? make_constant(m, sum_type(type.dtype), 1, dims + 1) : VJ_NONE;
    return make_node(m, op, (vj_value[]){x, w, b}, 3, NULL, 0);
}

/* The product of a value with another, with its own transpose, or with a constant on either side. */
static vj_value matmul(maker *m, vj_op op) {
    const vj_value x = chance(m->random, 90) ? any_float(m, 1) : any_of(m, is_number);
    if (x < 0 || type_in(m, x)->rank == 0) return VJ_NONE;
    const vj_type type = *type_in(m, x);
    const int32_t last = type.rank - 1;
    if (type.rank > 1 && chance(m->random, 40)) {
        int64_t perm[VJ_MAX_RANK];
        for (int32_t i = 0; i < type.rank; i++)
            perm[i] = i;
        perm[last] = last - 1;
        perm[last - 1] = last;
        const vj_value turned = transposed(m, x, perm), other = any_value(m);
        if (turned < 0) return VJ_NONE;
        const vj_value v = make_binary(m, op, x, other);
        if (v >= 0) return v;
        return chance(m->random, 50) ? make_binary(m, op, x, turned) : make_binary(m, op, turned, x);
    }
    const bool left = type.rank > 1 && chance(m->random, 30);
    const int32_t inner = left ? last - 1 : last;
    if (!is_constant_dim(m, x, inner)) return VJ_NONE;
    int64_t dims[3] = {1, type.dims[inner].c, 1 + pick(m->random, 12)};
    if (left) {
        dims[1] = dims[2];
        dims[2] = type.dims[inner].c;
    }
    const int32_t rank = 1 + pick(m->random, 3);
    const vj_value w = rank == 1 ? make_constant(m, type.dtype, 1, &type.dims[inner].c)
                                 : make_constant(m, type.dtype, rank, dims + 3 - rank);
    return w < 0 ? VJ_NONE : left ? make_binary(m, op, w, x) : make_binary(m, op, x, w);
}

typedef struct windows {
    int64_t kernel[3], stride[3], dilation[3], low[3], high[3];
} windows;

static windows any_windows(maker *m, const vj_type *type) {
    windows w;
    const int64_t same = chance(m->random, 60) ? 1 + pick(m->random, 3) : 0;
    for (int32_t i = 0; i < 3 && 2 + i < type->rank; i++) {
        w.kernel[i] = same ? same : 1 + pick(m->random, 4);
        w.stride[i] = chance(m->random, 30) ? w.kernel[i] : 1 + pick(m->random, 3);
        w.dilation[i] = chance(m->random, 75) ? 1 : 1 + pick(m->random, 2);
        w.low[i] = chance(m->random, 60) ? 0 : pick(m->random, 3);
        w.high[i] = chance(m->random, 60) ? w.low[i] : pick(m->random, 3);
    }
    return w;
}

/* Makes a value [N, C, spatial...] from an existing one. */
static vj_value picture(maker *m) {
    vj_value x = any_float(m, 3);
    if (x < 0) return VJ_NONE;
    const vj_type type = *type_in(m, x);
    if (type.rank > 5 || !is_constant_dim(m, x, 1)) return VJ_NONE;
    return x;
}

static vj_value conv(maker *m, vj_op op) {
    const vj_value x = picture(m);
    if (x < 0) return VJ_NONE;
    const vj_type type = *type_in(m, x);
    const windows w = any_windows(m, &type);
    const int64_t channels = type.dims[1].c;
    int64_t groups = chance(m->random, 60)   ? 1
                     : chance(m->random, 50) ? channels
                                             : divisor(m->random, channels ? channels : 1);
    if (groups < 1) groups = 1;
    const int32_t spatial = type.rank - 2;
    int64_t dims[5] = {groups * (1 + pick(m->random, 5)), channels / groups};
    for (int32_t i = 0; i < spatial; i++)
        dims[2 + i] = w.kernel[i];
    const vj_value weight = make_constant(m, factor_type(m, type.dtype), type.rank, dims);
    const vj_value bias = chance(m->random, 50) ? make_constant(m, sum_type(type.dtype), 1, dims) : VJ_NONE;
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_STRIDE, w.stride, spatial), vj_ints(VJ_ATTR_DILATION, w.dilation, spatial),
                             vj_ints(VJ_ATTR_LOW, w.low, spatial), vj_ints(VJ_ATTR_HIGH, w.high, spatial),
                             vj_int(VJ_ATTR_GROUPS, groups)};
    return make_node(m, op, (vj_value[]){x, weight, bias}, 3, attrs, 5);
}

static vj_value pool(maker *m, vj_op op) {
    const vj_value x = picture(m);
    if (x < 0) return VJ_NONE;
    const windows w = any_windows(m, type_in(m, x));
    const int32_t spatial = type_in(m, x)->rank - 2;
    const vj_attr attrs[] = {vj_name(VJ_ATTR_KIND, chance(m->random, 50) ? "max" : "mean"),
                             vj_ints(VJ_ATTR_KERNEL, w.kernel, spatial),
                             vj_ints(VJ_ATTR_STRIDE, w.stride, spatial),
                             vj_ints(VJ_ATTR_DILATION, w.dilation, spatial),
                             vj_ints(VJ_ATTR_LOW, w.low, spatial),
                             vj_ints(VJ_ATTR_HIGH, w.high, spatial),
                             vj_int(VJ_ATTR_COUNT_PAD, pick(m->random, 2))};
    return make_node(m, op, &x, 1, attrs, 7);
}

static vj_value attention(maker *m, vj_op op) {
    const vj_value q = any_float(m, 2);
    if (q < 0) return VJ_NONE;
    const vj_attr attrs[2] = {vj_float(VJ_ATTR_SCALE, chance(m->random, 50) ? 0.5 : real(m->random, -1, 1)),
                              vj_float(VJ_ATTR_VALUE, real(m->random, -9, 1))};
    vj_value args[5] = {q, q, q, VJ_NONE, VJ_NONE};
    for (int32_t i = 1; i < 3; i++) {
        const vj_value other = any_float(m, 2);
        if (chance(m->random, 50) && other >= 0) args[i] = other;
    }
    if (chance(m->random, 40)) args[3] = partner(m, q, sum_type(type_in(m, q)->dtype));
    if (chance(m->random, 30)) args[4] = partner(m, q, VJ_BOOL);
    vj_value v = args[4] >= 0 ? make_node(m, op, args, 5, attrs, 2) : make_node(m, op, args, 4, attrs, 1);
    if (v < 0) v = make_node(m, op, (vj_value[]){q, q, q}, 3, attrs, 1);
    return v;
}

make_row row_of(vj_op op) {
    static const struct {
        vj_op op;
        make_row row;
    } rows[] = {
        {VJ_OP_cast, cast},           {VJ_OP_gelu, gelu},     {VJ_OP_reshape, reshape}, {VJ_OP_transpose, transpose},
        {VJ_OP_slice, slice},         {VJ_OP_pad, pad},       {VJ_OP_concat, concat},   {VJ_OP_broadcast, broadcast},
        {VJ_OP_gather, gather},       {VJ_OP_reduce, reduce}, {VJ_OP_softmax, softmax}, {VJ_OP_layernorm, layernorm},
        {VJ_OP_linear, linear},       {VJ_OP_matmul, matmul}, {VJ_OP_conv, conv},       {VJ_OP_pool, pool},
        {VJ_OP_attention, attention},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].op == op) return rows[i].row;
    const vj_op_info *info = vj_op_table(op);
    const bool plain = (info->flags & VJ_FLAG_ELEMENTWISE) && info->attrs[0] == 0 && info->max_args <= 3;
    return plain ? elementwise : NULL;
}
