/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_model.h - the small ABI between compiled model code and whoever calls it.
 *
 * The same text is embedded in every header that `vitjit --emit-obj` writes, so a program that links an emitted
 * object needs no other file. Everything here is plain data, and words for it: no allocation, no globals, no library.
 */
#ifndef VITJIT_MODEL_H
#define VITJIT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VJ_MODEL_ABI      4
#define VJ_MODEL_MAX_RANK 8

/* Element types. Sizes in bytes: 4 8 2 2 1 1 2 2 4 4 8 8 1. */
typedef enum vj_dtype {
    VJ_NO_DTYPE = 0,
    VJ_F32,
    VJ_F64,
    VJ_F16,
    VJ_BF16,
    VJ_I8,
    VJ_U8,
    VJ_I16,
    VJ_U16,
    VJ_I32,
    VJ_U32,
    VJ_I64,
    VJ_U64,
    VJ_BOOL,
    VJ_DTYPE_COUNT,
    VJ_I4 = 32 /* no type of tensors: weights may be stored so (vj_options.weight_format) */
} vj_dtype;

/* One input or output: dense, row-major. A dim that grows with the batch is negative: -c stands for c * N. */
typedef struct vj_tensor_info {
    const char *name;
    int32_t dtype; /* vj_dtype */
    int32_t rank;
    int64_t dims[VJ_MODEL_MAX_RANK];
    int64_t bytes_per_image; /* of one image; of the whole tensor when no dim grows with the batch */
    /* Of an output whose size the data decides: 1 more than the output, an i64[rank], to which the run writes its dims.
     * The dims above are then the most they can be, the memory has room for that, and the tensor is dense in the dims
     * written. Else 0. */
    int64_t dims_output;
} vj_tensor_info;

/* CPU features that an object can demand beyond its architecture's baseline, a bit each: the CPU has the instructions, and
 * the operating system saves their registers. Bits from 0 are x86-64's, bits from 40 aarch64's,
 * bits from 48 RISC-V's. */
#define VJ_CPU_SSE3       (UINT64_C(1) << 0)
#define VJ_CPU_SSSE3      (UINT64_C(1) << 1)
#define VJ_CPU_SSE41      (UINT64_C(1) << 2)
#define VJ_CPU_SSE42      (UINT64_C(1) << 3)
#define VJ_CPU_POPCNT     (UINT64_C(1) << 4)
#define VJ_CPU_CX16       (UINT64_C(1) << 5)
#define VJ_CPU_LAHF       (UINT64_C(1) << 6)
#define VJ_CPU_AVX        (UINT64_C(1) << 7)
#define VJ_CPU_AVX2       (UINT64_C(1) << 8)
#define VJ_CPU_BMI1       (UINT64_C(1) << 9)
#define VJ_CPU_BMI2       (UINT64_C(1) << 10)
#define VJ_CPU_F16C       (UINT64_C(1) << 11)
#define VJ_CPU_FMA        (UINT64_C(1) << 12)
#define VJ_CPU_LZCNT      (UINT64_C(1) << 13)
#define VJ_CPU_MOVBE      (UINT64_C(1) << 14)
#define VJ_CPU_AVX512F    (UINT64_C(1) << 15)
#define VJ_CPU_AVX512BW   (UINT64_C(1) << 16)
#define VJ_CPU_AVX512CD   (UINT64_C(1) << 17)
#define VJ_CPU_AVX512DQ   (UINT64_C(1) << 18)
#define VJ_CPU_AVX512VL   (UINT64_C(1) << 19)
#define VJ_CPU_AVX512BF16 (UINT64_C(1) << 20)
#define VJ_CPU_SSE4A      (UINT64_C(1) << 21) /* AMD's alone */
#define VJ_CPU_AMX_TILE   (UINT64_C(1) << 22)
#define VJ_CPU_AMX_BF16   (UINT64_C(1) << 23)
#define VJ_CPU_AMX_INT8   (UINT64_C(1) << 24)
#define VJ_CPU_AVX512VNNI (UINT64_C(1) << 25) /* dot products of 8-bit integers */
#define VJ_CPU_AVXVNNI    (UINT64_C(1) << 26) /* the same with AVX2 */
#define VJ_CPU_AVX512VBMI (UINT64_C(1) << 27) /* permutations of bytes */
#define VJ_CPU_NEON_BF16  (UINT64_C(1) << 40) /* FEAT_BF16: dot products of bfloat16 */
#define VJ_CPU_NEON_I8MM  (UINT64_C(1) << 41) /* FEAT_I8MM: of 8-bit integers, unsigned by signed */
#define VJ_CPU_RVV        (UINT64_C(1) << 48) /* vectors 1.0 */
/* The x86-64 psABI's levels, each with all of the one before. */
#define VJ_CPU_X86_64_V2                                                                                               \
    (VJ_CPU_SSE3 | VJ_CPU_SSSE3 | VJ_CPU_SSE41 | VJ_CPU_SSE42 | VJ_CPU_POPCNT | VJ_CPU_CX16 | VJ_CPU_LAHF)
#define VJ_CPU_X86_64_V3                                                                                               \
    (VJ_CPU_X86_64_V2 | VJ_CPU_AVX | VJ_CPU_AVX2 | VJ_CPU_BMI1 | VJ_CPU_BMI2 | VJ_CPU_F16C | VJ_CPU_FMA |              \
     VJ_CPU_LZCNT | VJ_CPU_MOVBE)
#define VJ_CPU_X86_64_V4                                                                                               \
    (VJ_CPU_X86_64_V3 | VJ_CPU_AVX512F | VJ_CPU_AVX512BW | VJ_CPU_AVX512CD | VJ_CPU_AVX512DQ | VJ_CPU_AVX512VL)
/* All that needs tiles, which Linux gives a process on request alone: an object's init makes the request where the object has
 * code that needs them and the CPU has them. Refused, they are not there. */
#define VJ_CPU_AMX (VJ_CPU_AMX_TILE | VJ_CPU_AMX_BF16 | VJ_CPU_AMX_INT8)
/* For init_as: the features that the CPU is found to have. */
#define VJ_CPU_ASK UINT64_MAX

/* A kind of CPU that there is code for. Of those that a CPU can run, init takes one that uses all that the others do; where
 * two have each something that the other lacks, the one of higher rank. */
typedef struct vj_cpu_variant {
    const char *name;  /* as `vitjit targets` has it */
    uint64_t features; /* VJ_CPU_*: a CPU that lacks one cannot run the code */
    int32_t rank;
    int32_t reserved;
} vj_cpu_variant;

/* What a compiled model is. Immutable; lives as long as its code. An object for inputs of several shapes has one for each:
 * they differ in the inputs, the outputs, the scratch memory and the phases. */
typedef struct vj_model {
    uint32_t abi;         /* VJ_MODEL_ABI */
    uint32_t header_size; /* sizeof(vj_model) of the writer */
    const char *name;
    const char *compiler; /* vitjit's version */
    const char *cpu;      /* the CPUs the code was made for, in words */
    uint64_t hash[2];     /* of the graph with its weights, XXH3-128 */
    int32_t input_count;
    int32_t output_count;
    const vj_tensor_info *inputs;
    const vj_tensor_info *outputs;
    int64_t weights_bytes;     /* the packed weights */
    int64_t weights_alignment; /* bytes; also of scratch */
    int64_t scratch_fixed;     /* scratch(n, in_flight) = fixed + min(n, in_flight) * per_image, bytes, on any CPU */
    int64_t scratch_per_image;
    int64_t max_batch; /* 1 when the batch is baked into the graph */
    int32_t phase_count;
    int32_t cpu_count;
    const vj_cpu_variant *cpus;    /* in any order */
    const struct vj_model *shapes; /* all of them, this one too; the object's PREFIX_model is the first */
    int32_t shape_count;
    int32_t reserved;
    uint64_t weights_digest[2]; /* stands in the header of the packed weights' file; init compares */
} vj_model;

/* The caller's threads. `run` calls task(arg, part) once for every part in [0, parts) and returns when all have
 * returned. Without a barrier it may use as many threads as it likes, in any order, even one after another: the model
 * then makes one call a phase, and tasks of one call never wait for one another. With a barrier, `run` must run all
 * parts at the same time, each on a thread of its own; the model then makes one call a run, and every part calls
 * barrier(self, part) between phases. */
typedef struct vj_threads {
    void *self;
    int32_t parts; /* >= 1: into how many parts to cut the work */
    void (*run)(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts);
    void (*barrier)(void *self, int32_t part); /* or NULL */
} vj_threads;

/* What one run's phases read. Filled by run and run_on; a caller with a scheduler of its own may fill it too. */
typedef struct vj_args {
    const void *const *inputs; /* input_count pointers, each to n images */
    void *const *outputs;
    const void *weights;
    void *scratch;
    int64_t n;       /* images */
    int64_t variant; /* the context's */
} vj_args;

/* A model, for inputs of one shape, bound to its weights and the CPU. The caller owns it; init fills it; it is read-only afterwards. */
typedef struct vj_context {
    const vj_model *model;
    const void *weights;
    int64_t variant; /* of the code: the shape's number * cpu_count + the number in cpus */
    int64_t reserved;
} vj_context;

/* Status of init and run of an emitted object. */
enum {
    VJ_RUN_OK = 0,
    VJ_RUN_BAD_ARGUMENT = 1, /* a null pointer, n < 1 or n > max_batch, a misaligned pointer, no such shape */
    VJ_RUN_BAD_WEIGHTS = 2,  /* not this model's packed weights, or truncated */
    VJ_RUN_BAD_CPU = 3,      /* the CPU lacks what the code needs, for each of the CPUs it was made for */
    VJ_RUN_BAD_VALUE = 4     /* an input has another value than the one that the code was made for */
};

/* The same in words; never NULL. */
static inline const char *vj_run_status_text(int status) {
    switch (status) {
    case VJ_RUN_OK:
        return "done";
    case VJ_RUN_BAD_ARGUMENT:
        return "a null or misaligned pointer, a batch below 1 or above the model's, or a shape that there is none of";
    case VJ_RUN_BAD_WEIGHTS:
        return "the weights are another model's, or cut short";
    case VJ_RUN_BAD_CPU:
        return "this CPU lacks what the code needs";
    case VJ_RUN_BAD_VALUE:
        return "an input has another value than the one that the code was made for";
    default:
        return "an unknown status";
    }
}

#ifdef __cplusplus
}
#endif
#endif
