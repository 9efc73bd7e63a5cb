/* SPDX-License-Identifier: Apache-2.0 */
/* block_fit.c - holds blocks of 4 and 8 bits to what is known of them: floats of a grid are found again, errors are near the least that
 * a search of all zero points and of many scales in double precision finds, and floats that have no block are refused. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "passes/rewrite/block_fit.h"

enum { DEPTH = 32, STEP = 37, COUNT = 13 };

static uint32_t seed = 1;

static double uniform(void) {
    seed = seed * 1664525u + 1013904223u;
    return (double)(seed >> 8) * 0x1p-24;
}

/* Of variance 1. */
static double normal(void) {
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

/* Numbers and scale as they are given back, which must be those of the type. */
static double value_of(const vj_fit *fit, int32_t bits, int64_t k, int64_t i) {
    const int32_t q = bits == 4 ? fit->number[k][i] : (int8_t)fit->number[k][i];
    assert_true(bits == 8 || (q <= 15 && fit->zero[i] <= 15));
    return (q - fit->zero[i]) * (double)fit->scale[i];
}

static double error_of(const vj_fit *fit, int32_t bits, const float *x, int64_t i) {
    double sum = 0;
    for (int64_t k = 0; k < DEPTH; k++) {
        const double off = value_of(fit, bits, k, i) - (double)x[k * STEP + i];
        sum += off * off;
    }
    return sum;
}

static double squares(const float *x, double scale, int zero) {
    double sum = 0;
    for (int64_t k = 0; k < DEPTH; k++) {
        const double q = fmin(15, fmax(0, round((double)x[k * STEP] / scale + zero)));
        const double off = (q - zero) * scale - (double)x[k * STEP];
        sum += off * off;
    }
    return sum;
}

static double least_squares(const float *x) {
    double least = INFINITY, largest = 0;
    for (int64_t k = 0; k < DEPTH; k++)
        largest = fmax(largest, fabs((double)x[k * STEP]));
    for (int zero = 0; zero <= 15; zero++)
        for (int i = 1; i <= 400; i++)
            least = fmin(least, squares(x, largest * i / 400, zero));
    return least;
}

static void errors_are_near_the_least(void **state) {
    (void)state;
    static float x[DEPTH * STEP];
    double found = 0, least = 0;
    for (int round = 0; round < 20; round++) {
        vj_fit fit;
        for (int64_t i = 0; i < DEPTH * STEP; i++)
            x[i] = (float)(normal() * exp(round % 4) + (round % 3 ? 0 : 0.7));
        assert_true(vj_fit_blocks(4, x, DEPTH, STEP, COUNT, &fit));
        for (int64_t i = 0; i < COUNT; i++) {
            const double own = error_of(&fit, 4, x, i), best = least_squares(x + i);
            if (own > 1.4 * best) fail_msg("round %d, block %d: %g, not %g", round, (int)i, own, best);
            found += own / best;
            least++;
        }
    }
    print_message("%.4f of the least squared error\n", found / least);
    assert_true(found < 1.02 * least);
}

static void grids_are_found_again(void **state) {
    (void)state;
    static float x[DEPTH * STEP];
    for (int round = 0; round < 40; round++) {
        vj_fit fit;
        const int zero = round % 16;
        const float scale = ldexpf((float)(1 + uniform()), round - 20);
        for (int64_t i = 0; i < DEPTH * STEP; i++)
            x[i] = scale * (float)((i < 2 * STEP ? (int)(i / STEP) * 15 : (int)(uniform() * 16)) - zero);
        assert_true(vj_fit_blocks(4, x, DEPTH, STEP, COUNT, &fit));
        for (int64_t k = 0; k < DEPTH; k++)
            for (int64_t i = 0; i < COUNT; i++)
                if (fabs(value_of(&fit, 4, k, i) - (double)x[k * STEP + i]) > 2e-6 * (double)scale)
                    fail_msg("zero point %d: %g, not %g", zero, value_of(&fit, 4, k, i), (double)x[k * STEP + i]);
        for (int64_t i = 0; i < DEPTH * STEP; i++)
            x[i] = scale * (float)(i < STEP ? 127 : (int)(uniform() * 255) - 127);
        assert_true(vj_fit_blocks(8, x, DEPTH, STEP, COUNT, &fit));
        for (int64_t k = 0; k < DEPTH; k++)
            for (int64_t i = 0; i < COUNT; i++)
                assert_true(fabs(value_of(&fit, 8, k, i) - (double)x[k * STEP + i]) <= 2e-5 * (double)scale);
    }
}

static void largest_of_8_bits_is_127(void **state) {
    (void)state;
    static float x[VJ_FIT_DEPTH * STEP];
    vj_fit fit;
    for (int64_t i = 0; i < VJ_FIT_DEPTH * STEP; i++)
        x[i] = (float)normal();
    assert_true(vj_fit_blocks(8, x, VJ_FIT_DEPTH, STEP, VJ_FIT_BLOCKS, &fit));
    for (int64_t i = 0; i < VJ_FIT_BLOCKS; i++) {
        int most = 0;
        for (int64_t k = 0; k < VJ_FIT_DEPTH; k++) {
            const int q = (int8_t)fit.number[k][i];
            most = most < q ? q : most < -q ? -q : most;
            assert_true(fabs(value_of(&fit, 8, k, i) - (double)x[k * STEP + i]) <= 0.501 * (double)fit.scale[i]);
        }
        assert_int_equal(most, 127);
        assert_int_equal(fit.zero[i], 0);
    }
}

/* Zeros, one number, numbers that are hardly above 0, the largest that there may be. */
static void extremes(void **state) {
    (void)state;
    static float x[DEPTH * STEP];
    vj_fit fit;
    for (int64_t k = 0; k < DEPTH; k++) {
        x[k * STEP + 1] = 3;
        x[k * STEP + 2] = -5;
        x[k * STEP + 3] = k % 2 ? FLT_TRUE_MIN : -0x1p-118F;
        x[k * STEP + 4] = k % 2 ? VJ_FIT_LARGEST : -VJ_FIT_LARGEST;
        x[k * STEP + 5] = k ? 0 : 7;
    }
    for (int32_t bits = 4; bits <= 8; bits += 4) {
        assert_true(vj_fit_blocks(bits, x, DEPTH, STEP, COUNT, &fit));
        for (int64_t k = 0; k < DEPTH; k++)
            for (int64_t i = 0; i < COUNT; i++) {
                const double want = i == 3 ? 0 : (double)x[k * STEP + i];
                assert_true(fabs(value_of(&fit, bits, k, i) - want) <=
                            (i == 4 && bits == 4 ? 0.07 : 1e-6) * fabs(want));
            }
        for (int64_t i = 0; i < COUNT; i++)
            assert_true(fit.scale[i] == 0 || fit.scale[i] >= 0x1p-120F);
    }
    static const float bad[] = {NAN, INFINITY, -INFINITY, 0x1.000002p120F, -0x1.8p120F, FLT_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int64_t at = 0; at < DEPTH * STEP; at += 5 * STEP + 2) {
            const float was = x[at];
            x[at] = bad[i];
            const bool inside = at % STEP < COUNT;
            assert_int_equal(vj_fit_blocks(4, x, DEPTH, STEP, COUNT, &fit), !inside);
            assert_int_equal(vj_fit_blocks(8, x, DEPTH, STEP, COUNT, &fit), !inside);
            x[at] = was;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors_are_near_the_least),
                                       cmocka_unit_test(grids_are_found_again),
                                       cmocka_unit_test(largest_of_8_bits_is_127), cmocka_unit_test(extremes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
