/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - what a page about a model shows of its compilation (--report=FILE.html), as JSON:
 *
 *     {"cpu", "precision", "inputs", "weights_bytes", "arena_bytes", "phases",
 *      "recognised": [{"what", "fused", "seen", "misses": [{"why", "times"}]}],
 *      "buffers": [{"name", "offset", "bytes", "first", "last"}]}     of the arena: a value, and the phases that touch it
 */
#include "compiler.h"

#include <string.h>

static void add_member(vj_text *out, const char *key, const char *text) {
    vj_text_add(out, "\"%s\":", key);
    vj_add_json_string(out, text);
    vj_text_add(out, ",");
}

/* Reasons are "node 'x': why": those that are the same behind the node are told once. */
static const char *without_node(const char *reason) {
    const char *end = strstr(reason, "': ");
    return end && strncmp(reason, "node '", 6) == 0 ? end + 3 : reason;
}

static void add_misses(vj_text *out, const vj_report_row *row) {
    bool first = true;
    for (int32_t i = 0; i < row->reason_count; i++) {
        const char *why = without_node(row->reasons[i]);
        int32_t times = 0;
        bool told = false;
        for (int32_t j = 0; j < row->reason_count; j++) {
            const bool same = strcmp(without_node(row->reasons[j]), why) == 0;
            told |= same && j < i;
            times += same;
        }
        if (told) continue;
        vj_text_add(out, first ? "{" : ",{");
        add_member(out, "why", times == 1 ? row->reasons[i] : why);
        vj_text_add(out, "\"times\":%d}", (int)times);
        first = false;
    }
}

static void add_recognised(vj_text *out, const vj_report *report) {
    vj_text_add(out, "\"recognised\":[");
    for (int32_t i = 0; i < report->row_count; i++) {
        const vj_report_row *row = &report->rows[i];
        vj_text_add(out, i ? ",\n{" : "\n{");
        add_member(out, "what", row->what);
        vj_text_add(out, "\"fused\":%d,\"seen\":%d,\"misses\":[", (int)row->fused, (int)row->seen);
        add_misses(out, row);
        vj_text_add(out, "]}");
    }
    vj_text_add(out, "],\n");
}

typedef struct phases {
    int32_t first, last; /* -1: none */
} phases;

/* The phases whose kernels touch each buffer. */
static phases *lifetimes(const vj_program *p, vj_arena *arena) {
    phases *of = VJ_NEW_ARRAY(arena, phases, p->buffer_count + 1);
    for (int32_t b = 0; b < p->buffer_count; b++)
        of[b] = (phases){-1, -1};
    for (int32_t phase = 0; phase < p->phase_count; phase++)
        for (int32_t i = 0; i < p->phases[phase].count; i++) {
            const vj_kernel *k = p->kernels[p->phases[phase].first + i];
            for (int32_t a = 0; a < k->access_count; a++) {
                phases *at = &of[k->access[a].buffer];
                if (at->first < 0) at->first = phase;
                at->last = phase;
            }
        }
    return of;
}

static void add_buffers(vj_text *out, vj_unit *u) {
    const vj_program *p = u->program;
    const phases *of = lifetimes(p, u->arena);
    bool first = true;
    vj_text_add(out, "\"buffers\":[");
    for (int32_t b = 0; b < p->buffer_count; b++) {
        const vj_buffer *buffer = &p->buffers[b];
        if (buffer->kind != VJ_BUFFER_ARENA || of[b].first < 0) continue;
        vj_text_add(out, first ? "\n{" : ",\n{");
        add_member(out, "name", buffer->name);
        vj_text_add(out, "\"offset\":%lld,\"bytes\":%lld,\"first\":%d,\"last\":%d}", (long long)buffer->offset,
                    (long long)(buffer->elements * vj_element_bytes(buffer->dtype)), (int)of[b].first, (int)of[b].last);
        first = false;
    }
    vj_text_add(out, "]");
}

static const char *inputs_text(vj_unit *u) {
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "%s", "");
    for (int32_t i = 0; i < u->f->input_count; i++) {
        const vj_value v = u->f->inputs[i];
        vj_text_add(&text, "%s%s %s", i ? ", " : "", vj_shown(u->arena, u->f->values[v].name),
                    vj_shown(u->arena, vj_type_text(u->arena, vj_type_at(u->f, v))));
    }
    return text.at;
}

char *vj_explanation(vj_unit *u) {
    const vj_program *p = u->program;
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "{");
    add_member(&text, "cpu", u->target->name);
    add_member(&text, "precision", vj_precision_text(u));
    add_member(&text, "inputs", inputs_text(u));
    vj_text_add(&text, "\"weights_bytes\":%lld,\"arena_bytes\":%lld,\"phases\":%d,\n", (long long)p->weights_bytes,
                (long long)p->per_image_bytes, (int)p->phase_count);
    add_recognised(&text, &u->report);
    add_buffers(&text, u);
    vj_text_add(&text, "}");
    return text.at;
}
