#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# aot.sh BUILD_DIR SOURCE_DIR SANITIZERS MACHINE: examples/aot in a clean folder, against an installed prefix; MACHINE is
# `native`, or another, for which they are built by its own compiler and run by qemu (77: these are not here).
set -eu
build=$1 source=$2 sanitizers=$3 machine=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$source/examples/aot" "$work/aot"
digits=$source/examples/digits
flags=${sanitizers:+-fsanitize=$sanitizers}
run() { "$@"; }
target=
toolchain=
cxx=c++

cmake --install "$build" --prefix "$work/prefix" >/dev/null
prefix=$work/prefix
if [ "$machine" != native ]; then
    for tool in "$machine-linux-gnu-gcc" "qemu-$machine"; do
        command -v "$tool" >/dev/null || {
            echo "skipped: no $tool"
            exit 77
        }
    done
    "$build/vitjit" targets | grep -q "^$machine " || {
        echo "skipped: no code is made for $machine"
        exit 77
    }
    flags=-DPICTURES=20 # an emulator is slow
    cxx=$machine-linux-gnu-g++
    target=-DDIGITS_TARGET=$machine
    toolchain="-DCMAKE_TOOLCHAIN_FILE=$source/cmake/toolchains/$machine-linux-gnu.cmake"
    run() { "qemu-$machine" -L "/usr/$machine-linux-gnu" "$@"; }
    prefix=$work/$machine
    cmake -S "$source" -B "$work/rt" -DVITJIT_RUNTIME_ONLY=ON -DCMAKE_BUILD_TYPE=Release "$toolchain" >/dev/null
    cmake --build "$work/rt" >/dev/null
    cmake --install "$work/rt" --prefix "$prefix" >/dev/null
fi
programs="object load"
if command -v "$cxx" >/dev/null; then
    programs="$programs object_cpp"
else
    target="$target -DDIGITS_CPP=OFF"
    echo "skipped: object_cpp, for there is no $cxx"
fi
# what a build by hand left beside the sources is not taken
printf '#ifndef VITJIT_OBJECT_DIGITS_H\n#error "a stale header"\n#endif\n' >"$work/aot/digits.h"
echo "no object" >"$work/aot/digits.o"
# shellcheck disable=SC2086
cmake -S "$work/aot" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=BOTH \
    -DVITJIT="$work/prefix/bin/vitjit" -DDIGITS="$digits/digits.onnx" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_FLAGS="-Wall -Wextra -Wpedantic -Werror $flags" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Werror $flags" \
    $target $toolchain >/dev/null
cmake --build "$work/build" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
rm "$work/aot/digits.h" "$work/aot/digits.o"
cd "$work/build"
wanted=$(run ./arena "$digits")
echo "$machine: arena: $wanted"
for program in $programs; do
    library=
    [ "$program" != load ] || library=digits.so
    said=$(run "./$program" $library "$digits") || exit 1
    echo "$machine: $program: $said"
    [ "$said" = "$wanted" ]
done
[ "$machine" = native ] || exit 0

echo "== another CPU is another object, and nothing is made twice"
before=$(cksum digits.o)
cmake --build . >/dev/null
[ "$(cksum digits.o)" = "$before" ]
cmake . -DDIGITS_TARGET=x86_64 >/dev/null
cmake --build . >/dev/null
[ "$(cksum digits.o)" != "$before" ]
./arena "$digits"
cmake . -DDIGITS_TARGET= >/dev/null
cmake --build . >/dev/null
[ "$(cksum digits.o)" = "$before" ]

echo "== pkg-config, the shared library, and the README's line"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name vitjit_rt.pc)")
export PKG_CONFIG_PATH
libdir=$(dirname "$PKG_CONFIG_PATH")
# shellcheck disable=SC2046
cc $flags "$work/aot/load.c" $(pkg-config --cflags --libs vitjit_rt) -Wl,-rpath,"$libdir" -o by_pkg_config
./by_pkg_config digits.so "$digits"
readelf -d by_pkg_config | grep -q 'NEEDED.*libvitjit_rt\.so\.'
cc "$work/aot/arena.c" -I. digits.o -lm -o by_hand
./by_hand "$digits"
cc "$work/aot/arena.c" -I. ./digits.so -Wl,-rpath,'$ORIGIN' -o by_library
./by_library "$digits"

[ -z "$sanitizers" ] || {
    echo "skipped: the heap, which the sanitizers use"
    exit 0
}
echo "== no heap"
cat >heap.c <<'END'
#include <stddef.h>
#include <unistd.h>
static void *refuse(void) {
    (void)!write(2, "the heap was used\n", 18);
    _exit(9);
}
void *malloc(size_t size) { return (void)size, refuse(); }
void *calloc(size_t count, size_t size) { return (void)count, (void)size, refuse(); }
void *realloc(void *at, size_t size) { return (void)at, (void)size, refuse(); }
void *aligned_alloc(size_t alignment, size_t size) { return (void)alignment, (void)size, refuse(); }
int posix_memalign(void **at, size_t alignment, size_t size) { return (void)at, (void)alignment, (void)size, refuse() != NULL; }
END
cc -shared -fPIC -fno-builtin heap.c -o heap.so
LD_PRELOAD=$PWD/heap.so ./arena "$digits"
status=0
LD_PRELOAD=$PWD/heap.so ./object "$digits" 2>/dev/null || status=$?
[ "$status" -eq 9 ] # the interposer does see what uses the heap
