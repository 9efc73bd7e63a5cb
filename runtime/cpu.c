/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.c - what this CPU has. */
#include "runtime.h"

#include "vitjit_host.h"

uint64_t vj_cpu_features(uint64_t wanted) { return vj_host_features(wanted); }

uint64_t vj_cpu_fingerprint(void) {
    const uint64_t have = vj_cpu_features(UINT64_MAX);
    return vj_key_of(&have, sizeof have).half[0];
}
