/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_image.h - the image: compiled code with its plan, as the compiler writes it and the runtime maps it. Private to
 * the project (not installed).
 *
 * An image is one relocatable-free blob: this header, the tables it points to by offset, a string table, and the code at
 * a multiple of 4096, which is position-independent and complete (text and its read-only data together). All numbers are
 * the host's. Nothing in an image is trusted: vj_image_check validates every offset and size before use.
 */
#ifndef VITJIT_IMAGE_H
#define VITJIT_IMAGE_H

#include "vitjit_model.h"

#define VJ_IMAGE_MAGIC        0x31474d494a5456ULL /* "VTJIMG1" */
#define VJ_IMAGE_VERSION      7
#define VJ_IMAGE_CODE_ALIGN   4096
#define VJ_IMAGE_MOST_TENSORS 65536 /* inputs, or outputs with those that get dims */

typedef struct vj_image_tensor {
    uint32_t name; /* offset in the string table */
    int32_t dtype;
    int32_t rank;
    uint32_t value; /* 0, or 1 more than the offset in the values of what an input must be: bytes_per_image bytes */
    int64_t dims[VJ_MODEL_MAX_RANK]; /* as in vj_tensor_info */
    int64_t bytes_per_image;
    int64_t dims_output; /* as in vj_tensor_info */
} vj_image_tensor;

typedef struct vj_image_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    uint64_t bytes;    /* of the whole image */
    uint64_t check[2]; /* XXH3-128 of all that follows this field */
    uint64_t model_hash[2];
    uint64_t weights_digest[2]; /* names the packed weights' file, and is checked against its header */
    int64_t weights_bytes;
    int64_t scratch_fixed, scratch_per_image;
    int64_t lower_bound_bytes;
    int64_t max_batch;
    double flops_per_image;
    int32_t kernels, distinct_kernels;
    int32_t phase_count;
    int32_t cpu_rank;                 /* among CPUs that each have something of their own: vj_cpu_variant */
    uint64_t cpu_feature_bits;        /* VJ_CPU_* */
    int32_t precision, weight_format; /* vj_dtype: what products are computed in, how their weights were to be stored */
    uint32_t model_name, compiler, cpu; /* strings */
    uint32_t input_count, output_count;
    uint64_t inputs, outputs; /* offsets of vj_image_tensor arrays */
    /* The introduction, 0, the model's metadata as a JSON object, 0; of code with marks also its kernels as a JSON array, 0 */
    uint64_t notes, notes_bytes;
    uint64_t values, values_bytes;   /* what inputs must be */
    uint64_t symbols, symbols_bytes; /* a text, 0: a line "offset size name", in hexadecimal, a function of the code */
    uint64_t strings, strings_bytes; /* the last byte is 0 */
    uint64_t code, code_bytes;
    uint64_t
        phase_entry; /* offset in the code of: void phase(const vj_args *, int32_t phase, int32_t part, int32_t parts) */
} vj_image_header;

/* The one function the runtime calls. Phase 0 runs whole images: floor(n / parts) for each part, part p on scratch slot
 * p. Phases 1 .. phase_count run the n % parts images that are left, each on a scratch slot of its own, cut into parts
 * within the image. No phase waits inside; between phases all parts must have finished the one before. Scratch slot s
 * begins at scratch + scratch_fixed + s * scratch_per_image. */
typedef void (*vj_phase_fn)(const vj_args *args, int32_t phase, int32_t part, int32_t parts);

/* What the phases of code with marks (vj_compile_request.marks) are given: `mark` is called before a thread's share of a
 * kernel with begun = 0, and behind it with what it returned then and the units done. Other code reads `args` alone. */
typedef struct vj_marked_args {
    vj_args args;
    int64_t (*mark)(void *self, int32_t kernel, int64_t begun, int64_t units);
    void *self;
} vj_marked_args;

/* What vj_load takes of a shared library that --emit-lib wrote: one ELF note of this name and type for each image in it, in
 * any order. The bytes behind the note's name are this struct; places are addresses less
 * that of the struct, so that the linker has settled them and nothing is left to relocate. */
#define VJ_LIBRARY_NOTE    "vitjit"
#define VJ_LIBRARY_TYPE    1
#define VJ_LIBRARY_VERSION 1
#define VJ_LIBRARY_FILE    256
typedef struct vj_library_note {
    uint32_t version;          /* VJ_LIBRARY_VERSION */
    uint32_t abi;              /* VJ_MODEL_ABI */
    uint64_t model_hash[2];    /* the image's too */
    uint64_t weights_check[2]; /* vitjit_digest.h's of packed weights inside the library */
    int64_t image, weights;    /* weights 0: beside the library, or none */
    uint64_t image_bytes, weights_bytes;
    char weights_file[VJ_LIBRARY_FILE]; /* in the library's folder; "": none */
} vj_library_note;

/* Packed weights as a file: this header (padded to VJ_WEIGHTS_HEADER bytes), then weights_bytes of data. */
#define VJ_WEIGHTS_MAGIC  0x31544857544a56ULL /* "VJTWHT1" */
#define VJ_WEIGHTS_HEADER 4096
typedef struct vj_weights_header {
    uint64_t magic;
    uint64_t digest[2]; /* of (constants, recipe): the name, not of the packed bytes */
    int64_t bytes;
    uint64_t check[2]; /* vitjit_digest.h's of the packed bytes */
} vj_weights_header;

#endif
