/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h - private to backend/: the code around the kernels. */
#ifndef VITJIT_BACKEND_MODULE_DRIVER_H
#define VITJIT_BACKEND_MODULE_DRIVER_H

#include "backend/emit/gen.h"

/* driver.c: void name(const vj_args *, i32 phase, i32 part, i32 parts); kernels[i] is the function of p->kernels[i]. With
 * marks it calls vj_marked_args.mark around each kernel. */
LLVMValueRef vj_gen_phase(LLVMModuleRef module, const vj_target *target, const vj_program *p,
                          LLVMValueRef const *kernels, int64_t scratch_fixed, bool marks, const char *name,
                          vj_error *error);
/* driver_abi.c: descriptors and the functions of abi/ are linked into the module, which has a function VJ_VARIANT_PHASE for
 * each variant. What is not the object's interface becomes local. */
#define VJ_INSIDE_WEIGHTS "weights" /* the global that has them */
#define VJ_VARIANT_PHASE  "vj_phase_%d"
void vj_gen_abi(LLVMModuleRef module, const vj_object_abi *abi, vj_error *error);
/* driver_library.c: image and note; after vj_gen_abi. */
void vj_gen_library(LLVMModuleRef module, const vj_object_abi *abi);

#endif
