/* SPDX-License-Identifier: Apache-2.0 */
/* programs.c - a small planned program and its expected answers. */
#include "programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN, NORMED, PRODUCT, OUT, MEAN, W, BIAS, BUFFERS };

static int32_t add_access(vj_kernel *k, int32_t buffer, int64_t a, int64_t b, int64_t c) {
    vj_access access = {.buffer = buffer, .stride = {a, b, c}};
    return vj_add_access(k, &access);
}

static void add_layernorm(vj_program *p) {
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_NEST, "ln");
    vj_arena *arena = p->arena;
    vj_set_axes(k, (const int32_t[]){1, 1}, (const int64_t[]){ROWS, COLS});
    const int32_t in = add_access(k, IN, COLS, 1, 0), out = add_access(k, NORMED, COLS, 1, 0);
    const int32_t mean_out = add_access(k, MEAN, 1, 0, 0);
    const int32_t x = vj_x_load(arena, k, VJ_F32, in), count = vj_x_const(arena, k, VJ_F32, COLS);
    const int32_t sum = vj_x(arena, k, VJ_X_STAGE, VJ_F32, 0, -1, -1);
    const int32_t mean = vj_x(arena, k, VJ_X_DIV, VJ_F32, sum, count, -1);
    const int32_t d = vj_x(arena, k, VJ_X_SUB, VJ_F32, x, mean, -1);
    const int32_t square = vj_x(arena, k, VJ_X_MUL, VJ_F32, d, d, -1);
    const int32_t squares = vj_x(arena, k, VJ_X_STAGE, VJ_F32, 1, -1, -1);
    const int32_t var = vj_x(arena, k, VJ_X_DIV, VJ_F32, squares, count, -1);
    const int32_t eps = vj_x_const(arena, k, VJ_F32, 1e-6);
    const int32_t rstd = vj_x(arena, k, VJ_X_RSQRT, VJ_F32, vj_x(arena, k, VJ_X_ADD, VJ_F32, var, eps, -1), -1, -1);
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, x};
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, square};
    k->out[k->out_count++] = (vj_out){out, vj_x(arena, k, VJ_X_MUL, VJ_F32, d, rstd, -1), -1};
    k->out[k->out_count++] = (vj_out){mean_out, mean, -1};
}

static void add_product(vj_program *p) {
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_GEMM, "fc");
    vj_set_axes(k, (const int32_t[]){0, 1, 1, 1}, (const int64_t[]){ROWS, COLS, COLS});
    k->a = add_access(k, NORMED, COLS, 0, 1);
    k->b = add_access(k, W, 0, 1, COLS);
    const int32_t bias = vj_x_load(p->arena, k, VJ_F32, add_access(k, BIAS, 0, 1, 0));
    const int32_t acc = vj_x(p->arena, k, VJ_X_ACC, VJ_F32, -1, -1, -1);
    const int32_t out = add_access(k, PRODUCT, COLS, 1, 0);
    k->out[k->out_count++] = (vj_out){out, vj_x(p->arena, k, VJ_X_ADD, VJ_F32, acc, bias, -1), -1};
}

static void add_gelu(vj_program *p) {
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_NEST, "gelu");
    vj_set_axes(k, (const int32_t[]){2, 0}, (const int64_t[]){ROWS, COLS});
    const int32_t x = vj_x_load(p->arena, k, VJ_F32, add_access(k, PRODUCT, COLS, 1, 0));
    const int32_t in = vj_x_load(p->arena, k, VJ_F32, add_access(k, IN, COLS, 1, 0));
    const int32_t gelu = vj_x(p->arena, k, VJ_X_GELU_ERF, VJ_F32, x, -1, -1);
    const int32_t out = add_access(k, OUT, COLS, 1, 0);
    k->out[k->out_count++] = (vj_out){out, vj_x(p->arena, k, VJ_X_ADD, VJ_F32, gelu, in, -1), -1};
}

static void add_weight(vj_program *p, int32_t buffer, vj_pack_kind kind, int64_t k, int64_t n) {
    p->buffers[buffer].index = p->weight_count;
    p->buffers[buffer].offset = p->weights_bytes;
    p->weights_bytes = vj_round_up(p->weights_bytes + p->buffers[buffer].elements * 4, VJ_ALIGN);
    *VJ_PUSH(p->arena, p->weights, p->weight_count, p->weight_capacity) = (vj_weight){.kind = kind, .k = k, .n = n};
}

vj_program *small_program(vj_arena *arena, const vj_target *target) {
    vj_program *p = vj_program_new(arena, NULL);
    static const vj_buffer_kind kinds[BUFFERS] = {VJ_BUFFER_INPUT,  VJ_BUFFER_ARENA,  VJ_BUFFER_ARENA, VJ_BUFFER_OUTPUT,
                                                  VJ_BUFFER_OUTPUT, VJ_BUFFER_WEIGHT, VJ_BUFFER_WEIGHT};
    const int64_t panels = vj_round_up(COLS, VJ_PANEL);
    for (int32_t i = 0; i < BUFFERS; i++)
        vj_add_buffer(p, kinds[i], VJ_F32,
                      i == MEAN   ? ROWS
                      : i == W    ? COLS * panels
                      : i == BIAS ? COLS
                                  : ROWS * COLS,
                      NULL);
    p->buffers[IN].index = p->buffers[OUT].index = 0;
    p->buffers[MEAN].index = 1;
    p->buffers[NORMED].offset = 0;
    p->buffers[PRODUCT].offset = vj_round_up(ROWS * COLS * 4, VJ_ALIGN);
    p->per_image_bytes = 2 * p->buffers[PRODUCT].offset;
    add_weight(p, W, VJ_PACK_PANELS, COLS, COLS);
    add_weight(p, BIAS, VJ_PACK_DENSE, 1, COLS);
    add_layernorm(p);
    add_product(p);
    add_gelu(p);
    p->phases = VJ_NEW_ARRAY(arena, vj_phase, 3);
    p->phase_count = 3;
    for (int32_t i = 0; i < 3; i++) {
        p->phases[i] = (vj_phase){i, 1};
        vj_schedule_kernel(arena, target, p, p->kernels[i]);
    }
    return p;
}

static float noise(uint32_t i) {
    i = (i ^ 61) ^ (i >> 16);
    i *= 9;
    i ^= i >> 4;
    i *= 0x27d4eb2du;
    i ^= i >> 15;
    return (float)(i >> 8) * 0x1p-23f - 1;
}

void small_weights(const vj_program *p, void *data) {
    memset(data, 0, (size_t)p->weights_bytes);
    float *w = (void *)((uint8_t *)data + p->buffers[W].offset),
          *bias = (void *)((uint8_t *)data + p->buffers[BIAS].offset);
    for (int32_t k = 0; k < COLS; k++)
        for (int32_t n = 0; n < COLS; n++)
            w[vj_panel_at(VJ_F32, COLS, k, n)] = noise((uint32_t)(k * COLS + n)) * 0.3f;
    for (int32_t n = 0; n < COLS; n++)
        bias[n] = noise((uint32_t)n + 77777);
}

void small_input(int64_t n, float *in) {
    for (int64_t i = 0; i < n * ROWS * COLS; i++)
        in[i] = noise((uint32_t)i + 123456) * 3;
}

void small_answers(const vj_program *p, const void *weights, int64_t n, const float *in, double *out, double *mean) {
    double *buffers[BUFFERS];
    for (int32_t i = 0; i < BUFFERS; i++)
        buffers[i] = calloc((size_t)p->buffers[i].elements, sizeof(double));
    for (int32_t b = W; b <= BIAS; b++)
        for (int64_t i = 0; i < p->buffers[b].elements; i++)
            buffers[b][i] = ((const float *)(const void *)((const uint8_t *)weights + p->buffers[b].offset))[i];
    for (int64_t image = 0; image < n; image++) {
        for (int32_t i = 0; i < ROWS * COLS; i++)
            buffers[IN][i] = in[image * ROWS * COLS + i];
        vj_error error = {0};
        for (int32_t i = 0; i < p->kernel_count; i++)
            if (!vj_eval_kernel(p, p->kernels[i], buffers, &error)) {
                fprintf(stderr, "%s\n", error.text);
                abort();
            }
        memcpy(out + image * ROWS * COLS, buffers[OUT], ROWS * COLS * sizeof *out);
        memcpy(mean + image * ROWS, buffers[MEAN], ROWS * sizeof *mean);
    }
    for (int32_t i = 0; i < BUFFERS; i++)
        free(buffers[i]);
}
