/* cpu.c - what this CPU has. */
#include "runtime.h"

#include "vitjit_cpu.h"

uint64_t vj_cpu_features(void) { return vj_cpu_ask(UINT64_MAX); }

#if defined(__x86_64__)
#include <cpuid.h>

uint64_t vj_cpu_fingerprint(void) {
    uint32_t word[6] = {0}, a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        word[0] = a; /* family and model */
        word[1] = c;
        word[2] = d;
        if (c & bit_OSXSAVE) word[5] = vj_cpu_saved();
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        word[3] = b;
        word[4] = c;
    }
    return vj_key_of(word, sizeof word).half[0];
}
#else
uint64_t vj_cpu_fingerprint(void) { return 0; }
#endif
