/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_graph.c - compiles random functions and compares them with the evaluator.
 *
 *     fuzz_graph [--seconds S] [--seed N] [--count N] [--one SEED] [--text FILE] [--no-shrink] [--verbose]
 *
 * Seeds are N, N + 1, ... A failing seed is printed with its shrunk function as text. --one runs one seed; --text runs
 * the functions of a file instead of random ones, each with --count seeds. The exit status is 1 when something failed.
 */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "vitjit_clock.h"

typedef struct own_settings {
    settings all;
    const char *text;
    bool no_shrink;
} own_settings;

typedef struct tally {
    int64_t by[4], judged, elements, kernels;
} tally;

static void add_to(tally *t, const outcome *out) {
    t->by[out->what]++;
    t->judged += out->judged;
    t->elements += out->elements;
    t->kernels += out->kernels;
}

static void report(const own_settings *s, vj_arena *arena, const vj_func *f, uint64_t seed, outcome *out) {
    printf("seed %llu: %s\n", (unsigned long long)seed, out->text);
    fflush(stdout);
    if (!s->no_shrink) f = shrink(arena, f, seed, 60, out);
    printf("--- shrunk: %s\n", out->text);
    vj_print(f, stdout);
    printf("--- again: fuzz_graph --one %llu\n", (unsigned long long)seed);
    fflush(stdout);
}

static void run_function(const own_settings *s, vj_arena *arena, const vj_func *f, uint64_t seed, tally *t) {
    static const char *const words[] = {"fine", "unsupported", "undefined", "WRONG"};
    outcome out;
    check_apart(f, seed, &out);
    add_to(t, &out);
    if (s->all.verbose)
        printf("seed %llu: %s %s\n", (unsigned long long)seed, words[out.what], out.what == FINE ? "" : out.text);
    if (out.what == WRONG) report(s, arena, f, seed, &out);
}

static void run_seed(const own_settings *s, uint64_t seed, tally *t) {
    vj_arena *arena = vj_arena_new();
    bool has_batch;
    run_function(s, arena, make_function(arena, seed, &has_batch), seed, t);
    vj_arena_free(arena);
}

static void run_text(const own_settings *s, tally *t) {
    size_t size;
    uint8_t *const bytes = read_file(s->text, &size);
    const char *rest = (const char *)bytes;
    for (int32_t number = 1; strstr(rest, "func @"); number++) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        const vj_func *f = vj_parse(arena, rest, ".", &rest, &error);
        if (!f) {
            fprintf(stderr, "fuzz_graph: %s: function %d: %s\n", s->text, (int)number, error.text);
            exit(2);
        }
        for (int64_t i = 0; i < (s->all.count == INT64_MAX ? 1 : s->all.count); i++)
            run_function(s, arena, f, s->all.seed + (uint64_t)i, t);
        vj_arena_free(arena);
    }
    free(bytes);
}

static own_settings read_arguments(int argc, char **argv) {
    own_settings s = {.all = SETTINGS};
    for (int i = 1, read; i < argc; i += read) {
        read = read_setting(&s.all, argc, argv, i);
        if (read) continue;
        read = 1;
        if (strcmp(argv[i], "--no-shrink") == 0) {
            s.no_shrink = true;
        } else if (strcmp(argv[i], "--text") == 0 && i + 1 < argc) {
            s.text = argv[i + 1];
            read = 2;
        } else {
            fprintf(stderr, "usage: fuzz_graph [--seconds S] [--seed N] [--count N] [--one SEED] [--text FILE] "
                            "[--no-shrink] [--verbose]\n");
            exit(2);
        }
    }
    return s;
}

int main(int argc, char **argv) {
    const own_settings s = read_arguments(argc, argv);
    const double end = vj_clock_seconds() + s.all.seconds;
    tally t = {0};
    if (s.text)
        run_text(&s, &t);
    else
        for (int64_t i = 0; i < s.all.count && vj_clock_seconds() < end; i++)
            run_seed(&s, s.all.seed + (uint64_t)i, &t);
    printf("%lld right, %lld unsupported, %lld undefined, %lld WRONG; %lld kernels; %lld of %lld elements judged\n",
           (long long)t.by[FINE], (long long)t.by[UNSUPPORTED], (long long)t.by[VACUOUS], (long long)t.by[WRONG],
           (long long)t.kernels, (long long)t.judged, (long long)t.elements);
    return t.by[WRONG] > 0;
}
