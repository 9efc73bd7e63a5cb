/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.c - a tensor of ONNX test data as dense elements of its type. */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

typedef struct reading {
    const char *path;
    vj_read_data *out;
    vj_arena *arena;
    vj_error error;
} reading;

/* The elements as the type stores them. */
static void *store(reading *r, const vj_tensor *t) {
    vj_const constant;
    vj_const_from_host(r->arena, t->type.dtype, t->count, t->f, t->i, &constant);
    const size_t bytes = r->out->bytes = (size_t)constant.length;
    void *data = malloc(bytes ? bytes : 1);
    if (!data) {
        vj_fail(&r->error, VJ_SYSTEM, "out of memory for a tensor of %zu bytes", bytes);
        return NULL;
    }
    return memcpy(data, constant.source->at, bytes);
}

static void read_one(void *self) {
    reading *r = self;
    const char *name = NULL;
    const vj_tensor *t = vj_read_tensor_pb(r->arena, r->path, &name, &r->error);
    if (!t) return;
    r->out->name = strdup(name ? name : "");
    if (!r->out->name) vj_fail(&r->error, VJ_SYSTEM, "out of memory");
    if (r->out->name) r->out->data = store(r, t);
    r->out->dtype = t->type.dtype;
    r->out->rank = t->type.rank;
    for (int32_t i = 0; i < t->type.rank; i++)
        r->out->dims[i] = t->type.dims[i].c;
}

vj_status vj_read_tensor(const char *path, vj_read_data *data, char *error, size_t error_bytes) {
    reading r = {path, data, vj_arena_new(), {0}};
    *data = (vj_read_data){0};
    if (!vj_arena_try(r.arena, read_one, &r)) vj_no_memory(&r.error);
    vj_arena_free(r.arena);
    if (r.error.status == VJ_OK) return VJ_OK;
    vj_write_error(&r.error, error, error_bytes);
    free(data->name);
    *data = (vj_read_data){0};
    return r.error.status;
}
