/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - the time of each kernel, from runs of code with marks: other code than what is measured and delivered. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "vitjit_clock.h"

#include "runtime/runtime.h"

#define WARM_UP_MS     200
#define RECORD_MS      500
#define MOST_RUNS      64
#define MOST_SPANS     (INT64_C(1) << 19)
#define PARTS_A_THREAD 16 /* far more spans of a kernel than a run makes beyond one an image */
#define PEAK_SECONDS   0.1
#define LABEL_TEXT     96

static double number(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *text(const cJSON *object, const char *key) {
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return value ? value : "";
}

static vj_status read_table(const vj_command *command, const vj_model *model, vj_profile *p) {
    p->table = cJSON_Parse(vj_model_kernels(model));
    p->kernel_count = cJSON_GetArraySize(p->table);
    p->kernels = calloc((size_t)p->kernel_count + 1, sizeof *p->kernels);
    if (!p->table || !p->kernels) return vj_print_error(VJ_SYSTEM, command->model, "no memory for the profile");
    int32_t i = 0;
    for (const cJSON *k = p->table->child; k; k = k->next) {
        const double units = number(k, "units");
        p->kernels[i++] = (vj_profiled){.facts = k,
                                        .name = text(k, "name"),
                                        .domain = text(k, "domain"),
                                        .flops = number(k, "flops"),
                                        .bytes = number(k, "bytes"),
                                        .units = units > 1 ? (int64_t)units : 1};
    }
    return VJ_OK;
}

static vj_status record(vj_job *job, vj_profile *p) {
    const double begin = vj_clock_ms(), most = job->command->seconds * 1e3;
    const double warm = most < WARM_UP_MS ? most : WARM_UP_MS, long_enough = most < RECORD_MS ? most : RECORD_MS;
    vj_status status = VJ_OK;
    do
        status = vj_job_run(job);
    while (status == VJ_OK && vj_clock_ms() - begin < warm);
    const int64_t a_run = (int64_t)p->kernel_count * (job->n + (int64_t)p->threads * PARTS_A_THREAD) + 1;
    const int64_t fit = a_run < MOST_SPANS ? MOST_SPANS / a_run : 1;
    if (status == VJ_OK && (status = vj_session_record(job->session, MOST_SPANS)))
        return vj_print_error(status, job->command->model, "%s", vj_error_message());
    const double start = vj_clock_ms();
    while (status == VJ_OK && p->runs < MOST_RUNS && p->runs < fit &&
           (p->runs < 3 || vj_clock_ms() - start < long_enough)) {
        p->run_begin[p->runs] = (int64_t)(vj_clock_ms() * 1e6);
        status = vj_job_run(job);
        p->run_end[p->runs++] = (int64_t)(vj_clock_ms() * 1e6);
    }
    return status;
}

static int by_thread(const void *a, const void *b) {
    const vj_span *x = a, *y = b;
    if (x->thread != y->thread) return x->thread < y->thread ? -1 : 1;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static int by_begin(const void *a, const void *b) {
    const vj_work *x = a, *y = b;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static int32_t run_of(const vj_profile *p, int64_t ns) {
    int32_t run = 0;
    while (run < p->runs - 1 && ns >= p->run_end[run])
        run++;
    return run;
}

/* The run whose time is the median: what is told of kernels is of one run, so that it adds up. */
static int32_t middle_run(const vj_profile *p) {
    int32_t best = 0;
    int64_t below = -1;
    for (int32_t r = 0; r < p->runs; r++) {
        const int64_t ns = p->run_end[r] - p->run_begin[r];
        int64_t shorter = 0;
        for (int32_t o = 0; o < p->runs; o++) {
            const int64_t other = p->run_end[o] - p->run_begin[o];
            shorter += other < ns || (other == ns && o < r);
        }
        if (shorter <= (p->runs - 1) / 2 && shorter > below) {
            best = r;
            below = shorter;
        }
    }
    return best;
}

static void find_times(vj_profile *p) {
    const int32_t run = middle_run(p);
    p->waiting_ms = p->wall_ms = (double)(p->run_end[run] - p->run_begin[run]) * 1e-6;
    for (int64_t i = 0; i < p->work_count; i++) {
        const vj_work *w = &p->work[i];
        if (run_of(p, w->begin_ns) != run) continue;
        p->kernels[w->kernel].busy_ms += (double)w->busy_ns * 1e-6;
        p->waiting_ms -= (double)w->busy_ns * 1e-6 / p->threads;
    }
}

/* Parts of a kernel that a thread did one after another become one piece of work. */
static void merge(vj_profile *p, const vj_span *spans, int64_t count) {
    int32_t thread = -1;
    for (int64_t i = 0; i < count; i++) {
        const vj_span *s = &spans[i];
        if (s->kernel < 0 || s->kernel >= p->kernel_count) continue;
        const bool new_thread = i == 0 || spans[i - 1].thread != s->thread;
        thread += new_thread;
        vj_work *last = p->work_count ? &p->work[p->work_count - 1] : NULL;
        if (last && !new_thread && last->kernel == s->kernel && run_of(p, last->begin_ns) == run_of(p, s->begin_ns)) {
            last->end_ns = s->end_ns;
            last->busy_ns += s->end_ns - s->begin_ns;
            last->units += s->units;
            last->parts++;
        } else {
            p->work[p->work_count++] =
                (vj_work){s->begin_ns, s->end_ns, s->end_ns - s->begin_ns, s->units, s->kernel, thread, 1};
        }
    }
    p->threads_seen = thread + 1;
}

static vj_status digest(const vj_job *job, vj_profile *p) {
    int64_t count;
    const vj_span *kept = vj_session_spans(job->session, &count, &p->lost);
    vj_span *spans = malloc(((size_t)count + 1) * sizeof *spans);
    p->work = malloc(((size_t)count + 1) * sizeof *p->work);
    if (!spans || !p->work) {
        free(spans);
        return vj_print_error(VJ_SYSTEM, job->command->model, "no memory for the profile");
    }
    if (count) memcpy(spans, kept, (size_t)count * sizeof *spans);
    qsort(spans, (size_t)count, sizeof *spans, by_thread);
    merge(p, spans, count);
    free(spans);
    qsort(p->work, (size_t)p->work_count, sizeof *p->work, by_begin);
    find_times(p);
    return VJ_OK;
}

static vj_status measure_peak(const vj_job *job, vj_profile *p) {
    const vj_compiler_api *api;
    char why[4096] = "";
    vj_status status = vj_compiler(&api);
    if (status) return status;
    status = api->peak(job->request.options.cpu, p->threads, PEAK_SECONDS, &p->peak_gflops, why, sizeof why);
    return status ? vj_print_error(status, NULL, "%s", why) : VJ_OK;
}

vj_status vj_profile_make(const vj_command *command, const vj_array *inputs, int32_t count, vj_profile *p) {
    vj_command marked = *command;
    marked.marks = true;
    vj_job job;
    *p = (vj_profile){.rss_before_bytes = p->rss_before_bytes};
    p->run_begin = calloc(MOST_RUNS, sizeof *p->run_begin);
    p->run_end = calloc(MOST_RUNS, sizeof *p->run_end);
    vj_status status = vj_job_open(&marked, inputs, count, &job);
    if (status == VJ_OK) status = vj_job_bind(&job, inputs, count);
    if (status == VJ_OK && (!p->run_begin || !p->run_end))
        status = vj_print_error(VJ_SYSTEM, command->model, "no memory for the profile");
    if (status == VJ_OK) {
        p->threads = vj_model_parts(job.model);
        p->images = job.n;
        status = read_table(command, job.model, p);
    }
    if (status == VJ_OK) status = record(&job, p);
    if (status == VJ_OK) status = digest(&job, p);
    if (status == VJ_OK && command->mode & (VJ_MODE_BENCH | VJ_MODE_REPORT)) status = measure_peak(&job, p);
    vj_job_close(&job);
    return status;
}

void vj_profile_free(vj_profile *p) {
    cJSON_Delete(p->table);
    free(p->kernels);
    free(p->work);
    free(p->run_begin);
    free(p->run_end);
    *p = (vj_profile){0};
}

/* Kernels of one name and domain. */
typedef struct row {
    char label[LABEL_TEXT];
    int64_t calls;
    double busy_ms, flops, bytes;
} row;

/* A product is named by its M, N and K, behind the number of such products in a batch. */
static void write_label(const vj_profiled *k, char label[LABEL_TEXT]) {
    const int64_t batch = (int64_t)number(k->facts, "batch"), m = (int64_t)number(k->facts, "m");
    const int64_t n = (int64_t)number(k->facts, "n"), depth = (int64_t)number(k->facts, "k");
    char many[32] = "";
    if (batch) snprintf(many, sizeof many, "%lldx", (long long)batch);
    if (m)
        snprintf(label, LABEL_TEXT, "%s %s%lldx%lldx%lld", k->name, many, (long long)m, (long long)n, (long long)depth);
    else
        snprintf(label, LABEL_TEXT, "%s %s", k->name, k->domain);
}

static int by_time(const void *a, const void *b) {
    const double x = ((const row *)a)->busy_ms, y = ((const row *)b)->busy_ms;
    return (x < y) - (x > y);
}

static int32_t group(const vj_profile *p, row *rows) {
    int32_t count = 0;
    for (int32_t i = 0; i < p->kernel_count; i++) {
        const vj_profiled *k = &p->kernels[i];
        char label[LABEL_TEXT];
        write_label(k, label);
        int32_t at = 0;
        while (at < count && strcmp(rows[at].label, label) != 0)
            at++;
        if (at == count) memcpy(rows[count++].label, label, sizeof label);
        rows[at].calls += p->images;
        rows[at].busy_ms += k->busy_ms;
        rows[at].flops += k->flops * (double)p->images;
        rows[at].bytes += k->bytes * (double)p->images;
    }
    qsort(rows, (size_t)count, sizeof *rows, by_time);
    return count;
}

static void print_row(const vj_profile *p, const row *r, int width) {
    const double ms = r->busy_ms / p->threads, gflops = ms > 0 ? r->flops / ms * 1e-6 : 0;
    printf("%-*s %6lld %9.3f %6.1f %% %9.1f %8.1f %6.0f %%\n", width, r->label, (long long)r->calls, ms,
           100 * ms / p->wall_ms, gflops, ms > 0 ? r->bytes / ms * 1e-6 : 0, 100 * gflops / p->peak_gflops);
}

void vj_profile_print(const vj_profile *p) {
    row *rows = calloc((size_t)p->kernel_count + 1, sizeof *rows);
    if (!rows) return;
    const int32_t count = group(p, rows);
    row all = {.label = "all"};
    int width = (int)strlen("kernel");
    for (int32_t i = 0; i < count; i++) {
        const int length = (int)strlen(rows[i].label);
        if (length > width) width = length;
        all.calls += rows[i].calls;
        all.busy_ms += rows[i].busy_ms;
        all.flops += rows[i].flops;
        all.bytes += rows[i].bytes;
    }
    printf("\nmultiply-adds of registers alone reach %.1f GFLOP/s on %d thread%s; below is the median of %d runs with "
           "marks, %.3f ms\n",
           p->peak_gflops, (int)p->threads, p->threads == 1 ? "" : "s", (int)p->runs, p->wall_ms);
    printf("%-*s %6s %9s %8s %9s %8s %8s\n", width, "kernel", "calls", "ms", "share", "GFLOP/s", "GB/s", "of peak");
    for (int32_t i = 0; i < count; i++)
        print_row(p, &rows[i], width);
    print_row(p, &all, width);
    printf("%-*s %6s %9.3f %6.1f %%\n", width, "waiting", "", p->waiting_ms, 100 * p->waiting_ms / p->wall_ms);
    if (p->lost) printf("%lld shares of kernels had no room and are missing\n", (long long)p->lost);
    free(rows);
}

vj_status vj_profile_if_asked(const vj_command *command, const vj_array *inputs, int32_t count) {
    vj_profile profile = {0};
    if (!command->profile) return VJ_OK;
    vj_status status = vj_profile_make(command, inputs, count, &profile);
    if (status == VJ_OK) status = vj_trace_write(command->profile, command->model, &profile);
    vj_profile_free(&profile);
    return status;
}
