/* SPDX-License-Identifier: Apache-2.0 */
/* object.h - private to backend/: the steps from kernels to object code.
 *
 * distinct.c     which kernels are the same code, and their symbols
 * object.c       modules: passes, code generation
 * program.c      kernels as functions of a module; a whole program in one module
 * variants.c     objects with the ABI: programs for shapes and CPUs, a module a CPU, linked
 * image_code.c   an image's code: a module a kernel, on all cores, linked
 */
#ifndef VITJIT_BACKEND_MODULE_OBJECT_H
#define VITJIT_BACKEND_MODULE_OBJECT_H

#include <llvm-c/TargetMachine.h>

#include "driver.h"

/* link.c: as vj_link_objects, and adds to `symbols` (or NULL) what vj_codegen_stats says. */
vj_status vj_link_named(const vj_bytes *objects, int32_t count, const char *symbol, vj_bytes *code, uint64_t *entry,
                        vj_text *symbols, vj_error *error);

/* The machine is the architecture's baseline: each kernel names its own CPU and features. NULL: an error is set. */
LLVMTargetMachineRef vj_machine_new(const vj_target *target, vj_error *error);
LLVMModuleRef vj_module_in(LLVMContextRef context, LLVMTargetMachineRef machine, const vj_target *target);
/* A module in a context of its own, which vj_module_free frees too. */
LLVMModuleRef vj_module_new(LLVMTargetMachineRef machine, const vj_target *target);
void vj_module_free(LLVMModuleRef module);
/* Calls work on a new module for the target, and frees it, also when the arena takes its way out in the middle. */
vj_status vj_with_module(vj_arena *arena, const vj_target *target,
                         void (*work)(LLVMModuleRef module, LLVMTargetMachineRef machine, void *self), void *self,
                         vj_error *error);
/* distinct.c: as vj_distinct_kernels; `number` has the kernels of all programs, one program after another. */
int32_t vj_distinct_kernels_of(const vj_program *const *programs, int32_t program_count, int32_t *number);
/* program.c: the functions of all kernels of programs for one CPU, in their order; equal ones are one. Local. */
LLVMValueRef *vj_gen_kernels(LLVMModuleRef module, const vj_target *target, const vj_program *const *programs,
                             int32_t program_count, vj_codegen_stats *stats, vj_error *error);
/* Checks the module, runs the passes, writes its code. */
void vj_module_write(LLVMModuleRef module, LLVMTargetMachineRef machine, const vj_codegen_options *options,
                     vj_bytes *out, vj_error *error);

#endif
