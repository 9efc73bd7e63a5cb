/* SPDX-License-Identifier: Apache-2.0 */
/* programs.c - see programs.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "programs.h"

/* A planned convolution of 3x3, stride 2, padding 1, as a product with window terms and with bias and residual in its
 * epilogue. */
const char conv[] =
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

const char attention[] = "program attention {\n"
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
const char rounded[] = "program rounded {\n"
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

const char norm[] = "program norm {\n"
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
const char totals[] = "program totals {\n"
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
const char segments[] = "program segments {\n"
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
const char blocks[] = "program blocks {\n"
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
const char steps[] = "program steps {\n"
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
const char table[] = "program table {\n"
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
const char batched[] = "program batched {\n"
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
const char batched_segments[] = "program batched_segments {\n"
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
const char indexed[] = "program indexed {\n"
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
const char call[] = "program call {\n"
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

vj_program *parse_program(vj_arena *arena, const char *text) {
    vj_error error = {0};
    vj_program *p = vj_parse_program(arena, text, &error);
    if (!p) print_error("%s\n", error.text);
    assert_non_null(p);
    return p;
}
