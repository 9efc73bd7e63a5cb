/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - an image as the cache may have it: its bytes as they are, and with the magic, version, sizes and checksum that they should have.
 * A model is made of what is sound, and asked for all that it says of itself. Its code is mapped and never run. */
#include "target.h"

#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "runtime/runtime.h"
#include "vitjit_digest.h"

static volatile size_t sink;

/* The packed weights that the image wants, all zeros. */
static int weights_for(const vj_image_header *h) {
    if (h->weights_bytes > 1 << 16) return -1;
    const int fd = memfd_create("weights", MFD_CLOEXEC);
    uint8_t *zeros = calloc(1, (size_t)h->weights_bytes + 1);
    if (fd < 0 || !zeros || ftruncate(fd, h->weights_bytes + VJ_WEIGHTS_HEADER) != 0) exit(2);
    const XXH128_hash_t check = vj_digest_of(zeros, (size_t)h->weights_bytes);
    const vj_weights_header w = {
        VJ_WEIGHTS_MAGIC, {h->weights_digest[0], h->weights_digest[1]}, h->weights_bytes, {check.low64, check.high64}};
    if (pwrite(fd, &w, sizeof w, 0) != sizeof w) exit(2);
    free(zeros);
    return fd;
}

static void ask(vj_model *m) {
    int64_t dims[VJ_MODEL_MAX_RANK], weights, arena;
    vj_model_stats stats = {.size = sizeof stats};
    size_t sum = strlen(vj_model_introduction(m)) + strlen(vj_model_metadata(m)) + strlen(vj_model_kernels(m)) +
                 strlen(m->name) + strlen(m->compiler) + strlen(m->cpu);
    for (int32_t i = 0; i < vj_input_count(m); i++) {
        const int32_t rank = vj_input_shape(m, i, m->max_batch, dims);
        sum += strlen(vj_input_name(m, i)) + (size_t)rank + (size_t)vj_input_find(m, vj_input_name(m, i));
        const uint8_t *value = vj_input_fixed_value(m, i);
        for (int64_t b = 0; value && b < m->inputs[i].bytes_per_image; b++)
            sum += value[b];
    }
    for (int32_t i = 0; i < vj_output_count(m); i++)
        sum += strlen(vj_output_name(m, i)) + (size_t)vj_output_shape_of(m, i, m->max_batch, dims);
    sum += (size_t)vj_plan_bytes(m, m->max_batch, &weights, &arena) + (size_t)vj_model_get_stats(m, &stats);
    sink = sum;
}

static void try_image(const void *image, size_t size) {
    const vj_image_header *h = image;
    vj_options options;
    vj_model *m = NULL;
    if (vj_image_check(image, size) != VJ_OK) return;
    vj_options_init(&options);
    options.threads = 1;
    vj_compiled compiled = {
        .image = exact_copy(image, size), .image_bytes = size, .weights_fd = weights_for(h), .from_cache = 1};
    if (compiled.weights_fd < 0) {
        free(compiled.image);
        return;
    }
    if (vj_model_new(&compiled, &options, &m) != VJ_OK) return;
    ask(m);
    vj_session *session = NULL;
    if (m->scratch_fixed < 1 << 20 && m->scratch_per_image < 1 << 20) {
        (void)vj_session_create(m, &session);
        vj_session_free(session);
    }
    vj_model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    void *copy = exact_copy(data, size);
    try_image(copy, size);
    if (size >= sizeof(vj_image_header)) {
        vj_image_header *h = copy;
        const size_t from = offsetof(vj_image_header, check) + sizeof h->check;
        h->magic = VJ_IMAGE_MAGIC;
        h->version = VJ_IMAGE_VERSION;
        h->header_size = sizeof *h;
        h->bytes = size;
        const XXH128_hash_t hash = XXH3_128bits((const char *)copy + from, size - from);
        h->check[0] = hash.low64;
        h->check[1] = hash.high64;
        try_image(copy, size);
    }
    free(copy);
    return 0;
}
