/* The canonical text: shared vectors, random documents, the schema, examples of the manual, files,
   missing memory. */
#include "format_support.h"

static char *read_file(const char *path, size_t *size)
{
    char *text = NULL;
    assert_int_equal(nnd_port_file_read(path, 1 << 24, &text, size), 0);
    char *copy = nnd_strdup(text);
    nnd_port_free(text);
    assert_non_null(copy);
    return copy;
}

static void assert_canonical(const char *input, const char *output)
{
    nnd_workflow *wf = parse_text_ok(input);
    char *text = save_text_ok(wf);
    assert_string_equal(text, output);
    nnd_free(text);
    nnd_workflow_destroy(wf);
}

static void test_vectors(void **state)
{
    const char *path = NND_SOURCE_DIR "/tests/vectors/workflow/canonical.json";
    (void)state;
    size_t size = 0;
    nnd_json_doc *doc = NULL;
    char *text = read_file(path, &size);
    assert_ok(nnd_json_parse(text, size, path, &doc));
    size_t count = nnd_json_count(nnd_json_root(doc));
    assert_true(count >= 10);
    for (size_t i = 0; i < count; i++) {
        const nnd_json *c = nnd_json_at(nnd_json_root(doc), i);
        const char *output = nnd_json_string(nnd_json_get(c, "output"), NULL);
        assert_canonical(nnd_json_string(nnd_json_get(c, "input"), NULL), output);
        assert_canonical(output, output);
    }
    nnd_json_destroy(doc);
    nnd_free(text);
}

/* ---- random documents -------------------------------------------------------------------- */

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static const char *pick_name(void)
{
    static const char *const names[] = {
        "a",  "image",          "out.0/x", "名前", "é ü", "x y", "A-1", "\xF0\x9F\x98\x80",
        "$T", "\\\"quoted\\\"", "tab\\t"};
    return names[draw((uint32_t)NND_COUNT(names))];
}

static void add_value(nnd_str *s, int depth)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "-0.0",
                                         "1e300",
                                         "0.1",
                                         "\"9007199254740993\"",
                                         "{\"$input\": \"i\"}",
                                         "{\"$file\": \"名.txt\"}",
                                         "\"\\u0000\"",
                                         "9007199254740991",
                                         "[]",
                                         "{}"};
    uint32_t kind = draw(14);
    if (depth > 3 || kind < NND_COUNT(values)) {
        nnd_str_add(s, values[kind % NND_COUNT(values)]);
    } else if (kind == 12) {
        nnd_str_add(s, "[");
        add_value(s, depth + 1);
        nnd_str_add(s, ", ");
        add_value(s, depth + 1);
        nnd_str_add(s, "]");
    } else {
        nnd_str_add(s, "{\"z\": ");
        add_value(s, depth + 1);
        nnd_str_printf(s, ", \"k%s\": ", pick_name());
        add_value(s, depth + 1);
        nnd_str_add(s, "}");
    }
}

/* Each member with some chance; the separator comes with it. */
static void maybe(nnd_str *s, const char *name)
{
    if (draw(2)) return;
    nnd_str_printf(s, ", \"%s\": ", name);
    add_value(s, 0);
}

static void maybe_text(nnd_str *s, const char *member)
{
    if (draw(2)) nnd_str_printf(s, ", %s", member);
}

static void add_ports(nnd_str *s, const char *key, uint32_t count)
{
    nnd_str_printf(s, "\"%s\": [", key);
    for (uint32_t i = 0; i < count; i++) {
        nnd_str_printf(s, "%s{\"name\": \"%s\", \"type\": \"list<a|b>\"", i ? ", " : "",
                       pick_name());
        maybe(s, "dtype");
        nnd_str_add(s, "}");
    }
    nnd_str_add(s, "]");
}

static void add_graph(nnd_str *s, int depth);

static void add_node(nnd_str *s, uint32_t i, int depth)
{
    static const char *const types[] = {"test.filter@1", "q.unknown", "flow.delay", "test.join@12"};
    uint32_t kind = draw(6);
    bool graph = kind == 4 && depth < 3;
    nnd_str_printf(s, "{\"type\": \"%s\", \"id\": \"n%u\"", graph ? "flow.loop" : types[kind % 4],
                   (unsigned)i);
    nnd_str_add(s, ", \"params\": {");
    for (uint32_t k = 0; k < draw(4); k++) {
        nnd_str_printf(s, "%s\"p%u\": ", k ? ", " : "", (unsigned)k);
        add_value(s, 0);
    }
    nnd_str_add(s, "}");
    maybe_text(s, "\"title\": \"题\"");
    maybe_text(s, "\"device\": \"sim:0\"");
    maybe_text(s, "\"on_error\": {\"retry\": 3}");
    maybe_text(s, "\"input_policy\": {\"b\": 1, \"a\": 2}");
    maybe_text(s, "\"deadline_ms\": 0.25");
    maybe_text(s, "\"bypass\": true");
    maybe_text(s, "\"mute\": false");
    maybe_text(s, "\"carry\": [{\"out\": \"o\", \"in\": \"i\", \"x-w\": 1}]");
    maybe_text(s, "\"count\": {\"$input\": \"n\"}");
    maybe_text(s, "\"until\": \"done\"");
    maybe(s, "x-note");
    maybe(s, "unknown");
    if (draw(3) == 0) {
        nnd_str_add(s, ", \"ports\": {");
        add_ports(s, "out", draw(3));
        nnd_str_add(s, ", ");
        add_ports(s, "in", draw(3));
        nnd_str_add(s, "}");
    }
    if (graph) {
        nnd_str_add(s, ", \"graph\": {");
        add_graph(s, depth + 1);
        nnd_str_add(s, "}");
    } else if (kind == 5) {
        nnd_str_add(s, ", \"ref\": \"../other.json\"");
    }
    nnd_str_add(s, "}");
}

static void add_graph(nnd_str *s, int depth)
{
    uint32_t nodes = draw(5);
    nnd_str_add(s, "\"nodes\": [");
    for (uint32_t i = 0; i < nodes; i++) {
        if (i) nnd_str_add(s, ", ");
        add_node(s, i, depth);
    }
    nnd_str_add(s, "], \"inputs\": [{\"type\": \"any\", \"name\": \"i\"");
    maybe(s, "default");
    nnd_str_printf(
        s, "}, {\"name\": \"j%s\"}], \"outputs\": [{\"from\": [\"n0\", \"%s\"], \"name\": \"o\"",
        pick_name(), pick_name());
    maybe(s, "title");
    nnd_str_printf(s,
                   "}], \"params\": [{\"name\": \"%s\", \"to\": [\"n0\", \"%s\"]}], \"edges\": [",
                   pick_name(), pick_name());
    for (uint32_t i = 0; i < draw(4); i++) {
        nnd_str_printf(s, "%s{\"to\": [\"n0\", \"%s\"], \"from\": [\"@\", \"i\"]", i ? ", " : "",
                       pick_name());
        maybe_text(s, "\"kind\": \"param\"");
        maybe_text(s, "\"queue\": 7");
        maybe_text(s, "\"bytes\": 9007199254740991");
        maybe_text(s, "\"age_ms\": 33.5");
        maybe_text(s, "\"policy\": \"drop_newest\"");
        maybe(s, "x-color");
        nnd_str_add(s, "}");
    }
    nnd_str_add(s, "]");
    maybe(s, "x-graph");
}

static void test_random_documents(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        nnd_str s = {0};
        seed = (uint64_t)round * 77 + 5;
        nnd_str_printf(&s, "{\"format\": \"nndeploy/1\", \"name\": \"%s\", ", pick_name());
        add_graph(&s, 0);
        maybe(&s, "ui");
        maybe(&s, "title");
        maybe(&s, "x-a");
        maybe(&s, "odd");
        maybe_text(&s, "\"run\": {\"z\": 1, \"mode\": \"serial\", \"a\": 2}");
        maybe_text(&s, "\"models\": {\"b\": {\"sha256\": \"00\"}, \"a\": {}}");
        maybe_text(&s, "\"requires\": {\"plugins\": {\"p\": \"\"}, \"nndeploy\": \"1\"}");
        nnd_str_add(&s, "}");
        nnd_workflow *wf = NULL;
        nnd_status status = nnd_workflow_parse(s.data, s.size, NULL, NULL, NULL, &wf);
        if (status != NND_OK) fprintf(stderr, "%s\n", s.data);
        assert_ok(status);
        char *first = save_text_ok(wf);
        nnd_workflow *again = parse_text_ok(first);
        char *second = save_text_ok(again);
        assert_string_equal(first, second);
        assert_same(wf, again);
        nnd_free(first);
        nnd_free(second);
        nnd_workflow_destroy(wf);
        nnd_workflow_destroy(again);
        nnd_str_free(&s);
    }
}

/* ---- files and memory -------------------------------------------------------------------- */

static const char sample[] = "{\"format\": \"nndeploy/1\", \"name\": \"s\", \"ui\": {\"a\": "
                             "{\"b\": 1}}, \"x-z\": 1, \"nodes\": [{\"id\": "
                             "\"a\", \"type\": \"test.filter@1\", \"params\": {\"width\": 3, "
                             "\"mean\": [1]}}], \"inputs\": [{\"name\": "
                             "\"i\", \"type\": \"image\"}], \"edges\": [{\"from\": [\"@\", \"i\"], "
                             "\"to\": [\"a\", \"image\"]}], "
                             "\"outputs\": [{\"name\": \"o\", \"from\": [\"a\", \"image\"]}]}";

static void test_save_to_a_file(void **state)
{
    (void)state;
    nnd_workflow *wf = parse_text_ok(sample), *again = NULL;
    const char *path = put_file("saved.json", "");
    assert_ok(nnd_workflow_save(wf, path));
    assert_ok(nnd_workflow_load(path, NULL, NULL, &again));
    assert_same(wf, again);
    nnd_workflow_destroy(again);
    assert_status(nnd_workflow_save(wf, "/nowhere/at/all.json"), NND_E_NOT_FOUND);
    assert_status(nnd_workflow_save(wf, NULL), NND_E_INVALID_ARGUMENT);
    nnd_workflow_destroy(wf);
}

static void test_missing_memory(void **state)
{
    (void)state;
    oom_begin();
    nnd_workflow *wf = parse_text_ok(sample);
    nnd_workflow *other = parse_text_ok("{\"format\": \"nndeploy/1\"}");
    long before = oom_live_blocks();
    for (int what = 0; what < 2; what++) {
        for (long n = 0;; n++) {
            char *text = NULL;
            nnd_json_writer *w = NULL;
            assert_ok(nnd_json_writer_create(0, &w));
            oom_fail_after(n);
            nnd_status status = what ? nnd_workflow_diff(wf, other, true, w)
                                     : nnd_workflow_save_text(wf, &text, NULL);
            if (what && status == NND_OK) status = nnd_json_writer_take(w, &text, NULL);
            bool hit = oom_hit();
            oom_never();
            nnd_free(text);
            nnd_json_writer_destroy(w);
            nnd_error_clear();
            assert_status(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
            assert_int_equal(oom_live_blocks(), before);
            if (!hit) break;
        }
    }
    nnd_workflow_destroy(other);
    nnd_workflow_destroy(wf);
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
}

/* ---- schema ------------------------------------------------------------------------------ */

/* Writes the schema, and one file per example; a script checks them with python3-jsonschema. */
static void test_schema_accepts_what_parses(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    nnd_json_writer *w = NULL;
    char *schema = NULL;
    nnd_json_doc *doc = NULL;
    assert_ok(nnd_json_writer_create(2, &w));
    assert_ok(nnd_workflow_schema(r, w));
    assert_ok(nnd_json_writer_take(w, &schema, NULL));
    nnd_json_writer_destroy(w);
    assert_ok(nnd_json_parse(schema, strlen(schema), NULL, &doc));
    assert_string_equal(nnd_json_string(nnd_json_get(nnd_json_root(doc), "$schema"), ""),
                        "https://json-schema.org/draft/2020-12/schema");
    nnd_json_destroy(doc);
    put_file("schema.json", schema);
    put_file("example.json", sample);
    nnd_free(schema);
    nnd_registry_unref(r);
    int code =
        system("/usr/bin/python3 " NND_SOURCE_DIR "/tests/workflow/check_schema.py " NND_BINARY_DIR
               "/format/schema.json " NND_BINARY_DIR "/format/example.json " NND_SOURCE_DIR
               "/tests/vectors/workflow/canonical.json");
    if (code != 0 && code >> 8 == 77) {
        fprintf(stderr, "skipped: python3 or its module jsonschema is not installed\n");
        skip();
    }
    assert_int_equal(code, 0);
}

/* ---- examples of the manual -------------------------------------------------------------- */

/* Checks each ```json block that is a whole workflow; gives how many there were. */
static int check_manual(const char *path)
{
    static const char fence[] = "```json\n";
    size_t size = 0;
    int count = 0;
    char *text = read_file(path, &size);
    nnd_registry *r = format_registry();
    for (const char *at = strstr(text, fence); at; at = strstr(at, fence)) {
        const char *p = at + strlen(fence);
        const char *end = strstr(p, "```");
        at = p;
        assert_non_null(end);
        if (strncmp(p, "{\n  \"format\"", 12) != 0) continue;
        nnd_workflow *wf = NULL;
        nnd_diagnostics *d = NULL;
        assert_ok(nnd_diagnostics_create(&d));
        nnd_status status = nnd_workflow_parse(p, (size_t)(end - p), path, NULL, d, &wf);
        if (status == NND_OK) {
            char *saved = save_text_ok(wf);
            bool same = strlen(saved) == (size_t)(end - p) && memcmp(saved, p, strlen(saved)) == 0;
            if (!same) fprintf(stderr, "%s: not canonical, should be\n%s", path, saved);
            nnd_free(saved);
            assert_true(same);
            (void)nnd_workflow_validate(wf, r, d);
        }
        /* Node types of the node library are not known here; everything else has to be right. */
        size_t unknown = count_code(d, "unknown-type");
        if (nnd_diagnostics_count(d) != unknown) print_problems(d);
        assert_int_equal(nnd_diagnostics_count(d), unknown);
        nnd_workflow_destroy(wf);
        nnd_diagnostics_destroy(d);
        count++;
    }
    nnd_registry_unref(r);
    nnd_free(text);
    return count;
}

static void test_examples_of_the_manual(void **state)
{
    (void)state;
    int english = check_manual(NND_SOURCE_DIR "/docs/en/workflow-format.md");
    assert_true(english >= 3);
    assert_int_equal(check_manual(NND_SOURCE_DIR "/docs/zh/workflow-format.md"), english);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_random_documents),
        cmocka_unit_test(test_save_to_a_file),
        cmocka_unit_test(test_missing_memory),
        cmocka_unit_test(test_schema_accepts_what_parses),
        cmocka_unit_test(test_examples_of_the_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
