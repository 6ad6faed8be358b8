#include "ops/ops_common.h"

#include <math.h>
#include <string.h>

#define NND_OPS_LANE_ALIGN 64

nnd_ops_plane nnd_ops_plane_of(const nnd_image *image, int plane)
{
    const int half_w = (image->width + 1) / 2, half_h = (image->height + 1) / 2;
    switch (image->format) {
    case NND_PIX_NV12:
        return plane == 0 ? (nnd_ops_plane){image->width, image->height, 1}
                          : (nnd_ops_plane){half_w, half_h, 2};
    case NND_PIX_I420:
        return plane == 0 ? (nnd_ops_plane){image->width, image->height, 1}
                          : (nnd_ops_plane){half_w, half_h, 1};
    case NND_PIX_YUYV:
        return (nnd_ops_plane){half_w, image->height, 4};
    default:
        return (nnd_ops_plane){image->width, image->height, nnd_ops_channels(image->format)};
    }
}

nnd_status nnd_ops_check_image(const nnd_image *image, const char *name)
{
    if (!image) return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: no image", name);
    const bool yuv = nnd_ops_is_yuv(image->format);
    if (!yuv && !nnd_ops_channels(image->format))
        return nnd_error_set(NND_E_UNSUPPORTED, "%s: unknown pixel format %d", name,
                             (int)image->format);
    if (image->dtype != NND_U8 && (yuv || (image->dtype != NND_U16 && image->dtype != NND_F32)))
        return nnd_error_set(NND_E_TYPE, "%s: %s images cannot hold %s", name,
                             nnd_pixel_format_name(image->format), nnd_dtype_name(image->dtype));
    if (image->width < 1 || image->height < 1)
        return nnd_error_set(NND_E_SHAPE, "%s: empty image %d x %d", name, (int)image->width,
                             (int)image->height);
    if (image->width > NND_IMAGE_MAX_SIDE || image->height > NND_IMAGE_MAX_SIDE)
        return nnd_error_set(NND_E_LIMIT, "%s: image %d x %d, sides may have %d pixels", name,
                             (int)image->width, (int)image->height, NND_IMAGE_MAX_SIDE);
    const int planes = image->format == NND_PIX_NV12 ? 2 : image->format == NND_PIX_I420 ? 3 : 1;
    for (int p = 0; p < planes; p++) {
        const nnd_ops_plane size = nnd_ops_plane_of(image, p);
        const int64_t bytes = (int64_t)size.width * size.channels * nnd_ops_depth(image->dtype);
        if (!image->data[p])
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: plane %d is not in host memory", name,
                                 p);
        if (size.height > 1 && image->stride[p] < bytes && image->stride[p] > -bytes)
            return nnd_error_set(NND_E_SHAPE, "%s: stride %lld of plane %d, a row has %lld bytes",
                                 name, (long long)image->stride[p], p, (long long)bytes);
        if (((uintptr_t)image->data[p] | (uintptr_t)image->stride[p]) %
            (uintptr_t)nnd_ops_depth(image->dtype))
            return nnd_error_set(NND_E_INVALID_ARGUMENT,
                                 "%s: rows are not aligned to their %s elements", name,
                                 nnd_dtype_name(image->dtype));
    }
    return NND_OK;
}

nnd_status nnd_ops_check_interleaved(const nnd_image *image, const char *name)
{
    NND_TRY(nnd_ops_check_image(image, name));
    if (nnd_ops_is_yuv(image->format))
        return nnd_error_set(NND_E_UNSUPPORTED, "%s: %s is not taken here, convert it to rgb first",
                             name, nnd_pixel_format_name(image->format));
    return NND_OK;
}

nnd_status nnd_ops_check_same_kind(const nnd_image *dst, const nnd_image *src)
{
    NND_TRY(nnd_ops_check_image(dst, "destination"));
    NND_TRY(nnd_ops_check_image(src, "source"));
    if (dst->format != src->format)
        return nnd_error_set(NND_E_TYPE, "destination is %s, source is %s",
                             nnd_pixel_format_name(dst->format),
                             nnd_pixel_format_name(src->format));
    if (dst->dtype != src->dtype)
        return nnd_error_set(NND_E_TYPE, "destination holds %s, source holds %s",
                             nnd_dtype_name(dst->dtype), nnd_dtype_name(src->dtype));
    return NND_OK;
}

nnd_status nnd_ops_check_same_size(const nnd_image *dst, const nnd_image *src)
{
    if (dst->width != src->width || dst->height != src->height)
        return nnd_error_set(NND_E_SHAPE, "destination is %d x %d, source is %d x %d",
                             (int)dst->width, (int)dst->height, (int)src->width, (int)src->height);
    return NND_OK;
}

nnd_status nnd_ops_check_rect(nnd_rect rect, int width, int height, const char *name)
{
    if (rect.width < 1 || rect.height < 1 || rect.x < 0 || rect.y < 0 || rect.x > width ||
        rect.y > height || rect.width > width - rect.x || rect.height > height - rect.y)
        return nnd_error_set(NND_E_SHAPE, "%s: rectangle %d x %d at (%d, %d) is not inside %d x %d",
                             name, (int)rect.width, (int)rect.height, (int)rect.x, (int)rect.y,
                             width, height);
    return NND_OK;
}

bool nnd_ops_rect_is_empty(nnd_rect rect)
{
    return rect.x == 0 && rect.y == 0 && rect.width == 0 && rect.height == 0;
}

typedef struct band_job {
    nnd_ops_band_fn fn;
    void *user;
    int rows, band;
    uint8_t *scratch;
    size_t lane_bytes;
} band_job;

static nnd_status run_band(void *user, size_t index, int lane)
{
    const band_job *job = user;
    const int begin = (int)index * job->band;
    const int end = job->rows - begin < job->band ? job->rows : begin + job->band;
    return job->fn(job->user, begin, end, job->scratch + (size_t)lane * job->lane_bytes);
}

nnd_status nnd_ops_for_rows(int rows, int band, int threads, size_t scratch_bytes,
                            nnd_ops_band_fn fn, void *user, const nnd_cancel *cancel)
{
    if (threads < 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "threads is %d, expected 0 or more", threads);
    nnd_gang *gang = NULL;
    if (threads != 1) NND_TRY(nnd_gang_acquire(threads, &gang));
    const size_t lanes = gang ? (size_t)nnd_gang_size(gang) : 1;
    band_job job = {fn, user, rows, band, NULL, 0};
    nnd_status status = NND_E_OUT_OF_MEMORY;
    if (scratch_bytes < SIZE_MAX / 2) {
        job.lane_bytes =
            (scratch_bytes + NND_OPS_LANE_ALIGN) / NND_OPS_LANE_ALIGN * NND_OPS_LANE_ALIGN;
        if (job.lane_bytes <= SIZE_MAX / lanes)
            job.scratch = nnd_alloc_aligned(job.lane_bytes * lanes, NND_OPS_LANE_ALIGN);
    }
    if (job.scratch)
        status = nnd_gang_for(gang, ((size_t)rows + (size_t)band - 1) / (size_t)band, run_band,
                              &job, cancel);
    else
        nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu bytes of rows", scratch_bytes);
    nnd_free_aligned(job.scratch);
    nnd_gang_release(gang);
    return status;
}

uint8_t nnd_ops_to_u8(double value)
{
    return (uint8_t)(!(value > 0) ? 0 : value > 255 ? 255 : rint(value));
}

void nnd_ops_encode_pixel(const nnd_image *image, const double value[4], uint8_t out[16])
{
    const int channels = nnd_ops_channels(image->format);
    for (int c = 0; c < channels; c++) {
        const double v = value ? value[c] : 0;
        if (image->dtype == NND_U8) {
            out[c] = nnd_ops_to_u8(v);
        } else if (image->dtype == NND_U16) {
            const uint16_t u = (uint16_t)(!(v > 0) ? 0 : v > 65535 ? 65535 : rint(v));
            memcpy(out + 2 * c, &u, 2);
        } else {
            const float f = (float)v;
            memcpy(out + 4 * c, &f, 4);
        }
    }
}

void nnd_ops_fill_row(uint8_t *row, const uint8_t *pixel, size_t bytes, size_t count)
{
    if (count == 0) return;
    memcpy(row, pixel, bytes);
    /* Doubles what is there already. */
    for (size_t done = 1; done < count;) {
        const size_t n = count - done < done ? count - done : done;
        memcpy(row + done * bytes, row, n * bytes);
        done += n;
    }
}

int nnd_ops_border_index(int64_t i, int n, nnd_border border)
{
    if (i >= 0 && i < n) return (int)i;
    switch (border) {
    case NND_BORDER_CONSTANT:
        return -1;
    case NND_BORDER_REPLICATE:
        return i < 0 ? 0 : n - 1;
    case NND_BORDER_REFLECT: {
        if (n == 1) return 0;
        const int64_t period = 2 * (int64_t)n - 2;
        int64_t k = i % period;
        if (k < 0) k += period;
        return (int)(k < n ? k : period - k);
    }
    default: {
        const int64_t period = 2 * (int64_t)n;
        int64_t k = i % period;
        if (k < 0) k += period;
        return (int)(k < n ? k : period - 1 - k);
    }
    }
}
