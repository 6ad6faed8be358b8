/* Operators of com.microsoft that are others in a row, in another layout or under another name, and
   those of diffusion models and packed transformers, against the plain operators that define them.
 */
#include "pair_support.h"

/* Layout: last = to [N, …, C], else to [N, C, …]. */
static void turn(pair *p, int rank, bool last, const char *from, const char *to)
{
    int64_t perm[5] = {0};
    for (int i = 1; i < rank; i++)
        perm[i] = last ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
    ow_attr_ints(&p->attrs, "perm", perm, (size_t)rank);
    plain(p, "Transpose", from, to);
}

static void byte(pair *p, const char *name, int type, int v)
{
    const uint8_t code = (uint8_t)v;
    ow_initializer(&p->graph, name, type, 0, NULL, &code, 1);
}

/* "x" is an input, "q" its codes. */
static void codes(pair *p, int type, int zero, size_t rank, const int64_t *dims)
{
    input(p, "x", rank, dims);
    constant(p, "s", 0.011f);
    byte(p, "z", type, zero);
    plain(p, "QuantizeLinear", "x,s,z", "q");
}

/* ---- QuantizeLinear, DequantizeLinear -------------------------------------------------------- */

static void quantisers(void **state)
{
    static const struct {
        int type;
        size_t bytes;
    } types[] = {{OW_U8, 1}, {OW_I8, 1}, {OW_U16, 2}, {OW_I16, 2}};
    const float scales[4] = {0.02f, 0.004f, 0.013f, 0.3f};
    const uint16_t zeros[4] = {3, 7, 0, 1};
    const uint8_t narrow[4] = {3, 7, 0, 1};
    (void)state;
    for (size_t i = 0; i < 2 * NND_COUNT(types); i++) {
        const size_t bytes = types[i / 2].bytes;
        const int64_t four = 4;
        const bool per_axis = i % 2;
        pair p = {0};
        input(&p, "x", DIMS(3, 4, 5));
        ow_initializer(&p.graph, "s", OW_F32, per_axis, &four, scales, per_axis ? 16 : 4);
        ow_initializer(&p.graph, "z", types[i / 2].type, per_axis, &four,
                       bytes == 1 ? (const void *)narrow : zeros, per_axis ? 4 * bytes : bytes);
        for (int k = 0; k < 2; k++) {
            if (per_axis) ow_attr_int(&p.attrs, "axis", k ? 1 : -2);
            (k ? plain : fused)(&p, "QuantizeLinear", "x,s,z", k ? "bq" : "aq");
            if (per_axis) ow_attr_int(&p.attrs, "axis", 1);
            (k ? plain : fused)(&p, "DequantizeLinear", k ? "bq,s,z" : "aq,s,z", k ? "b" : "a");
        }
        check(&p);
    }
}

/* A quantised layer, as the quantiser writes it in either domain. */
static void quantised_layer(pair *p, bool onnx, const char *dx, const char *dw, const char *y,
                            const char *q, const char *result)
{
    void (*of)(pair *, const char *, const char *, const char *) = onnx ? plain : fused;
    char inputs[32];
    of(p, "QuantizeLinear", "x,xs,xz", q);
    snprintf(inputs, sizeof(inputs), "%s,xs,xz", q);
    of(p, "DequantizeLinear", inputs, dx);
    ow_attr_int(&p->attrs, "axis", 0);
    of(p, "DequantizeLinear", "w,ws,wz", dw);
    snprintf(inputs, sizeof(inputs), "%s,%s", dx, dw);
    plain(p, "Conv", inputs, y);
    snprintf(inputs, sizeof(inputs), "%s,ys,xz", y);
    of(p, "QuantizeLinear", inputs, onnx ? "yq" : "yq2");
    of(p, "DequantizeLinear", onnx ? "yq,ys,xz" : "yq2,ys,xz", result);
}

static void quantised_layers_are_seen(void **state)
{
    pair p = {0};
    int8_t w[36];
    const float scales[2] = {0.01f, 0.02f};
    const int8_t zeros[2] = {0, 0};
    (void)state;
    for (int i = 0; i < 36; i++)
        w[i] = (int8_t)(i * 29 - 120);
    input(&p, "x", DIMS(1, 2, 6, 6));
    constant(&p, "xs", 0.008f);
    constant(&p, "ys", 0.05f);
    byte(&p, "xz", OW_U8, 128);
    ow_initializer(&p.graph, "w", OW_I8, 4, (int64_t[]){2, 2, 3, 3}, w, sizeof(w));
    ow_initializer(&p.graph, "ws", OW_F32, 1, (int64_t[]){2}, scales, sizeof(scales));
    ow_initializer(&p.graph, "wz", OW_I8, 1, (int64_t[]){2}, zeros, sizeof(zeros));
    quantised_layer(&p, false, "dx1", "dw1", "y1", "q1", "a");
    quantised_layer(&p, true, "dx2", "dw2", "y2", "q2", "b");
    nnd_engine_model *m = load(&p);
    assert_int_equal(count_ops(m, "QLinearConv"), 2);
    assert_int_equal(count_ops(m, "Conv"), 0);
    check_loaded(&p, m);
}

/* ---- channels last --------------------------------------------------------------------------- */

static void pool_window(pair *p)
{
    ow_attr_ints(&p->attrs, "kernel_shape", (int64_t[]){3, 2}, 2);
    ow_attr_ints(&p->attrs, "strides", (int64_t[]){2, 1}, 2);
    ow_attr_ints(&p->attrs, "pads", (int64_t[]){1, 0, 1, 1}, 4);
}

static void pools_of_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        pair p = {0};
        const bool average = i > 1;
        codes(&p, i % 2 ? OW_I8 : OW_U8, i % 2 ? -9 : 120, DIMS(2, 7, 6, 3));
        constant(&p, "t", 0.017f);
        pool_window(&p);
        if (average) ow_attr_int(&p.attrs, "channels_last", 1);
        fused(&p, average ? "QLinearAveragePool" : "NhwcMaxPool", average ? "q,s,z,t,z" : "q",
              "aq");
        plain(&p, "DequantizeLinear", average ? "aq,t,z" : "aq,s,z", "a");
        turn(&p, 4, false, "q", "planes");
        pool_window(&p);
        if (average)
            fused(&p, "QLinearAveragePool", "planes,s,z,t,z", "pooled");
        else
            plain(&p, "MaxPool", "planes", "pooled");
        turn(&p, 4, true, "pooled", "bq");
        plain(&p, "DequantizeLinear", average ? "bq,t,z" : "bq,s,z", "b");
        check(&p);
    }
}

static void convolution_of_bytes(void **state)
{
    (void)state;
    for (int last = 0; last < 2; last++) {
        pair p = {0};
        uint8_t w[4 * 1 * 3 * 3];
        const int32_t bias[4] = {100, -50, 0, 7};
        for (size_t i = 0; i < sizeof(w); i++)
            w[i] = (uint8_t)(i * 53);
        if (last)
            codes(&p, OW_U8, 121, DIMS(1, 6, 5, 2));
        else
            codes(&p, OW_U8, 121, DIMS(1, 2, 6, 5));
        constant(&p, "t", 0.03f);
        byte(&p, "wz", OW_U8, 128);
        ow_initializer(&p.graph, "w", OW_U8, 4, (int64_t[]){4, 1, 3, 3}, w, sizeof(w));
        ow_initializer(&p.graph, "bias", OW_I32, 1, (int64_t[]){4}, bias, sizeof(bias));
        ow_attr_int(&p.attrs, "channels_last", last);
        ow_attr_int(&p.attrs, "group", 2);
        ow_attr_ints(&p.attrs, "pads", (int64_t[]){1, 1, 1, 1}, 4);
        fused(&p, "QLinearConv", "q,s,z,w,s,wz,t,z,bias", "aq");
        plain(&p, "DequantizeLinear", "aq,t,z", "a");
        if (last) turn(&p, 4, false, "q", "planes");
        ow_attr_int(&p.attrs, "group", 2);
        ow_attr_ints(&p.attrs, "pads", (int64_t[]){1, 1, 1, 1}, 4);
        plain(&p, "QLinearConv", last ? "planes,s,z,w,s,wz,t,z,bias" : "q,s,z,w,s,wz,t,z,bias",
              "yq");
        if (last) turn(&p, 4, true, "yq", "bq");
        plain(&p, "DequantizeLinear", last ? "bq,t,z" : "yq,t,z", "b");
        check(&p);
    }
}

/* The weights of NhwcConv have their channels last as well, those of NhwcFusedConv not. */
static void convolutions(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const bool adds = i & 1, activates = i & 2;
        pair p = {0};
        input(&p, "x", DIMS(2, 6, 5, 4));
        input(&p, "w", DIMS(6, 2, 3, 3));
        turn(&p, 4, true, "w", "last_w");
        input(&p, "c", DIMS(6));
        input(&p, "r", DIMS(2, 4, 3, 6));
        ow_attr_int(&p.attrs, "group", 2);
        if (activates) ow_attr_text(&p.attrs, "activation", "Relu");
        if (i)
            fused(&p, "NhwcFusedConv", adds ? "x,w,c,r" : "x,w,c", "a");
        else
            fused(&p, "NhwcConv", "x,last_w,c", "a");
        turn(&p, 4, false, "x", "planes");
        ow_attr_int(&p.attrs, "group", 2);
        plain(&p, "Conv", "planes,w,c", "y");
        turn(&p, 4, true, "y", adds ? "last" : activates ? "sum" : "b");
        if (adds) plain(&p, "Add", "last,r", activates ? "sum" : "b");
        if (activates) plain(&p, "Relu", "sum", "b");
        check(&p);
    }
}

/* ---- products -------------------------------------------------------------------------------- */

/* Rows in front of the batches, in one operand or both. */
static void products_of_turned_batches(void **state)
{
    (void)state;
    for (int i = 1; i < 4; i++) {
        const bool a = i & 1, b = i & 2;
        pair p = {0};
        if (a)
            input(&p, "x", DIMS(3, 2, 2, 5));
        else
            input(&p, "x", DIMS(2, 2, 3, 5));
        if (b)
            input(&p, "y", DIMS(5, 2, 2, 4));
        else
            input(&p, "y", DIMS(2, 2, 5, 4));
        ow_attr_int(&p.attrs, "transBatchA", a);
        ow_attr_int(&p.attrs, "transBatchB", b);
        ow_attr_float(&p.attrs, "alpha", 0.5f);
        fused(&p, "FusedMatMul", "x,y", "a");
        ow_attr_ints(&p.attrs, "perm", (int64_t[]){1, 2, 0, 3}, 4);
        if (a) plain(&p, "Transpose", "x", "left");
        ow_attr_ints(&p.attrs, "perm", (int64_t[]){1, 2, 0, 3}, 4);
        if (b) plain(&p, "Transpose", "y", "right");
        nnd_str_free(&p.attrs);
        ow_attr_float(&p.attrs, "alpha", 0.5f);
        fused(&p, "TransposeMatMul", a && b ? "left,right" : a ? "left,y" : "x,right", "b");
        check(&p);
    }
}

static void product_of_words(void **state)
{
    pair p = {0};
    const int16_t x[6] = {32767, -32768, 5, 0, 1, -2}, y[6] = {3, -7, 32767, 11, -32768, 2};
    (void)state;
    ow_initializer(&p.graph, "x", OW_I16, 2, (int64_t[]){2, 3}, x, sizeof(x));
    ow_initializer(&p.graph, "y", OW_I16, 2, (int64_t[]){3, 2}, y, sizeof(y));
    fused(&p, "MatMulInteger16", "x,y", "sum");
    int32_t sums[4] = {0};
    for (int i = 0; i < 12; i++)
        sums[i / 6 * 2 + i % 2] += x[i / 6 * 3 + i / 2 % 3] * (int32_t)y[i / 2 % 3 * 2 + i % 2];
    ow_initializer(&p.graph, "sums", OW_I32, 2, (int64_t[]){2, 2}, sums, sizeof(sums));
    plain(&p, "Identity", "sum", "a");
    plain(&p, "Identity", "sums", "b");
    check(&p);
}

static void products_and_what_follows(void **state)
{
    static const struct {
        const char *name, *param;
    } activations[] = {{"Relu", NULL}, {"LeakyRelu", "alpha"}, {"Elu", "alpha"}, {"Tanh", NULL}};
    (void)state;
    for (size_t i = 0; i <= NND_COUNT(activations); i++) {
        pair p = {0};
        input(&p, "x", DIMS(2, 3, 5));
        input(&p, "y", DIMS(5, 4));
        input(&p, "c", DIMS(4));
        if (i == NND_COUNT(activations)) {
            fused(&p, "GemmFastGelu", "x,y,c", "a");
            plain(&p, "MatMul", "x,y", "xy");
            plain(&p, "Add", "xy,c", "sum");
            ow_attr_text(&p.attrs, "approximate", "tanh");
            plain(&p, "Gelu", "sum", "b");
        } else {
            ow_attr_text(&p.attrs, "activation", activations[i].name);
            if (activations[i].param) ow_attr_float(&p.attrs, "activation_alpha", 0.3f);
            fused(&p, "FusedMatMulActivation", "x,y", "a");
            plain(&p, "MatMul", "x,y", "xy");
            if (activations[i].param) ow_attr_float(&p.attrs, activations[i].param, 0.3f);
            plain(&p, activations[i].name, "xy", "b");
        }
        check(&p);
    }
}

static void softmax_with_bias(void **state)
{
    (void)state;
    for (int inner = 0; inner < 2; inner++) {
        pair p = {0};
        input(&p, "x", DIMS(2, 3, 4, 5));
        if (inner)
            input(&p, "y", DIMS(2, 1, 1, 5));
        else
            input(&p, "y", DIMS(4, 5));
        ow_attr_int(&p.attrs, "axis", 3);
        ow_attr_int(&p.attrs, "is_inner_broadcast", inner);
        fused(&p, "BiasSoftmax", "x,y", "a");
        plain(&p, "Add", "x,y", "sum");
        plain(&p, "Softmax", "sum", "b");
        check(&p);
    }
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void mean_of_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const int type = i & 1 ? OW_I8 : OW_U8;
        const bool zeros = i & 2;
        pair p = {0};
        codes(&p, type, i & 1 ? 5 : 100, DIMS(3, 4, 5));
        constant(&p, "t", 0.007f);
        byte(&p, "none", type, 0);
        ow_attr_ints(&p.attrs, "axes", (int64_t[]){0, 2}, 2);
        ow_attr_int(&p.attrs, "keepdims", 0);
        fused(&p, "QLinearReduceMean", zeros ? "q,s,z,t,z" : "q,s,,t", "aq");
        plain(&p, "DequantizeLinear", zeros ? "aq,t,z" : "aq,t,none", "a");
        plain(&p, "DequantizeLinear", zeros ? "q,s,z" : "q,s,none", "d");
        ints(&p, "axes", DIMS(0, 2));
        ow_attr_int(&p.attrs, "keepdims", 0);
        plain(&p, "ReduceMean", "d,axes", "mean");
        plain(&p, "QuantizeLinear", zeros ? "mean,t,z" : "mean,t,none", "bq");
        plain(&p, "DequantizeLinear", zeros ? "bq,t,z" : "bq,t,none", "b");
        check(&p);
    }
}

static void embeddings_of_bytes(void **state)
{
    pair p = {0};
    const int32_t ids[6] = {4, 0, 2, 1, 1, 3}, kinds[6] = {0, 0, 1, 1, 0, 1};
    static const char *const tables[5] = {"words", "places", "kind", "gamma", "beta"};
    static const int64_t rows[5] = {5, 4, 2, 1, 1};
    char name[32], real[32], operands[64];
    uint8_t bytes[40];
    (void)state;
    ow_initializer(&p.graph, "ids", OW_I32, 2, (int64_t[]){2, 3}, ids, sizeof(ids));
    ow_initializer(&p.graph, "kinds", OW_I32, 2, (int64_t[]){2, 3}, kinds, sizeof(kinds));
    for (int i = 0; i < 5; i++) {
        for (size_t k = 0; k < sizeof(bytes); k++)
            bytes[k] = (uint8_t)(k * 67 + (size_t)i * 31);
        const int64_t dims[2] = {rows[i], 8};
        ow_initializer(&p.graph, tables[i], OW_U8, i < 3 ? 2 : 1, i < 3 ? dims : dims + 1, bytes,
                       (size_t)rows[i] * 8);
        snprintf(name, sizeof(name), "s%d", i);
        constant(&p, name, 0.01f + 0.003f * (float)i);
        snprintf(name, sizeof(name), "z%d", i);
        byte(&p, name, OW_U8, 90 + 20 * i);
        snprintf(operands, sizeof(operands), "%s,s%d,z%d", tables[i], i, i);
        snprintf(real, sizeof(real), "real_%s", tables[i]);
        plain(&p, "DequantizeLinear", operands, real);
    }
    ow_attr_float(&p.attrs, "epsilon", 1e-3f);
    fused(&p, "QEmbedLayerNormalization",
          "ids,kinds,words,places,kind,gamma,beta,,s0,s1,s2,s3,s4,z0,z1,z2,z3,z4", "a,mask");
    ow_attr_float(&p.attrs, "epsilon", 1e-3f);
    fused(&p, "EmbedLayerNormalization",
          "ids,kinds,real_words,real_places,real_kind,real_gamma,real_beta", "b,mask2");
    check(&p);
}

/* ---- diffusion models ------------------------------------------------------------------------ */

/* Channels last or first; the skip absent, whole, or one value per channel. */
static void group_norms(void **state)
{
    enum { NONE, WHOLE, CHANNELS };
    (void)state;
    for (int i = 0; i < 12; i++) {
        const bool last = i % 2, activates = i / 2 % 2;
        const int skip = i / 4;
        pair p = {0};
        if (last)
            input(&p, "x", DIMS(2, 3, 5, 8));
        else
            input(&p, "x", DIMS(2, 8, 3, 5));
        input(&p, "gamma", DIMS(8));
        input(&p, "beta", DIMS(8));
        if (skip == WHOLE && last) input(&p, "skip", DIMS(2, 3, 5, 8));
        if (skip == WHOLE && !last) input(&p, "skip", DIMS(2, 8, 3, 5));
        if (skip == CHANNELS) input(&p, "skip", DIMS(2, 8));
        if (skip) input(&p, "c", DIMS(8));
        ow_attr_int(&p.attrs, "groups", 4);
        ow_attr_int(&p.attrs, "activation", activates);
        ow_attr_int(&p.attrs, "channels_last", last);
        if (skip)
            fused(&p, "SkipGroupNorm", "x,gamma,beta,skip,c", "n,sum");
        else
            fused(&p, "GroupNorm", "x,gamma,beta", "n");
        plain(&p, skip ? "Add" : "Identity", skip ? "n,sum" : "n", "a");
        ints(&p, "wide", 4, last ? (const int64_t[]){2, 1, 1, 8} : (const int64_t[]){2, 8, 1, 1});
        ints(&p, "vector", 4, last ? (const int64_t[]){1, 1, 1, 8} : (const int64_t[]){1, 8, 1, 1});
        const char *whole = "x";
        if (skip) {
            if (skip == CHANNELS) plain(&p, "Reshape", "skip,wide", "skip4");
            plain(&p, "Reshape", "c,vector", "c4");
            plain(&p, "Add", skip == CHANNELS ? "x,skip4" : "x,skip", "xs");
            plain(&p, "Add", "xs,c4", "t");
            whole = "t";
        }
        if (last) turn(&p, 4, false, whole, "planes");
        ow_attr_int(&p.attrs, "num_groups", 4);
        plain(&p, "GroupNormalization",
              last   ? "planes,gamma,beta"
              : skip ? "t,gamma,beta"
                     : "x,gamma,beta",
              "y");
        plain(&p, "Sigmoid", "y", "gate");
        if (activates) plain(&p, "Mul", "y,gate", "act");
        if (last)
            turn(&p, 4, true, activates ? "act" : "y", "m");
        else
            plain(&p, "Identity", activates ? "act" : "y", "m");
        plain(&p, skip ? "Add" : "Identity", skip ? "m,t" : "m", "b");
        check(&p);
    }
}

/* With parameters and operands of which the file tells enough, the operator is replaced; with
   parameters that come with each run it is not. Both, for skips of all kinds. */
static void group_norms_are_replaced(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        const bool whole = i & 1, gemm = i & 2, biased = i & 4;
        pair p = {0};
        float gamma[8];
        input(&p, "x", DIMS(2, 3, 5, 8));
        input(&p, "g", DIMS(8));
        input(&p, "v", DIMS(2, 8));
        input(&p, "c", DIMS(8));
        memcpy(gamma, p.data[1], sizeof(gamma));
        floats(&p, "gamma", DIMS(8), gamma);
        ints(&p, "axes", DIMS(2, 3));
        ow_attr_int(&p.attrs, "groups", 2);
        if (whole) fused(&p, "GroupNorm", "x,gamma,c", "skip");
        nnd_str_free(&p.attrs);
        if (!whole && gemm) {
            input(&p, "m", DIMS(8, 8));
            plain(&p, "Gemm", "v,m", "vm");
            plain(&p, "Unsqueeze", "vm,axes", "skip");
        }
        const char *skip = whole || gemm ? "skip" : "v";
        for (int k = 0; k < 2; k++) {
            char inputs[64];
            snprintf(inputs, sizeof(inputs), "x,%s,c,%s%s", k ? "g" : "gamma", skip,
                     biased ? ",c" : "");
            ow_attr_int(&p.attrs, "groups", 4);
            ow_attr_int(&p.attrs, "activation", 1);
            fused(&p, "SkipGroupNorm", inputs, k ? "n2,sum2" : "n1,sum1");
            plain(&p, "Sub", k ? "n2,sum2" : "n1,sum1", k ? "b" : "a");
        }
        nnd_engine_model *m = load(&p);
        assert_int_equal(count_ops(m, "SkipGroupNorm"), 1);
        check_loaded(&p, m);
    }
}

static void biases(void **state)
{
    pair p = {0}, q = {0};
    (void)state;
    input(&p, "x", DIMS(2, 3, 8));
    input(&p, "c", DIMS(8));
    input(&p, "r", DIMS(2, 3, 8));
    fused(&p, "BiasAdd", "x,c,r", "a");
    plain(&p, "Add", "r,c", "rc");
    plain(&p, "Add", "x,rc", "b");
    check(&p);
    input(&q, "x", DIMS(2, 3, 8));
    input(&q, "c", DIMS(8));
    fused(&q, "BiasSplitGelu", "x,c", "a");
    ints(&q, "0", DIMS(0));
    ints(&q, "4", DIMS(4));
    ints(&q, "8", DIMS(8));
    ints(&q, "axis", DIMS(2));
    plain(&q, "Add", "x,c", "sum");
    plain(&q, "Slice", "sum,0,4,axis", "left");
    plain(&q, "Slice", "sum,4,8,axis", "right");
    plain(&q, "Gelu", "right", "gelu");
    plain(&q, "Mul", "left,gelu", "b");
    check(&q);
}

/* ---- biases by position ---------------------------------------------------------------------- */

/* The bucket of a distance as T5 has it. */
static int bucket(int query, int key, int buckets, int furthest, bool both)
{
    int distance = key - query, first = 0;
    if (both) {
        buckets /= 2;
        first = distance > 0 ? buckets : 0;
        distance = abs(distance);
    } else {
        distance = distance < 0 ? -distance : 0;
    }
    const int exact = buckets / 2;
    if (distance < exact) return first + distance;
    const int far = exact + (int)(log((double)distance / exact) / log((double)furthest / exact) *
                                  (buckets - exact));
    return first + (far < buckets - 1 ? far : buckets - 1);
}

static void positions_of_t5(void **state)
{
    enum { BUCKETS = 8, HEADS = 2, LENGTH = 14, FURTHEST = 11 };
    (void)state;
    for (int both = 0; both < 2; both++) {
        pair p = {0};
        const int64_t length = LENGTH;
        float expected[HEADS * LENGTH * LENGTH];
        input(&p, "table", DIMS(BUCKETS, HEADS));
        ow_initializer(&p.graph, "n", OW_I64, 0, NULL, &length, sizeof(length));
        ow_attr_int(&p.attrs, "max_distance", FURTHEST);
        ow_attr_int(&p.attrs, "is_bidirectional", both);
        fused(&p, "RelativePositionBias", "table,n,n", "a");
        for (int h = 0; h < HEADS; h++)
            for (int q = 0; q < LENGTH; q++)
                for (int k = 0; k < LENGTH; k++)
                    expected[(h * LENGTH + q) * LENGTH + k] =
                        p.data[0][h * BUCKETS + bucket(q, k, BUCKETS, FURTHEST, both)];
        ow_initializer(&p.graph, "e", OW_F32, 4, (int64_t[]){1, HEADS, LENGTH, LENGTH}, expected,
                       sizeof(expected));
        plain(&p, "Identity", "e", "b");
        check(&p);
    }
}

/* The definition: gates from sums of halves of a product. */
static void gated_positions(void **state)
{
    pair p = {0};
    (void)state;
    input(&p, "x", DIMS(2, 3, 8));
    input(&p, "c", DIMS(8));
    input(&p, "positions", DIMS(1, 2, 3, 3));
    input(&p, "w", DIMS(4, 6));
    input(&p, "d", DIMS(6));
    input(&p, "eco", DIMS(1, 2, 1, 1));
    ow_attr_int(&p.attrs, "num_heads", 2);
    fused(&p, "GatedRelativePositionBias", "x,c,positions,w,d,eco", "a");
    ints(&p, "heads", DIMS(2, 3, 2, 4));
    ints(&p, "halves", DIMS(2, 2, 3, 2, 3));
    ints(&p, "axis", DIMS(4));
    constant(&p, "one", 1);
    constant(&p, "two", 2);
    plain(&p, "Add", "x,c", "xc");
    plain(&p, "Reshape", "xc,heads", "q4");
    ow_attr_ints(&p.attrs, "perm", (int64_t[]){0, 2, 1, 3}, 4);
    plain(&p, "Transpose", "q4", "q");
    plain(&p, "MatMul", "q,w", "qw");
    plain(&p, "Add", "qw,d", "g6");
    plain(&p, "Reshape", "g6,halves", "g5");
    ow_attr_int(&p.attrs, "keepdims", 0);
    plain(&p, "ReduceSum", "g5,axis", "g");
    plain(&p, "Sigmoid", "g", "gates");
    ow_attr_int(&p.attrs, "axis", 3);
    ow_attr_int(&p.attrs, "num_outputs", 2);
    plain(&p, "Split", "gates", "u,r");
    plain(&p, "Mul", "r,eco", "re");
    plain(&p, "Sub", "re,one", "re1");
    plain(&p, "Mul", "u,re1", "ur");
    plain(&p, "Add", "ur,two", "gate");
    plain(&p, "Mul", "gate,positions", "b");
    check(&p);
}

/* ---- without padding ------------------------------------------------------------------------- */

/* Sequences of 2, 0 and 3 rows: packed, attended, unpacked; and with a mask of lengths. */
static void packed_attention(void **state)
{
    pair p = {0};
    const int32_t lengths[3] = {2, 0, 3};
    float keep[9] = {1, 1, 0, 0, 0, 0, 1, 1, 1};
    (void)state;
    input(&p, "x", DIMS(3, 3, 4));
    input(&p, "w", DIMS(4, 24));
    input(&p, "c", DIMS(24));
    input(&p, "scores", DIMS(3, 2, 3, 3));
    ow_initializer(&p.graph, "n", OW_I32, 1, (int64_t[]){3}, lengths, sizeof(lengths));
    ow_initializer(&p.graph, "keep", OW_F32, 3, (int64_t[]){3, 3, 1}, keep, sizeof(keep));
    fused(&p, "RemovePadding", "x,n", "rows,offsets,starts,longest");
    ow_attr_int(&p.attrs, "num_heads", 2);
    fused(&p, "PackedAttention", "rows,w,c,offsets,starts,scores", "y");
    fused(&p, "RestorePadding", "y,offsets", "a");
    ow_attr_int(&p.attrs, "num_heads", 2);
    fused(&p, "Attention", "x,w,c,n,,scores", "all");
    constant(&p, "zero", 0);
    plain(&p, "Greater", "keep,zero", "real");
    plain(&p, "Where", "real,all,zero", "b");
    check(&p);
}

/* One operand of queries, keys and values side by side, or three. */
static void packed_operands(void **state)
{
    pair p = {0};
    const int32_t offsets[6] = {0, 1, 3, 4, 5, 2}, starts[3] = {0, 2, 5};
    (void)state;
    input(&p, "qkv", DIMS(5, 2, 3, 4));
    input(&p, "c", DIMS(24));
    ow_initializer(&p.graph, "offsets", OW_I32, 2, (int64_t[]){2, 3}, offsets, sizeof(offsets));
    ow_initializer(&p.graph, "starts", OW_I32, 1, (int64_t[]){3}, starts, sizeof(starts));
    ow_attr_int(&p.attrs, "num_heads", 2);
    ow_attr_float(&p.attrs, "scale", 0.7f);
    fused(&p, "PackedMultiHeadAttention", "qkv,,,c,offsets,starts", "a");
    ow_attr_int(&p.attrs, "axis", 2);
    ow_attr_int(&p.attrs, "num_outputs", 3);
    plain(&p, "Split", "qkv", "q4,k4,v4");
    ints(&p, "flat", DIMS(5, 8));
    plain(&p, "Reshape", "q4,flat", "q");
    plain(&p, "Reshape", "k4,flat", "k");
    plain(&p, "Reshape", "v4,flat", "v");
    ow_attr_int(&p.attrs, "num_heads", 2);
    ow_attr_float(&p.attrs, "scale", 0.7f);
    fused(&p, "PackedMultiHeadAttention", "q,k,v,c,offsets,starts", "b");
    check(&p);
}

/* ---- nothing at all ---------------------------------------------------------------------------
 */

static void run_empty(pair *p)
{
    nnd_str model = {0};
    ow_value(&p->graph, OW_OUTPUT, "a", OW_F32, 0, NULL, NULL);
    ow_model(&model, &p->graph, 24);
    p->model = model;
    const nnd_status status = load_and_run(p);
    if (status != NND_OK) report_error("run");
    assert_int_equal(status, NND_OK);
    nnd_str_free(&p->model);
}

/* Inputs without elements. */
static void empty_batches(void **state)
{
    pair act = {0}, norm = {0}, soft = {0}, conv = {0}, pads = {0}, split = {0};
    (void)state;
    input(&act, "x", DIMS(0, 3, 4));
    input(&act, "y", DIMS(4, 4));
    ow_attr_text(&act.attrs, "activation", "Softmax");
    fused(&act, "FusedMatMulActivation", "x,y", "a");
    run_empty(&act);
    input(&norm, "x", DIMS(0, 2, 2, 4));
    input(&norm, "g", DIMS(4));
    ow_attr_int(&norm.attrs, "groups", 2);
    fused(&norm, "SkipGroupNorm", "x,g,g,x", "a,sum");
    run_empty(&norm);
    input(&soft, "x", DIMS(0, 4));
    input(&soft, "y", DIMS(4));
    fused(&soft, "BiasSoftmax", "x,y", "a");
    run_empty(&soft);
    input(&conv, "x", DIMS(0, 5, 5, 2));
    input(&conv, "w", DIMS(3, 2, 2, 2));
    fused(&conv, "NhwcConv", "x,w", "a");
    run_empty(&conv);
    input(&pads, "x", DIMS(0, 3, 4));
    ow_initializer(&pads.graph, "n", OW_I32, 1, (int64_t[]){0}, "", 0);
    fused(&pads, "RemovePadding", "x,n", "a,offsets,starts,longest");
    run_empty(&pads);
    input(&split, "x", DIMS(0, 3, 8));
    input(&split, "c", DIMS(8));
    fused(&split, "BiasSplitGelu", "x,c", "a");
    run_empty(&split);
}

/* ---- what is wrong is said ------------------------------------------------------------------- */

static void wrong_layers(void **state)
{
    pair norm = {0}, skip = {0}, soft = {0}, pool = {0}, act = {0}, count = {0}, channels = {0};
    (void)state;
    input(&norm, "x", DIMS(1, 2, 2, 8));
    input(&norm, "g", DIMS(8));
    ow_attr_int(&norm.attrs, "groups", 3);
    fused(&norm, "GroupNorm", "x,g,g", "a");
    refuse(&norm, "3 groups do not divide the channels");
    input(&skip, "x", DIMS(1, 2, 2, 8));
    input(&skip, "g", DIMS(8));
    input(&skip, "s", DIMS(3, 8));
    ow_attr_int(&skip.attrs, "groups", 4);
    fused(&skip, "SkipGroupNorm", "x,g,g,s", "a");
    refuse(&skip, "skip does not broadcast");
    input(&soft, "x", DIMS(4, 6));
    input(&soft, "y", DIMS(3, 6));
    ow_attr_int(&soft.attrs, "axis", 1);
    fused(&soft, "BiasSoftmax", "x,y", "a");
    refuse(&soft, "18 values do not fit 4 rows of 6 scores");
    input(&pool, "x", DIMS(1, 4, 4, 2));
    fused(&pool, "NhwcMaxPool", "x", "a");
    refuse(&pool, "kernel_shape");
    input(&act, "x", DIMS(4, 4));
    ow_attr_text(&act.attrs, "activation", "Cast");
    fused(&act, "FusedMatMulActivation", "x,x", "a");
    refuse(&act, "its inputs or attributes are not supported");
    input(&count, "x", DIMS(4, 4));
    fused(&count, "BiasAdd", "x,x", "a");
    refuse(&count, "its inputs or attributes are not supported");
    input(&channels, "x", DIMS(1, 5, 5, 3));
    input(&channels, "w", DIMS(4, 3, 3, 2));
    fused(&channels, "NhwcConv", "x,w", "a");
    refuse(&channels, "channels");
}

static void wrong_sequences(void **state)
{
    const int32_t three[3] = {2, 4, 0}, offsets[4] = {0, 9, 1, 2}, starts[3] = {0, 3, 1};
    pair remove = {0}, restore = {0}, attend = {0}, position = {0};
    (void)state;
    input(&remove, "x", DIMS(3, 3, 4));
    ow_initializer(&remove.graph, "n", OW_I32, 1, (int64_t[]){3}, three, sizeof(three));
    fused(&remove, "RemovePadding", "x,n", "a,b,c,d");
    refuse(&remove, "sequence 1 has 4 rows, there are 3");
    input(&restore, "x", DIMS(3, 4));
    ow_initializer(&restore.graph, "i", OW_I32, 2, (int64_t[]){2, 2}, offsets, sizeof(offsets));
    fused(&restore, "RestorePadding", "x,i", "a");
    refuse(&restore, "offset 9 is outside of the batch");
    input(&attend, "x", DIMS(3, 4));
    ow_initializer(&attend.graph, "i", OW_I32, 2, (int64_t[]){2, 2}, offsets, sizeof(offsets));
    ow_initializer(&attend.graph, "s", OW_I32, 1, (int64_t[]){3}, starts, sizeof(starts));
    ow_attr_int(&attend.attrs, "num_heads", 2);
    fused(&attend, "PackedMultiHeadAttention", "x,x,x,,i,s", "a");
    refuse(&attend, "sequence 0 has rows 0 to 3");
    input(&position, "x", DIMS(8, 2));
    ints(&position, "n", DIMS(3));
    ints(&position, "m", DIMS(4));
    ow_attr_int(&position.attrs, "max_distance", 16);
    fused(&position, "RelativePositionBias", "x,n,m", "a");
    refuse(&position, "3 queries and 4 keys");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantisers),
        cmocka_unit_test(quantised_layers_are_seen),
        cmocka_unit_test(pools_of_bytes),
        cmocka_unit_test(convolution_of_bytes),
        cmocka_unit_test(convolutions),
        cmocka_unit_test(products_of_turned_batches),
        cmocka_unit_test(product_of_words),
        cmocka_unit_test(products_and_what_follows),
        cmocka_unit_test(softmax_with_bias),
        cmocka_unit_test(mean_of_bytes),
        cmocka_unit_test(embeddings_of_bytes),
        cmocka_unit_test(group_norms),
        cmocka_unit_test(group_norms_are_replaced),
        cmocka_unit_test(biases),
        cmocka_unit_test(positions_of_t5),
        cmocka_unit_test(gated_positions),
        cmocka_unit_test(packed_attention),
        cmocka_unit_test(packed_operands),
        cmocka_unit_test(empty_batches),
        cmocka_unit_test(wrong_layers),
        cmocka_unit_test(wrong_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
