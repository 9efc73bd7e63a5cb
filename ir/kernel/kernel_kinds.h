/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_kinds.h - the kinds of kernel: their groups of axes, their operands, and what each may do (kernel_kinds.def). */
#ifndef VITJIT_IR_KERNEL_KERNEL_KINDS_H
#define VITJIT_IR_KERNEL_KERNEL_KINDS_H

#include "ir/base/base.h"

typedef enum vj_kernel_kind {
#define KIND(id, ...) VJ_KERNEL_##id,
#include "kernel_kinds.def"
    VJ_KERNEL_KINDS
} vj_kernel_kind;

typedef enum vj_axis_group {
#define GROUP(id, name) VJ_GROUP_##id,
#include "kernel_kinds.def"
    VJ_GROUP_COUNT
} vj_axis_group;

/* Operands of a kind, numbered in the order of its row: VJ_OPERAND_A is 0, VJ_GEMM_OPERANDS is 2. */
#define VJ_MAX_OPERANDS 3
#define NO_OPERANDS
#define OPERAND(id, ...)                    VJ_OPERAND_##id,
#define KIND(id, name, axes, operands, ...) enum { operands VJ_##id##_OPERANDS };
#include "kernel_kinds.def"
#undef OPERAND
#undef NO_OPERANDS

/* Of a group in a kind: how many axes it has. Groups of other kinds have 0 to 0. */
typedef struct vj_group_row {
    int8_t least, most;
    bool shown; /* it has a line in the text, with or without axes */
} vj_group_row;

/* What the accesses of a product must be like. All operands of a product are of one type, but for one that is packed: beside
 * f32 it may be narrower, and is widened as it is read, and beside u8 it is i8. Another type is a bit of `dtypes`, and its group in
 * panels.h. */
typedef struct vj_operand_row {
    const char *name;
    uint32_t along;         /* the groups whose axes may move it */
    uint32_t adjacent;      /* the last axis of one of these groups has a stride of 1; 0: any strides */
    bool terms;             /* guards and mods are allowed; an index never is */
    uint32_t dtypes;        /* of its buffer, a bit 1 << dtype each */
    uint32_t packed_dtypes; /* the same of panels */
    bool steps; /* the size of a step of the first operand, where the second is packed in blocks; else it is absent */
    /* The groups that count K and N of the panels of 16 columns that it may be packed in; its strides and offset are ignored
     * then. 0: it is never packed. */
    uint32_t panel_depth, panel_columns;
} vj_operand_row;

typedef struct vj_kind_row {
    const char *name;
    vj_group_row group[VJ_GROUP_COUNT];
    vj_operand_row operand[VJ_MAX_OPERANDS];
    int32_t operand_count;
    bool is_call; /* it runs a routine on whole buffers: no axes, no expressions */
    vj_dtype acc; /* the type of ACC in expressions, unless it is of integers; VJ_NO_DTYPE: there is no accumulator */
    uint32_t results;   /* each axis of these groups moves every result, and no other does */
    uint32_t one_a_row; /* but for these: where none of their axes moves a result, it is one value for all of them */
    uint32_t score;     /* the groups that the score expression may depend on; 0: there is none */
    uint32_t stages;    /* the groups that stages reduce over; 0: there are none */
    uint32_t segments;  /* results may be stored for one value of the first axis of this group alone; 0: they may not */
} vj_kind_row;

const vj_kind_row *vj_kind_at(vj_kernel_kind kind);
const char *vj_group_name(vj_axis_group group);

#endif
