/* SPDX-License-Identifier: Apache-2.0 */
/* weights.c - packed weights, mapped read-only and shared between processes. */
#include "runtime.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

vj_status vj_weights_map_fd(int fd, const uint64_t digest[2], int64_t bytes, vj_weights_map *map) {
    struct stat st;
    if (fstat(fd, &st) != 0) return vj_error_set(VJ_SYSTEM, "cannot read the packed weights");
    if (st.st_size != bytes + VJ_WEIGHTS_HEADER)
        return vj_error_set(VJ_BAD_INPUT, "the packed weights have %lld bytes, not %lld", (long long)st.st_size,
                            (long long)bytes + VJ_WEIGHTS_HEADER);
    size_t size = (size_t)st.st_size;
    void *at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return vj_error_set(VJ_SYSTEM, "cannot map %zu bytes of packed weights: %s", size, strerror(errno));
    const vj_weights_header *h = at;
    if (h->magic != VJ_WEIGHTS_MAGIC || h->bytes != bytes || h->digest[0] != digest[0] || h->digest[1] != digest[1]) {
        munmap(at, size);
        return vj_error_set(VJ_BAD_INPUT, "the packed weights are not this model's");
    }
    *map = (vj_weights_map){at, size, (const char *)at + VJ_WEIGHTS_HEADER, {h->check[0], h->check[1]}, bytes};
    return VJ_OK;
}

vj_status vj_weights_map_part(int fd, int64_t at, int64_t bytes, const uint64_t check[2], vj_weights_map *map) {
    const int64_t before = at % sysconf(_SC_PAGESIZE);
    const size_t size = (size_t)(bytes + before);
    void *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, at - before);
    if (base == MAP_FAILED)
        return vj_error_set(VJ_SYSTEM, "cannot map %zu bytes of packed weights: %s", size, strerror(errno));
    *map = (vj_weights_map){base, size, (const char *)base + before, {check[0], check[1]}, bytes};
    return VJ_OK;
}

void vj_weights_unmap(vj_weights_map *map) {
    if (map->base) munmap(map->base, map->bytes);
    *map = (vj_weights_map){0};
}

bool vj_weights_whole(const vj_weights_map *map) {
    const vj_key key = vj_digest_memory(map->data, (size_t)map->data_bytes);
    return key.half[0] == map->check[0] && key.half[1] == map->check[1];
}
