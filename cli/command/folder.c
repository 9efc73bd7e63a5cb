/* SPDX-License-Identifier: Apache-2.0 */
/* folder.c - folders that results are to be written to. */
#include "command.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

vj_status vj_outputs_folder(const char *folder) {
    struct stat st;
    if (stat(folder, &st) != 0) {
        vj_print_error(VJ_BAD_INPUT, folder, "the output folder: %s", strerror(errno));
        if (errno == ENOENT) vj_print_hint("make it first: mkdir -p '%s'", folder);
        return VJ_BAD_INPUT;
    }
    if (!S_ISDIR(st.st_mode)) return vj_print_error(VJ_BAD_INPUT, folder, "not a folder");
    if (access(folder, W_OK | X_OK) != 0)
        return vj_print_error(VJ_BAD_INPUT, folder, "the output folder: %s", strerror(errno));
    return VJ_OK;
}

vj_status vj_outputs_folder_of(const char *path, const char *option) {
    char folder[4096];
    const char *slash = strrchr(path, '/');
    if (!*path || (slash && !slash[1])) return vj_print_error(VJ_BAD_INPUT, NULL, "%s wants a file's name", option);
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= sizeof folder) return vj_print_error(VJ_BAD_INPUT, path, "the name is too long");
    memcpy(folder, path, length);
    folder[length] = 0;
    return vj_outputs_folder(length ? folder : ".");
}
