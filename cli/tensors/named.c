/* SPDX-License-Identifier: Apache-2.0 */
/* named.c - the files of options like --input NAME=x.npy. */
#include "tensors.h"

#include <stdlib.h>
#include <string.h>

vj_status vj_read_named(const vj_list *list, const char *option, vj_array **arrays) {
    *arrays = calloc((size_t)list->count + 1, sizeof **arrays);
    if (!*arrays) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    for (int32_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->at[i], '=');
        char why[512];
        if (!equals || equals == list->at[i] || !equals[1])
            return vj_print_error(VJ_USAGE, NULL, "%s wants NAME=x.npy, not '%s'", option, list->at[i]);
        const vj_status status = vj_npy_read(equals + 1, &(*arrays)[i], why);
        if (status) return vj_print_error(status, equals + 1, "%s", why);
        char *name = (*arrays)[i].name = strndup(list->at[i], (size_t)(equals - list->at[i]));
        for (int32_t j = 0; j < i && name; j++)
            if (strcmp((*arrays)[j].name, name) == 0)
                return vj_print_error(VJ_USAGE, NULL, "%s is given twice for '%s'", option, name);
        if (!name) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    }
    return VJ_OK;
}
