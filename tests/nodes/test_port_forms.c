/*
 * Variants of one model whose files want other names, another order of the dimensions, other
 * element types or another range: the same workflow gives the same results with each of them.
 */
#include "base/hash.h"
#include "nndeploy/ir.h"
#include "nodes/infer/port_form.h"
#include "nodes_support.h"
#include "support/oom.h"

static char folder[512];

enum { CHANNELS = 3, HEIGHT = 4, WIDTH = 5, ELEMENTS = CHANNELS * HEIGHT * WIDTH };
static const int64_t nchw[4] = {1, CHANNELS, HEIGHT, WIDTH};
static const int64_t nhwc[4] = {1, HEIGHT, WIDTH, CHANNELS};

/* ---- models and their catalogue ------------------------------------------------------------ */

typedef struct step {
    const char *op, *from, *to;
    nnd_ir_attribute attribute;
} step;

/* A chain of nodes from x to y, saved below the folder. */
static void save_model(const char *file, nnd_dtype dtype, const int64_t dims[4], const step *steps)
{
    nnd_ir *ir = NULL;
    nnd_ir_type type = {.dtype = dtype, .rank = 4};
    for (int i = 0; i < 4; i++)
        type.dims[i].value = dims[i];
    assert_ok(nnd_ir_create("net", 17, &ir));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_ir_add_input(g, "x", &type));
    for (; steps->op; steps++) {
        const nnd_ir_node node = {.op = steps->op,
                                  .inputs = &steps->from,
                                  .input_count = 1,
                                  .outputs = &steps->to,
                                  .output_count = 1,
                                  .attributes = &steps->attribute,
                                  .attribute_count = steps->attribute.name ? 1 : 0};
        assert_ok(nnd_ir_add_node(g, &node));
    }
    assert_ok(nnd_ir_add_output(g, "y", NULL));
    assert_ok(nnd_ir_save(ir, path_in(folder, file)));
    nnd_ir_destroy(ir);
}

static const int64_t to_nchw[] = {0, 3, 1, 2}, to_nhwc[] = {0, 2, 3, 1};
static const step soft_nchw[] = {{"Softmax", "x", "y", NND_IR_INT("axis", 1)}, {NULL, "", "", {0}}};
static const step soft_nhwc[] = {{"Transpose", "x", "a", NND_IR_INTS("perm", to_nchw)},
                                 {"Softmax", "a", "b", NND_IR_INT("axis", 1)},
                                 {"Transpose", "b", "y", NND_IR_INTS("perm", to_nhwc)},
                                 {NULL, "", "", {0}}};
static const step same[] = {{"Identity", "x", "y", {0}}, {NULL, "", "", {0}}};
static const step to_f32[] = {{"Cast", "x", "y", NND_IR_INT("to", 1)}, {NULL, "", "", {0}}};

static void add_variant(char *json, size_t size, const char *word, const char *file, const char *io)
{
    char text[NND_SHA256_TEXT];
    uint8_t digest[NND_SHA256_SIZE];
    struct stat info;
    const size_t n = strlen(json);
    assert_ok(nnd_sha256_file(path_in(folder, file), digest));
    nnd_sha256_text(digest, text);
    assert_int_equal(stat(path_in(folder, file), &info), 0);
    snprintf(json + n, size - n,
             "%s{\"precision\":\"%s\",\"files\":[{\"role\":\"model\",\"name\":\"%s\","
             "\"sha256\":\"%s\",\"size\":%lld,\"urls\":[]}],\"io\":{%s}}",
             json[n - 1] == '}' ? "," : "", word, strrchr(file, '/') + 1, text,
             (long long)info.st_size, io);
}

/* What the files of bytes hold: red twice as far and ten up, and so on. */
#define BYTES "\"layout\":\"NHWC\",\"dtype\":\"u8\",\"scale\":[2,4,1],\"offset\":[10,0,20]"

static int begin(void **state)
{
    (void)state;
    char json[8192] = "{\"format\":\"nndeploy-catalog/1\",\"models\":{\"net\":{\"task\":\"t\","
                      "\"licence\":\"MIT\",\"variants\":[";
    make_folder(folder, sizeof folder);
    assert_int_equal(mkdir(path_in(folder, "net"), 0700), 0);
    save_model("net/soft.nnd.json", NND_F32, nchw, soft_nchw);
    save_model("net/soft-nhwc.nnd.json", NND_F32, nhwc, soft_nhwc);
    save_model("net/same.nnd.json", NND_F32, nchw, same);
    save_model("net/bytes.nnd.json", NND_U8, nhwc, same);
    save_model("net/raw.nnd.json", NND_U8, nhwc, to_f32);
    save_model("net/flags.nnd.json", NND_BOOL, nchw, same);
    add_variant(json, sizeof json, "soft", "net/soft.nnd.json",
                "\"image\":{\"name\":\"x\",\"layout\":\"NCHW\",\"dtype\":\"f32\"},"
                "\"scores\":{\"name\":\"y\"}");
    add_variant(json, sizeof json, "soft-nhwc", "net/soft-nhwc.nnd.json",
                "\"image\":{\"name\":\"x\",\"layout\":\"NHWC\",\"dtype\":\"f32\"},"
                "\"scores\":{\"name\":\"y\",\"layout\":\"NHWC\"}");
    add_variant(json, sizeof json, "same", "net/same.nnd.json",
                "\"image\":{\"name\":\"x\"},\"scores\":{\"name\":\"y\"}");
    add_variant(json, sizeof json, "bytes", "net/bytes.nnd.json",
                "\"image\":{\"name\":\"x\"," BYTES "},\"scores\":{\"name\":\"y\"," BYTES "}");
    add_variant(json, sizeof json, "raw", "net/raw.nnd.json",
                "\"image\":{\"name\":\"x\"," BYTES "},\"scores\":{\"name\":\"y\"}");
    add_variant(json, sizeof json, "flags", "net/flags.nnd.json",
                "\"image\":{\"name\":\"x\",\"scale\":255},\"scores\":{\"name\":\"y\"}");
    strcat(json, "]}}}");
    put_text(path_in(folder, "catalog.json"), json);
    setenv("NNDEPLOY_CATALOG", path_in(folder, "catalog.json"), 1);
    setenv("NNDEPLOY_MIRRORS", folder, 1);
    setenv("NNDEPLOY_MODELS", path_in(folder, "none"), 1);
    return setenv("XDG_CACHE_HOME", path_in(folder, "cache"), 1);
}

static int finish(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

/* ---- the same workflow --------------------------------------------------------------------- */

static void begin_workflow(bench *b, const char *variant)
{
    char params[64];
    snprintf(params, sizeof params, "model='net@%s';backend='builtin'", variant);
    bench_begin(b, NULL);
    assert_ok(nnd_workflow_add_input(b->wf, "x", "tensor"));
    bench_node(b, "net", "infer.model", params);
    bench_link(b, "@", "x", "net", "image");
    assert_ok(nnd_workflow_add_output(b->wf, "y", "net", "scores"));
}

/* The result for `data` in the order N, C, H, W. */
static nnd_status run_variant(const char *variant, const float data[ELEMENTS], float *out,
                              const int64_t dims[4])
{
    bench b;
    nnd_value *in = record_of("x", f32_value(4, nchw, data), NULL, NULL), *outputs = NULL;
    begin_workflow(&b, variant);
    nnd_status status = bench_run(&b, in, &outputs);
    if (status == NND_OK) {
        const nnd_tensor *t = nnd_value_tensor(nnd_value_record_get(outputs, "y"));
        assert_int_equal(t->dtype, NND_F32);
        assert_int_equal(t->rank, 4);
        assert_memory_equal(t->dims, dims, 4 * sizeof(int64_t));
        assert_true(nnd_tensor_is_dense(t));
        memcpy(out, t->data, ELEMENTS * sizeof(float));
    }
    nnd_value_unref(outputs);
    nnd_value_unref(in);
    bench_end(&b);
    return status;
}

static void numbers(float data[ELEMENTS])
{
    for (int i = 0; i < ELEMENTS; i++)
        data[i] = (float)(i * 29 % 60);
}

static void order_of_dimensions(void **state)
{
    (void)state;
    float data[ELEMENTS], want[ELEMENTS], got[ELEMENTS];
    numbers(data);
    assert_ok(run_variant("soft", data, want, nchw));
    assert_ok(run_variant("soft-nhwc", data, got, nchw));
    assert_memory_equal(got, want, sizeof got);
    assert_true(want[0] != want[ELEMENTS - 1]);
}

static void types_and_ranges(void **state)
{
    (void)state;
    static const float scale[] = {2, 4, 1}, offset[] = {10, 0, 20};
    float data[ELEMENTS], got[ELEMENTS];
    numbers(data);
    assert_ok(run_variant("same", data, got, nchw));
    assert_memory_equal(got, data, sizeof got);
    assert_ok(run_variant("bytes", data, got, nchw));
    assert_memory_equal(got, data, sizeof got);
    data[0] = -100; /* beyond what bytes hold */
    data[1] = 1000;
    data[2] = 0.26f; /* rounded: 10.52 */
    assert_ok(run_variant("raw", data, got, nhwc));
    for (int i = 3; i < ELEMENTS; i++) {
        const int c = i / (HEIGHT * WIDTH), place = i % (HEIGHT * WIDTH);
        assert_float_equal(got[place * CHANNELS + c], data[i] * scale[c] + offset[c], 0);
    }
    assert_float_equal(got[0], 0, 0);
    assert_float_equal(got[CHANNELS], 255, 0);
    assert_float_equal(got[2 * CHANNELS], 11, 0);
    assert_ok(run_variant("bytes", data, got, nchw));
    assert_float_equal(got[0], -5, 0);
    assert_float_equal(got[1], 122.5, 0);
    assert_float_equal(got[2], 0.5, 0);
}

static void what_does_not_fit(void **state)
{
    (void)state;
    static const int64_t wrong[4] = {1, HEIGHT, WIDTH, CHANNELS};
    bench b;
    float data[ELEMENTS] = {0};
    nnd_value *outputs = NULL, *bytes = NULL;
    begin_workflow(&b, "flags");
    bench_refuses(&b, NND_E_VALIDATION, (const char *const[]){"'x'", "bool", NULL});
    bench_end(&b);
    /* As the file has it, and not as workflows do. */
    nnd_value *in = record_of("x", f32_value(4, wrong, data), NULL, NULL);
    begin_workflow(&b, "soft-nhwc");
    assert_fails(bench_run(&b, in, &outputs), NND_E_SHAPE, "net");
    bench_end(&b);
    nnd_value_unref(in);
    assert_ok(nnd_value_new_tensor(NND_U8, 4, nchw, &bytes));
    in = record_of("x", bytes, NULL, NULL);
    begin_workflow(&b, "bytes");
    assert_fails(bench_run(&b, in, &outputs), NND_E_TYPE, "'image' takes f32", "its u8",
                 "u8[1,3,4,5]");
    bench_end(&b);
    nnd_value_unref(in);
}

/* ---- forms --------------------------------------------------------------------------------- */

static nnd_model_port port_of(nnd_dtype dtype, int rank)
{
    nnd_model_port port = {.size = sizeof port, .name = "x", .dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        port.dims[i].value = 2 + i;
    return port;
}

static void nothing_to_do_copies_nothing(void **state)
{
    (void)state;
    const nnd_model_port own = port_of(NND_F32, 4);
    const nnd_catalog_port said[] = {
        {.port = "image", .name = "x", .layout = "NCHW", .dtype = NND_F32, .scale = 1},
        {.port = "image", .name = "x", .layout = "", .scale = 1},
        {.port = "image", .name = "x", .layout = "TFN", .dtype = NND_I64, .scale = 1},
    };
    const float data[ELEMENTS] = {0};
    nnd_value *value = f32_value(4, nchw, data), *out = NULL;
    nnd_port_form form;
    for (size_t i = 0; i <= NND_COUNT(said); i++) {
        assert_ok(nnd_port_form_init(&form, i < NND_COUNT(said) ? &said[i] : NULL, &own));
        assert_ok(nnd_port_form_to_file(&form, value, &out));
        assert_ptr_equal(out, value);
        nnd_value_unref(out);
        assert_ok(nnd_port_form_from_file(&form, value, &out));
        assert_ptr_equal(out, value);
        nnd_value_unref(out);
    }
    nnd_value_unref(value);
    /* One channel: the elements lie as before. */
    static const int64_t gray[4] = {1, 1, HEIGHT, WIDTH};
    const nnd_catalog_port last = {.port = "i", .name = "x", .layout = "NHWC", .scale = 1};
    value = f32_value(4, gray, data);
    assert_ok(nnd_port_form_init(&form, &last, &own));
    assert_ok(nnd_port_form_to_file(&form, value, &out));
    assert_ptr_equal(nnd_value_tensor(out)->data, nnd_value_tensor(value)->data);
    assert_int_equal(nnd_value_tensor(out)->dims[1], HEIGHT);
    assert_int_equal(nnd_value_tensor(out)->dims[3], 1);
    nnd_value_unref(out);
    nnd_value_unref(value);
}

/* Every order there and back, for every rank. */
static void there_and_back(void **state)
{
    (void)state;
    static const char *const layouts[] = {"NHWC",  "HWC",   "CHWN", "NWC", "WHCN",
                                          "NDHWC", "HWDCN", "NTHW", "WH"};
    float data[720];
    for (int i = 0; i < 720; i++)
        data[i] = (float)i;
    for (size_t i = 0; i < NND_COUNT(layouts); i++) {
        const int rank = (int)strlen(layouts[i]);
        const nnd_model_port own = port_of(NND_F32, rank);
        const nnd_catalog_port said = {
            .port = "image", .name = "x", .layout = layouts[i], .scale = 0.5, .offset = 3};
        nnd_port_form form;
        int64_t dims[NND_MAX_RANK];
        nnd_spec spec;
        assert_ok(nnd_port_form_init(&form, &said, &own));
        nnd_spec_init(&spec);
        spec.rank = rank;
        for (int d = 0; d < rank; d++)
            spec.dims[d] = dims[d] = form.seen.dims[d].value;
        nnd_port_form_spec_to_file(&form, &spec);
        nnd_value *value = f32_value(rank, dims, data), *there = NULL, *back = NULL;
        assert_ok(nnd_port_form_to_file(&form, value, &there));
        for (int d = 0; d < rank; d++) {
            assert_int_equal(nnd_value_tensor(there)->dims[d], own.dims[d].value);
            assert_int_equal(spec.dims[d], own.dims[d].value);
        }
        assert_ok(nnd_port_form_from_file(&form, there, &back));
        const nnd_tensor *t = nnd_value_tensor(back);
        assert_memory_equal(t->dims, dims, (size_t)rank * sizeof(int64_t));
        assert_memory_equal(t->data, data, nnd_tensor_bytes(t));
        nnd_value_unref(value);
        nnd_value_unref(there);
        nnd_value_unref(back);
    }
}

static void wrong_words(void **state)
{
    (void)state;
    static const double one[] = {1}, none[] = {0};
    nnd_port_form form;
    nnd_value *out = NULL;
    nnd_model_port own = port_of(NND_F32, 3);
    nnd_catalog_port said = {.port = "image", .name = "x", .layout = "NHWC", .scale = 1};
    assert_fails(nnd_port_form_init(&form, &said, &own), NND_E_FORMAT, "NHWC", "3 dimensions");
    own = port_of(NND_I4, 4);
    assert_fails(nnd_port_form_init(&form, &said, &own), NND_E_FORMAT, "NHWC", "i4");
    own = port_of(NND_F32, 4);
    own.kind = NND_PORT_SEQUENCE;
    assert_fails(nnd_port_form_init(&form, &said, &own), NND_E_FORMAT, "no tensor");
    own.kind = NND_PORT_TENSOR;
    own.rank = -1; /* known at run time only */
    said.scales = one;
    said.offsets = none;
    said.channel_count = 1;
    const float data[ELEMENTS] = {0};
    nnd_value *value = f32_value(4, nchw, data), *flat = f32_value(2, nchw, data);
    assert_ok(nnd_port_form_init(&form, &said, &own));
    assert_fails(nnd_port_form_to_file(&form, value, &out), NND_E_SHAPE, "one per channel",
                 "has 3");
    assert_fails(nnd_port_form_to_file(&form, flat, &out), NND_E_SHAPE, "NHWC", "f32[1,3]");
    nnd_value_unref(value);
    nnd_value_unref(flat);
}

static void out_of_memory(void **state)
{
    (void)state;
    const nnd_model_port own = port_of(NND_U8, 4);
    const nnd_catalog_port said = {
        .port = "image", .name = "x", .layout = "NHWC", .dtype = NND_U8, .scale = 2};
    const float data[ELEMENTS] = {0};
    nnd_value *value = f32_value(4, nchw, data);
    nnd_port_form form;
    assert_ok(nnd_port_form_init(&form, &said, &own));
    long tries = 0;
    oom_begin();
    for (bool hit = true; hit; tries++) {
        nnd_value *there = NULL, *back = NULL;
        oom_fail_after(tries);
        nnd_status status = nnd_port_form_to_file(&form, value, &there);
        if (status == NND_OK) status = nnd_port_form_from_file(&form, there, &back);
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_value_unref(there);
        nnd_value_unref(back);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
    assert_true(tries > 6);
    nnd_value_unref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_dimensions), cmocka_unit_test(types_and_ranges),
        cmocka_unit_test(what_does_not_fit),   cmocka_unit_test(nothing_to_do_copies_nothing),
        cmocka_unit_test(there_and_back),      cmocka_unit_test(wrong_words),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
