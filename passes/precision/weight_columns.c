/* SPDX-License-Identifier: Apache-2.0 */
/* weight_columns.c - what each column, or each row, of a weight [depth, columns] amounts to, read in blocks of rows. */
#include "precision.h"

#include <math.h>

#define BLOCK ((int64_t)1 << 16)

typedef void taker(double *to, float x);

static bool walk(vj_pass_context *c, vj_value w, bool by_rows, taker *take, double *to) {
    const vj_type *type = vj_type_at(c->f, w);
    const int64_t depth = type->dims[0].c, wide = type->dims[1].c, rows = vj_max64(1, BLOCK / wide);
    vj_arena *scratch = vj_arena_scratch(c->arena);
    vj_weight_reader *reader = vj_weight_reader_new(scratch, c->f);
    float *block = VJ_NEW_ARRAY(scratch, float, rows *wide);
    bool good = true;
    for (int64_t k = 0; k < depth && good; k += rows) {
        const int64_t part = vj_min64(rows, depth - k);
        good = vj_weight_read(reader, w, k * wide, part * wide, block, c->error);
        for (int64_t r = 0; r < part && good; r++)
            for (int64_t n = 0; n < wide; n++)
                take(&to[by_rows ? k + r : n], block[r * wide + n]);
    }
    vj_arena_free(scratch);
    return good;
}

static void take_largest(double *to, float x) {
    if (fabs((double)x) > *to || isnan(x)) *to = fabs((double)x); /* a NaN stays */
}

static void take_sum(double *to, float x) { *to += (double)x; }

bool vj_largest_of_columns(vj_pass_context *c, vj_value w, double *largest) {
    return walk(c, w, false, take_largest, largest);
}

bool vj_largest_of_rows(vj_pass_context *c, vj_value w, double *largest) {
    return walk(c, w, true, take_largest, largest);
}

bool vj_sums_of_columns(vj_pass_context *c, vj_value w, double *sums) { return walk(c, w, false, take_sum, sums); }
