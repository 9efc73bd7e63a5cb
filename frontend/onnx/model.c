/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - opens a model: makes the slim message, unpacks and checks it. The model's sources stay open until it is
 * closed. */
#include "wire.h"
#include "model.h"

#include <stdlib.h>
#include <string.h>

/* The slim message of a source, unpacked. */
static vj_unpacked *read_message(const vj_source *source, vj_wire_root root, const ProtobufCMessageDescriptor *kind,
                                 vj_error *error) {
    if (source->size == 0) {
        vj_fail(error, VJ_BAD_INPUT, "%s: the file is empty", source->path);
        return NULL;
    }
    size_t size;
    uint8_t *slim = vj_wire_slim(source, root, &size, error);
    if (!slim) return NULL;
    vj_unpacked *unpacked = vj_unpack(kind, slim, size, source->path, error);
    free(slim);
    return unpacked;
}

static bool check_model(vj_onnx *onnx, vj_error *error) {
    const Onnx__ModelProto *m = onnx->model;
    if (!m->graph || (!m->has_ir_version && !m->n_opset_import)) {
        vj_fail(error, VJ_BAD_INPUT, "%s: not an ONNX model: it has no graph", onnx->path);
        return false;
    }
    onnx->graph = m->graph;
    for (size_t i = 0; i < m->n_opset_import; i++) {
        if (!vj_is_default_domain(m->opset_import[i]->domain)) continue;
        if (onnx->opset && onnx->opset != m->opset_import[i]->version) {
            vj_fail(error, VJ_BAD_INPUT, "%s: names two opsets, %lld and %lld", onnx->path, (long long)onnx->opset,
                    (long long)m->opset_import[i]->version);
            return false;
        }
        onnx->opset = m->opset_import[i]->version;
    }
    return true;
}

static void close_opened(void *onnx) { vj_onnx_close(onnx); }

/* It is closed with the arena, if not sooner. */
static vj_onnx *new_onnx(vj_arena *arena) {
    vj_onnx *onnx = VJ_NEW(arena, vj_onnx);
    onnx->arena = arena;
    vj_arena_at_free(arena, close_opened, onnx);
    return onnx;
}

static vj_onnx *open_source(vj_onnx *onnx, vj_source *source, vj_model_facts *facts, vj_error *error) {
    vj_arena *arena = onnx->arena;
    if (!source) return NULL;
    onnx->source = source;
    onnx->path = source->path;
    onnx->unpacked = read_message(source, VJ_WIRE_MODEL, &onnx__model_proto__descriptor, error);
    if (onnx->unpacked) {
        Onnx__ModelProto *model = (Onnx__ModelProto *)vj_unpacked_message(onnx->unpacked);
        onnx->model = model;
        if (check_model(onnx, error)) {
            vj_sort_nodes(arena, model);
            if (facts) vj_fill_facts(arena, onnx, facts);
            return onnx;
        }
    }
    vj_onnx_close(onnx);
    return NULL;
}

vj_onnx *vj_onnx_open(vj_arena *arena, const char *path, vj_model_facts *facts, vj_error *error) {
    vj_onnx *onnx = new_onnx(arena);
    return open_source(onnx, vj_source_open(arena, path, error), facts, error);
}

vj_onnx *vj_onnx_open_memory(vj_arena *arena, const void *bytes, size_t size, const char *name, vj_model_facts *facts,
                             vj_error *error) {
    if (size > INT64_MAX) {
        vj_fail(error, VJ_BAD_INPUT, "%s: the size is impossible", name);
        return NULL;
    }
    vj_onnx *onnx = new_onnx(arena);
    onnx->in_memory = true;
    return open_source(onnx, vj_source_memory(arena, name, bytes, (int64_t)size), facts, error);
}

bool vj_onnx_file_of(const vj_onnx *onnx, const vj_source *source, const char **name) {
    *name = NULL;
    if (source == onnx->source) return true;
    for (int32_t i = 0; i < onnx->external_count; i++) {
        if (source != onnx->externals[i].source) continue;
        *name = onnx->externals[i].name;
        return true;
    }
    return false;
}

void vj_onnx_close(vj_onnx *onnx) {
    if (!onnx) return;
    vj_unpacked_free(onnx->unpacked);
    onnx->unpacked = NULL;
    vj_source_close(onnx->source);
    for (int32_t i = 0; i < onnx->external_count; i++)
        vj_source_close(onnx->externals[i].source);
    onnx->external_count = 0;
}

/* Converts a constant into a tensor, by way of a function that holds the constant alone. */
static vj_tensor *tensor_of(vj_arena *arena, const vj_type *type, const vj_const *constant, vj_error *error) {
    vj_func *f = vj_func_new(arena, "tensor");
    vj_value v = vj_add_const(f, NULL, type, constant);
    vj_tensor *tensor = vj_tensor_new(arena, type, error);
    if (!tensor) return NULL;
    bool ok = vj_dtype_is_float(type->dtype) ? vj_const_read_f64(f, v, 0, tensor->count, tensor->f, error)
                                             : vj_const_read_i64(f, v, 0, tensor->count, tensor->i, error);
    return ok ? tensor : NULL;
}

vj_tensor *vj_read_tensor_pb(vj_arena *arena, const char *path, const char **name, vj_error *error) {
    vj_onnx *file = new_onnx(arena);
    file->source = vj_source_open(arena, path, error);
    if (!file->source) return NULL;
    file->path = file->source->path;
    file->in_memory = true;
    file->unpacked = read_message(file->source, VJ_WIRE_TENSOR, &onnx__tensor_proto__descriptor, error);
    vj_tensor *tensor = NULL;
    if (file->unpacked) {
        const Onnx__TensorProto *t = (const Onnx__TensorProto *)vj_unpacked_message(file->unpacked);
        vj_type type;
        vj_const constant;
        if (vj_tensor_constant(file, t, path, &type, &constant, error))
            tensor = tensor_of(arena, &type, &constant, error);
        if (tensor && name) *name = vj_strdup(arena, vj_text_of(t->name));
    }
    vj_onnx_close(file);
    return tensor;
}
