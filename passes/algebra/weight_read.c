/* SPDX-License-Identifier: Apache-2.0 */
/* weight_read.c - reading weight expressions in blocks. A range of a result is a few ranges of its operands: movement
 * ops split it into runs that stay contiguous; a transpose is transposed in slabs of bounded size, kept while neighbours
 * are read; vectors that are broadcast over a matrix are small and are kept whole. */
#include <stdlib.h>
#include <string.h>

#include "weight_read.h"

#define SLAB_ELEMENTS  ((int64_t)4 << 20) /* of a transpose at once: 16 MiB */
#define SMALL_ELEMENTS ((int64_t)1 << 20) /* a broadcast operand that is kept whole */

static void free_kept(void *self) {
    vj_weight_reader *r = self;
    for (int32_t i = 0; i < VJ_WEIGHT_SLOTS; i++)
        free(r->slots[i].at);
    for (int32_t i = 0; i < VJ_WEIGHT_LEVELS; i++)
        free(r->levels[i]);
    vj_weight_plan_free(&r->plan);
}

vj_weight_reader *vj_weight_reader_new(vj_arena *arena, const vj_func *f) {
    vj_weight_reader *r = VJ_NEW(arena, vj_weight_reader);
    r->f = f;
    r->arena = arena;
    r->ready = VJ_NONE;
    for (int32_t i = 0; i < VJ_WEIGHT_SLOTS; i++)
        r->slots[i].v = VJ_NONE;
    vj_arena_at_free(arena, free_kept, r);
    return r;
}

static bool read_range(vj_weight_reader *r, vj_value v, int64_t first, int64_t count, float *out, vj_error *error);

/* Strides of an operand that is broadcast to `type`; 0 along dims that it does not have. */
static void broadcast_strides(const vj_type *x, const vj_type *type, int64_t *stride) {
    int64_t step = 1;
    for (int32_t i = type->rank - 1; i >= 0; i--) {
        int32_t k = i - (type->rank - x->rank);
        stride[i] = k >= 0 && x->dims[k].c != 1 ? step : 0;
        if (k >= 0) step *= x->dims[k].c;
    }
}

static void split_index(const vj_type *type, int64_t flat, int64_t *index) {
    for (int32_t i = type->rank - 1; i >= 0; i--) {
        index[i] = flat % type->dims[i].c;
        flat /= type->dims[i].c;
    }
}

/* A whole operand, kept. */
static vj_weight_slot *keep_whole(vj_weight_reader *r, vj_value v, vj_error *error) {
    int64_t count = vj_weight_elements(r->f, v);
    vj_weight_slot *s = vj_weight_find(r, v, 0, count);
    if (s) return s;
    s = vj_weight_slot_for(r, count, error);
    if (!s) return NULL;
    s->pinned++;
    bool good = read_range(r, v, 0, count, s->at, error);
    s->pinned--;
    if (!good) return NULL;
    s->v = v;
    s->first = 0;
    s->count = count;
    return s;
}

/* Elements [first, first + count) of v broadcast to `type`. */
static bool read_broadcast(vj_weight_reader *r, vj_value v, const vj_type *type, int64_t first, int64_t count,
                           float *out, vj_error *error) {
    const vj_type *x = vj_type_at(r->f, v);
    if (vj_weight_extent(x, 0, x->rank) == vj_weight_extent(type, 0, type->rank))
        return read_range(r, v, first, count, out, error);
    int64_t stride[VJ_MAX_RANK], index[VJ_MAX_RANK], inner = type->dims[type->rank - 1].c;
    vj_weight_slot *s = vj_weight_extent(x, 0, x->rank) <= SMALL_ELEMENTS ? keep_whole(r, v, error) : NULL;
    if (!s && error->status) return false;
    broadcast_strides(x, type, stride);
    while (count > 0) {
        split_index(type, first, index);
        int64_t at = 0, run = vj_min64(count, inner - index[type->rank - 1]);
        for (int32_t i = 0; i < type->rank; i++)
            at += index[i] * stride[i];
        bool is_row = stride[type->rank - 1] != 0;
        if (s && is_row)
            memcpy(out, s->at + at, (size_t)run * sizeof *out);
        else if (s)
            out[0] = s->at[at];
        else if (!read_range(r, v, at, is_row ? run : 1, out, error))
            return false;
        for (int64_t i = 1; !is_row && i < run; i++)
            out[i] = out[0];
        first += run;
        out += run;
        count -= run;
    }
    return true;
}

static bool read_elementwise(vj_weight_reader *r, const vj_node *node, int64_t first, int64_t count, float *out,
                             vj_error *error) {
    const vj_type *type = &r->f->values[node->first_result].type;
    vj_weight_level *level = vj_weight_enter(r, error);
    bool good = level != NULL;
    while (good && count > 0) {
        const int64_t part = vj_min64(count, VJ_WEIGHT_CHUNK);
        good = read_broadcast(r, node->args[0], type, first, part, out, error) &&
               (node->arg_count < 2 || read_broadcast(r, node->args[1], type, first, part, level->other, error));
        if (good) vj_weight_apply(node->op, part, out, level->other);
        if (good && node->op == VJ_OP_cast) vj_weight_round(type->dtype, part, out);
        first += part;
        out += part;
        count -= part;
    }
    r->level -= level != NULL;
    return good;
}

/* Runs along the last axis that is not taken whole. */
static bool read_slice(vj_weight_reader *r, const vj_node *node, int64_t first, int64_t count, float *out,
                       vj_error *error) {
    const vj_type *type = &r->f->values[node->first_result].type, *x = vj_type_at(r->f, node->args[0]);
    const int64_t *starts = vj_attr_find(node, VJ_ATTR_STARTS)->as.ints;
    const int64_t *steps = vj_attr_find(node, VJ_ATTR_STEPS)->as.ints;
    int32_t axis = x->rank - 1;
    while (axis > 0 && starts[axis] == 0 && steps[axis] == 1 && vj_dim_equal(x->dims[axis], type->dims[axis]))
        axis--;
    if (x->rank == 0) return read_range(r, node->args[0], first, count, out, error);
    int64_t inner = vj_weight_extent(type, axis + 1, type->rank);
    int64_t whole = steps[axis] == 1 ? inner * type->dims[axis].c : inner;
    while (count > 0) {
        int64_t index[VJ_MAX_RANK], at = 0, run = vj_min64(count, whole - first % whole);
        split_index(type, first, index);
        for (int32_t i = 0; i < type->rank; i++)
            at = at * x->dims[i].c + starts[i] + index[i] * steps[i];
        if (!read_range(r, node->args[0], at, run, out, error)) return false;
        first += run;
        out += run;
        count -= run;
    }
    return true;
}

static bool read_concat(vj_weight_reader *r, const vj_node *node, int64_t first, int64_t count, float *out,
                        vj_error *error) {
    const vj_type *type = &r->f->values[node->first_result].type;
    int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
    int64_t inner = vj_weight_extent(type, axis + 1, type->rank), period = inner * type->dims[axis].c;
    while (count > 0) {
        int64_t outer = first / period, inside = first % period, width = 0;
        int32_t a = 0;
        for (;; a++) {
            width = inner * vj_type_at(r->f, node->args[a])->dims[axis].c;
            if (inside < width) break;
            inside -= width;
        }
        int64_t run = vj_min64(count, width - inside);
        if (!read_range(r, node->args[a], outer * width + inside, run, out, error)) return false;
        first += run;
        out += run;
        count -= run;
    }
    return true;
}

/* Rows of a table: runs of what follows the axis. Small tables are kept. */
static bool read_rows(vj_weight_reader *r, const vj_node *node, const vj_weight_slot *s, int64_t first, int64_t count,
                      float *out, int64_t *at, vj_error *error) {
    const vj_value table = node->args[0];
    const vj_type *x = vj_type_at(r->f, table), *index = vj_type_at(r->f, node->args[1]);
    const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
    const int64_t inner = vj_weight_extent(x, axis + 1, x->rank), rows = vj_weight_extent(index, 0, index->rank);
    const int64_t size = x->dims[axis].c;
    int64_t known = -1; /* indices [known, known + VJ_WEIGHT_CHUNK) */
    if (size == 0) return vj_fail(error, VJ_BAD_INPUT, "a weight takes elements of an empty axis") == VJ_OK;
    while (count > 0) {
        const int64_t row = first / inner % rows, run = vj_min64(count, inner - first % inner);
        if (known < 0 || row < known || row >= known + VJ_WEIGHT_CHUNK) {
            known = row;
            const int64_t more = vj_min64(VJ_WEIGHT_CHUNK, rows - row);
            if (!vj_const_read_i64(r->f, node->args[1], row, more, at, error)) return false;
        }
        if (s && inner == 1) { /* numbers of a table, such as weights of 4 bits: all whose indices are known */
            const int64_t some = vj_min64(count, vj_min64(rows, known + VJ_WEIGHT_CHUNK) - row);
            const float *numbers = s->at + first / rows * size;
            for (int64_t i = 0; i < some; i++)
                out[i] = numbers[vj_index_from_front(at[row - known + i], size)];
            first += some;
            out += some;
            count -= some;
            continue;
        }
        const int64_t place = vj_index_from_front(at[row - known], size);
        const int64_t from = (first / inner / rows * size + place) * inner + first % inner;
        if (s)
            memcpy(out, s->at + from, (size_t)run * sizeof *out);
        else if (!read_range(r, table, from, run, out, error))
            return false;
        first += run;
        out += run;
        count -= run;
    }
    return true;
}

static bool read_gather(vj_weight_reader *r, const vj_node *node, int64_t first, int64_t count, float *out,
                        vj_error *error) {
    const vj_value table = node->args[0];
    const vj_weight_slot *s = vj_weight_elements(r->f, table) <= SMALL_ELEMENTS ? keep_whole(r, table, error) : NULL;
    if (!s && error->status) return false;
    vj_weight_level *level = vj_weight_enter(r, error);
    if (!level) return false;
    const bool good = read_rows(r, node, s, first, count, out, level->index, error);
    r->level--;
    return good;
}

/* Writes a slab of the result, indices [low, high) of its first axis, from `source`, which holds the operand with that
 * axis (perm[0]) cut likewise. Blocks of 16 x 16 when rows become columns. */
static void transpose(const vj_type *cut, const vj_type *type, const int64_t *perm, const float *source, float *out) {
    int64_t stride[VJ_MAX_RANK], dims[VJ_MAX_RANK], index[VJ_MAX_RANK] = {0}, step[VJ_MAX_RANK], n = 1;
    int32_t rank = cut->rank;
    for (int32_t i = rank - 1; i >= 0; i--) {
        stride[i] = n;
        n *= cut->dims[i].c;
    }
    for (int32_t i = 0; i < rank; i++) {
        dims[i] = i == 0 ? cut->dims[perm[0]].c : type->dims[i].c;
        step[i] = stride[perm[i]];
    }
    if (rank == 2) {
        for (int64_t j0 = 0; j0 < dims[1]; j0 += 16)
            for (int64_t i = 0; i < dims[0]; i++)
                for (int64_t j = j0; j < vj_min64(j0 + 16, dims[1]); j++)
                    out[i * dims[1] + j] = source[i * step[0] + j * step[1]];
        return;
    }
    for (int64_t done = 0, at = 0; done < n;) {
        for (int64_t i = 0; i < dims[rank - 1]; i++)
            *out++ = source[at + i * step[rank - 1]];
        done += dims[rank - 1];
        for (int32_t i = rank - 2; i >= 0; i--) {
            at += step[i];
            if (++index[i] < dims[i]) break;
            at -= step[i] * dims[i];
            index[i] = 0;
        }
    }
}

static bool fill_slab(vj_weight_reader *r, const vj_node *node, int64_t low, int64_t high, float *out,
                      vj_error *error) {
    const vj_type *type = &r->f->values[node->first_result].type, *x = vj_type_at(r->f, node->args[0]);
    const int64_t *perm = vj_attr_find(node, VJ_ATTR_PERM)->as.ints;
    vj_type cut = *x;
    cut.dims[perm[0]].c = high - low;
    int64_t inner = vj_weight_extent(x, (int32_t)perm[0] + 1, x->rank),
            outer = vj_weight_extent(x, 0, (int32_t)perm[0]);
    int64_t run = (high - low) * inner, whole = x->dims[perm[0]].c * inner;
    vj_weight_slot *s = vj_weight_slot_for(r, outer * run, error);
    if (!s) return false;
    s->pinned++;
    bool good = true;
    if (run == whole)
        good = read_range(r, node->args[0], 0, outer * run, s->at, error);
    else
        for (int64_t o = 0; good && o < outer; o++)
            good = read_range(r, node->args[0], o * whole + low * inner, run, s->at + o * run, error);
    if (good) transpose(&cut, type, perm, s->at, out);
    s->pinned--;
    return good;
}

static bool read_transpose(vj_weight_reader *r, const vj_node *node, int64_t first, int64_t count, float *out,
                           vj_error *error) {
    vj_value v = node->first_result;
    const vj_type *type = vj_type_at(r->f, v);
    if (type->rank < 2) return read_range(r, node->args[0], first, count, out, error);
    int64_t row = vj_weight_extent(type, 1, type->rank), rows = vj_max64(1, SLAB_ELEMENTS / row);
    while (count > 0) {
        int64_t low = first / row / rows * rows, high = vj_min64(low + rows, type->dims[0].c);
        int64_t run = vj_min64(count, high * row - first);
        vj_weight_slot *s = vj_weight_find(r, v, first, run);
        if (!s) {
            s = vj_weight_slot_for(r, (high - low) * row, error);
            if (!s) return false;
            s->pinned++;
            bool good = fill_slab(r, node, low, high, s->at, error);
            s->pinned--;
            if (!good) return false;
            s->v = v;
            s->first = low * row;
            s->count = (high - low) * row;
        }
        memcpy(out, s->at + (first - s->first), (size_t)run * sizeof *out);
        first += run;
        out += run;
        count -= run;
    }
    return true;
}

static bool read_range(vj_weight_reader *r, vj_value v, int64_t first, int64_t count, float *out, vj_error *error) {
    const vj_node *node = vj_producer(r->f, v);
    if (count == 0) return true;
    if (r->plan.part && r->plan.part[v].kept) {
        memcpy(out, r->plan.part[v].kept + first, (size_t)count * sizeof *out);
        return true;
    }
    switch (node->op) {
    case VJ_OP_const:
        return vj_const_read_f32(r->f, v, first, count, out, error);
    case VJ_OP_reshape:
        return read_range(r, node->args[0], first, count, out, error);
    case VJ_OP_transpose:
        return read_transpose(r, node, first, count, out, error);
    case VJ_OP_slice:
        return read_slice(r, node, first, count, out, error);
    case VJ_OP_concat:
        return read_concat(r, node, first, count, out, error);
    case VJ_OP_gather:
        return read_gather(r, node, first, count, out, error);
    case VJ_OP_broadcast:
        return read_broadcast(r, node->args[0], vj_type_at(r->f, v), first, count, out, error);
    default:
        return read_elementwise(r, node, first, count, out, error);
    }
}

/* Keeps those parts of a long expression whole that reading it wants so. */
static bool keep_parts(vj_weight_reader *r, vj_value v, vj_error *error) {
    vj_weight_plan_of(r, v);
    for (int32_t i = 0; i < r->plan.count; i++) {
        const vj_value u = r->plan.order[i];
        vj_weight_part *part = &r->plan.part[u];
        if (!part->whole || part->kept) continue;
        float *room = vj_weight_room(r, i);
        const bool good = read_range(r, u, 0, vj_weight_elements(r->f, u), room, error);
        part->kept = room;
        r->plan.room = NULL;
        if (!good) return false;
    }
    return true;
}

bool vj_weight_read(vj_weight_reader *r, vj_value v, int64_t first, int64_t count, float *out, vj_error *error) {
    if (r->ready != v && !vj_weight_is_short(r->f, v) && !keep_parts(r, v, error)) return false;
    r->ready = v;
    return read_range(r, v, first, count, out, error);
}
