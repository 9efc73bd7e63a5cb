/* SPDX-License-Identifier: Apache-2.0 */
/* pictures.c - which picture files the words of the command line mean: files, folders, `-` for a list on stdin. */
#include "modes.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static vj_status add(vj_paths *paths, const char *path) {
    char **more = realloc(paths->at, (size_t)(paths->count + 1) * sizeof *more);
    if (!more) return vj_print_error(VJ_SYSTEM, path, "no memory");
    paths->at = more;
    more[paths->count] = strdup(path);
    if (!more[paths->count]) return vj_print_error(VJ_SYSTEM, path, "no memory");
    paths->count++;
    return VJ_OK;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* Folders that a link leads to are left, so that there is no way round in circles, and hidden ones. */
static bool is_folder(const char *path, const struct dirent *entry) {
    struct stat st;
    if (entry->d_name[0] == '.') return false;
    if (entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static vj_status add_folder(vj_paths *paths, const char *folder, bool recursive);

/* An entry of a folder: a picture, by its name, or with --recursive what is in it. */
static vj_status add_entry(vj_paths *paths, const char *folder, const struct dirent *entry, bool recursive) {
    const size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] == '/' ? "" : "/";
    char *path = NULL;
    vj_status status = VJ_OK;
    if (asprintf(&path, "%s%s%s", folder, slash, entry->d_name) < 0)
        return vj_print_error(VJ_SYSTEM, folder, "no memory");
    if (recursive && is_folder(path, entry))
        status = add_folder(paths, path, true);
    else if (vj_picture_is_name(entry->d_name))
        status = add(paths, path);
    free(path);
    return status;
}

/* In the order of the names. */
static vj_status add_folder(vj_paths *paths, const char *folder, bool recursive) {
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, NULL, by_name);
    if (count < 0) return vj_print_error(vj_file_status(errno), folder, "%s", strerror(errno));
    vj_status worst = VJ_OK;
    for (int i = 0; i < count; i++) {
        const vj_status status = worst == VJ_SYSTEM ? VJ_OK : add_entry(paths, folder, entries[i], recursive);
        if (status != VJ_OK) worst = status;
        free(entries[i]);
    }
    free(entries);
    return worst;
}

static vj_status add_given_folder(vj_paths *paths, const char *folder, bool recursive) {
    const int32_t before = paths->count;
    const vj_status status = add_folder(paths, folder, recursive);
    if (status != VJ_OK || paths->count > before) return status;
    vj_print_error(VJ_BAD_INPUT, folder, "no .jpg, .jpeg, .png, .webp or .bmp in this folder");
    if (!recursive) vj_print_hint("--recursive looks in the folders below too");
    return VJ_BAD_INPUT;
}

static vj_status add_list(vj_paths *paths) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    vj_status status = VJ_OK;
    while (status == VJ_OK && (length = getline(&line, &room, stdin)) >= 0) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = 0;
        if (length > 0) status = add(paths, line);
    }
    free(line);
    if (status == VJ_OK && ferror(stdin)) status = vj_print_error(VJ_SYSTEM, "standard input", "%s", strerror(errno));
    return status;
}

/* The path at `at` is in a folder that its first `folder` characters say, slash included: what is shared goes no further. */
static void share(vj_paths *paths, int32_t at, size_t folder) {
    const char *all = paths->at[0], *own = paths->at[at];
    size_t same = 0;
    const size_t most = at == 0 || folder < paths->shared ? folder : paths->shared;
    while (same < most && own[same] == all[same])
        same++;
    while (same > 0 && all[same - 1] != '/')
        same--;
    paths->shared = same;
}

/* The paths from `first` on are those of a word: a folder, of that length, or files (0). */
static void share_word(vj_paths *paths, int32_t first, size_t folder) {
    if (folder > 0 && first < paths->count) {
        share(paths, first, paths->at[first][folder - 1] == '/' ? folder : folder + 1);
        return;
    }
    for (int32_t i = first; i < paths->count; i++) {
        const char *slash = strrchr(paths->at[i], '/');
        share(paths, i, slash ? (size_t)(slash + 1 - paths->at[i]) : 0);
    }
}

/* Files that are not there are kept: their error comes in their turn. */
vj_status vj_paths_find(const vj_command *command, vj_paths *paths) {
    vj_status worst = VJ_OK;
    *paths = (vj_paths){0};
    for (int32_t i = 1; i < command->words.count && worst != VJ_SYSTEM; i++) {
        const char *word = command->words.at[i];
        const int32_t before = paths->count;
        size_t folder = 0;
        struct stat st;
        vj_status status;
        if (strcmp(word, "-") == 0)
            status = add_list(paths);
        else if (stat(word, &st) == 0 && S_ISDIR(st.st_mode))
            status = add_given_folder(paths, word, command->recursive), folder = strlen(word);
        else
            status = add(paths, word);
        share_word(paths, before, folder);
        if (status != VJ_OK) worst = status;
    }
    return worst;
}

void vj_paths_free(vj_paths *paths) {
    for (int32_t i = 0; i < paths->count; i++)
        free(paths->at[i]);
    free(paths->at);
    *paths = (vj_paths){0};
}
