/* SPDX-License-Identifier: Apache-2.0 */
/* peak.c - a program whose speed is the most that a target's multiply-adds can reach on one core: a gemm whose operands
 * do not move with k (strides of 0), so that its loop has no memory in it. */
#include "backend/backend.h"

enum { DEPTH = 4096 };

/* A square tile of vectors: 9 or 16 sums hide the latency of a multiply-add, and their operands fit the registers too. */
vj_program *vj_peak_program(vj_arena *arena, const vj_target *target, double *flops) {
    const int32_t height = target->registers > 16 ? 4 : 3, lanes = target->vector_bytes / 4;
    const int64_t extent[] = {height, (int64_t)height * lanes, DEPTH};
    vj_program *p = vj_program_new(arena, NULL);
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_GEMM, "peak");
    vj_set_axes(k, (const int32_t[]){0, 1, 1, 1}, extent);
    const int32_t a = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, extent[0], "a");
    const int32_t b = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, extent[1], "b");
    const int32_t c = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, extent[0] * extent[1], "c");
    k->a = vj_add_access(k, &(vj_access){.buffer = a, .stride = {1, 0, 0}});
    k->b = vj_add_access(k, &(vj_access){.buffer = b, .stride = {0, 1, 0}});
    const int32_t to = vj_add_access(k, &(vj_access){.buffer = c, .stride = {extent[1], 1, 0}});
    k->out[k->out_count++] = (vj_out){to, vj_x(arena, k, VJ_X_ACC, VJ_F32, 0, 0, 0), -1};
    vj_schedule *schedule = VJ_NEW(arena, vj_schedule);
    schedule->gemm =
        (vj_gemm_schedule){.lanes = lanes, .width = height, .k_unroll = 8, .unit_col_tiles = 1, .unit_row_blocks = 1};
    vj_tile_mix(height, height, &schedule->gemm);
    k->schedule = schedule;
    k->units = 1;
    for (int32_t i = 0; i < p->buffer_count; i++) {
        p->buffers[i].offset = p->per_image_bytes;
        p->per_image_bytes += vj_round_up(p->buffers[i].elements * 4, VJ_ALIGN);
    }
    p->phases = VJ_NEW(arena, vj_phase);
    p->phases[0] = (vj_phase){0, 1};
    p->phase_count = 1;
    *flops = 2.0 * (double)(extent[0] * extent[1] * extent[2]);
    return p;
}
