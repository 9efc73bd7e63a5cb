/* precision.c - what products are computed in and how their weights are stored: as the caller asks it of the passes, and as
 * people are told. */
#include "compiler.h"

#include <string.h>

#include "vitjit_dtype.h"

void vj_ask_precision(vj_unit *u, vj_pipeline_options *options) {
    const vj_options *o = u->request->options;
    options->precision = vj_or_f32(o->precision);
    options->weight_format = vj_or_f32(o->weight_format);
    options->keep_f32 = o->keep_f32;
    options->keep_f32_count = o->keep_f32_count;
    options->keep_f32_matched = VJ_NEW_ARRAY(u->arena, bool, o->keep_f32_count + 1);
}

/* The node that a product was made of; NULL: the kernel is none, or its node has no name. */
static const char *product_name(const vj_kernel *k) {
    const bool is_product = k->kind == VJ_KERNEL_GEMM || k->kind == VJ_KERNEL_ATTENTION;
    return is_product && k->origin && k->origin->node && *k->origin->node ? k->origin->node : NULL;
}

static bool is_listed(const char *const *names, int32_t count, const char *name) {
    for (int32_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

/* 'a', 'b', ...: the first few. */
static const char *some_products(vj_unit *u) {
    enum { SHOWN = 4 };
    const vj_program *p = u->program;
    const char *names[SHOWN];
    int32_t count = 0;
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "%s", "");
    for (int32_t i = 0; i < p->kernel_count && count <= SHOWN; i++) {
        const char *name = product_name(p->kernels[i]);
        if (!name || is_listed(names, count < SHOWN ? count : SHOWN, name)) continue;
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

vj_status vj_check_kept(vj_unit *u, const vj_pipeline_options *options) {
    for (int32_t i = 0; i < options->keep_f32_count && passes_were_whole(u->request); i++) {
        if (options->keep_f32_matched[i]) continue;
        vj_fail(&u->error, VJ_USAGE, "no product has a name that '%.200s' matches (keep_f32)", options->keep_f32[i]);
        const char *names = some_products(u);
        if (*names)
            vj_hint(&u->error, "its products are %s", names);
        else
            vj_hint(&u->error, "its products have no names");
        return VJ_USAGE;
    }
    return VJ_OK;
}

/* "bf16 and f32": what packed weights of products are stored in. */
static void add_stored(vj_text *out, const vj_program *p) {
    bool stored[VJ_DTYPE_COUNT] = {false};
    const char *before = "; weights of products in ";
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (vj_is_packed(p, i)) stored[p->buffers[i].dtype] = true;
    for (int32_t dtype = 0; dtype < VJ_DTYPE_COUNT; dtype++) {
        if (!stored[dtype]) continue;
        vj_text_add(out, "%s%s", before, vj_element_name((vj_dtype)dtype));
        before = " and ";
    }
}

const char *vj_precision_text(vj_unit *u) {
    const vj_options *o = u->request->options;
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "%s", vj_element_name(vj_or_f32(o->precision)));
    for (int32_t i = 0; i < o->keep_f32_count; i++)
        vj_text_add(&text, "%s '%s'", i ? "," : ", but f32 for", o->keep_f32[i]);
    if (u->program) add_stored(&text, u->program);
    return text.at;
}
