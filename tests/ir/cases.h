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
 * round-trip  the text printed is the expected one, and parsing and printing it again changes nothing
 * verify      parses and verifies; with a `; error: words` at the end of a line: fails at that line, with these words
 * infer       every node's type stands in the text; each line with `; error: words` fails for itself
 * run         evaluates; before the function `; batch 2` and `; x = [1,2]`, behind it `; y = [2,4]` from another source
 * pass=A,B    runs the passes, compares the printed text (passtest.c)
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
    const char *text;     /* with the function; without the expected text */
    const char *expected; /* the trailing comments, without their "; "; "" when there are none */
    const char *folder;
    char *blessed; /* what a mode wants to stand in the trailing comments; NULL: as it is */
    vj_arena *arena;
} test_case;

/* False and a printed reason when the case does not hold. */
typedef bool (*test_mode)(test_case *c);
typedef struct test_mode_row {
    const char *prefix; /* of the mode line's word */
    test_mode run;
} test_mode_row;

/* Runs every case of the folder's *.ir files; returns the exit status. Rows end with a NULL prefix. */
int run_cases(const char *folder, const test_mode_row *modes);
/* Prints file:line and why; returns false. `line` counts from 1 inside the case. */
bool case_fails(const test_case *c, int line, const char *format, ...) VJ_PRINTF(3, 4);
/* Compares with the expected text, or notes it to be blessed. */
bool expect_text(test_case *c, const char *expected, const char *got);
char *text_of_func(vj_arena *arena, const vj_func *f);

#endif
