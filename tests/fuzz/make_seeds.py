#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what a search begins with: inputs of the fuzz targets, OUT/TARGET/NAME, from the fixtures of the tests and from the formats, and
words of their languages, OUT/TARGET.dict, from the tables of the sources.

    make_seeds.py OUT      Python's standard library alone
"""
import hashlib
import pathlib
import re
import struct
import sys

TESTS = pathlib.Path(__file__).parent.parent
LARGEST = 16384  # bytes: the smaller an input, the faster the search


def packed_models(path):
    """The models of a pack (tests/frontend/pack.h): name, model, a status, two lists of tensors."""
    data, at = path.read_bytes(), 0

    def u32():
        nonlocal at
        at += 4
        return struct.unpack_from("<I", data, at - 4)[0]

    def take(size):
        nonlocal at
        at += size
        return data[at - size : at]

    while at < len(data):
        take(u32())
        yield take(u32())
        u32()
        for _ in range(2):
            for _ in range(u32()):
                u32()
                count = 1
                for _ in range(u32()):
                    count *= u32()
                take(8 * count)


def onnx():
    for pack in sorted(TESTS.glob("frontend/data/*ops.bin")):
        yield from packed_models(pack)
    for path in sorted([*TESTS.glob("cli/data/*.onnx"), *TESTS.glob("fixtures/**/*.onnx")]):
        yield path.read_bytes()


def ir():
    for path in sorted(TESTS.glob("**/*.ir")):
        for case in re.split(r"(?m)^; -----.*\n", path.read_text()):
            yield "".join(line for line in case.splitlines(True) if not line.startswith(";")).encode()


def tensor():
    for name in ("input", "output"):
        for path in sorted(TESTS.glob(f"**/{name}_*.pb")):
            yield path.read_bytes()
    dims, name = b"\x08\x02\x08\x03", b"\x42\x01x"
    yield dims + b"\x10\x01" + name + b"\x4a\x18" + struct.pack("<6f", *range(6))  # raw_data
    yield dims + b"\x10\x01" + b"\x22\x18" + struct.pack("<6f", *range(6))  # float_data, packed
    yield dims + b"\x10\x06" + b"".join(b"\x28" + bytes([i]) for i in range(6))  # int32_data
    yield dims + b"\x10\x07" + b"\x3a\x06" + bytes(range(6))  # int64_data, packed
    yield dims + b"\x10\x0a" + b"\x2a\x06" + bytes(range(6))  # float16 in int32_data
    yield dims + b"\x10\x0b" + b"\x52\x30" + struct.pack("<6d", *range(6))  # double_data
    yield dims + b"\x10\x16" + b"\x4a\x03" + bytes(3)  # int4


def entry():
    zero = "0" * 32
    rest = "file 16 %s \npart 0 8 %s\n" % (zero, zero)
    first = "vitjit-entry 4 %s\nkey %s\n" % (zero, zero)
    yield (first + "model /somewhere/model.onnx\ngraph %s\n" % zero + rest).encode()
    yield (first + "graph %s\n" % zero + rest + "file 16 %s external.data\npart 8 8 %s\n" % (zero, zero)).encode()
    yield (first + "part 0 8 %s\nfile -1 %s ../x\npart 9223372036854775807 1 %s\n" % (zero, zero, zero)).encode()


def image(weights=64, inputs=1):
    """An image made by hand: include/vitjit_image.h. The target sets magic, version, size and checksum."""

    def tensor_row(name, dtype, value, dims, bytes_per_image, dims_output):
        return struct.pack("<Iiii8qqq", name, dtype, len(dims), value, *(dims + [0] * (8 - len(dims))), bytes_per_image, dims_output)

    strings = b"made\0x\0k\0y\0z\0"
    rows = {
        1024: tensor_row(5, 1, 0, [-1, 4], 16, 0) + tensor_row(7, 9, 1, [2], 8, 0),
        2048: tensor_row(9, 1, 0, [-1, 3], 12, 0) + tensor_row(11, 9, 0, [5], 20, 3) + tensor_row(9, 11, 0, [1], 8, 0),
        3000: struct.pack("<2i", 1, 2),
        3100: strings,
        3200: b"an introduction\0{}\0[]\0",
        3300: b"0 1 kernel\n\0",
        4096: b"\xc3",
    }
    header = struct.pack("<QIIQ", 0, 0, 0, 4097) + bytes(16)
    header += struct.pack("<4q", 1, 2, 7, 9)  # model_hash, weights_digest
    header += struct.pack("<5qdiiiiQii", weights, 64, 128, 0, 9, 0.0, 1, 1, 2, 0, 0, 1, 1)
    header += struct.pack("<5I4x", 0, 0, 0, inputs, 3)
    header += struct.pack("<2Q", 1024, 2048) + struct.pack("<2Q", 3200, 22) + struct.pack("<2Q", 3000, 8)
    header += struct.pack("<2Q", 3300, 12) + struct.pack("<2Q", 3100, len(strings)) + struct.pack("<3Q", 4096, 1, 0)
    out = bytearray(4097)
    out[: len(header)] = header
    for at, row in rows.items():
        out[at : at + len(row)] = row
    return bytes(out)


def images():
    yield image()
    yield image(weights=0, inputs=2)


def library():
    """An ELF file of 64 bits with a note that names an image (vj_library_note), and with weights inside or beside it."""
    for inside in (True, False):
        body = image(weights=0 if inside else 64, inputs=2)
        at_note, at_image = 64 + 2 * 56, 4096
        size = at_image + len(body)
        note = struct.pack("<II4Qqq2Q", 1, 4, 1, 2, 0, 0, 0, 0, len(body), 0) + b"a.weights".ljust(256, b"\0")
        begin = at_note + 12 + 8
        note = note[:40] + struct.pack("<qq", at_image - begin, 0) + note[56:]
        notes = struct.pack("<3I", 7, len(note), 1) + b"vitjit\0\0" + note
        elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
        elf += struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
        elf += struct.pack("<IIQQQQQQ", 4, 4, at_note, at_note, at_note, len(notes), len(notes), 4)
        yield (elf + notes).ljust(at_image, b"\0") + body


def weights():
    header = struct.pack("<Q2Qq2Q", 0x31544857544A56, 7, 9, 64, 0, 0).ljust(4096, b"\0")
    yield bytes([7, 9, 64, 0]) + header + bytes(64)
    yield bytes([7, 9, 64, 1]) + header + bytes(64)
    yield bytes([7, 9, 255, 0]) + bytes(8) + header


def api():
    run = bytes([0, 3, 2, 8, 1, 11, 0, 1, 0, 48, 3])
    yield bytes([1]) + run
    yield bytes([16]) + run + run  # the caller's threads
    yield bytes([7, 0, 3, 3, 8, 1])  # the pool's
    yield bytes([1, 0, 5, 0, 5, 3, 4, 2, 4, 1, 1, 7, 2, 3, 1, 8, 0])
    yield bytes([1, 12, 2, 0, 2, 2, 7, 2, 1, 2, 2, 7, 2, 13, 2, 0, 4, 3, 5, 6, 7, 1, 1, 1, 1, 1])
    yield bytes([1, 14, 0, 4, 0, 1, 0, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2])
    yield bytes([1, 0, 15, 3, 2, 16, 0, 4, 4, 8, 0])


def npy():
    for path in sorted(TESTS.glob("cli/data/*.npy")):
        yield path.read_bytes()
    for code in ("<f4", "<f8", "<f2", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "|b1", ">f4"):
        text = ("{'descr': '%s', 'fortran_order': False, 'shape': (1, 2), }" % code).ljust(117).encode() + b"\n"
        yield b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + bytes(2 * int(code[2]))


def picture():
    for path in sorted(TESTS.glob("pictures/*/*")):
        if path.suffix in (".jpg", ".png", ".webp", ".bmp"):
            yield path.read_bytes()


def recipe():
    names = ["preprocessor_config.json", "processor_config.json", "open_clip_config.json", "config.json", "labels.txt", "labels.json"]
    for line in (TESTS / "pictures/recipes/cases.txt").read_text().splitlines():
        words = line.split("\t")
        parts = [bytes([names.index(words[i])]) + words[i + 1].encode() for i in range(len(words) - 1) if words[i] in names]
        if parts:
            yield b"\xff".join(parts)
    yield b"\x06" + b'{"mean": "[0.5]", "std": "[0.5]", "label_names": "[\\"a\\", \\"b\\"]"}'
    yield b"\x03" + b'{"pretrained_cfg": {"input_size": [3, 8, 8], "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5]}, "id2label": {"0": "a", "1": "b"}}'
    yield b"\x04a\nb\n\xff\x03{}"
    yield b'\x05{"0": "a"}'


def command():
    text = (TESTS.parent / "cli/command/options.c").read_text()
    yield b"model.onnx\na.png\n--batch\n3\n-j\n2"
    yield b"cache\nrm\nmodel.onnx"
    yield b"targets"
    yield b"model.onnx\na.png\n--shape\nx=1x3x64..640:32x64..640:32\n--round-up"
    yield b"model.onnx\n--emit-obj\n--shape\nx=Nx3x8x16\n--shape\nx=2x3x8..40:8x16"
    yield b"model.onnx\n--bench\n2\n--precision\nf32,bf16,int8"
    for name, value in re.findall(r'\{"(--[a-z0-9-]+)", .*?, (NULL|"[^"]*"), ', text):
        yield ("model.onnx\n%s\n%s" % (name, value.strip('"').split("|")[0])).encode()


def calibration():
    yield (
        b'{"vitjit_calibration": 1, "inputs": 64, "least_cosine": 0.99931, "agreement": 1, "layers": [\n'
        b'{"node":"y","precision":"int8","largest_weight":3.5,"smoothing":[' + b",".join(b"%d" % (i % 5 - 2) for i in range(40)) + b"]},\n"
        b'{"node":"z","precision":"bf16"}\n]}\n'
    )
    yield b'{"vitjit_calibration": 1, "layers": [{"node":"y","precision":"f32"}]}'


TARGETS = dict(
    onnx=onnx, ir=ir, tensor=tensor, entry=entry, image=images, library=library, weights=weights, api=api, npy=npy, picture=picture,
    recipe=recipe, command=command, calibration=calibration,
)


def quoted(path):
    """The words that a source has as strings."""
    return re.findall(r'"([A-Za-z_][A-Za-z0-9_.-]*)"', (TESTS.parent / path).read_text())


def words():
    elementwise = re.findall(r"(?m)^[A-Z]+\((\w+),", (TESTS.parent / "ir/tensor/elementwise.def").read_text())
    types = "f32 f64 f16 bf16 i8 u8 i16 u16 i32 u32 i64 u64 bool".split()
    yield "ir", elementwise + quoted("ir/tensor/ops.def") + types + ["func @", "const ", "splat(", "seed(", "return ", "program ", "kernel ", "N,"]
    classes = re.findall(r"(?m)^CLASS\((\w+),", (TESTS.parent / "pictures/classes.def").read_text())
    keys = quoted("pictures/keys.c") + quoted("pictures/recipe.c") + quoted("pictures/config.c") + quoted("pictures/values.c")
    yield "recipe", ['"%s":' % key for key in keys] + ['"%sImageProcessor"' % name for name in classes]
    options = re.findall(r'\{"(--[a-z0-9-]+)"', (TESTS.parent / "cli/command/options.c").read_text())
    yield "command", options + ["f32,bf16,int8", "int4", "cache", "targets", "1x3x224x224", "64..640:32"]
    yield "calibration", ['"%s"' % key for key in quoted("compiler/calibration.c")]
    yield "npy", ["'descr': ", "'fortran_order': ", "'shape': ", "False", "True", "<f4", "|b1", "(3,)"]
    yield "picture", ["Exif", "IHDR", "IDAT", "PLTE", "tRNS", "eXIf", "RIFF", "WEBP", "VP8X", "VP8L", "ANMF", "ALPH", "BM", "II*", "MM"]
    yield "entry", ["vitjit-entry 4 ", "key ", "graph ", "file ", "part ", "model ", "external.data"]


def escaped(word):
    return "".join(c if c.isalnum() else "\\x%02X" % ord(c) for c in word)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, make in TARGETS.items():
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed in make():
            if len(seed) <= LARGEST:
                (folder / hashlib.sha1(seed).hexdigest()[:16]).write_bytes(seed)
    for name, list_ in words():
        text = "".join('"%s"\n' % escaped(word) for word in sorted(set(list_)))
        (pathlib.Path(sys.argv[1]) / (name + ".dict")).write_text(text)


if __name__ == "__main__":
    main()
