/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c - a run on the caller's threads: with their barrier one call, without one a call for each phase. */
#include "abi.h"

typedef struct job {
    vj_args args;
    int32_t phase, last; /* the first, or the one of this call; the last there is */
    const vj_threads *threads;
} job;

static void one_phase(void *arg, int32_t part) {
    const job *j = arg;
    vj_abi_dispatch(&j->args, j->phase, part, j->threads->parts);
}

static void all_phases(void *arg, int32_t part) {
    const job *j = arg;
    const vj_threads *threads = j->threads;
    vj_abi_dispatch(&j->args, j->phase, part, threads->parts);
    for (int32_t phase = j->phase + 1; phase <= j->last; phase++) {
        threads->barrier(threads->self, part);
        vj_abi_dispatch(&j->args, phase, part, threads->parts);
    }
}

int vj_abi_run_on(const vj_context *context, int64_t n, const void *const *inputs, void *const *outputs, void *scratch,
                  const vj_threads *threads) {
    job j;
    if (!threads || !threads->run || threads->parts < 1) return VJ_RUN_BAD_ARGUMENT;
    const int status = vj_abi_prepare(context, n, inputs, outputs, scratch, &j.args);
    if (status != VJ_RUN_OK) return status;
    j.threads = threads;
    j.phase = n < threads->parts ? 1 : 0; /* phases without images are left out */
    j.last = n % threads->parts == 0 ? 0 : context->model->phase_count;
    if (threads->barrier) {
        threads->run(threads->self, all_phases, &j, threads->parts);
        return VJ_RUN_OK;
    }
    do {
        threads->run(threads->self, one_phase, &j, threads->parts);
    } while (++j.phase <= j.last);
    return VJ_RUN_OK;
}
