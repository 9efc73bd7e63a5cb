/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_bench.c - GFLOP/s of the gemm kernels of Vision Transformers beside the peak that this core reaches, one thread.
 *
 *     gemm_bench [TARGET] [SECONDS-PER-SHAPE] [f32 | bf16 | int8 | weights-bf16 | weights-f16] [tiles]
 *
 * bf16: both operands; int8: u8 by i8; weights-...: float32 times narrow weights.
 *
 * The peak is measured by a loop of multiply-adds without memory (a gemm of a tile's size cannot exceed it). Every
 * shape runs with its weights warm and, when `cold` is given, with weights that are new each time, as in a model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_clock.h"

#include "backend/backend.h"
#include "harness.h"
#include "vitjit_half.h"

typedef struct shape {
    const char *name;
    int64_t rows, columns, depth, lda;
    int gelu;
} shape;

static const shape shapes[] = {
    {"ViT-B proj", 197, 768, 768, 784, 0},      {"ViT-B qkv", 197, 2304, 768, 784, 0},
    {"ViT-B fc1", 197, 3072, 768, 784, 0},      {"ViT-B fc2", 197, 768, 3072, 3088, 0},
    {"ViT-B patch", 196, 768, 768, 784, 0},     {"ViT-Ti qkv", 197, 576, 192, 208, 0},
    {"ViT-Ti fc1", 197, 768, 192, 208, 0},      {"ViT-Ti fc2", 197, 192, 768, 784, 0},
    {"ViT-B head", 1, 1000, 768, 784, 0},       {"ViT-B proj 768", 197, 768, 768, 768, 0},
    {"ViT-B fc1 gelu", 197, 3072, 768, 784, 1},
};

/* The types of A and of B. */
typedef struct types {
    const char *name;
    vj_dtype a, b;
} types;

static const types all_types[] = {{"f32", VJ_F32, VJ_F32},
                                  {"bf16", VJ_BF16, VJ_BF16},
                                  {"int8", VJ_U8, VJ_I8},
                                  {"weights-bf16", VJ_F32, VJ_BF16},
                                  {"weights-f16", VJ_F32, VJ_F16}};
static const types *use_types = all_types;

/* Small numbers of a type, as many as a room of so many bytes holds. */
static void *fill(vj_dtype dtype, size_t elements) {
    const size_t bytes = elements * (size_t)vj_element_bytes(dtype);
    uint8_t *room = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!room) abort();
    for (size_t e = 0; e < elements; e++) {
        const float x = (float)(e % 7) * 0.25F - 0.5F;
        const uint16_t half = dtype == VJ_F16 ? vj_f16_of_f32(x) : vj_bf16_of_f32(x);
        if (vj_element_bytes(dtype) == 1)
            room[e] = (uint8_t)(e * 37);
        else if (vj_element_bytes(dtype) == 4)
            memcpy(room + e * sizeof x, &x, sizeof x);
        else
            memcpy(room + e * sizeof half, &half, sizeof half);
    }
    return room;
}

/* Elements from one row of A to the next: as lowering has it, an odd number of cache lines, but for the shape that is to show why. */
static int64_t pitch_of(const shape *s) {
    const int64_t line = 64 / vj_element_bytes(use_types->a);
    return use_types->a == VJ_F32 || s->lda == s->depth ? s->lda : vj_round_up(s->depth, 2 * line) + line;
}

/* C[rows, columns] = A[rows, pitch] * B, B in panels */
static vj_kernel *make(vj_program *p, const vj_target *target, const shape *s) {
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_GEMM, "gemm");
    vj_set_axes(k, (const int32_t[]){0, 1, 1, 1}, (const int64_t[]){s->rows, s->columns, s->depth});
    int64_t panels;
    if (!vj_panel_elements(use_types->b, s->depth, s->columns, &panels)) abort();
    vj_weight *weight = VJ_PUSH(p->arena, p->weights, p->weight_count, p->weight_capacity);
    *weight = (vj_weight){.kind = VJ_PACK_PANELS, .k = s->depth, .n = s->columns};
    const int32_t a = vj_add_buffer(p, VJ_BUFFER_ARENA, use_types->a, s->rows * pitch_of(s), "a");
    const int32_t b = vj_add_buffer(p, VJ_BUFFER_WEIGHT, use_types->b, panels, "b");
    const vj_dtype sum = use_types->a == VJ_U8 ? VJ_I32 : VJ_F32;
    const int32_t c = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, s->rows * s->columns, "c");
    p->buffers[b].index = p->weight_count - 1;
    k->a = vj_add_access(k, &(vj_access){.buffer = a, .stride = {pitch_of(s), 0, 1}});
    k->b = vj_add_access(k, &(vj_access){.buffer = b});
    const int32_t to = vj_add_access(k, &(vj_access){.buffer = c, .stride = {s->columns, 1, 0}});
    int32_t x = vj_x(p->arena, k, VJ_X_ACC, sum, 0, 0, 0);
    if (sum != VJ_F32) x = vj_x(p->arena, k, VJ_X_CAST, VJ_F32, x, 0, 0);
    if (s->gelu) x = vj_x(p->arena, k, VJ_X_GELU_ERF, VJ_F32, x, 0, 0);
    k->out[k->out_count++] = (vj_out){to, x, -1};
    vj_schedule_kernel(p->arena, target, p, k);
    return k;
}

/* The schedule with another tile: whole columns, one tile a unit. */
static const vj_schedule * override(vj_arena *arena, vj_kernel *k, const shape *s, const vj_gemm_schedule *use) {
    vj_schedule *own = VJ_NEW(arena, vj_schedule);
    *own = *k->schedule;
    own->gemm.width = use->width;
    own->gemm.unit_col_tiles = own->gemm.unit_row_blocks = 1;
    own->gemm.k_unroll = use->k_unroll;
    own->gemm.prefetch = use->prefetch;
    vj_tile_mix(s->rows, use->tiles[0].height, &own->gemm);
    k->units = vj_ceil_div(s->columns, (int64_t)use->width * own->gemm.lanes);
    return own;
}

/* GFLOP/s of the best of many calls, as the peak is: what other programs take from the machine is not the code's. `copies` of B are walked through, so that more than the cache holds is read. */
static double measure(const vj_target *target, const shape *s, double seconds, int64_t copies, char **schedule,
                      vj_gemm_schedule *use) {
    vj_arena *arena = vj_arena_new();
    vj_program *p = vj_program_new(arena, NULL);
    vj_kernel *k = make(p, target, s);
    if (use) k->schedule = override(arena, k, s, use);
    char *text = vj_schedule_text(arena, k);
    *schedule = strdup(text);
    const char *dump = getenv("GEMM_BENCH_ASM");
    if (dump) {
        char *assembly = code_assembly(target, p, k);
        FILE *f = fopen(dump, "w");
        if (f) {
            fputs(assembly, f);
            fclose(f);
        }
        free(assembly);
    }
    const double compile = vj_clock_seconds();
    code *c = code_make(target, p, k);
    if (getenv("GEMM_BENCH_ASM"))
        fprintf(stderr, "%s: code in %.1f ms\n", s->name, (vj_clock_seconds() - compile) * 1e3);
    uint8_t *buffers[3] = {0};
    for (int32_t i = 0; i < 3; i++)
        buffers[i] = fill(p->buffers[i].dtype, (size_t)p->buffers[i].elements * (size_t)(i == 1 ? copies : 1));
    const int64_t b_bytes = p->buffers[1].elements * vj_element_bytes(p->buffers[1].dtype);
    double best = 1e30;
    int32_t count = 0;
    for (const double start = vj_clock_seconds(); vj_clock_seconds() - start < seconds || count < 5; count++) {
        uint8_t *at[3] = {buffers[0], buffers[1] + (count % copies) * b_bytes, buffers[2]};
        const double begin = vj_clock_seconds();
        code_run(c, (void *const *)at, 0, k->units);
        const double time = vj_clock_seconds() - begin;
        if (time < best) best = time;
    }
    const double flops = 2.0 * (double)(s->rows * s->columns * s->depth);
    for (int32_t i = 0; i < 3; i++)
        free(buffers[i]);
    code_free(c);
    vj_arena_free(arena);
    return flops / best * 1e-9;
}

/* The peak: GFLOP/s of multiply-adds alone. */
static double peak(const vj_target *target, double seconds) {
    vj_arena *arena = vj_arena_new();
    double flops, best = 1e30;
    const vj_program *p = vj_peak_program(arena, target, &flops);
    code *peak_code = code_make(target, p, p->kernels[0]);
    static float values[3][4096] __attribute__((aligned(64)));
    for (const double start = vj_clock_seconds(); vj_clock_seconds() - start < seconds;) {
        const double begin = vj_clock_seconds();
        for (int32_t i = 0; i < 16; i++)
            code_run(peak_code, (void *const[]){values[0], values[1], values[2]}, 0, 1);
        const double time = (vj_clock_seconds() - begin) / 16;
        if (time < best) best = time;
    }
    code_free(peak_code);
    vj_arena_free(arena);
    return flops / best * 1e-9;
}

/* Attention of one image, for its share of a block: GFLOP/s of the two products, softmax's time included. */
static double attention(const vj_target *target, int64_t heads, int64_t tokens, int64_t dim, double seconds,
                        char **schedule) {
    vj_arena *arena = vj_arena_new();
    vj_program *p = vj_program_new(arena, NULL);
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_ATTENTION, "mha");
    const int64_t extent[] = {heads, tokens, tokens, dim, dim}, pitch = vj_round_up(tokens, 16);
    vj_set_axes(k, (const int32_t[]){1, 1, 1, 1, 1}, extent);
    void *buffers[4];
    const vj_dtype dtype = use_types->a == use_types->b ? use_types->a : VJ_F32; /* there are none of integers */
    for (int32_t i = 0; i < 4; i++) {
        const int64_t elements = heads * pitch * dim;
        vj_add_buffer(p, VJ_BUFFER_ARENA, i < 3 ? dtype : VJ_F32, elements, NULL);
        buffers[i] = fill(i < 3 ? dtype : VJ_F32, (size_t)elements);
    }
    k->q = vj_add_access(k, &(vj_access){.buffer = 0, .stride = {tokens * dim, dim, 0, 1, 0}});
    const vj_access transposed = {.buffer = 1, .stride = {dim * pitch, 0, 1, pitch, 0}};
    const vj_access rows = {.buffer = 1, .stride = {tokens * dim, 0, dim, 1, 0}};
    k->k = vj_add_access(k, dtype == VJ_F32 ? &transposed : &rows);
    k->v = vj_add_access(k, &(vj_access){.buffer = 2, .stride = {tokens * dim, 0, dim, 0, 1}});
    const int32_t to = vj_add_access(k, &(vj_access){.buffer = 3, .stride = {dim, heads * dim, 0, 0, 1}});
    k->score_expr = vj_x(arena, k, VJ_X_ACC, VJ_F32, 0, 0, 0);
    k->out[k->out_count++] = (vj_out){to, k->score_expr, -1};
    vj_schedule_kernel(arena, target, p, k);
    *schedule = strdup(vj_schedule_text(arena, k));
    code *c = code_make(target, p, k);
    double best = 1e30;
    for (const double start = vj_clock_seconds(); vj_clock_seconds() - start < seconds;) {
        const double begin = vj_clock_seconds();
        code_run(c, buffers, 0, k->units);
        if (vj_clock_seconds() - begin < best) best = vj_clock_seconds() - begin;
    }
    code_free(c);
    for (int32_t i = 0; i < 4; i++)
        free(buffers[i]);
    vj_arena_free(arena);
    return 4.0 * (double)(heads * tokens * tokens * dim) / best * 1e-9;
}

/* Other tiles, unrolling and prefetch on one shape: what the schedule's choice is judged by. */
static void try_tiles(const vj_target *target, double seconds, double most) {
    static const int32_t tiles[][2] = {{14, 2}, {13, 2}, {12, 2}, {9, 3}, {6, 4}, {6, 2}, {5, 2}, {4, 2}};
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        if (tiles[i][0] * tiles[i][1] + tiles[i][1] >= target->registers) continue;
        if (tiles[i][1] * target->vector_bytes / 4 % VJ_PANEL && VJ_PANEL % (tiles[i][1] * target->vector_bytes / 4))
            continue;
        for (int32_t unroll = 1; unroll <= 4; unroll *= 4) {
            for (int32_t fetch = 0; fetch < 2; fetch++) {
                const int64_t rows = vj_ceil_div(197, tiles[i][0]);
                vj_gemm_schedule use = {.width = tiles[i][1], .tiles = {{.height = tiles[i][0]}}, .k_unroll = unroll};
                use.prefetch = fetch ? (int32_t)vj_ceil_div((int64_t)use.width * target->vector_bytes, rows) : 0;
                char *text;
                const double warm = measure(target, &shapes[0], seconds, 1, &text, &use);
                free(text);
                const double cold = measure(target, &shapes[0], seconds, 40, &text, &use);
                free(text);
                printf("tile %dx%d unroll %d prefetch %d: warm %3.0f %% cold %3.0f %%\n", (int)tiles[i][0],
                       (int)use.width, (int)unroll, (int)use.prefetch, 100 * warm / most, 100 * cold / most);
            }
        }
    }
}

int main(int argc, char **argv) {
    const vj_target *target = argc > 1 ? vj_target_by_name(argv[1]) : vj_target_host();
    const double seconds = argc > 2 ? atof(argv[2]) : 0.3;
    for (size_t i = 0; i < sizeof all_types / sizeof *all_types; i++)
        if (argc > 3 && strcmp(argv[3], all_types[i].name) == 0) use_types = &all_types[i];
    if (!target || !vj_target_runs_here(target)) return fprintf(stderr, "no such target here\n"), 1;
    const double most = peak(target, seconds);
    printf("%s: peak %.1f GFLOP/s\n", target->name, most);
    if (argc > 4 && strcmp(argv[4], "tiles") == 0) {
        try_tiles(target, seconds, most);
        return 0;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        char *text;
        const int64_t copies = 64 * 1024 * 1024 / (s->columns * s->depth * vj_element_bytes(use_types->b)) + 1;
        const double warm = measure(target, s, seconds, 1, &text, NULL);
        free(text);
        const double cold = measure(target, s, seconds, copies, &text, NULL);
        printf("%-15s %4lldx%4lldx%4lld warm %6.1f (%3.0f %%) cold %6.1f (%3.0f %%)  %s\n", s->name, (long long)s->rows,
               (long long)s->columns, (long long)s->depth, warm, 100 * warm / most, cold, 100 * cold / most, text);
        free(text);
    }
    static const int64_t heads[][3] = {{12, 197, 64}, {3, 197, 64}, {64, 49, 32}, {12, 1370, 64}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        char *text;
        const double g = attention(target, heads[i][0], heads[i][1], heads[i][2], seconds, &text);
        printf("attention %lldx%lldx%lld %6.1f (%3.0f %%)  %s\n", (long long)heads[i][0], (long long)heads[i][1],
               (long long)heads[i][2], g, 100 * g / most, text);
        free(text);
    }
    return 0;
}
