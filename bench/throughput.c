/* SPDX-License-Identifier: Apache-2.0 */
/* throughput.c - images a second and latencies of several sessions that run at once, through the public C API.
 *
 *     throughput MODEL SESSIONS SECONDS [THREADS [CACHE [PRECISION]]]
 *
 * One model, as many threads as sessions, each of which runs its session again as soon as it has an answer, for SECONDS and
 * until each has had LEAST_RUNS. Prints one JSON object: images_per_s, median_ms, p99_ms (of all sessions' runs together),
 * runs. THREADS are the model's (0: as many as the process may use).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_clock.h"

#include "vitjit.h"

#define MOST_SESSIONS   256
#define MOST_RUNS       (1 << 20)
#define LEAST_RUNS      3
#define WARM_UP_SECONDS 0.3

typedef struct client {
    vj_session *session;
    const double *begin, *end; /* of what counts */
    pthread_barrier_t *start;
    atomic_int *waiting; /* sessions that have not had their least number of runs: the time goes on for them */
    double *ms;          /* of the runs that began and ended in it */
    int64_t runs;
    pthread_t thread;
} client;

static void fail(const char *what) {
    fprintf(stderr, "throughput: %s: %s\n", what, vj_error_message());
    exit(2);
}

static void *serve(void *self) {
    client *c = self;
    pthread_barrier_wait(c->start); /* all are ready */
    pthread_barrier_wait(c->start); /* the times are set */
    for (;;) {
        const double from = vj_clock_seconds();
        if (from >= *c->end && !atomic_load(c->waiting)) return NULL;
        if (vj_run(c->session)) fail("run");
        const double to = vj_clock_seconds();
        if (from < *c->begin || (to > *c->end && !atomic_load(c->waiting)) || c->runs == MOST_RUNS) continue;
        c->ms[c->runs++] = (to - from) * 1e3;
        if (c->runs == LEAST_RUNS) atomic_fetch_sub(c->waiting, 1);
    }
}

/* Values between -2 and 2; integers and booleans 0 and 1. */
static void fill(void *data, size_t bytes, vj_dtype dtype) {
    uint32_t x = 1;
    const size_t size = vj_dtype_bytes(dtype), count = bytes / size;
    for (size_t i = 0; i < count; i++) {
        x = x * 1664525U + 1013904223U;
        const double value = (double)(x >> 8) * 0x1p-22 - 2;
        if (dtype == VJ_F32)
            ((float *)data)[i] = (float)value;
        else if (dtype == VJ_F64)
            ((double *)data)[i] = value;
        else if (dtype != VJ_F16 && dtype != VJ_BF16)
            ((uint8_t *)data)[i * size] = (uint8_t)(x >> 31);
    }
}

static void *memory(size_t bytes) {
    void *at = calloc(1, bytes ? bytes : 1);
    if (!at) {
        fputs("throughput: no memory\n", stderr);
        exit(5);
    }
    return at;
}

/* Inputs and outputs of its own, for the process's life. */
static vj_session *make_session(vj_model *model) {
    vj_session *session;
    if (vj_session_create(model, &session)) fail("session");
    for (int32_t i = 0; i < vj_input_count(model); i++) {
        int64_t dims[VJ_MODEL_MAX_RANK];
        const int32_t rank = vj_input_shape(model, i, 1, dims);
        const vj_dtype dtype = vj_input_dtype(model, i);
        size_t bytes = vj_dtype_bytes(dtype);
        for (int32_t d = 0; d < rank; d++)
            bytes *= (size_t)dims[d];
        const void *fixed = vj_input_fixed_value(model, i);
        void *data = memory(bytes);
        if (fixed)
            memcpy(data, fixed, bytes);
        else
            fill(data, bytes, dtype);
        if (vj_bind_input(session, vj_input_name(model, i), data, bytes, dtype, dims, rank)) fail("input");
    }
    for (int32_t i = 0; i < vj_output_count(model); i++) {
        const size_t bytes = vj_output_bound(session, i);
        if (vj_bind_output(session, i, memory(bytes), bytes)) fail("output");
    }
    return session;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(client *all, int32_t sessions, double seconds) {
    int64_t runs = 0;
    for (int32_t i = 0; i < sessions; i++)
        runs += all[i].runs;
    double *ms = memory((size_t)(runs + 1) * sizeof *ms), sum = 0;
    runs = 0;
    for (int32_t i = 0; i < sessions; i++) {
        memcpy(ms + runs, all[i].ms, (size_t)all[i].runs * sizeof *ms);
        runs += all[i].runs;
    }
    qsort(ms, (size_t)runs, sizeof *ms, by_value);
    for (int64_t i = 0; i < runs; i++)
        sum += ms[i];
    /* Runs cut off by the ends count by their part: each session was busy all the time. */
    const double rate = runs ? (double)sessions * (double)runs / (sum * 1e-3) : 0;
    printf("{\"images_per_s\":%.3f,\"median_ms\":%.4f,\"p99_ms\":%.4f,\"runs\":%lld,\"seconds\":%g}\n", rate,
           runs ? ms[runs / 2] : 0, runs ? ms[(runs * 99 + 99) / 100 - 1] : 0, (long long)runs, seconds);
    free(ms);
}

int main(int argc, char **argv) {
    const int32_t sessions = argc > 2 ? atoi(argv[2]) : 0;
    const double seconds = argc > 3 ? atof(argv[3]) : 0;
    if (sessions < 1 || sessions > MOST_SESSIONS || seconds <= 0)
        return fputs("usage: throughput MODEL SESSIONS SECONDS [THREADS [CACHE [f32|bf16]]]\n", stderr), 1;
    vj_options options;
    vj_options_init(&options);
    options.threads = argc > 4 ? atoi(argv[4]) : 0;
    options.cache = argc > 5 ? argv[5] : NULL;
    options.precision = argc > 6 && strcmp(argv[6], "bf16") == 0 ? VJ_BF16 : VJ_F32;
    vj_model *model;
    if (vj_compile_file(argv[1], &options, &model)) fail(argv[1]);
    client *all = memory((size_t)sessions * sizeof *all);
    pthread_barrier_t start;
    double begin = 0, end = 0;
    atomic_int waiting = sessions;
    pthread_barrier_init(&start, NULL, (unsigned)sessions + 1);
    for (int32_t i = 0; i < sessions; i++) {
        all[i] =
            (client){make_session(model), &begin, &end, &start, &waiting, memory(MOST_RUNS * sizeof(double)), 0, 0};
        if (pthread_create(&all[i].thread, NULL, serve, &all[i]) != 0) return fputs("no threads\n", stderr), 5;
    }
    pthread_barrier_wait(&start);
    begin = vj_clock_seconds() + WARM_UP_SECONDS;
    end = begin + seconds;
    pthread_barrier_wait(&start);
    for (int32_t i = 0; i < sessions; i++)
        pthread_join(all[i].thread, NULL);
    report(all, sessions, seconds);
    for (int32_t i = 0; i < sessions; i++) {
        vj_session_free(all[i].session);
        free(all[i].ms);
    }
    vj_model_free(model);
    pthread_barrier_destroy(&start);
    return 0;
}
