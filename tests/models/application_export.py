# SPDX-License-Identifier: Apache-2.0
"""Exports of application models by PyTorch's two exporters, with translations of two ops that they lack.

Both are added where the exporters provide for them, and change no model. TorchScript's exporter writes one dilation for two axes where max_pool2d is called
with a number of it (SuperPoint); the other one does not know _is_all_true, of transformers' own checks of shapes (OneFormer).
"""
import contextlib
import io

import onnxscript
import torch
from torch.onnx import register_custom_op_symbolic, symbolic_helper

OPSETS = {"ts": 17, "dynamo": 20}
op = onnxscript.opset20


def all_true(x):
    return op.Cast(op.ReduceMin(op.Cast(x, to=onnxscript.INT32.dtype), keepdims=0), to=onnxscript.BOOL.dtype)


@symbolic_helper.parse_args("v", "is", "is", "is", "is", "b")
def max_pool2d(g, x, kernel, stride, padding, dilation, ceil_mode):
    pair = lambda numbers: list(numbers) * (2 // len(numbers))
    pool = lambda x: g.op("MaxPool", x, kernel_shape_i=pair(kernel), strides_i=pair(stride or kernel), pads_i=pair(padding) * 2, dilations_i=pair(dilation),
                          ceil_mode_i=int(ceil_mode))
    if symbolic_helper._get_tensor_rank(x) != 3:
        return pool(x)
    first = g.op("Constant", value_t=torch.tensor([0]))  # MaxPool has a batch
    return g.op("Squeeze", pool(g.op("Unsqueeze", x, first)), first)


def write_onnx(model, values, path, exporter, names):
    labels = dict(input_names=model.inputs, output_names=names, opset_version=OPSETS[exporter])
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        if exporter == "ts":
            register_custom_op_symbolic("aten::max_pool2d", max_pool2d, 10)
            torch.onnx.export(model, values, path, dynamo=False, **labels)
        else:
            torch.onnx.export(model, values, path, dynamo=True, external_data=False, verbose=False,
                              custom_translation_table={torch.ops.aten._is_all_true.default: all_true}, **labels)
