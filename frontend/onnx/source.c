/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - regular files as sources of constants.
 *
 * External data is opened by inside.c and must be a regular file. So a model cannot make vitjit read files elsewhere, or wait on a pipe.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Memory first: nothing is open yet where the arena takes its way out. */
static vj_source *new_source(vj_arena *arena, const char *path) {
    vj_source *s = VJ_NEW(arena, vj_source);
    *s = (vj_source){.path = vj_strdup(arena, path), .fd = -1};
    return s;
}

/* Takes over the descriptor, and closes it on an error. */
static vj_source *with_descriptor(vj_source *s, int fd, vj_error *error) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        vj_fail(error, VJ_SYSTEM, "%s: %s", s->path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        vj_fail(error, VJ_BAD_INPUT, "%s: is a folder, not a file", s->path);
    } else if (!S_ISREG(st.st_mode)) {
        vj_fail(error, VJ_BAD_INPUT, "%s: not a regular file", s->path);
    } else {
        s->fd = fd;
        s->size = (int64_t)st.st_size;
        return s;
    }
    close(fd);
    return NULL;
}

/* Of a file that cannot be opened: is the machine at fault, or the path? */
static vj_status status_of(int why) {
    return why == EMFILE || why == ENFILE || why == ENOMEM ? VJ_SYSTEM : VJ_BAD_INPUT;
}

vj_source *vj_source_open(vj_arena *arena, const char *path, vj_error *error) {
    vj_source *s = new_source(arena, path);
    /* With O_NONBLOCK, opening a pipe does not wait. It has no effect on a regular file. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        vj_fail(error, status_of(errno), "%s: %s", path, strerror(errno));
        return NULL;
    }
    return with_descriptor(s, fd, error);
}

vj_source *vj_source_memory(vj_arena *arena, const char *path, const void *bytes, int64_t size) {
    vj_source *s = new_source(arena, path);
    s->at = bytes;
    s->size = size;
    return s;
}

void vj_source_close(vj_source *source) {
    if (source && source->fd >= 0) close(source->fd);
    if (source) source->fd = -1;
}

static const char *folder_of(vj_arena *arena, const char *model_path) {
    const char *slash = strrchr(model_path, '/');
    if (!slash) return ".";
    return slash == model_path ? "/" : vj_strndup(arena, model_path, (size_t)(slash - model_path));
}

static bool is(const char *part, size_t length, const char *word) {
    return strlen(word) == length && memcmp(part, word, length) == 0;
}

/* Returns whether the name is relative and has no empty, "." or ".." parts. */
static bool name_stays_inside(const char *name) {
    for (const char *part = name;;) {
        size_t length = strcspn(part, "/");
        if (length == 0 || is(part, length, "..") || is(part, length, ".")) return false;
        if (!part[length]) return true;
        part += length + 1;
    }
}

static vj_source *not_opened(const char *model_path, const char *name, int why, vj_error *error) {
    const vj_status status = status_of(why);
    if (why == ENOENT) {
        vj_fail(error, status, "%s: external data '%s' is missing", model_path, name);
        vj_hint(error, "copy '%s' into the model's folder", name);
    } else if (why == EXDEV) {
        vj_fail(error, status, "%s: external data '%s' is behind a symbolic link that leads out of the model's folder",
                model_path, name);
        vj_hint(error, "put the file itself into the model's folder");
    } else if (why == ENOTDIR) {
        vj_fail(error, status, "%s: external data '%s' is not a file", model_path, name);
    } else {
        vj_fail(error, status, "%s: external data '%s': %s", model_path, name, strerror(why));
    }
    return NULL;
}

vj_source *vj_source_open_external(vj_arena *arena, const char *model_path, const char *name, vj_error *error) {
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    if (!name_stays_inside(name)) {
        vj_fail(error, VJ_BAD_INPUT, "%s: external data '%s' does not lie in the model's folder", model_path, name);
        vj_hint(error, "save the model again with its data in one file beside it");
        return NULL;
    }
    vj_source *s = new_source(arena, vj_sprintf(arena, "%s: external data '%s'", model_path, name));
    bool folder_opened;
    const int fd = vj_open_inside(arena, folder_of(arena, model_path), name, &folder_opened);
    if (fd >= 0) return with_descriptor(s, fd, error);
    if (folder_opened) return not_opened(model_path, name, errno, error);
    vj_fail(error, status_of(errno), "%s: its folder cannot be opened: %s", model_path, strerror(errno));
    return NULL;
}
