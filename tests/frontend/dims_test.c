/* SPDX-License-Identifier: Apache-2.0 */
/* dims_test.c - tests how open dims get their sizes: names that mean nothing, batches of their own, and what the error says
 * of a size that the weights cannot take. The models are tests/fixtures/dims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/frontend.h"
#include "vitjit.h"

typedef struct imported {
    vj_arena *arena;
    vj_onnx *onnx;
    vj_func *f;
    vj_model_facts facts;
    vj_error error;
} imported;

static void import(imported *m, const char *name, const vj_shape *shapes, int32_t count, int64_t fixed_batch) {
    char path[4096];
    const vj_import_options options = {.shapes = shapes, .shape_count = count, .fixed_batch = fixed_batch};
    *m = (imported){.arena = vj_arena_new()};
    snprintf(path, sizeof path, VJ_DIMS_DIR "/%s.onnx", name);
    m->onnx = vj_onnx_open(m->arena, path, &m->facts, &m->error);
    assert_non_null(m->onnx);
    m->f = vj_import(m->arena, m->onnx, &options, &m->error);
}

static void drop(imported *m) {
    vj_onnx_close(m->onnx);
    vj_arena_free(m->arena);
}

static void input_is(const imported *m, int32_t i, const char *type) {
    if (!m->f) print_error("%s\n", m->error.text);
    assert_non_null(m->f);
    assert_string_equal(vj_type_text(m->arena, vj_type_at(m->f, m->f->inputs[i])), type);
}

static void refused(const imported *m, vj_status status, const char *text) {
    assert_null(m->f);
    assert_int_equal(m->error.status, status);
    if (!strstr(m->error.text, text)) print_error("%s\n", m->error.text);
    assert_non_null(strstr(m->error.text, text));
}

/* "?" is the name of three dims of x, of which two have sizes that differ. */
static void a_question_mark_is_no_name(void **state) {
    (void)state;
    imported m;
    const vj_shape x = {.name = "x", .rank = 4, .dims = {2, 3, 12, 20}};
    import(&m, "unnamed", &x, 1, 0);
    input_is(&m, 0, "f32[N,3,12,20]");
    drop(&m);
    import(&m, "unnamed", NULL, 0, 0);
    refused(&m, VJ_USAGE, "leaves dim 2 ('?') open");
    assert_non_null(strstr(m.error.hint, "vj_options.shapes, for example x=1x3x224x224"));
    drop(&m);
}

/* All dims of x have the name. */
static void what_means_nothing_is_no_name(void **state) {
    (void)state;
    static const char *const nothing[] = {"name.empty", "name.mark", "name.minus", "name.none", "name.unknown"};
    const vj_shape x = {.name = "x", .rank = 3, .dims = {2, 5, 7}}, same = {.name = "x", .rank = 3, .dims = {2, 2, 2}};
    imported m;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        import(&m, nothing[i], &x, 1, 0);
        input_is(&m, 0, "f32[N,5,7]");
        drop(&m);
    }
    import(&m, "name.numbered", &x, 1, 2);
    refused(&m, VJ_USAGE, "the dim 'unk__7' is given two sizes");
    drop(&m);
    import(&m, "name.numbered", &same, 1, 2);
    input_is(&m, 0, "f32[2,2,2]");
    drop(&m);
}

/* input_ids [text_batch_size,sequence_length], pixel_values [image_batch_size,3,16,16], attention_mask as the ids */
static vj_shape ids(int64_t texts) { return (vj_shape){.name = "input_ids", .rank = 2, .dims = {texts, 7}}; }
static vj_shape pixels(int64_t images) {
    return (vj_shape){.name = "pixel_values", .rank = 4, .dims = {images, 3, 16, 16}};
}
static vj_shape mask(int64_t texts) { return (vj_shape){.name = "attention_mask", .rank = 2, .dims = {texts, 7}}; }

static void shapes_that_differ_give_each_input_its_batch(void **state) {
    (void)state;
    imported m;
    const vj_shape named[] = {pixels(1), ids(3)}; /* the mask's batch goes by its name */
    import(&m, "clip", named, 2, 0);
    input_is(&m, 0, "i64[3,7]");
    input_is(&m, 1, "f32[1,3,16,16]");
    input_is(&m, 2, "i64[3,7]");
    assert_false(m.f->batch_is_open);
    drop(&m);
    const vj_shape all[] = {pixels(1), ids(3), mask(3)};
    import(&m, "same", all, 3, 0);
    input_is(&m, 0, "i64[3,7]");
    input_is(&m, 1, "f32[1,3,16,16]");
    input_is(&m, 2, "i64[3,7]");
    drop(&m);
    import(&m, "same", named, 2, 0);
    refused(&m, VJ_USAGE, "input 'attention_mask' wants its own batch");
    assert_non_null(strstr(m.error.hint, "vj_options.shapes, for example attention_mask="));
    drop(&m);
}

static void shapes_that_agree_leave_one_batch(void **state) {
    (void)state;
    imported m;
    const vj_shape alike[] = {pixels(3), ids(3)};
    import(&m, "clip", alike, 2, 0);
    assert_null(m.f); /* texts by images would be a square of the batch */
    drop(&m);
    import(&m, "clip", alike, 2, 3);
    input_is(&m, 0, "i64[3,7]");
    input_is(&m, 1, "f32[3,3,16,16]");
    drop(&m);
    const vj_shape alone = ids(3);
    import(&m, "clip", &alone, 1, 2); /* a size of the batch is but an example */
    input_is(&m, 0, "i64[2,7]");
    input_is(&m, 1, "f32[2,3,16,16]");
    drop(&m);
}

static void a_batch_may_stay_open_beside_one_that_does_not(void **state) {
    (void)state;
    imported m;
    const vj_shape sizes[] = {{.name = "a", .rank = 2, .dims = {VJ_BATCH_DIM, 3}},
                              {.name = "b", .rank = 2, .dims = {4, 3}}};
    import(&m, "towers", sizes, 2, 0);
    input_is(&m, 0, "f32[N,3]");
    input_is(&m, 1, "f32[4,3]");
    assert_string_equal(vj_type_text(m.arena, vj_type_at(m.f, m.f->outputs[0])), "f32[N,4]");
    drop(&m);
}

static void the_error_names_the_constant(void **state) {
    (void)state;
    imported m;
    const vj_shape right = {.name = "image", .rank = 4, .dims = {1, 3, 16, 16}};
    import(&m, "positions", &right, 1, 0);
    input_is(&m, 0, "f32[N,3,16,16]");
    drop(&m);
    const vj_shape wrong = {.name = "image", .rank = 4, .dims = {1, 3, 32, 16}};
    import(&m, "positions", &wrong, 1, 0);
    refused(&m, VJ_BAD_INPUT, "node '/Add' (Add, opset 17): ");
    refused(&m, VJ_BAD_INPUT, "the initializer 'position_embeddings', f32[1,16,8], fixes the size");
    drop(&m);
    const vj_shape long_texts[] = {{.name = "input_ids", .rank = 2, .dims = {1, 9}}}; /* positions for 7 */
    import(&m, "clip", long_texts, 1, 1);
    refused(&m, VJ_BAD_INPUT, "fixes the size");
    drop(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_question_mark_is_no_name),
                                       cmocka_unit_test(what_means_nothing_is_no_name),
                                       cmocka_unit_test(shapes_that_differ_give_each_input_its_batch),
                                       cmocka_unit_test(shapes_that_agree_leave_one_batch),
                                       cmocka_unit_test(a_batch_may_stay_open_beside_one_that_does_not),
                                       cmocka_unit_test(the_error_names_the_constant)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
