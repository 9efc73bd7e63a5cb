/* SPDX-License-Identifier: Apache-2.0 */
/* plain_test.c - texts from files, as they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command/command.h"

static void becomes(const char *text, const char *wanted) {
    char *plain = vj_plain_text(text);
    assert_non_null(plain);
    assert_string_equal(plain, wanted);
    free(plain);
}

static void what_a_terminal_obeys_is_shown(void **state) {
    (void)state;
    becomes("tabby, tabby cat", "tabby, tabby cat");
    becomes("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x88", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x88");
    becomes("\x1b[31mred\x7f\r\n\ta", "\\x1b[31mred\\x7f\\x0d\\x0a\\x09"
                                      "a");
    becomes("\xc2\x9b"
            "2J",
            "\\xc2\\x9b"
            "2J"); /* CSI in one character */
    becomes("\x9b"
            "2J\xff",
            "\\x9b"
            "2J\\xff"); /* and in one byte */
    becomes("a\xe2\x80\xae"
            "b",
            "a\\xe2\\x80\\xae"
            "b");                                                 /* from right to left */
    becomes("\xc0\x8a\xed\xa0\x80", "\\xc0\\x8a\\xed\\xa0\\x80"); /* a line's end too long, half of a pair */
    becomes("\xe2\x82", "\\xe2\\x82");                            /* cut short */
}

static void ends_of_lines_may_stay(void **state) {
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    vj_put_plain(out, "a\n\tb\x1b\r", true);
    fclose(out);
    assert_string_equal(text, "a\n\tb\\x1b\\x0d");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_a_terminal_obeys_is_shown),
                                       cmocka_unit_test(ends_of_lines_may_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
