/* SPDX-License-Identifier: Apache-2.0 */
/* weights.c - a file of packed weights: as the cache maps it, a part of a larger file, and as a program beside an emitted object checks it.
 * The first bytes are what the model expects, so that a fitting header can be found. */
#include "target.h"

#include "runtime/runtime.h"

static volatile uint64_t sink;

static void read_map(vj_weights_map *map) {
    const uint8_t *at = map->data;
    uint64_t sum = vj_weights_whole(map);
    for (int64_t i = 0; i < map->data_bytes; i++)
        sum += at[i];
    sink = sum;
    vj_weights_unmap(map);
}

static void try_object(const uint8_t *data, size_t size, const uint64_t digest[2], int64_t bytes) {
    const vj_model m = {.abi = VJ_MODEL_ABI,
                        .header_size = sizeof m,
                        .weights_bytes = bytes,
                        .weights_alignment = 64,
                        .weights_digest = {digest[0], digest[1]}};
    void *at = aligned_alloc(64, (size + 63) / 64 * 64 + 64);
    if (!at) exit(2);
    if (size) memcpy(at, data, size);
    (void)vj_weights_check(&m, at, size);
    free(at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    supply s = {data, size};
    uint64_t digest[2] = {next_byte(&s), next_byte(&s)};
    int64_t bytes = next_byte(&s);
    const int64_t at = next_byte(&s) * 64;
    if (bytes == 255) bytes = (int64_t)(next_u64(&s) >> 1);
    vj_weights_map map = {0};
    const int fd = descriptor_of(s.at, s.left);
    if (bytes < INT64_MAX / 2 && vj_weights_map_fd(fd, digest, bytes, &map) == VJ_OK) read_map(&map);
    if (at <= (int64_t)s.left && bytes <= (int64_t)s.left - at &&
        vj_weights_map_part(fd, at, bytes, digest, &map) == VJ_OK)
        read_map(&map);
    try_object(s.at, s.left, digest, bytes);
    size_t mapped;
    const void *whole = vj_weights_open(file_of(s.at, s.left), &mapped);
    if (whole) vj_weights_close(whole, mapped);
    return 0;
}
