/* Colour spaces in plain C; see kernels.h. */
#include <math.h>

#include "ops/kernels/fixed.h"
#include "ops/kernels/reference/reference.h"

/* ---- HSV ------------------------------------------------------------------------------- */

/* A quotient of integers that f32 holds exactly lies further from the middle between two integers
   than the division rounds, or is that middle itself: the result is the exact one. */
static int quotient(int numerator, int denominator)
{
    return (int)lrintf((float)numerator / (float)denominator);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

void nnd_rgb_to_hsv_u8_reference(uint8_t *dst, const uint8_t *src, size_t count, int channels,
                                 bool bgr)
{
    for (size_t i = 0; i < count; i++, src += channels, dst += 3) {
        const int r = src[bgr ? 2 : 0], g = src[1], b = src[bgr ? 0 : 2];
        const int max = larger(larger(r, g), b), range = max - smaller(smaller(r, g), b);
        const int base = max == r ? 0 : max == g ? 60 : 120;
        const int difference = max == r ? g - b : max == g ? b - r : r - g;
        const int hue = base + quotient(30 * difference, larger(range, 1));
        dst[0] = (uint8_t)(hue < 0 ? hue + 180 : hue);
        dst[1] = (uint8_t)quotient(255 * range, larger(max, 1));
        dst[2] = (uint8_t)max;
    }
}

/* What a channel is at that distance from its own hue, in sectors of 60 degrees; `place` is a
   sector counted from there. */
static int level_at(int place, int max, int between, int min)
{
    const int distance = smaller(place, 5 - place);
    return distance == 0 ? max : distance == 1 ? between : min;
}

void nnd_hsv_to_rgb_u8_reference(uint8_t *dst, const uint8_t *src, size_t count, int channels,
                                 bool bgr)
{
    for (size_t i = 0; i < count; i++, src += 3, dst += channels) {
        const int hue = src[0] % 180, saturation = src[1], max = src[2];
        const int sector = hue / 30, rest = hue % 30;
        const int share = sector & 1 ? rest : 30 - rest;
        const int between = quotient(max * (7650 - saturation * share), 7650);
        const int min = quotient(max * (7650 - saturation * 30), 7650);
        dst[bgr ? 2 : 0] = (uint8_t)level_at(sector, max, between, min);
        dst[1] = (uint8_t)level_at((sector + 4) % 6, max, between, min);
        dst[bgr ? 0 : 2] = (uint8_t)level_at((sector + 2) % 6, max, between, min);
        if (channels == 4) dst[3] = 255;
    }
}

/* ---- YCrCb ----------------------------------------------------------------------------- */

void nnd_rgb_to_ycrcb_u8_reference(uint8_t *dst, const uint8_t *src, size_t count, int channels,
                                   bool bgr)
{
    for (size_t i = 0; i < count; i++, src += channels, dst += 3) {
        const int r = src[bgr ? 2 : 0], g = src[1], b = src[bgr ? 0 : 2];
        const int y = (4899 * r + 9617 * g + 1868 * b + 8192) >> 14;
        dst[0] = (uint8_t)y;
        dst[1] = nnd_fixed_clamp8((((r - y) * 11682 + 8192) >> 14) + 128);
        dst[2] = nnd_fixed_clamp8((((b - y) * 9241 + 8192) >> 14) + 128);
    }
}

void nnd_ycrcb_to_rgb_u8_reference(uint8_t *dst, const uint8_t *src, size_t count, int channels,
                                   bool bgr)
{
    for (size_t i = 0; i < count; i++, src += 3, dst += channels) {
        const int y = src[0], cr = src[1] - 128, cb = src[2] - 128;
        dst[bgr ? 2 : 0] = nnd_fixed_clamp8(y + ((22987 * cr + 8192) >> 14));
        dst[1] = nnd_fixed_clamp8(y + ((8192 - 11698 * cr - 5636 * cb) >> 14));
        dst[bgr ? 0 : 2] = nnd_fixed_clamp8(y + ((29049 * cb + 8192) >> 14));
        if (channels == 4) dst[3] = 255;
    }
}
