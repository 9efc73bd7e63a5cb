/* SPDX-License-Identifier: Apache-2.0 */
/* verify_test.c - breaks each rule of the verifier once, as only a broken pass could. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ir/tensor/ir.h"

/* Nodes: 0 %x, 1 %y, 2 @w, 3 %a, 4 %b, 5 %c; each has the value of its own number. */
static const char *const text = "func @f(%x: f32[2], %y: f32[2]) {\n"
                                "  @w = const [1,2] : f32[2]\n"
                                "  %a = add %x, @w\n"
                                "  %b = softmax %a axis=0\n"
                                "  %c = mul %a, %b\n"
                                "  return %c, %b\n"
                                "}\n";

static vj_func *sound(vj_arena *arena) {
    vj_error error = {0};
    vj_func *f = vj_parse(arena, text, NULL, NULL, &error);
    if (!f || !vj_verify(f, &error)) fail_msg("%s", error.text);
    return f;
}

static void refuses(const vj_func *f, const char *words) {
    vj_error error = {0};
    assert_false(vj_verify(f, &error));
    if (!strstr(error.text, words)) fail_msg("expected '%s', got '%s'", words, error.text);
}

static void order(void **state) {
    vj_func *f = sound(*state);
    f->nodes[3].args[0] = 4;
    refuses(f, "node 3 (add): operand 0 is used before node 4 makes it");
    f->nodes[3].args[0] = 3;
    refuses(f, "operand 0 is used before node 3 makes it");
}

static void operands(void **state) {
    vj_func *f = sound(*state);
    f->nodes[3].args[0] = 6;
    refuses(f, "operand 0 is no value (6)");
    f->nodes[3].args[0] = -2;
    refuses(f, "operand 0 is no value (-2)");
    f->nodes[3].args[0] = VJ_NONE;
    refuses(f, "operand 0 is absent");
    f = sound(*state);
    f->nodes[3].arg_count = 1;
    refuses(f, "add: 1 operands, not 2");
}

static void killed_nodes_in_use(void **state) {
    vj_func *f = sound(*state);
    vj_kill(f, 3);
    refuses(f, "operand 0 is the result of a killed node");
    f = sound(*state);
    vj_kill(f, 5);
    refuses(f, "output 0 is the result of a killed node");
}

static void results(void **state) {
    vj_func *f = sound(*state);
    f->nodes[3].result_count = 2;
    refuses(f, "2 results, not 1");
    f = sound(*state);
    f->nodes[3].first_result = 6;
    refuses(f, "its results are no values");
    f->nodes[3].first_result = 4;
    refuses(f, "result 0 names node 4 as its producer");
    f = sound(*state);
    f->values[3].node = 9;
    refuses(f, "value 3 has no producer");
    f = sound(*state);
    f->nodes[3].op = VJ_OP_COUNT;
    refuses(f, "unknown op");
}

static void types(void **state) {
    vj_func *f = sound(*state);
    f->values[3].type.dims[0].c = 3;
    refuses(f, "result 0 does not have the type that inference gives");
    f = sound(*state);
    f->values[0].type.dtype = VJ_NO_DTYPE;
    refuses(f, "unknown element type");
    f->values[0].type = (vj_type){.dtype = VJ_F32, .rank = 9};
    refuses(f, "rank 9");
    f->values[0].type = (vj_type){.dtype = VJ_F32, .rank = 1, .dims = {{-1, VJ_SYM_NONE}}};
    refuses(f, "dim 0 is negative");
    f->values[0].type = (vj_type){.dtype = VJ_F32, .rank = 1, .dims = {{0, VJ_SYM_BATCH}}};
    refuses(f, "dim 0 is not a positive multiple of N");
    f->values[0].type = (vj_type){.dtype = VJ_F32, .rank = 1, .dims = {{1, VJ_SYM_FIRST_DATA}}};
    refuses(f, "dim 0 has an unknown symbol");
}

static void attributes(void **state) {
    vj_func *f = sound(*state);
    f->nodes[4].attr_count = 0;
    refuses(f, "attribute axis is missing");
    f = sound(*state);
    f->nodes[3].attrs = f->nodes[4].attrs;
    f->nodes[3].attr_count = 1;
    refuses(f, "add: has no attribute axis");
    vj_attr twice[] = {vj_int(VJ_ATTR_AXIS, 0), vj_int(VJ_ATTR_AXIS, 0)};
    f = sound(*state);
    f->nodes[4].attrs = twice;
    f->nodes[4].attr_count = 2;
    refuses(f, "attribute axis is there twice");
    f = sound(*state);
    f->nodes[4].attrs[0].as.i = -1; /* only vj_add_node counts from the back */
    refuses(f, "axis -1 is outside a tensor of rank 1");
    vj_attr unsorted[] = {vj_float(VJ_ATTR_EPS, 0), vj_int(VJ_ATTR_AXIS, 0)};
    f = sound(*state);
    f->nodes[4].op = VJ_OP_layernorm;
    f->nodes[4].attrs = unsorted;
    f->nodes[4].attr_count = 2;
    refuses(f, "attributes are not sorted");
    vj_attr no_word = vj_name(VJ_ATTR_FORM, NULL);
    f = sound(*state);
    f->nodes[4].op = VJ_OP_gelu;
    f->nodes[4].attrs = &no_word;
    refuses(f, "attribute form is no word");
}

static void constants(void **state) {
    vj_func *f = sound(*state);
    vj_const c = *f->nodes[2].attrs[0].as.constant;
    f->nodes[2].attrs[0].as.constant = &c;
    c.length = 12;
    refuses(f, "f32[2] needs 8 bytes, not 12");
    c.length = 8;
    c.offset = 4;
    refuses(f, "outside its source");
    f->nodes[2].attrs[0].as.constant = NULL;
    refuses(f, "no constant");
    f = sound(*state);
    f->values[2].type.dims[0].sym = VJ_SYM_BATCH;
    refuses(f, "a constant's dims must be known");
}

static void inputs_and_outputs(void **state) {
    vj_func *f = sound(*state);
    f->inputs[1] = 3;
    refuses(f, "input 1 is no param");
    f->inputs[1] = 0;
    refuses(f, "input 1 is input 0 again");
    f->inputs[1] = 77;
    refuses(f, "input 1 is no value");
    f->input_count = 1;
    refuses(f, "2 params, but 1 inputs");
    f = sound(*state);
    f->outputs[1] = VJ_NONE;
    refuses(f, "output 1 is no value");
    f = sound(*state);
    f->output_names[1] = NULL;
    refuses(f, "output 1 has no name");
}

/* %p, %n = nonzero %x size=s0, a cast of %p, and %n as s0 */
static vj_func *with_size(vj_arena *arena) {
    vj_error error = {0};
    vj_func *f = vj_parse(arena,
                          "func @main(%x: f32[4]) where s0 <= 4 { %p, %n = nonzero %x size=s0 size s0 = %n "
                          "%q = cast %p to=f32 return %q as q, %n as n }",
                          NULL, NULL, &error);
    assert_non_null(f);
    assert_true(vj_verify(f, &error));
    return f;
}

static void sizes(void **state) {
    vj_func *f = with_size(*state);
    f->symbols[0].value = 3;
    refuses(f, "s0 is no i64[]");
    f->symbols[0].value = 77;
    refuses(f, "s0 is no value");
    f->symbols[0] = (vj_symbol){-1, 2, -1};
    refuses(f, "the bound of s0 is negative");
    f = with_size(*state);
    f->output_dims = (int32_t[]){-1, 0};
    refuses(f, "output 0 is no list of the dims of output 1");
    f->output_dims = (int32_t[]){2, -1};
    refuses(f, "output 0 has no such dims");
}

static void origins_are_named(void **state) {
    vj_func *f = sound(*state);
    vj_origin origin = {"blocks.0/Add", "Add", 17};
    f->nodes[3].origin = &origin;
    f->nodes[3].arg_count = 1;
    refuses(f, "node 3 (add, from blocks.0/Add)");
}

static int new_arena(void **state) {
    *state = vj_arena_new();
    return 0;
}

static int free_arena(void **state) {
    vj_arena_free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_arena, free_arena)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(order),      TEST(operands),  TEST(killed_nodes_in_use), TEST(results),           TEST(types),
        TEST(attributes), TEST(constants), TEST(inputs_and_outputs),  TEST(origins_are_named), TEST(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
