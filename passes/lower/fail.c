/* SPDX-License-Identifier: Apache-2.0 */
/* fail.c - an error that names the node. */
#include "lower.h"

bool vj_lower_fail(const vj_lowering *l, const vj_node *node, const char *what) {
    const char *label = vj_node_label(l->f, node);
    if (node->origin && node->origin->op)
        vj_fail(l->error, VJ_UNSUPPORTED, "node '%s' (%s, opset %d): %s", label, node->origin->op,
                (int)node->origin->opset, what);
    else
        vj_fail(l->error, VJ_UNSUPPORTED, "node '%s' (%s): %s", label, vj_op_table(node->op)->name, what);
    return false;
}
