/* SPDX-License-Identifier: Apache-2.0 */
/* precision.c - what products are computed in and how their weights are stored: as the caller asks it of the passes, and as
 * people are told. */
#include "compiler.h"

#include <string.h>

#include "passes/precision/precision.h"
#include "passes/rewrite/rewrite.h"
#include "vitjit_dtype.h"

vj_status vj_ask_precision(vj_unit *u, vj_pipeline_options *options) {
    const vj_options *o = u->request->options;
    if (o->calibration && !u->calibration) {
        const vj_status status = vj_read_calibration(u, o->calibration, o->calibration_bytes, &u->calibration);
        if (status) return status;
    }
    options->precision = vj_or_f32(o->precision);
    options->weight_format = vj_or_f32(o->weight_format);
    options->keep_f32 = o->keep_f32;
    options->keep_f32_count = o->keep_f32_count;
    options->keep_f32_matched = VJ_NEW_ARRAY(u->arena, bool, o->keep_f32_count + 1);
    options->calibration = u->calibration;
    options->layer_matched = VJ_NEW_ARRAY(u->arena, bool, (u->calibration ? u->calibration->layer_count : 0) + 1);
    options->probe = u->request->probe != 0;
    return VJ_OK;
}

/* May patterns of keep_f32 name the node? Where bf16 is not asked for they are about weights that are packed. */
static bool can_be_kept(const vj_pipeline_options *options, const vj_func *f, const vj_node *node) {
    if (node->op == VJ_OP_linear_blocks) return !node->dead;
    if (node->dead || !vj_is_float_product(f, node)) return false;
    return options->precision != VJ_F32 || vj_packed_factor(f, node) >= 0;
}

static bool is_listed(const char *const *names, int32_t count, const char *name) {
    for (int32_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

/* 'a', 'b', ...: the first few names that a pattern could match. */
static const char *some_products(vj_unit *u, const vj_pipeline_options *options) {
    enum { SHOWN = 4 };
    const char *names[SHOWN];
    int32_t count = 0;
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "%s", "");
    for (int32_t n = 0; n < u->f->node_count && count <= SHOWN; n++) {
        if (!can_be_kept(options, u->f, &u->f->nodes[n])) continue;
        const char *name = vj_node_label(u->f, &u->f->nodes[n]);
        if (is_listed(names, count < SHOWN ? count : SHOWN, name)) continue;
        if (count < SHOWN) {
            names[count] = name;
            vj_text_add(&text, "%s'%.80s'", count ? ", " : "", vj_shown(u->arena, name));
        }
        count++;
    }
    if (count > SHOWN) vj_text_add(&text, ", ...");
    return text.at;
}

/* Passes that were left out or cut short say nothing of patterns. */
static bool passes_were_whole(const vj_compile_request *r) {
    return !r->stop_after && r->disabled_pass_count == 0 && r->pass_limit < 0;
}

/* Patterns want products that are not in float32 anyway: the caller's, or the model's (accuracy_level 4). */
static vj_status refuse_all_f32(vj_unit *u) {
    vj_fail(&u->error, VJ_USAGE, "keep_f32 means nothing where all products are in f32");
    vj_hint(&u->error, "precision and weight_format say what others are in");
    return VJ_USAGE;
}

static vj_status check_kept(vj_unit *u, const vj_pipeline_options *options) {
    const bool all_f32 = options->precision == VJ_F32 && options->weight_format == VJ_F32;
    if (all_f32 && options->keep_f32_count > 0 && vj_report_row_of(&u->report, "byte_blocks")->seen == 0)
        return refuse_all_f32(u);
    for (int32_t i = 0; i < options->keep_f32_count; i++) {
        if (options->keep_f32_matched[i]) continue;
        const char *which = options->precision != VJ_F32 ? "product" : "product with a packed weight";
        vj_fail(&u->error, VJ_USAGE, "no %s has a name that '%.200s' matches (keep_f32)", which,
                vj_shown(u->arena, options->keep_f32[i]));
        const char *names = some_products(u, options);
        if (*names)
            vj_hint(&u->error, "its products are %s", names);
        else
            vj_hint(&u->error, "it has none");
        return VJ_USAGE;
    }
    return VJ_OK;
}

vj_status vj_check_precision(vj_unit *u, const vj_pipeline_options *options) {
    if (!passes_were_whole(u->request)) return VJ_OK;
    const vj_status status = check_kept(u, options);
    return status ? status : vj_check_layers(u, options);
}

/* "bf16 and f32": what packed weights of products are stored in. */
static void add_stored(vj_text *out, const vj_program *p) {
    bool stored[VJ_DTYPE_COUNT] = {false}, in_bits[9] = {false};
    vj_blocks blocks;
    const char *before = "; weights of products in ";
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (vj_has_blocks(p, i, &blocks))
            in_bits[blocks.bits] = true;
        else if (vj_is_packed(p, i))
            stored[p->buffers[i].dtype] = true;
    for (int32_t dtype = 0; dtype < VJ_DTYPE_COUNT; dtype++) {
        if (!stored[dtype]) continue;
        vj_text_add(out, "%s%s", before, vj_element_name((vj_dtype)dtype));
        before = " and ";
    }
    for (int32_t bits = 0; bits < 9; bits++) {
        if (!in_bits[bits]) continue;
        vj_text_add(out, "%sblocks of %d bits", before, (int)bits);
        before = " and ";
    }
}

static void add_kept(vj_text *out, const char *before, const vj_options *o) {
    for (int32_t i = 0; i < o->keep_f32_count; i++)
        vj_text_add(out, "%s '%s'", i ? "," : before, vj_shown(out->arena, o->keep_f32[i]));
}

const char *vj_precision_text(vj_unit *u) {
    const vj_options *o = u->request->options;
    const vj_dtype precision = vj_or_f32(o->precision);
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "%s", vj_precision_name(precision));
    if (u->calibration)
        vj_text_add(&text, ", calibrated on %lld inputs (cosine at least %.5f)", (long long)u->calibration->inputs,
                    u->calibration->least_cosine);
    if (precision != VJ_F32) add_kept(&text, ", but f32 for", o);
    if (u->program) add_stored(&text, u->program);
    if (precision == VJ_F32) add_kept(&text, ", as the model has them for", o);
    return text.at;
}
