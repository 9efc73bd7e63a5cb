/* SPDX-License-Identifier: Apache-2.0 */
/* regions.c - builders of ops that sample pictures at computed coordinates, RoiAlign and GridSample; and of
 * ReverseSequence. */
#include "indices.h"
#include "ir/routines/routines.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* With ir_op 1 (opset 16), pixel centres are at halves by default. */
bool vj_build_roi_align(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), rois = vj_operand_value(im, 1), images = vj_operand_value(im, 2);
    const char *mode = vj_text_attribute(im, "mode", "avg");
    const char *way =
        im->row->ir_op ? vj_text_attribute(im, "coordinate_transformation_mode", "half_pixel") : "output_half_pixel";
    const int64_t sizes[2] = {vj_int_attribute(im, "output_height", 1), vj_int_attribute(im, "output_width", 1)};
    const int64_t samples = vj_int_attribute(im, "sampling_ratio", 0);
    const double scale = vj_float_attribute(im, "spatial_scale", 1);
    if (!vj_going(im)) return false;
    const bool max = strcmp(mode, "max") == 0, half = strcmp(way, "half_pixel") == 0;
    if (!max && strcmp(mode, "avg") != 0) return vj_stop(im, VJ_BAD_INPUT, "mode is '%.20s'", mode);
    if (!half && strcmp(way, "output_half_pixel") != 0)
        return vj_stop(im, VJ_BAD_INPUT, "coordinate_transformation_mode is '%.20s'", way);
    if (sizes[0] < 1 || sizes[1] < 1 || samples < 0) return vj_stop(im, VJ_BAD_INPUT, "a size is not positive");
    if (samples > VJ_MOST_SAMPLES)
        return vj_stop(im, VJ_UNSUPPORTED, "takes %lld samples a side of a bin; at most %d are supported",
                       (long long)samples, VJ_MOST_SAMPLES);
    const vj_attr attrs[] = {vj_name(VJ_ATTR_KIND, max ? "max" : "mean"), vj_ints(VJ_ATTR_SIZES, sizes, 2),
                             vj_int(VJ_ATTR_SAMPLES, samples), vj_int(VJ_ATTR_HALF_PIXEL, half),
                             vj_float(VJ_ATTR_SCALE, scale)};
    images = vj_emit_cast(im, images, VJ_I64);
    return vj_bind(im, 0, vj_emit(im, VJ_OP_roialign, (vj_value[]){x, rois, images}, 3, attrs, 5));
}

bool vj_build_grid_sample(vj_importer *im) {
    static const char *const modes[][2] = {
        {"bilinear", "linear"}, {"linear", "linear"}, {"nearest", "nearest"}, {"bicubic", "cubic"}, {"cubic", "cubic"}};
    vj_value x = vj_operand_value(im, 0), grid = vj_operand_value(im, 1);
    const char *given = vj_text_attribute(im, "mode", "linear"), *mode = NULL;
    const char *padding = vj_text_attribute(im, "padding_mode", "zeros");
    const bool align = vj_int_attribute(im, "align_corners", 0) != 0;
    if (!vj_going(im)) return false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(given, modes[i][0]) == 0) mode = modes[i][1];
    if (!mode) return vj_stop(im, VJ_BAD_INPUT, "mode is '%.20s'", given);
    if (strcmp(padding, "zeros") != 0 && strcmp(padding, "border") != 0 && strcmp(padding, "reflection") != 0)
        return vj_stop(im, VJ_BAD_INPUT, "padding_mode is '%.20s'", padding);
    const vj_dtype dtype = type_of(im, x)->dtype;
    if (!vj_dtype_is_float(dtype)) return vj_stop(im, VJ_UNSUPPORTED, "only floats are sampled");
    const vj_attr attrs[] = {vj_name(VJ_ATTR_MODE, mode), vj_name(VJ_ATTR_PADDING, padding),
                             vj_int(VJ_ATTR_ALIGN, align)};
    grid = vj_emit_cast(im, grid, dtype);
    return vj_bind(im, 0, vj_emit(im, VJ_OP_gridsample, (vj_value[]){x, grid}, 2, attrs, 3));
}

/* y[t, b] = x[length[b] - 1 - t, b] for t < length[b], else x[t, b]. */
bool vj_build_reverse_sequence(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), lengths = vj_operand_value(im, 1);
    const int64_t batch = vj_int_attribute(im, "batch_axis", 1), time = vj_int_attribute(im, "time_axis", 0);
    int64_t length;
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, x);
    if (type.rank < 2 || batch < 0 || batch > 1 || time < 0 || time > 1 || batch == time ||
        type_of(im, lengths)->rank != 1)
        return vj_stop(im, VJ_BAD_INPUT, "its axes are not 0 and 1 of a sequence");
    const vj_type *given = type_of(im, lengths);
    if (vj_dtype_is_float(given->dtype) || given->dtype == VJ_BOOL)
        return vj_stop(im, VJ_BAD_INPUT, "its lengths are of type %s, not of integers", vj_element_name(given->dtype));
    if (!vj_dim_equal(given->dims[0], type.dims[batch]))
        return vj_stop(im, VJ_BAD_INPUT, "it has not one length for each of the batch");
    if (!vj_closed_length(im, x, (int32_t)time, &length)) return false;
    vj_value at = vj_emit_iota(im, VJ_I64, length, (int32_t)time, type.rank), one = vj_emit_number(im, VJ_I64, 1);
    vj_value end = vj_emit_column(im, vj_emit_cast(im, lengths, VJ_I64), (int32_t)batch, type.rank);
    vj_value reversed = vj_emit2(im, VJ_OP_sub, vj_emit2(im, VJ_OP_sub, end, one), at);
    vj_value index = vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_lt, at, end), reversed, at);
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, time);
    index = vj_emit_broadcast(im, index, type.dims, type.rank);
    return vj_bind(im, 0, vj_emit(im, VJ_OP_gather_elements, (vj_value[]){x, index}, 2, &attr, 1));
}
