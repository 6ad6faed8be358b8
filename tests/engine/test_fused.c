/* Fused operators of ONNX Runtime's exports against the plain operators that they stand for: both
   are in one model, "a" is the fused result and "b" the other. */
#include "pair_support.h"

static void products(void **state)
{
    pair p = {0};
    (void)state;
    input(&p, "x", DIMS(2, 3, 5));
    input(&p, "y", DIMS(2, 7, 5));
    constant(&p, "half", 0.5f);
    ow_attr_int(&p.attrs, "transB", 1);
    ow_attr_float(&p.attrs, "alpha", 0.5f);
    fused(&p, "FusedMatMul", "x,y", "a");
    ow_attr_ints(&p.attrs, "perm", (int64_t[]){0, 2, 1}, 3);
    plain(&p, "Transpose", "y", "t");
    plain(&p, "MatMul", "x,t", "xt");
    plain(&p, "Mul", "xt,half", "b");
    compare(&p);
}

static void gemm_with_activation(void **state)
{
    pair p = {0};
    (void)state;
    input(&p, "x", DIMS(3, 5));
    input(&p, "y", DIMS(5, 4));
    input(&p, "c", DIMS(4));
    ow_attr_text(&p.attrs, "activation", "LeakyRelu");
    ow_attr_float(&p.attrs, "activation_alpha", 0.25f);
    fused(&p, "FusedGemm", "x,y,c", "a");
    plain(&p, "Gemm", "x,y,c", "g");
    ow_attr_float(&p.attrs, "alpha", 0.25f);
    plain(&p, "LeakyRelu", "g", "b");
    compare(&p);
}

static void convolution_with_residual(void **state)
{
    pair p = {0};
    (void)state;
    input(&p, "x", DIMS(1, 3, 5, 5));
    input(&p, "w", DIMS(4, 3, 3, 3));
    input(&p, "bias", DIMS(4));
    input(&p, "z", DIMS(1, 4, 3, 3));
    ow_attr_text(&p.attrs, "activation", "Relu");
    fused(&p, "FusedConv", "x,w,bias,z", "a");
    plain(&p, "Conv", "x,w,bias", "c");
    plain(&p, "Add", "c,z", "s");
    plain(&p, "Relu", "s", "b");
    compare(&p);
}

static void gelus(void **state)
{
    static const struct {
        const char *type, *approximate;
    } all[] = {{"BiasGelu", "none"}, {"FastGelu", "tanh"}};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(all); i++) {
        pair p = {0};
        input(&p, "x", DIMS(3, 7));
        input(&p, "y", DIMS(7));
        fused(&p, all[i].type, "x,y", "a");
        plain(&p, "Add", "x,y", "s");
        ow_attr_text(&p.attrs, "approximate", all[i].approximate);
        plain(&p, "Gelu", "s", "b");
        compare(&p);
    }
    pair p = {0};
    input(&p, "x", DIMS(3, 7));
    constant(&p, "k", 1.702f);
    fused(&p, "QuickGelu", "x", "a");
    plain(&p, "Mul", "x,k", "kx");
    plain(&p, "Sigmoid", "kx", "s");
    plain(&p, "Mul", "x,s", "b");
    compare(&p);
}

static void normalisations(void **state)
{
    (void)state;
    for (int simplified = 0; simplified < 2; simplified++) {
        pair p = {0};
        input(&p, "x", DIMS(2, 3, 8));
        input(&p, "skip", DIMS(1, 3, 8));
        input(&p, "gamma", DIMS(8));
        input(&p, "beta", DIMS(8));
        input(&p, "bias", DIMS(8));
        ow_attr_float(&p.attrs, "epsilon", 1e-3f);
        if (simplified)
            fused(&p, "SkipSimplifiedLayerNormalization", "x,skip,gamma,bias", "n,,,sum");
        else
            fused(&p, "SkipLayerNormalization", "x,skip,gamma,beta,bias", "n,,,sum");
        plain(&p, "Add", "n,sum", "a");
        plain(&p, "Add", "x,skip", "s");
        plain(&p, "Add", "s,bias", "t");
        ow_attr_float(&p.attrs, "epsilon", 1e-3f);
        plain(&p, simplified ? "SimplifiedLayerNormalization" : "LayerNormalization",
              simplified ? "t,gamma" : "t,gamma,beta", "m");
        plain(&p, "Add", "m,t", "b");
        compare(&p);
    }
}

static void embeddings(void **state)
{
    pair p = {0};
    const int32_t ids[6] = {4, 0, 2, 1, 1, 3}, kinds[6] = {0, 0, 1, 1, 0, 1};
    const int64_t places[3] = {0, 1, 2};
    (void)state;
    ow_initializer(&p.graph, "ids", 6, 2, (int64_t[]){2, 3}, ids, sizeof(ids));
    ow_initializer(&p.graph, "kinds", 6, 2, (int64_t[]){2, 3}, kinds, sizeof(kinds));
    ow_initializer(&p.graph, "places", OW_I64, 1, (int64_t[]){3}, places, sizeof(places));
    input(&p, "words", DIMS(5, 8));
    input(&p, "place", DIMS(4, 8));
    input(&p, "kind", DIMS(2, 8));
    input(&p, "gamma", DIMS(8));
    input(&p, "beta", DIMS(8));
    ow_attr_float(&p.attrs, "epsilon", 1e-3f);
    fused(&p, "EmbedLayerNormalization", "ids,kinds,words,place,kind,gamma,beta", "a,mask");
    plain(&p, "Gather", "words,ids", "w");
    plain(&p, "Gather", "place,places", "q");
    plain(&p, "Gather", "kind,kinds", "k");
    plain(&p, "Add", "w,q", "wq");
    plain(&p, "Add", "wq,k", "wqk");
    ow_attr_float(&p.attrs, "epsilon", 1e-3f);
    plain(&p, "LayerNormalization", "wqk,gamma,beta", "b");
    compare(&p);
}

static void many_heads(void **state)
{
    pair p = {0};
    (void)state;
    input(&p, "q", DIMS(2, 3, 8));
    input(&p, "k", DIMS(2, 5, 8));
    input(&p, "v", DIMS(2, 5, 6));
    input(&p, "old_k", DIMS(2, 2, 4, 4));
    input(&p, "old_v", DIMS(2, 2, 4, 3));
    input(&p, "bias", DIMS(1, 2, 3, 9));
    ow_attr_int(&p.attrs, "num_heads", 2);
    fused(&p, "MultiHeadAttention", "q,k,v,,,bias,old_k,old_v", "y,kk,vv");
    plain(&p, "ReduceMean", "vv", "mean");
    plain(&p, "Add", "y,mean", "a");
    ow_attr_int(&p.attrs, "q_num_heads", 2);
    ow_attr_int(&p.attrs, "kv_num_heads", 2);
    plain(&p, "Attention", "q,k,v,bias,old_k,old_v", "y2,kk2,vv2");
    plain(&p, "ReduceMean", "vv2", "mean2");
    plain(&p, "Add", "y2,mean2", "b");
    compare(&p);
}

static void projection_and_attention(void **state)
{
    pair p = {0};
    const int32_t lengths[2] = {2, 4};
    const int64_t longs[2] = {2, 4};
    (void)state;
    input(&p, "x", DIMS(2, 4, 6));
    input(&p, "w", DIMS(6, 24));
    input(&p, "c", DIMS(24));
    ow_initializer(&p.graph, "lengths", 6, 1, (int64_t[]){2}, lengths, sizeof(lengths));
    ow_initializer(&p.graph, "longs", OW_I64, 1, (int64_t[]){2}, longs, sizeof(longs));
    ow_attr_int(&p.attrs, "num_heads", 2);
    fused(&p, "Attention", "x,w,c,lengths", "a");
    plain(&p, "MatMul", "x,w", "xw");
    plain(&p, "Add", "xw,c", "qkv");
    ow_attr_int(&p.attrs, "axis", 2);
    ow_attr_int(&p.attrs, "num_outputs", 3);
    plain(&p, "Split", "qkv", "q,k,v");
    ow_attr_int(&p.attrs, "q_num_heads", 2);
    ow_attr_int(&p.attrs, "kv_num_heads", 2);
    plain(&p, "Attention", "q,k,v,,,,longs", "b");
    compare(&p);
}

/* A prompt of four rows: grouped heads with rotation against the two steps. */
static void grouped_heads(void **state)
{
    pair p = {0};
    const int32_t lengths[1] = {3}, total = 4;
    const int64_t places[4] = {0, 1, 2, 3};
    (void)state;
    input(&p, "q", DIMS(1, 4, 16));
    input(&p, "k", DIMS(1, 4, 8));
    input(&p, "v", DIMS(1, 4, 8));
    input(&p, "cos", DIMS(6, 2));
    input(&p, "sin", DIMS(6, 2));
    ow_initializer(&p.graph, "lengths", 6, 1, (int64_t[]){1}, lengths, sizeof(lengths));
    ow_initializer(&p.graph, "total", 6, 0, NULL, &total, sizeof(total));
    ow_initializer(&p.graph, "places", OW_I64, 2, (int64_t[]){1, 4}, places, sizeof(places));
    ow_attr_int(&p.attrs, "num_heads", 4);
    ow_attr_int(&p.attrs, "kv_num_heads", 2);
    ow_attr_int(&p.attrs, "do_rotary", 1);
    fused(&p, "GroupQueryAttention", "q,k,v,,,lengths,total,cos,sin", "a,kk,vv");
    ow_attr_int(&p.attrs, "num_heads", 4);
    plain(&p, "RotaryEmbedding", "q,cos,sin,places", "q2");
    ow_attr_int(&p.attrs, "num_heads", 2);
    plain(&p, "RotaryEmbedding", "k,cos,sin,places", "k2");
    ow_attr_int(&p.attrs, "q_num_heads", 4);
    ow_attr_int(&p.attrs, "kv_num_heads", 2);
    ow_attr_int(&p.attrs, "is_causal", 1);
    plain(&p, "Attention", "q2,k2,v", "b");
    compare(&p);
}

static void quantised_on_the_way(void **state)
{
    pair p = {0};
    int8_t w[15];
    (void)state;
    for (int i = 0; i < 15; i++)
        w[i] = (int8_t)(i * 17 - 100);
    input(&p, "x", DIMS(4, 5));
    input(&p, "bias", DIMS(3));
    constant(&p, "scale", 0.01f);
    ow_initializer(&p.graph, "w", 3, 2, (int64_t[]){5, 3}, w, sizeof(w));
    fused(&p, "DynamicQuantizeMatMul", "x,w,scale,,bias", "a");
    plain(&p, "DynamicQuantizeLinear", "x", "q,qs,qz");
    plain(&p, "MatMulInteger", "q,w,qz", "sum");
    ow_attr_int(&p.attrs, "to", OW_F32);
    plain(&p, "Cast", "sum", "real");
    plain(&p, "Mul", "qs,scale", "both");
    plain(&p, "Mul", "real,both", "product");
    plain(&p, "Add", "product,bias", "b");
    compare(&p);
}

/* Quantised element-wise work against dequantise, compute, quantise. */
static void quantised_elements(void **state)
{
    static const struct {
        const char *fused, *plain;
        bool two;
    } all[] = {{"QLinearAdd", "Add", true},
               {"QLinearMul", "Mul", true},
               {"QLinearSigmoid", "Sigmoid", false},
               {"QLinearLeakyRelu", "LeakyRelu", false}};
    const uint8_t zero = 121;
    (void)state;
    for (size_t i = 0; i < NND_COUNT(all); i++) {
        pair p = {0};
        input(&p, "x", DIMS(3, 4, 5));
        input(&p, "y", DIMS(4, 1));
        constant(&p, "s", 0.011f);
        constant(&p, "t", 0.017f);
        ow_initializer(&p.graph, "z", OW_U8, 0, NULL, &zero, 1);
        plain(&p, "QuantizeLinear", "x,s,z", "xq");
        plain(&p, "QuantizeLinear", "y,s,z", "yq");
        fused(&p, all[i].fused, all[i].two ? "xq,s,z,yq,s,z,t,z" : "xq,s,z,t,z", "aq");
        plain(&p, "DequantizeLinear", "aq,t,z", "a");
        plain(&p, "DequantizeLinear", "xq,s,z", "xr");
        plain(&p, "DequantizeLinear", "yq,s,z", "yr");
        plain(&p, all[i].plain, all[i].two ? "xr,yr" : "xr", "r");
        plain(&p, "QuantizeLinear", "r,t,z", "bq");
        plain(&p, "DequantizeLinear", "bq,t,z", "b");
        compare(&p);
    }
}

/* Codes of another scale, and codes that are those of the result already. */
static void quantised_concatenation(void **state)
{
    const int8_t zero = -17;
    pair p = {0};
    (void)state;
    input(&p, "x", DIMS(3, 4, 5));
    input(&p, "y", DIMS(3, 2, 5));
    constant(&p, "s", 0.011f);
    constant(&p, "t", 0.007f);
    ow_initializer(&p.graph, "z", OW_I8, 0, NULL, &zero, 1);
    plain(&p, "QuantizeLinear", "x,s,z", "xq");
    plain(&p, "QuantizeLinear", "y,t,z", "yq");
    ow_attr_int(&p.attrs, "axis", 1);
    fused(&p, "QLinearConcat", "t,z,xq,s,z,yq,t,z,xq,s,z", "aq");
    plain(&p, "DequantizeLinear", "aq,t,z", "a");
    plain(&p, "DequantizeLinear", "xq,s,z", "xr");
    plain(&p, "DequantizeLinear", "yq,t,z", "yr");
    ow_attr_int(&p.attrs, "axis", 1);
    plain(&p, "Concat", "xr,yr,xr", "r");
    plain(&p, "QuantizeLinear", "r,t,z", "bq");
    plain(&p, "DequantizeLinear", "bq,t,z", "b");
    compare(&p);
}

/* What does not fit is refused with the node's name. */
static void wrong_shapes_are_refused(void **state)
{
    pair p = {0};
    nnd_engine_model *m;
    (void)state;
    input(&p, "q", DIMS(1, 3, 8));
    input(&p, "k", DIMS(1, 5, 6));
    ow_attr_int(&p.attrs, "num_heads", 2);
    fused(&p, "MultiHeadAttention", "q,k,k", "a");
    ow_value(&p.graph, OW_OUTPUT, "a", OW_F32, 0, NULL, NULL);
    ow_model(&p.model, &p.graph, 24);
    nnd_status status = nnd_engine_model_load_memory(p.model.data, p.model.size, NULL, &m);
    if (status == NND_OK) {
        nnd_engine_request *r;
        assert_ok(nnd_engine_request_create(m, &r));
        for (size_t i = 0; i < p.inputs; i++)
            assert_ok(nnd_engine_request_bind_input(r, i, &p.t[i]));
        status = nnd_engine_request_run(r, 1, NULL);
        nnd_engine_request_destroy(r);
        nnd_engine_model_unref(m);
    }
    assert_int_equal(status, NND_E_SHAPE);
    nnd_error *e = nnd_error_take();
    char *text = nnd_error_to_string(e);
    assert_non_null(strstr(text, "do not fit 2 heads"));
    nnd_free(text);
    nnd_error_destroy(e);
    nnd_str_free(&p.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(gemm_with_activation),
        cmocka_unit_test(convolution_with_residual),
        cmocka_unit_test(gelus),
        cmocka_unit_test(normalisations),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(many_heads),
        cmocka_unit_test(projection_and_attention),
        cmocka_unit_test(grouped_heads),
        cmocka_unit_test(quantised_on_the_way),
        cmocka_unit_test(quantised_elements),
        cmocka_unit_test(quantised_concatenation),
        cmocka_unit_test(wrong_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
