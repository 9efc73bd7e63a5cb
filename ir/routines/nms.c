/* SPDX-License-Identifier: Apache-2.0 */
/* nms.c - suppresses boxes that overlap better ones (ONNX NonMaxSuppression). In each class, the best box that is left
 * is chosen, and all boxes that overlap it by more than the threshold are removed. The corners of a box may be in any
 * order. Of equal scores the first is better; NaN is worse than all. */
#include "routines.h"

#include <math.h>

enum { BATCH, CLASSES, PLACES, SIZE, CENTER, HAS_SCORE };
enum { BOXES, SCORES, MOST, OVERLAP, LEAST, COUNT, CHOSEN, NUMBER, ORDER };

bool vj_bound_nms(vj_routine_use *use) {
    static const vj_dtype types[] = {VJ_F32, VJ_F32, VJ_I64, VJ_F32, VJ_F32, VJ_I64, VJ_I64, VJ_I64};
    const int64_t *p = use->param;
    if (!vj_routine_product(use, (const int64_t[]){p[BATCH], p[PLACES], 4}, 3, &use->elements[BOXES]) ||
        !vj_routine_product(use, p, 3, &use->elements[SCORES]) ||
        !vj_routine_product(use, (const int64_t[]){p[SIZE], 3}, 2, &use->elements[CHOSEN]))
        return false;
    for (int32_t i = BOXES; i <= NUMBER; i++)
        if (use->dtype[i] != types[i]) return vj_routine_wrong(use, "its operands have other types");
    use->elements[MOST] = use->elements[OVERLAP] = use->elements[LEAST] = 1;
    use->elements[COUNT] = use->elements[NUMBER] = 1;
    return vj_routine_product(use, (const int64_t[]){use->units, p[PLACES], 8}, 3, &use->elements[ORDER]);
}

typedef struct box {
    double low[2], high[2];
} box;

static box box_at(const double *v, bool is_center) {
    box b;
    for (int d = 0; d < 2; d++) {
        const double half = v[d + 2] / 2, p = is_center ? v[d] - half : v[d], q = is_center ? v[d] + half : v[d + 2];
        b.low[d] = p >= q ? q : p;
        b.high[d] = p >= q ? p : q;
    }
    return b;
}

static double area(box b) { return (b.high[0] - b.low[0]) * (b.high[1] - b.low[1]); }

static bool overlaps(box a, box b, double threshold) {
    box both;
    for (int d = 0; d < 2; d++) {
        both.low[d] = a.low[d] < b.low[d] ? b.low[d] : a.low[d];
        both.high[d] = b.high[d] < a.high[d] ? b.high[d] : a.high[d];
        if (both.high[d] <= both.low[d]) return false;
    }
    const double joint = area(both), all = area(a) + area(b) - joint;
    if (area(a) <= 0 || area(b) <= 0 || all <= 0) return false;
    return joint / all > threshold;
}

/* The best box that is not gone, or -1 when none is left. */
static int64_t best_left(const double *score, const bool *gone, int64_t count) {
    int64_t best = -1;
    for (int64_t i = 0; i < count; i++) {
        if (gone[i]) continue;
        if (best < 0 || score[i] > score[best] || (isnan(score[best]) && !isnan(score[i]))) best = i;
    }
    return best;
}

void vj_run_nms(const vj_routine_run *run) {
    const int64_t *p = run->param, most = run->array[MOST].i[0];
    const int64_t count = vj_max64(0, vj_min64(run->array[COUNT].i[0], p[PLACES]));
    const double overlap = run->array[OVERLAP].f[0];
    int64_t *chosen = run->array[CHOSEN].i, found = 0;
    bool *gone = VJ_NEW_ARRAY(run->arena, bool, count + 1);
    for (int64_t i = 0; i < 3 * p[SIZE]; i++)
        chosen[i] = 0;
    for (int64_t pair = 0; pair < p[BATCH] * p[CLASSES]; pair++) {
        const double *score = run->array[SCORES].f + pair * p[PLACES];
        const double *boxes = run->array[BOXES].f + pair / p[CLASSES] * p[PLACES] * 4;
        for (int64_t i = 0; i < count; i++)
            gone[i] = p[HAS_SCORE] && !(score[i] > run->array[LEAST].f[0]);
        for (int64_t taken = 0; taken < most && found < p[SIZE]; taken++) {
            const int64_t best = best_left(score, gone, count);
            if (best < 0) break;
            gone[best] = true;
            for (int64_t i = 0; i < count; i++)
                gone[i] |=
                    overlaps(box_at(boxes + 4 * i, p[CENTER] != 0), box_at(boxes + 4 * best, p[CENTER] != 0), overlap);
            chosen[3 * found] = pair / p[CLASSES];
            chosen[3 * found + 1] = pair % p[CLASSES];
            chosen[3 * found++ + 2] = best;
        }
    }
    run->array[NUMBER].i[0] = found;
}
