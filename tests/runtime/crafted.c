/* SPDX-License-Identifier: Apache-2.0 */
/* crafted.c - tests calls that no honest caller makes: missing pointers, sizes that cannot be; and models with more inputs and
 * outputs than anybody has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "small.h"

static void refused(const vj_options *o, const char *text) {
    vj_model *m = (vj_model *)&text;
    const vj_status status = vj_compile_file(data_file("small.onnx"), o, &m);
    if (status != VJ_USAGE || m || !strstr(vj_error_message(), text))
        fail_msg("status %d, '%s', not '%s'", (int)status, vj_error_message(), text);
    vj_family *family = NULL;
    assert_int_equal(vj_family_open(data_file("small.onnx"), o, NULL, 0, &family), VJ_USAGE);
    assert_null(family);
}

static vj_options fresh(void) {
    vj_options o;
    vj_options_init(&o);
    o.cache = "";
    return o;
}

static void lists_without_members(void **state) {
    (void)state;
    static const char *const names[] = {"relu", NULL};
    const vj_shape nameless = {.rank = 2, .dims = {1, 2}}, deep = {.name = "x", .rank = VJ_MODEL_MAX_RANK + 1};
    vj_options o = fresh();
    o.also_output_count = 2;
    refused(&o, "a list that is missing");
    o.also_outputs = names;
    refused(&o, "name 1 of also_outputs is missing");
    o = fresh();
    o.shape_count = 1;
    refused(&o, "a list that is missing");
    o.shapes = &nameless;
    refused(&o, "shape 0 has no name");
    o.shapes = &deep;
    refused(&o, "shape 0 has no name or a rank outside");
    o = fresh();
    o.precision = VJ_BF16;
    o.keep_f32 = names + 1;
    o.keep_f32_count = 1;
    refused(&o, "pattern 0 of keep_f32 is missing");
}

static void values_that_cannot_be(void **state) {
    (void)state;
    float data[4] = {0};
    const vj_fixed_input good = {
        .name = "x", .dtype = VJ_F32, .rank = 1, .dims = {4}, .data = data, .bytes = sizeof data};
    vj_fixed_input value = good;
    vj_options o = fresh();
    o.fixed = &value;
    o.fixed_count = 1;
    const size_t sizes[] = {0, sizeof data - 1, sizeof data + 1, SIZE_MAX, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        value.bytes = sizes[i];
        refused(&o, "its type and dims another number");
    }
    const int64_t dims[] = {-4, -1, 0, 5, INT64_MAX, INT64_MIN, INT64_MAX / 4 + 2};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        value = good;
        value.dims[0] = dims[i];
        refused(&o, "its type and dims another number");
    }
    for (int32_t dtype = -3; dtype <= VJ_DTYPE_COUNT; dtype++) {
        value = good;
        value.dtype = (vj_dtype)dtype;
        if (vj_dtype_bytes(value.dtype) != sizeof *data) refused(&o, "its type and dims another number");
    }
    value = good;
    value.data = NULL;
    refused(&o, "value 0 has no name, no data");
    value.data = data;
    value.name = NULL;
    refused(&o, "value 0 has no name, no data");
}

static void sessions_without_anything(void **state) {
    (void)state;
    const vj_options o = fresh();
    vj_model *m;
    vj_session *x;
    float data[WIDTH * 2];
    const int64_t dims[VJ_MODEL_MAX_RANK] = {2, WIDTH};
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_OK);
    assert_int_equal(vj_session_create(m, &x), VJ_OK);
    const int32_t ranks[] = {-1, INT32_MIN, 0, 1, 3, VJ_MODEL_MAX_RANK + 1, INT32_MAX};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        assert_int_equal(vj_bind_input(x, "x", data, sizeof data, VJ_F32, dims, ranks[i]), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(x, "x", data, sizeof data, VJ_F32, NULL, 2), VJ_USAGE);
    assert_int_equal(vj_bind_input(x, NULL, data, sizeof data, VJ_F32, dims, 2), VJ_USAGE);
    assert_int_equal(vj_bind_input(x, "x", NULL, sizeof data, VJ_F32, dims, 2), VJ_USAGE);
    assert_int_equal(vj_bind_input(x, "x", data, SIZE_MAX, VJ_F32, dims, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_output(x, INT32_MIN, data, sizeof data), VJ_USAGE);
    assert_int_equal(vj_bind_output(x, 0, NULL, sizeof data), VJ_USAGE);
    assert_int_equal(vj_run(x), VJ_USAGE);
    assert_int_equal(vj_output_shape(x, 0, NULL), 0);
    assert_int_equal(vj_input_shape(m, 0, 1, NULL), 0);
    assert_int_equal(vj_plan_bytes(m, INT64_MAX, NULL, NULL), VJ_USAGE);
    vj_session_free(x);
    vj_model_free(m);
}

/* A writer of protobuf's wire format, as much of it as the model below has. */
typedef struct wire {
    uint8_t *at;
    size_t size, room;
} wire;

static void put(wire *w, const void *bytes, size_t size) {
    while (w->size + size > w->room)
        w->at = realloc(w->at, w->room = w->room * 2 + 4096);
    assert_non_null(w->at);
    memcpy(w->at + w->size, bytes, size);
    w->size += size;
}

static void put_number(wire *w, uint64_t x) {
    do {
        const uint8_t byte = (uint8_t)((x & 0x7f) | (x > 0x7f ? 0x80 : 0));
        put(w, &byte, 1);
    } while (x >>= 7);
}

static void put_field(wire *w, uint32_t number, uint64_t x) {
    put_number(w, number << 3);
    put_number(w, x);
}

static void put_bytes(wire *w, uint32_t number, const void *bytes, size_t size) {
    put_number(w, number << 3 | 2);
    put_number(w, size);
    put(w, bytes, size);
}

static void put_part(wire *w, uint32_t number, wire *part) {
    put_bytes(w, number, part->at, part->size);
    free(part->at);
    *part = (wire){0};
}

/* name: f32[3] */
static void put_value(wire *graph, uint32_t field, const char *name) {
    wire dim = {0}, shape = {0}, tensor = {0}, type = {0}, value = {0};
    put_field(&dim, 1, 3);
    put_part(&shape, 1, &dim);
    put_field(&tensor, 1, 1);
    put_part(&tensor, 2, &shape);
    put_part(&type, 1, &tensor);
    put_bytes(&value, 1, name, strlen(name));
    put_part(&value, 2, &type);
    put_part(graph, field, &value);
}

/* Inputs x0, x1, ... and outputs y0, y1, ..., each y the sum of x0 and its x. */
static wire model_of(int32_t count) {
    wire model = {0}, graph = {0}, opset = {0};
    char x[16], y[16];
    for (int32_t i = 0; i < count; i++) {
        wire node = {0};
        snprintf(x, sizeof x, "x%d", i);
        snprintf(y, sizeof y, "y%d", i);
        put_bytes(&node, 1, "x0", 2);
        put_bytes(&node, 1, x, strlen(x));
        put_bytes(&node, 2, y, strlen(y));
        put_bytes(&node, 4, "Add", 3);
        put_part(&graph, 1, &node);
    }
    put_bytes(&graph, 2, "many", 4);
    for (int32_t i = 0; i < count; i++) {
        snprintf(x, sizeof x, "x%d", i);
        put_value(&graph, 11, x);
    }
    for (int32_t i = 0; i < count; i++) {
        snprintf(y, sizeof y, "y%d", i);
        put_value(&graph, 12, y);
    }
    put_field(&model, 1, 8);
    put_part(&model, 7, &graph);
    put_field(&opset, 2, 17);
    put_part(&model, 8, &opset);
    return model;
}

static void many_inputs_and_outputs(void **state) {
    (void)state;
    enum { COUNT = 4200 };
    const vj_options o = fresh();
    vj_model *m;
    vj_session *x;
    wire bytes = model_of(COUNT);
    if (vj_compile_memory(bytes.at, bytes.size, &o, &m)) fail_msg("%s", vj_error_message());
    free(bytes.at);
    assert_int_equal(vj_input_count(m), COUNT);
    assert_int_equal(vj_output_count(m), COUNT);
    float(*in)[4] = calloc(COUNT, sizeof *in), (*out)[4] = calloc(COUNT, sizeof *out);
    assert_true(in && out);
    assert_int_equal(vj_session_create(m, &x), VJ_OK);
    for (int32_t i = 0; i < COUNT; i++) {
        in[i][0] = (float)i + 7;
        assert_int_equal(vj_bind_input(x, vj_input_name(m, i), in[i], 12, VJ_F32, (int64_t[]){3}, 1), VJ_OK);
        assert_int_equal(vj_bind_output(x, i, out[i], 12), VJ_OK);
    }
    assert_int_equal(vj_run(x), VJ_OK);
    for (int32_t i = 0; i < COUNT; i++)
        if (out[i][0] != (float)i + 14) fail_msg("output %d is %g", (int)i, (double)out[i][0]);
    vj_session_free(x);
    vj_model_free(m);
    free(in);
    free(out);
}

/* Beyond what an image can have: said before anything is compiled. */
static void too_many_inputs_and_outputs(void **state) {
    (void)state;
    const vj_options o = fresh();
    vj_model *m = NULL;
    wire bytes = model_of(33000);
    assert_int_equal(vj_compile_memory(bytes.at, bytes.size, &o, &m), VJ_UNSUPPORTED);
    if (!strstr(vj_error_message(), "the graph has 33000 inputs and 33000 outputs; at most 32768"))
        fail_msg("%s", vj_error_message());
    free(bytes.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_without_members),       cmocka_unit_test(values_that_cannot_be),
        cmocka_unit_test(sessions_without_anything),   cmocka_unit_test(many_inputs_and_outputs),
        cmocka_unit_test(too_many_inputs_and_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
