/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - a function through all passes up to the plan, with the verifier behind each; no code is generated. */
#include "target.h"

#include "passes/passes.h"

/* The precisions that go together with the formats of weights. */
static void choose(uint64_t choice, vj_pipeline_options *options) {
    static const vj_dtype pairs[][2] = {{VJ_F32, VJ_F32}, {VJ_BF16, VJ_BF16}, {VJ_I8, VJ_I8},  {VJ_F32, VJ_F16},
                                        {VJ_F32, VJ_I8},  {VJ_F32, VJ_I4},    {VJ_BF16, VJ_I4}};
    static const char *const targets[] = {"x86-64-v4", "x86-64", "aarch64", "wasm32"};
    const vj_dtype *pair = pairs[choice % 4 ? 0 : choice / 16 % (sizeof pairs / sizeof *pairs)];
    options->precision = pair[0];
    options->weight_format = pair[1];
    options->target = vj_target_by_name(targets[choice / 4 % 4]);
    if (!options->target) options->target = vj_target_by_name("x86-64");
}

void with_arena(vj_arena **arena, void (*work)(void *self), void *self) {
    *arena = vj_arena_new();
    if (!*arena) exit(2);
    vj_arena_limit(*arena, (size_t)512 << 20);
    const bool fits = vj_arena_try(*arena, work, self);
    (void)fits;
    vj_arena_free(*arena);
}

int plan_function(vj_arena *arena, vj_func *f, uint64_t choice, vj_error *error) {
    bool matched[1] = {false};
    vj_pipeline_options options = {
        .pass_limit = -1, .verify = true, .keep_f32_matched = matched, .layer_matched = matched};
    vj_report report = {.arena = arena};
    vj_program *program = NULL;
    choose(choice, &options);
    const vj_status status = vj_run_passes(arena, f, &options, &report, &program, error);
    MUST(status == VJ_OK ? program != NULL : error->text[0] != 0);
    return (int)status;
}
