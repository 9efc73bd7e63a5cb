/* SPDX-License-Identifier: Apache-2.0 */
/* ops_test.c - imports and evaluates each ONNX op of the packs *ops.bin, and compares with ONNX Runtime's answer. As
 * the evaluator also folds constants, this checks every fold against an independent oracle. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/frontend.h"
#include "pack.h"

/* ONNX Runtime rounds to float32 on the way, which costs a few units in the last place of the largest element. */
static const double tolerance = 4e-6;

static vj_tensor *tensor_of(vj_arena *arena, const vj_func *f, int32_t i, const vj_pack_tensor *from, vj_error *error) {
    vj_type type = {.dtype = vj_type_at(f, f->inputs[i])->dtype, .rank = (int32_t)from->rank};
    for (uint32_t d = 0; d < from->rank; d++)
        type.dims[d] = vj_dim_const(from->dims[d]);
    vj_tensor *t = vj_tensor_new(arena, &type, error);
    if (!t || t->count != from->count || (t->f != NULL) == from->is_integer) return NULL;
    if (t->f)
        memcpy(t->f, from->f, (size_t)t->count * 8);
    else
        memcpy(t->i, from->i, (size_t)t->count * 8);
    return t;
}

static bool same_dims(const vj_tensor *got, const vj_pack_tensor *want) {
    bool same = got->type.rank == (int32_t)want->rank && (got->f == NULL) == want->is_integer;
    for (uint32_t d = 0; same && d < want->rank; d++)
        same = got->type.dims[d].c == want->dims[d];
    return same;
}

static bool same_numbers(const vj_tensor *got, const vj_pack_tensor *want) {
    double largest = 0;
    for (int64_t i = 0; got->f && i < got->count; i++)
        if (isfinite(want->f[i])) largest = fmax(largest, fabs(want->f[i]));
    for (int64_t i = 0; i < got->count; i++) {
        if (!got->f) {
            if (got->i[i] != want->i[i]) return false;
            continue;
        }
        double x = got->f[i], y = want->f[i];
        bool same = isnan(y) ? isnan(x) : isinf(y) ? x == y : fabs(x - y) <= tolerance * largest;
        if (!same) return false;
    }
    return true;
}

static bool run_case(const uint8_t *model, size_t size, int64_t batch, const vj_pack_tensor *in, uint32_t in_count,
                     const vj_pack_tensor *want, uint32_t want_count, char *why, size_t room) {
    vj_error error = {0};
    vj_arena *arena = vj_arena_new();
    vj_model_facts facts;
    vj_onnx *onnx = vj_onnx_open_memory(arena, model, size, "case.onnx", &facts, &error);
    vj_func *f = onnx ? vj_import(arena, onnx, NULL, &error) : NULL;
    vj_tensor *inputs[VJ_PACK_TENSORS], *outputs[VJ_PACK_TENSORS];
    bool ok = f && (uint32_t)f->input_count == in_count && (uint32_t)f->output_count == want_count;
    if (ok && (batch > 0) != f->batch_is_open) {
        ok = false;
        vj_fail(&error, VJ_DIFFERS, "the batch is %s", batch ? "not open" : "open");
    }
    for (uint32_t i = 0; ok && i < in_count; i++)
        ok = (inputs[i] = tensor_of(arena, f, (int32_t)i, &in[i], &error)) != NULL;
    ok = ok && vj_eval(arena, f, batch ? batch : 1, inputs, outputs, true, &error);
    for (uint32_t i = 0; ok && i < want_count; i++) {
        if (!same_dims(outputs[i], &want[i]))
            ok = vj_fail(&error, VJ_DIFFERS, "result %u differs in shape", i) == VJ_OK;
        else if (!same_numbers(outputs[i], &want[i]))
            ok = vj_fail(&error, VJ_DIFFERS, "result %u differs", i) == VJ_OK;
    }
    snprintf(why, room, "%s", error.text);
    vj_onnx_close(onnx);
    vj_arena_free(arena);
    return ok;
}

static int bad, count;

static void run_pack(const char *file) {
    vj_pack pack = vj_pack_open(file);
    while (vj_pack_more(&pack)) {
        char name[128], why[2048];
        vj_pack_text(&pack, name, sizeof name);
        size_t size;
        const uint8_t *model = vj_pack_bytes(&pack, &size);
        uint32_t batch = vj_pack_u32(&pack);
        vj_pack_tensor in[VJ_PACK_TENSORS], want[VJ_PACK_TENSORS];
        uint32_t in_count = vj_pack_tensors(&pack, in), want_count = vj_pack_tensors(&pack, want);
        count++;
        if (!run_case(model, size, batch, in, in_count, want, want_count, why, sizeof why)) {
            bad++;
            print_message("%s: %s\n", name, why);
        }
        vj_pack_free_tensors(in, in_count);
        vj_pack_free_tensors(want, want_count);
    }
    vj_pack_close(&pack);
}

static void every_op_gives_the_answer_of_onnx_runtime(void **state) {
    (void)state;
    vj_packs("ops.bin", run_pack);
    assert_true(count > 200);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_op_gives_the_answer_of_onnx_runtime)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
