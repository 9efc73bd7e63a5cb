/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - what is asked of the cache itself with failing memory and failing files: a failure is never taken for damage, and removing a model
 * leaves what others use. */
#include "faults.h"
#include "folder.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

static char cache[512], copy[512];

static void list(void *self, fault_outcome *out) {
    static char wanted[4096];
    char *text = NULL;
    size_t bytes = 0;
    (void)self;
    fault_pause();
    FILE *file = open_memstream(&text, &bytes);
    setvbuf(file, NULL, _IOFBF, 1 << 16);
    fault_resume();
    out->status = vj_cache_list(cache, file);
    fault_pause();
    fclose(file);
    if (!wanted[0]) snprintf(wanted, sizeof wanted, "%s", text);
    if (out->status == VJ_OK && strcmp(text, wanted) != 0)
        snprintf(out->wrong, sizeof out->wrong, "it says %.900s", text);
    free(text);
    snprintf(out->text, sizeof out->text, "%s", vj_error_message());
}

static void verify(void *self, fault_outcome *out) {
    (void)self;
    fault_pause();
    FILE *file = fopen("/dev/null", "w");
    fault_resume();
    out->status = vj_cache_verify(cache, file);
    fault_pause();
    fclose(file);
    snprintf(out->text, sizeof out->text, "%s", vj_error_message());
}

/* One of two models, in a copy of the cache; the other's entries are then as before. */
static void remove_model(void *self, fault_outcome *out) {
    (void)self;
    fault_pause();
    if (status_of("rm -rf '%s' && cp -r '%s' '%s'", copy, cache, copy) != 0)
        snprintf(out->wrong, sizeof out->wrong, "cp");
    FILE *file = fopen("/dev/null", "w");
    fault_resume();
    out->status = vj_cache_remove(copy, VJ_TEST_DIR "/data/small.onnx", file);
    fault_pause();
    fclose(file);
    snprintf(out->text, sizeof out->text, "%s", vj_error_message());
    static int without;
    const int left = status_of("exit $(ls '%s' | wc -l)", copy), before = status_of("exit $(ls '%s' | wc -l)", cache);
    if (!without) without = left;
    if (left != (out->status == VJ_OK ? without : before))
        snprintf(out->wrong, sizeof out->wrong, "%d files are left of %d", left, before);
}

int main(int argc, char **argv) {
    static const fault_case cases[] = {
        {.name = "list", .work = list},
        {.name = "verify", .work = verify},
        {.name = "remove", .work = remove_model},
    };
    if (!folder_make()) return 1;
    snprintf(cache, sizeof cache, "%s/cache", folder_path());
    snprintf(copy, sizeof copy, "%s/copy", folder_path());
    int status = 0;
    for (int i = 0; i < 2 && status == 0; i++)
        status = status_of("'%s' '%s/data/%s.onnx' --cache '%s' --bench --iterations 1 >/dev/null", VJ_CLI, VJ_TEST_DIR,
                           i ? "mixed" : "small", cache);
    if (status == 0) status = fault_main(argc, argv, cases, (int)(sizeof cases / sizeof *cases));
    return folder_remove() ? status : 1;
}
