/* Element-wise nodes in one go: which ones, and the same bits as one by one. */
#include "base/isa.h"
#include "nndeploy/sched.h"
#include "pass_support.h"

static bool same_bits(const float *a, const float *b)
{
    return memcmp(a, b, sizeof(*a)) == 0 || (isnan(*a) && isnan(*b));
}

static void assert_same(const nnd_tensor *got, const nnd_tensor *want)
{
    assert_int_equal(got->dtype, NND_F32);
    assert_int_equal(got->dtype, want->dtype);
    assert_int_equal(got->rank, want->rank);
    assert_memory_equal(got->dims, want->dims, (size_t)got->rank * sizeof(got->dims[0]));
    const float *a = got->data, *b = want->data;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(got); i++)
        if (!same_bits(&a[i], &b[i]))
            fail_msg("element %zu is %.9g instead of %.9g", i, (double)a[i], (double)b[i]);
}

/* Without what is computed ahead in any case. */
static nnd_graph *folded(pt_build build, int variant)
{
    size_t changes = 0;
    nnd_graph *g = pt_graph(build, 17, variant);
    assert_ok(nnd_pass_constant_folding(g, &changes));
    assert_ok(nnd_pass_dead_code(g, &changes));
    return g;
}

/* The graph after the pass, which gives the same bits as before for usual and for odd numbers,
   counts the same work and needs no more memory. */
static nnd_graph *compare(pt_build build, int variant, nnd_gang *gang, size_t *changes)
{
    nnd_graph *passed = NULL;
    for (int odd = 1; odd >= 0; odd--) {
        nnd_tensor want[PT_OUTPUTS], got[PT_OUTPUTS];
        nnd_graph *plain = folded(build, variant);
        pt_options alone = {.odd = odd}, fused = {.gang = gang, .odd = odd};
        nnd_graph_destroy(passed);
        passed = folded(build, variant);
        *changes = 0;
        assert_ok(nnd_passes_shapes(passed));
        assert_ok(nnd_pass_elementwise(passed, changes));
        pt_run_with(plain, &alone, want);
        pt_run_with(passed, &fused, got);
        assert_int_equal(fused.flops, alone.flops);
        if (fused.arena_bytes > alone.arena_bytes)
            fail_msg("variant %d: the arena grows from %zu to %zu bytes", variant,
                     alone.arena_bytes, fused.arena_bytes);
        for (size_t i = 0; i < plain->output_count; i++) {
            assert_same(&got[i], &want[i]);
            nnd_free(want[i].data);
            nnd_free(got[i].data);
        }
        nnd_graph_destroy(plain);
    }
    return passed;
}

/* ---- which nodes ----------------------------------------------------------------------------- */

static const int64_t rows[3] = {2, 37, 24};

static void expect(pt_build build, int variant, size_t groups, size_t nodes)
{
    size_t changes;
    nnd_graph *g = compare(build, variant, NULL, &changes);
    if (changes != groups || g->node_count != nodes)
        fail_msg("variant %d: %zu groups instead of %zu, %zu nodes instead of %zu", variant,
                 changes, groups, g->node_count, nodes);
    assert_int_equal(pt_count(g, "Elementwise"), groups);
    nnd_graph_destroy(g);
}

/* Gelu's approximation with a cube that no pattern knows, and a condition. */
static void build_dag(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 3, rows);
    uint32_t cube = pt_binary(t, "Pow", x, pt_number(t, 3));
    uint32_t in = pt_binary(t, "Add", x, pt_binary(t, "Mul", cube, pt_number(t, 0.04f)));
    uint32_t step = pt_binary(t, "Add", pt_unary(t, "Tanh", in), pt_weights(t, 1, rows + 2));
    uint32_t y = pt_binary(t, "Mul", pt_binary(t, "Div", x, pt_number(t, 2)), step);
    pt_output(t, pt_binary(t, "PRelu", y, pt_weights(t, 2, rows + 1)));
}

/* 0: Clip, 1: Clip without a lower limit, 2: limits that are computed, 3: the power is computed. */
static void build_parameters(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 3, rows), one = pt_input(t, "one", 0, NULL);
    uint32_t limits[3] = {pt_unary(t, "Exp", x), pt_number(t, 1), pt_number(t, 2)};
    if (t->variant == 1) limits[1] = NND_NO_ID;
    if (t->variant == 2) limits[1] = one;
    uint32_t y = t->variant == 3 ? pt_binary(t, "Pow", limits[0], one)
                                 : pt_node_of(t, "Clip", 3, limits)->outputs[0];
    pt_output(t, pt_unary(t, "Neg", y));
}

/* What is in the middle is read by 0: nobody else, 1: another node, 2: whoever runs the graph. */
static void build_read_elsewhere(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 3, rows), middle = pt_unary(t, "Exp", x);
    pt_output(t, pt_unary(t, "Sqrt", pt_binary(t, "Mul", middle, x)));
    if (t->variant == 1) pt_output(t, pt_unary(t, "Flatten", middle));
    if (t->variant == 2) pt_output(t, middle);
}

/* A gate per row is not computed again for every element of the row. */
static void build_gate(pass_test *t)
{
    const int64_t gate[3] = {2, 37, 1};
    uint32_t x = pt_input(t, "x", 3, rows), g = pt_input(t, "g", 3, gate);
    uint32_t y = pt_binary(t, "Mul", x, pt_unary(t, "Sigmoid", pt_unary(t, "Neg", g)));
    pt_output(t, pt_unary(t, "Tanh", y));
}

/* A node far in front of its reader joins only where nothing has to wait for that: 0 and 2 read
   what is over then, 1 an input. */
static void build_far(pass_test *t)
{
    const int64_t turn[3] = {0, 2, 1};
    uint32_t x = pt_input(t, "x", 3, rows), a[3];
    for (int i = 0; i < 3; i++)
        a[i] = pt_transpose(t, pt_transpose(t, x, 3, turn), 3, turn);
    uint32_t sum = t->variant ? pt_unary(t, "Exp", t->variant == 1 ? x : a[0])
                              : pt_binary(t, "Add", a[0], a[1]);
    uint32_t other = pt_transpose(t, pt_transpose(t, a[2], 3, turn), 3, turn);
    pt_output(t, pt_transpose(t, pt_binary(t, "Mul", sum, other), 3, turn));
}

static void build_chain(pass_test *t)
{
    uint32_t y = pt_input(t, "x", 3, rows);
    for (int i = 0; i < t->variant; i++)
        y = i & 1 ? pt_unary(t, "Sqrt", y) : pt_unary(t, "Abs", y);
    pt_output(t, y);
}

static void groups_are_found(void **state)
{
    (void)state;
    expect(build_dag, 0, 1, 1);
    expect(build_parameters, 0, 1, 1);
    expect(build_parameters, 1, 1, 1);
    expect(build_parameters, 2, 0, 3);
    expect(build_parameters, 3, 0, 3);
    expect(build_read_elsewhere, 0, 1, 1);
    expect(build_read_elsewhere, 1, 1, 3);
    expect(build_read_elsewhere, 2, 1, 2);
    expect(build_gate, 0, 2, 2);
    expect(build_far, 0, 0, 11);
    expect(build_far, 1, 1, 6);
    expect(build_far, 2, 0, 9);
    expect(build_chain, 1, 0, 1);
    expect(build_chain, 24, 1, 1);
    expect(build_chain, 25, 1, 2);
    expect(build_chain, 100, 5, 5);
}

/* ---- bytes at both ends ---------------------------------------------------------------------- */

static uint32_t zero_point(pass_test *t, nnd_dtype type, int zero)
{
    uint8_t byte = (uint8_t)zero;
    nnd_tensor one;
    uint32_t id;
    assert_ok(nnd_tensor_init(&one, type, 0, NULL, &byte));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &one, &id));
    return id;
}

static uint32_t quantized(pass_test *t, uint32_t x, float scale, nnd_dtype type, int zero)
{
    const uint32_t in[3] = {x, pt_number(t, scale), zero_point(t, type, zero)};
    return pt_node_of(t, "QuantizeLinear", 3, in)->outputs[0];
}

static uint32_t dequantized(pass_test *t, uint32_t x, float scale, nnd_dtype type, int zero)
{
    const uint32_t in[3] = {x, pt_number(t, scale), zero_point(t, type, zero)};
    return pt_node_of(t, "DequantizeLinear", 3, in)->outputs[0];
}

/* x·Sigmoid(x)·factor from bytes to bytes. 0: u8, 1: i8; 2: the floats are read by another node, 3:
   the bytes in the middle are only made to be read again; 4: one scale per channel; 5: without zero
   points; 6: from i8 to u8. */
static void build_bytes(pass_test *t)
{
    const int64_t turn[3] = {0, 2, 1}, row[2] = {24, 1};
    const nnd_dtype from = t->variant == 1 || t->variant == 6 ? NND_I8 : NND_U8;
    const nnd_dtype to = t->variant == 1 ? NND_I8 : NND_U8;
    uint32_t x = pt_transpose(
        t, quantized(t, pt_input(t, "x", 3, rows), 0.01f, from, from == NND_I8 ? -3 : 120), 3,
        turn);
    const uint32_t each[2] = {x, pt_weights(t, 1, row)}, bare[2] = {x, pt_number(t, 0.01f)};
    uint32_t a = t->variant == 4   ? pt_node_of(t, "DequantizeLinear", 2, each)->outputs[0]
                 : t->variant == 5 ? pt_node_of(t, "DequantizeLinear", 2, bare)->outputs[0]
                                   : dequantized(t, x, 0.01f, from, from == NND_I8 ? -3 : 120);
    if (t->variant == 2) pt_output(t, pt_unary(t, "Flatten", a));
    uint32_t y = pt_binary(t, "Mul", a, pt_unary(t, "Sigmoid", a));
    y = pt_binary(t, "Mul", y, pt_weights(t, 2, row));
    if (t->variant == 3)
        y = pt_unary(t, "Neg", dequantized(t, quantized(t, y, 0.02f, to, 100), 0.02f, to, 100));
    const uint32_t last[2] = {y, pt_number(t, 0.004f)};
    y = t->variant == 5 ? pt_node_of(t, "QuantizeLinear", 2, last)->outputs[0]
                        : quantized(t, y, 0.004f, to, to == NND_I8 ? 7 : 133);
    pt_output(t, dequantized(t, pt_transpose(t, y, 3, turn), 0.004f, to, 5));
}

static void bytes_are_read_and_written(void **state)
{
    (void)state;
    expect(build_bytes, 0, 1, 5);
    expect(build_bytes, 1, 1, 5);
    expect(build_bytes, 2, 1, 7);
    expect(build_bytes, 3, 2, 6);
    expect(build_bytes, 4, 1, 6);
    expect(build_bytes, 5, 1, 5);
    expect(build_bytes, 6, 1, 5);
}

/* ---- other types, old rules ------------------------------------------------------------------ */

static void build_doubles(pass_test *t)
{
    uint32_t x;
    assert_ok(nnd_graph_add_input(t->g, "x", NND_F64, 3, rows, &x));
    pt_output(t, pt_unary(t, "Exp", pt_unary(t, "Neg", x)));
}

static void what_is_not_f32_stays(void **state)
{
    (void)state;
    size_t changes = 0;
    nnd_graph *g = pt_graph(build_doubles, 17, 0);
    assert_ok(nnd_passes_shapes(g));
    assert_ok(nnd_pass_elementwise(g, &changes));
    assert_int_equal(changes, 0);
    nnd_graph_destroy(g);
}

static void build_old(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 3, rows);
    pt_output(t, pt_binary(t, "Add", pt_binary(t, "Mul", x, x), x));
}

static void operands_that_broadcast_by_an_attribute_stay(void **state)
{
    (void)state;
    size_t changes = 0;
    nnd_graph *g = pt_graph(build_old, 6, 0);
    assert_ok(nnd_passes_shapes(g));
    assert_ok(nnd_pass_elementwise(g, &changes));
    assert_int_equal(changes, 0);
    nnd_graph_destroy(g);
}

/* ---- other shapes than the pass has seen ----------------------------------------------------- */

/* 0: not fused, at the shape; 1: open. */
static void build_open(pass_test *t)
{
    const int64_t open[3] = {-1, 5, -1}, shape[3] = {3, 5, 33}, row[2] = {5, 1};
    uint32_t x = pt_input(t, "x", 3, t->variant ? open : shape);
    uint32_t z = pt_input(t, "z", 3, t->variant ? open : shape);
    uint32_t y = pt_binary(t, "Mul", pt_unary(t, "Exp", x), pt_weights(t, 2, row));
    pt_output(t, pt_binary(t, "Sub", pt_unary(t, "Neg", z), y));
}

static nnd_graph *open_graph(int64_t rows_of_x, int64_t rows_of_z)
{
    nnd_graph *g = pt_graph(build_open, 17, 1);
    size_t changes = 0;
    assert_ok(nnd_passes_shapes(g));
    assert_ok(nnd_pass_elementwise(g, &changes));
    assert_int_equal(changes, 1);
    assert_int_equal(g->node_count, 1);
    for (size_t i = 0; i < 2; i++) {
        g->values[g->inputs[i]].dims[0] = i ? rows_of_z : rows_of_x;
        g->values[g->inputs[i]].dims[2] = 33;
    }
    return g;
}

static void shapes_may_be_others(void **state)
{
    (void)state;
    nnd_tensor got, want;
    nnd_graph *g = open_graph(3, 3), *plain = pt_graph(build_open, 17, 0);
    pt_run(g, &got);
    pt_run(plain, &want);
    assert_same(&got, &want);
    nnd_free(got.data);
    nnd_free(want.data);
    nnd_graph_destroy(plain);
    nnd_graph_destroy(g);
    /* One part's result is repeated after all; nothing at all is no trouble either. */
    g = open_graph(1, 4);
    pt_run(g, &got);
    assert_int_equal(got.dims[0], 4);
    nnd_free(got.data);
    nnd_graph_destroy(g);
    g = open_graph(0, 1);
    pt_run(g, &got);
    assert_int_equal(nnd_tensor_count(&got), 0);
    nnd_free(got.data);
    nnd_graph_destroy(g);
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    nnd_graph *g = open_graph(2, 3);
    nnd_tensor in[2];
    nnd_plan *plan;
    const nnd_plan_options options = {.max_arena_bytes = 1 << 20};
    for (size_t i = 0; i < 2; i++) {
        const nnd_graph_value *v = &g->values[g->inputs[i]];
        assert_ok(nnd_tensor_init(&in[i], NND_F32, 3, v->dims, NULL));
    }
    assert_status(nnd_plan_create(g, in, &options, &plan), NND_E_SHAPE);
    nnd_graph_destroy(g);
}

/* ---- random graphs --------------------------------------------------------------------------- */

static const int64_t sizes[] = {1, 2, 3, 5, 16, 17, 48, 130, 300, 1500};

typedef struct maker {
    pass_test *t;
    int rank;
    int64_t dims[NND_MAX_RANK];
    uint32_t pool[64]; /* values to read */
    size_t count;
} maker;

static size_t draw(pass_test *t, size_t below)
{
    (void)pt_random(t);
    return (size_t)(t->seed >> 10) % below;
}

/* Of the result's shape, or repeated along some of its dimensions. */
static int operand_shape(maker *m, int64_t *dims)
{
    int rank = draw(m->t, 3) ? m->rank : (int)draw(m->t, (size_t)m->rank + 1);
    bool whole = rank == m->rank && draw(m->t, 2);
    for (int i = 0; i < rank; i++)
        dims[i] = !whole && draw(m->t, 2) ? 1 : m->dims[m->rank - rank + i];
    return rank;
}

static uint32_t condition(maker *m)
{
    int64_t dims[NND_MAX_RANK];
    nnd_tensor mask;
    uint32_t id;
    int rank = operand_shape(m, dims);
    assert_ok(nnd_tensor_init(&mask, NND_BOOL, rank, dims, NULL));
    size_t n = (size_t)nnd_tensor_count(&mask);
    uint8_t *bytes = nnd_calloc(n + 1, 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = draw(m->t, 2) != 0;
    mask.data = bytes;
    assert_ok(nnd_graph_add_constant(m->t->g, NULL, &mask, &id));
    nnd_free(bytes);
    return id;
}

static uint32_t any(maker *m)
{
    int64_t dims[NND_MAX_RANK];
    size_t kind = draw(m->t, 8);
    if (kind == 0) return pt_number(m->t, pt_random(m->t));
    if (kind == 1) {
        int rank = operand_shape(m, dims);
        return pt_weights(m->t, rank, dims);
    }
    size_t back = draw(m->t, kind < 5 ? 3 : m->count); /* the last ones make long chains */
    return m->pool[m->count - 1 - (back < m->count ? back : 0)];
}

/* To bytes and back, with a scale and a zero point of its own. */
static uint32_t bytes_between(maker *m)
{
    bool is_signed = draw(m->t, 2);
    float scale = 0.004f * (float)(1 + draw(m->t, 9));
    int zero = is_signed ? (int)draw(m->t, 256) - 128 : (int)draw(m->t, 256);
    uint32_t bytes = quantized(m->t, any(m), scale, is_signed ? NND_I8 : NND_U8, zero);
    return dequantized(m->t, bytes, scale, is_signed ? NND_I8 : NND_U8, zero);
}

static uint32_t random_node(maker *m)
{
    static const char *const unaries[] = {
        "Neg",  "Abs",  "Exp",       "Log",         "Sqrt",      "Floor",      "Sigmoid",
        "Tanh", "Relu", "Erf",       "Softplus",    "HardSwish", "Reciprocal", "Sin",
        "Sign", "Elu",  "LeakyRelu", "HardSigmoid", "Celu",      "Softsign"};
    static const char *const binaries[] = {"Add", "Sub", "Mul", "Div", "Min", "Max", "Sum"};
    uint32_t in[3];
    switch (draw(m->t, 11)) {
    case 0:
        in[0] = condition(m), in[1] = any(m), in[2] = any(m);
        return pt_node_of(m->t, "Where", 3, in)->outputs[0];
    case 1:
        in[0] = any(m);
        in[1] = pt_number(m->t, draw(m->t, 2) ? 2.0f : 1.5f);
        return pt_binary(m->t, "Pow", in[0], in[1]);
    case 2:
        in[0] = any(m), in[1] = pt_number(m->t, -0.5f), in[2] = pt_number(m->t, 0.75f);
        return pt_node_of(m->t, "Clip", 3, in)->outputs[0];
    case 3:
        return bytes_between(m);
    case 4:
    case 5:
    case 6:
        in[0] = any(m); /* drawn first: the same graphs with every compiler */
        return pt_unary(m->t, unaries[draw(m->t, NND_COUNT(unaries))], in[0]);
    default:
        in[0] = any(m), in[1] = any(m);
        return pt_binary(m->t, binaries[draw(m->t, NND_COUNT(binaries))], in[0], in[1]);
    }
}

static void build_random(pass_test *t)
{
    static const char *const names[3] = {"a", "b", "c"};
    maker m = {.t = t};
    t->seed = (uint32_t)t->variant * 2654435761u + 1;
    m.rank = 1 + (int)draw(t, 5);
    int64_t total = 1;
    for (int i = 0; i < m.rank; i++) {
        m.dims[i] = sizes[draw(t, NND_COUNT(sizes))];
        if (total * m.dims[i] > 20000) m.dims[i] = 1 + (int64_t)draw(t, 3);
        total *= m.dims[i];
    }
    for (int i = 0; i < 3; i++) {
        int64_t dims[NND_MAX_RANK];
        int rank = i ? operand_shape(&m, dims) : m.rank;
        m.pool[m.count++] = pt_input(t, names[i], rank, i ? dims : m.dims);
    }
    size_t nodes = 2 + draw(t, 40);
    for (size_t i = 0; i < nodes; i++) {
        m.pool[m.count++] = random_node(&m);
        if (draw(t, 12) == 0 && t->g->output_count + 2 < PT_OUTPUTS) {
            pt_output(t, m.pool[m.count - 1]);
            m.pool[m.count - 1] = m.pool[m.count - 2]; /* outputs are read by others now and then */
        }
    }
    pt_output(t, pt_binary(t, "Add", m.pool[m.count - 1], m.pool[0]));
}

/* Memory depends on the graph only, so many more are tried with one instruction set where
   NNDEPLOY_TEST_FULL says so. */
static int variants(bool best)
{
    const char *full = getenv("NNDEPLOY_TEST_FULL");
    return best && full && full[0] ? 10000 : 500;
}

/* Groups that let several values wait for bytes, or make a packing of memory that fits badly. */
static void what_would_need_more_memory_is_left(void **state)
{
    (void)state;
    static const int larger_with_all_groups[] = {1335, 1415, 2830, 7796, 9586};
    for (size_t i = 0; i < NND_COUNT(larger_with_all_groups); i++) {
        size_t changes;
        nnd_graph_destroy(compare(build_random, larger_with_all_groups[i], NULL, &changes));
    }
}

static void random_graphs_give_the_same_bits(void **state)
{
    (void)state;
    static const nnd_isa isas[] = {NND_ISA_REFERENCE, NND_ISA_AVX2, NND_ISA_AVX512, NND_ISA_NEON};
    const nnd_isa best = nnd_isa_current();
    nnd_gang *gang;
    size_t groups = 0;
    assert_ok(nnd_gang_acquire(4, &gang));
    for (size_t i = 0; i < NND_COUNT(isas); i++) {
        if (!nnd_isa_has(isas[i])) continue;
        assert_ok(nnd_isa_force(isas[i]));
        for (int variant = 0; variant < variants(isas[i] == best); variant++) {
            size_t changes;
            nnd_graph_destroy(compare(build_random, variant, variant % 3 ? gang : NULL, &changes));
            groups += changes;
        }
    }
    nnd_gang_release(gang);
    assert_ok(nnd_isa_force(best));
    assert_true(groups > 500);
}

/* ---- channels in blocks ---------------------------------------------------------------------- */

/* 20 channels: some lanes hold nothing, and are divided by that. */
static void build_blocks(pass_test *t)
{
    const int64_t picture[4] = {2, 20, 9, t->variant ? 40 : 7}, kernel[4] = {20, 20, 1, 1};
    const int64_t per_channel[4] = {1, 20, 1, 1}, short_form[3] = {20, 1, 1};
    uint32_t x = pt_input(t, "x", 4, picture);
    uint32_t a = pt_binary(t, "Conv", x, pt_weights(t, 4, kernel));
    uint32_t b = pt_binary(t, "Div", pt_unary(t, "Exp", a), pt_weights(t, 4, per_channel));
    b = pt_binary(t, "Sub", b, pt_weights(t, 3, short_form));
    b = pt_binary(t, "Max", pt_unary(t, "Abs", b), a);
    b = pt_binary(t, "Mul", b, pt_number(t, 0.3f));
    uint32_t y = pt_binary(t, "Conv", b, pt_weights(t, 4, kernel));
    pt_output(t, pt_unary(t, "Exp", pt_unary(t, "Neg", y)));
}

static nnd_graph *passed(int variant, uint32_t passes)
{
    nnd_graph *g = pt_graph(build_blocks, 17, variant);
    nnd_pass_report report = NND_PASS_REPORT_INIT;
    assert_ok(nnd_passes_run(g, passes, &report));
    nnd_pass_report_fini(&report);
    return g;
}

static void blocks_give_the_same_bits(void **state)
{
    (void)state;
    static const nnd_isa isas[] = {NND_ISA_REFERENCE, NND_ISA_AVX2, NND_ISA_AVX512, NND_ISA_NEON};
    const nnd_isa best = nnd_isa_current();
    for (size_t i = 0; i < NND_COUNT(isas) * 2; i++) {
        nnd_tensor got, want;
        if (!nnd_isa_has(isas[i / 2])) continue;
        assert_ok(nnd_isa_force(isas[i / 2]));
        nnd_graph *g = passed((int)(i & 1), NND_PASSES_ALL);
        nnd_graph *plain = passed((int)(i & 1), NND_PASSES_ALL & ~(1u << NND_PASS_ELEMENTWISE));
        assert_int_equal(pt_count(g, "Elementwise"), 2);
        assert_int_equal(g->node_count + 6, plain->node_count);
        pt_run(g, &got);
        pt_run(plain, &want);
        assert_same(&got, &want);
        nnd_free(got.data);
        nnd_free(want.data);
        nnd_graph_destroy(plain);
        nnd_graph_destroy(g);
    }
    assert_ok(nnd_isa_force(best));
}

/* ---- for people ------------------------------------------------------------------------------ */

static void a_group_is_printed_with_its_parts(void **state)
{
    (void)state;
    size_t changes;
    nnd_graph *g = compare(build_read_elsewhere, 0, NULL, &changes);
    char *text = nnd_graph_print(g);
    assert_non_null(text);
    assert_non_null(strstr(text, "= Elementwise(%x) ops='Exp,Mul,Sqrt'"));
    assert_non_null(strstr(text, "= Mul("));
    nnd_free(text);
    nnd_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_found),
        cmocka_unit_test(bytes_are_read_and_written),
        cmocka_unit_test(what_is_not_f32_stays),
        cmocka_unit_test(operands_that_broadcast_by_an_attribute_stay),
        cmocka_unit_test(shapes_may_be_others),
        cmocka_unit_test(shapes_that_do_not_fit_are_refused),
        cmocka_unit_test(what_would_need_more_memory_is_left),
        cmocka_unit_test(random_graphs_give_the_same_bits),
        cmocka_unit_test(blocks_give_the_same_bits),
        cmocka_unit_test(a_group_is_printed_with_its_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
