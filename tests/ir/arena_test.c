/* SPDX-License-Identifier: Apache-2.0 */
/* arena_test.c - memory, checked arithmetic, errors, texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ir/base/base.h"

static void memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    for (size_t bytes = 0; bytes < 200000; bytes = bytes * 3 + 1) {
        uint8_t *at = vj_alloc(arena, bytes);
        assert_int_equal((uintptr_t)at % 16, 0);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(at[i], 0);
        memset(at, 0xa5, bytes);
    }
    vj_arena_free(arena);
}

static void use_up_budget(void *self) {
    vj_arena *arena = self;
    vj_alloc(arena, 1000); /* 1008 with its rounding */
    assert_int_equal(vj_arena_used(arena), 1008);
    vj_alloc(arena, 16); /* exactly full */
    vj_alloc(arena, 1);
    fail();
}

static void budget_is_kept(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_arena_limit(arena, 1024);
    assert_false(vj_arena_try(arena, use_up_budget, arena));
    assert_int_equal(vj_arena_used(arena), 1024);
    vj_arena_free(arena);
    assert_false(vj_arena_try(NULL, use_up_budget, NULL));
}

typedef struct absurd {
    vj_arena *arena;
    int number;
} absurd;

static void ask_for_absurd_size(void *self) {
    vj_arena *arena = ((const absurd *)self)->arena;
    switch (((const absurd *)self)->number) {
    case 0:
        vj_alloc(arena, SIZE_MAX);
        break;
    case 1:
        vj_alloc(arena, SIZE_MAX - 8);
        break;
    case 2:
        vj_alloc(arena, SIZE_MAX / 2);
        break;
    case 3:
        vj_alloc_array(arena, SIZE_MAX / 4, 8);
        break;
    default:
        vj_strndup(arena, "", SIZE_MAX);
        break;
    }
}

static void absurd_sizes_jump(void **state) {
    (void)state;
    absurd a = {.arena = vj_arena_new()};
    for (; a.number < 5; a.number++)
        assert_false(vj_arena_try(a.arena, ask_for_absurd_size, &a));
    vj_arena_free(a.arena);
}

static void count_call(void *self) { ++*(int *)self; }

typedef struct family {
    vj_arena *parent;
    int calls, inner;
} family;

static void fill_child(void *self) {
    family *f = self;
    vj_arena *child = vj_arena_scratch(f->parent), *grandchild = vj_arena_scratch(child);
    vj_arena_at_free(grandchild, count_call, &f->calls);
    vj_arena_limit(grandchild, 64);
    vj_alloc(grandchild, 4096);
    fail();
}

static void scratch_has_its_parents_way_out(void **state) {
    (void)state;
    family f = {.parent = vj_arena_new()};
    assert_false(vj_arena_try(f.parent, fill_child, &f));
    assert_int_equal(f.calls, 0); /* what was passed by is the parent's, */
    vj_arena *kept = vj_arena_scratch(f.parent), *gone = vj_arena_scratch(f.parent);
    vj_arena_free(gone);
    vj_arena_at_free(kept, count_call, &f.calls);
    vj_arena_free(f.parent); /* and freed with it */
    assert_int_equal(f.calls, 2);
}

static void try_inside(void *self) {
    family *f = self;
    vj_arena *root = f->parent;
    f->parent = vj_arena_scratch(root);
    f->inner += !vj_arena_try(f->parent, fill_child, f);
    f->inner += !vj_arena_try(f->parent, fill_child, f);
    f->parent = root;
    fill_child(f);
}

static void the_innermost_try_is_taken(void **state) {
    (void)state;
    family f = {.parent = vj_arena_new()};
    assert_false(vj_arena_try(f.parent, try_inside, &f));
    assert_int_equal(f.inner, 2);
    vj_arena_free(f.parent);
    assert_int_equal(f.calls, 3);
}

static void release_gives_back(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    char *kept = vj_strdup(arena, "kept");
    vj_arena_mark mark = vj_arena_save(arena);
    size_t used = vj_arena_used(arena);
    for (int i = 0; i < 100; i++)
        memset(vj_alloc(arena, 5000), 1, 5000);
    vj_arena_release(arena, mark);
    assert_int_equal(vj_arena_used(arena), used);
    uint8_t *again = vj_alloc(arena, 5000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(again[i], 0);
    assert_string_equal(kept, "kept");
    vj_arena_free(arena);
}

static void callbacks_come_at_the_end(void **state) {
    (void)state;
    int calls = 0;
    vj_arena *arena = vj_arena_new();
    vj_arena_at_free(arena, count_call, &calls);
    vj_arena_at_free(arena, count_call, &calls);
    assert_int_equal(calls, 0);
    vj_arena_free(arena);
    assert_int_equal(calls, 2);
    vj_arena_free(NULL);
}

static void arrays_grow(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    int32_t *numbers = NULL, count = 0, capacity = 0;
    for (int32_t i = 0; i < 1000; i++)
        *VJ_PUSH(arena, numbers, count, capacity) = i;
    assert_int_equal(count, 1000);
    for (int32_t i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], i);
    vj_arena_free(arena);
}

static void arithmetic_is_checked(void **state) {
    (void)state;
    int64_t r = 7;
    assert_true(vj_mul(INT64_MAX, 1, &r));
    assert_int_equal(r, INT64_MAX);
    assert_false(vj_mul(INT64_MAX / 2 + 1, 2, &r));
    assert_int_equal(r, INT64_MAX);
    assert_false(vj_mul(INT64_MIN, -1, &r));
    assert_true(vj_mul(INT64_MIN, 1, &r));
    assert_false(vj_add(INT64_MAX, 1, &r));
    assert_true(vj_add(INT64_MAX, INT64_MIN, &r));
    assert_int_equal(r, -1);
    assert_true(vj_range_inside(0, 0, 0));
    assert_true(vj_range_inside(4, 6, 10));
    assert_false(vj_range_inside(4, 7, 10));
    assert_false(vj_range_inside(11, 0, 10));
    assert_false(vj_range_inside(-1, 1, 10));
    assert_false(vj_range_inside(1, -1, 10));
    assert_false(vj_range_inside(INT64_MAX, INT64_MAX, 10));
    assert_int_equal(vj_round_up(65, 64), 128);
    assert_int_equal(vj_round_up(64, 64), 64);
    assert_int_equal(vj_ceil_div(7, 3), 3);
}

static void first_error_stays(void **state) {
    (void)state;
    vj_error error = {0};
    assert_int_equal(vj_fail(&error, VJ_UNSUPPORTED, "node '%s'", "a"), VJ_UNSUPPORTED);
    assert_int_equal(vj_fail(&error, VJ_SYSTEM, "later"), VJ_UNSUPPORTED);
    vj_hint(&error, "try %d", 1);
    vj_hint(&error, "try %d", 2);
    assert_string_equal(error.text, "node 'a'");
    assert_string_equal(error.hint, "try 1");
    char long_text[5000];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = 0;
    vj_error other = {0};
    vj_fail(&other, VJ_BAD_INPUT, "%s", long_text);
    assert_int_equal(strlen(other.text), sizeof other.text - 1);
}

static void texts_grow(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_text text = {.arena = arena};
    for (int i = 0; i < 1000; i++)
        vj_text_add(&text, "%d,", i % 10);
    assert_int_equal(text.length, 2000);
    assert_memory_equal(text.at + 1996, "8,9,", 5);
    assert_string_equal(vj_sprintf(arena, "%s-%d", "a", 5), "a-5");
    vj_arena_free(arena);
}

static void element_sizes_are_the_abi_s(void **state) {
    (void)state;
    static const struct {
        vj_dtype dtype;
        int64_t bytes;
        const char *name;
    } rows[] = {{VJ_NO_DTYPE, 0, "none"}, {VJ_F32, 4, "f32"},  {VJ_F64, 8, "f64"}, {VJ_F16, 2, "f16"},
                {VJ_BF16, 2, "bf16"},     {VJ_I8, 1, "i8"},    {VJ_U8, 1, "u8"},   {VJ_I16, 2, "i16"},
                {VJ_U16, 2, "u16"},       {VJ_I32, 4, "i32"},  {VJ_U32, 4, "u32"}, {VJ_I64, 8, "i64"},
                {VJ_U64, 8, "u64"},       {VJ_BOOL, 1, "bool"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(vj_element_bytes(rows[i].dtype), rows[i].bytes);
        assert_string_equal(vj_element_name(rows[i].dtype), rows[i].name);
    }
    assert_int_equal(vj_element_bytes((vj_dtype)99), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(budget_is_kept),
        cmocka_unit_test(absurd_sizes_jump),
        cmocka_unit_test(scratch_has_its_parents_way_out),
        cmocka_unit_test(the_innermost_try_is_taken),
        cmocka_unit_test(release_gives_back),
        cmocka_unit_test(callbacks_come_at_the_end),
        cmocka_unit_test(arrays_grow),
        cmocka_unit_test(arithmetic_is_checked),
        cmocka_unit_test(first_error_stays),
        cmocka_unit_test(texts_grow),
        cmocka_unit_test(element_sizes_are_the_abi_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
