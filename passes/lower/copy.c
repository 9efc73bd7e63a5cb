/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c - copies, and the end of a build: its kernel, and behind it copies of the results that could not be written where
 * they belong. */
#include "lower.h"

bool vj_lower_copy(vj_lowering *l, const vj_view *from, const vj_view *to, vj_dtype dtype, const char *name,
                   const vj_origin *origin) {
    vj_build *b = vj_build_new(l, VJ_KERNEL_NEST, name, origin);
    int32_t same[VJ_MAX_RANK];
    for (int32_t d = 0; d < to->rank; d++) {
        vj_point_dim(b, to->dim[d], VJ_GROUP_OUTER);
        same[d] = d;
    }
    if (!vj_points_ready(b)) return false;
    const vj_view map = vj_point_map(b, to->rank, to->dim, same);
    const int32_t read = vj_build_view(b, from, &map), written = vj_build_view(b, to, &map);
    if (read < 0 || written < 0) {
        vj_view between = vj_view_dense(-1, to->rank, to->dim, 0, 1);
        between.buffer = vj_add_buffer(l->p, VJ_BUFFER_ARENA, dtype, vj_view_elements(to), NULL);
        return vj_lower_copy(l, from, &between, dtype, name, origin) &&
               vj_lower_copy(l, &between, to, dtype, name, origin);
    }
    b->k->out[b->k->out_count++] = (vj_out){written, vj_x_load(l->p->arena, b->k, dtype, read), -1};
    return vj_build_finish(b);
}

static bool run_copies(const vj_build *b) {
    for (int32_t i = 0; i < b->copy_count; i++) {
        const vj_value v = b->copies[i].value;
        if (!vj_lower_copy(b->l, &b->copies[i].from, &b->copies[i].to, vj_dtype_at(b->l->f, v), "copy", b->k->origin))
            return false;
    }
    return true;
}

bool vj_build_finish(vj_build *b) {
    if (!vj_build_append(b) || !run_copies(b)) return false;
    b->next = b->l->spare; /* not before: the copies are builds too */
    b->l->spare = b;
    return true;
}
