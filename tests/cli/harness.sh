# SPDX-License-Identifier: Apache-2.0
# harness.sh - what the tests of the command share: a folder of its own for each, runs and what is expected of them. Sourced by
#     sh FILE.sh VITJIT SOURCE_FOLDER PART
set -u
vitjit=$1
source=$2
part=$3
data=$source/tests/cli/data
fixtures=$source/tests/fixtures/data
digits=$source/examples/digits
work=$(mktemp -d)
log=$(mktemp -d)
trap 'rm -rf "$work" "$log"' EXIT
VITJIT_CACHE=$work/cache
export VITJIT_CACHE
# The sanitizer guesses where thread-local data of opened libraries lies, wrongly with this glibc, and then crashes.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}intercept_tls_get_addr=0
export ASAN_OPTIONS
cd "$work" || exit 1
failed=0

fail() {
    echo "FAIL: $1"
    echo "  command: $command"
    sed 's/^/  stdout: /' "$log/out"
    sed 's/^/  stderr: /' "$log/err"
    failed=1
}

# run STATUS ARGUMENT...: vitjit must end with that status
run() {
    wanted=$1
    shift
    command="vitjit $*"
    "$vitjit" "$@" >"$log/out" 2>"$log/err" </dev/null
    status=$?
    [ "$status" -eq "$wanted" ] || fail "exit status $status, not $wanted"
}

prints() { grep -qF -e "$1" "$log/out" || fail "stdout lacks '$1'"; }
prints_not() { ! grep -qF -e "$1" "$log/out" || fail "stdout has '$1'"; }
stderr_has() { grep -qF -e "$1" "$log/err" || fail "stderr lacks '$1'"; }
silent() { [ ! -s "$log/err" ] || fail "stderr is not empty"; }
lines() { [ "$(wc -l <"$log/out")" -eq "$1" ] || fail "stdout has not $1 lines"; }
# every error has one form, and is one message
form() { [ "$(grep -c '^vitjit: ' "$log/err")" -eq 1 ] || fail "not one message of the form 'vitjit: ...'"; }
empty() { [ -z "$(ls -A "$1")" ] || fail "$1 is not empty: $(ls -A "$1")"; }
bad() { run "$@"; form; [ ! -s "$log/out" ] || fail "an error, but stdout is not empty"; }
