/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c - the graph key and the keys of weights: XXH3-128 over canonical walks.
 *
 * The graph key walks a function's nodes in order, and feeds operands by number, so names never count; a weight's key
 * feeds what its source is made of. A constant is fed as the digest of its bytes. Those of large constants are computed
 * by other threads while the passes work, and kept for the weights' keys, which meet the same constants again.
 */
#include "compiler.h"
#include "ir/base/threads.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "passes/rewrite/rewrite.h"
#include "vitjit_dtype.h"

#define BLOCK      (256 << 10) /* stays in the second-level cache between reading and hashing */
#define KEPT_BYTES (16 << 10)  /* smaller constants are hashed when they are met */

typedef struct digest {
    const vj_source *source;
    int64_t offset, length;
    XXH128_hash_t hash;
} digest;

/* A file as it was before anything was hashed. */
typedef struct seen_file {
    const vj_source *source;
    struct stat was;
} seen_file;

#define MAX_MEMBERS 8
typedef struct member {
    uint8_t *block;
    vj_error error;
} member;

struct vj_digests {
    digest *known;
    int32_t count, capacity;
    int32_t
        *table; /* indices of known by what the constant is: open addressing, at most half full; -1: an empty slot */
    int32_t table_room; /* a power of two */
    seen_file *files;
    int32_t file_count, file_capacity;
    atomic_int next;             /* who takes it hashes known[next] */
    member members[MAX_MEMBERS]; /* the first is the unit's own thread */
    vj_crew *crew;               /* the others, while they run */
    /* The graph key: of all but large constants, and these in the order of the walk. */
    XXH128_hash_t graph;
    int32_t *large;
    int32_t large_count, large_capacity;
};

typedef struct hasher {
    vj_unit *u;
    XXH3_state_t state;
    uint8_t *block;
    XXH128_hash_t *of_value; /* NULL: operands are fed by their indices; else by these, as far as they are known */
    bool *known;
    vj_value *waiting; /* room for all values */
    bool later;        /* large constants are listed, for their digests are not there yet */
} hasher;

static void feed(hasher *h, const void *data, size_t bytes) { XXH3_128bits_update(&h->state, data, bytes); }
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

/* Constants in files and in memory */

/* The slot in the table of an equal constant, or the empty one where it belongs. */
static int32_t *digest_slot(const struct vj_digests *all, const vj_source *source, int64_t offset, int64_t length) {
    const int64_t words[] = {(int64_t)(uintptr_t)source, offset, length};
    for (uint64_t at = XXH3_64bits(words, sizeof words);; at++) {
        int32_t *slot = &all->table[at & (uint64_t)(all->table_room - 1)];
        if (*slot < 0) return slot;
        const digest *d = &all->known[*slot];
        if (d->source == source && d->offset == offset && d->length == length) return slot;
    }
}

/* In known; -1: none. */
static int32_t find_digest(const struct vj_digests *all, const vj_const *constant) {
    return all->count ? *digest_slot(all, constant->source, constant->offset, constant->length) : -1;
}

static void add_digest(struct vj_digests *all, vj_arena *arena, const vj_const *c) {
    if (2 * (all->count + 1) > all->table_room) {
        all->table_room = all->table_room ? 2 * all->table_room : 64;
        all->table = VJ_NEW_ARRAY(arena, int32_t, all->table_room);
        for (int32_t i = 0; i < all->table_room; i++)
            all->table[i] = -1;
        for (int32_t i = 0; i < all->count; i++)
            *digest_slot(all, all->known[i].source, all->known[i].offset, all->known[i].length) = i;
    }
    *digest_slot(all, c->source, c->offset, c->length) = all->count;
    *VJ_PUSH(arena, all->known, all->count, all->capacity) = (digest){c->source, c->offset, c->length, {0}};
}

static bool hash_content(const vj_source *source, int64_t offset, int64_t length, uint8_t *block, XXH128_hash_t *out,
                         vj_error *error) {
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (int64_t at = 0; at < length; at += BLOCK) {
        const int64_t bytes = vj_min64(BLOCK, length - at);
        if (!vj_source_read(source, offset + at, bytes, block, error)) return false;
        XXH3_128bits_update(&state, block, (size_t)bytes);
    }
    *out = XXH3_128bits_digest(&state);
    return true;
}

static void hash_some(void *self, int32_t worker) {
    struct vj_digests *all = self;
    member *m = &all->members[worker];
    for (int32_t i; (i = atomic_fetch_add(&all->next, 1)) < all->count && m->error.status == VJ_OK;) {
        digest *d = &all->known[i];
        hash_content(d->source, d->offset, d->length, m->block, &d->hash, &m->error);
    }
}

/* How many of the others there were. */
static int32_t join(struct vj_digests *all) {
    vj_crew *crew = all->crew;
    all->crew = NULL;
    return vj_crew_join(crew);
}

static void stop(void *self) {
    struct vj_digests *all = self;
    atomic_store(&all->next, INT32_MAX / 2);
    join(all);
}

/* known[first], known[first + 1], ... by threads, as far as there are cores beside this one's. */
static void begin_hashing(vj_unit *u, int32_t first) {
    struct vj_digests *all = u->digests;
    const int64_t cores = vj_max64(1, vj_min64(sysconf(_SC_NPROCESSORS_ONLN), MAX_MEMBERS));
    const int32_t count = (int32_t)vj_min64(cores, all->count - first + 1);
    atomic_store(&all->next, first);
    for (int32_t i = 0; i < count; i++) {
        member *m = &all->members[i];
        *m = (member){.block = m->block ? m->block : vj_alloc(u->arena, BLOCK)};
    }
    all->crew = vj_crew_start(count, hash_some, all);
}

/* What is left of it, by this thread too. */
static bool finish_hashing(vj_unit *u) {
    struct vj_digests *all = u->digests;
    hash_some(all, 0);
    const int32_t count = 1 + join(all);
    for (int32_t i = 0; i < count; i++)
        if (all->members[i].error.status)
            vj_fail(&u->error, all->members[i].error.status, "%s", all->members[i].error.text);
    return u->error.status == VJ_OK;
}

static void note_file(vj_unit *u, const vj_source *source) {
    struct vj_digests *all = u->digests;
    if (source->fd < 0) return;
    for (int32_t i = 0; i < all->file_count; i++)
        if (all->files[i].source == source) return;
    seen_file *file = VJ_PUSH(u->arena, all->files, all->file_count, all->file_capacity);
    *file = (seen_file){.source = source};
    if (fstat(source->fd, &file->was) != 0) all->file_count--;
}

/* The digests of all large constants that have none yet are begun. */
static void hash_large_constants(vj_unit *u) {
    if (!u->digests) {
        u->digests = VJ_NEW(u->arena, struct vj_digests);
        vj_arena_at_free(u->arena, stop, u->digests);
    }
    struct vj_digests *all = u->digests;
    const int32_t first = all->count;
    for (int32_t i = 0; i < u->f->node_count; i++) {
        const vj_node *node = &u->f->nodes[i];
        if (node->dead || node->op != VJ_OP_const) continue;
        const vj_const *c = vj_attr_find(node, VJ_ATTR_CONSTANT)->as.constant;
        if (c->kind != VJ_CONST_BYTES) continue;
        note_file(u, c->source);
        if (c->length < KEPT_BYTES || find_digest(all, c) >= 0) continue;
        add_digest(all, u->arena, c);
    }
    begin_hashing(u, first);
}

vj_status vj_sources_unchanged(vj_unit *u) {
    const struct vj_digests *all = u->digests;
    for (int32_t i = 0; all && i < all->file_count; i++) {
        const struct stat *was = &all->files[i].was;
        struct stat is;
        if (fstat(all->files[i].source->fd, &is) == 0 && is.st_size == was->st_size &&
            is.st_mtim.tv_sec == was->st_mtim.tv_sec && is.st_mtim.tv_nsec == was->st_mtim.tv_nsec)
            continue;
        vj_fail(&u->error, VJ_BAD_INPUT, "%s changed while it was read", all->files[i].source->path);
        vj_hint(&u->error, "run again when it is written");
        return u->error.status;
    }
    return VJ_OK;
}

int32_t vj_digest_count(const vj_unit *u) { return u->digests ? u->digests->count : 0; }

const vj_source *vj_digested_part(const vj_unit *u, int32_t i, vj_file_part *part) {
    const digest *d = &u->digests->known[i];
    *part = (vj_file_part){d->offset, d->length, {d->hash.low64, d->hash.high64}};
    return d->source;
}

static bool feed_content(hasher *h, const vj_const *constant) {
    struct vj_digests *all = h->u->digests;
    XXH128_hash_t hash;
    const int32_t number = constant->length < KEPT_BYTES ? -1 : find_digest(all, constant);
    if (number >= 0 && h->later) {
        *VJ_PUSH(h->u->arena, all->large, all->large_count, all->large_capacity) = number;
        return true;
    }
    if (number >= 0)
        hash = all->known[number].hash;
    else if (!hash_content(constant->source, constant->offset, constant->length, h->block, &hash, &h->u->error))
        return false;
    feed(h, &hash, sizeof hash);
    return true;
}

/* The walk */

static bool feed_constant(hasher *h, const vj_const *constant) {
    feed_i64(h, constant->kind | (int64_t)constant->nibbles << 8);
    if (constant->kind != VJ_CONST_BYTES) {
        feed(h, &constant->splat, sizeof constant->splat);
        feed_i64(h, (int64_t)constant->seed);
        return true;
    }
    return feed_content(h, constant);
}

static bool feed_attr(hasher *h, const vj_attr *attr) {
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
        return feed_constant(h, attr->as.constant);
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
        if (h->of_value && node->args[i] >= 0)
            feed(h, &h->of_value[node->args[i]], sizeof *h->of_value);
        else
            feed_i64(h, node->args[i]);
    feed_i64(h, node->result_count);
    for (int32_t i = 0; i < node->result_count; i++)
        feed_type(h, vj_type_at(h->u->f, node->first_result + i));
    for (int32_t i = 0; i < node->attr_count; i++)
        if (!feed_attr(h, &node->attrs[i])) return false;
    return true;
}

static bool start(hasher *h, vj_unit *u) {
    *h = (hasher){.u = u, .block = vj_alloc(u->arena, BLOCK)};
    XXH3_128bits_reset(&h->state);
    if (u->digests && !finish_hashing(u)) return false; /* of an earlier import */
    hash_large_constants(u);
    return true;
}

/* Those that say what the passes make of the graph. NULL: the defaults. */
static void feed_options(hasher *h, const vj_options *options) {
    static const vj_options defaults;
    const vj_options *o = options ? options : &defaults;
    feed_i64(h, o->keep_attention);
    feed_i64(h, vj_or_f32(o->precision));
    feed_i64(h, vj_or_f32(o->weight_format));
    feed_i64(h, o->keep_f32_count);
    for (int32_t i = 0; i < o->keep_f32_count; i++)
        feed_text(h, o->keep_f32[i]);
    feed_i64(h, (int64_t)o->calibration_bytes);
    if (o->calibration) feed(h, o->calibration, o->calibration_bytes);
}

/* Names of nodes count where patterns or layers of a calibration are matched with them. */
static void feed_names(hasher *h, const vj_options *options) {
    const vj_func *f = h->u->f;
    const bool count = options && (options->keep_f32_count > 0 || options->calibration || h->u->request->probe);
    for (int32_t i = 0; i < f->node_count && count; i++)
        if (!f->nodes[i].dead) feed_text(h, vj_node_label(f, &f->nodes[i]));
}

vj_status vj_graph_key_begin(vj_unit *u) {
    hasher h;
    const vj_func *f = u->f;
    if (!start(&h, u)) return u->error.status;
    bool good = true;
    h.later = true;
    u->digests->large_count = 0;
    feed_text(&h, vj_build_id());
    feed_text(&h, u->target->name);
    feed_i64(&h, u->request->pass_limit);
    feed_options(&h, u->request->options);
    feed_i64(&h, u->request->marks);
    feed_i64(&h, u->request->probe);
    for (int32_t i = 0; i < u->request->disabled_pass_count; i++)
        feed_text(&h, u->request->disabled_passes[i]);
    for (int32_t i = 0; i < f->symbol_count; i++) {
        feed_i64(&h, f->symbols[i].bound);
        feed_i64(&h, f->symbols[i].value);
    }
    for (int32_t i = 0; i < f->node_count && good; i++)
        if (!f->nodes[i].dead) good = feed_node(&h, &f->nodes[i]);
    feed_names(&h, u->request->options);
    for (int32_t i = 0; i < f->input_count; i++) {
        int64_t bytes;
        const uint8_t *value = vj_required_value(u, i, &bytes);
        feed_i64(&h, f->inputs[i]);
        feed_text(&h, f->values[f->inputs[i]].name);
        feed_i64(&h, value ? bytes : -1);
        feed(&h, value, (size_t)bytes);
    }
    for (int32_t i = 0; i < f->output_count; i++) {
        feed_i64(&h, f->outputs[i]);
        feed_text(&h, f->output_names[i]);
    }
    for (int32_t i = 0; i < u->facts.metadata_count; i++) {
        feed_text(&h, u->facts.metadata[i].key);
        feed_text(&h, u->facts.metadata[i].value);
    }
    u->digests->graph = XXH3_128bits_digest(&h.state);
    return good ? VJ_OK : u->error.status;
}

vj_status vj_graph_key(vj_unit *u) {
    const struct vj_digests *all = u->digests;
    XXH3_state_t state;
    if (!finish_hashing(u)) return u->error.status;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, &all->graph, sizeof all->graph);
    for (int32_t i = 0; i < all->large_count; i++)
        XXH3_128bits_update(&state, &all->known[all->large[i]].hash, sizeof all->known->hash);
    const XXH128_hash_t hash = XXH3_128bits_digest(&state);
    u->graph_key[0] = hash.low64;
    u->graph_key[1] = hash.high64;
    return VJ_OK;
}

/* Of a weight's source: a node is fed with the hashes of its operands, so other nodes of the function do not count, and
 * models that differ in nothing but shapes have equal keys for their equal weights. */
static bool hash_result(hasher *h, vj_value v, const vj_node *node) {
    XXH3_128bits_reset(&h->state);
    feed_i64(h, v - node->first_result);
    if (!feed_node(h, node)) return false;
    h->of_value[v] = XXH3_128bits_digest(&h->state);
    h->known[v] = true;
    return true;
}

/* Operands first; the values that wait for theirs are listed, for a weight's expression may be as deep as the graph. */
static bool hash_value(hasher *h, vj_value v) {
    int32_t count = 0;
    for (h->waiting[count++] = v; count > 0;) {
        const vj_value at = h->waiting[count - 1];
        const vj_node *node = vj_producer(h->u->f, at);
        vj_value next = VJ_NONE;
        for (int32_t i = 0; i < node->arg_count && next < 0; i++)
            if (node->args[i] >= 0 && !h->known[node->args[i]]) next = node->args[i];
        if (next >= 0)
            h->waiting[count++] = next;
        else if (h->known[at] || hash_result(h, at, node))
            count--;
        else
            return false;
    }
    return true;
}

static void feed_recipe(hasher *h, const vj_weight *w) {
    feed_i64(h, w->kind);
    feed(h, &h->of_value[w->source], sizeof *h->of_value);
    feed_i64(h, w->k);
    feed_i64(h, w->n);
    if (w->kind == VJ_PACK_BLOCKS) {
        feed_i64(h, w->bits);
        feed_i64(h, w->least);
        feed_i64(h, w->block);
        feed_i64(h, w->table);
    }
    feed_i64(h, w->source_offset);
    feed_i64(h, w->k_rank);
    feed_i64(h, w->n_rank);
    feed(h, w->k_extent, (size_t)w->k_rank * sizeof *w->k_extent);
    feed(h, w->k_stride, (size_t)w->k_rank * sizeof *w->k_stride);
    feed(h, w->n_extent, (size_t)w->n_rank * sizeof *w->n_extent);
    feed(h, w->n_stride, (size_t)w->n_rank * sizeof *w->n_stride);
}

static bool hash_weight(hasher *h, const vj_buffer *buffer, vj_weight_key *key) {
    const vj_weight *w = &h->u->program->weights[buffer->index];
    if (!hash_value(h, w->source)) return false;
    XXH3_128bits_reset(&h->state);
    feed_i64(h, buffer->dtype);
    feed_i64(h, buffer->elements);
    feed_recipe(h, w);
    const XXH128_hash_t hash = XXH3_128bits_digest(&h->state);
    *key = (vj_weight_key){{hash.low64, hash.high64}};
    return true;
}

vj_status vj_weight_keys(vj_unit *u, vj_weight_key *keys) {
    hasher h;
    bool good = start(&h, u) && finish_hashing(u);
    h.of_value = VJ_NEW_ARRAY(u->arena, XXH128_hash_t, u->f->value_count + 1);
    h.known = VJ_NEW_ARRAY(u->arena, bool, u->f->value_count + 1);
    h.waiting = VJ_NEW_ARRAY(u->arena, vj_value, u->f->value_count + 1);
    for (int32_t i = 0; i < u->program->buffer_count && good; i++)
        if (u->program->buffers[i].kind == VJ_BUFFER_WEIGHT) good = hash_weight(&h, &u->program->buffers[i], &keys[i]);
    return good ? VJ_OK : u->error.status;
}
