/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.h - private to the kernel evaluator: the state of a run, and expressions at one point of the space. */
#ifndef VITJIT_IR_KERNEL_EVALUATE_H
#define VITJIT_IR_KERNEL_EVALUATE_H

#include "ir/eval/eval.h"
#include "kernel.h"

typedef struct vj_kernel_run {
    const vj_kernel *k;
    const vj_program *p;
    double *const *buffers;
    int64_t index[VJ_MAX_AXES]; /* the point */
    double acc;
    double stage[VJ_MAX_STAGES];
    double *value; /* of each expression entry at this point */
    double lean;   /* see vj_eval_kernel_leaning */
    vj_arena *arena;
} vj_kernel_run;

/* evaluate_expr.c */
typedef struct vj_expr_plan {
    int32_t root, count;
    int32_t *entry;
} vj_expr_plan;
vj_expr_plan vj_plan_expr(vj_arena *arena, const vj_kernel *k, int32_t root);
/* Does it make a whole number of a float? */
bool vj_rounds_operand(const vj_kernel *k, const vj_expr *e);
double vj_eval_expr(vj_kernel_run *r, const vj_expr_plan *plan);
int64_t vj_access_element(const vj_kernel_run *r, const vj_access *access);
double vj_access_value(const vj_kernel_run *r, int32_t access);

#endif
