/* SPDX-License-Identifier: Apache-2.0 */
/* tools.c - what needs the compiler but no run (--inspect, --report, --check, passes, --emit-*), and what needs no
 * model. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

/* Prints the text that a call of the compiler gives. */
static vj_status print_text(const vj_command *command, vj_errand errand, bool print) {
    vj_request request;
    char *text = NULL;
    vj_status status = vj_request_fill(command, &request);
    if (status == VJ_OK) {
        vj_progress_begin("compiling");
        status = vj_ask_text(errand, &request.compile, &text);
        vj_progress_end();
        if (text && print) vj_put_plain(stdout, text, true);
        if (status) vj_print_error(status, command->model, "%s", vj_error_message());
    }
    free(text);
    vj_request_free(&request);
    return status;
}

/* What the compiler wrote into the library. */
static vj_status introduce_compiled(const vj_command *command) {
    vj_job job;
    vj_status status = vj_job_open(command, NULL, 0, &job);
    if (status == VJ_OK) vj_put_plain(stdout, vj_model_introduction(job.model), true);
    vj_job_close(&job);
    return status;
}

vj_status vj_run_inspect(const vj_command *command) {
    return command->compiled ? introduce_compiled(command) : print_text(command, VJ_ERRAND_INSPECT, true);
}

vj_status vj_run_report(const vj_command *command) {
    vj_status status = print_text(command, VJ_ERRAND_REPORT, true);
    if (status || !command->stats) return status;
    vj_job job;
    status = vj_job_open(command, NULL, 0, &job);
    if (status == VJ_OK) status = vj_print_stats(command, job.model);
    vj_job_close(&job);
    return status;
}

vj_status vj_run_check(const vj_command *command) { return print_text(command, VJ_ERRAND_CHECK, true); }

/* The report runs all passes and generates nothing; the dumps are what was asked for. */
vj_status vj_run_passes_only(const vj_command *command) { return print_text(command, VJ_ERRAND_REPORT, false); }

/* The folder of -o must be there, as that of --output. */
static vj_status check_emit_path(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash || slash == path) return VJ_OK;
    char *folder = strndup(path, (size_t)(slash - path));
    const vj_status status = folder ? vj_outputs_folder(folder) : vj_print_error(VJ_SYSTEM, NULL, "no memory");
    free(folder);
    return status;
}

static void say_wrote(void *self, const char *path) {
    (void)self;
    vj_print_wrote(path);
}

vj_status vj_run_emit(const vj_command *command) {
    vj_request request;
    char *summary = NULL;
    vj_status status = check_emit_path(command->emit_path);
    if (status == VJ_OK) status = vj_check_header_options(command);
    if (status) return status;
    status = vj_request_fill(command, &request);
    const vj_emit_request emit = {.what = command->emit,
                                  .header_part = vj_header_of_recipe,
                                  .header_self = (void *)(uintptr_t)command,
                                  .output = command->emit_path,
                                  .prefix = command->prefix,
                                  .linker = command->linker,
                                  .sets = request.sets,
                                  .set_count = request.set_count,
                                  .cpus = request.cpu.cpus,
                                  .cpu_count = request.cpu.cpu_count,
                                  .wrote = say_wrote,
                                  .weights_file = command->weights ? strcmp(command->weights, "file") == 0 : -1};
    if (status == VJ_OK) {
        vj_progress_begin("compiling");
        status = vj_ask_emit(&request.compile, &emit, &summary);
        vj_progress_end();
        if (status) vj_print_error(status, command->model, "%s", vj_error_message());
        if (status == VJ_OK && summary) puts(summary);
    }
    free(summary);
    vj_request_free(&request);
    return status;
}

vj_status vj_run_cache(const vj_command *command) {
    const char *work = command->words.at[1];
    const vj_status status = strcmp(work, "ls") == 0   ? vj_cache_list(command->cache, stdout)
                             : strcmp(work, "rm") == 0 ? vj_cache_remove(command->cache, command->words.at[2], stdout)
                             : strcmp(work, "verify") == 0 ? vj_cache_verify(command->cache, stdout)
                                                           : vj_cache_prune(command->cache, 0);
    return status ? vj_print_error(status, command->cache, "%s", vj_error_message()) : VJ_OK;
}

vj_status vj_run_targets(void) {
    const vj_compiler_api *api;
    const vj_status status = vj_compiler(&api);
    vj_target_info row;
    if (status) return status;
    printf("%-10s %-27s%-14s%-20s%-9s%-14s%s\n", "CPU", "target", "", "vectors", "multiply", "L1, L2 KiB", "features");
    for (int32_t i = 0; api->target(i, &row); i++) {
        char vectors[32], caches[32];
        snprintf(vectors, sizeof vectors, row.vector_bits == 32 ? "%d floats" : "%d of %d bits", row.registers,
                 row.vector_bits);
        snprintf(caches, sizeof caches, "%d, %d", row.l1_bytes >> 10, row.l2_bytes >> 10);
        printf("%-10s %-27s%-14s%-20s%-9s%-14s%s%s%s\n", row.name, row.triple, row.is_host ? " this machine" : "",
               vectors, row.is_fused ? "FMA" : "mul, add", caches, row.parent ? row.parent : "", row.parent ? ": " : "",
               row.features);
    }
    return VJ_OK;
}

vj_status vj_run_version(void) {
    const vj_compiler_api *api;
    printf("vitjit %s\n", vj_version());
    const vj_status status = vj_compiler(&api);
    if (status) return status;
    vj_target_info row;
    printf("LLVM %s\n", api->llvm_version);
    for (int32_t i = 0; api->target(i, &row); i++)
        if (row.is_host) printf("this machine: %s\n", row.name);
    return VJ_OK;
}
