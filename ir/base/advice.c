/* SPDX-License-Identifier: Apache-2.0 */
/* advice.c - hints that name a setting: an option to who sits before the command, a member of vj_options to a program. */
#include "base.h"

#include <stdio.h>

void vj_advise_batch(vj_error *error, int64_t n) {
    if (!error) return;
    vj_hint(error,
            error->for_command ? "fix the batch: --batch %lld"
                               : "fix the batch: in vj_options.shapes, an input whose first dim is %lld",
            (long long)n);
}

void vj_advise_own_batch(vj_error *error) {
    if (!error) return;
    vj_hint(error, "compile for that size: %s; or export the model with a fixed or a truly dynamic batch",
            error->for_command ? "--batch N" : "in vj_options.shapes, an input whose first dim it is");
}

void vj_advise_shape(vj_error *error, const char *input, const char *example) {
    if (!error) return;
    vj_hint(error,
            error->for_command ? "give its size, for example --shape %.60s=%s"
                               : "give its size in vj_options.shapes, for example %.60s=%s",
            input, example);
}

void vj_advise_value(vj_error *error, const char *input) {
    if (!error) return;
    vj_hint(error,
            error->for_command ? "give it: --fix %.60s=x.npy (another value is another program)"
                               : "give that of '%.60s' in vj_options.fixed (another value is another program)",
            input);
}
