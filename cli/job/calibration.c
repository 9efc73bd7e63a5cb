/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.c - which calibration a command takes: the one that --calibration names, else the one beside the model. */
#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDING     ".calibration.json"
#define MOST_BYTES ((off_t)1 << 28)

vj_status vj_calibration_path(const vj_command *command, char *path, size_t room) {
    const char *model = command->model, *dot = strrchr(model, '.'), *slash = strrchr(model, '/');
    const size_t stem = dot && (!slash || dot > slash + 1) && dot > model ? (size_t)(dot - model) : strlen(model);
    const int length = command->calibration ? snprintf(path, room, "%s", command->calibration)
                                            : snprintf(path, room, "%.*s%s", (int)stem, model, ENDING);
    if (length > 0 && (size_t)length < room) return VJ_OK;
    return vj_print_error(VJ_BAD_INPUT, model, "the name of its calibration is %s", length > 0 ? "too long" : "empty");
}

/* A whole regular file. */
static vj_status read_text(const char *path, int descriptor, char **text, size_t *bytes) {
    struct stat st;
    if (fstat(descriptor, &st) != 0) return vj_print_error(VJ_BAD_INPUT, path, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode)) return vj_print_error(VJ_BAD_INPUT, path, "the calibration is no file");
    if (st.st_size > MOST_BYTES) return vj_print_error(VJ_BAD_INPUT, path, "the calibration is larger than 256 MiB");
    *bytes = 0;
    *text = malloc((size_t)st.st_size + 1);
    if (!*text) return vj_print_error(VJ_SYSTEM, path, "no memory");
    while (*bytes < (size_t)st.st_size) {
        const ssize_t part = read(descriptor, *text + *bytes, (size_t)st.st_size - *bytes);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0)
            return vj_print_error(VJ_BAD_INPUT, path, "%s", part < 0 ? strerror(errno) : "it became shorter");
        *bytes += (size_t)part;
    }
    return VJ_OK;
}

vj_status vj_request_calibration(const vj_command *command, vj_request *request) {
    char path[4096];
    vj_options *o = &request->options;
    if (command->calibration_text) {
        o->calibration = command->calibration_text;
        o->calibration_bytes = command->calibration_bytes;
        return VJ_OK;
    }
    const bool none = command->calibration && strcmp(command->calibration, "none") == 0;
    if (none || command->compiled || command->mode == VJ_MODE_CALIBRATE) return VJ_OK;
    vj_status status = vj_calibration_path(command, path, sizeof path);
    if (status) return status;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 && errno == ENOENT && !command->calibration) return VJ_OK;
    if (descriptor < 0) return vj_print_error(VJ_BAD_INPUT, path, "%s", strerror(errno));
    status = read_text(path, descriptor, &request->calibration, &o->calibration_bytes);
    close(descriptor);
    o->calibration = request->calibration;
    if (status == VJ_OK && !command->calibration) vj_print_notice(command->model, "calibrated by %s", path);
    return status;
}
