/* SPDX-License-Identifier: Apache-2.0 */
/* page.h - --report=FILE.html: one page about a model, which needs no other file and no network.
 *
 * page.c     collects: what the compiler explains, a profile, each layer's loss in smaller types; writes
 * page.html  draws what it finds in itself as JSON, in place of @DATA@; compiled into the command
 *
 * Sees the rooms command, tensors, job, modes and calibrate.
 */
#ifndef VITJIT_CLI_PAGE_PAGE_H
#define VITJIT_CLI_PAGE_PAGE_H

#include "cli/command/command.h"

/* Compiles the model, runs it on the inputs given, or on seeded ones, and writes the page whole or not at all. */
vj_status vj_write_page(const vj_command *command);

#endif
