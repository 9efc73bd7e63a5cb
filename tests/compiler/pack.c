/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c - compares packed weights with the evaluator, element by element, for every layout of a matrix and every way
 * of reading it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/compiler.h"
#include "vitjit_half.h"

/* A function that returns a source, and how a matrix or vector is taken out of it. */
typedef struct layout {
    const char *what, *source; /* the body of a function that ends in %w */
    vj_weight weight;          /* kind, extents, strides, offset; k and n are computed */
} layout;

#define PLAIN(K, N)                                                                                                    \
    {.kind = VJ_PACK_PANELS,                                                                                           \
     .k_rank = 1,                                                                                                      \
     .n_rank = 1,                                                                                                      \
     .k_extent = {K},                                                                                                  \
     .k_stride = {N},                                                                                                  \
     .n_extent = {N},                                                                                                  \
     .n_stride = {1}}
#define TRANSPOSED(K, N)                                                                                               \
    {                                                                                                                  \
        .kind = VJ_PACK_PANELS, .k_rank = 1, .n_rank = 1, .k_extent = {K}, .k_stride = {1}, .n_extent = {N},           \
        .n_stride = {                                                                                                  \
            K                                                                                                          \
        }                                                                                                              \
    }

static const layout layouts[] = {
    {"plain", "@w = const seed(1) : f32[24,64]\n", PLAIN(24, 64)},
    {"plain, the last panel is not full", "@w = const seed(2) : f32[5,37]\n", PLAIN(5, 37)},
    {"one row", "@w = const seed(3) : f32[1,50]\n", PLAIN(1, 50)},
    {"one column", "@w = const seed(4) : f32[50,1]\n", PLAIN(50, 1)},
    {"plain, larger than a block", "@w = const seed(5) : f32[700,1003]\n", PLAIN(700, 1003)},
    {"transposed", "@w = const seed(6) : f32[64,24]\n", TRANSPOSED(24, 64)},
    {"transposed, the last panel is not full", "@w = const seed(7) : f32[37,19]\n", TRANSPOSED(19, 37)},
    {"transposed, larger than a block", "@w = const seed(8) : f32[1003,700]\n", TRANSPOSED(700, 1003)},
    {"transposed, a column larger than a block", "@w = const seed(9) : f32[3,300000]\n", TRANSPOSED(300000, 3)},
    {"convolution [n,c,r,s]",
     "@w = const seed(10) : f32[20,3,4,5]\n",
     {.kind = VJ_PACK_PANELS,
      .k_rank = 3,
      .n_rank = 1,
      .k_extent = {3, 4, 5},
      .k_stride = {20, 5, 1},
      .n_extent = {20},
      .n_stride = {60}}},
    {"convolution, depth in the order r, s, c",
     "@w = const seed(11) : f32[20,3,4,5]\n",
     {.kind = VJ_PACK_PANELS,
      .k_rank = 3,
      .n_rank = 1,
      .k_extent = {4, 5, 3},
      .k_stride = {5, 1, 20},
      .n_extent = {20},
      .n_stride = {60}}},
    {"segments: columns (s,h,d) that stand as (h,s,d)",
     "@w = const seed(12) : f32[10,4,3,8]\n",
     {.kind = VJ_PACK_PANELS,
      .k_rank = 1,
      .n_rank = 3,
      .k_extent = {10},
      .k_stride = {96},
      .n_extent = {3, 4, 8},
      .n_stride = {8, 24, 1}}},
    {"a part of the columns",
     "@w = const seed(13) : f32[9,60]\n",
     {.kind = VJ_PACK_PANELS,
      .k_rank = 1,
      .n_rank = 1,
      .k_extent = {9},
      .k_stride = {60},
      .n_extent = {21},
      .n_stride = {1},
      .source_offset = 30}},
    {"every other column",
     "@w = const seed(14) : f32[9,60]\n",
     {.kind = VJ_PACK_PANELS,
      .k_rank = 1,
      .n_rank = 1,
      .k_extent = {9},
      .k_stride = {60},
      .n_extent = {30},
      .n_stride = {2},
      .source_offset = 1}},
    {"rows and columns interleaved",
     "@w = const seed(15) : f32[6,7,8,9]\n",
     {.kind = VJ_PACK_PANELS,
      .k_rank = 2,
      .n_rank = 2,
      .k_extent = {6, 8},
      .k_stride = {504, 9},
      .n_extent = {7, 9},
      .n_stride = {72, 1}}},
    {"columns backwards",
     "@w = const seed(16) : f32[9,33]\n",
     {.kind = VJ_PACK_PANELS,
      .k_rank = 1,
      .n_rank = 1,
      .k_extent = {9},
      .k_stride = {33},
      .n_extent = {33},
      .n_stride = {-1},
      .source_offset = 32}},
    {"rows backwards",
     "@w = const seed(17) : f32[9,33]\n",
     {.kind = VJ_PACK_PANELS,
      .k_rank = 1,
      .n_rank = 1,
      .k_extent = {9},
      .k_stride = {-33},
      .n_extent = {33},
      .n_stride = {1},
      .source_offset = 264}},
    {"f16 becomes f32", "@h = const seed(18) : f16[12,20]\n %w = cast @h to=f32\n", PLAIN(12, 20)},
    {"an expression: merged, turned and scaled",
     "@q = const seed(19) : f32[16,12]\n @k = const seed(20) : f32[16,12]\n @g = const seed(21) : f32[12]\n"
     "%a = concat @q, @k axis=0\n %b = mul %a, @g\n %w = transpose %b perm=[1,0]\n",
     PLAIN(12, 32)},
    {"a vector",
     "@w = const seed(22) : f32[77]\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 1, .n_extent = {77}, .n_stride = {1}}},
    {"a vector of a computed value",
     "@x = const seed(23) : f32[77]\n @y = const seed(24) : f32[77]\n %w = add @x, @y\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 1, .n_extent = {77}, .n_stride = {1}}},
    {"a permuted vector",
     "@w = const seed(25) : f32[7,11]\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 2, .n_extent = {11, 7}, .n_stride = {1, 11}}},
    {"a permuted computed vector",
     "@x = const seed(26) : f32[7,11]\n %w = neg @x\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 2, .n_extent = {11, 7}, .n_stride = {1, 11}}},
    {"a vector that is rounded to bf16",
     "@x = const seed(30) : f32[77]\n %w = cast @x to=bf16\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 1, .n_extent = {77}, .n_stride = {1}}},
    {"a permuted computed vector of f16",
     "@x = const seed(31) : f32[7,11]\n %y = neg @x\n %w = cast %y to=f16\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 2, .n_extent = {11, 7}, .n_stride = {1, 11}}},
    {"integers of 64 bits",
     "@w = const [9007199254740993, -1, 16777217, 4, 5, 6] : i64[6]\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 2, .n_extent = {2, 3}, .n_stride = {1, 2}}},
    {"bytes",
     "@w = const seed(27) : u8[40]\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 1, .n_extent = {20}, .n_stride = {2}}},
    {"booleans",
     "@w = const seed(28) : bool[40]\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 1, .n_extent = {40}, .n_stride = {1}}},
    {"integers of 16 bits",
     "@w = const seed(29) : i16[40]\n",
     {.kind = VJ_PACK_DENSE, .n_rank = 1, .n_extent = {40}, .n_stride = {-1}, .source_offset = 39}},
};

/* Of numbers below 8: (q - z) * s, with a zero point and a scale for 16 of the depth. */
#define BLOCKS_OF(TYPE, LEAST, BITS)                                                                                   \
    {                                                                                                                  \
        "blocks of " #BITS " bits of " TYPE,                                                                           \
            "@q = const seed(1) : " TYPE                                                                               \
            "[37,3,16]\n@s = const seed(2) : f32[37,3,1]\n@z = const seed(3) : u8[37,3,1]\n"                           \
            "%q = cast @q to=f32 : f32[37,3,16]\n%zf = cast @z to=f32 : f32[37,3,1]\n"                                 \
            "%zb = broadcast %zf dims=[37,3,16] : f32[37,3,16]\n%sb = broadcast @s dims=[37,3,16] : f32[37,3,16]\n"    \
            "%d = sub %q, %zb : f32[37,3,16]\n%w = mul %d, %sb : f32[37,3,16]\n",                                      \
        {                                                                                                              \
            .kind = VJ_PACK_BLOCKS, .bits = BITS, .least = LEAST, .block = 16, .k_rank = 1, .n_rank = 1,               \
            .k_extent = {41}, .k_stride = {1}, .n_extent = {37}, .n_stride = {48}                                      \
        }                                                                                                              \
    }
static const layout in_blocks[] = {
    BLOCKS_OF("u8", 0, 4),
    BLOCKS_OF("u8", 0, 8),
    BLOCKS_OF("i8", -8, 4),
    BLOCKS_OF("i8", -128, 8),
    {"places in a table, from its end too",
     "@q = const seed(1) : u8[37,3,10]\n@s = const seed(2) : f32[37,3,1]\n"
     "@t = const [0.3,-0.7,-0.5,-0.4,1e-30,0.7,-0.1,-0.0,0,0.2,0.3,7e30,0.5,0.6,-0.7,1] : f32[16]\n"
     "@p1 = const splat(-1) : i8[37,3,1]\n"
     "@p2 = const splat(-2) : i8[37,3,1]\n"
     "@p3 = const splat(-3) : i8[37,3,1]\n"
     "@p4 = const splat(-4) : i8[37,3,1]\n"
     "@p5 = const splat(-5) : i8[37,3,1]\n"
     "@p6 = const splat(-6) : i8[37,3,1]\n"
     "%g0 = gather @t, @q axis=0 : f32[37,3,10]\n"
     "%g1 = gather @t, @p1 axis=0 : f32[37,3,1]\n"
     "%g2 = gather @t, @p2 axis=0 : f32[37,3,1]\n"
     "%g3 = gather @t, @p3 axis=0 : f32[37,3,1]\n"
     "%g4 = gather @t, @p4 axis=0 : f32[37,3,1]\n"
     "%g5 = gather @t, @p5 axis=0 : f32[37,3,1]\n"
     "%g6 = gather @t, @p6 axis=0 : f32[37,3,1]\n"
     "%q = concat %g0, %g1, %g2, %g3, %g4, %g5, %g6 axis=2 : f32[37,3,16]\n"
     "%sb = broadcast @s dims=[37,3,16] : f32[37,3,16]\n%w = mul %q, %sb : f32[37,3,16]\n",
     {.kind = VJ_PACK_BLOCKS,
      .bits = 4,
      .table = true,
      .block = 16,
      .k_rank = 1,
      .n_rank = 1,
      .k_extent = {41},
      .k_stride = {1},
      .n_extent = {37},
      .n_stride = {48}}},
    {"places in a short table",
     "@q = const seed(1) : u8[37,3,16]\n@s = const seed(2) : f32[37,3,1]\n"
     "@t = const [0.3,-0.7,-0.5,-0.4,1e-30,0.7,-0.1,1] : f32[8]\n"
     "%q = gather @t, @q axis=0 : f32[37,3,16]\n%sb = broadcast @s dims=[37,3,16] : f32[37,3,16]\n"
     "%w = mul %q, %sb : f32[37,3,16]\n",
     {.kind = VJ_PACK_BLOCKS,
      .bits = 4,
      .table = true,
      .block = 16,
      .k_rank = 1,
      .n_rank = 1,
      .k_extent = {41},
      .k_stride = {1},
      .n_extent = {37},
      .n_stride = {48}}},
};

static int64_t product(int32_t rank, const int64_t *extent) {
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++)
        n *= extent[i];
    return n;
}

static int64_t offset_of(int64_t i, int32_t rank, const int64_t *extent, const int64_t *stride) {
    int64_t at = 0;
    for (int32_t d = rank - 1; d >= 0; d--) {
        at += i % extent[d] * stride[d];
        i /= extent[d];
    }
    return at;
}

static vj_func *parse(vj_arena *arena, const layout *l, vj_error *error) {
    const bool is_const = strncmp(l->source, "@w", 2) == 0;
    const char *text = vj_sprintf(arena, "func @main() {\n%s return %sw as w\n}\n", l->source, is_const ? "@" : "%");
    vj_func *f = vj_parse(arena, text, ".", NULL, error);
    if (!f) fail_msg("%s: %s\n%s", l->what, error->text, text);
    return f;
}

/* The weight in a buffer of the type; VJ_NO_DTYPE: of the source's. */
static vj_unit *unit_of(vj_arena *arena, const layout *l, vj_dtype stored) {
    vj_unit *u = VJ_NEW(arena, vj_unit);
    u->arena = arena;
    u->f = parse(arena, l, &u->error);
    vj_program *p = vj_program_new(arena, u->f);
    u->program = p;
    vj_weight w = l->weight;
    w.source = u->f->outputs[0];
    w.k = product(w.k_rank, w.k_extent);
    w.n = product(w.n_rank, w.n_extent);
    const vj_dtype dtype = stored ? stored : vj_type_at(u->f, w.source)->dtype;
    int64_t elements = 0;
    assert_true(vj_packed_elements(&w, dtype, &elements));
    const int32_t b = vj_add_buffer(p, VJ_BUFFER_WEIGHT, dtype, elements, "w");
    p->buffers[b].index = p->weight_count;
    p->buffers[b].offset = VJ_ALIGN; /* not the first bytes */
    *VJ_PUSH(arena, p->weights, p->weight_count, p->weight_capacity) = w;
    p->weights_bytes = vj_round_up(VJ_ALIGN + elements * vj_element_bytes(dtype), VJ_ALIGN);
    return u;
}

static uint8_t *pack(vj_unit *u, const char *what, int32_t threads, size_t *bytes) {
    const int fd = memfd_create("weights", MFD_CLOEXEC);
    assert_true(fd >= 0);
    if (vj_pack_weights(u, fd, threads) != VJ_OK) fail_msg("%s: %s", what, u->error.text);
    *bytes = (size_t)(VJ_WEIGHTS_HEADER + u->program->weights_bytes);
    assert_int_equal(lseek(fd, 0, SEEK_END), *bytes);
    uint8_t *at = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    close(fd);
    const vj_weights_header *h = (const void *)at;
    assert_true(h->magic == VJ_WEIGHTS_MAGIC && h->bytes == u->program->weights_bytes);
    return at;
}

/* Where docs/kernel-ir.md says that element (k, n) is: bfloat16 in pairs of k, whose number is a multiple of 16. */
static int64_t place_of(vj_dtype dtype, int64_t depth, int64_t k, int64_t n) {
    if (dtype != VJ_BF16) return (n / 16 * depth + k) * 16 + n % 16;
    return (n / 16 * ((depth + 31) / 32 * 16) + k / 2) * 32 + n % 16 * 2 + k % 2;
}

static void write_element(vj_dtype dtype, void *to, int64_t at, double x) {
    const uint16_t half = dtype == VJ_F16 ? vj_f16_of(x) : vj_bf16_of(x);
    if (dtype == VJ_F32)
        ((float *)to)[at] = (float)x;
    else
        ((uint16_t *)to)[at] = half;
}

static void check_panels(vj_arena *arena, const layout *l, const vj_unit *u, const vj_tensor *t, const uint8_t *got) {
    const vj_buffer *buffer = &u->program->buffers[0];
    const vj_weight *w = &u->program->weights[0];
    const int64_t size = vj_element_bytes(buffer->dtype);
    uint8_t *want = vj_alloc_array(arena, (size_t)buffer->elements, (size_t)size); /* zeros */
    for (int64_t n = 0; n < w->n; n++)
        for (int64_t k = 0; k < w->k; k++) {
            const int64_t from = w->source_offset + offset_of(k, w->k_rank, w->k_extent, w->k_stride) +
                                 offset_of(n, w->n_rank, w->n_extent, w->n_stride);
            write_element(buffer->dtype, want, place_of(buffer->dtype, w->k, k, n), t->f[from]);
        }
    for (int64_t i = 0; i < buffer->elements; i++)
        if (memcmp(got + i * size, want + i * size, (size_t)size) != 0)
            fail_msg("%s, %s: element %lld is wrong", l->what, vj_element_name(buffer->dtype), (long long)i);
}

/* As docs/kernel-ir.md says it: a panel of 16 columns has its scales, its zero points or its table, its numbers, each of whole lines of 64
 * bytes. */
static double in_block(const vj_weight *w, const uint8_t *at, int64_t k, int64_t n) {
    const int64_t blocks = (w->k + w->block - 1) / w->block, zeros = blocks * 64;
    const int64_t numbers = zeros + (w->table ? 64 : (blocks * 16 + 63) / 64 * 64);
    const int64_t panel = numbers + (blocks * w->block * 16 * w->bits / 8 + 63) / 64 * 64, column = n % 16;
    const uint8_t *from = at + n / 16 * panel;
    float scale, looked_up;
    memcpy(&scale, from + (k / w->block * 16 + column) * 4, sizeof scale);
    int32_t number = from[numbers + (w->bits == 8 ? k : k / 2) * 16 + column];
    if (w->bits == 4) number = k % 2 ? number / 16 : number % 16;
    memcpy(&looked_up, from + zeros + (w->table ? (ptrdiff_t)number * 4 : 0), sizeof looked_up);
    if (w->table) return (double)(looked_up * scale);
    const int32_t zero = from[zeros + k / w->block * 16 + column];
    return (double)(float)((number - zero) * (double)scale);
}

static void check_blocks(const layout *l, const vj_unit *u, const vj_tensor *t, const uint8_t *got) {
    const vj_weight *w = &u->program->weights[0];
    for (int64_t n = 0; n < w->n; n++)
        for (int64_t k = 0; k < (w->k + w->block - 1) / w->block * w->block; k++) {
            const double want = k < w->k ? t->f[n * 48 + k] : 0, is = in_block(w, got, k, n);
            if (is != want || (k < w->k && signbit(is) != signbit(want)))
                fail_msg("%s: (%d, %d)", l->what, (int)k, (int)n);
        }
}

static void check_dense(const layout *l, const vj_weight *w, const vj_tensor *t, const uint8_t *got) {
    for (int64_t n = 0; n < w->n; n++) {
        const int64_t at = w->source_offset + offset_of(n, w->n_rank, w->n_extent, w->n_stride);
        const int64_t size = vj_element_bytes(t->type.dtype);
        float f = 0; /* room for a half too */
        if (t->f) write_element(t->type.dtype, &f, 0, t->f[at]);
        const void *want = t->f ? (const void *)&f : &t->i[at]; /* little-endian */
        if (memcmp(got + n * size, want, (size_t)size) != 0) fail_msg("%s: element %lld", l->what, (long long)n);
    }
}

static void check_layout(const layout *l, vj_dtype stored, int32_t threads) {
    vj_arena *arena = vj_arena_new();
    vj_unit *u = unit_of(arena, l, stored);
    vj_tensor *truth = NULL;
    if (!vj_eval(arena, u->f, 1, NULL, &truth, true, &u->error)) fail_msg("%s", u->error.text);
    size_t bytes;
    uint8_t *packed = pack(u, l->what, threads, &bytes);
    const uint8_t *got = packed + VJ_WEIGHTS_HEADER + VJ_ALIGN;
    const vj_weight *w = &u->program->weights[0];
    if (w->kind == VJ_PACK_PANELS)
        check_panels(arena, l, u, truth, got);
    else if (w->kind == VJ_PACK_BLOCKS)
        check_blocks(l, u, truth, got);
    else
        check_dense(l, w, truth, got);
    munmap(packed, bytes);
    vj_arena_free(arena);
}

static void test_layouts(void **state) {
    static const vj_dtype narrow[] = {VJ_F16, VJ_BF16};
    (void)state;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        for (int32_t threads = 1; threads <= 3; threads += 2) {
            check_layout(&layouts[i], VJ_NO_DTYPE, threads);
            for (int32_t t = 0; layouts[i].weight.kind == VJ_PACK_PANELS && t < 2; t++)
                check_layout(&layouts[i], narrow[t], threads);
        }
}

static void test_blocks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof in_blocks / sizeof *in_blocks; i++)
        for (int32_t threads = 1; threads <= 3; threads += 2)
            check_layout(&in_blocks[i], VJ_U8, threads);
}

/* A descriptor that cannot hold the weights is an error, not a signal. */
static void test_no_room(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_unit *u = unit_of(arena, &layouts[0], VJ_NO_DTYPE);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(vj_pack_weights(u, ends[1], 2), VJ_SYSTEM);
    assert_true(u->error.text[0] != 0);
    close(ends[0]);
    close(ends[1]);
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks), cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
