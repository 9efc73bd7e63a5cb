/* SPDX-License-Identifier: Apache-2.0 */
/* narrow.c - what no one reads is not computed: slices move towards the inputs.
 *
 * When every use of a value is a slice of it, the value is computed only for the box that holds them all: the box moves
 * onto the operands, as far as each element of the result needs only its own part of them. So of a transformer whose
 * head reads the class token, the last block's projection, MLP and norm are computed for one row.
 *
 *     %n = layernorm %x          =>      %s = slice %x [:, 0:1]
 *     %c = slice %n [:, 0:1]             %c = layernorm %s
 *
 * Attention stays whole: its queries are part of a product that is merged with keys and values.
 */
#include "passes/rewrite/rewrite.h"

#include <string.h>

/* Of each axis [start, start + size); an axis with N is always whole. */
typedef struct box {
    int32_t rank;
    int64_t start[VJ_MAX_RANK], size[VJ_MAX_RANK];
} box;

static box whole_of(const vj_type *type) {
    box b = {.rank = type->rank};
    for (int32_t i = 0; i < type->rank; i++)
        b.size[i] = type->dims[i].c;
    return b;
}

static bool cuts(const box *b, const vj_type *type, int32_t axis) { return b->size[axis] != type->dims[axis].c; }

static bool is_whole(const box *b, const vj_type *type) {
    for (int32_t i = 0; i < b->rank; i++)
        if (cuts(b, type, i)) return false;
    return true;
}

/* Slices with steps have no box, nor have those of nothing and of some images of a batch. */
static bool box_of_slice(const vj_func *f, const vj_node *node, box *b) {
    const vj_attr *starts = vj_attr_find(node, VJ_ATTR_STARTS), *steps = vj_attr_find(node, VJ_ATTR_STEPS);
    const vj_type *type = vj_type_at(f, node->first_result), *from = vj_type_at(f, node->args[0]);
    *b = whole_of(type);
    for (int32_t i = 0; i < type->rank; i++) {
        if (steps->as.ints[i] != 1 || b->size[i] == 0 || type->dims[i].sym != from->dims[i].sym) return false;
        b->start[i] = starts->as.ints[i];
    }
    return true;
}

/* The part of v; v itself when that is all of it. */
static vj_value take(vj_func *f, vj_value v, const box *b, const vj_origin *origin) {
    const vj_type *type = vj_type_at(f, v);
    if (is_whole(b, type)) return v;
    int64_t sizes[VJ_MAX_RANK], steps[VJ_MAX_RANK];
    for (int32_t i = 0; i < b->rank; i++) {
        sizes[i] = cuts(b, type, i) ? b->size[i] : vj_dim_code(type->dims[i]);
        steps[i] = 1;
    }
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, b->start, b->rank), vj_ints(VJ_ATTR_SIZES, sizes, b->rank),
                             vj_ints(VJ_ATTR_STEPS, steps, b->rank)};
    return vj_make(f, VJ_OP_slice, &v, 1, attrs, 3, origin);
}

/* The node again with operand `which` cut to b. */
static vj_value with_operand(vj_func *f, const vj_node *node, int32_t which, const box *b) {
    const vj_node copy = *node; /* the array of nodes may move */
    vj_value args[4];
    memcpy(args, copy.args, (size_t)copy.arg_count * sizeof *args);
    args[which] = take(f, args[which], b, copy.origin);
    return vj_make(f, copy.op, args, copy.arg_count, copy.attrs, copy.attr_count, copy.origin);
}

static vj_value narrow_elementwise(vj_func *f, const vj_node *node, const box *b) {
    const vj_node copy = *node;
    vj_value args[4];
    for (int32_t a = 0; a < copy.arg_count; a++) {
        box part = whole_of(vj_type_at(f, copy.args[a]));
        for (int32_t i = 0, at = b->rank - part.rank; i < part.rank; i++, at++) {
            if (part.size[i] == 1) continue;
            part.start[i] = b->start[at];
            part.size[i] = b->size[at];
        }
        args[a] = take(f, copy.args[a], &part, copy.origin);
    }
    return vj_make(f, copy.op, args, copy.arg_count, copy.attrs, copy.attr_count, copy.origin);
}

/* Axes from `first` on belong to one computation and cannot be cut. */
static vj_value narrow_rows(vj_func *f, const vj_node *node, const box *b, int32_t first) {
    const vj_type *type = vj_type_at(f, node->first_result);
    for (int32_t i = first; i < type->rank; i++)
        if (cuts(b, type, i)) return VJ_NONE;
    box part = whole_of(vj_type_at(f, node->args[0]));
    memcpy(part.start, b->start, (size_t)first * sizeof *part.start);
    memcpy(part.size, b->size, (size_t)first * sizeof *part.size);
    return with_operand(f, node, 0, &part);
}

static vj_value narrow_transpose(vj_func *f, const vj_node *node, const box *b) {
    const int64_t *perm = vj_attr_find(node, VJ_ATTR_PERM)->as.ints;
    box part = {.rank = b->rank};
    for (int32_t i = 0; i < b->rank; i++) {
        part.start[perm[i]] = b->start[i];
        part.size[perm[i]] = b->size[i];
    }
    return with_operand(f, node, 0, &part);
}

/* The cut axes must lie among leading axes that both shapes share. */
static vj_value narrow_reshape(vj_func *f, const vj_node *node, const box *b) {
    const vj_type type = *vj_type_at(f, node->first_result), *from = vj_type_at(f, node->args[0]);
    int32_t shared = 0;
    while (shared < type.rank && shared < from->rank && vj_dim_equal(type.dims[shared], from->dims[shared]))
        shared++;
    for (int32_t i = shared; i < type.rank; i++)
        if (cuts(b, &type, i)) return VJ_NONE;
    box part = whole_of(from);
    memcpy(part.start, b->start, (size_t)shared * sizeof *part.start);
    memcpy(part.size, b->size, (size_t)shared * sizeof *part.size);
    const vj_origin *origin = node->origin;
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < type.rank; i++)
        dims[i] = cuts(b, &type, i) ? vj_dim_const(b->size[i]) : type.dims[i];
    return vj_make_reshape(f, take(f, node->args[0], &part, origin), type.rank, dims, origin);
}

static vj_value narrow_slice(vj_func *f, const vj_node *node, const box *b) {
    box inner;
    if (!box_of_slice(f, node, &inner)) return VJ_NONE;
    for (int32_t i = 0; i < b->rank; i++) {
        inner.start[i] += b->start[i];
        inner.size[i] = b->size[i];
    }
    return take(f, node->args[0], &inner, node->origin);
}

/* Only when the box lies inside one part. */
static vj_value narrow_concat(vj_func *f, const vj_node *node, const box *b) {
    const int64_t axis = vj_attr_int(node, VJ_ATTR_AXIS, 0);
    box part = *b;
    for (int32_t a = 0; a < node->arg_count; a++) {
        const int64_t size = vj_type_at(f, node->args[a])->dims[axis].c;
        if (part.start[axis] < size) {
            if (part.start[axis] + part.size[axis] > size) return VJ_NONE;
            return take(f, node->args[a], &part, node->origin);
        }
        part.start[axis] -= size;
    }
    return VJ_NONE;
}

static bool is_product_with_matrix(const vj_func *f, const vj_node *node) {
    return vj_type_at(f, node->args[0])->rank >= 2 && vj_type_at(f, node->args[1])->rank == 2;
}

/* Does it reduce the last axis alone, and leave a dim of 1 there? */
static bool sums_rows(const vj_func *f, const vj_node *node) {
    const vj_attr *axes = vj_attr_find(node, VJ_ATTR_AXES);
    return vj_attr_int(node, VJ_ATTR_KEEP, 0) == 1 && axes->count == 1 &&
           axes->as.ints[0] == vj_type_at(f, node->args[0])->rank - 1;
}

/* The value of `node` on the box alone; VJ_NONE: its operands cannot be cut so. */
static vj_value narrow(vj_func *f, const vj_node *node, const box *b) {
    const vj_type *type = vj_type_at(f, node->first_result);
    if (vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE) return narrow_elementwise(f, node, b);
    switch (node->op) {
    case VJ_OP_linear:
    case VJ_OP_round_blocks:
        return narrow_rows(f, node, b, type->rank - 1);
    case VJ_OP_matmul:
        return is_product_with_matrix(f, node) ? narrow_rows(f, node, b, type->rank - 1) : VJ_NONE;
    case VJ_OP_reduce:
        return sums_rows(f, node) ? narrow_rows(f, node, b, type->rank - 1) : VJ_NONE;
    case VJ_OP_layernorm:
        return narrow_rows(f, node, b, (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0));
    case VJ_OP_transpose:
        return narrow_transpose(f, node, b);
    case VJ_OP_reshape:
        return narrow_reshape(f, node, b);
    case VJ_OP_slice:
        return narrow_slice(f, node, b);
    case VJ_OP_concat:
        return narrow_concat(f, node, b);
    default:
        return VJ_NONE;
    }
}

/* What is known of a value's uses: slices only, and the box that holds them. */
typedef struct use_box {
    bool sliced, otherwise;
    box box;
} use_box;

static void note_use(use_box *u, const box *b) {
    if (!u->sliced) u->box = *b;
    u->sliced = true;
    for (int32_t i = 0; i < b->rank; i++) {
        const int64_t end = vj_max64(u->box.start[i] + u->box.size[i], b->start[i] + b->size[i]);
        u->box.start[i] = vj_min64(u->box.start[i], b->start[i]);
        u->box.size[i] = end - u->box.start[i];
    }
}

static use_box find_uses(const vj_func *f, vj_value v) {
    use_box uses = {0};
    for (int32_t u = f->values[v].first_use; u >= 0 && !uses.otherwise; u = f->uses[u].next) {
        box b;
        const vj_node *node = f->uses[u].operand == 0 ? &f->nodes[f->uses[u].user] : NULL;
        if (node && node->op == VJ_OP_slice && box_of_slice(f, node, &b))
            note_use(&uses, &b);
        else
            uses.otherwise = true;
    }
    return uses;
}

/* Every slice of v becomes one of `small`, which is v on the box b. */
static void slice_small_instead(vj_func *f, const int32_t *slices, int32_t count, vj_value small, const box *b) {
    for (int32_t i = 0; i < count; i++) {
        box part;
        const vj_node *node = &f->nodes[slices[i]];
        box_of_slice(f, node, &part); /* it has one: note_use saw it */
        for (int32_t a = 0; a < b->rank; a++)
            part.start[a] -= b->start[a];
        const vj_value old = node->first_result;
        vj_replace_uses(f, old, take(f, small, &part, node->origin));
        vj_kill(f, slices[i]);
    }
}

/* One value; true when it was narrowed. */
static bool narrow_value(vj_pass_context *c, vj_value v) {
    vj_func *f = c->f;
    const vj_node *node = vj_producer(f, v);
    const int32_t n = f->values[v].node;
    if (node->dead || node->result_count != 1 || node->arg_count == 0 || c->rewrites_left == 0) return false;
    const use_box u = find_uses(f, v);
    if (!u.sliced || u.otherwise || vj_is_weight(f, v) || is_whole(&u.box, vj_type_at(f, v))) return false;
    int32_t *slices;
    const int32_t count = vj_users(f, v, c->arena, &slices);
    const vj_value small = narrow(f, node, &u.box);
    if (small < 0 || !vj_may_rewrite(c, "slice", &f->nodes[n])) return false;
    slice_small_instead(f, slices, count, small, &u.box);
    vj_kill(f, n); /* no one reads it: its operands may be narrowed in turn */
    return true;
}

/* From the outputs up, so that a value is looked at when all that read it have been. What is merged may open the way to
 * more. */
vj_status vj_pass_narrow(vj_pass_context *c) {
    for (bool again = true; again && c->rewrites_left != 0;) {
        again = false;
        for (vj_value v = c->f->value_count - 1; v >= 0; v--)
            again = narrow_value(c, v) || again;
        if (again) {
            vj_compact(c->f);
            vj_merge_equal_nodes(c);
        }
    }
    return c->error->status;
}
