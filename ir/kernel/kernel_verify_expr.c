/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_verify_expr.c - the scalar expressions of a kernel: entries name earlier ones, types agree, and a root refers
 * only to what exists where it stands. */
#include "kernel_verify.h"

static bool fail(const vj_verify_at *at, int32_t entry, const char *what) {
    vj_fail(at->error, VJ_UNSUPPORTED, "kernel %d '%s': expression entry %d (%s): %s", (int)at->number,
            at->k->name ? at->k->name : "?", (int)entry, vj_xop_name(at->k->expr[entry].op), what);
    return false;
}

static bool check_leaf(const vj_verify_at *at, int32_t number) {
    const vj_kernel *k = at->k;
    const vj_expr *e = &k->expr[number];
    switch (e->op) {
    case VJ_X_LOAD:
        if (e->index < 0 || e->index >= k->access_count) return fail(at, number, "it names no access");
        if (vj_is_packed(at->p, k->access[e->index].buffer)) return fail(at, number, "it reads packed panels");
        for (int32_t t = 0; t < k->access[e->index].term_count; t++)
            if (k->access[e->index].terms[t].kind == VJ_TERM_INDEX && k->access[e->index].terms[t].index >= number)
                return fail(at, number, "an index of its access is not an earlier entry");
        return at->p->buffers[k->access[e->index].buffer].dtype == e->dtype ||
               fail(at, number, "its type is not its buffer's");
    case VJ_X_ACC:
        if (vj_kind_at(k->kind)->acc == VJ_NO_DTYPE) return fail(at, number, "its kind has no accumulator");
        return e->dtype == vj_acc_dtype(at->p, k) || fail(at, number, "its type is not the accumulator's");
    case VJ_X_STAGE:
        if (e->index < 0 || e->index >= k->stage_count) return fail(at, number, "it names no stage");
        return k->expr[k->stage[e->index].expr].dtype == e->dtype || fail(at, number, "its type is not its stage's");
    case VJ_X_AXIS:
        return (e->index >= 0 && e->index < k->rank && e->dtype == VJ_I64) || fail(at, number, "it names no axis");
    default:
        return true;
    }
}

static bool check_types(const vj_verify_at *at, int32_t number) {
    const vj_expr *e = &at->k->expr[number];
    const int32_t args = vj_xop_args(e->op);
    vj_dtype arg[3] = {VJ_NO_DTYPE, VJ_NO_DTYPE, VJ_NO_DTYPE};
    for (int32_t i = 0; i < args; i++)
        arg[i] = at->k->expr[e->arg[i]].dtype;
    if (args == 0 || e->op == VJ_X_CAST) return true;
    if (e->op == VJ_X_BITCAST)
        return vj_element_bytes(arg[0]) == vj_element_bytes(e->dtype) || fail(at, number, "the sizes differ");
    if (e->op == VJ_X_SELECT)
        return (arg[0] == VJ_BOOL && arg[1] == arg[2] && arg[1] == e->dtype) ||
               fail(at, number, "it wants a bool and two of its own type");
    if (args == 2 && arg[0] != arg[1]) return fail(at, number, "its arguments have two types");
    if (!vj_xop_takes(e->op, arg[0]))
        return fail(at, number, vj_xop_takes(e->op, VJ_I32) ? "it wants other types" : "it wants floats");
    if (vj_xop_gives_bool(e->op)) return e->dtype == VJ_BOOL || fail(at, number, "a comparison gives bool");
    return arg[0] == e->dtype || fail(at, number, "its type is not its arguments'");
}

static bool check_entry(const vj_verify_at *at, int32_t number) {
    const vj_expr *e = &at->k->expr[number];
    if (e->dtype <= VJ_NO_DTYPE || e->dtype >= VJ_DTYPE_COUNT) return fail(at, number, "it has no type");
    for (int32_t i = 0; i < vj_xop_args(e->op); i++)
        if (e->arg[i] < 0 || e->arg[i] >= number) return fail(at, number, "an argument is not an earlier entry");
    return check_leaf(at, number) && check_types(at, number);
}

/* A root may reach neither stages from `stages` on nor axes of the mask. */
static bool reaches_only(const vj_verify_at *at, int32_t root, int32_t stages, uint32_t barred_axes) {
    const vj_kernel *k = at->k;
    vj_arena *arena = vj_arena_scratch(at->p->arena);
    bool *needed = VJ_NEW_ARRAY(arena, bool, root + 1), fine = true;
    vj_mark_needed(k, root, needed);
    for (int32_t at_entry = root; at_entry >= 0 && fine; at_entry--) {
        const vj_expr *e = &k->expr[at_entry];
        if (!needed[at_entry]) continue;
        if (e->op == VJ_X_STAGE && e->index >= stages) fine = fail(at, at_entry, "the stage comes later");
        if (e->op == VJ_X_AXIS && barred_axes >> e->index & 1) fine = fail(at, at_entry, "the axis is summed over");
        if (e->op != VJ_X_LOAD) continue;
        if (vj_moved_by(k, &k->access[e->index], barred_axes))
            fine = fail(at, at_entry, "it moves with an axis that has no place here");
    }
    vj_arena_free(arena);
    return fine;
}

/* An index is known before anything is computed, and no access depends on itself. */
static bool check_index(const vj_verify_at *at, int32_t access, int32_t root) {
    const vj_kernel *k = at->k;
    vj_arena *arena = vj_arena_scratch(at->p->arena);
    bool *needed = VJ_NEW_ARRAY(arena, bool, root + 1), fine = true;
    vj_mark_needed(k, root, needed);
    for (int32_t entry = root; entry >= 0 && fine; entry--) {
        const vj_expr *e = &k->expr[entry];
        if (!needed[entry]) continue;
        if (e->op == VJ_X_ACC || e->op == VJ_X_STAGE) fine = fail(at, entry, "an index depends on what is computed");
        if (e->op == VJ_X_LOAD && e->index >= access) fine = fail(at, entry, "an index reads no earlier access");
    }
    vj_arena_free(arena);
    return fine;
}

static bool check_indices(const vj_verify_at *at) {
    const vj_kernel *k = at->k;
    for (int32_t a = 0; a < k->access_count; a++)
        for (int32_t t = 0; t < k->access[a].term_count; t++)
            if (k->access[a].terms[t].kind == VJ_TERM_INDEX && !check_index(at, a, k->access[a].terms[t].index))
                return false;
    return true;
}

/* The axes that a result does not live on. Where it is one value a row, those of the row are among them. */
static uint32_t barred_in_result(const vj_kernel *k, const vj_out *out) {
    const vj_kind_row *row = vj_kind_at(k->kind);
    const uint32_t shared = vj_axes_in(k, row->one_a_row);
    return vj_axes_in(k, ~row->results) | (vj_moved_by(k, &k->access[out->access], shared) ? 0 : shared);
}

/* Of an attention. A weight depends on no axis: the same expression makes it of a key and of what fills up a vector of them. */
static bool check_score(const vj_verify_at *at) {
    const vj_kernel *k = at->k;
    const uint32_t score = vj_kind_at(k->kind)->score;
    if (!score) {
        if (k->weight_expr < 0) return true;
        vj_fail(at->error, VJ_UNSUPPORTED, "kernel %d '%s': it has no weights", (int)at->number, k->name);
        return false;
    }
    if (k->score_expr < 0 || k->score_expr >= k->expr_count || k->weight_expr >= k->expr_count) {
        vj_fail(at->error, VJ_UNSUPPORTED, "kernel %d '%s': it has no score", (int)at->number, k->name);
        return false;
    }
    if (!reaches_only(at, k->score_expr, 0, vj_axes_in(k, ~score))) return false;
    if (k->weight_expr < 0) return true;
    if (k->expr[k->weight_expr].dtype == VJ_F32) return reaches_only(at, k->weight_expr, 0, UINT32_MAX);
    return fail(at, k->weight_expr, "a weight is an f32");
}

bool vj_verify_exprs(const vj_verify_at *at) {
    const vj_kernel *k = at->k;
    for (int32_t s = 0; s < k->stage_count; s++)
        if (k->stage[s].expr < 0 || k->stage[s].expr >= k->expr_count) {
            vj_fail(at->error, VJ_UNSUPPORTED, "kernel %d '%s': a stage has no expression", (int)at->number, k->name);
            return false;
        }
    for (int32_t i = 0; i < k->expr_count; i++)
        if (!check_entry(at, i)) return false;
    if (!check_indices(at)) return false;
    for (int32_t s = 0; s < k->stage_count; s++)
        if (!reaches_only(at, k->stage[s].expr, s, 0)) return false;
    if (!check_score(at)) return false;
    for (int32_t o = 0; o < k->out_count; o++) {
        const vj_out *out = &k->out[o];
        if (out->expr < 0 || out->expr >= k->expr_count || out->access < 0 || out->access >= k->access_count) continue;
        if (!reaches_only(at, out->expr, k->stage_count, barred_in_result(k, out))) return false;
    }
    return true;
}
