/* SPDX-License-Identifier: Apache-2.0 */
/* manual.c - writes the manual page and the shells' completions from the table of options, when vitjit is built:
 *
 *     manual man|bash|zsh|fish
 *
 * man.c    the page, in man(7)'s macros
 * shells.c completions
 */
#include "manual.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*write)(FILE *);
    } forms[] = {{"man", vj_write_man}, {"bash", vj_write_bash}, {"zsh", vj_write_zsh}, {"fish", vj_write_fish}};
    for (size_t i = 0; argc == 2 && i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(argv[1], forms[i].name) != 0) continue;
        forms[i].write(stdout);
        return fflush(stdout) || ferror(stdout);
    }
    fputs("usage: manual man|bash|zsh|fish\n", stderr);
    return 1;
}
