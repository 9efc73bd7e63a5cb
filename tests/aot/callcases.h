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

static const call_case call_cases[] = {
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
