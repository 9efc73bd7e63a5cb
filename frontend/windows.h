/* windows.h - the windows of Conv and the pools: strides, dilations and padding of the spatial axes. */
#ifndef VITJIT_FRONTEND_WINDOWS_H
#define VITJIT_FRONTEND_WINDOWS_H

#include "import.h"

typedef struct vj_windows {
    int32_t spatial;
    int64_t kernel[2], stride[2], dilation[2], low[2], high[2];
    bool widened; /* ceil_mode added padding that is not counted */
} vj_windows;

/* Reads the current node's attributes for an input of this type; `kernel` is the weight's, or NULL to read the
 * attribute. */
bool vj_read_windows(vj_importer *im, const vj_type *x, const int64_t *kernel, vj_windows *w);

#endif
