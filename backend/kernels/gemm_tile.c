/* gemm_tile.c - the micro-kernel: height x width vectors of sums over the whole depth, in registers.
 *
 * A step of k loads `width` vectors of B, broadcasts an element of A a row and multiplies and adds. Strides are
 * constants of the code, so that all rows are one base register with displacements. Every tile shape adds k in the same
 * order.
 */
#include "gemm.h"

#include <assert.h>

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
    int64_t below = vj_panel_at(m->depth, 1, 0); /* the stride of the next axis in panels */
    for (int32_t d = k->rank - 1; d >= m->depth_axes.first; d--) {
        const vj_depth one = {d, k->extent[d], a->stride[d], m->b_mode == VJ_B_PANELS ? below : b->stride[d]};
        below *= k->extent[d];
        vj_depth *last = m->depth_count ? &m->depths[m->depth_count - 1] : NULL;
        const bool exact = m->a_mode == VJ_A_ANY || m->b_mode == VJ_B_ANY;
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
        m->outside = vj_stack(m->g, VJ_F32, length);
        vj_loop loop;
        vj_loop_begin(m->g, &loop, vj_i64(m->g, 0), vj_i64(m->g, length), 1, true, NULL, 0);
        vj_store_vector(m->g, vj_element(m->g, m->outside, VJ_F32, loop.index), vj_f32(m->g, a->otherwise), NULL);
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

static LLVMValueRef advance(const vj_gen *g, LLVMValueRef pointer, LLVMValueRef index, int64_t stride) {
    if (stride == 0) return pointer;
    return vj_element(g, pointer, VJ_F32, LLVMBuildNSWMul(g->b, index, vj_i64(g, stride), ""));
}

static LLVMValueRef at(const vj_gen *g, LLVMValueRef pointer, int64_t elements) {
    return elements == 0 ? pointer : vj_element(g, pointer, VJ_F32, vj_i64(g, elements));
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
    LLVMValueRef pointer = LLVMBuildGEP2(g->b, g->f32, m->a, &offset, 1, "");
    return valid ? LLVMBuildSelect(g->b, valid, pointer, m->outside, "") : pointer;
}

static LLVMValueRef load_a(const walk *w, LLVMValueRef a, LLVMValueRef i, int64_t step, int32_t r) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const vj_access *access = &m->k->access[m->k->a];
    const vj_depth *inner = &m->depths[m->depth_count - 1];
    if (m->a_mode == VJ_A_ANY) {
        vj_point point = {.lanes = 1, .vector_axis = -1};
        vj_gemm_point(m, w->t, r, 0, &point);
        point.lanes = 1;
        point.vector_axis = -1;
        point.mask = NULL;
        for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
            point.index[d] = w->index[d];
        point.index[inner->axis] = LLVMBuildAdd(g->b, i, vj_i64(g, step), "");
        return vj_emit_load(g, m->k->a, &point);
    }
    if (m->a_mode == VJ_A_POINTERS) {
        LLVMValueRef row = advance(g, w->rows[r], i, inner->a);
        return vj_load_vector(g, at(g, row, step * inner->a), VJ_F32, 1, NULL, NULL);
    }
    const int64_t row_stride = access->stride[m->inner_row];
    return vj_load_vector(g, at(g, a, step * inner->a + r * row_stride), VJ_F32, 1, NULL, NULL);
}

static LLVMValueRef load_b(const walk *w, const LLVMValueRef *b, LLVMValueRef i, int64_t step, int32_t j) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const vj_depth *inner = &m->depths[m->depth_count - 1];
    if (m->b_mode == VJ_B_ANY) {
        vj_point point = {0};
        vj_gemm_point(m, w->t, 0, j, &point);
        for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
            point.index[d] = w->index[d];
        point.index[inner->axis] = LLVMBuildAdd(g->b, i, vj_i64(g, step), "");
        return vj_emit_load(g, m->k->b, &point);
    }
    LLVMValueRef pointer = at(g, b[j], w->b_offset[j] + step * inner->b);
    LLVMValueRef value = vj_load_vector(g, pointer, VJ_F32, m->lanes, w->b_mask[j], NULL);
    /* Packed weights are 64-byte aligned and panels hold whole vectors. */
    if (m->b_mode == VJ_B_PANELS) LLVMSetAlignment(value, (unsigned)m->lanes * 4);
    return value;
}

/* Adds `steps` steps of k from index i of the innermost depth axis. */
static void multiply(const walk *w, LLVMValueRef i, int32_t steps, LLVMValueRef *acc) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const vj_depth *inner = &m->depths[m->depth_count - 1];
    LLVMValueRef a = m->a_mode == VJ_A_AFFINE ? vj_step_base(g, advance(g, w->a, i, inner->a)) : NULL;
    LLVMValueRef b[VJ_MAX_TILE];
    for (int32_t j = 0; j < w->t->width && m->b_mode != VJ_B_ANY; j++)
        b[j] = j > 0 && w->b[j] == w->b[j - 1] ? b[j - 1] : vj_step_base(g, advance(g, w->b[j], i, inner->b));
    if (w->fetch) {
        LLVMValueRef line = vj_element(g, w->fetch, VJ_I8, LLVMBuildMul(g->b, i, vj_i64(g, m->s->prefetch), ""));
        vj_prefetch(g, line);
    }
    for (int32_t step = 0; step < steps; step++) {
        LLVMValueRef vectors[VJ_MAX_TILE];
        for (int32_t j = 0; j < w->t->width; j++)
            vectors[j] = load_b(w, b, i, step, j);
        for (int32_t r = 0; r < w->t->height; r++) {
            LLVMValueRef x = vj_splat(g, load_a(w, a, i, step, r), m->lanes);
            for (int32_t j = 0; j < w->t->width; j++) {
                LLVMValueRef *sum = &acc[r * w->t->width + j];
                *sum = vj_fma(g, x, vectors[j], *sum);
            }
        }
    }
}

static void walk_innermost(walk *w, LLVMValueRef *acc) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    const int64_t extent = m->depths[m->depth_count - 1].extent;
    const int32_t unroll = m->s->k_unroll, count = w->t->height * w->t->width;
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
    if (extent > whole) multiply(w, vj_i64(g, whole), (int32_t)(extent - whole), acc);
}

static void walk_depth(walk *w, int32_t level, LLVMValueRef *acc) {
    const vj_gemm *m = w->m;
    vj_gen *g = m->g;
    if (level == m->depth_count - 1) {
        walk_innermost(w, acc);
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
    if (m->a_mode == VJ_A_AFFINE) inside.a = advance(g, w->a, index, d->a);
    for (int32_t j = 0; j < w->t->width && m->b_mode != VJ_B_ANY; j++)
        inside.b[j] = j > 0 && w->b[j] == w->b[j - 1] ? inside.b[j - 1] : advance(g, w->b[j], index, d->b);
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
    const int64_t panel = m->depth * VJ_PANEL;
    if (m->b_mode == VJ_B_ANY) return;
    for (int32_t j = 0; j < w->t->width; j++) {
        if (m->b_mode == VJ_B_PANELS) {
            if (j == 0) {
                LLVMValueRef width = vj_i64(g, VJ_PANEL);
                LLVMValueRef p =
                    LLVMBuildMul(g->b, LLVMBuildUDiv(g->b, w->t->first_col, width, ""), vj_i64(g, panel), "");
                LLVMValueRef lane = LLVMBuildURem(g->b, w->t->first_col, width, "");
                w->b[0] = vj_element(g, m->b, VJ_F32, LLVMBuildAdd(g->b, p, lane, ""));
            }
            w->b[j] = w->b[0];
            w->b_offset[j] = vj_panel_at(m->depth, 0, (int64_t)j * m->lanes);
            continue;
        }
        const bool one_axis = m->cols.count == 1;
        if (j == 0 || !one_axis) {
            vj_point point = {0};
            vj_gemm_point(m, w->t, 0, j, &point);
            for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
                point.index[d] = vj_i64(g, 0);
            w->b[j] = vj_element(g, m->b, VJ_F32, vj_emit_offset(g, b, &point));
        } else {
            w->b[j] = w->b[0];
        }
        w->b_offset[j] = one_axis ? j * m->lanes : 0;
        if (vj_tile_lanes(m, w->t, j) < m->lanes)
            w->b_mask[j] = vj_mask_first(g, vj_i64(g, vj_tile_lanes(m, w->t, j)), m->lanes);
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
        w.a = vj_element(g, m->a, VJ_F32, vj_emit_offset(g, &m->k->access[m->k->a], &point));
    }
    LLVMTypeRef type = vj_vector_type(g, VJ_F32, m->lanes);
    for (int32_t i = 0; i < t->height * t->width; i++)
        acc[i] = LLVMConstNull(type);
    walk_depth(&w, 0, acc);
}
