/* SPDX-License-Identifier: Apache-2.0 */
/* beside.c - the files that belong to a model: beside it, or above its folder where that is called `onnx`, as the Hub has them. */
#include "picture.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Is it the name of the folder that the model lies in? `length`: of the model's path up to the last slash, which it has. */
static bool is_onnx(const char *model_path, size_t length) {
    char folder[PATH_MAX], real[PATH_MAX];
    if (length >= sizeof folder) return false;
    memcpy(folder, length ? model_path : ".", length ? length : 1);
    folder[length ? length : 1] = 0;
    const char *slash = realpath(folder, real) ? strrchr(real, '/') : NULL;
    return slash && strcmp(slash, "/onnx") == 0;
}

/* Does the path say so itself, so that what is above can be named without ".."? */
static bool ends_in_onnx(const char *model_path, size_t length) {
    return length >= 5 && memcmp(model_path + length - 5, "onnx/", 5) == 0 &&
           (length == 5 || model_path[length - 6] == '/');
}

static bool there(char *path, size_t room, const char *folder, size_t length, const char *up, const char *name) {
    const int written = snprintf(path, room, "%.*s%s%s", (int)length, folder, up, name);
    return written > 0 && (size_t)written < room && access(path, F_OK) == 0;
}

bool vj_file_beside(const char *model_path, const char *name, char *path, size_t room) {
    const char *slash = strrchr(model_path, '/');
    const size_t length = slash ? (size_t)(slash - model_path) + 1 : 0;
    const bool named = ends_in_onnx(model_path, length);
    if (there(path, room, model_path, length, "", name)) return true;
    if (named && there(path, room, model_path, length - 5, "", name)) return true;
    if (!named && is_onnx(model_path, length) && there(path, room, model_path, length, "../", name)) return true;
    snprintf(path, room, "%.*s%s", (int)length, model_path, name);
    return false;
}
