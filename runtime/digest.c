/* digest.c - digests of files and of mapped memory, block by block on all cores.
 *
 * A file is read, not mapped: a mapping would count as resident memory, hundreds of megabytes of it for a moment.
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitjit_digest.h"

#define MOST_THREADS 4         /* memory has no more bandwidth to give */
#define READ_BYTES   (1 << 16) /* on the stack, and in L2 while it is hashed */

typedef struct digest_job {
    const char *at; /* NULL: read from the file */
    int fd;
    size_t bytes;
    XXH128_hash_t *blocks;
    atomic_bool failed;
} digest_job;

static bool read_block(const digest_job *d, size_t i, XXH128_hash_t *hash) {
    char buffer[READ_BYTES];
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    const size_t size = vj_digest_block_bytes(i, d->bytes);
    for (size_t done = 0; done < size;) {
        const size_t want = size - done < sizeof buffer ? size - done : sizeof buffer;
        const ssize_t n = pread(d->fd, buffer, want, (off_t)(i * VJ_DIGEST_BLOCK + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false; /* shorter than it was */
        XXH3_128bits_update(&state, buffer, (size_t)n);
        done += (size_t)n;
    }
    *hash = XXH3_128bits_digest(&state);
    return true;
}

static void one_block(void *self, int32_t step, int32_t part, int32_t parts) {
    digest_job *d = self;
    const size_t i = (size_t)part;
    (void)step;
    (void)parts;
    if (d->at)
        d->blocks[i] = XXH3_128bits(d->at + i * VJ_DIGEST_BLOCK, vj_digest_block_bytes(i, d->bytes));
    else if (!read_block(d, i, &d->blocks[i]))
        atomic_store(&d->failed, true);
}

static bool all_blocks(digest_job *d, vj_key *key) {
    const size_t count = vj_digest_blocks(d->bytes);
    if (count > INT32_MAX / 4096) return false; /* two terabytes */
    d->blocks = calloc(count + 1, sizeof *d->blocks);
    if (!d->blocks) return false;
    int32_t threads = vj_cpu_available();
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    vj_pool *pool = count >= 4 && threads > 1 ? vj_pool_new(threads) : NULL;
    if (!pool || !vj_pool_try(pool, one_block, d, 0, 1, (int32_t)count))
        for (size_t i = 0; i < count; i++)
            one_block(d, 0, (int32_t)i, (int32_t)count);
    vj_pool_free(pool);
    XXH128_hash_t hash = vj_digest_begin(d->bytes);
    for (size_t i = 0; i < count; i++)
        hash = vj_digest_add(hash, d->blocks[i]);
    *key = (vj_key){{hash.low64, hash.high64}};
    free(d->blocks);
    return !atomic_load(&d->failed);
}

vj_key vj_key_of(const void *bytes, size_t size) {
    const XXH128_hash_t hash = XXH3_128bits(bytes, size);
    return (vj_key){{hash.low64, hash.high64}};
}

vj_status vj_digest_memory(const void *at, size_t bytes, vj_key *key) {
    digest_job d = {.at = at, .bytes = bytes};
    return all_blocks(&d, key) ? VJ_OK : vj_error_set(VJ_SYSTEM, "no memory to hash %zu bytes", bytes);
}

vj_status vj_digest_file(const char *path, vj_key *key) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0) return vj_error_set(VJ_BAD_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    vj_status status = VJ_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        status = vj_error_set(VJ_BAD_INPUT, "%s: cannot be read: it is not a file", path);
    } else {
        digest_job d = {.fd = fd, .bytes = (size_t)st.st_size};
        if (!all_blocks(&d, key)) status = vj_error_set(VJ_SYSTEM, "%s: reading failed", path);
    }
    close(fd);
    return status;
}
