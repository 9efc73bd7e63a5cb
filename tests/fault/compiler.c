/* SPDX-License-Identifier: Apache-2.0 */
/* compiler.c - the calls of the compiler that make no code, with failing memory and failing files. Arenas have a block for each allocation, so that
 * each can fail. */
#include "folder.h"
#include "jobs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void emit_ir(void *self, fault_outcome *out) {
    job *j = self;
    const vj_compile_request request = job_request(j);
    char path[512], *summary = NULL;
    snprintf(path, sizeof path, "%s/model.ir", folder_path());
    const vj_emit_request emit = {.what = VJ_EMIT_IR, .output = path, .weights_file = -1};
    out->status = vj_emit_files(&request, &emit, &summary, out->text, sizeof out->text);
    free(summary);
    fault_pause();
    if (out->status == VJ_OK) job_compare_file(j, path, out);
    job_look_at_folder(out);
}

static void read_tensor(void *self, fault_outcome *out) {
    job *j = self;
    vj_read_data read;
    out->status = vj_read_tensor(j->model, &read, out->text, sizeof out->text);
    if (out->status == VJ_OK) job_compare(j, read.data, read.bytes, out);
    free(read.name);
    free(read.data);
}

#define FIXTURE VJ_SOURCE_DIR "/tests/fixtures/quantised/"

static job jobs[] = {
    {.model = DIGITS, .options = {OPTIONS}, .call = vj_inspect},
    {.model = DIGITS, .options = {OPTIONS}, .call = vj_report_text},
    {.model = DIGITS, .options = {OPTIONS}, .call = vj_explain},
    {.model = DIGITS, .options = {OPTIONS}},
    {.model = FIXTURE "hf_vit.qdq_u8s8.onnx", .options = {OPTIONS}, .call = vj_explain},
    {.model = FIXTURE "hybrid.dynamic_u8.onnx", .options = {OPTIONS}, .call = vj_report_text},
    {.model = DIGITS, .options = {OPTIONS, .precision = VJ_I8}, .call = vj_explain},
    {.model = DIGITS, .options = {OPTIONS, .weight_format = VJ_I4}, .call = vj_explain},
    {.model = VJ_SOURCE_DIR "/tests/runtime/data/external.onnx", .options = {OPTIONS}, .call = vj_inspect},
    {.model = VJ_SOURCE_DIR "/tests/onnx/data/abs/input_0.pb", .options = {OPTIONS}},
};

static const fault_case cases[] = {
    {.name = "inspect", .work = job_text, .self = &jobs[0]},
    {.name = "report", .work = job_text, .self = &jobs[1]},
    {.name = "explain", .work = job_text, .self = &jobs[2]},
    {.name = "kernel IR", .work = emit_ir, .self = &jobs[3], .writes = true},
    {.name = "quantised", .work = job_text, .self = &jobs[4]},
    {.name = "dynamic", .work = job_text, .self = &jobs[5]},
    {.name = "int8", .work = job_text, .self = &jobs[6]},
    {.name = "int4 weights", .work = job_text, .self = &jobs[7]},
    {.name = "external data", .work = job_text, .self = &jobs[8]},
    {.name = "tensor", .work = read_tensor, .self = &jobs[9]},
};

int main(int argc, char **argv) {
    return job_main(argc, argv, cases, sizeof cases / sizeof *cases, jobs, sizeof jobs / sizeof *jobs);
}
