/* SPDX-License-Identifier: Apache-2.0 */
/* model_eval.c - a tool for developers and tests/frontend/zoo.py: imports a model and runs it in the reference
 * evaluator.
 *
 *     model_eval MODEL.onnx BATCH INPUT.raw... > OUTPUTS.f64      (BATCH 0: print the function instead)
 *     model_eval -f K MODEL.onnx BATCH INPUT.raw... > OUTPUTS.f64 (compiled for the fixed batch K)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"

static int failed(const vj_error *error) {
    fprintf(stderr, "model_eval: %s\n", error->text);
    if (error->hint[0]) fprintf(stderr, "  hint: %s\n", error->hint);
    return (int)error->status;
}

static void warn(void *self, const char *text) {
    (void)self;
    fprintf(stderr, "warning: %s\n", text);
}

/* Inputs are float32 in these files. */
static vj_tensor *read_input(vj_arena *arena, const vj_func *f, int32_t i, int64_t n, const char *path,
                             vj_error *error) {
    vj_type type = *vj_type_at(f, f->inputs[i]);
    for (int32_t d = 0; d < type.rank; d++)
        if (type.dims[d].sym) type.dims[d] = vj_dim_const(type.dims[d].c * n);
    vj_tensor *t = vj_tensor_new(arena, &type, error);
    FILE *file = t && t->f ? fopen(path, "rb") : NULL;
    float x;
    int64_t count = 0;
    while (file && count < t->count && fread(&x, sizeof x, 1, file) == 1)
        t->f[count++] = (double)x;
    if (file) fclose(file);
    if (t && count != t->count) vj_fail(error, VJ_BAD_INPUT, "%s: not %lld float32 numbers", path, (long long)t->count);
    return t;
}

static bool run(vj_arena *arena, const vj_func *f, int64_t n, char **paths, int path_count, vj_error *error) {
    vj_tensor **inputs = VJ_NEW_ARRAY(arena, vj_tensor *, f->input_count + 1);
    vj_tensor **outputs = VJ_NEW_ARRAY(arena, vj_tensor *, f->output_count + 1);
    for (int32_t i = 0; i < f->input_count; i++) {
        if (i >= path_count) return vj_fail(error, VJ_USAGE, "too few inputs") == VJ_OK;
        inputs[i] = read_input(arena, f, i, n, paths[i], error);
        if (error->status) return false;
    }
    if (!vj_eval(arena, f, n, inputs, outputs, false, error)) return false;
    for (int32_t i = 0; i < f->output_count; i++)
        for (int64_t j = 0; j < outputs[i]->count; j++) {
            double x = outputs[i]->f ? outputs[i]->f[j] : (double)outputs[i]->i[j];
            fwrite(&x, sizeof x, 1, stdout);
        }
    return true;
}

int main(int argc, char **argv) {
    vj_import_options options = {.warn = warn};
    if (argc > 2 && strcmp(argv[1], "-f") == 0) {
        options.fixed_batch = atoi(argv[2]);
        argv += 2;
        argc -= 2;
    }
    if (argc < 3) return fprintf(stderr, "usage: model_eval [-f BATCH] MODEL.onnx BATCH INPUT.raw...\n"), 1;
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    vj_model_facts facts = {0};
    vj_onnx *onnx = vj_onnx_open(arena, argv[1], &facts, &error);
    vj_func *f = onnx ? vj_import(arena, onnx, &options, &error) : NULL;
    int64_t n = atoi(argv[2]);
    if (f && n == 0) vj_print(f, stdout);
    bool ok = f && (n == 0 || run(arena, f, n, argv + 3, argc - 3, &error));
    int status = ok ? 0 : failed(&error);
    vj_onnx_close(onnx);
    vj_arena_free(arena);
    return status;
}
