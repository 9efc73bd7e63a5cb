/* SPDX-License-Identifier: Apache-2.0 */
/* digits.c - the trained digits with products in bf16 and in int8, and with weights in int8 and int4, by the command line: held-out
 * digits and pictures, and that the answers are not those of f32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "cli/tensors/tensors.h"

enum { DIGITS = 360, CLASSES = 10 };

static int enter(void **state) {
    (void)state;
    return !folder_make() || chdir(folder_path()) != 0;
}

static int leave(void **state) {
    (void)state;
    return chdir("/") != 0 || !folder_remove();
}

static vj_array read_npy(const char *path, vj_dtype dtype, int64_t count) {
    char why[512];
    vj_array array = {0};
    if (vj_npy_read(path, &array, why) != VJ_OK) fail_msg("%s: %s", path, why);
    assert_int_equal(array.dtype, dtype);
    assert_int_equal(vj_array_elements(&array), count);
    return array;
}

static vj_array logits(const char *options) {
    assert_int_equal(
        status_of("'%s' '%s/digits.onnx' --input 'image=%s/test_images.npy' --output . --no-cache %s >said 2>&1",
                  VJ_COMMAND, VJ_DIGITS, VJ_DIGITS, options),
        0);
    return read_npy("logits.npy", VJ_F32, DIGITS * CLASSES);
}

static int64_t best_of(const float *row) {
    int64_t best = 0;
    for (int64_t c = 1; c < CLASSES; c++)
        if (row[c] > row[best]) best = c;
    return best;
}

static void held_out(const char *options, int32_t least) {
    vj_array labels = read_npy(VJ_DIGITS "/test_labels.npy", VJ_I64, DIGITS), wide = logits(""),
             narrow = logits(options);
    int32_t right = 0;
    for (int64_t i = 0; i < DIGITS; i++)
        right += best_of((const float *)narrow.data + i * CLASSES) == ((const int64_t *)labels.data)[i];
    print_message("%s: %d of %d right\n", options, (int)right, (int)DIGITS);
    assert_true(right >= least);
    assert_memory_not_equal(narrow.data, wide.data, DIGITS * CLASSES * sizeof(float));
    vj_array_free(&labels);
    vj_array_free(&wide);
    vj_array_free(&narrow);
}

static void held_out_in_bf16(void **state) {
    (void)state;
    held_out("--precision bf16", 354);
}

static void held_out_in_int8(void **state) {
    (void)state;
    held_out("--precision int8", 353);
}

static void held_out_with_weights_in_int8(void **state) {
    (void)state;
    held_out("--weight-format int8", 353);
    held_out("--weight-format int8 --precision bf16", 353);
}

static void held_out_with_weights_in_int4(void **state) {
    (void)state;
    held_out("--weight-format int4", 350);
    held_out("--weight-format int4 --precision bf16", 350);
}

static void pictures(void **state) {
    static const char *const names[] = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(
            status_of(
                "'%s' '%s/digits.onnx' '%s/pictures/%s.png' --topk 1 --quiet --cache . --precision bf16 >said 2>&1",
                VJ_COMMAND, VJ_DIGITS, VJ_DIGITS, names[i]),
            0);
        assert_int_equal(status_of("grep -q '%%  %s$' said", names[i]), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(held_out_in_bf16), cmocka_unit_test(held_out_in_int8),
                                       cmocka_unit_test(held_out_with_weights_in_int8),
                                       cmocka_unit_test(held_out_with_weights_in_int4), cmocka_unit_test(pictures)};
    return cmocka_run_group_tests(tests, enter, leave);
}
