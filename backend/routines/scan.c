/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - running sums or products along rows. Floats are accumulated in double, so that long rows keep their
 * precision. */
#include "calls.h"

#define BLOCK 32 /* columns at a time, so that whole cache lines are used */

/* Scans `columns` adjacent columns from x on, in `length` steps of `step` elements. */
#define SCAN(name, type, wide)                                                                                         \
    static void block_##name(const type *x, type *y, int64_t length, int64_t step, int64_t columns, bool exclusive,    \
                             bool product) {                                                                           \
        wide run[BLOCK];                                                                                               \
        for (int64_t c = 0; c < columns; c++)                                                                          \
            run[c] = (wide)product;                                                                                    \
        for (int64_t l = 0; l < length; l++, x += step, y += step)                                                     \
            for (int64_t c = 0; c < columns; c++) {                                                                    \
                const wide next = product ? run[c] * (wide)x[c] : run[c] + (wide)x[c];                                 \
                y[c] = (type)(exclusive ? run[c] : next);                                                              \
                run[c] = next;                                                                                         \
            }                                                                                                          \
    }                                                                                                                  \
                                                                                                                       \
    void vj_routine_scan_##name(const type *x, type *y, int64_t outer, int64_t length, int64_t inner,                  \
                                int64_t exclusive, int64_t reverse, int64_t product, int64_t units, int64_t first,     \
                                int64_t last) {                                                                        \
        const int64_t columns = outer * inner, end = part_of(columns, last, units);                                    \
        for (int64_t c = part_of(columns, first, units); c < end;) {                                                   \
            const int64_t o = c / inner, from = c % inner;                                                             \
            int64_t count = inner - from < end - c ? inner - from : end - c;                                           \
            if (count > BLOCK) count = BLOCK;                                                                          \
            const int64_t at = o * length * inner + from + (reverse ? (length - 1) * inner : 0);                       \
            block_##name(x + at, y + at, length, reverse ? -inner : inner, count, exclusive != 0, product != 0);       \
            c += count;                                                                                                \
        }                                                                                                              \
    }

#define SCAN_WHOLE(name, type) SCAN(name, type, uint64_t)
#define SCAN_FLOAT(name, type) SCAN(name, type, double)
FOR_INTEGERS(SCAN_WHOLE)
FOR_FLOATS(SCAN_FLOAT)
