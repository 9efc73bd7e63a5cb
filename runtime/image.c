/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - checks an image, offset by offset, and maps its code. */
#include "runtime.h"

#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "vitjit_dtype.h"

static bool inside(uint64_t offset, uint64_t length, uint64_t size) {
    return offset <= size && length <= size - offset;
}

/* Are the bytes of a value that an input must have there? */
static bool value_is_sound(const vj_image_header *h, const vj_image_tensor *t) {
    return t->value == 0 || inside(t->value - 1, (uint64_t)t->bytes_per_image, h->values_bytes);
}

/* An output that gets dims stands behind all of the model's own, and has a place for each dim. */
static bool dims_are_sound(const vj_image_header *h) {
    const vj_image_tensor *t = (const vj_image_tensor *)(const void *)((const char *)h + h->outputs);
    const int64_t count = h->output_count;
    int64_t own = count;
    for (int64_t i = 0; i < count; i++) {
        if (t[i].dims_output == 0) continue;
        if (t[i].dims_output < 0) return false;
        const int64_t from = t[i].dims_output - 1;
        if (from <= i || from >= count || t[from].dims[0] != t[i].rank) return false;
        for (int32_t d = 0; d < t[i].rank; d++)
            if (t[i].dims[d] < 0) return false; /* such sizes are of a fixed batch */
        own = from < own ? from : own;
    }
    for (int64_t i = own; i < count; i++)
        if (t[i].dims_output || t[i].dtype != VJ_I64 || t[i].rank != 1 || t[i].dims[0] < 0 ||
            t[i].dims[0] > VJ_MODEL_MAX_RANK)
            return false;
    return true;
}

static bool tensors_are_sound(const vj_image_header *h, uint64_t at, uint32_t count) {
    if (count > VJ_IMAGE_MOST_TENSORS || at % 8 != 0 ||
        !inside(at, (uint64_t)count * sizeof(vj_image_tensor), h->bytes))
        return false;
    const vj_image_tensor *t = (const vj_image_tensor *)(const void *)((const char *)h + at);
    for (uint32_t i = 0; i < count; i++, t++) {
        if (t->name >= h->strings_bytes || t->dtype <= VJ_NO_DTYPE || t->dtype >= VJ_DTYPE_COUNT || t->rank < 0 ||
            t->rank > VJ_MODEL_MAX_RANK || t->bytes_per_image < 0)
            return false;
        int64_t bytes = (int64_t)vj_dtype_bytes((vj_dtype)t->dtype);
        for (int32_t d = 0; d < t->rank; d++) {
            if (t->dims[d] == INT64_MIN) return false;
            int64_t dim = t->dims[d] < 0 ? -t->dims[d] : t->dims[d];
            if (__builtin_mul_overflow(bytes, dim, &bytes)) return false;
        }
        int64_t whole;
        if (bytes != t->bytes_per_image || __builtin_mul_overflow(bytes, h->max_batch, &whole)) return false;
        if (!value_is_sound(h, t)) return false;
    }
    return true;
}

static bool layout_is_sound(const vj_image_header *h, size_t bytes) {
    if (h->header_size != sizeof *h || h->bytes != bytes) return false;
    if (h->weights_bytes < 0 || h->weights_bytes > INT64_MAX / 2 || h->scratch_fixed < 0 ||
        h->scratch_fixed > INT64_MAX / 4 || h->scratch_per_image < 0 || h->scratch_per_image > INT64_MAX / 4 ||
        h->max_batch < 1 || h->phase_count < 0 || !vj_is_precision((vj_dtype)h->precision) ||
        !vj_is_weight_format((vj_dtype)h->weight_format))
        return false;
    if (h->strings_bytes == 0 || !inside(h->strings, h->strings_bytes, bytes) ||
        ((const char *)h)[h->strings + h->strings_bytes - 1] != 0)
        return false;
    if (h->model_name >= h->strings_bytes || h->compiler >= h->strings_bytes || h->cpu >= h->strings_bytes)
        return false;
    if (!inside(h->notes, h->notes_bytes, bytes)) return false;
    if (!inside(h->values, h->values_bytes, bytes)) return false;
    if (!inside(h->symbols, h->symbols_bytes, bytes) ||
        (h->symbols_bytes && ((const char *)h)[h->symbols + h->symbols_bytes - 1] != 0))
        return false;
    if (h->notes_bytes && ((const char *)h)[h->notes + h->notes_bytes - 1] != 0) return false;
    if (h->code % VJ_IMAGE_CODE_ALIGN != 0 || h->code_bytes == 0 || !inside(h->code, h->code_bytes, bytes))
        return false;
    if (h->phase_entry >= h->code_bytes) return false;
    return tensors_are_sound(h, h->inputs, h->input_count) && tensors_are_sound(h, h->outputs, h->output_count) &&
           dims_are_sound(h);
}

vj_status vj_image_check_layout(const void *image, size_t bytes) {
    const vj_image_header *h = image;
    if (bytes < sizeof *h || h->magic != VJ_IMAGE_MAGIC) return vj_error_set(VJ_BAD_INPUT, "not a compiled image");
    if (h->version != VJ_IMAGE_VERSION) return vj_error_set(VJ_BAD_INPUT, "an image of another version of vitjit");
    if (!layout_is_sound(h, bytes)) return vj_error_set(VJ_BAD_INPUT, "the image is damaged");
    return VJ_OK;
}

vj_status vj_image_check(const void *image, size_t bytes) {
    vj_status status = vj_image_check_layout(image, bytes);
    if (status) return status;
    const vj_image_header *h = image;
    size_t from = offsetof(vj_image_header, check) + sizeof h->check;
    XXH128_hash_t hash = XXH3_128bits((const char *)image + from, bytes - from);
    if (hash.low64 != h->check[0] || hash.high64 != h->check[1])
        return vj_error_set(VJ_BAD_INPUT, "the image is damaged: its checksum differs");
    return VJ_OK;
}

bool vj_image_is_of(const void *image, size_t bytes, const uint64_t graph_key[2]) {
    const vj_image_header *h = image;
    return image && vj_image_check(image, bytes) == VJ_OK &&
           memcmp(h->model_hash, graph_key, sizeof h->model_hash) == 0;
}

/* Not through a file in memory: RLIMIT_FSIZE counts for those too. */
vj_status vj_image_map_code(const void *image, void **code, size_t *bytes) {
    const vj_image_header *h = image;
    void *at = mmap(NULL, h->code_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return vj_error_set(VJ_SYSTEM, "out of memory for %llu bytes of code", (unsigned long long)h->code_bytes);
    memcpy(at, (const char *)image + h->code, h->code_bytes);
    if (mprotect(at, h->code_bytes, PROT_READ | PROT_EXEC) != 0) {
        munmap(at, h->code_bytes);
        return vj_error_set(VJ_SYSTEM, "the system does not let code be mapped for execution");
    }
    __builtin___clear_cache((char *)at, (char *)at + h->code_bytes);
    *code = at;
    *bytes = h->code_bytes;
    return VJ_OK;
}
