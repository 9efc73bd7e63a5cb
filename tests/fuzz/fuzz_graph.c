/* fuzz_graph.c - random functions, evaluated and compiled.
 *
 *     fuzz_graph [--seconds S] [--seed N] [--count N] [--one SEED] [--text FILE] [--no-shrink] [--verbose]
 *
 * Seeds are N, N + 1, ...; a failing one is printed with its function, shrunk, as text. --one runs one seed, --text the
 * functions of a file instead of random ones, each with --count seeds. Exit status 1 when something failed.
 */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    double seconds;
    uint64_t seed;
    int64_t count;
    const char *text;
    bool no_shrink, verbose;
} settings;

typedef struct tally {
    int64_t by[4], judged, elements, kernels;
} tally;

static void add_to(tally *t, const outcome *out) {
    t->by[out->what]++;
    t->judged += out->judged;
    t->elements += out->elements;
    t->kernels += out->kernels;
}

static void report(const settings *s, vj_arena *arena, const vj_func *f, uint64_t seed, outcome *out) {
    printf("seed %llu: %s\n", (unsigned long long)seed, out->text);
    fflush(stdout);
    if (!s->no_shrink) f = shrink(arena, f, seed, 60, out);
    printf("--- shrunk: %s\n", out->text);
    vj_print(f, stdout);
    printf("--- again: fuzz_graph --one %llu\n", (unsigned long long)seed);
    fflush(stdout);
}

static void run_function(const settings *s, vj_arena *arena, const vj_func *f, uint64_t seed, tally *t) {
    static const char *const words[] = {"fine", "unsupported", "undefined", "WRONG"};
    outcome out;
    check_apart(f, seed, &out);
    add_to(t, &out);
    if (s->verbose)
        printf("seed %llu: %s %s\n", (unsigned long long)seed, words[out.what], out.what == FINE ? "" : out.text);
    if (out.what == WRONG) report(s, arena, f, seed, &out);
}

static void run_seed(const settings *s, uint64_t seed, tally *t) {
    vj_arena *arena = vj_arena_new();
    bool has_batch;
    run_function(s, arena, make_function(arena, seed, &has_batch), seed, t);
    vj_arena_free(arena);
}

static char *whole_file(const char *path) {
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (!f || !text || fread(text, 1, (1 << 20) - 1, f) == 0) {
        fprintf(stderr, "fuzz_graph: %s cannot be read\n", path);
        exit(2);
    }
    fclose(f);
    return text;
}

static void run_text(const settings *s, tally *t) {
    char *const text = whole_file(s->text);
    const char *rest = text;
    for (int32_t number = 1; strstr(rest, "func @"); number++) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        const vj_func *f = vj_parse(arena, rest, ".", &rest, &error);
        if (!f) {
            fprintf(stderr, "fuzz_graph: %s: function %d: %s\n", s->text, (int)number, error.text);
            exit(2);
        }
        for (int64_t i = 0; i < (s->count == INT64_MAX ? 1 : s->count); i++)
            run_function(s, arena, f, s->seed + (uint64_t)i, t);
        vj_arena_free(arena);
    }
    free(text);
}

static settings read_arguments(int argc, char **argv) {
    settings s = {.seconds = 60, .seed = 1, .count = INT64_MAX};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--no-shrink") == 0) {
            s.no_shrink = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            s.verbose = true;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            s.seconds = atof(value), i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            s.seed = strtoull(value, NULL, 10), i++;
        } else if (strcmp(argv[i], "--count") == 0) {
            s.count = strtoll(value, NULL, 10), i++;
            s.seconds = 1e9;
        } else if (strcmp(argv[i], "--one") == 0) {
            s.seed = strtoull(value, NULL, 10), i++;
            s.count = 1;
        } else if (strcmp(argv[i], "--text") == 0) {
            s.text = value, i++;
        } else {
            fprintf(stderr, "usage: fuzz_graph [--seconds S] [--seed N] [--count N] [--one SEED] [--text FILE] "
                            "[--no-shrink] [--verbose]\n");
            exit(2);
        }
    }
    return s;
}

int main(int argc, char **argv) {
    const settings s = read_arguments(argc, argv);
    const double end = seconds_now() + s.seconds;
    tally t = {0};
    if (s.text)
        run_text(&s, &t);
    else
        for (int64_t i = 0; i < s.count && seconds_now() < end; i++)
            run_seed(&s, s.seed + (uint64_t)i, &t);
    printf("%lld right, %lld unsupported, %lld undefined, %lld WRONG; %lld kernels; %lld of %lld elements judged\n",
           (long long)t.by[FINE], (long long)t.by[UNSUPPORTED], (long long)t.by[VACUOUS], (long long)t.by[WRONG],
           (long long)t.kernels, (long long)t.judged, (long long)t.elements);
    return t.by[WRONG] > 0;
}
