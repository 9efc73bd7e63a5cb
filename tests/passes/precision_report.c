/* SPDX-License-Identifier: Apache-2.0 */
/* precision_report.c - what the passes `precision` and `weight_format` tell: of each product that stays in f32 why, which
 * patterns named one, a model that has nothing for bf16, formats that do not go together. */
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
    vj_status status;
} run;

static run run_pass(const char *name, const char *text, const vj_pipeline_options *options) {
    run r = {.arena = vj_arena_new()};
    r.report.arena = r.arena;
    vj_func *f = vj_parse(r.arena, text, ".", &(const char *){NULL}, &r.error);
    assert_non_null(f);
    vj_pass_context c = {.arena = r.arena,
                         .f = f,
                         .options = options,
                         .report = &r.report,
                         .error = &r.error,
                         .rewrites_left = options->pass_limit};
    r.status = vj_run_pass(vj_pass_by_name(name), &c);
    return r;
}

static const char *const several = "func @f(%x: f32[N,64], %i: i32[4,4]) -> f32[N,64], i64[N,2], f32[N,4], i32[4,4] {\n"
                                   "@w = const seed(1) : f32[64,64]\n@s = const seed(2) : f32[64,9]\n"
                                   "@b = const seed(3) : f32[64,4]\n"
                                   "%y = linear %x, @w : f32[N,64]\n%z = linear %y, @w : f32[N,64]\n"
                                   "%c = linear %y, @s : f32[N,9]\n"
                                   "%v, %best = topk %c axis=1 k=2 largest=1 : f32[N,2], i64[N,2]\n"
                                   "%boxes = linear %y, @b : f32[N,4]\n%m = matmul %i, %i : i32[4,4]\n"
                                   "return %z, %best, %boxes, %m\n}\n";

static bool has_reason(const vj_report_row *row, const char *reason) {
    for (int32_t i = 0; i < row->reason_count; i++)
        if (strcmp(row->reasons[i], reason) == 0) return true;
    return false;
}

static void reasons(void **state) {
    (void)state;
    const char *const patterns[] = {"z*", "nobody"};
    bool matched[2] = {false, false};
    const vj_pipeline_options options = {
        .pass_limit = -1, .precision = VJ_BF16, .keep_f32 = patterns, .keep_f32_count = 2, .keep_f32_matched = matched};
    run r = run_pass("precision", several, &options);
    assert_int_equal(r.status, VJ_OK);
    const vj_report_row *row = vj_report_row_of(&r.report, "bf16");
    assert_int_equal(row->seen, 5);
    assert_int_equal(row->fused, 1);
    assert_int_equal(row->reason_count, 4);
    assert_true(has_reason(row, "node 'z': --keep-f32 names it"));
    assert_true(has_reason(row, "node 'c': topk 'v' picks by its result"));
    assert_true(has_reason(row, "node 'boxes': its few columns may be points or boxes"));
    assert_true(has_reason(row, "node 'm': its factors are integers or doubles"));
    assert_true(matched[0]);
    assert_false(matched[1]);
    vj_arena_free(r.arena);
}

/* Without bf16 the report has no such row. */
static void not_asked_for(void **state) {
    (void)state;
    const vj_pipeline_options options = {.pass_limit = -1};
    run r = run_pass("precision", several, &options);
    assert_int_equal(r.status, VJ_OK);
    assert_int_equal(r.report.row_count, 0);
    vj_arena_free(r.arena);
}

static void nothing_for_bf16(void **state) {
    (void)state;
    const vj_pipeline_options options = {.pass_limit = -1, .precision = VJ_BF16};
    run r = run_pass("precision",
                     "func @f(%x: f64[N,8], %i: i32[4,4]) -> f64[N,5], i32[4,4] {\n@w = const seed(1) : f64[8,5]\n"
                     "%y = linear %x, @w : f64[N,5]\n%m = matmul %i, %i : i32[4,4]\nreturn %y, %m\n}\n",
                     &options);
    assert_int_equal(r.status, VJ_UNSUPPORTED);
    assert_non_null(strstr(r.error.text, "integers or doubles"));
    vj_arena_free(r.arena);
    r = run_pass("precision", "func @f(%x: f32[N,8]) -> f32[N,8] {\n%y = relu %x : f32[N,8]\nreturn %y\n}\n", &options);
    assert_int_equal(r.status, VJ_OK);
    vj_arena_free(r.arena);
}

static void formats_that_differ(void **state) {
    (void)state;
    vj_pipeline_options options = {.pass_limit = -1, .precision = VJ_BF16, .weight_format = VJ_F16};
    run r = run_pass("precision", several, &options);
    assert_int_equal(r.status, VJ_USAGE);
    vj_arena_free(r.arena);
    options.weight_format = VJ_BF16;
    r = run_pass("precision", several, &options);
    assert_int_equal(r.status, VJ_OK);
    vj_arena_free(r.arena);
}

static void half_weights(void **state) {
    (void)state;
    const char *const patterns[] = {"a"};
    bool matched[1] = {false};
    const vj_pipeline_options options = {.pass_limit = -1,
                                         .weight_format = VJ_F16,
                                         .keep_f32 = patterns,
                                         .keep_f32_count = 1,
                                         .keep_f32_matched = matched};
    static const char *const text = "func @f(%x: f32[N,2]) -> f32[N,2], f32[N,2], f32[N,2], f32[N,2] {\n"
                                    "@w = const [1, 2, 3, 4] : f32[2,2]\n@v = const [1e6, 2, 3, 4] : f32[2,2]\n"
                                    "@h = const [1, 2, 3, 4] : bf16[2,2]\n%u = cast @h to=f32 : f32[2,2]\n"
                                    "%a = linear %x, @w : f32[N,2]\n%b = linear %x, @w : f32[N,2]\n"
                                    "%c = linear %x, @v : f32[N,2]\n%d = linear %x, %u : f32[N,2]\n"
                                    "return %a, %b, %c, %d\n}\n";
    run r = run_pass("weight_format", text, &options);
    assert_int_equal(r.status, VJ_OK);
    const vj_report_row *row = vj_report_row_of(&r.report, "half_weights");
    assert_int_equal(row->seen, 4);
    assert_int_equal(row->fused, 2);
    assert_true(has_reason(row, "node 'a': --keep-f32 names it"));
    assert_true(has_reason(row, "node 'c': its weight exceeds the range of f16"));
    assert_true(matched[0]);
    vj_arena_free(r.arena);
}

static void int4_weights(void **state) {
    (void)state;
    const char *const patterns[] = {"z"};
    bool matched[1] = {false};
    const vj_pipeline_options options = {.pass_limit = -1,
                                         .weight_format = VJ_I4,
                                         .keep_f32 = patterns,
                                         .keep_f32_count = 1,
                                         .keep_f32_matched = matched};
    static const char *const text =
        "func @f(%x: f32[N,64], %p: f32[N,64,4,4]) -> f32[N,64], i64[N,2], f32[N,4], f32[N,9], f32[N,9], f32[N,5,4,4], "
        "f32[2,5] {\n"
        "@w = const seed(1) : f32[64,64]\n@s = const seed(2) : f32[64,9]\n@b = const seed(3) : f32[64,4]\n"
        "@h = const seed(4) : f32[9,9]\n@i = const splat(nan) : f32[64,9]\n@c = const seed(5) : f32[5,64,1,1]\n"
        "@k = const seed(6) : f32[2,64]\n@l = const seed(7) : f32[64,5]\n"
        "%y = linear %x, @w : f32[N,64]\n%z = linear %y, @w : f32[N,64]\n%a = linear %y, @s : f32[N,9]\n"
        "%v, %best = topk %a axis=1 k=2 largest=1 : f32[N,2], i64[N,2]\n%boxes = linear %y, @b : f32[N,4]\n"
        "%e = linear %y, @s : f32[N,9]\n%short = linear %e, @h : f32[N,9]\n%none = linear %y, @i : f32[N,9]\n"
        "%g = conv %p, @c low=[0,0] high=[0,0] stride=[1,1] dilation=[1,1] groups=1 : f32[N,5,4,4]\n"
        "%t = linear @k, @l : f32[2,5]\n"
        "return %z, %best, %boxes, %short, %none, %g, %t\n}\n";
    run r = run_pass("weight_format", text, &options);
    assert_int_equal(r.status, VJ_OK);
    const vj_report_row *row = vj_report_row_of(&r.report, "int4_weights");
    assert_int_equal(row->seen, 9);
    assert_int_equal(row->fused, 2); /* y, e */
    assert_int_equal(row->reason_count, 7);
    assert_true(has_reason(row, "node 'z': --keep-f32 names it"));
    assert_true(has_reason(row, "node 'a': topk 'v' picks by its result"));
    assert_true(has_reason(row, "node 'boxes': its few columns may be points or boxes"));
    assert_true(has_reason(row, "node 'short': its sums are shorter than a block"));
    assert_true(has_reason(row, "node 'none': its weight has a number that is not finite, or beyond 2^120"));
    assert_true(has_reason(row, "node 'g': it is a convolution"));
    assert_true(has_reason(row, "node 't': it is made of constants alone"));
    assert_true(matched[0]);
    row = vj_report_row_of(&r.report, "half_weights");
    assert_int_equal(row->seen, 7);
    assert_int_equal(row->fused, 4);
    assert_true(has_reason(row, "node 'z': --keep-f32 names it"));
    assert_true(has_reason(row, "node 'none': its weight is not finite"));
    assert_true(has_reason(row, "node 't': it is made of constants alone"));
    vj_arena_free(r.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reasons),          cmocka_unit_test(not_asked_for),
                                       cmocka_unit_test(nothing_for_bf16), cmocka_unit_test(formats_that_differ),
                                       cmocka_unit_test(half_weights),     cmocka_unit_test(int4_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
