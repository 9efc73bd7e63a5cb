/* SPDX-License-Identifier: Apache-2.0 */
/* halfcheck.c - compares casts between float32 and the 16-bit floats with include/vitjit_half.h, which rounds a double once,
 * bit for bit. It tests every target that runs here, vectors and single elements, all 65,536 halves, the float32
 * numbers on, beside and halfway between halves, and a million patterns more. The other targets' code must need no
 * function. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"
#include "vitjit_half.h"

enum { HALVES = 1 << 16, FLOATS = 6 * HALVES + (1 << 20) + 5 }; /* an odd number: the last vector is cut */

static float from_half(vj_dtype dtype, uint16_t h) { return dtype == VJ_F16 ? vj_f32_of_f16(h) : vj_f32_of_bf16(h); }
static uint16_t to_half(vj_dtype dtype, float x) {
    return dtype == VJ_F16 ? vj_f16_of((double)x) : vj_bf16_of((double)x);
}
/* The same from a float, as weights are packed. */
static uint16_t packed_half(vj_dtype dtype, float x) { return dtype == VJ_F16 ? vj_f16_of_f32(x) : vj_bf16_of_f32(x); }

/* out = cast(in) for `count` elements that are `step` apart in the source. With a step of 2 they are read one by
 * one. */
static vj_program *cast_program(vj_arena *arena, vj_dtype from, vj_dtype to, int64_t count, int64_t step) {
    const char *a = vj_element_name(from), *b = vj_element_name(to);
    const char *text =
        vj_sprintf(arena,
                   "program casts {\n  %%x: arena %s[%lld]\n  %%y: arena %s[%lld]\n"
                   "  kernel nest cast {\n    outer i0:%lld\n    row\n    in x0 = %%x[%lld*i0]\n"
                   "    out %%y[i0] = cast:%s(x0)\n  }\n}\n",
                   a, (long long)(count * step), b, (long long)count, (long long)count, (long long)step, b);
    vj_error error = {0};
    vj_program *p = vj_parse_program(arena, text, &error);
    if (!p || !vj_verify_program(p, &error)) fail_msg("%s", error.text);
    return p;
}

/* The same for rows of 16 that stand as columns in the source, `rows` elements apart. */
static vj_program *turned_program(vj_arena *arena, vj_dtype to, int64_t rows) {
    const char *name = vj_element_name(to);
    const long long count = 16 * rows;
    const char *text = vj_sprintf(arena,
                                  "program casts {\n  %%x: arena f32[%lld]\n  %%y: arena %s[%lld]\n"
                                  "  kernel nest cast {\n    outer i0:%lld, i1:16\n    row\n"
                                  "    in x0 = %%x[i0 + %lld*i1]\n    out %%y[16*i0 + i1] = cast:%s(x0)\n  }\n}\n",
                                  count, name, count, (long long)rows, (long long)rows, name);
    vj_error error = {0};
    vj_program *p = vj_parse_program(arena, text, &error);
    if (!p || !vj_verify_program(p, &error)) fail_msg("%s", error.text);
    return p;
}

static void run_program(const vj_target *target, vj_arena *arena, vj_program *p, const void *in, void *out) {
    vj_kernel *k = p->kernels[0];
    const size_t in_bytes = (size_t)(vj_element_bytes(p->buffers[0].dtype) * p->buffers[0].elements);
    const size_t out_bytes = (size_t)(vj_element_bytes(p->buffers[1].dtype) * p->buffers[1].elements);
    vj_schedule_kernel(arena, target, p, k);
    guarded source = guarded_new(in_bytes, 1), result = guarded_new(out_bytes, 1);
    memcpy(source.at, in, in_bytes);
    code *c = code_make(target, p, k);
    code_run(c, (void *[]){source.at, result.at}, 0, k->units);
    memcpy(out, result.at, out_bytes);
    code_free(c);
    guarded_free(&source);
    guarded_free(&result);
}

static void run_cast(const vj_target *target, vj_dtype from, vj_dtype to, int64_t count, const void *in, void *out) {
    vj_arena *arena = vj_arena_new();
    run_program(target, arena, cast_program(arena, from, to, count, 1), in, out);
    vj_arena_free(arena);
}

/* Turned, floats have the bits that they have one after another. */
static void turning_rounds_alike(const vj_target *target, vj_dtype dtype, const float *in, const uint16_t *want) {
    enum { ROWS = FLOATS / 16 - 3 }; /* no multiple of a vector's lanes */
    uint16_t *got = malloc(16 * ROWS * sizeof *got);
    vj_arena *arena = vj_arena_new();
    run_program(target, arena, turned_program(arena, dtype, ROWS), in, got);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 16; j++)
            if (got[16 * i + j] != want[i + ROWS * j])
                fail_msg("%s: %08x turned is %04x, not %04x", target->name, vj_bits_of_f32(in[i + ROWS * j]),
                         got[16 * i + j], want[i + ROWS * j]);
    vj_arena_free(arena);
    free(got);
}

static void every_half_becomes_its_float(const vj_target *target, vj_dtype dtype) {
    uint16_t *in = malloc(HALVES * sizeof *in);
    float *out = malloc(HALVES * sizeof *out);
    for (int i = 0; i < HALVES; i++)
        in[i] = (uint16_t)i;
    run_cast(target, dtype, VJ_F32, HALVES, in, out);
    for (int i = 0; i < HALVES; i++) {
        const float want = from_half(dtype, in[i]);
        if (isnan(want) ? !isnan(out[i]) : vj_bits_of_f32(out[i]) != vj_bits_of_f32(want))
            fail_msg("%s: %s %04x is %.9g, not %.9g", target->name, vj_element_name(dtype), i, (double)out[i],
                     (double)want);
    }
    free(in);
    free(out);
}

/* For each half, lists itself, its neighbours in float32, and the middle to the next half with its neighbours. */
static void fill_floats(vj_dtype dtype, float *x) {
    int64_t n = 0;
    for (int i = 0; i < HALVES; i++) {
        const uint32_t here = vj_bits_of_f32(from_half(dtype, (uint16_t)i));
        const uint32_t next = vj_bits_of_f32(from_half(dtype, (uint16_t)(i + 1))), middle = here + (next - here) / 2;
        const uint32_t around[6] = {here, here - 1, here + 1, middle, middle - 1, middle + 1};
        for (int j = 0; j < 6; j++)
            x[n++] = vj_f32_of_bits(around[j]);
    }
    for (uint32_t u = 12345; n < FLOATS; u += 4093u * 3)
        x[n++] = vj_f32_of_bits(u);
}

static void every_float_is_rounded_once(const vj_target *target, vj_dtype dtype) {
    float *in = malloc(FLOATS * sizeof *in);
    uint16_t *out = malloc(FLOATS * sizeof *out);
    fill_floats(dtype, in);
    run_cast(target, VJ_F32, dtype, FLOATS, in, out);
    for (int64_t i = 0; i < FLOATS; i++) {
        const uint16_t want = to_half(dtype, in[i]), packed = packed_half(dtype, in[i]);
        if (isnan(in[i]) ? !isnan(from_half(dtype, packed)) : packed != want)
            fail_msg("%.9g as %s is packed as %04x, not %04x", (double)in[i], vj_element_name(dtype), packed, want);
        if (dtype == VJ_BF16 && out[i] != packed) /* of NaN too */
            fail_msg("%s: %08x is %04x, not %04x", target->name, vj_bits_of_f32(in[i]), out[i], packed);
        if (isnan(in[i]) ? !isnan(from_half(dtype, out[i])) : out[i] != want)
            fail_msg("%s: %.9g as %s is %04x, not %04x", target->name, (double)in[i], vj_element_name(dtype), out[i],
                     want);
    }
    turning_rounds_alike(target, dtype, in, out);
    free(in);
    free(out);
}

static void check_target(const vj_target *target, vj_dtype dtype) {
    if (vj_target_runs_here(target)) {
        every_half_becomes_its_float(target, dtype);
        every_float_is_rounded_once(target, dtype);
        return;
    }
    vj_arena *arena = vj_arena_new();
    for (int64_t step = 1; step < 3; step++) {
        vj_program *widening = cast_program(arena, dtype, VJ_F32, 1000, step);
        vj_program *narrowing = cast_program(arena, VJ_F32, dtype, 1000, step);
        vj_schedule_kernel(arena, target, widening, widening->kernels[0]);
        vj_schedule_kernel(arena, target, narrowing, narrowing->kernels[0]);
        code_check(target, widening, widening->kernels[0]);
        code_check(target, narrowing, narrowing->kernels[0]);
    }
    vj_program *turning = turned_program(arena, dtype, 101);
    vj_schedule_kernel(arena, target, turning, turning->kernels[0]);
    code_check(target, turning, turning->kernels[0]);
    vj_arena_free(arena);
}

/* Floats that are turned keep their bits, behind the last whole square too. */
static void floats_are_turned(const vj_target *target) {
    enum { ROWS = 101 };
    float in[16 * ROWS], got[16 * ROWS];
    for (int i = 0; i < 16 * ROWS; i++)
        in[i] = vj_f32_of_bits(0x3f800000u + (uint32_t)i * 4099u);
    vj_arena *arena = vj_arena_new();
    vj_program *p = turned_program(arena, VJ_F32, ROWS);
    vj_schedule_kernel(arena, target, p, p->kernels[0]);
    if (!vj_target_runs_here(target)) {
        code_check(target, p, p->kernels[0]);
        vj_arena_free(arena);
        return;
    }
    run_program(target, arena, p, in, got);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 16; j++)
            if (memcmp(&got[16 * i + j], &in[i + ROWS * j], sizeof *got) != 0)
                fail_msg("%s: element %d of row %d is %.9g, not %.9g", target->name, j, i, (double)got[16 * i + j],
                         (double)in[i + ROWS * j]);
    vj_arena_free(arena);
}

static void casts_of_halves(void **state) {
    (void)state;
    for (int32_t t = 0; t < vj_target_count(); t++) {
        floats_are_turned(vj_target_at(t));
        check_target(vj_target_at(t), VJ_F16);
        check_target(vj_target_at(t), VJ_BF16);
    }
}

/* What reaches the generators where the pass widen was left out. */
static void reductions_of_halves_are_refused(void **state) {
    (void)state;
    static const char *const kinds[] = {"sum", "max", "min", "prod"};
    vj_arena *arena = vj_arena_new();
    for (int32_t i = 0; i < 8; i++) {
        const char *type = vj_element_name(i < 4 ? VJ_F16 : VJ_BF16);
        const char *text =
            vj_sprintf(arena,
                       "program halves {\n  %%x: arena %s[60]\n  %%y: arena %s[12]\n"
                       "  kernel nest total {\n    outer i0:12\n    row i1:5\n    in x0 = %%x[5*i0 + i1]\n"
                       "    stage s0 = %s(x0)\n    out %%y[i0] = s0\n  }\n}\n",
                       type, type, kinds[i % 4]);
        vj_error error = {0};
        vj_program *p = vj_parse_program(arena, text, &error);
        if (!p || !vj_verify_program(p, &error)) fail_msg("%s", error.text);
        for (int32_t t = 0; t < vj_target_count(); t++) {
            vj_schedule_kernel(arena, vj_target_at(t), p, p->kernels[0]);
            code_refusal(vj_target_at(t), p, p->kernels[0], &error);
            assert_int_equal(error.status, VJ_UNSUPPORTED);
            assert_string_equal(error.text,
                                vj_sprintf(arena, "kernel 'total': a reduction of %s has no code generator", type));
        }
    }
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(casts_of_halves),
                                       cmocka_unit_test(reductions_of_halves_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
