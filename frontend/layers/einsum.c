/* SPDX-License-Identifier: Apache-2.0 */
/* einsum.c - Einsum as transposes, reshapes, sums and products of two operands.
 *
 * A letter that occurs twice in a term takes the diagonal. Operands are multiplied from the left, two at a time. A
 * letter of both is a batch axis when the result or a later operand needs it; otherwise the product sums over it. A
 * letter of one operand alone that is not needed later is summed before the product. The axes of an ellipsis become
 * letters of their own. An axis of 1 is broadcast by leaving out its letter.
 */
#include "frontend/import/import.h"

#include <string.h>

enum { LETTERS = 64, ELLIPSIS = 56, OPERANDS = 16 }; /* letters are 0 to 51, the axes of "..." are ELLIPSIS + i */

typedef struct term {
    int32_t letters[VJ_MAX_RANK];
    int32_t rank;
} term;

typedef struct einsum {
    vj_importer *im;
    term in[OPERANDS], out;
    vj_value x[OPERANDS];
    int32_t operands;
    vj_dim dims[LETTERS];
    bool seen[LETTERS];
} einsum;

static int32_t times(const term *t, int32_t letter) {
    int32_t count = 0;
    for (int32_t i = 0; i < t->rank; i++)
        count += t->letters[i] == letter;
    return count;
}

static bool contains(const term *t, int32_t letter) { return times(t, letter) > 0; }

static bool push(einsum *e, term *t, int32_t letter) {
    if (t->rank == VJ_MAX_RANK) return vj_stop(e->im, VJ_UNSUPPORTED, "a term has more than %d letters", VJ_MAX_RANK);
    t->letters[t->rank++] = letter;
    return true;
}

/* Reads a term up to ',', '-' or the end. The length of an ellipsis follows from `rank`. */
static bool read_term(einsum *e, const char **at, int32_t rank, int32_t *ellipsis, term *t) {
    const char *p = *at;
    int32_t letters = 0, ellipses = 0;
    for (const char *q = p; *q && *q != ',' && *q != '-'; q++)
        letters += *q != '.' && *q != ' ';
    for (; *p && *p != ',' && *p != '-'; p++) {
        if (*p == ' ') continue;
        if (strncmp(p, "...", 3) == 0) {
            if (rank >= 0) *ellipsis = rank - letters;
            if (*ellipsis < 0 || *ellipsis > VJ_MAX_RANK || ellipses++)
                return vj_stop(e->im, VJ_BAD_INPUT, "its equation does not fit its operands");
            for (int32_t i = 0; i < *ellipsis; i++)
                if (!push(e, t, ELLIPSIS + VJ_MAX_RANK - *ellipsis + i)) return false;
            p += 2;
            continue;
        }
        int32_t letter = *p >= 'A' && *p <= 'Z' ? *p - 'A' : *p >= 'a' && *p <= 'z' ? *p - 'a' + 26 : -1;
        if (letter < 0) return vj_stop(e->im, VJ_BAD_INPUT, "its equation has a '%c'", *p);
        if (!push(e, t, letter)) return false;
    }
    *at = p;
    return true;
}

/* Notes the size of each letter of an operand. A size of 1 broadcasts to the size that another operand has. */
static bool bind_letters(einsum *e, int32_t operand) {
    const vj_type *type = vj_type_at(e->im->f, e->x[operand]);
    const term *t = &e->in[operand];
    const vj_dim one = vj_dim_const(1);
    if (t->rank != type->rank) return vj_stop(e->im, VJ_BAD_INPUT, "its equation does not fit its operands");
    for (int32_t i = 0; i < t->rank; i++) {
        const int32_t letter = t->letters[i];
        const vj_dim had = e->dims[letter], dim = type->dims[i];
        if (e->seen[letter] && !vj_dim_equal(had, dim) && !vj_dim_equal(had, one) && !vj_dim_equal(dim, one))
            return vj_stop(e->im, VJ_BAD_INPUT, "a letter stands for two different dims");
        if (!e->seen[letter] || vj_dim_equal(had, one)) e->dims[letter] = dim;
        e->seen[letter] = true;
    }
    return true;
}

/* Without "->", the result has the ellipsis and then the letters that occur once, in alphabetical order. */
static bool implied_result(einsum *e) {
    for (int32_t n = 0; n < LETTERS; n++) {
        int32_t letter = n < VJ_MAX_RANK ? ELLIPSIS + n : n - VJ_MAX_RANK, count = 0;
        for (int32_t i = 0; i < e->operands; i++)
            count += times(&e->in[i], letter);
        bool once = letter >= ELLIPSIS ? count > 0 : count == 1;
        if (once && !push(e, &e->out, letter)) return false;
    }
    return true;
}

static bool read_equation(einsum *e, const char *equation) {
    const char *at = equation;
    int32_t widest = 0;
    for (int32_t i = 0; i < e->operands; i++) {
        int32_t ellipsis = 0;
        if (i && *at++ != ',') return vj_stop(e->im, VJ_BAD_INPUT, "its equation has too few terms");
        if (!read_term(e, &at, vj_type_at(e->im->f, e->x[i])->rank, &ellipsis, &e->in[i]) || !bind_letters(e, i))
            return false;
        widest = ellipsis > widest ? ellipsis : widest;
    }
    if (!*at) return implied_result(e);
    if (strncmp(at, "->", 2) != 0) return vj_stop(e->im, VJ_BAD_INPUT, "its equation cannot be read");
    at += 2;
    if (!read_term(e, &at, -1, &widest, &e->out)) return false;
    if (*at) return vj_stop(e->im, VJ_BAD_INPUT, "its equation cannot be read");
    for (int32_t i = 0; i < e->out.rank; i++)
        if (!e->seen[e->out.letters[i]] || times(&e->out, e->out.letters[i]) > 1)
            return vj_stop(e->im, VJ_BAD_INPUT, "its result has a letter twice, or one that no operand has");
    return true;
}

/* The diagonal of axes `to` and `from`, which have the same letter. Axis `from` goes. */
static vj_value diagonal(einsum *e, vj_value x, int32_t to, int32_t from) {
    if (!vj_going(e->im)) return VJ_NONE;
    const vj_type type = *vj_type_at(e->im->f, x);
    int32_t perm[VJ_MAX_RANK], back[VJ_MAX_RANK], rank = type.rank, n = 0;
    vj_dim dims[VJ_MAX_RANK];
    if (type.dims[to].sym || !vj_dim_equal(type.dims[to], type.dims[from])) {
        vj_stop(e->im, type.dims[to].sym ? VJ_UNSUPPORTED : VJ_BAD_INPUT, "a diagonal of %s",
                vj_type_text(e->im->arena, &type));
        return VJ_NONE;
    }
    for (int32_t i = 0; i < rank; i++)
        if (i != to && i != from) {
            dims[n] = type.dims[i];
            perm[n++] = i;
        }
    perm[n] = to;
    perm[n + 1] = from;
    const int64_t size = type.dims[to].c;
    int64_t square;
    if (!vj_mul(size, size, &square)) {
        vj_stop(e->im, VJ_BAD_INPUT, "its operand is too large");
        return VJ_NONE;
    }
    dims[n] = vj_dim_const(square);
    x = vj_emit_reshape(e->im, vj_emit_transpose(e->im, x, perm), dims, n + 1);
    x = vj_emit_slice(e->im, x, n, 0, vj_dim_const(size), size + 1);
    for (int32_t i = 0, left = 0; i < n + 1; i++) /* `to` moves back to where it was; to < from */
        back[i] = i == to ? n : left++;
    return vj_emit_transpose(e->im, x, back);
}

static void drop_letter(term *t, int32_t at) {
    t->rank--;
    memmove(t->letters + at, t->letters + at + 1, (size_t)(t->rank - at) * sizeof *t->letters);
}

/* Brings an operand into a form with each letter at most once and none for axes of 1 that are broadcast. */
static void simplify(einsum *e, int32_t operand) {
    term *t = &e->in[operand];
    for (int32_t i = 0; i < t->rank && vj_going(e->im); i++)
        for (int32_t j = t->rank - 1; j > i; j--) {
            if (t->letters[j] != t->letters[i]) continue;
            e->x[operand] = diagonal(e, e->x[operand], i, j);
            drop_letter(t, j);
        }
    if (!vj_going(e->im)) return;
    const vj_type type = *vj_type_at(e->im->f, e->x[operand]);
    vj_dim dims[VJ_MAX_RANK];
    int32_t rank = 0;
    for (int32_t i = 0; i < type.rank; i++) {
        if (vj_dim_equal(type.dims[i], e->dims[t->letters[rank]]))
            dims[rank++] = type.dims[i];
        else
            drop_letter(t, rank);
    }
    e->x[operand] = vj_emit_reshape(e->im, e->x[operand], dims, rank);
}

/* Returns whether the letter occurs in the result or in an operand from `first` on. */
static bool is_needed(const einsum *e, int32_t letter, int32_t first) {
    bool needed = contains(&e->out, letter);
    for (int32_t i = first; i < e->operands; i++)
        needed = needed || contains(&e->in[i], letter);
    return needed;
}

/* Sums over the letters that neither `other` (which may be NULL) nor the result nor an operand from `first` on has. */
static void sum_alone(einsum *e, vj_value *x, term *t, const term *other, int32_t first) {
    term left = {.rank = 0};
    int32_t axes[VJ_MAX_RANK], count = 0;
    for (int32_t i = 0; i < t->rank; i++) {
        if ((other && contains(other, t->letters[i])) || is_needed(e, t->letters[i], first))
            left.letters[left.rank++] = t->letters[i];
        else
            axes[count++] = i;
    }
    for (int32_t i = 0; i < count && vj_going(e->im); i++)
        if (vj_type_at(e->im->f, *x)->dims[axes[i]].sym == VJ_SYM_BATCH)
            vj_stop(e->im, VJ_UNSUPPORTED, "sums over the batch");
    *x = vj_emit_reduce(e->im, "sum", *x, axes, count, false);
    *t = left;
}

/* x with its axes in the order of `want`, which has the same letters. */
static vj_value in_order(einsum *e, vj_value x, const term *have, const term *want) {
    int32_t perm[VJ_MAX_RANK] = {0};
    for (int32_t i = 0; i < want->rank; i++)
        for (int32_t j = 0; j < have->rank; j++)
            if (have->letters[j] == want->letters[i]) perm[i] = j;
    return vj_emit_transpose(e->im, x, perm);
}

static bool letters_product(einsum *e, const term *t, vj_dim *product) {
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < t->rank; i++)
        dims[i] = e->dims[t->letters[i]];
    return vj_dim_product(e->im, dims, t->rank, product);
}

static void append(term *to, const term *from) {
    for (int32_t i = 0; i < from->rank && to->rank < VJ_MAX_RANK; i++)
        to->letters[to->rank++] = from->letters[i];
}

/* Multiplies [batch, left, summed] by [batch, summed, right]. *xt becomes the letters of the product. */
static vj_value product(einsum *e, vj_value x, term *xt, vj_value y, const term *yt, int32_t first) {
    term batch = {.rank = 0}, left = {.rank = 0}, right = {.rank = 0}, summed = {.rank = 0}, have;
    for (int32_t i = 0; i < xt->rank; i++) {
        int32_t letter = xt->letters[i];
        bool both = contains(yt, letter), kept = is_needed(e, letter, first);
        term *to = !both ? &left : kept ? &batch : &summed;
        to->letters[to->rank++] = letter;
    }
    for (int32_t i = 0; i < yt->rank; i++)
        if (!contains(xt, yt->letters[i])) right.letters[right.rank++] = yt->letters[i];
    have = batch;
    append(&have, &left);
    append(&have, &right);
    if (batch.rank + left.rank + right.rank > VJ_MAX_RANK || batch.rank + 2 > VJ_MAX_RANK) {
        vj_stop(e->im, VJ_UNSUPPORTED, "has too many letters");
        return VJ_NONE;
    }
    term a = batch, b = batch;
    append(&a, &left);
    append(&a, &summed);
    append(&b, &summed);
    append(&b, &right);
    vj_dim l, r, s, dims_a[VJ_MAX_RANK], dims_b[VJ_MAX_RANK], out[VJ_MAX_RANK];
    if (!letters_product(e, &left, &l) || !letters_product(e, &right, &r) || !letters_product(e, &summed, &s))
        return VJ_NONE;
    int32_t n = batch.rank;
    for (int32_t i = 0; i < n; i++)
        dims_a[i] = dims_b[i] = e->dims[batch.letters[i]];
    dims_a[n] = l;
    dims_a[n + 1] = dims_b[n] = s;
    dims_b[n + 1] = r;
    x = vj_emit_reshape(e->im, in_order(e, x, xt, &a), dims_a, n + 2);
    y = vj_emit_reshape(e->im, in_order(e, y, yt, &b), dims_b, n + 2);
    vj_value z = vj_emit2(e->im, summed.rank ? VJ_OP_matmul : VJ_OP_mul, x, y);
    for (int32_t i = 0; i < have.rank; i++)
        out[i] = e->dims[have.letters[i]];
    *xt = have;
    return vj_emit_reshape(e->im, z, out, have.rank);
}

/* Adds the letters of the result that only axes of 1 had. */
static vj_value with_missing(einsum *e, vj_value x, term *have) {
    vj_dim dims[VJ_MAX_RANK], full[VJ_MAX_RANK];
    if (!vj_going(e->im)) return VJ_NONE;
    term all = {.rank = 0};
    for (int32_t i = 0; i < e->out.rank; i++)
        if (!contains(have, e->out.letters[i])) all.letters[all.rank++] = e->out.letters[i];
    if (all.rank == 0) return x;
    for (int32_t i = 0; i < all.rank; i++)
        dims[i] = vj_dim_const(1);
    append(&all, have);
    for (int32_t i = 0; i < have->rank; i++)
        dims[all.rank - have->rank + i] = e->dims[have->letters[i]];
    for (int32_t i = 0; i < all.rank; i++)
        full[i] = e->dims[all.letters[i]];
    *have = all;
    return vj_emit_broadcast(e->im, vj_emit_reshape(e->im, x, dims, all.rank), full, all.rank);
}

bool vj_build_einsum(vj_importer *im) {
    einsum e = {.im = im, .operands = (int32_t)im->node->n_input};
    if (e.operands > OPERANDS) return vj_stop(im, VJ_UNSUPPORTED, "has more than %d operands", OPERANDS);
    for (int32_t i = 0; i < e.operands; i++)
        e.x[i] = vj_operand_value(im, i);
    const char *equation = vj_text_attribute(im, "equation", "");
    if (!vj_going(im) || !read_equation(&e, equation)) return false;
    for (int32_t i = 0; i < e.operands; i++)
        simplify(&e, i);
    vj_value y = e.x[0];
    term have = e.in[0];
    for (int32_t i = 1; i < e.operands && vj_going(im); i++) {
        sum_alone(&e, &y, &have, &e.in[i], i + 1);
        sum_alone(&e, &e.x[i], &e.in[i], &have, i + 1);
        y = product(&e, y, &have, e.x[i], &e.in[i], i + 1);
    }
    sum_alone(&e, &y, &have, NULL, e.operands);
    y = with_missing(&e, y, &have);
    return vj_going(im) && vj_bind(im, 0, in_order(&e, y, &have, &e.out));
}
