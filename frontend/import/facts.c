/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - what --inspect prints of a model, supported or not. */
#include "frontend/onnx/model.h"
#include "import.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *io_type(vj_arena *arena, const Onnx__ValueInfoProto *info) {
    const Onnx__TensorTypeProto *t = info->type ? info->type->tensor_type : NULL;
    if (!t) return "not a tensor";
    vj_text text = {.arena = arena};
    vj_dtype dtype = vj_dtype_of_onnx(t->elem_type);
    vj_text_add(&text, "%s", dtype == VJ_NO_DTYPE ? vj_onnx_dtype_name(t->elem_type) : vj_element_name(dtype));
    if (!t->shape) {
        vj_text_add(&text, "[...]");
        return text.at;
    }
    vj_text_add(&text, "[");
    for (size_t i = 0; i < t->shape->n_dim; i++) {
        const Onnx__Dimension *d = t->shape->dim[i];
        if (i) vj_text_add(&text, ",");
        if (d->dim_param && *d->dim_param)
            vj_text_add(&text, "%s", d->dim_param);
        else if (d->has_dim_value && d->dim_value > 0)
            vj_text_add(&text, "%" PRId64, d->dim_value);
        else
            vj_text_add(&text, "?");
    }
    vj_text_add(&text, "]");
    return text.at;
}

static bool is_open(const Onnx__ValueInfoProto *info) {
    const Onnx__TensorTypeProto *t = info->type ? info->type->tensor_type : NULL;
    bool open = t && !t->shape;
    for (size_t i = 1; t && t->shape && i < t->shape->n_dim; i++) {
        const Onnx__Dimension *d = t->shape->dim[i];
        open |= (d->dim_param && *d->dim_param) || !d->has_dim_value;
    }
    return open;
}

static struct vj_io_fact *io_facts(vj_arena *arena, const vj_onnx *onnx, size_t n, Onnx__ValueInfoProto **infos,
                                   bool skip_initializers, int32_t *count) {
    struct vj_io_fact *facts = VJ_NEW_ARRAY(arena, struct vj_io_fact, n);
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = vj_text_of(infos[i]->name);
        bool is_default = false;
        for (size_t j = 0; skip_initializers && j < onnx->graph->n_initializer && !is_default; j++)
            is_default = strcmp(vj_text_of(onnx->graph->initializer[j]->name), name) == 0;
        if (is_default) continue;
        facts[*count].name = vj_strdup(arena, name);
        facts[*count].is_open = is_open(infos[i]);
        facts[(*count)++].type = io_type(arena, infos[i]);
    }
    return facts;
}

static void count_parameters(const vj_onnx *onnx, vj_model_facts *facts) {
    for (size_t i = 0; i < onnx->graph->n_initializer; i++) {
        vj_type type;
        int64_t elements, bytes;
        if (!vj_tensor_shape(onnx->graph->initializer[i], "", &type, &elements, NULL)) continue;
        const bool is_packed = vj_dtype_of_onnx(onnx->graph->initializer[i]->data_type) == VJ_NO_DTYPE; /* 4 bits */
        bytes = is_packed ? elements / 2 + elements % 2
                          : elements * (int64_t)vj_element_bytes(type.dtype); /* fits: vj_tensor_shape checked it */
        if (!vj_add(facts->parameters, elements, &facts->parameters)) facts->parameters = INT64_MAX;
        if (!vj_add(facts->parameter_bytes, bytes, &facts->parameter_bytes)) facts->parameter_bytes = INT64_MAX;
    }
}

/* Orders ops by falling count, then by name. */
static int by_count(const void *left, const void *right) {
    const struct vj_op_count *a = left, *b = right;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return strcmp(a->op, b->op);
}

static void count_ops(vj_arena *arena, const vj_onnx *onnx, vj_model_facts *facts) {
    const vj_scope scope = vj_scope_of_model(onnx);
    uint8_t *functions = VJ_NEW_ARRAY(arena, uint8_t, onnx->model->n_functions + 1);
    int32_t capacity = 0;
    for (size_t i = 0; i < onnx->graph->n_node; i++) {
        const Onnx__NodeProto *node = onnx->graph->node[i];
        const char *op = vj_onnx_op_name(arena, node);
        int32_t at = 0;
        while (at < facts->op_count && strcmp(facts->ops[at].op, op) != 0)
            at++;
        if (at == facts->op_count) {
            struct vj_op_count *row = VJ_PUSH(arena, facts->ops, facts->op_count, capacity);
            *row = (struct vj_op_count){op, 0, true};
        }
        facts->ops[at].count++;
        if (!vj_is_supported(&scope, node, functions)) facts->ops[at].supported = false;
    }
    if (facts->op_count) qsort(facts->ops, (size_t)facts->op_count, sizeof *facts->ops, by_count);
}

typedef struct external_list {
    vj_arena *arena;
    vj_model_facts *facts;
    int32_t capacity;
} external_list;

static void list_tensor(external_list *list, const Onnx__TensorProto *t) {
    vj_model_facts *facts = list->facts;
    for (size_t j = 0; t->data_location == 1 && j < t->n_external_data; j++) {
        if (strcmp(vj_text_of(t->external_data[j]->key), "location") != 0) continue;
        const char *name = vj_text_of(t->external_data[j]->value);
        int32_t at = 0;
        while (at < facts->external_count && strcmp(facts->external[at].name, name) != 0)
            at++;
        if (at < facts->external_count) continue;
        struct vj_external_file *file = VJ_PUSH(list->arena, facts->external, facts->external_count, list->capacity);
        file->name = vj_strdup(list->arena, name);
    }
}

static void list_nodes(external_list *list, Onnx__NodeProto *const *nodes, size_t count);

/* The recursion is bounded: wire.c limits the nesting of graphs. */
static void list_attributes(external_list *list, Onnx__AttributeProto *const *attributes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Onnx__AttributeProto *a = attributes[i];
        if (a->t) list_tensor(list, a->t);
        for (size_t j = 0; a->g && j < a->g->n_initializer; j++)
            list_tensor(list, a->g->initializer[j]);
        if (a->g) list_nodes(list, a->g->node, a->g->n_node);
    }
}

static void list_nodes(external_list *list, Onnx__NodeProto *const *nodes, size_t count) {
    for (size_t i = 0; i < count; i++)
        list_attributes(list, nodes[i]->attribute, nodes[i]->n_attribute);
}

/* Lists the external data of every tensor of the model. A file that is not listed would be missing from the cache's
 * key. */
static void list_external(vj_arena *arena, const vj_onnx *onnx, vj_model_facts *facts) {
    external_list list = {.arena = arena, .facts = facts};
    const Onnx__ModelProto *m = onnx->model;
    for (size_t i = 0; i < onnx->graph->n_initializer; i++)
        list_tensor(&list, onnx->graph->initializer[i]);
    list_nodes(&list, onnx->graph->node, onnx->graph->n_node);
    for (size_t i = 0; i < m->n_functions; i++) {
        list_nodes(&list, m->functions[i]->node, m->functions[i]->n_node);
        list_attributes(&list, m->functions[i]->attribute_proto, m->functions[i]->n_attribute_proto);
    }
}

void vj_fill_facts(vj_arena *arena, const vj_onnx *onnx, vj_model_facts *facts) {
    const Onnx__ModelProto *m = onnx->model;
    const Onnx__GraphProto *g = onnx->graph;
    *facts = (vj_model_facts){0};
    const char *version = vj_text_of(m->producer_version);
    facts->producer = vj_sprintf(arena, "%s%s%s", vj_text_of(m->producer_name), *version ? " " : "", version);
    facts->graph_name = vj_strdup(arena, vj_text_of(g->name));
    facts->ir_version = m->ir_version;
    facts->opset = onnx->opset;
    facts->node_count = (int32_t)g->n_node;
    count_parameters(onnx, facts);
    facts->inputs = io_facts(arena, onnx, g->n_input, g->input, true, &facts->input_count);
    facts->outputs = io_facts(arena, onnx, g->n_output, g->output, false, &facts->output_count);
    facts->metadata = VJ_NEW_ARRAY(arena, struct vj_metadata, m->n_metadata_props);
    for (size_t i = 0; i < m->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *p = m->metadata_props[i];
        facts->metadata[facts->metadata_count++] =
            (struct vj_metadata){vj_strdup(arena, vj_text_of(p->key)), vj_strdup(arena, vj_text_of(p->value))};
    }
    count_ops(arena, onnx, facts);
    list_external(arena, onnx, facts);
}
