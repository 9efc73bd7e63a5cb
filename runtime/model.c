/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - the public model: an image checked and mapped, its weights, and what it says of itself. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vitjit_cpu.h"

static const vj_image_header *header_of(const vj_model *model) { return vj_state(model)->image; }

static void fill_tensors(const vj_image_header *h, uint64_t at, uint32_t count, vj_tensor_info *out) {
    const char *base = (const char *)h;
    const vj_image_tensor *t = (const vj_image_tensor *)(const void *)(base + at);
    for (uint32_t i = 0; i < count; i++, t++) {
        out[i] =
            (vj_tensor_info){base + h->strings + t->name, t->dtype, t->rank, {0}, t->bytes_per_image, t->dims_output};
        memcpy(out[i].dims, t->dims, sizeof out[i].dims);
    }
}

/* The outputs of the model: those behind get dims and are the session's. */
static int32_t own_outputs(const vj_tensor_info *outputs, uint32_t count) {
    int64_t first = count;
    for (uint32_t i = 0; i < count; i++)
        if (outputs[i].dims_output && outputs[i].dims_output - 1 < first) first = outputs[i].dims_output - 1;
    return (int32_t)first;
}

static vj_status fill(vj_model_state *s) {
    const vj_image_header *h = s->image;
    s->tensors = calloc((size_t)h->input_count + h->output_count + 1, sizeof *s->tensors);
    if (!s->tensors) return vj_error_set(VJ_SYSTEM, "out of memory");
    fill_tensors(h, h->inputs, h->input_count, s->tensors);
    fill_tensors(h, h->outputs, h->output_count, s->tensors + h->input_count);
    s->required = calloc((size_t)h->input_count + 1, sizeof *s->required);
    if (!s->required) return vj_error_set(VJ_SYSTEM, "out of memory");
    const vj_image_tensor *inputs = (const vj_image_tensor *)(const void *)((const char *)h + h->inputs);
    for (uint32_t i = 0; i < h->input_count; i++)
        if (inputs[i].value) s->required[i] = (const char *)h + h->values + inputs[i].value - 1;
    const char *strings = (const char *)h + h->strings;
    s->model = (vj_model){.abi = VJ_MODEL_ABI,
                          .header_size = sizeof(vj_model),
                          .name = strings + h->model_name,
                          .compiler = strings + h->compiler,
                          .cpu = strings + h->cpu,
                          .hash = {h->model_hash[0], h->model_hash[1]},
                          .input_count = (int32_t)h->input_count,
                          .output_count = own_outputs(s->tensors + h->input_count, h->output_count),
                          .inputs = s->tensors,
                          .outputs = s->tensors + h->input_count,
                          .weights_bytes = h->weights_bytes,
                          .weights_alignment = 64,
                          .scratch_fixed = h->scratch_fixed,
                          .scratch_per_image = h->scratch_per_image,
                          .weights_digest = {h->weights_digest[0], h->weights_digest[1]},
                          .max_batch = h->max_batch,
                          .phase_count = h->phase_count,
                          .cpu_count = 1,
                          .cpus = &s->cpu,
                          .shapes = &s->model,
                          .shape_count = 1};
    s->cpu = (vj_cpu_variant){.name = s->model.cpu, .features = h->cpu_feature_bits, .rank = h->cpu_rank};
    s->all_outputs = (int32_t)h->output_count;
    if (!vj_cpu_has(vj_cpu_features(h->cpu_feature_bits), h->cpu_feature_bits))
        return vj_error_set(VJ_USAGE, "the code is for %s, which this CPU cannot run", s->model.cpu);
    return VJ_OK;
}

static void choose_threads(vj_model_state *s, const vj_options *options) {
    s->own_threads = !options->scheduler;
    if (options->scheduler) {
        s->scheduler = *options->scheduler;
        s->parts = s->scheduler.parts < 1 ? 1 : s->scheduler.parts;
    } else {
        const int32_t cpus = vj_cpu_available(); /* threads beyond these would only wait for one another */
        s->parts = options->threads > 0 && options->threads < cpus ? options->threads : cpus;
    }
}

/* What was stored is not trusted: what was packed just now need not be looked at again. */
static vj_status map_weights(vj_model_state *s, const vj_compiled *compiled) {
    const vj_image_header *h = s->image;
    const int fd = compiled->weights_fd;
    if (fd < 0 && h->weights_bytes == 0) return VJ_OK;
    const vj_status status =
        compiled->weights_at
            ? vj_weights_map_part(fd, compiled->weights_at, h->weights_bytes, compiled->weights_check, &s->weights)
            : vj_weights_map_fd(fd, h->weights_digest, h->weights_bytes, &s->weights);
    if (status || !(compiled->from_cache || compiled->from_library) || vj_weights_whole(&s->weights)) return status;
    return vj_error_set(VJ_BAD_INPUT, "the packed weights are damaged");
}

vj_status vj_model_new(vj_compiled *compiled, const vj_options *options, vj_model **model) {
    vj_model_state *s = calloc(1, sizeof *s);
    if (!s) {
        free(compiled->image);
        free(compiled->gaps);
        if (compiled->weights_fd >= 0) close(compiled->weights_fd);
        return vj_error_set(VJ_SYSTEM, "out of memory");
    }
    s->image = compiled->image;
    s->image_bytes = compiled->image_bytes;
    s->orc = compiled->orc;
    s->phase = compiled->orc_phase;
    s->gaps = compiled->gaps;
    s->gap_count = compiled->gap_count;
    s->compile_ms = compiled->from_cache ? 0 : compiled->compile_ms;
    s->cache_hit = compiled->from_cache;
    vj_status status = vj_image_check(s->image, s->image_bytes);
    const vj_image_header *h = s->image;
    if (!status) status = fill(s);
    if (!status) status = map_weights(s, compiled);
    if (!status && !s->phase) {
        status = vj_image_map_code(s->image, &s->code, &s->code_bytes);
        if (!status) {
            void *entry = (char *)s->code + h->phase_entry;
            memcpy(&s->phase, &entry, sizeof entry);
            const char *symbols = h->symbols_bytes ? (const char *)s->image + h->symbols : "";
            s->debug = vj_debug_register(s->code, s->code_bytes, symbols);
        }
    }
    if (compiled->weights_fd >= 0) close(compiled->weights_fd);
    choose_threads(s, options);
    if (status) {
        vj_model_free(&s->model);
        return status;
    }
    *model = &s->model;
    return VJ_OK;
}

void vj_model_free(vj_model *model) {
    if (!model) return;
    vj_model_state *s = (vj_model_state *)model;
    if (!s->borrows_pool) vj_pool_free(s->pool);
    vj_debug_unregister(s->debug);
    if (s->code) munmap(s->code, s->code_bytes);
    if (s->orc && s->free_orc) s->free_orc(s->orc);
    if (!s->borrows_weights) vj_weights_unmap(&s->weights);
    free(s->gaps);
    free(s->tensors);
    free(s->required);
    free(s->image);
    free(s);
}

/* NULL when there is none: a caller's mistake is an answer, not a crash. */
static const vj_tensor_info *input_of(const vj_model *model, int32_t i) {
    return model && i >= 0 && i < model->input_count ? &model->inputs[i] : NULL;
}

static const vj_tensor_info *output_of(const vj_model *model, int32_t i) {
    return model && i >= 0 && i < model->output_count ? &model->outputs[i] : NULL;
}

static const char *name_of(const vj_tensor_info *t) { return t ? t->name : ""; }
static vj_dtype dtype_of(const vj_tensor_info *t) { return t ? (vj_dtype)t->dtype : VJ_NO_DTYPE; }

int32_t vj_input_count(const vj_model *model) { return model ? model->input_count : 0; }
int32_t vj_output_count(const vj_model *model) { return model ? model->output_count : 0; }
const char *vj_input_name(const vj_model *model, int32_t i) { return name_of(input_of(model, i)); }
const char *vj_output_name(const vj_model *model, int32_t i) { return name_of(output_of(model, i)); }
vj_dtype vj_input_dtype(const vj_model *model, int32_t i) { return dtype_of(input_of(model, i)); }
vj_dtype vj_output_dtype(const vj_model *model, int32_t i) { return dtype_of(output_of(model, i)); }

int32_t vj_input_find(const vj_model *model, const char *name) {
    for (int32_t i = 0; name && i < vj_input_count(model); i++)
        if (strcmp(model->inputs[i].name, name) == 0) return i;
    return -1;
}

const void *vj_input_fixed_value(const vj_model *model, int32_t i) {
    return input_of(model, i) ? vj_state(model)->required[i] : NULL;
}

static int32_t shape_for(const vj_tensor_info *t, int64_t n, int64_t dims[VJ_MODEL_MAX_RANK]) {
    if (!t || !dims) return 0;
    for (int32_t d = 0; d < t->rank; d++) {
        dims[d] = t->dims[d];
        if (t->dims[d] < 0 && __builtin_mul_overflow(-t->dims[d], n, &dims[d])) dims[d] = INT64_MAX;
    }
    return t->rank;
}

int32_t vj_input_shape(const vj_model *model, int32_t i, int64_t n, int64_t dims[VJ_MODEL_MAX_RANK]) {
    return shape_for(input_of(model, i), n, dims);
}

int32_t vj_output_shape_of(const vj_model *model, int32_t i, int64_t n, int64_t dims[VJ_MODEL_MAX_RANK]) {
    return shape_for(output_of(model, i), n, dims);
}

vj_status vj_plan_bytes(const vj_model *model, int64_t n, int64_t *weights, int64_t *arena) {
    if (!model || !weights || !arena) return vj_error_set(VJ_USAGE, "vj_plan_bytes: a null pointer");
    if (n < 1 || n > model->max_batch)
        return vj_error_set(VJ_USAGE, "a batch of %lld, where 1 to %lld fit", (long long)n,
                            (long long)model->max_batch);
    int64_t in_flight = n < vj_state(model)->parts ? n : vj_state(model)->parts, bytes;
    if (__builtin_mul_overflow(in_flight, model->scratch_per_image, &bytes) ||
        __builtin_add_overflow(bytes, model->scratch_fixed, &bytes))
        return vj_error_set(VJ_SYSTEM, "a batch of %lld needs more memory than can be addressed", (long long)n);
    *weights = model->weights_bytes;
    *arena = bytes;
    return VJ_OK;
}

vj_status vj_model_get_stats(const vj_model *model, vj_model_stats *stats) {
    if (!model || !stats) return vj_error_set(VJ_USAGE, "vj_model_get_stats: a null pointer");
    const vj_image_header *h = header_of(model);
    const vj_model_state *s = vj_state(model);
    vj_model_stats all = {.size = stats->size,
                          .flops_per_image = h->flops_per_image,
                          .weights_bytes = h->weights_bytes,
                          .arena_bytes = h->scratch_per_image,
                          .arena_lower_bound_bytes = h->lower_bound_bytes,
                          .kernels = h->kernels,
                          .distinct_kernels = h->distinct_kernels,
                          .compile_ms = s->compile_ms,
                          .cache_hit = s->cache_hit,
                          .cpu = s->model.cpu,
                          .precision = (vj_dtype)h->precision,
                          .weight_format = (vj_dtype)h->weight_format};
    if (stats->size > sizeof all || stats->size < sizeof stats->size)
        return vj_error_set(VJ_USAGE, "vj_model_stats of another version");
    memcpy(stats, &all, stats->size);
    return VJ_OK;
}

const char *vj_model_introduction(const vj_model *model) {
    const vj_image_header *h = header_of(model);
    return h->notes_bytes ? (const char *)h + h->notes : "";
}

const char *vj_model_metadata(const vj_model *model) {
    if (!model) return "";
    const vj_image_header *h = header_of(model);
    size_t first = strlen(vj_model_introduction(model)) + 1;
    return first < h->notes_bytes ? (const char *)h + h->notes + first : "{}";
}

const char *vj_model_kernels(const vj_model *model) {
    const vj_image_header *h = header_of(model);
    size_t at = strlen(vj_model_introduction(model)) + 1;
    if (at < h->notes_bytes) at += strlen(vj_model_metadata(model)) + 1;
    return at < h->notes_bytes ? (const char *)h + h->notes + at : "";
}

int32_t vj_model_parts(const vj_model *model) { return vj_state(model)->parts; }
