/* SPDX-License-Identifier: Apache-2.0 */
/* precision_layers.c - which product each layer of a calibration is about. They go by the names of nodes, of equal names in their order. Of those in
 * bytes the depth and the weight's largest number must be what they were, or the calibration is of another model. */
#include "precision.h"

#include <math.h>
#include <string.h>

/* The next layer of this name that no product has; -1: none. */
static int32_t find(const vj_calibration *calibration, bool *taken, const char *name) {
    for (int32_t i = 0; i < calibration->layer_count; i++) {
        if (taken[i] || strcmp(calibration->layers[i].node, name) != 0) continue;
        taken[i] = true;
        return i;
    }
    return -1;
}

/* NAN: it cannot be read. */
static double largest_of(vj_pass_context *c, vj_value w) {
    const int64_t wide = vj_type_at(c->f, w)->dims[1].c;
    vj_arena *scratch = vj_arena_scratch(c->arena);
    double *columns = VJ_NEW_ARRAY(scratch, double, wide), largest = 0;
    if (!vj_largest_of_columns(c, w, columns)) largest = NAN;
    for (int64_t n = 0; n < wide; n++)
        largest = fmax(largest, columns[n]);
    vj_arena_free(scratch);
    return largest;
}

static bool fits(vj_pass_context *c, const vj_node *node, const vj_layer_choice *layer) {
    if (layer->precision != VJ_I8) return true;
    if (vj_packed_factor(c->f, node) != 1 || node->op == VJ_OP_conv) return false;
    const vj_type *w = vj_type_at(c->f, node->args[1]);
    if (w->rank != 2 || (layer->depth != 0 && layer->depth != w->dims[0].c)) return false;
    return layer->largest == 0 || (float)largest_of(c, node->args[1]) == layer->largest;
}

const vj_layer_choice *const *vj_layer_choices(vj_pass_context *c) {
    const vj_func *f = c->f;
    const vj_calibration *calibration = c->options->calibration;
    const vj_layer_choice **layers = VJ_NEW_ARRAY(c->arena, const vj_layer_choice *, f->node_count + 1);
    bool *taken = VJ_NEW_ARRAY(c->arena, bool, (calibration ? calibration->layer_count : 0) + 1);
    for (int32_t n = 0; calibration && n < f->node_count; n++) {
        const vj_node *node = &f->nodes[n];
        if (node->dead || !vj_is_float_product(f, node)) continue;
        const int32_t i = find(calibration, taken, vj_node_label(f, node));
        if (i < 0) continue;
        layers[n] = &calibration->layers[i];
        if (c->options->layer_matched) c->options->layer_matched[i] = true;
        if (fits(c, node, layers[n])) continue;
        if (!c->error->status)
            vj_fail(c->error, VJ_BAD_INPUT,
                    "the calibration is of another model: the weight of '%.200s' is not what it was", layers[n]->node);
        return NULL;
    }
    return layers;
}
