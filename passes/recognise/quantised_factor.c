/* SPDX-License-Identifier: Apache-2.0 */
/* quantised_factor.c - the walk from an operand of a product up to bytes: through casts, the product with a scale, the
 * difference to a zero point, and movement ops between them, in the order in which dequantising has them. What moves the
 * factor is made anew for the bytes, and for zero points and scales that are no single numbers.
 *
 * Bytes of weights become i8, those of activations u8: then q and zero are both 128 less, or more. */
#include "attention.h"
#include "quantised.h"

#include <math.h>

enum { LONGEST_WAY = 16 };
#define MOST_ELEMENTS ((int64_t)1 << 20) /* of zero points and scales */

static vj_dtype dtype_of(const vj_func *f, vj_value v) { return vj_type_at(f, v)->dtype; }

static bool is_movement(vj_op op) {
    return op == VJ_OP_reshape || op == VJ_OP_transpose || op == VJ_OP_slice || op == VJ_OP_broadcast;
}

static bool is_number(const vj_type *type) {
    for (int32_t i = 0; i < type->rank; i++)
        if (!vj_dim_equal(type->dims[i], vj_dim_const(1))) return false;
    return true;
}

/* Which operand of a sum or product is the factor, the other being its zero point or scale; -1: none. */
static int32_t side_of_bytes(const vj_func *f, vj_value v, int32_t steps);

static bool comes_from_bytes(const vj_func *f, vj_value v, int32_t steps) {
    if (v < 0 || steps == 0) return false;
    const vj_node *node = vj_producer(f, v);
    if (is_movement(node->op)) return comes_from_bytes(f, node->args[0], steps - 1);
    if (node->op == VJ_OP_cast)
        return vj_is_byte(dtype_of(f, node->args[0])) || comes_from_bytes(f, node->args[0], steps - 1);
    if (node->op == VJ_OP_mul || node->op == VJ_OP_add || node->op == VJ_OP_sub)
        return side_of_bytes(f, v, steps - 1) >= 0;
    return false;
}

static int32_t side_of_bytes(const vj_func *f, vj_value v, int32_t steps) {
    const vj_node *node = vj_producer(f, v);
    for (int32_t side = 0; side < (node->op == VJ_OP_sub ? 1 : 2); side++) {
        const vj_value x = node->args[side], other = node->args[1 - side];
        const bool is_small = is_number(vj_type_at(f, other)) || vj_is_weight(f, other);
        if (is_small && vj_same_dims(vj_type_at(f, x), vj_type_at(f, v)) && comes_from_bytes(f, x, steps)) return side;
    }
    return -1;
}

bool vj_comes_from_bytes(const vj_func *f, vj_value v) { return comes_from_bytes(f, v, LONGEST_WAY); }

/* Constants */

static vj_tensor *evaluated(const vj_func *f, vj_value v, vj_arena *arena, int32_t steps) {
    const vj_node node = *vj_producer(f, v);
    const uint32_t flags = vj_op_table(node.op)->flags;
    vj_error ignored = {0};
    vj_tensor *args[4] = {NULL}, *result;
    int64_t count;
    if (!vj_type_is_static(vj_type_at(f, v)) || !vj_type_elements(f, vj_type_at(f, v), &count) || count > MOST_ELEMENTS)
        return NULL;
    if (node.op == VJ_OP_const) {
        if (!(result = vj_tensor_new(arena, vj_type_at(f, v), &ignored))) return NULL;
        const bool good = result->f ? vj_const_read_f64(f, v, 0, count, result->f, &ignored)
                                    : vj_const_read_i64(f, v, 0, count, result->i, &ignored);
        return good ? result : NULL;
    }
    if (steps == 0 || node.arg_count > 4 || !((flags & VJ_FLAG_ELEMENTWISE) || is_movement(node.op))) return NULL;
    for (int32_t i = 0; i < node.arg_count; i++)
        if (node.args[i] < 0 || !(args[i] = evaluated(f, node.args[i], arena, steps - 1))) return NULL;
    return vj_eval_node(arena, f, &node, args, &result, &ignored) ? result : NULL;
}

const vj_tensor *vj_known_elements(vj_func *f, vj_value v, vj_arena *arena) {
    return evaluated(f, v, arena, LONGEST_WAY);
}

/* Zero points and scales */

/* One that is a number has no dims, others have all of the factor's. */
static vj_value as_parameter(vj_func *f, vj_value v, int32_t rank) {
    vj_type type = *vj_type_at(f, v);
    if (is_number(&type)) return type.rank == 0 ? v : vj_make_reshape(f, v, 0, NULL, NULL);
    const int32_t more = rank - type.rank;
    if (more == 0) return v;
    for (int32_t i = rank - 1; i >= 0; i--)
        type.dims[i] = i < more ? vj_dim_const(1) : type.dims[i - more];
    return vj_make_reshape(f, v, rank, type.dims, NULL);
}

/* Of what it broadcasts to, the elements that a slice leaves. */
static vj_value sliced(vj_func *f, vj_value v, const vj_node *node) {
    const vj_type *type = vj_type_at(f, v), *to = vj_type_at(f, node->first_result);
    int64_t starts[VJ_MAX_RANK], sizes[VJ_MAX_RANK], steps[VJ_MAX_RANK];
    for (int32_t i = 0; i < type->rank; i++) {
        const bool is_one = vj_dim_equal(type->dims[i], vj_dim_const(1));
        starts[i] = is_one ? 0 : vj_attr_find(node, VJ_ATTR_STARTS)->as.ints[i];
        steps[i] = is_one ? 1 : vj_attr_find(node, VJ_ATTR_STEPS)->as.ints[i];
        sizes[i] = is_one ? 1 : vj_dim_code(to->dims[i]);
    }
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, starts, type->rank), vj_ints(VJ_ATTR_SIZES, sizes, type->rank),
                             vj_ints(VJ_ATTR_STEPS, steps, type->rank)};
    return vj_make(f, VJ_OP_slice, &v, 1, attrs, 3, node->origin);
}

/* What belongs to the operand of a movement op as it belongs to its result; false: it cannot be said. */
static bool move_parameter(vj_func *f, const vj_node *node, vj_value *v) {
    if (*v < 0 || vj_type_at(f, *v)->rank == 0) return true;
    const vj_type from = *vj_type_at(f, node->args[0]), to = *vj_type_at(f, node->first_result);
    vj_moves moves = {0};
    switch (node->op) {
    case VJ_OP_reshape:
        vj_pass_reshape(&moves, &from, &to);
        *v = vj_bring_down(f, &moves, *v);
        break;
    case VJ_OP_transpose:
        vj_pass_transpose(&moves, &from, vj_attr_find(node, VJ_ATTR_PERM)->as.ints, &to);
        *v = vj_bring_down(f, &moves, *v);
        break;
    case VJ_OP_slice:
        *v = sliced(f, *v, node);
        break;
    default:
        break; /* broadcast: what follows dims of 1 follows them still */
    }
    if (*v < 0) return false;
    *v = as_parameter(f, *v, to.rank);
    return true;
}

/* Bytes */

static vj_value shifted(vj_func *f, vj_value q, bool is_constant, const vj_origin *origin) {
    const double less = -128;
    const int64_t sign = 128;
    const vj_attr as_u8 = vj_name(VJ_ATTR_TO, vj_element_name(VJ_U8));
    if (is_constant) {
        const vj_value wide = vj_make_cast(f, q, VJ_F32, origin), by = vj_add_const_f64(f, VJ_F32, 0, NULL, &less);
        return vj_make_cast(f, vj_make_binary(f, VJ_OP_add, wide, by, origin), VJ_I8, origin);
    }
    q = vj_make(f, VJ_OP_bitcast, &q, 1, &as_u8, 1, origin);
    return vj_make_binary(f, VJ_OP_xor, q, vj_add_const_i64(f, VJ_U8, 0, NULL, &sign), origin);
}

/* v as i8, or as u8, in front of what moves it. */
static vj_value bytes(vj_func *f, vj_value v, bool is_constant) {
    const vj_node node = *vj_producer(f, v);
    if (dtype_of(f, v) == (is_constant ? VJ_I8 : VJ_U8)) return v;
    if (!is_movement(node.op)) return shifted(f, v, is_constant, node.origin);
    const vj_value source = bytes(f, node.args[0], is_constant);
    return vj_make(f, node.op, &source, 1, node.attrs, node.attr_count, node.origin);
}

static void take_bytes(vj_func *f, vj_value v, bool is_multiplied, vj_quantised *x) {
    const bool is_signed = dtype_of(f, v) == VJ_I8;
    vj_value source = v;
    while (is_movement(vj_op_of(f, source)))
        source = vj_operand(f, source, 0);
    *x = (vj_quantised){.is_constant = vj_is_const(f, source), .zero = VJ_NONE, .scale = VJ_NONE};
    x->q = is_multiplied ? bytes(f, v, x->is_constant) : v;
    x->least = is_signed ? -128 : 0;
    x->most = is_signed ? 127 : 255;
    const int64_t zero = x->is_constant ? -128 : 128;
    if (is_multiplied && is_signed != x->is_constant) x->zero = vj_add_const_i64(f, VJ_I32, 0, NULL, &zero);
}

/* The walk */

static bool stop(vj_quantised *x, const char *reason) {
    x->reason = reason;
    return false;
}

/* A zero point as i32, and its range; VJ_NONE: it is none. */
static vj_value zero_point(vj_func *f, vj_value v, double sign, double *least, double *most) {
    vj_arena *scratch = vj_arena_scratch(f->arena);
    const vj_tensor *t = vj_known_elements(f, v, scratch);
    vj_value zero = VJ_NONE;
    *least = *most = 0;
    if (t) {
        int64_t *whole = VJ_NEW_ARRAY(scratch, int64_t, t->count + 1), dims[VJ_MAX_RANK];
        bool is_whole = t->count > 0;
        for (int32_t i = 0; i < t->type.rank; i++)
            dims[i] = t->type.dims[i].c;
        for (int64_t i = 0; i < t->count && is_whole; i++) {
            const double at = sign * (t->f ? t->f[i] : (double)t->i[i]);
            is_whole = at == rint(at) && fabs(at) <= 65536;
            whole[i] = is_whole ? (int64_t)at : 0;
            *least = i ? fmin(*least, at) : at;
            *most = i ? fmax(*most, at) : at;
        }
        if (is_whole) zero = vj_add_const_i64(f, VJ_I32, t->type.rank, dims, whole);
    } else if (sign > 0) {
        vj_value byte = v;
        while (vj_op_of(f, byte) == VJ_OP_reshape ||
               (vj_op_of(f, byte) == VJ_OP_cast && !vj_is_byte(dtype_of(f, byte))))
            byte = vj_operand(f, byte, 0);
        const bool is_signed = dtype_of(f, byte) == VJ_I8;
        *least = is_signed ? -128 : 0;
        *most = is_signed ? 127 : 255;
        if (vj_is_byte(dtype_of(f, byte)) && is_number(vj_type_at(f, v))) zero = vj_make_cast(f, byte, VJ_I32, NULL);
    }
    vj_arena_free(scratch);
    return zero;
}

static bool take_zero_point(vj_func *f, const vj_node *node, int32_t side, vj_quantised *x) {
    double least, most;
    if (x->scale >= 0) return stop(x, "a factor is shifted behind its scale");
    vj_value zero = zero_point(f, node->args[1 - side], node->op == VJ_OP_add ? -1 : 1, &least, &most);
    if (zero < 0) return stop(x, "a zero point is neither constant nor a byte");
    zero = as_parameter(f, zero, vj_type_at(f, node->first_result)->rank);
    x->zero = x->zero < 0 ? zero : vj_make_binary(f, VJ_OP_add, x->zero, zero, node->origin);
    x->least -= most;
    x->most -= least;
    return true;
}

static bool take_scale(vj_func *f, const vj_node *node, int32_t side, vj_quantised *x) {
    if (x->scale >= 0 || dtype_of(f, node->first_result) != VJ_F32) return stop(x, "a factor is scaled twice");
    x->scale = as_parameter(f, node->args[1 - side], vj_type_at(f, node->first_result)->rank);
    return true;
}

static bool move(vj_func *f, const vj_node *node, vj_quantised *x) {
    x->q = vj_make(f, node->op, &x->q, 1, node->attrs, node->attr_count, node->origin);
    return (move_parameter(f, node, &x->zero) && move_parameter(f, node, &x->scale)) ||
           stop(x, "its zero points or scales are in another grouping of the axes");
}

static bool find(vj_func *f, vj_value v, bool is_multiplied, vj_quantised *x) {
    const vj_node node = *vj_producer(f, v);
    if (is_movement(node.op)) return find(f, node.args[0], is_multiplied, x) && move(f, &node, x);
    if (node.op == VJ_OP_cast) {
        if (dtype_of(f, v) != VJ_F32 && dtype_of(f, v) != VJ_I32) return stop(x, "its bytes are cast to another type");
        if (!vj_is_byte(dtype_of(f, node.args[0])))
            return dtype_of(f, node.args[0]) == VJ_I32 ? find(f, node.args[0], is_multiplied, x)
                                                       : stop(x, "its bytes are cast to another type");
        take_bytes(f, node.args[0], is_multiplied, x);
        return true;
    }
    const int32_t side = side_of_bytes(f, v, LONGEST_WAY);
    if (side < 0) return stop(x, "a factor is no difference of bytes times a scale");
    if (!find(f, node.args[side], is_multiplied, x)) return false;
    return node.op == VJ_OP_mul ? take_scale(f, &node, side, x) : take_zero_point(f, &node, side, x);
}

bool vj_find_quantised(vj_func *f, vj_value v, bool is_multiplied, vj_quantised *x) {
    *x = (vj_quantised){.q = VJ_NONE, .zero = VJ_NONE, .scale = VJ_NONE};
    return find(f, v, is_multiplied, x);
}
