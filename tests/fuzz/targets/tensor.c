/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.c - a TensorProto file of ONNX test data. */
#include "target.h"

#include "frontend/frontend.h"

typedef struct trial {
    const char *path;
    vj_arena *arena;
} trial;

static void read_tensor(void *self) {
    const trial *t = self;
    vj_error error = {0};
    const char *name = NULL;
    const vj_tensor *x = vj_read_tensor_pb(t->arena, t->path, &name, &error);
    MUST(x || error.text[0]);
    double sum = 0;
    for (int64_t i = 0; x && i < x->count; i++)
        sum += x->f ? x->f[i] : (double)x->i[i];
    MUST(sum == sum || x->f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    trial t = {file_of(data, size), NULL};
    with_arena(&t.arena, read_tensor, &t);
    return 0;
}
