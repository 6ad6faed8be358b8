#include "engine/kernels/reference/reference.h"

#define BLOCK NND_REFERENCE_BLOCK

/* Index of (image, channel, pixel) in a tensor of `channels` channels. */
static size_t at(nnd_kernel_layout layout, int64_t channels, int64_t spatial, int64_t image,
                 int64_t channel, int64_t pixel)
{
    if (layout == NND_KERNEL_NCHW) return (size_t)((image * channels + channel) * spatial + pixel);
    int64_t blocks = nnd_ceil_div(channels, BLOCK);
    int64_t block = image * blocks + channel / BLOCK;
    return (size_t)((block * spatial + pixel) * BLOCK + channel % BLOCK);
}

/* The sum under the window at (oh, ow), without bias. */
static float window_sum(const nnd_conv_desc *d, const float *x, const float *weights, int64_t image,
                        int64_t oc, int64_t oh, int64_t ow)
{
    int64_t depth = d->in_channels / d->groups;
    int64_t first = oc / (d->out_channels / d->groups) * depth;
    float sum = 0.0f;
    for (int64_t ic = 0; ic < depth; ic++) {
        for (int64_t kh = 0; kh < d->kernel_h; kh++) {
            int64_t ih = oh * d->stride_h + kh * d->dilation_h - d->pad_top;
            if (ih < 0 || ih >= d->in_h) continue;
            for (int64_t kw = 0; kw < d->kernel_w; kw++) {
                int64_t iw = ow * d->stride_w + kw * d->dilation_w - d->pad_left;
                if (iw < 0 || iw >= d->in_w) continue;
                float w = weights[((oc * depth + ic) * d->kernel_h + kh) * d->kernel_w + kw];
                sum += w * x[at(d->in_layout, d->in_channels, d->in_h * d->in_w, image, first + ic,
                                ih * d->in_w + iw)];
            }
        }
    }
    return sum;
}

void nnd_f32_conv_reference(const nnd_conv_desc *d, int64_t out_h, int64_t out_w,
                            const nnd_conv_args *args, int64_t image, int64_t oc0, int64_t oc1)
{
    const float *weights = args->packed;
    const float *bias =
        weights + d->out_channels * (d->in_channels / d->groups) * d->kernel_h * d->kernel_w;
    for (int64_t oc = oc0; oc < oc1; oc++) {
        for (int64_t pixel = 0; pixel < out_h * out_w; pixel++) {
            size_t to = at(d->out_layout, d->out_channels, out_h * out_w, image, oc, pixel);
            if (oc >= d->out_channels) { /* a padding lane */
                args->y[to] = 0.0f;
                continue;
            }
            float value =
                bias[oc] + window_sum(d, args->x, weights, image, oc, pixel / out_w, pixel % out_w);
            if (d->residual) value += args->residual[to];
            nnd_f32_act_reference(&d->act, &value, &args->y[to], 1);
        }
    }
}
