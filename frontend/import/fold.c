/* SPDX-License-Identifier: Apache-2.0 */
/* fold.c - computes values that follow from constants alone: pads, sizes and indices that exporters write as a few
 * nodes. Only what a builder must know at compile time is computed. */
#include "import.h"

#include <string.h>

enum {
    ELEMENTS = 1 << 22, /* the most elements of a value that is computed on the way */
    SUMMED = 1 << 14,   /* the same for operands and results of products and reductions */
    DEPTH = 500         /* the longest chain of nodes */
};
#define MOST_WORK 0x1p30          /* steps of one node: about a second */
enum { UNKNOWN, OPEN, CONSTANT }; /* CONSTANT: the value follows from constants alone; OPEN: it does not */

static void make_room(vj_importer *im) {
    if (im->fold_capacity >= im->f->value_count) return;
    const int32_t capacity = 2 * im->f->value_count + 64;
    uint8_t *state = VJ_NEW_ARRAY(im->arena, uint8_t, capacity);
    vj_tensor **at = VJ_NEW_ARRAY(im->arena, vj_tensor *, capacity);
    if (im->fold_capacity) {
        memcpy(state, im->fold_state, (size_t)im->fold_capacity * sizeof *state);
        memcpy(at, im->folded, (size_t)im->fold_capacity * sizeof *at);
    }
    im->fold_state = state;
    im->folded = at;
    im->fold_capacity = capacity;
}

static bool is_small(const vj_func *f, vj_value v, int64_t limit) {
    int64_t count;
    return vj_type_is_static(vj_type_at(f, v)) && vj_type_elements(f, vj_type_at(f, v), &count) && count <= limit;
}

static bool is_constant(vj_importer *im, vj_value v, int32_t depth) {
    if (im->fold_state[v] != UNKNOWN) return im->fold_state[v] == CONSTANT;
    const vj_node *node = vj_producer(im->f, v);
    const uint32_t flags = vj_op_table(node->op)->flags;
    const bool is_cheap = node->op == VJ_OP_const || (flags & (VJ_FLAG_ELEMENTWISE | VJ_FLAG_MOVEMENT));
    const int64_t limit = is_cheap ? ELEMENTS : SUMMED;
    bool yes = node->op != VJ_OP_param && node->result_count == 1 && depth < DEPTH && is_small(im->f, v, limit) &&
               !(flags & VJ_FLAG_DATA_SHAPE) && vj_node_work(im->f, node) <= MOST_WORK;
    for (int32_t i = 0; yes && i < node->arg_count; i++)
        yes = node->args[i] < 0 || (is_small(im->f, node->args[i], limit) && is_constant(im, node->args[i], depth + 1));
    im->fold_state[v] = yes ? CONSTANT : OPEN;
    return yes;
}

static vj_tensor *read_constant(vj_importer *im, vj_value v) {
    vj_tensor *t = vj_tensor_new(im->arena, vj_type_at(im->f, v), im->error);
    if (!t) return NULL;
    bool good = t->f ? vj_const_read_f64(im->f, v, 0, t->count, t->f, im->error)
                     : vj_const_read_i64(im->f, v, 0, t->count, t->i, im->error);
    return good ? t : NULL;
}

/* Exporters spell one list of indices anew for each layer. What was evaluated is found again by its op and the tensors
 * of its operands, of which equal ones are one tensor: of small constants by their elements. */
enum { FEW = 4096 };
typedef struct memo_entry {
    uint64_t hash;
    const vj_node *node; /* a copy; attributes are the function's */
    vj_tensor **args, *result;
    vj_value made; /* of vj_made_of: what the op's builder made */
} memo_entry;
struct vj_fold_memo {
    memo_entry **slots;
    int32_t count, capacity; /* a power of two, at most half full */
};

static uint64_t mix(uint64_t h, uint64_t x) {
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static uint64_t bytes_hash(uint64_t h, const void *at, size_t size) {
    uint64_t word = 0;
    for (size_t i = 0; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, (const char *)at + i, sizeof word);
        h = mix(h, word);
    }
    return h;
}

static const void *elements_of(const vj_tensor *t) { return t->f ? (const void *)t->f : (const void *)t->i; }

static uint64_t hash_of(const memo_entry *e, const vj_type *type) {
    uint64_t h = mix((uint64_t)e->node->op, (uint64_t)type->dtype);
    for (int32_t i = 0; i < type->rank; i++)
        h = mix(h, (uint64_t)type->dims[i].c);
    for (int32_t i = 0; i < e->node->arg_count; i++)
        h = mix(h, (uint64_t)(uintptr_t)e->args[i]);
    if (e->node->op == VJ_OP_const) return bytes_hash(h, elements_of(e->result), (size_t)e->result->count * 8);
    for (int32_t i = 0; i < e->node->attr_count; i++)
        if (vj_attr_key_kind(e->node->attrs[i].key) == VJ_KIND_INTS)
            h = bytes_hash(h, e->node->attrs[i].as.ints, (size_t)e->node->attrs[i].count * 8);
    return h;
}

static bool same_entry(const memo_entry *a, const memo_entry *b, const vj_type *type) {
    const vj_node *x = a->node, *y = b->node;
    if (a->hash != b->hash || x->op != y->op || x->arg_count != y->arg_count || x->attr_count != y->attr_count ||
        !vj_type_equal(&a->result->type, type))
        return false;
    if (x->op == VJ_OP_const)
        return memcmp(elements_of(a->result), elements_of(b->result), (size_t)a->result->count * 8) == 0;
    for (int32_t i = 0; i < x->arg_count; i++)
        if (a->args[i] != b->args[i]) return false;
    for (int32_t i = 0; i < x->attr_count; i++)
        if (!vj_attr_equal(&x->attrs[i], &y->attrs[i])) return false;
    return true;
}

static memo_entry **slot_of(const vj_fold_memo *memo, const memo_entry *e, const vj_type *type) {
    uint64_t at = e->hash & (uint64_t)(memo->capacity - 1);
    while (memo->slots[at] && !same_entry(memo->slots[at], e, type))
        at = (at + 1) & (uint64_t)(memo->capacity - 1);
    return &memo->slots[at];
}

static void grow_memo(vj_importer *im, vj_fold_memo *memo) {
    memo_entry **old = memo->slots;
    const int32_t capacity = memo->capacity;
    memo->capacity = capacity ? 2 * capacity : 256;
    memo->slots = VJ_NEW_ARRAY(im->arena, memo_entry *, memo->capacity);
    for (int32_t i = 0; i < capacity; i++)
        if (old[i]) *slot_of(memo, old[i], &old[i]->result->type) = old[i];
}

/* The slot of an entry of this type, which is filled or is to be. */
static memo_entry **slot_for(vj_importer *im, memo_entry *e, const vj_type *type) {
    if (!im->fold_memo) im->fold_memo = VJ_NEW(im->arena, vj_fold_memo);
    vj_fold_memo *memo = im->fold_memo;
    if (2 * (memo->count + 1) > memo->capacity) grow_memo(im, memo);
    e->hash = hash_of(e, type);
    return slot_of(memo, e, type);
}

static vj_tensor *keep(vj_importer *im, memo_entry **slot, const memo_entry *e) {
    vj_node *node = VJ_NEW(im->arena, vj_node);
    *node = *e->node;
    *slot = VJ_NEW(im->arena, memo_entry);
    **slot = *e;
    (*slot)->node = node;
    im->fold_memo->count++;
    return e->result;
}

static vj_tensor *constant(vj_importer *im, vj_value v) {
    memo_entry e = {.node = vj_producer(im->f, v), .result = read_constant(im, v)};
    if (!e.result || e.result->count > FEW) return e.result;
    vj_node bare = {.op = VJ_OP_const};
    e.node = &bare;
    memo_entry **slot = slot_for(im, &e, &e.result->type);
    return *slot ? (*slot)->result : keep(im, slot, &e);
}

/* Rounds the result of each float32 node, as a runtime would; other float types stay in double. */
static vj_tensor *evaluate(vj_importer *im, vj_value v) {
    if (im->folded[v]) return im->folded[v];
    const vj_node *node = vj_producer(im->f, v);
    if (node->op == VJ_OP_const) return im->folded[v] = constant(im, v);
    vj_tensor **args = VJ_NEW_ARRAY(im->arena, vj_tensor *, node->arg_count + 1), *result = NULL;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 && !(args[i] = evaluate(im, node->args[i]))) return NULL;
    memo_entry e = {.node = node, .args = args};
    memo_entry **slot = slot_for(im, &e, vj_type_at(im->f, v));
    if (*slot) return im->folded[v] = (*slot)->result;
    vj_error why = {0}; /* the node that asks says what is wrong */
    if (!vj_eval_node(im->arena, im->f, node, args, &result, &why)) return NULL;
    for (int64_t i = 0; result->type.dtype == VJ_F32 && i < result->count; i++)
        result->f[i] = (double)(float)result->f[i];
    e.result = result;
    return im->folded[v] = keep(im, slot, &e);
}

const vj_tensor *vj_fold(vj_importer *im, vj_value v) {
    if (!vj_going(im) || v < 0) return NULL;
    make_room(im);
    return is_constant(im, v, 0) ? evaluate(im, v) : NULL;
}

/* The entry is that of a node whose only attribute is `how`. Its result stands for the type alone. */
vj_value *vj_made_of(vj_importer *im, vj_op op, const char *how, const vj_value *operands, int32_t count) {
    vj_tensor **args = VJ_NEW_ARRAY(im->arena, vj_tensor *, count);
    for (int32_t i = 0; i < count; i++)
        if (!(args[i] = (vj_tensor *)vj_fold(im, operands[i]))) return NULL;
    vj_attr *kind = VJ_NEW(im->arena, vj_attr);
    *kind = vj_name(VJ_ATTR_KIND, how);
    const vj_node node = {.op = op, .arg_count = (int16_t)count, .attrs = kind, .attr_count = 1};
    memo_entry e = {.node = &node, .args = args, .result = args[0], .made = VJ_NONE};
    memo_entry **slot = slot_for(im, &e, &args[0]->type);
    if (*slot) return &(*slot)->made;
    keep(im, slot, &e);
    return &(*slot)->made;
}

vj_value vj_emit_tensor(vj_importer *im, vj_tensor *t) {
    int64_t dims[VJ_MAX_RANK];
    if (!vj_going(im)) return VJ_NONE;
    for (int32_t i = 0; i < t->type.rank; i++)
        dims[i] = t->type.dims[i].c;
    const vj_value v = t->f ? vj_add_const_f64(im->f, t->type.dtype, t->type.rank, dims, t->f)
                            : vj_add_const_i64(im->f, t->type.dtype, t->type.rank, dims, t->i);
    make_room(im);
    if (t->count <= FEW || t->count > ELEMENTS) return v;
    im->fold_state[v] = CONSTANT;
    im->folded[v] = t;
    return v;
}
