/* SPDX-License-Identifier: Apache-2.0 */
/* test.c - --test: ONNX test-data sets. A set is a folder with input_0.pb, output_0.pb, ...; a folder of the words may
 * be one, or hold some (test_data_set_0, ...). Files belong to the graph's inputs and outputs by their order. */
#include "modes.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/runtime.h"

#define MAX_TENSORS 256 /* of a set's inputs or outputs */

static bool there(const char *folder, const char *kind, int32_t i, char path[4096]) {
    return snprintf(path, 4096, "%s/%s_%d.pb", folder, kind, (int)i) < 4096 && access(path, F_OK) == 0;
}

/* All of kind_0.pb, kind_1.pb, ... */
static vj_status read_tensors(const vj_command *command, const char *folder, const char *kind, vj_array **arrays,
                              int32_t *count) {
    vj_options options;
    char path[4096];
    vj_request_limits(command, &options);
    *count = 0;
    *arrays = calloc(MAX_TENSORS, sizeof **arrays);
    if (!*arrays) return vj_print_error(VJ_SYSTEM, folder, "no memory");
    while (*count < MAX_TENSORS && there(folder, kind, *count, path)) {
        vj_array *a = &(*arrays)[*count];
        vj_read_data read;
        const vj_status status = vj_ask_tensor(path, &options, &read);
        if (status) return vj_print_error(status, path, "%s", vj_error_message());
        *a = (vj_array){
            .name = read.name, .dtype = read.dtype, .rank = read.rank, .data = read.data, .bytes = read.bytes};
        memcpy(a->dims, read.dims, sizeof a->dims);
        ++*count;
    }
    return VJ_OK;
}

/* The graph's names, which the files need not repeat. */
static vj_status name_by_order(const vj_job *job, const char *folder, vj_array *inputs, int32_t count) {
    const int32_t wanted = vj_input_count(job->model);
    if (count != wanted)
        return vj_print_error(VJ_BAD_INPUT, folder, "%d inputs, where the model has %d", (int)count, (int)wanted);
    for (int32_t i = 0; i < count; i++) {
        free(inputs[i].name);
        inputs[i].name = strdup(vj_input_name(job->model, i));
        if (!inputs[i].name) return vj_print_error(VJ_SYSTEM, folder, "no memory");
    }
    return VJ_OK;
}

static vj_status compare_all(const vj_command *command, const vj_job *job, const char *folder, const vj_array *want,
                             int32_t count) {
    const vj_tolerance tolerance = {command->rtol, vj_option_given(command, "--atol") ? command->atol : 1e-7, 0};
    vj_status status = VJ_OK;
    if (count < 1 || count > vj_output_count(job->model))
        return vj_print_error(VJ_BAD_INPUT, folder, "%d outputs, where the model has %d", (int)count,
                              (int)vj_output_count(job->model));
    for (int32_t i = 0; i < count; i++) {
        char label[4096];
        snprintf(label, sizeof label, "%.2000s: %.2000s", folder, job->outputs[i].name);
        if (vj_compare(label, &job->outputs[i], &want[i], &tolerance) != VJ_OK) status = VJ_DIFFERS;
    }
    return status;
}

static vj_status run_set(const vj_command *command, const char *folder) {
    vj_array *inputs = NULL, *want = NULL;
    int32_t input_count = 0, want_count = 0;
    vj_job job = {0};
    vj_status status = read_tensors(command, folder, "input", &inputs, &input_count);
    if (status == VJ_OK) status = read_tensors(command, folder, "output", &want, &want_count);
    if (status == VJ_OK) status = vj_job_open(command, inputs, input_count, &job);
    if (status == VJ_OK) status = name_by_order(&job, folder, inputs, input_count);
    if (status == VJ_OK) status = vj_job_bind(&job, inputs, input_count);
    if (status == VJ_OK) status = vj_job_run(&job);
    if (status == VJ_OK) status = compare_all(command, &job, folder, want, want_count);
    vj_arrays_free(inputs, input_count);
    vj_arrays_free(want, want_count);
    vj_job_close(&job);
    return status;
}

typedef struct tally {
    int32_t passed, failed;
    vj_status worst; /* what went wrong wins over what differs */
} tally;

static void count_set(tally *t, vj_status status) {
    t->passed += status == VJ_OK;
    t->failed += status != VJ_OK;
    if (status != VJ_OK && (t->worst == VJ_OK || t->worst == VJ_DIFFERS)) t->worst = status;
}

static int is_set(const struct dirent *entry) { return strncmp(entry->d_name, "test_data_set_", 14) == 0; }

static void run_word(const vj_command *command, const char *folder, tally *t) {
    char path[4096];
    if (there(folder, "input", 0, path) || there(folder, "output", 0, path)) {
        count_set(t, run_set(command, folder));
        return;
    }
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, is_set, versionsort);
    if (count <= 0)
        count_set(t, vj_print_error(count < 0 ? vj_file_status(errno) : VJ_BAD_INPUT, folder,
                                    count < 0 ? "cannot be read as a folder"
                                              : "no input_0.pb, output_0.pb or test_data_set_* in it"));
    for (int i = 0; i < count; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) < (int)sizeof path)
            count_set(t, run_set(command, path));
        free(entries[i]);
    }
    free(entries);
}

vj_status vj_run_test(const vj_command *command) {
    tally t = {0};
    for (int32_t i = 1; i < command->words.count; i++)
        run_word(command, command->words.at[i], &t);
    printf("%d passed, %d failed\n", (int)t.passed, (int)t.failed);
    return t.worst;
}
