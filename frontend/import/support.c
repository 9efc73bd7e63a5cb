/* SPDX-License-Identifier: Apache-2.0 */
/* support.c - decides which nodes can be imported. One error lists all that cannot. */
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

/* Rows name an op of another domain as domain::op. */
static bool is_row_of(const vj_import_row *row, const Onnx__NodeProto *node) {
    if (vj_is_default_domain(node->domain)) return strcmp(row->op, vj_text_of(node->op_type)) == 0;
    size_t length = strlen(node->domain);
    return strncmp(row->op, node->domain, length) == 0 && strncmp(row->op + length, "::", 2) == 0 &&
           strcmp(row->op + length + 2, vj_text_of(node->op_type)) == 0;
}

const vj_import_row *vj_find_row(const vj_scope *scope, const Onnx__NodeProto *node) {
    const int64_t opset = vj_opset_of(scope, node->domain);
    const vj_import_row *best = NULL;
    for (const vj_import_row *r = table; r < table + TABLE_ROWS; r++)
        if (r->since <= opset && is_row_of(r, node) && (!best || r->since > best->since)) best = r;
    return best;
}

/* Of an op that is known from a later opset on: which. 0: no opset helps. */
static int32_t later_opset(const vj_scope *scope, const Onnx__NodeProto *node) {
    const int64_t opset = vj_opset_of(scope, node->domain);
    int32_t least = 0;
    for (const vj_import_row *r = table; r < table + TABLE_ROWS; r++)
        if (r->since > opset && is_row_of(r, node) && (!least || r->since < least)) least = r->since;
    return vj_is_default_domain(node->domain) ? least : 0;
}

/* Why the node itself (not a function that it calls) cannot be imported. "" means an unknown op; NULL means that it can
 * be, or that it is a call of *function. */
static const char *why_not(const vj_scope *scope, const Onnx__NodeProto *node, int32_t *function) {
    *function = -1;
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->has_dropped) return "with a list of graphs, or a sparse or optional attribute";
    if (vj_find_row(scope, node)) return NULL;
    *function = vj_find_function(scope->onnx, node);
    if (*function >= 0) return NULL;
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->g) return "control flow";
    return vj_is_default_domain(node->domain) ? "" : "of another domain";
}

bool vj_is_supported(const vj_scope *scope, const Onnx__NodeProto *node, uint8_t *functions) {
    enum { UNKNOWN, SUPPORTED, UNSUPPORTED };
    int32_t function;
    if (why_not(scope, node, &function)) return false;
    if (function < 0) return true;
    if (functions[function] != UNKNOWN) return functions[function] == SUPPORTED;
    functions[function] = SUPPORTED; /* for now, so that a function which calls itself ends the recursion */
    const vj_scope body = vj_scope_of_function(scope->onnx, function);
    for (size_t i = 0; i < body.node_count; i++)
        if (!vj_is_supported(&body, body.nodes[i], functions)) functions[function] = UNSUPPORTED;
    return functions[function] == SUPPORTED;
}

typedef struct missing {
    const char *op, *why;
    int32_t count;
    vj_text nodes;
} missing;

typedef struct survey {
    vj_importer *im;
    missing *rows;
    int32_t count, capacity;
    int32_t opset; /* from which on all of them are known; 0: some are in none */
    bool *seen;    /* for each function: whether its body was visited, which happens for its first call only */
} survey;

static missing *missing_row(survey *s, const char *op, const char *why, int32_t later) {
    for (int32_t i = 0; i < s->count; i++)
        if (strcmp(s->rows[i].op, op) == 0) return &s->rows[i];
    s->opset = later && (s->opset || !s->count) ? (later > s->opset ? later : s->opset) : 0;
    missing *row = VJ_PUSH(s->im->arena, s->rows, s->count, s->capacity);
    *row = (missing){.op = op, .why = why, .nodes = {.arena = s->im->arena}};
    return row;
}

/* The recursion is at most as deep as there are functions. */
static bool survey_nodes(survey *s, const vj_scope *scope) {
    for (size_t i = 0; i < scope->node_count; i++) {
        const Onnx__NodeProto *node = scope->nodes[i];
        int32_t function;
        const char *why = why_not(scope, node, &function);
        if (vj_is_default_domain(node->domain) && !vj_opset_of(scope, ""))
            return vj_stop(s->im, VJ_BAD_INPUT, "names no opset of the default domain");
        if (function >= 0 && !s->seen[function]) {
            s->seen[function] = true;
            vj_scope body = vj_scope_of_function(scope->onnx, function);
            body.path = vj_sprintf(s->im->arena, "%s%.60s/", scope->path, vj_onnx_node_name(node));
            if (!survey_nodes(s, &body)) return false;
        }
        if (!why) continue;
        missing *row = missing_row(s, vj_onnx_op_name(s->im->arena, node), why, later_opset(scope, node));
        if (row->count++ < NAMES_TOLD)
            vj_text_add(&row->nodes, "%s'%s%.60s'", row->count > 1 ? ", " : "", scope->path, vj_onnx_node_name(node));
    }
    return true;
}

bool vj_check_support(vj_importer *im, const vj_scope *scope) {
    survey s = {.im = im, .seen = VJ_NEW_ARRAY(im->arena, bool, im->onnx->model->n_functions + 1)};
    if (!survey_nodes(&s, scope)) return false;
    if (!s.count) return true;
    vj_text text = {.arena = im->arena};
    for (int32_t i = 0; i < s.count; i++)
        vj_text_add(&text, "%s%s%s%s (%d: %s%s)", i ? "; " : "", s.rows[i].op, *s.rows[i].why ? ", " : "",
                    s.rows[i].why, s.rows[i].count, s.rows[i].nodes.at, s.rows[i].count > NAMES_TOLD ? ", ..." : "");
    vj_fail(im->error, VJ_UNSUPPORTED, "%s: %d op%s of opset %lld not supported: %s", im->onnx->path, s.count,
            s.count == 1 ? "" : "s", (long long)vj_opset_of(scope, ""), text.at);
    if (s.opset)
        vj_hint(im->error, "export the model with opset %d or a later one", s.opset);
    else
        vj_hint(im->error, "`vitjit MODEL --inspect` lists the ops of the model, with those that are not supported");
    return false;
}

bool vj_check_opset(vj_importer *im, int64_t opset, const char *who) {
    if (opset && opset < VJ_OPSET_OLDEST) {
        vj_stop(im, opset < 1 ? VJ_BAD_INPUT : VJ_UNSUPPORTED, "%sopset %lld is older than %d", who, (long long)opset,
                VJ_OPSET_OLDEST);
        vj_hint(im->error, "export the model again with a newer opset, 17 for example");
        return false;
    }
    if (!im->is_repeat && im->options && im->options->warn && opset > VJ_OPSET_NEWEST)
        im->options->warn(im->options->warn_self,
                          vj_sprintf(im->arena,
                                     "%s: %sopset %lld is newer than %d, the newest known: its ops are taken as they "
                                     "were then",
                                     im->onnx->path, who, (long long)opset, VJ_OPSET_NEWEST));
    return true;
}
