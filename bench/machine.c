/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - what the model of scaling (scaling.py) wants to know of this machine, as one JSON object:
 *
 *     threads          that the process may use
 *     step_ns          of each number of threads: what a step of the pool costs beyond its parts: all threads wait for the last
 *     read_gb_per_s    of each number of threads: reading far more memory than caches hold, all threads together
 *
 *     machine [SECONDS-PER-FIGURE]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_clock.h"

#include "runtime/pool.h"

#define STEPS         100
#define WHILE_SECONDS 3e-6
#define BUFFER_BYTES  ((size_t)96 << 20) /* a thread's */
#define MOST_THREADS  64

/* Long enough for every thread to have begun its part before any has ended it. */
static void a_while(void *self, int32_t i, int32_t part, int32_t parts) {
    (void)self;
    (void)i;
    (void)part;
    (void)parts;
    for (const double begin = vj_clock_seconds(); vj_clock_seconds() - begin < WHILE_SECONDS;) {
    }
}

/* Seconds of a step of parts that last WHILE_SECONDS, one a thread; the best of several. */
static double step_seconds(int32_t threads, double seconds) {
    vj_pool *pool = vj_pool_new(threads);
    double best = 1e30;
    if (!pool) return 0;
    for (const double start = vj_clock_seconds(); vj_clock_seconds() - start < seconds;) {
        const double begin = vj_clock_seconds();
        if (!vj_pool_try(pool, a_while, NULL, 0, STEPS, threads)) break;
        const double took = (vj_clock_seconds() - begin) / STEPS;
        if (took < best) best = took;
    }
    vj_pool_free(pool);
    return best;
}

typedef struct reader {
    const uint64_t *at;
    double end, bytes, seconds;
    uint64_t sum;
    pthread_barrier_t *start;
    pthread_t thread;
} reader;

static uint64_t add_up(const uint64_t *at, size_t count) {
    uint64_t sum[8] = {0};
    for (size_t i = 0; i + 8 <= count; i += 8)
        for (size_t j = 0; j < 8; j++)
            sum[j] += at[i + j];
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

static void *read_all(void *self) {
    reader *r = self;
    pthread_barrier_wait(r->start);
    const double begin = vj_clock_seconds();
    do {
        r->sum += add_up(r->at, BUFFER_BYTES / sizeof *r->at);
        r->bytes += (double)BUFFER_BYTES;
    } while (vj_clock_seconds() < begin + r->end);
    r->seconds = vj_clock_seconds() - begin;
    return NULL;
}

static double read_gb_per_s(int32_t threads, double seconds) {
    reader all[MOST_THREADS];
    pthread_barrier_t start;
    double rate = 0;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int32_t i = 0; i < threads; i++) {
        void *at = aligned_alloc(4096, BUFFER_BYTES);
        if (!at) return fputs("machine: no memory\n", stderr), 0;
        memset(at, i + 1, BUFFER_BYTES);
        all[i] = (reader){.at = at, .end = seconds, .start = &start};
    }
    for (int32_t i = 1; i < threads; i++)
        if (pthread_create(&all[i].thread, NULL, read_all, &all[i]) != 0) exit(5);
    read_all(&all[0]);
    for (int32_t i = 0; i < threads; i++) {
        if (i) pthread_join(all[i].thread, NULL);
        rate += all[i].bytes / all[i].seconds * 1e-9;
        if (all[i].sum == 1) puts(""); /* the sums are used */
        free((void *)(uintptr_t)all[i].at);
    }
    pthread_barrier_destroy(&start);
    return rate;
}

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? atof(argv[1]) : 0.5;
    const int32_t cpus = vj_cpu_available(), most = cpus < MOST_THREADS ? cpus : MOST_THREADS;
    printf("{\"threads\":%d,\"step_ns\":[", (int)most);
    const double alone = step_seconds(1, seconds);
    for (int32_t t = 1; t <= most; t++)
        printf("%s%.1f", t > 1 ? "," : "", t > 1 ? (step_seconds(t, seconds) - alone) * 1e9 : 0);
    printf("],\"read_gb_per_s\":[");
    for (int32_t t = 1; t <= most; t++)
        printf("%s%.2f", t > 1 ? "," : "", read_gb_per_s(t, seconds));
    puts("]}");
    return 0;
}
