#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cross.sh VITJIT TARGET MODEL INPUT.npy WANTED.npy N [RTOL [lib]]: emits MODEL for TARGET, links it with cross.c by that machine's own
# compiler, runs it there (qemu-user, node) on N images, and compares at rtol 1e-4. With lib also as a shared library, where the machine has
# them. 77: a tool is missing.
set -eu
vitjit=$1 target=$2 model=$3 input=$4 wanted=$5 images=$6 rtol=${7:-1e-4} library=${8:-}
here=$(dirname "$0")
. "$here/tools.sh"

case $target in
aarch64)
    compiler=aarch64-linux-gnu-gcc runner="qemu-aarch64 -cpu cortex-a53" ;;
aarch64-bf16)
    compiler=aarch64-linux-gnu-gcc runner="qemu-aarch64 -cpu max" ;;
riscv64)
    compiler=riscv64-linux-gnu-gcc runner="qemu-riscv64 -cpu rv64,v=off" ;;
riscv64-v)
    compiler=riscv64-linux-gnu-gcc runner="qemu-riscv64 -cpu rv64,v=on,vext_spec=v1.0,vlen=${VLEN:-128}" ;;
x86-64)
    compiler=cc runner="qemu-x86_64 -cpu Conroe" ;;
x86-64-v2)
    compiler=cc runner="qemu-x86_64 -cpu Nehalem" ;;
x86-64-v3)
    compiler=cc runner="qemu-x86_64 -cpu Haswell,-hle,-rtm,-invpcid" ;;
wasm32)
    compiler=clang-19 runner=node ;;
esac
[ -z "${NATIVE:-}" ] || runner= # this machine is one
# shellcheck disable=SC2086
need $compiler ${runner%% *}

machine=${target%%-v*}
machine=${machine%%-bf16}
"$vitjit" "$model" --quiet --emit-obj -o "$folder/model.o" --prefix m --target "$machine" --cpu "$target"
program="-std=c17 -O1 -Wall -Wextra -Werror -DMODEL_HEADER=\"model.h\" -DN=$images -I$folder $here/cross.c"
weights=
[ ! -e "$folder/model.weights" ] || weights=$folder/model.weights
if [ "$target" = wasm32 ]; then
    need wasm-ld-19
    # Nothing else is linked: the module imports nothing.
    # shellcheck disable=SC2086
    clang-19 --target=wasm32 -ffreestanding -nostdlib -fuse-ld=lld -Wl,--no-entry -Wl,-z,stack-size=1048576 $program "$folder/model.o" -o "$folder/program"
    # shellcheck disable=SC2086
    node "$here/cross.mjs" "$folder/program" "$input" "$wanted" "$rtol" ${weights:--} ${RUNS:-}
    exit
fi

# The machine's C library is where its compiler has it.
libc=$($compiler -print-file-name=libc.so.6)

link_object() {
    # shellcheck disable=SC2086
    $compiler -static $program "$folder/shift.s" "$folder/model.o" -o "$folder/program" -lm
}

link_library() {
    "$vitjit" "$model" --quiet --emit-lib -o "$folder/model.so" --prefix m --target "$machine" --cpu "$target" --linker "$compiler $folder/shift.s"
    # shellcheck disable=SC2086
    $compiler $program "$folder/model.so" -Wl,-rpath,"$folder" -o "$folder/program" -lm
}

# run HOW: links and runs. QEMU 7.2 aborts where a conversion (vfcvt) is the first instruction of a piece that it translates, as one at a
# page's begin is; the code is then linked some instructions further on.
run() {
    for shift in 8 264 520 776; do
        printf '.text\n.space %d\n' $shift >"$folder/shift.s"
        $1
        status=0
        # shellcheck disable=SC2086
        ${runner:+$runner -L "$(dirname "$libc")/.."} "$folder/program" "$input" "$wanted" "$rtol" $weights 2>"$folder/said" || status=$?
        grep -q 'decode_save_opc: Assertion' "$folder/said" || break
    done
    cat "$folder/said" >&2
    return $status
}

run link_object
[ -z "$library" ] || run link_library
