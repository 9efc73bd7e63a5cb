/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_cpu.h - which features of VJ_CPU_* this CPU has, each asked for by itself, with the operating system saving their
 * registers; and which of several variants is the best. Private to the project (not installed). Freestanding: the compiler,
 * the runtime and every emitted object ask alike. vitjit_cpu.def is the table of features.
 */
#ifndef VITJIT_CPU_H
#define VITJIT_CPU_H

#include "vitjit_model.h"

/* Are `some` all among `all`? */
static inline int vj_cpu_has(uint64_t all, uint64_t some) { return !(some & ~all); }

/* Is a better than b, on a CPU that can run both? The ranks of a table agree with this order, so that it has no circles: a row
 * with more than another has a higher rank. */
static inline int vj_cpu_better(const vj_cpu_variant *a, const vj_cpu_variant *b) {
    const int all = vj_cpu_has(a->features, b->features), none = vj_cpu_has(b->features, a->features);
    return all != none ? all : a->rank > b->rank;
}

/* The number of the best for a CPU that has these features; -1: it can run none. */
static inline int32_t vj_cpu_best(const vj_cpu_variant *cpus, int32_t count, uint64_t have) {
    int32_t best = -1;
    for (int32_t i = 0; i < count; i++)
        if (vj_cpu_has(have, cpus[i].features) && (best < 0 || vj_cpu_better(&cpus[i], &cpus[best]))) best = i;
    return best;
}

/* What any of them needs. */
static inline uint64_t vj_cpu_needed(const vj_cpu_variant *cpus, int32_t count) {
    uint64_t needed = 0;
    for (int32_t i = 0; i < count; i++)
        needed |= cpus[i].features;
    return needed;
}

#if defined(__x86_64__)

typedef struct vj_cpuid {
    uint32_t word[4]; /* eax to edx */
} vj_cpuid;

static inline vj_cpuid vj_cpuid_of(uint32_t leaf, uint32_t subleaf) {
    vj_cpuid r;
    __asm__ volatile("cpuid"
                     : "=a"(r.word[0]), "=b"(r.word[1]), "=c"(r.word[2]), "=d"(r.word[3])
                     : "a"(leaf), "c"(subleaf));
    return r;
}

/* Zeros where the CPU does not know the leaf: Intel's would answer with another one. */
static inline vj_cpuid vj_cpuid_checked(uint32_t leaf, uint32_t subleaf) {
    const vj_cpuid none = {{0, 0, 0, 0}};
    if (vj_cpuid_of(leaf & 0x80000000, 0).word[0] < leaf) return none;
    return subleaf && vj_cpuid_of(leaf, 0).word[0] < subleaf ? none : vj_cpuid_of(leaf, subleaf);
}

/* XCR0: the registers that the operating system saves; 0 where it does not say (OSXSAVE). */
static inline uint32_t vj_cpu_saved(void) {
    uint32_t low, high;
    if (!(vj_cpuid_of(1, 0).word[2] >> 27 & 1)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Asks Linux (since 5.16) for the registers of tiles, for all threads that the process has and will have; once it has given
 * them it says so again. A refusal is no error: an older kernel, or a thread whose alternate signal stack is too small. */
static inline int vj_cpu_tiles_permitted(void) {
    enum { ARCH_PRCTL = 158, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    int64_t result = ARCH_PRCTL;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"((int64_t)REQUEST_PERMISSION), "S"((int64_t)TILE_DATA)
                     : "rcx", "r11", "memory");
    return result == 0;
}

/* Of features that the CPU has, those that the process may use. */
static inline uint64_t vj_cpu_permitted(uint64_t have) {
    return have & VJ_CPU_AMX && !vj_cpu_tiles_permitted() ? have & ~VJ_CPU_AMX : have;
}

typedef struct vj_cpu_question {
    uint64_t feature;
    uint32_t leaf, subleaf, word, bit, saved;
} vj_cpu_question;

/* Those of `wanted` that there are. Code that wants nothing asks nothing: cpuid is slow in virtual machines. Tiles that are
 * wanted and there are asked for, which changes the process: what is not going to be used should not be wanted. */
static inline uint64_t vj_cpu_ask(uint64_t wanted) {
    static const vj_cpu_question questions[] = {
#define X86_FEATURE(id, name, leaf, subleaf, word, bit, saved, companions)                                             \
    {VJ_CPU_##id, leaf, subleaf, word, bit, saved},
#include "vitjit_cpu.def"
    };
    const uint32_t saved = wanted ? vj_cpu_saved() : 0;
    const vj_cpu_question *last = 0;
    uint64_t have = 0;
    vj_cpuid answer = {{0, 0, 0, 0}};
    for (uint32_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        const vj_cpu_question *q = &questions[i];
        if (!(wanted & q->feature)) continue;
        if (!last || last->leaf != q->leaf || last->subleaf != q->subleaf)
            answer = vj_cpuid_checked(q->leaf, q->subleaf);
        last = q;
        if ((answer.word[q->word] >> q->bit & 1) && (saved & q->saved) == q->saved) have |= q->feature;
    }
    return vj_cpu_permitted(have);
}

#elif (defined(__aarch64__) && defined(__linux__)) || (defined(__riscv) && __riscv_xlen == 64)

#if defined(__aarch64__)
static inline int64_t vj_cpu_system_call(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d) {
    register int64_t x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d,
                        x8 __asm__("x8") = number;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x8) : "memory");
    return x0;
}
#else
static inline int64_t vj_cpu_system_call(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d) {
    register int64_t a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d,
                        a4 __asm__("a4") = 0, a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
    return a0;
}
#endif

/* An entry of /proc/self/auxv: 16 is AT_HWCAP, 26 is AT_HWCAP2. */
static inline uint64_t vj_cpu_auxiliary(uint64_t key) {
    enum { OPENAT = 56, CLOSE = 57, READ = 63, HERE = -100 };
    static const char path[] = "/proc/self/auxv";
    const int64_t file = vj_cpu_system_call(OPENAT, HERE, (intptr_t)path, 0, 0);
    uint64_t entry[2] = {0, 0}, found = 0;
    if (file < 0) return 0;
    while (!found && vj_cpu_system_call(READ, file, (intptr_t)entry, sizeof entry, 0) == (int64_t)sizeof entry)
        if (entry[0] == key) found = entry[1];
    vj_cpu_system_call(CLOSE, file, 0, 0, 0);
    return found;
}

#if defined(__aarch64__)

typedef struct vj_cpu_question {
    uint64_t feature;
    uint32_t entry, bit;
} vj_cpu_question;

/* Code that wants nothing makes no system calls: it may run where there is no Linux. */
static inline uint64_t vj_cpu_ask(uint64_t wanted) {
    static const vj_cpu_question questions[] = {
#define AARCH64_FEATURE(id, name, entry, bit, companions) {VJ_CPU_##id, entry, bit},
#include "vitjit_cpu.def"
    };
    uint64_t have = 0;
    for (uint32_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        const vj_cpu_question *q = &questions[i];
        if (wanted & q->feature && vj_cpu_auxiliary(q->entry) >> q->bit & 1) have |= q->feature;
    }
    return have;
}

#else

typedef struct vj_cpu_question {
    uint64_t feature;
    uint32_t probe, hwcap; /* bits */
} vj_cpu_question;

/* Linux's riscv_hwprobe (since 6.4) says extensions by key 4; a kernel that does not know it, by AT_HWCAP. Code that wants
 * nothing makes no system calls: it may run where there is no Linux. */
static inline uint64_t vj_cpu_ask(uint64_t wanted) {
    static const vj_cpu_question questions[] = {
#define RISCV_FEATURE(id, name, probe, hwcap, companions) {VJ_CPU_##id, probe, hwcap},
#include "vitjit_cpu.def"
    };
    enum { HWPROBE = 258, IMA_EXTENSIONS = 4 };
    int64_t pair[2] = {IMA_EXTENSIONS, 0};
    uint64_t all = 0, have = 0;
    for (uint32_t i = 0; i < sizeof questions / sizeof *questions; i++)
        all |= questions[i].feature;
    if (!(wanted & all)) return 0;
    const int probed = vj_cpu_system_call(HWPROBE, (intptr_t)pair, 1, 0, 0) == 0;
    const uint64_t said = probed ? (uint64_t)pair[1] : vj_cpu_auxiliary(16);
    for (uint32_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (said >> (probed ? questions[i].probe : questions[i].hwcap) & 1) have |= questions[i].feature;
    return have & wanted;
}

#endif

#else

static inline uint64_t vj_cpu_ask(uint64_t wanted) {
    (void)wanted;
    return 0;
}

#endif
#endif
