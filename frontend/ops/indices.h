/* SPDX-License-Identifier: Apache-2.0 */
/* indices.h - what the builders of ops with indices share: index.c, scatter.c, regions.c. Private to frontend/. */
#ifndef VITJIT_FRONTEND_OPS_INDICES_H
#define VITJIT_FRONTEND_OPS_INDICES_H

#include "frontend/import/import.h"

/* Gives the length of an axis, which must not be the batch. */
bool vj_closed_length(vj_importer *im, vj_value x, int32_t axis, int64_t *length);
/* Returns false with an error when an index is known to be outside [-length, length). */
bool vj_indices_fit(vj_importer *im, vj_value index, int64_t length);
/* Makes indices count from the front; those below 0 count from the end. */
vj_value vj_emit_from_front(vj_importer *im, vj_value index, int64_t length);
/* Turns index tuples [.., k] into indices [..] of the k axes of data from `first` on, flattened to one axis of
 * `length`. */
vj_value vj_emit_flat_index(vj_importer *im, vj_value index, const vj_type *data, int32_t first, vj_dim *length);
/* Returns whether axes `first` .. `first + k` - 1 exist in data and none of them is the batch; k is the last dim of
 * index. */
bool vj_tuples_fit(vj_importer *im, const vj_type *index, const vj_type *data, int32_t first);
/* scatter.c: data and updates have the same dims but for the axis. `how` is set, sum, prod, max or min. */
vj_value vj_emit_scatter(vj_importer *im, const char *how, vj_value data, vj_value index, vj_value updates,
                         int32_t axis);

#endif
