/* The texts of locale/: complete for every built-in node type, nothing left over, English where
   there are none, and bad files refused without a trace. */
#include "support/test.h"

#include "base/locale.h"
#include "nndeploy/nodes.h"
#include "support/oom.h"

enum { MAX_KEYS = 4096 };
static char *keys[MAX_KEYS]; /* every key that a complete file has, and the optional ones */
static bool needed[MAX_KEYS];
static size_t key_count;

static void expect_key(bool is_needed, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (size_t i = 0; i < key_count; i++)
        if (strcmp(keys[i], text) == 0) return;
    assert_true(key_count < MAX_KEYS);
    keys[key_count] = nnd_strdup(text);
    needed[key_count++] = is_needed;
}

static void expect_param(const nnd_node_type *t, const nnd_param *p)
{
    expect_key(true, "node.%s.param.%s.text", t->type, p->name);
    for (const char *v = p->values; v && *v;) {
        size_t size = strcspn(v, "|");
        expect_key(false, "node.%s.param.%s.value.%.*s", t->type, p->name, (int)size, v);
        v += size + (v[size] == '|');
    }
}

static void expect_type(const nnd_node_type *t)
{
    const nnd_port *in = t->inputs.items, *out = t->outputs.items;
    const nnd_param *params = t->params.items;
    expect_key(true, "category.%s", t->category);
    expect_key(true, "node.%s.title", t->type);
    expect_key(true, "node.%s.text", t->type);
    for (size_t i = 0; i < t->inputs.count; i++)
        expect_key(true, "node.%s.port.in.%s.text", t->type, in[i].name);
    for (size_t i = 0; i < t->outputs.count; i++)
        expect_key(true, "node.%s.port.out.%s.text", t->type, out[i].name);
    for (size_t i = 0; i < t->params.count; i++)
        expect_param(t, &params[i]);
}

static int collect(void **state)
{
    (void)state;
    const nnd_registry *registry = nnd_nodes_registry();
    for (size_t i = 0; i < nnd_registry_count(registry); i++)
        expect_type(nnd_registry_at(registry, i));
    return 0;
}

static int forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_count; i++)
        nnd_free(keys[i]);
    key_count = 0;
    return 0;
}

static const nnd_node_type *type_named(const char *name)
{
    const nnd_node_type *type = nnd_registry_find(nnd_nodes_registry(), name, 0);
    assert_non_null(type);
    return type;
}

static const nnd_param *param_named(const nnd_node_type *type, const char *name)
{
    const nnd_param *params = type->params.items;
    for (size_t i = 0; i < type->params.count; i++)
        if (strcmp(params[i].name, name) == 0) return &params[i];
    fail_msg("%s has no parameter %s", type->type, name);
    return NULL;
}

/* ---- the Chinese file ---------------------------------------------------------------------- */

static void test_complete(void **state)
{
    (void)state;
    nnd_node_texts *texts = NULL;
    size_t missing = 0;
    assert_ok(nnd_node_texts_create("zh", &texts));
    assert_string_equal(nnd_node_texts_language(texts), "zh");
    for (size_t i = 0; i < key_count; i++) {
        const char *text = nnd_node_texts_get(texts, keys[i], NULL);
        if (text ? text[0] : !needed[i]) continue;
        fprintf(stderr, "locale/zh.json lacks \"%s\"\n", keys[i]);
        missing++;
    }
    nnd_node_texts_destroy(texts);
    assert_int_equal(missing, 0);
}

static bool is_expected(const char *key)
{
    for (size_t i = 0; i < key_count; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return strncmp(key, "cli.", 4) == 0; /* the command's test looks at those */
}

static void test_nothing_left_over(void **state)
{
    (void)state;
    nnd_locale *locale = NULL;
    size_t stale = 0;
    assert_ok(nnd_locale_create("zh", &locale));
    assert_ok(nnd_locale_load(locale, NND_SOURCE_DIR "/locale/zh.json"));
    assert_true(nnd_locale_count(locale) > 300);
    for (size_t i = 0; i < nnd_locale_count(locale); i++) {
        if (is_expected(nnd_locale_key_at(locale, i))) continue;
        fprintf(stderr, "locale/zh.json: nothing has \"%s\"\n", nnd_locale_key_at(locale, i));
        stale++;
    }
    nnd_locale_destroy(locale);
    assert_int_equal(stale, 0);
}

/* What was built into the library is the file as it is now. */
static void test_embedded(void **state)
{
    (void)state;
    nnd_locale *locale = NULL;
    nnd_node_texts *texts = NULL;
    assert_ok(nnd_locale_create("zh", &locale));
    assert_ok(nnd_locale_load(locale, NND_SOURCE_DIR "/locale/zh.json"));
    assert_ok(nnd_node_texts_create("zh", &texts));
    for (size_t i = 0; i < nnd_locale_count(locale); i++) {
        const char *key = nnd_locale_key_at(locale, i);
        assert_string_equal(nnd_node_texts_get(texts, key, ""), nnd_locale_text(locale, key, NULL));
    }
    nnd_node_texts_destroy(texts);
    nnd_locale_destroy(locale);
}

/* ---- look-ups ------------------------------------------------------------------------------ */

static void test_lookups(void **state)
{
    (void)state;
    const nnd_node_type *resize = type_named("image.resize");
    const nnd_port *in = resize->inputs.items, *out = resize->outputs.items;
    const nnd_param *filter = param_named(resize, "filter");
    nnd_node_texts *zh = NULL;
    assert_ok(nnd_node_texts_create("zh", &zh));
    assert_string_equal(nnd_node_texts_title(zh, resize), "缩放");
    assert_string_equal(nnd_node_texts_category(zh, resize), "图像/几何");
    assert_string_equal(nnd_node_texts_port(zh, resize, false, &in[0]), "图片");
    assert_string_equal(nnd_node_texts_port(zh, resize, true, &out[0]), "结果");
    assert_string_equal(nnd_node_texts_param(zh, resize, filter), "插值方式");
    assert_string_equal(nnd_node_texts_value(zh, resize, filter, "bilinear"), "双线性");
    assert_string_equal(nnd_node_texts_value(zh, resize, filter, "sinc"), "sinc");
    nnd_node_texts_destroy(zh);
}

static void assert_english(const nnd_node_texts *texts)
{
    const nnd_node_type *resize = type_named("image.resize");
    const nnd_port *in = resize->inputs.items;
    const nnd_param *filter = param_named(resize, "filter");
    assert_string_equal(nnd_node_texts_title(texts, resize), resize->title);
    assert_string_equal(nnd_node_texts_text(texts, resize), resize->text);
    assert_string_equal(nnd_node_texts_category(texts, resize), resize->category);
    assert_string_equal(nnd_node_texts_port(texts, resize, false, &in[0]), in[0].text);
    assert_string_equal(nnd_node_texts_param(texts, resize, filter), filter->text);
    assert_string_equal(nnd_node_texts_value(texts, resize, filter, "area"), "area");
    assert_null(nnd_node_texts_get(texts, "node.image.resize.title", NULL));
}

static void test_english_without_a_file(void **state)
{
    (void)state;
    static const char *const languages[] = {"en", "tlh"};
    for (size_t i = 0; i < NND_COUNT(languages); i++) {
        nnd_node_texts *texts = NULL;
        assert_ok(nnd_node_texts_create(languages[i], &texts));
        assert_string_equal(nnd_node_texts_language(texts), languages[i]);
        assert_english(texts);
        nnd_node_texts_destroy(texts);
    }
    assert_english(NULL);
    assert_string_equal(nnd_node_texts_language(NULL), "en");
    nnd_node_texts_destroy(NULL);
}

#ifndef _WIN32
static void test_users_language(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"zh_CN.UTF-8", "zh"}, {"zh", "zh"}, {"C", "en"}, {"POSIX", "en"}, {"en_GB", "en"}};
    const char *before = getenv("NNDEPLOY_LANG");
    char *kept = nnd_strdup(before);
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_node_texts *texts = NULL;
        setenv("NNDEPLOY_LANG", cases[i][0], 1);
        assert_ok(nnd_node_texts_create(NULL, &texts));
        assert_string_equal(nnd_node_texts_language(texts), cases[i][1]);
        nnd_node_texts_destroy(texts);
    }
    if (kept)
        setenv("NNDEPLOY_LANG", kept, 1);
    else
        unsetenv("NNDEPLOY_LANG");
    nnd_free(kept);
}
#endif

static const nnd_port sharpen_in[] = {NND_PORT("image", "image", "the picture")};
static const nnd_param sharpen_params[] = {NND_PARAM_FLOAT("amount", 1, 0, 10, "", "how much")};
static const nnd_node_type sharpen = {
    .struct_size = sizeof(nnd_node_type),
    .type = "demo.sharpen",
    .version = 2,
    .category = "demo",
    .title = "Sharpen",
    .inputs = NND_ARRAY(sharpen_in),
    .params = NND_ARRAY(sharpen_params),
};

static void add(nnd_node_texts *texts, const char *json)
{
    assert_ok(nnd_node_texts_add(texts, json, strlen(json), "plugin/zh.json"));
}

static void test_texts_of_a_plugin(void **state)
{
    (void)state;
    nnd_node_texts *texts = NULL;
    assert_ok(nnd_node_texts_create("zh", &texts));
    assert_string_equal(nnd_node_texts_title(texts, &sharpen), "Sharpen");
    assert_string_equal(nnd_node_texts_text(texts, &sharpen), "");
    add(texts, "{\"node\": {\"demo.sharpen\": {\"title\": \"锐化\", \"param\": {\"amount\": "
               "{\"text\": \"强度\"}}}}}");
    assert_string_equal(nnd_node_texts_title(texts, &sharpen), "锐化");
    assert_string_equal(nnd_node_texts_param(texts, &sharpen, &sharpen_params[0]), "强度");
    assert_string_equal(nnd_node_texts_port(texts, &sharpen, false, &sharpen_in[0]), "the picture");
    /* A later version has words of its own; a later file replaces an earlier one. */
    add(texts, "{\"node.demo.sharpen@2.title\": \"锐化（第二版）\"}");
    assert_string_equal(nnd_node_texts_title(texts, &sharpen), "锐化（第二版）");
    add(texts, "{\"node.demo.sharpen@2.title\": \"锐化 2\"}");
    assert_string_equal(nnd_node_texts_title(texts, &sharpen), "锐化 2");
    nnd_node_texts_destroy(texts);
}

static void test_endless_names(void **state)
{
    (void)state;
    char name[2000];
    nnd_node_texts *texts = NULL;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const nnd_port port = NND_PORT(name, "image", "a port");
    nnd_param param = sharpen_params[0];
    nnd_node_type type = sharpen;
    param.name = name;
    assert_ok(nnd_node_texts_create("zh", &texts));
    assert_string_equal(nnd_node_texts_port(texts, &sharpen, true, &port), "a port");
    assert_string_equal(nnd_node_texts_param(texts, &sharpen, &param), "how much");
    assert_ptr_equal(nnd_node_texts_value(texts, &sharpen, &param, name), name);
    type.type = type.category = name;
    assert_string_equal(nnd_node_texts_title(texts, &type), "Sharpen");
    assert_ptr_equal(nnd_node_texts_category(texts, &type), name);
    nnd_node_texts_destroy(texts);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void test_bad_files(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "\"text\"",
        "{\"node\": 1}",
        "{\"category\": {\"demo\": [\"x\"]}}",
        "{\"category\": {\"demo\": null}}",
        "{\"category.demo\": \"先\", \"category.demo\": \"后\"}",
        "{\"category.demo\": \"\xff\"}",
        "{\"category.demo\": \"没有结尾",
        "{\"category.demo\": \"好\", \"node\": {\"demo.sharpen\": {\"title\": 7}}}",
    };
    nnd_node_texts *texts = NULL;
    assert_ok(nnd_node_texts_create("zh", &texts));
    for (size_t i = 0; i < NND_COUNT(bad); i++) {
        assert_status(nnd_node_texts_add(texts, bad[i], strlen(bad[i]), "bad.json"), NND_E_FORMAT);
        nnd_error *error = nnd_error_take();
        assert_non_null(error);
        assert_string_equal(nnd_error_file(error), "bad.json");
        assert_true(nnd_error_line(error) >= 1);
        nnd_error_destroy(error);
        /* Nothing of a bad file counts, not even what came before the mistake. */
        assert_string_equal(nnd_node_texts_category(texts, &sharpen), "demo");
    }
    nnd_node_texts_destroy(texts);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    static const char *const codes[] = {"", "../zh", "a-language-of-many-letters"};
    nnd_node_texts *texts = NULL;
    for (size_t i = 0; i < NND_COUNT(codes); i++) {
        assert_status(nnd_node_texts_create(codes[i], &texts), NND_E_INVALID_ARGUMENT);
        assert_null(texts);
    }
    assert_status(nnd_node_texts_create("zh", NULL), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_node_texts_add(NULL, "{}", 2, NULL), NND_E_INVALID_ARGUMENT);
    nnd_error_clear();
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char more[] = "{\"category\": {\"demo\": \"演示\"}}";
    oom_begin();
    for (long n = 0;; n++) {
        nnd_node_texts *texts = NULL;
        oom_fail_after(n);
        nnd_status status = nnd_node_texts_create("zh", &texts);
        if (status == NND_OK) status = nnd_node_texts_add(texts, more, sizeof more - 1, NULL);
        bool was_hit = oom_hit();
        oom_never();
        nnd_node_texts_destroy(texts);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
        if (!was_hit) {
            assert_int_equal(status, NND_OK);
            break;
        }
        assert_int_equal(status, NND_E_OUT_OF_MEMORY);
    }
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_nothing_left_over),
        cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_english_without_a_file),
#ifndef _WIN32
        cmocka_unit_test(test_users_language),
#endif
        cmocka_unit_test(test_texts_of_a_plugin),
        cmocka_unit_test(test_endless_names),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, collect, forget);
}
