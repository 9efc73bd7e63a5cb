/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c - one kernel becomes one function, whose body the kind's generator writes. */
#include "backend/emit/gen.h"

static void set_types(vj_gen *g) {
    g->i1 = LLVMInt1TypeInContext(g->context);
    g->i8 = LLVMInt8TypeInContext(g->context);
    g->i32 = LLVMInt32TypeInContext(g->context);
    g->i64 = LLVMInt64TypeInContext(g->context);
    g->f32 = LLVMFloatTypeInContext(g->context);
    g->f64 = LLVMDoubleTypeInContext(g->context);
    g->ptr = LLVMPointerTypeInContext(g->context, 0);
}

enum { ACCESSES, FIRST_UNIT, LAST_UNIT };

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

static void (*const generators[VJ_KERNEL_KINDS])(vj_gen *g) = {
#define KIND(id, name, ...) [VJ_KERNEL_##id] = vj_gen_##name,
#include "ir/kernel/kernel_kinds.def"
};

/* A program that no one verified is not to become code that reads other types than there are. */
static bool takes_operands(const vj_gen *g) {
    const vj_kind_row *row = vj_kind_at(g->k->kind);
    for (int32_t i = 0; i < row->operand_count; i++) {
        if (vj_operand_takes(g->p, g->k, &row->operand[i], g->k->operand[i])) continue;
        const vj_dtype dtype = g->p->buffers[g->k->access[g->k->operand[i]].buffer].dtype;
        vj_fail(g->error, VJ_UNSUPPORTED, "kernel '%s': %s is of %s, which no %s takes", g->k->name,
                row->operand[i].name, vj_element_name(dtype), row->name);
        return false;
    }
    return true;
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
    if (takes_operands(g)) generators[k->kind](g);
    LLVMBuildRetVoid(g->b);
    LLVMDisposeBuilder(g->b);
    return g->function;
}
