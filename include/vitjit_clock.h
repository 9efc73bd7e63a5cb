/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_clock.h - the clock that durations are measured with. Private to the project (not installed). */
#ifndef VITJIT_CLOCK_H
#define VITJIT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC. */
static inline int64_t vj_clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline double vj_clock_seconds(void) { return (double)vj_clock_ns() * 1e-9; }
static inline double vj_clock_ms(void) { return (double)vj_clock_ns() * 1e-6; }

#endif
