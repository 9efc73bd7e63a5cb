/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - nodes that a routine computes: their operands stand dense, their results are written dense. */
#include "lower.h"

#include <string.h>

/* Row-major without gaps? */
static bool is_dense(const vj_view *view) {
    vj_subaxes subaxes = {0};
    for (int32_t d = 0; d < view->rank; d++)
        vj_push_dim(&subaxes, view, d);
    return subaxes.count == 0 || (subaxes.count == 1 && subaxes.at[0].stride == 1);
}

/* In this order of its dims. */
static bool dense_in_order(vj_lowering *l, vj_value v, const int64_t *perm, vj_view *view) {
    vj_view_transpose(view, perm);
    if (is_dense(view)) return true;
    const vj_view from = *view;
    const int32_t buffer =
        vj_add_buffer(l->p, VJ_BUFFER_ARENA, vj_dtype_at(l->f, v), vj_image_elements(l->f, v), l->f->values[v].name);
    *view = vj_view_dense(buffer, from.rank, from.dim, 0, 1);
    return vj_lower_copy(l, &from, view, vj_dtype_at(l->f, v), "copy", vj_producer(l->f, v)->origin);
}

static bool add_read(vj_lowering *l, vj_kernel *k, vj_value v, const int64_t *perm) {
    vj_view view;
    if (!vj_view_of(l, v, &view)) return false;
    if (perm ? !dense_in_order(l, v, perm, &view) : !is_dense(&view) && !vj_dense_view_of(l, v, &view)) return false;
    vj_add_access(k, &(vj_access){.buffer = view.buffer, .offset = view.offset});
    return true;
}

static void add_written(vj_kernel *k, int32_t buffer) {
    const int32_t access = vj_add_access(k, &(vj_access){.buffer = buffer});
    k->out[k->out_count++] = (vj_out){access, -1, -1};
}

static bool fail(const vj_lowering *l, const vj_node *node, const char *what) {
    return vj_lower_fail(l, node, what ? what : "it cannot be computed");
}

/* More units than one where each has enough to do. */
static int64_t units_of(double cycles, int64_t rows) {
    enum { WORTH = 20000, MOST = 64 };
    const double worth = cycles / (double)WORTH;
    const int64_t units = worth > (double)MOST ? MOST : (int64_t)worth;
    return vj_max64(1, vj_min64(units, rows));
}

bool vj_lower_call(vj_lowering *l, const vj_node *node, const vj_call *call) {
    const vj_routine_row *row = vj_routine_at(call->routine);
    const int32_t values = row->reads + row->writes;
    vj_kernel *k = vj_kernel_new(l->p->arena, VJ_KERNEL_CALL, row->name);
    k->routine = call->routine;
    k->origin = node->origin;
    k->flops = call->cycles;
    k->units = units_of(call->cycles, call->rows);
    for (int32_t i = 0; i < VJ_MAX_PARAMS; i++)
        k->param[i] = call->param[i];
    for (int32_t i = 0; i < VJ_MAX_NUMBERS; i++)
        k->number[i] = call->number[i];
    vj_routine_use use = {.param = k->param, .number = k->number, .units = k->units};
    for (int32_t i = 0; i < values; i++)
        use.dtype[i] =
            i < row->reads ? vj_dtype_at(l->f, call->read[i]) : vj_dtype_at(l->f, node->first_result + i - row->reads);
    if (!vj_routine_bound(call->routine, &use)) return fail(l, node, use.wrong);
    for (int32_t i = 0; i < row->reads; i++)
        if (!add_read(l, k, call->read[i], i == 0 ? call->perm : NULL)) return false;
    for (int32_t i = row->reads; i < values; i++) {
        const vj_value v = node->first_result + i - row->reads;
        const vj_view view = vj_dense_location(l, v);
        add_written(k, view.buffer);
        vj_set_done(l, v, &view);
    }
    for (int32_t i = values; i < vj_routine_buffers(row); i++)
        add_written(k, vj_add_buffer(l->p, VJ_BUFFER_ARENA, VJ_U8, use.elements[i], NULL));
    *VJ_PUSH(l->p->arena, l->p->kernels, l->p->kernel_count, l->p->kernel_capacity) = k;
    return true;
}

bool vj_lower_site(vj_lowering *l, const vj_node *node, void (*site_of)(vj_site *site)) {
    vj_site *site = VJ_NEW(l->arena, vj_site);
    vj_call *call = VJ_NEW(l->arena, vj_call);
    site->node = node;
    for (int32_t i = 0; i < node->arg_count; i++) {
        call->read[i] = node->args[i];
        site->rank[i] = vj_image_dims(l->f, node->args[i], site->dims[i]);
    }
    site_of(site);
    call->routine = site->routine;
    call->rows = site->rows;
    call->cycles = site->cycles;
    memcpy(call->param, site->param, sizeof call->param);
    memcpy(call->number, site->number, sizeof call->number);
    static const int64_t channels_last[] = {0, 2, 3, 1};
    if (site->channels_last) {
        call->param[site->channels_last] = 1;
        call->perm = channels_last;
    }
    return vj_lower_call(l, node, call);
}
