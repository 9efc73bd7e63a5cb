/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - the kernels of programs become functions of a module, and a whole planned program one object, without an ABI. */
#include "object.h"

LLVMValueRef *vj_gen_kernels(LLVMModuleRef module, const vj_target *target, const vj_program *const *programs,
                             int32_t program_count, vj_codegen_stats *stats, vj_error *error) {
    vj_arena *arena = programs[0]->arena;
    int32_t total = 0, i = 0;
    for (int32_t q = 0; q < program_count; q++)
        total += programs[q]->kernel_count;
    LLVMValueRef *functions = VJ_NEW_ARRAY(arena, LLVMValueRef, total + 1);
    LLVMValueRef *made = VJ_NEW_ARRAY(arena, LLVMValueRef, total + 1);
    int32_t *number = VJ_NEW_ARRAY(arena, int32_t, total + 1);
    stats->kernels += total;
    stats->distinct_kernels += vj_distinct_kernels_of(programs, program_count, number);
    for (int32_t q = 0; q < program_count; q++)
        for (int32_t k = 0; k < programs[q]->kernel_count && error->status == VJ_OK; k++, i++) {
            LLVMValueRef *function = &made[number[i]];
            if (!*function) {
                char name[VJ_KERNEL_SYMBOL];
                vj_kernel_symbol(programs[q]->kernels[k], number[i], name, sizeof name);
                *function = vj_gen_kernel(module, target, programs[q], programs[q]->kernels[k], name, error);
                /* Local to the object, so that models link together. */
                LLVMSetVisibility(*function, LLVMDefaultVisibility);
                LLVMSetLinkage(*function, LLVMInternalLinkage);
            }
            functions[i] = *function;
        }
    return functions;
}

typedef struct generation {
    const vj_program *p;
    const vj_codegen_options *options;
    vj_bytes *out;
    vj_codegen_stats *stats;
    vj_error *error;
} generation;

static void generate(LLVMModuleRef module, LLVMTargetMachineRef machine, void *self) {
    const generation *g = self;
    const vj_codegen_options *options = g->options;
    LLVMValueRef *kernels = vj_gen_kernels(module, options->target, &g->p, 1, g->stats, g->error);
    if (g->error->status != VJ_OK) return;
    vj_gen_phase(module, options->target, g->p, kernels, 0, options->marks, "vj_phase", g->error);
    vj_module_write(module, machine, options, g->out, g->error);
}

vj_status vj_generate(const vj_program *p, const vj_codegen_options *options, vj_bytes *out, vj_codegen_stats *stats,
                      vj_error *error) {
    *out = (vj_bytes){0};
    *stats = (vj_codegen_stats){0};
    generation g = {p, options, out, stats, error};
    return vj_with_module(p->arena, options->target, generate, &g, error);
}
