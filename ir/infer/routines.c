/* SPDX-License-Identifier: Apache-2.0 */
/* routines.c - result types of the ops that a routine computes. */
#include "infer.h"
#include "ir/routines/routines.h"

#include <inttypes.h>
#include <string.h>

/* The size of topk's result where the data decides it. Its bound must be k, and k at most the bound of the axis. */
static bool topk_size(vj_inference *in, const vj_attr *size, int64_t k, vj_dim length, vj_dim *taken) {
    int64_t most, there;
    if (!vj_infer_decode_dim(in, size->as.i, taken) || !vj_dim_bound(in->f, *taken, &most)) return false;
    if (!vj_is_data_dim(*taken)) return vj_infer_fail(in, "size is no size that the data decides");
    if (length.sym == VJ_SYM_BATCH) return vj_infer_fail(in, "a size on an axis with N");
    return (most == k && vj_dim_bound(in->f, length, &there) && k <= there) ||
           vj_infer_fail(in, "size is at most %" PRId64 ", where k is %" PRId64 " of %s", most, k,
                         vj_brief_dim(length).text);
}

bool vj_infer_topk(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    const int64_t axis = vj_attr_int(in->node, VJ_ATTR_AXIS, 0), k = vj_attr_int(in->node, VJ_ATTR_K, 0);
    const int64_t largest = vj_attr_int(in->node, VJ_ATTR_LARGEST, 1);
    if (!vj_infer_number(in, 0) || !vj_infer_axis(in, axis, x->rank)) return false;
    if (largest != 0 && largest != 1) return vj_infer_fail(in, "largest is %" PRId64 ", not 0 or 1", largest);
    const vj_attr *size = vj_attr_find(in->node, VJ_ATTR_SIZE);
    vj_dim taken = vj_dim_const(k);
    if (size && !topk_size(in, size, k, x->dims[axis], &taken)) return false;
    if (!size && x->dims[axis].sym != VJ_SYM_NONE) return vj_infer_fail(in, "axis %" PRId64 " has no fixed size", axis);
    if (!size && (k < 0 || k > x->dims[axis].c))
        return vj_infer_fail(in, "takes %" PRId64 " of %" PRId64 " elements", k, x->dims[axis].c);
    in->results[0] = *x;
    in->results[0].dims[axis] = taken;
    in->results[1] = in->results[0];
    in->results[1].dtype = VJ_I64;
    return true;
}

static bool infer_flag(vj_inference *in, vj_attr_key key) {
    const int64_t flag = vj_attr_int(in->node, key, 0);
    return flag == 0 || flag == 1 || vj_infer_fail(in, "%s is %" PRId64 ", not 0 or 1", vj_attr_key_name(key), flag);
}

/* Returns whether dims [first, last) of the indices are those of the updates, or all 1. */
static bool indices_fit(const vj_type *indices, const vj_type *updates, int64_t first, int64_t last) {
    bool same = true, ones = true;
    for (int64_t d = first; d < last; d++) {
        same &= vj_dim_equal(indices->dims[d], updates->dims[d]);
        ones &= vj_dim_equal(indices->dims[d], vj_dim_const(1));
    }
    return same || ones;
}

bool vj_infer_scatter(vj_inference *in) {
    static const char *const kinds[] = {"set", "sum", "prod", "max", "min"};
    const vj_type *data = vj_infer_arg(in, 0), *indices = vj_infer_arg(in, 1), *updates = vj_infer_arg(in, 2);
    const int64_t axis = vj_attr_int(in->node, VJ_ATTR_AXIS, 0);
    if (!vj_infer_axis(in, axis, data->rank) || !vj_infer_word(in, VJ_ATTR_KIND, kinds, 5)) return false;
    if (indices->dtype != VJ_I64)
        return vj_infer_fail(in, "the indices are %s, not i64", vj_element_name(indices->dtype));
    if (!vj_infer_same_dtype(in, 0, 2)) return false;
    bool fits = data->rank == updates->rank && data->rank == indices->rank;
    for (int32_t d = 0; fits && d < data->rank; d++)
        fits = d == axis || vj_dim_equal(data->dims[d], updates->dims[d]);
    fits = fits && vj_dim_equal(indices->dims[axis], updates->dims[axis]) && indices_fit(indices, updates, 0, axis) &&
           indices_fit(indices, updates, axis + 1, data->rank);
    if (!fits)
        return vj_infer_fail(in, "%s by indices %s does not fit %s along axis %" PRId64, vj_brief_type(updates).text,
                             vj_brief_type(indices).text, vj_brief_type(data).text, axis);
    if (strcmp(vj_attr_name(in->node, VJ_ATTR_KIND, ""), "set") != 0 && !vj_infer_number(in, 0)) return false;
    in->results[0] = *data;
    return true;
}

bool vj_infer_scan(vj_inference *in) {
    static const char *const kinds[] = {"sum", "prod"};
    const vj_type *x = vj_infer_arg(in, 0);
    in->results[0] = *x;
    return vj_infer_number(in, 0) && vj_infer_axis(in, vj_attr_int(in->node, VJ_ATTR_AXIS, 0), x->rank) &&
           vj_infer_word(in, VJ_ATTR_KIND, kinds, 2) && infer_flag(in, VJ_ATTR_EXCLUSIVE) &&
           infer_flag(in, VJ_ATTR_REVERSE);
}

bool vj_infer_roialign(vj_inference *in) {
    static const char *const kinds[] = {"mean", "max"};
    const vj_type *x = vj_infer_arg(in, 0), *rois = vj_infer_arg(in, 1), *images = vj_infer_arg(in, 2);
    const int64_t *sizes = vj_infer_ints(in, VJ_ATTR_SIZES, 2, 1);
    if (!sizes || !vj_infer_float(in, 0) || !vj_infer_same_dtype(in, 0, 1) || !infer_flag(in, VJ_ATTR_HALF_PIXEL) ||
        !vj_infer_word(in, VJ_ATTR_KIND, kinds, 2))
        return false;
    const int64_t samples = vj_attr_int(in->node, VJ_ATTR_SAMPLES, 0);
    if (samples < 0 || samples > VJ_MOST_SAMPLES)
        return vj_infer_fail(in, "samples is %" PRId64 ", not 0 to %d", samples, VJ_MOST_SAMPLES);
    if (images->dtype != VJ_I64) return vj_infer_fail(in, "the images are %s, not i64", vj_element_name(images->dtype));
    if (x->rank != 4 || rois->rank != 2 || images->rank != 1 || !vj_dim_equal(rois->dims[1], vj_dim_const(4)) ||
        !vj_dim_equal(rois->dims[0], images->dims[0]))
        return vj_infer_fail(in, "%s, %s and %s are not [N, C, H, W], [R, 4] and [R]", vj_brief_type(x).text,
                             vj_brief_type(rois).text, vj_brief_type(images).text);
    in->results[0] = (vj_type){.dtype = x->dtype, .rank = 4};
    in->results[0].dims[0] = rois->dims[0];
    in->results[0].dims[1] = x->dims[1];
    in->results[0].dims[2] = vj_dim_const(sizes[0]);
    in->results[0].dims[3] = vj_dim_const(sizes[1]);
    return true;
}

bool vj_infer_gridsample(vj_inference *in) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const vj_type *x = vj_infer_arg(in, 0), *grid = vj_infer_arg(in, 1);
    if (!vj_infer_float(in, 0) || !vj_infer_same_dtype(in, 0, 1) || !vj_infer_word(in, VJ_ATTR_MODE, modes, 3) ||
        !vj_infer_word(in, VJ_ATTR_PADDING, paddings, 3) || !infer_flag(in, VJ_ATTR_ALIGN))
        return false;
    if ((x->rank != 4 && x->rank != 5) || grid->rank != x->rank || !vj_dim_equal(x->dims[0], grid->dims[0]) ||
        !vj_dim_equal(grid->dims[grid->rank - 1], vj_dim_const(x->rank - 2)))
        return vj_infer_fail(in, "a grid %s does not fit %s", vj_brief_type(grid).text, vj_brief_type(x).text);
    in->results[0] = *x;
    for (int32_t d = 2; d < x->rank; d++)
        in->results[0].dims[d] = grid->dims[d - 1];
    return true;
}
