/* SPDX-License-Identifier: Apache-2.0 */
/* product.c - result types of products (matmul, linear, conv, attention) and of pool, which has the windows of conv. */
#include "infer.h"
#include "ir/tensor/grids.h"

#include <inttypes.h>
#include <string.h>

/* The first `count` dims of a type. */
static vj_type leading(const vj_type *type, int32_t count) {
    vj_type lead = {.dtype = type->dtype, .rank = count};
    memcpy(lead.dims, type->dims, (size_t)count * sizeof *lead.dims);
    return lead;
}

static bool append(vj_inference *in, vj_type *type, vj_dim dim) {
    if (type->rank == VJ_MAX_RANK) return vj_infer_fail(in, "the result has more than %d dims", VJ_MAX_RANK);
    type->dims[type->rank++] = dim;
    return true;
}

static bool inner_dims_meet(vj_inference *in, vj_dim a, vj_dim b) {
    return vj_dim_equal(a, b) ||
           vj_infer_fail(in, "%s and %s have inner dims %s and %s that differ", vj_brief_type(vj_infer_arg(in, 0)).text,
                         vj_brief_type(vj_infer_arg(in, 1)).text, vj_brief_dim(a).text, vj_brief_dim(b).text);
}

/* Follows numpy: a vector is a row on the left and a column on the right, and the result lacks its dim. */
bool vj_infer_matmul(vj_inference *in) {
    const vj_type *a = vj_infer_arg(in, 0), *b = vj_infer_arg(in, 1);
    vj_dtype dtype;
    if (!vj_infer_number(in, 0) || !vj_infer_product_dtype(in, 2, &dtype)) return false;
    if (a->rank == 0 || b->rank == 0) return vj_infer_fail(in, "a scalar is no matrix");
    if (!inner_dims_meet(in, a->dims[a->rank - 1], b->dims[b->rank > 1 ? b->rank - 2 : 0])) return false;
    vj_type lead_a = leading(a, a->rank > 2 ? a->rank - 2 : 0), lead_b = leading(b, b->rank > 2 ? b->rank - 2 : 0);
    if (!vj_infer_meet(in, &lead_a, &lead_b, &in->results[0])) return false;
    in->results[0].dtype = dtype;
    if (a->rank > 1 && !append(in, &in->results[0], a->dims[a->rank - 2])) return false;
    return b->rank == 1 || append(in, &in->results[0], b->dims[b->rank - 1]);
}

static bool is_bias_of(vj_inference *in, int32_t operand, vj_dtype dtype, vj_dim width) {
    const vj_type *b = vj_infer_arg(in, operand);
    if (!b) return true;
    if (!vj_infer_addend(in, operand, dtype)) return false;
    return (b->rank == 1 && vj_dim_equal(b->dims[0], width)) ||
           vj_infer_fail(in, "the bias is %s, but %s columns are made", vj_brief_type(b).text,
                         vj_brief_dim(width).text);
}

bool vj_infer_linear(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0), *w = vj_infer_arg(in, 1);
    vj_dtype dtype;
    if (!vj_infer_float(in, 0) || !vj_infer_product_dtype(in, 2, &dtype)) return false;
    if (x->rank < 1) return vj_infer_fail(in, "a scalar is no row");
    if (w->rank != 2) return vj_infer_fail(in, "the weight is %s, not a matrix", vj_brief_type(w).text);
    if (!inner_dims_meet(in, x->dims[x->rank - 1], w->dims[0]) || !is_bias_of(in, 2, dtype, w->dims[1])) return false;
    in->results[0] = *x;
    in->results[0].dtype = dtype;
    in->results[0].dims[x->rank - 1] = w->dims[1];
    return true;
}

/* Windows of conv and pool over the last `spatial` axes. */
typedef struct windows {
    int32_t spatial;
    const int64_t *kernel, *stride, *dilation, *low, *high;
} windows;

static bool read_windows(vj_inference *in, const vj_type *x, windows *w) {
    w->spatial = x->rank - 2;
    if (w->spatial < 1 || w->spatial > 3)
        return vj_infer_fail(in, "%s is not [N, C, W], [N, C, H, W] or [N, C, D, H, W]", vj_brief_type(x).text);
    return (w->stride = vj_infer_ints(in, VJ_ATTR_STRIDE, w->spatial, 1)) &&
           (w->dilation = vj_infer_ints(in, VJ_ATTR_DILATION, w->spatial, 1)) &&
           (w->low = vj_infer_ints(in, VJ_ATTR_LOW, w->spatial, 0)) &&
           (w->high = vj_infer_ints(in, VJ_ATTR_HIGH, w->spatial, 0));
}

/* The number of windows along spatial axis i, and the width of a window with its gaps. */
static bool count_windows(vj_inference *in, const windows *w, int32_t i, vj_dim size, int64_t *count, int64_t *reach) {
    int64_t padded, gaps;
    if (size.sym != VJ_SYM_NONE) return vj_infer_fail(in, "windows over an open dim (%s)", vj_brief_dim(size).text);
    if (!vj_add(size.c, w->low[i], &padded) || !vj_add(padded, w->high[i], &padded) ||
        !vj_mul(w->kernel[i] - 1, w->dilation[i], &gaps) || !vj_add(gaps, 1, reach))
        return vj_infer_fail(in, "the windows are too large to be counted");
    if (*reach > padded)
        return vj_infer_fail(in, "a window of %" PRId64 " does not fit on an axis of %" PRId64 " with its padding",
                             *reach, padded);
    *count = (padded - *reach) / w->stride[i] + 1;
    return true;
}

bool vj_infer_conv(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0), *w = vj_infer_arg(in, 1);
    windows win;
    vj_dtype dtype;
    int64_t groups = vj_attr_int(in->node, VJ_ATTR_GROUPS, 1), channels = 0;
    if (!vj_infer_product_dtype(in, 2, &dtype)) return false;
    if (dtype != VJ_I32 && !vj_infer_float(in, 0)) return false;
    if (!read_windows(in, x, &win)) return false;
    if (w->rank != x->rank || !vj_type_is_static(w))
        return vj_infer_fail(in, "the weight is %s, for an input of %s", vj_brief_type(w).text, vj_brief_type(x).text);
    if (groups < 1 || w->dims[0].c % groups)
        return vj_infer_fail(in, "%" PRId64 " filters in %" PRId64 " groups", w->dims[0].c, groups);
    if (!vj_mul(w->dims[1].c, groups, &channels) || !vj_dim_equal(x->dims[1], vj_dim_const(channels)))
        return vj_infer_fail(in, "%s channels, but the weight %s in %" PRId64 " groups reads %" PRId64,
                             vj_brief_dim(x->dims[1]).text, vj_brief_type(w).text, groups, channels);
    if (!is_bias_of(in, 2, dtype, w->dims[0])) return false;
    int64_t kernel[3];
    win.kernel = kernel;
    in->results[0] = (vj_type){.dtype = dtype, .rank = x->rank, .dims = {x->dims[0], w->dims[0]}};
    for (int32_t i = 0; i < win.spatial; i++) {
        int64_t count, reach;
        kernel[i] = w->dims[2 + i].c;
        if (kernel[i] < 1) return vj_infer_fail(in, "the kernel is empty");
        if (!count_windows(in, &win, i, x->dims[2 + i], &count, &reach)) return false;
        in->results[0].dims[2 + i] = vj_dim_const(count);
    }
    return true;
}

bool vj_infer_pool(vj_inference *in) {
    static const char *const kinds[] = {"max", "mean"};
    const vj_type *x = vj_infer_arg(in, 0);
    windows w;
    bool is_mean = strcmp(vj_attr_name(in->node, VJ_ATTR_KIND, ""), "mean") == 0;
    int64_t count_pad = vj_attr_int(in->node, VJ_ATTR_COUNT_PAD, 0);
    if (!vj_infer_word(in, VJ_ATTR_KIND, kinds, 2)) return false;
    if (!(is_mean ? vj_infer_float(in, 0) : vj_infer_number(in, 0)) || !read_windows(in, x, &w)) return false;
    if (!(w.kernel = vj_infer_ints(in, VJ_ATTR_KERNEL, w.spatial, 1))) return false;
    if (count_pad != 0 && count_pad != 1) return vj_infer_fail(in, "count_pad is %" PRId64 ", not 0 or 1", count_pad);
    in->results[0] = *x;
    for (int32_t i = 0; i < w.spatial; i++) {
        int64_t count, reach;
        if (!count_windows(in, &w, i, x->dims[2 + i], &count, &reach)) return false;
        if (w.low[i] >= reach || (count - 1) * w.stride[i] - w.low[i] >= x->dims[2 + i].c)
            return vj_infer_fail(in, "a window stands wholly in the padding");
        in->results[0].dims[2 + i] = vj_dim_const(count);
    }
    return true;
}

static bool fits_scores(vj_inference *in, int32_t i, const char *what, const vj_type *scores) {
    const vj_type *type = vj_infer_arg(in, i);
    vj_type both, as_scores;
    if (!type) return true;
    as_scores = *type;
    as_scores.dtype = scores->dtype;
    return (vj_broadcast(scores, &as_scores, &both) && vj_type_equal(&both, scores)) ||
           vj_infer_fail(in, "the %s %s does not broadcast to the scores %s", what, vj_brief_type(type).text,
                         vj_brief_type(scores).text);
}

static bool attention_bias_fits(vj_inference *in, const vj_type *scores) {
    const vj_type *keep = vj_infer_arg(in, 4);
    const bool has_value = vj_attr_find(in->node, VJ_ATTR_VALUE) != NULL;
    if (vj_infer_arg(in, 3) && !vj_infer_addend(in, 3, scores->dtype)) return false;
    if (keep && keep->dtype != VJ_BOOL) return vj_infer_fail(in, "keep is %s, not bool", vj_brief_type(keep).text);
    if ((keep != NULL) != has_value) return vj_infer_fail(in, "keep and value come together");
    return fits_scores(in, 3, "bias", scores) && fits_scores(in, 4, "mask", scores);
}

static bool grids_fit(vj_inference *in, const vj_type *scores) {
    const vj_type *grids = vj_infer_arg(in, VJ_GRIDS_OPERAND);
    const int64_t count = grids && grids->rank == 2 ? grids->dims[0].c : 0;
    if (grids && (scores->dtype != VJ_F32 || grids->dtype != VJ_F32 || grids->rank != 2 || !vj_type_is_static(grids) ||
                  grids->dims[1].c != VJ_GRID_NUMBERS || count < 1 || count > VJ_MOST_GRIDS))
        return vj_infer_fail(in, "its grids are %s, not f32[1 to %d,%d] beside scores of f32",
                             vj_brief_type(grids).text, VJ_MOST_GRIDS, VJ_GRID_NUMBERS);
    for (int32_t i = VJ_FIRST_ADDEND; i < in->node->arg_count; i++) {
        if (!vj_infer_arg(in, i)) continue;
        if (i - VJ_FIRST_ADDEND >= count - 1) return vj_infer_fail(in, "operand %d is behind no grid of scores", i);
        if (!vj_infer_addend(in, i, scores->dtype) || !fits_scores(in, i, "addend", scores)) return false;
    }
    return true;
}

bool vj_infer_attention(vj_inference *in) {
    const vj_type *q = vj_infer_arg(in, 0), *k = vj_infer_arg(in, 1), *v = vj_infer_arg(in, 2);
    vj_dtype dtype;
    if (!vj_infer_float(in, 0) || !vj_infer_product_dtype(in, 3, &dtype)) return false;
    if (q->rank < 2 || k->rank < 2 || v->rank < 2) return vj_infer_fail(in, "q, k and v must be matrices at least");
    if (!vj_dim_equal(q->dims[q->rank - 1], k->dims[k->rank - 1]))
        return vj_infer_fail(in, "q is %s and k %s: their head dims differ", vj_brief_type(q).text,
                             vj_brief_type(k).text);
    if (!vj_dim_equal(k->dims[k->rank - 2], v->dims[v->rank - 2]))
        return vj_infer_fail(in, "k is %s and v %s: their numbers of tokens differ", vj_brief_type(k).text,
                             vj_brief_type(v).text);
    vj_type lead_q = leading(q, q->rank - 2), lead_k = leading(k, k->rank - 2), lead_v = leading(v, v->rank - 2);
    vj_type lead_qk, lead;
    if (!vj_infer_meet(in, &lead_q, &lead_k, &lead_qk) || !vj_infer_meet(in, &lead_qk, &lead_v, &lead)) return false;
    vj_type scores = lead;
    scores.dtype = dtype;
    scores.dims[scores.rank++] = q->dims[q->rank - 2];
    in->results[0] = scores;
    scores.dims[scores.rank++] = k->dims[k->rank - 2];
    in->results[0].dims[in->results[0].rank++] = v->dims[v->rank - 1];
    return attention_bias_fits(in, &scores) && grids_fit(in, &scores);
}
