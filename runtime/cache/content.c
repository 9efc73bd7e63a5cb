/* SPDX-License-Identifier: Apache-2.0 */
/* content.c - a model's bytes, in a file or in memory: samples, what lies between parts, and whether a file is the one it was.
 *
 * A file counts as the same while its device, inode, size and times are (as for git's index:
 * Documentation/technical/racy-git.txt), and a sample of it reads as it did, for there are file systems whose times and
 * inodes say nothing (images that are built reproducibly). What changed within the last two seconds might change again
 * within one tick of its clock: of it nothing is said.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define SAMPLES      64
#define SAMPLE_BYTES 4096
#define SETTLED_S    2

vj_status vj_content_open(const char *path, vj_content *content) {
    struct stat st;
    *content = (vj_content){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (content->fd < 0) return vj_error_set(VJ_BAD_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    if (fstat(content->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        content->size = st.st_size;
        return VJ_OK;
    }
    vj_content_close(content);
    return vj_error_set(VJ_BAD_INPUT, "%s: cannot be read: it is not a file", path);
}

void vj_content_close(vj_content *content) {
    if (content->fd >= 0) close(content->fd);
    content->fd = -1;
}

/* False when it cannot be read, or is shorter than it was. */
static bool feed(XXH3_state_t *state, const vj_content *content, int64_t from, int64_t to) {
    char block[SAMPLE_BYTES];
    if (content->at) XXH3_128bits_update(state, content->at + from, (size_t)(to - from));
    while (!content->at && from < to) {
        const size_t n = to - from < SAMPLE_BYTES ? (size_t)(to - from) : SAMPLE_BYTES;
        if (!vj_read_at(content->fd, block, n, from)) return false;
        XXH3_128bits_update(state, block, n);
        from += (int64_t)n;
    }
    return true;
}

static vj_key key_from(XXH3_state_t *state) {
    const XXH128_hash_t hash = XXH3_128bits_digest(state);
    return (vj_key){{hash.low64, hash.high64}};
}

bool vj_content_sample(const vj_content *content, vj_key *sample) {
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, &content->size, sizeof content->size);
    const int64_t last = content->size - SAMPLE_BYTES;
    bool good = true;
    if (last < (int64_t)SAMPLES * SAMPLE_BYTES)
        good = feed(&state, content, 0, content->size);
    else
        for (int64_t i = 0; good && i < SAMPLES; i++) {
            const int64_t at = i < SAMPLES - 1 ? last / (SAMPLES - 1) * i : last;
            good = feed(&state, content, at, at + SAMPLE_BYTES);
        }
    *sample = key_from(&state);
    return good;
}

bool vj_content_rest(const vj_content *content, const vj_file_part *parts, int32_t count, vj_key *rest) {
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    int64_t at = 0;
    bool good = true;
    for (int32_t i = 0; good && i < count; i++) {
        const vj_file_part *part = &parts[i];
        good = part->offset >= at && part->length >= 0 && part->length <= content->size - part->offset &&
               feed(&state, content, at, part->offset);
        if (good) at = part->offset + part->length;
    }
    good = good && feed(&state, content, at, content->size);
    *rest = key_from(&state);
    return good;
}

bool vj_content_identity(const vj_content *content, vj_key *identity) {
    struct stat st;
    struct timespec now;
    vj_key sample;
    if (content->at || fstat(content->fd, &st) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) return false;
    const int64_t changed = st.st_ctim.tv_sec > st.st_mtim.tv_sec ? st.st_ctim.tv_sec : st.st_mtim.tv_sec;
    if (now.tv_sec - changed <= SETTLED_S || st.st_size != content->size || !vj_content_sample(content, &sample))
        return false;
    const uint64_t facts[] = {sample.half[0],
                              sample.half[1],
                              (uint64_t)st.st_dev,
                              (uint64_t)st.st_ino,
                              (uint64_t)st.st_mtim.tv_sec,
                              (uint64_t)st.st_mtim.tv_nsec,
                              (uint64_t)st.st_ctim.tv_sec,
                              (uint64_t)st.st_ctim.tv_nsec};
    *identity = vj_key_of(facts, sizeof facts);
    return true;
}
