/* SPDX-License-Identifier: Apache-2.0 */
/* program_verify_test.c - tests what the verifier of programs refuses. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "programs.h"

/* The verifier, on a sound program with one change. */

static char *changed(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    if (!at) print_error("'%s' is not in the text\n", from);
    assert_non_null(at);
    char *copy = malloc(strlen(text) + strlen(to) + 1);
    assert_non_null(copy);
    sprintf(copy, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return copy;
}

static void refuses(const char *text, const char *from, const char *to, const char *words) {
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    char *copy = changed(text, from, to);
    vj_program *p = parse_program(arena, copy);
    assert_false(vj_verify_program(p, &error));
    if (!strstr(error.text, words)) print_error("'%s' -> '%s': %s\n", from, to, error.text);
    assert_non_null(strstr(error.text, words));
    free(copy);
    vj_arena_free(arena);
}

static void verifier_refuses(void **state) {
    (void)state;
    refuses(conv, "rows i0:3,", "rows i0:0,", "extent");
    refuses(conv, "f32[60]", "f32[59]", "reaches elements 0..59");
    refuses(conv, "guard(2*i0 + i4 - 1, 5)", "guard(2*i0 + i4 - 1, 6)", "reaches elements");
    refuses(conv, "guard(2*i0 + i4 - 1, 5)", "guard(2*i0 + i2 + i4 - 1, 5)", "A moves with the cols");
    refuses(conv, "depth i3:2, i4:3, i5:3", "depth i3:2, i4:3, i5:2", "another K or N");
    refuses(conv, "%y[3*i0 + i1 + 9*i2]", "%y[3*i0 + i1 + 9*i2 + 1]", "reaches elements 1..45");
    refuses(conv, "%y[3*i0 + i1 + 9*i2]", "%y[3*i0 + i1 + 9*guard(i2, 5)]", "has terms");
    refuses(conv, "out %y[3", "out %x[3", "not to be written");
    refuses(conv, "k(2*9, 3*3, 3*1)", "k(2*9, 3*3, 3*2)", "outside of its source");
    refuses(conv, "k(2*9, 3*3, 3*1)", "k(2*9, 2*3, 3*1)", "do not multiply");
    refuses(conv, "f32[288]", "f32[272]", "not its weight's");
    refuses(blocks, "u8[448]", "u8[447]", "not its weight's");
    refuses(blocks, "u8[448]", "i8[448]", "not its weight's");
    refuses(blocks, "bits=4", "bits=5", "not its weight's");
    refuses(blocks, "block=16", "block=8", "not its weight's");
    refuses(blocks, "block=16", "block=17", "not its weight's");
    refuses(table, "u8[448]", "u8[447]", "not its weight's");
    refuses(table, "bits=4", "bits=8", "not its weight's");
    refuses(blocks, "depth i2:20", "depth i2:19", "another K or N");
    refuses(blocks, "%x: input 0 f32[40]", "%x: input 0 i8[40]", "a type that it may not have");
    refuses(blocks, "%x: input 0 f32[40]", "%x: input 0 u8[40]", "S is missing");
    refuses(conv, "acc + x0", "acc == x0", "not its buffer's");
    refuses(conv, "acc + x0", "acc + 1:i64", "two types");
    refuses(conv, "cast:f32(i0 / 7:i64)", "cast:f32(exp(i0))", "wants floats");
    refuses(conv, "in x0 = %bias[i2]", "in x0 = %bias[i3]", "no place here");
    refuses(conv, "gelu_erf(t0)", "gelu_erf(acc)", "no accumulator");
    refuses(conv, "at 0  # 180", "at 4  # 180", "not aligned");
    refuses(conv, "at 0  # 180", "at 64  # 180", "no room");
    refuses(conv, "at 1152", "at 1088", "share bytes");
    refuses(conv, "  phase 1\n", "", "reads what its own phase writes");
    refuses(attention, "K %k[30*i0 + 5*i2 + i3]", "K %k[10*i0 + 2*i2 + 2*i3]", "unit stride");
    refuses(attention, "Q %q[20*i0 + 5*i1 + i3]", "Q %q[5*i2]", "Q moves with the keys");
    refuses(attention, "%mask[6*i1 + i2]", "%mask[6*i1 + i3]", "no place here");
    refuses(attention, "value i4:3", "value i4:3, i5:2", "value has too many axes");
    refuses(attention, "score = acc * 0.25 + x0", "score = acc * 0.25 weight = acc * x0", "no place here");
    refuses(rounded, "weight = at_most(at_least(round(acc / 0.125), 1), 5)", "weight = acc < 1", "a weight is an f32");
    refuses(norm, "stage s0", "weight = 1 stage s0", "it has no weights");
    refuses(norm, "out %y[7*i0 + i1]", "out %y[7*i0]", "no place here");
    refuses(segments, "B %b[3*i1 + i2 + 6*i3]", "B %b[i1 + 2*i2 + 6*i3]", "unit stride");
    refuses(segments, "%t[i0 + 5*i2]", "%t[5*i2]", "one element");
    refuses(norm, "out %y[7*i0 + i1]", "out %y[i1]", "one element");
    refuses(attention, "out %y[12*i0 + 3*i1 + i4]", "out %y[3*i1 + i4]", "one element");
    refuses(batched, "%y[6*i0 + 3*i1 + i2]", "%y[2*i0 + i1]", "one element");
    refuses(batched, "%y[6*i0 + 3*i1 + i2]", "%y[6*i0 + i2]", "one element");
    refuses(batched, "%y[6*i0 + 3*i1 + i2]", "%y[3*i1 + i2]", "one element");
    refuses(batched_segments, "%s[6*i0 + 3*i1 + i3]", "%s[6*i0 + 3*i1]", "one element");
    refuses(segments, "i1=1", "i1=2", "segment");
    refuses(segments, "%s[3*i0 + i2] = acc", "%s[3*i0 + i2] = cast:f32(acc:f64)", "accumulator's");
    refuses(segments, "%s[3*i0 + i2] = acc", "%s[3*i0 + i2] = cast:f32(acc:i32)", "accumulator's");
    refuses(attention, "score = acc * 0.25", "score = cast:f32(acc:f16) * 0.25", "accumulator's");
    refuses(conv, "%x: input 0 f32[60]", "%x: input 0 f64[60]", "type");
    refuses(attention, "%k: input 1 f32[60]", "%k: input 1 bf16[60]", "type");
    refuses(segments, "mod(i0 - 2, 5)", "mod(i0 - 6, 5)", "below -extent");
    refuses(call, "%x[2]", "%x[3]", "too small");
    refuses(call, "f32[20]", "f64[20]", "other types");
    refuses(call, "i64[4]", "i64[3]", "too small");
    refuses(call, "u8[64]", "u8[63]", "too small");
    refuses(call, "units 2", "units 3", "too small");
    refuses(call, "k=2", "k=10", "more than the length");
    refuses(call, "length=9", "length=0", "make no sense");
    refuses(call, "write %v", "write %x", "has twice");
    refuses(call, "%v: output 0", "%v: input 1", "not to be written");
    refuses(call, "    write %i[0]\n", "", "another number of buffers");
    refuses(segments, "mod(i0 - 2, 5)", "index(i0, 5)", "has an index");
    refuses(indexed, "4*index(t1, 7)", "4*index(t1, 8)", "reaches elements 0..31");
    refuses(indexed, "4*index(t1, 7)", "4*index(x0, 7)", "no i64 entry");
    refuses(indexed, "4*index(t1, 7)", "4*index(t1, 0)", "extent");
    refuses(steps, "    S %s[2*i0 + i2]\n", "", "another K or N");
    refuses(steps, "%s: input 1 f32[32]", "%s: input 1 i32[32]", "S has a type");
    refuses(steps, "%x: input 0 u8[64]", "%x: input 0 f32[64]", "S has a type");
    refuses(steps, "S %s[2*i0 + i2]", "S %s[2*i0 + i3]", "S moves within a block");
    refuses(steps, "i2:2, i3:16", "i2:1, i3:32", "has other blocks than the depth");
    refuses(steps, "i2:2, i3:16", "i2:1, i3:16", "another K or N");
}

/* Two arena buffers at the same offset are wrong while both are live, and right when one is dead or is overwritten
 * element by element. */
static void plan_of_three(const char *map, int64_t offset, const char *words) {
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    char *text =
        vj_sprintf(arena,
                   "program p {\n  arena 128 lower 128 weights 0\n  %%x: input 0 f32[16]\n  %%a: arena f32[16] at 0\n"
                   "  %%b: arena f32[16] at %" PRId64 "\n  %%y: output 0 f32[16]\n"
                   "  phase 0\n  kernel nest p { outer i0:16\n row\n in x0 = %%x[i0]\n out %%a[i0] = x0 }\n"
                   "  phase 1\n  kernel nest q { outer i0:16\n row\n in x0 = %%a[%s]\n out %%b[i0] = x0 }\n"
                   "  phase 2\n  kernel nest r { outer i0:16\n row\n in x0 = %%b[i0]\n out %%y[i0] = x0 }\n}\n",
                   offset, map);
    const bool sound = vj_verify_program(parse_program(arena, text), &error);
    assert_int_equal(sound, words == NULL);
    if (words) assert_non_null(strstr(error.text, words));
    vj_arena_free(arena);
}

static void plans_share_bytes_only_when_they_may(void **state) {
    (void)state;
    plan_of_three("i0", 64, NULL);
    plan_of_three("i0", 0, NULL);
    plan_of_three("-i0 + 15", 0, "share bytes");
}

/* Both halves of the columns read the operand, so that neither may overwrite it. */
static void segments_share_no_bytes_with_operands(void **state) {
    (void)state;
    static const char text[] = "program p {\n  arena 128 lower 128 weights 0\n  %%x: input 0 f32[4]\n"
                               "  %%b: input 1 f32[4]\n  %%r: arena f32[4] at 0\n  %%s: arena f32[4] at %d\n"
                               "  %%y: output 0 f32[4]\n  phase 0\n"
                               "  kernel nest p { outer i0:4\n row\n in x0 = %%x[i0]\n out %%r[i0] = x0 }\n"
                               "  phase 1\n  kernel gemm q { rows i0:2\n cols i1:2, i2:2\n depth i3:1\n"
                               "    A %%x[i0 + i3]\n B %%b[2*i1 + i2 + i3]\n in x0 = %%r[2*i0 + i2]\n"
                               "    out i1=0: %%s[2*i0 + i2] = acc + x0\n    out i1=1: %%y[2*i0 + i2] = x0 }\n"
                               "  phase 2\n  kernel nest r { outer i0:4\n row\n in x0 = %%s[i0]\n"
                               "    out %%y[i0] = x0 }\n}\n";
    for (int at = 0; at <= 64; at += 64) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        assert_int_equal(vj_verify_program(parse_program(arena, vj_sprintf(arena, text, at)), &error), at == 64);
        if (at == 0) assert_non_null(strstr(error.text, "share bytes"));
        vj_arena_free(arena);
    }
}

/* Two results of a product, both made of an operand: the last may overwrite it, if both are stored in one way. */
static void last_result_takes_an_operand_s_place(void **state) {
    (void)state;
    static const char text[] = "program p {\n  arena 128 lower 128 weights 0\n  %%x: input 0 f32[4]\n"
                               "  %%b: input 1 f32[4]\n  %%r: arena f32[4] at 0\n  %%s: arena f32[4] at 0\n"
                               "  %%t: arena f32[4] at 64\n  %%y: output 0 f32[4]\n  phase 0\n"
                               "  kernel nest p { outer i0:4\n row\n in x0 = %%x[i0]\n out %%r[i0] = x0 }\n"
                               "  phase 1\n  kernel gemm q { rows i0:2\n cols i1:2\n depth i2:2\n"
                               "    A %%x[2*i0 + i2]\n B %%b[i1 + 2*i2]\n in x0 = %%r[2*i0 + i1]\n"
                               "    out %s = acc + x0\n    out %s = acc + x0 }\n"
                               "  phase 2\n  kernel nest r { outer i0:4\n row\n in x0 = %%s[i0]\n in x1 = %%t[i0]\n"
                               "    out %%y[i0] = x0 + x1 }\n}\n";
    static const struct {
        const char *first, *last;
        bool is_sound;
    } cases[] = {{"%t[2*i0 + i1]", "%s[2*i0 + i1]", true},
                 {"%s[2*i0 + i1]", "%t[2*i0 + i1]", false},
                 {"%t[i0 + 2*i1]", "%s[2*i0 + i1]", false},
                 {"%t[2*i0 + i1]", "%s[i0 + 2*i1]", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        const vj_program *p = parse_program(arena, vj_sprintf(arena, text, cases[i].first, cases[i].last));
        assert_int_equal(vj_verify_program(p, &error), cases[i].is_sound);
        if (!cases[i].is_sound) assert_non_null(strstr(error.text, "share bytes"));
        vj_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifier_refuses),
        cmocka_unit_test(plans_share_bytes_only_when_they_may),
        cmocka_unit_test(segments_share_no_bytes_with_operands),
        cmocka_unit_test(last_result_takes_an_operand_s_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
