#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# names.sh SOURCE_DIR: files that the pages and the comments name exist. In pages (*.md): paths from a top-level folder, other paths of
# sources, and names of source files alone. In sources: the name that the first line begins with is the file's own, and what the
# opening comment of a header lists, a line a file, stands beside it, or where its path says. Words with capitals (NAME.ir) and in <angle brackets> stand for
# others. The README's numbers of ops are those of docs/ops.md.
set -euo pipefail
cd "$1"
tops=$(find . -mindepth 1 -maxdepth 1 -type d ! -name 'build*' ! -name '.git' -printf '%f|')
tops=${tops%|}
known=$(find . -path ./build -prune -o -path ./.git -prune -o -type f -printf '/%P\n')
# Files of readers, of libraries and of the system.
foreign=" main.c digits.h vit.h stdio.h xxhash.h "
failed=0
exists() { compgen -G "$1" >/dev/null; }
# A file of the repository whose path ends so; a star stands for letters of one name.
is_known() {
    local pattern=${1//./\\.}
    grep -qE "/${pattern//\*/[^/]*}$" <<<"$known"
}
wrong() {
    echo "$1: there is no $2"
    failed=1
}
is_name() { [[ $1 =~ \.(c|h|def|py|sh|cmake|mjs|proto|awk|cpp)$ ]]; }

check_word() { # PAGE WORD
    local page=$1 word=${2%%[.:-]}
    word=${word#./}
    [[ $word =~ [A-Z\<\>{}] || $word = *..* ]] && [[ $word != *README* && $word != *STATUS* && $word != *CMakeLists* ]] && return
    if [[ $word =~ ^($tops)/. ]]; then
        exists "$word" || exists "$word.*" || exists "${page%/*}/$word" || wrong "$page" "$word"
    elif is_name "$word" && [[ $word != [./]* && $foreign != *" $word "* ]]; then
        is_known "$word" || wrong "$page" "$word"
    fi
}

while read -r page; do
    while read -r word; do
        check_word "$page" "$word"
    done < <(tr -cs 'A-Za-z0-9_./*<>{}-' '\n' <"$page" | grep -E '[./]' | sort -u)
done < <(find . -path ./build -prune -o -name '*.md' -printf '%P\n' | grep -v '^CHANGELOG' | sort)

while read -r source; do
    first=$(sed -nE '1s|^/\* ([A-Za-z0-9_]+\.[a-z]+) - .*|\1|p' "$source")
    [ -z "$first" ] || [ "$first" = "${source##*/}" ] || wrong "$source" "file $first, whose name it begins with"
    [[ $source = *.h ]] || continue
    while read -r name; do
        exists "${source%/*}/$name" || { [[ $name = */* ]] && exists "$name"; } || wrong "$source" "$name beside it"
    done < <(awk '/^ \* [A-Za-z0-9_*\/]+\.(c|h|def)(,|;| |$)/ {
                      sub(/^ \* /, "")
                      while (match($0, /^[A-Za-z0-9_*\/]+\.(c|h|def)/)) {
                          print substr($0, 1, RLENGTH)
                          $0 = substr($0, RLENGTH + 1)
                          if (!sub(/^, /, "")) break
                      }
                  }
                  /\*\// { exit }' "$source")
done < <(find . -path ./build -prune -o \( -name '*.c' -o -name '*.h' -o -name '*.def' \) -printf '%P\n' | sort)

# The README counts ops as docs/ops.md does, which is held to the tables.
counted() { sed -nE "s/^## $1: ([0-9]+) ops$/\1/p" docs/ops.md; }
grep -qE "^  $(counted ONNX) ops, ONNX's own" README.md || wrong README.md "$(counted ONNX) ops of ONNX, as in docs/ops.md"
grep -qE "SSA, $(counted "The tensor level") ops," README.md || wrong README.md "$(counted "The tensor level") ops of the tensor level"
exit $failed
