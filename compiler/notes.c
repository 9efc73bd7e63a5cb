/* SPDX-License-Identifier: Apache-2.0 */
/* notes.c - the introduction of a model, and its metadata as JSON: what an image carries for people and for tools. */
#include "compiler.h"

#include <string.h>

/* 86,567,656 */
static const char *grouped(vj_arena *arena, int64_t x) {
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)x);
    vj_text text = {.arena = arena};
    for (int i = 0; i < length; i++)
        vj_text_add(&text, "%s%c", i > 0 && digits[i - 1] != '-' && (length - i) % 3 == 0 ? "," : "", digits[i]);
    return text.at;
}

/* A number that a person can take in, three digits of it, with a unit of powers of 1000. */
static const char *scaled(vj_arena *arena, double x, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    size_t i = 0;
    while (x >= 999.5 && i + 1 < sizeof prefixes / sizeof *prefixes) {
        x /= 1000;
        i++;
    }
    return vj_sprintf(arena, "%.*f %s%s", i == 0 || x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2, x, prefixes[i], unit);
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void add_tensors(vj_text *out, const char *label, const struct vj_io_fact *facts, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        vj_text_add(out, "%-11s %s  %s\n", label, vj_shown(out->arena, facts[i].name),
                    vj_shown(out->arena, facts[i].type));
}

/* The sizes that open dims were given. */
static void add_taken_sizes(vj_text *out, const vj_unit *u) {
    for (int32_t i = 0; i < u->facts.input_count; i++) {
        const struct vj_io_fact *fact = &u->facts.inputs[i];
        for (int32_t k = 0; u->f && fact->is_open && k < u->f->input_count; k++) {
            const vj_value v = u->f->inputs[k];
            if (strcmp(u->f->values[v].name, fact->name) == 0)
                vj_text_add(out, "%-11s %s  %s\n", "compiled", vj_shown(out->arena, fact->name),
                            vj_shown(out->arena, vj_type_text(out->arena, vj_type_at(u->f, v))));
        }
    }
}

char *vj_fused_text(vj_unit *u) {
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "%s", "");
    for (int32_t i = 0; i < u->report.row_count; i++) {
        const vj_report_row *row = &u->report.rows[i];
        vj_text_add(&text, "%s%s %d of %d", i ? ", " : "", row->what, (int)row->fused, (int)row->seen);
    }
    return text.at;
}

/* What only a planned program knows. */
static void add_plan(vj_text *out, vj_unit *u) {
    const vj_program *p = u->program;
    vj_arena *arena = out->arena;
    vj_text_add(out, "%-11s %s %s\n", "work", scaled(arena, vj_flops_per_image(p), "FLOP"),
                u->f->batch_is_open ? "an image" : "a run (the batch is fixed)");
    const char *fused = vj_fused_text(u);
    if (*fused) vj_text_add(out, "%-11s %s\n", "fused", fused);
    vj_text_add(out, "%-11s %d in %d phases\n", "kernels", (int)p->kernel_count, (int)p->phase_count);
    vj_text_add(out, "%-11s %s bytes, packed\n", "weights", grouped(arena, p->weights_bytes));
    vj_text_add(out, "%-11s %s bytes an image (lower bound %s)\n", "arena", grouped(arena, p->per_image_bytes),
                grouped(arena, p->lower_bound_bytes));
    vj_text_add(out, "%-11s %s\n", "CPU", u->target->name);
    vj_text_add(out, "%-11s %s\n", "precision", vj_precision_text(u));
}

/* Inputs whose value is a part of the program. */
static void add_required(vj_text *out, vj_unit *u) {
    int64_t bytes;
    for (int32_t i = 0; u->f && i < u->f->input_count; i++)
        if (vj_required_value(u, i, &bytes))
            vj_text_add(out, "%-11s %s  its value decides shapes\n", "fixed",
                        vj_shown(out->arena, u->f->values[u->f->inputs[i]].name));
}

char *vj_introduction(vj_unit *u) {
    const vj_model_facts *facts = &u->facts;
    vj_arena *arena = u->arena;
    vj_text text = {.arena = arena};
    vj_text_add(&text, "%s: %s%sopset %lld, %d nodes\n", vj_shown(arena, file_name(u->request->path)),
                facts->producer && *facts->producer ? vj_shown(arena, facts->producer) : "",
                facts->producer && *facts->producer ? ", " : "", (long long)facts->opset, (int)facts->node_count);
    add_tensors(&text, "input", facts->inputs, facts->input_count);
    add_tensors(&text, "output", facts->outputs, facts->output_count);
    if (u->program) add_taken_sizes(&text, u);
    add_required(&text, u);
    vj_text_add(&text, "%-11s %s (%sB)\n", "parameters", grouped(arena, facts->parameters),
                scaled(arena, (double)facts->parameter_bytes, ""));
    if (u->program) add_plan(&text, u);
    return text.at;
}

char *vj_metadata_json(vj_unit *u) {
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "{");
    for (int32_t i = 0; i < u->facts.metadata_count; i++) {
        if (i) vj_text_add(&text, ",");
        vj_add_json_string(&text, u->facts.metadata[i].key);
        vj_text_add(&text, ":");
        vj_add_json_string(&text, u->facts.metadata[i].value);
    }
    vj_text_add(&text, "}");
    return text.at;
}

char *vj_notes(vj_unit *u, size_t *bytes) {
    const char *introduction = vj_introduction(u), *json = vj_metadata_json(u);
    const char *kernels = u->request->marks ? vj_kernels_json(u) : NULL;
    const size_t first = strlen(introduction) + 1, second = strlen(json) + 1;
    const size_t third = kernels ? strlen(kernels) + 1 : 0;
    char *notes = vj_alloc(u->arena, first + second + third);
    memcpy(notes, introduction, first);
    memcpy(notes + first, json, second);
    if (kernels) memcpy(notes + first + second, kernels, third);
    *bytes = first + second + third;
    return notes;
}
