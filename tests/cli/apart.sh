#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# apart.sh - what a model's compilation may take, and the program that compiles, as a user of the command meets them.
#     sh apart.sh VITJIT SOURCE_FOLDER PART
. "$(dirname "$0")/harness.sh"
model=$digits/digits.onnx

part_limits() {
    for value in 0 -1 x 12x 1.5G G k none1 99999999999999999999 9999999999G ""; do
        bad 1 "$model" --max-memory "$value"
        stderr_has "--max-memory wants bytes, as 900M or 4G, or none, not '$value'"
    done
    for value in 0 -1 x 1s ""; do
        bad 1 "$model" --max-seconds "$value"
        stderr_has "--max-seconds wants seconds, or none, not '$value'"
    done
    bad 1 targets --max-seconds 3
    stderr_has "--max-seconds means nothing with"
    # every mode that reads a model keeps to them, and leaves nothing behind
    mkdir out
    for way in "" --inspect --report --check --emit-obj --emit-lib --emit-asm --emit-llvm --emit-ir "--print-rewrites" "--bench 0"; do
        # shellcheck disable=SC2086 # $way is several words
        (cd out && bad 5 "$model" $way --no-cache --max-seconds 0.01; exit $failed) || failed=1
        stderr_has "digits.onnx: it was given up after 0.01 seconds"
        stderr_has "hint: --max-seconds"
        empty out
    done
    bad 5 "$model" --cache cache2 --max-seconds 0.01
    [ -z "$(ls cache2)" ] || fail "the cache has something: $(ls cache2)"
    for way in "" --inspect --report --check "--emit-obj -o x.o" "--emit-ir -o x.vj"; do
        run 0 "$model" $way --max-memory none --max-seconds none --no-cache
        run 0 "$model" $way --max-memory 4G --max-seconds 1000 --no-cache
    done
    # in the command's own process there are none
    run 0 "$model" --no-cache --in-process --max-seconds 0.01 --max-memory 1k
    bad 2 /dev/null --in-process --no-cache
}

# The command without what compiles, and with it in either place.
part_alone() {
    mkdir lib
    here=$(dirname "$vitjit")
    # what the command is linked with, without what compiles
    cp "$vitjit" lib
    cp "$here"/libvitjit.so.? "$here"/libvitjit_picture.so.? lib
    alone() {
        wanted=$1
        shift
        command="lib/vitjit $*"
        LD_LIBRARY_PATH=$PWD/lib lib/vitjit "$@" >"$log/out" 2>"$log/err" </dev/null
        status=$?
        [ "$status" -eq "$wanted" ] || fail "exit status $status, not $wanted"
    }
    loads=$(LD_LIBRARY_PATH=$PWD/lib ldd lib/vitjit | grep -c "=> $PWD/lib/libvitjit")
    [ "$loads" -eq 2 ] || fail "the copied libraries are not used"
    for way in "" --inspect --emit-obj; do
        # shellcheck disable=SC2086
        alone 5 "$model" $way --no-cache
        stderr_has "vitjit-compile cannot be run: No such file or directory"
        form
    done
    cp "$here/vitjit-compile" lib
    alone 5 "$model" --no-cache
    stderr_has "libvitjit_compiler.so"
    form
    cp "$here/libvitjit_compiler.so" lib
    alone 0 "$model"
    rm lib/vitjit-compile
    mkdir bin && mv lib/vitjit bin && mkdir lib/vitjit && cp "$here/vitjit-compile" lib/vitjit # as it is installed
    command="bin/vitjit"
    LD_LIBRARY_PATH=$PWD/lib bin/vitjit "$model" --no-cache >"$log/out" 2>"$log/err" || fail "not as it is installed"
}

# The program is of no use to people, and says so.
part_program() {
    command=vitjit-compile
    "$(dirname "$vitjit")/vitjit-compile" >"$log/out" 2>"$log/err" </dev/null 3<&-
    [ $? -eq 1 ] || fail "another status"
    stderr_has "libvitjit runs this program"
    "$(dirname "$vitjit")/vitjit-compile" x >"$log/out" 2>"$log/err" </dev/null 3</dev/null
    [ $? -eq 1 ] || fail "another status"
    stderr_has "libvitjit runs this program"
}

"part_$part"
exit "$failed"
