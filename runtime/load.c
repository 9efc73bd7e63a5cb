/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - models compiled ahead of time, from the file of an emitted library.
 *
 * One open descriptor from the first look to the last: what is checked is what is used. The image is read into memory,
 * checked there, and its code copied to pages that become executable only then.
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Is it the machine that cannot open a file? */
static bool of_machine(int why) { return why == EMFILE || why == ENFILE || why == ENOMEM; }

static vj_status read_image(int fd, const vj_library *library, vj_compiled *out) {
    const vj_library_note *n = &library->note;
    out->image = malloc(n->image_bytes);
    out->image_bytes = n->image_bytes;
    if (!out->image) return vj_error_set(VJ_SYSTEM, "out of memory for %zu bytes of code", out->image_bytes);
    if (!vj_read_at(fd, out->image, out->image_bytes, library->image_at))
        return vj_error_set(VJ_SYSTEM, "the library cannot be read%s%s", errno ? ": " : "",
                            errno ? strerror(errno) : "");
    const vj_status status = vj_image_check(out->image, out->image_bytes);
    if (status) return status;
    const vj_image_header *h = out->image;
    if (memcmp(h->model_hash, n->model_hash, sizeof h->model_hash) != 0 ||
        (n->weights && n->weights_bytes != (uint64_t)h->weights_bytes))
        return vj_error_set(VJ_BAD_INPUT, "the library is damaged: its code and its note are of two models");
    return VJ_OK;
}

/* The file of weights stands in the library's folder, whatever the note says. */
static vj_status open_beside(const char *path, const char *name, int *fd) {
    char file[4352];
    const char *slash = strrchr(path, '/');
    const int folder = slash ? (int)(slash - path + 1) : 0;
    if (strchr(name, '/')) return vj_error_set(VJ_BAD_INPUT, "the library is damaged: '%s' is no file's name", name);
    if (snprintf(file, sizeof file, "%.*s%s", folder, path, name) >= (int)sizeof file)
        return vj_error_set(VJ_USAGE, "the path is too long");
    *fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd >= 0) return VJ_OK;
    return vj_error_set(of_machine(errno) ? VJ_SYSTEM : VJ_BAD_INPUT, "its weights, %s, cannot be read: %s", file,
                        strerror(errno));
}

static vj_status find_weights(int fd, const char *path, const vj_library *library, vj_compiled *out) {
    const vj_library_note *n = &library->note;
    const vj_image_header *h = out->image;
    if (h->weights_bytes == 0) return VJ_OK;
    if (!n->weights) return open_beside(path, n->weights_file, &out->weights_fd);
    if (library->weights_at % 64 != 0) return vj_error_set(VJ_BAD_INPUT, "the library is damaged: its weights");
    out->weights_at = library->weights_at;
    memcpy(out->weights_check, n->weights_check, sizeof out->weights_check);
    out->weights_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return out->weights_fd < 0 ? vj_error_set(VJ_SYSTEM, "no descriptor for the weights: %s", strerror(errno)) : VJ_OK;
}

static vj_status load(int fd, const char *path, const vj_options *options, vj_model **model) {
    vj_library library;
    vj_compiled compiled = {.weights_fd = -1, .from_library = 1};
    vj_status status = vj_library_find(fd, &library);
    if (status == VJ_OK) status = read_image(fd, &library, &compiled);
    if (status == VJ_OK) status = find_weights(fd, path, &library, &compiled);
    if (status == VJ_OK) return vj_model_new(&compiled, options, model);
    free(compiled.image);
    return status;
}

/* What is asked of a compiler cannot be had of a program that is there already. */
static vj_status refuse_changes(const vj_options *o) {
    const char *name = o->shape_count         ? "shapes"
                       : o->fixed_count       ? "fixed"
                       : o->also_output_count ? "also_outputs"
                       : o->keep_attention    ? "keep_attention"
                       : o->precision         ? "precision"
                       : o->weight_format     ? "weight_format"
                       : o->keep_f32_count    ? "keep_f32"
                       : o->calibration       ? "calibration"
                       : o->cpu               ? "cpu"
                       : o->use_orc           ? "use_orc"
                                              : NULL;
    return name ? vj_error_set(VJ_USAGE, "vj_load: options.%s is for a model that is yet to be compiled", name) : VJ_OK;
}

vj_status vj_load(const char *path, const vj_options *given, vj_model **model) {
    if (model) *model = NULL;
    if (!model || !path) return vj_error_set(VJ_USAGE, "nothing to load, or no place for the model");
    vj_options options;
    vj_status status = vj_options_take(given, &options);
    if (status == VJ_OK) status = refuse_changes(&options);
    if (status) return status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return vj_error_set(of_machine(errno) ? VJ_SYSTEM : VJ_BAD_INPUT, "it cannot be read: %s", strerror(errno));
    status = load(fd, path, &options, model);
    close(fd);
    return status;
}
