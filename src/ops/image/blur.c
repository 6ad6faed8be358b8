/* Box and Gaussian blur, separable, in float. A box sums whole levels, which float does exactly. */
#include <math.h>
#include <string.h>

#include "ops/image/carve.h"
#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

#define BLUR_BAND 16
#define BLUR_MAX  255

typedef struct blur_job {
    nnd_image dst, src;
    nnd_border border;
    int width, height; /* of the kernel */
    float x[BLUR_MAX], y[BLUR_MAX];
    float gain; /* the sum is multiplied by this */
    const nnd_ops_kernels *kernels;
} blur_job;

/* The kernels of sizes 1, 3, 5 and 7 that OpenCV takes when no sigma is given, in 1/32. */
static const double small_kernels[4][7] = {
    {32}, {8, 16, 8}, {2, 8, 12, 8, 2}, {1, 3.5, 7, 9, 7, 3.5, 1}};

static void fill_weights(float *weight, int size, nnd_blur_kind kind, double sigma)
{
    double exact[BLUR_MAX], sum = 0;
    const double *small = sigma <= 0 && size <= 7 ? small_kernels[size / 2] : NULL;
    if (sigma <= 0) sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8;
    for (int i = 0; i < size; i++) {
        const double d = i - (size - 1) * 0.5;
        exact[i] = kind == NND_BLUR_BOX ? 1 : small ? small[i] : exp(-d * d / (2 * sigma * sigma));
        sum += exact[i];
    }
    for (int i = 0; i < size; i++)
        weight[i] = (float)(kind == NND_BLUR_BOX ? 1 : exact[i] / sum);
}

/* Repeats the ends of a row of sums: `padded` holds radius pixels, the row, radius pixels. */
static void pad_sums(const blur_job *job, float *padded, size_t channels)
{
    const int radius = job->width / 2, width = job->src.width;
    for (int i = 0; i < radius; i++) {
        const int left = nnd_ops_border_index(i - radius, width, job->border);
        const int right = nnd_ops_border_index((int64_t)width + i, width, job->border);
        memcpy(padded + (size_t)i * channels, padded + (size_t)(radius + left) * channels,
               channels * sizeof(float));
        memcpy(padded + (size_t)(radius + width + i) * channels,
               padded + (size_t)(radius + right) * channels, channels * sizeof(float));
    }
}

/* The weighted sum of the rows around y. */
static void sum_down(const blur_job *job, int y, float *sum, size_t count)
{
    const nnd_level_type type = nnd_level_type_of(job->src.dtype);
    for (int k = 0; k < job->height; k += NND_SUM_ROWS) {
        const void *rows[NND_SUM_ROWS];
        const int taps = job->height - k < NND_SUM_ROWS ? job->height - k : NND_SUM_ROWS;
        for (int t = 0; t < taps; t++)
            rows[t] = nnd_ops_row(&job->src, 0,
                                  nnd_ops_border_index((int64_t)y + k + t - job->height / 2,
                                                       job->src.height, job->border));
        job->kernels->sum_rows[type](sum, rows, job->y + k, taps, count, k == 0);
    }
}

/* Along the row the taps are the padded sums, each a pixel further on. */
static void sum_along(const blur_job *job, const float *padded, size_t channels, float *level,
                      size_t count)
{
    for (int k = 0; k < job->width; k += NND_SUM_ROWS) {
        const void *rows[NND_SUM_ROWS];
        const int taps = job->width - k < NND_SUM_ROWS ? job->width - k : NND_SUM_ROWS;
        for (int t = 0; t < taps; t++)
            rows[t] = padded + (size_t)(k + t) * channels;
        job->kernels->sum_rows[NND_LEVEL_F32](level, rows, job->x + k, taps, count, k == 0);
    }
}

static nnd_status blur_band(void *user, int begin, int end, void *memory)
{
    const blur_job *job = user;
    const size_t channels = (size_t)nnd_ops_channels(job->src.format);
    const size_t count = (size_t)job->src.width * channels, radius = (size_t)job->width / 2;
    const float none = 0;
    nnd_carve carve = {memory, 0};
    float *padded = nnd_carve_take(&carve, (count + 2 * radius * channels) * sizeof(float));
    float *scratch = nnd_carve_take(&carve, count * sizeof(float));
    for (int y = begin; y < end; y++) {
        uint8_t *dst = nnd_ops_row(&job->dst, 0, y);
        const bool in_place = job->dst.dtype == NND_F32;
        float *level = in_place ? (float *)(void *)dst : scratch;
        sum_down(job, y, padded + radius * channels, count);
        pad_sums(job, padded, channels);
        sum_along(job, padded, channels, level, count);
        job->kernels->planar_f32c1(&level, level, count, &job->gain, &none);
        if (!in_place) job->kernels->f32_to_u8(dst, level, count);
    }
    return NND_OK;
}

static nnd_status check_kernel(const nnd_blur_options *options)
{
    const int sizes[2] = {options->kernel_width, options->kernel_height};
    for (int i = 0; i < 2; i++)
        if (sizes[i] < 1 || sizes[i] > BLUR_MAX || sizes[i] % 2 == 0)
            return nnd_error_set(NND_E_INVALID_ARGUMENT,
                                 "blur kernel has size %d, expected odd, 1 to %d", sizes[i],
                                 BLUR_MAX);
    if (options->border != NND_BORDER_REFLECT && options->border != NND_BORDER_REPLICATE)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "blur takes the borders reflect and replicate");
    if (options->kind != NND_BLUR_BOX && options->kind != NND_BLUR_GAUSSIAN)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "unknown blur %d", (int)options->kind);
    return NND_OK;
}

nnd_status nnd_image_blur(nnd_image *dst, const nnd_image *src, const nnd_blur_options *options)
{
    const nnd_blur_options defaults = NND_BLUR_OPTIONS_INIT;
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_blur_options);
    NND_TRY(nnd_ops_check_same_kind(dst, src));
    NND_TRY(nnd_ops_check_same_size(dst, src));
    NND_TRY(nnd_ops_check_interleaved(src, "blur"));
    NND_TRY(check_kernel(options));
    if (src->dtype == NND_U16)
        return nnd_error_set(NND_E_TYPE, "blur takes u8 and f32 images, not u16");
    blur_job job = {.dst = *dst,
                    .src = *src,
                    .border = options->border,
                    .width = options->kernel_width,
                    .height = options->kernel_height,
                    .gain = 1,
                    .kernels = nnd_ops_kernels_get()};
    fill_weights(job.x, job.width, options->kind, options->sigma_x);
    fill_weights(job.y, job.height, options->kind, options->sigma_y);
    if (options->kind == NND_BLUR_BOX) job.gain = 1.0f / (float)(job.width * job.height);
    const size_t channels = (size_t)nnd_ops_channels(src->format),
                 row = (size_t)src->width * channels;
    nnd_carve measure = {NULL, 0};
    nnd_carve_take(&measure, (row + (size_t)job.width * channels) * sizeof(float));
    nnd_carve_take(&measure, row * sizeof(float));
    return nnd_ops_for_rows(dst->height, BLUR_BAND, options->threads, measure.used, blur_band, &job,
                            options->cancel);
}
