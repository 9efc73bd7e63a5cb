#!/bin/bash -eu
# SPDX-License-Identifier: Apache-2.0
# oss_fuzz_build.sh: the fuzz targets as OSS-Fuzz builds them, with its compiler, flags and engine. From the environment:
#   CC, CFLAGS             clang with the sanitizer and the coverage of the engine
#   LIB_FUZZING_ENGINE     what the linker takes for the engine
#   OUT                    where NAME, NAME_seed_corpus.zip and NAME.dict go, and in lib the libraries that they need
#   WORK                   a folder to build in (build/oss-fuzz)
# The container needs the Debian packages of scripts/packages, cmake 3.25, python3 and zip.
source=$(cd "$(dirname "$0")/../.." && pwd)
build=${WORK:-$source/build}/oss-fuzz
for name in CC LIB_FUZZING_ENGINE OUT; do
    [ -n "${!name:-}" ] || {
        echo "oss_fuzz_build.sh: $name is not set" >&2
        exit 2
    }
done

# OSS-Fuzz links with its C++ compiler, for engines are C++.
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_COMPILER="$CC" -DCMAKE_C_FLAGS="${CFLAGS:-}" \
    -DCMAKE_EXE_LINKER_FLAGS="${CFLAGS:-} ${OSS_FUZZ_LINK_FLAGS:--lstdc++}" -DVITJIT_TESTS=OFF -DVITJIT_FUZZ_ENGINE="$LIB_FUZZING_ENGINE" -DCMAKE_BUILD_RPATH='$ORIGIN/lib'
cmake --build "$build" --target fuzz_targets
python3 "$source/tests/fuzz/make_seeds.py" "$build/seeds"
mkdir -p "$OUT/lib"
for program in "$build"/tests/fuzz/targets/fuzz_target_*; do
    name=${program##*/fuzz_target_}
    cp "$program" "$OUT/$name"
    # Where they run there are the C library's own alone.
    ldd "$program" | awk '$3 ~ /^\// { print $3 }' | { grep -vE '/(libc|libm|libpthread|libdl|librt|libresolv|libgcc_s|libstdc\+\+)\.so' || true; } |
        while read -r library; do cp "$library" "$OUT/lib/"; done
    mkdir -p "$build/seeds/$name"
    for input in "$source/tests/fuzz/corpus/$name"/*; do
        cp "$input" "$build/seeds/$name/"
    done
    rm -f "$OUT/${name}_seed_corpus.zip"
    (cd "$build/seeds/$name" && zip -qr "$OUT/${name}_seed_corpus.zip" .)
    [ ! -f "$build/seeds/$name.dict" ] || cp "$build/seeds/$name.dict" "$OUT/$name.dict"
    printf '[libfuzzer]\ntimeout = 10\nrss_limit_mb = 3000\nclose_fd_mask = 3\n' >"$OUT/$name.options"
done
