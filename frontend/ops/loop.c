/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - builders of Loop and Scan, whose number of turns must be known while importing, and small: the body is imported so many times. */
#include "frontend/import/import.h"

#include <string.h>

enum { TURNS = 256 };

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* A Loop or Scan on its way: the values that go from turn to turn, the slices that a turn reads, and what turns have put out. */
typedef struct turns {
    const Onnx__GraphProto *body;
    int64_t count, turn;
    bool is_open;                  /* the body says when it ends, within `count` turns */
    int32_t states, reads, writes; /* the results of the node are the states, then the writes */
    int32_t lead; /* a Loop's body takes the turn's number and the condition before them: 2; a Scan's: 0 */
    vj_binding *state;
    vj_value *read, *written; /* written[w * count + turn] */
} turns;

static void take(vj_binding *to, const vj_binding *from) {
    to->value = from->value;
    to->known = from->known;
    to->asked = from->asked;
}

static void bind_number(vj_importer *im, vj_binding *to, vj_dtype dtype, int64_t number) {
    vj_known *k = vj_known_new(im, dtype, 0, NULL);
    k->at[0].b = number;
    to->known = k;
}

/* Element `turn` of the read's first axis, without that axis. */
static vj_value element_of(vj_importer *im, vj_value x, int64_t turn) {
    vj_value part = vj_emit_slice(im, x, 0, turn, vj_dim_const(1), 1);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type type = *type_of(im, part);
    return vj_emit_reshape(im, part, type.dims + 1, type.rank - 1);
}

static bool end_turn(vj_importer *im, const vj_scope *inner);

static bool begin_turn(vj_importer *im, turns *t) {
    vj_scope body;
    const char *path = vj_sprintf(im->arena, "%.400s/%lld/", im->origin->node, (long long)t->turn);
    if (!vj_count_inlined(im, t->body->n_node + 1) || !vj_graph_scope(im, t->body, path, end_turn, t, &body))
        return false;
    if (t->turn == 0 && !vj_check_support(im, &body)) return false;
    size_t at = 0;
    vj_binding *to;
    for (int32_t i = 0; i < t->lead; i++) {
        if (!(to = vj_graph_input(im, &body, at++))) return false;
        bind_number(im, to, i ? VJ_BOOL : VJ_I64, i ? 1 : t->turn);
    }
    for (int32_t i = 0; i < t->states; i++) {
        if (!(to = vj_graph_input(im, &body, at++))) return false;
        take(to, &t->state[i]);
    }
    for (int32_t i = 0; i < t->reads; i++) {
        if (!(to = vj_graph_input(im, &body, at++))) return false;
        to->value = element_of(im, t->read[i], t->turn);
    }
    return vj_going(im) && vj_open_scope(im, &body);
}

static bool finish(vj_importer *im, turns *t) {
    for (int32_t i = 0; i < t->states; i++)
        if ((size_t)i < im->node->n_output && !vj_bind_same(im, i, &t->state[i])) return false;
    for (int32_t w = 0; w < t->writes; w++) {
        if (!vj_result_is_used(im, t->states + w)) continue;
        if (!vj_bind(im, t->states + w, vj_emit_concat(im, t->written + w * t->count, (int32_t)t->count, 0)))
            return false;
    }
    return vj_going(im);
}

static bool end_turn(vj_importer *im, const vj_scope *inner) {
    turns *t = inner->state;
    size_t at = 0;
    if (t->lead) { /* whether to go on */
        vj_binding *go = vj_graph_result(im, inner, at++);
        const vj_known *k = go ? vj_known_of(im, go) : NULL;
        if (!vj_going(im)) return false;
        if (!k || k->count != 1) return vj_stop(im, VJ_UNSUPPORTED, "goes on while the data says so");
        if (!k->at[0].b) {
            t->count = t->turn + 1;
            t->is_open = false;
        }
    }
    for (int32_t i = 0; i < t->states; i++) {
        const vj_binding *from = vj_graph_result(im, inner, at++);
        if (!from) return false;
        take(&t->state[i], from);
        t->state[i].name = from->name;
    }
    for (int32_t w = 0; w < t->writes; w++) {
        vj_binding *from = vj_graph_result(im, inner, at++);
        vj_value v = from ? vj_materialise(im, from) : VJ_NONE;
        if (!vj_going(im)) return false;
        vj_type type = *type_of(im, v);
        if (type.rank == VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d", type.rank + 1);
        memmove(type.dims + 1, type.dims, (size_t)type.rank * sizeof *type.dims);
        type.dims[0] = vj_dim_const(1);
        t->written[(size_t)w * TURNS + (size_t)t->turn] = vj_emit_reshape(im, v, type.dims, type.rank + 1);
    }
    if (++t->turn < t->count) return begin_turn(im, t);
    if (t->is_open) return vj_stop(im, VJ_UNSUPPORTED, "takes more than %d turns", TURNS);
    for (int32_t w = 0; w < t->writes; w++) /* close up */
        memmove(t->written + w * t->count, t->written + (size_t)w * TURNS, (size_t)t->count * sizeof *t->written);
    return finish(im, t);
}

/* Reads the states, operands from `first` on, and begins. */
static bool run(vj_importer *im, turns *t, int32_t first) {
    const size_t inputs = (size_t)(t->lead + t->states + t->reads);
    const size_t outputs = (size_t)((t->lead ? 1 : 0) + t->states + t->writes);
    if (t->body->n_input != inputs || t->body->n_output != outputs || t->writes < 0)
        return vj_stop(im, VJ_BAD_INPUT, "its body has %zu inputs and %zu outputs, not %zu and %zu", t->body->n_input,
                       t->body->n_output, inputs, outputs);
    if (t->count > TURNS && !t->lead)
        return vj_stop(im, VJ_UNSUPPORTED, "takes %lld turns; at most %d are written out", (long long)t->count, TURNS);
    t->is_open = t->count > TURNS;
    t->count = vj_min64(t->count, TURNS);
    t->state = VJ_NEW_ARRAY(im->arena, vj_binding, t->states + 1);
    t->written = VJ_NEW_ARRAY(im->arena, vj_value, (int64_t)t->writes * TURNS + 1);
    for (int32_t i = 0; i < t->states; i++) {
        const vj_binding *from = vj_operand_binding(im, first + i);
        if (!from) return false;
        t->state[i] = *from;
    }
    for (int32_t w = 0; t->count == 0 && w < t->writes; w++)
        if (vj_result_is_used(im, t->states + w)) return vj_stop(im, VJ_UNSUPPORTED, "takes no turn");
    return t->count ? begin_turn(im, t) : finish(im, t);
}

bool vj_build_loop(vj_importer *im) {
    turns *t = VJ_NEW(im->arena, turns);
    t->lead = 2;
    const Onnx__AttributeProto *a = vj_find_attribute(im, "body");
    if (!a || !a->g) return vj_stop(im, VJ_BAD_INPUT, "attribute 'body' is no graph");
    t->body = a->g;
    t->count = INT64_MAX;
    if (vj_has_operand(im, 0)) {
        int32_t count;
        const int64_t *most = vj_constant_list(im, 0, "number of turns", &count);
        if (!vj_going(im)) return false;
        if (count != 1) return vj_stop(im, VJ_BAD_INPUT, "needs one number of turns");
        t->count = vj_max64(0, most[0]);
    }
    if (vj_has_operand(im, 1)) {
        const vj_known *go = vj_known_operand(im, 1);
        if (!vj_going(im)) return false;
        if (!go) return vj_stop_unknown(im, 1, "condition");
        if (go->count != 1 || go->dtype != VJ_BOOL)
            return vj_stop(im, VJ_BAD_INPUT, "its condition is not one boolean");
        if (!go->at[0].b) t->count = 0;
    }
    t->states = im->node->n_input > 2 ? (int32_t)im->node->n_input - 2 : 0;
    t->writes = (int32_t)vj_min64((int64_t)t->body->n_output, INT16_MAX) - 1 - t->states;
    return run(im, t, 2);
}

/* Scan from the front, along first axes. */
bool vj_build_scan_graph(vj_importer *im) {
    turns *t = VJ_NEW(im->arena, turns);
    static const char *const lists[] = {"scan_input_axes", "scan_input_directions", "scan_output_axes",
                                        "scan_output_directions"};
    const Onnx__AttributeProto *a = vj_find_attribute(im, "body");
    if (!a || !a->g) return vj_stop(im, VJ_BAD_INPUT, "attribute 'body' is no graph");
    t->body = a->g;
    const int64_t reads = vj_int_attribute(im, "num_scan_inputs", 0);
    for (int32_t i = 0; i < 4; i++) {
        int32_t count;
        const int64_t *list = vj_ints_attribute(im, lists[i], &count);
        for (int32_t j = 0; j < count; j++)
            if (list[j])
                return vj_stop(im, VJ_UNSUPPORTED, "reads or writes along another axis than the first, or backwards");
    }
    if (!vj_going(im)) return false;
    if (reads < 1 || reads > (int64_t)im->node->n_input)
        return vj_stop(im, VJ_BAD_INPUT, "num_scan_inputs is %lld", (long long)reads);
    t->reads = (int32_t)reads;
    t->states = (int32_t)im->node->n_input - t->reads;
    t->writes = (int32_t)vj_min64((int64_t)t->body->n_output, INT16_MAX) - t->states;
    t->read = VJ_NEW_ARRAY(im->arena, vj_value, t->reads);
    for (int32_t i = 0; i < t->reads; i++) {
        t->read[i] = vj_operand_value(im, t->states + i);
        if (!vj_going(im)) return false;
        const vj_type *type = type_of(im, t->read[i]);
        if (type->rank < 1 || type->dims[0].sym)
            return vj_stop(im, VJ_UNSUPPORTED, "reads a tensor whose length is not known");
        if (i && type->dims[0].c != t->count) return vj_stop(im, VJ_BAD_INPUT, "reads tensors of different lengths");
        t->count = type->dims[0].c;
    }
    return run(im, t, 0);
}
