/*
 * Convolution under every ISA against a double-precision loop: random shapes, strides, dilations,
 * pads, groups, all combinations of layouts, biases, residuals, activations; guards around the
 * output; equal bits for 1 … 4 threads. Error bound: (k + 4)·2^-24·(Σ|w||x| + |bias| + |residual|),
 * times the activation's slope, in bf16 for the rounded w and x. Winograd's: 2^-24·(depth +
 * 64)·WINOGRAD·X·Σ|w| instead of the part with |w||x|, with X the largest input and all taps in the
 * sum, because a tile mixes its pixels.
 */
#include "kernels_support.h"

typedef struct problem {
    nnd_conv_desc d;
    bool with_bias;
    nnd_conv *conv;
    guarded x, weights, bias, residual; /* x and residual in NCHW */
} problem;

#define WINOGRAD 1.0
static double worst_winograd; /* largest part of the bound that was seen */

static int64_t spatial_in(const problem *p)
{
    return p->d.in_h * p->d.in_w;
}

static int64_t spatial_out(const problem *p)
{
    return nnd_conv_out_h(p->conv) * nnd_conv_out_w(p->conv);
}

static nnd_conv_desc plain_desc(int64_t ic, int64_t size, int64_t oc, int64_t kernel,
                                int64_t stride, int64_t pad)
{
    return (nnd_conv_desc){.batch = 1,
                           .in_channels = ic,
                           .in_h = size,
                           .in_w = size,
                           .out_channels = oc,
                           .groups = 1,
                           .kernel_h = kernel,
                           .kernel_w = kernel,
                           .stride_h = stride,
                           .stride_w = stride,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .pad_top = pad,
                           .pad_left = pad,
                           .pad_bottom = pad,
                           .pad_right = pad};
}

static nnd_conv_desc random_desc(void)
{
    nnd_conv_desc d = plain_desc(1, 1, 1, 1, 1, 0);
    static const int64_t kernels[] = {1, 1, 2, 3, 3, 3, 5, 7};
    d.batch = rng_int(1, 2);
    d.groups = rng_int(0, 2) ? 1 : rng_int(2, 5);
    d.in_channels = d.groups * rng_int(1, d.groups > 1 ? 20 : 40);
    d.out_channels = d.groups * rng_int(1, d.groups > 1 ? 20 : 70);
    if (rng_int(0, 4) == 0) { /* depthwise */
        d.groups = d.in_channels = d.out_channels = rng_int(1, 40);
    }
    d.kernel_h = kernels[rng_next() % NND_COUNT(kernels)];
    d.kernel_w = rng_int(0, 3) ? d.kernel_h : kernels[rng_next() % NND_COUNT(kernels)];
    d.stride_h = rng_int(0, 1) ? 1 : rng_int(1, 3);
    d.stride_w = rng_int(0, 3) ? d.stride_h : rng_int(1, 4);
    d.dilation_h = rng_int(0, 2) ? 1 : rng_int(1, 3);
    d.dilation_w = rng_int(0, 3) ? d.dilation_h : rng_int(1, 3);
    d.pad_top = rng_int(0, d.kernel_h / 2 + 1);
    d.pad_left = rng_int(0, d.kernel_w / 2 + 1);
    d.pad_bottom = rng_int(0, d.kernel_h / 2 + 1);
    d.pad_right = rng_int(0, d.kernel_w / 2 + 1);
    d.in_h = rng_int(1, 20) + (d.kernel_h - 1) * d.dilation_h;
    d.in_w = rng_int(1, 34) + (d.kernel_w - 1) * d.dilation_w;
    d.act = random_act();
    d.residual = rng_int(0, 1);
    return d;
}

static problem problem_make(nnd_conv_desc d, nnd_conv_algorithm algorithm)
{
    problem p = {.d = d, .with_bias = rng_int(0, 3) != 0};
    assert_ok(nnd_conv_create(&d, algorithm, &p.conv));
    int64_t weights = d.out_channels * (d.in_channels / d.groups) * d.kernel_h * d.kernel_w;
    p.x = guarded_random((size_t)(d.batch * d.in_channels * spatial_in(&p)), -1, 1);
    p.weights = guarded_random((size_t)weights, -1, 1);
    p.bias = guarded_random((size_t)d.out_channels, -1, 1);
    p.residual = guarded_random((size_t)(d.batch * d.out_channels * spatial_out(&p)), -1, 1);
    return p;
}

static void problem_free(problem *p)
{
    guarded_free(&p->x);
    guarded_free(&p->weights);
    guarded_free(&p->bias);
    guarded_free(&p->residual);
    nnd_conv_destroy(p->conv);
}

/* A copy in `layout`; the padding lanes are poisoned, since no kernel may use them. */
static guarded in_layout(const guarded *nchw, nnd_kernel_layout layout, int64_t batch,
                         int64_t channels, int64_t spatial)
{
    guarded g =
        guarded_make(nnd_kernel_elements(layout, (size_t)batch, (size_t)channels, (size_t)spatial));
    int64_t block = layout == NND_KERNEL_NCHW ? 1 : nnd_kernel_block();
    int64_t blocks = (channels + block - 1) / block;
    for (size_t i = 0; i < g.n; i++)
        g.data[i] = NAN;
    for (int64_t i = 0; i < batch * channels * spatial; i++) {
        int64_t image = i / (channels * spatial), c = i / spatial % channels, s = i % spatial;
        g.data[((image * blocks + c / block) * spatial + s) * block + c % block] = nchw->data[i];
    }
    return g;
}

/* Element i of the NCHW order of an output in `layout`. */
static float element(const guarded *g, nnd_kernel_layout layout, int64_t channels, int64_t spatial,
                     int64_t i)
{
    int64_t block = layout == NND_KERNEL_NCHW ? 1 : nnd_kernel_block();
    int64_t blocks = (channels + block - 1) / block;
    int64_t image = i / (channels * spatial), c = i / spatial % channels, s = i % spatial;
    return g->data[((image * blocks + c / block) * spatial + s) * block + c % block];
}

static void check_element(const problem *p, int64_t i, float got)
{
    const nnd_conv_desc *d = &p->d;
    int64_t spatial = spatial_out(p), out_w = nnd_conv_out_w(p->conv);
    int64_t image = i / (d->out_channels * spatial), oc = i / spatial % d->out_channels;
    int64_t oh = i % spatial / out_w, ow = i % out_w;
    int64_t depth = d->in_channels / d->groups, first = oc / (d->out_channels / d->groups) * depth;
    double sum = 0, size = 0, all_taps = 0;
    for (int64_t ic = 0; ic < depth; ic++) {
        for (int64_t t = 0; t < d->kernel_h * d->kernel_w; t++) {
            all_taps +=
                fabs((double)p->weights.data[(oc * depth + ic) * d->kernel_h * d->kernel_w + t]);
            int64_t ih = oh * d->stride_h + t / d->kernel_w * d->dilation_h - d->pad_top;
            int64_t iw = ow * d->stride_w + t % d->kernel_w * d->dilation_w - d->pad_left;
            if (ih < 0 || ih >= d->in_h || iw < 0 || iw >= d->in_w) continue;
            double x =
                p->x.data[((image * d->in_channels + first + ic) * d->in_h + ih) * d->in_w + iw];
            double w = p->weights.data[(oc * depth + ic) * d->kernel_h * d->kernel_w + t];
            sum += x * w;
            size += fabs(x * w);
        }
    }
    double bias = p->with_bias ? p->bias.data[oc] : 0.0;
    double residual = d->residual ? p->residual.data[i] : 0.0;
    double expected = exact_act(&d->act, sum + bias + residual);
    double k = (double)(depth * d->kernel_h * d->kernel_w);
    double bound = (k + 4) * 0x1p-24 * (size + fabs(bias) + fabs(residual)) * ACT_SLOPE +
                   ACT_ERROR * fmax(1.0, fabs(expected));
    if (nnd_conv_get_algorithm(p->conv) == NND_CONV_WINOGRAD) {
        bound += 0x1p-24 * (double)(depth + 64) * WINOGRAD * all_taps * ACT_SLOPE; /* X is 1 */
        worst_winograd = fmax(worst_winograd, fabs(got - expected) / bound);
    }
    if (fabs(got - expected) <= bound) return;
    fprintf(stderr,
            "%s %s: n%lld c%lld %lldx%lld → %lld g%lld k%lldx%lld s%lld,%lld d%lld,%lld p%lld,%lld,"
            "%lld,%lld layouts %d→%d act %d residual %d, element %lld: %g, expected %g ± %g\n",
            nnd_isa_name(nnd_isa_current()),
            nnd_conv_algorithm_name(nnd_conv_get_algorithm(p->conv)), (long long)d->batch,
            (long long)d->in_channels, (long long)d->in_h, (long long)d->in_w,
            (long long)d->out_channels, (long long)d->groups, (long long)d->kernel_h,
            (long long)d->kernel_w, (long long)d->stride_h, (long long)d->stride_w,
            (long long)d->dilation_h, (long long)d->dilation_w, (long long)d->pad_top,
            (long long)d->pad_left, (long long)d->pad_bottom, (long long)d->pad_right, d->in_layout,
            d->out_layout, d->act.kind, d->residual, (long long)i, got, expected, bound);
    fail();
}

typedef struct conv_job {
    const nnd_conv *conv;
    nnd_conv_args args;
    lanes lanes;
    int stage;
} conv_job;

static nnd_status conv_tile(void *user, size_t index, int lane)
{
    conv_job *job = user;
    nnd_conv_run_tile(job->conv, &job->args, job->stage, index, job->lanes.scratch[lane]);
    return NND_OK;
}

static guarded run_conv(const problem *p, int threads)
{
    const nnd_conv_desc *d = &p->d;
    guarded x = in_layout(&p->x, d->in_layout, d->batch, d->in_channels, spatial_in(p));
    guarded residual =
        in_layout(&p->residual, d->out_layout, d->batch, d->out_channels, spatial_out(p));
    guarded y = guarded_make(residual.n);
    void *packed = aligned_scratch(nnd_conv_packed_bytes(p->conv));
    void *workspace = aligned_scratch(nnd_conv_workspace_bytes(p->conv));
    nnd_conv_pack(p->conv, p->weights.data, p->with_bias ? p->bias.data : NULL, packed);
    conv_job job = {.conv = p->conv,
                    .args = {x.data, packed, residual.data, y.data, workspace},
                    .lanes = lanes_make(nnd_conv_lane_bytes(p->conv))};
    for (job.stage = 0; job.stage < nnd_conv_stages(p->conv); job.stage++)
        assert_ok(
            nnd_parallel_for(nnd_conv_tiles(p->conv, job.stage), threads, conv_tile, &job, NULL));
    lanes_free(&job.lanes);
    nnd_free_aligned(packed);
    nnd_free_aligned(workspace);
    guarded_free(&x);
    guarded_free(&residual);
    return y;
}

static void round_all(guarded *g)
{
    uint16_t half;
    for (size_t i = 0; i < g->n; i++) {
        nnd_f32_to_bf16(g->data + i, &half, 1);
        nnd_bf16_to_f32(&half, g->data + i, 1);
    }
}

static void check_problem(nnd_conv_desc d, nnd_conv_algorithm algorithm)
{
    problem p = problem_make(d, algorithm);
    guarded y = run_conv(&p, 1);
    if (nnd_conv_get_algorithm(p.conv) == NND_CONV_DIRECT_BF16) {
        round_all(&p.x);
        round_all(&p.weights);
    }
    for (int64_t i = 0; i < d.batch * d.out_channels * spatial_out(&p); i++)
        check_element(&p, i, element(&y, d.out_layout, d.out_channels, spatial_out(&p), i));
    for (size_t i = 0; i < y.n; i++) /* padding lanes: written */
        assert_true(y.data[i] != GUARD_VALUE);
    guarded_free(&y);
    problem_free(&p);
}

static void random_shapes(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(250); i++) {
        nnd_conv_desc d = random_desc();
        d.in_layout = (nnd_kernel_layout)rng_int(0, 1);
        d.out_layout = (nnd_kernel_layout)rng_int(0, 1);
        check_problem(d, NND_CONV_AUTO);
    }
}

/* Depthwise shapes through the general algorithm, and through their own under every layout. */
static void depthwise_both_ways(nnd_isa isa)
{
    for (int i = 0; i < ROUNDS(60); i++) {
        nnd_conv_desc d = random_desc();
        d.groups = d.in_channels = d.out_channels = rng_int(1, 40);
        d.in_layout = d.out_layout = (nnd_kernel_layout)(i & 1);
        check_problem(d, NND_CONV_DEPTHWISE);
        if (isa != NND_ISA_REFERENCE) check_problem(d, NND_CONV_DIRECT);
    }
}

/* The shapes that real models are made of, at a size the oracle can afford. */
static void usual_shapes(nnd_isa isa)
{
    const nnd_conv_desc shapes[] = {
        plain_desc(3, 33, 16, 3, 2, 1),  plain_desc(3, 40, 24, 7, 2, 3),
        plain_desc(64, 14, 64, 3, 1, 1), plain_desc(32, 14, 96, 1, 1, 0),
        plain_desc(96, 7, 40, 1, 1, 0),  plain_desc(64, 14, 128, 1, 2, 0),
        plain_desc(64, 14, 72, 3, 2, 1), plain_desc(130, 1, 70, 1, 1, 0),
        plain_desc(16, 80, 16, 1, 1, 0),
    };
    (void)isa;
    for (size_t i = 0; i < NND_COUNT(shapes) * 2; i++) {
        nnd_conv_desc d = shapes[i / 2];
        d.in_layout = d.out_layout = (nnd_kernel_layout)(i & 1);
        d.act.kind = NND_ACT_RELU;
        check_problem(d, NND_CONV_AUTO);
    }
}

/* Windows that have kernels of their own: every remainder of rows and columns, every border. */
static void usual_depthwise(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(160); i++) {
        int64_t kernel = i % 4 ? 3 : 5;
        nnd_conv_desc d = plain_desc(rng_int(1, 20), 1, 1, kernel, 1 + i / 4 % 2, 0);
        d.groups = d.out_channels = d.in_channels;
        d.pad_top = rng_int(0, 2);
        d.pad_left = rng_int(0, 2);
        d.pad_bottom = rng_int(0, 2);
        d.pad_right = rng_int(0, 2);
        d.in_h = kernel + rng_int(0, 9);
        d.in_w = kernel + rng_int(0, 24);
        d.in_layout = d.out_layout = NND_KERNEL_NCHWC;
        d.act = random_act();
        d.residual = rng_int(0, 1);
        check_problem(d, NND_CONV_DEPTHWISE);
    }
}

/* Groups that begin and end inside of blocks, on either side and on both. */
static void groups_share_blocks(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(120); i++) {
        nnd_conv_desc d = random_desc();
        d.groups = rng_int(2, 9);
        d.in_channels = d.groups * rng_int(1, 40);
        d.out_channels = d.groups * rng_int(1, 40);
        d.in_layout = i % 4 ? NND_KERNEL_NCHWC : NND_KERNEL_NCHW;
        d.out_layout = i % 4 != 3 ? NND_KERNEL_NCHWC : NND_KERNEL_NCHW;
        check_problem(d, NND_CONV_AUTO);
    }
}

/* Every remainder of tiles, channels and chunks. */
static void winograd_shapes(nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return;
    for (int i = 0; i < ROUNDS(60); i++) {
        nnd_conv_desc d = plain_desc(rng_int(1, 40), rng_int(1, 17), rng_int(1, 70), 3, 1, 1);
        d.in_w = rng_int(1, 30);
        d.batch = rng_int(1, 2);
        d.pad_top = rng_int(0, 2);
        d.pad_left = rng_int(0, 2);
        d.pad_bottom = d.in_h < 3 ? 2 : rng_int(0, 2);
        d.pad_right = d.in_w < 3 ? 2 : rng_int(0, 2);
        d.in_layout = d.out_layout = NND_KERNEL_NCHWC;
        d.act = random_act();
        d.residual = rng_int(0, 1);
        check_problem(d, NND_CONV_WINOGRAD);
    }
    nnd_conv_desc chunks = plain_desc(96, 60, 100, 3, 1, 1);
    chunks.in_layout = chunks.out_layout = NND_KERNEL_NCHWC;
    nnd_conv *conv;
    assert_ok(nnd_conv_create(&chunks, NND_CONV_WINOGRAD, &conv));
    assert_true(nnd_conv_stages(conv) > 3);
    nnd_conv_destroy(conv);
    chunks.in_h = 40;
    check_problem(chunks, NND_CONV_WINOGRAD);
    printf("%s: winograd at %.2f of its bound\n", nnd_isa_name(isa), worst_winograd);
}

/* A row longer than a tile may be. */
static void long_rows(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < 4; i++) {
        nnd_conv_desc d = plain_desc(5, 3, 20, 3, 1, 1);
        d.in_w = 1100;
        d.stride_w = 1 + (i >> 1);
        d.in_layout = d.out_layout = (nnd_kernel_layout)(i & 1);
        check_problem(d, NND_CONV_AUTO);
    }
}

/* Patches of a picture and maps of a few pixels: rows that are joined, with every rest of rows,
   columns and channels, and borders on some sides. */
static void short_rows(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(120); i++) {
        bool patches = i % 2 == 0;
        nnd_conv_desc d = plain_desc(1, 1, 1, 1, 1, 0);
        d.batch = rng_int(1, 2);
        d.groups = i % 8 == 7 ? rng_int(2, 3) : 1;
        d.kernel_h = patches ? rng_int(2, 17) : rng_int(1, 3);
        d.kernel_w = patches ? rng_int(2, 17) : rng_int(1, 3);
        d.stride_h = patches ? d.kernel_h + rng_int(0, 2) : rng_int(1, 2);
        d.stride_w = patches ? d.kernel_w + rng_int(0, 2) : rng_int(1, 2);
        d.in_channels = d.groups * (patches ? rng_int(1, 4) : rng_int(1, 40));
        d.out_channels = d.groups * rng_int(1, 100);
        d.pad_top = rng_int(0, 2) ? 0 : rng_int(0, d.kernel_h - 1);
        d.pad_left = rng_int(0, 2) ? 0 : rng_int(0, d.kernel_w - 1);
        d.pad_bottom = rng_int(0, 2) ? 0 : rng_int(0, d.kernel_h - 1);
        d.pad_right = rng_int(0, 2) ? 0 : rng_int(0, d.kernel_w - 1);
        d.in_h = d.kernel_h + rng_int(0, 4 * d.stride_h);
        d.in_w = d.kernel_w + rng_int(0, 4 * d.stride_w);
        d.in_layout = (nnd_kernel_layout)rng_int(0, 1);
        d.out_layout = (nnd_kernel_layout)rng_int(0, 1);
        d.act = random_act();
        d.residual = rng_int(0, 1);
        check_problem(d, NND_CONV_AUTO);
    }
    /* Long rows of patches, cut into parts. */
    nnd_conv_desc wide = plain_desc(2, 6, 20, 6, 6, 0);
    wide.in_w = 5000;
    check_problem(wide, NND_CONV_AUTO);
}

/* Taps far apart, as in pyramids of dilated convolutions: most lie in the padding. */
static void distant_taps(nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return;
    for (int i = 0; i < ROUNDS(60); i++) {
        nnd_conv_desc d = random_desc();
        d.dilation_h = rng_int(4, 36);
        d.dilation_w = rng_int(0, 2) ? d.dilation_h : rng_int(4, 36);
        d.in_h = rng_int(1, 20);
        d.in_w = rng_int(1, 34);
        d.pad_top = d.pad_bottom = (d.kernel_h - 1) * d.dilation_h / 2 + rng_int(0, 2);
        d.pad_left = d.pad_right = (d.kernel_w - 1) * d.dilation_w / 2 + rng_int(0, 2);
        if (d.in_h + 2 * d.pad_top < (d.kernel_h - 1) * d.dilation_h + 1) continue;
        if (d.in_w + 2 * d.pad_left < (d.kernel_w - 1) * d.dilation_w + 1) continue;
        d.in_layout = (nnd_kernel_layout)rng_int(0, 1);
        d.out_layout = d.groups > 1 ? d.in_layout : (nnd_kernel_layout)rng_int(0, 1);
        check_problem(d, NND_CONV_AUTO);
    }
    /* What lies between the taps is not copied. */
    nnd_conv_desc pyramid = plain_desc(320, 9, 256, 3, 1, 36);
    pyramid.dilation_h = pyramid.dilation_w = 36;
    nnd_conv *conv;
    assert_ok(nnd_conv_create(&pyramid, NND_CONV_AUTO, &conv));
    assert_true(nnd_conv_lane_bytes(conv) <= sizeof(float) * 320 * 32 * 32);
    nnd_conv_destroy(conv);
}

/* Taps that see padding only are not multiplied: what they weigh may be anything. */
static void dead_taps(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < 8; i++) {
        nnd_conv_desc d = plain_desc(21, 5, 40, 3, 1, 7);
        d.dilation_h = d.dilation_w = 7;
        d.in_layout = (nnd_kernel_layout)(i & 1);
        d.out_layout = (nnd_kernel_layout)(i >> 1 & 1);
        d.residual = i >> 2;
        problem p = problem_make(d, NND_CONV_AUTO);
        for (size_t t = 0; t < p.weights.n; t++)
            if (t % 9 != 4) p.weights.data[t] = t % 2 ? NAN : INFINITY;
        guarded y = run_conv(&p, 1);
        for (int64_t e = 0; e < d.out_channels * spatial_out(&p); e++)
            check_element(&p, e, element(&y, d.out_layout, d.out_channels, spatial_out(&p), e));
        guarded_free(&y);
        problem_free(&p);
    }
    /* The window sees nothing at all at the corners: the bias is left. */
    nnd_conv_desc corners = plain_desc(5, 3, 20, 2, 3, 9);
    for (int i = 0; i < 2; i++) {
        corners.in_layout = corners.out_layout = (nnd_kernel_layout)i;
        check_problem(corners, NND_CONV_AUTO);
    }
}

static void same_bits_for_any_threads(nnd_isa isa)
{
    const nnd_conv_desc shapes[] = {
        plain_desc(48, 28, 72, 3, 1, 1), plain_desc(64, 28, 64, 1, 1, 0),
        plain_desc(96, 40, 96, 3, 1, 1), plain_desc(136, 28, 68, 1, 1, 0),
        plain_desc(3, 96, 400, 16, 16, 0)};
    (void)isa;
    assert_ok(nnd_sched_set_threads(MAX_LANES));
    for (size_t i = 0; i < NND_COUNT(shapes) * 2; i++) {
        nnd_conv_desc d = shapes[i / 2];
        if (i / 2 == 2) d.groups = 96;
        if (i / 2 == 3) d.groups = 4;
        d.in_layout = d.out_layout = (nnd_kernel_layout)(i & 1);
        problem p = problem_make(d, NND_CONV_AUTO);
        assert_true(nnd_conv_stages(p.conv) > 1 || nnd_conv_tiles(p.conv, 0) >= 4);
        guarded serial = run_conv(&p, 1);
        for (int threads = 2; threads <= MAX_LANES; threads++) {
            guarded y = run_conv(&p, threads);
            assert_memory_equal(y.data, serial.data, y.n * sizeof(float));
            guarded_free(&y);
        }
        guarded_free(&serial);
        problem_free(&p);
    }
}

static void test_random_shapes(void **state)
{
    (void)state;
    each_isa(random_shapes);
}

static void test_depthwise_both_ways(void **state)
{
    (void)state;
    each_isa(depthwise_both_ways);
}

static void test_dead_taps(void **state)
{
    (void)state;
    each_isa(dead_taps);
}

static void test_usual_shapes(void **state)
{
    (void)state;
    each_isa(usual_shapes);
}

static void test_usual_depthwise(void **state)
{
    (void)state;
    each_isa(usual_depthwise);
}

static void test_groups_share_blocks(void **state)
{
    (void)state;
    each_isa(groups_share_blocks);
}

static void test_winograd_shapes(void **state)
{
    (void)state;
    each_isa(winograd_shapes);
}

static void test_long_rows(void **state)
{
    (void)state;
    each_isa(long_rows);
}

static void test_short_rows(void **state)
{
    (void)state;
    each_isa(short_rows);
}

static void test_distant_taps(void **state)
{
    (void)state;
    each_isa(distant_taps);
}

static void test_same_bits_for_any_threads(void **state)
{
    (void)state;
    each_isa(same_bits_for_any_threads);
}

/* NaN in an input channel reaches every output whose window covers it, and no other. */
static void nan_propagates(nnd_isa isa)
{
    nnd_conv_algorithm algorithm = isa == NND_ISA_REFERENCE ? NND_CONV_REFERENCE : NND_CONV_DIRECT;
    for (int layout = 0; layout < 2; layout++) {
        nnd_conv_desc d = plain_desc(20, 9, 20, 3, 1, 1);
        d.in_layout = d.out_layout = (nnd_kernel_layout)layout;
        d.act.kind = NND_ACT_RELU;
        problem p = problem_make(d, algorithm);
        p.x.data[4 * 9 + 4] = NAN;
        guarded y = run_conv(&p, 1);
        for (int64_t i = 0; i < 20 * 81; i++) {
            int64_t row = i % 81 / 9, column = i % 9;
            bool near = row >= 3 && row <= 5 && column >= 3 && column <= 5;
            assert_int_equal(near, isnan(element(&y, d.out_layout, 20, 81, i)) != 0);
        }
        guarded_free(&y);
        problem_free(&p);
    }
}

/* NaN and infinity in one group stay out of the others, also where these share blocks with it. */
static void groups_do_not_mix(nnd_isa isa)
{
    (void)isa;
    for (int kernel = 1; kernel <= 3; kernel += 2) {
        nnd_conv_desc d = plain_desc(5 * 7, 9, 5 * 6, kernel, 1, kernel / 2);
        d.groups = 5;
        d.in_layout = d.out_layout = NND_KERNEL_NCHWC;
        problem p = problem_make(d, NND_CONV_AUTO);
        for (int64_t i = 2 * 7 * 81; i < 3 * 7 * 81; i++)
            p.x.data[i] = i % 2 ? NAN : INFINITY;
        guarded y = run_conv(&p, 1);
        for (int64_t i = 0; i < 30 * 81; i++)
            assert_int_equal(i / (6 * 81) == 2,
                             isnan(element(&y, d.out_layout, d.out_channels, 81, i)) != 0);
        guarded_free(&y);
        problem_free(&p);
    }
}

/* ---- pairs in bf16 ------------------------------------------------------------------------- */

/* Shapes and groups at random, those that begin and end inside of blocks among them. */
static void random_pairs(void)
{
    for (int i = 0; i < ROUNDS(240); i++) {
        nnd_conv_desc d = random_desc();
        d.groups = i % 3 ? 1 : rng_int(2, 9);
        d.in_channels = d.groups * 2 * rng_int(1, 20);
        d.out_channels = d.groups * rng_int(1, d.groups > 1 ? 40 : 70);
        d.in_layout = NND_KERNEL_NCHWC;
        d.out_layout = (nnd_kernel_layout)(i % 5 != 4);
        d.bf16 = true;
        check_problem(d, NND_CONV_DIRECT_BF16);
    }
}

static void pairs_have_the_same_bits_for_any_threads(void)
{
    nnd_conv_desc d = plain_desc(64, 28, 72, 1, 1, 0);
    d.in_layout = d.out_layout = NND_KERNEL_NCHWC;
    d.bf16 = true;
    assert_ok(nnd_sched_set_threads(MAX_LANES));
    problem p = problem_make(d, NND_CONV_AUTO);
    assert_int_equal(nnd_conv_get_algorithm(p.conv), NND_CONV_DIRECT_BF16);
    assert_true(nnd_conv_tiles(p.conv, 0) >= 4);
    guarded serial = run_conv(&p, 1), y = run_conv(&p, MAX_LANES);
    assert_memory_equal(y.data, serial.data, y.n * sizeof(float));
    guarded_free(&y);
    guarded_free(&serial);
    problem_free(&p);
}

static bool multiplies_pairs(nnd_isa isa)
{
    return isa == NND_ISA_AVX512BF16 || isa == NND_ISA_NEON_BF16;
}

/* Not where somebody has not allowed it, the instruction is missing or a pair would have to be cut.
 */
static void pairs_are_refused(nnd_isa isa)
{
    nnd_conv_desc d = plain_desc(32, 9, 16, 1, 1, 0);
    d.in_layout = d.out_layout = NND_KERNEL_NCHWC;
    assert_false(nnd_conv_can(&d, NND_CONV_DIRECT_BF16));
    d.bf16 = true;
    assert_int_equal(nnd_conv_can(&d, NND_CONV_DIRECT_BF16), multiplies_pairs(isa));
    d.in_channels = 31;
    assert_false(nnd_conv_can(&d, NND_CONV_DIRECT_BF16));
    d.in_channels = 32;
    d.in_layout = NND_KERNEL_NCHW;
    assert_false(nnd_conv_can(&d, NND_CONV_DIRECT_BF16));
}

static void test_pairs_in_bf16(void **state)
{
    (void)state;
    each_isa(pairs_are_refused);
    pairs_are_refused(nnd_isa_detected());
    if (!multiplies_pairs(nnd_isa_detected())) skip();
    random_pairs();
    pairs_have_the_same_bits_for_any_threads();
}

static void test_nan_propagates(void **state)
{
    (void)state;
    each_isa(nan_propagates);
    each_isa(groups_do_not_mix);
}

static void test_bad_shapes_are_refused(void **state)
{
    (void)state;
    nnd_conv *conv;
    nnd_conv_desc d = plain_desc(4, 2, 4, 5, 1, 0);
    assert_status(nnd_conv_create(&d, NND_CONV_AUTO, &conv), NND_E_SHAPE);
    assert_null(conv);
    d = plain_desc(4, 8, 4, 3, 0, 0);
    assert_status(nnd_conv_create(&d, NND_CONV_AUTO, &conv), NND_E_SHAPE);
    d = plain_desc(4, 8, 4, 3, 1, -1);
    assert_status(nnd_conv_create(&d, NND_CONV_AUTO, &conv), NND_E_SHAPE);
    d = plain_desc(4, 8, 6, 3, 1, 1);
    d.groups = 4;
    assert_status(nnd_conv_create(&d, NND_CONV_AUTO, &conv), NND_E_SHAPE);
    d = plain_desc(INT32_MAX, INT32_MAX, 4, 3, 1, 1);
    assert_status(nnd_conv_create(&d, NND_CONV_AUTO, &conv), NND_E_OVERFLOW);
    d = plain_desc(4, 8, 4, 3, 1, 1);
    assert_status(nnd_conv_create(&d, NND_CONV_DEPTHWISE, &conv), NND_E_UNSUPPORTED);
    nnd_error_clear();
}

/* Extents that a hostile file can state in a few bytes: the plan may not count them one by one. */
static void vast_shapes(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < 20; i++) {
        nnd_conv_desc vast[] = {plain_desc(2, 1, 2, 1, 1, 0), plain_desc(2, 1, 2, 1, 1, 0),
                                plain_desc(2, 1, 2, 3, 1, 0), plain_desc(2, 1, 2, 1, 1, 0)};
        nnd_conv *conv;
        vast[0].in_h = INT32_MAX - i;
        vast[0].pad_left = vast[0].pad_right = 1;
        vast[1].in_w = INT32_MAX - i;
        vast[1].pad_top = 1;
        vast[2].pad_top = vast[2].pad_bottom = INT32_MAX / 2 - i;
        vast[2].pad_left = 2;
        vast[3].in_w = vast[3].kernel_w = 1 << 20;
        vast[3].stride_w = (1 << 20) - i;
        for (size_t k = 0; k < NND_COUNT(vast); k++) {
            assert_ok(nnd_conv_create(&vast[k], NND_CONV_AUTO, &conv));
            nnd_conv_destroy(conv);
        }
    }
}

static void test_vast_shapes_are_planned_at_once(void **state)
{
    (void)state;
    each_isa(vast_shapes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual_shapes),
        cmocka_unit_test(test_random_shapes),
        cmocka_unit_test(test_depthwise_both_ways),
        cmocka_unit_test(test_usual_depthwise),
        cmocka_unit_test(test_groups_share_blocks),
        cmocka_unit_test(test_winograd_shapes),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_short_rows),
        cmocka_unit_test(test_distant_taps),
        cmocka_unit_test(test_dead_taps),
        cmocka_unit_test(test_same_bits_for_any_threads),
        cmocka_unit_test(test_pairs_in_bf16),
        cmocka_unit_test(test_nan_propagates),
        cmocka_unit_test(test_bad_shapes_are_refused),
        cmocka_unit_test(test_vast_shapes_are_planned_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
