/* SPDX-License-Identifier: Apache-2.0 */
/* sizes.c - sizes that the data decides, while importing.
 *
 * An unknown is an i64 with a range. A node of the graph finds it, or ordinary nodes compute it from other unknowns. An
 * unknown becomes a symbol when a dim first needs it. The same operation on the same operands is one unknown, so that
 * equal sizes are equal symbols. */
#include "import.h"

#include <string.h>

static int32_t add_unknown(vj_importer *im, const vj_unknown *u) {
    *VJ_PUSH(im->arena, im->unknowns, im->unknown_count, im->unknown_capacity) = *u;
    return im->unknown_count - 1;
}

static vj_affine affine_of(int32_t unknown) { return (vj_affine){.a = 1, .data = unknown + 1}; }

/* The symbol of an unknown, which is made when it is first needed. */
static bool symbol_of(vj_importer *im, vj_unknown *u, const char *what, int32_t *symbol) {
    if (u->least < 0) return vj_stop(im, VJ_UNSUPPORTED, "its %s has a size that the data may make negative", what);
    if (!u->symbol) {
        const vj_dim dim = vj_add_symbol(im->f, u->most);
        if (!dim.sym) return vj_stop(im, VJ_UNSUPPORTED, "more than %d sizes that the data decides", VJ_MAX_SYMBOLS);
        u->symbol = dim.sym;
        vj_set_symbol(im->f, dim.sym - VJ_SYM_FIRST_DATA, u->value);
    }
    *symbol = u->symbol;
    return true;
}

bool vj_new_size(vj_importer *im, int64_t most, vj_dim *dim) {
    if (!vj_going(im)) return false;
    if (im->f->batch_is_open) {
        vj_stop(im, VJ_UNSUPPORTED, "makes a size that the data decides, which needs a fixed batch");
        vj_advise_batch(im->error, 1);
        return false;
    }
    const int32_t i = add_unknown(im, &(vj_unknown){.op = VJ_AFFINE_FOUND, .most = most, .value = VJ_NONE});
    *dim = (vj_dim){.c = 1};
    return symbol_of(im, &im->unknowns[i], "result", &dim->sym);
}

void vj_set_size(vj_importer *im, vj_dim dim, vj_value value) {
    if (!vj_going(im)) return;
    vj_set_symbol(im->f, dim.sym - VJ_SYM_FIRST_DATA, value);
    for (int32_t i = 0; i < im->unknown_count; i++)
        if (im->unknowns[i].symbol == dim.sym) im->unknowns[i].value = value;
}

vj_affine vj_affine_of_dim(const vj_importer *im, vj_dim dim) {
    if (dim.sym == VJ_SYM_NONE) return (vj_affine){.b = dim.c};
    vj_affine affine = {.a = dim.c};
    for (int32_t i = 0; i < im->unknown_count; i++)
        if (im->unknowns[i].symbol == dim.sym) affine.data = i + 1;
    return affine;
}

bool vj_affine_is_dim(const vj_importer *im, vj_affine affine, vj_dim dim) {
    const vj_affine own = vj_affine_of_dim(im, dim);
    return affine.a == own.a && affine.b == own.b && (!affine.a || affine.data == own.data);
}

vj_value vj_affine_value(vj_importer *im, vj_affine affine) {
    if (!vj_going(im)) return VJ_NONE;
    if (!affine.a) return vj_add_const_i64(im->f, VJ_I64, 0, NULL, &affine.b);
    vj_value v = im->unknowns[affine.data - 1].value;
    if (affine.a != 1) v = vj_emit2(im, VJ_OP_mul, v, vj_add_const_i64(im->f, VJ_I64, 0, NULL, &affine.a));
    if (affine.b) v = vj_emit2(im, VJ_OP_add, v, vj_add_const_i64(im->f, VJ_I64, 0, NULL, &affine.b));
    return v;
}

static bool same(vj_affine x, vj_affine y) { return x.a == y.a && x.b == y.b && x.data == y.data; }

/* The range of x op y. Returns false when it is not known. */
static bool range_of(const vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, int64_t *least, int64_t *most) {
    int64_t xl, xm, yl, ym, end[4];
    if (!vj_affine_range(im, x, &xl, &xm) || !vj_affine_range(im, y, &yl, &ym)) return false;
    switch (op) {
    case VJ_AFFINE_FOUND: /* x itself */
        return *least = xl, *most = xm, true;
    case VJ_AFFINE_ADD:
        return vj_add(xl, yl, least) && vj_add(xm, ym, most);
    case VJ_AFFINE_SUB:
        return !__builtin_sub_overflow(xl, ym, least) && !__builtin_sub_overflow(xm, yl, most);
    case VJ_AFFINE_MUL:
        if (!vj_mul(xl, yl, &end[0]) || !vj_mul(xl, ym, &end[1]) || !vj_mul(xm, yl, &end[2]) ||
            !vj_mul(xm, ym, &end[3]))
            return false;
        *least = vj_min64(vj_min64(end[0], end[1]), vj_min64(end[2], end[3]));
        *most = vj_max64(vj_max64(end[0], end[1]), vj_max64(end[2], end[3]));
        return true;
    case VJ_AFFINE_DIV:
        return y.a == 0 && yl > 0 && xl >= 0 && (*least = xl / yl, *most = xm / yl, true);
    case VJ_AFFINE_MOD:
        return y.a == 0 && yl > 0 && (*least = 0, *most = yl - 1, true);
    case VJ_AFFINE_MIN:
        return *least = vj_min64(xl, yl), *most = vj_min64(xm, ym), true;
    case VJ_AFFINE_MAX:
        return *least = vj_max64(xl, yl), *most = vj_max64(xm, ym), true;
    default:
        return false;
    }
}

static vj_op node_of(vj_affine_op op) {
    switch (op) {
    case VJ_AFFINE_ADD:
        return VJ_OP_add;
    case VJ_AFFINE_SUB:
        return VJ_OP_sub;
    case VJ_AFFINE_MUL:
        return VJ_OP_mul;
    case VJ_AFFINE_DIV:
        return VJ_OP_div;
    case VJ_AFFINE_MOD:
        return VJ_OP_mod;
    case VJ_AFFINE_MIN:
        return VJ_OP_min;
    default:
        return VJ_OP_max;
    }
}

bool vj_size_from(vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z) {
    vj_unknown u = {.op = op, .x = x, .y = y};
    if (!vj_going(im) || (x.a && !x.data) || (y.a && !y.data)) return false;
    for (int32_t i = 0; i < im->unknown_count; i++) {
        const vj_unknown *known = &im->unknowns[i];
        if (known->op == op && known->x.data + known->y.data > 0 && same(known->x, x) && same(known->y, y))
            return *z = affine_of(i), true;
    }
    if (!range_of(im, op, x, y, &u.least, &u.most)) return false;
    u.value = vj_affine_value(im, x);
    if (op != VJ_AFFINE_FOUND) u.value = vj_emit2(im, node_of(op), u.value, vj_affine_value(im, y));
    if (!vj_going(im)) return false;
    *z = affine_of(add_unknown(im, &u));
    return true;
}

bool vj_affine_combine(vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z) {
    if (!x.a) x.data = 0;
    if (!y.a) y.data = 0;
    return vj_affine_exact(im, op, x, y, z) || ((x.data || y.data) && vj_size_from(im, op, x, y, z));
}

/* A multiple of an unknown becomes a multiple of its symbol; any other form first becomes an unknown of its own. */
static bool dim_of_data(vj_importer *im, vj_affine affine, const char *what, vj_dim *dim) {
    vj_affine own = affine;
    if ((affine.a < 0 || affine.b != 0) && !vj_size_from(im, VJ_AFFINE_FOUND, affine, (vj_affine){0}, &own))
        return vj_stop(im, VJ_UNSUPPORTED, "its %s has a size that the data decides", what);
    *dim = (vj_dim){.c = own.a};
    return symbol_of(im, &im->unknowns[own.data - 1], what, &dim->sym);
}

bool vj_dim_of_affine(vj_importer *im, vj_affine affine, const char *what, vj_dim *dim) {
    if (affine.a && affine.data) return dim_of_data(im, affine, what, dim);
    if (affine.a < 0 || (affine.a == 0 && affine.b < 0))
        return vj_stop(im, VJ_BAD_INPUT, "its %s has a negative dim", what);
    if (affine.a != 0 && affine.b != 0)
        return vj_stop(im, VJ_UNSUPPORTED, "its %s has the dim %lld * N + %lld", what, (long long)affine.a,
                       (long long)affine.b);
    *dim = affine.a ? (vj_dim){affine.a, VJ_SYM_BATCH} : vj_dim_const(affine.b);
    return true;
}
