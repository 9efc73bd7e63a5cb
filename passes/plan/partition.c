/* partition.c - schedules, and kernels grouped into phases: within a phase no kernel reads what another writes. */
#include "passes/rewrite/rewrite.h"

static bool is_result(const vj_kernel *k, int32_t access) {
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->out[o].access == access) return true;
    return false;
}

/* Does k read what the other writes? */
static bool reads_from(const vj_kernel *k, const vj_kernel *other) {
    for (int32_t a = 0; a < k->access_count; a++) {
        if (is_result(k, a)) continue;
        for (int32_t o = 0; o < other->out_count; o++)
            if (other->access[other->out[o].access].buffer == k->access[a].buffer) return true;
    }
    return false;
}

vj_status vj_pass_partition(vj_pass_context *c) {
    vj_program *p = c->p;
    p->phases = VJ_NEW_ARRAY(p->arena, vj_phase, p->kernel_count + 1);
    p->phase_count = 0;
    for (int32_t n = 0; n < p->kernel_count; n++) {
        vj_schedule_kernel(p->arena, c->options->target, p, p->kernels[n]);
        vj_phase *phase = p->phase_count > 0 ? &p->phases[p->phase_count - 1] : NULL;
        bool joins = phase != NULL;
        for (int32_t i = 0; joins && i < phase->count; i++) {
            const vj_kernel *other = p->kernels[phase->first + i];
            joins = !reads_from(p->kernels[n], other) && !reads_from(other, p->kernels[n]);
        }
        if (joins)
            phase->count++;
        else
            p->phases[p->phase_count++] = (vj_phase){n, 1};
    }
    c->rewrites += p->phase_count;
    return VJ_OK;
}
