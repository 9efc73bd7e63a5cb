#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh BUILD_DIR CONSUMER_DIR DIGITS_DIR SANITIZERS
set -eu
build=$1 consumer=$2 digits=$3 sanitizers=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=${sanitizers:+-fsanitize=$sanitizers}

cmake --install "$build" --prefix "$work/prefix" >/dev/null
libdir=$(dirname "$(find "$work/prefix" -name 'libvitjit.so')")
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH

echo "== pkg-config"
# shellcheck disable=SC2046
cc $flags "$consumer/main.c" $(pkg-config --cflags --libs vitjit) -Wl,-rpath,"$libdir" -o "$work/by_pkg_config"
version=$("$work/by_pkg_config" "$digits/digits.onnx")
[ "$version" = "$(pkg-config --modversion vitjit)" ]

echo "== find_package"
cmake -S "$consumer" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_FLAGS="$flags" >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/consumer" "$digits/digits.onnx"

echo "== libvitjit_picture, shared and static"
cc $flags "$consumer/picture.c" $(pkg-config --cflags --libs vitjit_picture) -Wl,-rpath,"$libdir" -o "$work/picture"
cc $flags "$consumer/picture.c" $(pkg-config --cflags vitjit_picture) "$libdir/libvitjit_picture.a" \
    $(pkg-config --static --libs vitjit_picture | sed 's/-lvitjit_picture//') -o "$work/picture_archive"
for program in picture picture_archive build/picture build/picture_static; do
    said=$("$work/$program" "$digits/digits.onnx" "$digits/pictures/three.png")
    [ "$said" = "128 x 128, 0.25 0.5, one" ] || { echo "$program: $said"; exit 1; }
done
readelf -d "$work/picture" "$work/picture_archive" | grep -E 'NEEDED.*libvitjit(_rt)?\.' && exit 1
readelf -d "$libdir/libvitjit_picture.so" | grep -E 'NEEDED.*libvitjit' && exit 1

echo "== the installed command"
for page in share/man/man1/vitjit.1 share/bash-completion/completions/vitjit share/zsh/vendor-completions/_vitjit \
    share/fish/vendor_completions.d/vitjit.fish share/doc/vitjit/LICENSE; do
    [ -s "$work/prefix/$page" ]
done
[ -x "$libdir/vitjit/vitjit-compile" ]
"$work/prefix/bin/vitjit" --version
"$work/prefix/bin/vitjit" "$digits/digits.onnx" "$digits/pictures/three.png" --no-cache --topk 1 | grep -q three

echo "== libvitjit and the compiler's program need libc alone"
readelf -d "$libdir/vitjit/vitjit-compile" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|ld-linux.*|libasan|libubsan|libtsan)\.so' && exit 1
readelf -d "$libdir/libvitjit.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|ld-linux.*|libasan|libubsan|libtsan)\.so' && exit 1
! nm -u "$libdir/libvitjit_rt.a" | grep -iE 'llvm|protobuf'
