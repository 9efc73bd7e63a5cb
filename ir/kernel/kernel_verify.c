/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_verify.c - is a program sound? Whatever this accepts, generated code runs without leaving its buffers.
 * Failures are the compiler's own mistakes: the text says which kernel and what. */
#include "kernel_verify.h"

#include <string.h>

static bool fail(const vj_verify_at *at, const char *what) {
    vj_fail(at->error, VJ_UNSUPPORTED, "kernel %d '%s': %s", (int)at->number, at->k->name ? at->k->name : "?", what);
    return false;
}

/* Fails, and names the operand or the group of axes. */
static bool fail_of(const vj_verify_at *at, const char *name, const char *what) {
    vj_fail(at->error, VJ_UNSUPPORTED, "kernel %d '%s': %s %s", (int)at->number, at->k->name ? at->k->name : "?", name,
            what);
    return false;
}

/* Axes */

static bool check_axes(const vj_verify_at *at) {
    const vj_kernel *k = at->k;
    if (k->rank < 0 || k->rank > VJ_MAX_AXES) return fail(at, "its rank is out of range");
    const vj_kind_row *row = vj_kind_at(k->kind);
    int32_t axes = 0;
    for (int32_t group = 0; group < VJ_GROUP_COUNT; axes += k->axes[group++]) {
        if (k->axes[group] < row->group[group].least)
            return fail_of(at, vj_group_name((vj_axis_group)group), "has too few axes");
        if (k->axes[group] > row->group[group].most)
            return fail_of(at, vj_group_name((vj_axis_group)group), "has too many axes");
    }
    if (axes != k->rank) return fail(at, "its axis groups do not sum up to the rank");
    int64_t points = 1;
    for (int32_t a = 0; a < k->rank; a++)
        if (k->extent[a] <= 0 || !vj_mul(points, k->extent[a], &points)) return fail(at, "an extent is not positive");
    return true;
}

/* Accesses: interval arithmetic. An affine map takes its extreme values at corners, so the intervals are exact but for
 * sums of terms, where they are safe. */

typedef struct interval {
    int64_t low, high;
} interval;

static bool add_scaled(interval *to, int64_t factor, interval x) {
    int64_t a, b;
    if (!vj_mul(factor, x.low, &a) || !vj_mul(factor, x.high, &b)) return false;
    return vj_add(to->low, vj_min64(a, b), &to->low) && vj_add(to->high, vj_max64(a, b), &to->high);
}

static bool affine_interval(const vj_kernel *k, const int64_t *coef, int64_t constant, interval *out) {
    *out = (interval){constant, constant};
    for (int32_t a = 0; a < k->rank; a++)
        if (!add_scaled(out, coef[a], (interval){0, k->extent[a] - 1})) return false;
    return true;
}

static bool check_term(const vj_verify_at *at, const vj_term *term, interval *sum) {
    interval index;
    if (term->kind != VJ_TERM_GUARD && term->kind != VJ_TERM_MOD && term->kind != VJ_TERM_INDEX)
        return fail(at, "a term has an unknown kind");
    if (term->extent <= 0) return fail(at, "a term's extent is not positive");
    if (term->kind == VJ_TERM_INDEX) {
        if (term->index < 0 || term->index >= at->k->expr_count || at->k->expr[term->index].dtype != VJ_I64)
            return fail(at, "an index is no i64 entry");
        return add_scaled(sum, term->stride, (interval){0, term->extent - 1}) || fail(at, "a term overflows");
    }
    if (!affine_interval(at->k, term->coef, term->constant, &index)) return fail(at, "a term overflows");
    if (term->kind == VJ_TERM_MOD) {
        if (index.low < -term->extent) return fail(at, "a mod term's index goes below -extent");
        if (index.low < 0 || index.high >= term->extent) index = (interval){0, term->extent - 1};
    } else {
        index.low = vj_max64(index.low, 0);
        index.high = vj_min64(index.high, term->extent - 1);
        if (index.low > index.high) index = (interval){0, 0}; /* never inside: nothing is read */
    }
    return add_scaled(sum, term->stride, index) || fail(at, "a term overflows");
}

static bool check_access(const vj_verify_at *at, int32_t number) {
    const vj_access *access = &at->k->access[number];
    if (access->buffer < 0 || access->buffer >= at->p->buffer_count) return fail(at, "an access names no buffer");
    if (access->term_count < 0 || access->term_count > VJ_MAX_TERMS) return fail(at, "an access has too many terms");
    if (vj_is_packed(at->p, access->buffer)) return true; /* its strides are ignored */
    interval sum;
    if (!affine_interval(at->k, access->stride, access->offset, &sum)) return fail(at, "an access overflows");
    for (int32_t t = 0; t < access->term_count; t++)
        if (!check_term(at, &access->terms[t], &sum)) return false;
    const vj_buffer *buffer = &at->p->buffers[access->buffer];
    if (sum.low >= 0 && sum.high < buffer->elements) return true;
    vj_fail(at->error, VJ_UNSUPPORTED,
            "kernel %d '%s': access %d reaches elements %lld..%lld of buffer %d, which has %lld", (int)at->number,
            at->k->name ? at->k->name : "?", (int)number, (long long)sum.low, (long long)sum.high, (int)access->buffer,
            (long long)buffer->elements);
    return false;
}

/* Operands of products */

static bool has_access(const vj_kernel *k, int32_t access) { return access >= 0 && access < k->access_count; }

/* Is there such an access, and one of affine maps alone? */
static bool is_operand(const vj_kernel *k, int32_t access) {
    for (int32_t t = 0; has_access(k, access) && t < k->access[access].term_count; t++)
        if (k->access[access].terms[t].kind == VJ_TERM_INDEX) return false;
    return has_access(k, access);
}

/* Is the stride 1, and the axis in no term? With one point any stride will do. */
static bool has_unit_stride(const vj_kernel *k, const vj_access *access, int32_t axis) {
    if (k->extent[axis] == 1) return true;
    for (int32_t t = 0; t < access->term_count; t++)
        if (access->terms[t].coef[axis] != 0) return false;
    return access->stride[axis] == 1;
}

/* Has the last axis of one of the groups a unit stride? */
static bool is_adjacent(const vj_kernel *k, const vj_access *access, uint32_t groups) {
    for (int32_t group = 0; group < VJ_GROUP_COUNT; group++) {
        const vj_axes axes = vj_group(k, (vj_axis_group)group);
        if ((groups >> group & 1) && has_unit_stride(k, access, axes.first + axes.count - 1)) return true;
    }
    return false;
}

/* Blocks are the last axis of the depth, of which there is one more at most, and fill it up behind the weight's last row. */
static bool check_blocks(const vj_verify_at *at, const char *name, const vj_weight *w) {
    const vj_kernel *k = at->k;
    const vj_axes depth = vj_group(k, VJ_GROUP_DEPTH);
    const int32_t last = depth.first + depth.count - 1;
    if (!has_access(k, k->s)) return fail(at, "S has no access");
    const vj_access *steps = &k->access[k->s];
    if (depth.count > 2 || k->extent[last] != w->block || w->block % VJ_MOST_GROUP != 0)
        return fail_of(at, name, "has other blocks than the depth");
    if (w->n != vj_group_extent(k, VJ_GROUP_COLS) || vj_round_up(w->k, w->block) != vj_group_extent(k, VJ_GROUP_DEPTH))
        return fail_of(at, name, "is packed with another K or N than the axes");
    return steps->stride[last] == 0 || fail(at, "S moves within a block");
}

/* Groups of k lie within the last axis of the depth, or it is the only one and the last group is padded. */
static bool check_packed(const vj_verify_at *at, const vj_operand_row *row, int32_t number) {
    const vj_buffer *buffer = &at->p->buffers[at->k->access[number].buffer];
    const vj_weight *w = &at->p->weights[buffer->index];
    if (!row->panel_columns) return fail_of(at, row->name, "is packed, which it may not be");
    if (at->k->kind == VJ_KERNEL_GEMM && at->k->s >= 0) return check_blocks(at, row->name, w);
    if (w->k != vj_extent_in(at->k, row->panel_depth) || w->n != vj_extent_in(at->k, row->panel_columns))
        return fail_of(at, row->name, "is packed with another K or N than the axes");
    if (buffer->dtype == VJ_I8 && w->k > VJ_INTEGER_DEPTH)
        return fail_of(at, row->name, "has sums that 32 bits do not hold");
    const uint32_t depth = vj_axes_in(at->k, row->panel_depth);
    const int32_t last = 31 - __builtin_clz(depth), group = vj_panel_group(vj_operand_dtype(at->p, at->k, number));
    return at->k->extent[last] % group == 0 || at->k->extent[last] == w->k ||
           fail_of(at, row->name, "is packed in groups that straddle the last axis of the depth");
}

static bool check_operand(const vj_verify_at *at, const vj_operand_row *row, int32_t number) {
    const vj_kernel *k = at->k;
    if (row->steps && number < 0)
        return vj_operand_takes(at->p, k, row, number) || fail_of(at, row->name, "is missing");
    if (!is_operand(k, number)) return fail_of(at, row->name, "is missing, or has an index");
    const vj_access *access = &k->access[number];
    if (!vj_operand_takes(at->p, k, row, number)) return fail_of(at, row->name, "has a type that it may not have");
    if (vj_is_packed(at->p, access->buffer)) return check_packed(at, row, number);
    if (!row->terms && access->term_count != 0) return fail_of(at, row->name, "has terms");
    for (int32_t group = 0; group < VJ_GROUP_COUNT; group++)
        if (!(row->along >> group & 1) && vj_moved_by(k, access, vj_axes_in(k, 1u << group))) {
            vj_fail(at->error, VJ_UNSUPPORTED, "kernel %d '%s': %s moves with the %s", (int)at->number, k->name,
                    row->name, vj_group_name((vj_axis_group)group));
            return false;
        }
    return !row->adjacent || is_adjacent(k, access, row->adjacent) ||
           fail_of(at, row->name, "has no unit stride where it needs one");
}

static bool check_operands(const vj_verify_at *at) {
    const vj_kind_row *row = vj_kind_at(at->k->kind);
    for (int32_t i = 0; i < row->operand_count; i++)
        if (!check_operand(at, &row->operand[i], at->k->operand[i])) return false;
    return true;
}

/* Results */

/* Does each of these axes with more than one point move the access? Else points share an element. */
static bool moved_by_each(const vj_kernel *k, const vj_access *access, uint32_t axes) {
    for (int32_t a = 0; a < k->rank; a++)
        if ((axes >> a & 1) && k->extent[a] > 1 && access->stride[a] == 0) return false;
    return true;
}

static bool has_own_elements(const vj_kernel *k, const vj_access *access, int32_t segment) {
    const vj_kind_row *row = vj_kind_at(k->kind);
    const uint32_t shared = vj_axes_in(k, row->one_a_row);
    uint32_t own = vj_axes_in(k, row->results & ~row->one_a_row);
    if (segment >= 0) own &= ~(1u << vj_segment_axis(k)); /* one value of it alone stores */
    return moved_by_each(k, access, own) && (moved_by_each(k, access, shared) || !vj_moved_by(k, access, shared));
}

static bool check_out(const vj_verify_at *at, const vj_out *out) {
    const vj_kernel *k = at->k;
    if (!has_access(k, out->access)) return fail(at, "a result has no access");
    const vj_access *access = &k->access[out->access];
    const vj_buffer *buffer = &at->p->buffers[access->buffer];
    if (access->term_count != 0) return fail(at, "a result's access has terms");
    if (buffer->kind != VJ_BUFFER_ARENA && buffer->kind != VJ_BUFFER_OUTPUT)
        return fail(at, "a result goes to a buffer that is not to be written");
    if (out->expr < 0 || out->expr >= k->expr_count) return fail(at, "a result has no expression");
    if (k->expr[out->expr].dtype != buffer->dtype) return fail(at, "a result's type is not its buffer's");
    if (out->segment < -1) return fail(at, "a segment is negative");
    const int32_t axis = vj_segment_axis(k);
    if (out->segment >= 0 && (axis < 0 || out->segment >= k->extent[axis]))
        return fail(at, "a segment is outside of its axis");
    if (vj_moved_by(k, access, vj_axes_in(k, ~vj_kind_at(k->kind)->results)))
        return fail(at, "a result moves with an axis that is summed over");
    return has_own_elements(k, access, out->segment) || fail(at, "points store a result to one element");
}

static bool check_kernel(const vj_verify_at *at) {
    const vj_kernel *k = at->k;
    if (k->kind < 0 || k->kind >= VJ_KERNEL_KINDS) return fail(at, "unknown kind");
    const vj_kind_row *row = vj_kind_at(k->kind);
    if (row->is_call) return vj_verify_call(at);
    if (!check_axes(at)) return false;
    if (k->access_count < 0 || k->access_count > VJ_MAX_ACCESSES) return fail(at, "it has too many accesses");
    if (k->out_count < 1 || k->out_count > VJ_MAX_OUTS) return fail(at, "it has no results or too many");
    if (k->stage_count < 0 || k->stage_count > (row->stages ? VJ_MAX_STAGES : 0))
        return fail(at, "it has too many stages");
    for (int32_t a = 0; a < k->access_count; a++)
        if (!check_access(at, a)) return false;
    if (!check_operands(at) || !vj_verify_exprs(at)) return false;
    for (int32_t o = 0; o < k->out_count; o++)
        if (!check_out(at, &k->out[o])) return false;
    return true;
}

/* Buffers and weights */

static bool check_weight(const vj_program *p, const vj_weight *w, int32_t number, vj_error *error) {
    int64_t k = 1, n = 1, elements;
    const char *what = NULL;
    interval sum = {w->source_offset, w->source_offset};
    if (!p->f || w->source < 0 || w->source >= p->f->value_count) {
        what = "its source is no value";
    } else if (w->k_rank < 0 || w->k_rank > VJ_MAX_AXES || w->n_rank < 0 || w->n_rank > VJ_MAX_AXES) {
        what = "it has too many subaxes";
    } else if (!vj_type_is_static(vj_type_at(p->f, w->source)) ||
               !vj_type_elements(p->f, vj_type_at(p->f, w->source), &elements)) {
        what = "its source has no fixed size";
    } else {
        bool fits = true;
        for (int32_t i = 0; i < w->k_rank && fits; i++)
            fits = w->k_extent[i] > 0 && vj_mul(k, w->k_extent[i], &k) &&
                   add_scaled(&sum, w->k_stride[i], (interval){0, w->k_extent[i] - 1});
        for (int32_t i = 0; i < w->n_rank && fits; i++)
            fits = w->n_extent[i] > 0 && vj_mul(n, w->n_extent[i], &n) &&
                   add_scaled(&sum, w->n_stride[i], (interval){0, w->n_extent[i] - 1});
        if (!fits || k != w->k || n != w->n)
            what = "its subaxes do not multiply to K and N";
        else if (sum.low < 0 || sum.high >= elements)
            what = "it reaches outside of its source";
    }
    if (!what) return true;
    vj_fail(error, VJ_UNSUPPORTED, "weight %d: %s", (int)number, what);
    return false;
}

static bool check_buffer(const vj_program *p, int32_t number, vj_error *error) {
    const vj_buffer *b = &p->buffers[number];
    const char *what = NULL;
    int64_t bytes;
    /* an input that nobody reads and an output that nobody writes may be empty */
    const int64_t least = b->kind == VJ_BUFFER_INPUT || b->kind == VJ_BUFFER_OUTPUT ? 0 : 1;
    if (b->elements < least || vj_element_bytes(b->dtype) == 0 ||
        !vj_mul(b->elements, vj_element_bytes(b->dtype), &bytes)) {
        what = "its size makes no sense";
    } else if (b->kind == VJ_BUFFER_WEIGHT) {
        if (b->index < 0 || b->index >= p->weight_count) {
            what = "it names no weight";
        } else {
            const vj_weight *w = &p->weights[b->index];
            int64_t elements;
            if (w->k <= 0 || w->n <= 0 || !vj_packed_elements(w, b->dtype, &elements) || elements != b->elements)
                what = "its size is not its weight's";
        }
    }
    if (!what) return true;
    vj_fail(error, VJ_UNSUPPORTED, "buffer %d '%s': %s", (int)number, b->name ? b->name : "", what);
    return false;
}

bool vj_verify_program(const vj_program *p, vj_error *error) {
    for (int32_t i = 0; i < p->weight_count; i++)
        if (!check_weight(p, &p->weights[i], i, error)) return false;
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (!check_buffer(p, i, error)) return false;
    for (int32_t i = 0; i < p->kernel_count; i++) {
        const vj_verify_at at = {.p = p, .k = p->kernels[i], .number = i, .error = error};
        if (!check_kernel(&at)) return false;
    }
    return p->phase_count == 0 || vj_verify_plan(p, error);
}
