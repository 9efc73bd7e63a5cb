/* SPDX-License-Identifier: Apache-2.0 */
/* attention_report.c - why a softmax of a quantised model is part of no attention. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"

static const vj_report_row *report_of(vj_arena *arena, vj_report *report, const char *body) {
    vj_error error = {0};
    vj_text text = {.arena = arena};
    vj_text_add(&text,
                "func @f(%%q: f32[N,2,5,4], %%k: f32[N,2,4,5], %%v: f32[N,2,5,4], %%m: bool[N,1,1,5], %%s: f32[], "
                "%%x: f32[N,2,5,1]) {\n@d = const [0.5] : f32[]\n@low = const [-9] : f32[]\n@high = const [9] : f32[]\n"
                "%%p = matmul %%q, %%k : f32[N,2,5,5]\n%s\nreturn %%y\n}\n",
                body);
    vj_func *f = vj_parse(arena, text.at, ".", &(const char *){NULL}, &error);
    if (!f) fail_msg("%s: %s", text.at, error.text);
    const vj_pipeline_options options = {.pass_limit = -1};
    report->arena = arena;
    vj_pass_context c = {
        .arena = arena, .f = f, .options = &options, .report = report, .error = &error, .rewrites_left = -1};
    assert_int_equal(vj_run_pass(vj_pass_by_name("attention"), &c), VJ_OK);
    assert_int_equal(vj_run_pass(vj_pass_by_name("report"), &c), VJ_OK);
    return vj_report_row_of(report, "attention");
}

static void misses(const char *body, const char *reason) {
    vj_arena *arena = vj_arena_new();
    vj_report report = {0};
    const vj_report_row *row = report_of(arena, &report, body);
    assert_int_equal(row->seen, 1);
    assert_int_equal(row->fused, 0);
    assert_int_equal(row->reason_count, 1);
    if (!strstr(row->reasons[0], reason)) fail_msg("%s: not '%s'", row->reasons[0], reason);
    vj_arena_free(arena);
}

/* y is x / d on a grid. */
#define GRID(y, x, d)                                                                                                  \
    "%" y "1 = div %" x ", " d " : f32[N,2,5,5]\n%" y "2 = round %" y "1 : f32[N,2,5,5]\n%" y "3 = at_least %" y       \
    "2, @low : f32[N,2,5,5]\n%" y " = at_most %" y "3, @high : f32[N,2,5,5]\n"
#define SOFTMAX(y, x) "%" y " = softmax %" x " axis=3 : f32[N,2,5,5]\n"
#define VALUES(x)     "%y = matmul %" x ", %v : f32[N,2,5,4]"

static void reasons(void **state) {
    (void)state;
    misses(GRID("a", "p", "@d") "%b = select %m, %a, @low : f32[N,2,5,5]\n" SOFTMAX("w", "b") VALUES("w"),
           "a mask or a factor behind the rounding of its scores");
    misses(GRID("a", "p", "@d") "%b = mul %a, %x : f32[N,2,5,5]\n" SOFTMAX("w", "b") VALUES("w"),
           "a mask or a factor behind the rounding of its scores");
    misses(GRID("a", "p", "@d") GRID("b", "a", "@d") GRID("c", "b", "@d") GRID("e", "c", "@d") GRID("f", "e", "@d")
               SOFTMAX("w", "f") VALUES("w"),
           "its scores are rounded too many times");
    misses(SOFTMAX("w", "p") GRID("a", "w", "%s") VALUES("a"),
           "its weights are quantised by a scale that is found over all of them when it runs");
    misses(SOFTMAX("w", "p") GRID("a", "w", "@d") GRID("b", "a", "@d") VALUES("b"),
           "its weights are changed between the softmax and the product with v");
    misses(SOFTMAX("w", "p") GRID("a", "w", "@d") "%b = neg %a2 : f32[N,2,5,5]\n%c = matmul %b, %v : f32[N,2,5,4]\n"
                                                  "%g = matmul %a, %v : f32[N,2,5,4]\n%y = add %c, %g : f32[N,2,5,4]",
           "its weights are kept, as they are used elsewhere too");
    misses(SOFTMAX("w", "p") "%e = eq %w, %w : bool[N,2,5,5]\n@zero = const [0] : f32[]\n"
                             "%o = select %e, %w, @zero : f32[N,2,5,5]\n" GRID("a", "o", "@d") VALUES("a"),
           "its weights are rounded, and guarded against NaN");
}

static void fuses(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_report report = {0};
    const vj_report_row *row =
        report_of(arena, &report, GRID("a", "p", "@d") SOFTMAX("w", "a") GRID("b", "w", "@d") VALUES("b"));
    assert_int_equal(row->fused, 1);
    assert_int_equal(row->reason_count, 0);
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reasons), cmocka_unit_test(fuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
