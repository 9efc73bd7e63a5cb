/* SPDX-License-Identifier: Apache-2.0 */
/* make.c - tensors of the evaluator, and the results of a node once the sizes in their types are known. */
#include "eval.h"

vj_tensor *vj_tensor_new(vj_arena *arena, const vj_type *type, vj_error *error) {
    int64_t count = 1, bytes;
    for (int32_t i = 0; i < type->rank; i++)
        if (type->dims[i].sym != VJ_SYM_NONE || type->dims[i].c < 0 || !vj_mul(count, type->dims[i].c, &count)) {
            vj_fail(error, VJ_BAD_INPUT, "a tensor's dims are not static or are too large");
            return NULL;
        }
    if (!vj_mul(count, 8, &bytes)) {
        vj_fail(error, VJ_BAD_INPUT, "a tensor is too large");
        return NULL;
    }
    vj_tensor *t = VJ_NEW(arena, vj_tensor);
    t->type = *type;
    t->count = count;
    if (vj_dtype_is_float(type->dtype))
        t->f = VJ_NEW_ARRAY(arena, double, count > 0 ? count : 1);
    else
        t->i = VJ_NEW_ARRAY(arena, int64_t, count > 0 ? count : 1);
    return t;
}

bool vj_eval_type(const vj_type *type, int64_t n, const int64_t *sizes, int64_t open, vj_type *out, vj_error *error) {
    *out = *type;
    for (int32_t i = 0; i < type->rank; i++) {
        vj_dim d = type->dims[i];
        if (d.sym == VJ_SYM_NONE) continue;
        int64_t size = d.sym == VJ_SYM_BATCH ? n : sizes[d.sym - VJ_SYM_FIRST_DATA];
        if (size < 0) size = open;
        out->dims[i].sym = VJ_SYM_NONE;
        if (size >= 0 && vj_mul(d.c, size, &out->dims[i].c)) continue;
        vj_fail(error, VJ_UNSUPPORTED, "a size is not known here");
        return false;
    }
    return true;
}

vj_tensor *vj_eval_make(vj_eval_context *c, int32_t result, int64_t size) {
    vj_type type;
    if (c->results[result]) return c->results[result];
    if (vj_eval_type(vj_type_at(c->f, c->node->first_result + result), c->n, c->sizes, size, &type, c->error))
        c->results[result] = vj_tensor_new(c->arena, &type, c->error);
    return c->results[result];
}
