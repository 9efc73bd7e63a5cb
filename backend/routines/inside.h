/* SPDX-License-Identifier: Apache-2.0 */
/* inside.h - what pack and unpack share: the rows of a padded tensor that lie inside its true dims. */
#ifndef VITJIT_BACKEND_ROUTINES_INSIDE_H
#define VITJIT_BACKEND_ROUTINES_INSIDE_H

#include "calls.h"

/* A padded tensor and its true dims, which are clamped to [0, padded dim]. */
typedef struct inside {
    int64_t rank, dims[8], true_dims[8];
    int64_t row, rows; /* elements of a true row (the last true dim), and the number of true rows */
} inside;

static inline void inside_of(inside *s, int64_t rank, const int64_t *given, int64_t d0, int64_t d1, int64_t d2,
                             int64_t d3, int64_t d4, int64_t d5, int64_t d6, int64_t d7) {
    const int64_t dims[8] = {d0, d1, d2, d3, d4, d5, d6, d7};
    s->rank = rank;
    s->row = s->rows = 1;
    for (int64_t d = 0; d < rank; d++) {
        const int64_t size = given[d] < 0 ? 0 : given[d] > dims[d] ? dims[d] : given[d];
        s->dims[d] = dims[d];
        s->true_dims[d] = size;
        if (d == rank - 1)
            s->row = size;
        else
            s->rows *= size;
    }
}

/* The offset at which true row r begins in the padded tensor. */
static inline int64_t padded_row(const inside *s, int64_t r) {
    int64_t at = 0, stride = s->rank > 0 ? s->dims[s->rank - 1] : 1;
    for (int64_t d = s->rank - 2; d >= 0; d--) {
        at += r % s->true_dims[d] * stride;
        r /= s->true_dims[d];
        stride *= s->dims[d];
    }
    return at;
}

/* M(name, type) for each dtype, with an integer of its width where only the bits are moved. */
#define FOR_ALL(M)                                                                                                     \
    M(bool, uint8_t)                                                                                                   \
    M(f16, uint16_t)                                                                                                   \
    M(bf16, uint16_t)                                                                                                  \
    FOR_INTEGERS(M)                                                                                                    \
    FOR_FLOATS(M)

#endif
