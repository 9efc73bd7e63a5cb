/* SPDX-License-Identifier: Apache-2.0 */
/* weights.c - algebra on weights: what scales the columns or rows of a product goes into its weight, as an expression
 * that is computed when the weight is packed; what it does to the bias is computed at compile time.
 *
 * A gain in the weight rounds each product once, as the gain on x did; the offset's part of the bias is summed in
 * double. Where a few gains or offsets are much larger than the rest, the folded bias would cancel against the products
 * with more error than before: there they stay (is_even). Scales of attention move only when they are powers of two,
 * hence exact. A weight that the model stores in a half takes what leaves it one (weights_half.c). */
#include "weights.h"

#include <math.h>

#define MAX_VECTOR 65536
/* The largest element over the root mean square, up to which a vector is folded. */
#define EVEN 64.0

static bool is_even(const vj_func *f, vj_value v) {
    double block[256], sum = 0, largest = 0;
    int64_t count;
    vj_error ignored = {0};
    if (!vj_is_const(f, v) || !vj_type_elements(f, vj_type_at(f, v), &count) || count > MAX_VECTOR) return false;
    for (int64_t at = 0; at < count; at += 256) {
        int64_t part = vj_min64(256, count - at);
        if (!vj_const_read_f64(f, v, at, part, block, &ignored)) return false;
        for (int64_t i = 0; i < part; i++) {
            if (!isfinite(block[i])) return false;
            sum += block[i] * block[i];
            largest = fmax(largest, fabs(block[i]));
        }
    }
    return largest <= EVEN * sqrt(sum / (double)vj_max64(count, 1));
}

static bool feeds_only_products(vj_func *f, vj_value v, vj_value gain) {
    for (int32_t u = f->values[v].first_use; u >= 0; u = f->uses[u].next) {
        if (f->uses[u].operand != 0) return false; /* another operand, an output */
        const vj_node *node = &f->nodes[f->uses[u].user];
        if (node->op != VJ_OP_linear || !vj_is_weight(f, node->args[1])) return false;
        if (node->arg_count > 2 && node->args[2] >= 0 && !vj_is_weight(f, node->args[2])) return false;
        if (gain >= 0 && !vj_may_scale(f, node->args[1], gain, 0)) return false;
    }
    return vj_use_count(f, v) > 0;
}

/* linear(layernorm(x, g, b), w, c) = linear(layernorm(x), g[:, None] * w, c + b w), for all readers of the layernorm.
 */
static bool fold_layernorm(vj_pass_context *c, int32_t n) {
    vj_func *f = c->f;
    vj_node norm = f->nodes[n];
    vj_value old = norm.first_result, gain = norm.arg_count > 1 ? norm.args[1] : VJ_NONE;
    vj_value offset = norm.arg_count > 2 ? norm.args[2] : VJ_NONE;
    const vj_type *type = vj_type_at(f, old);
    if ((gain < 0 && offset < 0) || vj_attr_int(&norm, VJ_ATTR_AXIS, 0) != type->rank - 1 || type->dtype != VJ_F32 ||
        (gain >= 0 && !is_even(f, gain)) || (offset >= 0 && !is_even(f, offset)) ||
        !feeds_only_products(f, old, gain) || !vj_may_rewrite(c, "gain_and_offset", &norm))
        return false;
    vj_value plain = vj_make(f, VJ_OP_layernorm, norm.args, 1, norm.attrs, norm.attr_count, norm.origin);
    f->values[plain].name = f->values[old].name;
    int32_t *readers;
    const int32_t count = vj_users(f, old, c->arena, &readers);
    for (int32_t k = 0; k < count; k++) {
        vj_node linear = f->nodes[readers[k]];
        vj_value w = linear.args[1], bias = linear.arg_count > 2 ? linear.args[2] : VJ_NONE;
        if (offset >= 0)
            bias = vj_make(f, VJ_OP_linear, (vj_value[]){offset, w, bias}, bias < 0 ? 2 : 3, NULL, 0, linear.origin);
        if (gain >= 0) w = vj_scale_weight(f, w, gain, 0, linear.origin);
        vj_value made =
            vj_make(f, VJ_OP_linear, (vj_value[]){plain, w, bias}, bias < 0 ? 2 : 3, NULL, 0, linear.origin);
        f->values[made].name = f->values[linear.first_result].name;
        vj_replace_uses(f, linear.first_result, made);
        vj_kill(f, readers[k]);
    }
    return true;
}

/* A constant row behind a product with one reader: layer scale, batch norm. */
static bool is_row(const vj_match *m, const char *name, vj_dim width) {
    vj_value v = vj_captured(m, name);
    const vj_type *type = vj_type_at(m->f, v);
    int64_t count;
    return type->rank > 0 && vj_dim_equal(vj_last_dim(type), width) && vj_type_elements(m->f, type, &count) &&
           count == width.c;
}

static bool scales_columns(vj_match *m) {
    vj_value p = vj_captured(m, "p"), s = vj_captured(m, "s");
    if (!is_row(m, "s", vj_last_dim(vj_type_at(m->f, p))) || !is_even(m->f, s) || !vj_has_one_use(m->f, p))
        return false;
    if (vj_stored_half(m->f, vj_captured(m, "w")) != VJ_NO_DTYPE || vj_is_in_blocks(m->f, vj_captured(m, "w")))
        return false; /* an epilogue costs nothing */
    vj_set_attr(m, vj_ints(VJ_ATTR_DIMS, &vj_type_at(m->f, s)->dims[vj_type_at(m->f, s)->rank - 1].c, 1));
    return true;
}

static const vj_rule rules[] = {
    {"scaled_columns", "mul(p=linear(x, w:weight), s:const)", "linear(x, mul(w, reshape(s){dims=$}))", scales_columns},
    {"scaled_columns_and_bias", "mul(p=linear(x, w:weight, b:weight), s:const)",
     "linear(x, mul(w, reshape(s){dims=$}), mul(b, reshape(s){dims=$}))", scales_columns},
};

/* conv times a constant per channel, and plus one: batch norm behind a convolution. The vector is [O, 1, 1] or has more
 * ones in front. */
static bool is_per_channel(const vj_func *f, vj_value v, const vj_type *result) {
    const vj_type *type = vj_type_at(f, v);
    int64_t count;
    int32_t spatial = result->rank - 2;
    return vj_is_const(f, v) && vj_type_elements(f, type, &count) && count == result->dims[1].c &&
           type->rank > spatial && type->dims[type->rank - spatial - 1].c == count;
}

static vj_value conv_with(vj_func *f, vj_value conv, vj_value w, vj_value bias) {
    vj_node node = *vj_producer(f, conv);
    return vj_make(f, VJ_OP_conv, (vj_value[]){node.args[0], w, bias}, bias < 0 ? 2 : 3, node.attrs, node.attr_count,
                   node.origin);
}

static vj_value scaled_conv(vj_func *f, vj_value conv, vj_value s) {
    vj_value w = vj_operand(f, conv, 1), bias = vj_operand(f, conv, 2);
    const vj_dim channels = vj_type_at(f, w)->dims[0];
    if (!vj_may_scale(f, w, s, 0)) return VJ_NONE;
    w = vj_scale_weight(f, w, s, 0, NULL);
    if (bias >= 0) bias = vj_make_binary(f, VJ_OP_mul, bias, vj_make_reshape(f, s, 1, &channels, NULL), NULL);
    return conv_with(f, conv, w, bias);
}

static vj_value moved_conv(vj_func *f, vj_value conv, vj_value s) {
    vj_value w = vj_operand(f, conv, 1), bias = vj_operand(f, conv, 2);
    vj_dim channels = vj_type_at(f, w)->dims[0];
    vj_value row = vj_make_reshape(f, s, 1, &channels, NULL);
    return conv_with(f, conv, w, bias < 0 ? row : vj_make_binary(f, VJ_OP_add, bias, row, NULL));
}

static vj_value into_conv(vj_pass_context *c, int32_t n) {
    vj_func *f = c->f;
    vj_node node = f->nodes[n];
    if (node.op != VJ_OP_mul && node.op != VJ_OP_add) return VJ_NONE;
    for (int32_t i = 0; i < 2; i++) {
        vj_value conv = node.args[i], s = node.args[1 - i];
        if (vj_op_of(f, conv) != VJ_OP_conv || !vj_is_weight(f, vj_operand(f, conv, 1)) ||
            !vj_type_equal(vj_type_at(f, conv), vj_type_at(f, node.first_result)) ||
            !is_per_channel(f, s, vj_type_at(f, conv)) || !vj_has_one_use(f, conv))
            continue;
        return node.op == VJ_OP_mul ? scaled_conv(f, conv, s) : moved_conv(f, conv, s);
    }
    return VJ_NONE;
}

vj_status vj_pass_weights(vj_pass_context *c) {
    vj_compact(c->f);
    int32_t end = c->f->node_count;
    for (int32_t n = 0; n < end; n++)
        if (c->f->nodes[n].op == VJ_OP_layernorm) fold_layernorm(c, n);
    vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), into_conv, "into_conv");
    if (vj_pass_fold(c) != VJ_OK) return c->error->status; /* biases are constants again */
    vj_fold_attention_scales(c);
    vj_compact(c->f);
    return c->error->status;
}
