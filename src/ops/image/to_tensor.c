/*
 * Fused preprocessing: rows of the source are read (converted when they must be), interpolated into
 * one row of levels that stays in the first-level cache, and written as elements of the tensor.
 */
#include <math.h>
#include <string.h>

#include "ops/image/fit.h"
#include "ops/image/resample.h"
#include "ops/image/row_reader.h"
#include "ops/image/tensor_rows.h"

#define TO_TENSOR_BAND 16
#define PATTERN        48 /* elements after which interleaved factors of 1, 3 and 4 channels repeat */

typedef struct to_tensor_job {
    nnd_row_reader reader;
    nnd_resampler resampler;
    nnd_fit_layout layout;
    nnd_tensor_rows out;
    int map[4];           /* channel of the rows for each channel of the tensor, −1 = opaque */
    float mul[4], add[4]; /* per channel of the tensor */
    float pad[4];         /* elements */
    float mul_pattern[PATTERN], add_pattern[PATTERN];
    const nnd_ops_kernels *kernels;
} to_tensor_job;

typedef struct to_tensor_lane {
    nnd_row_cache cache;
    nnd_resample_scratch resample;
    void *levels;     /* the interpolated row */
    uint8_t *ordered; /* its channels in the tensor's order */
    float *elements;  /* before they become f16 or u8 */
    float *planes;    /* channels of f32 levels before they are interleaved */
} to_tensor_lane;

static void carve_lane(to_tensor_lane *lane, const to_tensor_job *job, nnd_carve *carve)
{
    const size_t width = (size_t)job->layout.content.width;
    memset(lane, 0, sizeof(*lane));
    nnd_row_cache_carve(&lane->cache, &job->reader, nnd_resampler_rows(&job->resampler), carve);
    nnd_resample_carve(&lane->resample, &job->resampler, carve);
    lane->levels = nnd_carve_take(carve, width * 4 * sizeof(float));
    lane->ordered = nnd_carve_take(carve, width * 4);
    lane->elements = nnd_carve_take(carve, (size_t)job->out.width * 4 * sizeof(float));
    if (job->out.interleaved && job->reader.dtype == NND_F32)
        lane->planes = nnd_carve_take(carve, width * 4 * sizeof(float));
}

static const void *source_row(void *user, int y)
{
    return nnd_row_cache_get(user, y);
}

/* ---- levels to elements ---------------------------------------------------------------- */

static void fill_f32(float *dst, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = value;
}

/* Levels → one f32 row per channel of the tensor. */
static void write_planes(const to_tensor_job *job, const void *levels, size_t width,
                         float *const plane[4])
{
    const nnd_ops_kernels *kernels = job->kernels;
    const bool deep = job->reader.dtype == NND_F32;
    const int channels = job->reader.channels;
    float *source_plane[4] = {NULL, NULL, NULL, NULL};
    float mul[4] = {0}, add[4] = {0};
    for (int k = 0; k < job->out.channels; k++) {
        const int from = job->map[k];
        if (from < 0) {
            fill_f32(plane[k], width, 255.0f * job->mul[k] + job->add[k]);
        } else if (channels == 1) {
            if (deep)
                kernels->planar_f32c1(&plane[k], levels, width, &job->mul[k], &job->add[k]);
            else
                kernels->planar_u8c1(&plane[k], levels, width, &job->mul[k], &job->add[k]);
        } else {
            source_plane[from] = plane[k];
            mul[from] = job->mul[k];
            add[from] = job->add[k];
        }
    }
    if (channels == 1) return;
    if (deep)
        (channels == 3 ? kernels->planar_f32c3 : kernels->planar_f32c4)(source_plane, levels, width,
                                                                        mul, add);
    else
        (channels == 3 ? kernels->planar_u8c3 : kernels->planar_u8c4)(source_plane, levels, width,
                                                                      mul, add);
}

/* u8 levels with the tensor's channels side by side. */
static const uint8_t *order_u8(const to_tensor_job *job, const to_tensor_lane *lane, size_t width)
{
    const size_t channels = (size_t)job->out.channels, from = (size_t)job->reader.channels;
    const uint8_t *levels = lane->levels;
    bool same = channels == from;
    for (size_t k = 0; k < channels; k++)
        same = same && job->map[k] == (int)k;
    if (same) return levels;
    if (channels == from && channels == 3) {
        job->kernels->swap_u8c3(lane->ordered, levels, width);
    } else if (channels == from && channels == 4) {
        job->kernels->swap_u8c4(lane->ordered, levels, width);
    } else {
        nnd_channel_order order = {(int)from, (int)channels, {0}};
        memcpy(order.channel, job->map, sizeof(order.channel));
        job->kernels->order_u8(lane->ordered, levels, width, &order);
    }
    return lane->ordered;
}

/* f32 levels → elements side by side: by way of planes, which put the channels in order. */
static void pack_f32(const to_tensor_job *job, const to_tensor_lane *lane, size_t width, float *dst)
{
    const int channels = job->out.channels;
    float *plane[4];
    for (int k = 0; k < channels; k++)
        plane[k] = channels == 1 ? dst : lane->planes + (size_t)k * width;
    write_planes(job, lane->levels, width, plane);
    if (channels == 3)
        job->kernels->interleave_f32c3(dst, (const float *const *)plane, width);
    else if (channels == 4)
        job->kernels->interleave_f32c4(dst, (const float *const *)plane, width);
}

/* The row of levels → f32 elements: planes, or interleaved at plane[0]. */
static void write_elements(const to_tensor_job *job, const to_tensor_lane *lane, size_t width,
                           float *const plane[4])
{
    if (!job->out.interleaved)
        write_planes(job, lane->levels, width, plane);
    else if (job->reader.dtype == NND_F32)
        pack_f32(job, lane, width, plane[0]);
    else
        job->kernels->packed_u8(plane[0], order_u8(job, lane, width),
                                width * (size_t)job->out.channels, job->mul_pattern,
                                job->add_pattern);
}

static void convert_elements(const to_tensor_job *job, void *dst, const float *src, size_t count)
{
    if (job->out.dtype == NND_F16)
        job->kernels->f32_to_f16(dst, src, count);
    else
        job->kernels->f32_to_u8(dst, src, count);
}

static void write_row(const to_tensor_job *job, const to_tensor_lane *lane, int y)
{
    const size_t width = (size_t)job->layout.content.width, channels = (size_t)job->out.channels;
    const int x = job->layout.content.x;
    const int planes = job->out.interleaved ? 1 : job->out.channels;
    float *plane[4] = {NULL, NULL, NULL, NULL};
    for (int k = 0; k < planes; k++)
        plane[k] = job->out.dtype == NND_F32
                       ? (float *)(void *)nnd_tensor_rows_at(&job->out, k, y, x)
                       : lane->elements + (size_t)k * width;
    write_elements(job, lane, width, plane);
    if (job->out.dtype == NND_F32) return;
    const size_t count = job->out.interleaved ? width * channels : width;
    for (int k = 0; k < planes; k++)
        convert_elements(job, nnd_tensor_rows_at(&job->out, k, y, x), plane[k], count);
}

/* Padding of the columns [x, x + count) of row y. */
static void write_padding(const to_tensor_job *job, const to_tensor_lane *lane, int y, int x,
                          int count)
{
    const size_t channels = job->out.interleaved ? (size_t)job->out.channels : 1;
    const int planes = job->out.interleaved ? 1 : job->out.channels;
    if (count <= 0) return;
    for (int k = 0; k < planes; k++) {
        void *dst = nnd_tensor_rows_at(&job->out, k, y, x);
        float *elements = job->out.dtype == NND_F32 ? dst : lane->elements;
        for (size_t i = 0; i < (size_t)count; i++)
            for (size_t c = 0; c < channels; c++)
                elements[i * channels + c] = job->pad[(size_t)k + c];
        if (job->out.dtype != NND_F32)
            convert_elements(job, dst, elements, (size_t)count * channels);
    }
}

static nnd_status to_tensor_band(void *user, int begin, int end, void *memory)
{
    const to_tensor_job *job = user;
    const nnd_rect content = job->layout.content;
    nnd_carve carve = {memory, 0};
    to_tensor_lane lane;
    carve_lane(&lane, job, &carve);
    nnd_row_cache_reset(&lane.cache);
    for (int y = begin; y < end; y++) {
        if (y < content.y || y >= content.y + content.height) {
            write_padding(job, &lane, y, 0, job->out.width);
            continue;
        }
        nnd_resample_row(&job->resampler, &lane.resample, y - content.y, lane.levels, source_row,
                         &lane.cache);
        write_padding(job, &lane, y, 0, content.x);
        write_row(job, &lane, y);
        write_padding(job, &lane, y, content.x + content.width,
                      job->out.width - content.x - content.width);
    }
    return NND_OK;
}

/* ---- set-up ---------------------------------------------------------------------------- */

static nnd_status check_options(const nnd_to_tensor_options *options)
{
    const int channels = nnd_ops_channels(options->order);
    NND_OPS_CHECK_OPTIONS(options, nnd_to_tensor_options);
    if (!channels)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "the order of channels cannot be %s",
                             nnd_pixel_format_name(options->order));
    for (int k = 0; k < channels; k++)
        if (!(options->std[k] != 0) || !nnd_ops_is_finite(options->std[k]) ||
            !nnd_ops_is_finite(options->mean[k]))
            return nnd_error_set(NND_E_INVALID_ARGUMENT,
                                 "channel %d: mean %g, std %g: finite and std not 0", k,
                                 options->mean[k], options->std[k]);
    if (!nnd_ops_is_finite(options->scale))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "scale is not finite");
    return NND_OK;
}

static void set_factors(to_tensor_job *job, const nnd_to_tensor_options *options)
{
    for (int k = 0; k < job->out.channels; k++) {
        job->mul[k] = (float)(options->scale / options->std[k]);
        job->add[k] = (float)(-options->mean[k] / options->std[k]);
        job->pad[k] = (float)options->pad[k] * job->mul[k] + job->add[k];
    }
    for (int i = 0; i < PATTERN; i++) {
        job->mul_pattern[i] = job->mul[i % job->out.channels];
        job->add_pattern[i] = job->add[i % job->out.channels];
    }
}

nnd_status nnd_image_to_tensor(nnd_tensor *dst, const nnd_image *src,
                               const nnd_to_tensor_options *options, nnd_geometry *geometry)
{
    const nnd_to_tensor_options defaults = NND_TO_TENSOR_OPTIONS_INIT;
    to_tensor_job job = {0};
    nnd_rect roi;
    if (!options) options = &defaults;
    NND_TRY(check_options(options));
    NND_TRY(nnd_ops_check_image(src, "source"));
    NND_TRY(nnd_tensor_rows_init(&job.out, dst, options->batch, nnd_ops_channels(options->order)));
    NND_TRY(nnd_fit_roi(options->roi, src->width, src->height, &roi));
    NND_TRY(nnd_fit_layout_init(&job.layout, options->fit, options->align, roi, job.out.width,
                                job.out.height));

    const bool u8 = src->dtype == NND_U8;
    job.kernels = nnd_ops_kernels_get();
    nnd_row_reader_init(&job.reader, src, roi, options->order, u8 ? NND_U8 : NND_F32,
                        u8 ? 1.0 : 255.0 / nnd_ops_max_level(src->dtype));
    nnd_channel_map(job.reader.format, options->order, job.map);
    set_factors(&job, options);
    NND_TRY(nnd_resampler_init(&job.resampler, job.layout.x, job.layout.y, job.reader.channels,
                               job.reader.dtype, options->filter, options->antialias));
    nnd_carve measure = {NULL, 0};
    to_tensor_lane lane;
    carve_lane(&lane, &job, &measure);
    const nnd_status status = nnd_ops_for_rows(job.out.height, TO_TENSOR_BAND, options->threads,
                                               measure.used, to_tensor_band, &job, options->cancel);
    nnd_resampler_fini(&job.resampler);
    if (status == NND_OK && geometry)
        nnd_fit_layout_geometry(&job.layout, roi, src->width, src->height, job.out.width,
                                job.out.height, geometry);
    return status;
}
