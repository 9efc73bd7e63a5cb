#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fat.sh VITJIT MACHINE MODEL INPUT.npy WANTED.npy N: objects for several CPUs of a machine. What is in them; then fat.c on
# CPUs of several kinds, by qemu-user: each must take the best code that it can run, or refuse. 77: a tool is missing.
set -eu
vitjit=$1 machine=$2 model=$3 input=$4 wanted=$5 images=$6
here=$(dirname "$0")
. "$here/tools.sh"

# Nothing undefined, nothing that is written, no code that runs before main, no indirect functions.
sound() {
    "$nm" -u "$1" | grep . && { echo "$1 needs these"; exit 1; }
    "$readelf" -SW "$1" | grep -E ' W?AW? ' | grep -E '\.(data|bss|init|ctors)' | grep -v ' \.data\.rel\.ro ' &&
        { echo "$1 has these sections"; exit 1; }
    "$readelf" -sW "$1" | grep IFUNC && { echo "$1 has these functions"; exit 1; }
    return 0
}

# emit NAME CPUS [OPTION...]: an object and a program.
emit() {
    name=$1 cpus=$2
    shift 2
    "$vitjit" "$model" --quiet --emit-obj -o "$folder/$name.o" --prefix m --weights file --cpu "$cpus" "$@"
    sound "$folder/$name.o"
    "$compiler" -static -std=gnu17 -O1 -Wall -Wextra -Werror -DMODEL_HEADER="\"$name.h\"" -DN="$images" -I"$folder" \
        "$here/fat.c" "$folder/$name.o" -o "$folder/$name" -lm -pthread
}

# runs NAME CPU TAKEN [RTOL]: by qemu's name of the CPU, and what init must take.
runs() {
    echo "$2:"
    "$qemu" -cpu "$2" "$folder/$1" "$input" "$wanted" "${4:-1e-4}" "$3" "$folder/$1.weights"
}

# One file of weights serves all CPUs: it is that of any of them alone.
same_weights() {
    "$vitjit" "$model" --quiet --emit-obj -o "$folder/one.o" --prefix m --weights file --cpu "$1"
    cmp "$folder/one.weights" "$folder/all.weights"
}

case $machine in
x86-64)
    compiler=cc qemu=qemu-x86_64 nm=nm readelf=readelf
    need $compiler $qemu $nm $readelf
    emit all v1,v2,v3,v4,v4-bf16
    same_weights v1
    same_weights v2,v3
    for kind in asm llvm; do
        "$vitjit" "$model" --quiet --emit-$kind -o "$folder/all.$kind" --prefix m --cpu v4,v3,v2,v1
    done
    awk -f "$here/fat.awk" "$folder/all.llvm" "$folder/all.asm"
    emit new v3,v4
    emit tiles v3,v4-amx
    runs all qemu64 x86-64
    runs all Nehalem x86-64-v2
    runs all SandyBridge,-tsc-deadline,-x2apic x86-64-v2
    runs all Haswell,-hle,-rtm,-invpcid,-tsc-deadline,-x2apic,-pcid x86-64-v3
    runs all max x86-64-v3
    runs new Nehalem none
    runs tiles Haswell,-hle,-rtm,-invpcid,-tsc-deadline,-x2apic,-pcid x86-64-v3
    runs tiles Nehalem none
    runs new max,-bmi2 none
    # vj_load takes the same of a library as init of an object.
    "$vitjit" "$model" --quiet --emit-lib -o "$folder/all.so" --prefix m --cpu v1,v2,v3,v4
    for pair in qemu64=x86-64 Nehalem=x86-64-v2 Haswell=x86-64-v3; do
        "$qemu" -cpu "${pair%%=*}" "$vitjit" "$folder/all.so" --inspect 2>/dev/null | grep -E "^CPU +${pair#*=}\$"
    done
    # Where the CPU itself has more than qemu emulates.
    best=$("$vitjit" targets | awk '/ this machine / { print $1 }')
    case $best in x86-64-v4-amx) known=x86-64-v4 ;; *) known=$best ;; esac
    case $best in x86-64-v4-amx | x86-64-v3) tiled=$best ;; x86-64-v4*) tiled=x86-64-v3 ;; *) tiled=none ;; esac
    if [ "$(uname -m)" = x86_64 ]; then
        "$folder/all" "$input" "$wanted" 1e-4 "$known" "$folder/all.weights"
        "$folder/tiles" "$input" "$wanted" 1e-4 "$tiled" "$folder/tiles.weights"
    fi
    ;;
aarch64)
    compiler=aarch64-linux-gnu-gcc qemu=qemu-aarch64 nm=aarch64-linux-gnu-nm readelf=aarch64-linux-gnu-readelf
    need $compiler $qemu $nm $readelf
    emit all aarch64,aarch64-bf16
    same_weights aarch64
    runs all cortex-a72 aarch64
    runs all max aarch64-bf16
    # In bf16 each of a block's six products, the patches' and the head's (26 of four blocks) rounds two factors by at most 2^-9
    # of their size, all by themselves: sqrt(2 * 26) * 2^-9 of the answer's size.
    emit narrow aarch64,aarch64-bf16 --precision bf16
    runs narrow cortex-a72 aarch64 1.41e-2
    runs narrow max aarch64-bf16 1.41e-2
    # What runs there is the instruction, and only on a CPU that has it.
    for cpu in aarch64 aarch64-bf16; do
        "$vitjit" "$model" --quiet --emit-asm -o "$folder/$cpu.s" --prefix m --target aarch64 --cpu $cpu --precision bf16
    done
    grep -q bfdot "$folder/aarch64-bf16.s"
    if grep bfdot "$folder/aarch64.s"; then exit 1; fi
    ;;
riscv64)
    compiler=riscv64-linux-gnu-gcc qemu=qemu-riscv64 nm=riscv64-linux-gnu-nm readelf=riscv64-linux-gnu-readelf
    need $compiler $qemu $nm $readelf
    emit all riscv64,riscv64-v
    same_weights riscv64
    runs all rv64,v=off riscv64
    runs all rv64,v=on,vext_spec=v1.0,vlen=128 riscv64-v
    ;;
esac
