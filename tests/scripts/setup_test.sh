#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# setup_test.sh SCRIPTS: scripts/setup on made-up machines. Each is a folder of programs that is all there is in PATH:
# dpkg-query knows the packages of $installed, apt-get writes down what it is asked, id says who we are.
set -euo pipefail
scripts=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# machine NAME UID SUDO(yes|no) INSTALLED...: makes it and runs vitjit_setup; $status, $work/said, $work/asked
machine() {
    local bin=$work/$1 tool
    mkdir "$bin"
    : >"$work/asked"
    for tool in bash grep dirname env cat; do
        ln -s "$(command -v "$tool")" "$bin/$tool"
    done
    printf '#!/bin/bash\necho %s\n' "$2" >"$bin/id"
    printf '%s\n' "${@:4}" >"$bin/installed"
    cat >"$bin/dpkg-query" <<EOF
#!/bin/bash
grep -qxF "\${!#}" "$bin/installed" && printf installed
EOF
    cat >"$bin/apt-get" <<EOF
#!/bin/bash
echo "apt-get \$*" >>"$work/asked"
case \$* in
*--assume-no*)
    echo "Need to get 98.7 MB of archives."
    echo "After this operation, 456 MB of additional disk space will be used."
    exit 1
    ;;
esac
EOF
    if [ "$3" = yes ]; then
        printf '#!/bin/bash\necho sudo >>"%s"\nexec "$@"\n' "$work/asked" >"$bin/sudo"
        chmod +x "$bin/sudo"
    fi
    chmod +x "$bin/id" "$bin/dpkg-query" "$bin/apt-get"
    status=0
    PATH=$bin bash -c "set -euo pipefail; . '$scripts/setup'; vitjit_setup; echo went on >&2" >/dev/null 2>"$work/said" || status=$?
}

expect() { # WHAT CONDITION...
    local what=$1
    shift
    if ! "$@"; then
        echo "FAIL $what: status $status"
        cat "$work/said" "$work/asked"
        failed=1
    fi
}

said() { grep -qF -- "$1" "$work/said"; }
asked() { grep -qF -- "$1" "$work/asked"; }
not() { ! "$@"; }

mapfile -t all < <(grep -v '^#' "$scripts/packages")
most=("${all[@]:0:${#all[@]}-2}")
two="${all[-2]} ${all[-1]}"

machine whole 1000 no "${all[@]}"
expect "nothing missing: goes on" said "went on"
expect "nothing missing: asks for nothing" test ! -s "$work/asked"

machine root 0 no "${most[@]}"
expect "as root: names what is missing" said "Missing Debian packages: $two"
expect "as root: says how large" said "Need to get 98.7 MB"
expect "as root: says how much disk" said "456 MB of additional disk space"
expect "as root: installs just that" asked "apt-get install -y -q --no-install-recommends $two"
expect "as root: goes on" said "went on"

machine sudo 1000 yes "${most[@]}"
expect "with sudo: uses it" asked "sudo"
expect "with sudo: installs" asked "apt-get install -y -q --no-install-recommends $two"
expect "with sudo: goes on" said "went on"

machine neither 1000 no "${most[@]}"
expect "neither: ends with 5" test "$status" -eq 5
expect "neither: prints the line" said "  apt-get update && apt-get install -y --no-install-recommends $two"
expect "neither: runs nothing" test ! -s "$work/asked"
expect "neither: stops" not said "went on"

machine other 0 no
rm "$work/other/apt-get"
status=0
PATH=$work/other bash -c "set -euo pipefail; . '$scripts/setup'; vitjit_setup" 2>"$work/said" || status=$?
expect "not Debian: ends with 5" test "$status" -eq 5
exit "$failed"
