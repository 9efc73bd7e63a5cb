#!/bin/sh
# rt_symbols.sh LIBVITJIT_RT.A LIBVITJIT.SO: what the libraries give to the linker, and what they ask of it.
set -eu
asked=$(nm -u "$1" | sed -n 's/^ *U //p' | grep -vE '^(__)?(asan|tsan|ubsan|sanitizer)_' | grep -E '^(vj_|LLVM|onnx|protobuf|dl)' | sort -u)
given=$(nm -g --defined-only "$1" | sed -n 's/.* [TDBRVW] //p' | grep -v '^__' | sort | tr '\n' ' ')
want='vj_cpu_available vj_pool_alone vj_pool_free vj_pool_new vj_pool_size vj_pool_threads vj_pool_try vj_weights_close vj_weights_open '
[ "$asked" = vj_cpu_available ] || { echo "libvitjit_rt asks for: $asked"; exit 1; }
[ "$given" = "$want" ] || { echo "libvitjit_rt gives: $given"; exit 1; }
other=$(nm -D -g --defined-only "$2" | sed -n 's/.* [TDBRVW] //p' | grep -vE '^(vj_|__|_init$|_fini$)') || true
[ -z "$other" ] || { echo "libvitjit gives: $other"; exit 1; }
