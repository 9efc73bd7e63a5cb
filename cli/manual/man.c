/* SPDX-License-Identifier: Apache-2.0 */
/* man.c - vitjit(1) in the macros of man(7). */
#include "manual.h"

#include <string.h>

/* Text of the page: a backslash is roff's, and so is a hyphen that is to be one (groff_char(7)). */
static void put(FILE *out, const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

static void synopsis(FILE *out) {
    int32_t rows;
    const vj_usage *usages = vj_usage_table(&rows);
    fputs(".SH SYNOPSIS\n", out);
    for (int32_t i = 0; i < rows; i++) {
        fputs(i ? ".br\n.B vitjit\n" : ".B vitjit\n", out);
        put(out, usages[i].words);
        fputc('\n', out);
    }
    fputs(
        ".SH DESCRIPTION\n"
        "vitjit compiles a Vision Transformer, an ONNX graph, to native code of this machine's CPU, and runs it; or "
        "it\n"
        "writes the code as an object file or a shared library that needs nothing but libc. Compiled code is cached.\n",
        out);
    for (int32_t i = 0; i < rows; i++) {
        if (!usages[i].about) continue;
        fputs(".TP\n.B vitjit ", out);
        put(out, usages[i].words);
        fputc('\n', out);
        put(out, usages[i].about);
        fputs(".\n", out);
    }
}

static void options(FILE *out) {
    int32_t rows;
    const vj_option *table = vj_option_table(&rows);
    fputs(".SH OPTIONS\n", out);
    for (int32_t i = 0; i < rows; i++) {
        const vj_option *o = &table[i];
        if (!o->name) {
            fputs(".SS ", out);
            put(out, o->about);
            fputc('\n', out);
            continue;
        }
        fputs(i && table[i - 1].name && !o->about ? ".TQ\n\\fB" : ".TP\n\\fB", out);
        if (o->letter) fprintf(out, "\\-%c\\fR, \\fB", o->letter);
        put(out, o->name);
        fputs("\\fR", out);
        if (o->value) {
            fputs(strncmp(o->value, "[=", 2) == 0 ? "\\fI" : " \\fI", out);
            put(out, o->value);
            fputs("\\fR", out);
        }
        fputc('\n', out);
        if (o->about) {
            put(out, o->about);
            fputc('\n', out);
        }
    }
}

typedef struct entry {
    const char *name, *text;
} entry;

static void list(FILE *out, const char *title, const entry *entries, size_t count) {
    fprintf(out, ".SH %s\n", title);
    for (size_t i = 0; i < count; i++) {
        fputs(".TP\n.B ", out);
        put(out, entries[i].name);
        fputc('\n', out);
        put(out, entries[i].text);
        fputc('\n', out);
    }
}

void vj_write_man(FILE *out) {
    static const entry statuses[] = {
        {"0", "done"},
        {"1", "usage: an unknown or misplaced option, an input that the model does not have, one that is missing"},
        {"2", "the model or an input is bad"},
        {"3", "the model is valid but not supported; every op that is not is named"},
        {"4", "a result that was to be compared differs"},
        {"5", "the machine failed us: no memory, a full disk, a missing library"},
    };
    static const entry variables[] = {
        {"VITJIT_CACHE", "the folder of the cache, for --cache"},
        {"VITJIT_NO_TILES", "1: code for this machine does without AMX"},
        {"VITJIT_PERF_MAP", "1: the names of kernels are written to /tmp/perf-PID.map, for perf(1)"},
    };
    static const entry files[] = {
        {"~/.cache/vitjit", "compiled code and packed weights ($XDG_CACHE_HOME/vitjit where that is set)"},
        {"config.json, preprocessor_config.json, inference.yml", "beside a model: labels and pre-processing"},
        {"STEM.calibration.json", "beside a model: which products are in int8, as --calibration-data chose"},
    };
    static const entry examples[] = {
        {"vitjit vit.onnx cat.jpg --topk 3", "three labels of a picture"},
        {"vitjit vit.onnx --bench 5 -j 2", "latency, and where the time goes, on two threads"},
        {"vitjit vit.onnx --emit-obj --cpu v2,v3,v4", "an object with code for three generations of x86-64"},
    };
    fputs(".TH VITJIT 1 \"\" \"vitjit " VITJIT_VERSION
          "\" \"User Commands\"\n.SH NAME\nvitjit \\- run Vision Transformers "
          "in ONNX as native code\n",
          out);
    synopsis(out);
    options(out);
    list(out, "EXIT STATUS", statuses, sizeof statuses / sizeof *statuses);
    list(out, "ENVIRONMENT", variables, sizeof variables / sizeof *variables);
    list(out, "FILES", files, sizeof files / sizeof *files);
    list(out, "EXAMPLES", examples, sizeof examples / sizeof *examples);
}
