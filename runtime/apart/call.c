/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - see call.h: each struct has a function that puts it and one that takes it, in the same order. */
#include "call.h"

#include <string.h>

#define ANY    INT64_MIN, INT64_MAX
#define ANY_32 INT32_MIN, INT32_MAX

static int32_t take_32(vj_packet *p) { return (int32_t)vj_take_number(p, ANY_32); }

static void put_dims(vj_packet *p, int32_t rank, const int64_t *dims) {
    vj_put_number(p, rank);
    for (int32_t d = 0; d < rank; d++)
        vj_put_number(p, dims[d]);
}

static int32_t take_dims(vj_packet *p, int64_t dims[VJ_MODEL_MAX_RANK]) {
    const int32_t rank = (int32_t)vj_take_number(p, 0, VJ_MODEL_MAX_RANK);
    for (int32_t d = 0; d < rank; d++)
        dims[d] = vj_take_number(p, ANY);
    return rank;
}

/* A text that must be there. */
static const char *take_name(vj_packet *p) {
    const char *name = vj_take_text(p);
    if (!name) p->bad = true;
    return name;
}

static void put_shapes(vj_packet *p, const vj_shape *shapes, int32_t count) {
    vj_put_number(p, count);
    for (int32_t i = 0; i < count; i++) {
        vj_put_text(p, shapes[i].name);
        put_dims(p, shapes[i].rank, shapes[i].dims);
    }
}

static const vj_shape *take_shapes(vj_packet *p, int32_t *count) {
    void *list;
    *count = vj_take_count(p, sizeof(vj_shape), &list);
    vj_shape *shapes = list;
    for (int32_t i = 0; i < *count; i++) {
        shapes[i].name = take_name(p);
        shapes[i].rank = take_dims(p, shapes[i].dims);
    }
    return shapes;
}

static void put_values(vj_packet *p, const vj_fixed_input *values, int32_t count) {
    vj_put_number(p, count);
    for (int32_t i = 0; i < count; i++) {
        vj_put_text(p, values[i].name);
        vj_put_number(p, values[i].dtype);
        put_dims(p, values[i].rank, values[i].dims);
        vj_put_bytes(p, values[i].data, values[i].bytes);
    }
}

static const vj_fixed_input *take_values(vj_packet *p, int32_t *count) {
    void *list;
    *count = vj_take_count(p, sizeof(vj_fixed_input), &list);
    vj_fixed_input *values = list;
    for (int32_t i = 0; i < *count; i++) {
        values[i].name = take_name(p);
        values[i].dtype = (vj_dtype)take_32(p);
        values[i].rank = take_dims(p, values[i].dims);
        values[i].data = vj_take_bytes(p, &values[i].bytes);
    }
    return values;
}

/* Those of compilation. */
static void put_options(vj_packet *p, const vj_options *o) {
    vj_put_text(p, o->cpu);
    put_shapes(p, o->shapes, o->shape_count);
    vj_put_texts(p, o->also_outputs, o->also_output_count);
    put_values(p, o->fixed, o->fixed_count);
    vj_put_number(p, o->keep_attention);
    vj_put_number(p, o->precision);
    vj_put_number(p, o->weight_format);
    vj_put_texts(p, o->keep_f32, o->keep_f32_count);
    vj_put_number(p, o->calibration != NULL);
    vj_put_bytes(p, o->calibration, o->calibration_bytes);
    vj_put_number(p, o->max_memory);
    vj_put_real(p, o->max_seconds);
    vj_put_number(p, o->log_level);
    vj_put_number(p, o->log != NULL);
    vj_put_number(p, o->cancel != NULL);
}

static void take_options(vj_packet *p, vj_call *call) {
    vj_options *o = &call->options;
    *o = (vj_options){.size = sizeof *o, .cpu = vj_take_text(p)};
    o->shapes = take_shapes(p, &o->shape_count);
    o->also_outputs = vj_take_texts(p, &o->also_output_count);
    o->fixed = take_values(p, &o->fixed_count);
    o->keep_attention = take_32(p);
    o->precision = (vj_dtype)take_32(p);
    o->weight_format = (vj_dtype)take_32(p);
    o->keep_f32 = vj_take_texts(p, &o->keep_f32_count);
    const bool calibrated = vj_take_number(p, 0, 1);
    const void *calibration = vj_take_bytes(p, &o->calibration_bytes);
    o->calibration = calibrated ? calibration : NULL;
    o->max_memory = vj_take_number(p, ANY);
    o->max_seconds = vj_take_real(p);
    o->log_level = take_32(p);
    call->logs = vj_take_number(p, 0, 1);
    call->cancels = vj_take_number(p, 0, 1);
}

static void put_request(vj_packet *p, const vj_compile_request *r) {
    vj_put_text(p, r->path);
    vj_put_number(p, r->bytes != NULL);
    put_options(p, r->options);
    vj_put_number(p, r->fixed_batch);
    put_values(p, r->offered, r->offered_count);
    vj_put_number(p, r->picture.channels);
    vj_put_number(p, r->picture.height);
    vj_put_number(p, r->picture.width);
    vj_put_number(p, r->for_command);
    vj_put_text(p, r->print_after);
    vj_put_text(p, r->stop_after);
    vj_put_number(p, r->print_rewrites);
    vj_put_texts(p, r->disabled_passes, r->disabled_pass_count);
    vj_put_number(p, r->pass_limit);
    vj_put_number(p, r->marks);
    vj_put_number(p, r->probe);
}

static void take_request(vj_packet *p, vj_call *call) {
    static const char some;
    vj_compile_request *r = &call->request;
    *r = (vj_compile_request){.path = take_name(p), .options = &call->options};
    r->bytes = vj_take_number(p, 0, 1) ? &some : NULL;
    take_options(p, call);
    r->fixed_batch = vj_take_number(p, ANY);
    r->offered = take_values(p, &r->offered_count);
    r->picture.channels = vj_take_number(p, ANY);
    r->picture.height = vj_take_number(p, ANY);
    r->picture.width = vj_take_number(p, ANY);
    r->for_command = take_32(p);
    r->print_after = vj_take_text(p);
    r->stop_after = vj_take_text(p);
    r->print_rewrites = take_32(p);
    r->disabled_passes = vj_take_texts(p, &r->disabled_pass_count);
    r->pass_limit = take_32(p);
    r->marks = take_32(p);
    r->probe = take_32(p);
}

static void put_emit(vj_packet *p, const vj_emit_request *e) {
    vj_put_number(p, e->what);
    vj_put_number(p, e->set_count);
    for (int32_t i = 0; i < e->set_count; i++)
        put_shapes(p, e->sets[i].shapes, e->sets[i].count);
    vj_put_texts(p, e->cpus, e->cpu_count);
    vj_put_text(p, e->output);
    vj_put_text(p, e->prefix);
    vj_put_number(p, e->weights_file);
    vj_put_text(p, e->linker);
    vj_put_number(p, e->header_part != NULL);
    vj_put_number(p, e->wrote != NULL);
}

static void take_emit(vj_packet *p, vj_call *call) {
    vj_emit_request *e = &call->emit;
    void *list;
    *e = (vj_emit_request){.what = (vj_emit_format)vj_take_number(p, VJ_EMIT_OBJ, VJ_EMIT_LIB)};
    e->set_count = vj_take_count(p, sizeof(vj_shape_set), &list);
    vj_shape_set *sets = list;
    for (int32_t i = 0; i < e->set_count; i++)
        sets[i].shapes = take_shapes(p, &sets[i].count);
    e->sets = sets;
    e->cpus = vj_take_texts(p, &e->cpu_count);
    e->output = vj_take_text(p);
    e->prefix = vj_take_text(p);
    e->weights_file = take_32(p);
    e->linker = vj_take_text(p);
    call->adds_header = vj_take_number(p, 0, 1);
    call->hears_wrote = vj_take_number(p, 0, 1);
}

void vj_put_call(vj_packet *p, const vj_call *call) {
    vj_put_text(p, VITJIT_VERSION);
    vj_put_number(p, VJ_COMPILER_API);
    vj_put_number(p, call->errand);
    vj_put_number(p, call->file_bytes);
    vj_put_number(p, call->finds_images);
    put_request(p, &call->request);
    if (call->errand == VJ_ERRAND_EMIT) put_emit(p, &call->emit);
}

bool vj_take_call(vj_packet *p, vj_call *call) {
    *call = (vj_call){0};
    const char *version = take_name(p);
    if (!version || strcmp(version, VITJIT_VERSION) != 0) p->bad = true;
    vj_take_number(p, VJ_COMPILER_API, VJ_COMPILER_API);
    call->errand = (vj_errand)vj_take_number(p, VJ_ERRAND_COMPILE, VJ_ERRAND_TENSOR);
    call->file_bytes = vj_take_number(p, 0, INT64_MAX);
    call->finds_images = vj_take_number(p, 0, 1);
    take_request(p, call);
    if (call->errand == VJ_ERRAND_EMIT) take_emit(p, call);
    return vj_packet_done(p);
}

static void put_tensors(vj_packet *p, const vj_tensor_info *tensors, int32_t count) {
    vj_put_number(p, count);
    for (int32_t i = 0; i < count; i++) {
        vj_put_text(p, tensors[i].name);
        vj_put_number(p, tensors[i].dtype);
        put_dims(p, tensors[i].rank, tensors[i].dims);
    }
}

static const vj_tensor_info *take_tensors(vj_packet *p, int32_t *count) {
    void *list;
    *count = vj_take_count(p, sizeof(vj_tensor_info), &list);
    vj_tensor_info *tensors = list;
    for (int32_t i = 0; i < *count; i++) {
        tensors[i].name = take_name(p);
        tensors[i].dtype = (int32_t)vj_take_number(p, VJ_NO_DTYPE + 1, VJ_DTYPE_COUNT - 1);
        tensors[i].rank = take_dims(p, tensors[i].dims);
    }
    return tensors;
}

void vj_put_header_request(vj_packet *p, const vj_header_request *request) {
    vj_put_text(p, request->metadata);
    vj_put_text(p, request->prefix);
    vj_put_text(p, request->macros);
    vj_put_number(p, request->shape_count);
    for (int32_t i = 0; i < request->shape_count; i++) {
        put_tensors(p, request->shapes[i].inputs, request->shapes[i].input_count);
        put_tensors(p, request->shapes[i].outputs, request->shapes[i].output_count);
    }
}

bool vj_take_header_request(vj_packet *p, vj_header_request *request) {
    void *list;
    *request = (vj_header_request){.metadata = take_name(p), .prefix = take_name(p), .macros = take_name(p)};
    request->shape_count = vj_take_count(p, sizeof(vj_model), &list);
    vj_model *shapes = list;
    for (int32_t i = 0; i < request->shape_count; i++) {
        shapes[i].inputs = take_tensors(p, &shapes[i].input_count);
        shapes[i].outputs = take_tensors(p, &shapes[i].output_count);
    }
    request->shapes = shapes;
    return vj_packet_done(p) && request->shape_count > 0;
}
