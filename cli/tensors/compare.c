/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c - a result beside the expected one: --expect and --test. */
#include "tensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool vj_same_type(const vj_array *a, const vj_array *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

bool vj_is_float(vj_dtype dtype) { return dtype == VJ_F32 || dtype == VJ_F64 || dtype == VJ_F16 || dtype == VJ_BF16; }

static double largest(const vj_array *a) {
    double most = 0;
    for (int64_t i = 0; i < vj_array_elements(a); i++) {
        const double x = fabs(vj_array_at(a, i));
        if (isfinite(x) && x > most) most = x;
    }
    return most;
}

/* Infinities and NaN must be the same. */
static void add_element(vj_difference *d, int64_t i, double got, double want, double rtol, double atol) {
    if (!isfinite(got) || !isfinite(want)) {
        const bool same = got == want || (isnan(got) && isnan(want));
        if (!same) d->max_abs = d->max_rel = INFINITY;
        if (!same && d->first_bad < 0) d->first_bad = i;
        return;
    }
    const double error = fabs(got - want), rel = error > 0 ? error / fabs(want) : 0;
    if (error > d->max_abs) d->max_abs = error;
    if (rel > d->max_rel) d->max_rel = rel;
    if (error > atol + rtol * fabs(want) && d->first_bad < 0) d->first_bad = i;
    d->dot += got * want;
    d->got_square += got * got;
    d->want_square += want * want;
}

static void add_row(vj_difference *d, const vj_array *got, const vj_array *want, int64_t first, int64_t length) {
    int64_t top_got = first, top_want = first;
    for (int64_t i = first; i < first + length; i++) {
        if (vj_array_at(got, i) > vj_array_at(got, top_got)) top_got = i;
        if (vj_array_at(want, i) > vj_array_at(want, top_want)) top_want = i;
    }
    d->rows++;
    d->same_top += vj_array_at(want, top_got) >= vj_array_at(want, top_want); /* ties are no difference */
}

/* "[0,17]" */
static const char *index_words(const vj_array *a, int64_t i, char text[VJ_TYPE_TEXT]) {
    int64_t at[VJ_MODEL_MAX_RANK];
    for (int32_t d = a->rank - 1; d >= 0; d--) {
        at[d] = i % a->dims[d];
        i /= a->dims[d];
    }
    int used = snprintf(text, VJ_TYPE_TEXT, "[");
    for (int32_t d = 0; d < a->rank; d++)
        used += snprintf(text + used, VJ_TYPE_TEXT - (size_t)used, "%s%lld", d ? "," : "", (long long)at[d]);
    snprintf(text + used, VJ_TYPE_TEXT - (size_t)used, "]");
    return text;
}

static void print_difference(const char *label, const vj_difference *d, const vj_array *got, const vj_array *want) {
    char index[VJ_TYPE_TEXT];
    const double norm = sqrt(d->got_square) * sqrt(d->want_square);
    printf("%s: max abs %.3g, max rel %.3g", label, d->max_abs, d->max_rel);
    if (norm > 0) printf(", cosine %.8f", d->dot / norm);
    if (d->rows) printf(", top-1 same in %lld of %lld", (long long)d->same_top, (long long)d->rows);
    if (d->first_bad < 0)
        printf(": ok\n");
    else
        printf(": DIFFERS, first at %s: %.9g is not %.9g\n", index_words(got, d->first_bad, index),
               vj_array_at(got, d->first_bad), vj_array_at(want, d->first_bad));
}

vj_difference vj_differ(const vj_array *got, const vj_array *want, const vj_tolerance *tolerance) {
    vj_difference d = {.first_bad = -1};
    const bool floats = vj_is_float(want->dtype);
    const int64_t elements = vj_array_elements(got), row = got->rank ? got->dims[got->rank - 1] : 1;
    if (floats) {
        const double atol = tolerance->atol + tolerance->atol_of_largest * largest(want);
        for (int64_t i = 0; i < elements; i++)
            add_element(&d, i, vj_array_at(got, i), vj_array_at(want, i), tolerance->rtol, atol);
        for (int64_t i = 0; row > 1 && i < elements; i += row)
            add_row(&d, got, want, i, row);
    } else {
        const size_t size = vj_dtype_bytes(got->dtype);
        for (int64_t i = 0; i < elements; i++) {
            const size_t at = (size_t)i * size;
            const bool same = memcmp((const char *)got->data + at, (const char *)want->data + at, size) == 0;
            add_element(&d, i, vj_array_at(got, i), vj_array_at(want, i), INFINITY, 0);
            if (!same && d.first_bad < 0) d.first_bad = i;
        }
    }
    return d;
}

double vj_cosine(const vj_difference *d) {
    const double norm = sqrt(d->got_square) * sqrt(d->want_square);
    if (norm > 0) return d->dot / norm;
    return d->got_square > 0 || d->want_square > 0 ? 0 : 1;
}

vj_status vj_compare(const char *label, const vj_array *got, const vj_array *want, const vj_tolerance *tolerance) {
    if (!vj_same_type(got, want)) {
        char a[VJ_TYPE_TEXT], b[VJ_TYPE_TEXT];
        printf("%s: DIFFERS: %s is not %s\n", label, vj_type_words(got->dtype, got->dims, got->rank, a),
               vj_type_words(want->dtype, want->dims, want->rank, b));
        return VJ_DIFFERS;
    }
    const vj_difference d = vj_differ(got, want, tolerance);
    print_difference(label, &d, got, want);
    return d.first_bad < 0 ? VJ_OK : VJ_DIFFERS;
}
