#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of tests/pictures/formats, and what Pillow makes of them. usage: make_formats.py (made with Pillow 13.0.0)

cases.txt has a line a picture: FILE CHANNELS WIDTH HEIGHT OFFSET, its pixels as convert("RGB") or ("L") gives them in
expected.bin. damaged.txt has those that must be refused, and a part of the reason. resized.txt has lines FILE FILTER WIDTH HEIGHT OFFSET,
the bytes of Image.resize in resized.bin: both orders of the passes, one pass alone, few taps and many.
drafts.txt has lines FILE HEIGHT WIDTH OF_WIDTH OF_HEIGHT OFFSET: what is wanted, and what Image.draft makes of it.
"""
import os
import shutil
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "formats")


def scene(width, height):
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / max(width - 1, 1)
    green = 127 + 120 * np.sin(x / 3.0 + y / 5.0)
    blue = np.where((x // 8 + y // 8) % 2 == 0, 235, 20) + rng.integers(-15, 16, (height, width))
    return np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8)


def path(name):
    return os.path.join(FOLDER, name)


def put(name, data):
    with open(path(name), "wb") as file:
        file.write(data)


def bmp(width, height, bits, rows, compression=0, header=40, masks=(), palette=b"", colours=0):
    """A BMP by hand, for the kinds that Pillow reads and does not write. rows: bytes, each row filled up to four."""
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, 0, 0, 0, colours, 0)
    info += b"".join(struct.pack("<I", m) for m in masks)
    info = info.ljust(max(header, 40 + 4 * len(masks)), b"\0") + palette
    offset = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + rows


def padded(rows):
    return b"".join(r + b"\0" * (-len(r) % 4) for r in rows)


def bmps(rgb):
    picture = Image.fromarray(rgb)
    height, width = rgb.shape[:2]
    picture.save(path("rgb24.bmp"))
    picture.quantize(100).save(path("palette8.bmp"))
    picture.convert("L").save(path("grey8.bmp"))
    picture.convert("1").save(path("onebit.bmp"))
    bgrx = np.concatenate([rgb[:, :, ::-1], np.full_like(rgb[:, :, :1], 0)], -1)
    put("rgb32.bmp", bmp(width, height, 32, bgrx[::-1].tobytes()))
    put("topdown.bmp", bmp(width, -height, 32, bgrx.tobytes()))
    five = (rgb >> 3).astype(np.uint16)
    put("rgb555.bmp", bmp(width, height, 16, padded([r.tobytes() for r in (five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2])[::-1]])))
    six = five[..., 0] << 11 | (rgb[..., 1] >> 2).astype(np.uint16) << 5 | five[..., 2]
    put("rgb565.bmp", bmp(width, height, 16, padded([r.tobytes() for r in six[::-1]]), 3, 40, (0xF800, 0x7E0, 0x1F)))
    bgra = np.concatenate([rgb[:, :, ::-1], rgb[:, :, :1]], -1)
    put("alpha32.bmp", bmp(width, height, 32, bgra[::-1].tobytes(), 3, 108, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)))
    index = (rgb[..., 0] >> 4).astype(np.uint8)
    index = np.pad(index, ((0, 0), (0, width % 2)))
    colours = b"".join(bytes((i * 16, 255 - i * 9, i * 5, 0)) for i in range(16))
    put("palette4.bmp", bmp(width, height, 4, padded([r.tobytes() for r in (index[:, ::2] << 4 | index[:, 1::2])[::-1]]), 0, 40, (), colours, 16))
    core = struct.pack("<IHHHH", 12, width, height, 1, 24)
    rows = padded([r.tobytes() for r in rgb[::-1, :, ::-1]])
    put("core.bmp", b"BM" + struct.pack("<IHHI", 26 + len(rows), 0, 0, 26) + core + rows)


def webps(rgb):
    picture = Image.fromarray(rgb)
    picture.save(path("lossy.webp"), quality=80)
    picture.save(path("lossless.webp"), lossless=True)
    alpha = Image.fromarray(np.concatenate([rgb, 255 - rgb[:, :, :1]], -1))
    alpha.save(path("alpha.webp"), lossless=True, exact=True)
    others = [Image.fromarray(np.roll(rgb, 9 * i, 1)) for i in range(1, 3)]
    picture.save(path("animated.webp"), save_all=True, append_images=others, lossless=True, duration=40)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene(24, 16)).save(path("turned.webp"), lossless=True, exif=exif)
    Image.fromarray(scene(24, 16)).save(path("turned.png"), exif=exif)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, colour, bits, raw, interlace=0):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b"")


def pngs(rgb):
    height, width = rgb.shape[:2]
    deep = rgb.astype(np.uint16) * 257 ^ 0x5A
    put("rgb16.png", png(width, height, 2, 16, b"".join(b"\0" + r.astype(">u2").tobytes() for r in deep)))
    keyed = Image.fromarray(rgb).quantize(40)
    keyed.save(path("keyed.png"), transparency=3)
    put("grey2.png", png(8, 4, 0, 2, b"".join(b"\0" + bytes((0x1B, 0xE4)) for _ in range(4))))
    steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    passes = [rgb[y::dy, x::dx] for x, y, dx, dy in steps]
    put("interlaced.png", png(width, height, 2, 8, b"".join(b"\0" + r.tobytes() for p in passes for r in p), 1))


def segment(marker, data):
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def jpeg_of_scans(side, scans):
    """A grey progressive JPEG with so many scans, all of them valid: DC, then single coefficients bit by bit. Each block's code is one
    bit, and says that nothing follows."""
    blocks = (side // 8) ** 2
    table = bytes((1,) + (0,) * 15 + (0,))  # one code of one bit, for the symbol 0
    out = b"\xff\xd8" + segment(0xDB, b"\0" + bytes([8] * 64))
    out += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes((1, 0x11, 0)))
    out += segment(0xC4, b"\0" + table + b"\x10" + table)
    bits = b"\0" * (blocks // 8)
    orders = [(0, 0, 0)] + [(k, 0, 1) for k in range(1, 64)] + [(k, 1, 0) for k in range(1, 64)]
    for k, high, low in orders[:scans]:
        out += segment(0xDA, bytes((1, 1, 0, k, k, high << 4 | low))) + bits
    return out + b"\xff\xd9"


def jpegs(rgb):
    picture = Image.fromarray(rgb)
    picture.save(path("progressive.jpg"), quality=90, progressive=True)
    picture.save(path("half.jpg"), quality=90, subsampling=2)
    put("scans100.jpg", jpeg_of_scans(32, 100))
    put("scans127.jpg", jpeg_of_scans(32, 127))


def damaged(rgb):
    """What must be refused: FILE and what is said."""
    lines = []

    def bad(name, data, said):
        put(name, data)
        lines.append(f"{name} {said}")

    def cut(name, part):
        data = open(path(name), "rb").read()
        return data[: int(len(data) * part)]

    lines.append("scans127.jpg a damaged JPEG: it has more than 100 scans")
    bad("cut.webp", cut("lossy.webp", 0.6), "a damaged WebP")
    bad("cut_lossless.webp", cut("lossless.webp", 0.8), "a damaged WebP")
    bad("cut_header.webp", cut("lossy.webp", 1)[:20], "a damaged WebP")
    bad("cut.bmp", cut("rgb24.bmp", 0.7), "a damaged BMP: its pixels are cut short")
    bad("cut_header.bmp", cut("rgb24.bmp", 0.01)[:20], "a damaged BMP: it is cut short")
    bad("cut_palette.bmp", cut("palette8.bmp", 1)[:200], "a damaged BMP: its palette is cut short")
    bad("cut_progressive.jpg", cut("progressive.jpg", 0.7), "a damaged JPEG")
    bad("cut_header.jpg", cut("half.jpg", 1)[:30], "a damaged JPEG")
    bad("cut16.png", cut("rgb16.png", 0.5), "a damaged PNG")
    bad("beyond.bmp", bmp(4, 1, 8, b"\0\1\2\3", colours=2, palette=b"\0" * 8), "a damaged BMP: a pixel's colour is not in the palette")
    bad("runs.bmp", bmp(4, 1, 8, b"\4\1\0\1", 1, palette=b"\0" * 1024), "a compressed BMP (kind 1)")
    bad("bits.bmp", bmp(4, 1, 7, b"\0" * 4), "a damaged BMP: its pixels have another number of bits")
    bad("mask.bmp", bmp(2, 1, 16, b"\0" * 4, 3, 40, (0xF00F, 0x7E0, 0x1F)) + b"\0" * 16, "a damaged BMP: its masks make no sense")
    bad("header.bmp", bmp(2, 1, 24, b"\0" * 8, header=39), "a damaged BMP: its header has an unknown size")
    bad("nothing.bmp", bmp(0, 0, 24, b"\0" * 8), "0 x 0 pixels are none")
    bad("least.bmp", bmp(2, -(1 << 31), 24, b"\0" * 8), "a damaged BMP: its pixels are cut short")
    bad("huge.png", png(1 << 16, 1 << 16, 2, 8, b"\0"), "65536 x 65536 pixels are none, or more than the 268435456")
    bad("huge.jpg", cut("half.jpg", 1).replace(struct.pack(">HH", *rgb.shape[:2]), struct.pack(">HH", 65500, 65500), 1),
        "65500 x 65500 pixels are none, or more than the 268435456")
    bad("other.gif", b"GIF89a" + b"\0" * 20, "a GIF: pictures are JPEG, PNG, WebP or BMP")
    bad("other.heic", b"\0\0\0\x18ftypheic" + b"\0" * 20, "HEIF: pictures are")
    bad("pointer.jpg", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the picture")
    bad("webp.png", b"RIFF\x10\0\0\0WEBPVP8 \x04\0\0\0abcd", "a damaged WebP")
    with open(path("damaged.txt"), "w") as file:
        file.write("\n".join(lines) + "\n")


def load(name):
    picture = ImageOps.exif_transpose(Image.open(path(name)))
    grey = picture.mode in ("L", "1", "I;16") and name.endswith((".png", ".jpg"))
    return picture.convert("L" if grey else "RGB"), 1 if grey else 3


def resized():
    lines, pixels = [], b""
    filters = dict(nearest=0, lanczos=1, bilinear=2, bicubic=3, box=4, hamming=5)
    for name in ("rgb24.bmp", "grey2.png"):
        picture, _ = load(name)
        for filter_name, number in filters.items():
            for size in ((23, 14), (58, 5), (61, 9), (7, 37), (3, 2), (90, 50), (20, 80)):
                lines.append(f"{name} {filter_name} {size[0]} {size[1]} {len(pixels)}")
                pixels += picture.resize(size, number).tobytes()
    put("resized.txt", ("\n".join(lines) + "\n").encode())
    put("resized.bin", pixels)


def drafts():
    lines, pixels = [], b""
    for name in ("half.jpg", "progressive.jpg"):
        for width, height in ((61, 37), (30, 18), (13, 8), (16, 11), (7, 4)):
            picture = Image.open(path(name))
            picture.draft("RGB", (width, height))
            picture = picture.convert("RGB")
            lines.append(f"{name} {height} {width} {picture.width} {picture.height} {len(pixels)}")
            pixels += picture.tobytes()
    put("drafts.txt", ("\n".join(lines) + "\n").encode())
    put("drafts.bin", pixels)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    rgb = scene(61, 37)
    bmps(rgb)
    webps(rgb)
    pngs(rgb)
    jpegs(rgb)
    lines, pixels = [], b""
    for name in sorted(os.listdir(FOLDER)):
        if name == "scans127.jpg":
            continue
        picture, channels = load(name)
        lines.append(f"{name} {channels} {picture.width} {picture.height} {len(pixels)}")
        pixels += picture.tobytes()
    put("cases.txt", ("\n".join(lines) + "\n").encode())
    put("expected.bin", pixels)
    resized()
    drafts()
    damaged(rgb)


if __name__ == "__main__":
    main()
