/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - tensors in, tensors out; and the introduction of a model with one run on seeded inputs. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include "vitjit_clock.h"

#include "runtime/runtime.h"

static vj_status deliver(const vj_command *command, vj_job *job) {
    const int32_t count = vj_output_count(job->model);
    vj_status status = vj_job_run(job);
    if (status == VJ_OK && command->output) status = vj_outputs_write(command->output, job->outputs, count);
    if (status == VJ_OK && !command->output && !command->expects.count) {
        vj_print_outputs(job->outputs, count);
        vj_print_notice(command->model, "--output DIR writes the outputs to files");
    }
    vj_status compared = status == VJ_OK ? vj_expect_all(command, job) : VJ_OK;
    if (status == VJ_OK && (compared == VJ_OK || compared == VJ_DIFFERS)) status = vj_print_stats(command, job->model);
    return status ? status : compared;
}

vj_status vj_run_tensors(const vj_command *command) {
    vj_job job;
    vj_array *inputs;
    int32_t count = 0;
    vj_status status = command->output ? vj_outputs_folder(command->output) : VJ_OK;
    if (status) return status;
    status = vj_job_prepare(command, &job, &inputs, &count);
    if (status == VJ_OK && command->output) status = vj_outputs_names(command->model, job.model);
    if (status == VJ_OK) status = deliver(command, &job);
    if (status == VJ_OK) status = vj_profile_if_asked(command, inputs, count);
    vj_arrays_free(inputs, count);
    vj_job_close(&job);
    return status;
}

static vj_status print_memory(const vj_job *job) {
    int64_t weights, arena;
    const vj_status status = vj_plan_bytes(job->model, job->n, &weights, &arena);
    if (status) return vj_print_error(status, job->command->model, "%s", vj_error_message());
    printf("%-11s %.1f MB: weights %.1f MB, arena %.1f MB for a batch of %lld on %d thread%s\n", "memory",
           (double)(weights + arena) * 1e-6, (double)weights * 1e-6, (double)arena * 1e-6, (long long)job->images,
           (int)vj_model_parts(job->model), vj_model_parts(job->model) == 1 ? "" : "s");
    return VJ_OK;
}

vj_status vj_run_introduction(const vj_command *command) {
    vj_job job;
    vj_array *inputs = NULL;
    int32_t count = 0;
    const double begin = vj_clock_ms();
    vj_status status = vj_job_prepare(command, &job, &inputs, &count);
    const double compiled = vj_clock_ms();
    if (status == VJ_OK && !command->quiet) {
        vj_put_plain(stdout, vj_model_introduction(job.model), true);
        status = print_memory(&job);
        if (status == VJ_OK) status = vj_print_recipe(command, job.model);
    }
    const double start = vj_clock_ms();
    if (status == VJ_OK) status = vj_job_run(&job);
    if (status == VJ_OK && !command->quiet) {
        vj_model_stats stats = {.size = sizeof stats};
        vj_model_get_stats(job.model, &stats);
        printf("%-11s %.0f ms to be ready (%s), %.2f ms for the first run on seeded inputs\n", "time", compiled - begin,
               command->compiled ? "loaded"
               : stats.cache_hit ? "from the cache"
                                 : "compiled",
               vj_clock_ms() - start);
    }
    if (status == VJ_OK) {
        vj_print_outputs(job.outputs, vj_output_count(job.model));
        status = vj_print_stats(command, job.model);
    }
    if (status == VJ_OK) status = vj_profile_if_asked(command, inputs, count);
    vj_arrays_free(inputs, count);
    vj_job_close(&job);
    return status;
}
