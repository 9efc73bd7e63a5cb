/* SPDX-License-Identifier: Apache-2.0 */
/* random.c - numbers from a seed. */
#include "graph.h"

uint64_t rng_bits(rng *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int32_t pick(rng *r, int32_t below) { return (int32_t)((rng_bits(r) >> 33) % (uint64_t)below); }

bool chance(rng *r, int32_t percent) { return pick(r, 100) < percent; }

double real(rng *r, double low, double high) { return low + (high - low) * ((double)(rng_bits(r) >> 40) * 0x1p-24); }

void permutation(rng *r, int64_t *perm, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        perm[i] = i;
    for (int32_t i = count - 1; i > 0; i--) {
        const int32_t other = pick(r, i + 1);
        const int64_t swap = perm[i];
        perm[i] = perm[other];
        perm[other] = swap;
    }
}
