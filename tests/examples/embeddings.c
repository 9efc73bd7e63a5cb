/* SPDX-License-Identifier: Apache-2.0 */
/* embeddings.c - the embeddings example and the command line over a folder, beside PyTorch's rows in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "cli/tensors/tensors.h"

#define DATA VJ_TEST_DIR "/data"

static int enter(void **state) {
    (void)state;
    return !folder_make() || chdir(folder_path()) != 0 || setenv("VITJIT_CACHE", folder_path(), 1) != 0;
}

static int leave(void **state) {
    (void)state;
    return chdir("/") != 0 || !folder_remove();
}

static vj_array read_npy(const char *path) {
    char why[512];
    vj_array array = {0};
    if (vj_npy_read(path, &array, why) != VJ_OK) fail_msg("%s: %s", path, why);
    return array;
}

static vj_array expected(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, DATA "/%s.npy", name);
    return read_npy(path);
}

static void close_to(const vj_array *got, const float *want, int32_t rank, const int64_t *dims) {
    int64_t count = 1;
    assert_int_equal(got->dtype, VJ_F32);
    assert_int_equal(got->rank, rank);
    for (int32_t i = 0; i < rank; i++) {
        assert_int_equal(got->dims[i], dims[i]);
        count *= dims[i];
    }
    for (int64_t i = 0; i < count; i++)
        if (fabsf(((const float *)got->data)[i] - want[i]) > 2e-6f)
            fail_msg("element %lld is %g, not %g", (long long)i, (double)((const float *)got->data)[i],
                     (double)want[i]);
}

/* Runs the example with these options, and compares with rows. */
static void example(const char *model, const char *options, const float *want, int32_t rank, const int64_t *dims) {
    assert_int_equal(
        status_of("'%s' '%s/%s.onnx' '%s/pictures' out.npy %s >names 2>said", VJ_EXAMPLE, DATA, model, DATA, options),
        0);
    vj_array got = read_npy("out.npy");
    close_to(&got, want, rank, dims);
    vj_array_free(&got);
}

static void as_they_are(void **state) {
    static const struct {
        const char *model, *output;
    } rows[] = {{"dinov2", "last_hidden_state"}, {"dinov2", "pooler_output"},     {"clip", "image_embeds"},
                {"clip", "last_hidden_state"},   {"siglip", "last_hidden_state"}, {"siglip", "pooler_output"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[128], options[128];
        snprintf(name, sizeof name, "%s.%s", rows[i].model, rows[i].output);
        snprintf(options, sizeof options, "--output %s", rows[i].output);
        vj_array want = expected(name);
        example(rows[i].model, options, want.data, want.rank, want.dims);
        vj_array_free(&want);
    }
    assert_int_equal(status_of("grep -q /a.png names && test $(wc -l <names) -eq 3"), 0);
    assert_int_equal(status_of("grep -q 'pre-processing from the model' said"), 0);
}

/* The first token, and the mean of those behind `prefix`, each of unit length where that is asked for. */
static void pooled(void **state) {
    vj_array tokens = expected("dinov2.last_hidden_state");
    const int64_t n = tokens.dims[0], t = tokens.dims[1], d = tokens.dims[2], dims[2] = {n, d};
    const float *x = tokens.data;
    float *first = calloc((size_t)(n * d), sizeof *first), *mean = calloc((size_t)(n * d), sizeof *mean);
    (void)state;
    assert_true(first && mean);
    for (int64_t i = 0; i < n; i++) {
        double square = 0;
        for (int64_t k = 0; k < d; k++) {
            double sum = 0;
            first[i * d + k] = x[i * t * d + k];
            for (int64_t j = 1; j < t; j++)
                sum += x[(i * t + j) * d + k];
            mean[i * d + k] = (float)(sum / (double)(t - 1));
            square += mean[i * d + k] * mean[i * d + k];
        }
        for (int64_t k = 0; k < d; k++)
            mean[i * d + k] = (float)(mean[i * d + k] / sqrt(square));
    }
    example("dinov2", "--pool class", first, 2, dims);
    example("dinov2", "--output last_hidden_state --pool mean --normalise", mean, 2, dims);
    free(first);
    free(mean);
    vj_array_free(&tokens);
}

static void by_the_command_line(void **state) {
    (void)state;
    assert_int_equal(status_of("mkdir rows && '%s' '%s/dinov2.onnx' '%s/pictures' --output rows --quiet >printed",
                               VJ_COMMAND, DATA, DATA),
                     0);
    static const char *const outputs[] = {"last_hidden_state", "pooler_output"};
    for (int32_t i = 0; i < 2; i++) {
        char path[256], name[128];
        snprintf(path, sizeof path, "rows/%s.npy", outputs[i]);
        snprintf(name, sizeof name, "dinov2.%s", outputs[i]);
        vj_array got = read_npy(path), want = expected(name);
        close_to(&got, want.data, want.rank, want.dims);
        vj_array_free(&got);
        vj_array_free(&want);
    }
}

static void what_is_wrong(void **state) {
    (void)state;
    const char *start = "'" VJ_EXAMPLE "' '" DATA "/clip.onnx'";
    assert_int_equal(status_of("%s 2>said", start), 1);
    assert_int_equal(status_of("%s '%s/pictures' x.npy --pool median 2>said", start, DATA), 1);
    assert_int_equal(status_of("%s '%s/pictures' x.npy --output logits 2>said", start, DATA), 1);
    assert_int_equal(status_of("%s '%s/pictures' x.npy --pool mean 2>said", start, DATA),
                     3); /* a vector has no tokens */
    assert_int_equal(status_of("%s rows/missing x.npy 2>said", start), 2);
    assert_int_equal(status_of("test ! -e x.npy"), 0);
    /* a bad picture is told, the others have their rows */
    assert_int_equal(status_of("mkdir some && cp '%s'/pictures/*.png some && echo text >some/bad.png", DATA), 0);
    assert_int_equal(status_of("%s some some.npy >names 2>said", start), 2);
    assert_int_equal(status_of("grep -q bad.png said"), 0);
    vj_array got = read_npy("some.npy"), want = expected("clip.image_embeds");
    close_to(&got, want.data, want.rank, want.dims);
    vj_array_free(&got);
    vj_array_free(&want);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_they_are), cmocka_unit_test(pooled),
                                       cmocka_unit_test(by_the_command_line), cmocka_unit_test(what_is_wrong)};
    return cmocka_run_group_tests(tests, enter, leave);
}
