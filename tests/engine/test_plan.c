/* Memory plan: blocks that live at once never overlap; shared and separate memory give the same
   results on random graphs; the passes keep them. */
#include "engine/passes/pass.h"
#include "engine/plan/memory.h"
#include "engine/runtime/bind.h"
#include "engine/runtime/exec.h"
#include "support/test.h"

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void blocks_that_live_at_once_do_not_overlap(void **state)
{
    (void)state;
    enum { MOST = 200 };
    static nnd_memory_item items[MOST];
    uint32_t seed = 7;
    for (int round = 0; round < 200; round++) {
        size_t n = 1 + next_random(&seed) % MOST, total, sum = 0, peak = 0;
        for (size_t i = 0; i < n; i++) {
            uint32_t first = next_random(&seed) % 50;
            items[i] = (nnd_memory_item){next_random(&seed) % 5000, first,
                                         first + next_random(&seed) % 12, 99};
            sum += (items[i].bytes + 63) / 64 * 64;
        }
        assert_ok(nnd_memory_assign(items, n, &total));
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(items[i].offset % NND_MEMORY_ALIGN, 0);
            assert_true(items[i].offset + items[i].bytes <= total);
            for (size_t k = 0; k < i; k++) {
                bool meet = items[i].first <= items[k].last && items[k].first <= items[i].last;
                bool apart = items[i].offset + items[i].bytes <= items[k].offset ||
                             items[k].offset + items[k].bytes <= items[i].offset;
                assert_true(!meet || apart || !items[i].bytes || !items[k].bytes);
            }
        }
        for (uint32_t t = 0; t < 64; t++) {
            size_t now = 0;
            for (size_t i = 0; i < n; i++)
                if (items[i].first <= t && t <= items[i].last)
                    now += (items[i].bytes + 63) / 64 * 64;
            peak = now > peak ? now : peak;
        }
        assert_true(total >= peak && total <= sum);
    }
}

/* Where largest first wastes room, another order is taken: by bytes times steps, by birth. */
static void the_order_that_wastes_least_is_taken(void **state)
{
    (void)state;
    nnd_memory_item wide[] = {{128, 5, 5, 0}, {256, 2, 5, 0}, {256, 1, 3, 0}, {192, 4, 5, 0}};
    nnd_memory_item early[] = {{256, 4, 4, 0}, {64, 0, 3, 0}, {256, 0, 1, 0}, {64, 2, 5, 0}};
    size_t total;
    assert_ok(nnd_memory_assign(wide, NND_COUNT(wide), &total));
    assert_int_equal(total, 576);
    assert_ok(nnd_memory_assign(early, NND_COUNT(early), &total));
    assert_int_equal(total, 320);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    nnd_memory_item items[2] = {{SIZE_MAX / 2, 0, 1, 0}, {SIZE_MAX / 2, 0, 1, 0}};
    size_t total;
    assert_status(nnd_memory_assign(items, 2, &total), NND_E_OVERFLOW);
    assert_ok(nnd_memory_assign(items, 0, &total));
    assert_int_equal(total, 0);
}

/* ---- random graphs -------------------------------------------------------------------------- */

enum { SIDE = 24, NODES = 40, OUTPUTS = 3 };

static uint32_t ints(nnd_graph *g, size_t n, const int64_t *items)
{
    nnd_tensor t;
    uint32_t id;
    int64_t count = (int64_t)n;
    assert_ok(nnd_tensor_init(&t, NND_I64, 1, &count, (void *)(uintptr_t)items));
    assert_ok(nnd_graph_add_constant(g, NULL, &t, &id));
    return id;
}

static uint32_t node(nnd_graph *g, const char *type, size_t n, const uint32_t *in)
{
    nnd_graph_node *made;
    assert_ok(nnd_graph_add_node(g, "", type, 13, NULL, n, in, 1, NULL, &made));
    return made->outputs[0];
}

/* Rows [first, end) of a value. */
static uint32_t rows(nnd_graph *g, uint32_t x, int64_t first, int64_t end)
{
    const uint32_t in[4] = {x, ints(g, 1, &first), ints(g, 1, &end), ints(g, 1, (int64_t[]){0})};
    return node(g, "Slice", 4, in);
}

/* Half `index` of 2·SIDE rows, by way of a new dimension. */
static uint32_t half(nnd_graph *g, uint32_t x, int64_t index)
{
    const int64_t pair[3] = {2, SIDE, SIDE}, flat[2] = {SIDE, SIDE};
    const uint32_t view[2] = {x, ints(g, 3, pair)};
    const uint32_t pick[2] = {node(g, "Reshape", 2, view), ints(g, 1, &index)};
    const uint32_t back[2] = {node(g, "Gather", 2, pick), ints(g, 2, flat)};
    return node(g, "Reshape", 2, back);
}

/* Two values one above the other, and two pieces of what an operator makes of them: halves, or such
   that overlap. */
static uint32_t join_and_split(nnd_graph *g, uint32_t a, uint32_t b, uint32_t how, uint32_t *second)
{
    uint32_t in[2] = {a, b}, joined;
    nnd_graph_node *n;
    assert_ok(nnd_graph_add_node(g, "", "Concat", 13, NULL, 2, in, 1, NULL, &n));
    assert_ok(nnd_node_add_int(g, n, "axis", 0));
    joined = n->outputs[0];
    if (how & 1) joined = node(g, "Neg", 1, &joined);
    if (how & 2) {
        uint32_t most = rows(g, joined, 3, 2 * SIDE - 3); /* a piece of a piece: 5 + 3 = 8 */
        *second = how & 4 ? rows(g, most, 5, 5 + SIDE) : rows(g, joined, -SIDE, 2 * SIDE);
        return how & 8 ? half(g, joined, -2) : rows(g, joined, 16, 16 + SIDE);
    }
    /* with an empty piece in front, or without one */
    bool empty = how & 16;
    const uint32_t list[2] = {joined, ints(g, 3, (int64_t[]){0, SIDE, SIDE})};
    size_t count = empty ? 3 : 2;
    assert_ok(nnd_graph_add_node(g, "", "Split", 13, NULL, empty ? 2 : 1, list, count, NULL, &n));
    assert_ok(nnd_node_add_int(g, n, "axis", 0));
    *second = n->outputs[count - 1];
    return n->outputs[count - 2];
}

/* A chain-and-branch graph of element-wise operators, views, transposes and joins over SIDE×SIDE.
 */
static nnd_graph *random_graph(uint32_t seed)
{
    static const char *const unary[] = {"Relu", "Neg", "Abs", "Tanh", "Transpose", "Identity"};
    static const char *const binary[] = {"Add", "Sub", "Mul", "Max"};
    const int64_t dims[2] = {SIDE, SIDE};
    uint32_t ids[NODES + 1], count = 1;
    nnd_graph *g;
    assert_ok(nnd_graph_create(NULL, "random", &g));
    assert_ok(nnd_graph_add_input(g, "x", NND_F32, 2, dims, &ids[0]));
    while (count <= NODES) {
        uint32_t recent = count < 6 ? count : 6;
        uint32_t a = ids[count - 1 - next_random(&seed) % recent];
        uint32_t in[2] = {a, ids[count - 1 - next_random(&seed) % recent]};
        bool two = next_random(&seed) % 2;
        if (next_random(&seed) % 4 == 0 && count < NODES) {
            ids[count] = join_and_split(g, in[0], in[1], next_random(&seed) >> 8, &ids[count + 1]);
            count += 2;
            continue;
        }
        const char *type = two ? binary[next_random(&seed) % NND_COUNT(binary)]
                               : unary[next_random(&seed) % NND_COUNT(unary)];
        nnd_graph_node *n;
        assert_ok(nnd_graph_add_node(g, "", type, 13, NULL, two ? 2 : 1, in, 1, NULL, &n));
        ids[count++] = n->outputs[0];
    }
    for (uint32_t i = 0; i < OUTPUTS; i++)
        assert_ok(nnd_graph_add_output(g, ids[NODES - i * 3]));
    assert_ok(nnd_graph_bind(g));
    nnd_graph_index(g);
    return g;
}

static void run_graph(nnd_graph *g, bool separate, float *out)
{
    float x[SIDE * SIDE], direct[OUTPUTS][SIDE * SIDE];
    void *memory[OUTPUTS];
    const int64_t dims[2] = {SIDE, SIDE};
    nnd_tensor input;
    const nnd_tensor *in[1] = {&input};
    nnd_plan *plan;
    for (int i = 0; i < SIDE * SIDE; i++)
        x[i] = (float)(i % 17) / 8.0f - 1.0f;
    for (int i = 0; i < OUTPUTS; i++)
        memory[i] = direct[i];
    assert_ok(nnd_tensor_init(&input, NND_F32, 2, dims, x));
    nnd_plan_cache cache = {.options = {separate, (uint64_t)1 << 30}};
    nnd_exec_env env = {.cache = &cache};
    nnd_exec exec = {0};
    assert_ok(nnd_plan_create(g, &input, &cache.options, &plan));
    void *arena = nnd_alloc_aligned(plan->arena_bytes + 1, 64);
    memset(arena, 0xff, plan->arena_bytes);
    assert_ok(nnd_exec_run(&exec, plan, &env, in, NULL, memory, arena));
    for (int i = 0; i < OUTPUTS; i++)
        memcpy(out + i * SIDE * SIDE, exec.values[g->outputs[i]].data, sizeof(x));
    nnd_exec_fini(&exec);
    nnd_block_fini(&env.lanes);
    nnd_plan_destroy(plan);
    nnd_free_aligned(arena);
}

/* Rows of nothing are computed while planning, though nothing has no memory (the sanitizer's to
   say); a row that is not there is refused. */
static void nothing_is_computed_ahead(void **state)
{
    (void)state;
    for (int64_t count = 0; count < 2; count++) {
        const int64_t dims[2] = {count, 1 - count}, pick = 0;
        const nnd_plan_options options = {.max_arena_bytes = 1 << 20};
        uint32_t in[2], out;
        nnd_tensor input;
        nnd_plan *plan;
        nnd_graph *g;
        assert_ok(nnd_graph_create(NULL, "nothing", &g));
        assert_ok(nnd_graph_add_input(g, "x", NND_F32, 2, dims, &in[0]));
        in[1] = ints(g, 1, &pick);
        out = node(g, "Gather", 2, in);
        assert_ok(nnd_graph_add_output(g, out));
        assert_ok(nnd_graph_bind(g));
        nnd_graph_index(g);
        assert_ok(nnd_tensor_init(&input, NND_F32, 2, dims, NULL));
        nnd_status status = nnd_plan_create(g, &input, &options, &plan);
        if (count) {
            assert_ok(status);
            assert_int_equal(plan->slots[out].tensor.rank, 2);
            assert_int_equal(plan->slots[out].tensor.dims[0], 1);
            assert_int_equal(plan->slots[out].tensor.dims[1], 0);
            assert_int_equal(plan->step_count, 0);
            nnd_plan_destroy(plan);
        } else {
            nnd_error *e = nnd_error_take();
            assert_int_not_equal(status, NND_OK);
            assert_non_null(strstr(nnd_error_message(e), "outside"));
            nnd_error_destroy(e);
        }
        nnd_graph_destroy(g);
    }
}

static void shared_memory_changes_no_result(void **state)
{
    (void)state;
    static float shared[OUTPUTS * SIDE * SIDE], separate[OUTPUTS * SIDE * SIDE],
        passed[OUTPUTS * SIDE * SIDE];
    for (uint32_t seed = 1; seed <= 100; seed++) {
        nnd_graph *g = random_graph(seed);
        nnd_pass_report report = NND_PASS_REPORT_INIT;
        run_graph(g, false, shared);
        run_graph(g, true, separate);
        assert_memory_equal(shared, separate, sizeof(shared));
        assert_ok(nnd_passes_run(g, NND_PASSES_ALL, &report));
        nnd_pass_report_fini(&report);
        run_graph(g, false, passed);
        assert_memory_equal(shared, passed, sizeof(shared));
        nnd_graph_destroy(g);
    }
}

/* The value whose memory `id` lies in, and where in it. */
static void assert_lies_in(const nnd_plan *plan, uint32_t id, uint32_t whole, size_t row)
{
    size_t shift;
    assert_int_equal(nnd_plan_root(plan, id, &shift), whole);
    assert_int_equal(shift, row * SIDE * sizeof(float));
}

/* Pieces stay in the value that they are of, also a piece of a piece, and pieces that are results;
   nothing is written over them while one is still read. */
static void pieces_are_not_copied(void **state)
{
    (void)state;
    const int64_t dims[2] = {2 * SIDE, SIDE};
    nnd_graph *g;
    nnd_tensor input;
    nnd_plan *plan;
    uint32_t x, base, top, inner, bottom, over, odd, sum[2];
    assert_ok(nnd_graph_create(NULL, "pieces", &g));
    assert_ok(nnd_graph_add_input(g, "x", NND_F32, 2, dims, &x));
    base = node(g, "Exp", 1, &x);
    top = rows(g, base, 0, SIDE);
    inner = rows(g, top, 8, 16);
    bottom = half(g, base, 1);
    odd = rows(g, base, 1, 9); /* does not begin with a line of memory */
    over = node(g, "Neg", 1, &top);
    sum[0] = node(g, "Add", 2, (const uint32_t[]){over, bottom});
    sum[1] = node(g, "Add", 2, (const uint32_t[]){inner, odd});
    assert_ok(nnd_graph_add_output(g, sum[0]));
    assert_ok(nnd_graph_add_output(g, sum[1]));
    assert_ok(nnd_graph_add_output(g, inner));
    assert_ok(nnd_graph_bind(g));
    nnd_graph_index(g);
    assert_ok(nnd_tensor_init(&input, NND_F32, 2, dims, NULL));
    nnd_plan_options options = {false, (uint64_t)1 << 30};
    assert_ok(nnd_plan_create(g, &input, &options, &plan));
    assert_lies_in(plan, top, base, 0);
    assert_lies_in(plan, inner, base, 8);
    assert_lies_in(plan, bottom, base, SIDE);
    size_t shift;
    assert_int_not_equal(nnd_plan_root(plan, odd, &shift), base);
    assert_int_not_equal(nnd_plan_root(plan, over, &shift), base);
    nnd_plan_destroy(plan);
    options.separate_tensors = true;
    assert_ok(nnd_plan_create(g, &input, &options, &plan));
    assert_lies_in(plan, top, top, 0);
    nnd_plan_destroy(plan);
    nnd_graph_destroy(g);
}

static void the_arena_is_smaller_than_the_sum(void **state)
{
    (void)state;
    const int64_t dims[2] = {SIDE, SIDE};
    nnd_graph *g = random_graph(3);
    nnd_tensor input;
    nnd_plan *plan;
    nnd_plan_options options = {false, (uint64_t)1 << 30};
    assert_ok(nnd_tensor_init(&input, NND_F32, 2, dims, NULL));
    assert_ok(nnd_plan_create(g, &input, &options, &plan));
    assert_true(plan->arena_bytes > 0);
    assert_true(plan->arena_bytes < (NODES / 2) * sizeof(float) * SIDE * SIDE);
    nnd_plan_destroy(plan);
    options.max_arena_bytes = 64;
    assert_status(nnd_plan_create(g, &input, &options, &plan), NND_E_LIMIT);
    nnd_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_live_at_once_do_not_overlap),
        cmocka_unit_test(the_order_that_wastes_least_is_taken),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(nothing_is_computed_ahead),
        cmocka_unit_test(shared_memory_changes_no_result),
        cmocka_unit_test(pieces_are_not_copied),
        cmocka_unit_test(the_arena_is_smaller_than_the_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
