/* SPDX-License-Identifier: Apache-2.0 */
/* data.c - result types of the ops that find a size (nonzero, unique, nms) and of those that move elements between a
 * padded tensor and a dense list (pack, unpack). */
#include "infer.h"

#include <inttypes.h>

static vj_type integers(int32_t rank, vj_dim first, vj_dim second) {
    return (vj_type){.dtype = VJ_I64, .rank = rank, .dims = {first, second}};
}

/* The attribute `size` as a dim whose bound is at least `most`. */
static bool found_dim(vj_inference *in, int64_t most, vj_dim *dim) {
    int64_t bound;
    if (!vj_infer_decode_dim(in, vj_attr_int(in->node, VJ_ATTR_SIZE, 0), dim)) return false;
    if (dim->sym == VJ_SYM_BATCH) return vj_infer_fail(in, "the size is no multiple of N");
    if (dim->sym != VJ_SYM_NONE && dim->c != 1) return vj_infer_fail(in, "the size is a multiple of a symbol");
    if (!vj_dim_bound(in->f, *dim, &bound)) return false;
    return bound >= most ||
           vj_infer_fail(in, "up to %" PRId64 " can be found, but the size is at most %" PRId64, most, bound);
}

/* The most elements that x can have. An open batch has no such number. */
static bool most_elements(vj_inference *in, const vj_type *x, int64_t *most) {
    for (int32_t i = 0; i < x->rank; i++)
        if (x->dims[i].sym == VJ_SYM_BATCH) return vj_infer_fail(in, "dim %d is open (N): the batch must be fixed", i);
    return vj_type_elements(in->f, x, most) || vj_infer_fail(in, "too many elements");
}

static bool is_scalar(vj_inference *in, int32_t operand, vj_dtype dtype) {
    const vj_type *x = vj_infer_arg(in, operand);
    return !x || (x->rank == 0 && x->dtype == dtype) ||
           vj_infer_fail(in, "operand %d is %s, not %s[]", operand, vj_brief_type(x).text, vj_element_name(dtype));
}

bool vj_infer_nonzero(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    int64_t most;
    vj_dim size;
    if (x->rank == 0) return vj_infer_fail(in, "a scalar has no places");
    if (!most_elements(in, x, &most) || !found_dim(in, most, &size)) return false;
    in->results[0] = integers(2, vj_dim_const(x->rank), size);
    in->results[1] = integers(0, size, size);
    return true;
}

bool vj_infer_unique(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    int64_t most = 0, sorted = vj_attr_int(in->node, VJ_ATTR_SORTED, 0);
    vj_dim size;
    if (x->rank != 2) return vj_infer_fail(in, "%s has no rows", vj_brief_type(x).text);
    if (sorted != 0 && sorted != 1) return vj_infer_fail(in, "sorted is %" PRId64 ", not 0 or 1", sorted);
    vj_type rows = {.dtype = x->dtype, .rank = 1, .dims = {x->dims[0]}};
    if (!is_scalar(in, 1, VJ_I64) || !most_elements(in, x, &most) || !most_elements(in, &rows, &most) ||
        !found_dim(in, most, &size))
        return false;
    in->results[0] = in->results[2] = integers(1, size, size);
    in->results[1] = integers(1, x->dims[0], size);
    in->results[3] = integers(0, size, size);
    return true;
}

/* The most boxes that can be taken of a class: `most` where it is constant, at most all boxes. */
static int64_t most_of_class(const vj_func *f, vj_value most, int64_t boxes) {
    double number;
    if (!vj_is_splat(f, most, &number) || number >= (double)boxes) return boxes;
    return number > 0 ? (int64_t)number : 0;
}

bool vj_infer_nms(vj_inference *in) {
    const vj_type *boxes = vj_infer_arg(in, 0), *scores = vj_infer_arg(in, 1);
    int64_t center = vj_attr_int(in->node, VJ_ATTR_CENTER, 0), pairs = 0, spatial = 0, most;
    vj_dim size;
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dtype != VJ_F32 || scores->dtype != VJ_F32 ||
        !vj_dim_equal(boxes->dims[0], scores->dims[0]) || !vj_dim_equal(boxes->dims[1], scores->dims[2]) ||
        !vj_dim_equal(boxes->dims[2], vj_dim_const(4)))
        return vj_infer_fail(in, "boxes %s and scores %s are not f32[B,S,4] and f32[B,C,S]", vj_brief_type(boxes).text,
                             vj_brief_type(scores).text);
    if (center != 0 && center != 1) return vj_infer_fail(in, "center is %" PRId64 ", not 0 or 1", center);
    if (!is_scalar(in, 2, VJ_I64) || !is_scalar(in, 3, VJ_F32) || !is_scalar(in, 4, VJ_F32) ||
        !is_scalar(in, 5, VJ_I64))
        return false;
    vj_type classes = {.dtype = VJ_F32, .rank = 2, .dims = {scores->dims[0], scores->dims[1]}};
    vj_type boxes_of_class = {.dtype = VJ_F32, .rank = 1, .dims = {scores->dims[2]}};
    if (!most_elements(in, &classes, &pairs) || !most_elements(in, &boxes_of_class, &spatial)) return false;
    if (!vj_mul(pairs, most_of_class(in->f, in->node->args[2], spatial), &most))
        return vj_infer_fail(in, "too many elements");
    if (!found_dim(in, most, &size)) return false;
    in->results[0] = integers(2, size, vj_dim_const(3));
    in->results[1] = integers(0, size, size);
    return true;
}

/* Checks that operand 1 is a list of `rank` sizes. */
static bool true_dims(vj_inference *in, int32_t rank) {
    const vj_type *dims = vj_infer_arg(in, 1);
    return (dims->dtype == VJ_I64 && dims->rank == 1 && vj_dim_equal(dims->dims[0], vj_dim_const(rank))) ||
           vj_infer_fail(in, "the true dims are %s, not i64[%d]", vj_brief_type(dims).text, rank);
}

bool vj_infer_pack(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    int64_t count;
    if (!vj_type_is_static(x)) return vj_infer_fail(in, "%s is not static", vj_brief_type(x).text);
    if (!vj_type_elements(in->f, x, &count)) return vj_infer_fail(in, "too many elements");
    in->results[0] = vj_type_of(x->dtype, 1, &count);
    return true_dims(in, x->rank);
}

bool vj_infer_unpack(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    const vj_attr *dims = vj_attr_find(in->node, VJ_ATTR_DIMS);
    if (x->rank != 1 || !vj_type_is_static(x)) return vj_infer_fail(in, "%s is no static list", vj_brief_type(x).text);
    if (dims->count > VJ_MAX_RANK) return vj_infer_fail(in, "more than %d dims", VJ_MAX_RANK);
    for (int32_t i = 0; i < dims->count; i++)
        if (dims->as.ints[i] < 0) return vj_infer_fail(in, "dim %d is not static", i);
    in->results[0] = vj_type_of(x->dtype, dims->count, dims->count ? dims->as.ints : (int64_t[]){0});
    return true_dims(in, dims->count);
}
