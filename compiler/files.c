/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - which bytes of the model's files the graph key has the digests of, so that the cache need not read them again
 * to know the model when it comes back.
 */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

static int by_offset(const void *a, const void *b) {
    const vj_file_part *x = a, *y = b;
    return x->offset != y->offset ? (x->offset > y->offset) - (x->offset < y->offset)
                                  : (x->length > y->length) - (x->length < y->length);
}

/* What overlaps the part before is left out: it counts as what lies between parts. */
static void sort_apart(vj_model_file *file) {
    int32_t kept = 0;
    int64_t end = 0;
    if (file->part_count) qsort(file->parts, (size_t)file->part_count, sizeof *file->parts, by_offset);
    for (int32_t i = 0; i < file->part_count; i++) {
        if (file->parts[i].offset < end) continue;
        end = file->parts[i].offset + file->parts[i].length;
        file->parts[kept++] = file->parts[i];
    }
    file->part_count = kept;
}

static bool is_named(const vj_model_file *file, const char *name) {
    return name && file->name ? strcmp(name, file->name) == 0 : !name && !file->name;
}

static bool fill(const vj_unit *u, vj_model_file *file, const char *name) {
    vj_file_part part;
    const char *of;
    if (name && !(file->name = strdup(name))) return false;
    file->parts = calloc((size_t)vj_digest_count(u) + 1, sizeof *file->parts);
    for (int32_t i = 0; file->parts && i < vj_digest_count(u); i++)
        if (vj_onnx_file_of(u->onnx, vj_digested_part(u, i, &part), &of) && is_named(file, of))
            file->parts[file->part_count++] = part;
    sort_apart(file);
    return file->parts;
}

static void free_files(vj_compiled *out) {
    for (int32_t i = 0; i < out->file_count; i++) {
        free(out->files[i].name);
        free(out->files[i].parts);
    }
    free(out->files);
    out->files = NULL;
    out->file_count = 0;
}

vj_status vj_list_files(vj_unit *u, vj_compiled *out) {
    const int32_t count = u->facts.external_count + 1;
    bool good = (out->files = calloc((size_t)count, sizeof *out->files));
    while (good && out->file_count < count) {
        const int32_t i = out->file_count++;
        good = fill(u, &out->files[i], i ? u->facts.external[i - 1].name : NULL);
    }
    if (good) return VJ_OK;
    free_files(out);
    return vj_fail(&u->error, VJ_SYSTEM, "out of memory");
}
