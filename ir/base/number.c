/* SPDX-License-Identifier: Apache-2.0 */
/* number.c - numbers as text, with a decimal point in every locale. The library may run inside a program whose locale
 * has a comma. */
#include "base.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

/* Sets the C locale for this thread until `restore`. Without memory for it, the program's locale stays. */
static locale_t enter_c_locale(locale_t *c) {
    *c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return uselocale(*c);
}

static void restore(locale_t before, locale_t c) {
    uselocale(before);
    if (c) freelocale(c);
}

double vj_strtod(const char *text, char **end) {
    locale_t c, before = enter_c_locale(&c);
    double value = strtod(text, end);
    restore(before, c);
    return value;
}

void vj_print_double(char out[40], int precision, double value) {
    locale_t c, before = enter_c_locale(&c);
    snprintf(out, 40, "%.*g", precision, value);
    restore(before, c);
}
