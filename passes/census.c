/* census.c - what the report tells: how many of each thing there are, and why some were not recognised. Counted at the
 * end of the tensor level, so that it says what the kernels are made of. */
#include "internal.h"

#include <string.h>

static void count(vj_report *report, const char *what, bool is_fused) {
    vj_report_seen(report, what);
    if (is_fused) vj_report_fused(report, what);
}

static void count_attention(vj_pass_context *c, const vj_node *node) {
    count(c->report, "attention", true);
    count(c->report, "softmax", true);
    vj_value q = vj_source_of_head(c->f, node->args[0]), k = vj_source_of_head(c->f, node->args[1]);
    vj_value v = vj_source_of_head(c->f, node->args[2]);
    bool is_one = q == k && k == v && vj_op_of(c->f, q) == VJ_OP_linear;
    count(c->report, "qkv", is_one);
    if (!is_one)
        vj_report_reason(c->report, "qkv", "node '%s': query, key and value are not products of one value with weights",
                         vj_node_label(c->f, node));
}

/* A softmax by itself is a kernel of its own; between two products it should have been attention. */
static void count_softmax(vj_pass_context *c, const vj_node *node) {
    const vj_func *f = c->f;
    bool is_of_products = false;
    count(c->report, "softmax", true);
    for (int32_t n = 0; n < f->node_count; n++)
        is_of_products =
            is_of_products || (f->nodes[n].op == VJ_OP_matmul && f->nodes[n].args[0] == node->first_result);
    if (!is_of_products) return;
    vj_node at = *node;
    count(c->report, "attention", false);
    const char *why = vj_why_no_attention(c->f, at.first_result);
    vj_report_reason(c->report, "attention", "node '%s': %s", vj_node_label(c->f, &at), why);
}

static bool has_ints(const vj_node *node, vj_attr_key key, int64_t wanted) {
    const vj_attr *attr = vj_attr_find(node, key);
    for (int32_t i = 0; i < attr->count; i++)
        if (attr->as.ints[i] != wanted) return false;
    return true;
}

/* Windows that tile the picture. */
static bool is_patch_embedding(const vj_func *f, const vj_node *node) {
    const vj_type *w = vj_type_at(f, node->args[1]);
    const vj_attr *stride = vj_attr_find(node, VJ_ATTR_STRIDE);
    for (int32_t i = 0; i < stride->count; i++)
        if (stride->as.ints[i] != w->dims[2 + i].c || stride->as.ints[i] == 1) return false;
    return vj_attr_int(node, VJ_ATTR_GROUPS, 1) == 1 && has_ints(node, VJ_ATTR_DILATION, 1) &&
           has_ints(node, VJ_ATTR_LOW, 0) && has_ints(node, VJ_ATTR_HIGH, 0);
}

/* The result of a block on top of what went in. */
static bool is_residual(const vj_func *f, const vj_node *node) {
    int32_t products = 0;
    for (int32_t i = 0; i < 2; i++) {
        if (vj_is_weight(f, node->args[i]) ||
            !vj_type_equal(vj_type_at(f, node->args[i]), vj_type_at(f, node->first_result)))
            return false;
        vj_op op = vj_op_of(f, vj_source_of_head(f, node->args[i]));
        products += op == VJ_OP_linear || op == VJ_OP_conv;
    }
    return products == 1;
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
        count(c->report, "gelu", false);
        vj_report_reason(c->report, "gelu", "node '%s': erf is not part of x * 0.5 * (1 + erf(x / sqrt 2))",
                         vj_node_label(c->f, &node));
        break;
    case VJ_OP_sqrt: /* of a mean and a small number: the root of a variance */
        if (vj_op_of(c->f, node.args[0]) != VJ_OP_add ||
            vj_op_of(c->f, vj_operand(c->f, node.args[0], 0)) != VJ_OP_reduce)
            break;
        count(c->report, "layernorm", false);
        vj_report_reason(c->report, "layernorm", "node '%s': the root of a variance that is not of one last axis",
                         vj_node_label(c->f, &node));
        break;
    case VJ_OP_conv:
        if (is_patch_embedding(c->f, &node)) count(c->report, "patch_embedding", true);
        break;
    case VJ_OP_add:
        if (is_residual(c->f, &node)) count(c->report, "residual", true);
        break;
    default:
        break;
    }
}

vj_status vj_pass_census(vj_pass_context *c) {
    static const char *const rows[] = {"attention",       "qkv",     "layernorm", "gelu", "softmax",
                                       "patch_embedding", "residual"};
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
