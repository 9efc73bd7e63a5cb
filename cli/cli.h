/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - the command line: a thin user of vitjit.h, and of the compiler's library for what compiles without running.
 *
 * main.c, cli.c   from main to one mode a call
 * command/        the command as it was typed, messages
 * tensors/        tensors in memory and in files
 * job/            a compiled model with inputs and outputs bound
 * modes/          one function a mode
 * calibrate/      the mode of --calibration-data, in steps
 *
 * The rooms stand in the order in which they see each other: a later one sees those before it.
 */
#ifndef VITJIT_CLI_CLI_H
#define VITJIT_CLI_CLI_H

#include "vitjit.h"

/* The status is the command's exit status. */
vj_status vj_cli(int argc, char **argv);

#endif
