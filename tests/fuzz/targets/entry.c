/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c - the cache's files: an entry, with its check as it stands and as it should be, and the same bytes as an image, packed weights and a
 * note that files were read. They are looked for, listed, verified and removed. */
#include "target.h"

#include "runtime/runtime.h"

static const char model[] = "a model's bytes";
static const vj_key key = {{1, 2}};

static const char *name_of(const vj_key *of, const char *kind, char name[VJ_KEY_TEXT + 8]) {
    vj_key_text(of->half, name);
    snprintf(name + strlen(name), 8 + 1, ".%s", kind);
    return name;
}

/* The same with the first line and its own key that an entry must have. */
static char *sealed(const char *text, size_t size, size_t *bytes) {
    char check[VJ_KEY_TEXT], own[VJ_KEY_TEXT], *whole = NULL;
    const char *lines = memchr(text, '\n', size);
    lines = lines ? lines + 1 : text;
    vj_key_text(key.half, own);
    FILE *out = open_memstream(&whole, bytes);
    if (!out) exit(2);
    fprintf(out, "vitjit-entry 4 %032d\nkey %s\n", 0, own);
    fwrite(lines, 1, size - (size_t)(lines - text), out);
    fclose(out);
    const size_t begin = strlen("vitjit-entry 4 ") + VJ_KEY_TEXT;
    const vj_key is = vj_key_of(whole + begin, *bytes - begin);
    vj_key_text(is.half, check);
    memcpy(whole + strlen("vitjit-entry 4 "), check, VJ_KEY_TEXT - 1);
    return whole;
}

static void try_entry(vj_cache *cache, const char *name, const void *text, size_t size) {
    const vj_content content = {-1, model, sizeof model};
    char path[1200];
    vj_key graph;
    file_in_folder(name, text, size);
    snprintf(path, sizeof path, "%s/model.onnx", own_folder());
    (void)vj_entry_find(cache, &key, &content, NULL, &graph);
    (void)vj_entry_find(cache, &key, &content, path, &graph);
    vj_entry_note(cache, &key, &content, path);
}

/* The same bytes as the other kinds of files: a note, packed weights, and the image of graph 0 with the beginning that it should have. */
static void other_kinds(vj_cache *cache, const uint8_t *data, size_t size) {
    static const vj_key graph = {{0, 0}};
    const uint32_t version = VJ_IMAGE_VERSION;
    const uint64_t magic = VJ_IMAGE_MAGIC;
    uint8_t *image = exact_copy(data, size);
    char name[VJ_KEY_TEXT + 8];
    size_t bytes;
    if (size >= sizeof magic + sizeof version) {
        memcpy(image, &magic, sizeof magic);
        memcpy(image + sizeof magic, &version, sizeof version);
    }
    file_in_folder(name_of(&key, "seen", name), data, size);
    file_in_folder(name_of(&graph, "weights", name), data, size);
    file_in_folder(name_of(&graph, "image", name), image, size);
    free(vj_cache_get(cache, &key, "seen", sizeof key, &bytes));
    free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static FILE *nowhere;
    vj_cache *cache = vj_cache_open(own_folder(), NULL, NULL, 0);
    char name[VJ_KEY_TEXT + 8];
    size_t bytes;
    if (!nowhere) nowhere = fopen("/dev/null", "w");
    if (!cache || !nowhere) exit(2);
    file_in_folder("external.data", (const uint8_t *)model, sizeof model);
    char *whole = sealed((const char *)data, size, &bytes);
    other_kinds(cache, data, size);
    try_entry(cache, name_of(&key, "entry", name), data, size);
    try_entry(cache, name_of(&key, "entry", name), whole, bytes);
    vj_cache_list(own_folder(), nowhere);
    vj_cache_verify(own_folder(), nowhere);
    vj_cache_prune(own_folder(), 0);
    free(whole);
    vj_cache_close(cache);
    return 0;
}
