/* SPDX-License-Identifier: Apache-2.0 */
/* nonzero.c - the indices of the elements that are not 0, in row-major order. One unit does all, as they form one
 * list. */
#include "calls.h"

#define NONZERO(name, type)                                                                                            \
    void vj_routine_nonzero_##name(const type *x, int64_t *places, int64_t *number, int64_t rank, int64_t size,        \
                                   int64_t d0, int64_t d1, int64_t d2, int64_t d3, int64_t d4, int64_t d5, int64_t d6, \
                                   int64_t d7, int64_t units, int64_t first, int64_t last) {                           \
        const int64_t dims[8] = {d0, d1, d2, d3, d4, d5, d6, d7};                                                      \
        const int64_t count = d0 * d1 * d2 * d3 * d4 * d5 * d6 * d7;                                                   \
        int64_t found = 0;                                                                                             \
        (void)units;                                                                                                   \
        if (first > 0 || last < 1) return;                                                                             \
        for (int64_t i = 0; i < count && found < size; i++) {                                                          \
            if (x[i] == 0) continue;                                                                                   \
            int64_t at = i;                                                                                            \
            for (int64_t d = rank - 1; d >= 0; d--) {                                                                  \
                places[d * size + found] = at % dims[d];                                                               \
                at /= dims[d];                                                                                         \
            }                                                                                                          \
            found++;                                                                                                   \
        }                                                                                                              \
        number[0] = found;                                                                                             \
        for (int64_t d = 0; d < rank; d++)                                                                             \
            for (int64_t i = found; i < size; i++)                                                                     \
                places[d * size + i] = 0;                                                                              \
    }

NONZERO(bool, uint8_t)
FOR_INTEGERS(NONZERO)
FOR_FLOATS(NONZERO)
