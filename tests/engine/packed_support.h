/* Models of which every operator packs its weights another way, and cache folders for them. */
#ifndef NND_TESTS_PACKED_SUPPORT_H
#define NND_TESTS_PACKED_SUPPORT_H

#include "engine/runtime/model.h"
#include "engine_support.h"
#include "onnx_writer.h"

#define PK_DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* Elements that depend on the seed only, in [-1, 1]. */
static inline void pk_fill(float *to, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static inline void pk_floats(nnd_str *graph, const char *name, int rank, const int64_t *dims,
                             uint32_t seed)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    float *data = nnd_alloc(count * sizeof(*data));
    if (!data) fail();
    pk_fill(data, count, seed);
    ow_initializer(graph, name, OW_F32, rank, dims, data, count * sizeof(*data));
    nnd_free(data);
}

static inline void pk_bytes(nnd_str *graph, const char *name, int rank, const int64_t *dims,
                            uint32_t seed)
{
    uint8_t data[4096];
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    assert_true(count <= sizeof(data));
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
    ow_initializer(graph, name, OW_U8, rank, dims, data, count);
}

static const char *const pk_names[8];

static inline void pk_conv(nnd_str *graph, const char *inputs, const char *output, int64_t group,
                           int64_t pad)
{
    nnd_str attrs = {0};
    ow_attr_int(&attrs, "group", group);
    ow_attr_ints(&attrs, "pads", PK_DIMS(pad, pad, pad, pad), 4);
    ow_node(graph, "Conv", inputs, output, &attrs);
}

/* Pictures [1,3,32,32]: a direct convolution, one for Winograd, a transposed and a depthwise one,
   batch normalisations that fold into them, and a fully connected layer. */
static inline void pk_pictures(nnd_str *model, uint32_t seed)
{
    nnd_str g = {0}, attrs = {0}, twice = {0};
    float one[64];
    ow_value(&g, OW_INPUT, "x", OW_F32, 4, PK_DIMS(1, 3, 32, 32), pk_names);
    pk_floats(&g, "w1", 4, PK_DIMS(64, 3, 5, 5), seed);
    pk_floats(&g, "w2", 4, PK_DIMS(64, 64, 3, 3), seed + 1);
    pk_floats(&g, "w3", 4, PK_DIMS(64, 1, 3, 3), seed + 2);
    pk_floats(&g, "w4", 2, PK_DIMS(64, 10), seed + 3);
    pk_floats(&g, "b", 1, PK_DIMS(64), seed + 4);
    pk_floats(&g, "w5", 4, PK_DIMS(64, 64, 2, 2), seed + 5);
    for (size_t i = 0; i < 64; i++)
        one[i] = 0.25f + (float)i / 128.0f;
    ow_initializer(&g, "one", OW_F32, 1, PK_DIMS(64), one, sizeof(one));
    pk_conv(&g, "x,w1,b", "c1", 1, 2);
    ow_node(&g, "BatchNormalization", "c1,one,b,b,one", "n1", NULL);
    ow_node(&g, "Relu", "n1", "r1", NULL);
    pk_conv(&g, "r1,w2,b", "c2", 1, 1);
    ow_node(&g, "Relu", "c2", "r2", NULL);
    ow_attr_ints(&twice, "strides", PK_DIMS(2, 2), 2);
    ow_node(&g, "ConvTranspose", "r2,w5,b", "t2", &twice);
    pk_conv(&g, "t2,w3", "c3", 64, 1);
    ow_node(&g, "BatchNormalization", "c3,one,b,b,one", "n3", NULL);
    ow_node(&g, "GlobalAveragePool", "n3", "p", NULL);
    ow_node(&g, "Flatten", "p", "f", NULL);
    ow_attr_float(&attrs, "alpha", 0.5f);
    ow_node(&g, "Gemm", "f,w4", "y", &attrs);
    ow_value(&g, OW_OUTPUT, "y", OW_F32, 2, PK_DIMS(1, 10), pk_names);
    ow_model(model, &g, 13);
}

/* Steps [6,1,24]: LSTM in both directions, GRU, a product. */
static inline void pk_steps(nnd_str *model, uint32_t seed)
{
    nnd_str g = {0}, attrs = {0};
    ow_value(&g, OW_INPUT, "x", OW_F32, 3, PK_DIMS(6, 1, 24), pk_names);
    pk_floats(&g, "w1", 3, PK_DIMS(2, 80, 24), seed);
    pk_floats(&g, "r1", 3, PK_DIMS(2, 80, 20), seed + 1);
    pk_floats(&g, "w2", 3, PK_DIMS(1, 48, 40), seed + 2);
    pk_floats(&g, "r2", 3, PK_DIMS(1, 48, 16), seed + 3);
    pk_floats(&g, "w3", 2, PK_DIMS(16, 33), seed + 4);
    ow_initializer(&g, "flat", OW_I64, 1, PK_DIMS(3), PK_DIMS(6, 1, 40), 3 * sizeof(int64_t));
    ow_attr_int(&attrs, "hidden_size", 20);
    ow_attr_text(&attrs, "direction", "bidirectional");
    ow_node(&g, "LSTM", "x,w1,r1", "l", &attrs);
    ow_node(&g, "Reshape", "l,flat", "s", NULL);
    ow_attr_int(&attrs, "hidden_size", 16);
    ow_node(&g, "GRU", "s,w2,r2", "h", &attrs);
    ow_node(&g, "MatMul", "h,w3", "y", NULL);
    ow_value(&g, OW_OUTPUT, "y", OW_F32, 4, PK_DIMS(6, 1, 1, 33), pk_names);
    ow_model(model, &g, 13);
}

/* Bytes: a convolution, a depthwise one, a product. */
static inline void pk_integers(nnd_str *model, uint32_t seed)
{
    static const float scale = 0.02f, wide = 0.5f;
    static const uint8_t zero = 128;
    nnd_str g = {0}, attrs = {0};
    ow_value(&g, OW_INPUT, "x", OW_U8, 4, PK_DIMS(1, 8, 6, 6), pk_names);
    pk_bytes(&g, "w1", 4, PK_DIMS(16, 8, 3, 3), seed);
    pk_bytes(&g, "w2", 4, PK_DIMS(16, 1, 3, 3), seed + 1);
    pk_bytes(&g, "w3", 2, PK_DIMS(64, 21), seed + 2);
    ow_initializer(&g, "s", OW_F32, 0, NULL, &scale, sizeof(scale));
    ow_initializer(&g, "t", OW_F32, 0, NULL, &wide, sizeof(wide));
    ow_initializer(&g, "z", OW_U8, 0, NULL, &zero, sizeof(zero));
    ow_node(&g, "QLinearConv", "x,s,z,w1,s,z,t,z", "c", NULL);
    ow_attr_int(&attrs, "group", 16);
    ow_node(&g, "QLinearConv", "c,t,z,w2,s,z,t,z", "d", &attrs);
    ow_node(&g, "Flatten", "d", "f", NULL);
    ow_node(&g, "QLinearMatMul", "f,t,z,w3,s,z,t,z", "y", NULL);
    ow_value(&g, OW_OUTPUT, "y", OW_U8, 2, PK_DIMS(1, 21), pk_names);
    ow_model(model, &g, 13);
}

typedef void (*pk_build)(nnd_str *model, uint32_t seed);

/* ---- running ------------------------------------------------------------------------------- */

static inline nnd_engine_model *pk_load(const nnd_str *bytes, const char *cache)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    options.cache = cache;
    assert_ok(nnd_engine_model_load_memory(bytes->data, bytes->size, &options, &m));
    return m;
}

/* The bytes of all outputs, one after the other, for inputs that depend on their position only. */
static inline nnd_status pk_run(nnd_engine_model *m, nnd_str *out)
{
    nnd_engine_request *r;
    nnd_tensor x, y;
    float data[3 * 32 * 32];
    const nnd_engine_port *p = nnd_engine_model_input(m, 0);
    int64_t dims[NND_MAX_RANK];
    pk_fill(data, NND_COUNT(data), 7);
    for (int i = 0; i < p->rank; i++)
        dims[i] = p->dims[i].value;
    NND_TRY(nnd_tensor_init(&x, p->dtype, p->rank, dims, data));
    NND_TRY(nnd_engine_request_create(m, &r));
    nnd_status status = nnd_engine_request_bind_input(r, 0, &x);
    if (status == NND_OK) status = nnd_engine_request_run(r, 1, NULL);
    if (status == NND_OK) status = nnd_engine_request_output(r, 0, &y);
    if (status == NND_OK) nnd_str_add_n(out, y.data, nnd_tensor_bytes(&y));
    nnd_engine_request_destroy(r);
    return status;
}

/* Loads, runs, and compares with what a model without a cache computes. */
static inline void pk_assert_results(nnd_engine_model *m, const nnd_str *expected)
{
    nnd_str got = {0};
    assert_ok(pk_run(m, &got));
    assert_int_equal(got.size, expected->size);
    assert_memory_equal(got.data, expected->data, expected->size);
    nnd_str_free(&got);
}

static inline void pk_expected(const nnd_str *bytes, nnd_str *out)
{
    nnd_engine_model *m = pk_load(bytes, NULL);
    assert_ok(pk_run(m, out));
    nnd_engine_model_unref(m);
}

static inline nnd_engine_model_info pk_info(const nnd_engine_model *m)
{
    nnd_engine_model_info info;
    nnd_engine_model_get_info(m, &info);
    return info;
}

/* ---- folders ------------------------------------------------------------------------------- */

static char *pk_folder; /* a fresh one per test */

static int pk_set_up(void **state)
{
    (void)state;
    return nnd_port_dir_create_temp("nnd-packed", &pk_folder);
}

static int pk_tear_down(void **state)
{
    (void)state;
    int rc = nnd_port_dir_remove_tree(pk_folder);
    nnd_port_free(pk_folder);
    return rc;
}

/* Entries of the folder, of whatever kind. */
static inline size_t pk_count_files(void)
{
    nnd_port_dir_list list;
    assert_int_equal(nnd_port_dir_read(pk_folder, &list), 0);
    size_t count = list.count;
    nnd_port_dir_list_free(&list);
    return count;
}

/* The path of the only file; nnd_free it. */
static inline char *pk_only_file(void)
{
    nnd_port_dir_list list;
    assert_int_equal(nnd_port_dir_read(pk_folder, &list), 0);
    assert_int_equal(list.count, 1);
    char *path = nnd_strf("%s/%s", pk_folder, list.names[0]);
    assert_non_null(path);
    nnd_port_dir_list_free(&list);
    return path;
}

#endif
