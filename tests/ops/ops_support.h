/* Images for tests: noise, strides that are not the width, and guard bytes around every row. */
#ifndef NND_TESTS_OPS_SUPPORT_H
#define NND_TESTS_OPS_SUPPORT_H

#include "base/isa.h"
#include "nndeploy/ops.h"
#include "support/test.h"

#define GUARD_BYTE 0xA5
#define GUARD_SIZE 16

/* The same numbers in every run. */
static inline uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

typedef struct test_image {
    nnd_image view;
    uint8_t *block;
    size_t block_size;
} test_image;

/* An image whose planes lie apart, rows `slack` bytes further than needed; all bytes are guards. */
static inline test_image test_image_new(nnd_pixel_format format, nnd_dtype dtype, int width,
                                        int height, int slack)
{
    test_image t = {.view = {.format = format, .dtype = dtype, .width = width, .height = height}};
    const int depth = dtype == NND_U8 ? 1 : dtype == NND_U16 ? 2 : 4;
    const int half_w = (width + 1) / 2, half_h = (height + 1) / 2;
    int64_t row[3] = {0, 0, 0}, rows[3] = {height, half_h, half_h};
    size_t start[3] = {0, 0, 0}, size = GUARD_SIZE;
    switch (format) {
    case NND_PIX_NV12:
        row[0] = width, row[1] = 2 * half_w;
        break;
    case NND_PIX_I420:
        row[0] = width, row[1] = row[2] = half_w;
        break;
    case NND_PIX_YUYV:
        row[0] = 4 * half_w;
        break;
    default:
        row[0] = (int64_t)width * nnd_pixel_format_channels(format) * depth;
    }
    for (int p = 0; p < 3 && row[p]; p++) {
        t.view.stride[p] = row[p] + slack * depth;
        start[p] = size;
        size += (size_t)(t.view.stride[p] * rows[p]) + GUARD_SIZE;
    }
    t.block_size = size;
    t.block = malloc(size);
    assert_non_null(t.block);
    memset(t.block, GUARD_BYTE, size);
    for (int p = 0; p < 3 && row[p]; p++)
        t.view.data[p] = t.block + start[p];
    return t;
}

static inline void test_image_free(test_image *t)
{
    free(t->block);
    t->block = NULL;
}

/* Bytes of plane p's row without slack; 0 when there is no such plane. */
static inline size_t test_row_bytes(const nnd_image *image, int p)
{
    const size_t depth = image->dtype == NND_U8 ? 1 : image->dtype == NND_U16 ? 2 : 4;
    const size_t width = (size_t)image->width, pairs = (width + 1) / 2;
    switch (image->format) {
    case NND_PIX_NV12:
        return p == 0 ? width : p == 1 ? 2 * pairs : 0;
    case NND_PIX_I420:
        return p == 0 ? width : pairs;
    case NND_PIX_YUYV:
        return p == 0 ? 4 * pairs : 0;
    default:
        return p == 0 ? width * (size_t)nnd_pixel_format_channels(image->format) * depth : 0;
    }
}

static inline int test_rows(const nnd_image *image, int p)
{
    return p == 0 ? image->height : (image->height + 1) / 2;
}

/* Noise in every pixel; f32 between 0 and 1. */
static inline void test_image_noise(test_image *t, uint32_t seed)
{
    for (int p = 0; p < 3 && test_row_bytes(&t->view, p); p++) {
        for (int y = 0; y < test_rows(&t->view, p); y++) {
            uint8_t *row = t->view.data[p] + y * t->view.stride[p];
            const size_t bytes = test_row_bytes(&t->view, p);
            for (size_t i = 0; t->view.dtype == NND_F32 && i < bytes / 4; i++)
                ((float *)(void *)row)[i] = (float)(next_random(&seed) & 0xffff) / 65535.0f;
            for (size_t i = 0; t->view.dtype != NND_F32 && i < bytes; i++)
                row[i] = (uint8_t)next_random(&seed);
        }
    }
}

/* Everything that is not a pixel is still a guard byte. */
static inline void assert_guards(const test_image *t)
{
    uint8_t *mask = calloc(t->block_size, 1);
    assert_non_null(mask);
    for (int p = 0; p < 3 && test_row_bytes(&t->view, p); p++)
        for (int y = 0; y < test_rows(&t->view, p); y++)
            memset(mask + (t->view.data[p] - t->block) + y * t->view.stride[p], 1,
                   test_row_bytes(&t->view, p));
    for (size_t i = 0; i < t->block_size; i++)
        if (!mask[i] && t->block[i] != GUARD_BYTE)
            fail_msg("byte %zu of %zu was overwritten", i, t->block_size);
    free(mask);
}

/* The pixels of both are the same bytes. */
static inline void assert_same_pixels(const nnd_image *a, const nnd_image *b)
{
    for (int p = 0; p < 3 && test_row_bytes(a, p); p++) {
        for (int y = 0; y < test_rows(a, p); y++) {
            const uint8_t *x = a->data[p] + y * a->stride[p], *z = b->data[p] + y * b->stride[p];
            for (size_t i = 0; i < test_row_bytes(a, p); i++)
                if (x[i] != z[i])
                    fail_msg("plane %d row %d byte %zu of %zu: %d and %d (%s, %d x %d)", p, y, i,
                             test_row_bytes(a, p), x[i], z[i], nnd_isa_name(nnd_isa_current()),
                             a->width, a->height);
        }
    }
}

/* The levels worth testing on this machine, the reference first. */
static inline int test_isas(nnd_isa out[8])
{
    static const nnd_isa all[] = {NND_ISA_REFERENCE, NND_ISA_AVX2, NND_ISA_AVX512, NND_ISA_NEON};
    int count = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i] == NND_ISA_REFERENCE || nnd_isa_has(all[i])) out[count++] = all[i];
    return count;
}

/* Forces the n-th of them; behind the last one restores the machine's own and returns false. */
static inline bool test_force_isa(int n)
{
    nnd_isa isas[8];
    assert_ok(nnd_isa_force(nnd_isa_detected()));
    if (n >= test_isas(isas)) return false;
    assert_ok(nnd_isa_force(isas[n]));
    return true;
}
#define FOR_EACH_ISA for (int isa_ = 0; test_force_isa(isa_); isa_++)

#endif
