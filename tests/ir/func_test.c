/* SPDX-License-Identifier: Apache-2.0 */
/* func_test.c - building and editing functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "ir/tensor/ir.h"

static vj_func *parse(vj_arena *arena, const char *text) {
    vj_error error = {0};
    vj_func *f = vj_parse(arena, text, NULL, NULL, &error);
    if (!f) fail_msg("%s", error.text);
    return f;
}

static void expect(const vj_func *f, const char *expected) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    vj_print(f, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    vj_error error = {0};
    if (!vj_verify(f, &error)) fail_msg("%s", error.text);
}

static vj_value by_name(const vj_func *f, const char *name) {
    for (vj_value v = 0; v < f->value_count; v++)
        if (f->values[v].name && strcmp(f->values[v].name, name) == 0) return v;
    fail_msg("no value %s", name);
    return VJ_NONE;
}

static vj_value unary(vj_func *f, vj_op op, vj_value x) {
    vj_error error = {0};
    vj_value v = vj_add_node(f, op, &x, 1, NULL, 0, NULL, &error);
    if (v < 0) fail_msg("%s", error.text);
    return v;
}

static void uses_are_replaced_and_order_restored(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, "func @f(%x: f32[2]) { %a = exp %x %b = neg %a %c = add %a, %a return %a, %b, %c }");
    vj_value late = unary(f, VJ_OP_tanh, by_name(f, "x")); /* behind its coming users */
    f->values[late].name = "late";
    vj_replace_uses(f, by_name(f, "a"), late);
    vj_compact(f);
    expect(f, "func @f(%x: f32[2]) -> f32[2], f32[2], f32[2] {\n"
              "  %late = tanh %x : f32[2]\n"
              "  %b = neg %late : f32[2]\n"
              "  %c = add %late, %late : f32[2]\n"
              "  return %late as a, %b, %c\n"
              "}\n");
    vj_arena_free(arena);
}

static void unused_nodes_go_and_params_stay(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, "func @f(%x: f32[2], %unused: f32[3]) { @w = const splat(1) : f32[2] %a = exp %x"
                              " %b = neg %a %c = abs %x return %c }");
    vj_compact(f);
    expect(f, "func @f(%x: f32[2], %unused: f32[3]) -> f32[2] {\n  %c = abs %x : f32[2]\n  return %c\n}\n");
    assert_int_equal(f->node_count, 3);
    assert_int_equal(f->value_count, 3);
    vj_arena_free(arena);
}

static void compacting_in_order_changes_nothing(void **state) {
    (void)state;
    static const char text[] = "func @f(%x: f32[2], %y: f32[2]) -> f32[2] {\n"
                               "  @w = const [1,2] : f32[2]\n"
                               "  %a = mul %y, @w : f32[2]\n"
                               "  %b = exp %x : f32[2]\n"
                               "  %c = exp %y : f32[2]\n"
                               "  %d = add %c, %b : f32[2]\n"
                               "  %e = add %d, %a : f32[2]\n"
                               "  return %e\n"
                               "}\n";
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, text);
    vj_compact(f);
    expect(f, text);
    size_t used = vj_arena_used(arena);
    vj_compact(f);
    assert_int_equal(vj_arena_used(arena), used); /* its scratch is given back */
    expect(f, text);
    vj_arena_free(arena);
}

static void killed_nodes_go(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, "func @f(%x: f32[2]) { %a = exp %x %b = neg %x return %b }");
    vj_kill(f, f->values[by_name(f, "a")].node);
    int32_t *uses = vj_use_counts(f, arena);
    assert_int_equal(uses[by_name(f, "x")], 1);
    assert_int_equal(uses[by_name(f, "b")], 1);
    vj_compact(f);
    assert_int_equal(f->node_count, 2);
    vj_arena_free(arena);
}

static void operands_are_set(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, "func @f(%x: f32[2], %y: f32[2]) { %a = sub %x, %x return %a }");
    vj_set_operand(f, f->values[by_name(f, "a")].node, 1, by_name(f, "y"));
    expect(f, "func @f(%x: f32[2], %y: f32[2]) -> f32[2] {\n  %a = sub %x, %y : f32[2]\n  return %a\n}\n");
    vj_arena_free(arena);
}

/* Neither a chain built backwards nor one as deep as a large model may need recursion or quadratic time. */
static void long_chains_are_sorted(void **state) {
    (void)state;
    enum { LENGTH = 20000 };
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, "func @f(%x: f32[2]) { }");
    vj_value chain[LENGTH];
    for (int i = 0; i < LENGTH; i++)
        chain[i] = unary(f, VJ_OP_neg, by_name(f, "x"));
    for (int i = 0; i + 1 < LENGTH; i++)
        vj_set_operand(f, f->values[chain[i]].node, 0, chain[i + 1]);
    vj_add_output(f, "y", chain[0]);
    vj_compact(f);
    vj_error error = {0};
    assert_true(vj_verify(f, &error));
    assert_int_equal(f->node_count, LENGTH + 1);
    assert_int_equal(f->outputs[0], LENGTH);
    for (int i = 1; i <= LENGTH; i++)
        assert_int_equal(f->nodes[i].args[0], i - 1);
    vj_arena_free(arena);
}

static void attributes_are_canonical_and_copied(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, "func @f(%x: f32[2,3,4]) { }");
    vj_value x = by_name(f, "x");
    int64_t axes[] = {-1, 0};
    char kind[] = "max";
    vj_attr attrs[] = {vj_int(VJ_ATTR_KEEP, 0), vj_name(VJ_ATTR_KIND, kind), vj_ints(VJ_ATTR_AXES, axes, 2)};
    vj_error error = {0};
    vj_value y = vj_add_node(f, VJ_OP_reduce, &x, 1, attrs, 3, NULL, &error);
    axes[0] = 77;
    kind[0] = 'X';
    vj_add_output(f, "y", y);
    expect(f, "func @f(%x: f32[2,3,4]) -> f32[3] {\n  %0 = reduce %x axes=[0,2] keep=0 kind=max : f32[3]\n"
              "  return %0 as y\n}\n");
    assert_int_equal(vj_attr_int(vj_producer(f, y), VJ_ATTR_KEEP, 5), 0);
    assert_int_equal(vj_attr_int(vj_producer(f, y), VJ_ATTR_AXIS, 5), 5);
    vj_arena_free(arena);
}

static void a_refused_node_leaves_no_trace(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, "func @f(%x: f32[2], %y: f32[3]) { }");
    vj_value args[] = {by_name(f, "x"), by_name(f, "y")};
    vj_error error = {0};
    assert_int_equal(vj_add_node(f, VJ_OP_add, args, 2, NULL, 0, NULL, &error), VJ_NONE);
    assert_int_equal(error.status, VJ_BAD_INPUT);
    assert_string_equal(error.text, "add: f32[2] and f32[3] cannot be broadcast together");
    assert_int_equal(f->node_count, 2);
    assert_int_equal(f->value_count, 2);
    vj_value *many = calloc(40000, sizeof *many);
    vj_attr axis = vj_int(VJ_ATTR_AXIS, 0);
    vj_error too_many = {0};
    assert_int_equal(vj_add_node(f, VJ_OP_concat, many, 40000, &axis, 1, NULL, &too_many), VJ_NONE);
    free(many);
    vj_arena_free(arena);
}

static void the_batch_is_noticed(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    assert_false(parse(arena, "func @f(%x: f32[2]) { }")->batch_is_open);
    assert_true(parse(arena, "func @f(%x: f32[2N]) { }")->batch_is_open);
    vj_arena_free(arena);
}

static void several_functions_stand_in_one_text(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    const char *rest = "func @a() { } ; and\nfunc @b() { }";
    assert_string_equal(vj_parse(arena, rest, NULL, &rest, &error)->name, "a");
    assert_string_equal(vj_parse(arena, rest, NULL, &rest, &error)->name, "b");
    assert_string_equal(rest, "");
    vj_arena_free(arena);
}

/* A large constant in memory has no textual form that can be read back. */
static void large_computed_constants_are_elided(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_func *f = parse(arena, "func @f() { }");
    double numbers[100] = {0};
    vj_add_output(f, "y", vj_add_const_f64(f, VJ_F32, 1, (int64_t[]){100}, numbers));
    expect(f, "func @f() -> f32[100] {\n  @0 = const bytes(400) : f32[100]\n  return @0 as y\n}\n");
    vj_arena_free(arena);
}

/* The host program may have set a locale with a decimal comma (only where one is installed). */
static void numbers_have_points_in_every_locale(void **state) {
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8")) skip();
    vj_arena *arena = vj_arena_new();
    const char *text = "func @f() -> f32[2] {\n  @0 = const [0.5,1.5] : f32[2]\n  return @0\n}\n";
    expect(parse(arena, text), text);
    setlocale(LC_ALL, "C");
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uses_are_replaced_and_order_restored),
        cmocka_unit_test(unused_nodes_go_and_params_stay),
        cmocka_unit_test(compacting_in_order_changes_nothing),
        cmocka_unit_test(killed_nodes_go),
        cmocka_unit_test(operands_are_set),
        cmocka_unit_test(long_chains_are_sorted),
        cmocka_unit_test(attributes_are_canonical_and_copied),
        cmocka_unit_test(a_refused_node_leaves_no_trace),
        cmocka_unit_test(the_batch_is_noticed),
        cmocka_unit_test(several_functions_stand_in_one_text),
        cmocka_unit_test(large_computed_constants_are_elided),
        cmocka_unit_test(numbers_have_points_in_every_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
