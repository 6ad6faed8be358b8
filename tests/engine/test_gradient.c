/*
 * The operator Gradient. Every rule against central differences: in f64, of the sum over sin(y), so
 * that the derivative by y is another number in every place. Then what the node means: other inputs
 * than the tensors it names, tensors in the middle of a graph, derivatives of derivatives,
 * functions and sub-graphs; and what is refused.
 */
#include "engine_support.h"
#include "onnx_writer.h"
#include "support/oom.h"

#define TRAINING "ai.onnx.preview.training"

enum { F64 = 11, MAX_INPUTS = 6, ROOM = 512 };

/* ---- models --------------------------------------------------------------------------------- */

/* "2x3x4"; "" is a scalar. */
static int read_dims(const char *text, int64_t *dims)
{
    int rank = 0;
    for (char *end; *text; text = end + (*end == 'x'))
        dims[rank++] = strtol(text, &end, 10);
    return rank;
}

/* "axis=1 perm=2,0,1 alpha=0.5f auto_pad=VALID axes=[1]": lists have a comma or brackets. */
static void add_attributes(nnd_str *attrs, const char *text)
{
    char name[64], value[128];
    for (int used = 0; sscanf(text, " %63[^=]=%127s%n", name, value, &used) == 2; text += used) {
        int64_t list[16];
        size_t count = 0;
        const bool is_list = strchr(value, ',') || value[0] == '[';
        if (!strchr("-[0123456789", value[0])) {
            ow_attr_text(attrs, name, value);
        } else if (value[strlen(value) - 1] == 'f') {
            ow_attr_float(attrs, name, strtof(value, NULL));
        } else if (!is_list) {
            ow_attr_int(attrs, name, strtol(value, NULL, 10));
        } else {
            for (char *at = value + (value[0] == '['); *at && *at != ']'; at += *at == ',')
                list[count++] = strtol(at, &at, 10);
            ow_attr_ints(attrs, name, list, count);
        }
    }
}

/* xs and zs: names with commas; the inputs are these unless others are named. */
static void add_gradient(nnd_str *graph, const char *xs, const char *zs, const char *y,
                         const char *inputs, const char *outputs)
{
    nnd_str attrs = {0};
    char both[128];
    snprintf(both, sizeof(both), "%s%s%s", xs, zs[0] ? "," : "", zs);
    ow_attr_texts(&attrs, "xs", xs);
    if (zs[0]) ow_attr_texts(&attrs, "zs", zs);
    ow_attr_text(&attrs, "y", y);
    ow_node_of(graph, TRAINING, "Gradient", inputs ? inputs : both, outputs, &attrs);
}

static void add_input(nnd_str *graph, const char *name, const char *dims)
{
    int64_t shape[NND_MAX_RANK] = {0};
    const int rank = read_dims(dims, shape);
    ow_value(graph, OW_INPUT, name, F64, rank, shape, NULL);
}

static void add_output(nnd_str *graph, const char *name)
{
    ow_value(graph, OW_OUTPUT, name, F64, -1, NULL, NULL);
}

static void add_number(nnd_str *graph, const char *name, double v)
{
    ow_initializer(graph, name, F64, 0, NULL, &v, sizeof(v));
}

/* The model's constants lie in the file. */
typedef struct network {
    nnd_str file;
    nnd_engine_model *model;
} network;

static void unload(network *n)
{
    nnd_engine_model_unref(n->model);
    nnd_str_free(&n->file);
}

static nnd_status load(nnd_str *graph, int64_t opset, network *out)
{
    nnd_str import = {0};
    *out = (network){0};
    ow_model(&out->file, graph, opset);
    ow_text(&import, 1, TRAINING);
    ow_int(&import, 2, 1);
    ow_message(&out->file, 8, &import);
    const nnd_status status =
        nnd_engine_model_load_memory(out->file.data, out->file.size, NULL, &out->model);
    if (status != NND_OK) unload(out);
    return status;
}

static void load_or_fail(nnd_str *graph, int64_t opset, const char *what, network *out)
{
    if (load(graph, opset, out) == NND_OK) return;
    report_error(what);
    fail();
}

/* Runs on inputs of these elements and copies output `index`; gives the number of its elements. */
static size_t run(nnd_engine_request *request, const nnd_tensor *inputs, size_t count, size_t index,
                  double *out)
{
    nnd_tensor result;
    for (size_t i = 0; i < count; i++)
        assert_ok(nnd_engine_request_bind_input(request, i, &inputs[i]));
    assert_ok(nnd_engine_request_run(request, 1, NULL));
    assert_ok(nnd_engine_request_output(request, index, &result));
    assert_int_equal(result.dtype, NND_F64);
    const size_t size = (size_t)nnd_tensor_count(&result);
    assert_true(size <= ROOM);
    if (size) memcpy(out, result.data, size * sizeof(double));
    return size;
}

/* Output 0 is what is summed up, the outputs behind it are its derivatives by the inputs. */
static void check_differences(const char *what, nnd_engine_model *model, nnd_tensor *inputs,
                              size_t count, double tolerance)
{
    static double values[ROOM], derivative[ROOM];
    nnd_engine_request *request;
    assert_ok(nnd_engine_request_create(model, &request));
    for (size_t i = 0; i < count; i++) {
        const size_t size = run(request, inputs, count, i + 1, derivative);
        assert_int_equal(size, nnd_tensor_count(&inputs[i]));
        double *x = inputs[i].data;
        for (size_t k = 0; k < size; k++) {
            const double middle = x[k], step = 1e-5;
            double difference = 0;
            for (int side = -1; side <= 1; side += 2) {
                x[k] = middle + side * step;
                const size_t results = run(request, inputs, count, 0, values);
                for (size_t n = 0; n < results; n++)
                    difference += side * values[n];
            }
            x[k] = middle;
            difference /= 2 * step;
            if (!(fabs(difference - derivative[k]) <= tolerance * (1 + fabs(difference))))
                fail_msg("%s, input %zu, element %zu: %.9g, the difference is %.9g", what, i, k,
                         derivative[k], difference);
        }
    }
    nnd_engine_request_destroy(request);
}

/* ---- the rules ------------------------------------------------------------------------------ */

typedef struct rule_case {
    const char *op, *attributes;
    const char *inputs; /* shapes of a, b, c …; "#1,2" = integers, "?" = a condition like a */
    bool positive;      /* the inputs, else on both sides of 0 */
    int opset;          /* 0 = 18 */
} rule_case;

static const rule_case rule_cases[] = {
    {"Add", "", "2x3 2x3", false, 0},
    {"Add", "", "3x1 2x1x4", false, 0},
    {"Sub", "", "2x3 3", false, 0},
    {"Sub", "", " 2x2", false, 0}, /* a scalar and a matrix */
    {"Mul", "", "2x1x3 4x1", false, 0},
    {"Div", "", "2x3 2x1", true, 0},
    {"Pow", "", "2x3 3", true, 0},
    {"Max", "", "2x3 3", false, 0},
    {"Min", "", "2x3 3 2x1", false, 0},
    {"Sum", "", "2x3 3 2x1", false, 0},
    {"Mean", "", "2x3 3 2x1", false, 0},
    {"Where", "", "? 2x3 2x3", false, 0},
    {"Where", "", "? 2x3 1x3", false, 0},
    {"Neg", "", "5", false, 0},
    {"Identity", "", "5", false, 0},
    {"Sqrt", "", "5", true, 0},
    {"Reciprocal", "", "5", true, 0},
    {"Exp", "", "5", false, 0},
    {"Log", "", "5", true, 0},
    {"Sin", "", "5", false, 0},
    {"Cos", "", "5", false, 0},
    {"Tanh", "", "5", false, 0},
    {"Sigmoid", "", "5", false, 0},
    {"Softplus", "", "5", false, 0},
    {"Erf", "", "5", false, 0},
    {"Abs", "", "9", false, 0},
    {"Relu", "", "9", false, 0},
    {"LeakyRelu", "alpha=0.25f", "9", false, 0},
    {"Elu", "alpha=1.5f", "9", false, 0},
    {"PRelu", "", "2x3x4 3x1", false, 0},
    {"Clip", "min=-0.5f max=0.75f", "9", false, 8},
    {"Dropout", "", "5", false, 0},
    {"Cast", "to=11", "5", false, 0},
    {"Cast", "to=7", "5", false, 0}, /* integers: the derivative is 0 */
    {"Floor", "", "5", false, 0},
    {"Reshape", "", "2x6 #3,-1", false, 0},
    {"Flatten", "axis=2", "2x3x2", false, 0},
    {"Squeeze", "", "2x1x4 #1", false, 0},
    {"Unsqueeze", "", "2x4 #0,2", false, 0},
    {"Unsqueeze", "axes=[1]", "2x4", false, 11},
    {"Transpose", "perm=1,2,0", "2x3x4", false, 0},
    {"Transpose", "", "2x3x4", false, 0},
    {"Concat", "axis=-1", "2x3 2x1 2x2", false, 0},
    {"Split", "axis=1 num_outputs=2", "2x6", false, 0},
    {"Slice", "", "5x6 #1,-2 #4,0 #0,1 #1,-2", false, 0},
    {"Slice", "starts=1,0 ends=3,-1", "4x4", false, 9},
    {"Gather", "axis=1", "3x4 #3,0,3,-1", false, 0},
    {"GatherElements", "axis=0", "5 #3,0,3", false, 0},
    {"GatherND", "", "3x4 #2,1", false, 0},
    {"Expand", "", "3x1 #2,1,4", false, 0},
    {"MatMul", "", "2x3 3x4", false, 0},
    {"MatMul", "", "5x2x3 3x4", false, 0},
    {"MatMul", "", "5x1x2x3 6x3x2", false, 0},
    {"MatMul", "", "3 3x4", false, 0},
    {"MatMul", "", "5x2x3 3", false, 0},
    {"MatMul", "", "3 3", false, 0},
    {"Gemm", "", "2x3 3x4 4", false, 0},
    {"Gemm", "transA=1 alpha=0.5f beta=2.0f", "3x2 3x4 2x1", false, 0},
    {"Gemm", "transB=1 alpha=0.5f", "2x3 4x3", false, 0},
    {"Gemm", "transA=1 transB=1", "3x2 4x3 2x4", false, 0},
    {"ReduceSum", "keepdims=0", "2x3x4 #0,-1", false, 0},
    {"ReduceSum", "", "2x3x4 #1", false, 0},
    {"ReduceSum", "keepdims=0", "2x3", false, 0},
    {"ReduceMean", "keepdims=0", "2x3x4 #1", false, 0},
    {"ReduceMean", "axes=0,2 keepdims=0", "2x3x4", false, 11},
    {"Softmax", "axis=1", "2x3x4", false, 0},
    {"Softmax", "", "2x3x4", false, 11}, /* over two dimensions */
    {"LogSoftmax", "", "2x3x4", false, 0},
    {"LogSoftmax", "axis=2", "2x3x4", false, 11},
    {"Conv", "kernel_shape=3,2 pads=1,0,2,1", "2x2x5x4 3x2x3x2 3", false, 0},
    {"Conv", "strides=2,3 dilations=2,1", "1x2x8x9 2x2x2x2", false, 0},
    {"Conv", "group=2 strides=2,2 pads=1,1,1,1", "2x4x6x5 4x2x3x3 4", false, 0},
    {"Conv", "strides=[2]", "2x2x8 3x2x3", false, 0},
    {"Conv", "auto_pad=SAME_UPPER strides=2,2", "1x2x6x5 2x2x3x2", false, 0},
    {"Conv", "auto_pad=SAME_LOWER kernel_shape=2,2", "1x2x4x4 2x2x2x2", false, 0},
    {"ConvTranspose", "strides=2,2 pads=1,0,1,0 output_padding=1,0", "1x2x3x4 2x3x3x2 3", false, 0},
    {"ConvTranspose", "group=2 dilations=2,1", "2x2x3x3 2x2x2x2", false, 0},
    {"AveragePool", "kernel_shape=3,2 strides=2,1 pads=1,1,1,0", "2x2x5x4", false, 0},
    {"AveragePool", "kernel_shape=3,2 strides=2,2 pads=1,1,1,1 count_include_pad=1", "1x2x6x5",
     false, 0},
    {"AveragePool", "kernel_shape=3,3 auto_pad=SAME_UPPER strides=2,2", "1x2x6x5", false, 0},
    {"GlobalAveragePool", "", "2x3x2x2", false, 0},
    {"MaxPool", "kernel_shape=3,2 strides=2,1 pads=1,1,1,0", "2x2x5x4", false, 0},
    {"MaxPool", "kernel_shape=2,2 strides=2,2 ceil_mode=1", "1x2x5x5", false, 12},
    {"MaxPool", "kernel_shape=2,2", "1x2x4x4", false, 7},
};

/* What the inputs of a case are called, what they hold, and which ones are differentiated. */
typedef struct case_inputs {
    char names[64], differentiated[64], derivatives[64];
    size_t count;
    nnd_tensor tensors[MAX_INPUTS];
    double data[MAX_INPUTS][ROOM];
} case_inputs;

static void append(char list[64], const char *prefix, const char *name)
{
    snprintf(list + strlen(list), 64 - strlen(list), "%s%s%s", list[0] ? "," : "", prefix, name);
}

/* No two are near each other or near 0, where some functions have a corner. */
static void add_variable(nnd_str *graph, case_inputs *in, const rule_case *c, const char *name,
                         const char *dims)
{
    int64_t shape[NND_MAX_RANK];
    double *data = in->data[in->count];
    nnd_tensor *t = &in->tensors[in->count++];
    assert_ok(nnd_tensor_init(t, NND_F64, read_dims(dims, shape), shape, data));
    for (size_t k = 0; k < (size_t)nnd_tensor_count(t); k++) {
        const double v = fmod(0.37 + 0.618034 * (double)(k * 3 + in->count), 1.0);
        data[k] = c->positive ? 0.5 + v : 2 * v - 1 + (v < 0.5 ? -0.02 : 0.02);
    }
    add_input(graph, name, dims);
    append(in->differentiated, "", name);
    append(in->derivatives, "d", name);
}

static void add_case_inputs(nnd_str *graph, const rule_case *c, case_inputs *in)
{
    static const bool condition[] = {true, false, true, true, false, false};
    const char *text = c->inputs;
    for (char name[2] = "a";; name[0]++) {
        char item[64];
        const size_t size = strcspn(text, " ");
        snprintf(item, sizeof(item), "%.*s", (int)size, text);
        append(in->names, "", name);
        if (item[0] == '#') {
            int64_t list[8], count = 0;
            for (char *at = item + 1; *at; at += *at == ',')
                list[count++] = strtol(at, &at, 10);
            ow_initializer(graph, name, OW_I64, 1, &count, list, (size_t)count * sizeof(*list));
        } else if (item[0] == '?') {
            ow_initializer(graph, name, OW_BOOL, 2, (int64_t[]){2, 3}, condition,
                           sizeof(condition));
        } else {
            add_variable(graph, in, c, name, item);
        }
        if (!text[size]) return;
        text += size + 1;
    }
}

static void check_rule(const rule_case *c)
{
    static case_inputs in;
    nnd_str graph = {0}, attrs = {0};
    in = (case_inputs){0};
    add_case_inputs(&graph, c, &in);
    add_attributes(&attrs, c->attributes);
    const bool is_split = strcmp(c->op, "Split") == 0, is_cast = strcmp(c->op, "Cast") == 0;
    ow_node(&graph, c->op, in.names, is_split ? "y,rest" : is_cast ? "cast" : "y", &attrs);
    if (is_cast) {
        ow_attr_int(&attrs, "to", F64);
        ow_node(&graph, "Cast", "cast", "y", &attrs);
    }
    ow_node(&graph, "Sin", "y", "loss", NULL);
    add_gradient(&graph, in.differentiated, "", "loss", NULL, in.derivatives);
    add_output(&graph, "loss");
    for (const char *name = in.derivatives; *name; name += strcspn(name, ",") + (name[2] == ',')) {
        char one[8];
        snprintf(one, sizeof(one), "%.2s", name);
        add_output(&graph, one);
    }
    network net;
    load_or_fail(&graph, c->opset ? c->opset : 18, c->op, &net);
    check_differences(c->op, net.model, in.tensors, in.count, 1e-6);
    unload(&net);
}

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(rule_cases); i++)
        check_rule(&rule_cases[i]);
}

/* ---- single numbers ------------------------------------------------------------------------- */

/* Loads, runs on scalars and compares the outputs. */
static void check_numbers(nnd_str *graph, const double *in, size_t in_count, const double *want,
                          size_t want_count)
{
    network net;
    nnd_engine_request *request;
    nnd_tensor inputs[MAX_INPUTS];
    double numbers[MAX_INPUTS], got[ROOM];
    load_or_fail(graph, 18, "numbers", &net);
    assert_ok(nnd_engine_request_create(net.model, &request));
    for (size_t i = 0; i < in_count; i++) {
        numbers[i] = in[i];
        assert_ok(nnd_tensor_init(&inputs[i], NND_F64, 0, NULL, &numbers[i]));
    }
    for (size_t i = 0; i < want_count; i++) {
        assert_int_equal(run(request, inputs, in_count, i, got), 1);
        if (!(fabs(got[0] - want[i]) <= 1e-12 * (1 + fabs(want[i]))))
            fail_msg("output %zu is %.17g, expected %.17g", i, got[0], want[i]);
    }
    nnd_engine_request_destroy(request);
    unload(&net);
}

/* y = a·a·b: of two that are equal, each has half of the derivative of Max; a repeated reader adds
   up; an unused input has 0. */
static void test_meaning(void **state)
{
    (void)state;
    nnd_str graph = {0};
    add_input(&graph, "a", "");
    add_input(&graph, "b", "");
    add_input(&graph, "c", "");
    ow_node(&graph, "Mul", "a,a", "square", NULL);
    ow_node(&graph, "Mul", "square,b", "y", NULL);
    ow_node(&graph, "Max", "a,b", "top", NULL);
    add_gradient(&graph, "a,b,c", "", "y", NULL, "da,db,dc");
    add_gradient(&graph, "a,b", "", "top", NULL, "ta,tb");
    static const char *const outputs[] = {"da", "db", "dc", "ta", "tb"};
    for (size_t i = 0; i < NND_COUNT(outputs); i++)
        add_output(&graph, outputs[i]);
    const double in[] = {3, 3, 7}, want[] = {18, 9, 0, 0.5, 0.5};
    check_numbers(&graph, in, 3, want, 5);
}

/* A tensor between others: what computes it is not looked at, and z counts as given. */
static void test_intermediate(void **state)
{
    (void)state;
    nnd_str graph = {0};
    add_input(&graph, "a", "");
    add_input(&graph, "b", "");
    ow_node(&graph, "Mul", "a,b", "h", NULL);
    ow_node(&graph, "Exp", "b", "z", NULL);
    ow_node(&graph, "Mul", "h,z", "hz", NULL);
    ow_node(&graph, "Mul", "hz,h", "y", NULL); /* h²·e^b */
    add_gradient(&graph, "h", "z", "y", NULL, "dh");
    add_gradient(&graph, "b", "z", "y", NULL, "db");
    add_gradient(&graph, "b", "", "y", NULL, "all");
    add_gradient(&graph, "h,b", "", "y", NULL, "left,right");
    add_gradient(&graph, "y", "", "y", NULL, "self");
    static const char *const outputs[] = {"dh", "db", "all", "left", "right", "self"};
    for (size_t i = 0; i < NND_COUNT(outputs); i++)
        add_output(&graph, outputs[i]);
    const double a = 1.5, b = 0.5, h = a * b, z = exp(b);
    const double want[] = {2 * h * z, 2 * h * z * a, 2 * h * z * a + h * h * z,
                           2 * h * z, h * h * z,     1};
    check_numbers(&graph, (const double[]){a, b}, 2, want, 6);
}

/* Other values in the places of x and z: y is computed again for them, and both may be one. */
static void test_other_inputs(void **state)
{
    (void)state;
    nnd_str graph = {0};
    add_input(&graph, "a", "");
    add_input(&graph, "b", "");
    add_input(&graph, "c", "");
    ow_node(&graph, "Exp", "b", "e", NULL);
    ow_node(&graph, "Mul", "a,a", "square", NULL);
    ow_node(&graph, "Mul", "square,e", "y", NULL); /* a²·e^b */
    add_gradient(&graph, "a", "b", "y", "c,b", "at_c");
    add_gradient(&graph, "a", "b", "y", "a,c", "with_c");
    add_gradient(&graph, "a,b", "", "y", "c,c", "both_a,both_b");
    static const char *const outputs[] = {"at_c", "with_c", "both_a", "both_b"};
    for (size_t i = 0; i < NND_COUNT(outputs); i++)
        add_output(&graph, outputs[i]);
    const double a = 1.5, b = 0.5, c = 0.75;
    const double want[] = {2 * c * exp(b), 2 * a * exp(c), 2 * c * exp(c), c * c * exp(c)};
    check_numbers(&graph, (const double[]){a, b, c}, 3, want, 4);
}

/* Derivatives of derivatives: a³·b, and a Hessian's product through a layer. */
static void test_twice(void **state)
{
    (void)state;
    nnd_str graph = {0};
    add_input(&graph, "a", "");
    add_input(&graph, "b", "");
    add_number(&graph, "three", 3);
    ow_node(&graph, "Pow", "a,three", "cube", NULL);
    ow_node(&graph, "Mul", "cube,b", "y", NULL);
    add_gradient(&graph, "a,b", "", "y", NULL, "da,db");
    add_gradient(&graph, "a,b", "", "da", NULL, "daa,dab");
    add_gradient(&graph, "a", "b", "daa", NULL, "daaa");
    static const char *const outputs[] = {"da", "db", "daa", "dab", "daaa"};
    for (size_t i = 0; i < NND_COUNT(outputs); i++)
        add_output(&graph, outputs[i]);
    const double a = 1.25, b = 0.5;
    const double want[] = {3 * a * a * b, a * a * a, 6 * a * b, 3 * a * a, 6 * b};
    check_numbers(&graph, (const double[]){a, b}, 2, want, 5);
}

/* The derivative by the input of a small network is differentiated by its weights. */
static void test_twice_through_layers(void **state)
{
    (void)state;
    static case_inputs in;
    static const rule_case c = {0};
    nnd_str graph = {0}, attrs = {0};
    network net;
    in = (case_inputs){0};
    add_variable(&graph, &in, &c, "x", "1x2x5x4");
    add_variable(&graph, &in, &c, "w", "3x2x3x2");
    add_variable(&graph, &in, &c, "u", "6x2");
    ow_attr_ints(&attrs, "strides", (int64_t[]){2, 2}, 2);
    ow_node(&graph, "Conv", "x,w", "h", &attrs);
    ow_node(&graph, "Tanh", "h", "t", NULL);
    ow_attr_int(&attrs, "axis", 1);
    ow_node(&graph, "Flatten", "t", "f", &attrs);
    ow_initializer(&graph, "picked", OW_I64, 1, (int64_t[]){6}, (int64_t[]){0, 1, 2, 4, 5, 5}, 48);
    ow_attr_int(&attrs, "axis", 1);
    ow_node(&graph, "Gather", "f,picked", "g", &attrs);
    ow_node(&graph, "MatMul", "g,u", "m", NULL);
    ow_node(&graph, "Softmax", "m", "s", NULL);
    ow_node(&graph, "Sin", "s", "y", NULL);
    add_gradient(&graph, "x", "", "y", NULL, "slope");
    ow_node(&graph, "Sin", "slope", "loss", NULL);
    add_gradient(&graph, "x,w,u", "", "loss", NULL, "dx,dw,du");
    static const char *const outputs[] = {"loss", "dx", "dw", "du"};
    for (size_t i = 0; i < NND_COUNT(outputs); i++)
        add_output(&graph, outputs[i]);
    load_or_fail(&graph, 18, "network", &net);
    check_differences("network", net.model, in.tensors, in.count, 1e-6);
    unload(&net);
}

/* The places that a MaxPool tells do not change with its input, though y changes with them. */
static void test_second_output(void **state)
{
    (void)state;
    static case_inputs in;
    static const rule_case c = {0};
    nnd_str graph = {0}, attrs = {0};
    network net;
    in = (case_inputs){0};
    add_variable(&graph, &in, &c, "x", "1x1x4x4");
    add_attributes(&attrs, "kernel_shape=2,2");
    ow_node(&graph, "MaxPool", "x", "m,places", &attrs);
    ow_attr_int(&attrs, "to", F64);
    ow_node(&graph, "Cast", "places", "numbers", &attrs);
    ow_node(&graph, "Sin", "numbers", "factor", NULL);
    ow_node(&graph, "Mul", "m,factor", "loss", NULL);
    add_gradient(&graph, "x", "", "loss", NULL, "dx");
    add_gradient(&graph, "x", "", "factor", NULL, "none");
    static const char *const outputs[] = {"loss", "dx", "none"};
    for (size_t i = 0; i < NND_COUNT(outputs); i++)
        add_output(&graph, outputs[i]);
    load_or_fail(&graph, 18, "MaxPool", &net);
    check_differences("MaxPool", net.model, in.tensors, in.count, 1e-6);
    nnd_engine_request *request;
    double got[ROOM];
    assert_ok(nnd_engine_request_create(net.model, &request));
    assert_int_equal(run(request, in.tensors, in.count, 2, got), 16);
    for (int i = 0; i < 16; i++)
        assert_true(got[i] == 0);
    nnd_engine_request_destroy(request);
    unload(&net);
}

/* Mean and variance are constants; one of the tensors that are differentiated by is an initialiser,
   which stays what it is. */
static void test_batch_normalization(void **state)
{
    (void)state;
    static case_inputs in;
    static const rule_case c = {0};
    static const double mean[] = {0.25, -0.5, 1}, variance[] = {0.5, 2, 1.25}, bias[] = {1, 2, 3};
    const int64_t channels = 3;
    nnd_str graph = {0};
    network net;
    in = (case_inputs){0};
    add_variable(&graph, &in, &c, "x", "2x3x2x2");
    add_variable(&graph, &in, &c, "s", "3");
    ow_initializer(&graph, "b", F64, 1, &channels, bias, sizeof(bias));
    ow_initializer(&graph, "m", F64, 1, &channels, mean, sizeof(mean));
    ow_initializer(&graph, "v", F64, 1, &channels, variance, sizeof(variance));
    ow_node(&graph, "BatchNormalization", "x,s,b,m,v", "y", NULL);
    ow_node(&graph, "Sin", "y", "loss", NULL);
    ow_node(&graph, "Cos", "y", "slope", NULL);
    ow_initializer(&graph, "axes", OW_I64, 1, &channels, (int64_t[]){0, 2, 3}, 24);
    nnd_str attrs = {0};
    ow_attr_int(&attrs, "keepdims", 0);
    ow_node(&graph, "ReduceSum", "slope,axes", "want", &attrs);
    add_gradient(&graph, "x,s,b", "", "loss", NULL, "dx,ds,db");
    static const char *const outputs[] = {"loss", "dx", "ds", "db", "want"};
    for (size_t i = 0; i < NND_COUNT(outputs); i++)
        add_output(&graph, outputs[i]);
    load_or_fail(&graph, 18, "BatchNormalization", &net);
    check_differences("BatchNormalization", net.model, in.tensors, in.count, 1e-6);
    nnd_engine_request *request;
    double got[ROOM], want[ROOM];
    assert_ok(nnd_engine_request_create(net.model, &request));
    assert_int_equal(run(request, in.tensors, in.count, 3, got), 3);
    assert_int_equal(run(request, in.tensors, in.count, 4, want), 3);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(got[i] - want[i]) <= 1e-12 * (1 + fabs(want[i])));
    nnd_engine_request_destroy(request);
    unload(&net);
}

/* A node that comes before what it differentiates, inputs that no node reads, open dimensions. */
static void test_order_and_open_shapes(void **state)
{
    (void)state;
    nnd_str graph = {0};
    network net;
    nnd_engine_request *request;
    nnd_tensor inputs[2];
    double a[6] = {1, 2, 3, 4, 5, 6}, b[3] = {1, 2, 3}, got[ROOM];
    ow_value(&graph, OW_INPUT, "a", F64, 2, (int64_t[]){-1, -1}, (const char *[]){"n", "m"});
    ow_value(&graph, OW_INPUT, "b", F64, 1, (int64_t[]){-1}, (const char *[]){"m"});
    add_gradient(&graph, "a,b", "", "y", NULL, "da,db");
    ow_node(&graph, "Mul", "a,b", "y", NULL);
    add_output(&graph, "da");
    add_output(&graph, "db");
    load_or_fail(&graph, 18, "open shapes", &net);
    assert_ok(nnd_engine_request_create(net.model, &request));
    for (int64_t rows = 2; rows >= 0; rows--) {
        assert_ok(nnd_tensor_init(&inputs[0], NND_F64, 2, (int64_t[]){rows, 3}, a));
        assert_ok(nnd_tensor_init(&inputs[1], NND_F64, 1, (int64_t[]){3}, b));
        assert_int_equal(run(request, inputs, 2, 0, got), (size_t)rows * 3);
        for (size_t i = 0; i < (size_t)rows * 3; i++)
            assert_true(got[i] == b[i % 3]);
        assert_int_equal(run(request, inputs, 2, 1, got), 3);
        for (size_t i = 0; i < 3; i++)
            assert_true(got[i] == (rows > 0 ? a[i] : 0) + (rows > 1 ? a[3 + i] : 0));
    }
    nnd_engine_request_destroy(request);
    unload(&net);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void refuse(nnd_str *graph, nnd_status status, const char *word)
{
    network net;
    add_output(graph, "da");
    assert_status(load(graph, 18, &net), status);
    nnd_error *error = nnd_error_take();
    char *text = nnd_error_to_string(error);
    if (!strstr(text, word)) fail_msg("'%s' does not mention '%s'", text, word);
    nnd_free(text);
    nnd_error_destroy(error);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *xs, *y, *inputs, *outputs;
        nnd_status status;
        const char *word;
    } calls[] = {
        {"a", "y", "a", "da", NND_E_UNSUPPORTED, "Det 'd', Acosh 'y'"},
        {"nobody", "y", "a", "da", NND_E_FORMAT, "'nobody'"},
        {"a", "nobody", "a", "da", NND_E_FORMAT, "'nobody'"},
        {"a", "y", "nobody", "da", NND_E_FORMAT, "'nobody'"},
        {"a", "y", "a,a", "da", NND_E_FORMAT, "an input for each"},
        {"a", "y", "a", "da,db", NND_E_FORMAT, "more outputs"},
        {"", "y", "", "da", NND_E_FORMAT, "'xs' or 'y' is missing"},
    };
    for (size_t i = 0; i < NND_COUNT(calls); i++) {
        nnd_str graph = {0};
        add_input(&graph, "a", "2x2");
        ow_node(&graph, "Det", "a", "d", NULL);
        ow_node(&graph, "Acosh", "d", "y", NULL);
        add_gradient(&graph, calls[i].xs, "", calls[i].y, calls[i].inputs, calls[i].outputs);
        refuse(&graph, calls[i].status, calls[i].word);
    }
    nnd_str graph = {0}, attrs = {0};
    add_input(&graph, "a", "1x1x4x4");
    add_attributes(&attrs, "kernel_shape=2,2 ceil_mode=1");
    ow_node(&graph, "AveragePool", "a", "y", &attrs);
    add_gradient(&graph, "a", "", "y", NULL, "da");
    refuse(&graph, NND_E_UNSUPPORTED, "AveragePool node 'y': it rounds up");
}

/* Each one differentiates the one before: the graph would grow without bounds. */
static void test_chain(void **state)
{
    (void)state;
    nnd_str graph = {0};
    char from[16] = "y", to[16];
    add_input(&graph, "a", "");
    ow_node(&graph, "Softmax", "a", "s", NULL);
    ow_node(&graph, "Tanh", "s", "y", NULL);
    for (int i = 0; i < 40; i++) {
        snprintf(to, sizeof(to), i < 39 ? "d%d" : "da", i);
        add_gradient(&graph, "a", "", from, NULL, to);
        memcpy(from, to, sizeof(to));
    }
    refuse(&graph, NND_E_LIMIT, "Gradient");
}

/* In the branch of an If: what comes from outside is a constant, or refused. */
static void test_sub_graph(void **state)
{
    (void)state;
    for (int outside = 0; outside < 2; outside++) {
        nnd_str graph = {0}, body = {0}, other = {0}, attrs = {0};
        add_input(&graph, "a", "");
        add_input(&graph, "b", "");
        ow_initializer(&graph, "yes", OW_BOOL, 0, NULL, &(bool){true}, 1);
        if (outside) ow_node(&graph, "Mul", "a,b", "square", NULL);
        if (!outside) ow_node(&body, "Mul", "a,b", "square", NULL);
        ow_node(&body, "Mul", "square,a", "y", NULL);
        add_gradient(&body, "a", "", "y", NULL, "inner");
        add_output(&body, "inner");
        ow_node(&other, "Neg", "a", "minus", NULL);
        add_output(&other, "minus");
        ow_attr_graph(&attrs, "then_branch", &body);
        ow_attr_graph(&attrs, "else_branch", &other);
        ow_node(&graph, "If", "yes", "da", &attrs);
        if (outside) {
            refuse(&graph, NND_E_UNSUPPORTED, "'square', which is computed outside");
            continue;
        }
        add_output(&graph, "da");
        check_numbers(&graph, (const double[]){3, 5}, 2, (const double[]){30}, 1);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    nnd_str graph = {0}, model = {0}, attrs = {0};
    add_input(&graph, "a", "1x2x4x4");
    add_input(&graph, "w", "2x2x2x2");
    ow_node(&graph, "Conv", "a,w", "h", NULL);
    add_attributes(&attrs, "axis=0");
    ow_node(&graph, "Concat", "h,h", "y", &attrs);
    add_gradient(&graph, "a,w", "", "y", "a,w", "da,dw");
    add_gradient(&graph, "a", "w", "y", "da,w", "dda");
    add_output(&graph, "dda");
    ow_model(&model, &graph, 18);
    oom_begin();
    long tries = 0;
    for (bool hit = true; hit; tries++) {
        nnd_engine_model *loaded = NULL;
        oom_fail_after(tries);
        const nnd_status status =
            nnd_engine_model_load_memory(model.data, model.size, NULL, &loaded);
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        if (status == NND_OK) nnd_engine_model_unref(loaded);
        nnd_error_clear();
    }
    oom_end();
    assert_true(tries > 50);
    nnd_str_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_intermediate),
        cmocka_unit_test(test_other_inputs),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_twice_through_layers),
        cmocka_unit_test(test_second_output),
        cmocka_unit_test(test_batch_normalization),
        cmocka_unit_test(test_order_and_open_shapes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_sub_graph),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
