/* SPDX-License-Identifier: Apache-2.0 */
/* planted.c - runs generated kernels with planted faults, which are not verified here. A sanitizer that instruments
 * generated code must report each. Every fault runs in a process of its own.   usage: planted [FAULT] */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/backend.h"
#include "vitjit_image.h"

#define ROWS 4096 /* enough for several units */
#define COLS 40

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS true
#define VECTORS NULL
#else
#define ADDRESS false
#define VECTORS "x86-64" /* TSan's pass sees accesses of up to 16 bytes */
#endif

enum { IN, OUT, WEIGHT, BUFFERS };

typedef struct fault {
    const char *name;
    vj_kernel_kind kind;
    int64_t in_offset, out_offset; /* where the accesses begin, elements */
    int64_t out_rows;              /* elements from row to row of the output; 0: all units write one row */
    int32_t threads;
    const char *report; /* NULL: there must be none */
} fault;

static const fault faults[] = {
    {"nest", VJ_KERNEL_NEST, 0, 0, COLS, 2, NULL},
    {"gemm", VJ_KERNEL_GEMM, 0, 0, COLS, 2, NULL},
#if defined(__SANITIZE_ADDRESS__)
    {"nest_reads_past", VJ_KERNEL_NEST, 1, 0, COLS, 2, "heap-buffer-overflow"},
    {"nest_writes_past", VJ_KERNEL_NEST, 0, 1, COLS, 2, "heap-buffer-overflow"},
    {"nest_writes_before", VJ_KERNEL_NEST, 0, -1, COLS, 2, "heap-buffer-overflow"},
    {"gemm_reads_past", VJ_KERNEL_GEMM, 1, 0, COLS, 2, "heap-buffer-overflow"},
    {"gemm_writes_past", VJ_KERNEL_GEMM, 0, 1, COLS, 2, "heap-buffer-overflow"},
#else
    {"nest_race", VJ_KERNEL_NEST, 0, 0, 0, 2, "data race"},
    {"gemm_race", VJ_KERNEL_GEMM, 0, 0, 0, 2, "data race"},
#endif
};
#define FAULTS (sizeof faults / sizeof *faults)

static int32_t add_access(vj_kernel *k, int32_t buffer, int64_t offset, int64_t a, int64_t b, int64_t c) {
    return vj_add_access(k, &(vj_access){.buffer = buffer, .offset = offset, .stride = {a, b, c}});
}

/* out = in * 2, or out = in . weight. */
static vj_program *program_of(vj_arena *arena, const vj_target *target, const fault *x) {
    vj_program *p = vj_program_new(arena, NULL);
    vj_add_buffer(p, VJ_BUFFER_INPUT, VJ_F32, ROWS * COLS, "in");
    vj_add_buffer(p, VJ_BUFFER_OUTPUT, VJ_F32, ROWS * COLS, "out");
    vj_add_buffer(p, VJ_BUFFER_WEIGHT, VJ_F32, COLS * vj_round_up(COLS, VJ_PANEL), "weight");
    p->buffers[IN].index = p->buffers[OUT].index = p->buffers[WEIGHT].index = 0;
    *VJ_PUSH(arena, p->weights, p->weight_count, p->weight_capacity) =
        (vj_weight){.kind = VJ_PACK_PANELS, .k = COLS, .n = COLS};
    p->weights_bytes = p->buffers[WEIGHT].elements * 4;
    vj_kernel *k = vj_add_kernel(p, x->kind, "planted");
    const bool gemm = x->kind == VJ_KERNEL_GEMM;
    vj_set_axes(k, gemm ? (const int32_t[]){0, 1, 1, 1} : (const int32_t[]){1, 1}, (const int64_t[]){ROWS, COLS, COLS});
    int32_t value;
    if (gemm) {
        k->a = add_access(k, IN, x->in_offset, COLS, 0, 1);
        k->b = add_access(k, WEIGHT, 0, 0, 1, COLS);
        value = vj_x(arena, k, VJ_X_ACC, VJ_F32, -1, -1, -1);
    } else {
        const int32_t in = vj_x_load(arena, k, VJ_F32, add_access(k, IN, x->in_offset, COLS, 1, 0));
        value = vj_x(arena, k, VJ_X_MUL, VJ_F32, in, vj_x_const(arena, k, VJ_F32, 2), -1);
    }
    k->out[k->out_count++] = (vj_out){add_access(k, OUT, x->out_offset, x->out_rows, 1, 0), value, -1};
    p->phases = VJ_NEW(arena, vj_phase);
    p->phases[p->phase_count++] = (vj_phase){0, 1};
    vj_schedule_kernel(arena, target, p, k);
    if (k->units < 2) abort();
    return p;
}

typedef struct share {
    vj_phase_fn phase;
    const vj_args *args;
    int32_t part, parts;
} share;

static void *run_share(void *self) {
    const share *s = self;
    s->phase(s->args, 1, s->part, s->parts);
    return NULL;
}

static void run(const vj_program *p, vj_phase_fn phase, int32_t threads) {
    const size_t bytes = ROWS * COLS * sizeof(float);
    float *in = calloc(1, bytes), *out = malloc(bytes), *weight = calloc(1, (size_t)p->weights_bytes);
    const vj_args args = {(const void *[]){in}, (void *[]){out}, weight, NULL, 1, 0};
    pthread_t ids[2];
    share shares[2];
    for (int32_t i = 0; i < threads; i++) {
        shares[i] = (share){phase, &args, i, threads};
        if (pthread_create(&ids[i], NULL, run_share, &shares[i]) != 0) abort();
    }
    for (int32_t i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    free(in);
    free(out);
    free(weight);
}

static int plant(const fault *x) {
    const vj_target *target = VECTORS ? vj_target_by_name(VECTORS) : vj_target_host();
    const vj_codegen_options options = {
        .target = target, .kind = VJ_EMIT_OBJECT, .sanitize_address = ADDRESS, .sanitize_thread = !ADDRESS};
    vj_arena *arena = vj_arena_new();
    const vj_program *p = program_of(arena, target, x);
    vj_bytes object;
    vj_codegen_stats stats;
    vj_error error = {0};
    void *function = NULL;
    vj_orc *orc = NULL;
    if (vj_generate(p, &options, &object, &stats, &error) == VJ_OK)
        orc = vj_orc_load(&object, "vj_phase", &function, &error);
    if (orc)
        run(p, (vj_phase_fn)(uintptr_t)function, x->threads);
    else
        fprintf(stderr, "%s\n", error.text);
    vj_orc_free(orc);
    vj_bytes_free(&object);
    vj_arena_free(arena);
    return orc ? 0 : 100;
}

/* Runs a child. Returns its exit status and what it wrote to stderr, cut to the room. */
static int run_child(const char *program, const char *name, char *text, size_t room) {
    int ends[2];
    size_t used = 0;
    if (pipe(ends) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(program, program, name, (char *)NULL);
        _exit(101);
    }
    close(ends[1]);
    char byte;
    while (read(ends[0], &byte, 1) == 1)
        if (used + 1 < room) text[used++] = byte;
    text[used] = 0;
    close(ends[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 102;
}

/* AddressSanitizer has no name for an access of more than 16 bytes whose first bytes are valid. It reports
 * unknown-crash, with the location. */
static bool is_reported(const char *text, const fault *x) {
    const bool wide = ADDRESS && strstr(text, "AddressSanitizer: unknown-crash on address");
    return x->report && strstr(text, "Sanitizer") && (strstr(text, x->report) || wide);
}

static bool check(const char *program, const fault *x) {
    static char text[1 << 16];
    const int status = run_child(program, x->name, text, sizeof text);
    const bool seen = is_reported(text, x);
    const bool good = x->report ? seen && status != 0 && status < 100 : status == 0 && text[0] == 0;
    printf("%s %s: status %d, %s\n", good ? "ok  " : "FAIL", x->name, status, seen ? x->report : "nothing reported");
    if (!good) printf("%s\n", text);
    return good;
}

int main(int argc, char **argv) {
    int failed = 0;
    if (argc == 2) {
        for (size_t i = 0; i < FAULTS; i++)
            if (strcmp(argv[1], faults[i].name) == 0) return plant(&faults[i]);
        return 103;
    }
    for (size_t i = 0; i < FAULTS; i++)
        failed += !check(argv[0], &faults[i]);
    return failed != 0;
}
