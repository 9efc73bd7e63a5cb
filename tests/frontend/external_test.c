/* SPDX-License-Identifier: Apache-2.0 */
/* external_test.c - external data, what is read and what is refused, links among it; and files of test data. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* Opens, imports and evaluates the model of that path with x = 0, so that y is w. Checks that the error has the words. */
static vj_status run_at(const char *path, double y[3], const char *words) {
    vj_error error = {0};
    vj_arena *arena = vj_arena_new();
    vj_model_facts facts = {0};
    vj_onnx *onnx = vj_onnx_open(arena, path, &facts, &error);
    vj_func *f = onnx ? vj_import(arena, onnx, NULL, &error) : NULL;
    vj_tensor *x = f ? vj_tensor_new(arena, vj_type_at(f, f->inputs[0]), &error) : NULL, *out = NULL;
    if (x && vj_eval(arena, f, 1, &x, &out, true, &error)) memcpy(y, out->f, 3 * sizeof *y);
    if (onnx) assert_int_equal(facts.external_count, 1);
    if (words && !strstr(error.text, words)) fail_msg("'%s' is not in '%s'", words, error.text);
    vj_onnx_close(onnx);
    vj_arena_free(arena);
    return error.status;
}

static void write_model(const char *name, const bytes *model) {
    write_file(name, 0, model->at, model->size);
    assert_int_equal(truncate(in_folder(name), (off_t)model->size), 0);
}

static vj_status run(const bytes *model, double y[3], const char *words) {
    write_model("model.onnx", model);
    return run_at(in_folder("model.onnx"), y, words);
}

static const float weights[3] = {1.5f, -2, 3.25f};

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return 1;
    write_file("w.bin", 0, weights, sizeof weights);
    mkdir(in_folder("sub"), 0700);
    write_file("sub/w.bin", 16, weights, sizeof weights);
    return mkfifo(in_folder("pipe"), 0600);
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"w.bin", "pipe", "sub/w.bin", "large.bin", "model.onnx", "t.pb"};
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
    refuses("pipe", NULL, NULL, "not a regular file");
    refuses("sub", NULL, NULL, "is a folder");
}

/* Makes the link that a location names, while it is read or refused. */
static void link_to(const char *name, const char *target) { assert_int_equal(symlink(target, in_folder(name)), 0); }

static void links_within_the_folder_are_followed(void **state) {
    (void)state;
    char whole[300];
    snprintf(whole, sizeof whole, "%s/sub/../w.bin", folder);
    static const struct {
        const char *name, *target, *location, *offset;
    } cases[] = {{"link.bin", "w.bin", "link.bin", NULL},        {"link.bin", "./sub//../w.bin", "link.bin", NULL},
                 {"linked", "sub", "linked/w.bin", "16"},        {"linked", "sub/", "linked/w.bin", "16"},
                 {"sub/up.bin", "../w.bin", "sub/up.bin", NULL}, {"link.bin", NULL, "link.bin", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        link_to(cases[i].name, cases[i].target ? cases[i].target : whole);
        reads(cases[i].location, cases[i].offset, "12");
        unlink(in_folder(cases[i].name));
    }
    link_to("link.bin", "linked/w.bin"); /* through a second one */
    link_to("linked", "sub/.");
    reads("link.bin", "16", "12");
    unlink(in_folder("linked"));
    unlink(in_folder("link.bin"));
}

static void links_out_of_the_folder_are_refused(void **state) {
    (void)state;
    static char beside[] = "/tmp/vitjit-beside-XXXXXX"; /* what nobody may read */
    char file[64], whole[400], outward[400];
    assert_non_null(mkdtemp(beside));
    snprintf(file, sizeof file, "%s/w.bin", beside);
    snprintf(outward, sizeof outward, "..%s", beside + 4);
    snprintf(whole, sizeof whole, "..%s/w.bin", beside + 4);
    FILE *out = fopen(file, "wb");
    assert_true(out && fwrite(weights, sizeof weights, 1, out) == 1 && fclose(out) == 0);
    const struct {
        const char *name, *target, *location, *words;
    } cases[] = {{"link.bin", file, "link.bin", "leads out of the model's folder"},
                 {"link.bin", whole, "link.bin", "leads out of the model's folder"},
                 {"linked", beside, "linked/w.bin", "leads out of the model's folder"},
                 {"linked", outward, "linked/w.bin", "leads out of the model's folder"},
                 {"sub/up", "../..", "sub/up/w.bin", "leads out of the model's folder"},
                 {"link.bin", "..", "link.bin", "Is a directory"},
                 {"link.bin", "link.bin", "link.bin", "symbolic links"},
                 {"link.bin", "gone.bin", "link.bin", "is missing"},
                 {"link.bin", "pipe", "link.bin", "not a regular file"},
                 {"link.bin", "w.bin", "link.bin/w.bin", "is not a file"},
                 {"link.bin", "sub", "link.bin", "is a folder"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        link_to(cases[i].name, cases[i].target);
        refuses(cases[i].location, NULL, NULL, cases[i].words);
        unlink(in_folder(cases[i].name));
    }
    unlink(file);
    rmdir(beside);
}

/* Somebody exchanges a folder and a link that leads out, all the time: either the folder's file is read, or nothing. */
static void what_changes_meanwhile_leads_nowhere(void **state) {
    (void)state;
    static char beside[] = "/tmp/vitjit-beside-XXXXXX";
    static const float others[3] = {7, 7, 7};
    char file[64];
    const bytes model = model_with("now/w.bin", "0", "12");
    assert_non_null(mkdtemp(beside));
    snprintf(file, sizeof file, "%s/w.bin", beside);
    FILE *out = fopen(file, "wb");
    assert_true(out && fwrite(others, sizeof others, 1, out) == 1 && fclose(out) == 0);
    assert_int_equal(mkdir(in_folder("now"), 0700), 0);
    write_file("now/w.bin", 0, weights, sizeof weights);
    link_to("other", beside);
    const pid_t child = fork();
    assert_true(child >= 0);
    char now[512], other[512];
    snprintf(now, sizeof now, "%s", in_folder("now"));
    snprintf(other, sizeof other, "%s", in_folder("other"));
    while (child == 0) /* until it is ended */
        renameat2(AT_FDCWD, now, AT_FDCWD, other, RENAME_EXCHANGE);
    int32_t good = 0, refused = 0;
    for (int32_t i = 0; i < 2000 || (i < 200000 && !(good && refused)); i++) {
        double y[3] = {0};
        const vj_status status = run(&model, y, NULL);
        assert_true(status ? status == VJ_BAD_INPUT : y[0] == 1.5 && y[1] == -2 && y[2] == 3.25);
        good += !status;
        refused += status != VJ_OK;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(good > 0 && refused > 0);
    struct stat st;
    const bool exchanged = lstat(now, &st) == 0 && S_ISLNK(st.st_mode);
    unlink(exchanged ? now : other);
    unlink(in_folder(exchanged ? "other/w.bin" : "now/w.bin"));
    rmdir(exchanged ? other : now);
    unlink(file);
    rmdir(beside);
}

/* The Hub's cache: a snapshot's files are links into the folder `blobs` of its model. */
static void a_snapshot_reads_its_models_blobs(void **state) {
    (void)state;
    static const char *const folders[] = {
        "models--a--b",           "models--a--b/blobs",       "models--a--b/blobs/more",       "models--a--b/refs",
        "models--a--b/snapshots", "models--a--b/snapshots/r", "models--a--b/snapshots/r/onnx", "models--c--d",
        "models--c--d/blobs"};
    static const char *const files[] = {"models--a--b/blobs/w",       "models--a--b/blobs/more/w",
                                        "models--a--b/refs/w",        "models--a--b/snapshots/w",
                                        "models--a--b/snapshots/r/w", "models--a--b/snapshots/r/onnx/own",
                                        "models--c--d/blobs/w"};
    static const struct {
        const char *target, *words; /* NULL: it is read */
    } cases[] = {{"../../../blobs/w", NULL},
                 {"own", NULL},
                 {"../../../snapshots/r/onnx/own", NULL},
                 {"../w", "leads out"}, /* of this model's folder, which is onnx */
                 {"../../w", "leads out"},
                 {"../../../refs/w", "leads out"},
                 {"../../../blobs/more/w", "leads out"},
                 {"../../../../models--c--d/blobs/w", "leads out"},
                 {"../../../../w.bin", "leads out"},
                 {"../../../blobs/link", "leads out"},
                 {"../../../blobs/gone", "is missing"}};
    const bytes model = model_with("data", "0", "12");
    enum { FOLDERS = sizeof folders / sizeof *folders, FILES = sizeof files / sizeof *files };
    for (size_t i = 0; i < FOLDERS; i++)
        assert_int_equal(mkdir(in_folder(folders[i]), 0700), 0);
    for (size_t i = 0; i < FILES; i++)
        write_file(files[i], 0, weights, sizeof weights);
    write_model("models--a--b/blobs/m", &model);
    link_to("models--a--b/blobs/link", "../../w.bin");
    link_to("models--a--b/snapshots/r/onnx/model.onnx", "../../../blobs/m");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double y[3] = {0};
        link_to("models--a--b/snapshots/r/onnx/data", cases[i].target);
        const vj_status status = run_at(in_folder("models--a--b/snapshots/r/onnx/model.onnx"), y, cases[i].words);
        assert_int_equal(status, cases[i].words ? VJ_BAD_INPUT : VJ_OK);
        if (!cases[i].words) assert_true(y[0] == 1.5 && y[1] == -2 && y[2] == 3.25);
        unlink(in_folder("models--a--b/snapshots/r/onnx/data"));
    }
    unlink(in_folder("models--a--b/snapshots/r/onnx/model.onnx"));
    unlink(in_folder("models--a--b/blobs/link"));
    unlink(in_folder("models--a--b/blobs/m"));
    for (size_t i = FILES; i-- > 0;)
        unlink(in_folder(files[i]));
    for (size_t i = FOLDERS; i-- > 0;)
        assert_int_equal(rmdir(in_folder(folders[i])), 0);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(data_beside_the_model_is_read),
                                       cmocka_unit_test(offsets_pass_two_gigabytes),
                                       cmocka_unit_test(wrong_ranges_are_refused),
                                       cmocka_unit_test(other_files_cannot_be_reached),
                                       cmocka_unit_test(links_within_the_folder_are_followed),
                                       cmocka_unit_test(links_out_of_the_folder_are_refused),
                                       cmocka_unit_test(what_changes_meanwhile_leads_nowhere),
                                       cmocka_unit_test(a_snapshot_reads_its_models_blobs),
                                       cmocka_unit_test(the_model_itself_must_be_a_file),
                                       cmocka_unit_test(test_data_is_read)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
