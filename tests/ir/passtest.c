/* SPDX-License-Identifier: Apache-2.0 */
/* passtest.c - runs the *.ir cases of mode pass=NAME[,NAME] in the given folder: runs and verifies each pass in turn,
 * then compares the text. A case also fails when running its last pass again changes something. */
#include <stdlib.h>
#include <string.h>

#include "passcase.h"

static char *text_of_program(vj_arena *arena, const vj_program *p) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    vj_print_program(p, out);
    fclose(out);
    char *copy = vj_strdup(arena, text);
    free(text);
    return copy;
}

static bool verified(const test_case *c, const vj_pass_context *context, const char *pass) {
    vj_error error = {0};
    if (context->p ? vj_verify_program(context->p, &error) : vj_verify(context->f, &error)) return true;
    return case_fails(c, 1, "after %s: %s", pass, error.text);
}

static char *text_of(const test_case *c, const vj_pass_context *context) {
    return context->p ? text_of_program(c->arena, context->p) : text_of_func(c->arena, context->f);
}

static bool run_named(const test_case *c, vj_pass_context *context, const char *name) {
    const vj_pass *pass = vj_pass_by_name(name);
    if (!pass) return case_fails(c, 1, "there is no pass %s", name);
    if (vj_run_pass(pass, context) != VJ_OK) return case_fails(c, 1, "%s: %s", name, context->error->text);
    return verified(c, context, name);
}

static bool is_idempotent(const test_case *c, vj_pass_context *context, const char *name, const char *before) {
    if (context->p) return true; /* a pass that lowers has nothing left to start from */
    if (!run_named(c, context, name)) return false;
    char *after = text_of(c, context);
    return strcmp(before, after) == 0 || case_fails(c, 1, "%s a second time gives\n%s", name, after);
}

static bool mode_pass(test_case *c) {
    vj_error error = {0};
    vj_report report = {.arena = c->arena};
    vj_pipeline_options options = {.target = vj_target_by_name("x86-64-v4"),
                                   .pass_limit = -1,
                                   .keep_attention = VJ_KEEP_ATTENTION_ROWS,
                                   .verify = true};
    set_options(c, &options);
    vj_func *f = vj_parse(c->arena, c->text, c->folder, NULL, &error);
    if (!f || !vj_verify(f, &error)) return case_fails(c, atoi(error.text), "%s", error.text);
    vj_pass_context context = {
        .arena = c->arena, .f = f, .options = &options, .report = &report, .error = &error, .rewrites_left = -1};
    const char *name = "", *next, *at = passes_of(c);
    while ((next = next_pass(c, &at))) {
        name = next;
        if (!run_named(c, &context, name)) return false;
    }
    char *text = text_of(c, &context);
    return is_idempotent(c, &context, name, text) && expect_text(c, c->expected, text);
}

int main(int argc, char **argv) {
    static const test_mode_row modes[] = {{"pass=", mode_pass}, {NULL, NULL}};
    if (argc < 2) return 1;
    return run_cases(argv[1], modes);
}
