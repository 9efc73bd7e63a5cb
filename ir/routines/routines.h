/* SPDX-License-Identifier: Apache-2.0 */
/* routines.h - the routines that kernels of the kind `call` run: what they read and write, and what they compute.
 *
 * routines.def   the table
 * routine.c      looks up rows and calls bounds and definitions
 * check.c        what the definitions share
 * <id>.c         a routine's bounds, its definition in plain C, and how an op of the tensor level calls it. The definition
 *                is the oracle of backend/routines/<id>.c; the evaluators of both levels run it.
 */
#ifndef VITJIT_IR_ROUTINES_ROUTINES_H
#define VITJIT_IR_ROUTINES_ROUTINES_H

#include "ir/tensor/ir.h"

typedef enum vj_routine {
#define ROUTINE(id, ...) VJ_ROUTINE_##id,
#include "routines.def"
#undef ROUTINE
    VJ_ROUTINE_COUNT
} vj_routine;

#define VJ_MAX_PARAMS       16
#define VJ_MAX_NUMBERS      4
#define VJ_MAX_CALL_BUFFERS 12

typedef struct vj_routine_row {
    const char *name;
    int32_t reads, writes, scratches;
    int32_t typed_by;             /* the buffer whose dtype chooses the function; -1 when there is only one function */
    const char *params, *numbers; /* names, separated by blanks */
} vj_routine_row;

const vj_routine_row *vj_routine_at(vj_routine routine);
vj_routine vj_routine_by_name(const char *name, size_t length); /* VJ_ROUTINE_COUNT when there is none */
int32_t vj_word_count(const char *words);
/* Word `index` of words separated by blanks, and its length. */
const char *vj_word_at(const char *words, int32_t index, size_t *length);
static inline int32_t vj_routine_buffers(const vj_routine_row *row) {
    return row->reads + row->writes + row->scratches;
}

/* The arguments of a call of a routine; its bound says how large the buffers must be. */
typedef struct vj_routine_use {
    const int64_t *param;
    const double *number;
    int64_t units;
    vj_dtype dtype[VJ_MAX_CALL_BUFFERS]; /* of the buffers that are read and written */
    /* Set by the bound: the elements (of scratch, the bytes) that each buffer must have, at least 1. */
    int64_t elements[VJ_MAX_CALL_BUFFERS];
    const char *wrong; /* set by the bound when it fails: what is wrong with the arguments */
} vj_routine_use;

/* Checks parameters and dtypes and sets `elements`. Returns false when they are wrong; `wrong` then says why. */
bool vj_routine_bound(vj_routine routine, vj_routine_use *use) VJ_MUST_USE;
/* Notes what is wrong. Returns false. */
bool vj_routine_wrong(vj_routine_use *use, const char *what);
/* The product of `count` positive numbers. Returns false with a note when one is not positive or the product is too
 * large. */
bool vj_routine_product(vj_routine_use *use, const int64_t *numbers, int32_t count, int64_t *product) VJ_MUST_USE;

/* A buffer of an evaluator. Floats are in f, integers and booleans in i; the other is NULL. */
typedef struct vj_host_array {
    vj_dtype dtype;
    double *f;
    int64_t *i;
} vj_host_array;

typedef struct vj_routine_run {
    const int64_t *param;
    const double *number;
    vj_host_array array[VJ_MAX_CALL_BUFFERS]; /* the buffers that are read, then those that are written */
    vj_arena *arena;
} vj_routine_run;

/* A node of the tensor level that one routine computes. vj_site_<op> derives the call from the node's attributes and
 * the dims of its operands. */
typedef struct vj_site {
    const vj_node *node;
    int32_t rank[VJ_MAX_CALL_BUFFERS]; /* of the operands */
    int64_t dims[VJ_MAX_CALL_BUFFERS][VJ_MAX_RANK];
    /* Set by vj_site_<op>: */
    vj_routine routine;
    int64_t param[VJ_MAX_PARAMS];
    double number[VJ_MAX_NUMBERS];
    int64_t rows;  /* how many parts the work can be divided into */
    double cycles; /* the work, in cycles */
    /* The index of the parameter that says that operand 0 [N, C, H, W] is stored channels last, which lowering prefers;
     * 0 when the routine has none. */
    int32_t channels_last;
} vj_site;
/* Sets param[0..2] to the elements of operand 0 before, along and behind the node's axis. */
void vj_site_axis(vj_site *site);

enum { VJ_MOST_SAMPLES = 128 }; /* the most samples of RoiAlign along a side of a bin */

void vj_site_topk(vj_site *site);
void vj_site_scatter(vj_site *site);
void vj_site_scan(vj_site *site);
void vj_site_roialign(vj_site *site);
void vj_site_gridsample(vj_site *site);

enum { VJ_SCATTER_SET, VJ_SCATTER_SUM, VJ_SCATTER_PROD, VJ_SCATTER_MAX, VJ_SCATTER_MIN };
enum { VJ_GRID_NEAREST, VJ_GRID_LINEAR, VJ_GRID_CUBIC };
enum { VJ_GRID_ZEROS, VJ_GRID_BORDER, VJ_GRID_REFLECTION };
/* The index of `text` among words separated by blanks, or -1. */
int32_t vj_word_of(const char *words, const char *text);

void vj_routine_evaluate(vj_routine routine, const vj_routine_run *run);

#define ROUTINE(id, ...)                                                                                               \
    bool vj_bound_##id(vj_routine_use *use);                                                                           \
    void vj_run_##id(const vj_routine_run *run);
#include "routines.def"
#undef ROUTINE

#endif
