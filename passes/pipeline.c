/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.c - all passes, in their order. */
#include "passes/rewrite/rewrite.h"

#include <string.h>

#include "vitjit_clock.h"

static const vj_pass passes[] = {
    {"bound", "sizes that the data decides become bounds", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_bound},
    {"widen", "float16 and bfloat16 are computed in float32", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_widen},
    {"fold", "small constant expressions are computed", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_fold},
    {"empty", "what reads a tensor without elements", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_empty},
    {"canonicalise", "one spelling for each thing", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_canonicalise},
    {"quantised", "products of dequantised bytes", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_quantised},
    {"byte_table", "long expressions of a byte are looked up", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_byte_table},
    {"fake_quantise", "what is quantised and dequantised again stays a float", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR,
     vj_pass_fake_quantise},
    {"layernorm", "recognises layer normalisation", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_layernorm},
    {"gelu", "recognises GELU", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_gelu},
    {"softmax", "recognises softmax", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_softmax},
    {"attention", "recognises attention", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_attention},
    {"attention_weights", "weights of attentions that are asked for become outputs", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR,
     vj_pass_attention_weights},
    {"qkv", "merges the products of query, key and value", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_qkv},
    {"narrow", "what no one reads is not computed", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_narrow},
    {"weights", "scales and gains go into weights", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_weights},
    {"tidy", "folds and canonicalises once more", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_tidy},
    {"byte_blocks", "products of bytes by blocks", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_byte_blocks},
    {"precision", "products that may are computed in bf16", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_precision},
    {"weight_blocks", "weights that the model stores in 4 or 8 bits stay so", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR,
     vj_pass_weight_blocks},
    {"weight_format", "weights of products in 16 bits", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_weight_format},
    {"report", "counts what the report tells", VJ_LEVEL_TENSOR, VJ_LEVEL_TENSOR, vj_pass_report},
    {"lower", "nodes become kernels", VJ_LEVEL_TENSOR, VJ_LEVEL_KERNEL, vj_pass_lower},
    {"turn", "halves that stand turned by kernels of their own", VJ_LEVEL_KERNEL, VJ_LEVEL_KERNEL, vj_pass_turn},
    {"layout", "layouts of buffers and packed weights", VJ_LEVEL_KERNEL, VJ_LEVEL_KERNEL, vj_pass_layout},
    {"partition", "schedules, units of work, phases", VJ_LEVEL_KERNEL, VJ_LEVEL_PLANNED, vj_pass_partition},
    {"plan", "every buffer gets its place", VJ_LEVEL_PLANNED, VJ_LEVEL_PLANNED, vj_pass_plan},
};

int32_t vj_pass_count(void) { return (int32_t)(sizeof passes / sizeof *passes); }

const vj_pass *vj_pass_at(int32_t i) { return i >= 0 && i < vj_pass_count() ? &passes[i] : NULL; }

const vj_pass *vj_pass_by_name(const char *name) {
    for (int32_t i = 0; i < vj_pass_count(); i++)
        if (strcmp(passes[i].name, name) == 0) return &passes[i];
    return NULL;
}

static FILE *dump_file(const vj_pass_context *c) { return c->options->dump ? c->options->dump : stderr; }

bool vj_may_rewrite(vj_pass_context *c, const char *rule, const vj_node *node) {
    if (c->rewrites_left == 0) return false;
    if (c->rewrites_left > 0) c->rewrites_left--;
    c->rewrites++;
    if (!c->options->print_rewrites) return true;
    fprintf(dump_file(c), "%s: %s", c->pass, rule);
    if (node) fprintf(dump_file(c), " at '%s'", vj_node_label(c->f, node));
    fprintf(dump_file(c), "\n");
    return true;
}

vj_status vj_run_pass(const vj_pass *pass, vj_pass_context *c) {
    c->rewrites = 0;
    c->pass = pass->name;
    vj_status status = pass->run(c);
    if (status != VJ_OK) return status;
    return c->error->status;
}

static bool is_disabled(const vj_pipeline_options *options, const vj_pass *pass) {
    for (int32_t i = 0; i < options->disabled_count; i++)
        if (strcmp(options->disabled[i], pass->name) == 0) return true;
    return false;
}

static bool is_sound(const vj_pass_context *c, const vj_pass *pass) {
#ifdef NDEBUG
    if (!c->options->verify) return true;
#endif
    vj_error error = {0};
    if (c->p ? vj_verify_program(c->p, &error) : vj_verify(c->f, &error)) return true;
    vj_fail(c->error, VJ_SYSTEM, "after pass %s: %s", pass->name, error.text);
    return false;
}

static void dump(const vj_pass_context *c, const vj_pass *pass) {
    const char *wanted = c->options->print_after;
    if (!wanted || (strcmp(wanted, "all") != 0 && strcmp(wanted, pass->name) != 0)) return;
    FILE *out = dump_file(c);
    fprintf(out, "; after %s: %lld rewrites\n", pass->name, (long long)c->rewrites);
    if (c->p)
        vj_print_program(c->p, out);
    else
        vj_print(c->f, out);
}

static bool is_known(vj_error *error, const char *name) {
    if (!name || strcmp(name, "all") == 0 || vj_pass_by_name(name)) return true;
    vj_fail(error, VJ_USAGE, "there is no pass '%s'", name);
    return false;
}

vj_status vj_run_passes(vj_arena *arena, vj_func *f, const vj_pipeline_options *options, vj_report *report,
                        vj_program **p, vj_error *error) {
    vj_pass_context c = {.arena = arena,
                         .f = f,
                         .options = options,
                         .report = report,
                         .error = error,
                         .rewrites_left = options->pass_limit};
    *p = NULL;
    if (!is_known(error, options->print_after) || !is_known(error, options->stop_after)) return error->status;
    for (int32_t i = 0; i < options->disabled_count; i++)
        if (!is_known(error, options->disabled[i])) return error->status;
    for (int32_t i = 0; i < vj_pass_count(); i++) {
        const vj_pass *pass = &passes[i];
        if (options->cancel && options->cancel(options->cancel_self))
            return vj_fail(error, VJ_SYSTEM, "the compilation was cancelled");
        /* from lowering on no pass can be left out */
        if (pass->after == VJ_LEVEL_TENSOR && is_disabled(options, pass)) continue;
        const double start = options->tell ? vj_clock_ms() : 0;
        vj_status status = vj_run_pass(pass, &c);
        if (status != VJ_OK) return status;
        if (options->tell) options->tell(options->tell_self, pass, c.rewrites, vj_clock_ms() - start);
        if (!is_sound(&c, pass)) return error->status;
        dump(&c, pass);
        if (options->stop_after && strcmp(options->stop_after, pass->name) == 0) return VJ_OK;
    }
    *p = c.p;
    return VJ_OK;
}
