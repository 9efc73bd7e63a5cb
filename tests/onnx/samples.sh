#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# samples.sh - ONNX's own test data: every folder of DATA has a model, inputs and the answers that ONNX gives.
#     sh samples.sh VITJIT DATA
set -u
vitjit=$1
failed=0
count=0
# The sanitizer guesses where thread-local data of opened libraries lies, wrongly with this glibc, and then crashes.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}intercept_tls_get_addr=0
export ASAN_OPTIONS
for case in "$2"/*/; do
    count=$((count + 1))
    if ! said=$("$vitjit" "$case/model.onnx" --no-cache --test "$case" 2>&1); then
        echo "FAIL: $case: $said"
        failed=$((failed + 1))
    fi
done
echo "$((count - failed)) passed, $failed failed"
[ "$count" -ge 60 ] && [ "$failed" -eq 0 ]
