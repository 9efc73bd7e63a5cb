/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - what the command asks of the compiler. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "pictures/picture.h"
#include "vitjit_dtype.h"

static void log_line(void *self, vj_log_level level, const char *text) {
    if (level < VJ_LOG_INFO)
        vj_print_warning(self, "%s", text);
    else
        vj_print_notice(self, "%s", text);
}

/* How often the name is given before shape `end`. */
static int32_t mentions(const vj_request *request, const char *name, int32_t end) {
    int32_t count = 0;
    for (int32_t i = 0; i < end; i++)
        count += strcmp(request->given[i].shape.name, name) == 0;
    return count;
}

/* Set number k takes of each input the shape that was given k-th, or the only one. */
static void fill_set(const vj_request *request, int32_t number, vj_shape *shapes, vj_shape_set *set) {
    *set = (vj_shape_set){.shapes = shapes};
    for (int32_t i = 0; i < request->given_count; i++) {
        const char *name = request->given[i].shape.name;
        if (request->given[i].is_range) continue; /* the inputs say which size */
        const bool is_only = mentions(request, name, request->given_count) == 1;
        if (is_only || mentions(request, name, i) == number) shapes[set->count++] = request->given[i].shape;
    }
}

/* An input that is given several times makes several shapes of the model. */
static vj_status read_shapes(const vj_command *command, vj_request *request) {
    const vj_status status = vj_read_sizes(command, request);
    if (status) return status;
    const char *most = "";
    request->set_count = 1;
    for (int32_t i = 0; i < request->given_count; i++) {
        const int32_t count = mentions(request, request->given[i].shape.name, request->given_count);
        if (count > request->set_count) {
            request->set_count = count;
            most = request->given[i].shape.name;
        }
    }
    for (int32_t i = 0; i < request->given_count; i++) {
        const int32_t count = mentions(request, request->given[i].shape.name, request->given_count);
        if (count == 1 || count == request->set_count) continue;
        vj_print_error(VJ_USAGE, NULL, "--shape is given %d times for '%s' and %d times for '%s'", (int)count,
                       request->given[i].shape.name, (int)request->set_count, most);
        vj_print_hint("an object for several shapes wants each input once for all of them, or once for each");
        return VJ_USAGE;
    }
    if (request->set_count > 1 && command->mode != VJ_MODE_EMIT) {
        vj_print_error(VJ_USAGE, NULL, "--shape is given twice for '%s'", most);
        vj_print_hint("--emit-obj makes one object for several shapes");
        return VJ_USAGE;
    }
    request->sets = calloc((size_t)request->set_count, sizeof *request->sets);
    request->shapes = calloc((size_t)request->set_count * (size_t)request->given_count + 1, sizeof *request->shapes);
    if (!request->sets || !request->shapes) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    for (int32_t i = 0; i < request->set_count; i++)
        fill_set(request, i, request->shapes + (size_t)i * (size_t)request->given_count, &request->sets[i]);
    request->shape_count = request->sets[0].count;
    return VJ_OK;
}

vj_fixed_input vj_as_fixed(const vj_array *array) {
    vj_fixed_input value = {array->name, array->dtype, array->rank, {0}, array->data, array->bytes};
    memcpy(value.dims, array->dims, sizeof value.dims);
    return value;
}

static vj_status read_fixes(const vj_command *command, vj_request *request) {
    request->fix_count = command->fixes.count;
    request->fixed = calloc((size_t)request->fix_count + 1, sizeof *request->fixed);
    if (!request->fixed) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    const vj_status status = vj_read_named(&command->fixes, "--fix", &request->fixes);
    for (int32_t i = 0; status == VJ_OK && i < request->fix_count; i++)
        request->fixed[i] = vj_as_fixed(&request->fixes[i]);
    return status;
}

/* f32, bf16, int8, ...: a word of the table of options; NULL: not given. */
static vj_dtype type_of(const char *word) {
    int32_t dtype = VJ_NO_DTYPE;
    while (word && dtype <= VJ_I4 && strcmp(vj_precision_name((vj_dtype)dtype), word) != 0)
        dtype++;
    return word && dtype <= VJ_I4 ? (vj_dtype)dtype : VJ_NO_DTYPE;
}

static void fill_precision(const vj_command *command, vj_options *o) {
    o->precision = type_of(command->precision);
    o->weight_format = type_of(command->weight_format);
    o->keep_f32 = command->keep_f32.at;
    o->keep_f32_count = command->keep_f32.count;
}

/* What the files beside a model say of its pictures goes for dims that it leaves open. Tensors that are given have sizes. */
static vj_picture_size picture_size(const vj_command *command, char *source, size_t room) {
    vj_input_size size = {0};
    if (!command->compiled && !command->inputs.count && command->mode != VJ_MODE_TEST)
        vj_input_size_find(command->model, &size);
    snprintf(source, room, "%s", size.source);
    return (vj_picture_size){size.channels, size.height, size.width};
}

void vj_request_limits(const vj_command *command, vj_options *options) {
    vj_options_init(options);
    options->in_process = command->in_process;
    options->max_memory = command->max_memory;
    options->max_seconds = command->max_seconds;
}

vj_status vj_request_fill(const vj_command *command, vj_request *request) {
    *request = (vj_request){.model = command->model};
    vj_options *o = &request->options;
    vj_request_limits(command, o);
    vj_status status = read_shapes(command, request);
    if (status == VJ_OK) status = read_fixes(command, request);
    if (status == VJ_OK) status = vj_choose_cpus(command, &request->cpu);
    if (status) return status;
    o->cpu = request->cpu.cpus[0];
    const bool bisecting = command->print_after || command->print_rewrites || command->stop_after ||
                           command->disabled_passes.count || command->pass_limit >= 0;
    o->threads = (int32_t)command->threads;
    o->cache = command->no_cache || bisecting ? "" : command->cache;
    o->shapes = request->shapes;
    o->shape_count = request->shape_count;
    o->fixed = request->fixed;
    o->fixed_count = request->fix_count;
    o->also_outputs = command->also_outputs.at;
    o->also_output_count = command->also_outputs.count;
    o->keep_attention = command->attention ? VJ_KEEP_ATTENTION_ROWS : VJ_KEEP_NO_ATTENTION;
    fill_precision(command, o);
    o->use_orc = command->jit && strcmp(command->jit, "orc") == 0;
    o->log = log_line;
    if (command->log) o->log_level = strcmp(command->log, "debug") == 0 ? VJ_LOG_DEBUG : VJ_LOG_INFO;
    o->log_self = (void *)(uintptr_t)command->model;
    if (o->precision == VJ_I8) status = vj_request_calibration(command, request);
    const vj_picture_size picture = picture_size(command, request->picture_source, sizeof request->picture_source);
    request->compile = (vj_compile_request){.path = command->model,
                                            .options = o,
                                            .fixed_batch = command->batch,
                                            .for_command = 1,
                                            .picture = picture,
                                            .print_after = command->print_after,
                                            .print_rewrites = command->print_rewrites,
                                            .stop_after = command->stop_after,
                                            .disabled_passes = command->disabled_passes.at,
                                            .disabled_pass_count = command->disabled_passes.count,
                                            .pass_limit = (int32_t)command->pass_limit,
                                            .marks = command->marks,
                                            .probe = command->probe};
    return status;
}

void vj_request_free(vj_request *request) {
    for (int32_t i = 0; i < request->given_count; i++)
        free((void *)(uintptr_t)request->given[i].shape.name);
    free(request->given);
    free(request->shapes);
    free(request->sets);
    vj_arrays_free(request->fixes, request->fix_count);
    free(request->fixed);
    free(request->calibration);
    *request = (vj_request){0};
}
