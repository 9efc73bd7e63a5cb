/* SPDX-License-Identifier: Apache-2.0 */
/* open_dims.c - sizes for what an input leaves open, where nobody gives a shape: those of pictures, from the caller's files, and
 * an example for people to go by.
 */
#include "import.h"

#include <inttypes.h>

enum { BATCH, CHANNELS, HEIGHT, WIDTH, OTHER };
enum { EXAMPLE_CHANNELS = 3, EXAMPLE_SIDE = 224, EXAMPLE_OTHER = 16 };

static int64_t fixed_size(const Onnx__Dimension *d) {
    const bool named = d->dim_param && *d->dim_param;
    return !named && d->has_dim_value && d->dim_value > 0 ? d->dim_value : 0;
}

static bool are_channels(const Onnx__Dimension *d) { return fixed_size(d) == 1 || fixed_size(d) == 3; }

/* What each dim of a picture's input is: [N,C,H,W], or [N,H,W,C] where only the last one can be channels. */
static int32_t role_of(const Onnx__TensorShapeProto *shape, int32_t axis) {
    static const int32_t planes[] = {BATCH, CHANNELS, HEIGHT, WIDTH}, pixels[] = {BATCH, HEIGHT, WIDTH, CHANNELS};
    if (shape->n_dim != 4) return axis == 0 ? BATCH : OTHER;
    return (are_channels(shape->dim[3]) && !are_channels(shape->dim[1]) ? pixels : planes)[axis];
}

/* May it be a picture? Open channels alone say too little: a cache of keys is [N,heads,tokens,dims]. */
static bool may_be_picture(const Onnx__TensorTypeProto *t, const int64_t picture[3]) {
    const vj_dtype dtype = vj_dtype_of_onnx(t->elem_type);
    if (!t->shape || t->shape->n_dim != 4) return false;
    if (dtype != VJ_F32 && dtype != VJ_F16 && dtype != VJ_BF16 && dtype != VJ_U8) return false;
    bool has_channels = false, agrees = true;
    for (int32_t i = 1; i < 4; i++) {
        const int64_t size = fixed_size(t->shape->dim[i]);
        const int32_t role = role_of(t->shape, i);
        has_channels |= role == CHANNELS && are_channels(t->shape->dim[i]);
        agrees = agrees && (size == 0 || size == picture[role - CHANNELS]);
    }
    return has_channels || agrees;
}

bool vj_picture_shape(const vj_importer *im, const Onnx__TensorTypeProto *t, vj_shape *shape) {
    const int64_t *picture = im->options ? im->options->picture : NULL;
    bool is_open = false;
    if (!picture || !may_be_picture(t, picture)) return false;
    *shape = (vj_shape){.rank = 4, .dims = {1}};
    for (int32_t i = 1; i < 4; i++) {
        const int64_t size = fixed_size(t->shape->dim[i]);
        is_open |= size == 0;
        shape->dims[i] = size ? size : picture[role_of(t->shape, i) - CHANNELS];
        if (shape->dims[i] < 1) return false;
    }
    return is_open;
}

const char *vj_example_shape(vj_arena *arena, const Onnx__TensorTypeProto *t) {
    static const int64_t sizes[] = {[BATCH] = 1,
                                    [CHANNELS] = EXAMPLE_CHANNELS,
                                    [HEIGHT] = EXAMPLE_SIDE,
                                    [WIDTH] = EXAMPLE_SIDE,
                                    [OTHER] = EXAMPLE_OTHER};
    if (!t->shape || t->shape->n_dim == 0) return "1x3x224x224";
    vj_text text = {.arena = arena};
    for (int32_t i = 0; i < (int32_t)t->shape->n_dim; i++) {
        const int64_t size = fixed_size(t->shape->dim[i]);
        vj_text_add(&text, "%s%" PRId64, i ? "x" : "", size ? size : sizes[role_of(t->shape, i)]);
    }
    return text.at;
}
