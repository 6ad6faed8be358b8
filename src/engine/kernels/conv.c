/* Convolution plans: checks, choice of the algorithm, dispatch to it. */
#include <string.h>

#include "base/size.h"
#include "engine/kernels/conv.h"
#include "engine/kernels/reference/reference.h"

static nnd_status check_positive(const nnd_conv_desc *d)
{
    const struct {
        const char *name;
        int64_t value;
    } sizes[] = {
        {"batch", d->batch},
        {"in_channels", d->in_channels},
        {"in_h", d->in_h},
        {"in_w", d->in_w},
        {"groups", d->groups},
        {"out_channels", d->out_channels},
        {"kernel_h", d->kernel_h},
        {"kernel_w", d->kernel_w},
        {"stride_h", d->stride_h},
        {"stride_w", d->stride_w},
        {"dilation_h", d->dilation_h},
        {"dilation_w", d->dilation_w},
    };
    const int64_t limit =
        INT32_MAX; /* of a single extent: sums and pairs of them cannot overflow */
    for (size_t i = 0; i < NND_COUNT(sizes); i++) {
        if (sizes[i].value < 1 || sizes[i].value > limit)
            return nnd_error_set(NND_E_SHAPE, "convolution: %s is %lld", sizes[i].name,
                                 (long long)sizes[i].value);
    }
    const int64_t pads[] = {d->pad_top, d->pad_left, d->pad_bottom, d->pad_right};
    for (size_t i = 0; i < NND_COUNT(pads); i++) {
        if (pads[i] < 0 || pads[i] > limit)
            return nnd_error_set(NND_E_SHAPE, "convolution: padding of %lld", (long long)pads[i]);
    }
    return NND_OK;
}

/* The product of all factors, with room for the padding of channels to blocks. */
static bool product_fits(const int64_t *factors, size_t count)
{
    int64_t product = 64 * (int64_t)sizeof(float);
    for (size_t i = 0; i < count; i++) {
        if (!nnd_i64_mul(product, factors[i], &product)) return false;
    }
    return true;
}

/* Every pixel lies inside of the picture. */
static nnd_status check_place(const nnd_conv_desc *d, int64_t out_h, int64_t out_w)
{
    const nnd_conv_place *p = &d->place;
    const int64_t picture[] = {d->batch, d->out_channels, p->height, p->width};
    if (!p->height && !p->width) return NND_OK;
    bool fits = p->height <= INT32_MAX && p->width <= INT32_MAX && p->first_h >= 0 &&
                p->first_w >= 0 && p->step_h >= 1 && p->step_h <= p->height && p->step_w >= 1 &&
                p->step_w <= p->width && out_h <= p->height && out_w <= p->width &&
                p->first_h < p->height - (out_h - 1) * p->step_h &&
                p->first_w < p->width - (out_w - 1) * p->step_w;
    if (!fits || !product_fits(picture, 4))
        return nnd_error_set(NND_E_SHAPE, "convolution: %lld×%lld pixels do not fit their picture",
                             (long long)out_h, (long long)out_w);
    if (d->residual || d->act.kind != NND_ACT_NONE)
        return nnd_error_set(NND_E_UNSUPPORTED, "convolution: a part of a picture is all sums");
    return NND_OK;
}

nnd_status nnd_conv_check(const nnd_conv_desc *d, int64_t *out_h, int64_t *out_w)
{
    NND_TRY(check_positive(d));
    if (d->in_channels % d->groups || d->out_channels % d->groups)
        return nnd_error_set(
            NND_E_SHAPE, "convolution: %lld groups do not divide %lld and %lld channels",
            (long long)d->groups, (long long)d->in_channels, (long long)d->out_channels);
    int64_t height = d->in_h + d->pad_top + d->pad_bottom - d->dilation_h * (d->kernel_h - 1) - 1;
    int64_t width = d->in_w + d->pad_left + d->pad_right - d->dilation_w * (d->kernel_w - 1) - 1;
    if (height < 0 || width < 0)
        return nnd_error_set(NND_E_SHAPE,
                             "convolution: the %lld×%lld kernel is larger than the padded input",
                             (long long)d->kernel_h, (long long)d->kernel_w);
    *out_h = height / d->stride_h + 1;
    *out_w = width / d->stride_w + 1;
    const int64_t input[] = {d->batch, d->in_channels, d->in_h + d->pad_top + d->pad_bottom,
                             d->in_w + d->pad_left + d->pad_right};
    const int64_t output[] = {d->batch, d->out_channels, *out_h, *out_w};
    const int64_t weights[] = {d->out_channels, d->in_channels / d->groups + 1, d->kernel_h,
                               d->kernel_w};
    if (!product_fits(input, 4) || !product_fits(output, 4) || !product_fits(weights, 4))
        return nnd_error_set(NND_E_OVERFLOW, "convolution: the tensors are too large");
    return check_place(d, *out_h, *out_w);
}

const char *nnd_conv_algorithm_name(nnd_conv_algorithm algorithm)
{
    switch (algorithm) {
    case NND_CONV_AUTO:
        return "auto";
    case NND_CONV_REFERENCE:
        return "reference";
    case NND_CONV_DIRECT:
        return "direct";
    case NND_CONV_DEPTHWISE:
        return "depthwise";
    case NND_CONV_WINOGRAD:
        return "winograd";
    case NND_CONV_DIRECT_BF16:
        return "direct bf16";
    }
    return "unknown";
}

static nnd_conv_algorithm choose(const nnd_conv_desc *d, const nnd_kernel_set *set, int64_t out_h,
                                 int64_t out_w)
{
    if (!set->tile_planar) return NND_CONV_REFERENCE;
    if (d->place.height) return NND_CONV_DIRECT;
    if (nnd_conv_depthwise_can(d)) return NND_CONV_DEPTHWISE;
    bool winograd = nnd_conv_winograd_can(d, set) && nnd_conv_winograd_pays(d, set, out_h, out_w);
    if (winograd) return NND_CONV_WINOGRAD;
    return nnd_conv_bf16_can(d) ? NND_CONV_DIRECT_BF16 : NND_CONV_DIRECT;
}

bool nnd_conv_can(const nnd_conv_desc *d, nnd_conv_algorithm algorithm)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    if (d->place.height && algorithm != NND_CONV_DIRECT) return false;
    switch (algorithm) {
    case NND_CONV_REFERENCE:
        return set->isa == NND_ISA_REFERENCE; /* its block is the layout's */
    case NND_CONV_DIRECT:
        return set->tile_planar != NULL;
    case NND_CONV_DEPTHWISE:
        return nnd_conv_depthwise_can(d);
    case NND_CONV_WINOGRAD:
        return nnd_conv_winograd_can(d, set);
    case NND_CONV_DIRECT_BF16:
        return nnd_conv_bf16_can(d);
    case NND_CONV_AUTO:
        break;
    }
    return false;
}

static void plan_reference(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t weights = d->out_channels * (d->in_channels / d->groups) * d->kernel_h * d->kernel_w;
    conv->packed_bytes = (size_t)(weights + d->out_channels) * sizeof(float);
    conv->tiles = (size_t)(d->batch * nnd_ceil_div(d->out_channels, NND_REFERENCE_BLOCK));
}

static void run_reference(const nnd_conv *conv, const nnd_conv_args *args, size_t tile)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t blocks = nnd_ceil_div(d->out_channels, NND_REFERENCE_BLOCK);
    int64_t first = (int64_t)tile % blocks * NND_REFERENCE_BLOCK;
    int64_t end = first + NND_REFERENCE_BLOCK;
    if (d->out_layout == NND_KERNEL_NCHW) end = NND_MIN(end, d->out_channels);
    nnd_f32_conv_reference(d, conv->out_h, conv->out_w, args, (int64_t)tile / blocks, first, end);
}

nnd_status nnd_conv_create(const nnd_conv_desc *desc, nnd_conv_algorithm algorithm, nnd_conv **out)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    int64_t out_h, out_w;
    *out = NULL;
    NND_TRY(nnd_conv_check(desc, &out_h, &out_w));
    if (algorithm == NND_CONV_AUTO) algorithm = choose(desc, set, out_h, out_w);
    if (!nnd_conv_can(desc, algorithm))
        return nnd_error_set(NND_E_UNSUPPORTED, "convolution: '%s' cannot do this shape on %s",
                             nnd_conv_algorithm_name(algorithm), nnd_isa_name(set->isa));
    nnd_conv *conv = nnd_calloc(1, sizeof *conv);
    if (!conv) return nnd_error_set(NND_E_OUT_OF_MEMORY, "convolution: no memory for the plan");
    conv->desc = *desc;
    conv->algorithm = algorithm;
    conv->set = set;
    conv->out_h = out_h;
    conv->out_w = out_w;
    conv->stages = 1;
    conv->clamps = nnd_act_is_clamp(&desc->act, &conv->low, &conv->high);
    nnd_status status = NND_OK;
    if (algorithm == NND_CONV_REFERENCE)
        plan_reference(conv);
    else if (algorithm == NND_CONV_DEPTHWISE)
        nnd_conv_depthwise_plan(conv);
    else if (algorithm == NND_CONV_WINOGRAD)
        status = nnd_conv_winograd_plan(conv);
    else
        status = nnd_conv_direct_plan(conv);
    if (status != NND_OK) {
        nnd_conv_destroy(conv);
        return status;
    }
    *out = conv;
    return NND_OK;
}

void nnd_conv_destroy(nnd_conv *conv)
{
    if (!conv) return;
    nnd_conv_direct_free(conv);
    nnd_conv_winograd_free(conv);
    nnd_free(conv);
}

const nnd_conv_desc *nnd_conv_get_desc(const nnd_conv *conv)
{
    return &conv->desc;
}

nnd_conv_algorithm nnd_conv_get_algorithm(const nnd_conv *conv)
{
    return conv->algorithm;
}

int64_t nnd_conv_out_h(const nnd_conv *conv)
{
    return conv->out_h;
}

int64_t nnd_conv_out_w(const nnd_conv *conv)
{
    return conv->out_w;
}

double nnd_conv_flops(const nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    return 2.0 * (double)(d->batch * d->out_channels) * (double)(conv->out_h * conv->out_w) *
           (double)(d->in_channels / d->groups) * (double)(d->kernel_h * d->kernel_w);
}

size_t nnd_conv_packed_bytes(const nnd_conv *conv)
{
    return conv->packed_bytes;
}

static bool is_direct(const nnd_conv *conv)
{
    return conv->algorithm == NND_CONV_DIRECT || conv->algorithm == NND_CONV_DIRECT_BF16;
}

void nnd_conv_pack(const nnd_conv *conv, const float *weights, const float *bias, void *packed)
{
    if (is_direct(conv)) {
        nnd_conv_direct_pack(conv, weights, bias, packed);
    } else if (conv->algorithm == NND_CONV_DEPTHWISE) {
        nnd_conv_depthwise_pack(conv, weights, bias, packed);
    } else if (conv->algorithm == NND_CONV_WINOGRAD) {
        nnd_conv_winograd_pack(conv, weights, bias, packed);
    } else {
        size_t bias_bytes = (size_t)conv->desc.out_channels * sizeof(float);
        char *after = (char *)packed + conv->packed_bytes - bias_bytes;
        memcpy(packed, weights, conv->packed_bytes - bias_bytes);
        if (bias)
            memcpy(after, bias, bias_bytes);
        else
            memset(after, 0, bias_bytes);
    }
}

int nnd_conv_stages(const nnd_conv *conv)
{
    return conv->stages;
}

size_t nnd_conv_tiles(const nnd_conv *conv, int stage)
{
    if (conv->algorithm == NND_CONV_WINOGRAD) return nnd_conv_winograd_tiles(conv, stage);
    return stage == 0 ? conv->tiles : 0;
}

size_t nnd_conv_workspace_bytes(const nnd_conv *conv)
{
    return conv->workspace_bytes;
}

size_t nnd_conv_lane_bytes(const nnd_conv *conv)
{
    return conv->lane_bytes;
}

void nnd_conv_run_tile(const nnd_conv *conv, const nnd_conv_args *args, int stage, size_t tile,
                       void *scratch)
{
    if (conv->algorithm == NND_CONV_WINOGRAD)
        nnd_conv_winograd_run(conv, args, stage, tile);
    else if (is_direct(conv))
        nnd_conv_direct_run(conv, args, tile, scratch);
    else if (conv->algorithm == NND_CONV_DEPTHWISE)
        nnd_conv_depthwise_run(conv, args, tile, scratch);
    else
        run_reference(conv, args, tile);
}
