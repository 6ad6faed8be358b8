/* Reading workflow files: every field, every error with its place, all of them in one go, files of
   `ref`, limits, missing memory. */
#include "format_support.h"

static const char *const whole =
    "{\"format\": \"nndeploy/1\", \"name\": \"all\", \"title\": \"T\", \"description\": \"D\",\n"
    " \"requires\": {\"nndeploy\": \">=1.0 <2\", \"plugins\": {\"p\": \">=1\"}, \"features\": "
    "[]},\n"
    " \"params\": [{\"name\": \"score\", \"to\": [\"a\", \"sigma\"], \"title\": \"Score\"}],\n"
    " \"inputs\": [{\"name\": \"i\", \"type\": \"image\", \"widget\": \"image\"}, {\"name\": "
    "\"j\"}],\n"
    " \"outputs\": [{\"name\": \"o\", \"from\": [\"a\", \"image\"]}],\n"
    " \"nodes\": [{\"id\": \"a\", \"type\": \"test.filter@1\", \"params\": {\"width\": 3},\n"
    "   \"title\": \"A\", \"device\": \"sim:0\", \"on_error\": {\"retry\": 2},\n"
    "   \"input_policy\": \"sync\", \"deadline_ms\": 2.5, \"bypass\": true, \"mute\": true,\n"
    "   \"ports\": {\"in\": [{\"name\": \"x\"}], \"out\": [{\"name\": \"y\", \"type\": "
    "\"tensor\"}]}},\n"
    "  {\"id\": \"l\", \"type\": \"flow.loop\", \"carry\": [{\"in\": \"u\", \"out\": \"v\"}],\n"
    "   \"count\": {\"$input\": \"n\"}, \"until\": \"done\", \"graph\": {\"inputs\": [],\n"
    "   \"outputs\": [], \"nodes\": [], \"edges\": [], \"x-note\": 1}}],\n"
    " \"edges\": [{\"from\": [\"@\", \"i\"], \"to\": [\"a\", \"image\"], \"queue\": 4, \"bytes\": "
    "9,\n"
    "   \"age_ms\": 1.5, \"policy\": \"latest\"},\n"
    "  {\"from\": [\"@\", \"j\"], \"to\": [\"a\", \"sigma\"], \"kind\": \"param\"}],\n"
    " \"run\": {\"mode\": \"pipeline\"}, \"models\": {\"m\": {\"sha256\": \"ab\"}},\n"
    " \"ui\": {\"nodes\": {\"a\": {\"x\": 1, \"y\": 2}}}, \"x-mine\": [1, 2]}";

static void test_every_field_is_kept(void **state)
{
    static const char *const expected[] = {
        "\"title\": \"T\",\n  \"description\": \"D\"",
        "\"requires\": {\"features\": [], \"nndeploy\": \">=1.0 <2\", \"plugins\": {\"p\": "
        "\">=1\"}}",
        "{\"name\": \"score\", \"to\": [\"a\", \"sigma\"], \"title\": \"Score\"}",
        "{\"name\": \"i\", \"type\": \"image\", \"widget\": \"image\"}",
        "{\"name\": \"j\", \"type\": \"any\"}",
        "{\"name\": \"o\", \"from\": [\"a\", \"image\"]}",
        "\"params\": {\"width\": 3}",
        "\"title\": \"A\", \"device\": \"sim:0\", \"on_error\": {\"retry\": 2}, "
        "\"input_policy\": \"sync\", \"deadline_ms\": 2.5, \"bypass\": true, \"mute\": true",
        "\"ports\": {\"in\": [{\"name\": \"x\", \"type\": \"any\"}], \"out\": [{\"name\": \"y\", "
        "\"type\": \"tensor\"}]}",
        "\"carry\": [{\"in\": \"u\", \"out\": \"v\"}]",
        "\"count\": {\n        \"$input\": \"n\"\n      }",
        "\"until\": \"done\"",
        "\"x-note\": 1",
        "\"queue\": 4, \"bytes\": 9, \"age_ms\": 1.5, \"policy\": \"latest\"",
        "\"to\": [\"a\", \"sigma\"], \"kind\": \"param\"",
        "\"run\": {\"mode\": \"pipeline\"}",
        "\"m\": {\"sha256\": \"ab\"}",
        "\"a\": {\"x\": 1, \"y\": 2}",
        "\"x-mine\": [1, 2]",
    };
    (void)state;
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    assert_ok(nnd_diagnostics_create(&d));
    assert_ok(nnd_workflow_parse(whole, strlen(whole), NULL, NULL, d, &wf));
    assert_int_equal(nnd_diagnostics_count(d), 0);
    assert_string_equal(nnd_workflow_name(wf), "all");
    assert_int_equal(nnd_workflow_input_count(wf), 2);
    assert_string_equal(nnd_workflow_input_name(wf, 1), "j");
    assert_string_equal(nnd_workflow_input_type(wf, 1), "any");
    assert_null(nnd_workflow_input_name(wf, 2));
    assert_int_equal(nnd_workflow_output_count(wf), 1);
    assert_string_equal(nnd_workflow_output_name(wf, 0), "o");
    char *text = save_text_ok(wf);
    for (size_t i = 0; i < NND_COUNT(expected); i++) {
        if (!strstr(text, expected[i])) fprintf(stderr, "%s\nlacks %s\n", text, expected[i]);
        assert_non_null(strstr(text, expected[i]));
    }
    nnd_free(text);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
}

/* One broken text each; line and column say where the problem is. */
static const struct bad_case {
    const char *text;
    const char *code;
    uint32_t line, column;
    const char *node;
    const char *suggestion;
} bad_cases[] = {
    {"[]", "wrong-kind", 1, 1, "", ""},
    {"{}", "format", 1, 1, "", ""},
    {"{\"format\": \"nndeploy/2\"}", "format", 1, 12, "", ""},
    {"{\"format\": 1}", "format", 1, 12, "", ""},
    {"{\"key_\": \"nndeploy::dag::Graph\", \"node_repository_\": []}", "format", 1, 1, "", ""},
#define F "{\"format\": \"nndeploy/1\",\n"
    {F " \"name\": 1}", "wrong-kind", 2, 10, "", ""},
    {F " \"name\": \"a\\u0000b\"}", "wrong-kind", 2, 10, "", ""},
    {F " \"requires\": 1}", "wrong-kind", 2, 14, "", ""},
    {F " \"requires\": {\"nndeploy\": 1}}", "wrong-kind", 2, 27, "", ""},
    {F " \"requires\": {\"nndeploy\": \">=1.x\"}}", "version", 2, 27, "", ""},
    {F " \"requires\": {\"nndeploy\": \">=99.0\"}}", "version", 2, 27, "", ""},
    {F " \"requires\": {\"features\": [\"warp\"]}}", "unknown-feature", 2, 28, "", ""},
    {F " \"requires\": {\"features\": {}}}", "wrong-kind", 2, 27, "", ""},
    {F " \"requires\": {\"plugins\": []}}", "wrong-kind", 2, 26, "", ""},
    {F " \"requires\": {\"plugins\": {\"p\": 1}}}", "wrong-kind", 2, 32, "", ""},
    {F " \"run\": {\"mode\": \"fast\"}}", "run-mode", 2, 18, "", ""},
    {F " \"run\": []}", "wrong-kind", 2, 9, "", ""},
    {F " \"models\": {\"m\": 1}}", "wrong-kind", 2, 18, "", ""},
    {F " \"inputs\": {}}", "wrong-kind", 2, 12, "", ""},
    {F " \"inputs\": [1]}", "wrong-kind", 2, 13, "", ""},
    {F " \"inputs\": [{}]}", "missing-field", 2, 13, "", ""},
    {F " \"inputs\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}", "duplicate", 2, 28, "", ""},
    {F " \"outputs\": [{\"name\": \"a\"}]}", "missing-field", 2, 14, "", ""},
    {F " \"outputs\": [{\"name\": \"a\", \"from\": [\"b\"]}]}", "wrong-kind", 2, 36, "", ""},
    {F " \"outputs\": [{\"name\": \"a\", \"from\": [\"b\", \"c\\u0000\"]}]}", "wrong-kind", 2, 36,
     "", ""},
    {F " \"params\": [{\"name\": \"a\", \"to\": \"b\"}]}", "wrong-kind", 2, 33, "", ""},
    {F " \"nodes\": [{\"type\": \"a.b\"}]}", "missing-field", 2, 12, "", ""},
    {F " \"nodes\": [{\"id\": 1, \"type\": \"a.b\"}]}", "wrong-kind", 2, 19, "", ""},
    {F " \"nodes\": [{\"id\": \"1a\", \"type\": \"a.b\"}]}", "bad-id", 2, 19, "", ""},
    {F " \"nodes\": [{\"id\": \"a\"}]}", "missing-field", 2, 12, "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b@0\"}]}", "bad-type", 2, 32, "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b@x\"}]}", "bad-type", 2, 32, "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"\"}]}", "bad-type", 2, 32, "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\"}, {\"id\": \"a\", \"type\": \"a.b\"}]}",
     "duplicate", 2, 40, "", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"params\": []}]}", "wrong-kind", 2, 49,
     "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"bypass\": 1}]}", "wrong-kind", 2, 49, "a",
     ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"deadline_ms\": -1}]}", "wrong-kind", 2,
     54, "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"ports\": []}]}", "wrong-kind", 2, 48, "a",
     ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"ports\": {\"in\": [{}]}}]}",
     "missing-field", 2, 56, "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"graph\": 1}]}", "wrong-kind", 2, 48, "a",
     ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"graph\": {}, \"ref\": \"x\"}]}",
     "ref-and-graph", 2, 12, "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"ref\": \"\"}]}", "ref", 2, 46, "a", ""},
    {F " \"nodes\": [{\"id\": \"a\", \"type\": \"a.b\", \"carry\": [{\"in\": \"x\"}]}]}",
     "missing-field", 2, 49, "a", ""},
    {F " \"nodes\": [{\"id\": \"s\", \"type\": \"flow.graph\", \"graph\": {\"nodes\": [{\"id\": "
       "\"b\"}]}}]}",
     "missing-field", 2, 66, "s/b", ""},
    {F " \"edges\": [{\"to\": [\"a\", \"b\"]}]}", "missing-field", 2, 12, "", ""},
    {F " \"edges\": [{\"from\": [\"a\", \"b\"], \"to\": [\"a\", \"b\"], \"kind\": \"x\"}]}",
     "edge-kind", 2, 59, "", ""},
    {F " \"edges\": [{\"from\": [\"a\", \"b\"], \"to\": [\"a\", \"b\"], \"queue\": 0}]}",
     "wrong-kind", 2, 60, "", ""},
    {F " \"edges\": [{\"from\": [\"a\", \"b\"], \"to\": [\"a\", \"b\"], \"queue\": 1.5}]}",
     "wrong-kind", 2, 60, "", ""},
    {F " \"edges\": [{\"from\": [\"a\", \"b\"], \"to\": [\"a\", \"b\"], \"policy\": \"no\"}]}",
     "edge-policy", 2, 61, "", ""},
    {F " \"a\\u0000b\": 1}", "wrong-kind", 2, 2, "", ""},
};

static void test_each_error_names_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        nnd_diagnostics *d = NULL;
        nnd_workflow *wf = NULL;
        assert_ok(nnd_diagnostics_create(&d));
        nnd_error_clear();
        assert_status(nnd_workflow_parse(c->text, strlen(c->text), "f.json", NULL, d, &wf),
                      NND_E_VALIDATION);
        assert_null(wf);
        const nnd_diagnostic *x = find_code(d, c->code);
        if (!x || x->line != c->line || x->column != c->column || strcmp(x->node, c->node) != 0) {
            fprintf(stderr, "case %zu: %s\nwanted %s at %u:%u in '%s', got\n", i, c->text, c->code,
                    (unsigned)c->line, (unsigned)c->column, c->node);
            print_problems(d);
            fail();
        }
        assert_int_equal(x->severity, NND_SEVERITY_ERROR);
        assert_string_equal(x->file, "f.json");
        assert_true(strlen(x->message) > 10);
        nnd_error *error = nnd_error_take();
        assert_non_null(error);
        assert_int_equal(nnd_error_status(error), NND_E_VALIDATION);
        assert_int_equal(nnd_error_line(error), nnd_diagnostics_at(d, 0)->line);
        nnd_error_destroy(error);
        nnd_diagnostics_destroy(d);
    }
}

static void test_messages_show_the_way(void **state)
{
    static const char *const pairs[][2] = {
        {"{\"format\": \"nndeploy/2\"}", "newer"},
        {"{\"key_\": 1, \"node_repository_\": []}", "import-nndeploy"},
        {F " \"requires\": {\"nndeploy\": \">=99.0\"}}", ">=99.0"},
        {F " \"requires\": {\"features\": [\"warp\"]}}", "'warp'"},
    };
    (void)state;
    for (size_t i = 0; i < NND_COUNT(pairs); i++) {
        nnd_workflow *wf = NULL;
        assert_status(nnd_workflow_parse(pairs[i][0], strlen(pairs[i][0]), NULL, NULL, NULL, &wf),
                      NND_E_VALIDATION);
        nnd_error *error = nnd_error_take();
        assert_non_null(strstr(nnd_error_message(error), pairs[i][1]));
        nnd_error_destroy(error);
    }
}

static void test_all_errors_in_one_go(void **state)
{
    static const char text[] =
        F " \"name\": 1,\n \"inputs\": [{}],\n"
          " \"nodes\": [{\"id\": \"9\", \"type\": \"a@\"}],\n"
          " \"edges\": [{\"from\": 1, \"to\": [\"a\", \"b\"], \"queue\": 0}]}";
    (void)state;
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    assert_ok(nnd_diagnostics_create(&d));
    assert_status(nnd_workflow_parse(text, strlen(text), NULL, NULL, d, &wf), NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_error_count(d), 6);
    for (size_t i = 1; i < nnd_diagnostics_count(d); i++)
        assert_true(nnd_diagnostics_at(d, i)->line >= nnd_diagnostics_at(d, i - 1)->line);
    nnd_diagnostics_destroy(d);
}

static void test_broken_json(void **state)
{
    static const char text[] = "{\"format\": \"nndeploy/1\",\n \"name\": tru}";
    (void)state;
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    assert_ok(nnd_diagnostics_create(&d));
    assert_status(nnd_workflow_parse(text, strlen(text), "f.json", NULL, d, &wf), NND_E_FORMAT);
    assert_int_equal(nnd_diagnostics_count(d), 1);
    assert_string_equal(nnd_diagnostics_at(d, 0)->code, "json");
    assert_int_equal(nnd_diagnostics_at(d, 0)->line, 2);
    nnd_diagnostics_destroy(d);
}

static void test_unknown_fields_warn_and_stay(void **state)
{
    static const char text[] =
        F " \"nmae\": 1, \"x-a\": 2, \"run\": {\"modes\": 1}, \"requires\": {\"what\": 1},\n"
          " \"inputs\": [{\"name\": \"i\", \"tpye\": 1}], \"outputs\": [{\"name\": \"o\", "
          "\"from\": [\"@\", "
          "\"i\"], \"z\": 1}],\n"
          " \"nodes\": [{\"id\": \"a\", \"type\": \"q.q\", \"parms\": {}, \"ports\": {\"in\": "
          "[{\"name\": \"p\", "
          "\"dtype\": \"f32\"}], \"more\": 1}, \"carry\": [{\"in\": \"i\", \"out\": \"o\", \"w\": "
          "1}]}],\n"
          " \"edges\": [{\"from\": [\"@\", \"i\"], \"to\": [\"a\", \"p\"], \"polcy\": 1}]}";
    static const char *const kept[] = {"nmae",  "x-a",   "modes", "what", "tpye", "z",
                                       "parms", "dtype", "more",  "w",    "polcy"};
    (void)state;
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    assert_ok(nnd_diagnostics_create(&d));
    assert_ok(nnd_workflow_parse(text, strlen(text), NULL, NULL, d, &wf));
    assert_int_equal(nnd_diagnostics_error_count(d), 0);
    assert_int_equal(count_code(d, "unknown-field"), NND_COUNT(kept) - 1);
    assert_string_equal(find_code(d, "unknown-field")->suggestion, "name");
    char *saved = save_text_ok(wf);
    for (size_t i = 0; i < NND_COUNT(kept); i++) {
        char key[32];
        snprintf(key, sizeof key, "\"%s\": ", kept[i]);
        assert_non_null(strstr(saved, key));
    }
    nnd_workflow *again = parse_text_ok(saved);
    assert_same(wf, again);
    nnd_free(saved);
    nnd_workflow_destroy(again);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
}

/* ---- sub-graphs in files ----------------------------------------------------------------- */

static const char inner_file[] =
    F " \"requires\": {\"plugins\": {\"absent\": \"\"}}, \"inputs\": [{\"name\": \"i\", \"type\": "
      "\"image\"}],\n \"outputs\": [{\"name\": \"o\", \"from\": [\"f\", \"image\"]}],\n"
      " \"nodes\": [{\"id\": \"f\", \"type\": \"test.filter\"}],\n"
      " \"edges\": [{\"from\": [\"@\", \"i\"], \"to\": [\"f\", \"image\"]}]}";

static void put_outer(const char *name, const char *ref)
{
    char text[512];
    snprintf(text, sizeof text,
             F " \"nodes\": [{\"id\": \"sub\", \"type\": \"flow.graph\",\n  \"ref\": \"%s\"}]}",
             ref);
    put_file(name, text);
}

/* Loads "name" below the test folder with problems; the caller destroys both. */
static nnd_status load_file(const char *name, nnd_diagnostics **d, nnd_workflow **wf)
{
    nnd_io *io = format_io();
    char path[600];
    snprintf(path, sizeof path, "%s/format/%s", NND_BINARY_DIR, name);
    assert_ok(nnd_diagnostics_create(d));
    *wf = NULL;
    nnd_status status = nnd_workflow_load(path, io, *d, wf);
    nnd_io_unref(io);
    return status;
}

static void test_ref_is_loaded_and_stays_a_ref(void **state)
{
    (void)state;
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    put_file("inner.json", inner_file);
    put_outer("outer.json", "inner.json");
    assert_ok(load_file("outer.json", &d, &wf));
    char *saved = save_text_ok(wf);
    assert_non_null(strstr(saved, "\"ref\": \"inner.json\"}"));
    assert_null(strstr(saved, "test.filter"));
    nnd_free(saved);
    nnd_registry *r = format_registry();
    assert_status(nnd_workflow_validate(wf, r, d), NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_count(d), 1); /* what the inner file requires counts too */
    assert_non_null(find_code(d, "missing-plugin"));
    assert_non_null(strstr(find_code(d, "missing-plugin")->file, "format/inner.json"));
    nnd_registry_unref(r);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
}

static void test_ref_failures(void **state)
{
    static const struct {
        const char *ref, *code, *word;
    } cases[] = {
        {"missing.json", "ref", "missing.json"},
        {"../../../../../../../../etc/passwd", "ref", "read"},
        {"self.json", "ref-recursion", "itself"},
        {"exists.txt", "json", "expected"},
    };
    (void)state;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_diagnostics *d = NULL;
        nnd_workflow *wf = NULL;
        put_outer("self.json", cases[i].ref);
        assert_status(load_file("self.json", &d, &wf), NND_E_VALIDATION);
        const nnd_diagnostic *x = find_code(d, cases[i].code);
        if (!x) print_problems(d);
        assert_non_null(x);
        if (strcmp(x->code, "json") != 0) {
            assert_int_equal(x->line, 3);
            assert_int_equal(x->column, 10);
            assert_string_equal(x->node, "sub");
        }
        nnd_diagnostics_destroy(d);
    }
}

static void test_errors_inside_a_ref_name_the_inner_file(void **state)
{
    (void)state;
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    put_file("broken.json", F " \"nodes\": [{\"id\": \"b\"},\n  {\"id\": \"c\"}]}");
    put_outer("outer.json", "broken.json");
    assert_status(load_file("outer.json", &d, &wf), NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_error_count(d), 2);
    const nnd_diagnostic *x = nnd_diagnostics_at(d, 1);
    assert_non_null(strstr(x->file, "format/broken.json"));
    assert_int_equal(x->line, 3);
    assert_string_equal(x->node, "sub/c");
    nnd_diagnostics_destroy(d);

    put_file("broken.json", "{\"format\": \"nndeploy/1\",\n !}");
    assert_status(load_file("outer.json", &d, &wf), NND_E_VALIDATION);
    x = find_code(d, "json");
    assert_non_null(strstr(x->file, "format/broken.json"));
    assert_int_equal(x->line, 2);
    nnd_diagnostics_destroy(d);
}

/* 33 files, each inside the next. */
static void test_refs_are_not_too_deep(void **state)
{
    (void)state;
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    put_file("deep0.json", F " \"nodes\": []}");
    for (int i = 1; i <= 33; i++) {
        char name[32], ref[32];
        snprintf(name, sizeof name, "deep%d.json", i);
        snprintf(ref, sizeof ref, "deep%d.json", i - 1);
        put_outer(name, ref);
    }
    assert_ok(load_file("deep32.json", &d, &wf));
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
    assert_status(load_file("deep33.json", &d, &wf), NND_E_VALIDATION);
    assert_non_null(find_code(d, "depth"));
    nnd_diagnostics_destroy(d);
}

/* Each file refers twice to the one before: without a limit that would be 2^20 files. */
static void test_refs_are_not_too_many(void **state)
{
    (void)state;
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    put_file("wide0.json", F " \"nodes\": []}");
    for (int i = 1; i <= 20; i++) {
        char name[32], text[512];
        snprintf(name, sizeof name, "wide%d.json", i);
        snprintf(
            text, sizeof text,
            F " \"nodes\": [{\"id\": \"a\", \"type\": \"flow.graph\", \"ref\": \"wide%d.json\"},\n"
              "  {\"id\": \"b\", \"type\": \"flow.graph\", \"ref\": \"wide%d.json\"}]}",
            i - 1, i - 1);
        put_file(name, text);
    }
    assert_status(load_file("wide20.json", &d, &wf), NND_E_VALIDATION);
    assert_non_null(find_code(d, "limit"));
    nnd_diagnostics_destroy(d);
}

static void test_load_without_file(void **state)
{
    (void)state;
    nnd_workflow *wf = NULL;
    assert_status(nnd_workflow_load("/nowhere/at/all.json", NULL, NULL, &wf), NND_E_NOT_FOUND);
    assert_status(nnd_workflow_load(NULL, NULL, NULL, &wf), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_workflow_parse(NULL, 0, NULL, NULL, NULL, &wf), NND_E_INVALID_ARGUMENT);
}

/* ---- limits and memory ------------------------------------------------------------------- */

static void test_limits(void **state)
{
    static const struct {
        const char *head, *element, *tail;
        int count;
    } cases[] = {
        {F " \"inputs\": [0", ", 0", "]}", 4096},
        {F " \"nodes\": [0", ", 0", "]}", 50000},
        {F " \"edges\": [0", ", 0", "]}", 200000},
    };
    (void)state;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_str text = {0};
        nnd_diagnostics *d = NULL;
        nnd_workflow *wf = NULL;
        nnd_str_add(&text, cases[i].head);
        for (int k = 0; k < cases[i].count; k++)
            nnd_str_add(&text, cases[i].element);
        nnd_str_add(&text, cases[i].tail);
        assert_ok(nnd_diagnostics_create(&d));
        assert_status(nnd_workflow_parse(text.data, text.size, NULL, NULL, d, &wf),
                      NND_E_VALIDATION);
        assert_int_equal(nnd_diagnostics_count(d), 1);
        assert_string_equal(nnd_diagnostics_at(d, 0)->code, "limit");
        nnd_diagnostics_destroy(d);
        nnd_str_free(&text);
    }
}

/* The list of problems has an end, the count of errors has none. */
static void test_too_many_problems(void **state)
{
    (void)state;
    nnd_str text = {0};
    nnd_diagnostics *d = NULL;
    nnd_workflow *wf = NULL;
    nnd_str_add(&text, F " \"nodes\": [0");
    for (int k = 1; k < 3000; k++)
        nnd_str_add(&text, ", 0");
    nnd_str_add(&text, "]}");
    assert_ok(nnd_diagnostics_create(&d));
    assert_status(nnd_workflow_parse(text.data, text.size, NULL, NULL, d, &wf), NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_count(d), 1001);
    assert_int_equal(nnd_diagnostics_error_count(d), 3000);
    assert_non_null(find_code(d, "too-many"));
    nnd_diagnostics_destroy(d);
    nnd_str_free(&text);
}

static void test_missing_memory(void **state)
{
    (void)state;
    put_file("inner.json", inner_file);
    put_outer("outer.json", "inner.json");
    nnd_io *io = NULL;
    static const char *const texts[] = {
        NULL, "{\"format\": \"nndeploy/1\", \"nmae\": 1, \"nodes\": [1]}", "{\"format\": 1, !"};
    static const nnd_status statuses[] = {NND_OK, NND_E_VALIDATION, NND_E_FORMAT};
    oom_begin();
    io = format_io();
    for (size_t k = 0; k < NND_COUNT(texts); k++) {
        const char *text = texts[k] ? texts[k] : whole;
        for (long n = 0;; n++) {
            nnd_workflow *wf = NULL;
            nnd_diagnostics *d = NULL;
            long before = oom_live_blocks();
            assert_ok(nnd_diagnostics_create(&d));
            oom_fail_after(n);
            nnd_status status = nnd_workflow_parse(text, strlen(text), NULL, io, d, &wf);
            bool hit = oom_hit();
            oom_never();
            /* The very last allocation may be that of the error record, which does without. */
            if (hit && status != statuses[k])
                assert_status(status, NND_E_OUT_OF_MEMORY);
            else
                assert_status(status, statuses[k]);
            assert_true(!hit || status != NND_OK);
            nnd_workflow_destroy(wf);
            nnd_diagnostics_destroy(d);
            nnd_error_clear();
            assert_int_equal(oom_live_blocks(), before);
            if (!hit) break;
        }
    }
    nnd_io_unref(io);
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_is_kept),
        cmocka_unit_test(test_each_error_names_its_place),
        cmocka_unit_test(test_messages_show_the_way),
        cmocka_unit_test(test_all_errors_in_one_go),
        cmocka_unit_test(test_broken_json),
        cmocka_unit_test(test_unknown_fields_warn_and_stay),
        cmocka_unit_test(test_ref_is_loaded_and_stays_a_ref),
        cmocka_unit_test(test_ref_failures),
        cmocka_unit_test(test_errors_inside_a_ref_name_the_inner_file),
        cmocka_unit_test(test_refs_are_not_too_deep),
        cmocka_unit_test(test_refs_are_not_too_many),
        cmocka_unit_test(test_load_without_file),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_too_many_problems),
        cmocka_unit_test(test_missing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
