/* SPDX-License-Identifier: Apache-2.0 */
/* target.c - the table of targets, and which of its rows this CPU is. */
#include "target.h"

#include <string.h>

#include "vitjit_host.h"

enum {
#define MACHINE(id, ...) MACHINE_##id,
#include "targets.def"
#undef MACHINE
};

#define MACHINE(id, triple, ...) static const char triple_##id[] = triple;
#include "targets.def"
#undef MACHINE

static const vj_machine machines[] = {
#define MACHINE(id, triple, cpu, features, abi, format, pointer, recompiled, letter)                                   \
    {#id, triple_##id, cpu, features, abi, format, pointer, recompiled, letter},
#include "targets.def"
#undef MACHINE
};

#define CYCLES(name, ...)                                                                                              \
    static const double name[] = {__VA_ARGS__};                                                                        \
    _Static_assert(sizeof name == VJ_COST_COUNT * sizeof(double), "one number a class of cost");
#include "targets.def"

static const vj_target targets[] = {
#define TARGET(name, machine, ...) {name, triple_##machine, &machines[MACHINE_##machine], __VA_ARGS__},
#include "targets.def"
#undef TARGET
};

int32_t vj_target_count(void) { return (int32_t)(sizeof targets / sizeof *targets); }

const vj_target *vj_target_at(int32_t i) { return i >= 0 && i < vj_target_count() ? &targets[i] : NULL; }

int32_t vj_target_lanes(const vj_target *target, vj_dtype dtype) {
    return target->vector_bytes / (int32_t)vj_element_bytes(dtype);
}

static const vj_target *row_called(const char *name) {
    for (int32_t i = 0; i < vj_target_count(); i++)
        if (strcmp(targets[i].name, name) == 0) return &targets[i];
    return NULL;
}

const vj_target *vj_target_by_name(const char *name) {
    static const struct {
        const char *cpu, *row;
    } names[] = {
#define CPU_NAME(cpu, row) {cpu, row},
#include "cpu_names.def"
    };
    const vj_target *row = strcmp(name, "native") == 0 ? vj_target_host() : row_called(name);
    for (size_t i = 0; !row && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].cpu, name) == 0) row = row_called(names[i].row);
    return row;
}

#if defined(__x86_64__)
enum { HOST = MACHINE_x86_64 };
#elif defined(__aarch64__)
enum { HOST = MACHINE_aarch64 };
#else
#error "no target row for this architecture: add one to targets.def"
#endif

static vj_cpu_variant variant_of(const vj_target *t) {
    return (vj_cpu_variant){.name = t->name, .features = t->cpu_feature_bits, .rank = t->rank};
}

const vj_target *vj_target_best(const vj_machine *machine, uint64_t have) {
    const vj_target *best = NULL;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *t = &targets[i];
        const vj_cpu_variant one = variant_of(t), other = variant_of(best ? best : t);
        if (t->machine == machine && vj_cpu_has(have, one.features) && (!best || vj_cpu_better(&one, &other))) best = t;
    }
    return best;
}

const vj_target *vj_target_host(void) { return vj_target_best(&machines[HOST], vj_host_features(UINT64_MAX)); }

bool vj_target_runs_here(const vj_target *target) {
    const uint64_t needed = target->cpu_feature_bits;
    return target->machine == &machines[HOST] && vj_host_features(needed) == needed;
}

vj_dot8 vj_dot8_of(const vj_target *target, int32_t lanes) {
    const vj_dot8 form = target->dot8 == VJ_DOT8_BYTES ? VJ_DOT8_PAIRS : target->dot8;
    const bool is_x86 = form == VJ_DOT8_VNNI || (form == VJ_DOT8_PAIRS && target->vector_bytes > 16);
    if (lanes == 4 || (is_x86 && (lanes == 8 || lanes == 16) && lanes * 4 <= target->vector_bytes)) return form;
    return VJ_DOT8_PLAIN;
}
