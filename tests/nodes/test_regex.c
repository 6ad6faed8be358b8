/*
 * Patterns inside of models: what matches as a whole, what is found in a text, what is no pattern,
 * and patterns that want to take for ever. Skipped where PCRE2 is not installed.
 */
#include "nodes/infer/regex/regex.h"

#include "base/str.h"
#include "nodes_support.h"
#include "port/port.h"

static nnd_status match_one(const char *pattern, const char *text, size_t size, bool *matches)
{
    const nnd_string string = {text, size};
    return nnd_regex_full_match(pattern, &string, 1, matches);
}

#define NEEDS_PCRE2()                                                                              \
    do {                                                                                           \
        bool unused;                                                                               \
        if (match_one("a", "a", 1, &unused) == NND_E_MISSING) {                                    \
            nnd_error_clear();                                                                     \
            fprintf(stderr, "skipped: no libpcre2-8 is installed\n");                              \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static void the_whole_text(void **state)
{
    (void)state;
    NEEDS_PCRE2();
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"a|ab", "ab", true}, /* the longer one, though the shorter one comes first */
        {"a*", "aaab", false},
        {"a", "ba", false},
        {"", "", true},
        {"", "a", false},
        {"a$", "a\n", false}, /* the end is the end */
        {"a.b", "a\nb", false},
        {"(?s)a.b", "a\nb", true},
        {"a.b", "a\rb", true}, /* only \n ends a line */
        {"(?i)hello", "HeLLo", true},
        {"\\w+@\\w+\\.(com|org)", "someone@example.org", true},
        {"\\w+@\\w+\\.(com|org)", "someone@example.de", false},
        {"\\d+", "\xD9\xA3", false}, /* digits are those of ASCII */
        {"\\p{L}+", "\xC3\xA9t\xC3\xA9", true},
        {".", "\xE6\x96\x87", true}, /* a character, not a byte */
        {"(?P<x>a)b", "ab", true},
        {"[[:alpha:]]{2,3}", "abc", true},
        {"\\Qa.b\\E", "a.b", true},
        {"\\Aab\\z", "ab", true},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        bool matches = !cases[i].matches;
        assert_ok(match_one(cases[i].pattern, cases[i].text, strlen(cases[i].text), &matches));
        if (matches != cases[i].matches) fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].text);
    }
}

static nnd_status note_found(void *to, size_t i, size_t begin, size_t end)
{
    nnd_str *s = to;
    nnd_str_printf(s, "%zu:%zu-%zu ", i, begin, end);
    return i == 9 ? NND_E_CANCELLED : NND_OK;
}

static void what_is_found(void **state)
{
    (void)state;
    NEEDS_PCRE2();
    static const struct {
        const char *pattern, *text, *found;
    } cases[] = {
        {"[a-z]+", "ab, c!", "0:0-2 0:4-5 "},
        {"a|ab", "abab", "0:0-2 0:2-4 "}, /* the longest */
        {"x*", "axxb", "0:1-3 "},         /* nothing is no match */
        {".", "a\xC3\xA9", "0:0-1 0:1-3 "},
        {"^a", "aa", "0:0-1 "},
        {"b$", "bb", "0:1-2 "},
        {"\\b\\w\\w+\\b", "a bc d ef", "0:2-4 0:7-9 "},
        {"a", "", ""},
    };
    nnd_str s = {0};
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        const nnd_string text = {cases[i].text, strlen(cases[i].text)};
        assert_ok(nnd_regex_find(cases[i].pattern, &text, 1, note_found, &s));
        assert_string_equal(s.data ? s.data : "", cases[i].found);
        nnd_str_free(&s);
    }
    nnd_string texts[11];
    for (size_t i = 0; i < NND_COUNT(texts); i++)
        texts[i] = i % 2 ? (nnd_string){"aa", 2} : (nnd_string){NULL, 0};
    assert_status(nnd_regex_find("a", texts, 11, note_found, &s), NND_E_CANCELLED);
    nnd_str_free(&s);
    texts[0] = (nnd_string){"\xFF", 1};
    assert_fails(nnd_regex_find("a", texts, 1, note_found, &s), NND_E_FORMAT, "text 0", "UTF-8");
    assert_fails(nnd_regex_find("a(", texts, 1, note_found, &s), NND_E_FORMAT, "'a('");
    texts[0] = (nnd_string){"a", 1 << 20}; /* not read */
    assert_fails(nnd_regex_find("a", texts, 1, note_found, &s), NND_E_LIMIT, "1048576 bytes");
    assert_null(s.data);
}

static void odd_texts(void **state)
{
    (void)state;
    NEEDS_PCRE2();
    const nnd_string texts[] = {{"a\0b", 3}, {NULL, 0}, {"\xFF\xFE", 2}, {"\xE6\x96", 2}, {"x", 1}};
    bool matches[5] = {false, false, true, true, false};
    assert_ok(nnd_regex_full_match("a\\x{0}b|x|", texts, 5, matches));
    assert_true(matches[0] && matches[1] && matches[4]);
    assert_false(matches[2] || matches[3]); /* no UTF-8 matches nothing */
    assert_ok(nnd_regex_full_match("a", NULL, 0, NULL));
}

static void what_is_no_pattern(void **state)
{
    (void)state;
    NEEDS_PCRE2();
    bool matches;
    char longer[5000];
    assert_fails(match_one("a(b", "ab", 2, &matches), NND_E_FORMAT, "'a(b'", "at byte 3");
    assert_fails(match_one("[z-a]", "ab", 2, &matches), NND_E_FORMAT, "at byte");
    assert_fails(match_one("\\C", "a", 1, &matches), NND_E_FORMAT, "'\\C'");
    assert_fails(match_one("\xFF", "a", 1, &matches), NND_E_FORMAT, "UTF-8");
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_fails(match_one(longer, "a", 1, &matches), NND_E_LIMIT, "4999 bytes");
    assert_fails(match_one("((((a{999}){999}){999}){999})", "a", 1, &matches), NND_E_FORMAT,
                 "too large");
}

/* Exponential without a limit. There is a 'b', or the library would see at once that nothing fits.
 */
static void patterns_that_take_for_ever(void **state)
{
    (void)state;
    NEEDS_PCRE2();
    char text[65];
    bool matches;
    static const char *const patterns[] = {"(a+)+b", "(a|aa)+b", "(.*)*.*b", "(a*)*(a*)*(a*)*b"};
    memset(text, 'a', 63);
    memcpy(text + 63, "bc", 2);
    for (size_t i = 0; i < NND_COUNT(patterns); i++)
        assert_fails(match_one(patterns[i], text, 65, &matches), NND_E_LIMIT, "on text 0",
                     "of 65 bytes");
    /* A long text is none for a pattern without such repetitions. */
    char *tall = malloc(1 << 20);
    assert_non_null(tall);
    memset(tall, 'a', 1 << 20);
    assert_ok(match_one("a*", tall, 1 << 20, &matches));
    assert_true(matches);
    free(tall);
}

/* Has to be the first: what was found stays loaded. */
static void without_the_library(void **state)
{
    (void)state;
    bool matches;
    setenv("NNDEPLOY_LIBPCRE2", "/nowhere/libpcre2-8.so.0", 1);
    assert_fails(match_one("a", "a", 1, &matches), NND_E_MISSING,
                 "NNDEPLOY_LIBPCRE2 names '/nowhere/libpcre2-8.so.0'");
    setenv("NNDEPLOY_LIBPCRE2", "libm.so.6", 1);
    const nnd_status status = match_one("a", "a", 1, &matches);
    assert_status(status, NND_E_MISSING);
    nnd_error_clear();
    unsetenv("NNDEPLOY_LIBPCRE2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_library), cmocka_unit_test(the_whole_text),
        cmocka_unit_test(what_is_found),       cmocka_unit_test(odd_texts),
        cmocka_unit_test(what_is_no_pattern),  cmocka_unit_test(patterns_that_take_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
