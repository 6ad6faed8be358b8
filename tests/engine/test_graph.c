/* The graph: building, captures, rewriting, printing; the wire format's reader. */
#include "engine/graph/graph.h"
#include "engine/onnx/wire.h"
#include "support/test.h"

static uint32_t add_op(nnd_graph *g, const char *type, uint32_t a, uint32_t b, const char *name)
{
    uint32_t in[2] = {a, b};
    nnd_graph_node *n;
    assert_ok(nnd_graph_add_node(g, "", type, 13, name, b == NND_NO_ID ? 1 : 2, in, 1, NULL, &n));
    return n->outputs[0];
}

static void values_have_names_and_producers(void **state)
{
    (void)state;
    nnd_graph *g;
    uint32_t x, same;
    const int64_t dims[2] = {2, -1};
    assert_ok(nnd_graph_create(NULL, "g", &g));
    assert_ok(nnd_graph_add_input(g, "x", NND_F32, 2, dims, &x));
    assert_status(nnd_graph_add_value(g, "x", &same), NND_E_EXISTS);
    uint32_t y = add_op(g, "Relu", x, NND_NO_ID, "r");
    uint32_t z = add_op(g, "Add", y, y, "a");
    assert_ok(nnd_graph_add_output(g, z));
    nnd_graph_index(g);
    assert_int_equal(g->values[y].uses, 2);
    assert_int_equal(g->values[z].uses, 1);
    assert_int_equal(g->values[z].producer, 1);
    assert_int_equal(nnd_graph_find_value(g, "x"), x);
    assert_int_equal(nnd_graph_find_value(g, "nothing"), NND_NO_ID);
    assert_int_equal(nnd_graph_single_reader(g, x), 0);
    assert_int_equal(nnd_graph_single_reader(g, y), NND_NO_ID);
    char *text = nnd_graph_print(g);
    assert_non_null(strstr(text, "%x: f32[2,?]"));
    assert_non_null(strstr(text, "= Add("));
    nnd_free(text);
    nnd_graph_destroy(g);
}

static void many_names_are_found_again(void **state)
{
    (void)state;
    nnd_graph *g;
    char name[32];
    uint32_t id;
    assert_ok(nnd_graph_create(NULL, "g", &g));
    for (uint32_t i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "v%u", (unsigned)i);
        assert_ok(nnd_graph_add_value(g, name, &id));
        assert_int_equal(id, i);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "v%u", (unsigned)i);
        assert_int_equal(nnd_graph_find_value(g, name), i);
    }
    nnd_graph_destroy(g);
}

static void bodies_capture_outer_values(void **state)
{
    (void)state;
    nnd_graph *g, *body, *inner;
    uint32_t x, captured, deep;
    nnd_graph_node *n;
    assert_ok(nnd_graph_create(NULL, "outer", &g));
    assert_ok(nnd_graph_add_input(g, "x", NND_F32, 0, NULL, &x));
    assert_ok(nnd_graph_create(g, "body", &body));
    assert_ok(nnd_graph_create(body, "inner", &inner));
    assert_ok(nnd_graph_resolve(inner, "x", &deep));
    assert_ok(nnd_graph_resolve(body, "x", &captured));
    assert_int_equal(body->capture_count, 1);
    assert_int_equal(inner->capture_count, 1);
    assert_int_equal(body->captures[0].outer, x);
    assert_int_equal(inner->captures[0].outer, captured);
    assert_status(nnd_graph_resolve(inner, "unknown", &deep), NND_E_NOT_FOUND);
    assert_ok(nnd_graph_add_node(g, "", "If", 13, "if", 1, &x, 1, NULL, &n));
    assert_ok(nnd_node_add_graph(g, n, "then_branch", body));
    assert_ok(nnd_graph_close_node(g, n));
    assert_int_equal(n->input_count, 2);
    assert_int_equal(n->formal_count, 1);
    nnd_error_clear();
    nnd_graph_destroy(g);
}

static void attributes_come_back(void **state)
{
    (void)state;
    nnd_graph *g;
    nnd_graph_node *n;
    size_t count;
    const int64_t list[3] = {1, -2, 3};
    assert_ok(nnd_graph_create(NULL, "g", &g));
    assert_ok(nnd_graph_add_node(g, "", "X", 1, NULL, 0, NULL, 1, NULL, &n));
    assert_ok(nnd_node_add_int(g, n, "i", 7));
    assert_ok(nnd_node_add_float(g, n, "f", 0.5f));
    assert_ok(nnd_node_add_string(g, n, "s", "text"));
    assert_ok(nnd_node_add_ints(g, n, "l", list, 3));
    assert_int_equal(nnd_node_int(n, "i", 0), 7);
    assert_int_equal(nnd_node_int(n, "f", 9), 9); /* another kind: the fallback */
    assert_true(nnd_node_float(n, "f", 0) == 0.5f);
    assert_string_equal(nnd_node_string(n, "s", ""), "text");
    assert_int_equal(nnd_node_ints(n, "l", &count)[1], -2);
    assert_int_equal(count, 3);
    assert_null(nnd_node_ints(n, "none", &count));
    nnd_graph_destroy(g);
}

/* ---- wire format --------------------------------------------------------------------------- */

static void fields_of_every_type_are_read(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x08, 0x96, 0x01,                             /* 1: 150 */
                             0x12, 0x03, 'a',  'b',  'c',                  /* 2: "abc" */
                             0x1d, 0x00, 0x00, 0x80, 0x3f,                 /* 3: 1.0f */
                             0x21, 1,    0,    0,    0,    0, 0, 0, 0x80}; /* 4: 64 bits */
    nnd_pb_bytes left = {bytes, sizeof(bytes)};
    nnd_pb_field f;
    bool bad = false;
    assert_true(nnd_pb_next(&left, &f, &bad) && f.number == 1 && f.bits == 150);
    assert_true(nnd_pb_next(&left, &f, &bad) && f.number == 2 && f.bytes.size == 3);
    assert_true(nnd_pb_next(&left, &f, &bad) && f.number == 3 && f.bits == 0x3f800000);
    assert_true(nnd_pb_next(&left, &f, &bad) && f.number == 4 && f.bits == 0x8000000000000001u);
    assert_false(nnd_pb_next(&left, &f, &bad));
    assert_false(bad);
}

static void malformed_fields_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[12];
        size_t size;
    } cases[] = {
        {{0x08}, 1},            /* value is missing */
        {{0x08, 0x80}, 2},      /* varint ends early */
        {{0x12, 0x05, 'a'}, 3}, /* length beyond the end */
        {{0x0d, 1, 2}, 3},      /* 32 bits end early */
        {{0x09, 1, 2, 3}, 4},   /* 64 bits end early */
        {{0x00, 0x00}, 2},      /* field 0 */
        {{0x0b, 0x00}, 2},      /* a group */
        {{0x0f, 0x00}, 2},      /* no such type */
        {{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 11}, /* over 64 bits */
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_pb_bytes left = {cases[i].bytes, cases[i].size};
        nnd_pb_field f;
        bool bad = false;
        assert_false(nnd_pb_next(&left, &f, &bad));
        assert_true(bad);
    }
}

static void packed_fields_are_counted(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 0x80, 0x01, 0x05};
    nnd_pb_field f = {.type = NND_PB_LEN, .bytes = {bytes, 4}};
    size_t n;
    assert_true(nnd_pb_packed_count(&f, 0, &n) && n == 3);
    assert_true(nnd_pb_packed_count(&f, 4, &n) && n == 1);
    assert_false(nnd_pb_packed_count(&f, 8, &n));
    f.bytes.size = 2; /* the last varint goes on */
    assert_false(nnd_pb_packed_count(&f, 0, &n));
    f.type = NND_PB_VARINT;
    assert_true(nnd_pb_packed_count(&f, 0, &n) && n == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_names_and_producers),
        cmocka_unit_test(many_names_are_found_again),
        cmocka_unit_test(bodies_capture_outer_values),
        cmocka_unit_test(attributes_come_back),
        cmocka_unit_test(fields_of_every_type_are_read),
        cmocka_unit_test(malformed_fields_are_refused),
        cmocka_unit_test(packed_fields_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
