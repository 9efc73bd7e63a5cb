/* SPDX-License-Identifier: Apache-2.0 */
/* long_weights.c - weight expressions of 20,000 ops, read on a stack of 1 MiB with bounded memory. What they come to is
 * known: each step is undone by another, or is said by a loop of its own here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <sys/resource.h>

#include "passes/passes.h"

/* With the sanitizers a step takes many times as long; as few as these would overflow the stack all the same. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 4000 };
#else
enum { STEPS = 20000 };
#endif
enum { SIDE = 128, COUNT = SIDE * SIDE };
#define MOST_KILOBYTES (256 * 1024)

typedef struct chain {
    vj_arena *arena;
    vj_func *f;
    vj_value v;
    vj_error error;
    float *got;
} chain;

static double start(int64_t i) { return (double)(i * 7919 % 65521) / 65536 - 0.5; }

static chain begin(void) {
    chain c = {.arena = vj_arena_new()};
    c.f = vj_func_new(c.arena, "long");
    double *data = VJ_NEW_ARRAY(c.arena, double, COUNT);
    for (int64_t i = 0; i < COUNT; i++)
        data[i] = start(i);
    c.v = vj_add_const_f64(c.f, VJ_F32, 2, (int64_t[]){SIDE, SIDE}, data);
    return c;
}

static void add(chain *c, vj_op op, vj_value a, vj_value b) {
    const vj_value args[2] = {a, b};
    const bool turns = op == VJ_OP_transpose;
    const vj_attr perm = vj_ints(VJ_ATTR_PERM, (const int64_t[]){1, 0}, 2);
    c->v = vj_add_node(c->f, op, args, b >= 0 ? 2 : 1, &perm, turns, NULL, &c->error);
    assert_true(c->v >= 0);
}

static void *read_it(void *self) {
    chain *c = self;
    vj_weight_reader *reader = vj_weight_reader_new(c->arena, c->f);
    for (int64_t at = 0, part; at < COUNT; at += part) {
        part = vj_min64(COUNT - at, 5003);
        if (!vj_weight_read(reader, c->v, at, part, c->got + at, &c->error)) break;
    }
    return NULL;
}

static void read_on_a_small_stack(chain *c) {
    pthread_attr_t attributes;
    pthread_t thread;
    c->got = VJ_NEW_ARRAY(c->arena, float, COUNT);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 1 << 20), 0);
    assert_int_equal(pthread_create(&thread, &attributes, read_it, c), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    assert_string_equal(c->error.text, "");
}

static void end(chain *c) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(used.ru_maxrss < MOST_KILOBYTES);
#endif
    vj_arena_free(c->arena);
}

static void elementwise(void **state) {
    (void)state;
    chain c = begin();
    for (int32_t i = 0; i < STEPS; i++)
        add(&c, VJ_OP_neg, c.v, VJ_NONE);
    read_on_a_small_stack(&c);
    for (int64_t i = 0; i < COUNT; i++)
        assert_true(c.got[i] == (float)start(i));
    end(&c);
}

/* Transposes with something between them, which no rule takes together. */
static void moving(void **state) {
    (void)state;
    chain c = begin();
    for (int32_t i = 0; i < STEPS / 2 - 1; i++) {
        add(&c, VJ_OP_transpose, c.v, VJ_NONE);
        add(&c, VJ_OP_abs, c.v, VJ_NONE);
    }
    read_on_a_small_stack(&c);
    for (int64_t i = 0; i < COUNT; i++)
        assert_true(c.got[i] == fabsf((float)start(i % SIDE * SIDE + i / SIDE)));
    end(&c);
}

/* w + w, and half of it: as a tree it would have 2^10000 leaves. */
static void doubling(void **state) {
    (void)state;
    chain c = begin();
    const vj_value half = vj_add_const_f64(c.f, VJ_F32, 0, NULL, (const double[]){0.5});
    for (int32_t i = 0; i < STEPS / 2; i++) {
        add(&c, VJ_OP_add, c.v, c.v);
        add(&c, VJ_OP_mul, c.v, half);
    }
    read_on_a_small_stack(&c);
    for (int64_t i = 0; i < COUNT; i++)
        assert_true(c.got[i] == (float)start(i));
    end(&c);
}

/* Parts that are far apart: each step reads the one before it and one of long ago. */
static void far_apart(void **state) {
    (void)state;
    enum { FAR = 200 };
    chain c = begin();
    static vj_value was[STEPS / 10 + FAR];
    static float x[STEPS / 10 + FAR];
    for (int32_t i = 0; i < FAR; i++)
        was[i] = c.v;
    for (int32_t i = FAR; i < STEPS / 10 + FAR; i++) {
        add(&c, i % 3 ? VJ_OP_max : VJ_OP_sub, was[i - 1], was[i - FAR]);
        was[i] = c.v;
    }
    read_on_a_small_stack(&c);
    for (int64_t e = 0; e < COUNT; e += 251) {
        for (int32_t i = 0; i < FAR; i++)
            x[i] = (float)start(e);
        for (int32_t i = FAR; i < STEPS / 10 + FAR; i++)
            x[i] = i % 3 ? fmaxf(x[i - 1], x[i - FAR]) : x[i - 1] - x[i - FAR];
        assert_true(c.got[e] == x[STEPS / 10 + FAR - 1]);
    }
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise),
        cmocka_unit_test(moving),
        cmocka_unit_test(doubling),
        cmocka_unit_test(far_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
