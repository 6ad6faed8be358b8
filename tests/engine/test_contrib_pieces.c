/* Operators of com.microsoft that pick, search, hash and transform, against plain operators or
   numbers from their definitions. */
#include <float.h>

#include "pair_support.h"

/* ---- pieces and searches --------------------------------------------------------------------- */

static void renamed(void **state)
{
    pair p = {0}, q = {0}, u = {0}, r = {0};
    const int32_t axis = -2;
    const int64_t places[4] = {0, 2, 1, 0};
    (void)state;
    input(&p, "x", DIMS(3, 4));
    ow_initializer(&p.graph, "axis", OW_I32, 0, NULL, &axis, sizeof(axis));
    ints(&p, "long", DIMS(-2));
    fused(&p, "SampleOp", "x", "same");
    fused(&p, "ExpandDims", "same,axis", "a");
    plain(&p, "Unsqueeze", "x,long", "b");
    check(&p);
    input(&q, "x", DIMS(2, 3, 5));
    ow_initializer(&q.graph, "i", OW_I64, 2, (int64_t[]){2, 2}, places, sizeof(places));
    fused(&q, "GatherND", "x,i", "a");
    plain(&q, "GatherND", "x,i", "b");
    check(&q);
    floats(&u, "x", DIMS(6), (const float[]){2, 1, 1, 3, 4, 3});
    fused(&u, "Unique", "x", "got,where,count");
    floats(&u, "want", DIMS(4), (const float[]){2, 1, 3, 4});
    check_same(&u);
    floats(&r, "from", DIMS(1), (const float[]){1.5f});
    floats(&r, "to", DIMS(1), (const float[]){4});
    fused(&r, "Range", "from,to", "got");
    floats(&r, "want", DIMS(3), (const float[]){1.5f, 2.5f, 3.5f});
    check_same(&r);
}

/* The places and the counts of Unique: idx and counts of the definition's example. */
static void places_of_unique_values(void **state)
{
    static const struct {
        const char *outputs;
        size_t count;
        int64_t want[6];
    } all[] = {{"y,got,n", 6, {0, 1, 1, 2, 3, 2}}, {"y,i,got", 4, {1, 2, 2, 1}}};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(all); i++) {
        pair p = {0};
        floats(&p, "x", DIMS(6), (const float[]){2, 1, 1, 3, 4, 3});
        fused(&p, "Unique", "x", all[i].outputs);
        ints(&p, "want", all[i].count, all[i].want);
        check_same(&p);
    }
}

/* Corners of a picture that is its own coordinates; the second region lies half outside. */
static void crops(void **state)
{
    const float picture[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    const float regions[8] = {0, 0, 1, 0.5f, 0.5f, 1.5f, 1, 0.5f};
    const float linear[12] = {0, 1, 3, 4, 6, 7, -9, 4, -9, 5.5f, -9, 7};
    const float nearest[12] = {0, 1, 3, 4, 6, 7, -9, 4, -9, 7, -9, 7};
    const int32_t batch[2] = {0, 0}, size[2] = {3, 2};
    (void)state;
    for (int i = 0; i < 2; i++) {
        pair p = {0};
        floats(&p, "x", DIMS(1, 1, 3, 3), picture);
        floats(&p, "r", DIMS(2, 4), regions);
        ow_initializer(&p.graph, "n", OW_I32, 1, (int64_t[]){2}, batch, sizeof(batch));
        ow_initializer(&p.graph, "size", OW_I32, 1, (int64_t[]){2}, size, sizeof(size));
        ow_attr_float(&p.attrs, "extrapolation_value", -9);
        if (i) ow_attr_text(&p.attrs, "mode", "nearest");
        fused(&p, "CropAndResize", "x,r,n,size", "got");
        floats(&p, "want", DIMS(2, 1, 3, 2), i ? nearest : linear);
        check_same(&p);
    }
}

static void slices(void **state)
{
    pair p = {0};
    const float x[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const float want[12] = {0, 2, 4, 1, 3, 5, 4, 6, 8, 5, 7, 9};
    (void)state;
    floats(&p, "x", DIMS(5, 2), x);
    ow_attr_int(&p.attrs, "dim", 0);
    ow_attr_int(&p.attrs, "size", 3);
    ow_attr_int(&p.attrs, "step", 2);
    fused(&p, "UnfoldTensor", "x", "got");
    floats(&p, "want", DIMS(2, 2, 3), want);
    check_same(&p);
}

/* Values that the algorithm's own verification publishes for the seed 0x9747b28c, as numbers. */
static void hashes(void **state)
{
    pair p = {0}, q = {0};
    const int32_t word = 0x64636261; /* "abcd" */
    const uint32_t want = 0xf0478627u;
    const int32_t minus = (int32_t)want;
    (void)state;
    ow_initializer(&p.graph, "x", OW_I32, 1, (int64_t[]){1}, &word, sizeof(word));
    ow_initializer(&p.graph, "want", 12, 1, (int64_t[]){1}, &want, sizeof(want));
    ow_attr_int(&p.attrs, "seed", 0x9747b28c);
    fused(&p, "MurmurHash3", "x", "got");
    check_same(&p);
    ow_initializer(&q.graph, "x", OW_I32, 1, (int64_t[]){1}, &word, sizeof(word));
    ow_initializer(&q.graph, "want", OW_I32, 1, (int64_t[]){1}, &minus, sizeof(minus));
    ow_attr_int(&q.attrs, "seed", 0x9747b28c);
    ow_attr_int(&q.attrs, "positive", 0);
    fused(&q, "MurmurHash3", "x", "got");
    check_same(&q);
}

static void repetitions(void **state)
{
    pair p = {0};
    const int64_t ids[10] = {1, 2, 3, 1, 2, 0, 0, 0, 0, 0};
    const float scores[8] = {0.5f, 1, 2, 3, 4, 5, 6, 7};
    const float want[8] = {0.5f, 1, 2, -INFINITY, -INFINITY, 5, 6, 7};
    (void)state;
    ow_initializer(&p.graph, "ids", OW_I64, 2, (int64_t[]){2, 5}, ids, sizeof(ids));
    floats(&p, "scores", DIMS(2, 4), scores);
    ow_attr_int(&p.attrs, "ngram_size", 3);
    fused(&p, "NGramRepeatBlock", "ids,scores", "got");
    floats(&p, "want", DIMS(2, 4), want);
    check_same(&p);
}

static void cheapest_path(void **state)
{
    pair p = {0};
    const float cost[12] = {1, 9, 9, 9, 1, 1, 9, 9, 9, 9, 1, 1};
    const int32_t want[8] = {0, 1, 2, 2, 0, 1, 2, 3};
    (void)state;
    floats(&p, "x", DIMS(1, 3, 4), cost);
    fused(&p, "DynamicTimeWarping", "x", "got");
    ow_initializer(&p.graph, "want", OW_I32, 2, (int64_t[]){2, 4}, want, sizeof(want));
    check_same(&p);
}

/* A guess of which two tokens are the source's and the third one is not; that one, which now ends
   the text, is in the source once. */
static void guesses(void **state)
{
    static const struct {
        const char *outputs;
        size_t count;
        int64_t want[4];
    } all[] = {{"got,m", 4, {9, 1, 2, 7}}, {"t,got", 1, {6}}};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(all); i++) {
        pair p = {0};
        ints(&p, "source", DIMS(5, 1, 2, 3, 1, 7));
        ints(&p, "text", DIMS(9));
        ints(&p, "from", DIMS(1));
        ints(&p, "guess", DIMS(1, 2, 7, 0, 0, 0));
        fused(&p, "BifurcationDetector", "source,text,from,guess", all[i].outputs);
        ints(&p, "want", all[i].count, all[i].want);
        check_same(&p);
    }
}

/* Two words of up to four letters, with tables that are small enough to see through. */
static void words(void **state)
{
    pair p = {0};
    const int32_t letters[12] = {1, 2, 1, 0, 0, 2, 2, 2, 2, 0, 0, 0};
    const float table[6] = {0, 0, 0.5f, -0.25f, 1, 0.125f};
    const float filters[8] = {1, 0, 0, 1, 0, 2, 1, 0}, bias[2] = {0.25f, -0.5f};
    /* First filter: x of the letter, y of the next; second: 2y and x of the next. */
    const float sums[6] = {0.25f + 1 - 0.25f, -0.5f + 0.25f + 0.5f, -100, -100,
                           0.25f + 1,         -0.5f + 0.25f};
    float want[6];
    (void)state;
    for (int i = 0; i < 6; i++)
        want[i] = sums[i] < -9 ? 0 : tanhf(sums[i]);
    ow_initializer(&p.graph, "x", OW_I32, 2, (int64_t[]){3, 4}, letters, sizeof(letters));
    floats(&p, "w", DIMS(2, 1, 2, 2), filters);
    floats(&p, "d", DIMS(2), bias);
    floats(&p, "c", DIMS(3, 2), table);
    fused(&p, "WordConvEmbedding", "x,w,d,c", "got");
    floats(&p, "want", DIMS(3, 2), want);
    check_same(&p);
}

static void masked_pools(void **state)
{
    pair p = {0};
    const float x[9] = {9, 1, 2, 3, 8, 4, 5, 6, 7};
    const int32_t mask[9] = {0, 1, 1, 1, 0, 1, 1, 1, 1};
    /* Windows of 2 × 2, then some of 1 × 2, of which one has nothing. */
    const float want[8] = {9, 2, 6, 7, -FLT_MAX, 4, 6, 7};
    (void)state;
    floats(&p, "x", DIMS(1, 1, 3, 3), x);
    ow_initializer(&p.graph, "m", OW_I32, 4, (int64_t[]){1, 1, 3, 3}, mask, sizeof(mask));
    ow_attr_ints(&p.attrs, "kernel_shape", (int64_t[]){2, 2}, 2);
    fused(&p, "MaxpoolWithMask", "x,m", "pooled");
    ow_attr_ints(&p.attrs, "kernel_shape", (int64_t[]){1, 2}, 2);
    ow_attr_ints(&p.attrs, "pads", (int64_t[]){0, 0, 0, 1}, 4);
    fused(&p, "MaxpoolWithMask", "x,m", "rows");
    ints(&p, "0", DIMS(0));
    ints(&p, "4", DIMS(4));
    ints(&p, "8", DIMS(8));
    ints(&p, "flat", DIMS(-1));
    plain(&p, "Reshape", "pooled,flat", "first");
    plain(&p, "Reshape", "rows,flat", "second");
    plain(&p, "Slice", "second,4,8", "part");
    ow_attr_int(&p.attrs, "axis", 0);
    plain(&p, "Concat", "first,part", "got");
    floats(&p, "want", DIMS(8), want);
    check_same(&p);
}

static void finite_numbers(void **state)
{
    static const struct {
        const char *inputs, *attr;
        bool want;
    } all[] = {{"x,y", NULL, true},
               {"x,inf", NULL, false},
               {"nan", NULL, false},
               {"nan,y", "isinf_only", true},
               {"inf", "isnan_only", true}};
    const float inf = -INFINITY, nan = NAN;
    (void)state;
    for (size_t i = 0; i < NND_COUNT(all); i++) {
        pair p = {0};
        const uint8_t want = all[i].want;
        input(&p, "x", DIMS(3, 4));
        input(&p, "y", DIMS(2));
        floats(&p, "inf", DIMS(1), &inf);
        floats(&p, "nan", DIMS(1), &nan);
        if (all[i].attr) ow_attr_int(&p.attrs, all[i].attr, 1);
        fused(&p, "IsAllFinite", all[i].inputs, "got");
        ow_initializer(&p.graph, "want", OW_BOOL, 0, NULL, &want, 1);
        check_same(&p);
    }
}

/* Pads that are known when the model is loaded, and pads that are an input's sum. */
static void transposed_convolution(void **state)
{
    const int64_t pads[4] = {1, 0, 0, 2};
    (void)state;
    for (int later = 0; later < 2; later++) {
        pair p = {0};
        input(&p, "x", DIMS(1, 2, 4, 3));
        input(&p, "w", DIMS(2, 3, 3, 2));
        input(&p, "c", DIMS(3));
        ints(&p, "pads", 4, pads);
        if (later) {
            constant(&p, "zero", 0);
            plain(&p, "Mul", "c,zero", "zeros");
            plain(&p, "ReduceSum", "zeros", "none");
            ow_attr_int(&p.attrs, "to", OW_I64);
            plain(&p, "Cast", "none", "none64");
            plain(&p, "Add", "pads,none64", "known_later");
        }
        ow_attr_ints(&p.attrs, "strides", (int64_t[]){2, 3}, 2);
        ow_attr_ints(&p.attrs, "output_padding", (int64_t[]){1, 1}, 2);
        fused(&p, "ConvTransposeWithDynamicPads", later ? "x,w,known_later,c" : "x,w,pads,c", "a");
        ow_attr_ints(&p.attrs, "strides", (int64_t[]){2, 3}, 2);
        ow_attr_ints(&p.attrs, "output_padding", (int64_t[]){1, 1}, 2);
        ow_attr_ints(&p.attrs, "pads", pads, 4);
        plain(&p, "ConvTranspose", "x,w,c", "b");
        check(&p);
    }
}

/* ---- a recurrence with a memory ---------------------------------------------------------------
 */

/* A constant with values between −1 and 1. */
static void weights(pair *p, const char *name, size_t rank, const int64_t *dims)
{
    float v[256];
    for (size_t i = 0; i < NND_COUNT(v); i++)
        v[i] = (float)((i * 29 + (size_t)name[0] * 17 + i * i * 7) % 89) / 44.0f - 1.0f;
    floats(p, name, rank, dims, v);
}

/* What the memory gives for the state h [1, batch, 4]: rows that the mask hides have no weight. */
static void look_at_memory(pair *p)
{
    plain(p, "MatMul", "M,K", "keys");
    plain(p, "MatMul", "h,Q", "query");
    ow_attr_ints(&p->attrs, "perm", (int64_t[]){1, 0, 2}, 3);
    plain(p, "Transpose", "query", "queries");
    plain(p, "Add", "keys,queries", "sums");
    plain(p, "Tanh", "sums", "bent");
    plain(p, "MatMul", "bent,column", "raw");
    plain(p, "Add", "raw,mask", "scores");
    ow_attr_int(&p->attrs, "axis", 1);
    plain(p, "Softmax", "scores", "shares");
    ow_attr_ints(&p->attrs, "perm", (int64_t[]){0, 2, 1}, 3);
    plain(p, "Transpose", "shares", "row");
    plain(p, "MatMul", "row,M", "seen");
    ow_attr_ints(&p->attrs, "perm", (int64_t[]){1, 0, 2}, 3);
    plain(p, "Transpose", "seen", "context");
    ow_attr_int(&p->attrs, "axis", 2);
    plain(p, "Concat", "h,context", "both");
    plain(p, "MatMul", "both,A", "found");
}

/* Two steps, put together from plain ones. */
static void recurrence_with_memory(void **state)
{
    pair p = {0};
    const int32_t lengths[2] = {5, 3};
    const float none[12] = {0}, hidden[10] = {0, 0, 0, 0, 0, 0, 0, 0, -1e9f, -1e9f};
    (void)state;
    input(&p, "x", DIMS(2, 2, 3));
    weights(&p, "W", DIMS(1, 16, 9));
    weights(&p, "R", DIMS(1, 16, 4));
    weights(&p, "B", DIMS(1, 32));
    weights(&p, "Q", DIMS(1, 4, 4));
    weights(&p, "K", DIMS(1, 3, 4));
    weights(&p, "V", DIMS(1, 4));
    weights(&p, "M", DIMS(2, 5, 3));
    weights(&p, "A", DIMS(1, 7, 6));
    ow_initializer(&p.graph, "n", OW_I32, 1, (int64_t[]){2}, lengths, sizeof(lengths));
    floats(&p, "mask", DIMS(2, 5, 1), hidden);
    floats(&p, "zeros", DIMS(1, 2, 6), none);
    ints(&p, "tall", DIMS(4, 1));
    plain(&p, "Reshape", "V,tall", "column");
    ow_attr_int(&p.attrs, "hidden_size", 4);
    fused(&p, "AttnLSTM", "x,W,R,B,,,,,Q,K,V,M,n,A", "y,last,cell");
    ow_attr_int(&p.attrs, "axis", 0);
    plain(&p, "Concat", "last,cell", "a");
    ow_attr_int(&p.attrs, "num_outputs", 2);
    plain(&p, "Split", "x", "x1,x2");
    ow_attr_int(&p.attrs, "axis", 2);
    plain(&p, "Concat", "x1,zeros", "first");
    ow_attr_int(&p.attrs, "hidden_size", 4);
    plain(&p, "LSTM", "first,W,R,B", "y1,h,c");
    look_at_memory(&p);
    ow_attr_int(&p.attrs, "axis", 2);
    plain(&p, "Concat", "x2,found", "second");
    ow_attr_int(&p.attrs, "hidden_size", 4);
    plain(&p, "LSTM", "second,W,R,B,,h,c", "y2,h2,c2");
    ow_attr_int(&p.attrs, "axis", 0);
    plain(&p, "Concat", "h2,c2", "b");
    check(&p);
}

/* ---- complex numbers ------------------------------------------------------------------------- */

/* The transform by its sum, one and two dimensions; and back. */
static void transforms(void **state)
{
    enum { ROWS = 3, LENGTH = 6, BINS = LENGTH / 2 + 1 };
    (void)state;
    for (int dims = 1; dims < 3; dims++) {
        pair p = {0}, q = {0};
        float want[ROWS * BINS * 2];
        input(&p, "x", DIMS(ROWS, LENGTH));
        for (int v = 0; v < ROWS; v++)
            for (int u = 0; u < BINS; u++) {
                double re = 0, im = 0;
                for (int y = 0; y < ROWS; y++)
                    for (int x = 0; x < LENGTH; x++) {
                        double turns = (double)(u * x) / LENGTH;
                        if (dims == 2) turns += (double)(v * y) / ROWS;
                        const double value =
                            dims == 2 || y == v ? (double)p.data[0][y * LENGTH + x] : 0;
                        re += value * cos(2 * 3.14159265358979323846 * turns);
                        im -= value * sin(2 * 3.14159265358979323846 * turns);
                    }
                want[(v * BINS + u) * 2] = (float)re;
                want[(v * BINS + u) * 2 + 1] = (float)im;
            }
        ow_attr_int(&p.attrs, "signal_ndim", dims);
        fused(&p, "Rfft", "x", "got");
        floats(&p, "want", DIMS(ROWS, BINS, 2), want);
        check_same(&p);
        input(&q, "x", DIMS(ROWS, LENGTH));
        ow_attr_int(&q.attrs, "signal_ndim", dims);
        fused(&q, "Rfft", "x", "there");
        ow_attr_int(&q.attrs, "signal_ndim", dims);
        fused(&q, "Irfft", "there", "a");
        plain(&q, "Identity", "x", "b");
        check(&q);
    }
}

static void complex_products(void **state)
{
    const float x[4] = {1, 2, -3, 0.5f}, y[2] = {0.25f, -4};
    const float product[4] = {8.25f, -3.5f, 1.25f, 12.125f};
    const float conjugate[4] = {-7.75f, 4.5f, -2.75f, -11.875f};
    (void)state;
    for (int i = 0; i < 2; i++) {
        pair p = {0};
        floats(&p, "x", DIMS(2, 2), x);
        floats(&p, "y", DIMS(1, 2), y);
        fused(&p, i ? "ComplexMulConj" : "ComplexMul", "x,y", "got");
        floats(&p, "want", DIMS(2, 2), i ? conjugate : product);
        check_same(&p);
    }
}

/* ---- what is wrong is said ------------------------------------------------------------------- */

static void wrong_pieces(void **state)
{
    const int32_t three[3] = {2, 4, 0};
    pair crop = {0}, ngram = {0}, unfold = {0}, warp = {0}, guess = {0}, letter = {0};
    (void)state;
    input(&crop, "x", DIMS(1, 2, 4, 4));
    input(&crop, "r", DIMS(3, 4));
    ow_initializer(&crop.graph, "n", OW_I32, 1, (int64_t[]){3}, three, sizeof(three));
    ow_initializer(&crop.graph, "size", OW_I32, 1, (int64_t[]){2}, three, 2 * sizeof(*three));
    fused(&crop, "CropAndResize", "x,r,n,size", "a");
    refuse(&crop, "region 0 is in picture 2 of 1");
    input(&ngram, "x", DIMS(1, 4));
    ow_initializer(&ngram.graph, "ids", OW_I64, 2, (int64_t[]){1, 2}, (const int64_t[]){1, 7}, 16);
    ow_attr_int(&ngram.attrs, "ngram_size", 1);
    fused(&ngram, "NGramRepeatBlock", "ids,x", "a");
    refuse(&ngram, "token 7 is outside of 4 words");
    input(&unfold, "x", DIMS(3, 4));
    ow_attr_int(&unfold.attrs, "size", 5);
    fused(&unfold, "UnfoldTensor", "x", "a");
    refuse(&unfold, "4 elements have no slices of 5");
    input(&warp, "x", DIMS(2, 3, 4));
    fused(&warp, "DynamicTimeWarping", "x", "a");
    refuse(&warp, "the costs are no matrix");
    ints(&guess, "source", DIMS(1, 2));
    ints(&guess, "from", DIMS(3));
    fused(&guess, "BifurcationDetector", "source,source,from,source", "a,match");
    refuse(&guess, "2 guessed tokens from place 3 of 2");
    ow_initializer(&letter.graph, "x", OW_I32, 2, (int64_t[]){1, 3}, three, sizeof(three));
    input(&letter, "w", DIMS(2, 1, 2, 2));
    input(&letter, "b", DIMS(2));
    input(&letter, "c", DIMS(3, 2));
    fused(&letter, "WordConvEmbedding", "x,w,b,c", "a");
    refuse(&letter, "character 4 is outside of a table of 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renamed),
        cmocka_unit_test(places_of_unique_values),
        cmocka_unit_test(crops),
        cmocka_unit_test(slices),
        cmocka_unit_test(hashes),
        cmocka_unit_test(repetitions),
        cmocka_unit_test(cheapest_path),
        cmocka_unit_test(guesses),
        cmocka_unit_test(words),
        cmocka_unit_test(masked_pools),
        cmocka_unit_test(finite_numbers),
        cmocka_unit_test(transposed_convolution),
        cmocka_unit_test(recurrence_with_memory),
        cmocka_unit_test(transforms),
        cmocka_unit_test(complex_products),
        cmocka_unit_test(wrong_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
