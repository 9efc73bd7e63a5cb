/* SPDX-License-Identifier: Apache-2.0 */
/* quantised_report.c - what the pass `quantised` tells: how many products of dequantised bytes there are, which multiply bytes, and
 * of each other one why not. A model without any has no such row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"

typedef struct run {
    vj_arena *arena;
    vj_report report;
    vj_error error;
} run;

/* Runs the pass over a function of this body, `times` times. */
static run run_pass(const char *body, int32_t times, int32_t limit) {
    run r = {.arena = vj_arena_new()};
    vj_text text = {.arena = r.arena};
    r.report.arena = r.arena;
    vj_text_add(
        &text,
        "func @f(%%q: u8[N,8], %%d: u8[4,70000], %%z: u8[], %%v: u8[8], %%t: f32[], %%e: u8[70000,2]) {\n%s\n}\n",
        body);
    vj_func *f = vj_parse(r.arena, text.at, ".", &(const char *){NULL}, &r.error);
    assert_non_null(f);
    const vj_pipeline_options options = {.pass_limit = limit};
    vj_pass_context c = {
        .arena = r.arena, .f = f, .options = &options, .report = &r.report, .error = &r.error, .rewrites_left = limit};
    for (int32_t i = 0; i < times; i++)
        assert_int_equal(vj_run_pass(vj_pass_by_name("quantised"), &c), VJ_OK);
    return r;
}

/* One product, which is seen and not recognised, for this reason. */
static void misses(const char *body, const char *reason) {
    run r = run_pass(body, 1, -1);
    const vj_report_row *row = vj_report_row_of(&r.report, "quantised");
    assert_int_equal(row->seen, 1);
    assert_int_equal(row->fused, 0);
    assert_int_equal(row->reason_count, 1);
    assert_non_null(strstr(row->reasons[0], "node 'y': "));
    if (!strstr(row->reasons[0], reason)) fail_msg("%s: not '%s'", row->reasons[0], reason);
    vj_arena_free(r.arena);
}

#define A         "%a = cast %q to=f32 : f32[N,8]\n"
#define W(consts) "@w = const seed(1) : i8[8,3]\n@s = const " consts "\n%c = cast @w to=f32 : f32[8,3]\n"
#define Y         "%y = linear %a, %b : f32[N,3]\nreturn %y"

static void reasons(void **state) {
    (void)state;
    misses(A W("seed(2) : f32[8,1]") "%b = mul %c, @s : f32[8,3]\n" Y, "its weight's scales differ along a column");
    misses(A W("[1,2,3,4,5,6,7,8] : f32[8,1]") "%b = sub %c, @s : f32[8,3]\n" Y,
           "its weight's zero points differ along a column");
    misses(A W("[0.5] : f32[]") "%b = sub %c, @s : f32[8,3]\n" Y, "a zero point is neither constant nor a byte");
    misses(A W("[2] : f32[]") "%x = cast %z to=f32 : f32[]\n%b = sub %c, %x : f32[8,3]\n" Y,
           "its weight's zero point is computed when it runs");
    misses(A W("[2] : f32[]") "%x = mul %c, %t : f32[8,3]\n%b = mul %x, @s : f32[8,3]\n" Y, "a factor is scaled twice");
    misses(A W("[2] : f32[]") "%x = mul %c, %t : f32[8,3]\n%b = sub %x, @s : f32[8,3]\n" Y,
           "a factor is shifted behind its scale");
    misses("%i = cast %d to=i32 : i32[4,70000]\n%j = cast %e to=i32 : i32[70000,2]\n%y = matmul %i, %j : "
           "i32[4,2]\nreturn %y",
           "both factors are computed, and sums of their bytes may exceed what is exact in f32");
    misses(
        "%i = cast %d to=f32 : f32[4,70000]\n@w = const splat(-128) : i8[70000,2]\n%j = cast @w to=f32 : f32[70000,2]\n"
        "%y = linear %i, %j : f32[4,2]\nreturn %y",
        "its sums may exceed 32 bits");
    misses("%i = cast %q to=f32 : f32[N,8]\n@w = const seed(1) : i8[8]\n%j = cast @w to=f32 : f32[8]\n"
           "%y = matmul %i, %j : f32[N]\nreturn %y",
           "one of its factors is a vector");
    misses("%i = cast %q to=f32 : f32[N,8]\n@w = const seed(1) : i8[2,8,3]\n%j = cast @w to=f32 : f32[2,8,3]\n"
           "%y = matmul %i, %j : f32[2,N,3]\nreturn %y",
           "its weight is several matrices");
    misses("@x = const seed(2) : u8[2,8]\n%i = cast @x to=f32 : f32[2,8]\n" W(
               "[2] : f32[]") "%y = linear %i, %c : f32[2,3]\nreturn %y",
           "both factors are constants");
}

static void counts(void **state) {
    (void)state;
    static const char *const two =
        A W("[0.5] : f32[]") "%b = mul %c, @s : f32[8,3]\n%y = linear %a, %b : f32[N,3]\n"
                             "%g = mul %a, %t : f32[N,8]\n@o = const seed(9) : i8[8,3]\n%h = cast @o to=f32 : "
                             "f32[8,3]\n%n = linear %g, %h : f32[N,3]\nreturn %y, %n";
    for (int32_t times = 1; times <= 2; times++) {
        run r = run_pass(two, times, -1);
        assert_int_equal(vj_report_row_of(&r.report, "quantised")->seen, 2);
        assert_int_equal(vj_report_row_of(&r.report, "quantised")->fused, 2);
        assert_int_equal(vj_report_row_of(&r.report, "quantised")->reason_count, 0);
        vj_arena_free(r.arena);
    }
    run r = run_pass(two, 1, 1); /* the second may not be rewritten */
    assert_int_equal(vj_report_row_of(&r.report, "quantised")->fused, 1);
    vj_arena_free(r.arena);
    r = run_pass(A "%b = mul %a, %t : f32[N,8]\nreturn %b", 1, -1);
    assert_int_equal(r.report.row_count, 0);
    vj_arena_free(r.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reasons), cmocka_unit_test(counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
