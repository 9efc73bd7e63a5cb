/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.c - a tensor of ONNX test data as dense elements of its type. */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

typedef struct reading {
    const char *path;
    char **name;
    int32_t *dtype, *rank;
    int64_t *dims;
    void **data;
    size_t *bytes;
    vj_arena *arena;
    vj_error error;
} reading;

/* The elements as the type stores them. */
static void *store(reading *r, const vj_tensor *t) {
    vj_const constant;
    size_t *bytes = r->bytes;
    vj_const_from_host(r->arena, t->type.dtype, t->count, t->f, t->i, &constant);
    *bytes = (size_t)constant.length;
    void *data = malloc(*bytes ? *bytes : 1);
    if (!data) {
        vj_fail(&r->error, VJ_SYSTEM, "out of memory for a tensor of %zu bytes", *bytes);
        return NULL;
    }
    return memcpy(data, constant.source->at, *bytes);
}

static void read_one(void *self) {
    reading *r = self;
    const char *name = NULL;
    const vj_tensor *t = vj_read_tensor_pb(r->arena, r->path, &name, &r->error);
    if (!t) return;
    *r->name = strdup(name ? name : "");
    if (!*r->name) vj_fail(&r->error, VJ_SYSTEM, "out of memory");
    if (*r->name) *r->data = store(r, t);
    *r->dtype = (int32_t)t->type.dtype;
    *r->rank = t->type.rank;
    for (int32_t i = 0; i < t->type.rank; i++)
        r->dims[i] = t->type.dims[i].c;
}

vj_status vj_read_tensor(const char *path, char **name, int32_t *dtype, int32_t *rank, int64_t dims[VJ_MODEL_MAX_RANK],
                         void **data, size_t *bytes, char *error, size_t error_bytes) {
    reading r = {path, name, dtype, rank, dims, data, bytes, vj_arena_new(), {0}};
    *name = NULL;
    *data = NULL;
    if (!vj_arena_try(r.arena, read_one, &r)) vj_no_memory(&r.error);
    vj_arena_free(r.arena);
    if (r.error.status == VJ_OK) return VJ_OK;
    vj_write_error(&r.error, error, error_bytes);
    free(*name);
    *name = NULL;
    return r.error.status;
}
