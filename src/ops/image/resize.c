/* Resizing and letterboxing of whole images; names of the filters. */
#include <string.h>

#include "ops/image/fit.h"
#include "ops/image/resample.h"

#define RESIZE_BAND 16

static const char *const filter_names[] = {"nearest", "nearest-centre", "bilinear",
                                           "bicubic", "area",           "lanczos"};

const char *nnd_filter_name(nnd_filter filter)
{
    return (unsigned)filter < NND_COUNT(filter_names) ? filter_names[filter] : "unknown";
}

nnd_status nnd_filter_from_name(const char *name, nnd_filter *out)
{
    for (size_t i = 0; name && i < NND_COUNT(filter_names); i++) {
        if (strcmp(name, filter_names[i]) == 0) {
            *out = (nnd_filter)i;
            return NND_OK;
        }
    }
    return nnd_error_set(
        NND_E_INVALID_ARGUMENT,
        "unknown filter '%s': use nearest, nearest-centre, bilinear, bicubic, area or lanczos",
        name ? name : "");
}

/* A plane of samples, wherever it comes from. */
typedef struct plane_view {
    uint8_t *data;
    int64_t stride;
} plane_view;

typedef struct resize_job {
    nnd_resampler resampler;
    plane_view dst, src;
} resize_job;

static const void *source_row(void *user, int y)
{
    const plane_view *src = user;
    return src->data + y * src->stride;
}

static nnd_status resize_band(void *user, int begin, int end, void *memory)
{
    resize_job *job = user;
    nnd_carve carve = {memory, 0};
    nnd_resample_scratch scratch;
    nnd_resample_carve(&scratch, &job->resampler, &carve);
    for (int y = begin; y < end; y++)
        nnd_resample_row(&job->resampler, &scratch, y, job->dst.data + y * job->dst.stride,
                         source_row, &job->src);
    return NND_OK;
}

static nnd_status resize_plane(plane_view dst, plane_view src, nnd_axis_size x, nnd_axis_size y,
                               int channels, nnd_dtype dtype, const nnd_resize_options *options)
{
    resize_job job = {.dst = dst, .src = src};
    NND_TRY(nnd_resampler_init(&job.resampler, x, y, channels, dtype, options->filter,
                               options->antialias));
    nnd_carve measure = {NULL, 0};
    nnd_resample_scratch scratch;
    nnd_resample_carve(&scratch, &job.resampler, &measure);
    const nnd_status status = nnd_ops_for_rows(y.count, RESIZE_BAND, options->threads, measure.used,
                                               resize_band, &job, options->cancel);
    nnd_resampler_fini(&job.resampler);
    return status;
}

/* ---- YUYV ------------------------------------------------------------------------------ */

/* Luma and pairs of chroma are two pictures of the same rows. */
typedef struct yuyv_job {
    nnd_resampler luma, chroma;
    nnd_image dst, src;
} yuyv_job;

/* Source rows taken apart: a window, one per thread. Even slots are luma, odd ones chroma. */
typedef struct yuyv_lane {
    const yuyv_job *job;
    nnd_resample_scratch luma, chroma;
    int slots;
    int *tag;      /* row held by each slot, −1 = none */
    uint8_t *rows; /* of slot_bytes each */
    uint8_t *made_luma, *made_chroma;
    size_t slot_bytes;
} yuyv_lane;

static void carve_yuyv(yuyv_lane *lane, const yuyv_job *job, nnd_carve *carve)
{
    const size_t from = ((size_t)job->src.width + 1) / 2 * 2,
                 to = ((size_t)job->dst.width + 1) / 2 * 2;
    const int luma = nnd_resampler_rows(&job->luma), chroma = nnd_resampler_rows(&job->chroma);
    lane->job = job;
    lane->slots = luma > chroma ? luma : chroma;
    lane->slot_bytes = (from / NND_CARVE_ALIGN + 2) * NND_CARVE_ALIGN;
    nnd_resample_carve(&lane->luma, &job->luma, carve);
    nnd_resample_carve(&lane->chroma, &job->chroma, carve);
    lane->tag = nnd_carve_take(carve, sizeof(int) * (size_t)lane->slots);
    lane->rows = nnd_carve_take(carve, 2 * lane->slot_bytes * (size_t)lane->slots);
    lane->made_luma = nnd_carve_take(carve, to);
    lane->made_chroma = nnd_carve_take(carve, to);
}

/* Where row y is taken apart: luma, then, slot_bytes on, chroma. */
static const uint8_t *yuyv_row(yuyv_lane *lane, int y)
{
    const yuyv_job *job = lane->job;
    const int slot = y % lane->slots;
    uint8_t *luma = lane->rows + 2 * (size_t)slot * lane->slot_bytes;
    if (lane->tag[slot] != y) {
        job->luma.kernels->split_u8(luma, luma + lane->slot_bytes, nnd_ops_row(&job->src, 0, y),
                                    ((size_t)job->src.width + 1) / 2 * 2);
        lane->tag[slot] = y;
    }
    return luma;
}

static const void *luma_row(void *user, int y)
{
    return yuyv_row(user, y);
}

static const void *chroma_row(void *user, int y)
{
    const yuyv_lane *lane = user;
    return yuyv_row(user, y) + lane->slot_bytes;
}

static nnd_status yuyv_band(void *user, int begin, int end, void *memory)
{
    const yuyv_job *job = user;
    const size_t width = (size_t)job->dst.width;
    nnd_carve carve = {memory, 0};
    yuyv_lane lane;
    carve_yuyv(&lane, job, &carve);
    for (int i = 0; i < lane.slots; i++)
        lane.tag[i] = -1;
    for (int y = begin; y < end; y++) {
        nnd_resample_row(&job->luma, &lane.luma, y, lane.made_luma, luma_row, &lane);
        nnd_resample_row(&job->chroma, &lane.chroma, y, lane.made_chroma, chroma_row, &lane);
        if (width & 1) lane.made_luma[width] = lane.made_luma[width - 1];
        job->luma.kernels->merge_u8(nnd_ops_row(&job->dst, 0, y), lane.made_luma, lane.made_chroma,
                                    (width + 1) / 2 * 2);
    }
    return NND_OK;
}

static nnd_status resize_yuyv(nnd_image *dst, const nnd_image *src,
                              const nnd_resize_options *options)
{
    yuyv_job job = {.dst = *dst, .src = *src};
    const nnd_axis_size y = {src->height, dst->height, 0, dst->height},
                        luma = {src->width, dst->width, 0, dst->width};
    const nnd_axis_size pairs = {(src->width + 1) / 2, (dst->width + 1) / 2, 0,
                                 (dst->width + 1) / 2};
    NND_TRY(nnd_resampler_init(&job.luma, luma, y, 1, NND_U8, options->filter, options->antialias));
    nnd_status status =
        nnd_resampler_init(&job.chroma, pairs, y, 2, NND_U8, options->filter, options->antialias);
    if (status == NND_OK) {
        nnd_carve measure = {NULL, 0};
        yuyv_lane lane;
        carve_yuyv(&lane, &job, &measure);
        status = nnd_ops_for_rows(dst->height, RESIZE_BAND, options->threads, measure.used,
                                  yuyv_band, &job, options->cancel);
        nnd_resampler_fini(&job.chroma);
    }
    nnd_resampler_fini(&job.luma);
    return status;
}

/* ---- entry ----------------------------------------------------------------------------- */

nnd_status nnd_image_resize(nnd_image *dst, const nnd_image *src, const nnd_resize_options *options)
{
    const nnd_resize_options defaults = NND_RESIZE_OPTIONS_INIT;
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_resize_options);
    NND_TRY(nnd_ops_check_same_kind(dst, src));
    if (src->format == NND_PIX_YUYV) return resize_yuyv(dst, src, options);
    const int planes = nnd_pixel_format_planes(src->format);
    for (int p = 0; p < planes; p++) {
        const nnd_ops_plane from = nnd_ops_plane_of(src, p), to = nnd_ops_plane_of(dst, p);
        NND_TRY(resize_plane((plane_view){dst->data[p], dst->stride[p]},
                             (plane_view){src->data[p], src->stride[p]},
                             (nnd_axis_size){from.width, to.width, 0, to.width},
                             (nnd_axis_size){from.height, to.height, 0, to.height}, from.channels,
                             src->dtype, options));
    }
    return NND_OK;
}

/* Everything of `dst` outside of `content`. */
static void fill_around(nnd_image *dst, nnd_rect content, const double value[4])
{
    uint8_t pixel[16];
    const size_t bytes = (size_t)(nnd_ops_channels(dst->format) * nnd_ops_depth(dst->dtype));
    const size_t right = (size_t)(dst->width - content.x - content.width);
    nnd_ops_encode_pixel(dst, value, pixel);
    for (int y = 0; y < dst->height; y++) {
        uint8_t *row = nnd_ops_row(dst, 0, y);
        if (y < content.y || y >= content.y + content.height) {
            nnd_ops_fill_row(row, pixel, bytes, (size_t)dst->width);
            continue;
        }
        nnd_ops_fill_row(row, pixel, bytes, (size_t)content.x);
        nnd_ops_fill_row(row + (size_t)(content.x + content.width) * bytes, pixel, bytes, right);
    }
}

nnd_status nnd_image_letterbox(nnd_image *dst, const nnd_image *src,
                               const nnd_letterbox_options *options, nnd_geometry *geometry)
{
    const nnd_letterbox_options defaults = NND_LETTERBOX_OPTIONS_INIT;
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_letterbox_options);
    NND_TRY(nnd_ops_check_same_kind(dst, src));
    NND_TRY(nnd_ops_check_interleaved(src, "letterbox"));
    nnd_fit_layout layout;
    const nnd_rect whole = {0, 0, src->width, src->height};
    NND_TRY(
        nnd_fit_layout_init(&layout, options->fit, options->align, whole, dst->width, dst->height));
    fill_around(dst, layout.content, options->value);
    const size_t pixel = (size_t)(nnd_ops_channels(dst->format) * nnd_ops_depth(dst->dtype));
    const plane_view content = {
        nnd_ops_row(dst, 0, layout.content.y) + (size_t)layout.content.x * pixel, dst->stride[0]};
    const nnd_resize_options resize = {sizeof(resize), options->filter, options->antialias,
                                       options->threads, options->cancel};
    NND_TRY(resize_plane(content, (plane_view){src->data[0], src->stride[0]}, layout.x, layout.y,
                         nnd_ops_channels(src->format), src->dtype, &resize));
    if (geometry)
        nnd_fit_layout_geometry(&layout, whole, src->width, src->height, dst->width, dst->height,
                                geometry);
    return NND_OK;
}
