/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit.h - run vision transformers (ONNX) as native code.
 *
 *     vj_options opt;
 *     vj_options_init(&opt);
 *     vj_model *m;
 *     if (vj_compile_file("vit.onnx", &opt, &m) != VJ_OK) { puts(vj_error_message()); ... }
 *     vj_session *x;
 *     vj_session_create(m, &x);
 *     vj_bind_input(x, "image", pixels, sizeof pixels, VJ_F32, (int64_t[]){1, 3, 224, 224}, 4);
 *     vj_bind_output(x, 0, logits, sizeof logits);
 *     vj_run(x);
 *
 * No function exits or aborts. Every function that can fail returns a status; vj_error_message() has the text. A model
 * is immutable and may be shared between threads; a session belongs to one thread at a time. Every object has one
 * owner, who frees it with the function of the same family.
 */
#ifndef VITJIT_H
#define VITJIT_H

#include "vitjit_model.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* The values are the exit statuses of the command line. */
typedef enum vj_status {
    VJ_OK = 0,
    VJ_USAGE = 1,       /* the caller asked for something that makes no sense */
    VJ_BAD_INPUT = 2,   /* the model or an input is bad */
    VJ_UNSUPPORTED = 3, /* the model is valid, but vitjit cannot compile it */
    VJ_DIFFERS = 4,     /* a compared result differs */
    VJ_SYSTEM = 5       /* the machine failed us: no memory, no disk, a missing library */
} vj_status;

typedef struct vj_session vj_session;

/* A size for an input whose dims the model leaves open: `NAME=1x3x224x224` on the command line. Code is generic in the
 * batch, whatever its size here, where the graph can be; VJ_BATCH_DIM, `NAME=Nx3x224x224`, insists on that. Shapes that
 * differ in open first dims give each input a batch of its own: of the size here, or N for VJ_BATCH_DIM. */
#define VJ_BATCH_DIM (-1)
typedef struct vj_shape {
    const char *name;
    int32_t rank;
    int64_t dims[VJ_MODEL_MAX_RANK];
} vj_shape;

/* A value for an input, dense and in the machine's byte order: it becomes part of the program. Wanted where a value
 * decides shapes (axes of a reduction, a target of Reshape, pads); compiling says which inputs those are. The input stays
 * one of the model's: it is bound like any other, and a run with another value is refused. At most VJ_FIXED_BYTES. */
typedef struct vj_fixed_input {
    const char *name;
    vj_dtype dtype;
    int32_t rank;
    int64_t dims[VJ_MODEL_MAX_RANK];
    const void *data;
    size_t bytes;
} vj_fixed_input;
#define VJ_FIXED_BYTES 65536

/* VJ_LOG_WARNING: what a caller should know. VJ_LOG_INFO: the steps of a compilation, with what they found and the time they
 * took. VJ_LOG_DEBUG: each pass. */
typedef enum vj_log_level { VJ_LOG_ERROR, VJ_LOG_WARNING, VJ_LOG_INFO, VJ_LOG_DEBUG } vj_log_level;

/* Weights of attentions, softmax(q k^T ..), as further outputs: `vitjit.attention.LL` in the order of the layers, with
 * `.HxW+F` behind it where the keys are the places of a picture of H x W patches behind F other tokens. */
typedef enum vj_keep_attention {
    VJ_KEEP_NO_ATTENTION,
    VJ_KEEP_ATTENTION,     /* whole: [N,heads,queries,keys] */
    VJ_KEEP_ATTENTION_ROWS /* [N,heads,1,keys]: of the first token's query when there are tokens before the patches, else
                            * the mean over the queries */
} vj_keep_attention;
#define VJ_ATTENTION_PREFIX "vitjit.attention."

/* Options of compilation and of running. Set by vj_options_init, then change what you need. Strings and arrays are
 * borrowed for the call only. */
typedef struct vj_options {
    size_t size;     /* sizeof(vj_options), set by vj_options_init: lets older callers meet newer libraries */
    int32_t threads; /* of a run; 0: as many as the process may use (affinity mask and cgroup quota) */
    const vj_threads *scheduler; /* NULL: the library's own pool; else borrowed for the life of the model */
    const char *cpu;             /* NULL: the host's CPU; else a name that `vitjit targets` lists */
    const char *cache;           /* NULL: the default folder; "": no cache; else a folder */
    const vj_shape
        *shapes; /* a graph that mixes a batch's images is compiled for the first shape's first dim, else 1 */
    int32_t shape_count;
    const char *const *also_outputs; /* names of further values of the graph that become outputs */
    int32_t also_output_count;
    int32_t use_orc; /* nonzero: load code through LLVM's ORC instead of the library's own loader */
    void (*log)(void *self, vj_log_level level, const char *text); /* NULL: silent; one line, without its end */
    void *log_self;
    int32_t (*cancel)(void *self); /* NULL, or asked between steps of compilation: nonzero stops it with VJ_SYSTEM */
    void *cancel_self;
    const vj_fixed_input *fixed; /* another value of these inputs is another program; packed weights are shared */
    int32_t fixed_count;
    int32_t keep_attention; /* vj_keep_attention */
    vj_dtype
        precision; /* what products are computed in: VJ_F32 (VJ_NO_DTYPE), VJ_BF16, VJ_I8 (those with weights; others in bf16) */
    /* How weights of products are stored. VJ_NO_DTYPE and VJ_F32: as the model has them, 16-bit ones in 16 bits. VJ_F16 and
     * VJ_BF16: rounded. VJ_I8 and VJ_I4: in blocks of integers with a scale each. */
    vj_dtype weight_format;
    /* Patterns as fnmatch(3) takes them, of names of nodes: their products stay in float32 with weights as the model has
     * them. One that matches no product is VJ_USAGE, and so are patterns where neither the options above nor the model asks for less. */
    const char *const *keep_f32;
    int32_t keep_f32_count;
    int32_t log_level; /* vj_log_level: what `log` is told of; below VJ_LOG_WARNING: warnings */
    /* Of VJ_I8: the text of a calibration, as `vitjit --calibration-data` writes it, or NULL. One of another model is VJ_BAD_INPUT. */
    const char *calibration;
    size_t calibration_bytes;
    /* What compiling may take: bytes of memory, seconds by the clock. 0: as the model's size allows (docs/c-api.md); below 0:
     * no limit. Beyond it is VJ_SYSTEM. */
    int64_t max_memory;
    double max_seconds;
    /* 0: a model is compiled by a process of its own (vitjit-compile), whose end by a crash or a limit is VJ_SYSTEM. Nonzero: in
     * the caller's, which LLVM aborts when memory ends; the limits do not hold there. So it is with use_orc. */
    int32_t in_process;
    int32_t reserved;
} vj_options;

void vj_options_init(vj_options *options);

/* Everywhere below: a null handle is VJ_USAGE; functions without a status answer 0, "" or VJ_NO_DTYPE for a null handle
 * or an index that is out of range. */

/* Compiles a model, or finds it in the cache. NULL options are the defaults. The model is the caller's: vj_model_free. */
vj_status vj_compile_file(const char *path, const vj_options *options, vj_model **model);
/* The same from memory; external data is refused. `bytes` is borrowed for the call. */
vj_status vj_compile_memory(const void *bytes, size_t size, const vj_options *options, vj_model **model);
/* A model compiled ahead of time: the shared library that `vitjit --emit-lib` wrote, with its weights inside or beside it.
 * Its file is read and checked (whole, this version's ABI, this machine's CPU) before any of its code can be executed; the
 * library's constructors, if a linker put any there, never run. Of the options `threads`, `scheduler` and `log` count; one
 * that would change the program is VJ_USAGE. The file must not be changed while the model is used. */
vj_status vj_load(const char *path, const vj_options *options, vj_model **model);
void vj_model_free(vj_model *model);

/* Sizes as they come: one model file, compiled for the shapes of its inputs as they are met, each found in the cache, or
 * compiled, the first time. Its models share one set of packed weights where their bytes are the same, and one pool of
 * threads. Any thread may ask at any time. */
typedef struct vj_family vj_family;
/* The sizes of a dim of an input that is open: least, least + step and so on, at most `most`. */
typedef struct vj_range {
    const char *input;
    int32_t dim;
    int32_t reserved;
    int64_t least, most, step;
} vj_range;
/* Reads no file yet. Without ranges any sizes will do. The options, their shapes among them, stand for all of its models;
 * what they point to, and the ranges' names, are borrowed until vj_family_free. */
vj_status vj_family_open(const char *path, const vj_options *options, const vj_range *ranges, int32_t count,
                         vj_family **family);
/* The model for inputs of these shapes (of others the options' shapes hold): the family's, there until vj_family_free. A
 * size outside of its range, or between two of its sizes, is VJ_BAD_INPUT. */
vj_status vj_family_model(vj_family *family, const vj_shape *shapes, int32_t count, vj_model **model);
/* Rounds sizes up to the next of their ranges, in place: for callers whose models do not mind zeros behind an input. */
vj_status vj_family_round_up(const vj_family *family, vj_shape *shapes, int32_t count);
/* Behind the sessions of its models. */
void vj_family_free(vj_family *family);

/* Inputs and outputs; i from 0 to count - 1. A dim that grows with the batch is given for a batch of `n` (one that no int64_t
 * holds as INT64_MAX). Names are the model's, borrowed from it. vj_input_find returns -1 when there is no such input. */
int32_t vj_input_count(const vj_model *model);
int32_t vj_output_count(const vj_model *model);
const char *vj_input_name(const vj_model *model, int32_t i);
const char *vj_output_name(const vj_model *model, int32_t i);
int32_t vj_input_find(const vj_model *model, const char *name);
vj_dtype vj_input_dtype(const vj_model *model, int32_t i);
vj_dtype vj_output_dtype(const vj_model *model, int32_t i);
int32_t vj_input_shape(const vj_model *model, int32_t i, int64_t n, int64_t dims[VJ_MODEL_MAX_RANK]); /* the rank */
/* Dims that the data decides are given at their most. */
int32_t vj_output_shape_of(const vj_model *model, int32_t i, int64_t n, int64_t dims[VJ_MODEL_MAX_RANK]);

/* The value that input i must have, as vj_options.fixed gave it (bytes of its shape); NULL: any. The model's. */
const void *vj_input_fixed_value(const vj_model *model, int32_t i);

/* The model's metadata_props as a JSON object; "{}" when it has none. */
const char *vj_model_metadata(const vj_model *model);

/* Memory, known before the first run: bytes of packed weights (shared by all sessions and processes) and of the arena
 * that one session needs for a batch of n. */
vj_status vj_plan_bytes(const vj_model *model, int64_t n, int64_t *weights, int64_t *arena);

/* Facts about a compiled model, for tools. */
typedef struct vj_model_stats {
    size_t size; /* sizeof(vj_model_stats), set by the caller */
    double flops_per_image;
    int64_t weights_bytes;
    int64_t arena_bytes; /* per image */
    int64_t arena_lower_bound_bytes;
    int32_t kernels;
    int32_t distinct_kernels;
    double compile_ms; /* 0 on a cache hit */
    int32_t cache_hit;
    const char *cpu;                   /* borrowed from the model */
    vj_dtype precision, weight_format; /* as vj_options has them, never VJ_NO_DTYPE */
} vj_model_stats;
vj_status vj_model_get_stats(const vj_model *model, vj_model_stats *stats);

/* A session owns the scratch memory of one caller. */
/* Sessions of one model may run at once; one of them has the pool's threads, the others run on their caller's alone. */
vj_status vj_session_create(vj_model *model, vj_session **session);
void vj_session_free(vj_session *session);

/* Binds the caller's memory; nothing is copied, it must stay until the run is over. Every input must agree on the
 * batch. Data must be aligned to its element. */
vj_status vj_bind_input(vj_session *session, const char *name, const void *data, size_t bytes, vj_dtype dtype,
                        const int64_t *dims, int32_t rank);
/* The bytes output i needs for the batch that the bound inputs have; the most when the data decides its size. */
size_t vj_output_bound(const vj_session *session, int32_t i);
vj_status vj_bind_output(vj_session *session, int32_t i, void *data, size_t bytes);
/* Runs once. No allocation, no lock and no system call but the pool's own waiting. */
vj_status vj_run(vj_session *session);
/* Dims of output i after the last run, the true ones where the data decides them; returns the rank. */
int32_t vj_output_shape(const vj_session *session, int32_t i, int64_t dims[VJ_MODEL_MAX_RANK]);

/* The text of this thread's last failure; never NULL. */
const char *vj_error_message(void);
/* "0.1.0" */
const char *vj_version(void);
/* Bytes of one element; 0 for VJ_NO_DTYPE. "f32" and so on. */
size_t vj_dtype_bytes(vj_dtype dtype);
const char *vj_dtype_name(vj_dtype dtype);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
