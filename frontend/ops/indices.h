/* indices.h - what the builders share of ops that index: index.c, scatter.c, regions.c. Private to frontend/. */
#ifndef VITJIT_FRONTEND_OPS_INDICES_H
#define VITJIT_FRONTEND_OPS_INDICES_H

#include "frontend/import/import.h"

/* The length of an axis that must not be the batch. */
bool vj_closed_length(vj_importer *im, vj_value x, int32_t axis, int64_t *length);
/* Indices that are known must be in [-length, length). */
bool vj_indices_fit(vj_importer *im, vj_value index, int64_t length);
/* Indices below 0 count from the end. */
vj_value vj_emit_from_front(vj_importer *im, vj_value index, int64_t length);
/* Index tuples [.., k] as numbers [..] of the k axes of data from `first` on, flattened to `length`. */
vj_value vj_emit_flat_index(vj_importer *im, vj_value index, const vj_type *data, int32_t first, int64_t *length);
/* Are `first` .. `first + k` - 1 axes of data, without the batch? */
bool vj_tuples_fit(vj_importer *im, const vj_type *index, const vj_type *data, int32_t first);
/* scatter.c: data and updates are alike but for the axis; how: set sum prod max min. */
vj_value vj_emit_scatter(vj_importer *im, const char *how, vj_value data, vj_value index, vj_value updates,
                         int32_t axis);

#endif
