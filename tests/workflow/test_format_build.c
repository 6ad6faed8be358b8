/* Building by API, differences, migrations. */
#include "format_support.h"

static nnd_workflow *new_workflow(void)
{
    nnd_workflow *wf = NULL;
    assert_ok(nnd_workflow_create("w", &wf));
    return wf;
}

static nnd_status build_all(nnd_workflow *wf)
{
    NND_TRY(nnd_workflow_add_input(wf, "i", "image"));
    NND_TRY(nnd_workflow_add_node(wf, "a", "test.filter@1"));
    NND_TRY(nnd_workflow_add_node(wf, "s", "flow.graph"));
    NND_TRY(nnd_workflow_set_field(
        wf, "s", "graph",
        "{\"inputs\": [{\"name\": \"x\", \"type\": \"image\"}], \"outputs\": "
        "[{\"name\": \"y\", \"from\": [\"b\", \"image\"]}], \"nodes\": "
        "[{\"id\": \"b\", \"type\": \"test.filter\"}]}"));
    NND_TRY(nnd_workflow_connect(wf, "s/@", "x", "s/b", "image"));
    NND_TRY(nnd_workflow_connect(wf, "@", "i", "a", "image"));
    NND_TRY(nnd_workflow_connect(wf, "a", "image", "s", "x"));
    NND_TRY(nnd_workflow_connect_param(wf, "@", "i", "a", "sigma"));
    NND_TRY(nnd_workflow_set_param(wf, "a", "width", "12"));
    NND_TRY(nnd_workflow_set_param(wf, "s/b", "label", "\"x\""));
    NND_TRY(nnd_workflow_set_field(wf, "a", "title", "\"T\""));
    NND_TRY(nnd_workflow_set_field(wf, "a", "x-note", "[1]"));
    return nnd_workflow_add_output(wf, "o", "s", "y");
}

static void test_build(void **state)
{
    static const char expected[] = "{\"format\": \"nndeploy/1\", \"name\": \"w\", \"inputs\": "
                                   "[{\"name\": \"i\", \"type\": \"image\"}],"
                                   "\"outputs\": [{\"name\": \"o\", \"from\": [\"s\", \"y\"]}], "
                                   "\"nodes\": [{\"id\": \"a\", \"type\": "
                                   "\"test.filter@1\", \"params\": {\"width\": 12}, \"title\": "
                                   "\"T\", \"x-note\": [1]}, {\"id\": \"s\", "
                                   "\"type\": \"flow.graph\", \"graph\": {\"inputs\": [{\"name\": "
                                   "\"x\", \"type\": \"image\"}], "
                                   "\"outputs\": [{\"name\": \"y\", \"from\": [\"b\", "
                                   "\"image\"]}], \"nodes\": [{\"id\": \"b\", \"type\": "
                                   "\"test.filter\", \"params\": {\"label\": \"x\"}}], \"edges\": "
                                   "[{\"from\": [\"@\", \"x\"], \"to\": "
                                   "[\"b\", \"image\"]}]}}], \"edges\": [{\"from\": [\"@\", "
                                   "\"i\"], \"to\": [\"a\", \"image\"]}, "
                                   "{\"from\": [\"a\", \"image\"], \"to\": [\"s\", \"x\"]}, "
                                   "{\"from\": [\"@\", \"i\"], \"to\": [\"a\", "
                                   "\"sigma\"], \"kind\": \"param\"}]}";
    (void)state;
    nnd_workflow *wf = new_workflow(), *wanted = parse_text_ok(expected);
    nnd_registry *r = format_registry();
    assert_ok(build_all(wf));
    assert_same(wf, wanted);
    assert_ok(nnd_workflow_validate(wf, r, NULL));
    nnd_registry_unref(r);
    nnd_workflow_destroy(wanted);
    nnd_workflow_destroy(wf);
}

static void test_build_errors(void **state)
{
    (void)state;
    nnd_workflow *wf = new_workflow();
    assert_ok(build_all(wf));
    char *before = save_text_ok(wf);
    const nnd_status invalid = NND_E_INVALID_ARGUMENT, missing = NND_E_NOT_FOUND;
    assert_status(nnd_workflow_add_input(wf, "", "image"), invalid);
    assert_status(nnd_workflow_add_input(wf, "\xFF", "image"), invalid);
    assert_status(nnd_workflow_add_input(wf, "i", "image"), NND_E_EXISTS);
    assert_status(nnd_workflow_add_output(wf, "o", "a", "image"), NND_E_EXISTS);
    assert_status(nnd_workflow_add_output(wf, "p", "q", "image"), missing);
    assert_status(nnd_workflow_add_output(wf, "p", "a", NULL), invalid);
    assert_status(nnd_workflow_add_node(wf, "a", "test.filter"), NND_E_EXISTS);
    assert_status(nnd_workflow_add_node(wf, "1", "test.filter"), invalid);
    assert_status(nnd_workflow_add_node(wf, "n", ""), invalid);
    assert_status(nnd_workflow_add_node(wf, "n", "x@0"), invalid);
    assert_status(nnd_workflow_add_node(wf, "q/n", "x"), missing);
    assert_status(nnd_workflow_add_node(wf, "a/n", "x"), missing);
    assert_status(nnd_workflow_remove_node(wf, "q"), missing);
    assert_status(nnd_workflow_remove_node(wf, NULL), missing);
    assert_status(nnd_workflow_set_param(wf, "q", "p", "1"), missing);
    assert_status(nnd_workflow_set_param(wf, "a", "", "1"), invalid);
    assert_status(nnd_workflow_set_param(wf, "a", "p", "text"), NND_E_FORMAT);
    assert_status(nnd_workflow_set_field(wf, "a", "tilte", "\"x\""), missing);
    assert_status(nnd_workflow_set_field(wf, "a", "title", "1"), NND_E_VALIDATION);
    assert_status(nnd_workflow_set_field(wf, "a", "title", "x"), NND_E_FORMAT);
    assert_status(nnd_workflow_set_field(wf, "a", "graph", "{\"nodes\": [{}]}"), NND_E_VALIDATION);
    assert_status(nnd_workflow_set_field(wf, "a", "deadline_ms", "-1"), NND_E_VALIDATION);
    assert_status(nnd_workflow_set_field(wf, "a", NULL, "1"), invalid);
    assert_status(nnd_workflow_connect(wf, "a", "image", "s/b", "image"), invalid);
    assert_status(nnd_workflow_connect(wf, "a", "image", "@", "image"), missing);
    assert_status(nnd_workflow_connect(wf, "q", "image", "a", "image"), missing);
    assert_status(nnd_workflow_connect(wf, "a", NULL, "a", "image"), invalid);
    char *after = save_text_ok(wf);
    assert_string_equal(before, after);
    nnd_free(before);
    nnd_free(after);
    nnd_workflow_destroy(wf);
}

static void test_fields_come_and_go(void **state)
{
    static const char *const fields[][2] = {
        {"title", "\"t\""},       {"device", "\"cpu\""},
        {"on_error", "\"skip\""}, {"input_policy", "\"sync\""},
        {"deadline_ms", "3"},     {"bypass", "true"},
        {"mute", "true"},         {"ports", "{\"in\": [], \"out\": [{\"name\": \"x\"}]}"},
        {"ref", "\"a.json\""},    {"graph", "{}"},
        {"count", "3"},           {"until", "\"done\""},
        {"x-a", "{\"b\": 1}"},    {"carry", "[{\"in\": \"a\", \"out\": \"b\"}]"}};
    (void)state;
    nnd_workflow *wf = new_workflow();
    assert_ok(nnd_workflow_add_node(wf, "n", "flow.loop"));
    char *bare = save_text_ok(wf);
    for (size_t i = 0; i < NND_COUNT(fields); i++) {
        assert_ok(nnd_workflow_set_field(wf, "n", fields[i][0], fields[i][1]));
        assert_ok(nnd_workflow_set_field(wf, "n", fields[i][0], fields[i][1])); /* replaced */
        char *with = save_text_ok(wf);
        assert_non_null(strstr(with, fields[i][0]));
        nnd_free(with);
        assert_ok(nnd_workflow_set_field(wf, "n", fields[i][0], "null"));
        char *without = save_text_ok(wf);
        assert_string_equal(without, bare);
        nnd_free(without);
    }
    nnd_free(bare);
    nnd_workflow_destroy(wf);
}

static void test_remove_node_takes_what_hangs_on_it(void **state)
{
    (void)state;
    nnd_workflow *wf = parse_text_ok(
        "{\"format\": \"nndeploy/1\", \"params\": [{\"name\": \"p\", \"to\": [\"a\", \"x\"]}, "
        "{\"name\": \"q\", "
        "\"to\": [\"b\", \"x\"]}], \"outputs\": [{\"name\": \"o\", \"from\": [\"a\", \"x\"]}], "
        "\"nodes\": "
        "[{\"id\": \"a\", \"type\": \"t.t\"}, {\"id\": \"b\", \"type\": \"t.t\"}], \"edges\": "
        "[{\"from\": [\"a\", "
        "\"x\"], \"to\": [\"b\", \"y\"]}, {\"from\": [\"b\", \"x\"], \"to\": [\"b\", \"y\"]}]}");
    nnd_workflow *wanted = parse_text_ok("{\"format\": \"nndeploy/1\", \"params\": [{\"name\": "
                                         "\"q\", \"to\": [\"b\", \"x\"]}], \"nodes\": "
                                         "[{\"id\": \"b\", \"type\": \"t.t\"}], \"edges\": "
                                         "[{\"from\": [\"b\", \"x\"], \"to\": [\"b\", \"y\"]}]}");
    assert_ok(nnd_workflow_remove_node(wf, "a"));
    assert_same(wf, wanted);
    nnd_workflow_destroy(wf);
    nnd_workflow_destroy(wanted);
}

static void test_build_without_memory(void **state)
{
    static const struct {
        const char *field, *value;
    } fields[] = {{"title", "\"x\""},
                  {"graph", "{\"nodes\": [{\"id\": \"b\", \"type\": \"t.t\"}]}"},
                  {"x-a", "1"}};
    (void)state;
    oom_begin();
    nnd_workflow *wf = new_workflow();
    assert_ok(build_all(wf));
    char *before = save_text_ok(wf);
    for (int what = 0; what < 9; what++) {
        for (long n = 0;; n++) {
            nnd_status status = NND_OK;
            oom_fail_after(n);
            if (what == 0) status = nnd_workflow_add_input(wf, "new", "image");
            if (what == 1) status = nnd_workflow_add_output(wf, "new", "a", "image");
            if (what == 2) status = nnd_workflow_add_node(wf, "new", "t.t");
            if (what == 3) status = nnd_workflow_set_param(wf, "a", "new", "[1]");
            if (what == 4) status = nnd_workflow_set_param(wf, "a", "width", "13");
            if (what == 5) status = nnd_workflow_connect(wf, "a", "image", "a", "image");
            if (what >= 6)
                status =
                    nnd_workflow_set_field(wf, "a", fields[what - 6].field, fields[what - 6].value);
            bool hit = oom_hit();
            oom_never();
            nnd_error_clear();
            if (!hit) {
                assert_ok(status);
                break;
            }
            assert_status(status, NND_E_OUT_OF_MEMORY);
            char *after = save_text_ok(wf);
            assert_string_equal(before, after);
            nnd_free(after);
        }
        nnd_free(before);
        before = save_text_ok(wf);
    }
    nnd_free(before);
    nnd_workflow_destroy(wf);
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
}

/* ---- differences ------------------------------------------------------------------------- */

static const struct {
    const char *a, *b, *kind, *path;
} differences[] = {
    {"\"name\": \"x\"", "\"name\": \"y\"", "name", ""},
    {"\"title\": \"x\"", "\"title\": \"y\"", "field", "title"},
    {"\"x-a\": 1", "\"x-b\": 1", "field", "x-a"},
    {"\"requires\": {}", "\"requires\": {\"nndeploy\": \"1\"}", "requires", ""},
    {"\"run\": {\"mode\": \"task\"}", "\"run\": {}", "run-mode", ""},
    {"\"run\": {\"x-a\": 1}", "\"run\": {\"x-a\": 2}", "run", "x-a"},
    {"\"models\": {\"m\": {}}", "\"models\": {}", "model", "m"},
    {"\"inputs\": [{\"name\": \"i\"}]", "\"inputs\": [{\"name\": \"i\", \"type\": \"image\"}]",
     "input", "@i"},
    {"\"inputs\": [{\"name\": \"i\"}]", "\"inputs\": [{\"name\": \"i\", \"title\": \"T\"}]",
     "input-field", "@i.title"},
    {"\"inputs\": [{\"name\": \"i\"}, {\"name\": \"j\"}]",
     "\"inputs\": [{\"name\": \"j\"}, {\"name\": \"i\"}]", "input-order", ""},
    {"\"outputs\": [{\"name\": \"o\", \"from\": [\"a\", \"x\"]}]",
     "\"outputs\": [{\"name\": \"o\", \"from\": [\"a\", \"y\"]}]", "output", "@o"},
    {"\"params\": [{\"name\": \"o\", \"to\": [\"a\", \"x\"]}]", "\"params\": []", "promoted", "@o"},
#define NODE(fields) "\"nodes\": [{\"id\": \"n\", \"type\": \"t.t@1\"" fields "}]"
    {NODE(""), "\"nodes\": []", "node-removed", "n"},
    {"\"nodes\": []", NODE(""), "node-added", "n"},
    {NODE(""), "\"nodes\": [{\"id\": \"n\", \"type\": \"t.t@2\"}]", "node-type", "n"},
    {NODE(""), NODE(", \"title\": \"x\""), "node-title", "n"},
    {NODE(""), NODE(", \"device\": \"x\""), "node-device", "n"},
    {NODE(""), NODE(", \"on_error\": \"skip\""), "node-on_error", "n"},
    {NODE(""), NODE(", \"input_policy\": \"x\""), "node-input_policy", "n"},
    {NODE(""), NODE(", \"deadline_ms\": 1"), "node-deadline_ms", "n"},
    {NODE(""), NODE(", \"bypass\": true"), "node-bypass", "n"},
    {NODE(""), NODE(", \"mute\": true"), "node-mute", "n"},
    {NODE(""), NODE(", \"ports\": {}"), "node-ports", "n"},
    {NODE(""), NODE(", \"carry\": [{\"in\": \"a\", \"out\": \"b\"}]"), "node-carry", "n"},
    {NODE(""), NODE(", \"count\": 1"), "node-count", "n"},
    {NODE(""), NODE(", \"until\": \"x\""), "node-until", "n"},
    {NODE(""), NODE(", \"ref\": \"x\""), "node-ref", "n"},
    {NODE(""), NODE(", \"x-a\": 1"), "node-field", "n.x-a"},
    {NODE(", \"params\": {\"p\": 1}"), NODE(", \"params\": {\"p\": 2}"), "param", "n.p"},
    {NODE(", \"graph\": {}"),
     NODE(", \"graph\": {\"nodes\": [{\"id\": \"m\", \"type\": \"t.t\"}]}"), "node-added", "n/m"},
#define EDGE(port, more) "{\"from\": [\"a\", \"x\"], \"to\": [\"b\", \"" port "\"]" more "}"
    {"\"edges\": [" EDGE("p", "") "]", "\"edges\": []", "edge-removed", "a.x → b.p"},
    {"\"edges\": []", "\"edges\": [" EDGE("p", ", \"kind\": \"param\"") "]", "edge-added",
     "a.x → param b.p"},
    {"\"edges\": [" EDGE("p", "") "]", "\"edges\": [" EDGE("p", ", \"queue\": 2") "]", "edge-queue",
     "a.x → b.p"},
    {"\"edges\": [" EDGE("p", "") "]", "\"edges\": [" EDGE("p", "") ", " EDGE("p", "") "]",
     "edge-added", "a.x → b.p (2)"},
    {"\"edges\": [" EDGE("p", "") ", " EDGE("q", "") "]",
     "\"edges\": [" EDGE("q", "") ", " EDGE("p", "") "]", "edge-order", ""},
    {"\"ui\": {\"a\": 1}", "\"ui\": {\"a\": 2}", "ui", ""},
};

static nnd_workflow *parse_member(const char *member)
{
    char text[512];
    snprintf(text, sizeof text, "{\"format\": \"nndeploy/1\", %s}", member);
    return parse_text_ok(text);
}

static void test_each_kind_of_change(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(differences); i++) {
        nnd_workflow *a = parse_member(differences[i].a), *b = parse_member(differences[i].b);
        char wanted[256];
        snprintf(wanted, sizeof wanted, "{\"kind\":\"%s\",\"path\":\"%s\",", differences[i].kind,
                 differences[i].path);
        char *text = diff_text(a, b, true);
        bool found = strstr(text, wanted) && strstr(text, "\"equal\":false");
        if (!found) fprintf(stderr, "%s\nlacks %s\n", text, wanted);
        nnd_free(text);
        assert_true(found);
        assert_same(a, a);
        nnd_workflow_destroy(a);
        nnd_workflow_destroy(b);
    }
    nnd_workflow *a = parse_member("\"ui\": 1"), *b = parse_member("\"ui\": 2");
    char *text = diff_text(a, b, false);
    assert_string_equal(text, "{\"changes\":[],\"equal\":true}");
    nnd_free(text);
    assert_status(nnd_workflow_diff(a, NULL, true, NULL), NND_E_INVALID_ARGUMENT);
    nnd_workflow_destroy(a);
    nnd_workflow_destroy(b);
}

/* ---- migrations -------------------------------------------------------------------------- */

/* "label" is called "text" from version 2 on. */
static nnd_status rename_label(const nnd_json *params, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    for (size_t i = 0; i < nnd_json_count(params); i++) {
        const char *key = nnd_json_key_at(params, i);
        nnd_json_key(w, strcmp(key, "label") == 0 ? "text" : key);
        nnd_json_put_json(w, nnd_json_at(params, i));
    }
    nnd_json_end_object(w);
    return NND_OK;
}

static nnd_status refuse(const nnd_json *params, nnd_json_writer *w)
{
    (void)params;
    (void)w;
    return nnd_error_set(NND_E_UNSUPPORTED, "this one cannot be translated");
}

static const nnd_migration step_1 = {sizeof(nnd_migration), "test.filter", 1, 2,
                                     "label becomes text",  rename_label};
static const nnd_migration step_1_bad = {
    sizeof(nnd_migration), "test.filter", 1, 2, "never", refuse};

static const char old_text[] = "{\"format\": \"nndeploy/1\", \"nodes\": [{\"id\": \"a\", \"type\": "
                               "\"test.filter@1\", \"params\": {\"label\": "
                               "{\"$input\": \"i\"}, \"width\": \"9007199254740993\"}}, {\"id\": "
                               "\"n\", \"type\": \"test.filter\"}, {\"id\": "
                               "\"s\", \"type\": \"flow.graph\", \"graph\": {\"nodes\": [{\"id\": "
                               "\"b\", \"type\": \"test.filter@1\"}]}}]}";

static void test_migration(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    nnd_diagnostics *d = NULL;
    size_t changed = 9;
    nnd_workflow *wf = parse_text_ok(old_text);
    assert_ok(nnd_diagnostics_create(&d));
    assert_ok(nnd_workflow_migrate(wf, r, d, &changed)); /* nothing newer is here */
    assert_int_equal(changed, 0);
    assert_int_equal(nnd_diagnostics_count(d), 0);
    assert_ok(nnd_registry_add(r, &format_filter2));
    assert_ok(nnd_workflow_migrate(wf, r, d, &changed)); /* newer, but no way there */
    assert_int_equal(changed, 0);
    assert_int_equal(count_code(d, "no-migration"), 2);
    assert_ok(nnd_registry_add_migration(r, &step_1));
    assert_status(nnd_registry_add_migration(r, &step_1), NND_E_EXISTS);
    assert_ok(nnd_workflow_migrate(wf, r, d, &changed));
    assert_int_equal(changed, 2);
    assert_int_equal(count_code(d, "migrated"), 2);
    assert_non_null(strstr(find_code(d, "migrated")->message, "label becomes text"));
    assert_int_equal(nnd_diagnostics_error_count(d), 0);
    char *text = save_text_ok(wf);
    assert_non_null(
        strstr(text, "\"type\": \"test.filter@2\", \"params\": {\"text\": {\"$input\": \"i\"}, "
                     "\"width\": \"9007199254740993\"}"));
    assert_non_null(strstr(text, "{\"id\": \"n\", \"type\": \"test.filter\"}"));
    assert_non_null(strstr(text, "{\"id\": \"b\", \"type\": \"test.filter@2\"}"));
    assert_null(strstr(text, "@1"));
    nnd_free(text);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(d);
    nnd_registry_unref(r);
}

static void test_failed_migration_changes_nothing(void **state)
{
    static const nnd_migration backwards = {sizeof(nnd_migration), "test.filter", 2, 1, "",
                                            rename_label};
    (void)state;
    oom_begin();
    nnd_registry *r = format_registry();
    assert_ok(nnd_registry_add(r, &format_filter2));
    assert_status(nnd_registry_add_migration(r, &backwards), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_registry_add_migration(r, NULL), NND_E_INVALID_ARGUMENT);
    assert_ok(nnd_registry_add_migration(r, &step_1_bad));
    nnd_workflow *wf = parse_text_ok(old_text), *same = parse_text_ok(old_text);
    assert_status(nnd_workflow_migrate(wf, r, NULL, NULL), NND_E_UNSUPPORTED);
    nnd_error *error = nnd_error_take();
    assert_string_equal(nnd_error_node(error), "a");
    nnd_error_destroy(error);
    assert_same(wf, same);
    nnd_registry_unref(r);

    r = format_registry();
    assert_ok(nnd_registry_add(r, &format_filter2));
    assert_ok(nnd_registry_add_migration(r, &step_1));
    for (long n = 0;; n++) {
        nnd_diagnostics *d = NULL;
        assert_ok(nnd_diagnostics_create(&d));
        oom_fail_after(n);
        nnd_status status = nnd_workflow_migrate(wf, r, d, NULL);
        bool hit = oom_hit();
        oom_never();
        nnd_diagnostics_destroy(d);
        nnd_error_clear();
        if (!hit) {
            assert_ok(status);
            break;
        }
        assert_status(status, NND_E_OUT_OF_MEMORY);
        assert_same(wf, same);
    }
    nnd_workflow_destroy(wf);
    nnd_workflow_destroy(same);
    nnd_registry_unref(r);
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_build_errors),
        cmocka_unit_test(test_fields_come_and_go),
        cmocka_unit_test(test_remove_node_takes_what_hangs_on_it),
        cmocka_unit_test(test_build_without_memory),
        cmocka_unit_test(test_each_kind_of_change),
        cmocka_unit_test(test_migration),
        cmocka_unit_test(test_failed_migration_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
