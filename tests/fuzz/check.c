/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - checks all that must hold for one function: its text reads back, the passes keep its meaning, and its code
 * computes it for every target, in any number of parts and with a pass left out. Compiling twice must give the same
 * bytes. */
#include "graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"

enum { SAMPLES = 8, SAMPLES_IN_DOUBT = 160 };

/* How the function is compiled, as the seed decides. */
typedef struct variation {
    const vj_target *target;
    const char *without; /* a pass */
    int32_t pass_limit;
    int32_t threads;
    bool by_orc, split, twice;
    vj_dtype precision, weight_format;
} variation;

typedef struct checking {
    vj_arena *arena;
    const vj_func *f, *fixed; /* as given, and with the batch in place of N */
    int64_t batch;
    uint64_t seed;
    vj_tensor **inputs;
    truth *t;
    outcome *out;
} checking;

static bool wrong(checking *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (c->out->what != WRONG) vsnprintf(c->out->text, sizeof c->out->text, format, args);
    va_end(args);
    c->out->what = WRONG;
    return false;
}

/* Text */

static char *text_of(vj_arena *arena, const vj_func *f, const vj_program *p) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (p)
        vj_print_program(p, out);
    else
        vj_print(f, out);
    fclose(out);
    char *copy = vj_strndup(arena, text, length);
    free(text);
    return copy;
}

/* Constants in memory print as bytes(length), and those of a model as an offset in its file. Neither can be read
 * back. */
static bool prints_and_parses(checking *c, const vj_func *f, const char *when) {
    vj_error error = {0};
    const char *text = text_of(c->arena, f, NULL), *rest;
    if (strstr(text, "const bytes(") || strstr(text, "const file(")) return true;
    const vj_func *again = vj_parse(c->arena, text, ".", &rest, &error);
    if (!again) return wrong(c, "%s, the text is not read back: %s", when, error.text);
    return strcmp(text, text_of(c->arena, again, NULL)) == 0 ||
           wrong(c, "%s, the text read back prints otherwise", when);
}

static bool program_prints_and_parses(checking *c, const vj_program *p) {
    vj_error error = {0};
    const char *text = text_of(c->arena, NULL, p);
    const vj_program *again = vj_parse_program(c->arena, text, &error);
    if (!again) return wrong(c, "the program's text is not read back: %s", error.text);
    return strcmp(text, text_of(c->arena, NULL, again)) == 0 ||
           wrong(c, "the program's text read back prints otherwise");
}

/* Inputs. Their numbers follow from the input's name, so that dropping one does not change the others. */

static uint64_t hash(const char *text, uint64_t seed) {
    for (; text && *text; text++)
        seed = (seed ^ (uint8_t)*text) * 0x100000001b3u;
    return seed;
}

static double float_input(rng *r, int32_t mode) {
    static const double special[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 1e-40, 3e38, 0x1p-24, 88.8, -104};
    switch (mode) {
    case 0:
        return pick(r, 7) - 3;
    case 1:
        return real(r, -2, 2) * (chance(r, 5) ? 100 : 1);
    case 2:
        return chance(r, 50) ? 0 : real(r, -1, 1);
    case 3:
        return real(r, 0, 4);
    case 4:
        return chance(r, 10) ? special[pick(r, (int32_t)(sizeof special / sizeof *special))] : real(r, -2, 2);
    default:
        return real(r, -2, 2);
    }
}

static void fill(rng *r, vj_tensor *t) {
    const int32_t mode = chance(r, 6) ? 4 : chance(r, 50) ? 9 : pick(r, 4);
    const bool wide = chance(r, 20);
    const vj_dtype dtype = t->type.dtype;
    const int32_t bits = 8 * (int32_t)vj_element_bytes(dtype);
    const bool is_signed = dtype == VJ_I8 || dtype == VJ_I16 || dtype == VJ_I32 || dtype == VJ_I64;
    for (int64_t i = 0; i < t->count; i++) {
        if (t->f) {
            t->f[i] = rounded(dtype, float_input(r, mode), false);
        } else if (dtype == VJ_BOOL) {
            t->i[i] = chance(r, 60);
        } else if (wide) {
            const uint64_t x = rng_bits(r) << (64 - bits);
            t->i[i] = is_signed ? (int64_t)x >> (64 - bits) : (int64_t)(x >> (64 - bits));
        } else {
            t->i[i] = pick(r, 8) - (is_signed && chance(r, 30) ? 4 : 0);
        }
    }
}

static bool make_inputs(checking *c, vj_error *error) {
    c->inputs = VJ_NEW_ARRAY(c->arena, vj_tensor *, c->fixed->input_count + 1);
    for (int32_t i = 0; i < c->fixed->input_count; i++) {
        const vj_value v = c->fixed->inputs[i];
        rng r = {hash(c->fixed->values[v].name, c->seed)};
        c->inputs[i] = vj_tensor_new(c->arena, vj_type_at(c->fixed, v), error);
        if (!c->inputs[i]) return false;
        fill(&r, c->inputs[i]);
    }
    return true;
}

static vj_tensor **outputs_of(checking *c, vj_error *error) {
    vj_tensor **outputs = VJ_NEW_ARRAY(c->arena, vj_tensor *, c->fixed->output_count + 1);
    for (int32_t i = 0; i < c->fixed->output_count; i++)
        outputs[i] = vj_tensor_new(c->arena, vj_type_at(c->fixed, c->fixed->outputs[i]), error);
    return outputs;
}

/* Comparing */

/* Judges what looks wrong once more, with many samples. */
static const char *is_off(checking *c, vj_tensor *const *got) {
    vj_error error = {0};
    const char *text = differs(c->arena, c->t, got);
    if (!text || c->t->samples >= SAMPLES_IN_DOUBT) return text;
    truth *more = truth_of(c->arena, c->fixed, c->inputs, c->seed + 1, SAMPLES_IN_DOUBT, &error);
    if (more) c->t = more;
    return differs(c->arena, c->t, got);
}

static bool same_bits(const vj_func *f, vj_tensor *const *a, vj_tensor *const *b) {
    for (int32_t i = 0; i < f->output_count; i++) {
        const void *x = a[i]->f ? (const void *)a[i]->f : a[i]->i, *y = b[i]->f ? (const void *)b[i]->f : b[i]->i;
        if (a[i]->count && memcmp(x, y, (size_t)a[i]->count * 8) != 0) return false;
    }
    return true;
}

/* The evaluator must give the same with an open batch as with a fixed one. */
static bool evaluator_takes_batch(checking *c) {
    vj_error error = {0};
    vj_tensor **got = VJ_NEW_ARRAY(c->arena, vj_tensor *, c->f->output_count + 1);
    if (!vj_eval(c->arena, c->f, c->batch, c->inputs, got, false, &error))
        return wrong(c, "the evaluator with a batch: %s", error.text);
    return same_bits(c->fixed, c->t->exact, got) || wrong(c, "the evaluator gives something else for an open batch");
}

/* Compiling */

static vj_status run_passes(checking *c, vj_func *f, const variation *v, const char *stop_after, vj_program **p,
                            vj_error *error) {
    const vj_pipeline_options options = {.target = v->target,
                                         .disabled = &v->without,
                                         .disabled_count = v->without ? 1 : 0,
                                         .pass_limit = v->pass_limit,
                                         .stop_after = stop_after,
                                         .precision = v->precision,
                                         .weight_format = v->weight_format,
                                         .verify = true};
    vj_report report = {.arena = c->arena};
    return vj_run_passes(c->arena, f, &options, &report, p, error);
}

/* The first pass after which the function means something else, or NULL when no pass of the tensor level is to
 * blame. */
static const char *guilty_pass(checking *c, const vj_func *from, const variation *v) {
    for (int32_t i = 0; i < vj_pass_count() && vj_pass_at(i)->after == VJ_LEVEL_TENSOR; i++) {
        vj_error error = {0};
        vj_program *none = NULL;
        vj_func *f = clone(c->arena, from, &CLONE_PLAIN);
        const char *name = vj_pass_at(i)->name;
        if (v->without && strcmp(v->without, name) == 0) continue;
        if (run_passes(c, f, v, name, &none, &error) != VJ_OK) return name;
        vj_tensor **got = VJ_NEW_ARRAY(c->arena, vj_tensor *, f->output_count + 1);
        if (!vj_eval(c->arena, f, c->batch, c->inputs, got, false, &error) || is_off(c, got)) return name;
    }
    return NULL;
}

static const char *described(checking *c, const variation *v) {
    const char *format = v->weight_format == VJ_I4 ? ", int4" : v->weight_format == VJ_I8 ? ", int8" : "";
    return vj_sprintf(c->arena, "%s%s%s, batch %lld%s%s%s%s", v->target->name, v->precision == VJ_BF16 ? ", bf16" : "",
                      format, (long long)c->batch, v->by_orc ? ", ORC" : "", v->without ? ", without " : "",
                      v->without ? v->without : "", v->pass_limit >= 0 ? ", with a pass limit" : "");
}

/* Fixes the batch when the passes cannot keep it open, as compiler/compile.c does. */
static const vj_func *plan(checking *c, const variation *v, vj_program **p, vj_error *error) {
    const vj_func *from = c->f;
    vj_status status = run_passes(c, clone(c->arena, from, &CLONE_PLAIN), v, NULL, p, error);
    if (status == VJ_UNSUPPORTED && c->f->batch_is_open) {
        *error = (vj_error){0};
        from = c->fixed;
        status = run_passes(c, clone(c->arena, from, &CLONE_PLAIN), v, NULL, p, error);
    }
    if (status == VJ_OK) return from;
    if (status != VJ_UNSUPPORTED) wrong(c, "%s: the passes fail: %s", described(c, v), error->text);
    return NULL;
}

static bool unsupported(checking *c, const vj_error *error) {
    c->out->what = UNSUPPORTED;
    snprintf(c->out->text, sizeof c->out->text, "%.900s", error->text);
    return false;
}

static bool run_and_compare(checking *c, machine *x, const variation *v, const vj_func *from) {
    vj_error error = {0};
    const int64_t n = from == c->fixed ? 1 : c->batch;
    vj_tensor **got = outputs_of(c, &error), **again = outputs_of(c, &error);
    const char *text = machine_run(x, n, c->inputs, got, 1, false);
    if (text) return wrong(c, "%s: %s", described(c, v), text);
    text = is_off(c, got);
    if (text) {
        const char *pass = guilty_pass(c, from, v);
        return wrong(c, "%s: %s%s%s", described(c, v), text, pass ? "; after pass " : "; the tensor level is right",
                     pass ? pass : "");
    }
    for (int32_t i = 0; v->split && i < 2; i++) {
        text = machine_run(x, n, c->inputs, again, 3, i);
        if (text) return wrong(c, "%s, 3 parts: %s", described(c, v), text);
        if (!same_bits(c->fixed, got, again))
            return wrong(c, "%s: in 3 parts%s the bits differ", described(c, v), i ? " backwards" : "");
    }
    return true;
}

/* Compiling once more must give the same code, byte for byte. */
static bool is_repeatable(checking *c, machine *x, const variation *v, const vj_func *from) {
    vj_error error = {0};
    vj_program *p = NULL;
    size_t bytes, others;
    if (run_passes(c, clone(c->arena, from, &CLONE_PLAIN), v, NULL, &p, &error) != VJ_OK)
        return wrong(c, "%s: compiled again it fails: %s", described(c, v), error.text);
    machine *y = machine_new(c->arena, p, v->target, 3 - v->threads, false, &error);
    if (!y) return wrong(c, "%s: compiled again it fails: %s", described(c, v), error.text);
    const void *a = machine_code(x, &bytes), *b = machine_code(y, &others);
    const bool same = bytes == others && memcmp(a, b, bytes) == 0;
    machine_free(y);
    return same || wrong(c, "%s: compiled again the code differs", described(c, v));
}

static bool compiled_is_right(checking *c, const variation *v) {
    vj_error error = {0};
    vj_program *p = NULL;
    const vj_func *from = plan(c, v, &p, &error);
    if (!from) return c->out->what != WRONG && unsupported(c, &error);
    if (!program_prints_and_parses(c, p)) return false;
    c->out->kernels += p->kernel_count;
    machine *x = machine_new(c->arena, p, v->target, v->threads, v->by_orc, &error);
    if (!x && error.status == VJ_UNSUPPORTED) return unsupported(c, &error);
    if (!x) return wrong(c, "%s: no code: %s", described(c, v), error.text);
    const bool fine = run_and_compare(c, x, v, from) && (!v->twice || is_repeatable(c, x, v, from));
    machine_free(x);
    return fine;
}

/* In bfloat16, and with weights in blocks, a function means what the passes of the tensor level make of it: that is evaluated, and its kernels run. */
static bool narrow_is_right(checking *c, const variation *v) {
    vj_error error = {0};
    vj_program *none = NULL;
    const char *last = NULL;
    for (int32_t i = 0; i < vj_pass_count() && vj_pass_at(i)->after == VJ_LEVEL_TENSOR; i++)
        last = vj_pass_at(i)->name;
    checking narrow = *c;
    vj_func *f = clone(c->arena, c->fixed, &CLONE_PLAIN);
    if (run_passes(c, f, v, last, &none, &error) != VJ_OK)
        return error.status == VJ_UNSUPPORTED || wrong(c, "narrower, the passes fail: %s", error.text);
    narrow.f = narrow.fixed = f;
    narrow.t = truth_of(c->arena, f, c->inputs, c->seed, SAMPLES, &error);
    if (!narrow.t) return true;
    narrow.f = c->fixed; /* to be compiled */
    narrow.batch = 1;
    return compiled_is_right(&narrow, v) || c->out->what != WRONG;
}

static const vj_target *any_target(rng *r) {
    for (;;) {
        const vj_target *target = vj_target_at(pick(r, vj_target_count()));
        if (machine_can(target)) return target;
    }
}

static bool all_variations(checking *c) {
    rng r = {c->seed ^ 0xc0ffee};
    variation v = {.target = any_target(&r), .pass_limit = -1, .threads = 1 + pick(&r, 2), .split = true};
    v.twice = chance(&r, 15);
    if (!compiled_is_right(c, &v)) return false;
    if (chance(&r, 30)) {
        variation other = {.target = any_target(&r), .pass_limit = -1, .threads = 1, .split = chance(&r, 30)};
        if (chance(&r, 60))
            other.without = vj_pass_at(pick(&r, vj_pass_count()))->name;
        else
            other.pass_limit = pick(&r, 12);
        if (!compiled_is_right(c, &other) && c->out->what == WRONG) return false;
        c->out->what = FINE; /* not every function can be lowered without every pass */
    }
    variation orc = {.target = any_target(&r), .pass_limit = -1, .threads = 1, .by_orc = true};
    if (chance(&r, 8) && !compiled_is_right(c, &orc)) return false;
    variation narrow = {.target = any_target(&r), .pass_limit = -1, .threads = 1, .split = true, .precision = VJ_BF16};
    if (chance(&r, 25) && !narrow_is_right(c, &narrow)) return false;
    narrow.precision = chance(&r, 50) ? VJ_BF16 : VJ_F32;
    narrow.weight_format = chance(&r, 50) ? VJ_I4 : VJ_I8;
    return !chance(&r, 25) || narrow_is_right(c, &narrow);
}

void check_function(const vj_func *f, uint64_t seed, outcome *out) {
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    rng r = {seed ^ 0xabcdef};
    *out = (outcome){.what = FINE};
    checking c = {.arena = arena, .f = f, .batch = f->batch_is_open ? 1 + pick(&r, 4) : 1, .seed = seed, .out = out};
    if (f->symbol_count > 0) { /* copies and the truth know no size that the data decides */
        out->what = VACUOUS;
        vj_arena_free(arena);
        return;
    }
    clone_plan with_batch = CLONE_PLAIN;
    with_batch.batch = c.batch;
    c.fixed = clone(arena, f, &with_batch);
    if (!vj_verify(f, &error))
        wrong(&c, "not valid: %s", error.text);
    else if (!c.fixed)
        wrong(&c, "with a batch of %lld it is not valid", (long long)c.batch);
    else if (!make_inputs(&c, &error) || !(c.t = truth_of(arena, c.fixed, c.inputs, seed, SAMPLES, &error)))
        out->what = VACUOUS;
    else if (prints_and_parses(&c, f, "as made") && evaluator_takes_batch(&c))
        all_variations(&c);
    if (c.t) count_judged(c.t, &out->judged, &out->elements);
    vj_arena_free(arena);
}

typedef struct job {
    const vj_func *f;
    uint64_t seed;
    outcome *out;
} job;

static void check_job(void *self) {
    const job *j = self;
    check_function(j->f, j->seed, j->out);
}

void check_apart(const vj_func *f, uint64_t seed, outcome *out) {
    char why[100];
    job j = {f, seed, out};
    if (run_apart(check_job, &j, out, sizeof *out, why, sizeof why)) return;
    *out = (outcome){.what = WRONG};
    snprintf(out->text, sizeof out->text, "%s", why);
}
