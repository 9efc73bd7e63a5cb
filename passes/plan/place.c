/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - greedy into the lowest gap (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference",
 * 2020, section 5), by several orders that are mended until the lower bound is reached.
 *
 * Those of the buffers placed so far that meet another in time are found by a tree over all buffers in the order of their
 * first phases, whose nodes hold the last phase of any that is placed below. */
#include "place.h"

#include <stdlib.h>
#include <string.h>

#define SCATTERED_ROUND 16

/* Buffers that met, in one order: beyond so many, the rest goes above all others. Only graphs with thousands of buffers
 * that live at once come there. */
#define MOST_MET INT64_C(20000000)

typedef struct neighbour {
    int64_t offset, end;
} neighbour;

/* Buffers that are to be placed, in an order, and where they are. */
typedef struct placement {
    const vj_life *lives;
    int32_t *order, count;
    int64_t *offset;   /* of each buffer */
    int64_t bytes;     /* where the last one ends */
    int32_t *by_first; /* those of `order`, by their first phases */
    int32_t *rank;     /* of a buffer in by_first */
    int32_t *latest;   /* the tree: node i has 2i and 2i + 1 below it; -1: none is placed there */
    int32_t leaves;    /* a power of two */
    neighbour *near;   /* those that meet the buffer at hand */
    int32_t near_count;
    int64_t met;
} placement;

/* Adds the placed ones of ranks [low, low + width) below `end` that live in phase `first` or later. */
static void find_near(placement *p, int32_t node, int32_t low, int32_t width, int32_t end, int32_t first) {
    if (low >= end || p->latest[node] < first) return;
    if (width == 1) {
        const int32_t buffer = p->by_first[low];
        p->near[p->near_count++] = (neighbour){p->offset[buffer], p->offset[buffer] + p->lives[buffer].bytes};
        return;
    }
    find_near(p, 2 * node, low, width / 2, end, first);
    find_near(p, 2 * node + 1, low + width / 2, width / 2, end, first);
}

/* How many buffers begin in this phase or earlier. */
static int32_t begun_by(const placement *p, int32_t phase) {
    int32_t low = 0, high = p->count;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (p->lives[p->by_first[middle]].first <= phase)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int by_offset(const void *a, const void *b) {
    const neighbour *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The lowest gap among those already placed that live at the same time. */
static int64_t lowest_gap(placement *p, int32_t buffer) {
    const vj_life *wanted = &p->lives[buffer];
    int64_t at = 0;
    if (p->met > MOST_MET) return p->bytes;
    p->near_count = 0;
    find_near(p, 1, 0, p->leaves, begun_by(p, wanted->last), wanted->first);
    p->met += p->near_count;
    if (p->near_count > 1) qsort(p->near, (size_t)p->near_count, sizeof *p->near, by_offset);
    for (int32_t i = 0; i < p->near_count && at + wanted->bytes > p->near[i].offset; i++)
        at = vj_max64(at, p->near[i].end);
    return at;
}

/* One after another into the lowest gap. */
static void place_in_order(placement *p) {
    p->bytes = p->met = 0;
    for (int32_t i = 0; i < 2 * p->leaves; i++)
        p->latest[i] = -1;
    for (int32_t n = 0; n < p->count; n++) {
        const int32_t buffer = p->order[n];
        const vj_life *life = &p->lives[buffer];
        p->offset[buffer] = lowest_gap(p, buffer);
        p->bytes = vj_max64(p->bytes, p->offset[buffer] + life->bytes);
        for (int32_t i = p->leaves + p->rank[buffer]; i > 0 && p->latest[i] < life->last; i /= 2)
            p->latest[i] = life->last;
    }
}

/* What an order puts first. */
typedef enum ranking { BY_SIZE, BY_AREA, BY_LIFE, RANKINGS } ranking;

static double rank_of(const vj_life *s, ranking r) {
    const double life = (double)s->last - (double)s->first + 1, bytes = (double)s->bytes;
    return r == BY_SIZE ? bytes : r == BY_AREA ? bytes * life : life;
}

typedef struct ranked {
    double rank;
    int32_t first, place, buffer;
} ranked;

static int by_rank(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->rank != y->rank) return (x->rank < y->rank) - (x->rank > y->rank);
    if (x->first != y->first) return (x->first > y->first) - (x->first < y->first);
    return (x->place > y->place) - (x->place < y->place);
}

/* Of equals the one that is used first; of these, the one that was before. */
static void sort(placement *p, ranking r, ranked *all) {
    for (int32_t n = 0; n < p->count; n++) {
        const int32_t buffer = p->order[n];
        all[n] = (ranked){rank_of(&p->lives[buffer], r), p->lives[buffer].first, n, buffer};
    }
    if (p->count) qsort(all, (size_t)p->count, sizeof *all, by_rank);
    for (int32_t n = 0; n < p->count; n++)
        p->order[n] = all[n].buffer;
}

/* Whoever ends highest had too few gaps left: it goes forward, to the front or, in later rounds, to some other place. */
static void promote_highest(placement *p, uint32_t round) {
    for (int32_t n = p->count - 1; n > 0; n--) {
        const int32_t buffer = p->order[n];
        if (p->offset[buffer] + p->lives[buffer].bytes < p->bytes) continue;
        const uint32_t scattered = round * 2654435761u >> 16; /* Knuth's multiplicative hash */
        const int32_t to = round < SCATTERED_ROUND ? 0 : (int32_t)(scattered % (uint32_t)n);
        memmove(p->order + to + 1, p->order + to, (size_t)(n - to) * sizeof *p->order);
        p->order[to] = buffer;
        return;
    }
}

/* How often an order is mended: less when there are many buffers. */
static int32_t rounds_for(int64_t count) {
    enum { MOST = 64, STEPS = 20000000 };
    return (int32_t)vj_max64(1, vj_min64(MOST, STEPS / vj_max64(1, count * count)));
}

static placement begin(vj_arena *arena, const vj_life *lives, int32_t count, ranked *all) {
    const int32_t room = count + 1;
    placement p = {.lives = lives, .leaves = 1};
    p.order = VJ_NEW_ARRAY(arena, int32_t, room);
    p.offset = VJ_NEW_ARRAY(arena, int64_t, room);
    p.by_first = VJ_NEW_ARRAY(arena, int32_t, room);
    p.rank = VJ_NEW_ARRAY(arena, int32_t, room);
    p.near = VJ_NEW_ARRAY(arena, neighbour, room);
    for (int32_t i = 0; i < count; i++) {
        if (lives[i].bytes == 0) continue;
        all[p.count] = (ranked){0, lives[i].first, i, i};
        p.order[p.count++] = i;
    }
    if (p.count) qsort(all, (size_t)p.count, sizeof *all, by_rank);
    for (int32_t n = 0; n < p.count; n++) {
        p.by_first[n] = all[n].buffer;
        p.rank[all[n].buffer] = n;
    }
    while (p.leaves < p.count)
        p.leaves *= 2;
    p.latest = VJ_NEW_ARRAY(arena, int32_t, 2 * (size_t)p.leaves);
    return p;
}

/* The best of several orders, each mended a few times; none is tried when the bound is reached. */
int64_t *vj_place(vj_arena *arena, const vj_life *lives, int32_t count, int64_t bound, int64_t *bytes) {
    ranked *all = VJ_NEW_ARRAY(arena, ranked, count + 1);
    int64_t *best = VJ_NEW_ARRAY(arena, int64_t, count + 1);
    placement p = begin(arena, lives, count, all);
    const int32_t rounds = rounds_for(p.count);
    *bytes = INT64_MAX;
    for (ranking r = BY_SIZE; r < RANKINGS; r++) {
        sort(&p, r, all);
        for (int32_t round = 0; round < rounds && *bytes > bound; round++) {
            place_in_order(&p);
            if (p.bytes < *bytes) {
                *bytes = p.bytes;
                memcpy(best, p.offset, (size_t)count * sizeof *best);
            }
            promote_highest(&p, (uint32_t)round);
        }
    }
    return best;
}
