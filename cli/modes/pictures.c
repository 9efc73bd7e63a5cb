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

static int is_picture(const struct dirent *entry) { return vj_picture_is_name(entry->d_name); }

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static vj_status add_folder(vj_paths *paths, const char *folder) {
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, is_picture, by_name);
    vj_status status = VJ_OK;
    if (count < 0) status = vj_print_error(VJ_BAD_INPUT, folder, "%s", strerror(errno));
    if (count == 0) status = vj_print_error(VJ_BAD_INPUT, folder, "no .jpg, .jpeg, .png, .webp or .bmp in this folder");
    const size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] == '/' ? "" : "/";
    for (int i = 0; i < count; i++) {
        char path[8192];
        snprintf(path, sizeof path, "%s%s%s", folder, slash, entries[i]->d_name);
        if (status != VJ_SYSTEM && add(paths, path) != VJ_OK) status = VJ_SYSTEM;
        free(entries[i]);
    }
    free(entries);
    return status;
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

/* Files that are not there are kept: their error comes in their turn. */
vj_status vj_paths_find(const vj_command *command, vj_paths *paths) {
    vj_status worst = VJ_OK;
    *paths = (vj_paths){0};
    for (int32_t i = 1; i < command->words.count && worst != VJ_SYSTEM; i++) {
        const char *word = command->words.at[i];
        struct stat st;
        vj_status status;
        if (strcmp(word, "-") == 0)
            status = add_list(paths);
        else if (stat(word, &st) == 0 && S_ISDIR(st.st_mode))
            status = add_folder(paths, word);
        else
            status = add(paths, word);
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
