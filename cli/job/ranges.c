/* SPDX-License-Identifier: Apache-2.0 */
/* ranges.c - --shape NAME=1x3x48x64..640:32: sizes that an input may have, of which it says one when it comes. */
#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SHAPES 256   /* of one object */
#define MOST_SIDE   32768 /* of a picture */

static bool read_number(const char **at, int64_t *number) {
    char *end;
    errno = 0;
    *number = strtoll(*at, &end, 10);
    const bool is = end != *at && !errno && *number > 0 && **at != '+' && **at != ' ';
    *at = end;
    return is;
}

/* "224", "64..640:32" or "N", the batch */
static bool read_dim(const char **at, vj_sizes *sizes, int32_t d) {
    int64_t *least = &sizes->shape.dims[d];
    sizes->step[d] = 0;
    if (**at == 'N') {
        *least = VJ_BATCH_DIM;
        ++*at;
        return true;
    }
    if (!read_number(at, least)) return false;
    sizes->most[d] = *least;
    if (strncmp(*at, "..", 2) != 0) return true;
    *at += 2;
    sizes->step[d] = 1;
    sizes->is_range = true;
    if (!read_number(at, &sizes->most[d]) || sizes->most[d] < *least) return false;
    if (**at != ':') return true;
    ++*at;
    return read_number(at, &sizes->step[d]);
}

static bool read_dims(const char *at, vj_sizes *sizes) {
    vj_shape *shape = &sizes->shape;
    for (;; at++) {
        if (shape->rank == VJ_MODEL_MAX_RANK || !read_dim(&at, sizes, shape->rank)) return false;
        shape->rank++;
        if (!*at) return true;
        if (*at != 'x' && *at != ',') return false;
    }
}

static vj_status read_sizes(const char *text, vj_sizes *sizes) {
    const char *equals = strrchr(text, '=');
    *sizes = (vj_sizes){0};
    if (!equals || equals == text || !read_dims(equals + 1, sizes))
        return vj_print_error(VJ_USAGE, NULL, "--shape wants NAME=1x3x224x224 or NAME=1x3x48x64..640:32, not '%s'",
                              text);
    if (sizes->step[0])
        return vj_print_error(VJ_USAGE, NULL, "--shape %s: the first dim is the batch, which takes no range", text);
    sizes->shape.name = strndup(text, (size_t)(equals - text));
    return sizes->shape.name ? VJ_OK : vj_print_error(VJ_SYSTEM, NULL, "no memory");
}

static vj_status add(vj_request *request, const vj_sizes *sizes) {
    vj_sizes *more = realloc(request->given, (size_t)(request->given_count + 1) * sizeof *more);
    if (!more) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    request->given = more;
    more[request->given_count++] = *sizes;
    return VJ_OK;
}

/* The next combination of sizes; false: that was the last. */
static bool next(const vj_sizes *range, vj_sizes *now) {
    for (int32_t d = range->shape.rank - 1; d >= 0; d--) {
        if (range->step[d] == 0) continue;
        if (now->shape.dims[d] <= range->most[d] - range->step[d]) {
            now->shape.dims[d] += range->step[d];
            return true;
        }
        now->shape.dims[d] = range->shape.dims[d];
    }
    return false;
}

/* One object has code for each size. */
static vj_status add_each(vj_request *request, const vj_sizes *range) {
    vj_sizes now = *range;
    now.is_range = false;
    do {
        if (request->given_count >= MOST_SHAPES)
            return vj_print_error(VJ_USAGE, NULL, "--shape: more than %d shapes for one object", MOST_SHAPES);
        now.shape.name = strdup(range->shape.name);
        const vj_status status = now.shape.name ? add(request, &now) : vj_print_error(VJ_SYSTEM, NULL, "no memory");
        if (status) {
            free((void *)(uintptr_t)now.shape.name);
            return status;
        }
    } while (next(range, &now));
    return VJ_OK;
}

/* Sizes that come with the inputs want inputs. */
static vj_status judge_range(const vj_command *command, const char *name) {
    const bool pictures = command->words.count > 1 && command->mode & (VJ_MODE_PICTURES | VJ_MODE_BENCH);
    if (command->inputs.count > 0 || command->mode == VJ_MODE_EMIT || pictures) return VJ_OK;
    vj_print_error(VJ_USAGE, NULL, "--shape gives '%s' a range of sizes, and there is no input to say which", name);
    vj_print_hint("give one size, or --input %s=x.npy", name);
    return VJ_USAGE;
}

vj_status vj_read_sizes(const vj_command *command, vj_request *request) {
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < command->shapes.count && status == VJ_OK; i++) {
        vj_sizes sizes;
        status = read_sizes(command->shapes.at[i], &sizes);
        if (status == VJ_OK && sizes.is_range) status = judge_range(command, sizes.shape.name);
        const bool each = sizes.is_range && command->mode == VJ_MODE_EMIT;
        if (status == VJ_OK) status = each ? add_each(request, &sizes) : add(request, &sizes);
        if (status || each) free((void *)(uintptr_t)sizes.shape.name);
    }
    return status;
}

/* The size of the range that is at least `size`, 0: there is none. */
static int64_t round_up(const vj_sizes *range, int32_t d, int64_t size) {
    const int64_t least = range->shape.dims[d], step = range->step[d];
    if (size <= least) return least;
    const int64_t most = least + (range->most[d] - least) / step * step;
    return size > most ? 0 : most - (most - size) / step * step;
}

static vj_status not_a_size(const vj_command *command, const vj_sizes *range, const vj_array *a, int32_t d) {
    const int64_t up = round_up(range, d, a->dims[d]);
    vj_print_error(VJ_BAD_INPUT, command->model,
                   "input '%s' has %lld as dim %d: its sizes are %lld to %lld in steps of %lld", a->name,
                   (long long)a->dims[d], (int)d, (long long)range->shape.dims[d], (long long)range->most[d],
                   (long long)range->step[d]);
    if (up) vj_print_hint("--round-up puts zeros behind it, up to %lld", (long long)up);
    return VJ_BAD_INPUT;
}

static vj_status take_size(const vj_command *command, const vj_sizes *range, vj_array *a) {
    int64_t dims[VJ_MODEL_MAX_RANK];
    char was[VJ_TYPE_TEXT], is[VJ_TYPE_TEXT];
    bool grows = false;
    if (a->rank != range->shape.rank) return VJ_OK; /* binding says what is wrong */
    memcpy(dims, a->dims, sizeof dims);
    for (int32_t d = 0; d < a->rank; d++) {
        const int64_t only = range->shape.dims[d];
        if (range->step[d] == 0 && (d == 0 || only == a->dims[d])) continue;
        if (range->step[d] == 0)
            return vj_print_error(VJ_BAD_INPUT, command->model, "input '%s' has %lld as dim %d, --shape says %lld",
                                  a->name, (long long)a->dims[d], (int)d, (long long)only);
        dims[d] = round_up(range, d, a->dims[d]);
        if (!dims[d] || (dims[d] != a->dims[d] && !command->round_up)) return not_a_size(command, range, a, d);
        grows |= dims[d] != a->dims[d];
    }
    if (!grows) return VJ_OK;
    vj_type_words(a->dtype, a->dims, a->rank, was);
    if (!vj_array_grow(a, dims)) return vj_print_error(VJ_SYSTEM, command->model, "no memory for input '%s'", a->name);
    vj_print_notice(command->model, "input '%s': %s, zeros behind it to %s", a->name, was,
                    vj_type_words(a->dtype, a->dims, a->rank, is));
    return VJ_OK;
}

vj_status vj_take_sizes(const vj_command *command, vj_array *inputs, int32_t count) {
    vj_status status = VJ_OK;
    bool any = false;
    for (int32_t i = 0; i < command->shapes.count && status == VJ_OK; i++) {
        vj_sizes sizes;
        status = read_sizes(command->shapes.at[i], &sizes);
        any |= sizes.is_range;
        for (int32_t j = 0; j < count && status == VJ_OK && sizes.is_range; j++)
            if (inputs[j].name && strcmp(inputs[j].name, sizes.shape.name) == 0)
                status = take_size(command, &sizes, &inputs[j]);
        free((void *)(uintptr_t)sizes.shape.name);
    }
    if (status == VJ_OK && command->round_up && !any)
        return vj_print_error(VJ_USAGE, NULL, "--round-up wants a range of sizes: --shape NAME=1x3x48x64..640:32");
    return status;
}

/* Pictures */

void vj_sized_free(vj_sized_command *one) {
    free(one->command.shapes.at);
    free(one->word);
    *one = (vj_sized_command){0};
}

/* Of a shape of four dims: where height and width stand. Channels stand last where they alone can be some. */
static int32_t first_side(const vj_shape *shape) {
    const bool last = shape->dims[3] == 1 || shape->dims[3] == 3, second = shape->dims[1] == 1 || shape->dims[1] == 3;
    return last && !second ? 1 : 2;
}

static vj_status judge_picture_range(const vj_command *command, const vj_sizes *range) {
    const int32_t side = range->shape.rank == 4 ? first_side(&range->shape) : 0;
    bool is_side = side > 0;
    for (int32_t d = 0; d < range->shape.rank && is_side; d++)
        if (d == side || d == side + 1)
            is_side = range->shape.dims[d] > 0 && range->most[d] <= MOST_SIDE;
        else
            is_side = range->step[d] == 0;
    if (!is_side)
        return vj_print_error(VJ_USAGE, NULL,
                              "--shape: the range of '%s' is none of a picture's height or width, at most %d",
                              range->shape.name, MOST_SIDE);
    if (command->resize || command->crop_pct)
        return vj_print_error(VJ_USAGE, NULL, "%s means nothing beside a range of sizes, which pictures are resized to",
                              command->resize ? "--resize" : "--crop-pct");
    if (command->output)
        return vj_print_error(VJ_USAGE, NULL,
                              "--output cannot join the outputs of pictures of several sizes: give one size");
    return VJ_OK;
}

vj_status vj_picture_range(const vj_command *command, vj_sizes *range) {
    *range = (vj_sizes){0};
    for (int32_t i = 0; i < command->shapes.count; i++) {
        vj_sizes sizes;
        vj_status status = read_sizes(command->shapes.at[i], &sizes);
        if (status == VJ_OK && sizes.is_range && range->is_range)
            status = vj_print_error(VJ_USAGE, NULL, "--shape gives two ranges: a picture has one size");
        if (status == VJ_OK && sizes.is_range) {
            *range = sizes;
            status = judge_picture_range(command, range);
        } else {
            free((void *)(uintptr_t)sizes.shape.name);
        }
        if (status) return status;
    }
    return VJ_OK;
}

/* The side that keeps the picture's aspect, rounded up. */
static int64_t scaled(int64_t side, int64_t other, int64_t other_is) {
    const int64_t size = (side * other_is + other - 1) / other;
    return size < 1 ? 1 : size;
}

vj_status vj_size_of_picture(const vj_command *command, const vj_sizes *range, const char *file, int64_t height,
                             int64_t width, vj_fitted_size *of) {
    const int32_t at = first_side(&range->shape);
    const bool tall = range->step[at] > 0, wide = range->step[at + 1] > 0;
    of->seen[0] = !tall ? range->shape.dims[at] : wide ? height : scaled(height, width, range->shape.dims[at + 1]);
    of->seen[1] = !wide ? range->shape.dims[at + 1] : tall ? width : scaled(width, height, range->shape.dims[at]);
    for (int32_t i = 0; i < 2; i++) {
        const int32_t d = at + i;
        of->size[i] = range->step[d] ? round_up(range, d, of->seen[i]) : of->seen[i];
        if (of->size[i] && (of->size[i] == of->seen[i] || command->round_up)) continue;
        vj_print_error(VJ_BAD_INPUT, file,
                       "it becomes %lld x %lld: the sizes of '%s' are %lld to %lld in steps of %lld",
                       (long long)of->seen[0], (long long)of->seen[1], range->shape.name,
                       (long long)range->shape.dims[d], (long long)range->most[d], (long long)range->step[d]);
        if (of->size[i]) vj_print_hint("--round-up puts zeros behind it, up to %lld", (long long)of->size[i]);
        return VJ_BAD_INPUT;
    }
    return VJ_OK;
}

void vj_tell_zeros(const char *file, const vj_fitted_size *of) {
    if (memcmp(of->seen, of->size, sizeof of->size) != 0)
        vj_print_notice(file, "it becomes %lld x %lld, zeros behind it to %lld x %lld", (long long)of->seen[0],
                        (long long)of->seen[1], (long long)of->size[0], (long long)of->size[1]);
}

vj_status vj_command_of_size(const vj_command *command, const vj_sizes *range, const int64_t size[2],
                             vj_sized_command *one) {
    const int32_t at = first_side(&range->shape);
    const vj_list *words = &command->shapes;
    *one = (vj_sized_command){.command = *command};
    one->command.fit_pictures = true;
    one->command.shapes = (vj_list){calloc((size_t)words->count + 1, sizeof *words->at), words->count};
    one->word = calloc(1, strlen(range->shape.name) + 1 + VJ_MODEL_MAX_RANK * 24);
    if (!one->command.shapes.at || !one->word) {
        vj_sized_free(one);
        return vj_print_error(VJ_SYSTEM, command->model, "no memory");
    }
    char *end = one->word + sprintf(one->word, "%s=", range->shape.name);
    for (int32_t d = 0; d < range->shape.rank; d++) {
        const int64_t dim = d == at || d == at + 1 ? size[d - at] : range->shape.dims[d];
        end += sprintf(end, "%s", d ? "x" : "");
        end += dim == VJ_BATCH_DIM ? sprintf(end, "N") : sprintf(end, "%lld", (long long)dim);
    }
    for (int32_t i = 0; i < words->count; i++) {
        const size_t name = strlen(range->shape.name);
        const bool is_range = strncmp(words->at[i], range->shape.name, name) == 0 && words->at[i][name] == '=';
        one->command.shapes.at[i] = is_range ? one->word : words->at[i];
    }
    return VJ_OK;
}
