/* vitjit_cpu.h - which features of VJ_CPU_* this CPU has, with the operating system saving their registers. Private to the
 * project (not installed). Freestanding: the compiler, the runtime and every emitted object ask alike.
 */
#ifndef VITJIT_CPU_H
#define VITJIT_CPU_H

#include "vitjit_model.h"

#if defined(__x86_64__)

typedef struct vj_cpuid {
    uint32_t a, b, c, d;
} vj_cpuid;

static inline vj_cpuid vj_cpuid_of(uint32_t leaf) {
    vj_cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

/* XCR0. Only legal when cpuid says OSXSAVE. */
static inline uint32_t vj_cpu_saved(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static inline int vj_cpu_all(uint32_t have, uint32_t wanted) { return (have & wanted) == wanted; }

/* The psABI's levels whole, as LLVM may use any of a level's instructions. `wanted`: what is worth asking for. */
static inline uint32_t vj_cpu_ask(uint32_t wanted) {
    /* SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT */
    const uint32_t leaf1_v2 = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23;
    /* FMA, MOVBE, OSXSAVE, AVX, F16C */
    const uint32_t leaf1_v3 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;
    const uint32_t more_v2 = 1u << 0, more_v3 = 1u << 5;                            /* LAHF; LZCNT */
    const uint32_t leaf7_v3 = 1u << 3 | 1u << 5 | 1u << 8;                          /* BMI1, AVX2, BMI2 */
    const uint32_t leaf7_v4 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* AVX-512 F, DQ, CD, BW, VL */
    const uint32_t saved_v3 = 0x6, saved_v4 = 0xe0; /* xmm and ymm; opmask and both halves of zmm */
    if (!wanted) return 0;
    const uint32_t leaf1 = vj_cpuid_of(1).c, more = vj_cpuid_of(0x80000001).c;
    if (!vj_cpu_all(leaf1, leaf1_v2) || !vj_cpu_all(more, more_v2)) return 0;
    if (!vj_cpu_all(leaf1, leaf1_v3) || !vj_cpu_all(more, more_v3)) return VJ_CPU_SSE42;
    if (vj_cpuid_of(0).a < 7) return VJ_CPU_SSE42;
    const uint32_t leaf7 = vj_cpuid_of(7).b, saved = vj_cpu_saved();
    if (!vj_cpu_all(leaf7, leaf7_v3) || !vj_cpu_all(saved, saved_v3)) return VJ_CPU_SSE42;
    if (!vj_cpu_all(leaf7, leaf7_v4) || !vj_cpu_all(saved, saved_v4)) return VJ_CPU_SSE42 | VJ_CPU_AVX2_FMA;
    return VJ_CPU_SSE42 | VJ_CPU_AVX2_FMA | VJ_CPU_AVX512;
}

#elif defined(__riscv) && __riscv_xlen == 64

static inline int64_t vj_cpu_system_call(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d) {
    register int64_t a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d,
                        a4 __asm__("a4") = 0, a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
    return a0;
}

/* AT_HWCAP, entry 16 of /proc/self/auxv. */
static inline uint64_t vj_cpu_hwcap(void) {
    enum { OPENAT = 56, CLOSE = 57, READ = 63, HERE = -100, HWCAP = 16 };
    static const char path[] = "/proc/self/auxv";
    const int64_t file = vj_cpu_system_call(OPENAT, HERE, (intptr_t)path, 0, 0);
    uint64_t entry[2] = {0, 0}, found = 0;
    if (file < 0) return 0;
    while (!found && vj_cpu_system_call(READ, file, (intptr_t)entry, sizeof entry, 0) == (int64_t)sizeof entry)
        if (entry[0] == HWCAP) found = entry[1];
    vj_cpu_system_call(CLOSE, file, 0, 0, 0);
    return found;
}

/* Linux's riscv_hwprobe (since 6.4) says V by bit 2 of key 4; a kernel that does not know it, by bit 21 of AT_HWCAP. Code
 * that wants nothing makes no system calls: it may run where there is no Linux. */
static inline uint32_t vj_cpu_ask(uint32_t wanted) {
    enum { HWPROBE = 258, IMA_EXTENSIONS = 4 };
    int64_t pair[2] = {IMA_EXTENSIONS, 0};
    if (!(wanted & VJ_CPU_RVV)) return 0;
    if (vj_cpu_system_call(HWPROBE, (intptr_t)pair, 1, 0, 0) == 0) return pair[1] & 1 << 2 ? VJ_CPU_RVV : 0;
    return vj_cpu_hwcap() & 1 << 21 ? VJ_CPU_RVV : 0;
}

#else

static inline uint32_t vj_cpu_ask(uint32_t wanted) {
    (void)wanted;
    return 0;
}

#endif
#endif
