/* SPDX-License-Identifier: Apache-2.0 */
/* byte_blocks.c - products whose graph allows their activations to be rounded by blocks (round_blocks), with weights in blocks, are products
 * of bytes: x becomes u8 with a size of a step for each block of the depth, and
 *
 *     sum x w  ~  sum over blocks of step * scale * sum (q - 128) (number - zero point)
 *
 * where the inner sums are exact. What is allowed need not be done: elsewhere the rounding is left out. */
#include "passes/precision/precision.h"

static const char *why_precision(const vj_pass_context *c) {
    return c->options->precision == VJ_I8     ? "--precision int8 has bytes a row"
           : c->options->precision == VJ_BF16 ? "--precision bf16 is as accurate"
                                              : NULL;
}

static const char *why_floats(vj_pass_context *c, const vj_node *node, int64_t block, vj_value *weight) {
    const vj_func *f = c->f;
    const char *why = why_precision(c);
    if (why) return why;
    if (vj_is_kept(c, node)) return "--keep-f32 names it";
    const vj_type *w = vj_type_at(f, node->args[1]);
    if (w->rank != 2 || w->dtype != VJ_F32 || !vj_is_in_blocks(f, node->args[1])) return "its weight is in no blocks";
    if (vj_is_weight(f, node->args[0])) return "it is made of constants alone";
    if (!vj_fits_steps(f, node->args[0])) return "its input has too many dims";
    if (block < VJ_LEAST_BLOCK || block % VJ_MOST_GROUP != 0) return "its blocks are no fours, or below 16";
    if (w->dims[0].c < VJ_LEAST_BLOCK || w->dims[0].c > VJ_BLOCKS_DEPTH) return "its depth is below 16 or above 8192";
    *weight = vj_make_blocks(c->f, c->arena, node->args[1]);
    return vj_why_no_bytes(c->f, *weight);
}

static vj_value product_of(vj_func *f, const vj_node *node, vj_value x, int64_t block, vj_value weight) {
    const vj_block_steps made = vj_make_block_steps(f, x, block, node->origin);
    const vj_value args[] = {made.q, made.size, weight};
    const vj_value y = vj_make(f, VJ_OP_linear_blocks, args, 3, NULL, 0, node->origin);
    return node->arg_count > 2 && node->args[2] >= 0 ? vj_make_binary(f, VJ_OP_add, y, node->args[2], node->origin) : y;
}

static void multiply(vj_pass_context *c, int32_t n) {
    vj_func *f = c->f;
    const vj_node node = f->nodes[n], round = *vj_producer(f, node.args[0]);
    const int64_t block = vj_attr_int(&round, VJ_ATTR_BLOCK, 1);
    vj_value weight = VJ_NONE;
    const char *why = why_floats(c, &node, block, &weight);
    vj_report_seen(c->report, "byte_blocks");
    if (why)
        vj_report_reason(c->report, "byte_blocks", "node '%s': %s", vj_node_label(f, &node), why);
    else
        vj_report_fused(c->report, "byte_blocks");
    if (!vj_may_rewrite(c, why ? "left_out" : "byte_blocks", &node)) return;
    if (why) {
        vj_set_operand(f, n, 0, round.args[0]);
        return;
    }
    const vj_value y = product_of(f, &node, round.args[0], block, weight);
    if (!f->values[y].name) f->values[y].name = f->values[node.first_result].name;
    vj_replace_uses(f, node.first_result, y);
    vj_kill(f, n);
}

vj_status vj_pass_byte_blocks(vj_pass_context *c) {
    vj_func *f = c->f;
    vj_compact(f);
    const int32_t nodes = f->node_count;
    for (int32_t n = 0; n < nodes && !c->error->status; n++) {
        const vj_node *node = &f->nodes[n];
        const bool is_product = node->op == VJ_OP_linear || node->op == VJ_OP_matmul;
        if (!node->dead && is_product && vj_op_of(f, node->args[0]) == VJ_OP_round_blocks) multiply(c, n);
    }
    for (int32_t n = 0; n < nodes; n++) { /* what moved it away from its product */
        const vj_node node = f->nodes[n];
        if (node.dead || node.op != VJ_OP_round_blocks || vj_use_count(f, node.first_result) == 0) continue;
        if (vj_may_rewrite(c, "left_out", &node)) vj_replace_uses(f, node.first_result, node.args[0]);
    }
    vj_merge_equal_nodes(c); /* products that share an input have its bytes once */
    vj_compact(f);
    return c->error->status;
}
