/* SPDX-License-Identifier: Apache-2.0 */
/* frontend.h - turns the bytes of an ONNX model into a function of the tensor level. Only this folder knows protobuf.
 *
 * onnx/     reads the file. wire.c walks the wire format before protobuf-c does: it checks nesting and lengths, and cuts
 *           large payloads out, so that protobuf-c unpacks a slim message and a weight is (file, offset, length). model.c
 *           opens the model: the slim message, external data, opsets.
 * import/   turns nodes into IR through import_table.def, which gives the builder of an ONNX op from an opset on. shapes.c
 *           computes the elements of small integer values as a * N + b, and so solves shape sub-graphs.
 * ops/, layers/   the builders, one group of ops a file
 */
#ifndef VITJIT_FRONTEND_FRONTEND_H
#define VITJIT_FRONTEND_FRONTEND_H

#include "ir/tensor/ir.h"

typedef struct vj_import_options {
    const vj_shape *shapes; /* sizes for dims that the model leaves open */
    int32_t shape_count;
    int64_t fixed_batch;             /* 0: an open batch stays N; else it becomes this constant */
    const char *const *also_outputs; /* value names that become outputs too */
    int32_t also_output_count;
    const vj_fixed_input *fixed; /* inputs that become constants; they stay inputs, with vj_func.required */
    int32_t fixed_count;
    const vj_fixed_input *offered; /* like `fixed`, but used only where a shape depends on the input's value */
    int32_t offered_count;
    int64_t picture[3]; /* channels, height, width for what a picture's input leaves open; 0: none */
    void (*warn)(void *self, const char *text); /* may be NULL */
    void *warn_self;
} vj_import_options;

/* What --inspect prints. It is filled as far as reading got, for unsupported models too. The arena owns the strings. */
typedef struct vj_model_facts {
    const char *producer; /* "pytorch 2.13.0" */
    const char *graph_name;
    int64_t ir_version, opset;
    int32_t node_count;
    int64_t parameters; /* elements of initializers */
    int64_t parameter_bytes;
    struct vj_io_fact {
        const char *name, *type; /* type: "f32[batch,3,224,224]", with the model's names of dims */
        bool is_open;            /* in more than the batch */
    } *inputs, *outputs;
    int32_t input_count, output_count;
    struct vj_metadata {
        const char *key, *value;
    } *metadata;
    int32_t metadata_count;
    struct vj_op_count {
        const char *op;
        int32_t count;
        bool supported;
    } *ops;
    int32_t op_count;
    struct vj_external_file { /* external data files in use, for the cache's file key */
        const char *name;     /* as written in the model, relative to the model's folder */
    } *external;
    int32_t external_count;
} vj_model_facts;

/* An opened model. The sources of its constants stay open until vj_onnx_close, or the arena is freed. */
typedef struct vj_onnx vj_onnx;

/* Returns whether `source` belongs to the model. *name becomes the name of the external data file, or NULL when it is
 * the model itself (a file or memory). */
bool vj_onnx_file_of(const vj_onnx *onnx, const vj_source *source, const char **name);

/* Opens and checks a model and fills `facts`. A model in memory cannot have external data; `name` is for messages. */
vj_onnx *vj_onnx_open(vj_arena *arena, const char *path, vj_model_facts *facts, vj_error *error);
vj_onnx *vj_onnx_open_memory(vj_arena *arena, const void *bytes, size_t size, const char *name, vj_model_facts *facts,
                             vj_error *error);
void vj_onnx_close(vj_onnx *onnx);
/* Imports the graph and verifies the function. Returns NULL on an error; the error of an unsupported model lists every
 * unsupported op with its nodes. */
vj_func *vj_import(vj_arena *arena, vj_onnx *onnx, const vj_import_options *options, vj_error *error);

/* Reads a TensorProto file of ONNX test data (input_0.pb). */
vj_tensor *vj_read_tensor_pb(vj_arena *arena, const char *path, const char **name, vj_error *error);

#endif
