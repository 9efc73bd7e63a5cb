/* classify.c - pictures in, labels out: pre-processing by the recipe, runs in batches, one line of error a bad picture.
 */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

/* What a run over pictures keeps. */
typedef struct gallery {
    const vj_command *command;
    vj_job job;
    vj_recipe recipe;
    int64_t batch; /* pictures a run at most; exactly so many when the graph has its batch baked in */
    bool fixed;
    int32_t channels, height, width;
    size_t image_bytes;
    vj_array input;
    const char **files; /* of the pictures in the batch */
    int64_t filled;
    int32_t results;   /* outputs that are no maps of attention */
    int64_t classes;   /* of a single [N, C] output that is printed as labels; 0: statistics are printed */
    vj_array *written; /* with --output: the outputs of all pictures so far */
    vj_status worst;
} gallery;

static vj_status not_for_pictures(const vj_command *command, const char *why) {
    vj_print_error(VJ_USAGE, command->model, "it does not take pictures: %s", why);
    vj_print_hint("--input NAME=x.npy gives it tensors");
    return VJ_USAGE;
}

/* One float [N, C, H, W], C 1 or 3; the reason otherwise. */
static const char *picture_input(const vj_model *model) {
    if (vj_input_count(model) != 1) return "it has not exactly one input";
    const vj_tensor_info *t = &model->inputs[0];
    if (t->dtype != VJ_F32) return "its input is not f32";
    if (t->rank != 4 || t->dims[0] == 0 || t->dims[0] < -1 || t->dims[2] < 1 || t->dims[3] < 1)
        return "its input is not [N,C,H,W]";
    if (t->dims[1] != 1 && t->dims[1] != 3) return "its input has neither 1 nor 3 channels";
    if (t->dims[2] > 1 << 15 || t->dims[3] > 1 << 15) return "its input is too large";
    return NULL;
}

static bool find_recipe(const vj_command *command, const vj_model *model, vj_recipe *recipe, vj_why *why) {
    const vj_recipe_options options = {.mean = command->mean,
                                       .std = command->std,
                                       .interpolation = command->interpolation,
                                       .resize = command->resize,
                                       .crop_pct = command->crop_pct,
                                       .labels = command->labels};
    return vj_recipe_of_model(command->model, vj_model_metadata(model), &options, recipe, why);
}

/* A wrong option is the caller's mistake, a wrong file or metadata the input's. */
static vj_status recipe_failed(const vj_command *command, const vj_why *why) {
    const bool option = strncmp(why->text, "--", 2) == 0;
    return vj_print_error(option ? VJ_USAGE : VJ_BAD_INPUT, option ? NULL : command->model, "%s", why->text);
}

static void recipe_words(const vj_recipe *r, char *text, size_t room) {
    int used = 0;
    if (r->mode == VJ_RESIZE_EXACT && r->resize_height)
        used = snprintf(text, room, "resize to %dx%d", (int)r->resize_height, (int)r->resize_width);
    else if (r->mode == VJ_RESIZE_EXACT)
        used = snprintf(text, room, "resize to the input's size");
    else if (r->resize)
        used = snprintf(text, room, "resize the shorter side to %d", (int)r->resize);
    else
        used = snprintf(text, room, "crop %.4g", r->crop_pct);
    used += snprintf(text + used, room - (size_t)used, " (%s), mean", vj_filter_name(r->filter));
    for (int32_t i = 0; i < r->mean_count; i++)
        used += snprintf(text + used, room - (size_t)used, "%s%.4g", i ? "," : " ", r->mean[i]);
    used += snprintf(text + used, room - (size_t)used, ", std");
    for (int32_t i = 0; i < r->std_count; i++)
        used += snprintf(text + used, room - (size_t)used, "%s%.4g", i ? "," : " ", r->std[i]);
    snprintf(text + used, room - (size_t)used, ", from %s", r->source);
}

vj_status vj_print_recipe(const vj_command *command, const vj_model *model) {
    vj_recipe recipe;
    vj_why why = {""};
    char text[1024];
    if (picture_input(model)) return VJ_OK;
    if (!find_recipe(command, model, &recipe, &why)) {
        vj_print_warning(command->model, "pre-processing: %s", why.text);
        return VJ_OK;
    }
    recipe_words(&recipe, text, sizeof text);
    printf("%-11s %s; %d labels\n", "pictures", text, (int)recipe.label_count);
    vj_recipe_free(&recipe);
    return VJ_OK;
}

static void announce(const gallery *g) {
    char text[1024];
    recipe_words(&g->recipe, text, sizeof text);
    if (g->recipe.guessed)
        vj_print_warning(g->command->model,
                         "pre-processing is %s: results may be wrong\n"
                         "  hint: set it with --mean, --std, --resize, --crop-pct, --interpolation, or put the model's "
                         "preprocessor_config.json beside it",
                         text);
    else
        vj_print_notice(g->command->model, "pre-processing: %s", text);
}

/* What the outputs are, and what is printed of them. */
static vj_status judge_outputs(gallery *g) {
    const vj_model *model = g->job.model;
    const vj_tensor_info *t = &model->outputs[0];
    const bool rows = g->results == 1 && t->rank == 2 && t->dtype == VJ_F32 &&
                      (g->fixed ? t->dims[0] == g->batch : t->dims[0] == -1) && t->dims[1] > 0;
    if (rows && (g->recipe.label_count > 0 || g->command->topk)) g->classes = t->dims[1];
    if (g->command->topk && !rows)
        return vj_print_error(VJ_USAGE, g->command->model, "--topk wants a model with one output [N,C]");
    if (g->classes && g->recipe.label_count > 0 && g->recipe.label_count != g->classes)
        vj_print_warning(g->command->model, "%d labels for %lld classes", (int)g->recipe.label_count,
                         (long long)g->classes);
    for (int32_t i = 0; i < g->results && g->command->output; i++) {
        const vj_tensor_info *o = &model->outputs[i];
        bool first = o->rank > 0 && (g->fixed ? o->dims[0] == g->batch : o->dims[0] == -1);
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

static vj_status prepare_batch(gallery *g) {
    const vj_model *model = g->job.model;
    const vj_tensor_info *t = &model->inputs[0];
    int64_t n;
    vj_status status = vj_job_batch(&g->job, &n, &g->batch);
    if (status) return status;
    g->fixed = t->dims[0] > 0;
    if (g->fixed) g->batch = t->dims[0];
    g->channels = (int32_t)t->dims[1];
    g->height = (int32_t)t->dims[2];
    g->width = (int32_t)t->dims[3];
    g->image_bytes = (size_t)g->channels * (size_t)g->height * (size_t)g->width * sizeof(float);
    g->input = (vj_array){.name = strdup(t->name), .dtype = VJ_F32, .rank = 4};
    const int64_t dims[4] = {g->batch, t->dims[1], t->dims[2], t->dims[3]};
    memcpy(g->input.dims, dims, sizeof dims);
    g->files = calloc((size_t)g->batch, sizeof *g->files);
    g->written = calloc((size_t)model->output_count + 1, sizeof *g->written);
    if (!g->input.name || !g->files || !g->written || !vj_array_alloc(&g->input))
        return vj_print_error(VJ_SYSTEM, g->command->model, "no memory for a batch of %lld", (long long)g->batch);
    return VJ_OK;
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
    if (g->classes) {
        const float *row = (const float *)g->job.outputs[0].data + i * g->classes;
        return vj_print_labels(g->command, g->files[i], &g->recipe, row, g->classes);
    }
    vj_array *arrays = calloc((size_t)count + 1, sizeof *arrays);
    if (!arrays) return vj_print_error(VJ_SYSTEM, g->files[i], "no memory");
    for (int32_t k = 0; k < count; k++)
        arrays[k] = row_of(&g->job.outputs[k], i, rows);
    vj_print_summaries(g->command, g->files[i], arrays, count);
    free(arrays);
    return VJ_OK;
}

/* --attention */
static vj_status draw(gallery *g, int64_t i, int64_t rows) {
    vj_picture seen = {0};
    vj_why why = {""};
    const float *in = (const float *)(const void *)((const char *)g->input.data + g->image_bytes * (size_t)i);
    if (!g->command->attention) return VJ_OK;
    vj_status status = vj_unprocess(in, &g->recipe, g->channels, g->height, g->width, &seen, &why)
                           ? vj_draw_attention(g->command, g->job.model, g->job.outputs, i, rows, g->files[i], &seen)
                           : vj_print_error(VJ_SYSTEM, g->files[i], "%s", why.text);
    vj_picture_free(&seen);
    return status;
}

/* Appends the batch's outputs to what --output will write. */
static vj_status keep(gallery *g, int64_t rows) {
    for (int32_t k = 0; k < g->results && g->command->output; k++) {
        const vj_array *from = &g->job.outputs[k];
        vj_array *to = &g->written[k];
        const size_t bytes = from->bytes / (size_t)rows * (size_t)g->filled;
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
        to->dims[0] += g->filled;
    }
    return VJ_OK;
}

static vj_status run_batch(gallery *g) {
    if (g->filled == 0) return VJ_OK;
    const int64_t rows = g->fixed ? g->batch : g->filled;
    memset((char *)g->input.data + g->image_bytes * (size_t)g->filled, 0, g->image_bytes * (size_t)(rows - g->filled));
    vj_array input = g->input;
    input.dims[0] = rows;
    vj_array_measure(&input);
    vj_status status = vj_job_bind(&g->job, &input, 1);
    if (status == VJ_OK) status = vj_job_run(&g->job);
    if (status) return status;
    for (int64_t i = 0; i < g->filled; i++)
        note(g, print_one(g, i, rows));
    for (int64_t i = 0; i < g->filled && status == VJ_OK; i++)
        status = draw(g, i, rows);
    if (status == VJ_OK) status = keep(g, rows);
    g->filled = 0;
    return status;
}

static bool load(gallery *g, const char *path) {
    vj_picture picture;
    vj_why why = {""};
    bool good = vj_picture_read(path, &picture, &why);
    if (good) {
        if (picture.transparent)
            vj_print_warning(path, "it has transparent pixels; their colour is taken as it stands");
        float *out = (float *)(void *)((char *)g->input.data + g->image_bytes * (size_t)g->filled);
        good = vj_preprocess(&picture, &g->recipe, g->channels, g->height, g->width, out, &why);
        vj_picture_free(&picture);
    }
    if (!good) note(g, vj_print_error(VJ_BAD_INPUT, path, "%s", why.text));
    return good;
}

static vj_status run_all(gallery *g, const vj_paths *paths) {
    vj_status status = VJ_OK;
    bool any = false;
    for (int32_t i = 0; i < paths->count && status == VJ_OK; i++) {
        if (load(g, paths->at[i])) {
            g->files[g->filled++] = paths->at[i];
            any = true;
        }
        if (g->filled == g->batch || i + 1 == paths->count) status = run_batch(g);
    }
    const int32_t count = g->results;
    if (status == VJ_OK && g->command->output && g->written[0].name)
        status = vj_outputs_write(g->command->output, g->written, count);
    if (status == VJ_OK && any && !g->classes && !g->command->output)
        vj_print_notice(g->command->model,
                        "--output DIR writes the outputs to files; --topk K or --labels FILE prints classes");
    return status;
}

static vj_status classify(gallery *g, const vj_paths *paths) {
    const vj_command *command = g->command;
    vj_why why = {""};
    vj_status status = vj_job_open(command, NULL, 0, &g->job);
    if (status) return status;
    const char *unfit = picture_input(g->job.model);
    if (unfit) return not_for_pictures(command, unfit);
    status = prepare_batch(g);
    if (status) return status;
    if (!find_recipe(command, g->job.model, &g->recipe, &why)) return recipe_failed(command, &why);
    g->results = vj_results_count(command, g->job.model);
    status = judge_outputs(g);
    if (status == VJ_OK && command->attention) status = vj_check_attention(command, g->job.model, paths);
    if (status == VJ_OK) {
        announce(g);
        status = run_all(g, paths);
    }
    if (status == VJ_OK) status = vj_print_stats(command, g->job.model);
    vj_recipe_free(&g->recipe);
    return status;
}

vj_status vj_classify(const vj_command *command) {
    gallery g = {.command = command};
    vj_paths paths;
    vj_status status = command->output ? vj_outputs_folder(command->output) : VJ_OK;
    if (status == VJ_OK && command->attention) status = vj_outputs_folder(command->attention);
    if (status) return status;
    note(&g, vj_paths_find(command, &paths));
    if (g.worst != VJ_SYSTEM && paths.count > 0) status = classify(&g, &paths);
    if (g.written) vj_arrays_free(g.written, vj_output_count(g.job.model));
    vj_array_free(&g.input);
    free(g.files);
    vj_job_close(&g.job);
    vj_paths_free(&paths);
    return status ? status : g.worst;
}
