/* SPDX-License-Identifier: Apache-2.0 */
/* features.c - names of CPU features, in LLVM's words. */
#include <stdio.h>
#include <string.h>

#include "target.h"
#include "vitjit_model.h"

typedef struct feature {
    const char *name;
    uint64_t bit, companions;
} feature;

static const feature features[] = {
#define X86_FEATURE(id, name, leaf, subleaf, word, bit, saved, companions) {name, VJ_CPU_##id, companions},
#define AARCH64_FEATURE(id, name, entry, bit, companions)                  {name, VJ_CPU_##id, companions},
#define RISCV_FEATURE(id, name, probe, hwcap, companions)                  {name, VJ_CPU_##id, companions},
#include "vitjit_cpu.def"
};

enum { FEATURES = sizeof features / sizeof *features };

/* Each name with its sign and comma. */
_Static_assert(FEATURES * 14 < VJ_FEATURES_TEXT, "the text of all features needs more room");

const char *vj_features_text(uint64_t set, char text[VJ_FEATURES_TEXT]) {
    size_t length = 0;
    *text = 0;
    for (int32_t i = 0; i < FEATURES; i++)
        if (set & features[i].bit)
            length += (size_t)snprintf(text + length, VJ_FEATURES_TEXT - length, "%s+%s", length ? "," : "",
                                       features[i].name);
    return text;
}

const char *vj_target_llvm_features(const vj_target *target, char text[VJ_FEATURES_TEXT]) {
    vj_features_text(target->cpu_feature_bits, text);
    const size_t length = strlen(text);
    snprintf(text + length, VJ_FEATURES_TEXT - length, "%s%s", length && *target->llvm_extra ? "," : "",
             target->llvm_extra);
    return text;
}

uint64_t vj_feature_by_name(const char *name, size_t length, uint64_t *companions) {
    for (int32_t i = 0; i < FEATURES; i++)
        if (strlen(features[i].name) == length && memcmp(features[i].name, name, length) == 0) {
            *companions = features[i].companions;
            return features[i].bit;
        }
    return 0;
}
