#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh VITJIT [FOLDER]: pages in headless Chromium: a report of the digits model, and examples/wasm. Screenshots stay in FOLDER (build/browser).
# Wants chromium, chromium-driver and node, and for the second page clang-19 and lld-19 (scripts/packages-browser, scripts/packages-cross).
set -eu
here=$(dirname "$(realpath "$0")")
source=$(realpath "$here/../..")
vitjit=$(realpath "$1")
folder=${2:-$source/build/browser}
mkdir -p "$folder"
"$vitjit" "$source/examples/digits/digits.onnx" --precision int8 --report="$folder/report.html" --quiet
node "$here/report.mjs" "$folder/report.html" "$folder"
rm -rf "$folder/site"
VITJIT=$vitjit CLANG=clang-19 "$source/examples/wasm/build.sh" "$folder/site"
node "$here/wasm.mjs" "$folder/site" "$folder"
