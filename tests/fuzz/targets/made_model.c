/* SPDX-License-Identifier: Apache-2.0 */
/* made_model.c - an image made by hand, and a phase in C that touches all that it may, so that the sanitizer sees what a wrong binding,
 * batch or scratch size would lead to on any machine. */
#include "made_model.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SCRATCH_FIXED = 64, SCRATCH = 128, INPUTS = 1024, OUTPUTS = 2048, VALUES = 3000, STRINGS = 3100 };

int64_t made_size;

static volatile uint32_t sink;

void *made_image(size_t *bytes) {
    static const char strings[] = "made\0x\0k\0y\0z\0dims";
    static const int32_t wanted[] = {1, 2};
    *bytes = VJ_IMAGE_CODE_ALIGN + 1;
    uint8_t *at = calloc(1, *bytes);
    if (!at) exit(2);
    vj_image_header h = {.magic = VJ_IMAGE_MAGIC,
                         .version = VJ_IMAGE_VERSION,
                         .header_size = sizeof h,
                         .bytes = *bytes,
                         .scratch_fixed = SCRATCH_FIXED,
                         .scratch_per_image = SCRATCH,
                         .max_batch = MADE_BATCH,
                         .phase_count = MADE_PHASES,
                         .precision = VJ_F32,
                         .weight_format = VJ_F32,
                         .input_count = 2,
                         .output_count = 3,
                         .inputs = INPUTS,
                         .outputs = OUTPUTS,
                         .values = VALUES,
                         .values_bytes = sizeof wanted,
                         .strings = STRINGS,
                         .strings_bytes = sizeof strings,
                         .code = VJ_IMAGE_CODE_ALIGN,
                         .code_bytes = 1};
    const vj_image_tensor inputs[] = {
        {.name = 5, .dtype = VJ_F32, .rank = 2, .dims = {-1, 4}, .bytes_per_image = MADE_X},
        {.name = 7, .dtype = VJ_I32, .rank = 1, .value = 1, .dims = {2}, .bytes_per_image = MADE_K}};
    const vj_image_tensor outputs[] = {
        {.name = 9, .dtype = VJ_F32, .rank = 2, .dims = {-1, 3}, .bytes_per_image = MADE_Y},
        {.name = 11, .dtype = VJ_I32, .rank = 1, .dims = {5}, .bytes_per_image = MADE_Z, .dims_output = 3},
        {.name = 13, .dtype = VJ_I64, .rank = 1, .dims = {1}, .bytes_per_image = sizeof(int64_t)}};
    memcpy(at + INPUTS, inputs, sizeof inputs);
    memcpy(at + OUTPUTS, outputs, sizeof outputs);
    memcpy(at + VALUES, wanted, sizeof wanted);
    memcpy(at + STRINGS, strings, sizeof strings);
    memcpy(at, &h, sizeof h);
    const size_t from = offsetof(vj_image_header, check) + sizeof h.check;
    const XXH128_hash_t hash = XXH3_128bits(at + from, *bytes - from);
    memcpy(h.check, &hash, sizeof h.check);
    memcpy(at, &h, sizeof h);
    return at;
}

static void touch_images(const vj_args *args, int64_t first, int64_t last) {
    const uint8_t *x = args->inputs[0];
    uint32_t sum = 0;
    for (int64_t i = first * MADE_X; i < last * MADE_X; i++)
        sum += x[i];
    sink = sum;
    if (last > first) memset((uint8_t *)args->outputs[0] + first * MADE_Y, 1, (size_t)((last - first) * MADE_Y));
}

void made_phase(const vj_args *args, int32_t phase, int32_t part, int32_t parts) {
    const int64_t each = args->n / parts, left = args->n % parts;
    uint8_t *slots = (uint8_t *)args->scratch + SCRATCH_FIXED;
    if (phase == 0) {
        touch_images(args, each * part, each * (part + 1));
        if (each) memset(slots + (size_t)part * SCRATCH, 1, SCRATCH);
    } else {
        const int64_t first = args->n - left;
        touch_images(args, first + left * part / parts, first + left * (part + 1) / parts);
        if (left && part < left) memset(slots + (size_t)part * SCRATCH, 1, SCRATCH);
    }
    if (part > 0) return;
    sink = ((const uint8_t *)args->inputs[1])[MADE_K - 1];
    memset(args->outputs[1], 1, MADE_Z);
    memcpy(args->outputs[2], &made_size, sizeof made_size);
}
