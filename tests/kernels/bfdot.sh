#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bfdot.sh BFDOTCASES: has aarch64's BFDOT, by qemu-user, the bits of its twin on this machine? 77: a tool is missing.
set -eu
here=$(dirname "$0")
. "$here/../aot/tools.sh"
need aarch64-linux-gnu-gcc qemu-aarch64
"$1" "$folder"
aarch64-linux-gnu-gcc -static -std=c17 -O1 -Wall -Wextra -Werror -march=armv8.6-a "$here/bfdotfar.c" "$folder/entry.s" -o "$folder/program"
qemu-aarch64 -cpu max "$folder/program" "$folder/cases"
