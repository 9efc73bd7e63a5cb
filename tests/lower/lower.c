/* lower.c - small functions of every shape of lowering: the programs compute what the functions do, with as many
 * kernels as expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run.h"

typedef struct example {
    const char *name;
    int32_t kernels; /* how many are right; -1: any number */
    const char *text;
} example;

static const example examples[] = {
    {"linear", 1,
     "func @m(%x: f32[N,5,7]) -> f32[N,5,9] {\n"
     "  @w = const seed(1) : f32[7,9]\n  @b = const seed(2) : f32[9]\n"
     "  %1 = linear %x, @w, @b : f32[N,5,9]\n  return %1\n}\n"},
};

static void run_examples(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        vj_arena *arena = vj_arena_new();
        const vj_program *p = check_text(arena, examples[i].text);
        if (examples[i].kernels >= 0 && p->kernel_count != examples[i].kernels) {
            vj_print_program(p, stderr);
            fail_msg("%s: %d kernels, not %d", examples[i].name, (int)p->kernel_count, (int)examples[i].kernels);
        }
        assert_true(p->per_image_bytes >= p->lower_bound_bytes);
        vj_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_examples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
