/* eval_data.c - ops that find out a size, and pack and unpack. Places and counts are ONNX's: NonZero, Unique,
 * NonMaxSuppression (opset 11). */
#include "eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_nonzero(const vj_tensor *x, int64_t i) { return x->f ? x->f[i] != 0 : x->i[i] != 0; }

static bool too_many(vj_eval_context *c, int64_t found) {
    vj_fail(c->error, VJ_BAD_INPUT, "%lld are found, more than there is room for", (long long)found);
    return false;
}

bool vj_eval_nonzero(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    int64_t count = 0, dense[VJ_MAX_RANK];
    for (int64_t i = 0; i < x->count; i++)
        count += is_nonzero(x, i);
    vj_tensor *places = vj_eval_make(c, 0, count), *number = c->results[1];
    if (!places) return false;
    const int64_t row = vj_tensor_dim(places, 1);
    if (row < count) return too_many(c, count);
    vj_dense_strides(x, dense);
    for (int64_t i = 0, at = 0; i < x->count; i++) {
        if (!is_nonzero(x, i)) continue;
        for (int32_t d = 0; d < x->type.rank; d++)
            places->i[d * row + at] = i / dense[d] % vj_tensor_dim(x, d);
        at++;
    }
    number->i[0] = count;
    return true;
}

/* How many of the n things operand i says to look at. */
static int64_t that_count(const vj_eval_context *c, int32_t operand, int64_t n) {
    const vj_tensor *t = vj_arg(c, operand);
    return t ? vj_max64(0, vj_min64(t->i[0], n)) : n;
}

/* unique */

/* Rows by their elements, first to last; NaN is behind all and equals nothing. */
static int compare_rows(const vj_tensor *x, int64_t a, int64_t b) {
    const int64_t width = vj_tensor_dim(x, 1);
    for (int64_t i = 0; i < width; i++) {
        if (!x->f) {
            const int64_t p = x->i[a * width + i], q = x->i[b * width + i];
            const bool is_less = x->type.dtype == VJ_U64 ? (uint64_t)p < (uint64_t)q : p < q;
            if (p != q) return is_less ? -1 : 1;
            continue;
        }
        const double p = x->f[a * width + i], q = x->f[b * width + i];
        if (p == q) continue;
        if (p < q) return -1;
        if (p > q) return 1;
        if (isnan(p) != isnan(q)) return isnan(p) ? 1 : -1;
        return a < b ? -1 : a > b;
    }
    return 0;
}

typedef struct kinds {
    int64_t *first, *rows; /* of each kind: its first row, how many there are */
    int64_t count;
} kinds;

/* Sorted: the place of a new kind; else they follow each other as they come. A walk over all kinds a row: the plainest. */
static int64_t kind_of(kinds *k, const vj_tensor *x, int64_t row) {
    for (int64_t i = 0; i < k->count; i++)
        if (compare_rows(x, k->first[i], row) == 0) return i;
    k->first[k->count] = row;
    return k->count++;
}

static void sort_kinds(kinds *k, const vj_tensor *x, int64_t *place) {
    for (int64_t i = 0; i < k->count; i++) {
        place[i] = 0;
        for (int64_t j = 0; j < k->count; j++)
            place[i] += compare_rows(x, k->first[j], k->first[i]) < 0;
    }
}

bool vj_eval_unique(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    const int64_t rows = that_count(c, 1, vj_tensor_dim(x, 0));
    kinds k = {.first = VJ_NEW_ARRAY(c->arena, int64_t, rows + 1), .rows = VJ_NEW_ARRAY(c->arena, int64_t, rows + 1)};
    int64_t *kind = VJ_NEW_ARRAY(c->arena, int64_t, rows + 1), *place = VJ_NEW_ARRAY(c->arena, int64_t, rows + 1);
    for (int64_t r = 0; r < rows; r++)
        k.rows[kind[r] = kind_of(&k, x, r)]++;
    for (int64_t i = 0; i < k.count; i++)
        place[i] = i;
    if (vj_attr_int(c->node, VJ_ATTR_SORTED, 0)) sort_kinds(&k, x, place);
    vj_tensor *first = vj_eval_make(c, 0, k.count), *counts = vj_eval_make(c, 2, k.count);
    if (!first || !counts) return false;
    if (first->count < k.count) return too_many(c, k.count);
    for (int64_t i = 0; i < k.count; i++) {
        first->i[place[i]] = k.first[i];
        counts->i[place[i]] = k.rows[i];
    }
    for (int64_t r = 0; r < rows; r++)
        c->results[1]->i[r] = place[kind[r]];
    c->results[3]->i[0] = k.count;
    return true;
}

/* nms */

typedef struct box {
    double low[2], high[2];
} box;

static box box_at(const vj_tensor *boxes, int64_t i, bool is_center) {
    const double *v = &boxes->f[i * 4];
    box b;
    for (int d = 0; d < 2; d++) {
        const double p = is_center ? v[d] - v[d + 2] / 2 : v[d], q = is_center ? v[d] + v[d + 2] / 2 : v[d + 2];
        b.low[d] = fmin(p, q);
        b.high[d] = fmax(p, q);
    }
    return b;
}

static double area(box b) { return (b.high[0] - b.low[0]) * (b.high[1] - b.low[1]); }

static bool overlaps(box a, box b, double threshold) {
    box both;
    for (int d = 0; d < 2; d++) {
        both.low[d] = fmax(a.low[d], b.low[d]);
        both.high[d] = fmin(a.high[d], b.high[d]);
        if (!(both.high[d] > both.low[d])) return false;
    }
    const double joint = area(both), all = area(a) + area(b) - joint;
    return area(a) > 0 && area(b) > 0 && all > 0 && joint / all > threshold;
}

typedef struct suppression {
    const vj_tensor *boxes, *scores;
    int64_t spatial, most;
    double overlap, least;
    bool is_center;
    bool *gone;      /* taken or suppressed */
    int64_t *chosen; /* batch, class, box */
    int64_t count;
} suppression;

/* The best box left of a class, the first of equals; -1: none. */
static int64_t best_left(const suppression *s, const double *score) {
    int64_t best = -1;
    for (int64_t i = 0; i < s->spatial; i++)
        if (!s->gone[i] && score[i] > s->least && (best < 0 || score[i] > score[best])) best = i;
    return best;
}

static void suppress_class(suppression *s, int64_t batch, int64_t class, int64_t classes, int64_t row) {
    const double *score = &s->scores->f[(batch * classes + class) * row];
    memset(s->gone, 0, (size_t)s->spatial * sizeof *s->gone);
    for (int64_t taken = 0; taken < s->most; taken++) {
        const int64_t best = best_left(s, score);
        if (best < 0) return;
        const box chosen = box_at(s->boxes, batch * row + best, s->is_center);
        s->gone[best] = true;
        for (int64_t i = 0; i < s->spatial; i++)
            if (!s->gone[i] && overlaps(box_at(s->boxes, batch * row + i, s->is_center), chosen, s->overlap))
                s->gone[i] = true;
        int64_t *to = &s->chosen[3 * s->count++];
        to[0] = batch, to[1] = class, to[2] = best;
    }
}

bool vj_eval_nms(vj_eval_context *c) {
    const vj_tensor *scores = c->args[1], *least = vj_arg(c, 4);
    const int64_t batch = vj_tensor_dim(scores, 0), classes = vj_tensor_dim(scores, 1), row = vj_tensor_dim(scores, 2);
    suppression s = {.boxes = c->args[0], .scores = scores, .spatial = that_count(c, 5, row)};
    s.most = vj_min64(c->args[2]->i[0], s.spatial);
    s.overlap = c->args[3]->f[0];
    s.least = least ? least->f[0] : -INFINITY;
    s.is_center = vj_attr_int(c->node, VJ_ATTR_CENTER, 0) != 0;
    s.gone = VJ_NEW_ARRAY(c->arena, bool, row + 1);
    s.chosen = VJ_NEW_ARRAY(c->arena, int64_t, 3 * scores->count + 1);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t k = 0; k < classes; k++)
            suppress_class(&s, b, k, classes, row);
    vj_tensor *chosen = vj_eval_make(c, 0, s.count);
    if (!chosen) return false;
    if (vj_tensor_dim(chosen, 0) < s.count) return too_many(c, s.count);
    if (s.count) memcpy(chosen->i, s.chosen, (size_t)s.count * 3 * sizeof *s.chosen);
    c->results[1]->i[0] = s.count;
    return true;
}

/* Copies between the dense list and the places inside of the true dims. */
static bool copy_inside(vj_eval_context *c, const vj_tensor *padded, bool to_dense) {
    const vj_tensor *dims = c->args[1];
    vj_tensor *to = c->results[0];
    int64_t dense[VJ_MAX_RANK], at = 0;
    vj_dense_strides(padded, dense);
    for (int64_t i = 0; i < padded->count; i++) {
        bool is_inside = true;
        for (int32_t d = 0; d < padded->type.rank; d++)
            is_inside &= i / dense[d] % vj_tensor_dim(padded, d) < dims->i[d];
        if (!is_inside) continue;
        const int64_t from_at = to_dense ? i : at, to_at = to_dense ? at : i;
        at++;
        if (from_at >= c->args[0]->count) return too_many(c, at);
        if (to->f)
            to->f[to_at] = c->args[0]->f[from_at];
        else
            to->i[to_at] = c->args[0]->i[from_at];
    }
    return true;
}

bool vj_eval_pack(vj_eval_context *c) { return copy_inside(c, c->args[0], true); }
bool vj_eval_unpack(vj_eval_context *c) { return copy_inside(c, c->results[0], false); }
