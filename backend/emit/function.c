/* SPDX-License-Identifier: Apache-2.0 */
/* function.c - the function of a kernel: its signature, and the attributes by which LLVM knows the target. */
#include "gen.h"

#include <stdio.h>
#include <string.h>

static void add_text_attribute(const vj_gen *g, LLVMValueRef function, const char *key, const char *value) {
    LLVMAttributeRef attribute =
        LLVMCreateStringAttribute(g->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static void add_attribute(const vj_gen *g, LLVMValueRef function, const char *name) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(g->context, kind, 0));
}

/* Without the widths, LLVM splits 64-byte vectors in two on CPUs that are tuned for 32 bytes. */
void vj_set_target_attributes(const vj_gen *g, LLVMValueRef function) {
    char bits[16];
    snprintf(bits, sizeof bits, "%d", (int)(g->target->vector_bytes * 8));
    add_text_attribute(g, function, "prefer-vector-width", bits);
    add_text_attribute(g, function, "min-legal-vector-width", bits);
    if (g->target->llvm_cpu) add_text_attribute(g, function, "target-cpu", g->target->llvm_cpu);
    char features[VJ_FEATURES_TEXT];
    add_text_attribute(g, function, "target-features", vj_target_llvm_features(g->target, features));
    add_attribute(g, function, "nounwind");
}

LLVMValueRef vj_declare_kernel(LLVMModuleRef module, const char *name) {
    LLVMContextRef context = LLVMGetModuleContext(module);
    /* They are accesses, first_unit and last_unit (gen.h). */
    LLVMTypeRef parameters[] = {LLVMPointerTypeInContext(context, 0), LLVMInt64TypeInContext(context),
                                LLVMInt64TypeInContext(context)};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(context), parameters, 3, false);
    LLVMValueRef function = LLVMAddFunction(module, name, type);
    LLVMSetVisibility(function, LLVMHiddenVisibility);
    return function;
}
