/* SPDX-License-Identifier: Apache-2.0 */
/* weight_format.c - weights of products are stored in 16 bits: those that the model stores so, as they are; others where that is
 * asked for, rounded to nearest even. Products widen them, and multiply in the type of the other factor. In 8 or 4 bits, where that is
 * asked for, they become blocks (passes/rewrite/block_weight.c), and what cannot be one is rounded to 16 bits.
 *
 * What the model stores in a half is widened behind its constant (widen.c) and then moved: the widening goes, and what moves
 * it moves the half. */
#include "precision.h"

#include <math.h>

typedef struct storing {
    vj_pass_context *c;
    int32_t node_count, value_count; /* of those that the lists below have: what the pass makes stands behind them */
    vj_dtype *half;                  /* values: the half that widens to them, moved; VJ_NO_DTYPE: none */
    bool *wanted;                    /* values: that half is to be made */
    vj_value *narrow;                /* values: the half */
    vj_value *blocks;                /* values: in blocks, as a factor on the right; 0: not yet */
} storing;

/* What is asked for; products of bytes have weights of bytes already. */
static vj_dtype asked_format(const vj_pass_context *c) {
    const vj_dtype format = c->options->weight_format;
    return c->options->precision == VJ_I8 && format == VJ_I8 ? VJ_NO_DTYPE : format;
}

static int32_t asked_bits(const vj_pass_context *c) {
    const vj_dtype format = asked_format(c);
    return format == VJ_I4 ? 4 : format == VJ_I8 ? 8 : 0;
}

static const char *row_of_blocks(int32_t bits) { return bits == 4 ? "int4_weights" : "int8_weights"; }

/* What weights are rounded to; beside blocks what cannot be one is. VJ_NO_DTYPE: none are. */
static vj_dtype asked_half(const vj_pass_context *c) {
    const vj_dtype format = asked_format(c);
    if (asked_bits(c)) return c->options->precision == VJ_BF16 ? VJ_BF16 : VJ_F16;
    return vj_is_half(format) ? format : VJ_NO_DTYPE;
}

static bool is_movement(const vj_func *f, const vj_node *node) {
    return (vj_op_table(node->op)->flags & VJ_FLAG_MOVEMENT) && vj_is_weight(f, node->first_result);
}

/* A gather's indices stay. */
static int32_t moved_operands(const vj_node *node) { return node->op == VJ_OP_concat ? node->arg_count : 1; }

static vj_dtype half_behind(const storing *s, const vj_node *node) {
    const vj_func *f = s->c->f;
    const vj_dtype own = vj_type_at(f, node->first_result)->dtype;
    if (vj_is_half(own)) return vj_is_weight(f, node->first_result) ? own : VJ_NO_DTYPE;
    if (node->op == VJ_OP_cast && own == VJ_F32) return s->half[node->args[0]];
    if (!is_movement(f, node)) return VJ_NO_DTYPE;
    for (int32_t i = 1; i < moved_operands(node); i++)
        if (s->half[node->args[i]] != s->half[node->args[0]]) return VJ_NO_DTYPE;
    return s->half[node->args[0]];
}

static void find_halves(const storing *s) {
    const vj_func *f = s->c->f;
    for (int32_t n = 0; n < f->node_count; n++) {
        const vj_node *node = &f->nodes[n];
        if (!node->dead && node->result_count == 1) s->half[node->first_result] = half_behind(s, node);
    }
}

static void find_wanted(const storing *s) {
    const vj_func *f = s->c->f;
    for (int32_t n = s->node_count - 1; n >= 0; n--) {
        const vj_node *node = &f->nodes[n];
        if (node->result_count != 1 || !s->wanted[node->first_result] || !is_movement(f, node) ||
            vj_is_half(vj_type_at(f, node->first_result)->dtype))
            continue;
        for (int32_t i = 0; i < moved_operands(node); i++)
            s->wanted[node->args[i]] = true;
    }
}

static vj_value made_narrow(const storing *s, vj_value v) {
    vj_func *f = s->c->f;
    const vj_node node = *vj_producer(f, v);
    if (vj_is_half(vj_type_at(f, v)->dtype)) return v;
    if (node.op == VJ_OP_cast) return node.args[0];
    vj_value *args = VJ_NEW_ARRAY(s->c->arena, vj_value, node.arg_count);
    for (int32_t i = 0; i < node.arg_count; i++)
        args[i] = i < moved_operands(&node) ? s->narrow[node.args[i]] : node.args[i];
    return vj_make(f, node.op, args, node.arg_count, node.attrs, node.attr_count, node.origin);
}

static void make_narrow(const storing *s) {
    vj_func *f = s->c->f;
    for (vj_value v = 0; v < s->value_count; v++) {
        if (!s->wanted[v]) continue;
        s->narrow[v] = made_narrow(s, v);
        if (!f->values[s->narrow[v]].name) f->values[s->narrow[v]].name = f->values[v].name;
    }
}

/* Looks for elements that are finite and at least `beyond`, and for ones that are not finite. */
static bool look_for(vj_choice *choice, vj_value w, double beyond, bool *large, bool *infinite) {
    enum { BLOCK = 4096 };
    float block[BLOCK];
    int64_t count;
    if (!vj_type_elements(choice->c->f, vj_type_at(choice->c->f, w), &count)) return false;
    for (int64_t at = 0; at < count; at += BLOCK) {
        const int64_t part = vj_min64(BLOCK, count - at);
        if (!vj_weight_read(choice->reader, w, at, part, block, choice->c->error)) return false;
        for (int64_t i = 0; i < part; i++) {
            *infinite |= !isfinite(block[i]);
            *large |= fabs((double)block[i]) >= beyond && isfinite(block[i]);
        }
    }
    return true;
}

/* Why a weight stays f32, which may be rounded; NULL: it does not. bf16 has the range of f32. */
static const char *why_wide(vj_choice *choice, vj_value w) {
    const double beyond = 65520; /* what f16 rounds to infinity begins there */
    const vj_dtype format = asked_half(choice->c);
    bool large = false, infinite = false;
    if (format == VJ_NO_DTYPE) return "the model stores its weight in f32";
    if (format == VJ_BF16 && !asked_bits(choice->c)) return NULL;
    if (!look_for(choice, w, beyond, &large, &infinite)) return "its weight cannot be read";
    if (large && format == VJ_F16) return "its weight exceeds the range of f16";
    return infinite && asked_bits(choice->c) ? "its weight is not finite" : NULL;
}

static vj_value rounded(vj_pass_context *c, const vj_node *node, vj_value w) {
    const vj_value half = vj_make_cast(c->f, w, asked_half(c), node->origin);
    if (!c->f->values[half].name) c->f->values[half].name = c->f->values[w].name;
    return half;
}

/* The packed factor of a product that adds up in f32; -1: it has none. */
static int32_t factor_of(const vj_func *f, const vj_node *node) {
    return node->dead || !vj_is_float_product(f, node) ? -1 : vj_packed_factor(f, node);
}

/* Stores the weight in blocks; why it cannot be, or NULL. */
static const char *store_in_blocks(const storing *s, vj_choice *choice, int32_t n, int32_t factor) {
    vj_pass_context *c = s->c;
    const vj_node node = c->f->nodes[n];
    const vj_value w = node.args[factor];
    if (node.op == VJ_OP_conv) return "it is a convolution";
    const char *why = vj_why_exact(choice, &node);
    if (why) return why;
    const bool on_the_left = factor == 0;
    vj_value made = on_the_left ? 0 : s->blocks[w];
    if (!made) made = vj_quantise_weight(c->f, w, on_the_left, asked_bits(c), node.origin, &why, c->error);
    if (why) return why;
    if (!on_the_left) s->blocks[w] = made;
    if (vj_may_rewrite(c, row_of_blocks(asked_bits(c)), &node)) vj_set_operand(c->f, n, factor, made);
    return NULL;
}

/* Is the weight in blocks now? The report has it. */
static bool is_stored_in_blocks(const storing *s, vj_choice *choice, int32_t n, int32_t factor) {
    const vj_node node = s->c->f->nodes[n];
    const char *row = row_of_blocks(asked_bits(s->c)), *why = store_in_blocks(s, choice, n, factor);
    vj_report_seen(s->c->report, row);
    if (why)
        vj_report_reason(s->c->report, row, "node '%s': %s", vj_node_label(s->c->f, &node), why);
    else
        vj_report_fused(s->c->report, row);
    return !why;
}

/* Notes which halves are to be made, and rounds the other weights where that is asked for. */
static void choose(vj_pass_context *c, const storing *s, vj_choice *choice) {
    const int32_t nodes = c->f->node_count;
    for (int32_t n = 0; n < nodes; n++) {
        const vj_node node = c->f->nodes[n];
        const int32_t factor = factor_of(c->f, &node);
        if (factor < 0) continue;
        const vj_value w = node.args[factor];
        if (vj_is_in_blocks(c->f, w)) continue; /* it is narrower */
        if (asked_bits(c) && is_stored_in_blocks(s, choice, n, factor)) continue;
        if (c->error->status) return;
        const char *why = vj_why_exact_weight(choice, &node);
        if (s->half[w])
            why = NULL; /* it is what it is */
        else if (!why)
            why = why_wide(choice, w);
        vj_report_seen(c->report, "half_weights");
        if (why) vj_report_reason(c->report, "half_weights", "node '%s': %s", vj_node_label(c->f, &node), why);
        if (why) continue;
        vj_report_fused(c->report, "half_weights");
        if (vj_is_half(vj_type_at(c->f, w)->dtype) || !vj_may_rewrite(c, "half", &node)) continue;
        if (s->half[w])
            s->wanted[w] = true;
        else
            vj_set_operand(c->f, n, factor, rounded(c, &node, w));
    }
}

static bool has_halves(const vj_func *f) {
    for (vj_value v = 0; v < f->value_count; v++)
        if (vj_is_half(vj_type_at(f, v)->dtype) && vj_is_weight(f, v)) return true;
    return false;
}

static void forget(vj_report *report, const char *what) {
    vj_report_row *row = vj_report_row_of(report, what);
    row->seen = row->fused = row->reason_count = 0;
}

vj_status vj_pass_weight_format(vj_pass_context *c) {
    vj_func *f = c->f;
    vj_compact(f);
    if (!asked_half(c) && !has_halves(f)) return c->error->status;
    const int32_t values = f->value_count, nodes = f->node_count;
    const storing s = {.c = c,
                       .node_count = nodes,
                       .value_count = values,
                       .half = VJ_NEW_ARRAY(c->arena, vj_dtype, values + 1),
                       .wanted = VJ_NEW_ARRAY(c->arena, bool, values + 1),
                       .narrow = VJ_NEW_ARRAY(c->arena, vj_value, values + 1),
                       .blocks = VJ_NEW_ARRAY(c->arena, vj_value, values + 1)};
    vj_choice choice = vj_choice_of(c);
    forget(c->report, "half_weights");
    if (asked_bits(c)) forget(c->report, row_of_blocks(asked_bits(c)));
    find_halves(&s);
    choose(c, &s, &choice);
    find_wanted(&s);
    make_narrow(&s);
    for (int32_t n = 0; n < nodes; n++) {
        const int32_t factor = factor_of(f, &f->nodes[n]);
        if (factor < 0 || f->nodes[n].args[factor] >= values || !s.wanted[f->nodes[n].args[factor]]) continue;
        vj_set_operand(f, n, factor, s.narrow[f->nodes[n].args[factor]]);
    }
    vj_compact(f);
    return c->error->status;
}
