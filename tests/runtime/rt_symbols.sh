#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rt_symbols.sh LIBVITJIT_RT.A LIBVITJIT_RT.SO LIBVITJIT.SO FOLDER_OF_MAPS SANITIZERS: what the libraries give to the
# linker, what they ask of it, and how large they are.
set -eu
archive=$1 shared=$2 whole=$3 maps=$4 sanitizers=$5
fail() {
    echo "$1"
    exit 1
}
listed() { sed -n 's/^    \(vj_.*\);$/\1/p' "$1" | sort | tr '\n' ' '; }
given() { nm -D -g --defined-only "$1" | sed -n 's/.* [TDBRVW] \([^@]*\).*/\1/p' | sort | tr '\n' ' '; }

[ "$(given "$shared")" = "$(listed "$maps/vitjit_rt.map")" ] || fail "libvitjit_rt.so gives: $(given "$shared")"
[ "$(given "$whole")" = "$(listed "$maps/vitjit.map")" ] || fail "libvitjit.so gives: $(given "$whole")"
for header in vitjit.h vitjit_rt.h; do
    for name in $(sed -n 's/^[a-z].*[ *]\(vj_[a-z_]*\)(.*/\1/p' "$maps/../include/$header"); do
        case " $(listed "$maps/vitjit.map")" in *" $name "*) ;; *) fail "$header has $name, libvitjit.so has not" ;; esac
    done
done
others=$(nm -g --defined-only "$archive" | sed -n 's/.* [TDBRVW] //p' | grep -vE '^(vj_|__)') || true
[ -z "$others" ] || fail "libvitjit_rt.a gives: $others"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -u "$archive" | sed -n 's/^ *U //p' | sort -u >"$work/asked"
nm -g --defined-only "$archive" | sed -n 's/.* [TDBRVW] //p' | sort -u >"$work/given"
missing=$(comm -23 "$work/asked" "$work/given" | grep -E '^(vj_|LLVM|onnx|protobuf|dl)') || true
[ -z "$missing" ] || fail "libvitjit_rt.a asks for: $missing"
readelf -d "$shared" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc|ld-linux.*|libasan|libubsan|libtsan|libm)\.so' &&
    fail "libvitjit_rt.so needs more than libc"
readelf -d "$shared" | grep -q 'SONAME.*\[libvitjit_rt\.so\.[0-9]*\]' || fail "libvitjit_rt.so has no versioned soname"
if [ -z "$sanitizers" ]; then
    strip -o "$work/rt.so" "$shared"
    bytes=$(wc -c <"$work/rt.so")
    [ "$bytes" -le 153600 ] || fail "libvitjit_rt.so has $bytes bytes"
    [ "$(size -t "$archive" | tail -1 | awk '{ print $4 }')" -le 153600 ] || fail "libvitjit_rt.a is too large"
fi
