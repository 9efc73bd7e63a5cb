/* SPDX-License-Identifier: Apache-2.0 */
/* bound_nodes.c - each op with dims at their bounds. What is elementwise, or moves whole rows, goes on as it is; an op
 * that takes several elements of an axis together gets them masked by what changes nothing: 0 of a sum, -inf of a
 * largest, ... An op that is not named here is refused where it meets a size that the data decides. */
#include "bound.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const uint32_t all_axes = (1u << VJ_MAX_RANK) - 1;

static uint32_t data_axes(const vj_type *type) {
    uint32_t axes = 0;
    for (int32_t i = 0; i < type->rank; i++)
        axes |= (uint32_t)vj_is_data_dim(type->dims[i]) << i;
    return axes;
}

/* The node with these operands; the dims in its attributes become their bounds. */
static vj_value with_operands(vj_bounding *b, const vj_value *args, int32_t arg_count) {
    const vj_node *node = b->node;
    vj_attr *attrs = VJ_NEW_ARRAY(b->c->arena, vj_attr, node->attr_count);
    int32_t count = 0;
    for (int32_t i = 0; i < node->attr_count; i++) {
        vj_attr attr = node->attrs[i];
        vj_dim dim;
        if (attr.key == VJ_ATTR_SIZE) {
            if (node->op == VJ_OP_concat || node->op == VJ_OP_topk) continue;
            if (vj_dim_of_code(attr.as.i, &dim)) attr.as.i = vj_bounds_of(b, dim);
        } else if (attr.key == VJ_ATTR_DIMS || attr.key == VJ_ATTR_SIZES) {
            int64_t *list = VJ_NEW_ARRAY(b->c->arena, int64_t, attr.count);
            for (int32_t k = 0; k < attr.count; k++)
                list[k] = vj_dim_of_code(attr.as.ints[k], &dim) && vj_is_data_dim(dim) ? vj_bounds_of(b, dim)
                                                                                       : attr.as.ints[k];
            attr.as.ints = list;
        }
        attrs[count++] = attr;
    }
    return vj_bounds_emit(b, node->op, args, arg_count, attrs, count);
}

static vj_value as_it_is(vj_bounding *b) {
    vj_value *args = VJ_NEW_ARRAY(b->c->arena, vj_value, b->node->arg_count);
    for (int32_t i = 0; i < b->node->arg_count; i++)
        args[i] = vj_bounds_arg(b, i);
    return with_operands(b, args, b->node->arg_count);
}

/* Operand i with `fill` outside along these axes. */
static vj_value masked(vj_bounding *b, int32_t i, uint32_t axes, vj_value fill) {
    return vj_bounds_mask(b, vj_bounds_arg(b, i), vj_bounds_type(b, i), axes, fill);
}

static vj_value zero_outside(vj_bounding *b, int32_t i, uint32_t axes) {
    return masked(b, i, axes, vj_bounds_number(b, vj_bounds_type(b, i)->dtype, 0));
}

/* The smallest or the largest number of a type: it never wins a max or min. */
static vj_value extreme(vj_bounding *b, vj_dtype dtype, bool is_largest) {
    if (vj_dtype_is_float(dtype)) return vj_bounds_number(b, dtype, is_largest ? INFINITY : -INFINITY);
    const int64_t bits = vj_element_bytes(dtype) * 8;
    const bool is_signed = dtype == VJ_I8 || dtype == VJ_I16 || dtype == VJ_I32 || dtype == VJ_I64;
    const uint64_t ones = UINT64_MAX >> (64 - bits);
    int64_t number = is_signed ? (int64_t)(ones >> 1) : (int64_t)ones;
    if (!is_largest) number = is_signed ? -number - 1 : 0;
    return vj_add_const_i64(b->g, dtype, 0, NULL, &number);
}

/* An integer divisor that is anything could be 0. */
static vj_value divide(vj_bounding *b) {
    const vj_type *divisor = vj_bounds_type(b, 1);
    if (vj_dtype_is_float(divisor->dtype) || !data_axes(divisor)) return as_it_is(b);
    vj_value safe = masked(b, 1, all_axes, vj_bounds_number(b, divisor->dtype, 1));
    return with_operands(b, (vj_value[]){vj_bounds_arg(b, 0), safe}, 2);
}

/* A sum over the true elements, divided by their number. */
static vj_value mean(vj_bounding *b, uint32_t axes) {
    const vj_type *x = vj_bounds_type(b, 0);
    vj_value sum = zero_outside(b, 0, axes), count = vj_bounds_integer(b, 1);
    for (int32_t i = 0; i < x->rank; i++)
        if (axes >> i & 1) count = vj_bounds_emit2(b, VJ_OP_mul, count, vj_bounds_size(b, x->dims[i]));
    const vj_attr attrs[] = {vj_name(VJ_ATTR_KIND, "sum"), *vj_attr_find(b->node, VJ_ATTR_AXES),
                             *vj_attr_find(b->node, VJ_ATTR_KEEP)};
    sum = vj_bounds_emit(b, VJ_OP_reduce, &sum, 1, attrs, 3);
    return vj_bounds_emit2(b, VJ_OP_div, sum, vj_bounds_cast(b, count, x->dtype));
}

static vj_value reduce(vj_bounding *b) {
    const vj_attr *list = vj_attr_find(b->node, VJ_ATTR_AXES);
    const char *kind = vj_attr_name(b->node, VJ_ATTR_KIND, "");
    const vj_type *x = vj_bounds_type(b, 0);
    uint32_t axes = 0;
    for (int32_t i = 0; i < list->count; i++)
        axes |= 1u << list->as.ints[i];
    if (!(axes & data_axes(x))) return as_it_is(b);
    if (strcmp(kind, "mean") == 0) return mean(b, axes);
    vj_value fill = strcmp(kind, "sum") == 0    ? vj_bounds_number(b, x->dtype, 0)
                    : strcmp(kind, "prod") == 0 ? vj_bounds_number(b, x->dtype, 1)
                                                : extreme(b, x->dtype, strcmp(kind, "min") == 0);
    vj_value y = masked(b, 0, axes, fill);
    return with_operands(b, &y, 1);
}

/* What is outside comes behind all that is inside: it is the least of all, or NaN, the largest. */
static vj_value topk(vj_bounding *b) {
    const vj_type *x = vj_bounds_type(b, 0);
    const bool is_largest = vj_attr_int(b->node, VJ_ATTR_LARGEST, 1) != 0;
    vj_value fill = is_largest || !vj_dtype_is_float(x->dtype) ? extreme(b, x->dtype, !is_largest)
                                                               : vj_bounds_number(b, x->dtype, (double)NAN);
    vj_value y = masked(b, 0, 1u << vj_attr_int(b->node, VJ_ATTR_AXIS, 0), fill);
    return with_operands(b, &y, 1);
}

static vj_value softmax(vj_bounding *b) {
    const uint32_t axis = 1u << vj_attr_int(b->node, VJ_ATTR_AXIS, 0);
    vj_value x = masked(b, 0, axis, vj_bounds_number(b, vj_bounds_type(b, 0)->dtype, -INFINITY));
    return with_operands(b, &x, 1);
}

static vj_value layernorm(vj_bounding *b) {
    const uint32_t axes = all_axes << vj_attr_int(b->node, VJ_ATTR_AXIS, 0);
    if (data_axes(vj_bounds_type(b, 0)) & axes)
        return vj_bounds_fail(b, "normalises over a size that the data decides, which is not supported");
    return as_it_is(b);
}

/* The axes that are summed over, of both sides. */
static vj_value product(vj_bounding *b) {
    const vj_type *x = vj_bounds_type(b, 0), *w = vj_bounds_type(b, 1);
    const uint32_t k_of_x = 1u << (x->rank - 1), k_of_w = 1u << (w->rank > 1 ? w->rank - 2 : 0);
    vj_value args[3] = {zero_outside(b, 0, k_of_x), zero_outside(b, 1, k_of_w), vj_bounds_arg(b, 2)};
    return with_operands(b, args, b->node->arg_count);
}

/* Keys outside get no weight. A row without any key gives 0, as the sum over nothing. */
static vj_value attention(vj_bounding *b) {
    const vj_type *k = vj_bounds_type(b, 1), *q = vj_bounds_type(b, 0), *v = vj_bounds_type(b, 2);
    const vj_dim keys = k->dims[k->rank - 2], depth = k->dims[k->rank - 1];
    if (vj_is_data_dim(depth))
        return vj_bounds_fail(b, "has a head size that the data decides, which is not supported");
    if (!vj_is_data_dim(keys)) return as_it_is(b);
    if (b->node->arg_count > 4) return vj_bounds_fail(b, "has a mask over keys whose number the data decides");
    const vj_dtype dtype = q->dtype;
    vj_value args[4] = {vj_bounds_arg(b, 0), zero_outside(b, 1, 1u << (k->rank - 2)),
                        zero_outside(b, 2, 1u << (v->rank - 2)), vj_bounds_arg(b, 3)};
    vj_value low = vj_bounds_number(b, dtype, -INFINITY);
    vj_type bias = {.dtype = dtype, .rank = 2, .dims = {vj_dim_const(1), keys}};
    if (args[3] < 0)
        args[3] = vj_bounds_mask(b, vj_bounds_number(b, dtype, 0), &bias, 2, low);
    else
        args[3] = vj_bounds_mask(b, args[3], &bias, 2, low); /* broadcasts where the bias has more dims, or 1 */
    vj_value y = with_operands(b, args, 4);
    vj_value any = vj_bounds_emit2(b, VJ_OP_lt, vj_bounds_integer(b, 0), vj_bounds_size(b, keys));
    return vj_bounds_emit(b, VJ_OP_select, (vj_value[]){any, y, vj_bounds_number(b, dtype, 0)}, 3, NULL, 0);
}

/* Reshape: dims part into groups of equal products. A group whose true elements are its first ones on both sides stays
 * as it is at the bounds. */

typedef struct side {
    const vj_type *type;
    int32_t at;
    int64_t product;         /* of the constants of the group */
    bool is_dense, is_first; /* the group's true elements are its first; only ones so far */
} side;

static void take_dim(side *s, int32_t *symbols, int32_t sign) {
    const vj_dim d = s->type->dims[s->at++];
    s->product *= d.c; /* inference has seen all of them fit */
    if (d.sym) symbols[d.sym] += sign;
    if (vj_is_data_dim(d) && !s->is_first) s->is_dense = false;
    if (!vj_dim_equal(d, vj_dim_const(1))) s->is_first = false;
}

static bool are_equal(const side *x, const side *y, const int32_t *symbols) {
    if (x->product != y->product) return false;
    for (int32_t i = 0; i < VJ_SYM_FIRST_DATA + VJ_MAX_SYMBOLS; i++)
        if (symbols[i]) return false;
    return true;
}

static bool groups_stay(const vj_type *from, const vj_type *to) {
    side x = {.type = from}, y = {.type = to};
    while (x.at < from->rank && y.at < to->rank) {
        int32_t symbols[VJ_SYM_FIRST_DATA + VJ_MAX_SYMBOLS] = {0};
        x.product = y.product = 1;
        x.is_dense = x.is_first = y.is_dense = y.is_first = true;
        take_dim(&x, symbols, 1);
        take_dim(&y, symbols, -1);
        while (!are_equal(&x, &y, symbols)) {
            /* the side with less takes more; a side that is all in leaves it to the other */
            if (x.at < from->rank && (x.product <= y.product || y.at == to->rank))
                take_dim(&x, symbols, 1);
            else if (y.at < to->rank)
                take_dim(&y, symbols, -1);
            else
                break;
        }
        if (!x.is_dense || !y.is_dense) return false;
    }
    return true; /* what is left are ones */
}

static vj_value reshape(vj_bounding *b) {
    const vj_type *x = vj_bounds_type(b, 0), *y = vj_type_at(b->f, b->node->first_result);
    if (!data_axes(x) || groups_stay(x, y)) return as_it_is(b);
    return vj_bounds_unpack(b, vj_bounds_pack(b, vj_bounds_arg(b, 0), x), y);
}

/* Is it the last part alone that has room behind its true size? */
static bool only_last_has_room(const vj_bounding *b, int32_t axis) {
    for (int32_t i = 0; i + 1 < b->node->arg_count; i++)
        if (vj_is_data_dim(vj_bounds_type(b, i)->dims[axis])) return false;
    return true;
}

/* Where parts have room behind their true size, element j of the sum is j, moved on by the rooms before its part. */
static vj_value concat(vj_bounding *b) {
    const vj_node *node = b->node;
    const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
    vj_value all = as_it_is(b);
    if (only_last_has_room(b, axis)) return all;
    vj_value start = vj_bounds_integer(b, 0), shift = start;
    int64_t total = 0;
    for (int32_t i = 0; i < node->arg_count; i++)
        total += vj_bounds_of(b, vj_bounds_type(b, i)->dims[axis]);
    vj_value j = vj_bounds_iota(b, total, 0, 1);
    int64_t room = 0;
    for (int32_t i = 0; i < node->arg_count; i++) {
        const vj_dim dim = vj_bounds_type(b, i)->dims[axis];
        if (i > 0) {
            vj_value behind = vj_bounds_emit2(b, VJ_OP_le, start, j);
            vj_value by = vj_bounds_emit2(b, VJ_OP_sub, vj_bounds_integer(b, room), start);
            shift = vj_bounds_emit(b, VJ_OP_select, (vj_value[]){behind, by, shift}, 3, NULL, 0);
        }
        room += vj_bounds_of(b, dim);
        start = vj_bounds_emit2(b, VJ_OP_add, start, vj_bounds_size(b, dim));
    }
    vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return vj_bounds_emit(b, VJ_OP_gather, (vj_value[]){all, vj_bounds_emit2(b, VJ_OP_add, j, shift)}, 2, &attr, 1);
}

/* Indices count from the true end and stay inside of the true size. */
static vj_value gather(vj_bounding *b) {
    const vj_dim dim = vj_bounds_type(b, 0)->dims[vj_attr_int(b->node, VJ_ATTR_AXIS, 0)];
    if (!vj_is_data_dim(dim)) return as_it_is(b);
    vj_value size = vj_bounds_size(b, dim), index = vj_bounds_cast(b, vj_bounds_arg(b, 1), VJ_I64);
    vj_value zero = vj_bounds_integer(b, 0), last = vj_bounds_emit2(b, VJ_OP_sub, size, vj_bounds_integer(b, 1));
    vj_value wrapped = vj_bounds_emit2(b, VJ_OP_add, index, size), below = vj_bounds_emit2(b, VJ_OP_lt, index, zero);
    index = vj_bounds_emit(b, VJ_OP_select, (vj_value[]){below, wrapped, index}, 3, NULL, 0);
    index = vj_bounds_emit2(b, VJ_OP_max, vj_bounds_emit2(b, VJ_OP_min, index, last), zero);
    return with_operands(b, (vj_value[]){vj_bounds_arg(b, 0), index}, 2);
}

static int32_t axis_of(const vj_bounding *b) {
    const int64_t axis = vj_attr_int(b->node, VJ_ATTR_AXIS, 0);
    return (int32_t)(axis < 0 ? axis + vj_bounds_type(b, 0)->rank : axis);
}

/* Indices count from the true end; updates that are none write nothing, as their index is outside. */
static vj_value scatter(vj_bounding *b) {
    const int32_t axis = axis_of(b);
    const vj_dim dim = vj_bounds_type(b, 0)->dims[axis];
    const int64_t far = INT64_C(1) << 52; /* behind any axis, and exact as a double */
    vj_value index = vj_bounds_arg(b, 1);
    if (vj_is_data_dim(dim)) {
        vj_value wrapped = vj_bounds_emit2(b, VJ_OP_add, index, vj_bounds_size(b, dim));
        vj_value below = vj_bounds_emit2(b, VJ_OP_lt, index, vj_bounds_integer(b, 0));
        vj_value gone = vj_bounds_emit2(b, VJ_OP_lt, wrapped, vj_bounds_integer(b, 0));
        wrapped = vj_bounds_emit(b, VJ_OP_select, (vj_value[]){gone, vj_bounds_integer(b, far), wrapped}, 3, NULL, 0);
        index = vj_bounds_emit(b, VJ_OP_select, (vj_value[]){below, wrapped, index}, 3, NULL, 0);
    }
    index = vj_bounds_mask(b, index, vj_bounds_type(b, 1), 1u << axis, vj_bounds_integer(b, far));
    return with_operands(b, (vj_value[]){vj_bounds_arg(b, 0), index, vj_bounds_arg(b, 2)}, 3);
}

static vj_value scan(vj_bounding *b) {
    const bool product = strcmp(vj_attr_name(b->node, VJ_ATTR_KIND, "sum"), "prod") == 0;
    vj_value x = masked(b, 0, 1u << axis_of(b), vj_bounds_number(b, vj_bounds_type(b, 0)->dtype, product));
    return with_operands(b, &x, 1);
}

/* Regions and places of a grid may be too many, but a picture ends where it ends. */
static vj_value sampled(vj_bounding *b) {
    if (data_axes(vj_bounds_type(b, 0)) >> 2)
        return vj_bounds_fail(b, "reads pictures of a size that the data decides, which is not supported");
    return as_it_is(b);
}

/* A region takes as many samples as its size asks for: those outside are made empty. */
static vj_value roialign(vj_bounding *b) {
    if (data_axes(vj_bounds_type(b, 0)) >> 1)
        return vj_bounds_fail(b, "reads pictures of a size that the data decides, which is not supported");
    vj_value args[3] = {vj_bounds_arg(b, 0), zero_outside(b, 1, 1), zero_outside(b, 2, 1)};
    return with_operands(b, args, 3);
}

static vj_value nonzero(vj_bounding *b) {
    const vj_type *x = vj_bounds_type(b, 0);
    vj_value y = vj_bounds_arg(b, 0);
    if (data_axes(x)) y = zero_outside(b, 0, all_axes);
    return with_operands(b, &y, 1);
}

static vj_value unique(vj_bounding *b) {
    const vj_type *x = vj_bounds_type(b, 0);
    if (vj_is_data_dim(x->dims[1]))
        return vj_bounds_fail(b, "compares rows of a length that the data decides, which is not supported");
    vj_value args[2] = {vj_bounds_arg(b, 0), vj_bounds_arg(b, 1)};
    if (args[1] < 0) args[1] = vj_bounds_size(b, x->dims[0]);
    return with_operands(b, args, 2);
}

static vj_value nms(vj_bounding *b) {
    const vj_type *scores = vj_bounds_type(b, 1);
    if (vj_is_data_dim(scores->dims[0]) || vj_is_data_dim(scores->dims[1]))
        return vj_bounds_fail(b, "has a number of batches or classes that the data decides, which is not supported");
    vj_value args[6];
    for (int32_t i = 0; i < 6; i++)
        args[i] = vj_bounds_arg(b, i);
    if (args[5] < 0) args[5] = vj_bounds_size(b, scores->dims[2]);
    return with_operands(b, args, 6);
}

static bool meets_data_dims(const vj_bounding *b) {
    for (int32_t i = 0; i < b->node->arg_count; i++)
        if (b->node->args[i] >= 0 && data_axes(vj_bounds_type(b, i))) return true;
    for (int32_t i = 0; i < b->node->result_count; i++)
        if (data_axes(vj_type_at(b->f, b->node->first_result + i))) return true;
    return false;
}

static const struct {
    vj_op op;
    vj_value (*bound)(vj_bounding *b);
} rules[] = {
    {VJ_OP_div, divide},
    {VJ_OP_mod, divide},
    {VJ_OP_reduce, reduce},
    {VJ_OP_softmax, softmax},
    {VJ_OP_layernorm, layernorm},
    {VJ_OP_matmul, product},
    {VJ_OP_linear, product},
    {VJ_OP_attention, attention},
    {VJ_OP_round_blocks, as_it_is},
    {VJ_OP_conv, as_it_is}, /* windows and channels are no sizes that the data decides: inference refuses them */
    {VJ_OP_pool, as_it_is},
    {VJ_OP_reshape, reshape},
    {VJ_OP_transpose, as_it_is},
    {VJ_OP_slice, as_it_is}, /* from the front, inside of the bounds */
    {VJ_OP_pad, as_it_is},   /* never an axis with a symbol */
    {VJ_OP_concat, concat},
    {VJ_OP_broadcast, as_it_is},
    {VJ_OP_gather, gather},
    {VJ_OP_gather_elements, gather},
    {VJ_OP_topk, topk},
    {VJ_OP_scatter, scatter},
    {VJ_OP_scan, scan},
    {VJ_OP_roialign, roialign},
    {VJ_OP_gridsample, sampled},
    {VJ_OP_nonzero, nonzero},
    {VJ_OP_unique, unique},
    {VJ_OP_nms, nms},
};

vj_value vj_bounds_node(vj_bounding *b) {
    if (!meets_data_dims(b)) return as_it_is(b);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].op == b->node->op) return rules[i].bound(b);
    if (vj_op_table(b->node->op)->flags & VJ_FLAG_ELEMENTWISE) return as_it_is(b);
    return vj_bounds_fail(b, "meets a size that the data decides, which is not supported");
}
