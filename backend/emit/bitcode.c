/* SPDX-License-Identifier: Apache-2.0 */
/* bitcode.c - see bitcode.h. */
#include "bitcode.h"

#include <llvm-c/BitReader.h>
#include <string.h>

LLVMModuleRef vj_bitcode_module(LLVMContextRef context, const vj_bitcode file[VJ_BITCODE_MACHINES],
                                const vj_target *target) {
    int32_t i = 0;
    while (i < VJ_BITCODE_MACHINES && strcmp(target->machine->name, file[i].machine) != 0)
        i++;
    if (i == VJ_BITCODE_MACHINES) return NULL;
    LLVMMemoryBufferRef buffer =
        LLVMCreateMemoryBufferWithMemoryRange((const char *)file[i].at, *file[i].size, "", false);
    LLVMModuleRef module = NULL;
    const bool failed = LLVMParseBitcodeInContext2(context, buffer, &module);
    LLVMDisposeMemoryBuffer(buffer);
    return failed ? NULL : module;
}
