/* SPDX-License-Identifier: Apache-2.0 */
/* attention_weights.c - the weights of attentions become outputs, where the caller asks for them (keep_attention). A fused attention
 * has none in memory: they are computed once more beside it, from the same queries, keys, bias and mask. Whole weights
 * are large, so what pictures need is asked for by itself: those of the class token's query, or the mean over queries.
 *
 * Outputs are called `vitjit.attention.LL`, in the order of the layers, and `vitjit.attention.LL.HxW+F` when the keys are
 * the pixels of a picture of H x W patches behind F other tokens. */
#include "attention.h"

#include <assert.h>
#include <string.h>

#define PREFIX VJ_ATTENTION_PREFIX
/* Tokens that are no patches, where nothing says how many there are. */
enum { MOST_EXTRA_TOKENS = 8 };

/* Where the patches stand among an attention's keys. */
typedef struct grid {
    int64_t height, width, first;
} grid;

static bool is_constant(const vj_type *type, int32_t axis) { return type->dims[axis].sym == VJ_SYM_NONE; }

/* The finest picture among those that convolutions and pools made before node `end`, of at most `keys` pixels. */
static bool picture_before(const vj_func *f, int32_t end, int64_t keys, grid *g) {
    bool any = false;
    for (int32_t n = 0; n < end; n++) {
        const vj_node *node = &f->nodes[n];
        if (node->dead || (node->op != VJ_OP_conv && node->op != VJ_OP_pool)) continue;
        const vj_type *type = vj_type_at(f, node->first_result);
        int64_t pixels;
        if (type->rank != 4 || !is_constant(type, 2) || !is_constant(type, 3)) continue;
        any = true;
        if (!vj_mul(type->dims[2].c, type->dims[3].c, &pixels) || pixels > keys || pixels <= g->height * g->width)
            continue;
        g->height = type->dims[2].c;
        g->width = type->dims[3].c;
    }
    return any;
}

/* A model without convolutions cuts its patches by reshapes: the smallest square patch with at most `keys` of them. */
static void patches_of_input(const vj_func *f, int64_t keys, grid *g) {
    const vj_type *type = f->input_count == 1 ? vj_type_at(f, f->inputs[0]) : NULL;
    if (!type || type->rank != 4 || !is_constant(type, 2) || !is_constant(type, 3)) return;
    const int64_t height = type->dims[2].c, width = type->dims[3].c;
    for (int64_t side = 1; side <= vj_min64(height, width); side++) {
        if (height % side || width % side || height / side > keys / (width / side)) continue;
        *g = (grid){.height = height / side, .width = width / side};
        return;
    }
}

/* How many tokens stand before `pixels` of them in a concat to `keys`; -1: there is no such. */
static int64_t tokens_before(const vj_func *f, int32_t end, int64_t pixels, int64_t keys) {
    for (int32_t n = 0; n < end; n++) {
        const vj_node *node = &f->nodes[n];
        if (node->dead || node->op != VJ_OP_concat) continue;
        const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
        if (!vj_dim_equal(vj_type_at(f, node->first_result)->dims[axis], vj_dim_const(keys))) continue;
        int64_t before = 0;
        for (int32_t i = 0; i < node->arg_count; i++) {
            const int64_t size = vj_type_at(f, node->args[i])->dims[axis].c;
            if (size == pixels) return before;
            before += size;
        }
    }
    return -1;
}

static bool find_grid(const vj_func *f, int32_t end, int64_t keys, grid *g) {
    *g = (grid){0};
    if (!picture_before(f, end, keys, g)) patches_of_input(f, keys, g);
    const int64_t pixels = g->height * g->width, extra = keys - pixels;
    if (pixels < 2) return false;
    g->first = extra == 0 ? 0 : tokens_before(f, end, pixels, keys);
    if (g->first < 0 && extra <= MOST_EXTRA_TOKENS) g->first = extra;
    return g->first >= 0;
}

/* One query of a value [.., I, x], unless it is the same for all. */
static vj_value first_query(vj_func *f, vj_value v) {
    const vj_type *type = v < 0 ? NULL : vj_type_at(f, v);
    if (!type || type->rank < 2 || vj_dim_equal(type->dims[type->rank - 2], vj_dim_const(1))) return v;
    return vj_make_slice(f, v, type->rank - 2, 0, 1, vj_producer(f, v)->origin);
}

static vj_value number_like(vj_func *f, vj_value like, double x) {
    return vj_add_const_f64(f, vj_type_at(f, like)->dtype, 0, NULL, &x);
}

/* Scores from grid to grid. */
static vj_value on_grids(vj_func *f, const vj_node *node, bool first, vj_value scores) {
    vj_grid grids[VJ_MOST_GRIDS];
    vj_error ignored = {0};
    const int32_t count = vj_read_grids(f, node, grids, &ignored);
    for (int32_t i = 0; i + 1 < count; i++) {
        const vj_value addend = vj_addend_of(node, i);
        scores = vj_make_on_grid(f, scores, &grids[i], node->origin);
        if (addend < 0) continue;
        scores = vj_make_binary(f, VJ_OP_add, scores, first ? first_query(f, addend) : addend, node->origin);
    }
    return scores;
}

/* softmax(keep ? q k^T * scale + bias : value), on its grids, of an attention node, of the first query or of all. The weights are those
 * in front of their own grid. */
static vj_value weights_of(vj_func *f, const vj_node *node, bool first) {
    vj_value q = node->args[0], bias = node->arg_count > 3 ? node->args[3] : VJ_NONE;
    vj_value keep = node->arg_count > 4 ? node->args[4] : VJ_NONE;
    const double scale = vj_attr_float(node, VJ_ATTR_SCALE, 1), other = vj_attr_float(node, VJ_ATTR_VALUE, 0);
    const vj_value keys = vj_swap_last(f, node->args[1]);
    if (first) {
        q = first_query(f, q);
        bias = first_query(f, bias);
        keep = first_query(f, keep);
    }
    vj_value scores = vj_make_binary(f, VJ_OP_matmul, q, keys, node->origin);
    if (scale != 1) scores = vj_make_binary(f, VJ_OP_mul, scores, number_like(f, scores, scale), node->origin);
    if (bias >= 0) scores = vj_make_binary(f, VJ_OP_add, scores, bias, node->origin);
    if (keep >= 0) {
        const vj_value args[] = {keep, scores, number_like(f, scores, other)};
        scores = vj_make(f, VJ_OP_select, args, 3, NULL, 0, node->origin);
    }
    scores = on_grids(f, node, first, scores);
    const vj_attr axis = vj_int(VJ_ATTR_AXIS, vj_type_at(f, scores)->rank - 1);
    return vj_make(f, VJ_OP_softmax, &scores, 1, &axis, 1, node->origin);
}

/* Images first: [cN, ..] is [N, c, ..]. VJ_NONE: the images are not apart. */
static vj_value by_image(vj_func *f, vj_value v) {
    const vj_type *type = vj_type_at(f, v);
    if (!f->batch_is_open) return v;
    for (int32_t i = 0; i < type->rank; i++)
        if (type->dims[i].sym != (i == 0 ? VJ_SYM_BATCH : VJ_SYM_NONE)) return VJ_NONE;
    if (type->rank < 1 || type->dims[0].c == 1) return type->rank < 1 ? VJ_NONE : v;
    if (type->rank == VJ_MAX_RANK) return VJ_NONE;
    vj_dim dims[VJ_MAX_RANK] = {{1, VJ_SYM_BATCH}, vj_dim_const(type->dims[0].c)};
    for (int32_t i = 1; i < type->rank; i++)
        dims[i + 1] = type->dims[i];
    return vj_make_reshape(f, v, type->rank + 1, dims, vj_producer(f, v)->origin);
}

static vj_value mean_over_queries(vj_func *f, vj_value weights) {
    const int64_t axis = vj_type_at(f, weights)->rank - 2;
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_AXES, &axis, 1), vj_int(VJ_ATTR_KEEP, 1), vj_name(VJ_ATTR_KIND, "mean")};
    return vj_make(f, VJ_OP_reduce, &weights, 1, attrs, 3, vj_producer(f, weights)->origin);
}

/* What is kept of the weights that node n makes, a fused attention or a softmax. */
static vj_value kept_of(vj_func *f, int32_t n, const grid *g, bool rows) {
    const vj_node node = f->nodes[n];
    const bool fused = node.op == VJ_OP_attention;
    const vj_value queries = fused ? node.args[0] : node.first_result;
    const vj_dim count = vj_type_at(f, queries)->dims[vj_type_at(f, queries)->rank - 2];
    const vj_dim keys = fused ? vj_type_at(f, node.args[1])->dims[vj_type_at(f, node.args[1])->rank - 2]
                              : vj_last_dim(vj_type_at(f, queries));
    const bool has_class_token = g && g->first > 0 && vj_dim_equal(count, keys);
    const bool first = rows && has_class_token;
    vj_value weights = fused   ? weights_of(f, &node, first)
                       : first ? first_query(f, node.first_result)
                               : node.first_result;
    if (rows && !first) weights = mean_over_queries(f, weights);
    return by_image(f, weights);
}

static void add_map(vj_func *f, const char *name, vj_value v) {
    const int32_t last = f->output_count;
    vj_add_output(f, name, v);
    if (!f->output_dims) return;
    int32_t *dims = VJ_NEW_ARRAY(f->arena, int32_t, f->output_count);
    memcpy(dims, f->output_dims, sizeof *dims * (size_t)last);
    dims[last] = -1;
    f->output_dims = dims;
}

static int64_t keys_of(const vj_func *f, const vj_node *node) {
    const vj_type *type = vj_type_at(f, node->op == VJ_OP_attention ? node->args[1] : node->first_result);
    const vj_dim dim = type->dims[type->rank - (node->op == VJ_OP_attention ? 2 : 1)];
    return dim.sym == VJ_SYM_NONE ? dim.c : 0;
}

/* Weights over the last axis, on their way to a product with values. */
static bool makes_weights(vj_func *f, int32_t n) {
    const char *why;
    const vj_node *node = &f->nodes[n];
    if (node->dead || node->op == VJ_OP_attention) return !node->dead;
    if (node->op != VJ_OP_softmax) return false;
    const vj_type *type = vj_type_at(f, node->first_result);
    return type->rank >= 2 && vj_attr_int(node, VJ_ATTR_AXIS, 0) == type->rank - 1 &&
           vj_why_no_attention(f, node->first_result, &why);
}

static bool are_kept(const vj_func *f) {
    for (int32_t i = 0; i < f->output_count; i++)
        if (strncmp(f->output_names[i], PREFIX, strlen(PREFIX)) == 0) return true;
    return false;
}

vj_status vj_pass_attention_weights(vj_pass_context *c) {
    vj_func *f = c->f;
    const int32_t keep = c->options->keep_attention, end = f->node_count;
    if (keep == VJ_KEEP_NO_ATTENTION || are_kept(f)) return VJ_OK;
    for (int32_t n = 0, layer = 0; n < end; n++) {
        if (!makes_weights(f, n)) continue;
        grid g;
        const bool on_picture = find_grid(f, n, keys_of(f, &f->nodes[n]), &g);
        const char *name = vj_sprintf(f->arena, PREFIX "%02d", (int)layer++);
        if (on_picture)
            name = vj_sprintf(f->arena, "%s.%lldx%lld+%lld", name, (long long)g.height, (long long)g.width,
                              (long long)g.first);
        const vj_value v = kept_of(f, n, on_picture ? &g : NULL, keep == VJ_KEEP_ATTENTION_ROWS);
        if (v < 0 || !vj_may_rewrite(c, "weights_as_output", &f->nodes[n])) continue;
        add_map(f, name, v);
    }
    vj_compact(f);
    return VJ_OK;
}
