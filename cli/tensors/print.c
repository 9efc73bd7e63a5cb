/* SPDX-License-Identifier: Apache-2.0 */
/* print.c - what is printed of a tensor: its type and statistics. */
#include "tensors.h"

void vj_print_outputs(const vj_array *outputs, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        const vj_array *a = &outputs[i];
        char type[VJ_TYPE_TEXT];
        const vj_summary s = vj_array_summary(a);
        printf("output %s  %s", a->name, vj_type_words(a->dtype, a->dims, a->rank, type));
        if (vj_array_elements(a) > s.not_finite) printf("  min %.6g  max %.6g  mean %.6g", s.min, s.max, s.mean);
        if (s.not_finite)
            printf("  not finite: %lld of %lld", (long long)s.not_finite, (long long)vj_array_elements(a));
        putchar('\n');
    }
}
