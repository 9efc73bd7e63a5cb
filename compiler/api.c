/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - the library's one exported symbol. */
#include "compiler.h"

#include <pthread.h>
#include <stdio.h>

static void free_orc(void *orc) { vj_orc_free(orc); }

/* The best of the other rows whose features it all has. */
static const vj_target *parent_of(const vj_target *row) {
    const vj_target *parent = NULL;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *t = vj_target_at(i);
        const bool is_below = t->machine == row->machine && t != row && !(t->cpu_feature_bits & ~row->cpu_feature_bits);
        if (is_below && (!parent || t->rank > parent->rank)) parent = t;
    }
    return parent;
}

static int32_t target_row(int32_t i, vj_target_info *info) {
    const vj_target *row = i >= 0 && i < vj_target_count() ? vj_target_at(i) : NULL;
    const vj_target *parent = row ? parent_of(row) : NULL;
    if (row) {
        *info = (vj_target_info){.name = row->name,
                                 .triple = row->triple,
                                 .parent = parent ? parent->name : NULL,
                                 .cpu = {row->name, row->cpu_feature_bits, row->rank, 0},
                                 .is_host = row == vj_target_host(),
                                 .vector_bits = row->vector_bytes * 8,
                                 .registers = row->registers,
                                 .is_fused = row->muladd == VJ_MULADD_FMA,
                                 .l1_bytes = row->l1_bytes,
                                 .l2_bytes = row->l2_bytes};
        vj_features_text(row->cpu_feature_bits & ~(parent ? parent->cpu_feature_bits : 0), info->features);
    }
    return row != NULL;
}

static const char *cpu_row(const char *name) {
    const vj_target *row = vj_target_by_name(name);
    return row ? row->name : NULL;
}

static vj_compiler_api the_api = {.version = VJ_COMPILER_API,
                                  .compile = vj_compile,
                                  .free_orc = free_orc,
                                  .emit = vj_emit_files,
                                  .inspect = vj_inspect,
                                  .report = vj_report_text,
                                  .explain = vj_explain,
                                  .check = vj_check,
                                  .read_tensor = vj_read_tensor,
                                  .peak = vj_peak,
                                  .stream = vj_stream,
                                  .target = target_row,
                                  .cpu = cpu_row,
                                  .feature = vj_feature_by_name};

static void complete(void) {
    static char llvm[32];
    snprintf(llvm, sizeof llvm, "%s", vj_llvm_version()); /* which is the calling thread's */
    the_api.build_id = vj_build_id();
    the_api.llvm_version = llvm;
}

const vj_compiler_api *vj_compiler_get(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, complete);
    return &the_api;
}
