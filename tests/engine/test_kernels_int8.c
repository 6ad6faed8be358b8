/* Products of bytes under every ISA against plain sums: equal to the bit. */
#include "kernels_support.h"

#include "engine/kernels/int8.h"

static const nnd_isa levels[] = {NND_ISA_REFERENCE, NND_ISA_AVX2, NND_ISA_AVX512VNNI, NND_ISA_NEON,
                                 NND_ISA_NEON_DOTPROD};

static void each_level(void (*body)(void))
{
    for (size_t i = 0; i < NND_COUNT(levels); i++) {
        if (!nnd_isa_has(levels[i])) continue;
        assert_ok(nnd_isa_force(levels[i]));
        body();
        assert_ok(nnd_isa_force(nnd_isa_detected()));
    }
}

/* ---- operands ---------------------------------------------------------------------------- */

typedef struct bytes {
    uint8_t *data;
    size_t n;
    bool is_signed;
} bytes;

/* Exactly as long as it is, so that address checkers see reads beyond it. Extremes often. */
static bytes random_bytes(size_t n, bool is_signed)
{
    static const uint8_t extremes[] = {0, 127, 128, 255};
    bool extreme = rng_int(0, 3) == 0;
    bytes b = {nnd_alloc(n + 1), n, is_signed};
    assert_non_null(b.data);
    for (size_t i = 0; i < n; i++)
        b.data[i] = extreme ? extremes[rng_int(0, 3)] : (uint8_t)rng_next();
    return b;
}

static int32_t byte_at(const bytes *b, size_t i)
{
    return b->is_signed ? (int8_t)b->data[i] : b->data[i];
}

static int32_t random_zero(bool is_signed)
{
    int64_t low = is_signed ? -128 : 0;
    switch (rng_int(0, 2)) {
    case 0:
        return 0;
    case 1:
        return is_signed ? -128 : 128;
    default:
        return (int32_t)rng_int(low, low + 255);
    }
}

/* One zero point for all, or `n` of them, with the values of `count` entries. */
static size_t random_zeros(bool is_signed, size_t n, int32_t *zeros)
{
    size_t count = rng_int(0, 1) ? n : 1;
    for (size_t i = 0; i < n; i++)
        zeros[i] = i < count ? random_zero(is_signed) : zeros[0];
    return count;
}

/* ---- results ----------------------------------------------------------------------------- */

static nnd_int8_result random_result(nnd_dtype type, float *scale, size_t n)
{
    static const float special[] = {0.0f, -0.25f, 1e30f, NAN, INFINITY, 0.5f};
    nnd_int8_result r = {.type = type, .scale = scale, .low = -128, .high = 127};
    for (size_t i = 0; i < n; i++)
        scale[i] = rng_int(0, 9) ? rng_float(1e-5f, 2e-2f) : special[rng_int(0, 5)];
    if (type == NND_U8) {
        r.low = 0;
        r.high = 255;
    }
    r.zero = random_zero(type == NND_I8);
    if (rng_int(0, 2) == 0) { /* an activation's limits */
        r.low = r.zero;
        r.high = NND_U8 == type ? 200 : 100;
        if (r.high < r.low) r.high = r.low;
    }
    return r;
}

/* The definition of the rounding: nearbyintf of the product, then the limits. */
static int32_t expected_code(const nnd_int8_result *r, int32_t sum, float scale)
{
    float v = (float)sum * scale;
    if (!(v > -1024.0f)) v = -1024.0f;
    if (v > 1024.0f) v = 1024.0f;
    int32_t code = (int32_t)nearbyintf(v) + r->zero;
    return code < r->low ? r->low : code > r->high ? r->high : code;
}

static void check_result(const nnd_int8_result *r, const void *y, size_t i, uint32_t want,
                         size_t channel)
{
    int32_t sum = (int32_t)want;
    if (r->type == NND_I32) {
        assert_int_equal(((const int32_t *)y)[i], sum);
    } else if (r->type == NND_F32) {
        float v = (float)sum * r->scale[channel];
        if (r->bias) v += r->bias[channel];
        assert_memory_equal((const float *)y + i, &v, sizeof v);
    } else {
        int32_t code = expected_code(r, sum, r->scale[channel]);
        int32_t got = r->type == NND_U8 ? ((const uint8_t *)y)[i] : ((const int8_t *)y)[i];
        assert_int_equal(got, code);
    }
}

/* ---- quantisation ------------------------------------------------------------------------ */

static void check_quantise(void)
{
    static const float special[] = {NAN, INFINITY, -INFINITY, 0.5f, 1.5f, -0.5f, 1e20f, -1e20f};
    for (size_t n = 0; n < 70; n++) {
        bool is_signed = rng_int(0, 1) != 0;
        int32_t zero = random_zero(is_signed), low = is_signed ? -128 : 0;
        float scale = rng_int(0, 1) ? 1.0f : rng_float(0.01f, 0.1f);
        guarded x = guarded_random(n, -10, 10);
        uint8_t y[70 + 1];
        for (size_t i = 0; i < n; i++)
            if (rng_int(0, 3) == 0) x.data[i] = special[rng_int(0, 7)];
        y[n] = 77;
        int32_t least = low, most = low + 255;
        if (rng_int(0, 2) == 0) { /* limits of an activation */
            least += (int32_t)rng_int(0, 100);
            most -= (int32_t)rng_int(0, 100);
            nnd_int8_quantise_to(x.data, scale, zero, least, most, y, n);
        } else {
            nnd_int8_quantise(x.data, scale, zero, is_signed, y, n);
        }
        for (size_t i = 0; i < n; i++) {
            float v = x.data[i] / scale;
            double code = isnan(v) ? zero : nearbyint((double)v) + zero;
            code = code < least ? least : code > most ? most : code;
            assert_int_equal(is_signed ? (int8_t)y[i] : y[i], (int)code);
        }
        assert_int_equal(y[n], 77);
        guarded_free(&x);
    }
}

static void test_quantise(void **state)
{
    (void)state;
    each_level(check_quantise);
}

static void check_dequantise(void)
{
    for (size_t n = 0; n < 70; n++) {
        bool is_signed = rng_int(0, 1) != 0;
        int32_t zero = random_zero(is_signed);
        float scale = rng_float(0.001f, 0.1f);
        uint8_t x[70];
        guarded y = guarded_random(n, -10, 10);
        for (size_t i = 0; i < n; i++)
            x[i] = (uint8_t)rng_int(0, 255);
        nnd_int8_dequantise(x, scale, zero, is_signed, y.data, n);
        for (size_t i = 0; i < n; i++) {
            float want = (float)((is_signed ? (int8_t)x[i] : x[i]) - zero) * scale;
            assert_memory_equal(&y.data[i], &want, sizeof want);
        }
        guarded_free(&y);
    }
}

static void test_dequantise(void **state)
{
    (void)state;
    each_level(check_dequantise);
}

/* ---- tables ------------------------------------------------------------------------------ */

static void check_lookup(void)
{
    uint8_t table[256], y[201];
    for (size_t i = 0; i < sizeof table; i++)
        table[i] = (uint8_t)rng_next();
    for (size_t n = 0; n < sizeof y; n++) {
        bytes x = random_bytes(n, false);
        y[n] = 77;
        nnd_int8_lookup(table, x.data, y, n);
        assert_int_equal(y[n], 77);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(y[i], table[x.data[i]]);
        nnd_int8_lookup(table, x.data, x.data, n); /* in place */
        assert_memory_equal(x.data, y, n);
        nnd_free(x.data);
    }
}

static void test_lookup(void **state)
{
    (void)state;
    each_level(check_lookup);
}

/* ---- sums and ranges --------------------------------------------------------------------- */

static void check_sum(void)
{
    for (size_t n = 0; n < 150; n++) {
        bytes x = random_bytes(n, rng_int(0, 1) != 0);
        uint32_t want = 0;
        for (size_t i = 0; i < n; i++)
            want += (uint32_t)byte_at(&x, i);
        assert_int_equal(nnd_int8_sum(x.data, x.is_signed, n), want);
        nnd_free(x.data);
    }
}

static void test_sum(void **state)
{
    (void)state;
    each_level(check_sum);
}

static void check_range(void)
{
    static const float special[] = {NAN, INFINITY, -INFINITY, -0.0f};
    for (size_t n = 0; n < 150; n++) {
        guarded x = guarded_random(n, rng_int(0, 1) ? 1.0f : -9.0f, rng_int(0, 1) ? -1.0f : 9.0f);
        float least = 0, most = 0, low, high;
        for (size_t i = 0; i < n; i++) {
            if (rng_int(0, 9) == 0) x.data[i] = special[rng_int(0, 3)];
            if (x.data[i] < least) least = x.data[i];
            if (x.data[i] > most) most = x.data[i];
        }
        nnd_int8_range(x.data, n, &low, &high);
        assert_true(low == least && high == most);
        guarded_free(&x);
    }
}

static void test_range(void **state)
{
    (void)state;
    each_level(check_range);
}

/* ---- GEMM -------------------------------------------------------------------------------- */

enum { MAX_COLUMNS = 128 };

static void check_gemm(int64_t m, int64_t n, int64_t k)
{
    static const nnd_dtype types[] = {NND_I32, NND_F32, NND_U8, NND_I8};
    nnd_int8_gemm_desc d = {m, n, k, rng_int(0, 1) != 0, rng_int(0, 1) != 0};
    int32_t a_zero = random_zero(d.a_signed), b_zero[MAX_COLUMNS];
    float scale[MAX_COLUMNS + 16] = {0}, bias[MAX_COLUMNS + 16] = {0};
    nnd_int8_gemm g;
    assert_ok(nnd_int8_gemm_plan(&d, &g));
    bytes a = random_bytes((size_t)(m * k), d.a_signed);
    bytes b = random_bytes((size_t)(k * n), d.b_signed);
    size_t zeros = random_zeros(d.b_signed, (size_t)n, b_zero);
    nnd_int8_result r = random_result(types[rng_int(0, 3)], scale, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        bias[i] = rng_float(-1, 1);
    if (r.type == NND_F32 && rng_int(0, 1)) r.bias = bias;
    int32_t added[MAX_COLUMNS];
    const size_t added_counts[] = {0, 1, (size_t)n}, added_count = added_counts[rng_int(0, 2)];
    for (size_t i = 0; i < added_count; i++)
        added[i] = (int32_t)rng_int(-100000, 100000);
    void *packed = aligned_scratch(nnd_int8_gemm_packed_bytes(&g));
    int32_t *columns = aligned_scratch(nnd_int8_gemm_column_bytes(&g));
    void *packed_a = aligned_scratch(nnd_int8_gemm_a_bytes(&g));
    guarded y = guarded_make((size_t)(m * n)); /* room for the largest type */
    nnd_int8_gemm_pack_b(&g, b.data, packed);
    nnd_int8_gemm_columns(&g, packed, a_zero, b_zero, zeros, added_count ? added : NULL,
                          added_count, columns);
    nnd_int8_gemm_args args = {packed_a, packed, columns, r, y.data};
    for (size_t i = nnd_int8_gemm_a_tiles(&g); i-- > 0;)
        nnd_int8_gemm_pack_a_tile(&g, a.data, packed_a, i);
    for (size_t i = nnd_int8_gemm_tiles(&g); i-- > 0;)
        nnd_int8_gemm_run_tile(&g, &args, i);
    for (int64_t row = 0; row < m; row++) {
        for (int64_t column = 0; column < n; column++) {
            uint32_t want =
                added_count ? (uint32_t)added[added_count == 1 ? 0 : (size_t)column] : 0;
            for (int64_t x = 0; x < k; x++)
                want += (uint32_t)((byte_at(&a, (size_t)(row * k + x)) - a_zero) *
                                   (byte_at(&b, (size_t)(x * n + column)) - b_zero[column]));
            check_result(&r, y.data, (size_t)(row * n + column), want, (size_t)column);
        }
    }
    guarded_free(&y);
    nnd_free_aligned(packed_a);
    nnd_free_aligned(columns);
    nnd_free_aligned(packed);
    nnd_free(b.data);
    nnd_free(a.data);
}

static void check_gemms(void)
{
    for (int64_t rows = 1; rows < 32; rows++)
        check_gemm(rows, rng_int(1, 70), rng_int(1, 40));
    for (int64_t columns = 1; columns < 70; columns++)
        check_gemm(rng_int(1, 20), columns, rng_int(0, 40));
    for (int64_t k = 0; k < 20; k++)
        check_gemm(rng_int(1, 20), rng_int(1, 40), k);
    check_gemm(150, 100, 300);
    check_gemm(1, 128, 2000);
}

static void test_gemm(void **state)
{
    (void)state;
    each_level(check_gemms);
}

/* Sums beyond 31 bits wrap around. */
static void check_wrap(void)
{
    enum { K = 40000 };
    nnd_int8_gemm g;
    nnd_int8_gemm_desc d = {1, 1, K, false, false};
    uint8_t *ones = nnd_alloc(K);
    assert_non_null(ones);
    memset(ones, 255, K);
    assert_ok(nnd_int8_gemm_plan(&d, &g));
    void *packed = aligned_scratch(nnd_int8_gemm_packed_bytes(&g));
    int32_t *columns = aligned_scratch(nnd_int8_gemm_column_bytes(&g));
    void *packed_a = aligned_scratch(nnd_int8_gemm_a_bytes(&g));
    int32_t sum = 0;
    const int32_t zero = 0;
    nnd_int8_gemm_pack_b(&g, ones, packed);
    nnd_int8_gemm_columns(&g, packed, 0, &zero, 1, NULL, 0, columns);
    nnd_int8_gemm_args args = {packed_a, packed, columns, {.type = NND_I32}, &sum};
    for (size_t i = 0; i < nnd_int8_gemm_a_tiles(&g); i++)
        nnd_int8_gemm_pack_a_tile(&g, ones, packed_a, i);
    for (size_t i = 0; i < nnd_int8_gemm_tiles(&g); i++)
        nnd_int8_gemm_run_tile(&g, &args, i);
    assert_int_equal((uint32_t)sum, (uint32_t)(255u * 255u * K));
    nnd_free_aligned(packed_a);
    nnd_free_aligned(columns);
    nnd_free_aligned(packed);
    nnd_free(ones);
}

static void test_wrap(void **state)
{
    (void)state;
    each_level(check_wrap);
}

static void test_bad_gemm(void **state)
{
    nnd_int8_gemm g;
    nnd_int8_gemm_desc negative = {1, -1, 1, false, false};
    nnd_int8_gemm_desc large = {INT64_MAX / 4, 8, 8, false, false};
    (void)state;
    assert_int_equal(nnd_int8_gemm_plan(&negative, &g), NND_E_SHAPE);
    assert_int_equal(nnd_int8_gemm_plan(&large, &g), NND_E_OVERFLOW);
    nnd_error_clear();
}

/* ---- element by element ------------------------------------------------------------------ */

static float random_factor(void)
{
    static const float special[] = {0.0f, NAN, INFINITY, -INFINITY, 1e30f, 0.5f};
    return rng_int(0, 9) ? rng_float(0.01f, 0.9f) : special[rng_int(0, 5)];
}

/* The definition: two roundings for a sum, one for a product, then the nearest integer. */
static int32_t expected_pair(const nnd_int8_pair *p, int32_t a, int32_t b)
{
    float v = p->product ? fmaf((float)((a - p->a_zero) * (b - p->b_zero)), p->a_factor, p->start)
                         : fmaf((float)a, p->a_factor, fmaf((float)b, p->b_factor, p->start));
    if (!(v > -1024.0f)) v = -1024.0f;
    if (v > 1024.0f) v = 1024.0f;
    int32_t code = (int32_t)nearbyintf(v);
    return code < p->low ? p->low : code > p->high ? p->high : code;
}

static void check_pair(size_t n)
{
    bool is_signed = rng_int(0, 1) != 0, halves = rng_int(0, 2) == 0;
    int32_t low = is_signed ? -128 : 0;
    nnd_int8_pair p = {.product = rng_int(0, 1) != 0,
                       .is_signed = is_signed,
                       .a_factor = halves ? 0.5f : random_factor(),
                       .b_factor = halves ? 0.25f : random_factor(),
                       .start = halves ? (float)rng_int(-99, 99) / 4 : rng_float(-300, 300),
                       .a_zero = random_zero(is_signed),
                       .b_zero = random_zero(is_signed),
                       .low = low,
                       .high = low + 255};
    if (p.product && !halves) p.a_factor /= 100;
    if (rng_int(0, 2) == 0) { /* an activation's limits */
        p.low += (int32_t)rng_int(0, 200);
        p.high = p.low + (int32_t)rng_int(0, 50);
    }
    const size_t steps[2] = {(size_t)rng_int(0, 1), (size_t)rng_int(0, 1)};
    bytes a = random_bytes(steps[0] ? n : 1, is_signed),
          b = random_bytes(steps[1] ? n : 1, is_signed);
    uint8_t y[100];
    assert_true(n < sizeof y);
    y[n] = 77;
    nnd_int8_pair_run(&p, a.data, steps[0], b.data, steps[1], y, n);
    for (size_t i = 0; i < n; i++) {
        int32_t want = expected_pair(&p, byte_at(&a, i * steps[0]), byte_at(&b, i * steps[1]));
        assert_int_equal(is_signed ? (int8_t)y[i] : y[i], want);
    }
    assert_int_equal(y[n], 77);
    nnd_free(a.data);
    nnd_free(b.data);
}

static void check_pairs(void)
{
    for (int round = 0; round < 10; round++)
        for (size_t n = 0; n < 80; n++)
            check_pair(n);
}

static void test_pair(void **state)
{
    (void)state;
    each_level(check_pairs);
}

/* ---- convolution ------------------------------------------------------------------------- */

enum { MAX_CHANNELS = 64 };

typedef struct conv_case {
    nnd_conv_desc d;
    bytes x, w;
    int32_t x_zero, w_zero[MAX_CHANNELS], bias[MAX_CHANNELS];
    size_t w_zeros;
    bool has_bias;
    float scale[MAX_CHANNELS], added[MAX_CHANNELS]; /* to results in f32 */
    nnd_int8_result result;
} conv_case;

static uint32_t conv_at(const conv_case *t, int64_t n, int64_t m, int64_t oy, int64_t ox)
{
    const nnd_conv_desc *d = &t->d;
    int64_t depth = d->in_channels / d->groups, group = m / (d->out_channels / d->groups);
    uint32_t sum = t->has_bias ? (uint32_t)t->bias[m] : 0;
    for (int64_t c = 0; c < depth; c++) {
        for (int64_t ky = 0; ky < d->kernel_h; ky++) {
            for (int64_t kx = 0; kx < d->kernel_w; kx++) {
                int64_t y = oy * d->stride_h - d->pad_top + ky * d->dilation_h;
                int64_t x = ox * d->stride_w - d->pad_left + kx * d->dilation_w;
                if (y < 0 || y >= d->in_h || x < 0 || x >= d->in_w) continue;
                int64_t plane = n * d->in_channels + group * depth + c;
                int64_t tap = ((m * depth + c) * d->kernel_h + ky) * d->kernel_w + kx;
                sum += (uint32_t)((byte_at(&t->x, (size_t)((plane * d->in_h + y) * d->in_w + x)) -
                                   t->x_zero) *
                                  (byte_at(&t->w, (size_t)tap) - t->w_zero[m]));
            }
        }
    }
    return sum;
}

static conv_case conv_make(const nnd_conv_desc *d)
{
    static const nnd_dtype types[] = {NND_I32, NND_U8, NND_I8, NND_F32};
    conv_case t = {.d = *d, .has_bias = rng_int(0, 1) != 0};
    size_t taps = (size_t)(d->in_channels / d->groups * d->kernel_h * d->kernel_w);
    t.x = random_bytes((size_t)(d->batch * d->in_channels * d->in_h * d->in_w), rng_int(0, 1) != 0);
    t.w = random_bytes((size_t)d->out_channels * taps, rng_int(0, 1) != 0);
    t.x_zero = random_zero(t.x.is_signed);
    t.w_zeros = random_zeros(t.w.is_signed, (size_t)d->out_channels, t.w_zero);
    for (int64_t i = 0; i < d->out_channels; i++)
        t.bias[i] = (int32_t)rng_int(-100000, 100000);
    for (int64_t i = 0; i < d->out_channels; i++)
        t.added[i] = rng_float(-1, 1);
    t.result = random_result(types[rng_int(0, 3)], t.scale, (size_t)d->out_channels);
    return t;
}

static void check_conv(const nnd_conv_desc *d)
{
    conv_case t = conv_make(d);
    t.result.scale = t.scale;
    if (t.result.type == NND_F32 && rng_int(0, 1)) t.result.bias = t.added;
    nnd_int8_conv *conv;
    assert_ok(nnd_int8_conv_create(d, t.x.is_signed, t.w.is_signed, &conv));
    int64_t out_h = (d->in_h + d->pad_top + d->pad_bottom - d->dilation_h * (d->kernel_h - 1) - 1) /
                        d->stride_h +
                    1;
    int64_t out_w = (d->in_w + d->pad_left + d->pad_right - d->dilation_w * (d->kernel_w - 1) - 1) /
                        d->stride_w +
                    1;
    void *packed = aligned_scratch(nnd_int8_conv_packed_bytes(conv));
    void *lane = aligned_scratch(nnd_int8_conv_lane_bytes(conv));
    int32_t start[MAX_CHANNELS];
    guarded y = guarded_make((size_t)(d->batch * d->out_channels * out_h * out_w));
    nnd_int8_conv_pack(conv, t.w.data, t.w_zero, t.w_zeros, packed);
    nnd_int8_conv_start(conv, packed, t.has_bias ? t.bias : NULL, t.x_zero, start);
    nnd_int8_conv_args args = {t.x.data, packed, t.x_zero, start, t.result, y.data};
    for (size_t i = nnd_int8_conv_tiles(conv); i-- > 0;)
        nnd_int8_conv_run_tile(conv, &args, i, lane);
    size_t at = 0;
    for (int64_t n = 0; n < d->batch; n++)
        for (int64_t m = 0; m < d->out_channels; m++)
            for (int64_t oy = 0; oy < out_h; oy++)
                for (int64_t ox = 0; ox < out_w; ox++, at++)
                    check_result(&t.result, y.data, at, conv_at(&t, n, m, oy, ox), (size_t)m);
    guarded_free(&y);
    nnd_free_aligned(lane);
    nnd_free_aligned(packed);
    nnd_int8_conv_destroy(conv);
    nnd_free(t.x.data);
    nnd_free(t.w.data);
}

static nnd_conv_desc random_conv(void)
{
    nnd_conv_desc d = {.batch = rng_int(1, 2),
                       .groups = rng_int(0, 1) ? 1 : rng_int(1, 4),
                       .kernel_h = rng_int(1, 4),
                       .kernel_w = rng_int(1, 4),
                       .stride_h = rng_int(1, 3),
                       .stride_w = rng_int(1, 3),
                       .dilation_h = rng_int(1, 3),
                       .dilation_w = rng_int(1, 3),
                       .pad_top = rng_int(0, 3),
                       .pad_left = rng_int(0, 3),
                       .pad_bottom = rng_int(0, 3),
                       .pad_right = rng_int(0, 3)};
    d.in_channels = d.groups * rng_int(1, 9);
    d.out_channels = d.groups * rng_int(1, 16);
    if (rng_int(0, 3) == 0) { /* depthwise, with a multiplier at times */
        d.groups = rng_int(1, 9);
        d.in_channels = d.groups;
        d.out_channels = d.groups * rng_int(1, 3);
    }
    if (rng_int(0, 3) == 0) {
        d.kernel_h = d.kernel_w = d.stride_h = d.stride_w = 1;
        d.pad_top = d.pad_left = d.pad_bottom = d.pad_right = 0;
    }
    d.in_h = d.dilation_h * (d.kernel_h - 1) + rng_int(1, 14);
    d.in_w = d.dilation_w * (d.kernel_w - 1) + rng_int(1, 24);
    return d;
}

static void check_convs(void)
{
    for (int round = 0; round < 300; round++) {
        nnd_conv_desc d = random_conv();
        check_conv(&d);
    }
    /* More than one chunk of pixels, part of the channels and band of a plane. */
    nnd_conv_desc large = {1, 40, 33, 41, 60, 1, 3, 3,   1,     1,     1,
                           1, 1,  1,  1,  1,  0, 0, {0}, false, false, {0}};
    check_conv(&large);
    nnd_conv_desc plane = {1, 2, 700, 180, 2, 2, 3, 3,   1,     1,     1,
                           1, 1, 1,   1,   1, 0, 0, {0}, false, false, {0}};
    check_conv(&plane);
    nnd_conv_desc deep = {1, 300, 5, 5, 64, 1, 1, 1,   1,     1,     1,
                          1, 0,   0, 0, 0,  0, 0, {0}, false, false, {0}};
    check_conv(&deep);
    nnd_conv_desc far = {1, 3, 4, 4, 3, 3, 2, 2,   100,   90,    1,
                         2, 0, 0, 0, 0, 0, 0, {0}, false, false, {0}};
    check_conv(&far);
}

static void test_conv(void **state)
{
    (void)state;
    each_level(check_convs);
}

static void test_bad_conv(void **state)
{
    nnd_conv_desc d = {1, 4, 8, 8, 4, 3, 3, 3,   1,     1,     1,
                       1, 0, 0, 0, 0, 0, 0, {0}, false, false, {0}};
    nnd_int8_conv *conv;
    (void)state;
    assert_int_equal(nnd_int8_conv_create(&d, false, true, &conv), NND_E_SHAPE);
    assert_null(conv);
    d.groups = 1;
    d.kernel_h = 9;
    assert_int_equal(nnd_int8_conv_create(&d, false, true, &conv), NND_E_SHAPE);
    nnd_int8_conv_destroy(NULL);
    nnd_error_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),       cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_bad_gemm),   cmocka_unit_test(test_conv),
        cmocka_unit_test(test_bad_conv),   cmocka_unit_test(test_quantise),
        cmocka_unit_test(test_dequantise), cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_sum),        cmocka_unit_test(test_range),
        cmocka_unit_test(test_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
