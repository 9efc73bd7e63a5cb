/* SPDX-License-Identifier: Apache-2.0 */
/* outputs.c - results as FOLDER/NAME.npy. All files are written whole under temporary names, and only then renamed: a
 * full disk leaves nothing behind. Names come from the model and never leave the folder. */
#include "tensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NAME 200 /* bytes of an output's name: with the suffixes it must fit a file system's 255 */

void vj_plain_name(const char *name, size_t length, char *out, size_t room) {
    size_t i = 0;
    for (; i < length && i < room; i++) {
        const char c = name[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                           c == '_' || c == '-';
        out[i] = plain ? c : '_';
    }
    out[i] = 0;
}

static void sanitise(const char *name, char out[MAX_NAME + 1]) { vj_plain_name(name, strlen(name), out, MAX_NAME); }

vj_status vj_outputs_names(const char *model_path, const vj_model *model) {
    char name[MAX_NAME + 1], other[MAX_NAME + 1];
    for (int32_t i = 0; i < vj_output_count(model); i++) {
        const char *full = vj_output_name(model, i);
        if (strlen(full) > MAX_NAME)
            return vj_print_error(VJ_BAD_INPUT, model_path, "output '%.60s...' has a name too long for a file", full);
        if (!vj_npy_can_hold(vj_output_dtype(model, i)))
            return vj_print_error(VJ_UNSUPPORTED, model_path, "output '%s' is %s, which .npy cannot hold", full,
                                  vj_dtype_name(vj_output_dtype(model, i)));
        sanitise(full, name);
        for (int32_t j = 0; j < i; j++) {
            sanitise(vj_output_name(model, j), other);
            if (strcmp(name, other) == 0)
                return vj_print_error(VJ_BAD_INPUT, model_path, "outputs '%s' and '%s' would both be written to %s.npy",
                                      vj_output_name(model, j), full, name);
        }
    }
    return VJ_OK;
}

typedef struct file_names {
    char temporary[4096], final[4096];
    bool written;
} file_names;

static bool name_files(const char *folder, const char *output, file_names *names) {
    char name[MAX_NAME + 1];
    sanitise(output, name);
    const int a = snprintf(names->final, sizeof names->final, "%s/%s.npy", folder, name);
    const int b = snprintf(names->temporary, sizeof names->temporary, "%s/.%s.npy.XXXXXX", folder, name);
    return a > 0 && b > 0 && a < (int)sizeof names->final && b < (int)sizeof names->temporary;
}

static bool write_closed(int descriptor, const vj_array *array) {
    FILE *file = fdopen(descriptor, "wb");
    if (!file) {
        close(descriptor);
        return false;
    }
    bool good = vj_npy_write(file, array) && fflush(file) == 0;
    const int why = errno;
    const bool closed = fclose(file) == 0;
    if (!good) errno = why;
    return good && closed;
}

static vj_status write_one(const char *folder, const vj_array *array, file_names *names) {
    if (!name_files(folder, array->name, names)) return vj_print_error(VJ_USAGE, folder, "the path is too long");
    const int descriptor = mkstemp(names->temporary);
    if (descriptor < 0) return vj_print_error(VJ_SYSTEM, names->final, "%s", strerror(errno));
    names->written = true;
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(descriptor, 0666 & ~mask); /* mkstemp makes files for the owner alone */
    if (!write_closed(descriptor, array)) return vj_print_error(VJ_SYSTEM, names->final, "%s", strerror(errno));
    return VJ_OK;
}

vj_status vj_outputs_write(const char *folder, const vj_array *arrays, int32_t count) {
    file_names *names = calloc((size_t)count + 1, sizeof *names);
    if (!names) return vj_print_error(VJ_SYSTEM, folder, "no memory");
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < count && status == VJ_OK; i++)
        status = write_one(folder, &arrays[i], &names[i]);
    for (int32_t i = 0; i < count && status == VJ_OK; i++) {
        if (rename(names[i].temporary, names[i].final) != 0)
            status = vj_print_error(VJ_SYSTEM, names[i].final, "%s", strerror(errno));
        else
            names[i].written = false;
    }
    for (int32_t i = 0; i < count; i++)
        if (names[i].written)
            unlink(names[i].temporary);
        else if (status == VJ_OK)
            vj_print_wrote(names[i].final);
    free(names);
    return status;
}
