#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# public.sh CC SOURCE_DIR: the headers of include/ compile alone as C17, the installed ones as C++17 too.
set -euo pipefail
cc=$1 include=$2/include
warnings=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$include")
for header in "$include"/*.h; do
    own=()
    [ "${header##*/}" != vitjit_clock.h ] || own=(-D_GNU_SOURCE) # as all of the project's sources have; it is not installed
    printf '#include <%s>\n' "${header##*/}" | "$cc" -std=c17 "${own[@]}" "${warnings[@]}" -x c -
done
for header in vitjit.h vitjit_model.h vitjit_picture.h vitjit_rt.h; do
    printf '#include <%s>\n' "$header" | "$cc" -std=c++17 "${warnings[@]}" -x c++ -
done
# No folder of tests or programs goes around the include roots either.
! grep -rnE '#include "([^"]*/)?\.\./' "$2" --include='*.[ch]' --exclude-dir=build
