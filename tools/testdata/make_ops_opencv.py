"""Writes tests/ops/data/opencv.bin: what OpenCV makes of small pictures, for tests of the operators.

OpenCV does not antialias; those records are made here from the definition that Pillow and PyTorch
share: the kernel is stretched by the scale, and samples outside the picture are left out.

Run with a Python that has numpy and cv2 (Debian: /usr/bin/python3 with python3-opencv). The file is a
sequence of little-endian records:

    name      16 bytes, padded with zeros
    channels  u32
    height    u32
    width     u32
    pixels    channels * height * width bytes

The source pictures are records, too; tests find everything by name.
"""
import pathlib
import struct

import cv2
import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/ops/data/opencv.bin"
RECORDS = []


def put(name, image):
    image = np.ascontiguousarray(image, dtype=np.uint8)
    if image.ndim == 2:
        image = image[:, :, None]
    height, width, channels = image.shape
    RECORDS.append(struct.pack("<16sIII", name.encode(), channels, height, width) + image.tobytes())


def scene(height, width):
    """A picture with smooth ramps, hard edges, thin lines and some noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    b = 127 + 120 * np.sin(x / 5.0) * np.cos(y / 7.0)
    g = 255 * ((x // 6 + y // 5) % 2)
    r = 255 * x / max(width - 1, 1)
    image = np.stack([b, g, r], axis=2)
    image[height // 3] = 255
    image[:, width // 4] = 0
    image += np.random.default_rng(7).normal(0, 6, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def smooth(height, width):
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [127 + 110 * np.sin(x / 11 + k) * np.cos(y / 9 - k) for k in range(3)]
    return np.clip(np.rint(np.stack(planes, axis=2)), 0, 255).astype(np.uint8)


def resizes(image):
    filters = {
        "near": cv2.INTER_NEAREST,
        "line": cv2.INTER_LINEAR,
        "cubic": cv2.INTER_CUBIC,
        "area": cv2.INTER_AREA,
        "lancz": cv2.INTER_LANCZOS4,
    }
    for name, code in filters.items():
        for width, height in ((23, 17), (32, 24), (80, 61), (50, 13), (7, 5)):
            put(f"{name}_{width}x{height}", cv2.resize(image, (width, height), interpolation=code))
    gray = image[:, :, 0]
    put("area_c1", cv2.resize(gray, (20, 20), interpolation=cv2.INTER_AREA))
    four = np.dstack([image, image[:, :, 1]])
    put("line_c4", cv2.resize(four, (41, 29), interpolation=cv2.INTER_LINEAR))


def triangle(x):
    return np.clip(1 - np.abs(x), 0, None)


def cubic(x, a=-0.5):
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def shrinking(source, target, kernel):
    """The target x source matrix of weights."""
    scale = source / target
    centres = (np.arange(target)[:, None] + 0.5) * scale
    weights = kernel((np.arange(source)[None, :] + 0.5 - centres) / scale)
    return weights / weights.sum(axis=1, keepdims=True)


def antialiased(image):
    height, width = image.shape[:2]
    for name, kernel in (("line", triangle), ("cubic", cubic)):
        for w, h in ((23, 17), (7, 5)):
            rows = np.tensordot(shrinking(height, h, kernel), image.astype(np.float64), 1)
            result = np.einsum("xw,hwc->hxc", shrinking(width, w, kernel), rows)
            put(f"aa_{name}_{w}x{h}", np.clip(np.rint(result), 0, 255))


def warps(image):
    affine = np.array([[0.9, -0.3, 12.0], [0.25, 1.1, -6.0]])
    perspective = np.array([[0.95, 0.12, 3.0], [-0.08, 1.05, 4.0], [0.0006, -0.0004, 1.0]])
    size = (60, 50)
    put("affine_const", cv2.warpAffine(image, affine, size, flags=cv2.INTER_LINEAR, borderValue=(10, 20, 30)))
    put("affine_repl", cv2.warpAffine(image, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    put("persp_const", cv2.warpPerspective(image, perspective, size, flags=cv2.INTER_LINEAR))


def colors(image):
    put("gray", cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    put("hsv", cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    put("ycrcb", cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb))
    rng = np.random.default_rng(3)
    yuv = rng.integers(0, 256, (36, 32), np.uint8)
    put("yuv420", yuv)
    put("nv12_bgr", cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_NV12))
    put("i420_rgb", cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420))
    packed = rng.integers(0, 256, (12, 20, 2), np.uint8)
    put("yuyv", packed.reshape(12, 40))
    put("yuyv_bgr", cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_YUY2))


def filters(image):
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    level, binary = cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    put("otsu", binary)
    put("otsu_level", np.array([[int(level)]]))
    put("adaptive", cv2.adaptiveThreshold(gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 11, 2))
    put("box_5x3", cv2.blur(image, (5, 3)))
    put("gauss_7", cv2.GaussianBlur(image, (7, 7), 1.6))
    put("gauss_5x9", cv2.GaussianBlur(image, (5, 9), 0, borderType=cv2.BORDER_REPLICATE))
    rng = np.random.default_rng(11)
    blobs = (cv2.blur(rng.integers(0, 256, (40, 50), np.uint8), (3, 3)) > 132).astype(np.uint8) * 255
    put("blobs", blobs)
    for connectivity in (4, 8):
        count, labels, stats, centroids = cv2.connectedComponentsWithStats(blobs, connectivity=connectivity)
        assert count <= 256
        put(f"labels_{connectivity}", labels)
        boxes = stats[1:].astype("<i4")
        put(f"stats_{connectivity}", np.frombuffer(boxes.tobytes(), np.uint8).reshape(count - 1, 20))


def blob(image):
    tensor = cv2.dnn.blobFromImage(cv2.resize(image, (24, 20)), 1.0, (24, 20), (0, 0, 0), True, False)
    put("blob_rgb", tensor[0].transpose(1, 2, 0))


def main():
    image, soft = scene(48, 64), smooth(48, 64)
    put("scene", image)
    put("smooth", soft)
    resizes(image)
    antialiased(image)
    warps(soft)
    colors(image)
    filters(image)
    blob(image)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(b"".join(RECORDS))
    print(f"{OUT}: {len(RECORDS)} records, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
