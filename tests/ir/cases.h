/* SPDX-License-Identifier: Apache-2.0 */
/* cases.h - small text cases: files *.ir of functions in the textual form with a mode line on top.
 *
 *     ; test round-trip
 *     func @main(%x: f32[3]) -> f32[3] {
 *       ...
 *     }
 *     ; the expected text, when it is not the function itself
 *     ; -----
 *     the next case; it may have a mode line of its own
 *
 * round-trip  the printed text is the expected one, and parsing and printing it again changes nothing
 * verify      the text parses and verifies, or, where a line ends with `; error: words`, fails at that line with these words
 * infer       the text gives every node's type; each line with `; error: words` fails by itself
 * run         the function is evaluated with `; batch 2` and `; x = [1,2]` before it; its result must be `; y = [2,4]` after
 *             it, which comes from another source
 * pass=A,B    runs the passes and compares the printed text (passtest.c); options may follow (passcase.h)
 *
 * BLESS=1 rewrites the expected texts of round-trip and pass.
 */
#ifndef VITJIT_TESTS_CASES_H
#define VITJIT_TESTS_CASES_H

#include "ir/tensor/ir.h"

typedef struct test_case {
    const char *file;
    int line; /* of its first line in the file */
    const char *mode;
    const char *text;     /* without the expected text */
    const char *expected; /* the trailing comments, without their "; "; "" when there are none */
    const char *folder;
    char *blessed; /* what BLESS=1 writes as the trailing comments; NULL: they stay */
    vj_arena *arena;
} test_case;

/* Runs a case. Returns false and prints a reason when it fails. */
typedef bool (*test_mode)(test_case *c);
typedef struct test_mode_row {
    const char *prefix; /* of the mode line's word */
    test_mode run;
} test_mode_row;

/* Runs every case of the folder's *.ir files. Returns the exit status. The last row has a NULL prefix. */
int run_cases(const char *folder, const test_mode_row *modes);
/* Prints file:line and the reason. Returns false. `line` counts from 1 inside the case. */
bool case_fails(const test_case *c, int line, const char *format, ...) VJ_PRINTF(3, 4);
/* Compares `got` with the expected text, or notes it for BLESS=1. */
bool expect_text(test_case *c, const char *expected, const char *got);
char *text_of_func(vj_arena *arena, const vj_func *f);

#endif
