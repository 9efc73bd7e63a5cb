/* SPDX-License-Identifier: Apache-2.0 */
/* onnx.c - the bytes of an ONNX model: opened, imported, planned. Twice, as it is and with a batch of 2. */
#include "target.h"

#include "frontend/frontend.h"
#include "passes/passes.h"

typedef struct trial {
    const uint8_t *data;
    size_t size;
    int64_t batch; /* 0: open */
    vj_arena *arena;
} trial;

static void import_and_plan(void *self) {
    const trial *t = self;
    vj_error error = {0};
    vj_model_facts facts;
    const vj_import_options options = {.fixed_batch = t->batch};
    vj_onnx *onnx = vj_onnx_open_memory(t->arena, t->data, t->size, "model.onnx", &facts, &error);
    vj_func *f = onnx ? vj_import(t->arena, onnx, &options, &error) : NULL;
    MUST(f || error.text[0]);
    if (f) plan_function(t->arena, f, t->size, &error);
    MUST(error.status != VJ_SYSTEM);
}

static void try_model(const uint8_t *data, size_t size, int64_t batch) {
    trial t = {data, size, batch, NULL};
    with_arena(&t.arena, import_and_plan, &t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = exact_copy(data, size);
    try_model(copy, size, 0);
    try_model(copy, size, 2);
    free(copy);
    return 0;
}
