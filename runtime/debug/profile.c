/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - when each thread began and ended its share of each kernel. Threads take places in one array by a counter:
 * no lock, and no memory that is touched for the first time while a kernel is timed. */
#include "runtime/runtime.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_clock.h"

struct vj_spans {
    atomic_int_fast64_t taken;
    int64_t most;
    vj_span at[];
};

vj_spans *vj_spans_new(int64_t most) {
    size_t bytes;
    if (__builtin_mul_overflow((size_t)most, sizeof(vj_span), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(vj_spans), &bytes))
        return NULL;
    vj_spans *spans = malloc(bytes);
    if (!spans) return NULL;
    memset(spans, 0, bytes);
    spans->most = most;
    return spans;
}

void vj_spans_free(vj_spans *spans) { free(spans); }

int64_t vj_mark(void *self, int32_t kernel, int64_t begun, int64_t units) {
    vj_spans *spans = self;
    if (!spans) return 0;
    const int64_t now = vj_clock_ns();
    if (begun == 0 || units < 1) return now;
    const int64_t place = atomic_fetch_add_explicit(&spans->taken, 1, memory_order_relaxed);
    if (place >= spans->most) return now;
    uint64_t thread = 0;
    const pthread_t self_thread = pthread_self();
    memcpy(&thread, &self_thread, sizeof self_thread < sizeof thread ? sizeof self_thread : sizeof thread);
    spans->at[place] = (vj_span){begun, now, units, thread, kernel};
    return now;
}

const vj_span *vj_spans_kept(const vj_spans *spans, int64_t *count, int64_t *lost) {
    const int64_t taken = spans ? atomic_load(&((vj_spans *)(uintptr_t)spans)->taken) : 0;
    *count = spans && taken > spans->most ? spans->most : taken;
    *lost = taken - *count;
    return spans ? spans->at : NULL;
}
