/* SPDX-License-Identifier: Apache-2.0 */
/* poison.c - builds with AddressSanitizer: what no buffer has of a session's scratch may not be touched by code that
 * ORC loaded, which is instrumented. */
#include "runtime/runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>

void vj_scratch_poison(const vj_model_state *s, void *scratch, int64_t used, size_t bytes) {
    const int64_t fixed = s->model.scratch_fixed, each = s->model.scratch_per_image;
    for (int64_t slot = fixed; s->gap_count && slot < used; slot += each)
        for (int32_t i = 0; i < s->gap_count; i++)
            ASAN_POISON_MEMORY_REGION((char *)scratch + slot + s->gaps[i].offset, (size_t)s->gaps[i].bytes);
    ASAN_POISON_MEMORY_REGION((char *)scratch + used, bytes - (size_t)used);
}

void vj_scratch_unpoison(void *scratch, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(scratch, bytes); }
#else
void vj_scratch_poison(const vj_model_state *s, void *scratch, int64_t used, size_t bytes) {
    (void)s, (void)scratch, (void)used, (void)bytes;
}

void vj_scratch_unpoison(void *scratch, size_t bytes) { (void)scratch, (void)bytes; }
#endif
