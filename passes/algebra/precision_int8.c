/* precision_int8.c - products of floats with weights are computed in bytes: no calibration, no data.
 *
 * Weights become i8 by columns: a column's scale takes its largest number to 127. Activations become u8 by rows (tokens) while they
 * run: a row's scale takes its largest number to 127 above the zero point, which is 128. Their product is exact, and
 *
 *     sum x w  ~  (sum q w8 - 128 sum w8) * row's scale * column's scale
 *
 * Which products stay wider: those that must be exact (precision_choice.c), convolutions and products of two activations, as nothing
 * is known of their columns; the last ones, whose errors no one averages out; short sums, for which rows' scales cost more than they
 * spare. These are computed in bf16 where that is allowed. */
#include "precision.h"

#include <math.h>

/* Fewer terms than that are not worth a scale a row. */
#define SHORT_SUM 32
#define MOST      127.0
#define ZERO      128
#define BLOCK     ((int64_t)1 << 16)
/* Rows of less become zeros: their scale's inverse is a number still. */
#define LEAST 1e-30

typedef struct bytes {
    vj_pass_context *c;
    vj_func *f;
    vj_value *q, *scale; /* of activations that were made bytes before; VJ_NONE: not yet */
} bytes;

/* A weight [depth, columns] in bytes. */
typedef struct byte_weight {
    vj_value q, scale,
        shift; /* i8; f32[columns]; i32[columns], -128 times the sums of the columns; VJ_NONE where all are 0 */
} byte_weight;

static bool reaches_output(const vj_func *f, vj_value v, int32_t steps) {
    for (int32_t u = f->values[v].first_use; u >= 0; u = f->uses[u].next) {
        if (f->uses[u].operand < 0) return true;
        const vj_node *node = &f->nodes[f->uses[u].user];
        const bool passes = vj_op_table(node->op)->flags & (VJ_FLAG_ELEMENTWISE | VJ_FLAG_MOVEMENT);
        if (passes && steps > 0 && reaches_output(f, node->first_result, steps - 1)) return true;
    }
    return false;
}

static const char *why_wide(vj_choice *choice, const vj_node *node) {
    enum { LONGEST_WAY = 6 };
    const vj_func *f = choice->c->f;
    if (node->op == VJ_OP_conv) return "it is a convolution";
    if (node->op == VJ_OP_attention || vj_packed_factor(f, node) < 0) return "its factors are both activations";
    const char *why = vj_why_exact(choice, node);
    if (why) return why;
    if (vj_packed_factor(f, node) != 1) return "its weight is on the left";
    const vj_type *w = vj_type_at(f, node->args[1]);
    if (w->rank != 2 || w->dims[0].c < SHORT_SUM) return "its sums are short";
    if (w->dims[0].c > VJ_INTEGER_DEPTH) return "its sums are longer than 32 bits hold";
    return reaches_output(f, node->first_result, LONGEST_WAY) ? "it makes an output" : NULL;
}

static vj_value binary(const bytes *b, vj_op op, vj_value x, vj_value y, const vj_origin *origin) {
    return vj_make_binary(b->f, op, x, y, origin);
}

static vj_value number(const bytes *b, double x) { return vj_add_const_f64(b->f, VJ_F32, 0, NULL, &x); }

/* Goes over the rows of a matrix in blocks; `take` adds one to what each column has. */
static bool for_rows(const bytes *b, vj_value w, void (*take)(double *column, float x), double *columns) {
    const vj_type *type = vj_type_at(b->f, w);
    const int64_t depth = type->dims[0].c, wide = type->dims[1].c, rows = vj_max64(1, BLOCK / wide);
    vj_arena *scratch = vj_arena_new();
    vj_weight_reader *reader = vj_weight_reader_new(scratch, b->f);
    float *block = VJ_NEW_ARRAY(scratch, float, rows *wide);
    bool good = true;
    for (int64_t k = 0; k < depth && good; k += rows) {
        const int64_t part = vj_min64(rows, depth - k);
        good = vj_weight_read(reader, w, k * wide, part * wide, block, b->c->error);
        for (int64_t r = 0; r < part && good; r++)
            for (int64_t n = 0; n < wide; n++)
                take(&columns[n], block[r * wide + n]);
    }
    vj_arena_free(scratch);
    return good;
}

static void take_largest(double *column, float x) {
    if (!(fabs((double)x) <= *column)) *column = fabs((double)x); /* a NaN stays */
}

static void take_sum(double *column, float x) { *column += (double)x; }

/* False: an error, or the weight has a number that is none. */
static bool make_weight(const bytes *b, vj_value w, byte_weight *to) {
    const int64_t wide = vj_type_at(b->f, w)->dims[1].c;
    vj_arena *scratch = vj_arena_new();
    double *scale = VJ_NEW_ARRAY(scratch, double, wide), *inverse = VJ_NEW_ARRAY(scratch, double, wide);
    double *sums = VJ_NEW_ARRAY(scratch, double, wide);
    int64_t *shift = VJ_NEW_ARRAY(scratch, int64_t, wide);
    bool good = for_rows(b, w, take_largest, scale);
    for (int64_t n = 0; n < wide && good; n++) {
        good = isfinite(scale[n]);
        inverse[n] = scale[n] > LEAST ? MOST / scale[n] : 0;
        scale[n] = scale[n] > LEAST ? scale[n] / MOST : 0;
    }
    if (good) {
        const vj_value scaled = binary(b, VJ_OP_mul, w, vj_add_const_f64(b->f, VJ_F32, 1, &wide, inverse), NULL);
        to->q = vj_make_cast(b->f, vj_make(b->f, VJ_OP_round, &scaled, 1, NULL, 0, NULL), VJ_I8, NULL);
        to->scale = vj_add_const_f64(b->f, VJ_F32, 1, &wide, scale);
        good = for_rows(b, to->q, take_sum, sums);
        for (int64_t n = 0; n < wide; n++)
            shift[n] = -ZERO * (int64_t)sums[n];
        to->shift = vj_add_const_i64(b->f, VJ_I32, 1, &wide, shift);
    }
    vj_arena_free(scratch);
    return good;
}

/* The largest size of a number of each row, which a NaN is, and the rows as bytes. */
static void make_activations(const bytes *b, vj_value x, const vj_origin *origin) {
    const int64_t last = vj_type_at(b->f, x)->rank - 1;
    const vj_attr over[] = {vj_ints(VJ_ATTR_AXES, &last, 1), vj_int(VJ_ATTR_KEEP, 1), vj_name(VJ_ATTR_KIND, "max")};
    vj_value largest = vj_make(b->f, VJ_OP_abs, &x, 1, NULL, 0, origin);
    largest = vj_make(b->f, VJ_OP_reduce, &largest, 1, over, 3, origin);
    largest = binary(b, VJ_OP_max, largest, number(b, LEAST), origin);
    vj_value q = binary(b, VJ_OP_mul, x, binary(b, VJ_OP_div, number(b, MOST), largest, origin), origin);
    q = vj_make(b->f, VJ_OP_round, &q, 1, NULL, 0, origin);
    b->q[x] = vj_make_cast(b->f, binary(b, VJ_OP_add, q, number(b, ZERO), origin), VJ_U8, origin);
    b->scale[x] = binary(b, VJ_OP_mul, largest, number(b, 1 / MOST), origin);
}

static vj_value product_of(const bytes *b, const vj_node *node, const byte_weight *w) {
    const vj_value x = node->args[0];
    const vj_origin *origin = node->origin;
    if (b->q[x] < 0) make_activations(b, x, origin);
    vj_value y = binary(b, VJ_OP_matmul, b->q[x], w->q, origin);
    y = vj_make_cast(b->f, binary(b, VJ_OP_add, y, w->shift, origin), VJ_F32, origin);
    y = binary(b, VJ_OP_mul, binary(b, VJ_OP_mul, y, w->scale, origin), b->scale[x], origin);
    return node->arg_count > 2 && node->args[2] >= 0 ? binary(b, VJ_OP_add, y, node->args[2], origin) : y;
}

static void multiply(bytes *b, vj_choice *choice, int32_t n) {
    const vj_node node = b->f->nodes[n];
    byte_weight w;
    const char *why = why_wide(choice, &node);
    vj_report_seen(b->c->report, "int8");
    if (!why && !make_weight(b, node.args[1], &w)) why = "its weight is not finite";
    if (b->c->error->status) return;
    if (why) {
        vj_report_reason(b->c->report, "int8", "node '%s': %s", vj_node_label(b->f, &node), why);
        return;
    }
    vj_report_fused(b->c->report, "int8");
    if (!vj_may_rewrite(b->c, "int8", &node)) return;
    const vj_value y = product_of(b, &node, &w);
    if (!b->f->values[y].name) b->f->values[y].name = b->f->values[node.first_result].name;
    vj_replace_uses(b->f, node.first_result, y);
    vj_kill(b->f, n);
}

void vj_multiply_in_int8(vj_pass_context *c) {
    vj_func *f = c->f;
    vj_choice choice = vj_choice_of(c);
    const int32_t nodes = f->node_count, values = f->value_count;
    bytes b = {.c = c, .f = f};
    b.q = VJ_NEW_ARRAY(c->arena, vj_value, values + 1);
    b.scale = VJ_NEW_ARRAY(c->arena, vj_value, values + 1);
    for (vj_value v = 0; v < values; v++)
        b.q[v] = b.scale[v] = VJ_NONE;
    vj_report_row *row = vj_report_row_of(c->report, "int8");
    row->seen = row->fused = row->reason_count = 0;
    for (int32_t n = 0; n < nodes && !c->error->status; n++)
        if (!f->nodes[n].dead && vj_is_float_product(f, &f->nodes[n])) multiply(&b, &choice, n);
    vj_compact(f);
}
