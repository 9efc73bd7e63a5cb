/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - tests --check: good code passes for every CPU that runs here, and a kernel whose code is wrong is named. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/compiler.h"

/* The evaluator gives another result for kernel number `lie_at`, so that the check takes its code for wrong. */
static int32_t lie_at = -1, seen;
static double lie, share_of_lie; /* it is off by so much, or by this share of the largest result */
static char lied_about[64];

static void tell_lie(const vj_program *p, const vj_kernel *k, double *const *buffers) {
    const vj_access *to = &k->access[k->out[0].access];
    int64_t i = 0; /* an element that the kernel writes: the others are NaN */
    while (isnan(buffers[to->buffer][i]))
        i++;
    double largest = 0;
    for (int64_t e = 0; e < p->buffers[to->buffer].elements; e++)
        if (isfinite(buffers[to->buffer][e])) largest = fmax(largest, fabs(buffers[to->buffer][e]));
    buffers[to->buffer][i] += share_of_lie > 0 ? share_of_lie * largest : lie;
    snprintf(lied_about, sizeof lied_about, "kernel %s", k->name);
}

bool __real_vj_eval_kernel(const vj_program *p, const vj_kernel *k, double *const *buffers, vj_error *error);
bool __wrap_vj_eval_kernel(const vj_program *p, const vj_kernel *k, double *const *buffers, vj_error *error);
bool __wrap_vj_eval_kernel(const vj_program *p, const vj_kernel *k, double *const *buffers, vj_error *error) {
    if (!__real_vj_eval_kernel(p, k, buffers, error)) return false;
    if (seen++ == lie_at) tell_lie(p, k, buffers);
    return true;
}

/* Follows that of the same kernel. */
bool __real_vj_eval_kernel_leaning(const vj_program *p, const vj_kernel *k, double *const *buffers, double lean,
                                   vj_error *error);
bool __wrap_vj_eval_kernel_leaning(const vj_program *p, const vj_kernel *k, double *const *buffers, double lean,
                                   vj_error *error);
bool __wrap_vj_eval_kernel_leaning(const vj_program *p, const vj_kernel *k, double *const *buffers, double lean,
                                   vj_error *error) {
    if (!__real_vj_eval_kernel_leaning(p, k, buffers, lean, error)) return false;
    if (seen - 1 == lie_at) tell_lie(p, k, buffers);
    return true;
}

static const char *path = VJ_DIGITS;

/* What other tests hold to recorded answers on every row is checked here on every row in one of its forms, on this machine's own in all;
 * a sanitizer's build, which sees the check and not the code, takes the last alone. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif
static bool has_turn(int32_t row, size_t form, size_t forms) {
    const vj_target *target = vj_target_at(row);
    if (target == vj_target_host()) return true;
    return !INSTRUMENTED && vj_target_runs_here(target) && (size_t)row % forms == form;
}

/* Lies are told about so many kernels of a program, the first and the last among them. */
enum { LIES = INSTRUMENTED ? 2 : 5 };
static int32_t place_of_lie(int32_t lie_number, int32_t kernels) { return lie_number * (kernels - 1) / (LIES - 1); }

static vj_status check_as(vj_options options, char **text, char error[4096]) {
    const vj_compile_request request = {.path = path, .options = &options, .pass_limit = -1};
    seen = 0;
    return vj_compiler_get()->check(&request, text, error, 4096);
}

static vj_status check(const char *cpu, char **text, char error[4096]) {
    return check_as((vj_options){.size = sizeof(vj_options), .cpu = cpu}, text, error);
}

static void test_good_code(void **state) {
    (void)state;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *t = vj_target_at(i);
        if (vj_target_runs_here(t) && !has_turn(i, 0, 1)) continue;
        char error[4096] = "", *text;
        const bool runs = vj_target_runs_here(t);
        const vj_status status = check(t->name, &text, error);
        if (status != (runs ? VJ_OK : VJ_USAGE)) fail_msg("%s: %s", t->name, error);
        if (runs) assert_non_null(strstr(text, "kernels agree"));
        free(text);
    }
}

static void test_bad_kernel(void **state) {
    (void)state;
    char error[4096], *text;
    assert_int_equal(check(NULL, &text, error), VJ_OK);
    free(text);
    const int32_t kernels = seen;
    lie = 1000;
    for (int32_t i = 0; i < LIES; i++) {
        lie_at = place_of_lie(i, kernels);
        lied_about[0] = 0;
        assert_int_equal(check(NULL, &text, error), VJ_DIFFERS);
        assert_null(text);
        if (!strstr(error, lied_about) || !lied_about[0]) fail_msg("%s, not %s", error, lied_about);
        assert_int_equal(seen, lie_at + 1);
    }
    lie_at = -1;
}

/* Products of halves, and results that are rounded to them. */
static void test_halves(void **state) {
    (void)state;
    static const vj_dtype types[][2] = {
        {VJ_BF16, VJ_NO_DTYPE}, {VJ_F32, VJ_F16}, {VJ_F32, VJ_BF16}, {VJ_F32, VJ_I8}, {VJ_BF16, VJ_I4}};
    for (int32_t i = 0; i < vj_target_count(); i++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            if (!has_turn(i, t, sizeof types / sizeof *types)) continue;
            char error[4096] = "", *text;
            const vj_options options = {.size = sizeof options,
                                        .cpu = vj_target_at(i)->name,
                                        .precision = types[t][0],
                                        .weight_format = types[t][1]};
            if (check_as(options, &text, error) != VJ_OK) fail_msg("%s: %s", options.cpu, error);
            free(text);
        }
}

/* 3 % of the largest result is beyond all rounding, that of halves too. */
static void test_bad_halves(void **state) {
    (void)state;
    const vj_options options = {.size = sizeof options, .precision = VJ_BF16};
    char error[4096], *text;
    assert_int_equal(check_as(options, &text, error), VJ_OK);
    free(text);
    const int32_t kernels = seen;
    share_of_lie = 0.03;
    for (int32_t i = 0; i < LIES; i++) {
        lie_at = place_of_lie(i, kernels);
        lied_about[0] = 0;
        assert_int_equal(check_as(options, &text, error), VJ_DIFFERS);
        if (!strstr(error, lied_about) || !lied_about[0]) fail_msg("%s, not %s", error, lied_about);
    }
    lie_at = -1;
}

static const char *const quantised[] = {VJ_QUANTISED "/vit.dynamic_u8.onnx", VJ_QUANTISED "/vit.qdq_s8s8.onnx",
                                        VJ_QUANTISED "/hybrid.operator_u8s8.onnx"};
enum { QUANTISED = sizeof quantised / sizeof *quantised };

/* Products of bytes, and results that are rounded to them. */
static void test_bytes(void **state) {
    (void)state;
    for (int32_t m = 0; m < QUANTISED; m++)
        for (int32_t i = 0; i < vj_target_count(); i++) {
            if (!has_turn(i, (size_t)m, QUANTISED)) continue;
            char error[4096] = "", *text;
            path = quantised[m];
            if (check(vj_target_at(i)->name, &text, error) != VJ_OK)
                fail_msg("%s, %s: %s", path, vj_target_at(i)->name, error);
            free(text);
        }
    path = VJ_DIGITS;
}

/* A byte that is off by one, but is beside no tie. */
static void test_bad_bytes(void **state) {
    (void)state;
    lie = 1;
    share_of_lie = 0;
    for (int32_t m = 0; m < (INSTRUMENTED ? 1 : QUANTISED); m++) {
        char error[4096], *text;
        path = quantised[m];
        assert_int_equal(check(NULL, &text, error), VJ_OK);
        free(text);
        const int32_t kernels = seen;
        for (int32_t i = 0; i < LIES; i++) {
            lie_at = place_of_lie(i, kernels);
            lied_about[0] = 0;
            if (check(NULL, &text, error) != VJ_DIFFERS) fail_msg("%s: nothing about %s", path, lied_about);
            if (!strstr(error, lied_about) || !lied_about[0]) fail_msg("%s, not %s", error, lied_about);
        }
        lie_at = -1;
    }
    path = VJ_DIGITS;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good_code), cmocka_unit_test(test_bad_kernel),
                                       cmocka_unit_test(test_halves),    cmocka_unit_test(test_bad_halves),
                                       cmocka_unit_test(test_bytes),     cmocka_unit_test(test_bad_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
