/* target.c - the table of targets, and which of its rows this CPU is. */
#include "target.h"

#include <string.h>

#include "vitjit_cpu.h"

enum {
#define MACHINE(id, ...) MACHINE_##id,
#include "targets.def"
#undef MACHINE
};

#define MACHINE(id, triple, ...) static const char triple_##id[] = triple;
#include "targets.def"
#undef MACHINE

static const vj_machine machines[] = {
#define MACHINE(id, triple, cpu, features, abi, format, pointer, recompiled)                                           \
    {#id, triple_##id, cpu, features, abi, format, pointer, recompiled},
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
#define HOST_TRIPLE "x86_64-unknown-linux-gnu"
#elif defined(__aarch64__)
#define HOST_TRIPLE "aarch64-unknown-linux-gnu"
#else
#error "no target row for this architecture: add one to targets.def"
#endif

const vj_target *vj_target_host(void) {
    const uint32_t have = vj_cpu_ask(UINT32_MAX);
    const vj_target *best = NULL;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *t = &targets[i];
        if (strcmp(t->triple, HOST_TRIPLE) == 0 && (t->cpu_feature_bits & ~have) == 0) best = t;
    }
    return best;
}
