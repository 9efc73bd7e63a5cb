/* SPDX-License-Identifier: Apache-2.0 */
/* digest.c - digests of parts of files and of mapped memory, on all cores.
 *
 * A file is read, not mapped: a mapping would count as resident memory, hundreds of megabytes of it for a moment.
 */
#include "runtime/runtime.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

#include "vitjit_digest.h"

#define MOST_THREADS 4         /* memory has no more bandwidth to give */
#define LEAST_SHARED (4 << 20) /* bytes: below, threads cost more than they bring */
#define READ_BYTES   (1 << 16) /* on the stack, and in L2 while it is hashed */

typedef struct digest_job {
    vj_digest_part *parts;
    atomic_bool failed;
} digest_job;

static vj_key key_from(XXH128_hash_t hash) { return (vj_key){{hash.low64, hash.high64}}; }

vj_key vj_key_of(const void *bytes, size_t size) { return key_from(XXH3_128bits(bytes, size)); }

static bool read_part(vj_digest_part *p) {
    char buffer[READ_BYTES];
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (int64_t done = 0; done < p->bytes;) {
        const size_t n = p->bytes - done < READ_BYTES ? (size_t)(p->bytes - done) : READ_BYTES;
        if (!vj_read_at(p->from.fd, buffer, n, p->offset + done)) return false;
        XXH3_128bits_update(&state, buffer, n);
        done += (int64_t)n;
    }
    p->digest = key_from(XXH3_128bits_digest(&state));
    return true;
}

static void one_part(void *self, int32_t step, int32_t part, int32_t parts) {
    digest_job *d = self;
    vj_digest_part *p = &d->parts[part];
    (void)step;
    (void)parts;
    if (p->from.at)
        p->digest = vj_key_of(p->from.at + p->offset, (size_t)p->bytes);
    else if (!read_part(p))
        atomic_store(&d->failed, true);
}

bool vj_digest_parts(vj_digest_part *parts, int32_t count) {
    digest_job d = {.parts = parts};
    int64_t bytes = 0;
    for (int32_t i = 0; i < count; i++)
        bytes += parts[i].bytes;
    int32_t threads = vj_cpu_available();
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    vj_pool *pool = bytes >= LEAST_SHARED && threads > 1 ? vj_pool_new(threads) : NULL;
    if (!pool || !vj_pool_try(pool, one_part, &d, 0, 1, count))
        for (int32_t i = 0; i < count; i++)
            one_part(&d, 0, i, count);
    vj_pool_free(pool);
    return !atomic_load(&d.failed);
}

vj_key vj_digest_memory(const void *at, size_t bytes) {
    const size_t count = vj_digest_blocks(bytes);
    vj_digest_part *parts = count < INT32_MAX / 4096 ? calloc(count + 1, sizeof *parts) : NULL; /* two terabytes */
    for (size_t i = 0; parts && i < count; i++)
        parts[i] = (vj_digest_part){.from = {-1, at, (int64_t)bytes},
                                    .offset = (int64_t)(i * VJ_DIGEST_BLOCK),
                                    .bytes = (int64_t)vj_digest_block_bytes(i, bytes)};
    if (parts) vj_digest_parts(parts, (int32_t)count);
    XXH128_hash_t hash = vj_digest_begin(bytes);
    for (size_t i = 0; i < count; i++) {
        const vj_key part = parts ? parts[i].digest /* without memory this thread does it all */
                                  : vj_key_of((const char *)at + i * VJ_DIGEST_BLOCK, vj_digest_block_bytes(i, bytes));
        hash = vj_digest_add(hash, (XXH128_hash_t){part.half[0], part.half[1]});
    }
    free(parts);
    return key_from(hash);
}
