/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.c - what the pass `precision` makes of a calibration, and of probes. What products in smaller types come to is said here by loops of
 * their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "passes/passes.h"

enum { ROWS = 3, DEPTH = 40, COLUMNS = 5 };

/* Two products of one activation, and one of their sum; `d` makes no output, so that it may be in bytes. */
static const char text[] = "func @f(%x: f32[3,40]) -> f32[3,5], f32[3,5] {\n"
                           "@w = const seed(1) : f32[40,5]\n@u = const seed(2) : f32[40,5]\n"
                           "%y = linear %x, @w : f32[3,5]\n%a = softmax %y axis=1 : f32[3,5]\n"
                           "%z = linear %x, @u : f32[3,5]\n%b = softmax %z axis=1 : f32[3,5]\n"
                           "return %a, %b\n}\n";

typedef struct run {
    vj_arena *arena;
    vj_func *f;
    vj_report report;
    vj_error error;
    vj_status status;
    bool matched[8];
} run;

static run *run_pass(const vj_calibration *calibration, bool probe) {
    vj_arena *arena = vj_arena_new();
    run *r = VJ_NEW_ARRAY(arena, run, 1);
    r->arena = r->report.arena = arena;
    const vj_pipeline_options options = {
        .pass_limit = -1, .precision = VJ_I8, .calibration = calibration, .layer_matched = r->matched, .probe = probe};
    r->f = vj_parse(arena, text, ".", &(const char *){NULL}, &r->error);
    assert_non_null(r->f);
    vj_pass_context c = {
        .arena = arena, .f = r->f, .options = &options, .report = &r->report, .error = &r->error, .rewrites_left = -1};
    r->status = vj_run_pass(vj_pass_by_name("precision"), &c);
    return r;
}

static int32_t count_of(const vj_func *f, vj_op op, vj_dtype factor) {
    int32_t count = 0;
    for (int32_t n = 0; n < f->node_count; n++)
        count += !f->nodes[n].dead && f->nodes[n].op == op && vj_type_at(f, f->nodes[n].args[0])->dtype == factor;
    return count;
}

static void layers_are_as_chosen(void **state) {
    (void)state;
    vj_layer_choice layers[] = {{.node = "y", .precision = VJ_BF16}, {.node = "z", .precision = VJ_F32}};
    const vj_calibration calibration = {.layers = layers, .layer_count = 2};
    run *r = run_pass(&calibration, false);
    assert_int_equal(r->status, VJ_OK);
    assert_int_equal(count_of(r->f, VJ_OP_matmul, VJ_U8), 0);
    assert_int_equal(count_of(r->f, VJ_OP_linear, VJ_BF16), 1);
    assert_int_equal(count_of(r->f, VJ_OP_linear, VJ_F32), 1);
    assert_true(r->matched[0] && r->matched[1]);
    assert_string_equal(vj_report_row_of(&r->report, "int8")->reasons[0], "node 'y': the calibration keeps it wider");
    assert_string_equal(vj_report_row_of(&r->report, "bf16")->reasons[0], "node 'z': the calibration keeps it in f32");
    vj_arena_free(r->arena);
    /* What it does not name goes by the rule. */
    layers[0].node = "nobody";
    layers[1].precision = VJ_I8;
    r = run_pass(&calibration, false);
    assert_int_equal(r->status, VJ_OK);
    assert_int_equal(count_of(r->f, VJ_OP_matmul, VJ_U8), 2);
    assert_true(!r->matched[0] && r->matched[1]);
    vj_arena_free(r->arena);
}

static void other_weights_are_refused(void **state) {
    (void)state;
    static const int8_t shift[DEPTH + 1];
    const vj_layer_choice wrong[] = {{.node = "y", .precision = VJ_I8, .largest = 0.5F},
                                     {.node = "y", .precision = VJ_I8, .depth = DEPTH - 1, .shift = shift},
                                     {.node = "y", .precision = VJ_I8, .depth = DEPTH + 1, .shift = shift}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        vj_layer_choice layer = wrong[i];
        const vj_calibration calibration = {.layers = &layer, .layer_count = 1};
        run *r = run_pass(&calibration, false);
        assert_int_equal(r->status, VJ_BAD_INPUT);
        assert_non_null(strstr(r->error.text, "of another model: the weight of 'y'"));
        vj_arena_free(r->arena);
    }
}

/* The numbers */

static void read_weight(const char *name, double *w) {
    vj_error error = {0};
    vj_arena *arena = vj_arena_new();
    vj_func *f = vj_parse(arena, text, ".", &(const char *){NULL}, &error);
    for (vj_value v = 0; v < f->value_count; v++)
        if (f->values[v].name && strcmp(f->values[v].name, name) == 0)
            assert_true(vj_const_read_f64(f, v, 0, DEPTH * COLUMNS, w, &error));
    vj_arena_free(arena);
}

/* Channels whose sizes go over many powers of two. */
static double activation(int64_t i) { return (double)(i * 37 % 101 - 50) / 50 * ldexp(1, (int)(i % DEPTH % 7)); }

static vj_tensor **evaluate(run *r) {
    vj_tensor *x = vj_tensor_new(
        r->arena, &(vj_type){.dtype = VJ_F32, .rank = 2, .dims = {{ROWS, VJ_SYM_NONE}, {DEPTH, VJ_SYM_NONE}}},
        &r->error);
    vj_tensor **outputs = VJ_NEW_ARRAY(r->arena, vj_tensor *, r->f->output_count + 1);
    for (int64_t i = 0; i < x->count; i++)
        x->f[i] = activation(i);
    if (!vj_eval(r->arena, r->f, 1, &x, outputs, true, &r->error)) fail_msg("%s", r->error.text);
    return outputs;
}

/* x w in bytes: columns of w and rows of x by their own largest number, channels shifted before. */
static void in_bytes(const double *w, const int8_t *shift, double *y) {
    for (int64_t row = 0; row < ROWS; row++)
        for (int64_t n = 0; n < COLUMNS; n++) {
            double x_most = 0, w_most = 0, sum = 0;
            for (int64_t k = 0; k < DEPTH; k++) {
                x_most = fmax(x_most, fabs(ldexp(activation(row * DEPTH + k), -shift[k])));
                w_most = fmax(w_most, fabs(ldexp(w[k * COLUMNS + n], shift[k])));
            }
            for (int64_t k = 0; k < DEPTH; k++)
                sum += rint(ldexp(activation(row * DEPTH + k), -shift[k]) * (127 / x_most)) *
                       rint(ldexp(w[k * COLUMNS + n], shift[k]) * (127 / w_most));
            y[row * COLUMNS + n] = sum * (x_most / 127) * (w_most / 127);
        }
}

static void exactly(const double *w, double *y) {
    for (int64_t row = 0; row < ROWS; row++)
        for (int64_t n = 0; n < COLUMNS; n++) {
            double sum = 0;
            for (int64_t k = 0; k < DEPTH; k++)
                sum += activation(row * DEPTH + k) * w[k * COLUMNS + n];
            y[row * COLUMNS + n] = sum;
        }
}

static double squares(const double *a, const double *b) {
    double sum = 0;
    for (int64_t i = 0; i < ROWS * COLUMNS; i++)
        sum += (a[i] - (b ? b[i] : 0)) * (a[i] - (b ? b[i] : 0));
    return sum;
}

static double probe_of(const run *r, vj_tensor **outputs, const char *name, int64_t i) {
    for (int32_t o = 0; o < r->f->output_count; o++)
        if (strcmp(r->f->output_names[o], name) == 0) return outputs[o]->f[i];
    fail_msg("there is no output %s", name);
    return 0;
}

static void near_to(double got, double want, double part) {
    if (!(fabs(got - want) <= part * fabs(want))) fail_msg("%g is not %g", got, want);
}

static int8_t shift_of(int64_t k) { return (int8_t)(k % 7 - 3); }

/* Once without smoothing, once with; its factors of two are exact. */
static void probes_measure(void **state) {
    (void)state;
    double w[DEPTH * COLUMNS], y[ROWS * COLUMNS], narrow[ROWS * COLUMNS];
    int8_t shift[DEPTH] = {0};
    read_weight("w", w);
    exactly(w, y);
    for (int smooth = 0; smooth < 2; smooth++) {
        for (int64_t k = 0; k < DEPTH && smooth; k++)
            shift[k] = shift_of(k);
        vj_layer_choice layer = {.node = "y", .precision = VJ_I8, .depth = smooth ? DEPTH : 0, .shift = shift};
        const vj_calibration calibration = {.layers = &layer, .layer_count = 1};
        run *r = run_pass(&calibration, true);
        assert_int_equal(r->status, VJ_OK);
        vj_tensor **outputs = evaluate(r);
        in_bytes(w, shift, narrow);
        near_to(probe_of(r, outputs, "vitjit.probe.0.energy:y", 0), squares(y, NULL), 1e-5);
        near_to(probe_of(r, outputs, "vitjit.probe.0.int8:y", 0), squares(narrow, y),
                1e-3); /* scales are constants of f32 */
        const double half = probe_of(r, outputs, "vitjit.probe.0.bf16:y", 0);
        assert_true(half > 0 && half < squares(narrow, y));
        for (int64_t k = 0; k < DEPTH; k++) {
            double x_most = 0, w_most = 0;
            for (int64_t row = 0; row < ROWS; row++)
                x_most = fmax(x_most, fabs(activation(row * DEPTH + k)));
            for (int64_t n = 0; n < COLUMNS; n++)
                w_most = fmax(w_most, fabs(w[k * COLUMNS + n]));
            near_to(probe_of(r, outputs, "vitjit.probe.0.activations:y", k), x_most, 1e-7);
            near_to(probe_of(r, outputs, "vitjit.probe.0.weight:y", k), w_most, 1e-7);
        }
        near_to(probe_of(r, outputs, "vitjit.probe.1.share:z", 0), 0, 0);
        vj_arena_free(r->arena);
    }
}

/* Products of one activation share its bytes where they smooth it alike, and there alone. */
static void bytes_are_shared_where_smoothing_is(void **state) {
    (void)state;
    int8_t one[DEPTH], other[DEPTH];
    for (int64_t k = 0; k < DEPTH; k++) {
        one[k] = shift_of(k);
        other[k] = (int8_t)-shift_of(k);
    }
    for (int alike = 0; alike < 2; alike++) {
        vj_layer_choice layers[] = {{.node = "y", .precision = VJ_I8, .depth = DEPTH, .shift = one},
                                    {.node = "z", .precision = VJ_I8, .depth = DEPTH, .shift = alike ? one : other}};
        const vj_calibration calibration = {.layers = layers, .layer_count = 2};
        run *r = run_pass(&calibration, false);
        int32_t casts = 0;
        for (int32_t n = 0; n < r->f->node_count; n++)
            casts += r->f->nodes[n].op == VJ_OP_cast && vj_type_at(r->f, r->f->nodes[n].first_result)->dtype == VJ_U8;
        assert_int_equal(casts, alike ? 1 : 2);
        vj_arena_free(r->arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_as_chosen),
        cmocka_unit_test(other_weights_are_refused),
        cmocka_unit_test(probes_measure),
        cmocka_unit_test(bytes_are_shared_where_smoothing_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
