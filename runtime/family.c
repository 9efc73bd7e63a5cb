/* SPDX-License-Identifier: Apache-2.0 */
/* family.c - models of one file for sizes as they come: each compiled, or found in the cache, when it is met first.
 *
 * The models stay until the family goes, so that a session of one needs no lock. Compiling holds no lock either: two
 * threads that meet one size at once may both compile it, and the later one's is dropped.
 */
#include "runtime.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct vj_family {
    char *path;
    vj_options options;
    vj_range *ranges;
    int32_t range_count;
    pthread_mutex_t lock; /* of what stands below */
    vj_model **models;
    int32_t count;
    vj_pool *pool;
};

static vj_status judge_range(const vj_range *r) {
    if (!r->input || r->dim < 0 || r->dim >= VJ_MODEL_MAX_RANK)
        return vj_error_set(VJ_USAGE, "vj_range: no input, or dim %d", r->dim);
    if (r->least < 1 || r->most < r->least || r->step < 1)
        return vj_error_set(VJ_USAGE, "vj_range of '%s': %lld to %lld in steps of %lld", r->input, (long long)r->least,
                            (long long)r->most, (long long)r->step);
    return VJ_OK;
}

vj_status vj_family_open(const char *path, const vj_options *given, const vj_range *ranges, int32_t count,
                         vj_family **family) {
    if (family) *family = NULL;
    if (!family || !path || count < 0 || (count && !ranges))
        return vj_error_set(VJ_USAGE, "nothing to compile, no place for the family, or no ranges");
    vj_options options;
    vj_status status = vj_options_take(given, &options);
    for (int32_t i = 0; i < count && status == VJ_OK; i++)
        status = judge_range(&ranges[i]);
    if (status) return status;
    vj_family *f = calloc(1, sizeof *f);
    if (f) f->path = strdup(path);
    if (f) f->ranges = calloc((size_t)count + 1, sizeof *f->ranges);
    if (!f || !f->path || !f->ranges) {
        vj_family_free(f);
        return vj_error_set(VJ_SYSTEM, "out of memory");
    }
    f->options = options;
    if (count) memcpy(f->ranges, ranges, (size_t)count * sizeof *ranges);
    f->range_count = count;
    pthread_mutex_init(&f->lock, NULL);
    *family = f;
    return VJ_OK;
}

void vj_family_free(vj_family *f) {
    if (!f) return;
    for (int32_t i = 0; i < f->count; i++)
        vj_model_free(f->models[i]);
    vj_pool_free(f->pool);
    free(f->models);
    free(f->ranges);
    free(f->path);
    free(f);
}

/* Sizes */

static const vj_shape *find_shape(const vj_shape *shapes, int32_t count, const char *name) {
    for (int32_t i = 0; i < count; i++)
        if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
    return NULL;
}

static vj_status check_shapes(const vj_shape *shapes, int32_t count) {
    if (count < 0 || (count && !shapes)) return vj_error_set(VJ_USAGE, "a count below 0, or no shapes");
    for (int32_t i = 0; i < count; i++)
        if (!shapes[i].name || shapes[i].rank < 0 || shapes[i].rank > VJ_MODEL_MAX_RANK)
            return vj_error_set(VJ_USAGE, "shape %d has no name or a rank outside 0 to %d", i, VJ_MODEL_MAX_RANK);
    return VJ_OK;
}

/* The size of the range that is at least `size`, 0: there is none. */
static int64_t round_up(const vj_range *r, int64_t size) {
    const int64_t most = r->least + (r->most - r->least) / r->step * r->step;
    if (size <= r->least) return r->least;
    return size > most ? 0 : most - (most - size) / r->step * r->step;
}

/* The size that the range is about. */
static vj_status size_of(const vj_range *r, const vj_shape *shapes, int32_t count, int64_t *size) {
    const vj_shape *shape = find_shape(shapes, count, r->input);
    if (!shape) return vj_error_set(VJ_USAGE, "input '%s' has a range of sizes: its shape is wanted", r->input);
    if (r->dim >= shape->rank)
        return vj_error_set(VJ_BAD_INPUT, "input '%s' has %d dims, none of which is dim %d", r->input, shape->rank,
                            r->dim);
    *size = shape->dims[r->dim];
    if (round_up(r, *size)) return VJ_OK;
    return vj_error_set(VJ_BAD_INPUT, "input '%s' has %lld as dim %d: its sizes are %lld to %lld in steps of %lld",
                        r->input, (long long)*size, r->dim, (long long)r->least, (long long)r->most,
                        (long long)r->step);
}

static vj_status check_ranges(const vj_family *f, const vj_shape *shapes, int32_t count) {
    for (int32_t i = 0; i < f->range_count; i++) {
        const vj_range *r = &f->ranges[i];
        int64_t size;
        const vj_status status = size_of(r, shapes, count, &size);
        if (status) return status;
        if (round_up(r, size) == size) continue;
        return vj_error_set(VJ_BAD_INPUT,
                            "input '%s' has %lld as dim %d: its sizes are %lld to %lld in steps of %lld\n"
                            "  hint: vj_family_round_up makes it %lld",
                            r->input, (long long)size, r->dim, (long long)r->least, (long long)r->most,
                            (long long)r->step, (long long)round_up(r, size));
    }
    return VJ_OK;
}

vj_status vj_family_round_up(const vj_family *f, vj_shape *shapes, int32_t count) {
    if (!f) return vj_error_set(VJ_USAGE, "no family");
    vj_status status = check_shapes(shapes, count);
    for (int32_t i = 0; i < f->range_count && status == VJ_OK; i++) {
        int64_t size;
        status = size_of(&f->ranges[i], shapes, count, &size);
    }
    for (int32_t i = 0; i < f->range_count && status == VJ_OK; i++)
        for (int32_t j = 0; j < count; j++) {
            int64_t *dim = &shapes[j].dims[f->ranges[i].dim];
            if (strcmp(shapes[j].name, f->ranges[i].input) == 0) *dim = round_up(&f->ranges[i], *dim);
        }
    return status;
}

/* Models */

/* Does the shape fit, with the batch n that others have (0: none yet)? */
static bool fits(const vj_tensor_info *t, const vj_shape *shape, int64_t most, int64_t *n) {
    if (t->rank != shape->rank) return false;
    for (int32_t d = 0; d < t->rank; d++) {
        const int64_t size = shape->dims[d], unit = -t->dims[d];
        if (unit <= 0 ? size != t->dims[d] : size != VJ_BATCH_DIM && (size < 1 || size % unit != 0)) return false;
        if (unit <= 0 || size == VJ_BATCH_DIM) continue;
        if ((*n && *n != size / unit) || size / unit > most) return false;
        *n = size / unit;
    }
    return true;
}

static bool all_fit(const vj_model *m, const vj_shape *shapes, int32_t count) {
    int64_t n = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t input = vj_input_find(m, shapes[i].name);
        if (input < 0 || !fits(&m->inputs[input], &shapes[i], m->max_batch, &n)) return false;
    }
    return true;
}

static vj_model *find(const vj_family *f, const vj_shape *shapes, int32_t count) {
    for (int32_t i = 0; i < f->count; i++)
        if (all_fit(f->models[i], shapes, count)) return f->models[i];
    return NULL;
}

static vj_status compile(const vj_family *f, const vj_shape *shapes, int32_t count, vj_model **model) {
    vj_options options = f->options;
    vj_shape *all = calloc((size_t)(count + options.shape_count) + 1, sizeof *all);
    if (!all) return vj_error_set(VJ_SYSTEM, "out of memory");
    if (count) memcpy(all, shapes, (size_t)count * sizeof *all);
    int32_t total = count;
    for (int32_t i = 0; i < options.shape_count; i++)
        if (!find_shape(shapes, count, options.shapes[i].name)) all[total++] = options.shapes[i];
    options.shapes = all;
    options.shape_count = total;
    vj_status status = vj_compile_file(f->path, &options, model);
    free(all);
    if (status == VJ_OK && !all_fit(*model, shapes, count)) {
        status = vj_error_set(VJ_BAD_INPUT, "the model takes no inputs of these shapes");
        vj_model_free(*model);
        *model = NULL;
    }
    return status;
}

/* The pool becomes the family's with its first model; packed weights of the same bytes stay mapped once. */
static void share(vj_family *f, vj_model_state *s) {
    if (s->own_threads && s->parts > 1 && !f->pool) f->pool = vj_pool_new(s->parts);
    if (s->own_threads && s->parts > 1 && f->pool) {
        s->pool = f->pool;
        s->borrows_pool = true;
    }
    for (int32_t i = 0; i < f->count && !s->borrows_weights; i++) {
        const vj_model_state *other = vj_state(f->models[i]);
        if (other->borrows_weights || !other->weights.base || other->model.weights_bytes != s->model.weights_bytes ||
            memcmp(other->model.weights_digest, s->model.weights_digest, sizeof s->model.weights_digest) != 0)
            continue;
        vj_weights_unmap(&s->weights);
        s->weights = other->weights;
        s->borrows_weights = true;
    }
}

/* Takes the model. Another thread may have added one for these shapes meanwhile, which is then the answer. */
static vj_status add(vj_family *f, vj_model *made, const vj_shape *shapes, int32_t count, vj_model **model) {
    *model = find(f, shapes, count);
    vj_model **more = *model ? NULL : realloc(f->models, (size_t)(f->count + 1) * sizeof *more);
    if (!more) {
        vj_model_free(made);
        return *model ? VJ_OK : vj_error_set(VJ_SYSTEM, "out of memory");
    }
    f->models = more;
    share(f, (vj_model_state *)made);
    more[f->count++] = *model = made;
    return VJ_OK;
}

vj_status vj_family_model(vj_family *f, const vj_shape *shapes, int32_t count, vj_model **model) {
    if (model) *model = NULL;
    if (!f || !model) return vj_error_set(VJ_USAGE, "no family, or no place for the model");
    vj_status status = check_shapes(shapes, count);
    if (status == VJ_OK) status = check_ranges(f, shapes, count);
    if (status) return status;
    pthread_mutex_lock(&f->lock);
    *model = find(f, shapes, count);
    pthread_mutex_unlock(&f->lock);
    if (*model) return VJ_OK;
    vj_model *made;
    status = compile(f, shapes, count, &made);
    if (status) return status;
    pthread_mutex_lock(&f->lock);
    status = add(f, made, shapes, count, model);
    pthread_mutex_unlock(&f->lock);
    return status;
}
