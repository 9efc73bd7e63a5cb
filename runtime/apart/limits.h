/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - what a call of the compiler's program may take. */
#ifndef VITJIT_RUNTIME_APART_LIMITS_H
#define VITJIT_RUNTIME_APART_LIMITS_H

#include "call.h"

typedef struct vj_limits {
    int64_t memory;    /* bytes of a process' data, RLIMIT_DATA; 0: none */
    double seconds;    /* by the clock; 0: none */
    double processors; /* seconds of the processors' time, of all threads together; 0: none */
} vj_limits;

/* By the options, else by the bytes of the model's files: its own, and those of external data as far as they are known. */
vj_limits vj_limits_of(const vj_call *call, int64_t external_bytes);

#endif
