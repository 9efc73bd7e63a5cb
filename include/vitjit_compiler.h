/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_compiler.h - what may be asked of the compiler: model file and options in, image and packed weights out. It is compiler/, the only folder that knows all the
 * others; built as a library of its own (libvitjit_compiler) that the runtime opens on a cache miss only.
 */
#ifndef VITJIT_COMPILER_H
#define VITJIT_COMPILER_H

#include "vitjit.h"
#include "vitjit_image.h"

/* Sizes of open dims, as in vj_options. */
typedef struct vj_shape_set {
    const vj_shape *shapes;
    int32_t count;
} vj_shape_set;

/* Sizes for what a picture's input leaves open and no shape gives; 0: none. */
typedef struct vj_picture_size {
    int64_t channels, height, width;
} vj_picture_size;

/* A compilation asked for. Strings are borrowed for the call. */
typedef struct vj_compile_request {
    const char *path;  /* the model file; with bytes: the name for messages */
    const void *bytes; /* NULL, or the model in memory */
    size_t bytes_size;
    const vj_options *options;
    int64_t fixed_batch; /* the batch to bake in when the graph cannot stay generic in it; 0: 1 */
    /* Values of inputs that may be taken where a shape needs one; those that are not needed stay open. */
    const vj_fixed_input *offered;
    int32_t offered_count;
    vj_picture_size picture;
    int32_t for_command; /* nonzero: hints of failures name the command's options, else members of vj_options */
    /* for tools */
    const char *print_after, *stop_after; /* as in passes.h; dumps go to stderr */
    int32_t print_rewrites;               /* a line a rewrite, to stderr */
    const char *const *disabled_passes;
    int32_t disabled_pass_count;
    int32_t pass_limit; /* -1: none */
    int32_t marks;      /* nonzero: code that says when each kernel begins and ends (vj_marked_args) */
    int32_t
        probe; /* nonzero: outputs more, VJ_PROBE_PREFIX: what products lose in smaller types (passes/precision/precision_probe.c) */
    /* NULL, or called when the model is open, before its graph is read: the bytes of its files of external data. */
    void (*opened)(void *self, int64_t external_bytes);
    void *opened_self;
} vj_compile_request;

#define VJ_PROBE_PREFIX "vitjit.probe."

/* Where packed weights go. `find` is asked first: it returns an open descriptor of a file with this digest that has been
 * checked, or -1; then `create` gives a new descriptor to write header and data to, and `commit` is told the outcome. */
typedef struct vj_weights_store {
    void *self;
    int (*find)(void *self, const uint64_t digest[2], int64_t bytes);
    int (*create)(void *self, const uint64_t digest[2], int64_t bytes);
    void (*commit)(void *self, const uint64_t digest[2], int descriptor, int32_t whole);
    /* Asked once the graph key is known: an image in the cache that can serve (malloc'ed copy), or NULL. */
    void *(*find_image)(void *self, const uint64_t graph_key[2], size_t *bytes);
} vj_weights_store;

/* Bytes of an image's scratch. */
typedef struct vj_gap {
    int64_t offset, bytes;
} vj_gap;

/* Bytes of a file whose digest (XXH3-128, low half first) is known. */
typedef struct vj_file_part {
    int64_t offset, length;
    uint64_t digest[2];
} vj_file_part;

typedef struct vj_model_file {
    char *name;          /* malloc'ed: of external data, as the model says it; NULL: the model file, or memory */
    vj_file_part *parts; /* malloc'ed, in their order, apart from one another */
    int32_t part_count;
} vj_model_file;

typedef struct vj_compiled {
    void *image; /* malloc'ed */
    size_t image_bytes;
    int weights_fd; /* open, owned by the receiver; -1 only of a library without weights */
    uint64_t graph_key[2];
    int32_t from_cache; /* find_image answered */
    /* Of an emitted library (vj_load): where in the file of weights_fd the packed bytes begin, and their digest; 0: the
     * file is one of packed weights, with its header. */
    int32_t from_library;
    int64_t weights_at;
    uint64_t weights_check[2];
    double compile_ms;
    vj_model_file *files; /* malloc'ed; the model's own, then those of external data in use */
    int32_t file_count;
    void *orc; /* with use_orc: keeps the code alive; freed by free_orc */
    vj_phase_fn orc_phase;
    vj_gap *gaps; /* with use_orc, built with AddressSanitizer: what no buffer has; malloc'ed */
    int32_t gap_count;
} vj_compiled;

typedef enum vj_emit_format { VJ_EMIT_OBJ, VJ_EMIT_ASM, VJ_EMIT_LL, VJ_EMIT_IR, VJ_EMIT_LIB } vj_emit_format;
/* What is asked of who knows pictures, which the compiler does not: a part of the header for these descriptors and this metadata (a JSON
 * object of strings). Its macros begin with `macros`, its functions with `prefix`. */
typedef struct vj_header_request {
    const vj_model *shapes;
    int32_t shape_count;
    const char *metadata, *prefix, *macros;
} vj_header_request;

#define VJ_OLD_FILE ".old"
typedef struct vj_emit_request {
    vj_emit_format what;
    /* NULL, or it gives C that the header contains (malloc'ed; NULL: nothing). */
    char *(*header_part)(void *self, const vj_header_request *x);
    void *header_self;
    /* One object for several shapes: of each set of sizes one program, which share their packed weights. 0: the options'. */
    const vj_shape_set *sets;
    int32_t set_count;
    /* One object for several CPUs of one machine: names of rows, each once. 0 or 1: the options'. */
    const char *const *cpus;
    int32_t cpu_count;
    const char *output;   /* -o: a file or a folder; NULL: the current folder, STEM.o */
    const char *prefix;   /* NULL: made from the model's file name */
    int32_t weights_file; /* 1: beside the object; 0: inside; -1: beside it above 64 MiB */
    const char *linker;   /* of VJ_EMIT_LIB: a command, its words parted by blanks; NULL: the target's cc */
    void (*wrote)(void *self, const char *path); /* NULL, or called for each file that is there now */
    void *wrote_self;
    /* NULL, or called before a file is begun: where it is to stand, and where it stands until all are whole. What it replaces has the
     * second name with VJ_OLD_FILE behind it meanwhile. */
    void (*making)(void *self, const char *path, const char *temporary);
    void *making_self;
} vj_emit_request;

/* The calls that read a model, by which they are named where they run in a process of their own. */
typedef enum vj_errand {
    VJ_ERRAND_COMPILE,
    VJ_ERRAND_EMIT,
    VJ_ERRAND_INSPECT,
    VJ_ERRAND_REPORT,
    VJ_ERRAND_EXPLAIN,
    VJ_ERRAND_CHECK,
    VJ_ERRAND_TENSOR
} vj_errand;

/* A tensor of ONNX test data. name and data are malloc'ed. */
typedef struct vj_read_data {
    char *name;
    vj_dtype dtype;
    int32_t rank;
    int64_t dims[VJ_MODEL_MAX_RANK];
    void *data;
    size_t bytes;
} vj_read_data;

/* A CPU that code can be made for. Strings are constants. */
typedef struct vj_target_info {
    const char *name, *triple;
    const char *parent;                       /* the best row that it has all features of; NULL: it is the baseline */
    char features[512];                       /* "+avx2,+fma": what it has beyond its parent */
    vj_cpu_variant cpu;                       /* all that it has */
    int32_t is_host;                          /* the best row for the CPU that this runs on */
    int32_t vector_bits, registers, is_fused; /* what code uses; multiplying and adding in one instruction */
    int32_t l1_bytes, l2_bytes;               /* that blocks are cut for */
} vj_target_info;

/* The library's one exported symbol: `const vj_compiler_api *vj_compiler_get(void)`. Texts of failures go to `error`
 * (at least 4096 bytes), the hint behind a newline and two blanks ("\n  hint: ..."). Strings returned are malloc'ed. */
#define VJ_COMPILER_API 9
typedef struct vj_compiler_api {
    int32_t version; /* VJ_COMPILER_API */
    const char *build_id, *llvm_version;
    vj_status (*compile)(const vj_compile_request *request, const vj_weights_store *store, vj_compiled *out,
                         char *error, size_t error_bytes);
    void (*free_orc)(void *orc);
    /* --emit-*: writes whole files or none; *summary is the line to print ("cc main.c vit.o -lm"). */
    vj_status (*emit)(const vj_compile_request *request, const vj_emit_request *emit, char **summary, char *error,
                      size_t error_bytes);
    /* --inspect and the introduction: a text; works on unsupported models too. */
    vj_status (*inspect)(const vj_compile_request *request, char **text, char *error, size_t error_bytes);
    /* --report: the text of what was fused. */
    vj_status (*report)(const vj_compile_request *request, char **text, char *error, size_t error_bytes);
    /* --report=FILE.html: the same and more as JSON (compiler/explain.c). */
    vj_status (*explain)(const vj_compile_request *request, char **text, char *error, size_t error_bytes);
    /* --check: compiles, runs each kernel on seeded inputs beside the evaluator; names the first that differs. */
    vj_status (*check)(const vj_compile_request *request, char **text, char *error, size_t error_bytes);
    /* An ONNX TensorProto file for --test. */
    vj_status (*read_tensor)(const char *path, vj_read_data *data, char *error, size_t error_bytes);
    /* GFLOP/s of multiply-adds in registers, on `threads` threads at once, the best of `seconds`; of the host's CPU when
     * `cpu` is NULL. */
    vj_status (*peak)(const char *cpu, int32_t threads, double seconds, double *gflops, char *error,
                      size_t error_bytes);
    /* GB/s that so many threads read from memory together, the best of `seconds`. */
    vj_status (*stream)(int32_t threads, double seconds, double *gbytes);
    /* `vitjit targets`: the i-th row, an architecture's baseline before its others; 0 when there is none. */
    int32_t (*target)(int32_t i, vj_target_info *info);
    /* The name of the row for LLVM's name of a CPU, or `native`; NULL: it is unknown. */
    const char *(*cpu)(const char *name);
    /* A CPU feature's VJ_CPU_* bit, by LLVM's name for it, and the bits of what it never comes without; 0: unknown. */
    uint64_t (*feature)(const char *name, size_t length, uint64_t *companions);
} vj_compiler_api;
__attribute__((visibility("default"))) const vj_compiler_api *vj_compiler_get(void);

#endif
