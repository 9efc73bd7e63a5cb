/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_digest.h - the digest of large files: the XXH3-128s of its blocks, chained, so that all cores can share the
 * work. Private to the project (not installed).
 */
#ifndef VITJIT_DIGEST_H
#define VITJIT_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

#define VJ_DIGEST_BLOCK ((size_t)4 << 20)

static inline size_t vj_digest_blocks(size_t bytes) { return (bytes + VJ_DIGEST_BLOCK - 1) / VJ_DIGEST_BLOCK; }

/* Block i begins at i * VJ_DIGEST_BLOCK; the last one is shorter. */
static inline size_t vj_digest_block_bytes(size_t i, size_t bytes) {
    const size_t left = bytes - i * VJ_DIGEST_BLOCK;
    return left < VJ_DIGEST_BLOCK ? left : VJ_DIGEST_BLOCK;
}

/* The digest of what ends with this block, from that of what goes before; of nothing it is the length's. */
static inline XXH128_hash_t vj_digest_add(XXH128_hash_t before, XXH128_hash_t block) {
    const uint64_t halves[4] = {before.low64, before.high64, block.low64, block.high64};
    return XXH3_128bits(halves, sizeof halves);
}

static inline XXH128_hash_t vj_digest_begin(size_t bytes) { return (XXH128_hash_t){.low64 = bytes}; }

static inline XXH128_hash_t vj_digest_of(const void *at, size_t bytes) {
    XXH128_hash_t all = vj_digest_begin(bytes);
    for (size_t i = 0; i < vj_digest_blocks(bytes); i++)
        all = vj_digest_add(all, XXH3_128bits((const char *)at + i * VJ_DIGEST_BLOCK, vj_digest_block_bytes(i, bytes)));
    return all;
}

#endif
