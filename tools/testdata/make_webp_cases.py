#!/usr/bin/env python3
"""WebP files for tests/ops/test_codec_more.c, which knows the formulas of their pictures.
    tools/testdata/make_webp_cases.py tests/ops/data/codec"""
import sys
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 13, 19
LOSSLESS = 101  # OpenCV's word for it


def main(folder):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([x * 13 + y * 3, y * 17 + 40, x * y + 90], -1) % 256
    alpha = (x * 11 + y * 7) % 255 + 1  # the encoder is free with colours that nobody sees
    smooth = np.stack([x * 6 + y * 4, y * 8 + 60, 200 - x * 5], -1)
    for name, picture, quality in (
        ("rgb_lossless", rgb[..., ::-1], LOSSLESS),
        ("rgba_lossless", np.dstack([rgb[..., ::-1], alpha]), LOSSLESS),
        ("rgb_lossy", smooth[..., ::-1], 90),
    ):
        _, data = cv2.imencode(".webp", np.ascontiguousarray(picture, np.uint8), [cv2.IMWRITE_WEBP_QUALITY, quality])
        (folder / f"{name}.webp").write_bytes(data.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
