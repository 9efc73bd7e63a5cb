/* SPDX-License-Identifier: Apache-2.0 */
/* manual.h - forms of the table of options for readers and shells. A program of the build, which is not installed. */
#ifndef VITJIT_CLI_MANUAL_MANUAL_H
#define VITJIT_CLI_MANUAL_MANUAL_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/command/option_table.h"

/* man.c */
void vj_write_man(FILE *out);

/* shells.c */
void vj_write_bash(FILE *out);
void vj_write_zsh(FILE *out);
void vj_write_fish(FILE *out);

#endif
