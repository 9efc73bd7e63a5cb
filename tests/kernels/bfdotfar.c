/* SPDX-License-Identifier: Apache-2.0 */
/* bfdotfar.c - bfdotfar CASES: on aarch64 with FEAT_BF16, has the product of entry.s the bits that the cases of bfdotcases.c
 * want? Prints the first that has not. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void entry(void *const *accesses, int64_t first, int64_t last);

static int different(const uint32_t *got, const uint32_t *wanted, int64_t count, int64_t round) {
    for (int64_t i = 0; i < count; i++)
        if (got[i] != wanted[i])
            return printf("round %lld, element %lld is %08x, the twin's %08x\n", (long long)round, (long long)i, got[i],
                          wanted[i]);
    return 0;
}

int main(int argc, char **argv) {
    int64_t head[4], rounds = 0; /* elements of A, of B and of the result; units */
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file || fread(head, sizeof head, 1, file) != 1) return 2;
    uint16_t *a = calloc((size_t)head[0], sizeof *a), *b = aligned_alloc(64, ((size_t)head[1] * sizeof *b + 63) & ~63u);
    uint32_t *got = calloc((size_t)head[2], sizeof *got), *wanted = calloc((size_t)head[2], sizeof *wanted);
    if (!a || !b || !got || !wanted) return 2;
    while (fread(a, sizeof *a, (size_t)head[0], file) == (size_t)head[0]) {
        if (fread(b, sizeof *b, (size_t)head[1], file) != (size_t)head[1]) return 2;
        if (fread(wanted, sizeof *wanted, (size_t)head[2], file) != (size_t)head[2]) return 2;
        entry((void *[]){a, b, got}, 0, head[3]);
        if (different(got, wanted, head[2], rounds)) return 1;
        rounds++;
    }
    printf("%lld sums have the twin's bits\n", (long long)(rounds * head[2]));
    return rounds == 0;
}
