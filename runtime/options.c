/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the options of a caller, who may be built for an older library. */
#include "runtime.h"

#include <stddef.h>
#include <string.h>

#include "vitjit_dtype.h"

void vj_options_init(vj_options *options) {
    if (options) *options = (vj_options){.size = sizeof *options};
}

static vj_status judge_precision(const vj_options *o) {
    const vj_dtype precision = vj_or_f32(o->precision), format = vj_or_f32(o->weight_format);
    if (!vj_is_precision(precision))
        return vj_error_set(VJ_USAGE, "vj_options: products are not computed in %s (precision)",
                            vj_precision_name(precision));
    if (!vj_is_weight_format(format))
        return vj_error_set(VJ_USAGE, "vj_options: weights are not stored in %s (weight_format)",
                            vj_precision_name(format));
    if (precision != VJ_F32 && format == VJ_F16)
        return vj_error_set(VJ_USAGE, "vj_options: products in bf16 have weights in bf16, not in f16 (weight_format)");
    if (precision == VJ_I8 && format == VJ_I4)
        return vj_error_set(VJ_USAGE, "vj_options: products in int8 have weights in int8, not in int4 (weight_format)");
    if (o->keep_f32_count < 0 || (o->keep_f32_count && !o->keep_f32))
        return vj_error_set(VJ_USAGE, "vj_options: a count below 0, or a list that is missing");
    for (int32_t i = 0; i < o->keep_f32_count; i++)
        if (!o->keep_f32[i]) return vj_error_set(VJ_USAGE, "vj_options: pattern %d of keep_f32 is missing", i);
    if (o->calibration && precision != VJ_I8)
        return vj_error_set(VJ_USAGE, "vj_options: a calibration is for products in int8");
    if (!o->calibration && o->calibration_bytes)
        return vj_error_set(VJ_USAGE, "vj_options: the calibration's text is missing");
    return VJ_OK;
}

static vj_status judge_value(const vj_fixed_input *v, int32_t i) {
    if (!v->name || v->rank < 0 || v->rank > VJ_MODEL_MAX_RANK || (!v->data && v->bytes))
        return vj_error_set(VJ_USAGE, "vj_options: value %d has no name, no data or a rank outside 0 to %d", i,
                            VJ_MODEL_MAX_RANK);
    int64_t bytes = vj_element_bytes(v->dtype);
    bool fits = bytes > 0;
    for (int32_t d = 0; d < v->rank; d++)
        fits = fits && v->dims[d] >= 0 && !__builtin_mul_overflow(bytes, v->dims[d], &bytes);
    if (!fits || (uint64_t)bytes != v->bytes)
        return vj_error_set(VJ_USAGE,
                            "vj_options: value %d, of '%.100s', has %zu bytes, its type and dims another number", i,
                            v->name, v->bytes);
    return VJ_OK;
}

vj_status vj_options_take(const vj_options *given, vj_options *options) {
    vj_options_init(options);
    if (!given) return VJ_OK;
    if (given->size < offsetof(vj_options, shapes) || given->size > sizeof *options)
        return vj_error_set(VJ_USAGE, "vj_options of another version: vj_options_init was not called, or the caller "
                                      "was built for a newer libvitjit");
    memcpy(options, given, given->size);
    options->size = sizeof *options;
    if ((options->shape_count && !options->shapes) || (options->also_output_count && !options->also_outputs) ||
        options->shape_count < 0 || options->also_output_count < 0 || options->threads < 0)
        return vj_error_set(VJ_USAGE, "vj_options: a count below 0, or a list that is missing");
    for (int32_t i = 0; i < options->shape_count; i++)
        if (!options->shapes[i].name || options->shapes[i].rank < 0 || options->shapes[i].rank > VJ_MODEL_MAX_RANK)
            return vj_error_set(VJ_USAGE, "vj_options: shape %d has no name or a rank outside 0 to %d", i,
                                VJ_MODEL_MAX_RANK);
    if (options->fixed_count < 0 || (options->fixed_count && !options->fixed))
        return vj_error_set(VJ_USAGE, "vj_options: a count below 0, or a list that is missing");
    for (int32_t i = 0; i < options->also_output_count; i++)
        if (!options->also_outputs[i])
            return vj_error_set(VJ_USAGE, "vj_options: name %d of also_outputs is missing", i);
    for (int32_t i = 0; i < options->fixed_count; i++) {
        const vj_status status = judge_value(&options->fixed[i], i);
        if (status) return status;
    }
    if (options->keep_attention < VJ_KEEP_NO_ATTENTION || options->keep_attention > VJ_KEEP_ATTENTION_ROWS)
        return vj_error_set(VJ_USAGE, "vj_options: keep_attention is %d", options->keep_attention);
    if (options->log_level < VJ_LOG_ERROR || options->log_level > VJ_LOG_DEBUG)
        return vj_error_set(VJ_USAGE, "vj_options: log_level is %d", options->log_level);
    if (options->scheduler && (options->scheduler->parts < 1 || !options->scheduler->run))
        return vj_error_set(VJ_USAGE, "vj_options: a scheduler needs `run` and at least one part");
    return judge_precision(options);
}
