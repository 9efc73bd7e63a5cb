/* SPDX-License-Identifier: Apache-2.0 */
/* library.c - a shared library as vj_load takes it: the bytes as they are, and with the checksums of its image and weights as they should be.
 * Its code is mapped and never run. */
#include "target.h"

#include <xxhash.h>

#include "runtime/runtime.h"
#include "vitjit_digest.h"

static void try_library(const uint8_t *data, size_t size) {
    vj_options options;
    vj_model *m = NULL;
    vj_options_init(&options);
    options.threads = 1;
    const vj_status status = vj_load(file_of(data, size), &options, &m);
    MUST((status == VJ_OK) == (m != NULL));
    vj_model_free(m);
}

/* Puts right what only its writer could: checksums, and the two names of the model. */
static bool seal(uint8_t *data, size_t size) {
    vj_library library;
    if (vj_library_find(descriptor_of(data, size), &library) != VJ_OK) return false;
    const vj_library_note *n = &library.note;
    uint8_t *image = data + library.image_at;
    vj_image_header h;
    memcpy(&h, image, sizeof h);
    const size_t from = offsetof(vj_image_header, check) + sizeof h.check;
    h.magic = VJ_IMAGE_MAGIC;
    h.version = VJ_IMAGE_VERSION;
    h.header_size = sizeof h;
    h.bytes = n->image_bytes;
    memcpy(h.model_hash, n->model_hash, sizeof h.model_hash);
    memcpy(image, &h, sizeof h);
    const XXH128_hash_t hash = XXH3_128bits(image + from, n->image_bytes - from);
    memcpy(h.check, &hash, sizeof h.check);
    memcpy(image, &h, sizeof h);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = exact_copy(data, size);
    try_library(copy, size);
    if (seal(copy, size)) try_library(copy, size);
    free(copy);
    return 0;
}
