/* SPDX-License-Identifier: Apache-2.0 */
/* classify.c - pictures in, labels out: runs in batches, one line of error a bad picture. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

/* What a run over pictures keeps. */
typedef struct gallery {
    const vj_command *command;
    vj_job job;
    vj_loader loader;
    vj_companions companions;
    vj_reading reading;
    const vj_stems *stems; /* of all pictures */
    int32_t results;       /* outputs that are no maps of attention */
    int64_t classes;       /* of a single [N, C] output that is printed as labels; 0: statistics are printed */
    vj_array *written;     /* with --output: the outputs of all pictures so far */
    vj_status worst;
} gallery;

static bool is_batch(const gallery *g, int64_t dim) { return dim == -1 || (g->loader.fixed && dim == g->loader.batch); }

/* What the outputs are, and what is printed of them. */
static vj_status judge_outputs(gallery *g) {
    const vj_model *model = g->job.model;
    const vj_tensor_info *t = &model->outputs[0];
    const bool rows = g->results == 1 && vj_are_class_rows(t) && is_batch(g, t->dims[0]);
    if (rows) vj_guess_labels(g->command, t, &g->loader.recipe);
    if (rows && (g->loader.recipe.label_count > 0 || g->command->topk || vj_are_classes(g->command, t)))
        g->classes = t->dims[1];
    if (g->command->topk && !rows)
        return vj_print_error(VJ_USAGE, g->command->model, "--topk wants a model with one output [N,C]");
    if (g->classes && g->loader.recipe.label_count > 0 && g->loader.recipe.label_count != g->classes)
        vj_print_warning(g->command->model, "%d labels for %lld classes", (int)g->loader.recipe.label_count,
                         (long long)g->classes);
    for (int32_t i = 0; i < g->results && g->command->output; i++) {
        const vj_tensor_info *o = &model->outputs[i];
        bool first = o->rank > 0 && is_batch(g, o->dims[0]);
        for (int32_t d = 1; d < o->rank; d++)
            first = first && o->dims[d] >= 0;
        if (!first)
            return vj_print_error(VJ_UNSUPPORTED, g->command->model,
                                  "output '%s' has not the batch as its first dim: --output "
                                  "cannot join those of several pictures",
                                  o->name);
    }
    return g->command->output ? vj_outputs_names(g->command->model, model) : VJ_OK;
}

static void note(gallery *g, vj_status status) {
    if (status != VJ_OK && g->worst != VJ_SYSTEM) g->worst = status;
}

/* Row i of an output, as an array that borrows its data. */
static vj_array row_of(const vj_array *output, int64_t i, int64_t rows) {
    vj_array row = *output;
    if (row.rank == 0 || row.dims[0] != rows) return row;
    row.dims[0] = 1;
    row.bytes = output->bytes / (size_t)rows;
    row.data = (char *)output->data + row.bytes * (size_t)i;
    return row;
}

static vj_status print_one(gallery *g, int64_t i, int64_t rows) {
    const int32_t count = g->results;
    if (g->classes)
        return vj_print_labels(g->command, g->loader.files[i], &g->loader.recipe, &g->job.outputs[0], i, g->classes);
    vj_array *arrays = calloc((size_t)count + 1, sizeof *arrays);
    if (!arrays) return vj_print_error(VJ_SYSTEM, g->loader.files[i], "no memory");
    for (int32_t k = 0; k < count; k++)
        arrays[k] = row_of(&g->job.outputs[k], i, rows);
    vj_status status = VJ_OK;
    if (g->reading.kind)
        status = vj_reading_show(&g->reading, arrays, g->loader.files[i], &g->loader.placements[i], &g->loader.recipe);
    else
        vj_print_summaries(g->command, g->loader.files[i], arrays, count);
    free(arrays);
    return status;
}

/* --attention */
static vj_status draw(gallery *g, int64_t i, int64_t rows) {
    vj_picture seen = {0};
    vj_why why = {0};
    const char *in = (const char *)g->loader.input.data + g->loader.image_bytes * (size_t)i;
    if (!g->command->attention) return VJ_OK;
    vj_status status = vj_unprepare(in, &g->loader.recipe, &g->loader.shape, &seen, &why)
                           ? vj_draw_attention(g->command, g->job.model, g->job.outputs, i, rows,
                                               vj_stem_of(g->stems, g->loader.files[i]), &seen)
                           : vj_print_error(VJ_SYSTEM, g->loader.files[i], "%s", why.text);
    vj_picture_free(&seen);
    return status;
}

/* Appends the batch's outputs to what --output will write. */
static vj_status keep(gallery *g, int64_t rows) {
    for (int32_t k = 0; k < g->results && g->command->output; k++) {
        const vj_array *from = &g->job.outputs[k];
        vj_array *to = &g->written[k];
        const size_t bytes = from->bytes / (size_t)rows * (size_t)g->loader.filled;
        if (!to->name) {
            *to = *from;
            to->data = NULL;
            to->bytes = 0;
            to->dims[0] = 0;
            to->name = strdup(from->name);
        }
        void *more = realloc(to->data, to->bytes + bytes + 1);
        if (!more || !to->name) return vj_print_error(VJ_SYSTEM, g->command->model, "no memory for the outputs");
        to->data = more;
        memcpy((char *)to->data + to->bytes, from->data, bytes);
        to->bytes += bytes;
        to->dims[0] += g->loader.filled;
    }
    return VJ_OK;
}

static vj_status run_batch(gallery *g) {
    if (g->loader.filled == 0) return VJ_OK;
    const vj_array input = vj_loader_batch(&g->loader);
    const int64_t rows = input.dims[0];
    vj_status status = vj_companions_bind(&g->companions, &g->loader, &input, &g->job);
    if (status) return status;
    for (int64_t i = 0; i < g->loader.filled; i++)
        note(g, print_one(g, i, rows));
    for (int64_t i = 0; i < g->loader.filled && status == VJ_OK; i++)
        status = draw(g, i, rows);
    if (status == VJ_OK) status = keep(g, rows);
    g->loader.filled = 0;
    return status;
}

static vj_status run_all(gallery *g, const vj_paths *paths) {
    vj_status status = VJ_OK;
    bool any = false;
    for (int32_t i = 0; i < paths->count && status == VJ_OK; i++) {
        const vj_status loaded = vj_loader_add(&g->loader, paths->at[i]);
        note(g, loaded);
        any |= loaded == VJ_OK;
        if (g->loader.filled == g->loader.batch || i + 1 == paths->count) status = run_batch(g);
    }
    const int32_t count = g->results;
    if (status == VJ_OK && g->command->output && g->written[0].name)
        status = vj_outputs_write(g->command->output, g->written, count);
    if (status == VJ_OK && any && !g->classes && !g->reading.kind && !g->command->output)
        vj_print_notice(g->command->model,
                        "--output DIR writes the outputs to files; --topk K or --labels FILE prints classes");
    return status;
}

static vj_status open_gallery(gallery *g, const vj_paths *paths) {
    const vj_command *command = g->command;
    vj_status status = vj_companions_open(command, &g->companions, &g->job);
    if (status == VJ_OK)
        status = vj_loader_open(command, &g->job, vj_companions_batch(&g->companions, g->job.model), &g->loader);
    if (status) return status;
    g->written = calloc((size_t)vj_output_count(g->job.model) + 1, sizeof *g->written);
    if (!g->written) return vj_print_error(VJ_SYSTEM, command->model, "no memory");
    g->results = vj_results_count(command, g->job.model);
    status = judge_outputs(g);
    g->reading = (vj_reading){.command = command};
    if (status == VJ_OK && !g->classes)
        vj_reading_choose(command, g->job.model, g->companions.arrays, g->companions.given, &g->reading);
    g->reading.stems = g->stems;
    g->companions.task = g->reading.task;
    if (status == VJ_OK) status = vj_check_asked(&g->reading, paths->at, paths->count);
    if (status == VJ_OK && command->attention) status = vj_check_attention(command, g->job.model);
    if (status == VJ_OK) vj_loader_announce(&g->loader);
    return status;
}

static void close_gallery(gallery *g) {
    if (g->written) vj_arrays_free(g->written, vj_output_count(g->job.model));
    vj_loader_free(&g->loader);
    vj_companions_free(&g->companions);
    vj_job_close(&g->job);
}

static vj_status classify(gallery *g, const vj_paths *paths) {
    vj_status status = open_gallery(g, paths);
    if (status == VJ_OK) status = run_all(g, paths);
    return status ? status : vj_print_stats(g->command, g->job.model);
}

/* A gallery for the pictures of one size of a range. */
typedef struct hall {
    struct hall *next;
    int64_t size[2];
    vj_sized_command own;
    gallery g;
} hall;

/* The size's hall, opened when it is met first. */
static vj_status enter(hall **all, const vj_command *command, const vj_sizes *range, const int64_t size[2],
                       const vj_paths *paths, const vj_stems *stems, hall **found) {
    for (hall *h = *all; h; h = h->next)
        if (h->size[0] == size[0] && h->size[1] == size[1]) return *found = h, VJ_OK;
    hall *h = *found = calloc(1, sizeof *h);
    if (!h) return vj_print_error(VJ_SYSTEM, command->model, "no memory");
    h->next = *all;
    *all = h;
    memcpy(h->size, size, sizeof h->size);
    const vj_status status = vj_command_of_size(command, range, size, &h->own);
    if (status) return status;
    h->g.command = &h->own.command;
    h->g.stems = stems;
    return open_gallery(&h->g, paths);
}

/* One picture, behind those of the hall before, whose batch ends where the size changes. */
static vj_status show_sized(gallery *g, hall **all, hall **now, const vj_sizes *range, const vj_paths *paths,
                            int32_t i) {
    vj_opened_picture picture;
    vj_fitted_size of;
    const char *path = paths->at[i];
    vj_status bad = vj_loader_read(g->command, path, &picture), status = VJ_OK;
    if (bad == VJ_OK) bad = vj_size_of_picture(g->command, range, path, picture.height, picture.width, &of);
    if (bad == VJ_OK) {
        if (*now && memcmp((*now)->size, of.size, sizeof of.size) != 0) status = run_batch(&(*now)->g);
        if (status == VJ_OK) status = enter(all, g->command, range, of.size, paths, g->stems, now);
        if (status == VJ_OK) vj_tell_zeros(path, &of);
        if (status == VJ_OK) bad = vj_loader_put(&(*now)->g.loader, &picture, of.seen);
        if (status == VJ_OK && (*now)->g.loader.filled == (*now)->g.loader.batch) status = run_batch(&(*now)->g);
    }
    note(g, bad);
    vj_loader_drop(&picture);
    return status;
}

/* Pictures of several sizes: --shape has a range. Results come in the pictures' order. */
static vj_status classify_sizes(gallery *g, const vj_sizes *range, const vj_paths *paths) {
    hall *all = NULL, *now = NULL;
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < paths->count && status == VJ_OK; i++)
        status = show_sized(g, &all, &now, range, paths, i);
    if (status == VJ_OK && now) status = run_batch(&now->g);
    if (status == VJ_OK && now) status = vj_print_stats(g->command, now->g.job.model);
    while (all) {
        hall *next = all->next;
        note(g, all->g.worst);
        close_gallery(&all->g);
        vj_sized_free(&all->own);
        free(all);
        all = next;
    }
    return status;
}

vj_status vj_classify(const vj_command *command) {
    vj_stems stems = {0};
    gallery g = {.command = command, .stems = &stems};
    vj_paths paths = {0};
    vj_sizes range;
    vj_status status = vj_picture_range(command, &range);
    if (status == VJ_OK && command->output) status = vj_outputs_folder(command->output);
    if (status == VJ_OK && command->attention) status = vj_outputs_folder(command->attention);
    if (status == VJ_OK) note(&g, vj_paths_find(command, &paths));
    if (status == VJ_OK && !vj_stems_make(&stems, paths.at, paths.count, paths.shared))
        status = vj_print_error(VJ_SYSTEM, command->model, "no memory for the pictures' names");
    if (status == VJ_OK && g.worst != VJ_SYSTEM && paths.count > 0)
        status = range.is_range ? classify_sizes(&g, &range, &paths) : classify(&g, &paths);
    close_gallery(&g);
    vj_stems_free(&stems);
    vj_paths_free(&paths);
    free((void *)(uintptr_t)range.shape.name);
    return status ? status : g.worst;
}
