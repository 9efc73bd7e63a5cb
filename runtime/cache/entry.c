/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c - from a model's files to its graph key, by what the cache remembers of them.
 *
 * An entry lists parts of the model's files with their digests, which the compiler had for the graph key, and of each file
 * the digest of all that lies between. It is found by samples of the model file, so that a start without one has read next
 * to nothing. A start with one reads everything once, to see whether it is as it was; a note in the cache spares it that as
 * long as the files are the ones that were read (content.c).
 *
 *     vitjit-entry 4 CHECK          of what follows
 *     key KEY                       the entry's own
 *     model PATH                    that was compiled, for people; of one in memory there is none
 *     graph KEY
 *     file SIZE DIGEST NAME         of what lies between its parts; external data's name, or nothing
 *     part OFFSET LENGTH DIGEST
 */
#include "runtime/runtime.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)16 << 20)

typedef struct entry_file {
    const char *name; /* in the text */
    int64_t size;
    vj_key rest;
    int32_t first, count; /* of the parts */
    vj_content content;
} entry_file;

typedef struct entry {
    char *text;
    vj_key check, graph;
    entry_file *files;
    int32_t file_count;
    vj_file_part *parts;
    int32_t part_count;
} entry;

static vj_key key_of_text(const char *text) {
    char half[17];
    snprintf(half, sizeof half, "%.16s", text);
    const uint64_t high = strtoull(half, NULL, 16), low = strtoull(text + strlen(half), NULL, 16);
    return (vj_key){{low, high}};
}

static bool same(const vj_key *a, const vj_key *b) { return a->half[0] == b->half[0] && a->half[1] == b->half[1]; }

/* Lines of a text whose check holds, which anyone can compute: false where one is not as they are written. */
static bool read_lines(entry *e, char *lines) {
    char digest[VJ_KEY_TEXT], *rest;
    int64_t at, bytes;
    int name = 0;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "graph %32s", digest) == 1) {
            e->graph = key_of_text(digest);
        } else if (strncmp(line, "file ", 5) == 0) {
            if (sscanf(line, "file %" SCNd64 " %32s%n", &bytes, digest, &name) != 2 || line[name] != ' ') return false;
            e->files[e->file_count++] =
                (entry_file){line + name + 1, bytes, key_of_text(digest), e->part_count, 0, {-1, NULL, 0}};
        } else if (e->file_count && sscanf(line, "part %" SCNd64 " %" SCNd64 " %32s", &at, &bytes, digest) == 3) {
            const vj_key key = key_of_text(digest);
            e->parts[e->part_count++] = (vj_file_part){at, bytes, {key.half[0], key.half[1]}};
            e->files[e->file_count - 1].count++;
        }
    }
    return e->file_count > 0;
}

static void free_entry(entry *e) {
    for (int32_t i = 1; i < e->file_count; i++) /* the first is the caller's */
        vj_content_close(&e->files[i].content);
    free(e->text);
    free(e->files);
    free(e->parts);
}

char *vj_entry_lines(char *text, size_t bytes, const vj_key *key, vj_key *check) {
    char digest[VJ_KEY_TEXT], own[VJ_KEY_TEXT], of[VJ_KEY_TEXT];
    int begin = 0, end = 0;
    if (sscanf(text, "vitjit-entry 4 %32s%n", digest, &begin) != 1 || text[begin] != '\n') return NULL;
    const vj_key is = vj_key_of(text + begin + 1, bytes - (size_t)begin - 1);
    *check = key_of_text(digest);
    if (!same(&is, check) || sscanf(text + begin + 1, "key %32s%n", of, &end) != 1) return NULL;
    vj_key_text(key->half, own);
    return strcmp(of, own) == 0 ? text + begin + 1 + end : NULL;
}

static bool read_entry(vj_cache *cache, const vj_key *key, entry *e) {
    size_t bytes = 0, lines = 1;
    *e = (entry){.text = vj_cache_get(cache, key, "entry", MOST_BYTES, &bytes)};
    char *begin = e->text ? vj_entry_lines(e->text, bytes, key, &e->check) : NULL;
    if (!begin) return false;
    for (const char *at = e->text; (at = strchr(at, '\n')); at++)
        lines++;
    e->files = calloc(lines, sizeof *e->files);
    e->parts = calloc(lines, sizeof *e->parts);
    if (!e->files || !e->parts) return false;
    return read_lines(e, begin);
}

static bool open_files(entry *e, const vj_content *model, const char *model_path) {
    for (int32_t i = 0; i < e->file_count; i++) {
        entry_file *f = &e->files[i];
        char path[4400];
        if (i == 0) {
            f->content = *model;
        } else {
            if (!model_path) return false;
            vj_cache_beside(model_path, f->name, path, sizeof path);
            if (vj_content_open(path, &f->content) != VJ_OK) return false;
        }
        if (f->content.size != f->size) return false;
    }
    return true;
}

static bool read_all(const entry *e) {
    vj_digest_part *read = calloc((size_t)e->part_count + 1, sizeof *read);
    bool good = read != NULL;
    for (int32_t i = 0; good && i < e->file_count; i++) {
        const entry_file *f = &e->files[i];
        vj_key rest;
        for (int32_t p = f->first; p < f->first + f->count; p++)
            read[p] = (vj_digest_part){f->content, e->parts[p].offset, e->parts[p].length, {{0}}};
        good = vj_content_rest(&f->content, e->parts + f->first, f->count, &rest) && same(&rest, &f->rest);
    }
    good = good && vj_digest_parts(read, e->part_count);
    for (int32_t i = 0; good && i < e->part_count; i++)
        good = memcmp(e->parts[i].digest, read[i].digest.half, sizeof read[i].digest) == 0;
    free(read);
    return good;
}

/* Of an entry together with the files that were read for it; false: there is nothing to say of them. */
static bool identity_of(const entry *e, vj_key *identity) {
    vj_key both[2] = {e->check, {{0}}};
    for (int32_t i = 0; i < e->file_count; i++) {
        if (!vj_content_identity(&e->files[i].content, &both[1])) return false;
        both[0] = vj_key_of(both, sizeof both);
    }
    *identity = both[0];
    return true;
}

static bool is_noted(vj_cache *cache, const vj_key *identity) {
    size_t bytes;
    vj_key *note = vj_cache_get(cache, identity, "seen", sizeof *note, &bytes);
    const bool noted = note && bytes == sizeof *note && same(note, identity);
    free(note);
    return noted;
}

/* A note that cannot be written costs a reading, and is no reason for a warning. */
static void note(vj_cache *cache, const vj_key *identity) {
    vj_cache_set(cache, identity, "seen", identity, sizeof *identity, false);
}

static bool holds(vj_cache *cache, const entry *e) {
    vj_key before, after;
    const bool settled = identity_of(e, &before);
    if (settled && is_noted(cache, &before)) return true;
    if (!read_all(e)) return false;
    if (settled && identity_of(e, &after) && same(&before, &after)) note(cache, &after);
    return true;
}

bool vj_entry_find(vj_cache *cache, const vj_key *key, const vj_content *model, const char *model_path, vj_key *graph) {
    entry e;
    const bool found = read_entry(cache, key, &e) && open_files(&e, model, model_path) && holds(cache, &e);
    *graph = e.graph;
    free_entry(&e);
    return found;
}

void vj_entry_note(vj_cache *cache, const vj_key *key, const vj_content *model, const char *model_path) {
    entry e;
    vj_key identity;
    if (read_entry(cache, key, &e) && open_files(&e, model, model_path) && identity_of(&e, &identity))
        note(cache, &identity);
    free_entry(&e);
}

/* Writing */

static bool write_file_lines(FILE *out, const vj_content *content, const vj_model_file *file) {
    char text[VJ_KEY_TEXT];
    vj_key rest;
    if (file->name && strchr(file->name, '\n')) return false;
    if (!vj_content_rest(content, file->parts, file->part_count, &rest)) return false;
    vj_key_text(rest.half, text);
    fprintf(out, "file %" PRId64 " %s %s\n", content->size, text, file->name ? file->name : "");
    for (int32_t i = 0; i < file->part_count; i++) {
        vj_key_text(file->parts[i].digest, text);
        fprintf(out, "part %" PRId64 " %" PRId64 " %s\n", file->parts[i].offset, file->parts[i].length, text);
    }
    return true;
}

/* The folder's whole path, and the name in it, though it be a link's: the Hub's cache has its files under names that say nothing. */
static void write_path(FILE *out, const char *model_path) {
    const char *slash = model_path ? strrchr(model_path, '/') : NULL;
    char *folder = slash ? strndup(model_path, (size_t)(slash - model_path) + 1) : strdup(".");
    char *whole = model_path && folder ? realpath(folder, NULL) : NULL;
    if (whole && !strchr(whole, '\n') && !strchr(model_path, '\n'))
        fprintf(out, "model %s/%s\n", whole[1] ? whole : "", slash ? slash + 1 : model_path);
    free(whole);
    free(folder);
}

static bool write_lines(FILE *out, const vj_key *key, const vj_content *model, const char *model_path,
                        const vj_compiled *compiled) {
    char text[VJ_KEY_TEXT];
    vj_key_text(key->half, text);
    fprintf(out, "key %s\n", text);
    write_path(out, model_path);
    vj_key_text(compiled->graph_key, text);
    fprintf(out, "graph %s\n", text);
    bool good = write_file_lines(out, model, &compiled->files[0]);
    for (int32_t i = 1; good && i < compiled->file_count; i++) {
        char path[4400];
        vj_content external;
        vj_cache_beside(model_path, compiled->files[i].name, path, sizeof path);
        if (vj_content_open(path, &external) != VJ_OK) return false;
        good = write_file_lines(out, &external, &compiled->files[i]);
        vj_content_close(&external);
    }
    return good;
}

char *vj_entry_text(const vj_key *key, const vj_content *model, const char *model_path, const vj_compiled *compiled,
                    size_t *bytes) {
    char *text = NULL, check[VJ_KEY_TEXT];
    FILE *out = open_memstream(&text, bytes);
    if (!out) return NULL;
    snprintf(check, sizeof check, "%032d", 0);
    const int begin = fprintf(out, "vitjit-entry 4 %s\n", check);
    bool good = compiled->file_count > 0 && write_lines(out, key, model, model_path, compiled);
    if (fclose(out) != 0 || *bytes > MOST_BYTES) good = false;
    if (good) {
        const vj_key is = vj_key_of(text + begin, *bytes - (size_t)begin);
        vj_key_text(is.half, check);
        memcpy(text + begin - VJ_KEY_TEXT, check, VJ_KEY_TEXT - 1);
        return text;
    }
    free(text);
    return NULL;
}
