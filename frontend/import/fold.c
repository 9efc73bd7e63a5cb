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

/* Rounds the result of each float32 node, as a runtime would; other float types stay in double. */
static vj_tensor *evaluate(vj_importer *im, vj_value v) {
    if (im->folded[v]) return im->folded[v];
    const vj_node *node = vj_producer(im->f, v);
    if (node->op == VJ_OP_const) return im->folded[v] = read_constant(im, v);
    vj_tensor **args = VJ_NEW_ARRAY(im->arena, vj_tensor *, node->arg_count + 1), *result = NULL;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 && !(args[i] = evaluate(im, node->args[i]))) return NULL;
    vj_error why = {0}; /* dropped: the node that needs the value reports an error of its own */
    if (!vj_eval_node(im->arena, im->f, node, args, &result, &why)) return NULL;
    for (int64_t i = 0; result->type.dtype == VJ_F32 && i < result->count; i++)
        result->f[i] = (double)(float)result->f[i];
    return im->folded[v] = result;
}

const vj_tensor *vj_fold(vj_importer *im, vj_value v) {
    if (!vj_going(im) || v < 0) return NULL;
    make_room(im);
    return is_constant(im, v, 0) ? evaluate(im, v) : NULL;
}
