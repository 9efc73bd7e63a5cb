/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - a profile as trace events, the JSON that chrome://tracing and Perfetto load (Google, "Trace Event Format"):
 * complete events ("X") in microseconds, a line an event. */
#include "modes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#define PROCESS   1
#define MOST_RUNS 10
#define MOST_WORK 20000 /* spans: some megabytes, which browsers load at once */

static void write_event(FILE *out, cJSON *event, bool *first) {
    char *text = vj_json_text(event);
    if (text) fprintf(out, "%s\n%s", *first ? "" : ",", text);
    *first = *first && !text;
    cJSON_free(text);
    cJSON_Delete(event);
}

static cJSON *event(const char *phase, const char *name, int32_t thread) {
    cJSON *e = cJSON_CreateObject();
    cJSON_AddStringToObject(e, "ph", phase);
    cJSON_AddStringToObject(e, "name", name);
    cJSON_AddNumberToObject(e, "pid", PROCESS);
    cJSON_AddNumberToObject(e, "tid", thread);
    return e;
}

static void write_name(FILE *out, const char *what, const char *name, int32_t thread, bool *first) {
    cJSON *e = event("M", what, thread);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(e, "args"), "name", name);
    write_event(out, e, first);
}

/* What the table says of the kernel, but its work as a whole. */
static void add_facts(cJSON *args, const cJSON *facts) {
    static const char *const own[] = {"name", "units", "flops", "bytes", "weight_bytes"};
    for (const cJSON *fact = facts->child; fact; fact = fact->next) {
        bool skip = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            skip |= strcmp(fact->string, own[i]) == 0;
        if (!skip) cJSON_AddItemToObject(args, fact->string, cJSON_Duplicate(fact, true));
    }
}

static void write_work(FILE *out, const vj_profile *p, const vj_work *w, bool *first) {
    const vj_profiled *k = &p->kernels[w->kernel];
    const double share = (double)w->units / (double)k->units, seconds = (double)w->busy_ns * 1e-9;
    const double flops = k->flops * share, bytes = k->bytes * share;
    cJSON *e = event("X", k->name, w->thread + 1), *args;
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(k->facts, "kind");
    cJSON_AddStringToObject(e, "cat", cJSON_IsString(kind) ? kind->valuestring : "kernel");
    cJSON_AddNumberToObject(e, "ts", (double)(w->begin_ns - p->work[0].begin_ns) * 1e-3);
    cJSON_AddNumberToObject(e, "dur", (double)(w->end_ns - w->begin_ns) * 1e-3);
    args = cJSON_AddObjectToObject(e, "args");
    cJSON_AddNumberToObject(args, "GFLOP/s", seconds > 0 ? flops / seconds * 1e-9 : 0);
    cJSON_AddNumberToObject(args, "bytes/s", seconds > 0 ? bytes / seconds : 0);
    cJSON_AddNumberToObject(args, "flops", flops);
    cJSON_AddNumberToObject(args, "bytes", bytes);
    cJSON_AddNumberToObject(args, "units", (double)w->units);
    cJSON_AddNumberToObject(args, "parts", w->parts);
    cJSON_AddNumberToObject(args, "busy_us", (double)w->busy_ns * 1e-3);
    add_facts(args, k->facts);
    write_event(out, e, first);
}

/* Some runs whole: of the first ones as many as do not make the file too large. */
static int64_t work_to_write(const vj_profile *p) {
    int64_t count = 0, at = 0;
    for (int32_t run = 0; run < p->runs && run < MOST_RUNS; run++) {
        while (at < p->work_count && p->work[at].begin_ns < p->run_end[run])
            at++;
        if (run && at > MOST_WORK) break;
        count = at;
    }
    return count;
}

static void write_all(FILE *out, const char *model, const vj_profile *p) {
    bool first = true;
    char name[32];
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", out);
    write_name(out, "process_name", model, 0, &first);
    for (int32_t i = 0; i < p->threads_seen; i++) {
        snprintf(name, sizeof name, "thread %d", (int)i);
        write_name(out, "thread_name", name, i + 1, &first);
    }
    const int64_t count = work_to_write(p);
    for (int64_t i = 0; i < count; i++)
        write_work(out, p, &p->work[i], &first);
    fputs("\n]}\n", out);
}

vj_status vj_trace_write(const char *path, const char *model, const vj_profile *profile) {
    FILE *out = fopen(path, "w");
    if (!out) return vj_print_error(VJ_BAD_INPUT, path, "cannot be written: %s", strerror(errno));
    write_all(out, model, profile);
    const bool bad = ferror(out) != 0;
    if (fclose(out) == 0 && !bad) {
        vj_print_wrote(path);
        return VJ_OK;
    }
    vj_print_error(VJ_SYSTEM, path, "cannot be written: %s", strerror(errno));
    unlink(path);
    return VJ_SYSTEM;
}
