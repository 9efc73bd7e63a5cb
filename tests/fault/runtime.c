/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.c - the C API with failing memory and failing files: models from the cache, models compiled anew, sizes as they come, shared libraries, each run
 * once. The answers are those of plain loops. */
#include "faults.h"
#include "folder.h"
#include "small.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH 3

typedef struct job {
    const char *model;
    const char *cache; /* a folder of the test's; NULL: none */
    bool in_memory;    /* the model is given as bytes */
    bool anew;         /* nothing is in the cache before */
    bool after_that;   /* what is in the cache is used again without a fault */
} job;

static vj_status fail(fault_outcome *out, vj_status status) {
    out->status = status;
    snprintf(out->text, sizeof out->text, "%s", vj_error_message());
    return status;
}

/* All of a session. */
static vj_status run(vj_model *m, fault_outcome *out) {
    float x[BATCH * WIDTH], y[BATCH * WIDTH] = {0};
    vj_session *s = NULL;
    fill(x, BATCH, 1);
    vj_status status = vj_session_create(m, &s);
    if (status == VJ_OK) status = bind_small(s, x, y, BATCH);
    if (status == VJ_OK) status = vj_run(s);
    if (status != VJ_OK)
        fail(out, status);
    else if (!answers(x, y, BATCH, FIRST))
        snprintf(out->wrong, sizeof out->wrong, "wrong numbers");
    vj_session_free(s);
    return status;
}

static vj_options options_of(const job *j) {
    vj_options o;
    vj_options_init(&o);
    o.cache = j->cache ? j->cache : "";
    o.threads = 2;
    return o;
}

static vj_status compile_and_run(const job *j, fault_outcome *out) {
    static char bytes[1 << 16];
    const vj_options o = options_of(j);
    vj_model *m = NULL;
    size_t size = 0;
    if (j->in_memory) {
        fault_pause();
        FILE *file = fopen(j->model, "rb");
        size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
        if (file) fclose(file);
        fault_resume();
    }
    vj_status status = j->in_memory ? vj_compile_memory(bytes, size, &o, &m) : vj_compile_file(j->model, &o, &m);
    if (status == VJ_OK) {
        vj_model_stats stats = {.size = sizeof stats};
        vj_model_get_stats(m, &stats);
        status = run(m, out);
    } else {
        fail(out, status);
    }
    vj_model_free(m);
    return status;
}

static void compile(void *self, fault_outcome *out) {
    const job *j = self;
    if (j->anew) {
        fault_pause();
        if (status_of("rm -rf '%s'/*", j->cache) != 0) snprintf(out->wrong, sizeof out->wrong, "no folder");
        fault_resume();
    }
    compile_and_run(j, out);
    if (!j->after_that) return;
    fault_pause();
    fault_outcome again = {.status = VJ_OK};
    if (compile_and_run(j, &again) != VJ_OK || again.wrong[0])
        snprintf(out->wrong, sizeof out->wrong, "afterwards: %.900s%.90s", again.text, again.wrong);
}

static void load(void *self, fault_outcome *out) {
    const job *j = self;
    const vj_options o = options_of(j);
    vj_model *m = NULL;
    vj_status status = vj_load(j->model, &o, &m);
    if (status == VJ_OK)
        run(m, out);
    else
        fail(out, status);
    vj_model_free(m);
}

static void use_family(void *self, fault_outcome *out) {
    const job *j = self;
    const vj_options o = options_of(j);
    vj_family *f = NULL;
    vj_model *m = NULL, *same = NULL;
    const vj_shape shape = {"x", 2, {BATCH, WIDTH}};
    vj_status status = vj_family_open(j->model, &o, NULL, 0, &f);
    if (status == VJ_OK) status = vj_family_model(f, &shape, 1, &m);
    if (status == VJ_OK) status = vj_family_model(f, &shape, 1, &same);
    if (status != VJ_OK)
        fail(out, status);
    else if (m != same)
        snprintf(out->wrong, sizeof out->wrong, "another model for the same shapes");
    else
        run(m, out);
    vj_family_free(f);
}

static char library[512], cache[512], cold[512];

static job jobs[] = {
    {.model = VJ_TEST_DIR "/data/small.onnx", .cache = cache},
    {.model = VJ_TEST_DIR "/data/small.onnx", .cache = cache, .in_memory = true},
    {.model = VJ_TEST_DIR "/data/external.onnx", .cache = cache},
    {.model = VJ_TEST_DIR "/data/small.onnx", .cache = cache},
    {.model = library},
    {.model = VJ_TEST_DIR "/data/small.onnx", .cache = cold, .anew = true, .after_that = true},
    {.model = VJ_TEST_DIR "/data/small.onnx", .cache = cache, .after_that = true},
};

int main(int argc, char **argv) {
    static const fault_case cases[] = {
        {.name = "cached", .work = compile, .self = &jobs[0], .writes = true},
        {.name = "bytes", .work = compile, .self = &jobs[1], .writes = true},
        {.name = "external data", .work = compile, .self = &jobs[2], .writes = true},
        {.name = "family", .work = use_family, .self = &jobs[3], .writes = true},
        {.name = "library", .work = load, .self = &jobs[4], .writes = true},
        {.name = "used again", .work = compile, .self = &jobs[6], .writes = true},
        {.name = "compiled", .work = compile, .self = &jobs[5], .writes = true, .most = 24},
    };
    if (!folder_make()) return 1;
    snprintf(cache, sizeof cache, "%s/cache", folder_path());
    snprintf(cold, sizeof cold, "%s/cold", folder_path());
    snprintf(library, sizeof library, "%s/small.so", folder_path());
    int status =
        mkdir(cache, 0700) != 0 || mkdir(cold, 0700) != 0 ||
        status_of("'%s' '%s/data/small.onnx' --emit-lib -o '%s' --no-cache", VJ_CLI, VJ_TEST_DIR, library) != 0;
    if (status == 0) status = fault_main(argc, argv, cases, (int)(sizeof cases / sizeof *cases));
    return folder_remove() ? status : 1;
}
