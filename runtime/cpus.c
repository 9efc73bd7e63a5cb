/* SPDX-License-Identifier: Apache-2.0 */
/* cpus.c - how many CPUs the process may use: its affinity mask, and the quotas of its cgroups and of all above them.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vitjit_rt.h"

#define MOST_CPUS 1024

/* Version 2: "max 100000" or "150000 100000" in one file; version 1: a file each, -1 for none. 0: no quota here. */
static double quota_of(const char *folder) {
    char path[1400];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2) quota = 0;
        fclose(file);
    } else {
        static const char *const names[2] = {"cpu.cfs_quota_us", "cpu.cfs_period_us"};
        for (int32_t i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/%s", folder, names[i]);
            if (!(file = fopen(path, "re"))) return 0;
            if (fscanf(file, "%lld", i ? &period : &quota) != 1) quota = 0;
            fclose(file);
        }
    }
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

/* The least quota of a group and of those above it. */
static double least_quota(const char *mount, char *group, double least) {
    char folder[1300];
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", mount, group);
        const double here = quota_of(folder);
        if (here > 0 && here < least) least = here;
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

/* Lines of /proc/self/cgroup: "0::/group" of version 2, "4:cpu,cpuacct:/group" of version 1. */
static double cgroup_cpus(double least) {
    char line[1100];
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return least;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(++controllers, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        if (strcmp(group, "/") == 0) group = "";
        if (!*controllers) {
            least = least_quota("/sys/fs/cgroup", group, least);
            continue;
        }
        for (char *rest, *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
            if (strcmp(name, "cpu") == 0) {
                char copy[1100];
                snprintf(copy, sizeof copy, "%s", group);
                least = least_quota("/sys/fs/cgroup/cpu", copy, least);
            }
    }
    fclose(file);
    return least;
}

int32_t vj_cpu_available(void) {
    cpu_set_t set;
    long count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    if (count > MOST_CPUS) count = MOST_CPUS;
    const double quota = cgroup_cpus((double)count); /* a part of a CPU counts as one */
    if (quota < (double)count) count = (long)quota + ((double)(long)quota < quota);
    return count < 1 ? 1 : (int32_t)count;
}
