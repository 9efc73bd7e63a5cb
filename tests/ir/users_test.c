/* SPDX-License-Identifier: Apache-2.0 */
/* users_test.c - values know their uses and whether they are weights: after every verb, against a plain recount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ir/tensor/ir.h"

static vj_func *parse(vj_arena *arena, const char *text) {
    vj_error error = {0};
    vj_func *f = vj_parse(arena, text, NULL, NULL, &error);
    if (!f) fail_msg("%s", error.text);
    return f;
}

static vj_value by_name(const vj_func *f, const char *name) {
    for (vj_value v = 0; v < f->value_count; v++)
        if (f->values[v].name && strcmp(f->values[v].name, name) == 0) return v;
    fail_msg("no value %s", name);
    return VJ_NONE;
}

static int32_t node_of(const vj_func *f, const char *name) { return f->values[by_name(f, name)].node; }

static void is_sound(const vj_func *f) {
    vj_error error = {0};
    if (!vj_verify(f, &error)) fail_msg("%s", error.text);
}

static void is_refused(const vj_func *f, const char *words) {
    vj_error error = {0};
    assert_false(vj_verify(f, &error));
    if (!strstr(error.text, words)) fail_msg("expected '%s', got '%s'", words, error.text);
}

static void has_users(const vj_func *f, const char *name, int32_t uses, const char *const *users) {
    int32_t *nodes, count = vj_users(f, by_name(f, name), f->arena, &nodes), i = 0;
    assert_int_equal(vj_use_count(f, by_name(f, name)), uses);
    for (; users[i]; i++) {
        assert_true(i < count);
        assert_int_equal(nodes[i], node_of(f, users[i]));
    }
    assert_int_equal(count, i);
    is_sound(f);
}
#define USERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOBODY     ((const char *const[]){NULL})

static vj_func *of_four(vj_arena *arena) {
    return parse(arena,
                 "func @f(%x: f32[2], %y: f32[2]) { %a = add %x, %x %b = mul %a, %x %c = sub %b, %a return %c, %a }");
}

static void operands_and_outputs_are_uses(void **state) {
    vj_func *f = of_four(*state);
    has_users(f, "x", 3, USERS("a", "b"));
    has_users(f, "a", 3, USERS("b", "c"));
    has_users(f, "c", 1, NOBODY);
    has_users(f, "y", 0, NOBODY);
    assert_true(vj_is_output(f, by_name(f, "a")));
    assert_false(vj_is_output(f, by_name(f, "b")));
}

static void replacing_moves_all_uses(void **state) {
    vj_func *f = of_four(*state);
    vj_replace_uses(f, by_name(f, "x"), by_name(f, "y"));
    has_users(f, "x", 0, NOBODY);
    has_users(f, "y", 3, USERS("a", "b"));
    vj_replace_uses(f, by_name(f, "a"), by_name(f, "y")); /* an output too; b is in the list twice now, apart */
    has_users(f, "a", 0, NOBODY);
    has_users(f, "y", 6, USERS("a", "b", "c"));
    assert_int_equal(f->outputs[1], by_name(f, "y"));
    vj_replace_uses(f, by_name(f, "y"), by_name(f, "y"));
    has_users(f, "y", 6, USERS("a", "b", "c"));
}

static void operands_and_outputs_are_set(void **state) {
    vj_func *f = of_four(*state);
    vj_set_operand(f, node_of(f, "a"), 0, by_name(f, "y"));
    has_users(f, "x", 2, USERS("a", "b"));
    has_users(f, "y", 1, USERS("a"));
    vj_set_operand(f, node_of(f, "b"), 1, by_name(f, "y"));
    has_users(f, "x", 1, USERS("a"));
    vj_set_output(f, 1, by_name(f, "x"));
    has_users(f, "x", 2, USERS("a"));
    has_users(f, "a", 2, USERS("b", "c"));
    assert_true(vj_is_output(f, by_name(f, "x")));
    vj_add_output(f, "more", by_name(f, "x"));
    has_users(f, "x", 3, USERS("a"));
}

static void killed_nodes_use_nothing(void **state) {
    vj_func *f = of_four(*state);
    vj_set_output(f, 0, by_name(f, "a"));
    vj_kill(f, node_of(f, "c"));
    vj_kill(f, node_of(f, "c"));
    has_users(f, "a", 3, USERS("b"));
    has_users(f, "b", 0, NOBODY);
}

static void sizes_are_uses(void **state) {
    vj_func *f =
        parse(*state, "func @main(%x: f32[4]) where s0 <= 4 { %p, %n = nonzero %x size=s0 size s0 = %n %m = add %n, %n "
                      "%q = cast %p to=f32 return %q as q, %m as m }");
    has_users(f, "n", 3, USERS("m"));
    assert_false(vj_is_output(f, by_name(f, "n")));
    vj_compact(f);
    has_users(f, "n", 3, USERS("m"));
    const vj_value size = by_name(f, "n");
    vj_set_symbol(f, 0, VJ_NONE);
    assert_int_equal(vj_use_count(f, size), 2);
    vj_set_symbol(f, 0, size);
    has_users(f, "n", 3, USERS("m"));
    vj_error error = {0};
    const vj_value other = vj_add_node(f, VJ_OP_neg, &size, 1, NULL, 0, NULL, &error);
    vj_replace_uses(f, size, other);
    assert_int_equal(f->symbols[0].value, other);
}

static void compacting_counts_anew(void **state) {
    vj_func *f = of_four(*state);
    vj_set_output(f, 0, by_name(f, "a")); /* b and c have no use */
    has_users(f, "a", 4, USERS("b", "c"));
    for (vj_value v = 0; v < f->value_count; v++)
        f->values[v].changed = false;
    vj_compact(f);
    has_users(f, "a", 2, NOBODY);
    has_users(f, "x", 2, USERS("a"));
    assert_true(f->values[by_name(f, "a")].changed); /* it lost uses */
    assert_false(f->values[by_name(f, "y")].changed);
}

static void changes_are_noted(void **state) {
    vj_func *f = of_four(*state);
    for (vj_value v = 0; v < f->value_count; v++)
        f->values[v].changed = false;
    vj_set_operand(f, node_of(f, "c"), 0, by_name(f, "y"));
    assert_true(f->values[by_name(f, "b")].changed);
    assert_true(f->values[by_name(f, "y")].changed);
    assert_false(f->values[by_name(f, "x")].changed);
}

static void weights_follow_their_operands(void **state) {
    vj_func *f = parse(*state, "func @f(%x: f32[2]) { @w = const [1,2] : f32[2] %a = neg %x %b = abs %a %c = tanh @w "
                               "%d = add %b, %c @h = const [1,2] : f16[2] %e = neg @h return %d, %e }");
    const vj_value w = by_name(f, "w");
    assert_true(vj_is_weight(f, w));
    assert_false(vj_is_weight(f, VJ_NONE));
    assert_false(vj_is_weight(f, by_name(f, "b")));
    assert_false(vj_is_weight(f, by_name(f, "c"))); /* tanh cannot be read in blocks */
    vj_set_operand(f, node_of(f, "a"), 0, w);
    assert_true(vj_is_weight(f, by_name(f, "b")));
    assert_false(vj_is_weight(f, by_name(f, "d")));
    vj_replace_uses(f, by_name(f, "c"), w);
    assert_true(vj_is_weight(f, by_name(f, "d")));
    is_sound(f);
    vj_set_operand(f, node_of(f, "a"), 0, by_name(f, "x"));
    assert_false(vj_is_weight(f, by_name(f, "d")));
    assert_false(vj_is_weight(f, by_name(f, "e"))); /* of half precision, which is not computed in */
    vj_set_dtype(f, by_name(f, "e"), VJ_F32);
    assert_true(vj_is_weight(f, by_name(f, "e")));
}

/* w = w + w, again and again: each asks its operand twice. */
static void doubled_weights_take_no_time(void **state) {
    vj_func *f = parse(*state, "func @f() { @w = const [1,2] : f32[2] }");
    vj_value w = by_name(f, "w");
    for (int i = 0; i < 200; i++) {
        vj_error error = {0};
        w = vj_add_node(f, VJ_OP_add, (vj_value[]){w, w}, 2, NULL, 0, NULL, &error);
    }
    assert_true(vj_is_weight(f, w));
}

static void wrong_notes_are_refused(void **state) {
    vj_func *f = of_four(*state);
    f->values[by_name(f, "a")].use_count++;
    is_refused(f, "the uses of value 2 are not those that are listed");
    f = of_four(*state);
    f->nodes[node_of(f, "b")].args[0] = by_name(f, "y"); /* behind the verbs' backs */
    is_refused(f, "are not those that are listed");
    f = of_four(*state);
    f->uses[f->values[by_name(f, "a")].first_use].next = -1;
    is_refused(f, "are not those that are listed");
    f = of_four(*state);
    f->values[by_name(f, "b")].is_weight = true;
    is_refused(f, "value 3 is noted wrongly as a weight or none");
}

static uint64_t random_state = 20240607;
static int32_t random_below(int32_t end) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)(random_state >> 33) % end;
}

/* Random verbs on a function whose values all have one type, beside the operands as a plain scan would change them. */
static void random_verbs_keep_the_index(void **state) {
    enum { NODES = 60, STEPS = 3000, OUTPUTS = 3 };
    vj_func *f = parse(*state, "func @f(%x: f32[2]) { @w = const [1,2] : f32[2] return %x, @w, %x }");
    vj_value scan[NODES + 2][2] = {{0}}, outputs[OUTPUTS] = {0, 1, 0};
    for (int32_t n = 2; n < NODES + 2; n++) {
        vj_error error = {0};
        for (int32_t i = 0; i < 2; i++)
            scan[n][i] = random_below(n);
        assert_int_equal(vj_add_node(f, VJ_OP_add, scan[n], 2, NULL, 0, NULL, &error), n);
    }
    for (int step = 0; step < STEPS; step++) {
        const int32_t n = 2 + random_below(NODES), to = random_below(n), from = random_below(n + 1),
                      what = random_below(10);
        if (what < 6) {
            vj_set_operand(f, n, what & 1, to);
            scan[n][what & 1] = to;
        } else if (what < 9) {
            vj_set_output(f, what - 6, n);
            outputs[what - 6] = n;
        } else if (to < from) { /* operands stay smaller than results */
            vj_replace_uses(f, from, to);
            for (int32_t k = 2; k < NODES + 2; k++)
                for (int32_t i = 0; i < 2; i++)
                    if (scan[k][i] == from) scan[k][i] = to;
            for (int32_t o = 0; o < OUTPUTS; o++)
                if (outputs[o] == from) outputs[o] = to;
        }
        if (step % 10 == 0) is_sound(f);
    }
    for (int32_t k = 2; k < NODES + 2; k++)
        assert_memory_equal(f->nodes[k].args, scan[k], sizeof scan[k]);
    assert_memory_equal(f->outputs, outputs, sizeof outputs);
    is_sound(f);
}

static int set_up(void **state) { return (*state = vj_arena_new()) ? 0 : -1; }

static int tear_down(void **state) {
    vj_arena_free(*state);
    return 0;
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(operands_and_outputs_are_uses),
        CASE(replacing_moves_all_uses),
        CASE(operands_and_outputs_are_set),
        CASE(killed_nodes_use_nothing),
        CASE(sizes_are_uses),
        CASE(compacting_counts_anew),
        CASE(changes_are_noted),
        CASE(weights_follow_their_operands),
        CASE(doubled_weights_take_no_time),
        CASE(wrong_notes_are_refused),
        CASE(random_verbs_keep_the_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
