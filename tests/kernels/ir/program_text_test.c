/* SPDX-License-Identifier: Apache-2.0 */
/* program_text_test.c - tests the text of programs: what is printed reads back, and what is none is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "programs.h"

static char *text_of(const vj_program *p) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    vj_print_program(p, out);
    fclose(out);
    return text;
}

static void text_round_trips(void **state) {
    (void)state;
    static const char *const all[] = {conv,    attention, rounded, norm, segments, batched, batched_segments,
                                      indexed, call,      blocks,  table};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        vj_arena *arena = vj_arena_new();
        vj_program *p = parse_program(arena, all[i]);
        vj_error error = {0};
        if (!vj_verify_program(p, &error)) print_error("%s\n", error.text);
        assert_int_equal(error.status, VJ_OK);
        char *text = text_of(p);
        assert_string_equal(text, all[i]);
        free(text);
        vj_arena_free(arena);
    }
}

static void reader_refuses(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"program p {", "a buffer, a phase or a kernel"},
        {"program p { %x: heap f32[1] }", "arena, input"},
        {"program p { kernel nest a { out %x[0] = 1 } }", "declared"},
        {"program p { kernel nest a { outer i1:3 } }", "an axis of the kernel"},
        {"program p { %x: arena f32[1]\nkernel nest a { out %x[i0] = 1 } }", "line 2"},
        {"program p { %x: arena f32[1] kernel nest a { out %x[0] = foo(1) } }", "expression"},
        {"program p { %x: arena f32[1] kernel nest a { out %x[0] = t0 } }", "defined"},
        {"program p { kernel call a { routine sort } }", "a routine"},
        {"program p { kernel call a { routine topk outer=1 inner=1 } }", "parameters in order"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        assert_null(vj_parse_program(arena, bad[i][0], &error));
        assert_int_equal(error.status, VJ_BAD_INPUT);
        if (!strstr(error.text, bad[i][1])) print_error("%s\n", error.text);
        assert_non_null(strstr(error.text, bad[i][1]));
        vj_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(reader_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
