/* cpu.c - what this CPU has, and how many of them the process may use. */
#include "runtime.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>

static uint32_t extended_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint32_t vj_cpu_features(void) {
    uint32_t a, b, c, d, found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    uint32_t state = extended_state();
    bool fma = (c & bit_FMA) && (c & bit_AVX);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if (fma && (b & bit_AVX2) && (state & 6) == 6) found |= VJ_CPU_AVX2_FMA;
    uint32_t wide = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    if (found && (b & wide) == wide && (state & 0xe6) == 0xe6) found |= VJ_CPU_AVX512;
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

/* cgroup v2's "max 100000" or "150000 100000" of the process's own group. */
static double cgroup_cpus(void) {
    char group[1024] = "", path[1200], line[1100];
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return INFINITY;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = 0;
            snprintf(group, sizeof group, "%.1000s", line + 3);
        }
    fclose(file);
    double least = INFINITY;
    for (;;) { /* every group above counts too */
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", strcmp(group, "/") ? group : "");
        long long quota, period;
        if ((file = fopen(path, "re"))) {
            if (fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
                least = fmin(least, (double)quota / (double)period);
            fclose(file);
        }
        char *slash = strrchr(group, '/');
        if (!slash) break;
        *slash = 0;
    }
    return least;
}

int32_t vj_cpu_available(void) {
    cpu_set_t set;
    long count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    double quota = cgroup_cpus();
    if (quota < (double)count) count = (long)ceil(quota);
    return count < 1 ? 1 : count > 1024 ? 1024 : (int32_t)count;
}
