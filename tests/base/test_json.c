/* The JSON reader and writer: shared vectors, positions, limits, out of memory, random documents.
 */
#include "support/test.h"

#include <math.h>

#include "base/str.h"
#include "port/port.h"
#include "support/oom.h"

#define VECTORS NND_SOURCE_DIR "/tests/vectors/json/"

static nnd_json_doc *load_vectors(const char *name)
{
    char path[1024], *text;
    size_t size;
    nnd_json_doc *doc = NULL;
    snprintf(path, sizeof(path), VECTORS "%s", name);
    assert_int_equal(nnd_port_file_read(path, 1 << 24, &text, &size), 0);
    assert_ok(nnd_json_parse(text, size, path, &doc));
    nnd_free(text);
    return doc;
}

static const char *get_text(const nnd_json *json, const char *key)
{
    return nnd_json_string(nnd_json_get(json, key), NULL);
}

static uint64_t from_hex(const char *hex, size_t size)
{
    char digits[17] = {0};
    memcpy(digits, hex, size);
    return strtoull(digits, NULL, 16);
}

/* The bytes of a case of parse.json. */
static void case_bytes(const nnd_json *c, nnd_str *out)
{
    const char *hex = get_text(c, "hex");
    const nnd_json *repeat = nnd_json_get(c, "repeat");
    nnd_str_clear(out);
    if (hex) {
        for (size_t i = 0; hex[i]; i += 2)
            nnd_str_add_char(out, (char)from_hex(hex + i, 2));
    } else if (repeat) {
        for (size_t i = 0; i < nnd_json_count(repeat); i++) {
            int64_t times = 0;
            const nnd_json *piece = nnd_json_at(repeat, i);
            assert_true(nnd_json_int(nnd_json_at(piece, 1), &times));
            for (; times > 0; times--)
                nnd_str_add(out, nnd_json_string(nnd_json_at(piece, 0), ""));
        }
    } else {
        nnd_str_add(out, get_text(c, "text"));
    }
}

static char *write_json(const nnd_json *json, int indent)
{
    nnd_json_writer *w;
    char *text;
    assert_ok(nnd_json_writer_create(indent, &w));
    nnd_json_put_json(w, json);
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    return text;
}

static void test_accept_reject(void **state)
{
    (void)state;
    nnd_json_doc *vectors = load_vectors("parse.json");
    const nnd_json *cases = nnd_json_get(nnd_json_root(vectors), "cases");
    nnd_str bytes = {0};
    size_t wrong = 0;
    assert_true(nnd_json_count(cases) >= 150);
    for (size_t i = 0; i < nnd_json_count(cases); i++) {
        const nnd_json *c = nnd_json_at(cases, i);
        bool accept = strcmp(get_text(c, "expect"), "accept") == 0;
        case_bytes(c, &bytes);
        /* A block of exactly the text's size lets sanitizers see any step beyond it. */
        char *exact = malloc(bytes.size ? bytes.size : 1);
        if (bytes.size) memcpy(exact, bytes.data, bytes.size);
        nnd_json_doc *doc = NULL;
        nnd_status status = nnd_json_parse(exact, bytes.size, "case", &doc);
        free(exact);
        if (status != (accept ? NND_OK : NND_E_FORMAT)) {
            print_message("%s: %s\n", get_text(c, "name"), nnd_status_name(status));
            wrong++;
        }
        if (status != NND_OK) {
            nnd_error *error = nnd_error_take();
            assert_non_null(error);
            assert_string_equal(nnd_error_file(error), "case");
            assert_true(nnd_error_line(error) >= 1 && nnd_error_column(error) >= 1);
            assert_true(nnd_error_message(error)[0] != '\0');
            nnd_error_destroy(error);
        }
        nnd_json_destroy(doc);
    }
    assert_int_equal(wrong, 0);
    nnd_str_free(&bytes);
    nnd_json_destroy(vectors);
}

static char *write_number_case(const nnd_json *c)
{
    nnd_json_writer *w;
    char *text;
    const char *type = get_text(c, "type"), *bits = get_text(c, "bits");
    assert_ok(nnd_json_writer_create(0, &w));
    if (strcmp(type, "double") == 0) {
        uint64_t raw = from_hex(bits, 16);
        double value, back = 0;
        memcpy(&value, &raw, sizeof(value));
        nnd_json_put_number(w, value);
        const char *expected = get_text(c, "text");
        nnd_json_doc *doc;
        assert_ok(nnd_json_parse(expected, strlen(expected), NULL, &doc));
        back = nnd_json_number(nnd_json_root(doc), NAN);
        nnd_json_destroy(doc);
        assert_true(isfinite(value) ? back == value : isnan(back));
    } else if (strcmp(type, "float") == 0) {
        uint32_t raw = (uint32_t)from_hex(bits, 8);
        float value;
        memcpy(&value, &raw, sizeof(value));
        nnd_json_put_float(w, value);
    } else {
        nnd_json_put_int(w, strtoll(get_text(c, "value"), NULL, 10));
    }
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    return text;
}

static void test_number_vectors(void **state)
{
    (void)state;
    nnd_json_doc *vectors = load_vectors("numbers.json");
    const nnd_json *cases = nnd_json_get(nnd_json_root(vectors), "cases");
    assert_true(nnd_json_count(cases) >= 400);
    for (size_t i = 0; i < nnd_json_count(cases); i++) {
        const nnd_json *c = nnd_json_at(cases, i);
        char *text = write_number_case(c);
        assert_string_equal(text, get_text(c, "text"));
        nnd_free(text);
    }
    nnd_json_destroy(vectors);
}

static void test_document_vectors(void **state)
{
    (void)state;
    nnd_json_doc *vectors = load_vectors("documents.json");
    const nnd_json *cases = nnd_json_get(nnd_json_root(vectors), "cases");
    assert_true(nnd_json_count(cases) >= 10);
    for (size_t i = 0; i < nnd_json_count(cases); i++) {
        const nnd_json *c = nnd_json_at(cases, i);
        const char *source = get_text(c, "text");
        nnd_json_doc *doc;
        assert_ok(nnd_json_parse(source, strlen(source), get_text(c, "name"), &doc));
        char *compact = write_json(nnd_json_root(doc), 0);
        char *pretty = write_json(nnd_json_root(doc), 2);
        assert_string_equal(compact, get_text(c, "compact"));
        assert_string_equal(pretty, get_text(c, "indent2"));
        nnd_free(compact);
        nnd_free(pretty);
        nnd_json_destroy(doc);
    }
    nnd_json_destroy(vectors);
}

static nnd_json_doc *parse(const char *text)
{
    nnd_json_doc *doc = NULL;
    assert_ok(nnd_json_parse(text, strlen(text), NULL, &doc));
    return doc;
}

static void assert_place(const nnd_json *json, uint32_t line, uint32_t column)
{
    assert_int_equal(nnd_json_line(json), line);
    assert_int_equal(nnd_json_column(json), column);
}

static void test_positions(void **state)
{
    (void)state;
    nnd_json_doc *doc = parse("{\n  \"a\": [1,\r\n    \"é\", {}],\n\t\"b\" : null\n}");
    const nnd_json *root = nnd_json_root(doc), *a = nnd_json_get(root, "a");
    uint32_t line, column;
    assert_place(root, 1, 1);
    assert_place(a, 2, 8);
    assert_place(nnd_json_at(a, 0), 2, 9);
    assert_place(nnd_json_at(a, 1), 3, 5);
    assert_place(nnd_json_at(a, 2), 3, 11); /* é is two bytes */
    assert_place(nnd_json_get(root, "b"), 4, 8);
    nnd_json_key_place(root, 1, &line, &column);
    assert_int_equal(line, 4);
    assert_int_equal(column, 2);
    nnd_json_key_place(root, 2, &line, &column);
    assert_int_equal(line, 0);
    nnd_json_destroy(doc);
}

/* text fails at line:column with a message that contains `part`. */
static void assert_fails(const char *text, uint32_t line, uint32_t column, const char *part)
{
    nnd_json_doc *doc = NULL;
    assert_status(nnd_json_parse(text, strlen(text), "f.json", &doc), NND_E_FORMAT);
    assert_null(doc);
    nnd_error *error = nnd_error_take();
    assert_int_equal(nnd_error_line(error), line);
    assert_int_equal(nnd_error_column(error), column);
    if (!strstr(nnd_error_message(error), part))
        fail_msg("'%s' lacks '%s'", nnd_error_message(error), part);
    nnd_error_destroy(error);
}

static void test_messages(void **state)
{
    (void)state;
    assert_fails("{\"a\": 1,\n \"b\" 2}", 2, 6, "expected ':'");
    assert_fails("{\"a\": 1,\n \"b\": 2,\n \"a\": 3}", 3, 2,
                 "duplicate key 'a', first on line 1 column 2");
    assert_fails("[1, 2", 1, 6, "found the end of the text");
    assert_fails("[1,]", 1, 4, "comma");
    assert_fails("\xef\xbb\xbf{}", 1, 1, "byte order mark");
    assert_fails("[\"ab\xff\"]", 1, 5, "invalid UTF-8");
    assert_fails("\"\\ud800\"", 1, 2, "surrogate");
    assert_fails("[01]", 1, 2, "start with 0");
    assert_fails("[1e999]", 1, 2, "range");
    assert_fails("\"abc", 1, 1, "unterminated");
    assert_fails("", 1, 1, "empty");
    assert_fails("[\n\n  'x']", 3, 3, "found '''");
}

static void test_values(void **state)
{
    (void)state;
    nnd_json_doc *doc =
        parse("{\"t\":true,\"n\":2.5,\"i\":-3,\"e\":1e3,\"big\":\"9223372036854775807\","
              "\"low\":\"-9223372036854775808\",\"over\":\"9223372036854775808\","
              "\"edge\":9007199254740991,\"beyond\":9007199254740992,"
              "\"s\":\"a\\u0000b\",\"junk\":\"12x\",\"plus\":\"+1\",\"nul\":\"1\\u0000\"}");
    const nnd_json *root = nnd_json_root(doc);
    int64_t i = 7;
    assert_true(nnd_json_bool(nnd_json_get(root, "t"), false));
    assert_true(nnd_json_bool(nnd_json_get(root, "n"), true));
    assert_true(nnd_json_number(nnd_json_get(root, "n"), 0) == 2.5);
    assert_true(nnd_json_number(nnd_json_get(root, "t"), -1) == -1);
    assert_true(nnd_json_int(nnd_json_get(root, "i"), &i) && i == -3);
    assert_true(nnd_json_int(nnd_json_get(root, "e"), &i) && i == 1000);
    assert_true(nnd_json_int(nnd_json_get(root, "big"), &i) && i == INT64_MAX);
    assert_true(nnd_json_int(nnd_json_get(root, "low"), &i) && i == INT64_MIN);
    assert_true(nnd_json_int(nnd_json_get(root, "edge"), &i) && i == 9007199254740991);
    i = 7;
    static const char *const no_ints[] = {"n",    "t",    "over", "beyond", "s",
                                          "junk", "plus", "nul",  "none"};
    for (size_t k = 0; k < NND_COUNT(no_ints); k++) {
        assert_false(nnd_json_int(nnd_json_get(root, no_ints[k]), &i));
        assert_int_equal(i, 7);
    }
    assert_int_equal(nnd_json_string_size(nnd_json_get(root, "s")), 3);
    assert_memory_equal(nnd_json_string(nnd_json_get(root, "s"), NULL), "a\0b", 4);
    assert_null(nnd_json_get(root, "none"));
    assert_null(nnd_json_get(NULL, "x"));
    assert_null(nnd_json_at(root, 99));
    assert_int_equal(nnd_json_get_type(NULL), NND_JSON_NULL);
    assert_int_equal(nnd_json_count(nnd_json_get(root, "s")), 0);
    assert_string_equal(nnd_json_string(nnd_json_get(root, "t"), "other"), "other");
    nnd_json_destroy(doc);
}

static void test_key_with_nul(void **state)
{
    (void)state;
    nnd_json_doc *doc = parse("{\"a\\u0000b\":1,\"a\":2}");
    const nnd_json *root = nnd_json_root(doc);
    assert_true(nnd_json_number(nnd_json_get(root, "a"), 0) == 2);
    assert_int_equal(nnd_json_key_size(root, 0), 3);
    char *text = write_json(root, 0);
    assert_string_equal(text, "{\"a\\u0000b\":1,\"a\":2}");
    nnd_free(text);
    nnd_json_destroy(doc);
}

static int scattered(int i, int count)
{
    return (int)((int64_t)i * 7919 % count);
}

/* Parsing, duplicate check and look-up stay far from quadratic, which would take minutes here and
   run into the test's limit. */
static void test_large_object(void **state)
{
    (void)state;
    enum { COUNT = 500000 };
    nnd_str s = {0};
    nnd_str_add_char(&s, '{');
    for (int i = 0; i < COUNT; i++)
        nnd_str_printf(&s, "%s\"key%d\":%d", i ? "," : "", scattered(i, COUNT), i);
    nnd_str_add_char(&s, '}');
    nnd_json_doc *doc;
    assert_ok(nnd_json_parse(s.data, s.size, NULL, &doc));
    char key[32];
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof(key), "key%d", scattered(i, COUNT));
        assert_true(nnd_json_number(nnd_json_get(nnd_json_root(doc), key), -1) == i);
    }
    assert_null(nnd_json_get(nnd_json_root(doc), "key"));
    nnd_json_destroy(doc);
    nnd_str_free(&s);
}

static void test_memory_is_proportional(void **state)
{
    (void)state;
    static const char *const patterns[] = {"0,", "[],", "{\"\":0},", "\"\",", "[[[]]],"};
    for (size_t p = 0; p < NND_COUNT(patterns); p++) {
        nnd_str s = {0};
        nnd_str_add_char(&s, '[');
        for (int i = 0; i < 50000; i++)
            nnd_str_add(&s, patterns[p]);
        nnd_str_add(&s, "0]");
        nnd_json_doc *doc;
        oom_begin();
        assert_ok(nnd_json_parse(s.data, s.size, NULL, &doc));
        assert_true(atomic_load(&oom_bytes) < (long long)(s.size * 160 + 65536));
        nnd_json_destroy(doc);
        assert_int_equal(oom_live_blocks(), 0);
        oom_end();
        nnd_str_free(&s);
    }
}

static void test_parse_oom(void **state)
{
    (void)state;
    const char *text =
        "{\"a\":[1,2,{\"b\":\"\\u00e9 long enough to need room of its own, twice over\"}],"
        "\"k1\":1,\"k2\":2,\"k3\":3,\"k4\":4,\"k5\":5,\"k6\":6,\"k7\":7,\"k8\":8,\"k9\":9}";
    oom_begin();
    for (long n = 0;; n++) {
        nnd_json_doc *doc = NULL;
        oom_fail_after(n);
        nnd_status status = nnd_json_parse(text, strlen(text), "f", &doc);
        bool hit = oom_hit();
        oom_never();
        assert_status(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_json_destroy(doc);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
        if (!hit) break;
        assert_true(n < 1000);
    }
    oom_end();
}

static nnd_status write_something(char **text)
{
    nnd_json_writer *w;
    NND_TRY(nnd_json_writer_create(2, &w));
    nnd_json_begin_object(w);
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key%d", i);
        nnd_json_key(w, key);
        nnd_json_put_string(w, "some text");
    }
    nnd_json_end_object(w);
    nnd_status status = nnd_json_writer_take(w, text, NULL);
    nnd_json_writer_destroy(w);
    return status;
}

static void test_write_oom(void **state)
{
    (void)state;
    oom_begin();
    for (long n = 0;; n++) {
        char *text = NULL;
        oom_fail_after(n);
        nnd_status status = write_something(&text);
        bool hit = oom_hit();
        oom_never();
        assert_status(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_free(text);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
        if (!hit) break;
        assert_true(n < 1000);
    }
    oom_end();
}

static void test_writer_layout(void **state)
{
    (void)state;
    nnd_json_writer *w;
    char *text;
    size_t size;
    assert_ok(nnd_json_writer_create(2, &w));
    nnd_json_begin_object(w);
    nnd_json_key(w, "place");
    nnd_json_set_inline(w, true);
    nnd_json_begin_object(w);
    nnd_json_key(w, "x");
    nnd_json_put_int(w, 40);
    nnd_json_key(w, "path");
    nnd_json_begin_array(w);
    nnd_json_put_string(w, "a");
    nnd_json_put_float(w, 0.1f);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
    nnd_json_set_inline(w, false);
    nnd_json_key(w, "list");
    nnd_json_begin_array(w);
    nnd_json_put_string(w, NULL);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
    assert_ok(nnd_json_writer_take(w, &text, &size));
    assert_string_equal(text, "{\n  \"place\": {\"x\": 40, \"path\": [\"a\", 0.1]},\n"
                              "  \"list\": [\n    null\n  ]\n}");
    assert_int_equal(size, strlen(text));
    nnd_free(text);
    /* The writer starts anew; a byte that is no UTF-8 becomes U+FFFD. */
    nnd_json_put_string(w, "a\xff");
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    assert_string_equal(text, "\"a\xef\xbf\xbd\"");
    nnd_free(text);
    nnd_json_writer_destroy(w);
}

typedef void (*misuse)(nnd_json_writer *w);

static void value_without_key(nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    nnd_json_put_int(w, 1);
    nnd_json_end_object(w);
}
static void key_without_value(nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    nnd_json_key(w, "a");
    nnd_json_end_object(w);
}
static void two_keys(nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    nnd_json_key(w, "a");
    nnd_json_key(w, "b");
}
static void key_in_array(nnd_json_writer *w)
{
    nnd_json_begin_array(w);
    nnd_json_key(w, "a");
}
static void wrong_end(nnd_json_writer *w)
{
    nnd_json_begin_array(w);
    nnd_json_end_object(w);
}
static void end_at_root(nnd_json_writer *w)
{
    nnd_json_end_array(w);
}
static void two_roots(nnd_json_writer *w)
{
    nnd_json_put_int(w, 1);
    nnd_json_put_int(w, 2);
}
static void not_closed(nnd_json_writer *w)
{
    nnd_json_begin_array(w);
}
static void nothing(nnd_json_writer *w)
{
    (void)w;
}

static void test_writer_misuse(void **state)
{
    (void)state;
    static const misuse misuses[] = {value_without_key, key_without_value, two_keys,
                                     key_in_array,      wrong_end,         end_at_root,
                                     two_roots,         not_closed,        nothing};
    for (size_t i = 0; i < NND_COUNT(misuses); i++) {
        nnd_json_writer *w;
        char *text = NULL;
        assert_ok(nnd_json_writer_create(0, &w));
        misuses[i](w);
        assert_status(nnd_json_writer_take(w, &text, NULL), NND_E_STATE);
        assert_null(text);
        nnd_json_writer_destroy(w);
    }
    nnd_json_writer *w;
    char *text = NULL;
    assert_ok(nnd_json_writer_create(0, &w));
    for (int i = 0; i < NND_JSON_MAX_DEPTH + 1; i++)
        nnd_json_begin_array(w);
    assert_status(nnd_json_writer_take(w, &text, NULL), NND_E_LIMIT);
    nnd_json_writer_destroy(w);
    nnd_error_clear();
}

/* ---- random documents ---- */

static uint64_t random_state = 88172645463325252u;

static uint32_t draw(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % below;
}

static void put_random(nnd_json_writer *w, int depth)
{
    char text[40];
    double number;
    uint64_t bits;
    switch (draw(depth > 0 ? 8 : 5)) {
    case 0:
        nnd_json_put_null(w);
        return;
    case 1:
        nnd_json_put_bool(w, draw(2));
        return;
    case 2:
        bits = (uint64_t)draw(UINT32_MAX) << 32 | draw(UINT32_MAX);
        memcpy(&number, &bits, sizeof(number));
        nnd_json_put_number(w, number);
        return;
    case 3:
        nnd_json_put_int(w, (int64_t)draw(2000000) - 1000000);
        return;
    case 4:
        for (int i = 0; i < 32; i++)
            text[i] = (char)draw(128);
        nnd_json_put_string_n(w, text, draw(33));
        return;
    case 5:
    case 6:
        nnd_json_begin_array(w);
        for (uint32_t n = draw(6); n > 0; n--)
            put_random(w, depth - 1);
        nnd_json_end_array(w);
        return;
    default:
        nnd_json_begin_object(w);
        for (uint32_t n = draw(14); n > 0; n--) {
            snprintf(text, sizeof(text), "k%u\"%c", n, (char)draw(32));
            nnd_json_key(w, text);
            put_random(w, depth - 1);
        }
        nnd_json_end_object(w);
    }
}

static void test_random_documents(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        nnd_json_writer *w;
        nnd_json_doc *doc;
        char *first;
        size_t size;
        assert_ok(nnd_json_writer_create(i % 3, &w));
        put_random(w, 6);
        assert_ok(nnd_json_writer_take(w, &first, &size));
        assert_ok(nnd_json_parse(first, size, NULL, &doc));
        char *again = write_json(nnd_json_root(doc), i % 3);
        assert_string_equal(first, again);
        nnd_json_destroy(doc);
        /* A cut or damaged text must never do harm. */
        for (int k = 0; k < 4 && size > 1; k++) {
            memcpy(again, first, size);
            again[draw((uint32_t)size)] ^= (char)(1 << draw(8));
            doc = NULL;
            if (nnd_json_parse(again, size - draw(2), NULL, &doc) == NND_OK) nnd_json_destroy(doc);
        }
        nnd_free(first);
        nnd_free(again);
        nnd_json_writer_destroy(w);
    }
    nnd_error_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_reject),
        cmocka_unit_test(test_number_vectors),
        cmocka_unit_test(test_document_vectors),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_key_with_nul),
        cmocka_unit_test(test_large_object),
        cmocka_unit_test(test_memory_is_proportional),
        cmocka_unit_test(test_parse_oom),
        cmocka_unit_test(test_write_oom),
        cmocka_unit_test(test_writer_layout),
        cmocka_unit_test(test_writer_misuse),
        cmocka_unit_test(test_random_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
