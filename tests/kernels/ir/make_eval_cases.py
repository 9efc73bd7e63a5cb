# SPDX-License-Identifier: Apache-2.0
"""Writes eval.cases: small functions of every op with the answers that PyTorch gives in double precision (integers in their
own type). Where ONNX has the same op, ONNX Runtime must agree in its own precision, or this script stops.

    python make_eval_cases.py > eval.cases
"""
import sys

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper

DTYPES = {torch.float64: "f64", torch.float32: "f32", torch.int64: "i64", torch.int32: "i32", torch.int8: "i8",
          torch.uint8: "u8", torch.int16: "i16", torch.bool: "bool"}
ONNX_DTYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64,
               np.dtype(np.int32): TensorProto.INT32, np.dtype(np.int8): TensorProto.INT8,
               np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.int16): TensorProto.INT16,
               np.dtype(np.bool_): TensorProto.BOOL}
random = torch.Generator().manual_seed(4)


def rnd(*dims):
    return torch.randn(*dims, dtype=torch.float64, generator=random)


def type_of(t):
    return f"{DTYPES[t.dtype]}[{','.join(str(d) for d in t.shape)}]"


def number(x):
    if isinstance(x, float):
        return "nan" if x != x else "inf" if x == float("inf") else "-inf" if x == -float("inf") else repr(x)
    return str(int(x))


def values(t):
    return " ".join(number(x) for x in t.flatten().tolist())


def by_onnx_runtime(op, inputs, attributes, opset):
    arrays = [(t.float() if t.dtype == torch.float64 else t).contiguous().numpy() for t in inputs]
    names = [f"x{i}" for i in range(len(arrays))]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes)], "g",
        [helper.make_tensor_value_info(n, ONNX_DTYPES[a.dtype], a.shape) for n, a in zip(names, arrays)],
        [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(names, arrays)))[0]


def case(name, op, inputs, expected, onnx_op=None, onnx_inputs=None, onnx_attributes=None, opset=20):
    head, _, attributes = op.partition(" ")
    args = ", ".join("_" if t is None else f"%x{i}" for i, t in enumerate(inputs))
    given = [(i, t) for i, t in enumerate(inputs) if t is not None]
    if onnx_op:
        other = by_onnx_runtime(onnx_op, onnx_inputs if onnx_inputs is not None else [t for _, t in given],
                                onnx_attributes or {}, opset)
        if not np.allclose(other, expected.numpy(), rtol=2e-5, atol=2e-6, equal_nan=True) or other.shape != tuple(expected.shape):
            sys.exit(f"{name}: ONNX Runtime says {other}, PyTorch {expected}")
    print(f"case {name}")
    print(f"func @case({', '.join(f'%x{i}: {type_of(t)}' for i, t in given)}) -> {type_of(expected)} {{")
    print(f"  %y = {head} {args}{' ' + attributes if attributes else ''} : {type_of(expected)}")
    print("  return %y")
    print("}")
    for _, t in given:
        print(f"in {values(t)}")
    print(f"out {values(expected)}")
    print()


def ints(dtype, *xs):
    return torch.tensor(xs, dtype=dtype)


def elementwise():
    nan, inf = float("nan"), float("inf")
    x = torch.tensor([[-inf, -3.5, -2.5, -1.5, -0.5, -0.0], [0.0, 0.5, 1.5, 2.5, inf, nan]], dtype=torch.float64)
    one = [("neg", torch.neg, "Neg"), ("abs", torch.abs, "Abs"), ("exp", torch.exp, "Exp"), ("log", torch.log, "Log"),
           ("sqrt", torch.sqrt, "Sqrt"), ("reciprocal", torch.reciprocal, "Reciprocal"), ("erf", torch.erf, "Erf"),
           ("tanh", torch.tanh, "Tanh"), ("sigmoid", torch.sigmoid, "Sigmoid"), ("relu", torch.relu, None),
           ("sin", torch.sin, "Sin"), ("cos", torch.cos, "Cos"), ("floor", torch.floor, "Floor"),
           ("ceil", torch.ceil, "Ceil"), ("round", torch.round, "Round")]
    for op, f, onnx_op in one:
        case(f"{op}_specials", op, [x], f(x), onnx_op)
    # ONNX leaves sign(NaN) open; numpy's answer is NaN
    case("sign_specials", "sign", [x], torch.from_numpy(np.sign(x.numpy())))
    finite = torch.cat([rnd(9) * 3, torch.tensor([-30.0, -8.0, 0.0, 8.0, inf, nan], dtype=torch.float64)])
    case("gelu_erf", "gelu form=erf", [finite], F.gelu(finite), "Gelu")
    case("gelu_tanh", "gelu form=tanh", [finite], F.gelu(finite, approximate="tanh"), "Gelu",
         onnx_attributes={"approximate": "tanh"})
    case("gelu_quick", "gelu form=quick", [finite], finite * torch.sigmoid(1.702 * finite))
    b = torch.tensor([[True], [False]])
    case("not", "not", [b], ~b, "Not")
    i8 = ints(torch.int8, -128, -7, -1, 0, 1, 7, 127)
    case("neg_wraps", "neg", [i8], -i8, "Neg")
    case("abs_wraps", "abs", [i8], torch.abs(i8))
    case("sign_int", "sign", [i8], torch.sign(i8), "Sign")
    case("relu_int", "relu", [i8], torch.relu(i8), "Relu")

    y = torch.tensor([[2.0], [-0.5]], dtype=torch.float64)
    z = torch.tensor([-inf, -1.5, -0.0, 0.0, 2.25, inf, nan], dtype=torch.float64)
    for op, f, onnx_op in [("add", torch.add, "Add"), ("sub", torch.sub, "Sub"), ("mul", torch.mul, "Mul"),
                           ("div", torch.div, "Div"), ("min", torch.minimum, "Min"), ("max", torch.maximum, "Max")]:
        case(f"{op}_broadcast", op, [y, z], f(y, z), onnx_op)
        case(f"{op}_nan_left", op, [z, y], f(z, y), onnx_op)
    case("pow_specials", "pow", [z, y], torch.pow(z, y), "Pow")
    case("mod_float", "mod", [z, y], torch.fmod(z, y), "Mod", onnx_attributes={"fmod": 1})
    a, d = ints(torch.int32, 7, -7, 7, -7, 0, 2**31 - 1, -(2**31)), ints(torch.int32, 3, 3, -3, -3, 5, 2, 3)
    case("div_truncates", "div", [a, d], torch.div(a, d, rounding_mode="trunc").to(torch.int32), "Div")
    case("mod_sign_of_divisor", "mod", [a, d], torch.remainder(a, d), "Mod")
    case("add_wraps", "add", [a, a], a + a, "Add")
    case("mul_wraps", "mul", [a, a], a * a, "Mul")
    u8 = ints(torch.uint8, 0, 1, 128, 255)
    case("sub_wraps_unsigned", "sub", [u8, ints(torch.uint8, 1)], u8 - 1)
    case("pow_int", "pow", [ints(torch.int64, -2, 3, 0, 1), ints(torch.int64, 5, 4, 0, 7)],
         ints(torch.int64, -32, 81, 1, 1), "Pow")
    case("scalars", "add", [torch.tensor(2.0, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)],
         torch.tensor(2.5, dtype=torch.float64), "Add")
    case("empty", "add", [rnd(0, 3), rnd(3)], torch.zeros(0, 3, dtype=torch.float64), "Add")
    for op, f, onnx_op in [("eq", torch.eq, "Equal"), ("lt", torch.lt, "Less"), ("le", torch.le, "LessOrEqual")]:
        case(f"{op}_float", op, [z, torch.cat([z[1:], z[:1]])], f(z, torch.cat([z[1:], z[:1]])), onnx_op)
        case(f"{op}_self", op, [z, z], f(z, z), onnx_op)
        case(f"{op}_int", op, [a, d], f(a, d), onnx_op)
    p, q = torch.tensor([[True], [False]]), torch.tensor([True, False])
    for op, f, onnx_op in [("and", torch.logical_and, "And"), ("or", torch.logical_or, "Or"),
                           ("xor", torch.logical_xor, "Xor")]:
        case(op, op, [p, q], f(p, q), onnx_op)
    t, e = rnd(3), rnd(2, 1)
    case("select_broadcast", "select", [p, t, e], torch.where(p, t, e), "Where")

    f = torch.tensor([-2.9, -0.5, 0.0, 0.5, 2.9, 100.7], dtype=torch.float64)
    case("cast_truncates", "cast to=i32", [f], f.to(torch.int32), "Cast", onnx_attributes={"to": TensorProto.INT32})
    case("cast_to_bool", "cast to=bool", [f], f.to(torch.bool), "Cast", onnx_attributes={"to": TensorProto.BOOL})
    wide = torch.tensor([-1e30, -1e10, 1e10, 1e30, inf, -inf, nan], dtype=torch.float64)
    # Out of range, ONNX leaves the result open; vitjit saturates and turns NaN into 0.
    case("cast_saturates", "cast to=i32", [wide], ints(torch.int32, -(2**31), -(2**31), 2**31 - 1, 2**31 - 1, 2**31 - 1,
                                                       -(2**31), 0))
    case("cast_saturates_u8", "cast to=u8", [wide], ints(torch.uint8, 0, 0, 255, 255, 255, 0, 0))
    case("cast_int_wraps", "cast to=i8", [a], a.to(torch.int8), "Cast", onnx_attributes={"to": TensorProto.INT8})
    case("cast_to_float", "cast to=f64", [a], a.to(torch.float64))


def movement():
    x = rnd(2, 3, 4)
    case("reshape", "reshape dims=[4,6]", [x], x.reshape(4, 6))
    case("transpose", "transpose perm=[2,0,1]", [x], x.permute(2, 0, 1), "Transpose", onnx_attributes={"perm": [2, 0, 1]})
    case("transpose_int", "transpose perm=[1,0]", [torch.arange(6).reshape(2, 3)], torch.arange(6).reshape(2, 3).T)
    starts, ends, steps = [torch.tensor(v) for v in ([0, 1, 0], [2, 3, 4], [1, 1, 3])]
    case("slice_steps", "slice starts=[0,1,0] sizes=[2,2,2] steps=[1,1,3]", [x], x[:, 1:3, 0:4:3], "Slice",
         [x, starts, ends, torch.tensor([0, 1, 2]), steps])
    case("slice_empty", "slice starts=[0,3,0] sizes=[2,0,4] steps=[1,1,1]", [x], x[:, 3:3])
    case("broadcast", "broadcast dims=[2,3,4]", [x[:1, :, :1]], x[:1, :, :1].expand(2, 3, 4), "Expand",
         [x[:1, :, :1], torch.tensor([2, 3, 4])])
    case("broadcast_rank", "broadcast dims=[2,3]", [x[0, :, 0][:1]], x[0, :, 0][:1].expand(2, 3))
    case("concat", "concat axis=1", [x, x[:, :1], x[:, :0]], torch.cat([x, x[:, :1]], 1), "Concat",
         onnx_attributes={"axis": 1})
    index = torch.tensor([[2, 0], [1, 1]])
    case("gather_rows", "gather axis=1", [x, index], x[:, index], "Gather", onnx_attributes={"axis": 1})
    case("gather_scalar", "gather axis=0", [x, torch.tensor(1)], x[1], "Gather", onnx_attributes={"axis": 0})
    for mode in ["constant", "reflect", "edge", "wrap"]:
        padded = torch.from_numpy(np.pad(x.numpy(), [(0, 0), (2, 1), (1, 3)], mode=mode,
                                         **({"constant_values": 0.5} if mode == "constant" else {})))
        pads = torch.tensor([0, 2, 1, 0, 1, 3])
        extra = [torch.tensor(0.5, dtype=torch.float64)] if mode == "constant" else []
        case(f"pad_{mode}", f"pad low=[0,2,1] high=[0,1,3] mode={mode} value={0.5 if mode == 'constant' else 0}", [x],
             padded, "Pad", [x, pads] + extra, {"mode": mode})


def axes():
    x = rnd(2, 3, 4)
    for kind, f in [("sum", torch.sum), ("mean", torch.mean), ("max", torch.amax), ("min", torch.amin)]:
        case(f"reduce_{kind}", f"reduce kind={kind} axes=[0,2] keep=0", [x], f(x, dim=(0, 2)), f"Reduce{kind.capitalize()}",
             [x, torch.tensor([0, 2])], {"keepdims": 0})
    case("reduce_keep", "reduce kind=sum axes=[1] keep=1", [x], x.sum(1, keepdim=True))
    case("reduce_prod", "reduce kind=prod axes=[2] keep=0", [x], x.prod(2), "ReduceProd", [x, torch.tensor([2])],
         {"keepdims": 0})
    nan = torch.tensor([[1.0, float("nan"), 2.0], [-0.0, 0.5, -1.0]], dtype=torch.float64)
    # ONNX Runtime ignores NaN here; max propagates it, as the elementwise op does.
    case("reduce_max_nan", "reduce kind=max axes=[1] keep=0", [nan], nan.amax(1))
    i = ints(torch.int32, 5, -3, 2**31 - 1, 7)
    case("reduce_sum_wraps", "reduce kind=sum axes=[0] keep=0", [i], i.sum(0, dtype=torch.int32))
    case("reduce_min_int", "reduce kind=min axes=[0] keep=0", [i], i.amin(0))
    case("reduce_sum_empty", "reduce kind=sum axes=[0] keep=0", [rnd(0, 2)], torch.zeros(2, dtype=torch.float64))
    case("softmax_last", "softmax axis=2", [x * 30], F.softmax(x * 30, 2), "Softmax", onnx_attributes={"axis": 2})
    case("softmax_middle", "softmax axis=1", [x], F.softmax(x, 1), "Softmax", onnx_attributes={"axis": 1})
    masked = torch.tensor([[-float("inf"), 0.0, 1.0], [-float("inf")] * 3], dtype=torch.float64)
    case("softmax_all_masked", "softmax axis=1", [masked], F.softmax(masked, 1), "Softmax", onnx_attributes={"axis": 1})
    gain, offset = rnd(4), rnd(4)
    case("layernorm", "layernorm axis=2 eps=1e-6", [x, gain, offset], F.layer_norm(x, [4], gain, offset, 1e-6),
         "LayerNormalization", onnx_attributes={"axis": 2, "epsilon": 1e-6})
    case("layernorm_plain", "layernorm axis=2 eps=1e-5", [x], F.layer_norm(x, [4], eps=1e-5))
    case("layernorm_gain", "layernorm axis=2 eps=1e-5", [x, gain], F.layer_norm(x, [4], gain, eps=1e-5),
         "LayerNormalization", onnx_attributes={"axis": 2, "epsilon": 1e-5})
    case("layernorm_offset", "layernorm axis=2 eps=1e-5", [x, None, offset], F.layer_norm(x, [4], None, offset, eps=1e-5))
    wide = rnd(3, 4)
    case("layernorm_two_axes", "layernorm axis=1 eps=0.001", [x, wide, wide], F.layer_norm(x, [3, 4], wide, wide, 1e-3),
         "LayerNormalization", onnx_attributes={"axis": 1, "epsilon": 1e-3})


def windows():
    x = rnd(1, 4, 5, 6)
    case("pool_max", "pool kind=max kernel=[3,2] stride=[2,1] dilation=[1,2] low=[1,0] high=[1,1]", [x],
         F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-float("inf")), (3, 2), (2, 1), 0, (1, 2)), "MaxPool",
         onnx_attributes={"kernel_shape": [3, 2], "strides": [2, 1], "dilations": [1, 2], "pads": [1, 0, 1, 1]})
    for count in (0, 1):
        case(f"pool_mean_count_{count}", f"pool kind=mean kernel=[3,3] stride=[2,2] dilation=[1,1] low=[1,1] high=[1,1] count_pad={count}",
             [x], F.avg_pool2d(x, 3, 2, 1, count_include_pad=bool(count)), "AveragePool",
             onnx_attributes={"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": count})
    line = rnd(2, 3, 7)
    case("pool_max_1d", "pool kind=max kernel=[3] stride=[2] dilation=[1] low=[0] high=[0]", [line], F.max_pool1d(line, 3, 2),
         "MaxPool", onnx_attributes={"kernel_shape": [3], "strides": [2]})
    nan = torch.tensor([[[1.0, float("nan"), 2.0, 3.0]]], dtype=torch.float64)
    case("pool_max_nan", "pool kind=max kernel=[2] stride=[2] dilation=[1] low=[0] high=[0]", [nan], F.max_pool1d(nan, 2, 2))
    w, b = rnd(6, 2, 3, 2), rnd(6)
    case("conv_groups_dilation_pads", "conv stride=[1,2] dilation=[2,1] low=[1,0] high=[1,2] groups=2", [x, w, b],
         F.conv2d(F.pad(x, (0, 2, 1, 1)), w, b, (1, 2), 0, (2, 1), 2), "Conv",
         onnx_attributes={"strides": [1, 2], "dilations": [2, 1], "pads": [1, 0, 1, 2], "group": 2})
    depthwise = rnd(4, 1, 3, 3)
    case("conv_depthwise", "conv stride=[1,1] dilation=[1,1] low=[1,1] high=[1,1] groups=4", [x, depthwise],
         F.conv2d(x, depthwise, padding=1, groups=4), "Conv", onnx_attributes={"pads": [1, 1, 1, 1], "group": 4})
    patch = rnd(3, 4, 2, 3)
    case("conv_patches", "conv stride=[2,3] dilation=[1,1] low=[0,0] high=[0,0] groups=1", [x, patch],
         F.conv2d(x, patch, stride=(2, 3)), "Conv", onnx_attributes={"strides": [2, 3]})
    w1 = rnd(2, 3, 3)
    case("conv_1d", "conv stride=[2] dilation=[1] low=[1] high=[1] groups=1", [line, w1], F.conv1d(line, w1, stride=2, padding=1),
         "Conv", onnx_attributes={"strides": [2], "pads": [1, 1]})


def products():
    for a, b in [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (2, 3, 4)), ((2, 2, 3), (3,)), ((5, 1, 2, 3), (4, 3, 2)),
                 ((2, 0), (0, 3))]:
        x, y = rnd(*a), rnd(*b)
        case("matmul_" + "x".join(map(str, a)) + "_" + "x".join(map(str, b)), "matmul", [x, y], torch.matmul(x, y), "MatMul")
    i = ints(torch.int32, 2**30, 5, -7, 9).reshape(2, 2)
    case("matmul_int_wraps", "matmul", [i, i], i @ i, "MatMul")
    x, w, b = rnd(2, 3, 4), rnd(4, 5), rnd(5)
    case("linear", "linear", [x, w], x @ w)
    case("linear_bias", "linear", [x, w, b], x @ w + b)
    case("linear_vector", "linear", [x[0, 0], w, b], x[0, 0] @ w + b)
    q, k, v = rnd(2, 3, 4, 5), rnd(2, 3, 6, 5), rnd(2, 3, 6, 7)
    def attend(q, k, v, bias, scale):
        return F.softmax(q @ k.transpose(-1, -2) * scale + bias, -1) @ v
    case("attention", "attention scale=0.25", [q, k, v], F.scaled_dot_product_attention(q, k, v, scale=0.25))
    bias = rnd(3, 4, 6)
    case("attention_bias", "attention scale=0.5", [q, k, v, bias], attend(q, k, v, bias, 0.5))
    mask = torch.zeros(2, 1, 1, 6, dtype=torch.float64)
    mask[1, ..., 3:] = -float("inf")
    case("attention_mask", "attention scale=1", [q, k, v, mask], attend(q, k, v, mask, 1))
    case("attention_shared_keys", "attention scale=1", [q, k[:1, :1], v[0]], attend(q, k[:1, :1], v[0], 0, 1))
    case("attention_matrices", "attention scale=2", [q[0, 0], k[0, 0], v[0, 0]], attend(q[0, 0], k[0, 0], v[0, 0], 0, 2))


print(f"# PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}, ONNX {onnx.__version__}, NumPy {np.__version__};"
      " made by make_eval_cases.py")
elementwise()
movement()
axes()
windows()
products()
