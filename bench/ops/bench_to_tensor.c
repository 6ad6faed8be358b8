/*
 * The fused preprocessing of a detector: 1080p BGR u8 → 640 × 640 RGB f32 NCHW, one thread.
 *
 *   bench_ops_to_tensor [ROUNDS] [FORMAT]
 *
 * Prints one line "to_tensor <isa> <format> median_ms min_ms". NNDEPLOY_ISA lowers the instruction
 * set. bench/ops/run_to_tensor.sh runs it in turns with OpenCV's way of doing the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "nndeploy/ops.h"

#define MAX_ROUNDS 1000

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void fill_noise(uint8_t *data, size_t size)
{
    uint32_t state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (uint8_t)(state >> 24);
    }
}

static nnd_status measure(nnd_pixel_format format, int rounds, double *ms)
{
    nnd_image image;
    nnd_tensor tensor;
    size_t bytes = 0;
    const int64_t dims[4] = {1, 3, 640, 640};
    nnd_to_tensor_options options = NND_TO_TENSOR_OPTIONS_INIT;
    NND_TRY(nnd_image_init(&image, format, NND_U8, 1920, 1080, 0, NULL, &bytes));
    uint8_t *pixels = nnd_alloc_aligned(bytes, 64);
    float *elements = nnd_alloc_aligned(sizeof(float) * 3 * 640 * 640, 64);
    nnd_status status = NND_E_OUT_OF_MEMORY;
    if (pixels && elements) {
        fill_noise(pixels, bytes);
        status = nnd_image_init(&image, format, NND_U8, 1920, 1080, 0, pixels, NULL);
        if (status == NND_OK) status = nnd_tensor_init(&tensor, NND_F32, 4, dims, elements);
        for (int i = -5; i < rounds && status == NND_OK; i++) {
            const int64_t start = nnd_clock_now();
            status = nnd_image_to_tensor(&tensor, &image, &options, NULL);
            if (i >= 0) ms[i] = (double)(nnd_clock_now() - start) / 1e6;
        }
    }
    nnd_free_aligned(pixels);
    nnd_free_aligned(elements);
    return status;
}

int main(int argc, char **argv)
{
    static double ms[MAX_ROUNDS];
    const int rounds = argc > 1 ? atoi(argv[1]) : 100;
    const nnd_pixel_format format = argc > 2 ? nnd_pixel_format_from_name(argv[2]) : NND_PIX_BGR;
    if (rounds < 1 || rounds > MAX_ROUNDS || format == NND_PIX_NONE) {
        fprintf(stderr, "usage: %s [ROUNDS 1-%d] [FORMAT]\n", argv[0], MAX_ROUNDS);
        return 2;
    }
    const nnd_status status = measure(format, rounds, ms);
    if (status != NND_OK) {
        fprintf(stderr, "%s\n", nnd_status_text(status));
        return 4;
    }
    qsort(ms, (size_t)rounds, sizeof(ms[0]), by_value);
    printf("to_tensor %s %s %.3f %.3f\n", nnd_isa_name(nnd_isa_current()),
           nnd_pixel_format_name(format), ms[rounds / 2], ms[0]);
    return 0;
}
