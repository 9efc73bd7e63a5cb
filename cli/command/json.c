/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - JSON and the end of memory. cJSON leaves out what it has no memory for, and says so to nobody who adds to an object: its allocations are
 * watched, so that nothing is printed that lacks a part, and what was read in part is no answer. */
#include "command.h"

#include <cjson/cJSON.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_bool failed;

static void *allocate(size_t bytes) {
    void *at = malloc(bytes);
    if (!at) atomic_store(&failed, true);
    return at;
}

void vj_json_begin(void) {
    cJSON_Hooks hooks = {allocate, free};
    atomic_store(&failed, false);
    cJSON_InitHooks(&hooks);
}

char *vj_json_text(const cJSON *json) {
    char *text = cJSON_PrintUnformatted(json);
    if (!atomic_load(&failed)) return text;
    cJSON_free(text);
    return NULL;
}

vj_status vj_json_end(vj_status status) {
    return status == VJ_OK && atomic_load(&failed) ? vj_print_error(VJ_SYSTEM, NULL, "out of memory") : status;
}
