/* Parameter snapshots, port type expressions, the registry. */
#include "format_support.h"

#include "workflow/format/params.h"
#include "workflow/registry.h"
#include "workflow/type_expr.h"

/* ---- snapshots --------------------------------------------------------------------------- */

static nnd_status find_secret(void *user, const char *name, char **value)
{
    (void)user;
    if (strcmp(name, "S") != 0)
        return nnd_error_set(NND_E_MISSING, "there is no secret '%s'", name);
    *value = nnd_strdup("hunter2");
    return *value ? NND_OK : NND_E_OUT_OF_MEMORY;
}
static const nnd_services services = {.size = sizeof(nnd_services), .find_secret = find_secret};

/* A snapshot of test.filter with up to two values. */
static nnd_status make(const char *name, const char *json, nnd_io *io, nnd_diagnostics *d,
                       nnd_params **out)
{
    wf_field given = {(char *)(uintptr_t)name, (char *)(uintptr_t)json, {0, 0}};
    wf_params_source source = {.type = &format_filter,
                               .node = "n",
                               .given = &given,
                               .given_count = name ? 1 : 0,
                               .io = io,
                               .services = &services};
    *out = NULL;
    return wf_params_make(&source, d, out);
}

static void test_defaults(void **state)
{
    (void)state;
    nnd_params *p = NULL;
    double numbers[4] = {9, 9, 9, 9};
    assert_ok(make(NULL, NULL, NULL, NULL, &p));
    assert_int_equal(nnd_params_int(p, "width"), 640);
    assert_true(nnd_params_float(p, "sigma") == 0.5);
    assert_true(nnd_params_float(p, "width") == 640);
    assert_true(nnd_params_bool(p, "fast"));
    assert_int_equal(nnd_params_enum(p, "filter"), 1);
    assert_string_equal(nnd_params_text(p, "filter"), "bilinear");
    assert_string_equal(nnd_params_text(p, "label"), "none");
    assert_int_equal(nnd_params_numbers(p, "mean", numbers, 2), 3);
    assert_true(numbers[0] == 0 && numbers[1] == 0 && numbers[2] == 9);
    assert_int_equal(nnd_params_string_count(p, "names"), 2);
    assert_string_equal(nnd_params_string_at(p, "names", 1), "b");
    assert_string_equal(nnd_params_string_at(p, "names", 2), "");
    assert_int_equal(nnd_json_get_type(nnd_params_json(p, "anything")), NND_JSON_NULL);
    assert_false(nnd_params_is_set(p, "width"));
    /* Wrong names and kinds give what is empty. */
    assert_int_equal(nnd_params_int(p, "label"), 0);
    assert_string_equal(nnd_params_text(p, "nothing"), "");
    assert_int_equal(nnd_params_enum(p, "label"), -1);
    assert_null(nnd_params_json(p, "label"));
    assert_int_equal(nnd_params_string_count(p, "mean"), 0);
    wf_params_unref(p);
    wf_params_unref(NULL);
}

static void test_given_values(void **state)
{
    (void)state;
    nnd_params *p = NULL;
    double number = 0;
    assert_ok(make("big", "\"-9223372036854775808\"", NULL, NULL, &p));
    assert_true(nnd_params_int(p, "big") == INT64_MIN);
    assert_true(nnd_params_is_set(p, "big"));
    wf_params_unref(p);
    assert_ok(make("big", "9007199254740991", NULL, NULL, &p));
    assert_true(nnd_params_int(p, "big") == 9007199254740991);
    wf_params_unref(p);
    assert_ok(make("mean", "127.5", NULL, NULL, &p)); /* one number for all */
    assert_int_equal(nnd_params_numbers(p, "mean", &number, 1), 1);
    assert_true(number == 127.5);
    wf_params_unref(p);
    assert_ok(make("anything", "{\"b\": 1, \"a\": [true]}", NULL, NULL, &p));
    assert_true(
        nnd_json_bool(nnd_json_at(nnd_json_get(nnd_params_json(p, "anything"), "a"), 0), 0));
    wf_params_unref(p);
    assert_ok(make("width", "{\"$input\": \"x\"}", NULL, NULL, &p));
    assert_int_equal(nnd_params_int(p, "width"), 640);
    assert_true(nnd_params_is_set(p, "width"));
    wf_params_unref(p);
}

static void test_file_form(void **state)
{
    (void)state;
    nnd_io *io = format_io();
    nnd_params *p = NULL;
    double numbers[3] = {0};
    put_file("text.txt", "héllo");
    put_file("mean.json", "[1, 2, 3]");
    put_file("names.json", "[\"x\"]");
    put_file("bad.txt", "a\xFF");
    assert_ok(make("label", "{\"$file\": \"text.txt\"}", io, NULL, &p));
    assert_string_equal(nnd_params_text(p, "label"), "héllo");
    wf_params_unref(p);
    assert_ok(make("mean", "{\"$file\": \"mean.json\"}", io, NULL, &p));
    assert_int_equal(nnd_params_numbers(p, "mean", numbers, 3), 3);
    assert_true(numbers[2] == 3);
    wf_params_unref(p);
    assert_ok(make("names", "{\"$file\": \"names.json\"}", io, NULL, &p));
    assert_string_equal(nnd_params_string_at(p, "names", 0), "x");
    wf_params_unref(p);
    assert_ok(make("anything", "{\"$file\": \"mean.json\"}", io, NULL, &p));
    assert_int_equal(nnd_json_count(nnd_params_json(p, "anything")), 3);
    wf_params_unref(p);
    assert_ok(make("path", "{\"$file\": \"nowhere.jpg\"}", io, NULL, &p)); /* the path itself */
    assert_string_equal(nnd_params_text(p, "path"), "nowhere.jpg");
    wf_params_unref(p);
    static const char *const wrong[][2] = {
        {"label", "{\"$file\": \"nowhere\"}"},     {"label", "{\"$file\": \"bad.txt\"}"},
        {"label", "{\"$file\": \"/etc/passwd\"}"}, {"mean", "{\"$file\": \"text.txt\"}"},
        {"names", "{\"$file\": \"mean.json\"}"},   {"width", "{\"$file\": \"mean.json\"}"}};
    for (size_t i = 0; i < NND_COUNT(wrong); i++)
        assert_status(make(wrong[i][0], wrong[i][1], io, NULL, &p), NND_E_VALIDATION);
    assert_status(make("label", "{\"$file\": \"text.txt\"}", NULL, NULL, &p), NND_E_VALIDATION);
    nnd_io_unref(io);
}

static void test_secrets(void **state)
{
    (void)state;
    nnd_params *p = NULL, *other = NULL;
    nnd_diagnostics *d = NULL;
    nnd_hash128 a, b;
    assert_ok(make("key", "{\"$secret\": \"S\"}", NULL, NULL, &p));
    assert_string_equal(nnd_params_text(p, "key"), "hunter2");
    assert_ok(make(NULL, NULL, NULL, NULL, &other));
    nnd_hash128_init(&a, 0);
    nnd_hash128_init(&b, 0);
    wf_params_hash(p, &a);
    wf_params_hash(other, &b);
    assert_memory_equal(&a, &b, sizeof a); /* the value does not count */
    wf_params_unref(p);
    wf_params_unref(other);
    assert_ok(nnd_diagnostics_create(&d));
    assert_status(make("key", "\"hunter2\"", NULL, d, &p), NND_E_VALIDATION);
    assert_status(make("key", "{\"$secret\": \"T\"}", NULL, d, &p), NND_E_VALIDATION);
    char *text = nnd_diagnostics_to_string(d);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "'T'"));
    nnd_free(text);
    nnd_diagnostics_destroy(d);
}

static void test_changed_copies(void **state)
{
    (void)state;
    nnd_params *p = NULL, *q = NULL;
    assert_ok(make("anything", "[1]", NULL, NULL, &p));
    assert_ok(wf_params_with_json(p, "width", "7", NULL, NULL, &q));
    assert_int_equal(nnd_params_int(q, "width"), 7);
    assert_int_equal(nnd_params_int(p, "width"), 640);
    assert_ptr_equal(nnd_params_json(p, "anything"), nnd_params_json(q, "anything")); /* shared */
    wf_params_unref(p);
    assert_int_equal(nnd_json_count(nnd_params_json(q, "anything")), 1);
    assert_status(wf_params_with_json(q, "width", "0", NULL, NULL, &p), NND_E_LIMIT);
    assert_status(wf_params_with_json(q, "width", "\"x\"", NULL, NULL, &p), NND_E_TYPE);
    assert_status(wf_params_with_json(q, "widht", "1", NULL, NULL, &p), NND_E_NOT_FOUND);
    nnd_error *error = nnd_error_take();
    assert_non_null(strstr(nnd_error_message(error), "'width'"));
    nnd_error_destroy(error);
    assert_status(wf_params_with_json(q, "width", "{", NULL, NULL, &p), NND_E_FORMAT);
    assert_status(wf_params_with_json(q, "key", "\"clear\"", NULL, NULL, &p), NND_E_VALIDATION);
    wf_params_unref(q);
}

static void test_values_of_edges(void **state)
{
    (void)state;
    nnd_params *p = NULL, *q = NULL;
    nnd_value *v = NULL;
    assert_ok(make(NULL, NULL, NULL, NULL, &p));
    assert_ok(nnd_value_new_int(9, &v));
    assert_ok(wf_params_with_value(p, "width", v, &q));
    assert_int_equal(nnd_params_int(q, "width"), 9);
    wf_params_unref(q);
    assert_ok(wf_params_with_value(p, "sigma", v, &q));
    assert_true(nnd_params_float(q, "sigma") == 9);
    wf_params_unref(q);
    assert_ok(wf_params_with_value(p, "mean", v, &q));
    wf_params_unref(q);
    assert_status(wf_params_with_value(p, "label", v, &q), NND_E_TYPE);
    assert_status(wf_params_with_value(p, "names", v, &q), NND_E_TYPE);
    assert_status(wf_params_with_value(p, "nope", v, &q), NND_E_NOT_FOUND);
    nnd_value_unref(v);
    assert_ok(nnd_value_new_float(1.5, &v));
    assert_status(wf_params_with_value(p, "width", v, &q), NND_E_TYPE);
    nnd_value_unref(v);
    assert_ok(nnd_value_new_int(99999, &v));
    assert_status(wf_params_with_value(p, "width", v, &q), NND_E_LIMIT);
    nnd_value_unref(v);
    assert_ok(nnd_value_new_text("nearest", SIZE_MAX, &v));
    assert_ok(wf_params_with_value(p, "filter", v, &q));
    assert_int_equal(nnd_params_enum(q, "filter"), 0);
    wf_params_unref(q);
    assert_status(wf_params_with_value(p, "fast", v, &q), NND_E_TYPE);
    nnd_value_unref(v);
    wf_params_unref(p);
}

/* Two threads read and change copies of one snapshot. */
static void *share(void *given)
{
    for (int i = 0; i < 500; i++) {
        nnd_params *q = NULL;
        if (wf_params_with_json(given, "width", "5", NULL, NULL, &q) != NND_OK) return given;
        if (nnd_params_int(q, "width") != 5 || nnd_params_string_count(q, "names") != 2)
            return given;
        wf_params_unref(wf_params_ref(given));
        wf_params_unref(q);
    }
    return NULL;
}

static void run_share(void *given)
{
    void **pair = given;
    pair[1] = share(pair[0]);
}

static void test_threads(void **state)
{
    (void)state;
    nnd_params *p = NULL;
    nnd_port_thread *threads[2];
    void *pairs[2][2];
    assert_ok(make(NULL, NULL, NULL, NULL, &p));
    for (int i = 0; i < 2; i++) {
        pairs[i][0] = p;
        pairs[i][1] = p;
        assert_int_equal(nnd_port_thread_create("share", run_share, pairs[i], &threads[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        nnd_port_thread_join(threads[i]);
        assert_null(pairs[i][1]);
    }
    wf_params_unref(p);
}

/* ---- type expressions -------------------------------------------------------------------- */

static void test_type_syntax(void **state)
{
    static const char *const good[] = {"image",           "any", "list<image>", "a|b",
                                       "list<a|list<b>>", "$T",  "list<$T>"};
    static const char *const bad[] = {"",   "|",   "a|", "list<", "list<>", "list<a",
                                      "a>", "a b", "$",  "a||b",  "<a>"};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(good); i++)
        assert_ok(wf_type_check(good[i], false));
    for (size_t i = 0; i < NND_COUNT(bad); i++)
        assert_status(wf_type_check(bad[i], false), NND_E_FORMAT);
    assert_ok(wf_type_check("list<image|tensor>", true));
    assert_status(wf_type_check("imgae", true), NND_E_FORMAT);
    char longest[1024];
    memset(longest, 'a', sizeof longest);
    for (size_t i = 40; i < sizeof longest; i += 41)
        longest[i] = '|';
    longest[sizeof longest - 1] = '\0';
    assert_status(wf_type_check(longest, false), NND_E_FORMAT);
}

static wf_match match(const char *expr, const char *actual)
{
    wf_bindings b = {0};
    wf_match m = WF_MATCH_NO;
    assert_ok(wf_type_match(expr, actual, &b, &m));
    wf_bindings_fini(&b);
    return m;
}

static void test_type_matching(void **state)
{
    static const struct {
        const char *expr, *actual;
        wf_match match;
    } cases[] = {
        {"image", "image", WF_MATCH_YES},
        {"image", "tensor", WF_MATCH_NO},
        {"any", "image", WF_MATCH_YES},
        {"image", "any", WF_MATCH_RUN},
        {"a|b", "b", WF_MATCH_YES},
        {"a|b", "c", WF_MATCH_NO},
        {"a|b", "b|a", WF_MATCH_YES},
        {"a", "a|b", WF_MATCH_RUN},
        {"list<a>", "list<a>", WF_MATCH_YES},
        {"list<a>", "list<b>", WF_MATCH_NO},
        {"list<a|b>", "list<a>", WF_MATCH_YES},
        {"list<a>", "a", WF_MATCH_NO},
        {"list", "list<a>", WF_MATCH_YES},
        {"list<a>", "list", WF_MATCH_RUN},
        {"list<any>", "list<a>", WF_MATCH_YES},
        {"list<a>", "list<any>", WF_MATCH_RUN},
        {"$T", "a|b", WF_MATCH_YES},
        {"list<$T>", "list<list<a>>", WF_MATCH_YES},
    };
    (void)state;
    for (size_t i = 0; i < NND_COUNT(cases); i++)
        assert_int_equal(match(cases[i].expr, cases[i].actual), cases[i].match);
}

/* What holds for all types of a small grammar. */
static void test_type_properties(void **state)
{
    static const char *const types[] = {"a",       "b",         "any",           "a|b",
                                        "list<a>", "list<a|b>", "list<list<b>>", "list<any>|a"};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(types); i++) {
        bool has_any = strstr(types[i], "any") != NULL;
        if (!has_any) assert_int_equal(match(types[i], types[i]), WF_MATCH_YES);
        assert_int_equal(match("any", types[i]), WF_MATCH_YES);
        assert_int_not_equal(match(types[i], "any"), WF_MATCH_NO);
        for (size_t k = 0; k < NND_COUNT(types); k++) {
            char wide[64], list_a[64], list_b[64], *bound = NULL;
            bool complete = false;
            snprintf(wide, sizeof wide, "%s|%s", types[i], types[k]);
            assert_true(match(wide, types[k]) >= match(types[i], types[k]));
            snprintf(list_a, sizeof list_a, "list<%s>", types[i]);
            snprintf(list_b, sizeof list_b, "list<%s>", types[k]);
            assert_int_equal(match(list_a, list_b), match(types[i], types[k]));
            wf_bindings b = {0};
            wf_match m;
            assert_ok(wf_type_match("$T", types[i], &b, &m));
            assert_ok(wf_type_match("$T", types[k], &b, &m));
            assert_ok(wf_type_substitute("list<$T>", &b, &complete, &bound));
            assert_ok(wf_type_check(bound, false));
            nnd_free(bound);
            wf_bindings_fini(&b);
        }
    }
}

static void test_type_substitution(void **state)
{
    (void)state;
    wf_bindings b = {0};
    wf_match m;
    char *text = NULL;
    bool complete = true;
    assert_ok(wf_type_match("list<$T>", "list<image>", &b, &m));
    assert_string_equal(wf_bindings_get(&b, "$T"), "image");
    assert_ok(wf_type_match("$T", "tensor", &b, &m));
    assert_int_equal(m, WF_MATCH_NO);
    assert_ok(wf_type_substitute("list<$T>|$U", &b, &complete, &text));
    assert_string_equal(text, "list<image>|any");
    assert_false(complete);
    nnd_free(text);
    wf_bindings_fini(&b);
}

/* ---- registry ---------------------------------------------------------------------------- */

static void test_registry_order(void **state)
{
    (void)state;
    nnd_registry *r = format_registry();
    assert_ok(nnd_registry_add(r, &format_filter2));
    assert_status(nnd_registry_add(r, &format_filter2), NND_E_EXISTS);
    assert_ptr_equal(nnd_registry_find(r, "test.filter", 0), &format_filter2);
    assert_ptr_equal(nnd_registry_find(r, "test.filter", 1), &format_filter);
    assert_null(nnd_registry_find(r, "test.filter", 3));
    assert_null(nnd_registry_find(r, "test.filte", 0));
    assert_null(nnd_registry_find(NULL, "x", 0));
    for (size_t i = 1; i < nnd_registry_count(r); i++) {
        const nnd_node_type *a = nnd_registry_at(r, i - 1), *b = nnd_registry_at(r, i);
        int order = strcmp(a->type, b->type);
        assert_true(order < 0 || (order == 0 && a->version < b->version));
    }
    assert_null(nnd_registry_at(r, nnd_registry_count(r)));
    assert_non_null(nnd_registry_find(r, "flow.graph", 0));
    nnd_registry_unref(r);
}

static void test_add_all_or_none(void **state)
{
    const nnd_node_type *const twice[] = {&format_filter2, &format_filter2};
    const nnd_node_type *const mixed[] = {&format_filter2, &format_join};
    (void)state;
    nnd_registry *r = format_registry();
    size_t count = nnd_registry_count(r);
    assert_status(wf_registry_add_all(r, twice, 2, NULL), NND_E_EXISTS);
    assert_status(wf_registry_add_all(r, mixed, 2, NULL), NND_E_EXISTS);
    assert_int_equal(nnd_registry_count(r), count);
    nnd_registry_unref(r);
}

static void test_bad_descriptors(void **state)
{
    static const nnd_port twice[] = {NND_PORT("a", "image", ""), NND_PORT("a", "image", "")};
    static const nnd_port odd[] = {NND_PORT("a", "list<", "")};
    static const nnd_param params[] = {
        NND_PARAM_INT("p", 5, 6, 9, "", ""),
        NND_PARAM_INT("p", 0.5, 0, 0, "", ""),
        NND_PARAM_INT("p", 1e30, 0, 0, "", ""),
        NND_PARAM_INT("p", 1, 9, 6, "", ""),
        NND_PARAM_BOOL("p", 2, ""),
        NND_PARAM_ENUM("p", "x", "a|b", ""),
        NND_PARAM_NUMBERS("p", "{}", 0, 0, "", ""),
        NND_PARAM_NUMBERS("p", "[300]", 0, 255, "", ""),
        NND_PARAM_STRINGS("p", "[1]", ""),
        NND_PARAM_JSON("p", "{", ""),
        NND_PARAM_TEXT("p", NULL, ""),
        {"p", NND_PARAM_KIND_TEXT, NND_PARAM_SECRET, 0, "shown", 0, 0, NULL, "", "", NULL},
        {"p", NND_PARAM_KIND_INT, NND_PARAM_SECRET, 0, NULL, 0, 0, NULL, "", "", NULL},
        {"p", (nnd_param_kind)77, 0, 0, "", 0, 0, NULL, "", "", NULL},
        NND_PARAM_TEXT("", "", ""),
    };
    (void)state;
    nnd_registry *r = format_registry();
    nnd_node_type t = format_filter2;
    t.struct_size--;
    assert_status(nnd_registry_add(r, &t), NND_E_UNSUPPORTED);
    t = format_filter2, t.type = "Bad.Name";
    assert_status(nnd_registry_add(r, &t), NND_E_INVALID_ARGUMENT);
    t = format_filter2, t.type = "single";
    assert_status(nnd_registry_add(r, &t), NND_E_INVALID_ARGUMENT);
    t = format_filter2, t.version = 0;
    assert_status(nnd_registry_add(r, &t), NND_E_INVALID_ARGUMENT);
    t = format_filter2, t.process = NULL;
    assert_status(nnd_registry_add(r, &t), NND_E_INVALID_ARGUMENT);
    t = format_filter2, t.inputs = (nnd_array)NND_ARRAY(twice);
    assert_status(nnd_registry_add(r, &t), NND_E_INVALID_ARGUMENT);
    t = format_filter2, t.outputs = (nnd_array)NND_ARRAY(odd);
    assert_status(nnd_registry_add(r, &t), NND_E_INVALID_ARGUMENT);
    for (size_t i = 0; i < NND_COUNT(params); i++) {
        t = format_filter2;
        t.params = (nnd_array){&params[i], 1, sizeof(nnd_param)};
        assert_status(nnd_registry_add(r, &t), NND_E_INVALID_ARGUMENT);
    }
    assert_status(nnd_registry_add(r, NULL), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_registry_add(NULL, &t), NND_E_INVALID_ARGUMENT);
    nnd_registry_unref(r);
}

static void test_description(void **state)
{
    static const char *const parts[] = {"\"type\":\"test.filter\"",
                                        "\"version\":1",
                                        "\"minimum\":1,\"maximum\":16384",
                                        "\"values\":[\"nearest\",\"bilinear\",\"bicubic\"]",
                                        "\"secret\":true",
                                        "\"static\":true"};
    (void)state;
    nnd_json_writer *w = NULL;
    nnd_json_doc *doc = NULL;
    char *text = NULL;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_node_type_to_json(&format_filter, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    assert_ok(nnd_json_parse(text, strlen(text), NULL, &doc));
    for (size_t i = 0; i < NND_COUNT(parts); i++)
        assert_non_null(strstr(text, parts[i]));
    nnd_json_destroy(doc);
    nnd_free(text);
    nnd_json_writer_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),          cmocka_unit_test(test_given_values),
        cmocka_unit_test(test_file_form),         cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_changed_copies),    cmocka_unit_test(test_values_of_edges),
        cmocka_unit_test(test_threads),           cmocka_unit_test(test_type_syntax),
        cmocka_unit_test(test_type_matching),     cmocka_unit_test(test_type_properties),
        cmocka_unit_test(test_type_substitution), cmocka_unit_test(test_registry_order),
        cmocka_unit_test(test_add_all_or_none),   cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
