# SPDX-License-Identifier: Apache-2.0
"""Quantises exported models as people publish them, with ONNX Runtime's tools and NNCF, and runs them in ONNX Runtime.

KINDS: what quantise() makes. `dynamic_u8`: weights u8 by matrix, scales of activations computed as it runs; `dynamic_s8`: weights s8 by column;
`qdq_*`: static, QuantizeLinear and DequantizeLinear around every op; `operator_*`: static, QLinear ops. `transformers_js`: as dynamic_u8, with the
choices that transformers.js publishes models with (no preparation, every op that ONNX Runtime knows, tables of embeddings too, u8 where there is a
convolution); `nbits_4`: MatMulNBits, 4 bits in blocks of 32; `nncf`: post-training quantisation by NNCF for transformers (smoothed activations, QDQ).
"""
import contextlib
import os
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

S8, U8 = QuantType.QInt8, QuantType.QUInt8
STATIC = {"qdq_u8s8": (QuantFormat.QDQ, U8), "qdq_s8s8": (QuantFormat.QDQ, S8), "operator_u8s8": (QuantFormat.QOperator, U8),
          "operator_s8s8": (QuantFormat.QOperator, S8)}
NO_GEMM = ["MatMul", "Conv", "Add", "Mul", "Softmax", "Concat"]
U8_OPS = {"Conv", "GroupQueryAttention", "MultiHeadAttention"}  # where transformers.js takes weights of u8
KINDS = ("dynamic_u8", "dynamic_s8", *STATIC, "transformers_js", "nbits_4", "nncf")
MADE = {"dynamic": "MatMulInteger", "qdq": "QuantizeLinear", "operator": "QLinearMatMul", "transformers": "MatMulInteger", "nbits": "MatMulNBits",
        "nncf": "QuantizeLinear"}
LEVELS = onnxruntime.GraphOptimizationLevel


class Images(CalibrationDataReader):
    def __init__(self, name, shape, count=4):
        self.feeds = iter([{name: np.random.default_rng(i).standard_normal(shape, dtype=np.float32)} for i in range(count)])

    def get_next(self):
        return next(self.feeds, None)


def bits_4(path, to):
    quantizer = MatMulNBitsQuantizer(onnx.load(path), block_size=32, is_symmetric=True)
    quantizer.process()
    quantizer.model.save_model_to_file(to, use_external_data_format=False)


def transformers_js(path, to):
    ops = {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
    quantize_dynamic(path, to, weight_type=U8 if ops & U8_OPS else S8, extra_options=dict(EnableSubgraph=True, MatMulConstBOnly=True))


UNPREPARED = {"nbits_4": bits_4, "transformers_js": transformers_js}


def nncf_static(path, to, images):
    import nncf

    nncf.set_log_level(40)  # errors
    onnx.save(nncf.quantize(onnx.load(path), nncf.Dataset(list(images.feeds)), model_type=nncf.ModelType.TRANSFORMER), to)


def quantise(path, to, kind, shape):
    """`shape` is that of the pictures to calibrate with, which are noise"""
    make(path, to, kind, shape)
    ops, wanted = {node.op_type for node in onnx.load(to, load_external_data=False).graph.node}, MADE[kind.split("_")[0]]
    assert wanted in ops, f"{kind} makes no {wanted}"


def make(path, to, kind, shape):
    if kind in UNPREPARED:
        with contextlib.redirect_stdout(None):
            UNPREPARED[kind](path, to)
        return
    name = onnx.load(path, load_external_data=False).graph.input[0].name
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        prepared = os.path.join(folder, "prepared.onnx")
        # ONNX Runtime has no QGemm of s8 by s8: there MatMuls are left as they are, not made Gemms.
        quant_pre_process(path, prepared, skip_symbolic_shape=True, skip_optimization=kind == "operator_s8s8")
        if kind == "dynamic_u8":
            quantize_dynamic(prepared, to, weight_type=U8, op_types_to_quantize=["MatMul", "Gemm", "Conv"])
        elif kind == "dynamic_s8":
            quantize_dynamic(prepared, to, per_channel=True, weight_type=S8, op_types_to_quantize=["MatMul", "Gemm"])
        elif kind == "nncf":
            nncf_static(prepared, to, Images(name, shape))
        else:
            form, activations = STATIC[kind]
            quantize_static(prepared, to, Images(name, shape), quant_format=form, per_channel=True, activation_type=activations, weight_type=S8,
                            op_types_to_quantize=NO_GEMM if kind == "operator_s8s8" else None)


def constants_of(model):
    yield from model.graph.initializer
    yield from (a.t for node in model.graph.node if node.op_type == "Constant" for a in node.attribute if a.name == "value")


def changed(model, seed, size):
    """The model with each element of its float constants changed by up to `size` of itself."""
    random = np.random.default_rng(seed)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    # QLinearSoftmax takes the inverse of its result's scale down to a whole number, and that is near to one: 256.
    kept = {node.input[3] for node in model.graph.node if node.op_type == "QLinearSoftmax"}
    for tensor in constants_of(copy):
        if tensor.data_type != onnx.TensorProto.FLOAT or tensor.name in kept:
            continue
        x = numpy_helper.to_array(tensor)
        if x.size == 1 and x.ravel()[0] == np.round(x.ravel()[0]):
            continue  # an exponent, a one
        x = (x * (1 + size * random.uniform(-1, 1, x.shape))).astype("f4")
        tensor.CopyFrom(numpy_helper.from_array(x, tensor.name))
    return copy


def session(model, level=LEVELS.ORT_DISABLE_ALL, threads=1):
    """ONNX Runtime with exact products: by default it takes sums of u8 by s8 to 16 bits on CPUs without VNNI. `model`: a path or bytes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level, options.intra_op_num_threads = level, 4, threads
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
