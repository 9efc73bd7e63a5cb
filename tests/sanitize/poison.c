/* SPDX-License-Identifier: Apache-2.0 */
/* poison.c - tests that exactly the gaps and the end of scratch memory are poisoned, in every slot, and that all is
 * unpoisoned afterwards. */
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/runtime.h"

#define FIXED 128
#define EACH  256
#define SLOTS 3
#define USED  (FIXED + SLOTS * EACH)
#define BYTES 4096

static bool in_gap(const vj_model_state *s, int64_t at) {
    if (at >= USED) return true;
    for (int32_t i = 0; at >= FIXED && i < s->gap_count; i++) {
        const int64_t here = (at - FIXED) % EACH - s->gaps[i].offset;
        if (here >= 0 && here < s->gaps[i].bytes) return true;
    }
    return false;
}

static int wrong_bytes(const vj_model_state *s, const char *scratch, bool free_again) {
    int wrong = 0;
    for (int64_t at = 0; at < BYTES; at++)
        wrong += __asan_address_is_poisoned(scratch + at) != (!free_again && in_gap(s, at));
    return wrong;
}

int main(void) {
    vj_gap gaps[] = {{24, 40}, {200, 56}}; /* as planned: each ends at a multiple of 8 */
    const vj_model_state s = {
        .model = {.scratch_fixed = FIXED, .scratch_per_image = EACH}, .gaps = gaps, .gap_count = 2};
    char *scratch = aligned_alloc(64, BYTES);
    vj_scratch_poison(&s, scratch, USED, BYTES);
    const int poisoned = wrong_bytes(&s, scratch, false);
    vj_scratch_unpoison(scratch, BYTES);
    const int freed = wrong_bytes(&s, scratch, true);
    free(scratch);
    if (poisoned || freed) printf("%d bytes wrongly marked, %d wrongly left\n", poisoned, freed);
    return poisoned || freed;
}
