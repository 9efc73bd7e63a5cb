/* SPDX-License-Identifier: Apache-2.0 */
/* hub.c - a model's folder of the Hub's cache, models--ORG--NAME: which of its snapshots is meant.
 *
 * FOLDER/refs/main names the one of the main branch; without it there must be one alone.
 */
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME = 128, TOLD = 6 };

static bool is_folder_in(const char *folder, const char *name) {
    char path[4096];
    struct stat st;
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && stat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

/* A name in a folder, and nothing that leads elsewhere. */
static bool is_name(const char *text) {
    if (!*text || *text == '.') return false;
    for (; *text; text++)
        if (*text == '/' || *text < 0x21 || *text > 0x7e) return false;
    return true;
}

/* What FOLDER/refs/main says; "": there is no such file. */
static vj_status read_main(const char *folder, char name[NAME]) {
    char path[4096];
    struct stat st;
    *name = 0;
    if (snprintf(path, sizeof path, "%s/refs/main", folder) >= (int)sizeof path)
        return vj_print_error(VJ_BAD_INPUT, folder, "the path is too long");
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return VJ_OK;
    const bool regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    const ssize_t length = regular ? read(fd, name, NAME - 1) : -1;
    if (fd >= 0) close(fd);
    name[length > 0 ? length : 0] = 0;
    name[strcspn(name, "\r\n")] = 0;
    return is_name(name) ? VJ_OK : vj_print_error(VJ_BAD_INPUT, path, "it names no snapshot");
}

static int is_snapshot(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* Without refs/main: the only one, or all of them are told. */
static vj_status take_only(const char *folder, char name[NAME]) {
    char path[4096], list[1024] = "";
    struct dirent **entries = NULL;
    snprintf(path, sizeof path, "%s/snapshots", folder);
    const int count = scandir(path, &entries, is_snapshot, alphasort);
    if (count < 0) return vj_print_error(VJ_BAD_INPUT, path, "%s", strerror(errno));
    for (int i = 0; i < count; i++) {
        const size_t used = strlen(list);
        if (i < TOLD) snprintf(list + used, sizeof list - used, "%s%.100s", i ? ", " : "", entries[i]->d_name);
        if (i == 0) snprintf(name, NAME, "%.*s", NAME - 1, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (count == 1) return VJ_OK;
    if (count == 0) return vj_print_error(VJ_BAD_INPUT, folder, "a folder of the Hub's cache without a snapshot");
    vj_print_error(VJ_USAGE, folder, "it holds %d snapshots and no refs/main: %s%s", count, list,
                   count > TOLD ? ", ..." : "");
    vj_print_hint("name one: vitjit %s/snapshots/%s", folder, name);
    return VJ_USAGE;
}

vj_status vj_hub_snapshot(const char *folder, char *path, size_t room) {
    char name[NAME];
    *path = 0;
    if (!is_folder_in(folder, "snapshots") || !is_folder_in(folder, "blobs")) return VJ_OK;
    vj_status status = read_main(folder, name);
    if (status == VJ_OK && !*name) status = take_only(folder, name);
    if (status) return status;
    if (snprintf(path, room, "%s%ssnapshots/%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name) >=
        (int)room)
        return vj_print_error(VJ_BAD_INPUT, folder, "the path is too long");
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return VJ_OK;
    return vj_print_error(VJ_BAD_INPUT, folder, "refs/main names the snapshot %s, which is not there", name);
}
