/* backend.h - planned programs become object code. Only this folder knows LLVM.
 *
 * emit.h      the few verbs that generators use: loops, vector loads and stores, fma, reductions
 * vmath.c     exp, log, erf, tanh, gelu, ... on vectors, with stated error bounds
 * expr.c      scalar expressions (xops.def) on vectors or scalars
 * gen_gemm.c, gen_attention.c, gen_nest.c   one generator a kernel kind: carry a schedule out
 * driver.c    the model's driver: phases, and for objects model, init, run, run_on
 * object.c    passes, code generation on all cores, kernels deduplicated by the hash of their IR
 * link.c      resolves an object's PC-relative relocations into an image's code
 * orc.c       the same object through LLVM's ORC: the differential check
 */
#ifndef VITJIT_BACKEND_BACKEND_H
#define VITJIT_BACKEND_BACKEND_H

#include "ir/kernel.h"
#include "target/schedule.h"

typedef struct vj_bytes {
    uint8_t *at; /* malloc'ed; the receiver frees it by vj_bytes_free */
    size_t size;
} vj_bytes;
void vj_bytes_free(vj_bytes *bytes);

typedef enum vj_emit_kind { VJ_EMIT_OBJECT, VJ_EMIT_ASSEMBLY, VJ_EMIT_LLVM } vj_emit_kind;

/* What an emitted object's descriptor says beyond the program (DESIGN: the ABI of objects). */
typedef struct vj_object_abi {
    const char *prefix;         /* "vit": vit_model, vit_init, vit_run, vit_run_on, vit_phase */
    const vj_model *model;      /* every field but cpu_feature_bits is copied into the object */
    const void *weights;        /* packed weights to put into the object; NULL: the caller passes them to init */
} vj_object_abi;

typedef struct vj_codegen_options {
    const vj_target *target;
    vj_emit_kind kind;
    const vj_object_abi *abi; /* NULL: an image's code: one global symbol, vj_phase */
    int32_t threads;          /* of code generation; 0: all */
    bool sanitize_address, sanitize_thread;
} vj_codegen_options;

typedef struct vj_codegen_stats {
    int32_t kernels, distinct_kernels;
} vj_codegen_stats;

/* Code for a planned program. For threads > 1 the parts are merged: the result is one relocatable object. */
vj_status vj_generate(const vj_program *p, const vj_codegen_options *options, vj_bytes *out, vj_codegen_stats *stats,
                      vj_error *error);

/* The code of an object as one position-independent blob: loadable sections laid out, PC-relative relocations applied.
 * Any other relocation, and any undefined symbol, is refused. *entry is the offset of `symbol`. */
vj_status vj_link_code(const vj_bytes *object, const char *symbol, vj_bytes *code, uint64_t *entry, vj_error *error);

/* The same object through ORC; the function pointer lives until vj_orc_free. */
typedef struct vj_orc vj_orc;
vj_orc *vj_orc_load(const vj_bytes *object, const char *symbol, void **function, vj_error *error);
void vj_orc_free(vj_orc *orc);

const char *vj_llvm_version(void); /* "19.1.7" */

#endif
