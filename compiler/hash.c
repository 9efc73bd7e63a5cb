/* hash.c - the graph key and the packed weights' digest: XXH3-128 over a canonical walk.
 *
 * Both walk a function's nodes in order, and feed operands by index, so names never count. A constant is fed as the
 * digest of its bytes, read in blocks; digests of large constants are kept, as the weights' digest meets them again.
 */
#include "internal.h"

#include <string.h>

#include <xxhash.h>

#define BLOCK (1 << 20)

typedef struct digest {
    const vj_source *source;
    int64_t offset, length;
    XXH128_hash_t hash;
} digest;

typedef struct hasher {
    vj_unit *u;
    XXH3_state_t *state;
    uint8_t *block;
    digest *seen; /* of constants in files */
    int32_t seen_count, seen_capacity;
} hasher;

static void feed(hasher *h, const void *data, size_t bytes) { XXH3_128bits_update(h->state, data, bytes); }
static void feed_i64(hasher *h, int64_t x) { feed(h, &x, sizeof x); }
static void feed_text(hasher *h, const char *text) {
    const size_t length = text ? strlen(text) : 0;
    feed_i64(h, (int64_t)length);
    feed(h, text ? text : "", length);
}

static void feed_type(hasher *h, const vj_type *type) {
    feed_i64(h, type->dtype);
    feed_i64(h, type->rank);
    for (int32_t i = 0; i < type->rank; i++) {
        feed_i64(h, type->dims[i].c);
        feed_i64(h, type->dims[i].sym);
    }
}

static bool content(hasher *h, vj_value v, const vj_const *constant, XXH128_hash_t *out) {
    for (int32_t i = 0; i < h->seen_count; i++) {
        const digest *d = &h->seen[i];
        if (d->source == constant->source && d->offset == constant->offset && d->length == constant->length) {
            *out = d->hash;
            return true;
        }
    }
    XXH3_state_t *state = XXH3_createState();
    bool good = state != NULL;
    if (good) XXH3_128bits_reset(state);
    for (int64_t at = 0; good && at < constant->length; at += BLOCK) {
        const int64_t bytes = vj_min64(BLOCK, constant->length - at);
        good = vj_const_read_bytes(h->u->f, v, at, bytes, h->block, &h->u->error);
        if (good) XXH3_128bits_update(state, h->block, (size_t)bytes);
    }
    if (good) *out = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    if (good) {
        digest *d = VJ_PUSH(h->u->arena, h->seen, h->seen_count, h->seen_capacity);
        *d = (digest){constant->source, constant->offset, constant->length, *out};
    }
    return good;
}

static bool feed_constant(hasher *h, vj_value v, const vj_const *constant) {
    feed_i64(h, constant->kind);
    if (constant->kind != VJ_CONST_BYTES) {
        feed(h, &constant->splat, sizeof constant->splat);
        feed_i64(h, (int64_t)constant->seed);
        return true;
    }
    XXH128_hash_t hash;
    if (!content(h, v, constant, &hash)) return false;
    feed(h, &hash, sizeof hash);
    return true;
}

static bool feed_attr(hasher *h, vj_value v, const vj_attr *attr) {
    feed_i64(h, attr->key);
    switch (vj_attr_key_kind(attr->key)) {
    case VJ_KIND_INT:
        feed_i64(h, attr->as.i);
        return true;
    case VJ_KIND_FLOAT:
        feed(h, &attr->as.f, sizeof attr->as.f);
        return true;
    case VJ_KIND_NAME:
        feed_text(h, attr->as.name);
        return true;
    case VJ_KIND_CONST:
        return feed_constant(h, v, attr->as.constant);
    case VJ_KIND_INTS:
        break;
    }
    feed_i64(h, attr->count);
    for (int32_t i = 0; i < attr->count; i++)
        feed_i64(h, attr->as.ints[i]);
    return true;
}

static bool feed_node(hasher *h, const vj_node *node) {
    feed_text(h, vj_op_table(node->op)->name);
    feed_i64(h, node->arg_count);
    for (int32_t i = 0; i < node->arg_count; i++)
        feed_i64(h, node->args[i]);
    feed_i64(h, node->result_count);
    for (int32_t i = 0; i < node->result_count; i++)
        feed_type(h, vj_type_at(h->u->f, node->first_result + i));
    for (int32_t i = 0; i < node->attr_count; i++)
        if (!feed_attr(h, node->first_result, &node->attrs[i])) return false;
    return true;
}

static bool start(hasher *h, vj_unit *u) {
    *h = (hasher){.u = u, .state = XXH3_createState(), .block = vj_alloc(u->arena, BLOCK)};
    if (!h->state) return vj_fail(&u->error, VJ_SYSTEM, "no memory") == VJ_OK;
    XXH3_128bits_reset(h->state);
    return true;
}

static vj_status finish(hasher *h, bool good, uint64_t out[2]) {
    if (good) {
        const XXH128_hash_t hash = XXH3_128bits_digest(h->state);
        out[0] = hash.low64;
        out[1] = hash.high64;
    }
    XXH3_freeState(h->state);
    return good ? VJ_OK : h->u->error.status;
}

vj_status vj_graph_key(vj_unit *u) {
    hasher h;
    const vj_func *f = u->f;
    bool good = start(&h, u);
    if (!good) return u->error.status;
    feed_text(&h, vj_compiler_get()->build_id);
    feed_text(&h, u->target->name);
    for (int32_t i = 0; i < f->symbol_count; i++)
        feed_i64(&h, f->symbols[i].bound);
    for (int32_t i = 0; i < f->node_count && good; i++)
        if (!f->nodes[i].dead) good = feed_node(&h, &f->nodes[i]);
    for (int32_t i = 0; i < f->input_count; i++) {
        feed_i64(&h, f->inputs[i]);
        feed_text(&h, f->values[f->inputs[i]].name);
    }
    for (int32_t i = 0; i < f->output_count; i++) {
        feed_i64(&h, f->outputs[i]);
        feed_text(&h, f->output_names[i]);
    }
    for (int32_t i = 0; i < u->facts.metadata_count; i++) {
        feed_text(&h, u->facts.metadata[i].key);
        feed_text(&h, u->facts.metadata[i].value);
    }
    return finish(&h, good, u->graph_key);
}

/* The constants that a weight's source is made of, and how: the nodes before it that it needs, each once. */
static bool feed_expression(hasher *h, vj_value v, uint8_t *done) {
    const vj_node *node = vj_producer(h->u->f, v);
    if (done[v]) return true;
    done[v] = 1;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 && !feed_expression(h, node->args[i], done)) return false;
    feed_i64(h, v);
    return feed_node(h, node);
}

static void feed_recipe(hasher *h, const vj_weight *w) {
    feed_i64(h, w->kind);
    feed_i64(h, w->source);
    feed_i64(h, w->k);
    feed_i64(h, w->n);
    feed_i64(h, w->source_offset);
    feed_i64(h, w->k_rank);
    feed_i64(h, w->n_rank);
    feed(h, w->k_extent, (size_t)w->k_rank * sizeof *w->k_extent);
    feed(h, w->k_stride, (size_t)w->k_rank * sizeof *w->k_stride);
    feed(h, w->n_extent, (size_t)w->n_rank * sizeof *w->n_extent);
    feed(h, w->n_stride, (size_t)w->n_rank * sizeof *w->n_stride);
}

vj_status vj_weights_digest(vj_unit *u) {
    hasher h;
    bool good = start(&h, u);
    if (!good) return u->error.status;
    const vj_program *p = u->program;
    uint8_t *done = vj_alloc(u->arena, (size_t)u->f->value_count + 1);
    feed_i64(&h, VJ_IMAGE_VERSION);
    for (int32_t i = 0; i < p->buffer_count && good; i++) {
        if (p->buffers[i].kind != VJ_BUFFER_WEIGHT) continue;
        const vj_weight *w = &p->weights[p->buffers[i].index];
        feed_i64(&h, p->buffers[i].offset);
        feed_i64(&h, p->buffers[i].dtype);
        feed_recipe(&h, w);
        good = feed_expression(&h, w->source, done);
    }
    return finish(&h, good, u->weights_digest);
}
