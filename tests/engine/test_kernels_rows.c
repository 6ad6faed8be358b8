/*
 * Row kernels, pooling, reorders, transposition, upsampling and half precision under every ISA,
 * against double precision or exact expectations; guards around every output.
 */
#include "kernels_support.h"

/* ---- rows ------------------------------------------------------------------------------- */

static void check_near(float got, double expected, double bound)
{
    if (fabs(got - expected) <= bound) return;
    fprintf(stderr, "%s: %.9g, expected %.9g ± %g\n", nnd_isa_name(nnd_isa_current()), got,
            expected, bound);
    fail();
}

static void check_softmax_row(const float *x, const float *y, const float *log_y, size_t n)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (x[i] > most) most = x[i];
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - most);
    for (size_t i = 0; i < n; i++) {
        double p = exp(x[i] - most) / sum;
        /* The difference from the largest is rounded before exp sees it. */
        double slack = 8 + fabs(x[i] - most) + (double)n / 32;
        check_near(y[i], p, p * 0x1p-24 * slack + 1e-37);
        check_near(log_y[i], x[i] - most - log(sum), 4e-6 * (1 + fabs(x[i] - most)));
    }
}

static void check_norm_row(const float *x, const float *gamma, const float *beta, const float *y,
                           const float *rms, size_t n)
{
    double mean = 0, variance = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        mean += x[i] / (double)n;
        squares += (double)x[i] * x[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double v = (x[i] - mean) / sqrt(variance + 1e-5);
        check_near(y[i], v * gamma[i] + beta[i], 1e-5 * (1 + fabs(v)));
        double r = x[i] / sqrt(squares + 1e-5) * gamma[i];
        check_near(rms[i], r, 1e-6 * (1 + fabs(r)));
    }
}

static void check_rows_of(size_t rows, size_t n)
{
    guarded x = guarded_random(rows * n, -8, 8), a = guarded_make(rows * n);
    guarded b = guarded_make(rows * n), gamma = guarded_random(n, -1, 1);
    guarded beta = guarded_random(n, -1, 1), sums = guarded_make(rows);
    nnd_softmax_rows(x.data, a.data, rows, n);
    nnd_log_softmax_rows(x.data, b.data, rows, n);
    for (size_t r = 0; r < rows; r++)
        check_softmax_row(x.data + r * n, a.data + r * n, b.data + r * n, n);
    nnd_layer_norm_rows(x.data, gamma.data, beta.data, 1e-5f, a.data, rows, n);
    nnd_rms_norm_rows(x.data, gamma.data, 1e-5f, b.data, rows, n);
    for (size_t r = 0; r < rows; r++)
        check_norm_row(x.data + r * n, gamma.data, beta.data, a.data + r * n, b.data + r * n, n);
    for (int op = NND_ROW_SUM; op <= NND_ROW_MEAN; op++) {
        nnd_reduce_rows((nnd_row_op)op, x.data, sums.data, rows, n);
        for (size_t r = 0; r < rows; r++) {
            double sum = 0, most = -INFINITY;
            for (const float *v = x.data + r * n; v < x.data + (r + 1) * n; v++) {
                sum += *v;
                if (*v > most) most = *v;
            }
            double expected = op == NND_ROW_MAX ? most : op == NND_ROW_SUM ? sum : sum / (double)n;
            check_near(sums.data[r], expected, op == NND_ROW_MAX ? 0 : 1e-6 * 8 * (double)n);
        }
    }
    nnd_softmax_rows(x.data, a.data, rows, n);
    nnd_softmax_rows(x.data, x.data, rows, n); /* in place */
    assert_memory_equal(a.data, x.data, rows * n * sizeof(float));
    guarded *all[] = {&x, &a, &b, &gamma, &beta, &sums};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        guarded_free(all[i]);
}

static void check_rows(nnd_isa isa)
{
    (void)isa;
    for (size_t n = 1; n < 70; n++)
        check_rows_of(2, n);
    check_rows_of(3, 1000);
    float x[] = {1.0f, NAN, 2.0f}, y;
    nnd_reduce_rows(NND_ROW_MAX, x, &y, 1, 3);
    assert_true(isnan(y));
}

static void test_rows(void **state)
{
    (void)state;
    each_isa(check_rows);
}

/* ---- pooling ---------------------------------------------------------------------------- */

static nnd_pool_desc random_pool(void)
{
    nnd_pool_desc d = {.kind = (nnd_pool_kind)rng_int(0, 1),
                       .layout = (nnd_kernel_layout)rng_int(0, 1),
                       .batch = rng_int(1, 2),
                       .channels = rng_int(1, 35),
                       .kernel_h = rng_int(1, 4),
                       .kernel_w = rng_int(1, 4),
                       .stride_h = rng_int(1, 3),
                       .stride_w = rng_int(1, 3),
                       .dilation_h = rng_int(0, 3) ? 1 : 2,
                       .dilation_w = rng_int(0, 3) ? 1 : 2,
                       .count_include_pad = rng_int(0, 1)};
    d.pad_top = rng_int(0, d.kernel_h - 1);
    d.pad_left = rng_int(0, d.kernel_w - 1);
    d.pad_bottom = rng_int(0, d.kernel_h - 1);
    d.pad_right = rng_int(0, d.kernel_w - 1);
    d.in_h = rng_int(1, 12) + (d.kernel_h - 1) * d.dilation_h;
    d.in_w = rng_int(1, 90) + (d.kernel_w - 1) * d.dilation_w;
    int64_t ceil_mode = rng_int(0, 1);
    int64_t tall = d.in_h + d.pad_top + d.pad_bottom - (d.kernel_h - 1) * d.dilation_h - 1;
    int64_t wide = d.in_w + d.pad_left + d.pad_right - (d.kernel_w - 1) * d.dilation_w - 1;
    d.out_h = (tall + ceil_mode * (d.stride_h - 1)) / d.stride_h + 1;
    d.out_w = (wide + ceil_mode * (d.stride_w - 1)) / d.stride_w + 1;
    return d;
}

static double exact_pool(const nnd_pool_desc *d, const float *plane, int64_t step, int64_t oh,
                         int64_t ow)
{
    double sum = 0, most = -INFINITY;
    int64_t inside = 0, counted = 0;
    for (int64_t t = 0; t < d->kernel_h * d->kernel_w; t++) {
        int64_t ih = oh * d->stride_h + t / d->kernel_w * d->dilation_h - d->pad_top;
        int64_t iw = ow * d->stride_w + t % d->kernel_w * d->dilation_w - d->pad_left;
        if (ih < d->in_h + d->pad_bottom && iw < d->in_w + d->pad_right) counted++;
        if (ih < 0 || iw < 0 || ih >= d->in_h || iw >= d->in_w) continue;
        inside++;
        double x = plane[(ih * d->in_w + iw) * step];
        sum += x;
        most = fmax(most, x);
    }
    if (d->kind == NND_POOL_MAX) return most;
    return sum / (double)(d->count_include_pad ? counted : inside);
}

static nnd_status pool_tiles(const nnd_pool_desc *d, const float *x, float *y)
{
    nnd_pool pool;
    NND_TRY(nnd_pool_plan(d, &pool));
    for (size_t i = nnd_pool_tiles(&pool); i-- > 0;)
        nnd_pool_run_tile(&pool, x, y, i);
    return NND_OK;
}

static void check_pool(const nnd_pool_desc *d)
{
    int64_t block = d->layout == NND_KERNEL_NCHW ? 1 : nnd_kernel_block();
    int64_t planes = d->batch * ((d->channels + block - 1) / block);
    int64_t in = d->in_h * d->in_w * block, out = d->out_h * d->out_w * block;
    guarded x = guarded_random((size_t)(planes * in), -1, 1);
    guarded y = guarded_make((size_t)(planes * out));
    if (pool_tiles(d, x.data, y.data) == NND_OK) {
        for (int64_t i = 0; i < planes * out; i++) {
            const float *plane = x.data + i / out * in + i % block;
            int64_t pixel = i % out / block;
            double expected = exact_pool(d, plane, block, pixel / d->out_w, pixel % d->out_w);
            check_near(y.data[i], expected, d->kind == NND_POOL_MAX ? 0 : 1e-6);
        }
    } else { /* only because some window lies wholly in the padding */
        nnd_error_clear();
        bool empty = false;
        for (int64_t i = 0; i < d->out_h * d->out_w; i++)
            empty |= isnan(exact_pool(d, x.data, block, i / d->out_w, i % d->out_w)) ||
                     isinf(exact_pool(d, x.data, block, i / d->out_w, i % d->out_w));
        assert_true(empty || d->count_include_pad);
    }
    guarded_free(&x);
    guarded_free(&y);
}

/* A cell of what check_planes expects: NaN wins, an infinity stays. */
static void check_cell(const nnd_pool_desc *d, const float *plane, int64_t oh, int64_t ow, float y)
{
    bool any_nan = false;
    for (int64_t t = 0; t < d->kernel_h * d->kernel_w; t++) {
        int64_t ih = oh * d->stride_h + t / d->kernel_w * d->dilation_h - d->pad_top;
        int64_t iw = ow * d->stride_w + t % d->kernel_w * d->dilation_w - d->pad_left;
        if (ih >= 0 && iw >= 0 && ih < d->in_h && iw < d->in_w)
            any_nan |= isnan(plane[ih * d->in_w + iw]);
    }
    double expected = any_nan ? NAN : exact_pool(d, plane, 1, oh, ow);
    if (isnan(expected))
        assert_true(isnan(y));
    else if (isinf(expected))
        assert_true((double)y == expected);
    else
        check_near(y, expected,
                   d->kind == NND_POOL_MAX ? 0 : 6e-8 * (double)(d->kernel_h + d->kernel_w + 2));
}

/* Planes with some infinities and NaN. A plane has the same bits alone, where tiles are others. */
static void check_planes(nnd_pool_desc d)
{
    int64_t in = d.in_h * d.in_w, out = d.out_h * d.out_w;
    guarded x = guarded_random((size_t)(d.channels * in), -1, 1);
    guarded y = guarded_make((size_t)(d.channels * out)), alone = guarded_make((size_t)out);
    const float special[] = {NAN, INFINITY, -INFINITY, -0.0f};
    for (int64_t i = rng_int(0, 200); i < d.channels * in; i += rng_int(1, 900))
        x.data[i] = special[rng_int(0, 3)];
    assert_int_equal(pool_tiles(&d, x.data, y.data), NND_OK);
    for (int64_t i = 0; i < d.channels * out; i += rng_int(1, 9))
        check_cell(&d, x.data + i / out * in, i % out / d.out_w, i % d.out_w, y.data[i]);
    int64_t plane = rng_int(0, d.channels - 1);
    d.channels = 1;
    assert_int_equal(pool_tiles(&d, x.data + plane * in, alone.data), NND_OK);
    assert_memory_equal(alone.data, y.data + plane * out, (size_t)out * sizeof(float));
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&alone);
}

/* Windows that double their reach, rows and windows wider than the buffer, wide strides, planes of
   a few cells. */
static void check_plane_pools(nnd_isa isa)
{
    static const struct {
        int64_t channels, in_h, in_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h,
            dilation_w, pad_h, pad_w;
    } cases[] = {
        {5, 20, 20, 13, 13, 1, 1, 1, 1, 6, 6},   {3, 40, 33, 7, 9, 1, 1, 2, 3, 5, 8},
        {1, 50, 60, 31, 31, 1, 1, 1, 1, 15, 15}, {70, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1},
        {9, 7, 7, 7, 7, 1, 1, 1, 1, 0, 0},       {33, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1},
        {40, 2, 3, 6, 8, 1, 1, 1, 1, 5, 7},      {3, 1, 1000, 1, 4, 1, 4, 1, 1, 0, 0},
        {2, 1, 9000, 1, 3, 1, 1, 1, 1, 0, 1},    {1, 1, 2600, 1, 1500, 1, 1, 1, 1, 0, 700},
        {2, 1, 9000, 1, 5, 1, 2, 1, 1700, 0, 9}, {2, 3, 6000, 3, 40, 1, 40, 1, 1, 1, 3},
        {2, 90, 50, 17, 20, 5, 17, 1, 1, 8, 10}, {1, 700, 3, 300, 2, 1, 1, 1, 1, 0, 1},
        {1, 12, 5000, 9, 2, 1, 2, 1, 1, 4, 0},   {1, 200, 640, 5, 5, 1, 1, 1, 1, 2, 2},
        {3, 30, 31, 3, 3, 2, 2, 1, 1, 1, 1},     {1, 3, 64, 2, 3000, 1, 1, 1, 1, 1, 2990},
    };
    (void)isa;
    for (size_t i = 0; i < NND_COUNT(cases) * 4; i++) {
        nnd_pool_desc d = {.kind = (nnd_pool_kind)(i & 1),
                           .batch = 1,
                           .channels = cases[i / 4].channels,
                           .in_h = cases[i / 4].in_h,
                           .in_w = cases[i / 4].in_w,
                           .kernel_h = cases[i / 4].kernel_h,
                           .kernel_w = cases[i / 4].kernel_w,
                           .stride_h = cases[i / 4].stride_h,
                           .stride_w = cases[i / 4].stride_w,
                           .dilation_h = cases[i / 4].dilation_h,
                           .dilation_w = cases[i / 4].dilation_w,
                           .pad_top = cases[i / 4].pad_h,
                           .pad_left = cases[i / 4].pad_w,
                           .pad_bottom = cases[i / 4].pad_h,
                           .pad_right = cases[i / 4].pad_w,
                           .count_include_pad = (i & 2) != 0};
        int64_t tall = d.in_h + 2 * d.pad_top - (d.kernel_h - 1) * d.dilation_h - 1;
        int64_t wide = d.in_w + 2 * d.pad_left - (d.kernel_w - 1) * d.dilation_w - 1;
        d.out_h = tall / d.stride_h + 1;
        d.out_w = wide / d.stride_w + 1;
        check_planes(d);
    }
}

static void test_plane_pools(void **state)
{
    (void)state;
    each_isa(check_plane_pools);
}

static void check_pools(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(300); i++) {
        nnd_pool_desc d = random_pool();
        check_pool(&d);
    }
    for (size_t spatial = 1; spatial < 60; spatial += 7) {
        for (int layout = 0; layout < 2; layout++) {
            size_t block = layout ? (size_t)nnd_kernel_block() : 1;
            guarded x = guarded_random(5 * spatial * block, -1, 1), y = guarded_make(5 * block);
            for (int kind = 0; kind < 2; kind++) {
                nnd_global_pool((nnd_pool_kind)kind, (nnd_kernel_layout)layout, x.data, y.data,
                                spatial, 0, 2);
                nnd_global_pool((nnd_pool_kind)kind, (nnd_kernel_layout)layout, x.data, y.data,
                                spatial, 2, 3);
                nnd_pool_desc d = {.kind = (nnd_pool_kind)kind,
                                   .kernel_h = 1,
                                   .kernel_w = (int64_t)spatial,
                                   .in_h = 1,
                                   .in_w = (int64_t)spatial,
                                   .dilation_h = 1,
                                   .dilation_w = 1};
                for (size_t i = 0; i < 5 * block; i++)
                    check_near(y.data[i],
                               exact_pool(&d, x.data + i / block * spatial * block + i % block,
                                          (int64_t)block, 0, 0),
                               kind == NND_POOL_MAX ? 0 : 1e-6);
            }
            guarded_free(&x);
            guarded_free(&y);
        }
    }
}

static void test_pools(void **state)
{
    (void)state;
    each_isa(check_pools);
}

/* ---- data movement ---------------------------------------------------------------------- */

static void check_reorder(size_t channels, size_t spatial)
{
    size_t block = (size_t)nnd_kernel_block(), per_image = (channels + block - 1) / block;
    guarded x = guarded_random(2 * channels * spatial, -1, 1), back = guarded_make(x.n);
    guarded blocked = guarded_make(nnd_kernel_elements(NND_KERNEL_NCHWC, 2, channels, spatial));
    nnd_reorder_to_nchwc(x.data, blocked.data, channels, spatial, 0, 1);
    nnd_reorder_to_nchwc(x.data, blocked.data, channels, spatial, 1, 2 * per_image - 1);
    for (size_t i = 0; i < blocked.n; i++) {
        size_t plane = i / (spatial * block), c = plane % per_image * block + i % block;
        size_t from = (plane / per_image * channels + c) * spatial + i / block % spatial;
        assert_true(blocked.data[i] == (c < channels ? x.data[from] : 0.0f));
    }
    nnd_reorder_to_nchw(blocked.data, back.data, channels, spatial, 0, 2 * per_image);
    assert_memory_equal(back.data, x.data, x.n * sizeof(float));
    guarded_free(&x);
    guarded_free(&back);
    guarded_free(&blocked);
}

static void check_transpose(size_t rows, size_t cols)
{
    size_t ldx = cols + rows % 3, ldy = rows + cols % 4;
    guarded x = guarded_random(rows * ldx, -1, 1), y = guarded_make(cols * ldy);
    size_t half = cols / 2;
    nnd_transpose_strip(x.data, ldx, y.data, ldy, rows, half, cols - half);
    nnd_transpose_strip(x.data, ldx, y.data, ldy, rows, 0, half);
    for (size_t i = 0; i < y.n; i++) {
        bool gap = i % ldy >= rows;
        assert_true(y.data[i] == (gap ? GUARD_VALUE : x.data[i % ldy * ldx + i / ldy]));
    }
    guarded_free(&x);
    guarded_free(&y);
}

static void check_movement(nnd_isa isa)
{
    (void)isa;
    for (size_t channels = 1; channels < 40; channels += 3) {
        for (size_t spatial = 1; spatial < 40; spatial += 3)
            check_reorder(channels, spatial);
    }
    for (int i = 0; i < ROUNDS(200); i++)
        check_transpose((size_t)rng_int(1, 50), (size_t)rng_int(1, 50));
}

/* Mixed rows and pixels against a sum in double, one to four taps, whole and partial vectors. */
static void check_mixing(nnd_isa isa)
{
    size_t block = (size_t)nnd_kernel_block();
    (void)isa;
    for (int round = 0; round < 60; round++) {
        size_t taps = (size_t)rng_int(1, 4), pixels = (size_t)rng_int(1, 40);
        size_t lanes = round % 2 ? block : 1, n = pixels * lanes;
        guarded x = guarded_random(5 * n, -1, 1), y = guarded_make(n), z = guarded_make(n);
        int32_t rows[4], columns[4 * 40];
        float row_weights[4], weights[4 * 40];
        for (size_t k = 0; k < taps; k++) {
            rows[k] = (int32_t)rng_int(0, 4);
            row_weights[k] = rng_float(-1, 1);
        }
        for (size_t k = 0; k < taps * pixels; k++) {
            columns[k] = (int32_t)rng_int(0, (int64_t)pixels - 1);
            weights[k] = taps == 1 ? 1.0f : rng_float(-1, 1);
        }
        nnd_mix_rows(x.data, n, rows, row_weights, taps, y.data, n);
        nnd_mix_pixels(x.data, lanes, columns, weights, taps, z.data, pixels);
        for (size_t i = 0; i < n; i++) {
            double down = 0, across = 0;
            for (size_t k = 0; k < taps; k++) {
                size_t at = i / lanes * taps + k;
                down += (double)row_weights[k] * (double)x.data[(size_t)rows[k] * n + i];
                across +=
                    (double)weights[at] * (double)x.data[(size_t)columns[at] * lanes + i % lanes];
            }
            assert_true(fabs((double)y.data[i] - down) <= 1e-6);
            assert_true(fabs((double)z.data[i] - across) <= 1e-6);
        }
        guarded_free(&x);
        guarded_free(&y);
        guarded_free(&z);
    }
}

static void test_movement(void **state)
{
    (void)state;
    each_isa(check_movement);
    each_isa(check_mixing);
}

/* ---- half precision --------------------------------------------------------------------- */

/* Nearest f16 value by search over all of them would be slow; instead: value = f·2^(e), rounded to
   the spacing that IEEE half has at that magnitude, ties to even by nearbyint. */
static double exact_f16(double x)
{
    int exponent;
    if (x == 0 || isnan(x) || isinf(x)) return x;
    frexp(x, &exponent);
    double spacing = ldexp(1.0, (exponent < -13 ? -13 : exponent) - 11);
    double rounded = nearbyint(x / spacing) * spacing;
    return fabs(rounded) > 65504 ? copysign(INFINITY, x) : rounded;
}

static double exact_bf16(float x)
{
    int exponent;
    if (x == 0 || isnan(x) || isinf(x)) return x;
    frexp(x, &exponent);
    double spacing = ldexp(1.0, (exponent < -125 ? -125 : exponent) - 8);
    double rounded = nearbyint(x / spacing) * spacing;
    return fabs(rounded) >= 0x1p128 ? copysign(INFINITY, x) : rounded;
}

/* Every half goes there and back unchanged. */
static void check_half_identity(void (*widen)(const uint16_t *, float *, size_t),
                                void (*narrow)(const float *, uint16_t *, size_t))
{
    uint16_t x[257], back[257];
    float wide[257];
    for (uint32_t base = 0; base < 65536; base += 257) {
        for (uint32_t i = 0; i < 257; i++)
            x[i] = (uint16_t)(base + i);
        widen(x, wide, 257);
        narrow(wide, back, 257);
        for (uint32_t i = 0; i < 257; i++)
            assert_true(back[i] == x[i] || isnan(wide[i]));
    }
}

static void check_half(nnd_isa isa)
{
    (void)isa;
    check_half_identity(nnd_f16_to_f32, nnd_f32_to_f16);
    check_half_identity(nnd_bf16_to_f32, nnd_f32_to_bf16);
    for (int round = 0; round < 3000; round++) {
        float x[37], wide[37];
        uint16_t half[38];
        size_t n = (size_t)rng_int(1, 37);
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = rng_next();
            if (i & 1) bits = (bits & 0x8fffffffu) | (bits & 8u ? 0x30000000u : 0x40000000u);
            if (i % 5 == 0) bits &= 0xfffff000u; /* ties */
            memcpy(&x[i], &bits, 4);
        }
        half[n] = 0xabcd;
        nnd_f32_to_f16(x, half, n);
        assert_int_equal(half[n], 0xabcd);
        nnd_f16_to_f32(half, wide, n);
        for (size_t i = 0; i < n; i++)
            assert_true(wide[i] == exact_f16(x[i]) || (isnan(wide[i]) && isnan(x[i])));
        nnd_f32_to_bf16(x, half, n);
        assert_int_equal(half[n], 0xabcd);
        nnd_bf16_to_f32(half, wide, n);
        for (size_t i = 0; i < n; i++)
            assert_true(wide[i] == exact_bf16(x[i]) || (isnan(wide[i]) && isnan(x[i])));
    }
}

static void test_half(void **state)
{
    (void)state;
    each_isa(check_half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_plane_pools), cmocka_unit_test(test_movement),
        cmocka_unit_test(test_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
