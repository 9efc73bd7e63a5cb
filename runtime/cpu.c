/* cpu.c - what this CPU has. */
#include "runtime.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint32_t extended_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint32_t vj_cpu_features(void) {
    uint32_t a, b, c, d, found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const uint32_t v2 = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT;
    if ((c & v2) == v2) found |= VJ_CPU_SSE42;
    if (!(c & bit_OSXSAVE)) return found;
    uint32_t state = extended_state();
    bool fma = (c & bit_FMA) && (c & bit_AVX);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    if (fma && (b & bit_AVX2) && (state & 6) == 6) found |= VJ_CPU_AVX2_FMA;
    uint32_t wide = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    if ((found & VJ_CPU_AVX2_FMA) && (b & wide) == wide && (state & 0xe6) == 0xe6) found |= VJ_CPU_AVX512;
    return found;
}

uint64_t vj_cpu_fingerprint(void) {
    uint32_t word[6] = {0}, a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        word[0] = a; /* family and model */
        word[1] = c;
        word[2] = d;
        if (c & bit_OSXSAVE) word[5] = extended_state();
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        word[3] = b;
        word[4] = c;
    }
    return vj_key_of(word, sizeof word).half[0];
}
#else
uint32_t vj_cpu_features(void) { return 0; }
uint64_t vj_cpu_fingerprint(void) { return 0; }
#endif
