#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debuggers.sh gdb|perf VITJIT MODEL: does the tool name the kernels of code that vitjit mapped? Exit status 77: the tool is
# not there, or the system does not let it work.
set -eu
tool=$1 vitjit=$2 model=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
skip() {
    echo "SKIPPED: $*"
    exit 77
}
fail() {
    echo "FAIL: $*"
    cat out
    exit 1
}
command -v "$tool" >/dev/null || skip "$tool is not installed"
nm "$(dirname "$vitjit")/libvitjit.so" >out 2>&1 || true
if grep -q '__[at]san_init' out; then skip "$tool does not go with a sanitizer's build"; fi
export VITJIT_CACHE="$work/cache"
"$vitjit" "$model" --quiet >out 2>&1 || fail "the model does not run"

case $tool in
gdb)
    gdb -nx --batch -ex run --args /bin/true >out 2>&1
    grep -q 'exited normally' out || skip "gdb may not run programs here"
    gdb -nx --batch -ex 'set breakpoint pending on' -ex 'break vj_phase' -ex run -ex 'info functions ^vj_attention_' -ex bt \
        --args "$vitjit" "$model" -j1 --quiet >out 2>&1
    grep -q 'Breakpoint 1, .* in vj_phase ()' out || fail "gdb did not stop in vj_phase"
    grep -q '  vj_attention_4x17x17x16x16_' out || fail "gdb does not know the attention's kernel"
    grep -q '^#0 .* in vj_phase ()$' out || fail "gdb does not name the frame"
    ;;
perf)
    perf record -q -e cpu-clock -o true.data true >out 2>&1 || skip "perf may not record here"
    VITJIT_PERF_MAP=1 perf record -q -e cpu-clock -o data "$vitjit" "$model" -j1 --bench 0.3 --quiet >out 2>&1 ||
        fail "perf record failed"
    perf report -i data --stdio -q -F comm,pid,sym >out 2>/dev/null
    pid=$(sed -n 's/^ *vitjit *\([0-9]*\).*/\1/p' out | head -n 1)
    rm -f "/tmp/perf-$pid.map"
    grep -q ' vj_gemm_linear_17x' out || fail "perf does not name the kernels"
    ;;
esac
