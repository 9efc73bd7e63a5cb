/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - see answer.h. */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"
#include "vitjit_dtype.h"

#define MOST_FILES (1 << 16)

static void put_files(vj_packet *p, const vj_compiled *c) {
    vj_put_number(p, c->file_count);
    for (int32_t i = 0; i < c->file_count; i++) {
        const vj_model_file *f = &c->files[i];
        vj_put_text(p, f->name);
        vj_put_number(p, f->part_count);
        for (int32_t k = 0; k < f->part_count; k++) {
            vj_put_number(p, f->parts[k].offset);
            vj_put_number(p, f->parts[k].length);
            vj_put_bytes(p, f->parts[k].digest, sizeof f->parts[k].digest);
        }
    }
}

static void put_compiled(vj_packet *p, const vj_compiled *c) {
    vj_put_bytes(p, c->image, c->image_bytes);
    vj_put_bytes(p, c->graph_key, sizeof c->graph_key);
    vj_put_number(p, c->from_cache);
    vj_put_number(p, c->weights_fd >= 0);
    vj_put_real(p, c->compile_ms);
    put_files(p, c);
}

static void put_data(vj_packet *p, const vj_read_data *d) {
    vj_put_text(p, d->name);
    vj_put_number(p, d->dtype);
    vj_put_number(p, d->rank);
    for (int32_t i = 0; i < d->rank; i++)
        vj_put_number(p, d->dims[i]);
    vj_put_bytes(p, d->data, d->bytes);
}

static bool has_text(vj_errand errand) { return errand != VJ_ERRAND_COMPILE && errand != VJ_ERRAND_TENSOR; }

void vj_put_answer(vj_packet *p, vj_errand errand, const vj_answer *answer) {
    vj_put_number(p, answer->status);
    vj_put_text(p, answer->error);
    if (has_text(errand)) vj_put_text(p, answer->text);
    if (answer->status) return;
    if (errand == VJ_ERRAND_COMPILE) put_compiled(p, &answer->compiled);
    if (errand == VJ_ERRAND_TENSOR) put_data(p, &answer->data);
}

/* Bytes of just that size. */
static void take_exactly(vj_packet *p, void *to, size_t size) {
    size_t there;
    const void *bytes = vj_take_bytes(p, &there);
    if (bytes && there == size)
        memcpy(to, bytes, size);
    else
        p->bad = true;
}

static void *copy_bytes(vj_packet *p, size_t *size) {
    const void *bytes = vj_take_bytes(p, size);
    void *copy = p->bad ? NULL : malloc(*size ? *size : 1);
    if (copy && *size) memcpy(copy, bytes, *size);
    if (!copy && !p->bad) vj_packet_lacks_memory(p);
    return copy;
}

static char *copy_text(vj_packet *p) {
    const char *text = vj_take_text(p);
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy) vj_packet_lacks_memory(p);
    return copy;
}

/* External data lies in the model's folder, and its name is a line of the cache's entry. */
static bool is_external_name(const char *name) {
    if (*name == 0 || *name == '/' || strlen(name) > 4096 || strchr(name, '\n')) return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == 0 || part[2] == '/')) return false;
    return true;
}

/* Parts follow one another, inside of what is there. */
static void take_parts(vj_packet *p, int64_t most, vj_model_file *file) {
    void *list;
    const int32_t count = vj_take_count(p, sizeof(vj_file_part), &list);
    file->parts = calloc((size_t)count + 1, sizeof *file->parts);
    if (!file->parts) vj_packet_lacks_memory(p);
    int64_t end = 0;
    for (int32_t i = 0; i < count && !p->bad; i++) {
        vj_file_part *part = &file->parts[i];
        part->offset = vj_take_number(p, end, most);
        part->length = vj_take_number(p, 0, most - part->offset);
        take_exactly(p, part->digest, sizeof part->digest);
        end = part->offset + part->length;
        file->part_count = i + 1;
    }
}

static void take_files(vj_packet *p, int64_t content_bytes, vj_compiled *c) {
    void *list;
    const int32_t count = vj_take_count(p, 1, &list);
    if (count > MOST_FILES || (content_bytes >= 0 && count > 1)) p->bad = true;
    c->files = p->bad ? NULL : calloc((size_t)count + 1, sizeof *c->files);
    if (!c->files && !p->bad) vj_packet_lacks_memory(p);
    for (int32_t i = 0; i < count && !p->bad; i++) {
        c->files[i].name = copy_text(p);
        c->file_count = i + 1;
        if ((i > 0) != (c->files[i].name != NULL) || (i > 0 && !is_external_name(c->files[i].name))) p->bad = true;
        take_parts(p, i == 0 && content_bytes >= 0 ? content_bytes : INT64_MAX, &c->files[i]);
    }
}

static void take_compiled(vj_packet *p, int64_t content_bytes, vj_compiled *c) {
    c->image = copy_bytes(p, &c->image_bytes);
    take_exactly(p, c->graph_key, sizeof c->graph_key);
    c->from_cache = (int32_t)vj_take_number(p, 0, 1);
    c->weights_fd = vj_take_number(p, 0, 1) ? 0 : -1; /* whether there is one, until the host puts its own there */
    c->compile_ms = vj_take_real(p);
    take_files(p, content_bytes, c);
}

static void take_data(vj_packet *p, vj_read_data *d) {
    d->name = copy_text(p);
    d->dtype = (vj_dtype)vj_take_number(p, VJ_NO_DTYPE + 1, VJ_DTYPE_COUNT - 1);
    d->rank = (int32_t)vj_take_number(p, 0, VJ_MODEL_MAX_RANK);
    int64_t bytes = vj_element_bytes(d->dtype);
    for (int32_t i = 0; i < d->rank; i++) {
        d->dims[i] = vj_take_number(p, 0, INT64_MAX);
        if (__builtin_mul_overflow(bytes, d->dims[i], &bytes)) p->bad = true;
    }
    d->data = copy_bytes(p, &d->bytes);
    if (!d->name || d->bytes != (size_t)bytes) p->bad = true;
}

void vj_compiled_free_files(vj_compiled *c) {
    for (int32_t i = 0; i < c->file_count; i++) {
        free(c->files[i].name);
        free(c->files[i].parts);
    }
    free(c->files);
    c->files = NULL;
    c->file_count = 0;
}

bool vj_take_answer(vj_packet *p, vj_errand errand, int64_t content_bytes, vj_answer *answer) {
    *answer = (vj_answer){.compiled.weights_fd = -1};
    answer->status = (vj_status)vj_take_number(p, VJ_OK, VJ_SYSTEM);
    const char *error = vj_take_text(p);
    snprintf(answer->error, sizeof answer->error, "%s", error ? error : "");
    if (has_text(errand)) answer->text = copy_text(p);
    if (answer->status == VJ_OK && errand == VJ_ERRAND_COMPILE) take_compiled(p, content_bytes, &answer->compiled);
    if (answer->status == VJ_OK && errand == VJ_ERRAND_TENSOR) take_data(p, &answer->data);
    if (vj_packet_done(p)) return true;
    vj_compiled_free_files(&answer->compiled);
    free(answer->compiled.image);
    free(answer->text);
    free(answer->data.name);
    free(answer->data.data);
    return false;
}
