/* Models that share one arena: the same results, also at once, and no more memory than runs. */
#include "engine/runtime/shared_arena.h"
#include "engine_support.h"
#include "onnx_writer.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})
enum { MOST = 64 * 64 * 4, ROUNDS = 50 };

/* Conv → Sigmoid → Conv of [1,4,side,side] with one weight everywhere. */
static nnd_engine_model *load(nnd_str *bytes, int64_t side, float weight, bool shared)
{
    static const char *const none[4];
    float w[4 * 4 * 9];
    nnd_str graph = {0}, attrs = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    for (size_t i = 0; i < NND_COUNT(w); i++)
        w[i] = weight;
    ow_initializer(&graph, "w", OW_F32, 4, DIMS(4, 4, 3, 3), w, sizeof(w));
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, DIMS(1, 4, side, side), none);
    ow_attr_ints(&attrs, "pads", DIMS(1, 1, 1, 1), 4);
    ow_node(&graph, "Conv", "x,w", "a", &attrs);
    ow_node(&graph, "Sigmoid", "a", "b", NULL);
    ow_attr_ints(&attrs, "pads", DIMS(1, 1, 1, 1), 4);
    ow_node(&graph, "Conv", "b,w", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, DIMS(1, 4, side, side), none);
    ow_model(bytes, &graph, 13);
    options.shared_arena = shared;
    assert_ok(nnd_engine_model_load_memory(bytes->data, bytes->size, &options, &m));
    return m;
}

typedef struct runner {
    nnd_engine_model *model;
    int64_t side;
    int rounds;
    nnd_status status;
    float x[MOST], y[MOST];
    bool steady; /* every round gave the bits of the first one */
} runner;

static void run_rounds(void *user)
{
    runner *w = user;
    nnd_engine_request *r = NULL;
    nnd_tensor x, y;
    w->steady = true;
    for (int64_t i = 0; i < MOST; i++)
        w->x[i] = (float)(i % 17) / 16.0f;
    w->status = nnd_tensor_init(&x, NND_F32, 4, DIMS(1, 4, w->side, w->side), w->x);
    if (w->status == NND_OK) w->status = nnd_engine_request_create(w->model, &r);
    if (w->status == NND_OK) w->status = nnd_engine_request_bind_input(r, 0, &x);
    for (int i = 0; i < w->rounds && w->status == NND_OK; i++) {
        w->status = nnd_engine_request_run(r, 2, NULL);
        if (w->status == NND_OK) w->status = nnd_engine_request_output(r, 0, &y);
        if (w->status != NND_OK) break;
        if (i == 0) memcpy(w->y, y.data, nnd_tensor_bytes(&y));
        w->steady = w->steady && memcmp(w->y, y.data, nnd_tensor_bytes(&y)) == 0;
    }
    nnd_engine_request_destroy(r);
}

static const int64_t sides[2] = {64, 24};

static void start(runner *w, nnd_str *bytes, int which, bool shared, int rounds)
{
    *w = (runner){.side = sides[which], .rounds = rounds};
    w->model = load(bytes, sides[which], which ? 0.02f : -0.01f, shared);
}

static void finish(runner *w, nnd_str *bytes)
{
    assert_int_equal(w->status, NND_OK);
    assert_true(w->steady);
    nnd_engine_model_unref(w->model);
    nnd_str_free(bytes);
}

static void models_in_turn_share_one_block(void **state)
{
    static runner big, small;
    nnd_str bytes[2] = {{0}, {0}};
    (void)state;
    start(&big, &bytes[0], 0, true, 1);
    start(&small, &bytes[1], 1, true, 1);
    run_rounds(&big);
    size_t alone = nnd_shared_arena_bytes();
    assert_true(alone > 0);
    run_rounds(&small);
    assert_int_equal(nnd_shared_arena_bytes(), alone);
    finish(&big, &bytes[0]);
    assert_int_equal(nnd_shared_arena_bytes(), alone); /* somebody still shares */
    finish(&small, &bytes[1]);
    assert_int_equal(nnd_shared_arena_bytes(), 0);
}

static void models_at_once_do_not_overlap(void **state)
{
    static runner alone[2], shared[4];
    nnd_str alone_bytes[2] = {{0}, {0}}, shared_bytes[4] = {{0}, {0}, {0}, {0}};
    nnd_port_thread *threads[4];
    (void)state;
    for (int i = 0; i < 2; i++) {
        start(&alone[i], &alone_bytes[i], i, false, 1);
        run_rounds(&alone[i]);
    }
    for (int i = 0; i < 4; i++)
        start(&shared[i], &shared_bytes[i], i % 2, true, ROUNDS);
    for (int i = 0; i < 4; i++)
        assert_int_equal(nnd_port_thread_create("share", run_rounds, &shared[i], &threads[i]), 0);
    for (int i = 0; i < 4; i++)
        nnd_port_thread_join(threads[i]);
    for (int i = 0; i < 4; i++) {
        assert_memory_equal(shared[i].y, alone[i % 2].y, sizeof(shared[i].y));
        finish(&shared[i], &shared_bytes[i]);
    }
    for (int i = 0; i < 2; i++)
        finish(&alone[i], &alone_bytes[i]);
    assert_int_equal(nnd_shared_arena_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_in_turn_share_one_block),
        cmocka_unit_test(models_at_once_do_not_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
