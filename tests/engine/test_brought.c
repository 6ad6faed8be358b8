/* Kernels that are brought for operators that exist: which nodes they take, fallbacks, faults. */
#include "ir_support.h"
#include "support/oom.h"

#include <math.h>
#include <stdatomic.h>

enum { IN = 37, OUT = 5, MOST_ROWS = 64 };
static float weights[OUT * IN], bias[OUT], input[MOST_ROWS * IN];

/* How the kernels behave, and what they saw. */
static struct {
    bool gemm, small;              /* whether they say that they can */
    nnd_status prepare, plan, run; /* of "test.gemm" */
    bool describes;                /* its run describes an output */
    int64_t most_rows;             /* that it says it can do */
    atomic_int prepared, released, runs, small_runs, offers;
} the;

/* ---- the kernels ----------------------------------------------------------------------------- */

static bool gemm_supports(const nnd_operator_call *call)
{
    atomic_fetch_add(&the.offers, 1);
    return the.gemm && call->inputs[1]->data &&
           call->tools->attribute_int(call, "transB", 0) == 1 && call->output_count == 1 &&
           call->outputs[0].dtype == NND_F32 &&
           call->outputs[0].dims[1] == call->inputs[1]->dims[0] &&
           call->inputs[0]->dims[0] <= the.most_rows;
}

/* The weights, transposed. */
static nnd_status gemm_prepare(nnd_operator_call *call, void **state)
{
    const nnd_tensor *w = call->inputs[1];
    if (the.prepare != NND_OK)
        return call->tools->error_set(call, the.prepare, "it is %s", "Sunday");
    float *packed = nnd_calloc(IN * OUT, sizeof(*packed));
    if (!packed) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for weights");
    for (int64_t i = 0; i < IN * OUT; i++)
        packed[i % IN * OUT + i / IN] = ((const float *)w->data)[i];
    *state = packed;
    atomic_fetch_add(&the.prepared, 1);
    return NND_OK;
}

static void gemm_release(void *state)
{
    nnd_free(state);
    atomic_fetch_add(&the.released, 1);
}

static nnd_status gemm_plan(nnd_operator_call *call, size_t *workspace_bytes)
{
    *workspace_bytes = nnd_tensor_bytes(&call->outputs[0]);
    return the.plan;
}

static nnd_status gemm_tile(void *user, size_t row, int lane)
{
    const nnd_operator_call *call = user;
    const float *x = call->inputs[0]->data, *b = call->inputs[2]->data, *w = call->state;
    float *sums = (float *)call->workspace + row * OUT, *y = call->outputs[0].data;
    (void)lane;
    for (int m = 0; m < OUT; m++)
        sums[m] = b[m];
    for (int i = 0; i < IN; i++)
        for (int m = 0; m < OUT; m++)
            sums[m] += x[row * IN + (size_t)i] * w[i * OUT + m];
    memcpy(y + row * OUT, sums, OUT * sizeof(*y));
    return NND_OK;
}

static nnd_status gemm_run(nnd_operator_call *call)
{
    atomic_fetch_add(&the.runs, 1);
    if (the.run != NND_OK) return call->tools->error_set(call, the.run, "out of %s", "ink");
    if (the.describes) NND_TRY(call->tools->describe_output(call, 0, NND_F32, 1, (int64_t[]){7}));
    return call->tools->parallel_for(call, (size_t)call->inputs[0]->dims[0], gemm_tile, call);
}

static const nnd_kernel gemm = {.struct_size = sizeof(nnd_kernel),
                                .domain = "",
                                .op = "Gemm",
                                .name = "test.gemm",
                                .since = 7,
                                .dtypes = UINT64_C(1) << NND_F32,
                                .supports = gemm_supports,
                                .run = gemm_run,
                                .prepare = gemm_prepare,
                                .release = gemm_release,
                                .plan = gemm_plan};

/* One row, no state; comes before the other one. */
static bool small_supports(const nnd_operator_call *call)
{
    return the.small && call->inputs[0]->dims[0] == 1;
}

static nnd_status small_run(nnd_operator_call *call)
{
    const float *x = call->inputs[0]->data, *w = call->inputs[1]->data;
    float *y = call->outputs[0].data;
    atomic_fetch_add(&the.small_runs, 1);
    for (int m = 0; m < OUT; m++) {
        double sum = (double)((const float *)call->inputs[2]->data)[m];
        for (int i = 0; i < IN; i++)
            sum += (double)x[i] * (double)w[m * IN + i];
        y[m] = (float)sum;
    }
    return NND_OK;
}

static const nnd_kernel small = {.struct_size = offsetof(nnd_kernel, prepare), /* an old table */
                                 .domain = "",
                                 .op = "Gemm",
                                 .name = "test.small",
                                 .since = 1,
                                 .priority = 5,
                                 .supports = small_supports,
                                 .run = small_run};

/* Never to be called: for other types, versions and machines. */
static bool never_supports(const nnd_operator_call *call)
{
    (void)call;
    fail_msg("a kernel was asked that is not for this");
    return true;
}

static nnd_status never_run(nnd_operator_call *call)
{
    (void)call;
    return NND_E_INTERNAL;
}

#define NEVER(name_, ...)                                                                          \
    {                                                                                              \
        .struct_size = sizeof(nnd_kernel), .domain = "", .op = "Gemm", .name = name_, .since = 1,  \
        .priority = 100, .supports = never_supports, .run = never_run, __VA_ARGS__                 \
    }
static const nnd_kernel never[] = {
    NEVER("test.f64", .dtypes = UINT64_C(1) << NND_F64),
    NEVER("test.old", .until = 6),
    NEVER("test.new", .dtypes = UINT64_C(1) << NND_F64 | UINT64_C(1) << NND_F16),
    NEVER("test.unknown_isa", .isa = "abacus"),
#if defined(__x86_64__) || defined(_M_X64)
    NEVER("test.isa", .isa = "neon"),
#else
    NEVER("test.isa", .isa = "avx2"),
#endif
};

/* ---- models ---------------------------------------------------------------------------------- */

/* y = relu(x · wᵀ + b); rows −1 = open. */
static nnd_ir *build(int64_t rows)
{
    nnd_ir *ir;
    nnd_tensor w, b;
    nnd_ir_type x = {.dtype = NND_F32, .rank = 2, .dims = {{rows, NULL}, {IN, NULL}}};
    nnd_ir_attribute attributes[] = {NND_IR_INT("transB", 1)};
    const char *in[] = {"x", "w", "b"}, *hidden[] = {"h"}, *out[] = {"y"};
    nnd_ir_node layer = {.op = "Gemm", .name = "dense", .inputs = in, .outputs = hidden};
    nnd_ir_node relu = {.op = "Relu", .inputs = hidden, .outputs = out};
    layer.input_count = 3;
    layer.output_count = layer.attribute_count = relu.input_count = relu.output_count = 1;
    layer.attributes = attributes;
    assert_ok(nnd_tensor_init(&w, NND_F32, 2, (int64_t[]){OUT, IN}, weights));
    assert_ok(nnd_tensor_init(&b, NND_F32, 1, (int64_t[]){OUT}, bias));
    assert_ok(nnd_ir_create("net", 17, &ir));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_ir_add_input(g, "x", &x));
    assert_ok(nnd_ir_add_constant(g, "w", &w));
    assert_ok(nnd_ir_add_constant(g, "b", &b));
    assert_ok(nnd_ir_add_node(g, &layer));
    assert_ok(nnd_ir_add_node(g, &relu));
    assert_ok(nnd_ir_add_output(g, "y", NULL));
    return ir;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

typedef enum owner { IF, LOOP, SCAN, NESTED, OWNERS } owner;
enum { ROUNDS = 3 };

/* "h" = x · wᵀ + b in a body that is the output's only one. */
static void add_layer(nnd_ir_graph *g, const char *x)
{
    nnd_ir_attribute attributes[] = {NND_IR_INT("transB", 1)};
    const char *in[] = {x, "w", "b"}, *out[] = {"h"};
    nnd_ir_node layer = {.op = "Gemm", .name = "dense", .inputs = in, .outputs = out};
    layer.input_count = 3;
    layer.output_count = layer.attribute_count = 1;
    layer.attributes = attributes;
    assert_ok(nnd_ir_add_node(g, &layer));
    assert_ok(nnd_ir_add_output(g, "h", NULL));
}

/* y = If(flag): the layer; else its second branch, the layer of −x. */
static void add_if(nnd_ir_graph *g, const char *result)
{
    nnd_ir_graph *yes, *no;
    const char *x[] = {"x"}, *minus[] = {"minus"}, *flag[] = {"flag"}, *out[] = {result};
    nnd_ir_node neg = {.op = "Neg", .inputs = x, .outputs = minus};
    neg.input_count = neg.output_count = 1;
    assert_ok(nnd_ir_add_body(g, "yes", &yes));
    add_layer(yes, "x");
    assert_ok(nnd_ir_add_body(g, "no", &no));
    assert_ok(nnd_ir_add_node(no, &neg));
    add_layer(no, "minus");
    nnd_ir_attribute bodies[] = {NND_IR_GRAPH("then_branch", yes), NND_IR_GRAPH("else_branch", no)};
    nnd_ir_node node = {.op = "If", .inputs = flag, .outputs = out, .attributes = bodies};
    node.input_count = node.output_count = 1;
    node.attribute_count = 2;
    assert_ok(nnd_ir_add_node(g, &node));
}

/* y[i] = the layer of x, or that of If, for every round i. */
static void add_loop(nnd_ir_graph *g, bool nested)
{
    nnd_ir_graph *body;
    const nnd_ir_type number = {.dtype = NND_I64}, truth = {.dtype = NND_BOOL};
    const char *in[] = {"rounds", NULL}, *out[] = {"y"};
    assert_ok(nnd_ir_add_body(g, "body", &body));
    assert_ok(nnd_ir_add_input(body, "i", &number));
    assert_ok(nnd_ir_add_input(body, "goes_on", &truth));
    assert_ok(nnd_ir_add_output(body, "goes_on", &truth));
    if (nested) add_if(body, "chosen");
    if (nested) assert_ok(nnd_ir_add_output(body, "chosen", NULL));
    if (!nested) add_layer(body, "x");
    nnd_ir_attribute bodies[] = {NND_IR_GRAPH("body", body)};
    nnd_ir_node node = {.op = "Loop", .inputs = in, .outputs = out, .attributes = bodies};
    node.input_count = 2;
    node.output_count = node.attribute_count = 1;
    assert_ok(nnd_ir_add_node(g, &node));
}

/* y[i] = the layer of xs[i]. */
static void add_scan(nnd_ir_graph *g)
{
    nnd_ir_graph *body;
    const nnd_ir_type slice = {.dtype = NND_F32, .rank = -1};
    const char *in[] = {"xs"}, *out[] = {"y"};
    assert_ok(nnd_ir_add_body(g, "body", &body));
    assert_ok(nnd_ir_add_input(body, "slice", &slice));
    add_layer(body, "slice");
    nnd_ir_attribute attributes[] = {NND_IR_GRAPH("body", body), NND_IR_INT("num_scan_inputs", 1)};
    nnd_ir_node node = {.op = "Scan", .inputs = in, .outputs = out, .attributes = attributes};
    node.input_count = node.output_count = 1;
    node.attribute_count = 2;
    assert_ok(nnd_ir_add_node(g, &node));
}

static nnd_ir *build_owner(owner kind, int64_t rows)
{
    nnd_ir *ir;
    nnd_tensor w, b;
    const nnd_ir_type flag = {.dtype = NND_BOOL}, number = {.dtype = NND_I64};
    const nnd_ir_type x = {.dtype = NND_F32, .rank = 2, .dims = {{rows, NULL}, {IN, NULL}}};
    const nnd_ir_type xs = {
        .dtype = NND_F32, .rank = 3, .dims = {{ROUNDS, NULL}, {rows, NULL}, {IN, NULL}}};
    assert_ok(nnd_tensor_init(&w, NND_F32, 2, (int64_t[]){OUT, IN}, weights));
    assert_ok(nnd_tensor_init(&b, NND_F32, 1, (int64_t[]){OUT}, bias));
    assert_ok(nnd_ir_create("net", 17, &ir));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_ir_add_input(g, kind == SCAN ? "xs" : "x", kind == SCAN ? &xs : &x));
    if (kind == IF || kind == NESTED) assert_ok(nnd_ir_add_input(g, "flag", &flag));
    if (kind == LOOP || kind == NESTED) assert_ok(nnd_ir_add_input(g, "rounds", &number));
    assert_ok(nnd_ir_add_constant(g, "w", &w));
    assert_ok(nnd_ir_add_constant(g, "b", &b));
    if (kind == IF) add_if(g, "y");
    if (kind == SCAN) add_scan(g);
    if (kind == LOOP || kind == NESTED) add_loop(g, kind == NESTED);
    assert_ok(nnd_ir_add_output(g, "y", NULL));
    return ir;
}

static void bind(nnd_engine_request *r, size_t i, nnd_dtype dtype, int rank, const int64_t *dims,
                 void *data)
{
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, dtype, rank, dims, data));
    assert_ok(nnd_engine_request_bind_input(r, i, &t));
}

/* Runs with so many rows; the layer was computed by the kernel so many times. */
static void expect_in_body(nnd_engine_model *model, owner kind, int64_t rows, int runs)
{
    uint8_t yes = 1;
    int64_t rounds = kind == IF ? 1 : ROUNDS, dims[3] = {ROUNDS, rows, IN};
    nnd_engine_request *r;
    nnd_tensor y;
    assert_ok(nnd_engine_request_create(model, &r));
    bind(r, 0, NND_F32, kind == SCAN ? 3 : 2, kind == SCAN ? dims : dims + 1, input);
    if (kind == IF || kind == NESTED) bind(r, 1, NND_BOOL, 0, NULL, &yes);
    if (kind == LOOP || kind == NESTED) bind(r, kind == LOOP ? 1 : 2, NND_I64, 0, NULL, &rounds);
    atomic_store(&the.runs, 0);
    assert_ok(nnd_engine_request_run(r, 2, NULL));
    assert_int_equal(atomic_load(&the.runs), runs);
    assert_ok(nnd_engine_request_output(r, 0, &y));
    assert_int_equal(nnd_tensor_count(&y), rounds * rows * OUT);
    for (int64_t i = 0; i < rounds * rows; i++) {
        const float *x = input + (kind == SCAN ? i : i % rows) * IN;
        for (int64_t m = 0; m < OUT; m++) {
            double sum = (double)bias[m];
            for (int64_t k = 0; k < IN; k++)
                sum += (double)x[k] * (double)weights[m * IN + k];
            assert_float_equal(((const float *)y.data)[i * OUT + m], (float)sum, 1e-4);
        }
    }
    nnd_engine_request_destroy(r);
}

static nnd_engine_model *load(int64_t rows, const nnd_engine_options *options)
{
    nnd_engine_model *model;
    assert_ok(nnd_engine_model_load_ir(build(rows), options, &model));
    return model;
}

static void check(const float *y, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t m = 0; m < OUT; m++) {
            double sum = (double)bias[m];
            for (int64_t i = 0; i < IN; i++)
                sum += (double)input[r * IN + i] * (double)weights[m * IN + i];
            assert_float_equal(y[r * OUT + m], (float)(sum > 0 ? sum : 0), 1e-4);
        }
    }
}

/* Runs; the first step is the Gemm, with this kernel; so many steps in all (0 = any). */
static void expect(nnd_engine_model *model, int64_t rows, const char *kernel, size_t steps)
{
    static float first[MOST_ROWS * OUT];
    for (int threads = 1; threads <= 3; threads++) {
        nnd_engine_request *r;
        nnd_engine_step_profile step;
        nnd_tensor x, y;
        assert_ok(nnd_tensor_init(&x, NND_F32, 2, (int64_t[]){rows, IN}, input));
        assert_ok(nnd_engine_request_create(model, &r));
        assert_ok(nnd_engine_request_bind_input(r, 0, &x));
        nnd_engine_request_set_profile(r, true);
        assert_ok(nnd_engine_request_run(r, threads, NULL));
        assert_ok(nnd_engine_request_output(r, 0, &y));
        check(y.data, rows);
        if (threads == 1) memcpy(first, y.data, nnd_tensor_bytes(&y));
        assert_memory_equal(first, y.data, nnd_tensor_bytes(&y));
        assert_ok(nnd_engine_request_profile_step(r, 0, &step));
        assert_string_equal(step.op, "Gemm");
        assert_memory_equal(step.kernel, kernel, strlen(kernel)); /* "gemm", of any precision */
        assert_int_equal(step.flops, 2 * rows * IN * OUT);
        if (steps) assert_int_equal(nnd_engine_request_profile_count(r), steps);
        nnd_engine_request_destroy(r);
    }
}

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < OUT * IN; i++)
        weights[i] = (float)(i * 7 % 23 - 11) / 16;
    for (int i = 0; i < MOST_ROWS * IN; i++)
        input[i] = (float)(i * 5 % 17 - 8) / 8;
    for (int i = 0; i < OUT; i++)
        bias[i] = (float)i / 4;
    for (size_t i = 0; i < NND_COUNT(never); i++)
        assert_ok(nnd_kernel_register(&never[i]));
    assert_ok(nnd_kernel_register(&gemm));
    assert_ok(nnd_kernel_register(&gemm)); /* the same table again */
    assert_ok(nnd_kernel_register(&small));
    return nnd_sched_set_threads(3);
}

static int fresh(void **state)
{
    (void)state;
    memset(&the, 0, sizeof(the));
    the.gemm = true;
    the.most_rows = MOST_ROWS;
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void it_computes_the_nodes_that_it_takes(void **state)
{
    (void)state;
    nnd_engine_model *model = load(4, NULL);
    /* Nothing is fused into its node: two steps. */
    expect(model, 4, "test.gemm", 2);
    assert_int_equal(atomic_load(&the.runs), 3);
    assert_int_equal(atomic_load(&the.prepared), 1);
    nnd_engine_model_unref(model);
    assert_int_equal(atomic_load(&the.released), 1);
}

static void what_it_does_not_take_is_as_without_it(void **state)
{
    (void)state;
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    the.gemm = false;
    nnd_engine_model *model = load(4, NULL);
    expect(model, 4, "gemm", 1); /* with Relu inside */
    nnd_engine_model_unref(model);
    assert_true(atomic_load(&the.offers) > 0);
    the.gemm = true;
    options.only_own_kernels = true;
    atomic_store(&the.offers, 0);
    model = load(4, &options);
    expect(model, 4, "gemm", 1);
    nnd_engine_model_unref(model);
    assert_int_equal(atomic_load(&the.offers), 0);
    assert_int_equal(atomic_load(&the.runs), 0);
}

static void the_higher_priority_comes_first(void **state)
{
    (void)state;
    the.small = true;
    nnd_engine_model *model = load(1, NULL);
    expect(model, 1, "test.small", 2);
    nnd_engine_model_unref(model);
    assert_int_equal(atomic_load(&the.small_runs), 3);
    assert_int_equal(atomic_load(&the.prepared), 0);
    model = load(2, NULL); /* it does one row only */
    expect(model, 2, "test.gemm", 2);
    nnd_engine_model_unref(model);
}

/* With open sizes the kernel is asked again, and the engine is ready to do it itself. */
static void other_shapes_fall_back(void **state)
{
    (void)state;
    the.most_rows = 3;
    nnd_engine_model *model = load(-1, NULL);
    expect(model, 2, "test.gemm", 2);
    expect(model, 5, "gemm", 2);
    expect(model, 3, "test.gemm", 2);
    expect(model, MOST_ROWS, "gemm", 2);
    assert_int_equal(atomic_load(&the.runs), 6);
    nnd_engine_model_unref(model);
    assert_int_equal(atomic_load(&the.released), 1);
}

static void a_kernel_may_decline_later(void **state)
{
    (void)state;
    the.prepare = NND_E_UNSUPPORTED;
    nnd_engine_model *model = load(4, NULL);
    expect(model, 4, "gemm", 2);
    nnd_engine_model_unref(model);
    assert_int_equal(atomic_load(&the.released), 0);
    the.prepare = NND_OK;
    the.plan = NND_E_UNSUPPORTED;
    model = load(-1, NULL);
    expect(model, 4, "gemm", 2);
    nnd_engine_model_unref(model);
    /* Also where the engine did not expect that: right all the same. */
    model = load(4, NULL);
    nnd_engine_model_unref(model);
    assert_int_equal(atomic_load(&the.runs), 0);
    assert_int_equal(atomic_load(&the.released), 2);
}

/* What was measured for a shape goes first; where that is the engine, the node is open to the
   passes again. */
static void choices_go_before_priorities(void **state)
{
    (void)state;
    static const struct {
        nnd_engine_kernel choice;
        int64_t rows;
        const char *kernel;
        size_t steps;
    } cases[] = {
        {{"Gemm", "Gemm f32[4,37] f32[5,37] f32[5] -> f32[4,5]", "engine"}, 4, "gemm", 1},
        {{"Gemm", "Gemm f32[3,37] f32[5,37] f32[5] -> f32[3,5]", "engine"}, 4, "test.gemm", 2},
        {{"*", "*", "engine"}, 4, "gemm", 2},
        {{"Gemm", "Gemm f32[1,37] f32[5,37] f32[5] -> f32[1,5]", "test.gemm"}, 1, "test.gemm", 2},
        {{"*", "*", "test.gemm"}, 1, "test.gemm", 2},
        {{"*", "*", "test.gemm"}, 4, "test.gemm", 2},
        {{"Gemm", "Gemm f32[4,37] f32[5,37] f32[5] -> f32[4,5]", "test.small"}, 4, "test.gemm", 2},
    };
    the.small = true;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
        options.kernels = &cases[i].choice;
        options.kernel_count = 1;
        nnd_engine_model *model = load(cases[i].rows, &options);
        expect(model, cases[i].rows, cases[i].kernel, cases[i].steps);
        nnd_engine_model_unref(model);
    }
    const nnd_engine_kernel unknown = {"Gemm", "*", "test.nobody"};
    assert_status(nnd_engine_kernel_check(&unknown), NND_E_INVALID_ARGUMENT);
    nnd_error_clear();
}

/* What stays in a body is offered with the shapes of a first round, and asked again at its own. */
static void nodes_in_bodies_are_offered(void **state)
{
    (void)state;
    for (owner kind = IF; kind < OWNERS; kind++) {
        int each = kind == IF ? 1 : ROUNDS;
        for (int open = 0; open < 2; open++) {
            nnd_engine_model *model;
            fresh(state);
            the.most_rows = 4;
            assert_ok(nnd_engine_model_load_ir(build_owner(kind, open ? -1 : 4), NULL, &model));
            expect_in_body(model, kind, 4, each);
            if (open) expect_in_body(model, kind, 7, 0);
            if (open) expect_in_body(model, kind, 2, each);
            nnd_engine_model_unref(model);
            assert_int_equal(atomic_load(&the.released), atomic_load(&the.prepared));
        }
        fresh(state);
        the.gemm = false;
        nnd_engine_model *model;
        assert_ok(nnd_engine_model_load_ir(build_owner(kind, 4), NULL, &model));
        expect_in_body(model, kind, 4, 0);
        nnd_engine_model_unref(model);
    }
}

static void expect_failure(nnd_engine_model *model, nnd_status status, const char *a, const char *b)
{
    nnd_engine_request *r;
    nnd_tensor x;
    assert_ok(nnd_tensor_init(&x, NND_F32, 2, (int64_t[]){4, IN}, input));
    assert_ok(nnd_engine_request_create(model, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    assert_status(nnd_engine_request_run(r, 2, NULL), status);
    nnd_error *error = nnd_error_take();
    char *text = nnd_error_to_string(error);
    if (!strstr(text, a) || !strstr(text, b)) fail_msg("'%s' or '%s' is not in: %s", a, b, text);
    nnd_free(text);
    nnd_error_destroy(error);
    nnd_engine_request_destroy(r);
}

static void failures_are_named(void **state)
{
    (void)state;
    nnd_engine_model *model;
    the.prepare = NND_E_IO;
    assert_status(nnd_engine_model_load_ir(build(4), NULL, &model), NND_E_IO);
    nnd_error *error = nnd_error_take();
    char *text = nnd_error_to_string(error);
    assert_non_null(strstr(text, "test.gemm"));
    assert_non_null(strstr(text, "it is Sunday"));
    nnd_free(text);
    nnd_error_destroy(error);
    the.prepare = NND_OK;
    the.plan = NND_E_LIMIT;
    assert_status(nnd_engine_model_load_ir(build(4), NULL, &model), NND_E_LIMIT);
    nnd_error_clear();
    the.plan = NND_OK;
    model = load(4, NULL);
    the.run = NND_E_BACKEND;
    expect_failure(model, NND_E_BACKEND, "test.gemm", "out of ink");
    /* The shapes of results are the engine's. */
    the.run = NND_OK;
    the.describes = true;
    expect_failure(model, NND_E_STATE, "test.gemm", "in infer only");
    the.describes = false;
    expect(model, 4, "test.gemm", 2); /* a failed run spoils nothing */
    nnd_engine_model_unref(model);
    assert_int_equal(atomic_load(&the.released), atomic_load(&the.prepared));
}

static void expect_refused(const nnd_kernel *k, nnd_status status, const char *words)
{
    assert_status(nnd_kernel_register(k), status);
    const char *text = error_text();
    if (!strstr(text, words)) fail_msg("'%s' is not in '%s'", words, text);
}

static void bad_tables_are_refused(void **state)
{
    (void)state;
    nnd_kernel bad = gemm;
    expect_refused(NULL, NND_E_INVALID_ARGUMENT, "incomplete");
    bad.struct_size = 8;
    expect_refused(&bad, NND_E_INVALID_ARGUMENT, "incomplete");
    bad = gemm;
    bad.supports = NULL;
    expect_refused(&bad, NND_E_INVALID_ARGUMENT, "test.gemm");
    bad = gemm;
    bad.since = 0;
    expect_refused(&bad, NND_E_INVALID_ARGUMENT, "test.gemm");
    bad = gemm;
    expect_refused(&bad, NND_E_EXISTS, "test.gemm");
    bad.name = "test.other";
    bad.op = "Jemm";
    expect_refused(&bad, NND_E_NOT_FOUND, "'Jemm'");
    bad.op = "Gemm";
    bad.domain = "com.nobody";
    expect_refused(&bad, NND_E_NOT_FOUND, "com.nobody.Gemm");
    bad.domain = "";
    bad.op = "Reshape";
    expect_refused(&bad, NND_E_UNSUPPORTED, "nothing to compute");
    bad.op = "If";
    expect_refused(&bad, NND_E_UNSUPPORTED, "nothing to compute");
}

static void survive(nnd_ir *(*make)(void))
{
    for (long n = 0;; n++) {
        nnd_engine_model *model = NULL;
        nnd_ir *ir = make();
        oom_fail_after(n);
        nnd_status status = nnd_engine_model_load_ir(ir, NULL, &model);
        bool hit = oom_hit();
        oom_never();
        nnd_error_clear();
        nnd_engine_model_unref(model);
        assert_int_equal(atomic_load(&the.released), atomic_load(&the.prepared));
        assert_true(status == NND_OK || (hit && status == NND_E_OUT_OF_MEMORY));
        if (!hit) break;
    }
    assert_true(atomic_load(&the.prepared) > 0);
}

static nnd_ir *build_open(void)
{
    return build(-1);
}

static nnd_ir *build_nested(void)
{
    return build_owner(NESTED, 4);
}

static void lack_of_memory_is_survived(void **state)
{
    survive(build_open);
    fresh(state);
    survive(build_nested);
}

int main(void)
{
    oom_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_computes_the_nodes_that_it_takes, fresh),
        cmocka_unit_test_setup(what_it_does_not_take_is_as_without_it, fresh),
        cmocka_unit_test_setup(the_higher_priority_comes_first, fresh),
        cmocka_unit_test_setup(other_shapes_fall_back, fresh),
        cmocka_unit_test_setup(a_kernel_may_decline_later, fresh),
        cmocka_unit_test_setup(choices_go_before_priorities, fresh),
        cmocka_unit_test_setup(nodes_in_bodies_are_offered, fresh),
        cmocka_unit_test_setup(failures_are_named, fresh),
        cmocka_unit_test_setup(bad_tables_are_refused, fresh),
        cmocka_unit_test_setup(lack_of_memory_is_survived, fresh),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
