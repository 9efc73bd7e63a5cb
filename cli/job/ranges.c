/* ranges.c - --shape NAME=1x3x48x64..640:32: sizes that an input may have, of which it says one when it comes. */
#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SHAPES 256 /* of one object */

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
    if (command->inputs.count > 0 || command->mode == VJ_MODE_EMIT) return VJ_OK;
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
    if (size > range->most[d]) return 0;
    const int64_t up = least + (size - least + step - 1) / step * step;
    return up <= range->most[d] ? up : 0;
}

/* The elements in the corner of a larger array of zeros. */
static bool grow(vj_array *array, const int64_t *dims) {
    vj_array large = *array;
    memcpy(large.dims, dims, sizeof large.dims);
    if (!vj_array_alloc(&large)) return false;
    const int32_t last = array->rank - 1;
    const size_t element = vj_dtype_bytes(array->dtype), row = (size_t)array->dims[last] * element;
    const int64_t rows = vj_array_elements(array) / (array->dims[last] ? array->dims[last] : 1);
    for (int64_t i = 0; i < rows; i++) {
        int64_t place = 0, rest = i, stride = 1;
        for (int32_t d = last - 1; d >= 0; d--) {
            place += rest % array->dims[d] * stride;
            rest /= array->dims[d];
            stride *= dims[d];
        }
        memcpy((char *)large.data + (size_t)place * (size_t)dims[last] * element,
               (const char *)array->data + (size_t)i * row, row);
    }
    free(array->data);
    *array = large;
    return true;
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
    if (!grow(a, dims)) return vj_print_error(VJ_SYSTEM, command->model, "no memory for input '%s'", a->name);
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
