/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - facts about CPUs, and the decisions made from them. Pure C: LLVM is not known here.
 *
 * A target is a row of facts (targets.def). Generators and schedules ask the row; nothing tests for an architecture by
 * name. A new CPU is one row.
 */
#ifndef VITJIT_TARGET_TARGET_H
#define VITJIT_TARGET_TARGET_H

#include "ir/kernel/kernel.h"

typedef enum vj_muladd { VJ_MULADD_FMA, VJ_MULADD_SEPARATE } vj_muladd;

/* Whether products of pairs of bfloat16 are added to a float by an instruction that is faster than to widen and multiply
 * them. A twin computes the same bits without the instruction, slowly: for tests. */
typedef enum vj_dot { VJ_DOT_NONE, VJ_DOT_AVX512, VJ_DOT_AVX512_TWIN, VJ_DOT_BFDOT, VJ_DOT_BFDOT_TWIN } vj_dot;

/* How products of fours of 8-bit integers are added to 32 bits: element by element, by words in pairs, by an instruction that takes
 * a whole group (backend/emit/dot_integers.c). The bits are the same. */
typedef enum vj_dot8 { VJ_DOT8_PLAIN, VJ_DOT8_PAIRS, VJ_DOT8_BYTES, VJ_DOT8_VNNI, VJ_DOT8_USDOT } vj_dot8;

/* Whether there are tiles: registers of up to 16 rows of 64 bytes, and products of them (backend/emit/tiles.h). A twin computes
 * the same bits without them, slowly: for tests. */
typedef enum vj_tiles { VJ_TILES_NONE, VJ_TILES_AMX, VJ_TILES_TWIN } vj_tiles;

/* What an object file is. Objects of another format are refused: no test runs them. */
typedef enum vj_object_format { VJ_FORMAT_ELF, VJ_FORMAT_WASM } vj_object_format;

/* An architecture: what holds for all its CPUs, and the code around the kernels, which runs on each of them. */
typedef struct vj_machine {
    const char *name;   /* how its triples begin: x86_64 */
    const char *triple; /* x86_64-unknown-linux-gnu */
    const char *llvm_cpu, *llvm_features;
    const char *llvm_abi; /* the calling convention, where LLVM does not know it from the triple; "" */
    vj_object_format format;
    int32_t pointer_bytes;
    bool recompiled;           /* by an engine as it runs: see targets.def */
    const char *vector_letter; /* of a vector register in inline assembly; "": nothing is gained by it */
} vj_machine;

typedef struct vj_target {
    const char *name;   /* x86-64, x86-64-v3, x86-64-v4, aarch64 */
    const char *triple; /* the machine's */
    const vj_machine *machine;
    const char *llvm_cpu;   /* for tuning and features */
    const char *llvm_extra; /* what LLVM is told besides the features */
    int32_t vector_bytes;   /* of one register */
    int32_t registers;      /* vector registers */
    vj_muladd muladd;
    vj_dot dot;
    vj_dot8 dot8;
    vj_tiles tiles;
    bool masked_stores;     /* cheap masked loads and stores */
    bool broadcast_operand; /* a multiply-add can take a scalar broadcast from memory */
    bool half_conversions;  /* float16 to float32 and back by instructions (F16C, NEON) */
    bool bf16_conversions;  /* float32 to bfloat16 by an instruction (AVX-512 BF16) */
    int32_t l1_bytes, l2_bytes;
    uint64_t cpu_feature_bits; /* VJ_CPU_*: what init must find */
    int32_t rank;              /* among rows that each have something of their own */
    const double *cycles;      /* [VJ_COST_COUNT]: what a vector of floats takes, by an op's class of cost */
} vj_target;

/* target.c */
/* How many elements of the type a register holds. */
int32_t vj_target_lanes(const vj_target *target, vj_dtype dtype);
int32_t vj_target_count(void);
const vj_target *vj_target_at(int32_t i);
/* A row by its own name, by LLVM's name of a CPU that runs it best (cpu_names.def), or `native`. NULL: unknown */
const vj_target *vj_target_by_name(const char *name);
/* The machine's best row for a CPU that has these features. */
const vj_target *vj_target_best(const vj_machine *machine, uint64_t have);
/* That for the CPU that this runs on. */
const vj_target *vj_target_host(void);
/* Can the CPU that this runs on run the row's code? */
bool vj_target_runs_here(const vj_target *target);

/* features.c: the names of features in LLVM's words. */
#define VJ_FEATURES_TEXT 512
/* "+avx2,+fma", of a set; returns text. */
const char *vj_features_text(uint64_t features, char text[VJ_FEATURES_TEXT]);
/* What LLVM is told of a row. */
const char *vj_target_llvm_features(const vj_target *target, char text[VJ_FEATURES_TEXT]);
/* The bit of a feature, and those of its companions (vitjit_cpu.def); 0: there is none of that name. */
uint64_t vj_feature_by_name(const char *name, size_t length, uint64_t *companions);

/* How groups of four bytes in so many lanes are multiplied, an instruction having its lengths: never BYTES; and into how many parts of
 * as many lanes a group is taken for that. */
vj_dot8 vj_dot8_of(const vj_target *target, int32_t lanes);
static inline int32_t vj_dot8_parts(vj_dot8 form) { return form == VJ_DOT8_PAIRS ? 2 : form == VJ_DOT8_PLAIN ? 4 : 1; }

#endif
