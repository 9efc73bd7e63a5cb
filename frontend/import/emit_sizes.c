/* SPDX-License-Identifier: Apache-2.0 */
/* emit_sizes.c - emits IR nodes whose results may have sizes that the data decides. */
#include "import.h"

vj_value vj_emit_concat(vj_importer *im, const vj_value *parts, int32_t count, int32_t axis) {
    vj_attr attrs[2] = {vj_int(VJ_ATTR_AXIS, axis)};
    if (count == 1) return parts[0];
    vj_affine sum = {0};
    bool has_data = false;
    for (int32_t i = 0; vj_going(im) && i < count; i++) {
        const vj_type *type = vj_type_at(im->f, parts[i]);
        if (axis >= type->rank) break; /* inference refuses it */
        has_data |= vj_is_data_dim(type->dims[axis]);
        if (!vj_affine_combine(im, VJ_AFFINE_ADD, sum, vj_affine_of_dim(im, type->dims[axis]), &sum)) has_data = false;
    }
    if (!has_data) return vj_emit(im, VJ_OP_concat, parts, count, attrs, 1);
    vj_dim size;
    if (!vj_dim_of_affine(im, sum, "sum", &size)) return VJ_NONE;
    attrs[1] = vj_int(VJ_ATTR_SIZE, vj_dim_code(size));
    return vj_emit(im, VJ_OP_concat, parts, count, attrs, 2);
}

vj_value vj_emit_indices(vj_importer *im, vj_affine count) {
    enum { LIMIT = 1 << 22 };
    int64_t least, most;
    vj_dim dim;
    if (!vj_going(im) || !vj_affine_range(im, count, &least, &most) || !vj_dim_of_affine(im, count, "range", &dim))
        return VJ_NONE;
    if (most > LIMIT) {
        vj_stop(im, VJ_UNSUPPORTED, "makes up to %lld elements", (long long)most);
        return VJ_NONE;
    }
    const vj_type type = vj_type_of(VJ_I64, 1, &most);
    vj_value all = vj_add_const(im->f, NULL, &type, &(vj_const){.kind = VJ_CONST_IOTA});
    return vj_emit_slice(im, all, 0, 0, dim, 1);
}

vj_value vj_known_value(vj_importer *im, const vj_known *k) {
    vj_value *parts = VJ_NEW_ARRAY(im->arena, vj_value, k->count + 1);
    const vj_dim one = vj_dim_const(1);
    vj_dim dims[VJ_MAX_RANK];
    for (int64_t i = 0; i < k->count && vj_going(im); i++)
        parts[i] = vj_emit_reshape(im, vj_affine_value(im, k->at[i]), &one, 1);
    for (int32_t i = 0; i < k->rank; i++)
        dims[i] = vj_dim_const(k->dims[i]);
    vj_value list = vj_emit_concat(im, parts, (int32_t)k->count, 0);
    return vj_emit_cast(im, vj_emit_reshape(im, list, dims, k->rank), k->dtype);
}
