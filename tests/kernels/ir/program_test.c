/* program_test.c - tests the text of programs, compares the kernel evaluator with the tensor evaluator, and tests what
 * the verifier refuses. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/kernel/kernel.h"

/* A planned convolution of 3x3, stride 2, padding 1, as a product with window terms and with bias and residual in its
 * epilogue. */
static const char conv[] =
    "program conv {\n"
    "  arena 192 lower 192 weights 1472\n"
    "  %x: input 0 f32[60]  # 240 B\n"
    "  %w: weight f32[288] at 0 panels k=18 n=5 from f32[5,2,3,3] seed(7) k(2*9, 3*3, 3*1) n(5*18)  # 1152 B\n"
    "  %bias: weight f32[5] at 1152 dense k=1 n=5 from f32[5] @b.bias k() n(5*1)  # 20 B\n"
    "  %y: arena f32[45] at 0  # 180 B\n"
    "  %out: output 0 f32[45]  # 180 B\n"
    "  phase 0\n"
    "  kernel gemm patches {\n"
    "    rows i0:3, i1:3\n"
    "    cols i2:5\n"
    "    depth i3:2, i4:3, i5:3\n"
    "    A %x[30*i3 + 6*guard(2*i0 + i4 - 1, 5) + 1*guard(2*i1 + i5 - 1, 6)] else 0\n"
    "    B %w packed\n"
    "    in x0 = %bias[i2]\n"
    "    out %y[3*i0 + i1 + 9*i2] = acc + x0\n"
    "    flops 1620\n"
    "    units 1 cost 12.5\n"
    "  }\n"
    "  phase 1\n"
    "  kernel nest gelu {\n"
    "    outer i0:45\n"
    "    row\n"
    "    in x0 = %y[i0]\n"
    "    let t0 = x0 * 2\n"
    "    out %out[i0] = select(t0 < -0.5, -inf, (t0 - (x0 + 1)) / gelu_erf(t0)) - cast:f32(i0 / 7:i64)\n"
    "    units 3 cost 100\n"
    "  }\n"
    "}\n";

static const char attention[] = "program attention {\n"
                                "  %q: input 0 f32[40]  # 160 B\n"
                                "  %k: input 1 f32[60]  # 240 B\n"
                                "  %v: input 2 f32[36]  # 144 B\n"
                                "  %mask: input 3 f32[24]  # 96 B\n"
                                "  %y: output 0 f32[24]  # 96 B\n"
                                "  kernel attention mha {\n"
                                "    batch i0:2\n"
                                "    queries i1:4\n"
                                "    keys i2:6\n"
                                "    dim i3:5\n"
                                "    value i4:3\n"
                                "    Q %q[20*i0 + 5*i1 + i3]\n"
                                "    K %k[30*i0 + 5*i2 + i3]\n"
                                "    V %v[18*i0 + 3*i2 + i4]\n"
                                "    in x0 = %mask[6*i1 + i2]\n"
                                "    score = acc * 0.25 + x0\n"
                                "    out %y[12*i0 + 3*i1 + i4] = acc\n"
                                "  }\n"
                                "}\n";

/* Whole scores between -3 and 4, and weights in eighths. */
static const char rounded[] = "program rounded {\n"
                              "  %q: input 0 f32[40]  # 160 B\n"
                              "  %k: input 1 f32[60]  # 240 B\n"
                              "  %v: input 2 f32[36]  # 144 B\n"
                              "  %y: output 0 f32[24]  # 96 B\n"
                              "  kernel attention mha {\n"
                              "    batch i0:2\n"
                              "    queries i1:4\n"
                              "    keys i2:6\n"
                              "    dim i3:5\n"
                              "    value i4:3\n"
                              "    Q %q[20*i0 + 5*i1 + i3]\n"
                              "    K %k[30*i0 + 5*i2 + i3]\n"
                              "    V %v[18*i0 + 3*i2 + i4]\n"
                              "    score = at_most(at_least(round(acc * 0.75), -3), 4)\n"
                              "    weight = at_most(at_least(round(acc / 0.125), 1), 5)\n"
                              "    out %y[12*i0 + 3*i1 + i4] = acc * 0.125\n"
                              "  }\n"
                              "}\n";

static const char norm[] = "program norm {\n"
                           "  %x: input 0 f32[21]  # 84 B\n"
                           "  %y: output 0 f32[21]  # 84 B\n"
                           "  kernel nest ln {\n"
                           "    outer i0:3\n"
                           "    row i1:7\n"
                           "    in x0 = %x[7*i0 + i1]\n"
                           "    stage s0 = sum(x0 / 7)\n"
                           "    let t0 = x0 - s0\n"
                           "    stage s1 = sum(t0 * t0 / 7)\n"
                           "    out %y[7*i0 + i1] = t0 * rsqrt(s1 + 0.001)\n"
                           "  }\n"
                           "}\n";

/* A result that is one a row, in the place of an operand that the row reads. */
static const char totals[] = "program totals {\n"
                             "  %x: input 0 f32[21]  # 84 B\n"
                             "  %y: output 0 f32[3]  # 12 B\n"
                             "  kernel nest totals {\n"
                             "    outer i0:3\n"
                             "    row i1:7\n"
                             "    in x0 = %x[7*i0 + i1]\n"
                             "    in x1 = %y[i0]\n"
                             "    stage s0 = sum(x0 * x1)\n"
                             "    out %y[i0] = x1 + s0\n"
                             "  }\n"
                             "}\n";

/* Three results by the value of the first column axis, B read in place, and a roll of A's rows. */
static const char segments[] = "program segments {\n"
                               "  %x: input 0 f32[20]  # 80 B\n"
                               "  %b: input 1 f32[24]  # 96 B\n"
                               "  %s: output 0 f32[15]  # 60 B\n"
                               "  %t: output 1 f32[15]  # 60 B\n"
                               "  kernel gemm qk {\n"
                               "    rows i0:5\n"
                               "    cols i1:2, i2:3\n"
                               "    depth i3:4\n"
                               "    A %x[i3 + 4*mod(i0 - 2, 5)]\n"
                               "    B %b[3*i1 + i2 + 6*i3]\n"
                               "    out i1=0: %s[3*i0 + i2] = acc\n"
                               "    out i1=1: %t[i0 + 5*i2] = -1 * acc\n"
                               "  }\n"
                               "}\n";

/* B in two blocks of 16 by columns: 2 x 64 bytes of scales, 2 x 16 of zero points in a line of 64, 16 pairs of 16 numbers. */
static const char blocks[] = "program blocks {\n"
                             "  %x: input 0 f32[40]  # 160 B\n"
                             "  %w: weight u8[448] blocks bits=4 least=-8 block=16 k=20 n=5 from f32[20,5] seed(7) "
                             "k(20*5) n(5*1)  # 448 B\n"
                             "  %y: output 0 f32[10]  # 40 B\n"
                             "  kernel gemm linear {\n"
                             "    rows i0:2\n"
                             "    cols i1:5\n"
                             "    depth i2:20\n"
                             "    A %x[20*i0 + i2]\n"
                             "    B %w packed\n"
                             "    out %y[5*i0 + i1] = acc\n"
                             "  }\n"
                             "}\n";

/* The same of bytes, whose blocks are an axis. */
static const char steps[] = "program steps {\n"
                            "  %x: input 0 u8[64]  # 64 B\n"
                            "  %w: weight u8[448] blocks bits=4 least=-8 block=16 k=20 n=5 from f32[20,5] seed(7) "
                            "k(20*5) n(5*1)  # 448 B\n"
                            "  %s: input 1 f32[32]  # 128 B\n"
                            "  %y: output 0 f32[10]  # 40 B\n"
                            "  kernel gemm linear {\n"
                            "    rows i0:2\n"
                            "    cols i1:5\n"
                            "    depth i2:2, i3:16\n"
                            "    A %x[32*i0 + 16*i2 + i3]\n"
                            "    B %w packed\n"
                            "    S %s[2*i0 + i2]\n"
                            "    out %y[5*i0 + i1] = acc\n"
                            "  }\n"
                            "}\n";

/* The same of places in a table: 2 x 64 bytes of scales, 64 of the table. */
static const char table[] = "program table {\n"
                            "  %x: input 0 f32[40]  # 160 B\n"
                            "  %w: weight u8[448] blocks bits=4 table block=16 k=20 n=5 from f32[20,5] seed(7) "
                            "k(20*5) n(5*1)  # 448 B\n"
                            "  %y: output 0 f32[10]  # 40 B\n"
                            "  kernel gemm linear {\n"
                            "    rows i0:2\n"
                            "    cols i1:5\n"
                            "    depth i2:20\n"
                            "    A %x[20*i0 + i2]\n"
                            "    B %w packed\n"
                            "    out %y[5*i0 + i1] = acc\n"
                            "  }\n"
                            "}\n";

/* Two products, with a batch, rows, columns and a depth of one axis each. */
static const char batched[] = "program batched {\n"
                              "  %a: input 0 f32[8]  # 32 B\n"
                              "  %b: input 1 f32[12]  # 48 B\n"
                              "  %y: output 0 f32[12]  # 48 B\n"
                              "  kernel gemm qk {\n"
                              "    batch i0:2\n"
                              "    rows i1:2\n"
                              "    cols i2:3\n"
                              "    depth i3:2\n"
                              "    A %a[4*i0 + 2*i1 + i3]\n"
                              "    B %b[6*i0 + i2 + 3*i3]\n"
                              "    out %y[6*i0 + 3*i1 + i2] = acc\n"
                              "  }\n"
                              "}\n";

/* The same with columns of two kinds. */
static const char batched_segments[] = "program batched_segments {\n"
                                       "  %a: input 0 f32[8]  # 32 B\n"
                                       "  %b: input 1 f32[24]  # 96 B\n"
                                       "  %s: output 0 f32[12]  # 48 B\n"
                                       "  %t: output 1 f32[12]  # 48 B\n"
                                       "  kernel gemm qk {\n"
                                       "    batch i0:2\n"
                                       "    rows i1:2\n"
                                       "    cols i2:2, i3:3\n"
                                       "    depth i4:2\n"
                                       "    A %a[4*i0 + 2*i1 + i4]\n"
                                       "    B %b[12*i0 + 3*i2 + i3 + 6*i4]\n"
                                       "    out i2=0: %s[6*i0 + 3*i1 + i3] = acc\n"
                                       "    out i2=1: %t[6*i0 + 3*i1 + i3] = acc\n"
                                       "  }\n"
                                       "}\n";

/* Reads rows of two tables by an index that is loaded and wrapped. */
static const char indexed[] = "program indexed {\n"
                              "  %t: input 0 f32[28]  # 112 B\n"
                              "  %i: input 1 i32[6]  # 24 B\n"
                              "  %u: input 2 f32[10]  # 40 B\n"
                              "  %y: output 0 f32[24]  # 96 B\n"
                              "  kernel nest rows {\n"
                              "    outer i0:6, i1:4\n"
                              "    row\n"
                              "    in x0 = %i[i0]\n"
                              "    let t0 = cast:i64(x0)\n"
                              "    let t1 = select(t0 < 0:i64, t0 + 7:i64, t0)\n"
                              "    in x1 = %t[i1 + 4*index(t1, 7)]\n"
                              "    in x2 = %u[2 + 1*index(t1 + i1, 8)]\n"
                              "    out %y[4*i0 + i1] = x1 + x2\n"
                              "  }\n"
                              "}\n";

/* Finds the two largest elements of each row of a part of a buffer. */
static const char call[] = "program call {\n"
                           "  %x: input 0 f32[20]  # 80 B\n"
                           "  %v: output 0 f32[4]  # 16 B\n"
                           "  %i: output 1 i64[4]  # 32 B\n"
                           "  %s: arena u8[64]  # 64 B\n"
                           "  kernel call best {\n"
                           "    routine topk outer=2 length=9 inner=1 k=2 largest=1\n"
                           "    read %x[2]\n"
                           "    write %v[0]\n"
                           "    write %i[0]\n"
                           "    scratch %s[0]\n"
                           "    flops 100\n"
                           "    units 2 cost 50\n"
                           "  }\n"
                           "}\n";

static char *text_of(const vj_program *p) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    vj_print_program(p, out);
    fclose(out);
    return text;
}

static vj_program *parse(vj_arena *arena, const char *text) {
    vj_error error = {0};
    vj_program *p = vj_parse_program(arena, text, &error);
    if (!p) print_error("%s\n", error.text);
    assert_non_null(p);
    return p;
}

static void text_round_trips(void **state) {
    (void)state;
    static const char *const all[] = {conv,    attention, rounded, norm, segments, batched, batched_segments,
                                      indexed, call,      blocks,  table};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        vj_arena *arena = vj_arena_new();
        vj_program *p = parse(arena, all[i]);
        vj_error error = {0};
        if (!vj_verify_program(p, &error)) print_error("%s\n", error.text);
        assert_int_equal(error.status, VJ_OK);
        char *text = text_of(p);
        assert_string_equal(text, all[i]);
        free(text);
        vj_arena_free(arena);
    }
}

/* The two evaluators compared */

static double noise(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 40) / 0x1p23 - 1;
}

static void fill(vj_tensor *t, uint64_t seed) {
    for (int64_t i = 0; i < t->count; i++)
        t->f[i] = noise(&seed);
}

/* Evaluates the tensor-level function on random inputs. The arena owns inputs and outputs. */
static void evaluate(vj_arena *arena, const char *text, vj_tensor **inputs, vj_tensor **outputs) {
    vj_error error = {0};
    const char *rest;
    vj_func *f = vj_parse(arena, text, NULL, &rest, &error);
    if (!f) print_error("%s\n", error.text);
    assert_non_null(f);
    for (int32_t i = 0; i < f->input_count; i++) {
        inputs[i] = vj_tensor_new(arena, vj_type_at(f, f->inputs[i]), &error);
        fill(inputs[i], 17 + (uint64_t)i);
    }
    assert_true(vj_eval(arena, f, 1, inputs, outputs, false, &error));
}

static double *room(vj_arena *arena, const vj_program *p, int32_t buffer) {
    double *at = VJ_NEW_ARRAY(arena, double, p->buffers[buffer].elements);
    for (int64_t i = 0; i < p->buffers[buffer].elements; i++)
        at[i] = NAN; /* what is not written shows */
    return at;
}

static void run_kernel(const vj_program *p, int32_t kernel, double **buffers) {
    vj_error error = {0};
    if (!vj_eval_kernel(p, p->kernels[kernel], buffers, &error)) print_error("%s\n", error.text);
    assert_int_equal(error.status, VJ_OK);
}

static void assert_close(const double *expected, const double *got, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(expected[i] - got[i]) <= 1e-13 * (1 + fabs(expected[i])))) {
            print_error("[%" PRId64 "] is %.17g, not %.17g\n", i, got[i], expected[i]);
            fail();
        }
}

/* The panels as kernel.h defines them: element (k, n) at ((n / 16) * K + k) * 16 + n % 16. */
static double *packed(vj_arena *arena, const vj_weight *w, const double *source) {
    double *panels = VJ_NEW_ARRAY(arena, double, w->k *vj_round_up(w->n, VJ_PANEL));
    for (int64_t n = 0; n < w->n; n++)
        for (int64_t k = 0; k < w->k; k++)
            panels[(n / 16 * w->k + k) * 16 + n % 16] = source[n * w->k + k];
    return panels;
}

static void gemm_is_a_convolution(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[3], *y;
    evaluate(arena,
             "func @main(%x: f32[1,2,5,6], %w: f32[5,2,3,3], %b: f32[5]) -> f32[1,5,3,3] {\n  %y = conv %x, %w, %b "
             "stride=[2,2] dilation=[1,1] low=[1,1] high=[1,1] groups=1 : f32[1,5,3,3]\n  return %y\n}\n",
             in, &y);
    vj_program *p = parse(arena, conv);
    double *buffers[] = {in[0]->f, packed(arena, &p->weights[0], in[1]->f), in[2]->f, room(arena, p, 3),
                         room(arena, p, 4)};
    run_kernel(p, 0, buffers);
    assert_close(y->f, buffers[3], y->count);
    run_kernel(p, 1, buffers);
    for (int i = 0; i < 45; i++) {
        const double t = 2 * y->f[i], gelu = 0.5 * t * (1 + erf(t / sqrt(2)));
        const double expected = (t < -0.5 ? -INFINITY : (t - (y->f[i] + 1)) / gelu) - (double)(i / 7);
        if (isinf(expected))
            assert_true(buffers[4][i] == expected);
        else
            assert_close(&expected, &buffers[4][i], 1);
    }
    vj_arena_free(arena);
}

static void attention_is_attention(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[4], *y;
    evaluate(arena,
             "func @main(%q: f32[2,4,5], %k: f32[2,6,5], %v: f32[2,6,3], %m: f32[4,6]) -> f32[2,4,3] {\n"
             "  %y = attention %q, %k, %v, %m scale=0.25 : f32[2,4,3]\n  return %y\n}\n",
             in, &y);
    vj_program *p = parse(arena, attention);
    double *buffers[] = {in[0]->f, in[1]->f, in[2]->f, in[3]->f, room(arena, p, 4)};
    run_kernel(p, 0, buffers);
    assert_close(y->f, buffers[4], y->count);
    for (int j = 0; j < 6; j++)
        in[3]->f[6 + j] = -INFINITY; /* all of query 1 */
    run_kernel(p, 0, buffers);
    assert_true(isnan(buffers[4][3]) && !isnan(buffers[4][6]));
    vj_arena_free(arena);
}

static void attention_is_rounded(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[3], *y;
    evaluate(arena,
             "func @main(%q: f32[2,4,5], %k: f32[2,6,5], %v: f32[2,6,3]) -> f32[2,4,3] {\n"
             "  @c = const [0.75] : f32[]\n  @low = const [-3] : f32[]\n  @high = const [4] : f32[]\n"
             "  @d = const [0.125] : f32[]\n  @one = const [1] : f32[]\n  @five = const [5] : f32[]\n"
             "  %t = transpose %k perm=[0,2,1] : f32[2,5,6]\n  %p = matmul %q, %t : f32[2,4,6]\n"
             "  %s = mul %p, @c : f32[2,4,6]\n  %r = round %s : f32[2,4,6]\n  %a = max %r, @low : f32[2,4,6]\n"
             "  %b = min %a, @high : f32[2,4,6]\n  %w = softmax %b axis=2 : f32[2,4,6]\n"
             "  %e = div %w, @d : f32[2,4,6]\n  %f = round %e : f32[2,4,6]\n  %g = max %f, @one : f32[2,4,6]\n"
             "  %h = min %g, @five : f32[2,4,6]\n  %m = matmul %h, %v : f32[2,4,3]\n"
             "  %y = mul %m, @d : f32[2,4,3]\n  return %y\n}\n",
             in, &y);
    vj_program *p = parse(arena, rounded);
    double *buffers[] = {in[0]->f, in[1]->f, in[2]->f, room(arena, p, 3)};
    run_kernel(p, 0, buffers);
    assert_close(y->f, buffers[3], y->count);
    vj_arena_free(arena);
}

static void nest_is_a_layernorm(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[1], *y;
    evaluate(arena,
             "func @main(%x: f32[3,7]) -> f32[3,7] {\n  %y = layernorm %x axis=1 eps=0.001 : f32[3,7]\n"
             "  return %y\n}\n",
             in, &y);
    vj_program *p = parse(arena, norm);
    double *buffers[] = {in[0]->f, room(arena, p, 1)};
    run_kernel(p, 0, buffers);
    assert_close(y->f, buffers[1], y->count);
    run_kernel(p, 0, (double *[]){in[0]->f, in[0]->f}); /* in place: rows are read before they are written */
    assert_close(y->f, in[0]->f, y->count);
    vj_arena_free(arena);
}

static void totals_are_added_once(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    const vj_program *p = parse(arena, totals);
    double x[21], y[3] = {1, 2, 3};
    const double expected[3] = {1 + 21, 2 + 2 * 70, 3 + 3 * 119}; /* sums of 0 to 6, 7 to 13, 14 to 20 */
    for (int e = 0; e < 21; e++)
        x[e] = e;
    run_kernel(p, 0, (double *[]){x, y});
    assert_close(expected, y, 3);
    vj_arena_free(arena);
}

static void segments_go_their_ways(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[2], *y;
    evaluate(arena,
             "func @main(%x: f32[5,4], %w: f32[4,6]) -> f32[5,6] {\n  %y = matmul %x, %w : f32[5,6]\n  return %y\n}\n",
             in, &y);
    vj_program *p = parse(arena, segments);
    double *buffers[] = {in[0]->f, in[1]->f, room(arena, p, 2), room(arena, p, 3)};
    run_kernel(p, 0, buffers);
    for (int i = 0; i < 5; i++)
        for (int c = 0; c < 3; c++) {
            const double *row = y->f + (i + 3) % 5 * 6, minus = -row[3 + c]; /* rolled by two */
            assert_close(&row[c], &buffers[2][3 * i + c], 1);
            assert_close(&minus, &buffers[3][i + 5 * c], 1);
        }
    vj_arena_free(arena);
}

static void blocks_are_widened(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse(arena, blocks);
    double x[40], y[10], bytes[448] = {0};
    for (int e = 0; e < 40; e++)
        x[e] = e % 7 - 3;
    for (int n = 0; n < 5; n++)
        for (int k = 0; k < 20; k++) {
            const float scale = k < 16 ? 0.5F + (float)n : -0.25F;
            uint8_t stored[4];
            memcpy(stored, &scale, sizeof stored);
            for (int i = 0; i < 4; i++)
                bytes[k / 16 * 64 + 4 * n + i] = stored[i];
            bytes[128 + k / 16 * 16 + n] = k < 16 ? 8 : 3;
            bytes[192 + k / 2 * 16 + n] += (k + n) % 16 * (k % 2 ? 16 : 1);
        }
    run_kernel(p, 0, (double *[]){x, bytes, y});
    for (int e = 0; e < 10; e++) {
        double expected = 0;
        for (int k = 0; k < 20; k++)
            expected += x[e / 5 * 20 + k] * ((k + e % 5) % 16 - (k < 16 ? 8 : 3)) * (k < 16 ? 0.5 + e % 5 : -0.25);
        assert_close(&expected, &y[e], 1);
    }
    vj_arena_free(arena);
}

static void bytes_have_steps(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse(arena, steps);
    double x[64], y[10], bytes[448] = {0}, step[32] = {0.5, 2, -1, 0.25};
    for (int e = 0; e < 64; e++)
        x[e] = 128 + e % 7 - 3;
    for (int n = 0; n < 5; n++)
        for (int k = 0; k < 20; k++) {
            const float scale = k < 16 ? 0.5F + (float)n : -0.25F;
            uint8_t stored[4];
            memcpy(stored, &scale, sizeof stored);
            for (int i = 0; i < 4; i++)
                bytes[k / 16 * 64 + 4 * n + i] = stored[i];
            bytes[128 + k / 16 * 16 + n] = k < 16 ? 8 : 3;
            bytes[192 + k / 2 * 16 + n] += (k + n) % 16 * (k % 2 ? 16 : 1);
        }
    run_kernel(p, 0, (double *[]){x, bytes, step, y});
    for (int e = 0; e < 10; e++) {
        double expected = 0;
        for (int k = 0; k < 20; k++)
            expected += (x[e / 5 * 32 + k] - 128) * step[e / 5 * 2 + k / 16] * ((k + e % 5) % 16 - (k < 16 ? 8 : 3)) *
                        (k < 16 ? 0.5 + e % 5 : -0.25);
        assert_close(&expected, &y[e], 1);
    }
    vj_arena_free(arena);
}

static void put_float(double *bytes, float x) {
    uint8_t stored[4];
    memcpy(stored, &x, sizeof stored);
    for (int i = 0; i < 4; i++)
        bytes[i] = stored[i];
}

/* A number of the table times a scale, rounded to f32. */
static void tables_are_looked_up(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse(arena, table);
    double x[40], y[10], bytes[448] = {0};
    for (int e = 0; e < 40; e++)
        x[e] = e % 7 - 3;
    for (int q = 0; q < 16; q++)
        put_float(bytes + 128 + (ptrdiff_t)4 * q, (float)q / 7 - 1);
    for (int n = 0; n < 5; n++)
        for (int k = 0; k < 20; k++) {
            put_float(bytes + k / 16 * 64 + (ptrdiff_t)4 * n, k < 16 ? 0.3F + (float)n : -0.1F);
            bytes[192 + k / 2 * 16 + n] += (k + n) % 16 * (k % 2 ? 16 : 1);
        }
    run_kernel(p, 0, (double *[]){x, bytes, y});
    for (int e = 0; e < 10; e++) {
        double expected = 0;
        for (int k = 0; k < 20; k++) {
            const float number = (float)((k + e % 5) % 16) / 7 - 1, scale = k < 16 ? 0.3F + (float)(e % 5) : -0.1F;
            expected += x[e / 5 * 20 + k] * (double)(number * scale);
        }
        assert_close(&expected, &y[e], 1);
    }
    vj_arena_free(arena);
}

static void indices_are_taken_inside(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse(arena, indexed);
    double t[28], u[10], i[6] = {0, 6, -1, -7, 100, -100}, y[24];
    const int at[6] = {0, 6, 6, 0, 6, 0};
    for (int e = 0; e < 28; e++)
        t[e] = e;
    for (int e = 0; e < 10; e++)
        u[e] = e < 2 ? (double)NAN : 100.0 * (e - 2);
    run_kernel(p, 0, (double *[]){t, i, u, y});
    for (int e = 0; e < 24; e++) {
        const int index = i[e / 4] < 0 ? (int)i[e / 4] + 7 : (int)i[e / 4], sum = index + e % 4;
        const double expected = 4 * at[e / 4] + e % 4 + 100.0 * (sum < 0 ? 0 : sum > 7 ? 7 : sum);
        assert_close(&expected, &y[e], 1);
    }
    vj_arena_free(arena);
}

static void calls_compute(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse(arena, call);
    double x[20] = {99, 99, 1, 5, 5, 0, -1, 2, 2, 2, 2, 3, 3, 3, 4, 3, 3, 3, 3, 3}, v[4], i[4], scratch[64];
    run_kernel(p, 0, (double *[]){x, v, i, scratch});
    const double values[4] = {5, 5, 4, 3}, indices[4] = {1, 2, 3, 0};
    assert_close(values, v, 4);
    assert_close(indices, i, 4);
    vj_arena_free(arena);
}

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
    vj_program *p = parse(arena, copy);
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
    const bool sound = vj_verify_program(parse(arena, text), &error);
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
        assert_int_equal(vj_verify_program(parse(arena, vj_sprintf(arena, text, at)), &error), at == 64);
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
        const vj_program *p = parse(arena, vj_sprintf(arena, text, cases[i].first, cases[i].last));
        assert_int_equal(vj_verify_program(p, &error), cases[i].is_sound);
        if (!cases[i].is_sound) assert_non_null(strstr(error.text, "share bytes"));
        vj_arena_free(arena);
    }
}

static void reader_refuses(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"program p {", "a buffer, a phase or a kernel"},
        {"program p { %x: heap f32[1] }", "arena, input"},
        {"program p { kernel nest a { out %x[0] = 1 } }", "declared"},
        {"program p { kernel nest a { outer i1:3 } }", "an axis of the kernel"},
        {"program p { %x: arena f32[1]\nkernel nest a { out %x[i0] = 1 } }", "line 2"},
        {"program p { %x: arena f32[1] kernel nest a { out %x[0] = foo(1) } }", "expression"},
        {"program p { %x: arena f32[1] kernel nest a { out %x[0] = t0 } }", "defined"},
        {"program p { kernel call a { routine sort } }", "a routine"},
        {"program p { kernel call a { routine topk outer=1 inner=1 } }", "parameters in order"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        assert_null(vj_parse_program(arena, bad[i][0], &error));
        assert_int_equal(error.status, VJ_BAD_INPUT);
        if (!strstr(error.text, bad[i][1])) print_error("%s\n", error.text);
        assert_non_null(strstr(error.text, bad[i][1]));
        vj_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(gemm_is_a_convolution),
        cmocka_unit_test(attention_is_attention),
        cmocka_unit_test(attention_is_rounded),
        cmocka_unit_test(nest_is_a_layernorm),
        cmocka_unit_test(totals_are_added_once),
        cmocka_unit_test(segments_go_their_ways),
        cmocka_unit_test(blocks_are_widened),
        cmocka_unit_test(tables_are_looked_up),
        cmocka_unit_test(bytes_have_steps),
        cmocka_unit_test(indices_are_taken_inside),
        cmocka_unit_test(calls_compute),
        cmocka_unit_test(verifier_refuses),
        cmocka_unit_test(last_result_takes_an_operand_s_place),
        cmocka_unit_test(reader_refuses),
        cmocka_unit_test(plans_share_bytes_only_when_they_may),
        cmocka_unit_test(segments_share_no_bytes_with_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
