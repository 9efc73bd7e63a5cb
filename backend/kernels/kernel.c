/* kernel.c - one kernel becomes one function: its signature and attributes; the kind's generator writes the body.
 */
#include "backend/emit/gen.h"

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
    if (g->target->llvm_features) add_text_attribute(g, function, "target-features", g->target->llvm_features);
    add_attribute(g, function, "nounwind");
}

static void set_types(vj_gen *g) {
    g->i1 = LLVMInt1TypeInContext(g->context);
    g->i8 = LLVMInt8TypeInContext(g->context);
    g->i32 = LLVMInt32TypeInContext(g->context);
    g->i64 = LLVMInt64TypeInContext(g->context);
    g->f32 = LLVMFloatTypeInContext(g->context);
    g->f64 = LLVMDoubleTypeInContext(g->context);
    g->ptr = LLVMPointerTypeInContext(g->context, 0);
}

enum { ACCESSES, FIRST_UNIT, LAST_UNIT, PARAMETERS };

LLVMValueRef vj_declare_kernel(LLVMModuleRef module, const char *name) {
    LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMTypeRef parameters[PARAMETERS] = {LLVMPointerTypeInContext(context, 0), LLVMInt64TypeInContext(context),
                                          LLVMInt64TypeInContext(context)};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(context), parameters, PARAMETERS, false);
    LLVMValueRef function = LLVMAddFunction(module, name, type);
    LLVMSetVisibility(function, LLVMHiddenVisibility);
    return function;
}

static void begin(vj_gen *g) {
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->context, g->function, "entry"));
    g->first_unit = LLVMGetParam(g->function, FIRST_UNIT);
    g->last_unit = LLVMGetParam(g->function, LAST_UNIT);
    LLVMValueRef accesses = LLVMGetParam(g->function, ACCESSES);
    for (int32_t i = 0; i < g->k->access_count; i++) {
        LLVMValueRef number = vj_i64(g, i);
        LLVMValueRef at = LLVMBuildInBoundsGEP2(g->b, g->ptr, accesses, &number, 1, "");
        g->access[i] = LLVMBuildLoad2(g->b, g->ptr, at, "");
    }
}

LLVMValueRef vj_gen_kernel(LLVMModuleRef module, const vj_target *target, const vj_program *p, const vj_kernel *k,
                           const char *name, vj_error *error) {
    vj_gen gen = {.context = LLVMGetModuleContext(module),
                  .module = module,
                  .target = target,
                  .p = p,
                  .k = k,
                  .lanes = target->vector_bytes / 4,
                  .error = error};
    vj_gen *g = &gen;
    set_types(g);
    g->function = vj_declare_kernel(module, name);
    vj_set_target_attributes(g, g->function);
    g->b = LLVMCreateBuilderInContext(g->context);
    begin(g);
    switch (k->kind) {
    case VJ_KERNEL_GEMM:
        vj_gen_gemm(g);
        break;
    case VJ_KERNEL_ATTENTION:
        vj_gen_attention(g);
        break;
    case VJ_KERNEL_NEST:
        vj_gen_nest(g);
        break;
    case VJ_KERNEL_CALL:
        vj_gen_call(g);
        break;
    }
    LLVMBuildRetVoid(g->b);
    LLVMDisposeBuilder(g->b);
    return g->function;
}
