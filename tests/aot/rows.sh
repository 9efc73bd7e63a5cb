#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rows.sh VITJIT MODEL INPUT.npy N [OPTION...]: for every row of `vitjit targets` whose code this machine runs, an object and a shared library of MODEL,
# linked with cross.c, must have the bits of the model compiled just in time for that row. One input, image; one output, logits.
set -eu
vitjit=$1 model=$2 input=$3 images=$4
shift 4
here=$(dirname "$0")
. "$here/tools.sh"
need cc

count=0
for row in $("$vitjit" targets | awk -v machine="$(uname -m)" 'index($2, machine "-") == 1 { print $1 }'); do
    "$vitjit" "$model" --quiet --cpu "$row" --cache "$folder/cache" --batch "$images" --input "image=$input" --output "$folder" "$@" 2>"$folder/said" || {
        grep -q "which this CPU cannot run" "$folder/said" && continue
        cat "$folder/said"
        exit 1
    }
    for kind in obj lib; do
        case $kind in obj) file=model.o ;; lib) file=model.so ;; esac
        "$vitjit" "$model" --quiet --emit-$kind -o "$folder/$file" --prefix m --cpu "$row" "$@"
        cc -std=c17 -O1 -Wall -Wextra -Werror -DMODEL_HEADER='"model.h"' -DN="$images" -I"$folder" "$here/cross.c" "$folder/$file" \
            -Wl,-rpath,"$folder" -o "$folder/program" -lm
        weights=
        [ ! -e "$folder/model.weights" ] || weights=$folder/model.weights
        # shellcheck disable=SC2086
        "$folder/program" "$input" "$folder/logits.npy" 0 $weights
    done
    echo "$row: the same bits"
    count=$((count + 1))
done
[ "$count" -gt 0 ]
