/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - tests the folder of the cache: what is found, what is damaged or another's, what goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <stdint.h>
#include <cmocka.h>

#include "by_hand.h"
#include "folder.h"

static void note_warning(void *self, vj_log_level level, const char *text) {
    (void)level;
    (void)text;
    ++*(int *)self;
}

static void name_image(void *image, const uint64_t key[2]) {
    memcpy(((vj_image_header *)image)->model_hash, key, 2 * sizeof *key);
    seal(image);
}

static void cache_finds_and_rebuilds(void **state) {
    (void)state;
    char folder[] = "/tmp/vitjit-test-XXXXXX", path[300];
    int warnings = 0;
    assert_non_null(mkdtemp(folder));
    vj_cache *c = vj_cache_open(folder, note_warning, &warnings, VJ_LOG_WARNING);
    assert_non_null(c);
    vj_weights_store store = vj_cache_store(c);
    const uint64_t digest[2] = {7, 9};
    vj_key key = {{1, 2}};
    const vj_content model = {-1, "a model", 7};
    vj_model_file file = {0};
    vj_compiled put = {.graph_key = {3, 4}, .files = &file, .file_count = 1}, found;
    put.image = make_image(&put.image_bytes);
    name_image(put.image, put.graph_key);
    assert_false(vj_cache_find(c, &key, &model, NULL, &found));
    put.weights_fd = store.create(store.self, digest, 64);
    assert_true(put.weights_fd >= 0);
    fill_weights(put.weights_fd);
    store.commit(store.self, digest, put.weights_fd, 1);
    close(put.weights_fd);
    vj_cache_put(c, &key, &model, NULL, &put);
    assert_true(vj_cache_find(c, &key, &model, NULL, &found));
    assert_memory_equal(found.image, put.image, put.image_bytes);
    close(found.weights_fd);
    free(found.image);
    snprintf(path, sizeof path, "%s/%016x%016x.image", folder, 4, 3);
    assert_int_equal(truncate(path, 4000), 0);
    assert_false(vj_cache_find(c, &key, &model, NULL, &found));
    vj_cache_put(c, &key, &model, NULL, &put);
    assert_true(vj_cache_find(c, &key, &model, NULL, &found));
    close(found.weights_fd);
    free(found.image);
    snprintf(path, sizeof path, "%s/%016x%016x.weights", folder, 9, 7);
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(store.find(store.self, digest, 64), -1);
    assert_false(vj_cache_find(c, &key, &model, NULL, &found));
    assert_int_equal(vj_cache_bound(folder, 0, NULL), 0);
    snprintf(path, sizeof path, "%s/%016x%016x.image", folder, 4, 3);
    assert_int_not_equal(access(path, F_OK), 0);
    vj_cache_close(c);
    assert_int_equal(warnings, 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_null(vj_cache_open(folder, note_warning, &warnings, VJ_LOG_WARNING));
    assert_int_equal(warnings, 1);
    rmdir(folder);
    free(put.image);
}

/* An entry of the cache stores contents: parts with digests of their own, and the bytes between them. */
static void entries_hold_for_their_content(void **state) {
    (void)state;
    enum { SIZE = 600000 }; /* more than is sampled */
    char folder[] = "/tmp/vitjit-test-XXXXXX", *bytes = calloc(1, SIZE);
    assert_non_null(mkdtemp(folder));
    assert_non_null(bytes);
    for (int32_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    vj_cache *c = vj_cache_open(folder, NULL, NULL, 0);
    assert_non_null(c);
    const vj_content model = {-1, bytes, SIZE}, shorter = {-1, bytes, SIZE - 1};
    vj_file_part parts[2] = {{5000, 100000, {0}}, {300000, 1, {0}}};
    for (int32_t i = 0; i < 2; i++) {
        const vj_key digest = vj_key_of(bytes + parts[i].offset, (size_t)parts[i].length);
        memcpy(parts[i].digest, digest.half, sizeof digest.half);
    }
    vj_model_file file = {NULL, parts, 2};
    const vj_compiled compiled = {.graph_key = {3, 4}, .files = &file, .file_count = 1};
    const vj_key key = {{1, 2}};
    vj_key graph;
    size_t size;
    char *text = vj_entry_text(&key, &model, NULL, &compiled, &size);
    assert_non_null(text);
    assert_false(vj_entry_find(c, &key, &model, NULL, &graph));
    vj_cache_set(c, &key, "entry", text, size, true);
    assert_true(vj_entry_find(c, &key, &model, NULL, &graph));
    assert_memory_equal(graph.half, compiled.graph_key, sizeof graph);
    assert_false(vj_entry_find(c, &key, &shorter, NULL, &graph));
    const int32_t changed[] = {0, 4999, 5000, 104999, 105000, 299999, 300000, 300001, SIZE - 1};
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        bytes[changed[i]] ^= 1;
        assert_false(vj_entry_find(c, &key, &model, NULL, &graph));
        bytes[changed[i]] ^= 1;
    }
    for (size_t i = 0; i < size; i++) { /* damaged entries count as missing */
        text[i] ^= 1;
        vj_cache_set(c, &key, "entry", text, size, true);
        assert_false(vj_entry_find(c, &key, &model, NULL, &graph));
        text[i] ^= 1;
    }
    vj_cache_set(c, &key, "entry", text, size / 2, true);
    assert_false(vj_entry_find(c, &key, &model, NULL, &graph));
    const vj_key other = {{1, 3}}; /* of other options, say */
    vj_cache_set(c, &other, "entry", text, size, true);
    assert_false(vj_entry_find(c, &other, &model, NULL, &graph));
    assert_int_equal(vj_cache_bound(folder, 0, NULL), 0);
    vj_cache_close(c);
    assert_int_equal(rmdir(folder), 0);
    free(text);
    free(bytes);
}

/* How many files `vitjit cache verify` calls damaged. */
static size_t damaged_in(const char *folder) {
    char *text = NULL;
    size_t bytes, damaged = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    const vj_status status = vj_cache_verify(folder, out);
    fclose(out);
    for (const char *at = text; (at = strstr(at, "damaged  ")); at++)
        damaged++;
    assert_int_equal(status, damaged ? VJ_BAD_INPUT : VJ_OK);
    free(text);
    return damaged;
}

static void make_file(const char *folder, const char *name, int64_t age_s) {
    char path[400], block[8192] = {1};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, block, sizeof block), sizeof block);
    const struct timespec then = {time(NULL) - age_s, 0}, both[2] = {then, then};
    assert_int_equal(futimens(fd, both), 0);
    close(fd);
}

static bool exists(const char *folder, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void least_recently_used_go_first(void **state) {
    (void)state;
    char folder[] = "/tmp/vitjit-test-XXXXXX", path[400];
    assert_non_null(mkdtemp(folder));
    make_file(folder, "a.image", 300);
    make_file(folder, "b.weights", 500);
    make_file(folder, "c.entry", 100);
    make_file(folder, "d.image.1.tmp", 200);
    make_file(folder, "e.image.1.tmp", 200);
    make_file(folder, "f.image.1.tmp", 1);
    make_file(folder, "g.image.1.tmp", -900); /* the clock was set back since */
    snprintf(path, sizeof path, "%s/d.image.1.tmp", folder);
    const int writer = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), 0);
    make_file(folder, "notes.txt", 100000);
    assert_int_equal(vj_cache_bound(folder, 2 * 8192, NULL), 0);
    assert_false(exists(folder, "b.weights"));
    /* temporary files count for nothing; those of writers who are gone go at once */
    assert_false(exists(folder, "e.image.1.tmp") || exists(folder, "g.image.1.tmp"));
    assert_true(exists(folder, "a.image") && exists(folder, "c.entry"));
    assert_true(exists(folder, "d.image.1.tmp") && exists(folder, "f.image.1.tmp"));
    assert_int_equal(vj_cache_prune(folder, 0), VJ_OK);
    assert_false(exists(folder, "a.image") || exists(folder, "c.entry"));
    assert_true(exists(folder, "d.image.1.tmp")); /* being written */
    assert_true(exists(folder, "notes.txt"));     /* not ours */
    close(writer);
    make_file(folder, "f.image.1.tmp", 20);
    assert_int_equal(vj_cache_bound(folder, 0, NULL), 0);
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* What stands under another key's name is another program: it is not taken, and is called damaged. */
static void files_are_what_their_names_say(void **state) {
    (void)state;
    char folder[] = "/tmp/vitjit-test-XXXXXX";
    static const char *const kinds[] = {"image", "weights", "entry", "seen"};
    assert_non_null(mkdtemp(folder));
    vj_cache *c = vj_cache_open(folder, NULL, NULL, 0);
    vj_weights_store store = vj_cache_store(c);
    const uint64_t digest[2] = {7, 9}, wrong[2] = {3, 5};
    const vj_key key = {{1, 2}};
    const vj_content model = {-1, "a model", 7};
    vj_model_file file = {0};
    vj_compiled put = {.graph_key = {3, 4}, .files = &file, .file_count = 1};
    put.image = make_image(&put.image_bytes);
    name_image(put.image, put.graph_key);
    put.weights_fd = store.create(store.self, digest, 64);
    fill_weights(put.weights_fd);
    store.commit(store.self, digest, put.weights_fd, 1);
    close(put.weights_fd);
    vj_cache_put(c, &key, &model, NULL, &put);
    vj_cache_set(c, &key, "seen", &key, sizeof key, true);
    assert_int_equal(damaged_in(folder), 0);
    size_t bytes;
    free(store.find_image(store.self, put.graph_key, &bytes));
    assert_int_equal(status_of("cd %s && for f in *.image; do mv $f %016x%016x.image; done", folder, 5, 3), 0);
    assert_int_equal(damaged_in(folder), 1);
    assert_null(store.find_image(store.self, wrong, &bytes)); /* and it is gone */
    assert_int_equal(damaged_in(folder), 0);
    vj_cache_put(c, &key, &model, NULL, &put);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_int_equal(
            status_of("cd %s && for f in *.%s; do mv $f %016x%016x.%s; done", folder, kinds[i], 8, 8, kinds[i]), 0);
        assert_int_equal(damaged_in(folder), i + 1);
    }
    assert_int_equal(status_of("rm -r %s", folder), 0);
    vj_cache_close(c);
    free(put.image);
}

/* In a process without root's rights, to whom no folder is read-only. */
static void what_cannot_be_removed_is_said(void **state) {
    (void)state;
    char folder[] = "/tmp/vitjit-test-XXXXXX";
    int result;
    assert_non_null(mkdtemp(folder));
    make_file(folder, "a.image", 300);
    assert_int_equal(chmod(folder, 0555), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) _exit(9);
        if (vj_cache_prune(folder, 0) != VJ_SYSTEM) _exit(1);
        _exit(strstr(vj_error_message(), "1 file cannot be removed: Permission denied") ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(vj_cache_prune(folder, 0), VJ_OK);
    assert_int_equal(rmdir(folder), 0);
}

/* A former process of this number, which is 1 in every container, left its temporary file. */
static void names_of_temporary_files_are_not_met_again(void **state) {
    (void)state;
    char folder[] = "/tmp/vitjit-test-XXXXXX";
    const uint64_t digest[2] = {7, 9};
    int warnings = 0;
    assert_non_null(mkdtemp(folder));
    int result;
    const pid_t child = fork();
    if (child == 0) {
        vj_cache *c = vj_cache_open(folder, NULL, NULL, 0);
        vj_weights_store store = vj_cache_store(c);
        _exit(store.create(store.self, digest, 64) < 0);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    /* names of a process number and a counter, as they once were */
    assert_int_equal(
        status_of("cd %s && mv *.tmp left && for i in $(seq 0 99); do cp left %016x%016x.weights.%d.$i.tmp; done",
                  folder, 9, 7, (int)getpid()),
        0);
    vj_cache *c = vj_cache_open(folder, note_warning, &warnings, VJ_LOG_WARNING);
    vj_weights_store store = vj_cache_store(c);
    const int fd = store.create(store.self, digest, 64);
    assert_true(fd >= 0);
    fill_weights(fd);
    store.commit(store.self, digest, fd, 1);
    close(fd);
    assert_int_equal(warnings, 0);
    assert_int_equal(damaged_in(folder), 0);
    vj_cache_close(c);
    assert_int_equal(status_of("rm -r %s", folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_finds_and_rebuilds),       cmocka_unit_test(entries_hold_for_their_content),
        cmocka_unit_test(least_recently_used_go_first),   cmocka_unit_test(files_are_what_their_names_say),
        cmocka_unit_test(what_cannot_be_removed_is_said), cmocka_unit_test(names_of_temporary_files_are_not_met_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
