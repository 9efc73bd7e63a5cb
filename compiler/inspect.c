/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c - texts about a model: --inspect, which works on unsupported models too, and --report as text and JSON. */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

static vj_status hand_out(vj_unit *u, const char *text, void *self) {
    char **out = self;
    *out = strdup(text);
    return *out ? VJ_OK : vj_fail(&u->error, VJ_SYSTEM, "out of memory");
}

static void add_ops(vj_text *out, const vj_model_facts *facts) {
    vj_text_add(out, "%-11s", "ops");
    for (int32_t i = 0; i < facts->op_count; i++)
        vj_text_add(out, " %s %d%s%s", facts->ops[i].op, (int)facts->ops[i].count,
                    facts->ops[i].supported ? "" : " (not supported)", i + 1 < facts->op_count ? "," : "");
    vj_text_add(out, "\n");
}

static void add_external(vj_text *out, const vj_model_facts *facts) {
    for (int32_t i = 0; i < facts->external_count; i++)
        vj_text_add(out, "%-11s %s\n", "data in", facts->external[i].name);
}

static void add_metadata(vj_text *out, const vj_model_facts *facts) {
    for (int32_t i = 0; i < facts->metadata_count; i++)
        vj_text_add(out, "%-11s %s = %s\n", "metadata", facts->metadata[i].key, facts->metadata[i].value);
}

static vj_status inspect(vj_unit *u, void *out) {
    vj_status status = vj_unit_open(u);
    if (status != VJ_OK) return status;
    status = vj_unit_plan(u);
    if (status == VJ_SYSTEM || (status == VJ_USAGE && u->program))
        return status; /* it is planned: the request is wrong */
    const vj_error why = u->error;
    u->error = (vj_error){.for_command = why.for_command};
    if (status != VJ_OK) u->program = NULL;
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "%s", vj_introduction(u));
    add_ops(&text, &u->facts);
    add_external(&text, &u->facts);
    add_metadata(&text, &u->facts);
    if (status != VJ_OK) {
        vj_text_add(&text, "%-11s %s\n",
                    status == VJ_UNSUPPORTED ? "unsupported"
                    : status == VJ_USAGE     ? "wanted"
                                             : "bad",
                    why.text);
        if (why.hint[0]) vj_text_add(&text, "%-11s %s\n", "hint", why.hint);
    }
    return hand_out(u, text.at, out);
}

vj_status vj_inspect(const vj_compile_request *request, char **text, char *error, size_t error_bytes) {
    *text = NULL;
    return vj_with_unit(request, inspect, text, error, error_bytes);
}

/* Rows `attention 12 of 12`, and below each the reasons of those that were not fused. */
static vj_status report(vj_unit *u, void *out) {
    vj_status status = vj_unit_open(u);
    if (status == VJ_OK) status = vj_unit_plan(u);
    if (status != VJ_OK) return status;
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "%s", "");
    for (int32_t i = 0; i < u->report.row_count; i++) {
        const vj_report_row *row = &u->report.rows[i];
        vj_text_add(&text, "%s %d of %d\n", row->what, (int)row->fused, (int)row->seen);
        for (int32_t r = 0; r < row->reason_count; r++)
            vj_text_add(&text, "  %s\n", row->reasons[r]);
    }
    return hand_out(u, text.at, out);
}

vj_status vj_report_text(const vj_compile_request *request, char **text, char *error, size_t error_bytes) {
    *text = NULL;
    return vj_with_unit(request, report, text, error, error_bytes);
}

static vj_status explain(vj_unit *u, void *out) {
    vj_status status = vj_unit_open(u);
    if (status == VJ_OK) status = vj_unit_plan(u);
    return status ? status : hand_out(u, vj_explanation(u), out);
}

vj_status vj_explain(const vj_compile_request *request, char **text, char *error, size_t error_bytes) {
    *text = NULL;
    return vj_with_unit(request, explain, text, error, error_bytes);
}
