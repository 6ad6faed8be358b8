/*
 * The kernels that search the scores of detection heads: every instruction set against the
 * reference, and the decoders that use them against the definition of each head, in every
 * instruction set.
 */
#include <math.h>

#include "kernel_support.h"

/* Exactly `count` numbers around 0 … 1 with many equals; with `odd`, also NaN and infinities. */
static float *scores_of(size_t count, uint32_t *seed, bool odd)
{
    static const float strange[] = {NAN, INFINITY, -INFINITY, -0.0f, 0.0f, -1.0f};
    float *out = calloc(count ? count : 1, sizeof(float));
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) {
        const uint32_t pick = next_random(seed) % 16;
        out[i] = odd && pick < NND_COUNT(strange) ? strange[pick]
                                                  : (float)(next_random(seed) % 48) / 32 - 0.25f;
    }
    return out;
}

/* ---- kernels --------------------------------------------------------------------------- */

static const float bounds[] = {-INFINITY, -0.3f, 0.0f, 0.5f, 1.1f, 1.3f, INFINITY};

static void check_above(const nnd_ops_kernels *table, size_t count, size_t period, uint32_t seed)
{
    float *src = scores_of(count, &seed, true);
    float *bound = scores_of(period + NND_BOUNDS_READ, &seed, false);
    for (size_t i = 0; i < period + NND_BOUNDS_READ; i++)
        bound[i] = i < period ? bound[i] + (i % 3 ? 1.2f : 0.6f) : bound[i - period];
    for (size_t from = 0; from <= count; from++)
        assert_int_equal(table->first_above(src, from, count, bound, period),
                         reference->first_above(src, from, count, bound, period));
    free(src);
    free(bound);
}

static void check_mean(const nnd_ops_kernels *table, size_t count, float bound, uint32_t seed)
{
    float *a = scores_of(count, &seed, true), *b = scores_of(count, &seed, true);
    for (size_t from = 0; from <= count; from++)
        assert_int_equal(table->first_mean_above(a, b, from, count, bound),
                         reference->first_mean_above(a, b, from, count, bound));
    free(a);
    free(b);
}

static void check_product(const nnd_ops_kernels *table, size_t classes, float bound, uint32_t seed)
{
    enum { CELLS = 9 };
    const size_t step = NND_CELL_CLASSES + classes;
    float *cells = scores_of(CELLS * step, &seed, true);
    for (size_t k = NND_CELL_CLASSES; k < step; k++)
        cells[3 * step + k] = NAN; /* a cell without any class */
    for (size_t from = 0; from <= CELLS; from++)
        assert_int_equal(table->first_product_above(cells, step, from, CELLS, bound),
                         reference->first_product_above(cells, step, from, CELLS, bound));
    free(cells);
}

static void check_best(const nnd_ops_kernels *table, size_t count, uint32_t seed)
{
    float *src = scores_of(count, &seed, true);
    assert_int_equal(table->best_f32(src, count), reference->best_f32(src, count));
    for (size_t i = 0; i < count; i++)
        src[i] = NAN;
    assert_int_equal(table->best_f32(src, count), count);
    if (count) src[count / 2] = -INFINITY;
    assert_int_equal(table->best_f32(src, count), count ? count / 2 : 0);
    if (count) src[count - 1] = 0.5f;
    assert_int_equal(table->best_f32(src, count), count ? count - 1 : 0);
    free(src);
}

static void test_kernels(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t n = 1; n; n = next_count(n)) {
            for (size_t period = NND_BOUNDS_READ; period < 40; period += 3)
                check_above(tables[t], n, period, (uint32_t)(n + period));
            for (size_t b = 0; b < NND_COUNT(bounds); b++) {
                check_mean(tables[t], n, bounds[b], (uint32_t)n);
                check_product(tables[t], n, bounds[b], (uint32_t)n);
            }
            check_best(tables[t], n, (uint32_t)n);
        }
    for (size_t n = 1; n; n = next_count(n))
        check_best(reference, n, (uint32_t)n);
}

/* ---- decoders -------------------------------------------------------------------------- */

#define MODEL_SIDE 64

/* What a head finds in one anchor: a score and a class, −1 without one. */
typedef struct found {
    float score;
    int32_t class_id;
} found;

static found best_by_definition(const float *scores, int64_t classes, int background)
{
    found best = {0, -1};
    for (int64_t c = 0; c < classes; c++)
        if (c != background && !isnan(scores[c]) && (best.class_id < 0 || scores[c] > best.score))
            best = (found){scores[c], (int32_t)c};
    return best;
}

static nnd_decode_boxes_options options_of(float score)
{
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    o.score = score;
    o.width = o.height = MODEL_SIDE;
    return o;
}

/* Every wanted anchor gave a box, best first, ties in the order of the anchors. */
static void check_found(const nnd_value *value, const found *want, size_t anchors, float score)
{
    const nnd_detections *d = nnd_value_detections(value);
    size_t count = 0;
    for (size_t i = 0; i < anchors; i++)
        count += want[i].class_id >= 0 && want[i].score > score;
    assert_int_equal(d->count, count);
    for (size_t i = 0; i < count; i++) {
        size_t rank = 0;
        for (size_t k = 0; k < anchors; k++)
            if (want[k].class_id >= 0 && want[k].score > d->items[i].score) rank++;
        assert_true(rank <= i); /* as many better ones at most, */
        size_t skip = i - rank; /* and this one among the equals */
        for (size_t k = 0; k < anchors; k++) {
            if (want[k].class_id < 0 || want[k].score != d->items[i].score) continue;
            if (skip-- > 0) continue;
            assert_int_equal(d->items[i].class_id, want[k].class_id);
            break;
        }
    }
}

static nnd_tensor tensor3(int64_t rows, int64_t columns, float *data)
{
    nnd_tensor t;
    const int64_t dims[] = {1, rows, columns};
    assert_ok(nnd_tensor_init(&t, NND_F32, 3, dims, data));
    return t;
}

static void check_ssd(int64_t anchors, int64_t classes, int background, uint32_t seed)
{
    const size_t rows = (size_t)anchors;
    float *score = scores_of(rows * (size_t)classes, &seed, true);
    float *box = malloc(4 * rows * sizeof(float));
    found *want = malloc(rows * sizeof(found));
    assert_true(box && want);
    for (size_t i = 0; i < rows; i++) {
        memcpy(box + 4 * i, (float[]){0.1f, 0.1f, 0.6f, 0.6f}, 4 * sizeof(float));
        want[i] = best_by_definition(score + i * (size_t)classes, classes, background);
        if (background >= 0 && want[i].class_id > background) want[i].class_id--;
    }
    nnd_tensor s = tensor3(anchors, classes, score), b = tensor3(anchors, 4, box);
    FOR_EACH_ISA
    for (size_t k = 0; k < NND_COUNT(bounds); k++) {
        const nnd_decode_boxes_options o = options_of(bounds[k]);
        nnd_value *value;
        assert_ok(nnd_decode_ssd(&s, &b, background, &o, &value));
        check_found(value, want, rows, o.score);
        nnd_value_unref(value);
    }
    free(score);
    free(box);
    free(want);
}

static void test_ssd(void **state)
{
    (void)state;
    for (int64_t classes = 1; classes < 40; classes += classes < 6 ? 1 : 7)
        for (int background = -1; background < classes; background += classes < 6 ? 1 : 5)
            for (int64_t anchors = 1; anchors < 60; anchors += 9)
                check_ssd(anchors, classes, background, (uint32_t)(anchors + 100 * classes));
}

static void test_yolox(void **state)
{
    (void)state;
    const int strides[] = {8, 16};
    enum { CELLS = 64 + 16 };
    for (size_t classes = 1; classes < 85; classes += classes < 20 ? 1 : 20) {
        const size_t step = NND_CELL_CLASSES + classes;
        uint32_t seed = (uint32_t)classes;
        float *cells = scores_of(CELLS * step, &seed, true);
        found want[CELLS];
        for (size_t i = 0; i < CELLS; i++) {
            float *cell = cells + i * step;
            memcpy(cell, (float[]){0.5f, 0.5f, 0, 0}, 4 * sizeof(float));
            want[i] = best_by_definition(cell + NND_CELL_CLASSES, (int64_t)classes, -1);
            want[i].score *= cell[NND_CELL_OBJECT];
        }
        nnd_tensor t = tensor3(CELLS, (int64_t)step, cells);
        FOR_EACH_ISA
        for (size_t k = 0; k < NND_COUNT(bounds); k++) {
            const nnd_decode_boxes_options o = options_of(bounds[k]);
            nnd_value *value;
            assert_ok(nnd_decode_yolox(&t, strides, NND_COUNT(strides), &o, &value));
            check_found(value, want, CELLS, o.score);
            nnd_value_unref(value);
        }
        free(cells);
    }
}

static void test_yunet(void **state)
{
    (void)state;
    const int strides[] = {8};
    enum { CELLS = 64 };
    float box[4 * CELLS], kps[10 * CELLS] = {0};
    found want[CELLS];
    for (size_t i = 0; i < CELLS; i++)
        memcpy(box + 4 * i, (float[]){0.5f, 0.5f, 0, 0}, 4 * sizeof(float));
    for (uint32_t seed = 1; seed < 40; seed++) {
        uint32_t state_of = seed;
        float *cls = scores_of(CELLS, &state_of, true), *obj = scores_of(CELLS, &state_of, true);
        for (size_t i = 0; i < CELLS; i++)
            want[i] = (found){(float)sqrt(fmin(fmax(cls[i], 0), 1) * fmin(fmax(obj[i], 0), 1)), 0};
        nnd_tensor t[] = {tensor3(CELLS, 1, cls), tensor3(CELLS, 1, obj), tensor3(CELLS, 4, box),
                          tensor3(CELLS, 10, kps)};
        const nnd_tensor *views[] = {&t[0], &t[1], &t[2], &t[3]};
        FOR_EACH_ISA
        for (size_t k = 0; k < NND_COUNT(bounds); k++) {
            const nnd_decode_boxes_options o = options_of(bounds[k]);
            nnd_value *value;
            assert_ok(
                nnd_decode_yunet(views, views + 1, views + 2, views + 3, strides, 1, &o, &value));
            check_found(value, want, CELLS, o.score);
            nnd_value_unref(value);
        }
        free(cls);
        free(obj);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_ssd),
        cmocka_unit_test(test_yolox),
        cmocka_unit_test(test_yunet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
