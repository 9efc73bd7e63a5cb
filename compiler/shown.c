/* SPDX-License-Identifier: Apache-2.0 */
/* shown.c - names of the model as a terminal may see them. */
#include "compiler.h"

const char *vj_shown(vj_arena *arena, const char *name) {
    char *copy = vj_strdup(arena, name ? name : "");
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = '?';
    return copy;
}
