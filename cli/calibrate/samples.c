/* SPDX-License-Identifier: Apache-2.0 */
/* samples.c - the inputs that a model is calibrated on, all in memory: pictures as they are classified, or rows of .npy files. */
#include "calibrate.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

#define OPTION "--calibration-data"

void vj_samples_free(vj_samples *s) {
    vj_arrays_free(s->at, s->inputs * s->runs);
    *s = (vj_samples){0};
}

static vj_status no_memory(const vj_command *command) {
    return vj_print_error(VJ_SYSTEM, command->model, "no memory for the inputs to calibrate with");
}

/* Room for one run more of `inputs` arrays; NULL: no memory. */
static vj_array *add_run(vj_samples *s) {
    const size_t inputs = (size_t)s->inputs, runs = (size_t)s->runs;
    vj_array *more = realloc(s->at, (inputs * (runs + 1) + 1) * sizeof *more);
    if (!more) return NULL;
    s->at = more;
    memset(more + inputs * runs, 0, inputs * sizeof *more);
    s->runs++;
    return more + inputs * runs;
}

/* A copy of `rows` rows of an array from `first` on; of an array without rows, all of it. */
static bool copy_rows(const vj_array *from, const char *name, int64_t first, int64_t rows, vj_array *to) {
    *to = *from;
    to->data = NULL;
    to->name = strdup(name);
    if (to->rank > 0) to->dims[0] = rows;
    if (!to->name || !vj_array_alloc(to)) return false;
    memcpy(to->data, (const char *)from->data + (size_t)first * (to->bytes / (size_t)rows), to->bytes);
    return true;
}

/* Pictures */

static vj_status take_batch(const vj_command *command, vj_loader *loader, vj_samples *s) {
    const vj_array batch = vj_loader_batch(loader);
    vj_array *to = add_run(s);
    s->images += loader->filled;
    loader->filled = 0;
    return to && copy_rows(&batch, batch.name, 0, batch.dims[0], to) ? VJ_OK : no_memory(command);
}

/* What cannot be read ends it: a choice made on fewer pictures would be another. */
static vj_status read_pictures(const vj_command *plain, vj_job *job, vj_samples *s) {
    vj_paths paths;
    vj_loader loader = {0};
    vj_status status = vj_paths_find(plain, &paths);
    if (status == VJ_OK) status = vj_job_open(plain, NULL, 0, job);
    if (status == VJ_OK) status = vj_loader_open(plain, job, 0, &loader);
    if (status == VJ_OK) vj_loader_announce(&loader);
    s->inputs = 1;
    for (int32_t i = 0; i < paths.count && status == VJ_OK; i++) {
        status = vj_loader_add(&loader, paths.at[i]);
        if (status == VJ_OK && (loader.filled == loader.batch || i + 1 == paths.count))
            status = take_batch(plain, &loader, s);
    }
    vj_loader_free(&loader);
    vj_paths_free(&paths);
    return status;
}

/* Rows of .npy files */

/* The job for the first row of each. */
static vj_status open_for_rows(const vj_command *plain, vj_job *job, const vj_array *arrays, int32_t count) {
    vj_array *rows = calloc((size_t)count + 1, sizeof *rows);
    vj_status status = rows ? VJ_OK : no_memory(plain);
    for (int32_t i = 0; i < count && status == VJ_OK; i++) {
        if (vj_array_elements(&arrays[i]) == 0)
            status = vj_print_error(VJ_BAD_INPUT, plain->model, OPTION " has no rows for '%s'", arrays[i].name);
        else if (!copy_rows(&arrays[i], arrays[i].name, 0, 1, &rows[i]))
            status = no_memory(plain);
    }
    if (status == VJ_OK) status = vj_job_open(plain, rows, count, job);
    if (rows) vj_arrays_free(rows, count);
    return status;
}

/* Rows of an array that a run takes: as many as the input has images, or all that there are of one without. */
static int64_t rows_of_run(const vj_tensor_info *t) {
    if (t->rank == 0) return 1;
    return t->dims[0] < 0 ? -t->dims[0] : t->dims[0];
}

static vj_status count_runs(const vj_command *plain, const vj_model *model, const vj_array *arrays, int32_t count,
                            int64_t *runs) {
    *runs = 0;
    for (int32_t i = 0; i < model->input_count; i++) {
        const vj_tensor_info *t = &model->inputs[i];
        const vj_array *a = vj_array_find(arrays, count, t->name);
        if (!a) {
            vj_print_error(VJ_USAGE, plain->model, OPTION " has nothing for the input '%s'", t->name);
            vj_print_hint(OPTION " NAME=x.npy for each input, or a folder of pictures");
            return VJ_USAGE;
        }
        const int64_t rows = rows_of_run(t), has = a->rank ? a->dims[0] : 1;
        if (rows < 1 || has < rows || has % rows || (*runs && *runs != has / rows))
            return vj_print_error(VJ_BAD_INPUT, plain->model,
                                  OPTION " has %lld rows for '%s', of which a run takes %lld%s", (long long)has,
                                  t->name, (long long)rows, *runs ? ": other inputs have more, or fewer, runs" : "");
        *runs = has / rows;
    }
    return VJ_OK;
}

static vj_status read_rows(const vj_command *plain, vj_job *job, vj_samples *s) {
    vj_array *arrays = NULL;
    int64_t runs = 0;
    const int32_t count = plain->calibration_data.count;
    vj_status status = vj_read_named(&plain->calibration_data, OPTION, &arrays);
    if (status == VJ_OK) status = open_for_rows(plain, job, arrays, count);
    if (status == VJ_OK) status = count_runs(plain, job->model, arrays, count, &runs);
    if (status == VJ_OK) s->inputs = job->model->input_count;
    for (int64_t run = 0; run < runs && status == VJ_OK; run++) {
        vj_array *to = add_run(s);
        for (int32_t i = 0; i < s->inputs && status == VJ_OK; i++) {
            const vj_tensor_info *t = &job->model->inputs[i];
            const int64_t rows = rows_of_run(t);
            if (!to || !copy_rows(vj_array_find(arrays, count, t->name), t->name, run * rows, rows, &to[i]))
                status = no_memory(plain);
        }
    }
    s->images = runs * (s->inputs && job->model->inputs[0].dims[0] > 0 ? job->model->inputs[0].dims[0] : 1);
    vj_arrays_free(arrays, arrays ? count : 0);
    return status;
}

vj_status vj_samples_read(const vj_command *plain, vj_job *job, vj_samples *s) {
    const vj_list *data = &plain->calibration_data;
    int32_t named = 0;
    *s = (vj_samples){0};
    *job = (vj_job){0};
    for (int32_t i = 0; i < data->count; i++)
        named += strchr(data->at[i], '=') != NULL;
    if (named && named < data->count)
        return vj_print_error(VJ_USAGE, NULL, OPTION " wants pictures or NAME=x.npy, not both");
    return named ? read_rows(plain, job, s) : read_pictures(plain, job, s);
}
