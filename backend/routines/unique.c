/* SPDX-License-Identifier: Apache-2.0 */
/* unique.c - the distinct rows. Heap sort sorts the rows' indices, so that equal rows become neighbours. The order
 * is total: of equal rows the lower index comes first; NaN comes after all numbers and equals nothing. One unit does
 * all. */
#include "calls.h"

/* The scratch buffer has the sorted rows, and the output index of each distinct row. */
#define UNIQUE(name, type)                                                                                             \
    static int compare_##name(const type *x, int64_t width, int64_t a, int64_t b) {                                    \
        for (int64_t i = 0; i < width; i++) {                                                                          \
            const type p = x[a * width + i], q = x[b * width + i];                                                     \
            if (p < q) return -1;                                                                                      \
            if (p > q) return 1;                                                                                       \
            if (p == q) continue;                                                                                      \
            if ((p != p) != (q != q)) return p != p ? 1 : -1;                                                          \
            return a < b ? -1 : a > b;                                                                                 \
        }                                                                                                              \
        return 0;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    static bool before_##name(const type *x, int64_t width, int64_t a, int64_t b) {                                    \
        const int order = compare_##name(x, width, a, b);                                                              \
        return order ? order < 0 : a < b;                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static void sink_##name(const type *x, int64_t width, int64_t *heap, int64_t count, int64_t at) {                  \
        const int64_t e = heap[at];                                                                                    \
        for (;;) {                                                                                                     \
            int64_t child = 2 * at + 1;                                                                                \
            if (child >= count) break;                                                                                 \
            if (child + 1 < count && before_##name(x, width, heap[child], heap[child + 1])) child++;                   \
            if (!before_##name(x, width, e, heap[child])) break;                                                       \
            heap[at] = heap[child];                                                                                    \
            at = child;                                                                                                \
        }                                                                                                              \
        heap[at] = e;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    static void sort_##name(const type *x, int64_t width, int64_t *order, int64_t count) {                             \
        for (int64_t i = 0; i < count; i++)                                                                            \
            order[i] = i;                                                                                              \
        for (int64_t i = count / 2; i-- > 0;)                                                                          \
            sink_##name(x, width, order, count, i);                                                                    \
        for (int64_t i = count - 1; i > 0; i--) {                                                                      \
            const int64_t largest = order[0];                                                                          \
            order[0] = order[i];                                                                                       \
            order[i] = largest;                                                                                        \
            sink_##name(x, width, order, i, 0);                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    void vj_routine_unique_##name(const type *x, const int64_t *count, int64_t *place, int64_t *kind, int64_t *many,   \
                                  int64_t *number, uint8_t *scratch, int64_t rows, int64_t width, int64_t size,        \
                                  int64_t sorted, int64_t units, int64_t first, int64_t last) {                        \
        (void)units;                                                                                                   \
        if (first > 0 || last < 1) return;                                                                             \
        const int64_t n = count[0] < 0 ? 0 : count[0] > rows ? rows : count[0];                                        \
        int64_t *order = (int64_t *)(void *)scratch, *to = order + rows, kinds = 0, seen = 0;                          \
        sort_##name(x, width, order, n);                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            if (i == 0 || compare_##name(x, width, order[i - 1], order[i]) != 0) {                                     \
                to[kinds] = sorted ? kinds : -1;                                                                       \
                kinds++;                                                                                               \
            }                                                                                                          \
            kind[order[i]] = kinds - 1;                                                                                \
        }                                                                                                              \
        for (int64_t i = 0; i < size; i++)                                                                             \
            place[i] = many[i] = 0;                                                                                    \
        for (int64_t r = 0; r < n; r++) {                                                                              \
            if (to[kind[r]] < 0) to[kind[r]] = seen++;                                                                 \
            const int64_t k = kind[r] = to[kind[r]];                                                                   \
            if (k < size && many[k]++ == 0) place[k] = r;                                                              \
        }                                                                                                              \
        for (int64_t r = n; r < rows; r++)                                                                             \
            kind[r] = 0;                                                                                               \
        number[0] = kinds < size ? kinds : size;                                                                       \
    }

UNIQUE(bool, uint8_t)
FOR_INTEGERS(UNIQUE)
FOR_FLOATS(UNIQUE)
