/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c - errors of the current node, and the names that messages have for nodes and ops. */
#include "import.h"

#include <stdio.h>

bool vj_stop(vj_importer *im, vj_status status, const char *format, ...) {
    char what[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (im->origin)
        vj_fail(im->error, status, "%s: node '%.200s' (%s, opset %d): %s", im->onnx->path, im->origin->node,
                im->origin->op, im->origin->opset, what);
    else
        vj_fail(im->error, status, "%s: %s", im->onnx->path, what);
    return false;
}

const char *vj_onnx_node_name(const Onnx__NodeProto *node) {
    if (node->name && *node->name) return node->name;
    for (size_t i = 0; i < node->n_output; i++)
        if (*node->output[i]) return node->output[i];
    return "";
}

const char *vj_onnx_op_name(vj_arena *arena, const Onnx__NodeProto *node) {
    if (vj_is_default_domain(node->domain)) return vj_strdup(arena, vj_text_of(node->op_type));
    return vj_sprintf(arena, "%s::%s", node->domain, vj_text_of(node->op_type));
}
