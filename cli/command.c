/* command.c - carries out what the command line asks for. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void log_line(void *self, vj_log_level level, const char *text) {
    const vj_cli_options *o = self;
    if (level == VJ_LOG_WARNING && !o->quiet) fprintf(stderr, "vitjit: warning: %s\n", text);
}

static void set_options(const vj_cli_options *o, vj_options *options) {
    vj_options_init(options);
    options->threads = o->threads > 1024 ? 1024 : (int32_t)o->threads;
    options->cpu = o->cpu;
    options->cache = o->no_cache ? "" : o->cache;
    options->shapes = o->shapes;
    options->shape_count = o->shape_count;
    options->also_outputs = o->also;
    options->also_output_count = o->also_count;
    options->use_orc = o->jit != NULL;
    options->log = log_line;
    options->log_self = (void *)(uintptr_t)o;
}

typedef vj_status (*text_call)(const vj_compile_request *request, char **text, char *error, size_t error_bytes);

static vj_status print_text(text_call call, const vj_compile_request *request) {
    char *text = NULL, error[4096] = "";
    vj_status status = call(request, &text, error, sizeof error);
    if (text) fputs(text, stdout);
    free(text);
    return status ? vj_say(status, error[0] ? NULL : request->path, NULL, "%s", error) : VJ_OK;
}

static vj_status emit(const vj_compiler_api *api, const vj_compile_request *request, const vj_cli_options *o) {
    vj_emit_request e = {.output = o->file, .prefix = o->prefix, .weights_file = -1};
    e.what = o->emit_obj ? VJ_EMIT_OBJ : o->emit_asm ? VJ_EMIT_ASM : o->emit_llvm ? VJ_EMIT_LL : VJ_EMIT_IR;
    if (o->weights) e.weights_file = strcmp(o->weights, "file") == 0;
    char *summary = NULL, error[4096] = "";
    vj_status status = api->emit(request, &e, &summary, error, sizeof error);
    if (status) return vj_say(status, NULL, NULL, "%s", error);
    if (summary) puts(summary);
    free(summary);
    return VJ_OK;
}

/* What the compiler does alone, without a run. */
static vj_status tool(const vj_compile_request *request, const vj_cli_options *o) {
    const vj_compiler_api *api;
    vj_status status = vj_compiler_open(&api);
    if (status) return vj_say(status, NULL, NULL, "%s", vj_error_message());
    if (o->inspect) return print_text(api->inspect, request);
    if (o->report) return print_text(api->report, request);
    if (o->check && api->check) return print_text(api->check, request);
    if (!o->check && api->emit) return emit(api, request, o);
    return vj_say(VJ_USAGE, request->path, NULL, "the installed compiler library cannot do this");
}

static vj_status run(vj_model *model, const vj_cli_options *o, double compiled_ms) {
    vj_io io;
    vj_bench bench;
    const bool introduce = !o->quiet && !o->output && !o->expect_count && !(o->bench > 0) && !o->stats;
    if (introduce) fputs(vj_model_introduction(model), stdout);
    vj_status status = vj_io_open(model, o, &io);
    const double start = now_ms();
    if (!status && (status = vj_run(io.session))) vj_say(status, o->model, NULL, "%s", vj_error_message());
    if (!status && introduce) {
        int64_t weights = 0, arena = 0;
        vj_plan_bytes(model, io.n, &weights, &arena);
        printf("memory: %lld bytes of weights, %lld bytes of arena for %lld images\n", (long long)weights,
               (long long)arena, (long long)io.n);
        printf("CPU: %s; ready after %.1f ms, first run %.2f ms on %d threads\n", model->cpu, compiled_ms,
               now_ms() - start, vj_model_parts(model));
        vj_io_print(&io, stdout);
    }
    if (!status && o->output) status = vj_io_write(&io, o->output);
    vj_status differs = status ? VJ_OK : vj_expect(&io, o);
    if (!status && o->bench > 0 && !(status = vj_bench_run(&io, o->bench, &bench))) {
        vj_model_stats s = {.size = sizeof s};
        vj_model_get_stats(model, &s);
        printf("min %.3f ms  median %.3f ms  p99 %.3f ms  %.1f GFLOP/s  %.1f images/s  (%lld runs)\n", bench.min_ms,
               bench.median_ms, bench.p99_ms, s.flops_per_image * (double)io.n / bench.median_ms * 1e-6,
               (double)io.n * 1e3 / bench.median_ms, (long long)bench.runs);
    }
    if (!status && o->stats) status = vj_print_stats(&io, o->bench > 0 ? &bench : NULL);
    vj_io_close(&io);
    return status ? status : differs;
}

static vj_status with_model(const vj_cli_options *o) {
    vj_options options;
    set_options(o, &options);
    vj_compile_request request = {.path = o->model,
                                  .options = &options,
                                  .fixed_batch = o->batch,
                                  .print_after = o->print_after,
                                  .stop_after = o->stop_after,
                                  .disabled_passes = o->disabled,
                                  .disabled_pass_count = o->disabled_count,
                                  .pass_limit = (int32_t)o->pass_limit};
    if (o->inspect || o->report || o->check || o->emit_obj || o->emit_asm || o->emit_llvm || o->emit_ir)
        return tool(&request, o);
    const double start = now_ms();
    vj_model *model;
    vj_status status = vj_compile_with(&request, &model);
    if (status) return vj_say(status, NULL, NULL, "%s", vj_error_message());
    if (o->picture_count)
        status = vj_classify(model, o);
    else if (o->test_count)
        status = vj_run_tests(model, o);
    else
        status = run(model, o, now_ms() - start);
    vj_model_free(model);
    return status;
}

static vj_status version(void) {
    const vj_compiler_api *api;
    printf("vitjit %s\n", vj_version());
    if (vj_compiler_open(&api) == VJ_OK) printf("LLVM %s\n", api->llvm_version);
    const uint32_t has = vj_cpu_features();
    printf("host CPU: %s, %d available\n",
           has & VJ_CPU_AVX512     ? "x86-64-v4"
           : has & VJ_CPU_AVX2_FMA ? "x86-64-v3"
                                   : "baseline",
           vj_cpu_available());
    return VJ_OK;
}

static vj_status dispatch(const vj_cli_options *o) {
    if (o->help) {
        vj_print_help(stdout);
        return VJ_OK;
    }
    if (o->version) return version();
    if (!o->model) return vj_say(VJ_USAGE, NULL, "vitjit --help", "no model is given");
    if (strcmp(o->model, "cache") == 0 && o->picture_count == 1 && strcmp(o->pictures[0], "ls") == 0) {
        vj_status status = vj_cache_list(o->cache, stdout);
        return status ? vj_say(status, NULL, NULL, "%s", vj_error_message()) : VJ_OK;
    }
    return with_model(o);
}

int vj_cli(int argc, char **argv) {
    vj_cli_options o;
    vj_status status = VJ_USAGE;
    if (vj_read_options(argc, argv, &o)) status = dispatch(&o);
    free(o.pictures);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (!status) status = vj_say(VJ_SYSTEM, NULL, NULL, "stdout cannot be written");
    }
    return (int)status;
}
