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
static inline double vj_round_bf16(double x) { return vj_round_to(x, 8, -126, 0x1.fep127); }

static inline uint16_t vj_bf16_of(double x) {
    if (isnan(x)) return 0x7fc0u;
    return (uint16_t)(vj_bits_of_f32((float)vj_round_bf16(x)) >> 16);
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

#endif
