/* SPDX-License-Identifier: Apache-2.0 */
/* options_test.c - tests the parsing of the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command/command.h"

#define MAX_WORDS 32

/* Splits words at blanks, like a shell. */
static vj_status read_line(const char *line, vj_command *command) {
    static char text[1024];
    char *argv[MAX_WORDS] = {(char[]){"vitjit"}};
    int argc = 1;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word && argc < MAX_WORDS; word = strtok(NULL, " "))
        argv[argc++] = word;
    return vj_command_read(argc, argv, command);
}

static vj_command good(const char *line) {
    vj_command command;
    const vj_status status = read_line(line, &command);
    if (status != VJ_OK) fail_msg("status %d of '%s'", (int)status, line);
    return command;
}

static void bad(const char *line) {
    vj_command command;
    const vj_status status = read_line(line, &command);
    vj_command_free(&command);
    if (status != VJ_USAGE) fail_msg("status %d of '%s'", (int)status, line);
}

static void has_mode(const char *line, vj_mode mode) {
    vj_command command = good(line);
    if (command.mode != mode) fail_msg("mode %x of '%s'", (unsigned)command.mode, line);
    vj_command_free(&command);
}

static void modes(void **state) {
    (void)state;
    has_mode("m.onnx", VJ_MODE_INTRODUCE);
    has_mode("m.onnx --batch 3 --quiet --stats", VJ_MODE_INTRODUCE);
    has_mode("m.onnx a.png", VJ_MODE_PICTURES);
    has_mode("m.onnx -", VJ_MODE_PICTURES);
    has_mode("m.onnx a.png --output out --topk 3", VJ_MODE_PICTURES);
    has_mode("m.onnx --input x=x.npy", VJ_MODE_TENSORS);
    has_mode("m.onnx a.png --input x=x.npy", VJ_MODE_PICTURES);
    has_mode("m.onnx --output out", VJ_MODE_TENSORS);
    has_mode("m.onnx --expect y=y.npy", VJ_MODE_TENSORS);
    has_mode("m.onnx --bench", VJ_MODE_BENCH);
    has_mode("m.onnx --bench --input x=x.npy", VJ_MODE_BENCH);
    has_mode("m.onnx a.png --bench --input x=x.npy --streams 2", VJ_MODE_BENCH);
    has_mode("--test m.onnx a b", VJ_MODE_TEST);
    has_mode("m.onnx --print-after fold", VJ_MODE_PASSES);
    has_mode("m.onnx --print-rewrites", VJ_MODE_PASSES);
    has_mode("m.onnx --print-after fold --emit-obj", VJ_MODE_EMIT);
    has_mode("cache ls", VJ_MODE_CACHE);
    has_mode("cache verify", VJ_MODE_CACHE);
    has_mode("cache prune", VJ_MODE_CACHE);
    has_mode("cache rm m.onnx", VJ_MODE_CACHE);
    has_mode("targets", VJ_MODE_TARGETS);
    has_mode("--version", VJ_MODE_VERSION);
    has_mode("-h", VJ_MODE_HELP);
    has_mode("m.onnx --bench --help", VJ_MODE_HELP);
}

static void values(void **state) {
    (void)state;
    vj_command c = good("-j3 m.onnx --bench 0.5 --batch=4 --input a=b=c.npy --input d=e.npy --no-cache --pass-limit 0");
    assert_int_equal(c.threads, 3);
    assert_int_equal(c.batch, 4);
    assert_true(c.seconds > 0.49 && c.seconds < 0.51);
    assert_int_equal(c.inputs.count, 2);
    assert_string_equal(c.inputs.at[0], "a=b=c.npy");
    assert_true(c.no_cache);
    assert_int_equal(c.pass_limit, 0);
    assert_true(vj_option_given(&c, "--batch"));
    assert_false(vj_option_given(&c, "--stats"));
    assert_string_equal(c.model, "m.onnx");
    vj_command_free(&c);
    c = good("--bench m.onnx");
    assert_true(c.seconds > 2.9 && c.seconds < 3.1);
    assert_int_equal(c.pass_limit, -1);
    vj_command_free(&c);
    c = good("-- --odd.onnx --odder.png");
    assert_string_equal(c.model, "--odd.onnx");
    assert_int_equal(c.words.count, 2);
    vj_command_free(&c);
    c = good("m.onnx --emit-llvm -o x.ll --weights file --prefix p");
    assert_int_equal(c.emit, VJ_EMIT_LL);
    assert_string_equal(c.emit_path, "x.ll");
    vj_command_free(&c);
}

static void precisions(void **state) {
    (void)state;
    vj_command c = good("m.onnx --precision bf16 --keep-f32 head* --keep-f32=*/fc1");
    assert_string_equal(c.precision, "bf16");
    assert_null(c.weight_format);
    assert_int_equal(c.keep_f32.count, 2);
    assert_string_equal(c.keep_f32.at[0], "head*");
    assert_string_equal(c.keep_f32.at[1], "*/fc1");
    vj_command_free(&c);
    c = good("m.onnx --keep-f32 x --precision f32"); /* the model may ask for less */
    assert_int_equal(c.keep_f32.count, 1);
    c = good("m.onnx --emit-obj --weight-format f16 --keep-f32 x");
    assert_null(c.precision);
    assert_string_equal(c.weight_format, "f16");
    vj_command_free(&c);
    static const char *const both[] = {"f32", "bf16", "int8"};
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        char line[128];
        snprintf(line, sizeof line, "m.onnx --keep-f32 x --weight-format %s --precision %s", i < 2 ? "int4" : "int8",
                 both[i]);
        c = good(line);
        assert_string_equal(c.weight_format, i < 2 ? "int4" : "int8");
        vj_command_free(&c);
    }
    static const char *const modes[] = {"--inspect",   "--report",           "--check",    "--bench",
                                        "a.png",       "--input x=x.npy",    "--emit-lib", "--emit-asm",
                                        "--emit-llvm", "--print-after fold", "--test a"};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char line[128];
        snprintf(line, sizeof line, "m.onnx --precision bf16 --weight-format bf16 --keep-f32 x %s", modes[i]);
        c = good(line);
        vj_command_free(&c);
    }
}

static void lists_of_precisions(void **state) {
    (void)state;
    vj_command one,
        c = good("m.onnx a.png --bench --precision bf16,f32,int8 --weight-format f16 --keep-f32 x --mean 0.5");
    char word[VJ_WORD_TEXT];
    assert_true(vj_is_comparison(&c));
    assert_true(vj_command_of_precision(&c, 0, word, &one));
    assert_string_equal(one.precision, "bf16");
    assert_null(one.weight_format);
    assert_int_equal(one.keep_f32.count, 1);
    assert_true(vj_command_of_precision(&c, 1, word, &one));
    assert_string_equal(one.precision, "f32");
    assert_string_equal(one.weight_format, "f16");
    assert_int_equal(one.keep_f32.count, 1);
    assert_true(vj_command_of_precision(&c, 2, word, &one));
    assert_string_equal(one.precision, "int8");
    assert_false(vj_command_of_precision(&c, 3, word, &one));
    vj_command_free(&c);
    c = good("m.onnx --bench --precision f32,bf16 --weight-format bf16");
    assert_true(vj_command_of_precision(&c, 1, word, &one));
    assert_string_equal(one.weight_format, "bf16");
    vj_command_free(&c);
    c = good("m.onnx --bench --precision f32,int8 --keep-f32 x");
    assert_true(vj_command_of_precision(&c, 0, word, &one));
    assert_int_equal(one.keep_f32.count, 0);
    vj_command_free(&c);
    c = good("m.onnx --bench --precision int8");
    assert_false(vj_is_comparison(&c));
    vj_command_free(&c);
}

static void mistakes(void **state) {
    (void)state;
    static const char *const lines[] = {"",
                                        "--bench",
                                        "m.onnx --nonsense",
                                        "m.onnx -q",
                                        "m.onnx --batch",
                                        "m.onnx --batch -1",
                                        "m.onnx --batch 0",
                                        "m.onnx --batch 2.5",
                                        "m.onnx -j 4294967296",
                                        "m.onnx --bench=fast",
                                        "m.onnx --bench=-1",
                                        "m.onnx --bench=nan",
                                        "m.onnx --output out --rtol x",
                                        "m.onnx a.png --format xml",
                                        "m.onnx a.png --format tex",
                                        "m.onnx --stats=",
                                        "m.onnx --inspect --report",
                                        "m.onnx --emit-obj --emit-ir",
                                        "m.onnx a.png --bench --profile p.json",
                                        "m.onnx a.png --bench --precision f32,bf16 --input x=x.npy",
                                        "m.onnx --bench --streams 0",
                                        "m.onnx --iterations 5",
                                        "m.onnx --bench --streams 2 --profile p.json",
                                        "m.onnx --topk 3",
                                        "m.onnx --emit-obj --stats",
                                        "m.onnx --inspect --output out",
                                        "m.onnx --test",
                                        "m.onnx --output=",
                                        "cache",
                                        "cache rm",
                                        "targets m.onnx",
                                        "m.onnx --cache a --no-cache",
                                        "m.onnx --precision",
                                        "m.onnx --precision f16",
                                        "m.onnx --precision BF16",
                                        "m.onnx --precision f32|bf16",
                                        "m.onnx --precision=",
                                        "m.onnx --weight-format f64",
                                        "m.onnx --weight-format i8",
                                        "m.onnx --weight-format i4",
                                        "m.onnx --precision int4",
                                        "m.onnx --precision int8 --weight-format int4",
                                        "m.onnx --precision bf16 --weight-format f16",
                                        "m.onnx --keep-f32",
                                        "m.onnx --precision f32,bf16",
                                        "m.onnx --emit-obj --precision f32,bf16",
                                        "m.onnx --bench --precision f32,f32",
                                        "m.onnx --bench --precision f32,",
                                        "m.onnx --bench --precision bf16,int8 --weight-format f16",
                                        "m.onnx --bench --precision f32,bf16 --profile x.json",
                                        "m.onnx a.png --bench --precision f32,bf16 --input x=x.npy",
                                        "m.onnx --bench --precision f32,bf16 --mean 0.5",
                                        "m.onnx a.png --bench --precision f32,bf16 --topk 1",
                                        "targets --precision bf16",
                                        "cache ls --weight-format bf16"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        bad(lines[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(modes), cmocka_unit_test(values), cmocka_unit_test(precisions),
                                       cmocka_unit_test(lists_of_precisions), cmocka_unit_test(mistakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
