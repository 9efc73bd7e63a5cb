/* SPDX-License-Identifier: Apache-2.0 */
/* family.c - tests models for sizes as they come: ONNX Runtime's answers at each, what the models share, and the errors.
 * The models and answers are tests/fixtures/dims. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "folder.h"
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FLOATS = 8192, NPY_HEADER = 128 };

static const vj_range widths = {.input = "x", .dim = 3, .least = 32, .most = 70, .step = 16};

static const char *model_file(const char *name) {
    static _Thread_local char path[4096];
    snprintf(path, sizeof path, VJ_DIMS_DIR "/%s.onnx", name);
    return path;
}

/* The bytes of an .npy file's elements; how many there are. */
static size_t read_npy(const char *name, void *to) {
    char path[4096];
    snprintf(path, sizeof path, VJ_DIMS_DIR "/%s.npy", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, NPY_HEADER, SEEK_SET), 0);
    const size_t bytes = fread(to, 1, MOST_FLOATS * sizeof(float), file);
    fclose(file);
    return bytes;
}

static vj_family *open_family(const char *name, const char *cache, const vj_range *ranges, int32_t count) {
    vj_options options;
    vj_family *family;
    vj_options_init(&options);
    options.cache = cache;
    options.threads = 2;
    assert_int_equal(vj_family_open(model_file(name), &options, ranges, count, &family), VJ_OK);
    return family;
}

static vj_shape line_of(int64_t width) { return (vj_shape){.name = "x", .rank = 4, .dims = {1, 3, 16, width}}; }

/* Runs the line reader on a picture of that width with ONNX Runtime's answer. */
static void reads(vj_model *m, int64_t width) {
    static _Thread_local float x[MOST_FLOATS], want[MOST_FLOATS], got[MOST_FLOATS];
    char name[64];
    vj_session *s;
    snprintf(name, sizeof name, "line.%d.x", (int)width);
    const size_t bytes = read_npy(name, x);
    snprintf(name, sizeof name, "line.%d.y", (int)width);
    const size_t wanted = read_npy(name, want);
    assert_int_equal(vj_session_create(m, &s), VJ_OK);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, line_of(width).dims, 4), VJ_OK);
    assert_int_equal(vj_output_bound(s, 0), wanted);
    assert_int_equal(vj_bind_output(s, 0, got, sizeof got), VJ_OK);
    assert_int_equal(vj_run(s), VJ_OK);
    for (size_t i = 0; i < wanted / sizeof *want; i++)
        assert_true(fabsf(got[i] - want[i]) <= 1e-5f);
    vj_session_free(s);
}

static vj_model *line_model(vj_family *family, int64_t width) {
    vj_model *m = NULL;
    const vj_shape shape = line_of(width);
    const vj_status status = vj_family_model(family, &shape, 1, &m);
    if (status) print_error("%s\n", vj_error_message());
    assert_int_equal(status, VJ_OK);
    return m;
}

static void each_size_is_compiled_when_it_is_met(void **state) {
    (void)state;
    vj_family *family = open_family("line", "", &widths, 1);
    vj_model *first = line_model(family, 32), *second = line_model(family, 48);
    reads(first, 32);
    reads(second, 48);
    assert_ptr_equal(line_model(family, 32), first);
    vj_shape more = line_of(48);
    vj_model *same;
    more.dims[0] = 5; /* code is generic in the batch */
    assert_int_equal(vj_family_model(family, &more, 1, &same), VJ_OK);
    assert_ptr_equal(same, second);
    assert_ptr_equal(vj_state(first)->weights.data, vj_state(second)->weights.data);
    assert_true(vj_state(first)->pool == vj_state(second)->pool);
    vj_family_free(family);
}

static bool was_cached(vj_model *m) {
    vj_model_stats stats = {.size = sizeof stats};
    return vj_model_get_stats(m, &stats) == VJ_OK && stats.cache_hit;
}

static void the_cache_keeps_each_size_and_one_set_of_weights(void **state) {
    (void)state;
    vj_family *family = open_family("line", in_folder("sizes"), NULL, 0);
    line_model(family, 32);
    line_model(family, 48);
    vj_family_free(family);
    assert_int_equal(status_of("[ $(ls %s/sizes/*.weights | wc -l) -eq 1 ]", folder_path()), 0);
    assert_int_equal(status_of("[ $(ls %s/sizes/*.image | wc -l) -eq 2 ]", folder_path()), 0);
    family = open_family("line", in_folder("sizes"), NULL, 0);
    vj_model *again = line_model(family, 48), *new = line_model(family, 64);
    assert_true(was_cached(again));
    assert_false(was_cached(new));
    reads(again, 48);
    reads(new, 64);
    vj_family_free(family);
}

static void sizes_are_rounded_up_on_request_alone(void **state) {
    (void)state;
    vj_family *family = open_family("line", "", &widths, 1);
    vj_shape shape = line_of(37);
    vj_model *m;
    assert_int_equal(vj_family_model(family, &shape, 1, &m), VJ_BAD_INPUT);
    assert_null(m);
    assert_non_null(strstr(vj_error_message(), "input 'x' has 37 as dim 3: its sizes are 32 to 70 in steps of 16"));
    assert_non_null(strstr(vj_error_message(), "vj_family_round_up makes it 48"));
    static const int64_t rounded[][2] = {{1, 32}, {32, 32}, {33, 48}, {64, 64}};
    for (size_t i = 0; i < sizeof rounded / sizeof *rounded; i++) {
        shape = line_of(rounded[i][0]);
        assert_int_equal(vj_family_round_up(family, &shape, 1), VJ_OK);
        assert_int_equal(shape.dims[3], rounded[i][1]);
    }
    shape = line_of(65); /* 80 would be the next */
    assert_int_equal(vj_family_round_up(family, &shape, 1), VJ_BAD_INPUT);
    assert_int_equal(shape.dims[3], 65);
    assert_int_equal(vj_family_model(family, &shape, 1, &m), VJ_BAD_INPUT);
    vj_family_free(family);
}

static void texts_and_images_have_batches_of_their_own(void **state) {
    (void)state;
    static const struct {
        int64_t texts, images, length;
    } of[] = {{3, 1, 7}, {2, 5, 5}};
    static float pixels[MOST_FLOATS], want[MOST_FLOATS], got[4][MOST_FLOATS];
    static int64_t ids[MOST_FLOATS], mask[MOST_FLOATS];
    vj_family *family = open_family("same", "", NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        const vj_shape shapes[] = {{.name = "input_ids", .rank = 2, .dims = {of[i].texts, of[i].length}},
                                   {.name = "attention_mask", .rank = 2, .dims = {of[i].texts, of[i].length}},
                                   {.name = "pixel_values", .rank = 4, .dims = {of[i].images, 3, 16, 16}}};
        void *const data[] = {ids, mask, pixels};
        static const vj_dtype types[] = {VJ_I64, VJ_I64, VJ_F32};
        vj_model *m;
        vj_session *s;
        char name[64];
        assert_int_equal(vj_family_model(family, shapes, 3, &m), VJ_OK);
        assert_int_equal(vj_session_create(m, &s), VJ_OK);
        for (int k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "clip.%d.%d.%s", (int)of[i].texts, (int)of[i].images, shapes[k].name);
            const size_t bytes = read_npy(name, data[k]);
            assert_int_equal(vj_bind_input(s, shapes[k].name, data[k], bytes, types[k], shapes[k].dims, shapes[k].rank),
                             VJ_OK);
        }
        for (int k = 0; k < 4; k++)
            assert_int_equal(vj_bind_output(s, k, got[k], sizeof got[k]), VJ_OK);
        assert_int_equal(vj_run(s), VJ_OK);
        snprintf(name, sizeof name, "clip.%d.%d.logits_per_image", (int)of[i].texts, (int)of[i].images);
        assert_int_equal(read_npy(name, want), (size_t)(of[i].texts * of[i].images) * sizeof(float));
        for (int64_t k = 0; k < of[i].texts * of[i].images; k++)
            assert_true(fabsf(got[0][k] - want[k]) <= 1e-4f);
        vj_session_free(s);
    }
    vj_family_free(family);
}

static void *read_all(void *family) {
    for (int64_t width = 32; width <= 64; width += 16)
        reads(line_model(family, width), width);
    return NULL;
}

static void any_thread_may_ask(void **state) {
    (void)state;
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    vj_family *family = open_family("line", in_folder("threads"), &widths, 1);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, family), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    vj_family_free(family);
}

static void mistakes_are_errors(void **state) {
    (void)state;
    vj_family *family = (vj_family *)&family;
    vj_model *m;
    vj_shape shape = line_of(32);
    static const vj_range bad[] = {{.input = NULL, .dim = 3, .least = 1, .most = 2, .step = 1},
                                   {.input = "x", .dim = 8, .least = 1, .most = 2, .step = 1},
                                   {.input = "x", .dim = 3, .least = 0, .most = 2, .step = 1},
                                   {.input = "x", .dim = 3, .least = 3, .most = 2, .step = 1},
                                   {.input = "x", .dim = 3, .least = 1, .most = 2, .step = 0}};
    assert_int_equal(vj_family_open(NULL, NULL, NULL, 0, &family), VJ_USAGE);
    assert_null(family);
    assert_int_equal(vj_family_open("x.onnx", NULL, NULL, 0, NULL), VJ_USAGE);
    assert_int_equal(vj_family_open("x.onnx", NULL, NULL, 1, &family), VJ_USAGE);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(vj_family_open("x.onnx", NULL, &bad[i], 1, &family), VJ_USAGE);
    assert_int_equal(vj_family_model(NULL, &shape, 1, &m), VJ_USAGE);
    assert_null(m);
    assert_int_equal(vj_family_round_up(NULL, &shape, 1), VJ_USAGE);
    vj_family_free(NULL);
    family = open_family("line", "", &widths, 1);
    assert_int_equal(vj_family_model(family, &shape, 1, NULL), VJ_USAGE);
    assert_int_equal(vj_family_model(family, NULL, 1, &m), VJ_USAGE);
    assert_int_equal(vj_family_model(family, NULL, 0, &m), VJ_USAGE); /* the range wants a size */
    shape.name = "q";
    assert_int_equal(vj_family_model(family, &shape, 1, &m), VJ_USAGE);
    shape = (vj_shape){.name = "x", .rank = 2, .dims = {1, 32}};
    assert_int_equal(vj_family_model(family, &shape, 1, &m), VJ_BAD_INPUT);
    vj_family_free(family);
    family = open_family("missing", "", NULL, 0);
    shape = line_of(32);
    assert_int_equal(vj_family_model(family, &shape, 1, &m), VJ_BAD_INPUT);
    vj_family_free(family);
}

static int make_folder(void **state) {
    (void)state;
    return folder_make() ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return folder_remove() ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_size_is_compiled_when_it_is_met),
                                       cmocka_unit_test(the_cache_keeps_each_size_and_one_set_of_weights),
                                       cmocka_unit_test(sizes_are_rounded_up_on_request_alone),
                                       cmocka_unit_test(texts_and_images_have_batches_of_their_own),
                                       cmocka_unit_test(any_thread_may_ask),
                                       cmocka_unit_test(mistakes_are_errors)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
