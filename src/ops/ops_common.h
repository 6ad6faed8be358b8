/*
 * What the operators share: checks of views, plane sizes, parallel bands of rows.
 */
#ifndef NND_OPS_COMMON_H
#define NND_OPS_COMMON_H

#include "nndeploy/ops.h"

#define NND_OPS_MAX_CHANNELS 4

/* A view that may be read or written: known format and dtype, sides in range, planes present and
   rows not longer than the stride. `name` goes into the message. */
nnd_status nnd_ops_check_image(const nnd_image *image, const char *name);
/* The same and an interleaved format. */
nnd_status nnd_ops_check_interleaved(const nnd_image *image, const char *name);
/* Both are views as above with the same format and dtype (and size). */
nnd_status nnd_ops_check_same_kind(const nnd_image *dst, const nnd_image *src);
nnd_status nnd_ops_check_same_size(const nnd_image *dst, const nnd_image *src);
/* The rectangle is not empty and inside width × height. */
nnd_status nnd_ops_check_rect(nnd_rect rect, int width, int height, const char *name);
bool nnd_ops_rect_is_empty(nnd_rect rect); /* all zero */

/* The options struct that the caller gave must be one we know. */
#define NND_OPS_CHECK_OPTIONS(options, type)                                                       \
    do {                                                                                           \
        if ((options)->size != sizeof(type))                                                       \
            return nnd_error_set(NND_E_INVALID_ARGUMENT,                                           \
                                 #type ".size is %zu, expected %zu: start from its initialiser",   \
                                 (options)->size, sizeof(type));                                   \
    } while (0)

static inline bool nnd_ops_is_yuv(nnd_pixel_format f)
{
    return f == NND_PIX_NV12 || f == NND_PIX_I420 || f == NND_PIX_YUYV;
}

/* Channels of an interleaved format, 0 for others. */
static inline int nnd_ops_channels(nnd_pixel_format f)
{
    switch (f) {
    case NND_PIX_RGB:
    case NND_PIX_BGR:
        return 3;
    case NND_PIX_GRAY:
        return 1;
    case NND_PIX_RGBA:
    case NND_PIX_BGRA:
        return 4;
    default:
        return 0;
    }
}

/* Bytes of one channel. */
static inline int nnd_ops_depth(nnd_dtype dtype)
{
    return dtype == NND_U8 ? 1 : dtype == NND_U16 ? 2 : 4;
}

/* The largest level of a dtype: 255, 65535, 1. */
static inline double nnd_ops_max_level(nnd_dtype dtype)
{
    return dtype == NND_U8 ? 255.0 : dtype == NND_U16 ? 65535.0 : 1.0;
}

static inline uint8_t *nnd_ops_row(const nnd_image *image, int plane, int64_t y)
{
    return image->data[plane] + y * image->stride[plane];
}

/* Width, height (in samples of `channels` values) of one plane. YUYV is one plane of pixel pairs
   with four values. */
typedef struct nnd_ops_plane {
    int width, height, channels;
} nnd_ops_plane;
nnd_ops_plane nnd_ops_plane_of(const nnd_image *image, int plane);

/* A band of destination rows [begin, end); scratch is the lane's own, 64-byte aligned. */
typedef nnd_status (*nnd_ops_band_fn)(void *user, int begin, int end, void *scratch);
/* Runs fn over [0, rows) in bands whose size does not depend on the number of threads. */
nnd_status nnd_ops_for_rows(int rows, int band, int threads, size_t scratch_bytes,
                            nnd_ops_band_fn fn, void *user, const nnd_cancel *cancel);

/* Infinity less itself is NaN, which equals nothing. */
static inline bool nnd_ops_is_finite(double value)
{
    return value - value == 0;
}
/* Rounds half to even and clamps; NaN gives 0. */
uint8_t nnd_ops_to_u8(double value);
/* One pixel of `image`'s dtype from levels per channel, into at most 16 bytes. */
void nnd_ops_encode_pixel(const nnd_image *image, const double value[4], uint8_t out[16]);
/* Repeats a pixel of `bytes` bytes `count` times. */
void nnd_ops_fill_row(uint8_t *row, const uint8_t *pixel, size_t bytes, size_t count);

/* Index of the sample at i in a line of n samples, by border; −1 = the constant. */
int nnd_ops_border_index(int64_t i, int n, nnd_border border);

#endif
