/*
 * The float kernels of every instruction set against the reference, bit for bit: all lengths from 1
 * to 70 and some long ones, with guard bytes behind the destination and sources that end where they
 * must (the sanitizer run sees reads behind them).
 */
#include <math.h>

#include "data/float_bits.h"
#include "kernel_support.h"

/* Exactly `count` levels, some of them below 0 and above the top. */
static float *levels(size_t count, float top, uint32_t seed)
{
    float *out = malloc(count * sizeof(float));
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        out[i] = ((float)(next_random(&seed) & 0xffff) / 40000.0f - 0.3f) * top;
    return out;
}

static float *floats_of(block b)
{
    return (float *)(void *)b.data;
}

/* ---- sums ------------------------------------------------------------------------------ */

static void check_rows(const nnd_ops_kernels *table, nnd_level_type type, int taps, size_t count)
{
    static const size_t depth[NND_LEVEL_TYPES] = {1, 2, 4};
    static const float weight[NND_SUM_ROWS] = {0.25f,  -0.5f, 1.0f / 3, 0.7f,
                                               -0.01f, 0.11f, 2.5f,     1.0f / 7};
    const void *rows[NND_SUM_ROWS];
    void *owned[NND_SUM_ROWS];
    for (int k = 0; k < taps; k++) {
        const uint32_t seed = (uint32_t)count + (uint32_t)k;
        owned[k] = type == NND_LEVEL_F32 ? (void *)levels(count, 255, seed)
                                         : (void *)noise(depth[type] * count, seed).data;
        rows[k] = owned[k];
    }
    block got = blank(4 * count), want = blank(4 * count);
    for (int round = 0; round < 2; round++) { /* the second one adds to the first one's sums */
        reference->sum_rows[type](floats_of(want), rows, weight, taps, count, round == 0);
        table->sum_rows[type](floats_of(got), rows, weight, taps, count, round == 0);
        assert_equal(got, want, "sum of rows", table->name, count);
    }
    for (int k = 0; k < taps; k++)
        free(owned[k]);
    free(got.data);
    free(want.data);
}

static void check_columns(const nnd_ops_kernels *table, int channels, int taps, size_t count)
{
    uint32_t seed = (uint32_t)(count * 64 + (size_t)taps);
    const size_t c = (size_t)channels, width = count + (size_t)taps;
    float *src = levels(width * c + NND_SUM_COLUMNS_READ, 255, seed);
    float *weight = levels(count * (size_t)taps + NND_SUM_COLUMNS_READ, 1, seed + 1);
    int32_t start[MAX_COUNT];
    for (size_t i = 0; i < count; i++)
        start[i] = i == 0 ? (int32_t)count : (int32_t)(next_random(&seed) % (count + 1));
    block got = blank(4 * count * c), want = blank(4 * count * c);
    reference->sum_columns[channels - 1](floats_of(want), src, start, weight, taps, count);
    table->sum_columns[channels - 1](floats_of(got), src, start, weight, taps, count);
    assert_equal(got, want, "sum of columns", table->name, count);
    free(src);
    free(weight);
    free(got.data);
    free(want.data);
}

static void test_sums(void **state)
{
    (void)state;
    static const int taps[] = {1, 2, 3, 4, 5, 6, 8, 11, 65};
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t n = 1; n; n = next_count(n)) {
            for (int type = 0; type < NND_LEVEL_TYPES; type++)
                for (int k = 1; k <= NND_SUM_ROWS; k++)
                    check_rows(tables[t], (nnd_level_type)type, k, n);
            for (size_t k = 0; k < sizeof(taps) / sizeof(taps[0]); k++)
                for (int channels = 1; channels <= 4; channels++)
                    check_columns(tables[t], channels, taps[k], n);
        }
}

/* ---- points ---------------------------------------------------------------------------- */

static void check_points(const nnd_ops_kernels *table, int channels, size_t depth, size_t count)
{
    uint32_t seed = (uint32_t)count;
    const int64_t pixel = channels * (int64_t)depth, width = 37, height = 11;
    const int64_t stride = width * pixel + 4, read = NND_POINTS_READ(channels) * (int64_t)depth,
                  last = (width * pixel - read) / pixel;
    block src = noise((size_t)(stride * height - 4), 9);
    int64_t offset[MAX_COUNT];
    int16_t wx[MAX_COUNT], wy[MAX_COUNT];
    float *exact = levels(src.size / 4, 1, 5); /* bits of noise are no levels */
    if (depth == 4) memcpy(src.data, exact, src.size / 4 * 4);
    for (size_t i = 0; i < count; i++) {
        const int64_t x = i == 0 ? last : (int64_t)next_random(&seed) % (last + 1);
        const int64_t y = i == 0 ? height - 2 : (int64_t)next_random(&seed) % (height - 1);
        offset[i] = y * stride + x * pixel;
        wx[i] = (int16_t)(i % 7 == 0 ? 0 : next_random(&seed) & 0x7fff);
        wy[i] = (int16_t)(i % 5 == 0 ? 32767 : next_random(&seed) & 0x7fff);
    }
    const size_t bytes = count * (size_t)pixel;
    block got = blank(bytes), want = blank(bytes);
    const int c = channels - 1;
    if (depth == 2) {
        reference->points_u16[c]((uint16_t *)(void *)want.data, src.data, stride, offset, wx, wy,
                                 count);
        table->points_u16[c]((uint16_t *)(void *)got.data, src.data, stride, offset, wx, wy, count);
    } else {
        reference->points_f32[c](floats_of(want), src.data, stride, offset, wx, wy, count);
        table->points_f32[c](floats_of(got), src.data, stride, offset, wx, wy, count);
    }
    assert_equal(got, want, "points", table->name, count);
    free(exact);
    free(src.data);
    free(got.data);
    free(want.data);
}

static void test_points(void **state)
{
    (void)state;
    static const int channels[] = {1, 3, 4};
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t c = 0; c < sizeof(channels) / sizeof(channels[0]); c++)
            for (size_t n = 1; n; n = next_count(n)) {
                check_points(tables[t], channels[c], 2, n);
                check_points(tables[t], channels[c], 4, n);
            }
}

/* ---- places ---------------------------------------------------------------------------- */

static void check_places(const nnd_ops_kernels *table, const nnd_warp_map *map, size_t count)
{
    block got[4], want[4]; /* x, y, their rests */
    for (int k = 0; k < 4; k++) {
        got[k] = blank(count * (k < 2 ? 4 : 2));
        want[k] = blank(count * (k < 2 ? 4 : 2));
    }
#define PLACES(b)                                                                                  \
    (nnd_places)                                                                                   \
    {                                                                                              \
        (int32_t *)(void *)(b)[0].data, (int32_t *)(void *)(b)[1].data,                            \
            (int16_t *)(void *)(b)[2].data, (int16_t *)(void *)(b)[3].data                         \
    }
    const nnd_places a = PLACES(want), b = PLACES(got);
    reference->places(&a, map, 128, 77, count);
    table->places(&b, map, 128, 77, count);
    for (int k = 0; k < 4; k++) {
        assert_equal(got[k], want[k], "places", table->name, count);
        free(got[k].data);
        free(want[k].data);
    }
}

/* Maps that stay inside, that go far away on both sides, and that divide by 0. */
static void test_places(void **state)
{
    (void)state;
    static const double maps[][9] = {
        {1, 0, 0, 0, 1, 0, 0, 0, 1},
        {0.9, -0.3, 5.25, 0.25, 1.1, -4.5, 0, 0, 1},
        {-3e8, 1, 7e10, 1e300, 1e300, 5, 0, 0, 1},
        {1e308, 1e308, 0, -1e308, 1e308, 0, 0, 0, 1},
        {0.95, 0.12, 3, -0.08, 1.05, 4, 0.004, -0.003, 1},
        {1, 0, 0, 0, 1, 0, 1, 0, -140.5}, /* 0 in the middle of the run */
        {0, 0, 0, 0, 0, 0, 0, 0, 0},
    };
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t m = 0; m < sizeof(maps) / sizeof(maps[0]); m++)
            for (int bilinear = 0; bilinear < 2; bilinear++) {
                nnd_warp_map map = {.perspective = m >= 4,
                                    .shift = bilinear ? -0.5 : 0,
                                    .round = bilinear ? 0.5 : 0};
                memcpy(map.m, maps[m], sizeof(map.m));
                for (size_t n = 1; n; n = next_count(n))
                    check_places(tables[t], &map, n);
            }
}

/* ---- levels ---------------------------------------------------------------------------- */

typedef void (*planar_fn)(float *const *, const float *, size_t, const float *, const float *);

static void check_planar(planar_fn expected, planar_fn tested, const char *table, size_t channels,
                         size_t count, int left_out)
{
    static const float mul[4] = {1 / 58.395f, 1 / 57.12f, 1 / 57.375f, 0.25f},
                       add[4] = {-2.1f, -2.03f, -1.8f, 3};
    float *src = levels(channels * count, 255, 8), *got_plane[4], *want_plane[4];
    block got[4], want[4];
    for (size_t c = 0; c < channels; c++) {
        got[c] = blank(4 * count);
        want[c] = blank(4 * count);
        got_plane[c] = (int)c == left_out ? NULL : floats_of(got[c]);
        want_plane[c] = (int)c == left_out ? NULL : floats_of(want[c]);
    }
    expected(want_plane, src, count, mul, add);
    tested(got_plane, src, count, mul, add);
    for (size_t c = 0; c < channels; c++) {
        assert_equal(got[c], want[c], "planes", table, count);
        free(got[c].data);
        free(want[c].data);
    }
    free(src);
}

static void check_order(const nnd_ops_kernels *table, size_t count)
{
    static const float weight[3] = {0.299f, 0.587f, 0.114f};
    float *plane[4];
    for (uint32_t k = 0; k < 4; k++)
        plane[k] = levels(count, 255, k + 1);
    const float *const planes[4] = {plane[0], plane[1], plane[2], plane[3]};
    const float *const same[4] = {plane[0], plane[0], plane[0], plane[1]};
    block got = blank(16 * count), want = blank(16 * count);
#define CHECK(kernel, source, ...)                                                                 \
    reference->kernel(floats_of(want), source, count, ##__VA_ARGS__);                              \
    table->kernel(floats_of(got), source, count, ##__VA_ARGS__);                                   \
    assert_equal(got, want, #kernel, table->name, count)
    CHECK(interleave_f32c4, planes);
    CHECK(interleave_f32c4, same);
    CHECK(interleave_f32c3, planes);
    CHECK(interleave_f32c3, same);
    CHECK(gray_f32, planes, weight);
#undef CHECK
    for (int k = 0; k < 4; k++)
        free(plane[k]);
    free(got.data);
    free(want.data);
}

/* Levels outside of the range, between two levels, and those that are no numbers. */
static float *awkward(size_t count, float top, uint32_t seed)
{
    float *out = levels(count, top, seed);
    const float special[] = {(float)NAN,       2.5f, 3.5f, -0.0f, (float)INFINITY,
                             (float)-INFINITY, 1e9f};
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
        out[next_random(&seed) % count] = special[i];
    return out;
}

static void check_runs(const nnd_ops_kernels *table, size_t count)
{
    float mul[48], add[48];
    for (int i = 0; i < 48; i++) {
        mul[i] = 1.0f / (float)(50 + i % 3);
        add[i] = -0.5f * (float)(i % 3);
    }
    float *wide = awkward(count, 65535, (uint32_t)count), *unit = awkward(count, 1, 3),
          *plain = levels(count, 255, 4);
    block half = noise(2 * count, 2), got = blank(4 * count), want = blank(4 * count);
    const uint16_t *words = (const uint16_t *)(const void *)half.data;
    reference->packed_f32(floats_of(want), plain, count, mul, add);
    table->packed_f32(floats_of(got), plain, count, mul, add);
    assert_equal(got, want, "packed", table->name, count);
    reference->u16_to_f32(floats_of(want), words, count);
    table->u16_to_f32(floats_of(got), words, count);
    assert_equal(got, want, "u16 to f32", table->name, count);
    reference->clamp_f32(floats_of(want), unit, count, 1);
    table->clamp_f32(floats_of(got), unit, count, 1);
    assert_equal(got, want, "clamp", table->name, count);
    reference->f32_to_u16((uint16_t *)(void *)want.data, wide, count);
    table->f32_to_u16((uint16_t *)(void *)got.data, wide, count);
    assert_equal(got, want, "f32 to u16", table->name, count);
    reference->f32_to_u8(want.data, wide, count);
    table->f32_to_u8(got.data, wide, count);
    assert_equal(got, want, "f32 to u8", table->name, count);
    free(wide);
    free(unit);
    free(plain);
    free(half.data);
    free(got.data);
    free(want.data);
}

static void test_levels(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++) {
        const nnd_ops_kernels *k = tables[t];
        for (size_t n = 1; n; n = next_count(n)) {
            check_planar(reference->planar_f32c1, k->planar_f32c1, k->name, 1, n, -1);
            for (int left_out = -1; left_out < 4; left_out++) {
                check_planar(reference->planar_f32c3, k->planar_f32c3, k->name, 3, n, left_out);
                check_planar(reference->planar_f32c4, k->planar_f32c4, k->name, 4, n, left_out);
            }
            check_order(k, n);
            check_runs(k, n);
        }
    }
}

/* Every half there is; what is no number stays one. */
static void test_halves(void **state)
{
    (void)state;
    static uint16_t half[0x10000];
    static float got[0x10000];
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (size_t i = 0; i < 0x10000; i++)
        half[i] = (uint16_t)i;
    for (int t = -1; t < count; t++) {
        (t < 0 ? reference : tables[t])->f16_to_f32(got, half, 0x10000);
        for (size_t i = 0; i < 0x10000; i++) {
            const float want = nnd_f16_to_f32(half[i]);
            if (isnan(want))
                assert_true(isnan(got[i]));
            else
                assert_memory_equal(&got[i], &want, sizeof(want));
        }
    }
    for (int t = 0; t < count; t++)
        for (size_t n = 1; n; n = next_count(n)) {
            block some = blank(4 * n), want = blank(4 * n);
            reference->f16_to_f32(floats_of(want), half + 0x3000, n);
            tables[t]->f16_to_f32(floats_of(some), half + 0x3000, n);
            assert_equal(some, want, "f16 to f32", tables[t]->name, n);
            free(some.data);
            free(want.data);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),   cmocka_unit_test(test_points), cmocka_unit_test(test_places),
        cmocka_unit_test(test_levels), cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
