/* callcases.h - programs of one call; '@' in the text stands for each of the types in turn. */
#ifndef VITJIT_TESTS_AOT_CALLCASES_H
#define VITJIT_TESTS_AOT_CALLCASES_H

#include "ir/kernel.h"

typedef struct call_case {
    const char *name;
    const vj_dtype *types; /* ends with VJ_NO_DTYPE */
    double scale;          /* floats lie within [-scale, scale) */
    bool specials;         /* and are NaN, infinite or -0 now and then */
    int32_t low, high;     /* integers; without their sign where they have none */
    double tolerance;      /* of floats, of max(|truth|, 1) */
    const char *text;
} call_case;

static const vj_dtype numbers[] = {VJ_F32, VJ_F64, VJ_I8,  VJ_U8,  VJ_I16,     VJ_U16,
                                   VJ_I32, VJ_U32, VJ_I64, VJ_U64, VJ_NO_DTYPE};

static const vj_dtype some[] = {VJ_F32, VJ_F64, VJ_U8, VJ_I32, VJ_U64, VJ_BOOL, VJ_NO_DTYPE};
static const vj_dtype one[] = {VJ_F32, VJ_NO_DTYPE}; /* the text names no type */

static const call_case call_cases[] = {
    {"places of what is not 0", some, 3, true, 0, 1, 0,
     "program p { %x: input 0 @[30] %p: output 0 i64[90] %n: output 1 i64[1]\n"
     "kernel call k { routine nonzero rank=3 size=30 d0=2 d1=3 d2=5 d3=1 d4=1 d5=1 d6=1 d7=1\n"
     "read %x[0] write %p[0] write %n[0] units 1 cost 1 } }"},
    {"kinds of numbers, in their order", some, 3, true, -4, 4, 0,
     "program p { %x: input 0 @[40] %c: input 1 i64[1] %a: output 0 i64[40] %k: output 1 i64[40] %m: output 2 i64[40]\n"
     "%n: output 3 i64[1] %s: arena u8[640]\n"
     "kernel call k { routine unique rows=40 width=1 size=40 sorted=1\n"
     "read %x[0] read %c[0] write %a[0] write %k[0] write %m[0] write %n[0] scratch %s[0] units 1 cost 1 } }"},
    {"kinds of rows, as they come", some, 3, true, 30, 31, 0,
     "program p { %x: input 0 @[80] %c: input 1 i64[1] %a: output 0 i64[40] %k: output 1 i64[40] %m: output 2 i64[40]\n"
     "%n: output 3 i64[1] %s: arena u8[1280]\n"
     "kernel call k { routine unique rows=40 width=2 size=40 sorted=0\n"
     "read %x[0] read %c[0] write %a[0] write %k[0] write %m[0] write %n[0] scratch %s[0] units 2 cost 1 } }"},
    {"suppression of corners, most of a class, a threshold of score", one, 3, false, 2, 4, 0,
     "program p { %b: input 0 f32[160] %s: input 1 f32[120] %m: input 2 i64[1] %l: input 3 f32[1] %c: input 4 i64[1]\n"
     "%y: output 0 i64[36] %n: output 1 i64[1] %o: arena u8[160]\n"
     "kernel call k { routine nms batch=2 classes=3 boxes=20 size=12 center=0 has_score=1\n"
     "read %b[0] read %s[0] read %m[0] read %l[0] read %l[0] read %c[0] write %y[0] write %n[0] scratch %o[0]\n"
     "units 1 cost 1 } }"},
    {"suppression of centres, all there are, odd numbers", one, 0.5, true, 9, 30, 0,
     "program p { %b: input 0 f32[80] %s: input 1 f32[20] %m: input 2 i64[1] %l: input 3 f32[1] %c: input 4 i64[1]\n"
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
};
#define CALL_CASES (sizeof call_cases / sizeof *call_cases)

#endif
