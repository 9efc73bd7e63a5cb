/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c - steps through several tensors at once, by strides. */
#include "eval.h"

void vj_dense_strides(const vj_tensor *t, int64_t stride[VJ_MAX_RANK]) {
    int64_t elements = 1;
    for (int32_t i = t->type.rank - 1; i >= 0; i--) {
        stride[i] = elements;
        elements *= t->type.dims[i].c;
    }
}

int64_t vj_tensor_extent(const vj_tensor *t, int32_t first, int32_t last) {
    int64_t product = 1;
    for (int32_t i = first; i < last; i++)
        product *= t->type.dims[i].c;
    return product;
}

vj_walk vj_walk_over(const vj_tensor *space) {
    vj_walk w = {.rank = space->type.rank, .inner = 1, .done = space->count == 0};
    for (int32_t i = 0; i < w.rank; i++)
        w.dims[i] = space->type.dims[i].c;
    if (w.rank > 0) w.inner = w.dims[w.rank - 1];
    return w;
}

void vj_walk_strided(vj_walk *w, int64_t base, const int64_t *stride) {
    const int32_t o = w->operands++;
    w->at[o] = base;
    for (int32_t i = 0; i < w->rank; i++)
        w->stride[o][i] = stride[i];
    w->step[o] = w->rank > 0 ? stride[w->rank - 1] : 0;
}

void vj_walk_broadcast(vj_walk *w, const vj_tensor *t) {
    int64_t dense[VJ_MAX_RANK], stride[VJ_MAX_RANK] = {0};
    vj_dense_strides(t, dense);
    const int32_t missing = w->rank - t->type.rank;
    for (int32_t i = 0; i < t->type.rank; i++)
        if (t->type.dims[i].c != 1) stride[missing + i] = dense[i];
    vj_walk_strided(w, 0, stride);
}

void vj_walk_next(vj_walk *w) {
    for (int32_t i = w->rank - 2; i >= 0; i--) {
        for (int32_t o = 0; o < w->operands; o++)
            w->at[o] += w->stride[o][i];
        if (++w->index[i] < w->dims[i]) return;
        for (int32_t o = 0; o < w->operands; o++)
            w->at[o] -= w->stride[o][i] * w->dims[i];
        w->index[i] = 0;
    }
    w->done = true;
}
