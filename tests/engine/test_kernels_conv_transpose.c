/*
 * Transposed convolution by phases under every ISA against a double-precision loop over the
 * definition: random windows, strides, cuts, groups, all combinations of layouts; guards around the
 * output; equal bits for 1 … 4 threads; one packing for all sizes. Error bound: (k + 4)·2^-24·
 * (Σ|w||x| + |bias|).
 */
#include "kernels_support.h"

#include "support/oom.h"

typedef struct problem {
    nnd_conv_transpose_desc d;
    bool with_bias;
    guarded x, weights, bias; /* x in NCHW */
} problem;

static nnd_conv_transpose_desc square(int64_t ic, int64_t size, int64_t oc, int64_t kernel,
                                      int64_t stride, int64_t cut)
{
    return (nnd_conv_transpose_desc){.batch = 1,
                                     .in_channels = ic,
                                     .in_h = size,
                                     .in_w = size,
                                     .out_channels = oc,
                                     .out_h = (size - 1) * stride + kernel - 2 * cut,
                                     .out_w = (size - 1) * stride + kernel - 2 * cut,
                                     .groups = 1,
                                     .kernel_h = kernel,
                                     .kernel_w = kernel,
                                     .stride_h = stride,
                                     .stride_w = stride,
                                     .begin_h = cut,
                                     .begin_w = cut};
}

static nnd_conv_transpose_desc random_desc(void)
{
    nnd_conv_transpose_desc d = {.batch = rng_int(1, 2), .groups = rng_int(0, 3) ? 1 : 3};
    d.in_channels = d.groups * rng_int(1, 40);
    d.out_channels = d.groups * rng_int(1, 70);
    d.in_h = rng_int(1, 9);
    d.in_w = rng_int(1, 20);
    d.stride_h = rng_int(1, 4);
    d.stride_w = rng_int(1, 4);
    d.kernel_h = d.stride_h + rng_int(0, 4);
    d.kernel_w = d.stride_w + rng_int(0, 4);
    d.begin_h = rng_int(0, (d.kernel_h - d.stride_h) / 2 + 1);
    d.begin_w = rng_int(0, (d.kernel_w - d.stride_w) / 2 + 1);
    /* Less by what is cut off behind, more by output_padding. */
    d.out_h = (d.in_h - 1) * d.stride_h + d.kernel_h - d.begin_h - rng_int(-2, 2);
    d.out_w = (d.in_w - 1) * d.stride_w + d.kernel_w - d.begin_w - rng_int(-2, 2);
    d.in_layout = (nnd_kernel_layout)rng_int(0, 1);
    d.out_layout = (nnd_kernel_layout)rng_int(0, 1);
    return d;
}

static problem problem_make(nnd_conv_transpose_desc d)
{
    problem p = {.d = d, .with_bias = rng_int(0, 3) != 0};
    int64_t weights = d.in_channels * (d.out_channels / d.groups) * d.kernel_h * d.kernel_w;
    p.x = guarded_random((size_t)(d.batch * d.in_channels * d.in_h * d.in_w), -1, 1);
    p.weights = guarded_random((size_t)weights, -1, 1);
    p.bias = guarded_random((size_t)d.out_channels, -1, 1);
    return p;
}

static void problem_free(problem *p)
{
    guarded_free(&p->x);
    guarded_free(&p->weights);
    guarded_free(&p->bias);
}

/* Where element (image, channel, pixel) lies. */
static size_t at(nnd_kernel_layout layout, int64_t channels, int64_t spatial, int64_t image,
                 int64_t channel, int64_t pixel)
{
    int64_t block = layout == NND_KERNEL_NCHW ? 1 : nnd_kernel_block();
    int64_t blocks = (channels + block - 1) / block;
    return (size_t)(((image * blocks + channel / block) * spatial + pixel) * block +
                    channel % block);
}

/* The input in its layout; lanes behind the last channel are poisoned. */
static guarded input_of(const problem *p)
{
    const nnd_conv_transpose_desc *d = &p->d;
    int64_t area = d->in_h * d->in_w;
    guarded g = guarded_make(
        nnd_kernel_elements(d->in_layout, (size_t)d->batch, (size_t)d->in_channels, (size_t)area));
    for (size_t i = 0; i < g.n; i++)
        g.data[i] = NAN;
    for (int64_t i = 0; i < (int64_t)p->x.n; i++)
        g.data[at(d->in_layout, d->in_channels, area, i / (area * d->in_channels),
                  i / area % d->in_channels, i % area)] = p->x.data[i];
    return g;
}

typedef struct run_job {
    const nnd_conv_transpose *conv;
    const float *x;
    const void *packed;
    float *y;
    lanes lanes;
} run_job;

static nnd_status run_one(void *user, size_t index, int lane)
{
    run_job *j = user;
    nnd_conv_transpose_run_tile(j->conv, j->x, j->packed, j->y, index, j->lanes.scratch[lane]);
    return NND_OK;
}

/* With weights packed for `packer`, NULL: for the problem itself. */
static guarded run(const problem *p, const nnd_conv_transpose_desc *packer, int threads)
{
    const nnd_conv_transpose_desc *d = &p->d;
    nnd_conv_transpose *conv, *other;
    guarded x = input_of(p);
    guarded y = guarded_make(nnd_kernel_elements(
        d->out_layout, (size_t)d->batch, (size_t)d->out_channels, (size_t)(d->out_h * d->out_w)));
    assert_ok(nnd_conv_transpose_create(d, &conv));
    assert_ok(nnd_conv_transpose_create(packer ? packer : d, &other));
    assert_int_equal(nnd_conv_transpose_packed_bytes(conv), nnd_conv_transpose_packed_bytes(other));
    void *packed = aligned_scratch(nnd_conv_transpose_packed_bytes(conv));
    assert_ok(nnd_conv_transpose_pack(other, p->weights.data, p->with_bias ? p->bias.data : NULL,
                                      packed));
    run_job j = {conv, x.data, packed, y.data, lanes_make(nnd_conv_transpose_lane_bytes(conv))};
    assert_ok(nnd_parallel_for(nnd_conv_transpose_tiles(conv), threads, run_one, &j, NULL));
    lanes_free(&j.lanes);
    nnd_free_aligned(packed);
    guarded_free(&x);
    nnd_conv_transpose_destroy(conv);
    nnd_conv_transpose_destroy(other);
    return y;
}

/* The sum over all inputs that reach one output, and of the magnitudes of its terms. */
static double exact(const problem *p, int64_t image, int64_t oc, int64_t oh, int64_t ow,
                    double *size)
{
    const nnd_conv_transpose_desc *d = &p->d;
    int64_t depth = d->in_channels / d->groups, out_depth = d->out_channels / d->groups;
    double sum = p->with_bias ? p->bias.data[oc] : 0.0;
    *size = fabs(sum);
    for (int64_t ic = oc / out_depth * depth; ic < (oc / out_depth + 1) * depth; ic++)
        for (int64_t k = 0; k < d->kernel_h * d->kernel_w; k++) {
            int64_t ih = oh + d->begin_h - k / d->kernel_w, iw = ow + d->begin_w - k % d->kernel_w;
            if (ih < 0 || iw < 0 || ih % d->stride_h || iw % d->stride_w) continue;
            ih /= d->stride_h;
            iw /= d->stride_w;
            if (ih >= d->in_h || iw >= d->in_w) continue;
            double x = p->x.data[((image * d->in_channels + ic) * d->in_h + ih) * d->in_w + iw];
            double w =
                p->weights.data[(ic * out_depth + oc % out_depth) * d->kernel_h * d->kernel_w + k];
            sum += x * w;
            *size += fabs(x * w);
        }
    return sum;
}

static void check(const problem *p, const nnd_conv_transpose_desc *packer)
{
    const nnd_conv_transpose_desc *d = &p->d;
    int64_t area = d->out_h * d->out_w;
    double k = (double)(d->in_channels / d->groups * d->kernel_h * d->kernel_w), size;
    guarded y = run(p, packer, 1);
    for (int64_t i = 0; i < d->batch * d->out_channels * area; i++) {
        int64_t image = i / (area * d->out_channels), oc = i / area % d->out_channels;
        double expected = exact(p, image, oc, i % area / d->out_w, i % d->out_w, &size);
        float got = y.data[at(d->out_layout, d->out_channels, area, image, oc, i % area)];
        if (fabs(got - expected) <= (k + 4) * 0x1p-24 * size) continue;
        fprintf(stderr,
                "%s: c%lld %lldx%lld → %lld %lldx%lld g%lld k%lldx%lld s%lld,%lld b%lld,%lld "
                "layouts %d→%d, element %lld: %g, expected %g\n",
                nnd_isa_name(nnd_isa_current()), (long long)d->in_channels, (long long)d->in_h,
                (long long)d->in_w, (long long)d->out_channels, (long long)d->out_h,
                (long long)d->out_w, (long long)d->groups, (long long)d->kernel_h,
                (long long)d->kernel_w, (long long)d->stride_h, (long long)d->stride_w,
                (long long)d->begin_h, (long long)d->begin_w, d->in_layout, d->out_layout,
                (long long)i, got, expected);
        fail();
    }
    for (size_t i = 0; i < y.n; i++) /* lanes behind the last channel: written */
        assert_true(y.data[i] != GUARD_VALUE);
    guarded_free(&y);
}

static int shapes_done;

static void random_shapes(nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return;
    shapes_done = 0;
    for (int i = 0; i < ROUNDS(300); i++) {
        nnd_conv_transpose_desc d = random_desc();
        if (d.out_h < 1 || d.out_w < 1 || !nnd_conv_transpose_can(&d)) continue;
        problem p = problem_make(d);
        check(&p, NULL);
        problem_free(&p);
        shapes_done++;
    }
    assert_true(shapes_done > ROUNDS(300) / 4);
}

/* The layers of generators, segmentation and vocoders. */
static void usual_shapes(nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return;
    nnd_conv_transpose_desc shapes[] = {square(40, 9, 24, 2, 2, 0), square(33, 7, 20, 4, 2, 1),
                                        square(24, 9, 17, 3, 2, 1), square(20, 1, 40, 4, 1, 0),
                                        square(17, 5, 16, 4, 4, 0), square(30, 60, 20, 16, 8, 4)};
    shapes[2].out_h = shapes[2].out_w = 18; /* output_padding */
    shapes[5].in_h = shapes[5].out_h = shapes[5].kernel_h = shapes[5].stride_h = 1;
    shapes[5].begin_h = 0;
    for (size_t i = 0; i < NND_COUNT(shapes) * 4; i++) {
        nnd_conv_transpose_desc d = shapes[i / 4];
        d.in_layout = (nnd_kernel_layout)(i & 1);
        d.out_layout = (nnd_kernel_layout)(i >> 1 & 1);
        problem p = problem_make(d);
        check(&p, NULL);
        problem_free(&p);
    }
}

/* Weights are packed once: sizes so small that phases have no pixel, and other cuts, read them. */
static void one_packing_for_all_sizes(nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return;
    const nnd_conv_transpose_desc packer = square(19, 20, 21, 5, 2, 1);
    for (int64_t cut = 0; cut < 3; cut++) {
        for (int64_t size = 1; size < 4; size++) {
            problem p = problem_make(square(19, size, 21, 5, 2, cut));
            check(&p, &packer);
            problem_free(&p);
        }
    }
    nnd_conv_transpose_desc dot = square(19, 1, 21, 3, 2, 1); /* of four phases one has a pixel */
    nnd_conv_transpose_desc large = square(19, 9, 21, 3, 2, 1);
    problem p = problem_make(dot);
    check(&p, &large);
    problem_free(&p);
}

static void same_bits_for_any_threads(nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return;
    assert_ok(nnd_sched_set_threads(MAX_LANES));
    for (int i = 0; i < 4; i++) {
        nnd_conv_transpose_desc d = square(48, 20, 36, 4 - 2 * (i >> 1), 2, 1 - (i >> 1));
        d.in_layout = d.out_layout = (nnd_kernel_layout)(i & 1);
        problem p = problem_make(d);
        guarded serial = run(&p, NULL, 1);
        for (int threads = 2; threads <= MAX_LANES; threads++) {
            guarded y = run(&p, NULL, threads);
            assert_memory_equal(y.data, serial.data, y.n * sizeof(float));
            guarded_free(&y);
        }
        guarded_free(&serial);
        problem_free(&p);
    }
}

static void refused_shapes(nnd_isa isa)
{
    nnd_conv_transpose *conv;
    nnd_conv_transpose_desc d = square(8, 5, 8, 4, 2, 1);
    assert_int_equal(nnd_conv_transpose_can(&d), isa != NND_ISA_REFERENCE);
    d = square(8, 5, 8, 1, 2, 0); /* outputs that see no tap */
    assert_false(nnd_conv_transpose_can(&d));
    d = square(8, 5, 8, 2, 2, 1); /* inputs are cut off */
    assert_false(nnd_conv_transpose_can(&d));
    assert_status(nnd_conv_transpose_create(&d, &conv), NND_E_UNSUPPORTED);
    assert_null(conv);
    d = square(8, 5, 8, 2, 2, 0);
    d.groups = 3;
    assert_false(nnd_conv_transpose_can(&d));
    d = square(8, 5, 8, 9, 9, 0); /* too many phases */
    assert_false(nnd_conv_transpose_can(&d));
    if (isa == NND_ISA_REFERENCE) return;
    d = square(INT32_MAX, INT32_MAX / 8, INT32_MAX, 2, 2, 0);
    assert_status(nnd_conv_transpose_create(&d, &conv), NND_E_OVERFLOW);
    nnd_error_clear();
}

/* A part that sticks out of its picture, or wants what only whole pictures have. */
static void refused_places(nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return;
    nnd_conv *conv;
    nnd_conv_desc d = {.batch = 1, .in_channels = 4, .in_h = 5, .in_w = 5, .out_channels = 4};
    d.groups = d.kernel_h = d.kernel_w = d.stride_h = d.stride_w = 1;
    d.dilation_h = d.dilation_w = 1;
    d.place = (nnd_conv_place){
        .height = 10, .width = 10, .first_h = 1, .first_w = 1, .step_h = 2, .step_w = 2};
    assert_ok(nnd_conv_create(&d, NND_CONV_AUTO, &conv));
    assert_int_equal(nnd_conv_get_algorithm(conv), NND_CONV_DIRECT);
    nnd_conv_destroy(conv);
    d.place.first_w = 2;
    assert_status(nnd_conv_create(&d, NND_CONV_AUTO, &conv), NND_E_SHAPE);
    d.place.first_w = -1;
    assert_status(nnd_conv_create(&d, NND_CONV_AUTO, &conv), NND_E_SHAPE);
    d.place.first_w = 0;
    d.act.kind = NND_ACT_RELU;
    assert_status(nnd_conv_create(&d, NND_CONV_AUTO, &conv), NND_E_UNSUPPORTED);
    nnd_error_clear();
}

static nnd_status make_and_pack(const nnd_conv_transpose_desc *d, const float *weights)
{
    nnd_conv_transpose *conv;
    NND_TRY(nnd_conv_transpose_create(d, &conv));
    void *packed = malloc(nnd_conv_transpose_packed_bytes(conv));
    assert_non_null(packed);
    nnd_status status = nnd_conv_transpose_pack(conv, weights, NULL, packed);
    free(packed);
    nnd_conv_transpose_destroy(conv);
    return status;
}

static void memory_runs_out(nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return;
    static const float weights[8 * 8 * 16];
    nnd_conv_transpose_desc d = square(8, 5, 8, 4, 2, 1);
    oom_begin();
    for (long n = 0;; n++) {
        oom_fail_after(n);
        nnd_status status = make_and_pack(&d, weights);
        bool was_hit = oom_hit();
        oom_never();
        assert_int_equal(status, was_hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_error_clear();
        if (!was_hit) break;
    }
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
}

static void test_shapes(void **state)
{
    (void)state;
    each_isa(random_shapes);
    each_isa(usual_shapes);
}

static void test_one_packing_for_all_sizes(void **state)
{
    (void)state;
    each_isa(one_packing_for_all_sizes);
}

static void test_same_bits_for_any_threads(void **state)
{
    (void)state;
    each_isa(same_bits_for_any_threads);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    each_isa(refused_shapes);
    each_isa(refused_places);
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    each_isa(memory_runs_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_one_packing_for_all_sizes),
        cmocka_unit_test(test_same_bits_for_any_threads),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
