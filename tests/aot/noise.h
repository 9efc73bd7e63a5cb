/* SPDX-License-Identifier: Apache-2.0 */
/* noise.h - a hash of an index (Wang's), as the numbers that fill buffers: the same on every run. */
#ifndef VITJIT_TESTS_AOT_NOISE_H
#define VITJIT_TESTS_AOT_NOISE_H

#include <stdint.h>

static inline uint32_t noise(uint32_t i) {
    i = (i ^ 61) ^ (i >> 16);
    i *= 9;
    i ^= i >> 4;
    i *= 0x27d4eb2du;
    return i ^ (i >> 15);
}

#endif
