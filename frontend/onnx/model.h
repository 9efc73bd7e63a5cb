/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - an opened model: the unpacked message, its sources, and tensors as constants. Private to frontend/. */
#ifndef VITJIT_FRONTEND_ONNX_MODEL_H
#define VITJIT_FRONTEND_ONNX_MODEL_H

#include <string.h>

#include "frontend/frontend.h"
#include "onnx.pb-c.h"

enum { VJ_OPSET_OLDEST = 1, VJ_OPSET_NEWEST = 27, VJ_IR_VERSION_NEWEST = 13 };

typedef struct vj_unpacked vj_unpacked; /* unpack.c */

typedef struct vj_external {
    const char *name; /* as written in the model */
    vj_source *source;
} vj_external;

struct vj_onnx {
    vj_arena *arena;
    const char *path;  /* for messages */
    vj_source *source; /* of the model file itself */
    vj_unpacked *unpacked;
    const Onnx__ModelProto *model;
    const Onnx__GraphProto *graph;
    int64_t opset; /* of the default domain; 0 when the model gives none */
    bool in_memory;
    vj_external *externals;
    int32_t external_count, external_capacity;
};

/* unpack.c - protobuf-c with a memory budget. The message lives until vj_unpacked_free. */
vj_unpacked *vj_unpack(const ProtobufCMessageDescriptor *kind, const uint8_t *slim, size_t size, const char *path,
                       vj_error *error);
ProtobufCMessage *vj_unpacked_message(const vj_unpacked *unpacked);
void vj_unpacked_free(vj_unpacked *unpacked);

/* source.c - regular files as sources */
vj_source *vj_source_open(vj_arena *arena, const char *path, vj_error *error);
vj_source *vj_source_memory(vj_arena *arena, const char *path, const void *bytes, int64_t size);
void vj_source_close(vj_source *source);
/* Opens a file of external data. `name` is relative to the folder of `model_path` and must stay inside it. */
vj_source *vj_source_open_external(vj_arena *arena, const char *model_path, const char *name, vj_error *error);

/* inside.c - a descriptor of the file `name` below the folder; a link is followed where it leads to the folder too, or, in the Hub's cache,
 * to the blobs of the model's repository. -1 with errno: EXDEV where it leads out. `folder_opened`: whether the folder itself could be. */
int vj_open_inside(vj_arena *arena, const char *folder, const char *name, bool *folder_opened);

/* tensor.c - a TensorProto as a type and a constant. Every size is checked; `what` names the tensor in messages. */
vj_dtype vj_dtype_of_onnx(int32_t elem_type); /* VJ_NO_DTYPE when vitjit does not have the type */
const char *vj_onnx_dtype_name(int32_t elem_type);
bool vj_is_onnx_dtype(int32_t elem_type); /* whether ONNX has the type, supported or not */
bool vj_tensor_shape(const Onnx__TensorProto *t, const char *what, vj_type *type, int64_t *elements, vj_error *error);
bool vj_tensor_constant(vj_onnx *onnx, const Onnx__TensorProto *t, const char *what, vj_type *type, vj_const *constant,
                        vj_error *error) VJ_MUST_USE;

/* import/topological.c - sorts the nodes of all graphs and functions. Nodes of a cycle keep their order. */
void vj_sort_nodes(vj_arena *arena, Onnx__ModelProto *m);

/* import/facts.c */
void vj_fill_facts(vj_arena *arena, const vj_onnx *onnx, vj_model_facts *facts);

/* A message's string, of which an absent one is NULL. */
static inline const char *vj_text_of(const char *s) { return s ? s : ""; }
/* The default domain has two names, "" and "ai.onnx". */
static inline bool vj_is_default_domain(const char *domain) {
    return !*vj_text_of(domain) || strcmp(domain, "ai.onnx") == 0;
}

#endif
