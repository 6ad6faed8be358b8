/* Elements of a tensor back to levels of an image. */
#include <math.h>
#include <string.h>

#include "data/float_bits.h"
#include "ops/image/carve.h"
#include "ops/image/row_reader.h"
#include "ops/image/tensor_rows.h"

#define FROM_TENSOR_BAND 16

typedef struct from_tensor_job {
    nnd_tensor_rows in;
    nnd_image out;
    int map[4];           /* channel of the tensor for each channel of the image, −1 = opaque */
    bool to_gray;         /* colour in the tensor, gray in the image */
    float gray[3];        /* weights of the tensor's channels */
    float mul[4], add[4]; /* per channel of the tensor, to the image's own scale */
    const nnd_ops_kernels *kernels;
} from_tensor_job;

/* Channel k of row y as levels of the image. */
static void read_channel(const from_tensor_job *job, int k, int y, float *dst)
{
    const nnd_tensor_rows *in = &job->in;
    const uint8_t *row = nnd_tensor_rows_at(in, k, y, 0);
    const size_t step = in->interleaved ? (size_t)in->channels : 1;
    const float mul = job->mul[k], add = job->add[k];
    const size_t width = (size_t)in->width;
    if (in->dtype == NND_F32) {
        const float *f = (const float *)(const void *)row;
        for (size_t i = 0; i < width; i++)
            dst[i] = f[i * step] * mul + add;
    } else if (in->dtype == NND_F16) {
        const uint16_t *h = (const uint16_t *)(const void *)row;
        for (size_t i = 0; i < width; i++)
            dst[i] = nnd_f16_to_f32(h[i * step]) * mul + add;
    } else {
        for (size_t i = 0; i < width; i++)
            dst[i] = (float)row[i * step] * mul + add;
    }
}

static void clamp_levels(float *levels, size_t count, float max)
{
    for (size_t i = 0; i < count; i++) {
        const float v = levels[i] > 0.0f ? levels[i] : 0.0f;
        levels[i] = v < max ? v : max;
    }
}

/* Levels in the image's order → its row. */
static void store_row(const from_tensor_job *job, int y, float *levels, size_t count)
{
    uint8_t *row = nnd_ops_row(&job->out, 0, y);
    if (job->out.dtype == NND_U8) {
        job->kernels->f32_to_u8(row, levels, count);
        return;
    }
    clamp_levels(levels, count, (float)nnd_ops_max_level(job->out.dtype));
    if (job->out.dtype == NND_F32) {
        memcpy(row, levels, count * sizeof(float));
        return;
    }
    uint16_t *u16 = (uint16_t *)(void *)row;
    for (size_t i = 0; i < count; i++)
        u16[i] = (uint16_t)rintf(levels[i]);
}

static nnd_status from_tensor_band(void *user, int begin, int end, void *memory)
{
    const from_tensor_job *job = user;
    const size_t width = (size_t)job->in.width,
                 channels = (size_t)nnd_ops_channels(job->out.format);
    nnd_carve carve = {memory, 0};
    float *planes = nnd_carve_take(&carve, width * 4 * sizeof(float));
    float *levels = nnd_carve_take(&carve, width * 4 * sizeof(float));
    for (int y = begin; y < end; y++) {
        for (int k = 0; k < job->in.channels; k++)
            read_channel(job, k, y, planes + (size_t)k * width);
        if (job->to_gray) {
            for (size_t i = 0; i < width; i++)
                levels[i] = planes[i] * job->gray[0] + planes[width + i] * job->gray[1] +
                            planes[2 * width + i] * job->gray[2];
        } else {
            for (size_t k = 0; k < channels; k++) {
                const float *plane = planes + (size_t)(job->map[k] < 0 ? 0 : job->map[k]) * width;
                const float opaque = (float)nnd_ops_max_level(job->out.dtype);
                for (size_t i = 0; i < width; i++)
                    levels[i * channels + k] = job->map[k] < 0 ? opaque : plane[i];
            }
        }
        store_row(job, y, levels, width * channels);
    }
    return NND_OK;
}

static nnd_status set_factors(from_tensor_job *job, const nnd_from_tensor_options *options)
{
    /* Levels are on the scale 0…255 first, then on the image's own. */
    const double own = nnd_ops_max_level(job->out.dtype) / 255.0;
    if (!(options->scale != 0) || !nnd_ops_is_finite(options->scale))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "scale is %g: must be finite and not 0",
                             options->scale);
    for (int k = 0; k < job->in.channels; k++) {
        if (!nnd_ops_is_finite(options->std[k]) || !nnd_ops_is_finite(options->mean[k]))
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "channel %d: mean and std must be finite",
                                 k);
        job->mul[k] = (float)(options->std[k] / options->scale * own);
        job->add[k] = (float)(options->mean[k] / options->scale * own);
    }
    return NND_OK;
}

nnd_status nnd_image_from_tensor(nnd_image *dst, const nnd_tensor *src,
                                 const nnd_from_tensor_options *options)
{
    const nnd_from_tensor_options defaults = NND_FROM_TENSOR_OPTIONS_INIT;
    from_tensor_job job = {0};
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_from_tensor_options);
    const int channels = nnd_ops_channels(options->order);
    if (!channels)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "the order of channels cannot be %s",
                             nnd_pixel_format_name(options->order));
    NND_TRY(nnd_ops_check_interleaved(dst, "destination"));
    NND_TRY(nnd_tensor_rows_init(&job.in, src, options->batch, channels));
    if (job.in.width != dst->width || job.in.height != dst->height)
        return nnd_error_set(NND_E_SHAPE, "the tensor's picture is %d x %d, the image %d x %d",
                             job.in.width, job.in.height, (int)dst->width, (int)dst->height);
    job.out = *dst;
    job.kernels = nnd_ops_kernels_get();
    NND_TRY(set_factors(&job, options));
    nnd_channel_map(options->order, dst->format, job.map);
    job.to_gray = dst->format == NND_PIX_GRAY && channels >= 3;
    const bool bgr = options->order == NND_PIX_BGR || options->order == NND_PIX_BGRA;
    job.gray[0] = bgr ? 0.114f : 0.299f;
    job.gray[1] = 0.587f;
    job.gray[2] = bgr ? 0.299f : 0.114f;
    nnd_carve measure = {NULL, 0};
    nnd_carve_take(&measure, (size_t)dst->width * 4 * sizeof(float));
    nnd_carve_take(&measure, (size_t)dst->width * 4 * sizeof(float));
    return nnd_ops_for_rows(dst->height, FROM_TENSOR_BAND, options->threads, measure.used,
                            from_tensor_band, &job, options->cancel);
}
