/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_tile.c - a tile: the place of its elements, and its walk through the depth: where each step's groups of A and B are. Sums stay
 * in registers.
 *
 * Strides are constants of the code, so that all rows are one base register with displacements. Every tile shape adds k in
 * the same order.
 */
#include "gemm.h"

#include <assert.h>
#include <string.h>

void vj_gemm_point(const vj_gemm *m, const vj_gemm_tile *t, int32_t r, int32_t j, vj_point *point) {
    const vj_gen *g = m->g;
    const int32_t lanes = vj_tile_lanes(m, t, j);
    memcpy(point->index, t->index, sizeof point->index);
    for (int32_t axis = m->cols.first; axis <= m->last_col; axis++)
        point->index[axis] = t->col_index[j][axis];
    point->index[m->inner_row] = r == 0 ? t->row : LLVMBuildNSWAdd(g->b, t->row, vj_i64(g, r), "");
    point->lanes = m->lanes;
    point->vector_axis = m->lanes > 1 ? m->last_col : -1;
    point->mask = lanes < m->lanes ? vj_mask_first(g, vj_i64(g, lanes), m->lanes) : NULL;
}

void vj_gemm_unflatten(const vj_gemm *m, LLVMValueRef number, vj_axes axes, LLVMValueRef *index) {
    const vj_gen *g = m->g;
    for (int32_t axis = axes.first + axes.count - 1; axis >= axes.first; axis--) {
        if (axis == axes.first) {
            index[axis] = number;
            break;
        }
        LLVMValueRef extent = vj_i64(g, m->k->extent[axis]);
        index[axis] = LLVMBuildURem(g->b, number, extent, "");
        number = LLVMBuildUDiv(g->b, number, extent, "");
    }
}

int64_t vj_gemm_row_tiles(const vj_gemm *m) {
    int64_t count = 0;
    for (int32_t i = 0; i < m->s->tile_kinds; i++)
        count += m->s->tiles[i].count;
    return count;
}

void vj_gemm_place_columns(const vj_gemm *m, vj_gemm_tile *t, LLVMValueRef first, int64_t columns) {
    const vj_gen *g = m->g;
    t->width = (int32_t)vj_ceil_div(columns, m->lanes);
    t->last_lanes = (int32_t)(columns - (int64_t)(t->width - 1) * m->lanes);
    t->first_col = vj_opaque(g, first);
    for (int32_t j = 0; j < t->width; j++) {
        LLVMValueRef number = LLVMBuildAdd(g->b, t->first_col, vj_i64(g, (int64_t)j * m->lanes), "");
        vj_gemm_unflatten(m, number, m->cols, t->col_index[j]);
    }
}

/* Innermost rows of A with more elements than this get no "outside" row, which stands on the stack. */
#define OUTSIDE_ELEMENTS 4096

static bool term_moves(const vj_access *access, int32_t axis) {
    for (int32_t i = 0; i < access->term_count; i++)
        if (access->terms[i].coef[axis] != 0) return true;
    return false;
}

static bool has_guard(const vj_access *access) {
    for (int32_t i = 0; i < access->term_count; i++)
        if (access->terms[i].kind == VJ_TERM_GUARD) return true;
    return false;
}

/* Are axes d and d + 1 one longer axis for this access? */
static bool merges(const vj_kernel *k, const vj_access *access, int32_t d) {
    return !term_moves(access, d) && !term_moves(access, d + 1) &&
           access->stride[d] == k->extent[d + 1] * access->stride[d + 1];
}

static void choose_modes(vj_gemm *m) {
    const vj_kernel *k = m->k;
    const vj_access *a = &k->access[k->a], *b = &k->access[k->b];
    const bool panels = vj_is_packed(m->g->p, b->buffer);
    const vj_dtype b_dtype = vj_operand_dtype(m->g->p, k, k->b);
    m->micro = vj_micro_of(m->g, m->s->form, m->g->p->buffers[a->buffer].dtype, b_dtype, panels, m->lanes);
    m->steps = k->s < 0 ? NULL : m->g->access[k->s];
    m->sum = m->steps ? VJ_F32 : m->micro.sum;
    if (vj_has_blocks(m->g->p, b->buffer, &m->blocks)) {
        const int64_t tiles = m->s->form == VJ_FORM_TILES ? m->s->unit_col_tiles : 1;
        const int64_t columns = vj_round_up(vj_min64(tiles * m->s->width * m->lanes, m->n), VJ_PANEL);
        /* Of the last panel there may be more rows than of the others. */
        const int64_t rows = vj_panel_depth(b_dtype, m->depth), more = vj_blocks_rows(&m->blocks, b_dtype) - rows;
        if (m->steps) vj_micro_by_blocks(&m->micro, m->blocks.bits);
        m->wide = vj_stack(m->g, b_dtype, (rows * columns + vj_max64(more, 0) * VJ_PANEL) * m->micro.parts);
        if (m->steps) m->start = vj_stack(m->g, VJ_I32, vj_blocks_count(&m->blocks) * columns);
    }
    m->b_mode = panels ? VJ_B_PANELS : b->term_count == 0 && b->stride[m->last_col] == 1 ? VJ_B_ROWS : VJ_B_ANY;
    const int32_t inner = k->rank - 1; /* the last depth axis */
    m->a_mode = VJ_A_AFFINE;
    if (a->term_count == 0) return;
    const bool still = !term_moves(a, inner);
    const bool short_row = a->stride[inner] == 1 && k->extent[inner] <= OUTSIDE_ELEMENTS;
    m->a_mode = still && (!has_guard(a) || short_row) ? VJ_A_POINTERS : VJ_A_ANY;
}

void vj_gemm_plan_depth(vj_gemm *m) {
    const vj_kernel *k = m->k;
    choose_modes(m);
    const vj_access *a = &k->access[k->a], *b = &k->access[k->b];
    const bool guarded = m->a_mode == VJ_A_POINTERS && has_guard(a);
    int64_t below = VJ_PANEL * m->micro.parts; /* the stride of the next axis in panels: groups do not straddle axes */
    for (int32_t d = k->rank - 1; d >= m->depth_axes.first; d--) {
        const vj_depth one = {d, k->extent[d], a->stride[d], m->b_mode == VJ_B_PANELS ? below : b->stride[d]};
        below *= k->extent[d];
        vj_depth *last = m->depth_count ? &m->depths[m->depth_count - 1] : NULL;
        const bool exact = m->a_mode == VJ_A_ANY || m->b_mode == VJ_B_ANY || m->steps;
        const bool too_long = last && guarded && m->depth_count == 1 && last->extent * one.extent > OUTSIDE_ELEMENTS;
        if (last && !exact && !too_long && merges(k, a, d) && (m->b_mode == VJ_B_PANELS || merges(k, b, d))) {
            last->extent *= one.extent;
        } else {
            m->depths[m->depth_count++] = one;
        }
    }
    /* The innermost came first: the order is reversed. */
    for (int32_t i = 0, j = m->depth_count - 1; i < j; i++, j--) {
        const vj_depth swap = m->depths[i];
        m->depths[i] = m->depths[j];
        m->depths[j] = swap;
    }
    if (guarded) {
        const int64_t length = m->depths[m->depth_count - 1].extent;
        const vj_dtype dtype = m->micro.a;
        m->outside = vj_stack(m->g, dtype, length);
        vj_loop loop;
        vj_loop_begin(m->g, &loop, vj_i64(m->g, 0), vj_i64(m->g, length), 1, true, NULL, 0);
        LLVMValueRef value = dtype == VJ_U8 ? LLVMConstInt(vj_llvm_type(m->g, dtype), (uint64_t)a->otherwise, false)
                             : vj_is_half(dtype) ? vj_half_constant(m->g, dtype, a->otherwise)
                                                 : vj_f32(m->g, a->otherwise);
        vj_store_vector(m->g, vj_element(m->g, m->outside, dtype, loop.index), value, NULL);
        vj_loop_end(m->g, &loop, NULL);
    }
}

/* The state of the walk through the depth. */
typedef struct walk {
    const vj_gemm *m;
    const vj_gemm_tile *t;
    LLVMValueRef a;                 /* VJ_A_AFFINE */
    LLVMValueRef rows[VJ_MAX_TILE]; /* VJ_A_POINTERS */
    LLVMValueRef b[VJ_MAX_TILE];    /* a pointer a vector, equal ones where offsets are constant */
    int64_t b_offset[VJ_MAX_TILE];
    LLVMValueRef b_mask[VJ_MAX_TILE];
    LLVMValueRef index[VJ_MAX_AXES]; /* depth axes */
    LLVMValueRef fetch;
} walk;

static LLVMValueRef advance(const vj_gen *g, vj_dtype dtype, LLVMValueRef pointer, LLVMValueRef index, int64_t stride) {
    if (stride == 0) return pointer;
    return vj_element(g, pointer, dtype, LLVMBuildNSWMul(g->b, index, vj_i64(g, stride), ""));
}

static LLVMValueRef at(const vj_gen *g, vj_dtype dtype, LLVMValueRef pointer, int64_t elements) {
    return elements == 0 ? pointer : vj_element(g, pointer, dtype, vj_i64(g, elements));
}

/* Where a row begins at the indices of all depth axes but the innermost. */
static LLVMValueRef row_pointer(const walk *w, int32_t r) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const vj_access *a = &m->k->access[m->k->a];
    const int32_t inner = m->depths[m->depth_count - 1].axis;
    vj_point point = {0};
    vj_gemm_point(m, w->t, r, 0, &point);
    for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
        point.index[d] = d == inner || !w->index[d] ? vj_i64(g, 0) : w->index[d];
    LLVMValueRef offset = vj_emit_offset(g, a, &point), valid = NULL;
    for (int32_t i = 0; i < a->term_count; i++) {
        const vj_term *term = &a->terms[i];
        LLVMValueRef x = vj_i64(g, term->constant);
        for (int32_t axis = 0; axis < m->k->rank; axis++)
            if (term->coef[axis])
                x = LLVMBuildAdd(g->b, x, LLVMBuildMul(g->b, point.index[axis], vj_i64(g, term->coef[axis]), ""), "");
        LLVMValueRef extent = vj_i64(g, term->extent);
        if (term->kind == VJ_TERM_MOD) {
            x = LLVMBuildURem(g->b, LLVMBuildAdd(g->b, x, extent, ""), extent, "");
        } else {
            LLVMValueRef inside = LLVMBuildICmp(g->b, LLVMIntULT, x, extent, "");
            valid = valid ? LLVMBuildAnd(g->b, valid, inside, "") : inside;
        }
        offset = LLVMBuildAdd(g->b, offset, LLVMBuildMul(g->b, x, vj_i64(g, term->stride), ""), "");
    }
    /* Outside, the offset may point anywhere, so it is not "inbounds". */
    LLVMValueRef pointer = LLVMBuildGEP2(g->b, vj_llvm_type(g, m->micro.a), m->a, &offset, 1, "");
    return valid ? LLVMBuildSelect(g->b, valid, pointer, m->outside, "") : pointer;
}

/* Some steps from index `i` of the innermost depth axis on: where they read from. What is read for a second time goes by
 * pointers of which LLVM knows nothing, so that it is read from memory. */
typedef struct place {
    const walk *w;
    LLVMValueRef i;
    LLVMValueRef a[2];              /* VJ_A_AFFINE */
    LLVMValueRef b[2][VJ_MAX_TILE]; /* but for VJ_B_ANY */
} place;

/* All depth axes at element k. */
static void set_depth(const place *s, int64_t k, vj_point *point) {
    const walk *w = s->w;
    const vj_gen *g = w->m->g;
    for (int32_t d = w->m->depth_axes.first; d < w->m->k->rank; d++)
        point->index[d] = w->index[d];
    point->index[w->m->depths[w->m->depth_count - 1].axis] = LLVMBuildAdd(g->b, s->i, vj_i64(g, k), "");
}

/* Where element k of row r is; not for VJ_A_ANY. */
static LLVMValueRef place_of_a(const place *s, int64_t k, int32_t r, bool again) {
    const vj_gemm *m = s->w->m;
    const vj_depth *inner = &m->depths[m->depth_count - 1];
    if (m->a_mode == VJ_A_AFFINE)
        return at(m->g, m->micro.a, s->a[again], k * inner->a + r * m->k->access[m->k->a].stride[m->inner_row]);
    return at(m->g, m->micro.a, advance(m->g, m->micro.a, s->w->rows[r], s->i, inner->a), k * inner->a);
}

static LLVMValueRef element_of_a(const place *s, int64_t k, int32_t r, bool again) {
    const vj_gemm *m = s->w->m;
    if (m->a_mode != VJ_A_ANY) return vj_load_vector(m->g, place_of_a(s, k, r, again), m->micro.a, 1, NULL, NULL);
    vj_point point = {0};
    vj_gemm_point(m, s->w->t, r, 0, &point);
    point.lanes = 1;
    point.vector_axis = -1;
    point.mask = NULL;
    set_depth(s, k, &point);
    return vj_emit_load(m->g, m->k->a, &point);
}

static LLVMValueRef load_a(const void *self, int64_t k, int32_t count, int32_t r, bool again) {
    const place *s = self;
    const vj_gemm *m = s->w->m;
    if (m->micro.a == VJ_F32) return element_of_a(s, k, r, again);
    if (count == m->micro.group && m->a_mode != VJ_A_ANY && m->depths[m->depth_count - 1].a == 1)
        return vj_load_group(m->g, place_of_a(s, k, r, again), m->micro.a);
    LLVMValueRef element[VJ_MOST_GROUP];
    for (int32_t e = 0; e < count; e++)
        element[e] = element_of_a(s, k + e, r, again);
    return vj_group_of(m->g, element, count);
}

/* A row of an unpacked B, or a group of panels, which are aligned and hold whole vectors. */
static LLVMValueRef row_of_b(const place *s, int64_t k, int32_t j, bool again) {
    const vj_gemm *m = s->w->m;
    vj_gen *g = m->g;
    if (m->b_mode == VJ_B_ANY) {
        vj_point point = {0};
        vj_gemm_point(m, s->w->t, 0, j, &point);
        set_depth(s, k, &point);
        return vj_emit_load(g, m->k->b, &point);
    }
    const bool grouped = m->b_mode == VJ_B_PANELS && m->micro.group > 1;
    const vj_dtype dtype = m->micro.b, read = grouped ? VJ_I32 : dtype;
    const int64_t offset = s->w->b_offset[j] + k * m->depths[m->depth_count - 1].b;
    LLVMValueRef value = vj_load_vector(g, at(g, dtype, s->b[again][j], offset), read, m->lanes, s->w->b_mask[j], NULL);
    if (m->b_mode == VJ_B_PANELS) LLVMSetAlignment(value, (unsigned)(m->lanes * vj_element_bytes(read)));
    return value;
}

static LLVMValueRef load_b(const void *self, int64_t k, int32_t count, int32_t j, bool again) {
    const place *s = self;
    const vj_gemm *m = s->w->m;
    LLVMValueRef row = row_of_b(s, k, j, again);
    if (m->b_mode == VJ_B_PANELS || m->micro.b == VJ_F32) return row;
    const LLVMValueRef pair[2] = {row, count == 2 ? row_of_b(s, k + 1, j, again) : NULL};
    return vj_group_of(m->g, pair, count);
}

static place place_at(const walk *w, LLVMValueRef i) {
    const vj_gemm *m = w->m;
    const vj_gen *g = m->g;
    const vj_depth *inner = &m->depths[m->depth_count - 1];
    const bool twice = m->micro.form == VJ_FORM_FMA && m->micro.group > 1;
    place s = {.w = w, .i = i};
    if (m->a_mode == VJ_A_AFFINE) {
        s.a[0] = vj_step_base(g, advance(g, m->micro.a, w->a, i, inner->a));
        s.a[1] = twice ? vj_opaque(g, s.a[0]) : NULL;
    }
    for (int32_t j = 0; j < w->t->width && m->b_mode != VJ_B_ANY; j++) {
        const bool same = j > 0 && w->b[j] == w->b[j - 1];
        s.b[0][j] = same ? s.b[0][j - 1] : vj_step_base(g, advance(g, m->micro.b, w->b[j], i, inner->b));
        s.b[1][j] = !twice ? NULL : same ? s.b[1][j - 1] : vj_opaque(g, s.b[0][j]);
    }
    return s;
}

/* Adds `count` elements of k from index i of the innermost depth axis on: groups of them, the last of which may be short. */
static void multiply(const walk *w, LLVMValueRef i, int64_t count, LLVMValueRef *acc) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const place s = place_at(w, i);
    const vj_micro_loads loads = {&s, load_a, load_b};
    if (w->fetch) {
        LLVMValueRef line = vj_element(g, w->fetch, VJ_I8, LLVMBuildMul(g->b, i, vj_i64(g, m->s->prefetch), ""));
        vj_prefetch(g, line);
    }
    for (int64_t k = 0; k < count; k += m->micro.step)
        vj_micro_step(&m->micro, &loads, k, (int32_t)vj_min64(m->micro.step, count - k), w->t->height, w->t->width,
                      acc);
}

static void walk_innermost(walk *w, LLVMValueRef *acc) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const int64_t extent = m->depths[m->depth_count - 1].extent;
    const int64_t unroll = (int64_t)m->s->k_unroll * m->micro.group;
    const int32_t count = w->t->height * w->t->width;
    if (m->a_mode == VJ_A_POINTERS)
        for (int32_t r = 0; r < w->t->height; r++)
            w->rows[r] = row_pointer(w, r);
    const int64_t whole = extent / unroll * unroll;
    if (whole > unroll) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole), unroll, true, acc, count);
        LLVMValueRef next[VJ_MAX_CARRIED];
        for (int32_t i = 0; i < count; i++)
            next[i] = loop.carried[i];
        multiply(w, loop.index, unroll, next);
        vj_loop_end(g, &loop, next);
        for (int32_t i = 0; i < count; i++)
            acc[i] = loop.carried[i];
    } else if (whole > 0) {
        multiply(w, vj_i64(g, 0), unroll, acc);
    }
    if (extent > whole) multiply(w, vj_i64(g, whole), extent - whole, acc);
}

/* The size of the steps of row r in the block. */
static LLVMValueRef size_of_step(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef number, int32_t r) {
    vj_point point = {0};
    vj_gemm_point(m, t, r, 0, &point);
    point.lanes = 1;
    point.vector_axis = -1;
    point.mask = NULL;
    for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
        point.index[d] = m->depth_count > 1 && d == m->depths[0].axis ? number : vj_i64(m->g, 0);
    return vj_splat(m->g, vj_emit_load(m->g, m->k->s, &point), m->lanes);
}

/* A block of bytes, which is the innermost axis: what its sums are worth is added. */
static void walk_block(walk *w, LLVMValueRef *acc) {
    const vj_gemm *m = w->m;
    LLVMValueRef part[VJ_MAX_TILE], number = m->depth_count > 1 ? w->index[m->depths[0].axis] : vj_i64(m->g, 0);
    const vj_gemm_block block = vj_gemm_block_at(m, w->t, number);
    vj_gemm_begin_block(m, w->t, &block, part);
    walk_innermost(w, part);
    LLVMValueRef step[VJ_MAX_TILE], after = vj_after(m->g, number, part[0]);
    for (int32_t r = 0; r < w->t->height; r++)
        step[r] = size_of_step(m, w->t, after, r);
    vj_gemm_add_bytes(m, w->t, &block, step, part, acc);
}

static void walk_depth(walk *w, int32_t level, LLVMValueRef *acc) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    if (level == m->depth_count - 1) {
        (m->steps ? walk_block : walk_innermost)(w, acc);
        return;
    }
    const vj_depth *d = &m->depths[level];
    const int32_t count = w->t->height * w->t->width;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, d->extent), 1, true, acc, count);
    LLVMValueRef next[VJ_MAX_CARRIED];
    for (int32_t i = 0; i < count; i++)
        next[i] = loop.carried[i];
    walk inside = *w;
    LLVMValueRef index = vj_opaque(g, loop.index);
    inside.index[d->axis] = index;
    if (m->a_mode == VJ_A_AFFINE) inside.a = advance(g, m->micro.a, w->a, index, d->a);
    for (int32_t j = 0; j < w->t->width && m->b_mode != VJ_B_ANY; j++)
        inside.b[j] = j > 0 && w->b[j] == w->b[j - 1] ? inside.b[j - 1] : advance(g, m->micro.b, w->b[j], index, d->b);
    if (w->fetch) {
        int64_t steps = m->s->prefetch;
        for (int32_t i = level + 1; i < m->depth_count; i++)
            steps *= m->depths[i].extent;
        inside.fetch = vj_element(g, w->fetch, VJ_I8, LLVMBuildMul(g->b, index, vj_i64(g, steps), ""));
    }
    walk_depth(&inside, level + 1, next);
    vj_loop_end(g, &loop, next);
    for (int32_t i = 0; i < count; i++)
        acc[i] = loop.carried[i];
}

/* Finds B at k = 0 for each vector. In panels the vectors of a tile start at a multiple of the tile's width, so all but the
 * first are at constant distances. */
static void locate_b(walk *w) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const vj_access *b = &m->k->access[m->k->b];
    const vj_dtype dtype = m->micro.b;
    const int64_t panel = vj_panel_depth(dtype, m->depth) * VJ_PANEL * m->micro.parts;
    if (m->b_mode == VJ_B_ANY) return;
    for (int32_t j = 0; j < w->t->width; j++) {
        if (m->b_mode == VJ_B_PANELS) {
            if (j == 0) {
                LLVMValueRef width = vj_i64(g, VJ_PANEL);
                LLVMValueRef p =
                    LLVMBuildMul(g->b, LLVMBuildUDiv(g->b, w->t->first_col, width, ""), vj_i64(g, panel), "");
                if (m->wide) p = vj_i64(g, 0);
                LLVMValueRef lane = LLVMBuildURem(g->b, w->t->first_col, width, "");
                lane = LLVMBuildMul(g->b, lane, vj_i64(g, vj_panel_group(dtype)), "");
                w->b[0] = vj_element(g, m->wide ? m->wide : m->b, dtype, LLVMBuildAdd(g->b, p, lane, ""));
            }
            w->b[j] = w->b[0];
            w->b_offset[j] =
                (int64_t)j * m->lanes / VJ_PANEL * panel + (int64_t)j * m->lanes % VJ_PANEL * vj_panel_group(dtype);
            continue;
        }
        const bool one_axis = m->cols.count == 1;
        if (j == 0 || !one_axis) {
            vj_point point = {0};
            vj_gemm_point(m, w->t, 0, j, &point);
            for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
                point.index[d] = vj_i64(g, 0);
            w->b[j] = vj_element(g, m->b, dtype, vj_emit_offset(g, b, &point));
        } else {
            w->b[j] = w->b[0];
        }
        w->b_offset[j] = one_axis ? j * m->lanes : 0;
        if (vj_tile_lanes(m, w->t, j) < m->lanes)
            w->b_mask[j] = vj_mask_first(g, vj_i64(g, vj_tile_lanes(m, w->t, j)), m->lanes);
    }
}

void vj_gemm_widen(const vj_gemm *m, const vj_gemm_tile *t) {
    vj_gen *g = m->g;
    const int64_t rows = vj_panel_depth(m->micro.b, m->depth), panel = vj_blocks_panel(&m->blocks);
    LLVMValueRef width = vj_i64(g, VJ_PANEL), first = LLVMBuildUDiv(g->b, t->first_col, width, "");
    LLVMValueRef column = LLVMBuildURem(g->b, t->first_col, width, "");
    LLVMValueRef from = vj_bytes_on(g, m->b, LLVMBuildMul(g->b, first, vj_i64(g, panel), ""));
    /* A tile of whole panels begins with one; another lies in one. Whatever is written behind a panel's rows, the next one covers. */
    for (int32_t j = 0; j < t->width; j++) {
        const int64_t lane = (int64_t)j * m->lanes, number = lane / VJ_PANEL;
        LLVMValueRef at = LLVMBuildAdd(g->b, column, vj_i64(g, lane % VJ_PANEL), "");
        LLVMValueRef panel_at = vj_bytes_on(g, from, vj_i64(g, number * panel));
        LLVMValueRef out = vj_element(g, m->wide, m->micro.b, vj_i64(g, number * rows * VJ_PANEL * m->micro.parts));
        if (m->steps) {
            LLVMValueRef start = vj_i64(g, number * vj_blocks_count(&m->blocks) * VJ_PANEL);
            vj_widen_to_bytes(g, &m->blocks, m->micro.parts, panel_at, at, m->lanes, out,
                              vj_element(g, m->start, VJ_I32, start));
        } else {
            vj_widen_blocks(g, &m->blocks, m->micro.b, panel_at, at, m->lanes, out);
        }
    }
}

void vj_gemm_accumulate(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef *acc) {
    vj_gen *g = m->g;
    assert(t->height * t->width <= VJ_MAX_TILE);
    walk w = {.m = m, .t = t, .fetch = t->fetch};
    locate_b(&w);
    if (m->a_mode == VJ_A_AFFINE) {
        vj_point point = {0};
        vj_gemm_point(m, t, 0, 0, &point);
        for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
            point.index[d] = vj_i64(g, 0);
        w.a = vj_element(g, m->a, m->micro.a, vj_emit_offset(g, &m->k->access[m->k->a], &point));
    }
    for (int32_t i = 0; i < t->height * t->width; i++)
        acc[i] = LLVMConstNull(vj_vector_type(g, m->sum, m->lanes));
    walk_depth(&w, 0, acc);
}
