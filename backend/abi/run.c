/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - checks what a run is given, and runs on the caller's thread. */
#include "abi.h"

#include "vitjit_dtype.h"

/* Is the context one that init filled? Its shape's number, or -1. */
static int32_t shape_of(const vj_context *context) {
    const vj_model *m = vj_abi_shapes;
    for (int32_t i = 0; context && i < m->shape_count; i++)
        if (context->model == &m[i]) {
            const int64_t cpu = context->variant - (int64_t)i * m->cpu_count;
            return cpu >= 0 && cpu < m->cpu_count ? i : -1;
        }
    return -1;
}

static bool is_aligned(const void *at, int32_t dtype) {
    return ((uintptr_t)at & (uintptr_t)(vj_element_bytes((vj_dtype)dtype) - 1)) == 0;
}

/* Are the pointers all there, and aligned to their elements? */
static bool list_is_good(const void *const *list, const vj_tensor_info *tensors, int32_t count) {
    if (count > 0 && !list) return false;
    for (int32_t i = 0; i < count; i++)
        if (!list[i] || !is_aligned(list[i], tensors[i].dtype)) return false;
    return true;
}

static bool is_value(const unsigned char *input, const unsigned char *value, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i++)
        if (input[i] != value[i]) return false;
    return true;
}

/* Inputs that decided shapes: is each the value that the code was made for? */
static bool values_are_good(const vj_model *m, int32_t shape, const void *const *inputs) {
    const unsigned char *const *required = vj_abi_required[shape];
    for (int32_t i = 0; i < m->input_count; i++)
        if (required[i] && !is_value(inputs[i], required[i], m->inputs[i].bytes_per_image)) return false;
    return true;
}

int vj_abi_prepare(const vj_context *context, int64_t n, const void *const *inputs, void *const *outputs, void *scratch,
                   vj_args *args) {
    const int32_t shape = shape_of(context);
    if (shape < 0) return VJ_RUN_BAD_ARGUMENT;
    const vj_model *m = context->model;
    const bool has_scratch = scratch || m->scratch_fixed + m->scratch_per_image == 0;
    const bool aligned = ((uintptr_t)scratch & ((uintptr_t)m->weights_alignment - 1)) == 0;
    if (n < 1 || n > m->max_batch || !has_scratch || !aligned) return VJ_RUN_BAD_ARGUMENT;
    if (!list_is_good(inputs, m->inputs, m->input_count) ||
        !list_is_good((const void *const *)outputs, m->outputs, m->output_count))
        return VJ_RUN_BAD_ARGUMENT;
    if (!values_are_good(m, shape, inputs)) return VJ_RUN_BAD_VALUE;
    args->inputs = inputs;
    args->outputs = outputs;
    args->weights = context->weights;
    args->scratch = scratch;
    args->n = n;
    args->variant = context->variant;
    return VJ_RUN_OK;
}

void vj_abi_phase(const vj_args *args, int32_t phase, int32_t part, int32_t parts) {
    vj_abi_dispatch(args, phase, part, parts);
}

int vj_abi_run(const vj_context *context, int64_t n, const void *const *inputs, void *const *outputs, void *scratch) {
    vj_args args;
    const int status = vj_abi_prepare(context, n, inputs, outputs, scratch, &args);
    if (status == VJ_RUN_OK) vj_abi_dispatch(&args, 0, 0, 1);
    return status;
}
