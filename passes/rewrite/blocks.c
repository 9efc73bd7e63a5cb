/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c - weights that the model stores in 4 or 8 bits, dequantised: (numbers - zero points) * scales, or table[numbers] * scales, which
 * is moved and joined. */
#include "rewrite.h"

#include <string.h>

/* Expressions are as large as a model likes; what moves and joins a weight is not. */
enum { MOST_VISITS = 256 };

static bool is_view(vj_op op) { return op == VJ_OP_reshape || op == VJ_OP_transpose || op == VJ_OP_slice; }

static bool is_f32_weight(const vj_func *f, vj_value v) {
    return vj_is_weight(f, v) && vj_type_at(f, v)->dtype == VJ_F32 && vj_type_is_static(vj_type_at(f, v));
}

bool vj_is_block_table(const vj_func *f, vj_value v) {
    const vj_type *type = vj_type_at(f, v);
    return vj_is_const(f, v) && type->dtype == VJ_F32 && type->rank == 1 && type->dims[0].c >= 1 &&
           type->dims[0].c <= VJ_BLOCK_TABLE;
}

static bool same_tables(const vj_func *f, vj_value a, vj_value b) {
    float x[VJ_BLOCK_TABLE], y[VJ_BLOCK_TABLE];
    vj_error ignored = {0};
    if (a == b) return true;
    if (a < 0 || b < 0 || !vj_dim_equal(vj_type_at(f, a)->dims[0], vj_type_at(f, b)->dims[0])) return false;
    const int64_t count = vj_type_at(f, a)->dims[0].c;
    return vj_const_read_f32(f, a, 0, count, x, &ignored) && vj_const_read_f32(f, b, 0, count, y, &ignored) &&
           memcmp(x, y, (size_t)count * sizeof *x) == 0;
}

static bool same_kind(const vj_func *f, const vj_block_parts *a, const vj_block_parts *b) {
    return a->bits == b->bits && a->least == b->least && same_tables(f, a->table, b->table);
}

typedef bool find_kind(const vj_func *f, vj_value v, int32_t *visits, vj_block_parts *kind);

/* Are all that the node joins of one kind? */
static bool joins_a_kind(const vj_func *f, const vj_node *node, int32_t *visits, find_kind *find,
                         vj_block_parts *kind) {
    if (!find(f, node->args[0], visits, kind)) return false;
    for (int32_t i = 1; i < node->arg_count; i++) {
        vj_block_parts other = {.table = VJ_NONE};
        if (!find(f, node->args[i], visits, &other) || !same_kind(f, kind, &other)) return false;
    }
    return true;
}

static bool is_of_integers(const vj_func *f, vj_value v, vj_block_parts *kind) {
    const vj_dtype dtype = vj_type_at(f, v)->dtype;
    if (!vj_is_const(f, v) || (dtype != VJ_U8 && dtype != VJ_I8)) return false;
    kind->bits = vj_const_nibbles(f, v) != VJ_NO_NIBBLES ? 4 : 8;
    kind->least = dtype == VJ_U8 ? 0 : kind->bits == 4 ? -8 : -128;
    return true;
}

/* Of which kind numbers are that are moved and joined: integers of a constant, which are f32 behind one cast, or floats of a table. */
static bool kind_of_numbers(const vj_func *f, vj_value v, int32_t *visits, vj_block_parts *kind) {
    const vj_node *node = vj_producer(f, v);
    if (--*visits < 0) return false;
    switch (node->op) {
    case VJ_OP_const:
        return is_of_integers(f, v, kind);
    case VJ_OP_gather:
        kind->table = node->args[0];
        kind->bits = 4;
        return vj_is_block_table(f, kind->table) && vj_is_const(f, node->args[1]);
    case VJ_OP_cast:
        return vj_type_at(f, v)->dtype == VJ_F32 && kind_of_numbers(f, node->args[0], visits, kind) &&
               vj_type_at(f, node->args[0])->dtype != VJ_F32;
    case VJ_OP_concat:
        return joins_a_kind(f, node, visits, kind_of_numbers, kind);
    default:
        return is_view(node->op) && kind_of_numbers(f, node->args[0], visits, kind);
    }
}

static bool are_numbers(const vj_func *f, vj_value v, vj_block_parts *parts) {
    int32_t visits = MOST_VISITS;
    return is_f32_weight(f, v) && kind_of_numbers(f, v, &visits, parts);
}

/* numbers, or the difference of integers from zero points, or, as it may be spelled, their sum with the negative ones */
static bool are_differences(const vj_func *f, vj_value v, vj_block_parts *parts) {
    const vj_node *node = vj_producer(f, v);
    const bool differ = node->op == VJ_OP_sub || node->op == VJ_OP_add;
    for (int32_t i = 0; i < (node->op == VJ_OP_add ? 2 : 1); i++) {
        *parts = (vj_block_parts){
            .numbers = differ ? node->args[i] : v, .zeros = differ ? node->args[1 - i] : VJ_NONE, .table = VJ_NONE};
        if (!are_numbers(f, parts->numbers, parts)) continue;
        if (!differ || (parts->table < 0 && is_f32_weight(f, parts->zeros))) return true;
    }
    return false;
}

/* Are the differences, which stand beside the scales, a sum? */
static bool is_sum(const vj_func *f, const vj_node *product, const vj_block_parts *parts) {
    return parts->zeros >= 0 && vj_op_of(f, product->args[product->args[0] == parts->scales]) == VJ_OP_add;
}

/* The three as they stand in a product with the scales, of any dims that broadcast. */
static bool are_scaled(const vj_func *f, const vj_node *node, vj_block_parts *parts) {
    for (int32_t i = 0; i < 2; i++) {
        if (!are_differences(f, node->args[i], parts) || !is_f32_weight(f, node->args[1 - i])) continue;
        parts->scales = node->args[1 - i];
        return true;
    }
    return false;
}

/* Of which kind the weight is, below what moves and joins it. */
static bool kind_of(const vj_func *f, vj_value v, int32_t *visits, vj_block_parts *kind) {
    const vj_node *node = vj_producer(f, v);
    if (--*visits < 0 || !vj_is_weight(f, v) || !vj_type_is_static(vj_type_at(f, v))) return false;
    if (node->op == VJ_OP_mul) return are_scaled(f, node, kind);
    if (node->op == VJ_OP_concat) return joins_a_kind(f, node, visits, kind_of, kind);
    const bool is_rounded = node->op == VJ_OP_cast && vj_type_at(f, v)->dtype == VJ_BF16;
    return (is_view(node->op) || is_rounded) && kind_of(f, node->args[0], visits, kind);
}

bool vj_is_in_blocks(const vj_func *f, vj_value weight) {
    vj_block_parts kind;
    int32_t visits = MOST_VISITS;
    return weight >= 0 && kind_of(f, weight, &visits, &kind);
}

static vj_value spread(vj_func *f, vj_value x, const vj_type *type, const vj_origin *origin) {
    int64_t dims[VJ_MAX_RANK];
    if (vj_same_dims(vj_type_at(f, x), type)) return x;
    for (int32_t d = 0; d < type->rank; d++)
        dims[d] = type->dims[d].c;
    const vj_attr to = vj_ints(VJ_ATTR_DIMS, dims, type->rank);
    return vj_make(f, VJ_OP_broadcast, &x, 1, &to, 1, origin);
}

/* The three, each of the weight's dims; of a table no zero points. */
static void make_parts(vj_func *f, vj_arena *arena, vj_value v, vj_value made[3]) {
    const vj_type type = *vj_type_at(f, v);
    const vj_node node = *vj_producer(f, v);
    vj_block_parts parts;
    if (node.op == VJ_OP_mul && are_scaled(f, &node, &parts)) {
        if (parts.zeros < 0 && parts.table < 0)
            parts.zeros = vj_add_const_f64(f, VJ_F32, 0, NULL, &(double){0});
        else if (is_sum(f, &node, &parts))
            parts.zeros = vj_make(f, VJ_OP_neg, &parts.zeros, 1, NULL, 0, node.origin);
        const vj_value own[3] = {parts.numbers, parts.zeros, parts.scales};
        for (int32_t i = 0; i < 3; i++)
            made[i] = own[i] < 0 ? VJ_NONE : spread(f, own[i], &type, node.origin);
        return;
    }
    if (node.op == VJ_OP_cast) {
        make_parts(f, arena, node.args[0], made);
        return;
    }
    vj_value *moved[3];
    for (int32_t i = 0; i < 3; i++)
        moved[i] = VJ_NEW_ARRAY(arena, vj_value, node.arg_count);
    for (int32_t a = 0; a < node.arg_count; a++) {
        vj_value of_part[3];
        make_parts(f, arena, node.args[a], of_part);
        for (int32_t i = 0; i < 3; i++)
            moved[i][a] = of_part[i];
    }
    for (int32_t i = 0; i < 3; i++)
        made[i] = moved[i][0] < 0
                      ? VJ_NONE
                      : vj_make(f, node.op, moved[i], node.arg_count, node.attrs, node.attr_count, node.origin);
}

bool vj_find_blocks(const vj_func *f, vj_value source, vj_block_parts *parts) {
    if (vj_op_of(f, source) == VJ_OP_cast && vj_type_at(f, source)->dtype == VJ_BF16) source = vj_operand(f, source, 0);
    const vj_node *node = vj_producer(f, source);
    if (node->op != VJ_OP_mul || !are_scaled(f, node, parts) || parts->scales != node->args[1] ||
        is_sum(f, node, parts))
        return false;
    const vj_type *type = vj_type_at(f, source);
    if (!vj_same_dims(vj_type_at(f, parts->numbers), type) || !vj_same_dims(vj_type_at(f, parts->scales), type))
        return false;
    return parts->zeros >= 0 ? vj_same_dims(vj_type_at(f, parts->zeros), type) : parts->table >= 0;
}

static vj_value in_parts(vj_func *f, vj_arena *arena, vj_value v, bool narrow) {
    const vj_node node = *vj_producer(f, v);
    vj_block_parts parts;
    if (is_view(node.op)) {
        const vj_value inner = in_parts(f, arena, node.args[0], narrow);
        return inner == node.args[0] ? v : vj_make(f, node.op, &inner, 1, node.attrs, node.attr_count, node.origin);
    }
    if (vj_find_blocks(f, v, &parts) && (vj_type_at(f, v)->dtype == VJ_BF16) == narrow) return v;
    if (node.op == VJ_OP_cast) return in_parts(f, arena, node.args[0], true);
    vj_value made[3];
    make_parts(f, arena, v, made);
    vj_value w = made[0];
    if (made[1] >= 0) w = vj_make_binary(f, VJ_OP_sub, w, made[1], node.origin);
    w = vj_make_binary(f, VJ_OP_mul, w, made[2], node.origin);
    if (!f->values[w].name) f->values[w].name = f->values[v].name;
    return narrow ? vj_make_cast(f, w, VJ_BF16, node.origin) : w;
}

vj_value vj_make_blocks(vj_func *f, vj_arena *arena, vj_value weight) {
    if (!vj_is_in_blocks(f, weight)) return weight;
    return in_parts(f, arena, weight, vj_type_at(f, weight)->dtype == VJ_BF16);
}
