/* SPDX-License-Identifier: Apache-2.0 */
/* compiled_test.c - compiles and runs each ONNX op of the packs *ops.bin, and compares with ONNX Runtime's answer. A
 * sanitizer's build, in which LLVM takes most of the time, does every sixth of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vitjit_half.h"
#include "pack.h"
#include "vitjit.h"

/* Kernels compute in float32 and add in another order than ONNX Runtime. */
static const double tolerance = 2e-5, half_tolerance = 2e-3, bfloat_tolerance = 2e-2;

static void put(vj_dtype dtype, void *to, int64_t at, double f, int64_t i) {
    switch (dtype) {
    case VJ_F32:
        ((float *)to)[at] = (float)f;
        return;
    case VJ_F64:
        ((double *)to)[at] = f;
        return;
    case VJ_F16:
        ((uint16_t *)to)[at] = vj_f16_of(f);
        return;
    case VJ_BF16:
        ((uint16_t *)to)[at] = vj_bf16_of(f);
        return;
    default: /* integers: the low bytes */
        memcpy((char *)to + (size_t)at * vj_dtype_bytes(dtype), &i, vj_dtype_bytes(dtype));
    }
}

static double float_at(vj_dtype dtype, const void *from, int64_t at) {
    switch (dtype) {
    case VJ_F32:
        return (double)((const float *)from)[at];
    case VJ_F64:
        return ((const double *)from)[at];
    case VJ_F16:
        return (double)vj_f32_of_f16(((const uint16_t *)from)[at]);
    default:
        return (double)vj_f32_of_bf16(((const uint16_t *)from)[at]);
    }
}

static int64_t int_at(vj_dtype dtype, const void *from, int64_t at) {
    const size_t bytes = vj_dtype_bytes(dtype);
    const char *place = (const char *)from + (size_t)at * bytes;
    uint64_t raw = 0;
    memcpy(&raw, place, bytes);
    const bool is_signed = dtype == VJ_I8 || dtype == VJ_I16 || dtype == VJ_I32;
    if (is_signed && raw >> (8 * bytes - 1)) raw |= ~UINT64_C(0) << (8 * bytes);
    return (int64_t)raw;
}

static bool is_float(vj_dtype dtype) {
    return dtype == VJ_F32 || dtype == VJ_F64 || dtype == VJ_F16 || dtype == VJ_BF16;
}

static bool same(vj_dtype dtype, const void *got, const vj_pack_tensor *want, char *why, size_t room) {
    const double allowed = dtype == VJ_F16 ? half_tolerance : dtype == VJ_BF16 ? bfloat_tolerance : tolerance;
    double largest = 0;
    if (is_float(dtype) == want->is_integer) return snprintf(why, room, "the type differs") < 0;
    for (int64_t i = 0; want->f && i < want->count; i++)
        if (isfinite(want->f[i])) largest = fmax(largest, fabs(want->f[i]));
    for (int64_t i = 0; i < want->count; i++) {
        if (want->is_integer) {
            if (int_at(dtype, got, i) == want->i[i]) continue;
            return snprintf(why, room, "element %lld differs", (long long)i) < 0;
        }
        const double x = float_at(dtype, got, i), y = want->f[i];
        if (isnan(y) ? isnan(x) : isinf(y) ? x == y : fabs(x - y) <= allowed * largest) continue;
        return snprintf(why, room, "element %lld is %g, not %g", (long long)i, x, y) < 0;
    }
    return true;
}

static bool bind_inputs(vj_session *session, const vj_model *model, const vj_pack_tensor *in, uint32_t count,
                        void **memory) {
    for (uint32_t i = 0; i < count; i++) {
        const vj_dtype dtype = vj_input_dtype(model, (int32_t)i);
        int64_t dims[8];
        memory[i] = calloc((size_t)in[i].count + 1, 8);
        for (int64_t e = 0; e < in[i].count; e++)
            put(dtype, memory[i], e, in[i].f ? in[i].f[e] : 0, in[i].i ? in[i].i[e] : 0);
        for (uint32_t d = 0; d < in[i].rank; d++)
            dims[d] = in[i].dims[d];
        if (vj_bind_input(session, vj_input_name(model, (int32_t)i), memory[i],
                          (size_t)in[i].count * vj_dtype_bytes(dtype), dtype, dims, (int32_t)in[i].rank) != VJ_OK)
            return false;
    }
    return true;
}

static bool run_model(vj_model *model, const vj_pack_tensor *in, uint32_t in_count, const vj_pack_tensor *want,
                      uint32_t want_count, char *why, size_t room) {
    void *memory[2 * VJ_PACK_TENSORS] = {NULL};
    vj_session *session = NULL;
    bool ok = (uint32_t)vj_input_count(model) == in_count && (uint32_t)vj_output_count(model) == want_count &&
              vj_session_create(model, &session) == VJ_OK && bind_inputs(session, model, in, in_count, memory);
    for (uint32_t i = 0; ok && i < want_count; i++) {
        const size_t bytes = vj_output_bound(session, (int32_t)i);
        memory[VJ_PACK_TENSORS + i] = calloc(bytes + 1, 1);
        ok = vj_bind_output(session, (int32_t)i, memory[VJ_PACK_TENSORS + i], bytes) == VJ_OK;
    }
    ok = ok && vj_run(session) == VJ_OK;
    snprintf(why, room, "%s", ok ? "" : vj_error_message());
    for (uint32_t i = 0; ok && i < want_count; i++) {
        int64_t dims[VJ_MODEL_MAX_RANK];
        ok = vj_output_shape(session, (int32_t)i, dims) == (int32_t)want[i].rank;
        for (uint32_t d = 0; ok && d < want[i].rank; d++)
            ok = dims[d] == (int64_t)want[i].dims[d];
        if (!ok) snprintf(why, room, "result %u differs in shape", i);
        ok = ok && same(vj_output_dtype(model, (int32_t)i), memory[VJ_PACK_TENSORS + i], &want[i], why, room);
    }
    vj_session_free(session);
    for (int i = 0; i < 2 * VJ_PACK_TENSORS; i++)
        free(memory[i]);
    return ok;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EVERY 6
#else
#define EVERY 1
#endif

static int bad, count, refused;

static void run_case(const char *name, const uint8_t *bytes, size_t size, const vj_pack_tensor *in, uint32_t in_count,
                     const vj_pack_tensor *want, uint32_t want_count) {
    char why[2048];
    vj_options options;
    vj_model *model = NULL;
    vj_options_init(&options);
    options.in_process = 1; /* many small models */
    options.threads = 2;
    options.cache = "";
    const vj_status status = vj_compile_memory(bytes, size, &options, &model);
    if (status == VJ_UNSUPPORTED) {
        refused++;
        print_message("%s: refused: %s\n", name, vj_error_message());
    } else if (status != VJ_OK) {
        bad++;
        print_message("%s: %s\n", name, vj_error_message());
    } else if (!run_model(model, in, in_count, want, want_count, why, sizeof why)) {
        bad++;
        print_message("%s: %s\n", name, why);
    }
    vj_model_free(model);
}

static void run_pack(const char *file) {
    vj_pack pack = vj_pack_open(file);
    while (vj_pack_more(&pack)) {
        char name[128];
        size_t size;
        vj_pack_tensor in[VJ_PACK_TENSORS], want[VJ_PACK_TENSORS];
        vj_pack_text(&pack, name, sizeof name);
        const uint8_t *bytes = vj_pack_bytes(&pack, &size);
        vj_pack_u32(&pack); /* the batch */
        const uint32_t in_count = vj_pack_tensors(&pack, in), want_count = vj_pack_tensors(&pack, want);
        if (count++ % EVERY == 0) run_case(name, bytes, size, in, in_count, want, want_count);
        vj_pack_free_tensors(in, in_count);
        vj_pack_free_tensors(want, want_count);
    }
    vj_pack_close(&pack);
}

static void every_op_compiled_gives_the_answer_of_onnx_runtime(void **state) {
    (void)state;
    vj_packs("ops.bin", run_pack);
    assert_true(count > 200);
    assert_int_equal(bad, 0);
    /* mathematical functions of floats of 16 and 64 bits, and padding in other modes */
    assert_true(refused <= 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_op_compiled_gives_the_answer_of_onnx_runtime)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
