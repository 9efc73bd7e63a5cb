/* SPDX-License-Identifier: Apache-2.0 */
/* weight_blocks.c - weights of products that the model stores in 4 or 8 bits stay so: each becomes one difference and
 * one product of whole tensors, below what moves it, as lowering packs it (passes/rewrite/block_size.c). Their values
 * are the same. */
#include "passes/rewrite/rewrite.h"

vj_status vj_pass_weight_blocks(vj_pass_context *c) {
    vj_func *f = c->f;
    vj_compact(f);
    const int32_t nodes = f->node_count;
    for (int32_t n = 0; n < nodes; n++) {
        const vj_node node = f->nodes[n];
        const bool is_product = node.op == VJ_OP_linear || node.op == VJ_OP_matmul;
        const int32_t factor = node.dead || !is_product ? -1 : vj_packed_factor(f, &node);
        if (factor < 0 || !vj_is_in_blocks(f, node.args[factor])) continue;
        /* what one factor alone has rounded is a weight of another kind */
        if (vj_type_at(f, node.args[0])->dtype != vj_type_at(f, node.args[1])->dtype) continue;
        const vj_value made = vj_make_blocks(f, c->arena, node.args[factor]);
        if (made != node.args[factor] && vj_may_rewrite(c, "blocks", &node)) vj_set_operand(f, n, factor, made);
    }
    vj_merge_equal_nodes(c); /* products that share a weight still do */
    vj_compact(f);
    return c->error->status;
}
