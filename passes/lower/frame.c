/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - padding: a nest whose read has guards, and a value outside of them. */
#include "lower.h"

#include <assert.h>
#include <string.h>

/* The dims of a simple view, the farthest strides first. */
static void order_of(const vj_view *v, int32_t order[VJ_MAX_RANK]) {
    for (int32_t d = 0; d < v->rank; d++) {
        int32_t i = d;
        for (; i > 0 && vj_view_step(v, order[i - 1]) < vj_view_step(v, d); i--)
            order[i] = order[i - 1];
        order[i] = d;
    }
}

bool vj_lower_frame(vj_lowering *l, const vj_view *x, vj_dtype dtype, const int64_t *low, const vj_view *to,
                    double value, const vj_origin *origin) {
    assert(vj_view_is_simple(x) && vj_view_is_simple(to));
    vj_kernel *k = vj_add_kernel(l->p, VJ_KERNEL_NEST, "pad");
    vj_access read = {.buffer = x->buffer, .offset = x->offset, .otherwise = value};
    vj_access written = {.buffer = to->buffer, .offset = to->offset};
    int32_t order[VJ_MAX_RANK];
    order_of(to, order);
    for (int32_t i = 0; i < to->rank; i++) {
        const int32_t axis = k->rank, d = order[i];
        vj_add_axis(k, VJ_GROUP_OUTER, to->dim[d]);
        written.stride[axis] = vj_view_step(to, d);
        if (low[d] == 0 && x->dim[d] == to->dim[d]) {
            read.stride[axis] = vj_view_step(x, d);
            continue;
        }
        if (read.term_count == VJ_MAX_TERMS) {
            vj_fail(l->error, VJ_UNSUPPORTED, "padding of more than %d dims is not supported", VJ_MAX_TERMS);
            return false;
        }
        vj_term *term = &read.terms[read.term_count++];
        *term =
            (vj_term){.kind = VJ_TERM_GUARD, .stride = vj_view_step(x, d), .extent = x->dim[d], .constant = -low[d]};
        term->coef[axis] = 1;
    }
    const int32_t from = vj_add_access(k, &read), into = vj_add_access(k, &written);
    k->out[k->out_count++] = (vj_out){into, vj_x_load(l->p->arena, k, dtype, from), -1};
    k->origin = origin;
    return true;
}

bool vj_lower_pad(vj_lowering *l, const vj_node *node) {
    if (strcmp(vj_attr_name(node, VJ_ATTR_MODE, "constant"), "constant") != 0)
        return vj_lower_fail(l, node, "only padding by a constant is supported");
    const vj_dtype dtype = vj_dtype_at(l->f, node->first_result);
    vj_view x, to = vj_location(l, node->first_result);
    if (!vj_view_of(l, node->args[0], &x)) return false;
    if (!vj_view_is_simple(&x) && !vj_dense_view_of(l, node->args[0], &x)) return false;
    if (!vj_view_is_simple(&to)) to = vj_own_location(l, node->first_result);
    if (!vj_lower_frame(l, &x, dtype, vj_attr_find(node, VJ_ATTR_LOW)->as.ints, &to,
                        vj_attr_float(node, VJ_ATTR_VALUE, 0), node->origin))
        return false;
    vj_set_done(l, node->first_result, &to);
    return true;
}
