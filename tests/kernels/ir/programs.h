/* SPDX-License-Identifier: Apache-2.0 */
/* programs.h - sound programs, a form of kernel each, as the printer writes them. */
#ifndef VITJIT_TESTS_KERNELS_PROGRAMS_H
#define VITJIT_TESTS_KERNELS_PROGRAMS_H

#include "ir/kernel/kernel.h"

extern const char conv[], attention[], rounded[], norm[], totals[], segments[], blocks[], steps[], table[], batched[],
    batched_segments[], indexed[], call[];

/* Fails when it is none. */
vj_program *parse_program(vj_arena *arena, const char *text);

#endif
