/* support.c - which nodes can be imported: all that cannot are told at once. */
#include "import.h"

#include <stdlib.h>
#include <string.h>

static const vj_import_row table[] = {
#define ROW(op, since, builder, min, max, attributes, ir_op)                                                           \
    {op, since, vj_build_##builder, min, max, attributes, ir_op},
#include "import_table.def"
#undef ROW
};

enum { TABLE_ROWS = sizeof table / sizeof table[0], NAMES_TOLD = 3 };

const char *vj_onnx_node_name(const Onnx__NodeProto *node) {
    if (node->name && *node->name) return node->name;
    for (size_t i = 0; i < node->n_output; i++)
        if (*node->output[i]) return node->output[i];
    return "";
}

static bool in_default_domain(const Onnx__NodeProto *node) {
    const char *domain = vj_text_of(node->domain);
    return !*domain || strcmp(domain, "ai.onnx") == 0;
}

const char *vj_onnx_op_name(vj_arena *arena, const Onnx__NodeProto *node) {
    if (in_default_domain(node)) return vj_strdup(arena, vj_text_of(node->op_type));
    return vj_sprintf(arena, "%s::%s", node->domain, vj_text_of(node->op_type));
}

const vj_import_row *vj_find_row(const vj_onnx *onnx, const Onnx__NodeProto *node) {
    if (!in_default_domain(node)) return NULL;
    const vj_import_row *best = NULL;
    for (const vj_import_row *r = table; r < table + TABLE_ROWS; r++)
        if (r->since <= onnx->opset && strcmp(r->op, vj_text_of(node->op_type)) == 0 &&
            (!best || r->since > best->since))
            best = r;
    return best;
}

const char *vj_why_unsupported(const vj_onnx *onnx, const Onnx__NodeProto *node) {
    const Onnx__ModelProto *m = onnx->model;
    for (size_t i = 0; i < m->n_functions; i++)
        if (strcmp(vj_text_of(m->functions[i]->name), vj_text_of(node->op_type)) == 0 &&
            strcmp(vj_text_of(m->functions[i]->domain), vj_text_of(node->domain)) == 0)
            return "a function of the model";
    if (!in_default_domain(node)) return "of another domain";
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->has_dropped) return "with a subgraph or a sparse or optional attribute";
    return vj_find_row(onnx, node) ? NULL : "";
}

typedef struct missing {
    const char *op, *why;
    int32_t count;
    vj_text nodes;
} missing;

static missing *missing_row(vj_importer *im, missing **rows, int32_t *count, int32_t *capacity, const char *op,
                            const char *why) {
    for (int32_t i = 0; i < *count; i++)
        if (strcmp((*rows)[i].op, op) == 0) return &(*rows)[i];
    missing *row = VJ_PUSH(im->arena, *rows, *count, *capacity);
    *row = (missing){.op = op, .why = why, .nodes = {.arena = im->arena}};
    return row;
}

bool vj_check_support(vj_importer *im) {
    missing *rows = NULL;
    int32_t count = 0, capacity = 0;
    for (size_t i = 0; i < im->onnx->graph->n_node; i++) {
        const Onnx__NodeProto *node = im->onnx->graph->node[i];
        const char *why = vj_why_unsupported(im->onnx, node);
        if (!why) continue;
        missing *row = missing_row(im, &rows, &count, &capacity, vj_onnx_op_name(im->arena, node), why);
        if (row->count++ < NAMES_TOLD)
            vj_text_add(&row->nodes, "%s'%.60s'", row->count > 1 ? ", " : "", vj_onnx_node_name(node));
    }
    if (!count) return true;
    vj_text text = {.arena = im->arena};
    for (int32_t i = 0; i < count; i++)
        vj_text_add(&text, "%s%s%s%s (%d: %s%s)", i ? "; " : "", rows[i].op, *rows[i].why ? ", " : "", rows[i].why,
                    rows[i].count, rows[i].nodes.at, rows[i].count > NAMES_TOLD ? ", ..." : "");
    vj_fail(im->error, VJ_UNSUPPORTED, "%s: %d op%s of opset %lld not supported: %s", im->onnx->path, count,
            count == 1 ? "" : "s", (long long)im->onnx->opset, text.at);
    vj_hint(im->error, "--inspect lists the ops of the model; exporting with another opset may avoid them");
    return false;
}
