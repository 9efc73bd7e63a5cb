/* SPDX-License-Identifier: Apache-2.0 */
/* profile_test.c - tests --profile and the table of --bench: every span belongs to a kernel of the plan, the shares of
 * a run add up to the work of the model, and code for plain runs has no marks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "cli/modes/modes.h"
#include "runtime/runtime.h"

#define DIGITS VJ_TEST_DIR "/../../examples/digits/digits.onnx"

static double number(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item)) fail_msg("no number %s", key);
    return item->valuedouble;
}

static char *read_all(const char *path) {
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    char *text = calloc(1, 1 << 24);
    assert_non_null(text);
    const size_t length = fread(text, 1, (1 << 24) - 1, in);
    assert_true(feof(in) && length > 0);
    fclose(in);
    return text;
}

static char folder[] = "/tmp/vitjit-profile-XXXXXX"; /* the cache of all cases */

static int open_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int close_folder(void **state) {
    (void)state;
    vj_cache_prune(folder, 0);
    return rmdir(folder);
}

/* The profile of the digits model, for a batch that occupies all threads and for one that does not. */
static void make(vj_profile *profile, const char *batch, const char *threads) {
    const char *argv[] = {"vitjit", DIGITS, "--bench", "0", "--batch", batch, "-j", threads, "--cache", folder};
    vj_command command;
    vj_job job;
    vj_array *inputs = NULL;
    int32_t count = 0;
    assert_int_equal(vj_command_read(10, (char **)(uintptr_t)argv, &command), VJ_OK);
    assert_int_equal(vj_job_prepare(&command, &job, &inputs, &count), VJ_OK);
    assert_string_equal(vj_model_kernels(job.model), "");
    assert_int_equal(vj_session_record(job.session, 10), VJ_USAGE);
    vj_model_stats stats = {.size = sizeof stats};
    assert_int_equal(vj_model_get_stats(job.model, &stats), VJ_OK);
    *profile = (vj_profile){0};
    assert_int_equal(vj_profile_make(&command, inputs, count, profile), VJ_OK);
    assert_int_equal(profile->kernel_count, stats.kernels);
    double flops = 0;
    for (int32_t i = 0; i < profile->kernel_count; i++)
        flops += profile->kernels[i].flops;
    assert_true(flops == stats.flops_per_image);
    vj_arrays_free(inputs, count);
    vj_job_close(&job);
    vj_command_free(&command);
}

/* Every unit of every kernel must be done once for each image in every run, by whichever thread. */
static void every_unit_is_seen(void **state) {
    static const char *const cases[][2] = {{"1", "1"}, {"5", "2"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_profile p;
        make(&p, cases[i][0], cases[i][1]);
        assert_int_equal(p.lost, 0);
        assert_int_equal(p.images, atoi(cases[i][0]));
        assert_true(p.runs >= 3 && p.threads_seen >= 1 && p.threads_seen <= p.threads && p.peak_gflops > 0);
        int64_t *units = calloc((size_t)p.kernel_count, sizeof *units);
        assert_non_null(units);
        for (int64_t w = 0; w < p.work_count; w++) {
            const vj_work *work = &p.work[w];
            assert_true(work->end_ns >= work->begin_ns && work->busy_ns <= work->end_ns - work->begin_ns);
            assert_true(work->thread >= 0 && work->thread < p.threads_seen && work->parts >= 1);
            units[work->kernel] += work->units;
        }
        for (int32_t k = 0; k < p.kernel_count; k++)
            assert_int_equal(units[k], p.kernels[k].units * p.images * p.runs);
        free(units);
        vj_profile_free(&p);
    }
}

/* Checks a complete event of a kernel, whose arguments must agree with each other. */
static double check_span(const cJSON *event) {
    const cJSON *args = cJSON_GetObjectItemCaseSensitive(event, "args");
    const double busy = number(args, "busy_us"), flops = number(args, "flops");
    assert_true(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(event, "name")));
    assert_true(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(args, "domain")));
    assert_true(number(event, "ts") >= 0 && busy > 0 && number(event, "dur") >= busy * (1 - 1e-9));
    assert_true(fabs(number(args, "GFLOP/s") * busy * 1e3 - flops) <= 1e-6 * flops);
    assert_true(fabs(number(args, "bytes/s") * busy * 1e-6 - number(args, "bytes")) <= 1e-6 * number(args, "bytes"));
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, "kind"));
    assert_non_null(kind);
    if (strcmp(kind, "gemm") == 0)
        assert_true(number(args, "m") >= 1 && number(args, "n") >= 1 && number(args, "k") >= 1);
    return flops;
}

static void the_trace_is_what_viewers_load(void **state) {
    char path[] = "/tmp/vitjit-trace-XXXXXX";
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    vj_profile p;
    make(&p, "1", "2");
    assert_int_equal(vj_trace_write(path, "a \"name\"", &p), VJ_OK);
    char *text = read_all(path);
    cJSON *trace = cJSON_Parse(text);
    assert_non_null(trace);
    double flops = 0, one = 0;
    int32_t names = 0, spans = 0;
    const cJSON *event;
    cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(trace, "traceEvents")) {
        const char *phase = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "ph"));
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "name"));
        assert_true(phase && name && number(event, "pid") == 1);
        if (strcmp(phase, "M") == 0) {
            names += strcmp(name, "thread_name") == 0;
            continue;
        }
        assert_string_equal(phase, "X");
        assert_true(number(event, "tid") >= 1 && number(event, "tid") <= p.threads_seen);
        flops += check_span(event);
        spans++;
    }
    assert_int_equal(names, p.threads_seen);
    for (int32_t i = 0; i < p.kernel_count; i++)
        one += p.kernels[i].flops;
    const double runs = flops / one; /* whole ones */
    assert_true(spans > 0 && fabs(runs - round(runs)) < 1e-9 && runs >= 1 && runs <= p.runs);
    cJSON_Delete(trace);
    free(text);
    vj_profile_free(&p);
    unlink(path);
}

/* Code with marks must give the same results as code without. */
static void marks_change_no_result(void **state) {
    vj_options options;
    float logits[2][10], image[64];
    (void)state;
    vj_options_init(&options);
    options.cache = folder;
    for (int i = 0; i < 64; i++)
        image[i] = (float)(i % 17);
    for (int32_t marks = 0; marks < 2; marks++) {
        const vj_compile_request request = {.path = DIGITS, .options = &options, .pass_limit = -1, .marks = marks};
        vj_model *model;
        vj_session *x;
        int64_t count, lost;
        assert_int_equal(vj_compile_with(&request, &model), VJ_OK);
        assert_int_equal(vj_session_create(model, &x), VJ_OK);
        assert_int_equal(vj_bind_input(x, "image", image, sizeof image, VJ_F32, (int64_t[]){1, 1, 8, 8}, 4), VJ_OK);
        assert_int_equal(vj_bind_output(x, 0, logits[marks], sizeof logits[marks]), VJ_OK);
        assert_int_equal(vj_run(x), VJ_OK); /* with marks that nobody wants */
        if (marks) {
            assert_int_equal(vj_session_record(x, 3), VJ_OK);
            assert_int_equal(vj_run(x), VJ_OK);
            assert_non_null(vj_session_spans(x, &count, &lost));
            assert_true(count == 3 && lost > 0); /* no room is no fault */
        }
        vj_session_free(x);
        vj_model_free(model);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_is_seen),
        cmocka_unit_test(the_trace_is_what_viewers_load),
        cmocka_unit_test(marks_change_no_result),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
