/* SPDX-License-Identifier: Apache-2.0 */
/* words.c - tests what the library says to a program: hints in the words of its header, and the log at each level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "small.h"
#include "folder.h"

static void says(const char *path, const vj_options *o, vj_status status, const char *text) {
    vj_model *m = NULL;
    const vj_status is = vj_compile_file(path, o, &m);
    if (is != status || m || !strstr(vj_error_message(), text) || strstr(vj_error_message(), "--"))
        fail_msg("status %d, '%s', not '%s'", (int)is, vj_error_message(), text);
}

static void hints_name_members_of_options(void **state) {
    (void)state;
    vj_options o;
    vj_options_init(&o);
    o.cache = "";
    says(VJ_COMMAND_DATA "/asked.onnx", &o, VJ_USAGE, "hint: give that of 'target' in vj_options.fixed");
    says(VJ_COMMAND_DATA "/open.onnx", &o, VJ_USAGE,
         "hint: give its size in vj_options.shapes, for example x=1x3x224x224");
    const vj_shape any = {.name = "x", .rank = 2, .dims = {VJ_BATCH_DIM, WIDTH}};
    o.shapes = &any;
    o.shape_count = 1;
    says(data_file("mixed.onnx"), &o, VJ_UNSUPPORTED,
         "hint: fix the batch: in vj_options.shapes, an input whose first dim is 1");
}

typedef struct heard {
    int32_t lines[VJ_LOG_DEBUG + 1];
    bool was_read, was_planned, was_found, was_passed;
} heard;

static void hear(void *self, vj_log_level level, const char *text) {
    heard *h = self;
    assert_in_range(level, VJ_LOG_WARNING, VJ_LOG_DEBUG);
    assert_null(strchr(text, '\n'));
    h->lines[level]++;
    h->was_read |= strncmp(text, "read: opset 17, ", 16) == 0;
    h->was_planned |= strncmp(text, "planned: ", 9) == 0;
    h->was_found |= strncmp(text, "found in the cache: ", 20) == 0;
    h->was_passed |= strncmp(text, "pass layernorm: ", 16) == 0;
}

static heard log_of(int32_t level, const char *cache) {
    heard h = {0};
    vj_model *m;
    vj_options o;
    vj_options_init(&o);
    o.cache = cache;
    o.log = hear;
    o.log_self = &h;
    o.log_level = level;
    if (vj_compile_file(data_file("small.onnx"), &o, &m)) fail_msg("%s", vj_error_message());
    vj_model_free(m);
    return h;
}

static void the_log_tells_what_is_asked_for(void **state) {
    (void)state;
    for (int32_t level = VJ_LOG_ERROR; level <= VJ_LOG_WARNING; level++) {
        const heard h = log_of(level, "");
        assert_int_equal(h.lines[VJ_LOG_WARNING] + h.lines[VJ_LOG_INFO] + h.lines[VJ_LOG_DEBUG], 0);
    }
    const heard steps = log_of(VJ_LOG_INFO, "");
    assert_true(steps.was_read && steps.was_planned && !steps.was_passed && !steps.was_found);
    assert_int_equal(steps.lines[VJ_LOG_DEBUG], 0);
    const heard passes = log_of(VJ_LOG_DEBUG, "");
    assert_true(passes.was_read && passes.was_planned && passes.was_passed && !passes.was_found);
    vj_options o;
    vj_options_init(&o);
    vj_model *m = NULL;
    o.log_level = VJ_LOG_DEBUG + 1;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_USAGE);
    assert_non_null(strstr(vj_error_message(), "log_level is 4"));
}

static void the_log_tells_of_the_cache(void **state) {
    (void)state;
    assert_true(folder_make());
    const heard first = log_of(VJ_LOG_INFO, folder_path()), second = log_of(VJ_LOG_INFO, folder_path());
    assert_true(first.was_planned && !first.was_found);
    assert_true(second.was_found && !second.was_read);
    assert_int_equal(second.lines[VJ_LOG_INFO], 1);
    assert_true(folder_remove());
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hints_name_members_of_options),
                                       cmocka_unit_test(the_log_tells_what_is_asked_for),
                                       cmocka_unit_test(the_log_tells_of_the_cache)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
