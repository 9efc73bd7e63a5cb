/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c - copies the elements inside the true dims to a dense list. The rest of the list is 0. */
#include "inside.h"

#define PACK(name, type)                                                                                               \
    void vj_routine_pack_##name(const type *x, const int64_t *given, type *list, int64_t rank, int64_t d0, int64_t d1, \
                                int64_t d2, int64_t d3, int64_t d4, int64_t d5, int64_t d6, int64_t d7, int64_t units, \
                                int64_t first, int64_t last) {                                                         \
        inside s;                                                                                                      \
        inside_of(&s, rank, given, d0, d1, d2, d3, d4, d5, d6, d7);                                                    \
        const int64_t count = d0 * d1 * d2 * d3 * d4 * d5 * d6 * d7;                                                   \
        (void)units;                                                                                                   \
        if (first > 0 || last < 1) return;                                                                             \
        for (int64_t r = 0; r < s.rows; r++) {                                                                         \
            const type *from = x + padded_row(&s, r);                                                                  \
            for (int64_t i = 0; i < s.row; i++)                                                                        \
                list[r * s.row + i] = from[i];                                                                         \
        }                                                                                                              \
        for (int64_t i = s.rows * s.row; i < count; i++)                                                               \
            list[i] = 0;                                                                                               \
    }

FOR_ALL(PACK)
