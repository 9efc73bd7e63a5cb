/* target.c - the table of targets, and which of its rows this CPU is. */
#include "target.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
#define MACHINE(id, ...) MACHINE_##id,
#include "targets.def"
#undef MACHINE
};

#define MACHINE(id, triple, ...) static const char triple_##id[] = triple;
#include "targets.def"
#undef MACHINE

static const vj_machine machines[] = {
#define MACHINE(id, triple, cpu, features, abi, format, pointer)                                                       \
    {#id, triple_##id, cpu, features, abi, format, pointer},
#include "targets.def"
#undef MACHINE
};

static const vj_target targets[] = {
#define TARGET(name, machine, ...) {name, triple_##machine, &machines[MACHINE_##machine], __VA_ARGS__},
#include "targets.def"
#undef TARGET
};

int32_t vj_target_count(void) { return (int32_t)(sizeof targets / sizeof *targets); }

const vj_target *vj_target_at(int32_t i) { return i >= 0 && i < vj_target_count() ? &targets[i] : NULL; }

const vj_target *vj_target_by_name(const char *name) {
    for (int32_t i = 0; i < vj_target_count(); i++)
        if (strcmp(targets[i].name, name) == 0) return &targets[i];
    return NULL;
}

#if defined(__x86_64__)

/* XCR0: which registers the operating system saves. Only legal when cpuid says OSXSAVE. */
static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* The psABI's levels whole, as LLVM may use any of a level's instructions: x86-64-v3 also has BMI1, BMI2, LZCNT, MOVBE and
 * F16C. LAHF in 64-bit mode, of v2, and LZCNT are in leaf 0x80000001. */
static uint32_t host_features(void) {
    uint32_t a, b, c, d, extended;
    if (!__get_cpuid(0x80000001, &a, &b, &extended, &d) || !__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const uint32_t v2_leaf1 = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT;
    if ((c & v2_leaf1) != v2_leaf1 || !(extended & bit_LAHF_LM)) return 0;
    const uint32_t v3_leaf1 = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
    if ((c & v3_leaf1) != v3_leaf1 || !(extended & bit_LZCNT)) return VJ_CPU_SSE42;
    const uint64_t xmm_ymm = 0x6, opmask_zmm = 0xe0, saved = saved_registers();
    if ((saved & xmm_ymm) != xmm_ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return VJ_CPU_SSE42;
    const uint32_t v3_leaf7 = bit_AVX2 | bit_BMI | bit_BMI2;
    if ((b & v3_leaf7) != v3_leaf7) return VJ_CPU_SSE42;
    const uint32_t v4_leaf7 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    const bool v4 = (b & v4_leaf7) == v4_leaf7 && (saved & opmask_zmm) == opmask_zmm;
    return VJ_CPU_SSE42 | VJ_CPU_AVX2_FMA | (v4 ? VJ_CPU_AVX512 : 0);
}
#define HOST_TRIPLE "x86_64-unknown-linux-gnu"

#elif defined(__aarch64__)

static uint32_t host_features(void) { return 0; }
#define HOST_TRIPLE "aarch64-unknown-linux-gnu"

#else
#error "no target row for this architecture: add one to targets.def"
#endif

const vj_target *vj_target_host(void) {
    const uint32_t have = host_features();
    const vj_target *best = NULL;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *t = &targets[i];
        if (strcmp(t->triple, HOST_TRIPLE) == 0 && (t->cpu_feature_bits & ~have) == 0) best = t;
    }
    return best;
}
