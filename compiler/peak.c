/* SPDX-License-Identifier: Apache-2.0 */
/* peak.c - what this machine can do at most: multiply-adds, by the program of backend/module/peak.c, and reads of memory, each thread a block
 * of its own that no cache holds; on some threads at once. */
#include "compiler.h"
#include "ir/base/threads.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vitjit_clock.h"

#define MOST_THREADS 1024
#define BLOCK_BYTES  (INT64_C(128) << 20)
#define WORDS_A_TURN 8
#define TURN_SECONDS 1e-3 /* of one timing: far above the clock's grain, short beside a time slice */

typedef struct peak_runner {
    vj_phase_fn phase;
    int64_t scratch_bytes;
    double flops, seconds;
    double best; /* GFLOP/s */
} peak_runner;

static void run(void *self, int32_t worker) {
    peak_runner *r = (peak_runner *)self + worker;
    float *scratch = aligned_alloc(VJ_ALIGN, (size_t)r->scratch_bytes);
    if (!scratch) return;
    for (size_t i = 0; i < (size_t)r->scratch_bytes / sizeof *scratch; i++)
        scratch[i] = 0.5F;
    const vj_args args = {.scratch = scratch, .n = 1};
    const double end = vj_clock_seconds() + r->seconds;
    do {
        const double begin = vj_clock_seconds();
        double took;
        int64_t runs = 0;
        do {
            r->phase(&args, 0, 0, 1);
            runs++;
        } while ((took = vj_clock_seconds() - begin) < TURN_SECONDS);
        const double reached = r->flops * (double)runs / took * 1e-9;
        if (reached > r->best) r->best = reached;
    } while (vj_clock_seconds() < end);
    free(scratch);
}

static double run_all(const peak_runner *one, int32_t threads) {
    peak_runner *all = calloc((size_t)threads, sizeof *all);
    double sum = 0;
    if (!all) return 0;
    for (int32_t i = 0; i < threads; i++)
        all[i] = *one;
    const int32_t running = vj_fork_join(threads, run, all);
    for (int32_t i = 0; i < running; i++)
        sum += all[i].best;
    free(all);
    return sum;
}

typedef struct peak_order {
    const char *cpu;
    int32_t threads;
    double seconds, *gflops;
    vj_arena *arena;
    vj_error error;
} peak_order;

static vj_status measure(peak_order *order, const vj_program *p, double flops, const vj_bytes *code, uint64_t entry) {
    vj_error *error = &order->error;
    peak_runner one = {.scratch_bytes = p->per_image_bytes, .flops = flops, .seconds = order->seconds};
    uint8_t *at = mmap(NULL, code->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return vj_fail(error, VJ_SYSTEM, "out of memory for %zu bytes of code", code->size);
    memcpy(at, code->at, code->size);
    if (mprotect(at, code->size, PROT_READ | PROT_EXEC) != 0) {
        munmap(at, code->size);
        return vj_fail(error, VJ_SYSTEM, "the system does not let code be mapped for execution");
    }
    __builtin___clear_cache((char *)at, (char *)at + code->size);
    const void *phase = at + entry;
    memcpy(&one.phase, &phase, sizeof phase);
    *order->gflops = run_all(&one, order->threads);
    munmap(at, code->size);
    return *order->gflops > 0 ? VJ_OK : vj_fail(error, VJ_SYSTEM, "out of memory");
}

static void generate_and_measure(void *self) {
    peak_order *order = self;
    vj_error *error = &order->error;
    const vj_target *target = order->cpu ? vj_target_by_name(order->cpu) : vj_target_host();
    if (!target) {
        vj_fail(error, VJ_USAGE, "no CPU or target is called '%s'", order->cpu);
        return;
    }
    double flops;
    const vj_program *p = vj_peak_program(order->arena, target, &flops);
    const vj_codegen_options options = {.target = target, .kind = VJ_EMIT_OBJECT, .threads = 1};
    vj_codegen_stats stats;
    vj_bytes code;
    uint64_t entry;
    if (vj_generate_code(p, &options, &code, &entry, &stats, error) == VJ_OK) measure(order, p, flops, &code, entry);
    vj_bytes_free(&code);
}

vj_status vj_peak(const char *cpu, int32_t threads, double seconds, double *gflops, char *error, size_t error_bytes) {
    peak_order order = {.cpu = cpu,
                        .threads = threads < 1              ? 1
                                   : threads < MOST_THREADS ? threads
                                                            : MOST_THREADS,
                        .seconds = seconds,
                        .gflops = gflops,
                        .arena = vj_arena_new()};
    *gflops = 0;
    if (!vj_arena_try(order.arena, generate_and_measure, &order)) vj_no_memory(&order.error);
    if (order.error.status != VJ_OK) vj_write_error(&order.error, error, error_bytes);
    vj_arena_free(order.arena);
    return order.error.status;
}

typedef struct reader {
    double seconds;
    double best; /* bytes a second */
    uint64_t sum;
} reader;

static uint64_t sum_of(const uint64_t *words, int64_t count) {
    uint64_t sum[WORDS_A_TURN] = {0}, all = 0;
    for (int64_t i = 0; i + WORDS_A_TURN <= count; i += WORDS_A_TURN)
        for (int32_t j = 0; j < WORDS_A_TURN; j++)
            sum[j] += words[i + j];
    for (int32_t j = 0; j < WORDS_A_TURN; j++)
        all += sum[j];
    return all;
}

static void read_block(void *self, int32_t worker) {
    reader *r = (reader *)self + worker;
    uint64_t *block = malloc((size_t)BLOCK_BYTES);
    if (!block) return;
    memset(block, 1, (size_t)BLOCK_BYTES);
    const double end = vj_clock_seconds() + r->seconds;
    do {
        const double begin = vj_clock_seconds();
        r->sum += sum_of(block, BLOCK_BYTES / (int64_t)sizeof *block);
        const double reached = (double)BLOCK_BYTES / (vj_clock_seconds() - begin);
        if (reached > r->best) r->best = reached;
    } while (vj_clock_seconds() < end);
    free(block);
}

vj_status vj_stream(int32_t threads, double seconds, double *gbytes) {
    reader *all = threads > 0 && threads <= MOST_THREADS ? calloc((size_t)threads, sizeof *all) : NULL;
    *gbytes = 0;
    if (!all) return VJ_SYSTEM;
    for (int32_t i = 0; i < threads; i++)
        all[i].seconds = seconds;
    const int32_t running = vj_fork_join(threads, read_block, all);
    volatile uint64_t kept = 0; /* so that the sums are made */
    for (int32_t i = 0; i < running; i++) {
        *gbytes += all[i].best * 1e-9;
        kept += all[i].sum;
    }
    free(all);
    return VJ_OK;
}
