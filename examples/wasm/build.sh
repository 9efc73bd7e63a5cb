#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh [FOLDER]: compiles the model and puts the page and all it needs into FOLDER (default: site), to be served as it is.
# VITJIT and CLANG name the commands.
set -eu
here=$(dirname "$0")
site=${1:-site}
mkdir -p "$site/pictures"
"${VITJIT:-vitjit}" "$here/../digits/digits.onnx" --quiet --emit-obj -o "$site/digits.o" --prefix digits --target wasm32 --weights file >/dev/null
# The model's frames are larger than a C program's: the stack has 1 MiB.
"${CLANG:-clang-19}" --target=wasm32 -std=c17 -O2 -Wall -Wextra -ffreestanding -nostdlib -Wl,--no-entry \
    -Wl,-z,stack-size=1048576 -Wl,--strip-all -I"$site" "$here/model.c" "$site/digits.o" -o "$site/digits.wasm"
rm "$site/digits.o" "$site/digits.h"
cp "$here/index.html" "$here/page.mjs" "$here/classifier.mjs" "$site"
cp "$here/../digits/pictures/"*.png "$site/pictures"
