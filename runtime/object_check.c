/* SPDX-License-Identifier: Apache-2.0 */
/* object_check.c - what is wrong with what an emitted object is to be given, in words. Its own init and run answer with a
 * number, and cannot know how large the scratch memory is. */
#include <string.h>

#include "runtime.h"
#include "vitjit_cpu.h"

static bool is_aligned(const void *at, int64_t alignment) {
    return alignment < 1 || (uintptr_t)at % (uintptr_t)alignment == 0;
}

static int wrong_model(const vj_model *m) {
    if (!m) {
        vj_error_set(VJ_USAGE, "there is no model");
        return VJ_RUN_BAD_ARGUMENT;
    }
    if (m->abi == VJ_MODEL_ABI && m->header_size == sizeof *m) return VJ_RUN_OK;
    vj_error_set(VJ_USAGE, "the object has version %u of the ABI, this library %d", (unsigned)m->abi, VJ_MODEL_ABI);
    return VJ_RUN_BAD_ARGUMENT;
}

static int bad_argument(const char *what) {
    vj_error_set(VJ_USAGE, "%s", what);
    return VJ_RUN_BAD_ARGUMENT;
}

int vj_object_check(const vj_model *m, int64_t n, int32_t images_in_flight, const void *scratch, size_t bytes) {
    const int status = wrong_model(m);
    int64_t needed;
    if (status != VJ_RUN_OK) return status;
    if (vj_cpu_best(m->cpus, m->cpu_count, vj_cpu_features(vj_cpu_needed(m->cpus, m->cpu_count))) < 0) {
        vj_error_set(VJ_USAGE, "the code is for %s, which this CPU cannot run", m->cpu);
        return VJ_RUN_BAD_CPU;
    }
    if (n < 1 || n > m->max_batch || images_in_flight < 1) {
        vj_error_set(VJ_USAGE, "a batch of %lld with %d in flight, where 1 to %lld fit", (long long)n,
                     (int)images_in_flight, (long long)m->max_batch);
        return VJ_RUN_BAD_ARGUMENT;
    }
    const int64_t slots = n < images_in_flight ? n : images_in_flight;
    if (__builtin_mul_overflow(slots, m->scratch_per_image, &needed) ||
        __builtin_add_overflow(needed, m->scratch_fixed, &needed))
        return bad_argument("more scratch memory is needed than can be addressed");
    if (!scratch && needed) return bad_argument("there is no scratch memory");
    if (!is_aligned(scratch, m->weights_alignment)) {
        vj_error_set(VJ_USAGE, "the scratch memory is not aligned to %lld bytes", (long long)m->weights_alignment);
        return VJ_RUN_BAD_ARGUMENT;
    }
    if (bytes >= (uint64_t)needed) return VJ_RUN_OK;
    vj_error_set(VJ_USAGE, "the scratch memory has %zu bytes, %lld are needed", bytes, (long long)needed);
    return VJ_RUN_BAD_ARGUMENT;
}

static int bad_weights(const char *what) {
    vj_error_set(VJ_BAD_INPUT, "the weights are %s", what);
    return VJ_RUN_BAD_WEIGHTS;
}

int vj_weights_check(const vj_model *m, const void *weights, size_t bytes) {
    const int status = wrong_model(m);
    vj_weights_header h;
    if (status != VJ_RUN_OK) return status;
    if (!weights) return bad_argument("there are no weights");
    if (!is_aligned(weights, m->weights_alignment)) return bad_argument("the weights are not aligned");
    if (bytes < sizeof h) return bad_weights("cut short");
    memcpy(&h, weights, sizeof h);
    if (h.magic != VJ_WEIGHTS_MAGIC) return bad_weights("not packed weights at all");
    if (memcmp(h.digest, m->weights_digest, sizeof h.digest) != 0 || h.bytes != m->weights_bytes)
        return bad_weights("another model's, or packed by another version");
    if (bytes < VJ_WEIGHTS_HEADER || bytes - VJ_WEIGHTS_HEADER < (uint64_t)m->weights_bytes)
        return bad_weights("cut short");
    const vj_weights_map map = {.data = (const char *)weights + VJ_WEIGHTS_HEADER,
                                .check = {h.check[0], h.check[1]},
                                .data_bytes = m->weights_bytes};
    return vj_weights_whole(&map) ? VJ_RUN_OK : bad_weights("damaged");
}
