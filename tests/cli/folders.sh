#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# folders.sh - folders given as models, what the files in them say of the model, and files that are no model at all.
#     sh folders.sh VITJIT SOURCE_FOLDER PART
# Expected classes are ONNX Runtime's (make_folders.py).
. "$(dirname "$0")/harness.sh"
picture=$source/tests/pictures/data/rgb.png

# hub FOLDER: a model as the Hub has it
hub() {
    mkdir -p "$1/onnx"
    cp "$data/thousand.onnx" "$1/onnx/model.onnx"
    cat >"$1/preprocessor_config.json" <<'END'
{"image_processor_type": "ViTImageProcessor", "do_resize": true, "size": {"height": 24, "width": 40}, "resample": 2,
 "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true, "image_mean": [0.5, 0.5, 0.5],
 "image_std": [0.5, 0.5, 0.5]}
END
    echo '{"architectures": ["ViTForImageClassification"], "image_size": 224, "num_channels": 3}' >"$1/config.json"
}

part_folders() {
    hub hub
    run 0 hub --inspect
    stderr_has "vitjit: hub: the model is onnx/model.onnx"
    run 0 hub/ --inspect --quiet
    silent
    run 0 hub/onnx --inspect
    stderr_has "the model is model.onnx"
    # beside the config, without a folder of its own
    mv hub/onnx/model.onnx hub/model.onnx
    run 0 hub --inspect
    stderr_has "the model is model.onnx"
    # one model of another name; several
    mv hub/model.onnx hub/onnx/vision_model.onnx
    run 0 hub --inspect
    stderr_has "the model is onnx/vision_model.onnx"
    cp "$data/pair.onnx" hub/onnx/text_model.onnx
    bad 1 hub
    stderr_has "it holds 2 models: onnx/text_model.onnx, onnx/vision_model.onnx"
    stderr_has "hint: name one: vitjit hub/onnx/"
    # model.onnx goes before them, and onnx/ before what is beside it
    cp "$data/pair.onnx" hub/model.onnx
    run 0 hub --inspect
    stderr_has "the model is model.onnx"
    cp "$data/thousand.onnx" hub/onnx/model.onnx
    run 0 hub --inspect
    stderr_has "the model is onnx/model.onnx"

    # variants by transformers.js's names
    for variant in fp32: fp16:_fp16 q8:_quantized int8:_int8 uint8:_uint8 q4:_q4 q4f16:_q4f16 bnb4:_bnb4; do
        cp "$data/pair.onnx" "hub/onnx/model${variant#*:}.onnx"
        run 0 hub --inspect --variant "${variant%%:*}"
        stderr_has "the model is onnx/model${variant#*:}.onnx"
    done
    rm hub/onnx/model_q4.onnx hub/onnx/model_fp16.onnx
    for variant in q4 fp16; do
        bad 1 hub --variant $variant
        stderr_has "it holds no model of the variant $variant; there are onnx/model.onnx (fp32)"
        stderr_has "onnx/model_quantized.onnx (q8)"
    done
    bad 1 hub --variant q5
    stderr_has "--variant wants fp32|fp16|q8"
    bad 1 "$data/pair.onnx" --variant q8
    stderr_has "--variant chooses a file of a folder"
    mkdir alone
    cp "$data/pair.onnx" alone/model_quantized.onnx
    run 0 alone --inspect
    stderr_has "the model is model_quantized.onnx"
    bad 1 alone --variant fp32

    # pictures and a model in one folder; either without the other
    cp "$digits/digits.onnx" "$digits/pictures/one.png" "$digits/pictures/two.png" .
    mkdir both photos empty
    mv digits.onnx one.png two.png both
    run 0 both
    stderr_has "it holds pictures too: vitjit both both"
    run 0 both both --topk 1 --quiet
    lines 4
    prints "%  one"
    cp "$picture" photos
    bad 1 photos
    stderr_has "it holds pictures (1) and no model"
    stderr_has "vitjit MODEL.onnx photos"
    bad 2 empty
    stderr_has "neither onnx/model.onnx nor model.onnx"
    echo x >empty/model.safetensors
    bad 2 empty
    stderr_has "weights (model.safetensors), but no ONNX model"
    stderr_has "optimum-cli export onnx --model empty empty/onnx"
    mkdir -p saved/variables
    echo x >saved/saved_model.pb
    bad 2 saved
    stderr_has "TensorFlow SavedModel"
    stderr_has "tf2onnx.convert --saved-model saved"
}

# npy FILE BYTES: f32[1,3]
npy() { { printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }"; printf "$2"; } >"$1"; }

# The Hub's cache has links for files: a snapshot's lead into the folder `blobs` of their model.
part_hubcache() {
    repo=hub/models--vitjit--small
    mkdir -p $repo/blobs $repo/refs $repo/snapshots/1f00/onnx $repo/snapshots/2e00
    weights='\000\000\300\077\000\000\000\300\000\000\120\100' # 1.5, -2, 3.25
    npy zeros.npy '\000\000\000\000\000\000\000\000\000\000\000\000'
    npy sum.npy "$weights"
    cp "$data/external_missing.onnx" $repo/blobs/1234
    printf "$weights" >$repo/blobs/5678
    echo '{"image_size": 24}' >$repo/blobs/9abc
    ln -s ../../../blobs/1234 $repo/snapshots/1f00/onnx/model.onnx
    ln -s ../../../blobs/5678 $repo/snapshots/1f00/onnx/gone.bin
    ln -s ../../blobs/9abc $repo/snapshots/1f00/config.json
    printf 1f00 >$repo/refs/main
    sum="--input x=zeros.npy --expect y=sum.npy --cache own"
    for model in $repo/snapshots/1f00 $repo/snapshots/1f00/onnx/model.onnx $repo $repo/; do run 0 $model $sum; done
    stderr_has "vitjit: $repo/snapshots/1f00: the model is onnx/model.onnx"
    ln -s "$work/$repo" elsewhere # the folder itself is the user's matter
    run 0 elsewhere $sum
    (cd $repo/snapshots/1f00/onnx && "$vitjit" model.onnx --input x="$work/zeros.npy" --expect y="$work/sum.npy" --cache "$work/own" >"$log/out" 2>"$log/err") ||
        fail "not from within the folder"
    # a row of the cache has the name of the snapshot, not that of the blob
    run 0 cache ls --cache own
    lines 3
    prints "$work/$repo/snapshots/1f00/onnx/model.onnx"
    run 0 cache rm $repo/blobs/1234 --cache own
    run 0 $repo $sum
    run 0 cache rm $repo --cache own
    prints "removed 1 entry"
    # what a link leads to elsewhere is not read
    printf "$weights" >secret
    ln -sf ../../../../../secret $repo/snapshots/1f00/onnx/gone.bin
    bad 2 $repo $sum --quiet
    stderr_has "external data 'gone.bin' is behind a symbolic link that leads out of the model's folder"
    ln -sf ../../../blobs/5678 $repo/snapshots/1f00/onnx/gone.bin
    # refs/main says which snapshot; without it the only one is taken
    printf 2e00 >$repo/refs/main
    bad 2 $repo --quiet
    stderr_has "$repo/snapshots/2e00: is a folder without a model"
    printf 3d00 >$repo/refs/main
    bad 2 $repo
    stderr_has "refs/main names the snapshot 3d00, which is not there"
    for name in ../../.. . "$(printf '\001')" ''; do
        printf %s "$name" >$repo/refs/main
        bad 2 $repo
        stderr_has "$repo/refs/main: it names no snapshot"
    done
    rm $repo/refs/main
    mkfifo $repo/refs/main
    bad 2 $repo
    rm $repo/refs/main
    bad 1 $repo
    stderr_has "it holds 2 snapshots and no refs/main: 1f00, 2e00"
    stderr_has "hint: name one: vitjit $repo/snapshots/1f00"
    rm -r $repo/snapshots/2e00
    run 0 $repo $sum
    rm -r $repo/snapshots/1f00
    bad 2 $repo
    stderr_has "without a snapshot"
}

# compiled SHAPE: the introduction says that the input was compiled so
compiled() { grep -qF "compiled    pixel_values  f32[N,$1]" "$log/out" || fail "the input is not compiled as $1"; }

part_opensizes() {
    # asked for with an example of this model's
    bad 1 "$data/thousand.onnx" "$picture"
    stderr_has "input 'pixel_values' leaves dim 1 ('num_channels') open"
    stderr_has "--shape pixel_values=1x3x224x224"
    bad 1 "$data/open.onnx"
    stderr_has "--shape x=1x3x224x224"
    # the preprocessor goes before the config, wherever they lie
    hub hub
    run 0 hub
    compiled 3,24,40
    run 0 hub
    compiled 3,24,40
    prints "from the cache"
    (cd hub/onnx && "$vitjit" model.onnx >"$log/out" 2>"$log/err")
    compiled 3,24,40
    run 0 hub --inspect
    compiled 3,24,40
    run 0 hub --emit-obj
    grep -qF "[n, 3, 24, 40]" model.h || fail "model.h has not this size"
    # what is given goes before all
    run 0 hub --shape pixel_values=1x3x8x16
    compiled 3,8,16
    rm hub/preprocessor_config.json
    run 0 hub
    compiled 3,224,224
    echo '{"vision_config": {"image_size": 56, "num_channels": 3}}' >hub/config.json
    run 0 hub
    compiled 3,56,56
    echo '{"architecture": "vit_tiny", "num_classes": 1000, "pretrained_cfg": {"input_size": [3, 48, 32]}}' >hub/config.json
    run 0 hub
    compiled 3,48,32
    for size in '"crop_size": 40, "size": {"shortest_edge": 64}' '"size": 40, "do_center_crop": false, "crop_size": 30' \
        '"size": {"shortest_edge": 40}, "crop_pct": 0.875' '"size": {"longest_edge": 99}, "do_pad": true, "pad_size": {"height": 40, "width": 40}'; do
        echo "{\"image_mean\": [0, 0, 0], $size}" >hub/preprocessor_config.json
        run 0 hub --inspect
        compiled 3,40,40
    done
    # what the recipe of a class ends in, though the file leaves sizes out; transformers' processors make these sizes
    while read -r size keys; do
        echo "{\"image_processor_type\": $keys}" >hub/preprocessor_config.json
        run 0 hub --inspect
        compiled "3,$size"
    done <<'END'
224,224 "ViTImageProcessor"
384,384 "ConvNextImageProcessor"
224,224 "CLIPImageProcessor", "size": {"shortest_edge": 256}
40,40 "BeitImageProcessor", "crop_size": 64, "size": 40
42,42 "DPTImageProcessor", "size": 40, "ensure_multiple_of": 14
1024,768 "Sapiens2ImageProcessor"
END
    echo '{"image_processor_type": "ViTImageProcessor"}' >hub/preprocessor_config.json
    run 0 hub
    stderr_has "hub/onnx/model.onnx: 'pixel_values' leaves sizes open: pictures of 224 x 224, from preprocessor_config.json, ViT's habits"
    run 0 hub --quiet
    silent
    run 0 hub --shape pixel_values=1x3x224x224
    ! grep -q "leaves sizes open" "$log/err" || fail "a size is told that was given"
    # one that the weights cannot take
    mkdir positions
    cp "$source/tests/fixtures/dims/positions.onnx" positions/model.onnx
    echo '{"image_size": 48, "num_channels": 3}' >positions/config.json
    bad 2 positions --quiet
    stderr_has "the initializer 'position_embeddings', f32[1,16,8], fixes the size"
    stderr_has "hint: the files beside the model say 48 x 48; give the size that it was made for"
    # no size, or none that can be: asked for
    rm hub/config.json
    for size in '"size": {"shortest_edge": 40}' '"size": 0' '"size": -3' '"size": 1e9' '"size": "large"' '"size": {"height": 4}' '"size": []'; do
        echo "{\"image_mean\": [0, 0, 0], $size}" >hub/preprocessor_config.json
        bad 1 hub --quiet
        stderr_has "--shape pixel_values=1x3x224x224"
    done
    for text in '' '{' '[1]' 'null' '"size"'; do
        echo "$text" >hub/preprocessor_config.json
        bad 1 hub --quiet
    done
    # inputs that are given have their own size
    echo '{"image_size": 24, "num_channels": 3}' >open.json
    mkdir other
    cp "$data/open.onnx" other/model.onnx
    cp open.json other/config.json
    run 0 other --input "x=$data/open.x.npy" --expect "y=$data/open.y.npy"
}

part_classes() {
    hub hub
    run 0 hub "$picture"
    lines 6
    stderr_has "they are taken for ImageNet-1k's, a guess"
    sed 1d "$log/out" >five
    for class in $(cat "$data/thousand.txt"); do sed -n "$((class + 1))p" "$source/pictures/imagenet.txt"; done >wanted
    sed 's/^ *[0-9.]* %  //' five | cmp -s - wanted || fail "not ONNX Runtime's five classes, by ImageNet's names"
    run 0 hub "$picture" --format jsonl --topk 1 --quiet
    silent
    prints "\"index\":$(head -n 1 "$data/thousand.txt"),\"label\":\"$(head -n 1 wanted)\""
    # logits of other types
    for type in f16 f64; do
        cp "$data/thousand_$type.onnx" hub/onnx/model.onnx
        run 0 hub "$picture"
        sed 1d "$log/out" | sed 's/^ *[0-9.]* %  //' | cmp -s - wanted || fail "not ONNX Runtime's five classes from logits in $type"
        run 0 hub "$picture" --bench 0
        prints "from file to class"
    done
    cp "$data/thousand.onnx" hub/onnx/model.onnx
    # names that are there are no guess
    seq 1000 | sed 's/^/name /' >names.txt
    run 0 hub "$picture" --labels names.txt
    prints "name $(($(head -n 1 "$data/thousand.txt") + 1))"
    ! grep -q ImageNet "$log/err" || fail "a guess in spite of names"
    # a head that is none of classes
    echo '{"architectures": ["CLIPVisionModelWithProjection"], "image_size": 24, "num_channels": 3}' >hub/config.json
    run 0 hub "$picture"
    prints "f32[1,1000]"
    # without names and with another number of classes: numbers
    cp "$digits/digits.onnx" digits.onnx
    run 0 "$fixtures/vit.ts17.onnx" "$picture"
    lines 6
    prints "%  class "
}

part_foreign() {
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 346293884\n' >pointer.onnx
    bad 2 pointer.onnx
    stderr_has "it is a Git LFS pointer: the file itself (346.3 MB) is not here"
    stderr_has "git lfs pull"
    mkdir folder
    cp pointer.onnx folder/model.onnx
    bad 2 folder --quiet
    stderr_has "vitjit: folder/model.onnx: it is a Git LFS pointer"
    printf 'PK\003\004\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\020\000\022\000archive/data.pkl' >model.pt
    printf '\200\002\212\012\154\374\234\106\371\040\152\250\120\031.' >old.pth
    for file in model.pt old.pth; do
        bad 2 $file
        stderr_has "it is a PyTorch file"
        stderr_has "torch.onnx.export"
    done
    printf '\020\000\000\000\000\000\000\000{"a":{"b":[0]}}  ' >model.safetensors
    bad 2 model.safetensors
    stderr_has "a safetensors file, weights without a graph"
    echo '{"architectures": ["ViTForImageClassification"]}' >config.json
    bad 2 config.json
    stderr_has "it is a JSON file, as lies beside a model"
    printf 'GGUF\003\000\000\000' >model.gguf
    bad 2 model.gguf
    stderr_has "GGUF"
    printf '\034\000\000\000TFL3\000\000' >model.tflite
    bad 2 model.tflite
    stderr_has "TensorFlow Lite"
    printf '\012\020\012\001x\022\013Placeholder' >frozen.pb
    bad 2 frozen.pb
    stderr_has "a TensorFlow graph"
    printf '\010\001\022\000' >saved_model.pb
    bad 2 saved_model.pb
    stderr_has "SavedModel"
    printf '\211HDF\r\n\032\n' >model.h5
    bad 2 model.h5
    stderr_has "HDF5"
    printf '<!DOCTYPE html>\n<html>' >page.onnx
    bad 2 page.onnx
    stderr_has "a web page"
    bad 2 "$data/pair.x.npy"
    stderr_has "--input NAME=x.npy"
    # pictures, and words in the wrong order
    bad 1 "$picture"
    stderr_has "it is a picture, and no model is given"
    for model in "$digits/digits.onnx" folder; do
        bad 1 "$picture" "$model"
        stderr_has "it is a picture: the model goes first"
        stderr_has "hint: vitjit $model $picture"
    done
    # models are none of these, and what is nothing is said as before
    for model in pair thousand open found; do run 0 "$data/$model.onnx" --inspect; done
    for bytes in 1 2 3 8 9 12; do
        head -c $bytes model.pt >short
        bad 2 short
    done
}

"part_$part"
exit "$failed"
