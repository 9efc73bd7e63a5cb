/* SPDX-License-Identifier: Apache-2.0 */
/* fake_quantise.c - a number that is quantised and dequantised again (fake quantisation: Jacob et al., Quantization and Training of
 * Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018, section 3) stays a float: with q = round(x) + zero, taken to a
 * byte's range,
 *
 *     float(q - zero)  =  round(x), taken to [low - zero, high - zero]
 *
 * as both bounds are whole numbers that f32 holds. Five operations of floats stand for a dozen with three changes of type. NaN, which
 * becomes 0 as a byte, becomes 0 - zero.
 *
 * A cast to a byte saturates: bounds in front of it that are the byte's say nothing. */
#include "passes/rewrite/rewrite.h"

typedef struct fake {
    vj_func *f;
    const vj_origin *origin;
    vj_value rounded; /* round(x) */
    vj_dtype byte;
    double low, high; /* of the byte */
    double zero;      /* as it is added */
} fake;

static bool uniform(const fake *x, vj_value v, double *number) { return v >= 0 && vj_is_uniform(x->f, v, number); }

/* The operand beside a constant number. */
static vj_value beside_number(const fake *x, vj_value v, double *number) {
    const vj_value a = vj_operand(x->f, v, 0), b = vj_operand(x->f, v, 1);
    return uniform(x, b, number) ? a : uniform(x, a, number) ? b : VJ_NONE;
}

/* v >= low, by max or relu. */
static vj_value above(const fake *x, vj_value v) {
    double number = 0;
    if (vj_op_of(x->f, v) == VJ_OP_relu) return x->low == 0 ? vj_operand(x->f, v, 0) : VJ_NONE;
    if (vj_op_of(x->f, v) != VJ_OP_max) return VJ_NONE;
    const vj_value inside = beside_number(x, v, &number);
    return number == x->low ? inside : VJ_NONE;
}

/* Is v a byte made of round(x) + zero, taken to the byte's range? */
static bool is_quantised(fake *x, vj_value v) {
    double high = 0;
    x->byte = vj_type_at(x->f, v)->dtype;
    if (vj_op_of(x->f, v) != VJ_OP_cast || (x->byte != VJ_U8 && x->byte != VJ_I8)) return false;
    x->low = x->byte == VJ_U8 ? 0 : -128;
    x->high = x->low + 255;
    vj_value at = vj_operand(x->f, v, 0);
    if (vj_op_of(x->f, at) != VJ_OP_min || vj_type_at(x->f, at)->dtype != VJ_F32) return false;
    at = beside_number(x, at, &high);
    if (at < 0 || high != x->high || (at = above(x, at)) < 0) return false;
    x->zero = 0;
    if (vj_op_of(x->f, at) == VJ_OP_add) at = beside_number(x, at, &x->zero);
    x->rounded = at;
    return vj_op_of(x->f, at) == VJ_OP_round && x->zero >= x->low && x->zero <= x->high;
}

/* The nodes between a value and what it was moved from, the last first. */
enum { MOST_MOVES = 16 };
typedef struct moves {
    vj_value source;
    int32_t count;
    vj_value at[MOST_MOVES];
} moves;

static moves moves_of(const fake *x, vj_value v) {
    moves m = {.source = v};
    while (m.count < MOST_MOVES) {
        const vj_op op = vj_op_of(x->f, m.source);
        if (op != VJ_OP_reshape && op != VJ_OP_transpose && op != VJ_OP_slice && op != VJ_OP_broadcast) break;
        m.at[m.count++] = m.source;
        m.source = vj_operand(x->f, m.source, 0);
    }
    return m;
}

static vj_value moved(const fake *x, const moves *m, vj_value v) {
    for (int32_t i = m->count - 1; i >= 0; i--) {
        const vj_node node = *vj_producer(x->f, m->at[i]);
        v = vj_make(x->f, node.op, &v, 1, node.attrs, node.attr_count, node.origin);
    }
    return v;
}

/* The byte that v, an f32, is with its zero point taken off; VJ_NONE: it is no such thing. */
static vj_value byte_of(const fake *x, vj_value v, double *zero) {
    double shift = 0;
    *zero = 0;
    if (vj_op_of(x->f, v) == VJ_OP_add) {
        if ((v = beside_number(x, v, &shift)) < 0) return VJ_NONE;
        *zero = -shift;
    }
    if (vj_op_of(x->f, v) != VJ_OP_cast) return VJ_NONE;
    v = vj_operand(x->f, v, 0);
    if (vj_type_at(x->f, v)->dtype == VJ_I32 && shift == 0) {
        if (vj_op_of(x->f, v) == VJ_OP_sub) {
            if (!uniform(x, vj_operand(x->f, v, 1), zero)) return VJ_NONE;
            v = vj_operand(x->f, v, 0);
        }
        if (vj_op_of(x->f, v) != VJ_OP_cast) return VJ_NONE;
        v = vj_operand(x->f, v, 0);
    }
    const vj_dtype dtype = vj_type_at(x->f, v)->dtype;
    return vj_is_byte(dtype) ? v : VJ_NONE;
}

static vj_value number(const fake *x, double value) { return vj_add_const_f64(x->f, VJ_F32, 0, NULL, &value); }

/* A NaN becomes the lower bound, which is 0 - zero of an unsigned byte. */
static vj_value clamped(const fake *x) {
    const vj_value low = number(x, x->low - x->zero), high = number(x, x->high - x->zero);
    const vj_value above = vj_make_binary(x->f, VJ_OP_at_least, x->rounded, low, x->origin);
    const vj_value y = vj_make_binary(x->f, VJ_OP_at_most, above, high, x->origin);
    if (x->low == 0) return y;
    const vj_value is_number = vj_make_binary(x->f, VJ_OP_eq, x->rounded, x->rounded, x->origin);
    const vj_value args[3] = {is_number, y, number(x, -x->zero)};
    return vj_make(x->f, VJ_OP_select, args, 3, NULL, 0, x->origin);
}

static void keep_floats(vj_pass_context *c, const vj_node *node) {
    fake x = {.f = c->f, .origin = node->origin};
    double zero = 0;
    const vj_value byte = byte_of(&x, node->first_result, &zero);
    if (byte < 0 || vj_type_at(c->f, node->first_result)->dtype != VJ_F32) return;
    const moves m = moves_of(&x, byte);
    if (!is_quantised(&x, m.source) || x.zero != zero || !vj_may_rewrite(c, "fake_quantise", node)) return;
    vj_replace_uses(c->f, node->first_result, moved(&x, &m, clamped(&x)));
}

static void drop_bounds(vj_pass_context *c, const vj_node *node) {
    fake x = {.f = c->f, .origin = node->origin};
    if (!is_quantised(&x, node->first_result) || !vj_may_rewrite(c, "saturating_cast", node)) return;
    const vj_value bounded = above(&x, beside_number(&x, node->args[0], &x.high));
    vj_set_operand(c->f, (int32_t)(vj_producer(c->f, node->first_result) - c->f->nodes), 0, bounded);
}

static void for_each_node(vj_pass_context *c, void (*work)(vj_pass_context *c, const vj_node *node)) {
    const int32_t count = c->f->node_count;
    for (int32_t n = 0; n < count; n++) {
        const vj_node node = c->f->nodes[n];
        if (!node.dead && node.result_count == 1) work(c, &node);
    }
    vj_compact(c->f);
}

vj_status vj_pass_fake_quantise(vj_pass_context *c) {
    for_each_node(c, keep_floats);
    for_each_node(c, drop_bounds);
    return c->error->status;
}
