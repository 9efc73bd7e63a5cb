/* SPDX-License-Identifier: Apache-2.0 */
/* median.c - numbers in order, and the one in their middle. */
#include "tensors.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void vj_sort_numbers(double *values, int64_t count) { qsort(values, (size_t)count, sizeof *values, by_value); }

double vj_median(double *values, int64_t count) {
    vj_sort_numbers(values, count);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
