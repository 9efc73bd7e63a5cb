/* SPDX-License-Identifier: Apache-2.0 */
/* compiler.h - the layer that knows all others: a model file and options in, an image or an object out.
 *
 * api.c       the library's one exported symbol, vj_compiler_get: the way in from the runtime. Each call it names is in a file below
 * compile.c   the way from a model file to an image, step by step; the unit, which all calls work on
 * precision.c what products are computed in: as it is asked of the passes, and told; calibration.c what was chosen with data
 * several.c   one opened model planned for several sets of sizes and several CPUs
 * hash.c      the graph key and the keys of weights; build.c this build's name, which is part of it
 * files.c     which bytes of the model's files it has the digests of
 * share.c     where the packed weights of several programs stand in one file, and its digest
 * pack.c      packed weights, written in blocks to a descriptor
 * describe.c  the descriptor of vitjit_model.h
 * image.c     the image's bytes
 * notes.c     the introduction and the metadata, which an image carries; kernels.c what a profile wants of its kernels
 * text.c      words of a model for others: names as terminals may see them, strings of JSON
 * orc.c       code through ORC, instrumented in sanitizers' builds
 * log.c       what a compilation tells of itself
 * inspect.c   --inspect and --report; explain.c what a page of --report=FILE.html shows
 * check.c     the compiled kernels beside the evaluator
 * tensor.c    tensors of ONNX test data
 * peak.c      the speed of this machine's multiply-adds and of its memory
 * emit/       objects, headers, shared libraries, assembly, LLVM and vitjit IR as files: emit/emit.h
 *
 * It may include all of ir, target, frontend, passes and backend. The runtime reaches it through include/vitjit_compiler.h alone.
 */
#ifndef VITJIT_COMPILER_COMPILER_H
#define VITJIT_COMPILER_COMPILER_H

#include "vitjit_compiler.h"

#include "backend/backend.h"
#include "frontend/frontend.h"
#include "ir/kernel/kernel.h"
#include "passes/passes.h"

/* One program of a model: everything lives in its arena. */
typedef struct vj_unit {
    const vj_compile_request *request;
    vj_shape_set sizes; /* of dims that the model leaves open */
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
    bool keyed;          /* the graph key is wanted; there is one when the unit is planned */
    struct vj_digests *digests;
    /* The programs that share their packed weights, this one among them, and of its buffers those that stand in the file for
     * the first time: whose bytes are made from this program. NULL, NULL: it is alone, and all do. */
    struct vj_unit *const *group;
    int32_t group_count;
    const bool *packs;
    const vj_calibration *calibration; /* or NULL */
    bool quiet;                        /* warnings have been said for another unit */
    double told_ms;                    /* when the last step was told */
    vj_error error;
} vj_unit;

/* compile.c */

/* A call of the library is one unit: work(u, self) on a new one, all of which is freed afterwards. The text of a failure goes to
 * error; where memory ends in the middle, that is the failure. */
vj_status vj_with_unit(const vj_compile_request *request, vj_status (*work)(vj_unit *u, void *self), void *self,
                       char *error, size_t error_bytes) VJ_MUST_USE;
vj_status vj_no_memory(vj_error *error); /* becomes VJ_SYSTEM, whatever it was */
/* The text and, below it, the hint. */
void vj_write_error(const vj_error *e, char *error, size_t error_bytes);

/* Chooses the target and opens the model. */
vj_status vj_unit_open(vj_unit *u);
/* Imports the opened model and runs the passes; a second time when the batch has to be fixed. */
vj_status vj_unit_plan(vj_unit *u);

vj_status vj_compile(const vj_compile_request *request, const vj_weights_store *store, vj_compiled *out, char *error,
                     size_t error_bytes);

/* log.c */

bool vj_is_told(const vj_compile_request *request, vj_log_level level);
void vj_warn(const vj_compile_request *request, const char *text);
/* VJ_LOG_INFO: a step, with the time since the one before. Units that are quiet tell nothing. */
void vj_tell(vj_unit *u, const char *format, ...) VJ_PRINTF(2, 3);
void vj_tell_pass(void *request, const vj_pass *pass, int64_t rewrites, double ms); /* VJ_LOG_DEBUG */

/* precision.c */

/* Sets the passes' options of precision and weights' format, in every case. */
vj_status vj_ask_precision(vj_unit *u, vj_pipeline_options *options);
/* Behind the passes. VJ_USAGE: a pattern of keep_f32 matched no product; VJ_BAD_INPUT: a layer of the calibration is none. */
vj_status vj_check_precision(vj_unit *u, const vj_pipeline_options *options);
/* "bf16, but f32 for 'head*'; weights of products in bf16 and f32" */
const char *vj_precision_text(vj_unit *u);

/* calibration.c: its strings and lists are in the unit's arena */
vj_status vj_read_calibration(vj_unit *u, const char *text, size_t bytes, const vj_calibration **calibration);
vj_status vj_check_layers(vj_unit *u, const vj_pipeline_options *options);

/* several.c */

/* Plans an opened model for each set of sizes and each target, shape-major: units[set * target_count + target]; the first
 * is `first`, the others live in its arena, and its error is that of any. They share one set of packed weights, which
 * vj_share_weights places. */
vj_status vj_plan_several(vj_unit *first, const vj_shape_set *sets, int32_t set_count, const vj_target *const *targets,
                          int32_t target_count, vj_unit *const **units);

/* describe.c: the model as the ABI describes it; in the unit's arena. Needs a planned unit. */
const vj_model *vj_describe(vj_unit *u, const char *name);
/* A descriptor for each shape of units as vj_plan_several has them, for whichever of their targets. */
const vj_model *vj_describe_shapes(vj_unit *const *units, int32_t shapes, int32_t targets, const char *name);
/* VJ_UNSUPPORTED: it needs more memory than the target's pointers reach. */
vj_status vj_fits_machine(vj_unit *u);
double vj_flops_per_image(const vj_program *p);
/* The value that an input must have (vj_func.required): bytes in memory, or NULL. */
const uint8_t *vj_required_value(const vj_unit *u, int32_t input, int64_t *bytes);

/* hash.c */

/* Canonical: names of nodes and constants, doc strings and the producer do not count; names of inputs and outputs do.
 * Begun before the passes change the function; constants are hashed by other threads until the key is asked for. */
vj_status vj_graph_key_begin(vj_unit *u);
vj_status vj_graph_key(vj_unit *u);
/* Names what a weight's packed bytes are made of and how: equal keys, equal bytes. */
typedef struct vj_weight_key {
    uint64_t half[2];
} vj_weight_key;
/* keys[i] of buffer i, where that is a weight. */
vj_status vj_weight_keys(vj_unit *u, vj_weight_key *keys);
/* How many constants were hashed, and where the i-th stands in its source. */
int32_t vj_digest_count(const vj_unit *u);
const vj_source *vj_digested_part(const vj_unit *u, int32_t i, vj_file_part *part);
/* Have the model's files stayed as they were when they were hashed? */
vj_status vj_sources_unchanged(vj_unit *u);

/* files.c: out->files. */
vj_status vj_list_files(vj_unit *u, vj_compiled *out);

/* share.c */

/* Gives the packed weights of all programs of the unit's group (of the unit's own, when it is alone) their places in one
 * file, equal ones once, and all of them that file's digest. */
vj_status vj_share_weights(vj_unit *u);

/* pack.c */

/* Writes header and packed weights through the descriptor, which becomes VJ_WEIGHTS_HEADER + weights_bytes long:
 * of the unit's group. */
vj_status vj_pack_weights(vj_unit *u, int descriptor, int32_t threads);

/* image.c */
vj_status vj_write_image(vj_unit *u, const vj_bytes *code, uint64_t entry, const vj_codegen_stats *stats, void **image,
                         size_t *bytes);

/* orc.c */

/* `object` is the planned program's. Fills orc, orc_phase and gaps. */
vj_status vj_load_by_orc(vj_unit *u, const vj_bytes *object, vj_compiled *out);

/* notes.c */

/* What a model is, in lines. Of a unit that is not planned: what is known of the file. */
char *vj_introduction(vj_unit *u);
char *vj_metadata_json(vj_unit *u); /* an object of strings */
/* The introduction, 0, the metadata as a JSON object, 0; of code with marks the kernels, 0. */
char *vj_notes(vj_unit *u, size_t *bytes);
/* `attention 12 of 12, ...` */
char *vj_fused_text(vj_unit *u);

/* text.c: a name of the model; what would disturb a terminal becomes a question mark. */
const char *vj_shown(vj_arena *arena, const char *name);
/* A string of JSON in its quotes. Bytes that are no UTF-8 become U+FFFD, so that the text is always valid. */
void vj_add_json_string(vj_text *out, const char *text);

/* build.c: the version and the GNU build-id of the library that holds this code. */
const char *vj_build_id(void);

/* kernels.c: the planned kernels as a JSON array, as docs/cli.md describes it. */
char *vj_kernels_json(vj_unit *u);

/* peak.c: see vj_compiler_api */
vj_status vj_peak(const char *cpu, int32_t threads, double seconds, double *gflops, char *error, size_t error_bytes);

/* emit/emit.c, inspect.c, check.c, tensor.c: see vj_compiler_api */
vj_status vj_emit_files(const vj_compile_request *request, const vj_emit_request *emit, char **summary, char *error,
                        size_t error_bytes);
vj_status vj_inspect(const vj_compile_request *request, char **text, char *error, size_t error_bytes);
vj_status vj_report_text(const vj_compile_request *request, char **text, char *error, size_t error_bytes);
vj_status vj_explain(const vj_compile_request *request, char **text, char *error, size_t error_bytes);
/* explain.c: of a planned unit, in its arena */
char *vj_explanation(vj_unit *u);

/* peak.c: GB/s that `threads` threads read together, the best of `seconds` */
vj_status vj_stream(int32_t threads, double seconds, double *gbytes);
vj_status vj_check(const vj_compile_request *request, char **text, char *error, size_t error_bytes);
vj_status vj_read_tensor(const char *path, vj_read_data *data, char *error, size_t error_bytes);

#endif
