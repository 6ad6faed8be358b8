/* Memory stays bounded: over ten thousand changing shapes, and for files that ask for more than
   they are worth. */
#include <stdatomic.h>

#include "engine_support.h"
#include "onnx_writer.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* ---- an allocator that counts bytes --------------------------------------------------------- */

enum { HEAD = 16 }; /* holds the size and keeps the alignment */
static atomic_llong live, peak;

static void count(long long change)
{
    long long now = atomic_fetch_add(&live, change) + change, seen = atomic_load(&peak);
    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now)) {}
}

static void *counting_alloc(void *user, size_t size)
{
    (void)user;
    char *block = size > SIZE_MAX - HEAD ? NULL : malloc(size + HEAD);
    if (!block) return NULL;
    memcpy(block, &size, sizeof(size));
    count((long long)size);
    return block + HEAD;
}

static void counting_release(void *user, void *block)
{
    size_t size;
    (void)user;
    if (!block) return;
    memcpy(&size, (char *)block - HEAD, sizeof(size));
    count(-(long long)size);
    free((char *)block - HEAD);
}

static void *counting_resize(void *user, void *block, size_t size)
{
    size_t old = 0;
    if (block) memcpy(&old, (char *)block - HEAD, sizeof(old));
    char *to = counting_alloc(user, size);
    if (!to) return NULL;
    if (block) memcpy(to, block, old < size ? old : size);
    counting_release(user, block);
    return to;
}

static int count_begin(void **state)
{
    static const nnd_allocator allocator = {counting_alloc, counting_resize, counting_release,
                                            NULL};
    (void)state;
    nnd_error_clear();
    atomic_store(&live, 0);
    atomic_store(&peak, 0);
    nnd_set_allocator(&allocator);
    return 0;
}

static int count_end(void **state)
{
    (void)state;
    nnd_error_clear();
    assert_int_equal(atomic_load(&live), 0);
    nnd_set_allocator(NULL);
    return 0;
}

/* ---- changing shapes ------------------------------------------------------------------------ */

enum { RUNS = 10000, WARM = 1000, MOST_N = 3, MOST_SIDE = 20, CHANNELS = 3 };

static uint32_t next(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* Conv → Relu → MaxPool → the mean of each picture, by its own shape: [N,3,H,W] → [N,4]. */
static nnd_str picture_model(void)
{
    static float w[4 * CHANNELS * 9];
    static const char *const symbols[] = {"n", NULL, "h", "w"};
    static const int64_t minus_one = -1, two = 2;
    nnd_str graph = {0}, attrs = {0}, model = {0};
    for (size_t i = 0; i < NND_COUNT(w); i++)
        w[i] = (float)(i % 7) / 8.0f - 0.375f;
    ow_initializer(&graph, "w", OW_F32, 4, DIMS(4, CHANNELS, 3, 3), w, sizeof(w));
    ow_initializer(&graph, "rest", OW_I64, 1, DIMS(1), &minus_one, sizeof(minus_one));
    ow_initializer(&graph, "two", OW_I64, 1, DIMS(1), &two, sizeof(two));
    ow_initializer(&graph, "zero", OW_I64, 1, DIMS(1), &(int64_t){0}, sizeof(int64_t));
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, DIMS(-1, CHANNELS, -1, -1), symbols);
    ow_attr_ints(&attrs, "pads", DIMS(1, 1, 1, 1), 4);
    ow_node(&graph, "Conv", "x,w", "a", &attrs);
    ow_node(&graph, "Relu", "a", "b", NULL);
    ow_attr_ints(&attrs, "kernel_shape", DIMS(2, 2), 2);
    ow_node(&graph, "MaxPool", "b", "c", &attrs);
    ow_node(&graph, "Shape", "c", "shape", NULL);
    ow_node(&graph, "Slice", "shape,zero,two", "front", NULL);
    ow_attr_int(&attrs, "axis", 0);
    ow_node(&graph, "Concat", "front,rest", "flat", &attrs);
    ow_node(&graph, "Reshape", "c,flat", "d", NULL);
    ow_attr_ints(&attrs, "axes", DIMS(2), 1);
    ow_attr_int(&attrs, "keepdims", 0);
    ow_node(&graph, "ReduceMean", "d", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, DIMS(-1, 4), symbols);
    ow_model(&model, &graph, 13);
    return model;
}

static void run_shape(nnd_engine_request *r, int64_t n, int64_t h, int64_t w)
{
    static float data[MOST_N * CHANNELS * MOST_SIDE * MOST_SIDE];
    nnd_tensor x, y;
    for (size_t i = 0; i < NND_COUNT(data); i++)
        data[i] = 1.0f;
    assert_ok(nnd_tensor_init(&x, NND_F32, 4, DIMS(n, CHANNELS, h, w), data));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &y));
    assert_int_equal(y.dims[0], n);
    assert_int_equal(y.dims[1], 4);
}

static void ten_thousand_shapes_do_not_grow(void **state)
{
    (void)state;
    uint32_t seed = 7;
    long long warm = 0;
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_str bytes = picture_model();
    assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, NULL, &m));
    assert_ok(nnd_engine_request_create(m, &r));
    run_shape(r, MOST_N, MOST_SIDE, MOST_SIDE);
    size_t activations = nnd_engine_request_bytes(r);
    for (int i = 0; i < RUNS; i++) {
        if (i == WARM) warm = atomic_load(&peak);
        run_shape(r, 1 + next(&seed, MOST_N), 2 + next(&seed, MOST_SIDE - 1),
                  2 + next(&seed, MOST_SIDE - 1));
    }
    /* The largest shape came first, and plans are kept by number: after the warm-up nothing grows
       but by what one plan differs from another. */
    printf("  peak after %d shapes %lld bytes, after %d %lld\n", WARM, warm, RUNS,
           (long long)atomic_load(&peak));
    assert_true(atomic_load(&peak) <= warm + warm / 20);
    assert_true(nnd_engine_request_bytes(r) <= activations + activations / 4);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* ---- weights once --------------------------------------------------------------------------- */

/* What a model holds beside the file is its packed weights and little else: nothing is there
   twice, and what has been packed is no longer read from the file. */
static void weights_are_held_once(void **state)
{
    enum { WIDE = 128, OVERHEAD = 64 << 10 };
    static float w[WIDE * WIDE * 9];
    static const char *const symbols[] = {"n"};
    nnd_str graph = {0}, attrs = {0}, bytes = {0};
    nnd_engine_model *m;
    nnd_engine_model_info info;
    (void)state;
    ow_initializer(&graph, "w1", OW_F32, 4, DIMS(WIDE, WIDE, 3, 3), w, sizeof(w));
    ow_initializer(&graph, "w2", OW_F32, 4, DIMS(WIDE, WIDE, 1, 1), w, sizeof(w) / 9);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, DIMS(1, WIDE, 8, 8), symbols);
    ow_attr_ints(&attrs, "pads", DIMS(1, 1, 1, 1), 4);
    ow_node(&graph, "Conv", "x,w1", "a", &attrs);
    ow_node(&graph, "Conv", "a,w2", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, DIMS(1, WIDE, 8, 8), symbols);
    ow_model(&bytes, &graph, 13);
    long long before = atomic_load(&live);
    assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, NULL, &m));
    nnd_engine_model_get_info(m, &info);
    assert_true(info.weight_bytes >= sizeof(w));
    assert_true(atomic_load(&live) - before <= (long long)info.packed_bytes + OVERHEAD);
    if (info.packed_bytes > 0) assert_true(info.resident_bytes < info.weight_bytes / 100);
    assert_true(info.predicted_bytes >= info.packed_bytes + info.resident_bytes + info.arena_bytes);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* ---- files that ask for too much ------------------------------------------------------------ */

#define BOUND (256ll << 20)

/* An output of any shape of that rank. */
static void open_output(nnd_str *graph, const char *name, int rank)
{
    static const char *const symbols[] = {"a", "b", "c", "d"};
    ow_value(graph, OW_OUTPUT, name, OW_F32, rank, DIMS(-1, -1, -1, -1), symbols);
}

/* Loads and, where that works, runs without inputs. Whatever the outcome, memory is bounded; with
   arenas of at most 64 MiB. */
static nnd_status try_model(nnd_str *graph)
{
    nnd_str bytes = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m = NULL;
    nnd_engine_request *r = NULL;
    ow_model(&bytes, graph, 17);
    options.max_arena_bytes = 64 << 20;
    atomic_store(&peak, atomic_load(&live));
    nnd_status status = nnd_engine_model_load_memory(bytes.data, bytes.size, &options, &m);
    if (status == NND_OK) status = nnd_engine_request_create(m, &r);
    if (status == NND_OK) status = nnd_engine_request_run(r, 1, NULL);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
    printf("  %s, peak %lld KiB\n", nnd_status_name(status), (long long)atomic_load(&peak) >> 10);
    assert_true(atomic_load(&peak) < BOUND);
    return status;
}

/* x doubles with every node: 2^50 bytes after forty of them. */
static void doubling_constants_stop(void **state)
{
    static const float few[1024];
    nnd_str graph = {0}, attrs = {0};
    char in[32], out[16];
    (void)state;
    ow_initializer(&graph, "x0", OW_F32, 1, DIMS(1024), few, sizeof(few));
    for (int i = 0; i < 38; i++) {
        snprintf(in, sizeof(in), "x%d,x%d", i, i);
        snprintf(out, sizeof(out), "x%d", i + 1);
        ow_attr_int(&attrs, "axis", 0);
        ow_node(&graph, "Concat", in, out, &attrs);
    }
    ow_node(&graph, "Neg", "x38", "y", NULL);
    open_output(&graph, "y", 1);
    assert_status(try_model(&graph), NND_E_LIMIT);
}

/* Thousands of results of a megabyte each, every one made of almost nothing. */
static void many_constants_stop(void **state)
{
    static const int64_t shape = 250000;
    nnd_str graph = {0}, attrs = {0};
    char last[16] = "x0", out[16], in[32];
    (void)state;
    ow_initializer(&graph, "shape", OW_I64, 1, DIMS(1), &shape, sizeof(shape));
    ow_node(&graph, "ConstantOfShape", "shape", "x0", NULL);
    for (int i = 1; i < 2000; i++) {
        snprintf(in, sizeof(in), "c%d,%s", i, last);
        snprintf(out, sizeof(out), "c%d", i);
        ow_node(&graph, "ConstantOfShape", "shape", out, NULL);
        snprintf(out, sizeof(out), "x%d", i);
        ow_node(&graph, "Add", in, out, &attrs);
        memcpy(last, out, sizeof(last));
    }
    ow_node(&graph, "Neg", last, "y", NULL);
    open_output(&graph, "y", 1);
    assert_ok(try_model(&graph));
}

/* Products of constants that would take minutes at load; the run may take them up, or be
   cancelled. */
static void long_arithmetic_is_not_done_at_load(void **state)
{
    static const int64_t side[2] = {4096, 4096};
    nnd_str graph = {0}, bytes = {0};
    nnd_engine_model *m = NULL;
    char in[32], out[16];
    (void)state;
    ow_initializer(&graph, "side", OW_I64, 1, DIMS(2), side, sizeof(side));
    ow_node(&graph, "ConstantOfShape", "side", "x0", NULL);
    for (int i = 0; i < 50; i++) {
        snprintf(in, sizeof(in), "x%d,x%d", i, i);
        snprintf(out, sizeof(out), "x%d", i + 1);
        ow_node(&graph, "MatMul", in, out, NULL);
    }
    open_output(&graph, "x50", 2);
    ow_model(&bytes, &graph, 17);
    assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, NULL, &m));
    assert_true(atomic_load(&peak) < BOUND);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

static void huge_dimensions_are_refused(void **state)
{
    static const int64_t shapes[][3] = {{INT64_MAX, 1, 1},
                                        {INT64_MAX, INT64_MAX, INT64_MAX},
                                        {1 << 30, 1 << 30, 4},
                                        {1 << 20, 1 << 14, 1},
                                        {-1, 5, 5}};
    static const char *const ops[] = {"ConstantOfShape", "Expand", "Reshape", "Tile"};
    static const float one[1] = {1};
    (void)state;
    for (size_t s = 0; s < NND_COUNT(shapes); s++)
        for (size_t k = 0; k < NND_COUNT(ops); k++) {
            nnd_str graph = {0};
            ow_initializer(&graph, "one", OW_F32, 3, DIMS(1, 1, 1), one, sizeof(one));
            ow_initializer(&graph, "shape", OW_I64, 1, DIMS(3), shapes[s], sizeof(shapes[s]));
            ow_node(&graph, ops[k], k == 0 ? "shape" : "one,shape", "x", NULL);
            ow_node(&graph, "Neg", "x", "y", NULL);
            open_output(&graph, "y", 3);
            assert_int_not_equal(try_model(&graph), NND_OK);
        }
}

static void a_weight_larger_than_the_file_is_refused(void **state)
{
    static const int64_t dims[][2] = {{INT64_MAX, 2}, {1 << 30, 1 << 30}, {1 << 20, 64}};
    static const float few[4] = {0};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(dims); i++) {
        nnd_str graph = {0};
        ow_initializer(&graph, "w", OW_F32, 2, dims[i], few, sizeof(few));
        ow_node(&graph, "Neg", "w", "y", NULL);
        open_output(&graph, "y", 2);
        assert_int_not_equal(try_model(&graph), NND_OK);
    }
}

static void a_piece_may_be_longer_than_all(void **state)
{
    static const int64_t chunk = INT64_MAX;
    nnd_str graph = {0}, attrs = {0};
    (void)state;
    ow_attr_int(&attrs, "axis", 0);
    ow_initializer(&graph, "x", OW_F32, 1, DIMS(3), (float[]){1, 2, 3}, 3 * sizeof(float));
    ow_initializer(&graph, "chunk", OW_I64, 0, NULL, &chunk, sizeof(chunk));
    ow_node(&graph, "SplitToSequence", "x,chunk", "s", NULL);
    ow_node(&graph, "ConcatFromSequence", "s", "y", &attrs);
    open_output(&graph, "y", 1);
    assert_ok(try_model(&graph));
}

static void absurd_groups_are_refused(void **state)
{
    static const int64_t groups[] = {INT64_MAX, INT64_C(1) << 62, INT64_MIN, 0, 3};
    static const char *const ops[] = {"Conv", "ConvTranspose"};
    static const float weights[4 * 4 * 9] = {1};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(groups) * NND_COUNT(ops); i++) {
        nnd_str graph = {0}, attrs = {0};
        ow_initializer(&graph, "x", OW_F32, 4, DIMS(1, 4, 4, 4), weights, 64 * sizeof(float));
        ow_initializer(&graph, "w", OW_F32, 4, DIMS(4, 4, 3, 3), weights, sizeof(weights));
        ow_attr_int(&attrs, "group", groups[i / NND_COUNT(ops)]);
        ow_node(&graph, ops[i % NND_COUNT(ops)], "x,w", "c", &attrs);
        ow_node(&graph, "Neg", "c", "y", NULL);
        open_output(&graph, "y", 4);
        assert_status(try_model(&graph), NND_E_SHAPE);
    }
}

/* One result, and a sum over more terms than anybody can wait for, or than there are numbers. */
static void endless_sums_end(void **state)
{
    static const int64_t side[2] = {1000, 1000};
    (void)state;
    for (int operands = 3; operands <= 8; operands += 5) {
        nnd_str graph = {0}, attrs = {0}, bytes = {0};
        nnd_engine_model *m = NULL;
        nnd_engine_request *r = NULL;
        nnd_cancel *soon = NULL;
        ow_initializer(&graph, "side", OW_I64, 1, DIMS(2), side, sizeof(side));
        ow_node(&graph, "ConstantOfShape", "side", "x", NULL);
        ow_attr_text(&attrs, "equation",
                     operands == 3 ? "ab,cd,ef->" : "ab,cd,ef,gh,ij,kl,mn,op->");
        ow_node(&graph, "Einsum", operands == 3 ? "x,x,x" : "x,x,x,x,x,x,x,x", "y", &attrs);
        open_output(&graph, "y", 0);
        ow_model(&bytes, &graph, 17);
        assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, NULL, &m));
        assert_ok(nnd_engine_request_create(m, &r));
        assert_ok(nnd_cancel_create(NULL, &soon));
        if (operands == 3) nnd_cancel_set_deadline(soon, nnd_clock_now() + 20 * 1000000);
        assert_status(nnd_engine_request_run(r, 1, soon),
                      operands == 3 ? NND_E_TIMEOUT : NND_E_OVERFLOW);
        nnd_cancel_unref(soon);
        nnd_engine_request_destroy(r);
        nnd_engine_model_unref(m);
        nnd_str_free(&bytes);
    }
}

/* If inside If inside If … */
static void deep_nesting_is_refused(void **state)
{
    static const bool yes = true;
    nnd_str inner = {0}, attrs = {0};
    (void)state;
    ow_node(&inner, "Identity", "x", "y", NULL);
    ow_value(&inner, OW_OUTPUT, "y", OW_F32, 1, DIMS(1), NULL);
    for (int depth = 0; depth < 200; depth++) {
        nnd_str outer = {0}, other = {0};
        ow_node(&other, "Identity", "x", "y", NULL);
        ow_value(&other, OW_OUTPUT, "y", OW_F32, 1, DIMS(1), NULL);
        ow_attr_graph(&attrs, "then_branch", &inner);
        ow_attr_graph(&attrs, "else_branch", &other);
        ow_node(&outer, "If", "yes", "y", &attrs);
        ow_value(&outer, OW_OUTPUT, "y", OW_F32, 1, DIMS(1), NULL);
        inner = outer;
    }
    ow_initializer(&inner, "x", OW_F32, 1, DIMS(1), &(float){1}, sizeof(float));
    ow_initializer(&inner, "yes", OW_BOOL, 1, DIMS(1), &yes, sizeof(yes));
    assert_status(try_model(&inner), NND_E_LIMIT);
}

#define COUNTED(test) cmocka_unit_test_setup_teardown(test, count_begin, count_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COUNTED(ten_thousand_shapes_do_not_grow),
        COUNTED(weights_are_held_once),
        COUNTED(doubling_constants_stop),
        COUNTED(many_constants_stop),
        COUNTED(long_arithmetic_is_not_done_at_load),
        COUNTED(huge_dimensions_are_refused),
        COUNTED(a_weight_larger_than_the_file_is_refused),
        COUNTED(deep_nesting_is_refused),
        COUNTED(a_piece_may_be_longer_than_all),
        COUNTED(absurd_groups_are_refused),
        COUNTED(endless_sums_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
