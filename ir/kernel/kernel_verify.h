/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_verify.h - private to the verifier of programs: the place that is checked, and its parts.
 *
 * kernel_verify.c       axes, accesses, operands, results, buffers, weights
 * kernel_verify_call.c  calls: buffers and parameters of a routine
 * kernel_verify_expr.c  expressions: order, types, what a place may refer to
 * kernel_verify_plan.c  the planned level: phases, offsets, lifetimes
 */
#ifndef VITJIT_IR_KERNEL_KERNEL_VERIFY_H
#define VITJIT_IR_KERNEL_KERNEL_VERIFY_H

#include "kernel.h"

typedef struct vj_verify_at {
    const vj_program *p;
    const vj_kernel *k;
    int32_t number;
    vj_error *error;
} vj_verify_at;

bool vj_verify_call(const vj_verify_at *at);
bool vj_verify_exprs(const vj_verify_at *at);
bool vj_verify_plan(const vj_program *p, vj_error *error);

#endif
