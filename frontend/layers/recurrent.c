/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.c - builders of LSTM, GRU and RNN.
 *
 * The steps are written out: their number is known, and their kernels are alike, so that they share their code. What all
 * steps' inputs give is one product in front of them, for both directions. A step then multiplies the state by R, whose
 * packed weights all steps of a direction share. Sequences of several lengths run all steps; behind its end a sequence
 * keeps its state.
 */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

enum { MOST_STEPS = 4096, MOST_ACTIVATIONS = 6, KIND_FLOATS = 6 /* ONNX's number of such attributes */ };
enum { OF_GATES, OF_CANDIDATE, OF_STATE }; /* ONNX's f, g, h. RNN has f alone. */

typedef struct activation {
    const vj_activation *kind;
    double alpha, beta;
} activation;

typedef struct recurrent {
    vj_importer *im;
    int32_t gates, directions;
    bool batch_first, linear_before_reset, input_forget;
    int64_t steps, hidden;
    vj_dim batch;
    vj_dtype dtype;
    double clip;         /* 0: none */
    int32_t activations; /* of one direction */
    activation activation[MOST_ACTIVATIONS];
    vj_value x;                               /* [steps, batch, inputs] */
    vj_value w, r, b;                         /* b VJ_NONE: zeros */
    vj_value lengths;                         /* i32[batch, 1]; VJ_NONE: all have all steps */
    vj_value initial_h, initial_c, peepholes; /* [directions, ..]; VJ_NONE: zeros */
    vj_value front;                           /* [steps, batch, directions * gates * hidden] */
} recurrent;

/* What one direction has. */
typedef struct way {
    const recurrent *all;
    const activation *activation;
    vj_value r;           /* [hidden, gates * hidden] */
    vj_value r_bias;      /* of GRU's candidate, when it is added in front of the reset; VJ_NONE: zeros */
    vj_value peephole[3]; /* [hidden], of i, o, f; VJ_NONE: zeros */
} way;

typedef struct state {
    vj_value h, c; /* [batch, hidden]; VJ_NONE: zeros */
} state;

/* Reading */

static bool is_shaped(vj_importer *im, vj_value v, const char *what, int32_t rank, const vj_dim *dims) {
    if (!vj_going(im) || v < 0) return vj_going(im);
    const vj_type *type = type_of(im, v);
    bool same = type->rank == rank;
    for (int32_t d = 0; same && d < rank; d++)
        same = vj_dim_equal(type->dims[d], dims[d]);
    if (same) return true;
    vj_type wanted = {.dtype = type->dtype, .rank = rank};
    memcpy(wanted.dims, dims, (size_t)rank * sizeof *dims);
    return vj_stop(im, VJ_BAD_INPUT, "%s is %s, and not %s", what, vj_type_text(im->arena, type),
                   vj_type_text(im->arena, &wanted));
}

static vj_value optional(vj_importer *im, int32_t i) {
    return vj_has_operand(im, i) ? vj_operand_value(im, i) : VJ_NONE;
}

static bool read_direction(recurrent *a, bool *reverse) {
    const char *direction = vj_text_attribute(a->im, "direction", "forward");
    *reverse = strcmp(direction, "reverse") == 0;
    a->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    if (a->directions == 1 && !*reverse && strcmp(direction, "forward") != 0)
        return vj_stop(a->im, VJ_BAD_INPUT, "direction is '%.20s'", direction);
    return vj_going(a->im);
}

/* Each activation takes the next alpha and beta of the lists, if it has such parameters. */
static bool read_activations(recurrent *a, const char *const *usual) {
    vj_importer *im = a->im;
    const Onnx__AttributeProto *names = vj_find_attribute(im, "activations"),
                               *alphas = vj_find_attribute(im, "activation_alpha"),
                               *betas = vj_find_attribute(im, "activation_beta");
    size_t alpha = 0, beta = 0;
    if ((alphas && alphas->type && alphas->type != KIND_FLOATS) || (betas && betas->type && betas->type != KIND_FLOATS))
        return vj_stop(im, VJ_BAD_INPUT, "activation_alpha or activation_beta is no list of floats");
    const int32_t count = a->activations * a->directions;
    if (names && names->n_strings != (size_t)count)
        return vj_stop(im, VJ_BAD_INPUT, "names %zu activations, and not %d", names->n_strings, count);
    for (int32_t i = 0; i < count; i++) {
        const char *name = usual[i % a->activations];
        if (names) name = vj_strndup(im->arena, (const char *)names->strings[i].data, names->strings[i].len);
        activation *each = &a->activation[i];
        each->kind = vj_find_activation(name);
        if (!each->kind) return vj_stop(im, VJ_UNSUPPORTED, "the activation '%.40s' is not supported", name);
        each->alpha = each->kind->alpha;
        each->beta = each->kind->beta;
        if (each->kind->parameters > 0 && alphas && alpha < alphas->n_floats)
            each->alpha = (double)alphas->floats[alpha++];
        if (each->kind->parameters > 1 && betas && beta < betas->n_floats) each->beta = (double)betas->floats[beta++];
        if (isnan(each->alpha) || isnan(each->beta))
            return vj_stop(im, VJ_BAD_INPUT, "the activation '%s' needs an alpha and a beta", name);
    }
    return true;
}

/* Exchanges the first two dims where the batch comes first. */
static vj_value steps_first(const recurrent *a, vj_value x) {
    return a->batch_first && x >= 0 ? vj_emit_transpose(a->im, x, (int32_t[]){1, 0, 2}) : x;
}

static bool read_input(recurrent *a) {
    vj_importer *im = a->im;
    a->x = vj_operand_value(im, 0);
    a->w = vj_operand_value(im, 1);
    a->r = vj_operand_value(im, 2);
    if (!vj_going(im)) return false;
    const vj_type *r = type_of(im, a->r);
    if (type_of(im, a->x)->rank != 3 || r->rank != 3 || !vj_dtype_is_float(type_of(im, a->x)->dtype) ||
        r->dims[2].sym || r->dims[2].c < 1 || r->dims[2].c > INT32_MAX)
        return vj_stop(im, VJ_BAD_INPUT, "has an input of %s and an R of %s",
                       vj_type_text(im->arena, type_of(im, a->x)), vj_type_text(im->arena, r));
    a->hidden = r->dims[2].c;
    a->x = steps_first(a, a->x);
    if (!vj_going(im)) return false;
    const vj_type x = *type_of(im, a->x);
    a->dtype = x.dtype;
    a->batch = x.dims[1];
    a->steps = x.dims[0].c;
    if (x.dims[0].sym) {
        vj_stop(im, VJ_UNSUPPORTED, "the number of its steps must be known at compile time");
        if (!vj_is_data_dim(x.dims[0])) vj_advise_own_batch(im->error); /* they stand where the batch does */
        return false;
    }
    if (a->steps < 1) return vj_stop(im, VJ_BAD_INPUT, "has no steps");
    if (a->steps > MOST_STEPS / a->directions)
        return vj_stop(im, VJ_UNSUPPORTED, "has %lld steps in %d directions; at most %d in all are supported",
                       (long long)a->steps, a->directions, MOST_STEPS);
    const vj_dim rows = vj_dim_const(a->gates * a->hidden), ways = vj_dim_const(a->directions);
    const int64_t hidden = vj_int_attribute(im, "hidden_size", a->hidden);
    if (vj_going(im) && hidden != a->hidden)
        return vj_stop(im, VJ_BAD_INPUT, "hidden_size is %lld, and R has %lld", (long long)hidden,
                       (long long)a->hidden);
    return is_shaped(im, a->w, "W", 3, (vj_dim[]){ways, rows, x.dims[2]}) &&
           is_shaped(im, a->r, "R", 3, (vj_dim[]){ways, rows, vj_dim_const(a->hidden)});
}

/* Lengths that are all that of the whole sequence need no asking. */
static bool read_lengths(recurrent *a) {
    vj_importer *im = a->im;
    a->lengths = optional(im, 4);
    if (!is_shaped(im, a->lengths, "sequence_lens", 1, &a->batch) || a->lengths < 0) return vj_going(im);
    if (type_of(im, a->lengths)->dtype != VJ_I32)
        return vj_stop(im, VJ_BAD_INPUT, "sequence_lens is %s", vj_type_text(im->arena, type_of(im, a->lengths)));
    const vj_known *known = vj_known_operand(im, 4);
    bool whole = known != NULL;
    for (int64_t i = 0; known && i < known->count; i++) {
        if (known->at[i].a) return vj_stop(im, VJ_UNSUPPORTED, "sequence_lens follows from the batch");
        if (known->at[i].b < 0 || known->at[i].b > a->steps)
            return vj_stop(im, VJ_BAD_INPUT, "sequence_lens has %lld, of %lld steps", (long long)known->at[i].b,
                           (long long)a->steps);
        whole = whole && known->at[i].b == a->steps;
    }
    a->lengths = whole ? VJ_NONE : vj_emit_reshape(im, a->lengths, (vj_dim[]){a->batch, vj_dim_const(1)}, 2);
    return vj_going(im);
}

static bool is_zero(vj_importer *im, vj_value v) {
    double number;
    while (v >= 0 && (vj_producer(im->f, v)->op == VJ_OP_broadcast || vj_producer(im->f, v)->op == VJ_OP_reshape ||
                      vj_producer(im->f, v)->op == VJ_OP_transpose))
        v = vj_producer(im->f, v)->args[0];
    return v >= 0 && vj_is_splat(im->f, v, &number) && number == 0;
}

static bool has_type(const recurrent *a, vj_value v) {
    if (!vj_going(a->im) || v < 0 || type_of(a->im, v)->dtype == a->dtype) return vj_going(a->im);
    return vj_stop(a->im, VJ_BAD_INPUT, "its operands are of several types");
}

static vj_value read_initial(recurrent *a, int32_t operand, const char *what) {
    vj_importer *im = a->im;
    vj_value v = steps_first(a, optional(im, operand));
    if (!has_type(a, v) ||
        !is_shaped(im, v, what, 3, (vj_dim[]){vj_dim_const(a->directions), a->batch, vj_dim_const(a->hidden)}))
        return VJ_NONE;
    return is_zero(im, v) ? VJ_NONE : v;
}

static bool read_all(recurrent *a, const char *const *usual, bool *reverse) {
    vj_importer *im = a->im;
    const int64_t layout = vj_int_attribute(im, "layout", 0);
    if (!read_direction(a, reverse) || !read_activations(a, usual)) return false;
    if (layout != 0 && layout != 1) return vj_stop(im, VJ_BAD_INPUT, "layout is %lld", (long long)layout);
    a->batch_first = layout == 1;
    a->clip = vj_float_attribute(im, "clip", 0);
    if (!(a->clip >= 0)) return vj_stop(im, VJ_BAD_INPUT, "clip is %g", a->clip);
    if (!read_input(a) || !read_lengths(a)) return false;
    const vj_dim ways = vj_dim_const(a->directions);
    a->b = optional(im, 3);
    a->initial_h = read_initial(a, 5, "initial_h");
    a->initial_c = a->gates == 4 ? read_initial(a, 6, "initial_c") : VJ_NONE;
    a->peepholes = a->gates == 4 ? optional(im, 7) : VJ_NONE;
    return has_type(a, a->w) && has_type(a, a->r) && has_type(a, a->b) && has_type(a, a->peepholes) &&
           is_shaped(im, a->b, "B", 2, (vj_dim[]){ways, vj_dim_const(2 * a->gates * a->hidden)}) &&
           is_shaped(im, a->peepholes, "P", 2, (vj_dim[]){ways, vj_dim_const(3 * a->hidden)});
}

/* The product in front of all steps */

static vj_value part(vj_importer *im, vj_value x, int32_t axis, int64_t start, int64_t count) {
    return vj_emit_slice(im, x, axis, start, vj_dim_const(count), 1);
}

/* The bias of W and that of R, of a candidate that is reset behind its bias the former alone. */
static vj_value front_bias(const recurrent *a) {
    vj_importer *im = a->im;
    const int64_t rows = a->gates * a->hidden;
    if (a->b < 0 || !vj_going(im)) return VJ_NONE;
    vj_value w = part(im, a->b, 1, 0, rows), r = part(im, a->b, 1, rows, rows);
    if (a->linear_before_reset) {
        const vj_dim dims[2] = {vj_dim_const(a->directions), vj_dim_const(a->hidden)};
        const vj_value none = vj_emit_broadcast(im, vj_emit_number(im, a->dtype, 0), dims, 2);
        r = vj_emit_concat(im, (vj_value[]){part(im, r, 1, 0, 2 * a->hidden), none}, 2, 1);
    }
    return vj_emit_reshape(im, vj_emit2(im, VJ_OP_add, w, r), (vj_dim[]){vj_dim_const(a->directions * rows)}, 1);
}

static void multiply_inputs(recurrent *a) {
    vj_importer *im = a->im;
    const vj_dim rows = vj_dim_const(a->directions * a->gates * a->hidden);
    if (!vj_going(im)) return;
    const vj_value w = vj_emit_reshape(im, a->w, (vj_dim[]){rows, type_of(im, a->x)->dims[2]}, 2);
    const vj_value args[3] = {a->x, vj_emit_transpose(im, w, (int32_t[]){1, 0}), front_bias(a)};
    a->front = vj_emit(im, VJ_OP_linear, args, args[2] < 0 ? 2 : 3, NULL, 0);
}

/* A step. Operands that are VJ_NONE are zeros. */

static vj_value plus(vj_importer *im, vj_value a, vj_value b) {
    return a < 0 ? b : b < 0 ? a : vj_emit2(im, VJ_OP_add, a, b);
}

static vj_value times(vj_importer *im, vj_value a, vj_value b) {
    return a < 0 || b < 0 ? VJ_NONE : vj_emit2(im, VJ_OP_mul, a, b);
}

static vj_value one_less(const recurrent *a, vj_value x) {
    return vj_emit2(a->im, VJ_OP_sub, vj_emit_number(a->im, a->dtype, 1), x);
}

static vj_value gate_of(const recurrent *a, vj_value x, int32_t gate) {
    return x < 0 ? VJ_NONE : part(a->im, x, 1, gate * a->hidden, a->hidden);
}

/* h R, of the gates [first, first + count). */
static vj_value by_r(const way *w, vj_value h, int32_t first, int32_t count) {
    const recurrent *a = w->all;
    if (h < 0 || !vj_going(a->im)) return VJ_NONE;
    return vj_emit2(a->im, VJ_OP_linear, h, part(a->im, w->r, 1, first * a->hidden, count * a->hidden));
}

static vj_value clipped(const recurrent *a, vj_value x) {
    vj_importer *im = a->im;
    if (a->clip == 0) return x;
    x = vj_emit2(im, VJ_OP_max, x, vj_emit_number(im, a->dtype, -a->clip));
    return vj_emit2(im, VJ_OP_min, x, vj_emit_number(im, a->dtype, a->clip));
}

static vj_value activated(const way *w, int32_t which, vj_value x) {
    const activation *by = &w->activation[which];
    if (!vj_going(w->all->im)) return VJ_NONE;
    return by->kind->emit(w->all->im, clipped(w->all, x), by->alpha, by->beta);
}

static state step_rnn(const way *w, vj_value front, state s) {
    return (state){activated(w, OF_GATES, plus(w->all->im, front, by_r(w, s.h, 0, 1))), VJ_NONE};
}

/* The gates are z, r and the candidate. */
static state step_gru(const way *w, vj_value front, state s) {
    const recurrent *a = w->all;
    vj_importer *im = a->im;
    const vj_value sum = by_r(w, s.h, 0, a->linear_before_reset ? 3 : 2);
    const vj_value z = activated(w, OF_GATES, plus(im, gate_of(a, front, 0), gate_of(a, sum, 0)));
    const vj_value r = activated(w, OF_GATES, plus(im, gate_of(a, front, 1), gate_of(a, sum, 1)));
    const vj_value reset = a->linear_before_reset ? times(im, r, plus(im, gate_of(a, sum, 2), w->r_bias))
                                                  : by_r(w, times(im, r, s.h), 2, 1);
    const vj_value new = activated(w, OF_CANDIDATE, plus(im, gate_of(a, front, 2), reset));
    return (state){plus(im, times(im, one_less(a, z), new), times(im, z, s.h)), VJ_NONE};
}

/* The gates are i, o, f and the candidate. */
static state step_lstm(const way *w, vj_value front, state s) {
    const recurrent *a = w->all;
    vj_importer *im = a->im;
    const vj_value sum = plus(im, front, by_r(w, s.h, 0, 4));
    const vj_value i = activated(w, OF_GATES, plus(im, gate_of(a, sum, 0), times(im, s.c, w->peephole[0])));
    const vj_value f = a->input_forget
                           ? one_less(a, i)
                           : activated(w, OF_GATES, plus(im, gate_of(a, sum, 2), times(im, s.c, w->peephole[2])));
    const vj_value c = plus(im, times(im, f, s.c), times(im, i, activated(w, OF_CANDIDATE, gate_of(a, sum, 3))));
    const vj_value o = activated(w, OF_GATES, plus(im, gate_of(a, sum, 1), times(im, c, w->peephole[1])));
    const activation *by = &w->activation[OF_STATE];
    if (!vj_going(im)) return s;
    return (state){times(im, o, by->kind->emit(im, c, by->alpha, by->beta)), c};
}

/* A direction */

static vj_value of_way(const recurrent *a, vj_value v, int32_t d, vj_dim rows, int64_t cols) {
    if (v < 0 || !vj_going(a->im)) return VJ_NONE;
    const vj_dim dims[2] = {rows, vj_dim_const(cols)};
    return vj_emit_reshape(a->im, part(a->im, v, 0, d, 1), dims, 2);
}

static way way_of(const recurrent *a, int32_t d) {
    vj_importer *im = a->im;
    way w = {.all = a, .activation = a->activation + d * a->activations, .r_bias = VJ_NONE};
    const vj_value r = of_way(a, a->r, d, vj_dim_const(a->gates * a->hidden), a->hidden);
    w.r = vj_emit_transpose(im, r, (int32_t[]){1, 0});
    if (a->b >= 0 && a->linear_before_reset)
        w.r_bias = gate_of(a, of_way(a, a->b, d, vj_dim_const(1), 2 * a->gates * a->hidden), 2 * a->gates - 1);
    const vj_value peepholes = of_way(a, a->peepholes, d, vj_dim_const(1), 3 * a->hidden);
    for (int32_t i = 0; i < 3; i++)
        w.peephole[i] = gate_of(a, peepholes, i);
    return w;
}

/* What `new` is while the sequence lasts; `old`, or zeros, behind its end. */
static vj_value while_it_lasts(const recurrent *a, int64_t step, vj_value new, vj_value old) {
    vj_importer *im = a->im;
    if (a->lengths < 0 || new < 0) return new;
    const vj_value lasts = vj_emit2(im, VJ_OP_lt, vj_emit_number(im, VJ_I32, (double)step), a->lengths);
    return vj_emit3(im, VJ_OP_select, lasts, new, old < 0 ? vj_emit_number(im, a->dtype, 0) : old);
}

/* The steps of one direction; y has the state behind each, [1, batch, hidden]. */
static state unrolled(const recurrent *a, int32_t d, bool reverse, state (*step)(const way *, vj_value, state),
                      vj_value *y) {
    vj_importer *im = a->im;
    const way w = way_of(a, d);
    const int64_t rows = a->gates * a->hidden;
    const vj_dim flat[2] = {a->batch, vj_dim_const(rows)},
                 one[3] = {vj_dim_const(1), a->batch, vj_dim_const(a->hidden)};
    const vj_value mine = part(im, a->front, 2, d * rows, rows);
    state s = {of_way(a, a->initial_h, d, a->batch, a->hidden), of_way(a, a->initial_c, d, a->batch, a->hidden)};
    for (int64_t i = 0; i < a->steps && vj_going(im); i++) {
        const int64_t t = reverse ? a->steps - 1 - i : i;
        const state next = step(&w, vj_emit_reshape(im, part(im, mine, 0, t, 1), flat, 2), s);
        y[t] = vj_emit_reshape(im, while_it_lasts(a, t, next.h, VJ_NONE), one, 3);
        s = (state){while_it_lasts(a, t, next.h, s.h), while_it_lasts(a, t, next.c, s.c)};
    }
    return s;
}

static bool bind_results(const recurrent *a, vj_value *y, const state *last) {
    vj_importer *im = a->im;
    const int32_t way_second[4] = {2, 0, 1, 3};
    const vj_dim each[4] = {vj_dim_const(a->steps), vj_dim_const(1), a->batch, vj_dim_const(a->hidden)};
    const vj_dim one[3] = {vj_dim_const(1), a->batch, vj_dim_const(a->hidden)};
    vj_value of_ways[2], h[2], c[2];
    for (int32_t d = 0; d < a->directions; d++) {
        of_ways[d] = vj_emit_reshape(im, vj_emit_concat(im, y + d * a->steps, (int32_t)a->steps, 0), each, 4);
        h[d] = vj_emit_reshape(im, last[d].h, one, 3);
        c[d] = last[d].c < 0 ? VJ_NONE : vj_emit_reshape(im, last[d].c, one, 3);
    }
    vj_value all = vj_emit_concat(im, of_ways, a->directions, 1);
    if (a->batch_first) all = vj_emit_transpose(im, all, way_second);
    return vj_bind(im, 0, all) && vj_bind(im, 1, steps_first(a, vj_emit_concat(im, h, a->directions, 0))) &&
           (a->gates != 4 || vj_bind(im, 2, steps_first(a, vj_emit_concat(im, c, a->directions, 0))));
}

static bool build(recurrent *a, const char *const *usual, state (*step)(const way *, vj_value, state)) {
    bool reverse;
    state last[2];
    if (!read_all(a, usual, &reverse)) return false;
    multiply_inputs(a);
    vj_value *y = VJ_NEW_ARRAY(a->im->arena, vj_value, 2 * a->steps);
    for (int32_t d = 0; d < a->directions; d++)
        last[d] = unrolled(a, d, reverse || d == 1, step, y + d * a->steps);
    return vj_going(a->im) && bind_results(a, y, last);
}

bool vj_build_rnn(vj_importer *im) {
    recurrent a = {.im = im, .gates = 1, .activations = 1};
    return build(&a, (const char *const[]){"Tanh"}, step_rnn);
}

bool vj_build_gru(vj_importer *im) {
    recurrent a = {.im = im, .gates = 3, .activations = 2};
    a.linear_before_reset = vj_int_attribute(im, "linear_before_reset", 0) != 0;
    return build(&a, (const char *const[]){"Sigmoid", "Tanh"}, step_gru);
}

bool vj_build_lstm(vj_importer *im) {
    recurrent a = {.im = im, .gates = 4, .activations = 3};
    a.input_forget = vj_int_attribute(im, "input_forget", 0) != 0;
    return build(&a, (const char *const[]){"Sigmoid", "Tanh", "Tanh"}, step_lstm);
}
