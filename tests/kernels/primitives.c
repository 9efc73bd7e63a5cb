/* SPDX-License-Identifier: Apache-2.0 */
/* primitives.c - see primitives.h. */
#include "primitives.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/module/object.h"
#include "needs.h"
#include "vitjit_half.h"

struct primitive {
    LLVMOrcLLJITRef jit;
    primitive_entry entry;
};

/* The definition. A number of 24 digits and a product of 16, added up in 53 and then cut to 24, are rounded as in one step. What that
 * leaves below 2^-126, were there no least exponent, is flushed. */
static double flushed(float x) { return fabsf(x) < 0x1p-126f ? copysign(0, (double)x) : (double)x; }

float add_product(float sum, uint16_t a, uint16_t b) {
    const double exact = flushed(vj_f32_of_bf16(a)) * flushed(vj_f32_of_bf16(b)) + flushed(sum);
    return fabs(exact) < 0x1p-126 * (1 - 0x1p-25) ? (float)copysign(0, exact) : (float)exact;
}

void same_bits(const char *name, float got, float want) {
    if (isnan(want) ? !isnan(got) : vj_bits_of_f32(want) != vj_bits_of_f32(got))
        fail_msg("%s: %08x, not %08x", name, vj_bits_of_f32(got), vj_bits_of_f32(want));
}

static void set_types(vj_gen *g) {
    g->i1 = LLVMInt1TypeInContext(g->context);
    g->i8 = LLVMInt8TypeInContext(g->context);
    g->i32 = LLVMInt32TypeInContext(g->context);
    g->i64 = LLVMInt64TypeInContext(g->context);
    g->f32 = LLVMFloatTypeInContext(g->context);
    g->f64 = LLVMDoubleTypeInContext(g->context);
    g->ptr = LLVMPointerTypeInContext(g->context, 0);
}

static void write_function(vj_gen *g, primitive_body write, const void *what) {
    LLVMTypeRef pointers[] = {g->ptr, g->ptr, g->ptr};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), pointers, 3, false);
    g->b = LLVMCreateBuilderInContext(g->context);
    g->function = LLVMAddFunction(g->module, "entry", type);
    vj_set_target_attributes(g, g->function);
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->context, g->function, "entry"));
    write(g, what);
    LLVMBuildRetVoid(g->b);
    LLVMDisposeBuilder(g->b);
}

static LLVMMemoryBufferRef object_of(const vj_target *target, primitive_body write, const void *what) {
    vj_error error = {0};
    char *message = NULL, name[200];
    LLVMMemoryBufferRef object = NULL;
    LLVMTargetMachineRef machine = vj_machine_new(target, &error);
    assert_non_null(machine);
    vj_gen g = {.module = vj_module_new(machine, target), .target = target, .error = &error};
    g.context = LLVMGetModuleContext(g.module);
    g.lanes = target->vector_bytes / 4;
    set_types(&g);
    write_function(&g, write, what);
    if (LLVMVerifyModule(g.module, LLVMReturnStatusAction, &message)) fail_msg("%s: %s", target->name, message);
    LLVMDisposeMessage(message);
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, g.module, LLVMObjectFile, &message, &object))
        fail_msg("%s: %s", target->name, message);
    vj_module_free(g.module);
    LLVMDisposeTargetMachine(machine);
    if (object_needs(LLVMGetBufferStart(object), LLVMGetBufferSize(object), name, sizeof name))
        fail_msg("%s needs '%s'", target->name, name);
    return object;
}

primitive *primitive_make(const vj_target *target, primitive_body write, const void *what) {
    LLVMMemoryBufferRef object = object_of(target, write, what);
    LLVMOrcExecutorAddress address = 0;
    if (!vj_target_runs_here(target)) {
        LLVMDisposeMemoryBuffer(object);
        return NULL;
    }
    primitive *p = calloc(1, sizeof *p);
    assert_non_null(p);
    LLVMErrorRef error = LLVMOrcCreateLLJIT(&p->jit, NULL);
    if (!error) error = LLVMOrcLLJITAddObjectFile(p->jit, LLVMOrcLLJITGetMainJITDylib(p->jit), object);
    if (!error) error = LLVMOrcLLJITLookup(p->jit, &address, "entry");
    if (error) fail_msg("%s", LLVMGetErrorMessage(error));
    p->entry = (primitive_entry)(uintptr_t)address; /* NOLINT: code from an address */
    return p;
}

primitive_entry primitive_at(const primitive *p) { return p->entry; }

void primitive_free(primitive *p) {
    if (p) LLVMOrcDisposeLLJIT(p->jit);
    free(p);
}

static uint32_t bits_of(rng *r, uint32_t exponent) { return (rng_next(r) & 0x807fffffu) | exponent << 23; }

/* A pair of factors whose product has about the exponent given, both as bfloat16. */
static void factors(rng *r, int32_t exponent, uint16_t *a, uint16_t *b) {
    const int32_t low = exponent - 127 > 1 ? exponent - 127 : 1, high = exponent + 126 < 254 ? exponent + 126 : 254;
    const int32_t first = low + (int32_t)(rng_next(r) % (uint32_t)(high - low + 1)), second = exponent + 127 - first;
    *a = (uint16_t)(bits_of(r, (uint32_t)first) >> 16);
    *b = (uint16_t)(bits_of(r, (uint32_t)(second < 0 ? 0 : second > 254 ? 254 : second)) >> 16);
}

static int32_t about(rng *r, int32_t exponent, int32_t spread) {
    return exponent + (int32_t)(rng_next(r) % (uint32_t)(2 * spread + 1)) - spread;
}

static uint32_t special(rng *r) {
    static const uint32_t all[] = {0,      0x8000, 0x0001, 0x807f, 0x0080, 0x8080, 0x7f7f, 0xff7f,
                                   0x7f80, 0xff80, 0x7fc0, 0x7f81, 0xffa5, 0x3f80, 0xbf80, 0x2000};
    return all[rng_next(r) % (sizeof all / sizeof *all)];
}

/* A sum, and two products near its size. */
static pair_sum near(rng *r, int32_t exponent) {
    uint16_t a[2], b[2];
    const uint32_t sum = bits_of(r, (uint32_t)vj_max64(0, vj_min64(255, about(r, exponent, 2))));
    for (int32_t half = 0; half < 2; half++)
        factors(r, about(r, exponent, 20), &a[half], &b[half]);
    return (pair_sum){sum, (uint32_t)a[1] << 16 | a[0], (uint32_t)b[1] << 16 | b[0]};
}

/* Two products that are opposite, or nearly so. */
static pair_sum cancelling(rng *r) {
    const pair_sum x = near(r, 120);
    const uint32_t a = x.a & 0xffff, b = x.b & 0xffff, digit = rng_next(r) % 2;
    return (pair_sum){bits_of(r, (uint32_t)about(r, 100, 30)), (a ^ 0x8000 ^ digit) << 16 | a, b << 16 | b};
}

pair_sum pair_sum_of(rng *r, int32_t kind) {
    pair_sum x;
    switch (kind) {
    case ANY_BITS:
        x.sum = rng_next(r), x.a = rng_next(r), x.b = rng_next(r);
        return x;
    case NEAR_UNDERFLOW:
        return near(r, about(r, 8, 12));
    case NEAR_OVERFLOW:
        return near(r, about(r, 250, 6));
    case CANCELLING:
        return cancelling(r);
    case SPECIAL:
        x.sum = special(r) << 16;
        x.a = special(r) << 16, x.a |= special(r);
        x.b = special(r) << 16, x.b |= special(r);
        return x;
    default:
        return near(r, 120);
    }
}
