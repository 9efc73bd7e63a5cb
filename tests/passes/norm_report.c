/* SPDX-License-Identifier: Apache-2.0 */
/* norm_report.c - which roots of a mean of squares are reported as layer normalisations that were missed, and which as RMSNorm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"

/* y is made of %x, of its mean %m, of what is around it, %d, and of the root %r of the mean of their squares (times @over) and an epsilon. */
static void report_on(vj_arena *arena, vj_report *report, const char *over, const char *body) {
    vj_error error = {0};
    vj_text text = {.arena = arena};
    vj_text_add(&text,
                "func @f(%%x: f32[N,5,4]) -> f32[N,5,4] {\n@eps = const [1e-6] : f32[]\n@over = const [%s] : f32[]\n"
                "@g = const seed(1) : f32[4]\n%%m = reduce %%x axes=[2] keep=1 kind=mean : f32[N,5,1]\n"
                "%%d = sub %%x, %%m : f32[N,5,4]\n%%q = mul %%d, %%d : f32[N,5,4]\n"
                "%%v = reduce %%q axes=[2] keep=1 kind=mean : f32[N,5,1]\n%%w = mul %%v, @over : f32[N,5,1]\n"
                "%%e = add %%w, @eps : f32[N,5,1]\n%%r = sqrt %%e : f32[N,5,1]\n%s : f32[N,5,4]\nreturn %%y\n}\n",
                over, body);
    vj_func *f = vj_parse(arena, text.at, ".", &(const char *){NULL}, &error);
    if (!f) fail_msg("%s: %s", text.at, error.text);
    const vj_pipeline_options options = {.pass_limit = -1};
    report->arena = arena;
    vj_pass_context c = {
        .arena = arena, .f = f, .options = &options, .report = report, .error = &error, .rewrites_left = -1};
    static const char *const passes[] = {"canonicalise", "layernorm", "report"};
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        assert_int_equal(vj_run_pass(vj_pass_by_name(passes[i]), &c), VJ_OK);
}

/* How many there are, `missed` of them layer normalisations that were not recognised. */
static void reports(const char *over, const char *body, int layernorms, int missed, int rmsnorms, const char *reason) {
    vj_arena *arena = vj_arena_new();
    vj_report report = {0};
    report_on(arena, &report, over, body);
    const vj_report_row *layernorm = vj_report_row_of(&report, "layernorm"),
                        *rms = vj_report_row_of(&report, "rmsnorm");
    assert_int_equal(layernorm->seen, layernorms);
    assert_int_equal(layernorm->seen - layernorm->fused, missed);
    assert_int_equal(rms->seen, rmsnorms);
    assert_int_equal(layernorm->reason_count, missed);
    if (reason && !strstr(layernorm->reasons[0], reason)) fail_msg("%s: not '%s'", layernorm->reasons[0], reason);
    vj_arena_free(arena);
}

static void mean_taken_off(void **state) {
    (void)state;
    reports("1", "%y = div %d, %r", 1, 0, 0, NULL);
    reports("1.25", "%y = div %d, %r", 1, 1, 0, "its variance is not the mean of squares (N - 1 elements)");
}

static void mean_kept(void **state) {
    (void)state;
    reports("1", "%y = div %x, %r", 0, 0, 1, NULL);
    reports("1.25", "%y = div %x, %r", 0, 0, 1, NULL);
    reports("1", "%i = div @g, %r : f32[N,5,4]\n%y = mul %x, %i", 0, 0, 1, NULL);
    reports("1", "%i = reciprocal %r : f32[N,5,1]\n%j = mul %i, @g : f32[N,5,4]\n%y = mul %j, %x", 0, 0, 1, NULL);
}

/* The mean, or what is around it, is in the result all the same. */
static void mean_used_elsewhere(void **state) {
    static const char around[] = "its root does not divide the differences, or its axes are not neighbours";
    (void)state;
    reports("1", "%i = div %x, %r : f32[N,5,4]\n%y = sub %i, %m", 1, 1, 0, around);
    reports("1", "%i = div %x, %r : f32[N,5,4]\n%y = mul %i, %d", 1, 1, 0, around);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mean_taken_off), cmocka_unit_test(mean_kept),
                                       cmocka_unit_test(mean_used_elsewhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
