/* image.c - the image's bytes: header, tables, strings, notes, code (include/vitjit_image.h). */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

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

vj_status vj_write_image(vj_unit *u, const vj_bytes *code, uint64_t entry, const vj_codegen_stats *stats, void **image,
                         size_t *bytes) {
    const vj_model *model = vj_describe(u, u->program->name);
    size_t notes_bytes;
    const char *notes = vj_notes(u, &notes_bytes), *symbols = stats->symbols ? stats->symbols : "";
    blob strings = {.arena = u->arena}, values = {.arena = u->arena};
    vj_image_header h = {.magic = VJ_IMAGE_MAGIC,
                         .version = VJ_IMAGE_VERSION,
                         .header_size = sizeof h,
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
                         .input_count = (uint32_t)model->input_count,
                         .output_count = (uint32_t)model->output_count,
                         .phase_entry = entry};
    memcpy(h.model_hash, model->hash, sizeof h.model_hash);
    memcpy(h.weights_digest, model->weights_digest, sizeof h.weights_digest);
    h.model_name = add_string(&strings, model->name);
    h.compiler = add_string(&strings, model->compiler);
    h.cpu = add_string(&strings, model->cpu);
    const uint32_t tensors = h.input_count + h.output_count;
    vj_image_tensor *table = VJ_NEW_ARRAY(u->arena, vj_image_tensor, tensors ? tensors : 1);
    for (uint32_t i = 0; i < tensors; i++)
        table[i] = tensor_of(&strings, i < h.input_count ? &model->inputs[i] : &model->outputs[i - h.input_count]);
    for (uint32_t i = 0; i < h.input_count; i++) {
        int64_t value_bytes;
        const uint8_t *value = vj_required_value(u, (int32_t)i, &value_bytes);
        if (value) table[i].value = 1 + add(&values, value, (size_t)value_bytes);
    }
    h.inputs = sizeof h;
    h.outputs = h.inputs + h.input_count * sizeof *table;
    h.notes = h.outputs + h.output_count * sizeof *table;
    h.notes_bytes = notes_bytes;
    h.values = h.notes + h.notes_bytes;
    h.values_bytes = (uint64_t)values.count;
    h.symbols = h.values + h.values_bytes;
    h.symbols_bytes = strlen(symbols) + 1;
    h.strings = h.symbols + h.symbols_bytes;
    h.strings_bytes = (uint64_t)strings.count;
    h.code = (uint64_t)vj_round_up((int64_t)(h.strings + h.strings_bytes), VJ_IMAGE_CODE_ALIGN);
    h.code_bytes = code->size;
    h.bytes = h.code + h.code_bytes;
    uint8_t *out = calloc(1, h.bytes);
    if (!out) return vj_fail(&u->error, VJ_SYSTEM, "no memory for an image of %llu bytes", (unsigned long long)h.bytes);
    memcpy(out + h.inputs, table, tensors * sizeof *table);
    memcpy(out + h.notes, notes, h.notes_bytes);
    if (h.values_bytes) memcpy(out + h.values, values.at, h.values_bytes);
    memcpy(out + h.symbols, symbols, h.symbols_bytes);
    memcpy(out + h.strings, strings.at, h.strings_bytes);
    memcpy(out + h.code, code->at, code->size);
    memcpy(out, &h, sizeof h);
    const size_t checked = offsetof(vj_image_header, check) + sizeof h.check;
    const XXH128_hash_t check = XXH3_128bits(out + checked, h.bytes - checked);
    h.check[0] = check.low64;
    h.check[1] = check.high64;
    memcpy(out, &h, sizeof h);
    *image = out;
    *bytes = h.bytes;
    return VJ_OK;
}
