#!/usr/bin/env bash
# folder.sh CC SOURCE_DIR FOLDER INCLUDE_DIRS FOLDERS: each header of a folder alone, with the folder's own include
# directories; then one header of every folder, which must be found just when the folder has a door to it. Lists are
# CMake's: separated by semicolons.
set -euo pipefail
cc=$1 source=$2 folder=$3
IFS=';' read -ra directories <<<"$4"
IFS=';' read -ra folders <<<"$5"
flags=()
doors=" "
for directory in "${directories[@]}"; do
    flags+=(-I "$directory")
    case $directory in */doors/*) doors+="${directory##*/} " ;; esac
done
failed=0
compiles() { printf '#include "%s"\n' "$1" | "$cc" -std=c17 -D_GNU_SOURCE "${flags[@]}" -Wall -Wextra -fsyntax-only -x c - 2>&1; }

for header in "$source/$folder"/*.h; do
    name=$folder/${header##*/}
    said=$(compiles "$name") && [ -z "$said" ] || {
        echo "$name does not compile alone: $said"
        failed=1
    }
done
for other in "${folders[@]}"; do
    header=$(find "$source/$other" -maxdepth 1 -name '*.h' | sort | head -1)
    said=$(compiles "$other/${header##*/}") && found=yes || found=no
    case $doors in *" $other "*) wanted=yes ;; *) wanted=no ;; esac
    if [ $found != $wanted ]; then
        echo "$folder includes $other/${header##*/}: $found, should be $wanted: $said"
        failed=1
    fi
done
if up=$(grep -n '#include "[^"]*\.\./' "$source/$folder"/*); then
    echo "$up"
    failed=1
fi
exit $failed
