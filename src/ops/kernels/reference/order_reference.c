/* Channels and pixels in another order, in plain C. */
#include <string.h>

#include "ops/kernels/pixel_sizes.h"
#include "ops/kernels/reference/reference.h"

void nnd_order_u8_reference(uint8_t *dst, const uint8_t *src, size_t count,
                            const nnd_channel_order *order)
{
    const size_t from = (size_t)order->from, to = (size_t)order->to;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < to; k++) {
            const int channel = order->channel[k];
            dst[i * to + k] = channel < 0 ? 255 : src[i * from + (size_t)channel];
        }
}

void nnd_reverse_u8_reference(uint8_t *dst, const uint8_t *src, size_t count, size_t bytes)
{
#define REVERSE(n)                                                                                 \
    case n:                                                                                        \
        for (size_t i = 0; i < count; i++)                                                         \
            memcpy(dst + i * (n), src + (count - 1 - i) * (n), n);                                 \
        break;
    NND_FOR_PIXEL_SIZE(bytes, REVERSE)
#undef REVERSE
}

void nnd_transpose_reference(const nnd_transposition *job)
{
#define TRANSPOSE(n)                                                                               \
    case n:                                                                                        \
        for (size_t y = 0; y < job->height; y++) {                                                 \
            uint8_t *dst = job->dst + (int64_t)y * job->dst_stride;                                \
            const uint8_t *src = job->src + y * (n);                                               \
            for (size_t x = 0; x < job->width; x++, src += job->src_stride)                        \
                memcpy(dst + x * (n), src, n);                                                     \
        }                                                                                          \
        break;
    NND_FOR_PIXEL_SIZE(job->bytes, TRANSPOSE)
#undef TRANSPOSE
}

void nnd_nearest_reference(uint8_t *dst, const uint8_t *src, const nnd_nearest_columns *columns)
{
    const int32_t *start = columns->start;
#define PICK(n)                                                                                    \
    case n:                                                                                        \
        for (size_t i = 0; i < columns->count; i++)                                                \
            memcpy(dst + i * (n), src + (size_t)start[i] * (n), n);                                \
        break;
    NND_FOR_PIXEL_SIZE(columns->bytes, PICK)
#undef PICK
}
