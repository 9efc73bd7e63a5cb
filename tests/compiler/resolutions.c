/* SPDX-License-Identifier: Apache-2.0 */
/* resolutions.c - a plain C program that links an object for two shapes, with one file of weights. It runs every batch of
 * both, by one thread and in parts, with exactly the scratch memory that the header asks for. The header has the prefix
 * `any`.   usage: resolutions WEIGHTS LOGITS-OF-SHAPE-0.npy LOGITS-OF-SHAPE-1.npy */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "any.h"
#include "vitjit_rt.h"

enum { MOST = 64, CLASSES = 10, GUARD = 256, NPY_HEADER = 128 };

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "resolutions.c:%d: %s\n", __LINE__, #what);                                                \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static const struct {
    size_t image, logits, scratch_of_1, scratch_of_3;
} sizes[ANY_SHAPES] = {
    {ANY_SHAPE_0_INPUT_0_BYTES(1), ANY_SHAPE_0_OUTPUT_0_BYTES(1), ANY_SHAPE_0_SCRATCH_BYTES(MOST, 1),
     ANY_SHAPE_0_SCRATCH_BYTES(MOST, 3)},
    {ANY_SHAPE_1_INPUT_0_BYTES(1), ANY_SHAPE_1_OUTPUT_0_BYTES(1), ANY_SHAPE_1_SCRATCH_BYTES(MOST, 1),
     ANY_SHAPE_1_SCRATCH_BYTES(MOST, 3)},
};

static float images[ANY_INPUT_0_BYTES(MOST) / sizeof(float)], wanted[MOST * CLASSES], got[MOST * CLASSES];

/* Runs the last part first, as no part may need the results of another part of the phase. */
static void backwards(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts) {
    (void)self;
    for (int32_t part = parts; part-- > 0;)
        task(arg, part);
}

/* The same as in tests/fixtures/make_resolutions.py. */
static void make_images(void) {
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        images[i] = (float)((uint32_t)i * 2654435761u >> 8) * 0x1p-22f - 2;
}

static void read_logits(const char *path) {
    FILE *f = fopen(path, "rb");
    CHECK(f && fseek(f, NPY_HEADER, SEEK_SET) == 0);
    CHECK(fread(wanted, sizeof *wanted, MOST * CLASSES, f) == MOST * CLASSES && fgetc(f) == EOF);
    fclose(f);
}

static void run(const any_context *context, int64_t n, int32_t parts) {
    const vj_model *m = context->model;
    const int64_t in_flight = n < parts ? n : parts;
    const size_t bytes = (size_t)(m->scratch_fixed + in_flight * m->scratch_per_image);
    unsigned char *memory =
        aligned_alloc(ANY_ALIGNMENT, (bytes + GUARD + ANY_ALIGNMENT - 1) / ANY_ALIGNMENT * ANY_ALIGNMENT);
    const void *inputs[] = {images};
    void *outputs[] = {got};
    const vj_threads threads = {NULL, parts, backwards, NULL};
    CHECK(memory && vj_object_check(m, n, parts, memory, bytes) == VJ_RUN_OK);
    CHECK(vj_object_check(m, n, parts, memory, bytes - 1) == VJ_RUN_BAD_ARGUMENT);
    memset(memory + bytes, 0xa5, GUARD);
    memset(got, 0xff, sizeof got);
    CHECK((parts == 1 ? any_run(context, n, inputs, outputs, memory)
                      : any_run_on(context, n, inputs, outputs, memory, &threads)) == VJ_RUN_OK);
    for (int i = 0; i < GUARD; i++)
        CHECK(memory[bytes + (size_t)i] == 0xa5);
    free(memory);
}

static void compare(int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n * CLASSES; i++)
        largest = fmaxf(largest, fabsf(wanted[i]));
    for (int64_t i = 0; i < n * CLASSES; i++)
        if (!(fabsf(got[i] - wanted[i]) <= 1e-4f * fabsf(wanted[i]) + 1e-6f * largest)) {
            fprintf(stderr, "batch %d, %d: %.9g, not %.9g\n", (int)n, (int)i, (double)got[i], (double)wanted[i]);
            exit(1);
        }
    for (int64_t i = n * CLASSES; i < MOST * CLASSES; i++)
        CHECK(isnan(got[i]));
}

static void try_shape(const any_context *context) {
    static const int batches[] = {1, 2, 7, MOST}, parts[] = {1, 2, 3, 5};
    static float first[MOST * CLASSES];
    for (int b = 0; b < 4; b++)
        for (int p = 0; p < 4; p++) {
            run(context, batches[b], parts[p]);
            compare(batches[b]);
            if (p == 0) memcpy(first, got, sizeof got);
            CHECK(memcmp(first, got, sizeof got) == 0);
        }
}

int main(int argc, char **argv) {
    size_t bytes;
    const void *weights = argc == 2 + ANY_SHAPES ? vj_weights_open(argv[1], &bytes) : NULL;
    any_context context;
    CHECK(weights && bytes == ANY_WEIGHTS_BYTES && vj_weights_check(any_model(), weights, bytes) == VJ_RUN_OK);
    CHECK(any_init_as(&context, weights, bytes, -1, VJ_CPU_ASK) == VJ_RUN_BAD_ARGUMENT);
    CHECK(any_init_as(&context, weights, bytes, ANY_SHAPES, VJ_CPU_ASK) == VJ_RUN_BAD_ARGUMENT);
    CHECK(any_init(&context, weights, bytes) == VJ_RUN_OK && context.model == any_model());
    CHECK(any_model()->shape_count == ANY_SHAPES);
    make_images();
    for (int32_t i = 0; i < ANY_SHAPES; i++) {
        const vj_model *m = &any_model()->shapes[i];
        CHECK(any_init_as(&context, weights, bytes, i, VJ_CPU_ASK) == VJ_RUN_OK && context.model == m);
        CHECK((size_t)m->inputs[0].bytes_per_image == sizes[i].image && sizes[i].image <= ANY_INPUT_0_BYTES(1));
        CHECK((size_t)m->outputs[0].bytes_per_image == sizes[i].logits && sizes[i].logits == CLASSES * sizeof(float));
        CHECK((size_t)(m->scratch_fixed + m->scratch_per_image) == sizes[i].scratch_of_1);
        CHECK((size_t)(m->scratch_fixed + 3 * m->scratch_per_image) == sizes[i].scratch_of_3);
        CHECK(sizes[i].scratch_of_3 <= ANY_SCRATCH_BYTES(MOST, 3) && m->max_batch >= ANY_MAX_BATCH);
        read_logits(argv[2 + i]);
        try_shape(&context);
    }
    vj_weights_close(weights, bytes);
    return 0;
}
