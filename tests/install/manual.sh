#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# manual.sh BUILD_DIR: the manual page and the completions have every option of --help, and bash's completes.
set -euo pipefail
build=$1
options=$("$build/vitjit" --help | grep -oE '^  (-[a-z], )?--[a-z0-9-]+' | grep -oE -- '--.*')
[ "$(wc -l <<<"$options")" -gt 50 ]
failed=0
for option in $options; do
    page=${option//-/\\-}
    grep -qF -- "\\fB$page\\fR" "$build/manual/man/vitjit.1" || { echo "vitjit.1 lacks $option"; failed=1; }
    grep -qE -- "[' ]$option " "$build/manual/bash/vitjit" || { echo "bash lacks $option"; failed=1; }
    grep -qE -- "'\*?$option=?\[" "$build/manual/zsh/_vitjit" || { echo "zsh lacks $option"; failed=1; }
    grep -qE -- "-l ${option#--} " "$build/manual/fish/vitjit.fish" || { echo "fish lacks $option"; failed=1; }
done

bash -n "$build/manual/bash/vitjit"
# completed WORD... CURRENT: what bash would offer
completed() {
    COMP_WORDS=(vitjit "$@") COMP_CWORD=$# COMPREPLY=()
    _vitjit
    echo "${COMPREPLY[*]}"
}
compopt() { :; }
# shellcheck disable=SC1091
. "$build/manual/bash/vitjit"
same() { [ "$1" = "$2" ] || { echo "offered '$1', not '$2'"; failed=1; }; }
same "$(completed m.onnx --precision b)" bf16
same "$(completed m.onnx --weight-f)" --weight-format
same "$(completed ca)" cache
same "$(completed cache v)" verify
for shell in zsh fish; do
    command -v $shell >/dev/null || continue
    $shell -n "$build/manual/$shell/"*vitjit*
done
if command -v man >/dev/null && command -v col >/dev/null; then
    warnings=$(MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 "$build/manual/man/vitjit.1" 2>&1 >/dev/null) || true
    [ -z "$warnings" ] || { echo "$warnings"; failed=1; }
fi
exit $failed
