/* SPDX-License-Identifier: Apache-2.0 */
/* options_test.c - tests the import options (the batch, shapes, further outputs) and the facts of --inspect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/frontend.h"
#include "pack.h"

typedef struct imported {
    vj_arena *arena;
    vj_onnx *onnx;
    vj_func *f;
    vj_model_facts facts;
    vj_error error;
} imported;

static vj_pack pack;
static int warnings;

static void count_warning(void *self, const char *text) {
    (void)self;
    warnings += strstr(text, "opset") != NULL;
}

/* Reads the model of this name from a pack; `tail` skips what follows a model. */
static const uint8_t *find_model(const char *file, const char *wanted, size_t *size) {
    bool is_bad = strcmp(file, "bad.bin") == 0;
    pack = vj_pack_open(file);
    while (vj_pack_more(&pack)) {
        char name[256];
        vj_pack_text(&pack, name, sizeof name);
        const uint8_t *model = vj_pack_bytes(&pack, size);
        if (strcmp(name, wanted) == 0) return model;
        vj_pack_u32(&pack);
        if (is_bad) vj_pack_text(&pack, name, sizeof name);
        vj_pack_tensor tensors[VJ_PACK_TENSORS];
        for (int i = 0; i < 2 && !is_bad; i++)
            vj_pack_free_tensors(tensors, vj_pack_tensors(&pack, tensors));
    }
    fail_msg("no model '%s'", wanted);
    return NULL;
}

static void import(imported *m, const char *file, const char *name, const vj_import_options *options) {
    size_t size;
    *m = (imported){.arena = vj_arena_new()};
    const uint8_t *model = find_model(file, name, &size);
    m->onnx = vj_onnx_open_memory(m->arena, model, size, "m.onnx", &m->facts, &m->error);
    assert_non_null(m->onnx);
    m->f = vj_import(m->arena, m->onnx, options, &m->error);
}

static void drop(imported *m) {
    vj_onnx_close(m->onnx);
    vj_arena_free(m->arena);
    vj_pack_close(&pack);
}

static void input_is(imported *m, const char *type) {
    assert_non_null(m->f);
    assert_string_equal(vj_type_text(m->arena, vj_type_at(m->f, m->f->inputs[0])), type);
}

/* The table that a layer of the pack's "tables" adds to x: y = table + x. */
static vj_value table_of(const imported *m, int32_t layer) { return vj_producer(m->f, m->f->outputs[layer])->args[0]; }

static void equal_scatters_of_constants_are_made_once(void **state) {
    (void)state;
    imported m;
    import(&m, "index_ops.bin", "tables of f32", NULL);
    assert_non_null(m.f);
    assert_true(vj_is_const(m.f, table_of(&m, 0)));
    assert_int_equal(table_of(&m, 0), table_of(&m, 1));
    assert_int_not_equal(table_of(&m, 0), table_of(&m, 2)); /* another update */
    assert_int_not_equal(table_of(&m, 0), table_of(&m, 3)); /* another reduction */
    drop(&m);
}

static void an_open_batch_stays_open(void **state) {
    (void)state;
    imported m;
    vj_shape shape = {.name = "x", .rank = 4, .dims = {5, 4, 2, 2}};
    vj_import_options options = {.shapes = &shape, .shape_count = 1};
    import(&m, "ops.bin", "windows", &options);
    input_is(&m, "f32[N,4,2,2]");
    assert_true(m.f->batch_is_open);
    drop(&m);
}

static void a_batch_can_be_fixed(void **state) {
    (void)state;
    imported m;
    vj_import_options options = {.fixed_batch = 6};
    import(&m, "ops.bin", "windows", &options);
    input_is(&m, "f32[6,4,2,2]");
    assert_false(m.f->batch_is_open);
    drop(&m);
    import(&m, "bad.bin", "batch as data", &options);
    input_is(&m, "f32[6,3]");
    drop(&m);
    options.fixed_batch = 4;
    import(&m, "bad.bin", "fixed batch inside", &options);
    input_is(&m, "f32[4,6]");
    drop(&m);
}

static void shapes_bind_open_dims(void **state) {
    (void)state;
    imported m;
    vj_shape shape = {.name = "x", .rank = 2, .dims = {2, 7}};
    vj_import_options options = {.shapes = &shape, .shape_count = 1};
    import(&m, "bad.bin", "open dim", &options);
    input_is(&m, "f32[2,7]");
    drop(&m);
    import(&m, "bad.bin", "open dim", NULL);
    assert_int_equal(m.error.status, VJ_USAGE);
    assert_non_null(strstr(m.error.hint, "vj_options.shapes, for example x="));
    drop(&m);
    shape.dims[0] = 3; /* the model says 2 */
    import(&m, "bad.bin", "open dim", &options);
    assert_int_equal(m.error.status, VJ_USAGE);
    drop(&m);
    shape.name = "z";
    import(&m, "bad.bin", "open dim", &options);
    assert_non_null(strstr(m.error.text, "no input 'z'"));
    drop(&m);
}

static void any_value_can_be_an_output(void **state) {
    (void)state;
    imported m;
    const char *names[] = {"q2", "x"};
    vj_import_options options = {.also_outputs = names, .also_output_count = 2};
    import(&m, "ops.bin", "scale from a dim", &options);
    assert_non_null(m.f);
    assert_int_equal(m.f->output_count, 3);
    assert_string_equal(m.f->output_names[1], "q2");
    double number;
    assert_true(vj_is_splat(m.f, m.f->outputs[1], &number) && number == (double)(1 / 1.41421356f));
    drop(&m);
    names[0] = "nothing";
    import(&m, "ops.bin", "scale from a dim", &options);
    assert_int_equal(m.error.status, VJ_USAGE);
    assert_non_null(strstr(m.error.text, "no value 'nothing'"));
    drop(&m);
}

/* Shape sub-graphs leave no nodes. */
static void shape_sub_graphs_are_gone(void **state) {
    (void)state;
    imported m;
    import(&m, "ops.bin", "class token", NULL);
    assert_non_null(m.f);
    assert_int_equal(m.f->node_count, 4); /* the input, the token, its broadcast, the concat */
    drop(&m);
}

static void nodes_tell_their_origin(void **state) {
    (void)state;
    imported m;
    import(&m, "ops.bin", "Einsum ij->ji", NULL);
    const vj_node *node = vj_producer(m.f, m.f->outputs[0]);
    assert_string_equal(node->origin->node, "node");
    assert_string_equal(node->origin->op, "Einsum");
    assert_int_equal(node->origin->opset, 17);
    assert_string_equal(m.f->values[m.f->outputs[0]].name, "y0");
    drop(&m);
}

static void facts_are_told_of_unsupported_models_too(void **state) {
    (void)state;
    imported m;
    import(&m, "bad.bin", "unknown op", NULL);
    assert_null(m.f);
    assert_int_equal(m.facts.op_count, 2);
    assert_string_equal(m.facts.ops[0].op, "Foo");
    assert_int_equal(m.facts.ops[0].count, 2);
    assert_false(m.facts.ops[0].supported);
    drop(&m);
    import(&m, "ops.bin", "windows", NULL);
    assert_string_equal(m.facts.inputs[0].name, "x");
    assert_string_equal(m.facts.inputs[0].type, "f32[batch,4,2,2]");
    assert_int_equal(m.facts.opset, 17);
    assert_int_equal(m.facts.node_count, 12);
    assert_int_equal(m.facts.parameters, 7);
    assert_int_equal(m.facts.parameter_bytes, 56);
    drop(&m);
}

static void a_newer_opset_is_a_warning(void **state) {
    (void)state;
    imported m;
    vj_import_options options = {.warn = count_warning};
    warnings = 0;
    import(&m, "bad.bin", "newer opset", &options);
    assert_non_null(m.f);
    assert_int_equal(warnings, 1);
    drop(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_scatters_of_constants_are_made_once),
                                       cmocka_unit_test(an_open_batch_stays_open),
                                       cmocka_unit_test(a_batch_can_be_fixed),
                                       cmocka_unit_test(shapes_bind_open_dims),
                                       cmocka_unit_test(any_value_can_be_an_output),
                                       cmocka_unit_test(shape_sub_graphs_are_gone),
                                       cmocka_unit_test(nodes_tell_their_origin),
                                       cmocka_unit_test(facts_are_told_of_unsupported_models_too),
                                       cmocka_unit_test(a_newer_opset_is_a_warning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
