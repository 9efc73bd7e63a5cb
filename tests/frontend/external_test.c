/* SPDX-License-Identifier: Apache-2.0 */
/* external_test.c - external data, what is read and what is refused; and files of test data. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/frontend.h"

/* A little writer of protobuf messages. */
typedef struct bytes {
    uint8_t at[4096];
    size_t size;
} bytes;

static void put_number(bytes *b, uint32_t field, uint64_t value) {
    uint64_t parts[2] = {(uint64_t)field << 3, value};
    for (int i = 0; i < 2; i++) {
        uint64_t v = parts[i];
        for (; v > 127; v >>= 7)
            b->at[b->size++] = (uint8_t)(v | 128);
        b->at[b->size++] = (uint8_t)v;
    }
}

static void put_bytes(bytes *b, uint32_t field, const void *data, size_t size) {
    b->at[b->size++] = (uint8_t)(field << 3 | 2);
    for (size_t v = size;; v >>= 7) {
        b->at[b->size++] = (uint8_t)(v > 127 ? v | 128 : v);
        if (v <= 127) break;
    }
    memcpy(b->at + b->size, data, size);
    b->size += size;
}

static void put_text(bytes *b, uint32_t field, const char *text) { put_bytes(b, field, text, strlen(text)); }

static void put_message(bytes *b, uint32_t field, const bytes *inner) { put_bytes(b, field, inner->at, inner->size); }

static void put_entry(bytes *tensor, const char *key, const char *value) {
    bytes entry = {.size = 0};
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(tensor, 13, &entry);
}

static void put_value_info(bytes *graph, uint32_t field, const char *name, uint64_t size) {
    bytes dim = {.size = 0}, shape = {.size = 0}, tensor = {.size = 0}, type = {.size = 0}, info = {.size = 0};
    put_number(&dim, 1, size);
    put_message(&shape, 1, &dim);
    put_number(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    put_message(graph, field, &info);
}

/* The model y = x + w, both f32[3], with w in external data. offset and length are left out when they are NULL. */
static bytes model_with(const char *location, const char *offset, const char *length) {
    bytes model = {.size = 0}, opset = {.size = 0}, graph = {.size = 0}, node = {.size = 0}, tensor = {.size = 0};
    put_text(&node, 1, "x");
    put_text(&node, 1, "w");
    put_text(&node, 2, "y");
    put_text(&node, 3, "sum");
    put_text(&node, 4, "Add");
    put_number(&tensor, 1, 3);
    put_number(&tensor, 2, 1);
    put_text(&tensor, 8, "w");
    put_entry(&tensor, "location", location);
    if (offset) put_entry(&tensor, "offset", offset);
    if (length) put_entry(&tensor, "length", length);
    put_number(&tensor, 14, 1);
    put_message(&graph, 1, &node);
    put_message(&graph, 5, &tensor);
    put_value_info(&graph, 11, "x", 3);
    put_value_info(&graph, 12, "y", 3);
    put_number(&opset, 2, 17);
    put_number(&model, 1, 8);
    put_message(&model, 8, &opset);
    put_message(&model, 7, &graph);
    return model;
}

static char folder[] = "/tmp/vitjit-external-XXXXXX";

static const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, int64_t offset, const void *data, size_t size) {
    int fd = open(in_folder(name), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_true(pwrite(fd, data, size, (off_t)offset) == (ssize_t)size);
    close(fd);
}

/* Opens, imports and evaluates model.onnx with x = 0, so that y is w. Checks the status and that the error has the
 * words. */
static vj_status run(const bytes *model, double y[3], const char *words) {
    write_file("model.onnx", 0, model->at, model->size);
    assert_int_equal(truncate(in_folder("model.onnx"), (off_t)model->size), 0);
    vj_error error = {0};
    vj_arena *arena = vj_arena_new();
    vj_model_facts facts = {0};
    vj_onnx *onnx = vj_onnx_open(arena, in_folder("model.onnx"), &facts, &error);
    vj_func *f = onnx ? vj_import(arena, onnx, NULL, &error) : NULL;
    vj_tensor *x = f ? vj_tensor_new(arena, vj_type_at(f, f->inputs[0]), &error) : NULL, *out = NULL;
    if (x && vj_eval(arena, f, 1, &x, &out, true, &error)) memcpy(y, out->f, 3 * sizeof *y);
    if (onnx) assert_int_equal(facts.external_count, 1);
    if (words && !strstr(error.text, words)) fail_msg("'%s' is not in '%s'", words, error.text);
    vj_onnx_close(onnx);
    vj_arena_free(arena);
    return error.status;
}

static const float weights[3] = {1.5f, -2, 3.25f};

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return 1;
    write_file("w.bin", 0, weights, sizeof weights);
    mkdir(in_folder("sub"), 0700);
    write_file("sub/w.bin", 16, weights, sizeof weights);
    return symlink("w.bin", in_folder("link.bin")) || symlink("sub", in_folder("linked")) ||
           mkfifo(in_folder("pipe"), 0600);
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"w.bin",     "link.bin",  "linked",     "pipe",
                                        "sub/w.bin", "large.bin", "model.onnx", "t.pb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_folder(names[i]));
    rmdir(in_folder("sub"));
    return rmdir(folder);
}

static void reads(const char *location, const char *offset, const char *length) {
    double y[3] = {0};
    bytes model = model_with(location, offset, length);
    assert_int_equal(run(&model, y, NULL), VJ_OK);
    for (int i = 0; i < 3; i++)
        assert_true(y[i] == (double)weights[i]);
}

static void refuses(const char *location, const char *offset, const char *length, const char *words) {
    double y[3];
    bytes model = model_with(location, offset, length);
    assert_int_equal(run(&model, y, words), VJ_BAD_INPUT);
}

static void data_beside_the_model_is_read(void **state) {
    (void)state;
    reads("w.bin", NULL, NULL);
    reads("./w.bin", "0", "12");
    reads("sub/w.bin", "16", "12");
}

static void offsets_pass_two_gigabytes(void **state) {
    (void)state;
    write_file("large.bin", 5000000000, weights, sizeof weights); /* a hole before it: it takes one block of disk */
    reads("large.bin", "5000000000", "12");
    unlink(in_folder("large.bin"));
}

static void wrong_ranges_are_refused(void **state) {
    (void)state;
    refuses("missing.bin", NULL, NULL, "'missing.bin' is missing");
    refuses("w.bin", "4", "12", "which has 12");
    refuses("w.bin", "0", "8", "8 bytes of external data, but its dims need 12");
    refuses("w.bin", "-4", NULL, "no number");
    refuses("w.bin", "99999999999999999999", NULL, "no number");
    refuses("sub/w.bin", "18", NULL, "which has 28");
    refuses("", NULL, NULL, "does not lie in the model's folder");
}

static void other_files_cannot_be_reached(void **state) {
    (void)state;
    refuses("/etc/passwd", NULL, NULL, "does not lie in the model's folder");
    refuses("../w.bin", NULL, NULL, "does not lie in the model's folder");
    refuses("sub/../w.bin", NULL, NULL, "does not lie in the model's folder");
    refuses("sub//w.bin", NULL, NULL, "does not lie in the model's folder");
    refuses("link.bin", NULL, NULL, "symbolic link");
    refuses("linked/w.bin", "16", NULL, "symbolic link");
    refuses("pipe", NULL, NULL, "not a regular file");
    refuses("sub", NULL, NULL, "is a folder");
}

static void the_model_itself_must_be_a_file(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    static const char *const names[] = {"pipe", "sub", "missing.onnx"};
    for (size_t i = 0; i < 3; i++) {
        vj_error error = {0};
        assert_null(vj_onnx_open(arena, in_folder(names[i]), NULL, &error));
        assert_int_equal(error.status, VJ_BAD_INPUT);
    }
    vj_arena_free(arena);
}

static void test_data_is_read(void **state) {
    (void)state;
    bytes tensor = {.size = 0};
    put_number(&tensor, 1, 3);
    put_number(&tensor, 2, 1);
    put_text(&tensor, 8, "input");
    put_bytes(&tensor, 9, weights, sizeof weights);
    write_file("t.pb", 0, tensor.at, tensor.size);
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    const char *name = NULL;
    vj_tensor *t = vj_read_tensor_pb(arena, in_folder("t.pb"), &name, &error);
    assert_non_null(t);
    assert_string_equal(name, "input");
    assert_true(t->count == 3 && t->f[2] == 3.25);
    assert_int_equal(truncate(in_folder("t.pb"), (off_t)tensor.size - 1), 0);
    assert_null(vj_read_tensor_pb(arena, in_folder("t.pb"), &name, &error));
    assert_int_equal(error.status, VJ_BAD_INPUT);
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_beside_the_model_is_read),   cmocka_unit_test(offsets_pass_two_gigabytes),
        cmocka_unit_test(wrong_ranges_are_refused),        cmocka_unit_test(other_files_cannot_be_reached),
        cmocka_unit_test(the_model_itself_must_be_a_file), cmocka_unit_test(test_data_is_read)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
