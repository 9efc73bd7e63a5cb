/* SPDX-License-Identifier: Apache-2.0 */
/* attention_moves.c - reshapes and transposes between the product of q and k and the product with v: scores seen as
 * windows of a picture and back, heads merged with the batch, keys times queries turned. Values that were found above
 * them are brought below them. */
#include "attention.h"

#include <assert.h>

static bool is_one(vj_dim dim) { return dim.c == 1 && dim.sym == VJ_SYM_NONE; }

bool vj_pass_transpose(vj_moves *moves, const vj_type *from, const int64_t *perm, const vj_type *to) {
    vj_move *last = moves->count ? &moves->at[moves->count - 1] : NULL;
    if (last && !last->is_reshape) {
        bool is_identity = true;
        for (int32_t i = 0; i < from->rank; i++) {
            last->perm[i] = perm[last->perm[i]];
            is_identity = is_identity && last->perm[i] == i;
        }
        last->from = *from;
        moves->count -= is_identity;
        return true;
    }
    if (moves->count == VJ_MOVES) return false;
    vj_move *move = &moves->at[moves->count++];
    *move = (vj_move){.from = *from, .to = *to};
    for (int32_t i = 0; i < from->rank; i++)
        move->perm[i] = perm[i];
    return true;
}

/* v with dims of 1 in front. */
static vj_value with_rank(vj_func *f, vj_value v, int32_t rank) {
    vj_type type = *vj_type_at(f, v);
    const int32_t more = rank - type.rank;
    if (more <= 0) return v;
    for (int32_t i = rank - 1; i >= 0; i--)
        type.dims[i] = i < more ? vj_dim_const(1) : type.dims[i - more];
    return vj_make_reshape(f, v, rank, type.dims, vj_producer(f, v)->origin);
}

static vj_value broadcast_to(vj_func *f, vj_value v, const vj_type *type) {
    int64_t codes[VJ_MAX_RANK];
    if (vj_same_dims(vj_type_at(f, v), type)) return v;
    for (int32_t i = 0; i < type->rank; i++)
        codes[i] = vj_dim_code(type->dims[i]);
    const vj_attr attr = vj_ints(VJ_ATTR_DIMS, codes, type->rank);
    return vj_make(f, VJ_OP_broadcast, &v, 1, &attr, 1, vj_producer(f, v)->origin);
}

/* Axes [from, from_end) hold the same elements as [to, to_end). */
typedef struct group {
    int32_t from, from_end, to, to_end;
} group;

/* The elements of dims so far: a count, times N^batches. */
typedef struct extent {
    int64_t c;
    int32_t batches;
} extent;

static bool extend(extent *e, vj_dim dim) {
    if (dim.sym >= VJ_SYM_FIRST_DATA || dim.c < 1 || !vj_mul(e->c, dim.c, &e->c)) return false;
    e->batches += dim.sym == VJ_SYM_BATCH;
    return true;
}

/* The smallest groups, from the left; -1 when there are none. */
static int32_t groups_of(const vj_type *from, const vj_type *to, group *groups) {
    int32_t count = 0, i = 0, k = 0;
    while (i < from->rank && k < to->rank) {
        group g = {.from = i, .to = k};
        extent a = {1, 0}, b = {1, 0};
        if (!extend(&a, from->dims[i++]) || !extend(&b, to->dims[k++])) return -1;
        while (a.c != b.c || a.batches != b.batches) {
            const bool of_from = a.batches != b.batches ? a.batches < b.batches : a.c < b.c;
            if (of_from ? i == from->rank || !extend(&a, from->dims[i++]) : k == to->rank || !extend(&b, to->dims[k++]))
                return -1;
        }
        g.from_end = i;
        g.to_end = k;
        groups[count++] = g;
    }
    for (; i < from->rank; i++)
        if (!is_one(from->dims[i])) return -1;
    for (; k < to->rank; k++)
        if (!is_one(to->dims[k])) return -1;
    if (count == 0) return -1;
    groups[count - 1].from_end = from->rank;
    groups[count - 1].to_end = to->rank;
    return count;
}

/* A reshape that splits axes, a transpose that moves what each became as a whole, and a reshape that joins them again are a transpose. */
static bool is_transpose(const vj_move *split, const vj_move *turn, const vj_move *join, int64_t *perm) {
    group parts[VJ_MAX_RANK], wholes[VJ_MAX_RANK];
    const int32_t rank = split->from.rank;
    if (join->to.rank != rank || groups_of(&split->from, &split->to, parts) != rank ||
        groups_of(&join->from, &join->to, wholes) != rank)
        return false;
    for (int32_t n = 0; n < rank; n++) {
        const group *whole = &wholes[n];
        int32_t of = 0;
        while (of < rank && parts[of].to != turn->perm[whole->from])
            of++;
        if (of == rank || parts[of].to_end - parts[of].to != whole->from_end - whole->from) return false;
        for (int32_t i = whole->from; i < whole->from_end; i++)
            if (turn->perm[i] != parts[of].to + i - whole->from) return false;
        perm[n] = of;
    }
    return true;
}

static void join_moves(vj_moves *moves) {
    int64_t perm[VJ_MAX_RANK];
    if (moves->count < 3) return;
    const vj_move *join = &moves->at[moves->count - 3];
    const vj_move split = join[2], turn = join[1];
    const vj_type to = join->to;
    if (!split.is_reshape || turn.is_reshape || !join->is_reshape || !is_transpose(&split, &turn, join, perm)) return;
    moves->count -= 3;
    vj_pass_transpose(moves, &split.from, perm, &to);
}

bool vj_pass_reshape(vj_moves *moves, const vj_type *from, const vj_type *to) {
    vj_move *last = moves->count ? &moves->at[moves->count - 1] : NULL;
    if (last && last->is_reshape) {
        last->from = *from;
        if (vj_same_dims(&last->from, &last->to)) moves->count--;
    } else {
        if (moves->count == VJ_MOVES) return false;
        moves->at[moves->count++] = (vj_move){.is_reshape = true, .from = *from, .to = *to};
    }
    join_moves(moves);
    return true;
}

/* v, which broadcasts to `from`, reshaped as from -> to. Groups that v does not move along stay dims of 1. */
static vj_value regroup(vj_func *f, vj_value v, const vj_type *from, const vj_type *to) {
    group groups[VJ_MAX_RANK];
    const int32_t count = groups_of(from, to, groups);
    if (count < 0 || vj_type_at(f, v)->rank > from->rank) return VJ_NONE;
    v = with_rank(f, v, from->rank);
    vj_type full = *vj_type_at(f, v), out = full;
    out.rank = to->rank;
    for (int32_t n = 0; n < count; n++) {
        const group *g = &groups[n];
        bool moves = false;
        for (int32_t i = g->from; i < g->from_end; i++)
            moves = moves || !is_one(full.dims[i]);
        for (int32_t i = g->from; i < g->from_end && moves; i++)
            full.dims[i] = from->dims[i];
        for (int32_t k = g->to; k < g->to_end; k++)
            out.dims[k] = moves ? to->dims[k] : vj_dim_const(1);
    }
    return vj_make_reshape(f, broadcast_to(f, v, &full), out.rank, out.dims, vj_producer(f, v)->origin);
}

static vj_value through(vj_func *f, const vj_move *move, vj_value v) {
    if (move->is_reshape) return regroup(f, v, &move->from, &move->to);
    if (vj_type_at(f, v)->rank > move->from.rank) return VJ_NONE;
    return vj_make_transpose(f, with_rank(f, v, move->from.rank), move->perm, vj_producer(f, v)->origin);
}

vj_value vj_bring_down(vj_func *f, const vj_moves *moves, vj_value v) {
    for (int32_t i = moves->count - 1; i >= 0 && v >= 0; i--)
        v = through(f, &moves->at[i], v);
    return v;
}

/* The axis below a reshape that is axis `axis` above it: as many elements behind it; the last such. -1: none. */
static int32_t axis_below(const vj_move *move, int32_t axis) {
    extent behind = {1, 0}, below = {1, 0};
    for (int32_t i = axis + 1; i < move->from.rank; i++)
        if (!extend(&behind, move->from.dims[i])) return -1;
    for (int32_t k = move->to.rank - 1; k >= 0; k--) {
        if (below.c == behind.c && below.batches == behind.batches &&
            vj_dim_equal(move->to.dims[k], move->from.dims[axis]))
            return k;
        if (!extend(&below, move->to.dims[k])) return -1;
    }
    return -1;
}

/* A reshape that leaves axis `axis` alone, for a value with another size there. */
static vj_value operand_through(vj_func *f, const vj_move *move, vj_value v, int32_t *axis) {
    vj_move own = *move;
    const int32_t from = *axis;
    if (!move->is_reshape) {
        for (int32_t i = 0; i < move->from.rank; i++)
            if (move->perm[i] == from) *axis = i;
        return through(f, move, v);
    }
    *axis = axis_below(move, from);
    if (*axis < 0) return VJ_NONE;
    const vj_dim size = vj_type_at(f, v)->dims[from];
    /* As many elements stand behind it above and below, so no group joins it to another. */
    own.from.dims[from] = size;
    own.to.dims[*axis] = size;
    return regroup(f, v, &own.from, &own.to);
}

vj_value vj_bring_operand_down(vj_func *f, const vj_moves *moves, vj_value v, int32_t rank, int32_t *axis) {
    if (moves->count) v = with_rank(f, v, rank);
    for (int32_t i = moves->count - 1; i >= 0 && v >= 0; i--)
        v = operand_through(f, &moves->at[i], v, axis);
    return v;
}

vj_value vj_swap_last(vj_func *f, vj_value v) {
    int64_t perm[VJ_MAX_RANK], merged[VJ_MAX_RANK];
    const int32_t rank = vj_type_at(f, v)->rank;
    for (int32_t i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    if (vj_op_of(f, v) != VJ_OP_transpose) return vj_make_transpose(f, v, perm, vj_producer(f, v)->origin);
    const int64_t *inner = vj_attr_find(vj_producer(f, v), VJ_ATTR_PERM)->as.ints;
    bool is_identity = true;
    for (int32_t i = 0; i < rank; i++) {
        merged[i] = inner[perm[i]];
        is_identity = is_identity && merged[i] == i;
    }
    const vj_value source = vj_operand(f, v, 0);
    return is_identity ? source : vj_make_transpose(f, source, merged, vj_producer(f, v)->origin);
}
