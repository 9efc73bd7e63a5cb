/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.c - runs protobuf-c's unpack with a memory budget, as a small file can describe a message of many times its
 * size. */
#include "model.h"

#include <stdlib.h>

#define UNPACK_BUDGET ((size_t)1 << 30)

typedef struct budget {
    size_t used;
    bool exhausted;
    bool no_memory; /* protobuf-c fails as it does of a malformed message */
} budget;

struct vj_unpacked {
    budget budget;
    ProtobufCAllocator allocator;
    ProtobufCMessage *message;
};

/* The size of a block precedes it, so that freeing it returns the size to the budget. */
typedef union header {
    size_t size;
    max_align_t align;
} header;

static void *budget_alloc(void *data, size_t size) {
    budget *b = data;
    if (size > UNPACK_BUDGET - b->used || sizeof(header) > UNPACK_BUDGET - b->used - size) {
        b->exhausted = true;
        return NULL;
    }
    header *h = malloc(sizeof(header) + size);
    if (!h) {
        b->no_memory = true;
        return NULL;
    }
    h->size = size;
    b->used += sizeof(header) + size;
    return h + 1;
}

static void budget_free(void *data, void *pointer) {
    if (!pointer) return;
    budget *b = data;
    header *h = (header *)pointer - 1;
    b->used -= sizeof(header) + h->size;
    free(h);
}

vj_unpacked *vj_unpack(const ProtobufCMessageDescriptor *kind, const uint8_t *slim, size_t size, const char *path,
                       vj_error *error) {
    vj_unpacked *u = calloc(1, sizeof *u);
    if (!u) {
        vj_fail(error, VJ_SYSTEM, "%s: out of memory for the graph", path);
        return NULL;
    }
    u->allocator = (ProtobufCAllocator){budget_alloc, budget_free, &u->budget};
    u->message = protobuf_c_message_unpack(kind, &u->allocator, size, slim);
    if (u->message) return u;
    if (u->budget.exhausted)
        vj_fail(error, VJ_UNSUPPORTED, "%s: the graph needs more than %zu MiB of memory once unpacked", path,
                UNPACK_BUDGET >> 20);
    else if (u->budget.no_memory)
        vj_fail(error, VJ_SYSTEM, "%s: out of memory for the graph", path);
    else
        vj_fail(error, VJ_BAD_INPUT, "%s: not a valid ONNX file: a message is malformed", path);
    free(u);
    return NULL;
}

ProtobufCMessage *vj_unpacked_message(const vj_unpacked *unpacked) { return unpacked->message; }

void vj_unpacked_free(vj_unpacked *unpacked) {
    if (!unpacked) return;
    protobuf_c_message_free_unpacked(unpacked->message, &unpacked->allocator);
    free(unpacked);
}
