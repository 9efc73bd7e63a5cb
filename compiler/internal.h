/* internal.h - what the files of compiler/ share.
 *
 * compile.c   the way from a model file to an image, and the request's options
 * describe.c  the descriptor of vitjit_model.h
 * hash.c      the graph key and the packed weights' digest
 * pack.c      packed weights, written in blocks to a descriptor
 * image.c     the image's bytes
 * emit.c      objects, headers, assembly, LLVM and vitjit IR as files
 * inspect.c   the introduction, --inspect, --report
 * check.c     kernels beside the evaluator
 * api.c       the library's one exported symbol
 */
#ifndef VITJIT_COMPILER_INTERNAL_H
#define VITJIT_COMPILER_INTERNAL_H

#include "vitjit_compiler.h"

#include "backend/backend.h"
#include "frontend/frontend.h"
#include "ir/kernel.h"
#include "passes/passes.h"

/* One compilation: everything lives in its arena. */
typedef struct vj_unit {
    const vj_compile_request *request;
    vj_arena *arena;
    vj_onnx *onnx;
    vj_model_facts facts;
    const vj_target *target;
    vj_func *f;
    vj_program *program;
    vj_report report;
    uint64_t graph_key[2];
    uint64_t weights_digest[2];
    int64_t fixed_batch; /* 0: the code is generic in the batch */
    vj_error error;
} vj_unit;

/* compile.c */

/* How far a unit is taken. */
typedef enum vj_stop { VJ_STOP_OPENED, VJ_STOP_IMPORTED, VJ_STOP_PLANNED } vj_stop;
/* Runs `work` on a unit that was taken that far; cleans up, also when memory ends. The text of a failure goes to error.
 */
vj_status vj_with_unit(const vj_compile_request *request, vj_stop stop, vj_status (*work)(vj_unit *u, void *self),
                       void *self, char *error, size_t error_bytes);
vj_status vj_take_unit(vj_unit *u, vj_stop stop);
void vj_warn(const vj_compile_request *request, const char *text);

vj_status vj_compile(const vj_compile_request *request, const vj_weights_store *store, vj_compiled *out, char *error,
                     size_t error_bytes);

/* describe.c: the model as the ABI describes it; in the unit's arena. Needs a planned unit. */
const vj_model *vj_describe(vj_unit *u, const char *name);

/* hash.c */

/* Canonical: names of nodes and constants, doc strings and the producer do not count; names of inputs and outputs do.
 */
vj_status vj_graph_key(vj_unit *u);
vj_status vj_weights_digest(vj_unit *u);

/* pack.c */

/* Writes header and packed weights through the descriptor, which becomes VJ_WEIGHTS_HEADER + weights_bytes long. */
vj_status vj_pack_weights(vj_unit *u, int descriptor, int32_t threads);

/* image.c */
vj_status vj_write_image(vj_unit *u, const vj_bytes *code, uint64_t entry, const vj_codegen_stats *stats, void **image,
                         size_t *bytes);
/* The introduction's lines and the metadata, as the image's notes; in the unit's arena. */
char *vj_notes(vj_unit *u);

#endif
