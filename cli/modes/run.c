/* run.c - tensors in, tensors out; and the introduction of a model with one run on seeded inputs. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

void vj_print_outputs(const vj_array *outputs, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        const vj_array *a = &outputs[i];
        char type[VJ_TYPE_TEXT];
        const vj_summary s = vj_array_summary(a);
        printf("output %s  %s", a->name, vj_type_words(a->dtype, a->dims, a->rank, type));
        if (vj_array_elements(a) > s.not_finite) printf("  min %.6g  max %.6g  mean %.6g", s.min, s.max, s.mean);
        if (s.not_finite)
            printf("  not finite: %lld of %lld", (long long)s.not_finite, (long long)vj_array_elements(a));
        putchar('\n');
    }
}

vj_status vj_read_named(const vj_list *list, const char *option, vj_array **arrays) {
    *arrays = calloc((size_t)list->count + 1, sizeof **arrays);
    if (!*arrays) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    for (int32_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->at[i], '=');
        char why[512];
        if (!equals || equals == list->at[i] || !equals[1])
            return vj_print_error(VJ_USAGE, NULL, "%s wants NAME=x.npy, not '%s'", option, list->at[i]);
        if (!vj_npy_read(equals + 1, &(*arrays)[i], why)) return vj_print_error(VJ_BAD_INPUT, equals + 1, "%s", why);
        char *name = (*arrays)[i].name = strndup(list->at[i], (size_t)(equals - list->at[i]));
        for (int32_t j = 0; j < i && name; j++)
            if (strcmp((*arrays)[j].name, name) == 0)
                return vj_print_error(VJ_USAGE, NULL, "%s is given twice for '%s'", option, name);
        if (!name) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    }
    return VJ_OK;
}

vj_status vj_read_inputs(const vj_command *command, vj_array **arrays) {
    return vj_read_named(&command->inputs, "--input", arrays);
}

vj_status vj_job_prepare(const vj_command *command, vj_job *job, vj_array **inputs, int32_t *count) {
    *job = (vj_job){0};
    vj_status status = vj_read_inputs(command, inputs);
    *count = command->inputs.count;
    if (status == VJ_OK) status = vj_job_open(command, *inputs, *count, job);
    if (status == VJ_OK && *count == 0) {
        vj_arrays_free(*inputs, 0);
        status = vj_job_seed(job, inputs);
        *count = vj_input_count(job->model);
    }
    if (status == VJ_OK) status = vj_job_bind(job, *inputs, *count);
    if (status == VJ_OK && command->inputs.count && command->batch && command->batch != job->n &&
        job->images == job->n) {
        vj_print_error(VJ_USAGE, command->model, "--batch %lld, but the inputs have a batch of %lld",
                       (long long)command->batch, (long long)job->n);
        status = VJ_USAGE;
    }
    return status;
}

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
    const double begin = vj_now_ms();
    vj_status status = vj_job_prepare(command, &job, &inputs, &count);
    const double compiled = vj_now_ms();
    if (status == VJ_OK && !command->quiet) {
        fputs(vj_model_introduction(job.model), stdout);
        status = print_memory(&job);
        if (status == VJ_OK) status = vj_print_recipe(command, job.model);
    }
    const double start = vj_now_ms();
    if (status == VJ_OK) status = vj_job_run(&job);
    if (status == VJ_OK && !command->quiet) {
        vj_model_stats stats = {.size = sizeof stats};
        vj_model_get_stats(job.model, &stats);
        printf("%-11s %.0f ms to be ready (%s), %.2f ms for the first run on seeded inputs\n", "time", compiled - begin,
               command->compiled ? "loaded"
               : stats.cache_hit ? "from the cache"
                                 : "compiled",
               vj_now_ms() - start);
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
