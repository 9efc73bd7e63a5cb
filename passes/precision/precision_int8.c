/* SPDX-License-Identifier: Apache-2.0 */
/* precision_int8.c - products of floats with weights are computed in bytes. No data is needed; a calibration may say more.
 *
 * Weights become i8 by columns: a column's scale takes its largest number to 127. Activations become u8 by rows (tokens) while they
 * run: a row's scale takes its largest number to 127 above the zero point, which is 128. Their product is exact, and
 *
 *     sum x w  ~  (sum q w8 - 128 sum w8) * row's scale * column's scale
 *
 * Which products stay wider: those that must be exact (precision_choice.c), convolutions and products of two activations, as nothing
 * is known of their columns; the last ones, whose errors no one averages out; short sums, for which rows' scales cost more than they
 * spare. These are computed in bf16 where that is allowed.
 *
 * A calibration (precision_layers.c) may keep more of them wide, and may smooth: where some channels of the activations are far larger than the
 * others, these are divided, and their rows of the weight multiplied, by powers of two of the calibration's choice, which rounds nothing
 * (Xiao and others, SmoothQuant, ICML 2023, section 4, where they are any numbers). */
#include "precision.h"

#include <math.h>
#include <string.h>

/* Fewer terms than that are not worth a scale a row. */
#define SHORT_SUM 32
#define MOST      127.0
#define ZERO      128
/* Rows of less become zeros: their scale's inverse is a number still. */
#define LEAST 1e-30

static bool reaches_output(const vj_func *f, vj_value v, int32_t steps) {
    for (int32_t u = f->values[v].first_use; u >= 0; u = f->uses[u].next) {
        if (f->uses[u].operand < 0) return true;
        const vj_node *node = &f->nodes[f->uses[u].user];
        const bool passes = vj_op_table(node->op)->flags & (VJ_FLAG_ELEMENTWISE | VJ_FLAG_MOVEMENT);
        if (passes && steps > 0 && reaches_output(f, node->first_result, steps - 1)) return true;
    }
    return false;
}

static const char *why_wide(vj_choice *choice, const vj_node *node) {
    enum { LONGEST_WAY = 6 };
    const vj_func *f = choice->c->f;
    if (node->op == VJ_OP_conv) return "it is a convolution";
    if (node->op == VJ_OP_attention || vj_packed_factor(f, node) < 0) return "its factors are both activations";
    const char *why = vj_why_exact(choice, node);
    if (why) return why;
    if (vj_packed_factor(f, node) != 1) return "its weight is on the left";
    const vj_type *w = vj_type_at(f, node->args[1]);
    if (w->rank != 2 || w->dims[0].c < SHORT_SUM) return "its sums are short";
    if (w->dims[0].c > VJ_INTEGER_DEPTH) return "its sums are longer than 32 bits hold";
    return reaches_output(f, node->first_result, LONGEST_WAY) ? "it makes an output" : NULL;
}

static vj_value number(vj_func *f, double x) { return vj_add_const_f64(f, VJ_F32, 0, NULL, &x); }

/* x times 2^(sign * shift) along its last axis, or of a weight along its first. */
static vj_value smoothed(vj_int8 *b, vj_value x, const vj_layer_choice *layer, bool is_weight) {
    if (!layer || layer->depth == 0) return x;
    const int64_t dims[] = {layer->depth, 1};
    double *factors = VJ_NEW_ARRAY(b->c->arena, double, layer->depth);
    for (int64_t k = 0; k < layer->depth; k++)
        factors[k] = ldexp(1, is_weight ? layer->shift[k] : -layer->shift[k]);
    const vj_value by = vj_add_const_f64(b->c->f, VJ_F32, is_weight ? 2 : 1, dims, factors);
    return vj_make_binary(b->c->f, VJ_OP_mul, x, by, vj_producer(b->c->f, x)->origin);
}

/* False: an error, or the weight has a number that is none. */
static bool make_weight(vj_int8 *b, vj_value w, vj_byte_weight *to) {
    vj_func *f = b->c->f;
    const int64_t wide = vj_type_at(f, w)->dims[1].c;
    vj_arena *scratch = vj_arena_scratch(f->arena);
    double *scale = VJ_NEW_ARRAY(scratch, double, wide), *inverse = VJ_NEW_ARRAY(scratch, double, wide);
    double *sums = VJ_NEW_ARRAY(scratch, double, wide);
    int64_t *shift = VJ_NEW_ARRAY(scratch, int64_t, wide);
    bool good = vj_largest_of_columns(b->c, w, scale);
    for (int64_t n = 0; n < wide && good; n++) {
        good = isfinite(scale[n]);
        inverse[n] = scale[n] > LEAST ? MOST / scale[n] : 0;
        scale[n] = scale[n] > LEAST ? scale[n] / MOST : 0;
    }
    if (good) {
        const vj_value scaled = vj_make_binary(f, VJ_OP_mul, w, vj_add_const_f64(f, VJ_F32, 1, &wide, inverse), NULL);
        to->q = vj_make_cast(f, vj_make(f, VJ_OP_round, &scaled, 1, NULL, 0, NULL), VJ_I8, NULL);
        to->scale = vj_add_const_f64(f, VJ_F32, 1, &wide, scale);
        good = vj_sums_of_columns(b->c, to->q, sums);
        for (int64_t n = 0; n < wide; n++)
            shift[n] = -ZERO * (int64_t)sums[n];
        to->shift = vj_add_const_i64(f, VJ_I32, 1, &wide, shift);
    }
    vj_arena_free(scratch);
    return good;
}

/* The largest size of a number of each row, which a NaN is, and the rows as bytes. */
static void make_activations(vj_int8 *b, vj_value x, const vj_layer_choice *layer, const vj_origin *origin) {
    vj_func *f = b->c->f;
    const int64_t last = vj_type_at(f, x)->rank - 1;
    const vj_attr over[] = {vj_ints(VJ_ATTR_AXES, &last, 1), vj_int(VJ_ATTR_KEEP, 1), vj_name(VJ_ATTR_KIND, "max")};
    const vj_value smooth = smoothed(b, x, layer, false);
    vj_value largest = vj_make(f, VJ_OP_abs, &smooth, 1, NULL, 0, origin);
    largest = vj_make(f, VJ_OP_reduce, &largest, 1, over, 3, origin);
    largest = vj_make_binary(f, VJ_OP_max, largest, number(f, LEAST), origin);
    const vj_value inverse = vj_make_binary(f, VJ_OP_div, number(f, MOST), largest, origin);
    vj_value q = vj_make_binary(f, VJ_OP_mul, smooth, inverse, origin);
    q = vj_make(f, VJ_OP_round, &q, 1, NULL, 0, origin);
    b->q[x] = vj_make_cast(f, vj_make_binary(f, VJ_OP_add, q, number(f, ZERO), origin), VJ_U8, origin);
    b->scale[x] = vj_make_binary(f, VJ_OP_mul, largest, number(f, 1 / MOST), origin);
    b->smoothing[x] = layer;
}

static bool same_smoothing(const vj_layer_choice *a, const vj_layer_choice *b) {
    const int64_t depth = a ? a->depth : 0;
    return depth == (b ? b->depth : 0) && (depth == 0 || memcmp(a->shift, b->shift, (size_t)depth) == 0);
}

vj_value vj_int8_product(vj_int8 *b, int32_t n) {
    vj_func *f = b->c->f;
    const vj_node node = f->nodes[n];
    const vj_layer_choice *layer = b->layers[n];
    const vj_byte_weight *w = &b->weights[n];
    const vj_value x = node.args[0];
    if (b->q[x] < 0 || !same_smoothing(b->smoothing[x], layer)) make_activations(b, x, layer, node.origin);
    vj_value y = vj_make_binary(f, VJ_OP_matmul, b->q[x], w->q, node.origin);
    y = vj_make_cast(f, vj_make_binary(f, VJ_OP_add, y, w->shift, node.origin), VJ_F32, node.origin);
    y = vj_make_binary(f, VJ_OP_mul, vj_make_binary(f, VJ_OP_mul, y, w->scale, node.origin), b->scale[x], node.origin);
    const vj_value bias = node.arg_count > 2 ? node.args[2] : VJ_NONE;
    return bias >= 0 ? vj_make_binary(f, VJ_OP_add, y, bias, node.origin) : y;
}

static void choose(vj_int8 *b, vj_choice *choice, int32_t n) {
    vj_func *f = b->c->f;
    const vj_node node = f->nodes[n];
    const vj_layer_choice *layer = b->layers[n];
    vj_byte_weight w = {.q = VJ_NONE};
    const char *why = why_wide(choice, &node);
    if (!why && layer && layer->precision != VJ_I8) why = "the calibration keeps it wider";
    if (!why && !make_weight(b, smoothed(b, node.args[1], layer, true), &w)) why = "its weight is not finite";
    if (b->c->error->status) return;
    vj_report_seen(b->c->report, "int8");
    if (why) {
        vj_report_reason(b->c->report, "int8", "node '%s': %s", vj_node_label(f, &node), why);
        return;
    }
    vj_report_fused(b->c->report, "int8");
    if (vj_may_rewrite(b->c, "int8", &node)) b->weights[n] = w;
}

vj_int8 vj_no_int8(vj_pass_context *c, const vj_layer_choice *const *layers) {
    const int32_t values = c->f->value_count, nodes = c->f->node_count;
    vj_int8 b = {.c = c,
                 .layers = layers,
                 .node_count = nodes,
                 .weights = VJ_NEW_ARRAY(c->arena, vj_byte_weight, nodes + 1),
                 .q = VJ_NEW_ARRAY(c->arena, vj_value, values + 1),
                 .scale = VJ_NEW_ARRAY(c->arena, vj_value, values + 1),
                 .smoothing = VJ_NEW_ARRAY(c->arena, const vj_layer_choice *, values + 1)};
    for (int32_t n = 0; n < nodes; n++)
        b.weights[n].q = VJ_NONE;
    for (vj_value v = 0; v < values; v++)
        b.q[v] = b.scale[v] = VJ_NONE;
    return b;
}

void vj_choose_int8(vj_int8 *b, vj_choice *choice) {
    vj_pass_context *c = b->c;
    vj_report_row *row = vj_report_row_of(c->report, "int8");
    row->seen = row->fused = row->reason_count = 0;
    for (int32_t n = 0; n < b->node_count && !c->error->status; n++)
        if (!c->f->nodes[n].dead && vj_is_float_product(c->f, &c->f->nodes[n])) choose(b, choice, n);
}

void vj_multiply_in_int8(vj_int8 *b) {
    vj_func *f = b->c->f;
    for (int32_t n = 0; n < b->node_count; n++) {
        if (b->weights[n].q < 0) continue;
        const vj_value old = f->nodes[n].first_result, y = vj_int8_product(b, n);
        if (!f->values[y].name) f->values[y].name = f->values[old].name;
        vj_replace_uses(f, old, y);
        vj_kill(f, n);
    }
}
