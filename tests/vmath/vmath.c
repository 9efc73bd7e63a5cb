/* SPDX-License-Identifier: Apache-2.0 */
/* vmath.c - compares every vector function over the whole range of floats with the C library in double precision.
 *
 * Samples are every 997th bit pattern (4.3 million, NaNs among them), and all patterns around powers of two, zero, the
 * infinities, and the numbers where the implementations switch methods. The bounds are those that backend/math/vmath.c
 * states. Scalar code takes every 99,991st pattern, and so does a sanitizer's build, which does not see generated code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/emit/gen.h"
#include "backend/module/object.h"
#include "backend/math/vmath.h"
#include "ir/tensor/scalar.h"

#define BLOCK 4096
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VECTOR_STEP  99991
#define INSTRUMENTED true
#else
#define VECTOR_STEP  997
#define INSTRUMENTED false
#endif

typedef void (*map_fn)(const void *x, const void *y, void *out);

enum { EXP2_NEGATIVE = VJ_X_COUNT, EXP_NEGATIVE, EXP_NEGATIVE_COARSE, GELU_ERF_COARSE, GELU_TANH_COARSE };

typedef struct code {
    LLVMOrcLLJITRef jit;
    map_fn map;
} code;

/* Every row that runs here; of those a sanitizer's build takes this machine's own and its baseline: it compiles them, and sees the
 * generators alone. */
static bool is_tried(const vj_target *target) {
    const bool is_baseline = target->machine == vj_target_host()->machine && target->cpu_feature_bits == 0;
    return vj_target_runs_here(target) && (!INSTRUMENTED || target == vj_target_host() || is_baseline);
}

static LLVMTargetMachineRef machine_of(const vj_target *target) {
    vj_error error = {0};
    LLVMTargetMachineRef machine = vj_machine_new(target, &error);
    assert_non_null(machine);
    return machine;
}

static LLVMValueRef apply(vj_gen *g, int op, LLVMValueRef x, LLVMValueRef y) {
    switch (op) {
    case EXP2_NEGATIVE:
        return vj_exp2_negative(g, x);
    case EXP_NEGATIVE:
        return vj_exp_negative(g, x);
    case EXP_NEGATIVE_COARSE:
        return vj_exp_negative_coarse(g, x);
    case GELU_ERF_COARSE:
        return vj_emit_coarse(g, VJ_X_GELU_ERF, x);
    case GELU_TANH_COARSE:
        return vj_emit_coarse(g, VJ_X_GELU_TANH, x);
    default:
        return vj_emit_scalar(g, (vj_xop)op, LLVMTypeOf(x) == vj_like(g->f64, x) ? VJ_F64 : VJ_F32, x, y);
    }
}

/* void map(x, y, out): BLOCK elements, `lanes` at a time. The lookup fails when the code needs a symbol of others. */
static code make(const vj_target *target, int op, int32_t lanes, vj_dtype dtype) {
    LLVMContextRef context = LLVMContextCreate();
    vj_error error = {0};
    vj_gen gen = {.context = context,
                  .module = LLVMModuleCreateWithNameInContext("vmath", context),
                  .target = target,
                  .lanes = lanes,
                  .error = &error,
                  .i1 = LLVMInt1TypeInContext(context),
                  .i8 = LLVMInt8TypeInContext(context),
                  .i32 = LLVMInt32TypeInContext(context),
                  .i64 = LLVMInt64TypeInContext(context),
                  .f32 = LLVMFloatTypeInContext(context),
                  .f64 = LLVMDoubleTypeInContext(context),
                  .ptr = LLVMPointerTypeInContext(context, 0)};
    vj_gen *g = &gen;
    LLVMTypeRef parameters[3] = {g->ptr, g->ptr, g->ptr};
    g->function =
        LLVMAddFunction(g->module, "map", LLVMFunctionType(LLVMVoidTypeInContext(context), parameters, 3, false));
    g->b = LLVMCreateBuilderInContext(context);
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(context, g->function, ""));
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, BLOCK), lanes, true, NULL, 0);
    LLVMValueRef x = vj_element(g, LLVMGetParam(g->function, 0), dtype, loop.index);
    LLVMValueRef y = vj_element(g, LLVMGetParam(g->function, 1), dtype, loop.index);
    LLVMValueRef to = vj_element(g, LLVMGetParam(g->function, 2), dtype, loop.index);
    LLVMValueRef result =
        apply(g, op, vj_load_vector(g, x, dtype, lanes, NULL, NULL), vj_load_vector(g, y, dtype, lanes, NULL, NULL));
    vj_store_vector(g, to, result, NULL);
    vj_loop_end(g, &loop, NULL);
    LLVMBuildRetVoid(g->b);
    LLVMDisposeBuilder(g->b);
    assert_int_equal(error.status, VJ_OK);

    LLVMTargetMachineRef machine = machine_of(target);
    LLVMSetTarget(g->module, target->triple);
    char *message = NULL;
    assert_false(LLVMVerifyModule(g->module, LLVMReturnStatusAction, &message));
    LLVMDisposeMessage(message);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    assert_null(LLVMRunPasses(g->module, "function(instcombine<no-verify-fixpoint>,early-cse,loop-mssa(licm))", machine,
                              options));
    LLVMDisposePassBuilderOptions(options);
    LLVMMemoryBufferRef object = NULL;
    assert_false(LLVMTargetMachineEmitToMemoryBuffer(machine, g->module, LLVMObjectFile, &message, &object));
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeModule(g->module);
    LLVMContextDispose(context);
    code c = {0};
    LLVMOrcExecutorAddress address = 0;
    assert_null(LLVMOrcCreateLLJIT(&c.jit, NULL));
    assert_null(LLVMOrcLLJITAddObjectFile(c.jit, LLVMOrcLLJITGetMainJITDylib(c.jit), object));
    assert_null(LLVMOrcLLJITLookup(c.jit, &address, "map"));
    c.map = (map_fn)(uintptr_t)address;
    return c;
}

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The distance between neighbouring floats at y. */
static double ulp_at(double y) {
    const double size = fabs(y);
    if (size < 0x1p-126) return 0x1p-149;
    int exponent;
    frexp(size > FLT_MAX ? FLT_MAX : size, &exponent);
    return ldexp(1, exponent - 24);
}

typedef struct function {
    const char *name;
    int op;
    double (*truth)(double x);
    double ulps;     /* 0: absolute */
    double absolute; /* times max(|truth|, 1) */
    double limit;    /* only for |x| up to this; 0: all */
    double top;      /* only for x up to this; 0: all */
} function;

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double gelu_erf(double x) { return isinf(x) ? (x > 0 ? x : 0) : vj_f_gelu_erf(x); }
static double gelu_tanh(double x) { return x * sigmoid(1.5957691216057307117 * (x + 0.044715 * x * x * x)); }
static double gelu_tanh_limit(double x) { return isinf(x) ? (x > 0 ? x : 0) : gelu_tanh(x); }

static const function functions[] = {
    {"exp", VJ_X_EXP, exp, 2, 0, 0, 0},
    {"exp2_negative", EXP2_NEGATIVE, exp2, 2, 0x1p-126, 0, -1e-30},
    {"exp_negative", EXP_NEGATIVE, exp, 2, 0x1p-126, 0, -1e-30},
    {"exp_negative, coarse", EXP_NEGATIVE_COARSE, exp, 100, 0x1p-126, 0, -1e-30},
    {"gelu_erf, coarse", GELU_ERF_COARSE, gelu_erf, 0, 2e-6, 0, 0},
    {"gelu_tanh, coarse", GELU_TANH_COARSE, gelu_tanh_limit, 0, 8e-6, 0, 0},
    {"log", VJ_X_LOG, log, 2, 0, 0, 0},
    {"erf", VJ_X_ERF, erf, 3, 0, 0, 0},
    {"tanh", VJ_X_TANH, tanh, 3, 0, 0, 0},
    {"sigmoid", VJ_X_SIGMOID, sigmoid, 4, 0, 0, 0},
    {"gelu_erf", VJ_X_GELU_ERF, gelu_erf, 0, 1.5e-7, 0, 0},
    {"gelu_tanh", VJ_X_GELU_TANH, gelu_tanh_limit, 0, 4e-7, 0, 0},
    {"sin", VJ_X_SIN, sin, 2, 1e-7, 0, 0},
    {"cos", VJ_X_COS, cos, 2, 1e-7, 0, 0},
    {"tan", VJ_X_TAN, tan, 2, 0, 0, 0},
    {"asin", VJ_X_ASIN, asin, 2, 0, 0, 0},
    {"acos", VJ_X_ACOS, acos, 2, 0, 0, 0},
    {"atan", VJ_X_ATAN, atan, 2, 0, 0, 0},
    {"sinh", VJ_X_SINH, sinh, 2, 0, 0, 0},
    {"cosh", VJ_X_COSH, cosh, 2, 0, 0, 0},
    {"asinh", VJ_X_ASINH, asinh, 2, 0, 0, 0},
    {"acosh", VJ_X_ACOSH, acosh, 2, 0, 0, 0},
    {"atanh", VJ_X_ATANH, atanh, 2, 0, 0, 0},
};

typedef struct worst {
    double error; /* as a part of the bound */
    float x, y, got;
    double want;
} worst;

static void judge(worst *w, float x, float y, float got, double want, double ulps, double absolute) {
    double error;
    const float rounded = (float)want;
    if (isnan(want) || isnan(got))
        error = isnan(want) && isnan(got) ? 0 : INFINITY;
    else if (isinf(rounded) || isinf(got))
        error =
            got == rounded || (ulps > 0 && fabs(want) > FLT_MAX * 0.9999999 && fabs((double)got) > FLT_MAX * 0.9999999)
                ? 0
                : INFINITY;
    else {
        double bound = ulps * ulp_at(want);
        const double floor = absolute * fmax(fabs(want), 1);
        if (floor > bound) bound = floor;
        error = fabs((double)got - want) / bound;
    }
    if (error > w->error) *w = (worst){error, x, y, got, want};
}

/* A function's code for the rows that run here, and how far each is off at worst. */
enum { MOST_ROWS = 32 };
typedef struct rows {
    int32_t count;
    const vj_target *target[MOST_ROWS];
    code code[MOST_ROWS];
    worst worst[MOST_ROWS];
} rows;

static void judge_all(const function *f, const float *in, int32_t count, const float *out, const double *truth,
                      worst *w) {
    for (int32_t i = 0; i < count; i++) {
        if (f->limit != 0 && fabs((double)in[i]) > f->limit) continue;
        if (f->top != 0 && !isnan(in[i]) && in[i] > f->top) continue;
        judge(w, in[i], 0, out[i], truth[i], f->ulps, f->absolute);
    }
}

/* The truth is found once for all rows, and what has the bits of another row is judged with it. */
static void run(rows *all, const function *f, const float *x, int32_t count) {
    static float in[BLOCK], out[MOST_ROWS][BLOCK];
    static double truth[BLOCK];
    worst here[MOST_ROWS] = {0};
    memset(in, 0, sizeof in);
    memcpy(in, x, (size_t)count * sizeof *in);
    for (int32_t i = 0; i < count; i++)
        truth[i] = f->truth((double)in[i]);
    for (int32_t r = 0; r < all->count; r++) {
        int32_t same = 0;
        all->code[r].map(in, in, out[r]);
        while (memcmp(out[same], out[r], sizeof out[r]) != 0)
            same++;
        if (same == r) judge_all(f, in, count, out[r], truth, &here[r]);
        here[r] = here[same];
        if (here[r].error > all->worst[r].error) all->worst[r] = here[r];
    }
}

static void sweep(rows *all, const function *f, uint64_t step) {
    static float block[BLOCK];
    int32_t count = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += step) {
        block[count++] = from_bits((uint32_t)bits);
        if (count == BLOCK) {
            run(all, f, block, count);
            count = 0;
        }
    }
    run(all, f, block, count);
}

/* The 64 floats on both sides of each edge. */
static void edges(rows *all, const function *f) {
    static const float at[] = {0,     0x1p-126f,  1,       0.92f,     0.625f,      0.9277f,     4,          6.5f,
                               10,    15,         16.64f,  87.33654f, 88.7f,       89,          88.722839f, 103.97208f,
                               105,   104,        126,     127,       128,         129,         149,        150,
                               151,   0.7853982f, 0.5f,    2.0f,      1.41421356f, 0.70710678f, 1e6f,       1e20f,
                               1e30f, 1e38f,      FLT_MAX, INFINITY,  1e-20f,      1e-30f,      3.1415927f, 1.5707964f};
    float block[256];
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        uint32_t bits;
        memcpy(&bits, &at[i], sizeof bits);
        for (int32_t j = 0; j < 128; j++) {
            block[2 * j] = from_bits(bits + (uint32_t)j - 64);
            block[2 * j + 1] = -block[2 * j];
        }
        run(all, f, block, 256);
    }
    for (uint32_t exponent = 0; exponent < 256; exponent++) {
        for (uint32_t j = 0; j < 128; j++) {
            block[2 * j] = from_bits((exponent << 23) + j - 64);
            block[2 * j + 1] = -block[2 * j];
        }
        run(all, f, block, 256);
    }
}

/* In vectors of the row's registers, of at most so many lanes; 0: one by one. */
static void make_rows(rows *all, int op, int32_t most_lanes, vj_dtype dtype) {
    *all = (rows){0};
    for (int32_t t = 0; t < vj_target_count(); t++) {
        const vj_target *target = vj_target_at(t);
        if (!is_tried(target)) continue;
        const int32_t lanes = target->vector_bytes / 4;
        assert_true(all->count < MOST_ROWS);
        all->target[all->count] = target;
        all->code[all->count++] = make(target, op,
                                       most_lanes == 0      ? 1
                                       : lanes < most_lanes ? lanes
                                                            : most_lanes,
                                       dtype);
    }
}

static void free_rows(rows *all) {
    for (int32_t r = 0; r < all->count; r++)
        assert_null(LLVMOrcDisposeLLJIT(all->code[r].jit));
}

static void test_function(void **state) {
    static rows all;
    const function *f = *state;
    for (int32_t scalar = 1; scalar >= 0; scalar--) {
        make_rows(&all, f->op, scalar ? 0 : 16, VJ_F32);
        edges(&all, f);
        sweep(&all, f, scalar ? 99991 : VECTOR_STEP);
        for (int32_t r = 0; r < all.count; r++) {
            const worst *w = &all.worst[r];
            print_message("%-13s %-10s %s: %.3f of the bound at %a: %a, truly %a\n", f->name, all.target[r]->name,
                          scalar ? "scalar" : "vector", w->error, (double)w->x, (double)w->got, w->want);
            assert_true(w->error <= 1);
        }
        free_rows(&all);
    }
}

/* Compares f64 functions with the C library in extended precision, on random numbers of every magnitude and special
 * ones. */
typedef struct double_function {
    const char *name;
    int op;
    long double (*truth)(long double);
    double relative, absolute; /* the bound is the larger */
    double limit;              /* only for |x| up to this; 0: all */
} double_function;

static long double sigmoid_l(long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }

static const double_function double_functions[] = {
    {"exp f64", VJ_X_EXP, expl, 4e-16, 0x1p-1074, 0},    {"log f64", VJ_X_LOG, logl, 1e-14, 1e-14, 0},
    {"tanh f64", VJ_X_TANH, tanhl, 2e-15, 0x1p-1074, 0}, {"sigmoid f64", VJ_X_SIGMOID, sigmoid_l, 8e-16, 0x1p-1074, 0},
    {"sin f64", VJ_X_SIN, sinl, 1e-14, 1e-15, 1.6e6},    {"cos f64", VJ_X_COS, cosl, 1e-14, 1e-15, 1.6e6},
    {"tan f64", VJ_X_TAN, tanl, 1e-14, 1e-15, 1.6e6},
};

static double double_error(const double_function *f, long double want, double got) {
    const double rounded = (double)want;
    if (isnan(rounded) || isnan(got)) return isnan(rounded) && isnan(got) ? 0 : INFINITY;
    if (isinf(rounded) || isinf(got)) return got == rounded || fabsl(want) > 1.797e308L ? 0 : INFINITY;
    const long double bound = fmaxl((long double)f->relative * fabsl(want), (long double)f->absolute);
    return (double)(fabsl((long double)got - want) / bound);
}

static void fill_doubles(double *x, uint64_t *seed) {
    static const double special[] = {0,         1,         0.5,   709.78,   710,  745.2, 746,
                                     0x1p-1074, 0x1p-1022, 1e300, INFINITY, 0.25, 20,    1e-9};
    enum { COUNT = sizeof special / sizeof *special };
    for (int32_t i = 0; i < BLOCK; i++) {
        *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
        const double unit = (double)(int64_t)*seed * 0x1p-63;
        x[i] = i < 2 * COUNT ? (i % 2 ? -special[i / 2] : special[i / 2]) : ldexp(unit, (int)(*seed >> 8 & 31) - 16);
        if (i == 2 * COUNT) x[i] = NAN;
        if (i % 5 == 0 && i > 2 * COUNT) x[i] = ldexp(unit, (int)(*seed >> 8 & 2047) - 1060);
    }
}

static void run_doubles(rows *all, const double_function *f, const double *x) {
    static double out[MOST_ROWS][BLOCK];
    static long double truth[BLOCK];
    for (int32_t i = 0; i < BLOCK; i++)
        truth[i] = f->truth((long double)x[i]);
    for (int32_t r = 0; r < all->count; r++) {
        int32_t same = 0;
        all->code[r].map(x, x, out[r]);
        while (memcmp(out[same], out[r], sizeof out[r]) != 0)
            same++;
        for (int32_t i = 0; same == r && i < BLOCK; i++) {
            if (f->limit != 0 && !(fabs(x[i]) <= f->limit)) continue;
            const double error = double_error(f, truth[i], out[r][i]);
            if (error > all->worst[r].error) all->worst[r] = (worst){.error = error, .want = x[i]};
        }
        if (all->worst[same].error > all->worst[r].error) all->worst[r] = all->worst[same];
    }
}

static void test_double_function(void **state) {
    static rows all;
    static double x[BLOCK];
    const double_function *f = *state;
    for (int32_t scalar = 1; scalar >= 0; scalar--) {
        uint64_t seed = 3;
        make_rows(&all, f->op, scalar ? 0 : 8, VJ_F64);
        for (int32_t block = 0; block < 100; block++) {
            fill_doubles(x, &seed);
            run_doubles(&all, f, x);
        }
        for (int32_t r = 0; r < all.count; r++) {
            print_message("%-13s %-10s %s: %.3f of the bound at %a\n", f->name, all.target[r]->name,
                          scalar ? "scalar" : "vector", all.worst[r].error, all.worst[r].want);
            assert_true(all.worst[r].error <= 1);
        }
        free_rows(&all);
    }
}

static void test_two(const char *name, int op, double (*truth)(double, double)) {
    static const float special[] = {0,   1,        2,        3,     0.5f,  1.5f,     0x1p-149f,   0x1p-126f, 7,
                                    100, 16777216, 16777218, 1e10f, 3e38f, INFINITY, 0.99999994f, 1.0000001f};
    enum { COUNT = sizeof special / sizeof *special };
    for (int32_t t = 0; t < vj_target_count(); t++) {
        const vj_target *target = vj_target_at(t);
        if (!is_tried(target)) continue;
        code c = make(target, op, target->vector_bytes / 4, VJ_F32);
        worst w = {0};
        static float x[BLOCK], y[BLOCK], out[BLOCK];
        int32_t at = 0;
        for (int32_t i = 0; i < 2 * COUNT + 1; i++)
            for (int32_t j = 0; j < 2 * COUNT + 1; j++, at++) {
                x[at] = i == 2 * COUNT ? NAN : i < COUNT ? special[i] : -special[i - COUNT];
                y[at] = j == 2 * COUNT ? NAN : j < COUNT ? special[j] : -special[j - COUNT];
            }
        c.map(x, y, out);
        for (int32_t i = 0; i < at; i++)
            judge(&w, x[i], y[i], out[i], truth((double)x[i], (double)y[i]), op == VJ_X_MOD ? 0x1p-20 : 1, 0);
        uint64_t seed = 1;
        for (int32_t block = 0; block < 500; block++) {
            for (int32_t i = 0; i < BLOCK; i++) {
                seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                x[i] = from_bits((uint32_t)(seed >> 33) & (i % 7 ? 0x7fffffffu : 0xffffffffu));
                y[i] = ldexpf((float)(int32_t)(seed >> 32), (int)(seed >> 20 & 15) - 38);
            }
            c.map(x, y, out);
            for (int32_t i = 0; i < BLOCK; i++)
                judge(&w, x[i], y[i], out[i], truth((double)x[i], (double)y[i]), op == VJ_X_MOD ? 0x1p-20 : 1, 0);
        }
        print_message("%-13s %-10s %.3f of the bound at %a, %a: %a, truly %a\n", name, target->name, w.error,
                      (double)w.x, (double)w.y, (double)w.got, w.want);
        assert_true(w.error <= 1);
        LLVMErrorRef error = LLVMOrcDisposeLLJIT(c.jit);
        assert_null(error);
    }
}

static void test_pow(void **state) {
    (void)state;
    test_two("pow", VJ_X_POW, pow);
}

static void test_mod(void **state) {
    (void)state;
    test_two("mod", VJ_X_MOD, fmod);
}

/* The power of doubles. */
static void test_double_pow(void **state) {
    (void)state;
    for (int32_t t = 0; t < vj_target_count(); t++) {
        const vj_target *target = vj_target_at(t);
        if (!vj_target_runs_here(target)) continue;
        code c = make(target, VJ_X_POW, target->vector_bytes / 8, VJ_F64);
        uint64_t seed = 7;
        long double largest = 0;
        for (int32_t block = 0; block < 20; block++) {
            static double x[BLOCK], y[BLOCK], out[BLOCK];
            fill_doubles(x, &seed);
            fill_doubles(y, &seed);
            if (block % 2) memmove(y + 1, y, (BLOCK - 1) * sizeof *y); /* special numbers with others */
            if (block % 4 > 1)
                for (int32_t i = 0; i < BLOCK; i++)
                    y[i] = nearbyint(y[i]);
            c.map(x, y, out);
            for (int32_t i = 0; i < BLOCK; i++) {
                const long double want = powl((long double)x[i], (long double)y[i]);
                const double rounded = (double)want;
                if (!isfinite(rounded) || !isfinite(out[i]) || fabs(rounded) < 0x1p-1000 || fabs(rounded) > 0x1p1000) {
                    assert_int_equal(isnan(rounded), isnan(out[i]));
                    assert_int_equal(signbit(rounded), isnan(rounded) ? signbit(rounded) : signbit(out[i]));
                    continue;
                }
                const long double error = fabsl((long double)out[i] - want) / fabsl(want);
                if (error > largest) largest = error;
            }
        }
        print_message("pow f64       %-10s %Lg of the result\n", target->name, largest);
        assert_true(largest <= 2e-12L);
        LLVMErrorRef error = LLVMOrcDisposeLLJIT(c.jit);
        assert_null(error);
    }
}

/* The remainder of doubles is exact. */
static void test_double_mod(void **state) {
    (void)state;
    for (int32_t t = 0; t < vj_target_count(); t++) {
        const vj_target *target = vj_target_at(t);
        if (!is_tried(target)) continue;
        code c = make(target, VJ_X_MOD, target->vector_bytes / 8, VJ_F64);
        uint64_t seed = 5;
        for (int32_t block = 0; block < 20; block++) {
            static double x[BLOCK], y[BLOCK], out[BLOCK];
            fill_doubles(x, &seed);
            fill_doubles(y, &seed);
            if (block % 2) memmove(y + 1, y, (BLOCK - 1) * sizeof *y); /* special numbers with others */
            c.map(x, y, out);
            for (int32_t i = 0; i < BLOCK; i++) {
                const double want = fmod(x[i], y[i]);
                if (!(isnan(want) ? isnan(out[i]) : out[i] == want))
                    print_message("%s: fmod(%a, %a) is %a, truly %a\n", target->name, x[i], y[i], out[i], want);
                assert_true(isnan(want) ? isnan(out[i]) : out[i] == want);
            }
        }
        LLVMErrorRef error = LLVMOrcDisposeLLJIT(c.jit);
        assert_null(error);
    }
}

int main(void) {
    enum { COUNT = sizeof functions / sizeof *functions, DOUBLES = sizeof double_functions / sizeof *double_functions };
    struct CMUnitTest tests[COUNT + 4 + DOUBLES];
    for (size_t i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){functions[i].name, test_function, NULL, NULL, (void *)(uintptr_t)&functions[i]};
    tests[COUNT] = (struct CMUnitTest)cmocka_unit_test(test_pow);
    tests[COUNT + 1] = (struct CMUnitTest)cmocka_unit_test(test_mod);
    tests[COUNT + 2] = (struct CMUnitTest)cmocka_unit_test(test_double_mod);
    tests[COUNT + 3] = (struct CMUnitTest)cmocka_unit_test(test_double_pow);
    for (size_t i = 0; i < DOUBLES; i++)
        tests[COUNT + 4 + i] = (struct CMUnitTest){double_functions[i].name, test_double_function, NULL, NULL,
                                                   (void *)(uintptr_t)&double_functions[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
