#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cli.sh - the command line as a user meets it: results, messages, exit statuses, and that nothing is left half-written.
#     sh cli.sh VITJIT SOURCE_FOLDER PART
# Expected values come from ONNX Runtime (tests/fixtures) and numpy (make_data.py).
. "$(dirname "$0")/harness.sh"

part_usage() {
    bad 1
    stderr_has "--help"
    bad 1 --inptu x
    stderr_has "did you mean --input?"
    bad 1 "$data/pair.onnx" --zzzzzz
    stderr_has "unknown option '--zzzzzz'"
    bad 1 "$data/pair.onnx" -Z
    bad 1 "$data/pair.onnx" --batch
    stderr_has "--batch wants a value"
    bad 1 "$data/pair.onnx" --batch 0
    bad 1 "$data/pair.onnx" --batch 1x
    bad 1 "$data/pair.onnx" -j 99999999999
    for precision in f16 F32 bf "f32|bf16" ""; do
        bad 1 "$data/pair.onnx" --precision "$precision"
        stderr_has "--precision wants f32|bf16|int8, not '$precision'"
    done
    for format in f64 i8 int2 BF16 f16,bf16 ""; do
        bad 1 "$data/pair.onnx" --weight-format "$format"
        stderr_has "--weight-format wants f32|f16|bf16|int8|int4, not '$format'"
    done
    for list in f32,f16:f16 f32,,bf16: ,f32: f32,: "f32, bf16: bf16"; do
        bad 1 "$data/pair.onnx" --bench --precision "${list%%:*}"
        stderr_has "--precision wants f32|bf16|int8, not '${list#*:}'"
    done
    bad 1 "$data/pair.onnx" --bench --precision bf16,f32,bf16
    stderr_has "--precision names 'bf16' twice"
    for mode in "" --report "--input x=$data/pair.x.npy" extra.png; do
        bad 1 "$data/pair.onnx" --precision f32,bf16 $mode
        stderr_has "--precision f32,bf16: a list is for --bench, which compares them"
    done
    bad 1 "$data/pair.onnx" --bench --precision bf16,int8 --weight-format f16
    stderr_has "stores weights in bf16,int8"
    bad 1 "$data/pair.onnx" --precision bf16 --weight-format f16
    stderr_has "stores weights in bf16"
    bad 1 "$data/pair.onnx" --precision int8 --weight-format f16
    stderr_has "stores weights in int8"
    bad 1 "$data/pair.onnx" --precision int8 --weight-format int4
    stderr_has "--precision int8 stores weights in int8: --weight-format int4 is for f32 and bf16"
    bad 1 "$data/pair.onnx" --precision int4
    for option in "" "--precision f32" "--weight-format f32"; do
        bad 1 "$data/pair.onnx" --keep-f32 x $option
        stderr_has "keep_f32 means nothing where all products are in f32"
    done
    bad 1 targets --precision bf16
    stderr_has "--precision means nothing with"
    bad 1 "$data/pair.onnx" --inspect --bench
    stderr_has "one at a time"
    bad 1 "$data/pair.onnx" --emit-obj --emit-asm
    bad 1 "$data/pair.onnx" --topk 3
    stderr_has "means nothing with"
    bad 1 "$data/pair.onnx" --inspect=1
    bad 1 "$data/pair.onnx" --cache c --no-cache
    bad 1 "$data/pair.onnx" --input x
    bad 1 "$data/pair.onnx" --shape x
    bad 1 "$data/pair.onnx" --shape x=0x3
    bad 1 "$data/pair.onnx" --test
    bad 1 "$data/pair.onnx" extra --bench
    bad 1 "$data/pair.onnx" --bench --mean 0.5
    stderr_has "--mean means nothing with --bench without pictures"
    bad 1 "$data/pair.onnx" extra.png --bench --precision f32,bf16 --input "x=$data/pair.x.npy"
    stderr_has "pictures and --input"
    bad 1 "$data/pair.onnx" --bench --precision f32,bf16 --profile trace.json
    stderr_has "--profile means nothing with a list"
    bad 1 cache frobnicate
    run 0 --help
    silent
    prints "--emit-obj"
    prints "--precision f32|bf16|int8"
    prints "--weight-format f32|f16|bf16|int8|int4"
    prints "--keep-f32 PATTERN"
    run 0 --version
    prints "vitjit "
    prints "LLVM 19"
}

part_models() {
    bad 2 nothing.onnx
    stderr_has "vitjit: nothing.onnx: cannot be read: No such file"
    : >empty.onnx
    bad 2 empty.onnx
    echo "this is no model, only a line of text that goes on for a while" >text.onnx
    bad 2 text.onnx
    head -c 20000 "$fixtures/vit.ts17.onnx" >truncated.onnx
    bad 2 truncated.onnx
    mkdir folder.onnx
    bad 2 folder.onnx
    bad 3 "$data/opset6.onnx"
    stderr_has "opset 6 not supported: Add"
    bad 3 "$data/domain.onnx"
    bad 3 "$data/unsupported.onnx"
    stderr_has "Foo (2: 'first', 'third')"
    stderr_has "Bar (1: 'second')"
    run 0 "$data/unsupported.onnx" --inspect
    prints "Foo"
    bad 2 "$data/cycle.onnx"
    stderr_has "cycle"
    bad 2 "$data/contradiction.onnx"
    stderr_has "node 'sum'"
    bad 2 "$data/external_missing.onnx"
    stderr_has "gone.bin"
    bad 2 "$data/external_outside.onnx"
    bad 1 "$data/open.onnx"
    stderr_has "--shape x="
    run 0 "$data/cut.onnx" --batch 2 --quiet
    prints "f32[1,3]"
    bad 2 "$data/fixed2.onnx" --batch 3
    stderr_has "fixed at 2"
    run 0 "$data/fixed2.onnx" --batch 2
    prints "f32[2,3]"
}

part_tensors() {
    mkdir out
    run 0 "$data/pair.onnx" --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy" --output out
    stderr_has "vitjit: wrote out/sum.npy (176 bytes)"
    [ "$(ls -A out)" = sum.npy ] || fail "out has not sum.npy alone"
    cmp -s out/sum.npy "$data/pair.sum.npy" || fail "sum.npy is not numpy's, byte for byte"
    run 0 "$data/pair.onnx" --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy" --also-output product --output out
    cmp -s out/product.npy "$data/pair.product.npy" || fail "product.npy is not numpy's"
    rm -f out/*
    bad 2 "$data/pair.onnx" --output missing --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy"
    stderr_has "missing"
    echo text >file
    bad 2 "$data/pair.onnx" --output file --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy"
    bad 1 "$data/pair.onnx" --output out --input "x=$data/pair.x.npy"
    stderr_has "'z' (f32[4,3])"
    bad 1 "$data/pair.onnx" --output out --input "x=$data/pair.x.npy" --input "q=$data/pair.z.npy"
    stderr_has "its inputs are: x, z"
    bad 1 "$data/pair.onnx" --output out --input "x=$data/pair.x.npy" --input "x=$data/pair.x.npy"
    stderr_has "twice"
    bad 2 "$data/pair.onnx" --output out --input "x=$data/pair.x.npy" --input "z=$data/pair.z3.npy"
    stderr_has "batch"
    bad 1 "$data/pair.onnx" --output out --batch 3 --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy"
    bad 2 "$data/pair.onnx" --output out --input "x=$data/double.npy" --input "z=$data/pair.z.npy"
    stderr_has "'x' is f64"
    bad 2 "$data/pair.onnx" --output out --input "x=$data/open.x.npy" --input "z=$data/pair.z.npy"
    stderr_has "[2,3,5,6]"
    bad 2 "$data/pair.onnx" --output out --input x=gone.npy --input "z=$data/pair.z.npy"
    stderr_has "gone.npy: No such file"
    bad 2 "$data/pair.onnx" --output out --input "x=$data/pair.onnx" --input "z=$data/pair.z.npy"
    stderr_has "not an .npy file"
    head -c 150 "$data/pair.x.npy" >short.npy
    bad 2 "$data/pair.onnx" --output out --input x=short.npy --input "z=$data/pair.z.npy"
    stderr_has "truncated"
    bad 2 "$data/pair.onnx" --output out --input "x=$data/fortran.npy" --input "z=$data/pair.z.npy"
    stderr_has "Fortran"
    bad 2 "$data/pair.onnx" --output out --input "x=$data/big_endian.npy" --input "z=$data/pair.z.npy"
    bad 2 "$data/collision.onnx" --output out
    stderr_has "'a/b' and 'a_b'"
    bad 1 "$data/pair.onnx" --also-output no_such_value
    empty out
    run 0 "$data/escape.onnx" --output out
    [ "$(ls -A out)" = .._.._evil.npy ] || fail "the output's name left the folder: $(ls -A out)"
}

part_shapes() {
    mkdir out
    run 0 "$data/open.onnx" --input "x=$data/open.x.npy" --output out
    cmp -s out/y.npy "$data/open.y.npy" || fail "y.npy is not numpy's"
    run 0 "$data/open.onnx" --shape x=2x3x7x9 --quiet
    prints "f32[2,3,7,9]"
    run 0 "$data/open.onnx" --shape x=1x3x7x9 --batch 5 --quiet
    prints "f32[5,3,7,9]"
    run 0 "$fixtures/vit.ts17.onnx" --batch 5 --quiet
    prints "f32[5,10]"
    bad 1 "$data/open.onnx" --shape x=1x3x7
    bad 1 "$data/open.onnx" --shape q=1x3x7x9
}

# Sizes that are decided when the inputs come, with ONNX Runtime's answers (tests/fixtures/make_dims.py).
part_dims() {
    dims=$source/tests/fixtures/dims
    # a name that means nothing is no size
    run 0 "$dims/unnamed.onnx" --input "x=$dims/unnamed.x.npy" --expect "y=$dims/unnamed.y.npy"
    # texts and images have batches of their own, whatever these are called
    for model in clip same; do
        for batches in 3.1 2.5 3.3; do
            c=$dims/clip.$batches
            run 0 "$dims/$model.onnx" --input "input_ids=$c.input_ids.npy" --input "pixel_values=$c.pixel_values.npy" \
                --input "attention_mask=$c.attention_mask.npy" --expect "logits_per_image=$c.logits_per_image.npy" \
                --expect "logits_per_text=$c.logits_per_text.npy" --expect "text_embeds=$c.text_embeds.npy" \
                --expect "image_embeds=$c.image_embeds.npy"
            [ $batches = 3.3 ] || stderr_has "compiled for these shapes alone: 'input_ids' i64[${batches%.*},"
        done
    done
    run 0 "$dims/clip.onnx" --shape input_ids=3x7 --shape pixel_values=1x3x16x16 --quiet
    prints "logits_per_image  f32[1,3]"
    bad 1 "$dims/same.onnx" --shape input_ids=3x7 --shape pixel_values=1x3x16x16
    stderr_has "--shape attention_mask="
    bad 2 "$dims/clip.onnx" --input "input_ids=$c.input_ids.npy" --input "pixel_values=$c.pixel_values.npy" \
        --input "attention_mask=$dims/clip.2.5.attention_mask.npy"
    for batches in 2.4 5.4; do # one stays open beside one that is fixed
        t=$dims/towers.$batches
        run 0 "$dims/towers.onnx" --input "a=$t.a.npy" --input "b=$t.b.npy" --expect "y=$t.y.npy"
        run 0 "$dims/towers.onnx" --shape a=Nx3 --shape b=4x3 --input "a=$t.a.npy" --input "b=$t.b.npy" --expect "y=$t.y.npy"
        silent
    done
    run 0 "$dims/towers.onnx" --shape a=Nx3 --shape b=4x3 --batch 7 --quiet
    prints "y  f32[7,4]"
    # a range of sizes: each is compiled when it is met, and kept
    rm -rf cache
    for width in 32 48 64; do
        run 0 "$dims/line.onnx" --shape x=1x3x16x32..70:16 --input "x=$dims/line.$width.x.npy" --expect "y=$dims/line.$width.y.npy"
    done
    [ "$(ls cache/*.image | wc -l)" -eq 3 ] && [ "$(ls cache/*.weights | wc -l)" -eq 1 ] || fail "not 3 programs with one set of weights"
    bad 2 "$dims/line.onnx" --shape x=1x3x16x32..70:16 --input "x=$dims/line.37.x.npy"
    stderr_has "input 'x' has 37 as dim 3: its sizes are 32 to 70 in steps of 16"
    stderr_has "--round-up puts zeros behind it, up to 48"
    run 0 "$dims/line.onnx" --shape x=1x3x16x32..70:16 --round-up --input "x=$dims/line.37.x.npy" --expect "y=$dims/line.37.to.48.y.npy"
    stderr_has "input 'x': f32[1,3,16,37], zeros behind it to f32[1,3,16,48]"
    run 0 "$dims/line.onnx" --shape x=1x3x16x32..70 --input "x=$dims/line.37.x.npy" --expect "y=$dims/line.37.y.npy"
    bad 2 "$dims/line.onnx" --shape x=1x3x16x32..47:16 --round-up --input "x=$dims/line.37.x.npy"
    bad 2 "$dims/line.onnx" --shape x=1x3x16x32..64:9223372036854775807 --round-up --input "x=$dims/line.37.x.npy"
    bad 2 "$dims/line.onnx" --shape x=1x3x8x32..64 --input "x=$dims/line.37.x.npy"
    stderr_has "input 'x' has 16 as dim 2, --shape says 8"
    bad 1 "$dims/line.onnx" --shape x=1x3x16x32..64
    stderr_has "a range of sizes, and there is no input to say which"
    bad 1 "$dims/line.onnx" --round-up --input "x=$dims/line.32.x.npy"
    for range in 32.. ..64 64..32 32..64: 32..64:0 32...64 32..64:16:1 32..64..96; do
        bad 1 "$dims/line.onnx" --shape "x=1x3x16x$range" --input "x=$dims/line.32.x.npy"
    done
    bad 1 "$dims/line.onnx" --shape x=1..4x3x16x32 --input "x=$dims/line.32.x.npy"
    stderr_has "the first dim is the batch"
    # pictures have sizes of their own: resized to the height, and to the width that goes with it
    for range in 32..64:1 32..64:16; do
        run 0 "$dims/line.onnx" "$dims/37.png" "$dims/48.png" "$dims/37.png" "$dims/32.png" --shape "x=Nx3x16x$range" --round-up \
            --format jsonl --mean 0.5 --std 0.5 --interpolation bilinear --batch 2
        lines 4
        [ "$range" = 32..64:1 ] || stderr_has "37.png: it becomes 16 x 37, zeros behind it to 16 x 48"
        sed 's/.*"file":"[^"]*\/\([0-9]*\)\.png".*"shape":\[1,\([0-9]*\),11\],"min":\([^,]*\),"max":\([^,]*\),.*/\1 \2 \3 \4/' "$log/out" >got
        awk -v step="${range#*:}" '
            FILENAME != "got" { if ($2 % step == 0 && !($1 in columns)) { columns[$1] = $3; least[$1] = $4; most[$1] = $5 }; next }
            function far(a, b) { return a - b > 1e-5 || b - a > 1e-5 }
            $2 != columns[$1] || far($3, least[$1]) || far($4, most[$1]) { exit 1 }' "$dims/lines.txt" got ||
            fail "not what ONNX Runtime reads in the pictures"
    done
    # JPEGs at a part of their size, as for one size (tests/pictures has Pillow's pixels of these), upright ones and turned ones
    for case in rgb.jpg:16:26 exif8.jpg:4:3; do
        size=${case#*:}
        picture="$source/tests/pictures/data/${case%%:*} --mean 0.5 --std 0.5 --format jsonl --quiet"
        run 0 "$data/thousand.onnx" $picture --shape "pixel_values=Nx3x${size%:*}x${size#*:}" --resize "${size%:*}x${size#*:}" --fast-decode
        mv "$log/out" one_size
        run 0 "$data/thousand.onnx" $picture --shape "pixel_values=Nx3x${size%:*}x2..64" --fast-decode
        cmp -s "$log/out" one_size || fail "not decoded as for one size"
        run 0 "$data/thousand.onnx" $picture --shape "pixel_values=Nx3x${size%:*}x2..64"
        ! cmp -s "$log/out" one_size || fail "--fast-decode means nothing"
        run 0 "$data/thousand.onnx" $picture --shape "pixel_values=Nx3x${size%:*}x2..64:2" --round-up --fast-decode
    done
    bad 2 "$data/thousand.onnx" "$source/tests/pictures/data/truncated.jpg" --shape pixel_values=Nx3x16x2..64 --fast-decode --mean 0.5 --std 0.5 --quiet
    run 2 "$dims/line.onnx" "$dims/48.png" "$dims/37.png" "$dims/32.png" --shape x=Nx3x16x32..64:16 --mean 0.5 --std 0.5
    lines 4
    prints "f32[1,12,11]"
    prints "f32[1,8,11]"
    stderr_has "37.png: it becomes 16 x 37: the sizes of 'x' are 32 to 64 in steps of 16"
    stderr_has "--round-up puts zeros behind it, up to 48"
    bad 2 "$dims/line.onnx" "$dims/48.png" --shape x=Nx3x16x32..40 --mean 0.5 --std 0.5 --quiet
    bad 1 "$dims/line.onnx" "$dims/48.png" --shape x=Nx3x16x32..64 --resize 16
    stderr_has "--resize means nothing beside a range"
    mkdir rows
    bad 1 "$dims/line.onnx" "$dims/48.png" --shape x=Nx3x16x32..64 --output rows
    empty rows
    bad 1 "$dims/line.onnx" "$dims/48.png" --shape x=Nx1..3x16x32
    stderr_has "none of a picture's height or width"
    mkdir objects
    run 0 "$dims/line.onnx" --shape x=Nx3x16x32..64:16 --emit-obj -o objects
    grep -q 64 objects/line.h || fail "no shape of width 64 in objects/line.h"
    bad 1 "$dims/line.onnx" --shape x=Nx3x16x32..4000 --emit-obj -o objects
    stderr_has "more than 256 shapes"
    # a size that the weights cannot take
    run 0 "$dims/positions.onnx" --input "image=$dims/positions.x.npy" --expect "y=$dims/positions.y.npy"
    bad 2 "$dims/positions.onnx" --input "image=$dims/positions.large.x.npy"
    stderr_has "node '/Add' (Add, opset 17): "
    stderr_has "the initializer 'position_embeddings', f32[1,16,8], fixes the size"
}

part_compare() {
    run 0 "$fixtures/vit.ts17.onnx" --input "image=$fixtures/vit.ts17.in.npy" --expect "logits=$fixtures/vit.ts17.out.npy"
    prints "top-1 same in 3 of 3: ok"
    run 0 "$data/pair.onnx" --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy" --expect "sum=$data/pair.sum.npy" --rtol 0 --atol 0
    run 4 "$data/pair.onnx" --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy" --expect "sum=$data/pair.wrong.npy"
    prints "DIFFERS, first at [0,0]"
    run 0 "$data/pair.onnx" --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy" --expect "sum=$data/pair.wrong.npy" --atol 0.02
    run 4 "$data/pair.onnx" --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy" --expect "sum=$data/pair.z3.npy"
    prints "f32[4,3] is not f32[3,3]"
    bad 1 "$data/pair.onnx" --expect "product=$data/pair.product.npy"
    stderr_has "--also-output product"
    bad 2 "$data/pair.onnx" --expect sum=gone.npy
}

# pb FILE HEADER-OF-TENSORPROTO NPY BYTES: a TensorProto of raw data from an .npy file
pb() { { printf "$2"; tail -c "$4" "$3"; } >"$1"; }

part_sets() {
    in='\010\003\010\003\010\040\010\040\020\001\112\200\240\002' # dims 3 3 32 32, float, raw data of 36864 bytes
    answer='\010\003\010\012\020\001\112\170'                     # dims 3 10, float, raw data of 120 bytes
    for set in good wrong; do
        mkdir -p "$set/test_data_set_0"
        pb "$set/test_data_set_0/input_0.pb" "$in" "$fixtures/vit.ts17.in.npy" 36864
    done
    pb good/test_data_set_0/output_0.pb "$answer" "$fixtures/vit.ts17.out.npy" 120
    pb wrong/test_data_set_0/output_0.pb "$answer" "$fixtures/vit.ts17.in.npy" 120
    run 0 "$fixtures/vit.ts17.onnx" --test good
    prints "1 passed, 0 failed"
    run 0 "$fixtures/vit.ts17.onnx" --test good/test_data_set_0
    run 4 "$fixtures/vit.ts17.onnx" --test good wrong
    prints "1 passed, 1 failed"
    prints "DIFFERS"
    mkdir nothing
    run 2 "$fixtures/vit.ts17.onnx" --test nothing good
    prints "1 passed, 1 failed"
    head -c 1000 good/test_data_set_0/input_0.pb >wrong/test_data_set_0/input_0.pb
    run 2 "$fixtures/vit.ts17.onnx" --test wrong
    form
}

part_attention() {
    # values inside of what is fused stay themselves
    run 0 "$digits/digits.onnx" --input "image=$data/attention.image.npy" --also-output /blocks.0/Softmax_output_0 \
        --also-output /blocks.3/Softmax_output_0 --expect "/blocks.0/Softmax_output_0=$data/attention.first.npy" \
        --expect "/blocks.3/Softmax_output_0=$data/attention.last.npy"
    mkdir maps
    run 0 "$digits/digits.onnx" "$digits/pictures/two.png" "$digits/pictures/six.png" --topk 1 --quiet --attention maps
    lines 4
    prints "%  two"
    [ "$(ls maps | wc -l)" -eq 34 ] || fail "not 2 pictures x (4 layers x 4 heads, a sheet)"
    for name in two.layer-00.head-00 two.layer-03.head-03 six.layer-01.head-02 six.attention; do
        [ "$(head -c 4 "maps/$name.png" | tail -c 3)" = PNG ] || fail "$name.png is no PNG"
    done
    # the outputs are those of the model alone
    mkdir rows
    run 0 "$digits/digits.onnx" "$digits/pictures/two.png" --quiet --attention maps --output rows
    [ "$(ls -A rows)" = logits.npy ] || fail "rows has not logits.npy alone"
    bad 2 "$digits/digits.onnx" "$digits/pictures/two.png" --attention missing
    cp "$digits/pictures/two.png" two.png
    rm -f maps/*
    # two of one name; a line says of each picture how many maps it has, another the sheet
    mkdir a
    cp "$digits/pictures/six.png" a/two.png
    run 0 "$digits/digits.onnx" two.png a/two.png --attention maps
    [ "$(ls maps | wc -l)" -eq 34 ] || fail "not the maps of two pictures of one name"
    for name in two a_two; do
        stderr_has "wrote maps/$name.layer-LL.head-HH.png, 16 maps"
        stderr_has "wrote maps/$name.attention.png ("
    done
    cmp -s maps/two.attention.png maps/a_two.attention.png && fail "one picture has the other's maps"
    rm -r maps a && mkdir maps
    bad 3 "$fixtures/window.ts17.onnx" two.png --attention maps
    stderr_has "no attention that can be drawn"
    empty maps
    bad 1 "$digits/digits.onnx" --attention maps
}

part_pictures() {
    pictures=$source/tests/pictures/data
    run 0 "$digits/digits.onnx" "$digits/pictures" --topk 3
    lines 40
    stderr_has "pre-processing: "
    stderr_has "the model's metadata"
    for name in zero one two three four five six seven eight nine; do
        run 0 "$digits/digits.onnx" "$digits/pictures/$name.png" --topk 1 --quiet
        silent
        prints "%  $name"
    done
    run 0 "$digits/digits.onnx" "$digits/pictures/two.png" --format jsonl --topk 2
    lines 1
    prints '"top":[{"index":2,"label":"two","probability":0.9'
    "$vitjit" "$digits/digits.onnx" "$digits/pictures" --format jsonl -j 1 >one.jsonl 2>"$log/err"
    "$vitjit" "$digits/digits.onnx" "$digits/pictures" --format jsonl -j 2 --batch 4 >two.jsonl 2>"$log/err"
    command="jsonl of batches" && cp one.jsonl "$log/out"
    [ -s one.jsonl ] && cmp -s one.jsonl two.jsonl || fail "batches of 4 give other lines"
    ls "$digits"/pictures/*.png | "$vitjit" "$digits/digits.onnx" - --format jsonl >three.jsonl 2>"$log/err"
    cmp -s one.jsonl three.jsonl || fail "a list on stdin gives other lines"
    # one bad picture is one line, the others go on
    echo text >bad.png
    run 2 "$digits/digits.onnx" "$digits/pictures/one.png" bad.png gone.png "$pictures/truncated.jpg" "$digits/pictures/two.png" --topk 1
    lines 4
    prints "one"
    prints "two"
    stderr_has "vitjit: bad.png: neither JPEG, PNG, WebP nor BMP"
    stderr_has "vitjit: gone.png: No such file"
    stderr_has "truncated.jpg: "
    mkdir nothing
    run 2 "$digits/digits.onnx" nothing
    stderr_has "vitjit: nothing: no .jpg"
    mkdir out
    run 0 "$digits/digits.onnx" "$digits/pictures" --output out --batch 3
    [ "$(ls -A out)" = logits.npy ] || fail "out has not logits.npy alone"
    [ "$(wc -c <out/logits.npy)" -eq 528 ] || fail "logits.npy has not 10 rows of 10 floats behind 128 bytes"
    # recipes by class: the input's size wins, every step is said; what is not followed is refused, unless the options say all
    mkdir class
    cp "$data/means.onnx" class
    echo '{"image_processor_type": "CLIPImageProcessor"}' >class/preprocessor_config.json
    run 0 class/means.onnx "$pictures/rgb.png"
    stderr_has "centre crop "
    stderr_has "(the recipe's sizes, scaled to the input's)"
    stderr_has "from preprocessor_config.json, CLIP's habits"
    run 2 class/means.onnx "$pictures/rgb.png" --resize 2
    stderr_has "smaller than the input"
    echo '{"image_processor_type": "Qwen2VLImageProcessor"}' >class/preprocessor_config.json
    bad 3 class/means.onnx "$pictures/rgb.png"
    stderr_has "'Qwen2VLImageProcessor' is not followed"
    run 0 class/means.onnx "$pictures/rgb.png" --mean 0.5 --std 0.5 --resize 64
    stderr_has "shorter side to 64 (bicubic), centre crop "
    stderr_has "from the command line"
    echo '{"image_processor_type": "CLIPImageProcessor", "size": 0}' >class/preprocessor_config.json
    bad 2 class/means.onnx "$pictures/rgb.png"
    stderr_has "preprocessor_config.json: a value that makes no sense for the key: 'size'"
    # without labels: statistics; without metadata: a warned guess
    run 0 "$data/means.onnx" "$pictures/rgb.png"
    stderr_has "warning: pre-processing is"
    stderr_has "--mean"
    prints "f32[1,3]"
    run 0 "$data/means.onnx" "$pictures/rgb.png" --mean 0 --std 1 --topk 1
    prints "class "
    run 0 "$data/means.onnx" "$pictures/rgba.png" --quiet
    silent
    run 0 "$data/means.onnx" "$pictures/rgba.png"
    stderr_has "transparent"
    # a batch baked into the graph: the last run is filled up
    run 0 "$data/fixed2.onnx" "$pictures/rgb.png" "$pictures/rgb.jpg" "$pictures/rgb.png" --topk 1
    lines 6
    # f16, channels last, and bytes, which take the pixels as they are: Pillow's
    for kind in f16 nhwc u8; do
        mkdir seen
        run 0 "$data/see_$kind.onnx" "$pictures/rgb.png" --resize 12x16 --mean 0.25,0.5,0.125 --std 0.5,0.25,0.75 --output seen
        cmp seen/seen.npy "$data/see_$kind.seen.npy" || fail "the model sees another picture"
        rm -r seen
    done
    stderr_has "pixels as they are (0 to 255)"
    # every kind, told by its first bytes
    formats=$source/tests/pictures/formats
    cp "$formats/lossless.webp" webp.jpg
    run 0 "$data/means.onnx" "$formats/rgb24.bmp" "$formats/lossy.webp" "$formats/progressive.jpg" webp.jpg --topk 1
    lines 8
    run 0 "$data/means.onnx" "$formats/half.jpg" --fast-decode --topk 1
    run 2 "$data/means.onnx" "$formats/scans127.jpg" "$formats/huge.png" "$formats/cut.bmp" "$formats/other.gif" --topk 1
    stderr_has "more than 100 scans"
    stderr_has "65536 x 65536 pixels"
    stderr_has "other.gif: a GIF: pictures are"
    # folders below folders, in the order of the names, without going round in circles
    mkdir -p album/b/c album/.hidden album/d
    for place in album/a.png album/b/a.png album/b/c/z.PNG album/.hidden/a.png; do cp "$pictures/rgb.png" $place; done
    ln -s .. album/b/up
    run 0 "$data/means.onnx" album --topk 1
    lines 2
    run 0 "$data/means.onnx" album -r --topk 1 --format jsonl
    lines 3
    printf 'album/a.png\nalbum/b/a.png\nalbum/b/c/z.PNG\n' >wanted
    sed 's/.*"file":"\([^"]*\)".*/\1/' "$log/out" | cmp -s - wanted || fail "other pictures, or in another order"
    run 2 "$data/means.onnx" album/d
    stderr_has "--recursive"
    run 2 "$data/means.onnx" album/d --recursive
    rm -r album
    # nothing waits for a FIFO
    mkfifo pipe.png
    run 2 "$data/means.onnx" pipe.png
    stderr_has "pipe.png: not a regular file"
    run 2 "$data/means.onnx" "$pictures/rgb.png" --labels pipe.png
    stderr_has "not a regular file"
    run 2 "$data/open.onnx" --input x=pipe.png
    stderr_has "not a regular file"
    rm pipe.png
    # what a terminal would obey is shown
    printf 'plain\n\033[2J\302\233m\nthird\n' >labels.txt
    run 0 "$data/means.onnx" "$pictures/rgb.png" --labels labels.txt
    prints '\x1b[2J\xc2\x9bm'
    ! grep -q "$(printf '\033')" "$log/out" || fail "an escape reaches the terminal"
    bad 1 "$data/means.onnx" "$pictures/rgb.png" --mean nonsense
    bad 1 "$data/rows.onnx" "$pictures/rgb.png"
    stderr_has "does not take pictures"
    bad 1 "$data/pair.onnx" "$pictures/rgb.png"
    bad 2 "$digits/digits.onnx" "$digits/pictures/one.png" --labels gone.txt
    bad 2 "$digits/digits.onnx" "$digits/pictures/one.png" --output missing
    empty nothing
}

part_results() {
    results=$source/tests/results/data
    picture=$source/tests/pictures/data/rgb.png
    run 0 "$results/depth/model.onnx" "$picture"
    prints "depth  min"
    stderr_has "vitjit: wrote rgb.depth.png"
    [ -s rgb.depth.png ] && [ "$(ls -A | grep -cv cache)" -eq 1 ] || fail "not rgb.depth.png alone"
    run 0 "$results/depth/model.onnx" "$picture" --draw none --format jsonl --quiet
    silent
    prints_not '"picture"'
    # boxes are drawn where that is asked for
    rm rgb.depth.png
    run 0 "$results/detr/model.onnx" "$picture" --quiet
    [ "$(ls -A | grep -cv cache)" -eq 0 ] || fail "a file nobody asked for"
    run 0 "$results/detr/model.onnx" "$picture" --draw boxes.png --threshold 0.9
    stderr_has "wrote boxes.png"
    lines "$(($(grep -c %  "$log/out") + 1))"
    run 0 "$results/detr/model.onnx" "$picture" --threshold 1 --quiet
    prints "no object scores above 1"
    # what does not fit is said before anything is done
    cp "$picture" rgb.png
    bad 1 "$results/detr/model.onnx" rgb.png --draw rgb.png
    stderr_has "the picture itself"
    bad 1 "$results/detr/model.onnx" rgb.png "$source/tests/pictures/data/grey.png" --draw one.png
    stderr_has "one file for 2 pictures"
    bad 1 "$results/detr/model.onnx" rgb.png --draw out.jpg
    bad 2 "$results/detr/model.onnx" rgb.png --draw gone/
    bad 1 "$results/depth/model.onnx" rgb.png --threshold 0.5
    bad 1 "$results/clip/model.onnx" rgb.png --draw a.png
    bad 1 "$digits/digits.onnx" rgb.png --draw a.png
    bad 1 "$digits/digits.onnx" rgb.png --threshold 0.5
    bad 1 "$results/detr/model.onnx" --threshold 0.5
    bad 1 "$results/detr/model.onnx" rgb.png --fast-decode
    run 0 "$results/clip/model.onnx" rgb.png --fast-decode
    # a folder that cannot be written to is no half-written file
    mkdir there
    run 0 "$results/segformer/model.onnx" rgb.png --draw there --quiet
    [ "$(ls -A there)" = rgb.mask.png ] || fail "there has not rgb.mask.png alone"
    # without config.json the outputs tell, and it is said
    cp "$results/detr/model.onnx" detr.onnx
    run 0 detr.onnx rgb.png --threshold 0.9
    stderr_has "a guess: taken for a detector by output 'logits' and 'pred_boxes'; no config.json names an architecture"
    prints "class "
    # one above, as the Hub has it, with labels that would change the terminal
    mkdir -p hub/onnx
    cp detr.onnx hub/onnx/model.onnx
    printf '{"architectures": ["DetrForObjectDetection"]}' >hub/config.json
    printf 'a\033[1mb\nsky\ntree\nroad\ncat\n' >names.txt
    run 0 hub/onnx/model.onnx rgb.png --threshold 0.3 --labels names.txt --mean 0.5 --std 0.5
    prints_not "class "
    prints 'a\x1b[1mb'
    ! grep -qF guess: "$log/err" || fail "config.json above is not read"
    # texts beside pictures, as many as there are, and the same for all
    ids=input_ids=$results/clip_texts/input_ids.npy
    run 0 "$results/clip_texts/model.onnx" rgb.png --input "$ids" --format jsonl
    cp "$log/out" one
    run 0 "$results/clip_texts/model.onnx" rgb.png rgb.png --input "$ids" --format jsonl
    lines 2
    [ "$(head -1 "$log/out")" = "$(cat one)" ] && [ "$(tail -1 "$log/out")" = "$(cat one)" ] || fail "another run gives other texts"
    run 0 "$results/clip_texts/model.onnx" rgb.png rgb.png rgb.png --input "$ids" --batch 4
    lines 15
    bad 1 "$results/clip_texts/model.onnx" rgb.png
    stderr_has "--input NAME=x.npy"
    run 1 "$results/clip_texts/model.onnx" rgb.png --input "$ids" --input "other=$results/clip_texts/input_ids.npy"
    stderr_has "there is no input 'other'"
    bad 2 "$results/clip_texts/model.onnx" rgb.png --input input_ids=gone.npy
    run 1 "$results/depth/model.onnx" rgb.png --input "$ids"
    # a config.json of something else
    printf '{"architectures": ["ViTModel"]}' >config.json
    cp "$results/foreground/model.onnx" plane.onnx
    run 0 detr.onnx rgb.png
    stderr_has "ViTModel says nothing of results"
    printf '{"architectures": [[{}]]}' >config.json
    run 0 detr.onnx rgb.png
}

part_bench() {
    run 0 "$digits/digits.onnx" --bench 0.05 --batch 3 -j 2 --stats
    prints "images/s"
    tail -n 1 "$log/out" >last
    for key in flops weights_bytes arena_bytes arena_lower_bound_bytes kernels compile_ms cache_hit peak_rss_bytes min_ms median_ms p99_ms runs; do
        grep -q "\"$key\":" last || fail "--stats lacks $key"
    done
    prints "of peak"
    prints "waiting"
    for key in peak_gflops profiled_ms threads kernel_times busy_ms weight_bytes; do
        grep -q "\"$key\":" last || fail "--stats lacks $key"
    done
    run 0 "$digits/digits.onnx" --stats --quiet
    prints '"cache_hit":true'
    prints_not '"min_ms"'
    run 0 "$digits/digits.onnx" --bench=0 --no-cache --quiet --stats
    prints_not "of peak"
    prints_not kernel_times
    for mode in "" "--bench 0" "--input image=$digits/test_images.npy"; do
        rm -f trace.json
        run 0 "$digits/digits.onnx" $mode --profile trace.json
        grep -q '"ph":"X"' trace.json || fail "no spans in the trace"
    done
    bad 2 "$digits/digits.onnx" --profile missing/trace.json
    bad 1 "$digits/digits.onnx" --inspect --profile trace.json
    run 0 "$digits/digits.onnx" --bench 0.05 --quiet --input "image=$digits/test_images.npy"
    run 0 "$digits/digits.onnx" --jit=orc --input "image=$digits/test_images.npy" --expect "logits=$digits/test_logits.npy"
    prints "top-1 same in 360 of 360: ok"
}

part_tools() {
    run 0 "$digits/digits.onnx"
    prints "input       image  f32[batch,1,8,8]"
    prints "output logits  f32[1,10]"
    prints "10 labels"
    run 0 "$digits/digits.onnx" --inspect
    silent
    prints "opset 17"
    run 0 "$digits/digits.onnx" --report --stats
    prints "attention 4 of 4"
    prints '"distinct_kernels"'
    run 0 "$fixtures/cosine.ts17.onnx" --report
    prints "attention 2 of 2"
    prints "layernorm 4 of 4"
    run 0 "$digits/digits.onnx" --report --also-output /blocks.2/Softmax_output_0
    prints "attention 3 of 4"
    prints "node '/blocks.2/Softmax': its weights are kept, as they are used elsewhere too"
    run 0 "$digits/digits.onnx" --check
    run 0 targets
    for target in x86-64 x86-64-v2 x86-64-v3 x86-64-v3-vnni x86-64-v4 x86-64-v4-vnni x86-64-v4-bf16 x86-64-v4-amx aarch64 aarch64-bf16 riscv64 riscv64-v wasm32; do prints "$target "; done
    prints "16 of 256 bits"
    prints "this machine"
    bad 1 "$digits/digits.onnx" --cpu pentium
    stderr_has "vitjit targets"
    bad 1 "$digits/digits.onnx" --target z80 --emit-obj
    for triple in x86_64-pc-windows-msvc arm64-apple-darwin x86_64-apple-macos11; do
        bad 3 "$digits/digits.onnx" --target $triple --emit-obj
        stderr_has "only ELF and WebAssembly"
    done
    bad 1 "$digits/digits.onnx" --target riscv64 --features +avx2 --emit-obj
    run 0 "$digits/digits.onnx" --target riscv64 --features v --inspect
    prints "riscv64-v"
    run 0 "$digits/digits.onnx" --target aarch64 --features bf16 --inspect
    prints "aarch64-bf16"
    bad 1 "$digits/digits.onnx" --emit-obj --cpu v3,v2,x86-64-v3
    stderr_has "--cpu names x86-64-v3 twice"
    bad 1 "$digits/digits.onnx" --emit-obj --cpu v3,aarch64
    stderr_has "x86-64-v3 and aarch64 are CPUs of different machines"
    for list in v3,v5 v3, ,v3 v1,,v2; do
        bad 1 "$digits/digits.onnx" --emit-obj --cpu $list
        stderr_has "nothing is called"
    done
    bad 1 "$digits/digits.onnx" --emit-obj --cpu v2,v3 --features avx2
    bad 1 "$digits/digits.onnx" --emit-obj --cpu v2,v3 --target aarch64
    bad 1 "$digits/digits.onnx" --cpu v2,v3
    stderr_has "several CPUs are for objects"
    run 0 "$digits/digits.onnx" --cpu v --target riscv64 --inspect
    prints "riscv64-v"
    if [ "$(uname -m)" = x86_64 ]; then
        run 0 "$digits/digits.onnx" --cpu v1 --inspect
        prints "x86-64"
        run 0 "$digits/digits.onnx" --cpu x86-64 --features avx2,+fma --inspect
        prints "x86-64-v3"
        run 0 "$digits/digits.onnx" --cpu x86-64-v4 --features -avx512f --inspect
        prints "x86-64-v3"
        run 0 "$digits/digits.onnx" --cpu x86-64-v3 --features -avx2 --inspect
        prints "x86-64-v2"
        run 0 "$digits/digits.onnx" --cpu x86-64-v4 --features -bmi2 --inspect
        prints "x86-64-v2"
        run 0 "$digits/digits.onnx" --cpu x86-64-v4 --features -avx512vl,-fma,+fma --inspect
        prints "x86-64-v3"
        run 0 "$digits/digits.onnx" --cpu x86-64 --features avx2 --inspect
        prints "x86-64-v2"
        bad 1 "$digits/digits.onnx" --features v
        bad 1 "$digits/digits.onnx" --features +neon
        stderr_has "is not a feature"
        bad 1 "$digits/digits.onnx" --cpu aarch64
        stderr_has "does not run on this machine"
        bad 1 "$digits/digits.onnx" --target x86_64 --cpu aarch64 --emit-obj
        run 0 "$digits/digits.onnx" --cpu x86-64 --input "image=$digits/test_images.npy" --expect "logits=$digits/test_logits.npy"
        prints ": ok"
    fi
    run 0 "$fixtures/vit.ts17.onnx" --print-after fold --stop-after fold
    stderr_has "func @"
    [ ! -s "$log/out" ] || fail "dumps belong to stderr"
    bad 1 "$fixtures/vit.ts17.onnx" --print-after no_such_pass
    run 0 "$fixtures/vit.ts17.onnx" --print-rewrites --stop-after gelu
    stderr_has "gelu: gelu_erf_half_last at '"
    stderr_has "canonicalise: product_with_weight at '"
    [ ! -s "$log/out" ] || fail "rewrites are told on stderr"
    printed_rewrites=$(grep -c "^gelu: " "$log/err")
    run 0 "$fixtures/vit.ts17.onnx" --print-after gelu --stop-after gelu
    stderr_has "; after gelu: $printed_rewrites rewrites"
    bad 1 "$fixtures/vit.ts17.onnx" --disable-pass no_such_pass --bench 0
    run 0 "$fixtures/vit.ts17.onnx" --pass-limit 0 --input "image=$fixtures/vit.ts17.in.npy" --expect "logits=$fixtures/vit.ts17.out.npy"
}

part_objects() {
    run 0 "$digits/digits.onnx" --emit-obj
    prints "cc main.c digits.o"
    [ -s digits.o ] && [ -s digits.h ] || fail "no digits.o and digits.h"
    [ -z "$(ls -A | grep -vxE 'digits\.[oh]|cache')" ] || fail "more was written: $(ls -A)"
    # what pictures and classes are, for a program that has the header alone
    cat >header.c <<'EOC'
#include <stdio.h>
#include "digits.h"
int main(void) {
    const float mean[] = DIGITS_IMAGE_MEAN, deviation[] = DIGITS_IMAGE_DEVIATION;
    printf("%d %d x %d last %d: %g %g; %d %s %s; %s; %d\n", DIGITS_IMAGE_CHANNELS, DIGITS_IMAGE_HEIGHT, DIGITS_IMAGE_WIDTH,
           DIGITS_IMAGE_CHANNELS_LAST, mean[0], deviation[0], DIGITS_LABEL_COUNT, digits_label(0), digits_label(9),
           vj_run_status_text(VJ_RUN_BAD_CPU), digits_label(10) == NULL && digits_label(-1) == NULL);
    return 0;
}
EOC
    cc -std=c11 -Wall -Wextra -Werror header.c -o header.out && ./header.out >"$log/out"
    prints "1 8 x 8 last 0: 0.5 0.5; 10 zero nine; this CPU lacks what the code needs; 1"
    rm header.c header.out
    # labels that would end a string, a comment or the line
    mkdir odd && cp "$data/means.onnx" odd
    printf '{"image_mean": [0.25, 0.5, 0.75], "image_std": 0.5, "image_processor_type": "ViTImageProcessor"}' >odd/preprocessor_config.json
    printf '{"id2label": {"0": "a\\"b\\\\??/", "1": "\\u001b[31mred\\n", "2": "\\u00e9*/"}}' >odd/config.json
    run 0 odd/means.onnx --emit-obj -o odd
    printf '#include <stdio.h>\n#include "means.h"\nint main(void) { const double m[] = MEANS_IMAGE_MEAN; printf("%%g %%g|%%s|%%s|%%s|", m[2], m[0], means_label(0), means_label(1), means_label(2)); return 0; }\n' >odd/odd.c
    cc -std=c11 -Wall -Wextra -Werror -trigraphs odd/odd.c -o odd/odd.out && odd/odd.out >"$log/out"
    printf '0.75 0.25|a"b\\??/|\033[31mred\n|\303\251*/|' | cmp -s - "$log/out" || fail "the labels in a header are others"
    grep -q "$(printf '\033')" odd/means.h && fail "a control character in the header"
    # what the command line says goes before, and where nothing is known of a model
    printf 'x\ny\nz\n' >names.txt
    printf '#include <stdio.h>\n#include "means.h"\nint main(void) { const double m[] = MEANS_IMAGE_MEAN, d[] = MEANS_IMAGE_DEVIATION; printf("%%g %%g %%g %%s|", m[0], m[2], d[1], means_label(2)); return 0; }\n' >odd/told.c
    for folder in odd bare; do
        mkdir -p $folder
        [ $folder = odd ] || cp "$data/means.onnx" odd/told.c bare
        run 0 $folder/means.onnx --emit-obj -o $folder --mean 0.125,0.25,0.375 --std 0.625 --labels names.txt
        cc -std=c11 -Wall -Wextra -Werror $folder/told.c -o told.out && ./told.out >"$log/out"
        printf '0.125 0.375 0.625 z|' | cmp -s - "$log/out" || fail "the options are not in the header of $folder"
    done
    run 0 bare/means.onnx --emit-obj -o bare --mean 0.25
    stderr_has "--mean is not in the header: nothing says the other, --std"
    grep -q IMAGE_MEAN bare/means.h && fail "a guess is in the header"
    run 0 odd/means.onnx --emit-obj -o odd --std 0.625
    cc -std=c11 -Wall -Wextra -Werror -Wno-trigraphs -DTOLD odd/told.c -o told.out && ./told.out >"$log/out"
    prints "0.25 0.75 0.625"
    rm bare/means.[oh]
    bad 1 bare/means.onnx --emit-obj -o bare --mean 1,2
    bad 2 bare/means.onnx --emit-obj -o bare --labels gone.txt
    bad 1 bare/means.onnx --emit-asm -o bare --mean 0.5 --std 0.5
    stderr_has "--mean is for the header that --emit-obj and --emit-lib write"
    [ "$(ls bare | grep -c means)" -eq 1 ] || fail "files are written with options that make no sense"
    # of a class that is not followed, or with a file that is damaged: what the options say, and the model's names of classes
    for text in '{"image_processor_type": "ImageGPTImageProcessor"}' '{"image_mean": [0.5, 0.5, "x"]}' '{'; do
        echo "$text" >odd/preprocessor_config.json
        run 0 odd/means.onnx --emit-obj -o odd --mean 0.125,0.25,0.375 --std 0.625 --labels names.txt
        cc -std=c11 -Wall -Wextra -Werror odd/told.c -o told.out && ./told.out >"$log/out"
        printf '0.125 0.375 0.625 z|' | cmp -s - "$log/out" || fail "the options are not in the header beside $text"
        run 0 odd/means.onnx --emit-obj -o odd --std 0.625
        stderr_has "the header says nothing of pictures: "
        stderr_has "--std is not in the header: nothing says the other, --mean"
        grep -q IMAGE odd/means.h && fail "half a recipe is in the header"
        bad 2 odd/means.onnx --emit-obj -o odd --labels gone.txt
        run 0 odd/means.onnx --emit-obj -o odd --labels names.txt
        grep -q '"y",' odd/means.h || fail "names of classes are not in the header beside $text"
    done
    stderr_has "the header says nothing of pictures: not a JSON object"
    echo '{"image_processor_type": "ImageGPTImageProcessor"}' >odd/preprocessor_config.json
    run 0 odd/means.onnx --emit-obj -o odd
    stderr_has "the header says nothing of pictures: the pre-processing of 'ImageGPTImageProcessor' is not followed"
    grep -q '303.251\*/",' odd/means.h || fail "the model's names of classes are not in the header"
    rm -r odd bare names.txt told.out
    mkdir objects
    run 0 "$digits/digits.onnx" --emit-obj -o objects --prefix small --weights file --target aarch64
    ls objects >"$log/out"
    prints ".weights"
    run 0 "$digits/digits.onnx" --emit-asm -o objects/x.s
    [ -s objects/x.s ] || fail "no objects/x.s"
    run 0 "$digits/digits.onnx" --emit-llvm -o objects/x.ll
    run 0 "$digits/digits.onnx" --emit-ir -o objects/x.ir
    for prefix in one phase_alone weights all; do # whatever the object calls its own functions
        run 0 "$digits/digits.onnx" --emit-obj -o objects --prefix $prefix
    done
    mkdir nothing
    bad 3 "$data/unsupported.onnx" --emit-obj -o nothing
    bad 2 "$data/cycle.onnx" --emit-obj -o nothing
    bad 1 "$digits/digits.onnx" --emit-obj -o nothing --prefix 'not a name'
    empty nothing
    run 2 "$digits/digits.onnx" --emit-obj -o missing/x.o
    form
}

# A model compiled ahead of time does what the ONNX file does, without a compiler.
part_library() {
    run 0 "$digits/digits.onnx" --emit-lib
    prints "main.c ./digits.so"
    [ -z "$(ls -A | grep -vxE 'digits\.(so|h)|cache')" ] || fail "more was written: $(ls -A)"
    run 0 digits.so "$digits/pictures" --topk 1
    cp "$log/out" pictures
    run 0 "$digits/digits.onnx" "$digits/pictures" --topk 1
    cmp pictures "$log/out" || fail "the library sees other things"
    run 0 digits.so --input "image=$digits/test_images.npy" --expect "logits=$digits/test_logits.npy"
    run 0 digits.so --batch 3 -j2
    prints "output logits  f32[3,10]"
    run 0 digits.so --inspect
    prints "opset 17"
    run 0 digits.so --bench 0 --stats
    prints '"runs":'
    bad 1 digits.so --cpu x86-64
    bad 1 digits.so --report
    for option in "--precision bf16" "--precision f32" "--weight-format f16" "--keep-f32 x"; do
        bad 1 digits.so $option
        stderr_has "it is compiled already: ${option% *} wants the ONNX file"
    done
    bad 1 digits.so --emit-obj
    bad 2 digits.so --input "image=$digits/test_labels.npy"
    bad 1 "$digits/digits.onnx" --emit-obj --linker cc
    run 5 "$digits/digits.onnx" --emit-lib -o none.so --linker no-such-linker
    stderr_has "no-such-linker"
    a=$data/asked # no weights, and inputs that must have a value
    run 0 "$a.onnx" --fix "target=$a.target.npy" --fix "axes=$a.axes.npy" --emit-lib
    run 0 asked.so --input "x=$a.x.npy" --input "target=$a.target.npy" --input "axes=$a.axes.npy" \
        --expect "y=$a.y.npy" --expect "s=$a.s.npy"
    bad 2 asked.so --input "x=$a.x.npy" --input "target=$a.target2.npy" --input "axes=$a.axes.npy" --expect "y=$a.y.npy"
    head -c 70000 digits.so >cut.so
    bad 2 cut.so
    cp "$(command -v sh)" other.so
    bad 2 other.so
    form
}

part_cache() {
    run 0 "$digits/digits.onnx" --stats --quiet --cache own
    prints '"cache_hit":false'
    run 0 "$digits/digits.onnx" --stats --quiet --cache own --batch 3
    prints '"cache_hit":true'
    [ "$(stat -c %a own)" = 700 ] || fail "the cache is open to others"
    run 0 cache ls --cache own
    prints "digits.onnx  f32 "
    run 0 "$digits/digits.onnx" --quiet --cache formats --weight-format int4
    run 0 cache ls --cache formats
    prints "digits.onnx  f32+int4 "
    cp "$digits/digits.onnx" other.onnx
    run 0 other.onnx --stats --quiet --cache own
    prints '"cache_hit":true'
    run 0 "$digits/digits.onnx" --stats --quiet --no-cache
    prints '"cache_hit":false'
    # what is damaged is made anew
    run 0 cache verify --cache own
    prints " 0 damaged"
    for file in own/*; do head -c 100 "$file" >cut && cat cut >"$file"; done
    run 2 cache verify --cache own
    prints "damaged  "
    run 0 "$digits/digits.onnx" --input "image=$digits/test_images.npy" --expect "logits=$digits/test_logits.npy" --cache own
    prints ": ok"
    run 0 cache prune --cache own
    run 0 cache ls --cache own
    prints "own: 0 files"
    # a folder that cannot be used is a warning
    echo text >file
    run 0 "$digits/digits.onnx" --quiet --cache file
    run 0 "$digits/digits.onnx" --cache file
    stderr_has "warning: "
}

part_disk() {
    run 0 "$digits/digits.onnx" --quiet # fills the cache
    command="vitjit ... >/dev/full"
    if [ -w /dev/full ]; then
        "$vitjit" "$digits/digits.onnx" --quiet >/dev/full 2>"$log/err"
        [ $? -eq 5 ] || fail "a full standard output is not status 5"
        form
    fi
    mkdir out
    # no file above 4 KiB: writing more ends as on a full disk, and not by the signal
    for way in "--input image=$digits/test_images.npy --output out" "--emit-ir -o out" "--emit-obj -o out"; do
        command="vitjit ... $way, on a full disk"
        (
            ulimit -f 8
            # shellcheck disable=SC2086 # $way is several words
            exec "$vitjit" "$digits/digits.onnx" $way 2>message
        ) >"$log/out"
        status=$?
        cp message "$log/err"
        [ "$status" -eq 5 ] || fail "exit status $status, not 5"
        form
        empty out
    done
    # packed weights in memory are a file to the system
    command="vitjit ... --no-cache, where files are small"
    (
        ulimit -f 8
        exec "$vitjit" "$digits/digits.onnx" --no-cache 2>message
    ) >"$log/out"
    status=$?
    cp message "$log/err"
    [ "$status" -eq 5 ] || fail "exit status $status, not 5"
    stderr_has "no place for 805672 bytes of packed weights: File too large"
    stderr_has "hint: a limit on the size of files (ulimit -f)"
    form
}

# inputs whose value decides shapes
part_fixed() {
    mkdir out
    a=$data/asked
    run 0 "$a.onnx" --input "x=$a.x.npy" --input "target=$a.target.npy" --input "axes=$a.axes.npy" --output out --quiet
    silent
    cmp -s out/y.npy "$a.y.npy" || fail "y.npy is not numpy's"
    cmp -s out/s.npy "$a.s.npy" || fail "s.npy is not numpy's"
    # another value is another program
    run 0 "$a.onnx" --input "x=$a.x.npy" --input "target=$a.target2.npy" --input "axes=$a.axes2.npy" --output out
    cmp -s out/y.npy "$a.y2.npy" || fail "y.npy is not numpy's for the second target"
    cmp -s out/s.npy "$a.s2.npy" || fail "s.npy is not numpy's for the second axes"
    bad 1 "$a.onnx"
    stderr_has "the input 'target' decides a shape"
    stderr_has "--fix target=x.npy"
    bad 1 "$a.onnx" --fix "target=$a.target.npy"
    stderr_has "node 'total'"
    stderr_has "--fix axes=x.npy"
    run 0 "$a.onnx" --inspect
    prints "--fix target=x.npy"
    run 0 "$a.onnx" --fix "target=$a.target.npy" --fix "axes=$a.axes.npy"
    prints "fixed       target"
    prints "output y  f32[2,12]"
    run 0 "$a.onnx" --fix "target=$a.target.npy" --fix "axes=$a.axes.npy" --input "x=$a.x.npy" --output out
    cmp -s out/y.npy "$a.y.npy" || fail "y.npy is not numpy's with --fix"
    bad 2 "$a.onnx" --fix "target=$a.target.npy" --fix "axes=$a.axes.npy" --input "x=$a.x.npy" --input "target=$a.target2.npy" --output out
    stderr_has "input 'target' has another value"
    bad 1 "$a.onnx" --fix "q=$a.target.npy"
    stderr_has "there is no input 'q'"
    bad 1 "$a.onnx" --fix "target=$a.x.npy"
    bad 1 "$a.onnx" --fix "axes=$a.target.npy"
    stderr_has "has another shape"
    bad 1 "$a.onnx" --fix target
    bad 3 "$data/computed.onnx" --quiet
    stderr_has "node 'best'"
    stderr_has "known only while it runs, from the data of 'x'"
    # an object stderr_has the value, and refuses another
    bad 1 "$a.onnx" --emit-obj
    run 0 "$a.onnx" --fix "target=$a.target.npy" --fix "axes=$a.axes.npy" --emit-obj
    command="the header and the object of asked.onnx"
    grep -qF 'target  i64[2], dense, the last dim fastest; must be {1, 6}' asked.h || fail "asked.h does not say the value"
    cat >main.c <<'END'
#include <stdlib.h>
#include "asked.h"
int main(void) {
    static float x[24], y[24], s[2];
    int64_t target[2] = {1, 6}, axes[1] = {1};
    const void *in[] = {x, target, axes};
    void *out[] = {y, s};
    for (int i = 0; i < 24; i++) x[i] = (float)i;
    asked_context c;
    void *scratch = aligned_alloc(ASKED_ALIGNMENT, (ASKED_SCRATCH_BYTES(1, 1) / ASKED_ALIGNMENT + 1) * ASKED_ALIGNMENT);
    if (asked_init(&c, NULL, 0) || asked_run(&c, 1, in, out, scratch)) return 1;
    if (s[0] != 66 || s[1] != 210) return 2;
    target[1] = 12;
    return asked_run(&c, 1, in, out, scratch) == VJ_RUN_BAD_VALUE ? 0 : 3;
}
END
    "${CC:-cc}" -o main main.c asked.o -lm && ./main
    status=$?
    [ "$status" -eq 0 ] || fail "a program with asked.o ends with $status"
}

# outputs of a size that the data decides: rows, places, shape and total of found.onnx, whose first dim is open
part_sizes() {
    mkdir out
    f=$data/found
    for case in "$f" "$f.none"; do
        run 0 "$f.onnx" --input "x=$case.x.npy" --output out --quiet
        silent
        for name in rows places shape; do
            cmp -s "out/$name.npy" "$case.$name.npy" || fail "$name.npy is not numpy's"
        done
        run 0 "$f.onnx" --input "x=$case.x.npy" --expect "rows=$case.rows.npy" --expect "places=$case.places.npy" -j2
    done
    run 4 "$f.onnx" --input "x=$f.x.npy" --expect "rows=$f.none.rows.npy"
    prints "f32[3,5] is not f32[0,5]"
    # another batch is another program
    run 0 "$f.onnx" --input "x=$f.six.x.npy" --output out
    cmp -s out/rows.npy "$f.six.rows.npy" || fail "rows.npy is not numpy's for six rows"
    cmp -s out/places.npy "$f.six.places.npy" || fail "places.npy is not numpy's for six rows"
    run 0 "$f.onnx" --batch 3
    prints "output rows  f32["
    prints "output shape  i64[2]"
    run 0 "$f.onnx" --bench 0.01 --input "x=$f.none.x.npy"
    run 0 "$f.onnx" --inspect
    prints "NonZero 1"
    run 0 "$f.onnx" --check
    # an object: room for the most, and the dims behind
    run 0 "$f.onnx" --emit-obj --batch 4
    command="the header and the object of found.onnx"
    grep -qF 'rows  f32[4, 5], dense, the last dim fastest; this is the most, output 4 gets its dims' found.h ||
        fail "found.h does not say the most"
    cat >main.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include "found.h"
int main(int argc, char **argv) {
    static float x[20], rows[20], total;
    static int64_t places[40], shape[2], rows_dims[2], places_dims[2];
    unsigned char head[128]; /* of the .npy: of version 1, 128 bytes */
    const void *in[] = {x};
    void *out[] = {rows, places, shape, &total, rows_dims, places_dims};
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file || fread(head, 1, 128, file) != 128 || fread(x, 4, 20, file) != 20) return 1;
    found_context c;
    const size_t bytes = (FOUND_SCRATCH_BYTES(1, 1) / FOUND_ALIGNMENT + 1) * FOUND_ALIGNMENT;
    if (FOUND_OUTPUT_COUNT != 6 || FOUND_OUTPUT_1_BYTES(1) != sizeof places || FOUND_MAX_BATCH != 1) return 2;
    if (found_model()->outputs[0].dims_output != 5 || found_model()->outputs[2].dims_output != 0) return 3;
    if (found_init(&c, NULL, 0) || found_run(&c, 1, in, out, aligned_alloc(FOUND_ALIGNMENT, bytes))) return 4;
    int n = 0, k = 0;
    for (int r = 0; r < 4; r++) {
        float sum = 0;
        for (int i = 0; i < 5; i++) sum += x[5 * r + i];
        for (int i = 0; sum > 0 && i < 5; i++)
            if (rows[5 * n + i] != x[5 * r + i]) return 5;
        n += sum > 0;
    }
    const int64_t found = places_dims[1];
    for (int i = 0; i < 20; i++) {
        if (!(x[i] > 0)) continue;
        if (k == found || places[k] != i / 5 || places[found + k] != i % 5) return 6;
        k++;
    }
    return rows_dims[0] == n && rows_dims[1] == 5 && places_dims[0] == 2 && found == k && shape[0] == n ? 0 : 7;
}
END
    "${CC:-cc}" -o main main.c found.o -lm || fail "it does not compile"
    for case in "$f" "$f.none"; do
        ./main "$case.x.npy"
        status=$?
        [ "$status" -eq 0 ] || fail "a program with found.o ends with $status"
    done
}

# What products are computed in. Products of small whole numbers are exact in every type; weights that 16 bits do not hold
# give each type its own answer.
part_precision() {
    p=$data/products r=$data/rounded
    weights_of() { sed -nE 's/.*"weights_bytes":([0-9]+).*/\1/p' "$log/out"; }
    exactly="--rtol 0 --atol 0 --stats"
    run 0 "$p.onnx" --input "x=$p.x.npy" --expect "y=$p.y.npy" $exactly
    prints '"precision":"f32","weight_format":"f32"'
    all=$(weights_of)
    for types in "bf16 f32" "bf16 bf16" "f32 bf16" "f32 f16"; do
        run 0 "$p.onnx" --input "x=$p.x.npy" --expect "y=$p.y.npy" $exactly --precision ${types% *} --weight-format ${types#* }
        prints "\"precision\":\"${types% *}\",\"weight_format\":\"${types#* }\""
        [ $((100 * $(weights_of))) -le $((51 * all)) ] || fail "$(weights_of) bytes of weights are more than 0.51 of $all"
    done
    run 0 "$p.onnx" --input "x=$p.x.npy" --expect "y=$p.y.npy" $exactly --precision bf16 --keep-f32 first
    kept=$(weights_of)
    [ $((4 * kept)) -eq $((3 * all)) ] || fail "$kept bytes of weights are not three quarters of $all"

    # one cache: no type takes another's entry, cold, warm, and with another batch
    for start in false true true; do
        for types in "f32 f32 f32" "bf16 f32 bf16" "f32 f16 f16" "f32 bf16 bf16" "f32 int8 int8" "f32 int4 int4" "bf16 int8 int8.bf16" "bf16 int4 int4.bf16"; do
            set -- $types
            run 0 "$r.onnx" --input "x=$r.x.npy" --expect "y=$r.$3.y.npy" --rtol 0 --atol 2e-4 --stats --precision $1 --weight-format $2
            prints "\"cache_hit\":$start"
            [ $start = false ] || run 0 "$r.onnx" --batch 5 --quiet --stats --precision $1 --weight-format $2
            prints "\"cache_hit\":$start"
        done
        run 0 "$r.onnx" --input "x=$r.x.npy" --expect "y=$r.f32.y.npy" --rtol 0 --atol 2e-4 --stats --precision bf16 --keep-f32 'on?y'
        prints "\"cache_hit\":$start"
    done
    run 4 "$r.onnx" --input "x=$r.x.npy" --expect "y=$r.f32.y.npy" --rtol 0 --atol 2e-4 --precision bf16

    # what is said of it
    run 0 "$digits/digits.onnx" --inspect
    prints "precision   f32; weights of products in f32"
    run 0 "$digits/digits.onnx" --inspect --precision bf16
    prints "precision   bf16; weights of products in bf16"
    prints "bf16 22 of 22"
    run 0 "$digits/digits.onnx" --inspect --weight-format f16
    prints "precision   f32; weights of products in f16"
    run 0 "$digits/digits.onnx" --inspect --weight-format int8
    prints "precision   f32; weights of products in f16 and blocks of 8 bits"
    run 0 "$digits/digits.onnx" --report --precision bf16 --weight-format int4 --keep-f32 '*/fc1/*'
    prints "int4_weights 13 of 18"
    prints "node '/patch/Conv': it is a convolution"
    prints "node '/blocks.0/fc1/Add': --keep-f32 names it"
    prints "block_weights 13 of 13"
    run 0 "$digits/digits.onnx" --inspect --precision bf16 --weight-format int4 --keep-f32 '*/fc1/*'
    prints "precision   bf16, but f32 for '*/fc1/*'; weights of products in f32 and bf16 and blocks of 4 bits"
    run 0 "$digits/digits.onnx" --inspect --precision bf16 --keep-f32 '*/fc1/*' --keep-f32 '/blocks.0/Softmax'
    prints "precision   bf16, but f32 for '*/fc1/*', '/blocks.0/Softmax'; weights of products in f32 and bf16"
    run 0 "$digits/digits.onnx" --inspect --weight-format bf16 --keep-f32 '*/fc1/*'
    prints "precision   f32; weights of products in f32 and bf16, as the model has them for '*/fc1/*'"
    run 0 "$digits/digits.onnx" --report --precision bf16 --keep-f32 '/blocks.0/fc1/Add'
    prints "bf16 21 of 22"
    prints "node '/blocks.0/fc1/Add': --keep-f32 names it"
    for precision in bf16 int8; do run 0 "$digits/digits.onnx" --check --precision $precision; done
    for precision in f32 bf16; do run 0 "$digits/digits.onnx" --check --precision $precision --weight-format int4; done
    run 0 "$digits/digits.onnx" "$digits/pictures/two.png" --quiet --topk 1 --precision bf16
    prints "%  two"

    # patterns that match nothing
    for mode in "" --inspect --report --check --emit-obj "--bench 0" "--input image=$digits/test_images.npy"; do
        bad 1 "$digits/digits.onnx" $mode --precision bf16 --keep-f32 '*' --keep-f32 'no such*'
        stderr_has "no product has a name that 'no such*' matches"
        stderr_has "hint: its products are '/patch/Conv', '/blocks.0/qkv/Add', '/blocks.0/Softmax', '/blocks.0/proj/Add', ..."
    done
    bad 1 "$digits/digits.onnx" --weight-format f16 --keep-f32 '/blocks.0/Softmax' # it has no weight
    stderr_has "hint: its products are '/patch/Conv', '/blocks.0/qkv/Add', '/blocks.0/proj/Add',"
    bad 1 "$p.onnx" --precision bf16 --keep-f32 "" # the name of a node without one is its result's
    stderr_has "hint: its products are 'first', 'y'"
    bad 1 "$data/pair.onnx" --precision bf16 --keep-f32 x
    stderr_has "hint: it has none"

    # no products that could be
    for model in integers doubles; do
        bad 3 "$data/$model.onnx" --precision bf16
        stderr_has "all products of the model are of integers or doubles"
        run 0 "$data/$model.onnx" --inspect --precision bf16
        prints "unsupported bf16: all products"
        run 0 "$data/$model.onnx" --weight-format bf16
    done
    run 0 "$data/pair.onnx" --precision bf16 --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy" --expect "sum=$data/pair.sum.npy" --rtol 0 --atol 0

    # objects and libraries
    run 0 "$r.onnx" --emit-lib --precision bf16
    grep -qF " * precision bf16; weights of products in bf16" rounded.h || fail "rounded.h does not say the precision"
    run 0 rounded.so --input "x=$r.x.npy" --expect "y=$r.bf16.y.npy" --rtol 0 --atol 2e-4 --stats
    prints '"precision":"bf16","weight_format":"f32"'
    run 0 rounded.so --inspect
    prints "precision   bf16; weights of products in bf16"
    run 0 "$r.onnx" --emit-lib --weight-format int4
    grep -qF " * precision f32; weights of products in blocks of 4 bits" rounded.h || fail "rounded.h does not say the weights' format"
    run 0 rounded.so --input "x=$r.x.npy" --expect "y=$r.int4.y.npy" --rtol 0 --atol 2e-4 --stats
    prints '"precision":"f32","weight_format":"int4"'
    run 0 "$p.onnx" --emit-obj --weight-format f16 --keep-f32 first
    grep -qF " * precision f32; weights of products in f32 and f16, as the model has them for 'first'" products.h ||
        fail "products.h does not say the precision"
    run 0 "$digits/digits.onnx" --emit-obj --precision bf16 --keep-f32 '*/fc1/*'
    grep -qF "but f32 for '_/fc1/_';" digits.h || fail "a pattern ends the header's comment"
}

# table PRECISION...: behind the line that says what was measured, a row of nine columns for each, in this order; the first one's ratio is 1
table() {
    sed -n '2,$p' "$log/out" | grep -v '^{' | awk -v wanted="precision $*" '
        NR == 1 { order = $1; good = $0 ~ /^precision +median ms +min ms +ratio +weights MB +arena MB +cosine +max diff +top-1 %$/; next }
        { order = order " " $1 }
        NF != 9 { good = 0 }
        { for (i = 2; i <= NF; i++) if ($i !~ /^(-?[0-9.]+(e[-+][0-9]+)?|-)$/) good = 0 }
        $2 < $3 || $3 < 0 || (NR == 2 && $4 != 1) || $7 > 1.0000001 || $9 > 100 { good = 0 }
        END { exit !(good && order == wanted) }' || fail "not a table of $*"
}
# column PRECISION NUMBER
column() { awk -v row="$1" -v i="$2" '$1 == row { print $i }' "$log/out"; }

part_precisions() {
    given="--input image=$digits/test_images.npy"
    run 0 "$digits/digits.onnx" $given --bench 0.02 --precision f32,bf16,int8 --stats
    table f32 bf16 int8
    prints "time of a batch of 360 on "
    prints "accuracy beside f32 on the inputs given"
    [ "$(column f32 7) $(column f32 8) $(column f32 9)" = "1.00000000 0 100.0" ] || fail "f32 is not itself"
    # that is what --expect says of each
    for precision in bf16 int8; do
        cp "$log/out" compared
        mkdir -p wide
        run 0 "$digits/digits.onnx" $given --output wide
        run 4 "$digits/digits.onnx" $given --expect logits=wide/logits.npy --precision $precision
        prints "max abs $(awk -v row=$precision '$1 == row { print $8 }' compared),"
        cp compared "$log/out"
        awk -v c="$(column $precision 7)" 'BEGIN { exit !(c < 1 && c > 0.99) }' || fail "cosine of $precision"
    done
    awk -v w="$(column f32 5)" -v n="$(column int8 5)" 'BEGIN { exit !(n < w / 2) }' || fail "int8's weights are not smaller than half of f32's"
    [ "$(grep -c '"inputs":"given","images":360,"batch":360,' "$log/out")" -eq 1 ] || fail "--stats does not say the inputs"
    for precision in f32 bf16 int8; do prints "\"precision\":\"$precision\","; done
    prints '"cosine":1,"max_abs":0,"top1_same":360,"top1_rows":360'

    # without float32 in the list its answers are asked for all the same; the order is the list's
    run 0 "$digits/digits.onnx" $given --bench=0 --precision int8,bf16 --quiet --no-cache
    table int8 bf16
    awk -v a="$(column int8 7)" -v b="$(column bf16 7)" 'BEGIN { exit !(a < b && b < 1) }' || fail "int8 is not farther from f32 than bf16"
    for precision in bf16 int8; do
        [ "$(column $precision 8)" = "$(awk -v row=$precision '$1 == row { print $8 }' compared)" ] || fail "another difference of $precision"
    done

    # noise is said to be noise, and pictures are prepared as they are to be classified
    run 0 "$digits/digits.onnx" --bench 0.02 --precision f32,int8 --batch 2
    table f32 int8
    prints "16 images of seeded noise, as neither pictures nor --input are given"
    run 0 "$digits/digits.onnx" "$digits/pictures" --bench 0.02 --precision f32,bf16 --batch 4 --stats
    table f32 bf16
    stderr_has "pre-processing: "
    prints "time of a batch of 4 on "
    prints "accuracy beside f32 on 10 pictures"
    prints '"top1_same":10,"top1_rows":10'
    cp "$log/out" compared
    run 0 "$digits/digits.onnx" "$digits/pictures" --output wide
    run 0 "$digits/digits.onnx" "$digits/pictures" --bench=0 --precision bf16,f32 --mean 0.4
    table bf16 f32
    [ "$(column bf16 8)" != "$(awk '$1 == "bf16" { print $8 }' compared)" ] || fail "--mean changes nothing"
    run 2 "$digits/digits.onnx" "$digits/pictures/one.png" gone.png "$digits/pictures/two.png" --bench=0 --precision f32,bf16
    table f32 bf16
    stderr_has "vitjit: gone.png: No such file"
    prints "on 2 pictures"
    bad 2 "$digits/digits.onnx" gone.png --quiet --bench=0 --precision f32,bf16
    # a batch baked into the graph, filled up: what fills it is not judged
    run 0 "$data/fixed2.onnx" "$source/tests/pictures/data/rgb.png" "$source/tests/pictures/data/rgb.jpg" \
        "$source/tests/pictures/data/rgb.png" --bench=0 --precision f32,bf16 --stats
    prints "time of a batch of 2 on "
    prints "on 3 pictures"
    prints '"top1_rows":3'
    bad 1 "$data/pair.onnx" "$digits/pictures/one.png" --bench --precision f32,bf16
    stderr_has "does not take pictures"

    # other options go to those that they fit
    run 0 "$digits/digits.onnx" $given --bench=0 --precision f32,bf16,int8 --weight-format f16 --keep-f32 '*/fc1/*'
    table f32+f16 bf16 int8
    awk -v c="$(column f32+f16 8)" 'BEGIN { exit !(c > 0) }' || fail "f32 with weights in f16 is compared with itself"
    run 0 "$digits/digits.onnx" $given --bench=0 --precision f32,bf16 --keep-f32 '*'
    [ "$(column bf16 8) $(column bf16 9)" = "0 100.0" ] || fail "--keep-f32 does not reach bf16"
    bad 1 "$digits/digits.onnx" --bench=0 --precision f32,bf16 --keep-f32 'no such*'
    stderr_has "no product has a name that 'no such*' matches"
    bad 3 "$data/integers.onnx" --bench=0 --precision f32,bf16
    stderr_has "all products of the model are of integers or doubles"
    bad 1 "$digits/digits.onnx" $given --bench=0 --precision f32,bf16 --batch 7
    stderr_has "--batch 7, but the inputs have a batch of 360"
    # outputs that are no floats, or have sizes that the data decides
    run 0 "$data/pair.onnx" --input "x=$data/pair.x.npy" --input "z=$data/pair.z.npy" --bench=0 --precision f32,bf16
    table f32 bf16
}

part_calibrate() {
    cp "$digits/digits.onnx" d.onnx
    images="image=$digits/test_images.npy"
    run 0 d.onnx --calibration-data "$digits/pictures"
    prints "/blocks.0/qkv/Add"
    prints "on 10 inputs the least cosine is"
    prints "written to d.calibration.json"
    [ -f d.calibration.json ] || fail "nothing was written"
    run 0 d.onnx --inspect --precision int8
    prints "precision   int8, calibrated on 10 inputs (cosine at least"
    stderr_has "calibrated by d.calibration.json"
    run 0 d.onnx --inspect --precision int8 --calibration none
    prints "precision   int8; weights"
    silent
    run 0 d.onnx --inspect --precision bf16 # it is of int8
    silent
    run 0 d.onnx --emit-obj --precision int8
    grep -qF " * precision int8, calibrated on 10 inputs (cosine at least" d.h || fail "d.h does not say the calibration"

    # what is asked for holds
    run 0 d.onnx --calibration-data "$digits/pictures" --min-cosine 1 --calibration all.json
    prints "0 of 22 products in int8, 0 in bf16, 22 in f32;"
    run 0 d.onnx --precision int8 --calibration all.json "--input=$images" --expect "logits=$digits/test_logits.npy"
    run 0 d.onnx --calibration-data "$digits/pictures" --min-cosine 0.99999 --calibration near.json
    run 0 d.onnx --precision int8 --calibration near.json --report
    prints "the calibration keeps it wider"
    run 0 d.onnx --calibration-data "$images" --min-agreement 1 --calibration same.json
    prints "the best class is the same for 100.0 %"

    prints "on 360 inputs"
    run 0 d.onnx "$digits/pictures/two.png" --quiet --topk 1 --precision int8 --calibration same.json
    prints "%  two"

    # tensors
    run 0 "$data/rounded.onnx" --calibration-data "x=$data/rounded.x.npy" --calibration r.json
    run 0 "$data/rounded.onnx" --precision int8 --calibration r.json "--input=x=$data/rounded.x.npy"

    # nothing that is damaged, missing or of another model
    mkdir none broken
    echo junk >broken/a.png
    cp "$digits/pictures/two.png" broken/b.png
    run 2 d.onnx --calibration-data none --calibration no.json
    stderr_has "no .jpg, .jpeg, .png, .webp or .bmp in this folder"
    run 2 d.onnx --calibration-data broken --calibration no.json
    stderr_has "broken/a.png"
    bad 2 d.onnx --calibration-data missing.png --calibration no.json --quiet
    bad 1 d.onnx --calibration-data "$images" --calibration-data broken --calibration no.json
    stderr_has "wants pictures or NAME=x.npy, not both"
    bad 1 d.onnx --calibration-data "other=$digits/test_images.npy" --calibration no.json
    bad 2 d.onnx --calibration-data "image=$digits/test_labels.npy" --calibration no.json
    bad 2 d.onnx --calibration-data "image=missing.npy" --calibration no.json
    bad 1 "$data/pair.onnx" --calibration-data "x=$data/pair.x.npy" --calibration no.json
    stderr_has "has nothing for the input 'z'"
    bad 3 "$data/pair.onnx" --calibration-data "x=$data/pair.x.npy" --calibration-data "z=$data/pair.z.npy" --calibration no.json
    stderr_has "no products of floats"
    [ ! -e no.json ] || fail "a calibration was written after an error"
    bad 2 d.onnx --calibration-data "$digits/pictures" --calibration no/folder.json
    stderr_has "the output folder"
    for text in '{' '{}' '[]' "$(head -c 300 d.calibration.json)"; do
        echo "$text" >damaged.json
        bad 2 d.onnx --precision int8 --calibration damaged.json
        stderr_has "the calibration is damaged"
    done
    bad 2 d.onnx --precision int8 --calibration missing.json
    bad 2 d.onnx --precision int8 --calibration none/
    mkfifo fifo
    bad 2 d.onnx --precision int8 --calibration fifo
    bad 2 "$data/rounded.onnx" --precision int8 --calibration d.calibration.json
    stderr_has "the calibration is of another model"

    # usage
    bad 1 d.onnx --calibration-data "$images" --min-cosine 1.5
    bad 1 d.onnx --calibration-data "$images" --precision bf16
    bad 1 d.onnx --calibration-data "$images" --calibration none
    bad 1 d.onnx --precision bf16 --calibration d.calibration.json
    bad 1 d.onnx --min-cosine 0.9
    [ -z "$(ls | grep tmp)" ] || fail "a temporary file is left"
}

"part_$part"
exit "$failed"
