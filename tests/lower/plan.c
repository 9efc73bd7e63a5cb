/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - compares the memory planner with an exact one on small random programs.
 *
 * The exact planner is a branch and bound over packings in which every buffer is at offset 0 or directly behind
 * another. These suffice (Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated Machine
 * Learning", 2023). Buffers are placed by rising offset, each behind the highest earlier one that is live at the same
 * time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"

enum { MOST = 10, PHASES = 8 };

typedef struct item {
    int32_t first, last; /* phases */
    int64_t bytes;
} item;

typedef struct search {
    const item *items;
    int32_t count;
    int64_t at[MOST], best;
    bool placed[MOST];
} search;

static bool meet(const item *a, const item *b) { return a->first <= b->last && b->first <= a->last; }

/* A lower bound for packings with these offsets: the largest sum over a phase of the placed buffers and those to
 * come. */
static int64_t bound_of(const search *s) {
    int64_t most = 0;
    for (int32_t phase = 0; phase < PHASES; phase++) {
        int64_t top = 0, rest = 0;
        for (int32_t i = 0; i < s->count; i++) {
            if (s->items[i].first > phase || s->items[i].last < phase) continue;
            if (!s->placed[i])
                rest += s->items[i].bytes;
            else if (s->at[i] + s->items[i].bytes > top)
                top = s->at[i] + s->items[i].bytes;
        }
        most = top + rest > most ? top + rest : most;
    }
    return most;
}

static void place_rest(search *s, int32_t left, int64_t low) {
    const int64_t bound = bound_of(s);
    if (bound >= s->best) return;
    if (left == 0) s->best = bound;
    for (int32_t i = 0; i < s->count && left > 0; i++) {
        if (s->placed[i]) continue;
        int64_t at = 0;
        for (int32_t k = 0; k < s->count; k++)
            if (s->placed[k] && meet(&s->items[i], &s->items[k]) && s->at[k] + s->items[k].bytes > at)
                at = s->at[k] + s->items[k].bytes;
        if (at < low) continue; /* found in another order */
        s->at[i] = at;
        s->placed[i] = true;
        place_rest(s, left - 1, at);
        s->placed[i] = false;
    }
}

static int64_t exact(const item *items, int32_t count) {
    search s = {.items = items, .count = count, .best = INT64_MAX};
    place_rest(&s, count, 0);
    return s.best;
}

/* Each phase has a kernel, which uses the buffers that begin or end there. */
static vj_program *program_of(vj_arena *arena, const item *items, int32_t count) {
    vj_program *p = vj_program_new(arena, NULL);
    p->phases = VJ_NEW_ARRAY(arena, vj_phase, PHASES);
    p->phase_count = PHASES;
    for (int32_t i = 0; i < count; i++)
        vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, items[i].bytes / 4, "b");
    for (int32_t phase = 0; phase < PHASES; phase++) {
        vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_NEST, "k");
        p->phases[phase] = (vj_phase){phase, 1};
        for (int32_t i = 0; i < count; i++)
            if (items[i].first == phase || items[i].last == phase) vj_add_access(k, &(vj_access){.buffer = i});
    }
    return p;
}

static const vj_program *planned(vj_arena *arena, const item *items, int32_t count) {
    vj_error error = {0};
    const vj_pipeline_options options = {.pass_limit = -1};
    vj_pass_context c = {.arena = arena,
                         .p = program_of(arena, items, count),
                         .options = &options,
                         .error = &error,
                         .rewrites_left = -1};
    assert_int_equal(vj_run_pass(vj_pass_by_name("plan"), &c), VJ_OK);
    return c.p;
}

/* Checks that buffers which are live at the same time share no byte, and that all are inside the arena. */
static void check_offsets(const vj_program *p, const item *items, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        const int64_t at = p->buffers[i].offset, end = at + items[i].bytes;
        assert_true(at >= 0 && at % VJ_ALIGN == 0 && end <= p->per_image_bytes);
        for (int32_t k = 0; k < i; k++) {
            const int64_t other = p->buffers[k].offset;
            if (meet(&items[i], &items[k])) assert_true(end <= other || other + items[k].bytes <= at);
        }
    }
}

static uint64_t next(uint64_t *seed) { /* splitmix64 */
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static int32_t random_items(uint64_t seed, item *items) {
    const int32_t count = 3 + (int32_t)(next(&seed) % (MOST - 2));
    for (int32_t i = 0; i < count; i++) {
        const int32_t a = (int32_t)(next(&seed) % PHASES), b = (int32_t)(next(&seed) % PHASES);
        items[i] = (item){a < b ? a : b, a < b ? b : a, VJ_ALIGN * (int64_t)(1 + next(&seed) % 24)};
    }
    return count;
}

static void test_beside_exact(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        item items[MOST];
        const int32_t count = random_items(seed, items);
        vj_arena *arena = vj_arena_new();
        const vj_program *p = planned(arena, items, count);
        const int64_t best = exact(items, count), bytes = p->per_image_bytes;
        check_offsets(p, items, count);
        if (p->lower_bound_bytes > best || bytes < best || bytes > best + best / 20)
            fail_msg("seed %llu: %lld bytes planned, the best is %lld, the bound %lld", (unsigned long long)seed,
                     (long long)bytes, (long long)best, (long long)p->lower_bound_bytes);
        vj_arena_free(arena);
    }
}

/* A program whose plan was worked out by hand. */
static void test_judge(void **state) {
    (void)state;
    const item bridge[] = {{0, 1, 4}, {1, 2, 6}, {2, 3, 4}, {0, 0, 6}, {3, 3, 6}};
    assert_int_equal(exact(bridge, 5), 10);
    const item stacked[] = {{0, 3, 1}, {0, 1, 2}, {2, 3, 3}};
    assert_int_equal(exact(stacked, 3), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_judge), cmocka_unit_test(test_beside_exact)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
