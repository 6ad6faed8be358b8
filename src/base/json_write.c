/* The canonical JSON writer; the layout is the one of ECMAScript's JSON.stringify. */
#include "nndeploy/base.h"

#include <string.h>

#include "base/json.h"
#include "base/number.h"
#include "base/str.h"

typedef struct level {
    bool is_object;
    bool on_one_line;
    bool used;       /* has an element already */
    bool was_inline; /* the writer's switch when the level began */
} level;

struct nnd_json_writer {
    nnd_str text;
    int indent;
    int depth;
    bool has_key; /* a key waits for its value */
    bool has_root;
    bool make_inline;
    nnd_status status;
    const char *misuse;
    level levels[NND_JSON_MAX_DEPTH];
};

nnd_status nnd_json_writer_create(int indent, nnd_json_writer **out)
{
    nnd_json_writer *w = nnd_calloc(1, sizeof(*w));
    if (!w) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a JSON writer");
    w->indent = indent < 0 ? 0 : indent > 16 ? 16 : indent;
    *out = w;
    return NND_OK;
}

void nnd_json_writer_destroy(nnd_json_writer *w)
{
    if (!w) return;
    nnd_str_free(&w->text);
    nnd_free(w);
}

static void misuse(nnd_json_writer *w, nnd_status status, const char *what)
{
    if (w->status != NND_OK) return;
    w->status = status;
    w->misuse = what;
}

static level *top(nnd_json_writer *w)
{
    return w->depth > 0 ? &w->levels[w->depth - 1] : NULL;
}

static void new_line(nnd_json_writer *w)
{
    static const char blanks[] = "                ";
    nnd_str_add_char(&w->text, '\n');
    for (int i = 0; i < w->depth; i++)
        nnd_str_add_n(&w->text, blanks, (size_t)w->indent);
}

/* What goes between the elements of a container. */
static void separate(nnd_json_writer *w, level *container)
{
    if (container->used) nnd_str_add_char(&w->text, ',');
    if (!container->on_one_line)
        new_line(w);
    else if (container->used && w->indent > 0)
        nnd_str_add_char(&w->text, ' ');
    container->used = true;
}

/* Prepares the place for a value; false when it may not stand here. */
static bool begin_value(nnd_json_writer *w)
{
    if (w->status != NND_OK) return false;
    level *container = top(w);
    if (!container) {
        if (w->has_root) misuse(w, NND_E_STATE, "a second value after the document's root");
        w->has_root = true;
    } else if (!container->is_object) {
        separate(w, container);
    } else if (!w->has_key) {
        misuse(w, NND_E_STATE, "a value without a key inside an object");
    }
    w->has_key = false;
    return w->status == NND_OK;
}

static void begin_container(nnd_json_writer *w, bool is_object)
{
    if (!begin_value(w)) return;
    if (w->depth == NND_JSON_MAX_DEPTH) {
        misuse(w, NND_E_LIMIT, "nested deeper than 256 levels");
        return;
    }
    level *outer = top(w);
    bool on_one_line = w->indent == 0 || w->make_inline || (outer && outer->on_one_line);
    w->levels[w->depth++] = (level){is_object, on_one_line, false, w->make_inline};
    nnd_str_add_char(&w->text, is_object ? '{' : '[');
}

static void end_container(nnd_json_writer *w, bool is_object)
{
    if (w->status != NND_OK) return;
    level *container = top(w);
    if (!container || container->is_object != is_object) {
        misuse(w, NND_E_STATE, "an end without its begin");
        return;
    }
    if (w->has_key) {
        misuse(w, NND_E_STATE, "a key without a value");
        return;
    }
    w->make_inline = container->was_inline;
    w->depth--;
    if (container->used && !container->on_one_line) new_line(w);
    nnd_str_add_char(&w->text, is_object ? '}' : ']');
}

void nnd_json_begin_object(nnd_json_writer *w)
{
    begin_container(w, true);
}

void nnd_json_end_object(nnd_json_writer *w)
{
    end_container(w, true);
}

void nnd_json_begin_array(nnd_json_writer *w)
{
    begin_container(w, false);
}

void nnd_json_end_array(nnd_json_writer *w)
{
    end_container(w, false);
}

void nnd_json_set_inline(nnd_json_writer *w, bool on)
{
    w->make_inline = on;
}

static void add_escaped(nnd_str *s, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    static const char special[] = "\b\f\n\r\t\"\\";
    static const char letters[] = "bfnrt\"\\";
    const char *found = c ? strchr(special, c) : NULL;
    if (found) {
        char pair[2] = {'\\', letters[found - special]};
        nnd_str_add_n(s, pair, 2);
    } else {
        char unit[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        nnd_str_add_n(s, unit, 6);
    }
}

static void add_string(nnd_str *s, const char *text, size_t size)
{
    nnd_str_add_char(s, '"');
    for (size_t i = 0; i < size;) {
        size_t valid = nnd_utf8_valid_prefix(text + i, size - i);
        size_t start = i, end = i + valid;
        for (; i < end; i++) {
            uint8_t c = (uint8_t)text[i];
            if (c >= 0x20 && c != '"' && c != '\\') continue;
            nnd_str_add_n(s, text + start, i - start);
            add_escaped(s, c);
            start = i + 1;
        }
        nnd_str_add_n(s, text + start, i - start);
        if (i < size) {
            nnd_str_add(s, "\xef\xbf\xbd"); /* U+FFFD for a byte that is no UTF-8 */
            i++;
        }
    }
    nnd_str_add_char(s, '"');
}

void nnd_json_key_n(nnd_json_writer *w, const char *key, size_t size)
{
    if (w->status != NND_OK) return;
    level *container = top(w);
    if (!container || !container->is_object) {
        misuse(w, NND_E_STATE, "a key outside an object");
        return;
    }
    if (w->has_key) {
        misuse(w, NND_E_STATE, "two keys in a row");
        return;
    }
    separate(w, container);
    add_string(&w->text, key, size);
    nnd_str_add(&w->text, w->indent > 0 ? ": " : ":");
    w->has_key = true;
}

void nnd_json_key(nnd_json_writer *w, const char *key)
{
    nnd_json_key_n(w, key, strlen(key));
}

static void put_word(nnd_json_writer *w, const char *word)
{
    if (begin_value(w)) nnd_str_add(&w->text, word);
}

void nnd_json_put_null(nnd_json_writer *w)
{
    put_word(w, "null");
}

void nnd_json_put_bool(nnd_json_writer *w, bool value)
{
    put_word(w, value ? "true" : "false");
}

void nnd_json_put_int(nnd_json_writer *w, int64_t value)
{
    const int64_t largest_exact = ((int64_t)1 << 53) - 1;
    char text[NND_NUMBER_TEXT];
    size_t size = nnd_number_write_int(value, text);
    if (!begin_value(w)) return;
    if (value >= -largest_exact && value <= largest_exact)
        nnd_str_add_n(&w->text, text, size);
    else
        add_string(&w->text, text, size);
}

void nnd_json_put_number(nnd_json_writer *w, double value)
{
    char text[NND_NUMBER_TEXT];
    if (!nnd_number_is_finite(value)) {
        nnd_json_put_null(w);
        return;
    }
    nnd_number_write(value, text);
    put_word(w, text);
}

void nnd_json_put_float(nnd_json_writer *w, float value)
{
    char text[NND_NUMBER_TEXT];
    if (!nnd_number_is_finite((double)value)) {
        nnd_json_put_null(w);
        return;
    }
    nnd_number_write_float(value, text);
    put_word(w, text);
}

void nnd_json_put_string_n(nnd_json_writer *w, const char *text, size_t size)
{
    if (!text)
        nnd_json_put_null(w);
    else if (begin_value(w))
        add_string(&w->text, text, size);
}

void nnd_json_put_string(nnd_json_writer *w, const char *text)
{
    nnd_json_put_string_n(w, text, text ? strlen(text) : 0);
}

void nnd_json_put_json(nnd_json_writer *w, const nnd_json *json)
{
    switch (nnd_json_get_type(json)) {
    case NND_JSON_NULL:
        nnd_json_put_null(w);
        break;
    case NND_JSON_BOOL:
        nnd_json_put_bool(w, json->truth);
        break;
    case NND_JSON_NUMBER:
        nnd_json_put_number(w, json->u.number);
        break;
    case NND_JSON_STRING:
        nnd_json_put_string_n(w, json->u.text, json->size);
        break;
    case NND_JSON_ARRAY:
        nnd_json_begin_array(w);
        for (size_t i = 0; i < json->size; i++)
            nnd_json_put_json(w, &json->u.items[i]);
        nnd_json_end_array(w);
        break;
    case NND_JSON_OBJECT:
        nnd_json_begin_object(w);
        for (size_t i = 0; i < json->size; i++) {
            const nnd_json_member *m = &json->u.members[i];
            nnd_json_key_n(w, m->key, m->key_size);
            nnd_json_put_json(w, &m->value);
        }
        nnd_json_end_object(w);
        break;
    }
}

nnd_status nnd_json_writer_take(nnd_json_writer *w, char **text, size_t *size)
{
    if (w->status != NND_OK) return nnd_error_set(w->status, "JSON writer: %s", w->misuse);
    if (w->depth > 0 || !w->has_root)
        return nnd_error_set(NND_E_STATE, "JSON writer: the document is not complete");
    NND_TRY(nnd_str_take(&w->text, text, size));
    w->has_root = false; /* ready for the next document */
    return NND_OK;
}
