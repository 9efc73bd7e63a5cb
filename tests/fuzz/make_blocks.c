/* SPDX-License-Identifier: Apache-2.0 */
/* make_blocks.c - makes products with weights of 4 and 8 bits that have a scale a block, as quantisers write them: (numbers - zero
 * points) * scales, or places in a table times scales, stored by rows, by columns or flat, moved, cut and joined. Lowering packs many in
 * blocks. */
#include "graph.h"

enum { MOST_PARTS = 3 };

typedef struct kind {
    bool table;
    vj_dtype dtype; /* of the numbers */
    vj_nibbles nibbles;
    vj_value values; /* the table */
} kind;

static vj_value cast(maker *m, vj_value x, vj_dtype to) {
    const vj_attr attr = vj_name(VJ_ATTR_TO, vj_element_name(to));
    return make_node(m, VJ_OP_cast, &x, 1, &attr, 1);
}

static vj_value broadcast(maker *m, vj_value x, int32_t rank, const int64_t *dims) {
    const vj_attr attr = vj_ints(VJ_ATTR_DIMS, dims, rank);
    return make_node(m, VJ_OP_broadcast, &x, 1, &attr, 1);
}

static vj_value in_dims(maker *m, vj_value x, int32_t rank, const int64_t *sizes) {
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        dims[i] = vj_dim_const(sizes[i]);
    return reshaped(m, x, rank, dims);
}

static vj_value either_way(maker *m, vj_op op, vj_value a, vj_value b) {
    return chance(m->random, 70) ? make_binary(m, op, a, b) : make_binary(m, op, b, a);
}

/* A table of 16 numbers or fewer, some of them twice, 0 among them or not; places are below 8 where they are bytes. */
static vj_value any_table(maker *m, bool short_one) {
    static const double numbers[] = {-1, -0.7, -0.5, -0.4, -0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, -0.0};
    double table[16];
    const int64_t count = short_one ? 8 + pick(m->random, 9) : 16;
    const bool zero = chance(m->random, 70), mixed = chance(m->random, 50);
    for (int32_t i = 0; i < 16; i++) {
        table[i] = mixed ? numbers[pick(m->random, 16)] : numbers[i];
        if (table[i] == 0 && !zero) table[i] = 1.5;
    }
    return make_floats(m, count, table);
}

static kind any_kind(maker *m) {
    kind k = {.table = chance(m->random, 40), .dtype = chance(m->random, 50) ? VJ_U8 : VJ_I8, .values = VJ_NONE};
    const int32_t how = pick(m->random, 3);
    k.nibbles = how == 0 ? VJ_NO_NIBBLES : how == 1 ? VJ_NIBBLES_LOW_FIRST : VJ_NIBBLES_HIGH_FIRST;
    if (k.table) k.values = any_table(m, k.nibbles == VJ_NO_NIBBLES);
    return k;
}

/* Of bytes that are places only those below 8, which the rule of constants makes. */
static vj_value numbers_of(maker *m, const kind *k, int32_t rank, const int64_t *dims) {
    const vj_value q = k->table && k->nibbles == VJ_NO_NIBBLES ? make_seeded(m, k->dtype, rank, dims)
                                                               : make_bytes(m, k->dtype, k->nibbles, rank, dims);
    if (!k->table) return cast(m, q, VJ_F32);
    const vj_attr axis = vj_int(VJ_ATTR_AXIS, 0);
    return make_node(m, VJ_OP_gather, (vj_value[]){k->values, q}, 2, &axis, 1);
}

/* One for all, or one for each of `dims`; not always a number that there is. */
static vj_value less_zeros(maker *m, const kind *k, vj_value x, int32_t rank, const int64_t *dims) {
    const int32_t how = pick(m->random, 6);
    if (k->table || how == 0) return x;
    if (how == 1) return either_way(m, VJ_OP_add, x, make_number(m, VJ_F32, -pick(m->random, 8)));
    if (how == 2)
        return make_binary(
            m, VJ_OP_sub, x,
            make_number(m, VJ_F32, chance(m->random, 10) ? 2.5 : pick(m->random, chance(m->random, 20) ? 300 : 8)));
    const vj_nibbles nibbles = chance(m->random, 85) ? k->nibbles : VJ_NO_NIBBLES;
    const vj_dtype dtype = chance(m->random, 85) ? k->dtype : VJ_U8;
    return make_binary(m, VJ_OP_sub, x, cast(m, make_bytes(m, dtype, nibbles, rank, dims), VJ_F32));
}

static vj_value scales_of(maker *m, int32_t rank, const int64_t *dims) {
    const int32_t how = pick(m->random, 10);
    if (how == 0) return make_number(m, VJ_F32, 0.25);
    if (how == 1) return cast(m, make_constant(m, VJ_F16, rank, dims), VJ_F32);
    const vj_value s = make_constant(m, VJ_F32, rank, dims);
    return how == 2 ? make_binary(m, VJ_OP_add, s, make_constant(m, VJ_F32, rank, dims)) : s;
}

static vj_value dequantised(maker *m, const kind *k, int32_t rank, const int64_t *dims, const int64_t *each) {
    const vj_value x = less_zeros(m, k, numbers_of(m, k, rank, dims), rank, each);
    return either_way(m, VJ_OP_mul, x, scales_of(m, rank, each));
}

/* [columns, depth], whose rows are blocks, the last one perhaps larger than what is left of them. */
static vj_value by_rows(maker *m, const kind *k, int64_t depth, int64_t columns, int64_t block) {
    const int64_t groups = vj_ceil_div(depth, block), whole = groups * block;
    const vj_value w = dequantised(m, k, 3, (int64_t[]){columns, groups, block}, (int64_t[]){columns, groups, 1});
    const vj_value rows = in_dims(m, w, 2, (int64_t[]){columns, whole});
    return whole == depth && chance(m->random, 80) ? rows : sliced(m, rows, 1, 0, depth, 1);
}

/* The same of scales that run on from row to row. */
static vj_value flat(maker *m, const kind *k, int64_t depth, int64_t columns, int64_t block) {
    const int64_t count = depth * columns, groups = vj_ceil_div(count, block), whole = groups * block;
    vj_value s = broadcast(m, make_constant(m, VJ_F32, 2, (int64_t[]){groups, 1}), 2, (int64_t[]){groups, block});
    s = sliced(m, in_dims(m, s, 1, &whole), 0, 0, count, 1);
    return in_dims(m, either_way(m, VJ_OP_mul, numbers_of(m, k, 1, &count), s), 2, (int64_t[]){columns, depth});
}

/* [depth, columns], which must be whole blocks. */
static vj_value by_columns(maker *m, const kind *k, int64_t depth, int64_t columns, int64_t block) {
    const int64_t groups = depth / block;
    const vj_value w = dequantised(m, k, 3, (int64_t[]){groups, block, columns}, (int64_t[]){groups, 1, columns});
    return in_dims(m, w, 2, (int64_t[]){depth, columns});
}

/* A weight of [depth, columns]. */
static vj_value part(maker *m, const kind *k, int64_t depth, int64_t columns, int64_t block) {
    if (depth % block == 0 && chance(m->random, 30)) return by_columns(m, k, depth, columns, block);
    const int64_t step = chance(m->random, 10) ? 2 : 1, stored = columns * step;
    vj_value w = chance(m->random, 30) ? flat(m, k, depth, stored, block) : by_rows(m, k, depth, stored, block);
    if (step > 1) w = sliced(m, w, 0, pick(m->random, 2), columns, step);
    return transposed(m, w, (int64_t[]){1, 0});
}

static vj_value joined(maker *m, int64_t depth, int64_t *columns) {
    static const uint8_t blocks[] = {16, 16, 16, 16, 32, 32, 32, 64, 18, 8};
    const int32_t parts = chance(m->random, 60) ? 1 : 2 + pick(m->random, MOST_PARTS - 1);
    const int64_t block = blocks[pick(m->random, (int32_t)sizeof blocks)];
    const kind same = any_kind(m);
    vj_value all[MOST_PARTS];
    *columns = 0;
    for (int32_t i = 0; i < parts; i++) {
        const int64_t some = 1 + pick(m->random, chance(m->random, 20) ? 40 : 12);
        const kind other = chance(m->random, 10) ? any_kind(m) : same;
        all[i] = part(m, &other, depth, some, block);
        if (all[i] < 0) return VJ_NONE;
        *columns += some;
    }
    if (parts == 1) return all[0];
    const vj_attr axis = vj_int(VJ_ATTR_AXIS, 1);
    return make_node(m, VJ_OP_concat, all, parts, &axis, 1);
}

/* A value of rank 2 or more whose last dim is that of the depth: as it comes, or made wider by a product. */
static vj_value activation(maker *m, int64_t *depth) {
    const vj_value x = any_float(m, 2);
    if (x < 0 || type_in(m, x)->dtype != VJ_F32) return VJ_NONE;
    const vj_dim last = type_in(m, x)->dims[type_in(m, x)->rank - 1];
    if (last.sym != VJ_SYM_NONE || last.c < 1) return VJ_NONE;
    *depth = last.c;
    if (last.c >= 16 && chance(m->random, 70)) return x;
    static const uint8_t depths[] = {16, 32, 32, 48, 48, 64, 64, 80, 96, 17, 33, 40, 50};
    *depth = depths[pick(m->random, (int32_t)sizeof depths)];
    return make_binary(m, VJ_OP_matmul, x, make_constant(m, VJ_F32, 2, (int64_t[]){last.c, *depth}));
}

vj_value make_blocks(maker *m) {
    int64_t depth = 0, columns = 0;
    const vj_value x = activation(m, &depth);
    if (x < 0) return VJ_NONE;
    const vj_value w = joined(m, depth, &columns);
    if (w < 0) return VJ_NONE;
    if (type_in(m, x)->rank == 2 && chance(m->random, 15))
        return make_binary(m, VJ_OP_matmul, transposed(m, w, (int64_t[]){1, 0}), transposed(m, x, (int64_t[]){1, 0}));
    if (chance(m->random, 50))
        return make_node(m, VJ_OP_linear, (vj_value[]){x, w, make_constant(m, VJ_F32, 1, &columns)}, 3, NULL, 0);
    const vj_value y = make_binary(m, VJ_OP_matmul, x, w);
    return chance(m->random, 50) ? make_binary(m, VJ_OP_add, y, make_constant(m, VJ_F32, 1, &columns)) : y;
}
