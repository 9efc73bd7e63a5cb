/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_half.h - f16 and bf16 to f32 and back, with round to nearest even, NaN stays NaN. Private to the project (not
 * installed): the compiler and the command line convert alike. */
#ifndef VITJIT_HALF_H
#define VITJIT_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t vj_bits_of_f32(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float vj_f32_of_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float vj_f32_of_bf16(uint16_t h) { return vj_f32_of_bits((uint32_t)h << 16); }

static inline float vj_f32_of_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 0x3ffu;
    if (exponent == 31) return vj_f32_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent) return vj_f32_of_bits(sign | (exponent + 112u) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f; /* subnormal, exact */
    return sign ? -small : small;
}

/* Rounds x to a narrower format in one step; by way of f32 it could be rounded twice. `digits` counts the significand's
 * bits with the leading one, and `smallest` is the exponent of the smallest normal number. */
static inline double vj_round_to(double x, int digits, int smallest, double largest) {
    if (x == 0 || !isfinite(x)) return x;
    int exponent = ilogb(x);
    if (exponent < smallest) exponent = smallest;
    double unit = ldexp(1.0, exponent - digits + 1);
    double y = nearbyint(x / unit) * unit; /* the default rounding mode: to even */
    return fabs(y) > largest ? copysign((double)INFINITY, x) : y;
}

static inline double vj_round_f16(double x) { return vj_round_to(x, 11, -14, 65504.0); }
/* Subnormal numbers become zeros, as the CPUs' conversions and products have it. */
static inline double vj_round_bf16(double x) {
    return fabs(x) < 0x1p-126 ? copysign(0, x) : vj_round_to(x, 8, -126, 0x1.fep127);
}

static inline uint16_t vj_bf16_of(double x) {
    if (isnan(x)) return 0x7fc0u;
    return (uint16_t)(vj_bits_of_f32((float)vj_round_bf16(x)) >> 16);
}

/* The same from a float; a NaN keeps the upper part of its payload, and is quiet. */
static inline uint16_t vj_bf16_of_f32(float x) {
    const uint32_t u = vj_bits_of_f32(x), size = u & 0x7fffffffu;
    if (size > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u); /* NaN stays NaN */
    if (size < 0x00800000u) return (uint16_t)(u >> 16 & 0x8000u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static inline uint16_t vj_f16_of(double x) {
    uint16_t sign = signbit(x) ? 0x8000u : 0;
    if (isnan(x)) return 0x7e00u;
    double y = fabs(vj_round_f16(x));
    if (isinf(y)) return sign | 0x7c00u;
    if (y < 0x1p-14) return sign | (uint16_t)(y * 0x1p24);
    uint32_t u = vj_bits_of_f32((float)y);
    return (uint16_t)(sign | ((((u >> 23) - 112u) << 10) | ((u >> 13) & 0x3ffu)));
}

static inline uint16_t vj_f16_of_f32(float x) {
    const uint32_t u = vj_bits_of_f32(x), sign = u >> 16 & 0x8000u, size = u & 0x7fffffffu;
    if (size > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (size >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
    if (size < 0x38800000u) /* below 2^-14: 2^-24 is the last place of a sum with 1/2 */
        return (uint16_t)(sign | (vj_bits_of_f32(vj_f32_of_bits(size) + 0.5f) - 0x3f000000u));
    const uint32_t based = size - (112u << 23);
    return (uint16_t)(sign | ((based + 0xfffu + (based >> 13 & 1u)) >> 13));
}

#endif
