/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - new files that appear together or not at all: each is written under a temporary name in its folder,
 * and all are renamed when the last one is whole. */
#include "emit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the caller said wrong, or what the machine could not do. */
static vj_status cannot_write(const char *path, vj_error *error) {
    const int why = errno;
    const bool asked_wrongly = why == ENOENT || why == ENOTDIR || why == EISDIR || why == EACCES || why == ENAMETOOLONG;
    vj_fail(error, asked_wrongly ? VJ_USAGE : VJ_SYSTEM, "%s cannot be written: %s", path, strerror(why));
    if (why == ENOENT) vj_hint(error, "make its folder first");
    return error->status;
}

static const char *temporary_name(vj_arena *arena, const char *path, int32_t number) {
    const char *slash = strrchr(path, '/');
    const int folder = slash ? (int)(slash - path + 1) : 0;
    return vj_sprintf(arena, "%.*s.%s.%ld-%d", folder, path, path + folder, (long)getpid(), (int)number);
}

int vj_new_file_open(vj_new_files *files, const char *path, vj_error *error) {
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        vj_fail(error, VJ_USAGE, "%s cannot be written: it is there and no regular file", path);
        return -1;
    }
    vj_new_file *file = &files->file[files->count];
    *file = (vj_new_file){.path = path, .descriptor = -1};
    for (int32_t number = 0; file->descriptor < 0 && number < 100; number++) {
        file->temporary = temporary_name(files->arena, path, number);
        file->old = vj_sprintf(files->arena, "%s" VJ_OLD_FILE, file->temporary);
        if (files->request && files->request->making)
            files->request->making(files->request->making_self, path, file->temporary);
        file->descriptor = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->descriptor < 0 && errno != EEXIST) break;
    }
    if (file->descriptor < 0) {
        cannot_write(path, error);
        return -1;
    }
    files->count++;
    return file->descriptor;
}

vj_status vj_new_file_write(vj_new_files *files, const char *path, const void *bytes, size_t size, vj_error *error) {
    const int descriptor = vj_new_file_open(files, path, error);
    if (descriptor < 0) return error->status;
    for (size_t done = 0; done < size;) {
        const ssize_t part = write(descriptor, (const uint8_t *)bytes + done, size - done);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return cannot_write(path, error);
        done += (size_t)part;
    }
    return VJ_OK;
}

/* Some file systems tell of a full disk only now. */
static vj_status close_all(vj_new_files *files, vj_error *error) {
    for (int32_t i = 0; i < files->count; i++) {
        const int descriptor = files->file[i].descriptor;
        files->file[i].descriptor = -1;
        if (descriptor >= 0 && close(descriptor) != 0) return cannot_write(files->file[i].path, error);
    }
    return VJ_OK;
}

/* The file that it replaces, if there is one, stays under another name until all are in place. Where links cannot be made it is lost
 * should a later file fail. */
static bool place(vj_new_file *file) {
    file->is_kept = link(file->path, file->old) == 0;
    file->placed = rename(file->temporary, file->path) == 0;
    return file->placed;
}

static void put_back(vj_new_file *file) {
    if (!file->placed) return;
    if (!file->is_kept)
        unlink(file->path);
    else if (rename(file->old, file->path) == 0)
        file->is_kept = false;
}

vj_status vj_new_files_rename(vj_new_files *files, vj_error *error) {
    vj_status status = close_all(files, error);
    for (int32_t i = 0; i < files->count && status == VJ_OK; i++) {
        vj_new_file *file = &files->file[i];
        if (file->passing) continue;
        if (!place(file)) status = cannot_write(file->path, error);
    }
    for (int32_t i = 0; i < files->count && status != VJ_OK; i++)
        put_back(&files->file[i]);
    return status;
}

void vj_new_files_drop(vj_new_files *files) {
    for (int32_t i = 0; i < files->count; i++) {
        vj_new_file *file = &files->file[i];
        if (file->descriptor >= 0) close(file->descriptor);
        if (!file->placed) unlink(file->temporary);
        if (file->is_kept) unlink(file->old);
    }
    files->count = 0;
}
