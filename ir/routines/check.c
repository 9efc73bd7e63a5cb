/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what the routines' definitions share: words of their tables, checks of a use, and the axis of a node. */
#include "routines.h"

#include <string.h>

const char *vj_word_at(const char *words, int32_t index, size_t *length) {
    for (words += strspn(words, " "); index > 0 && *words; index--) {
        words += strcspn(words, " ");
        words += strspn(words, " ");
    }
    *length = strcspn(words, " ");
    return words;
}

int32_t vj_word_count(const char *words) {
    size_t length;
    int32_t count = 0;
    while (*vj_word_at(words, count, &length))
        count++;
    return count;
}

int32_t vj_word_of(const char *words, const char *text) {
    size_t length;
    for (int32_t i = 0; i < vj_word_count(words); i++) {
        const char *word = vj_word_at(words, i, &length);
        if (strlen(text) == length && memcmp(word, text, length) == 0) return i;
    }
    return -1;
}

void vj_site_axis(vj_site *site) {
    int64_t axis = vj_attr_int(site->node, VJ_ATTR_AXIS, 0);
    if (axis < 0) axis += site->rank[0];
    site->param[0] = site->param[1] = site->param[2] = 1;
    for (int32_t d = 0; d < site->rank[0]; d++)
        site->param[d < axis ? 0 : d == axis ? 1 : 2] *= site->dims[0][d];
}

bool vj_routine_wrong(vj_routine_use *use, const char *what) {
    use->wrong = what;
    return false;
}

bool vj_routine_product(vj_routine_use *use, const int64_t *numbers, int32_t count, int64_t *product) {
    *product = 1;
    for (int32_t i = 0; i < count; i++)
        if (numbers[i] < 1 || !vj_mul(*product, numbers[i], product) || *product > INT64_MAX / 64)
            return vj_routine_wrong(use, "its sizes make no sense");
    return true;
}
