#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# zoo.sh VITJIT "TARGET..." MODEL.onnx...: cross.sh with full-size exports, by hand: emulators are slow. MODEL.npz stands beside MODEL.onnx,
# with the input as in_NAME and ONNX Runtime's answers as out_NAME, of which the first is compared. One line a run; exit status
# 1 when one failed or was skipped.
set -u
here=$(dirname "$0") vitjit=$1 targets=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
for model; do
    rm -rf "$folder/npz"
    unzip -q "${model%.onnx}.npz" -d "$folder/npz" || exit 2
    # In the archive's order, which is the model's.
    wanted=$(unzip -Z1 "${model%.onnx}.npz" 'out_*' | head -n 1)
    input=$(unzip -Z1 "${model%.onnx}.npz" 'in_*' | head -n 1)
    for target in $targets; do
        begun=$(date +%s)
        native= # qemu takes minutes for AVX
        case $target in x86-64*) [ "$(uname -m)" != x86_64 ] || native=1 ;; esac
        if said=$(NATIVE=$native sh "$here/cross.sh" "$vitjit" "$target" "$model" "$folder/npz/$input" "$folder/npz/$wanted" 1 2>&1); then
            verdict=passed
        else
            verdict=FAILED
            failed=1
        fi
        echo "$target $(basename "$model" .onnx) $verdict: $(echo "$said" | tail -n 1), $(($(date +%s) - begun)) s"
    done
done
exit $failed
