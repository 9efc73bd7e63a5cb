#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# odd.sh - outputs that do not fit each other, are no numbers, or have no queries; and which reading of masks is chosen.
# make_odd.py made odd/.
#     sh odd.sh VITJIT SOURCE_FOLDER PART
. "$(dirname "$0")/../cli/harness.sh"
odd=$source/tests/results/odd
results=$source/tests/results/data
cp "$source/tests/pictures/data/rgb.png" .

# shows STATUS MODEL ARGUMENT...: without a picture being written
shows() {
    wanted=$1 model=$2
    shift 2
    run "$wanted" "$odd/$model.onnx" rgb.png --draw none --mean 0 --std 1 --resize 8x8 "$@"
}

part_odd() {
    for task in semantic instance panoptic; do
        shows 2 queries.shapes --task $task
        stderr_has "rgb.png: logits of 4 queries and 3 classes for 3 masks of 4x4"
        shows 2 queries.one.class --task $task
        stderr_has "logits of 4 queries and 1 classes"
    done
    for task in instance panoptic; do
        for model in queries.nan queries.masks.nan queries.none; do
            shows 0 $model --task $task
            prints "no segment scores above 0.5"
            shows 0 $model --task $task --format jsonl
            prints '"segments":[],"task":"'$task'"'
        done
    done
    # one score is no number, one label is negative, one too large
    shows 0 placed
    lines 2
    prints " 90.00 %  class 1"
    shows 0 placed.none
    prints "no object scores above 0.5"
    shows 2 placed.shapes
    stderr_has "rgb.png: 4 labels and 3 scores for 4 boxes"
    shows 3 placed.sizes
    stderr_has "its input 'orig_target_sizes' is not two numbers a picture"
    # of four points one has a score that is no number, and one is none
    shows 0 points
    lines 3
    prints "  90.00 %  point 0 "
    prints "  70.00 %  point 3 "
    shows 0 points --format jsonl --threshold 0.8
    prints '"keypoints":[{"index":0,"score":0.8999'
    shows 0 points.none
    prints "no key points"
    shows 2 points.shapes
    stderr_has "rgb.png: 4 places, 4 scores and a mask of 3"
    # the labels are the character between, a, b and the space
    printf 'PreProcess: {transform_ops: []}\nPostProcess: {name: CTCLabelDecode, character_dict: [a, b]}\n' >inference.yml
    for model in none nan shapes spaceless; do
        cp "$odd/reader.$model.onnx" $model.onnx
    done
    run 0 none.onnx rgb.png --resize 8x8
    prints "no text"
    run 0 none.onnx rgb.png --resize 8x8 --format jsonl
    prints '"text":"","score":0'
    run 0 nan.onnx rgb.png --resize 8x8
    prints "no text"
    run 2 shapes.onnx rgb.png --resize 8x8
    stderr_has "the model tells 2 characters apart, with the one between them; there are labels for 4"
    run 0 spaceless.onnx rgb.png --resize 8x8 # 0.7, 0.9 and 0.9
    prints " 83.33 %  aab"
    rm inference.yml
    run 0 none.onnx rgb.png --mean 0 --std 1 --resize 8x8
    prints_not "no text"
    shows 1 pairs
    stderr_has "it does not take pictures: its input is pairs of pictures, [N,2,C,H,W]"
}

part_tasks() {
    model=$results/mask2former/model.onnx
    run 0 "$model" rgb.png
    stderr_has "read for semantic segmentation, for nothing says which it is; --task instance or panoptic"
    run 0 "$model" rgb.png --task panoptic --draw none
    stderr_has "read for panoptic segmentation, as --task says"
    run 0 "$results/mask2former_instance/model.onnx" rgb.png
    stderr_has "read for instance segmentation, as _name_or_path of its config.json says"
    run 0 "$results/detr_masks/model.onnx" rgb.png
    stderr_has "read for panoptic segmentation, as its kind says"
    mkdir -p tiny-coco-panoptic/onnx
    cp "$model" tiny-coco-panoptic/onnx/model.onnx
    run 0 tiny-coco-panoptic rgb.png --mean 0.5 --std 0.5
    stderr_has "as the name of its folder says"
    run 0 tiny-coco-panoptic rgb.png --mean 0.5 --std 0.5 --task semantic
    stderr_has "read for semantic segmentation, as --task says"
    # the task is told to OneFormer, and read where it is given
    run 0 "$results/oneformer_panoptic/model.onnx" rgb.png --input "task_inputs=$results/oneformer_panoptic/task_inputs.npy" --format jsonl
    stderr_has "as its input 'task_inputs' says"
    cp "$log/out" given
    run 0 "$results/oneformer_panoptic/model.onnx" rgb.png --task panoptic --format jsonl
    cmp -s given "$log/out" || fail "the task that is given is another than the one that is made"
    # DETR's masks are no boxes, without config.json too
    cp "$results/detr_masks/model.onnx" masks.onnx
    run 0 masks.onnx rgb.png --mean 0.5 --std 0.5
    stderr_has "taken for a segmenter by output 'logits' and 'pred_masks'"
    # what does not fit
    run 1 "$model" rgb.png --threshold 0.5
    stderr_has "it is a segmenter by classes"
    run 1 "$results/detr/model.onnx" rgb.png --task panoptic
    stderr_has "--task is for masks of queries: it is a detector"
    bad 1 "$model" rgb.png --task parts
}

"part_$part"
exit "$failed"
