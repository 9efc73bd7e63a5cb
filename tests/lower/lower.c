/* SPDX-License-Identifier: Apache-2.0 */
/* lower.c - lowers small functions, one for each case of lowering. The programs must compute what the functions do,
 * with the expected number of kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "run.h"

/* ViT-B/16 at 224 x 224, as the recognition passes leave it. */
static char *vit_text(vj_arena *arena) {
    vj_text t = {.arena = arena};
    vj_text_add(&t, "func @vit(%%x: f32[N,3,224,224]) -> f32[N,1000] {\n"
                    "@pw = const seed(1) : f32[768,3,16,16]\n@pb = const seed(2) : f32[768]\n"
                    "@cls = const seed(3) : f32[1,1,768]\n@pos = const seed(4) : f32[1,197,768]\n"
                    "@qw = const seed(5) : f32[768,2304]\n@qb = const seed(6) : f32[2304]\n"
                    "@ow = const seed(7) : f32[768,768]\n@ob = const seed(8) : f32[768]\n"
                    "@fw = const seed(9) : f32[768,3072]\n@fb = const seed(10) : f32[3072]\n"
                    "@gw = const seed(11) : f32[3072,768]\n@hw = const seed(12) : f32[768,1000]\n"
                    "%%p0 = conv %%x, @pw, @pb low=[0,0] high=[0,0] stride=[16,16] dilation=[1,1] groups=1 : "
                    "f32[N,768,14,14]\n"
                    "%%p1 = reshape %%p0 dims=[N,768,196] : f32[N,768,196]\n"
                    "%%p2 = transpose %%p1 perm=[0,2,1] : f32[N,196,768]\n"
                    "%%p3 = broadcast @cls dims=[N,1,768] : f32[N,1,768]\n"
                    "%%p4 = concat %%p3, %%p2 axis=1 : f32[N,197,768]\n"
                    "%%z0 = add %%p4, @pos : f32[N,197,768]\n");
    for (int i = 0; i < 12; i++) {
        vj_text_add(&t, "%%n%d = layernorm %%z%d axis=2 eps=1e-6 : f32[N,197,768]\n", i, i);
        vj_text_add(&t, "%%q%d = linear %%n%d, @qw, @qb : f32[N,197,2304]\n", i, i);
        vj_text_add(&t, "%%r%d = reshape %%q%d dims=[N,197,3,12,64] : f32[N,197,3,12,64]\n", i, i);
        vj_text_add(&t, "%%s%d = transpose %%r%d perm=[2,0,3,1,4] : f32[3,N,12,197,64]\n", i, i);
        for (int s = 0; s < 3; s++) {
            vj_text_add(&t, "%%t%d_%d = slice %%s%d starts=[%d,0,0,0,0] sizes=[1,N,12,197,64] steps=[1,1,1,1,1] : ", i,
                        s, i, s);
            vj_text_add(&t, "f32[1,N,12,197,64]\n%%u%d_%d = reshape %%t%d_%d dims=[N,12,197,64] : f32[N,12,197,64]\n",
                        i, s, i, s);
        }
        vj_text_add(&t, "%%a%d = attention %%u%d_0, %%u%d_1, %%u%d_2 scale=0.125 : f32[N,12,197,64]\n", i, i, i, i);
        vj_text_add(&t, "%%b%d = transpose %%a%d perm=[0,2,1,3] : f32[N,197,12,64]\n", i, i);
        vj_text_add(&t, "%%c%d = reshape %%b%d dims=[N,197,768] : f32[N,197,768]\n", i, i);
        vj_text_add(&t, "%%o%d = linear %%c%d, @ow, @ob : f32[N,197,768]\n", i, i);
        vj_text_add(&t, "%%y%d = add %%z%d, %%o%d : f32[N,197,768]\n", i, i, i);
        vj_text_add(&t, "%%m%d = layernorm %%y%d axis=2 eps=1e-6 : f32[N,197,768]\n", i, i);
        vj_text_add(&t, "%%f%d = linear %%m%d, @fw, @fb : f32[N,197,3072]\n", i, i);
        vj_text_add(&t, "%%g%d = gelu %%f%d form=erf : f32[N,197,3072]\n", i, i);
        vj_text_add(&t, "%%h%d = linear %%g%d, @gw, @ob : f32[N,197,768]\n", i, i);
        vj_text_add(&t, "%%z%d = add %%y%d, %%h%d : f32[N,197,768]\n", i + 1, i, i);
    }
    vj_text_add(&t, "%%e0 = layernorm %%z12 axis=2 eps=1e-6 : f32[N,197,768]\n"
                    "%%e1 = slice %%e0 starts=[0,0,0] sizes=[N,1,768] steps=[1,1,1] : f32[N,1,768]\n"
                    "%%e2 = reshape %%e1 dims=[N,768] : f32[N,768]\n"
                    "%%e3 = linear %%e2, @hw : f32[N,1000]\nreturn %%e3\n}\n");
    return t.at;
}

/* The budget of the memory planner, from the sizes of the buffers: y and m of 197 rows of 784, f of 197 rows of 3088.
 */
static void vit_stays_in_its_budget(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    const char *rest;
    vj_func *f = vj_parse(arena, vit_text(arena), ".", &rest, &error);
    const vj_program *p = f ? lower_function(arena, f, &error) : NULL;
    if (!p) fail_msg("%s", error.text);
    print_message("ViT-B/16: %d kernels, %d phases, %lld bytes, lower bound %lld\n", (int)p->kernel_count,
                  (int)p->phase_count, (long long)p->per_image_bytes, (long long)p->lower_bound_bytes);
    if (getenv("VJ_DUMP")) vj_print_program(p, stdout);
    assert_int_equal(p->kernel_count, 88);
    assert_int_equal(p->lower_bound_bytes, 3668928);
    assert_int_equal(p->per_image_bytes, 3668928);
    vj_arena_free(arena);
}

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
    {"attention with a mask that puts a number", 2,
     "func @m(%x: f32[N,2,7,4], %keep: bool[N,1,1,7], %b: f32[7,7]) -> f32[N,2,7,4] {\n"
     "  @k = const seed(1) : f32[4,4]\n"
     "  %k = linear %x, @k : f32[N,2,7,4]\n"
     "  %y = attention %x, %k, %x, %b, %keep scale=0.5 value=-1 : f32[N,2,7,4]\n"
     "  return %y\n"
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
    {"halves of one product that meet: no segment reads another", 2,
     "func @m(%x: f32[N,5,8]) -> f32[N,5,6] {\n"
     "  @w = const seed(1) : f32[8,12]\n"
     "  %1 = linear %x, @w : f32[N,5,12]\n"
     "  %2 = slice %1 starts=[0,0,0] sizes=[N,5,6] steps=[1,1,1] : f32[N,5,6]\n"
     "  %3 = slice %1 starts=[0,0,6] sizes=[N,5,6] steps=[1,1,1] : f32[N,5,6]\n"
     "  %4 = sigmoid %2 : f32[N,5,6]\n"
     "  %5 = mul %2, %4 : f32[N,5,6]\n"
     "  %6 = mul %5, %3 : f32[N,5,6]\n"
     "  return %6\n"
     "}\n"},
    {"gathers: runs of indices, any order, a table of weights", -1,
     "func @m(%x: f32[N,7,8]) -> f32[N,2,5,8], f32[N,7,3], f32[N,3,8] {\n"
     "  @i = const [0,1,2,3,4,2,3,4,5,6] : i64[2,5]\n"
     "  %1 = gather %x, @i axis=1 : f32[N,2,5,8]\n"
     "  @j = const [5,5,1] : i64[3]\n"
     "  %2 = gather %x, @j axis=2 : f32[N,7,3]\n"
     "  @t = const seed(3) : f32[9,8]\n"
     "  @k = const [8,0,3] : i64[3]\n"
     "  %3 = gather @t, @k axis=0 : f32[3,8]\n"
     "  %4 = slice %x starts=[0,1,0] sizes=[N,3,8] steps=[1,2,1] : f32[N,3,8]\n"
     "  %5 = add %3, %4 : f32[N,3,8]\n"
     "  return %1, %2, %5\n"
     "}\n"},
    {"a gather by an index, negative and outside ones among them, with what comes behind it", 1,
     "func @m(%x: f32[N,7,8], %i: i64[2,5]) -> f32[N,2,5,8] {\n"
     "  @b = const seed(1) : f32[8]\n"
     "  %1 = gather %x, %i axis=1 : f32[N,2,5,8]\n"
     "  %2 = add %1, @b : f32[N,2,5,8]\n"
     "  return %2\n"
     "}\n"},
    {"a gather of a table by the batch's indices", 1,
     "func @m(%i: i32[N,5]) -> f32[N,5,3] {\n"
     "  @t = const seed(1) : f32[3,9]\n"
     "  %1 = gather @t, %i axis=1 : f32[3,N,5]\n"
     "  %2 = transpose %1 perm=[1,2,0] : f32[N,5,3]\n"
     "  return %2\n"
     "}\n"},
    {"an index for each row, computed on the way; data that stands transposed", 1,
     "func @m(%x: f32[N,8,7], %i: i64[N,5]) -> f32[N,5,8] {\n"
     "  @one = const [1] : i64[1]\n"
     "  %0 = transpose %x perm=[0,2,1] : f32[N,7,8]\n"
     "  %1 = reshape %i dims=[N,5,1] : i64[N,5,1]\n"
     "  %2 = broadcast %1 dims=[N,5,8] : i64[N,5,8]\n"
     "  %3 = sub %2, @one : i64[N,5,8]\n"
     "  %4 = gather_elements %0, %3 axis=1 : f32[N,5,8]\n"
     "  return %4\n"
     "}\n"},
    {"an index for each element, of another type; data that must be copied", -1,
     "func @m(%x: f32[4,6], %i: u8[3,9]) -> f32[3,9] {\n"
     "  %0 = transpose %x perm=[1,0] : f32[6,4]\n"
     "  %1 = reshape %0 dims=[3,8] : f32[3,8]\n"
     "  %2 = gather_elements %1, %i axis=1 : f32[3,9]\n"
     "  return %2\n"
     "}\n"},
    {"constant indices in no order, of computed data that is also an output", -1,
     "func @m(%x: f32[N,7,8]) -> f32[N,9,8], f32[N,7,8] {\n"
     "  @i = const [6,0,3,3,1,5,2,4,0] : i64[9]\n"
     "  %1 = exp %x : f32[N,7,8]\n"
     "  %2 = gather %1, @i axis=1 : f32[N,9,8]\n"
     "  return %2, %1\n"
     "}\n"},
    {"gathers that are weighed and added, in one kernel", 1,
     "func @m(%x: f32[N,9,8], %i: i32[N,5,1], %w: f32[N,5,1]) -> f32[N,5,8] {\n"
     "  %b = broadcast %i dims=[N,5,8] : i32[N,5,8]\n"
     "  %1 = slice %x starts=[0,0,0] sizes=[N,8,8] steps=[1,1,1] : f32[N,8,8]\n"
     "  %2 = slice %x starts=[0,1,0] sizes=[N,8,8] steps=[1,1,1] : f32[N,8,8]\n"
     "  %3 = gather_elements %1, %b axis=1 : f32[N,5,8]\n"
     "  %4 = gather_elements %2, %b axis=1 : f32[N,5,8]\n"
     "  %5 = gather_elements %x, %b axis=1 : f32[N,5,8]\n"
     "  %6 = mul %3, %w : f32[N,5,8]\n"
     "  %7 = mul %4, %w : f32[N,5,8]\n"
     "  %8 = add %6, %7 : f32[N,5,8]\n"
     "  %9 = sub %8, %5 : f32[N,5,8]\n"
     "  return %9\n"
     "}\n"},
    {"gathers that go on: of computed data by a computed index, behind reshapes, with other data between", -1,
     "func @m(%x: f32[N,6,8], %i: i64[5]) -> f32[N,40], f32[N,8,5] {\n"
     "  @one = const [1] : i64[1]\n"
     "  %e = exp %x : f32[N,6,8]\n"
     "  %j = sub %i, @one : i64[5]\n"
     "  %1 = gather %e, %j axis=1 : f32[N,5,8]\n"
     "  %2 = reshape %1 dims=[N,40] : f32[N,40]\n"
     "  %3 = neg %2 : f32[N,40]\n"
     "  %4 = gather %x, %i axis=1 : f32[N,5,8]\n"
     "  %5 = reshape %4 dims=[N,40] : f32[N,40]\n"
     "  %6 = abs %5 : f32[N,40]\n"
     "  %7 = add %3, %6 : f32[N,40]\n"
     "  %8 = transpose %e perm=[0,2,1] : f32[N,8,6]\n"
     "  %9 = gather %8, %j axis=2 : f32[N,8,5]\n"
     "  %10 = neg %9 : f32[N,8,5]\n"
     "  %11 = reshape %7 dims=[N,8,5] : f32[N,8,5]\n"
     "  %12 = mul %10, %11 : f32[N,8,5]\n"
     "  return %7, %12\n"
     "}\n"},
    {"a gather of a gather that goes on", -1,
     "func @m(%x: f32[7,8], %i: i64[6], %j: i64[4]) -> f32[4,8] {\n"
     "  %1 = gather %x, %i axis=0 : f32[6,8]\n"
     "  %2 = gather %1, %j axis=0 : f32[4,8]\n"
     "  %3 = neg %2 : f32[4,8]\n"
     "  %4 = slice %1 starts=[1,0] sizes=[4,8] steps=[1,1] : f32[4,8]\n"
     "  %5 = add %3, %4 : f32[4,8]\n"
     "  %6 = mul %5, %5 : f32[4,8]\n"
     "  return %6\n"
     "}\n"},
    {"an index into indices", -1,
     "func @m(%x: f32[N,7], %i: i64[5], %j: i64[4]) -> f32[N,4] {\n"
     "  %1 = gather %i, %j axis=0 : i64[4]\n"
     "  %2 = gather %x, %1 axis=1 : f32[N,4]\n"
     "  return %2\n"
     "}\n"},
    {"sorting: both results, only the indices, of a view, through a gather", -1,
     "func @m(%x: f32[N,9,4]) -> f32[N,3,4], i64[N,3,4], f32[N,9,4] {\n"
     "  %1, %2 = topk %x axis=1 k=3 largest=1 : f32[N,3,4], i64[N,3,4]\n"
     "  %3 = slice %x starts=[0,0,2] sizes=[N,9,1] steps=[1,1,1] : f32[N,9,1]\n"
     "  %4, %5 = topk %3 axis=1 k=9 largest=0 : f32[N,9,1], i64[N,9,1]\n"
     "  %6 = broadcast %5 dims=[N,9,4] : i64[N,9,4]\n"
     "  %7 = gather_elements %x, %6 axis=1 : f32[N,9,4]\n"
     "  return %1, %2, %7\n"
     "}\n"},
    {"sizes that the data decides, at their bounds", -1,
     "func @m(%x: f32[3,5], %i: i64[], %r: i64[7,2]) -> i64[2,15], i64[], i64[7], i64[7], i64[7], f32[15], f32[3,5] {\n"
     "  @z = const [0] : f32[]\n"
     "  %b = lt %x, @z : bool[3,5]\n"
     "  %p, %n = nonzero %b size=15 : i64[2,15], i64[]\n"
     "  @five = const [5] : i64[]\n"
     "  %1, %2, %3, %4 = unique %r, @five size=7 sorted=1 : i64[7], i64[7], i64[7], i64[]\n"
     "  @d = const [2,3] : i64[2]\n"
     "  %5 = pack %x, @d : f32[15]\n"
     "  %6 = unpack %5, @d dims=[3,5] : f32[3,5]\n"
     "  return %p, %n, %1, %2, %3, %5, %6\n"
     "}\n"},
    {"parts of a product that read the same value: neither takes its place", -1,
     "func @m(%x: f32[N,8], %y: f32[N,2]) -> f32[N,2], f32[N,2] {\n"
     "  @w = const seed(1) : f32[8,4]\n"
     "  %1 = linear %x, @w : f32[N,4]\n"
     "  %2 = slice %1 starts=[0,0] sizes=[N,2] steps=[1,1] : f32[N,2]\n"
     "  %3 = slice %1 starts=[0,2] sizes=[N,2] steps=[1,1] : f32[N,2]\n"
     "  @v = const seed(2) : f32[2,2]\n"
     "  %4 = linear %y, @v : f32[N,2]\n"
     "  %5 = mul %2, %4 : f32[N,2]\n"
     "  %6 = mul %3, %4 : f32[N,2]\n"
     "  %7 = linear %5, @v : f32[N,2]\n"
     "  %8 = linear %6, @v : f32[N,2]\n"
     "  return %7, %8\n"
     "}\n"},
    {"suppression of boxes", -1,
     "func @m(%x: f32[2,9,4], %s: f32[2,3,9]) -> i64[54,3], i64[], i64[12,3] {\n"
     "  @z = const [0] : f32[]\n"
     "  @t = const [0.1] : f32[]\n"
     "  @m = const [100] : i64[]\n"
     "  @two = const [2] : i64[]\n"
     "  @nine = const [9] : i64[]\n"
     "  %1, %2 = nms %x, %s, @m, @t, _, @nine size=54 center=0 : i64[54,3], i64[]\n"
     "  %3, %4 = nms %x, %s, @two, @t, @z, @nine size=12 center=1 : i64[12,3], i64[]\n"
     "  return %1, %2, %3\n"
     "}\n"},
    {"what routines compute: of views, into outputs and concats", -1,
     "func @m(%x: f32[N,3,5,4], %g: f32[N,2,3,2], %i: i64[N,3,2,4]) -> f32[N,3,7,4], f32[N,3,2,3], f32[N,5,12] {\n"
     "  %1 = slice %x starts=[0,0,1,0] sizes=[N,3,2,4] steps=[1,1,2,1] : f32[N,3,2,4]\n"
     "  %2 = scatter %x, %i, %1 axis=2 kind=sum : f32[N,3,5,4]\n"
     "  %3 = neg %1 : f32[N,3,2,4]\n"
     "  %4 = concat %2, %3 axis=2 : f32[N,3,7,4]\n"
     "  %5 = gridsample %x, %g mode=linear padding=border align=0 : f32[N,3,2,3]\n"
     "  %6 = transpose %x perm=[0,2,1,3] : f32[N,5,3,4]\n"
     "  %7 = scan %6 axis=1 kind=sum exclusive=0 reverse=0 : f32[N,5,3,4]\n"
     "  %8 = reshape %7 dims=[N,5,12] : f32[N,5,12]\n"
     "  return %4, %5, %8\n"
     "}\n"},
    {"regions, in every image", -1,
     "func @m(%x: f32[2,3,8,8], %r: f32[5,4], %b: i64[5]) -> f32[5,3,4] {\n"
     "  @eight = const [8.0] : f32[1]\n"
     "  %1 = mul %r, @eight : f32[5,4]\n"
     "  %2 = roialign %x, %1, %b kind=mean sizes=[2,2] samples=2 half_pixel=1 scale=1 : f32[5,3,2,2]\n"
     "  %3 = reshape %2 dims=[5,3,4] : f32[5,3,4]\n"
     "  return %3\n"
     "}\n"},
    {"pooling", -1,
     "func @m(%x: f32[N,3,7,7]) -> f32[N,3,3,3], f32[N,3,4,4] {\n"
     "  %1 = pool %x kind=mean kernel=[3,3] stride=[2,2] dilation=[1,1] low=[0,0] high=[0,0] : f32[N,3,3,3]\n"
     "  %2 = pool %x kind=max kernel=[3,3] stride=[2,2] dilation=[1,1] low=[1,1] high=[1,1] : f32[N,3,4,4]\n"
     "  return %1, %2\n"
     "}\n"},
    {"pictures that stand channels last: products, pools, padding, one filter a channel", 8,
     "func @m(%x: f32[N,3,9,7]) -> f32[N,20,3,2] {\n"
     "  @w = const seed(1) : f32[20,3,3,3]\n"
     "  @b = const seed(2) : f32[20]\n"
     "  @d = const seed(3) : f32[20,1,3,3]\n"
     "  @e = const seed(4) : f32[20,20,1,1]\n"
     "  %1 = conv %x, @w, @b low=[1,1] high=[1,1] stride=[1,1] dilation=[1,1] groups=1 : f32[N,20,9,7]\n"
     "  %2 = relu %1 : f32[N,20,9,7]\n"
     "  %3 = conv %2, @d, @b low=[1,1] high=[1,1] stride=[1,1] dilation=[1,1] groups=20 : f32[N,20,9,7]\n"
     "  %4 = conv %3, @e low=[0,0] high=[0,0] stride=[1,1] dilation=[1,1] groups=1 : f32[N,20,9,7]\n"
     "  %5 = add %2, %4 : f32[N,20,9,7]\n"
     "  %6 = pool %5 kind=max kernel=[3,3] stride=[2,2] dilation=[1,1] low=[1,1] high=[1,1] : f32[N,20,5,4]\n"
     "  %7 = pool %6 kind=mean kernel=[3,3] stride=[1,1] dilation=[1,1] low=[0,0] high=[0,0] : f32[N,20,3,2]\n"
     "  return %7\n"
     "}\n"},
    {"a filter a channel that makes several", 2,
     "func @m(%x: f32[N,5,5,4]) -> f32[N,15,4,2] {\n"
     "  @w = const seed(1) : f32[15,1,2,3]\n"
     "  @b = const seed(2) : f32[15]\n"
     "  %1 = conv %x, @w, @b low=[0,1] high=[0,0] stride=[1,2] dilation=[1,1] groups=5 : f32[N,15,4,2]\n"
     "  return %1\n"
     "}\n"},
    {"group normalisation wants rows of pixels", -1,
     "func @m(%x: f32[N,3,9,7]) -> f32[N,20,9,7] {\n"
     "  @w = const seed(1) : f32[20,3,3,3]\n"
     "  @d = const seed(3) : f32[20,20,3,3]\n"
     "  %1 = conv %x, @w low=[1,1] high=[1,1] stride=[1,1] dilation=[1,1] groups=1 : f32[N,20,9,7]\n"
     "  %2 = reshape %1 dims=[N,5,252] : f32[N,5,252]\n"
     "  %3 = layernorm %2 axis=2 eps=1e-5 : f32[N,5,252]\n"
     "  %4 = reshape %3 dims=[N,20,9,7] : f32[N,20,9,7]\n"
     "  %5 = conv %4, @d low=[1,1] high=[1,1] stride=[1,1] dilation=[1,1] groups=1 : f32[N,20,9,7]\n"
     "  return %5\n"
     "}\n"},
    {"an enlarged map whose channels are adjacent: they are the inner rows", 1,
     "func @m(%x: f32[N,6,5,20]) -> f32[N,6,9,20] {\n"
     "  @w = const seed(1) : f32[5,9]\n"
     "  %1 = transpose %x perm=[0,3,1,2] : f32[N,20,6,5]\n"
     "  %2 = linear %1, @w : f32[N,20,6,9]\n"
     "  %3 = transpose %2 perm=[0,2,3,1] : f32[N,6,9,20]\n"
     "  return %3\n"
     "}\n"},
    {"a line, channels last, flattened behind", -1,
     "func @m(%x: f32[N,16,10]) -> f32[N,24,5], f32[N,120] {\n"
     "  @w = const seed(1) : f32[24,16,3]\n"
     "  %1 = conv %x, @w low=[1] high=[1] stride=[2] dilation=[1] groups=1 : f32[N,24,5]\n"
     "  %2 = sigmoid %1 : f32[N,24,5]\n"
     "  %3 = concat %1, %2 axis=1 : f32[N,48,5]\n"
     "  @v = const seed(2) : f32[24,48,1]\n"
     "  %4 = conv %3, @v low=[0] high=[0] stride=[1] dilation=[1] groups=1 : f32[N,24,5]\n"
     "  %5 = reshape %2 dims=[N,120] : f32[N,120]\n"
     "  return %4, %5\n"
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_examples), cmocka_unit_test(random_graphs),
                                       cmocka_unit_test(random_graphs_in_bf16),
                                       cmocka_unit_test(vit_stays_in_its_budget)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
