/* gemm_bench.c - GFLOP/s of the gemm kernels of Vision Transformers beside the peak that this core reaches, one thread.
 *
 *     gemm_bench [TARGET] [SECONDS-PER-SHAPE]
 *
 * The peak is measured by a loop of multiply-adds without memory (a gemm of a tile's size cannot exceed it). Every
 * shape runs with its weights warm and, when `cold` is given, with weights that are new each time, as in a model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"

typedef struct shape {
    const char *name;
    int64_t rows, columns, depth, lda;
} shape;

static const shape shapes[] = {
    {"ViT-B proj", 197, 768, 768, 784},     {"ViT-B qkv", 197, 2304, 768, 784},  {"ViT-B fc1", 197, 3072, 768, 784},
    {"ViT-B fc2", 197, 768, 3072, 3088},    {"ViT-B patch", 196, 768, 768, 784}, {"ViT-Ti qkv", 197, 576, 192, 208},
    {"ViT-Ti fc1", 197, 768, 192, 208},     {"ViT-Ti fc2", 197, 192, 768, 784},  {"ViT-B head", 1, 1000, 768, 784},
    {"ViT-B proj 768", 197, 768, 768, 768},
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* C[rows, columns] = A[rows, lda] * B, B in panels */
static vj_kernel *make(vj_program *p, const vj_target *target, const shape *s) {
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_GEMM, "gemm");
    k->rank = 3;
    k->extent[0] = s->rows;
    k->extent[1] = s->columns;
    k->extent[2] = s->depth;
    k->row_axes = k->col_axes = k->depth_axes = 1;
    const int64_t panels = vj_round_up(s->columns, VJ_PANEL);
    vj_weight *weight = VJ_PUSH(p->arena, p->weights, p->weight_count, p->weight_capacity);
    *weight = (vj_weight){.kind = VJ_PACK_PANELS, .k = s->depth, .n = s->columns};
    const int32_t a = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, s->rows * s->lda, "a");
    const int32_t b = vj_add_buffer(p, VJ_BUFFER_WEIGHT, VJ_F32, panels * s->depth, "b");
    const int32_t c = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, s->rows * s->columns, "c");
    p->buffers[b].index = p->weight_count - 1;
    k->a = vj_add_access(k, &(vj_access){.buffer = a, .stride = {s->lda, 0, 1}});
    k->b = vj_add_access(k, &(vj_access){.buffer = b});
    const int32_t to = vj_add_access(k, &(vj_access){.buffer = c, .stride = {s->columns, 1, 0}});
    k->out[k->out_count++] = (vj_out){to, vj_x(p->arena, k, VJ_X_ACC, VJ_F32, 0, 0, 0), -1};
    vj_schedule_kernel(p->arena, target, p, k);
    return k;
}

/* Median GFLOP/s of one call. `copies` of B are walked through, so that more than the cache holds is read. */
static double measure(const vj_target *target, const shape *s, double seconds, int64_t copies, char **schedule,
                      vj_gemm_schedule *use) {
    vj_arena *arena = vj_arena_new();
    vj_program *p = vj_program_new(arena, NULL);
    vj_kernel *k = make(p, target, s);
    if (use) {
        vj_schedule *own = VJ_NEW(arena, vj_schedule);
        *own = *k->schedule;
        own->gemm.width = use->width;
        own->gemm.unit_col_tiles = 1;
        own->gemm.unit_row_blocks = 1;
        if (use->k_unroll) own->gemm.k_unroll = use->k_unroll;
        own->gemm.prefetch = use->prefetch;
        vj_tile_mix(s->rows, use->tiles[0].height, &own->gemm);
        k->schedule = own;
        k->units = vj_ceil_div(s->columns, use->width * own->gemm.lanes);
    }
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
    code *c = code_make(target, p, k);
    float *buffers[3] = {0};
    for (int32_t i = 0; i < 3; i++) {
        const size_t count = (size_t)p->buffers[i].elements * (size_t)(i == 1 ? copies : 1);
        buffers[i] = aligned_alloc(4096, (count * 4 + 4095) / 4096 * 4096);
        if (!buffers[i]) abort();
        for (size_t e = 0; e < count; e++)
            buffers[i][e] = (float)(e % 7) * 0.25F - 0.5F;
    }
    double best = 1e30, times[4096];
    int32_t count = 0;
    for (const double start = now(); count < 4096 && (now() - start < seconds || count < 5); count++) {
        float *at[3] = {buffers[0], buffers[1] + (count % copies) * p->buffers[1].elements, buffers[2]};
        const double begin = now();
        code_run(c, (void *const *)at, 0, k->units);
        times[count] = now() - begin;
        if (times[count] < best) best = times[count];
    }
    for (int32_t i = 1; i < count; i++) /* insertion sort: few numbers */
        for (int32_t j = i; j > 0 && times[j] < times[j - 1]; j--) {
            const double swap = times[j];
            times[j] = times[j - 1];
            times[j - 1] = swap;
        }
    const double median = times[count / 2], flops = 2.0 * (double)(s->rows * s->columns * s->depth);
    for (int32_t i = 0; i < 3; i++)
        free(buffers[i]);
    code_free(c);
    vj_arena_free(arena);
    return flops / median * 1e-9;
}

/* A product whose operands stay in the first level: one panel group and one tile of rows, a long depth. */
static double peak(const vj_target *target, double seconds) {
    const shape small = {"peak", 14, 32, 256, 256};
    double best = 0;
    for (int32_t i = 0; i < 3; i++) {
        char *text;
        const double g = measure(target, &small, seconds, 1, &text, NULL);
        free(text);
        if (g > best) best = g;
    }
    return best;
}

int main(int argc, char **argv) {
    const vj_target *target = argc > 1 ? vj_target_by_name(argv[1]) : vj_target_host();
    const double seconds = argc > 2 ? atof(argv[2]) : 0.3;
    if (!target || !target_runs_here(target)) return fprintf(stderr, "no such target here\n"), 1;
    printf("%s: small product %.1f GFLOP/s\n", target->name, peak(target, seconds));
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        char *text;
        const int64_t copies = 64 * 1024 * 1024 / (s->columns * s->depth * 4) + 1;
        const double warm = measure(target, s, seconds, 1, &text, NULL);
        free(text);
        const double cold = measure(target, s, seconds, copies, &text, NULL);
        printf("%-15s %4lldx%4lldx%4lld warm %6.1f cold %6.1f   %s\n", s->name, (long long)s->rows,
               (long long)s->columns, (long long)s->depth, warm, cold, text);
        free(text);
    }
    return 0;
}
