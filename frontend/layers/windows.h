/* SPDX-License-Identifier: Apache-2.0 */
/* windows.h - the windows of Conv and the pools: strides, dilations and padding of the spatial axes. */
#ifndef VITJIT_FRONTEND_LAYERS_WINDOWS_H
#define VITJIT_FRONTEND_LAYERS_WINDOWS_H

#include "frontend/import/import.h"

enum { VJ_MAX_SPATIAL = 3 };
typedef struct vj_windows {
    int32_t spatial;
    int64_t kernel[VJ_MAX_SPATIAL], stride[VJ_MAX_SPATIAL], dilation[VJ_MAX_SPATIAL];
    int64_t low[VJ_MAX_SPATIAL], high[VJ_MAX_SPATIAL]; /* padding */
    int64_t count[VJ_MAX_SPATIAL];                     /* of a pool: the windows along each axis */
    bool none; /* of a pool: an axis has no window, so that the result is empty */
} vj_windows;

/* Reads the current node's attributes for an input of type `x`. `kernel` has the weight's spatial dims, or is NULL:
 * then the attribute kernel_shape is read. */
bool vj_read_windows(vj_importer *im, const vj_type *x, const int64_t *kernel, vj_windows *w);
/* The same for a convolution of x by w, whose dims must be known. */
bool vj_read_conv(vj_importer *im, vj_value x, vj_value w, vj_windows *win);
/* bias VJ_NONE: none */
vj_value vj_emit_conv(vj_importer *im, vj_value x, vj_value w, vj_value bias, const vj_windows *win, int64_t groups);
/* Reads the attribute `name`, a list of exactly `count` numbers of at least `least`. All are `otherwise` when it is
 * absent. */
bool vj_read_numbers(vj_importer *im, const char *name, int32_t count, int64_t least, int64_t otherwise, int64_t *out);

/* What a mean over padding is divided by: by the taps on the padded axis, or by all taps. */
typedef enum vj_divisor { VJ_BY_PADDED, VJ_BY_ALL } vj_divisor;

/* Reads the windows of a pool. A window may end behind the padding, where ceil_mode adds it or where it is the only one
 * and less than a stride too long; what lies there is never read. Where padding counts in a mean, but not what lies
 * behind, x is padded here, and count_pad becomes false. */
bool vj_read_pool(vj_importer *im, vj_value *x, vj_windows *w, bool *count_pad, vj_divisor divisor);
/* A number of rank 0, broadcast to the empty result of a pool of x whose windows are none. */
vj_value vj_empty_pool(vj_importer *im, vj_value x, const vj_windows *w, vj_dtype dtype);
/* The mean over the windows of the current node's attributes. */
bool vj_average_pool(vj_importer *im, vj_value x, vj_divisor divisor, vj_value *y);
vj_value vj_max_pool(vj_importer *im, vj_value x, const vj_windows *w);

#endif
