/* SPDX-License-Identifier: Apache-2.0 */
/* scatter.c - copies the data and writes updates at the indices, or combines them with what is there.
 *
 * The columns (outer, inner) are divided among the units, so that one unit does all updates of a column in their
 * order. */
#include "calls.h"

enum { SET, SUM, PROD, MAX, MIN };

/* Combines two numbers; NaN stays NaN. */
#define COMBINE(name, type)                                                                                            \
    static inline type combine_##name(type a, type b, int64_t how) {                                                   \
        switch (how) {                                                                                                 \
        case SUM:                                                                                                      \
            return (type)(a + b);                                                                                      \
        case PROD:                                                                                                     \
            return (type)(a * b);                                                                                      \
        case MAX:                                                                                                      \
            return a > b || a != a ? a : b;                                                                            \
        case MIN:                                                                                                      \
            return a < b || a != a ? a : b;                                                                            \
        default:                                                                                                       \
            return b;                                                                                                  \
        }                                                                                                              \
    }

/* Updates a row with one index. Each reduction has a loop of its own, so that the compiler vectorises it. */
#define ROW(name, type)                                                                                                \
    static void row_##name(type *y, const type *u, int64_t count, int64_t how) {                                       \
        if (how == SET)                                                                                                \
            for (int64_t i = 0; i < count; i++)                                                                        \
                y[i] = u[i];                                                                                           \
        else if (how == SUM)                                                                                           \
            for (int64_t i = 0; i < count; i++)                                                                        \
                y[i] = combine_##name(y[i], u[i], SUM);                                                                \
        else if (how == PROD)                                                                                          \
            for (int64_t i = 0; i < count; i++)                                                                        \
                y[i] = combine_##name(y[i], u[i], PROD);                                                               \
        else if (how == MAX)                                                                                           \
            for (int64_t i = 0; i < count; i++)                                                                        \
                y[i] = combine_##name(y[i], u[i], MAX);                                                                \
        else                                                                                                           \
            for (int64_t i = 0; i < count; i++)                                                                        \
                y[i] = combine_##name(y[i], u[i], MIN);                                                                \
    }

/* The index counted from the front, or -1 when it is out of range. */
static inline int64_t element_of(int64_t index, int64_t length) {
    const int64_t at = index < 0 ? index + length : index;
    return at < 0 || at >= length ? -1 : at;
}

/* Updates the inner columns [from, to) of one outer index. Indices out of range write nothing. */
#define COLUMNS(name, type)                                                                                            \
    static void columns_##name(const type *data, const int64_t *index, const type *updates, type *y, int64_t length,   \
                               int64_t inner, int64_t count, int64_t index_count, int64_t index_inner, int64_t how,    \
                               int64_t from, int64_t to) {                                                             \
        for (int64_t l = 0; l < length; l++)                                                                           \
            row_##name(y + l * inner + from, data + l * inner + from, to - from, SET);                                 \
        for (int64_t m = 0; m < count; m++) {                                                                          \
            const int64_t *at = index + m * index_count;                                                               \
            const type *row = updates + m * inner;                                                                     \
            const int64_t one = element_of(*at, length);                                                               \
            if (index_inner == 0) {                                                                                    \
                if (one >= 0) row_##name(y + one * inner + from, row + from, to - from, how);                          \
                continue;                                                                                              \
            }                                                                                                          \
            for (int64_t i = from; i < to; i++) {                                                                      \
                const int64_t l = element_of(at[i * index_inner], length);                                             \
                if (l >= 0) y[l * inner + i] = combine_##name(y[l * inner + i], row[i], how);                          \
            }                                                                                                          \
        }                                                                                                              \
    }

#define SCATTER(name, type)                                                                                            \
    COMBINE(name, type)                                                                                                \
    ROW(name, type)                                                                                                    \
    COLUMNS(name, type)                                                                                                \
    void vj_routine_scatter_##name(const type *data, const int64_t *index, const type *updates, type *y,               \
                                   int64_t outer, int64_t length, int64_t inner, int64_t count, int64_t index_outer,   \
                                   int64_t index_count, int64_t index_inner, int64_t how, int64_t units,               \
                                   int64_t first, int64_t last) {                                                      \
        const int64_t columns = outer * inner, end = part_of(columns, last, units);                                    \
        for (int64_t c = part_of(columns, first, units); c < end;) {                                                   \
            const int64_t o = c / inner, from = c % inner, to = inner - from < end - c ? inner : from + (end - c);     \
            columns_##name(data + o * length * inner, index + o * index_outer, updates + o * count * inner,            \
                           y + o * length * inner, length, inner, count, index_count, index_inner, how, from, to);     \
            c += to - from;                                                                                            \
        }                                                                                                              \
    }

FOR_INTEGERS(SCATTER)
FOR_FLOATS(SCATTER)
#undef bool /* the macro would replace the name below */
SCATTER(bool, uint8_t)
