/* options.c - the table of options: parsing and --help come from it. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { FLAG, TEXT, INTEGER, NUMBER, SECONDS, REPEAT, PAIRS, SHAPES, FOLDERS } kind;

typedef struct option_row {
    const char *name, *value; /* NULL value: none */
    kind kind;
    size_t at, count_at; /* in vj_cli_options */
    const char *about;
} option_row;

#define AT(field) offsetof(vj_cli_options, field)

static const option_row table[] = {
    {"--input", "NAME=X.npy", PAIRS, AT(inputs), AT(input_count), "an input from a file; inputs not given are seeded"},
    {"--output", "DIR", TEXT, AT(output), 0, "write each output to DIR/NAME.npy"},
    {"--inspect", NULL, FLAG, AT(inspect), 0, "say what the model is; works on unsupported models too"},
    {"--test", "DIR...", FOLDERS, AT(tests), AT(test_count), "run ONNX test data: input_N.pb, output_N.pb"},
    {"--bench", "[SECONDS]", SECONDS, AT(bench), 0, "latency: min, median, p99"},
    {"--emit-obj", NULL, FLAG, AT(emit_obj), 0, "write an object file, its header, and the weights"},
    {"--emit-asm", NULL, FLAG, AT(emit_asm), 0, "write assembly"},
    {"--emit-llvm", NULL, FLAG, AT(emit_llvm), 0, "write LLVM IR"},
    {"--emit-ir", NULL, FLAG, AT(emit_ir), 0, "write vitjit's own IR"},
    {"-o", "PATH", TEXT, AT(file), 0, "where --emit-* writes"},
    {"--prefix", "NAME", TEXT, AT(prefix), 0, "of the object's symbols; made from the file's name otherwise"},
    {"--weights", "file|object", TEXT, AT(weights), 0, "where --emit-obj puts weights; a file above 64 MiB otherwise"},
    {"--shape", "NAME=1x3x224x224", SHAPES, AT(shapes), AT(shape_count),
     "sizes of an input that the model leaves open"},
    {"--batch", "N", INTEGER, AT(batch), 0, "images a run"},
    {"-j", "THREADS", INTEGER, AT(threads), 0, "threads of a run; all otherwise"},
    {"--precision", "f32", TEXT, AT(precision), 0, "of the products"},
    {"--cpu", "NAME", TEXT, AT(cpu), 0, "x86-64, x86-64-v3, x86-64-v4; the host's otherwise"},
    {"--cache", "DIR", TEXT, AT(cache), 0, "the cache's folder; $VITJIT_CACHE otherwise"},
    {"--no-cache", NULL, FLAG, AT(no_cache), 0, "neither read nor write a cache"},
    {"--report", NULL, FLAG, AT(report), 0, "which blocks were fused, and why others were not"},
    {"--check", NULL, FLAG, AT(check), 0, "run each kernel beside the evaluator; name the first that differs"},
    {"--stats", NULL, FLAG, AT(stats), 0, "figures as one JSON object, the last line of stdout"},
    {"--expect", "NAME=Y.npy", PAIRS, AT(expects), AT(expect_count), "compare an output; status 4 when it differs"},
    {"--rtol", "X", NUMBER, AT(rtol), 0, "for --expect and --test: relative to the largest value; 1e-4"},
    {"--atol", "X", NUMBER, AT(atol), 0, "for --expect and --test: absolute; 1e-6"},
    {"--also-output", "VALUE", REPEAT, AT(also), AT(also_count), "a named value of the graph becomes an output"},
    {"--topk", "K", INTEGER, AT(topk), 0, "classes to print"},
    {"--labels", "FILE", TEXT, AT(labels), 0, "names of classes"},
    {"--format", "text|jsonl", TEXT, AT(format), 0, "of classes"},
    {"--mean", "X,Y,Z", TEXT, AT(mean), 0, "pre-processing of pictures"},
    {"--std", "X,Y,Z", TEXT, AT(std), 0, "pre-processing of pictures"},
    {"--resize", "N", TEXT, AT(resize), 0, "pre-processing of pictures"},
    {"--crop-pct", "X", TEXT, AT(crop_pct), 0, "pre-processing of pictures"},
    {"--interpolation", "NAME", TEXT, AT(interpolation), 0, "pre-processing of pictures"},
    {"--print-after", "PASS", TEXT, AT(print_after), 0, "dump the program after a pass, or after all"},
    {"--stop-after", "PASS", TEXT, AT(stop_after), 0, "stop there"},
    {"--disable-pass", "PASS", REPEAT, AT(disabled), AT(disabled_count), "leave a pass out"},
    {"--pass-limit", "N", INTEGER, AT(pass_limit), 0, "rewrites in all"},
    {"--jit", "orc", TEXT, AT(jit), 0, "load code through LLVM's ORC"},
    {"--quiet", NULL, FLAG, AT(quiet), 0, "no warnings, no introduction"},
    {"--version", NULL, FLAG, AT(version), 0, "versions and the host CPU"},
    {"--help", NULL, FLAG, AT(help), 0, "this text"},
};
enum { ROWS = sizeof table / sizeof *table };

vj_status vj_say(vj_status status, const char *file, const char *hint, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("vitjit: ", stderr);
    if (file) fprintf(stderr, "%s: ", file);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (hint) fprintf(stderr, "  hint: %s\n", hint);
    return status;
}

void vj_print_help(FILE *out) {
    fputs("vitjit MODEL.onnx                                 introduce the model, one run on seeded inputs\n"
          "vitjit MODEL.onnx IMAGE...                        classify pictures\n"
          "vitjit MODEL.onnx --input NAME=x.npy --output DIR run on tensors\n"
          "vitjit MODEL.onnx --emit-obj                      an object file and its header\n"
          "vitjit cache ls\n\n",
          out);
    for (int32_t i = 0; i < ROWS; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", table[i].name, table[i].value ? " " : "",
                 table[i].value ? table[i].value : "");
        fprintf(out, "  %-28s %s\n", left, table[i].about);
    }
    fputs("\nstatus: 0 done, 1 usage, 2 bad model or input, 3 not supported, 4 differs, 5 the machine failed\n", out);
}

/* Levenshtein's distance, for the nearest option. */
static size_t distance(const char *a, const char *b) {
    size_t row[64], n = strlen(b);
    if (n > 62) return 99;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t best = corner + (a[i] != b[j - 1]);
            corner = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

static bool unknown(const char *name) {
    const option_row *best = &table[0];
    for (int32_t i = 1; i < ROWS; i++)
        if (distance(name, table[i].name) < distance(name, best->name)) best = &table[i];
    char hint[128];
    snprintf(hint, sizeof hint, "did you mean %s? --help lists all", best->name);
    vj_say(VJ_USAGE, NULL, hint, "unknown option %s", name);
    return false;
}

static bool number(const char *option, const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    if (end != text && *end == 0 && *out >= 0 && *out < 1e18) return true;
    vj_say(VJ_USAGE, NULL, NULL, "%s wants a number, not '%s'", option, text);
    return false;
}

static bool split(const char *option, const char *text, vj_pair *pair) {
    const char *equals = strrchr(text, '=');
    char *name =
        equals && equals > text ? strndup(text, (size_t)(equals - text)) : NULL; /* lives as long as the program */
    if (!name) {
        vj_say(VJ_USAGE, NULL, NULL, "%s wants NAME=VALUE, not '%s'", option, text);
        return false;
    }
    *pair = (vj_pair){name, equals + 1};
    return true;
}

static bool shape(const char *option, const char *text, vj_shape *out) {
    vj_pair pair;
    if (!split(option, text, &pair)) return false;
    *out = (vj_shape){.name = pair.name};
    const char *at = pair.value;
    do {
        char *end;
        errno = 0;
        long long dim = strtoll(at, &end, 10);
        if (end == at || dim < 1 || errno || out->rank == VJ_MODEL_MAX_RANK) break;
        out->dims[out->rank++] = dim;
        if (*end == 0) return true;
        at = end + 1;
        if (*end != 'x' && *end != ',') break;
    } while (true);
    vj_say(VJ_USAGE, NULL, NULL, "%s wants NAME=1x3x224x224, not '%s'", option, text);
    return false;
}

static bool repeat(const option_row *row, const char *text, void *field, int32_t *count) {
    if (*count == VJ_MAX_REPEATS) {
        vj_say(VJ_USAGE, NULL, NULL, "%s is given more than %d times", row->name, VJ_MAX_REPEATS);
        return false;
    }
    int32_t i = (*count)++;
    if (row->kind == PAIRS) return split(row->name, text, &((vj_pair *)field)[i]);
    if (row->kind == SHAPES) return shape(row->name, text, &((vj_shape *)field)[i]);
    ((const char **)field)[i] = text;
    return true;
}

/* Sets one option; *i is moved past its value. */
static bool take(const option_row *row, const char *value, int argc, char **argv, int *i, vj_cli_options *o) {
    void *field = (char *)o + row->at;
    int32_t *count = (int32_t *)(void *)((char *)o + row->count_at);
    double x;
    if (row->kind == FLAG) {
        *(int32_t *)field = 1;
        return true;
    }
    if (row->kind == SECONDS) {
        char *end;
        *(double *)field = 3;
        if (!value && *i + 1 < argc && strtod(argv[*i + 1], &end) >= 0 && end != argv[*i + 1] && *end == 0)
            value = argv[++*i];
        return !value || number(row->name, value, field);
    }
    if (!value && *i + 1 < argc) value = argv[++*i];
    if (!value) {
        vj_say(VJ_USAGE, NULL, NULL, "%s wants %s", row->name, row->value);
        return false;
    }
    switch (row->kind) {
    case TEXT:
        *(const char **)field = value;
        return true;
    case NUMBER:
        return number(row->name, value, field);
    case INTEGER:
        if (!number(row->name, value, &x)) return false;
        *(int64_t *)field = (int64_t)x;
        if (x == (double)*(int64_t *)field && (x >= 1 || row->at == AT(pass_limit))) return true;
        vj_say(VJ_USAGE, NULL, NULL, "%s wants a whole number from 1 on, not '%s'", row->name, value);
        return false;
    case FOLDERS:
        if (!repeat(row, value, field, count)) return false;
        while (*i + 1 < argc && argv[*i + 1][0] != '-')
            if (!repeat(row, argv[++*i], field, count)) return false;
        return true;
    default:
        return repeat(row, value, field, count);
    }
}

bool vj_read_options(int argc, char **argv, vj_cli_options *o) {
    *o = (vj_cli_options){.pass_limit = -1, .rtol = 1e-4, .atol = 1e-6, .topk = 0};
    o->pictures = calloc((size_t)argc + 1, sizeof *o->pictures);
    for (int i = 1; i < argc && o->pictures; i++) {
        const char *arg = argv[i];
        if (arg[0] != '-' || arg[1] == 0) {
            if (o->model)
                o->pictures[o->picture_count++] = arg;
            else
                o->model = arg;
            continue;
        }
        const char *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
        size_t length = equals ? (size_t)(equals - arg) : strlen(arg);
        const char *value = equals ? equals + 1 : NULL;
        if (strncmp(arg, "-j", 2) == 0 && arg[2]) {
            length = 2;
            value = arg + 2;
        }
        const option_row *row = NULL;
        for (int32_t k = 0; k < ROWS && !row; k++)
            if (strlen(table[k].name) == length && strncmp(table[k].name, arg, length) == 0) row = &table[k];
        if (!row) return unknown(arg);
        if (!take(row, value, argc, argv, &i, o)) return false;
    }
    if (o->precision && strcmp(o->precision, "f32") != 0) {
        vj_say(VJ_USAGE, NULL, "--precision f32", "unknown precision '%s'", o->precision);
        return false;
    }
    if (o->jit && strcmp(o->jit, "orc") != 0) {
        vj_say(VJ_USAGE, NULL, "--jit orc", "unknown loader '%s'", o->jit);
        return false;
    }
    return o->pictures != NULL;
}
