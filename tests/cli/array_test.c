/* SPDX-License-Identifier: Apache-2.0 */
/* array_test.c - tests tensors in memory and their comparison. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/tensors/tensors.h"

static vj_array floats(const float *values, int32_t rows, int32_t columns) {
    vj_array a = {.dtype = VJ_F32, .rank = 2, .dims = {rows, columns}};
    assert_true(vj_array_alloc(&a));
    memcpy(a.data, values, a.bytes);
    return a;
}

static void sizes(void **state) {
    (void)state;
    vj_array a = {.dtype = VJ_F32, .rank = 2, .dims = {INT64_C(1) << 40, INT64_C(1) << 40}};
    assert_false(vj_array_measure(&a));
    a = (vj_array){.dtype = VJ_F32, .rank = 3, .dims = {INT64_C(1) << 40, 0, INT64_C(1) << 40}};
    assert_false(vj_array_measure(&a));
    a = (vj_array){.dtype = VJ_F64, .rank = 1, .dims = {-1}};
    assert_false(vj_array_measure(&a));
    a = (vj_array){.dtype = VJ_F64, .rank = 0};
    assert_true(vj_array_measure(&a));
    assert_int_equal(a.bytes, 8);
}

/* Values of IEEE 754 binary16 and bfloat16, from their definitions. */
static void halves(void **state) {
    (void)state;
    static const struct {
        uint16_t bits;
        double value;
    } f16[] = {{0x3c00, 1}, {0xc000, -2}, {0x7bff, 65504}, {0x0001, 0x1p-24}, {0x0400, 0x1p-14}, {0x7c00, INFINITY}};
    for (size_t i = 0; i < sizeof f16 / sizeof f16[0]; i++) {
        uint16_t bits = f16[i].bits;
        const vj_array a = {.dtype = VJ_F16, .bytes = 2, .data = &bits};
        assert_true(vj_array_at(&a, 0) == f16[i].value);
    }
    uint16_t bits = 0xc040;
    const vj_array a = {.dtype = VJ_BF16, .bytes = 2, .data = &bits};
    assert_true(vj_array_at(&a, 0) == -3);
}

static void seeded(void **state) {
    (void)state;
    static const vj_dtype dtypes[] = {VJ_F32, VJ_F64, VJ_F16, VJ_BF16};
    for (size_t i = 0; i < 4; i++) {
        vj_array a = {.dtype = dtypes[i], .rank = 1, .dims = {20000}}, b = a;
        assert_true(vj_array_alloc(&a) && vj_array_alloc(&b));
        vj_array_fill(&a, 3);
        vj_array_fill(&b, 3);
        assert_memory_equal(a.data, b.data, a.bytes);
        double sum = 0, squares = 0;
        for (int64_t k = 0; k < 20000; k++) {
            sum += vj_array_at(&a, k);
            squares += vj_array_at(&a, k) * vj_array_at(&a, k);
        }
        assert_true(fabs(sum / 20000) < 0.03);
        assert_true(fabs(squares / 20000 - 1) < 0.05);
        vj_array_fill(&b, 4);
        assert_memory_not_equal(a.data, b.data, a.bytes);
        vj_array_free(&a);
        vj_array_free(&b);
    }
    vj_array a = {.dtype = VJ_I64, .rank = 1, .dims = {1000}};
    assert_true(vj_array_alloc(&a));
    vj_array_fill(&a, 3);
    const vj_summary s = vj_array_summary(&a);
    assert_true(s.min == 0 && s.max == 1 && s.mean > 0.4 && s.mean < 0.6);
    vj_array_free(&a);
}

static void summaries(void **state) {
    (void)state;
    vj_array a = floats((const float[]){1, -2, NAN, 4, INFINITY, 1}, 2, 3);
    const vj_summary s = vj_array_summary(&a);
    assert_true(s.min == -2 && s.max == 4 && s.mean == 1);
    assert_int_equal(s.not_finite, 2);
    vj_array_free(&a);
}

static vj_status compared(const float *got, const float *want, double rtol, double atol, double of_largest) {
    vj_array a = floats(got, 2, 2), b = floats(want, 2, 2);
    const vj_tolerance tolerance = {rtol, atol, of_largest};
    const vj_status status = vj_compare("case", &a, &b, &tolerance);
    vj_array_free(&a);
    vj_array_free(&b);
    return status;
}

static void comparisons(void **state) {
    (void)state;
    const float a[4] = {1, 2, 3, 1000}, b[4] = {1, 2, 3, 1000.5f}, c[4] = {1.001f, 2, 3, 1000};
    assert_int_equal(compared(a, a, 0, 0, 0), VJ_OK);
    assert_int_equal(compared(b, a, 0, 0, 0), VJ_DIFFERS);
    assert_int_equal(compared(b, a, 1e-3, 0, 0), VJ_OK);
    assert_int_equal(compared(c, a, 5e-4, 0, 0), VJ_DIFFERS);
    assert_int_equal(compared(c, a, 0, 0.002, 0), VJ_OK);
    assert_int_equal(compared(c, a, 0, 0, 1e-5), VJ_OK);
    const float n[4] = {NAN, INFINITY, -INFINITY, 1}, m[4] = {NAN, INFINITY, INFINITY, 1},
                z[4] = {0, INFINITY, -INFINITY, 1};
    assert_int_equal(compared(n, n, 0, 0, 0), VJ_OK);
    assert_int_equal(compared(m, n, 1, 1, 1), VJ_DIFFERS);
    assert_int_equal(compared(z, n, 1, 1, 1), VJ_DIFFERS);
    assert_int_equal(compared(n, z, 1, 1, 1), VJ_DIFFERS);
    int64_t large[2] = {INT64_C(1) << 60, 3}, next[2] = {(INT64_C(1) << 60) + 1, 3};
    vj_array x = {.dtype = VJ_I64, .rank = 1, .dims = {2}, .bytes = 16, .data = large}, y = x;
    y.data = next; /* equal as doubles */
    const vj_tolerance wide = {1, 1, 1};
    assert_int_equal(vj_compare("integers", &x, &x, &wide), VJ_OK);
    assert_int_equal(vj_compare("integers", &x, &y, &wide), VJ_DIFFERS);
    y = x;
    y.dtype = VJ_U64;
    assert_int_equal(vj_compare("types", &x, &y, &wide), VJ_DIFFERS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(halves), cmocka_unit_test(seeded),
                                       cmocka_unit_test(summaries), cmocka_unit_test(comparisons)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
