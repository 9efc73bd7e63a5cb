#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench.sh - what --bench says: of one caller, of several, of pictures; and that every file that is written is named.
#     sh bench.sh VITJIT SOURCE_FOLDER PART
# The figures are judged by what the runs' own times say, which awk computes.
. "$(dirname "$0")/harness.sh"
model=$digits/digits.onnx

# figure NAME: a number of the JSON object in `object`
figure() { sed -n "s/.*\"$1\":\([-0-9.e+]*\)[,}].*/\1/p" object; }

# judge_times: the runs' times are as many as `runs`, and give the percentiles, the mean and the deviation that the object has
judge_times() {
    sed 's/.*"times_ms":\[\([^]]*\)\].*/\1/' object | tr , '\n' | sort -g >times
    [ "$(wc -l <times)" -eq "$(figure runs)" ] || fail "$(wc -l <times) times of $(figure runs) runs"
    awk -v wanted="$(figure min_ms) $(figure median_ms) $(figure p90_ms) $(figure p99_ms) $(figure max_ms) $(figure mean_ms) $(figure deviation_ms)" '
        function near(a, b) { return (a - b < 0 ? b - a : a - b) <= 1e-9 * (a > b ? a : b) + 1e-12 }
        function rank(q) { return ms[int((NR * q + 99) / 100)] }
        { ms[NR] = $1; sum += $1 }
        END {
            split(wanted, w, " ")
            mean = sum / NR
            for (i = 1; i <= NR; i++) squares += (ms[i] - mean) ^ 2
            half = NR % 2 ? ms[(NR + 1) / 2] : (ms[NR / 2] + ms[NR / 2 + 1]) / 2
            bad = !near(w[1], ms[1]) + !near(w[2], half) + !near(w[3], rank(90)) + !near(w[4], rank(99)) + !near(w[5], ms[NR])
            bad += !near(w[6], mean) + !near(w[7], NR > 1 ? sqrt(squares / (NR - 1)) : 0)
            exit bad
        }' times || fail "the figures are not those of the times"
}

part_percentiles() {
    run 0 "$model" --bench 0.05 --batch 3 -j 2 --stats=object
    stderr_has "vitjit: wrote object ("
    for line in "model       digits.onnx, products in f32" "machine     " "code for " "run         a batch of 3 on 2 threads; " " runs of warm-up (" \
        "time        p50 " "throughput  " " images/s, "; do prints "$line"; done
    prints_not '"median_ms"'
    [ "$(wc -l <object)" -eq 1 ] || fail "not one line in the object"
    judge_times
    [ "$(figure batch)" = 3 ] && [ "$(figure threads)" = 2 ] || fail "not a batch of 3 on 2 threads"
    grep -q '"cpu":"[a-z]' object || fail "no CPU"
    # the rows of kernels and waiting are of one run: they add up to it
    awk '/below is the median of/ { wall = $(NF - 1) } $1 == "all" { all = $3 } $1 == "waiting" { waiting = $2 }
         END { d = all + waiting - wall; exit !(wall > 0 && (d < 0 ? -d : d) <= 0.0016) }' "$log/out" || fail "the rows do not add up to the run"
    # the rule of noise: the line is there when and only when the figures say so
    noisy=$(grep -c '^noise' "$log/out")
    awk -v n="$noisy" -v m="$(figure median_ms)" -v p="$(figure p90_ms)" -v a="$(figure mean_ms)" -v d="$(figure drift)" -v r="$(figure runs)" \
        'BEGIN { d = d < 0 ? -d : d; exit !((r >= 10 && (p > 1.1 * m || a > 1.1 * m || d > 0.05)) == n) }' || fail "noise is not said by the rule"

    run 0 "$model" --bench --iterations 7 --quiet --stats=object
    silent
    lines 2
    [ "$(figure runs)" = 7 ] || fail "not 7 runs"
    judge_times
    run 0 "$model" --bench=0 --quiet --stats
    cp "$log/out" object
    prints_not times_ms
    [ "$(figure runs)" = 3 ] || fail "not the least of runs"
    bad 2 "$model" --bench=0 --quiet --no-cache --stats=missing/object
    bad 1 "$model" --bench --iterations 0
    bad 1 "$model" --bench --stats=
    # elsewhere a file too, without times
    run 0 "$model" --stats=object
    stderr_has "wrote object"
    grep -q '"cache_hit":' object || fail "no facts in the object"
    ! grep -q times_ms object || fail "times without --bench"
}

part_streams() {
    run 0 "$model" --bench 0.05 --streams 3 --stats=object
    prints "run         a batch of 1 on 1 thread, 3 streams at once"
    prints "of all streams"
    prints_not "of peak"
    judge_times
    run 0 "$model" --bench --streams 3 --iterations 5 --quiet --stats=object --batch 2
    [ "$(figure runs)" = 15 ] && [ "$(figure streams)" = 3 ] || fail "not 3 streams of 5 runs"
    judge_times
    run 0 "$model" --bench --streams 2 --iterations 4 --quiet --stats=object -j 2 --input "image=$digits/test_images.npy"
    [ "$(figure threads)" = 2 ] && [ "$(figure batch)" = 360 ] || fail "not 360 images on 2 threads"
    run 0 "$model" --bench --streams 1 --iterations 4 --quiet
    bad 1 "$model" --bench --streams 0
    bad 1 "$model" --streams 2
    bad 1 "$model" --bench --streams 2 --profile p.json
    bad 1 "$model" --bench --streams 2 --precision f32,bf16
    stderr_has "--streams means nothing with a list of precisions"
    # of pictures, each stream from files to classes
    run 0 "$model" "$digits/pictures" --bench --streams 3 --iterations 20 --stats=object --batch 2
    prints "a batch of 2 on 1 thread, 3 streams at once, 10 pictures in turn, from file to class; "
    prints "of all streams"
    [ "$(grep -c pre-processing "$log/err")" -eq 1 ] || fail "the pre-processing is said more than once"
    [ "$(figure runs)" = 60 ] && [ "$(figure streams)" = 3 ] && [ "$(figure pictures)" = 10 ] || fail "not 3 streams of 20 runs over 10 pictures"
    judge_times
    awk -v d="$(figure decode_ms)" -v r="$(figure run_ms)" -v m="$(figure max_ms)" 'BEGIN { exit !(d > 0 && r > 0 && d < m && r < m) }' || fail "the parts are not parts"
}

part_benchpictures() {
    run 0 "$model" "$digits/pictures" --bench 0.05 --batch 2 --stats=object
    stderr_has "pre-processing: "
    prints "10 pictures in turn, from file to class"
    prints "parts       p50 of reading and preparing "
    judge_times
    awk -v d="$(figure decode_ms)" -v r="$(figure run_ms)" -v l="$(figure label_ms)" -v m="$(figure max_ms)" \
        'BEGIN { exit !(d > 0 && r > 0 && l > 0 && d < m && r < m) }' || fail "the parts are not parts"
    # what cannot be read is said once and left out
    echo text >bad.png
    run 2 "$model" bad.png "$digits/pictures/one.png" gone.png --bench --iterations 20 --stats=object --quiet
    [ "$(wc -l <"$log/err")" -eq 2 ] || fail "not two errors"
    [ "$(figure pictures)" = 1 ] && [ "$(figure runs)" = 20 ] || fail "not 20 runs of a picture"
    bad 2 "$model" bad.png --bench --quiet
    # an output that is none of classes ends with the run
    run 0 "$source/tests/cli/data/means.onnx" "$source/tests/pictures/data/rgb.png" --bench --iterations 2
    bad 1 "$source/tests/cli/data/pair.onnx" "$digits/pictures/one.png" --bench
    stderr_has "does not take pictures"
    bad 1 "$model" "$digits/pictures" --bench --input "image=$digits/test_images.npy"
    stderr_has "does not take pictures"
    bad 1 "$model" "$digits/pictures" --bench --profile p.json
    # warnings about a picture come once, however often it is read
    run 0 "$data/means.onnx" "$source/tests/pictures/data/rgba.png" --bench --iterations 9
    [ "$(grep -c 'transparent pixels' "$log/err")" -eq 1 ] || fail "a warning that is repeated"
    # texts beside the pictures, as many as they are; for each picture of a batch the same
    clip=$source/tests/results/data/clip_texts
    ids="--input input_ids=$clip/input_ids.npy"
    run 0 "$clip/model.onnx" "$digits/pictures" --bench --iterations 4 --stats=object --streams 2 $ids
    [ "$(figure runs)" = 8 ] || fail "not 8 runs"
    bad 1 "$clip/model.onnx" "$digits/pictures" --bench --precision f32,bf16 $ids
    stderr_has "pictures and --input: one of them with a list of precisions"
}

# With a range of sizes each picture is run in its own, by a model that is compiled before anything is measured.
part_benchsizes() {
    dims=$source/tests/fixtures/dims
    words="$dims/line.onnx $dims/37.png $dims/48.png $dims/37.png $dims/32.png --mean 0.5 --std 0.5 --stats=object"
    run 0 $words --bench --iterations 8 --shape x=Nx3x16x32..64
    prints "a batch of 1 on "
    prints ", 4 pictures in turn, from file to class, of 3 sizes; "
    prints "of all sizes"
    [ "$(figure runs)" = 8 ] && [ "$(figure sizes)" = 3 ] || fail "not 8 runs of 3 sizes"
    judge_times
    # a batch is of pictures of one size that follow each other: 48, 48 and 48, then 32; eight of these have 16 pictures, and their times
    # add up to all the time
    run 0 $words --bench --iterations 8 --shape x=Nx3x16x32..64:16 --round-up --batch 3 -j 1
    prints "a batch of up to 3 on 1 thread, 4 pictures in turn, from file to class, of 2 sizes; "
    [ "$(grep -c 'zeros behind it' "$log/err")" -eq 2 ] || fail "zeros are not told once of each picture"
    judge_times
    awk -v i="$(figure images_per_s)" '{ s += $1 } END { n = i * s / 1000; exit !(n > 15.99 && n < 16.01) }' times || fail "not 16 pictures in all runs"
    run 0 $words --bench --iterations 8 --shape x=Nx3x16x32..64:16 --round-up --batch 3 --streams 2 --fast-decode
    prints "2 streams at once, 4 pictures in turn, from file to class, of 2 sizes; "
    [ "$(figure runs)" = 16 ] || fail "not 2 streams of 8 runs"
    # what has none of the sizes is left out, once
    run 2 $words --bench --iterations 8 --shape x=Nx3x16x32..64:16
    [ "$(grep -c 'it becomes 16 x 37' "$log/err")" -eq 2 ] || fail "not the two of another size"
    [ "$(figure pictures)" = 2 ] || fail "not two pictures"
    bad 2 "$dims/line.onnx" "$dims/37.png" --bench --shape x=Nx3x16x32..64:16 --mean 0.5 --std 0.5 --quiet
    bad 1 $words --bench --shape x=Nx3x16x32..64 --resize 16
    bad 1 $words --bench --shape x=Nx3x16x32..64 --precision f32,bf16
    stderr_has "with a list of precisions pictures have one"
    bad 1 "$dims/line.onnx" --bench --shape x=Nx3x16x32..64
}

part_wrote() {
    mkdir out
    run 0 "$model" --input "image=$digits/test_images.npy" --output out
    stderr_has "vitjit: wrote out/logits.npy (15 kB)"
    run 0 "$model" "$digits/pictures" --output out --quiet
    silent
    run 0 "$model" --emit-obj -o out --weights file
    for file in digits.o digits.h digits.weights; do stderr_has "vitjit: wrote out/$file ("; done
    [ "$(grep -c wrote "$log/err")" -eq 3 ] || fail "not three lines"
    run 0 "$model" --emit-lib -o out
    [ "$(grep -c wrote "$log/err")" -eq 2 ] || fail "not two lines"
    stderr_has "vitjit: wrote out/digits.so ("
    run 0 "$model" --emit-asm
    stderr_has "vitjit: wrote digits.s ("
    run 0 "$model" --profile trace.json
    stderr_has "vitjit: wrote trace.json ("
    cp "$data/rounded.onnx" r.onnx
    run 0 r.onnx --calibration-data "x=$data/rounded.x.npy"
    stderr_has "vitjit: wrote r.calibration.json ("
    # nothing of it when nothing was written
    bad 2 "$model" --emit-obj -o missing/x.o
}

"part_$part"
exit "$failed"
