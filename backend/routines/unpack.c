/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.c - copies a dense list to the elements inside the true dims of a padded tensor. The rest is 0. */
#include "inside.h"

#define UNPACK(name, type)                                                                                             \
    void vj_routine_unpack_##name(const type *list, const int64_t *given, type *y, int64_t n, int64_t rank,            \
                                  int64_t d0, int64_t d1, int64_t d2, int64_t d3, int64_t d4, int64_t d5, int64_t d6,  \
                                  int64_t d7, int64_t units, int64_t first, int64_t last) {                            \
        inside s;                                                                                                      \
        inside_of(&s, rank, given, d0, d1, d2, d3, d4, d5, d6, d7);                                                    \
        const int64_t count = d0 * d1 * d2 * d3 * d4 * d5 * d6 * d7;                                                   \
        (void)units;                                                                                                   \
        if (first > 0 || last < 1) return;                                                                             \
        for (int64_t i = 0; i < count; i++)                                                                            \
            y[i] = 0;                                                                                                  \
        for (int64_t r = 0; r < s.rows; r++) {                                                                         \
            type *to = y + padded_row(&s, r);                                                                          \
            for (int64_t i = 0; i < s.row && r * s.row + i < n; i++)                                                   \
                to[i] = list[r * s.row + i];                                                                           \
        }                                                                                                              \
    }

FOR_ALL(UNPACK)
