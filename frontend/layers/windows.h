/* windows.h - the windows of Conv and the pools: strides, dilations and padding of the spatial axes. */
#ifndef VITJIT_FRONTEND_LAYERS_WINDOWS_H
#define VITJIT_FRONTEND_LAYERS_WINDOWS_H

#include "frontend/import/import.h"

enum { VJ_MAX_SPATIAL = 3 };
typedef struct vj_windows {
    int32_t spatial;
    int64_t kernel[VJ_MAX_SPATIAL], stride[VJ_MAX_SPATIAL], dilation[VJ_MAX_SPATIAL];
    int64_t low[VJ_MAX_SPATIAL], high[VJ_MAX_SPATIAL]; /* padding */
} vj_windows;

/* Reads the current node's attributes for an input of this type; `kernel` is the weight's, or NULL to read the
 * attribute. */
bool vj_read_windows(vj_importer *im, const vj_type *x, const int64_t *kernel, vj_windows *w);
/* The attribute `name`, a list of exactly `count` numbers of at least `least`; all `otherwise` when it is absent. */
bool vj_read_numbers(vj_importer *im, const char *name, int32_t count, int64_t least, int64_t otherwise, int64_t *out);

/* The same of a pool with its ceil_mode, which may add windows that begin inside. Where padding counts in a mean, what
 * added windows have behind the padding does not: then x is padded here, and the rest counts no more. */
bool vj_read_pool(vj_importer *im, vj_value *x, vj_windows *w, bool *count_pad);
vj_value vj_max_pool(vj_importer *im, vj_value x, const vj_windows *w);

#endif
