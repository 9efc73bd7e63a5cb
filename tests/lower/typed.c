/* SPDX-License-Identifier: Apache-2.0 */
/* typed.c - products of narrow factors: which types the kernels read, and that they compute what the functions say. Weights
 * are made of numbers that their types hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "run.h"

static const vj_kernel *only_kernel(const vj_program *p, vj_kernel_kind kind) {
    const vj_kernel *found = NULL;
    for (int32_t i = 0; i < p->kernel_count; i++) {
        if (p->kernels[i]->kind != kind) continue;
        assert_null(found);
        found = p->kernels[i];
    }
    assert_non_null(found);
    return found;
}

static vj_dtype type_of(const vj_program *p, const vj_kernel *k, int32_t access) {
    return p->buffers[k->access[access].buffer].dtype;
}

/* The one gemm of a function reads factors of these types, and there are so many kernels. */
static void expect_factors(const char *text, vj_dtype a, vj_dtype b, int32_t kernels) {
    vj_arena *arena = vj_arena_new();
    const vj_program *p = check_text(arena, text);
    const vj_kernel *k = only_kernel(p, VJ_KERNEL_GEMM);
    assert_int_equal(type_of(p, k, k->a), a);
    assert_int_equal(type_of(p, k, k->b), b);
    assert_int_equal(p->kernel_count, kernels);
    vj_arena_free(arena);
}

static void linear_of_two_types(void **state) {
    (void)state;
    expect_factors("func @f(%x: f32[N,5,32]) -> f32[N,5,20] {\n@w = const seed(1) : bf16[32,20]\n"
                   "@b = const seed(2) : f32[20]\n%y = linear %x, @w, @b : f32[N,5,20]\nreturn %y\n}\n",
                   VJ_F32, VJ_BF16, 1);
    expect_factors("func @f(%x: f32[N,5,32]) -> f32[N,5,20] {\n@w = const seed(1) : f16[20,32]\n"
                   "%t = transpose @w perm=[1,0] : f16[32,20]\n%y = linear %x, %t : f32[N,5,20]\nreturn %y\n}\n",
                   VJ_F32, VJ_F16, 1);
    expect_factors("func @f(%x: bf16[N,5,32]) -> f32[N,5,20] {\n@w = const seed(1) : bf16[32,20]\n"
                   "%y = linear %x, @w : f32[N,5,20]\nreturn %y\n}\n",
                   VJ_BF16, VJ_BF16, 1);
}

/* Bytes with scales stay so, of either factor's type; scales of a depth that change within 16 do not, nor zero points between numbers. */
static void linear_of_blocks(void **state) {
    (void)state;
    static const struct {
        const char *rows, *scales, *zeros;
        vj_dtype packed;
    } cases[] = {
        {"3,16", "seed(2) : f16[20,3,1]", "[3] : f32[1]", VJ_U8},
        {"3,16", "seed(2) : f16[20,1,1]", "[3] : f32[1]", VJ_U8},
        {"6,8", "seed(2) : f16[20,6,1]", "[3] : f32[1]", VJ_F32},
        {"3,16", "seed(2) : f16[20,3,1]", "[2.5] : f32[1]", VJ_F32},
        {"3,16", "seed(2) : f16[20,3,1]", "[256] : f32[1]", VJ_F32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        const char *rows = cases[i].rows;
        snprintf(
            text, sizeof text,
            "func @f(%%x: f32[N,5,48]) -> f32[N,5,20] {\n@q = const seed(1) : u8[20,%s]\n@h = const %s\n"
            "@z = const %s\n%%s = cast @h to=f32\n%%q = cast @q to=f32\n%%zb = broadcast @z dims=[20,%s]\n"
            "%%sb = broadcast %%s dims=[20,%s]\n%%d = sub %%q, %%zb\n%%m = mul %%d, %%sb\n"
            "%%r = reshape %%m dims=[20,48]\n%%t = transpose %%r perm=[1,0]\n%%y = linear %%x, %%t\nreturn %%y\n}\n",
            rows, cases[i].scales, cases[i].zeros, rows, rows);
        expect_factors(text, VJ_F32, cases[i].packed, 1);
    }
}

/* A weight of places in a table with a scale for each `block` of elements, a row behind the other. */
static const char *looked_up(vj_arena *arena, int32_t depth, int32_t columns, int32_t block) {
    const int32_t count = depth * columns, groups = count / block;
    return vj_sprintf(
        arena,
        "func @f(%%x: f32[N,5,%d]) -> f32[N,5,%d] {\n"
        "@t = const [-1,-0.75,-0.5,0,0.25,0.75,-0.0,2] : f32[8]\n"
        "@q = const seed(1) : u8[%d]\n@h = const seed(2) : f16[%d,1]\n%%h = cast @h to=f32\n%%q = gather @t, @q "
        "axis=0\n"
        "%%sb = broadcast %%h dims=[%d,%d]\n%%s = reshape %%sb dims=[%d]\n%%m = mul %%q, %%s\n"
        "%%r = reshape %%m dims=[%d,%d]\n%%w = transpose %%r perm=[1,0]\n%%y = linear %%x, %%w\nreturn %%y\n}\n",
        depth, columns, count, groups, groups, block, count, columns, depth);
}

static void linear_of_places_in_a_table(void **state) {
    (void)state;
    static const struct {
        int32_t depth, columns, block, packed_block; /* 0: as floats */
    } cases[] = {
        {256, 96, 64, 64}, {32, 6, 64, 32}, {48, 8, 32, 16}, {40, 8, 64, 0}, {30, 8, 16, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_arena *arena = vj_arena_new();
        const int32_t depth = cases[i].depth, columns = cases[i].columns;
        const vj_program *p = check_text(arena, looked_up(arena, depth, columns, cases[i].block));
        const vj_kernel *k = only_kernel(p, VJ_KERNEL_GEMM);
        const vj_buffer *b = &p->buffers[k->access[k->b].buffer];
        const vj_weight *w = &p->weights[b->index];
        assert_int_equal(b->dtype, cases[i].packed_block ? VJ_U8 : VJ_F32);
        assert_int_equal(w->kind == VJ_PACK_BLOCKS && w->table, cases[i].packed_block != 0);
        assert_int_equal(w->block, cases[i].packed_block);
        if (cases[i].packed_block == 64) assert_true((double)b->elements <= 0.15 * 4 * depth * columns);
        vj_arena_free(arena);
    }
}

/* Weights that are moved each by itself and joined, whose numbers are integers, or places in a table. */
static void linear_of_joined_blocks(void **state) {
    (void)state;
    static const char *const numbers[][3] = {
        {"%a = cast @p to=f32\n%b = cast @q to=f32\n", "%zb = broadcast @z dims=[32,40]\n%d = sub %j, %zb\n", "%d"},
        {"%a = gather @t, @p axis=0\n%b = gather @t, @q axis=0\n", "", "%j"}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[1024];
        snprintf(
            text, sizeof text,
            "func @f(%%x: f32[N,5,32]) -> f32[N,5,40] {\n@p = const seed(1) : u8[20,32]\n@q = const seed(3) : "
            "u8[20,32]\n"
            "@t = const [-1,0.25,0,3.5,7,-0.0,2,3] : f32[8]\n@h = const seed(2) : f16[20,1]\n@z = const [3] : f32[]\n%s"
            "%%at = transpose %%a perm=[1,0]\n%%bt = transpose %%b perm=[1,0]\n%%j = concat %%at, %%bt axis=1\n"
            "%%h = cast @h to=f32\n%%sb = broadcast %%h dims=[20,32]\n%%st = transpose %%sb perm=[1,0]\n%%sj = concat "
            "%%st, %%st axis=1\n%s"
            "%%w = mul %s, %%sj\n%%y = linear %%x, %%w\nreturn %%y\n}\n",
            numbers[i][0], numbers[i][1], numbers[i][2]);
        expect_factors(text, VJ_F32, VJ_U8, 1);
    }
}

/* The kernel before writes bf16: a cast is no kernel. */
static void cast_in_epilogue(void **state) {
    (void)state;
    expect_factors("func @f(%x: f32[N,5,32]) -> f32[N,5,20] {\n@w = const seed(1) : bf16[32,20]\n"
                   "%n = layernorm %x axis=2 eps=1e-6 : f32[N,5,32]\n%c = cast %n to=bf16 : bf16[N,5,32]\n"
                   "%y = linear %c, @w : f32[N,5,20]\nreturn %y\n}\n",
                   VJ_BF16, VJ_BF16, 2);
}

/* A value that is read in f32 too is written twice. */
static void written_twice(void **state) {
    (void)state;
    expect_factors("func @f(%x: f32[N,5,32]) -> f32[N,5,32] {\n@w = const seed(1) : bf16[32,32]\n"
                   "%n = layernorm %x axis=2 eps=1e-6 : f32[N,5,32]\n%c = cast %n to=bf16 : bf16[N,5,32]\n"
                   "%y = linear %c, @w : f32[N,5,32]\n%z = add %y, %n : f32[N,5,32]\nreturn %z\n}\n",
                   VJ_BF16, VJ_BF16, 2);
    expect_factors("func @f(%x: f32[N,5,32]) -> f32[N,5,32], f32[N,5,20] {\n@w = const seed(1) : bf16[32,20]\n"
                   "%n = mul %x, %x : f32[N,5,32]\n%c = cast %n to=bf16 : bf16[N,5,32]\n"
                   "%r = reshape %c dims=[N,1,5,32] : bf16[N,1,5,32]\n%y = linear %r, @w : f32[N,1,5,20]\n"
                   "%z = reshape %y dims=[N,5,20] : f32[N,5,20]\nreturn %n, %z\n}\n",
                   VJ_BF16, VJ_BF16, 2);
}

/* A product stores one result after the other: the last one takes the place of what both are made of. */
static void sum_takes_its_operand_s_place(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    const vj_program *p =
        check_text(arena, "func @f(%x: bf16[N,5,32]) -> f32[N,5,20], f32[N,5,32] {\n@u = const seed(1) : bf16[32,32]\n"
                          "@v = const seed(2) : bf16[32,32]\n@w = const seed(3) : bf16[32,20]\n"
                          "%r = linear %x, @u : f32[N,5,32]\n%s = linear %x, @v : f32[N,5,32]\n"
                          "%t = add %r, %s : f32[N,5,32]\n%c = cast %t to=bf16 : bf16[N,5,32]\n"
                          "%y = linear %c, @w : f32[N,5,20]\n%z = layernorm %t axis=2 eps=1e-6 : f32[N,5,32]\n"
                          "return %y, %z\n}\n");
    const vj_kernel *k = p->kernels[1];
    assert_int_equal(k->kind, VJ_KERNEL_GEMM);
    assert_int_equal(k->out_count, 2);
    const vj_buffer *first = &p->buffers[k->access[k->out[0].access].buffer];
    const vj_buffer *last = &p->buffers[k->access[k->out[1].access].buffer];
    assert_int_equal(first->dtype, VJ_BF16);
    assert_int_equal(last->dtype, VJ_F32);
    for (int32_t a = 0; a < k->access_count; a++) {
        const vj_buffer *read = &p->buffers[k->access[a].buffer];
        if (vj_is_result(k, a) || read->kind != VJ_BUFFER_ARENA) continue;
        assert_int_equal(read->offset, last->offset);
        assert_int_not_equal(read->offset, first->offset);
    }
    vj_arena_free(arena);
}

/* No kernel reads activations in f16. */
static void half_activations(void **state) {
    (void)state;
    expect_factors("func @f(%x: f16[N,5,32]) -> f32[N,5,20] {\n@w = const seed(1) : bf16[32,20]\n"
                   "%y = linear %x, @w : f32[N,5,20]\nreturn %y\n}\n",
                   VJ_F32, VJ_BF16, 2);
    expect_factors("func @f(%x: f16[N,5,32], %z: bf16[N,32,7]) -> f32[N,5,7] {\n"
                   "%y = matmul %x, %z : f32[N,5,7]\nreturn %y\n}\n",
                   VJ_F32, VJ_F32, 3);
    expect_factors("func @f(%x: bf16[N,5,32], %z: bf16[N,32,7]) -> f32[N,5,7] {\n"
                   "%y = matmul %x, %z : f32[N,5,7]\nreturn %y\n}\n",
                   VJ_BF16, VJ_BF16, 1);
}

/* A weight on the left is packed too. */
static void weight_on_the_left(void **state) {
    (void)state;
    expect_factors("func @f(%x: f32[N,32,6]) -> f32[N,20,6] {\n@w = const seed(1) : f16[20,32]\n"
                   "%y = matmul @w, %x : f32[N,20,6]\nreturn %y\n}\n",
                   VJ_F32, VJ_F16, 1);
}

/* A in bf16 has adjacent elements of the depth: its producer writes it so, or a copy does. */
static void adjacent_depth(const char *text, int32_t kernels) {
    vj_arena *arena = vj_arena_new();
    const vj_program *p = check_text(arena, text);
    const vj_kernel *k = only_kernel(p, VJ_KERNEL_GEMM);
    const vj_axes depth = vj_group(k, VJ_GROUP_DEPTH);
    assert_int_equal(type_of(p, k, k->a), VJ_BF16);
    assert_int_equal(k->access[k->a].stride[depth.first + depth.count - 1], 1);
    assert_int_equal(p->kernel_count, kernels);
    vj_arena_free(arena);
}

static void depth_is_adjacent(void **state) {
    (void)state;
    adjacent_depth("func @f(%x: f32[N,32,6]) -> f32[N,20,6] {\n@w = const seed(1) : bf16[20,32]\n"
                   "%c = cast %x to=bf16 : bf16[N,32,6]\n%y = matmul @w, %c : f32[N,20,6]\nreturn %y\n}\n",
                   2);
    adjacent_depth("func @f(%x: bf16[N,32,6]) -> f32[N,20,6] {\n@w = const seed(1) : bf16[20,32]\n"
                   "%y = matmul @w, %x : f32[N,20,6]\nreturn %y\n}\n",
                   2);
    adjacent_depth("func @f(%x: bf16[N,32,6]) -> f32[N,6,20] {\n@w = const seed(1) : bf16[32,20]\n"
                   "%t = transpose %x perm=[0,2,1] : bf16[N,6,32]\n%y = linear %t, @w : f32[N,6,20]\nreturn %y\n}\n",
                   2);
    adjacent_depth("func @f(%x: bf16[N,32,7,7]) -> f32[N,20,7,7] {\n@w = const seed(1) : bf16[20,32,1,1]\n"
                   "%y = conv %x, @w low=[0,0] high=[0,0] stride=[1,1] dilation=[1,1] groups=1 : f32[N,20,7,7]\n"
                   "return %y\n}\n",
                   2);
    adjacent_depth("func @f(%x: f32[N,32,7,7]) -> f32[N,20,7,7] {\n@w = const seed(1) : bf16[20,32,3,3]\n"
                   "%c = cast %x to=bf16 : bf16[N,32,7,7]\n"
                   "%y = conv %c, @w low=[1,1] high=[1,1] stride=[1,1] dilation=[1,1] groups=1 : f32[N,20,7,7]\n"
                   "return %y\n}\n",
                   3);
}

/* Without pairs of the depth there is no product in bf16: of runs of five a copy makes one, windows of odd channels read f32. */
static void no_pairs(void **state) {
    (void)state;
    adjacent_depth("func @f(%x: bf16[N,4,6,5]) -> f32[N,6,8] {\n@w = const seed(1) : bf16[20,8]\n"
                   "%t = transpose %x perm=[0,2,1,3] : bf16[N,6,4,5]\n%r = reshape %t dims=[N,6,20] : bf16[N,6,20]\n"
                   "%y = linear %r, @w : f32[N,6,8]\nreturn %y\n}\n",
                   2);
    expect_factors("func @f(%x: bf16[N,17,5,5]) -> f32[N,8,3,3] {\n@w = const seed(1) : bf16[8,17,3,3]\n"
                   "%y = conv %x, @w low=[0,0] high=[0,0] stride=[1,1] dilation=[1,1] groups=1 : f32[N,8,3,3]\n"
                   "return %y\n}\n",
                   VJ_F32, VJ_F32, 2);
}

/* Windows of three pixels hold no pairs of the depth: the weight is packed as f32. */
static void odd_runs(void **state) {
    (void)state;
    expect_factors("func @f(%x: f32[N,3,9,9]) -> f32[N,20,7,7] {\n@w = const seed(1) : bf16[20,3,3,3]\n"
                   "%y = conv %x, @w low=[0,0] high=[0,0] stride=[1,1] dilation=[1,1] groups=1 : f32[N,20,7,7]\n"
                   "return %y\n}\n",
                   VJ_F32, VJ_F32, 1);
    expect_factors("func @f(%x: f32[N,3,8,8]) -> f32[N,20,4,4] {\n@w = const seed(1) : bf16[20,3,2,2]\n"
                   "%y = conv %x, @w low=[0,0] high=[0,0] stride=[2,2] dilation=[1,1] groups=1 : f32[N,20,4,4]\n"
                   "return %y\n}\n",
                   VJ_F32, VJ_BF16, 1);
}

static void depthwise(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    const vj_program *p =
        check_text(arena, "func @f(%x: f32[N,20,9,9]) -> f32[N,20,7,7] {\n@w = const seed(1) : bf16[20,1,3,3]\n"
                          "%y = conv %x, @w low=[0,0] high=[0,0] stride=[1,1] dilation=[1,1] groups=20 : "
                          "f32[N,20,7,7]\nreturn %y\n}\n");
    assert_int_equal(p->kernel_count, 1);
    assert_int_equal(p->kernels[0]->kind, VJ_KERNEL_NEST);
    vj_arena_free(arena);
}

/* The nest that casts the picture writes a row for each patch; what no patch covers is not read. */
static void patches(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    const vj_program *p =
        check_text(arena, "func @f(%x: f32[N,3,9,13]) -> f32[N,6,20] {\n@w = const seed(1) : bf16[20,3,4,4]\n"
                          "@b = const seed(2) : f32[20]\n%c = cast %x to=bf16 : bf16[N,3,9,13]\n"
                          "%y = conv %c, @w, @b low=[0,0] high=[0,0] stride=[4,4] dilation=[1,1] groups=1 : "
                          "f32[N,20,2,3]\n%r = reshape %y dims=[N,20,6] : f32[N,20,6]\n"
                          "%t = transpose %r perm=[0,2,1] : f32[N,6,20]\nreturn %t\n}\n");
    const vj_kernel *k = only_kernel(p, VJ_KERNEL_GEMM);
    const vj_axes depth = vj_group(k, VJ_GROUP_DEPTH), rows = vj_group(k, VJ_GROUP_ROWS);
    assert_int_equal(p->kernel_count, 2);
    assert_int_equal(depth.count, 1);
    assert_int_equal(k->extent[depth.first], 48);
    assert_int_equal(k->access[k->a].stride[depth.first], 1);
    assert_int_equal(k->extent[rows.first], 6);
    assert_int_equal(type_of(p, k, k->a), VJ_BF16);
    vj_arena_free(arena);
}

/* Keys in bf16 stand row by row, those in f32 transposed. */
static void keys_of(const char *type, vj_dtype dtype, int64_t key_step) {
    vj_arena *arena = vj_arena_new();
    vj_text t = {.arena = arena};
    vj_text_add(&t,
                "func @f(%%x: f32[N,10,96]) -> f32[N,2,10,16] {\n@w = const seed(1) : bf16[96,96]\n"
                "%%p = linear %%x, @w : f32[N,10,96]\n%%c = cast %%p to=%s : %s[N,10,96]\n"
                "%%r = reshape %%c dims=[N,10,3,2,16] : %s[N,10,3,2,16]\n"
                "%%s = transpose %%r perm=[2,0,3,1,4] : %s[3,N,2,10,16]\n",
                type, type, type, type);
    for (int i = 0; i < 3; i++)
        vj_text_add(&t,
                    "%%t%d = slice %%s starts=[%d,0,0,0,0] sizes=[1,N,2,10,16] steps=[1,1,1,1,1] : "
                    "%s[1,N,2,10,16]\n%%u%d = reshape %%t%d dims=[N,2,10,16] : %s[N,2,10,16]\n",
                    i, i, type, i, i, type);
    vj_text_add(&t, "%%y = attention %%u0, %%u1, %%u2 scale=0.25 : f32[N,2,10,16]\nreturn %%y\n}\n");
    const vj_program *p = check_text(arena, t.at);
    const vj_kernel *k = only_kernel(p, VJ_KERNEL_ATTENTION);
    assert_int_equal(p->kernel_count, 2);
    assert_int_equal(type_of(p, k, k->q), dtype);
    assert_int_equal(type_of(p, k, k->k), dtype);
    assert_int_equal(type_of(p, k, k->v), dtype);
    assert_int_equal(k->access[k->k].stride[vj_group(k, VJ_GROUP_KEYS).first], key_step);
    vj_arena_free(arena);
}

static void keys(void **state) {
    (void)state;
    keys_of("bf16", VJ_BF16, 16);
    keys_of("f32", VJ_F32, 1);
}

/* An attention on grids is one kernel, whose weights have an expression unless their step is 0. */
static void grids_of(const char *type, const char *grids, bool rounds_weights) {
    vj_arena *arena = vj_arena_new();
    vj_text t = {.arena = arena};
    vj_text_add(&t,
                "func @f(%%q: %s[N,2,9,16], %%k: %s[N,2,7,16], %%v: %s[N,2,7,12], %%b: f32[9,7], %%a: f32[2,1,7]) "
                "-> f32[N,2,9,12] {\n@g = const [%s] : f32[3,5]\n"
                "%%y = attention %%q, %%k, %%v, %%b, _, @g, %%a scale=0.25 : f32[N,2,9,12]\nreturn %%y\n}\n",
                type, type, type, grids);
    const vj_program *p = check_text(arena, t.at);
    assert_int_equal(p->kernel_count, 1);
    assert_int_equal(only_kernel(p, VJ_KERNEL_ATTENTION)->weight_expr >= 0, rounds_weights);
    vj_arena_free(arena);
}

static void grids(void **state) {
    (void)state;
    grids_of("f32", "0.1,-20,19,3,0.125, 0.5,-3,20,-3,0.375, 0.0625,0,15,7,0.5", true);
    grids_of("bf16", "0.1,-20,19,3,0.125, 0.5,-3,20,-3,0.375, 0.0625,0,15,7,1", true);
    grids_of("f32", "0.1,-20,19,3,0.125, 0,0,0,0,1, 0,0,0,0,1", false);
}

/* Rows of 256 bf16 are eight lines of 64 bytes; they stand nine lines apart. */
static void padded_rows(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    const vj_program *p =
        check_text(arena, "func @f(%x: f32[N,5,256]) -> f32[N,5,20] {\n@w = const seed(1) : bf16[256,20]\n"
                          "%n = layernorm %x axis=2 eps=1e-6 : f32[N,5,256]\n%c = cast %n to=bf16 : bf16[N,5,256]\n"
                          "%y = linear %c, @w : f32[N,5,20]\nreturn %y\n}\n");
    const vj_kernel *k = only_kernel(p, VJ_KERNEL_GEMM);
    assert_int_equal(k->access[k->a].stride[vj_group(k, VJ_GROUP_ROWS).first], 9 * 32);
    vj_arena_free(arena);
}

/* Two blocks of a residual network with group normalisation: each adds 64 channels of 16 x 16 pixels, made of 16, to the picture. All
 * that reads the last sum is a product. */
static char *bottlenecks(vj_arena *arena) {
    vj_text t = {.arena = arena};
    vj_text_add(&t, "func @f(%%x: f32[N,64,16,16]) -> f32[N,20,16,16] {\n%%s0 = relu %%x : f32[N,64,16,16]\n"
                    "@d = const seed(1) : bf16[16,64,1,1]\n@u = const seed(2) : bf16[64,16,1,1]\n"
                    "@l = const seed(3) : bf16[20,64,1,1]\n%%d = cast @d to=f32 : f32[16,64,1,1]\n"
                    "%%u = cast @u to=f32 : f32[64,16,1,1]\n%%l = cast @l to=f32 : f32[20,64,1,1]\n");
    const char *conv = "low=[0,0] high=[0,0] stride=[1,1] dilation=[1,1] groups=1";
    for (int i = 0; i < 2; i++) {
        vj_text_add(&t, "%%a%d = conv %%s%d, %%d %s : f32[N,16,16,16]\n", i, i, conv);
        vj_text_add(&t, "%%b%d = relu %%a%d : f32[N,16,16,16]\n", i, i);
        vj_text_add(&t, "%%c%d = conv %%b%d, %%u %s : f32[N,64,16,16]\n", i, i, conv);
        vj_text_add(&t, "%%g%d = reshape %%c%d dims=[N,8,2048] : f32[N,8,2048]\n", i, i);
        vj_text_add(&t, "%%n%d = layernorm %%g%d axis=2 eps=1e-6 : f32[N,8,2048]\n", i, i);
        vj_text_add(&t, "%%p%d = reshape %%n%d dims=[N,64,16,16] : f32[N,64,16,16]\n", i, i);
        vj_text_add(&t, "%%q%d = add %%p%d, %%s%d : f32[N,64,16,16]\n", i, i, i);
        vj_text_add(&t, "%%s%d = relu %%q%d : f32[N,64,16,16]\n", i + 1, i);
    }
    vj_text_add(&t, "%%y = conv %%s2, %%l %s : f32[N,20,16,16]\nreturn %%y\n}\n", conv);
    return t.at;
}

static const vj_program *bottlenecks_in(vj_arena *arena, vj_dtype precision) {
    vj_error error = {0};
    const char *rest;
    vj_func *f = vj_parse(arena, bottlenecks(arena), ".", &rest, &error);
    if (!f || (precision == VJ_BF16 && !choose_bf16(arena, f, &error))) fail_msg("%s", error.text);
    const vj_program *p = lower_function(arena, f, &error);
    const double apart = p ? difference(arena, p, &error) : -1;
    if (!(apart >= 0 && apart <= 1e-12)) fail_msg("difference %g %s", apart, error.text);
    return p;
}

/* While the sum of a block is made, what is rounded of it for products, which stands turned, has no place yet: bf16 takes less memory
 * than f32. */
static void sums_are_turned_behind(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    const vj_program *wide = bottlenecks_in(arena, VJ_F32), *narrow = bottlenecks_in(arena, VJ_BF16);
    int32_t turned = 0;
    for (int32_t i = 0; i < narrow->kernel_count; i++) {
        const vj_kernel *k = narrow->kernels[i];
        for (int32_t o = 0; o < k->out_count; o++)
            if (k->stage_count > 0) assert_int_equal(type_of(narrow, k, k->out[o].access), VJ_F32);
        turned += strcmp(k->name, "turn") == 0;
    }
    assert_int_equal(turned, 2);
    if (narrow->per_image_bytes >= wide->per_image_bytes)
        fail_msg("%lld bytes in bf16, %lld in f32", (long long)narrow->per_image_bytes,
                 (long long)wide->per_image_bytes);
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_of_blocks),
        cmocka_unit_test(linear_of_places_in_a_table),
        cmocka_unit_test(linear_of_joined_blocks),
        cmocka_unit_test(linear_of_two_types),
        cmocka_unit_test(cast_in_epilogue),
        cmocka_unit_test(written_twice),
        cmocka_unit_test(sum_takes_its_operand_s_place),
        cmocka_unit_test(half_activations),
        cmocka_unit_test(weight_on_the_left),
        cmocka_unit_test(depth_is_adjacent),
        cmocka_unit_test(no_pairs),
        cmocka_unit_test(odd_runs),
        cmocka_unit_test(depthwise),
        cmocka_unit_test(patches),
        cmocka_unit_test(keys),
        cmocka_unit_test(grids),
        cmocka_unit_test(padded_rows),
        cmocka_unit_test(sums_are_turned_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
