/* Depthwise convolution and pooling of one plane; `lanes` floats per pixel. */
#include <math.h>

#include "engine/kernels/reference/reference.h"

#define BLOCK NND_REFERENCE_BLOCK

typedef enum window_job { DEPTHWISE, MAXIMUM, AVERAGE } window_job;

/* Cells of the stated padding and of the input that the window at (oh, ow) covers. */
static int64_t covered_cells(const nnd_window_args *p, int64_t oh, int64_t ow)
{
    int64_t count = 0;
    for (int64_t kh = 0; kh < p->kernel_h; kh++) {
        int64_t ih = oh * p->stride_h + kh * p->dilation_h - p->pad_top;
        if (ih >= p->in_h + p->pad_bottom) continue;
        for (int64_t kw = 0; kw < p->kernel_w; kw++) {
            int64_t iw = ow * p->stride_w + kw * p->dilation_w - p->pad_left;
            if (iw < p->in_w + p->pad_right) count++;
        }
    }
    return count;
}

static float window_value(window_job job, const nnd_window_args *p, int64_t lanes, int64_t lane,
                          int64_t oh, int64_t ow)
{
    float value = job == DEPTHWISE ? p->bias[lane] : job == MAXIMUM ? -INFINITY : 0.0f;
    int64_t cells = 0;
    for (int64_t kh = 0; kh < p->kernel_h; kh++) {
        int64_t ih = oh * p->stride_h + kh * p->dilation_h - p->pad_top;
        if (ih < 0 || ih >= p->in_h) continue;
        for (int64_t kw = 0; kw < p->kernel_w; kw++) {
            int64_t iw = ow * p->stride_w + kw * p->dilation_w - p->pad_left;
            if (iw < 0 || iw >= p->in_w) continue;
            float x = p->x[(ih * p->in_w + iw) * lanes + lane];
            cells++;
            if (job == DEPTHWISE)
                value += x * p->weights[(kh * p->kernel_w + kw) * lanes + lane];
            else if (job == AVERAGE)
                value += x;
            else if (x > value || isnan(x))
                value = x;
        }
    }
    if (job != AVERAGE) return value;
    return value / (float)(p->count_include_pad ? covered_cells(p, oh, ow) : cells);
}

static void window(window_job job, const nnd_window_args *p, int64_t lanes)
{
    for (int64_t oh = p->row_begin; oh < p->row_end; oh++) {
        for (int64_t i = oh * p->out_w * lanes; i < (oh + 1) * p->out_w * lanes; i++) {
            float v = window_value(job, p, lanes, i % lanes, oh, i / lanes % p->out_w);
            if (p->residual) v += p->residual[i];
            if (job == DEPTHWISE) v = v < p->low ? p->low : v > p->high ? p->high : v;
            p->y[i] = v;
        }
    }
}

static void pool(window_job job, const nnd_window_args *first, int64_t planes, int64_t lanes)
{
    nnd_window_args p = *first;
    for (int64_t i = 0; i < planes; i++) {
        window(job, &p, lanes);
        p.x += p.in_h * p.in_w * lanes;
        p.y += p.out_h * p.out_w * lanes;
    }
}

void nnd_f32_depthwise_nchw_reference(const nnd_window_args *args)
{
    window(DEPTHWISE, args, 1);
}

void nnd_f32_depthwise_nchwc_reference(const nnd_window_args *args)
{
    window(DEPTHWISE, args, BLOCK);
}

void nnd_f32_maxpool_nchw_reference(const nnd_window_args *args, int64_t planes)
{
    pool(MAXIMUM, args, planes, 1);
}

void nnd_f32_maxpool_nchwc_reference(const nnd_window_args *args, int64_t planes)
{
    pool(MAXIMUM, args, planes, BLOCK);
}

void nnd_f32_avgpool_nchw_reference(const nnd_window_args *args, int64_t planes)
{
    pool(AVERAGE, args, planes, 1);
}

void nnd_f32_avgpool_nchwc_reference(const nnd_window_args *args, int64_t planes)
{
    pool(AVERAGE, args, planes, BLOCK);
}

static void global(nnd_pool_kind kind, const float *x, float *y, size_t spatial, size_t planes,
                   size_t lanes)
{
    for (size_t plane = 0; plane < planes; plane++) {
        for (size_t lane = 0; lane < lanes; lane++) {
            const float *from = x + plane * spatial * lanes + lane;
            double sum = 0.0;
            float most = -INFINITY;
            for (size_t i = 0; i < spatial; i++) {
                float v = from[i * lanes];
                sum += v;
                if (v > most || isnan(v)) most = v;
            }
            y[plane * lanes + lane] = kind == NND_POOL_MAX ? most : (float)(sum / (double)spatial);
        }
    }
}

void nnd_f32_globalpool_nchw_reference(nnd_pool_kind kind, const float *x, float *y, size_t spatial,
                                       size_t planes)
{
    global(kind, x, y, spatial, planes, 1);
}

void nnd_f32_globalpool_nchwc_reference(nnd_pool_kind kind, const float *x, float *y,
                                        size_t spatial, size_t planes)
{
    global(kind, x, y, spatial, planes, BLOCK);
}
