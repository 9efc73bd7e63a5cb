/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - files of earlier compilations.
 *
 * FILEKEY.entry     a text: the graph key, and of what content it is that of (entry.c)
 * GRAPHKEY.image    an image
 * DIGEST.weights    packed weights, shared by images
 * IDENTITY.seen     files that were read for an entry, and found to be what it says
 * All are written under a temporary name and renamed. The folder must be the user's own and closed to others. What is
 * damaged counts as missing and is written anew. The least recently used files go when the folder grows too large.
 */
#include "cache_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The content is checked by whoever maps it. */
static int open_weights(const vj_cache *c, const uint64_t digest[2]) {
    char path[4300];
    vj_cache_path(c, digest, "weights", path, sizeof path);
    return vj_cache_open_own(path);
}

static int find_weights(void *self, const uint64_t digest[2], int64_t bytes) {
    const vj_cache *c = self;
    int fd = c ? open_weights(c, digest) : -1;
    vj_weights_map map;
    if (fd < 0) return -1;
    const vj_status status = vj_weights_map_fd(fd, digest, bytes, &map);
    bool whole = status == VJ_OK;
    if (whole) {
        whole = vj_weights_whole(&map);
        vj_weights_unmap(&map);
    }
    if (whole) return fd;
    if (status == VJ_SYSTEM) { /* nothing is wrong with the file */
        close(fd);
        return -1;
    }
    char path[4300];
    vj_cache_path(c, digest, "weights", path, sizeof path);
    close(fd);
    unlink(path);
    return -1;
}

static int create_in_folder(vj_cache *c, const uint64_t digest[2], off_t bytes) {
    char path[4300], name[4400];
    vj_cache_path(c, digest, "weights", path, sizeof path);
    vj_cache_temporary(c, path, name, sizeof name);
    int fd = vj_cache_create(name);
    int why = fd < 0 ? errno : posix_fallocate(fd, 0, bytes);
    if (why == 0) return fd;
    vj_cache_cannot_write(c, path, why);
    if (fd >= 0) {
        close(fd);
        unlink(name);
    }
    return -1;
}

static int create_weights(void *self, const uint64_t digest[2], int64_t bytes) {
    vj_cache *c = self;
    int fd = c && !c->read_only ? create_in_folder(c, digest, bytes + VJ_WEIGHTS_HEADER) : -1;
    if (fd >= 0) return fd;
    fd = memfd_create("vitjit-weights", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, bytes + VJ_WEIGHTS_HEADER) == 0) return fd;
    close(fd);
    return -1;
}

static void commit_weights(void *self, const uint64_t digest[2], int descriptor, int32_t whole) {
    const vj_cache *c = self;
    if (!c) return;
    char path[4300], name[4400];
    struct stat here, there;
    vj_cache_path(c, digest, "weights", path, sizeof path);
    vj_cache_temporary(c, path, name, sizeof name);
    bool ours = fstat(descriptor, &here) == 0 && stat(name, &there) == 0 && here.st_ino == there.st_ino &&
                here.st_dev == there.st_dev;
    if (!ours) return; /* a memfd */
    if (!whole || rename(name, path) != 0) unlink(name);
}

static void *find_image(void *self, const uint64_t graph_key[2], size_t *bytes) {
    const vj_cache *c = self;
    if (!c) return NULL;
    char path[4300];
    vj_cache_path(c, graph_key, "image", path, sizeof path);
    *bytes = 0;
    void *image = vj_cache_read(path, bytes);
    if (vj_image_is_of(image, *bytes, graph_key)) return image;
    if (image) unlink(path);
    free(image);
    return NULL;
}

vj_weights_store vj_cache_store(vj_cache *cache) {
    return (vj_weights_store){cache, find_weights, create_weights, commit_weights, find_image};
}

bool vj_cache_find(vj_cache *c, const vj_key *file_key, const vj_content *model, const char *model_path,
                   vj_compiled *found) {
    vj_key graph;
    if (!vj_entry_find(c, file_key, model, model_path, &graph)) return false;
    size_t image_bytes;
    void *image = find_image(c, graph.half, &image_bytes);
    if (!image) return false;
    const vj_image_header *h = image;
    int fd = open_weights(c, h->weights_digest);
    if (fd < 0) {
        free(image);
        return false;
    }
    *found = (vj_compiled){.image = image, .image_bytes = image_bytes, .weights_fd = fd, .from_cache = 1};
    vj_cache_found(c, &graph);
    return true;
}

void vj_cache_put(vj_cache *c, const vj_key *file_key, const vj_content *model, const char *model_path,
                  const vj_compiled *compiled) {
    char path[4300];
    size_t size;
    char *text = vj_entry_text(file_key, model, model_path, compiled, &size);
    bool good = text != NULL;
    vj_cache_path(c, compiled->graph_key, "image", path, sizeof path);
    if (good && !compiled->from_cache) good = vj_cache_write(c, path, compiled->image, compiled->image_bytes);
    if (good) {
        vj_cache_set(c, file_key, "entry", text, size, true);
        vj_entry_note(c, file_key, model, model_path);
    }
    free(text);
    vj_cache_bound(c->folder, VJ_CACHE_BYTES, NULL);
}
