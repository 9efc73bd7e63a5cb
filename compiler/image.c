/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - the image's bytes: header, tables, strings, notes, code (include/vitjit_image.h). */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "vitjit_dtype.h"

/* A growing blob in the arena; offsets into it stay valid. */
typedef struct blob {
    vj_arena *arena;
    uint8_t *at;
    int32_t count, capacity;
} blob;

static uint32_t add(blob *b, const void *data, size_t bytes) {
    const int32_t offset = b->count;
    for (size_t i = 0; i < bytes; i++)
        *VJ_PUSH(b->arena, b->at, b->count, b->capacity) = ((const uint8_t *)data)[i];
    return (uint32_t)offset;
}

static uint32_t add_string(blob *b, const char *text) {
    return add(b, text ? text : "", (text ? strlen(text) : 0) + 1);
}

static vj_image_tensor tensor_of(blob *strings, const vj_tensor_info *info) {
    vj_image_tensor t = {.name = add_string(strings, info->name),
                         .dtype = info->dtype,
                         .rank = info->rank,
                         .bytes_per_image = info->bytes_per_image,
                         .dims_output = info->dims_output};
    memcpy(t.dims, info->dims, sizeof t.dims);
    return t;
}

/* An image in the making: what stands before the code. */
typedef struct parts {
    vj_image_header header;
    vj_image_tensor *tensors; /* inputs, then outputs */
    blob strings, values;
    const char *notes, *symbols;
} parts;

static void describe(parts *p, vj_unit *u, const vj_model *model, const vj_codegen_stats *stats) {
    vj_image_header *h = &p->header;
    *h = (vj_image_header){.magic = VJ_IMAGE_MAGIC,
                           .version = VJ_IMAGE_VERSION,
                           .header_size = sizeof *h,
                           .weights_bytes = model->weights_bytes,
                           .scratch_fixed = model->scratch_fixed,
                           .scratch_per_image = model->scratch_per_image,
                           .lower_bound_bytes = u->program->lower_bound_bytes,
                           .max_batch = model->max_batch,
                           .flops_per_image = vj_flops_per_image(u->program),
                           .kernels = stats->kernels,
                           .distinct_kernels = stats->distinct_kernels,
                           .phase_count = model->phase_count,
                           .cpu_feature_bits = u->target->cpu_feature_bits,
                           .cpu_rank = u->target->rank,
                           .precision = (int32_t)vj_or_f32(u->request->options->precision),
                           .weight_format = (int32_t)vj_or_f32(u->request->options->weight_format),
                           .input_count = (uint32_t)model->input_count,
                           .output_count = (uint32_t)model->output_count};
    memcpy(h->model_hash, model->hash, sizeof h->model_hash);
    memcpy(h->weights_digest, model->weights_digest, sizeof h->weights_digest);
    h->model_name = add_string(&p->strings, model->name);
    h->compiler = add_string(&p->strings, model->compiler);
    h->cpu = add_string(&p->strings, model->cpu);
}

static uint32_t tensor_count(const parts *p) { return p->header.input_count + p->header.output_count; }

static void add_tensors(parts *p, vj_unit *u, const vj_model *model) {
    const uint32_t inputs = p->header.input_count;
    p->tensors = VJ_NEW_ARRAY(u->arena, vj_image_tensor, tensor_count(p) + 1);
    for (uint32_t i = 0; i < tensor_count(p); i++)
        p->tensors[i] = tensor_of(&p->strings, i < inputs ? &model->inputs[i] : &model->outputs[i - inputs]);
    for (uint32_t i = 0; i < inputs; i++) {
        int64_t bytes;
        const uint8_t *value = vj_required_value(u, (int32_t)i, &bytes);
        if (value) p->tensors[i].value = 1 + add(&p->values, value, (size_t)bytes);
    }
}

/* Where each part begins. The code comes last, at a page of its own. */
static void place(parts *p, size_t notes_bytes, size_t code_bytes) {
    vj_image_header *h = &p->header;
    h->inputs = sizeof *h;
    h->outputs = h->inputs + h->input_count * sizeof *p->tensors;
    h->notes = h->outputs + h->output_count * sizeof *p->tensors;
    h->notes_bytes = notes_bytes;
    h->values = h->notes + h->notes_bytes;
    h->values_bytes = (uint64_t)p->values.count;
    h->symbols = h->values + h->values_bytes;
    h->symbols_bytes = strlen(p->symbols) + 1;
    h->strings = h->symbols + h->symbols_bytes;
    h->strings_bytes = (uint64_t)p->strings.count;
    h->code = (uint64_t)vj_round_up((int64_t)(h->strings + h->strings_bytes), VJ_IMAGE_CODE_ALIGN);
    h->code_bytes = code_bytes;
    h->bytes = h->code + h->code_bytes;
}

/* The check covers all that stands behind it. */
static void copy(const parts *p, const void *code, uint8_t *out) {
    vj_image_header h = p->header;
    const size_t checked = offsetof(vj_image_header, check) + sizeof h.check;
    memcpy(out + h.inputs, p->tensors, tensor_count(p) * sizeof *p->tensors);
    memcpy(out + h.notes, p->notes, h.notes_bytes);
    if (h.values_bytes) memcpy(out + h.values, p->values.at, h.values_bytes);
    memcpy(out + h.symbols, p->symbols, h.symbols_bytes);
    memcpy(out + h.strings, p->strings.at, h.strings_bytes);
    memcpy(out + h.code, code, h.code_bytes);
    memcpy(out, &h, sizeof h);
    const XXH128_hash_t check = XXH3_128bits(out + checked, h.bytes - checked);
    h.check[0] = check.low64;
    h.check[1] = check.high64;
    memcpy(out, &h, sizeof h);
}

vj_status vj_write_image(vj_unit *u, const vj_bytes *code, uint64_t entry, const vj_codegen_stats *stats, void **image,
                         size_t *bytes) {
    const vj_model *model = vj_describe(u, u->program->name);
    size_t notes_bytes;
    parts p = {.strings = {.arena = u->arena},
               .values = {.arena = u->arena},
               .notes = vj_notes(u, &notes_bytes),
               .symbols = stats->symbols ? stats->symbols : ""};
    describe(&p, u, model, stats);
    add_tensors(&p, u, model);
    p.header.phase_entry = entry;
    place(&p, notes_bytes, code->size);
    *bytes = p.header.bytes;
    uint8_t *out = *image = calloc(1, *bytes);
    if (!out)
        return vj_fail(&u->error, VJ_SYSTEM, "out of memory for an image of %llu bytes", (unsigned long long)*bytes);
    copy(&p, code->at, out);
    return VJ_OK;
}
