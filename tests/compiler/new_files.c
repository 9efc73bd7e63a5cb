/* SPDX-License-Identifier: Apache-2.0 */
/* new_files.c - tests files that appear together: where one of them cannot, all is as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "compiler/emit/emit.h"
#include "folder.h"

static void holds(const char *name, const char *text) {
    char got[64] = "";
    FILE *f = fopen(in_folder(name), "rb");
    if (text && !f) fail_msg("%s is gone", name);
    if (!f) return;
    got[fread(got, 1, sizeof got - 1, f)] = 0;
    fclose(f);
    if (!text || strcmp(got, text) != 0) fail_msg("%s holds '%s'", name, got);
}

/* Writes a, b and c; before they get their names, `before` is called with b's path. */
static vj_status write_three(void (*before)(const char *path)) {
    vj_error error = {0};
    vj_arena *arena = vj_arena_new();
    vj_new_files files = {.arena = arena};
    static const char *const names[] = {"a", "b", "c"};
    for (int32_t i = 0; i < 3; i++)
        assert_int_equal(vj_new_file_write(&files, vj_strdup(arena, in_folder(names[i])), "new", 3, &error), VJ_OK);
    if (before) before(in_folder("b"));
    const vj_status status = vj_new_files_rename(&files, &error);
    assert_int_equal(status != VJ_OK, error.text[0] != 0);
    vj_new_files_drop(&files);
    vj_arena_free(arena);
    return status;
}

/* A folder is no place for a file's name. */
static void take_place(const char *path) {
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void all_or_none(void **state) {
    (void)state;
    assert_true(folder_make());
    write_file(in_folder("a"), "old", 3);
    assert_int_not_equal(write_three(take_place), VJ_OK);
    holds("a", "old");
    holds("c", NULL);
    assert_int_equal(status_of("test \"$(ls -A %s)\" = \"$(printf 'a\\nb')\"", folder_path()), 0);
    assert_int_equal(rmdir(in_folder("b")), 0);
    assert_int_equal(write_three(NULL), VJ_OK);
    holds("a", "new");
    holds("b", "new");
    holds("c", "new");
    assert_int_equal(status_of("test \"$(ls -A %s)\" = \"$(printf 'a\\nb\\nc')\"", folder_path()), 0);
    assert_true(folder_remove());
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_or_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
