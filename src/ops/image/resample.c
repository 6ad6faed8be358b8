#include "ops/image/resample.h"

#include <math.h>
#include <string.h>

/* ---- plan ------------------------------------------------------------------------------ */

void nnd_resampler_fini(nnd_resampler *r)
{
    nnd_axis_fini(&r->x);
    nnd_axis_fini(&r->y);
    nnd_free(r->x_fixed);
    nnd_free(r->y_fixed);
    nnd_free(r->offset);
    nnd_free(r->index);
    memset(r, 0, sizeof(*r));
}

/* Q15 weight of an axis's second tap. 1 becomes 32767/32768, which still gives the exact level. */
static int16_t *second_weights(const nnd_axis *axis)
{
    int16_t *out = nnd_calloc((size_t)axis->count, sizeof(int16_t));
    if (!out) return NULL;
    for (int i = 0; i < axis->count; i++) {
        const float w = axis->taps == 2 ? axis->weight[2 * (size_t)i + 1] : 0.0f;
        const long q = lrint((double)w * 32768);
        out[i] = (int16_t)(q > 32767 ? 32767 : q);
    }
    return out;
}

/* Where in the source's row the pixel begins that the byte of the destination's is of. */
static int64_t nearest_pixel(const nnd_nearest_columns *columns, size_t byte)
{
    return (int64_t)columns->start[byte / columns->bytes] * (int64_t)columns->bytes;
}

/* How many windows hold every block's pixels; 0 if more than there may be. */
static int nearest_windows(const nnd_nearest_columns *columns, size_t blocks)
{
    int64_t most = 0;
    for (size_t k = 0; k < blocks; k++) {
        const size_t first = k * NND_NEAREST_BLOCK, last = first + NND_NEAREST_BLOCK - 1;
        const int64_t span =
            nearest_pixel(columns, last) - nearest_pixel(columns, first) + (int64_t)columns->bytes;
        if (span > most) most = span;
    }
    const int64_t windows = (most + NND_NEAREST_BLOCK - 1) / NND_NEAREST_BLOCK;
    return windows <= NND_NEAREST_WINDOWS ? (int)windows : 0;
}

/* False without memory; a row that no windows fit is none the worse for it. */
static bool plan_nearest(nnd_resampler *r)
{
    nnd_nearest_columns *columns = &r->nearest;
    const size_t bytes = (size_t)(r->channels * nnd_ops_depth(r->dtype));
    *columns =
        (nnd_nearest_columns){.start = r->x.start, .count = (size_t)r->dst_width, .bytes = bytes};
    const size_t blocks = columns->count * bytes / NND_NEAREST_BLOCK;
    const int windows = nearest_windows(columns, blocks);
    const int64_t end = (int64_t)r->src_width * (int64_t)bytes - windows * NND_NEAREST_BLOCK;
    if (windows == 0 || end < 0 || end > INT32_MAX) return true;
    r->offset = nnd_calloc(blocks, sizeof(int32_t));
    r->index = nnd_calloc(blocks, NND_NEAREST_BLOCK);
    if (!r->offset || !r->index) return false;
    for (size_t k = 0; k < blocks; k++) {
        const int64_t first = nearest_pixel(columns, k * NND_NEAREST_BLOCK);
        r->offset[k] = (int32_t)(first < end ? first : end);
        for (size_t i = k * NND_NEAREST_BLOCK; i < (k + 1) * NND_NEAREST_BLOCK; i++)
            r->index[i] =
                (uint8_t)(nearest_pixel(columns, i) + (int64_t)(i % bytes) - r->offset[k]);
    }
    columns->windows = windows;
    columns->window = r->offset;
    columns->index = r->index;
    return true;
}

static bool plan_bilinear(nnd_resampler *r)
{
    const int64_t row_bytes = (int64_t)r->src_width * r->channels;
    r->x_fixed = second_weights(&r->x);
    r->y_fixed = second_weights(&r->y);
    r->offset = nnd_calloc((size_t)r->dst_width, sizeof(int32_t));
    if (!r->x_fixed || !r->y_fixed || !r->offset) return false;
    size_t safe = 0;
    int32_t step = 0;
    for (int i = 0; i < r->dst_width; i++) {
        r->offset[i] = r->x.start[i] * r->channels;
        if (i && r->offset[i] - r->offset[i - 1] > step) step = r->offset[i] - r->offset[i - 1];
        if (r->offset[i] + NND_BILINEAR_READ(r->channels) <= row_bytes) safe = (size_t)i + 1;
    }
    r->columns = (nnd_bilinear_columns){r->offset, r->x_fixed,        (size_t)r->dst_width,
                                        safe,      (size_t)row_bytes, step};
    return true;
}

static bool plan_fixed(nnd_resampler *r)
{
    r->x_fixed = nnd_axis_quantise(&r->x);
    r->y_fixed = nnd_axis_quantise(&r->y);
    /* Rows of the scratch are padded, so every pixel may be over-read. */
    r->safe = (size_t)r->dst_width;
    return r->x_fixed && r->y_fixed;
}

nnd_status nnd_resampler_init(nnd_resampler *r, nnd_axis_size x, nnd_axis_size y, int channels,
                              nnd_dtype dtype, nnd_filter filter, bool antialias)
{
    memset(r, 0, sizeof(*r));
    r->src_width = x.src;
    r->dst_width = x.count;
    r->channels = channels;
    r->dtype = dtype;
    r->kernels = nnd_ops_kernels_get();
    NND_TRY(nnd_axis_init(&r->x, x, (double)y.src / y.dst, filter, antialias));
    nnd_status status = nnd_axis_init(&r->y, y, (double)x.src / x.dst, filter, antialias);
    if (status != NND_OK) {
        nnd_resampler_fini(r);
        return status;
    }
    bool planned = true;
    if (!r->x.weight) {
        r->mode = NND_RESAMPLE_COPY;
        planned = plan_nearest(r);
    } else if (dtype != NND_U8 || r->x.taps > NND_KERNEL_MAX_TAPS ||
               r->y.taps > NND_KERNEL_MAX_TAPS) {
        r->mode = NND_RESAMPLE_FLOAT;
    } else if (r->x.taps == 2 && r->y.taps <= 2) {
        r->mode = NND_RESAMPLE_BILINEAR;
        planned = plan_bilinear(r);
    } else {
        r->mode = NND_RESAMPLE_FIXED;
        planned = plan_fixed(r);
    }
    if (planned) return NND_OK;
    nnd_resampler_fini(r);
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the weights of a resize to %d x %d",
                         x.dst, y.dst);
}

int nnd_resampler_rows(const nnd_resampler *r)
{
    switch (r->mode) {
    case NND_RESAMPLE_COPY:
        return 1;
    case NND_RESAMPLE_BILINEAR:
        return 2;
    case NND_RESAMPLE_FIXED:
        return r->y.taps;
    default:
        return r->y.taps < NND_SUM_ROWS ? r->y.taps : NND_SUM_ROWS;
    }
}

void nnd_resample_carve(nnd_resample_scratch *scratch, const nnd_resampler *r, nnd_carve *carve)
{
    const size_t count = (size_t)r->src_width * (size_t)r->channels;
    memset(scratch, 0, sizeof(*scratch));
    if (r->mode == NND_RESAMPLE_BILINEAR) {
        scratch->fixed = nnd_carve_take(carve, count * sizeof(int16_t));
    } else if (r->mode == NND_RESAMPLE_FIXED) {
        scratch->fixed = nnd_carve_take(carve, count * sizeof(int16_t));
        scratch->rows = nnd_carve_take(carve, (size_t)r->y.taps * sizeof(uint8_t *));
    } else if (r->mode == NND_RESAMPLE_FLOAT) {
        scratch->sum = nnd_carve_take(carve, count * sizeof(float));
        scratch->levels =
            nnd_carve_take(carve, (size_t)r->dst_width * (size_t)r->channels * sizeof(float));
    }
}

/* ---- rows ------------------------------------------------------------------------------ */

static void bilinear_row(const nnd_resampler *r, const nnd_resample_scratch *scratch, int y,
                         uint8_t *dst, nnd_source_row_fn source, void *user)
{
    const uint8_t *upper = source(user, r->y.start[y]);
    const uint8_t *lower = r->y.taps == 2 ? source(user, r->y.start[y] + 1) : upper;
    r->kernels->bilinear_u8[r->channels - 1](dst, upper, lower, r->y_fixed[y], &r->columns,
                                             scratch->fixed);
}

static void fixed_row(const nnd_resampler *r, const nnd_resample_scratch *scratch, int y,
                      uint8_t *dst, nnd_source_row_fn source, void *user)
{
    const int taps = r->y.taps;
    for (int k = 0; k < taps; k++)
        scratch->rows[k] = source(user, r->y.start[y] + k);
    r->kernels->rows_u8(scratch->fixed, scratch->rows, r->y_fixed + (size_t)y * (size_t)taps, taps,
                        (size_t)r->src_width * (size_t)r->channels);
    r->kernels->columns_u8[r->channels - 1](dst, scratch->fixed, r->x.start, r->x_fixed, r->x.taps,
                                            (size_t)r->dst_width, r->safe);
}

static void float_row(const nnd_resampler *r, const nnd_resample_scratch *scratch, int y, void *dst,
                      nnd_source_row_fn source, void *user)
{
    const nnd_ops_kernels *kernels = r->kernels;
    const size_t channels = (size_t)r->channels, count = (size_t)r->dst_width;
    const float *weight = r->y.weight + (size_t)y * (size_t)r->y.taps;
    for (int k = 0; k < r->y.taps; k += NND_SUM_ROWS) {
        const void *rows[NND_SUM_ROWS];
        const int taps = r->y.taps - k < NND_SUM_ROWS ? r->y.taps - k : NND_SUM_ROWS;
        for (int t = 0; t < taps; t++)
            rows[t] = source(user, r->y.start[y] + k + t);
        kernels->sum_rows[nnd_level_type_of(r->dtype)](scratch->sum, rows, weight + k, taps,
                                                       (size_t)r->src_width * channels, k == 0);
    }
    float *levels = r->dtype == NND_F32 ? dst : scratch->levels;
    kernels->sum_columns[channels - 1](levels, scratch->sum, r->x.start, r->x.weight, r->x.taps,
                                       count);
    if (r->dtype == NND_U8)
        kernels->f32_to_u8(dst, levels, count * channels);
    else if (r->dtype == NND_U16)
        kernels->f32_to_u16(dst, levels, count * channels);
}

void nnd_resample_row(const nnd_resampler *r, const nnd_resample_scratch *scratch, int y, void *dst,
                      nnd_source_row_fn source, void *user)
{
    switch (r->mode) {
    case NND_RESAMPLE_COPY:
        r->kernels->nearest(dst, source(user, r->y.start[y]), &r->nearest);
        break;
    case NND_RESAMPLE_BILINEAR:
        bilinear_row(r, scratch, y, dst, source, user);
        break;
    case NND_RESAMPLE_FIXED:
        fixed_row(r, scratch, y, dst, source, user);
        break;
    default:
        float_row(r, scratch, y, dst, source, user);
    }
}
