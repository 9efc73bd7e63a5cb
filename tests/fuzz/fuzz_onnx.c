/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_onnx.c - imports and compiles changed ONNX models, and compares them with the evaluator where they are small.
 * Only a crash, a sanitizer's report, an endless loop, more than a gigabyte of memory, or a wrong result is a failure.
 *
 *     fuzz_onnx [--seconds S] [--seed N] [--count N] [--one SEED] [--keep FOLDER] [--pack NAME] [--verbose] [MODEL.onnx...]
 *
 * The models are the small ones of tests/frontend/data, of the pack of that name (blocks_ops.bin) alone if there is one, and those named. A model that fails is written to
 * FOLDER/SEED.onnx. The exit status is 1 when something failed.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_clock.h"

#include "backend/backend.h"
#include "frontend/frontend.h"
#include "mutate.h"
#include "pack.h"
#include "passes/passes.h"

enum { MOST_MODELS = 2000 };

typedef struct corpus {
    struct base {
        uint8_t *bytes;
        size_t size;
        char name[128];
    } *base;
    int32_t count;
} corpus;

typedef struct own_settings {
    settings all;
    const char *keep, *pack;
} own_settings;

typedef struct told {
    bool wrong;
    int32_t status; /* vj_status of what came first */
    char text[sizeof((vj_error){0}.text)];
} told;

static void add_model(corpus *c, const char *name, const uint8_t *bytes, size_t size) {
    if (c->count == MOST_MODELS) return;
    struct base *b = &c->base[c->count++];
    b->bytes = malloc(size + 1);
    if (!b->bytes) exit(2);
    memcpy(b->bytes, bytes, size);
    b->size = size;
    snprintf(b->name, sizeof b->name, "%s", name);
}

static corpus *filled; /* vj_packs calls back without an argument */

static void add_pack(const char *file) {
    vj_pack pack = vj_pack_open(file);
    while (vj_pack_more(&pack)) {
        char name[128];
        size_t size;
        vj_pack_tensor tensors[VJ_PACK_TENSORS];
        vj_pack_text(&pack, name, sizeof name);
        const uint8_t *model = vj_pack_bytes(&pack, &size);
        vj_pack_u32(&pack);
        for (int i = 0; i < 2; i++)
            vj_pack_free_tensors(tensors, vj_pack_tensors(&pack, tensors));
        add_model(filled, name, model, size);
    }
    vj_pack_close(&pack);
}

static void add_file(corpus *c, const char *path) {
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    const char *name = strrchr(path, '/');
    add_model(c, name ? name + 1 : path, bytes, size);
    free(bytes);
}

/* Returns whether the evaluator can do it quickly. */
static bool is_light(const vj_func *f) {
    double work = 0;
    for (int32_t n = 0; n < f->node_count; n++)
        work += vj_node_work(f, &f->nodes[n]);
    return work < 2e6;
}

/* Compiles a function to code, as compiler/compile.c does. */
static vj_status compile(vj_arena *arena, vj_func *f, vj_error *error) {
    const vj_pipeline_options options = {.target = vj_target_host(), .pass_limit = -1, .verify = true};
    const vj_codegen_options generation = {.target = vj_target_host(), .kind = VJ_EMIT_OBJECT, .threads = 1};
    vj_report report = {.arena = arena};
    vj_program *p = NULL;
    vj_bytes code = {0};
    uint64_t entry;
    vj_codegen_stats stats;
    vj_status status = vj_run_passes(arena, f, &options, &report, &p, error);
    if (status == VJ_OK && p->per_image_bytes < INT64_C(1) << 30)
        status = vj_generate_code(p, &generation, &code, &entry, &stats, error);
    vj_bytes_free(&code);
    return status;
}

typedef struct trial {
    const uint8_t *bytes;
    size_t size;
    uint64_t seed;
    told *out;
    vj_arena *arena;
} trial;

static void import_and_check(void *self) {
    const trial *t = self;
    vj_arena *arena = t->arena;
    const uint64_t seed = t->seed;
    told *out = t->out;
    vj_error error = {0};
    vj_model_facts facts;
    const vj_import_options options = {.fixed_batch = seed % 4 == 0 ? 2 : 0};
    vj_onnx *onnx = vj_onnx_open_memory(arena, t->bytes, t->size, "bad.onnx", &facts, &error);
    vj_func *f = onnx ? vj_import(arena, onnx, &options, &error) : NULL;
    out->status = (int32_t)error.status;
    snprintf(out->text, sizeof out->text, "%s", error.text);
    if (!f && error.status == VJ_OK) *out = (told){.wrong = true, .text = "no function and no error"};
    if (f && is_light(f) && f->symbol_count == 0) {
        outcome o;
        check_function(f, seed, &o);
        out->wrong = o.what == WRONG;
        if (out->wrong) vj_print(f, stdout);
        fflush(stdout);
        snprintf(out->text, sizeof out->text, "%s", o.text);
    } else if (f) {
        const vj_status status = compile(arena, f, &error);
        out->status = (int32_t)status;
        out->wrong = status != VJ_OK && status != VJ_UNSUPPORTED;
        snprintf(out->text, sizeof out->text, "%s", error.text);
    }
    if (out->status == VJ_SYSTEM) out->wrong = true;
}

static void try_model(const uint8_t *bytes, size_t size, uint64_t seed, told *out) {
    trial t = {bytes, size, seed, out, vj_arena_new()};
    vj_arena_limit(t.arena, (size_t)1 << 30);
    if (!vj_arena_try(t.arena, import_and_check, &t)) *out = (told){.wrong = true, .text = "it takes too much memory"};
    vj_arena_free(t.arena);
}

typedef struct job {
    const uint8_t *bytes;
    size_t size;
    uint64_t seed;
    told *out;
} job;

static void try_job(void *self) {
    const job *j = self;
    try_model(j->bytes, j->size, j->seed, j->out);
}

static void try_apart(const uint8_t *bytes, size_t size, uint64_t seed, told *out) {
    char why[100];
    job j = {bytes, size, seed, out};
    *out = (told){0};
    if (run_apart(try_job, &j, out, sizeof *out, why, sizeof why)) return;
    *out = (told){.wrong = true};
    snprintf(out->text, sizeof out->text, "%s", why);
}

static void keep(const own_settings *s, uint64_t seed, const uint8_t *bytes, size_t size) {
    char path[1024];
    if (!s->keep) return;
    snprintf(path, sizeof path, "%s/%llu.onnx", s->keep, (unsigned long long)seed);
    FILE *f = fopen(path, "wb");
    if (f) fwrite(bytes, 1, size, f);
    if (f) fclose(f);
}

static bool run_seed(const own_settings *s, const corpus *c, uint64_t seed, int64_t by_status[8]) {
    rng r = {seed * 0x2545f4914f6cdd1du};
    char what[600];
    size_t size;
    const struct base *b = &c->base[pick(&r, c->count)];
    uint8_t *bytes = mutate(&r, b->bytes, b->size, &size, what, sizeof what);
    if (!bytes) return true;
    told out;
    try_apart(bytes, size, seed, &out);
    by_status[out.status & 7]++;
    if (out.wrong || s->all.verbose)
        printf("seed %llu: %s%s: %s%s\n", (unsigned long long)seed, out.wrong ? "WRONG " : "", b->name, what, out.text);
    if (out.wrong) keep(s, seed, bytes, size);
    fflush(stdout);
    free(bytes);
    return !out.wrong;
}

static own_settings read_arguments(int argc, char **argv, corpus *c) {
    own_settings s = {.all = SETTINGS};
    for (int i = 1, read; i < argc; i += read) {
        read = read_setting(&s.all, argc, argv, i);
        if (read) continue;
        read = 1;
        if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc) {
            s.keep = argv[i + 1];
            read = 2;
        } else if (strcmp(argv[i], "--pack") == 0 && i + 1 < argc) {
            s.pack = argv[i + 1];
            read = 2;
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "usage: fuzz_onnx [--seconds S] [--seed N] [--count N] [--one SEED] [--keep FOLDER] "
                            "[--pack NAME] [--verbose] [MODEL.onnx...]\n");
            exit(2);
        } else {
            add_file(c, argv[i]);
        }
    }
    return s;
}

int main(int argc, char **argv) {
    corpus c = {.base = calloc(MOST_MODELS, sizeof *c.base)};
    if (!c.base) return 2;
    filled = &c;
    const own_settings s = read_arguments(argc, argv, &c);
    vj_packs(s.pack ? s.pack : "ops.bin", add_pack);
    const double end = vj_clock_seconds() + s.all.seconds;
    int64_t by_status[8] = {0}, failed = 0;
    for (int64_t i = 0; i < s.all.count && vj_clock_seconds() < end; i++)
        failed += !run_seed(&s, &c, s.all.seed + (uint64_t)i, by_status);
    printf("%lld imported, %lld used wrongly, %lld bad, %lld unsupported, %lld FAILED\n", (long long)by_status[0],
           (long long)by_status[1], (long long)by_status[2], (long long)by_status[3], (long long)failed);
    for (int32_t i = 0; i < c.count; i++)
        free(c.base[i].bytes);
    free(c.base);
    return failed > 0;
}
