/* SPDX-License-Identifier: Apache-2.0 */
/* nms.c - suppresses boxes that overlap better ones (ONNX NonMaxSuppression). For each batch and class, the boxes are
 * sorted by score, and each is compared with those chosen before it. One unit does all, as results are appended to one
 * list.
 *
 * The arithmetic is in float. The corners of a box may be in any order. NaN scores come last. */
#include "calls.h"

typedef struct box {
    float low[2], high[2];
} box;

static box box_at(const float *v, bool is_center) {
    box b;
    for (int d = 0; d < 2; d++) {
        const float half = v[d + 2] / 2, p = is_center ? v[d] - half : v[d], q = is_center ? v[d] + half : v[d + 2];
        b.low[d] = p >= q ? q : p;
        b.high[d] = p >= q ? p : q;
    }
    return b;
}

static float area(box b) { return (b.high[0] - b.low[0]) * (b.high[1] - b.low[1]); }

static bool overlaps(box a, box b, float threshold) {
    box both;
    for (int d = 0; d < 2; d++) {
        both.low[d] = a.low[d] < b.low[d] ? b.low[d] : a.low[d];
        both.high[d] = b.high[d] < a.high[d] ? b.high[d] : a.high[d];
        if (both.high[d] <= both.low[d]) return false;
    }
    const float joint = area(both), all = area(a) + area(b) - joint;
    if (area(a) <= 0 || area(b) <= 0 || all <= 0) return false;
    return joint / all > threshold;
}

static bool before(const float *score, int64_t a, int64_t b) {
    const float p = score[a], q = score[b];
    if ((p != p) != (q != q)) return q != q;
    if (p > q) return true;
    if (p < q) return false;
    return a < b;
}

static void sink(const float *score, int64_t *heap, int64_t count, int64_t at) {
    const int64_t e = heap[at];
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && before(score, heap[child], heap[child + 1])) child++;
        if (!before(score, e, heap[child])) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = e;
}

/* Heap sort, the best box first. */
static void sort(const float *score, int64_t *order, int64_t count) {
    for (int64_t i = count / 2; i-- > 0;)
        sink(score, order, count, i);
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t last = order[0];
        order[0] = order[i];
        order[i] = last;
        sink(score, order, i, 0);
    }
}

/* Returns whether box i overlaps none of the `taken` boxes chosen before it too much. */
static bool stays(const float *boxes, int64_t i, const int64_t *chosen, int64_t taken, bool is_center, float overlap) {
    const box b = box_at(boxes + 4 * i, is_center);
    for (int64_t k = 0; k < taken; k++)
        if (overlaps(b, box_at(boxes + 4 * chosen[3 * k + 2], is_center), overlap)) return false;
    return true;
}

void vj_routine_nms(const float *boxes, const float *scores, const int64_t *most, const float *overlap,
                    const float *least, const int64_t *count, int64_t *chosen, int64_t *number, uint8_t *scratch,
                    int64_t batch, int64_t classes, int64_t places, int64_t size, int64_t center, int64_t has_score,
                    int64_t units, int64_t first, int64_t last) {
    int64_t *order = (int64_t *)(void *)scratch, found = 0;
    const int64_t n = count[0] < 0 ? 0 : count[0] > places ? places : count[0];
    (void)units;
    if (first > 0 || last < 1) return;
    for (int64_t pair = 0; pair < batch * classes; pair++) {
        const float *score = scores + pair * places, *own = boxes + pair / classes * places * 4;
        int64_t candidates = 0, taken = 0;
        for (int64_t i = 0; i < n; i++)
            if (!has_score || score[i] > least[0]) order[candidates++] = i;
        sort(score, order, candidates);
        int64_t *to = chosen + 3 * found;
        for (int64_t i = 0; i < candidates && taken < most[0] && found < size; i++) {
            if (!stays(own, order[i], to, taken, center != 0, overlap[0])) continue;
            to[3 * taken] = pair / classes;
            to[3 * taken + 1] = pair % classes;
            to[3 * taken + 2] = order[i];
            taken++;
            found++;
        }
    }
    number[0] = found;
    for (int64_t i = 3 * found; i < 3 * size; i++)
        chosen[i] = 0;
}
