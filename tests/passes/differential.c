/* SPDX-License-Identifier: Apache-2.0 */
/* differential.c - evaluates the functions of this folder's cases in double precision on seeded inputs before and after
 * their passes, and compares every weight expression that is left, read in blocks of odd sizes, with the evaluator. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passcase.h"

/* The tolerance of passes that round constants to float, or replace a constant by the exact number that it
 * approximates. widen replaces one that was rounded to a half. A cast to a half rounds nothing here, but bytes are bytes: a
 * factor, uniform in [-r, r], is off by r / 254 at most and meets r / 2 in the mean, so a sum of K terms is off by K r^2 / 254 at most,
 * where its largest results are of sqrt(K) r^2: for the 48 terms of the cases 0.03. Weights of the cases of int4 and int8 are of a grid,
 * whose scale is found within the rounding of floats. */
static double tolerance_of(const test_case *c) {
    static const char *const exact[] = {"bound", "canonicalise", "layernorm",     "softmax",
                                        "qkv",   "precision",    "weight_format", "weight_blocks"};
    const char *name, *at = passes_of(c);
    while ((name = next_pass(c, &at))) {
        bool is_exact = false;
        if (strcmp(name, "widen") == 0) return 5e-4;
        if (strcmp(name, "weight_format") == 0 && strstr(c->mode, "weight_format=int")) return 1e-6;
        if (strcmp(name, "precision") == 0 && strstr(c->mode, "precision=i8")) return 0.03;
        for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
            is_exact = is_exact || strcmp(exact[i], name) == 0;
        if (!is_exact) return 1e-6;
    }
    return 1e-12;
}

static vj_tensor *seeded(vj_arena *arena, const vj_type *type, int64_t n, uint32_t seed, vj_error *error) {
    vj_type fixed = *type;
    for (int32_t i = 0; i < fixed.rank; i++) {
        if (fixed.dims[i].sym == VJ_SYM_BATCH) fixed.dims[i].c *= n;
        fixed.dims[i].sym = VJ_SYM_NONE;
    }
    vj_tensor *t = vj_tensor_new(arena, &fixed, error);
    for (int64_t i = 0; t && i < t->count; i++) {
        seed = seed * 1664525u + 1013904223u;
        if (t->f) t->f[i] = (float)((double)(seed >> 8) * 0x1p-23 - 1);
        if (!t->i) continue;
        t->i[i] = (i % 5) != 1; /* masks that leave something in each row */
        if (fixed.dtype == VJ_U8 || fixed.dtype == VJ_I8) t->i[i] = vj_wrap(fixed.dtype, (int64_t)(seed >> 8));
    }
    return t;
}

static double distance(const vj_tensor *a, const vj_tensor *b) {
    double largest = 0, scale = 1e-300;
    for (int64_t i = 0; i < a->count; i++) {
        double x = a->f ? a->f[i] : (double)a->i[i], y = b->f ? b->f[i] : (double)b->i[i];
        if (isnan(x) != isnan(y)) return INFINITY;
        if (isnan(x) || x == y) continue;
        largest = fmax(largest, fabs(x - y));
        scale = fmax(scale, fabs(x));
    }
    return largest == 0 ? 0 : largest / fmax(scale, largest);
}

/* Returns whether the list has the dims that the output had before, and the output still has as many elements. */
static bool has_true_dims(const vj_tensor *old, const vj_tensor *new, const vj_tensor *dims) {
    for (int32_t i = 0; i < old->type.rank; i++)
        if (dims->i[i] != old->type.dims[i].c) return false;
    return dims->count == old->type.rank && new->count >= old->count;
}

static bool run_all(test_case *c, vj_pass_context *context) {
    const char *name, *at = passes_of(c);
    while ((name = next_pass(c, &at))) {
        const vj_pass *pass = vj_pass_by_name(name);
        if (!pass || vj_run_pass(pass, context) != VJ_OK)
            return case_fails(c, 1, "a pass fails: %s", context->error->text);
    }
    return true;
}

static bool is_read(vj_dtype dtype) { return vj_dtype_is_float(dtype) || dtype == VJ_I8; }

/* Compares weight expressions with the evaluator. */
static bool weights_read_right(test_case *c, const vj_func *f, vj_tensor *const *inputs, vj_error *error) {
    vj_func copy = *f;
    copy.outputs = VJ_NEW_ARRAY(c->arena, vj_value, f->value_count);
    copy.output_count = copy.output_capacity = 0;
    for (vj_value v = 0; v < f->value_count; v++)
        if (is_read(vj_type_at(f, v)->dtype) && vj_is_weight(f, v)) copy.outputs[copy.output_count++] = v;
    vj_tensor **truth = VJ_NEW_ARRAY(c->arena, vj_tensor *, copy.output_count);
    if (!vj_eval(c->arena, &copy, 2, inputs, truth, true, error)) return case_fails(c, 1, "%s", error->text);
    vj_weight_reader *reader = vj_weight_reader_new(c->arena, f);
    for (int32_t w = 0; w < copy.output_count; w++) {
        vj_tensor *t = truth[w];
        float *got = VJ_NEW_ARRAY(c->arena, float, t->count);
        for (int64_t at = 0, part = 1; at < t->count; at += part, part = part * 3 % 1009) {
            if (part > t->count - at) part = t->count - at;
            if (!vj_weight_read(reader, copy.outputs[w], at, part, got + at, error))
                return case_fails(c, 1, "a weight cannot be read: %s", error->text);
        }
        for (int64_t i = 0; i < t->count; i++) {
            const double wanted = t->f ? t->f[i] : (double)t->i[i];
            if (got[i] != (float)wanted && fabs(got[i] - wanted) > 1e-6 * fabs(wanted))
                return case_fails(c, 1, "element %lld of weight %d reads %g, not %g", (long long)i, w, (double)got[i],
                                  wanted);
        }
    }
    return true;
}

static bool mode_pass(test_case *c) {
    enum { BATCH = 2 };
    vj_error error = {0};
    vj_report report = {.arena = c->arena};
    vj_pipeline_options options = {.pass_limit = -1, .keep_attention = VJ_KEEP_ATTENTION_ROWS, .verify = true};
    set_options(c, &options);
    vj_func *before = vj_parse(c->arena, c->text, c->folder, NULL, &error);
    vj_func *after = vj_parse(c->arena, c->text, c->folder, NULL, &error);
    if (!before || !after) return case_fails(c, atoi(error.text), "%s", error.text);
    vj_pass_context context = {
        .arena = c->arena, .f = after, .options = &options, .report = &report, .error = &error, .rewrites_left = -1};
    if (!run_all(c, &context)) return false;
    if (context.p) return true; /* kernels are compared in tests/lower */
    vj_tensor **inputs = VJ_NEW_ARRAY(c->arena, vj_tensor *, before->input_count);
    vj_tensor **old = VJ_NEW_ARRAY(c->arena, vj_tensor *, before->output_count);
    vj_tensor **new = VJ_NEW_ARRAY(c->arena, vj_tensor *, after->output_count);
    for (int32_t i = 0; i < before->input_count; i++)
        inputs[i] = seeded(c->arena, vj_type_at(before, before->inputs[i]), BATCH, (uint32_t)i + 1, &error);
    if (error.status || !vj_eval(c->arena, before, BATCH, inputs, old, false, &error) ||
        !vj_eval(c->arena, after, BATCH, inputs, new, false, &error))
        return case_fails(c, 1, "%s", error.text);
    double tolerance = tolerance_of(c);
    for (int32_t i = 0; i < before->output_count; i++) {
        int32_t dims = after->output_dims ? after->output_dims[i] : -1;
        if (dims >= 0 && !has_true_dims(old[i], new[i], new[dims]))
            return case_fails(c, 1, "output %d has other dims", i);
        double d = distance(old[i], new[i]);
        if (!(d <= tolerance)) return case_fails(c, 1, "output %d moved by %g of its largest element", i, d);
    }
    return weights_read_right(c, after, inputs, &error);
}

int main(int argc, char **argv) {
    static const test_mode_row modes[] = {{"pass=", mode_pass}, {NULL, NULL}};
    return run_cases(argc > 1 ? argv[1] : VJ_TEST_DIR, modes);
}
