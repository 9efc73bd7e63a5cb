/* SPDX-License-Identifier: Apache-2.0 */
/* spectral.c - builders of Fourier transforms (DFT, STFT), which become products with constant matrices, and of the constants that go with
 * them: windows and MelWeightMatrix. */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

enum { MATRIX_LIMIT = 1 << 24, LENGTH_LIMIT = 1 << 20 };

#define PI 3.14159265358979323846

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* Operand i, which must be one known integer of [1, LENGTH_LIMIT]. */
static int64_t known_length(vj_importer *im, int32_t i, const char *what) {
    int32_t count;
    const int64_t *list = vj_constant_list(im, i, what, &count);
    if (!vj_going(im)) return 1;
    if (count == 1 && list[0] >= 1 && list[0] <= LENGTH_LIMIT) return list[0];
    vj_stop(im, VJ_BAD_INPUT, "its %s is not one number from 1 to %d", what, LENGTH_LIMIT);
    return 1;
}

/* A transform of `length` points. Numbers are real, or pairs: `from` and `to` parts each. */
typedef struct transform {
    int64_t length, rows, columns; /* points that are read, and made: the others are zero, and not wanted */
    int64_t from, to;
    bool inverse;
    bool mirrored; /* only half of the points are read: the others are their conjugates */
    /* Of points k and n - k, which have the same cosine, the sum is read, or of those that have the opposite sine the difference. */
    enum { POINTS, SUMS, DIFFERENCES } read;
} transform;

/* Point k's part `from` in point j's part `to`. */
static double entry(const transform *t, int64_t k, int64_t from, int64_t j, int64_t to) {
    const double angle = 2 * PI * (double)(k * j % t->length) / (double)t->length,
                 sine = t->inverse ? sin(angle) : -sin(angle);
    double factor = from == to ? cos(angle) : from < to ? sine : -sine;
    if (t->inverse) factor /= (double)t->length;
    if (t->read != POINTS) return (t->read == SUMS) != (from == to) ? 0 : 2 * k % t->length ? factor : factor / 2;
    return t->mirrored && k > 0 && 2 * k < t->length ? 2 * factor : factor;
}

static vj_value matrix_of(vj_importer *im, const transform *t, vj_dtype dtype) {
    const int64_t dims[2] = {t->rows * t->from, t->columns * t->to};
    int64_t elements;
    if (!vj_mul(dims[0], dims[1], &elements) || elements > MATRIX_LIMIT) {
        vj_stop(im, VJ_UNSUPPORTED, "transforms %lld points: too many", (long long)t->length);
        return VJ_NONE;
    }
    double *w = VJ_NEW_ARRAY(im->arena, double, elements + 1);
    for (int64_t row = 0; row < dims[0]; row++)
        for (int64_t column = 0; column < dims[1]; column++)
            w[row * dims[1] + column] = entry(t, row / t->from, row % t->from, column / t->to, column % t->to);
    return vj_add_const_f64(im->f, dtype, 2, dims, w);
}

/* x [..., points, parts], of which the transform reads so many. */
static vj_value apply(vj_importer *im, const transform *t, vj_value x) {
    vj_value matrix = vj_going(im) ? matrix_of(im, t, type_of(im, x)->dtype) : VJ_NONE;
    if (!vj_going(im)) return VJ_NONE;
    vj_type type = *type_of(im, x);
    type.dims[type.rank - 2] = vj_dim_const(t->rows * t->from);
    vj_value y = vj_emit2(im, VJ_OP_linear, vj_emit_reshape(im, x, type.dims, type.rank - 1), matrix);
    type.dims[type.rank - 2] = vj_dim_const(t->columns);
    type.dims[type.rank - 1] = vj_dim_const(t->to);
    return vj_emit_reshape(im, y, type.dims, type.rank);
}

/* Pairs of points k and n - k are added up first: where one is the other's conjugate, as in the spectrum of a real signal, what has to
 * vanish does so before it is multiplied. */
static vj_value apply_to_pairs(vj_importer *im, const transform *whole, vj_value x) {
    transform t = *whole;
    t.rows = t.length / 2 + 1;
    int64_t *mirror = VJ_NEW_ARRAY(im->arena, int64_t, t.rows);
    for (int64_t k = 0; k < t.rows; k++)
        mirror[k] = (t.length - k) % t.length;
    const int32_t axis = type_of(im, x)->rank - 2;
    vj_value first = vj_emit_slice(im, x, axis, 0, vj_dim_const(t.rows), 1);
    vj_value second = vj_emit_gather(im, x, vj_add_const_i64(im->f, VJ_I64, 1, &t.rows, mirror), axis);
    t.read = SUMS;
    vj_value sums = apply(im, &t, vj_emit2(im, VJ_OP_add, first, second));
    t.read = DIFFERENCES;
    return vj_emit2(im, VJ_OP_add, sums, apply(im, &t, vj_emit2(im, VJ_OP_sub, first, second)));
}

static bool check_signal(vj_importer *im, vj_value x, int32_t rank) {
    if (!vj_going(im)) return false;
    const vj_type *type = type_of(im, x);
    const vj_dim parts = type->rank ? type->dims[type->rank - 1] : vj_dim_const(0);
    if (type->rank >= rank && !parts.sym && (parts.c == 1 || parts.c == 2) && vj_dtype_is_float(type->dtype))
        return true;
    return vj_stop(im, VJ_BAD_INPUT, "its signal is %s", vj_type_text(im->arena, type));
}

/* Which axis, and how many points: opset 17 has the axis as an attribute. */
static bool plan(vj_importer *im, const vj_type *type, int32_t *axis, transform *t) {
    const bool has_operand = im->row->ir_op != 0;
    int64_t given = has_operand ? -2 : vj_int_attribute(im, "axis", 1);
    if (has_operand && vj_has_operand(im, 2)) {
        int32_t count;
        const int64_t *list = vj_constant_list(im, 2, "axis", &count);
        if (!vj_going(im)) return false;
        if (count != 1) return vj_stop(im, VJ_BAD_INPUT, "needs one axis");
        given = list[0];
    }
    *axis = vj_axis_of(im, given, type->rank);
    if (*axis < 0) return false;
    if (*axis == type->rank - 1) return vj_stop(im, VJ_BAD_INPUT, "transforms the axis of real and imaginary parts");
    if (!vj_closed_axis(im, type->dims[*axis])) return false;
    if (type->dims[*axis].c < 1) return vj_stop(im, VJ_BAD_INPUT, "transforms no points");
    const int64_t points = type->dims[*axis].c;
    const bool half = vj_int_attribute(im, "onesided", 0) != 0;
    t->inverse = vj_int_attribute(im, "inverse", 0) != 0;
    t->mirrored = half && t->inverse;
    t->length = vj_has_operand(im, 1) ? known_length(im, 1, "length") : t->mirrored ? 2 * (points - 1) : points;
    t->from = type->dims[type->rank - 1].c;
    t->to = t->mirrored ? 1 : 2;
    if (!vj_going(im)) return false;
    if (t->length < 1 || t->length > LENGTH_LIMIT)
        return vj_stop(im, VJ_BAD_INPUT, "transforms %lld points", (long long)t->length);
    t->rows = vj_min64(points, t->mirrored ? t->length / 2 + 1 : t->length);
    t->columns = half && !t->inverse ? t->length / 2 + 1 : t->length;
    return true;
}

bool vj_build_dft(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    if (!check_signal(im, x, 2)) return false;
    const int32_t rank = type_of(im, x)->rank;
    int32_t axis = 0, perm[VJ_MAX_RANK];
    transform t = {0};
    if (!plan(im, type_of(im, x), &axis, &t)) return false;
    for (int32_t d = 0; d < rank; d++)
        perm[d] = d;
    perm[axis] = rank - 2;
    perm[rank - 2] = axis;
    x = vj_emit_slice(im, x, axis, 0, vj_dim_const(t.rows), 1);
    x = vj_emit_transpose(im, x, perm);
    if (!vj_going(im)) return false;
    const bool pairs = t.from == 2 && t.to == 2 && t.rows == t.length;
    vj_value y = pairs ? apply_to_pairs(im, &t, x) : apply(im, &t, x);
    return vj_going(im) && vj_bind(im, 0, vj_emit_transpose(im, y, perm));
}

/* Frames of a signal [batch, points, parts], one every `step` points, each times the window: [batch, frames, points, parts]. */
static vj_value frames_of(vj_importer *im, vj_value x, int64_t step, int64_t length, vj_value window) {
    const vj_type type = *type_of(im, x);
    const int64_t frames = (type.dims[1].c - length) / step + 1;
    int64_t count;
    if (!vj_mul(frames, length, &count) || count > MATRIX_LIMIT) {
        vj_stop(im, VJ_UNSUPPORTED, "has too many frames");
        return VJ_NONE;
    }
    int64_t *at = VJ_NEW_ARRAY(im->arena, int64_t, count + 1);
    for (int64_t i = 0; i < count; i++)
        at[i] = i / length * step + i % length;
    x = vj_emit_gather(im, x, vj_add_const_i64(im->f, VJ_I64, 2, (int64_t[]){frames, length}, at), 1);
    return window < 0 ? x : vj_emit2(im, VJ_OP_mul, x, vj_emit_column(im, window, 2, 4));
}

bool vj_build_stft(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), window = vj_has_operand(im, 2) ? vj_operand_value(im, 2) : VJ_NONE;
    const int64_t step = known_length(im, 1, "step");
    const bool half = vj_int_attribute(im, "onesided", 1) != 0;
    if (!vj_going(im)) return false;
    if (type_of(im, x)->rank == 2) {
        const vj_type type = *type_of(im, x);
        x = vj_emit_reshape(im, x, (vj_dim[]){type.dims[0], type.dims[1], vj_dim_const(1)}, 3);
    }
    if (!check_signal(im, x, 3) || !vj_closed_axis(im, type_of(im, x)->dims[1])) return false;
    if (type_of(im, x)->rank != 3) return vj_stop(im, VJ_BAD_INPUT, "its signal is of rank %d", type_of(im, x)->rank);
    if (window >= 0 && (type_of(im, window)->rank != 1 || type_of(im, window)->dims[0].sym))
        return vj_stop(im, VJ_BAD_INPUT, "its window is %s", vj_type_text(im->arena, type_of(im, window)));
    if (window < 0 && !vj_has_operand(im, 3)) return vj_stop(im, VJ_BAD_INPUT, "has neither a window nor a length");
    const int64_t length = vj_has_operand(im, 3) ? known_length(im, 3, "length") : type_of(im, window)->dims[0].c;
    if (!vj_going(im)) return false;
    if (length < 1 || length > LENGTH_LIMIT || length > type_of(im, x)->dims[1].c ||
        (window >= 0 && type_of(im, window)->dims[0].c != length))
        return vj_stop(im, VJ_BAD_INPUT, "its frames of %lld points fit neither window nor signal", (long long)length);
    transform t = {.length = length, .rows = length, .columns = half ? length / 2 + 1 : length, .to = 2};
    t.from = type_of(im, x)->dims[2].c;
    return vj_bind(im, 0, apply(im, &t, frames_of(im, x, step, length, window)));
}

static bool bind_constant(vj_importer *im, int32_t rank, const int64_t *dims, const double *x) {
    const int32_t code = (int32_t)vj_max64(-1, vj_min64(vj_int_attribute(im, "output_datatype", 1), 1000));
    const vj_dtype dtype = vj_dtype_of_onnx(code);
    if (!vj_going(im)) return false;
    if (dtype == VJ_NO_DTYPE || dtype == VJ_BOOL)
        return vj_stop(im, VJ_UNSUPPORTED, "makes %s (%d), which is not supported", vj_onnx_dtype_name(code), code);
    return vj_bind(im, 0, vj_emit_cast(im, vj_add_const_f64(im->f, VJ_F64, rank, dims, x), dtype));
}

/* Sums of cosines: HannWindow, HammingWindow, BlackmanWindow. */
bool vj_build_window(vj_importer *im) {
    static const double weights[3][3] = {{0.5, -0.5, 0}, {25.0 / 46, -21.0 / 46, 0}, {0.42, -0.5, 0.08}};
    const double *a = weights[im->row->ir_op];
    const int64_t size = known_length(im, 0, "size");
    const int64_t period = vj_max64(1, size - (vj_int_attribute(im, "periodic", 1) == 0));
    double *x = VJ_NEW_ARRAY(im->arena, double, size);
    for (int64_t i = 0; i < size; i++) {
        const double angle = 2 * PI * (double)i / (double)period;
        x[i] = a[0] + a[1] * cos(angle) + a[2] * cos(2 * angle);
    }
    return bind_constant(im, 1, &size, x);
}

static double known_hertz(vj_importer *im, int32_t i) {
    const vj_tensor *t = vj_fold(im, vj_operand_value(im, i));
    if (!vj_going(im)) return 0;
    if (!t)
        vj_stop_unknown(im, i, "edge");
    else if (t->count != 1 || !t->f || !(t->f[0] >= 0 && t->f[0] < 1e9))
        vj_stop(im, VJ_BAD_INPUT, "has no such edge");
    return vj_going(im) ? t->f[0] : 0;
}

/* Triangles over the bins of a spectrum, whose corners are equally far apart in mels. */
static void fill_triangles(double *x, const int64_t *corner, int64_t bins, int64_t mels) {
    for (int64_t m = 0; m < mels; m++) {
        const int64_t low = corner[m], centre = corner[m + 1], high = corner[m + 2];
        for (int64_t bin = vj_max64(0, low); bin <= vj_min64(centre, bins - 1); bin++)
            x[bin * mels + m] = centre == low ? 1 : (double)(bin - low) / (double)(centre - low);
        for (int64_t bin = vj_max64(0, centre); high > centre && bin < vj_min64(high, bins); bin++)
            x[bin * mels + m] = (double)(high - bin) / (double)(high - centre);
    }
}

bool vj_build_mel_weights(vj_importer *im) {
    const int64_t mels = known_length(im, 0, "number of bins"), length = known_length(im, 1, "length");
    const int64_t rate = known_length(im, 2, "rate"), bins = length / 2 + 1;
    const double edge[2] = {known_hertz(im, 3), known_hertz(im, 4)};
    int64_t elements;
    if (!vj_going(im)) return false;
    if (!vj_mul(mels, bins, &elements) || elements > MATRIX_LIMIT) return vj_stop(im, VJ_UNSUPPORTED, "is too large");
    const double from = 2595 * log10(1 + edge[0] / 700), to = 2595 * log10(1 + edge[1] / 700);
    int64_t *corner = VJ_NEW_ARRAY(im->arena, int64_t, mels + 2);
    for (int64_t i = 0; i < mels + 2; i++) {
        const double mel = from + (double)i * (to - from) / (double)(mels + 2), hertz = 700 * (pow(10, mel / 2595) - 1);
        corner[i] =
            (int64_t)fmax(-1, fmin(floor((double)(length + 1) * hertz / (double)rate), (double)LENGTH_LIMIT * 2));
    }
    double *x = VJ_NEW_ARRAY(im->arena, double, elements + 1);
    fill_triangles(x, corner, bins, mels);
    return bind_constant(im, 2, (int64_t[]){bins, mels}, x);
}
