/* SPDX-License-Identifier: Apache-2.0 */
/* precision.c - tests the options of precision and weights through the C API: what is refused, what is told, and the bits for any
 * number of threads and any split of a batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "small.h"

#define IMAGES  3
#define PIXELS  64
#define CLASSES 10

static void refused(vj_options *o, const char *text) {
    vj_model *m = (vj_model *)&text;
    o->cache = "";
    const vj_status status = vj_compile_file(data_file("small.onnx"), o, &m);
    if (status != VJ_USAGE || m || !strstr(vj_error_message(), text))
        fail_msg("status %d, '%s', not '%s'", (int)status, vj_error_message(), text);
    vj_options_init(o);
}

static void bad_precisions_are_refused(void **state) {
    (void)state;
    static const char *const patterns[] = {"n*", NULL, "none"};
    vj_options o;
    vj_options_init(&o);
    for (int32_t type = -1; type <= VJ_DTYPE_COUNT; type++) {
        if (type != VJ_NO_DTYPE && type != VJ_F32 && type != VJ_BF16 && type != VJ_I8) {
            o.precision = (vj_dtype)type;
            refused(&o, "(precision)");
        }
        if (type != VJ_NO_DTYPE && type != VJ_F32 && type != VJ_F16 && type != VJ_BF16 && type != VJ_I8) {
            o.weight_format = (vj_dtype)type;
            refused(&o, "(weight_format)");
        }
    }
    o.precision = VJ_BF16;
    o.weight_format = VJ_F16;
    refused(&o, "products in bf16 have weights in bf16, not in f16");
    o.calibration = "{}";
    o.calibration_bytes = 2;
    refused(&o, "a calibration is for products in int8");
    o.precision = VJ_I8;
    o.calibration_bytes = 2;
    refused(&o, "the calibration's text is missing");
    o.precision = VJ_I8;
    o.weight_format = VJ_I4;
    refused(&o, "products in int8 have weights in int8, not in int4");
    o.precision = VJ_I4;
    refused(&o, "products are not computed in int4 (precision)");
    o.weight_format = (vj_dtype)(VJ_I4 + 1);
    refused(&o, "(weight_format)");
    o.precision = VJ_BF16;
    o.keep_f32_count = -1;
    refused(&o, "a count below 0");
    o.precision = VJ_BF16;
    o.keep_f32_count = 1;
    refused(&o, "a list that is missing");
    o.precision = VJ_BF16;
    o.keep_f32 = patterns;
    o.keep_f32_count = 2;
    refused(&o, "pattern 1 of keep_f32");
    o.keep_f32 = patterns;
    o.keep_f32_count = 1;
    refused(&o, "keep_f32 means nothing");
    o.weight_format = VJ_BF16;
    o.keep_f32 = &patterns[2];
    o.keep_f32_count = 1;
    refused(&o, "'none'");
}

/* Whole numbers that are small are exact in every type. */
static void precisions_are_told(void **state) {
    (void)state;
    static const char *const pattern = "n?";
    static const struct {
        vj_dtype precision, format, said, said_format;
        int32_t kept;
    } cases[] = {{VJ_NO_DTYPE, VJ_NO_DTYPE, VJ_F32, VJ_F32, 0}, {VJ_F32, VJ_F32, VJ_F32, VJ_F32, 0},
                 {VJ_BF16, VJ_NO_DTYPE, VJ_BF16, VJ_F32, 0},    {VJ_BF16, VJ_BF16, VJ_BF16, VJ_BF16, 0},
                 {VJ_NO_DTYPE, VJ_F16, VJ_F32, VJ_F16, 0},      {VJ_F32, VJ_BF16, VJ_F32, VJ_BF16, 1},
                 {VJ_BF16, VJ_F32, VJ_BF16, VJ_F32, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_options o;
        vj_model *m;
        vj_model_stats stats = {.size = sizeof stats};
        vj_options_init(&o);
        o.cache = "";
        o.precision = cases[i].precision;
        o.weight_format = cases[i].format;
        o.keep_f32 = &pattern;
        o.keep_f32_count = cases[i].kept;
        if (vj_compile_file(data_file("small.onnx"), &o, &m) != VJ_OK) fail_msg("%s", vj_error_message());
        assert_int_equal(vj_model_get_stats(m, &stats), VJ_OK);
        assert_int_equal(stats.precision, cases[i].said);
        assert_int_equal(stats.weight_format, cases[i].said_format);
        for (int64_t n = 1; n <= MOST_BATCH; n++)
            assert_true(runs_right(m, n, FIRST));
        vj_model_free(m);
    }
    assert_string_equal(vj_dtype_name(VJ_I4), "i4");
    assert_int_equal(vj_dtype_bytes(VJ_I4), 0); /* no tensor has it */
    /* An older caller's struct ends before. */
    vj_options o;
    vj_model *m;
    vj_options_init(&o);
    o.cache = "";
    o.size = offsetof(vj_options, precision);
    o.precision = VJ_I8;
    o.keep_f32_count = 5;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_OK);
    vj_model_stats stats = {.size = offsetof(vj_model_stats, precision), .precision = VJ_I8};
    assert_int_equal(vj_model_get_stats(m, &stats), VJ_OK);
    assert_int_equal(stats.precision, VJ_I8);
    vj_model_free(m);
}

static vj_model *compile_digits(int32_t threads, vj_dtype precision, vj_dtype format) {
    vj_options o;
    vj_model *m = NULL;
    vj_options_init(&o);
    o.cache = "";
    o.threads = threads;
    o.precision = precision;
    o.weight_format = format;
    if (vj_compile_file(data_file("../../../examples/digits/digits.onnx"), &o, &m) != VJ_OK)
        fail_msg("%s", vj_error_message());
    return m;
}

/* The logits of pictures [first, first + n). */
static void run_digits(vj_model *m, int64_t first, int64_t n, float *out) {
    float in[IMAGES * PIXELS];
    vj_session *s;
    for (int i = 0; i < IMAGES * PIXELS; i++)
        in[i] = (float)(i * 37 % 101) / 50 - 1;
    assert_int_equal(vj_session_create(m, &s), VJ_OK);
    const size_t image = PIXELS * sizeof *in, row = CLASSES * sizeof *out;
    const int64_t dims[] = {n, 1, 8, 8};
    assert_int_equal(vj_bind_input(s, "image", in + first * PIXELS, (size_t)n * image, VJ_F32, dims, 4), VJ_OK);
    assert_int_equal(vj_bind_output(s, 0, out, (size_t)n * row), VJ_OK);
    assert_int_equal(vj_run(s), VJ_OK);
    vj_session_free(s);
}

static void bits_do_not_depend_on_the_split(void **state) {
    (void)state;
    enum { TYPES = 7 };
    static const vj_dtype types[TYPES][2] = {{VJ_BF16, VJ_F32}, {VJ_F32, VJ_F16}, {VJ_F32, VJ_BF16}, {VJ_F32, VJ_I8},
                                             {VJ_F32, VJ_I4},   {VJ_BF16, VJ_I8}, {VJ_BF16, VJ_I4}};
    float truth[TYPES][IMAGES * CLASSES], out[IMAGES * CLASSES];
    for (int t = 0; t < TYPES; t++)
        for (int32_t threads = 1; threads <= 3; threads++) {
            vj_model *m = compile_digits(threads, types[t][0], types[t][1]);
            run_digits(m, 0, IMAGES, threads == 1 ? truth[t] : out);
            if (threads > 1) assert_memory_equal(out, truth[t], sizeof out);
            for (int64_t i = 0; i < IMAGES; i++) {
                run_digits(m, i, 1, out);
                assert_memory_equal(out, truth[t] + i * CLASSES, CLASSES * sizeof *out);
            }
            vj_model_free(m);
        }
    for (int t = 0; t < TYPES; t++) /* else the types are one */
        for (int other = 0; other < t; other++)
            assert_memory_not_equal(truth[t], truth[other], sizeof out);
}

/* Products of bytes have weights of bytes already. */
static void int8_twice_is_int8(void **state) {
    (void)state;
    float once[IMAGES * CLASSES], twice[IMAGES * CLASSES];
    vj_model *plain = compile_digits(1, VJ_I8, VJ_NO_DTYPE), *asked = compile_digits(1, VJ_I8, VJ_I8);
    int64_t bytes, asked_bytes, arena;
    run_digits(plain, 0, IMAGES, once);
    run_digits(asked, 0, IMAGES, twice);
    assert_memory_equal(once, twice, sizeof once);
    assert_int_equal(vj_plan_bytes(plain, 1, &bytes, &arena), VJ_OK);
    assert_int_equal(vj_plan_bytes(asked, 1, &asked_bytes, &arena), VJ_OK);
    assert_int_equal(bytes, asked_bytes);
    vj_model_free(plain);
    vj_model_free(asked);
}

/* Beside float32's, of the whole model: 0.27 and 0.18 are what ViT-B/16 may take; its panels are less padded than these. */
static void blocks_are_small(void **state) {
    (void)state;
    static const struct {
        vj_dtype precision, format;
        double most;
    } cases[] = {{VJ_F32, VJ_I8, 0.29}, {VJ_BF16, VJ_I8, 0.30}, {VJ_F32, VJ_I4, 0.19}, {VJ_BF16, VJ_I4, 0.19}};
    vj_model *wide = compile_digits(1, VJ_F32, VJ_F32);
    int64_t all, bytes, arena;
    assert_int_equal(vj_plan_bytes(wide, 1, &all, &arena), VJ_OK);
    vj_model_free(wide);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_model *m = compile_digits(1, cases[i].precision, cases[i].format);
        assert_int_equal(vj_plan_bytes(m, 1, &bytes, &arena), VJ_OK);
        if ((double)bytes > cases[i].most * (double)all)
            fail_msg("case %zu: %lld bytes of %lld", i, (long long)bytes, (long long)all);
        vj_model_free(m);
    }
}

/* Calibrations */

#define HEAD "{\"vitjit_calibration\": 1, \"inputs\": 5, \"layers\": ["

static vj_status compile_calibrated(const char *text, vj_model **m) {
    vj_options o;
    vj_options_init(&o);
    o.cache = "";
    o.precision = VJ_I8;
    o.calibration = text;
    o.calibration_bytes = strlen(text);
    return vj_compile_file(data_file("../../../examples/digits/digits.onnx"), &o, m);
}

static void damaged_calibrations_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "it is no JSON"},
        {"{", "it is no JSON"},
        {"[]", "no JSON object with 'vitjit_calibration'"},
        {"{\"layers\": []}", "no JSON object with 'vitjit_calibration'"},
        {"{\"vitjit_calibration\": 2, \"layers\": []}", "'vitjit_calibration' is no number from 1 to 1"},
        {"{\"vitjit_calibration\": 1, \"layers\": {}}", "no list 'layers'"},
        {"{\"vitjit_calibration\": 1, \"inputs\": -1, \"layers\": []}", "'inputs'"},
        {"{\"vitjit_calibration\": 1, \"least_cosine\": \"1\", \"layers\": []}", "'least_cosine'"},
        {"{\"vitjit_calibration\": 1, \"agreement\": 2, \"layers\": []}", "'agreement'"},
        {HEAD "{}]}", "a layer has no 'node'"},
        {HEAD "3]}", "a layer has no 'node'"},
        {HEAD "{\"node\": \"a\", \"precision\": \"f16\"}]}", "none of f32, bf16 and int8"},
        {HEAD "{\"node\": \"a\", \"precision\": 3}]}", "none of f32, bf16 and int8"},
        {HEAD "{\"node\": \"a\", \"precision\": \"int8\", \"smoothing\": 3}]}", "'smoothing' is no list"},
        {HEAD "{\"node\": \"a\", \"precision\": \"int8\", \"smoothing\": [1, 31]}]}", "whole numbers from -30 to 30"},
        {HEAD "{\"node\": \"a\", \"precision\": \"int8\", \"smoothing\": [0.5]}]}", "whole numbers from -30 to 30"},
        {HEAD "{\"node\": \"a\", \"precision\": \"int8\", \"smoothing\": [null]}]}", "whole numbers from -30 to 30"},
        {HEAD "{\"node\": \"a\", \"precision\": \"int8\", \"largest_weight\": -1}]}", "'largest_weight'"},
        {HEAD "{\"node\": \"nobody\", \"precision\": \"f32\"}]}", "of another model: there is no product 'nobody'"},
        {HEAD "{\"node\": \"/patch/Conv\", \"precision\": \"int8\"}]}",
         "of another model: the weight of '/patch/Conv'"},
        {HEAD "{\"node\": \"/blocks.0/qkv/Add\", \"precision\": \"int8\", \"smoothing\": [1]}]}",
         "the weight of '/blocks.0/qkv/Add'"},
        {HEAD "{\"node\": \"/blocks.0/qkv/Add\", \"precision\": \"int8\", \"largest_weight\": 1e9}]}",
         "the weight of '/blocks.0/qkv/Add'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_model *m = NULL;
        const vj_status status = compile_calibrated(cases[i].text, &m);
        if (status != VJ_BAD_INPUT || m || !strstr(vj_error_message(), cases[i].why))
            fail_msg("%s: status %d, '%s', not '%s'", cases[i].text, (int)status, vj_error_message(), cases[i].why);
    }
}

/* One without layers changes nothing; one that keeps a layer wide does. */
static void calibrations_are_heeded(void **state) {
    (void)state;
    static const char *const texts[] = {HEAD "]}", HEAD "{\"node\": \"/blocks.0/qkv/Add\", \"precision\": \"bf16\"}]}",
                                        HEAD "{\"node\": \"/blocks.0/qkv/Add\", \"precision\": \"f32\"}]}"};
    float plain[IMAGES * CLASSES], out[3][IMAGES * CLASSES];
    vj_model *m = compile_digits(1, VJ_I8, VJ_F32);
    run_digits(m, 0, IMAGES, plain);
    vj_model_free(m);
    for (int i = 0; i < 3; i++) {
        if (compile_calibrated(texts[i], &m) != VJ_OK) fail_msg("%s", vj_error_message());
        run_digits(m, 0, IMAGES, out[i]);
        vj_model_free(m);
    }
    assert_memory_equal(out[0], plain, sizeof plain);
    assert_memory_not_equal(out[1], plain, sizeof plain);
    assert_memory_not_equal(out[2], plain, sizeof plain);
    assert_memory_not_equal(out[2], out[1], sizeof plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_calibrations_are_refused),
        cmocka_unit_test(calibrations_are_heeded),
        cmocka_unit_test(bad_precisions_are_refused),
        cmocka_unit_test(precisions_are_told),
        cmocka_unit_test(bits_do_not_depend_on_the_split),
        cmocka_unit_test(int8_twice_is_int8),
        cmocka_unit_test(blocks_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
