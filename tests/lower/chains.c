/* SPDX-License-Identifier: Apache-2.0 */
/* chains.c - graphs as deep as they are long: all passes and code generation on a thread with a small stack, and the
 * results of chains that are cut into several kernels. Text is `head`, `step` for each node, `tail`; in a step $0 is
 * its own number, $1 and $2 those before. */
#include "run.h"

#include "backend/backend.h"
#include "passes/lower/lower.h"

#include <pthread.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

/* A sanitizer's frames are several times as large, and its LLVM takes long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES ((size_t)4 << 20)
#define NODES       5000
#else
#define STACK_BYTES ((size_t)1 << 20)
#define NODES       20000
#endif

typedef struct chain {
    const char *name, *head, *step, *tail;
} chain;

#define VECTOR "func @f(%x: f32[4,16]) -> f32[4,16] {\n%0 = neg %x : f32[4,16]\n%1 = abs %x : f32[4,16]\n"
#define RESULT "return %$0\n}\n"

static const chain chains[] = {
    {"relu", VECTOR, "%$0 = relu %$1 : f32[4,16]\n", RESULT},
    {"add of two", VECTOR, "%$0 = add %$1, %$2 : f32[4,16]\n", RESULT},
    {"sigmoid", VECTOR, "%$0 = sigmoid %$1 : f32[4,16]\n", RESULT},
    {"transpose", "func @f(%x: f32[5,5,5]) -> f32[5,5,5] {\n%1 = neg %x : f32[5,5,5]\n",
     "%$0 = transpose %$1 perm=[1,2,0] : f32[5,5,5]\n", RESULT},
    {"of one weight",
     "func @f(%x: f32[4,16]) -> f32[4,256] {\n@w = const seed(1) : f32[16,256]\n%1 = neg @w : f32[16,256]\n",
     "%$0 = exp %$1 : f32[16,256]\n", "%y = matmul %x, %$0 : f32[4,256]\nreturn %y\n}\n"},
    /* The product takes the sum in behind it, whose other operand no kernel has computed yet. */
    {"awaited",
     "func @f(%x: f32[4,16]) -> f32[4,16] {\n@w = const seed(1) : f32[16,16]\n%m = matmul %x, @w : f32[4,16]\n"
     "%0 = neg %x : f32[4,16]\n%1 = abs %x : f32[4,16]\n",
     "%$0 = add %$1, %$2 : f32[4,16]\n", "%y = add %m, %$0 : f32[4,16]\nreturn %y\n}\n"},
};
enum { CHAINS = sizeof chains / sizeof *chains };

static void add_line(vj_text *t, const char *line, int32_t number) {
    for (; *line; line++)
        if (*line == '$')
            vj_text_add(t, "%d", (int)(number - (*++line - '0')));
        else
            vj_text_add(t, "%c", *line);
}

static char *text_of(vj_arena *arena, const chain *c, int32_t nodes) {
    vj_text t = {.arena = arena};
    add_line(&t, c->head, 0);
    for (int32_t i = 0; i < nodes; i++)
        add_line(&t, c->step, i + 2);
    add_line(&t, c->tail, nodes + 1);
    return t.at;
}

typedef struct compilation {
    const char *text;
    vj_error error;
    int32_t largest; /* entries of a kernel */
} compilation;

static void *compile(void *self) {
    compilation *c = self;
    vj_arena *arena = vj_arena_new();
    const vj_pipeline_options options = {.target = vj_target_by_name("x86-64-v3"), .pass_limit = -1};
    const vj_codegen_options codegen = {.target = options.target, .kind = VJ_EMIT_OBJECT, .threads = 1};
    vj_report report = {.arena = arena};
    const char *rest;
    vj_program *p;
    vj_bytes code = {0};
    uint64_t entry;
    vj_codegen_stats stats;
    vj_func *f = vj_parse(arena, c->text, ".", &rest, &c->error);
    if (f && vj_run_passes(arena, f, &options, &report, &p, &c->error) == VJ_OK) {
        for (int32_t i = 0; i < p->kernel_count; i++)
            if (p->kernels[i]->expr_count > c->largest) c->largest = p->kernels[i]->expr_count;
        vj_generate_code(p, &codegen, &code, &entry, &stats, &c->error);
    }
    vj_bytes_free(&code);
    vj_arena_free(arena);
    return NULL;
}

/* A stack that is too small ends the process. */
static void a_small_stack_is_enough(void **state) {
    (void)state;
    for (size_t i = 0; i < CHAINS; i++) {
        vj_arena *arena = vj_arena_new();
        compilation c = {.text = text_of(arena, &chains[i], NODES)};
        pthread_attr_t attributes;
        pthread_t thread;
        print_message("%s\n", chains[i].name);
        assert_int_equal(pthread_attr_init(&attributes), 0);
        assert_int_equal(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
        assert_int_equal(pthread_create(&thread, &attributes, compile, &c), 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        if (c.error.status != VJ_OK) fail_msg("%s: %s", chains[i].name, c.error.text);
        assert_true(c.largest <= 2 * VJ_MOST_ENTRIES);
        vj_arena_free(arena);
    }
}

/* Long enough for several kernels, and short enough for numbers that say something. */
static void cut_chains_compute_the_same(void **state) {
    (void)state;
    static const chain cut = {"cut", VECTOR, "%$0 = sigmoid %$1 : f32[4,16]\n", RESULT};
    static const chain sums = {"sums", VECTOR, "%s$0 = tanh %$1 : f32[4,16]\n%$0 = sub %s$0, %$2 : f32[4,16]\n",
                               RESULT};
    const chain *all[] = {&cut, &sums, &chains[CHAINS - 1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        vj_arena *arena = vj_arena_new();
        const vj_program *p = check_text(arena, text_of(arena, all[i], 40));
        assert_non_null(p);
        vj_arena_free(arena);
    }
    vj_arena *arena = vj_arena_new();
    const vj_program *p = check_text(arena, text_of(arena, &cut, 5 * VJ_MOST_ENTRIES));
    assert_true(p->kernel_count >= 5);
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cut_chains_compute_the_same),
                                       cmocka_unit_test(a_small_stack_is_enough)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
