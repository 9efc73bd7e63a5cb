/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - builders of ops on pictures: CenterCropPad, Col2Im, AffineGrid; and Det. */
#include "frontend/import/import.h"

#include <string.h>

enum { ELEMENTS = 1 << 22 }; /* the most elements of a constant that is made */

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* Cuts each axis, or pads it with zeros, to its target size around its centre. An odd difference puts more at the
 * end. */
bool vj_build_center_crop_pad(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t size_count, axis_count;
    const int64_t *sizes = vj_constant_list(im, 1, "sizes", &size_count);
    const int64_t *given = vj_ints_attribute(im, "axes", &axis_count);
    if (!vj_going(im)) return false;
    const int32_t rank = type_of(im, x)->rank;
    if (!given) axis_count = rank;
    if (size_count != axis_count || axis_count > rank)
        return vj_stop(im, VJ_BAD_INPUT, "has %d sizes for %d axes", size_count, axis_count);
    int64_t low[VJ_MAX_RANK] = {0}, high[VJ_MAX_RANK] = {0};
    bool pads = false, seen[VJ_MAX_RANK] = {false};
    for (int32_t i = 0; i < axis_count && vj_going(im); i++) {
        const int32_t axis = vj_axis_of(im, given ? given[i] : i, rank);
        if (axis < 0) return false;
        if (seen[axis]) return vj_stop(im, VJ_BAD_INPUT, "axis %d is named twice", axis);
        seen[axis] = true;
        const vj_dim dim = type_of(im, x)->dims[axis];
        if (!vj_closed_axis(im, dim)) return false;
        if (sizes[i] < 0) return vj_stop(im, VJ_BAD_INPUT, "gives axis %d the size %lld", axis, (long long)sizes[i]);
        if (sizes[i] <= dim.c) {
            x = vj_emit_slice(im, x, axis, (dim.c - sizes[i]) / 2, vj_dim_const(sizes[i]), 1);
            continue;
        }
        low[axis] = (sizes[i] - dim.c) / 2;
        high[axis] = sizes[i] - dim.c - low[axis];
        pads = true;
    }
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, low, rank), vj_ints(VJ_ATTR_HIGH, high, rank),
                             vj_name(VJ_ATTR_MODE, "constant"), vj_float(VJ_ATTR_VALUE, 0)};
    return vj_bind(im, 0, pads ? vj_emit(im, VJ_OP_pad, &x, 1, attrs, 4) : x);
}

/* Col2Im sums blocks of pixels into a picture. */
typedef struct blocks {
    int32_t axes;
    int64_t image[VJ_MAX_RANK], kernel[VJ_MAX_RANK], stride[VJ_MAX_RANK], dilation[VJ_MAX_RANK], low[VJ_MAX_RANK];
    int64_t count[VJ_MAX_RANK];                /* the blocks along each axis */
    int64_t pixels, kernel_total, block_total; /* products of the above */
} blocks;

static bool read_blocks(vj_importer *im, blocks *b) {
    int32_t n, m, counts[3];
    const int64_t *image = vj_constant_list(im, 1, "picture's shape", &n),
                  *kernel = vj_constant_list(im, 2, "block's shape", &m);
    const int64_t *stride = vj_ints_attribute(im, "strides", &counts[0]),
                  *dilation = vj_ints_attribute(im, "dilations", &counts[1]);
    const int64_t *pads = vj_ints_attribute(im, "pads", &counts[2]);
    if (!vj_going(im)) return false;
    if (n < 1 || n > VJ_MAX_RANK - 2 || m != n || (stride && counts[0] != n) || (dilation && counts[1] != n) ||
        (pads && counts[2] != 2 * n))
        return vj_stop(im, VJ_BAD_INPUT, "its lists differ in length");
    *b = (blocks){.axes = n, .pixels = 1, .kernel_total = 1, .block_total = 1};
    for (int32_t i = 0; i < n; i++) {
        b->image[i] = image[i];
        b->kernel[i] = kernel[i];
        b->stride[i] = stride ? stride[i] : 1;
        b->dilation[i] = dilation ? dilation[i] : 1;
        b->low[i] = pads ? pads[i] : 0;
        const int64_t high = pads ? pads[n + i] : 0;
        if (image[i] < 1 || image[i] > ELEMENTS || kernel[i] < 1 || kernel[i] > ELEMENTS || b->stride[i] < 1 ||
            b->stride[i] > ELEMENTS || b->dilation[i] < 1 || b->dilation[i] > ELEMENTS || b->low[i] < 0 ||
            b->low[i] > ELEMENTS || high < 0 || high > ELEMENTS)
            return vj_stop(im, VJ_BAD_INPUT, "has a size that is impossible");
        const int64_t room = image[i] + b->low[i] + high - b->dilation[i] * (kernel[i] - 1) - 1;
        if (room < 0) return vj_stop(im, VJ_BAD_INPUT, "a block is larger than the picture");
        b->count[i] = room / b->stride[i] + 1;
        if (!vj_mul(b->pixels, image[i], &b->pixels) || !vj_mul(b->kernel_total, kernel[i], &b->kernel_total) ||
            !vj_mul(b->block_total, b->count[i], &b->block_total))
            return vj_stop(im, VJ_BAD_INPUT, "has a size that is impossible");
    }
    int64_t total;
    if (!vj_mul(b->pixels, b->kernel_total, &total) || total > ELEMENTS)
        return vj_stop(im, VJ_UNSUPPORTED, "its picture is too large");
    return true;
}

/* The block whose element k lies on this pixel, or -1. */
static int64_t block_at(const blocks *b, int64_t k, int64_t pixel) {
    int64_t block = 0, stride = 1;
    for (int32_t i = b->axes - 1; i >= 0; i--) {
        const int64_t from = pixel % b->image[i] + b->low[i] - k % b->kernel[i] * b->dilation[i];
        pixel /= b->image[i];
        k /= b->kernel[i];
        if (from < 0 || from % b->stride[i] || from / b->stride[i] >= b->count[i]) return -1;
        block += from / b->stride[i] * stride;
        stride *= b->count[i];
    }
    return block;
}

/* x [N, C * K, L]. A pixel is the sum over k = 0 .. K - 1 of the block element k that lies on it. Where there is none,
 * the index selects a zero that is padded behind the data. */
bool vj_build_col2im(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    blocks b = {0};
    if (!vj_going(im) || !read_blocks(im, &b)) return false;
    const vj_type t = *type_of(im, x);
    int64_t elements;
    if (t.rank != 3 || t.dims[1].sym || t.dims[1].c % b.kernel_total ||
        !vj_dim_equal(t.dims[2], vj_dim_const(b.block_total)) || !vj_mul(b.kernel_total, b.block_total, &elements) ||
        elements > ELEMENTS)
        return vj_stop(im, VJ_BAD_INPUT, "%s does not hold blocks of that picture", vj_type_text(im->arena, &t));
    int64_t *from = VJ_NEW_ARRAY(im->arena, int64_t, b.kernel_total *b.pixels + 1), count = b.kernel_total * b.pixels;
    for (int64_t i = 0; i < count; i++) {
        const int64_t block = block_at(&b, i / b.pixels, i % b.pixels);
        from[i] = block < 0 ? elements : i / b.pixels * b.block_total + block;
    }
    vj_dim dims[VJ_MAX_RANK] = {t.dims[0], vj_dim_const(t.dims[1].c / b.kernel_total), vj_dim_const(elements)};
    x = vj_emit_reshape(im, x, dims, 3);
    const int64_t low[3] = {0}, high[3] = {0, 0, 1};
    const vj_attr pad[] = {vj_ints(VJ_ATTR_LOW, low, 3), vj_ints(VJ_ATTR_HIGH, high, 3),
                           vj_name(VJ_ATTR_MODE, "constant"), vj_float(VJ_ATTR_VALUE, 0)};
    x = vj_emit(im, VJ_OP_pad, &x, 1, pad, 4);
    const int64_t shape[2] = {b.kernel_total, b.pixels};
    const vj_attr axis = vj_int(VJ_ATTR_AXIS, 2);
    if (!vj_going(im)) return false;
    x = vj_emit(im, VJ_OP_gather, (vj_value[]){x, vj_add_const_i64(im->f, VJ_I64, 2, shape, from)}, 2, &axis, 1);
    const int32_t over = 2;
    x = vj_emit_reduce(im, "sum", x, &over, 1, false);
    for (int32_t i = 0; i < b.axes; i++)
        dims[2 + i] = vj_dim_const(b.image[i]);
    return vj_bind(im, 0, vj_emit_reshape(im, x, dims, 2 + b.axes));
}

/* The coordinate of pixel i of n. -1 and 1 are the centres of the outer pixels if `corners`, else their outer edges. */
static double coordinate(int64_t i, int64_t n, bool corners) {
    if (!corners) return (2 * (double)i + 1) / (double)n - 1;
    return n > 1 ? 2 * (double)i / (double)(n - 1) - 1 : -1;
}

/* theta [N, D, D + 1] times (x, y, 1) of every pixel gives [N, H, W, D]. The sum over D + 1 is written out as nodes. */
bool vj_build_affine_grid(vj_importer *im) {
    vj_value theta = vj_operand_value(im, 0);
    int32_t n;
    const int64_t *size = vj_constant_list(im, 1, "size", &n);
    const bool corners = vj_int_attribute(im, "align_corners", 0) != 0;
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, theta);
    const int32_t d = n - 2;
    if ((d != 2 && d != 3) || t.rank != 3 || !vj_dim_equal(t.dims[1], vj_dim_const(d)) ||
        !vj_dim_equal(t.dims[2], vj_dim_const(d + 1)) || !vj_dtype_is_float(t.dtype))
        return vj_stop(im, VJ_BAD_INPUT, "%s is no list of transforms of that size", vj_type_text(im->arena, &t));
    if (t.dims[0].sym || t.dims[0].c != size[0]) {
        vj_stop(im, t.dims[0].sym ? VJ_UNSUPPORTED : VJ_BAD_INPUT, "its size is for a batch of %lld",
                (long long)size[0]);
        if (t.dims[0].sym) vj_advise_batch(im->error, size[0]);
        return false;
    }
    int64_t pixels = 1;
    vj_dim out[5] = {t.dims[0]};
    for (int32_t i = 0; i < d; i++) {
        if (size[2 + i] < 1 || !vj_mul(pixels, size[2 + i], &pixels) || pixels > ELEMENTS)
            return vj_stop(im, VJ_UNSUPPORTED, "its grid is empty or too large");
        out[1 + i] = vj_dim_const(size[2 + i]);
    }
    out[1 + d] = vj_dim_const(d);
    double *base = VJ_NEW_ARRAY(im->arena, double, pixels *(d + 1) + 1);
    for (int64_t p = 0; p < pixels; p++) {
        int64_t rest = p;
        for (int32_t i = d - 1; i >= 0; i--) { /* x is the last axis, and comes first */
            base[p * (d + 1) + (d - 1 - i)] = coordinate(rest % size[2 + i], size[2 + i], corners);
            rest /= size[2 + i];
        }
        base[p * (d + 1) + d] = 1;
    }
    const int64_t base_dims[4] = {1, pixels, 1, d + 1};
    const vj_dim apart[4] = {t.dims[0], vj_dim_const(1), vj_dim_const(d), vj_dim_const(d + 1)};
    vj_value grid = vj_emit2(im, VJ_OP_mul, vj_emit_reshape(im, theta, apart, 4),
                             vj_add_const_f64(im->f, t.dtype, 4, base_dims, base));
    const int32_t over = 3;
    return vj_bind(im, 0, vj_emit_reshape(im, vj_emit_reduce(im, "sum", grid, &over, 1, false), out, 2 + d));
}

/* The determinant of matrices [.., M, M], by expansion in minors, as M is small. */
static vj_value entry(vj_importer *im, vj_value x, int32_t row, int32_t col) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, x);
    x = vj_emit_slice(im, x, t.rank - 2, row, vj_dim_const(1), 1);
    x = vj_emit_slice(im, x, t.rank - 1, col, vj_dim_const(1), 1);
    return vj_emit_reshape(im, x, t.dims, t.rank - 2);
}

static vj_value minor_of(vj_importer *im, vj_value x, int32_t row, const int32_t *cols, int32_t count) {
    if (count == 1) return entry(im, x, row, cols[0]);
    vj_value sum = VJ_NONE;
    for (int32_t i = 0; i < count && vj_going(im); i++) {
        int32_t rest[8], n = 0;
        for (int32_t j = 0; j < count; j++)
            if (j != i) rest[n++] = cols[j];
        vj_value part = vj_emit2(im, VJ_OP_mul, entry(im, x, row, cols[i]), minor_of(im, x, row + 1, rest, n));
        sum = i == 0 ? part : vj_emit2(im, i % 2 ? VJ_OP_sub : VJ_OP_add, sum, part);
    }
    return sum;
}

bool vj_build_det(vj_importer *im) {
    enum { MOST = 4 };
    vj_value x = vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x);
    if (t.rank < 2 || !vj_dim_equal(t.dims[t.rank - 1], t.dims[t.rank - 2]) || !vj_dtype_is_float(t.dtype))
        return vj_stop(im, VJ_BAD_INPUT, "needs square matrices of floats");
    const vj_dim m = t.dims[t.rank - 1];
    if (m.sym || m.c < 1 || m.c > MOST)
        return vj_stop(im, VJ_UNSUPPORTED, "only matrices of up to %d rows are supported", MOST);
    const int32_t cols[MOST] = {0, 1, 2, 3};
    return vj_bind(im, 0, minor_of(im, x, 0, cols, (int32_t)m.c));
}
