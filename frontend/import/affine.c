/* SPDX-License-Identifier: Apache-2.0 */
/* affine.c - arithmetic of the elements that shapes.c computes: a * N + b, where N is the open batch or a size that the
 * data decides.
 *
 * A result is exact for every N, or there is none. A result of sizes that the data decides, whose range is known,
 * becomes an unknown of its own when it has no affine form (sizes.c). */
#include "import.h"

static vj_affine integer(int64_t b) { return (vj_affine){.b = b}; }

/* a * t + b, infinite when t is. */
static bool at_end(int64_t a, int64_t b, int64_t t, int64_t *value) {
    if (t == INT64_MAX && a != 0) return *value = a > 0 ? INT64_MAX : INT64_MIN, true;
    int64_t product;
    return vj_mul(a, a ? t : 0, &product) && vj_add(product, b, value);
}

bool vj_affine_range(const vj_importer *im, vj_affine x, int64_t *least, int64_t *most) {
    const vj_unknown *u = x.data ? &im->unknowns[x.data - 1] : NULL;
    int64_t low, high;
    if (!at_end(x.a, x.b, u ? u->least : 1, &low) || !at_end(x.a, x.b, u ? u->most : INT64_MAX, &high)) return false;
    *least = low < high ? low : high;
    *most = low < high ? high : low;
    return true;
}

/* The range of x - y. */
static bool difference(const vj_importer *im, vj_affine x, vj_affine y, int64_t *least, int64_t *most) {
    int64_t x_least, x_most, y_least, y_most;
    if (x.a == 0 || y.a == 0 || x.data == y.data) {
        vj_affine d = {.data = x.a ? x.data : y.data};
        return !__builtin_sub_overflow(x.a, y.a, &d.a) && !__builtin_sub_overflow(x.b, y.b, &d.b) &&
               vj_affine_range(im, d, least, most);
    }
    return x.data && y.data && vj_affine_range(im, x, &x_least, &x_most) && vj_affine_range(im, y, &y_least, &y_most) &&
           !__builtin_sub_overflow(x_least, y_most, least) && !__builtin_sub_overflow(x_most, y_least, most);
}

static bool same(vj_affine x, vj_affine y) { return x.a == y.a && x.b == y.b && (!x.a || x.data == y.data); }

/* The unknown that x is, if it was computed by op. */
static const vj_unknown *made_by(const vj_importer *im, vj_affine_op op, vj_affine x) {
    const vj_unknown *u = x.a == 1 && x.b == 0 && x.data ? &im->unknowns[x.data - 1] : NULL;
    return u && u->op == op ? u : NULL;
}

/* Whether x is one of the numbers that y is the min or max of, in a chain as exporters write it. */
static bool is_among(const vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y) {
    enum { TURNS = 64 };
    const vj_unknown *u = made_by(im, op, y);
    for (int32_t i = 0; u && i < TURNS; i++, u = made_by(im, op, u->x))
        if (same(u->x, x) || same(u->y, x)) return true;
    return false;
}

/* Returns whether x was computed as min(y, ..) or y as max(x, ..). */
static bool made_at_most(const vj_importer *im, vj_affine x, vj_affine y) {
    return is_among(im, VJ_AFFINE_MIN, y, x) || is_among(im, VJ_AFFINE_MAX, x, y);
}

/* Compares x and y. Returns false unless the result is the same for all N. */
static bool compare(const vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z) {
    int64_t least, most;
    if ((op == VJ_AFFINE_LE && made_at_most(im, x, y)) || (op == VJ_AFFINE_GE && made_at_most(im, y, x)))
        return *z = integer(1), true;
    if (!difference(im, x, y, &least, &most)) return false;
    const bool is_less = most < 0, is_more = least > 0, is_equal = least == 0 && most == 0;
    if (op == VJ_AFFINE_LE && most <= 0) return *z = integer(1), true;
    if (op == VJ_AFFINE_GE && least >= 0) return *z = integer(1), true;
    if (!is_less && !is_more && !is_equal) return false;
    *z = integer(op == VJ_AFFINE_EQ   ? is_equal
                 : op == VJ_AFFINE_LT ? is_less
                 : op == VJ_AFFINE_LE ? !is_more
                 : op == VJ_AFFINE_GT ? is_more
                                      : !is_less);
    return true;
}

static bool divide(vj_affine x, vj_affine y, vj_affine *z) {
    *z = (vj_affine){.data = x.data};
    if (y.a == 0 && y.b == 0) return false;
    if (y.a == 0 && y.b == -1) return !__builtin_sub_overflow(0, x.a, &z->a) && !__builtin_sub_overflow(0, x.b, &z->b);
    if (y.a == 0 && (x.a == 0 || (x.a % y.b == 0 && x.b % y.b == 0))) {
        z->a = x.a / y.b; /* truncates, as ONNX and C do; it is exact where N occurs */
        z->b = x.b / y.b;
        return true;
    }
    if (y.a == 0 || y.a == -1 || x.a % y.a || x.data || y.data)
        return false; /* a size that the data decides may be 0 */
    int64_t ratio = x.a / y.a, b;
    if (!vj_mul(ratio, y.b, &b) || b != x.b) return false;
    *z = integer(ratio);
    return true;
}

/* Rounds the quotient down, as ONNX's Mod without fmod does. */
static bool modulo(vj_affine x, vj_affine y, vj_affine *z) {
    if (y.a || y.b == 0 || y.b == -1 || x.a % y.b) return false;
    int64_t r = x.b % y.b;
    *z = integer(r != 0 && (r < 0) != (y.b < 0) ? r + y.b : r);
    return true;
}

/* Combines x and y, which have at most one N between them or are compared. */
static bool combine(const vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z) {
    int64_t left, right;
    *z = (vj_affine){.data = x.a ? x.data : y.data};
    switch (op) {
    case VJ_AFFINE_ADD:
        return vj_add(x.a, y.a, &z->a) && vj_add(x.b, y.b, &z->b);
    case VJ_AFFINE_SUB:
        return !__builtin_sub_overflow(x.a, y.a, &z->a) && !__builtin_sub_overflow(x.b, y.b, &z->b);
    case VJ_AFFINE_MUL:
        if (x.a && y.a) return false;
        return vj_mul(x.a, y.b, &left) && vj_mul(x.b, y.a, &right) && vj_add(left, right, &z->a) &&
               vj_mul(x.b, y.b, &z->b);
    case VJ_AFFINE_DIV:
        return divide(x, y, z);
    case VJ_AFFINE_MOD:
        return modulo(x, y, z);
    case VJ_AFFINE_MIN:
    case VJ_AFFINE_MAX:
        if (made_at_most(im, x, y) || made_at_most(im, y, x)) {
            *z = made_at_most(im, x, y) == (op == VJ_AFFINE_MIN) ? x : y;
            return true;
        }
        if (!difference(im, x, y, &left, &right) || (left < 0 && right > 0)) return false;
        *z = (left >= 0) == (op == VJ_AFFINE_MAX) ? x : y;
        return true;
    case VJ_AFFINE_AND:
        *z = integer(x.b & y.b);
        return x.a == 0 && y.a == 0;
    case VJ_AFFINE_OR:
        *z = integer(x.b | y.b);
        return x.a == 0 && y.a == 0;
    default:
        return compare(im, op, x, y, z);
    }
}

bool vj_affine_exact(const vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z) {
    if (!x.a) x.data = 0;
    if (!y.a) y.data = 0;
    const bool may_be_exact = x.a == 0 || y.a == 0 || x.data == y.data || op >= VJ_AFFINE_MIN;
    if (!may_be_exact || !combine(im, op, x, y, z)) return false;
    if (!z->a) z->data = 0;
    return true;
}
