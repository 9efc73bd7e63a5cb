#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# names.sh - names that people have for things: models in the cache, CPUs and machines, hints that name what helps, files of results.
#     sh names.sh VITJIT SOURCE_FOLDER PART
. "$(dirname "$0")/harness.sh"

part_cachemodels() {
    mkdir -p zoo
    cp "$digits/digits.onnx" zoo/one.onnx
    cp "$data/rounded.onnx" zoo/two.onnx
    run 0 cache ls --cache own
    prints "0.00 MB in own: 0 files"
    run 0 zoo/one.onnx --quiet --cache own
    run 0 zoo/one.onnx --quiet --cache own --precision bf16
    run 0 zoo/one.onnx --quiet --cache own --weight-format int8
    run 0 zoo/two.onnx --quiet --cache own
    touch -d '2020-02-02 12:00' own/*
    cp "$digits/digits.onnx" copy.onnx
    run 0 copy.onnx --quiet --cache own # the same content: no row more, but used just now
    run 0 cache ls --cache own
    lines 6
    grep -Eq "^model  +precision  +CPU  +code MB +weights MB  last used$" "$log/out" || fail "no head"
    for what in f32 bf16 'f32[+]int8'; do
        grep -Eq "^$work/zoo/one.onnx  $what +[a-z0-9-]+ +0\.[0-9]+ +[0-9.]+  20[0-9-]+ [0-9:]+$" "$log/out" || fail "no row of $what"
    done
    [ "$(grep -c '2020-02-02 12:00$' "$log/out")" -eq 3 ] || fail "not three that were used last in 2020"
    # asking is no use of it
    touch -d '2020-02-02 12:00' own/*
    run 0 cache ls --cache own
    run 0 cache ls --cache own
    [ "$(grep -c '2020-02-02 12:00$' "$log/out")" -eq 4 ] || fail "listing marks as used"
    # a model goes, another stays
    bad 2 cache rm nothing.onnx --cache own
    stderr_has "nothing.onnx: nothing of it is in the cache own"
    run 0 cache rm zoo/one.onnx --cache own
    prints "removed 3 entries, "
    run 0 cache ls --cache own
    lines 3
    prints "$work/zoo/two.onnx  f32"
    run 0 zoo/two.onnx --stats --quiet --cache own
    prints '"cache_hit":true'
    run 0 zoo/one.onnx --stats --quiet --cache own
    prints '"cache_hit":false'
    # code and weights that another model needs stay: the same graph, in a file with a field that ONNX has not
    cp zoo/one.onnx three.onnx
    printf '\372\177\001\000' >>three.onnx
    run 0 three.onnx --stats --quiet --cache own
    prints '"compile_ms":0,"cache_hit":true'
    # a folder, and models that are gone
    rm zoo/one.onnx
    run 0 cache rm zoo --cache own
    prints "removed 2 entries, "
    run 0 cache ls --cache own
    lines 3
    prints_not zoo
    run 0 three.onnx --stats --quiet --cache own
    prints '"cache_hit":true'
    run 0 cache rm three.onnx --cache own
    run 0 cache ls --cache own
    lines 1
    [ -z "$(find own -name '*.image' -o -name '*.weights')" ] || fail "code or weights of no model are left"
    run 0 cache prune --cache own
    # damaged files are rows without facts
    run 0 copy.onnx --quiet --cache own
    for file in own/*.image; do echo junk >"$file"; done
    run 0 cache ls --cache own
    prints "copy.onnx  ?"
    for file in own/*.entry; do echo junk >"$file"; done
    run 0 cache ls --cache own
    prints "(in memory)"
    mkfifo own/0.entry
    run 0 cache ls --cache own
    bad 1 cache rm --cache own
    bad 1 cache rm a b --cache own
    bad 1 cache ls a --cache own
}

part_cpunames() {
    for pair in znver4=x86-64-v4-bf16 skylake-avx512=x86-64-v4 icelake-server=x86-64-v4-vnni alderlake=x86-64-v3-vnni haswell=x86-64-v3 nehalem=x86-64-v2 \
        neoverse-n1=aarch64 neoverse-v1=aarch64-bf16 apple-m2=aarch64-bf16 sifive-x280=riscv64-v; do
        run 0 "$data/pair.onnx" --inspect --cpu "${pair%%=*}"
        grep -q "^CPU  *${pair#*=}\$" "$log/out" || fail "${pair%%=*} is not ${pair#*=}"
    done
    host=$("$vitjit" --version | sed -n 's/^this machine: //p')
    run 0 "$data/pair.onnx" --inspect --cpu native
    grep -q "^CPU  *$host\$" "$log/out" || fail "native is not $host"
    for target in arm64 aarch64 arm64-linux-gnu arm64-unknown-linux-gnu; do
        run 0 "$data/pair.onnx" --inspect --target $target
        grep -q "^CPU  *aarch64\$" "$log/out" || fail "$target is not aarch64"
    done
    run 0 "$data/pair.onnx" --inspect --target arm64 --cpu neoverse-v2
    run 0 "$data/pair.onnx" --inspect --target amd64 --features avx2,fma
    run 0 "$data/pair.onnx" --inspect --cpu arm64
    bad 3 "$data/pair.onnx" --emit-obj --target arm64-apple-darwin
    bad 1 "$data/pair.onnx" --inspect --target arm6
    bad 1 "$data/pair.onnx" --inspect --cpu generic
    bad 1 "$data/pair.onnx" --emit-obj --cpu znver4,znver5
    stderr_has "--cpu names x86-64-v4-bf16 twice"
    bad 1 "$data/pair.onnx" --emit-obj --cpu znver4,neoverse-n1
    bad 1 "$data/pair.onnx" --cpu neoverse-n1
    stderr_has "does not run on this machine"
}

part_log() {
    run 0 "$data/pair.onnx" --cache own --log info
    stderr_has "pair.onnx: read: opset "
    stderr_has "pair.onnx: planned: "
    ! grep -q ": pass " "$log/err" || fail "passes are told at info"
    run 0 "$data/pair.onnx" --cache own --log info
    stderr_has "found in the cache: own/"
    run 0 "$data/pair.onnx" --no-cache --log debug
    stderr_has "pass layernorm: recognises layer normalisation; 0 rewrites"
    run 0 "$data/pair.onnx" --cache own
    silent
    bad 1 "$data/pair.onnx" --log all
}

part_hints() {
    # an op that is in no opset: another one helps nothing
    bad 3 "$data/unsupported.onnx"
    stderr_has 'hint: `vitjit MODEL --inspect` lists the ops of the model'
    ! grep -q "opset [0-9]* or" "$log/err" || fail "a later opset is advised, which has not the op either"
    bad 3 "$data/domain.onnx"
    ! grep -q "opset [0-9]* or" "$log/err" || fail "a later opset is advised for another domain"
    # one that a later opset has
    bad 3 "$data/late.onnx"
    stderr_has "GridSample"
    stderr_has "hint: export the model with opset 16 or a later one"
    # together with one that none has
    bad 3 "$data/never.onnx"
    ! grep -q "opset [0-9]* or" "$log/err" || fail "a later opset is advised, which lacks one of the ops"
}

# line: the printed command, without its comment; it is run as it stands, on main.c
line() { sed -n 's/   #.*//p' "$log/out"; }

# links NAME PREFIX: main.c with what was emitted, by the printed command and by the header's, and the program says that it is PREFIX's
links() {
    printf '#include "%s.h"\n#include <stdio.h>\nint main(void) { return puts(%s_model()->inputs[0].name) < 0; }\n' "$1" "$2" >main.c
    command="$(line)"
    { sh -c "$command" && ./a.out; } >"$log/out" 2>"$log/err" || fail "the printed command makes no program"
    prints image
    rm -f a.out
}

part_links() {
    mkdir -p "sub dir/deep" objects
    run 0 "$digits/digits.onnx" --emit-obj
    links digits digits
    rm digits.h
    run 0 "$digits/digits.onnx" --emit-obj --prefix net -o objects
    prints "functions net_*"
    links digits net
    run 0 "$digits/digits.onnx" --emit-obj -o "sub dir/deep/x.o"
    links x digits
    run 0 "$digits/digits.onnx" --emit-lib
    links digits digits
    run 0 "$digits/digits.onnx" --emit-lib -o "sub dir/lib.so" --prefix other
    links lib other
    run 0 "$digits/digits.onnx" --emit-lib -o "$work/objects/lib.so"
    links lib digits
    # the header's own line, in its folder
    command=$(sed -n '2s/^ \* *//p' objects/lib.h)
    printf '#include "lib.h"\nint main(void) { return digits_model()->input_count != 1; }\n' >objects/main.c
    (cd objects && sh -c "$command" && ./a.out) >"$log/out" 2>"$log/err" || fail "the header's command makes no program"
    # other machines have compilers of their own
    run 0 "$digits/digits.onnx" --emit-obj --target aarch64 -o arm.o
    prints "aarch64-linux-gnu-gcc main.c arm.o -lm"
    grep -qF " *     aarch64-linux-gnu-gcc main.c arm.o -lm" arm.h || fail "arm.h names another compiler"
    run 0 "$digits/digits.onnx" --emit-obj --target riscv64
    prints "riscv64-linux-gnu-gcc main.c digits.o -lm"
    run 0 "$digits/digits.onnx" --emit-obj --target wasm32
    prints "clang --target=wasm32 -ffreestanding -nostdlib -Wl,--no-entry main.c digits.o -o main.wasm"
}

# written FILES: what the depth of pictures was written to, in `out`, which is emptied
written() {
    want=$(printf '%s.depth.png\n' "$@" | LC_ALL=C sort)
    got=$(ls -A out | LC_ALL=C sort)
    [ "$got" = "$want" ] || fail "written were $(echo "$got" | tr '\n' ' ')"
    rm -f out/*
}

part_stems() {
    depth=$source/tests/results/data/depth/model.onnx
    pictures=$source/tests/pictures/data
    mkdir -p out set/a/deep set/b set/c
    cp "$pictures/rgb.png" set/a/cat.png
    cp "$pictures/grey.png" set/b/cat.png
    cp "$pictures/rgb.png" set/b/dog.png
    # names that meet have the path below the folder given; the others stay, and the pictures are not mixed up
    run 0 "$depth" set/a/cat.png --draw out --quiet
    cp out/cat.depth.png first.png
    run 0 "$depth" set/b/cat.png --draw out --quiet
    cp out/cat.depth.png second.png
    written cat
    run 0 "$depth" -r set --draw out --format jsonl
    stderr_has "wrote out/a_cat.depth.png"
    grep '"set/b/cat.png"' "$log/out" | grep -qF '"out/b_cat.depth.png"' || fail "jsonl names another file of set/b/cat.png"
    cmp -s out/a_cat.depth.png first.png && cmp -s out/b_cat.depth.png second.png || fail "names and pictures are mixed up"
    written a_cat b_cat dog
    # the same of folders, of files, from elsewhere, and of a list
    for words in "set/a set/b" "set/a/ ./set/b" "$work/set/a $work/set/b"; do
        run 0 "$depth" $words --draw out --quiet
        case $words in
        *./*) written set_a_cat set_b_cat dog ;;
        *) written a_cat b_cat dog ;;
        esac
    done
    run 0 "$depth" set/b/dog.png set/b/cat.png set/a/cat.png --draw out --quiet
    written a_cat b_cat dog
    (cd set/c && printf '../a/cat.png\n../b/cat.png\n' | "$vitjit" "$depth" - --draw "$work/out" --quiet >"$log/out" 2>"$log/err") || fail "no list"
    written a_cat b_cat
    cp set/a/cat.png set/cat.png
    cp set/a/cat.png set/a/deep/cat.png
    run 0 "$depth" -r set --draw out --quiet
    written a_cat a_deep_cat b_cat cat dog
    # one folder, several formats
    cp "$pictures/rgb.jpg" set/c/cat.jpg
    cp "$pictures/rgb.png" set/c/cat.png
    run 0 "$depth" set/c --draw out --quiet
    written cat.jpg cat.png
    # a name that already is what another becomes
    cp "$pictures/rgb.png" set/a_deep_cat.png
    run 0 "$depth" -r set --draw out --quiet
    written a_cat a_deep_cat a_deep_cat.png b_cat c_cat.jpg c_cat.png cat dog
    # names of characters that files do not get; a picture that is given twice is one
    mkdir other
    for name in ж я; do cp "$pictures/rgb.png" "other/$name.png"; done
    cp "$pictures/rgb.png" other/__-2.png
    run 0 "$depth" other other/ж.png --draw out --quiet
    written __ __-2 __-3
}

"part_$part"
exit "$failed"
