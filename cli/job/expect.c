/* SPDX-License-Identifier: Apache-2.0 */
/* expect.c - --expect NAME=y.npy: the outputs beside files. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

static const vj_array *find_output(const vj_job *job, const char *name) {
    for (int32_t i = 0; i < vj_output_count(job->model); i++)
        if (strcmp(vj_output_name(job->model, i), name) == 0) return &job->outputs[i];
    return NULL;
}

static vj_status expect_one(const vj_command *command, const vj_job *job, const char *text) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return vj_print_error(VJ_USAGE, NULL, "--expect wants NAME=y.npy, not '%s'", text);
    char *name = strndup(text, (size_t)(equals - text)), why[512];
    if (!name) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    const vj_array *got = find_output(job, name);
    vj_array want = {0};
    vj_status status;
    if (!got) {
        status = vj_print_error(VJ_USAGE, command->model, "there is no output '%s'", name);
        vj_print_hint("--also-output %s makes an output of a value of the graph", name);
    } else if ((status = vj_npy_read(equals + 1, &want, why)) != VJ_OK) {
        vj_print_error(status, equals + 1, "%s", why);
    } else {
        const bool absolute = vj_option_given(command, "--atol");
        const vj_tolerance tolerance = {command->rtol, command->atol, absolute ? 0 : 1e-5};
        status = vj_compare(name, got, &want, &tolerance);
    }
    vj_array_free(&want);
    free(name);
    return status;
}

vj_status vj_expect_all(const vj_command *command, const vj_job *job) {
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < command->expects.count; i++) {
        const vj_status one = expect_one(command, job, command->expects.at[i]);
        if (one != VJ_OK && one != VJ_DIFFERS) return one;
        if (one != VJ_OK) status = one;
    }
    return status;
}
