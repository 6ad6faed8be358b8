/* Functions that a model brings along: what a call's attributes mean in the body. */
#include "engine_support.h"
#include "onnx_writer.h"

enum { ROOM = 8, OW_F16 = 10, OPSET = 17 };
enum { P_NAME = 1, P_INPUT = 4, P_OUTPUT = 5, P_ATTRIBUTE = 6, P_OPSET = 9, P_DOMAIN = 10 };
enum { P_NODE = 7, P_DEFAULT = 11, M_OPSET = 8, M_FUNCTION = 25 };
#define HERE "here" /* the domain of the functions */

static void import(nnd_str *s, uint32_t field, const char *domain, uint64_t version)
{
    nnd_str opset = {0};
    ow_text(&opset, 1, domain);
    ow_int(&opset, 2, version);
    ow_message(s, field, &opset);
}

/* A node's attribute that is the function's attribute `reference`; type: of AttributeProto. */
static void refer(nnd_str *attrs, const char *name, const char *reference, uint64_t type)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    ow_text(&a, 21, reference);
    ow_int(&a, 20, type);
    ow_message(attrs, 5, &a);
}

/* A function x → y of one node; `attrs` are the node's, `defaults` the function's. */
static void add_function(nnd_str *functions, const char *name, const char *type, nnd_str *attrs,
                         nnd_str *defaults)
{
    nnd_str f = {0}, node = {0};
    ow_text(&f, P_NAME, name);
    ow_text(&f, P_DOMAIN, HERE);
    ow_text(&f, P_INPUT, "x");
    ow_text(&f, P_OUTPUT, "y");
    ow_text(&node, 1, "x");
    ow_text(&node, 2, "y");
    ow_text(&node, 4, type);
    nnd_str_add_n(&node, attrs->data, attrs->size);
    nnd_str_free(attrs);
    ow_message(&f, P_NODE, &node);
    if (defaults) ow_message(&f, P_DEFAULT, defaults);
    import(&f, P_OPSET, "", OPSET);
    ow_message(functions, M_FUNCTION, &f);
}

static void default_of(nnd_str *out, const char *name, float value)
{
    const uint32_t bits_of_float = 2u << 3 | 5;
    ow_text(out, 1, name);
    ow_varint(out, bits_of_float);
    nnd_str_add_n(out, (const char *)&value, sizeof(value));
    ow_int(out, 20, 1);
}

static nnd_engine_model *load(nnd_str *model, nnd_str *graph, nnd_str *functions)
{
    nnd_engine_model *m = NULL;
    ow_model(model, graph, OPSET);
    import(model, M_OPSET, HERE, 1);
    nnd_str_add_n(model, functions->data, functions->size);
    nnd_str_free(functions);
    nnd_status status = nnd_engine_model_load_memory(model->data, model->size, NULL, &m);
    if (status != NND_OK) report_error("load");
    assert_int_equal(status, NND_OK);
    return m;
}

static void run(nnd_str *graph, nnd_str *functions, const nnd_tensor *x, size_t outputs,
                float y[][ROOM])
{
    nnd_str model = {0};
    nnd_engine_model *m = load(&model, graph, functions);
    nnd_engine_request *r;
    nnd_tensor t;
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, x));
    nnd_status status = nnd_engine_request_run(r, 1, NULL);
    if (status != NND_OK) report_error("run");
    assert_int_equal(status, NND_OK);
    for (size_t k = 0; k < outputs; k++) {
        assert_ok(nnd_engine_request_output(r, k, &t));
        assert_true(nnd_tensor_count(&t) <= ROOM);
        for (size_t i = 0; i < (size_t)nnd_tensor_count(&t); i++)
            y[k][i] = (float)nnd_dtype_get(t.dtype, t.data, i);
    }
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
}

/* Outer calls Inner with its own attribute; where Outer's caller does not say it, Inner's default
   counts. */
static void attributes_have_defaults(void **state)
{
    nnd_str graph = {0}, functions = {0}, attrs = {0}, slope = {0};
    const int64_t two = 2;
    float data[] = {-4, 3}, y[4][ROOM];
    nnd_tensor x;
    (void)state;
    refer(&attrs, "alpha", "slope", 1);
    default_of(&slope, "slope", 0.5f);
    add_function(&functions, "Inner", "LeakyRelu", &attrs, &slope);
    nnd_str node = {0}, f = {0};
    refer(&attrs, "slope", "steep", 1);
    ow_text(&f, P_NAME, "Outer");
    ow_text(&f, P_DOMAIN, HERE);
    ow_text(&f, P_INPUT, "x");
    ow_text(&f, P_OUTPUT, "y");
    ow_text(&f, P_ATTRIBUTE, "steep");
    ow_text(&node, 1, "x");
    ow_text(&node, 2, "y");
    ow_text(&node, 4, "Inner");
    nnd_str_add_n(&node, attrs.data, attrs.size);
    nnd_str_free(&attrs);
    ow_text(&node, 7, HERE);
    ow_message(&f, P_NODE, &node);
    import(&f, P_OPSET, HERE, 1);
    ow_message(&functions, M_FUNCTION, &f);

    assert_ok(nnd_tensor_init(&x, NND_F32, 1, &two, data));
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, &two, NULL);
    ow_node_of(&graph, HERE, "Inner", "x", "a", NULL);
    ow_attr_float(&attrs, "slope", 0.25f);
    ow_node_of(&graph, HERE, "Inner", "x", "b", &attrs);
    ow_attr_float(&attrs, "steep", 0.75f);
    ow_node_of(&graph, HERE, "Outer", "x", "c", &attrs);
    ow_node_of(&graph, HERE, "Outer", "x", "d", NULL);
    for (const char *name = "abcd"; *name; name++)
        ow_value(&graph, OW_OUTPUT, (char[]){*name, 0}, OW_F32, 1, &two, NULL);
    run(&graph, &functions, &x, 4, y);
    static const float slopes[] = {0.5f, 0.25f, 0.75f, 0.5f};
    for (size_t k = 0; k < NND_COUNT(slopes); k++) {
        assert_float_equal(y[k][0], -4 * slopes[k], 0);
        assert_float_equal(y[k][1], 3, 0);
    }
}

/* A tensor of the call is read inside of a branch, which has values of its own; both when the
   numbers are widened to f32 and when the branch becomes part of the graph around it. */
static void a_tensor_of_the_call_reaches_into_branches(void **state)
{
    const int64_t square[] = {2, 2}, one = 1;
    static const uint16_t halves[] = {0x3c00, 0x4000, 0x4200, 0x4400}; /* 1 2 3 4 */
    static const uint16_t three = 0x4200;
    static const uint8_t yes = 1;
    nnd_str graph = {0}, functions = {0}, attrs = {0}, branch = {0}, f = {0}, t = {0}, node = {0};
    float y[1][ROOM];
    uint16_t data[4];
    nnd_tensor x;
    (void)state;
    memcpy(data, halves, sizeof(data));
    ow_text(&f, P_NAME, "Fill");
    ow_text(&f, P_DOMAIN, HERE);
    ow_text(&f, P_INPUT, "x");
    ow_text(&f, P_INPUT, "c");
    ow_text(&f, P_OUTPUT, "y");
    ow_text(&f, P_ATTRIBUTE, "value");
    for (int k = 0; k < 2; k++) {
        refer(&attrs, "value", "value", 4);
        ow_node(&branch, "Shape", "x", "s", NULL);
        ow_node(&branch, "ConstantOfShape", "s", "z", &attrs);
        ow_value(&branch, OW_OUTPUT, "z", OW_F16, -1, NULL, NULL);
        ow_attr_graph(&node, k ? "else_branch" : "then_branch", &branch);
    }
    ow_text(&node, 1, "c");
    ow_text(&node, 2, "y");
    ow_text(&node, 4, "If");
    ow_message(&f, P_NODE, &node);
    import(&f, P_OPSET, "", OPSET);
    ow_message(&functions, M_FUNCTION, &f);

    assert_ok(nnd_tensor_init(&x, NND_F16, 2, square, data));
    ow_value(&graph, OW_INPUT, "x", OW_F16, 2, square, NULL);
    ow_initializer(&graph, "c", OW_BOOL, 0, NULL, &yes, sizeof(yes));
    ow_tensor(&t, "", OW_F16, 1, &one, &three, sizeof(three));
    ow_attr_tensor(&attrs, "value", &t);
    ow_node_of(&graph, HERE, "Fill", "x,c", "z", &attrs);
    ow_node(&graph, "MatMul", "x,z", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F16, 2, square, NULL);
    run(&graph, &functions, &x, 1, y);
    static const float want[] = {9, 9, 21, 21};
    assert_memory_equal(y[0], want, sizeof(want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_have_defaults),
        cmocka_unit_test(a_tensor_of_the_call_reaches_into_branches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
