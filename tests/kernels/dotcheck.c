/* dotcheck.c - compares dot products of pairs of bfloat16, by the row's instruction and by its twin, with their definition in doubles,
 * bit for bit: ordinary numbers, and those at which a product, a sum or their order could be rounded, flushed or lost otherwise.
 */
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

#include "backend/emit/gen.h"
#include "backend/module/object.h"
#include "harness.h"
#include "needs.h"
#include "vitjit_half.h"

enum { LANES = 16, ROUNDS = 20000 };

typedef struct operands {
    uint32_t sum[LANES], a[LANES], b[LANES]; /* a float; pairs of bfloat16 */
} operands;

/* sum += pairs of a and b. */
typedef void (*dot_entry)(float *sum, const uint32_t *a, const uint32_t *b);

/* The definition. A number of 24 digits and a product of 16, added up in 53 and then cut to 24, are rounded as in one step. What that
 * leaves below 2^-126, were there no least exponent, is flushed. */
static double flushed(float x) { return fabsf(x) < 0x1p-126f ? copysign(0, (double)x) : (double)x; }

static float add_product(float sum, uint16_t a, uint16_t b) {
    const double exact = flushed(vj_f32_of_bf16(a)) * flushed(vj_f32_of_bf16(b)) + flushed(sum);
    return fabs(exact) < 0x1p-126 * (1 - 0x1p-25) ? (float)copysign(0, exact) : (float)exact;
}

static float defined(float sum, uint32_t a, uint32_t b) {
    sum = add_product(sum, (uint16_t)(a >> 16), (uint16_t)(b >> 16));
    return add_product(sum, (uint16_t)a, (uint16_t)b);
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

/* The function's body: all LANES, by vectors of `lanes`. */
static void write_body(vj_gen *g, int32_t lanes) {
    LLVMValueRef sum = LLVMGetParam(g->function, 0), a = LLVMGetParam(g->function, 1), b = LLVMGetParam(g->function, 2);
    for (int32_t i = 0; i < LANES; i += lanes) {
        LLVMValueRef at = vj_i64(g, i), to = vj_element(g, sum, VJ_F32, at);
        LLVMValueRef x = vj_load_vector(g, vj_element(g, a, VJ_I32, at), VJ_I32, lanes, NULL, NULL);
        LLVMValueRef y = vj_load_vector(g, vj_element(g, b, VJ_I32, at), VJ_I32, lanes, NULL, NULL);
        LLVMValueRef z = vj_load_vector(g, to, VJ_F32, lanes, NULL, NULL);
        vj_store_vector(g, to, vj_dot_bf16(g, z, x, y), NULL);
    }
    LLVMBuildRetVoid(g->b);
}

static LLVMMemoryBufferRef object_of(const vj_target *target, int32_t lanes) {
    vj_error error = {0};
    char *message = NULL;
    LLVMMemoryBufferRef object = NULL;
    LLVMTargetMachineRef machine = vj_machine_new(target, &error);
    assert_non_null(machine);
    vj_gen g = {.module = vj_module_new(machine, target), .target = target, .error = &error};
    g.context = LLVMGetModuleContext(g.module);
    set_types(&g);
    g.b = LLVMCreateBuilderInContext(g.context);
    LLVMTypeRef pointers[] = {g.ptr, g.ptr, g.ptr};
    g.function =
        LLVMAddFunction(g.module, "entry", LLVMFunctionType(LLVMVoidTypeInContext(g.context), pointers, 3, false));
    vj_set_target_attributes(&g, g.function);
    LLVMPositionBuilderAtEnd(g.b, LLVMAppendBasicBlockInContext(g.context, g.function, "entry"));
    write_body(&g, lanes);
    LLVMDisposeBuilder(g.b);
    if (LLVMVerifyModule(g.module, LLVMReturnStatusAction, &message)) fail_msg("%s", message);
    LLVMDisposeMessage(message);
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, g.module, LLVMObjectFile, &message, &object))
        fail_msg("%s", message);
    vj_module_free(g.module);
    LLVMDisposeTargetMachine(machine);
    char name[200];
    if (object_needs(LLVMGetBufferStart(object), LLVMGetBufferSize(object), name, sizeof name))
        fail_msg("%s needs '%s'", target->name, name);
    return object;
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

enum { ORDINARY, ANY_BITS, NEAR_UNDERFLOW, NEAR_OVERFLOW, CANCELLING, SPECIAL, KINDS };

/* A sum, and two products near its size. */
static void fill_near(rng *r, int32_t exponent, operands *x, int32_t i) {
    uint16_t a[2], b[2];
    x->sum[i] = bits_of(r, (uint32_t)vj_max64(0, vj_min64(255, about(r, exponent, 2))));
    for (int32_t half = 0; half < 2; half++)
        factors(r, about(r, exponent, 20), &a[half], &b[half]);
    x->a[i] = (uint32_t)a[1] << 16 | a[0];
    x->b[i] = (uint32_t)b[1] << 16 | b[0];
}

static void fill(rng *r, int32_t kind, operands *x, int32_t i) {
    fill_near(r, kind == NEAR_UNDERFLOW ? about(r, 8, 12) : kind == NEAR_OVERFLOW ? about(r, 250, 6) : 120, x, i);
    if (kind == ANY_BITS) x->sum[i] = rng_next(r), x->a[i] = rng_next(r), x->b[i] = rng_next(r);
    if (kind == CANCELLING) { /* the products are opposite, or nearly so */
        const uint32_t digit = rng_next(r) % 2;
        x->a[i] = (x->a[i] & 0xffff) | ((x->a[i] & 0xffff) ^ 0x8000 ^ digit) << 16;
        x->b[i] = (x->b[i] & 0xffff) * 0x10001u;
        x->sum[i] = bits_of(r, (uint32_t)about(r, 100, 30));
    }
    if (kind == SPECIAL) {
        x->sum[i] = special(r) << 16;
        x->a[i] = special(r) << 16 | special(r);
        x->b[i] = special(r) << 16 | special(r);
    }
}

static void compare(const vj_target *target, dot_entry entry, const operands *x) {
    float sum[LANES];
    memcpy(sum, x->sum, sizeof sum);
    entry(sum, x->a, x->b);
    for (int32_t i = 0; i < LANES; i++) {
        const float want = defined(vj_f32_of_bits(x->sum[i]), x->a[i], x->b[i]);
        if (isnan(want) ? !isnan(sum[i]) : vj_bits_of_f32(want) != vj_bits_of_f32(sum[i]))
            fail_msg("%s: %08x + %08x . %08x is %08x, not %08x", target->name, x->sum[i], x->a[i], x->b[i],
                     vj_bits_of_f32(sum[i]), vj_bits_of_f32(want));
    }
}

static void check(const vj_target *target, int32_t lanes) {
    LLVMMemoryBufferRef object = object_of(target, lanes);
    if (!vj_target_runs_here(target)) {
        LLVMDisposeMemoryBuffer(object);
        return;
    }
    LLVMOrcLLJITRef jit;
    LLVMOrcExecutorAddress address = 0;
    LLVMErrorRef error = LLVMOrcCreateLLJIT(&jit, NULL);
    if (!error) error = LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), object);
    if (!error) error = LLVMOrcLLJITLookup(jit, &address, "entry");
    if (error) fail_msg("%s", LLVMGetErrorMessage(error));
    rng r = {.state = 2024};
    for (int32_t round = 0; round < ROUNDS; round++) {
        operands x;
        for (int32_t i = 0; i < LANES; i++)
            fill(&r, round % KINDS, &x, i);
        compare(target, (dot_entry)(uintptr_t)address, &x); /* NOLINT: code from an address */
    }
    LLVMOrcDisposeLLJIT(jit);
}

static void by_instruction(void **state) {
    (void)state;
    for (int32_t i = 0; i < vj_target_count(); i++)
        for (int32_t lanes = 4; lanes <= LANES; lanes *= 2)
            if (vj_target_at(i)->dot == VJ_DOT_AVX512) check(vj_target_at(i), lanes);
}

static void by_twin(void **state) {
    (void)state;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        vj_target target = *vj_target_at(i);
        target.dot = VJ_DOT_AVX512_TWIN;
        check(&target, target.vector_bytes > 16 ? target.vector_bytes / 4 : 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_instruction), cmocka_unit_test(by_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
