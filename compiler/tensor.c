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
} reading;

/* The elements as the type stores them. */
static void *store(vj_arena *arena, const vj_tensor *t, size_t *bytes, vj_error *error) {
    vj_const constant;
    vj_const_from_host(arena, t->type.dtype, t->count, t->f, t->i, &constant);
    *bytes = (size_t)constant.length;
    void *data = malloc(*bytes ? *bytes : 1);
    if (!data) {
        vj_fail(error, VJ_SYSTEM, "no memory for a tensor of %zu bytes", *bytes);
        return NULL;
    }
    return memcpy(data, constant.source->at, *bytes);
}

static vj_status read_one(vj_arena *arena, const reading *r, vj_error *error) {
    const char *name = NULL;
    const vj_tensor *t = vj_read_tensor_pb(arena, r->path, &name, error);
    if (!t) return error->status;
    *r->name = strdup(name ? name : "");
    if (!*r->name) return vj_fail(error, VJ_SYSTEM, "no memory");
    *r->data = store(arena, t, r->bytes, error);
    *r->dtype = (int32_t)t->type.dtype;
    *r->rank = t->type.rank;
    for (int32_t i = 0; i < t->type.rank; i++)
        r->dims[i] = t->type.dims[i].c;
    return error->status;
}

vj_status vj_read_tensor(const char *path, char **name, int32_t *dtype, int32_t *rank, int64_t dims[VJ_MODEL_MAX_RANK],
                         void **data, size_t *bytes, char *error, size_t error_bytes) {
    const reading r = {path, name, dtype, rank, dims, data, bytes};
    *name = NULL;
    *data = NULL;
    vj_error failure = {0};
    vj_arena *arena = vj_arena_new();
    jmp_buf out_of_memory;
    vj_status status;
    vj_arena_on_oom(arena, &out_of_memory);
    if (setjmp(out_of_memory) == 0)
        status = read_one(arena, &r, &failure);
    else
        status = vj_no_memory(&failure);
    if (status != VJ_OK) vj_write_error(&failure, error, error_bytes);
    vj_arena_free(arena);
    if (status == VJ_OK) return VJ_OK;
    free(*name);
    *name = NULL;
    return status;
}
