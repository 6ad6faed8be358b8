/* Text helpers, options, locale, log, instruction sets. */
#include "support/test.h"

#include "base/isa.h"
#include "base/locale.h"
#include "base/options.h"
#include "base/str.h"
#include "base/user_folder.h"
#include "port/port.h"
#include "support/oom.h"

static void test_builder(void **state)
{
    (void)state;
    nnd_str s = {0};
    char *text;
    size_t size;
    for (int i = 0; i < 500; i++)
        nnd_str_printf(&s, "%d,", i);
    assert_true(nnd_str_starts_with(s.data, "0,1,2,"));
    assert_true(nnd_str_ends_with(s.data, "498,499,"));
    nnd_str_clear(&s);
    nnd_str_add_quoted(&s, "a\n\xff\xc3\xa9z", 6, 100);
    assert_string_equal(s.data, "'a\\x0a\\xff\xc3\xa9z'");
    nnd_str_clear(&s);
    nnd_str_add_quoted(&s, "\xc3\xa9\xc3\xa9\xc3\xa9", 6, 3);
    assert_string_equal(s.data, "'\xc3\xa9…'");
    assert_ok(nnd_str_take(&s, &text, &size));
    assert_int_equal(size, strlen(text));
    nnd_free(text);
    assert_ok(nnd_str_take(&s, &text, NULL));
    assert_string_equal(text, "");
    nnd_free(text);
    oom_begin();
    oom_fail_after(0);
    nnd_str_add(&s, "lost");
    assert_true(s.failed);
    assert_status(nnd_str_take(&s, &text, NULL), NND_E_OUT_OF_MEMORY);
    oom_end();
}

static void test_utf8(void **state)
{
    (void)state;
    for (uint32_t code = 1; code <= 0x10ffff; code += code < 0x3000 ? 1 : 37) {
        if (code >= 0xd800 && code <= 0xdfff) continue;
        char bytes[4];
        size_t used, size = nnd_utf8_encode(code, bytes);
        assert_true(nnd_utf8_valid(bytes, size));
        assert_int_equal(nnd_utf8_decode(bytes, size, &used), code);
        assert_int_equal(used, size);
        if (size > 1) assert_int_equal(nnd_utf8_valid_prefix(bytes, size - 1), 0);
    }
    assert_int_equal(nnd_utf8_valid_prefix("ab\x80", 3), 2);
    assert_false(nnd_utf8_valid("\xed\xa0\x80", 3));
}

static void test_suggestions(void **state)
{
    (void)state;
    static const char *const names[] = {"threads", "precision", "profile", "width", "height", "id"};
    assert_string_equal(nnd_suggest_from("thraeds", names, NND_COUNT(names)), "threads");
    assert_string_equal(nnd_suggest_from("widht", names, NND_COUNT(names)), "width");
    assert_string_equal(nnd_suggest_from("precison", names, NND_COUNT(names)), "precision");
    assert_null(nnd_suggest_from("banana", names, NND_COUNT(names)));
    assert_null(nnd_suggest_from("xy", names, NND_COUNT(names)));
    assert_int_equal(nnd_str_distance("kitten", "sitting", 9), 3);
    assert_int_equal(nnd_str_distance("ab", "ba", 9), 1);
    assert_int_equal(nnd_str_distance("abc", "xyzuvw", 2), 3);
    assert_int_equal(nnd_str_distance("", "abc", 5), 3);
}

struct settings {
    bool profile;
    int64_t threads;
    double scale;
    int precision;
    char *name;
};

static const nnd_option options[] = {
    NND_OPTION_BOOL(struct settings, profile, "profile", "measure"),
    NND_OPTION_INT(struct settings, threads, "threads", 0, 256, "threads"),
    NND_OPTION_FLOAT(struct settings, scale, "scale", -1.5, 2, "factor"),
    NND_OPTION_ENUM(struct settings, precision, "precision", "f32|f16|i8", "numbers"),
    NND_OPTION_STRING(struct settings, name, "name", "label"),
};

static nnd_status parse_options(const char *text, struct settings *out)
{
    return nnd_options_parse(options, NND_COUNT(options), text, "test", out);
}

static void assert_option_fails(const char *text, const char *part)
{
    struct settings s = {0};
    assert_status(parse_options(text, &s), NND_E_INVALID_ARGUMENT);
    nnd_error *error = nnd_error_take();
    if (!strstr(nnd_error_message(error), part))
        fail_msg("'%s' lacks '%s'", nnd_error_message(error), part);
    nnd_error_destroy(error);
    nnd_options_fini(options, NND_COUNT(options), &s);
}

static void test_options(void **state)
{
    (void)state;
    struct settings s = {.threads = 3};
    assert_ok(parse_options(NULL, &s));
    assert_ok(parse_options("", &s));
    assert_int_equal(s.threads, 3);
    assert_ok(parse_options("profile,threads=8;scale=-1.5e0,precision=f16,,name=\"a,b=c\"", &s));
    assert_true(s.profile);
    assert_int_equal(s.threads, 8);
    assert_true(s.scale == -1.5);
    assert_int_equal(s.precision, 1);
    assert_string_equal(s.name, "a,b=c");
    assert_ok(parse_options("profile=off,name=x", &s));
    assert_false(s.profile);
    nnd_options_fini(options, NND_COUNT(options), &s);
    assert_null(s.name);
    assert_option_fails("thread=1", "did you mean 'threads'");
    assert_option_fails("zzz=1", "known are: profile, threads");
    assert_option_fails("threads=257", "from 0 to 256");
    assert_option_fails("threads=1.5", "integer");
    assert_option_fails("threads=99999999999999999999", "integer");
    assert_option_fails("threads", "integer");
    assert_option_fails("scale=1,5", "unknown option '5'");
    assert_option_fails("scale=nan", "number");
    assert_option_fails("precision=f64", "one of f32|f16|i8");
    assert_option_fails("profile=maybe", "true or false");
    assert_option_fails("name=\"x", "quote");
    assert_option_fails("=1", "lacks the option's name");
}

static void test_locale(void **state)
{
    (void)state;
    static const char json[] =
        "{\"cli\":{\"help\":\"帮助\",\"run\":{\"title\":\"运行\"}},\"a.b\":\"x\"}";
    nnd_locale *locale;
    char language[16];
    nnd_port_env_set("NNDEPLOY_LANG", "zh_CN.UTF-8");
    nnd_locale_language(language);
    assert_string_equal(language, "zh");
    nnd_port_env_set("NNDEPLOY_LANG", "C.UTF-8");
    nnd_locale_language(language);
    assert_string_equal(language, "en");
    nnd_port_env_set("NNDEPLOY_LANG", "../../etc");
    nnd_locale_language(language);
    assert_string_equal(language, "en");
    nnd_port_env_set("NNDEPLOY_LANG", NULL);

    assert_status(nnd_locale_create("../x", &locale), NND_E_INVALID_ARGUMENT);
    assert_ok(nnd_locale_create("zh", &locale));
    assert_string_equal(nnd_locale_text(locale, "cli.help", "Help"), "Help");
    assert_ok(nnd_locale_load_text(locale, json, strlen(json), "zh.json"));
    assert_string_equal(nnd_locale_text(locale, "cli.help", "Help"), "帮助");
    assert_string_equal(nnd_locale_text(locale, "cli.run.title", "Run"), "运行");
    assert_string_equal(nnd_locale_text(locale, "a.b", ""), "x");
    assert_string_equal(nnd_locale_text(locale, "none", "English"), "English");
    assert_string_equal(nnd_locale_text(NULL, "none", "English"), "English");
    assert_int_equal(nnd_locale_count(locale), 3);
    assert_status(nnd_locale_load_text(locale, "{\"a\":1}", 7, "f"), NND_E_FORMAT);
    assert_status(nnd_locale_load_text(locale, "[]", 2, "f"), NND_E_FORMAT);
    assert_ok(nnd_locale_load_folder(locale, "/no/such/folder"));
    assert_status(nnd_locale_load(locale, "/no/such/file.json"), NND_E_NOT_FOUND);
    nnd_locale_destroy(locale);
    nnd_error_clear();
}

static int lines;
static char last_line[2048];
static int inside;

static void count_lines(void *user, nnd_log_level level, const char *room, const char *line)
{
    (void)level;
    assert_ptr_equal(user, &lines);
    assert_string_equal(room, "test");
    assert_int_equal(inside++, 0); /* one call at a time */
    lines++;
    snprintf(last_line, sizeof(last_line), "%s", line);
    nnd_log(NND_LOG_ERROR, "test", "from inside the sink");
    inside--;
}

static void log_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++)
        nnd_log(NND_LOG_WARN, "test", "line %d", i);
}

static void test_log(void **state)
{
    (void)state;
    nnd_log_level before = nnd_log_get_level();
    nnd_log_set_sink(count_lines, &lines);
    nnd_log_set_level(NND_LOG_WARN);
    nnd_log(NND_LOG_INFO, "test", "too low");
    nnd_log(NND_LOG_OFF, "test", "no level");
    assert_int_equal(lines, 0);
    nnd_log(NND_LOG_ERROR, "test", "two\nlines %s\n", "here");
    assert_int_equal(lines, 1);
    assert_string_equal(last_line, "two lines here");
    char large[1500];
    memset(large, 'y', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    nnd_log(NND_LOG_WARN, "test", "%s", large);
    assert_string_equal(last_line, large);
    nnd_port_thread *threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(nnd_port_thread_create("log", log_many, NULL, &threads[i]), 0);
    for (int i = 0; i < 4; i++)
        nnd_port_thread_join(threads[i]);
    assert_int_equal(lines, 2 + 4 * 500);
    nnd_log_set_level(before);
    nnd_log_set_sink(NULL, NULL);
}

static void test_isa(void **state)
{
    (void)state;
    nnd_isa best = nnd_isa_detected(), isa;
    /* What an emulated processor is known to have: without it kernels would go untested. */
    const char *wanted = getenv("NNDEPLOY_TEST_ISA");
    if (wanted) assert_string_equal(nnd_isa_name(best), wanted);
    assert_true(nnd_isa_has(NND_ISA_REFERENCE));
    assert_ok(nnd_isa_force(NND_ISA_REFERENCE));
    assert_int_equal(nnd_isa_current(), NND_ISA_REFERENCE);
    assert_false(nnd_isa_has(NND_ISA_SSE41));
    assert_false(nnd_isa_has(NND_ISA_NEON));
    assert_ok(nnd_isa_force(best));
    /* The other family's levels are never there. */
    nnd_isa foreign = best >= NND_ISA_NEON ? NND_ISA_SSE41 : NND_ISA_NEON;
    assert_status(nnd_isa_force(foreign), NND_E_UNSUPPORTED);
    assert_false(nnd_isa_has(foreign));
    assert_ok(nnd_isa_from_name("avx512vnni", &isa));
    assert_int_equal(isa, NND_ISA_AVX512VNNI);
    assert_status(nnd_isa_from_name("avx3", &isa), NND_E_NOT_FOUND);
    nnd_error_clear();
}

#if !defined(_WIN32) && !defined(__APPLE__)
static void assert_user_path(nnd_status (*find)(const char *, char **), const char *wanted)
{
    char *path = NULL;
    assert_ok(find("x/y", &path));
    if (wanted)
        assert_string_equal(path, wanted);
    else
        assert_null(path);
    nnd_free(path);
}

static void test_user_folders(void **state)
{
    (void)state;
    static const char *const names[] = {"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"};
    char *before[NND_COUNT(names)] = {NULL};
    for (size_t i = 0; i < NND_COUNT(names); i++) {
        (void)nnd_port_env_dup(names[i], &before[i]);
        assert_int_equal(nnd_port_env_set(names[i], "/v"), 0);
    }
    assert_user_path(nnd_user_cache_path, "/v/nndeploy/x/y");
    assert_user_path(nnd_user_settings_path, "/v/nndeploy/x/y");
    oom_begin();
    bool hit = true;
    for (long n = 0; hit; n++) {
        char *path = NULL;
        oom_fail_after(n);
        nnd_status status = nnd_user_cache_path("x", &path);
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_free(path);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
    assert_int_equal(nnd_port_env_set("XDG_CACHE_HOME", ""), 0); /* empty is unset */
    assert_int_equal(nnd_port_env_set("XDG_CONFIG_HOME", NULL), 0);
    assert_user_path(nnd_user_cache_path, "/v/.cache/nndeploy/x/y");
    assert_user_path(nnd_user_settings_path, "/v/.config/nndeploy/x/y");
    assert_int_equal(nnd_port_env_set("HOME", NULL), 0);
    assert_user_path(nnd_user_cache_path, NULL);
    assert_user_path(nnd_user_settings_path, NULL);
    for (size_t i = 0; i < NND_COUNT(names); i++) {
        assert_int_equal(nnd_port_env_set(names[i], before[i]), 0);
        nnd_port_free(before[i]);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builder),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_isa),
#if !defined(_WIN32) && !defined(__APPLE__)
        cmocka_unit_test(test_user_folders),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
