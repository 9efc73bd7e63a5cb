/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - the pictures that are written of results: their names, and that each is whole or not there. */
#include "results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

vj_status vj_png_write_whole(const char *path, const vj_picture *picture) {
    char temporary[VJ_PATH_ROOM + 8];
    vj_why why = {0};
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    const int descriptor = mkstemp(temporary);
    if (descriptor < 0) return vj_print_error(VJ_SYSTEM, path, "%s", strerror(errno));
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(descriptor, 0666 & ~mask); /* mkstemp makes files for the owner alone */
    FILE *file = fdopen(descriptor, "wb");
    if (!file) close(descriptor);
    bool good = file && vj_png_write(file, picture, &why) && fflush(file) == 0;
    if (file) good = fclose(file) == 0 && good;
    if (good) good = rename(temporary, path) == 0;
    if (good) return VJ_OK;
    const int reason = errno;
    unlink(temporary);
    return vj_print_error(VJ_SYSTEM, path, "%s", why.text[0] ? why.text : strerror(reason));
}

vj_status vj_png_write_said(const char *path, const vj_picture *picture) {
    const vj_status status = vj_png_write_whole(path, picture);
    if (status == VJ_OK) vj_print_wrote(path);
    return status;
}

static bool is_folder(const char *path) {
    struct stat st;
    return path[0] && (path[strlen(path) - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)));
}

static bool is_same_file(const char *a, const char *b) {
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static bool ends_in(const char *text, const char *end) {
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static vj_status check_file(const char *file, char *const *paths, int32_t count) {
    if (!ends_in(file, ".png"))
        return vj_print_error(VJ_USAGE, NULL,
                              "--draw writes PNG: '%s' is neither a folder that is there nor a name that "
                              "ends in .png",
                              file);
    if (count > 1)
        return vj_print_error(VJ_USAGE, NULL,
                              "--draw %s: one file for %d pictures\n  hint: the name of a folder makes a "
                              "file a picture",
                              file, (int)count);
    if (count == 1 && is_same_file(file, paths[0]))
        return vj_print_error(VJ_USAGE, NULL, "--draw %s: that is the picture itself", file);
    return VJ_OK;
}

static vj_status check_kind(const vj_reading *reading) {
    const vj_kind *kind = reading->kind;
    const char *model = reading->command->model, *what = kind ? kind->what : "neither by its outputs";
    if (reading->command->threshold >= 0 && reading->threshold == 0)
        return vj_print_error(VJ_USAGE, model, "--threshold is for detectors, segments and key points: it is %s%s",
                              what, reading->masks ? " by classes" : "");
    if (reading->command->task && !reading->masks)
        return vj_print_error(VJ_USAGE, model, "--task is for masks of queries: it is %s", what);
    if (reading->command->draw && (!kind || !kind->picture))
        return vj_print_error(VJ_USAGE, model, "--draw is for results in pictures: it is %s",
                              kind ? kind->what : "none by its outputs");
    if (reading->command->fast_decode && kind && kind->picture)
        return vj_print_error(VJ_USAGE, model, "--fast-decode: the results of %s are placed in the whole picture",
                              kind->what);
    return VJ_OK;
}

vj_status vj_check_asked(const vj_reading *reading, char *const *paths, int32_t count) {
    const char *draw = reading->command->draw;
    const vj_kind *kind = reading->kind;
    const vj_status status = check_kind(reading);
    if (status || !kind || !kind->picture || (!draw && kind->draws) || (draw && strcmp(draw, "none") == 0))
        return status;
    if (draw && !is_folder(draw)) return check_file(draw, paths, count);
    return vj_outputs_folder(draw ? draw : ".");
}

bool vj_result_path(const vj_result *result, char path[VJ_PATH_ROOM]) {
    const char *draw = result->command->draw;
    const vj_kind *kind = result->reading->kind;
    if ((!draw && kind->draws) || (draw && strcmp(draw, "none") == 0)) return false;
    if (draw && !is_folder(draw)) {
        snprintf(path, VJ_PATH_ROOM, "%.4096s", draw);
        return true;
    }
    const char *stem = vj_stem_of(result->reading->stems, result->file);
    const char *folder = draw ? draw : "";
    const char *slash = *folder && folder[strlen(folder) - 1] != '/' ? "/" : "";
    snprintf(path, VJ_PATH_ROOM, "%.3900s%s%s.%s.png", folder, slash, stem, kind->picture);
    return true;
}
