/* SPDX-License-Identifier: Apache-2.0 */
/* attentioncases.c - tests attention: layouts of keys, tails, bias and masks, different widths, many keys. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernelcheck.h"

typedef struct attention_case {
    int64_t heads, i, j, d, e;
    bool turned; /* keys with a unit stride over d */
    bool bias;
    float largest; /* of queries and keys */
    bool rounded;  /* operands are whole numbers; scores and weights are rounded to a byte's steps */
} attention_case;

/* x / step, rounded and taken to [low, low + 255]. */
static int32_t rounded(kernel_case *c, int32_t x, double step, double low) {
    vj_kernel *k = c->k;
    const int32_t by = vj_x_const(c->arena, k, VJ_F32, (double)(float)step);
    x = vj_x(c->arena, k, VJ_X_ROUND, VJ_F32, vj_x(c->arena, k, VJ_X_DIV, VJ_F32, x, by, 0), 0, 0);
    x = vj_x(c->arena, k, VJ_X_AT_LEAST, VJ_F32, x, vj_x_const(c->arena, k, VJ_F32, low), 0);
    return vj_x(c->arena, k, VJ_X_AT_MOST, VJ_F32, x, vj_x_const(c->arena, k, VJ_F32, low + 255), 0);
}

/* Scores reach some twenty steps of a tenth. */
static void round_steps(kernel_case *c, const attention_case *a) {
    vj_kernel *k = c->k;
    const double step = 0.1;
    const int32_t size = vj_x_const(c->arena, k, VJ_F32, (double)(float)step);
    k->score_expr = vj_x(c->arena, k, VJ_X_MUL, VJ_F32, rounded(c, k->score_expr, step, -139), size, 0);
    k->weight_expr = rounded(c, vj_x(c->arena, k, VJ_X_ACC, VJ_F32, 0, 0, 0), 1 / 255.0, 0);
    c->lean = 0x1p-17; /* beyond 20 EPS of a weight, in 255 steps */
    for (int32_t i = 0; i < 3; i++) {
        const int32_t buffer = k->access[k->operand[i]].buffer;
        for (int64_t e = 0; e < c->p->buffers[buffer].elements; e++)
            c->values[buffer][e] = floorf(c->values[buffer][e] * 125 / (i < 2 ? a->largest : 1));
    }
}

static kernel_case build(const attention_case *a, uint64_t seed) {
    static char name[128];
    snprintf(name, sizeof name, "attention %d heads %dx%d, %d and %d dims%s%s%s", (int)a->heads, (int)a->i, (int)a->j,
             (int)a->d, (int)a->e, a->turned ? ", keys by rows" : "", a->bias ? ", bias" : "",
             a->rounded ? ", rounded" : "");
    kernel_case c = case_new(name, VJ_KERNEL_ATTENTION, seed);
    vj_kernel *k = c.k;
    vj_set_axes(k, (const int32_t[]){1, 1, 1, 1, 1}, (const int64_t[]){a->heads, a->i, a->j, a->d, a->e});
    /* Keys beyond j are NaN up to the pitch, and must not change the result. */
    const int64_t pitch = a->j + 5, rows = a->d + 1;
    const int32_t q = case_operand(&c, a->heads * a->i * a->d);
    case_fill(&c, q, 1, a->heads * a->i * a->d, 0, -a->largest, a->largest);
    const int32_t keys = case_operand(&c, a->heads * (a->turned ? a->j * rows : a->d * pitch));
    if (a->turned) {
        case_fill(&c, keys, a->heads * a->j, a->d, rows, -a->largest, a->largest);
    } else {
        case_fill(&c, keys, a->heads * a->d, a->j, pitch, -a->largest, a->largest);
    }
    const int32_t v = case_operand(&c, a->heads * a->j * a->e);
    case_fill(&c, v, 1, a->heads * a->j * a->e, 0, -1, 1);
    k->q = vj_add_access(k, &(vj_access){.buffer = q, .stride = {a->i * a->d, a->d, 0, 1, 0}});
    const vj_access by_rows = {.buffer = keys, .stride = {a->j * rows, 0, rows, 1, 0}};
    const vj_access by_dims = {.buffer = keys, .stride = {a->d * pitch, 0, 1, pitch, 0}};
    k->k = vj_add_access(k, a->turned ? &by_rows : &by_dims);
    k->v = vj_add_access(k, &(vj_access){.buffer = v, .stride = {a->j * a->e, 0, a->e, 0, 1}});
    c.stretch = 1 / sqrt((double)a->d);
    if (a->rounded) c.stretch *= a->largest * a->largest / (125 * 125);
    const int32_t scale = vj_x_const(c.arena, k, VJ_F32, (double)(float)c.stretch);
    int32_t score = vj_x(c.arena, k, VJ_X_MUL, VJ_F32, vj_x(c.arena, k, VJ_X_ACC, VJ_F32, 0, 0, 0), scale, 0);
    if (a->bias) {
        const int32_t bias = case_buffer(&c, a->heads * a->i * a->j);
        case_fill(&c, bias, 1, a->heads * a->i * a->j, 0, -1, 1);
        const vj_access at = {.buffer = bias, .stride = {a->i * a->j, a->j, 1, 0, 0}};
        score = vj_x(c.arena, k, VJ_X_ADD, VJ_F32, score, vj_x_load(c.arena, k, VJ_F32, vj_add_access(k, &at)), 0);
    }
    k->score_expr = score;
    if (a->rounded) round_steps(&c, a);
    const int32_t out = case_buffer(&c, a->i * a->heads * a->e);
    const vj_access to = {.buffer = out, .stride = {a->e, a->heads * a->e, 0, 0, 1}};
    k->out[k->out_count++] = (vj_out){vj_add_access(k, &to), vj_x(c.arena, k, VJ_X_ACC, VJ_F32, 0, 0, 0), -1};
    return c;
}

static void run(attention_case a) {
    static uint64_t seed;
    kernel_case c = build(&a, ++seed);
    case_check(&c);
}

/* Masks of -inf for some keys, and for all keys of a row, whose result is NaN. A row masked by the least float gives
 * the mean of the values. */
static void masked(bool rounded) {
    const attention_case a = {2, 11, 21, 8, 9, false, true, 1, rounded};
    kernel_case c = build(&a, 99);
    float *bias = c.values[3];
    for (int64_t r = 0; r < a.heads * a.i; r++)
        for (int64_t j = 0; j < a.j; j++)
            if (j > r || r == 14)
                bias[r * a.j + j] = -INFINITY;
            else if (j % 3 == 1 || r == 17)
                bias[r * a.j + j] = -FLT_MAX;
    case_check(&c);
}

/* So many keys that they are done in blocks. The first blocks of some rows are masked; one row has no key at all, one
 * has a single key in the last block, and one has its largest scores last. */
static void masked_in_blocks(bool rounded) {
    const attention_case a = {1, 26, rounded ? 5300 : 2500, 8, 9, false, true, 1, rounded};
    kernel_case c = build(&a, 98);
    float *bias = c.values[3];
    for (int64_t r = 0; r < a.i; r++)
        for (int64_t j = 0; j < a.j; j++) {
            const bool none = r == 3 || (r == 4 && j != a.j - 1) || (r > 4 && j < r * 100);
            if (none) bias[r * a.j + j] = -INFINITY;
            if (r == 2) bias[r * a.j + j] += (float)j * 0.02F;
        }
    case_check(&c);
}

/* Every `step`-th size. */
static void all_cases(int64_t step) {
    run((attention_case){3, 197, 197, 64, 64, false, false, 1, false});
    run((attention_case){2, 197, 197, 64, 64, true, false, 1, false});
    run((attention_case){4, 49, 49, 32, 32, false, true, 1, false});
    run((attention_case){2, 1, 33, 16, 16, false, false, 1, false});
    run((attention_case){1, 17, 1, 4, 3, false, false, 1, false});
    run((attention_case){2, 5, 16, 7, 20, true, true, 1, false});
    run((attention_case){1, 40, 1370, 16, 24, false, false, 1, false});
    run((attention_case){1, 9, 4096, 8, 8, true, false, 1, false});
    run((attention_case){1, 30, 1500, 8, 20, true, true, 1, false});
    run((attention_case){2, 30, 50, 8, 36, false, false, 20, false}); /* almost one-hot */
    run((attention_case){2, 33, 70, 80, 48, true, false, 1, false});
    run((attention_case){1, 70, 900, 72, 40, true, true, 1, false});
    for (int64_t n = 1; n <= 17; n += step)
        run((attention_case){1, n, 18 - n, 1 + n * 5 % 9, n, n & 1, n & 2, 2, false});
    masked(false);
    masked_in_blocks(false);
}

static void rounded_cases(void) {
    static const attention_case cases[] = {
        {3, 197, 197, 64, 64, false, false, 3, true}, {2, 197, 197, 64, 64, true, false, 3, true},
        {4, 49, 49, 32, 32, false, true, 3, true},    {2, 1, 33, 16, 16, false, false, 3, true},
        {1, 17, 1, 4, 3, false, false, 3, true},      {2, 5, 16, 7, 20, true, true, 3, true},
        {1, 40, 1370, 16, 24, false, false, 3, true}, {1, 9, 17000, 4, 8, true, false, 3, true},
        {2, 30, 50, 8, 36, false, false, 20, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run(cases[i]);
    for (int64_t n = 1; n <= 17; n += 4)
        run((attention_case){1, n, 18 - n, 1 + n * 5 % 9, n, n & 1, n & 2, 2, true});
    masked(true);
    masked_in_blocks(true);
}

void attention_cases(void **state) {
    (void)state;
    use_types = (case_types){.plain = VJ_F32, .packed = VJ_F32};
    all_cases(1);
    rounded_cases();
}

void narrow_attention_cases(void **state) {
    (void)state;
    use_types = (case_types){.plain = VJ_BF16, .packed = VJ_BF16};
    all_cases(4);
    rounded_cases();
}
