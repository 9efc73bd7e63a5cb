#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes models that give back the picture that they see, and what they should see: tests/cli/data/see_*. usage: make_inputs.py

f16 and f32 are negated (a copy is no kernel), u8 becomes f32. The pixels are Pillow's: tests/pictures/data/rgb.png as 12 x 16.
"""
import os

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
MEAN, STD = np.array([0.25, 0.5, 0.125]), np.array([0.5, 0.25, 0.75])


def make(name, dtype, dims, node, out_dtype, seen):
    graph = helper.make_graph([node], "see", [helper.make_tensor_value_info("image", dtype, ["n", *dims])],
                              [helper.make_tensor_value_info("seen", out_dtype, ["n", *dims])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(HERE, "data", f"see_{name}.onnx"))
    np.save(os.path.join(HERE, "data", f"see_{name}.seen.npy"), np.ascontiguousarray(seen[None]))


def main():
    picture = Image.open(os.path.join(HERE, "..", "pictures", "data", "rgb.png")).convert("RGB")
    pixels = np.asarray(picture.resize((16, 12), Image.BICUBIC))
    x = ((pixels / 255 - MEAN) / STD).astype(np.float32)
    planes = x.transpose(2, 0, 1)
    negated = helper.make_node("Neg", ["image"], ["seen"])
    make("f16", T.FLOAT16, [3, 12, 16], negated, T.FLOAT16, -planes.astype(np.float16))
    make("nhwc", T.FLOAT, [12, 16, 3], negated, T.FLOAT, -x)
    make("u8", T.UINT8, [12, 16, 3], helper.make_node("Cast", ["image"], ["seen"], to=T.FLOAT), T.FLOAT, pixels.astype(np.float32))


if __name__ == "__main__":
    main()
