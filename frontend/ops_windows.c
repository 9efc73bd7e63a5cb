/* ops_windows.c - the windows of Conv and the pools, and the builders of the pools. */
#include "windows.h"

#include <string.h>

static bool read_list(vj_importer *im, const char *name, int32_t count, int64_t least, int64_t otherwise,
                      int64_t *out) {
    int32_t given;
    const int64_t *list = vj_ints_attribute(im, name, &given);
    if (!vj_going(im)) return false;
    if (list && given != count) return vj_stop(im, VJ_BAD_INPUT, "%s has %d numbers, not %d", name, given, count);
    for (int32_t i = 0; i < count; i++) {
        out[i] = list ? list[i] : otherwise;
        if (out[i] < least || out[i] > INT32_MAX)
            return vj_stop(im, VJ_BAD_INPUT, "%s has %lld", name, (long long)out[i]);
    }
    return true;
}

static bool auto_pads(vj_importer *im, const char *how, const vj_type *x, vj_windows *w) {
    bool upper = strcmp(how, "SAME_UPPER") == 0;
    if (!upper && strcmp(how, "SAME_LOWER") != 0 && strcmp(how, "VALID") != 0)
        return vj_stop(im, VJ_BAD_INPUT, "auto_pad is '%.20s'", how);
    for (int32_t i = 0; i < w->spatial; i++) {
        w->low[i] = w->high[i] = 0;
        if (how[0] == 'V') continue;
        int64_t size = x->dims[2 + i].c, count = vj_ceil_div(size, w->stride[i]);
        int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        int64_t total = vj_max64(0, (count - 1) * w->stride[i] + reach - size);
        w->low[i] = upper ? total / 2 : total - total / 2;
        w->high[i] = total - w->low[i];
    }
    return true;
}

bool vj_read_windows(vj_importer *im, const vj_type *x, const int64_t *kernel, vj_windows *w) {
    *w = (vj_windows){.spatial = x->rank - 2};
    if (w->spatial < 1 || w->spatial > 2)
        return vj_stop(im, VJ_UNSUPPORTED, "%s has %d spatial axes; 1 and 2 are supported", vj_type_text(im->arena, x),
                       w->spatial);
    for (int32_t i = 0; i < w->spatial; i++) {
        if (x->dims[2 + i].sym) return vj_stop(im, VJ_UNSUPPORTED, "slides over an open axis");
        if (x->dims[2 + i].c > INT32_MAX) return vj_stop(im, VJ_BAD_INPUT, "an axis is too long");
    }
    if (!kernel && !vj_find_attribute(im, "kernel_shape"))
        return vj_stop(im, VJ_BAD_INPUT, "has no kernel of the right rank");
    if (!read_list(im, "kernel_shape", w->spatial, 1, 1, w->kernel)) return false;
    for (int32_t i = 0; kernel && i < w->spatial; i++) {
        if (vj_find_attribute(im, "kernel_shape") && w->kernel[i] != kernel[i])
            return vj_stop(im, VJ_BAD_INPUT, "kernel_shape contradicts the weight");
        if (kernel[i] < 1 || kernel[i] > INT32_MAX)
            return vj_stop(im, VJ_BAD_INPUT, "the kernel has a dim of %lld", (long long)kernel[i]);
        w->kernel[i] = kernel[i];
    }
    if (!read_list(im, "strides", w->spatial, 1, 1, w->stride) ||
        !read_list(im, "dilations", w->spatial, 1, 1, w->dilation))
        return false;
    int64_t pads[4];
    if (!read_list(im, "pads", 2 * w->spatial, 0, 0, pads)) return false;
    for (int32_t i = 0; i < w->spatial; i++) {
        w->low[i] = pads[i];
        w->high[i] = pads[w->spatial + i];
        int64_t reach;
        if (!vj_mul(w->kernel[i] - 1, w->dilation[i], &reach) || reach > INT32_MAX)
            return vj_stop(im, VJ_BAD_INPUT, "its windows are too large");
    }
    const char *how = vj_text_attribute(im, "auto_pad", "NOTSET");
    if (!vj_going(im)) return false;
    return strcmp(how, "NOTSET") == 0 || auto_pads(im, how, x, w);
}

/* ceil_mode: one more window where it begins inside the input or its left padding. */
static void widen(const vj_type *x, vj_windows *w) {
    for (int32_t i = 0; i < w->spatial; i++) {
        int64_t size = x->dims[2 + i].c, reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        int64_t room = size + w->low[i] + w->high[i] - reach;
        if (room < 0 || room % w->stride[i] == 0) continue;
        int64_t last = (room / w->stride[i] + 1) * w->stride[i]; /* where the added window begins */
        if (last >= size + w->low[i]) continue;
        w->high[i] += last - room;
        w->widened = true;
    }
}

bool vj_build_pool(vj_importer *im) {
    vj_value x = vj_operand(im, 0);
    bool is_max = im->row->ir_op, ceil_mode = vj_int_attribute(im, "ceil_mode", 0) != 0;
    bool count_pad = !is_max && vj_int_attribute(im, "count_include_pad", 0) != 0;
    vj_windows w;
    if (!vj_going(im) || !vj_read_windows(im, vj_type_at(im->f, x), NULL, &w)) return false;
    if (vj_result_is_used(im, 1)) return vj_stop(im, VJ_UNSUPPORTED, "the indices of the maxima are not supported");
    if (ceil_mode) widen(vj_type_at(im->f, x), &w);
    if (w.widened && count_pad) return vj_stop(im, VJ_UNSUPPORTED, "ceil_mode with count_include_pad is not supported");
    vj_attr attrs[] = {vj_name(VJ_ATTR_KIND, is_max ? "max" : "mean"),
                       vj_ints(VJ_ATTR_KERNEL, w.kernel, w.spatial),
                       vj_ints(VJ_ATTR_STRIDE, w.stride, w.spatial),
                       vj_ints(VJ_ATTR_DILATION, w.dilation, w.spatial),
                       vj_ints(VJ_ATTR_LOW, w.low, w.spatial),
                       vj_ints(VJ_ATTR_HIGH, w.high, w.spatial),
                       vj_int(VJ_ATTR_COUNT_PAD, count_pad)};
    return vj_bind(im, 0, vj_emit(im, VJ_OP_pool, &x, 1, attrs, is_max ? 6 : 7));
}

bool vj_build_global_pool(vj_importer *im) {
    vj_value x = vj_operand(im, 0);
    if (!vj_going(im)) return false;
    int32_t rank = vj_type_at(im->f, x)->rank, axes[VJ_MAX_RANK];
    if (rank < 3) return vj_stop(im, VJ_BAD_INPUT, "has no spatial axes");
    for (int32_t i = 2; i < rank; i++)
        axes[i - 2] = i;
    return vj_bind(im, 0, vj_emit_reduce(im, im->row->ir_op ? "max" : "mean", x, axes, rank - 2, true));
}
