/*
 * The JSON reader: RFC 8259 and nothing more, one pass, memory in proportion to the text.
 * Containers are collected on two stacks and moved to the arena when they close, so that elements
 * lie side by side.
 */
#include "base/json.h"

#include <string.h>

#include "base/number.h"
#include "base/size.h"
#include "base/str.h"
#include "base/vec.h"

typedef struct reader {
    const char *text;
    const char *at;
    const char *end;
    const char *line_start;
    uint32_t line;
    const char *file;
    int depth;
    nnd_arena *arena;
    NND_VEC(nnd_json) items;
    NND_VEC(nnd_json_member) members;
    NND_VEC(char) unescaped;
} reader;

static nnd_status read_value(reader *r, nnd_json *out);

static uint32_t column_of(const reader *r, const char *at)
{
    return (uint32_t)(at - r->line_start) + 1;
}

static nnd_status out_of_memory(const reader *r)
{
    (void)r;
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory while reading JSON");
}

/* Fails at a place with "<message>". */
static nnd_status fail_at(const reader *r, const char *at, const char *message)
{
    nnd_error_set(NND_E_FORMAT, "%s", message);
    nnd_error_set_place(r->file, r->line, column_of(r, at));
    return NND_E_FORMAT;
}

/* Fails with "<wanted>, found <what stands there>". */
static nnd_status fail_found(const reader *r, const char *wanted)
{
    nnd_str found = {0};
    if (r->at == r->end) {
        nnd_str_add(&found, "the end of the text");
    } else {
        size_t used;
        nnd_utf8_decode(r->at, (size_t)(r->end - r->at), &used);
        nnd_str_add_quoted(&found, r->at, used, used);
    }
    nnd_error_set(NND_E_FORMAT, "%s, found %s", wanted, found.data ? found.data : "something else");
    nnd_str_free(&found);
    nnd_error_set_place(r->file, r->line, column_of(r, r->at));
    return NND_E_FORMAT;
}

static void skip_space(reader *r)
{
    for (; r->at < r->end; r->at++) {
        if (*r->at == '\n') {
            r->line++;
            r->line_start = r->at + 1;
        } else if (*r->at != ' ' && *r->at != '\t' && *r->at != '\r') {
            return;
        }
    }
}

static bool next_is(const reader *r, char c)
{
    return r->at < r->end && *r->at == c;
}

/* ---- strings ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Four hex digits at `at`; -1 when there are none. */
static int32_t hex4(const reader *r, const char *at)
{
    if (r->end - at < 4) return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* r->at is behind "\u". */
static nnd_status read_unicode_escape(reader *r, uint32_t *out)
{
    const char *escape = r->at - 2;
    int32_t first = hex4(r, r->at);
    if (first < 0) return fail_at(r, escape, "\\u needs four hexadecimal digits");
    r->at += 4;
    *out = (uint32_t)first;
    if (first < 0xd800 || first > 0xdfff) return NND_OK;
    if (first > 0xdbff || r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
        return fail_at(r, escape, "lone surrogate in a \\u escape");
    int32_t second = hex4(r, r->at + 2);
    if (second < 0xdc00 || second > 0xdfff)
        return fail_at(r, escape, "lone surrogate in a \\u escape");
    r->at += 6;
    *out = 0x10000 + ((uint32_t)(first - 0xd800) << 10) + (uint32_t)(second - 0xdc00);
    return NND_OK;
}

static nnd_status read_escape(reader *r)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    char bytes[4];
    size_t count = 1;
    if (r->end - r->at < 2) return fail_at(r, r->at, "unterminated string");
    char c = r->at[1];
    r->at += 2;
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        bytes[0] = meanings[letter - letters];
    } else if (c == 'u') {
        uint32_t code;
        NND_TRY(read_unicode_escape(r, &code));
        count = nnd_utf8_encode(code, bytes);
    } else {
        return fail_at(r, r->at - 2,
                       "unknown escape in a string; allowed are "
                       "\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
    }
    return nnd_vec_append(&r->unescaped, bytes, count) ? NND_OK : out_of_memory(r);
}

/* Bytes up to the next quote, backslash or control character. */
static const char *plain_end(const reader *r)
{
    const char *at = r->at;
    while (at < r->end && (uint8_t)*at >= 0x20 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static nnd_status check_plain(const reader *r, const char *end)
{
    size_t size = (size_t)(end - r->at);
    size_t valid = nnd_utf8_valid_prefix(r->at, size);
    return valid == size ? NND_OK : fail_at(r, r->at + valid, "invalid UTF-8 in a string");
}

/* r->at is on the opening quote. The text lands in the arena. */
static nnd_status read_string(reader *r, const char **text, uint32_t *size)
{
    const char *open = r->at++;
    const char *bytes;
    size_t count;
    const char *end = plain_end(r);
    if (end < r->end && *end == '"') {
        NND_TRY(check_plain(r, end));
        bytes = r->at;
        count = (size_t)(end - r->at);
        r->at = end;
    } else {
        nnd_vec_clear(&r->unescaped);
        while (!next_is(r, '"')) {
            end = plain_end(r);
            NND_TRY(check_plain(r, end));
            if (!nnd_vec_append(&r->unescaped, r->at, (size_t)(end - r->at)))
                return out_of_memory(r);
            r->at = end;
            if (r->at == r->end) return fail_at(r, open, "unterminated string");
            if (*r->at == '\\')
                NND_TRY(read_escape(r));
            else if (*r->at != '"')
                return fail_at(r, r->at, "control character in a string; write it as an escape");
        }
        bytes = r->unescaped.items;
        count = r->unescaped.count;
    }
    r->at++;
    *text = nnd_arena_strdup_n(r->arena, bytes, count);
    *size = (uint32_t)count;
    return *text ? NND_OK : out_of_memory(r);
}

/* ---- containers ---- */

static nnd_status enter(reader *r)
{
    if (r->depth == NND_JSON_MAX_DEPTH)
        return fail_at(r, r->at, "nested too deeply; the limit is 256 levels");
    r->depth++;
    r->at++;
    skip_space(r);
    return NND_OK;
}

static void leave(reader *r)
{
    r->depth--;
    r->at++;
}

/* After an element: true when another one follows, false at the closing bracket. */
static nnd_status next_element(reader *r, char closing, const char *wanted, bool *more)
{
    skip_space(r);
    *more = next_is(r, ',');
    if (!*more) return next_is(r, closing) ? NND_OK : fail_found(r, wanted);
    r->at++;
    skip_space(r);
    if (next_is(r, closing)) return fail_at(r, r->at, "a comma before the closing bracket");
    return NND_OK;
}

static nnd_status read_array(reader *r, nnd_json *out)
{
    size_t base = r->items.count;
    NND_TRY(enter(r));
    bool more = !next_is(r, ']');
    while (more) {
        nnd_json item;
        NND_TRY(read_value(r, &item));
        if (!nnd_vec_push(&r->items, item)) return out_of_memory(r);
        NND_TRY(next_element(r, ']', "expected ',' or ']' after an array element", &more));
    }
    leave(r);
    size_t count = r->items.count - base;
    out->type = NND_JSON_ARRAY;
    out->size = (uint32_t)count;
    out->u.items = NULL;
    if (count == 0) return NND_OK;
    nnd_json *items = nnd_arena_alloc(r->arena, count * sizeof(*items));
    if (!items) return out_of_memory(r);
    memcpy(items, r->items.items + base, count * sizeof(*items));
    out->u.items = items;
    r->items.count = base;
    return NND_OK;
}

static int compare_members(const nnd_json_member *members, uint32_t a, uint32_t b)
{
    int order = nnd_json_compare_keys(members[a].key, members[a].key_size, members[b].key,
                                      members[b].key_size);
    return order ? order : (a > b) - (a < b);
}

static void sift_down(uint32_t *index, size_t root, size_t count, const nnd_json_member *members)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) return;
        if (child + 1 < count && compare_members(members, index[child], index[child + 1]) < 0)
            child++;
        if (compare_members(members, index[root], index[child]) >= 0) return;
        uint32_t swap = index[root];
        index[root] = index[child];
        index[child] = swap;
        root = child;
    }
}

/* Heap sort: no extra memory, no bad case. */
static void sort_index(uint32_t *index, size_t count, const nnd_json_member *members)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(index, i, count, members);
    for (size_t i = count; i-- > 1;) {
        uint32_t swap = index[0];
        index[0] = index[i];
        index[i] = swap;
        sift_down(index, 0, i, members);
    }
}

static bool same_key(const nnd_json_member *a, const nnd_json_member *b)
{
    return a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0;
}

static nnd_status fail_duplicate(const reader *r, const nnd_json_member *first,
                                 const nnd_json_member *again)
{
    nnd_str key = {0};
    nnd_str_add_quoted(&key, again->key, again->key_size, 80);
    nnd_error_set(NND_E_FORMAT, "duplicate key %s, first on line %u column %u",
                  key.data ? key.data : "", first->line, first->column);
    nnd_str_free(&key);
    nnd_error_set_place(r->file, again->line, again->column);
    return NND_E_FORMAT;
}

static nnd_status check_small_object(const reader *r, const nnd_json_member *members, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (same_key(&members[k], &members[i]))
                return fail_duplicate(r, &members[k], &members[i]);
    return NND_OK;
}

static nnd_status index_object(const reader *r, const nnd_json_member *members, size_t count,
                               uint32_t *index)
{
    for (size_t i = 0; i < count; i++)
        index[i] = (uint32_t)i;
    sort_index(index, count, members);
    uint32_t first = 0, again = UINT32_MAX; /* report the duplicate that comes first in the text */
    for (size_t i = 1; i < count; i++)
        if (index[i] < again && same_key(&members[index[i - 1]], &members[index[i]])) {
            first = index[i - 1];
            again = index[i];
        }
    return again == UINT32_MAX ? NND_OK : fail_duplicate(r, &members[first], &members[again]);
}

/* Moves the members from the stack to the arena and makes sure that keys are unique. */
static nnd_status close_object(reader *r, size_t base, nnd_json *out)
{
    size_t count = r->members.count - base;
    out->type = NND_JSON_OBJECT;
    out->size = (uint32_t)count;
    out->u.members = NULL;
    if (count == 0) return NND_OK;
    bool large = count > NND_JSON_SMALL_OBJECT;
    size_t bytes = count * sizeof(nnd_json_member);
    nnd_json_member *members =
        nnd_arena_alloc(r->arena, bytes + (large ? count * sizeof(uint32_t) : 0));
    if (!members) return out_of_memory(r);
    memcpy(members, r->members.items + base, bytes);
    r->members.count = base;
    out->u.members = members;
    if (!large) return check_small_object(r, members, count);
    return index_object(r, members, count, (uint32_t *)(members + count));
}

static nnd_status read_member(reader *r, nnd_json_member *member)
{
    if (!next_is(r, '"')) return fail_found(r, "expected a key in double quotes");
    member->line = r->line;
    member->column = column_of(r, r->at);
    NND_TRY(read_string(r, &member->key, &member->key_size));
    skip_space(r);
    if (!next_is(r, ':')) return fail_found(r, "expected ':' after a key");
    r->at++;
    skip_space(r);
    return read_value(r, &member->value);
}

static nnd_status read_object(reader *r, nnd_json *out)
{
    size_t base = r->members.count;
    NND_TRY(enter(r));
    bool more = !next_is(r, '}');
    while (more) {
        nnd_json_member member;
        NND_TRY(read_member(r, &member));
        if (!nnd_vec_push(&r->members, member)) return out_of_memory(r);
        NND_TRY(next_element(r, '}', "expected ',' or '}' after a member", &more));
    }
    leave(r);
    return close_object(r, base, out);
}

/* ---- values ---- */

static nnd_status read_number(reader *r, nnd_json *out)
{
    const char *start = r->at;
    size_t used = nnd_number_read(start, (size_t)(r->end - start), &out->u.number);
    const char *after = start + used;
    bool goes_on = after < r->end && *after && strchr("0123456789.eE+-", *after);
    if (used == 0) return fail_at(r, start, "a number needs a digit after '-'");
    if (goes_on) {
        bool zero = (*start == '0' || (*start == '-' && start[1] == '0')) &&
                    hex_digit(*after) >= 0 && *after <= '9';
        return fail_at(r, start,
                       zero ? "a number may not start with 0 and another digit"
                            : "malformed number");
    }
    if (!nnd_number_is_finite(out->u.number))
        return fail_at(r, start, "number beyond the range of a double");
    out->type = NND_JSON_NUMBER;
    r->at = after;
    return NND_OK;
}

static nnd_status read_word(reader *r, nnd_json *out)
{
    static const struct {
        const char *word;
        nnd_json_type type;
        bool truth;
    } words[] = {{"true", NND_JSON_BOOL, true},
                 {"false", NND_JSON_BOOL, false},
                 {"null", NND_JSON_NULL, false}};
    for (size_t i = 0; i < NND_COUNT(words); i++) {
        size_t size = strlen(words[i].word);
        if ((size_t)(r->end - r->at) < size || memcmp(r->at, words[i].word, size) != 0) continue;
        out->type = (uint8_t)words[i].type;
        out->truth = words[i].truth;
        r->at += size;
        return NND_OK;
    }
    return fail_found(r, "expected a value");
}

static nnd_status read_value(reader *r, nnd_json *out)
{
    memset(out, 0, sizeof(*out));
    out->line = r->line;
    out->column = column_of(r, r->at);
    char c = r->at < r->end ? *r->at : '\0';
    switch (c) {
    case '{':
        return read_object(r, out);
    case '[':
        return read_array(r, out);
    case '"':
        out->type = NND_JSON_STRING;
        return read_string(r, &out->u.text, &out->size);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return read_number(r, out);
    default:
        return read_word(r, out);
    }
}

/* Encodings that an editor may have chosen; their byte order mark gives them away. */
static nnd_status check_encoding(const reader *r)
{
    const uint8_t *b = (const uint8_t *)r->text;
    size_t size = (size_t)(r->end - r->text);
    if (size >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf)
        return fail_at(r, r->at,
                       "the text starts with a byte order mark; "
                       "save it as UTF-8 without one");
    if (size >= 2 && ((b[0] == 0xfe && b[1] == 0xff) || (b[0] == 0xff && b[1] == 0xfe)))
        return fail_at(r, r->at, "the text is UTF-16; save it as UTF-8");
    return NND_OK;
}

static nnd_status read_document(reader *r, nnd_json *root)
{
    NND_TRY(check_encoding(r));
    skip_space(r);
    if (r->at == r->end) return fail_at(r, r->at, "expected a value, the text is empty");
    NND_TRY(read_value(r, root));
    skip_space(r);
    return r->at == r->end ? NND_OK : fail_found(r, "expected the end of the text");
}

nnd_status nnd_json_parse(const char *text, size_t size, const char *file, nnd_json_doc **out)
{
    if (!text) text = "";
    if (size >= UINT32_MAX) {
        nnd_error_set(NND_E_LIMIT, "JSON text of %llu bytes; the limit is 4 GiB",
                      (unsigned long long)size);
        nnd_error_set_place(file, 0, 0);
        return NND_E_LIMIT;
    }
    nnd_arena arena = {0};
    nnd_json_doc *doc = nnd_arena_calloc(&arena, 1, sizeof(*doc));
    if (!doc) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory while reading JSON");
    reader r = {.text = text,
                .at = text,
                .end = text + size,
                .line_start = text,
                .line = 1,
                .file = file,
                .arena = &arena};
    nnd_status status = read_document(&r, &doc->root);
    nnd_vec_free(&r.items);
    nnd_vec_free(&r.members);
    nnd_vec_free(&r.unescaped);
    if (status != NND_OK) {
        nnd_arena_fini(&arena);
        return status;
    }
    doc->arena = arena;
    *out = doc;
    return NND_OK;
}
