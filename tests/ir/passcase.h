/* SPDX-License-Identifier: Apache-2.0 */
/* passcase.h - what a mode line pass=A,B precision=bf16 weight_format=f16 keep_f32=PATTERN says. */
#ifndef VITJIT_TESTS_PASSCASE_H
#define VITJIT_TESTS_PASSCASE_H

#include <string.h>

#include "cases.h"
#include "passes/passes.h"

/* The next pass of the line; NULL: it was the last. */
static inline const char *next_pass(const test_case *c, const char **at) {
    while (**at) {
        const char *word = *at;
        const size_t length = strcspn(word, ", ");
        *at += length + (word[length] != 0);
        if (!memchr(word, '=', length)) return vj_strndup(c->arena, word, length);
    }
    return NULL;
}

static inline const char *passes_of(const test_case *c) { return c->mode + strlen("pass="); }

/* The word behind `key`; NULL: there is none. */
static inline const char *option_of(const test_case *c, const char *key) {
    const char *at = strstr(c->mode, key);
    return at ? vj_strndup(c->arena, at + strlen(key), strcspn(at + strlen(key), ", ")) : NULL;
}

/* f16, bf16, int8, int4 */
static inline vj_dtype format_by_name(const char *name) {
    const vj_dtype dtype = vj_dtype_by_name(name, strlen(name));
    return strcmp(name, "int4") == 0 ? VJ_I4 : strcmp(name, "int8") == 0 ? VJ_I8 : dtype;
}

static inline void set_options(const test_case *c, vj_pipeline_options *options) {
    const char *precision = option_of(c, " precision="), *format = option_of(c, " weight_format=");
    const char *keep = option_of(c, " keep_f32=");
    if (precision) options->precision = vj_dtype_by_name(precision, strlen(precision));
    if (format) options->weight_format = format_by_name(format);
    if (!keep) return;
    const char **list = VJ_NEW_ARRAY(c->arena, const char *, 1);
    list[0] = keep;
    options->keep_f32 = list;
    options->keep_f32_count = 1;
}

#endif
