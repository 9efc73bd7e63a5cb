/* SPDX-License-Identifier: Apache-2.0 */
/* precision_choice.c - which products must not lose digits: those that say where something is, or which of several things it
 * is. It is found on the function alone, whatever CPU comes. */
#include "ir/tensor/grids.h"
#include "precision.h"

#include <fnmatch.h>
#include <math.h>

enum {
    FEW_COLUMNS = 4,  /* points and boxes */
    SHORT_DEPTH = 20, /* few columns of less are turned points, or expected values */
    SMALL_MATRIX = 4096
};
#define MOST_READ ((int64_t)1 << 20) /* elements of a matrix that may be one of resampling */

static bool is_factor_type(vj_dtype dtype) { return dtype == VJ_F32 || dtype == VJ_F16 || dtype == VJ_BF16; }

bool vj_is_float_product(const vj_func *f, const vj_node *node) {
    const int32_t factors = vj_op_factors(node->op);
    for (int32_t i = 0; i < factors; i++)
        if (!is_factor_type(vj_type_at(f, node->args[i])->dtype)) return false;
    return factors > 0;
}

static bool is_elementwise(const vj_node *node) { return vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE; }

/* Is v made of x by a few elementwise ops? */
static bool follows(const vj_func *f, vj_value v, vj_value x, int32_t steps) {
    if (v == x) return true;
    if (v < 0 || steps == 0 || !is_elementwise(vj_producer(f, v))) return false;
    for (int32_t i = 0; i < vj_producer(f, v)->arg_count; i++)
        if (follows(f, vj_operand(f, v, i), x, steps - 1)) return true;
    return false;
}

static bool is_comparison(const vj_node *node) {
    return node->op == VJ_OP_lt || node->op == VJ_OP_le || node->op == VJ_OP_eq;
}

/* A comparison that asks whether a number is NaN, or on which side of a bend of a function it is (a leaky ReLU): nothing is
 * picked by it. */
static bool only_bends(const vj_func *f, const vj_node *node) {
    enum { LONGEST_WAY = 4 };
    double number;
    if (!is_comparison(node)) return false;
    if (node->args[0] == node->args[1]) return true;
    const bool first = vj_is_uniform(f, node->args[0], &number), second = vj_is_uniform(f, node->args[1], &number);
    if (first == second) return false;
    const vj_value x = node->args[first];
    for (int32_t u = f->values[node->first_result].first_use; u >= 0; u = f->uses[u].next) {
        const vj_node *user = f->uses[u].operand == 0 ? &f->nodes[f->uses[u].user] : NULL;
        if (!user || user->op != VJ_OP_select ||
            (!follows(f, user->args[1], x, LONGEST_WAY) && !follows(f, user->args[2], x, LONGEST_WAY)))
            return false;
    }
    return true;
}

/* Bytes are quantised numbers; whole numbers of more bits, and booleans, are places and decisions. */
static bool is_quantity(vj_dtype dtype) { return vj_dtype_is_float(dtype) || vj_is_byte(dtype); }

/* What is picked by operand i: elements, places, a branch. */
static bool picks_by(const vj_func *f, const vj_node *node, int32_t i) {
    switch (node->op) {
    case VJ_OP_topk:
    case VJ_OP_nms:
    case VJ_OP_nonzero:
    case VJ_OP_unique:
        return true;
    case VJ_OP_lt:
    case VJ_OP_le:
    case VJ_OP_eq:
        return !only_bends(f, node);
    case VJ_OP_select:
        return i == 0;
    case VJ_OP_gather:
    case VJ_OP_gather_elements:
    case VJ_OP_gridsample:
        return i == 1;
    case VJ_OP_scatter:
        return i == 1;
    case VJ_OP_roialign:
        return i > 0;
    case VJ_OP_cast:
        return vj_dtype_is_float(vj_type_at(f, node->args[0])->dtype) &&
               !is_quantity(vj_type_at(f, node->first_result)->dtype);
    default:
        return false;
    }
}

static int64_t last_dim(const vj_type *type) { return type->rank ? type->dims[type->rank - 1].c : 1; }

static bool has_few_columns(const vj_func *f, const vj_node *node) {
    if (node->op == VJ_OP_attention) return false;
    if (node->op == VJ_OP_conv) return vj_type_at(f, node->args[1])->dims[0].c <= FEW_COLUMNS;
    return vj_is_weight(f, node->args[1]) && last_dim(vj_type_at(f, node->args[1])) <= FEW_COLUMNS;
}

static bool is_resampling(vj_choice *choice, const vj_node *node);

/* Is what comes out of the node what goes in, moved about or bent, but no new quantity? */
static bool passes_on(vj_choice *choice, const vj_node *node) {
    const vj_func *f = choice->c->f;
    if (vj_op_factors(node->op) == 0) return !only_bends(f, node);
    return (has_few_columns(f, node) && vj_product_depth(f, node) <= SHORT_DEPTH) || is_resampling(choice, node);
}

static void find_picks(vj_choice *choice) {
    const vj_func *f = choice->c->f;
    for (vj_value v = 0; v < f->value_count; v++)
        choice->picks[v] = -1;
    for (int32_t n = f->node_count - 1; n >= 0; n--) {
        const vj_node *node = &f->nodes[n];
        int32_t by = -1;
        if (node->dead) continue;
        for (int32_t r = 0; r < node->result_count; r++)
            if (choice->picks[node->first_result + r] >= 0) by = choice->picks[node->first_result + r];
        if (by >= 0 && !passes_on(choice, node)) by = -1;
        for (int32_t i = 0; i < node->arg_count; i++) {
            const int32_t at = picks_by(f, node, i) ? n : by;
            if (node->args[i] >= 0 && at >= 0) choice->picks[node->args[i]] = at;
        }
    }
}

static void find_varying(const vj_choice *choice) {
    const vj_func *f = choice->c->f;
    for (int32_t n = 0; n < f->node_count; n++) {
        const vj_node *node = &f->nodes[n];
        bool varies = node->op == VJ_OP_param;
        for (int32_t i = 0; i < node->arg_count; i++)
            varies = varies || (node->args[i] >= 0 && choice->varies[node->args[i]]);
        for (int32_t r = 0; r < node->result_count; r++)
            choice->varies[node->first_result + r] = varies;
    }
}

vj_choice vj_choice_of(vj_pass_context *c) {
    vj_choice choice = {.c = c,
                        .varies = VJ_NEW_ARRAY(c->arena, bool, c->f->value_count + 1),
                        .picks = VJ_NEW_ARRAY(c->arena, int32_t, c->f->value_count + 1),
                        .reader = vj_weight_reader_new(c->arena, c->f)};
    find_varying(&choice);
    find_picks(&choice);
    return choice;
}

/* Resampling: each result is a mean of few elements, with weights that add up to one. */

static bool adds_up_to_one(const double *sums, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(sums[i] - 1) <= 1e-4)) return false; /* a NaN adds up to nothing */
    return true;
}

static bool is_mostly_zero(const float *x, int64_t count) {
    int64_t zeros = 0;
    for (int64_t i = 0; i < count; i++)
        zeros += x[i] == 0;
    return 2 * zeros >= count;
}

/* Do the columns (or, of a matrix on the left, the rows) add up to one? A large matrix is given up at its first rows unless
 * they are mostly zeros. */
static bool has_weights_of_means(vj_choice *choice, vj_value w, bool rows, vj_arena *scratch) {
    const vj_type *type = vj_type_at(choice->c->f, w);
    const int64_t high = type->dims[0].c, wide = type->dims[1].c, block = vj_max64(1, SMALL_MATRIX / vj_max64(1, wide));
    double *sums = VJ_NEW_ARRAY(scratch, double, rows ? high : wide);
    float *at = VJ_NEW_ARRAY(scratch, float, block *wide);
    vj_error ignored = {0};
    for (int64_t r = 0; r < high; r += block) {
        const int64_t part = vj_min64(block, high - r);
        if (!vj_weight_read(choice->reader, w, r * wide, part * wide, at, &ignored)) return false;
        if (high * wide > SMALL_MATRIX && !is_mostly_zero(at, part * wide)) return false;
        for (int64_t i = 0; i < part; i++)
            for (int64_t j = 0; j < wide; j++)
                sums[rows ? r + i : j] += (double)at[i * wide + j];
    }
    return adds_up_to_one(sums, rows ? high : wide);
}

static bool is_resampling(vj_choice *choice, const vj_node *node) {
    const vj_func *f = choice->c->f;
    if (node->op != VJ_OP_linear && node->op != VJ_OP_matmul) return false;
    for (int32_t side = 0; side < 2; side++) {
        const vj_value w = node->args[side];
        const vj_type *type = vj_type_at(f, w);
        int64_t count;
        if (!vj_is_weight(f, w) || type->rank != 2 || !vj_type_is_static(type) || !vj_type_elements(f, type, &count) ||
            count < 1 || count > MOST_READ)
            continue;
        vj_arena *scratch = vj_arena_scratch(f->arena);
        const bool found = has_weights_of_means(choice, w, side == 0, scratch);
        vj_arena_free(scratch);
        if (found) return true;
    }
    return false;
}

bool vj_is_kept(vj_pass_context *c, const vj_node *node) {
    const vj_pipeline_options *options = c->options;
    bool named = false;
    for (int32_t i = 0; i < options->keep_f32_count; i++) {
        if (fnmatch(options->keep_f32[i], vj_node_label(c->f, node), 0) != 0) continue;
        if (options->keep_f32_matched) options->keep_f32_matched[i] = true;
        named = true;
    }
    return named;
}

static bool is_depthwise(const vj_func *f, const vj_node *node) {
    return vj_attr_int(node, VJ_ATTR_GROUPS, 1) > 1 && vj_type_at(f, node->args[1])->dims[1].c == 1;
}

const char *vj_why_exact_weight(vj_choice *choice, const vj_node *node) {
    bool varies = false;
    for (int32_t i = 0; i < vj_op_factors(node->op); i++)
        varies = varies || choice->varies[node->args[i]];
    if (vj_is_kept(choice->c, node)) return "--keep-f32 names it";
    if (!varies) return "it is made of constants alone";
    return is_resampling(choice, node) ? "its matrix resamples" : NULL;
}

const char *vj_why_exact(vj_choice *choice, const vj_node *node) {
    const vj_func *f = choice->c->f;
    const int32_t picks = choice->picks[node->first_result];
    const char *why = vj_why_exact_weight(choice, node);
    if (why) return why;
    if (node->op == VJ_OP_attention && node->arg_count > VJ_GRIDS_OPERAND)
        return "its scores and weights are rounded to the model's grids";
    if (picks >= 0) {
        vj_text text = {.arena = choice->c->arena};
        vj_text_add(&text, "%s '%s' picks by its result", vj_op_table(f->nodes[picks].op)->name,
                    vj_node_label(f, &f->nodes[picks]));
        return text.at;
    }
    if (has_few_columns(f, node)) return "its few columns may be points or boxes";
    if (node->op == VJ_OP_conv && is_depthwise(f, node)) return "a depthwise convolution is no product of matrices";
    if (node->op == VJ_OP_conv && vj_attr_int(node, VJ_ATTR_GROUPS, 1) == 1 &&
        !vj_has_groups(f, node, vj_panel_group(VJ_BF16)))
        return "its windows have few channels, or an odd number";
    return NULL;
}
