/* main.c - the command `vitjit`. */
#include "cli/cli.h"

int main(int argc, char **argv) { return (int)vj_cli(argc, argv); }
