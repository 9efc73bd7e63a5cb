/* SPDX-License-Identifier: Apache-2.0 */
/* abi.h - what the files of this folder share: the functions of an emitted object around its kernels, freestanding C. Each
 * is compiled to LLVM bitcode for every machine's baseline CPU when vitjit is built, and linked into the object, where
 * its names get the object's prefix. Nothing here is specific to a model: what is, driver_abi.c writes as constants.
 *
 * Checks come before any code of the model: init looks at the CPU, and run accepts no context that init did not fill.
 */
#ifndef VITJIT_BACKEND_ABI_H
#define VITJIT_BACKEND_ABI_H

#include <stdbool.h>

#include "vitjit_image.h"
#include "vitjit_model.h"

typedef void vj_abi_phase_fn(const vj_args *args, int32_t phase, int32_t part, int32_t parts);

/* Of the object, by driver_abi.c: the descriptors, of which PREFIX_model is the first; the code of each variant; of each
 * shape and each of its inputs the bytes that a run must find there, or NULL. */
extern const vj_model vj_abi_shapes[];
extern vj_abi_phase_fn *const vj_abi_phases[];
extern const unsigned char *const *const vj_abi_required[];
/* The packed weights' data inside the object; NULL: init is given them, or there are none. */
extern const void *const vj_abi_weights;

/* The object's functions. */
const vj_model *vj_abi_model(void);
int vj_abi_init(vj_context *context, const void *weights, size_t bytes);
int vj_abi_init_as(vj_context *context, const void *weights, size_t bytes, int32_t shape, uint64_t features);
int vj_abi_run(const vj_context *context, int64_t n, const void *const *inputs, void *const *outputs, void *scratch);
int vj_abi_run_on(const vj_context *context, int64_t n, const void *const *inputs, void *const *outputs, void *scratch,
                  const vj_threads *threads);
vj_abi_phase_fn vj_abi_phase;

/* What vj_abi_phase does; the object does not call its own interface, which a shared library's user may replace. */
static inline void vj_abi_dispatch(const vj_args *args, int32_t phase, int32_t part, int32_t parts) {
    vj_abi_phases[args->variant](args, phase, part, parts);
}

/* run.c: fills the arguments of a run, if all is sound; a VJ_RUN_ status. */
int vj_abi_prepare(const vj_context *context, int64_t n, const void *const *inputs, void *const *outputs, void *scratch,
                   vj_args *args);

#endif
