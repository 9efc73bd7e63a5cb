/* SPDX-License-Identifier: Apache-2.0 */
/* mutate_blocks.c - changes weights that have a scale a block so that the model stays one, which chance would seldom do: what an
 * attribute says and what the sizes of several initializers are change together. */
#include "mutate_blocks.h"

#include <string.h>

typedef struct changing {
    rng *r;
    vj_arena *arena;
    const Onnx__GraphProto *g;
    const Onnx__NodeProto *node;
} changing;

static int64_t *attribute(const changing *c, const char *name) {
    for (size_t i = 0; i < c->node->n_attribute; i++)
        if (c->node->attribute[i]->name && strcmp(c->node->attribute[i]->name, name) == 0)
            return &c->node->attribute[i]->i;
    return NULL;
}

static int64_t value_of(const changing *c, const char *name, int64_t otherwise) {
    const int64_t *i = attribute(c, name);
    return i ? *i : otherwise;
}

static void set(const changing *c, const char *name, int64_t x) {
    int64_t *i = attribute(c, name);
    if (i) *i = x;
}

static Onnx__TensorProto *operand(const changing *c, size_t i) {
    for (size_t t = 0; i < c->node->n_input && t < c->g->n_initializer; t++)
        if (c->g->initializer[t]->name && strcmp(c->g->initializer[t]->name, c->node->input[i]) == 0)
            return c->g->initializer[t];
    return NULL;
}

/* Makes the raw initializer one of `count` elements of so many bytes, of what it had, over and over; now and then of one less. */
static void resize(const changing *c, size_t i, int64_t count, size_t size) {
    enum { MOST = 1 << 20 };
    Onnx__TensorProto *t = operand(c, i);
    if (!t || t->raw_data.len == 0 || count < 1 || count > MOST) return;
    if (chance(c->r, 4)) count--;
    const size_t bytes = (size_t)count * size;
    uint8_t *data = vj_alloc(c->arena, bytes + 1);
    for (size_t at = 0; at < bytes; at++)
        data[at] = t->raw_data.data[at % t->raw_data.len];
    t->raw_data.data = data;
    t->raw_data.len = bytes;
    t->dims = VJ_NEW(c->arena, int64_t);
    t->n_dims = 1;
    t->dims[0] = count;
}

static size_t bytes_of_scales(const changing *c) {
    const Onnx__TensorProto *scales = operand(c, 2);
    return scales && scales->data_type == 1 ? 4 : 2;
}

static void resize_rows(const changing *c, int64_t k, int64_t n, int64_t block) {
    const int64_t bits = value_of(c, "bits", 4), groups = vj_ceil_div(k, block);
    if (bits < 0 || bits > 64) return;
    resize(c, 1, n * groups * block * bits / 8, 1);
    resize(c, 2, n * groups, bytes_of_scales(c));
    const Onnx__TensorProto *zero = operand(c, 3);
    if (zero && zero->data_type == 2) resize(c, 3, n * vj_ceil_div(groups * bits, 8), 1);
    if (zero && zero->data_type != 2) resize(c, 3, n * groups, 4);
    resize(c, 5, n, 4);
}

bool change_blocks(rng *r, vj_arena *arena, const Onnx__GraphProto *g, const Onnx__NodeProto *node) {
    const changing c = {r, arena, g, node};
    const bool rows = node->op_type && strcmp(node->op_type, "MatMulNBits") == 0;
    if (!rows && (!node->op_type || strcmp(node->op_type, "MatMulBnb4") != 0)) return false;
    set(&c, "block_size", INT64_C(16) << pick(r, 5));
    if (chance(r, 50)) set(&c, "N", 1 + pick(r, 40));
    if (chance(r, 40)) set(&c, "bits", chance(r, 80) ? 4 << pick(r, 2) : pick(r, 10));
    if (chance(r, 30)) set(&c, "quant_type", pick(r, 2));
    const int64_t k = value_of(&c, "K", 0), n = value_of(&c, "N", 0), block = value_of(&c, "block_size", 16);
    if (k < 1 || k > 4096 || n < 1 || n > 4096 || block < 1 || block > 4096) return true;
    if (rows) {
        resize_rows(&c, k, n, block);
    } else {
        resize(&c, 1, vj_ceil_div(k * n, 2), 1);
        resize(&c, 2, vj_ceil_div(k * n, block), bytes_of_scales(&c));
    }
    return true;
}
