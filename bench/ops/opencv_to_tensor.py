"""OpenCV's resize, cvtColor and blobFromImage from Python, where its C++ headers are missing.

Prints "opencv blob median_ms min_ms", as peer_opencv_to_tensor does.
"""
import sys
import time

import cv2
import numpy as np


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    cv2.setNumThreads(1)
    image = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), np.uint8)
    took = []
    for i in range(-5, rounds):
        start = time.perf_counter()
        rgb = cv2.cvtColor(cv2.resize(image, (640, 640), interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2RGB)
        cv2.dnn.blobFromImage(rgb, 1.0 / 255.0, (640, 640), (0, 0, 0), False, False)
        if i >= 0:
            took.append((time.perf_counter() - start) * 1e3)
    took.sort()
    print(f"opencv blob {took[len(took) // 2]:.3f} {took[0]:.3f}")


if __name__ == "__main__":
    main()
