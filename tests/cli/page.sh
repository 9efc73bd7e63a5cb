#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# page.sh VITJIT DIGITS: --report=FILE.html. Its data are read by node (77: it is not here), which holds them together: recognition as
# --report has it, no two values in one place of the arena at a time, threads that do one thing at a time.
set -euo pipefail
vitjit=$1 digits=$2 script=$(dirname "$(realpath "$0")")/page.mjs
work=$(mktemp -d)
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}intercept_tls_get_addr=0 VITJIT_CACHE=$work/cache
trap 'rm -rf "$work"' EXIT
cd "$work"
fails() { # fails STATUS TEXT WORD...
    local status=0 want=$1 text=$2
    shift 2
    "$vitjit" "$digits" "$@" >out 2>err || status=$?
    [ $status -eq "$want" ] && grep -qF -- "$text" err || {
        echo "$*: status $status, not $want, or no '$text':"
        cat err
        exit 1
    }
}
fails 1 "wants a file's name" --report=
fails 2 "" --report=missing/page.html
[ ! -e missing ]

"$vitjit" "$digits" --report=page.html --no-cache -j2 --quiet >out 2>err
[ ! -s out ] && [ ! -s err ]
! grep -q '@DATA@' page.html
! grep -qE '(src|href)=|@import|url\(' page.html
! sed -n 's/.*id="data">//p' page.html | sed 's/<\/script>.*//' | grep -q '<'
"$vitjit" "$digits" --report --no-cache >report.txt
for precision in bf16 int8; do
    "$vitjit" "$digits" --report=$precision.html --precision $precision --batch 2 -j1 --no-cache --quiet
done
command -v node >/dev/null || {
    echo "skipped: the data are read by node (docs/testing.md)"
    exit 77
}
node "$script" page.html report.txt
node "$script" bf16.html
node "$script" int8.html
