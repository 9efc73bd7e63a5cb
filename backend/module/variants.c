/* SPDX-License-Identifier: Apache-2.0 */
/* variants.c - an object with the ABI: programs for several shapes and CPUs become one module.
 *
 * Each CPU's kernels are made in a module of their own, where all functions, also the routines that calls link in, have that
 * CPU's features; linked, they are local, so those of one CPU never call another's. Nothing inlines afterwards: what
 * surrounds them stays code of the baseline.
 */
#include "object.h"

#include <llvm-c/Linker.h>

/* The kernels and phases of all shapes for CPU number `cpu`. */
static void generate_cpu(LLVMModuleRef module, const vj_object_abi *abi, int32_t cpu, vj_codegen_stats *stats,
                         vj_error *error) {
    const vj_variant *variants = abi->variants + cpu;
    vj_arena *arena = variants->program->arena;
    const vj_program **programs = VJ_NEW_ARRAY(arena, const vj_program *, abi->shape_count);
    for (int32_t s = 0; s < abi->shape_count; s++)
        programs[s] = variants[s * abi->cpu_count].program;
    LLVMValueRef *kernels = vj_gen_kernels(module, variants->target, programs, abi->shape_count, stats, error);
    for (int32_t s = 0; s < abi->shape_count && error->status == VJ_OK; s++) {
        const char *name = vj_sprintf(arena, VJ_VARIANT_PHASE, (int)(s * abi->cpu_count + cpu));
        vj_gen_phase(module, variants->target, programs[s], kernels, abi->shapes[s].scratch_fixed, false, name, error);
        kernels += programs[s]->kernel_count;
    }
}

typedef struct generation {
    const vj_object_abi *abi;
    const vj_codegen_options *options;
    vj_bytes *out;
    vj_codegen_stats *stats;
    vj_error *error;
} generation;

static void generate(LLVMModuleRef module, LLVMTargetMachineRef machine, void *self) {
    const generation *g = self;
    const vj_object_abi *abi = g->abi;
    vj_error *error = g->error;
    for (int32_t cpu = 0; cpu < abi->cpu_count && error->status == VJ_OK; cpu++) {
        const vj_target *target = abi->variants[cpu].target;
        LLVMModuleRef part = vj_module_in(LLVMGetModuleContext(module), machine, target);
        generate_cpu(part, abi, cpu, g->stats, error);
        if (error->status != VJ_OK)
            LLVMDisposeModule(part);
        else if (LLVMLinkModules2(module, part))
            vj_fail(error, VJ_SYSTEM, "the code for %s does not link", target->name);
    }
    if (error->status == VJ_OK) vj_gen_abi(module, abi, error);
    if (abi->library && error->status == VJ_OK) vj_gen_library(module, abi);
    vj_module_write(module, machine, g->options, g->out, error);
}

/* Does what the descriptors say hold for every variant? */
static bool are_sound(const vj_object_abi *abi, vj_error *error) {
    if (abi->cpu_count > VJ_MAX_CPUS) vj_fail(error, VJ_USAGE, "one object has code for at most %d CPUs", VJ_MAX_CPUS);
    for (int32_t i = 0; i < abi->shape_count * abi->cpu_count; i++) {
        const vj_variant *v = &abi->variants[i];
        const vj_model *m = &abi->shapes[i / abi->cpu_count];
        if (v->target != abi->variants[i % abi->cpu_count].target ||
            v->target->machine != abi->variants->target->machine)
            vj_fail(error, VJ_USAGE, "one object has code for one machine alone, and for each shape for the same CPUs");
        if (m->scratch_per_image < v->program->per_image_bytes || m->phase_count < v->program->phase_count ||
            m->weights_bytes < v->program->weights_bytes)
            vj_fail(error, VJ_SYSTEM, "the code for %s needs more than the object's descriptor says", v->target->name);
    }
    return error->status == VJ_OK;
}

vj_status vj_generate_object(const vj_object_abi *abi, vj_emit_kind kind, vj_bytes *out, vj_codegen_stats *stats,
                             vj_error *error) {
    const vj_codegen_options options = {.target = abi->variants->target, .kind = kind};
    *out = (vj_bytes){0};
    *stats = (vj_codegen_stats){0};
    if (!are_sound(abi, error)) return error->status;
    generation g = {abi, &options, out, stats, error};
    return vj_with_module(abi->variants->program->arena, options.target, generate, &g, error);
}
