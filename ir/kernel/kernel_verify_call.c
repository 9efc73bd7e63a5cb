/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_verify_call.c - calls: a routine's buffers are as large as its parameters ask for, and apart. */
#include "kernel_verify.h"
#include "ir/routines/routines.h"

static bool fail(const vj_verify_at *at, const char *what) {
    vj_fail(at->error, VJ_UNSUPPORTED, "kernel %d '%s': %s", (int)at->number, at->k->name ? at->k->name : "?", what);
    return false;
}

/* Is it the access of a whole buffer from some element on? */
static bool is_whole(const vj_access *access) {
    bool whole = access->term_count == 0;
    for (int32_t a = 0; a < VJ_MAX_AXES; a++)
        whole &= access->stride[a] == 0;
    return whole;
}

static bool check_buffer(const vj_verify_at *at, const vj_routine_row *row, int32_t number, int64_t elements) {
    const vj_access *access = &at->k->access[number];
    const vj_buffer *buffer = &at->p->buffers[access->buffer];
    if (!is_whole(access)) return fail(at, "a call's access moves");
    if (elements < 1 || !vj_range_inside(access->offset, elements, buffer->elements))
        return fail(at, "a call's buffer is too small");
    if (number < row->reads) return !vj_is_packed(at->p, access->buffer) || fail(at, "it reads packed panels");
    for (int32_t i = 0; i < number; i++)
        if (at->k->access[i].buffer == access->buffer) return fail(at, "a call writes a buffer that it has twice");
    if (buffer->kind != VJ_BUFFER_ARENA && (buffer->kind != VJ_BUFFER_OUTPUT || number >= row->reads + row->writes))
        return fail(at, "a result goes to a buffer that is not to be written");
    return number < row->reads + row->writes || buffer->dtype == VJ_U8 || fail(at, "scratch is not of bytes");
}

bool vj_verify_call(const vj_verify_at *at) {
    const vj_kernel *k = at->k;
    if (k->routine < 0 || k->routine >= VJ_ROUTINE_COUNT) return fail(at, "it names no routine");
    const vj_routine_row *row = vj_routine_at(k->routine);
    const int32_t count = vj_routine_buffers(row);
    if (k->rank != 0 || k->expr_count != 0 || k->stage_count != 0) return fail(at, "a call has axes or expressions");
    if (k->access_count != count || k->out_count != count - row->reads)
        return fail(at, "a call has another number of buffers than its routine");
    vj_routine_use use = {.param = k->param, .number = k->number, .units = k->units};
    for (int32_t i = 0; i < count; i++) {
        if (k->access[i].buffer < 0 || k->access[i].buffer >= at->p->buffer_count)
            return fail(at, "an access names no buffer");
        use.dtype[i] = at->p->buffers[k->access[i].buffer].dtype;
    }
    if (!vj_routine_bound(k->routine, &use)) return fail(at, use.wrong);
    for (int32_t i = 0; i < count; i++)
        if (!check_buffer(at, row, i, use.elements[i])) return false;
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->out[o].access != row->reads + o || k->out[o].expr != -1 || k->out[o].segment != -1)
            return fail(at, "a call's results are not its written buffers");
    return true;
}
