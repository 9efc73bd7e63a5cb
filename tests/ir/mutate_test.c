/* SPDX-License-Identifier: Apache-2.0 */
/* mutate_test.c - reads the cases of this folder with random damage. A text must be refused with a status, or be a
 * sound function whose text reads back and prints the same. The damage is the same on every run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "ir/tensor/ir.h"

static uint64_t state_of_random = 88172645463325252u;

/* xorshift64 (Marsaglia 2003) */
static size_t random_below(size_t end) {
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return (size_t)(state_of_random % end);
}

static char *printed(const vj_func *f) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    vj_print(f, out);
    fclose(out);
    return text;
}

static void check_sound(vj_arena *arena, vj_func *f) {
    vj_error error = {0};
    if (!vj_verify(f, &error)) fail_msg("%s", error.text);
    char *first = printed(f);
    vj_func *again = vj_parse(arena, first, NULL, NULL, &error);
    if (!again) fail_msg("%s\n%s", error.text, first);
    char *second = printed(again);
    assert_string_equal(first, second);
    vj_compact(f);
    if (!vj_verify(f, &error)) fail_msg("compacted: %s\n%s", error.text, first);
    free(first);
    free(second);
}

static void check(const char *text) {
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    vj_func *f = vj_parse(arena, text, NULL, NULL, &error);
    if (f)
        check_sound(arena, f);
    else
        assert_int_equal(error.status, VJ_BAD_INPUT);
    vj_arena_free(arena);
}

/* Damages a text in place: changes a byte, drops or copies some bytes, or inserts a word that means something
 * elsewhere. */
static void damage(char *text) {
    static const char *const words[] = {"N",  "-1", "999999999", "0",   "[",    "]",  "_", "9223372036854775807",
                                        "%0", "\"", "s0",        "\\x", "bool", "inf"};
    size_t length = strlen(text), at = random_below(length), span = random_below(12), from = random_below(length);
    if (length < 64) return;
    if (at + span >= length) at = 0;
    if (from + span >= length) from = 0;
    const char *word = words[random_below(sizeof words / sizeof *words)];
    switch (random_below(5)) {
    case 0:
        text[at] = (char)(1 + random_below(255));
        break;
    case 1:
        memmove(text + at, text + at + span, length - at - span + 1);
        break;
    case 2:
        memmove(text + at, text + from, span);
        break;
    case 3:
        memcpy(text + (at < length - 32 ? at : 0), word, strlen(word));
        break;
    default:
        text[random_below(4) ? at : length - 1] = "0123456789N,[]%@=: "[random_below(19)];
        break;
    }
}

/* Splits the text of a file at the bars between its cases. */
static void damage_cases(char *text) {
    for (char *bar; text; text = bar) {
        bar = strstr(text, "; -----");
        if (bar) *bar = 0, bar += strlen("; -----");
        size_t length = strlen(text);
        for (int i = 0; i < 150 && length; i++) {
            char *copy = malloc(length + 1); /* exactly as long, so that a sanitizer sees a read beyond it */
            assert_non_null(copy);
            memcpy(copy, text, length + 1);
            for (size_t k = random_below(4); k > 0 && *copy; k--)
                damage(copy);
            check(copy);
            free(copy);
        }
    }
}

static char *read_whole(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
    fclose(in);
    return text;
}

static int is_ir_file(const struct dirent *entry) { return strstr(entry->d_name, ".ir") != NULL; }

static void damaged_texts_do_no_harm(void **state) {
    (void)state;
    struct dirent **entries = NULL;
    int count = scandir(VJ_TEST_DIR, &entries, is_ir_file, alphasort);
    assert_true(count > 5);
    for (int i = 0; i < count; i++) {
        char *text = read_whole(VJ_TEST_DIR, entries[i]->d_name);
        damage_cases(text);
        free(text);
        free(entries[i]);
    }
    free(entries);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_texts_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
