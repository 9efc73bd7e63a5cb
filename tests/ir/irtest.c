/* SPDX-License-Identifier: Apache-2.0 */
/* irtest.c - runs the *.ir cases of the modes that need no passes: round-trip, verify, infer, run. */
#include "cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/lex.h"

/* The line of the case that an error names. An error at the end of the text counts for the last line. */
static int line_of(const test_case *c, const vj_error *error) {
    int line = atoi(error->text), last = 0;
    for (const char *at = c->text; *at; at += strcspn(at, "\n"), at += *at == '\n')
        last++;
    return line > last ? last : line;
}

static bool parses(test_case *c, const char *text, vj_func **f, vj_error *error) {
    const char *rest;
    *f = vj_parse(c->arena, text, c->folder, &rest, error);
    return *f && vj_verify(*f, error);
}

/* The function's text without comments and blank lines, as the printer writes it. */
static char *without_comments(vj_arena *arena, const char *text) {
    vj_text out = {.arena = arena};
    vj_text_add(&out, "%s", "");
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, "\n");
        if (at[0] != ';' && length) vj_text_add(&out, "%.*s\n", (int)length, at);
        at += length + (at[length] == '\n');
    }
    return out.at;
}

static bool mode_round_trip(test_case *c) {
    vj_error error = {0};
    vj_func *f, *again;
    if (!parses(c, c->text, &f, &error)) return case_fails(c, line_of(c, &error), "%s", error.text);
    char *first = text_of_func(c->arena, f);
    if (!parses(c, first, &again, &error))
        return case_fails(c, 1, "its own text is refused: %s\n%s", error.text, first);
    char *second = text_of_func(c->arena, again);
    if (strcmp(first, second) != 0) return case_fails(c, 1, "printing twice differs\n%s\n%s", first, second);
    if (!*c->expected && strcmp(without_comments(c->arena, c->text), first) == 0) return true;
    return expect_text(c, *c->expected ? c->expected : without_comments(c->arena, c->text), first);
}

/* The lines with `; error: words`. */
typedef struct expected_error {
    int line;
    const char *words, *at;
    size_t length; /* of the line */
} expected_error;

static int expected_errors(test_case *c, expected_error *errors, int room) {
    int count = 0, line = 1;
    for (const char *at = c->text; *at; line++) {
        size_t length = strcspn(at, "\n");
        char *copy = vj_strndup(c->arena, at, length), *mark = strstr(copy, "; error: ");
        if (mark && count < room) errors[count++] = (expected_error){line, mark + 9, at, length};
        at += length + (at[length] == '\n');
    }
    return count;
}

static bool fails_as_said(test_case *c, const char *text, const expected_error *expected) {
    vj_error error = {0};
    vj_func *f;
    if (parses(c, text, &f, &error)) return case_fails(c, expected->line, "expected an error, there is none");
    if (line_of(c, &error) != expected->line || !strstr(error.text, expected->words))
        return case_fails(c, expected->line, "expected '%s', got '%s'", expected->words, error.text);
    return true;
}

static bool mode_verify(test_case *c) {
    expected_error expected[2];
    vj_error error = {0};
    vj_func *f;
    int count = expected_errors(c, expected, 2);
    if (count > 1) return case_fails(c, expected[1].line, "more than one error in a case of mode verify");
    if (count == 1) return fails_as_said(c, c->text, &expected[0]);
    return parses(c, c->text, &f, &error) || case_fails(c, line_of(c, &error), "%s", error.text);
}

/* The text with all lines that must fail blanked, except one. */
static char *with_one_error(test_case *c, const expected_error *errors, int count, int kept) {
    char *text = vj_strdup(c->arena, c->text);
    for (int i = 0; i < count; i++)
        if (i != kept) memset(text + (errors[i].at - c->text), ' ', errors[i].length);
    return text;
}

static bool types_stand(test_case *c, const char *text) {
    int line = 1;
    for (const char *at = text; *at; line++) {
        size_t length = strcspn(at, "\n");
        char *copy = vj_strndup(c->arena, at, length);
        char *equals = strstr(copy, " = ");
        if (copy[0] == ' ' && equals && !strstr(equals, " : ")) return case_fails(c, line, "the type is not given");
        at += length + (at[length] == '\n');
    }
    return true;
}

static bool mode_infer(test_case *c) {
    enum { ROOM = 64 };
    expected_error expected[ROOM];
    vj_error error = {0};
    vj_func *f;
    int count = expected_errors(c, expected, ROOM);
    bool good = true;
    for (int i = 0; i < count; i++)
        good = fails_as_said(c, with_one_error(c, expected, count, i), &expected[i]) && good;
    char *sound = with_one_error(c, expected, count, -1);
    if (!parses(c, sound, &f, &error)) return case_fails(c, line_of(c, &error), "%s", error.text);
    return types_stand(c, sound) && good;
}

/* run */

/* Finds `name = [1,2,3]` in the comments and reads the tensor's elements. */
static bool read_values(test_case *c, const char *comments, const char *name, vj_tensor *t) {
    const char *at = comments;
    size_t length = strlen(name);
    for (; at; at = strchr(at, '\n'), at += at != NULL) {
        at += strspn(at, "; ");
        if (strncmp(at, name, length) == 0 && strncmp(at + length, " = [", 4) == 0) break;
    }
    if (!at) return case_fails(c, 1, "no values are given for %s", name);
    vj_error error = {0};
    vj_lexer l = {.text = at, .at = at + length + 4, .arena = c->arena, .error = &error};
    for (int64_t i = 0; i < t->count; i++) {
        if (i && !vj_lex_expect(&l, ",")) break;
        vj_text_span element = vj_lex_number(&l);
        if (t->f)
            vj_lex_to_float(&l, element, &t->f[i]);
        else if (t->type.dtype == VJ_BOOL)
            t->i[i] = vj_lex_is(element, "true");
        else
            vj_lex_to_int(&l, element, &t->i[i]);
    }
    if (error.status == VJ_OK) vj_lex_expect(&l, "]");
    return error.status == VJ_OK ||
           case_fails(c, 1, "the %lld values of %s: %s", (long long)t->count, name, error.text);
}

static bool is_close(double expected, double got) {
    if (isnan(expected) || isnan(got)) return isnan(expected) && isnan(got);
    if (isinf(expected) || isinf(got)) return expected == got;
    if (expected == 0 && got == 0) return signbit(expected) == signbit(got);
    return fabs(expected - got) <= 1e-12 * fmax(1e-3, fabs(expected)); /* both sides compute in double */
}

static bool expect_values(test_case *c, const char *name, const vj_tensor *got) {
    vj_error error = {0};
    vj_tensor *expected = vj_tensor_new(c->arena, &got->type, &error);
    if (!expected || !read_values(c, c->expected, name, expected)) return false;
    for (int64_t i = 0; i < got->count; i++) {
        if (got->f && !is_close(expected->f[i], got->f[i]))
            return case_fails(c, 1, "%s[%lld] is %.17g, not %.17g", name, (long long)i, got->f[i], expected->f[i]);
        if (got->i && expected->i[i] != got->i[i])
            return case_fails(c, 1, "%s[%lld] is %lld, not %lld", name, (long long)i, (long long)got->i[i],
                              (long long)expected->i[i]);
    }
    return true;
}

static vj_tensor *input_tensor(test_case *c, const vj_func *f, vj_value input, int64_t n, vj_error *error) {
    vj_type type = *vj_type_at(f, input);
    for (int32_t i = 0; i < type.rank; i++)
        type.dims[i] = vj_dim_const(type.dims[i].sym == VJ_SYM_BATCH ? type.dims[i].c * n : type.dims[i].c);
    vj_tensor *t = vj_tensor_new(c->arena, &type, error);
    return t && read_values(c, c->text, f->values[input].name, t) ? t : NULL;
}

static bool mode_run(test_case *c) {
    vj_error error = {0};
    vj_func *f;
    const char *batch = strstr(c->text, "; batch ");
    int64_t n = batch ? atoll(batch + 8) : 1;
    if (!parses(c, c->text, &f, &error)) return case_fails(c, line_of(c, &error), "%s", error.text);
    vj_tensor **inputs = VJ_NEW_ARRAY(c->arena, vj_tensor *, f->input_count);
    vj_tensor **outputs = VJ_NEW_ARRAY(c->arena, vj_tensor *, f->output_count);
    for (int32_t i = 0; i < f->input_count; i++)
        if (!(inputs[i] = input_tensor(c, f, f->inputs[i], n, &error))) return false;
    if (!vj_eval(c->arena, f, n, inputs, outputs, false, &error)) return case_fails(c, 1, "%s", error.text);
    for (int32_t i = 0; i < f->output_count; i++)
        if (!expect_values(c, f->output_names[i], outputs[i])) return false;
    return f->output_count > 0 || case_fails(c, 1, "nothing is returned");
}

int main(int argc, char **argv) {
    static const test_mode_row modes[] = {{"round-trip", mode_round_trip},
                                          {"verify", mode_verify},
                                          {"infer", mode_infer},
                                          {"run", mode_run},
                                          {NULL, NULL}};
    return run_cases(argc > 1 ? argv[1] : VJ_TEST_DIR, modes);
}
