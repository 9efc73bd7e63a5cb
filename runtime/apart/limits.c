/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - see limits.h. A small file is answered within 1 GB and 10 s; what is larger may take more, in proportion. Unless the
 * options say seconds, it is the processors' time that is short: on a machine with much else to do the clock leaves more.
 */
#include "limits.h"

#include <unistd.h>

#define MIB ((int64_t)1 << 20)

/* Beside the program's own pages there is room for this in 1 GB. Threads have stacks of 8 MiB, of which little is used, and the
 * allocator's heaps. */
#define LEAST_MEMORY     (768 * MIB)
#define MEMORY_A_THREAD  (16 * MIB)
#define MEMORY_A_BYTE    4
#define LEAST_SECONDS    8.0
#define SECONDS_A_MIB    4.0
#define CLOCK_PATIENCE   3
#define MOST_MODEL_BYTES (INT64_MAX / 1024) /* nothing below overflows */

/* Sanitizers reserve address space beyond measure, and take their time. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMITS_MEMORY false
#define SLOWER        20.0
#else
#define LIMITS_MEMORY true
#define SLOWER        1.0
#endif

/* An object has a program for each set of sizes and each CPU. */
static int64_t programs_of(const vj_call *call) {
    const vj_emit_request *e = &call->emit;
    if (call->errand != VJ_ERRAND_EMIT) return 1;
    return (int64_t)(e->set_count > 1 ? e->set_count : 1) * (e->cpu_count > 1 ? e->cpu_count : 1);
}

vj_limits vj_limits_of(const vj_call *call, int64_t external_bytes) {
    const vj_options *o = call->request.options;
    const int64_t programs = programs_of(call), own = call->file_bytes, most = MOST_MODEL_BYTES;
    const int64_t bytes = own > most - external_bytes || external_bytes > most ? most : own + external_bytes;
    const long threads = sysconf(_SC_NPROCESSORS_ONLN);
    const double count = threads > 0 ? (double)threads : 1;
    const bool runs = call->errand == VJ_ERRAND_CHECK; /* it computes what the model asks for */
    vj_limits limits = {0};
    if (o->max_memory > 0)
        limits.memory = o->max_memory;
    else if (o->max_memory == 0 && !runs)
        limits.memory = programs * LEAST_MEMORY + (int64_t)count * MEMORY_A_THREAD + MEMORY_A_BYTE * bytes;
    if (o->max_seconds > 0) {
        limits.seconds = o->max_seconds;
        limits.processors = count * (o->max_seconds + 1); /* for a host that cannot keep the time */
    } else if (!(o->max_seconds < 0) && !runs) {
        limits.processors = SLOWER * (double)programs * (LEAST_SECONDS + SECONDS_A_MIB * (double)bytes / (double)MIB);
        limits.seconds = CLOCK_PATIENCE * limits.processors;
    }
    if (!LIMITS_MEMORY) limits.memory = 0;
    return limits;
}
