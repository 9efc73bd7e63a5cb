/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - a plain C program that links an emitted object. It runs the object in every way, checks what is refused, and
 * writes the outputs of seven images. Its argument is the folder with `in` and small.weights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_model.h"

const vj_model *small_model(void);
int small_init(vj_context *context, const void *weights, size_t bytes);
int small_init_as(vj_context *context, const void *weights, size_t bytes, int32_t shape, uint64_t features);
void small_phase(const vj_args *args, int32_t phase, int32_t part, int32_t parts);
int small_run(const vj_context *context, int64_t n, const void *const *inputs, void *const *outputs, void *scratch);
int small_run_on(const vj_context *context, int64_t n, const void *const *inputs, void *const *outputs, void *scratch,
                 const vj_threads *threads);

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "main.c:%d: %s\n", __LINE__, #what);                                                       \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

enum { N = 7, PARTS = 3 };

static void *aligned(size_t bytes) { return aligned_alloc(4096, (bytes + 4096) / 4096 * 4096); }

static size_t read_all(const char *folder, const char *name, void *data, size_t room) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) exit(1);
    const size_t size = fread(data, 1, room, f);
    fclose(f);
    return size;
}

/* Runs the parts one after another, the last one first. */
static void backwards(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts) {
    ++*(int *)self;
    for (int32_t part = parts; part-- > 0;)
        task(arg, part);
}

static void no_barrier(void *self, int32_t part) {
    (void)part;
    ++*(int *)self;
}

static int check_init(const vj_model *m, char *weights, size_t bytes) {
    vj_context c;
    CHECK(small_init(NULL, weights, bytes) == VJ_RUN_BAD_ARGUMENT);
    if (bytes == 0) {
        CHECK(small_init(&c, weights, 64) == VJ_RUN_BAD_ARGUMENT);
        return 0;
    }
    CHECK(small_init(&c, NULL, bytes) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_init(&c, weights + 4, bytes) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_init(&c, weights, bytes - 1) == VJ_RUN_BAD_WEIGHTS);
    CHECK(small_init(&c, weights, 0) == VJ_RUN_BAD_WEIGHTS);
    for (int i = 0; i < 32; i++) {
        weights[i] ^= 1;
        CHECK(small_init(&c, weights, bytes) == VJ_RUN_BAD_WEIGHTS);
        weights[i] ^= 1;
    }
    CHECK(m->weights_bytes + 4096 == (int64_t)bytes);
    return 0;
}

/* All shapes give the same bits, and so do the phases when the caller runs them. Only this CPU's code is run. */
static int check_shapes(const vj_context *first, const void *weights, size_t bytes, const char *in, const char *wanted,
                        char *scratch) {
    const vj_model *m = small_model();
    const size_t out_bytes = (size_t)m->outputs[0].bytes_per_image * N,
                 mean = (size_t)m->outputs[1].bytes_per_image * N;
    char *y = aligned(out_bytes), *other = aligned(mean);
    const void *inputs[1] = {in};
    void *outputs[2] = {y, other};
    CHECK(first->model == m && first->variant >= 0 && first->variant < m->cpu_count && m->shapes == m);
    for (int32_t i = 0; i < m->cpu_count; i++) {
        vj_context c;
        const int ok = small_init_as(&c, weights, bytes, 0, m->cpus[i].features) == VJ_RUN_OK && c.variant == i;
        CHECK(ok && m->cpus[i].name[0]);
    }
    for (int32_t s = 0; s < m->shape_count; s++) {
        vj_context c = {0}, wrong;
        CHECK(m->shapes[s].shapes == m && m->shapes[s].shape_count == m->shape_count && m->shapes[s].cpus == m->cpus);
        CHECK(small_init_as(&c, weights, bytes, s, VJ_CPU_ASK) == VJ_RUN_OK && c.model == &m->shapes[s]);
        CHECK(c.variant == s * m->cpu_count + first->variant);
        memset(y, 0xff, out_bytes);
        CHECK(small_run(&c, N, inputs, outputs, scratch) == VJ_RUN_OK && memcmp(y, wanted, out_bytes) == 0);
        CHECK(small_run(&c, c.model->max_batch + 1, inputs, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
        memset(y, 0xff, out_bytes);
        const vj_args args = {inputs, outputs, c.weights, scratch, N, c.variant};
        small_phase(&args, 0, 0, 1);
        CHECK(memcmp(y, wanted, out_bytes) == 0);
        wrong = c;
        wrong.variant = c.variant - m->cpu_count;
        CHECK(small_run(&wrong, N, inputs, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
        wrong.variant = c.variant + m->cpu_count;
        CHECK(small_run(&wrong, N, inputs, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
    }
    vj_context c;
    CHECK(small_init_as(&c, weights, bytes, -1, VJ_CPU_ASK) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_init_as(&c, weights, bytes, m->shape_count, VJ_CPU_ASK) == VJ_RUN_BAD_ARGUMENT);
    return 0;
}

int main(int argc, char **argv) {
    (void)argc;
    const vj_model *m = small_model();
    CHECK(m->abi == VJ_MODEL_ABI && m->header_size == sizeof *m && strcmp(m->name, "small \"one\"") == 0);
    CHECK(m->input_count == 1 && m->output_count == 2 && strcmp(m->outputs[1].name, "mean") == 0);
    CHECK(m->inputs[0].dims[0] == -1 && m->inputs[0].rank == 3 && m->hash[1] == UINT64_MAX && m->max_batch == 8);
    const size_t in_bytes = (size_t)m->inputs[0].bytes_per_image * N,
                 mean_bytes = (size_t)m->outputs[1].bytes_per_image * N;
    char *in = aligned(in_bytes), *y = aligned(in_bytes), *mean = aligned(mean_bytes);
    char *first = aligned(in_bytes), *first_mean = aligned(mean_bytes), *weights = aligned(1 << 20);
    char *scratch = aligned((size_t)(m->scratch_fixed + PARTS * m->scratch_per_image));
    const size_t bytes = read_all(argv[1], "small.weights", weights, 1 << 20);
    read_all(argv[1], "in", in, in_bytes);
    if (check_init(m, weights, bytes)) return 1;
    vj_context c;
    CHECK(small_init(&c, bytes ? weights : NULL, bytes) == VJ_RUN_OK);

    const void *inputs[1] = {in};
    void *outputs[2] = {first, first_mean}, *others[2] = {y, mean}, *missing[2] = {y, NULL}, *odd[2] = {y + 1, mean};
    vj_context foreign = {0};
    CHECK(small_run(NULL, N, inputs, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&foreign, N, inputs, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, 0, inputs, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, -1, inputs, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, 9, inputs, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, N, NULL, outputs, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, N, inputs, NULL, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, N, inputs, missing, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, N, inputs, odd, scratch) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, N, inputs, outputs, NULL) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, N, inputs, outputs, scratch + 32) == VJ_RUN_BAD_ARGUMENT);
    CHECK(small_run(&c, N, inputs, outputs, scratch) == VJ_RUN_OK);

    if (check_shapes(&c, bytes ? weights : NULL, bytes, in, first, scratch)) return 1;

    for (int64_t n = 1; n <= N; n++)
        for (int32_t parts = 1; parts <= PARTS; parts++) {
            int calls = 0;
            const vj_threads threads = {&calls, parts, backwards, NULL};
            memset(y, 0xff, in_bytes);
            memset(mean, 0xff, mean_bytes);
            CHECK(small_run_on(&c, n, inputs, others, scratch, &threads) == VJ_RUN_OK);
            CHECK(calls == (n >= parts) + (n % parts ? m->phase_count : 0));
            CHECK(memcmp(y, first, in_bytes / N * (size_t)n) == 0);
            CHECK(memcmp(mean, first_mean, mean_bytes / N * (size_t)n) == 0);
        }
    int calls = 0;
    vj_threads threads = {&calls, 1, backwards, no_barrier};
    CHECK(small_run_on(&c, N, inputs, others, scratch, &threads) == VJ_RUN_OK && calls == 1);
    CHECK(memcmp(y, first, in_bytes) == 0);
    CHECK(small_run_on(&c, N, inputs, others, scratch, NULL) == VJ_RUN_BAD_ARGUMENT);
    threads.parts = 0;
    CHECK(small_run_on(&c, N, inputs, others, scratch, &threads) == VJ_RUN_BAD_ARGUMENT);
    threads = (vj_threads){&calls, 1, NULL, NULL};
    CHECK(small_run_on(&c, N, inputs, others, scratch, &threads) == VJ_RUN_BAD_ARGUMENT);

    char path[300];
    snprintf(path, sizeof path, "%s/out", argv[1]);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(first, 1, in_bytes, f) == in_bytes && fwrite(first_mean, 1, mean_bytes, f) == mean_bytes);
    CHECK(fclose(f) == 0);
    return 0;
}
