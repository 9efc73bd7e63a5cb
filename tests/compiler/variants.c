/* SPDX-License-Identifier: Apache-2.0 */
/* variants.c - a program that links an object for several CPUs, whose prefix is m. It checks which of them init takes for the
 * features of a CPU that is named, and runs each that this CPU can run.
 * usage: variants WEIGHTS INPUT OUTPUT CPU=FEATURES...: of each run OUTPUT.CPU is written; m_init_as must take CPU for FEATURES */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m.h"

enum { N = 3 };

static _Alignas(M_ALIGNMENT) unsigned char weights[M_WEIGHTS_BYTES], in[M_INPUT_0_BYTES(N)], out[M_OUTPUT_0_BYTES(N)],
    scratch[M_SCRATCH_BYTES(N, 1)];

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "variants.c:%d: %s\n", __LINE__, #what);                                                   \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static int read_whole(const char *path, void *data, size_t size) {
    FILE *f = fopen(path, "rb");
    CHECK(f && fread(data, 1, size, f) == size && fgetc(f) == EOF);
    return fclose(f);
}

static int run(const m_context *context, const char *stem, const char *name) {
    char path[4096];
    CHECK(m_run(context, N, (const void *const[]){in}, (void *const[]){out}, scratch) == VJ_RUN_OK);
    snprintf(path, sizeof path, "%s.%s", stem, name);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(out, 1, sizeof out, f) == sizeof out && fclose(f) == 0);
    return 0;
}

int main(int argc, char **argv) {
    const vj_model *m = m_model();
    CHECK(argc > 3 && read_whole(argv[1], weights, sizeof weights) == 0 && read_whole(argv[2], in, sizeof in) == 0);
    for (int i = 4; i < argc; i++) {
        m_context told;
        char *features = strchr(argv[i], '=');
        CHECK(features);
        *features++ = 0;
        CHECK(m_init_as(&told, weights, sizeof weights, 0, strtoull(features, NULL, 0)) == VJ_RUN_OK);
        if (strcmp(m->cpus[told.variant].name, argv[i]) != 0)
            return fprintf(stderr, "%s is taken, not %s\n", m->cpus[told.variant].name, argv[i]), 1;
    }
    m_context best;
    if (m_init(&best, weights, sizeof weights) != VJ_RUN_OK) return 0; /* it can run none */
    for (int32_t i = 0; i < m->cpu_count; i++) {
        m_context told;
        if (m->cpus[i].features & ~m->cpus[best.variant].features) continue;
        CHECK(m_init_as(&told, weights, sizeof weights, 0, m->cpus[i].features) == VJ_RUN_OK && told.variant == i);
        if (run(&told, argv[3], m->cpus[i].name)) return 1;
    }
    return 0;
}
