/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - calls: a routine of backend/routines, in bitcode, is linked into the kernel's module and called with the buffers and
 * constant parameters. */
#include "backend/emit/gen.h"

#include <llvm-c/Linker.h>
#include <stdio.h>
#include <string.h>

#include "backend/emit/bitcode.h"
#include "ir/routines/routines.h"

#define ROUTINE(id, ...) VJ_BITCODE_FILE(id);
#include "ir/routines/routines.def"
#undef ROUTINE

static const vj_bitcode files[VJ_ROUTINE_COUNT][VJ_BITCODE_MACHINES] = {
#define ROUTINE(id, ...) VJ_BITCODE_ROWS(id),
#include "ir/routines/routines.def"
#undef ROUTINE
};

/* What clang said of the baseline gives way to what the target has; all is local to the module. */
static void adopt(vj_gen *g, LLVMModuleRef module) {
    static const char *const dropped[] = {"target-cpu", "target-features", "tune-cpu"};
    const LLVMAttributeIndex index = (LLVMAttributeIndex)LLVMAttributeFunctionIndex;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f)) continue;
        for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
            LLVMRemoveStringAttributeAtIndex(f, index, dropped[i], (unsigned)strlen(dropped[i]));
        vj_set_target_attributes(g, f);
    }
}

/* The function `name`, defined in the kernel's module; NULL: an error is set. */
static LLVMValueRef routine(vj_gen *g, const char *name) {
    LLVMValueRef f = LLVMGetNamedFunction(g->module, name);
    if (f) return f;
    LLVMModuleRef module = vj_bitcode_module(g->context, files[g->k->routine], g->target);
    if (!module || !LLVMGetNamedFunction(module, name)) {
        vj_fail(g->error, VJ_UNSUPPORTED, "there is no routine %s for %s", name, g->target->triple);
        if (module) LLVMDisposeModule(module);
        return NULL;
    }
    adopt(g, module);
    LLVMSetTarget(module, LLVMGetTarget(g->module));
    LLVMSetDataLayout(module, LLVMGetDataLayoutStr(g->module));
    if (LLVMLinkModules2(g->module, module)) {
        vj_fail(g->error, VJ_SYSTEM, "routine %s cannot be linked", name);
        return NULL;
    }
    for (f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        if (strncmp(LLVMGetValueName(f), "vj_routine_", strlen("vj_routine_")) == 0 && !LLVMIsDeclaration(f)) {
            LLVMSetLinkage(f, LLVMInternalLinkage);
            LLVMSetVisibility(f, LLVMDefaultVisibility);
        }
    return LLVMGetNamedFunction(g->module, name);
}

void vj_gen_call(vj_gen *g) {
    const vj_kernel *k = g->k;
    const vj_routine_row *row = vj_routine_at(k->routine);
    const int32_t params = vj_word_count(row->params), numbers = vj_word_count(row->numbers);
    char name[64];
    int at = snprintf(name, sizeof name, "vj_routine_%s", row->name);
    if (row->typed_by >= 0)
        snprintf(name + at, sizeof name - (size_t)at, "_%s",
                 vj_element_name(g->p->buffers[k->access[row->typed_by].buffer].dtype));
    LLVMValueRef f = routine(g, name), argument[VJ_MAX_CALL_BUFFERS + VJ_MAX_PARAMS + VJ_MAX_NUMBERS + 3];
    if (!f) return;
    unsigned count = 0;
    for (int32_t i = 0; i < k->access_count; i++)
        argument[count++] = g->access[i];
    for (int32_t i = 0; i < params; i++)
        argument[count++] = vj_i64(g, k->param[i]);
    for (int32_t i = 0; i < numbers; i++)
        argument[count++] = LLVMConstReal(g->f64, k->number[i]);
    argument[count++] = vj_i64(g, k->units);
    argument[count++] = g->first_unit;
    argument[count++] = g->last_unit;
    if (LLVMCountParams(f) != count) {
        vj_fail(g->error, VJ_SYSTEM, "routine %s has other parameters than its row", name);
        return;
    }
    LLVMBuildCall2(g->b, LLVMGlobalGetValueType(f), f, argument, count, "");
}
