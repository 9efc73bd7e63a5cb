/* SPDX-License-Identifier: Apache-2.0 */
/* fat.c - a program that links an object for several CPUs. It checks which of them init chooses, for this CPU and for
 * those that the caller names, and that all code which this CPU can run gives the recorded answers, on two threads at
 * once and in parts. MODEL_HEADER is the header of an object with the prefix m; N is the batch size. */
#include MODEL_HEADER

#include <pthread.h>
#include <string.h>

#include "answers.h"

#ifndef N
#define N 1
#endif
#define PARTS 3

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) return printf("fat.c:%d: %s\n", __LINE__, #what), 1;                                              \
    } while (0)

static _Alignas(8) unsigned char input[M_INPUT_0_BYTES(N)];
static float wanted[M_OUTPUT_0_BYTES(N) / sizeof(float)];
static size_t wanted_count;
static _Alignas(M_ALIGNMENT) unsigned char weights[M_WEIGHTS_BYTES];
static double rtol;

typedef struct runner {
    const m_context *context;
    int status;
    _Alignas(M_ALIGNMENT) unsigned char scratch[M_SCRATCH_BYTES(N, PARTS)];
    float output[M_OUTPUT_0_BYTES(N) / sizeof(float)];
} runner;

static void one_after_another(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts) {
    (void)self;
    while (parts-- > 0)
        task(arg, parts);
}

static void *run_in_parts(void *self) {
    runner *r = self;
    const vj_threads threads = {NULL, PARTS, one_after_another, NULL};
    r->status = m_run_on(r->context, N, (const void *const[]){input}, (void *const[]){r->output}, r->scratch, &threads);
    return NULL;
}

static void *run_whole(void *self) {
    runner *r = self;
    r->status = m_run(r->context, N, (const void *const[]){input}, (void *const[]){r->output}, r->scratch);
    return NULL;
}

/* Runs one context twice at the same time. */
static int run_both(const m_context *context) {
    static runner whole, parted;
    whole = (runner){.context = context, .status = -1};
    parted = (runner){.context = context, .status = -1};
    pthread_t other;
    CHECK(pthread_create(&other, NULL, run_in_parts, &parted) == 0);
    run_whole(&whole);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(whole.status == VJ_RUN_OK && parted.status == VJ_RUN_OK);
    CHECK(memcmp(whole.output, parted.output, sizeof whole.output) == 0);
    const double off = difference(whole.output, wanted, wanted_count);
    printf("  %s: off by %.1e of the largest\n", context->model->cpus[context->variant].name, off);
    CHECK(off <= rtol);
    return 0;
}

/* Tests init with CPUs and shapes that the caller names. */
static int check_told(const vj_model *m) {
    const uint64_t foreign = UINT64_C(1) << 62; /* no feature has this bit */
    uint64_t fewest = UINT64_MAX;
    const vj_cpu_variant *best = m->cpus;
    m_context c = {0};
    for (int32_t i = 0; i < m->cpu_count; i++) {
        CHECK(m_init_as(&c, weights, sizeof weights, 0, m->cpus[i].features) == VJ_RUN_OK && c.variant == i);
        fewest &= m->cpus[i].features;
        if (m->cpus[i].rank > best->rank) best = &m->cpus[i];
    }
    CHECK(m_init_as(&c, weights, sizeof weights, 0, VJ_CPU_ASK ^ foreign) == VJ_RUN_OK && c.variant == best - m->cpus);
    CHECK(m_init_as(&c, weights, sizeof weights, 0, foreign) == (fewest ? VJ_RUN_BAD_CPU : VJ_RUN_OK));
    CHECK(m_init_as(&c, weights, sizeof weights, -1, VJ_CPU_ASK) == VJ_RUN_BAD_ARGUMENT);
    CHECK(m_init_as(&c, weights, sizeof weights, m->shape_count, VJ_CPU_ASK) == VJ_RUN_BAD_ARGUMENT);
    CHECK(m_init_as(NULL, weights, sizeof weights, 0, VJ_CPU_ASK) == VJ_RUN_BAD_ARGUMENT);
    /* A context that init did not fill. */
    static runner r;
    CHECK(m_init_as(&c, weights, sizeof weights, 0, best->features) == VJ_RUN_OK);
    c.variant = m->cpu_count;
    r.context = &c;
    CHECK(run_whole(&r) == NULL && r.status == VJ_RUN_BAD_ARGUMENT);
    c.variant = -1;
    CHECK(run_whole(&r) == NULL && r.status == VJ_RUN_BAD_ARGUMENT);
    return 0;
}

/* fat INPUT.npy WANTED.npy RTOL CPU WEIGHTS: CPU is the one that init must choose, or "none" when it must refuse. */
int main(int argc, char **argv) {
    CHECK(argc == 6 && sscanf(argv[3], "%lf", &rtol) == 1 && read_npy(argv[1], input, sizeof input) == sizeof input);
    wanted_count = read_npy(argv[2], wanted, sizeof wanted) / sizeof *wanted;
    CHECK(wanted_count > 0);
    const vj_model *m = m_model();
    CHECK(m->abi == VJ_MODEL_ABI && m->shape_count == 1 && m->shapes == m && m->cpu_count > 1);
    CHECK(read_file(argv[5], weights, sizeof weights) == M_WEIGHTS_BYTES);
    if (check_told(m)) return 1;
    m_context asked = {0};
    const int status = m_init(&asked, weights, sizeof weights);
    if (strcmp(argv[4], "none") == 0) {
        CHECK(status == VJ_RUN_BAD_CPU && asked.model == NULL);
        return 0;
    }
    CHECK(status == VJ_RUN_OK && asked.model == m);
    printf("init takes %s\n", m->cpus[asked.variant].name);
    CHECK(strcmp(m->cpus[asked.variant].name, argv[4]) == 0);
    for (int32_t i = 0; i < m->cpu_count; i++) {
        m_context told;
        if (m->cpus[i].features & ~m->cpus[asked.variant].features) continue;
        CHECK(m_init_as(&told, weights, sizeof weights, 0, m->cpus[i].features) == VJ_RUN_OK && told.variant == i);
        if (run_both(&told)) return 1;
    }
    return 0;
}
