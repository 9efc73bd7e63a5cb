/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.c - the text of a calibration, which people pass on: read, and given to the pass that follows it. */
#include "target.h"

#include "compiler/compiler.h"

/* Two products of one activation. */
static const char function[] = "func @f(%x: f32[3,40]) -> f32[3,5], f32[3,5] {\n"
                               "@w = const seed(1) : f32[40,5]\n@u = const seed(2) : f32[40,5]\n"
                               "%y = linear %x, @w : f32[3,5]\n%a = softmax %y axis=1 : f32[3,5]\n"
                               "%z = linear %x, @u : f32[3,5]\n%b = softmax %z axis=1 : f32[3,5]\n"
                               "return %a, %b\n}\n";

static void follow(vj_unit *u, const vj_calibration *calibration) {
    vj_report report = {.arena = u->arena};
    const vj_pipeline_options options = {.pass_limit = -1,
                                         .precision = VJ_I8,
                                         .calibration = calibration,
                                         .layer_matched = VJ_NEW_ARRAY(u->arena, bool, calibration->layer_count + 1),
                                         .verify = true};
    vj_pass_context c = {
        .arena = u->arena, .options = &options, .report = &report, .error = &u->error, .rewrites_left = -1};
    c.f = vj_parse(u->arena, function, NULL, NULL, &u->error);
    MUST(c.f);
    const vj_status status = vj_run_pass(vj_pass_by_name("precision"), &c);
    if (status == VJ_OK) (void)vj_check_layers(u, &options);
}

typedef struct given {
    const char *text;
    size_t size;
} given;

static vj_status read_and_follow(vj_unit *u, void *self) {
    const given *g = self;
    const vj_calibration *calibration = NULL;
    vj_arena_limit(u->arena, (size_t)512 << 20);
    const vj_status status = vj_read_calibration(u, g->text, g->size, &calibration);
    MUST(status == VJ_OK ? calibration != NULL : u->error.text[0] != 0);
    if (status == VJ_OK) follow(u, calibration);
    return u->error.status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const vj_options options = {.size = sizeof options};
    char error[4096] = "", *text = exact_copy(data, size);
    given g = {text, size};
    const vj_compile_request request = {.path = "model.onnx", .options = &options, .pass_limit = -1};
    MUST(vj_with_unit(&request, read_and_follow, &g, error, sizeof error) == VJ_OK || error[0]);
    free(text);
    return 0;
}
