/* SPDX-License-Identifier: Apache-2.0 */
/* fusion_report.c - what the report tells: how many of each thing there are, and why some were not recognised. Counted at the
 * end of the tensor level, so that it says what the kernels are made of. */
#include "attention.h"
#include "qkv.h"

#include <math.h>
#include <string.h>

static void count(vj_report *report, const char *what, bool is_fused) {
    vj_report_seen(report, what);
    if (is_fused) vj_report_fused(report, what);
}

/* Steps from an attention's operand up to a product. */
enum { LONGEST_WAY = 16 };

/* One step up from v, what is rounded, scaled or biased; VJ_NONE: it is none of it. */
static vj_value step_up(const vj_func *f, vj_value v) {
    vj_grid grid;
    double x;
    const vj_value inside = vj_rounded_on_grid(f, v, &grid);
    const vj_op op = vj_op_of(f, v);
    if (inside >= 0) return inside;
    const vj_value a = vj_operand(f, v, 0), b = vj_operand(f, v, 1);
    if (op == VJ_OP_round || ((op == VJ_OP_mul || op == VJ_OP_div) && vj_is_uniform(f, b, &x))) return a;
    return op != VJ_OP_add ? VJ_NONE : vj_is_weight(f, b) ? a : vj_is_weight(f, a) ? b : VJ_NONE;
}

/* The product of bytes by blocks that v is of, behind its bias; VJ_NONE. */
static vj_value blocks_behind(const vj_func *f, vj_value v) {
    if (vj_op_of(f, v) == VJ_OP_add)
        v = vj_is_weight(f, vj_operand(f, v, 1)) ? vj_operand(f, v, 0) : vj_operand(f, v, 1);
    return vj_op_of(f, v) == VJ_OP_linear_blocks ? v : VJ_NONE;
}

/* The product that an attention's operand is of, behind moves and the cast to the type that it is multiplied in; of bytes,
 * behind what scales it and rounds it to grids. */
static vj_value product_behind(const vj_func *f, vj_value v) {
    vj_value source = vj_source_of_head(f, v);
    if (vj_op_of(f, source) == VJ_OP_cast) source = vj_source_of_head(f, vj_operand(f, source, 0));
    for (int32_t steps = 0; steps < LONGEST_WAY; steps++) {
        if (blocks_behind(f, source) >= 0) return blocks_behind(f, source);
        const vj_value bytes = vj_bytes_behind(f, source), up = bytes < 0 ? step_up(f, source) : bytes;
        if (up < 0 || up == source) return source;
        source = vj_source_of_head(f, up);
    }
    return source;
}

static bool is_product_with_weight(const vj_func *f, vj_value v) {
    return vj_op_of(f, v) == VJ_OP_linear || vj_op_of(f, v) == VJ_OP_linear_blocks || vj_bytes_behind(f, v) == v;
}

static void count_attention(vj_pass_context *c, const vj_node *node) {
    count(c->report, "attention", true);
    count(c->report, "softmax", true);
    const vj_value q = product_behind(c->f, node->args[0]), k = product_behind(c->f, node->args[1]);
    const vj_value v = product_behind(c->f, node->args[2]);
    bool is_one = q == k && k == v && is_product_with_weight(c->f, q);
    count(c->report, "qkv", is_one);
    if (!is_one)
        vj_report_reason(c->report, "qkv", "node '%s': query, key and value are not products of one value with weights",
                         vj_node_label(c->f, node));
}

/* A softmax by itself is a kernel of its own; on the way to a product with values it should have been attention. */
static void count_softmax(vj_pass_context *c, const vj_node *node) {
    const char *why;
    const vj_node at = *node;
    count(c->report, "softmax", true);
    if (!vj_why_no_attention(c->f, at.first_result, &why)) return;
    count(c->report, "attention", false);
    vj_report_reason(c->report, "attention", "node '%s': %s", vj_node_label(c->f, &at), why);
}

/* The result of a block on top of what went in. */
static bool is_residual(const vj_func *f, const vj_node *node) {
    int32_t products = 0;
    for (int32_t i = 0; i < 2; i++) {
        if (vj_is_weight(f, node->args[i]) ||
            !vj_type_equal(vj_type_at(f, node->args[i]), vj_type_at(f, node->first_result)))
            return false;
        const vj_value source = vj_source_of_head(f, node->args[i]);
        products += vj_op_of(f, source) == VJ_OP_linear || vj_op_of(f, source) == VJ_OP_conv ||
                    vj_bytes_behind(f, source) >= 0 || blocks_behind(f, source) >= 0;
    }
    return products == 1;
}

/* Is a number near `wanted` among the operands up to v? */
static bool holds_number(const vj_func *f, vj_value v, double wanted, int32_t steps) {
    double x;
    if (v < 0 || steps == 0) return false;
    if (vj_is_uniform(f, v, &x)) return fabs(x - wanted) <= 1e-3 * wanted;
    for (int32_t i = 0; i < vj_producer(f, v)->arg_count; i++)
        if (holds_number(f, vj_operand(f, v, i), wanted, steps - 1)) return true;
    return false;
}

/* What is left of a GELU: any erf, and tanh of a cubic with GELU's numbers. */
static void count_curve(vj_pass_context *c, const vj_node *node) {
    const vj_value x = node->args[0];
    const bool is_erf = node->op == VJ_OP_erf;
    if (!is_erf && !holds_number(c->f, x, 0.044715, 5) && !holds_number(c->f, x, 0.0356774081, 5)) return;
    count(c->report, "gelu", false);
    vj_report_reason(c->report, "gelu", "node '%s': %s", vj_node_label(c->f, node),
                     is_erf ? "erf is not part of x * 0.5 * (1 + erf(x / sqrt 2))"
                            : "tanh is not part of x * 0.5 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))");
}

/* The mean (or, with a count behind it, the sum) of squares that v is made of, past numbers that are added or
 * multiplied; VJ_NONE. `epsilon` and `factor` are set when there were such. */
static vj_value mean_of_squares(const vj_func *f, vj_value v, bool *epsilon, bool *factor) {
    double x;
    for (int32_t steps = 0; steps < 6; steps++) {
        const vj_value a = vj_operand(f, v, 0), b = vj_operand(f, v, 1);
        const vj_op op = vj_op_of(f, v);
        if (op == VJ_OP_reduce) break;
        const bool first = b >= 0 && vj_is_uniform(f, b, &x), second = !first && vj_is_uniform(f, a, &x);
        if (op == VJ_OP_add && (first || second))
            *epsilon = true;
        else if ((op == VJ_OP_mul && (first || second)) || (op == VJ_OP_div && first))
            *factor = true;
        else if (op != VJ_OP_relu && op != VJ_OP_sub)
            return VJ_NONE;
        v = second ? b : a;
    }
    if (vj_op_of(f, v) != VJ_OP_reduce) return VJ_NONE;
    const vj_value square = vj_operand(f, v, 0);
    const bool is_mean = *factor || strcmp(vj_attr_name(vj_producer(f, v), VJ_ATTR_KIND, ""), "mean") == 0;
    return is_mean && vj_op_of(f, square) == VJ_OP_mul && vj_operand(f, square, 0) == vj_operand(f, square, 1)
               ? v
               : VJ_NONE;
}

static bool is_centred(const vj_func *f, vj_value v) {
    return vj_op_of(f, v) == VJ_OP_sub && vj_op_of(f, vj_operand(f, v, 1)) == VJ_OP_reduce;
}

/* Does `by`, a root or what a gain over the root makes of it, divide x? */
static bool divides(const vj_func *f, vj_value by, vj_value x, int32_t steps) {
    for (int32_t u = f->values[by].first_use; u >= 0; u = f->uses[u].next) {
        if (f->uses[u].operand < 0 || steps == 0) continue; /* an output, a size */
        const vj_node *user = &f->nodes[f->uses[u].user];
        const bool is_product = user->op == VJ_OP_mul || user->op == VJ_OP_div;
        if (is_product && (user->args[0] == x || user->args[1] == x)) return true;
        if ((is_product || user->op == VJ_OP_reciprocal) && divides(f, user->first_result, x, steps - 1)) return true;
    }
    return false;
}

/* Is the mean of x taken off for the variance alone, so that x itself may be what is divided by the deviation? `centred` is x less its mean,
 * of which `square` is the square. */
static bool keeps_mean(const vj_func *f, vj_value centred, vj_value square) {
    return is_centred(f, centred) && vj_use_count(f, centred) == 2 && vj_has_one_use(f, square) &&
           vj_has_one_use(f, vj_operand(f, centred, 1));
}

/* A root of a mean of squares: of what is around its mean it is a layer normalisation that was missed; of anything else
 * it is RMSNorm, whose sum and root are one reduction, with no node of its own. So is what is divided by its deviation, mean and all (Keras'
 * rms_scaling). */
static void count_root(vj_pass_context *c, const vj_node *node) {
    const vj_func *f = c->f;
    double power;
    bool epsilon = false, factor = false;
    if (vj_is_weight(f, node->first_result)) return;
    if (node->op == VJ_OP_pow && !(vj_is_uniform(f, node->args[1], &power) && power == -0.5)) return;
    const vj_value mean = mean_of_squares(f, node->args[0], &epsilon, &factor);
    if (mean < 0) return;
    const vj_value square = vj_operand(f, mean, 0), squared = vj_operand(f, square, 0);
    const bool is_moments = vj_op_of(f, node->args[0]) == VJ_OP_sub;
    const bool keeps = keeps_mean(f, squared, square) && divides(f, node->first_result, vj_operand(f, squared, 0), 3);
    if (keeps || (!is_centred(f, squared) && !is_moments)) {
        count(c->report, "rmsnorm", true);
        return;
    }
    count(c->report, "layernorm", false);
    vj_report_reason(c->report, "layernorm", "node '%s': %s", vj_node_label(f, node),
                     factor     ? "its variance is not the mean of squares (N - 1 elements)"
                     : !epsilon ? "no epsilon is added to its variance"
                                : "its root does not divide the differences, or its axes are not neighbours");
}

static void count_node(vj_pass_context *c, int32_t n) {
    const vj_node node = c->f->nodes[n];
    switch (node.op) {
    case VJ_OP_attention:
        count_attention(c, &node);
        break;
    case VJ_OP_softmax:
        count_softmax(c, &node);
        break;
    case VJ_OP_layernorm:
    case VJ_OP_gelu:
        count(c->report, node.op == VJ_OP_gelu ? "gelu" : "layernorm", true);
        break;
    case VJ_OP_erf:
    case VJ_OP_tanh:
        count_curve(c, &node);
        break;
    case VJ_OP_sqrt:
    case VJ_OP_pow:
        count_root(c, &node);
        break;
    case VJ_OP_conv:
        if (vj_is_patch_embedding(c->f, &node) && vj_type_at(c->f, node.args[1])->dims[0].c > 1)
            count(c->report, "patch_embedding", true);
        break;
    case VJ_OP_add:
        if (is_residual(c->f, &node)) count(c->report, "residual", true);
        break;
    default:
        break;
    }
}

vj_status vj_pass_report(vj_pass_context *c) {
    static const char *const rows[] = {"attention", "qkv",     "layernorm",       "rmsnorm",
                                       "gelu",      "softmax", "patch_embedding", "residual"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vj_report_row *row = vj_report_row_of(c->report, rows[i]);
        row->seen = row->fused = row->reason_count = 0;
    }
    int32_t end = c->f->node_count;
    for (int32_t n = 0; n < end; n++)
        count_node(c, n);
    vj_compact(c->f);
    return VJ_OK;
}
