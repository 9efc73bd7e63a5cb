/* SPDX-License-Identifier: Apache-2.0 */
/* small.h - runs the model of data/small.onnx and compares it with plain loops. */
#ifndef VJ_TESTS_RUNTIME_SMALL_H
#define VJ_TESTS_RUNTIME_SMALL_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit.h"

#define WIDTH      16
#define MOST_BATCH 8

static inline const char *data_file(const char *name) {
    static _Thread_local char path[4096];
    snprintf(path, sizeof path, VJ_TEST_DIR "/data/%s", name);
    return path;
}

static inline void fill(float *x, int64_t n, int seed) {
    for (int64_t i = 0; i < n * WIDTH; i++)
        x[i] = (float)((i * 7 + seed) % 11 - 5);
}

/* Returns whether y = relu(x W + b), where all values are whole numbers. `first` is the first element of W. */
static inline bool answers(const float *x, const float *y, int64_t n, float first) {
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < WIDTH; c++) {
            float sum = (float)(c - 8);
            for (int k = 0; k < WIDTH; k++)
                sum += x[i * WIDTH + k] * (k + c == 0 ? first : (float)((3 * k + 5 * c) % 7 - 3));
            if (y[i * WIDTH + c] != (sum > 0 ? sum : 0)) return false;
        }
    return true;
}

static inline vj_status bind_small(vj_session *s, const float *x, float *y, int64_t n) {
    const size_t bytes = (size_t)n * WIDTH * sizeof *x;
    vj_status status = vj_bind_input(s, "x", x, bytes, VJ_F32, (int64_t[]){n, WIDTH}, 2);
    return status ? status : vj_bind_output(s, 0, y, bytes);
}

/* Runs n images and compares with the loops. */
static inline bool runs_right(vj_model *m, int64_t n, float first) {
    float x[MOST_BATCH * WIDTH], y[MOST_BATCH * WIDTH] = {0};
    vj_session *s = NULL;
    fill(x, n, (int)n);
    bool right = vj_session_create(m, &s) == VJ_OK && bind_small(s, x, y, n) == VJ_OK && vj_run(s) == VJ_OK &&
                 answers(x, y, n, first);
    vj_session_free(s);
    return right;
}

#define FIRST (-3.0f)

#if defined(__SANITIZE_THREAD__)
/* LLVM's own code is not instrumented, so the atomic loads that order its static objects are not seen. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) { return "race:libLLVM\n"; }
#endif

#endif
