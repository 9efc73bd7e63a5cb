/* SPDX-License-Identifier: Apache-2.0 */
/* bitcode.h - private to backend/: the C of calls/ and abi/ as LLVM bitcode, for each machine (cmake/routines.cmake). */
#ifndef VITJIT_BACKEND_EMIT_BITCODE_H
#define VITJIT_BACKEND_EMIT_BITCODE_H

#include <llvm-c/Core.h>

#include "target/target.h"

typedef struct vj_bitcode {
    const char *machine; /* its name */
    const unsigned char *at;
    const size_t *size;
} vj_bitcode;

/* A file for all machines: VJ_BITCODE_FILE(topk) declares it, VJ_BITCODE_ROWS(topk) is the initializer of a vj_bitcode[]. */
#define VJ_BITCODE_MACHINES 4
#define VJ_BITCODE_FILE(file)                                                                                          \
    extern const unsigned char vj_bitcode_##file##_x86_64[], vj_bitcode_##file##_aarch64[],                            \
        vj_bitcode_##file##_riscv64[], vj_bitcode_##file##_wasm32[];                                                   \
    extern const size_t vj_bitcode_##file##_x86_64_size, vj_bitcode_##file##_aarch64_size,                             \
        vj_bitcode_##file##_riscv64_size, vj_bitcode_##file##_wasm32_size
#define VJ_BITCODE_ROWS(file)                                                                                          \
    {                                                                                                                  \
        {"x86_64", vj_bitcode_##file##_x86_64, &vj_bitcode_##file##_x86_64_size},                                      \
        {"aarch64", vj_bitcode_##file##_aarch64, &vj_bitcode_##file##_aarch64_size},                                   \
        {"riscv64", vj_bitcode_##file##_riscv64, &vj_bitcode_##file##_riscv64_size},                                   \
        {"wasm32", vj_bitcode_##file##_wasm32, &vj_bitcode_##file##_wasm32_size},                                      \
    }

/* A new module in the context, with the triple and the layout of the target's machine; NULL: there is none. */
LLVMModuleRef vj_bitcode_module(LLVMContextRef context, const vj_bitcode file[VJ_BITCODE_MACHINES],
                                const vj_target *target);

#endif
