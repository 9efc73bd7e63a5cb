#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# folder.sh CC SOURCE_DIR FOLDER INCLUDE_DIRS FOLDERS: each header of a layer or room alone, with the include directories that the
# folder's files have; then one header of every folder, which must be found just when the folder has a root for it. Lists are
# CMake's: separated by semicolons.
set -euo pipefail
cc=$1 source=$2 folder=$3
IFS=';' read -ra directories <<<"$4"
IFS=';' read -ra folders <<<"$5"
flags=()
roots=" "
for directory in "${directories[@]}"; do
    [ -n "$directory" ] || continue
    flags+=(-I "$directory")
    case $directory in
    */include_roots/*/in)
        root=${directory#*/include_roots/}
        roots+="${root%/in} "
        ;;
    esac
done
failed=0
compiles() { printf '#include "%s"\n' "$1" | "$cc" -std=c17 -D_GNU_SOURCE "${flags[@]}" -Wall -Wextra -fsyntax-only -x c - 2>&1; }

for header in $(find "$source/$folder" -maxdepth 1 -name '*.h'); do
    name=$folder/${header##*/}
    said=$(compiles "$name") && [ -z "$said" ] || {
        echo "$name does not compile alone: $said"
        failed=1
    }
done
for other in "${folders[@]}"; do
    header=$(find "$source/$other" -maxdepth 1 -name '*.h' | sort | head -1)
    [ -n "$header" ] || continue
    case $roots in *" $other "*) wanted=yes ;; *) wanted=no ;; esac
    if said=$(compiles "$other/${header##*/}"); then found=yes; else found=no; fi
    # A header that is found may itself want what this folder does not see.
    case $said in *"fatal error: $other/"*) found=no ;; *) [ -z "$said" ] || found=$wanted ;; esac
    if [ $found != $wanted ]; then
        echo "$folder includes $other/${header##*/}: $found, should be $wanted: $said"
        failed=1
    fi
done
if up=$(grep -n '#include "[^"]*\.\./' "$source/$folder"/*.[ch]); then
    echo "$up"
    failed=1
fi
exit $failed
