/* SPDX-License-Identifier: Apache-2.0 */
/* init.c - binds a context to weights, a shape and the best code that the CPU can run. */
#include "abi.h"

#include "vitjit_cpu.h"

const vj_model *vj_abi_model(void) { return vj_abi_shapes; }

/* Of packed weights with their header: is it this model's file, and whole? The data are not read. */
static int check_weights(const vj_model *m, const void *weights, size_t bytes) {
    const vj_weights_header *h = weights;
    if (!weights || ((uintptr_t)weights & ((uintptr_t)m->weights_alignment - 1))) return VJ_RUN_BAD_ARGUMENT;
    if (bytes < VJ_WEIGHTS_HEADER || bytes - VJ_WEIGHTS_HEADER < (uint64_t)m->weights_bytes) return VJ_RUN_BAD_WEIGHTS;
    const bool ours = h->magic == VJ_WEIGHTS_MAGIC && h->digest[0] == m->weights_digest[0] &&
                      h->digest[1] == m->weights_digest[1] && h->bytes == m->weights_bytes;
    return ours ? VJ_RUN_OK : VJ_RUN_BAD_WEIGHTS;
}

static int bind(vj_context *context, const void *weights, size_t bytes, int32_t shape, uint64_t features) {
    const vj_model *m = vj_abi_shapes;
    if (!context || shape < 0 || shape >= m->shape_count) return VJ_RUN_BAD_ARGUMENT;
    const uint64_t have = features == VJ_CPU_ASK ? vj_cpu_ask(vj_cpu_needed(m->cpus, m->cpu_count)) : features;
    const int32_t cpu = vj_cpu_best(m->cpus, m->cpu_count, have);
    if (cpu < 0) return VJ_RUN_BAD_CPU;
    const bool given = !vj_abi_weights && m->weights_bytes > 0;
    const int status = given ? check_weights(m, weights, bytes) : weights || bytes ? VJ_RUN_BAD_ARGUMENT : VJ_RUN_OK;
    if (status != VJ_RUN_OK) return status;
    context->model = &m[shape];
    context->weights = given ? (const char *)weights + VJ_WEIGHTS_HEADER : vj_abi_weights;
    context->variant = (int64_t)shape * m->cpu_count + cpu;
    context->reserved = 0;
    return VJ_RUN_OK;
}

int vj_abi_init_as(vj_context *context, const void *weights, size_t bytes, int32_t shape, uint64_t features) {
    return bind(context, weights, bytes, shape, features);
}

int vj_abi_init(vj_context *context, const void *weights, size_t bytes) {
    return bind(context, weights, bytes, 0, VJ_CPU_ASK);
}
