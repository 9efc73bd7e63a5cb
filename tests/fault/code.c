/* SPDX-License-Identifier: Apache-2.0 */
/* code.c - images, objects and --check with failing memory and failing files. What LLVM asks for does not fail: it has no way to say so. */
#include "folder.h"
#include "jobs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Weights in memory; nothing is kept. */

static int find(void *self, const uint64_t digest[2], int64_t bytes) {
    (void)self, (void)digest, (void)bytes;
    return -1;
}
static int create(void *self, const uint64_t digest[2], int64_t bytes) {
    (void)self, (void)digest, (void)bytes;
    return memfd_create("weights", MFD_CLOEXEC);
}
static void commit(void *self, const uint64_t digest[2], int descriptor, int32_t whole) {
    (void)self, (void)digest, (void)descriptor, (void)whole;
}

static void drop(vj_compiled *c) {
    free(c->image);
    if (c->weights_fd >= 0) close(c->weights_fd);
    for (int32_t i = 0; i < c->file_count; i++) {
        free(c->files[i].name);
        free(c->files[i].parts);
    }
    free(c->files);
    if (c->orc) vj_compiler_get()->free_orc(c->orc);
    free(c->gaps);
}

static void compile(void *self, fault_outcome *out) {
    job *j = self;
    const vj_compile_request request = job_request(j);
    const vj_weights_store store = {.find = find, .create = create, .commit = commit};
    vj_compiled c = {.weights_fd = -1};
    out->status = vj_compile(&request, &store, &c, out->text, sizeof out->text);
    if (out->status == VJ_OK) job_compare(j, c.image, c.image_bytes, out);
    drop(&c);
}

static void emit_object(void *self, fault_outcome *out) {
    job *j = self;
    const vj_compile_request request = job_request(j);
    char path[512], *summary = NULL;
    snprintf(path, sizeof path, "%s/model.o", folder_path());
    const vj_emit_request emit = {.what = VJ_EMIT_OBJ, .output = path, .weights_file = 1};
    out->status = vj_emit_files(&request, &emit, &summary, out->text, sizeof out->text);
    free(summary);
    fault_pause();
    if (out->status == VJ_OK) {
        job_compare_file(j, path, out);
        unlink(in_folder("model.h"));
        unlink(in_folder("model.weights"));
    }
    job_look_at_folder(out);
}

static job jobs[] = {
    {.model = DIGITS, .options = {OPTIONS}},
    {.model = DIGITS, .options = {OPTIONS, .use_orc = 1}},
    {.model = DIGITS, .options = {OPTIONS}},
    {.model = DIGITS, .options = {OPTIONS}, .call = vj_check},
};

static const fault_case cases[] = {
    {.name = "compile", .work = compile, .self = &jobs[0], .writes = true, .most = 12},
    {.name = "orc", .work = compile, .self = &jobs[1], .most = 6},
    {.name = "object", .work = emit_object, .self = &jobs[2], .writes = true, .most = 12},
    {.name = "check", .work = job_text, .self = &jobs[3], .most = 12},
};

int main(int argc, char **argv) {
    return job_main(argc, argv, cases, sizeof cases / sizeof *cases, jobs, sizeof jobs / sizeof *jobs);
}
