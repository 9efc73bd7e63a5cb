#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# wasm.sh VITJIT SOURCE_DIR: builds the page of examples/wasm in a clean folder, and runs its module and code under node on the
# bundled pictures (77: the tools are not here). A browser is not needed.
set -eu
source=$2
CLANG=$(command -v clang-19 || command -v clang || :)
for tool in "${CLANG:-clang-19}" wasm-ld-19 node; do
    command -v "$tool" >/dev/null || {
        echo "skipped: no $tool (docs/testing.md)"
        exit 77
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
VITJIT=$1 CLANG=$CLANG "$source/examples/wasm/build.sh" "$work/site"
node "$source/tests/examples/wasm.mjs" "$work/site" "$source/examples"
