/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - a compiled model with its inputs and outputs bound. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

static vj_status print_last_error(const vj_job *job, vj_status status) {
    return vj_print_error(status, job->command->model, "%s", vj_error_message());
}

static vj_status compile(vj_job *job, const vj_compile_request *request) {
    vj_progress_begin("compiling");
    const vj_status status = vj_compile_with(request, &job->model);
    vj_progress_end();
    return status;
}

static bool is_open(const vj_tensor_info *t) {
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] < 0) return true;
    return false;
}

/* Does the array fit what the code was compiled for, whatever the batch? */
static bool fits(const vj_tensor_info *t, const vj_array *a) {
    if (t->rank != a->rank || t->dtype != (int32_t)a->dtype) return false;
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] < 0 ? a->dims[d] < 1 || a->dims[d] % -t->dims[d] : a->dims[d] != t->dims[d]) return false;
    return true;
}

static bool all_fit(const vj_model *model, const vj_array *inputs, int32_t count) {
    for (int32_t i = 0; i < model->input_count; i++) {
        const vj_array *a = vj_array_find(inputs, count, model->inputs[i].name);
        if (a && !fits(&model->inputs[i], a)) return false;
    }
    return true;
}

/* The batch that an array which fits means, 0: none. */
static int64_t batch_of(const vj_tensor_info *t, const vj_array *a) {
    for (int32_t d = 0; a && d < t->rank; d++)
        if (t->dims[d] < 0) return a->dims[d] / -t->dims[d];
    return 0;
}

/* Have inputs that fit batches of their own, where the code has one for all? */
static bool batches_differ(const vj_model *model, const vj_array *inputs, int32_t count) {
    int64_t first = 0;
    for (int32_t i = 0; i < model->input_count; i++) {
        const vj_tensor_info *t = &model->inputs[i];
        const int64_t batch = batch_of(t, vj_array_find(inputs, count, t->name));
        if (first && batch && batch != first) return true;
        if (!first) first = batch;
    }
    return false;
}

/* Values of at most so many bytes may decide shapes; larger inputs are data. */
#define OFFERED_BYTES 8192

/* The shapes of the command, but for the batches of inputs that are there, and of other inputs their own. */
static int32_t shapes_of(const vj_request *request, const vj_array *inputs, int32_t count, vj_shape *shapes) {
    int32_t total = request->shape_count;
    for (int32_t i = 0; i < total; i++)
        shapes[i] = request->shapes[i];
    for (int32_t i = 0; i < count; i++) {
        vj_shape *given = NULL;
        for (int32_t j = 0; j < request->shape_count && !given; j++)
            if (strcmp(shapes[j].name, inputs[i].name) == 0) given = &shapes[j];
        if (given && given->rank > 0 && given->rank == inputs[i].rank && given->dims[0] != VJ_BATCH_DIM)
            given->dims[0] = inputs[i].dims[0];
        if (given) continue;
        shapes[total] = (vj_shape){.name = inputs[i].name, .rank = inputs[i].rank};
        memcpy(shapes[total++].dims, inputs[i].dims, sizeof inputs[i].dims);
    }
    return total;
}

/* The same request with the inputs' shapes, for models that leave more dims open than the batch, and with the values of
 * small inputs, which may decide shapes. Most need neither, and are compiled without them first, so that all batches
 * share one entry of the cache. */
static vj_status compile_for(vj_job *job, const vj_array *inputs, int32_t count) {
    const vj_request *request = &job->request;
    vj_shape *shapes = calloc((size_t)(request->shape_count + count) + 1, sizeof *shapes);
    if (!shapes) return vj_print_error(VJ_SYSTEM, job->command->model, "no memory");
    const int32_t total = shapes_of(request, inputs, count, shapes);
    vj_fixed_input *offered = calloc((size_t)count + 1, sizeof *offered);
    vj_options options = request->options;
    options.shapes = shapes;
    options.shape_count = total;
    vj_compile_request compiled = request->compile;
    compiled.options = &options;
    if (compiled.fixed_batch == 0 && count > 0 && inputs[0].rank > 0) compiled.fixed_batch = inputs[0].dims[0];
    for (int32_t i = 0; offered && i < count; i++)
        if (inputs[i].bytes <= OFFERED_BYTES) offered[compiled.offered_count++] = vj_as_fixed(&inputs[i]);
    compiled.offered = offered;
    const vj_status status = compile(job, &compiled);
    free(offered);
    free(shapes);
    return status;
}

static bool all_named(const vj_array *inputs, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        if (!inputs[i].name || !*inputs[i].name) return false;
    return count > 0;
}

/* Is the batch asked for one that the code cannot run? */
static bool other_batch(const vj_model *model, int64_t batch) {
    if (!batch || model->input_count == 0) return false;
    const vj_tensor_info *t = &model->inputs[0];
    return t->rank > 0 && t->dims[0] > 0 && t->dims[0] != batch;
}

static bool has_empty(const vj_array *inputs, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        if (vj_array_elements(&inputs[i]) == 0) return true;
    return false;
}

/* Code for inputs whose batches are their own runs no others: that is told. Less than two dims may be no batch. */
static void tell_shapes(const vj_job *job) {
    const vj_model *model = job->model;
    char list[2048] = "", type[VJ_TYPE_TEXT];
    int64_t first = 0;
    bool differ = false;
    for (int32_t i = 0; i < model->input_count; i++) {
        const vj_tensor_info *t = &model->inputs[i];
        if (is_open(t)) return;
        if (t->rank < 2 || vj_input_fixed_value(model, i)) continue;
        differ |= first && t->dims[0] != first;
        first = t->dims[0];
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s'%.100s' %s", used ? ", " : "", t->name,
                 vj_type_words((vj_dtype)t->dtype, t->dims, t->rank, type));
    }
    if (differ) vj_print_notice(job->command->model, "compiled for these shapes alone: %s", list);
}

/* Of a usage error of the second try: it is about the inputs' shapes, and so about the inputs, unless the first, without
 * them, failed for the same reason. */
static vj_status print_second_error(const vj_job *job, vj_status status, const char *first) {
    const bool same = first && strcmp(first, vj_error_message()) == 0;
    return print_last_error(job, status == VJ_USAGE && !same ? VJ_BAD_INPUT : status);
}

/* A second try, for the inputs' shapes. Where the first succeeded, binding says better what does not fit, unless all but
 * the batches does. */
static vj_status compile_again(vj_job *job, const vj_array *inputs, int32_t count, vj_status first) {
    char *why = first == VJ_OK ? NULL : strdup(vj_error_message());
    vj_model *model = job->model;
    const bool fit = model && all_fit(model, inputs, count), parted = fit && batches_differ(model, inputs, count);
    job->model = NULL;
    const vj_status second = compile_for(job, inputs, count);
    if (second != VJ_OK && model && !parted) {
        job->model = model;
        return VJ_OK;
    }
    vj_model_free(model);
    const vj_status status = second ? print_second_error(job, second, why) : VJ_OK;
    free(why);
    if (status == VJ_OK) tell_shapes(job);
    if (status && parted) vj_print_hint("its inputs have batches that differ, and it cannot run these");
    return status;
}

/* First generic in the batch and without the inputs' shapes, then, if that cannot be, for them. */
static vj_status compile_and_refine(vj_job *job, const vj_array *inputs, int32_t count) {
    const bool named = all_named(inputs, count);
    if (named && has_empty(inputs, count)) { /* no size of a batch fits */
        const vj_status status = compile_for(job, inputs, count);
        return status ? print_second_error(job, status, NULL) : VJ_OK;
    }
    vj_compile_request generic = job->request.compile;
    generic.fixed_batch = 0;
    const vj_status first = compile(job, &generic);
    if (first != VJ_OK && (first != VJ_USAGE || !named)) return print_last_error(job, first);
    const bool fits_inputs =
        first == VJ_OK &&
        (!named || (all_fit(job->model, inputs, count) && !batches_differ(job->model, inputs, count)));
    if (fits_inputs && !other_batch(job->model, job->command->batch)) return VJ_OK;
    return compile_again(job, inputs, named ? count : 0, first);
}

static vj_status load(vj_job *job) {
    const vj_status status = vj_load(job->command->model, &job->request.options, &job->model);
    return status ? print_last_error(job, status) : VJ_OK;
}

static bool has_shape(const vj_request *request, const char *name) {
    for (int32_t i = 0; i < request->shape_count; i++)
        if (strcmp(request->shapes[i].name, name) == 0) return true;
    return false;
}

/* The size that files beside the model gave to an input that leaves it open: the introduction says which inputs were compiled so. Said once,
 * however many jobs a command has of its model. */
static void tell_picture_size(const vj_job *job) {
    static bool told;
    const vj_picture_size *size = &job->request.compile.picture;
    const vj_model *model = job->model;
    for (int32_t i = 0; i < model->input_count && job->request.picture_source[0] && !told; i++) {
        const vj_tensor_info *t = &model->inputs[i];
        const int32_t side = t->rank == 4 && t->dims[1] == size->channels ? 2 : 1;
        char line[256];
        snprintf(line, sizeof line, "\n%-11s %.200s ", "compiled", t->name);
        told = t->rank == 4 && t->dims[side] == size->height && t->dims[side + 1] == size->width &&
               strstr(vj_model_introduction(model), line) && !has_shape(&job->request, t->name);
        if (told)
            vj_print_notice(job->command->model, "'%s' leaves sizes open: pictures of %d x %d, from %s", t->name,
                            (int)size->height, (int)size->width, job->request.picture_source);
    }
}

vj_status vj_job_open(const vj_command *command, const vj_array *inputs, int32_t count, vj_job *job) {
    *job = (vj_job){.command = command, .n = 1, .images = 1};
    vj_status status = vj_request_fill(command, &job->request);
    if (status == VJ_OK && command->compiled)
        status = load(job);
    else if (status == VJ_OK)
        status = compile_and_refine(job, inputs, count);
    if (status == VJ_OK) tell_picture_size(job);
    if (status == VJ_OK && (status = vj_session_create(job->model, &job->session))) print_last_error(job, status);
    return status;
}

/* The batch that --shape means for an input, 0: none. --batch goes before it. */
static int64_t batch_of_shapes(const vj_job *job) {
    for (int32_t i = 0; i < job->request.shape_count; i++) {
        const vj_shape *shape = &job->request.shapes[i];
        const int32_t input = vj_input_find(job->model, shape->name);
        const vj_tensor_info *t = input >= 0 ? &job->model->inputs[input] : NULL;
        for (int32_t d = 0; t && d < t->rank && t->rank == shape->rank; d++)
            if (t->dims[d] < 0) return shape->dims[d] == VJ_BATCH_DIM ? 0 : shape->dims[d] / -t->dims[d];
    }
    return 0;
}

vj_status vj_job_batch(const vj_job *job, int64_t *n, int64_t *images) {
    const vj_model *model = job->model;
    const int64_t asked = job->command->batch ? job->command->batch : batch_of_shapes(job);
    *n = *images = asked ? asked : 1;
    bool open = false;
    for (int32_t i = 0; i < model->input_count; i++)
        open |= is_open(&model->inputs[i]);
    if (open) {
        if (*n <= model->max_batch) return VJ_OK;
        return vj_print_error(VJ_BAD_INPUT, job->command->model, "a batch of %lld: it takes at most %lld",
                              (long long)*n, (long long)model->max_batch);
    }
    const vj_tensor_info *t = model->input_count ? &model->inputs[0] : NULL;
    const int64_t fixed = t && t->rank > 0 ? t->dims[0] : 1;
    *n = 1;
    *images = asked || (t && t->rank == 4) ? fixed : 1; /* of [N,C,H,W]; less than 4 dims may have no batch at all */
    if (!asked || asked == fixed) return VJ_OK;
    vj_print_error(VJ_BAD_INPUT, job->command->model, "a batch of %lld: the graph's is fixed at %lld", (long long)asked,
                   (long long)fixed);
    vj_print_hint("export the model with a dynamic batch");
    return VJ_BAD_INPUT;
}

static vj_status bind_outputs(vj_job *job) {
    const vj_model *model = job->model;
    vj_arrays_free(job->outputs, model->output_count);
    job->outputs = calloc((size_t)model->output_count + 1, sizeof *job->outputs);
    for (int32_t i = 0; job->outputs && i < model->output_count; i++) {
        vj_array *a = &job->outputs[i];
        a->dtype = vj_output_dtype(model, i);
        a->rank = vj_output_shape_of(model, i, job->n, a->dims);
        a->name = strdup(vj_output_name(model, i));
        if (!a->name || !vj_array_alloc(a))
            return vj_print_error(VJ_SYSTEM, job->command->model, "no memory for output '%s'",
                                  vj_output_name(model, i));
        const vj_status status = vj_bind_output(job->session, i, a->data, a->bytes);
        if (status) return print_last_error(job, status);
    }
    return job->outputs ? VJ_OK : vj_print_error(VJ_SYSTEM, job->command->model, "no memory");
}

static vj_status print_missing(const vj_job *job, const vj_array *inputs, int32_t count) {
    const vj_model *model = job->model;
    char list[2048] = "", type[VJ_TYPE_TEXT];
    for (int32_t i = 0; i < model->input_count; i++) {
        const char *name = model->inputs[i].name;
        if (vj_array_find(inputs, count, name) || vj_input_fixed_value(model, i)) continue;
        int64_t dims[VJ_MODEL_MAX_RANK];
        const int32_t rank = vj_input_shape(model, i, job->n, dims);
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s'%.200s' (%s)", used ? ", " : "", name,
                 vj_type_words(vj_input_dtype(model, i), dims, rank, type));
    }
    vj_print_error(VJ_USAGE, job->command->model, "no value is given for the inputs %s", list);
    vj_print_hint("--input NAME=x.npy for each");
    return VJ_USAGE;
}

static vj_status check_names(const vj_job *job, const vj_array *inputs, int32_t count) {
    char list[2048] = "";
    for (int32_t i = 0; i < job->model->input_count; i++) {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%.200s", used ? ", " : "", job->model->inputs[i].name);
    }
    for (int32_t i = 0; i < count; i++) {
        if (inputs[i].name && vj_input_find(job->model, inputs[i].name) >= 0) continue;
        vj_print_error(VJ_USAGE, job->command->model, "there is no input '%s'", inputs[i].name ? inputs[i].name : "");
        vj_print_hint("its inputs are: %s", list);
        return VJ_USAGE;
    }
    return VJ_OK;
}

vj_status vj_job_bind(vj_job *job, const vj_array *inputs, int32_t count) {
    const vj_model *model = job->model;
    vj_status status = check_names(job, inputs, count);
    for (int32_t i = 0; i < model->input_count && status == VJ_OK; i++) {
        const vj_tensor_info *t = &model->inputs[i];
        const vj_array *a = vj_array_find(inputs, count, t->name);
        if (!a) a = vj_array_find(job->request.fixes, job->request.fix_count, t->name);
        if (!a) return print_missing(job, inputs, count);
        status = vj_bind_input(job->session, t->name, a->data, a->bytes, a->dtype, a->dims, a->rank);
        if (status) return print_last_error(job, status);
        for (int32_t d = 0; d < t->rank; d++)
            if (t->dims[d] < 0) job->n = job->images = a->dims[d] / -t->dims[d];
    }
    return status ? status : bind_outputs(job);
}

vj_status vj_job_renew(vj_job *job) {
    vj_session_free(job->session);
    job->session = NULL;
    const vj_status status = vj_session_create(job->model, &job->session);
    return status ? print_last_error(job, status) : VJ_OK;
}

vj_status vj_job_seed(vj_job *job, uint64_t number, vj_array **inputs) {
    const vj_model *model = job->model;
    vj_status status = vj_job_batch(job, &job->n, &job->images);
    *inputs = calloc((size_t)model->input_count + 1, sizeof **inputs);
    if (!*inputs) return vj_print_error(VJ_SYSTEM, job->command->model, "no memory");
    for (int32_t i = 0; i < model->input_count && status == VJ_OK; i++) {
        vj_array *a = &(*inputs)[i];
        a->dtype = vj_input_dtype(model, i);
        a->rank = vj_input_shape(model, i, job->n, a->dims);
        a->name = strdup(vj_input_name(model, i));
        const void *fixed = vj_input_fixed_value(model, i);
        if (a->name && vj_array_alloc(a) && fixed)
            memcpy(a->data, fixed, a->bytes);
        else if (a->data)
            vj_array_fill(a, number * (uint64_t)model->input_count + (uint64_t)i + 1);
        else
            status = vj_print_error(VJ_SYSTEM, job->command->model, "no memory for a batch of %lld", (long long)job->n);
    }
    return status;
}

vj_status vj_job_check_batch(const vj_job *job) {
    const int64_t asked = job->command->batch;
    if (!asked || asked == job->n || job->images != job->n) return VJ_OK;
    return vj_print_error(VJ_USAGE, job->command->model, "--batch %lld, but the inputs have a batch of %lld",
                          (long long)asked, (long long)job->n);
}

vj_status vj_job_prepare(const vj_command *command, vj_job *job, vj_array **inputs, int32_t *count) {
    *job = (vj_job){0};
    vj_status status = vj_read_named(&command->inputs, "--input", inputs);
    *count = command->inputs.count;
    if (status == VJ_OK) status = vj_take_sizes(command, *inputs, *count);
    if (status == VJ_OK) status = vj_job_open(command, *inputs, *count, job);
    if (status == VJ_OK && *count == 0) {
        vj_arrays_free(*inputs, 0);
        status = vj_job_seed(job, 0, inputs);
        *count = vj_input_count(job->model);
    }
    if (status == VJ_OK) status = vj_job_bind(job, *inputs, *count);
    return status == VJ_OK && command->inputs.count ? vj_job_check_batch(job) : status;
}

vj_status vj_job_run(vj_job *job) {
    const vj_status status = vj_run(job->session);
    if (status) return print_last_error(job, status);
    for (int32_t i = 0; i < job->model->output_count; i++) { /* dims that the data decides are known only now */
        vj_array *a = &job->outputs[i];
        a->rank = vj_output_shape(job->session, i, a->dims);
        vj_array_measure(a);
    }
    return VJ_OK;
}

void vj_job_close(vj_job *job) {
    vj_session_free(job->session);
    if (job->model) vj_arrays_free(job->outputs, job->model->output_count);
    vj_model_free(job->model);
    vj_request_free(&job->request);
    *job = (vj_job){0};
}

vj_status vj_job_join(const vj_job *job, vj_job *other) {
    *other = *job;
    other->session = NULL;
    other->outputs = NULL;
    return vj_job_renew(other);
}

void vj_job_leave(vj_job *other) {
    vj_session_free(other->session);
    if (other->model) vj_arrays_free(other->outputs, other->model->output_count);
    *other = (vj_job){0};
}
