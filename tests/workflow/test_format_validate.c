/* Checking documents: every code with its place, plug-ins, value forms, sizes, missing memory. */
#include "format_support.h"

#define F          "{\"format\": \"nndeploy/1\",\n"
#define FILTER(id) "{\"id\": \"" id "\", \"type\": \"test.filter@1\"}"
#define IMAGE      " \"inputs\": [{\"name\": \"i\", \"type\": \"image\"}],\n"
#define TO(id)     "{\"from\": [\"@\", \"i\"], \"to\": [\"" id "\", \"image\"]}"
#define WITH(params)                                                                               \
    F IMAGE " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter\",\n  \"params\": {" params      \
            "}}],\n"                                                                               \
            " \"edges\": [" TO("a") "]}"
#define JOIN(params, edges)                                                                        \
    F " \"inputs\": [{\"name\": \"i\", \"type\": \"image\"}, {\"name\": \"t\", \"type\": "         \
      "\"text\"}],\n"                                                                              \
      " \"nodes\": [{\"id\": \"j\", \"type\": \"test.join\", \"params\": {" params                 \
      "}}],\n \"edges\": ["                                                                        \
      "{\"from\": [\"@\", \"i\"], \"to\": [\"j\", \"left\"]}, "                                    \
      "{\"from\": [\"@\", \"i\"], \"to\": [\"j\", \"more\"]}" edges "]}"
#define NEED "\"need\": \"x\""

/* code NULL: the document is fine. */
static const struct check_case {
    const char *text;
    const char *code;
    uint32_t line;
    const char *node, *port, *suggestion;
} cases[] = {
    {F IMAGE " \"nodes\": [" FILTER("a") "],\n \"edges\": [" TO("a") "]}", NULL, 0, "", "", ""},
    {JOIN(NEED, ""), NULL, 0, "", "", ""},
    {JOIN(NEED, ", {\"from\": [\"@\", \"t\"], \"to\": [\"j\", \"more\"]}"), NULL, 0, "", "", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"test.fliter\"}]}", "unknown-type", 2, "a", "",
     "test.filter"},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter@7\"}]}", "unknown-version", 2, "a", "",
     ""},
    {WITH("\"widht\": 3"), "unknown-param", 4, "a", "widht", "width"},
    {WITH("\"width\": 0"), "bad-param", 4, "a", "width", ""},
    {WITH("\"width\": 1.5"), "bad-param", 4, "a", "width", ""},
    {WITH("\"width\": true"), "bad-param", 4, "a", "width", ""},
    {WITH("\"sigma\": 10.5"), "bad-param", 4, "a", "sigma", ""},
    {WITH("\"sigma\": \"x\""), "bad-param", 4, "a", "sigma", ""},
    {WITH("\"fast\": 1"), "bad-param", 4, "a", "fast", ""},
    {WITH("\"filter\": \"box\""), "bad-param", 4, "a", "filter", ""},
    {WITH("\"label\": 1"), "bad-param", 4, "a", "label", ""},
    {WITH("\"label\": \"a\\u0000b\""), "bad-param", 4, "a", "label", ""},
    {WITH("\"mean\": [1, 256]"), "bad-param", 4, "a", "mean", ""},
    {WITH("\"mean\": [1, \"2\"]"), "bad-param", 4, "a", "mean", ""},
    {WITH("\"names\": [1]"), "bad-param", 4, "a", "names", ""},
    {WITH("\"names\": \"a\""), "bad-param", 4, "a", "names", ""},
    {WITH("\"big\": 9007199254740993"), "bad-param", 4, "a", "big", ""},
    {WITH("\"key\": \"hunter2\""), "bad-param", 4, "a", "key", ""},
    {WITH("\"label\": {\"$secret\": \"S\"}"), "bad-param", 4, "a", "label", ""},
    {WITH("\"label\": {\"$file\": 5}"), "bad-param", 4, "a", "label", ""},
    {WITH("\"width\": {\"$file\": \"w\"}"), "bad-param", 4, "a", "width", ""},
    {WITH("\"width\": {\"$input\": \"j\"}"), "unknown-input", 4, "a", "j", ""},
    {WITH("\"fixed\": {\"$input\": \"i\"}"), "static-param", 4, "a", "fixed", ""},
    {WITH(
         "\"width\": 7, \"mean\": 5, \"big\": \"9007199254740993\", \"key\": {\"$secret\": \"S\"}, "
         "\"label\": {\"$file\": \"t\"}, \"mean\": {\"$file\": \"m\"}, \"path\": {\"$file\": "
         "\"p\"}"),
     "json", 0, "", "", ""},
    {WITH(
         "\"width\": 7, \"mean\": 5, \"big\": \"9007199254740993\", \"key\": {\"$secret\": \"S\"}, "
         "\"label\": {\"$file\": \"t\"}, \"names\": {\"$file\": \"m\"}, \"path\": {\"$file\": "
         "\"p\"}, "
         "\"anything\": {\"$any\": 1}, \"sigma\": {\"$input\": \"i\"}"),
     NULL, 0, "", "", ""},
    {JOIN("", ""), "bad-param", 3, "j", "need", ""},
    {JOIN("", ", {\"from\": [\"@\", \"t\"], \"to\": [\"j\", \"need\"], \"kind\": \"param\"}"), NULL,
     0, "", "", ""},
    {JOIN(NEED, ", {\"from\": [\"@\", \"t\"], \"to\": [\"j\", \"left\"]}"), "second-edge", 4, "j",
     "left", ""},
    {JOIN(NEED, ",\n{\"from\": [\"@\", \"i\"], \"to\": [\"j\", \"right\"]}"), "type-mismatch", 5,
     "j", "right", ""},
    {JOIN(NEED, ",\n{\"from\": [\"@\", \"i\"], \"to\": [\"j\", \"rihgt\"]}"), "unknown-port", 5,
     "j", "rihgt", "right"},
    {JOIN(NEED, ",\n{\"from\": [\"@\", \"q\"], \"to\": [\"j\", \"more\"]}"), "unknown-input", 5, "",
     "q", ""},
    {JOIN(NEED, ",\n{\"from\": [\"jj\", \"q\"], \"to\": [\"j\", \"more\"]}"), "unknown-node", 5, "",
     "", ""},
    {JOIN(NEED, ",\n{\"from\": [\"j\", \"txet\"], \"to\": [\"j\", \"more\"]}"), "unknown-port", 5,
     "j", "txet", "text"},
    {JOIN(NEED, ",\n{\"from\": [\"j\", \"text\"], \"to\": [\"@\", \"x\"]}"), "edge-to-boundary", 5,
     "", "x", ""},
    {JOIN(NEED, ",\n{\"from\": [\"@\", \"t\"], \"to\": [\"j\", \"nope\"], \"kind\": \"param\"}"),
     "unknown-param", 5, "j", "nope", ""},
    {JOIN("", ", {\"from\": [\"@\", \"t\"], \"to\": [\"j\", \"need\"], \"kind\": \"param\"},\n"
              "{\"from\": [\"@\", \"t\"], \"to\": [\"j\", \"need\"], \"kind\": \"param\"}"),
     "second-edge", 5, "j", "need", ""},
    {JOIN("\"need\": {\"$input\": \"t\"}",
          ", {\"from\": [\"@\", \"t\"], \"to\": [\"j\", \"need\"], \"kind\": \"param\"}"),
     "second-edge", 3, "j", "need", ""},
    {F " \"nodes\": [" FILTER("a") "]}", "unconnected", 2, "a", "image", ""},
    {F " \"nodes\": [" FILTER("a") ", " FILTER(
         "b") "],\n \"edges\": [{\"from\": [\"a\", \"image\"], \"to\": "
              "[\"b\", \"image\"]}, {\"from\": [\"b\", \"image\"], \"to\": [\"a\", \"image\"]}]}",
     "cycle", 2, "a", "", ""},
    {F " \"nodes\": [" FILTER(
         "a") ", {\"id\": \"d\", \"type\": \"flow.delay\"}],\n \"edges\": [{\"from\": "
              "[\"a\", \"image\"], \"to\": [\"d\", \"in\"]}, {\"from\": [\"d\", \"out\"], \"to\": "
              "[\"a\", "
              "\"image\"]}]}",
     NULL, 0, "", "", ""},
    {F IMAGE " \"nodes\": [" FILTER("a") "],\n \"edges\": [" TO(
         "a") ",\n{\"from\": [\"@\", \"i\"], \"to\": [\"a\", \"fixed\"], \"kind\": \"param\"}]}",
     "static-param", 5, "a", "fixed", ""},
    {F " \"outputs\": [{\"name\": \"o\", \"from\": [\"a\", \"image\"]}]}", "unknown-node", 2, "",
     "", ""},
    {F " \"inputs\": [{\"name\": \"i\", \"type\": \"list<\"}]}", "bad-type", 2, "", "i", ""},
    {F " \"params\": [{\"name\": \"p\", \"to\": [\"a\", \"x\"]}]}", "unknown-node", 2, "", "", ""},
    {F IMAGE " \"params\": [{\"name\": \"p\", \"to\": [\"a\", \"x\"]}],\n \"nodes\": [" FILTER(
         "a") "], \"edges\": [" TO("a") "]}",
     "unknown-param", 3, "a", "x", ""},
    {F " \"nodes\": [{\"id\": \"s\", \"type\": \"flow.graph\"}]}", "missing-graph", 2, "s", "", ""},
    {F IMAGE " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter\", \"graph\": {}}]}",
     "unexpected-graph", 3, "a", "", ""},
    {F IMAGE " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter\", \"until\": \"x\"}]}",
     "unexpected-field", 3, "a", "", ""},
    {F IMAGE
     " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter\", \"input_policy\": \"latest\"}]}",
     "unsupported-input-policy", 3, "a", "input_policy", "sync"},
    {F IMAGE " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter\", \"on_error\": \"panic\"}]}",
     "bad-on-error", 3, "a", "on_error", ""},
    {F IMAGE " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter\", \"on_error\": {\"fallback\": "
             "\"a\"}}]}",
     "bad-on-error", 3, "a", "on_error", ""},
    {F IMAGE " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter\", \"on_error\": {\"fallback\": "
             "\"bb\"}}, " FILTER("b") "]}",
     "unknown-node", 3, "", "", ""},
    {F IMAGE " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter\", \"on_error\": {\"fallback\": "
             "\"b\"}}, " FILTER("b") "],\n \"edges\": [" TO("a") "]}",
     NULL, 0, "", "", ""},
    {F " \"requires\": {\"plugins\": {\"far\": \">=2\"}}, \"nodes\": []}", "missing-plugin", 0, "",
     "", ""},
    {F " \"nodes\": [{\"id\": \"s\", \"type\": \"flow.graph\", \"graph\": {\"nodes\": [\n" FILTER(
         "b") "]}}]}",
     "unconnected", 3, "s/b", "image", ""},
    {F " \"nodes\": [{\"id\": \"s\", \"type\": \"flow.graph\", \"params\": {\"q\": 1},\n "
       "\"graph\": {}}]}",
     "unknown-param", 2, "s", "q", ""},
    {F " \"nodes\": [{\"id\": \"s\", \"type\": \"flow.map\", \"params\": {\"over\": 1},\n "
       "\"graph\": {}}]}",
     "bad-param", 2, "s", "over", ""},
    {F " \"nodes\": [{\"id\": \"q\", \"type\": \"q.q\", \"ports\": {\"in\": [{\"name\": \"x\"},\n"
       " {\"name\": \"x\"}]}}]}",
     "duplicate", 3, "q", "x", ""},
    {F " \"nodes\": [{\"id\": \"q\", \"type\": \"q.q\", \"ports\": {\"in\": [{\"name\": \"x\", "
       "\"type\": "
       "\"a||b\"}]}}]}",
     "bad-type", 2, "q", "x", ""},
};

static void check_case(const struct check_case *c, nnd_registry *r)
{
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    assert_ok(nnd_diagnostics_create(&d));
    if (nnd_workflow_parse(c->text, strlen(c->text), NULL, NULL, d, &wf) == NND_OK)
        assert_status(nnd_workflow_validate(wf, r, d), c->code ? NND_E_VALIDATION : NND_OK);
    const nnd_diagnostic *x = c->code ? find_code(d, c->code) : NULL;
    bool good = c->code
                    ? x && (!c->line || x->line == c->line) && strcmp(x->node, c->node) == 0 &&
                          strcmp(x->port, c->port) == 0 && strcmp(x->suggestion, c->suggestion) == 0
                    : nnd_diagnostics_count(d) == 0 && wf;
    if (!good) {
        fprintf(stderr, "%s\nwanted %s line %u node '%s' port '%s' suggestion '%s', got\n", c->text,
                c->code ? c->code : "nothing", (unsigned)c->line, c->node, c->port, c->suggestion);
        print_problems(d);
    }
    if (strstr(c->text, "hunter2")) {
        char *shown = nnd_diagnostics_to_string(d);
        assert_null(strstr(shown, "hunter2"));
        nnd_free(shown);
    }
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
    assert_true(good);
}

static void test_every_code(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    for (size_t i = 0; i < NND_COUNT(cases); i++)
        check_case(&cases[i], r);
    nnd_registry_unref(r);
}

static void test_placeholders_name_the_plugin(void **state)
{
    static const char text[] = F " \"requires\": {\"plugins\": {\"lidar\": \">=2.1\"}},\n"
                                 " \"nodes\": [{\"id\": \"p\", \"type\": \"lidar.scan@3\", "
                                 "\"params\": {\"deep\": {\"b\": 1, \"a\": "
                                 "[1, 2]}},\n   \"odd\": true, \"ports\": {\"in\": [], \"out\": "
                                 "[{\"name\": \"points\", \"type\": "
                                 "\"cloud\"}]}}]}";
    (void)state;
    nnd_registry *r = format_registry();
    nnd_diagnostics *d = NULL;
    assert_ok(nnd_diagnostics_create(&d));
    nnd_workflow *wf = parse_text_ok(text);
    assert_status(nnd_workflow_validate(wf, r, d), NND_E_VALIDATION);
    assert_non_null(strstr(find_code(d, "unknown-type")->message, "'lidar'"));
    assert_non_null(strstr(find_code(d, "missing-plugin")->message, ">=2.1"));
    assert_int_equal(nnd_diagnostics_error_count(d), 2);
    char *saved = save_text_ok(wf);
    assert_non_null(strstr(saved,
                           "{\"id\": \"p\", \"type\": \"lidar.scan@3\", \"params\": {\"deep\": "
                           "{\"a\": [1, 2], \"b\": 1}}, \"ports\": {\"in\": [], \"out\": "
                           "[{\"name\": \"points\", \"type\": \"cloud\"}]}, \"odd\": true}"));
    nnd_free(saved);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
    nnd_registry_unref(r);
}

static void test_ref_without_files_warns(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    nnd_diagnostics *d = NULL;
    assert_ok(nnd_diagnostics_create(&d));
    nnd_workflow *wf = parse_text_ok(
        F " \"nodes\": [{\"id\": \"s\", \"type\": \"flow.graph\", \"ref\": \"x.json\"}]}");
    assert_ok(nnd_workflow_validate(wf, r, d));
    assert_int_equal(nnd_diagnostics_count(d), 1);
    assert_string_equal(nnd_diagnostics_at(d, 0)->code, "ref-not-loaded");
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
    nnd_registry_unref(r);
}

/* Problems without a list still reach the caller as an error record. */
static void test_error_record(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    nnd_workflow *wf = parse_text_ok(WITH("\"width\": 0, \"sigma\": 99"));
    assert_status(nnd_workflow_validate(wf, r, NULL), NND_E_VALIDATION);
    nnd_error *error = nnd_error_take();
    assert_non_null(strstr(nnd_error_message(error), "'width' = 0"));
    assert_string_equal(nnd_error_node(error), "a");
    assert_int_equal(nnd_error_line(error), 4);
    nnd_error_destroy(error);
    assert_status(nnd_workflow_validate(NULL, r, NULL), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_workflow_validate(wf, NULL, NULL), NND_E_INVALID_ARGUMENT);
    nnd_workflow_destroy(wf);
    nnd_registry_unref(r);
}

/* ---- hostile sizes ----------------------------------------------------------------------- */

/* Parses and checks a large text and prints the milliseconds that took: were one of them not near
   linear, the test would run into its limit of minutes. */
static void timed_check(nnd_registry *r, const nnd_str *text)
{
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    int64_t start = nnd_port_now();
    assert_ok(nnd_diagnostics_create(&d));
    if (nnd_workflow_parse(text->data, text->size, NULL, NULL, d, &wf) == NND_OK)
        (void)nnd_workflow_validate(wf, r, d);
    printf("%zu bytes in %.0f ms\n", text->size, (double)(nnd_port_now() - start) / 1e6);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
}

static void test_long_chains(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    nnd_str text = {0};
    nnd_str_add(&text, F IMAGE " \"nodes\": [" FILTER("n0"));
    for (int i = 1; i < 50000; i++)
        nnd_str_printf(&text, ",{\"id\":\"n%d\",\"type\":\"test.filter\"}", i);
    nnd_str_add(&text, "], \"edges\": [" TO("n0"));
    for (int i = 1; i < 50000; i++)
        nnd_str_printf(&text, ",{\"from\":[\"n%d\",\"image\"],\"to\":[\"n%d\",\"image\"]}", i - 1,
                       i);
    nnd_str_add(&text, "]}");
    timed_check(r, &text);
    nnd_str_free(&text);
    nnd_registry_unref(r);
}

/* Every edge is wrong, and each error would like to suggest one of many names. */
static void test_many_wrong_edges(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    nnd_str text = {0};
    nnd_str_add(&text, F IMAGE " \"nodes\": [" FILTER("n0"));
    for (int i = 1; i < 50000; i++)
        nnd_str_printf(&text, ",{\"id\":\"n%d\",\"type\":\"test.fliter\"}", i);
    nnd_str_add(&text, "], \"edges\": [" TO("n0"));
    for (int i = 1; i < 100000; i++)
        nnd_str_printf(&text, ",{\"from\":[\"m%d\",\"image\"],\"to\":[\"m%d\",\"image\"]}", i, i);
    nnd_str_add(&text, "]}");
    timed_check(r, &text);
    nnd_str_free(&text);
    nnd_registry_unref(r);
}

/* One node with many ports, and many edges between them. */
static void test_many_ports(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    nnd_str text = {0};
    nnd_str_add(
        &text,
        F " \"nodes\": [{\"id\": \"q\", \"type\": \"q.q\", \"ports\": {\"in\": [{\"name\":\"p\"}");
    for (int i = 0; i < 4000; i++)
        nnd_str_printf(&text, ",{\"name\":\"p%d\"}", i);
    nnd_str_add(&text, "], \"out\": [{\"name\":\"p\"}");
    for (int i = 0; i < 4000; i++)
        nnd_str_printf(&text, ",{\"name\":\"p%d\"}", i);
    nnd_str_add(&text, "]}}], \"edges\": [{\"from\":[\"q\",\"p\"],\"to\":[\"q\",\"p\"]}");
    for (int i = 0; i < 100000; i++)
        nnd_str_printf(&text, ",{\"from\":[\"q\",\"p%d\"],\"to\":[\"q\",\"p%d\"]}", i % 4000, 3999);
    nnd_str_add(&text, "]}");
    timed_check(r, &text);
    nnd_str_free(&text);
    nnd_registry_unref(r);
}

static void test_missing_memory(void **state)
{
    static const char *const texts[] = {
        JOIN(NEED, ", {\"from\": [\"@\", \"t\"], \"to\": [\"j\", \"more\"]}"),
        WITH("\"widht\": 3, \"width\": 0, \"sigma\": {\"$input\": \"z\"}"),
        F " \"requires\": {\"plugins\": {\"far\": \">=2\"}}, \"nodes\": [" FILTER("a") "]}",
    };
    (void)state;
    oom_begin();
    nnd_registry *r = format_registry();
    for (size_t k = 0; k < NND_COUNT(texts); k++) {
        nnd_workflow *wf = parse_text_ok(texts[k]);
        for (long n = 0;; n++) {
            nnd_diagnostics *d = NULL;
            assert_ok(nnd_diagnostics_create(&d));
            nnd_error_clear();
            long before = oom_live_blocks();
            oom_fail_after(n);
            nnd_status status = nnd_workflow_validate(wf, r, d);
            bool hit = oom_hit();
            oom_never();
            if (!hit)
                assert_status(status, k == 0 ? NND_OK : NND_E_VALIDATION);
            else if (k == 0 || status != NND_E_VALIDATION)
                assert_status(status, NND_E_OUT_OF_MEMORY);
            nnd_error_clear();
            if (nnd_diagnostics_count(d) == 0) assert_int_equal(oom_live_blocks(), before);
            nnd_diagnostics_destroy(d);
            if (!hit) break;
        }
        nnd_workflow_destroy(wf);
    }
    nnd_registry_unref(r);
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code),
        cmocka_unit_test(test_placeholders_name_the_plugin),
        cmocka_unit_test(test_ref_without_files_warns),
        cmocka_unit_test(test_error_record),
        cmocka_unit_test(test_long_chains),
        cmocka_unit_test(test_many_wrong_edges),
        cmocka_unit_test(test_many_ports),
        cmocka_unit_test(test_missing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
