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
     "  @w = const seed(1) : f32[7,9]\n"
     "  @b = const seed(2) : f32[9]\n"
     "  %1 = linear %x, @w, @b : f32[N,5,9]\n"
     "  return %1\n"
     "}\n"},
    {"gelu and residual go into the product", 1,
     "func @m(%x: f32[N,5,7]) -> f32[N,5,7] {\n"
     "  @w = const seed(1) : f32[7,7]\n"
     "  @b = const seed(2) : f32[7]\n"
     "  %1 = linear %x, @w, @b : f32[N,5,7]\n"
     "  %2 = gelu %1 form=erf : f32[N,5,7]\n"
     "  %3 = add %x, %2 : f32[N,5,7]\n"
     "  return %3\n"
     "}\n"},
    {"qkv and attention", 3,
     "func @m(%x: f32[N,5,12]) -> f32[N,5,12] {\n"
     "  @w = const seed(1) : f32[12,36]\n"
     "  @b = const seed(2) : f32[36]\n"
     "  @p = const seed(3) : f32[12,12]\n"
     "  %1 = linear %x, @w, @b : f32[N,5,36]\n"
     "  %2 = reshape %1 dims=[N,5,3,3,4] : f32[N,5,3,3,4]\n"
     "  %3 = transpose %2 perm=[2,0,3,1,4] : f32[3,N,3,5,4]\n"
     "  %4 = slice %3 starts=[0,0,0,0,0] sizes=[1,N,3,5,4] steps=[1,1,1,1,1] : f32[1,N,3,5,4]\n"
     "  %5 = slice %3 starts=[1,0,0,0,0] sizes=[1,N,3,5,4] steps=[1,1,1,1,1] : f32[1,N,3,5,4]\n"
     "  %6 = slice %3 starts=[2,0,0,0,0] sizes=[1,N,3,5,4] steps=[1,1,1,1,1] : f32[1,N,3,5,4]\n"
     "  %7 = reshape %4 dims=[N,3,5,4] : f32[N,3,5,4]\n"
     "  %8 = reshape %5 dims=[N,3,5,4] : f32[N,3,5,4]\n"
     "  %9 = reshape %6 dims=[N,3,5,4] : f32[N,3,5,4]\n"
     "  %10 = attention %7, %8, %9 scale=0.5 : f32[N,3,5,4]\n"
     "  %11 = transpose %10 perm=[0,2,1,3] : f32[N,5,3,4]\n"
     "  %12 = reshape %11 dims=[N,5,12] : f32[N,5,12]\n"
     "  %13 = linear %12, @p : f32[N,5,12]\n"
     "  %14 = add %x, %13 : f32[N,5,12]\n"
     "  return %14\n"
     "}\n"},
    {"attention of three products with a bias", 5,
     "func @m(%x: f32[N,5,12], %m: f32[3,5,5]) -> f32[N,5,12] {\n"
     "  @q = const seed(1) : f32[12,12]\n"
     "  @k = const seed(2) : f32[12,12]\n"
     "  @v = const seed(3) : f32[12,12]\n"
     "  %1 = linear %x, @q : f32[N,5,12]\n"
     "  %2 = linear %x, @k : f32[N,5,12]\n"
     "  %3 = linear %x, @v : f32[N,5,12]\n"
     "  %4 = reshape %1 dims=[N,5,3,4] : f32[N,5,3,4]\n"
     "  %5 = reshape %2 dims=[N,5,3,4] : f32[N,5,3,4]\n"
     "  %6 = reshape %3 dims=[N,5,3,4] : f32[N,5,3,4]\n"
     "  %7 = transpose %4 perm=[0,2,1,3] : f32[N,3,5,4]\n"
     "  %8 = transpose %5 perm=[0,2,1,3] : f32[N,3,5,4]\n"
     "  %9 = transpose %6 perm=[0,2,1,3] : f32[N,3,5,4]\n"
     "  %10 = attention %7, %8, %9, %m scale=0.5 : f32[N,3,5,4]\n"
     "  %11 = transpose %10 perm=[0,2,1,3] : f32[N,5,3,4]\n"
     "  %12 = reshape %11 dims=[N,5,12] : f32[N,5,12]\n"
     "  %13 = softmax %12 axis=1 : f32[N,5,12]\n"
     "  return %13\n"
     "}\n"},
    {"patches behind a class token, with positions", 3,
     "func @m(%x: f32[N,3,8,8]) -> f32[N,5,6] {\n"
     "  @w = const seed(1) : f32[6,3,4,4]\n"
     "  @b = const seed(2) : f32[6]\n"
     "  @c = const seed(3) : f32[1,1,6]\n"
     "  @p = const seed(4) : f32[1,5,6]\n"
     "  @g = const seed(5) : f32[6]\n"
     "  %1 = conv %x, @w, @b low=[0,0] high=[0,0] stride=[4,4] dilation=[1,1] groups=1 : f32[N,6,2,2]\n"
     "  %2 = reshape %1 dims=[N,6,4] : f32[N,6,4]\n"
     "  %3 = transpose %2 perm=[0,2,1] : f32[N,4,6]\n"
     "  %4 = broadcast @c dims=[N,1,6] : f32[N,1,6]\n"
     "  %5 = concat %4, %3 axis=1 : f32[N,5,6]\n"
     "  %6 = add %5, @p : f32[N,5,6]\n"
     "  %7 = layernorm %6, @g axis=2 eps=1e-6 : f32[N,5,6]\n"
     "  return %7\n"
     "}\n"},
    {"padded, strided and dilated windows", 2,
     "func @m(%x: f32[2,3,7,9]) -> f32[2,4,3,8] {\n"
     "  @w = const seed(1) : f32[4,3,3,2]\n"
     "  %1 = conv %x, @w low=[1,0] high=[1,1] stride=[3,1] dilation=[1,2] groups=1 : f32[2,4,3,8]\n"
     "  %2 = relu %1 : f32[2,4,3,8]\n"
     "  return %2\n"
     "}\n"},
    {"groups", 2,
     "func @m(%x: f32[N,4,5,5]) -> f32[N,8,5,5] {\n"
     "  @w = const seed(1) : f32[8,2,3,3]\n"
     "  @b = const seed(2) : f32[8]\n"
     "  %1 = conv %x, @w, @b low=[1,1] high=[1,1] stride=[1,1] dilation=[1,1] groups=2 : f32[N,8,5,5]\n"
     "  return %1\n"
     "}\n"},
    {"activations by activations", -1,
     "func @m(%x: f32[N,2,5,3], %y: f32[N,2,7,3]) -> f32[N,2,5,7], f32[N,2,7,7] {\n"
     "  %1 = transpose %y perm=[0,1,3,2] : f32[N,2,3,7]\n"
     "  %2 = matmul %x, %1 : f32[N,2,5,7]\n"
     "  %3 = softmax %2 axis=3 : f32[N,2,5,7]\n"
     "  %4 = transpose %3 perm=[0,1,3,2] : f32[N,2,7,5]\n"
     "  %5 = matmul %4, %2 : f32[N,2,7,7]\n"
     "  return %3, %5\n"
     "}\n"},
    {"a constant on the left", 1,
     "func @m(%x: f32[N,5,7]) -> f32[N,4,7] {\n"
     "  @w = const seed(1) : f32[4,5]\n"
     "  %1 = matmul @w, %x : f32[N,4,7]\n"
     "  return %1\n"
     "}\n"},
    {"vectors", 2,
     "func @m(%x: f32[N,5,7]) -> f32[N,5], f32[N,7] {\n"
     "  @w = const seed(1) : f32[7]\n"
     "  @v = const seed(2) : f32[5]\n"
     "  %1 = matmul %x, @w : f32[N,5]\n"
     "  %2 = matmul @v, %x : f32[N,7]\n"
     "  return %1, %2\n"
     "}\n"},
    {"reductions over other axes", 4,
     "func @m(%x: f32[N,5,7,3]) -> f32[N,7], f32[N,1,7,3], f32[N,5,7,3] {\n"
     "  %1 = reduce %x kind=mean axes=[1,3] keep=0 : f32[N,7]\n"
     "  %2 = reduce %x kind=max axes=[1] keep=1 : f32[N,1,7,3]\n"
     "  %3 = exp %x : f32[N,5,7,3]\n"
     "  %4 = softmax %3 axis=2 : f32[N,5,7,3]\n"
     "  return %1, %2, %4\n"
     "}\n"},
    {"outputs that are inputs, views, twice the same", -1,
     "func @m(%x: f32[N,4,6]) -> f32[N,4,6], f32[N,24], f32[N,6,4], f32[N,4,6], f32[N,4,6] {\n"
     "  %1 = reshape %x dims=[N,24] : f32[N,24]\n"
     "  %2 = transpose %x perm=[0,2,1] : f32[N,6,4]\n"
     "  %3 = neg %x : f32[N,4,6]\n"
     "  return %x, %1, %2, %3, %3\n"
     "}\n"},
    {"movement that needs a copy", -1,
     "func @m(%x: f32[6,4]) -> f32[8,3], f32[3,8] {\n"
     "  %1 = transpose %x perm=[1,0] : f32[4,6]\n"
     "  %2 = reshape %1 dims=[8,3] : f32[8,3]\n"
     "  %3 = transpose %2 perm=[1,0] : f32[3,8]\n"
     "  %4 = reshape %3 dims=[4,6] : f32[4,6]\n"
     "  %5 = exp %4 : f32[4,6]\n"
     "  %6 = reshape %5 dims=[3,8] : f32[3,8]\n"
     "  %7 = add %2, %2 : f32[8,3]\n"
     "  return %7, %6\n"
     "}\n"},
    {"padding and unequal pieces", -1,
     "func @m(%x: f32[N,5,7]) -> f32[N,8,7], f32[N,5,2] {\n"
     "  @w = const seed(1) : f32[7,7]\n"
     "  %1 = linear %x, @w : f32[N,5,7]\n"
     "  %2 = pad %1 low=[0,2,0] high=[0,1,0] mode=constant value=0.5 : f32[N,8,7]\n"
     "  %3 = slice %1 starts=[0,0,0] sizes=[N,5,2] steps=[1,1,1] : f32[N,5,2]\n"
     "  %4 = slice %1 starts=[0,0,2] sizes=[N,5,2] steps=[1,1,2] : f32[N,5,2]\n"
     "  %5 = mul %3, %4 : f32[N,5,2]\n"
     "  return %2, %5\n"
     "}\n"},
    {"one value twice in a concat, and an elementwise part", -1,
     "func @m(%x: f32[N,5,7]) -> f32[N,20,7] {\n"
     "  @w = const seed(1) : f32[7,7]\n"
     "  %1 = linear %x, @w : f32[N,5,7]\n"
     "  %2 = exp %x : f32[N,5,7]\n"
     "  %3 = concat %1, %x, %1, %2 axis=1 : f32[N,20,7]\n"
     "  %4 = neg %3 : f32[N,20,7]\n"
     "  return %4\n"
     "}\n"},
    {"pooling", -1,
     "func @m(%x: f32[N,3,7,7]) -> f32[N,3,3,3], f32[N,3,4,4] {\n"
     "  %1 = pool %x kind=mean kernel=[3,3] stride=[2,2] dilation=[1,1] low=[0,0] high=[0,0] : f32[N,3,3,3]\n"
     "  %2 = pool %x kind=max kernel=[3,3] stride=[2,2] dilation=[1,1] low=[1,1] high=[1,1] : f32[N,3,4,4]\n"
     "  return %1, %2\n"
     "}\n"},
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
