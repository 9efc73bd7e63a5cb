#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of tests/pictures/data and what Pillow makes of them. usage: make_pictures.py (made with Pillow 13.0.0)

cases.txt has a line a case: FILE CHANNELS FILTER WIDTH HEIGHT OFFSET (filter `none`: only decoded), pixels in expected.bin;
then `preprocess FILE HEIGHT WIDTH OFFSET` lines, float32 of timm's evaluation transform in expected_f32.bin.
"""
import os

import numpy as np
from PIL import Image, ImageOps

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
FILTERS = dict(nearest=0, lanczos=1, bilinear=2, bicubic=3, box=4, hamming=5)


def scene(width, height):
    """Gradients, edges and noise: what shows a wrong filter."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / max(width - 1, 1)
    green = 127 + 120 * np.sin(x / 3.0 + y / 5.0)
    blue = np.where((x // 8 + y // 8) % 2 == 0, 235, 20) + rng.integers(-15, 16, (height, width))
    return np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8)


def path(name):
    return os.path.join(FOLDER, name)


def make_files():
    rgb = scene(97, 61)
    picture = Image.fromarray(rgb)
    picture.save(path("rgb.png"))
    picture.convert("L").save(path("grey.png"))
    picture.quantize(32).save(path("palette.png"))
    picture.convert("1").save(path("onebit.png"))
    alpha = np.concatenate([rgb, rgb[:, :, :1]], -1)
    Image.fromarray(alpha).save(path("rgba.png"))
    Image.fromarray(rgb[:, :, 1].astype(np.uint16) * 257).save(path("grey16.png"))
    picture.save(path("rgb.jpg"), quality=92)
    picture.convert("L").save(path("grey.jpg"), quality=92)
    picture.convert("CMYK").save(path("cmyk.jpg"), quality=92)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(scene(24, 16)).save(path(f"exif{orientation}.jpg"), quality=95, exif=exif)
    for name, cut in (("rgb.jpg", 0.6), ("rgb.png", 0.6)):
        data = open(path(name), "rb").read()
        open(path("truncated" + name[3:]), "wb").write(data[: int(len(data) * cut)])
    open(path("text.png"), "w").write("not a picture\n")
    open(path("empty.jpg"), "w").close()


def load(name, channels):
    if name == "grey16.png":  # Pillow clips 16 bits to 8; the upper byte is what the picture shows
        return Image.fromarray((np.asarray(Image.open(path(name))).astype(np.uint32) >> 8).astype(np.uint8))
    picture = ImageOps.exif_transpose(Image.open(path(name)))
    return picture.convert("RGB" if channels == 3 else "L")


def timm_eval(picture, height, width, crop_pct):
    """Resize the shorter side, centre crop, mean = std = 0.5: timm's evaluation transform, without torchvision."""
    scale = int(np.floor(min(height, width) / crop_pct))
    w, h = picture.size
    size = (scale, int(scale * h / w)) if w <= h else (int(scale * w / h), scale)
    small = picture.resize(size, Image.BICUBIC)
    left, top = int(round((size[0] - width) / 2.0)), int(round((size[1] - height) / 2.0))
    cut = small.crop((left, top, left + width, top + height))
    return ((np.asarray(cut, np.float64) / 255 - 0.5) / 0.5).transpose(2, 0, 1).astype(np.float32)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    make_files()
    lines, pixels, floats = [], b"", b""
    three, one = ["rgb.png", "palette.png", "rgba.png", "rgb.jpg", "cmyk.jpg"], ["grey.png", "onebit.png", "grey16.png", "grey.jpg"]
    for name, channels in [(n, 3) for n in three + [f"exif{i}.jpg" for i in range(1, 9)]] + [(n, 1) for n in one]:
        picture = load(name, channels)
        lines.append(f"{name} {channels} none {picture.width} {picture.height} {len(pixels)}")
        pixels += picture.tobytes()
    for name, channels in (("rgb.png", 3), ("grey.png", 1)):
        for filter_name, number in FILTERS.items():
            for size in ((32, 32), (50, 20), (120, 90), (97, 61), (1, 1)):
                lines.append(f"{name} {channels} {filter_name} {size[0]} {size[1]} {len(pixels)}")
                pixels += load(name, channels).resize(size, number).tobytes()
    for name in ("rgb.png", "rgb.jpg"):
        for height, width in ((32, 32), (28, 40)):
            lines.append(f"preprocess {name} {height} {width} {len(floats)}")
            floats += timm_eval(load(name, 3), height, width, 0.9).tobytes()
    open(path("cases.txt"), "w").write("\n".join(lines) + "\n")
    open(path("expected.bin"), "wb").write(pixels)
    open(path("expected_f32.bin"), "wb").write(floats)


if __name__ == "__main__":
    main()
