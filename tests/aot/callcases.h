/* SPDX-License-Identifier: Apache-2.0 */
/* callcases.h - programs of one call. '@' in the text stands for each of the types in turn. */
#ifndef VITJIT_TESTS_AOT_CALLCASES_H
#define VITJIT_TESTS_AOT_CALLCASES_H

#include "ir/kernel/kernel.h"

typedef struct call_case {
    const char *name;
    const vj_dtype *types; /* ends with VJ_NO_DTYPE */
    double scale;          /* floats are in [-scale, scale) */
    bool specials;         /* whether some floats are NaN, infinite or -0 */
    int32_t low, high;     /* the range of integers; unsigned types get the magnitude */
    double tolerance;      /* for floats, relative to max(|truth|, 1) */
    const char *text;
} call_case;

static const vj_dtype numbers[] = {VJ_F32, VJ_F64, VJ_I8,  VJ_U8,  VJ_I16,     VJ_U16,
                                   VJ_I32, VJ_U32, VJ_I64, VJ_U64, VJ_NO_DTYPE};

static const vj_dtype some[] = {VJ_F32, VJ_F64, VJ_U8, VJ_I32, VJ_U64, VJ_BOOL, VJ_NO_DTYPE};
static const vj_dtype one[] = {VJ_F32, VJ_NO_DTYPE}; /* the text names no type */
static const vj_dtype any[] = {VJ_F32, VJ_F64, VJ_I8,  VJ_U8,  VJ_I16,  VJ_U16,
                               VJ_I32, VJ_U32, VJ_I64, VJ_U64, VJ_BOOL, VJ_NO_DTYPE};
/* One type of each kind, for cases whose other types another case covers. */
static const vj_dtype few[] = {VJ_F32, VJ_U8, VJ_I64, VJ_NO_DTYPE};
static const vj_dtype floats[] = {VJ_F32, VJ_F64, VJ_NO_DTYPE};

/* data [3, 7, 5], updates [3, 4, 5] with an index each, from -9 to 9, so that some are out of range */
#define SCATTER(how)                                                                                                   \
    "program p { %x: input 0 @[105] %i: input 1 i64[60] %u: input 2 @[60] %y: output 0 @[105]\n"                       \
    "kernel call k { routine scatter outer=3 length=7 inner=5 count=4 index_outer=20 index_count=5 index_inner=1 "     \
    "how=" #how "\nread %x[0] read %i[0] read %u[0] write %y[0] units 4 cost 1 } }"

#define SCAN(exclusive, reverse, product)                                                                              \
    "program p { %x: input 0 @[429] %y: output 0 @[429]\n"                                                             \
    "kernel call k { routine scan outer=1 length=11 inner=39 exclusive=" #exclusive " reverse=" #reverse               \
    " product=" #product "\nread %x[0] write %y[0] units 3 cost 1 } }"

/* 3 channels of 5 x 6. The regions are random, so that some are reversed or partly outside. */
#define ROIALIGN(samples, max, half, last)                                                                             \
    "program p { %x: input 0 @[180] %r: input 1 @[28] %b: input 2 i64[7] %y: output 0 @[252]\n"                        \
    "kernel call k { routine roialign regions=7 images=2 channels=3 height=5 width=6 out_h=3 out_w=4 "                 \
    "sampling=" #samples " max=" #max " half_pixel=" #half " channels_last=" #last                                     \
    " scale=0.5\nread %x[0] read %r[0] read %b[0] write %y[0] units 3 cost 1 } }"

#define GRIDSAMPLE(mode, padding, align)                                                                               \
    "program p { %x: input 0 @[180] %g: input 1 @[60] %y: output 0 @[90]\n"                                            \
    "kernel call k { routine gridsample images=2 channels=3 depth=1 height=5 width=6 places=15 axes=2 mode=" #mode     \
    " padding=" #padding " align=" #align "\nread %x[0] read %g[0] write %y[0] units 4 cost 1 } }"
#define GRIDSAMPLE_3D(mode, padding, align)                                                                            \
    "program p { %x: input 0 @[180] %g: input 1 @[45] %y: output 0 @[45]\n"                                            \
    "kernel call k { routine gridsample images=1 channels=3 depth=4 height=3 width=5 places=15 axes=3 mode=" #mode     \
    " padding=" #padding " align=" #align "\nread %x[0] read %g[0] write %y[0] units 4 cost 1 } }"

static const call_case call_cases[] = {
    {"places of what is not 0", some, 3, true, 0, 1, 0,
     "program p { %x: input 0 @[30] %p: output 0 i64[90] %n: output 1 i64[1]\n"
     "kernel call k { routine nonzero rank=3 size=30 d0=2 d1=3 d2=5 d3=1 d4=1 d5=1 d6=1 d7=1\n"
     "read %x[0] write %p[0] write %n[0] units 1 cost 1 } }"},
    {"kinds of numbers, in their order", some, 3, true, -4, 4, 0,
     "program p { %x: input 0 @[40] %c: input 1 i64[1] %a: output 0 i64[40] %k: output 1 i64[40] %m: output 2 "
     "i64[40]\n"
     "%n: output 3 i64[1] %s: arena u8[640]\n"
     "kernel call k { routine unique rows=40 width=1 size=40 sorted=1\n"
     "read %x[0] read %c[0] write %a[0] write %k[0] write %m[0] write %n[0] scratch %s[0] units 1 cost 1 } }"},
    {"kinds of rows, as they come", some, 3, true, 30, 31, 0,
     "program p { %x: input 0 @[80] %c: input 1 i64[1] %a: output 0 i64[40] %k: output 1 i64[40] %m: output 2 "
     "i64[40]\n"
     "%n: output 3 i64[1] %s: arena u8[1280]\n"
     "kernel call k { routine unique rows=40 width=2 size=40 sorted=0\n"
     "read %x[0] read %c[0] write %a[0] write %k[0] write %m[0] write %n[0] scratch %s[0] units 2 cost 1 } }"},
    {"suppression of corners, most of a class, a threshold of score", one, 3, false, 2, 4, 0,
     "program p { %b: input 0 f32[160] %s: input 1 f32[120] %m: input 2 i64[1] %l: input 3 f32[1] %c: input 4 "
     "i64[1]\n"
     "%y: output 0 i64[36] %n: output 1 i64[1] %o: arena u8[160]\n"
     "kernel call k { routine nms batch=2 classes=3 boxes=20 size=12 center=0 has_score=1\n"
     "read %b[0] read %s[0] read %m[0] read %l[0] read %l[0] read %c[0] write %y[0] write %n[0] scratch %o[0]\n"
     "units 1 cost 1 } }"},
    {"suppression of centres, all there are, odd numbers", one, 0.5, true, 9, 30, 0,
     "program p { %b: input 0 f32[80] %s: input 1 f32[20] %m: input 2 i64[1] %l: input 3 f32[1] %c: input 4 "
     "i64[1]\n"
     "%y: output 0 i64[60] %n: output 1 i64[1] %o: arena u8[320]\n"
     "kernel call k { routine nms batch=1 classes=1 boxes=20 size=20 center=1 has_score=0\n"
     "read %b[0] read %s[0] read %m[0] read %l[0] read %l[0] read %c[0] write %y[0] write %n[0] scratch %o[0]\n"
     "units 2 cost 1 } }"},
    {"what is inside of true dims", some, 3, true, 1, 4, 0,
     "program p { %x: input 0 @[60] %d: input 1 i64[3] %y: output 0 @[60]\n"
     "kernel call k { routine pack rank=3 d0=3 d1=4 d2=5 d3=1 d4=1 d5=1 d6=1 d7=1\n"
     "read %x[0] read %d[0] write %y[0] units 1 cost 1 } }"},
    {"a list to places inside of true dims", some, 3, true, 1, 4, 0,
     "program p { %x: input 0 @[50] %d: input 1 i64[3] %y: output 0 @[60]\n"
     "kernel call k { routine unpack n=50 rank=3 d0=3 d1=4 d2=5 d3=1 d4=1 d5=1 d6=1 d7=1\n"
     "read %x[0] read %d[0] write %y[0] units 3 cost 1 } }"},
    {"topk of a row", numbers, 3, true, -9, 9, 0,
     "program p { %x: input 0 @[37] %v: output 0 @[5] %i: output 1 i64[5] %s: arena u8[80]\n"
     "kernel call k { routine topk outer=1 length=37 inner=1 k=5 largest=1\n"
     "read %x[0] write %v[0] write %i[0] scratch %s[0] units 1 cost 1 } }"},
    {"topk along an inner axis, all, the least first", numbers, 3, true, -9, 9, 0,
     "program p { %x: input 0 @[105] %v: output 0 @[105] %i: output 1 i64[105] %s: arena u8[560]\n"
     "kernel call k { routine topk outer=3 length=7 inner=5 k=7 largest=0\n"
     "read %x[0] write %v[0] write %i[0] scratch %s[0] units 5 cost 1 } }"},
    {"scatter: set", any, 3, true, -9, 9, 0, SCATTER(0)},
    {"scatter: sum", few, 3, false, -9, 9, 1e-6, SCATTER(1)},
    {"scatter: product", few, 3, false, -9, 9, 1e-6, SCATTER(2)},
    {"scatter: largest", few, 3, true, -9, 9, 0, SCATTER(3)},
    {"scatter: least", few, 3, true, -9, 9, 0, SCATTER(4)},
    {"scatter rows", few, 3, true, -7, 6, 0,
     "program p { %x: input 0 @[105] %i: input 1 i64[4] %u: input 2 @[60] %y: output 0 @[105]\n"
     "kernel call k { routine scatter outer=3 length=7 inner=5 count=4 index_outer=0 index_count=1 index_inner=0 "
     "how=0\n"
     "read %x[0] read %i[0] read %u[0] write %y[0] units 4 cost 1 } }"},
    {"running sums", numbers, 3, false, -9, 9, 1e-6, SCAN(0, 0, 0)},
    {"running sums, without the element, from the end", few, 3, false, -9, 9, 1e-6, SCAN(1, 1, 0)},
    {"running products", few, 2, false, -3, 3, 1e-4, SCAN(0, 0, 1)},
    {"running products, without the element, from the end", few, 2, false, -3, 3, 1e-4, SCAN(1, 1, 1)},
    {"regions: means, as many samples as pixels", floats, 12, false, -1, 2, 4e-6, ROIALIGN(0, 0, 1, 0)},
    {"regions: means of 2 x 2", floats, 12, false, -1, 2, 4e-6, ROIALIGN(2, 0, 0, 1)},
    {"regions: largest of 3 x 3", floats, 12, false, 0, 1, 4e-6, ROIALIGN(3, 1, 1, 1)},
    {"regions: largest", floats, 12, false, 0, 1, 4e-6, ROIALIGN(0, 1, 0, 0)},
    {"regions far outside, and of no size that a number has", floats, 1e9, true, 0, 1, 1e9, ROIALIGN(0, 0, 0, 1)},
    {"grid: nearest, zeros", floats, 1.5, false, 0, 0, 0, GRIDSAMPLE(0, 0, 0)},
    {"grid: nearest, border, aligned", floats, 1.5, false, 0, 0, 0, GRIDSAMPLE(0, 1, 1)},
    {"grid: nearest, reflection", floats, 4, false, 0, 0, 0, GRIDSAMPLE(0, 2, 0)},
    {"grid: linear, zeros, aligned", floats, 1.5, false, 0, 0, 1e-5, GRIDSAMPLE(1, 0, 1)},
    {"grid: linear, border", floats, 1.5, false, 0, 0, 1e-5, GRIDSAMPLE(1, 1, 0)},
    {"grid: linear, reflection, aligned", floats, 4, false, 0, 0, 1e-5, GRIDSAMPLE(1, 2, 1)},
    {"grid: cubic, zeros", floats, 1.5, false, 0, 0, 1e-5, GRIDSAMPLE(2, 0, 0)},
    {"grid: cubic, border", floats, 1.5, false, 0, 0, 1e-5, GRIDSAMPLE(2, 1, 0)},
    {"grid: cubic, reflection", floats, 4, false, 0, 0, 2e-5, GRIDSAMPLE(2, 2, 0)},
    {"grid of three axes: nearest", floats, 1.5, false, 0, 0, 0, GRIDSAMPLE_3D(0, 0, 1)},
    {"grid of three axes: linear", floats, 1.5, false, 0, 0, 1e-5, GRIDSAMPLE_3D(1, 2, 0)},
    {"grid of three axes: cubic", floats, 1.5, false, 0, 0, 2e-5, GRIDSAMPLE_3D(2, 1, 0)},
    {"a grid of no numbers", floats, 1e30, true, 0, 0, 1e30, GRIDSAMPLE(1, 2, 0)},
};
#define CALL_CASES (sizeof call_cases / sizeof *call_cases)

#endif
