/* SPDX-License-Identifier: Apache-2.0 */
/* orc.c - the same object through LLVM's ORC: the differential check of link.c and of the loader. */
#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <stdlib.h>

#include "backend/backend.h"

struct vj_orc {
    LLVMOrcLLJITRef jit;
};

/* Takes LLVM's error; true when there was none. */
static bool succeeded(LLVMErrorRef failure, vj_error *error) {
    if (!failure) return true;
    char *message = LLVMGetErrorMessage(failure);
    vj_fail(error, VJ_SYSTEM, "ORC: %s", message);
    LLVMDisposeErrorMessage(message);
    return false;
}

vj_orc *vj_orc_load(const vj_bytes *object, const char *symbol, void **function, vj_error *error) {
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    vj_orc *orc = calloc(1, sizeof *orc);
    if (!orc) {
        vj_fail(error, VJ_SYSTEM, "out of memory");
        return NULL;
    }
    LLVMOrcExecutorAddress address = 0;
    bool fine = succeeded(LLVMOrcCreateLLJIT(&orc->jit, NULL), error);
    if (fine) {
        LLVMMemoryBufferRef buffer =
            LLVMCreateMemoryBufferWithMemoryRangeCopy((const char *)object->at, object->size, "object");
        fine = succeeded(LLVMOrcLLJITAddObjectFile(orc->jit, LLVMOrcLLJITGetMainJITDylib(orc->jit), buffer), error);
    }
    fine = fine && succeeded(LLVMOrcLLJITLookup(orc->jit, &address, symbol), error);
    if (!fine) {
        vj_orc_free(orc);
        return NULL;
    }
    *function = (void *)(uintptr_t)address;
    return orc;
}

void vj_orc_free(vj_orc *orc) {
    if (!orc) return;
    if (orc->jit) LLVMConsumeError(LLVMOrcDisposeLLJIT(orc->jit));
    free(orc);
}
