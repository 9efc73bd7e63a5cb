/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_host.h - which features of this CPU the compiler and the runtime use. Private to the project (not installed), and not
 * for emitted objects, which have no environment.
 */
#ifndef VITJIT_HOST_H
#define VITJIT_HOST_H

#include <stdlib.h>
#include <string.h>

#include "vitjit_cpu.h"

/* Those of `wanted` that there are, without tiles where VITJIT_NO_TILES is set: then Linux is not asked for them. */
static inline uint64_t vj_host_features(uint64_t wanted) {
    const char *refused = getenv("VITJIT_NO_TILES");
    const int no_tiles = refused && *refused && strcmp(refused, "0") != 0;
    return vj_cpu_ask(no_tiles ? wanted & ~VJ_CPU_AMX : wanted);
}

#endif
