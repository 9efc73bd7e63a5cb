/* SPDX-License-Identifier: Apache-2.0 */
/* known.c - operands whose elements are known while importing. */
#include "import.h"

vj_known *vj_known_new(vj_importer *im, vj_dtype dtype, int32_t rank, const int64_t *dims) {
    vj_known *k = VJ_NEW(im->arena, vj_known);
    k->dtype = dtype;
    k->rank = rank;
    k->count = 1;
    for (int32_t i = 0; i < rank; i++) {
        k->dims[i] = dims[i];
        k->count *= dims[i];
    }
    k->at = VJ_NEW_ARRAY(im->arena, vj_affine, k->count + 1);
    return k;
}

const vj_known *vj_known_of(vj_importer *im, vj_binding *b) {
    if (b->known || b->asked || !vj_going(im)) return b->known;
    b->asked = true;
    const vj_type *type = vj_type_at(im->f, b->value);
    bool is_float = type->dtype == VJ_F32 || type->dtype == VJ_F64;
    if (!is_float && type->dtype != VJ_I64 && type->dtype != VJ_I32 && type->dtype != VJ_BOOL) return NULL;
    int64_t dims[VJ_MAX_RANK], count = 1;
    for (int32_t i = 0; i < type->rank; i++) {
        dims[i] = type->dims[i].c;
        if (type->dims[i].sym || dims[i] > VJ_KNOWN_LIMIT) return NULL;
        count *= dims[i];
        if (count > (is_float ? VJ_KNOWN_FLOATS : VJ_KNOWN_LIMIT)) return NULL;
    }
    const vj_tensor *t = vj_fold(im, b->value);
    if (!t) return NULL;
    vj_known *k = vj_known_new(im, type->dtype, type->rank, dims);
    for (int64_t i = 0; i < count; i++)
        k->at[i] = (vj_affine){.b = is_float ? 0 : t->i[i], .f = is_float ? t->f[i] : 0};
    b->known = k;
    return k;
}

const vj_known *vj_known_operand(vj_importer *im, int32_t i) {
    if (!vj_has_operand(im, i)) return NULL;
    vj_binding *b = vj_operand_binding(im, i);
    return b ? vj_known_of(im, b) : NULL;
}

const vj_known *vj_known_list(vj_importer *im, int32_t i, const char *what) {
    if (!vj_going(im)) return NULL;
    const vj_known *k = vj_known_operand(im, i);
    if (!vj_going(im)) return NULL;
    if (!k) {
        vj_stop_unknown(im, i, what);
        return NULL;
    }
    if (k->rank > 1 || vj_dtype_is_float(k->dtype)) {
        vj_stop(im, VJ_BAD_INPUT, "its %s must be a list of integers", what);
        return NULL;
    }
    return k;
}

const int64_t *vj_constant_list(vj_importer *im, int32_t i, const char *what, int32_t *count) {
    *count = 0;
    const vj_known *k = vj_known_list(im, i, what);
    if (!k) return NULL;
    int64_t *list = VJ_NEW_ARRAY(im->arena, int64_t, k->count + 1);
    for (int64_t j = 0; j < k->count; j++) {
        if (k->at[j].a && k->at[j].data) {
            vj_stop(im, VJ_UNSUPPORTED, "its %s follow from a size that the data decides", what);
            return NULL;
        }
        if (k->at[j].a) {
            vj_stop(im, VJ_UNSUPPORTED, "its %s depend on the batch", what);
            vj_advise_batch(im->error, 1);
            return NULL;
        }
        list[j] = k->at[j].b;
    }
    *count = (int32_t)k->count;
    return list;
}

bool vj_axes_of(vj_importer *im, int32_t operand, int32_t rank, int32_t *axes, int32_t *count) {
    int32_t n = 0;
    const int64_t *list = NULL;
    if (vj_has_operand(im, operand))
        list = vj_constant_list(im, operand, "axes", &n);
    else
        list = vj_ints_attribute(im, "axes", &n);
    if (!vj_going(im)) return false;
    *count = -1;
    if (!list) return true;
    bool taken[VJ_MAX_RANK] = {false};
    for (int32_t i = 0; i < n; i++) {
        int32_t axis = vj_axis_of(im, list[i], rank);
        if (axis < 0) return false;
        if (taken[axis]) return vj_stop(im, VJ_BAD_INPUT, "axis %d is named twice", axis);
        taken[axis] = true;
    }
    *count = 0;
    for (int32_t axis = 0; axis < rank; axis++)
        if (taken[axis]) axes[(*count)++] = axis;
    return true;
}
