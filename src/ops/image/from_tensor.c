/* Elements of a tensor back to levels of an image. */
#include <string.h>

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

typedef struct from_tensor_lane {
    float *wide;     /* elements that were f16, or the levels of an image that is not f32 */
    float *plane[4]; /* levels of the tensor's channels */
    float *opaque;
} from_tensor_lane;

static void carve_lane(from_tensor_lane *lane, size_t width, nnd_carve *carve)
{
    lane->wide = nnd_carve_take(carve, 4 * width * sizeof(float));
    for (int k = 0; k < 4; k++)
        lane->plane[k] = nnd_carve_take(carve, width * sizeof(float));
    lane->opaque = nnd_carve_take(carve, width * sizeof(float));
}

/* A row of `channels` channels side by side → a plane of levels each, from plane `first` on. */
static void read_planes(const from_tensor_job *job, const from_tensor_lane *lane,
                        const uint8_t *row, int channels, int first)
{
    const nnd_ops_kernels *kernels = job->kernels;
    const size_t width = (size_t)job->in.width;
    float *const *plane = lane->plane + first;
    const float *mul = job->mul + first, *add = job->add + first;
    if (job->in.dtype == NND_U8) {
        (channels == 1   ? kernels->planar_u8c1
         : channels == 3 ? kernels->planar_u8c3
                         : kernels->planar_u8c4)(plane, row, width, mul, add);
        return;
    }
    const float *elements = (const float *)(const void *)row;
    if (job->in.dtype == NND_F16) {
        kernels->f16_to_f32(lane->wide, (const uint16_t *)(const void *)row,
                            width * (size_t)channels);
        elements = lane->wide;
    }
    (channels == 1   ? kernels->planar_f32c1
     : channels == 3 ? kernels->planar_f32c3
                     : kernels->planar_f32c4)(plane, elements, width, mul, add);
}

static void read_row(const from_tensor_job *job, const from_tensor_lane *lane, int y)
{
    if (job->in.interleaved) {
        read_planes(job, lane, nnd_tensor_rows_at(&job->in, 0, y, 0), job->in.channels, 0);
        return;
    }
    for (int k = 0; k < job->in.channels; k++)
        read_planes(job, lane, nnd_tensor_rows_at(&job->in, k, y, 0), 1, k);
}

/* Planes → levels in the image's order. */
static void order_levels(const from_tensor_job *job, const from_tensor_lane *lane, float *levels)
{
    const size_t width = (size_t)job->in.width;
    const int channels = nnd_ops_channels(job->out.format);
    const float *plane[4];
    for (int k = 0; k < channels; k++)
        plane[k] = job->map[k] < 0 ? lane->opaque : lane->plane[job->map[k]];
    if (job->to_gray)
        job->kernels->gray_f32(levels, (const float *const *)lane->plane, width, job->gray);
    else if (channels == 1)
        memcpy(levels, plane[0], width * sizeof(float));
    else if (channels == 3)
        job->kernels->interleave_f32c3(levels, plane, width);
    else
        job->kernels->interleave_f32c4(levels, plane, width);
}

static nnd_status from_tensor_band(void *user, int begin, int end, void *memory)
{
    const from_tensor_job *job = user;
    const nnd_ops_kernels *kernels = job->kernels;
    const size_t width = (size_t)job->in.width,
                 count = width * (size_t)nnd_ops_channels(job->out.format);
    const float max = (float)nnd_ops_max_level(job->out.dtype);
    nnd_carve carve = {memory, 0};
    from_tensor_lane lane;
    carve_lane(&lane, width, &carve);
    for (size_t i = 0; i < width; i++)
        lane.opaque[i] = max;
    for (int y = begin; y < end; y++) {
        void *row = nnd_ops_row(&job->out, 0, y);
        float *levels = job->out.dtype == NND_F32 ? row : lane.wide;
        read_row(job, &lane, y);
        order_levels(job, &lane, levels);
        if (job->out.dtype == NND_U8)
            kernels->f32_to_u8(row, levels, count);
        else if (job->out.dtype == NND_U16)
            kernels->f32_to_u16(row, levels, count);
        else
            kernels->clamp_f32(levels, levels, count, max);
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
    from_tensor_lane lane;
    carve_lane(&lane, (size_t)dst->width, &measure);
    return nnd_ops_for_rows(dst->height, FROM_TENSOR_BAND, options->threads, measure.used,
                            from_tensor_band, &job, options->cancel);
}
