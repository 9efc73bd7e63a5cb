/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - bytes as files, for functions that take a path or a descriptor. */
#include "target.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void give_up(const char *what) {
    perror(what);
    exit(2);
}

static void write_whole(int fd, const uint8_t *data, size_t size) {
    if (ftruncate(fd, 0) != 0) give_up("ftruncate");
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(fd, data + done, size - done, (off_t)done);
        if (n <= 0) give_up("pwrite");
        done += (size_t)n;
    }
}

int descriptor_of(const uint8_t *data, size_t size) {
    static int fd = -1;
    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0) give_up("memfd_create");
    write_whole(fd, data, size);
    return fd;
}

const char *file_of(const uint8_t *data, size_t size) {
    static char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor_of(data, size));
    return path;
}

static char folder[1024];

static void remove_folder(void) {
    DIR *all = opendir(folder);
    for (struct dirent *one; all && (one = readdir(all));)
        if (one->d_name[0] != '.') unlinkat(dirfd(all), one->d_name, 0);
    if (all) closedir(all);
    rmdir(folder);
}

const char *own_folder(void) {
    if (folder[0]) return folder;
    const char *place = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.900s/vitjit-fuzz-XXXXXX", place && *place ? place : "/tmp");
    if (!mkdtemp(folder)) give_up(folder);
    atexit(remove_folder);
    return folder;
}

void file_in_folder(const char *name, const uint8_t *data, size_t size) {
    char path[1400];
    snprintf(path, sizeof path, "%s/%.300s", own_folder(), name);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) give_up(path);
    write_whole(fd, data, size);
    close(fd);
}

void file_gone(const char *name) {
    char path[1400];
    snprintf(path, sizeof path, "%s/%.300s", own_folder(), name);
    unlink(path);
}
