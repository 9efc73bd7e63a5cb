/* SPDX-License-Identifier: Apache-2.0 */
/* axes.c - result types of the ops along axes: reduce, softmax, layernorm. */
#include "infer.h"

#include <inttypes.h>
#include <string.h>

bool vj_infer_reduce(vj_inference *in) {
    static const char *const kinds[] = {"sum", "prod", "mean", "max", "min"};
    const vj_type *x = vj_infer_arg(in, 0);
    const vj_attr *axes = vj_attr_find(in->node, VJ_ATTR_AXES);
    int64_t keep = vj_attr_int(in->node, VJ_ATTR_KEEP, 0);
    const char *kind = vj_attr_name(in->node, VJ_ATTR_KIND, "");
    if (!vj_infer_word(in, VJ_ATTR_KIND, kinds, 5) || !vj_infer_number(in, 0)) return false;
    if (strcmp(kind, "mean") == 0 && !vj_infer_float(in, 0)) return false;
    if (keep != 0 && keep != 1) return vj_infer_fail(in, "keep is %" PRId64 ", not 0 or 1", keep);
    uint32_t reduced = 0;
    for (int32_t i = 0; i < axes->count; i++) {
        int64_t axis = axes->as.ints[i];
        if (!vj_infer_axis(in, axis, x->rank)) return false;
        if (i && axis <= axes->as.ints[i - 1]) return vj_infer_fail(in, "axes are not strictly increasing");
        reduced |= 1u << axis;
    }
    in->results[0] = (vj_type){.dtype = x->dtype};
    for (int32_t i = 0; i < x->rank; i++)
        if (!(reduced >> i & 1))
            in->results[0].dims[in->results[0].rank++] = x->dims[i];
        else if (keep)
            in->results[0].dims[in->results[0].rank++] = vj_dim_const(1);
    return true;
}

bool vj_infer_softmax(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    in->results[0] = *x;
    return vj_infer_float(in, 0) && vj_infer_axis(in, vj_attr_int(in->node, VJ_ATTR_AXIS, 0), x->rank);
}

/* Checks that gain or offset has exactly the dims that are normalised. */
static bool matches_row(vj_inference *in, int32_t operand, int32_t axis) {
    const vj_type *x = vj_infer_arg(in, 0), *g = vj_infer_arg(in, operand);
    if (!g) return true;
    if (!vj_infer_same_dtype(in, 0, operand)) return false;
    vj_type row = {.dtype = x->dtype, .rank = x->rank - axis};
    memcpy(row.dims, x->dims + axis, (size_t)row.rank * sizeof *row.dims);
    return vj_type_equal(g, &row) || vj_infer_fail(in, "operand %d is %s, but the normalised dims are %s", operand,
                                                   vj_brief_type(g).text, vj_brief_type(&row).text);
}

bool vj_infer_layernorm(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    int64_t axis = vj_attr_int(in->node, VJ_ATTR_AXIS, 0);
    in->results[0] = *x;
    if (!vj_infer_float(in, 0) || !vj_infer_axis(in, axis, x->rank)) return false;
    if (!(vj_attr_float(in->node, VJ_ATTR_EPS, 0) >= 0)) return vj_infer_fail(in, "eps is negative");
    return matches_row(in, 1, (int32_t)axis) && matches_row(in, 2, (int32_t)axis);
}
