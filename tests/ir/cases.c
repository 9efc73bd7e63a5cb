/* SPDX-License-Identifier: Apache-2.0 */
/* cases.c - reads, runs and blesses small text cases. */
#include "cases.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static bool blessing(void) {
    const char *bless = getenv("BLESS");
    return bless && strcmp(bless, "1") == 0;
}

bool case_fails(const test_case *c, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", c->file, c->line + line - 1);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return false;
}

bool expect_text(test_case *c, const char *expected, const char *got) {
    if (strcmp(expected, got) == 0) return true;
    if (blessing()) {
        c->blessed = vj_strdup(c->arena, got);
        return true;
    }
    return case_fails(c, 1, "the texts differ\n--- expected\n%s+++ got\n%s---", expected, got);
}

char *text_of_func(vj_arena *arena, const vj_func *f) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    vj_print(f, out);
    fclose(out);
    char *copy = vj_strdup(arena, text);
    free(text);
    return copy;
}

static char *read_whole(vj_arena *arena, const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in) return NULL;
    vj_text text = {.arena = arena};
    char block[4096];
    vj_text_add(&text, "%s", "");
    for (size_t got; (got = fread(block, 1, sizeof block - 1, in)) > 0;) {
        block[got] = 0;
        vj_text_add(&text, "%s", block);
    }
    fclose(in);
    return text.at;
}

static size_t line_length(const char *at) { return strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n'); }

/* The comments after the last line that begins with }. *end_of_text becomes the offset at which they begin. */
static char *trailing_comments(vj_arena *arena, char *text, char **end_of_text) {
    vj_text out = {.arena = arena};
    *end_of_text = text + strlen(text);
    for (char *at = text; *at; at += line_length(at))
        if (*at == '}') *end_of_text = at + line_length(at);
    vj_text_add(&out, "%s", "");
    for (char *at = *end_of_text; *at; at += line_length(at)) {
        size_t skip = at[0] == ';' ? 1 + (at[1] == ' ') : 0;
        if (at[0] == ';') vj_text_add(&out, "%.*s", (int)(line_length(at) - skip), at + skip);
    }
    return out.at;
}

static const test_mode_row *row_of(const test_mode_row *modes, const char *mode) {
    for (; modes->prefix; modes++)
        if (strncmp(mode, modes->prefix, strlen(modes->prefix)) == 0) return modes;
    return NULL;
}

typedef struct file_run {
    vj_arena *arena; /* of the file's text and what is written back */
    const char *path, *folder, *mode;
    const test_mode_row *modes;
    int cases, failures;
    vj_text rewritten;
    bool is_blessed;
} file_run;

static void note_mode(file_run *r, char *text) {
    for (char *at = text; *at == ';' || *at == '\n'; at += line_length(at))
        if (strncmp(at, "; test ", 7) == 0) r->mode = vj_strndup(r->arena, at + 7, strcspn(at + 7, "\n"));
}

static void append_case(file_run *r, const test_case *c, const char *original) {
    if (!c->blessed) {
        vj_text_add(&r->rewritten, "%s", original);
        return;
    }
    r->is_blessed = true;
    vj_text_add(&r->rewritten, "%s", c->text);
    for (const char *at = c->blessed; *at; at += line_length(at))
        vj_text_add(&r->rewritten, "; %.*s", (int)line_length(at), at);
}

static void run_case(file_run *r, char *text, int line) {
    char *original = vj_strdup(r->arena, text), *end_of_text;
    note_mode(r, text);
    test_case c = {.file = r->path, .line = line, .mode = r->mode, .text = text, .folder = r->folder};
    c.arena = vj_arena_new();
    c.expected = trailing_comments(c.arena, text, &end_of_text);
    *end_of_text = 0;
    const test_mode_row *row = r->mode ? row_of(r->modes, r->mode) : NULL;
    if (!row) case_fails(&c, 1, "no known mode line (; test ...)");
    if (!row || !row->run(&c)) r->failures++;
    r->cases++;
    append_case(r, &c, original);
    vj_arena_free(c.arena);
}

static void run_file(file_run *r) {
    char *text = read_whole(r->arena, r->path);
    int line = 1;
    while (text && *text) {
        char *end = text;
        while (*end && strncmp(end, "; -----", 7) != 0)
            end += line_length(end);
        char *one = vj_strndup(r->arena, text, (size_t)(end - text));
        int lines = 0;
        for (char *at = text; at < end; at += line_length(at))
            lines++;
        run_case(r, one, line);
        size_t bar = *end ? line_length(end) : 0;
        vj_text_add(&r->rewritten, "%.*s", (int)bar, end);
        line += lines + 1;
        text = end + bar;
    }
    if (!r->cases) {
        fprintf(stderr, "%s: no case\n", r->path);
        r->failures++;
    }
}

static void write_back(const file_run *r) {
    FILE *out = fopen(r->path, "wb");
    if (!out) return;
    fwrite(r->rewritten.at, 1, r->rewritten.length, out);
    fclose(out);
    printf("%s: blessed\n", r->path);
}

static int is_ir_file(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 3 && strcmp(entry->d_name + length - 3, ".ir") == 0;
}

int run_cases(const char *folder, const test_mode_row *modes) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_ir_file, alphasort), cases = 0, failures = 0;
    for (int i = 0; i < count; i++) {
        file_run r = {.arena = vj_arena_new(), .folder = folder, .modes = modes};
        r.rewritten.arena = r.arena;
        r.path = vj_sprintf(r.arena, "%s/%s", folder, entries[i]->d_name);
        run_file(&r);
        if (r.is_blessed) write_back(&r);
        cases += r.cases;
        failures += r.failures;
        vj_arena_free(r.arena);
        free(entries[i]);
    }
    free(entries);
    printf("%d cases, %d failures\n", cases, failures);
    return failures > 0 || cases == 0;
}
