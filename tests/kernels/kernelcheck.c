/* kernelcheck.c - runs a kernel and compares it with the evaluator.
 *
 * The bound of a result's error is that of a sum of products: k terms added one after another in any order have an
 * error of at most (k + 1) * eps * sum |a||b| (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1),
 * times the epilogue's slope. The evaluator computes sum |a||b| from absolute values.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernelcheck.h"

kernel_case case_new(const char *name, vj_kernel_kind kind, uint64_t seed) {
    kernel_case c = {.name = name, .arena = vj_arena_new(), .random = {seed}, .stretch = 1, .own = 4 * EPS};
    c.p = vj_program_new(c.arena, NULL);
    c.k = vj_add_kernel(c.p, kind, "case");
    return c;
}

int32_t case_buffer(kernel_case *c, int64_t elements) {
    const int32_t b = vj_add_buffer(c->p, VJ_BUFFER_ARENA, VJ_F32, elements, NULL);
    c->values[b] = VJ_NEW_ARRAY(c->arena, float, elements);
    for (int64_t i = 0; i < elements; i++)
        c->values[b][i] = NAN;
    return b;
}

void case_fill(kernel_case *c, int32_t buffer, int64_t rows, int64_t length, int64_t pitch, float low, float high) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < length; i++)
            c->values[buffer][r * pitch + i] = rng_float(&c->random, low, high);
}

/* Gives a weight the source that the verifier demands. The panels are filled here, not from it. */
static vj_value source_of(kernel_case *c, int64_t depth, int64_t columns) {
    vj_func *f = vj_func_new(c->arena, "weights");
    const vj_type type = vj_type_of(VJ_F32, 2, (const int64_t[]){depth, columns});
    c->p->f = f;
    return vj_add_const(f, "w", &type, &(vj_const){.kind = VJ_CONST_SPLAT});
}

int32_t case_panels(kernel_case *c, int64_t depth, int64_t columns) {
    const int64_t padded = vj_round_up(columns, VJ_PANEL);
    const int32_t b = case_buffer(c, padded * depth);
    c->p->buffers[b].kind = VJ_BUFFER_WEIGHT;
    c->p->buffers[b].index = c->p->weight_count;
    vj_weight *weight = VJ_PUSH(c->p->arena, c->p->weights, c->p->weight_count, c->p->weight_capacity);
    *weight = (vj_weight){.kind = VJ_PACK_PANELS, .k = depth, .n = columns, .k_rank = 1, .n_rank = 1};
    weight->k_extent[0] = depth;
    weight->k_stride[0] = columns;
    weight->n_extent[0] = columns;
    weight->n_stride[0] = 1;
    weight->source = source_of(c, depth, columns);
    for (int64_t n = 0; n < padded; n++)
        for (int64_t k = 0; k < depth; k++)
            c->values[b][vj_panel_index(depth, k, n)] = n < columns ? rng_float(&c->random, -1, 1) : 0;
    return b;
}

/* Runs the evaluator on all buffers. With `magnitude`, it takes absolute values and the result is the bare sum. */
static double **evaluate(const kernel_case *c, bool magnitude) {
    vj_program *p = c->p;
    double **buffers = VJ_NEW_ARRAY(c->arena, double *, p->buffer_count);
    for (int32_t b = 0; b < p->buffer_count; b++) {
        buffers[b] = VJ_NEW_ARRAY(c->arena, double, p->buffers[b].elements);
        for (int64_t i = 0; i < p->buffers[b].elements; i++)
            buffers[b][i] = magnitude ? fabs((double)c->values[b][i]) : (double)c->values[b][i];
    }
    vj_kernel k = *c->k;
    if (magnitude) {
        const int32_t acc = vj_x(c->arena, &k, VJ_X_ACC, VJ_F32, 0, 0, 0);
        for (int32_t i = 0; i < k.out_count; i++)
            k.out[i].expr = acc;
        for (int32_t i = 0; i < k.access_count; i++)
            k.access[i].otherwise = fabs(k.access[i].otherwise);
    }
    vj_error error = {0};
    if (!vj_eval_kernel(p, &k, buffers, &error)) fail_msg("%s: %s", c->name, error.text);
    return buffers;
}

static bool is_out(const vj_kernel *k, int32_t buffer) {
    for (int32_t i = 0; i < k->out_count; i++)
        if (k->access[k->out[i].access].buffer == buffer) return true;
    return false;
}

/* The relative error of the weights of a softmax, which depends on the largest score's magnitude. */
static double attention_bound(const kernel_case *c) {
    const vj_kernel *k = c->k;
    const double d = (double)vj_group_extent(k, VJ_GROUP_DIM), j = (double)vj_group_extent(k, VJ_GROUP_KEYS);
    double q = 0, keys = 0, others = 0, v = 0;
    for (int32_t b = 0; b < c->p->buffer_count; b++) {
        if (is_out(k, b)) continue;
        double largest = 0;
        for (int64_t i = 0; i < c->p->buffers[b].elements; i++)
            if (isfinite(c->values[b][i])) largest = fmax(largest, fabs((double)c->values[b][i]));
        if (b == k->access[k->q].buffer) {
            q = largest;
        } else if (b == k->access[k->k].buffer) {
            keys = largest;
        } else if (b == k->access[k->v].buffer) {
            v = largest;
        } else {
            others += largest;
        }
    }
    /* scores: |s| <= c * d * |q||k| + |bias|, each with (d + 3) roundings; exp: the difference of two of them, three
     * roundings more of up to twice |s|, and 4 ulp of its own; two sums of J terms; a quotient and a product */
    const double score = c->stretch * d * q * keys + others;
    const double weight = 2 * (d + 3) * EPS * score + 3 * 2 * score * EPS + 8 * EPS;
    return v * (2 * weight + (2 * j + 8) * EPS);
}

static void compare(const kernel_case *c, const vj_target *target, const char *how, void *const *got, double **expected,
                    double **magnitude) {
    const vj_kernel *k = c->k;
    const double terms = k->kind == VJ_KERNEL_GEMM ? (double)vj_group_extent(k, VJ_GROUP_DEPTH) + 2 : 0;
    const double uniform = k->kind == VJ_KERNEL_ATTENTION ? attention_bound(c) : 0;
    for (int32_t b = 0; b < c->p->buffer_count; b++) {
        const float *is = got[b], *was = c->values[b];
        for (int64_t i = 0; i < c->p->buffers[b].elements; i++) {
            /* The evaluator starts from the same bytes, as elements that no result writes must keep them. */
            const double want = expected[b][i];
            if (isnan(want) ? isnan(is[i]) : is[i] == (float)want) continue;
            if (!is_out(k, b))
                fail_msg("%s (%s, %s): operand %d changed at %lld", c->name, target->name, how, b, (long long)i);
            const double sum = magnitude ? magnitude[b][i] : 0;
            const double underflow = (2 * terms + 2) * 0x1p-150; /* a product or sum below the normal range */
            const double bound = c->stretch * terms * EPS * sum + uniform + c->own * (fabs(want) + sum) + underflow;
            if (!(fabs((double)is[i] - want) <= bound))
                fail_msg("%s (%s, %s): buffer %d element %lld is %.9g, not %.9g (bound %.3g, was %.9g)", c->name,
                         target->name, how, b, (long long)i, (double)is[i], want, bound, (double)was[i]);
        }
    }
}

static void check_target(const kernel_case *c, const vj_target *target, double **expected, double **magnitude) {
    vj_program *p = c->p;
    vj_schedule_kernel(c->arena, target, p, c->k);
    code *generated = code_make(target, p, c->k);
    void *first[16] = {0};
    for (int at_end = 0; at_end < 2; at_end++) {
        guarded buffers[16];
        void *at[16];
        for (int32_t b = 0; b < p->buffer_count; b++) {
            const size_t bytes = (size_t)p->buffers[b].elements * 4;
            buffers[b] = guarded_new(bytes, at_end);
            at[b] = buffers[b].at;
            memcpy(at[b], c->values[b], bytes);
        }
        if (at_end) {
            code_run(generated, at, 0, c->k->units);
        } else {
            /* Units are run one at a time, the last one first, as each is independent. */
            for (int64_t unit = c->k->units - 1; unit >= 0; unit--)
                code_run(generated, at, unit, unit + 1);
        }
        compare(c, target, at_end ? "guard behind" : "guard before", at, expected, magnitude);
        for (int32_t b = 0; b < p->buffer_count; b++) {
            const size_t bytes = (size_t)p->buffers[b].elements * 4;
            if (at_end == 0) {
                first[b] = memcpy(vj_alloc(c->arena, bytes), at[b], bytes);
            } else if (memcmp(first[b], at[b], bytes) != 0) {
                fail_msg("%s (%s): bits depend on the split", c->name, target->name);
            }
            guarded_free(&buffers[b]);
        }
    }
    code_free(generated);
}

static const char *wanted = ""; /* a part of the names of the cases that are checked */
static int checked;

void case_check(kernel_case *c) {
    vj_error error = {0};
    if (!strstr(c->name, wanted)) {
        vj_arena_free(c->arena);
        return;
    }
    checked++;
    if (!vj_verify_program(c->p, &error)) fail_msg("%s: %s", c->name, error.text);
    double **expected = evaluate(c, false);
    double **magnitude = c->k->kind == VJ_KERNEL_GEMM ? evaluate(c, true) : NULL;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *target = vj_target_at(i);
        if (vj_target_runs_here(target)) {
            check_target(c, target, expected, magnitude);
        } else {
            vj_schedule_kernel(c->arena, target, c->p, c->k);
            code_check(target, c->p, c->k);
        }
    }
    vj_arena_free(c->arena);
}

/* test_kernels [NAME]: only the cases whose name has it */
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gemm_cases), cmocka_unit_test(attention_cases)};
    if (argc > 1) wanted = argv[1];
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!checked) fprintf(stderr, "no case has '%s' in its name\n", wanted);
    return failed || !checked;
}
