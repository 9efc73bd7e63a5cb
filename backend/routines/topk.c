/* SPDX-License-Identifier: Apache-2.0 */
/* topk.c - the k largest or smallest elements of rows, sorted, by a heap of k entries: O(length * log(k)) for a row.
 *
 * The order is total (equal values: the lower index first; NaN above all numbers), so that the result depends on
 * neither the algorithm nor the split over units. */
#include "calls.h"

/* Entries compare their values first. NaN differs from itself. */
#define TOPK(name, type)                                                                                               \
    typedef struct entry_##name {                                                                                      \
        type value;                                                                                                    \
        int64_t index;                                                                                                 \
    } entry_##name;                                                                                                    \
                                                                                                                       \
    static inline bool before_##name(const entry_##name *a, const entry_##name *b, bool largest) {                     \
        const bool a_nan = a->value != a->value, b_nan = b->value != b->value;                                         \
        if (a_nan | b_nan) return a_nan != b_nan ? largest == a_nan : a->index < b->index;                             \
        if (a->value != b->value) return largest == (a->value > b->value);                                             \
        return a->index < b->index;                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    /* Puts `e` where it belongs below place 0 of a heap whose root comes last. */                                     \
    static void sink_##name(entry_##name *heap, int64_t count, int64_t at, entry_##name e, bool largest) {             \
        for (;;) {                                                                                                     \
            int64_t child = 2 * at + 1;                                                                                \
            if (child >= count) break;                                                                                 \
            if (child + 1 < count && before_##name(&heap[child], &heap[child + 1], largest)) child++;                  \
            if (!before_##name(&e, &heap[child], largest)) break;                                                      \
            heap[at] = heap[child];                                                                                    \
            at = child;                                                                                                \
        }                                                                                                              \
        heap[at] = e;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    static void row_##name(const type *x, type *values, int64_t *indices, entry_##name *heap, int64_t length,          \
                           int64_t step, int64_t k, bool largest) {                                                    \
        for (int64_t i = 0; i < k; i++)                                                                                \
            heap[i] = (entry_##name){x[i * step], i};                                                                  \
        for (int64_t i = k / 2; i-- > 0;)                                                                              \
            sink_##name(heap, k, i, heap[i], largest);                                                                 \
        for (int64_t i = k; i < length; i++) {                                                                         \
            const entry_##name e = {x[i * step], i};                                                                   \
            if (before_##name(&e, &heap[0], largest)) sink_##name(heap, k, 0, e, largest);                             \
        }                                                                                                              \
        for (int64_t i = k - 1; i >= 0; i--) { /* the root comes last of those that are left */                        \
            values[i * step] = heap[0].value;                                                                          \
            indices[i * step] = heap[0].index;                                                                         \
            sink_##name(heap, i, 0, heap[i], largest);                                                                 \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    void vj_routine_topk_##name(const type *x, type *values, int64_t *indices, uint8_t *scratch, int64_t outer,        \
                                int64_t length, int64_t inner, int64_t k, int64_t largest, int64_t units,              \
                                int64_t first, int64_t last) {                                                         \
        const int64_t rows = outer * inner;                                                                            \
        entry_##name *heap = (entry_##name *)(void *)(scratch + first * k * 16);                                       \
        for (int64_t row = part_of(rows, first, units); row < part_of(rows, last, units); row++) {                     \
            const int64_t from = row / inner * length * inner + row % inner,                                           \
                          to = row / inner * k * inner + row % inner;                                                  \
            row_##name(x + from, values + to, indices + to, heap, length, inner, k, largest != 0);                     \
        }                                                                                                              \
    }

FOR_INTEGERS(TOPK)
FOR_FLOATS(TOPK)
