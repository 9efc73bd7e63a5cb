/* ops_einsum.c - Einsum of one or two operands as transposes, reshapes, a sum and a product.
 *
 * A letter is kept when the result has it. Of two operands' letters: in both and kept is a batch axis, in both and not
 * kept is summed by the product, in one only and not kept is summed before. An ellipsis stands for further batch axes;
 * they become letters of their own. A letter twice in one operand (a diagonal) is not supported.
 */
#include "import.h"

#include <string.h>

enum { LETTERS = 64, ELLIPSIS = 56 }; /* letters 0 to 51; ELLIPSIS + i: the axes of "..." */

typedef struct term {
    int32_t letters[VJ_MAX_RANK];
    int32_t rank;
} term;

typedef struct einsum {
    vj_importer *im;
    term in[2], out;
    vj_value x[2];
    int32_t operands;
    vj_dim dims[LETTERS];
    bool seen[LETTERS];
} einsum;

static bool contains(const term *t, int32_t letter) {
    for (int32_t i = 0; i < t->rank; i++)
        if (t->letters[i] == letter) return true;
    return false;
}

static bool push(einsum *e, term *t, int32_t letter) {
    if (t->rank == VJ_MAX_RANK) return vj_stop(e->im, VJ_UNSUPPORTED, "a term has more than %d letters", VJ_MAX_RANK);
    if (contains(t, letter)) return vj_stop(e->im, VJ_UNSUPPORTED, "a letter stands twice in one term");
    t->letters[t->rank++] = letter;
    return true;
}

/* Reads a term up to ',', '-' or the end; `rank` tells how long the ellipsis is. */
static bool read_term(einsum *e, const char **at, int32_t rank, int32_t *ellipsis, term *t) {
    const char *p = *at;
    int32_t letters = 0;
    for (const char *q = p; *q && *q != ',' && *q != '-'; q++)
        letters += *q != '.' && *q != ' ';
    for (; *p && *p != ',' && *p != '-'; p++) {
        if (*p == ' ') continue;
        if (strncmp(p, "...", 3) == 0) {
            if (rank >= 0) *ellipsis = rank - letters;
            if (*ellipsis < 0 || *ellipsis > VJ_MAX_RANK)
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

static bool bind_letters(einsum *e, int32_t operand) {
    const vj_type *type = vj_type_at(e->im->f, e->x[operand]);
    const term *t = &e->in[operand];
    if (t->rank != type->rank) return vj_stop(e->im, VJ_BAD_INPUT, "its equation does not fit its operands");
    for (int32_t i = 0; i < t->rank; i++) {
        int32_t letter = t->letters[i];
        if (e->seen[letter] && !vj_dim_equal(e->dims[letter], type->dims[i]))
            return vj_stop(e->im, VJ_UNSUPPORTED, "a letter stands for two different dims");
        e->seen[letter] = true;
        e->dims[letter] = type->dims[i];
    }
    return true;
}

/* Without "->": the ellipsis, then the letters that stand once, in order of the alphabet. */
static bool implied_result(einsum *e) {
    for (int32_t n = 0; n < LETTERS; n++) {
        int32_t letter = n < VJ_MAX_RANK ? ELLIPSIS + n : n - VJ_MAX_RANK;
        int32_t count = contains(&e->in[0], letter) + (e->operands > 1 && contains(&e->in[1], letter));
        bool once = letter >= ELLIPSIS ? count > 0 : count == 1;
        if (once && !push(e, &e->out, letter)) return false;
    }
    return true;
}

static bool read_equation(einsum *e, const char *equation) {
    const char *at = equation;
    int32_t ellipsis = 0, widest = 0;
    for (int32_t i = 0; i < e->operands; i++) {
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
        if (!e->seen[e->out.letters[i]])
            return vj_stop(e->im, VJ_BAD_INPUT, "its result has a letter that no operand has");
    return true;
}

/* Sums away the letters that neither the result nor the other operand has. */
static void sum_alone(einsum *e, int32_t operand) {
    term *t = &e->in[operand], left = {.rank = 0};
    int32_t axes[VJ_MAX_RANK], count = 0;
    for (int32_t i = 0; i < t->rank; i++) {
        bool used =
            contains(&e->out, t->letters[i]) || (e->operands > 1 && contains(&e->in[1 - operand], t->letters[i]));
        if (used)
            left.letters[left.rank++] = t->letters[i];
        else
            axes[count++] = i;
    }
    for (int32_t i = 0; i < count; i++)
        if (vj_type_at(e->im->f, e->x[operand])->dims[axes[i]].sym == VJ_SYM_BATCH)
            vj_stop(e->im, VJ_UNSUPPORTED, "sums over the batch");
    e->x[operand] = vj_emit_reduce(e->im, "sum", e->x[operand], axes, count, false);
    *t = left;
}

/* x with its axes in the order of `want`, which has the same letters. */
static vj_value in_order(einsum *e, vj_value x, const term *have, const term *want) {
    int32_t perm[VJ_MAX_RANK];
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

/* [batch, left, summed] times [batch, summed, right]. */
static vj_value product(einsum *e, term *have) {
    term batch = {.rank = 0}, left = {.rank = 0}, right = {.rank = 0}, summed = {.rank = 0};
    for (int32_t i = 0; i < e->in[0].rank; i++) {
        int32_t letter = e->in[0].letters[i];
        bool both = contains(&e->in[1], letter), kept = contains(&e->out, letter);
        term *to = !both ? &left : kept ? &batch : &summed;
        to->letters[to->rank++] = letter;
    }
    for (int32_t i = 0; i < e->in[1].rank; i++)
        if (!contains(&e->in[0], e->in[1].letters[i])) right.letters[right.rank++] = e->in[1].letters[i];
    *have = batch;
    append(have, &left);
    append(have, &right);
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
    vj_value x = vj_emit_reshape(e->im, in_order(e, e->x[0], &e->in[0], &a), dims_a, n + 2);
    vj_value y = vj_emit_reshape(e->im, in_order(e, e->x[1], &e->in[1], &b), dims_b, n + 2);
    vj_value z = vj_emit2(e->im, summed.rank ? VJ_OP_matmul : VJ_OP_mul, x, y);
    for (int32_t i = 0; i < have->rank; i++)
        out[i] = e->dims[have->letters[i]];
    return vj_emit_reshape(e->im, z, out, have->rank);
}

bool vj_build_einsum(vj_importer *im) {
    einsum e = {.im = im, .operands = (int32_t)im->node->n_input};
    for (int32_t i = 0; i < e.operands; i++)
        e.x[i] = vj_operand(im, i);
    const char *equation = vj_text_attribute(im, "equation", "");
    if (!vj_going(im) || !read_equation(&e, equation)) return false;
    for (int32_t i = 0; i < e.operands; i++)
        sum_alone(&e, i);
    term have = e.in[0];
    vj_value y = e.operands == 1 ? e.x[0] : product(&e, &have);
    return vj_going(im) && vj_bind(im, 0, in_order(&e, y, &have, &e.out));
}
