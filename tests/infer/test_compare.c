/* How far results are apart, and the first operator that differs between two models. */
#include "infer_support.h"

#include "engine/onnx/expose.h"
#include "infer/compare.h"

#include <math.h>

enum { NODES = 40 };
static char folder[256];

static int begin(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    char command[320];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

/* ---- differences -------------------------------------------------------------------------- */

static nnd_difference difference(const float *a, const float *b, int64_t n, nnd_tolerance tolerance)
{
    nnd_value *x = tensor_of(1, &n, a), *y = tensor_of(1, &n, b);
    nnd_difference d;
    nnd_difference_of(x, y, tolerance, &d);
    nnd_value_unref(x);
    nnd_value_unref(y);
    return d;
}

static void numbers_are_measured(void **state)
{
    (void)state;
    const float a[4] = {1, 2, 3, 4}, b[4] = {1, 2.5f, 3, 3};
    nnd_difference d = difference(a, b, 4, (nnd_tolerance){0, 0.6});
    assert_true(d.comparable);
    assert_int_equal(d.count, 4);
    assert_int_equal(d.differing, 1);
    assert_float_equal(d.max_abs, 1, 0);
    assert_float_equal(d.max_rel, 0.25, 0);
    assert_int_equal(d.at, 3);
    assert_float_equal(d.a, 4, 0);
    assert_float_equal(d.b, 3, 0);
    assert_float_equal(d.relative, sqrt(1.25) / sqrt(25.25), 1e-12);
    assert_float_equal(d.cosine, 27.0 / sqrt(30.0 * 25.25), 1e-12);
    d = difference(a, a, 4, (nnd_tolerance){0, 0});
    assert_true(nnd_difference_is_none(&d));
    assert_int_equal(d.at, -1);
    assert_float_equal(d.cosine, 1, 1e-12);
    const float zero[4] = {0};
    d = difference(zero, zero, 4, (nnd_tolerance){0, 0});
    assert_float_equal(d.cosine, 1, 0);
    assert_float_equal(d.relative, 0, 0);
}

static void odd_numbers_are_equal_to_themselves_only(void **state)
{
    (void)state;
    const float a[4] = {NAN, INFINITY, -INFINITY, 1};
    nnd_difference d = difference(a, a, 4, (nnd_tolerance){0, 0});
    assert_true(nnd_difference_is_none(&d));
    const float others[3][4] = {{1, INFINITY, -INFINITY, 1},
                                {NAN, -INFINITY, -INFINITY, 1},
                                {NAN, INFINITY, -INFINITY, NAN}};
    const int64_t places[3] = {0, 1, 3};
    for (int i = 0; i < 3; i++) {
        d = difference(a, others[i], 4, (nnd_tolerance){1e9, 1e9});
        assert_int_equal(d.differing, 1);
        assert_int_equal(d.at, places[i]);
    }
}

static void shapes_strides_and_lists_count(void **state)
{
    (void)state;
    const float rows[8] = {1, 2, 9, 9, 3, 4, 9, 9}, dense[4] = {1, 2, 3, 4};
    nnd_value *square = tensor_of(2, (int64_t[]){2, 2}, dense);
    nnd_value *line = tensor_of(1, (int64_t[]){4}, dense), *wide = NULL, *list = NULL, *one = NULL;
    nnd_difference d;
    nnd_tensor view;
    nnd_difference_of(square, line, NND_TOLERANCE_DEFAULT, &d);
    assert_false(d.comparable);
    assert_string_equal(d.reason, "f32[2,2] and f32[4]");
    nnd_difference_of(square, NULL, NND_TOLERANCE_DEFAULT, &d);
    assert_false(d.comparable);
    nnd_value *backed = tensor_of(2, (int64_t[]){2, 4}, rows);
    view = *nnd_value_tensor(backed);
    view.dims[1] = 2; /* the rows of the middle are passed over */
    assert_ok(nnd_value_from_tensor(&view, &wide));
    nnd_difference_of(square, wide, (nnd_tolerance){0, 0}, &d);
    assert_true(nnd_difference_is_none(&d));
    assert_int_equal(d.count, 4);
    assert_ok(nnd_value_new_list((nnd_value *[]){square, line}, 2, &list));
    assert_ok(nnd_value_new_list(&square, 1, &one));
    nnd_difference_of(list, list, (nnd_tolerance){0, 0}, &d);
    assert_true(nnd_difference_is_none(&d));
    assert_int_equal(d.count, 8);
    nnd_difference_of(list, one, (nnd_tolerance){0, 0}, &d);
    assert_false(d.comparable);
    nnd_value *values[] = {square, line, wide, list, one, backed};
    for (size_t i = 0; i < NND_COUNT(values); i++)
        nnd_value_unref(values[i]);
}

static void strings_are_equal_or_not(void **state)
{
    (void)state;
    nnd_value *a = NULL, *b = NULL;
    nnd_difference d;
    assert_ok(nnd_value_new_tensor(NND_STRING, 1, (int64_t[]){2}, &a));
    assert_ok(nnd_value_new_tensor(NND_STRING, 1, (int64_t[]){2}, &b));
    assert_ok(nnd_value_set_string(a, 0, "one", 3));
    assert_ok(nnd_value_set_string(b, 0, "one", 3));
    assert_ok(nnd_value_set_string(b, 1, "two", 3));
    nnd_difference_of(a, b, NND_TOLERANCE_DEFAULT, &d);
    assert_true(d.comparable);
    assert_int_equal(d.differing, 1);
    assert_int_equal(d.at, 1);
    nnd_value_unref(a);
    nnd_value_unref(b);
}

/* ---- models ------------------------------------------------------------------------------- */

/* y = x + 1 + 1 + …; the constant of one node is another. Constants that are not folded away: each
   is added to what comes before. */
static nnd_str chain_model(int other, float value)
{
    nnd_str graph = {0}, model = {0};
    char from[16] = "x", to[16], edge[48], constant[16];
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, (int64_t[]){3}, NULL);
    for (int i = 0; i < NODES; i++) {
        float c[1] = {i == other ? value : 1};
        snprintf(constant, sizeof constant, "c%d", i);
        snprintf(to, sizeof to, i == NODES - 1 ? "y" : "t%d", i);
        snprintf(edge, sizeof edge, "%s,%s", from, constant);
        ow_initializer(&graph, constant, OW_F32, 1, (int64_t[]){1}, c, sizeof c);
        ow_node(&graph, "Add", edge, to, NULL);
        memcpy(from, to, sizeof from);
    }
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 1, (int64_t[]){3}, NULL);
    ow_model(&model, &graph, 13);
    return model;
}

static void put_model(const char *name, nnd_str *take_model)
{
    put_file(in_folder(folder, name), take_model->data, take_model->size);
    nnd_str_free(take_model);
}

typedef struct pair {
    char paths[2][1024];
    nnd_compare_options options;
    const char *name;
    nnd_value *x;
} pair;

static void pair_begin(pair *p, const char *a, const char *b)
{
    snprintf(p->paths[0], sizeof p->paths[0], "%s", in_folder(folder, a));
    snprintf(p->paths[1], sizeof p->paths[1], "%s", in_folder(folder, b));
    p->name = "x";
    p->x = tensor_of(1, (int64_t[]){3}, (float[]){0, 1, 2});
    p->options = (nnd_compare_options){
        .sides = {{p->paths[0], "builtin", NULL}, {p->paths[1], "builtin", NULL}},
        .input_count = 1,
        .input_names = &p->name,
        .inputs = &p->x,
        .tolerance = NND_TOLERANCE_DEFAULT,
        .window = 64,
    };
}

/* The node whose constant is another is named, wherever it is and however few tensors are looked
   at in one run. */
static void the_node_that_differs_is_named(void **state)
{
    (void)state;
    static const size_t windows[] = {0, 2, 3, 7, 64};
    nnd_str same = chain_model(-1, 0);
    pair p;
    put_model("same.onnx", &same);
    pair_begin(&p, "same.onnx", "other.onnx");
    for (int node = 0; node < NODES; node++) {
        char name[16];
        snprintf(name, sizeof name, node == NODES - 1 ? "y" : "t%d", node);
        nnd_str other = chain_model(node, 1.25f);
        put_model("other.onnx", &other);
        p.options.window = windows[(size_t)node % NND_COUNT(windows)];
        nnd_divergence d;
        assert_ok(nnd_compare_locate(&p.options, &d));
        assert_true(d.found);
        assert_string_equal(d.tensor, name);
        assert_string_equal(d.node, name);
        assert_string_equal(d.op, "Add");
        assert_float_equal(d.difference.b - d.difference.a, 0.25, 1e-5);
        assert_int_equal(d.tensors, NODES);
        assert_int_equal(d.unreadable, 0);
        nnd_divergence_fini(&d);
    }
    nnd_value_unref(p.x);
}

static void equal_models_have_no_such_node(void **state)
{
    (void)state;
    nnd_str same = chain_model(-1, 0);
    nnd_divergence d;
    pair p;
    put_model("same.onnx", &same);
    pair_begin(&p, "same.onnx", "same.onnx");
    assert_ok(nnd_compare_locate(&p.options, &d));
    assert_false(d.found);
    assert_int_equal(d.looked_at, NODES);
    assert_non_null(strstr(d.reason, "merges"));
    put_file(in_folder(folder, "net.param"), "7767517\n1 1\n", 12);
    snprintf(p.paths[1], sizeof p.paths[1], "%s", in_folder(folder, "net.param"));
    assert_ok(nnd_compare_locate(&p.options, &d));
    assert_false(d.found);
    assert_non_null(strstr(d.reason, "ONNX"));
    snprintf(p.paths[1], sizeof p.paths[1], "%s", in_folder(folder, "none.onnx"));
    assert_fails(nnd_compare_locate(&p.options, &d), NND_E_NOT_FOUND, "none.onnx");
    nnd_value_unref(p.x);
}

static void a_search_is_cancelled(void **state)
{
    (void)state;
    nnd_str same = chain_model(-1, 0), other = chain_model(5, 2);
    nnd_cancel *cancel = NULL;
    nnd_divergence d;
    pair p;
    put_model("same.onnx", &same);
    put_model("other.onnx", &other);
    pair_begin(&p, "same.onnx", "other.onnx");
    assert_ok(nnd_cancel_create(NULL, &cancel));
    nnd_cancel_request(cancel);
    p.options.cancel = cancel;
    assert_status(nnd_compare_locate(&p.options, &d), NND_E_CANCELLED);
    nnd_cancel_unref(cancel);
    nnd_value_unref(p.x);
}

static void a_search_survives_lack_of_memory(void **state)
{
    (void)state;
    nnd_str same = chain_model(-1, 0), other = chain_model(20, 2);
    nnd_divergence d;
    pair p;
    put_model("same.onnx", &same);
    put_model("other.onnx", &other);
    oom_begin();
    pair_begin(&p, "same.onnx", "other.onnx");
    long live = oom_live_blocks();
    for (long n = 0;; n += 29) {
        oom_fail_after(n);
        nnd_status status = nnd_compare_locate(&p.options, &d);
        bool hit = oom_hit();
        oom_never();
        if (status == NND_OK) nnd_divergence_fini(&d);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), live);
        if (!hit) {
            assert_ok(status);
            break;
        }
    }
    nnd_value_unref(p.x);
    oom_end();
}

/* ---- files -------------------------------------------------------------------------------- */

/* Every prefix of a model, and every model with a byte changed, is listed and extended or refused.
 */
static void damaged_files_are_survived(void **state)
{
    (void)state;
    nnd_str model = chain_model(-1, 0);
    const char *name = "t1";
    for (size_t n = 0; n < model.size; n++) {
        char *part = malloc(model.size);
        size_t size = n % 2 ? model.size : n;
        memcpy(part, model.data, model.size);
        part[n] = (char)(part[n] ^ 0xff);
        nnd_onnx_tensors tensors = {0};
        void *bytes = NULL;
        if (nnd_onnx_tensors_read(&tensors, part, size) == NND_OK &&
            nnd_onnx_expose(part, size, &name, 1, &bytes, &size) == NND_OK)
            assert_true(size > 0);
        nnd_free(bytes);
        nnd_onnx_tensors_fini(&tensors);
        free(part);
    }
    nnd_str_free(&model);
}

static void tensors_are_listed_with_their_nodes(void **state)
{
    (void)state;
    nnd_str graph = {0}, model = {0};
    nnd_onnx_tensors t = {0};
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, (int64_t[]){4}, NULL);
    ow_node(&graph, "Split", "x", "a,b", NULL);
    ow_node_of(&graph, "com.microsoft", "Gelu", "a", "g", NULL);
    ow_value(&graph, OW_OUTPUT, "g", OW_F32, 1, (int64_t[]){2}, NULL);
    ow_model(&model, &graph, 13);
    assert_ok(nnd_onnx_tensors_read(&t, model.data, model.size));
    assert_int_equal(t.items.count, 3);
    assert_string_equal(t.items.items[0].tensor, "a");
    assert_string_equal(t.items.items[1].tensor, "b");
    assert_string_equal(t.items.items[1].node, "a,b");
    assert_string_equal(t.items.items[2].op, "com.microsoft.Gelu");
    assert_true(t.items.items[2].is_output);
    assert_false(t.items.items[0].is_output);
    nnd_onnx_tensors_fini(&t);
    nnd_str_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_measured),
        cmocka_unit_test(odd_numbers_are_equal_to_themselves_only),
        cmocka_unit_test(shapes_strides_and_lists_count),
        cmocka_unit_test(strings_are_equal_or_not),
        cmocka_unit_test(the_node_that_differs_is_named),
        cmocka_unit_test(equal_models_have_no_such_node),
        cmocka_unit_test(a_search_is_cancelled),
        cmocka_unit_test(a_search_survives_lack_of_memory),
        cmocka_unit_test(damaged_files_are_survived),
        cmocka_unit_test(tensors_are_listed_with_their_nodes),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
