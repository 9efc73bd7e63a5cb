/* SPDX-License-Identifier: Apache-2.0 */
/* precision.c - products are computed in bf16 where nothing forbids it (precision_choice.c): their factors are cast. For int8 those with
 * weights are in bytes first (precision_int8.c), and the others in bf16.
 *
 * The cast stands directly behind what makes the number, in front of what only moves it, so that lowering takes it into the
 * kernel that makes it. It goes past a slice or another op that takes a part only when all other readers want bf16 too. */
#include "precision.h"

#include <string.h>

typedef struct casting {
    vj_pass_context *c;
    bool *chosen;     /* nodes */
    bool *everyone;   /* values: all their readers want bf16 */
    bool *wanted;     /* values: somebody does */
    vj_value *narrow; /* values in bf16 */
} casting;

static bool keeps_all(vj_op op) { return op == VJ_OP_reshape || op == VJ_OP_transpose; }

/* Operands that a movement op moves; 0: it is none that bf16 goes through. */
static int32_t moved_operands(const vj_node *node) {
    switch (node->op) {
    case VJ_OP_reshape:
    case VJ_OP_transpose:
    case VJ_OP_slice:
    case VJ_OP_broadcast:
    case VJ_OP_gather:
        return 1;
    case VJ_OP_pad:
        return vj_attr_float(node, VJ_ATTR_VALUE, 0) == 0 ? 1 : 0;
    case VJ_OP_concat:
        return node->arg_count;
    default:
        return 0;
    }
}

static bool wants_bf16(const casting *s, const vj_use *use) {
    if (use->operand < 0) return false;
    const vj_node *node = &s->c->f->nodes[use->user];
    if (s->chosen[use->user]) return use->operand < vj_op_factors(node->op);
    return use->operand < moved_operands(node) && s->everyone[node->first_result];
}

/* Users stand behind what they use. */
static void find_readers(const casting *s) {
    const vj_func *f = s->c->f;
    for (int32_t n = f->node_count - 1; n >= 0; n--)
        for (vj_value v = f->nodes[n].first_result; v < f->nodes[n].first_result + f->nodes[n].result_count; v++) {
            s->everyone[v] = vj_use_count(f, v) > 0;
            for (int32_t u = f->values[v].first_use; u >= 0 && s->everyone[v]; u = f->uses[u].next)
                s->everyone[v] = wants_bf16(s, &f->uses[u]);
        }
}

/* Does bf16 come from in front of the node that makes v? */
static bool goes_through(const casting *s, vj_value v) {
    const vj_func *f = s->c->f;
    const vj_node *node = vj_producer(f, v);
    if (keeps_all(node->op)) return true;
    if (moved_operands(node) == 0 || !s->everyone[v] || vj_is_weight(f, v)) return false;
    return node->op != VJ_OP_slice || s->everyone[node->args[0]];
}

static void find_wanted(const casting *s) {
    const vj_func *f = s->c->f;
    for (int32_t n = f->node_count - 1; n >= 0; n--) {
        const vj_node *node = &f->nodes[n];
        if (s->chosen[n])
            for (int32_t i = 0; i < vj_op_factors(node->op); i++)
                s->wanted[node->args[i]] = true;
        if (node->result_count != 1 || !s->wanted[node->first_result] || !goes_through(s, node->first_result)) continue;
        for (int32_t i = 0; i < moved_operands(node); i++)
            s->wanted[node->args[i]] = true;
    }
}

static vj_value cast_to_bf16(vj_func *f, vj_value v) {
    const vj_node *node = vj_producer(f, v);
    if (vj_type_at(f, v)->dtype == VJ_BF16) return v;
    if (node->op == VJ_OP_cast && vj_type_at(f, node->args[0])->dtype == VJ_BF16) return node->args[0];
    return vj_make_cast(f, v, VJ_BF16, node->origin);
}

static vj_value moved(const casting *s, const vj_node *node) {
    vj_value *args = VJ_NEW_ARRAY(s->c->arena, vj_value, node->arg_count);
    const int32_t count = moved_operands(node);
    for (int32_t i = 0; i < node->arg_count; i++)
        args[i] = i < count ? s->narrow[node->args[i]] : node->args[i];
    return vj_make(s->c->f, node->op, args, node->arg_count, node->attrs, node->attr_count, node->origin);
}

static void make_narrow(const casting *s) {
    vj_func *f = s->c->f;
    const int32_t values = f->value_count;
    for (vj_value v = 0; v < values; v++) {
        if (!s->wanted[v]) continue;
        const vj_node node = *vj_producer(f, v);
        const bool is_bf16 = vj_type_at(f, v)->dtype == VJ_BF16;
        s->narrow[v] = !is_bf16 && goes_through(s, v) ? moved(s, &node) : cast_to_bf16(f, v);
        if (s->narrow[v] != v && !f->values[s->narrow[v]].name && s->everyone[v])
            f->values[s->narrow[v]].name = f->values[v].name;
    }
}

static const char *why_wide(vj_choice *choice, const vj_node *node, const vj_layer_choice *layer) {
    if (!vj_is_float_product(choice->c->f, node)) return "its factors are integers or doubles";
    if (layer && layer->precision == VJ_F32) return "the calibration keeps it in f32";
    return vj_why_exact(choice, node);
}

/* Chooses, and tells the report. Returns how many products there are to cast; -1: an error. */
static int32_t choose(vj_pass_context *c, vj_choice *choice, const vj_int8 *bytes, bool *chosen) {
    vj_report_row *row = vj_report_row_of(c->report, "bf16");
    int32_t count = 0, others = 0;
    row->seen = row->fused = row->reason_count = 0;
    for (int32_t n = 0; n < bytes->node_count; n++) {
        const vj_node *node = &c->f->nodes[n];
        if (node->dead || vj_op_factors(node->op) == 0) continue;
        const bool is_float = vj_is_float_product(c->f, node);
        if (bytes->weights[n].q >= 0 || (!is_float && c->options->precision == VJ_I8))
            continue; /* in bytes, of ours or the model's */
        const char *why = why_wide(choice, node, bytes->layers[n]);
        vj_report_seen(c->report, "bf16");
        others += !is_float;
        if (why) {
            vj_report_reason(c->report, "bf16", "node '%s': %s", vj_node_label(c->f, node), why);
            continue;
        }
        vj_report_fused(c->report, "bf16");
        chosen[n] = true;
        count++;
    }
    if (others == 0 || others < row->seen) return count;
    vj_fail(c->error, VJ_UNSUPPORTED, "bf16: all products of the model are of integers or doubles");
    return -1;
}

static bool is_cast(const vj_func *f, const vj_node *node) {
    for (int32_t i = 0; i < vj_op_factors(node->op); i++)
        if (vj_type_at(f, node->args[i])->dtype != VJ_BF16) return false;
    return true;
}

/* Products that are cast already, by an earlier run, count as bf16 and want nothing. */
static bool leave_what_is_cast(vj_pass_context *c, bool *chosen, int32_t nodes) {
    bool any = false;
    for (int32_t n = 0; n < nodes; n++) {
        if (!chosen[n]) continue;
        chosen[n] = !is_cast(c->f, &c->f->nodes[n]) && vj_may_rewrite(c, "bf16", &c->f->nodes[n]);
        any = any || chosen[n];
    }
    return any;
}

/* Casts the factors of the chosen products. */
static void cast_factors(vj_pass_context *c, bool *chosen, int32_t nodes) {
    vj_func *f = c->f;
    const casting s = {.c = c,
                       .chosen = chosen,
                       .everyone = VJ_NEW_ARRAY(c->arena, bool, f->value_count + 1),
                       .wanted = VJ_NEW_ARRAY(c->arena, bool, f->value_count + 1),
                       .narrow = VJ_NEW_ARRAY(c->arena, vj_value, f->value_count + 1)};
    find_readers(&s);
    find_wanted(&s);
    make_narrow(&s);
    for (int32_t n = 0; n < nodes; n++)
        for (int32_t i = 0; chosen[n] && i < vj_op_factors(f->nodes[n].op); i++)
            vj_set_operand(f, n, i, s.narrow[f->nodes[n].args[i]]);
}

vj_status vj_pass_precision(vj_pass_context *c) {
    vj_func *f = c->f;
    const bool int8 = c->options->precision == VJ_I8;
    if (!int8 && c->options->precision != VJ_BF16) return c->error->status;
    if (c->options->weight_format == VJ_F16)
        return vj_fail(c->error, VJ_USAGE, "products in bf16 have weights in bf16, not in f16");
    vj_compact(f);
    const vj_layer_choice *const *layers = vj_layer_choices(c);
    if (!layers) return c->error->status;
    vj_choice choice = vj_choice_of(c);
    if (c->options->probe) return vj_probe_products(c, &choice, layers);
    const int32_t nodes = f->node_count;
    vj_int8 bytes = vj_no_int8(c, layers);
    if (int8) vj_choose_int8(&bytes, &choice);
    bool *chosen = VJ_NEW_ARRAY(c->arena, bool, f->node_count + 1); /* weights in bytes have been added */
    if (c->error->status || choose(c, &choice, &bytes, chosen) < 0) return c->error->status;
    if (leave_what_is_cast(c, chosen, nodes)) cast_factors(c, chosen, nodes);
    vj_multiply_in_int8(&bytes);
    vj_compact(f);
    return c->error->status;
}
