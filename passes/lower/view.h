/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - how the elements of a tensor stand in a buffer, when movement ops have been worked into the addresses.
 *
 * An index along a dim of the tensor is a number of mixed radix: subaxes from major to minor, each with an extent and a
 * stride in elements. reshape regroups subaxes, transpose permutes dims, slice moves the offset, broadcast adds a dim
 * that does not move. What cannot be said so is copied first.
 *
 * The same structure describes how the dims of a value follow from the points of a kernel ("map"): strides then count
 * in the flat, row-major number of the point, and the offset has no meaning. A map may leave parts of the number
 * unused.
 */
#ifndef VITJIT_PASSES_LOWER_VIEW_H
#define VITJIT_PASSES_LOWER_VIEW_H

#include "ir/kernel/kernel.h"

#define VJ_DIM_SUBAXES  8
#define VJ_FLAT_SUBAXES 32

typedef struct vj_subaxis {
    int64_t extent, stride; /* extent > 1 */
} vj_subaxis;

typedef struct vj_view {
    int32_t buffer;
    int64_t offset;
    int32_t rank;
    int64_t dim[VJ_MAX_RANK];
    int32_t count[VJ_MAX_RANK]; /* subaxes of a dim; 0: the dim is 1, or does not move the address */
    vj_subaxis subaxis[VJ_MAX_RANK][VJ_DIM_SUBAXES];
} vj_view;

/* Digits of one flat number, major first. */
typedef struct vj_subaxes {
    int32_t count;
    vj_subaxis at[VJ_FLAT_SUBAXES];
} vj_subaxes;

/* Row-major, with `step` elements between neighbours of the last dim and rows of `row` elements (0: as long as they
 * are). */
vj_view vj_view_dense(int32_t buffer, int32_t rank, const int64_t *dims, int64_t row, int64_t step);
int64_t vj_view_elements(const vj_view *v);
/* One past the largest element that is reached; strides must not be negative. */
int64_t vj_view_end(const vj_view *v);
bool vj_view_is_simple(const vj_view *v); /* no dim has more than one subaxis */
/* Of the innermost subaxis of a dim; 0 when the dim moves nothing. */
int64_t vj_view_step(const vj_view *v, int32_t dim);

/* False: it cannot be said by subaxes, and v is unchanged. */
bool vj_view_reshape(vj_view *v, int32_t rank, const int64_t *dims) VJ_MUST_USE;
void vj_view_transpose(vj_view *v, const int64_t *perm);
void vj_view_untranspose(vj_view *v, const int64_t *perm); /* the inverse */
bool vj_view_slice(vj_view *v, int32_t dim, int64_t start, int64_t size, int64_t step) VJ_MUST_USE;
/* numpy's broadcasting to larger dims. */
void vj_view_broadcast(vj_view *v, int32_t rank, const int64_t *dims);
/* The map of an operand with these dims, which is broadcast to the dims of `v`. */
vj_view vj_view_operand(const vj_view *v, int32_t rank, const int64_t *dims);
void vj_view_drop_dim(vj_view *v, int32_t dim); /* dim must be 1 */

/* The address of `v` from the number of the point, of `total` points, from which `map` makes the dims of v. Adjacent
 * subaxes are merged. False: the subaxes of a dim do not fit each other. */
bool vj_view_pull_back(const vj_view *v, const vj_view *map, int64_t total, vj_subaxes *out) VJ_MUST_USE;

void vj_subaxes_push(vj_subaxes *d, int64_t extent, int64_t stride); /* at the minor end; merges where it can */

#endif
