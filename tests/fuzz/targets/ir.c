/* SPDX-License-Identifier: Apache-2.0 */
/* ir.c - texts of vitjit's own languages. Functions: parsed, verified, printed, read again, planned. Programs: parsed, verified, printed, read again. */
#include "target.h"

#include "passes/passes.h"

static char *printed(const vj_func *f, const vj_program *p) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out) exit(2);
    if (f) vj_print(f, out);
    if (p) vj_print_program(p, out);
    fclose(out);
    return text;
}

/* What is printed reads back, and prints the same; large constants alone are not written out but named. */
static void round_trip(vj_arena *arena, const vj_func *f, const vj_program *p) {
    vj_error error = {0};
    char *text = printed(f, p);
    if (f && strstr(text, " = const bytes(")) {
        free(text);
        return;
    }
    const vj_func *f2 = f ? vj_parse(arena, text, NULL, NULL, &error) : NULL;
    const vj_program *p2 = p ? vj_parse_program(arena, text, &error) : NULL;
    MUST(f2 || p2);
    char *again = printed(f2, p2);
    MUST(strcmp(text, again) == 0);
    free(text);
    free(again);
}

typedef struct trial {
    const char *text;
    size_t size;
    vj_arena *arena;
} trial;

static void try_text(void *self) {
    const trial *t = self;
    vj_arena *arena = t->arena;
    vj_error error = {0}, other = {0};
    vj_func *f = vj_parse(arena, t->text, NULL, NULL, &error);
    MUST(f || error.text[0]);
    if (f && vj_verify(f, &error)) {
        round_trip(arena, f, NULL);
        plan_function(arena, f, t->size, &error);
    }
    const vj_program *p = f ? NULL : vj_parse_program(arena, t->text, &other);
    MUST(f || p || other.text[0]);
    if (p && vj_verify_program(p, &other)) round_trip(arena, NULL, p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = text_copy(data, size);
    trial t = {text, size, NULL};
    with_arena(&t.arena, try_text, &t);
    free(text);
    return 0;
}
