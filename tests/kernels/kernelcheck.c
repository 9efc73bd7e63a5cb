/* SPDX-License-Identifier: Apache-2.0 */
/* kernelcheck.c - runs a kernel's code for every row and compares it with the evaluator.
 *
 * LLVM takes nearly all of the time. So a case is compiled once for all rows for which the generator makes the same, namely for one of
 * them, in turn; for one row of another machine, in turn; and in one form that stands for other CPUs' instructions, in turn. With --all
 * it is compiled for each. A sanitizer sees the project's code alone: there all is generated, and every so-manieth case is compiled, for
 * one row.
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

#include "answers.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif

enum { RUN_INSTRUMENTED = 4 };
/* Rows, and forms of this machine's row that stand for others' instructions. */
enum { MOST_ROWS = 32, MOST_FORMS = 8, MOST_TYPES = 24 };

static const char *wanted = ""; /* a part of the names of the cases that are checked */
static bool everywhere;         /* all rows and forms, each */
static int checked, turn;       /* cases; of those of the same types */

static bool is_turn(int32_t of, int32_t count) { return everywhere || turn % count == of; }

/* What was compiled of operands of some types, a bit a row and a form. */
typedef struct coverage {
    case_types types;
    int cases;
    uint64_t rows, forms, all_forms;
} coverage;
static coverage covered[MOST_TYPES];
static int covered_count;

static bool same_types(const case_types *a, const case_types *b) {
    return a->plain == b->plain && a->packed == b->packed && a->bits == b->bits && a->table == b->table;
}

static coverage *coverage_of(const case_types *types) {
    int i = 0;
    while (i < covered_count && !same_types(&covered[i].types, types))
        i++;
    assert_true(i < MOST_TYPES);
    if (i == covered_count) covered[covered_count++].types = *types;
    return &covered[i];
}

static size_t bytes_of(const vj_buffer *buffer) { return (size_t)(buffer->elements * vj_element_bytes(buffer->dtype)); }

/* Leaves the results' bytes in first. */
static void check_target(const kernel_case *c, const vj_target *target, const answers *a, void *first[16]) {
    vj_program *p = c->p;
    vj_schedule_kernel(c->arena, target, p, c->k);
    code *generated = code_make(target, p, c->k);
    for (int at_end = 0; at_end < 2; at_end++) {
        guarded buffers[16];
        void *at[16];
        for (int32_t b = 0; b < p->buffer_count; b++) {
            buffers[b] = guarded_new(bytes_of(&p->buffers[b]), at_end);
            at[b] = buffers[b].at;
            case_to_memory(p->buffers[b].dtype, c->values[b], p->buffers[b].elements, at[b]);
        }
        if (at_end) {
            code_run(generated, at, 0, c->k->units);
        } else {
            /* Units are run one at a time, the last one first, as each is independent. */
            for (int64_t unit = c->k->units - 1; unit >= 0; unit--)
                code_run(generated, at, unit, unit + 1);
        }
        answers_compare(c, target, at_end ? "guard behind" : "guard before", at, a);
        for (int32_t b = 0; b < p->buffer_count; b++) {
            const size_t bytes = bytes_of(&p->buffers[b]);
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

/* Code that was run, and the bytes that it left. */
typedef struct run {
    code_source source;
    void *bits[16];
} run;
typedef struct runs {
    int count;
    run at[MOST_ROWS + MOST_FORMS];
} runs;

static code_source generate(const kernel_case *c, const vj_target *target) {
    vj_schedule_kernel(c->arena, target, c->p, c->k);
    return code_generate(target, c->p, c->k);
}

/* Runs a target's code, unless it has been run; takes the source. */
static const run *run_once(const kernel_case *c, const vj_target *target, const answers *a, code_source source,
                           runs *all) {
    for (int i = 0; !everywhere && i < all->count; i++)
        if (code_same(&source, &all->at[i].source)) {
            code_source_free(&source);
            return &all->at[i];
        }
    run *new = &all->at[all->count++];
    *new = (run){.source = source};
    check_target(c, target, a, new->bits);
    return new;
}

/* Of the rows that run here and of which the same is generated as of `row`, is it the one whose turn it is? */
static bool has_turn(const code_source *sources, int32_t row) {
    int before = 0, count = 0;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        if (!sources[i].bytes || !code_same(&sources[i], &sources[row])) continue;
        before += i < row;
        count++;
    }
    return is_turn(before, count);
}

static void check_here(const kernel_case *c, const answers *a, coverage *has, runs *all) {
    code_source sources[MOST_ROWS] = {0};
    assert_true(vj_target_count() <= MOST_ROWS);
    for (int32_t i = 0; i < vj_target_count(); i++)
        if (vj_target_runs_here(vj_target_at(i))) sources[i] = generate(c, vj_target_at(i));
    for (int32_t i = 0; i < vj_target_count(); i++) {
        if (!sources[i].bytes || !has_turn(sources, i)) continue;
        run_once(c, vj_target_at(i), a, generate(c, vj_target_at(i)), all);
        has->rows |= UINT64_C(1) << i;
    }
    for (int32_t i = 0; i < vj_target_count(); i++)
        code_source_free(&sources[i]);
}

/* Code for rows that do not run here. */
static void check_elsewhere(const kernel_case *c, coverage *has) {
    int32_t others = 0, at = 0;
    for (int32_t i = 0; i < vj_target_count(); i++)
        others += !vj_target_runs_here(vj_target_at(i));
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *target = vj_target_at(i);
        if (vj_target_runs_here(target) || !is_turn(at++, others)) continue;
        vj_schedule_kernel(c->arena, target, c->p, c->k);
        code_check(target, c->p, c->k);
        has->rows |= UINT64_C(1) << i;
    }
}

/* A form of this machine's row that computes without an instruction what others have it for. */
typedef struct form {
    vj_target target;
    bool same; /* this machine's row must give the same bits */
    const char *what;
} form;

static form form_of(const char *name, const char *what) {
    form f = {.target = *vj_target_host(), .what = what};
    f.target.name = name;
    return f;
}

static form dot_form(vj_dot instruction, vj_dot twin) {
    form f = form_of("twin", "dot products");
    f.same = f.target.dot == instruction;
    f.target.tiles = VJ_TILES_NONE;
    f.target.dot = twin;
    return f;
}

static form tile_form(void) {
    form f = form_of("twin of tiles", "tiles");
    f.same = f.target.tiles == VJ_TILES_AMX;
    f.target.dot = VJ_DOT_NONE;
    f.target.tiles = VJ_TILES_TWIN;
    return f;
}

/* Twins of dot products of halves and of tiles, on every CPU; and bytes by blocks in all forms that this CPU has, the simpler ones being
 * those of others. */
static int forms_of(const kernel_case *c, form *forms) {
    static const vj_dot8 simpler[] = {VJ_DOT8_BYTES, VJ_DOT8_PAIRS, VJ_DOT8_PLAIN};
    int count = 0;
    if (c->types.plain == VJ_BF16 && (c->types.packed == VJ_BF16 || c->types.bits)) {
        forms[count++] = dot_form(VJ_DOT_AVX512, VJ_DOT_AVX512_TWIN);
        forms[count++] = dot_form(VJ_DOT_BFDOT, VJ_DOT_BFDOT_TWIN);
        forms[count++] = tile_form();
    }
    if (c->types.plain == VJ_U8) forms[count++] = tile_form();
    for (size_t i = 0; c->types.plain == VJ_U8 && c->types.bits && i < sizeof simpler / sizeof *simpler; i++) {
        form f = form_of("other form", "products of bytes");
        const vj_dot8 own = f.target.dot8;
        if (simpler[i] >= own || (own == VJ_DOT8_USDOT && simpler[i] != VJ_DOT8_PLAIN)) continue;
        f.target.dot8 = simpler[i];
        f.same = true;
        forms[count++] = f;
    }
    return count;
}

static void check_forms(const kernel_case *c, const answers *a, coverage *has, runs *all) {
    form forms[MOST_FORMS];
    const int count = forms_of(c, forms);
    for (int i = 0; i < count; i++) {
        if (!is_turn(i, count)) continue;
        const run *by_form = run_once(c, &forms[i].target, a, generate(c, &forms[i].target), all);
        has->forms |= UINT64_C(1) << i;
        if (!forms[i].same) continue;
        const run *own = run_once(c, vj_target_host(), a, generate(c, vj_target_host()), all);
        for (int32_t b = 0; b < c->p->buffer_count; b++)
            if (memcmp(own->bits[b], by_form->bits[b], bytes_of(&c->p->buffers[b])) != 0)
                fail_msg("%s: the twin of %s has other bits", c->name, forms[i].what);
    }
    has->all_forms = (UINT64_C(1) << count) - 1;
}

/* Generates all, and runs one. */
static void check_generator(const kernel_case *c) {
    form forms[MOST_FORMS];
    const int32_t rows = vj_target_count(), count = rows + forms_of(c, forms);
    for (int32_t i = 0; i < count; i++) {
        code_source source = generate(c, i < rows ? vj_target_at(i) : &forms[i - rows].target);
        code_source_free(&source);
    }
    if (turn % RUN_INSTRUMENTED != 0) return;
    const vj_target *target = vj_target_at(turn / RUN_INSTRUMENTED % rows);
    if (!vj_target_runs_here(target)) target = vj_target_host();
    const answers a = case_answers(c);
    void *bits[16];
    check_target(c, target, &a, bits);
}

/* Groups of k must lie within the last axis of the depth. */
static bool straddles(const kernel_case *c) {
    const int64_t last = c->k->extent[c->k->rank - 1];
    const vj_dtype dtype = c->types.bits ? c->types.plain : c->types.packed;
    if (dtype == VJ_U8) return false;
    return c->k->kind == VJ_KERNEL_GEMM && last % vj_panel_group(dtype) != 0 &&
           last != vj_group_extent(c->k, VJ_GROUP_DEPTH);
}

static void check(const kernel_case *c) {
    vj_error error = {0};
    runs all = {0};
    coverage *has = coverage_of(&c->types);
    checked++;
    turn = has->cases++;
    case_round(c);
    if (!vj_verify_program(c->p, &error)) fail_msg("%s: %s", c->name, error.text);
    if (INSTRUMENTED) {
        check_generator(c);
        return;
    }
    const answers a = case_answers(c);
    check_here(c, &a, has, &all);
    check_elsewhere(c, has);
    check_forms(c, &a, has, &all);
    for (int i = 0; i < all.count; i++)
        code_source_free(&all.at[i].source);
}

static struct {
    int32_t of, count, at;
} turns = {0, 1, 0};

void case_turns(int32_t of, int32_t count) {
    turns.of = of;
    turns.count = count;
    turns.at = 0;
}

/* Cases often come in as many kinds as there are turns: the turn moves on after each round. */
static bool has_case_turn(void) {
    const int32_t at = turns.at++;
    return everywhere || (at + at / turns.count) % turns.count == turns.of;
}

void case_check(kernel_case *c) {
    const bool is_plain = c->types.plain == VJ_U8 && !vj_is_packed(c->p, c->k->access[c->k->b].buffer);
    if (has_case_turn() && strstr(c->name, wanted) && !straddles(c) && !is_plain) check(c);
    vj_arena_free(c->arena);
}

/* Code for each row was made of operands of each type. */
static void every_row_has_each_type(void **state) {
    (void)state;
    const uint64_t rows = (UINT64_C(1) << vj_target_count()) - 1;
    for (int i = 0; i < covered_count && !*wanted && !INSTRUMENTED; i++)
        if (covered[i].rows != rows || covered[i].forms != covered[i].all_forms)
            fail_msg("%s by %s: no case for some row", vj_element_name(covered[i].types.plain),
                     vj_element_name(covered[i].types.packed));
    if (!checked) fail_msg("no case has '%s' in its name", wanted);
}

/* test_kernels [--all] [--only TEST] [NAME]: only the cases whose name has it; with code for all CPUs each; only that test's */
int main(int argc, char **argv) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_cases),         cmocka_unit_test(attention_cases),
        cmocka_unit_test(narrow_gemm_cases),  cmocka_unit_test(narrow_attention_cases),
        cmocka_unit_test(integer_gemm_cases), cmocka_unit_test(block_gemm_cases),
        cmocka_unit_test(byte_block_cases)};
    static const struct CMUnitTest last[] = {cmocka_unit_test(every_row_has_each_type)};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--all") == 0)
            everywhere = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            cmocka_set_test_filter(argv[++i]);
        else
            return fprintf(stderr, "usage: test_kernels [--all] [--only TEST] [NAME]\n"), 1;
    }
    if (i < argc) wanted = argv[i];
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cmocka_set_test_filter(NULL);
    return failed || cmocka_run_group_tests(last, NULL, NULL);
}
