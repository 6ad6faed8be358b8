#!/usr/bin/env python3
"""Makes the tiny pictures of tests/ops/data/codec and cases.txt, which says what is in them.

PNG and BMP files are written here byte by byte, so the expected pixels are known and Pillow and
OpenCV only confirm them. JPEG files are written by Pillow and OpenCV; Pillow's decoder is the
reference. Run with Debian's python3-pil and python3-opencv:

    python3 tools/testdata/make_codec_cases.py tests/ops/data/codec

A line of cases.txt: file, width, height, channels, bits, orientation, "exact" or "near", the
FNV-1a sum (64 bit) of all pixels as RGBA of 8 bits, and five samples x,y,r,g,b,a. Sizes are as
stored; sums and samples are of the stored picture too, before it is made upright.
"""
import io
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 19, 13


def picture():
    """A smooth RGBA picture with a hard edge, so that both ramps and steps are seen."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    rgba = np.stack([x * 255 / (WIDTH - 1), y * 255 / (HEIGHT - 1),
                     255 - (x + y) * 255 / (WIDTH + HEIGHT - 2), 255 - x * 9], axis=-1)
    rgba[3:7, 5:11, :3] = (250, 20, 40)
    return np.round(rgba).astype(np.uint8)


RGBA = picture()
RGB = RGBA[..., :3].copy()
GRAY = np.round(RGB @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
PALETTE = np.array([[i * 37 % 256, i * 91 % 256, i * 151 % 256] for i in range(256)], np.uint8)


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def opaque(rgb):
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def from_gray(gray):
    return opaque(np.repeat(gray[..., None], 3, axis=2))


# ---- PNG ----

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def pack_rows(samples, bits):
    """Rows of samples [h, w, c] as PNG scan lines with filter 0."""
    out = bytearray()
    for row in samples:
        out.append(0)
        flat = row.reshape(-1)
        if bits == 16:
            out += flat.astype(">u2").tobytes()
        else:
            text = "".join(format(int(v), f"0{bits}b") for v in flat)
            text += "0" * (-len(text) % 8)
            out += bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))
    return bytes(out)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(samples, bits, color, extra=b"", interlaced=False):
    if samples.ndim == 2:
        samples = samples[..., None]
    height, width = samples.shape[:2]
    if interlaced:
        raw = b"".join(pack_rows(samples[y::dy, x::dx], bits) for x, y, dx, dy in ADAM7
                       if samples[y::dy, x::dx].size)
    else:
        raw = pack_rows(samples, bits)
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(raw, 9))
            + chunk(b"IEND", b""))


def exif(orientation, big_endian=False):
    order = ">" if big_endian else "<"
    return ((b"MM" if big_endian else b"II") + struct.pack(order + "HIH", 42, 8, 1)
            + struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack(order + "I", 0))


def png_cases():
    for interlaced in (False, True):
        tail = "_interlaced" if interlaced else ""
        for bits in (1, 2, 4, 8):
            top = (1 << bits) - 1
            levels = GRAY.astype(int) * top // 255
            yield (f"gray{bits}{tail}.png", png(levels, bits, 0, interlaced=interlaced),
                   from_gray((levels * 255 // top).astype(np.uint8)), 1, 8, 1)
            index = levels % (top + 1)
            plte = chunk(b"PLTE", PALETTE[:top + 1].tobytes())
            yield (f"palette{bits}{tail}.png", png(index, bits, 3, plte, interlaced),
                   opaque(PALETTE[index]), 3, 8, 1)
        yield f"rgb8{tail}.png", png(RGB, 8, 2, interlaced=interlaced), opaque(RGB), 3, 8, 1
        yield f"rgba8{tail}.png", png(RGBA, 8, 6, interlaced=interlaced), RGBA, 4, 8, 1
        wide = RGBA.astype(np.uint32) * 251 + 77
        narrow = ((wide + 128) // 257).astype(np.uint8)
        yield (f"rgb16{tail}.png", png(wide[..., :3], 16, 2, interlaced=interlaced),
               opaque(narrow[..., :3]), 3, 16, 1)
        yield f"rgba16{tail}.png", png(wide, 16, 6, interlaced=interlaced), narrow, 4, 16, 1
        yield (f"gray16{tail}.png", png(wide[..., 0], 16, 0, interlaced=interlaced),
               from_gray(narrow[..., 0]), 1, 16, 1)
    gray_alpha = np.dstack([GRAY, RGBA[..., 3]])
    both = from_gray(GRAY)
    both[..., 3] = RGBA[..., 3]
    yield "gray_alpha8.png", png(gray_alpha, 8, 4), both, 4, 8, 1
    keyed = opaque(RGB)
    keyed[3:7, 5:11, 3] = 0
    trns = chunk(b"tRNS", struct.pack(">HHH", 250, 20, 40))
    yield "rgb8_trns.png", png(RGB, 8, 2, trns), keyed, 4, 8, 1
    key = int(GRAY[4, 6])
    keyed = from_gray(GRAY)
    keyed[GRAY == key, 3] = 0
    yield "gray8_trns.png", png(GRAY, 8, 0, chunk(b"tRNS", struct.pack(">H", key))), keyed, 4, 8, 1
    index = GRAY.astype(int) * 15 // 255
    alpha = np.array([i * 30 for i in range(8)] + [255] * 8, np.uint8)
    keyed = np.dstack([PALETTE[index], alpha[index]])
    extra = chunk(b"PLTE", PALETTE[:16].tobytes()) + chunk(b"tRNS", alpha[:8].tobytes())
    yield "palette4_trns.png", png(index, 4, 3, extra), keyed, 4, 8, 1
    yield ("rgb8_exif6.png", png(RGB, 8, 2, chunk(b"eXIf", exif(6, True))), opaque(RGB), 3, 8, 6)
    extras = (chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tEXt", b"Comment\0nothing to see")
              + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"still nothing")))
    yield "rgb8_extras.png", png(RGB, 8, 2, extras), opaque(RGB), 3, 8, 1
    yield "one_pixel.png", png(RGB[:1, :1], 8, 2), opaque(RGB[:1, :1]), 3, 8, 1


# ---- BMP ----

def bmp(rows, bits, width, height, palette=b"", masks=b"", compression=0, header=40, top_down=False):
    body = b"".join(r + b"\0" * (-len(r) % 4) for r in (rows if top_down else rows[::-1]))
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, -height if top_down else height, 1, bits,
                           compression, len(body), 2835, 2835, 0, 0)
        if header > 40:
            info = (info + masks).ljust(header, b"\0")
            masks = b""
    start = 14 + len(info) + len(masks) + len(palette)
    return (b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + masks + palette + body)


def index_rows(index, bits):
    return [pack_rows(row[None, :, None], bits)[1:] for row in index]


def bmp_cases():
    h, w = HEIGHT, WIDTH
    for bits in (1, 4, 8):
        top = (1 << bits) - 1
        index = GRAY.astype(int) * top // 255
        entries = b"".join(bytes([b, g, r, 0]) for r, g, b in PALETTE[:top + 1])
        yield (f"palette{bits}.bmp", bmp(index_rows(index, bits), bits, w, h, entries),
               opaque(PALETTE[index]), 3, 8, 1)
    entries = b"".join(bytes([b, g, r]) for r, g, b in PALETTE[:16])
    index = GRAY.astype(int) * 15 // 255
    yield ("core_header.bmp", bmp(index_rows(index, 4), 4, w, h, entries, header=12),
           opaque(PALETTE[index]), 3, 8, 1)
    grays = b"".join(bytes([i, i, i, 0]) for i in range(256))
    yield "gray8.bmp", bmp(index_rows(GRAY, 8), 8, w, h, grays), from_gray(GRAY), 1, 8, 1
    bgr = [row[:, ::-1].tobytes() for row in RGB]
    yield "rgb24.bmp", bmp(bgr, 24, w, h), opaque(RGB), 3, 8, 1
    yield "rgb24_top_down.bmp", bmp(bgr, 24, w, h, top_down=True), opaque(RGB), 3, 8, 1
    bgrx = [np.dstack([row[None, :, ::-1], np.zeros((1, w, 1), np.uint8)]).tobytes() for row in RGB]
    yield "rgb32.bmp", bmp(bgrx, 32, w, h), opaque(RGB), 3, 8, 1
    bgra = [row[:, [2, 1, 0, 3]].tobytes() for row in RGBA]
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    yield "rgba32_v4.bmp", bmp(bgra, 32, w, h, masks=masks, compression=3, header=108), RGBA, 4, 8, 1
    wide = RGB.astype(np.uint32)

    def packed(r_bits, g_bits, b_bits):
        tops = [(1 << n) - 1 for n in (r_bits, g_bits, b_bits)]
        parts = [wide[..., i] * tops[i] // 255 for i in range(3)]
        words = (parts[0] << (g_bits + b_bits)) | (parts[1] << b_bits) | parts[2]
        back = np.dstack([(parts[i] * 255 + tops[i] // 2) // tops[i] for i in range(3)])
        return [row.astype("<u2").tobytes() for row in words], opaque(back.astype(np.uint8))

    rows, truth = packed(5, 6, 5)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield "rgb565.bmp", bmp(rows, 16, w, h, masks=masks, compression=3), truth, 3, 8, 1
    rows, truth = packed(5, 5, 5)
    yield "rgb555.bmp", bmp(rows, 16, w, h), truth, 3, 8, 1


# ---- JPEG ----

def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def jpeg_cases():
    rgb, gray = Image.fromarray(RGB), Image.fromarray(GRAY)
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"rgb_{name}.jpg", jpeg(rgb, quality=90, subsampling=sampling), 3, 1
        yield (f"rgb_{name}_progressive.jpg",
               jpeg(rgb, quality=85, subsampling=sampling, progressive=True), 3, 1)
    yield "gray.jpg", jpeg(gray, quality=90), 1, 1
    yield "gray_progressive.jpg", jpeg(gray, quality=90, progressive=True), 1, 1
    cmyk = rgb.convert("CMYK")
    data = jpeg(cmyk, quality=90)
    yield "cmyk.jpg", data, 3, 1
    at = data.index(b"Adobe\0") + 11
    yield "ycck.jpg", data[:at] + b"\2" + data[at + 1:], 3, 1
    for orientation in range(1, 9):
        block = b"Exif\0\0" + exif(orientation, orientation % 2 == 0)
        yield f"exif{orientation}.jpg", jpeg(rgb, quality=90, subsampling=0, exif=block), 3, orientation
    ok, data = cv2.imencode(".jpg", RGB[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_RST_INTERVAL, 1])
    yield "restart.jpg", data.tobytes(), 3, 1
    yield "one_pixel.jpg", jpeg(Image.fromarray(RGB[:1, :1]), quality=90), 3, 1


def confirm(name, data, truth):
    """Other decoders see the same, where they support the kind."""
    if name in ("rgb8_trns.png", "rgba32_v4.bmp") or "16" in name:
        seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(seen.astype(int) - truth[..., :3]).max() <= 1, name
        return
    seen = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    limit = 8 if name in ("rgb565.bmp", "rgb555.bmp") else 0
    assert np.abs(seen.astype(int) - truth).max() <= limit, name


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    lines = []

    def add(name, data, truth, channels, bits, orientation, how):
        (folder / name).write_bytes(data)
        h, w = truth.shape[:2]
        samples = [f"{x},{y}," + ",".join(str(int(v)) for v in truth[y, x])
                   for x, y in ((0, 0), (w - 1, 0), (w // 2, h // 2), (0, h - 1), (w - 1, h - 1))]
        lines.append(f"{name} {w} {h} {channels} {bits} {orientation} {how} "
                     f"{fnv(truth.tobytes()):016x} {' '.join(samples)}")

    for name, data, truth, channels, bits, orientation in (*png_cases(), *bmp_cases()):
        confirm(name, data, truth)
        add(name, data, np.ascontiguousarray(truth), channels, bits, orientation, "exact")
    for name, data, channels, orientation in jpeg_cases():
        truth = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").convert("RGBA"))
        add(name, data, truth, channels, 8, orientation, "near")
    (folder / "cases.txt").write_text("\n".join(lines) + "\n")
    print(len(lines), "files,", sum(f.stat().st_size for f in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
