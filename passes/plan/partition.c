/* SPDX-License-Identifier: Apache-2.0 */
/* partition.c - schedules, and kernels grouped into phases: within a phase no kernel reads what another writes. */
#include "passes/rewrite/rewrite.h"

/* The last phase, counted from 1, in which a buffer is read, and in which it is written; 0: none yet. */
typedef struct touched {
    int32_t read, written;
} touched;

/* Does k neither read what kernels of this phase write, nor write what they read? */
static bool may_join(const vj_kernel *k, const touched *buffers, int32_t phase) {
    for (int32_t a = 0; a < k->access_count; a++)
        if (!vj_is_result(k, a) && buffers[k->access[a].buffer].written == phase) return false;
    for (int32_t o = 0; o < k->out_count; o++)
        if (buffers[k->access[k->out[o].access].buffer].read == phase) return false;
    return true;
}

static void note(const vj_kernel *k, touched *buffers, int32_t phase) {
    for (int32_t a = 0; a < k->access_count; a++)
        if (!vj_is_result(k, a)) buffers[k->access[a].buffer].read = phase;
    for (int32_t o = 0; o < k->out_count; o++)
        buffers[k->access[k->out[o].access].buffer].written = phase;
}

vj_status vj_pass_partition(vj_pass_context *c) {
    vj_program *p = c->p;
    touched *buffers = VJ_NEW_ARRAY(c->arena, touched, p->buffer_count + 1);
    p->phases = VJ_NEW_ARRAY(p->arena, vj_phase, p->kernel_count + 1);
    p->phase_count = 0;
    for (int32_t n = 0; n < p->kernel_count; n++) {
        const vj_kernel *k = p->kernels[n];
        vj_schedule_kernel(p->arena, c->options->target, p, p->kernels[n]);
        if (p->phase_count > 0 && may_join(k, buffers, p->phase_count))
            p->phases[p->phase_count - 1].count++;
        else
            p->phases[p->phase_count++] = (vj_phase){n, 1};
        note(k, buffers, p->phase_count);
    }
    c->rewrites += p->phase_count;
    return VJ_OK;
}
