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
} attention_case;

static kernel_case build(const attention_case *a, uint64_t seed) {
    static char name[128];
    snprintf(name, sizeof name, "attention %d heads %dx%d, %d and %d dims%s%s", (int)a->heads, (int)a->i, (int)a->j,
             (int)a->d, (int)a->e, a->turned ? ", keys by rows" : "", a->bias ? ", bias" : "");
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
    const int32_t scale = vj_x_const(c.arena, k, VJ_F32, (double)(float)c.stretch);
    int32_t score = vj_x(c.arena, k, VJ_X_MUL, VJ_F32, vj_x(c.arena, k, VJ_X_ACC, VJ_F32, 0, 0, 0), scale, 0);
    if (a->bias) {
        const int32_t bias = case_buffer(&c, a->heads * a->i * a->j);
        case_fill(&c, bias, 1, a->heads * a->i * a->j, 0, -1, 1);
        const vj_access at = {.buffer = bias, .stride = {a->i * a->j, a->j, 1, 0, 0}};
        score = vj_x(c.arena, k, VJ_X_ADD, VJ_F32, score, vj_x_load(c.arena, k, VJ_F32, vj_add_access(k, &at)), 0);
    }
    k->score_expr = score;
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
static void masked(void) {
    const attention_case a = {2, 11, 21, 8, 9, false, true, 1};
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
static void masked_in_blocks(void) {
    const attention_case a = {1, 26, 2500, 8, 9, false, true, 1};
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
    run((attention_case){3, 197, 197, 64, 64, false, false, 1});
    run((attention_case){2, 197, 197, 64, 64, true, false, 1});
    run((attention_case){4, 49, 49, 32, 32, false, true, 1});
    run((attention_case){2, 1, 33, 16, 16, false, false, 1});
    run((attention_case){1, 17, 1, 4, 3, false, false, 1});
    run((attention_case){2, 5, 16, 7, 20, true, true, 1});
    run((attention_case){1, 40, 1370, 16, 24, false, false, 1});
    run((attention_case){1, 9, 4096, 8, 8, true, false, 1});
    run((attention_case){1, 30, 1500, 8, 20, true, true, 1});
    run((attention_case){2, 30, 50, 8, 36, false, false, 20}); /* almost one-hot */
    run((attention_case){2, 33, 70, 80, 48, true, false, 1});
    run((attention_case){1, 70, 900, 72, 40, true, true, 1});
    for (int64_t n = 1; n <= 17; n += step)
        run((attention_case){1, n, 18 - n, 1 + n * 5 % 9, n, n & 1, n & 2, 2});
    masked();
    masked_in_blocks();
}

void attention_cases(void **state) {
    (void)state;
    use_types = (case_types){.plain = VJ_F32, .packed = VJ_F32};
    all_cases(1);
}

void narrow_attention_cases(void **state) {
    (void)state;
    use_types = (case_types){.plain = VJ_BF16, .packed = VJ_BF16};
    all_cases(4);
}
